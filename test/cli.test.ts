// The program as an operator meets it: verbs, exit codes, what is printed, what is refused, how it starts and ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest';
import { run } from '../src/main.ts';
import { STEPS } from '../src/store/migrations.ts';
import { type Database, type Engine, emptyDatabase, migratedDatabase, pathOf, startService } from './engines.ts';

type Env = Readonly<Record<string, string>>;
/** One command line in this process. `stopped` is what would be a signal. */
async function cli(argv: readonly string[], env: Env = {}, stopped: Promise<string> = new Promise(() => {})) {
  let [out, err] = ['', ''];
  const io = { env, out: (text: string) => (out += text), err: (text: string) => (err += text), tty: false };
  const code = await run(argv, { ...io, stopped: () => stopped } as Parameters<typeof run>[1]);
  return { code, out, err };
}

const ends: (() => unknown)[] = [];
const end = async () => {
  for (const one of ends.splice(0).reverse()) await one();
};
/** What is made in a test is gone after it. */
const kept = <T>(one: T, close: (one: T) => unknown): T => {
  ends.push(() => close(one));
  return one;
};
afterEach(end);
afterAll(end);
const dropped = (database: Database) => kept(database, (one) => one.drop());
const folder = () => kept(mkdtempSync(join(tmpdir(), 'restante-cli-')), (one) => rmSync(one, { recursive: true }));
const connected = async (url: string) => kept(await createConnection(url), (one) => one.end());
const tablesOf = async (connection: Connection) => {
  const [rows] = await connection.query('SHOW TABLES');
  return (rows as object[]).map((row) => Object.values(row)[0] as string).sort();
};
const BASE = ['tbluser', 'tblwh', 'tblwhid'];

/** The program that is installed, as a process of its own. */
function start(args: readonly string[], env: Env, cwd = folder()) {
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  const { PATH = '' } = process.env;
  const child = kept(spawn(process.execPath, [main, ...args], { env: { PATH, ...env }, cwd }), (one: ChildProcess) =>
    one.kill('SIGKILL'),
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += text));
  const saying = async (what: RegExp) => {
    for (const until = Date.now() + 20_000; ; await sleep(20)) {
      const found = what.exec(said);
      if (found) return found;
      if (child.exitCode !== null || Date.now() > until) throw new Error(`${what} was never said: ${said}`);
    }
  };
  return { child, saying, said: () => said };
}

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
    const { code, out } = await cli(['migrate', '--grants', `'${account}'@'%'`], { DATABASE_URL: database.url });
    expect(code).toBe(0);
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
    const page = (await (await call('GET', '/whcontent?whid=all')).json()) as { whcontent: object[] };
    expect(page.whcontent).toHaveLength(2);
    await sleep(200);
    expect(((await (await call('GET', '/refusals')).json()) as { refusals: object[] }).refusals).toHaveLength(1);
    const at = `/webhooks/${webhook.wh_id}`;
    expect((await call('PATCH', at, { wh_name: 'y' })).status).toBe(200);
    expect((await call('POST', `${at}/rotate`, { grace_seconds: 0 })).status).toBe(200);
    expect((await call('GET', '/readyz')).status).toBe(200);
    expect((await call('DELETE', at)).status).toBe(204);
    expect(service.log.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
    expect(await cli(['migrate', '--check'], { DATABASE_URL: url })).toMatchObject({ code: 0 });
    const own = await connected(url);
    for (const sql of [
      'SELECT pwd FROM tbluser',
      "UPDATE tbluser SET token = ''",
      'DELETE FROM tblwh',
      'DROP TABLE tblwh',
    ])
      await expect(own.query(sql), sql).rejects.toThrow(/denied/);
    expect(await cli(['webhook', 'add', 'By hand', '--json'], { DATABASE_URL: url })).toMatchObject({
      code: 0,
      err: '',
    });
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
    const wrong = { DATABASE_URL: none.env.DATABASE_URL.replace('root@', 'root:s3cret@') };
    const denied = await cli(['serve'], wrong);
    expect([denied.code, denied.err]).toEqual([2, expect.stringContaining('access denied')]);
    expect(denied.err + denied.out).not.toContain('s3cret');
    const { env, admin } = await empty();
    const program = start(['serve'], { ...env, PORT: '0' });
    await program.saying(/as-is level.*restante migrate/);
    await program.saying(/restante migrate --index/);
    await program.saying(/"listening"/);
    program.child.kill('SIGTERM');
    expect(await once(program.child, 'exit')).toEqual([0, null]);
    expect(await tablesOf(admin)).toEqual(BASE);
  });
});

