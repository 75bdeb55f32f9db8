// Pages of other web sites: those in CORS_ORIGINS may call the API, all others may not, and nobody may before it is set.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';

const APP = 'https://app.example.org';
const OTHER = 'https://app.example.org.evil.example';

let database: Database;
let user: TestUser;
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
});
afterAll(() => database?.drop());

const open = async (env: Record<string, string>): Promise<Service> => {
  const service = await startService(database.url, env);
  user ??= await service.user();
  return service;
};
const call = (service: Service, method: string, path: string, headers: Record<string, string>) =>
  fetch(service.url + path, { method, headers: { authorization: user.auth, ...headers } });
const allowed = (answer: Response) => answer.headers.get('access-control-allow-origin');

describe('with CORS_ORIGINS', () => {
  let service: Service;
  beforeAll(async () => {
    service = await open({ CORS_ORIGINS: `${APP}, https://second.example.org` });
  });
  afterAll(() => service?.close());

  test('its pages read answers, errors too, and streams; others do not', async () => {
    const answers = await Promise.all([
      call(service, 'GET', '/whcontent', { origin: APP }),
      call(service, 'GET', '/whcontent/999', { origin: APP }),
      fetch(`${service.url}/`, { headers: { origin: APP } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 401]);
    expect(answers.map(allowed)).toEqual([APP, APP, APP]);
    expect(answers[0]?.headers.get('vary')).toContain('Origin');
    expect(answers[0]?.headers.get('access-control-allow-credentials')).toBe(null);
    const stream = await call(service, 'GET', '/whcontent', { origin: APP, accept: 'text/event-stream' });
    expect([allowed(stream), stream.headers.get('content-type')]).toEqual([APP, 'text/event-stream; charset=utf-8']);
    await stream.body?.cancel();
    for (const origin of [OTHER, 'null', 'http://app.example.org', `${APP}:444`])
      expect([origin, allowed(await call(service, 'GET', '/whcontent', { origin }))]).toEqual([origin, null]);
  });

  test('a browser that asks first is told what its pages may send', async () => {
    const ask = (origin: string) =>
      fetch(`${service.url}/webhooks/1`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'PATCH',
          'access-control-request-headers': 'authorization,content-type',
        },
      });
    const told = await ask(APP);
    expect([told.status, allowed(told)]).toEqual([204, APP]);
    expect(told.headers.get('access-control-allow-methods')).toContain('PATCH');
    expect(told.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
    expect(allowed(await ask(OTHER))).toBe(null);
  });

  test('its pages may change something, those of others are refused', async () => {
    const site = { 'sec-fetch-site': 'cross-site' };
    expect((await call(service, 'POST', '/whcontent?content=x', { ...site, origin: APP })).status).toBe(201);
    expect((await call(service, 'POST', '/whcontent?content=x', { ...site, origin: OTHER })).status).toBe(403);
    expect((await call(service, 'POST', '/whcontent?content=x', site)).status).toBe(403);
  });
});

test('without it no page of another site reads or changes anything', async () => {
  const service = await open({});
  expect(allowed(await call(service, 'GET', '/whcontent', { origin: APP }))).toBe(null);
  const headers = { origin: APP, 'sec-fetch-site': 'cross-site' };
  expect((await call(service, 'POST', '/whcontent?content=x', headers)).status).toBe(403);
  await service.close();
});
