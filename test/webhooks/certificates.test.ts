// Certificates that requests name: genuine messages of SNS and PayPal count, nothing else is fetched, and fetches are bounded.
import { createSign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { download } from '../../src/http/download.ts';
import type { Content, Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { readCertificate } from '../../src/verify/certificate.ts';
import { nearMiss } from '../../src/verify/near-miss.ts';
import type { Certificate } from '../../src/verify/request.ts';
import { checkSecret, compileRules } from '../../src/verify/rules.ts';
import { createCertificates } from '../../src/webhooks/certificates.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
  testLog,
} from '../support/engines.ts';
import { type Issued, issue, startVendor } from '../support/vendor.ts';
import { type Given, lasting, request } from '../verify/presets/request.ts';
import { verdictOn } from '../verify/verdict.ts';

const TOPIC = 'arn:aws:sns:us-east-1:123456789012:orders';
const SNS_HOST = 'https://sns.us-east-1.amazonaws.com';
const file = (n: number | string) => `${SNS_HOST}/SimpleNotificationService-${String(n).padStart(32, '0')}.pem`;
const PAYPAL_URL = 'https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77';
const SNS = issue('sns.amazonaws.com');
const PAYPAL = issue('messageverificationcerts.paypal.com');
const WEBHOOK_ID = '9XL90610J3647323C';

// By the lists that Amazon documents, and by hand.
const LISTS = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};
type Members = Record<string, string>;
let messages = 0;

function sns(more: Members = {}, by: Issued = SNS): string {
  const message: Members = {
    Type: 'Notification',
    MessageId: `22b80b92-fdea-4c2c-8f9d-${String(++messages).padStart(12, '0')}`,
    TopicArn: TOPIC,
    Message: 'Zwölf "Kisten"\nmit 🍏',
    Timestamp: '2026-11-30T20:00:00.000Z',
    SignatureVersion: '1',
    SigningCertURL: file(1),
    ...more,
  };
  const signer = createSign(message.SignatureVersion === '2' ? 'RSA-SHA256' : 'RSA-SHA1');
  for (const name of LISTS[message.Type as 'Notification'])
    if (message[name] !== undefined) signer.update(`${name}\n${message[name]}\n`);
  return JSON.stringify({ ...message, Signature: signer.sign(by.privateKey, 'base64') });
}

function paypal(body: string, { id = WEBHOOK_ID, url = PAYPAL_URL, at = new Date().toISOString() } = {}): Given {
  const transmission = '69cd13f0-d67a-11e5-baa3-778b53f4ae55';
  const signer = createSign('RSA-SHA256').update(`${transmission}|${at}|${id}|${crc32(Buffer.from(body))}`);
  return {
    body,
    headers: {
      'PAYPAL-TRANSMISSION-ID': transmission,
      'PAYPAL-TRANSMISSION-TIME': at,
      'PAYPAL-CERT-URL': url,
      'PAYPAL-AUTH-ALGO': 'SHA256withRSA',
      'PAYPAL-TRANSMISSION-SIG': signer.sign(PAYPAL.privateKey, 'base64'),
    },
  };
}

const rules = compileRules({ preset: 'sns' });
const paypalRules = compileRules({ preset: 'paypal' });
const known = (pem = SNS.pem, url = file(1), name = /^sns\.amazonaws\.com$/) =>
  new Map<string, Certificate>([[url, readCertificate(pem, name) as Certificate]]);
const judged = (body: string, certificates = known(), secret = TOPIC, nowMs = Date.now()) =>
  verdictOn(rules, lasting(secret), { ...request({ body, nowMs }), certificates });

