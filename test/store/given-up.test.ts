// A statement that is given up ends in the server, too, and so does one of a process that is gone: MariaDB and MySQL would run it on.
import { randomBytes } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Db } from '../../src/store/db.ts';
import { openDb } from '../../src/store/open.ts';
import { type Database, type Engine, emptyDatabase } from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';

/** 6 ^ `count` rows. */
const tables = (count: number): string => {
  const six = `(${[1, 2, 3, 4, 5, 6].map((n) => `SELECT ${n} AS a`).join(' UNION ALL ')})`;
  return Array.from({ length: count }, (_, i) => `${six} t${i}`).join(', ');
};

describe.each(['mariadb', 'mysql'] satisfies Engine[])('on %s, for an account that may SELECT and INSERT', (engine) => {
  let database: Database;
  let root: Connection;
  let db: Db;
  let account: string;

  beforeAll(async () => {
    database = await emptyDatabase(engine);
    root = await connectTo(database.url);
    const url = new URL(database.url);
    account = `app${randomBytes(4).toString('hex')}`;
    await root.query(`CREATE USER '${account}'@'%' IDENTIFIED BY 'secret'`);
    await root.query(`GRANT SELECT, INSERT ON ${url.pathname.slice(1)}.tblwh TO '${account}'@'%'`);
    url.username = account;
    url.password = 'secret';
    db = await openDb(url.href);
  });
  afterAll(async () => {
    await db?.close();
    await root?.query(`DROP USER '${account}'@'%'`);
    root?.destroy();
    await database?.drop();
  });

  const running = async (text: string): Promise<number> => {
    const sql = 'SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = ? AND info LIKE ?';
    const [rows] = await root.query(sql, [account, `%${text}%`]);
    return (rows as { n: number }[])[0]?.n ?? 0;
  };

  test('reads and writes that are given up after 4 s do not run on', async () => {
    // Not SLEEP: the servers end that by themselves when its connection is gone.
    const count = `SELECT COUNT(*) AS given_up FROM ${tables(14)}`;
    const insert = `INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) ${count.replace(' FROM', ", '', 1, '', 1, 1 FROM")}`;
    const given = Promise.allSettled([
      db.all(count),
      db.run(insert),
      db.transaction((queries) => queries.all(count)),
      db.transaction((queries) => queries.run(insert)),
    ]);
    await expect.poll(() => running('given_up')).toBe(4);
    for (const one of await given)
      expect(one).toMatchObject({ status: 'rejected', reason: { message: 'no answer within 4 s' } });
    // The limit of the server would end the reads 6 s later, and the writes not at all.
    await expect.poll(() => running('given_up'), { timeout: 4_000 }).toBe(0);
    // Connections whose statements were not given up are open still.
    expect(await db.all('SELECT COUNT(*) AS n FROM tblwh')).toEqual([{ n: 0 }]);
  });

  test('a read of many rows that is stopped after the first ends', async () => {
    let rows = 0;
    const sql = `SELECT REPEAT('x', 100) AS x, 'stopped' AS why FROM ${tables(9)}`;
    await db.scan(sql, [], () => ++rows < 10);
    expect(rows).toBe(10);
    await expect.poll(() => running('stopped')).toBe(0);
  });

  test('the server has a limit of its own for what reads, and none for what changes the schema', async () => {
    const name = engine === 'mariadb' ? '@@max_statement_time' : '@@max_execution_time / 1000';
    const read = `SELECT ${name} + 0 AS seconds`;
    const seconds = (rows: { seconds: unknown }[]) => rows.map((row) => Number(row.seconds));
    expect(seconds(await db.all(read))).toEqual([10]);
    expect(seconds(await db.search(read, []))).toEqual([2]);
    const inside = await db.transaction(async (queries) => {
      const found: unknown[] = [];
      await queries.ddl(`SET @during = ${name}`);
      for (const sql of ['SELECT @during AS seconds', read]) found.push(...seconds(await queries.all(sql)));
      return found;
    });
    expect(inside).toEqual([engine === 'mariadb' ? 0 : 10, 10]);
    await expect(
      db.search(
        'SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c',
        [],
      ),
    ).rejects.toMatchObject({ failure: 'away' });
  });
});
