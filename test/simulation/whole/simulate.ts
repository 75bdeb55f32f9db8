// One run of the world in which the whole program lives: what a seed decides, who is there, what breaks, and how it has to end.
import { createWorld, type WorldOptions } from '../world.ts';
import { createLedger } from './ledger.ts';
import {
  type Consumer,
  createPost,
  foreign,
  makeConsumers,
  meddle,
  type Outside,
  read,
  releaseAll,
  setSecret,
  settle,
  type Webhook,
  work,
} from './outside.ts';
import { createProgram, type Wrong } from './program.ts';
import { createServer, type ServerOptions } from './server.ts';
import { openStorage } from './storage.ts';
import { enter } from './timers.ts';

/** What a seed decides before anybody acts. */
export interface Weather extends Omit<ServerOptions, 'kind'> {
  readonly kind: ServerOptions['kind'];
  readonly processes: number;
  readonly lengthMs: number;
  readonly users: number;
  readonly senders: number;
  readonly idleMs: number;
  readonly burst: number;
  readonly large: number;
  readonly middle: number;
  readonly quotaMb: number;
  readonly signed: boolean;
  readonly consumers: number;
  readonly workers: number;
  readonly foreign: number;
  readonly pauseMs: number;
  readonly deletes: boolean;
  readonly meddles: boolean;
  readonly retentionDays: 0 | 1;
  readonly pruneForeign: boolean;
  readonly crashes: number;
  readonly kills: number;
  readonly stalls: number;
  readonly hangs: number;
  readonly fullDisks: number;
  /** Of the database's clock. */
  readonly jumps: number;
}

export interface RunOptions extends WorldOptions {
  readonly weather?: Partial<Weather>;
  readonly wrong?: Wrong;
}

// After the faults have ended: connections that hang, leases that are not over, an hour of the chores.
const PATIENCE_MS = 60_000;
const LATEST_MS = 300_000;
const HOUR_MS = 3_600_000;
const JUMPS_MS = [-HOUR_MS, -5_000, 5_000, HOUR_MS, 40 * 24 * HOUR_MS];
// Where the clock jumps by a tenth of the days that contents are kept, retention may follow it.
const FOLLOWED_SHARE = 0.1;

/** For how long all that may stand still in it can delay an answer. */
const slackOf = ({ stalls, hangs, messageMs, flushMs }: Weather): number =>
  3_000 * stalls + 7_000 * hangs + 8 * messageMs + 10 * flushMs;

/** Floods: what is bounded is used up. */
function drawFlood(world: ReturnType<typeof createWorld>): Partial<Weather> {
  const kind = world.random();
  if (kind < 0.01) return { large: 0.5, senders: 5, burst: 8, hangs: 1, users: 1, lengthMs: 600 };
  if (kind < 0.05)
    return { middle: 0.6, quotaMb: 1, users: 1, senders: 3, burst: 8, idleMs: 30, lengthMs: 600, workers: 1 };
  return {};
}

function drawWeather(world: ReturnType<typeof createWorld>): Weather {
  const kind = world.pick(['embedded', 'binlog', 'redo', 'redo'] as const);
  const embedded = kind === 'embedded';
  return {
    kind,
    flushMs: world.pick([1, 20, 60]),
    messageMs: world.pick([2, 40, 300]),
    stallMs: world.pick([1, 50, 500]),
    faults: embedded ? 0 : world.pick([0, 0, 0.02, 0.05]),
    sight: world.chance(0.8),
    processes: world.int(1, 2),
    lengthMs: world.pick([300, 600, 1_200]),
    users: world.int(1, 2),
    senders: world.int(1, 3),
    idleMs: world.pick([30, 120, 400]),
    burst: world.pick([3, 8]),
    large: 0,
    middle: 0,
    quotaMb: 0,
    signed: world.chance(0.5),
    consumers: world.int(1, 2),
    workers: world.int(1, 2),
    foreign: world.pick([0, 1, 2]),
    pauseMs: world.pick([20, 300]),
    deletes: world.chance(0.3),
    meddles: world.chance(0.3),
    retentionDays: world.pick([0, 1]),
    pruneForeign: world.chance(0.5),
    crashes: embedded ? 0 : world.pick([0, 0, 1, 2]),
    kills: world.pick([0, 0, 1, 2]),
    stalls: world.pick([0, 0, 1]),
    hangs: world.pick([0, 0, 0, 1]),
    fullDisks: world.pick([0, 0, 0, 1]),
    jumps: world.pick([0, 0, 0, 1, 2]),
  };
}