describe('the verdict, over bytes and given certificates', () => {
  test('takes what SNS signs in either version, with and without a subject', () => {
    for (const SignatureVersion of ['1', '2'])
      for (const more of [{}, { Subject: 'An order' }])
        expect(judged(sns({ SignatureVersion, ...more }))).toEqual({ kind: 'accepted', verified: 'signed' });
    const strict = compileRules({ preset: 'sns', verify: { algorithm: 'rsa-sha256' } });
    const strictly = (SignatureVersion: string) =>
      verdictOn(strict, lasting(TOPIC), {
        ...request({ body: sns({ SignatureVersion }), nowMs: Date.now() }),
        certificates: known(),
      });
    expect(strictly('2').kind).toBe('accepted');
    expect(strictly('1').kind).toBe('signature');
  });

  test('refuses whatever was changed, added to what is signed, or left out of it', () => {
    const genuine = JSON.parse(sns({ Subject: 'An order' })) as Members;
    const changed: Members[] = Object.keys(genuine).map((name) => ({ ...genuine, [name]: `${genuine[name]}x` }));
    const without = Object.keys(genuine).map((name) => ({ ...genuine, [name]: undefined }));
    const added = [{ Token: 'x' }, { SubscribeURL: 'https://example.org/' }].map((more) => ({ ...genuine, ...more }));
    for (const forged of [...changed, ...without, ...added])
      expect(judged(JSON.stringify(forged)).kind, JSON.stringify(forged)).toBe('signature');
    expect(judged(JSON.stringify({ ...genuine, UnsubscribeURL: 'x' })).kind).toBe('accepted');
  });

  test('another topic of the same Amazon is refused, signed as it is, and no certificate is asked for', () => {
    const other = `${TOPIC}-of-somebody-else`;
    expect(judged(sns({ TopicArn: other }))).toEqual({
      kind: 'signature',
      reason: expect.stringContaining('TopicArn'),
    });
    expect(judged(sns({ TopicArn: other }), new Map())).not.toHaveProperty('certificate');
    // Signed for the other topic, and sent with the name of this one.
    const swapped = { ...(JSON.parse(sns({ TopicArn: other })) as Members), TopicArn: TOPIC };
    expect(judged(JSON.stringify(swapped)).kind).toBe('signature');
  });

  test('PayPal: the id of the webhook is signed; another id, body or time is refused', () => {
    const certificates = known(PAYPAL.pem, PAYPAL_URL, /^messageverificationcerts\.paypal\.com$/);
    const verdict = (given: Given, secret = WEBHOOK_ID) =>
      verdictOn(paypalRules, lasting(secret), { ...request({ ...given, nowMs: Date.now() }), certificates }).kind;
    const body = '{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED"}';
    const given = paypal(body);
    expect(verdict(given)).toBe('accepted');
    expect(verdict(given, 'ANOTHER')).toBe('signature');
    expect(verdict({ ...given, body: `${body} ` })).toBe('signature');
    expect(verdict(paypal(body, { at: new Date(Date.now() - 4 * 86_400_000).toISOString() }))).toBe('signature');
    const others = [{ wh_id: 7, secret: { value: WEBHOOK_ID, expiresMs: null } }];
    const incoming = { ...request({ ...given, nowMs: Date.now() }), certificates };
    expect(nearMiss(paypalRules, lasting('ANOTHER'), incoming, others)).toContain('of webhook 7');
  });

  test('a certificate of another name, that had expired, is not valid yet, or is weak proves nothing', () => {
    const dated = (from: number, to: number) =>
      issue('sns.amazonaws.com', { from: Date.now() + from, to: Date.now() + to });
    const day = 86_400_000;
    for (const [by, words] of [
      [issue('sns.amazonaws.com.example.org'), 'name'],
      [dated(-2 * day, -day), 'expired'],
      [dated(day, 2 * day), 'not valid yet'],
      [issue('sns.amazonaws.com', { bits: 1024 }), '2048'],
    ] as const)
      expect(judged(sns({}, by), known(by.pem))).toEqual({ kind: 'signature', reason: expect.stringContaining(words) });
  });

  test('without a certificate it waits for that URL; a pinned one is taken instead', () => {
    expect(judged(sns(), new Map())).toMatchObject({ kind: 'secret_missing', certificate: file(1) });
    const pinned = (pem: string) =>
      verdictOn(rules, lasting(TOPIC, pem), request({ body: sns(), nowMs: Date.now() })).kind;
    expect(pinned(SNS.pem)).toBe('accepted');
    expect(pinned(issue('sns.amazonaws.com').pem)).toBe('signature');
    // The certificate alone ties nothing to its owner.
    expect(verdictOn(rules, lasting(SNS.pem), request({ body: sns(), nowMs: Date.now() })).kind).toBe('secret_missing');
    expect(checkSecret(rules, SNS.pem)).toBeUndefined();
    expect(checkSecret(rules, PAYPAL.pem)).toContain('name');
    expect(checkSecret(rules, '-----BEGIN CERTIFICATE-----\nx')).toContain('PEM');
  });

  test('rules that would accept what is signed for others are refused', () => {
    expect(() => compileRules({ preset: 'paypal', verify: { signed_string: '{timestamp}|{crc32}' } })).toThrow(
      '{secret}',
    );
  });
});

