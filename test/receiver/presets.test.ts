// Every preset over HTTP: what its provider sends is stored as verified and answered as it wants, a forged twin is a 401.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Content } from '../../src/schema/contents.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import type { Incoming } from '../../src/verify/request.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { talk } from '../support/raw.ts';
import { startVendor } from '../support/vendor.ts';
import { SENDERS } from '../verify/presets/senders.ts';

let database: Database;
let service: Service;
let user: TestUser;
let vendor: Awaited<ReturnType<typeof startVendor>>;
beforeAll(async () => {
  const certificates = Object.values(SENDERS).flatMap(({ certificate }) => certificate ?? []);
  vendor = await startVendor(certificates.map(({ url }) => new URL(url).hostname));
  for (const { url, pem } of certificates) vendor.files.set(url, pem);
  database = await migratedDatabase('sqlite');
  const { agent } = vendor;
  service = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org' }, undefined, {
    certificates: { agent },
  });
  user = await service.user();
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
  await vendor?.close();
});

async function send({ method, publicUrl, headers, body }: Incoming) {
  const { pathname, search } = new URL(publicUrl);
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 && name !== 'Host' ? [[name, headers[i + 1] ?? '']] : []));
  const bodyless = method === 'GET' || method === 'HEAD';
  const response = await fetch(service.url + pathname + search, {
    method,
    headers: Object.fromEntries(pairs),
    ...(bodyless ? {} : { body: new Uint8Array(body) }),
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** In chunks of a few bytes, behind a 100 Continue. */
async function sendInChunks({ method, publicUrl, headers, body }: Incoming): Promise<number> {
  const { pathname, search } = new URL(publicUrl);
  const lines = headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${headers[i + 1]}`] : []));
  const line = await talk(service.port);
  const own = ['Transfer-Encoding: chunked', 'Expect: 100-continue'];
  line.send(`${[`${method} ${pathname}${search} HTTP/1.1`, ...lines, ...own].join('\r\n')}\r\n\r\n`);
  expect((await line.answer()).status).toBe(100);
  const step = Math.ceil(body.length / 3);
  for (let at = 0; at < body.length; at += step) {
    const chunk = body.subarray(at, at + step);
    line.send(Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]));
  }
  line.send('0\r\n\r\n');
  const { status } = await line.answer();
  line.end();
  return status;
}

describe.each(Object.entries(SENDERS))('%s', (name, sender) => {
  test('is stored as verified, in chunks too, and answered', async () => {
    const { secret, signing } = sender.keys();
    const wh = await service.webhook(user, { preset: name, secrets: [secret], verify: sender.verify });
    const nowMs = Date.now();
    const body = sender.body.replace('NOW', String(nowMs));
    const { incoming } = await sender.send({ signing, body, nowMs, url: `${wh.wh_url}?a=1` });
    const { response = { status: 200, content_type: '', body: '' }, verify } = PRESETS.get(name) ?? expect.fail(name);
    expect(await send(incoming)).toEqual({
      status: response.status,
      type: response.body === '' ? null : response.content_type,
      text: response.body,
    });
    expect(await sendInChunks(incoming)).toBe(response.status);
    const forged = await sender.send({ signing: sender.keys().signing, body, nowMs, url: `${wh.wh_url}?a=1` });
    expect((await send(forged.incoming)).status).toBe(401);
    await service.settle();
    const list = await fetch(`${service.url}/whcontent?whid=${wh.wh_id}`, { headers: { authorization: user.auth } });
    const { whcontent } = (await list.json()) as { whcontent: Content[] };
    const verified = verify.scheme === 'shared-secret' ? 'token' : 'signed';
    const once = [verified, sender.event.type];
    expect(whcontent.map(({ request }) => [request?.verified, request?.event_type])).toEqual([once, once]);
  });
});

test('the check of a URL, before there is any secret: HEAD for Trello and Mandrill, GET for Mailchimp, a challenge for Okta', async () => {
  const to = async (preset: string) => service.url + pathOf(await service.webhook(user, { preset }));
  for (const preset of ['trello', 'mandrill'])
    expect((await fetch(await to(preset), { method: 'HEAD' })).status, preset).toBe(200);
  expect((await fetch(`${await to('mailchimp')}?secret=s`)).status).toBe(200);
  const okta = await fetch(await to('okta'), { headers: { 'X-Okta-Verification-Challenge': 'c' } });
  expect([okta.headers.get('content-type'), await okta.json()]).toEqual(['application/json', { verification: 'c' }]);
});
