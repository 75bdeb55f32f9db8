// Starts what is measured as processes of their own: the built service, the servers it is compared with, the reference.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Contender {
  readonly url: string;
  readonly pid: number;
  /** From spawn to the first answer. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('connect', () => resolve(socket.destroy() !== undefined)).on('error', () => resolve(false));
  });

/** Runs a command that listens on `port`; resolves when it accepts connections. */
async function start(
  command: string,
  args: readonly string[],
  port: number,
  env: Record<string, string>,
): Promise<Contender> {
  const began = performance.now();
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', command !== '/usr/bin/python3' ? 'inherit' : 'ignore'],
  });
  children.add(child);
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${command} ${args.join(' ')} ended with ${child.exitCode}`);
    await sleep(5);
  }
  const readyMs = performance.now() - began;
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    children.delete(child);
  };
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, readyMs, stop };
}

const node = process.execPath;
const here = (path: string) => new URL(path, import.meta.url).pathname;

export async function startOurs(databaseUrl: string, env: Record<string, string> = {}): Promise<Contender> {
  const port = await freePort();
  return start(here('../../dist/main.js'), ['serve'], port, {
    DATABASE_URL: databaseUrl,
    PORT: String(port),
    LOG_LEVEL: 'warn',
    HOST: '127.0.0.1',
    ...env,
  });
}

/** A server of bench/plain.js: `bare`, or `insert` and `select` with the driver and one statement per request. */
export async function startPlain(kind: 'bare' | 'insert', databaseUrl = ''): Promise<Contender> {
  const port = await freePort();
  return start(node, [here('./plain.js'), kind, String(port), databaseUrl], port, {});
}

export const hasFastApi = spawnSync('/usr/bin/python3', ['-c', 'import fastapi, aiomysql, uvicorn']).status === 0;
export async function startFastApi(databaseUrl: string, pool: 'shared' | 'request'): Promise<Contender> {
  const port = await freePort();
  const args = [
    '-m',
    'uvicorn',
    '--app-dir',
    here('../reference'),
    'main:app',
    '--port',
    String(port),
    '--log-level',
    'warning',
  ];
  return start('/usr/bin/python3', args, port, { DATABASE_URL: databaseUrl, POOL: pool });
}
