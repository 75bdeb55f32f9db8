// The composition root: opens the parts of the service, and hands each part what it needs and no more.
import type { Server } from 'node:http';
import type { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { createBuckets } from './admission/rate.ts';
import { HELD } from './admission/resources.ts';
import { createRooms, type Rooms } from './admission/rooms.ts';
import { type ApiParts, buildApi } from './api/app.ts';
import type { Route } from './api/route.ts';
import { createServing } from './api/serving.ts';
import type { Config } from './config/config.ts';
import { createConsumers } from './consumers/consumers.ts';
import { followed, tellStored } from './consumers/debug-log.ts';
import { createSender } from './http/address.ts';
import { createBodyReader } from './http/body.ts';
import { boundConnections, mostConnections } from './http/connections.ts';
import { download } from './http/download.ts';
import { LISTEN_BACKLOG } from './http/server.ts';
import { type Cause, createIncidents } from './observe/incidents.ts';
import type { Log } from './observe/log.ts';
import { measured, measureLooks, measureRooms, measureState, measureWrites, openMetrics } from './observe/metrics.ts';
import { type Memory, watchOverload } from './observe/overload.ts';
import { watchSilence } from './observe/silence.ts';
import { openReading } from './reading/open.ts';
import { createQuota } from './receiver/quota.ts';
import { createReceiver } from './receiver/receiver.ts';
import { createWriter } from './receiver/writer.ts';
import type { Held } from './retention/held.ts';
import { serveDocs } from './site/docs.ts';
import { serveInbox } from './site/inbox.ts';
import { countStanding } from './store/consumers.ts';
import { type ContentKey, findContents, type NewContent } from './store/contents.ts';
import { CAUSES, causeOf, noAnswer, onlyReadable } from './store/engine/causes.ts';
import { VERIFIED } from './store/events.ts';
import type { Store } from './store/open.ts';
import { watchClock } from './store/shared/clock.ts';
import { createBatcher, createRefreshed } from './store/shared-reads.ts';
import { createClockText } from './store/text.ts';
import { findTargets } from './store/webhooks.ts';
import { createCertificates } from './webhooks/certificates.ts';
import { releaseWaiting } from './webhooks/release.ts';
import { openSealer } from './webhooks/sealer.ts';
import { createTargetMaker } from './webhooks/target.ts';

// Two queries under way, as with the writer; 64 keys, enough for a busy turn of the event loop.
const READS = { most: 64, lanes: 2 };
// The tests that a user did not send in the last minute may be sent at once.
const MINUTE_S = 60;

export interface ServiceOptions {
  /** Stays yours: close it after the service. */
  readonly store: Store;
  readonly config: Config;
  readonly log: Log;
  /** Pass `process`: it knows how much memory it uses and may use. */
  readonly memory: Memory;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** How certificates of providers are fetched, where a direct connection is not the way; and after how long again. */
  readonly certificates?: { readonly agent?: Agent; readonly retryMs?: number };
  /** Told of contents that were stored by this process, with their ids. */
  readonly onStored?: (rows: readonly NewContent[], ids: readonly number[]) => void;
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
  boundConnections(server, {
    perAddress: options.config.connectionsPerAddress,
    inAll: mostConnections(),
    sender: parts.sender,
    onClosed: parts.onConnectionsClosed,
  });
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
      parts.certificates.close();
      parts.overload.close();
      parts.silence.close();
      parts.consumers.close();
      await parts.clock?.close();
      await parts.reading.close();
    },
  };
}

