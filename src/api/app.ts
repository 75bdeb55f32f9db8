// The route table, and the few rules that hold for every route. Builds an app; its caller lets it listen.
import type { IncomingHttpHeaders } from 'node:http';
import createAjv from '@fastify/ajv-compiler';
import cors from '@fastify/cors';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteOptions } from 'fastify';
import type { Rooms } from '../admission/rooms.ts';
import { basePath, type Config } from '../config/config.ts';
import { forbidden, invalid, methodNotAllowed, needsMigrate } from '../errors.ts';
import { allFinite, type BodyReader, isTime, type Lengths, overlong, readBodies, readJson } from '../http/body.ts';
import { createClose, createRequestId, createServerWith, MAX_HEADER_BYTES, type Receiver } from '../http/server.ts';
import type { Incidents } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import { type Metrics, measureCalls } from '../observe/metrics.ts';
import type { Overload } from '../observe/overload.ts';
import { type Auth, type AuthParts, createAuth } from './auth.ts';
import { createWaiting, untilClosed, type Waiting } from './cancellation.ts';
import { validated } from './openapi.ts';
import { answerProblem, noSuchRoute, toProblem } from './problems.ts';
import type { Route } from './route.ts';
import * as consumers from './routes/consumers.ts';
import * as contents from './routes/contents.ts';
import * as operations from './routes/operations.ts';
import * as refusals from './routes/refusals.ts';
import * as trace from './routes/trace.ts';
import * as webhooks from './routes/webhooks.ts';
import { shedLoad } from './shedding.ts';

export const ROUTES: readonly Route<ApiParts>[] = [
  operations.me, //                  GET    /
  webhooks.listWebhooksRoute, //     GET    /webhooks
  webhooks.createWebhookRoute, //    POST   /webhooks
  webhooks.getWebhook, //            GET    /webhooks/:wh_id
  webhooks.patchWebhook, //          PATCH  /webhooks/:wh_id
  webhooks.deleteWebhookRoute, //    DELETE /webhooks/:wh_id
  webhooks.rotateWebhookRoute, //    POST   /webhooks/:wh_id/rotate
  webhooks.testWebhookRoute, //      POST   /webhooks/:wh_id/test
  contents.listContentsRoute, //     GET    /whcontent
  contents.postContent, //           POST   /whcontent
  contents.getContent, //            GET    /whcontent/:id
  contents.deleteContentRoute, //    DELETE /whcontent/:id
  contents.getRaw, //                GET    /whcontent/:id/raw
  trace.traceContent, //             GET    /whcontent/:id/trace
  contents.activityRoute, //         GET    /activity
  consumers.listConsumersRoute, //   GET    /consumers
  consumers.putConsumer, //          PUT    /consumers/:name
  consumers.getConsumer, //          GET    /consumers/:name
  consumers.deleteConsumerRoute, //  DELETE /consumers/:name
  consumers.pullConsumer, //         POST   /consumers/:name/pull
  consumers.ackConsumer, //          POST   /consumers/:name/ack
  consumers.nackConsumer, //         POST   /consumers/:name/nack
  consumers.extendConsumer, //       POST   /consumers/:name/extend
  consumers.seekConsumer, //         POST   /consumers/:name/seek
  consumers.listDeadRoute, //        GET    /consumers/:name/dead
  consumers.retryDeadRoute, //       POST   /consumers/:name/dead/retry
  consumers.redeliverConsumer, //    POST   /consumers/:name/redeliver
  refusals.listRefusalsRoute, //     GET    /refusals
  refusals.getRefusal, //            GET    /refusals/:id
  refusals.getRefusalRaw, //         GET    /refusals/:id/raw
  refusals.releaseRefusalRoute, //   POST   /refusals/:id/release
  refusals.releaseRefusalsRoute, //  POST   /refusals/release
  operations.healthz, //             GET    /healthz
  operations.readyz, //              GET    /readyz
  operations.metricsRoute, //        GET    /metrics
];
// Beside the table: ANY /in/{key} is receiver/receiver.ts, GET /docs and /openapi.json are site/docs.ts, /inbox is site/inbox.ts.

/** What the calls, and what lies before them, take of the service. */
export type ApiParts = AuthParts &
  consumers.ConsumerCalls &
  contents.ContentCalls &
  operations.OperationCalls &
  refusals.RefusalCalls &
  trace.TraceCalls &
  webhooks.WebhookCalls & {
    readonly config: Config;
    readonly log: Log;
    readonly receiver: Receiver;
    readonly bodies: BodyReader;
    readonly rooms: Rooms;
    readonly overload: Pick<Overload, 'why'>;
    readonly shed: (why: string) => void;
    readonly incidents: Incidents;
    readonly metrics: Metrics;
  };

// Parsing a JSON body of a million members holds up all other requests for seconds; the largest that makes sense has half of this.
const MAX_JSON_BYTES = 1024 * 1024;

/** The API before it listens. */
export interface Api {
  /** For `inject` and for routes of your own; add them before `ready()` or `listen()`. */
  readonly fastify: FastifyInstance;
  readonly auth: Auth;
  /** The calls that users are told of. */
  readonly documented: readonly Route<ApiParts>[];
  /** Stops accepting, answers what is under way, commits what is accepted. */
  close(): Promise<void>;
}

