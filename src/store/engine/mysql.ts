// MySQL and MariaDB behind the seam of db.ts, by mysql2: pools, prepared statements, error codes.
import type mysql from 'mysql2';
import type { MysqlUrl } from '../../config/database-url.ts';
import {
  type Db,
  failed,
  type Queries,
  type Rows,
  StoreError,
  type Transaction,
  TransactionOver,
  type Value,
} from '../db.ts';
import { CONNECTIONS, sharesOf } from './budget.ts';
import { failureOf, fromMysqlError, isLockWait } from './mysql-failures.ts';
import { createPools, openedAt, type Pool, stepOf } from './mysql-pools.ts';
import { losesPlace } from './mysql-server.ts';
import { LOCK_WAIT_S, type SessionKind } from './mysql-session.ts';
import { insertSql, statementsFor } from './statements.ts';

// A statement that takes longer is given up and its connection dropped: a 503 is better than a sender that hangs.
const STATEMENT_TIMEOUT_MS = 10_000;
// Reads of a few rows by key; lists may take as long as a statement.
const READ_TIMEOUT_MS = 4_000;
// A statement that fails at once met a connection that the server had closed: it is done again. A slow one is not.
const AT_ONCE_MS = 1_000;
// The limit of one statement of a search: it looks at a part that takes a tenth of it on a server that has nothing else to do.
const SEARCH_TIMEOUT_MS = 2_000;
const LANES = 2;
const TRIES = 5;
/** Of the connections that read, and of those that change something. */
export const READING: SessionKind = { limitMs: STATEMENT_TIMEOUT_MS };
export const CHANGING: SessionKind = { transactions: true, limitMs: STATEMENT_TIMEOUT_MS };

/** MySQL sends the types of a statement's parameters, and mysql2 then checks every number as a BigInt: a quarter of our CPU. */
const asText = (value: Value): Value => (typeof value === 'number' ? String(value) : value);

/** Used instead of mysql2's own limit, which leaves out the time to set the connection up and to prepare the statement. */
const limited = (ms: number, end: (error: StoreError) => void): NodeJS.Timeout =>
  setTimeout(() => {
    const error = new Error(`no answer within ${ms / 1000} s`);
    end(new StoreError('away', Object.assign(error, { code: GIVEN_UP })));
  }, ms);

const GIVEN_UP = 'PROTOCOL_SEQUENCE_TIMEOUT';

