// Connections that break are forgotten, in the count and in the memory: a bad network must not fill it.
import { expect, test } from 'vitest';
import { openDb } from '../../src/store/open.ts';
import { type Engine, migratedDatabase } from '../support/engines.ts';
import { startProxy } from '../support/proxy.ts';

test.each(['mariadb', 'mysql'] satisfies Engine[])('%s: 60 resets leave no connection behind', async (engine) => {
  const database = await migratedDatabase(engine);
  const proxy = await startProxy(Number(new URL(database.url).port));
  const url = new URL(database.url);
  url.port = String(proxy.port);
  const db = await openDb(url.href);
  try {
    const some = () => Promise.all([db.ping(), db.ping(), db.transaction((queries) => queries.all('SELECT 1'))]);
    await some();
    const usual = db.connections?.().open ?? 0;
    for (let i = 0; i < 60; i++) {
      proxy.reset();
      await some().catch(() => {});
    }
    await some();
    const { open, busy, waiting } = db.connections?.() ?? {};
    expect([open, busy, waiting]).toEqual([expect.toSatisfy((n) => n >= 1 && n <= usual + 1), 0, 0]);
  } finally {
    await db.close();
    await proxy.close();
    await database.drop();
  }
});

// The server has a certificate of its own making from the start; MariaDB has none.
test('mysql over TLS: 20 lists that are cut short leave no connection behind', async () => {
  const database = await migratedDatabase('mysql');
  const db = await openDb(`${database.url}?ssl=skip-verify`);
  try {
    for (let i = 0; i < 20; i++) await db.scan('SELECT 1 UNION SELECT 2', [], () => false);
    expect(db.connections?.().open).toBeLessThan(3);
  } finally {
    await db.close();
    await database.drop();
  }
});
