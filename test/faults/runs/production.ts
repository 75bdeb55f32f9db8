// Half an hour in production: half of the load it takes, everybody reading, and whatever goes wrong going wrong at random.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'undici';
import { audit, judgeAudit } from '../../support/ledger/audit.ts';
import { startForeign } from '../../support/ledger/foreign.ts';
import { connectWire, type Load, openLedger, readLedger, startLoad, type Wire } from '../../support/ledger/load.ts';
import { clock } from '../../support/ledger/readers.ts';
import { addFigure, type Outage, summed, together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch } from '../../support/ledger/watch.ts';
import { BUSY, call } from '../../support/ledger/workers.ts';
import { startProxy } from '../../support/proxy.ts';
import { freePort } from '../../support/servers.ts';
import type { Program, World } from '../../support/world.ts';
import { firstAck } from './kills.ts';

export interface ProductionOptions {
  readonly minutes: number;
  readonly roundSeconds: number;
  readonly told: (line: string) => void;
}

const CALIBRATION_MS = 8_000;
const CONNECTIONS = 16;
// RSS (after a collection of the garbage) and descriptors are looked at when a round is over and all is quiet. The first third is warm-up.
const WARM_UP = 1 / 3;
const MOST_GROWTH = 1.05;
const MOST_MORE_DESCRIPTORS = 3;
const random = (from: number, to: number) => from + Math.random() * (to - from);
const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;

interface Sample {
  readonly rssMb: number;
  readonly descriptors: number;
}
async function sampleOf({ pid }: Program, inspector: number): Promise<Sample> {
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  // V8 lets garbage lie as long as there is room: what grows is told from what was not swept yet.
  await collectGarbage(inspector);
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { rssMb: Math.round(Number(kilobytes) / 1_024), descriptors };
}

/** By the debugging protocol of a Node that was started with --inspect. */
async function collectGarbage(port: number): Promise<void> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  const heard = (name: string) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
  await heard('open');
  socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  await heard('message');
  socket.close();
}

