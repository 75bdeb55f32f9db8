// The store contract: the same promises from every engine, on a real server each.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWriter } from '../../src/receiver/writer.ts';
import { findContents, highestId, insertContents, listContents, type NewContent } from '../../src/store/contents.ts';
import { failed } from '../../src/store/db.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { insertRefusals, listRefusals, pruneRefusals } from '../../src/store/refusals.ts';
import { addUser, findUsers, rotateToken } from '../../src/store/users.ts';
import { createWebhook, findTargets, rotateKey } from '../../src/store/webhooks.ts';
import { type Database, migratedDatabase, onEveryEngine } from '../support/engines.ts';
import { randomOf } from '../support/random.ts';

const row = (content: Buffer | string, change: Partial<NewContent> = {}): NewContent => ({
  user_id: 7,
  wh_id: 3,
  content: Buffer.from(content as string),
  api: 1,
  dt: '2026-11-22 10:00:00',
  received_ms: 1_795_000_000_123,
  ip: '3.18.12.63',
  head: Buffer.from('POST /in/k HTTP/1.1\r\n'),
  judged: null,
  ...change,
});

const findContent = async (store: Store, userId: number, id: number) =>
  [...(await findContents(store, [{ userId, id }], 1e9)).values()][0];

onEveryEngine('the store', (engine) => {
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

  test('a transaction that throws leaves nothing behind', async () => {
    const before = await highestId(store);
    await expect(
      store.db.transaction(async (queries) => {
        await queries.insertIds(
          'tblwh',
          ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
          [[Buffer.from('x'), '', 1, '', 1, 1]],
        );
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await highestId(store)).toBe(before);
    expect(await store.db.all('SELECT 1 AS one FROM tblwh WHERE user_id = 1')).toEqual([]);
  });

  test('nobody sees a transaction before its commit', async () => {
    let seen: unknown[] = [];
    const reading = store.db.transaction(async (queries) => {
      await queries.insertIds(
        'tblwh',
        ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
        [[Buffer.from('x'), '', 1, '', 77, 1]],
      );
      // On SQLite this waits for the commit: it must not be waited for here.
      const later = store.db.all('SELECT 1 AS one FROM tblwh WHERE user_id = 77');
      if (engine !== 'sqlite') seen = await later;
      throw Object.assign(new Error('rolled back'), { later });
    });
    await expect(reading).rejects.toThrow('rolled back');
    expect(seen).toEqual([]);
    expect(await store.db.all('SELECT 1 AS one FROM tblwh WHERE user_id = 77')).toEqual([]);
  });

  test('ids come back in row order for every batch size, also when many insert at once', async () => {
    const sizes = [1, 2, 63, 64, 65, 127, 128, 129, 200, 300, 500];
    const batches = await Promise.all(
      sizes.map((size) =>
        insertContents(
          store,
          Array.from({ length: size }, (_, i) => row(`${size}:${i}`)),
        ),
      ),
    );
    for (const [b, ids] of batches.entries())
      for (const i of [0, 1, ids.length >> 1, ids.length - 1].filter((n) => n < ids.length)) {
        const content = await findContent(store, 7, ids[i] as number);
        expect(content?.content.toString()).toBe(`${sizes[b]}:${i}`);
        expect(content?.receipt).toMatchObject({ ip: '3.18.12.63', received_ms: 1_795_000_000_123 });
      }
  });

  test('keeps all 256 byte values, and the empty content', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const [a, b] = await insertContents(store, [row(bytes), row('')]);
    expect((await findContent(store, 7, a as number))?.content.equals(bytes)).toBe(true);
    expect((await findContent(store, 7, b as number))?.content.length).toBe(0);
  });

  test('a list reads no further than its bytes, but one content at least', async () => {
    const big = Buffer.alloc(200_000, 97);
    const ids = await insertContents(
      store,
      [1, 2, 3, 4, 5].map(() => row(big, { user_id: 8 })),
    );
    const list = (maxBytes: number, limit = 100) =>
      listContents(store, 8, { wh_id: 'all', from: 0, to: 4e9, order: 'asc', limit, maxBytes });
    expect((await list(1)).contents.map((one) => one.id)).toEqual([ids[0]]);
    expect(await list(450_000)).toMatchObject({ cut: true, contents: [{ id: ids[0] }, { id: ids[1] }] });
    expect(await list(1e9)).toMatchObject({ cut: false });
    expect(await list(1e9, 5)).toMatchObject({ cut: true });
    expect((await list(1e9)).contents).toHaveLength(5);
  });

  test('a list of all webhooks is the list of each, in the order of ids, whoever else stores between', async () => {
    const next = randomOf(7);
    const random = (below: number) => Math.floor(next() * below);
    const rows: NewContent[] = [];
    for (let i = 0; i < 400; i++)
      rows.push(row(`${i}`, { user_id: 20 + random(3), wh_id: random(9) && 50 + random(9) }));
    const ids = await insertContents(store, rows);
    for (let i = 0; i < 60; i++) {
      const user = 20 + random(4);
      const [a, b] = [ids[random(400)] as number, ids[random(400)] as number];
      const [from, to] = random(5) ? [Math.min(a, b), Math.max(a, b)] : [0, 4e9];
      const order = random(2) ? 'asc' : 'desc';
      const limit = [1, 3, 20, 100][random(4)] as number;
      const own = ids.filter((id, at) => rows[at]?.user_id === user && id >= from && id <= to);
      const expected = (order === 'asc' ? own : own.toReversed()).slice(0, limit);
      const page = await listContents(store, user, { wh_id: 'all', from, to, order, limit, maxBytes: 1e9 });
      expect(page.contents.map(({ id }) => id)).toEqual(expected);
      expect(page.cut).toBe(expected.length === limit);
    }
  });

  test('a list of all webhooks costs no more when a user has stored a hundred times as much', async () => {
    const fill = (user: number, count: number) =>
      store.db.transaction(async (queries) => {
        for (let at = 0; at < count; at += 2_000)
          await queries.insert(
            'tblwh',
            ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
            Array.from({ length: 2_000 }, (_, i) => [Buffer.from('x'), '', 1, '', user, i % 5]),
          );
      });
    await fill(30, 2_000);
    await fill(31, 200_000);
    const time = async (userId: number, order: 'asc' | 'desc') => {
      const began = performance.now();
      const page = await listContents(store, userId, {
        wh_id: 'all',
        from: 0,
        to: 4e9,
        order,
        limit: 20,
        maxBytes: 1e9,
      });
      expect(page.contents).toHaveLength(20);
      return performance.now() - began;
    };
    for (const order of ['asc', 'desc'] as const) {
      const [few, many]: [number[], number[]] = [[], []];
      for (let i = 0; i < 15; i++) {
        few.push(await time(30, order));
        many.push(await time(31, order));
      }
      // Of the quickest: a busy machine makes single ones slow.
      expect(Math.min(...many)).toBeLessThan(3 * Math.min(...few) + 2);
    }
  });

  test('tells failures by their kind, not by a driver code', async () => {
    const failure = async (work: Promise<unknown>) =>
      work.then(
        () => 'none',
        (error) => error.failure,
      );
    expect(await failure(store.db.all('SELECT 1 FROM no_such_table'))).toBe('missing');
    await addUser(store.db, { email: '', phone: '', token: 'x' });
    expect(await failure(store.db.insert('restante_meta', ['k', 'v'], [['schema', 1]]))).toBe('duplicate');
    expect(
      await failure(
        store.db.insert('restante_request', ['id', 'size', 'crc', 'received_ms', 'ip'], [[4e9, null, 1, 1, '']]),
      ),
    ).toBe('data');
    expect(failed(new Error('x'), 'data')).toBe(false);
  });

  test('a row that the database refuses does not take its neighbours with it', async () => {
    const writer = createWriter(store);
    const rows = Array.from({ length: 500 }, (_, i) =>
      row(`n${i}`, { user_id: 9, ...(i === 137 ? { received_ms: null as never } : {}) }),
    );
    const results = await Promise.allSettled(rows.map((one) => writer.write(one)));
    expect(results.filter((one) => one.status === 'fulfilled')).toHaveLength(499);
    expect(results[137]).toMatchObject({ status: 'rejected', reason: { status: 503 } });
    const stored = await store.db.all('SELECT 1 AS one FROM tblwh WHERE user_id = 9');
    expect(stored).toHaveLength(499);
  });

  test('knows a user by the bytes of the token, whatever the collation', async () => {
    const id = await addUser(store.db, { email: 'a@example.org', phone: '', token: 'AbC ' });
    const users = await findUsers(store.db, [id, 4e9]);
    expect([...users.keys()]).toEqual([id]);
    expect(users.get(id)?.token.toString()).toBe('AbC ');
    expect(await rotateToken(store.db, id, 'next')).toBe(true);
    expect(await rotateToken(store.db, 4e9, 'next')).toBe(false);
  });

  test('a rotated key goes on until its grace is over', async () => {
    const wh_id = await createWebhook(store, {
      user_id: 7,
      wh_name: 'ünïcode ✓',
      wh_url: 'u',
      url_key: `old${engine}`,
      settings: {},
      sealFor: () => [],
      created_ms: 1,
      idFrom: 50,
      most: 100,
    });
    await rotateKey(store, 7, wh_id, { url_key: `new${engine}`, wh_url: 'u2', graceUntil: 1000 });
    const keys = [`old${engine}`, `new${engine}`];
    expect((await findTargets(store.db, keys, 999)).map((row) => row.url_key).sort()).toEqual([...keys].sort());
    expect((await findTargets(store.db, keys, 1000)).map((row) => row.url_key)).toEqual([`new${engine}`]);
    expect((await findTargets(store.db, [`NEW${engine}`], 1)).map((row) => row.url_key)).toEqual([]);
  });

  test('refusals are dropped after 14 days of the database, whatever the clock of their receiver said; above 10,000 the oldest first', async () => {
    const refusal = (received_ms: number, wh_id: number) => ({
      user_id: 7,
      wh_id,
      kind: 'method' as const,
      reason: 'x',
      size: null,
      received_ms,
      ip: '',
      head: Buffer.alloc(0),
      near_miss: null,
      content: null,
      event_key: null,
    });
    const DAY_MS = 86_400_000;
    const now = 1_795_000_000_000;
    const count = async () => (await listRefusals(store.db, 7, { wh_id: 1, from: 0, limit: 10 })).length;
    // Received by a process whose clock was far behind, and by one whose clock was far ahead.
    await insertRefusals(store.db, [refusal(now - 400 * DAY_MS, 1), refusal(now + 400 * DAY_MS, 1)]);
    await pruneRefusals(store.db, now);
    await insertRefusals(store.db, [refusal(now, 1)]);
    await pruneRefusals(store.db, now + 14 * DAY_MS - 3_600_000);
    expect(await count()).toBe(3);
    await pruneRefusals(store.db, now + 15 * DAY_MS);
    expect(await count()).toBe(1);
    await pruneRefusals(store.db, now + 30 * DAY_MS);
    expect(await count()).toBe(0);
    for (let i = 0; i < 21; i++)
      await insertRefusals(
        store.db,
        Array.from({ length: 500 }, () => refusal(now, 2)),
      );
    await pruneRefusals(store.db, now);
    expect((await listRefusals(store.db, 7, { wh_id: 2, from: 0, limit: 20_000 })).length).toBe(10_000);
  });
});
