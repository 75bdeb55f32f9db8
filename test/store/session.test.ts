// Nothing depends on what a server, an account or a proxy has set for a session: each connection of ours sets its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openDb } from '../../src/store/open.ts';
import { cli, connected, dropped, type Env, kept, start } from '../support/cli.ts';
import { type Engine, emptyDatabase, migratedDatabase, pathOf, startService } from '../support/engines.ts';
import { startOpposite } from '../support/opposite.ts';
import { connectTo, startServer } from '../support/servers.ts';

const SERVERS = ['mariadb', 'mysql'] satisfies Engine[];
const KEY = '5e'.repeat(32);

/** The exit code of the doctor, and what one check of it has found. */
async function examined(check: string, env: Env) {
  const { code, out } = await cli(['doctor', '--json'], { SECRETS_KEY: KEY, ...env });
  const { checks } = JSON.parse(out) as {
    checks: { check: string; state: string; found: string; fix: string | null }[];
  };
  return { code, ...checks.find((one) => one.check === check) };
}

/** A migrated database of its own on a server of its own. */
async function migratedOn(server: { url: string; stop(): Promise<void> }): Promise<string> {
  kept(server, (one) => one.stop());
  const root = await connected(server.url);
  await root.query('CREATE DATABASE app');
  const url = `${server.url}app`;
  expect(await cli(['migrate', '--create-base'], { DATABASE_URL: url })).toMatchObject({ code: 0 });
  return url;
}

