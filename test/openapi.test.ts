// The API document tells the truth: it is valid, complete, and whatever is sent gets an answer that it describes.
import { Validator } from '@seriousme/openapi-schema-validator';
import * as fc from 'fast-check';
import { Check, Errors } from 'typebox/schema';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROUTES } from '../src/http/app.ts';
import { type Database, migratedDatabase, pathOf, type Service, startService, type TestUser } from './engines.ts';
import { type Answer, ask, requestOf } from './raw.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}
interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly required?: boolean;
  readonly schema: Schema;
}
type Media = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>;
interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Media };
  readonly responses: Readonly<Record<string, { readonly content?: Media }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Call {
  readonly inPath: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly stray: readonly [string, unknown] | null;
  readonly body: string;
  readonly type: string;
}

const PROBLEM = 'application/problem+json';
const words = [
  '',
  ' ',
  '0',
  '-1',
  '1.5',
  '1e3',
  '0x10',
  'null',
  'true',
  'NaN',
  '__proto__',
  'latest',
  'all',
  "' OR 1=1 -- ",
  '\0',
  '\ufeff💥',
  '../..',
  '9'.repeat(30),
  'x'.repeat(300),
  '10.0.0.0/8',
  '::/0',
];
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown[]>(...words, null, true, -1, 0.5, 1e308, [], {}, [[]]),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Values that a schema allows, with now and then one that it does not. */
function valuesOf(schema: Schema, called = ''): fc.Arbitrary<unknown> {
  // A call that waits would wait.
  if (called === 'wait') return fc.constantFrom(0, -1, 'x', '', [1], '1.5');
  const kinds = [schema.type ?? 'any'].flat().map((type): fc.Arbitrary<unknown> => {
    if (schema.enum) return fc.constantFrom(...schema.enum);
    if (type === 'integer') {
      const { minimum = -5, maximum = Number.MAX_SAFE_INTEGER } = schema;
      return fc.oneof(
        fc.constantFrom(minimum, maximum),
        fc.integer({ min: minimum, max: Math.min(maximum, minimum + 12) }),
        fc.integer({ min: minimum, max: maximum }),
      );
    }
    if (type === 'boolean') return fc.boolean();
    if (type === 'null') return fc.constant(null);
    if (type === 'array') return fc.array(valuesOf(schema.items ?? {}), { maxLength: 3 });
    if (type === 'object') {
      const of = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, valuesOf(one, name)]);
      return fc.record(Object.fromEntries(of), { requiredKeys: [...(schema.required ?? [])] as never[] });
    }
    if (type !== 'string') return hostile;
    if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern));
    const { minLength = 0, maxLength = 40 } = schema;
    const any = fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 40) });
    return fc.oneof(any, fc.constantFrom('10.0.0.0/8', '2001:db8::/32', '127.0.0.1'));
  });
  return fc.oneof({ weight: 39, arbitrary: fc.oneof(...kinds) }, { weight: 1, arbitrary: hostile });
}

const encode = (value: unknown) =>
  encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed());

