// The rules of leases under thousands of random histories, in memory and on the real statements; and hostile lease strings.
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeLease, encodeLease, type Lease } from '../../src/consumers/lease-token.ts';
import { ack, claim, extend, giveBack, nack } from '../../src/consumers/leases.ts';
import { redeliver, reviveDead, seek } from '../../src/consumers/seek.ts';
import type { ConsumerRow, Locked } from '../../src/store/consumers.ts';
import { type Change, type LeaseRows, leaseRows } from '../../src/store/leases.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { type Database, migratedDatabase, onEveryEngine } from '../support/engines.ts';
import { type FakePosition, fakeRows, fakeTables } from './rows-in-memory.ts';

/** Where a history takes place. */
interface World {
  /** What positions begin at, so that worlds in one database do not meet. */
  readonly base: number;
  readonly consumer: ConsumerRow;
  place(rows: readonly FakePosition[]): Promise<void>;
  change<T>(consumer: ConsumerRow, work: (rows: LeaseRows) => Promise<T>): Promise<T>;
  leases(): Promise<{ pos: number; token: number; due_ms: number; attempt: number; waiting: boolean }[]>;
  dead(): Promise<number[]>;
}

/** mulberry32: the same history for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const start = (
  id: number,
  ordered: boolean,
  max_attempts: number,
  whids: number[] | null,
  base: number,
): ConsumerRow => ({
  id,
  user_id: id,
  name: 'w',
  whids,
  lease_seconds: 30,
  max_attempts,
  ordered,
  duplicates: 'deliver',
  start_pos: base,
  cursor_pos: base,
  cursor_id: 0,
  next_due_ms: 0,
  dead: 0,
  gap: null,
  pulled_ms: 0,
  version: 1,
  created_ms: 0,
});

/** What must have become of a content, from what the calls answered. */
type Fate = { kind: 'ahead' | 'acked' | 'dead' | 'back' } | { kind: 'out'; token: number; due: number };

