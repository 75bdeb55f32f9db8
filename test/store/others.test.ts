// The shared tables as others have made them: rows that cannot be read or placed, views, other engines, indexes that come and go.
import { createConnection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { openDb } from '../../src/store/open.ts';
import { cli, connected, dropped, kept } from '../support/cli.ts';
import {
  type Engine,
  emptyDatabase,
  migratedDatabase,
  onEveryEngine,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { startServer } from '../support/servers.ts';

interface Item {
  readonly id: number;
  readonly content: string | null;
  readonly wh_id: number;
  readonly unreadable?: string;
}
const serviceOn = async (url: string): Promise<Service> => kept(await startService(url), (one) => one.close());
const asker =
  (service: Service, { auth }: TestUser) =>
  (path: string, body?: unknown) =>
    fetch(`${service.url}${path}`, {
      headers: { authorization: auth, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    });

async function listOf(service: Service, user: TestUser): Promise<Item[]> {
  const answer = await asker(service, user)('/whcontent?whid=all&limit=100');
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { whcontent: Item[] }).whcontent;
}

/** Pulls until nothing comes, and acks all. */
async function pullAll(service: Service, user: TestUser): Promise<Item[]> {
  const ask = asker(service, user);
  const items: Item[] = [];
  for (let ack: string | undefined, empty = 0; empty < 2; ) {
    const answer = await ask('/consumers/c/pull', { limit: 100, wait: 0, start: 'earliest', ...(ack ? { ack } : {}) });
    expect(answer.status).toBe(200);
    const page = (await answer.json()) as { items: Item[]; lease: string | null };
    items.push(...page.items);
    ack = page.lease ?? undefined;
    empty = page.items.length === 0 ? empty + 1 : 0;
  }
  return items;
}

const LOOSE: Readonly<Record<Engine, readonly string[]>> = {
  mariadb: [
    'ALTER TABLE tblwh MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, MODIFY content LONGTEXT NULL, MODIFY user_id BIGINT NULL, MODIFY wh_id BIGINT NULL, MODIFY ip VARCHAR(15) NULL, MODIFY api TINYINT(1) NULL, MODIFY dt VARCHAR(30) NULL',
    'ALTER TABLE tblwhid MODIFY wh_name VARCHAR(45) NULL, MODIFY wh_url VARCHAR(255) NULL, MODIFY status TINYINT(1) NULL',
  ],
  get mysql() {
    return this.mariadb;
  },
  sqlite: [
    'CREATE TABLE tbluser (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, phone TEXT NOT NULL, token TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, pwd TEXT NOT NULL)',
    'CREATE TABLE tblwhid (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL, wh_url TEXT, wh_name TEXT, status INTEGER)',
    'CREATE TABLE tblwh (id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT, ip TEXT, api INTEGER, dt TEXT, user_id INTEGER, wh_id INTEGER)',
  ],
};

onEveryEngine('rows that cannot be read or placed', (engine) => {
  test('are told or left out, and everybody goes on; doctor names them', async () => {
    const database = dropped(await (engine === 'sqlite' ? emptyDatabase(engine) : migratedDatabase(engine)));
    const db = kept(await openDb(database.url), (one) => one.close());
    for (const sql of LOOSE[engine]) await db.ddl(sql);
    const service = await serviceOn(database.url);
    const [ana, ben] = [await service.user(), await service.user()];
    await db.ddl(`INSERT INTO tblwhid (id, user_id) VALUES (77, ${ana.id})`);
    const add = (values: string, id = '') =>
      db.ddl(
        `INSERT INTO tblwh (${id && 'id, '}content, ip, api, dt, user_id, wh_id) VALUES (${id && `${id}, `}${values})`,
      );
    await add(`'first', '1.1.1.1', 1, 'today', ${ana.id}, 77`);
    await add(`NULL, '1.1.1.1', 1, 'today', ${ana.id}, 77`);
    await add(`'no user', '1.1.1.1', 1, 'today', NULL, 77`);
    await add(`'a huge user', '1.1.1.1', 1, 'today', 9007199254740995, 77`);
    await add(`'a user below zero', '1.1.1.1', 1, 'today', -5, 77`);
    await add(`'no webhook', '1.1.1.1', 1, 'today', ${ana.id}, NULL`);
    await add(`'a webhook below zero', '1.1.1.1', 1, 'today', ${ana.id}, -1`);
    await add(`'a huge webhook', '1.1.1.1', 1, 'today', ${ana.id}, 9007199254740995`);
    await add(`'nothing else', NULL, NULL, NULL, ${ana.id}, 77`);
    await add(`'of ben', '1.1.1.1', 1, 'today', ${ben.id}, 0`);
    await add(`'last', '1.1.1.1', 1, 'today', ${ana.id}, 77`);
    await service.settle();

    const expected = [
      ['first', 77],
      [null, 77],
      ['no webhook', 0],
      ['a webhook below zero', 0],
      ['a huge webhook', 0],
      ['nothing else', 77],
      ['last', 77],
    ];
    const list = await listOf(service, ana);
    expect(list.map(({ content, wh_id }) => [content, wh_id])).toEqual(expected);
    expect(list[1]).toMatchObject({ unreadable: expect.stringContaining('NULL') });
    expect(list[0]).not.toHaveProperty('unreadable');
    expect(list[5]).toMatchObject({ ip: '', api: 0, dt: '' });
    expect((await listOf(service, ben)).map(({ content }) => content)).toEqual(['of ben']);
    const ask = asker(service, ana);
    const absent = list[1]?.id;
    expect(await (await ask(`/whcontent/${absent}`)).json()).toMatchObject({ content: null, id: absent });
    const raw = await ask(`/whcontent/${absent}/raw`);
    expect([raw.status, await raw.json()]).toMatchObject([409, { detail: expect.stringContaining('NULL') }]);
    expect((await ask(`/whcontent/${absent}/trace`)).status).toBe(200);
    expect(await (await ask('/webhooks')).json()).toEqual({
      webhooks: [{ wh_id: 77, wh_url: '', wh_name: '', status: 0 }],
    });
    const found = await ask('/whcontent?whid=all&q=last');
    expect(((await found.json()) as { whcontent: Item[] }).whcontent.map(({ content }) => content)).toEqual(['last']);

    // A consumer gets all others, and the reason for this one among its dead letters.
    const pulled = await pullAll(service, ana);
    expect(pulled.map(({ content }) => content)).toEqual(
      expected.map(([content]) => content).filter((one) => one !== null),
    );
    const dead = (await (await ask('/consumers/c/dead')).json()) as { dead: object[] };
    expect(dead.dead).toMatchObject([{ id: absent, reason: expect.stringContaining('cannot be read') }]);

    // Beyond all ids, also beyond what a number holds: these are left out, and the lists still go on.
    await add(`'beyond', '1.1.1.1', 1, 'today', ${ana.id}, 77`, '9007199254740999');
    if (engine !== 'sqlite') await add(`'far beyond', '1.1.1.1', 1, 'today', ${ana.id}, 77`, '18446744073709551000');
    await service.settle();
    expect((await listOf(service, ana)).map(({ content }) => content)).toEqual(expected.map(([content]) => content));
    expect((await listOf(service, ben)).length).toBe(1);
    const latest = await ask('/whcontent?whid=all&id=latest');
    expect(((await latest.json()) as { next_id: number }).next_id).toBeLessThan(4_294_967_295);

    const again = await serviceOn(database.url);
    await expect
      .poll(() => again.log.lines.map(({ message }) => message))
      .toContainEqual(expect.stringContaining('ids that no content can have'));
    expect(service.log.lines.map(({ message }) => message)).toContainEqual(expect.stringContaining('name no user'));
    expect((await listOf(again, ana)).length).toBe(expected.length);

    const env = { DATABASE_URL: database.url, SECRETS_KEY: '5e'.repeat(32) };
    const { checks } = JSON.parse((await cli(['doctor', '--json'], env)).out) as {
      checks: { check: string; found: string; fix: string }[];
    };
    const rows = checks.find(({ check }) => check === 'rows');
    expect(rows).toMatchObject({ state: 'fail', fix: expect.stringContaining(`WHERE id IN (${absent})`) });
    for (const words of ['beyond', 'NULL', 'no user', 'no webhook']) expect(rows?.found).toContain(words);
    const exported = await cli(['export', '--user', String(ana.id)], env);
    expect(exported.code).toBe(0);
    expect(exported.out.trim().split('\n').length).toBe(expected.length);
    expect(exported.err).toContain(`content ${absent}`);
  });
});

describe.each(['mariadb', 'mysql'] as const)('on %s', (engine) => {
  const migrated = async () => {
    const database = dropped(await migratedDatabase(engine));
    return { url: database.url, admin: await connected(database.url) };
  };

  test.each([
    [
      'tblwh is a view',
      ['RENAME TABLE tblwh TO real_wh', 'CREATE VIEW tblwh AS SELECT * FROM real_wh'],
      /tblwh is a view/,
    ],
    [
      'tblwhid is a view',
      ['RENAME TABLE tblwhid TO real_whid', 'CREATE VIEW tblwhid AS SELECT * FROM real_whid'],
      /tblwhid is a view/,
    ],
    ['tblwh is MyISAM', ['ALTER TABLE tblwh ENGINE = MyISAM'], /tblwh is MyISAM/],
    ['a table of ours is in memory', ['ALTER TABLE restante_key ENGINE = MEMORY'], /restante_key is MEMORY/],
    ['user_id is text', ['ALTER TABLE tblwh MODIFY user_id VARCHAR(20) NOT NULL'], /tblwh.user_id is varchar/],
    ['ids are not given', ['ALTER TABLE tblwh MODIFY id INT UNSIGNED NOT NULL'], /not AUTO_INCREMENT/],
  ])('%s: serve and migrate say so and end with exit code 2, and so does doctor', async (_name, statements, said) => {
    const { url, admin } = await migrated();
    for (const sql of statements) await admin.query(sql);
    const env = { DATABASE_URL: url, PORT: '0', SECRETS_KEY: '5e'.repeat(32) };
    const served = await cli(['serve'], env);
    expect([served.code, served.err]).toEqual([2, expect.stringMatching(said)]);
    if (!/view|MyISAM/.test(String(said))) return;
    expect(await cli(['migrate'], env)).toMatchObject({ code: 2, err: expect.stringMatching(said) });
    const { code, out } = await cli(['doctor', '--json'], env);
    const { checks } = JSON.parse(out) as { checks: { check: string }[] };
    expect(code).toBe(1);
    expect(checks.find(({ check }) => check === 'tables')).toMatchObject({
      state: 'fail',
      found: expect.stringMatching(said),
    });
  });

  test('a table of users that is a view, and a partitioned tblwh, are as good as any', async () => {
    const { url, admin } = await migrated();
    await admin.query('RENAME TABLE tbluser TO people');
    await admin.query('CREATE VIEW tbluser AS SELECT id, email, phone, token, status, pwd FROM people');
    await admin.query('ALTER TABLE tblwh PARTITION BY HASH (id) PARTITIONS 4');
    const service = await serviceOn(url);
    const user = await service.user();
    expect((await asker(service, user)('/whcontent', { content: 'here' })).status).toBe(201);
    expect((await listOf(service, user)).map(({ content }) => content)).toEqual(['here']);
  });

  test('an index that is renamed, hidden or dropped is not named any more, and lists and consumers go on; doctor tells', async () => {
    const { url, admin } = await migrated();
    await admin.query('ALTER TABLE tblwh ADD INDEX restante_user_wh (user_id, wh_id, id)');
    const service = await serviceOn(url);
    const user = await service.user();
    const ask = asker(service, user);
    const indexOf = async () => {
      const { out } = await cli(['doctor', '--json'], { DATABASE_URL: url, SECRETS_KEY: '5e'.repeat(32) });
      const { checks } = JSON.parse(out) as { checks: { check: string; state: string; fix: string | null }[] };
      return ['index', 'tables'].map((name) => checks.find(({ check }) => check === name));
    };
    const works = async () => {
      const posted = (await (await ask('/whcontent', { content: 'here' })).json()) as { id: number };
      const answers = ['whid=0&order=desc', 'whid=0', 'whid=0&q=here', 'whid=all&order=desc'].map((query) =>
        ask(`/whcontent?${query}&limit=100`),
      );
      for (const answer of await Promise.all(answers)) {
        expect(answer.status).toBe(200);
        expect(((await answer.json()) as { whcontent: Item[] }).whcontent.some(({ id }) => id === posted.id)).toBe(
          true,
        );
      }
      expect((await ask('/consumers/c/pull', { start: 'earliest' })).status).toBe(200);
      expect((await ask('/activity')).status).toBe(200);
    };
    await works();
    const hidden = engine === 'mariadb' ? 'IGNORED' : 'INVISIBLE';
    await admin.query(`ALTER TABLE tblwh ALTER INDEX restante_user_wh ${hidden}`);
    await works();
    expect((await indexOf())[0]).toMatchObject({ state: 'warn' });
    await admin.query(
      `ALTER TABLE tblwh ALTER INDEX restante_user_wh ${engine === 'mariadb' ? 'NOT IGNORED' : 'VISIBLE'}`,
    );
    await works();
    expect((await indexOf())[0]).toMatchObject({ state: 'ok' });
    await admin.query('ALTER TABLE tblwh RENAME INDEX restante_user_wh TO other');
    await works();
    await admin.query('ALTER TABLE tblwh DROP INDEX other');
    await admin.query('ALTER TABLE restante_position DROP INDEX ix_user');
    await works();
    const [index, tables] = await indexOf();
    expect(index).toMatchObject({ state: 'warn', fix: expect.stringContaining('migrate --index') });
    expect(tables).toMatchObject({
      state: 'warn',
      fix: expect.stringContaining('ADD KEY ix_user (user_id, pos, wh_id)'),
    });
    await admin.query(/ALTER TABLE [^;]*?\)/.exec(tables?.fix ?? '')?.[0] ?? '');
    expect((await indexOf())[1]).toMatchObject({ state: 'ok' });
  });

  test('migrate runs on a database whose name has 64 characters, and two at once wait for each other', async () => {
    const server = new URL((await migrated()).url);
    const name = `r${'x'.repeat(46)}_${Math.random().toString(36).slice(2, 10).padEnd(16, 'y')}`;
    const admin = await connected(server.href.replace(/[^/]*$/, ''));
    for (const length of [55, 56, 64]) {
      const database = name.slice(-length);
      await admin.query(`CREATE DATABASE ${database}`);
      kept(database, async () => {
        const again = await createConnection(server.href.replace(/[^/]*$/, ''));
        await again.query(`DROP DATABASE ${database}`);
        await again.end();
      });
      const env = { DATABASE_URL: server.href.replace(/[^/]*$/, database) };
      const both = await Promise.all([cli(['migrate', '--create-base'], env), cli(['migrate', '--create-base'], env)]);
      // Of two at once the second may find that the first has made the shared tables.
      expect(both.filter(({ code }) => code === 0).length, both.map(({ err }) => err).join()).toBeGreaterThan(0);
      expect((await cli(['migrate', '--check'], env)).code).toBe(0);
    }
  });

  test('max_allowed_packet: a small one gives a smaller limit, a tiny one no start, and one that was lowered hides one content', async () => {
    const server = kept(await startServer(engine, { args: ['--max-allowed-packet=16M'] }), (one) => one.stop());
    const admin = kept(await createConnection(server.url), (one) => one.end());
    await admin.query('CREATE DATABASE small');
    const url = `${server.url}small`;
    expect((await cli(['migrate', '--create-base'], { DATABASE_URL: url })).code).toBe(0);
    const first = await serviceOn(url);
    const user = await first.user();
    const sizes = [3_000_000, 10];
    for (const size of sizes) {
      const posted = await fetch(`${first.url}/whcontent`, {
        method: 'POST',
        headers: { authorization: user.auth },
        body: 'x'.repeat(size),
      });
      expect(posted.status).toBe(201);
    }
    const set = (kib: number) => admin.query(`SET GLOBAL max_allowed_packet = ${kib * 1024}`);
    const env = { DATABASE_URL: url, PORT: '0', SECRETS_KEY: '5e'.repeat(32) };
    for (const kib of [16, 128]) {
      await set(kib);
      expect(await cli(['serve'], env)).toMatchObject({
        code: 2,
        err: expect.stringContaining('max_allowed_packet = 67108864'),
      });
    }
    for (const kib of [256, 1024, 2048]) {
      await set(kib);
      const service = await startService(url);
      const most = kib * 1024 - Math.max(128, kib / 4) * 1024;
      const webhook = await service.webhook(user);
      const to = webhook.wh_url.replace(/^https?:\/\/[^/]+/, service.url);
      const headers = { 'x-long': 'y'.repeat(60_000) };
      expect((await fetch(to, { method: 'POST', body: Buffer.alloc(most, 1), headers })).status).toBe(200);
      const over = await fetch(to, { method: 'POST', body: Buffer.alloc(most + 1, 1) });
      expect([over.status, await over.text()]).toEqual([413, expect.stringContaining(`${most} bytes`)]);
      const own = await fetch(`${service.url}/whcontent`, {
        method: 'POST',
        headers: { authorization: user.auth },
        body: Buffer.alloc(most, 2),
      });
      const { id } = (await own.json()) as { id: number };
      const raw = await fetch(`${service.url}/whcontent/${id}/raw`, { headers: { authorization: user.auth } });
      expect(Buffer.from(await raw.arrayBuffer()).equals(Buffer.alloc(most, 2))).toBe(true);
      await service.close();
    }
    await set(1024);
    const service = await serviceOn(url);
    const list = await listOf(service, user);
    expect(list[1]?.content).toBe('x'.repeat(10));
    // MySQL gives it all the same.
    if (engine === 'mysql') expect(list[0]?.content?.length).toBe(3_000_000);
    else {
      expect(list[0]).toMatchObject({ content: null, unreadable: expect.stringContaining('max_allowed_packet') });
      const { checks } = JSON.parse((await cli(['doctor', '--json'], env)).out) as { checks: { check: string }[] };
      expect(checks.find(({ check }) => check === 'rows')).toMatchObject({
        state: 'warn',
        fix: expect.stringContaining('SET GLOBAL max_allowed_packet'),
      });
    }
    const pulled = await pullAll(service, user);
    expect(pulled.some(({ content }) => content === 'x'.repeat(10))).toBe(true);
  });
});
