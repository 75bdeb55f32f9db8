// Pools of connections to MySQL: how they are opened, and how many are open, in use and waited for.
import mysql from 'mysql2';
import type { MysqlUrl } from '../databaseurl.ts';
import { toStoreError } from './mysqlfailures.ts';
import { keepTypesAlone } from './mysqlstatements.ts';

// 2 tables x about 70 sizes, and the rest of the program; the server's own limit is 16,382 for all connections.
const PREPARED_STATEMENTS = 300;

const STEP_TIMEOUT_MS = 4_000;

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
      keepTypesAlone(connection);
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
