// Runs the files of examples/ as their first comment says, in a folder of their own; only the environment is given.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mortal } from '../support/fetch-debs.ts';

/** Every example, by its path. */
export const EXAMPLES = readdirSync('examples', { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== 'README.md')
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

/** What the first comment of an example says. */
export function headOf(path: string): { readonly sentence: string; readonly commands: readonly string[] } {
  const lines = readFileSync(path, 'utf8').split('\n');
  const [first = 0] = lines.flatMap((line, i) => (/^(#|\/\/) /.test(line) ? [i] : []));
  const length = lines.slice(first).findIndex((line) => !/^(#|\/\/)/.test(line));
  const head = lines.slice(first, first + length).map((line) => line.replace(/^(#|\/\/)/, ''));
  const commands = head.filter((line) => line.startsWith('   ')).map((line) => line.trim());
  return { sentence: head[0]?.trim() ?? '', commands };
}

export interface Bench {
  readonly folder: string;
  /** Starts a command line of an example's comment; words of it may be replaced, such as a port. */
  start(command: string, env: Readonly<Record<string, string>>, words?: Readonly<Record<string, string>>): Run;
  close(): Promise<void>;
}
interface Run {
  /** All that it has printed. */
  said(): string;
  /** Resolves when it has said this. */
  saying(what: RegExp): Promise<RegExpExecArray>;
  /** Its exit code, once it has ended. */
  ended(): Promise<number | null>;
  /** To the command and all that it has started; resolves when they are gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** A folder with examples/ in it, from which `restante` is the program that was built. */
export function openBench(): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'restante-examples-'));
  for (const name of ['examples', 'node_modules', 'tsconfig.json', 'src'])
    symlinkSync(resolve(name), join(folder, name));
  mkdirSync(join(folder, 'bin'));
  symlinkSync(resolve(process.env.RESTANTE_TEST_MAIN ?? 'dist/main.js'), join(folder, 'bin/restante'));
  const PATH = `${folder}/bin:${process.env.PATH}`;
  const runs: Run[] = [];

  return {
    folder,
    start(command, env, words = {}) {
      const line = Object.entries(words).reduce((text, [from, to]) => text.replaceAll(from, to), command);
      // Placeholders of the comment, as in STRIPE_SECRET=whsec_… : the environment has the values.
      const [file, ...args] = mortal(['sh', '-c', `exec ${line.replace(/^(\w+=\S+ )+/, '')}`]);
      const child: ChildProcess = spawn(file, args, {
        cwd: folder,
        env: { ...process.env, ...env, PATH },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += text));
      let closed = false;
      const ended = once(child, 'close').then(([code]) => {
        closed = true;
        return code as number | null;
      });
      const run: Run = {
        said: () => said,
        ended: () => ended,
        async saying(what) {
          for (const until = Date.now() + 30_000; ; await sleep(20)) {
            const found = what.exec(said);
            if (found) return found;
            if (closed || Date.now() > until) throw new Error(`${line} never said ${what}, but: ${said}`);
          }
        },
        async kill(signal = 'SIGKILL') {
          if (child.exitCode === null && child.signalCode === null && child.pid) process.kill(-child.pid, signal);
          await ended;
        },
      };
      runs.push(run);
      return run;
    },
    async close() {
      await Promise.all(runs.map((run) => run.kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The credentials of a world's user, as the examples take them. */
export const credentials = (url: string, auth: string): Record<string, string> => ({
  RESTANTE_URL: url,
  RESTANTE_AUTH: Buffer.from(auth.replace('Basic ', ''), 'base64').toString(),
});
