// The faults that tests and soak share: kill the program or its database under load, again and again, and look at what was said.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Audit, audit } from './audit.ts';
import { type Event, type Load, type LoadOptions, openLedger, readLedger, startLoad } from './load.ts';
import type { DatabaseServer } from './servers.ts';
import type { Program, World } from './world.ts';

const CONNECTIONS = 16;
// A third to a half of what two busy cores can do: the point is what is in flight, not how much.
const PER_SECOND = 1_000;
const random = (from: number, to: number) => from + Math.random() * (to - from);

export interface UnderLoad {
  readonly load: Load;
  /** What the ledger holds so far. */
  events(): Event[];
}

export type Report = Audit & { readonly events: readonly Event[] };

/** Runs `work` while a new webhook gets load, then audits it. */
export async function underLoad(
  world: World,
  program: Program,
  work: (running: UnderLoad) => Promise<void>,
  options: Partial<LoadOptions> = {},
): Promise<Report> {
  const { wh_id, path } = await world.webhook('Under load');
  const ledger = openLedger(join(world.folder, `ledger-${wh_id}`));
  const rate = () => PER_SECOND;
  const load = startLoad({ url: program.url, paths: [path], connections: CONNECTIONS, ledger, rate, ...options });
  try {
    await work({ load, events: () => readLedger(ledger.path) });
  } finally {
    await load.stop();
    ledger.close();
  }
  const found = await audit(ledger.path, { url: program.url, auth: world.auth, whids: [wh_id] });
  return { ...found, events: readLedger(ledger.path) };
}

/** kill -9 at a random instant, restarted at once on the same port; answers how long it was away each time, in ms. */
export async function killProgram(program: Program, kills: number, told: (line: string) => void): Promise<number[]> {
  const away: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(random(200, 700));
    const began = performance.now();
    await program.restart();
    away.push(Math.round(performance.now() - began));
    told(`program killed ${kill} of ${kills}, away for ${away.at(-1)} ms`);
  }
  await sleep(300);
  return away;
}

export interface Outage {
  /** Everybody knew that the database was gone … */
  readonly from: number;
  /** … until it was told to start again. */
  readonly to: number;
  /** From the moment it answered to the first 2xx. */
  readonly recoveredMs: number;
}

/** kill -9 of the database at a random instant, gone for `awayMs`; `meanwhile` runs while it is away. */
export async function killDatabase(
  server: DatabaseServer,
  { events }: UnderLoad,
  kills: number,
  options: { readonly awayMs: number; meanwhile?(): Promise<void>; told(line: string): void },
): Promise<Outage[]> {
  const outages: Outage[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(random(200, 700));
    await server.kill();
    const from = Date.now();
    await options.meanwhile?.();
    await sleep(Math.max(0, options.awayMs - (Date.now() - from)));
    const to = Date.now();
    await server.start();
    const back = Date.now();
    const recoveredMs = await firstAck(events, to, 10_000).then((at) => Math.max(0, at - back));
    outages.push({ from, to, recoveredMs });
    options.told(`database killed ${kill} of ${kills}, serving ${recoveredMs} ms after it was back`);
  }
  await sleep(300);
  return outages;
}

/** When the first webhook was acked after `since`; throws when there is none within `patienceMs`. */
export async function firstAck(events: () => Event[], since: number, patienceMs: number): Promise<number> {
  for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
    const found = events().find((event) => event.kind === 'acked' && event.at >= since);
    if (found) return found.at;
    if (Date.now() > deadline) throw new Error(`nothing was acked in ${patienceMs} ms, though the database is back`);
  }
}
