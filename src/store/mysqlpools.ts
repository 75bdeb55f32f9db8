// Pools of connections to MySQL: to which of its hosts they lead, and how many are open, in use and waited for.
import type mysql from 'mysql2';
import { type Host, hostText, type MysqlUrl } from '../databaseurl.ts';
import type { Hosts } from './db.ts';
import { poolTo, setUp } from './mysqlconnections.ts';
import { isUnreachable, toStoreError, worded } from './mysqlfailures.ts';

const END_MS = 1_000;

/** Connections of one kind; to each host those that are needed. */
export interface Pool {
  to(host: number): mysql.Pool;
  end(): Promise<void>;
}

/** Politely; a server that hangs does not answer, and nobody waits for it. */
const ended = (pool: mysql.Pool): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(resolve, END_MS);
    pool.end(() => {
      clearTimeout(late);
      resolve();
    });
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

export function createPools(url: MysqlUrl) {
  const { hosts } = url;
  const clustered = hosts.length > 1;
  const names = hosts.map(hostText);
  const open = new Map<mysql.PoolConnection, number>();
  const busy = new Set<object>();
  /** Who waits for a connection, at which host. */
  const waiting = new Map<(error: Error) => void, number>();
  // The host of all pools: what a process wrote it reads again, which another node of a cluster may show a moment later.
  let here = 0;
  let told = 0;
  let left = '';
  let tell: Parameters<Hosts['onMove']>[0] = () => {};

  /** Each connection runs `init` first. */
  function pool(connectionLimit: number, ...init: string[]): Pool {
    const made = new Map<number, mysql.Pool>();
    function make(host: number): mysql.Pool {
      const one = poolTo(hosts[host] as Host, url, connectionLimit);
      one.on('acquire', (connection) => void busy.add(connection));
      one.on('release', (connection) => {
        busy.delete(connection);
        if (host !== here) connection.destroy();
      });
      one.on('connection', (connection) => {
        open.set(connection, host);
        const gone = () => {
          open.delete(connection);
          busy.delete(connection);
        };
        connection.once('end', gone).once('error', gone);
        // One that we end ourselves says neither when it goes over TLS, or is reset.
        const destroy = connection.destroy.bind(connection);
        connection.destroy = () => {
          gone();
          destroy();
        };
        setUp(connection, init, clustered);
      });
      made.set(host, one);
      return one;
    }
    return {
      to: (host) => made.get(host) ?? make(host),
      async end() {
        await Promise.all([...made.values()].map(ended));
      },
    };
  }

  const connect = (from: mysql.Pool, host: number): Promise<mysql.PoolConnection> =>
    new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        waiting.delete(fail);
        reject(error);
      };
      waiting.set(fail, host);
      from.getConnection((error, connection) => {
        if (error) fail(worded(error));
        else if (waiting.delete(fail)) resolve(connection);
        else connection.destroy();
      });
    });

  /** Whoever uses it next finds out whether its host is still there, and not each of them for itself. */
  function dropIdle(host: number): void {
    for (const [connection, at] of open) if (at === host && !busy.has(connection)) connection.destroy();
  }

  /** The next host, for all pools; unless somebody has gone there already. Nothing is read from this one any more. */
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
    for (;;) {
      const host = here;
      try {
        const connection = await connect(from.to(host), host);
        if (host === here) {
          if (host !== told) tell(names[told] as string, names[host] as string, left);
          told = host;
          return connection;
        }
        connection.destroy();
      } catch (error) {
        if (!clustered || !isUnreachable(error)) throw toStoreError(error);
        reasons.set(host, `${names[host]}: ${(error as Error).message}`);
        leave(host, error as Error);
        if (reasons.size === hosts.length) throw toStoreError(noneOf(reasons, error));
      }
    }
  }

  return {
    pool,
    borrow,
    /** Of a connection that broke, or did not answer in time. */
    drop(connection: mysql.PoolConnection): void {
      const host = open.get(connection);
      connection.destroy();
      if (clustered && host !== undefined) dropIdle(host);
    },
    connections: () => ({ open: open.size, busy: busy.size, waiting: waiting.size }),
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
