// Pools of connections to MySQL: to which of its hosts they lead, how many are open, and how what is given up is ended in the server.
import { connect as connectTo, isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2';
import { type Host, hostText, type MysqlUrl } from '../../config/database-url.ts';
import { failed, type Hosts, type ServerChange, StoreError } from '../db.ts';
import { createBudget, type Share } from './budget.ts';
import { fromMysqlError, isFull, isUnreachable, worded } from './mysql-failures.ts';
import { isReadOnly, READ_ONLY, serversError, THIS_SERVER } from './mysql-server.ts';
import { type SessionKind, setSession } from './mysql-session.ts';

const END_MS = 1_000;
// Statements that wait to be ended in the server. While it hangs there may be more: those end by their own limit.
const MOST_KILLS = 64;
const KILL_TIMEOUT_MS = 4_000;
// While the server refuses us every connection, for others have taken them all, a call waits so long before it fails.
const FULL_MS = 2_000;
const FULL_PAUSE_MS = 200;
const MOST_LEFT = 100;
// How often it is asked where the name leads now. A revoked token must not live for more than 5 s on a server that was left.
const LEADS_EVERY_MS = 2_000;
// The same while it leads to one that is read-only: a failover is under way.
const SOON_MS = 250;
// A server that was left is gone back to when so many connections in a row reach it: a balancer would lead to each by turns.
const STRAYS = 3;
// So often a connection is made anew that has reached another server than the one that is used.
const MOST_STRAYS = 12;

/** Connections of one kind, with a pool for each host that is used. */
export interface Pool {
  readonly share: Share;
  to(host: number): mysql.Pool;
}

/** Ends the connections properly, but does not wait long for a server that hangs. */
const ended = (pool: mysql.Pool): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(resolve, END_MS);
    pool.end(() => {
      clearTimeout(late);
      resolve();
    });
  });

/** The same for one connection. */
const ending = (connection: mysql.PoolConnection): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(() => {
      connection.destroy();
      resolve();
    }, END_MS);
    (connection as Inside).stream?.once('close', () => {
      clearTimeout(late);
      resolve();
    });
    connection.end();
  });

/** The hosts in their order, which may not be the order in which they were tried. */
const noneOf = (reasons: ReadonlyMap<number, string>, cause: unknown): Error =>
  new Error(
    `none of its hosts can be reached: ${[...reasons]
      .sort(([a], [b]) => a - b)
      .map(([, reason]) => reason)
      .join('; ')}`,
    { cause },
  );

/** The server that answers, and whether it may be written to. */
interface Server {
  readonly name: string;
  readonly readOnly: boolean;
}
type Fail = (error: StoreError) => void;

/**
 * Pools that lead to one server, all of them. Behind one name may be another server from one moment to the next: a replica was
 * promoted, and connections that are open still lead to the old primary. What is read there and here does not belong together. So
 * each new connection tells its server before it is used, and when that is another one, or the one that is used may not be written to
 * any more, all connections end, and what runs on them fails. That begins a new term.
 */