describe.each(SERVERS)('%s with the opposite of each setting', (engine) => {
  test('what was answered with 2xx is there after a stop, and no reader holds a table', async () => {
    const url = await migratedOn(await startOpposite(engine));
    const root = await connected(url);
    // Written to by another application, in its own time.
    await root.query('ALTER TABLE tblwh ADD made DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP');
    const added = await cli(['user', 'add', '--write-tbluser', '--json'], { DATABASE_URL: url });
    const { id } = JSON.parse(added.out) as { id: number };
    const rotated = await cli(['user', 'rotate', String(id), '--write-tbluser', '--json'], { DATABASE_URL: url });
    const { token } = JSON.parse(rotated.out) as { token: string };
    const auth = `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;

    const service = await startService(url);
    const webhook = await service.webhook({ id, token, auth }, { preset: 'stripe' });
    const plain = await service.webhook({ id, token, auth });
    for (let i = 0; i < 5; i++) {
      const sent = await fetch(service.url + pathOf(webhook), { method: 'POST', body: `{"n":${i}}` });
      expect(sent.status).toBe(200);
      expect((await fetch(service.url + pathOf(plain), { method: 'POST', body: `${i}` })).status).toBe(200);
    }
    await service.settle();
    const list = await fetch(`${service.url}/whcontent?whid=all&limit=100`, { headers: { authorization: auth } });
    expect(list.status).toBe(200);
    expect(((await list.json()) as { whcontent: object[] }).whcontent).toHaveLength(5);
    // All connections that have read are idle now: none has a transaction open.
    await root.query('SET SESSION lock_wait_timeout = 2');
    await root.query('ALTER TABLE restante_refusal COMMENT = "seen"');
    await service.close();

    const count = async (what: string) =>
      ((await root.query(`SELECT COUNT(*) AS n FROM ${what}`))[0] as { n: number }[])[0]?.n;
    expect([await count("restante_refusal WHERE kind = 'secret_missing'"), await count('tblwh')]).toEqual([5, 5]);
    // Our own time is UTC; a column of another application has its server's, as ever.
    expect(await count('tblwh WHERE TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), made) BETWEEN 328 AND 330')).toBe(5);
    const { db } = kept(await startService(url), (one) => one.close()).store;
    const [row] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
    expect(Math.abs(Number(row?.now) - Date.now())).toBeLessThan(5_000);
  });

  test('serve listens', async () => {
    const url = await migratedOn(await startOpposite(engine));
    const program = start(['serve'], { DATABASE_URL: url, SECRETS_KEY: KEY, PORT: '0' });
    await program.saying(/"listening"/);
    expect(await examined('session', { DATABASE_URL: url })).toMatchObject({ code: 0, state: 'ok' });
  });
});

test.each(SERVERS)('%s: an hour that exists twice has two times', async (engine) => {
  const server = kept(await startServer(engine, { zone: 'Europe/Berlin' }), (one) => one.stop());
  const db = kept(await openDb(`${server.url}mysql`), (one) => one.close());
  // 2026-10-25, 02:59:59 in summer, and the second after it: 02:00:00 in winter.
  for (const time of [1_792_889_999, 1_792_890_000, 1_792_893_600])
    await db.transaction(async (queries) => {
      // As behind a proxy that does not pass on what we set.
      await queries.ddl("SET SESSION time_zone = 'SYSTEM'");
      await queries.ddl(`SET SESSION timestamp = ${time}`);
      const [row] = await queries.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
      expect(Number(row?.now)).toBe(time * 1000);
    });
});

// The server refuses to set the clock of a session, also to what it is.
test('a setting that a server refuses is left out, and all others are set', async () => {
  const server = kept(await startServer('mariadb', { args: ['--secure-timestamp=YES', '--autocommit=0'] }), (one) =>
    one.stop(),
  );
  const db = kept(await openDb(`${server.url}mysql`), (one) => one.close());
  const read = () =>
    db.all<{ autocommit: number; mode: string }>('SELECT @@autocommit AS autocommit, @@sql_mode AS mode');
  const all = await Promise.all(Array.from({ length: 8 }, read));
  for (const [row] of all) expect(row).toEqual({ autocommit: 1, mode: expect.stringContaining('STRICT_ALL_TABLES') });
});

describe.each(SERVERS)('%s, where another application has changed tblwh.content', (engine) => {
  const SPACES = Buffer.from('a'.repeat(65_535) + ' '.repeat(5_000));
  test.each([
    ['LONGTEXT CHARACTER SET utf8mb4', [Buffer.from('J\xfcrgen', 'latin1')], [Buffer.from('Jürgen')]],
    ['TEXT CHARACTER SET latin1', [Buffer.alloc(70_000, 'a'), SPACES], [Buffer.alloc(65_535, ' ')]],
    ['LONGTEXT CHARACTER SET ucs2', [Buffer.from('abc')], [Buffer.from('abcd')]],
    ['CHAR(10) CHARACTER SET latin1', [Buffer.from('a ')], [Buffer.from('a')]],
  ])('to %s: a body is stored as it came, or refused with a sentence', async (type, refused, taken) => {
    const { url } = dropped(await migratedDatabase(engine));
    const root = await connected(url);
    await root.query(`ALTER TABLE tblwh MODIFY content ${type} NOT NULL`);
    const service = kept(await startService(url), (one) => one.close());
    const user = await service.user();
    const webhook = await service.webhook(user);
    const send = async (body: Buffer<ArrayBuffer>) => {
      const answer = await fetch(service.url + pathOf(webhook), { method: 'POST', body });
      return { status: answer.status, text: await answer.text(), body };
    };
    const good = [...taken, Buffer.from('ok'), Buffer.from('fine')];
    const answers = await Promise.all([...refused, ...good].map(send));
    for (const { status, text, body } of answers) {
      expect(status, text).toBe(good.includes(body) ? 200 : 503);
      if (status === 503) expect(text).toMatch(/refuses this content, nothing was stored/);
    }
    const [rows] = await root.query('SELECT CAST(content AS BINARY) AS content FROM tblwh');
    const stored = (rows as { content: Buffer }[]).map(({ content }) => content.toString('hex')).sort();
    expect(stored).toEqual(good.map((body) => body.toString('hex')).sort());
    expect(service.log.lines.find(({ level }) => level === 'error')?.data).toMatchObject({
      cause: 'content-column',
      fix: expect.stringContaining('LONGTEXT CHARACTER SET latin1'),
    });
    const env = { DATABASE_URL: url, SECRETS_KEY: KEY, PORT: '0' };
    expect(await examined('columns', env)).toMatchObject({
      code: 1,
      state: 'fail',
      found: expect.stringMatching(/refused with 503/),
      fix: expect.stringContaining('LONGTEXT CHARACTER SET latin1'),
    });
    await start(['serve'], env).saying(/tblwh\.content is .*ALTER TABLE tblwh MODIFY content LONGTEXT/);
  });

  test('to a character set of single bytes: any bytes fit, and doctor says so', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    await (await connected(url)).query('ALTER TABLE tblwh MODIFY content LONGTEXT CHARACTER SET cp1251 NOT NULL');
    const service = kept(await startService(url), (one) => one.close());
    const user = await service.user();
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const sent = await fetch(service.url + pathOf(await service.webhook(user)), { method: 'POST', body });
    expect(sent.status).toBe(200);
    await service.settle();
    const [row] = await service.store.db.all<{ b: Buffer }>('SELECT CAST(content AS BINARY) AS b FROM tblwh');
    expect(row?.b).toEqual(body);
    expect(await examined('columns', { DATABASE_URL: url })).toMatchObject({ code: 0, state: 'ok' });
  });
});

test.each(SERVERS)(
  '%s with binlog_format = STATEMENT: doctor fails, serve says what to set, and then goes on',
  async (engine) => {
    const args = ['--log-bin=bin', '--server-id=1', '--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1'];
    const server = await startServer(engine, { args });
    const url = await migratedOn(server);
    const env = { DATABASE_URL: url, SECRETS_KEY: KEY, PORT: '0' };
    const { id, token } = JSON.parse((await cli(['user', 'add', '--write-tbluser', '--json'], env)).out);
    const root = await connectTo(server.url);
    kept(root, (one) => one.end());
    await root.query("SET GLOBAL binlog_format = 'STATEMENT'");
    expect(await examined('binlog', env)).toMatchObject({
      code: 1,
      state: 'fail',
      found: expect.stringContaining('binlog_format is STATEMENT'),
      fix: expect.stringContaining("SET GLOBAL binlog_format = 'ROW'"),
    });

    const program = start(['serve'], env);
    await program.saying(/"level":50.*SET GLOBAL binlog_format = 'ROW'/);
    const [, port] = await program.saying(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    const post = async () => {
      const headers = { authorization: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` };
      const answer = await fetch(`http://127.0.0.1:${port}/whcontent`, { method: 'POST', body: 'own', headers });
      return [answer.status, await answer.text()];
    };
    expect(await post()).toEqual([503, expect.stringContaining('The binary log of the database takes no rows')]);
    await root.query("SET GLOBAL binlog_format = 'ROW'");
    await sleep(100);
    expect((await post())[0]).toBe(201);
  },
);

