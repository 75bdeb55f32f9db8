// Little to send, much to do: deep, wide and repeated JSON, hostile numbers, packed bodies, slow patterns.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodySchemaOf, readDocument, type Target, targetsOf } from '../security/calls.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { type Answer, ask, requestOf } from '../support/raw.ts';

/** A busy machine is slow too; what is quadratic in these sizes takes minutes. */
const SOON_MS = 3_000;
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

async function soon(
  method: string,
  path: string,
  body: string | Buffer = '',
  headers: readonly string[] = [],
): Promise<Answer> {
  const began = performance.now();
  const lines = [`Authorization: ${user.auth}`, ...headers];
  const answer = await ask(service.port, requestOf(method, path, lines, body));
  const what = `${method} ${path.slice(0, 60)} ${body.toString('latin1', 0, 60).slice(0, 60)}: ${answer.status}`;
  expect([what, answer.status < 500]).toEqual([what, true]);
  expect(performance.now() - began, what).toBeLessThan(SOON_MS);
  return answer;
}
const json = <T>({ body }: Answer) => JSON.parse(body.toString()) as T;
const many = (count: number, one: (i: number) => string) => Array.from({ length: count }, (_, i) => one(i)).join(',');
const taking = () => targets.filter((target) => bodySchemaOf(target) && !/^\/(whcontent$|in\/)/.test(target.path));

describe('JSON', () => {
  const deep = (open: string, close: string, count = 100_000) => open.repeat(count) + close.repeat(count);
  const bombs: Record<string, string> = {
    'lists in lists': deep('[', ']'),
    'objects in objects': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
    'lists that do not end': '['.repeat(1_000_000),
    'a member full of lists': `{"wh_name":${deep('[', ']')}}`,
    'a million members': `{${many(1_000_000, (i) => `"${i.toString(36)}":1`)}}`,
    'one member a million times': `{${many(500_000, () => '"wh_name":{}')}}`,
    'a million wrong elements': `{"ids":[${many(1_000_000, () => '"x"')}],"lease":"x","secrets":[${many(200_000, () => '{"x":1}')}]}`,
    'a number of a million digits': `{"limit":${'9'.repeat(1_000_000)},"id":${'9'.repeat(1_000_000)}}`,
    'a number that is none': '{"limit":1e999999999,"id":-1e999999999,"lease_seconds":1e999}',
    'a text of 9 MB': `{"wh_name":"${'x'.repeat(9_000_000)}","lease":"${'A'.repeat(900_000)}"}`,
    'a text of escapes': `{"wh_name":"${'\\u0000'.repeat(1_000_000)}"}`,
  };
  test.each(Object.entries(bombs))(
    '%s: refused soon by every call that takes JSON',
    async (_, body) => {
      expect(taking().length).toBeGreaterThan(10);
      // One after the other: each is to be soon for itself.
      for (const { method, path } of taking()) {
        const { status, body: told } = await soon(method, path.replace(/\{\w+\}/g, '1'), body);
        expect([path, status >= 400]).toEqual([path, true]);
        expect(told.length).toBeLessThan(20_000);
      }
    },
    120_000,
  );

  test('the last of members that come twice counts, and no second meaning is stored', async () => {
    const made = json<{ wh_name: string }>(await soon('POST', '/webhooks', '{"wh_name":"first","wh_name":"second"}'));
    expect(made.wh_name).toBe('second');
  });

  test('a webhook takes every bomb as bytes, one that looks for its event in it too', async () => {
    const dedupe = { from: ['body:/a/a/a', 'body:/wh_name'] };
    const wh = await service.webhook(user, { dedupe, preset: 'github', secrets: ['x'.repeat(20)], on_reject: 'drop' });
    const plain = await service.webhook(user, { dedupe: { from: 'body:/a/a/a' }, verify: { scheme: 'none' } });
    for (const body of Object.values(bombs)) {
      expect((await soon('POST', pathOf(wh), body)).status).toBe(401);
      expect((await soon('POST', pathOf(plain), body)).status).toBe(200);
      expect((await soon('POST', '/whcontent', body)).status).toBe(201);
    }
  }, 60_000);
});

test('queries of thousands of parameters are answered soon, without signing in too', async () => {
  const queries = [many(12_000, (i) => `${i.toString(36)}=`).replaceAll(',', '&')];
  queries.push(
    'id=1&'.repeat(12_000),
    'id[]=1&'.repeat(8_000),
    '&'.repeat(60_000),
    '%'.repeat(60_000),
    `q=${'%41'.repeat(20_000)}`,
  );
  for (const query of queries)
    for (const { method, path } of targets.filter((target) => target.method === 'GET'))
      await soon(method, `${path.replace(/\{\w+\}/g, '1')}?${query}`);
});