export function createPools(url: MysqlUrl) {
  const { hosts } = url;
  const clustered = hosts.length > 1;
  const names = hosts.map(hostText);
  const open = new Map<mysql.PoolConnection, { readonly host: number; readonly from: mysql.Pool }>();
  /** Connections in use, with the share that their turn is given back to; undefined while they are made. */
  const busy = new Map<mysql.PoolConnection, Share | undefined>();
  const budget = createBudget();
  /** Connections that the server counts, and that are not in `open`. */
  let opening = 0;
  /** The calls that wait for a connection, with their host. */
  const waiting = new Map<(error: Error) => void, number>();
  // One host for all pools: a process reads its own writes, which another node of a cluster may show a moment later.
  let here = 0;
  let told = 0;
  let left = '';
  let tell: Parameters<Hosts['onMove']>[0] = () => {};
  let term = 1;
  /** Undefined between two terms: the next connection tells. */
  let used: Server | undefined;
  let before: Server | undefined;
  let why = '';
  const terms = new Set<() => void>();
  let onServer: (change: ServerChange) => void = () => {};
  const leftServers = new Set<string>();
  const strays = { name: '', count: 0, at: 0 };
  const dead = new WeakMap<object, StoreError>();
  const running = new WeakMap<object, Set<Fail>>();
  const judged = new WeakSet<object>();

  const all: mysql.Pool[] = [];

  // Settings that the servers refuse.
  const refused = new Set<string>();

  /** Gives back what a connection counts for, once. */
  function idle(connection: mysql.PoolConnection): void {
    const share = busy.get(connection);
    if (busy.delete(connection) && share) budget.give(share);
  }

  /** At most `most` connections are in use at once. Each sets its session first. */
  function pool(most: number, session: SessionKind): Pool {
    const made = new Map<number, mysql.Pool>();
    const share: Share = { most, used: 0 };
    function make(host: number): mysql.Pool {
      const one = poolTo(hosts[host] as Host, url);
      one.on('acquire', (connection) => void busy.set(connection, undefined));
      one.on('release', (connection) => {
        if (host !== here) connection.destroy();
        // The one that has been idle for longest stays first.
        else if (open.delete(connection)) open.set(connection, { host, from: one });
        idle(connection);
      });
      one.on('connection', (connection) => {
        open.set(connection, { host, from: one });
        const gone = () => {
          open.delete(connection);
          idle(connection);
        };
        connection.once('end', gone).once('error', (error: Error) => {
          gone();
          failRunning(connection, fromMysqlError(error));
        });
        // A connection that we end ourselves emits neither event over TLS, or after a reset.
        const [destroy, end] = [connection.destroy.bind(connection), connection.end.bind(connection)];
        connection.destroy = () => {
          gone();
          destroy();
        };
        connection.end = () => {
          gone();
          end();
        };
        setUp(connection, session, clustered, refused);
      });
      made.set(host, one);
      all.push(one);
      return one;
    }
    return { share, to: (host) => made.get(host) ?? make(host) };
  }

  const isIdle = (from: mysql.Pool): boolean => {
    for (const [connection, at] of open) if (at.from === from && !busy.has(connection)) return true;
    return false;
  };

  /** Ends the connection that has been idle for longest, in the server too: it counts it until then. */
  async function makeRoom(): Promise<void> {
    for (const connection of open.keys()) if (!busy.has(connection)) return ending(connection);
  }

  /** Uses up a turn of the budget: it is given back when this fails, or when the connection is released or broken. */
  async function connect({ share, to }: Pool, host: number): Promise<mysql.PoolConnection> {
    const from = to(host);
    const opens = !isIdle(from);
    if (opens) opening++;
    if (opens && open.size + opening > budget.allowed()) await makeRoom();
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        if (!waiting.delete(fail)) return;
        budget.give(share);
        reject(error);
      };
      const done = (connection: mysql.PoolConnection) => {
        if (!open.has(connection)) return fail(broken());
        // It comes too late: its host was left.
        if (!waiting.delete(fail)) return connection.destroy();
        busy.set(connection, share);
        resolve(connection);
      };
      waiting.set(fail, host);
      from.getConnection((error, connection) => {
        if (opens) opening--;
        if (error) return fail(worded(error));
        const ready = settingUp.get(connection);
        if (!ready) return done(connection);
        settingUp.delete(connection);
        // Its term may end while it is set up. Whatever else breaks it, `ready` tells.
        const off = whileUsed(connection, (failure) => isMoved(failure) && fail(failure));
        ready
          .then(
            () => done(connection),
            (failure) => {
              connection.destroy();
              fail(failure);
            },
          )
          .finally(off);
      });
    });
  }

  /** Drops idle connections to a host that may be gone: one new connection finds out, instead of each call by its own failure. */
  function dropIdle(host: number): void {
    for (const [connection, at] of open) if (at.host === host && !busy.has(connection)) connection.destroy();
  }

  function drop(connection: mysql.PoolConnection): void {
    const host = open.get(connection)?.host;
    connection.destroy();
    if (clustered && host !== undefined) dropIdle(host);
  }

  /** All pools go on to the next host, unless they have left this one already. Nothing is read from this one any more. */
  function leave(host: number, error: Error): void {
    if (host !== here) return;
    if (host === told) left = error.message;
    here = (host + 1) % hosts.length;
    endTerm(error.message);
    for (const [fail, at] of waiting) if (at === host) fail(error);
  }

  /** Ends all connections but one, with what runs on them. */
  function endTerm(reason: string, but?: object): void {
    term++;
    why = reason;
    if (used) {
      before = used;
      leftServers.add(used.name);
    }
    used = undefined;
    for (const begin of terms) begin();
    for (const connection of [...open.keys()]) {
      if (connection === but) continue;
      const error = movedError(reason);
      dead.set(connection, error);
      connection.destroy();
      (connection as Inside).stream?.destroy();
      failRunning(connection, error);
    }
  }

  function failRunning(connection: object, error: StoreError): void {
    const fails = [...(running.get(connection) ?? [])];
    running.delete(connection);
    for (const fail of fails) fail(error);
  }

  /** Calls `fail` when the term of a connection ends. Call what it returns when the connection is not used any more. */
  function whileUsed(connection: object, fail: Fail): () => void {
    const error = dead.get(connection);
    if (error) queueMicrotask(() => fail(error));
    const all = running.get(connection) ?? new Set();
    running.set(connection, all.add(fail));
    return () => void all.delete(fail);
  }

  /** A connection has reached this server. False: it is not the one that is used, and the connection must not be. */
  function reached(server: Server, connection: object): boolean {
    if (used && used.name === server.name && !(server.readOnly && !used.readOnly)) {
      strays.count = 0;
      used = server;
      return true;
    }
    if (used && used.name !== server.name && leftServers.has(server.name)) {
      if (strays.name !== server.name) Object.assign(strays, { name: server.name, count: 0, at: 0 });
      // Those that were opened at once say no more than one: of two servers that take turns the faster one answers first to all.
      if (openedAt(connection) < strays.at) return false;
      strays.count++;
      strays.at = performance.now();
      if (strays.count < STRAYS) return false;
    }
    if (used)
      endTerm(server.name === used.name ? readOnlyText(server) : `new connections lead to ${server.name}`, connection);
    if (leftServers.size > MOST_LEFT) leftServers.clear();
    leftServers.delete(server.name);
    strays.count = 0;
    used = server;
    if (before && (before.name !== server.name || before.readOnly !== server.readOnly))
      onServer({ from: before.name, to: server.name, readOnly: server.readOnly, reason: why });
    return true;
  }

  /** A statement was refused as a server refuses it that was the primary, or has lost its cluster: others may lead elsewhere now. */
  function doubt(connection: object, error: StoreError): void {
    if (!dead.has(connection) && used && !used.readOnly && open.has(connection as mysql.PoolConnection))
      endTerm(error.message);
  }

  /** A connection to the host that is used, or to the first one after it that can be connected to, and written to if one can. */
  async function borrow(from: Pool): Promise<mysql.PoolConnection> {
    const reasons = new Map<number, string>();
    const began = performance.now();
    let reader: number | undefined;
    const pass = (host: number, error: Error): void => {
      reasons.set(host, `${names[host]}: ${error.message}`);
      leave(host, error);
      if (reasons.size < hosts.length) return;
      if (reader === undefined) throw fromMysqlError(noneOf(reasons, error));
      here = reader;
    };
    for (let tries = 1; tries <= MOST_STRAYS; ) {
      await budget.take(from.share);
      const host = here;
      try {
        const connection = await connect(from, host);
        const server = servers.get(connection);
        const found = server !== undefined && host === here && !dead.has(connection);
        // Those that were judged lead to the server of this term.
        if (found && judged.has(connection)) return connection;
        if (found && clustered && server.readOnly && !used && reasons.size < hosts.length) {
          reader ??= host;
          connection.destroy();
          pass(host, new Error('it is read-only'));
        } else if (found && reached(server, connection)) {
          if (host !== told) tell(names[told] as string, names[host] as string, left);
          told = host;
          judged.add(connection);
          return connection;
        } else {
          if (found) tries++;
          connection.destroy();
        }
      } catch (error) {
        if (isFull(error)) {
          // We make do with what we have, or wait until others give one back.
          budget.lower(open.size);
          if (open.size > 0) continue;
          if (performance.now() - began < FULL_MS) {
            await sleep(FULL_PAUSE_MS);
            continue;
          }
        }
        // Its term has ended while it was set up: the next connection belongs to the new one.
        if (failed(error, 'away') && isMoved(error)) continue;
        if (!clustered || !isUnreachable(error)) throw fromMysqlError(error);
        pass(host, error as Error);
      }
    }
    const several = [...leftServers, used?.name ?? ''];
    throw serversError(`new connections lead to several servers by turns: ${several.join(', ')}`);
  }

  // Each time a new one, which counts until the server has ended it, also where the account may have few.
  const asker = pool(1, {});
  /** A new connection to a host, which has told its server and is closed. */
  async function closedAt(host: number): Promise<mysql.PoolConnection> {
    await budget.take(asker.share);
    const connection = await connect(asker, host);
    if (!open.has(connection)) throw broken();
    // From here on we give its turn back ourselves.
    busy.set(connection, undefined);
    opening++;
    await ending(connection);
    opening--;
    budget.give(asker.share);
    return connection;
  }

  /** Where the name leads now. What is open says nothing about that: it may lead to a server that was left by all others. */
  async function ask(): Promise<void> {
    // While others have taken all connections, what we have must not be given up for this.
    if (!used || budget.full()) return;
    const asked = term;
    try {
      for (const host of used.readOnly && clustered ? hosts.keys() : [here])
        for (let tries = 0; tries < STRAYS; tries++) {
          const connection = await closedAt(host);
          const server = servers.get(connection);
          if (closed || term !== asked || !server) return;
          if (host !== here && server.readOnly) break;
          if (host !== here) {
            endTerm(`${names[host]} may be written to`);
            here = host;
          } else if (reached(server, connection)) break;
        }
    } catch (error) {
      // Whatever else it is, the next connection that is needed finds out.
      if (isFull(error)) budget.lower(open.size);
    }
  }
  let closed = false;
  let asks: NodeJS.Timeout | undefined;
  function askLater(): void {
    asks = setTimeout(() => void ask().finally(() => closed || askLater()), used?.readOnly ? SOON_MS : LEADS_EVERY_MS);
    asks.unref();
  }
  askLater();

  // Over a connection of its own: all others may be busy.
  const killer = pool(1, {});
  let kills = 0;
  /** A server that is asked to end a connection ends its statement, and needs no right to do so: the account is the same. */
  async function kill(host: number, server: string, id: number): Promise<void> {
    if (kills === MOST_KILLS) return;
    kills++;
    try {
      await budget.take(killer.share);
      if (host !== here) return budget.give(killer.share);
      const connection = await connect(killer, host);
      const ask = (sql: string) =>
        new Promise<mysql.RowDataPacket[]>((resolve, reject) =>
          connection.query<mysql.RowDataPacket[]>({ sql, timeout: KILL_TIMEOUT_MS }, (error, rows) =>
            error ? reject(error) : resolve(rows),
          ),
        );
      try {
        // Behind one address may be another server by now, where this number is another connection, perhaps of another program.
        const [row] = await ask(`SELECT ${THIS_SERVER} AS server`);
        if (row?.server === server) await ask(`KILL ${id}`);
        connection.release();
      } catch (error) {
        if ((error as { errno?: number }).errno === NO_SUCH_THREAD) connection.release();
        else connection.destroy();
      }
    } catch {
      // The server cannot be reached: its own limit ends the statement.
    } finally {
      kills--;
    }
  }

  return {
    pool,
    borrow,
    /** From now on at most so many connections are open, of all pools together. */
    limit: budget.limit,
    /** Ends a connection that broke. */
    drop,
    /**
     * Ends a connection whose statement is given up, and the statement, which would run on in the server until its end. The
     * connection is never used again, so that no other statement can be hit.
     */
    abandon(connection: mysql.PoolConnection): void {
      const host = open.get(connection)?.host;
      const server = servers.get(connection)?.name;
      const { threadId } = connection;
      drop(connection);
      // mysql2 would read what still comes to its end, which may be gigabytes.
      (connection as Inside).stream?.destroy();
      if (host !== undefined && server !== undefined && threadId !== null) void kill(host, server, threadId);
    },
    whileUsed,
    doubt,
    term: () => term,
    onTerm: (begin: () => void): void => void terms.add(begin),
    onServer(listener: typeof onServer): void {
      onServer = listener;
    },
    /** The name of the server of a connection that was borrowed. */
    serverName: (connection: mysql.PoolConnection) => servers.get(connection)?.name ?? '',
    async end(): Promise<void> {
      closed = true;
      clearTimeout(asks);
      await Promise.all(all.map(ended));
    },
    connections: () => ({
      open: open.size,
      busy: busy.size,
      waiting: waiting.size + budget.waiting(killer.share, asker.share),
    }),
    hosts: clustered
      ? {
          now: () => names[here] as string,
          onMove(then: typeof tell) {
            tell = then;
          },
        }
      : undefined,
  };
}

