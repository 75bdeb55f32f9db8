// A list of a hundred contents of 10 MiB, on every engine: the page ends, and the process stays small.
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Content } from '../../src/schema/contents.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { baseTables } from '../support/classic.ts';
import { migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { type DatabaseServer, type Flavour, startServer } from '../support/servers.ts';

const MiB = 1024 * 1024;
const HUNDRED = 'a hundred contents of 10 MiB in one list end the page, not the process';
/** Walks over them in both orders and watches the memory; writes one more at the end. */
async function walk(engine: string, service: Service, user: TestUser): Promise<void> {
  const rss = process.memoryUsage().rss;
  let peak = rss;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  for (const order of ['asc', 'desc']) {
    for (let at: number | string = order === 'asc' ? 0 : 'latest', pages = 0; pages < 2; pages++) {
      const answer = await fetch(`${service.url}/whcontent?id=${at}&order=${order}&limit=100`, {
        headers: { authorization: user.auth },
      });
      const { whcontent, next_id } = (await answer.json()) as { whcontent: Content[]; next_id: number };
      expect(whcontent.map((one) => one.content?.length)).toEqual([10 * MiB]);
      expect(next_id).toBe((whcontent[0]?.id ?? 0) + (order === 'asc' ? 1 : -1));
      at = next_id;
    }
  }
  clearInterval(watch);
  if (process.env.CI) console.log(`${engine}: ${Math.round((peak - rss) / MiB)} MiB more at the peak`);
  // A page is there as bytes, as text and as JSON, and once more in the client, which is this process too.
  expect(peak - rss).toBeLessThan(400 * MiB);
}

test(`sqlite: ${HUNDRED}`, async () => {
  const database = await migratedDatabase('sqlite');
  const service = await startService(database.url);
  const user = await service.user();
  const { db } = service.store;
  const row = ['', '', 0, '', user.id, 0];
  await db.insert('tblwh', ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], Array(100).fill(row));
  // A view makes them as they are read: writing 1 GiB takes longer than all the rest.
  await db.ddl('ALTER TABLE tblwh RENAME TO many');
  await db.ddl(
    `CREATE VIEW tblwh AS SELECT id, hex(zeroblob(${5 * MiB})) AS content, ip, api, dt, user_id, wh_id FROM many`,
  );
  await db.run("INSERT INTO sqlite_sequence (name, seq) SELECT 'tblwh', seq FROM sqlite_sequence WHERE name = 'many'");
  await service.settle();
  await walk('sqlite', service, user);
  await service.close();
  await database.drop();
});

// What 1 GiB in a few seconds takes; nothing here is to survive a crash.
const HASTY = [
  '--skip-log-bin',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-doublewrite=0',
  '--innodb-buffer-pool-size=1600M',
  '--innodb-flush-method=nosync',
];
const REDO = { mariadb: '--innodb-log-file-size=3G', mysql: '--innodb-redo-log-capacity=3G' };

describe.each(['mariadb', 'mysql'] satisfies Flavour[])('a %s of its own', (flavour) => {
  let server: DatabaseServer;
  let url: string;
  beforeAll(async () => {
    server = await startServer(flavour, { args: [...HASTY, REDO[flavour]] });
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE large');
    await connection.query('USE large');
    for (const sql of baseTables) await connection.query(sql);
    await connection.end();
    url = `${server.url}large`;
    const db = await openDb(url);
    await migrate(db, false, () => {});
    await db.close();
  });
  afterAll(async () => {
    await server?.kill();
    await server?.stop();
  });

  test(HUNDRED, async () => {
    const service = await startService(url);
    const user = await service.user();
    const columns = 'content, ip, api, dt, user_id, wh_id';
    const connection = await createConnection(url);
    await connection.query(`INSERT INTO tblwh (${columns}) VALUES (REPEAT('x', ${10 * MiB}), '', 0, '', ?, 0)`, [
      user.id,
    ]);
    for (const count of [1, 2, 4, 8, 16, 32, 36])
      await connection.query(
        `INSERT INTO tblwh (${columns}) SELECT ${columns} FROM tblwh WHERE user_id = ? LIMIT ${count}`,
        [user.id],
      );
    await connection.end();
    await service.settle();
    await walk(flavour, service, user);
    await service.close();
  });
});
