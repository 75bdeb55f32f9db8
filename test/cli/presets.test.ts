// Presets on the command line: what is told of them, secrets that are never told, what came before them, and why an event is not here.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answered, verified } from '../../src/cli/operator/presets.ts';
import { startChores } from '../../src/cli/serve.ts';
import { run } from '../../src/main.ts';
import type { Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { mistakesOf, rulesInWords } from '../../src/verify/explain.ts';
import { PRESETS, type Preset } from '../../src/verify/presets/index.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { changeWebhook } from '../../src/webhooks/webhooks.ts';
import { cli, dropped, folder, kept } from '../support/cli.ts';
import {
  type Database,
  ENGINES,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import * as sign from '../support/signing.ts';

const SECRETS_KEY = '5e'.repeat(32);
const SECRET = 'whsec_plantedSecretOfThePayments9fA2';

/** One command line with something on its standard input. */
async function typed(argv: readonly string[], env: Readonly<Record<string, string>>, input = '') {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(argv, {
    env,
    out: (text) => void out.push(String(text)),
    err: (text) => void err.push(text),
    written: async () => {},
    input: async () => input,
    ask: async () => '',
    memory: process,
    tty: false,
    stopped: () => new Promise(() => {}),
  });
  return { code, out: out.join(''), err: err.join('') };
}

describe('restante presets', () => {
  // Nobody listens there: presets are told without a database.
  const env = { DATABASE_URL: 'mysql://root@127.0.0.1:1/nowhere' };

  test('a table of all, for people and for scripts', async () => {
    const { code, out, err } = await cli(['presets'], env);
    expect([code, err]).toEqual([0, '']);
    const [head, ...lines] = out.trimEnd().split('\n');
    expect(head).toMatch(/^name +title +needs +verified +checked against$/);
    expect(lines.map((line) => line.split(' ')[0])).toEqual([...PRESETS.keys()]);
    expect(lines.find((line) => line.startsWith('stripe '))).toMatch(
      /Stripe +a secret +HMAC SHA-256 of \{timestamp\}\.\{body\}, within 300 s +the official library stripe/,
    );
    expect(lines.find((line) => line.startsWith('meta '))).toContain('a secret and a verify token');
    const json = JSON.parse((await cli(['presets', '--json'], env)).out) as Record<string, unknown>[];
    expect(json.map(({ name }) => name)).toEqual([...PRESETS.keys()]);
    for (const one of json)
      for (const member of ['title', 'needs', 'verified', 'answer', 'waits', 'retries', 'steps', 'source', 'checked'])
        expect(one[member], `${one.name}.${member}`).toBeTruthy();
  });

  test.each([...PRESETS.values()])('all about $name', async (preset) => {
    const { code, out } = await cli(['presets', preset.name], env);
    expect(code).toBe(0);
    const { waits, retries, source, checked, secret = '', steps } = preset;
    const flowing = out.replace(/\s+/g, ' ');
    for (const text of [waits, retries, source, checked, secret, ...steps]) expect(flowing).toContain(text);
    if (preset.name !== 'generic') {
      const rules = compileRules({ preset: preset.name });
      for (const text of rulesInWords(rules, preset.response)) expect(flowing).toContain(text.replace(/\s+/g, ' '));
      const named = mistakesOf(rules).map(({ mistake }) => `* ${mistake}:`);
      for (const text of named) expect(flowing).toContain(text);
    }
    // All but the sample, which is to be copied, and what is one word.
    const lines = out.replace(/Its requests look like this:\n[\s\S]*?\n\n(?=\S)/, '').split('\n');
    const wide = lines.filter((line) => [...line].length > 80 && !line.split(' ').some(({ length }) => length > 66));
    expect(wide.filter((line) => !/^ {2}restante /.test(line))).toEqual([]);
    expect(out).toContain('{url} is the URL of your webhook');
    expect(out).toContain(`--preset ${preset.name}`);
    const own = preset.certificate ? 'Only the provider can sign this' : 'restante send --to ID';
    if (preset.name !== 'generic') expect(out.split(/look like this:\n\n {2}curl /)[1]).toContain(own);
    const proof = { hmac: 'SIGNATURE', hash: 'SIGNATURE', asymmetric: 'SIGNATURE', jwt: 'TOKEN', none: 'curl' };
    const { scheme = 'none', secret_from } = preset.verify;
    if (preset.name !== 'generic')
      expect(out).toContain(scheme !== 'shared-secret' ? proof[scheme] : secret_from === 'basic' ? 'BASE64' : 'SECRET');
    expect(out).not.toContain('undefined');
  });

  test('what there is not is exit code 2', async () => {
    expect(await cli(['presets', 'stripee'], env)).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('restante presets'),
    });
  });
});

