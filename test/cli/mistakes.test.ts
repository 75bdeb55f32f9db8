// What a newcomer gets wrong on the command line: told in one sentence that says what to do, and nothing is made or lost by it.
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { VERSION } from '../../src/api/openapi.ts';
import { systemFault } from '../../src/cli/io.ts';
import { cli, dropped, type Env, folder, kept, start } from '../support/cli.ts';
import { migratedDatabase, startService } from '../support/engines.ts';

const served = async () => {
  const service = kept(await startService(dropped(await migratedDatabase('sqlite')).url), (one) => one.close());
  const user = await service.user();
  const call = async (method: string, path: string, body?: object) => {
    const init = { method, headers: { authorization: user.auth }, ...(body ? { body: JSON.stringify(body) } : {}) };
    const answer = await fetch(service.url + path, init);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const env: Env = { RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}` };
  return { service, user, call, env };
};

describe('in the wrong folder', () => {
  test.each([
    ['export', '--user', '1'],
    ['erase', '--user', '1', '--dry-run'],
    ['prune', '--days', '1', '--dry-run'],
    ['user', 'list'],
    ['user', 'rotate', '1'],
    ['webhook', 'list'],
    ['webhook', 'set', '1', '--name', 'x'],
    ['migrate', '--check'],
    ['migrate', '--print'],
    ['migrate', '--remove', '--yes'],
  ])('%s %s makes no database', async (...argv) => {
    const place = `${folder()}/data`;
    const { code, out, err } = await cli(argv, { DATABASE_URL: `sqlite:${place}/restante.db` });
    expect([code, out, existsSync(place)]).toEqual([1, '', false]);
    expect(err).toBe(
      `restante: there is no database at ${place}/restante.db: set DATABASE_URL, or run it in the folder of the service\n`,
    );
  });

  test('user add, webhook add and migrate make one', async () => {
    for (const argv of [
      ['user', 'add'],
      ['webhook', 'add', 'x'],
      ['migrate', '--create-base'],
    ]) {
      const path = `${folder()}/data/restante.db`;
      await cli(argv, { DATABASE_URL: `sqlite:${path}` });
      expect(existsSync(path), argv.join(' ')).toBe(true);
    }
  });
});

describe('what the system refuses is one sentence', () => {
  test('pull --raw into what is no folder, and over what is one', async () => {
    const { call, env, service } = await served();
    await call('POST', '/whcontent', { content: 'x' });
    await service.settle();
    const place = folder();
    writeFileSync(`${place}/file`, '');
    const pull = (raw: string) => cli(['pull', 'x', '--start', 'earliest', '--raw', raw], env);
    expect(await pull(`${place}/file/x`)).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^restante: .*file\/x.* not a directory.*\n$/),
    });
    mkdirSync(`${place}/raw/1.part`, { recursive: true });
    expect(await pull(`${place}/raw`)).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^restante: .*raw\/1.* illegal operation on a directory.*\n$/),
    });
  });

  test('a full disk', () => {
    const full = () => writeFileSync('/dev/full', 'x');
    let said: string | undefined;
    try {
      full();
    } catch (error) {
      said = systemFault(error);
    }
    expect(said).toBe('cannot write: no space left on device (ENOSPC)');
    expect(systemFault(new TypeError('a fault of ours'))).toBeUndefined();
  });

  test('a port in use and a host that is not here, and nothing is said after it', async () => {
    const other = kept(createServer().listen(0, '127.0.0.1'), (one) => one.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    for (const [env, says] of [
      [{ PORT: String(port) }, /^restante: cannot listen on .*EADDRINUSE.*choose another --port\.\n$/],
      [
        { PORT: '1', HOST: 'nosuch.invalid' },
        /^restante: cannot listen on nosuch\.invalid:1: .*an address of this machine.*\n$/,
      ],
      [
        { PORT: '0', HOST: 'nosuch.invalid' },
        /^restante: cannot listen on nosuch\.invalid:0: .*an address of this machine.*\n$/,
      ],
    ] as const) {
      const program = start(['serve'], env);
      expect(await once(program.child, 'close')).toEqual([1, null]);
      expect(program.said()).toMatch(says);
    }
  });
});

test('help of a verb that there is not is its error with a suggestion, and of one that there is its help', async () => {
  for (const argv of [
    ['help', 'serv'],
    ['help', 'webhook', 'ad'],
  ])
    expect(await cli(argv)).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Did you mean') });
  expect((await cli(['help', 'serve'])).out).toBe((await cli(['serve', '--help'])).out);
  expect((await cli(['help', 'webhook', 'add'])).out).toBe((await cli(['webhook', 'add', '--help'])).out);
  expect((await cli(['help'])).out).toBe((await cli(['--help'])).out);
});

test('a preset that was misspelt is suggested', async () => {
  const { code, err } = await cli(['presets', 'stirpe']);
  expect([code, err]).toEqual([2, expect.stringMatching(/Did you mean stripe\?\n$/)]);
  expect((await cli(['presets', 'nothing like it'])).err).not.toContain('Did you mean');
});

test('a secret of another kind is taken with a warning that does not repeat it', async () => {
  const where = folder();
  writeFileSync(`${where}/api-key`, 'sk_live_abcdefghijklmnop');
  writeFileSync(`${where}/secret`, 'whsec_abcdefghijklmnop');
  const env = { DATABASE_URL: `sqlite:${where}/r.db` };
  await cli(['user', 'add'], env);
  const add = (file: string) =>
    cli(['webhook', 'add', 'x', '--preset', 'stripe', '--secret-file', `${where}/${file}`], env);
  const wrong = await add('api-key');
  expect([wrong.code, wrong.err]).toEqual([
    0,
    expect.stringMatching(/Warning: a secret of Stripe begins with whsec_.*signing secret/),
  ]);
  expect(wrong.err).not.toContain('sk_live');
  expect((await add('secret')).err).toBe('');
  const set = ['webhook', 'set', '2', '--add-secret-file', `${where}/api-key`];
  expect((await cli(set, env)).err).toContain('Warning: a secret of Stripe');
});

test('settings that are on or off take true and false, and are printed as they may be set', async () => {
  const shown = async (env: Env) => JSON.parse((await cli(['config', '--json'], env)).out);
  expect(await shown({ PRUNE_FOREIGN: 'true' })).toMatchObject({ PRUNE_FOREIGN: '1', ALLOW_UNSAFE_DURABILITY: '0' });
  expect(await shown({ PRUNE_FOREIGN: 'False' })).toMatchObject({ PRUNE_FOREIGN: '0' });
  expect(await cli(['config'], { PRUNE_FOREIGN: 'yes' })).toMatchObject({
    code: 2,
    err: expect.stringContaining('PRUNE_FOREIGN must be 1 or 0, or true or false'),
  });
});

test('a consumer that is moved beyond the newest content is warned of', async () => {
  const { call, env, service } = await served();
  const { body } = await call('POST', '/whcontent', { content: 'x' });
  await service.settle();
  await call('PUT', '/consumers/c', {});
  const seek = (to: string) => cli(['consumer', 'seek', 'c', '--to', to], env);
  expect(await seek('1000')).toMatchObject({
    code: 0,
    err: expect.stringContaining(`the newest content that you have is ${body.id}`),
  });
  expect(await seek(String(body.id))).toMatchObject({ code: 0, err: '' });
  expect(await seek(String(Number(body.id) + 1))).toMatchObject({ code: 0, err: '' });
});

test('what the API does not take is told in words, with the name that was meant', async () => {
  const { call } = await served();
  const { body } = await call('POST', '/webhooks', { wh_name: 'x' });
  const at = `/webhooks/${body.wh_id}`;
  const says = async (patch: object) => (await call('PATCH', at, patch)).body.errors;
  expect(await says({ status: 0 })).toEqual([{ path: 'body.status', message: 'is not known here: use enabled' }]);
  expect(await says({ name: 'y' })).toEqual([{ path: 'body.name', message: 'is not known here: use wh_name' }]);
  expect(await says({ colour: 'y' })).toEqual([{ path: 'body.colour', message: 'is not known here' }]);
  expect(await says({ on_reject: 'x' })).toEqual([{ path: 'body.on_reject', message: 'must be keep, drop or null' }]);
  expect(await says({ retention_days: 'x' })).toEqual([
    { path: 'body.retention_days', message: 'must be a whole number or null' },
  ]);
  const empty = [
    { path: 'body.response.body', message: 'must be empty with the status 204: such an answer has no body' },
  ];
  expect(await says({ response: { status: 204, body: 'x' } })).toEqual(empty);
  expect((await call('POST', '/webhooks', { wh_name: 'x', response: { status: 204, body: 'x' } })).body.errors).toEqual(
    empty,
  );
  expect((await call('PATCH', at, { response: { status: 204 } })).status).toBe(200);
});

test('a flag that takes one of some words is told which', async () => {
  const { env, service } = await served();
  const more = { ...env, DATABASE_URL: service.parts.config.databaseUrl };
  const { code, err } = await cli(['webhook', 'add', 'x', '--on-reject', 'burn'], more);
  expect([code, err]).toEqual([2, 'restante: on_reject must be keep or drop\n']);
});

test('serve says where it listens, and PUBLIC_URL where that is another address', async () => {
  const program = start(['serve'], { PORT: '0', PUBLIC_URL: 'https://hooks.example.org', LOG_LEVEL: 'silent' });
  await program.saying(/listens on http:\/\/127\.0\.0\.1:\d+ \(PUBLIC_URL is https:\/\/hooks\.example\.org; SQLite/);
  const plain = start(['serve'], { PORT: '0', LOG_LEVEL: 'silent' });
  await plain.saying(/listens on http:\/\/127\.0\.0\.1:\d+ \(SQLite/);
});

test('version, -v and --version print it; what is nearly a verb is suggested', async () => {
  const said = await Promise.all(['version', '-v', '--version'].map((one) => cli([one])));
  expect(said.map(({ code, out }) => [code, out])).toEqual(said.map(() => [0, `${VERSION}\n`]));
  for (const [typed, meant] of [
    ['servee', 'serve'],
    ['forwrd', 'forward'],
    ['webhoks', 'webhook'],
  ] as const)
    expect(await cli([typed])).toMatchObject({ code: 2, err: expect.stringContaining(`Did you mean ${meant}?`) });
});

test('a path for the database that cannot be one is told with DATABASE_URL', async () => {
  const where = folder();
  writeFileSync(`${where}/file`, 'x');
  for (const path of [`${where}/file/x.db`, '/proc/none/x.db', where]) {
    const { code, err } = await cli(['serve', '--port', '0'], { DATABASE_URL: `sqlite:${path}` });
    expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`^restante: sqlite:${path}: .+\\. \\w`))]);
    expect(err).not.toMatch(/ {4}at /);
  }
});

test('on a terminal a table that is wider than it stands below each other', async () => {
  const env = { DATABASE_URL: `sqlite:${folder()}/r.db` };
  await cli(['user', 'add'], env);
  await cli(['webhook', 'add', 'First'], env);
  await cli(['webhook', 'add', 'Second'], env);
  const list = async (width?: number) => (await cli(['webhook', 'list'], env, undefined, { width })).out;
  expect(await list()).toMatch(/^wh_id +status +wh_name +preset +wh_url\n/);
  expect(await list(200)).toBe(await list());
  const narrow = await list(80);
  expect(narrow).toMatch(/^wh_id {4}\d+\nstatus {3}1\nwh_name {2}First\npreset\nwh_url {3}http\S+\n\nwh_id {4}\d+\n/);
  for (const line of narrow.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('the base tables and the index in one go', async () => {
  const env = { DATABASE_URL: `sqlite:${folder()}/r.db` };
  const made = await cli(['migrate', '--create-base', '--index'], env);
  expect([made.code, made.out]).toEqual([0, expect.stringMatching(/the index is there/)]);
});

test('a wrong token is told where the right one is', async () => {
  const told = async (env: Env) => {
    const service = kept(await startService(dropped(await migratedDatabase('sqlite')).url, env), (one) => one.close());
    const answer = await fetch(`${service.url}/`, { headers: { authorization: `Basic ${btoa('1:wrong')}` } });
    return ((await answer.json()) as { detail: string }).detail;
  };
  expect(await told({})).toMatch(/restante user rotate ID\.$/);
  expect(await told({ DASHBOARD_URL: 'https://app.example.org/me' })).toMatch(
    /https:\/\/app\.example\.org\/me shows both\.$/,
  );
});
