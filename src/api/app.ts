// The route table, on one screen, and the few rules that hold for every route. Builds an app; its caller lets it listen.
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import createAjv from '@fastify/ajv-compiler';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Context } from '../context.ts';
import { forbidden, invalid, needsMigrate } from '../errors.ts';
import { allFinite, isTime, readBodies, readJson } from '../http/body.ts';
import { closeApp, createServerWith, LISTEN_BACKLOG, MAX_HEADER_BYTES } from '../http/server.ts';
import { measureCalls } from '../observe/metrics.ts';
import { createReceiver } from '../receiver/receiver.ts';
import { serveDocs } from '../site/docs.ts';
import { basePath } from '../site/frame.ts';
import { serveInbox } from '../site/inbox.ts';
import { type Auth, createAuth } from './auth.ts';
import { openApi, routeSchema } from './openapi.ts';
import { answerProblem, createRequestId, noSuchRoute, toProblem } from './problems.ts';
import type { Route } from './route.ts';
import * as actions from './routes/consumers.ts';
import * as consumers from './routes/consumers.ts';
import * as contents from './routes/contents.ts';
import { activityRoute } from './routes/contents.ts';
import * as meta from './routes/operations.ts';
import * as refusals from './routes/refusals.ts';
import * as trace from './routes/trace.ts';
import * as webhooks from './routes/webhooks.ts';
import { shedLoad } from './shedding.ts';
import { createParked, type Parked, whileOpen } from './waiting.ts';

export const ROUTES: readonly Route[] = [
  meta.me, //                     GET    /
  webhooks.listWebhooksRoute, //  GET    /webhooks
  webhooks.createWebhookRoute, // POST   /webhooks
  webhooks.getWebhook, //         GET    /webhooks/:wh_id
  webhooks.patchWebhook, //       PATCH  /webhooks/:wh_id
  webhooks.deleteWebhookRoute, // DELETE /webhooks/:wh_id
  webhooks.rotateWebhookRoute, // POST   /webhooks/:wh_id/rotate
  contents.listContentsRoute, //  GET    /whcontent
  contents.postContent, //        POST   /whcontent
  contents.getContent, //         GET    /whcontent/:id
  contents.deleteContentRoute, // DELETE /whcontent/:id
  contents.getRaw, //             GET    /whcontent/:id/raw
  trace.traceContent, //          GET    /whcontent/:id/trace
  activityRoute, //               GET    /activity
  consumers.listConsumersRoute, //GET    /consumers
  consumers.putConsumer, //       PUT    /consumers/:name
  consumers.getConsumer, //       GET    /consumers/:name
  consumers.deleteConsumerRoute, //DELETE /consumers/:name
  actions.pullConsumer, //        POST   /consumers/:name/pull
  actions.ackConsumer, //         POST   /consumers/:name/ack
  actions.nackConsumer, //        POST   /consumers/:name/nack
  actions.extendConsumer, //      POST   /consumers/:name/extend
  actions.seekConsumer, //        POST   /consumers/:name/seek
  actions.listDeadRoute, //       GET    /consumers/:name/dead
  actions.retryDead, //           POST   /consumers/:name/dead/retry
  actions.redeliverConsumer, //   POST   /consumers/:name/redeliver
  refusals.listRefusalsRoute, //  GET    /refusals
  refusals.getRefusal, //         GET    /refusals/:id
  refusals.getRefusalRaw, //      GET    /refusals/:id/raw
  refusals.releaseRefusalRoute, //POST   /refusals/:id/release
  refusals.releaseRefusalsRoute, //POST  /refusals/release
  meta.healthz, //                GET    /healthz
  meta.readyz, //                 GET    /readyz
  meta.metricsRoute, //           GET    /metrics
]; //                             ANY    /in/{key} is receive.ts; GET /docs and /openapi.json are docs.ts, /inbox is inbox.ts

// Reading a body of a million members holds up everybody for seconds; the largest that makes sense has half of this.
const MAX_JSON_BYTES = 1024 * 1024;

export interface App {
  /** For `inject` and for routes of your own; add them before `ready()` or `listen()`. */
  readonly fastify: FastifyInstance;
  readonly server: Server;
  /** Resolves with the port: port 0 takes a free one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /** Stops accepting, answers what is under way, commits what is accepted. */
  close(): Promise<void>;
}

