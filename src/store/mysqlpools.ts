// Pools of connections to MySQL: to which of its hosts, how they are opened, and how many are open, in use and waited for.
import { isIP } from 'node:net';
import mysql from 'mysql2';
import { type Host, hostText, type MysqlUrl } from '../databaseurl.ts';
import type { Hosts } from './db.ts';
import { isUnreachable, toStoreError } from './mysqlfailures.ts';
import { keepTypesAlone } from './mysqlstatements.ts';

// 2 tables x about 70 sizes, and the rest of the program; the server's own limit is 16,382 for all connections.
const PREPARED_STATEMENTS = 300;
const STEP_TIMEOUT_MS = 4_000;
const END_MS = 1_000;

const opened = new WeakMap<object, number>();
/** When a connection was opened, in performance.now(). */
export const openedAt = (connection: object): number => opened.get(connection) ?? Number.POSITIVE_INFINITY;

const steps = new WeakMap<object, number>();
/**
 * From one id of a multi-row INSERT on a connection to the next. Of the session and not of the server: a cluster changes it
 * when a node joins, an administrator whenever he likes, and a connection keeps what it was opened with.
 */
export async function stepOf(connection: mysql.PoolConnection): Promise<number> {
  const known = steps.get(connection);
  if (known !== undefined) return known;
  const step = await new Promise<number>((resolve, reject) =>
    connection.query<mysql.RowDataPacket[]>(
      { sql: 'SELECT @@SESSION.auto_increment_increment AS step', timeout: STEP_TIMEOUT_MS },
      (error, rows) => (error ? reject(toStoreError(error)) : resolve(rows[0]?.step ?? 1)),
    ),
  );
  steps.set(connection, step);
  return step;
}

/** Connections of one kind; to each host those that are needed. */
export interface Pool {
  to(host: number): mysql.Pool;
  end(): Promise<void>;
}

/** Politely; a server that hangs does not answer, and nobody waits for it. */
async function ended(pool: mysql.Pool): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  await Promise.race([
    new Promise<void>((resolve) => pool.end(() => resolve())),
    new Promise<void>((resolve) => {
      late = setTimeout(resolve, END_MS);
    }),
  ]);
  clearTimeout(late);
}

/** Anybody has a certificate that is believed, for a name of his own. mysql2 knows no name where the host is an address. */
const tlsTo = (host: string, verified: boolean): mysql.SslOptions => ({
  rejectUnauthorized: verified,
  verifyIdentity: verified && isIP(host) === 0,
  minVersion: 'TLSv1.2',
});

/** In their order: where somebody else has left some already, one begins in the midst of them. */
const noneOf = (reasons: ReadonlyMap<number, string>, cause: unknown): Error =>
  new Error(
    `none of its hosts can be reached: ${[...reasons]
      .sort(([a], [b]) => a - b)
      .map(([, reason]) => reason)
      .join('; ')}`,
    { cause },
  );

export function createPools({ hosts, user, password, database, tls }: MysqlUrl) {
  const names = hosts.map(hostText);
  const open = new Map<mysql.PoolConnection, number>();
  const busy = new Set<object>();
  let waiting = 0;
  // The host of all pools: what a process wrote it reads again, which another node of a cluster may show a moment later.
  let here = 0;
  let told = 0;
  let left = '';
  let tell: Parameters<Hosts['onMove']>[0] = () => {};

  function poolTo({ host, port }: Host, at: number, connectionLimit: number, init: readonly string[]): mysql.Pool {
    const made = mysql.createPool({
      host,
      port,
      user,
      password,
      database,
      charset: 'utf8mb4',
      connectTimeout: 3_000,
      connectionLimit,
      maxPreparedStatements: PREPARED_STATEMENTS,
      ...(tls === 'off' ? {} : { ssl: tlsTo(host, tls === 'on') }),
    });
    made.on('acquire', (connection) => void busy.add(connection));
    made.on('release', (connection) => {
      busy.delete(connection);
      if (at !== here) connection.destroy();
    });
    made.on('connection', (connection) => {
      opened.set(connection, performance.now());
      open.set(connection, at);
      keepTypesAlone(connection);
      const gone = () => {
        open.delete(connection);
        busy.delete(connection);
      };
      connection.once('end', gone).once('error', gone);
      // Queued on the fresh connection before anything of ours; one that could not be set up must not be used.
      for (const sql of init) connection.query(sql, (error) => error && connection.destroy());
    });
    return made;
  }

  /** Each connection runs `init` first. */
  function pool(connectionLimit: number, ...init: string[]): Pool {
    const made = new Map<number, mysql.Pool>();
    return {
      to(host) {
        const one = made.get(host) ?? poolTo(hosts[host] as Host, host, connectionLimit, init);
        made.set(host, one);
        return one;
      },
      async end() {
        await Promise.all([...made.values()].map(ended));
      },
    };
  }

  const connect = (from: mysql.Pool): Promise<mysql.PoolConnection> =>
    new Promise((resolve, reject) => {
      waiting++;
      from.getConnection((error, connection) => {
        waiting--;
        if (error) reject(error);
        else resolve(connection);
      });
    });

  /** The next host, for all pools; unless somebody has gone there already. Nothing is read from this one any more. */
  function leave(host: number, reason: string): void {
    if (host !== here) return;
    if (host === told) left = reason;
    here = (host + 1) % hosts.length;
    for (const [connection, at] of open) if (at === host && !busy.has(connection)) connection.destroy();
  }

  /** A connection to the host that is used, or to the first one after it that can be connected to. */
  async function borrow(from: Pool): Promise<mysql.PoolConnection> {
    const reasons = new Map<number, string>();
    for (;;) {
      const host = here;
      try {
        const connection = await connect(from.to(host));
        if (host === here) {
          if (host !== told) tell(names[told] as string, names[host] as string, left);
          told = host;
          return connection;
        }
        connection.destroy();
      } catch (error) {
        if (hosts.length === 1 || !isUnreachable(error)) throw toStoreError(error);
        const { message } = error as Error;
        reasons.set(host, `${names[host]}: ${message}`);
        leave(host, message);
        if (reasons.size === hosts.length) throw toStoreError(noneOf(reasons, error));
      }
    }
  }

  return {
    pool,
    borrow,
    connections: () => ({ open: open.size, busy: busy.size, waiting }),
    hosts:
      hosts.length === 1
        ? undefined
        : {
            now: () => names[here] as string,
            onMove(then: typeof tell) {
              tell = then;
            },
          },
  };
}