/** Builds the API. Routes of your own may follow: see examples/custom.ts. */
export async function buildApi(parts: ApiParts, more: readonly Route<ApiParts>[] = []): Promise<Api> {
  const { config, receiver } = parts;
  const auth = createAuth(parts);
  const onError = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    answerProblem(toProblem(error, request.routeOptions.bodyLimit, request.routeOptions.schema), request, reply, parts);
  const fastify = Fastify({
    serverFactory: (handler) => createServerWith(parts, handler),
    genReqId: createRequestId,
    bodyLimit: config.maxBodyBytes,
    // No 414: the schema of an id says that it is too long.
    routerOptions: { maxParamLength: MAX_HEADER_BYTES, ignoreTrailingSlash: true },
    schemaController: { compilersFactory: { buildValidator: validatorsWhenAsked() } },
    frameworkErrors: onError,
  });
  await allowOrigins(fastify, config.corsOrigins);
  // Every shape is built field by field in wire.ts and its kin, and tests hold it against its schema: nothing is left to cut.
  fastify.setSerializerCompiler(() => JSON.stringify);
  const operators = ROUTES.filter(({ tag }) => tag === 'Operation').map(({ url }) => url);
  shedLoad(fastify, parts, (url) => url !== undefined && operators.includes(url));
  // The answers of one turn of the event loop leave together. Sent one by one, each wakes its reader: 1.6 x slower.
  fastify.addHook('onSend', (_request, _reply, payload, done) => void setImmediate(done, null, payload));
  fastify.setErrorHandler(onError);
  const methodsOf = rememberMethods(fastify);
  fastify.addHook('onRequest', (request, _reply, done) => {
    // What a call that is not there sends besides is not looked at.
    if (request.is404) request.raw.headers['content-type'] ??= 'application/octet-stream';
    done();
  });
  fastify.setNotFoundHandler((request, reply) => {
    const allow = methodsOf(request.url);
    answerProblem(allow ? methodNotAllowed(allow) : noSuchRoute(request), request, reply, parts);
  });
  readBodies(fastify, parts);
  const waiting = createWaiting(auth, parts.rooms.waiting);
  measureCalls(fastify, parts.metrics, waiting);
  const routes = [...ROUTES, ...more];
  for (const route of routes) fastify.route(asServed(route, parts, auth, waiting, methodsOf));
  const stop = createClose(fastify, receiver);
  return {
    fastify,
    auth,
    documented: routes.filter((route) => !route.hidden),
    async close() {
      waiting.close();
      await stop();
      auth.close();
    },
  };
}

/**
 * The methods that an address has, of all routes that are added from now on; undefined where there is no such address. An address that
 * has a route of its own, such as /refusals/release, has no method of /refusals/:id.
 */
function rememberMethods(fastify: FastifyInstance): (url: string) => string | undefined {
  const known: { readonly parts: readonly string[]; readonly methods: readonly string[] }[] = [];
  const partsOf = (path: string) => path.replace(/(.)\/$/, '$1').split('/');
  fastify.addHook('onRoute', ({ url, method }) => void known.push({ parts: partsOf(url), methods: [method].flat() }));
  return (url) => {
    const asked = partsOf(url.split('?')[0] ?? '');
    const isAsked = (parts: readonly string[]) =>
      parts.length === asked.length && parts.every((part, i) => part === asked[i] || part[0] === ':');
    const found = known.filter(({ parts }) => isAsked(parts));
    const own = found.filter(({ parts }) => parts.join() === asked.join());
    const methods = new Set((own.length > 0 ? own : found).flatMap((one) => one.methods));
    return methods.size > 0 ? [...methods].sort().join(', ') : undefined;
  };
}