// One connection: how it is made and set up, since when it is open, and how its ids follow each other.

// 2 tables with about 70 sizes each, and the other statements; the server's own limit is 16,382 for all connections.
const PREPARED_STATEMENTS = 300;
const STEP_TIMEOUT_MS = 4_000;
const UNKNOWN_VARIABLE = 1193;
const NO_SUCH_THREAD = 1094;

const opened = new WeakMap<object, number>();
/** When a connection was opened, in performance.now(). */
export const openedAt = (connection: object): number => opened.get(connection) ?? Number.POSITIVE_INFINITY;

const servers = new WeakMap<object, Server>();

/** What runs on a connection when its term ends. */
const MOVED = 'ANOTHER_SERVER';
const movedError = (reason: string): StoreError => {
  const error = new Error(
    `another server of the database may be the primary now, and this one is not used any more: ${reason}`,
  );
  return new StoreError('away', Object.assign(error, { code: MOVED }));
};
const isMoved = (error: unknown): boolean => ((error as StoreError).cause as { code?: unknown }).code === MOVED;
const readOnlyText = ({ readOnly }: Server): string => (readOnly ? 'it is read-only now' : 'it may be written to now');

type Asked = { readonly server: string; readonly ro: unknown };
const IDENTITY = `SELECT ${THIS_SERVER} AS server, ${READ_ONLY} AS ro`;
const toServer = (row: Asked | undefined): Server => ({ name: row?.server ?? '', readOnly: isReadOnly(row?.ro) });

