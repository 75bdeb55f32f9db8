// A database that falls silent: its machine is gone without a word, or a firewall has forgotten the connection. Nothing waits for it for ever.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { failed } from '../../src/store/db.ts';
import { openDb } from '../../src/store/open.ts';
import { dropped, kept } from '../support/cli.ts';
import { migratedDatabase } from '../support/engines.ts';
import { startProxy } from '../support/proxy.ts';

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  // What a connection has not prepared yet is prepared first, which the driver puts no limit to.
  test('a statement that is new to a connection ends in time, in and out of transactions, and so does a scan', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const proxy = kept(await startProxy(Number(new URL(url).port)), (one) => one.close());
    const behind = new URL(url);
    behind.port = String(proxy.port);
    const db = kept(await openDb(behind.href), (one) => {
      proxy.silence(false);
      return one.close();
    });
    await db.all('SELECT 1');
    await db.transaction((queries) => queries.all('SELECT 1'));
    await db.transaction((queries) => queries.all('SELECT 1'), 'writer');
    proxy.silence(true);
    const began = performance.now();
    const calls = {
      read: db.all('SELECT 2'),
      transaction: db.transaction((queries) => queries.all('SELECT 3')),
      writer: db.transaction((queries) => queries.all('SELECT 4'), 'writer'),
      scan: db.scan('SELECT 5', [], () => true),
    };
    const ended = Object.entries(calls).map(async ([name, call]) => {
      const late = sleep(20_000, 'it waits still');
      const how = await Promise.race([
        call.then(() => 'answered').catch((error) => (failed(error, 'away') ? 'away' : error)),
        late,
      ]);
      return [name, how];
    });
    expect(await Promise.all(ended)).toEqual(Object.keys(calls).map((name) => [name, 'away']));
    expect(performance.now() - began).toBeLessThan(15_000);
    proxy.silence(false);
    expect(await db.all('SELECT 6 AS six')).toEqual([{ six: 6 }]);
  });
});
