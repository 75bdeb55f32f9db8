// Pools of connections to MySQL: how they are opened, and how many are open, in use and waited for.
import mysql from 'mysql2';
import type { MysqlUrl } from '../databaseurl.ts';
import { toStoreError } from './mysqlfailures.ts';

// 2 tables x about 70 sizes, and the rest of the program; the server's own limit is 16,382 for all connections.
const PREPARED_STATEMENTS = 300;

const opened = new WeakMap<object, number>();
/** When a connection was opened, in performance.now(). */
export const openedAt = (connection: object): number => opened.get(connection) ?? Number.POSITIVE_INFINITY;

export function createPools({ host, port, user, password, database, tls }: MysqlUrl) {
  const open = new Set<object>();
  const busy = new Set<object>();
  let waiting = 0;

  /** Each connection runs `init` first. */
  function pool(connectionLimit: number, ...init: string[]): mysql.Pool {
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
      ...(tls === 'off' ? {} : { ssl: { rejectUnauthorized: tls === 'on', minVersion: 'TLSv1.2' } }),
    });
    made.on('acquire', (connection) => void busy.add(connection));
    made.on('release', (connection) => void busy.delete(connection));
    made.on('connection', (connection) => {
      opened.set(connection, performance.now());
      open.add(connection);
      connection.once('end', () => {
        open.delete(connection);
        busy.delete(connection);
      });
      // Queued on the fresh connection before anything of ours; one that could not be set up must not be used.
      for (const sql of init) connection.query(sql, (error) => error && connection.destroy());
    });
    return made;
  }

  return {
    pool,
    borrow: (from: mysql.Pool): Promise<mysql.PoolConnection> =>
      new Promise((resolve, reject) => {
        waiting++;
        from.getConnection((error, connection) => {
          waiting--;
          if (error) reject(toStoreError(error));
          else resolve(connection);
        });
      }),
    connections: () => ({ open: open.size, busy: busy.size, waiting }),
  };
}