describe('openapi', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let document: Document;
  let operations: { path: string; method: string; operation: Operation }[];
  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url, { MAX_BODY_BYTES: '100000' });
    user = await service.user();
    document = (await (await fetch(`${service.url}/openapi.json`)).json()) as Document;
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
    );
    // Something for the ids to hit: webhook 1, content 1, refusal 1, and a webhook of another application.
    const webhook = await service.webhook(user, { max_body_bytes: 3 });
    for (const body of ['abc', 'abcd']) await ask(service.port, requestOf('POST', pathOf(webhook), [], body));
    const row = [7, user.id, 'https://elsewhere.example/', 'Theirs', 1];
    await service.store.db.insert('tblwhid', ['id', 'user_id', 'wh_url', 'wh_name', 'status'], [row]);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test('is a valid OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document) as never);
    expect([valid, errors]).toEqual([true, undefined]);
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test('has nothing behind its references missing', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '');
    const missing = refs.filter((ref) => {
      let at: unknown = document;
      for (const name of ref.split('/')) at = (at as Record<string, unknown> | undefined)?.[name];
      return at === undefined;
    });
    expect(missing).toEqual([]);
  });

  test('has every route, with a summary and an example of what is sent or comes', () => {
    const told = operations.map(({ method, path }) => `${method} ${path}`);
    const routes = ROUTES.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`);
    expect(routes.filter((route) => !told.includes(route))).toEqual([]);
    for (const { method, path, operation } of operations)
      expect([method, path, /"examples?":/.test(JSON.stringify(operation)), 'summary' in operation]).toEqual([
        method,
        path,
        true,
        true,
      ]);
  });

  test('its examples are what its schemas say', () => {
    for (const { method, path, operation } of operations)
      for (const { content = {} } of [operation.requestBody ?? {}, ...Object.values(operation.responses)])
        for (const { schema, example } of Object.values(content))
          if (schema && example !== undefined)
            expect([method, path, Errors(schema, example)[1]]).toEqual([method, path, []]);
  });

  test('tells only parameters that exist, and the body of a call that takes one', () => {
    for (const { url, method, query, params, body, rawBody } of ROUTES) {
      const operation = document.paths[url.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
      const names = [...Object.keys(query?.properties ?? {}), ...Object.keys((params as Schema)?.properties ?? {})];
      expect([method, url, operation?.parameters?.map(({ name }) => name) ?? []]).toEqual([method, url, names]);
      expect([method, url, operation?.requestBody !== undefined]).toEqual([method, url, Boolean(body || rawBody)]);
    }
  });

  /** The answer must be one that the document promises. */
  function judge(answer: Answer, operation: Operation): void {
    const promised = operation.responses[String(answer.status)];
    expect(promised && Object.keys(operation.responses), `status ${answer.status}: ${answer.body}`).toContain(
      String(answer.status),
    );
    expect(answer.status).toBeLessThan(500);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    const type = answer.headers.get('content-type')?.replace(/;.*/, '') ?? '';
    if (answer.status >= 400) {
      expect(type).toBe(PROBLEM);
      const problem = JSON.parse(answer.body.toString());
      expect(problem).toMatchObject({
        status: answer.status,
        type: expect.stringMatching(/^urn:/),
        request_id: expect.any(String),
      });
      expect([problem.title.length > 3, problem.detail.length > 10]).toEqual([true, true]);
    }
    if (promised?.content === undefined) return void expect(answer.body.length).toBe(0);
    const schema = promised.content[type]?.schema;
    expect(schema, `${answer.status} as ${type}`).toBeDefined();
    if (!type.endsWith('json') || !schema) return;
    const body: unknown = JSON.parse(answer.body.toString());
    if (!Check(schema, body)) expect([body, Errors(schema, body)[1]]).toEqual([body, []]);
  }

  test('has a problem to tell for what no operation matches', async () => {
    const auth = [`Authorization: ${user.auth}`];
    const odd = [
      'GET /webhooks/%zz',
      'GET /whcontent/%ff/raw',
      'GET /%zz',
      'GET /nothing',
      'GET //x',
      'PROPFIND /webhooks',
      'TRACE /',
      'DELETE /whcontent',
      'GET /whcontent?%zz=%ff&whid=%ff',
      'GET /__proto__',
      'OPTIONS *',
    ];
    for (const line of odd) {
      const [method = '', target = ''] = line.split(' ');
      const { status, headers, body } = await ask(service.port, requestOf(method, target, auth));
      expect([line, status >= 400 && status < 500, headers.get('content-type')]).toEqual([line, true, PROBLEM]);
      expect(JSON.parse(body.toString())).toMatchObject({ status, request_id: expect.any(String) });
    }
  });

  // DELETE last: the others need something to work on.
  const deletes = ({ method }: { method: string }) => Number(method === 'DELETE');
  const ordered = [...ROUTES].sort((a, b) => deletes(a) - deletes(b));
  test.each(ordered.map(({ method, url }) => [method, url.replace(/:(\w+)/g, '{$1}')] as const))(
    'keeps its word whatever is sent to %s %s',
    async (method, path) => {
      const operation = document.paths[path]?.[method.toLowerCase()];
      if (!operation) throw new Error('not in the document');
      const { parameters = [], requestBody } = operation;
      const given = (place: string) =>
        fc.record(
          Object.fromEntries(
            parameters.filter((one) => one.in === place).map(({ name, schema }) => [name, valuesOf(schema, name)]),
          ),
          place === 'path' ? {} : { requiredKeys: [] },
        );
      const pair = fc.tuple(fc.constantFrom(...words), hostile);
      const stray = fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: pair });
      const schema = requestBody?.content['application/json']?.schema;
      const text = fc.constantFrom(
        '',
        '{',
        'null',
        '[]',
        '"x"',
        '{"__proto__":1}',
        '{"a":1e999}',
        '\ufeff{}',
        '\0',
        'x'.repeat(100_001),
      );
      const json = valuesOf(schema ?? {}).map((value) => JSON.stringify(value) ?? '');
      const bodies =
        method === 'GET' ? fc.constant('') : fc.oneof({ weight: 6, arbitrary: json }, { weight: 1, arbitrary: text });
      const odd = fc.constantFrom('application/json; charset=utf-8', 'text/plain', 'weird/;;;', '');
      const types = fc.oneof({ weight: 9, arbitrary: fc.constant('application/json') }, { weight: 1, arbitrary: odd });
      const call = fc.record({ inPath: given('path'), query: given('query'), stray, body: bodies, type: types });
      const one = async ({ inPath, query, stray: extra, body, type }: Call) => {
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encode(inPath[name]) || '%20');
        const pairs = [...Object.entries(query), ...(extra ? [extra] : [])].map(
          ([name, value]) => `${encode(name)}=${encode(value)}`,
        );
        const headers = [`Authorization: ${user.auth}`, ...(body === '' ? [] : [`Content-Type: ${type}`])];
        const target = pairs.length > 0 ? `${filled}?${pairs.join('&')}` : filled;
        judge(await ask(service.port, requestOf(method, target, headers, Buffer.from(body))), operation);
      };
      // Each time, so that it does not take luck: a path that is too long, a webhook of somebody else, what is not JSON.
      const plain = {
        inPath: { wh_id: 1, id: 1, name: 'billing' },
        query: {},
        stray: null,
        body: method === 'GET' ? '' : '{}',
        type: 'application/json',
      };
      const always: Call[] = [
        ...['x'.repeat(300), 7, 0].map((value) => ({ ...plain, inPath: { wh_id: value, id: value, name: value } })),
        { ...plain, stray: ['no-such', 'x'] },
        ...(method === 'GET'
          ? []
          : [
              { ...plain, body: '{' },
              { ...plain, type: 'weird/;;;' },
              { ...plain, body: 'x'.repeat(100_001) },
            ]),
      ];
      const property = fc.asyncProperty(call as fc.Arbitrary<Call>, one);
      await fc.assert(property, { numRuns: 120, includeErrorInReport: true, examples: always.map((each) => [each]) });
      expect(service.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );
});
