// From every level that a database may stand at to the newest: nothing is lost, and everything works there.
import { afterEach, expect, test } from 'vitest';
import { backfill, migrate } from '../../src/store/migrate/migrate.ts';
import { BASE, STEPS } from '../../src/store/migrate/steps.ts';
import { openDb } from '../../src/store/open.ts';
import { type Database, emptyDatabase, onEveryEngine, pathOf, type Service, startService } from '../support/engines.ts';

const ROWS = 7;

onEveryEngine('upgrades', (engine) => {
  const kind = engine === 'sqlite' ? 'sqlite' : 'mysql';
  let database: Database;
  let service: Service | undefined;
  afterEach(async () => {
    await service?.close();
    service = undefined;
    await database.drop();
  });

  // A server takes a second for all the steps; SQLite goes through every level.
  const all = STEPS.map((_, done) => done);
  test.each(engine === 'sqlite' ? all : [0, all.length >> 1, all.length - 1])('with %i steps done', async (done) => {
    database = await emptyDatabase(engine);
    const db = await openDb(database.url);
    const had = (await db.all('SELECT 1 AS x FROM tblwh LIMIT 1').catch(() => undefined)) !== undefined;
    if (!had) for (const sql of Object.values(BASE)) await db.ddl(sql[kind]);
    for (const sql of STEPS.slice(0, done)) await db.ddl(sql[kind]);
    if (done > 0) {
      await db.run("DELETE FROM restante_meta WHERE k = 'schema'");
      await db.insert('restante_meta', ['k', 'v'], [['schema', done]]);
    }
    await db.insert(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      Array.from({ length: ROWS }, (_, i) => [Buffer.from(`old ${i}`), '127.0.0.1', 1, '2026-01-01 00:00:00', 1, 5]),
    );
    if (kind === 'mysql') {
      await migrate(db, false, () => {});
      await backfill(db, () => {});
    }
    await db.close();
    service = await startService(database.url);
    const user = await service.user();
    expect(user.id).toBe(1);
    const call = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch((service as Service).url + path, {
        method,
        headers: { authorization: user.auth },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      expect(answer.status).toBeLessThan(300);
      return answer.json() as Promise<{ items: { content: string }[]; whcontent: { content: string }[] }>;
    };
    const webhook = await service.webhook(user, { preset: 'github' });
    expect(
      (await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'kept until its secret comes' })).status,
    ).toBe(200);
    await call('POST', '/whcontent?content=new');
    await service.settle();
    const contents = [...Array.from({ length: ROWS }, (_, i) => `old ${i}`), 'new'];
    expect((await call('GET', '/whcontent?whid=all&limit=100')).whcontent.map(({ content }) => content)).toEqual(
      contents,
    );
    const { items } = await call('POST', '/consumers/u/pull', { start: 'earliest', limit: 100 });
    expect(items.map(({ content }) => content)).toEqual(contents);
  });
});
