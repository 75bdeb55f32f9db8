// What a browser could be made to do: calls from other sites, scripts in what is stored, answers kept in caches, false hosts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { type Answer, ask, requestOf } from '../support/raw.ts';
import { readDocument, type Target, targetsOf } from './calls.ts';
import { furnish } from './run.ts';

const PUBLIC_URL = 'https://hooks.example.org';
let database: Database;
let service: Service;
let user: TestUser;
let webhook: WebhookDetail;
let targets: Target[];
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url, { PUBLIC_URL });
  user = await service.user();
  await furnish(service.port, user.auth);
  webhook = await service.webhook(user);
  targets = targetsOf(await readDocument(service.url));
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const call = (
  method: string,
  path: string,
  headers: readonly string[] = [],
  body: string | Buffer = '',
  at = service,
) => ask(at.port, requestOf(method, path, headers, body));
const signed = () => `Authorization: ${user.auth}`;
const filled = (path: string) => path.replace('{key}', pathOf(webhook).slice(4)).replace(/\{\w+\}/g, '1');
const header = ({ headers }: Answer, name: string) => headers.get(name) ?? '';
const pages = ['/docs', '/openapi.json', '/llms.txt', '/docs/reference.md', '/inbox', '/inbox/replay'];

describe('calls from another site', () => {
  // A browser sends credentials that it knows along with all of these.
  const simple = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'];
  test('nothing that changes something is done, whatever the form pretends to send', async () => {
    const changing = targets.filter(({ method, path }) => method !== 'GET' && path !== '/in/{key}');
    expect(changing.length).toBeGreaterThan(10);
    // The second line is what comes over plain http, the others what a sandboxed frame and another host of this domain send.
    const elsewhere = [
      ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.example'],
      ['Origin: http://evil.example'],
      ['Origin: null'],
      [`Origin: ${new URL(PUBLIC_URL).origin}.evil.example`],
      [`Origin: ${new URL(PUBLIC_URL).origin}:8443`],
      ['Sec-Fetch-Site: same-site', 'Origin: https://other.hooks.example.org'],
      ['Sec-Fetch-Site: same-site'],
    ];
    for (const { method, path } of changing)
      for (const [i, from] of elsewhere.entries()) {
        const headers = [signed(), ...from, `Content-Type: ${[...simple, 'application/json'][i % 4]}`];
        const { status } = await call(method, filled(path), headers, '{"wh_name":"from-elsewhere"}');
        expect([method, path, from, status]).toEqual([method, path, from, 403]);
      }
    expect((await call('GET', '/webhooks', [signed()])).body.toString()).not.toContain('from-elsewhere');
  });

  test('a webhook may be called from anywhere, the pages of the service may call it', async () => {
    expect((await call('POST', pathOf(webhook), ['Sec-Fetch-Site: cross-site'], 'x')).status).toBe(200);
    const own = [
      ['Sec-Fetch-Site: same-origin', `Origin: ${new URL(PUBLIC_URL).origin}`],
      ['Sec-Fetch-Site: none'],
      [`Origin: ${new URL(PUBLIC_URL).origin}`],
      // Reached by another way than PUBLIC_URL: the page's host is the one that is asked.
      ['Origin: http://hooks.example.org'],
      [],
    ];
    for (const headers of own)
      expect([headers, (await call('POST', '/whcontent', [signed(), ...headers], 'x')).status]).toEqual([headers, 201]);
  });

  test('no site is allowed to read anything', async () => {
    for (const path of ['/webhooks', '/whcontent', '/nothing', ...pages, pathOf(webhook)])
      for (const method of ['GET', 'OPTIONS', 'POST'])
        for (const origin of ['https://evil.example', 'null', PUBLIC_URL]) {
          const asks = ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: authorization'];
          const answer = await call(method, path, [`Origin: ${origin}`, ...asks]);
          expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
        }
  });
});

