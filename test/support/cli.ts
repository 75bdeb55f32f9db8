// Runs command lines, in this process or as the installed program, and tidies up behind each test.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/main.ts';
import type { Database } from './engines.ts';
import { connectTo, freePort } from './servers.ts';

export type Env = Readonly<Record<string, string>>;
/** One command line in this process. `stopped` is what would be a signal; `more`: a terminal, keys. */
export async function cli(
  argv: readonly string[],
  env: Env = {},
  stopped: Promise<string> = new Promise(() => {}),
  more: Partial<Io> = {},
) {
  let [out, err] = ['', ''];
  const io = {
    env,
    out: (text: string) => (out += text),
    err: (text: string) => (err += text),
    written: async () => {},
    memory: process,
    tty: false,
    input: async () => '',
    ask: async () => '',
    ...more,
  };
  const code = await run(argv, { ...io, stopped: () => stopped } as Parameters<typeof run>[1]);
  return { code, out, err };
}

/** `restante serve` in this process; what it says can be read while it runs. */
export async function serving(env: Env) {
  let said = '';
  let stop = (_signal: string) => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const port = await freePort();
  const io = {
    env: { PORT: String(port), ...env },
    out: (text: string) => (said += text),
    err: (text: string) => (said += text),
    written: async () => {},
    memory: process,
    tty: false,
    input: async () => '',
    ask: async () => '',
    stopped: () => stopped,
  };
  let code: number | undefined;
  const ended = run(['serve'], io as unknown as Parameters<typeof run>[1]).then((one) => {
    code = one;
    return one;
  });
  return {
    said: () => said,
    ended: () => code,
    url: `http://127.0.0.1:${port}`,
    end: () => {
      stop('SIGTERM');
      return ended;
    },
  };
}

const ends: (() => unknown)[] = [];
const end = async () => {
  for (const one of ends.splice(0).reverse()) await one();
};
/** What is made in a test is gone after it. */
export const kept = <T>(one: T, close: (one: T) => unknown): T => {
  ends.push(() => close(one));
  return one;
};
afterEach(end);
afterAll(end);
export const dropped = (database: Database) => kept(database, (one) => one.drop());
export const folder = () =>
  kept(mkdtempSync(join(tmpdir(), 'restante-cli-')), (one) => rmSync(one, { recursive: true }));
export const connected = async (url: string) => kept(await connectTo(url), (one) => one.end());
export const tablesOf = async (connection: Connection) => {
  const [rows] = await connection.query('SHOW TABLES');
  return (rows as object[]).map((row) => Object.values(row)[0] as string).sort();
};
export const BASE = ['tbluser', 'tblwh', 'tblwhid'];

/** The program that is installed, as a process of its own. */
export function start(args: readonly string[], env: Env, cwd = folder()) {
  const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
  const { PATH = '' } = process.env;
  const child = kept(spawn(process.execPath, [main, ...args], { env: { PATH, ...env }, cwd }), (one: ChildProcess) =>
    one.kill('SIGKILL'),
  );
  let said = '';
  let closed = false;
  child.once('close', () => {
    closed = true;
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += text));
  const saying = async (what: RegExp) => {
    for (const until = Date.now() + 20_000; ; await sleep(20)) {
      const found = what.exec(said);
      if (found) return found;
      if (closed || Date.now() > until) throw new Error(`${what} was never said: ${said}`);
    }
  };
  return { child, saying, said: () => said };
}
