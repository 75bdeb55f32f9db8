// The faults that tests and soak share: kill the program or its database under load, again and again, and look at what was said.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Audit, audit, judgeAudit } from '../../support/ledger/audit.ts';
import { startForeign, startTicker, type Ticker } from '../../support/ledger/foreign.ts';
import {
  type Event,
  type Load,
  type LoadOptions,
  openLedger,
  readLedger,
  startLoad,
} from '../../support/ledger/load.ts';
import { clock } from '../../support/ledger/readers.ts';
import { type Outage, together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch, type Watch } from '../../support/ledger/watch.ts';
import { BUSY } from '../../support/ledger/workers.ts';
import type { DatabaseServer } from '../../support/servers.ts';
import type { Program, World } from '../../support/world.ts';

const CONNECTIONS = 16;
// A third to a half of what two busy cores can do: the point is what is in flight, not how much.
const PER_SECOND = 1_000;
// Each webhook is then read five times.
const WATCHED_PER_SECOND = 400;
const random = (from: number, to: number) => from + Math.random() * (to - from);

export interface UnderLoad {
  readonly load: Load;
  /** What the ledger holds so far. */
  events(): Event[];
  /** The faults note when somebody was away. */
  readonly outages: Outage[];
  /** Those who read, where anybody does. */
  readonly watch: Watch | undefined;
  /** Rows of another application that tell when they were committed; it is not affected when the service is. */
  readonly ticker: Ticker | undefined;
}

export interface LoadedOptions extends Partial<LoadOptions> {
  /** Lists, a stream and two consumers read all the time, and another application writes: `reading` tells how that went. */
  readonly watched?: boolean;
  /** Without the other application. */
  readonly alone?: boolean;
}

export type Report = Audit & { readonly events: readonly Event[]; readonly reading: Verdict };

/** Runs `work` while a new webhook gets load, then audits it. */
export async function underLoad(
  world: World,
  program: Program,
  work: (running: UnderLoad) => Promise<void>,
  { watched = false, alone = false, ...options }: LoadedOptions = {},
): Promise<Report> {
  const { wh_id, path } = await world.webhook('Under load');
  const watch = watched ? await watchAll(world, program, wh_id) : undefined;
  const ledger = openLedger(join(world.folder, `ledger-${wh_id}`));
  const rate = () => (watched ? WATCHED_PER_SECOND : PER_SECOND);
  const load = startLoad({ url: program.url, paths: [path], connections: CONNECTIONS, ledger, rate, ...options });
  const foreign = watched && !alone && world.server ? startFew(world) : undefined;
  const ticker = foreign ? startTicker(world.connect, world.userId, 0, 50) : undefined;
  const outages: Outage[] = [];
  try {
    await work({ load, events: () => readLedger(ledger.path), outages, watch, ticker });
  } finally {
    await Promise.all([load.stop(), foreign?.stop(), ticker?.stop()]);
    ledger.close();
  }
  const reading = (await watch?.finish({ outages, foreign })) ?? { figures: {}, failures: [] };
  const found = await audit(ledger.path, {
    url: program.url,
    auth: world.auth,
    whids: [wh_id],
    from: watch?.from ?? 0,
  });
  return { ...found, events: readLedger(ledger.path), reading };
}

/** What the ledger and the readers say, as figures and failures. */
export const verdictOf = (report: Report): Verdict => together(judgeAudit(report), report.reading);

const watchAll = (world: World, program: Program, round: number) =>
  startWatch(world, {
    lists: { list: program },
    streams: { stream: program },
    consumers: [
      { name: `first-${round}`, lease_seconds: 3 },
      { name: `second-${round}`, lease_seconds: 3 },
    ],
    programs: [program],
    workersEach: 3,
    behaviour: BUSY,
  });

/** Some rows of another application, whose commits can be read before they are on disk. */
const startFew = ({ connect, userId }: World) =>
  startForeign({
    connect,
    userId,
    whids: [0],
    perSecond: 200,
    longestMs: 500,
    singles: 3,
    batches: 1,
    transactions: 2,
    chasers: 0,
  });

/** kill -9 at a random instant, restarted at once on the same port; answers how long it was away each time, in ms. */
export async function killProgram(
  program: Program,
  { outages }: UnderLoad,
  kills: number,
  told: (line: string) => void,
): Promise<number[]> {
  const away: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(random(200, 700));
    const from = clock();
    await program.kill();
    const dead = clock();
    await program.restart();
    outages.push({ from, dead, to: clock() });
    away.push(clock() - from);
    told(`program killed ${kill} of ${kills}, away for ${away.at(-1)} ms`);
  }
  await sleep(300);
  return away;
}

/** How long the database was away. */
export interface Absence {
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
  { events, outages }: UnderLoad,
  kills: number,
  options: { readonly awayMs: number; meanwhile?(): Promise<void>; told(line: string): void },
): Promise<Absence[]> {
  const absences: Absence[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(random(200, 700));
    const killed = clock();
    await server.kill();
    const from = clock();
    await options.meanwhile?.();
    await sleep(Math.max(0, options.awayMs - (clock() - from)));
    const to = clock();
    await server.start();
    const back = clock();
    const recoveredMs = await firstAck(events, to, 10_000).then((at) => Math.max(0, at - back));
    absences.push({ from, to, recoveredMs });
    outages.push({ from: killed, dead: from, to: back + recoveredMs });
    options.told(`database killed ${kill} of ${kills}, serving ${recoveredMs} ms after it was back`);
  }
  await sleep(300);
  return absences;
}

/** When the first webhook was acked after `since`; throws when there is none within `patienceMs`. */
export async function firstAck(events: () => Event[], since: number, patienceMs: number): Promise<number> {
  for (const deadline = clock() + patienceMs; ; await sleep(50)) {
    const found = events().find((event) => event.kind === 'acked' && event.at >= since);
    if (found) return found.at;
    if (clock() > deadline) throw new Error(`nothing was acked in ${patienceMs} ms, though the database is back`);
  }
}