/** Rejects with what was violated. */
export async function simulateProgram(
  seed: number,
  { trace, weather: given, wrong = {} }: RunOptions = {},
): Promise<void> {
  const world = createWorld(seed, { trace });
  const weather: Weather = { ...drawWeather(world), ...drawFlood(world), ...given };
  world.note(() => JSON.stringify(weather));
  const storage = openStorage();
  // What the programs count each for themselves, and not while the database is away, holds where nothing goes wrong.
  const counted =
    weather.quotaMb > 0 &&
    weather.processes === 1 &&
    weather.kills + weather.crashes + weather.hangs + weather.faults === 0;
  const ledger = createLedger(world, {
    ...weather,
    ageSlackMs: weather.jumps > 0 ? weather.retentionDays * FOLLOWED_SHARE * 24 * HOUR_MS : 0,
    quotaBytes: counted ? weather.quotaMb * 1_000_000 : undefined,
  });
  const server = createServer(world, storage, weather, ledger.watcher);
  ledger.watch(server);

  const webhooks: Webhook[] = [];
  for (let user = 1; user <= weather.users; user++)
    for (let n = 1; n <= 3; n++)
      if (n < 3 || weather.signed)
        webhooks.push({ id: 10 * user + n, user, path: `/in/key${user}${n}`, signed: n === 3 });
  const consumers = Array.from({ length: weather.users * weather.consumers }, (_, i): Consumer => {
    const user = 1 + (i % weather.users);
    return {
      user,
      name: `c${i}`,
      whids: world.chance(0.6) ? null : [10 * user + 1],
      ordered: world.chance(0.3),
      lease_seconds: world.pick([0.2, 0.5, 1]),
      max_attempts: world.pick([2, 5]),
    };
  });
  settle({ world, server, ledger }, storage, webhooks, weather.retentionDays > 0);

  // A server that was up for long, and a program that begins when everybody is there already.
  const leave = enter(world, () => server.trueTime());
  try {
    let calm = false;
    const settings: Record<string, string> = {
      RETENTION_DAYS: String(weather.retentionDays),
      PRUNE_FOREIGN: weather.pruneForeign ? '1' : '0',
      ...(weather.quotaMb > 0 ? { QUOTA_MB_PER_USER: String(weather.quotaMb) } : {}),
    };
    const programs = Array.from({ length: weather.processes }, (_, i) =>
      createProgram(world, server, {
        name: `p${i + 1}`,
        settings,
        messageMs: weather.messageMs,
        wrong,
      }),
    );
    const outside: Outside = { world, server, ledger, programs, calm: () => calm };
    const { lengthMs: until } = weather;
    let busy = 0;
    const during = (life: () => Promise<void>) => {
      busy++;
      world.spawn(async () => {
        await life();
        busy--;
      });
    };

    const post = createPost(outside, slackOf(weather));
    for (let i = 0; i < weather.senders; i++) during(() => post.run({ ...weather, webhooks, until }));
    let letters = 0;
    for (let i = 0; i < weather.foreign; i++)
      during(() => foreign(outside, { ...weather, webhooks, until }, () => ++letters));
    for (const webhook of webhooks.filter(({ signed }) => signed))
      during(async () => {
        await world.sleep(world.random() * until);
        await setSecret(outside, webhook);
        while (world.now() < until && world.chance(0.5)) {
          await world.sleep(world.random() * 300);
          await releaseAll(outside, webhook);
        }
      });
    const readers = Array.from({ length: weather.users }, (_, i) => read(outside, i + 1));
    during(async () => {
      await makeConsumers(outside, consumers);
      for (const consumer of consumers)
        for (let i = 0; i < weather.workers; i++) world.spawn(() => work(outside, consumer));
      if (weather.meddles) during(() => meddle(outside, consumers, weather.deletes));
    });

    const sometimes = (times: number, act: () => unknown) => {
      for (let i = 0; i < times; i++)
        during(async () => {
          await world.sleep(world.random() * until);
          await act();
        });
    };
    sometimes(weather.crashes, () => server.crash(world.pick([5, 100, 700, 3_000])));
    sometimes(weather.kills, () => world.pick(programs).kill(world.pick([10, 300, 1_000])));
    sometimes(weather.stalls, () => world.pick(programs).stall(world.random() ** 2 * 2_500));
    sometimes(weather.hangs, () => server.hang(world.pick([100, 1_000, 6_000])));
    sometimes(weather.fullDisks, async () => {
      server.diskFull = true;
      world.note(() => 'the disk is full');
      await world.sleep(world.pick([100, 500, 1_500]));
      server.diskFull = false;
    });
    sometimes(weather.jumps, () => server.jump(world.pick(JUMPS_MS)));

    world.spawn(async () => {
      await world.sleep(until);
      calm = true;
      server.calm();
      world.note(() => 'the faults have ended, and everybody does his best');
      const since = world.now();
      // Where nothing is wrong any more, one is taken: a program that refuses them all keeps each of its promises.
      if (weather.quotaMb === 0) during(() => post.last(world.pick(webhooks.filter(({ signed }) => !signed))));
      const left = (): string => {
        if (busy > 0 || post.underWay > 0) return `${busy} are still busy, ${post.underWay} requests have no answer`;
        const late = readers.findIndex((one) => one.missing().length > 0);
        if (late >= 0) return `the reader of ${late + 1} never got ${readers[late]?.missing().join(' ')}`;
        return ledger.unfinished();
      };
      await world.sleep(100);
      while (left() !== '' && world.now() - since < PATIENCE_MS) await world.sleep(100);
      const why = left();
      if (why !== '') world.violation(why);
      world.finish();
    });
    await world.run(LATEST_MS);
  } finally {
    leave();
    server.close();
  }
}
