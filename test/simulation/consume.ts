// One run of the world in which workers of several consumers pull, ack, fail, oversleep and die.

import type { Lease } from '../../src/consumers/lease-token.ts';
import { ack, claim, type Done, extend, giveBack, nack } from '../../src/consumers/leases.ts';
import { redeliver, reviveDead, seek } from '../../src/consumers/seek.ts';
import type { Position } from '../../src/store/backlog.ts';
import type { ConsumerRow } from '../../src/store/consumers.ts';
import type { Change, LeaseRows } from '../../src/store/leases.ts';
import { type Process, survive } from './actors.ts';
import { createLeases, type Leases } from './leases.ts';
import { createPositions, type Positions } from './positions.ts';
import { drawWeather, type RunOptions, settle, type Weather } from './weather.ts';
import { createWorld, type World } from './world.ts';

const PATIENCE_MS = 30_000;

/** Leases are what this is about: contents come as they come, and have their positions at once. */
function drawConsumers(world: World): { weather: Weather; consumers: ConsumerRow[] } {
  const drawn = drawWeather(world);
  const consumers = Array.from(
    { length: world.int(1, 2) },
    (_, i): ConsumerRow => ({
      id: i + 1,
      user_id: 1,
      name: `c${i + 1}`,
      whids: world.chance(0.6) ? null : [1],
      lease_seconds: world.pick([0.1, 0.4, 1]),
      max_attempts: world.pick([1, 2, 5]),
      ordered: world.chance(0.4),
      duplicates: 'deliver',
      start_pos: 0,
      cursor_pos: 0,
      cursor_id: 0,
      next_due_ms: 0,
      dead: 0,
      gap: null,
      pulled_ms: 0,
      version: 1,
      created_ms: 0,
    }),
  );
  const weather: Weather = {
    ...drawn,
    writers: 1,
    rows: world.pick([1, 3]),
    crashes: Math.min(drawn.crashes, 3),
    stallMs: 5,
    pauseMs: 50,
    idleMs: world.pick([20, 60]),
    slowestMs: Math.min(drawn.slowestMs, 60),
    ownWriter: false,
    lengthMs: 1_000,
    lullMs: 0,
  };
  return { weather, consumers };
}

interface Handed extends Position {
  readonly user_id: number;
}

/** What the workers of one consumer have been told. */
interface Known {
  /** Acked for good: the content, and in which turn of the consumer. */
  readonly acked: Map<number, { readonly user_id: number; readonly turn: number }>;
  /** The turn in which contents were last called for again. */
  recalled: number;
}