describe('scripts in what is stored', () => {
  const XSS = '<script>alert(1)</script><svg onload=alert(1)>';
  test('what a webhook answers, and all bytes that come out, run nowhere', async () => {
    const types = ['text/plain', 'text/xml', 'application/xml', 'application/json'] as const;
    for (const content_type of types) {
      const wh = await service.webhook(user, { response: { content_type, body: XSS } });
      for (const method of ['GET', 'POST']) {
        const answer = await call(method, pathOf(wh), ['Content-Type: text/html'], method === 'GET' ? '' : XSS);
        expect(header(answer, 'content-type')).toBe(content_type);
        expect(header(answer, 'content-security-policy')).toBe("sandbox; default-src 'none'");
        expect(header(answer, 'x-content-type-options')).toBe('nosniff');
      }
    }
    const wh = await service.webhook(user, { preset: 'github', secrets: ['x'.repeat(20)] });
    await call('POST', pathOf(wh), ['Content-Type: text/html'], XSS);
    await service.settle();
    const ids = async (path: string, name: string) =>
      (JSON.parse((await call('GET', path, [signed()])).body.toString())[name] as { id: number }[]).map(({ id }) => id);
    const raws = [
      ...(await ids('/whcontent?whid=all&limit=100', 'whcontent')).map((id) => `/whcontent/${id}/raw`),
      ...(await ids('/refusals?kind=signature', 'refusals')).map((id) => `/refusals/${id}/raw`),
    ];
    expect(raws.some((path) => path.startsWith('/ref'))).toBe(true);
    for (const path of raws) {
      const answer = await call('GET', path, [signed()]);
      expect([path, answer.status, header(answer, 'content-type')]).toEqual([path, 200, 'application/octet-stream']);
      expect(header(answer, 'content-disposition')).toMatch(/^attachment/);
      expect(header(answer, 'content-security-policy')).toContain("sandbox; default-src 'none'");
      expect(header(answer, 'x-content-type-options')).toBe('nosniff');
    }
  });

  test('no answer is HTML but the pages, and those have a policy without foreign or inline scripts', async () => {
    for (const path of pages) {
      const answer = await call('GET', path, ['Accept: text/html']);
      expect([path, header(answer, 'x-content-type-options')]).toEqual([path, 'nosniff']);
      if (!header(answer, 'content-type').includes('html')) continue;
      const policy = header(answer, 'content-security-policy');
      expect(policy).toMatch(/default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/);
      expect(policy).not.toMatch(/script-src[^;]*(unsafe|http|\*|data:)/);
    }
    const evil = encodeURIComponent(XSS);
    for (const path of [
      `/${evil}`,
      `/docs/${evil}`,
      `/in/${evil}`,
      `/webhooks?${evil}=${evil}`,
      `/whcontent?${evil}`,
    ]) {
      const answer = await call('GET', path, [signed(), 'Accept: text/html']);
      expect([path, /json$|json;/.test(header(answer, 'content-type'))]).toEqual([path, true]);
    }
  });

  test('what the operator named the service is text on every page', async () => {
    const named = await startService(database.url, { SERVICE_NAME: "<img src=x onerror='x'>", SERVICE_TEXT: XSS });
    try {
      for (const path of pages) {
        const { headers, body } = await call('GET', path, [], '', named);
        if (headers.get('content-type')?.includes('html'))
          expect(body.toString()).not.toMatch(/<img src=x|<script>alert/);
      }
    } finally {
      await named.close();
    }
  });
});

describe('caches', () => {
  test('nothing that is somebody’s is kept, and neither is an error or the answer of a webhook', async () => {
    const paths = targets.filter(({ method }) => method === 'GET').map(({ path }) => filled(path));
    for (const path of [...paths, '/nothing', '/docs/nothing', '/inbox/nothing.js', '/%zz'])
      for (const headers of [[signed()], []]) {
        const answer = await call('GET', path, headers);
        expect([path, header(answer, 'cache-control')]).toEqual([path, 'no-store']);
      }
    // A proxy that keeps what ends in .css would answer in our place, and a webhook would be lost.
    const [key, none] = [pathOf(webhook), '/in/nobody'];
    for (const path of [key, `${key}/x.css`, `${key}?x.js`, none, `${none}/x.css`])
      for (const method of ['GET', 'POST', 'HEAD'])
        expect([method, path, header(await call(method, path), 'cache-control')]).toEqual([method, path, 'no-store']);
  });

  test('pages with the things of their reader are his alone; those of nobody are asked for again each time', async () => {
    for (const path of pages) {
      const [mine, neutral] = [await call('GET', path, [signed()]), await call('GET', path)];
      expect([path, header(neutral, 'cache-control')]).toEqual([path, 'no-cache']);
      if (mine.body.equals(neutral.body)) continue;
      expect([path, header(mine, 'cache-control')]).toEqual([path, 'no-store']);
      expect([path, header(neutral, 'vary')]).toEqual([path, expect.stringContaining('authorization')]);
    }
  });

  test('assets never change under their name', async () => {
    const html = (await call('GET', '/docs')).body.toString() + (await call('GET', '/inbox')).body.toString();
    const assets = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g)].map(([, path = '']) =>
      path.startsWith('/') ? path : `/${path}`,
    );
    expect(assets.length).toBeGreaterThanOrEqual(4);
    for (const path of assets) {
      expect(path).toMatch(/-[A-Za-z0-9]{8,}\.(js|css)$/);
      const answer = await call('GET', path, ['Accept-Encoding: gzip']);
      expect([path, header(answer, 'cache-control')]).toEqual([path, expect.stringMatching(/^public, .*immutable$/)]);
      expect(header(answer, 'vary')).toContain('accept-encoding');
    }
  });
});