onEveryEngine('secrets and why', (engine) => {
  const PUBLIC_URL = 'https://hooks.example.org/base';
  let database: Database;
  let service: Service;
  let user: TestUser;
  let env: Record<string, string>;

  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { PUBLIC_URL });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  // Each test has a user of its own, as `why` and `list` are about all that one has.
  beforeEach(async () => {
    user = await service.user();
    env = { DATABASE_URL: database.url, PUBLIC_URL, SECRETS_KEY, ...credentials() };
  });

  const credentials = () => ({ RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}` });
  const own = () => ['--user', String(user.id)];
  const json = async <T = WebhookDetail>(argv: readonly string[], input = ''): Promise<T> => {
    const { code, out, err } = await typed([...argv, ...own(), '--json'], env, input);
    expect(code, err).toBe(0);
    return JSON.parse(out) as T;
  };
  const add = (...more: string[]) => json(['webhook', 'add', 'Payments', '--preset', 'stripe', ...more], SECRET);
  const send = async (webhook: WebhookDetail, body: string, headers: sign.Headers) => {
    const path = pathOf(webhook).replace('/base', '');
    return (await fetch(service.url + path, { method: 'POST', body, headers })).status;
  };
  const event = (id: string) => JSON.stringify({ id, object: 'event', type: 'charge.succeeded' });
  const stripe = (webhook: WebhookDetail, id: string, secret = SECRET) =>
    send(webhook, event(id), sign.stripe(secret, event(id)));
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { Authorization: user.auth },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await answer.json()) as T;
  };
  const refusals = async (count: number) => {
    for (let i = 0; ; i++) {
      const page = await call<{ refusals: Refusal[] }>('GET', '/refusals?limit=100');
      if (page.refusals.length >= count || i === 200) return page.refusals;
      await sleep(20);
    }
  };
  const contents = async () => {
    await service.settle();
    const page = await call<{ whcontent: { content: string; request: { verified: string } }[] }>(
      'GET',
      '/whcontent?whid=all&limit=100',
    );
    return page.whcontent.map(({ content, request }) => [request.verified, JSON.parse(content).id]);
  };
  const why = (id: string) => typed(['why', id], credentials());

  test('add prints the steps with the real URL, and warns while nobody can reach it', async () => {
    const good = await typed(['webhook', 'add', 'Payments', '--preset', 'stripe', ...own()], env);
    expect([good.code, good.err]).toEqual([0, '']);
    const [, url = ''] = /^wh_url +(https:\S+)$/m.exec(good.out) ?? [];
    expect(good.out).toMatch(/^preset +stripe \(Stripe\)\nsecrets +none yet$/m);
    const steps = PRESETS.get('stripe')?.steps ?? [];
    for (const [i, step] of steps.entries())
      expect(good.out).toContain(`  ${i + 1}. ${step.replaceAll('{url}', url)}\n`);
    expect(good.out).toMatch(/restante webhook set \d+ --secret-file - --user \d+\n/);
    expect(good.out).not.toContain('Warning');
    for (const bad of ['http://127.0.0.1:4343', 'http://hooks.example.org', 'https://localhost:4343']) {
      const told = await typed(['webhook', 'add', 'x', '--preset', 'github', ...own()], { ...env, PUBLIC_URL: bad });
      expect(told.out, bad).toContain(`Warning: GitHub cannot reach ${bad}: PUBLIC_URL must be`);
    }
    const plain = await typed(['webhook', 'add', 'x', ...own()], env);
    expect(plain.out).toContain('none: nothing is checked');
    expect(plain.out).not.toContain('What to do');
  });

  test('a secret comes from a file, standard input or the environment, and verifies', async () => {
    const file = join(folder(), 'secret');
    writeFileSync(file, `\ufeff${SECRET}\r\n`);
    const hooks = [
      await add('--secret-file', file),
      await add('--secret-file', '-'),
      await typed(['webhook', 'add', 'x', '--preset', 'stripe', ...own(), '--json'], {
        ...env,
        RESTANTE_SECRET: SECRET,
      }).then(({ out }) => JSON.parse(out) as WebhookDetail),
    ];
    for (const [i, hook] of hooks.entries()) {
      expect(hook.secrets).toMatchObject([{ last4: '9fA2', expires_at: null }]);
      expect(await stripe(hook, `evt_in_${i}`)).toBe(200);
      expect(await stripe(hook, `evt_in_${i}`, 'whsec_another')).toBe(401);
    }
    expect(await contents()).toEqual([0, 1, 2].map((i) => ['signed', `evt_in_${i}`]));
  });

  test('settings are the ones of the API, and what could not work is exit code 2', async () => {
    const token = join(folder(), 'token');
    writeFileSync(token, 'my token\n');
    const more = ['--secret-file', '-', '--token-file', token, '--on-reject', 'drop'];
    const meta = await json(['webhook', 'add', 'WA', '--preset', 'meta', ...more], 'the app secret of ours');
    expect(meta).toMatchObject({ preset: 'meta', verify: { token: '***' }, secrets: [{}], on_reject: 'drop' });
    const query = 'hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=my%20token';
    const shaken = await fetch(`${service.url}${pathOf(meta).replace('/base', '')}?${query}`);
    expect([shaken.status, await shaken.text()]).toEqual([200, '1158201444']);
    const tokenless = await typed(['webhook', 'add', 'WA', '--preset', 'meta', ...own()], env);
    expect(tokenless.out).toMatch(/The verify token is not set yet: restante webhook set \d+ --token-file FILE --user/);
    const id = String(meta.wh_id);
    const set = (...argv: string[]) => json(['webhook', 'set', id, ...argv]);
    expect(await set('--verify', '{"event_type":"body:/object"}', '--name', 'Zahlungen €')).toMatchObject({
      verify: { token: '***', event_type: 'body:/object' },
      wh_name: 'Zahlungen €',
    });
    const second = await json(['webhook', 'set', id, '--add-secret-file', '-'], 'another app secret of ours');
    expect(second).toMatchObject({ verify: { token: '***' }, secrets: [{}, {}] });
    expect(await set('--dedupe', '{"from":"body:/id","window_seconds":60}')).toMatchObject({
      dedupe: { from: 'body:/id', window_seconds: 60 },
    });
    expect(await set('--days', '7')).toMatchObject({ retention_days: 7 });
    expect(await set('--days', 'none')).toMatchObject({ retention_days: null });
    expect(await set('--preset', 'none', '--verify', 'null', '--dedupe', 'null')).toMatchObject({
      preset: null,
      verify: null,
      dedupe: null,
      secrets: [{}, {}],
    });
    const shown = await typed(['webhook', 'show', id, ...own()], env);
    expect(shown.out).toContain('Nothing is checked with this secret yet');
    for (const [argv, says] of [
      [['add', 'x', '--preset', 'stripee'], 'preset is none of stripe, twilio'],
      [['add', 'x', '--preset', 'generic'], 'verify.scheme must say'],
      [['add', 'x', '--verify', '{"algoritm":"sha1"}'], 'verify.algoritm is not known here'],
      [['add', 'x', '--verify', 'scheme=hmac'], '--verify is not JSON'],
      [['add', 'x', '--verify', '{"scheme":"hmac","signature":{"from":"x-sig"}}'], 'verify.signature.from'],
      [['add', 'x', '--on-reject', 'kep'], 'on_reject'],
      [['add', 'x', '--dedupe', '{"window_seconds":"1"}'], 'dedupe.window_seconds'],
      [['add', 'x', '--secret-file', '/nowhere'], '--secret-file: that file cannot be read (ENOENT)'],
      [['add', 'x', '--secret-file', '-'], 'there is no secret in it'],
      [['set', id], 'nothing to change'],
      [['set', id, '--secret-file', 'a', '--add-secret-file', 'b'], 'one of the two'],
      [['set', id, '--secret-file', '-', '--token-file', '-'], 'put one of them into a file'],
      [['set', id, '--secret-expires', '2099-01-01T00:00:00Z'], '--add-secret-file'],
      [['set', id, '--add-secret-file', '-', '--secret-expires', 'soon'], 'a time to come'],
      [['set', id, '--add-secret-file', '-', '--secret-expires', '2001-01-01T00:00:00Z'], 'a time to come'],
    ] as const) {
      const told = await typed(['webhook', ...argv, ...own()], env);
      expect([told.code, told.out, told.err], argv.join(' ')).toEqual([2, '', expect.stringContaining(says)]);
      expect(told.err).not.toMatch(/ {4}at /);
    }
    expect(await typed(['webhook', 'set', '4040', '--name', 'x', ...own()], env)).toMatchObject({ code: 1, out: '' });
  });

  test('rotation: a second secret beside the first, which ends; then the new one alone', async () => {
    const hook = await add('--secret-file', '-');
    const id = String(hook.wh_id);
    const ends = new Date(Date.now() + 3_600_000).toISOString();
    const both = await json(
      ['webhook', 'set', id, '--add-secret-file', '-', '--secret-expires', ends],
      'whsec_theNextSecretOfThePayments7xQ1',
    );
    expect(both.secrets).toMatchObject([
      { id: hook.secrets[0]?.id, last4: '9fA2', expires_at: ends },
      { last4: '7xQ1', expires_at: null },
    ]);
    const shown = await typed(['webhook', 'show', id, ...own()], env);
    expect(shown.out).toMatch(/^secrets +…9fA2 \(id \w+, until \S+Z\); …7xQ1 \(id \w+\)$/m);
    service.parts.targets.forget(() => true);
    expect(await stripe(hook, 'evt_old')).toBe(200);
    expect(await stripe(hook, 'evt_new', 'whsec_theNextSecretOfThePayments7xQ1')).toBe(200);
    const later = new Date(Date.now() + 7_200_000).toISOString();
    const third = await json(['webhook', 'set', id, '--add-secret-file', '-', '--secret-expires', later], 'whsec_3rd');
    expect(third.secrets.map(({ expires_at }) => expires_at)).toEqual([ends, later, null]);
    const fourth = await json(['webhook', 'set', id, '--add-secret-file', '-', '--secret-expires', '2d'], 'whsec_4th');
    expect(fourth.secrets.slice(0, 2)).toEqual(third.secrets.slice(0, 2));
    const inDays = (Date.parse(fourth.secrets[2]?.expires_at ?? '') - Date.now()) / 86_400_000;
    expect([inDays.toFixed(2), fourth.secrets[3]?.expires_at]).toEqual(['2.00', null]);
    const one = await json(['webhook', 'set', id, '--secret-file', '-'], 'whsec_theLastSecretOfThePaymentsXy7Z');
    expect(one.secrets).toMatchObject([{ last4: 'Xy7Z' }]);
  });

  test('what came before its secret is judged when it is set, and the running service hands it out', async () => {
    const hook = await add();
    expect(await stripe(hook, 'evt_early')).toBe(200);
    expect(await stripe(hook, 'evt_forged', 'whsec_another')).toBe(200);
    expect((await refusals(2)).map(({ kind }) => kind)).toEqual(['secret_missing', 'secret_missing']);
    const early = await why('evt_early');
    expect([early.code, early.out]).toEqual([
      0,
      expect.stringMatching(/^evt_early: came once while no secret was valid[\s\S]*webhook set/),
    ]);
    const set = await typed(['webhook', 'set', String(hook.wh_id), '--secret-file', '-', ...own()], env, SECRET);
    expect([set.code, set.err]).toEqual([0, '']);
    expect(set.out).toContain('1 passed the check and can be fetched now; 1 did not pass');
    expect(await contents()).toEqual([['signed', 'evt_early']]);
    expect((await why('evt_forged')).out).toMatch(/not released, though a secret is set now/);
    const told = await json<{ released?: number }>(
      ['webhook', 'set', String(hook.wh_id), '--secret-file', '-'],
      SECRET,
    );
    expect(told).toMatchObject({ released: 0, waiting: 1 });
  });

  test('a service judges by itself what still waits, and not again and again what is forged', async () => {
    const hook = await add();
    await stripe(hook, 'evt_waits');
    await stripe(hook, 'evt_forged', 'whsec_another');
    await refusals(2);
    let looks = 0;
    const { db } = service.store;
    const all: typeof db.all = (sql, params) => {
      if (sql.startsWith('SELECT content FROM restante_refusal') && params?.[0] === user.id) looks++;
      return db.all(sql, params);
    };
    const store = { ...service.store, db: { ...db, all } };
    const chores = startChores({ ...service.parts, store }, { firstMs: 0, everyMs: 10 });
    await sleep(200);
    expect([looks, await contents()]).toEqual([0, []]);
    await changeWebhook(service.parts, user.id, hook.wh_id, { secrets: [SECRET] });
    for (let i = 0; looks < 3 && i < 100; i++) await sleep(20);
    await sleep(200);
    await chores.stop();
    // Both when the secret is there, and what did not pass once more.
    expect([looks, await contents()]).toEqual([3, [['signed', 'evt_waits']]]);
  });

  test('why: received, by whom it was read, duplicates, refusals and their near miss', async () => {
    const hook = await add('--secret-file', '-');
    await stripe(hook, 'evt_1');
    await stripe(hook, 'evt_1');
    await service.settle();
    const received = await why('evt_1');
    expect([received.code, received.err]).toEqual([0, '']);
    expect(received.out).toMatch(
      /^evt_1: received twice\n\ncontent (\d+): received \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC from 127\.0\.0\.1\n {2}at webhook \d+ \(Payments\), verified: signed, \d+ bytes, charge\.succeeded, evt_1\n {2}came again as content \d+\n {2}no consumer reads it/,
    );
    const [, first = '', again = ''] = /content (\d+):[\s\S]*came again as content (\d+)/.exec(received.out) ?? [];
    expect((await why(again)).out).toContain(`is a duplicate of content ${first}`);

    await call('PUT', '/consumers/billing', { start: 'earliest', max_attempts: 1 });
    await call('PUT', '/consumers/audit', { start: 'earliest' });
    await call('PUT', '/consumers/late', { start: 'latest' });
    const lease = (await call<{ lease: string }>('POST', '/consumers/audit/pull', { limit: 1 })).lease;
    expect((await why(first)).out).toMatch(/consumer audit: has it, leased until .* UTC, attempt 1\n/);
    await call('POST', '/consumers/audit/ack', { lease });
    const other = (await call<{ lease: string }>('POST', '/consumers/billing/pull', { limit: 1 })).lease;
    await call('POST', '/consumers/billing/nack', { lease: other, dead: true, reason: 'no such\u001b[2J customer' });
    const told = (await why(first)).out;
    expect(told).toMatch(/consumer audit: acked, or passed while it did not read this webhook\n/);
    expect(told).toMatch(/consumer billing: dead letter since .* UTC, after attempt 1: no such\?\[2J customer\n/);
    expect(told).toMatch(/consumer late: behind its position: it began there or was moved there/);
    expect((await why(again)).out).toMatch(/consumer billing: waiting to be handed out\n/);

    const next = await add('--secret-file', '-');
    await stripe(next, 'evt_2', 'whsec_another');
    const twin = JSON.stringify({ id: 'evt_3' });
    await send(next, `${twin}\n`, sign.stripe(SECRET, twin));
    const [wrong, newline] = await refusals(2);
    const refused = await why('evt_2');
    expect(refused.code).toBe(0);
    expect(refused.out).toMatch(/^evt_2: refused once\n\nrefusal \d+: signature, /);
    expect(refused.out).toContain(wrong?.reason ?? '');
    expect(refused.out).toContain(`POST /refusals/${wrong?.id}/release`);
    expect((await why('evt_3')).out).toContain(`near miss: ${newline?.near_miss}`);
    expect(newline?.near_miss).toContain('newline');
    await call('POST', `/refusals/${wrong?.id}/release`, { force: true });
    const released = await why('evt_2');
    expect(released.out).toContain(`was refused first, and released from refusal ${wrong?.id}`);
    expect(released.out).toMatch(/not verified, .*\n/);
    expect(released.out).toMatch(/released as content \d+\n/);
    const story = JSON.parse((await typed(['why', 'evt_2', '--json'], env)).out);
    expect(story).toMatchObject({
      asked: 'evt_2',
      known: true,
      contents: [{ verified: 'none', released_from: wrong?.id }],
      refusals: [{ id: wrong?.id, kind: 'signature' }],
    });
    expect(JSON.stringify(story)).not.toContain('Stripe-Signature');
  });

  test('why: of what nobody knows, exit code 1 and what to look at next; nothing of other users', async () => {
    const hook = await add('--secret-file', '-');
    await stripe(hook, 'evt_mine');
    await stripe(hook, 'evt_forged', 'whsec_another');
    await refusals(1);
    await json(['webhook', 'add', 'Plain']);
    const none = await why('evt_nowhere');
    expect([none.code, none.err]).toEqual([1, 'restante: nothing is known of evt_nowhere\n']);
    expect(none.out).toContain(hook.wh_url);
    expect(none.out).toContain('Open refusals of the last three days: 1 signature');
    expect(none.out).toMatch(/webhook \d+ keeps no event ids/);
    const { code, out } = await typed(['why', 'evt_nowhere', '--json'], env);
    expect([code, JSON.parse(out)]).toMatchObject([1, { known: false, elsewhere: { refused: { signature: 1 } } }]);
    const mine = JSON.parse((await typed(['why', 'evt_mine', '--json'], env)).out);
    user = await service.user();
    env = { ...env, ...credentials() };
    const alone = await why('evt_mine');
    expect([alone.code, alone.out]).toEqual([1, expect.stringContaining('You have no webhook')]);
    expect(alone.out).toContain('No refusal of the last three days is open');
    expect((await why(String(mine.contents[0].id))).code).toBe(1);
  });

  test('a planted secret is in no output, whatever the verb and however wrongly it is given', async () => {
    const planted = 'plantedSecretOfThePayments';
    const file = join(folder(), 'secret');
    writeFileSync(file, SECRET);
    const hook = await add('--secret-file', file);
    const id = String(hook.wh_id);
    await stripe(hook, 'evt_planted');
    await stripe(hook, 'evt_refused', 'whsec_another');
    const told: string[] = [];
    for (const argv of [
      ['webhook', 'show', id],
      ['webhook', 'show', id, '--json'],
      ['webhook', 'list', '--json'],
      ['webhook', 'list'],
      ['webhook', 'rotate', id],
      ['webhook', 'disable', id],
      ['webhook', 'enable', id],
      ['webhook', 'set', id, '--add-secret-file', file],
      ['webhook', 'set', id, '--secret-file', SECRET],
      ['webhook', 'set', id, '--token-file', SECRET],
      ['webhook', 'set', id, '--token-file', file],
      ['webhook', 'set', id, '--secret', SECRET],
      ['webhook', 'set', id, `--secret=${SECRET}`],
      ['webhook', 'set', id, `--secret=a'\n${SECRET}`],
      ['webhook', 'set', id, '--secret-file', file, '--preset', 'discord'],
      ['webhook', 'set', id, '--secret-file', file, '--preset', 'sendgrid'],
      ['webhook', 'set', id, '--secret-file', file, '--verify', '{"key_encoding":"hex"}'],
      ['webhook', 'set', id, '--verify', SECRET],
      ['webhook', 'set', id, '--dedupe', SECRET],
      ['webhook', 'set', id, '--on-reject', SECRET],
      ['webhook', 'set', id, '--secret-expires', SECRET, '--add-secret-file', file],
      ['webhook', 'add', 'Name', SECRET],
      ['why', 'evt_planted'],
      ['why', 'evt_refused', '--json'],
      ['config'],
      ['config', '--json'],
    ]) {
      const { out, err } = await typed(argv[0] === 'webhook' ? [...argv, ...own()] : argv, env, SECRET);
      expect(`${out}${err}`, argv.join(' ')).not.toContain(planted);
      expect(`${out}${err}`, argv.join(' ')).not.toContain(SECRETS_KEY);
      told.push(out);
    }
    expect(told.join('')).toContain('9fA2');
    const wrongKey = await typed(['webhook', 'list'], { ...env, SECRETS_KEY: planted });
    expect([wrongKey.code, wrongKey.err]).toEqual([2, expect.stringMatching(/SECRETS_KEY must be 32 bytes/)]);
    expect(wrongKey.err).not.toContain(planted);
    for (const verb of ['add', 'set']) {
      const { out } = await cli(['webhook', verb, '--help'], env);
      expect(out).not.toMatch(/--secrets?(-key)? </);
      expect(out).toMatch(/sees their arguments/);
    }
    expect((await cli(['serve', '--help'], env)).out).not.toMatch(/--secrets-key|--metrics-token/);
  });
});

