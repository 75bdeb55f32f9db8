// The examples of the documentation: the things of its reader, the values of each call, and both as code and in the API document.
import { pathOf } from '../api/openapi.ts';
import type { Route } from '../api/route.ts';
import { consumerToWire, exampleConsumer } from '../api/routes/consumers.ts';
import { contentToWire, refusalToWire } from '../api/wire.ts';
import type { Config } from '../config/config.ts';
import type { Consumers } from '../consumers/consumers.ts';
import type { Lists } from '../reading/lists.ts';
import type { Store } from '../store/open.ts';
import { listRefusals } from '../store/refusals.ts';
import { listWebhooks, type WebhookRow } from '../store/webhooks.ts';
import { webhookClassic } from '../webhooks/webhooks.ts';

// The things of the user who reads, or neutral ones ------------------------------------------------------------------

type Shown = ReturnType<typeof webhookClassic>;

export interface Mine {
  /** Null: the reader has not signed in. */
  readonly userId: number | null;
  /** As samples show them: `1001:TOKEN`. The token is masked. */
  readonly id: string;
  readonly token: string;
  readonly webhooks: readonly Shown[];
  /** The webhook that examples read. Undefined: the user has none that was made here. */
  readonly webhook: Shown | undefined;
  /** The webhook that may be given a new URL or deleted, because it was made from these pages. */
  readonly spare: Shown | undefined;
  /** A webhook for tests: enabled, and nothing is verified. */
  readonly open: Shown | undefined;
  /** The newest content as the API tells it. */
  readonly content: Readonly<Record<string, unknown> & { id: number }> | undefined;
  /** All but the one of the samples. */
  readonly consumers: readonly { readonly name: string }[];
  readonly refusal: Readonly<Record<string, unknown> & { id: number; wh_id: number }> | undefined;
}

/** Samples use a webhook and a consumer of their own: a reader who tries them loses none that is in use. */
const TRY_WEBHOOK = 'Try me';
export const TRY_CONSUMER = 'try-me';
/** Shown instead of a token of any length. */
export const MASK = '********';

const KEY = 'Vt3kZq8LxN2pWc7RmB4yJd9s';
/** Neutral examples. They hold on a service that has just these, so they can be tried like any other. */
export function nobody(publicUrl: string): Mine {
  const webhook = { wh_id: 7, wh_url: `${publicUrl}/in/${KEY}`, wh_name: 'Payments', status: 1 };
  return {
    userId: null,
    id: '1001',
    token: 'TOKEN',
    webhooks: [webhook],
    webhook,
    spare: undefined,
    open: webhook,
    content: {
      id: 27,
      content: '{"id":"evt_1","type":"charge.succeeded"}',
      ip: '3.18.12.63',
      api: 1,
      dt: '2026-11-22 10:00:00',
      wh_id: 7,
      encoding: 'utf-8',
      request: null,
    },
    consumers: [exampleConsumer],
    refusal: undefined,
  };
}

