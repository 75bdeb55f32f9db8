// Waiting costs nothing, ends in time, and wakes the right one: parked pulls, idle pulls, other processes.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConsumers } from '../../src/consumers/consumers.ts';
import { createOwnWrites } from '../../src/reading/lists.ts';
import { insertContents } from '../../src/store/contents.ts';
import type { Db, Queries } from '../../src/store/db.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { assignPositions, type PositionedRow } from '../../src/store/positions.ts';
import { rotateToken } from '../../src/store/users.ts';
import { type Database, migratedDatabase, onEveryEngine, startService } from '../support/engines.ts';
import { type Desk, deskOf, openDesk, placed } from './calls.ts';

const idsOf = (pulled: { items: { id: number }[] }) => pulled.items.map(({ id }) => id);

/** A store that keeps account of the statements it is asked to run, and of its transactions. */
function counting(store: Store): { store: Store; asked: string[] } {
  const asked: string[] = [];
  const noting = <Q extends Queries>(queries: Q): Q => ({
    ...queries,
    all: (sql: string, params?: never) => asked.push(sql) && queries.all(sql, params),
    run: (sql: string, params?: never) => asked.push(sql) && queries.run(sql, params),
  });
  const { db } = store;
  const watched: Db = {
    ...noting(db),
    scan: (sql, params, each) => asked.push(sql) && db.scan(sql, params, each),
    transaction: (work, who) => db.transaction((queries) => work(noting(queries)), who),
  } as Db;
  return { store: { ...store, db: watched }, asked };
}

/** Resolves when no statement came for a while: all that was called has its answer, or waits. */
async function quiet(asked: readonly string[]): Promise<void> {
  for (let before = -1; before !== asked.length; await sleep(150)) before = asked.length;
}

/** A tail that tells the positions that the test gives. */
function handTail(store: Store) {
  const listeners = new Map<number, Set<(row: PositionedRow) => void>>();
  return {
    age: 0,
    readableId: 0,
    onPosition(userId: number, wake: (row: PositionedRow) => void) {
      const mine = listeners.get(userId) ?? new Set();
      listeners.set(userId, mine.add(wake));
      return () => void mine.delete(wake);
    },
    async place(rows: readonly { id: number; user_id: number; wh_id: number }[]): Promise<void> {
      await assignPositions(store.db, rows);
      const sql = 'SELECT pos, id, user_id, wh_id, seen_ms FROM restante_position WHERE id >= ? ORDER BY pos';
      for (const one of await store.db.all<PositionedRow>(sql, [rows[0]?.id as number]))
        for (const wake of [...(listeners.get(one.user_id) ?? [])]) wake(one);
    },
    async send(userId: number, whId: number, texts: readonly string[]): Promise<number[]> {
      const row = {
        user_id: userId,
        wh_id: whId,
        api: 1 as const,
        dt: '',
        received_ms: Date.now(),
        ip: '',
        head: null,
        judged: null,
      };
      const ids = await insertContents(
        store,
        texts.map((text) => ({ ...row, content: Buffer.from(text) })),
      );
      await this.place(ids.map((id) => ({ id, user_id: userId, wh_id: whId })));
      return ids;
    },
  };
}

