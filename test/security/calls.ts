// Calls of the API made from its own document: valid, nearly valid and hostile ones, as bytes on the wire.
import * as fc from 'fast-check';
import { requestOf } from '../support/raw.ts';

export interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly examples?: readonly unknown[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}
type Media = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>;
interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: 'query' | 'path';
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Media };
  readonly responses: Readonly<Record<string, { readonly content?: Media }>>;
}
export interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
/** One call of the document. */
export interface Target {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

/** The same with what stands behind its references in their places. */
export function resolved(document: object): Document {
  const read = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(read);
    const { $ref } = value as { $ref?: string };
    if ($ref === undefined) return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, read(one)]));
    const steps = $ref.split('/').slice(1);
    return read(steps.reduce((at: unknown, name) => (at as Record<string, unknown>)[name], document));
  };
  return read(document) as Document;
}

export const readDocument = async (url: string): Promise<Document> =>
  resolved((await (await fetch(`${url}/openapi.json`)).json()) as object);

export const targetsOf = ({ paths }: Document): Target[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

export const bodySchemaOf = ({ operation }: Target): Schema | undefined =>
  operation.requestBody?.content['application/json']?.schema;

export const WORDS = [
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
  'constructor',
  'latest',
  'all',
  "' OR 1=1 -- ",
  '\0',
  '\ufeff💥',
  '../../..',
  '9'.repeat(30),
  'x'.repeat(300),
  '10.0.0.0/8',
  '::/0',
] as const;
/** Each is a date-time to one program and none to another. */
const TIMES = [
  '2026-01-01T00:00:00Z',
  '2020-12-31T23:59:60Z',
  '2026-01-01T00:00:00+00',
  '2026-01-01 00:00:00z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999999999Z',
  '2026-02-30T00:00:00Z',
  '1970-01-01T00:00:00+23:59',
];
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown[]>(...WORDS, null, true, -1, 0.5, 1e308, [], {}, [[]]),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Values that a schema allows, with now and then one that it does not. */
function valuesOf(schema: Schema, called = ''): fc.Arbitrary<unknown> {
  // A call that waits would wait.
  if (called === 'wait') return fc.constantFrom(0, -1, 'x', '', [0], '1.5');
  const { anyOf, examples = [], enum: some } = schema;
  const kinds = anyOf
    ? anyOf.map((one) => valuesOf(one, called))
    : [schema.type ?? 'any'].flat().map((type): fc.Arbitrary<unknown> => {
        if (some) return fc.constantFrom(...some);
        if (schema.const !== undefined) return fc.constant(schema.const);
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
        if (schema.format === 'date-time') return fc.constantFrom(...TIMES);
        if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern));
        const { minLength = 0, maxLength = 40 } = schema;
        const any = fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 40) });
        return fc.oneof(any, fc.constantFrom('10.0.0.0/8', '2001:db8::/32', '127.0.0.1'));
      });
  const given = examples.length > 0 ? [fc.constantFrom(...examples)] : [];
  return fc.oneof({ weight: 39, arbitrary: fc.oneof(...kinds, ...given) }, { weight: 1, arbitrary: hostile });
}

export interface Call {
  readonly inPath: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly stray: readonly [string, unknown] | null;
  /** Bytes as they are; anything else as JSON. */
  readonly body: unknown;
  readonly headers: readonly string[];
  /** Even: ids, names and leases that earlier answers told are put in. */
  readonly live: number;
}

const token = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
// Without `text/event-stream`, which would not end, and without those that say where a request ends.
const known = fc.constantFrom(
  ...['accept', 'accept-encoding', 'origin', 'range', 'if-none-match', 'cookie', 'x-forwarded-for', 'x-forwarded-host'],
  ...['content-encoding', 'forwarded', 'last-event-id', 'referer', 'te', 'user-agent', 'x-http-method-override'],
);
const value = fc
  .uint8Array({ maxLength: 30 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte < 32 || byte === 127 ? 9 : byte))).toString('latin1'));
