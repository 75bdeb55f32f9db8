// A process of ours in a world: the real program below its HTTP framework, on simulated sockets, timers and database.
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { startChores } from '../../../src/cli/serve.ts';
import { type Config, readConfig } from '../../../src/config/config.ts';
import type { Log } from '../../../src/observe/log.ts';
import type { Memory } from '../../../src/observe/overload.ts';
import { createReceiver } from '../../../src/receiver/receiver.ts';
import { startPruner } from '../../../src/retention/retention.ts';
import { openParts, type ServiceParts } from '../../../src/service.ts';
import type { Db } from '../../../src/store/db.ts';
import { createEventIndex } from '../../../src/store/events.ts';
import { BASE, STEPS } from '../../../src/store/migrate/steps.ts';
import type { Store } from '../../../src/store/open.ts';
import { createRecent } from '../../../src/store/positions.ts';
import type { Actor, World } from '../world.ts';
import type { Server } from './server.ts';

const SECRETS_KEY = '11'.repeat(32);
const PUBLIC_URL = 'https://restante.test';
// After a start that failed, and after a process has died.
const RESTART_MS = 300;
// An hour of the chores is a second of the world.
const CHORES = { firstMs: 400, everyMs: 1_000 };
// A request is under way for less than an hour, and in a world for more than a second: what came too late is judged more often here.
const MOST_TIMES = 40;
// Of a process that is never short of memory.
const used = { rss: 1e6, heapTotal: 1e6, heapUsed: 1e6, external: 0, arrayBuffers: 0 };
const MEMORY: Memory = {
  memoryUsage: Object.assign(() => used, { rss: () => used.rss }),
  constrainedMemory: () => 0,
};

// No fault of a world leads to one of these.
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError];

/** What a world may do wrong on purpose, and where the program is given it. */
export interface Wrong {
  readonly db?: (db: Db, name: string) => Db;
  readonly parts?: (parts: ServiceParts) => ServiceParts;
}

export interface ProgramOptions {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  /** The longest a message takes between it and its clients. */
  readonly messageMs: number;
  readonly wrong: Wrong;
}

export interface Sent {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}
/** What a sender got; undefined: nothing, for the process has died. */
export type Answered = { readonly status: number; readonly body: string } | undefined;

export type Program = ReturnType<typeof createProgram>;
type Parts = ServiceParts & { readonly receiver: ReturnType<typeof createReceiver> };

