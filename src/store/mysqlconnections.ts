// How a connection to MySQL is made and set up, and what is known of it: since when it is open, and how its ids follow each other.
import { isIP } from 'node:net';
import mysql from 'mysql2';
import type { Host, MysqlUrl } from '../databaseurl.ts';
import { toStoreError } from './mysqlfailures.ts';
import { keepTypesAlone } from './mysqlstatements.ts';

// 2 tables x about 70 sizes, and the rest of the program; the server's own limit is 16,382 for all connections.
const PREPARED_STATEMENTS = 300;
const STEP_TIMEOUT_MS = 4_000;
const UNKNOWN_VARIABLE = 1193;

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

/** Anybody has a certificate that is believed, for a name of his own. mysql2 knows no name where the host is an address. */
const tlsTo = (host: string, verified: boolean): mysql.SslOptions => ({
  rejectUnauthorized: verified,
  verifyIdentity: verified && isIP(host) === 0,
  minVersion: 'TLSv1.2',
});

/** A pool of connections to one host. */
export function poolTo({ host, port }: Host, { user, password, database, tls }: MysqlUrl, most: number): mysql.Pool {
  return mysql.createPool({
    host,
    port,
    user,
    password,
    database,
    charset: 'utf8mb4',
    connectTimeout: 3_000,
    connectionLimit: most,
    maxPreparedStatements: PREPARED_STATEMENTS,
    ...(tls === 'off' ? {} : { ssl: tlsTo(host, tls === 'on') }),
  });
}

/**
 * A node of a cluster has got what the others have committed, but may show it a moment later: a session waits for that, once.
 * Galera knows the first name, Group Replication the second; other servers neither.
 */
const CATCH_UP: readonly string[] = [
  'SET SESSION wsrep_sync_wait = 1',
  "SET SESSION group_replication_consistency = 'BEFORE'",
  'SELECT 1',
  'SET SESSION wsrep_sync_wait = DEFAULT',
  'SET SESSION group_replication_consistency = DEFAULT',
];

/** Of a connection that was just made: queued before anything of ours; one that could not be set up must not be used. */
export function setUp(connection: mysql.PoolConnection, init: readonly string[], clustered: boolean): void {
  opened.set(connection, performance.now());
  keepTypesAlone(connection);
  for (const sql of [...init, ...(clustered ? CATCH_UP : [])])
    connection.query(sql, (error) => error && error.errno !== UNKNOWN_VARIABLE && connection.destroy());
}