describe.each(['sqlite', 'mysql'] as const satisfies Engine[])('webhook and user verbs on %s', (engine) => {
  test('make, show, turn, switch and list webhooks, for people and for scripts', async () => {
    const env = {
      DATABASE_URL: dropped(await migratedDatabase(engine)).url,
      PUBLIC_URL: 'https://hooks.example.org/base',
    };
    const json = async (...argv: string[]) => JSON.parse((await cli([...argv, '--json'], env)).out);
    expect(await cli(['webhook', 'list'], env)).toMatchObject({ code: 2, err: expect.stringContaining('0 users') });
    const add = ['user', 'add', '--write-tbluser', '--email', 'ana@example.org'];
    const { id } = await json(...add);
    const made = await json('webhook', 'add', 'Zahlungen €');
    expect(made).toMatchObject({
      wh_name: 'Zahlungen €',
      status: 1,
      wh_url: expect.stringMatching(/^https:\/\/hooks\.example\.org\/base\/in\/\w{24}$/),
    });
    const wh = String(made.wh_id);
    expect(await json('webhook', 'rotate', wh, '--grace', '60')).not.toEqual(made);
    expect(await json('webhook', 'disable', wh)).toMatchObject({ status: 0, enabled: false });
    expect(await json('webhook', 'enable', wh)).toMatchObject({ status: 1, enabled: true });
    expect(await json('webhook', 'show', wh)).toMatchObject({ wh_id: made.wh_id });
    expect((await cli(['webhook', 'show', wh], env)).out).toMatch(/^wh_id +\d+\n/);
    expect((await cli(['webhook', 'list', '--user', String(id)], env)).out).toMatch(
      /^wh_id +status +wh_name +wh_url\n\d+ +1 +Zahl/,
    );
    expect(await json('webhook', 'list')).toHaveLength(1);
    for (const [argv, code, says] of [
      [['webhook', 'show', 'abc'], 2, 'whole number'],
      [['webhook', 'show', '4040'], 1, 'has no webhook 4040'],
      [['webhook', 'disable', '4040'], 1, 'no webhook 4040'],
      [['webhook', 'rotate', wh, '--grace', 'soon'], 2, '--grace'],
      [['webhook', 'add', 'x'.repeat(46)], 1, '45'],
      [['webhook', 'add'], 2, 'name'],
      [['webhook', 'list', '--user', '999'], 1, 'no user 999'],
      [['user', 'rotate', '999', '--write-tbluser'], 1, 'no user 999'],
      [['user', 'add', '--write-tbluser', '--email', 'x'.repeat(46)], 2, '45'],
    ] as const) {
      const told = await cli(argv, env);
      expect([told.code, told.err], argv.join(' ')).toEqual([code, expect.stringContaining(says)]);
      expect(told.err).not.toMatch(/ {4}at /);
    }
    await cli(add, env);
    expect(await cli(['webhook', 'list'], env)).toMatchObject({ code: 2, err: expect.stringContaining('--user') });
    expect((await cli(['user', 'list'], env)).out).toMatch(/^id +email +status\n1 +ana@example.org +1\n2 /);
  });

  test('show a webhook of another application as it is, without settings that it does not have', async () => {
    const service = kept(await startService(dropped(await migratedDatabase(engine)).url), (one) => one.close());
    await service.user();
    const columns = ['id', 'user_id', 'wh_url', 'wh_name', 'status'];
    await service.store.db.insert('tblwhid', columns, [[7, 1, 'https://example.org/?7', 'Theirs', 0]]);
    const env = { DATABASE_URL: service.context.config.databaseUrl };
    const [listed] = JSON.parse((await cli(['webhook', 'list', '--json'], env)).out);
    expect(listed).toMatchObject({ wh_id: 7, wh_url: 'https://example.org/?7', status: 0 });
    expect(listed.enabled).not.toBe(true);
    expect(listed.created_at ?? '').not.toContain('1970');
    expect(await cli(['webhook', 'enable', '7'], env)).toMatchObject({
      code: 1,
      err: expect.stringContaining('another application'),
    });
  });
});

