// The real program as a child that tells what each request costs its main thread: CPU, the longest turn, what is allocated.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onExit } from './fetch-debs.ts';
import { freePort } from './servers.ts';
import { functionsOf } from './stalls.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MAIN = process.env.RESTANTE_TEST_MAIN ?? at('../../dist/main.js');
// So much is allocated before the collector comes: several times what one request may allocate.
const NURSERY_MB = 256;
const START_MS = 30_000;

/** What the main thread used. */
export interface Cost {
  readonly cpuMs: number;
  /** The longest turn of its event loop, in CPU. */
  readonly turnMs: number;
  /** Bytes. */
  readonly allocated: number;
}

export interface Metered {
  readonly url: string;
  readonly port: number;
  /** What was used since it was last asked. `collect`: the garbage is collected, after it was counted. */
  read(collect?: 'collect'): Promise<Cost>;
  /** Where the time of a piece of work goes: functions of the program, the longest first. */
  profile(work: () => Promise<unknown>): Promise<string>;
  stop(): Promise<void>;
}

export async function startMetered(databaseUrl: string, env: Readonly<Record<string, string>> = {}): Promise<Metered> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is not there: run `node build.js`');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = fork(MAIN, ['serve'], {
    execArgv: [
      '--expose-gc',
      `--min-semi-space-size=${NURSERY_MB}`,
      `--max-semi-space-size=${NURSERY_MB}`,
      '--import',
      at('./meter.js'),
    ],
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'error',
      ...env,
      DATABASE_URL: databaseUrl,
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const forget = onExit(() => void child.kill('SIGKILL'));
  child.once('exit', forget);
  for (const deadline = Date.now() + START_MS; ; await sleep(20)) {
    const answer = await fetch(`${url}/healthz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) break;
    if (Date.now() > deadline || child.exitCode !== null) throw new Error('the program did not start');
  }
  const ask = async <T>(question: string): Promise<T> => {
    child.send(question);
    const [answer] = await once(child, 'message');
    return answer as T;
  };
  return {
    url,
    port,
    read: (collect) => ask<Cost>(collect ?? 'read'),
    async profile(work) {
      await ask('profile');
      await work();
      return functionsOf(await ask<Profiler.Profile>('profiled'));
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