test.each(SERVERS)('%s: an account that may do nothing but its work can set all of it', async (engine) => {
  const { url } = dropped(await emptyDatabase(engine));
  const root = await connected(url);
  const account = `bare${Math.random().toString(36).slice(2)}`;
  await root.query(`CREATE USER '${account}'@'%' IDENTIFIED BY 'secret'`);
  kept(root, (one) => one.query(`DROP USER '${account}'@'%'`));
  await root.query(`GRANT SELECT, INSERT ON ${new URL(url).pathname.slice(1)}.tblwh TO '${account}'@'%'`);
  const own = Object.assign(new URL(url), { username: account, password: 'secret' }).href;
  expect(await examined('session', { DATABASE_URL: own })).toMatchObject({ state: 'ok' });
});

test.each(SERVERS)(
  '%s with a column without a default: the doctor names it, and its statement helps',
  async (engine) => {
    const { url } = dropped(await migratedDatabase(engine));
    const root = await connected(url);
    await root.query(
      'ALTER TABLE tblwh ADD more VARCHAR(9) NOT NULL, ADD some INT NOT NULL DEFAULT 1, ADD made INT AS (api + 1) STORED',
    );
    const service = kept(await startService(url), (one) => one.close());
    const { auth } = await service.user();
    const post = async () =>
      (await fetch(`${service.url}/whcontent`, { method: 'POST', body: 'own', headers: { authorization: auth } }))
        .status;
    expect(await post()).toBe(503);
    const told = await examined('columns', { DATABASE_URL: url });
    expect(told).toMatchObject({ code: 1, state: 'fail', found: expect.stringMatching(/^tblwh\.more: /) });
    await root.query((told.fix ?? '').replace(/^.*?: /, '').replace('…', "''"));
    expect(await post()).toBe(201);
    expect(await examined('columns', { DATABASE_URL: url })).toMatchObject({ state: 'ok' });
  },
);