/** One random history. Throws when a rule is broken; resolves with how many contents were handed out. */
async function live(world: World, seed: number): Promise<number> {
  const random = randomOf(seed);
  const { base } = world;
  let { consumer } = world;
  const { ordered, max_attempts, whids } = consumer;
  const stored: FakePosition[] = [];
  const fates = new Map<number, Fate>();
  /** Hand-outs that a worker failed at, since it was handed out afresh. */
  const failures = new Map<number, number>();
  const failed = (pos: number) => failures.set(pos, (failures.get(pos) ?? 0) + 1);
  const leases: Lease[] = [];
  let now = 1_000_000;
  let tokens = 100;
  let handedOut = 0;
  const head = () => base + stored.length;
  const locked = (): Locked => ({ consumer, now, head: stored.length === 0 ? 0 : head() });
  const rule = (good: boolean, text: string) => {
    if (!good) throw new Error(`seed ${seed}: ${text}`);
  };
  const posOf = (id: number) => stored.find((row) => row.id === id)?.pos ?? -1;
  const run = async <T>(work: (rows: LeaseRows, locked: Locked) => Promise<Change<T>>): Promise<T> => {
    const { consumer: next, result } = await world.change(consumer, (rows) => work(rows, locked()));
    consumer = next;
    return result;
  };

  async function check(): Promise<void> {
    const rows = new Map((await world.leases()).map((row) => [row.pos, row]));
    const dead = new Set(await world.dead());
    rule(consumer.dead === dead.size, `counts ${consumer.dead} dead letters, has ${dead.size}`);
    for (const row of rows.values()) {
      rule(consumer.next_due_ms > 0, `nothing is due, but ${row.pos} is out`);
      rule(ordered || consumer.next_due_ms <= row.due_ms, `${row.pos} is due before next_due_ms`);
      rule(!dead.has(row.pos), `${row.pos} is out and dead`);
    }
    for (const [pos, fate] of fates) {
      const row = rows.get(pos);
      const is = dead.has(pos)
        ? 'dead'
        : row
          ? row.waiting
            ? 'back'
            : 'out'
          : pos > consumer.cursor_pos
            ? 'ahead'
            : 'acked';
      rule(is === fate.kind, `${pos} is ${is}, should be ${fate.kind}`);
      if (fate.kind === 'out') rule(row?.token === fate.token && row.due_ms === fate.due, `${pos} has another lease`);
    }
  }

  async function take(limit: number, leaseMs: number): Promise<void> {
    const token = ++tokens;
    const before = new Map(fates);
    const held = (fate: Fate | undefined, one = token) => fate?.kind === 'out' && fate.due > now && fate.token !== one;
    const { handed, due, emptyUpTo } = await run((rows, one) => claim(rows, one, { limit, leaseMs, token }));
    rule(handed.length <= limit, 'more than asked for');
    // What was due with all its attempts behind it is a dead letter now.
    const buried = (await world.dead()).filter((pos) => fates.get(pos)?.kind !== 'dead');
    for (const pos of buried) fates.set(pos, { kind: 'dead' });
    // In order, only the first of a lease that has ended has failed.
    const ended = [...buried, ...handed.map(({ pos }) => pos)].filter((pos) => before.get(pos)?.kind === 'out');
    for (const pos of ended.sort((a, b) => a - b).slice(0, ordered ? 1 : undefined)) failed(pos);
    for (const pos of buried) rule((failures.get(pos) ?? 0) >= max_attempts, `${pos} is buried too early`);
    if (ordered && handed.length > 0) rule(![...before.values()].some((fate) => held(fate)), 'two leases at once');
    let last = 0;
    for (const { pos, attempt } of handed) {
      const fate = before.get(pos);
      rule(
        fate?.kind === 'ahead' || fate?.kind === 'back' || (fate?.kind === 'out' && fate.due <= now),
        `${pos} was ${fate?.kind}`,
      );
      rule(
        attempt === (failures.get(pos) ?? 0) + 1,
        `attempt ${attempt} of ${pos} after ${failures.get(pos)} failures`,
      );
      rule(attempt <= max_attempts, `attempt ${attempt} of ${max_attempts}`);
      rule(!ordered || pos > last, 'out of order');
      last = pos;
      fates.set(pos, { kind: 'out', token, due });
    }
    handedOut += handed.length;
    if (ordered && handed.length > 0)
      for (const [pos, fate] of fates)
        rule(
          fate.kind === 'acked' || fate.kind === 'dead' || pos > last || (fate.kind === 'out' && fate.token === token),
          `${pos} is ${fate.kind}, but ${last} was handed out`,
        );
    if (emptyUpTo >= 0) {
      // And will be, until something is due.
      const later = now;
      now += random(consumer.next_due_ms === 0 ? 5_000 : Math.max(1, consumer.next_due_ms - now));
      const again = await run((rows, one) => claim(rows, one, { limit: 50, leaseMs, token: ++tokens }));
      rule(again.handed.length === 0, `said to be empty up to ${emptyUpTo}, but has ${again.handed.length}`);
      now = later;
    } else rule(handed.length === limit, 'stopped for no reason');
    if (handed.length === 0) return;
    // Some answers are too small for all: the rest is given back, as if it had not been handed out.
    const kept = random(4) === 0 ? 1 + random(handed.length) : handed.length;
    const surplus = handed.slice(kept);
    await run((rows, one) =>
      giveBack(
        rows,
        one,
        token,
        surplus.map(({ pos }) => pos),
      ),
    );
    for (const { pos } of surplus) fates.set(pos, { kind: 'back' });
    const text = encodeLease({ consumerId: consumer.id, token, positions: handed.slice(0, kept) });
    leases.push(decodeLease(text) as Lease);
  }

  /** A lease of the past and some ids: mostly of the lease, sometimes not. */
  function some(): { lease: Lease; ids: number[] | undefined } | undefined {
    const lease = leases[Math.max(0, leases.length - 1 - random(4))];
    if (!lease || random(3) === 0) return lease && { lease, ids: undefined };
    const ids = lease.positions.filter(() => random(2) === 0).map(({ id }) => id);
    if (random(5) === 0 && stored.length > 0) ids.push((stored[random(stored.length)] as FakePosition).id);
    return ids.length === 0 ? undefined : { lease, ids };
  }

  async function finish(verb: 'ack' | 'nack' | 'dead' | 'extend'): Promise<void> {
    const chosen = some();
    if (!chosen) return;
    const { lease, ids } = chosen;
    const delayMs = random(2) * 500;
    const how = { delayMs, dead: verb === 'dead', reason: random(2) === 0 ? 'because' : null };
    const { done, conflicts } = await run<{
      done: readonly number[];
      conflicts: readonly { id: number; reason: string }[];
    }>((rows, one) =>
      verb === 'ack'
        ? ack(rows, one, lease, ids)
        : verb === 'extend'
          ? extend(rows, one, lease, ids, 2_000)
          : nack(rows, one, lease, ids, how),
    );
    const asked = new Set(ids ?? lease.positions.map(({ id }) => id));
    rule(done.length + conflicts.length === asked.size, 'an id has no answer');
    const leased = await world.leases();
    const tokens = new Map(leased.map((row) => [row.pos, row.token]));
    const held = [...asked].map(posOf).filter((pos) => {
      const fate = fates.get(pos);
      return fate?.kind === 'out' && fate.token === lease.token;
    });
    for (const id of done) {
      const pos = posOf(id);
      const fate = fates.get(pos) as Fate;
      const mine = (fate.kind === 'out' && fate.token === lease.token) || fate.kind === 'back';
      rule(mine || fate.kind === 'acked', `${verb} of ${pos} succeeds, though it is ${fate.kind}`);
      if (fate.kind === 'acked') continue;
      if (verb === 'ack') fates.set(pos, { kind: 'acked' });
      if (verb === 'extend') fates.set(pos, { kind: 'out', token: lease.token, due: now + 2_000 });
      if (verb === 'dead') fates.set(pos, { kind: 'dead' });
      if (verb !== 'nack' || !held.includes(pos)) continue;
      if (!ordered || pos === Math.min(...held)) failed(pos);
      const buried = !tokens.has(pos);
      rule(buried === (failures.get(pos) ?? 0) >= max_attempts, `${pos} is ${buried ? '' : 'not '}buried`);
      fates.set(pos, { kind: buried ? 'dead' : 'back' });
    }
    for (const { id } of conflicts) {
      const fate = fates.get(posOf(id));
      const held = fate?.kind === 'out' && fate.token === lease.token && lease.positions.some((one) => one.id === id);
      rule(!held, `${verb} of ${id} is refused, though it is in hand`);
    }
    // In order, all behind the first of them come back too.
    const first = Math.min(...held);
    if (verb === 'nack' && ordered)
      for (const [pos, fate] of fates)
        if (fate.kind === 'out' && fate.token === lease.token && pos > first) fates.set(pos, { kind: 'back' });
  }

  async function move(): Promise<void> {
    if (random(2) === 0 && stored.length > 0) {
      const ids = [1, 2, 3].map(() => (stored[random(stored.length)] as FakePosition).id);
      const { done } = await run((rows, one) => redeliver(rows, one, ids));
      for (const pos of done.map(posOf).filter((one) => one <= consumer.cursor_pos)) {
        fates.set(pos, { kind: 'back' });
        failures.delete(pos);
      }
      return;
    }
    if (random(3) > 0) {
      const { done } = await run((rows, one) => reviveDead(rows, one, undefined, 2));
      for (const pos of done.map(posOf)) {
        fates.set(pos, { kind: 'back' });
        failures.delete(pos);
      }
      return;
    }
    const pos = base + random(stored.length + 1);
    await run((rows, one) => seek(rows, one, { pos, id: 0 }));
    const dead = new Set(await world.dead());
    failures.clear();
    for (const one of fates.keys()) fates.set(one, { kind: dead.has(one) ? 'dead' : one > pos ? 'ahead' : 'acked' });
  }

  async function grow(): Promise<void> {
    const rows = Array.from({ length: 1 + random(6) }, (_, i) => ({
      pos: head() + 1 + i,
      // Late ones have lower ids than those before them.
      id: base + 100 + 10 * (stored.length + i) - random(8) * 10 + ((stored.length + i) % 10),
      wh_id: random(3),
    })).filter((row, i, all) => ![...stored, ...all.slice(0, i)].some(({ id }) => id === row.id));
    const dense = rows.map((row, i) => ({ ...row, pos: head() + 1 + i }));
    await world.place(dense);
    stored.push(...dense);
    for (const { pos, wh_id } of dense) if (!whids || whids.includes(wh_id)) fates.set(pos, { kind: 'ahead' });
  }

  for (let step = 0; step < 60; step++) {
    const dice = random(100);
    if (dice < 15) await grow();
    else if (dice < 45) await take(1 + random(6), [300, 1_000][random(2)] as number);
    else if (dice < 65) await finish('ack');
    else if (dice < 75) await finish('nack');
    else if (dice < 78) await finish('dead');
    else if (dice < 84) await finish('extend');
    else if (dice < 94) now += random(700);
    else await move();
    await check();
  }
  // A diligent worker comes to an end: nothing is lost, nothing is stuck.
  for (let round = 0; round < 500; round++) {
    now += 3_000;
    const count = leases.length;
    await take(5, 1_000);
    if (leases.length === count) break;
    const { positions, token } = leases.at(-1) as Lease;
    const { conflicts } = await run((rows, one) => ack(rows, one, { consumerId: consumer.id, token, positions }));
    rule(conflicts.length === 0, 'the last worker cannot ack');
    for (const { pos } of positions) fates.set(pos, { kind: 'acked' });
    await check();
  }
  for (const [pos, { kind }] of fates) rule(kind === 'acked' || kind === 'dead', `${pos} is left ${kind}`);
  return handedOut;
}