type Connection = mysql.PoolConnection;
type Result = mysql.ResultSetHeader | mysql.RowDataPacket[];
type InUse = Transaction & { wrote(): boolean };
function queriesOn(connection: Connection, server: string, mariadb: boolean, timeout: number, hints: Hints): InUse {
  let wrote = false;
  const execute = (text: string, values: readonly Value[] = []): Promise<Result> =>
    new Promise<Result>((resolve, reject) => {
      const sql = hints.in(text);
      const limit = limited(timeout, reject);
      connection.execute<Result>({ sql, values: values as Value[] }, (error, result) => {
        clearTimeout(limit);
        if (!error) resolve(result);
        else if (hints.forget(error, sql)) resolve(execute(text, values));
        else reject(fromMysqlError(error));
      });
    });
  const query = (sql: string) =>
    new Promise<void>((resolve, reject) =>
      connection.query(sql, (error) => (error ? reject(fromMysqlError(error)) : resolve())),
    );
  /** DDL may rightly take hours, and cannot be prepared everywhere. */
  async function ddl(sql: string) {
    if (!mariadb) return query(sql);
    await query('SET SESSION max_statement_time = 0');
    await query(sql).finally(() => query(`SET SESSION max_statement_time = ${STATEMENT_TIMEOUT_MS / 1000}`));
  }
  async function inserted(table: string, columns: readonly string[], rows: Rows, ids?: number[]) {
    wrote ||= rows.length > 0;
    const step = ids && !mariadb ? await stepOf(connection) : 1;
    for (const { size, values } of statementsFor(rows)) {
      const sql = insertSql(table, columns, size, ids && mariadb ? ' RETURNING id' : '');
      const result = await execute(sql, mariadb ? values : values.map(asText));
      if (!ids) continue;
      if (Array.isArray(result)) for (const row of result) ids.push(row.id);
      // A multi-row INSERT … VALUES has consecutive ids in every innodb_autoinc_lock_mode (MySQL manual, 17.6.1.6).
      else for (let i = 0; i < size; i++) ids.push(result.insertId + i * step);
    }
  }
  return {
    since: openedAt(connection),
    server,
    wrote: () => wrote,
    all: async <T>(sql: string, params: readonly Value[] = []) => (await execute(sql, params)) as T[],
    async run(sql, params = []) {
      const affected = ((await execute(sql, params)) as mysql.ResultSetHeader).affectedRows ?? 0;
      // An UPDATE counts rows that it found, changed or not: it may have written nothing to the log.
      wrote ||= affected > 0 && !/^\s*UPDATE/i.test(sql);
      return affected;
    },
    ddl,
    insert: (table, columns, rows) => inserted(table, columns, rows),
    async insertIds(table, columns, rows) {
      const ids: number[] = [];
      await inserted(table, columns, rows, ids);
      return ids;
    },
    // Not prepared: MySQL takes savepoints no other way. A savepoint takes the place of the last one of its name.
    async attempt(work) {
      await query('SAVEPOINT part');
      try {
        return await work();
      } catch (error) {
        if (failed(error, 'away', 'unknown', 'again')) throw error;
        // Too long a packet, for one, ends the connection.
        await query('ROLLBACK TO SAVEPOINT part').catch(() => {
          throw error instanceof StoreError ? new TransactionOver(error.failure, error.cause) : error;
        });
        throw error;
      }
    },
  };
}

interface ServerFacts {
  readonly v: string;
  readonly packet: number;
  /** What the account may have, or else every account; 0: no limit. */
  readonly most: number;
}

/** One less than the account may have, if nobody said how many: the verbs need one beside the service, and `doctor` above all. */
const connectionsOf = (wanted: number | undefined, accountMost: number): number =>
  accountMost === 0
    ? (wanted ?? CONNECTIONS)
    : Math.max(1, Math.min(wanted ?? CONNECTIONS, wanted === undefined ? accountMost - 1 : accountMost));

