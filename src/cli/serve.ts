// restante serve: opens the store, listens, prints how to try it, and ends cleanly when asked to.
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import type { Command } from 'commander';
import { pino } from 'pino';
import { type Config, masked } from '../config/config.ts';
import { hostText } from '../config/database-url.ts';
import { LEAST_FILES, mostConnections, mostOfAddress, openFileLimit } from '../http/connections.ts';
import { download } from '../http/download.ts';
import type { Log } from '../observe/log.ts';
import { startPruner } from '../retention/retention.ts';
import { createService } from '../service.ts';
import { flawOf } from '../store/contents.ts';
import { mostBodyBytes } from '../store/db.ts';
import type { Store } from '../store/open.ts';
import { listRefusals, listWithoutSecret, pruneRefusals } from '../store/refusals.ts';
import { settledClock } from '../store/shared/clock.ts';
import { createClockText, decodeName } from '../store/text.ts';
import { addUser, hasUsers } from '../store/users.ts';
import { findWebhook } from '../store/webhooks.ts';
import { createCertificates, needsCertificate } from '../webhooks/certificates.ts';
import { type ReleaseParts, releaseWaiting } from '../webhooks/release.ts';
import { randomText, type Sealer } from '../webhooks/sealer.ts';
import { isToken, rulesOf } from '../webhooks/target.ts';
import { isPublic, makeWebhook } from '../webhooks/webhooks.ts';
import { Complaint, type Io } from './io.ts';
import { type Arrived, createArrivals, createTerminalLog } from './line.ts';
import { openPatiently } from './start.ts';
import { ALL, configOf, verb } from './verb.ts';

// Requests under way have this long to end after SIGTERM; everything accepted is committed within it.
const DRAIN_MS = 15_000;

export const serveCommand = (io: Io): Command =>
  verb({
    name: 'serve',
    summary: 'Receive webhooks and hand them out over HTTP.',
    examples: [
      'restante serve                                              embedded database in ./data',
      'DATABASE_URL=mysql://restante:secret@db/app restante serve  on your MySQL tables',
      'restante serve --port 8080 --public-url https://hooks.example.org --trust-proxy 127.0.0.1',
    ],
    settings: ALL,
  }).action(async (options: Record<string, unknown>) => {
    await serve(io, configOf(io, options));
  });

async function serve(io: Io, given: Config): Promise<void> {
  const config = await withPort(given);
  // Not pino's own destination: on a full disk that waits for room, and the service would wait with it.
  const log = io.tty
    ? createTerminalLog(io, config.logLevel)
    : pino(
        { level: config.logLevel, serializers: { error: pino.stdSerializers.err } },
        { write: (line: string) => io.out(line) },
      );
  const stop = io.stopped();
  const opened = await openPatiently(config, log, stop, (store, log) => {
    const nameOf = async ({ user_id, wh_id }: Arrived) =>
      decodeName((await findWebhook(store, user_id, wh_id))?.wh_name ?? Buffer.alloc(0));
    const onStored = io.tty ? createArrivals(io, nameOf) : () => {};
    return createService({ store, config, log, memory: io.memory, onStored });
  });
  if (!opened) return;
  const { store, service } = opened;
  const port = await service.listen(config).catch(async (error: NodeJS.ErrnoException) => {
    // The service first: it goes on looking into the database until it is closed.
    await service.close();
    await store.close();
    throw cannotListen(config, error);
  });
  const { parts } = service;
  sayLimits(config, store, log);
  const first = store.db.kind === 'sqlite' ? await firstStart(store, config) : await sayUsers(store, log);
  io.out(banner(store, config));
  if (first) io.out(first);
  // A person has just read the same above.
  log[io.tty ? 'debug' : 'info'](
    {
      host: config.host,
      port,
      database: masked(config.databaseUrl),
      ...(store.db.hosts ? { database_host: store.db.hosts.now() } : {}),
      version: store.db.version,
      level: levelOf(store),
      promise: parts.promise().code,
      promise_text: parts.promise().text,
    },
    'listening',
  );
  const chores = startChores(parts);
  const pruner = store.extended
    ? startPruner({
        db: store.db,
        days: config.retentionDays,
        foreign: config.pruneForeign,
        log,
        onHeld(held) {
          parts.retention.held = held;
        },
      })
    : undefined;

  log.info({ signal: await stop }, 'stopping: no new requests, committing what was accepted');
  const ended = Promise.all([service.close(), chores.stop(), pruner?.stop()]).then(() => parts.writer.drain());
  const late = new Promise<'late'>((resolve) => setTimeout(resolve, DRAIN_MS, 'late').unref());
  if ((await Promise.race([ended, late])) === 'late') service.server.closeAllConnections();
  else await store.close();
  log.info({}, 'stopped');
}