const header = fc.oneof(
  fc.tuple(fc.oneof(token, known), value).map(([name, text]) => `${name}: ${text}`),
  fc.constantFrom('content-type: text/plain', 'content-type: weird/;;;', 'content-type:', 'sec-fetch-site: cross-site'),
  fc.constantFrom('accept: text/html', 'content-encoding: gzip', 'x-http-method-override: DELETE', 'accept: */*;q=x'),
);
const texts = ['', '{', 'null', '[]', '"x"', '{"__proto__":1}', '{"a":1e999}', '\ufeff{}', '\0', 'x'.repeat(100_001)];

export function callsOf(target: Target): fc.Arbitrary<Call> {
  const { parameters = [] } = target.operation;
  const given = (place: string) =>
    fc.record(
      Object.fromEntries(
        parameters.filter((one) => one.in === place).map(({ name, schema }) => [name, valuesOf(schema, name)]),
      ),
      place === 'path' ? {} : { requiredKeys: [] },
    );
  const odd = fc.oneof(
    fc.constantFrom(...texts).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  );
  const json = valuesOf(bodySchemaOf(target) ?? {});
  const body = target.operation.requestBody
    ? fc.oneof({ weight: 6, arbitrary: json }, { weight: 1, arbitrary: odd })
    : fc.oneof({ weight: 9, arbitrary: fc.constant(Buffer.alloc(0)) }, { weight: 1, arbitrary: odd });
  const pair = fc.tuple(fc.constantFrom(...WORDS), hostile);
  return fc.record({
    inPath: given('path') as fc.Arbitrary<Record<string, unknown>>,
    query: given('query') as fc.Arbitrary<Record<string, unknown>>,
    stray: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: pair }),
    body,
    headers: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(header, { maxLength: 4 }) },
    ),
    live: fc.nat(999),
  });
}

const plain = (one: unknown) => (typeof one === 'string' ? one : (JSON.stringify(one) ?? '')).toWellFormed();
const encode = (one: unknown) => encodeURIComponent(plain(one));

/** The bytes of a call. `live`: what answers told so far, by its name. */
export function bytesOf({ path, method }: Target, call: Call, auth: string, live: Live = {}): Buffer {
  const pick = <T>(told: readonly T[] = []) => (call.live % 2 === 0 ? told[call.live % (told.length || 1)] : undefined);
  const { body: given } = call;
  const leased = isRecord(given) && 'lease' in given ? pick(live.leased as [string, string][]) : undefined;
  const picked = (name: string, otherwise: unknown) =>
    (name === 'name' && leased?.[0]) || (pick(live[name]) ?? otherwise);
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encode(picked(name, call.inPath[name])) || '%20');
  const pairs = [...Object.entries(call.query), ...(call.stray ? [call.stray] : [])].map(
    ([name, one]) => `${encode(name)}=${encode(one)}`,
  );
  const id = pick(live.id);
  const text =
    isRecord(given) && call.live % 2 === 0
      ? { ...given, ...(leased ? { lease: leased[1] } : {}), ...('ids' in given && id ? { ids: [id] } : {}) }
      : given;
  const body = Buffer.isBuffer(given) ? given : Buffer.from(JSON.stringify(text) ?? '');
  const lines = [...(auth === '' ? [] : [`Authorization: ${auth}`]), ...call.headers];
  return requestOf(method, pairs.length > 0 ? `${filled}?${pairs.join('&')}` : filled, lines, body);
}

const isRecord = (one: unknown): one is object => typeof one === 'object' && one !== null && !Buffer.isBuffer(one);

export type Live = Record<string, unknown[]>;
/** Notes the ids, names and leases in an answer, the last few of each. `asked`: the request line's target. */
export function learn(live: Live, told: unknown, asked = ''): void {
  if (typeof told !== 'object' || told === null) return;
  const [, name = ''] = /^\/consumers\/([^/]+)\/pull/.exec(asked) ?? [];
  if (name && 'lease' in told && told.lease) noteIn(live, 'leased', [decodeURIComponent(name), told.lease]);
  for (const [name, one] of Object.entries(told)) {
    if (name === 'wh_url') noteIn(live, 'key', String(one).replace(/^.*\/in\//, ''));
    if (['id', 'wh_id', 'name'].includes(name) && one) noteIn(live, name, one);
    else if (Array.isArray(one)) for (const each of one.slice(0, 5)) learn(live, each);
  }
}
function noteIn(live: Live, name: string, one: unknown) {
  live[name] ??= [];
  const list = live[name];
  list.push(one);
  if (list.length > 12) list.shift();
}
