// The SDK, `restante/client`: every call of the API as a method, contents as an async iterable. No dependency, any fetch.
import { type Consume, type ConsumeOptions, createConsume } from './consume.ts';
import { type Content, toContent } from './content.ts';
import type { Answer, Body, Query } from './operations.ts';
import { type StreamOptions, streamContents } from './stream.ts';
import { type CallOptions, createTransport, type Options, RestanteError } from './transport.ts';

export type { Consumer, Refusal, Settings, Trace, Webhook } from './api.ts';
export type { Consume, ConsumeOptions, Delivery } from './consume.ts';
export type { Content } from './content.ts';
export type { StreamOptions } from './stream.ts';
export type { CallOptions, Options } from './transport.ts';
export { RestanteError } from './transport.ts';

type Many = { readonly [Name in 'id' | 'whid']?: number | string | undefined };
/** Ids as numbers too: a query is text on the wire. */
type ListQuery = Omit<Query<'GET /whcontent'>, 'id' | 'whid'> & Many;

export type Api = ReturnType<typeof createApi>;
// What the classic call says when there is no such content: its text is older than this service, and names a webhook.
const CLASSIC_MISSING = 'The webhook id does not exist for such user';
const toldClearly = (id: number) => (error: unknown) => {
  if (!(error instanceof RestanteError) || error.problem.detail !== CLASSIC_MISSING) throw error;
  const detail = `You have no content ${id}: it was deleted or pruned, or never existed. contents.list({ whid: 'all' }) has those you have.`;
  throw new RestanteError(error.status, { ...error.problem, detail });
};

export type Client = ReturnType<typeof createClient>;