const TRICKS: readonly string[] = [
  file(1).replace('https:', 'http:'),
  file(1).replace('https://', 'https://user@'),
  file(1).replace('https://', 'https://sns.us-east-1.amazonaws.com@example.org/'),
  file(1).replace('https://', 'https://user:password@'),
  file(1).replace('.com/', '.com:443/'),
  file(1).replace('.com/', '.com:8443/'),
  file(1).replace('.com/', '.com./'),
  file(1).replace('.com/', '.com.example.org/'),
  file(1).replace('.com/', '.com\\@example.org/'),
  file(1).replace('.com/', '.com#@example.org/'),
  file(1).replace('.com/', '.com?/'),
  file(1).replace('.com/', '.com//'),
  file(1).replace('.com/', '.com/../'),
  file(1).replace('.com/', '.com/a/../'),
  file(1).replace('.com/', '.com/%2e%2e/'),
  file(1).replace('.com/', '.com.cn/'),
  file(1).replace('us-east-1', 's3-us-west-2'),
  file(1).replace('us-east-1', 's3'),
  file(1).replace('us-east-1', 'us-east-1.evil'),
  file(1).replace('sns.us-east-1', 'sns-us-east-1'),
  file(1).replace('sns.us-east-1', 'evil.sns.us-east-1'),
  file(1).replace('us-east-1.', 'us-east-1%2e'),
  file(1).replace('us-east-1', 'US-EAST-1'),
  file(1).replace('https', 'HTTPS'),
  file(1).replace('amazonaws', 'amazonaws\u3002'),
  file(1).replace('amazonaws', 'am\u0430zonaws'),
  `${file(1)}?a=1`,
  `${file(1)}#a`,
  `${file(1)}\n`,
  ` ${file(1)}`,
  `${file(1)}\0`,
  `${file(1)}.exe`,
  file(1).replace('.pem', '/../x.pem'),
  file(1).replace('.pem', '%00.pem'),
  file('A'.repeat(65)),
  'https://169.254.169.254/SimpleNotificationService-00000000000000000000000000000001.pem',
  'https://localhost/SimpleNotificationService-00000000000000000000000000000001.pem',
  'file:///etc/passwd',
  'data:application/x-pem-file,x',
  PAYPAL_URL,
];
const PAYPAL_TRICKS = [
  PAYPAL_URL.replace('api.', 'api.example.'),
  PAYPAL_URL.replace('paypal.com', 'paypal.com.example.org'),
  PAYPAL_URL.replace('certs/', 'certs/../'),
  PAYPAL_URL.replace('https://', 'https://a@'),
  PAYPAL_URL.replace('.com/', '.com:444/'),
  `${PAYPAL_URL}?a`,
  file(1),
];

