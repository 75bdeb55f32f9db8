// The start of reading on a database that fails: tried again with pauses, told by its cause, and done when the failure ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openReading } from '../../src/reading/open.ts';
import { StoreError, type Transaction, type Value } from '../../src/store/db.ts';
import { openStore } from '../../src/store/open.ts';
import { migratedDatabase, testLog } from '../support/engines.ts';

const COLUMNS = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];

test.each(['mariadb', 'mysql'] as const)('%s: a start that fails does not keep the database busy', async (engine) => {
  const database = await migratedDatabase(engine);
  const store = await openStore(database.url);
  const { db } = store;
  const [id] = await db.insertIds('tblwh', COLUMNS, [['x', '', 1, '', 1, 1]]);
  const log = testLog();
  let transactions = 0;
  let failing = true;
  const counted = {
    ...db,
    // As after a restart of the server, which is none of the failures that end a start.
    transaction(work: (queries: Transaction) => Promise<unknown>, who: 'writer' | 'others') {
      transactions++;
      return db.transaction((queries) => {
        const all = (sql: string, params?: readonly Value[]) =>
          failing && sql.includes('COUNT(*)')
            ? Promise.reject(new StoreError('other', new Error('the database was restarted')))
            : queries.all(sql, params);
        return work({ ...queries, all: all as Transaction['all'] });
      }, who);
    },
  } as typeof db;
  const config = { maxPageBytes: 1e6, fenceNodes: [], fenceMaxHold: undefined };
  const opening = openReading({ store: { ...store, db: counted }, config, log, content: async () => undefined });
  try {
    await sleep(1_000);
    // Four tries of three each, and what comes before them; without a pause it is hundreds.
    expect(transactions).toBeLessThan(25);
    expect(log.lines.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        message: 'cannot begin to read contents; trying again',
        data: expect.objectContaining({ times: 1, error: expect.objectContaining({ failure: 'other' }) }),
      },
    ]);
  } finally {
    failing = false;
    const reading = await opening;
    await expect.poll(() => reading.tail.readableId, { timeout: 5_000 }).toBe(id);
    await reading.close();
    await store.close();
    await database.drop();
  }
});