const MOST_SHOWN = 20;
const MOST_CHARACTERS = 1_000;
// Other headers may hold a secret of the sender.
const PLAIN_HEADERS = new Set(['content-type', 'content-length', 'user-agent', 'host']);
// In a sample a URL stands between quotes, and other applications, which may write tblwhid, must not break out of them.
const isPlainUrl = (url: string) => /^https?:\/\/[\w.~:/?#@!&*+,;=%[\]-]+$/.test(url);
const isOpen = ({ settings }: WebhookRow) =>
  settings !== null &&
  settings.enabled !== false &&
  !settings.preset &&
  !settings.verify &&
  !settings.allow_networks &&
  !settings.allow_methods;

/** What reading the things of a user takes of the service. */
export interface MineParts {
  readonly store: Store;
  readonly config: Config;
  readonly lists: Pick<Lists, 'newestFirst'>;
  readonly consumers: Pick<Consumers, 'list'>;
}

// Each has up to 100 KB of settings.
const MOST_READ = 50;

/** The things of a user, read now: a handful of rows, never a whole table. */
export async function mineOf(parts: MineParts, userId: number): Promise<Mine> {
  const { store, config, lists } = parts;
  const [rows, newest, consumers, refused] = await Promise.all([
    listWebhooks(store, userId, { limit: MOST_READ }),
    lists.newestFirst({ userId, whid: 'all', from: 'latest', limit: 1 }),
    store.extended ? parts.consumers.list(userId) : [],
    store.extended ? newestRefusals(store, userId) : [],
  ]);
  const classic = (webhook: WebhookRow) => webhookClassic(webhook, config.publicUrl);
  const shown = (webhook: WebhookRow | undefined) => webhook && classic(webhook);
  const all = rows.filter((row) => isPlainUrl(classic(row).wh_url));
  const ours = all.filter(({ settings }) => settings !== null);
  const made = ours.findLast((row) => classic(row).wh_name === TRY_WEBHOOK);
  const content = newest.contents[0];
  return {
    userId,
    id: String(userId),
    token: MASK,
    webhooks: all.slice(0, MOST_SHOWN).map(classic),
    webhook: shown(ours.find((row) => row.wh_id === content?.wh_id) ?? ours[0]),
    spare: shown(made),
    open: shown((made && isOpen(made) ? made : ours.find(isOpen)) ?? ours[0]),
    content: content && short(contentToWire(content, config)),
    consumers: consumers
      .map(consumerToWire)
      .filter(({ name }) => name !== TRY_CONSUMER)
      .slice(0, MOST_SHOWN),
    refusal: refused.map((row) => short(refusalToWire(row, config)))[0],
  };
}

/** One whose bytes can be fetched and released, if there is one. */
async function newestRefusals(store: Store, userId: number) {
  const newest = { from: Number.MAX_SAFE_INTEGER, limit: 1, desc: true };
  const whole = await listRefusals(store.db, userId, { ...newest, releasable: true });
  return whole.length > 0 ? whole : listRefusals(store.db, userId, newest);
}

/** An example is to be read at a glance. */
function short<
  T extends { readonly content?: string | null; readonly request: { readonly headers: string[][] } | null },
>(one: T): T {
  const { content, request } = one;
  const headers = request?.headers.filter(([name = '']) => PLAIN_HEADERS.has(name.toLowerCase()));
  return {
    ...one,
    ...(content && content.length > MOST_CHARACTERS
      ? { content: `${content.slice(0, MOST_CHARACTERS).toWellFormed()}…` }
      : {}),
    ...(request ? { request: { ...request, headers } } : {}),
  };
}

// The values of each call: in its path, its query and its body -------------------------------------------------------

/** A call that comes first, because the example needs a member of its answer. */
interface Before {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  /** The member of the answer that is taken. */
  readonly take: string;
}
export interface Sample {
  readonly method: string;
  /** With `{name}` for a value that the call before brings. */
  readonly path: string;
  /** Undefined: no body. Members that are a `Taken` come from the call before. */
  readonly body: unknown;
  readonly before: Before | undefined;
  /** What the answer has: nothing, JSON, bytes, or text. */
  readonly comes: 'none' | 'json' | 'bytes' | 'text';
  /** False for the receiver, which is public. */
  readonly signedIn: boolean;
  /** What the document shows as the values of the parameters. */
  readonly params: Readonly<Record<string, unknown>>;
}
/** Stands for the member of the answer before. */
export const TAKEN = Symbol('taken');

interface Values {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly before?: Before;
}

const post = (path: string, body: unknown, take: string): Before => ({ method: 'POST', path, body, take });
const makeWebhook = post('/webhooks', { wh_name: TRY_WEBHOOK }, 'wh_id');
const postContent = post('/whcontent', { content: 'Hello' }, 'id');
const pull = { limit: 1, start: 'earliest' };
const pullFirst = post(`/consumers/${TRY_CONSUMER}/pull`, pull, 'lease');

const trying = { params: { name: TRY_CONSUMER } };
const reading = ({ consumers: [first] }: Mine): Values => ({ params: { name: first?.name ?? TRY_CONSUMER } });
const ofWebhook = ({ webhook }: Mine): Values =>
  webhook ? { params: { wh_id: webhook.wh_id } } : { params: { wh_id: TAKEN }, before: makeWebhook };
/** For calls that end a webhook: only one that was made for trying. */
export const ofSpare = ({ spare }: Mine): Values =>
  spare ? { params: { wh_id: spare.wh_id } } : { params: { wh_id: TAKEN }, before: makeWebhook };
const ofContent = ({ content }: Mine): Values =>
  content ? { params: { id: content.id } } : { params: { id: TAKEN }, before: postContent };
const ofRefusal = ({ refusal }: Mine): Values => ({ params: { id: refusal?.id ?? 1 } });
const whidOf = ({ refusal, webhook }: Mine): number => refusal?.wh_id ?? webhook?.wh_id ?? 7;

const VALUES: Readonly<Record<string, (mine: Mine) => Values>> = {
  'GET /webhooks/:wh_id': ofWebhook,
  'POST /webhooks': () => ({ body: { wh_name: TRY_WEBHOOK } }),
  // The name that it has: a click by chance changes nothing.
  'PATCH /webhooks/:wh_id': (mine) => ({ ...ofWebhook(mine), body: { wh_name: mine.webhook?.wh_name ?? TRY_WEBHOOK } }),
  'DELETE /webhooks/:wh_id': ofSpare,
  'POST /webhooks/:wh_id/rotate': (mine) => ({ ...ofSpare(mine), body: { grace_seconds: 86_400 } }),
  // Only to one that was made for trying: a consumer would get it like any event.
  'POST /webhooks/:wh_id/test': (mine) => ({ ...ofSpare(mine), body: {} }),
  'GET /whcontent': () => ({ query: { id: 0, whid: 'all', limit: 20, wait: 0 } }),
  'POST /whcontent': () => ({ body: { content: 'Hello' } }),
  'GET /whcontent/:id': ofContent,
  // A content that was made for it: a click by chance takes nothing away.
  'DELETE /whcontent/:id': () => ({ params: { id: TAKEN }, before: postContent }),
  'GET /whcontent/:id/raw': ofContent,
  'GET /whcontent/:id/trace': ofContent,
  'PUT /consumers/:name': () => ({ ...trying, body: { start: 'earliest', lease_seconds: 30 } }),
  'GET /consumers/:name': reading,
  'DELETE /consumers/:name': () => trying,
  'POST /consumers/:name/pull': () => ({ ...trying, body: { ...pull, wait: 0 } }),
  'POST /consumers/:name/ack': () => ({ ...trying, before: pullFirst, body: { lease: TAKEN } }),
  'POST /consumers/:name/nack': () => ({
    ...trying,
    before: pullFirst,
    body: { lease: TAKEN, delay_seconds: 5, reason: 'try again' },
  }),
  'POST /consumers/:name/extend': () => ({ ...trying, before: pullFirst, body: { lease: TAKEN, lease_seconds: 60 } }),
  'POST /consumers/:name/seek': () => ({ ...trying, body: { to: 'latest' } }),
  'GET /consumers/:name/dead': reading,
  'POST /consumers/:name/dead/retry': () => ({ ...trying, body: {} }),
  'POST /consumers/:name/redeliver': ({ content }) => ({
    ...trying,
    ...(content ? {} : { before: postContent }),
    body: { ids: [content?.id ?? TAKEN] },
  }),
  'GET /refusals/:id': ofRefusal,
  'GET /refusals/:id/raw': ofRefusal,
  'POST /refusals/:id/release': (mine) => ({ ...ofRefusal(mine), body: {} }),
  'POST /refusals/release': (mine) => ({ body: { whid: whidOf(mine) } }),
};

type Properties = Readonly<Record<string, { readonly examples?: readonly unknown[] }>>;
/** For routes that the operator added: the examples in their schemas. */
function fromSchemas({ params, body }: Route): Values {
  const of = (schema: unknown): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries((schema as { properties?: Properties } | undefined)?.properties ?? {}).flatMap(
        ([name, { examples }]) => (examples?.length ? [[name, examples[0]]] : []),
      ),
    );
  return { params: of(params), ...(body ? { body: of(body) } : {}) };
}

