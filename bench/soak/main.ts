// Faults for as long as you like, on real servers: foreign writers, kills, stopped processes, a bad wire. `npm run soak -- --help`
import { parseArgs } from 'node:util';
import { summed, together } from '../../test/support/ledger/verdict.ts';
import { createWorld } from '../../test/support/world.ts';
import { ENGINES, type Engine, FULL, LITE, RUNS, type Size } from './runs.ts';
import { watchWorld } from './stalls.ts';

const HELP = `npm run soak -- [--lite] [--engine sqlite|mariadb|mysql]… [--run NAME]… [--kills N] [--db-kills N] [--fuzz N] [--minutes N]

Runs, each on every engine it is made for:
${RUNS.map(({ name, engines }) => `  ${name.padEnd(32)}${engines.join(', ')}`).join('\n')}

--lite takes about a quarter of an hour instead of some hours. --run takes the beginning of a name.
RESTANTE_TEST_MAIN names another build to be tested than dist/main.js.
One line of figures per run; exit code 1 when anything was lost, skipped, made up, changed or leased twice,
or when a turn of the event loop took longer than 100 ms.
`;

const { values } = parseArgs({
  options: {
    lite: { type: 'boolean', default: false },
    engine: { type: 'string', multiple: true },
    run: { type: 'string', multiple: true },
    kills: { type: 'string' },
    'db-kills': { type: 'string' },
    fuzz: { type: 'string' },
    minutes: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const size: Size = values.lite ? LITE : FULL;
const kills = Number(values.kills ?? size.kills);
const databaseKills = Number(values['db-kills'] ?? size.databaseKills);
const fuzz = Number(values.fuzz ?? size.fuzz);
const minutes = Number(values.minutes ?? size.minutes);
const engines = (values.engine ?? ENGINES) as readonly Engine[];
const runs = RUNS.filter(({ name }) => !values.run || values.run.some((begin) => name.startsWith(begin)));

if (values.help) console.log(HELP);
else if (
  !engines.every((engine) => ENGINES.includes(engine)) ||
  runs.length === 0 ||
  !(kills >= 0) ||
  !(databaseKills >= 0) ||
  !(fuzz >= 0) ||
  !(minutes >= 0)
) {
  console.error(HELP);
  process.exitCode = 2;
} else process.exitCode = await soak();

function broken(what: string) {
  return (error: unknown) => ({ figures: {}, failures: [`${what}: ${(error as Error).stack}`] });
}

async function soak(): Promise<number> {
  const lines: string[] = [];
  let failed = 0;
  for (const { name, engines: made, run, serverArgs = [], diskMb, nodes, pair, mustFail } of runs) {
    for (const engine of engines.filter((one) => made.includes(one))) {
      const told = (line: string) => console.log(`${new Date().toISOString()} ${engine}, ${name}: ${line}`);
      const began = performance.now();
      const verdict = await createWorld(engine, { serverArgs, diskMb, nodes, pair }).then(async (made) => {
        const world = watchWorld(made);
        const found = await run(world, { ...size, kills, databaseKills, fuzz, minutes }, told)
          .catch(broken('the run broke off'))
          .finally(() => world.close());
        return together(found, world.stalls());
      }, broken('it could not be set up'));
      const caught = verdict.failures.some((failure) => mustFail?.test(failure));
      const failures = mustFail
        ? caught
          ? []
          : [`what was broken on purpose was not found: ${mustFail}`]
        : verdict.failures;
      failed += failures.length;
      for (const failure of verdict.failures) told(`${mustFail ? 'as it must be' : 'FAILED'}: ${failure}`);
      const figures = Object.entries(summed(verdict.figures)).map(([what, value]) => `${what} ${value}`);
      const seconds = Math.round((performance.now() - began) / 1_000);
      lines.push(`| ${name} | ${engine} | ${seconds} s | ${failures.length} | ${figures.join(', ')} |`);
      told(lines.at(-1) ?? '');
    }
  }
  console.log(
    ['', '| run | engine | time | failures | figures |', '| --- | --- | --- | --- | --- |', ...lines].join('\n'),
  );
  console.log(
    failed > 0
      ? `${failed} FAILURES`
      : 'nothing was lost, skipped, made up or leased twice, and no event loop stood still',
  );
  return failed > 0 ? 1 : 0;
}