const NOT_HERE = ' --host must be an address of this machine, such as 127.0.0.1 or 0.0.0.0.';
const HELP: Readonly<Record<string, string>> = {
  EADDRINUSE: ' Another program listens there: choose another --port.',
  EACCES: ' Ports below 1024 are for the system: choose another --port, and put a proxy in front.',
  ENOTFOUND: NOT_HERE,
  EAI_AGAIN: NOT_HERE,
  EADDRNOTAVAIL: NOT_HERE,
};
const cannotListen = ({ host, port }: Config, { code = '', message }: NodeJS.ErrnoException): Complaint =>
  new Complaint(`cannot listen on ${host}:${port}: ${message}.${HELP[code] ?? ''}`);

/** Port 0 takes a free one, before anything computes a URL from it. */
async function withPort(config: Config): Promise<Config> {
  if (config.port !== 0) return config;
  const port = await new Promise<number>((resolve, reject) => {
    const server = createServer().once('error', (error) => reject(cannotListen(config, error)));
    server.listen(0, config.host, () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
  return { ...config, port, publicUrl: config.publicUrl.replace(/:0$/, `:${port}`) };
}

const levelOf = (store: Store) => (store.extended ? 'extended' : 'as-is');

function sayLimits(config: Config, store: Store, log: Log): void {
  const files = openFileLimit();
  if (files !== undefined && files < LEAST_FILES) {
    const inAll = mostConnections(files);
    log.warn(
      { open_files: files, connections: inAll, of_one_address: mostOfAddress(config.connectionsPerAddress, inAll) },
      `only ${files} files and connections may be open, each client takes one: LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536`,
    );
  }
  const most = mostBodyBytes(store.db);
  if (most < config.maxBodyBytes)
    log.warn(
      { max_body_bytes: most },
      `MAX_BODY_BYTES is ${config.maxBodyBytes}, but max_allowed_packet of the database allows ${most}`,
    );
  const flaw = store.state.content && flawOf(store.state.content);
  if (flaw) log.warn({ fix: flaw.fix }, `${flaw.found} To put it right: ${flaw.fix}`);
  if (!store.extended)
    log.warn(
      { steps_done: store.state.done },
      'as-is level: only the classic calls work. For receiving and everything else: restante migrate',
    );
  if (!store.state.indexed)
    log.warn(
      {},
      'tblwh has no index on (user_id, wh_id, id): lists read the whole table. To add it: restante migrate --index',
    );
}

/** The address that this process listens on, and PUBLIC_URL where it differs. */
function banner(store: Store, { host, port, publicUrl }: Config): string {
  const own = `http://${hostText({ host, port })}`;
  const known = own === publicUrl ? '' : `PUBLIC_URL is ${publicUrl}; `;
  return `Restante listens on ${own} (${known}${store.db.version}, ${levelOf(store)}; API: ${publicUrl}/docs)\n`;
}

/** On MySQL another application owns the users, so the first start makes none. */
async function sayUsers({ db }: Store, log: Log): Promise<undefined> {
  if (!(await hasUsers(db)))
    log.warn({}, 'there are no users, so no client can sign in. To add one: restante user add --write-tbluser');
}

/** On the embedded database the first start makes a user and a webhook and says, once, how to use them. */
async function firstStart(store: Store, config: Config): Promise<string | undefined> {
  if (await hasUsers(store.db)) return undefined;
  const token = randomText(32);
  const id = await addUser(store.db, { email: '', phone: '', token });
  const webhook = await makeWebhook({ store, config, now: Date.now }, id, { wh_name: 'First webhook' });
  return `
First start: a user and a webhook were made. The token is shown only now.

  user id   ${id}
  token     ${token}
  webhook   ${webhook.wh_url}

Send something to it, then fetch it:

  curl -d '{"hello":"world"}' ${webhook.wh_url}
  curl -u ${id}:${token} '${config.publicUrl}/whcontent?whid=all&wait=30'
${isPublic(config.publicUrl) ? '' : `\nProviders cannot reach ${config.publicUrl} yet: docs/deploy.md tells how to give it a public https URL.\n`}
`;
}

// Limit of the system: the listen backlog ---------------------------------------------------------------------------

/** Of this network namespace, on Linux: `listen` gets at most this. Undefined when it cannot be read. */
export function readSomaxconn(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  } catch {
    return undefined;
  }
}

// Requests that came before the secret of their webhook --------------------------------------------------------------

const MOST_COUNTED = 1_000;

/** Verifies those of one webhook after its secret was set. Counts those released, those left, and other refusals that may pass now; zeros are left out. */
export async function judgeWaiting(
  { io, store, config, sealer }: { io: Io; store: Store; config: Config; sealer: Sealer },
  userId: number,
  whId: number,
): Promise<{ released?: number; waiting?: number; refused?: number }> {
  const tell = ({ error }: { error?: unknown }, message: string) =>
    io.err(`${message}${error instanceof Error ? `: ${error.message}` : ''}\n`);
  const log = { debug() {}, info() {}, warn: tell, error: tell };
  const clockText = createClockText(config.dtTimezone);
  const certificates = createCertificates({ download: config.fetchCertificates ? download : undefined, log });
  const released = await releaseWaiting({ store, config, sealer, clockText, log, certificates }, userId, whId);
  certificates.close();
  const count = async (kind: string) => {
    const filter = { wh_id: whId, kind, releasable: true, from: 0, limit: MOST_COUNTED };
    return (await listRefusals(store.db, userId, filter)).length;
  };
  const [waiting, refused] = [await count('secret_missing'), await count('signature')];
  return {
    ...(released + waiting > 0 ? { released } : {}),
    ...(waiting > 0 ? { waiting } : {}),
    ...(refused > 0 ? { refused } : {}),
  };
}

const FIRST_MS = 3_000;
const EVERY_MS = 60 * 60_000;
// Once more an hour later, for requests that were under way when the secret was set. What is left then is forged.
const TIMES = 2;

/** What a service does once an hour: drops old refusals, and judges what still waits for a secret that is set by now. */
export function startChores(
  parts: ReleaseParts & { readonly log: Log },
  { firstMs = FIRST_MS, everyMs = EVERY_MS, mostTimes = TIMES } = {},
): { stop(): Promise<void> } {
  const { store, log } = parts;
  const judged = new Map<number, { readonly mark: string; times: number }>();
  let stopping = false;

  /** False while nothing can have changed: of a flooded webhook ten thousand requests may wait. */
  async function due(userId: number, whId: number): Promise<boolean> {
    const webhook = await findWebhook(store, userId, whId);
    if (!webhook?.settings) return false;
    const rules = rulesOf(webhook.settings);
    if (webhook.secrets.every(isToken) && rules?.check) return false;
    // What is missing may be a certificate, which comes without any change here.
    if (needsCertificate({ rules })) return true;
    const mark = JSON.stringify([webhook.settings, webhook.secrets.map(({ id }) => id)]);
    const before = judged.get(whId);
    const times = before?.mark === mark ? before.times + 1 : 1;
    judged.set(whId, { mark, times });
    return times <= mostTimes;
  }

  async function run(): Promise<void> {
    try {
      await pruneRefusals(store.db, (await settledClock(store.db)).lasting);
      for (const { user_id, wh_id } of await listWithoutSecret(store.db))
        if (!stopping && (await due(user_id, wh_id))) await releaseWaiting(parts, user_id, wh_id);
    } catch (error) {
      log.warn({ error }, 'old refusals were not dropped, or not all that waited were judged');
    }
  }

  let running = Promise.resolve();
  const next = () => {
    running = running.then(run);
  };
  if (!store.extended) return { stop: async () => {} };
  const first = setTimeout(next, firstMs);
  const hourly = setInterval(next, everyMs);
  return {
    stop() {
      stopping = true;
      clearTimeout(first);
      clearInterval(hourly);
      return running;
    },
  };
}