test.each(ENGINES)(
  '%s: with another SECRETS_KEY, or none, serve ends with exit code 2 and a sentence',
  async (engine) => {
    const { url } = dropped(await migratedDatabase(engine));
    const env = { DATABASE_URL: url, PORT: '0', LOG_LEVEL: 'silent' };
    const add = ['webhook', 'add', 'x', '--preset', 'stripe', '--secret-file', '-'];
    await typed(['user', 'add', '--write-tbluser'], env);
    if (engine !== 'sqlite')
      expect(await typed(add, env, SECRET)).toMatchObject({ code: 2, err: expect.stringContaining('SECRETS_KEY') });
    expect(await typed(add, { ...env, SECRETS_KEY }, SECRET)).toMatchObject({ code: 0 });
    for (const key of [{ SECRETS_KEY: '77'.repeat(32) }, {}]) {
      for (const argv of [['serve'], add, ['webhook', 'set', '1', '--secret-file', '-']]) {
        const wh = (await typed(['webhook', 'list', '--json'], env)).out;
        const { code, out, err } = await typed(
          argv.map((word) => (word === '1' ? String(JSON.parse(wh)[0].wh_id) : word)),
          { ...env, ...key },
          SECRET,
        );
        expect([code, out], argv.join(' ')).toEqual([2, '']);
        expect(err).toMatch(/^restante: \S+: .*SECRETS_KEY.*\.\n$/);
      }
    }
    const shown = await typed(['webhook', 'list'], { ...env, SECRETS_KEY: '77'.repeat(32) });
    expect([shown.code, shown.err]).toEqual([0, '']);
  },
);