test('no header of a request says where the service is', async () => {
  const spoofed = [
    ...['X-Forwarded-Host', 'X-Forwarded-Server', 'X-Original-Host', 'X-Host'].map((name) => `${name}: evil.example`),
    ...['X-Original-URL: /evil', 'X-Rewrite-URL: /evil', 'X-Forwarded-Prefix: /evil', 'X-Forwarded-Proto: evil'],
    'Forwarded: for=6.6.6.6;host=evil.example;proto=evil',
  ];
  const trusting = await startService(database.url, { PUBLIC_URL, TRUST_PROXY: 'loopback' });
  // Without contents: those tell the headers that they came with.
  const reader = await service.user();
  const own = `Authorization: ${reader.auth}`;
  const { wh_id } = await service.webhook(reader);
  try {
    for (const at of [service, trusting]) {
      for (const host of ['evil.example', 'evil.example:80@x', 'hooks.example.org\tevil.example', '']) {
        const send = (method: string, path: string, more: readonly string[] = [], body = '') => {
          const text = requestOf(method, path, [...more, ...spoofed], body).toString('latin1');
          return ask(at.port, Buffer.from(text.replace(/^Host: .*$/m, `Host: ${host}`), 'latin1'));
        };
        for (const path of [...pages, '/webhooks', `/webhooks/${wh_id}`, '/evil', '/docs/guides']) {
          const { headers, body } = await send('GET', path, [own]);
          expect(body.toString() + JSON.stringify([...headers])).not.toContain('evil.example');
        }
        const led = await send('GET', '/', ['Accept: text/html,application/xhtml+xml']);
        expect([led.status, header(led, 'location')]).toEqual([302, '/docs']);
        const made = await send('POST', '/webhooks', [own], '{"wh_name":"made"}');
        expect(JSON.parse(made.body.toString()).wh_url).toMatch(/^https:\/\/hooks\.example\.org\/in\/\w{24}$/);
        expect((await send('POST', pathOf(webhook), [], 'x')).status).toBe(200);
      }
    }
  } finally {
    await trusting.close();
  }
  await service.settle();
  const { body } = await call('GET', `/whcontent?whid=${webhook.wh_id}&limit=100`, [signed()]);
  const { whcontent } = JSON.parse(body.toString()) as { whcontent: { request: { public_url: string } }[] };
  expect(whcontent.length).toBeGreaterThan(7);
  for (const { request } of whcontent) expect(request.public_url.startsWith(webhook.wh_url)).toBe(true);
});

test('of the hops in X-Forwarded-For the last one that is not trusted is the sender', async () => {
  const trusting = await startService(database.url, { TRUST_PROXY: '127.0.0.1,10.0.0.0/8' });
  const wh = await trusting.webhook(user, { allow_networks: ['203.0.113.0/24'] });
  try {
    for (const [hops, status] of [
      [['X-Forwarded-For: 203.0.113.9'], 200],
      [['X-Forwarded-For: 203.0.113.9, 10.1.2.3'], 200],
      [['X-Forwarded-For: 203.0.113.9, 6.6.6.6'], 403],
      [['X-Forwarded-For: 203.0.113.9, 6.6.6.6, 10.1.2.3'], 403],
      [['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-For: 6.6.6.6'], 403],
      [['X-Real-IP: 203.0.113.9', 'Forwarded: for=203.0.113.9', 'X-Client-IP: 203.0.113.9'], 403],
      [[`X-Forwarded-For: ${'203.0.113.9, '.repeat(4_000)}6.6.6.6`], 403],
    ] as const)
      expect([hops, (await call('POST', pathOf(wh), hops, 'x', trusting)).status]).toEqual([hops, status]);
  } finally {
    await trusting.close();
  }
});
