// Names that every object of JavaScript has, and times that are none: neither is taken for more than it is.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { type Answer, ask, requestOf } from '../support/raw.ts';
import { bodySchemaOf, readDocument, type Schema, type Target, targetsOf } from './calls.ts';

let database: Database;
let service: Service;
let user: TestUser;
let targets: Target[];
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url);
  user = await service.user();
  targets = targetsOf(await readDocument(service.url));
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

async function send(method: string, path: string, body = '', headers: readonly string[] = []): Promise<Answer> {
  const answer = await ask(service.port, requestOf(method, path, [`Authorization: ${user.auth}`, ...headers], body));
  const what = `${method} ${path} ${body.slice(0, 200)}: ${answer.status}`;
  expect([what, answer.status < 500]).toEqual([what, true]);
  return answer;
}
const json = <T>({ body }: Answer) => JSON.parse(body.toString()) as T;
describe('names of prototypes', () => {
  const poison = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf'];
  const clean = () => {
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  };
  /** The same object at every depth of a body. */
  const bodies = (schema: Schema): string[] =>
    poison.flatMap((name) => {
      const evil = `"${name}":{"polluted":1,"prototype":{"polluted":1},"enabled":false}`;
      const members = Object.keys(schema.properties ?? {});
      return [`{${evil}}`, `[{${evil}}]`, ...members.map((member) => `{"wh_name":"x","${member}":{${evil}}}`)];
    });
  test('in bodies, queries and paths they are members that nobody knows', async () => {
    for (const target of targets) {
      const path = target.path.replace(/\{\w+\}/g, '1');
      for (const body of bodies(bodySchemaOf(target) ?? {}).slice(0, 60)) {
        const { status } = await send(target.method, path, target.method === 'GET' ? '' : body);
        if (target.method === 'PATCH') expect([body, status]).toEqual([body, expect.any(Number)]);
      }
      for (const name of poison) await send(target.method, `${path}?${name}=1&${name}[polluted]=1&${name}.polluted=1`);
      if (path !== target.path)
        for (const name of poison) await send(target.method, target.path.replace(/\{\w+\}/g, name));
    }
    clean();
  }, 60_000);

  test('as names of consumers, presets, places and contents they are plain texts', async () => {
    user = await service.user();
    for (const name of poison) {
      expect((await send('PUT', `/consumers/${name}`, '{"start":"latest"}')).status).toBeLessThan(300);
      expect(json<{ items: unknown[] }>(await send('POST', `/consumers/${name}/pull`, '{}')).items).toEqual([]);
      expect((await send('POST', '/webhooks', JSON.stringify({ wh_name: 'x', preset: name }))).status).toBe(422);
      const dedupe = { from: `body:/${name}/name` };
      const wh = await service.webhook(user, {
        dedupe,
        verify: { scheme: 'none', event_type: `header:${name.replaceAll('_', 'x')}` },
      });
      const form = await service.webhook(user, { dedupe: { from: `form:${name}` }, verify: { scheme: 'none' } });
      await send('POST', pathOf(wh), '{"a":{"b":1}}');
      await send('POST', pathOf(form), 'a=b', ['Content-Type: application/x-www-form-urlencoded']);
      await service.settle();
      for (const { wh_id } of [wh, form]) {
        const { whcontent } = json<{ whcontent: { request: { event_id: string | null } }[] }>(
          await send('GET', `/whcontent?whid=${wh_id}`),
        );
        expect(whcontent.map(({ request }) => request.event_id)).toEqual([null]);
      }
    }
    clean();
  });
});

describe('times', () => {
  // Right by the pattern of many schemas, and no moment to Date: kept as they are they would mean "for ever" and "from the start".
  const none = [
    '2026-12-31T23:59:60Z',
    '2026-01-01T00:00:00+00',
    '2026-02-30T00:00:00Z',
    '2026-01-01T25:00:00Z',
    'x',
    '1',
  ];
  test.each(none)('%s is refused wherever a time is asked for', async (time) => {
    const asked = [
      await send('GET', `/whcontent?since=${encodeURIComponent(time)}`),
      await send('POST', '/consumers/times/seek', JSON.stringify({ time })),
      await send('PUT', '/consumers/times', JSON.stringify({ start: { time } })),
      await send('POST', '/refusals/release', JSON.stringify({ whid: 1, since: time })),
      await send(
        'POST',
        '/webhooks',
        JSON.stringify({ wh_name: 'x', secrets: [{ value: 'x'.repeat(20), expires_at: time }] }),
      ),
    ];
    expect(asked.map(({ status }) => status)).toEqual([422, 422, 422, 422, 422]);
  });
});
