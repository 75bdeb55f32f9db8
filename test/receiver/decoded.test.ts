// Compressed and multipart requests through the whole receiver: judged by what they say, stored byte for byte as they came.
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

onEveryEngine('what is read inside a body', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const hmac = (text: string | Buffer) => createHmac('sha256', 'k').update(text).digest('hex');
  const get = async (path: string) =>
    (await fetch(service.url + path, { headers: { authorization: user.auth } })).json() as Promise<{
      refusals: { near_miss: string | null }[];
      whcontent: { content: string; encoding: string; request: object }[];
    }>;

  test('a compressed body that was signed before: its id is found, its bytes stay, and the near miss names the setting', async () => {
    const plain = '{"id":"e1","type":"a.b"}';
    const bytes = gzipSync(plain);
    const verify = { scheme: 'hmac', signature: { from: 'header:X-S' }, event_type: 'body:/type' };
    const settings = { verify, dedupe: { from: 'body:/id' }, secrets: ['k'] };
    const webhook = await service.webhook(user, settings);
    const send = () =>
      fetch(service.url + pathOf(webhook), {
        method: 'POST',
        headers: { 'content-encoding': 'gzip', 'x-s': hmac(plain) },
        body: bytes,
      });
    expect((await send()).status).toBe(401);
    await expect
      .poll(async () => (await get(`/refusals?whid=${webhook.wh_id}`)).refusals[0]?.near_miss)
      .toBe('would verify over the decoded body: set verify.body to decoded');
    await fetch(`${service.url}/webhooks/${webhook.wh_id}`, {
      method: 'PATCH',
      headers: { authorization: user.auth },
      body: JSON.stringify({ verify: { body: 'decoded' } }),
    });
    const released = await fetch(`${service.url}/refusals/release`, {
      method: 'POST',
      headers: { authorization: user.auth },
      body: JSON.stringify({ whid: webhook.wh_id }),
    });
    expect(((await released.json()) as { released: object[] }).released).toHaveLength(1);
    expect((await send()).status).toBe(200);
    await service.settle();
    const { whcontent } = await get(`/whcontent?whid=${webhook.wh_id}`);
    expect(whcontent).toHaveLength(2);
    for (const { content, encoding, request } of whcontent) {
      expect([content, encoding]).toEqual([bytes.toString('base64'), 'base64']);
      expect(request).toMatchObject({ verified: 'signed', event_id: 'e1', event_type: 'a.b' });
    }
  });

  test('inbound mail with an attachment of 4 MiB', async () => {
    const webhook = await service.webhook(user, { preset: 'mailgun', secrets: ['k'] });
    const timestamp = String(Math.floor(Date.now() / 1000));
    const form = new FormData();
    form.append('attachment-1', new File([Buffer.alloc(4 * 1024 * 1024, '\r\n--x\0')], 'a.bin'));
    for (const [name, value] of Object.entries({ timestamp, token: 't', signature: hmac(`${timestamp}t`) }))
      form.append(name, value);
    expect((await fetch(service.url + pathOf(webhook), { method: 'POST', body: form })).status).toBe(200);
    form.set('signature', hmac('other'));
    expect((await fetch(service.url + pathOf(webhook), { method: 'POST', body: form })).status).toBe(401);
    await service.settle();
    const { whcontent } = await get(`/whcontent?whid=${webhook.wh_id}`);
    expect(whcontent.map(({ request }) => request)).toMatchObject([{ verified: 'signed', event_id: 't' }]);
  });

  test("Slack's check of the certificate is answered 200, and is no content", async () => {
    const webhook = await service.webhook(user, { preset: 'slack', secrets: ['k'] });
    const body = new URLSearchParams({ ssl_check: '1', token: 'x' });
    const answer = await fetch(service.url + pathOf(webhook), { method: 'POST', body });
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    await service.settle();
    expect((await get(`/whcontent?whid=${webhook.wh_id}`)).whcontent).toEqual([]);
  });
});
