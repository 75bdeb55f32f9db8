// Odd paths and methods: no file but those of the pages, no way around the sign-in, no proxy and no mirror.
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
import { ask, requestOf } from '../support/raw.ts';

let database: Database;
let service: Service;
let user: TestUser;
let auth: string;
let webhook: WebhookDetail;
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org/base' });
  user = await service.user();
  auth = `Authorization: ${user.auth}`;
  webhook = await service.webhook(user);
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const bodiesOf = async ({ wh_id }: WebhookDetail): Promise<string[]> => {
  await service.settle();
  const { body } = await ask(service.port, requestOf('GET', `/whcontent?whid=${wh_id}&limit=100`, [auth]));
  return (JSON.parse(body.toString()) as { whcontent: { content: string }[] }).whcontent.map(({ content }) => content);
};
describe('paths', () => {
  const up = ['..', '%2e%2e', '%2E.', '..%2f', '%2e%2e%2f', '..%5c', '..\\', '....//', '..;/', '%252e%252e', '.%00.'];
  const files = ['package.json', 'main.js', 'etc/passwd', 'restante.db', 'secrets.key', '.git/config'];
  test('nothing but the files of the pages is served, whatever the path', async () => {
    for (const start of ['/docs/', '/inbox/', '/docs/guides/', '/', '/in/', '//', '/docs//', '/inbox;/'])
      for (const dots of up)
        for (const file of files) {
          const path = start + `${dots}/`.repeat(5) + file;
          const { status, body } = await ask(service.port, requestOf('GET', path, [auth]));
          expect([path, status >= 400 && status < 500]).toEqual([path, true]);
          expect(body.toString()).not.toMatch(/root:|"devDependencies"|SQLite format/);
        }
    for (const path of ['/docs/docs.css', '/docs/%00', '/inbox/__proto__', '/docs/constructor', '/docs/__proto__'])
      expect([path, (await ask(service.port, requestOf('GET', path))).status]).toEqual([path, 404]);
  });

  test('no spelling of a path gets around the sign-in or into the receiver', async () => {
    const spellings = [
      '/webhooks',
      '//webhooks',
      '/webhooks/',
      '/./webhooks',
      '/%77ebhooks',
      '/webhooks;x',
      '/webhooks%20',
    ];
    spellings.push('/WEBHOOKS', '\\webhooks', '/webhooks#x', '/webhooks%2f', '/docs/../webhooks', '/in/../webhooks');
    spellings.push(
      'http://evil.example/webhooks',
      'http://evil.example//webhooks',
      '/healthz/../webhooks',
      '/x/..;/webhooks',
    );
    for (const path of spellings) {
      const { status, body } = await ask(service.port, requestOf('GET', path));
      expect([path, [400, 401, 404].includes(status)]).toEqual([path, true]);
      expect(body.toString()).not.toContain(webhook.wh_url);
    }
    const own = pathOf(webhook).replace('/base', '');
    const before = (await bodiesOf(webhook)).length;
    for (const path of [
      `/x/..${own}`,
      `//${own}`,
      own.replace('/in/', '/IN/'),
      own.replace('/in/', '/%69n/'),
      `/in//${own}`,
    ])
      expect([path, (await ask(service.port, requestOf('POST', path, [], 'no'))).status]).toEqual([path, 404]);
    expect(await bodiesOf(webhook)).toHaveLength(before);
  });

  test('paths of 60 KB are answered at once', async () => {
    for (const part of ['x', '%41', '/', '/..', ';', '?', '%', 'é', '/in/'])
      for (const start of ['/', '/webhooks/', '/whcontent/', '/docs/', '/in/', '/consumers/']) {
        const began = performance.now();
        const path = start + part.repeat(60_000 / part.length);
        const { status } = await ask(service.port, requestOf('GET', path, [auth]));
        expect([start, part, status < 500]).toEqual([start, part, true]);
        expect(performance.now() - began).toBeLessThan(2_000);
      }
  });
});

test('methods that nobody offers are refused, and none turns the service into a proxy or a mirror', async () => {
  const path = pathOf(webhook).replace('/base', '');
  for (const method of [
    'TRACE',
    'TRACK',
    'PROPFIND',
    'SEARCH',
    'LOCK',
    'MKCOL',
    'LINK',
    'PURGE',
    'BREW',
    'get',
    'SUBSCRIBE',
  ]) {
    const { status, body } = await ask(service.port, requestOf(method, '/webhooks', [auth, 'X-Mirror: me']));
    expect([method, status >= 400 && status < 500]).toEqual([method, true]);
    expect(body.toString()).not.toContain('X-Mirror');
  }
  const traced = await ask(service.port, requestOf('TRACE', path, ['X-Mirror: me']));
  expect(traced.body.toString()).not.toContain('X-Mirror');
  for (const target of ['127.0.0.1:22', 'evil.example:443', path])
    expect((await ask(service.port, requestOf('CONNECT', target, [auth]))).status).toBe(405);
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='];
  for (const to of ['/webhooks', '/inbox', path])
    expect((await ask(service.port, requestOf('GET', to, [auth, ...upgrade]))).status).not.toBe(101);
  for (const override of ['X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE'])
    expect(
      (await ask(service.port, requestOf('POST', `/webhooks/${webhook.wh_id}`, [auth, override], '{}'))).status,
    ).toBe(405);
  expect((await ask(service.port, requestOf('GET', `/webhooks/${webhook.wh_id}?_method=DELETE`, [auth]))).status).toBe(
    422,
  );
});