describe('docs/providers.md', () => {
  const page = readFileSync('docs/providers.md', 'utf8');
  const between = /(?<=<!-- presets -->\n)[\s\S]*(?=<!-- \/presets -->)/;
  const cell = (text: string) => text.replaceAll('<', '&lt;').replaceAll('|', '\\|').replaceAll('*', '\\*');
  const row = (preset: Preset) =>
    [
      `\`${preset.name}\`<br>${cell(preset.title)}`,
      preset.steps.map((step, i) => `${i + 1}. ${cell(step)}`).join('<br>'),
      ...[verified(preset), answered(preset), preset.waits, preset.retries, preset.checked].map(cell),
    ].join(' | ');
  const table = [
    '| preset | what to do there | what is verified | we answer | they wait | they retry | checked against |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...[...PRESETS.values()].map((preset) => `| ${row(preset)} |`),
    '',
  ].join('\n');

  // UPDATE_DOCS=1 npx vitest run test/cli/presets.test.ts writes it.
  test('its table is made of the presets', () => {
    if (process.env.UPDATE_DOCS)
      writeFileSync(
        'docs/providers.md',
        page.replace(between, () => table),
      );
    else expect(between.exec(page)?.[0], 'UPDATE_DOCS=1 npx vitest run test/cli/presets.test.ts').toBe(table);
  });

  test('its commands work, in their order, and its rules for a provider of your own verify', async () => {
    const { url } = dropped(await migratedDatabase('sqlite'));
    const PUBLIC_URL = 'https://hooks.example.org';
    const service = kept(await startService(url, { PUBLIC_URL, SECRETS_KEY: '' }), (one) => one.close());
    const { id, token } = await service.user();
    const env = { DATABASE_URL: url, PUBLIC_URL, RESTANTE_URL: service.url, RESTANTE_AUTH: `${id}:${token}` };
    // The first start has made one already.
    await cli(['webhook', 'add', 'First webhook'], env);
    const rules = /```json verify\.json\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const lines = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, text = '']) => text.split('\n'));
    const commands = lines.slice(3).filter((line) => line.startsWith('restante '));
    expect(commands.length).toBeGreaterThan(12);
    for (const line of commands) {
      const words = line.matchAll(/"\$\(cat verify\.json\)"|'([^']*)'|"([^"]*)"|(\S+)/g);
      const [, ...argv] = [...words].map(([all, a, b, c]) => (all.startsWith('"$(') ? rules : (a ?? b ?? c ?? '')));
      const { code, err } = await typed(argv, env, 'a-long-random-text-of-ours');
      expect(code, `${line}: ${err}`).toBe(argv[0] === 'why' ? 1 : 0);
    }
    const listed = JSON.parse((await cli(['webhook', 'list', '--json'], env)).out) as WebhookDetail[];
    expect(listed.map(({ wh_id, wh_name, preset }) => [wh_id, wh_name, preset])).toEqual([
      [1, 'First webhook', null],
      [2, 'Payments', 'stripe'],
      [3, 'WhatsApp', 'twilio'],
      [4, 'Leads', 'activecampaign'],
      [5, 'Orders', 'generic'],
      [6, 'Alarms', 'generic'],
      [7, 'Topic', 'sns'],
    ]);

    const body = '{"event":"order.paid","order":{"id":"A-1017"}}';
    expect(page).toContain(`\`${body}\``);
    const at = Math.floor(Date.now() / 1000);
    const { 'Stripe-Signature': signature = '' } = sign.stripe('a-long-random-text-of-ours', body, at);
    const to = service.url + pathOf(listed[4] as WebhookDetail);
    const send = (value: string) => fetch(to, { method: 'POST', body, headers: { 'X-Acme-Signature': value } });
    expect([(await send(signature)).status, (await send(signature.replace('v1=', 'v1=00'))).status]).toEqual([
      200, 401,
    ]);
    expect(JSON.parse((await cli(['why', 'A-1017', '--json'], env)).out)).toMatchObject({
      contents: [{ verified: 'signed', event_id: 'A-1017', event_type: 'order.paid' }],
    });
  });
});