/** Starts the machines. Each is given what it needs, and what one tells another is passed on here. */
export async function openParts(options: Omit<ServiceOptions, 'routes'>) {
  const { store, config, log, memory, now = Date.now } = options;
  const onStep = (ms: number) =>
    log.warn(
      { seconds: Math.round(ms / 1000) },
      'the clock of the database was set, or nothing looked at it for long: leases go by the time that has passed',
    );
  // By a text: the same content is read once for all who ask for it at once.
  const byName = createBatcher(async (names: readonly string[]) => {
    const keys = new Map(names.map((name) => [keyOf(name), name]));
    const found = await findContents(store, [...keys.keys()], config.maxPageBytes);
    return new Map([...found].map(([key, row]) => [keys.get(key) as string, row]));
  }, READS);
  const content = ({ userId, id }: ContentKey) => byName(`${userId} ${id}`);
  const sealer = await openSealer(store, config.secretsKey, config.databaseUrl, (from) =>
    log.info({ from }, 'the first secret: from now on this database needs this key'),
  );
  const toTarget = createTargetMaker(sealer);
  const metrics = await openMetrics(config.metricsToken !== undefined);
  const writes = measureWrites(metrics, {
    verdicts: VERIFIED,
    causes: CAUSES,
    causeOf: (error) => causeOf(error)?.code,
  });
  const isAboutOne = (error: unknown) => ['data', 'packet'].includes(causeOf(error)?.code ?? '');
  const incidents = createIncidents({ log, causeOf, isAboutOne, count: writes.onError });
  /** A database that can only be read tells so before a sender comes, and that it takes contents again. */
  const onStored = (error: unknown) => {
    if (error === undefined) incidents.stored();
    else if (onlyReadable(error)) incidents.failed(error, 0);
  };
  // Before anything is stored by the clock: the first start goes by the newest time that is stored.
  const clock = store.extended ? await watchClock(store.db, { onStep, onStored }) : undefined;
  const reading = await openReading({ store, config, log, content, onLook: measureLooks(metrics) }).catch(
    async (error: unknown) => {
      await clock?.close();
      throw error;
    },
  );
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
  const quota = createQuota(store, log, config);
  /** Gives committed rows to the consumers and lists of this process that wait, which then need not look for them. */
  const committed = (rows: readonly NewContent[], ids: readonly number[]): void => {
    reading.ownWrites.committed(rows, ids);
    reading.tail.nudge(rows.length);
  };
  const overload = watchOverload(log, memory, config.maxMemoryMb);
  const shed = (why: string): void => {
    countShed(why);
    incidents.shed(why);
  };
  const rooms: Rooms = createRooms({ config, memoryBytes: overload.memory.most }, shed);
  const countShed = measureRooms(metrics, () => rooms, Object.keys(HELD));
  const writer = createWriter(store, {
    room: rooms.queue,
    onBatch: writes.onBatch,
    onError: incidents.failed,
    onCommitted(rows, ids) {
      incidents.stored();
      quota.stored(rows);
      if (debug) tellStored(log, rows, ids);
      options.onStored?.(rows, ids);
      committed(rows, ids);
    },
  });
  /** With an error that is an answer, and is told already. */
  const looksFail = (): boolean => (causeOf(reading.lookError())?.code ?? 'no-answer') !== 'no-answer';
  const silence = watchSilence({
    log,
    silentMs: () => Math.max(looksFail() ? 0 : reading.tail.age, writer.busyMs),
    cause: causeOf(noAnswer(2)) as Cause,
  });
  store.db.hosts?.onMove((from, to, reason) =>
    log.warn({ from, to, reason }, 'the database is reached at another of its hosts now'),
  );
  const retention: { held: Held | undefined } = { held: undefined };
  measureState(metrics, {
    writer,
    tail: reading.tail,
    overload,
    connections: store.db.connections,
    standing: store.extended ? () => countStanding(store.db) : undefined,
    retention,
  });
  const targets = createRefreshed(async (keys: readonly string[]) => {
    const rows = await findTargets(store.db, keys, now());
    return new Map(rows.map((row) => [row.url_key, toTarget(row)]));
  });
  store.db.onTerm?.(() => targets.forget(() => true));
  store.db.onServer?.(({ from, to, readOnly, reason }) => {
    if (readOnly)
      log.error({ from, to, reason }, 'the database can only be read: nothing is stored, lists and consumers wait');
    else log.warn({ from, to, reason }, 'another server of the database is used now, by all connections');
  });
  const clockText = createClockText(config.dtTimezone);
  const certificates = createCertificates({
    download: config.fetchCertificates ? (url) => download(url, options.certificates?.agent) : undefined,
    log,
    ...(options.certificates?.retryMs === undefined ? {} : { retryMs: options.certificates.retryMs }),
    onHad: (userId, whId) =>
      void releaseWaiting({ store, config, sealer, clockText, log, onReleased: committed, certificates }, userId, whId),
  });
  return {
    certificates,
    store,
    config,
    log,
    now,
    metrics,
    incidents,
    overload,
    silence,
    retention,
    clock,
    rooms,
    shed,
    reading,
    promise: reading.promise,
    tail: reading.tail,
    lists: reading.lists,
    content,
    serving: createServing(config, rooms.answers),
    consumers,
    writer,
    quota,
    bodies: createBodyReader(rooms.bodies),
    tests: createBuckets(MINUTE_S),
    sealer,
    targets,
    onReleased: committed,
    onConnectionsClosed(why: 'connections' | 'address' | 'idle', count: number, address?: string): void {
      countShed(why, count);
      incidents.closed(why, count, address);
    },
    clockText,
    sender: createSender(config.trustProxy, (message) => log.warn({}, message)),
  };
}

function keyOf(name: string): ContentKey {
  const [userId = 0, id = 0] = name.split(' ').map(Number);
  return { userId, id };
}