/** Builds the whole service on an open store. Routes of your own may follow: see examples/custom.ts. */
export async function buildApp(context: Context, more: readonly Route[] = []): Promise<App> {
  const receiver = createReceiver(context);
  const auth = createAuth(context);
  const onError = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    answerProblem(
      toProblem(error, request.routeOptions.bodyLimit, request.routeOptions.schema?.body as object | undefined),
      request,
      reply,
      context,
    );
  const fastify = Fastify({
    serverFactory: (handler) => createServerWith(context, receiver, handler),
    genReqId: createRequestId,
    bodyLimit: context.config.maxBodyBytes,
    // No 414: an id that is too long is told by its schema.
    routerOptions: { maxParamLength: MAX_HEADER_BYTES, ignoreTrailingSlash: true },
    schemaController: { compilersFactory: { buildValidator: validatorsWhenAsked() } },
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: 'array',
        allErrors: true,
        useDefaults: false,
        allowUnionTypes: true,
      },
      onCreate: (ajv) => void ajv.addFormat('date-time', isTime),
    },
    frameworkErrors: onError,
  });
  await fastify.register(swagger, openApi(context.config));
  await allowOrigins(fastify, context.config.corsOrigins);
  // Every shape is built field by field in wire.ts and its kin, and tests hold it against its schema: nothing is left to cut.
  fastify.setSerializerCompiler(() => JSON.stringify);
  const operators = ROUTES.filter(({ tag }) => tag === 'Operation').map(({ url }) => url);
  shedLoad(fastify, context, (url) => url !== undefined && operators.includes(url));
  // The answers of one turn of the event loop leave together. Sent one by one, each wakes its reader: 1.6 x slower.
  fastify.addHook('onSend', (_request, _reply, payload, done) => void setImmediate(done, null, payload));
  fastify.setErrorHandler(onError);
  fastify.setNotFoundHandler((request, reply) => answerProblem(noSuchRoute(request), request, reply, context));
  readBodies(fastify, context);
  const parked = createParked(auth);
  measureCalls(fastify, context.metrics, parked);
  for (const route of [...ROUTES, ...more]) register(fastify, context, auth, parked, route);
  await serveDocs(
    fastify,
    context,
    auth,
    [...ROUTES, ...more].filter((route) => !route.hidden),
  );
  await serveInbox(fastify, context);
  const server = fastify.server as Server;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const end = async () => {
    parked.close();
    await closeApp(fastify, server, sockets, receiver, auth);
    await context.close();
  };
  return {
    fastify,
    server,
    async listen({ host, port }) {
      await fastify.listen({ host, port, backlog: LISTEN_BACKLOG });
      return (server.address() as AddressInfo).port;
    },
    close: end,
  };
}

function register(fastify: FastifyInstance, context: Context, auth: Auth, parked: Parked, route: Route): void {
  const known = new Set(Object.keys(route.query?.properties ?? {}));
  fastify.route({
    method: route.method,
    url: route.url,
    schema: routeSchema(route),
    ...(route.body ? { bodyLimit: Math.min(MAX_JSON_BYTES, context.config.maxBodyBytes) } : {}),
    onRequest(request, reply, done) {
      reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store');
      // Browsers send Basic credentials along by themselves: another site must not act with them.
      const { origin = '', 'sec-fetch-site': site } = request.headers;
      if (request.method !== 'GET' && site === 'cross-site' && !context.config.corsOrigins.includes(origin))
        return done(forbidden('Calls from another web site that change something are not accepted.'));
      // A body is bytes to Fastify, whatever it says it is; a call that takes none leaves it unread.
      const { headers } = request.raw;
      if (route.body || route.rawBody) headers['content-type'] = 'application/octet-stream';
      else for (const name of ['content-type', 'content-length', 'transfer-encoding']) delete headers[name];
      if (route.kind === 'public') return done();
      signIn(context, auth, route, request, reply, (error) => {
        if (error) return done(error);
        return done(route.kind === 'extended' && !context.store.extended ? needsMigrate() : undefined);
      });
    },
    preValidation(request, _reply, done) {
      if (route.body) request.body = readJson(request.body as Buffer | undefined);
      done();
    },
    preHandler(request, _reply, done) {
      const places = ['query', 'params', ...(route.body ? (['body'] as const) : [])] as const;
      const path = places.find((place) => !allFinite(request[place]));
      done(path && invalid([{ path, message: 'has a number that is too large' }]));
    },
    handler: (request, reply) =>
      route.handler(context, {
        query: request.query,
        params: request.params,
        body: request.body,
        userId: request.userId,
        watch: () => parked.watch(request, reply),
        whileOpen: () => whileOpen(request.raw.socket),
        hint: route.kind === 'classic' ? hintOf(request, known) : {},
        request,
        reply,
      }),
  });
}

function signIn(
  context: Context,
  auth: Auth,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
) {
  // A person who opens the service in a browser wants to read about it.
  if (route.url === '/' && request.headers.authorization === undefined && request.headers.accept?.includes('text/html'))
    return void reply.redirect(`${basePath(context.config)}/docs`);
  const accept = (userId: number) => {
    request.userId = userId;
    done();
  };
  try {
    const verdict = auth.check(request.raw);
    if (typeof verdict === 'number') accept(verdict);
    else verdict.then(accept, done);
  } catch (error) {
    done(error as Error);
  }
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

// Other web sites whose pages may call the API: those in CORS_ORIGINS. A browser shows an answer to no others.

const KEPT_S = 600;

async function allowOrigins(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: [...origins],
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Last-Event-ID'],
    exposedHeaders: ['Retry-After', 'X-Original-Content-Type'],
    maxAge: KEPT_S,
  });
}

// Schemas become code when a call first needs them: all at once they are a third of the time that a start takes.

type Build = ReturnType<typeof createAjv>;

/** Fastify's own compiler, asked later. */
function validatorsWhenAsked(): Build {
  const build = createAjv();
  return (externalSchemas, options) => {
    const compile = build(externalSchemas, options);
    return (route) => {
      let made: ReturnType<typeof compile> | undefined;
      const validate = (data: unknown): unknown => {
        made ??= compile(route);
        const good = made(data);
        // Where Fastify looks for what is wrong.
        Object.assign(validate, { errors: made.errors });
        return good;
      };
      return validate as ReturnType<typeof compile>;
    };
  };
}