/** The example of a call, with the things of its reader. */
export function sampleOf(route: Route, mine: Mine): Sample {
  const values = VALUES[`${route.method} ${route.url}`]?.(mine) ?? fromSchemas(route);
  const { params = {}, query = {}, body, before } = values;
  const path = route.url.replace(/:(\w+)/g, (_, name: string) =>
    params[name] === TAKEN ? `{${before?.take}}` : encodeURIComponent(String(params[name] ?? 1)),
  );
  const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  const good = Object.entries(route.answers).find(([status]) => status.startsWith('2'))?.[1];
  const type = good?.type === 'application/octet-stream' ? 'bytes' : good?.type ? 'text' : 'none';
  return {
    method: route.method,
    path: search.length > 0 ? `${path}?${search.join('&')}` : path,
    body,
    before,
    comes: good?.schema ? 'json' : type,
    signedIn: route.kind !== 'public',
    params: { ...params, ...query },
  };
}

/** The receiver is no route of the table. Undefined path: the user has no webhook to send to. */
export const receiverSample = (mine: Mine, publicUrl: string): Sample => ({
  method: 'POST',
  path: (mine.open?.wh_url ?? `${publicUrl}/in/KEY`).slice(publicUrl.length),
  body: { hello: 'world' },
  before: undefined,
  comes: 'text',
  signedIn: false,
  params: { key: /\/in\/(\w+)$/.exec(mine.open?.wh_url ?? '')?.[1] ?? 'KEY' },
});

