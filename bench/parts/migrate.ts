// `restante migrate` gives contents that are there already their places, while other programs go on inserting.
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { openSqlite } from '../../src/store/engine/sqlite.ts';
import { dropOurs } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { prepare } from '../support/database.ts';
import { figure, figures } from '../support/table.ts';
import { percentile } from '../support/watch.ts';
import { fillReceived, restante } from './drain.ts';

const INSERTERS = 4;
const PAUSE_MS = 10;
const INSERT = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (?, ?, ?, ?, ?, ?)';

/** Inserts by the bare driver, on connections of their own; ms that each took. */
async function insertMeanwhile(url: string, userId: number, over: () => boolean): Promise<number[]> {
  const row = [Buffer.alloc(1000, 'x'), '127.0.0.1', 1, '2026-11-22 10:00:00', userId, 7];
  const took: number[] = [];
  const lane = async () => {
    const sqlite = url.startsWith('sqlite:') ? await openSqlite(url.slice('sqlite:'.length)) : undefined;
    const mysql = sqlite ? undefined : await createConnection({ uri: url, charset: 'utf8mb4' });
    while (!over()) {
      const began = performance.now();
      await (sqlite ? sqlite.run(INSERT, row) : mysql?.execute(INSERT, row));
      took.push(performance.now() - began);
      await sleep(PAUSE_MS);
    }
    await (sqlite ?? { close: () => mysql?.end() }).close();
  };
  await Promise.all(Array.from({ length: url.startsWith('sqlite:') ? 1 : INSERTERS }, lane));
  return took;
}

export async function migrate(server: string, { rows }: { readonly rows: number }): Promise<void> {
  const database = await prepare(server);
  await fillReceived(database, rows);
  if (server.startsWith('mysql:')) {
    const db = await openDb(database.url);
    await dropOurs(db);
    await db.close();
  }
  let over = false;
  const before = await Promise.all([
    insertMeanwhile(database.url, database.userId, () => over),
    sleep(3_000).then(() => {
      over = true;
    }),
  ]);
  over = false;
  const running = insertMeanwhile(database.url, database.userId, () => over);
  await sleep(200);
  const began = performance.now();
  await restante(database.url, 'migrate');
  const seconds = (performance.now() - began) / 1000;
  over = true;
  const during = await running;
  const what = `migrate, ${rows.toLocaleString('en')} contents of 1 KB`;
  figures();
  figure({ what, value: seconds, unit: 's', atMost: 60 });
  figure({ what: `${what}: inserts of others meanwhile, p50`, value: percentile(during, 0.5), unit: 'ms' });
  figure({ what: `${what}: p99`, value: percentile(during, 0.99), unit: 'ms' });
  figure({ what: `${what}: the slowest`, value: Math.max(...during), unit: 'ms' });
  figure({ what: 'the same inserts before: p50', value: percentile(before[0], 0.5), unit: 'ms' });
  figure({ what: 'the same inserts before: the slowest', value: Math.max(...before[0]), unit: 'ms' });
  await database.drop();
}
