// `restante migrate` on real servers: what it adds, what it never touches, the rights it asks for.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { describe, expect, inject, test } from 'vitest';
import { STEPS } from '../../src/store/migrate/steps.ts';
import { BASE, cli, connected, dropped, kept, start, tablesOf } from '../support/cli.ts';
import { emptyDatabase, migratedDatabase, pathOf, startService } from '../support/engines.ts';

describe.each(['mariadb', 'mysql'] as const)('on %s', (engine) => {
  const empty = async (base = true) => {
    const database = dropped(await emptyDatabase(engine, base));
    return { env: { DATABASE_URL: database.url }, admin: await connected(database.url) };
  };

  test('migrate --check says what is missing, migrate adds it, and the second time there is nothing to do', async () => {
    const { env, admin } = await empty();
    const before = await cli(['migrate', '--check'], env);
    expect([before.code, before.out]).toEqual([1, expect.stringContaining('missing: the restante_* tables')]);
    expect(await tablesOf(admin)).toEqual(BASE);
    expect((await cli(['migrate'], env)).code).toBe(0);
    expect(await cli(['migrate', '--check'], env)).toMatchObject({
      code: 0,
      out: expect.stringContaining('all tables are there'),
    });
    const tables = await tablesOf(admin);
    expect(await cli(['migrate'], env)).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing to do'),
      err: '',
    });
    expect(await tablesOf(admin)).toEqual(tables);
  });

  test('migrate --print changes nothing, and its SQL run by hand is the whole migration', async () => {
    const { env, admin } = await empty();
    const { code, out } = await cli(['migrate', '--print'], env);
    expect(code).toBe(0);
    expect(await tablesOf(admin)).toEqual(BASE);
    expect(out).not.toContain('DO 0');
    for (const sql of out.split(/;\n/)) if (sql.trim()) await admin.query(sql);
    expect(await cli(['migrate', '--check'], env)).toMatchObject({ code: 0 });
    expect((await cli(['migrate', '--print'], env)).out).toBe('');
  });

  test('migrate goes on where an earlier one was interrupted, and two at once do not disturb each other', async () => {
    const { env, admin } = await empty();
    for (const step of [0, 1, 3]) await admin.query(STEPS[step]?.mysql ?? '');
    await admin.query("INSERT INTO restante_meta (k, v) VALUES ('schema', 1)");
    const results = await Promise.all([cli(['migrate'], env), cli(['migrate'], env), cli(['migrate'], env)]);
    expect(results.map(({ code, err }) => [code, /Error/.test(err)])).toEqual(Array(3).fill([0, false]));
    expect((await cli(['migrate', '--check'], env)).code).toBe(0);
  });

  test('migrate --create-base makes the three tables as they always were, but not beside some of them', async () => {
    const { env, admin } = await empty(false);
    const refused = await cli(['migrate'], env);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--create-base')]);
    expect(await tablesOf(admin)).toEqual([]);
    expect((await cli(['migrate', '--create-base'], env)).code).toBe(0);
    const other = await empty();
    const ddl = async (connection: Connection, table: string) =>
      (await connection.query(`SHOW CREATE TABLE ${table}`))[0];
    for (const table of BASE) expect(await ddl(admin, table)).toEqual(await ddl(other.admin, table));
    await other.admin.query('DROP TABLE tblwhid');
    const partial = await cli(['migrate', '--create-base'], other.env);
    expect([partial.code, partial.err]).toEqual([2, expect.stringContaining('only tbluser, tblwh')]);
    expect(await tablesOf(other.admin)).toEqual(['tbluser', 'tblwh']);
  });

  test('migrate --index waits for a long transaction without making other writers wait for more than 3 s', async () => {
    const database = dropped(await migratedDatabase(engine));
    const env = { DATABASE_URL: database.url };
    const [long, writer] = [await connected(database.url), await connected(database.url)];
    const insert = "INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ('x', '', 1, '', 1, 1)";
    await long.query(insert);
    await long.query('START TRANSACTION');
    await long.query('SELECT COUNT(*) FROM tblwh');
    let done = false;
    const indexing = cli(['migrate', '--index'], env).finally(() => {
      done = true;
    });
    let slowest = 0;
    const began = Date.now();
    for (let held = true; !done; await sleep(20)) {
      const at = Date.now();
      await writer.query(insert);
      slowest = Math.max(slowest, Date.now() - at);
      if (held && Date.now() - began > 4_000) await long.query('COMMIT').then(() => (held = false));
    }
    const { code, out, err } = await indexing;
    expect([code, err, out]).toEqual([
      0,
      expect.stringContaining('trying again'),
      expect.stringContaining('index is there now'),
    ]);
    expect(err).toMatch(/about \d+ rows: roughly \d+ s and \d+ MB/);
    expect(slowest).toBeLessThan(3_000);
    expect(await cli(['migrate', '--index'], env)).toMatchObject({
      code: 0,
      out: expect.stringContaining('the index is there'),
    });
    const [keys] = await writer.query("SHOW INDEX FROM tblwh WHERE Column_name = 'wh_id'");
    expect(keys).toHaveLength(1);
  });

  test('what migrate --grants prints is all that the service and its verbs for webhooks need', async () => {
    const database = dropped(await migratedDatabase(engine));
    const [name, account] = [new URL(database.url).pathname.slice(1), `g_${randomBytes(6).toString('hex')}`];
    const { code, out, err } = await cli(['migrate', '--grants', `'${account}'@'%'`], { DATABASE_URL: database.url });
    expect([code, err]).toEqual([0, expect.stringContaining('docs/promises.md')]);
    expect(out).not.toMatch(/pwd|ALL PRIVILEGES|\*|CREATE|ALTER|DROP/);
    const admin = await connected(inject(engine));
    await admin.query(`CREATE USER '${account}'@'%' IDENTIFIED BY 'secret'`);
    kept(account, () => admin.query(`DROP USER '${account}'@'%'`));
    for (const sql of out.split(/;\n/)) if (sql.trim()) await admin.query(sql);
    const [url, token] = [
      Object.assign(new URL(database.url), { username: account, password: 'secret' }).href,
      'a-token',
    ];
    await admin.query(
      `INSERT INTO ${name}.tbluser (email, phone, token, status, pwd) VALUES ('', '', '${token}', 1, 'x')`,
    );
    const service = kept(await startService(url), (one) => one.close());
    expect(service.store.extended).toBe(true);
    const auth = `Basic ${Buffer.from(`1:${token}`).toString('base64')}`;
    const call = async (method: string, path: string, body?: object) => {
      const headers = { authorization: auth, ...(body ? { 'content-type': 'application/json' } : {}) };
      return fetch(service.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    };
    const made = await call('POST', '/webhooks', { wh_name: 'x', max_body_bytes: 5 });
    expect(made.status).toBe(201);
    const webhook = (await made.json()) as Parameters<typeof pathOf>[0];
    const post = (body: string) => fetch(service.url + pathOf(webhook), { method: 'POST', body });
    expect([(await post('bytes')).status, (await post('too large')).status]).toEqual([200, 413]);
    expect((await call('POST', '/whcontent?content=own')).status).toBe(201);
    await service.settle();
    const page = (await (await call('GET', '/whcontent?whid=all')).json()) as { whcontent: { id: number }[] };
    expect(page.whcontent).toHaveLength(2);
    expect((await call('DELETE', `/whcontent/${page.whcontent[0]?.id}`)).status).toBe(204);
    // Noted beside the answer, a moment later.
    await expect
      .poll(async () => ((await (await call('GET', '/refusals')).json()) as { refusals: object[] }).refusals)
      .toHaveLength(1);
    const at = `/webhooks/${webhook.wh_id}`;
    expect((await call('PATCH', at, { wh_name: 'y' })).status).toBe(200);
    expect((await call('POST', `${at}/rotate`, { grace_seconds: 0 })).status).toBe(200);
    expect((await call('GET', '/readyz')).status).toBe(200);
    expect((await call('DELETE', at)).status).toBe(204);
    expect(service.log.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
    // What is advised besides makes the promise an exact one.
    expect(service.parts.promise().code).toBe('settle');
    for (const line of err.matchAll(/^(GRANT .*);$/gm)) await admin.query(line[1] as string);
    const seeing = kept(await startService(url), (one) => one.close());
    expect(seeing.parts.promise().code).toBe('exact');
    expect(await cli(['migrate', '--check'], { DATABASE_URL: url })).toMatchObject({ code: 0 });
    const own = await connected(url);
    for (const sql of [
      'SELECT pwd FROM tbluser',
      "UPDATE tbluser SET token = ''",
      "UPDATE tblwh SET content = ''",
      'DROP TABLE tblwh',
    ])
      await expect(own.query(sql), sql).rejects.toThrow(/denied/);
    expect(await cli(['webhook', 'add', 'By hand', '--json'], { DATABASE_URL: url })).toMatchObject({
      code: 0,
      err: '',
    });
  });

  test('one mode at a time, and an empty account is none: nothing is migrated by a slip', async () => {
    const { env, admin } = await empty();
    for (const argv of [
      ['--grants', ''],
      ['--grants='],
      ['--grants', 'no such@account here'],
      ['--check', '--print'],
      ['--remove', '--grants'],
      ['--remove', '--yes', '--check'],
      ['--check', '--index'],
      ['--create-base', '--check'],
    ]) {
      const { code, out, err } = await cli(['migrate', ...argv], env);
      expect([code, out], argv.join(' ')).toEqual([2, '']);
      expect(err, argv.join(' ')).toMatch(/^restante: .*(one of them at a time|account must look like)/);
    }
    expect(await tablesOf(admin)).toEqual(BASE);
    const all = await cli(['migrate', '--print', '--index'], env);
    expect(all).toMatchObject({
      code: 0,
      out: expect.stringMatching(/CREATE TABLE[\s\S]*ALTER TABLE tblwh ADD INDEX/),
    });
  });

  test('migrate --grants names the account that the server sees, quotes another, and tells which verbs need more', async () => {
    const database = dropped(await migratedDatabase(engine));
    const env = { DATABASE_URL: database.url };
    const admin = await connected(inject(engine));
    const [rows] = await admin.query('SELECT CURRENT_USER() AS me');
    const [user, host] = ((rows as { me: string }[])[0]?.me ?? '').split('@');
    const own = await cli(['migrate', '--grants'], env);
    expect(own.out).toMatch(/^GRANT /);
    for (const line of own.out.trimEnd().split('\n'))
      expect(line.endsWith(` TO '${user}'@'${host}';`), line).toBe(true);
    expect(own.err).not.toContain('CREATE USER');

    const name = `g_${randomBytes(6).toString('hex')}`;
    const account = `'${name}'@'%'`;
    for (const text of [name, `${name}@%`, account])
      expect((await cli(['migrate', '--grants', text], env)).out).toContain(` TO ${account};`);
    const { out, err } = await cli(['migrate', '--grants', `${name}@%`], env);
    const [, create = ''] = /(CREATE USER .*)$/m.exec(err) ?? [];
    await admin.query(create);
    kept(account, () => admin.query(`DROP USER ${account}`));
    for (const sql of out.split(/;\n/)) if (sql.trim()) await admin.query(sql);
    const url = Object.assign(new URL(database.url), { username: name, password: 'a long password' }).href;
    const served = { DATABASE_URL: url };
    const denied = await cli(['user', 'add', '--write-tbluser'], served);
    expect(denied).toMatchObject({ code: 2, err: expect.stringMatching(/lacks a right.*migrate --grants/) });
    expect(await cli(['migrate', '--index'], served)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/lacks a right.*administrator/),
    });
    const [, more = ''] = /--write-tbluser: (GRANT .*)$/m.exec(err) ?? [];
    expect(more).not.toMatch(/SELECT \([^)]*pwd/);
    await admin.query(more);
    expect(await cli(['user', 'add', '--write-tbluser', '--email', 'ana@example.org'], served)).toMatchObject({
      code: 0,
    });
    expect((await cli(['user', 'list'], served)).out).toContain('ana@example.org');
    expect(await cli(['user', 'rotate', '1', '--write-tbluser'], served)).toMatchObject({ code: 0 });
  });

  test('migrate --remove drops our tables when told twice, and only ours', async () => {
    const database = dropped(await migratedDatabase(engine));
    const [env, admin] = [{ DATABASE_URL: database.url }, await connected(database.url)];
    const before = await tablesOf(admin);
    const refused = await cli(['migrate', '--remove'], env);
    expect([refused.code !== 0, refused.err]).toEqual([true, expect.stringContaining('--yes')]);
    expect(await tablesOf(admin)).toEqual(before);
    expect((await cli(['migrate', '--remove', '--yes'], env)).code).toBe(0);
    expect(await tablesOf(admin)).toEqual(BASE);
  });

  test('user verbs write to tbluser only with --write-tbluser', async () => {
    const { env, admin } = await empty();
    const rows = async () => (await admin.query('SELECT id, token, pwd FROM tbluser'))[0] as { token: string }[];
    for (const argv of [
      ['user', 'add'],
      ['user', 'rotate', '1'],
    ])
      expect(await cli(argv, env)).toMatchObject({ code: 2, err: expect.stringContaining('--write-tbluser') });
    expect(await rows()).toEqual([]);
    const added = await cli(['user', 'add', '--write-tbluser', '--json'], env);
    const { id, token } = JSON.parse(added.out);
    expect(await rows()).toEqual([{ id, token: expect.stringMatching(/^[A-Za-z0-9]{32}$/), pwd: '' }]);
    expect((await rows())[0]?.token).toBe(token);
    expect((await cli(['user', 'rotate', String(id), '--write-tbluser'], env)).code).toBe(0);
    expect((await rows())[0]?.token).not.toBe(token);
    expect((await cli(['user', 'list', '--json'], env)).out).not.toContain((await rows())[0]?.token);
  });

  test('serve says what is missing, runs no DDL, and tells a wrong password without printing it', async () => {
    const none = await empty(false);
    expect(await cli(['serve'], none.env)).toMatchObject({
      code: 2,
      err: expect.stringContaining('migrate --create-base'),
    });
    const wrong = { DATABASE_URL: none.env.DATABASE_URL.replace(/\/\/\w+@/, '//root:s3cret@') };
    const denied = await cli(['serve'], wrong);
    expect([denied.code, denied.err]).toEqual([
      2,
      expect.stringMatching(/does not accept user and password.*DATABASE_URL/),
    ]);
    expect(denied.err).not.toContain('--grants');
    expect(denied.err + denied.out).not.toContain('s3cret');
    const { env, admin } = await empty();
    const program = start(['serve'], { ...env, PORT: '0' });
    await program.saying(/as-is level.*restante migrate/);
    await program.saying(/restante migrate --index/);
    await program.saying(/there are no users.*restante user add --write-tbluser/);
    await program.saying(/"listening"/);
    program.child.kill('SIGTERM');
    expect(await once(program.child, 'exit')).toEqual([0, null]);
    expect(await tablesOf(admin)).toEqual(BASE);
  });
});