describe('what is fetched', () => {
  let vendor: Awaited<ReturnType<typeof startVendor>>;
  const opened: { close(): void }[] = [];
  beforeAll(async () => {
    vendor = await startVendor(['sns.us-east-1.amazonaws.com', 'api.paypal.com']);
  });
  afterEach(() => {
    for (const one of opened.splice(0)) one.close();
    vendor.asked.length = 0;
    vendor.files.clear();
    vendor.down = false;
    vendor.tried = 0;
  });
  afterAll(() => vendor.close());
  const open = (more: Partial<Parameters<typeof createCertificates>[0]> = {}) => {
    const store = createCertificates({
      download: (url) => download(url, vendor.agent, 1_000),
      log: testLog(),
      ...more,
    });
    opened.push(store);
    return store;
  };
  const asker = (user_id = 1, wh_id = user_id, of = rules) => ({ user_id, wh_id, rules: of });

  test('no URL of another shape, whoever asks', async () => {
    expect(TRICKS.length + PAYPAL_TRICKS.length).toBeGreaterThan(30);
    const certificates = open();
    for (const url of TRICKS) {
      expect(judged(sns({ SigningCertURL: url }), new Map()), url).toEqual({
        kind: 'signature',
        reason: expect.stringContaining('not fetched'),
      });
      expect(await certificates.fetch(asker(), url)).toBe('busy');
    }
    for (const url of PAYPAL_TRICKS) {
      const { kind, ...more } = verdictOn(paypalRules, lasting(WEBHOOK_ID), request(paypal('{}', { url })));
      expect([kind, more], url).toEqual(['signature', { reason: expect.stringContaining('not fetched') }]);
      expect(await certificates.fetch(asker(1, 1, paypalRules), url)).toBe('busy');
    }
    expect([vendor.tried, vendor.asked]).toEqual([0, []]);
    for (const region of ['us-east-1', 'eu-central-2', 'us-gov-west-1', 'ap-southeast-4'])
      expect(judged(sns({ SigningCertURL: file(1).replace('us-east-1', region) }), new Map()).kind).toBe(
        'secret_missing',
      );
    const chinese = file(1).replace('us-east-1.amazonaws.com', 'cn-north-1.amazonaws.com.cn');
    expect(judged(sns({ SigningCertURL: chinese }), new Map()).kind).toBe('secret_missing');
  });

  test('once for 1,000 who ask at the same time, and never again while it is kept', async () => {
    vendor.files.set(file(1), SNS.pem);
    const certificates = open();
    const all = await Promise.all(Array.from({ length: 1_000 }, (_, i) => certificates.fetch(asker(i, i), file(1))));
    expect(new Set(all)).toEqual(new Set(['had']));
    expect(await certificates.fetch(asker(5_000), file(1))).toBe('had');
    expect(vendor.asked).toEqual([file(1)]);
    expect(certificates.known.get(file(1))).toHaveProperty('key');
  });

  test('no redirect is followed, and nothing that is too large, too slow, no certificate or a fault of the host refuses anybody', async () => {
    const certificates = open();
    const answers: Record<string, [Parameters<typeof vendor.files.set>[1], string]> = {
      redirect: [(_, response) => void response.writeHead(302, { Location: file('elsewhere') }).end(), 'later'],
      large: ['x'.repeat(65 * 1024), 'later'],
      silent: [() => {}, 'later'],
      drops: [(_, response) => void response.write('-'), 'later'],
      fault: [(_, response) => void response.writeHead(500).end(), 'later'],
      busy: [(_, response) => void response.writeHead(429).end(), 'later'],
      page: ['<html>welcome</html>', 'later'],
      name: [PAYPAL.pem, 'had'],
      gone: [(_, response) => void response.writeHead(403).end(), 'had'],
    };
    let user = 1;
    for (const [name, [answer, outcome]] of Object.entries(answers)) {
      vendor.files.set(file(name), answer);
      expect(await certificates.fetch(asker(user++), file(name)), name).toBe(outcome);
      const found = certificates.known.get(file(name));
      expect(found, name).toEqual(outcome === 'had' ? { fault: expect.any(String) } : undefined);
    }
    expect(vendor.asked).not.toContain(file('elsewhere'));
    expect(vendor.asked).toHaveLength(Object.keys(answers).length);
  });

  test('a host whose TLS certificate is of another name, or of a CA that is not trusted, is not believed', async () => {
    const other = await startVendor(['example.org']);
    other.files.set(file(1), SNS.pem);
    expect(await open({ download: (url) => download(url, other.agent) }).fetch(asker(), file(1))).toBe('later');
    expect(other.asked).toEqual([]);
    await other.close();
  });

  test('a flood of URLs is a handful of fetches, for a webhook, for a user and at a time', async () => {
    const hanging: (() => void)[] = [];
    let most = 0;
    let count = 0;
    const certificates = open({
      download: () => {
        count++;
        return new Promise((_, reject) => {
          hanging.push(() => reject(new Error('down')));
          most = Math.max(most, hanging.length);
        });
      },
    });
    const flood = async (user: number, hook: number) => {
      const asked = Array.from({ length: 200 }, (_, i) =>
        certificates.fetch(asker(user, hook), file(`${user}x${hook}x${i}`)),
      );
      for (let i = 0; i < 20; i++) {
        for (const end of hanging.splice(0)) end();
        await sleep(0);
      }
      return Promise.all(asked);
    };
    for (let i = 0; i < 20; i++) await flood(1, 1);
    expect(count).toBeLessThanOrEqual(10);
    for (let hook = 2; hook < 30; hook++) for (let i = 0; i < 5; i++) await flood(1, hook);
    expect(count).toBeLessThanOrEqual(30);
    await Promise.all(Array.from({ length: 50 }, (_, i) => flood(100 + i, 100 + i)));
    expect(most).toBeLessThanOrEqual(8);
  });
});