// A call as complete code; only the token has to be filled in --------------------------------------------------------

interface Caller {
  /** The start of every URL. */
  readonly base: string;
  readonly id: string;
  readonly token: string;
}

/** The samples of a call, in the order in which pages show them. */
export const codeSamples = (sample: Sample, caller: Caller) => [
  { lang: 'shell', label: 'curl', source: curl(sample, caller) },
  { lang: 'javascript', label: 'JavaScript', source: javascript(sample, caller) },
  { lang: 'python', label: 'Python (requests)', source: requests(sample, caller) },
  { lang: 'python', label: 'Python (stdlib)', source: urllib(sample, caller) },
];

/** A value as a literal of JavaScript or Python; `taken` is the variable with what the call before brought. */
function literal(value: unknown, taken: string, words: readonly [string, string, string]): string {
  const [yes, no, none] = words;
  const of = (one: unknown): string => {
    if (one === TAKEN) return taken;
    if (one === null) return none;
    if (typeof one === 'boolean') return one ? yes : no;
    if (typeof one === 'number') return String(one);
    if (typeof one === 'string') return quoted(one);
    if (Array.isArray(one)) return `[${one.map(of).join(', ')}]`;
    const members = Object.entries(one as object).map(
      ([name, member]) => `${words === PY ? quoted(name) : name}: ${of(member)}`,
    );
    return members.length > 0 ? `{ ${members.join(', ')} }` : '{}';
  };
  const text = of(value);
  return words === PY ? text.replace(/\{ /g, '{').replace(/ \}/g, '}') : text;
}
const JS = ['true', 'false', 'null'] as const;
const PY = ['True', 'False', 'None'] as const;
/** In single quotes, for JavaScript and Python alike. */
const quoted = (text: string): string =>
  `'${JSON.stringify(text)
    .slice(1, -1)
    .replace(/\\"/g, '"')
    .replace(/'/g, "\\'")
    .replace(/\u2028|\u2029/g, ' ')}'`;
const shellQuoted = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

