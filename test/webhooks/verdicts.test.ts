// Verdicts from end to end: what is signed becomes a content, what is not stays out of the shared table and can be released.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createNearMisses } from '../../src/receiver/refusals.ts';
import type { Content, Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { searchContents } from '../../src/store/search.ts';
import type { Target } from '../../src/webhooks/target.ts';
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

const PUBLIC_URL = 'https://hooks.example.org/base';
const SECRET = 'whsec_plantedSecretOfThePayments9fA2';
const bodyOf = (id: string, more = {}) => JSON.stringify({ id, object: 'event', type: 'charge.succeeded', ...more });

onEveryEngine('verdicts', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;

  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { PUBLIC_URL });
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const call = async <T>(method: string, path: string, body?: unknown, status = 200): Promise<T> => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { Authorization: user.auth },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    expect(answer.status, text).toBe(status);
    return (text ? JSON.parse(text) : undefined) as T;
  };
  const hook = (settings: Record<string, unknown>) =>
    call<WebhookDetail>('POST', '/webhooks', { wh_name: 'Hook', ...settings }, 201);
  const urlOf = (webhook: WebhookDetail, more = '') => service.url + pathOf(webhook).replace('/base', '') + more;
  const send = (webhook: WebhookDetail, body: string | Buffer, headers: sign.Headers, more = '') =>
    fetch(urlOf(webhook, more), { method: 'POST', body, headers });
  const contents = async (webhook: WebhookDetail, more = '') => {
    await service.settle();
    const page = await call<{ whcontent: Content[] }>('GET', `/whcontent?whid=${webhook.wh_id}&limit=100${more}`);
    return page.whcontent;
  };
  const refusals = async (webhook: WebhookDetail, count = 1) => {
    for (let i = 0; ; i++) {
      const page = await call<{ refusals: Refusal[] }>('GET', `/refusals?whid=${webhook.wh_id}&limit=100`);
      if (page.refusals.length >= count || i === 100) return page.refusals;
      await sleep(20);
    }
  };
  const shared = async (webhook: WebhookDetail) =>
    service.store.db.all<{ id: number }>('SELECT id FROM tblwh WHERE wh_id = ?', [webhook.wh_id]);

  test('a signed event is a content with its verdict; a forged one is a refusal and not in the shared table', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const body = bodyOf('evt_1');
    expect((await send(webhook, body, sign.stripe(SECRET, body))).status).toBe(200);
    const forged = bodyOf('evt_2', { amount: 1_000_000 });
    const refused = await send(webhook, forged, sign.stripe('whsec_somebodyElse', forged));
    expect(refused.status).toBe(401);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    const [content, ...more] = await contents(webhook);
    expect(more).toEqual([]);
    expect(content?.request).toMatchObject({
      verified: 'signed',
      event_id: 'evt_1',
      event_type: 'charge.succeeded',
      duplicate_of: null,
      released_from: null,
    });
    expect(await shared(webhook)).toHaveLength(1);
    const [refusal] = await refusals(webhook);
    expect(refusal).toMatchObject({ kind: 'signature', size: forged.length, released_as: null });
    const raw = await fetch(`${service.url}/refusals/${refusal?.id}/raw`, { headers: { Authorization: user.auth } });
    expect(await raw.text()).toBe(forged);
    const named = await call<{ refusals: Refusal[] }>('GET', '/refusals?event_id=evt_2');
    expect(named.refusals.map(({ id }) => id)).toEqual([refusal?.id]);
  });

  test('the same event again is stored and flagged, also when all come at once; a forgery makes nothing a duplicate', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const body = bodyOf('evt_same');
    await send(webhook, body, sign.stripe('whsec_forger', body));
    const answers = await Promise.all(Array.from({ length: 60 }, () => send(webhook, body, sign.stripe(SECRET, body))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const all = await contents(webhook);
    expect(all).toHaveLength(60);
    const originals = all.filter(({ request }) => request?.duplicate_of === null);
    expect(originals).toHaveLength(1);
    const [original] = originals;
    expect(new Set(all.map(({ request }) => request?.duplicate_of))).toEqual(new Set([null, original?.id]));
    const trace = await call<{ duplicates: number[] }>('GET', `/whcontent/${original?.id}/trace`);
    expect(trace.duplicates).toHaveLength(59);
    const skip = await call<{ items: Content[] }>(
      'PUT',
      '/consumers/once',
      {
        whid: [webhook.wh_id],
        start: 'earliest',
        duplicates: 'skip',
      },
      201,
    ).then(() => call<{ items: Content[] }>('POST', '/consumers/once/pull', { limit: 100 }));
    expect(skip.items.map(({ id }) => id)).toEqual([original?.id]);
    const elsewhere = await hook({ preset: 'stripe', secrets: [SECRET] });
    await send(elsewhere, body, sign.stripe(SECRET, body));
    expect((await contents(elsewhere))[0]?.request?.duplicate_of).toBe(null);
  });

  test('an id is forgotten after its window', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET], dedupe: { window_seconds: 1 } });
    const body = bodyOf('evt_window');
    await send(webhook, body, sign.stripe(SECRET, body));
    await sleep(1_100);
    await send(webhook, body, sign.stripe(SECRET, body));
    expect((await contents(webhook)).map(({ request }) => request?.duplicate_of)).toEqual([null, null]);
  });

  test('what came before its secret was set is kept, answered 200, and judged when it is set', async () => {
    const webhook = await hook({ preset: 'github' });
    const body = JSON.stringify({ zen: 'Keep it logically awesome.' });
    expect((await send(webhook, body, sign.github('later-secret', body))).status).toBe(200);
    expect((await send(webhook, body, sign.github('a forger', body))).status).toBe(200);
    expect((await refusals(webhook, 2)).map(({ kind }) => kind)).toEqual(['secret_missing', 'secret_missing']);
    expect(await shared(webhook)).toEqual([]);
    await call('PATCH', `/webhooks/${webhook.wh_id}`, { secrets: ['later-secret'] });
    for (let i = 0; (await shared(webhook)).length === 0 && i < 100; i++) await sleep(20);
    const [content, ...more] = await contents(webhook);
    expect(more).toEqual([]);
    expect(content?.content).toBe(body);
    const [first, second] = await refusals(webhook, 2);
    expect(content?.request).toMatchObject({ verified: 'signed', released_from: first?.id });
    expect(first?.released_as).toBe(content?.id);
    expect(second?.released_as).toBe(null);
    // Why it stays is no longer that there was no secret.
    await expect
      .poll(async () => (await refusals(webhook, 2))[1]?.reason, { timeout: 5_000 })
      .toMatch(/signature does not fit/);
  });

  test('a refusal is released after a fix: once, alone or in bulk, however many ask', async () => {
    const webhook = await hook({ preset: 'github', secrets: ['typed wrongly'] });
    for (const n of [1, 2, 3]) await send(webhook, `{"n":${n}}`, sign.github('right', `{"n":${n}}`));
    await send(webhook, '{"n":4}', sign.github('forger', '{"n":4}'));
    const [first] = await refusals(webhook, 4);
    const path = `/refusals/${first?.id}/release`;
    expect(await call('POST', path, {})).toMatchObject({ released: [], kept: [{ id: first?.id }] });
    await call('PATCH', `/webhooks/${webhook.wh_id}`, { secrets: ['right'] });
    const tries = await Promise.all(
      Array.from({ length: 10 }, () => call<{ released: { content_id: number }[] }>('POST', path, {})),
    );
    expect(tries.flatMap(({ released }) => released)).toHaveLength(1);
    const bulk = await call<{ released: unknown[]; kept: { reason: string }[] }>('POST', '/refusals/release', {
      whid: webhook.wh_id,
    });
    expect(bulk.released).toHaveLength(2);
    expect(bulk.kept).toHaveLength(1);
    expect((await contents(webhook)).map(({ content }) => content)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
    const last = (await refusals(webhook, 4)).at(-1);
    await call('POST', `/refusals/${last?.id}/release`, { force: true });
    expect((await contents(webhook)).at(-1)).toMatchObject({
      content: '{"n":4}',
      request: { verified: 'none', released_from: last?.id },
    });
  });

  test('handshakes are answered and never become contents', async () => {
    const meta = await hook({ preset: 'meta', secrets: ['app secret'], verify: { token: 'my token' } });
    expect(meta.verify).toEqual({ token: '***' });
    await call('PATCH', `/webhooks/${meta.wh_id}`, { verify: { token: '***' }, on_reject: 'keep' });
    const stored = await service.store.db.all('SELECT settings, secrets FROM restante_webhook WHERE wh_id = ?', [
      meta.wh_id,
    ]);
    expect(JSON.stringify(stored)).not.toContain('my token');
    const query = (token: string) => `?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`;
    const good = await fetch(urlOf(meta, query('my%20token')));
    expect([good.status, await good.text()]).toEqual([200, '1158201444']);
    expect(good.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(good.headers.get('x-content-type-options')).toBe('nosniff');
    const bad = await fetch(urlOf(meta, query('guessed')));
    expect(bad.status).toBe(401);
    expect(await bad.text()).not.toContain('1158201444');
    const slack = await hook({ preset: 'slack', secrets: ['8f742231b10e8888abcd99yyyzzz85a5'] });
    const body = JSON.stringify({
      type: 'url_verification',
      challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P',
    });
    const shaken = await send(slack, body, sign.slack('8f742231b10e8888abcd99yyyzzz85a5', body));
    expect(await shaken.text()).toBe('3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P');
    const unsigned = await send(slack, body, sign.slack('wrong', body));
    expect(unsigned.status).toBe(401);
    expect(await unsigned.text()).not.toContain('3eZbrw1aBm2');
    expect([...(await shared(meta)), ...(await shared(slack))]).toEqual([]);
    expect((await refusals(meta, 2)).map(({ kind }) => kind).sort()).toEqual(['handshake', 'signature']);
  });

  test('Twilio signs the public URL; its answer says nothing to the user; the signature holds for what is fetched', async () => {
    const webhook = await hook({ preset: 'twilio', secrets: ['12345678901234567890123456789012'] });
    const message = { Body: 'Grüße 👋', From: 'whatsapp:+14155238886', MessageSid: 'SM1', WaId: '14155238886' };
    const body = new URLSearchParams(message).toString();
    const url = `${webhook.wh_url}/messages?flow=a%20b`;
    const headers = sign.twilio('12345678901234567890123456789012', url, message);
    const answer = await send(webhook, body, headers, '/messages?flow=a%20b');
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      expect.stringMatching(/^text\/xml/),
      expect.stringMatching(/^<Response ?\/>$|^<Response><\/Response>$/),
    ]);
    const [content] = await contents(webhook);
    expect(content?.request).toMatchObject({ verified: 'signed', public_url: url });
    const again = sign.twilio(
      '12345678901234567890123456789012',
      content?.request?.public_url ?? '',
      Object.fromEntries(new URLSearchParams(content?.content ?? '')),
    );
    const sent = content?.request?.headers.find(([name]) => name?.toLowerCase() === 'x-twilio-signature');
    expect(sent?.[1]).toBe(again['X-Twilio-Signature']);
    const wrong = sign.twilio('12345678901234567890123456789012', url.replace('https:', 'http:'), message);
    expect((await send(webhook, body, wrong, '/messages?flow=a%20b')).status).toBe(401);
    expect((await refusals(webhook))[0]?.near_miss).toMatch(/http:\/\//);
  });

  test('a near miss names the webhook whose secret was used', async () => {
    const other = await hook({ preset: 'stripe', secrets: ['whsec_theSecretOfAnotherWebhook7xQ1'] });
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const body = bodyOf('evt_other');
    await send(webhook, body, sign.stripe('whsec_theSecretOfAnotherWebhook7xQ1', body));
    const [refusal] = await refusals(webhook);
    expect(refusal?.near_miss).toContain(String(other.wh_id));
    expect(refusal?.near_miss).toContain('7xQ1');
    expect(refusal?.near_miss).not.toContain('AnotherWebhook');
  });

  test('an event with large bodies is found whole over several pages, in both directions', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const sent: number[] = [];
    for (let i = 0; i < 6; i++) {
      const body = bodyOf('evt_large', { type: 'a', note: String(i).repeat(40_000) });
      await send(webhook, body, sign.stripe(SECRET, body));
    }
    for (const { id } of await contents(webhook, '&event_id=evt_large')) sent.push(id);
    expect(sent).toHaveLength(6);
    for (const order of ['asc', 'desc'] as const) {
      const found: number[] = [];
      for (let [from, to] = [0, sent.at(-1) as number]; from <= to && found.length < 9; ) {
        const options = { wh_id: 'all', from, to, order, limit: 10, maxBytes: 100_000 } as const;
        const page = await searchContents(service.store, user.id, options, { event_id: 'evt_large' });
        found.push(...page.contents.map(({ id }) => id));
        if (order === 'asc') from = page.upTo + 1;
        else to = page.upTo - 1;
      }
      expect([order, found]).toEqual([order, order === 'asc' ? sent : sent.toReversed()]);
    }
  });

  test('lists are narrowed by event, type, verdict, time and text, in both directions', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const since = new Date(Date.now() - 60_000).toISOString();
    for (let i = 0; i < 6; i++) {
      const body = bodyOf(`evt_f${i % 5}`, { type: i % 2 ? 'charge.failed' : 'charge.succeeded', note: `marker-${i}` });
      await send(webhook, body, sign.stripe(SECRET, body));
    }
    const notes = async (filter: string) =>
      (await contents(webhook, filter)).map(({ content }) => Number(/marker-(\d)/.exec(content ?? '')?.[1]));
    expect(await notes('&event_id=evt_f0')).toEqual([0, 5]);
    expect(await notes('&event_id=evt_f0&order=desc')).toEqual([5, 0]);
    expect(await notes('&event_id=evt_f0&event_type=charge.failed')).toEqual([5]);
    expect(await notes('&event_type=charge.failed')).toEqual([1, 3, 5]);
    expect(await notes('&event_type=charge.failed&order=desc')).toEqual([5, 3, 1]);
    expect(await notes('&verified=signed&q=marker-4')).toEqual([4]);
    expect(await notes('&verified=none')).toEqual([]);
    expect(await notes(`&since=${since}`)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await notes(`&since=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await notes("&q=%25'%20OR%201=1")).toEqual([]);
    const all = await call<{ whcontent: Content[] }>('GET', '/whcontent?whid=all&event_id=evt_f3');
    expect(all.whcontent).toHaveLength(1);
    const page = await call<{ whcontent: Content[]; next_id: number }>(
      'GET',
      `/whcontent?whid=${webhook.wh_id}&event_type=charge.failed&limit=2`,
    );
    expect(page.next_id).toBe((page.whcontent.at(-1)?.id ?? 0) + 1);
    const stranger = await service.user();
    const theirs = await fetch(`${service.url}/whcontent?whid=all&event_id=evt_f3`, {
      headers: { Authorization: stranger.auth },
    });
    expect(((await theirs.json()) as { whcontent: unknown[] }).whcontent).toEqual([]);
  });

  test('a list that waits for an event gets it when it comes', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET] });
    const waiting = call<{ whcontent: Content[] }>(
      'GET',
      `/whcontent?whid=${webhook.wh_id}&id=latest&event_type=charge.failed&wait=20`,
    );
    await sleep(200);
    for (const type of ['charge.succeeded', 'charge.failed']) {
      const body = bodyOf(`evt_${type}`, { type });
      await send(webhook, body, sign.stripe(SECRET, body));
    }
    expect((await waiting).whcontent.map(({ request }) => request?.event_type)).toEqual(['charge.failed']);
  });

  test('two secrets count at once, one until it expires; no answer ever tells one', async () => {
    const soon = new Date(Date.now() + 60_000).toISOString();
    const webhook = await hook({
      preset: 'github',
      secrets: [{ value: 'the old secret of ours', expires_at: soon }, 'the new secret of ours'],
    });
    expect(webhook.secrets).toEqual([
      { id: expect.any(String), last4: 'ours', expires_at: soon },
      { id: expect.any(String), last4: 'ours', expires_at: null },
    ]);
    for (const secret of ['the old secret of ours', 'the new secret of ours'])
      expect((await send(webhook, '{}', sign.github(secret, '{}'))).status).toBe(200);
    const [old, fresh] = webhook.secrets;
    const past = new Date(Date.now() - 1_000).toISOString();
    const changed = await call<WebhookDetail>('PATCH', `/webhooks/${webhook.wh_id}`, {
      secrets: [{ id: old?.id, expires_at: past }, { id: fresh?.id }],
    });
    expect(changed.secrets.map(({ id }) => id)).toEqual([old?.id, fresh?.id]);
    expect((await send(webhook, '{}', sign.github('the old secret of ours', '{}'))).status).toBe(401);
    expect((await send(webhook, '{}', sign.github('the new secret of ours', '{}'))).status).toBe(200);
    await call('PATCH', `/webhooks/${webhook.wh_id}`, { secrets: [{ id: 'nobody' }] }, 422);
    const rows = await service.store.db.all<{ secrets: string }>('SELECT secrets FROM restante_webhook');
    expect(JSON.stringify(rows)).not.toContain('secret of ours');
    expect(JSON.stringify([webhook, changed, service.log.lines])).not.toContain('secret of ours');
  });

  test('a secret may be of any characters', async () => {
    const secret = 'geheim: größe 👋';
    const webhook = await hook({ preset: 'github', secrets: [secret] });
    expect((await call<WebhookDetail>('GET', `/webhooks/${webhook.wh_id}`)).secrets).toEqual(webhook.secrets);
    expect(secret.endsWith(webhook.secrets[0]?.last4 ?? '?')).toBe(true);
    expect((await send(webhook, '{}', sign.github(secret, '{}'))).status).toBe(200);
    await call('PATCH', `/webhooks/${webhook.wh_id}`, { secrets: ['ключ от почты', { id: webhook.secrets[0]?.id }] });
    expect((await send(webhook, '{}', sign.github('ключ от почты', '{}'))).status).toBe(200);
  });

  test('a member of verify is taken back with null', async () => {
    const webhook = await hook({ preset: 'stripe', secrets: [SECRET], verify: { tolerance_seconds: 600 } });
    const path = `/webhooks/${webhook.wh_id}`;
    const changed = await call<WebhookDetail>('PATCH', path, { verify: { tolerance_seconds: null } });
    expect(changed.verify).toEqual({});
    expect((await call<WebhookDetail>('PATCH', path, { verify: null })).verify).toBe(null);
  });

  test('settings that could not work are refused when they are made', async () => {
    await call('POST', '/webhooks', { wh_name: 'x', preset: 'stripee' }, 422);
    await call('POST', '/webhooks', { wh_name: 'x', preset: 'standard-webhooks', secrets: ['whsec_%%%'] }, 422);
    await call(
      'POST',
      '/webhooks',
      {
        wh_name: 'x',
        preset: 'generic',
        verify: { scheme: 'hmac', signature: { from: 'header:x-sig' }, signed_string: '{timestamp' },
      },
      422,
    );
    const wrong = { wh_name: 'x', verify: { signature: { from: 'header:a', fields: 'v1' } } };
    const told = await call<{ errors: { path: string }[] }>('POST', '/webhooks', wrong, 422);
    expect(told.errors.map(({ path }) => path)).toContain('body.verify.signature.fields');
  });

  test('a rotated URL goes on for its grace, and the log says so once', async () => {
    const webhook = await hook({});
    await call('POST', `/webhooks/${webhook.wh_id}/rotate`, { grace_seconds: 60 });
    for (let i = 0; i < 3; i++) expect((await send(webhook, 'x', {})).status).toBe(200);
    const told = service.log.lines.filter(
      ({ message, data }) => message.includes('old URL') && (data as { wh_id?: number }).wh_id === webhook.wh_id,
    );
    expect(told).toHaveLength(1);
  });

  test('secrets of another key stop the start; one that cannot be read is a 503 for senders, never a 401', async () => {
    await expect(startService(database.url, { SECRETS_KEY: '77'.repeat(32) })).rejects.toThrow(/SECRETS_KEY/);
    await expect(startService(database.url, { SECRETS_KEY: '' })).rejects.toThrow(/SECRETS_KEY/);
    const webhook = await hook({ preset: 'github', secrets: ['some secret'] });
    const [row] = await service.store.db.all<{ secrets: string }>(
      'SELECT secrets FROM restante_webhook WHERE wh_id = ?',
      [webhook.wh_id],
    );
    const broken = row?.secrets.replace(/"sealed":"..../, '"sealed":"AAAA') ?? '';
    await service.store.db.run('UPDATE restante_webhook SET secrets = ? WHERE wh_id = ?', [broken, webhook.wh_id]);
    service.parts.targets.forget(() => true);
    expect((await send(webhook, '{}', sign.github('some secret', '{}'))).status).toBe(503);
    expect((await send(webhook, '{}', sign.github('forged', '{}'))).status).toBe(503);
  });

  test('a flood of forgeries takes no more than its share of the time: those beyond are refused without a near miss', async () => {
    const webhook = await hook({ preset: 'github', secrets: ['s'] });
    const target = await service.parts.targets.read(pathOf(webhook).split('/').at(-1) ?? '');
    const body = `${'x'.repeat(900_000)}\n`;
    // Cut off on its way: it would verify with its newline.
    const incoming = {
      method: 'POST',
      publicUrl: webhook.wh_url,
      headers: Object.entries(sign.github('s', body)).flat(),
      body: Buffer.from(body.slice(0, -1)),
      receivedMs: Date.now(),
    };
    const nearMiss = createNearMisses(service.parts);
    const next = () => nearMiss(target as Target, incoming);
    const began = performance.now();
    let looked = 0;
    while ((await next())?.includes('newline')) expect(++looked).toBeLessThan(5_000);
    expect(looked).toBeGreaterThan(5);
    expect(performance.now() - began).toBeLessThan(20_000);
    await expect.poll(next, { timeout: 5_000, interval: 200 }).toContain('newline');
  });

  test('dropped on request: a forgery leaves nothing behind', async () => {
    const webhook = await hook({ preset: 'github', secrets: ['s'], on_reject: 'drop' });
    expect((await send(webhook, '{}', sign.github('forged', '{}'))).status).toBe(401);
    await sleep(100);
    expect(await refusals(webhook, 0)).toEqual([]);
  });
});