onEveryEngine('certificates', (engine) => {
  let database: Database;
  let vendor: Awaited<ReturnType<typeof startVendor>>;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    vendor = await startVendor(['sns.us-east-1.amazonaws.com', 'api.paypal.com']);
    service = await start();
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await vendor?.close();
    await database?.drop();
  });
  const start = (env = {}) =>
    startService(database.url, env, undefined, { certificates: { agent: vendor.agent, retryMs: 200 } });
  const send = (webhook: WebhookDetail, given: Given, to = service) =>
    fetch(to.url + pathOf(webhook), { method: 'POST', body: String(given.body), headers: given.headers ?? {} }).then(
      async (answer) => [answer.status, await answer.text()] as const,
    );
  const get = async <T>(path: string): Promise<T> => {
    const answer = await fetch(service.url + path, { headers: { Authorization: user.auth } });
    expect(answer.status, path).toBe(200);
    return (await answer.json()) as T;
  };
  const refusals = async (webhook: WebhookDetail) =>
    (await get<{ refusals: Refusal[] }>(`/refusals?whid=${webhook.wh_id}`)).refusals;
  const events = async (webhook: WebhookDetail) => {
    await service.settle();
    const { whcontent } = await get<{ whcontent: Content[] }>(`/whcontent?whid=${webhook.wh_id}&limit=100`);
    return whcontent.map(({ request }) => [request?.verified, request?.event_id]);
  };
  const idOf = (body: string) => (JSON.parse(body) as Members).MessageId;

  test('genuine messages are contents, forged ones refusals; each certificate is fetched once', async () => {
    vendor.files.set(file(1), SNS.pem).set(PAYPAL_URL, PAYPAL.pem);
    const topic = await service.webhook(user, { preset: 'sns', secrets: [TOPIC] });
    const bodies = [sns(), sns({ SignatureVersion: '2', Subject: 'x' }), sns()];
    const forged = sns({}, issue('sns.amazonaws.com'));
    const statuses = await Promise.all([...bodies, forged].map((body) => send(topic, { body })));
    expect(statuses.map(([status]) => status)).toEqual([200, 200, 200, 401]);
    expect((await events(topic)).sort()).toEqual(bodies.map((body) => ['signed', idOf(body)]).sort());
    const shop = await service.webhook(user, { preset: 'paypal', secrets: [WEBHOOK_ID] });
    expect((await send(shop, paypal('{"id":"WH-1"}')))[0]).toBe(200);
    expect((await send(shop, paypal('{"id":"WH-2"}', { id: 'OTHER' })))[0]).toBe(401);
    expect(await events(shop)).toEqual([['signed', 'WH-1']]);
    expect(vendor.asked.sort()).toEqual([PAYPAL_URL, file(1)].sort());
  });

  test('while the provider cannot be reached messages are kept, answered 200, and released once it can', async () => {
    vendor.down = true;
    const topic = await service.webhook(user, { preset: 'sns', secrets: [TOPIC] });
    const url = file(engine.length);
    const bodies = [sns({ SigningCertURL: url }), sns({ SigningCertURL: url })];
    const forged = sns({ SigningCertURL: url }, issue('sns.amazonaws.com'));
    for (const body of [...bodies, forged]) expect(await send(topic, { body })).toEqual([200, '']);
    expect((await refusals(topic)).map(({ kind, released_as }) => [kind, released_as])).toEqual(
      [1, 2, 3].map(() => ['secret_missing', null]),
    );
    expect(await events(topic)).toEqual([]);
    vendor.files.set(url, SNS.pem);
    vendor.down = false;
    await expect.poll(() => events(topic), { timeout: 10_000 }).toEqual(bodies.map((body) => ['signed', idOf(body)]));
    await expect
      .poll(async () => (await refusals(topic)).map(({ released_as, reason }) => released_as ?? reason), {
        timeout: 5_000,
      })
      .toEqual([expect.any(Number), expect.any(Number), expect.stringContaining('does not fit')]);
    expect(vendor.asked.filter((one) => one === url)).toHaveLength(1);
  });

  test('the confirmation of a subscription is answered, never opened, and its link is shown', async () => {
    vendor.files.set(file(1), SNS.pem);
    const topic = await service.webhook(user, { preset: 'sns', secrets: [TOPIC] });
    const link = `${SNS_HOST}/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=${'2336412f'.repeat(30)}`;
    const asks = (SubscribeURL: string, by = SNS) =>
      sns({ Type: 'SubscriptionConfirmation', Token: '2336412f', SubscribeURL }, by);
    const bad = ['https://example.org/?a', `javascript:alert(1)//${link}`, `${link}"><script>`];
    for (const url of [link, ...bad]) expect(await send(topic, { body: asks(url) })).toEqual([200, '']);
    expect((await send(topic, { body: asks(link, issue('sns.amazonaws.com')) }))[0]).toBe(401);
    await expect
      .poll(async () => (await refusals(topic)).map((one) => [one.kind, one.link]).sort())
      .toEqual(
        [
          ['handshake', undefined],
          ['handshake', undefined],
          ['handshake', undefined],
          ['handshake', link],
          ['signature', undefined],
        ].sort(),
      );
    expect(await events(topic)).toEqual([]);
    expect(vendor.asked.some((one) => one.includes('Action'))).toBe(false);
  });

  test('a flood of certificates that are not there: few are asked for, and the genuine sender is not refused', async () => {
    vendor.files.set(file(1), SNS.pem);
    const topic = await service.webhook(user, { preset: 'sns', secrets: [TOPIC] });
    const before = vendor.asked.length;
    const flood = Array.from({ length: 300 }, (_, i) =>
      send(topic, { body: sns({ SigningCertURL: file(`f${engine}${i}`) }) }),
    );
    const body = sns();
    expect((await send(topic, { body }))[0]).toBe(200);
    const statuses = new Set((await Promise.all(flood)).map(([status]) => status));
    expect([...statuses].filter((status) => status !== 401 && status !== 503)).toEqual([]);
    expect(vendor.asked.length - before).toBeLessThanOrEqual(10);
    expect(await events(topic)).toEqual([['signed', idOf(body)]]);
  });

  test('switched off, nothing is asked for: what came is kept, and released by a pinned certificate', async () => {
    const off = await start({ FETCH_CERTIFICATES: '0' });
    try {
      const tried = vendor.tried;
      const topic = await service.webhook(user, { preset: 'sns', secrets: [TOPIC] });
      const body = sns({ SigningCertURL: file('off') });
      expect((await send(topic, { body }, off))[0]).toBe(200);
      expect((await refusals(topic))[0]?.reason).toContain('FETCH_CERTIFICATES');
      const answer = await fetch(`${off.url}/webhooks/${topic.wh_id}`, {
        method: 'PATCH',
        headers: { Authorization: user.auth },
        body: JSON.stringify({ secrets: [TOPIC, SNS.pem] }),
      });
      expect(answer.status, await answer.text()).toBe(200);
      await expect.poll(() => events(topic)).toEqual([['signed', idOf(body)]]);
      expect(vendor.tried).toBe(tried);
    } finally {
      await off.close();
    }
  });
});
