// Writes src/client/api.ts: the types of every call, from the API document. `-- --check` only tells whether it is fresh.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../src/config.ts';
import { buildApp } from '../src/http/app.ts';
import { createContext } from '../src/http/create.ts';
import * as schema from '../src/schema.ts';
import * as consumers from '../src/schemaconsumers.ts';
import * as verify from '../src/schemaverify.ts';
import * as webhooks from '../src/schemawebhooks.ts';
import { openStore } from '../src/store/index.ts';

const FILE = new URL('../src/client/api.ts', import.meta.url);
const HEAD = `// The types of every call of the API, made from its document. Not to be edited: npm run client-types.
/* biome-ignore-all format: made by a program */
`;

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}
interface Operation {
  readonly parameters?: readonly {
    in: string;
    name: string;
    required?: boolean;
    schema: Schema;
    description?: string;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };

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

const comment = (text: string | undefined, pad: string) =>
  text ? `${pad}/** ${text.replaceAll('*/', '* /')} */\n` : '';

/** A JSON schema as TypeScript. `top`: do not answer with its own name. */
function typeOf(one: Schema, pad = '', top = false): string {
  const name = top ? undefined : names.get(plain(one));
  if (name) return name;
  if (one.const !== undefined) return JSON.stringify(one.const);
  if (one.enum) return one.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (one.anyOf) return one.anyOf.map((each) => typeOf(each, pad)).join(' | ');
  if (Array.isArray(one.type)) return one.type.map((type) => typeOf({ ...one, type } as Schema, pad)).join(' | ');
  if (one.type === 'array') return `readonly (${typeOf(one.items ?? {}, pad)})[]`;
  if (one.type === 'integer' || one.type === 'number') return 'number';
  if (one.type === 'string' || one.type === 'boolean' || one.type === 'null') return one.type;
  if (!one.properties) return 'unknown';
  const inner = `${pad}  `;
  const members = Object.entries(one.properties).map(([key, value]) => {
    const optional = one.required?.includes(key) ? '' : '?';
    return `${comment(value.description, inner)}${inner}readonly ${/^\w+$/.test(key) ? key : `'${key}'`}${optional}: ${typeOf(value, inner)}${optional && ' | undefined'};\n`;
  });
  return `{\n${members.join('')}${pad}}`;
}

/** The API document of a service without any user. */
async function apiDocument(): Promise<Document> {
  const folder = mkdtempSync(join(tmpdir(), 'restante-types-'));
  const config = readConfig({ DATABASE_URL: `sqlite:${folder}/types.db` });
  const store = await openStore(config.databaseUrl);
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const app = await buildApp(await createContext({ store, config, log, memory: process }));
  await app.fastify.ready();
  const answer = await app.fastify.inject('/openapi.json');
  await app.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
  return answer.json() as Document;
}

function operationOf(path: string, method: string, { parameters = [], requestBody, responses }: Operation): string {
  const query = parameters.filter((one) => one.in === 'query');
  const object = (list: typeof query): Schema => ({
    type: 'object',
    properties: Object.fromEntries(
      list.map((one) => [one.name, { ...one.schema, ...(one.description ? { description: one.description } : {}) }]),
    ),
    required: list.filter((one) => one.required).map((one) => one.name),
  });
  const body = requestBody?.content['application/json']?.schema;
  const [, answer] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const json = answer?.content?.['application/json']?.schema;
  const bytes = answer?.content && !json;
  return `  '${method.toUpperCase()} ${path}': {
    query: ${query.length > 0 ? typeOf(object(query), '    ', true) : 'undefined'};
    body: ${body ? typeOf(body, '    ') : requestBody ? 'bytes' : 'undefined'};
    answer: ${json ? typeOf(json, '    ') : bytes ? 'bytes' : 'undefined'};
  };
`;
}

/** The text that src/client/api.ts must have. */
export async function clientTypes(): Promise<string> {
  const { paths } = await apiDocument();
  const operations = Object.entries(paths)
    .filter(([path]) => !path.startsWith('/in/'))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => operationOf(path, method, one)));
  const shapes = Object.entries(NAMED).map(
    ([name, one]) => `export interface ${name} ${typeOf(JSON.parse(plain(one)), '', true)}\n`,
  );
  return `${HEAD}
${shapes.join('\n')}
type bytes = Uint8Array;

/** By method and path: what a call takes and what it answers. */
export interface Operations {
${operations.join('')}}
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await clientTypes();
  if (!process.argv.includes('--check')) writeFileSync(FILE, text);
  else if (readFileSync(FILE, 'utf8') !== text) {
    console.error('src/client/api.ts is not what the API document says: npm run client-types');
    process.exitCode = 1;
  }
}