const steps = new WeakMap<object, number>();
/**
 * The step from one id of a multi-row INSERT to the next. Of the session, not of the server: a cluster changes the server's when a
 * node joins, an administrator may change it at any time, and a connection keeps the one it was opened with.
 */
export async function stepOf(connection: mysql.PoolConnection): Promise<number> {
  const known = steps.get(connection);
  if (known !== undefined) return known;
  const step = await new Promise<number>((resolve, reject) =>
    connection.query<mysql.RowDataPacket[]>(
      { sql: 'SELECT @@SESSION.auto_increment_increment AS step', timeout: STEP_TIMEOUT_MS },
      (error, rows) => (error ? reject(fromMysqlError(error)) : resolve(rows[0]?.step ?? 1)),
    ),
  );
  steps.set(connection, step);
  return step;
}

// Without the check of the name any trusted certificate would do. mysql2 has no name to check where the host is an address.
const tlsTo = (host: string, verified: boolean): mysql.SslOptions => ({
  rejectUnauthorized: verified,
  verifyIdentity: verified && isIP(host) === 0,
  minVersion: 'TLSv1.2',
});

const CONNECT_MS = 3_000;
// A little less, so that this is what is told.
const GREETING_MS = 2_500;
/** The first packet of a server: its number is 0, and then comes the version of the protocol, or an error. */
const isGreeting = (first: Buffer): boolean => first[3] === 0 && (first[4] === 10 || first[4] === 0xff);

