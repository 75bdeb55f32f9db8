// The SDK's loop with nothing to do against bare pulls that ack, in turns; and the agent with sixteen at a time to a server that does nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createClient } from '../../src/client/index.ts';
import { prepare } from '../support/database.ts';
import { median, usage } from '../support/load.ts';
import { type Contender, startOurs, startPlain } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { atRest } from '../support/watch.ts';
import { fillReceived, restante } from './drain.ts';

const TURNS = 10;
const LIMIT = 500;
const AT_A_TIME = 16;

interface Side {
  /** Works through so many; resolves with how long it took, in ms. */
  turn(rows: number): Promise<number>;
  end(): Promise<unknown>;
}

/** As little as a program can do: one pull after the other, each acking the one before. */
function bare({ url }: Contender, authorization: string): Side {
  let ack: string | undefined;
  return {
    async turn(rows) {
      const began = performance.now();
      for (let got = 0; got < rows; ) {
        const body = JSON.stringify({ limit: Math.min(LIMIT, rows - got), start: 'earliest', ...(ack ? { ack } : {}) });
        const answer = await fetch(`${url}/consumers/bare/pull`, { method: 'POST', headers: { authorization }, body });
        const pulled = (await answer.json()) as { lease: string; items: unknown[] };
        if (pulled.items.length === 0) throw new Error('nothing came');
        ack = pulled.lease;
        got += pulled.items.length;
      }
      return performance.now() - began;
    },
    end: async () => {},
  };
}

function sdk({ url }: Contender, auth: string): Side {
  const ended = new AbortController();
  let left = 0;
  let rest = () => {};
  let begin = () => {};
  let began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const consume = createClient({ url, auth }).consume('sdk', { start: 'earliest', signal: ended.signal });
  const running = consume.forEach(async () => {
    if (left-- > 0) return;
    rest();
    await began;
  });
  return {
    async turn(rows) {
      left = rows;
      const at = performance.now();
      const done = new Promise<void>((resolve) => {
        rest = resolve;
      });
      begin();
      await done;
      began = new Promise((resolve) => {
        begin = resolve;
      });
      return performance.now() - at;
    },
    async end() {
      ended.abort();
      begin();
      await running;
    },
  };
}

/** Contents per second of the agent, from the first that it says it has sent to the last, and its CPU per content. */
async function forward(ours: Contender, target: Contender, auth: string, rows: number) {
  const main = new URL('../../dist/main.js', import.meta.url).pathname;
  const args = ['forward', 'agent', '--to', `${target.url}/hook`, '--concurrency', String(AT_A_TIME), '--json'];
  const env = { ...process.env, RESTANTE_URL: ours.url, RESTANTE_AUTH: auth };
  const child = spawn(process.execPath, [main, ...args, '--start', 'earliest'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let count = 0;
  let first = 0;
  let counted = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count++;
    first ||= performance.now();
    counted ||= count;
    if (count >= rows) break;
  }
  const seconds = (performance.now() - first) / 1000;
  const { cpu } = usage(child.pid ?? 0);
  child.kill('SIGTERM');
  await ended;
  return { perSecond: (count - counted) / seconds, cpuUs: (cpu / count) * 1e6 };
}

export async function agent(server: string, { rows }: { readonly rows: number }): Promise<void> {
  const database = await prepare(server);
  await fillReceived(database, rows);
  await restante(database.url, 'migrate');
  const ours = await startOurs(database.url);
  const target = await startPlain('bare');
  await atRest(ours.pid, 0.2);
  const credentials = Buffer.from(database.auth.slice('Basic '.length), 'base64').toString();
  const sides = [bare(ours, database.auth), sdk(ours, credentials)] as const;
  const times: [number[], number[]] = [[], []];
  const part = Math.floor((rows / (TURNS + 1) - 1) / LIMIT) * LIMIT;
  for (let turn = -1; turn < TURNS; turn++)
    for (const i of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const ms = await sides[i].turn(part);
      // The first one warms up.
      if (turn >= 0) times[i].push(ms);
    }
  await Promise.all(sides.map((side) => side.end()));
  const [mine, other] = [part / median(times[1]), part / median(times[0])].map((perMs) => perMs * 1000) as [
    number,
    number,
  ];
  const sent = await forward(ours, target, credentials, rows);
  figures();
  figure({ what: 'bare pulls of 500, each acking the one before: contents', value: other, unit: '/s', digits: 0 });
  figure({ what: "the SDK's loop with nothing to do: contents", value: mine, unit: '/s', digits: 0 });
  figure({ what: "the SDK's loop: of bare pulls", value: mine / other, unit: '', digits: 2, atLeast: 0.7 });
  const what = `restante forward, ${AT_A_TIME} at a time`;
  figure({ what: `${what}: contents`, value: sent.perSecond, unit: '/s', digits: 0, atLeast: 2_000 });
  figure({ what: `${what}: CPU of the agent per content`, value: sent.cpuUs, unit: 'us', digits: 0 });
  for (const one of [ours, target]) await one.stop();
  await database.drop();
}