/** Every call of the API, for one user. Nothing is sent before a method is called. */
export function createApi(options: Options) {
  const transport = createTransport(options);
  const { call } = transport;

  const webhooks = {
    list: (more?: CallOptions) => call('GET /webhooks', more),
    get: (wh_id: number, more?: CallOptions) => call('GET /webhooks/{wh_id}', { path: { wh_id }, ...more }),
    create: (body: Body<'POST /webhooks'>, more?: CallOptions) => call('POST /webhooks', { body, ...more }),
    /** A member replaces, null goes back to the default, what is left out stays. */
    update: (wh_id: number, body: Body<'PATCH /webhooks/{wh_id}'>, more?: CallOptions) =>
      call('PATCH /webhooks/{wh_id}', { path: { wh_id }, body, ...more }),
    /** Gives it a new URL; the old one goes on for `grace_seconds`. */
    rotate: (wh_id: number, body: Body<'POST /webhooks/{wh_id}/rotate'> = {}, more?: CallOptions) =>
      call('POST /webhooks/{wh_id}/rotate', { path: { wh_id }, body, ...more }),
    /** Receives a sample of what its provider sends, signed with the stored secret. */
    test: (wh_id: number, body: Body<'POST /webhooks/{wh_id}/test'> = {}, more?: CallOptions) =>
      call('POST /webhooks/{wh_id}/test', { path: { wh_id }, body, ...more }),
    delete: (wh_id: number, more?: CallOptions) => call('DELETE /webhooks/{wh_id}', { path: { wh_id }, ...more }),
  };

  const contents = {
    async list(query: ListQuery = {}, more?: CallOptions) {
      const asText = query as Query<'GET /whcontent'>;
      const page = await call('GET /whcontent', { query: asText, waitMs: (query.wait ?? 0) * 1000, ...more });
      return { ...page, whcontent: page.whcontent.map(toContent) };
    },
    get: async (id: number, more?: CallOptions): Promise<Content> =>
      toContent(await call('GET /whcontent/{id}', { path: { id }, ...more }).catch(toldClearly(id))),
    /** The exact bytes. */
    raw: (id: number, more?: CallOptions) => call('GET /whcontent/{id}/raw', { path: { id }, ...more }),
    /** Stores own content, byte for byte. */
    post: async (body: Uint8Array | string, more?: CallOptions) => {
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
      const answer = await transport.open('POST', '/whcontent', { body: bytes, ...more });
      return (await answer.json()) as Answer<'POST /whcontent'>;
    },
    trace: (id: number, more?: CallOptions) => call('GET /whcontent/{id}/trace', { path: { id }, ...more }),
    /** For good: no list and no consumer has it any more. */
    delete: (id: number, more?: CallOptions) => call('DELETE /whcontent/{id}', { path: { id }, ...more }),
    /** Everything from an id on that passes the filters, then live what comes; reconnects by itself. */
    stream: (query: StreamOptions = {}) => streamContents(transport, query),
  };

  const refusals = {
    list: (query: Query<'GET /refusals'> = {}, more?: CallOptions) => call('GET /refusals', { query, ...more }),
    get: (id: number, more?: CallOptions) => call('GET /refusals/{id}', { path: { id }, ...more }),
    raw: (id: number, more?: CallOptions) => call('GET /refusals/{id}/raw', { path: { id }, ...more }),
    /** Judges it again after a fix; `force` takes it unverified. */
    release: (id: number, body: Body<'POST /refusals/{id}/release'> = {}, more?: CallOptions) =>
      call('POST /refusals/{id}/release', { path: { id }, body, ...more }),
    releaseMany: (body: Body<'POST /refusals/release'>, more?: CallOptions) =>
      call('POST /refusals/release', { body, ...more }),
  };

  /** One named reading position. */
  const consumer = (name: string) => {
    const path = { name };
    return {
      get: (more?: CallOptions) => call('GET /consumers/{name}', { path, ...more }),
      /** Makes it, or changes its settings. */
      put: (body: Body<'PUT /consumers/{name}'> = {}, more?: CallOptions) =>
        call('PUT /consumers/{name}', { path, body, ...more }),
      delete: (more?: CallOptions) => call('DELETE /consumers/{name}', { path, ...more }),
      async pull(body: Body<'POST /consumers/{name}/pull'> = {}, more?: CallOptions) {
        const pulled = await call('POST /consumers/{name}/pull', {
          path,
          body,
          waitMs: (body.wait ?? 0) * 1000,
          ...more,
        });
        return { ...pulled, items: pulled.items.map(toContent) };
      },
      ack: (body: Body<'POST /consumers/{name}/ack'>, more?: CallOptions) =>
        call('POST /consumers/{name}/ack', { path, body, ...more }),
      nack: (body: Body<'POST /consumers/{name}/nack'>, more?: CallOptions) =>
        call('POST /consumers/{name}/nack', { path, body, ...more }),
      extend: (body: Body<'POST /consumers/{name}/extend'>, more?: CallOptions) =>
        call('POST /consumers/{name}/extend', { path, body, ...more }),
      /** Moves it: `{id}`, `{time}`, or `{to: 'earliest' | 'latest'}`. */
      seek: (body: Exclude<Body<'POST /consumers/{name}/seek'>, string>, more?: CallOptions) =>
        call('POST /consumers/{name}/seek', { path, body, ...more }),
      dead: (query: Query<'GET /consumers/{name}/dead'> = {}, more?: CallOptions) =>
        call('GET /consumers/{name}/dead', { path, query, ...more }),
      retryDead: (body: Body<'POST /consumers/{name}/dead/retry'> = {}, more?: CallOptions) =>
        call('POST /consumers/{name}/dead/retry', { path, body, ...more }),
      redeliver: (body: Body<'POST /consumers/{name}/redeliver'>, more?: CallOptions) =>
        call('POST /consumers/{name}/redeliver', { path, body, ...more }),
    };
  };

  return {
    /** The user of these credentials; rejects with status 401 when they are wrong. */
    verify: (more?: CallOptions) => call('GET /', more),
    /** Whether the service is alive, and whether it is ready; these need no credentials. */
    healthz: (more?: CallOptions) => call('GET /healthz', more),
    readyz: (more?: CallOptions) => call('GET /readyz', more),
    webhooks,
    contents,
    refusals,
    /** How many contents came per minute, by webhook. */
    activity: (query: Query<'GET /activity'> = {}, more?: CallOptions) => call('GET /activity', { query, ...more }),
    consumers: { list: (more?: CallOptions) => call('GET /consumers', more) },
    consumer,
  };
}

/** One user's view of the service: every call, and contents of a consumer as an iterable. */
export function createClient(options: Options) {
  const calls = createApi(options);
  return {
    ...calls,
    /**
     * Everything there is and everything that comes, each once, also after a crash: `for await (const content of …)`.
     * A content is acked when the loop asks for the next one, and given back when the loop ends before.
     */
    consume: (name: string, more: ConsumeOptions = {}): Consume =>
      createConsume({ ...calls.consumer(name), healthz: calls.healthz }, more),
  };
}