onEveryEngine('waiting pulls', (engine) => {
  let database: Database;
  let desk: Desk;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url);
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
  });

  describe('in one process', () => {
    const never = new AbortController().signal;
    const call = (waitMs = 0, more: object = {}) => ({ limit: 20, waitMs, ...more });
    let store: Store;
    beforeAll(async () => {
      store = await openStore(database.url);
    });
    afterAll(() => store?.close());
    const begin = () => {
      const tail = handTail(store);
      const counted = counting(store);
      const ownWrites = createOwnWrites({ ...tail, onReadable: tail.onPosition });
      const consumers = createConsumers({ store: counted.store, tail, ownWrites, maxPageBytes: 1e6 });
      return { tail, ...counted, ownWrites, consumers };
    };
    /** Without the look for changes of other processes, once a second for all. */
    const mine = (asked: readonly string[]) => asked.filter((sql) => !sql.includes('c.updated_ms >'));

    test('idle pulls and parked ones ask the database nothing', async () => {
      const { tail, consumers, asked } = begin();
      const [id] = await tail.send(501, 1, ['a']);
      const { lease } = await consumers.pull(501, 'w', call(), never);
      await consumers.ack(501, 'w', { lease: lease as string });
      expect((await consumers.pull(501, 'w', call(), never)).items).toEqual([]);
      asked.length = 0;
      for (let i = 0; i < 200; i++) await consumers.pull(501, 'w', call(), never);
      await Promise.all(Array.from({ length: 200 }, () => consumers.pull(501, 'w', call(300), never)));
      expect(mine(asked)).toEqual([]);
      // What is in hand does not change that, nor do contents of others.
      const [next] = await tail.send(501, 1, ['b']);
      expect((await consumers.pull(501, 'w', call(), never)).items[0]?.content.id).toBe(next);
      await consumers.pull(501, 'w', call(), never);
      asked.length = 0;
      await tail.send(502, 1, ['not yours']);
      const empty = await consumers.pull(501, 'w', call(100), never);
      expect(empty).toMatchObject({ items: [], lease: null, state: { in_flight: 1, backlog: 0 } });
      expect(mine(asked)).toEqual([]);
      expect(id).toBeLessThan(next as number);
      consumers.close();
    });

    test('one content wakes one of those who wait, a batch as many as it takes', async () => {
      const { tail, consumers, asked } = begin();
      await consumers.pull(503, 'w', call(), never);
      const got: number[] = [];
      const ended = new AbortController();
      const parked = Array.from({ length: 20 }, () =>
        consumers.pull(503, 'w', call(30_000, { limit: 2 }), ended.signal).then(({ items }) => got.push(items.length)),
      );
      await quiet(asked);
      asked.length = 0;
      await tail.send(503, 1, ['one']);
      while (got.length === 0) await sleep(5);
      await quiet(asked);
      expect(got).toEqual([1]);
      const claims = () => asked.filter((sql) => sql.includes('FROM restante_consumer c WHERE c.user_id')).length;
      expect(claims()).toBe(1);
      await tail.send(503, 1, ['a', 'b', 'c', 'd', 'e']);
      while (got.length < 4) await sleep(5);
      await quiet(asked);
      // The three run side by side, and any of them may be answered first.
      expect([got[0], ...got.slice(1).sort()]).toEqual([1, 1, 2, 2]);
      expect(claims()).toBeLessThanOrEqual(6);
      ended.abort('closing');
      await Promise.all(parked);
      expect(got).toHaveLength(20);
      consumers.close();
    });

    test('a wake-up that somebody else has used is not lost on those who wait', async () => {
      const { tail, consumers } = begin();
      await consumers.pull(508, 'w', call(), never);
      const ended = new AbortController();
      const got: number[] = [];
      const parked = [1, 2].map(() =>
        consumers.pull(508, 'w', call(30_000), ended.signal).then(({ items }) => got.push(items.length)),
      );
      await sleep(30);
      for (let round = 0; round < 3; round++) {
        // It asks in the very moment in which one of the two is woken, and comes first.
        const quick = { taken: 0 };
        const off = tail.onPosition(508, () => {
          off();
          void consumers.pull(508, 'w', call(1), never).then(({ items }) => {
            quick.taken = items.length;
          });
        });
        await tail.send(508, 1, ['quick']);
        for (let i = 0; i < 100 && quick.taken === 0; i++) await sleep(20);
        expect([quick.taken, got]).toEqual([1, []]);
      }
      await tail.send(508, 1, ['for those who wait']);
      for (let i = 0; i < 100 && got.length === 0; i++) await sleep(10);
      expect(got).toEqual([1]);
      ended.abort('closing');
      await Promise.all(parked);
      consumers.close();
    });

    test('a lease that ends wakes one who waits, and so does a nack that is due', async () => {
      const { tail, consumers } = begin();
      await tail.send(504, 1, ['a']);
      const first = await consumers.pull(504, 'w', call(0, { leaseSeconds: 1 }), never);
      const began = performance.now();
      const second = await consumers.pull(504, 'w', call(10_000), never);
      expect(second.items[0]?.attempt).toBe(2);
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(first.items).toHaveLength(1);
      const parked = consumers.pull(504, 'w', call(10_000), never);
      await sleep(20);
      await consumers.nack(504, 'w', { lease: second.lease as string }, { delayMs: 300, dead: false, reason: null });
      expect((await parked).items[0]?.attempt).toBe(3);
      consumers.close();
    });

    test('an ordered consumer tells its backlog while it is blocked, and goes on with the ack', async () => {
      const { tail, consumers, asked } = begin();
      await consumers.put(505, 'w', { ordered: true });
      await tail.send(505, 1, ['a']);
      const { lease } = await consumers.pull(505, 'w', call(), never);
      expect((await consumers.pull(505, 'w', call(), never)).state).toMatchObject({ backlog: 0, in_flight: 1 });
      asked.length = 0;
      const ids = await tail.send(505, 1, ['b', 'c']);
      expect((await consumers.pull(505, 'w', call(50), never)).state).toMatchObject({ backlog: 2, in_flight: 1 });
      expect(mine(asked)).toEqual([]);
      const parked = consumers.pull(505, 'w', call(10_000), never);
      await sleep(20);
      await consumers.ack(505, 'w', { lease: lease as string });
      expect((await parked).items.map(({ content }) => content.id)).toEqual(ids);
      consumers.close();
    });

    test('a pull waits a moment for what its user has just stored, and no longer', async () => {
      const { tail, consumers, ownWrites } = begin();
      await consumers.pull(507, 'w', call(), never);
      const stored = [{ user_id: 507 }];
      // The tail tells a position only after the commit was answered.
      const [id] = await insertContents(store, [
        {
          user_id: 507,
          wh_id: 0,
          api: 0,
          content: Buffer.from('x'),
          dt: '',
          received_ms: Date.now(),
          ip: '',
          head: null,
          judged: null,
        },
      ]);
      ownWrites.committed(stored, [id as number]);
      const pulled = consumers.pull(507, 'w', call(), never);
      await sleep(50);
      await tail.place([{ id: id as number, user_id: 507, wh_id: 0 }]);
      expect((await pulled).items.map(({ content }) => content.id)).toEqual([id]);
      const began = performance.now();
      ownWrites.committed(stored, [4e9]);
      expect((await consumers.pull(507, 'w', call(), never)).items).toEqual([]);
      const waited = performance.now() - began;
      expect(waited > 250 && waited < 2_000).toBe(true);
      await consumers.pull(507, 'w', call(), never);
      expect(performance.now() - began - waited).toBeLessThan(200);
      consumers.close();
    });

    test('one whose caller is gone claims nothing, wherever it stands', async () => {
      const { tail, consumers, ownWrites } = begin();
      const gone = new AbortController();
      await consumers.pull(506, 'w', call(), never);
      const parked = consumers.pull(506, 'w', call(10_000), gone.signal);
      await sleep(20);
      gone.abort('closed');
      expect((await parked).items).toEqual([]);
      await tail.send(506, 1, ['a']);
      expect((await consumers.pull(506, 'w', call(), gone.signal)).items).toEqual([]);
      consumers.close();
      // One that loses its caller between the claim and the answer gives everything back.
      const losing = new AbortController();
      const { db } = store;
      const transaction: Db['transaction'] = (work) => db.transaction(work).finally(() => losing.abort('closed'));
      const breaking = { ...store, db: { ...db, transaction } };
      const unlucky = createConsumers({ store: breaking, tail, ownWrites, maxPageBytes: 1e6 });
      expect((await unlucky.pull(506, 'w', call(), losing.signal)).items).toEqual([]);
      expect((await unlucky.get(506, 'w')).state).toMatchObject({ backlog: 1, in_flight: 0 });
      const found = await unlucky.pull(506, 'w', call(), never);
      expect(found.items.map(({ attempt }) => attempt)).toEqual([1]);
      unlucky.close();
    });
  });

  test('a content wakes a parked pull at once', async () => {
    const mine = await (async () => deskOf(desk.service, await desk.service.user()))();
    await mine.pull('w');
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const parked = mine.pull('w', { wait: 20 });
      await sleep(30);
      const began = performance.now();
      const [id] = await Promise.all([mine.send([`n${i}`]), parked]).then(([ids]) => ids);
      const pulled = await parked;
      times.push(performance.now() - began);
      expect(idsOf(pulled)).toEqual([id]);
      await mine.act('w', 'ack', { lease: pulled.lease });
    }
    times.sort((a, b) => a - b);
    expect(times[5]).toBeLessThan(500);
  });

  test('what a user has just posted is in the next pull', async () => {
    const mine = deskOf(desk.service, await desk.service.user());
    await mine.pull('w');
    for (let i = 0; i < 10; i++) {
      const posted = await mine.call('POST', '/whcontent', { content: `n${i}` });
      const pulled = await mine.pull('w');
      expect(idsOf(pulled)).toEqual([posted.body.id]);
    }
  });

  test('a socket that closes takes nothing with it', async () => {
    const mine = deskOf(desk.service, await desk.service.user());
    await mine.pull('w');
    const caller = new AbortController();
    const parked = mine.call('POST', '/consumers/w/pull', { wait: 30 }, caller.signal);
    await sleep(100);
    caller.abort();
    await expect(parked).rejects.toThrow();
    await sleep(100);
    const [id] = await mine.send(['a']);
    await expect
      .poll(async () => (await mine.call('GET', '/consumers/w')).body)
      .toMatchObject({ backlog: 1, in_flight: 0 });
    expect((await mine.pull('w')).items).toMatchObject([{ id, attempt: 1 }]);
  });

  test('a revoked token ends a parked pull with 401', async () => {
    const mine = deskOf(desk.service, await desk.service.user());
    await mine.pull('w');
    const parked = mine.act('w', 'pull', { wait: 30 });
    await sleep(100);
    await rotateToken(desk.service.store.db, mine.user.id, 'another');
    expect((await parked).status).toBe(401);
  }, 20_000);

  test('processes on one database notice what the others change, and share the work', async () => {
    const mine = deskOf(desk.service, await desk.service.user());
    const second = await startService(database.url);
    const there = deskOf(second, mine.user);
    try {
      const ids = await mine.send(Array.from({ length: 40 }, (_, i) => `n${i}`));
      await placed(second, Math.max(...ids));
      // On a loaded machine the line may take longer than a pull: one that is told to comes back at once.
      const share = async (one: Desk): ReturnType<Desk['pull']> => {
        const pulled = await one.pull('w', { limit: 5 });
        return pulled.items.length === 0 && pulled.poll_after_ms === 0 ? share(one) : pulled;
      };
      const both = await Promise.all(Array.from({ length: 8 }, (_, i) => share(i % 2 === 0 ? mine : there)));
      expect(both.flatMap(idsOf).sort((a, b) => a - b)).toEqual(ids.sort((a, b) => a - b));
      for (const { lease } of both) expect((await there.act('w', 'ack', { lease })).status).toBe(200);
      for (const one of [mine, there]) expect((await one.pull('w')).items).toEqual([]);
      const cases: [string, () => Promise<unknown>][] = [
        ['redeliver', () => there.act('w', 'redeliver', { ids: [ids[3]] })],
        ['seek', () => there.act('w', 'seek', { id: ids[39] })],
        ['send', () => there.send(['new'])],
      ];
      for (const [what, change] of cases) {
        const parked = mine.pull('w', { wait: 20 });
        await sleep(100);
        const began = performance.now();
        await change();
        const pulled = await parked;
        expect([what, pulled.items.length]).toEqual([what, 1]);
        expect(performance.now() - began).toBeLessThan(5_000);
        await there.act('w', 'ack', { lease: pulled.lease });
        await mine.pull('w');
      }
      const parked = mine.act('w', 'pull', { wait: 20 });
      await sleep(100);
      expect((await there.call('DELETE', '/consumers/w')).status).toBe(204);
      expect((await parked).status).toBe(404);
      expect((await mine.call('GET', '/consumers')).body.consumers).toEqual([]);
      // Looking for what the others have changed works also when nothing has.
      await sleep(1_100);
      for (const { log } of [desk.service, second])
        expect(log.lines.filter(({ message }) => message.includes('changes of consumers'))).toEqual([]);
    } finally {
      await second.close();
    }
  });

  test('a shutdown ends parked pulls with an ordinary answer', async () => {
    const service = await startService(database.url);
    const mine = deskOf(service, await service.user());
    await mine.pull('w');
    const parked = mine.act('w', 'pull', { wait: 50 });
    await sleep(100);
    const began = performance.now();
    await Promise.all([service.close(), parked]);
    const { status, body } = await parked;
    expect([status, body.items, body.poll_after_ms > 0]).toEqual([200, [], true]);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
