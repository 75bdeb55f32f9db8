// restante doctor: one page of checks, each with what was found and what to do about it. Changes nothing.
import type { Command } from 'commander';
import { Complaint, type Io, plain } from '../io.ts';
import { ALL, configOf, verb } from '../verb.ts';
import { type Check, type Finding, findings, type State } from './check.ts';
import { DATABASE_CHECKS } from './database.ts';
import { gatherFacts } from './facts.ts';
import { SERVER_CHECKS } from './server.ts';
import { SETTINGS_CHECKS } from './settings.ts';

/** In the order of the page: without a database the rest means little. */
export const CHECKS: readonly Check[] = [...DATABASE_CHECKS, ...SERVER_CHECKS, ...SETTINGS_CHECKS];

interface Options {
  readonly json?: boolean;
  readonly online?: boolean;
}

export const doctorCommand = (io: Io): Command =>
  verb({
    name: 'doctor',
    summary: 'Check database, settings and machine, and tell what to do. Changes nothing.',
    examples: [
      'restante doctor                       with the settings of the service, and as its user',
      'restante doctor --online              also call PUBLIC_URL from here',
      'restante doctor --json | jq \'.checks[] | select(.state != "ok")\'',
    ],
    settings: ALL,
    fails: 'a check failed',
  })
    .option('--online', 'also ask PUBLIC_URL/healthz; without it nothing outside is called')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const config = configOf(io, options);
      const found = findings(CHECKS, await gatherFacts(io, config, options.online === true));
      const failures = found.filter(({ state }) => state === 'fail').length;
      if (options.json) io.out(`${JSON.stringify({ ok: failures === 0, checks: found }, null, 2)}\n`);
      else io.out(page(found, io.tty && !io.env.NO_COLOR));
      if (failures > 0) throw new Complaint(failures === 1 ? 'one check failed' : `${failures} checks failed`);
    });

const COLOURS: Readonly<Record<State, number>> = { ok: 32, warn: 33, fail: 31 };

function page(found: readonly Finding[], colour: boolean): string {
  const width = Math.max(...found.map(({ check }) => check.length));
  const lines = found.flatMap(({ check, state, found: what, fix }) => {
    const word = state.padEnd(4);
    const shown = colour ? `\x1b[${COLOURS[state]}m${word}\x1b[0m` : word;
    const first = `${shown}  ${check.padEnd(width)}  ${plain(what)}`;
    return fix === null ? [first] : [first, `${' '.repeat(width + 8)}-> ${plain(fix)}`];
  });
  const count = (one: State) => found.filter(({ state }) => state === one).length;
  return `${lines.join('\n')}\n\n${found.length} checks: ${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failed\n`;
}
