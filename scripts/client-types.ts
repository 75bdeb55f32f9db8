// Writes src/client/api.ts: the types of every call, from the API document. `-- --check` only tells whether it is fresh.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import openapiTS, { astToString, type OpenAPI3, type OpenAPITSOptions } from 'openapi-typescript';
import ts from 'typescript';
import { readConfig } from '../src/config/config.ts';
import * as consumers from '../src/schema/consumers.ts';
import * as schema from '../src/schema/contents.ts';
import * as verify from '../src/schema/webhooks.ts';
import * as webhooks from '../src/schema/webhooks.ts';
import { createService } from '../src/service.ts';
import { openStore } from '../src/store/open.ts';

const FILE = new URL('../src/client/api.ts', import.meta.url);
const HEAD = `// The types of every call of the API, made from its document. Not to be edited: npm run client-types.
/* biome-ignore-all format: made by a program */
`;

interface Operation {
  readonly responses: Readonly<Record<string, object>>;
}

const OPTIONS: OpenAPITSOptions = {
  immutable: true,
  // What has a default may be left out.
  defaultNonNullable: false,
  rootTypes: true,
  rootTypesNoSchemaPrefix: true,
  // Undefined is as good as left out, also where `exactOptionalPropertyTypes` is on.
  transformProperty({ modifiers, name, questionToken, type }) {
    if (!questionToken || !type) return undefined;
    const nothing = ts.factory.createKeywordTypeNode(ts.SyntaxKind.UndefinedKeyword);
    const either = ts.factory.createUnionTypeNode([type, nothing]);
    return ts.factory.createPropertySignature(modifiers, name, questionToken, either);
  },
};

// Shapes that people speak of by name; wherever one stands in the document its name stands in the types.
const NAMED: Readonly<Record<string, object>> = {
  Content: schema.Content,
  ContentPage: schema.ContentPage,
  Refusal: schema.Refusal,
  ReleaseResult: schema.ReleaseResult,
  Webhook: webhooks.WebhookDetail,
  Settings: webhooks.SettingsInput,
  Verify: verify.VerifyInput,
  Dedupe: verify.DedupeInput,
  Consumer: consumers.Consumer,
  Trace: consumers.Trace,
};
const plain = (value: object): string => JSON.stringify(value);
const names = new Map(Object.entries(NAMED).map(([name, value]) => [plain(value), name]));

/** The same without examples, and with a reference wherever a named shape stands. */
function referring(value: unknown, top = false): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const name = top ? undefined : names.get(plain(value));
  if (name) return { $ref: `#/components/schemas/${name}` };
  if (Array.isArray(value)) return value.map((each) => referring(each));
  const kept = Object.entries(value).filter(([key]) => key !== 'example' && key !== 'examples');
  return Object.fromEntries(kept.map(([key, each]) => [key, referring(each)]));
}

const isNamed = (node: ts.Node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
const mapValues = <T, R>(object: Readonly<Record<string, T>>, map: (value: T, key: string) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));

/** The API document of a service without any user. */
async function apiDocument(): Promise<{
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'restante-types-'));
  const config = readConfig({ DATABASE_URL: `sqlite:${folder}/types.db` });
  const store = await openStore(config.databaseUrl);
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const app = await createService({ store, config, log, memory: process });
  await app.fastify.ready();
  const answer = await app.fastify.inject('/openapi.json');
  await app.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
  return answer.json();
}

/** An operation named by its method and path, of whose answers only those of success differ in shape. */
function named(path: string, method: string, { responses, ...operation }: Operation): object {
  const good = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  return { ...operation, operationId: `${method.toUpperCase()} ${path}`, responses: Object.fromEntries(good) };
}

/** The text that src/client/api.ts must have. */
export async function clientTypes(): Promise<string> {
  const { paths, ...document } = await apiDocument();
  const calls = Object.entries(paths)
    .filter(([path]) => !path.startsWith('/in/'))
    .map(([path, methods]) => [path, mapValues(methods, (one, method) => named(path, method, one))]);
  const components = { schemas: mapValues(NAMED, (one) => referring(JSON.parse(plain(one)), true)) };
  const whole = { ...document, paths: referring(Object.fromEntries(calls)), components };
  const nodes = await openapiTS(whole as OpenAPI3, OPTIONS);
  const unused = ['paths', 'webhooks', '$defs'];
  const kept = nodes.filter((node) => !(isNamed(node) && unused.includes(node.name.text)));
  return `${HEAD}\n${astToString(kept).replaceAll('@description ', '')}`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await clientTypes();
  if (!process.argv.includes('--check')) writeFileSync(FILE, text);
  else if (readFileSync(FILE, 'utf8') !== text) {
    console.error('src/client/api.ts is not what the API document says: npm run client-types');
    process.exitCode = 1;
  }
}