/** `steady` is never killed, so that its memory can be watched; `victim` is. Both receive, and hand out. */
export async function runProduction(world: World, options: ProductionOptions): Promise<Verdict> {
  const { server, volume } = world;
  const { told } = options;
  const proxy = server ? await startProxy(server.port) : undefined;
  const url = new URL(world.databaseUrl);
  if (proxy) url.port = String(proxy.port);
  const env = { DATABASE_URL: proxy ? url.href : world.databaseUrl, LOG_LEVEL: 'warn' };
  const inspector = await freePort();
  const steady = await world.serve({ ...env, NODE_OPTIONS: `--inspect=127.0.0.1:${inspector}` });
  const victim = await world.serve(env);
  const samples: Sample[] = [];
  const figures: Record<string, number | string> = {};
  const failures: string[] = [];
  const happened: Record<string, number> = {};

  /** Each resolves when it is over; `wait` is how long senders may then be without a 2xx. */
  const faults: Readonly<Record<string, { readonly wait?: number; run(): Promise<void> }>> = {
    'program killed': {
      async run() {
        await victim.kill();
        await victim.restart();
      },
    },
    'program stopped': {
      async run() {
        victim.signal('SIGSTOP');
        await sleep(random(500, 4_000));
        victim.signal('SIGCONT');
      },
    },
    ...(volume && {
      'disk full': {
        // MySQL looks for room once a minute.
        wait: server?.flavour === 'mysql' ? 75_000 : 10_000,
        async run() {
          await volume.fill();
          await sleep(random(1_000, 3_000));
          await volume.free();
        },
      },
    }),
    ...(server && {
      'database killed': {
        async run() {
          await server.kill();
          await sleep(random(0, 1_500));
          await server.start();
        },
      },
    }),
    ...(proxy && {
      'COMMIT cut': {
        async run() {
          const whose = Math.random() < 0.7 ? 'writer' : 'others';
          await Promise.race([proxy.cut(whose, Math.random() < 0.5 ? 'after' : 'before'), sleep(2_000)]);
        },
      },
      'connections reset': { run: async () => proxy.reset() },
      'silent wire': {
        async run() {
          proxy.silence(true);
          await sleep(random(500, 3_000));
          proxy.silence(false);
        },
      },
    }),
  };

  async function round(number: number, perSecond: number | undefined, ms: number): Promise<number> {
    const { wh_id, path } = await world.webhook(`Round ${number}`);
    const consumers = [`first-${number}`, `second-${number}`];
    const watch = await startWatch(world, {
      lists: { 'list of the steady': steady, 'list of the victim': victim },
      streams: { stream: steady },
      consumers: consumers.map((name) => ({ name, lease_seconds: 5 })),
      programs: [steady, victim],
      workersEach: 4,
      behaviour: BUSY,
    });
    const ledger = openLedger(join(world.folder, `production-${number}`));
    const events = () => readLedger(ledger.path);
    const rate = perSecond === undefined ? {} : { rate: () => perSecond / 2 };
    const loads: Load[] = [steady, victim].map((program) =>
      startLoad({ url: program.url, paths: [path], connections: CONNECTIONS / 2, ledger, ...rate }),
    );
    const foreign = server
      ? startForeign({
          connect: world.connect,
          userId: world.userId,
          whids: [0],
          perSecond: 50,
          longestMs: 500,
          singles: 1,
          batches: 1,
          transactions: 2,
          chasers: 0,
        })
      : undefined;
    const outages: Outage[] = [];
    const ended = new AbortController();
    const pests = startPests(steady, path, ended.signal);
    const from = clock();
    const until = from + ms;
    // Not while it is being calibrated.
    while (perSecond !== undefined && clock() < until) {
      await sleep(random(1_000, 6_000));
      const names = Object.keys(faults);
      const name = names[Math.floor(Math.random() * names.length)] as string;
      const { wait = 10_000, run } = faults[name] as { wait?: number; run(): Promise<void> };
      const began = clock();
      await run();
      const over = clock();
      happened[name] = (happened[name] ?? 0) + 1;
      await firstAck(events, over, wait).catch(() =>
        failures.push(`round ${number}, ${name}: no 2xx within ${wait} ms after it`),
      );
      outages.push({ from: began, dead: over, to: clock() + 500 });
    }
    if (perSecond === undefined) await sleep(ms);
    const seconds = (clock() - from) / 1_000;
    ended.abort();
    await Promise.all([...loads.map((load) => load.stop()), foreign?.stop(), pests]);
    ledger.close();
    const verdict = await watch.finish({ outages, foreign });
    const found = await audit(ledger.path, { url: steady.url, auth: world.auth, whids: [wh_id], from: watch.from });
    for (const name of consumers) await call(steady.url, world.auth, 'DELETE', `/consumers/${name}`);
    const lost = [...judgeAudit(found).failures];
    const others = new Set(events().flatMap(({ kind, what }) => (kind === 'refused' && what !== '503' ? [what] : [])));
    if (others.size > 0) lost.push(`senders were told ${[...others].join(', ')}`);
    const all = together(verdict, { figures: {}, failures: lost });
    failures.push(...all.failures.map((failure) => `round ${number}: ${failure}`));
    for (const [name, value] of Object.entries(summed(all.figures))) addFigure(figures, name, value);
    const { sent, acked, refused, unknown, missing } = found;
    for (const [name, value] of Object.entries({ sent, acked, refused, unknown, missing: missing.length }))
      addFigure(figures, `webhooks ${name}`, value);
    await sleep(1_500);
    samples.push(await sampleOf(steady, inspector));
    const { rssMb, descriptors } = samples.at(-1) as Sample;
    told(
      `round ${number}: ${acked} of ${sent} acked in ${Math.round(seconds)} s, ${rssMb} MB, ${descriptors} descriptors, ${outages.length} faults, ${failures.length} failures`,
    );
    return acked / seconds;
  }

  const until = clock() + options.minutes * 60_000;
  const most = await round(0, undefined, CALIBRATION_MS);
  const perSecond = Math.max(50, most / 2);
  told(`it takes ${Math.round(most)} webhooks/s with everybody reading; from now on ${Math.round(perSecond)}/s`);
  for (let number = 1; clock() < until; number++) await round(number, perSecond, options.roundSeconds * 1_000);
  await proxy?.close();

  const warm = samples.slice(Math.floor(samples.length * WARM_UP));
  const half = Math.ceil(warm.length / 2);
  const [early, late] = [warm.slice(0, half), warm.slice(-half)];
  const rss = (list: readonly Sample[]) => median(list.map(({ rssMb }) => rssMb));
  const descriptors = (list: readonly Sample[]) => median(list.map((one) => one.descriptors));
  Object.assign(figures, {
    'load per second': Math.round(perSecond),
    'RSS MB, early and late': `${rss(early)} ${rss(late)}`,
    'descriptors, early and late': `${descriptors(early)} ${descriptors(late)}`,
    faults: Object.entries(happened)
      .map(([name, count]) => `${count} x ${name}`)
      .join('; '),
  });
  if (rss(late) > rss(early) * MOST_GROWTH)
    failures.push(`memory grows: ${warm.map(({ rssMb }) => rssMb).join(' ')} MB after each round`);
  if (descriptors(late) > descriptors(early) + MOST_MORE_DESCRIPTORS)
    failures.push(`descriptors leak: ${warm.map((one) => one.descriptors).join(' ')} after each round`);
  return { figures, failures };
}

/** Senders who stop in the middle, vanish without a word, or are cut off, all the time. */
async function startPests({ port }: Program, path: string, ended: AbortSignal): Promise<void> {
  const held: Wire[] = [];
  for (let n = 0; !ended.aborted; n++) {
    const wire = await connectWire('127.0.0.1', port).catch(() => undefined);
    wire?.write(
      n % 3 ? `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(n % 50_000)}` : 'POST ',
    );
    if (wire) held.push(wire);
    // Half of them hang until the end, the others are cut off.
    if (n % 2) held.pop()?.close();
    if (held.length > 100) held.shift()?.close();
    await sleep(100);
  }
  for (const wire of held) wire.close();
}