const broken = (): Error => Object.assign(new Error('the connection broke'), { code: 'PROTOCOL_CONNECTION_LOST' });
const timedOut = (message: string, code = 'ETIMEDOUT'): Error => Object.assign(new Error(message), { code });

/** A socket that breaks with the reason when what answers is no server, or says nothing. */
function socketTo({ host, port }: Host): Socket {
  const socket = connectTo({ host, port, noDelay: true, keepAlive: true });
  const about = `${hostText({ host, port })}: `;
  socket.once('connect', () => {
    const late = setTimeout(
      () =>
        socket.destroy(timedOut(`${about}connected, and nothing came within ${GREETING_MS / 1000} s`, 'NO_GREETING')),
      GREETING_MS,
    );
    socket.once('close', () => clearTimeout(late));
    socket.once('data', (first: Buffer) => {
      clearTimeout(late);
      if (first.length >= 5 && !isGreeting(first))
        socket.destroy(Object.assign(new Error(`${about}it began with ${begun(first)}`), { code: 'NOT_MYSQL' }));
    });
  });
  return socket;
}
const MOST_BEGUN = 20;
const begun = (first: Buffer): string => JSON.stringify(first.toString('latin1', 0, MOST_BEGUN));

// More than the budget ever gives.
const MOST_CONNECTIONS = 10_000;
// Then it is given back: other programs may have need of it.
const IDLE_MS = 60_000;