/** A route with what holds for every one. */
function asServed(
  route: Route<ApiParts>,
  parts: ApiParts,
  auth: Auth,
  waiting: Waiting,
  methodsOf: (url: string) => string | undefined,
): RouteOptions {
  const properties = Object.entries(route.query?.properties ?? {});
  const known = new Set(properties.map(([name]) => name));
  const numbers = properties.filter(([, one]) => /"integer"/.test(JSON.stringify(one))).map(([name]) => name);
  return {
    method: route.method,
    url: route.url,
    schema: validated(route),
    ...(route.body ? { bodyLimit: Math.min(MAX_JSON_BYTES, parts.config.maxBodyBytes) } : {}),
    onRequest(request, reply, done) {
      reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store');
      const allow = route.params && methodsOf(request.url);
      if (allow && !allow.split(', ').includes(request.method)) return done(methodNotAllowed(allow));
      if (request.method !== 'GET' && fromElsewhere(request.headers, parts.config))
        return done(forbidden(FROM_ELSEWHERE));
      // A body is bytes to Fastify, whatever it says it is; a call that takes none leaves it unread.
      const { headers } = request.raw;
      if (route.body || route.rawBody) headers['content-type'] = 'application/octet-stream';
      else for (const name of ['content-type', 'content-length', 'transfer-encoding']) delete headers[name];
      if (route.kind === 'public') return done();
      // A person who opens the service in a browser wants to read about it.
      if (route.url === '/' && headers.authorization === undefined && isNavigation(headers))
        return void reply.redirect(`${basePath(parts.config)}/docs`);
      const accept = (userId: number) => {
        request.userId = userId;
        done(route.kind === 'extended' && !parts.store.extended ? needsMigrate() : undefined);
      };
      try {
        const verdict = auth.check(request.raw);
        if (typeof verdict === 'number') accept(verdict);
        else verdict.then(accept, done);
      } catch (error) {
        done(error as Error);
      }
    },
    preValidation(request, _reply, done) {
      // The validator takes a blank for the number 0.
      const blank = numbers.find((name) =>
        /^\s+$/.test(String((request.query as Record<string, unknown>)[name] ?? '')),
      );
      if (blank) return done(invalid([{ path: `query.${blank}`, message: 'must be a whole number' }]));
      if (!route.body) return done();
      request.body = readJson(request.body as Buffer | undefined);
      const long = overlong(request.body, route.body as Lengths);
      done(long && invalid([long]));
    },
    preHandler(request, _reply, done) {
      const places = ['query', 'params', ...(route.body ? (['body'] as const) : [])] as const;
      const path = places.find((place) => !allFinite(request[place]));
      done(path && invalid([{ path, message: 'has a number that is too large' }]));
    },
    handler: (request, reply) =>
      route.handler(parts, {
        query: request.query,
        params: request.params,
        body: request.body,
        userId: request.userId,
        watch: () => waiting.watch(request, reply),
        whileOpen: () => untilClosed(request.raw.socket),
        hint: route.kind === 'classic' ? hintOf(request, known) : {},
        request,
        reply,
      }),
  };
}

function hintOf(request: FastifyRequest, known: ReadonlySet<string>): { hint?: string } {
  const ignored = Object.keys(request.query as object).filter((name) => !known.has(name));
  if (ignored.length === 0) return {};
  const names = ignored
    .slice(0, 5)
    .map((name) => name.slice(0, 40))
    .join(', ');
  return { hint: `Ignored: ${names}. This call knows ${[...known].join(', ') || 'no parameters'}.` };
}

declare module 'fastify' {
  interface FastifyRequest {
    userId: number;
  }
}

const FROM_ELSEWHERE =
  'Calls from another web site that change something are not accepted. CORS_ORIGINS allows sites; for the pages of this service set PUBLIC_URL to the address in the browser.';

/**
 * Whether a browser sends this call for the page of another site: it adds Basic credentials by itself, and the page must not act
 * with them. `Sec-Fetch-Site` comes over https and to localhost only, `Origin` with every call that changes something. Programs
 * send neither.
 */
function fromElsewhere(headers: IncomingHttpHeaders, { corsOrigins, publicUrl }: Config): boolean {
  const { origin, 'sec-fetch-site': site, host } = headers;
  if (origin !== undefined && corsOrigins.includes(origin)) return false;
  if (site === 'same-origin') return false;
  // Another host of the same domain may belong to anybody.
  if (site === 'cross-site' || site === 'same-site') return true;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || (origin !== new URL(publicUrl).origin && new URL(origin).host !== host);
}

/**
 * Whether a person opens this address in a browser. Browsers say so over https and to localhost; else by XHTML, which they alone accept:
 * Java's own client accepts text/html, and sends credentials only after a 401.
 */
const isNavigation = ({ 'sec-fetch-mode': mode, accept = '' }: IncomingHttpHeaders): boolean =>
  mode === undefined ? accept.includes('application/xhtml+xml') : mode === 'navigate';

/** CORS_ORIGINS: other web sites whose pages may call the API. A browser shows an answer to no others. */
async function allowOrigins(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: [...origins],
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Last-Event-ID'],
    exposedHeaders: ['Retry-After', 'X-Original-Content-Type'],
    maxAge: 600,
  });
}

/**
 * Compiles a schema when a call first needs it: compiling all of them takes a third of the time of a start. In a path and in a query all
 * is text, which becomes the number that is asked for; JSON says itself what it is, and is taken at its word.
 */
function validatorsWhenAsked(): ReturnType<typeof createAjv> {
  const build = createAjv();
  return (externalSchemas) => {
    const compilerOf = (coerceTypes: false | 'array') =>
      build(externalSchemas, {
        customOptions: {
          removeAdditional: false,
          coerceTypes,
          allErrors: true,
          useDefaults: false,
          allowUnionTypes: true,
        },
        onCreate: (ajv) => void ajv.addFormat('date-time', isTime),
      });
    const [ofJson, ofText] = [compilerOf(false), compilerOf('array')];
    return (route) => {
      const { httpPart } = route as { httpPart?: string };
      let made: ReturnType<typeof ofJson> | undefined;
      const validate = (data: unknown): unknown => {
        made ??= (httpPart === 'body' ? ofJson : ofText)(route);
        const good = made(data);
        // Fastify looks for the errors on the function.
        Object.assign(validate, { errors: made.errors });
        return good;
      };
      return validate as ReturnType<typeof ofJson>;
    };
  };
}