const shapeOf = (seed: number, id: number, base: number) =>
  start(id, seed % 2 === 0, 1 + (seed % 4), seed % 3 === 0 ? [0, 2] : null, base);

test('thousands of histories break no rule', async () => {
  let handedOut = 0;
  for (let seed = 1; seed <= 2_000; seed++) {
    const tables = fakeTables();
    handedOut += await live(
      {
        base: 0,
        consumer: shapeOf(seed, 1, 0),
        place: async (rows) => void tables.positions.push(...rows),
        change: (consumer, work) => work(fakeRows(tables, consumer)),
        leases: async () => [...tables.leases.values()],
        dead: async () => [...tables.dead.keys()],
      },
      seed,
    );
  }
  expect(handedOut).toBeGreaterThan(20_000);
});

onEveryEngine('leases on real statements', (engine) => {
  let database: Database;
  let store: Store;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    store = await openStore(database.url);
  });
  afterAll(async () => {
    await store?.close();
    await database?.drop();
  });

  test('the real statements behave as the rows in memory', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const base = seed * 100_000;
      const consumer = shapeOf(seed, seed, base);
      await live(
        {
          base,
          consumer,
          place: (rows) =>
            store.db.insert(
              'restante_position',
              ['pos', 'id', 'user_id', 'wh_id', 'seen_ms'],
              rows.map(({ pos, id, wh_id }) => [pos, id, consumer.user_id, wh_id, 1]),
            ),
          change: (of, work) => store.db.transaction((queries) => work(leaseRows(queries, of))),
          leases: async () =>
            (
              await store.db.all<{ pos: number; token: number; due_ms: number; attempt: number; waiting: number }>(
                'SELECT pos, token, due_ms, attempt, waiting FROM restante_lease WHERE consumer_id = ?',
                [consumer.id],
              )
            ).map((row) => ({ ...row, waiting: row.waiting !== 0 })),
          dead: async () =>
            (
              await store.db.all<{ pos: number }>('SELECT pos FROM restante_dead WHERE consumer_id = ?', [consumer.id])
            ).map(({ pos }) => pos),
        },
        seed,
      );
    }
  });
});

