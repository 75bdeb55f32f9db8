// Consumers on the command line: who waits for what, dead letters listed, looked into and handed out again, moved, deleted.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { redrive, whereTo } from '../../src/cli/reader/consumer.ts';
import type { Client } from '../../src/client/index.ts';
import { run } from '../../src/main.ts';
import type { Consumer } from '../../src/schema/consumers.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  emptyDatabase,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

const told: string[] = [];

/** One command line; `answer` is what a person at a terminal types, without it there is none. */
async function typed(argv: readonly string[], env: Readonly<Record<string, string>>, answer?: string) {
  const [out, err, asked]: [Uint8Array[], string[], string[]] = [[], [], []];
  const code = await run(argv, {
    env,
    out: (data) => void out.push(Buffer.from(data)),
    err: (text) => void err.push(text),
    written: async () => {},
    input: async () => '',
    async ask(question) {
      asked.push(question);
      return answer ?? '';
    },
    memory: process,
    tty: answer !== undefined,
    stopped: () => new Promise(() => {}),
  });
  const bytes = Buffer.concat(out);
  if (!argv.includes('--raw')) told.push(bytes.toString(), ...err);
  return { code, bytes, out: bytes.toString(), err: err.join(''), asked: asked.join('') };
}

describe.each(['sqlite', 'mysql'] as const)('%s', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let webhook: WebhookDetail;
  let env: Record<string, string>;

  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  beforeEach(async () => {
    user = await service.user();
    const verify = { scheme: 'none', event_type: 'body:/type' };
    webhook = await service.webhook(user, { preset: 'generic', verify, dedupe: { from: 'body:/id' } });
    env = { RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}` };
    told.length = 0;
  });

  const api = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { authorization: user.auth },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  };
  const send = (body: string | Buffer, more = '', headers: Record<string, string> = {}) =>
    fetch(service.url + pathOf(webhook) + more, { method: 'POST', body, headers });
  const pull = (name: string, limit = 500) =>
    api<{ lease: string; items: { id: number }[] }>('POST', `/consumers/${name}/pull`, { limit, start: 'earliest' });
  /** Sends them, and has billing give all of them up. Resolves with their ids. */
  const die = async (bodies: readonly (string | Buffer)[], reason = 'no such\u001b[2J customer') => {
    for (const body of bodies) await send(body, '/sub?x=1', { 'X-Sent': 'a,b', 'Content-Type': 'text/plain' });
    await service.settle();
    const { lease, items } = await pull('billing');
    await api('POST', '/consumers/billing/nack', { lease, dead: true, reason });
    return items.map(({ id }) => id);
  };
  const event = (id: string) => JSON.stringify({ id, type: 'charge.failed' });
  const consumer = (...argv: string[]) => typed(['consumer', ...argv], env);
  const json = async <T>(...argv: string[]) => JSON.parse((await consumer(...argv, '--json')).out) as T;

  test('list and show tell how far each is, for people and as the API says it', async () => {
    await die([event('evt_1')]);
    await send(event('evt_2'));
    await service.settle();
    await api('PUT', '/consumers/audit', { start: 'latest', whid: [webhook.wh_id] });
    const list = await consumer('list');
    expect([list.code, list.err]).toEqual([0, '']);
    expect(list.out).toMatch(
      /^name +whid +backlog +oldest +in_flight +dead +last_id +pulled\naudit +\d+ +0 +0 +0 .*\nbilling +all +1 +\d+ s ago +0 +1 +\d+ +\d+ s ago/,
    );
    // Between two reads the oldest one may become a second older.
    await vi.waitFor(async () => {
      const { consumers } = await api<{ consumers: Consumer[] }>('GET', '/consumers');
      expect(await json('list')).toEqual(consumers);
    }, 8_000);
    const one = await vi.waitFor(async () => {
      const asked = await api<Consumer>('GET', '/consumers/billing');
      expect(await json('show', 'billing')).toEqual(asked);
      return asked;
    }, 8_000);
    const { out } = await consumer('show', 'billing');
    expect(out).toMatch(/^name {11}billing\nwhid {11}all\nlease_seconds +30\n/);
    for (const name of Object.keys(one))
      if (name !== 'backlog_more') expect(out).toMatch(new RegExp(`^${name} +\\S`, 'm'));
    expect((await consumer('show', 'nobody')).err).toMatch(/^restante: You have no consumer nobody/);
  });

  test('dead lists all dead letters, page after page, with what they were', async () => {
    const ids = await die(Array.from({ length: 104 }, (_, i) => event(`evt_${i}`)));
    expect(ids).toHaveLength(104);
    const { code, out, err } = await consumer('dead', 'billing');
    expect([code, err]).toEqual([0, '']);
    const [head, ...rows] = out.trimEnd().split('\n');
    expect(head).toMatch(/^id +dt +wh_id +attempts +event_type +event_id +reason$/);
    expect(rows.map((row) => Number(row.split(' ')[0]))).toEqual(ids);
    expect(rows[103]).toMatch(
      /^\d+ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d+ +1 +charge\.failed +evt_103 +no such\?\[2J customer$/,
    );
    const all = await json<{ id: number }[]>('dead', 'billing');
    expect(all.map(({ id }) => id)).toEqual(ids);
    expect(all[0]).toMatchObject({ wh_id: webhook.wh_id, attempts: 1, event_type: 'charge.failed', event_id: 'evt_0' });
    // What was deleted since is still a dead letter.
    await service.store.db.run('DELETE FROM tblwh WHERE id = ?', [ids[0] as number]);
    const left = await json<object[]>('dead', 'billing');
    expect([left.length, left[0]]).toMatchObject([104, { id: ids[0], dt: null, event_id: null }]);
    expect(await consumer('dead', 'billing', String(ids[0]))).toMatchObject({ code: 1, out: '' });
    await api('PUT', '/consumers/fine', { start: 'latest' });
    expect(await consumer('dead', 'fine')).toMatchObject({ code: 0, out: 'fine has no dead letters\n' });
    expect(await json('dead', 'fine')).toEqual([]);
  });

  test('dead NAME ID shows the request as it came; --raw its bytes', async () => {
    const bytes = Buffer.from([0x00, 0xff, 0x0d, 0x0a, 0x1b, 0x80]);
    const text = '{"id":"evt_1",\r\n\t"type":"a\u009b2J"}';
    const [first, second] = (await die([text, bytes])).map(String) as [string, string];
    const { code, out, err } = await consumer('dead', 'billing', first);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^id {9}\d+\ndt {9}.*\nwh_id .*\nattempts +1\ndead_at .*\nreason +no such\?\[2J customer\n/);
    expect(out).toContain(`\n\nPOST ${webhook.wh_url}/sub?x=1\n`);
    expect(out).toMatch(/^X-Sent: a,b\n/im);
    expect(out).toContain('\n\n{"id":"evt_1",\n\t"type":"a?2J"}\n');
    expect((await consumer('dead', 'billing', second)).out).toContain('(6 bytes that are no text: --raw writes them)');
    expect((await consumer('dead', 'billing', second, '--raw')).bytes).toEqual(bytes);
    expect((await consumer('dead', 'billing', first, '--raw')).out).toBe(text);
    expect(await json('dead', 'billing', first)).toMatchObject({
      id: Number(first),
      attempts: 1,
      content: text,
      request: { method: 'POST', url: '/sub?x=1', event_id: 'evt_1' },
    });
    await send('another');
    await service.settle();
    const { items } = await pull('audit');
    const alive = String(items.at(-1)?.id);
    expect(await consumer('dead', 'billing', alive)).toMatchObject({
      code: 1,
      out: '',
      err: `restante: content ${alive} is no dead letter of billing: restante consumer dead billing\n`,
    });
  });

  test('redrive hands out some or all again, and tells which it could not', async () => {
    const ids = await die([event('evt_1'), event('evt_2'), event('evt_3')]);
    const [first, ...others] = ids;
    expect(await consumer('redrive', 'billing', String(first))).toMatchObject({
      code: 0,
      out: '1 dead letters of billing wait for the next pull\n',
    });
    expect((await pull('billing')).items.map(({ id }) => id)).toEqual([first]);
    const some = await consumer('redrive', 'billing', String(first), String(others[0]));
    expect([some.code, some.out]).toEqual([1, '1 dead letters of billing wait for the next pull\n']);
    expect(some.err).toMatch(/^content \d+: (not-dead|in-hand)\nrestante: 1 were not redriven\n$/);
    expect(await json('redrive', 'billing', '--all')).toEqual({ done: [others[1]], conflicts: [] });
    expect((await pull('billing')).items.map(({ id }) => id)).toEqual(others);
    expect(await consumer('redrive', 'billing', '--all')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^0 dead/),
    });
  });

  test('seek moves to a word, an id, a time or so long ago; delete ends it', async () => {
    const ids = await die([event('evt_1'), event('evt_2')]);
    const backlogAt = async (to: string) => (await json<Consumer>('seek', 'billing', '--to', to)).backlog;
    expect(await backlogAt('earliest')).toBe(2);
    expect(await backlogAt('latest')).toBe(0);
    expect(await backlogAt(String(ids[1]))).toBe(1);
    expect(await backlogAt('1h')).toBe(2);
    expect(await backlogAt(new Date(Date.now() + 3_600_000).toISOString())).toBe(0);
    expect(await backlogAt(new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10))).toBe(2);
    const moved = await consumer('seek', 'billing', '--to', 'latest');
    expect([moved.code, moved.out]).toEqual([0, expect.stringMatching(/^name +billing\n[\s\S]*\nbacklog +0\n/)]);
    for (const to of ['yesterday', '2026-13-01', '2026-11-22T10:00:00', '1.5', '-1', '5w', '99999999999'])
      expect(await consumer('seek', 'billing', `--to=${to}`), to).toMatchObject({ code: 2, out: '' });
    expect(await consumer('delete', 'billing')).toMatchObject({ code: 0, out: 'deleted billing\n' });
    expect((await consumer('delete', 'billing')).code).toBe(1);
    expect(await json('list')).toEqual([]);
  });

  test('only a person at a terminal is asked, and --yes answers', async () => {
    await die([event('evt_1')]);
    const seek = ['consumer', 'seek', 'billing', '--to', 'earliest'];
    for (const no of ['n', '', 'nyes']) {
      const kept = await typed(seek, env, no);
      expect([kept.code, kept.out, kept.err]).toEqual([1, '', 'restante: billing was not moved\n']);
      expect(kept.asked).toMatch(/^Move billing to earliest\? .* \[y\/N\] $/);
    }
    expect((await json<Consumer>('show', 'billing')).dead).toBe(1);
    expect(await typed([...seek, '--yes'], env, 'n')).toMatchObject({ code: 0, asked: '' });
    expect(await typed(seek, env, 'y')).toMatchObject({ code: 0 });
    expect(await typed(['consumer', 'delete', 'billing'], env, 'n')).toMatchObject({ code: 1 });
    expect(await typed(['consumer', 'delete', 'billing'], env, 'Yes')).toMatchObject({ code: 0 });
  });

  test('the commands of docs/cli.md do what it says', async () => {
    const [id] = await die([event('evt_1QkT2eLzKpW8dJ3x'), event('evt_2')]);
    const page = readFileSync('docs/cli.md', 'utf8').replace(/\b27\b/g, String(id));
    const lines = [...page.matchAll(/^(restante (?:consumer|why|pull).*)$/gm)].map(([, line = '']) => line);
    const commands = lines.map((line) => line.split(/ +[#|] /)[0] ?? '').filter((line) => !line.includes('--exec'));
    expect(commands.length).toBeGreaterThan(12);
    for (const line of commands) {
      const { code, out, err } = await typed(line.split(' ').slice(1), env);
      expect([code, err], line).toEqual([0, '']);
      // Nothing waits after it was moved to the latest.
      if (!line.includes(' pull ')) expect(out, line).not.toBe('');
    }
  });

  test('no colour, no carriage return and nothing that moves the cursor without a terminal', async () => {
    const [id] = await die([event('evt_1'), Buffer.from('\u001b[31mred\r\n')]);
    for (const argv of [['list'], ['show', 'billing'], ['dead', 'billing'], ['dead', 'billing', String(id)], ['x']])
      await consumer(...argv);
    await consumer('dead', 'billing', String((id ?? 0) + 1));
    await typed(['why', 'evt_1'], env);
    await typed(['why', 'evt_none'], env);
    await typed(['pull', 'billing'], env);
    expect(told.length).toBeGreaterThan(8);
    for (const text of told) expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test.each([
    'list',
    'show x',
    'dead x',
    'dead x 1',
    'redrive x --all',
    'redrive x 1',
    'seek x --to latest',
    'delete x',
  ])('consumer %s: 2 for credentials, 1 for what is not there or cannot be reached, without a stack', async (line) => {
    const nobody = { RESTANTE_URL: 'http://127.0.0.1:1', RESTANTE_AUTH: '1:x' };
    for (const [credentials, code] of [
      [{ RESTANTE_URL: service.url }, 2],
      [{ ...env, RESTANTE_AUTH: `${user.id}:wrong` }, 2],
      [nobody, 1],
      [env, line === 'list' ? 0 : 1],
    ] as const) {
      const said = await typed(['consumer', ...line.split(' ')], credentials as Record<string, string>);
      expect(said.code, said.err).toBe(code);
      if (code > 0) expect([said.out, said.err]).toEqual(['', expect.stringMatching(/^restante: [^\n]+\n$/)]);
    }
  });

  test.each([
    ['dead x one', 'whole number'],
    ['dead x --raw', 'say its id'],
    ['redrive x', '--all'],
    ['redrive x 1 --all', '--all'],
    ['redrive x all', 'whole number'],
    ['seek x', '--to'],
    ['show a*b', 'name'],
  ])('consumer %s is asked wrongly', async (line, says) => {
    const { code, out, err } = await consumer(...line.split(' '));
    expect([code, out, err]).toEqual([2, '', expect.stringContaining(says)]);
  });
});

test('without our tables they are asked wrongly, and the answer says what to do', async () => {
  const database = await emptyDatabase('mysql');
  const service = await startService(database.url);
  try {
    const { id, token } = await service.user();
    for (const argv of [
      ['consumer', 'list'],
      ['consumer', 'dead', 'x'],
      ['why', 'evt_1'],
    ]) {
      const { code, out, err } = await typed(argv, { RESTANTE_URL: service.url, RESTANTE_AUTH: `${id}:${token}` });
      expect([code, out, err], argv.join(' ')).toEqual([2, '', expect.stringContaining('restante migrate')]);
    }
  } finally {
    await service.close();
    await database.drop();
  }
});

test('redrive --all calls as often as there are more, and no more', async () => {
  const answers = [
    { done: [1, 2], conflicts: [], more: true },
    { done: [3], conflicts: [], more: true },
    { done: [], conflicts: [], more: true },
  ];
  const calls: unknown[] = [];
  const retryDead = async (body: unknown) => {
    calls.push(body);
    return answers[calls.length - 1];
  };
  const client = { consumer: () => ({ retryDead }) } as unknown as Client;
  const out: unknown[] = [];
  const io = { out: (data: unknown) => void out.push(data) } as unknown as Parameters<typeof redrive>[0];
  await redrive(io, client, 'x', undefined, true);
  expect([calls, out]).toEqual([[{}, {}, {}], ['{"done":[1,2,3],"conflicts":[]}\n']]);
  calls.length = 0;
  await redrive(
    io,
    client,
    'x',
    Array.from({ length: 501 }, (_, i) => i),
    true,
  );
  expect(calls.map((body) => (body as { ids: number[] }).ids.length)).toEqual([500, 1]);
});

test('a time is read as UTC, and so long ago counts from now', () => {
  const now = Date.parse('2026-11-22T10:00:00Z');
  expect(whereTo('24h', now)).toEqual({ time: '2026-11-21T10:00:00.000Z' });
  expect(whereTo('7d', now)).toEqual({ time: '2026-11-15T10:00:00.000Z' });
  expect(whereTo('2026-11-22', now)).toEqual({ time: '2026-11-22T00:00:00.000Z' });
  expect(whereTo('2026-11-22T10:00+02:00', now)).toEqual({ time: '2026-11-22T08:00:00.000Z' });
  expect(whereTo('27', now)).toEqual({ id: 27 });
});
