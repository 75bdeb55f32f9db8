// The values in the examples of each call: what stands in its path, its query and its body.
import { type Mine, TRY_CONSUMER, TRY_WEBHOOK } from './docsmine.ts';
import type { Route } from './route.ts';

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
  /** With `{name}` where something stands that a call before brings. */
  readonly path: string;
  /** Undefined: no body. Members that are a `Taken` come from the call before. */
  readonly body: unknown;
  readonly before: Before | undefined;
  /** What comes: nothing, JSON, bytes, or text. */
  readonly comes: 'none' | 'json' | 'bytes' | 'text';
  /** False for the receiver, which everybody may call. */
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
/** For calls that end what they are called with: only what was made for it. */
export const ofSpare = ({ spare }: Mine): Values =>
  spare ? { params: { wh_id: spare.wh_id } } : { params: { wh_id: TAKEN }, before: makeWebhook };
const ofContent = ({ content }: Mine): Values =>
  content ? { params: { id: content.id } } : { params: { id: TAKEN }, before: postContent };
const ofRefusal = ({ refusal }: Mine): Values => ({ params: { id: refusal?.id ?? 1 } });
const whidOf = ({ refusal, webhook }: Mine): number => refusal?.wh_id ?? webhook?.wh_id ?? 7;

const VALUES: Readonly<Record<string, (mine: Mine) => Values>> = {
  'GET /webhooks/:wh_id': ofWebhook,
  'POST /webhooks': () => ({ body: { wh_name: TRY_WEBHOOK } }),
  // Its own name: tried by chance, it changes nothing.
  'PATCH /webhooks/:wh_id': (mine) => ({ ...ofWebhook(mine), body: { wh_name: mine.webhook?.wh_name ?? TRY_WEBHOOK } }),
  'DELETE /webhooks/:wh_id': ofSpare,
  'POST /webhooks/:wh_id/rotate': (mine) => ({ ...ofSpare(mine), body: { grace_seconds: 86_400 } }),
  'GET /whcontent': () => ({ query: { id: 0, whid: 'all', limit: 20, wait: 0 } }),
  'POST /whcontent': () => ({ body: { content: 'Hello' } }),
  'GET /whcontent/:id': ofContent,
  // For what was made for it: tried by chance, it takes nothing away.
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
/** For routes that others add: what their schemas give as examples. */
function fromSchemas({ params, body }: Route): Values {
  const of = (schema: unknown): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries((schema as { properties?: Properties } | undefined)?.properties ?? {}).flatMap(
        ([name, { examples }]) => (examples?.length ? [[name, examples[0]]] : []),
      ),
    );
  return { params: of(params), ...(body ? { body: of(body) } : {}) };
}

/** The example of a call, with the things of whoever reads it. */
export function sampleOf(route: Route, mine: Mine): Sample {
  const {
    params = {},
    query = {},
    body,
    before,
  } = (VALUES[`${route.method} ${route.url}`] ?? (() => fromSchemas(route)))(mine);
  const path = route.url.replace(/:(\w+)/g, (_, name: string) =>
    params[name] === TAKEN ? `{${before?.take}}` : encodeURIComponent(String(params[name] ?? 1)),
  );
  const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  const good = Object.entries(route.answers).find(([status]) => status.startsWith('2'))?.[1];
  const comes = good?.schema
    ? 'json'
    : good?.type === 'application/octet-stream'
      ? 'bytes'
      : good?.type
        ? 'text'
        : 'none';
  return {
    method: route.method,
    path: search.length > 0 ? `${path}?${search.join('&')}` : path,
    body,
    before,
    comes,
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
