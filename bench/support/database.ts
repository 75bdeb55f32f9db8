// A fresh, migrated database with one user and one webhook for a benchmark.
import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { readConfig } from '../../src/config/config.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb, openStore } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';
import { makeWebhook } from '../../src/webhooks/webhooks.ts';

export interface Prepared {
  readonly url: string;
  readonly userId: number;
  readonly auth: string;
  readonly path: string;
  drop(): Promise<void>;
}

/** `server`: mysql://…/ or sqlite:/folder/ */
export async function prepare(server: string): Promise<Prepared> {
  const name = `bench_${randomBytes(4).toString('hex')}`;
  const mysql = server.startsWith('mysql:');
  const run = async (sql: string) => {
    if (!mysql) return;
    const connection = await createConnection(server);
    await connection.query(sql);
    await connection.end();
  };
  const url = server + name + (mysql ? '' : '.db');
  await run(`CREATE DATABASE ${name}`);
  const db = await openDb(url);
  await migrate(db, true, () => {});
  await db.close();
  const store = await openStore(url);
  const token = randomBytes(16).toString('hex');
  const userId = await addUser(store.db, { email: '', phone: '', token });
  const parts = { store, config: readConfig({ DATABASE_URL: url }), now: Date.now };
  const webhook = await makeWebhook(parts, userId, { wh_name: 'bench' });
  await store.close();
  const auth = `Basic ${Buffer.from(`${userId}:${token}`).toString('base64')}`;
  return { url, userId, auth, path: new URL(webhook.wh_url).pathname, drop: () => run(`DROP DATABASE ${name}`) };
}