function curl({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const auth = `-u ${shellQuoted(`${id}:${token}`)}`;
  // In double quotes where the shell has to put a variable in.
  const url = (to: string) =>
    to.includes('{') ? `"${base}${to.replace(/\{(\w+)\}/g, '$$$1')}"` : shellQuoted(base + to);
  const data = (one: unknown, taken = '') => {
    const json = JSON.stringify(one, (_, value) => (value === TAKEN ? '\0' : value));
    return `-d ${shellQuoted(json).replace('"\\u0000"', `${taken === 'lease' ? '"' : ''}'"$${taken}"'${taken === 'lease' ? '"' : ''}`)}`;
  };
  const verb = method === 'GET' || (method === 'POST' && body !== undefined) ? '' : `-X ${method} `;
  const first = before
    ? `${before.take}=$(curl -s ${url(before.path)} ${auth} ${data(before.body)} | ${member(before.take)})\n`
    : '';
  const parts = [
    `curl ${verb}${url(path)}`,
    ...(signedIn ? [auth] : []),
    ...(body === undefined ? [] : [`-H 'Content-Type: application/json'`, data(body, before?.take)]),
    ...(comes === 'bytes' ? ['-o received.bin'] : []),
  ];
  return first + parts.join(' \\\n  ');
}
/** Takes one member out of an answer, without a program that may not be there. */
const member = (name: string): string =>
  name === 'lease' ? `sed -n 's/^{"lease":"\\([^"]*\\)".*/\\1/p'` : `sed -n 's/.*"${name}":\\([0-9]*\\).*/\\1/p'`;

function javascript({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = (to: string) => (to.includes('{') ? `\`${base}${to.replace(/\{/g, '${')}\`` : quoted(base + to));
  const json = (one: unknown) => `JSON.stringify(${literal(one, before?.take ?? '', JS)})`;
  const options = [
    ...(method === 'GET' ? [] : [`method: '${method}'`]),
    ...(signedIn ? ['headers'] : []),
    ...(body === undefined ? [] : [`body: ${json(body)}`]),
  ];
  const show = {
    json: ', await answer.json()',
    text: ', await answer.text()',
    bytes: ', await answer.arrayBuffer()',
    none: '',
  };
  return [
    ...(signedIn ? [`const headers = { Authorization: \`Basic \${btoa(${quoted(`${id}:${token}`)})}\` };`] : []),
    ...(before
      ? [
          `const before = await fetch(${url(before.path)}, {\n  method: 'POST',\n  headers,\n  body: ${json(before.body)},\n});`,
          `const { ${before.take} } = await before.json();`,
        ]
      : []),
    `const answer = await fetch(${url(path)}${options.length > 0 ? `, {\n  ${options.join(',\n  ')},\n}` : ''});`,
    `console.log(answer.status${show[comes]});`,
  ].join('\n');
}

const pythonUrl = (base: string) => (to: string) => `${to.includes('{') ? 'f' : ''}${quoted(base + to)}`;

function requests({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = pythonUrl(base);
  const auth = signedIn ? [`auth=(${quoted(id)}, ${quoted(token)})`] : [];
  const call = (verb: string, to: string, one: unknown) => {
    const parts = [url(to), ...(one === undefined ? [] : [`json=${literal(one, before?.take ?? '', PY)}`]), ...auth];
    return `requests.${verb.toLowerCase()}(\n    ${parts.join(',\n    ')},\n)`;
  };
  const show = { json: ', answer.json()', text: ', answer.text', bytes: ', answer.content', none: '' };
  return [
    'import requests\n',
    ...(before ? [`${before.take} = ${call('POST', before.path, before.body)}.json()['${before.take}']`] : []),
    `answer = ${call(method, path, body)}`,
    `print(answer.status_code${show[comes]})`,
  ].join('\n');
}

function urllib({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = pythonUrl(base);
  const json = body !== undefined || before !== undefined || comes === 'json';
  const call = (verb: string, to: string, one: unknown) => {
    const plain = verb === (one === undefined ? 'GET' : 'POST');
    const parts = [
      url(to),
      ...(one === undefined ? [] : [`data=json.dumps(${literal(one, before?.take ?? '', PY)}).encode()`]),
      ...(signedIn ? ['headers=headers'] : []),
      ...(plain ? [] : [`method='${verb}'`]),
    ];
    return `urllib.request.Request(\n    ${parts.join(',\n    ')},\n)`;
  };
  const show = { json: ', json.load(answer)', text: ', answer.read()', bytes: ', answer.read()', none: '' };
  return [
    `import ${[...(signedIn ? ['base64'] : []), ...(json ? ['json'] : []), 'urllib.request'].join(', ')}\n`,
    ...(signedIn
      ? [
          `basic = base64.b64encode(${quoted(`${id}:${token}`)}.encode()).decode()`,
          `headers = {'Authorization': 'Basic ' + basic}`,
        ]
      : []),
    ...(before
      ? [
          `before = ${call('POST', before.path, before.body)}`,
          `with urllib.request.urlopen(before) as answer:\n    ${before.take} = json.load(answer)['${before.take}']`,
        ]
      : []),
    `request = ${call(method, path, body)}`,
    `with urllib.request.urlopen(request) as answer:\n    print(answer.status${show[comes]})`,
  ].join('\n');
}

// The API document with these examples -------------------------------------------------------------------------------

interface Media {
  example?: unknown;
  schema?: { readonly properties?: Readonly<Record<string, unknown>>; examples?: unknown };
}
interface Operation {
  parameters?: {
    name: string;
    in: string;
    example?: unknown;
    examples?: unknown;
    schema?: { examples?: unknown; enum?: unknown[] };
  }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
  'x-codeSamples'?: unknown;
}
export interface Document {
  info: { description?: string };
  paths: Record<string, Record<string, Operation>>;
}

/** A copy of the document with examples that work for its reader. */
export function personalised(document: Document, routes: readonly Route[], mine: Mine, base: string): Document {
  const copy = structuredClone(document);
  const caller = { base, id: mine.id, token: mine.token };
  const fill = (path: string, method: string, sample: Sample) => {
    const operation = copy.paths[path]?.[method.toLowerCase()];
    if (!operation) return;
    operation['x-codeSamples'] = codeSamples(sample, caller);
    for (const parameter of operation.parameters ?? []) {
      const value = sample.params[parameter.name];
      const [first] = parameter.schema?.enum ?? [];
      // Scalar would send the first word of each enum, and narrow a list by a filter that the reader did not choose.
      if (value === undefined && first !== undefined)
        parameter.examples = { unused: { value: first, 'x-disabled': true } };
      if (value === undefined && parameter.in !== 'path') continue;
      delete parameter.schema?.examples;
      // No example for a thing that has to be made first: a click must not end a webhook of the reader's.
      if (value === TAKEN) {
        delete parameter.example;
        if (mine.webhook && mine.userId === null) parameter.example = mine.webhook.wh_id;
      } else if (value !== undefined) parameter.example = value;
    }
    const media = operation.requestBody?.content['application/json'];
    if (media && sample.body !== undefined) media.example = forDocument(sample.body, mine);
    for (const [status, answer] of Object.entries(operation.responses)) {
      const given = answer.content?.['application/json'];
      const own = status === '200' && mine.userId !== null ? ANSWERS[`${method} ${path}`]?.(mine) : undefined;
      if (given && own !== undefined) given.example = own;
    }
  };
  for (const route of routes) fill(pathOf(route.url), route.method, sampleOf(route, mine));
  fill('/in/{key}', 'POST', receiverSample(mine, base));
  return copy;
}

const LEASE = 'AQGS5f2Yv6kBARs2AQI';
/** The body with an example of what the call before would bring. */
function forDocument(body: unknown, mine: Mine): unknown {
  const text = JSON.stringify(body, (name, value) =>
    value === TAKEN ? (name === 'lease' ? LEASE : (mine.content?.id ?? 27)) : value,
  );
  return JSON.parse(text);
}

/** The answer that the user would get now, where it is known. */
const ANSWERS: Readonly<Record<string, (mine: Mine) => unknown>> = {
  'GET /': ({ userId }) => ({ username: String(userId) }),
  'GET /webhooks': ({ webhooks }) => ({ webhooks }),
  'GET /whcontent': ({ content }) => ({ whcontent: content ? [content] : [], next_id: (content?.id ?? 0) + 1 }),
  'GET /whcontent/{id}': ({ content }) => content,
  'GET /consumers': ({ consumers }) => ({ consumers }),
  'GET /consumers/{name}': ({ consumers }) => consumers[0],
  'GET /refusals': ({ refusal }) => refusal && { refusals: [refusal], next_id: refusal.id + 1 },
  'GET /refusals/{id}': ({ refusal }) => refusal,
};