export function createProgram(world: World, server: Server, { name, settings, messageMs, wrong }: ProgramOptions) {
  const config: Config = readConfig({
    DATABASE_URL: 'mysql://restante@simulated/restante',
    PUBLIC_URL,
    SECRETS_KEY,
    ...settings,
  });
  const log = (level: string) => (data: object, message: string) => {
    world.note(() => `${name} ${level}: ${message} ${JSON.stringify(data, reasonsOnly)}`);
    const { error } = data as { readonly error?: unknown };
    // What the program survives hides that nothing works: without this a world in which no request is stored looks well.
    if (MISTAKES.some((kind) => error instanceof kind)) world.violation(`${name}: ${message}: ${error}`);
  };
  const logs: Log = { debug: () => {}, info: log('info'), warn: log('warn'), error: log('error') };
  const delay = () => (world.chance(0.95) ? 0.1 + world.random() : world.random() * messageMs);

  /** One life of the process. */
  interface Life extends Actor {
    alive: boolean;
    pausedUntil: number;
    parts: Parts | undefined;
    /** Tells the clients whose calls are under way. */
    readonly clients: Set<() => void>;
    readonly database: { drop(): void };
  }
  let current: Life;

  async function boot(life: Life, db: Db): Promise<void> {
    const embedded = db.kind === 'sqlite';
    try {
      const events = embedded ? createEventIndex(db) : undefined;
      await events?.settle();
      const store: Store = {
        db,
        extended: true,
        state: { base: Object.keys(BASE), done: STEPS.length, indexed: true, index: 'tblwh_list', misfits: [] },
        recent: embedded ? createRecent() : undefined,
        events,
        close: async () => {},
      };
      const opened = await openParts({ store, config, log: logs, memory: MEMORY });
      const parts = wrong.parts?.(opened) ?? opened;
      startChores(parts, { ...CHORES, mostTimes: MOST_TIMES });
      startPruner({ db, days: config.retentionDays, foreign: config.pruneForeign, log: logs, ...CHORES });
      life.parts = { ...parts, receiver: createReceiver(parts) };
      world.note(() => `${name} serves`);
    } catch (error) {
      // It ends, and is started again.
      world.note(() => `${name} cannot start: ${error}`);
      end(life, RESTART_MS);
    }
  }
  function end(life: Life, downMs: number): void {
    life.alive = false;
    life.database.drop();
    for (const gone of life.clients) gone();
    world.later(downMs, start);
  }
  function start(): void {
    const life: Life = { alive: true, pausedUntil: 0, parts: undefined, clients: new Set(), database: { drop() {} } };
    const db = server.connect(life, name);
    Object.assign(life, { database: db });
    current = life;
    world.later(1, () => world.spawn(() => boot(life, wrong.db?.(db, name) ?? db)), life);
  }

  /** A call of a client, from the network and back to it. Undefined: the process has died, or does not serve yet. */
  function call<T>(
    work: (parts: Parts, life: Life) => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly error: unknown } | undefined> {
    const life = current;
    return new Promise((resolve) => {
      const gone = () => world.later(delay(), () => resolve(undefined));
      if (!life.alive || !life.parts) return void gone();
      life.clients.add(gone);
      const answer = (outcome: { readonly value: T } | { readonly error: unknown }) => {
        if (!life.alive) return;
        life.clients.delete(gone);
        world.later(delay(), () => resolve(outcome));
      };
      const arrive = () => {
        const { parts } = life;
        if (!parts) return;
        work(parts, life).then(
          (value) => answer({ value }),
          (error: unknown) => answer({ error }),
        );
      };
      world.later(delay(), arrive, life);
    });
  }

  start();
  return {
    name,
    call,
    get parts(): Parts | undefined {
      return current.alive && world.now() >= current.pausedUntil ? current.parts : undefined;
    },
    get serving(): boolean {
      return current.alive && current.parts !== undefined;
    },
    /** Sends a request to the receiver, its body in pieces. `queued`: the bytes that waited for the database when it came. */
    async post(sent: Sent, piece: number): Promise<{ readonly answer: Answered; readonly queued: number }> {
      let queued = 0;
      const outcome = await call<{ status: number; body: string }>(
        ({ receiver, writer }, life) =>
          new Promise((resolve, reject) => {
            queued = writer.waitingBytes;
            const request = requestOf(sent);
            const response = responseTo(request, (status, body) => resolve({ status, body }));
            let at = 0;
            const next = (): void => {
              if (at >= sent.body.length) {
                Object.assign(request, { complete: true });
                request.emit('end');
                request.emit('close');
                return;
              }
              request.emit('data', sent.body.subarray(at, at + piece));
              at += piece;
              world.later(delay(), next, life);
            };
            // As a socket does: it waits for its reader.
            let begun = false;
            request.on('newListener', (event) => {
              if (event === 'data' && !begun) world.later(delay(), next, life);
              begun ||= event === 'data';
            });
            receiver.take(request, response, false, () => reject(new Error('not below /in/')));
          }),
      );
      if (outcome && 'error' in outcome) throw outcome.error;
      return { answer: outcome?.value, queued };
    },
    /** Nothing of it acts for so long. */
    stall(ms: number): void {
      world.note(() => `${name} stands still for ${ms.toFixed(0)} ms`);
      current.pausedUntil = world.now() + ms;
    },
    /** Nothing of it acts any more; another one is started later. */
    kill(downMs: number): void {
      if (!current.alive) return;
      world.note(() => `${name} is killed`);
      end(current, downMs);
    },
  };
}

const reasonsOnly = (key: string, value: unknown) => (key === 'error' ? String(value) : value);

function requestOf({ path, headers, body }: Sent): IncomingMessage {
  const all = { ...headers, 'Content-Length': String(body.length) };
  return Object.assign(new EventEmitter(), {
    method: 'POST',
    url: path,
    httpVersion: '1.1',
    headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value])),
    rawHeaders: Object.entries(all).flat(),
    rawTrailers: [],
    socket: { remoteAddress: '192.0.2.7' },
    complete: false,
    destroyed: false,
    resume() {},
    destroy() {},
  }) as unknown as IncomingMessage;
}

function responseTo(request: IncomingMessage, answered: (status: number, body: string) => void): ServerResponse {
  let text = '';
  const response = {
    req: request,
    headersSent: false,
    destroyed: false,
    statusCode: 0,
    writeHead(status: number) {
      response.headersSent = true;
      response.statusCode = status;
      return response;
    },
    writeContinue() {},
    write(more: string) {
      text += more;
      return true;
    },
    end(more = '') {
      answered(response.statusCode, text + more);
      return response;
    },
  };
  return response as unknown as ServerResponse;
}
