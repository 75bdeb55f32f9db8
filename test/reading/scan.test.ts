// Lists on a shared table without an index: one walk for all who look for little, and nothing asked twice.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createScan } from '../../src/reading/scan.ts';
import { openStore } from '../../src/store/open.ts';
import { type Database, emptyDatabase, type Service, startService } from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  const ROWS = 200_000;
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await emptyDatabase(engine);
    const admin = await connectTo(database.url);
    const columns = 'content, ip, api, dt, user_id, wh_id';
    await admin.query(`INSERT INTO tblwh (${columns}) VALUES ('x', '', 1, '', 9999, 1)`);
    for (let rows = 1; rows < ROWS; rows *= 2)
      await admin.query(`INSERT INTO tblwh (${columns}) SELECT ${columns} FROM tblwh LIMIT ${ROWS - rows}`);
    // Three contents each for 100 users, all over the table.
    await admin.query('UPDATE tblwh SET user_id = id % 100 + 1, wh_id = 7 WHERE id % 611 IN (0) AND id > 27');
    for (let id = 1; id <= 120; id++)
      await admin.query(`INSERT INTO tbluser (email, phone, token, status, pwd) VALUES ('', '', 't${id}', 1, '')`);
    await admin.end();
    service = await startService(database.url);
    await service.settle();
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const list = async (user: number, query: string) => {
    const authorization = `Basic ${Buffer.from(`${user}:t${user}`).toString('base64')}`;
    const answer = await fetch(`${service.url}/whcontent?${query}`, { headers: { authorization } });
    expect(answer.status).toBe(200);
    return (await answer.json()) as { whcontent: { id: number }[]; next_id: number };
  };
  async function everything(user: number, whid: string): Promise<number[]> {
    const ids: number[] = [];
    for (let id = 0, calls = 0; ; calls++) {
      const page = await list(user, `id=${id}&whid=${whid}&limit=7`);
      ids.push(...page.whcontent.map((row) => row.id));
      if (page.whcontent.length === 0 && page.next_id > service.parts.tail.readableId) return ids;
      expect(page.next_id).toBeGreaterThanOrEqual(id);
      expect(calls).toBeLessThan(200);
      id = page.next_id;
    }
  }

  test('finds all of many who have little, in few walks', async () => {
    const { db } = service.store;
    const wanted = await db.all<{ id: number; user_id: number }>(
      'SELECT id, user_id FROM tblwh WHERE wh_id = 7 ORDER BY id',
    );
    expect(wanted.length).toBeGreaterThan(200);
    const all = vi.spyOn(db, 'all');
    const found = await Promise.all(
      Array.from({ length: 120 }, async (_, i) => [i + 1, await everything(i + 1, i % 2 ? '7' : 'all')] as const),
    );
    const walks = all.mock.calls.filter(([sql]) => /user_id IN/.test(sql)).length;
    vi.restoreAllMocks();
    for (const [user, ids] of found)
      expect([user, ids]).toEqual([user, wanted.filter((row) => row.user_id === user).map((row) => row.id)]);
    expect(walks).toBeLessThan(120);
  });

  test('asks for nothing more once it is known, and sees what comes', async () => {
    const before = await list(110, 'id=0&whid=all');
    expect(before.whcontent).toEqual([]);
    const { db } = service.store;
    const scan = vi.spyOn(db, 'scan');
    for (let i = 0; i < 20; i++) await list(110, 'id=0&whid=all');
    expect(scan.mock.calls).toEqual([]);
    vi.restoreAllMocks();
    const [id] = await db.insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [['x', '', 1, '', 110, 3]],
    );
    await service.settle();
    expect((await list(110, 'id=0&whid=all')).whcontent.map((row) => row.id)).toEqual([id]);
    expect((await list(110, 'id=0&whid=3')).whcontent.map((row) => row.id)).toEqual([id]);
  });

  test('pages through one who has much', async () => {
    const page = await list(101, 'id=0&whid=all');
    expect(page.whcontent).toEqual([]);
    await service.store.db.run('UPDATE tblwh SET user_id = 102 WHERE id > 150000 AND id <= 152500');
    const found = new Set<number>();
    for (let id = 0; ; ) {
      const got = await list(102, `id=${id}&whid=all&limit=100`);
      for (const row of got.whcontent) found.add(row.id);
      if (got.next_id > service.parts.tail.readableId) break;
      id = got.next_id;
    }
    expect(found.size).toBe((await service.store.db.all('SELECT id FROM tblwh WHERE user_id = 102')).length);
  });
});

test.each(['mariadb', 'mysql'] as const)(
  '%s: ids that begin high, and a hole of millions, cost nobody a thousand calls',
  async (engine) => {
    const database = await emptyDatabase(engine);
    const admin = await connectTo(database.url);
    await admin.query("INSERT INTO tbluser (email, phone, token, status, pwd) VALUES ('', '', 't1', 1, '')");
    const insert = "INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ('x', '', 1, '', 1, 7)";
    for (const next of [1_000_000_000, 3_000_000_000]) {
      await admin.query(`ALTER TABLE tblwh AUTO_INCREMENT = ${next}`);
      for (let i = 0; i < 3; i++) await admin.query(insert);
    }
    await admin.end();
    const service = await startService(database.url);
    await service.settle();
    const authorization = `Basic ${Buffer.from('1:t1').toString('base64')}`;
    const ids: number[] = [];
    for (let id = 0, calls = 0; ids.length < 6; calls++) {
      expect(calls).toBeLessThan(10);
      const page = (await (
        await fetch(`${service.url}/whcontent?whid=7&limit=2&id=${id}`, { headers: { authorization } })
      ).json()) as { whcontent: { id: number }[]; next_id: number };
      ids.push(...page.whcontent.map((row) => row.id));
      id = page.next_id;
    }
    expect(ids).toEqual([0, 1, 2].map((i) => 1_000_000_000 + i).concat([0, 1, 2].map((i) => 3_000_000_000 + i)));
    await service.close();
    await database.drop();
  },
);

test('while the database cannot be read, each of many calls at once fails: an empty page would say that it was read', async () => {
  const database = await emptyDatabase('mariadb');
  const store = await openStore(database.url);
  const scan = createScan(store);
  await store.close();
  const part = { from: 0, to: 100, limit: 20, maxBytes: 1024 };
  const answers = await Promise.allSettled(
    Array.from({ length: 6 }, (_, i) => scan({ userId: 1 + (i % 3), whid: 'all' }, part)),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill('rejected'));
  await database.drop();
});