describe('packed bodies', () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  test('are never unpacked: a webhook keeps them as they came, a call does not take them', async () => {
    const wh = await service.webhook(user, { dedupe: { from: 'body:/id' }, verify: { scheme: 'none' } });
    for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'x'])
      expect((await soon('POST', pathOf(wh), bomb, [`Content-Encoding: ${coding}`])).status).toBe(200);
    await service.settle();
    const page = json<{ whcontent: { id: number }[] }>(await soon('GET', `/whcontent?whid=${wh.wh_id}`));
    expect(page.whcontent).toHaveLength(6);
    for (const { id } of page.whcontent) {
      const raw = await soon('GET', `/whcontent/${id}/raw`);
      expect([raw.body.equals(bomb), raw.headers.get('content-encoding')]).toEqual([true, undefined]);
    }
    for (const { method, path } of taking())
      expect((await soon(method, path.replace(/\{\w+\}/g, '1'), bomb, ['Content-Encoding: gzip'])).status).toBe(400);
  }, 60_000);
});

describe('patterns', () => {
  const seeds = [
    'a',
    '0',
    ' ',
    '.',
    '-',
    '/',
    ':',
    '=',
    ',',
    ';',
    '+',
    '%',
    '\\',
    '"',
    '(',
    '{',
    '[',
    'aA',
    '0:',
    '1.',
    'a=',
    ', ',
    'é',
  ];
  const patternsIn = (value: unknown): string[] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([name, one]) =>
          name === 'pattern' && typeof one === 'string' ? [one] : patternsIn(one),
        );

  test('those of the schemas take no time that grows with a long text', () => {
    const patterns = new Set(targets.flatMap(({ operation }) => patternsIn(operation)));
    expect(patterns.size).toBeGreaterThan(3);
    for (const pattern of patterns)
      for (const seed of seeds)
        for (const end of ['', '\n', '!', '\0']) {
          const text = seed.repeat(100_000) + end;
          const began = performance.now();
          new RegExp(pattern, 'u').test(text);
          for (const start of ['header:', 'query:', 'body:/', 'field:']) new RegExp(pattern, 'u').test(start + text);
          expect(performance.now() - began, `${pattern} on ${seed}`).toBeLessThan(1_000);
        }
  });

  test('headers and queries of 50 KB that look like what is parsed', async () => {
    const hooks = await Promise.all(
      [
        { preset: 'stripe', secrets: ['whsec_x'] },
        { preset: 'twilio', secrets: ['x'.repeat(32)] },
        { preset: 'github', secrets: ['x'.repeat(20)] },
        { preset: 'generic', verify: { scheme: 'shared-secret', secret_from: 'basic' }, secrets: ['a:b'] },
        { dedupe: { from: ['header:x-id', 'form:a', 'query:a'] }, verify: { scheme: 'none' } },
      ].map((settings) => service.webhook(user, settings)),
    );
    const names = [
      'Authorization',
      'Content-Type',
      'Accept',
      'Accept-Encoding',
      'X-Forwarded-For',
      'X-Forwarded-Host',
      'X-Id',
    ];
    names.push('Stripe-Signature', 'X-Twilio-Signature', 'X-Hub-Signature-256', 'Forwarded', 'Cookie', 'Last-Event-ID');
    for (const seed of seeds) {
      const text = seed.repeat(30_000 / seed.length);
      for (const start of ['', 'Basic ', 'Bearer ', 't=', 'sha256=']) {
        const lines = names.map((name) => `${name}: ${start}${text}`);
        for (const line of lines.slice(0, start === '' ? names.length : 1)) await soon('GET', '/', '', [line]);
        for (const hook of hooks)
          await soon('POST', pathOf(hook), 'a=b', [lines[names.indexOf('Stripe-Signature')] ?? '']);
      }
      for (const hook of hooks)
        await soon('POST', `${pathOf(hook)}?a=${encodeURIComponent(text).slice(0, 50_000)}`, `a=${text}`.repeat(20), [
          'Content-Type: application/x-www-form-urlencoded',
        ]);
      for (const name of ['q', 'event_id', 'since', 'id', 'whid', 'limit'])
        await soon('GET', `/whcontent?whid=all&${name}=${encodeURIComponent(text).slice(0, 50_000)}`);
    }
  }, 120_000);

  test('settings with the longest templates and places that are allowed', async () => {
    const longest = (one: string) => one.repeat(1_024 / one.length);
    for (const signed_string of ['{', '}', '{body}', '{{', '{}', '{json:/a}', '{header:x}'].map(longest)) {
      const verify = { scheme: 'hmac', algorithm: 'sha256', signature: { from: 'header:x' }, signed_string };
      const { status, body } = await soon(
        'POST',
        '/webhooks',
        JSON.stringify({ wh_name: 'x', preset: 'generic', verify, secrets: ['x'.repeat(20)] }),
      );
      if (status === 201)
        await soon(
          'POST',
          new URL(json<{ wh_url: string }>({ body } as Answer).wh_url).pathname,
          'x'.repeat(1_000_000),
          ['X: a'],
        );
    }
    for (const from of ['body:/', 'body:/~', 'header:', 'form:'].map((start) => start.padEnd(255, 'a/~0')))
      await soon('POST', '/webhooks', JSON.stringify({ wh_name: 'x', dedupe: { from } }));
  });
});
