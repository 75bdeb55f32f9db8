// SQLite's index of events follows behind the contents: no duplicate is missed meanwhile, nor after a crash.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { insertContents, type NewContent } from '../../src/store/contents.ts';
import type { Db } from '../../src/store/db.ts';
import { createEventIndex, eventKey, listDuplicates } from '../../src/store/events.ts';
import { BASE, STEPS } from '../../src/store/migrate/steps.ts';
import { openDb, openStore, type Store } from '../../src/store/open.ts';
import { searchContents } from '../../src/store/search.ts';
import { type Database, emptyDatabase } from '../support/engines.ts';

const USER = 7;
const row = (event_id: string, over: Partial<NewContent> = {}, received_ms = 1_000_000): NewContent => ({
  user_id: USER,
  wh_id: 1,
  content: Buffer.from(`{"id":"${event_id}"}`),
  api: 1,
  dt: '2026-01-01 00:00:00',
  received_ms,
  ip: '127.0.0.1',
  head: null,
  judged: {
    verified: 'signed',
    event_id,
    event_type: null,
    event_key: eventKey(USER, event_id),
    window_ms: 60_000,
    released_from: null,
  },
  ...over,
});
const indexed = async (db: Db): Promise<number> =>
  (await db.all<{ n: number }>('SELECT COUNT(*) AS n FROM restante_event'))[0]?.n ?? -1;
const duplicateOf = async (db: Db, id: number | undefined): Promise<number | null | undefined> =>
  (
    await db.all<{ duplicate_of: number | null }>('SELECT duplicate_of FROM restante_request WHERE id = ?', [id ?? 0])
  )[0]?.duplicate_of;
const search = { wh_id: 'all', from: 0, to: 1e9, order: 'asc', limit: 100, maxBytes: 1e6 } as const;

let database: Database;
let store: Store;
beforeEach(async () => {
  database = await emptyDatabase('sqlite');
  store = await openStore(database.url);
});
afterEach(async () => {
  await store.close();
  await database.drop();
});

test('a duplicate is known before the index has its event, while it is written, and after', async () => {
  const [first] = await insertContents(store, [row('evt_1')]);
  expect(await indexed(store.db)).toBe(0);
  const [second] = await insertContents(store, [row('evt_1')]);
  expect(await duplicateOf(store.db, second)).toBe(first);
  const settling = store.events?.settle();
  const [third] = await insertContents(store, [row('evt_1')]);
  expect(await duplicateOf(store.db, third)).toBe(first);
  await settling;
  const [fourth, other] = await insertContents(store, [row('evt_1'), row('evt_2')]);
  expect(await duplicateOf(store.db, fourth)).toBe(first);
  expect(await duplicateOf(store.db, other)).toBe(null);
  // Another webhook's event of the same name is another event; a window that has passed begins anew.
  const [elsewhere] = await insertContents(store, [row('evt_1', { wh_id: 2 })]);
  expect(await duplicateOf(store.db, elsewhere)).toBe(null);
  const [later] = await insertContents(store, [row('evt_1', {}, 1_070_000)]);
  expect(await duplicateOf(store.db, later)).toBe(null);
  const [again] = await insertContents(store, [row('evt_1', {}, 1_080_000)]);
  expect(await duplicateOf(store.db, again)).toBe(later);
});

