// Kills the program and its database under load, for as long as you like, and looks for a lost webhook. `npm run soak -- --help`
import { parseArgs } from 'node:util';
import { figures } from '../test/audit.ts';
import { killDatabase, killProgram, type Report, underLoad } from '../test/faults.ts';
import { createWorld, type World } from '../test/world.ts';

const ENGINES = ['sqlite', 'mariadb', 'mysql'] as const;
type Engine = (typeof ENGINES)[number];
// A round is short, so that a loss is found soon and its ledger stays small.
const KILLS_PER_ROUND = 5;

const HELP = `npm run soak -- [--engine sqlite|mariadb|mysql]… [--kills 50] [--db-kills 20]

kill -9 of the program (--kills) and of its private database server (--db-kills; SQLite has none) at random instants
under load, on each engine. Exit code 1 if a webhook that was acked is missing, came twice or has other bytes.
`;

interface Sum {
  readonly engine: Engine;
  readonly fault: 'program' | 'database';
  kills: number;
  sent: number;
  acked: number;
  refused: number;
  unknown: number;
  missing: number;
  duplicates: number;
  corrupted: number;
  slowest_ms: number;
  /** Program: until it answers again. Database: until the first 2xx after it is back. */
  longest_recovery_ms: number;
}

const empty = (engine: Engine, fault: Sum['fault']): Sum => ({
  engine,
  fault,
  kills: 0,
  sent: 0,
  acked: 0,
  refused: 0,
  unknown: 0,
  missing: 0,
  duplicates: 0,
  corrupted: 0,
  slowest_ms: 0,
  longest_recovery_ms: 0,
});

function add(sum: Sum, kills: number, report: Report, recoveries: readonly number[]): void {
  sum.kills += kills;
  for (const name of ['sent', 'acked', 'refused', 'unknown'] as const) sum[name] += report[name];
  for (const name of ['missing', 'duplicates', 'corrupted'] as const) {
    sum[name] += report[name].length;
    if (report[name].length > 0) console.log(`${name}: ${report[name].slice(0, 20).join(', ')}`);
  }
  sum.slowest_ms = Math.max(sum.slowest_ms, report.slowestMs);
  sum.longest_recovery_ms = Math.max(sum.longest_recovery_ms, ...recoveries);
}

async function soak(engine: Engine, world: World, kills: number, databaseKills: number): Promise<Sum[]> {
  const told = (line: string) => console.log(`${new Date().toISOString()} ${engine}: ${line}`);
  const program = await world.serve({ LOG_LEVEL: 'warn' });
  const byProgram = empty(engine, 'program');
  for (let left = kills; left > 0; left -= KILLS_PER_ROUND) {
    const round = Math.min(left, KILLS_PER_ROUND);
    let away: number[] = [];
    const report = await underLoad(world, program, async () => {
      away = await killProgram(program, round, () => {});
    });
    add(byProgram, round, report, away);
    told(`${byProgram.kills} of ${kills} kills of the program: ${figures(report)}`);
  }
  const { server } = world;
  if (!server) return [byProgram];
  const byDatabase = empty(engine, 'database');
  for (let left = databaseKills; left > 0; left -= KILLS_PER_ROUND) {
    const round = Math.min(left, KILLS_PER_ROUND);
    let recoveries: number[] = [];
    const report = await underLoad(world, program, async (running) => {
      const outages = await killDatabase(server, running, round, { awayMs: 300, told: () => {} });
      recoveries = outages.map(({ recoveredMs }) => recoveredMs);
    });
    add(byDatabase, round, report, recoveries);
    told(`${byDatabase.kills} of ${databaseKills} kills of the database: ${figures(report)}`);
  }
  return [byProgram, byDatabase];
}

const { values } = parseArgs({
  options: {
    engine: { type: 'string', multiple: true },
    kills: { type: 'string', default: '50' },
    'db-kills': { type: 'string', default: '20' },
    help: { type: 'boolean', default: false },
  },
});
const engines = (values.engine ?? [...ENGINES]) as Engine[];
const counts = [values.kills, values['db-kills']];
if (values.help) console.log(HELP);
else if (!engines.every((engine) => ENGINES.includes(engine)) || !counts.every((count) => /^\d+$/.test(count))) {
  console.error(HELP);
  process.exitCode = 2;
} else {
  const sums: Sum[] = [];
  for (const engine of engines) {
    const world = await createWorld(engine);
    try {
      sums.push(...(await soak(engine, world, Number(values.kills), Number(values['db-kills']))));
    } finally {
      await world.close();
    }
  }
  console.table(sums);
  const lost = sums.some(({ missing, duplicates, corrupted }) => missing + duplicates + corrupted > 0);
  console.log(lost ? 'SOMETHING WAS LOST, DOUBLED OR CHANGED' : 'nothing that was acked is lost');
  process.exitCode = lost ? 1 : 0;
}
