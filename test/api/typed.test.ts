// A call is taken at its word: JSON keeps its types, a method that an address does not have is 405, and only browsers are led to /docs.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { type Database, migratedDatabase, onEveryEngine, type Service, startService } from '../support/engines.ts';
import { ask, requestOf } from '../support/raw.ts';

onEveryEngine('JSON is never coerced', (engine) => {
  let database: Database;
  let service: Service;
  let auth: string;
  let webhook: WebhookDetail;
  const call = async (method: string, path: string, body?: unknown) => {
    const options = { method, headers: { authorization: auth }, body: JSON.stringify(body) };
    const answer = await fetch(service.url + path, options);
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { SECRETS_KEY: 'ab'.repeat(32) });
    const user = await service.user();
    auth = user.auth;
    webhook = await service.webhook(user, { secrets: ['the-right-secret'] });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const WORDS = 'earliest, latest, {"id": …} or {"time": …}';
  // The call, what is sent, where the fault is, and what is said of it.
  const refused: readonly (readonly [call: string, body: unknown, path: string, message: string])[] = [
    ['PATCH /webhooks/{wh_id}', { secrets: [0] }, 'body.secrets.0', 'must be a text, {"value": …} or {"id": …}'],
    ['PATCH /webhooks/{wh_id}', { secrets: [true] }, 'body.secrets.0', 'must be a text, {"value": …} or {"id": …}'],
    ['PATCH /webhooks/{wh_id}', { secrets: [null] }, 'body.secrets.0', 'must be a text, {"value": …} or {"id": …}'],
    ['PATCH /webhooks/{wh_id}', { secrets: 'a-secret' }, 'body.secrets', 'must be a list or null'],
    ['PATCH /webhooks/{wh_id}', { secrets: [{ value: true }] }, 'body.secrets.0.value', 'must be a text'],
    ['PATCH /webhooks/{wh_id}', { secrets: [{ value: 7 }] }, 'body.secrets.0.value', 'must be a text'],
    ['PATCH /webhooks/{wh_id}', { secrets: [{ id: 7 }] }, 'body.secrets.0.id', 'must be a text'],
    ['PATCH /webhooks/{wh_id}', { wh_name: 5 }, 'body.wh_name', 'must be a text'],
    ['PATCH /webhooks/{wh_id}', { wh_name: null }, 'body.wh_name', 'must be a text'],
    ['PATCH /webhooks/{wh_id}', { enabled: 'false' }, 'body.enabled', 'must be true or false or null'],
    ['PATCH /webhooks/{wh_id}', { enabled: 0 }, 'body.enabled', 'must be true or false or null'],
    ['PATCH /webhooks/{wh_id}', { enabled: '' }, 'body.enabled', 'must be true or false or null'],
    ['PATCH /webhooks/{wh_id}', { retention_days: '3' }, 'body.retention_days', 'must be a whole number or null'],
    ['PATCH /webhooks/{wh_id}', { allow_methods: 'POST' }, 'body.allow_methods', 'must be a list or null'],
    ['PATCH /webhooks/{wh_id}', { allow_methods: [] }, 'body.allow_methods', 'must NOT have fewer than 1 items'],
    ['PATCH /webhooks/{wh_id}', { allow_networks: [] }, 'body.allow_networks', 'must NOT have fewer than 1 items'],
    [
      'PATCH /webhooks/{wh_id}',
      { response: { status: '204' } },
      'body.response.status',
      'must be a whole number or null',
    ],
    ['PATCH /webhooks/{wh_id}', { verify: { token: 5 } }, 'body.verify.token', 'must be a text or null'],
    [
      'PATCH /webhooks/{wh_id}',
      { verify: { jwt: { claims: { a: true } } } },
      'body.verify.jwt.claims.a',
      'must be a text',
    ],
    ['PATCH /webhooks/{wh_id}', { dedupe: { from: 5 } }, 'body.dedupe.from', 'must be a text, null or a list'],
    ['PATCH /webhooks/{wh_id}', [], 'body', 'must be an object'],
    ['PATCH /webhooks/{wh_id}', null, 'body', 'must be an object'],
    ['POST /webhooks', { wh_name: 'x', enabled: null }, 'body.enabled', 'must be true or false'],
    ['POST /webhooks', { wh_name: 'x', secrets: [5] }, 'body.secrets.0', 'must be a text or {"value": …}'],
    ['POST /webhooks/{wh_id}/rotate', { grace_seconds: null }, 'body.grace_seconds', 'must be a whole number'],
    ['POST /webhooks/{wh_id}/rotate', { grace_seconds: '0' }, 'body.grace_seconds', 'must be a whole number'],
    ['POST /refusals/release', { whid: '1' }, 'body.whid', 'must be a whole number'],
    ['POST /refusals/release', { whid: 1, force: null }, 'body.force', 'must be true or false'],
    ['POST /refusals/1/release', { force: 'true' }, 'body.force', 'must be true or false'],
    ['POST /consumers/c/pull', { start: { id: null } }, 'body.start.id', 'must be a whole number'],
    ['POST /consumers/c/pull', { start: { id: '5' } }, 'body.start.id', 'must be a whole number'],
    ['POST /consumers/c/pull', { start: { time: 5 } }, 'body.start.time', 'must be a text'],
    ['POST /consumers/c/pull', { start: null }, 'body.start', `must be ${WORDS}`],
    ['POST /consumers/c/pull', { start: 'now' }, 'body.start', `must be ${WORDS}`],
    ['POST /consumers/c/pull', { start: {} }, 'body.start', `must be ${WORDS}`],
    ['POST /consumers/c/pull', { limit: '5' }, 'body.limit', 'must be a whole number'],
    ['POST /consumers/c/pull', { ack: 5 }, 'body.ack', 'must be a text or {"lease": …}'],
    ['POST /consumers/c/pull', { ack: {} }, 'body.ack.lease', 'is missing'],
    ['POST /consumers/c/ack', { lease: 5 }, 'body.lease', 'must be a text'],
    ['POST /consumers/c/ack', { lease: 'x', ids: ['5'] }, 'body.ids.0', 'must be a whole number'],
    ['POST /consumers/c/ack', { lease: 'x', ids: 5 }, 'body.ids', 'must be a list'],
    ['POST /consumers/c/nack', { lease: 'x', dead: 1 }, 'body.dead', 'must be true or false'],
    ['POST /consumers/c/nack', { lease: 'x', delay_seconds: true }, 'body.delay_seconds', 'must be a whole number'],
    ['POST /consumers/c/nack', { lease: 'x', reason: 5 }, 'body.reason', 'must be a text'],
    ['POST /consumers/c/extend', { lease: 'x', lease_seconds: '5' }, 'body.lease_seconds', 'must be a whole number'],
    ['POST /consumers/c/seek', { id: '5' }, 'body.id', 'must be a whole number'],
    ['POST /consumers/c/seek', 5, 'body', 'must be earliest, latest, {"id": …}, {"time": …} or {"to": …}'],
    ['POST /consumers/c/redeliver', { ids: [true] }, 'body.ids.0', 'must be a whole number'],
    ['PUT /consumers/c', { whid: 7 }, 'body.whid', 'must be a list or null'],
    ['PUT /consumers/c', { ordered: 'false' }, 'body.ordered', 'must be true or false'],
    ['PUT /consumers/c', { max_attempts: '3' }, 'body.max_attempts', 'must be a whole number'],
  ];
  test('a value of another type is 422, with its place and the type that is taken', async () => {
    for (const [line, body, path, message] of refused) {
      const [method = '', url = ''] = line.replace('{wh_id}', String(webhook.wh_id)).split(' ');
      const answer = await call(method, url, body);
      expect([line, body, answer.status, answer.body.errors]).toEqual([line, body, 422, [{ path, message }]]);
    }
    // None of it has changed anything.
    expect((await call('GET', `/webhooks/${webhook.wh_id}`)).body).toMatchObject({
      wh_name: webhook.wh_name,
      enabled: true,
      secrets: [{ id: webhook.secrets[0]?.id, last4: 'cret' }],
    });
  });

  test('null goes back to the default where a call says so, and text is a number in paths and queries', async () => {
    expect((await call('PATCH', `/webhooks/${webhook.wh_id}`, { enabled: false })).body.enabled).toBe(false);
    expect((await call('PATCH', `/webhooks/${webhook.wh_id}`, { enabled: null })).body.enabled).toBe(true);
    expect((await call('PUT', '/consumers/all', { whid: null, start: { id: 5 } })).status).toBe(201);
    expect((await call('GET', '/whcontent?id=5&limit=3&wait=0&whid=7')).status).toBe(200);
    expect((await call('GET', '/whcontent?id=latest&whid=all')).status).toBe(200);
    for (const [query, path, message] of [
      ['id=newest', 'query.id', 'must be a whole number from 0 or latest'],
      ['id=-1', 'query.id', 'must be >= 0'],
      ['limit=%20', 'query.limit', 'must be a whole number'],
      ['id=+', 'query.id', 'must be a whole number'],
      ['id=1.5', 'query.id', 'must be a whole number from 0 or latest'],
      ['whid=x', 'query.whid', 'must be the number of a webhook, 0, or all'],
    ])
      expect([query, (await call('GET', `/whcontent?${query}`)).body.errors]).toEqual([query, [{ path, message }]]);
  });
});

