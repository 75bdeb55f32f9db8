// Contents that were there before their positions: they are found though the database fails when the search begins.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createSweep } from '../../src/reading/sequencer.ts';
import type { Db } from '../../src/store/db.ts';
import { openDb } from '../../src/store/open.ts';
import { type Database, ENGINES, migratedDatabase, startService, testLog } from '../support/engines.ts';

describe.each(ENGINES)('%s', (engine) => {
  let database: Database;
  let db: Db;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    await (await startService(database.url)).close(); // SQLite makes its tables itself
    db = await openDb(database.url);
  });
  afterAll(async () => {
    await db?.close();
    await database?.drop();
  });

  test('a search that fails is told once for its cause, and goes on by itself', async () => {
    const ids = await db.insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [1, 2, 3].map((user) => ['x', '', 1, '', user, 1]),
    );
    const log = testLog();
    await db.ddl('ALTER TABLE restante_position RENAME TO elsewhere');
    const sweep = createSweep({ db, from: 0, to: ids.at(-1) as number, readableId: () => 0, log });
    onTestFinished(() => sweep.close());
    await sleep(700);
    expect(sweep.take()).toEqual([]);
    expect(log.lines).toEqual([
      {
        level: 'warn',
        message: 'cannot look for contents without a position; trying again',
        data: expect.objectContaining({ times: 1, error: expect.objectContaining({ failure: 'missing' }) }),
      },
    ]);
    await db.ddl('ALTER TABLE elsewhere RENAME TO restante_position');
    await expect.poll(() => sweep.take().map(({ id }) => id), { timeout: 3_000 }).toEqual(ids);
  });
});
