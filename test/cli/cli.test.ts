// The program as an operator meets it: verbs, exit codes, what is printed, what is refused, how it starts and ends.
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { cli, dropped, type Env, folder, kept, start } from '../support/cli.ts';
import { type Engine, migratedDatabase, pathOf, startService } from '../support/engines.ts';

describe.each(['sqlite', 'mysql'] as const satisfies Engine[])('webhook and user verbs on %s', (engine) => {
  test('make, show, turn, switch and list webhooks, for people and for scripts', async () => {
    const env = {
      DATABASE_URL: dropped(await migratedDatabase(engine)).url,
      PUBLIC_URL: 'https://hooks.example.org/base',
    };
    const json = async (...argv: string[]) => JSON.parse((await cli([...argv, '--json'], env)).out);
    // The database of SQLite is made by this, as by a first start.
    expect(await cli(['webhook', 'add', 'x'], env)).toMatchObject({
      code: 2,
      err: `restante: there are no users: restante user add${engine === 'mysql' ? ' --write-tbluser' : ''}\n`,
    });
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
      /^wh_id +status +wh_name +preset +wh_url\n\d+ +1 +Zahl/,
    );
    expect(await json('webhook', 'list')).toHaveLength(1);
    for (const [argv, code, says] of [
      [
        ['webhook', 'show', 'Zahlungen'],
        1,
        'has no webhook Zahlungen: restante webhook list. Did you mean Zahlungen €?',
      ],
      [['webhook', 'show', '4040'], 1, 'has no webhook 4040'],
      [['webhook', 'disable', '4040'], 1, 'no webhook 4040'],
      [['webhook', 'rotate', wh, '--grace', 'soon'], 2, '--grace'],
      [['webhook', 'add', 'x'.repeat(46)], 2, '45'],
      [['webhook', 'add', '€'.repeat(16)], 2, '45 bytes'],
      [['webhook', 'add'], 2, 'name'],
      [['webhook', 'list', '--user', '999'], 1, 'no user 999'],
      [['user', 'rotate', '999', '--write-tbluser'], 1, 'no user 999'],
      [['user', 'rotate', 'xx', '--write-tbluser'], 2, 'the user id must be a whole number'],
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

  test('a webhook by its name; its deletion, and that of its user, with what is made here and nothing else', async () => {
    const service = kept(await startService(dropped(await migratedDatabase(engine)).url), (one) => one.close());
    const user = await service.user();
    const env = { DATABASE_URL: service.parts.config.databaseUrl };
    const json = async (...argv: string[]) => JSON.parse((await cli([...argv, '--json'], env)).out);
    const columns = ['id', 'user_id', 'wh_url', 'wh_name', 'status'];
    await service.store.db.insert('tblwhid', columns, [[900, user.id, 'https://example.org/?7', 'Theirs', 1]]);
    const one = await json('webhook', 'add', 'Payments');
    await json('webhook', 'add', 'twice');
    await json('webhook', 'add', 'Twice');
    expect(await json('webhook', 'set', 'payments', '--name', 'Paid')).toMatchObject({
      wh_id: one.wh_id,
      wh_name: 'Paid',
    });
    const rotated = await cli(['webhook', 'rotate', 'Paid', '--grace', '7200'], env);
    expect(rotated.err).toMatch(
      /^The old URL ends in 2 h, at \d{4}-.*Z\. Give the new one to the provider before\.\n$/,
    );
    expect(await cli(['webhook', 'show', 'TWICE'], env)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/2 webhooks have this name: say its id \(\d+, \d+\)/),
    });
    // A name of digits: the id counts first.
    await json('webhook', 'add', String(one.wh_id));
    expect(await json('webhook', 'show', String(one.wh_id))).toMatchObject({ wh_name: 'Paid' });

    await fetch(service.url + pathOf(await json('webhook', 'show', 'Paid')), { method: 'POST', body: 'x' });
    expect(await cli(['webhook', 'delete', 'Paid'], env)).toMatchObject({
      code: 2,
      err: expect.stringContaining('--yes'),
    });
    const no = await cli(['webhook', 'delete', 'Paid'], env, undefined, { tty: true, ask: async () => 'n' });
    expect([no.code, no.err]).toEqual([1, 'restante: not answered with yes: nothing was done\n']);
    expect(await cli(['webhook', 'delete', '900', '--yes'], env)).toMatchObject({ code: 1 });
    const gone = await cli(['webhook', 'delete', 'Paid', '--yes'], env);
    expect([gone.code, gone.err]).toEqual([0, expect.stringContaining('(Paid) is deleted')]);
    expect(await cli(['webhook', 'show', 'Paid'], env)).toMatchObject({ code: 1 });

    const headers = { authorization: user.auth };
    await fetch(`${service.url}/consumers/billing`, { method: 'PUT', headers });
    const other = await service.user();
    await service.webhook(other);
    const write = engine === 'sqlite' ? [] : ['--write-tbluser'];
    if (engine !== 'sqlite')
      expect(await cli(['user', 'delete', String(user.id), '--yes'], env)).toMatchObject({ code: 2 });
    expect(await json('user', 'delete', String(user.id), '--yes', ...write)).toEqual({
      id: user.id,
      webhooks: 3,
      consumers: 1,
    });
    const left = async (sql: string) => (await service.store.db.all<{ n: number }>(sql))[0]?.n;
    expect(await left('SELECT COUNT(*) AS n FROM tbluser')).toBe(1);
    expect(await left('SELECT COUNT(*) AS n FROM tblwhid')).toBe(2);
    expect(await left('SELECT COUNT(*) AS n FROM tblwh')).toBe(1);
    expect(await left('SELECT COUNT(*) AS n FROM restante_consumer WHERE user_id <> 0')).toBe(0);
    await expect.poll(async () => (await fetch(`${service.url}/`, { headers })).status, { timeout: 8_000 }).toBe(401);
    expect(await cli(['user', 'delete', String(user.id), '--yes', ...write], env)).toMatchObject({ code: 1 });
  });

  test('show a webhook of another application as it is, without settings that it does not have', async () => {
    const service = kept(await startService(dropped(await migratedDatabase(engine)).url), (one) => one.close());
    await service.user();
    const columns = ['id', 'user_id', 'wh_url', 'wh_name', 'status'];
    await service.store.db.insert('tblwhid', columns, [[7, 1, 'https://example.org/?7', 'Theirs', 0]]);
    const env = { DATABASE_URL: service.parts.config.databaseUrl };
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

/** All there are; docs/cli.md has a line on each. */
const VERBS = [
  '',
  'config',
  'consumer',
  ...['dead', 'delete', 'list', 'redrive', 'seek', 'show'].map((name) => `consumer ${name}`),
  'doctor',
  'erase',
  'export',
  'forward',
  'migrate',
  'presets',
  'prune',
  'pull',
  'send',
  'serve',
  'user',
  ...['add', 'delete', 'list', 'rotate'].map((name) => `user ${name}`),
  'webhook',
  ...['add', 'delete', 'disable', 'enable', 'forget-secrets', 'list', 'rotate', 'set', 'show'].map(
    (name) => `webhook ${name}`,
  ),
  'why',
];
const EXITS = /\nExit codes:\n {2}0 {2}done, .*\n {2}1 {2}it did not work.*\n {2}2 {2}asked wrongly: .*\n/;

test('every verb has a help with two examples of its own and the exit codes, and knows what was misspelt', async () => {
  const visited: string[] = [];
  const visit = async (verb: readonly string[]): Promise<void> => {
    const name = verb.join(' ');
    const { code, out, err } = await cli([...verb, '--help']);
    expect([code, err], name).toEqual([0, '']);
    const examples = [...(out.split('\nExamples:\n')[1] ?? '').matchAll(/^ {2}(\S.*)$/gm)].map(([, line = '']) => line);
    const own = examples.filter((line) => line.includes(`restante${verb.length > 0 ? ` ${name}` : ''}`));
    expect(own.length, `restante ${name} --help\n${out}`).toBeGreaterThanOrEqual(2);
    expect(out, name).toMatch(EXITS);

    // The last letter of the longest flag is forgotten.
    const flags = [...out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag = '']) => flag);
    const flag = flags.sort((a, b) => b.length - a.length)[0] ?? '';
    const needed = out.includes('  --to <') ? ['--to', 'x'] : [];
    const misspelt = await cli([...verb, ...needed, flag.slice(0, -1)]);
    expect([misspelt.code, misspelt.out], `${name} ${flag.slice(0, -1)}`).toEqual([2, '']);
    expect(misspelt.err, name).toMatch(
      new RegExp(`error: unknown option '${flag.slice(0, -1)}'\n\\(Did you mean .*--`),
    );
    // Whoever reads this is no terminal.
    for (const text of [out, misspelt.err]) expect(text.replaceAll('\n', ''), name).not.toMatch(/\p{Cc}/u);

    visited.push(name);
    const commands = (out.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '').matchAll(/^ {2}([a-z-]+) /gm);
    const verbs = [...commands].map(([, one = '']) => one).filter((one) => one !== 'help');
    for (const one of verbs) await visit([...verb, one]);
    const [longest = ''] = verbs.sort((a, b) => b.length - a.length);
    if (!longest) return;
    const wrong = await cli([...verb, longest.slice(0, -1)]);
    expect([wrong.code, wrong.out, wrong.err], name).toEqual([
      2,
      '',
      expect.stringContaining(`Did you mean ${longest}?`),
    ]);
  };
  await visit([]);
  expect(visited.sort()).toEqual([...VERBS].sort());
  expect(await cli(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

describe('docs/cli.md', () => {
  const page = readFileSync('docs/cli.md', 'utf8');

  test('has a line on every verb, and tells the exit codes as the helps do', async () => {
    const told = [...page.matchAll(/^\| `restante ([a-z -]+?)(?: [A-Z[].*?| --.*?)?` \|/gm)].map(([, name]) => name);
    const nouns = VERBS.filter((name) => VERBS.some((one) => name && one.startsWith(`${name} `)));
    expect(told.sort()).toEqual(VERBS.filter((name) => name && !nouns.includes(name)).sort());
    const { out } = await cli(['--help']);
    for (const [, code, meaning = ''] of out.matchAll(/^ {2}([012]) {2}(.*)$/gm))
      expect(page).toContain(`| ${code} | ${meaning}`);
  });

  test('names verbs and flags that there are', async () => {
    const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, text = '']) => text.split('\n'));
    const commands = lines.filter((line) => line.startsWith('restante '));
    expect(commands.length).toBeGreaterThan(8);
    for (const line of commands) {
      const [words = ''] = line.split(/ +[#|] /);
      const name =
        VERBS.filter((one) => one && `${words} `.startsWith(`restante ${one} `))
          .sort()
          .at(-1) ?? '';
      expect(name, line).not.toBe('');
      const { out } = await cli([...name.split(' '), '--help']);
      for (const [flag] of words.matchAll(/--[\w-]+/g)) expect(out, line).toContain(`${flag} `);
    }
  });
});

test('what talks to a running service goes through the client, never to the database', () => {
  for (const name of readdirSync('src/cli/reader'))
    expect(readFileSync(`src/cli/reader/${name}`, 'utf8'), name).not.toMatch(
      / from '\.\.\/\.\.\/(store|consumers|reading|receiver|http|api)\/|\/open\.ts'/,
    );
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
    const half = request(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': 10, expect: '100-continue' },
    });
    half.flushHeaders();
    return half;
  });
  // It has read their heads when it says that it waits for the rest.
  await Promise.all(halves.map((half) => once(half, 'continue')));
  for (const half of halves) half.write('12345');
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
  const again = async () =>
    ((await (await fetch(`${url}/whcontent?whid=all`, { headers })).json()) as { whcontent: object[] }).whcontent;
  await expect.poll(again).toMatchObject([{}, { content: '1234567890' }, { content: '1234567890' }]);
  second.child.kill('SIGTERM');
  expect(await once(second.child, 'exit')).toEqual([0, null]);
});

test('serve on a terminal prints a line for each webhook, and a log that a person can read', async () => {
  const env = { DATABASE_URL: `sqlite:${folder()}/r.db`, PORT: '0' };
  let out = '';
  let stop: (signal: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const running = cli(['serve'], { ...env, NO_COLOR: '1' }, stopped, {
    tty: true,
    out: (text) => {
      out += text;
    },
  });
  const said = async (what: RegExp) => {
    await expect.poll(() => out).toMatch(what);
    return what.exec(out)?.[0] ?? '';
  };
  const url = await said(/http:\/\/\S+\/in\/\w+/);
  await fetch(`${url}/more?a=1`, { method: 'PUT', body: 'x'.repeat(1_500) });
  await said(/^\d\d:\d\d:\d\d #1 +First webhook PUT \/more\?a=1 +1\.5 KB$/m);
  await Promise.all(Array.from({ length: 60 }, () => fetch(url, { method: 'POST', body: 'y' })));
  await said(/^… and \d+ more$/m);
  stop('SIGINT');
  expect((await running).code).toBe(0);
  expect(out).toMatch(/^\d\d:\d\d:\d\d info {2}stopped$/m);
  expect(out).not.toMatch(/^\{/m);
  expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});
