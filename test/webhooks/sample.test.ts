// A webhook tried out by its owner: a sample signed with the stored secret is received like any request, and what became of it is told.
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { isCertified, needsKey } from '../../src/verify/sample.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import * as sign from '../support/signing.ts';

// biome-ignore lint/suspicious/noExplicitAny: whatever the call answers
type Answer = any;
const calling =
  (service: () => Service) =>
  async (user: TestUser, method: string, path: string, body?: object | string): Promise<Answer> => {
    const answer = await fetch(service().url + path, {
      method,
      headers: { authorization: user.auth },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { code: answer.status, after: answer.headers.get('retry-after'), ...(text ? JSON.parse(text) : {}) };
  };

/** A secret of the shape that these rules want. */
function secretFor(name: string): string {
  const { check } = compileRules({ preset: name });
  const encoding = check && 'keyEncoding' in check ? check.keyEncoding : 'utf8';
  if (name === 'supabase') return `v1,whsec_${Buffer.from('a secret of some length').toString('base64')}`;
  if (encoding === 'utf8') return 'user:a-secret-of-some-length';
  const prefix = check && 'keyPrefix' in check ? (check.keyPrefix ?? '') : '';
  return prefix + Buffer.from('a secret of some length').toString(encoding);
}
const MADE_HERE = [...PRESETS.keys()].filter((name) => {
  if (name === 'generic') return false;
  const rules = compileRules({ preset: name });
  return !isCertified(rules) && !needsKey(rules);
});
const VERIFIED: Readonly<Record<string, string>> = { none: 'none', 'shared-secret': 'token' };

onEveryEngine('a test of a webhook', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org/post' });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const call = calling(() => service);
  const enter = async (settings: Record<string, unknown> = {}): Promise<WebhookDetail> => {
    user = await service.user();
    return service.webhook(user, settings);
  };
  const send = (webhook: WebhookDetail, body?: object | string, by = user) =>
    call(by, 'POST', `/webhooks/${webhook.wh_id}/test`, body);
  const contents = async (webhook: WebhookDetail) => {
    await service.settle();
    return (await call(user, 'GET', `/whcontent?whid=${webhook.wh_id}&limit=100`)).whcontent;
  };
  const refusals = async (webhook: WebhookDetail): Promise<Answer[]> =>
    (await call(user, 'GET', `/refusals?whid=${webhook.wh_id}`)).refusals;

  test('of every preset that a secret signs is stored as its provider signs, and answered as its provider is', async () => {
    expect(MADE_HERE.length).toBeGreaterThan(50);
    const owners = [await service.user(), await service.user(), await service.user()];
    for (const [i, name] of MADE_HERE.entries()) {
      user = owners[i % owners.length] as TestUser;
      const webhook = await service.webhook(user, { preset: name, secrets: [secretFor(name)] });
      const sent = await send(webhook);
      const preset = PRESETS.get(name);
      const verified = VERIFIED[preset?.verify.scheme ?? ''] ?? 'signed';
      const answer = { status: 200, body: '', ...preset?.response };
      expect(sent, name).toMatchObject({ code: 200, status: answer.status, answer: answer.body, verified });
      expect(sent.detail, name).toMatch(new RegExp(`^Stored as content ${sent.content_id}\\. `));
      const content = await call(user, 'GET', `/whcontent/${sent.content_id}`);
      const { event_id, event_type } = sent;
      expect(content.request, name).toMatchObject({ verified, event_id, event_type, ip: '127.0.0.1' });
      expect(content.request.public_url.startsWith(webhook.wh_url), name).toBe(true);
    }
  });

  test('has the type and the id that were asked for, and reaches a consumer', async () => {
    const webhook = await enter({ preset: 'stripe', secrets: ['whsec_abc'] });
    await call(user, 'PUT', '/consumers/billing', { start: 'latest' });
    const first = await send(webhook, { type: 'charge.refunded', id: 'evt_1' });
    expect(first).toMatchObject({ event_type: 'charge.refunded', event_id: 'evt_1', verified: 'signed' });
    expect(first.detail).toContain('as Stripe signs');
    const { items } = await call(user, 'POST', '/consumers/billing/pull', { wait: 5 });
    const [{ id, content, request }] = items;
    expect(id).toBe(first.content_id);
    expect(JSON.parse(content)).toMatchObject({ id: 'evt_1', type: 'charge.refunded' });
    const header = (name: string) => request.headers.find(([one]: string[]) => one?.toLowerCase() === name)?.[1];
    expect(header('host')).toBe('hooks.example.org');
    expect(header('content-length')).toBe(String(Buffer.byteLength(content)));
    const again = await send(webhook, { type: 'charge.refunded', id: 'evt_1' });
    const { request: second } = await call(user, 'GET', `/whcontent/${again.content_id}`);
    expect(second.duplicate_of).toBe(first.content_id);
  });

  test('of a webhook without rules is plain, without a body and with an empty one', async () => {
    const webhook = await enter();
    for (const body of [undefined, {}, ''])
      expect(await send(webhook, body)).toMatchObject({
        code: 200,
        verified: 'none',
        detail: expect.stringContaining('no rules are set'),
      });
    expect(await contents(webhook)).toHaveLength(3);
    expect(await send(webhook, { type: 'x' })).toMatchObject({
      code: 409,
      type: 'urn:restante:problem:no-sample',
      detail: expect.stringContaining('reads no event type'),
    });
  });

  test('is signed with the secret that stays, at once after a change, and goes to the new URL', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const past = new Date(Date.now() - 1_000).toISOString();
    const webhook = await enter({
      preset: 'github',
      secrets: [{ value: 'old', expires_at: soon }, 'new', { value: 'older', expires_at: past }],
    });
    const signedWith = async (sent: Answer, secret: string) => {
      const { content, request } = await call(user, 'GET', `/whcontent/${sent.content_id}`);
      const [wanted] = Object.values(sign.github(secret, content));
      return request.headers.some(([, value]: string[]) => value === wanted);
    };
    expect(await signedWith(await send(webhook), 'new')).toBe(true);
    const change = (secrets: unknown) => call(user, 'PATCH', `/webhooks/${webhook.wh_id}`, { secrets });
    await change([{ value: 'old', expires_at: soon }]);
    expect(await signedWith(await send(webhook), 'old')).toBe(true);
    await change(['newest']);
    const sent = await send(webhook);
    expect([sent.verified, await signedWith(sent, 'newest'), await signedWith(sent, 'old')]).toEqual([
      'signed',
      true,
      false,
    ]);
    const rotated = await call(user, 'POST', `/webhooks/${webhook.wh_id}/rotate`, {});
    const after = await send(webhook);
    const { request } = await call(user, 'GET', `/whcontent/${after.content_id}`);
    expect([after.verified, request.public_url]).toEqual(['signed', rotated.wh_url]);
    await change([{ value: 'gone', expires_at: past }]);
    expect(await send(webhook)).toMatchObject({ code: 409, detail: expect.stringContaining('have expired') });
  });

  test('a secret that another process has set counts', async () => {
    const webhook = await enter({ preset: 'github', secrets: ['first'] });
    expect(await send(webhook)).toMatchObject({ verified: 'signed' });
    const other = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org/post' });
    await calling(() => other)(user, 'PATCH', `/webhooks/${webhook.wh_id}`, { secrets: ['second'] });
    expect(await send(webhook)).toMatchObject({ verified: 'signed', status: 200 });
    await other.close();
  });

  test('what cannot be signed here is told with what to do, and nothing is sent', async () => {
    const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();
    for (const [settings, body, words] of [
      [{ preset: 'stripe' }, {}, /no secret yet, .*PATCH \/webhooks\/\d+.*restante webhook set \d+ --secret-file -/],
      [
        { preset: 'sns', secrets: ['arn:aws:sns:eu-west-1:1:t'] },
        {},
        /Only the provider can sign this: its certificate/,
      ],
      [{ preset: 'paypal', secrets: ['WH-1'] }, {}, /Only the provider can sign this/],
      [{ preset: 'sns' }, {}, /Only the provider can sign this/],
      [{ preset: 'discord', secrets: [publicKey] }, {}, /is a public key.*let the provider send a test event/],
      [{ preset: 'discord' }, {}, /is a public key/],
      [{ preset: 'telegram', secrets: ['t'] }, { type: 'message' }, /reads no event type: leave the type out/],
      [{ preset: 'airtable', secrets: ['c2Vj'] }, { id: 'x' }, /reads no event id/],
      [{ preset: 'webex', secrets: ['s'] }, { type: 'messages' }, /more than one part/],
      [{ preset: 'github', secrets: ['s'] }, { type: 'a\nb' }, /header cannot carry this text/],
      [
        {
          verify: {
            scheme: 'hmac',
            signature: { from: 'header:X-S' },
            signed_string: '{json:/a/b}{json:/a/b/c}{body}',
          },
          secrets: ['s'],
        },
        {},
        /The \/a\/b of the body is missing, and it is signed\./,
      ],
    ] as const) {
      const webhook = await enter(settings);
      const sent = await send(webhook, body);
      if (sent.code === 200) throw new Error(`it was sent: ${JSON.stringify([settings, sent])}`);
      expect(sent, JSON.stringify(settings)).toMatchObject({
        code: 409,
        type: 'urn:restante:problem:no-sample',
        detail: expect.stringMatching(words),
      });
      expect(sent.detail).toMatch(/ Nothing was sent\.$/);
      expect([await contents(webhook), await refusals(webhook)]).toEqual([[], []]);
    }
  });

  test('only its owner may send one, to a webhook that was made here', async () => {
    const webhook = await enter({ preset: 'stripe', secrets: ['whsec_abc'] });
    const stranger = await service.user();
    expect(await send(webhook, {}, stranger)).toMatchObject({ code: 404 });
    expect(await send({ ...webhook, wh_id: 4_000_000_000 })).toMatchObject({ code: 404 });
    const unsigned = await fetch(`${service.url}/webhooks/${webhook.wh_id}/test`, { method: 'POST' });
    expect(unsigned.status).toBe(401);
    const theirs = 900_000 + user.id;
    await service.store.db.run('INSERT INTO tblwhid (id, user_id, wh_url, wh_name, status) VALUES (?, ?, ?, ?, 1)', [
      theirs,
      user.id,
      'https://elsewhere.example/x',
      'Theirs',
    ]);
    expect(await send({ ...webhook, wh_id: theirs })).toMatchObject({ code: 403 });
    for (const body of [{ type: '' }, { type: 'x'.repeat(201) }, { kind: 'x' }, { type: 7.5e300, id: [] }])
      expect(await send(webhook, body)).toMatchObject({ code: 422 });
    expect(await contents(webhook)).toEqual([]);
  });

  test('what refuses a request refuses the test, and its owner is told which setting does', async () => {
    const signed = { preset: 'stripe', secrets: ['whsec_abc'] };
    for (const [settings, status, words, kind] of [
      [{ enabled: false }, 503, /switched off/, undefined],
      [{ allow_methods: ['PUT'] }, 405, /only PUT is accepted.*allow_methods/, 'method'],
      [{ allow_networks: ['3.18.12.63'] }, 403, /came from 127\.0\.0\.1, which is not in allow_networks/, 'network'],
      [{ max_body_bytes: 10 }, 413, /limit of 10 bytes.*max_body_bytes/, 'too_large'],
    ] as const) {
      const webhook = await enter({ ...signed, ...settings });
      const sent = await send(webhook);
      expect(sent).toMatchObject({ code: 200, status, verified: null, content_id: null });
      expect(sent.detail).toMatch(/^Not stored: a sender would have got /);
      expect(sent.detail).toMatch(words);
      expect(await contents(webhook)).toEqual([]);
      await expect
        .poll(async () => (await refusals(webhook)).map((one) => one.kind))
        .toEqual(kind === undefined ? [] : [kind]);
    }
  });

  test('of rules of ones own has what they sign', async () => {
    const verify = {
      scheme: 'hmac',
      signature: { from: 'header:X-S' },
      signed_string: '{method} {url} {header:Host} {header:X-Nonce} {body}',
      event_type: 'body:/kind',
    };
    const webhook = await enter({ verify, secrets: ['s'] });
    const sent = await send(webhook, { type: 'made' });
    expect(sent).toMatchObject({
      verified: 'signed',
      event_type: 'made',
      detail: expect.stringContaining('your rules'),
    });
  });

  test('answers what the webhook is told to answer', async () => {
    const webhook = await enter({ response: { status: 202, content_type: 'text/xml', body: '<Response/>' } });
    expect(await send(webhook)).toMatchObject({ status: 202, answer: '<Response/>', verified: 'none' });
  });

  test('tells no secret that was set to check signatures', async () => {
    const webhook = await enter({ preset: 'slack', secrets: ['planted-secret-of-the-app'] });
    const path = `/webhooks/${webhook.wh_id}`;
    const id = webhook.secrets[0]?.id;
    const sent = { scheme: 'shared-secret', secret_from: 'header:X-Token' };
    for (const change of [
      { verify: sent },
      { preset: 'telegram' },
      { preset: null, verify: sent, secrets: [{ id }] },
      { preset: null, verify: sent, secrets: ['another', { id }] },
    ])
      expect(await call(user, 'PATCH', path, change)).toMatchObject({
        code: 422,
        errors: [{ path: 'body.secrets', message: expect.stringContaining('must be set again with their values') }],
      });
    // Neither in two steps.
    expect(await call(user, 'PATCH', path, { preset: null, verify: null })).toMatchObject({ code: 200 });
    expect(await call(user, 'PATCH', path, { verify: sent })).toMatchObject({ code: 422 });
    expect(await call(user, 'PATCH', path, { verify: sent, secrets: ['in-clear'] })).toMatchObject({ code: 200 });
    const { content_id, verified } = await send(webhook);
    expect(verified).toBe('token');
    const { request } = await call(user, 'GET', `/whcontent/${content_id}`);
    expect(request.headers).toContainEqual(['X-Token', 'in-clear']);
    // From one place to another it is as well known as before.
    expect(await call(user, 'PATCH', path, { verify: { secret_from: 'query:key' } })).toMatchObject({ code: 200 });
    expect(await send(webhook)).toMatchObject({ verified: 'token' });
    expect(JSON.stringify(service.log.lines)).not.toMatch(/planted-secret|in-clear/);
  });

  test('so many a minute, and another user is not held up', async () => {
    const webhook = await enter();
    const began = performance.now();
    const codes: number[] = [];
    for (let i = 0; i < 64; i++) codes.push((await send(webhook)).code);
    const gained = Math.ceil((performance.now() - began) / 1_000);
    const passed = codes.filter((code) => code === 200).length;
    expect([passed >= 60, passed <= 60 + gained]).toEqual([true, true]);
    const stopped: Answer[] = [];
    for (let i = 0; i < 10; i++) stopped.push(await send(webhook));
    expect(stopped.find(({ code }) => code === 429)).toMatchObject({
      type: 'urn:restante:problem:too-many-tests',
      after: '1',
      detail: expect.stringContaining('60 tests a minute'),
    });
    const other = await enter();
    expect(await send(other)).toMatchObject({ code: 200 });
  });
});

describe('bounds of the operator', () => {
  test('a test counts as a request: by the second, and as bytes that are stored', async () => {
    const database = await migratedDatabase('sqlite');
    const service = await startService(database.url, { RATE_PER_WEBHOOK: '1', QUOTA_MB_PER_USER: '1' });
    const call = calling(() => service);
    const user = await service.user();
    const [busy, full] = [await service.webhook(user), await service.webhook(user)];
    const tests = [];
    for (let i = 0; i < 14; i++) tests.push(await call(user, 'POST', `/webhooks/${busy.wh_id}/test`));
    expect(tests.find(({ status }) => status !== 200)).toMatchObject({
      code: 200,
      status: 503,
      content_id: null,
      detail: expect.stringContaining('This webhook may receive 1 requests a second'),
    });
    await fetch(service.url + pathOf(full), { method: 'POST', body: 'x'.repeat(1_100_000) });
    await expect
      .poll(async () => (await call(user, 'POST', `/webhooks/${full.wh_id}/test`)).detail, { interval: 300 })
      .toContain('1 MB stored');
    await service.close();
    await database.drop();
  });
});