/** Connects once, so that errors show here. `most`: connections of this process, where the account may have so many. */
export async function openMysql(url: MysqlUrl, most?: number): Promise<Db> {
  const pools = createPools(url);
  const { pool, borrow, drop, abandon, connections, hosts, whileUsed, term, end: endPools } = pools;
  // More when it is known how many there may be.
  const reads = pool(1, READING);
  let flushed = Number.NEGATIVE_INFINITY;
  let mariadb = false;

  // Rights that are granted later count for new connections alone: a denied one is dropped.
  const isOver = (error: unknown) => failed(error, 'away', 'unknown', 'denied');
  /** Ends a connection that fails. A COMMIT that is given up goes on in the server: it may still be done. */
  const end = (connection: Connection, error: unknown) =>
    failed(error, 'away') && ((error as StoreError).cause as { code?: unknown }).code === GIVEN_UP
      ? abandon(connection)
      : drop(connection);
  const hints = createHints();
  const on = (connection: Connection, timeout: number) =>
    queriesOn(connection, pools.serverName(connection), mariadb, timeout, hints);
  /** Rejects at once when the server of the connection is not used any more: an answer that comes all the same is not believed. */
  const held = <T>(connection: Connection, work: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const off = whileUsed(connection, reject);
      work().then(resolve, reject).finally(off);
    });
  const judged = (connection: Connection, error: unknown): void => {
    if (losesPlace(error)) pools.doubt(connection, error as StoreError);
  };

  async function using<T>(from: Pool, work: (queries: Queries, connection: Connection) => Promise<T>): Promise<T> {
    const connection = await borrow(from);
    try {
      const result = await held(connection, () => work(on(connection, READ_TIMEOUT_MS), connection));
      connection.release();
      return result;
    } catch (error) {
      judged(connection, error);
      if (isOver(error)) end(connection, error);
      else connection.release();
      throw error;
    }
  }
  async function reading<T>(work: (queries: Queries, connection: Connection) => Promise<T>, from = reads): Promise<T> {
    const began = performance.now();
    try {
      return await using(from, work);
    } catch (error) {
      const stale = failed(error, 'away') && performance.now() - began < AT_ONCE_MS;
      if (!stale) throw error;
      return using(from, work);
    }
  }
  const commit = (connection: Connection) =>
    new Promise<void>((resolve, reject) => {
      // The old server may have done it, and the new one may know nothing of it.
      const off = whileUsed(connection, ({ cause }) => reject(new StoreError('unknown', cause)));
      connection.query({ sql: 'COMMIT', timeout: STATEMENT_TIMEOUT_MS }, (error) => {
        off();
        if (!error) return resolve();
        const failure = failureOf(error);
        reject(new StoreError(failure === 'away' ? 'unknown' : failure, error));
      });
    });

  async function once<T>(work: (queries: Transaction) => Promise<T>, who: 'writer' | 'others'): Promise<T> {
    const connection = await borrow(who === 'writer' ? writer : others);
    try {
      const queries = on(connection, who === 'writer' ? STATEMENT_TIMEOUT_MS : READ_TIMEOUT_MS);
      const result = await held(connection, () => work(queries));
      const sent = performance.now();
      await commit(connection);
      if (queries.wrote()) flushed = Math.max(flushed, sent);
      connection.release();
      return result;
    } catch (error) {
      judged(connection, error);
      if (isOver(error)) end(connection, error);
      else
        connection.query({ sql: 'ROLLBACK', timeout: STATEMENT_TIMEOUT_MS }, (failure) =>
          failure ? connection.destroy() : connection.release(),
        );
      throw error;
    }
  }

  async function scan<T>(text: string, params: readonly Value[], each: (row: T) => boolean): Promise<void> {
    const connection = await borrow(reads);
    const sql = hints.in(text);
    return new Promise<void>((resolve, reject) => {
      let open = true;
      const settle = (finish: () => void) => {
        if (!open) return;
        open = false;
        clearTimeout(late);
        off();
        finish();
      };
      const fail = (error: StoreError) =>
        settle(() => {
          judged(connection, error);
          end(connection, error);
          reject(error);
        });
      const late = limited(STATEMENT_TIMEOUT_MS, fail);
      const off = whileUsed(connection, fail);
      const command = connection.execute({ sql, values: params as Value[] });
      command.on('error', (error: Error) => {
        if (!hints.forget(error, sql)) return fail(fromMysqlError(error));
        settle(() => {
          connection.release();
          resolve(scan(text, params, each));
        });
      });
      // The rest may be gigabytes: ending the connection is the only way to tell the server to stop.
      const stop = (finish: () => void) =>
        settle(() => {
          abandon(connection);
          finish();
        });
      command.on('result', (row) => {
        if (!open) return;
        try {
          if (!each(row as T)) stop(resolve);
        } catch (error) {
          // Thrown on, it would end in the driver, and nothing would settle this call before its time is over.
          stop(() => reject(error));
        }
      });
      command.on('end', () =>
        settle(() => {
          connection.release();
          resolve();
        }),
      );
    });
  }

  const facts = await reading((queries) =>
    queries.all<ServerFacts>(
      'SELECT VERSION() AS v, @@max_allowed_packet AS packet, @@SESSION.max_user_connections AS most',
    ),
  ).catch((error: unknown) => {
    void endPools();
    throw error;
  });
  const fact = facts[0] ?? { v: '', packet: 1 << 20, most: 0 };
  mariadb = /mariadb/i.test(fact.v);
  const mostOpen = connectionsOf(most, fact.most);
  pools.limit(mostOpen);
  const shares = sharesOf(mostOpen);
  reads.share.most = shares.reads;
  const searches = pool(shares.searches, { limitMs: SEARCH_TIMEOUT_MS });
  // The sequencer and the consumers have their transactions; claims of one consumer wait for each other anyway.
  const others = pool(shares.others, CHANGING);
  const writer = shares.writer === undefined ? others : pool(shares.writer, { transactions: true });

  return {
    kind: 'mysql',
    version: `${mariadb ? 'MariaDB' : 'MySQL'} ${/^[\d.]+/.exec(fact.v)?.[0] ?? fact.v}`,
    dialect: {
      bytes: (column) => `CAST(${column} AS BINARY)`,
      forUpdate: ' FOR UPDATE',
      // MariaDB has no FOR SHARE; MySQL's LOCK IN SHARE MODE takes no NOWAIT.
      shareNowait: mariadb ? ' LOCK IN SHARE MODE NOWAIT' : ' FOR SHARE NOWAIT',
      oneWriter: false,
      writersIn: mariadb ? 'innodb_trx' : 'metadata_locks',
      eventsIn: 'restante_request',
      plansByStatistics: true,
      // Not UNIX_TIMESTAMP(NOW(3)): where clocks are set back in autumn an hour has two of them.
      nowMs: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 AS UNSIGNED)",
    },
    maxValueBytes: fact.packet,
    lanes: Math.min(LANES, writer.share.most),
    all: (sql, params) => reading((queries) => queries.all(sql, params)),
    search: (sql, params) => reading((queries) => queries.all(sql, params), searches),
    run: (sql, params) => using(reads, (queries) => queries.run(sql, params)),
    ddl: (sql) => using(reads, (queries) => queries.ddl(sql)),
    insert: (table, columns, rows) => using(reads, (queries) => queries.insert(table, columns, rows)),
    insertIds: (table, columns, rows) => using(reads, (queries) => queries.insertIds(table, columns, rows)),
    scan,
    since: Number.NEGATIVE_INFINITY,
    flushedAt: () => flushed,
    connections,
    limits: { connections: mostOpen, ofAccount: fact.most },
    hosts,
    term,
    onTerm: pools.onTerm,
    onServer: pools.onServer,
    async transaction(work, who = 'others') {
      const began = performance.now();
      for (let tries = 1; ; tries++) {
        try {
          return await once(work, who);
        } catch (error) {
          // Nothing was committed: a deadlock, a lock wait, or a connection that the server had closed. `unknown` is not retried.
          const stale = failed(error, 'away') && performance.now() - began < AT_ONCE_MS;
          // Who has waited for a lock for long is told so, instead of waiting five times as long.
          const waited = isLockWait(error) && performance.now() - began > LOCK_WAIT_S * 900;
          if (!(stale || (failed(error, 'again') && !waited)) || tries === TRIES) throw error;
        }
      }
    },
    ping: async () => void (await reading((queries) => queries.all('SELECT 1'))),
    close: endPools,
  };
}

// Hints that name an index: left out of a statement while the server has no such index, or hides it, and tried again later.

const HINT = /\/\*! FORCE INDEX \([^)]*\) \*\/|FORCE INDEX \([^)]*\)/g;
const NO_SUCH_KEY = 1176;
// An index that comes back, or gets its name back, is named again after this.
const AGAIN_MS = 60_000;

type Hints = ReturnType<typeof createHints>;

/** Another application, or its operator, may drop, rename or hide an index at any time: a query is slower then, and goes on. */
function createHints(now = () => performance.now()) {
  const forgotten = new Map<string, number>();
  return {
    /** The statement as it is to be run now. */
    in(sql: string): string {
      if (forgotten.size === 0) return sql;
      return sql.replace(HINT, (hint) => ((forgotten.get(hint) ?? 0) > now() ? '' : hint));
    },
    /** True when a statement failed for its hint, which is left out from now on: it can be run again. */
    forget(error: unknown, sql: string): boolean {
      if ((error as { errno?: unknown }).errno !== NO_SUCH_KEY) return false;
      const hints = sql.match(HINT) ?? [];
      for (const hint of hints) forgotten.set(hint, now() + AGAIN_MS);
      return hints.length > 0;
    },
  };
}