test('whoever searches finds what was stored a moment ago', async () => {
  const ids = await insertContents(store, [row('evt_1'), row('evt_2'), row('evt_1')]);
  const found = await searchContents(store, USER, search, { event_id: 'evt_1' });
  expect(found.contents.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
  await insertContents(store, [row('evt_1')]);
  const duplicates = await listDuplicates(store, USER, { id: ids[0] as number, event_id: 'evt_1' }, 10);
  expect(duplicates).toEqual([ids[2], (ids[2] as number) + 1]);
});

test('it follows by itself', async () => {
  await insertContents(store, [row('evt_1')]);
  await expect.poll(() => indexed(store.db), { timeout: 5_000 }).toBe(1);
  await insertContents(store, [row('evt_2')]);
  await expect.poll(() => indexed(store.db), { timeout: 5_000 }).toBe(2);
});

test('after a crash the next start indexes what was left, and by how little or much it was, nothing twice', async () => {
  const [first] = await insertContents(store, [row('evt_0')]);
  const many = Array.from({ length: 3_000 }, (_, i) => row(`evt_${i}`));
  for (let i = 0; i < many.length; i += 500) await insertContents(store, many.slice(i, i + 500));
  // A part of it was written, the mark was not.
  await store.db.run('INSERT INTO restante_event SELECT event_key, 0, id FROM restante_request WHERE id = ?', [
    first as number,
  ]);
  await store.close();
  store = await openStore(database.url);
  expect(await indexed(store.db)).toBe(3_001);
  const [again] = await insertContents(store, [row('evt_2999')]);
  expect(await duplicateOf(store.db, again)).toBe(3_001);
});

test('when it cannot be written, nothing is forgotten', async () => {
  let broken = true;
  const db: Db = {
    ...store.db,
    transaction: (work, lane) => (broken ? Promise.reject(new Error('disk full')) : store.db.transaction(work, lane)),
  };
  const index = createEventIndex(db);
  const mine: Store = { ...store, events: index };
  const [first] = await insertContents(mine, [row('evt_1')]).catch(async () => {
    broken = false;
    const ids = await insertContents(mine, [row('evt_1')]);
    broken = true;
    return ids;
  });
  await expect(index.settle()).rejects.toThrow('disk full');
  broken = false;
  const [second] = await insertContents(mine, [row('evt_1')]);
  expect(await duplicateOf(store.db, second)).toBe(first);
  await index.settle();
  index.close();
  expect(await indexed(store.db)).toBe(2);
});

test('ids that begin again because another application emptied the table are indexed again', async () => {
  await insertContents(store, [row('evt_1'), row('evt_2')]);
  await store.events?.settle();
  await store.db.run('DELETE FROM tblwh');
  await store.db.run("DELETE FROM sqlite_sequence WHERE name = 'tblwh'");
  const ids = await insertContents(store, [row('evt_3')]);
  expect(ids).toEqual([1]);
  const found = await searchContents(store, USER, search, { event_id: 'evt_3' });
  expect(found.contents.map(({ id }) => id)).toEqual([1]);
  expect((await searchContents(store, USER, search, { event_id: 'evt_1' })).contents).toEqual([]);
});

test('a database from before has its events indexed by the first start', async () => {
  await store.close();
  await database.drop();
  database = await emptyDatabase('sqlite');
  const before = STEPS.findIndex(({ sqlite }) => sqlite.includes('restante_event ('));
  const db = await openDb(database.url);
  for (const { sqlite } of [...Object.values(BASE), ...STEPS.slice(0, before)]) await db.ddl(sqlite);
  await db.run("INSERT INTO restante_meta (k, v) VALUES ('schema', ?)", [before]);
  for (let id = 1; id <= 5; id++) {
    await db.run("INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ('{}', '', 1, '', ?, 1)", [USER]);
    const values = [id, eventKey(USER, `evt_${id % 3}`), `evt_${id % 3}`, id > 3 ? id - 3 : null];
    await db.run(
      "INSERT INTO restante_request (id, size, crc, received_ms, ip, wh_id, event_key, event_id, duplicate_of) VALUES (?, 2, 0, 1000000, '', 1, ?, ?, ?)",
      values,
    );
  }
  await db.close();
  store = await openStore(database.url);
  expect(await indexed(store.db)).toBe(5);
  expect(await listDuplicates(store, USER, { id: 2, event_id: 'evt_2' }, 10)).toEqual([5]);
  const [again] = await insertContents(store, [row('evt_0')]);
  expect(await duplicateOf(store.db, again)).toBe(3);
});