test('all bad settings are told at once, by name, with exit code 2 and no secret', async () => {
  const env = {
    PORT: 'abc',
    PUBLIC_URL: 'ftp://x',
    TRUST_PROXY: 'proxy',
    LOG_LEVEL: 'loud',
    MAX_BODY_BYTES: '-1',
    DATABASE_URL: 'mysql://u:s3cret@h',
  };
  for (const verb of ['serve', 'config', 'migrate']) {
    const { code, out, err } = await cli([verb], env);
    expect([code, out]).toEqual([2, '']);
    for (const name of Object.keys(env)) expect(err, name).toContain(name);
    expect(err).not.toContain('s3cret');
  }
  const one = await cli(['serve', '--keep-alive-seconds', '0'], {});
  expect([one.code, one.err]).toEqual([2, expect.stringContaining('KEEP_ALIVE_SECONDS must be a whole number from 1')]);
});

test('config prints what is in force: flag over environment over default, passwords masked', async () => {
  const env = { DATABASE_URL: 'mysql://app:s3c:r@t@db/app', PORT: '8080', HOST: '' };
  const { code, out } = await cli(['config', '--json', '--port', '9090'], env);
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    { PORT: '9090', HOST: '127.0.0.1', DATABASE_URL: 'mysql://app:***@db/app' },
  ]);
  expect((await cli(['config'], env)).out).toMatch(/^name +value +help\nDATABASE_URL +mysql:\/\/app:\*\*\*@db\/app/);
});

test('NAME_FILE holds a setting; beside NAME, or unreadable, it is told', async () => {
  const file = join(folder(), 'url');
  writeFileSync(file, 'mysql://app:s3cret@db/app\n');
  const config = async (env: Env) => cli(['config', '--json'], env);
  expect(JSON.parse((await config({ DATABASE_URL_FILE: file })).out).DATABASE_URL).toBe('mysql://app:***@db/app');
  expect(await config({ DATABASE_URL_FILE: file, DATABASE_URL: 'sqlite:x' })).toMatchObject({
    code: 2,
    err: expect.stringContaining('DATABASE_URL_FILE'),
  });
  expect(await config({ DATABASE_URL_FILE: `${file}.no` })).toMatchObject({
    code: 2,
    err: expect.stringMatching(/DATABASE_URL.*url\.no/),
  });
});

test('an unknown verb or flag is exit code 2 and a suggestion', async () => {
  for (const [argv, suggestion] of [
    [['serv'], 'serve'],
    [['webhook', 'ad', 'x'], 'add'],
    [['migrate', '--chek'], '--check'],
    [['serve', '--prt', '1'], '--port'],
  ] as const) {
    const { code, out, err } = await cli(argv);
    expect([code, out], argv.join(' ')).toEqual([2, '']);
    expect(err, argv.join(' ')).toMatch(new RegExp(`Did you mean ${suggestion}\\?`));
  }
  expect(await cli([])).toMatchObject({ code: 2, err: expect.stringContaining('Usage: restante') });
  expect(await cli(['serve', 'now'])).toMatchObject({ code: 2 });
});

