// The composition root: opens the parts of the service, and hands each part what it needs and no more.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type ApiParts, buildApi } from './api/app.ts';
import type { Route } from './api/route.ts';
import type { Config } from './config/config.ts';
import { createConsumers } from './consumers/consumers.ts';
import { followed, tellStored } from './consumers/debug-log.ts';
import { createSender } from './http/address.ts';
import { createBodyReader } from './http/body.ts';
import { LISTEN_BACKLOG } from './http/server.ts';
import { createIncidents } from './observe/incidents.ts';
import type { Log } from './observe/log.ts';
import {
  measured,
  measureLooks,
  measureShed,
  measureState,
  measureWrites,
  openMetrics,
  type ShedWhy,
} from './observe/metrics.ts';
import { type Memory, watchOverload } from './observe/overload.ts';
import { openReading } from './reading/open.ts';
import { createQuota } from './receiver/quota.ts';
import { createReceiver } from './receiver/receiver.ts';
import { createWriter } from './receiver/writer.ts';
import { serveDocs } from './site/docs.ts';
import { serveInbox } from './site/inbox.ts';
import { countStanding } from './store/consumers.ts';
import { type ContentKey, findContents, type NewContent } from './store/contents.ts';
import { CAUSES, causeOf } from './store/engine/causes.ts';
import { VERIFIED } from './store/events.ts';
import type { Store } from './store/open.ts';
import { createBatcher, createRefreshed } from './store/shared-reads.ts';
import { createClockText } from './store/text.ts';
import { findTargets } from './store/webhooks.ts';
import { openSealer } from './webhooks/sealer.ts';
import { createTargetMaker } from './webhooks/target.ts';

// Two queries under way, as with the writer; 64 keys, enough for a busy turn of the event loop.
const READS = { most: 64, lanes: 2 };

export interface ServiceOptions {
  /** Stays yours: close it after the service. */
  readonly store: Store;
  readonly config: Config;
  readonly log: Log;
  /** Pass `process`: it knows how much memory it uses and may use. */
  readonly memory: Memory;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Routes of your own, behind the same sign-in: see examples/custom.ts. */
  readonly routes?: readonly Route<ApiParts>[];
}

export interface Service {
  /** For `inject`, and for more routes before `ready()` or `listen()`. */
  readonly fastify: FastifyInstance;
  readonly server: Server;
  /** The parts of the service, for the chores of `serve` and for tests. */
  readonly parts: ServiceParts;
  /** Resolves with the port: port 0 takes a free one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /** Stops accepting, answers the requests under way, and commits what was accepted. */
  close(): Promise<void>;
}

export type ServiceParts = Awaited<ReturnType<typeof openParts>>;

/** The whole service on an open store; it does not listen yet. */
export async function createService({ routes = [], ...options }: ServiceOptions): Promise<Service> {
  const parts = await openParts(options);
  const receiver = createReceiver(parts);
  const api = await buildApi({ ...parts, receiver }, routes);
  const { fastify, auth, documented } = api;
  await serveDocs(fastify, { ...parts, auth, routes: documented });
  await serveInbox(fastify, parts);
  const server = fastify.server as Server;
  return {
    fastify,
    server,
    parts,
    async listen({ host, port }) {
      await fastify.listen({ host, port, backlog: LISTEN_BACKLOG });
      return (server.address() as AddressInfo).port;
    },
    async close() {
      await api.close();
      parts.overload.close();
      parts.consumers.close();
      await parts.reading.close();
    },
  };
}

/** Starts the machines. Each is given what it needs, and what one tells another is passed on here. */
export async function openParts({ store, config, log, memory, now = Date.now }: Omit<ServiceOptions, 'routes'>) {
  const content = createBatcher((keys: readonly ContentKey[]) => findContents(store, keys, config.maxPageBytes), READS);
  const sealer = await openSealer(store, config.secretsKey, config.databaseUrl, (from) =>
    log.info({ from }, 'the first secret: from now on this database needs this key'),
  );
  const toTarget = createTargetMaker(sealer);
  const metrics = await openMetrics(config.metricsToken !== undefined);
  const reading = await openReading({ store, config, log, content, onLook: measureLooks(metrics) });
  const debug = config.logLevel === 'debug';
  let consumers = createConsumers({
    store,
    tail: reading.tail,
    ownWrites: reading.ownWrites,
    maxPageBytes: config.maxPageBytes,
    log,
  });
  if (metrics.enabled) consumers = measured(metrics, consumers);
  if (debug) consumers = followed(log, consumers);
  const writes = measureWrites(metrics, {
    verdicts: VERIFIED,
    causes: CAUSES,
    causeOf: (error) => causeOf(error)?.code,
  });
  const incidents = createIncidents({ log, causeOf, count: writes.onError });
  const quota = createQuota(store, log, config);
  /** Gives committed rows to the consumers and lists of this process that wait, which then need not look for them. */
  const committed = (rows: readonly NewContent[], ids: readonly number[]): void => {
    reading.ownWrites.committed(rows, ids);
    reading.tail.nudge(rows.length);
  };
  const writer = createWriter(store, {
    onBatch: writes.onBatch,
    onError: incidents.failed,
    onCommitted(rows, ids) {
      incidents.stored();
      quota.stored(rows);
      if (debug) tellStored(log, rows, ids);
      committed(rows, ids);
    },
  });
  const countShed = measureShed(metrics);
  const shed = (why: ShedWhy): void => {
    countShed(why);
    incidents.shed(why);
  };
  store.db.hosts?.onMove((from, to, reason) =>
    log.warn({ from, to, reason }, 'the database is reached at another of its hosts now'),
  );
  const overload = watchOverload(log, memory, config.maxMemoryMb);
  measureState(metrics, {
    writer,
    tail: reading.tail,
    overload,
    connections: store.db.connections,
    standing: store.extended ? () => countStanding(store.db) : undefined,
  });
  const targets = createRefreshed(async (keys: readonly string[]) => {
    const rows = await findTargets(store.db, keys, now());
    return new Map(rows.map((row) => [row.url_key, toTarget(row)]));
  });
  return {
    store,
    config,
    log,
    now,
    metrics,
    incidents,
    overload,
    shed,
    reading,
    promise: reading.promise,
    tail: reading.tail,
    lists: reading.lists,
    content,
    consumers,
    writer,
    quota,
    bodies: createBodyReader(),
    sealer,
    targets,
    onReleased: committed,
    clockText: createClockText(config.dtTimezone),
    sender: createSender(config.trustProxy, (message) => log.warn({}, message)),
  };
}
