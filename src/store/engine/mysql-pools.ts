// Pools of connections to MySQL: to which of its hosts they lead, how many are open, and how what is given up is ended in the server.
import { connect as connectTo, isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2';
import { type Host, hostText, type MysqlUrl } from '../../config/database-url.ts';
import type { Hosts } from '../db.ts';
import { createBudget, type Share } from './budget.ts';
import { fromMysqlError, isFull, isUnreachable, worded } from './mysql-failures.ts';
import { type SessionKind, setSession } from './mysql-session.ts';

const END_MS = 1_000;
// Statements that wait to be ended in the server. While it hangs there may be more: those end by their own limit.
const MOST_KILLS = 64;
const KILL_TIMEOUT_MS = 4_000;
// While the server refuses us every connection, for others have taken them all, a call waits so long before it fails.
const FULL_MS = 2_000;
const FULL_PAUSE_MS = 200;
/** Which server answers, in SQL: a number of a connection means nothing on another one. */
export const THIS_SERVER = "CONCAT(@@hostname, ':', @@port, ' #', @@server_id)";

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

export function createPools(url: MysqlUrl) {
  const { hosts } = url;
  const clustered = hosts.length > 1;
  const names = hosts.map(hostText);
  const open = new Map<mysql.PoolConnection, { readonly host: number; readonly from: mysql.Pool }>();
  /** Connections in use, with the share that their turn is given back to; undefined while they are made. */
  const busy = new Map<mysql.PoolConnection, Share | undefined>();
  const budget = createBudget();
  let opening = 0;
  /** The calls that wait for a connection, with their host. */
  const waiting = new Map<(error: Error) => void, number>();
  // One host for all pools: a process reads its own writes, which another node of a cluster may show a moment later.
  let here = 0;
  let told = 0;
  let left = '';
  let tell: Parameters<Hosts['onMove']>[0] = () => {};

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
        connection.once('end', gone).once('error', gone);
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
        ready.then(
          () => done(connection),
          (failure) => {
            connection.destroy();
            fail(failure);
          },
        );
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
    dropIdle(host);
    for (const [fail, at] of waiting) if (at === host) fail(error);
  }

  /** A connection to the host that is used, or to the first one after it that can be connected to. */
  async function borrow(from: Pool): Promise<mysql.PoolConnection> {
    const reasons = new Map<number, string>();
    const began = performance.now();
    for (;;) {
      await budget.take(from.share);
      const host = here;
      try {
        const connection = await connect(from, host);
        if (host === here) {
          if (host !== told) tell(names[told] as string, names[host] as string, left);
          told = host;
          return connection;
        }
        connection.destroy();
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
        if (!clustered || !isUnreachable(error)) throw fromMysqlError(error);
        reasons.set(host, `${names[host]}: ${(error as Error).message}`);
        leave(host, error as Error);
        if (reasons.size === hosts.length) throw fromMysqlError(noneOf(reasons, error));
      }
    }
  }

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
      const server = servers.get(connection);
      const { threadId } = connection;
      drop(connection);
      // mysql2 would read what still comes to its end, which may be gigabytes.
      (connection as Inside).stream?.destroy();
      if (host !== undefined && server !== undefined && threadId !== null) void kill(host, server, threadId);
    },
    async end(): Promise<void> {
      await Promise.all(all.map(ended));
    },
    connections: () => ({ open: open.size, busy: busy.size, waiting: waiting.size + budget.waiting(killer.share) }),
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

const servers = new WeakMap<object, string>();

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
  const [row] = await ask(`SELECT ${THIS_SERVER} AS server`);
  if (row) servers.set(connection, row.server);
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