test('every verb has a help with examples', async () => {
  const visit = async (verb: readonly string[]): Promise<void> => {
    const { code, out, err } = await cli([...verb, '--help']);
    expect([code, err], verb.join(' ')).toEqual([0, '']);
    expect(out, `restante ${verb.join(' ')} --help`).toMatch(/\nExamples:\n {2}\S.*restante|\nExamples:\n {2}restante/);
    const names = (out.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '').matchAll(/^ {2}([a-z]+) /gm);
    for (const [, name = ''] of names) if (name !== 'help') await visit([...verb, name]);
  };
  await visit([]);
  expect(await cli(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test('serve ends cleanly while it still waits for its database', async () => {
  const env = { DATABASE_URL: 'mysql://root@127.0.0.1:1/app', LOG_LEVEL: 'silent' };
  expect(await cli(['serve'], env, sleep(100, 'SIGTERM'))).toMatchObject({ code: 0, err: '' });
});

test('a port in use is exit code 1 and clear words', async () => {
  const other = kept(createServer().listen(0, '127.0.0.1'), (one) => one.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const env = { DATABASE_URL: `sqlite:${folder()}/r.db`, LOG_LEVEL: 'silent', PORT: String(port) };
  const { code, out, err } = await cli(['serve'], env);
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}.*--port`));
  expect(err).not.toMatch(/ {4}at /);
});

test('the first start makes a user and a webhook, says once how to use them, and SIGTERM lets calls under way end', async () => {
  const cwd = folder();
  const first = start(['serve'], { PORT: '0' }, cwd);
  const [, id, token] = await first.saying(/user id +(\d+)\n +token +(\w{32})\n/);
  const [, hook = ''] = await first.saying(/curl -d '\{"hello":"world"\}' (http:\S+)\n/);
  const [, user, fetchUrl = ''] = await first.saying(/curl -u (\S+) '(\S+whcontent\?whid=all&wait=30)'\n/);
  await first.saying(/Providers cannot reach \S+ yet: docs\/\S+/);
  expect(user).toBe(`${id}:${token}`);
  expect((await fetch(hook, { method: 'POST', body: '{"hello":"world"}' })).status).toBe(200);
  const headers = { authorization: `Basic ${Buffer.from(user ?? '').toString('base64')}` };
  const page = (await (await fetch(fetchUrl, { headers })).json()) as { whcontent: object[] };
  expect(page.whcontent).toMatchObject([{ content: '{"hello":"world"}' }]);
  const modes = ['', '/restante.db', '/restante.db-wal', '/restante.db-shm'];
  const modeOf = (name: string) => (statSync(`${cwd}/data${name}`).mode & 0o777).toString(8);
  expect(modes.map(modeOf)).toEqual(['700', '600', '600', '600']);

  const halves = [hook, new URL('/whcontent', fetchUrl).href].map((url) => {
    const half = request(url, { method: 'POST', headers: { ...headers, 'content-length': 10 } });
    half.write('12345');
    return half;
  });
  await sleep(200);
  first.child.kill('SIGTERM');
  const gone = once(first.child, 'exit');
  await first.saying(/"stopping/);
  await sleep(300);
  const answers = await Promise.all(
    halves.map(async (half) => {
      half.end('67890');
      const [answer] = await once(half, 'response');
      return answer.resume().statusCode;
    }),
  );
  expect(answers).toEqual([200, 201]);
  expect(await gone).toEqual([0, null]);

  const second = start(['serve'], { PORT: '0' }, cwd);
  const [, url = ''] = await second.saying(/listens on (http:\/\/\S+) /);
  await second.saying(/"listening"/);
  expect(second.said()).not.toMatch(/First start|curl|token /);
  const again = (await (await fetch(`${url}/whcontent?whid=all`, { headers })).json()) as { whcontent: object[] };
  expect(again.whcontent).toMatchObject([{}, { content: '1234567890' }, { content: '1234567890' }]);
  second.child.kill('SIGTERM');
  expect(await once(second.child, 'exit')).toEqual([0, null]);
});