/** A pool of connections to one host. How many there are is bounded by the budget. */
function poolTo(to: Host, { user, password, database, tls }: MysqlUrl): mysql.Pool {
  return mysql.createPool({
    ...to,
    user,
    password,
    database,
    charset: 'utf8mb4',
    stream: () => socketTo(to),
    connectTimeout: CONNECT_MS,
    connectionLimit: MOST_CONNECTIONS,
    // Ended connections say goodbye: a server that is told counts them no longer.
    gracefulEnd: true,
    maxIdle: MOST_CONNECTIONS - 1,
    idleTimeout: IDLE_MS,
    maxPreparedStatements: PREPARED_STATEMENTS,
    ...(tls === 'off' ? {} : { ssl: tlsTo(to.host, tls === 'on') }),
  });
}

/**
 * A node of a cluster has received what the others have committed, but may show it a moment later: a new session waits once.
 * Galera knows the first setting, Group Replication the second; other servers know neither.
 */
const CATCH_UP: readonly string[] = [
  'SET SESSION wsrep_sync_wait = 1',
  "SET SESSION group_replication_consistency = 'BEFORE'",
  'SELECT 1',
  'SET SESSION wsrep_sync_wait = DEFAULT',
  'SET SESSION group_replication_consistency = DEFAULT',
];

const settingUp = new WeakMap<object, Promise<void>>();

/** Sets up a new connection before its first statement. One that could not be set up must not be used: `settingUp` rejects. */
function setUp(connection: mysql.PoolConnection, session: SessionKind, clustered: boolean, refused: Set<string>): void {
  opened.set(connection, performance.now());
  keepTypesAlone(connection);
  const ready = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(timedOut('it signs us in, and answers nothing then')), CONNECT_MS);
    setAll(connection, session, clustered, refused)
      .then(resolve, reject)
      .finally(() => clearTimeout(late));
  });
  // It is looked at when the connection is handed out, which is now.
  ready.catch(() => {});
  settingUp.set(connection, ready);
}

async function setAll(
  connection: mysql.PoolConnection,
  session: SessionKind,
  clustered: boolean,
  refused: Set<string>,
): Promise<void> {
  const ask = (sql: string) =>
    new Promise<mysql.RowDataPacket[]>((resolve, reject) =>
      connection.query<mysql.RowDataPacket[]>(sql, (error, rows) => (error ? reject(error) : resolve(rows))),
    );
  await setSession(ask, session, refused);
  const [row] = await ask(IDENTITY);
  servers.set(connection, toServer(row as Asked | undefined));
  for (const sql of clustered ? CATCH_UP : [])
    await ask(sql).catch((error: { errno?: number }) => {
      if (error.errno !== UNKNOWN_VARIABLE) throw error;
    });
}

// Keeps prepared statements of mysql2 small: of the definition of each parameter only the type is ever used.

interface Hint {
  readonly columnType: number;
  readonly flags: number;
}
interface Statement {
  parameters: readonly Hint[];
}
/** What the types of mysql2 leave out of a connection: its socket, and its prepared statements by their text. */
interface Inside {
  readonly stream?: { destroy(): void; once(event: 'close', then: () => void): unknown };
  readonly _statements?: { set(key: string, statement: Statement): unknown };
}

const HINTS = new Map<number, Hint>();
function hintOf({ columnType, flags }: Hint): Hint {
  const key = columnType * 65_536 + flags;
  const known = HINTS.get(key) ?? { columnType, flags };
  HINTS.set(key, known);
  return known;
}

/**
 * A definition takes 200 bytes and holds on to the network buffer it came in; a statement for 64 rows of 13 columns has 832,
 * and there are hundreds on each connection: 60 MB after an hour. `encode_parameter.js` of mysql2 reads the two fields that stay.
 */
function keepTypesAlone(connection: object): void {
  const kept = (connection as Inside)._statements;
  if (!kept) return;
  const set = kept.set.bind(kept);
  kept.set = (key, statement) => {
    statement.parameters = statement.parameters.map(hintOf);
    return set(key, statement);
  };
}