describe('lease strings', () => {
  const place = fc.record({
    pos: fc.integer({ min: 1, max: 2 ** 45 }),
    id: fc.integer({ min: 0, max: 4_294_967_295 }),
  });
  const leases = fc
    .record({
      consumerId: fc.integer({ min: 1, max: 4_294_967_295 }),
      token: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      positions: fc.uniqueArray(place, { minLength: 1, maxLength: 500, selector: ({ pos }) => pos }),
    })
    .map((lease) => ({ ...lease, positions: lease.positions.sort((a, b) => a.pos - b.pos) }));

  test('come back as they went, and no other text is the same lease', async () => {
    await fc.assert(
      fc.property(leases, fc.nat(), fc.nat(255), (lease, at, byte) => {
        const text = encodeLease(lease);
        expect(decodeLease(text)).toEqual(lease);
        expect(text.length).toBeLessThanOrEqual(16_384);
        const bytes = Buffer.from(text, 'base64url');
        expect(decodeLease(bytes.subarray(0, at % bytes.length).toString('base64url'))).toBeUndefined();
        bytes[at % bytes.length] = byte;
        const changed = bytes.toString('base64url');
        if (changed !== text) expect(decodeLease(changed)).not.toEqual(lease);
      }),
      { numRuns: 300 },
    );
  });

  test('of 500 contents are short when they stand side by side', () => {
    const positions = Array.from({ length: 500 }, (_, i) => ({ pos: 9_000_000_000 + i, id: 4_000_000_000 + i }));
    expect(encodeLease({ consumerId: 7, token: 2 ** 48 - 1, positions }).length).toBeLessThan(1_400);
  });

  test('that are hostile are no lease, and nothing worse', async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from([1, ...bytes]).toString('base64url')),
      fc.constantFrom(
        '',
        'AQ',
        'AQAAAA',
        'AQEBAQEB',
        `AQH${'_'.repeat(60)}`,
        'A'.repeat(20_000),
        'AQGc2uXVuvQqAgE2AQI=',
      ),
    );
    await fc.assert(
      fc.property(text, (hostile) => {
        const lease = decodeLease(hostile);
        if (!lease) return;
        expect(encodeLease(lease)).toBe(hostile);
        for (const { pos, id } of lease.positions)
          expect(Number.isSafeInteger(pos) && Number.isSafeInteger(id)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
