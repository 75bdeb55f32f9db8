// Opens the database and the service, however long the database takes: says within 3 s what is wrong, and answers 503 meanwhile.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, masked } from '../config/config.ts';
import { unavailable } from '../errors.ts';
import { written } from '../http/server.ts';
import type { Cause } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import type { Service } from '../service.ts';
import { failed } from '../store/db.ts';
import { causeOf, noAnswer, onlyReadable } from '../store/engine/causes.ts';
import { BINLOG, readUnsafe, readVariables, unwritableIn } from '../store/fence/facts.ts';
import { openStore, type Store } from '../store/open.ts';
import { sameSecret } from '../verify/digest.ts';
import { Complaint } from './io.ts';
import { complain } from './open.ts';

const RETRY_MS = 2_000;
// An attempt that has said nothing for so long is told of, so that the log is never silent for 3 s.
const SILENT_MS = 2_500;
const LOOK_MS = 100;
// A start that takes longer than this answers meanwhile.
const LATE_MS = 1_000;
// When it is stopped, an attempt has so long to end by itself.
const GRACE_MS = 3_000;

interface Opened {
  readonly store: Store;
  readonly service: Service;
}

/** Makes the service on an open store. */
type Begin = (store: Store, log: Log) => Promise<Service>;

/** Waits for a database that starts a little later; complains of a wrong setting at once. Undefined: it was stopped meanwhile. */
export async function openPatiently(
  config: Config,
  log: Log,
  stop: Promise<string>,
  begin: Begin,
): Promise<Opened | undefined> {
  let stopping = false;
  const stopped = stop.then(() => {
    stopping = true;
  });
  const voice = createVoice(config, log);
  const room = createWaitingRoom(config, voice);
  try {
    while (!stopping) {
      voice.begin();
      const late = setTimeout(room.open, LATE_MS);
      const watching = setInterval(voice.look, LOOK_MS);
      try {
        const opening = open(config, voice.log, (store) => begin(store, voice.log));
        const opened = await Promise.race([opening, stopped.then(() => sleep(GRACE_MS, undefined, { ref: false }))]);
        if (opened) return opened;
        // It may go on for ever. What is opened after all is not used.
        opening.then(
          ({ store, service }) => service.close().then(() => store.close()),
          () => {},
        );
      } catch (error) {
        const local = config.databaseUrl.startsWith('sqlite:');
        // A file on a full disk may need room for what a restart writes first.
        if (!failed(error, 'away', 'again') || (local && !onlyReadable(error))) throw complain(error, config);
        voice.failed(error);
        await room.open();
      } finally {
        clearTimeout(late);
        clearInterval(watching);
      }
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, RETRY_MS))]);
    }
    return undefined;
  } finally {
    await room.close();
  }
}

async function open(config: Config, log: Log, begin: (store: Store) => Promise<Service>): Promise<Opened> {
  const store = await openStore(config.databaseUrl, { connections: config.databaseConnections });
  try {
    await insistOnDurability(store, config);
    await sayUnwritable(store, log);
    return { store, service: await begin(store) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A 2xx promises that a crash loses nothing. At the as-is level another application receives. */
async function insistOnDurability(store: Store, config: Config): Promise<void> {
  if (!store.extended || store.db.kind === 'sqlite' || config.allowUnsafeDurability) return;
  const unsafe = await readUnsafe(store.db);
  if (unsafe.length === 0) return;
  throw new Complaint(
    `${masked(config.databaseUrl)}: ${unsafe.map(({ found, fix }) => `${found}. To put it right: ${fix}`).join('\n')}
To receive all the same: --allow-unsafe-durability, or ALLOW_UNSAFE_DURABILITY=1`,
    2,
  );
}

/** All can be read, and what is missing can be set while it is. */
async function sayUnwritable({ db }: Store, log: Log): Promise<void> {
  const unwritable = db.kind === 'mysql' ? unwritableIn(await readVariables(db, BINLOG)) : undefined;
  if (unwritable) log.error({ fix: unwritable.fix }, `${unwritable.found}. To put it right: ${unwritable.fix}`);
}

type Voice = ReturnType<typeof createVoice>;

/** Says why the start takes long. What the parts of the service say themselves, while they are started, counts, and is said again. */
function createVoice(config: Config, log: Log) {
  const database = masked(config.databaseUrl);
  let saidAt = 0;
  let last: { readonly data: object; readonly message: string } | undefined;
  let cause: Cause | undefined;
  const say = (data: object, message: string): void => {
    saidAt = performance.now();
    log.warn(data, message);
  };
  const noting = (level: 'warn' | 'error') => (data: object, message: string) => {
    last = { data, message };
    cause = 'error' in data ? causeOf(data.error) : cause;
    saidAt = performance.now();
    log[level](data, message);
  };
  return {
    log: {
      debug: (data, message) => log.debug(data, message),
      info: (data, message) => log.info(data, message),
      warn: noting('warn'),
      error: noting('error'),
    } satisfies Log,
    begin(): void {
      saidAt = performance.now();
      last = undefined;
    },
    failed(error: unknown): void {
      cause = causeOf(error);
      say({ database, ...inWords(cause), reason: (error as Error).message }, 'waiting for the database');
    },
    /** Says something when nothing was said for long. */
    look(): void {
      if (performance.now() - saidAt < SILENT_MS) return;
      if (last) say(last.data, last.message);
      else if (config.databaseUrl.startsWith('sqlite:'))
        say({ database }, 'still opening the database: with a large file it takes its time');
      else {
        cause = causeOf(noAnswer(SILENT_MS / 1000));
        say({ database, ...inWords(cause) }, 'waiting for the database');
      }
    },
    get cause(): Cause | undefined {
      return cause;
    },
  };
}

const inWords = (cause: Cause | undefined): object =>
  cause ? { cause: cause.code, found: cause.found, fix: cause.fix } : {};

/** Answers every request with 503 while nothing can be served: a sender tries again, and a balancer knows. */
function createWaitingRoom(config: Config, voice: Pick<Voice, 'cause'>) {
  const why = (authorization: string | undefined): string => {
    const { metricsToken } = config;
    const given = authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : undefined;
    const { cause } = voice;
    return cause && metricsToken && given && sameSecret(Buffer.from(given), Buffer.from(metricsToken))
      ? ` ${cause.code}: ${cause.found}. ${cause.fix}`
      : '';
  };
  const made = createServer((request, response) => {
    const problem = unavailable(
      `The service waits for its database. Try again soon.${why(request.headers.authorization)}`,
    );
    const { body, headers } = written(problem);
    request.resume();
    response.writeHead(problem.status, headers).end(request.method === 'HEAD' ? '' : body);
  });
  let opened: Promise<void> | undefined;
  return {
    open(): Promise<void> {
      opened ??= new Promise((resolve) => {
        // Where the port is taken the service says so when it listens itself.
        made.once('error', () => resolve());
        made.listen({ host: config.host, port: config.port }, resolve);
      });
      return opened;
    },
    async close(): Promise<void> {
      await opened;
      if (!made.listening) return;
      const closed = new Promise((resolve) => made.close(resolve));
      made.closeAllConnections();
      await closed;
    },
  };
}
