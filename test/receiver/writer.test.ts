// The writer, which commits many contents at once, on every engine: a bad row, a full queue, transactions side by side.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWriter } from '../../src/receiver/writer.ts';
import type { NewContent } from '../../src/store/contents.ts';
import { openStore } from '../../src/store/open.ts';
import { type Database, migratedDatabase, onEveryEngine, type Service, startService } from '../support/engines.ts';

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const row = (content: string | Buffer, dt = '2026-11-22 10:00:00'): NewContent => {
  const bytes = Buffer.from(content);
  return {
    user_id: 1,
    wh_id: 0,
    content: bytes,
    api: 0,
    dt,
    received_ms: 1,
    ip: '127.0.0.1',
    head: null,
    judged: null,
  };
};

onEveryEngine('the writer', (engine) => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test('one row that the database refuses leaves the 499 others of its batch stored, each under its own id', async () => {
    const store = await openStore(database.url);
    // The servers refuse a dt of more than 30 characters by themselves.
    const poison = 'p'.repeat(40);
    const trigger = `CREATE TEMP TRIGGER no BEFORE INSERT ON tblwh WHEN NEW.dt = '${poison}' BEGIN SELECT RAISE(ABORT, 'no'); END`;
    if (engine === 'sqlite') await store.db.ddl(trigger);
    const told: number[] = [];
    const writer = createWriter(store, { onError: (_error, rows) => told.push(rows) });
    const rows = times(500, (i) => row(`batch-${i}`, i === 321 ? poison : undefined));
    const results = await Promise.allSettled(rows.map((one) => writer.write(one)));
    const lost = results.flatMap((result, i) => (result.status === 'rejected' ? [i] : []));
    expect(lost).toEqual([321]);
    expect((results[321] as PromiseRejectedResult).reason).toMatchObject({ status: 503 });
    expect(told).toEqual([1]);
    const sql = `SELECT id, ${store.db.dialect.bytes('content')} AS content FROM tblwh WHERE user_id = 1 AND wh_id = 0`;
    const stored = await store.db.all<{ id: number; content: Buffer }>(sql);
    const found = new Map(stored.map(({ id, content }) => [id, content.toString()]));
    expect([...found.values()].filter((content) => content.startsWith('batch-'))).toHaveLength(499);
    for (const [i, result] of results.entries())
      if (result.status === 'fulfilled') expect(found.get(result.value)).toBe(`batch-${i}`);
    await store.close();
  });

  test('it says when it is full, by bytes and by age, own content is refused then too, and drain waits for all of it', async () => {
    const other = await openStore(database.url);
    const { writer } = service.parts;
    const user = await service.user();
    const post = () =>
      fetch(`${service.url}/whcontent?content=own`, { method: 'POST', headers: { authorization: user.auth } });
    expect((await post()).status).toBe(201);
    const big = row(Buffer.alloc(4 * 2 ** 20 - 2_000, 'x'));
    const writes = times(17, () => writer.write(big));
    expect([writer.full(), writer.waiting]).toEqual([true, 17]);
    await writer.drain();
    expect([writer.full(), writer.waiting]).toEqual([false, 0]);
    expect(new Set(await Promise.all(writes)).size).toBe(17);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let holding: Promise<void> | undefined;
    await new Promise<void>((locked) => {
      holding = other.db.transaction(async (queries) => {
        if (engine === 'sqlite') await queries.run('DELETE FROM tblwh WHERE id < 0');
        else await queries.ddl('LOCK TABLES tblwh WRITE');
        locked();
        await held;
        if (engine !== 'sqlite') await queries.ddl('UNLOCK TABLES');
      });
    });
    const late = [];
    for (const i of [1, 2, 3]) late.push(writer.write(row(`late ${i}`))) && (await sleep(20));
    expect(writer.full()).toBe(false);
    await expect.poll(() => writer.full()).toBe(true);
    const refused = await Promise.race([post(), sleep(8_000)]);
    release();
    await Promise.all([holding, writer.drain(), ...late]);
    expect(writer.full()).toBe(false);
    await other.close();
    expect(refused?.status).toBe(503);
    expect((await post()).status).toBe(201);
  });

  // Servers have the other transaction meanwhile.
  if (engine === 'sqlite')
    test('the database has the next rows before the senders of the last ones are answered', async () => {
      const store = await openStore(database.url);
      const order: string[] = [];
      const told =
        <A extends unknown[], R>(begin: (...given: A) => R) =>
        (...given: A): R => {
          order.push('begins');
          return begin(...given);
        };
      const { transaction, perform } = store.db;
      const db = { ...store.db, transaction: told(transaction), ...(perform && { perform: told(perform) }) };
      const writer = createWriter({ ...store, db });
      const send = (i: number) => writer.write(row(`overlap ${i}`)).then(() => order.push('answered'));
      // So many begin at once, and the others wait for them.
      const first = times(24, send);
      expect(writer.waiting).toBe(0);
      const second = times(40, send);
      await Promise.all([...first, ...second]);
      expect(order.slice(0, 3)).toEqual(['begins', 'begins', 'answered']);
      expect(order).toHaveLength(66);
      await store.close();
    });

  test('a row of one webhook does not wait behind the flood of another', async () => {
    const { writer } = service.parts;
    let stored = 0;
    const flood = times(5_000, (i) => writer.write({ ...row(`flood ${i}`), wh_id: 501 }).then(() => stored++));
    await writer.write({ ...row('alone'), wh_id: 502 });
    const before = stored;
    await Promise.all(flood);
    expect(stored).toBe(5_000);
    // The batches that began before it, and the one it was in.
    expect(before).toBeLessThan(500 * (service.store.db.lanes + 1));
  });

  test('transactions that start at the same moment all come to pass, each as a whole', async () => {
    const store = await openStore(database.url);
    await store.db.insert('restante_meta', ['k', 'v'], [['test', 0]]);
    const add = () =>
      store.db.transaction(async (queries) => {
        const sql = "SELECT v FROM restante_meta WHERE k = 'test'";
        const [last] = await queries.all<{ v: number }>(sql + store.db.dialect.forUpdate);
        await queries.run("UPDATE restante_meta SET v = ? WHERE k = 'test'", [(last?.v ?? 0) + 1]);
      });
    const results = await Promise.allSettled(times(30, add));
    expect(results.filter((result) => result.status === 'rejected')).toEqual([]);
    expect(await store.db.all("SELECT v FROM restante_meta WHERE k = 'test'")).toEqual([{ v: 30 }]);
    await store.close();
  });
});