describe('methods and navigation', () => {
  let database: Database;
  let service: Service;
  let auth: string;
  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url);
    ({ auth } = await service.user());
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test('a method that an address does not have is 405 and names those that it has', async () => {
    const known: readonly (readonly [lines: readonly string[], allow: string])[] = [
      [['DELETE /webhooks', 'PROPFIND /webhooks', 'OPTIONS /webhooks/', 'PUT /webhooks?x=1'], 'GET, HEAD, POST'],
      [['POST /webhooks/7', 'PUT /webhooks/7/', 'TRACE /webhooks/x'], 'DELETE, GET, HEAD, PATCH'],
      [['GET /webhooks/7/rotate'], 'POST'],
      [['DELETE /whcontent', 'PATCH /whcontent'], 'GET, HEAD, POST'],
      [['POST /whcontent/7/raw', 'DELETE /whcontent/7/trace', 'POST /', 'DELETE /', 'POST /healthz'], 'GET, HEAD'],
      [['GET /consumers/x/pull', 'DELETE /consumers/x/dead/retry'], 'POST'],
      [['DELETE /refusals/release', 'GET /refusals/release', 'HEAD /refusals/release/'], 'POST'],
      [['QUERY /consumers', 'QUERY /healthz'], 'GET, HEAD'],
      [['POST /docs', 'DELETE /openapi.json', 'POST /inbox', 'PUT /docs/guides/polling'], 'GET, HEAD'],
    ];
    for (const [lines, allow] of known)
      for (const line of lines) {
        const [method = '', target = ''] = line.split(' ');
        const { status, headers, body } = await ask(
          service.port,
          requestOf(method, target, [`Authorization: ${auth}`]),
        );
        expect([line, status, headers.get('allow')]).toEqual([line, 405, allow]);
        if (method === 'HEAD') continue;
        expect(JSON.parse(body.toString())).toMatchObject({
          type: 'urn:restante:problem:method-not-allowed',
          status: 405,
          detail: `Here only ${allow} is accepted.`,
        });
      }
    for (const line of ['GET /nothing', 'POST /webhooks/7/nothing', 'DELETE /webhooksx']) {
      const [method = '', target = ''] = line.split(' ');
      const { status, headers } = await ask(service.port, requestOf(method, target));
      expect([line, status, headers.get('allow')]).toEqual([line, 404, undefined]);
    }
  });

  test('only the navigation of a browser is led to the documentation; a program is asked for its credentials', async () => {
    const asked = (...headers: string[]) => ask(service.port, requestOf('GET', '/', headers));
    const get = async (...headers: string[]) => (await asked(...headers)).status;
    const browser = 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
    expect((await asked(browser)).headers.get('location')).toBe('/docs');
    expect(await get(browser)).toBe(302);
    expect(await get('Accept: text/html', 'Sec-Fetch-Mode: navigate')).toBe(302);
    // Java's own client.
    const java = 'Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2';
    const wrong = `Authorization: Basic ${Buffer.from('1:wrong').toString('base64')}`;
    for (const headers of [[java], [java, wrong], [browser, wrong], [browser, 'Sec-Fetch-Mode: cors'], []])
      expect([headers, await get(...headers)]).toEqual([headers, 401]);
    expect(await get(java, `Authorization: ${auth}`)).toBe(200);
  });
});
