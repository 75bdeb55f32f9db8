// Faults on the wire between the service and its database: what nobody knows is never told as done, and all recovers.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tick } from '../../support/ledger/readers.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import { startProxy } from '../../support/proxy.ts';
import type { World } from '../../support/world.ts';
import { firstAck, type UnderLoad, underLoad, verdictOf } from './kills.ts';

export interface WireOptions {
  /** How many COMMITs are cut, of each of four kinds. */
  readonly cuts: number;
  readonly resets: number;
  readonly silenceMs: number;
}

// Senders, lists and consumers are served again within this time.
const RECOVERED_MS = 10_000;
const KINDS = [
  ['writer', 'after'],
  ['writer', 'before'],
  ['others', 'after'],
  ['others', 'before'],
] as const;

export async function runWireFaults(world: World, { cuts, resets, silenceMs }: WireOptions): Promise<Verdict> {
  const { server } = world;
  if (!server) throw new Error('there is no wire to a database file');
  const proxy = await startProxy(server.port);
  const url = new URL(world.databaseUrl);
  url.port = String(proxy.port);
  const failures: string[] = [];
  const figures: Record<string, number> = { cuts: 0, resets, 'recovered ms': 0 };
  const recovered = async (running: UnderLoad, what: string, from: number, since: number) => {
    const times = await recovery(running, since);
    const ms = Math.max(...times.map(([, took]) => took));
    figures['recovered ms'] = Math.max(figures['recovered ms'] ?? 0, ms);
    const late = times.filter(([, took]) => took > RECOVERED_MS).map(([who]) => who);
    if (late.length > 0) failures.push(`${what}: not served again after ${RECOVERED_MS} ms: ${late.join(', ')}`);
    running.outages.push({ from, dead: since, to: since + Math.min(ms, RECOVERED_MS) });
  };
  try {
    const program = await world.serve({ LOG_LEVEL: 'error', DATABASE_URL: url.href });
    const report = await underLoad(
      world,
      program,
      async (running) => {
        await sleep(500);
        for (let i = 0; i < cuts; i++) {
          for (const [whose, cut] of KINDS) {
            const from = Date.now();
            const done = proxy.cut(whose, cut).then(() => true);
            if (!(await Promise.race([done, sleep(5_000, false)]))) {
              failures.push(`no COMMIT of ${whose} to be cut`);
              continue;
            }
            figures.cuts = (figures.cuts ?? 0) + 1;
            running.outages.push({ from, dead: Date.now(), to: Date.now() + 200 });
            await sleep(Math.random() * 200);
          }
        }
        for (let i = 0; i < resets; i++) {
          const from = Date.now();
          proxy.reset();
          await recovered(running, 'connections were reset', from, Date.now());
        }
        const from = Date.now();
        proxy.silence(true);
        await sleep(silenceMs);
        proxy.silence(false);
        await recovered(running, `silence for ${silenceMs} ms`, from, Date.now());
      },
      { watched: true, rate: () => 150 },
    );
    await program.kill();
    // The COMMITs that were cut after they had reached the server: their senders came to know nothing, and were told so.
    figures['stored of refused'] = report.refusedStored;
    if (report.refusedStored === 0)
      failures.push('no webhook was stored whose sender got a 503: nothing was cut after its COMMIT');
    if (report.unknown > 0) failures.push(`${report.unknown} senders got no answer at all`);
    const others = report.events.filter(({ kind, what }) => kind === 'refused' && what !== '503');
    if (others.length > 0) failures.push(`senders were told ${others[0]?.what}`);
    return together({ figures, failures }, verdictOf(report));
  } finally {
    await proxy.close();
  }
}

type Took = readonly [who: string, ms: number];

/** From `since` until senders, each reader and each consumer got something that came after it; Infinity when they do not. */
async function recovery({ events, watch, ticker }: UnderLoad, since: number): Promise<readonly Took[]> {
  const all = [...(watch?.readers ?? []), ...(watch?.workers ?? [])];
  const first = (ticks: readonly Tick[]) => ticks.find(({ n }) => (ticker?.committed.get(n) ?? 0) >= since)?.at;
  const took = (at: number | undefined) => (at ?? Number.POSITIVE_INFINITY) - since;
  const read = () => all.map(({ name, ticks }): Took => [name, took(first(ticks))]);
  while (read().some(([, ms]) => ms === Number.POSITIVE_INFINITY) && Date.now() < since + RECOVERED_MS + 1_000)
    await sleep(20);
  const acked = await firstAck(events, since, RECOVERED_MS).catch(() => undefined);
  return [...read(), ['senders', took(acked)]];
}