/** Rejects with what was violated. */
export async function simulateConsumers(seed: number, options: RunOptions = {}): Promise<void> {
  const world = createWorld(seed, options);
  const { weather: drawn, consumers } = drawConsumers(world);
  const weather = { ...drawn, ...options.weather };
  let positions: Positions | undefined;
  let leases: Leases | undefined;
  let calm = false;
  let tokens = 0;
  let turns = 0;
  const knowledge = new Map<number, Known>(consumers.map(({ id }) => [id, { acked: new Map(), recalled: 0 }]));

  const setting = settle(world, { weather, flaws: options.flaws }, ({ db, contents }, process) => {
    if (!positions || !leases) {
      positions = createPositions(world, db, contents);
      leases = createLeases(world, db, positions, options.flaws);
      for (const consumer of consumers) leases.consumers.rows.set(consumer.id, consumer);
    }
    const order = positions;
    world.spawn(async () => {
      while (process.alive) {
        await world.sleep(20 + world.random() * 100);
        const rows = await order.unplaced(process, Number.POSITIVE_INFINITY).catch(() => []);
        if (rows.length > 0) await survive(order.source(process).assign(rows));
      }
    });
    for (const { id } of consumers) for (let i = weather.processes; i < 3; i++) world.spawn(() => work(process, id));
    if (world.chance(0.5)) world.spawn(() => meddle(process));
  });
  const { db, contents, watch, quiet } = setting;
  const book = leases as unknown as Leases;
  // With a log that is flushed late, nothing is certain before it is.
  const certain = weather.durability !== 'lazy';

  async function pull(process: Process, id: number): Promise<{ lease: Lease; handed: Handed[] } | undefined> {
    const token = ++tokens;
    const limit = world.pick([1, 3, 10]);
    let turn = 0;
    const { claimed, consumer } = await book.change(process, id, async (rows, locked) => {
      turn = ++turns;
      const change = await claim(rows, locked, { limit, leaseMs: locked.consumer.lease_seconds * 1_000, token });
      const { emptyUpTo, handed } = change.result;
      if (options.flaws?.handedOutEarly)
        for (const one of handed) {
          const row = contents.table.rows.get(one.id);
          if (row) watch.handedOut(`consumer ${id}`, row);
          if (row) contents.show([row]);
        }
      if (handed.length > limit) world.violation(`consumer ${id} was given ${handed.length} of ${limit}`);
      if (emptyUpTo >= 0 && Number.isFinite(emptyUpTo)) {
        const due = await rows.due(locked.now, 1);
        const more = (await rows.fresh(locked.head, 100)).positions.filter(({ pos }) => pos <= emptyUpTo);
        const left = more.filter(({ pos }) => !handed.some((one) => one.pos === pos));
        if (due.length + left.length > 0)
          world.violation(`consumer ${id} was told that nothing is left up to ${emptyUpTo}`);
      }
      if (locked.consumer.ordered) {
        const last = handed.at(-1)?.pos ?? 0;
        const skipped = (await rows.lowest(0, 1_000)).find(
          ({ pos }) => pos < last && !handed.some((one) => one.pos === pos),
        );
        if (skipped) world.violation(`consumer ${id} was given ${last} before ${skipped.pos} was done`);
        if (handed.some(({ pos }, i) => pos <= (handed[i - 1]?.pos ?? 0)))
          world.violation(`consumer ${id}: out of order`);
      }
      return { ...change, result: { claimed: change.result, consumer: locked.consumer } };
    });
    const positions = claimed.handed.map(({ pos, id: content }) => ({ pos, id: content }));
    if (positions.length === 0) return undefined;
    const known = knowledge.get(id) as Known;
    const found = await db.ask(process.delay, () =>
      positions.map((one) => ({ ...one, content: contents.table.rows.get(one.id) })),
    );
    const handed: Handed[] = [];
    for (const { pos, id: content, content: row } of found) {
      if (!row) continue;
      handed.push({ pos, id: content, user_id: row.user_id });
      if (!certain) continue;
      watch.handedOut(`consumer ${id}`, row);
      const before = known.acked.get(pos);
      if (before?.user_id === row.user_id && before.turn > known.recalled && before.turn < turn)
        world.violation(`consumer ${id} was given ${pos} again after its ack`);
    }
    for (const { pos, attempt } of claimed.handed)
      if (attempt < 1 || attempt > consumer.max_attempts)
        world.violation(`${pos} is handed out for the ${attempt}th time`);
    world.note(() => `consumer ${id} hands out ${positions.map(({ pos }) => pos).join(' ')} as ${token}`);
    // A content that was deleted is closed; what does not fit, the last ones, is given back.
    const gone = found.filter(({ content }) => !content).map(({ pos }) => pos);
    const kept = world.chance(0.8) ? handed : handed.slice(0, Math.ceil(handed.length / 2));
    const surplus = handed.filter((one) => !kept.includes(one)).map(({ pos }) => pos);
    if (gone.length + surplus.length > 0)
      await survive(
        book.change(process, id, async (rows, locked) => {
          const removed = gone.length > 0 ? await rows.remove(token, gone) : 0;
          const given = await giveBack(rows, locked, token, surplus);
          return removed > 0 ? { ...given, consumer: { ...given.consumer } } : given;
        }),
      );
    return {
      lease: { consumerId: id, token, positions: kept.map(({ pos, id: content }) => ({ pos, id: content })) },
      handed: kept,
    };
  }

  /** Runs a change that names contents of a lease: it counts for those that the lease has, and touches no others. */
  async function judged<T extends Done>(
    rows: LeaseRows,
    lease: Lease,
    ids: readonly number[] | undefined,
    ends: boolean,
    work: () => Promise<Change<T>>,
  ): Promise<Change<T>> {
    const before = await rows.lowest(0, 1_000);
    const change = await work();
    const after = new Map((await rows.lowest(0, 1_000)).map((row) => [row.pos, row]));
    for (const row of before) {
      const named = lease.positions.some(({ pos, id }) => pos === row.pos && (!ids || ids.includes(id)));
      const done = change.result.done.includes(row.id);
      const now = after.get(row.pos);
      if (!named && ends && !now) world.violation(`${lease.token} does not name ${row.pos}, and it is acked`);
      if (!named) continue;
      if (row.token !== lease.token && (done || now?.due_ms !== row.due_ms || now.token !== row.token))
        world.violation(`${row.token} has ${row.pos}, and what ${lease.token} said counted`);
      if (row.token === lease.token && ends && (!done || now)) world.violation(`the ack of ${row.pos} did not count`);
    }
    return change;
  }

  async function ackOf(
    process: Process,
    id: number,
    { lease, handed }: { lease: Lease; handed: Handed[] },
    ids?: number[],
  ) {
    const known = knowledge.get(id) as Known;
    let turn = 0;
    const { done } = await book.change(process, id, async (rows, locked) => {
      turn = ++turns;
      return judged(rows, lease, ids, true, () => ack(rows, locked, lease, ids));
    });
    world.note(() => `ack by ${lease.token} of consumer ${id}: ${done.join(' ')}`);
    for (const { pos, id: content, user_id } of handed)
      if (done.includes(content)) known.acked.set(pos, { user_id, turn });
  }

  async function work(process: Process, id: number): Promise<void> {
    let idleMs = 20;
    while (process.alive) {
      await world.sleep(world.random() * idleMs);
      idleMs = 200;
      await survive(
        (async () => {
          const got = await pull(process, id);
          if (!got || got.lease.positions.length === 0) return;
          idleMs = 20;
          const leaseMs = (consumers.find((one) => one.id === id)?.lease_seconds ?? 1) * 1_000;
          const mood = calm ? 0 : world.random();
          await world.sleep(mood > 0.85 ? leaseMs * world.random() * 2 : world.random() * Math.min(30, leaseMs / 4));
          const some = got.lease.positions.filter(() => world.chance(0.5)).map(({ id }) => id);
          if (mood < 0.4 || mood > 0.85) await ackOf(process, id, got);
          else if (mood < 0.55) await ackOf(process, id, got, some);
          else if (mood < 0.7)
            await book.change(process, id, (rows, locked) => {
              const ids = world.chance(0.5) ? some : undefined;
              const how = { delayMs: world.int(0, 200), dead: world.chance(0.2), reason: null };
              return judged(rows, got.lease, ids, false, () => nack(rows, locked, got.lease, ids, how));
            });
          else if (mood < 0.78) {
            await book.change(process, id, (rows, locked) =>
              judged(rows, got.lease, undefined, false, () => extend(rows, locked, got.lease, undefined, leaseMs)),
            );
            await world.sleep(leaseMs * world.random());
            await ackOf(process, id, got);
          }
          // What is left: the worker died.
        })(),
      );
    }
  }

  /** Somebody at the consumers' own calls: dead letters again, contents again, another position. */
  async function meddle(process: Process): Promise<void> {
    while (process.alive && !calm) {
      await world.sleep(world.random() * 800);
      if (calm) return;
      const { id } = world.pick(consumers);
      const known = knowledge.get(id) as Known;
      await survive(
        book.change<unknown>(process, id, async (rows, locked) => {
          // Whatever comes of it: these may be handed out again.
          const chosen = contents
            .visible(0)
            .filter(() => world.chance(0.1))
            .map((content) => content.id);
          const kind = world.random();
          if (kind < 0.4) return reviveDead(rows, locked, world.chance(0.5) ? undefined : chosen, 5);
          known.recalled = ++turns;
          if (kind < 0.8) return redeliver(rows, locked, chosen);
          const pos = world.int(0, locked.head);
          return seek(rows, locked, { pos, id: 0 });
        }),
      );
    }
  }

  world.spawn(async () => {
    await quiet;
    calm = true;
    world.note(() => 'all writers have ended, all workers do their best');
    const since = world.now();
    const unfinished = () => consumers.flatMap(({ id }) => book.unfinished(book.consumers.rows.get(id) as ConsumerRow));
    await world.sleep(200);
    while (unfinished().length > 0 && world.now() - since < PATIENCE_MS) await world.sleep(100);
    const left = unfinished();
    if (left.length > 0) world.violation(`${left.join(' ')} never came to an end`);
    world.finish();
  });
  await world.run(120_000);
}
