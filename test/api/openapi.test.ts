// The API document tells the truth: it is valid and complete. That answers are as it says is security-fuzz.test.ts.
import { Validator } from '@seriousme/openapi-schema-validator';
import { Errors } from 'typebox/schema';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROUTES } from '../../src/api/app.ts';
import { type Document, resolved, type Schema, type Target, targetsOf } from '../security/calls.ts';
import { PROBLEM } from '../security/promised.ts';
import { type Database, migratedDatabase, type Service, startService, type TestUser } from '../support/engines.ts';
import { ask, requestOf } from '../support/raw.ts';

describe('openapi', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let raw: object;
  let document: Document;
  let operations: Target[];
  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url, { MAX_BODY_BYTES: '100000' });
    user = await service.user();
    raw = (await (await fetch(`${service.url}/openapi.json`)).json()) as object;
    document = resolved(raw);
    operations = targetsOf(document);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test('is a valid OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(raw) as never);
    expect([valid, errors]).toEqual([true, undefined]);
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test('has nothing behind its references missing', () => {
    const refs = [...JSON.stringify(raw).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '');
    const missing = refs.filter((ref) => {
      let at: unknown = raw;
      for (const name of ref.split('/')) at = (at as Record<string, unknown> | undefined)?.[name];
      return at === undefined;
    });
    expect(missing).toEqual([]);
  });

  test('has every route, with a summary and an example of what is sent or comes', () => {
    const told = operations.map(({ method, path }) => `${method} ${path}`);
    const routes = ROUTES.filter(({ hidden }) => !hidden).map(
      ({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`,
    );
    expect(routes.filter((route) => !told.includes(route))).toEqual([]);
    for (const { method, path, operation } of operations)
      expect([method, path, /"examples?":/.test(JSON.stringify(operation)), 'summary' in operation]).toEqual([
        method,
        path,
        true,
        true,
      ]);
  });

  test('is small enough to be read, and each call has a name of its own', () => {
    expect(JSON.stringify(raw).length).toBeLessThan(90_000);
    const names = operations.map(({ operation }) => operation.operationId ?? '');
    expect(names.filter((name) => !/^[a-z][A-Za-z]+$/.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('says of each integer that may pass 32 bits that it has 64', () => {
    const narrow: string[] = [];
    const look = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      const { type, format, maximum = 0 } = value as { type?: unknown; format?: string; maximum?: number };
      const isId = /(\bid|_id|\/(done|duplicates|ids|whid)(\/items)?)(\/anyOf\/0)?$/.test(path);
      if ([type].flat().includes('integer') && (isId || maximum > 2 ** 31 - 1) && format !== 'int64') narrow.push(path);
      for (const [name, one] of Object.entries(value)) look(one, `${path}/${name}`.replace('/properties/', '/'));
    };
    look(raw, '');
    expect(narrow).toEqual([]);
  });

  test('says where a body is needed, and what a lease looks like', () => {
    const needed = operations
      .filter(({ operation }) => operation.requestBody?.required)
      .map(({ operation }) => operation.operationId);
    expect(needed.sort()).toEqual([
      'ackContents',
      'createWebhook',
      'extendLease',
      'nackContents',
      'redeliverContents',
      'releaseRefusals',
      'seekConsumer',
    ]);
    const ack = document.paths['/consumers/{name}/ack']?.post?.requestBody?.content['application/json']?.schema;
    expect(ack?.properties?.lease?.pattern).toBe('^[A-Za-z0-9_-]+$');
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

  test('speaks of a lease only where there is one', () => {
    for (const { method, url, body } of ROUTES) {
      const members = ((body as Schema | undefined)?.properties ?? {}) as Record<string, { description?: string }>;
      if ('ids' in members && !('lease' in members))
        expect([method, url, members.ids?.description]).toEqual([method, url, expect.not.stringMatching(/lease/)]);
    }
  });

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
});
