// The embedded database behind the seam of db.ts: SQLite in this process, one connection, durable commits.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { type Db, type Failure, failed, type Queries, type Rows, StoreError, type Value } from '../db.ts';
import { insertSql, statementsFor } from './statements.ts';

// Another process (the command line) may hold the write lock: SQLite waits a little for it, then we do, without blocking the
// event loop.
const BUSY_TIMEOUT_MS = 50;
const TURN_MS = 10;
const BUSY_RETRY_MS = 20;
const BUSY_GIVE_UP_MS = 5_000;
// Pages of 8 KiB: a commit takes a third less time than with 4 KiB. A checkpoint every 8 MiB of log: at 64 MiB checkpoints cost
// as much in all, but each one stops all statements for 150 ms.
const PAGE_BYTES = 8192;
const CHECKPOINT_PAGES = 1024;
// SQLite's own limit for a value is 1,000,000,000 bytes; the settings bound it long before.
const MAX_VALUE_BYTES = 256 * 1024 * 1024;
// Before 3.51.3 a WAL reset could corrupt a database that two connections use (sqlite.org/changes.html).
const SAFE_FOR_TWO = '3.51.3';

const load = createRequire(import.meta.url);
type Driver = { DatabaseSync: new (path: string, options: { readOnly: boolean }) => DatabaseSyncInstance };
function driver(): Driver {
  try {
    return load('node:sqlite') as Driver; // Node 22.13 and later
  } catch {
    return load('@photostructure/sqlite') as Driver; // the same API for Node 20
  }
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/**
 * Puts temporary files beside the database. VACUUM and large sorts need one as large as the database: the folder has room for it,
 * and we may write there. A container has no /tmp, or a small one. SQLite reads the environment only when it is loaded.
 */
function keepBeside(database: DatabaseSyncInstance, path: string): void {
  try {
    database.exec(`PRAGMA temp_store_directory = '${resolve(dirname(path)).replaceAll("'", "''")}'`);
  } catch {
    // SQLite may not write there, and chooses another folder.
  }
}

/** Runs `work` again while another process holds the lock, for 5 s at most, without blocking the event loop. */
async function patiently<T>(work: () => T): Promise<T> {
  for (const until = Date.now() + BUSY_GIVE_UP_MS; ; ) {
    try {
      return attempt(work);
    } catch (error) {
      if (!failed(error, 'again')) throw error;
      if (Date.now() > until) throw new StoreError('away', (error as StoreError).cause);
      await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    }
  }
}

const asBuffers = <T>(row: T): T => {
  const record = row as Record<string, unknown>;
  for (const name in record) {
    const value = record[name];
    if (value instanceof Uint8Array) record[name] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return row;
};

/**
 * Opens `sqlite:./path/file.db` (or `sqlite::memory:`): folder 0700, files 0600, WAL, synchronous=FULL. `readOnly`: looks at the
 * file while another process uses it, and neither makes nor changes anything.
 */
export async function openSqlite(
  path: string,
  { readOnly = false } = {},
): Promise<Db & { readonly sharable: boolean }> {
  if (path !== ':memory:' && !readOnly) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600)); // the -wal and -shm files take the mode of this one
  }
  const { DatabaseSync } = driver();
  const database = await patiently(() => new DatabaseSync(path, { readOnly }));
  // secure_delete overwrites deleted rows at once. That takes no measurable time, and writes a third more bytes.
  const settings = `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA secure_delete = ON`;
  await patiently(() => database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; ${readOnly ? '' : settings}`));
  if (path !== ':memory:' && !readOnly) keepBeside(database, path);
  const { v: version } = attempt(() => database.prepare('SELECT sqlite_version() AS v').get() as { v: string });

  // Prepared once and kept: the driver for Node 20 leaks about 2 KB per prepare. The texts are few and constant.
  const statements = new Map<string, StatementSyncInstance>();
  const statement = (sql: string): StatementSyncInstance => {
    let prepared = statements.get(sql);
    if (!prepared) {
      prepared = database.prepare(sql);
      statements.set(sql, prepared);
    }
    return prepared;
  };
  /** One call into the driver for many rows costs half as much per row as one for each. */
  function inserted(table: string, columns: readonly string[], rows: Rows, ids?: number[]): void {
    for (const { size, values } of statementsFor(rows)) {
      const last = Number(statement(insertSql(table, columns, size)).run(...values).lastInsertRowid);
      // No other connection can insert during our transaction: the ids of one statement are consecutive.
      if (ids) for (let i = size - 1; i >= 0; i--) ids.push(last - i);
    }
  }

  // A statement answers without leaving the turn of the event loop, so that a loop of a thousand statements would keep all else
  // waiting: after TURN_MS in one turn, the next statement waits for the next turn.
  let began: number | undefined;
  function turnIsLong(): boolean {
    const now = performance.now();
    if (began === undefined) {
      began = now;
      setImmediate(() => {
        began = undefined;
      });
    }
    return now - began > TURN_MS;
  }
  const rowsOf = <T>(sql: string, params: readonly Value[] = []): T[] =>
    attempt(() => (statement(sql).all(...params) as T[]).map(asBuffers));
  /** Of a transaction: nothing else reads or writes until it ends, also while it gives way. */
  async function within<T>(work: () => T): Promise<T> {
    if (turnIsLong()) await nextTurn();
    return attempt(work);
  }
  const inside: Queries = {
    since: Number.NEGATIVE_INFINITY,
    all: <T>(sql: string, params?: readonly Value[]) => within(() => rowsOf<T>(sql, params)),
    run: (sql, params = []) => within(() => Number(statement(sql).run(...params).changes)),
    ddl: (sql) => within(() => database.exec(sql)),
    insert: (table, columns, rows) => within(() => inserted(table, columns, rows)),
    insertIds: (table, columns, rows) =>
      within(() => {
        const ids: number[] = [];
        inserted(table, columns, rows, ids);
        return ids;
      }),
  };

  // One connection: a statement outside the open transaction waits for its end, or it would read rows that may be rolled back.
  let queued = 0;
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    queued++;
    const running = last
      .then(() => (turnIsLong() ? nextTurn().then(work) : work()))
      .finally(() => {
        queued--;
      });
    last = running.catch(() => {});
    return running;
  }
  // Taking and dropping SQLite's file locks costs more than reading one row: the reads of one turn of the event loop share one
  // snapshot.
  let snapshot: NodeJS.Immediate | undefined;
  /** Never throws, for a timer calls it too. A failed read (a full disk) may have ended the transaction already. */
  const endSnapshot = (): void => {
    if (!snapshot) return;
    clearImmediate(snapshot);
    snapshot = undefined;
    try {
      database.exec('COMMIT');
    } catch {
      rollback();
    }
  };
  function beginSnapshot(): void {
    if (snapshot) return;
    attempt(() => database.exec('BEGIN'));
    snapshot = setImmediate(endSnapshot);
  }
  async function read<T>(work: () => Promise<T>): Promise<T> {
    if (queued > 0 || turnIsLong()) return inTurn(work);
    beginSnapshot();
    return work();
  }
  /**
   * Ends the transaction if it is still open. Some failures (a full disk) have ended it already, and not every Node can tell
   * (isTransaction came with 22.16). ROLLBACK fails for no other reason.
   */
  function rollback(): void {
    try {
      database.exec('ROLLBACK');
    } catch {
      // Nothing is open any more.
    }
  }
  const transaction = <T>(work: (queries: Queries) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      endSnapshot();
      await patiently(() => database.exec('BEGIN IMMEDIATE'));
      try {
        const result = await work(inside);
        attempt(() => database.exec('COMMIT'));
        return result;
      } catch (error) {
        rollback();
        throw error;
      }
    });

  return {
    kind: 'sqlite',
    version: `SQLite ${version}`,
    sharable: version.localeCompare(SAFE_FOR_TWO, 'en', { numeric: true }) >= 0,
    dialect: {
      bytes: (column) => `CAST(${column} AS BLOB)`,
      forUpdate: '',
      shareNowait: '',
      oneWriter: true,
      writersIn: 'nowhere',
      eventsIn: 'restante_event',
      freshFigures: '',
      nowMs: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    },
    since: inside.since,
    // With synchronous=FULL nothing can be read before it is on disk.
    flushedAt: () => performance.now(),
    maxValueBytes: MAX_VALUE_BYTES,
    lanes: 1,
    all: <T>(sql: string, params?: readonly Value[]) => read(async () => rowsOf<T>(sql, params)),
    run: (sql, params) => transaction((queries) => queries.run(sql, params)),
    ddl: (sql) => transaction((queries) => queries.ddl(sql)),
    insert: (table, columns, rows) => transaction((queries) => queries.insert(table, columns, rows)),
    insertIds: (table, columns, rows) => transaction((queries) => queries.insertIds(table, columns, rows)),
    scan: <T>(sql: string, params: readonly Value[], each: (row: T) => boolean) =>
      read(async () =>
        attempt(() => {
          for (const row of statement(sql).iterate(...params)) if (!each(asBuffers(row as T))) break;
        }),
      ),
    transaction,
    scrub: (rewrite) =>
      inTurn(async () => {
        endSnapshot();
        // secure_delete misses the copies that rows leave behind when SQLite moves them to make room for others.
        if (rewrite) await patiently(() => database.exec('VACUUM'));
        // Pages that another process still reads stay in the log.
        const log = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
        return log.busy === 0;
      }),
    ping: async () => void (await read(async () => rowsOf('SELECT 1'))),
    close: () =>
      inTurn(async () => {
        endSnapshot();
        statements.clear();
        database.close();
      }),
  };
}

// Failures: by SQLite's result code, or by its sentence where the driver leaves the code out.

interface SqliteError {
  readonly message: string;
  errcode?: number;
}

// The driver for Node 20 gives no result code when a failure comes while rows are read. SQLite's sentences are constants.
const CODES: readonly (readonly [sentence: RegExp, code: number])[] = [
  [/^database (table |schema )?is locked/, 5],
  [/^out of memory$/, 7],
  [/^attempt to write a readonly database$/, 8],
  [/^disk I\/O error$/, 10],
  [/^database disk image is malformed$/, 11],
  [/^database or disk is full$/, 13],
  [/^unable to open database file$/, 14],
  [/^string or blob too big$/, 18],
  [/^(UNIQUE|PRIMARY KEY) constraint failed/, 2067],
  [/constraint failed/, 19],
  [/^datatype mismatch$/, 20],
  [/^file is not a database$/, 26],
];

/** SQLite's failure in our words. */
function failureOf({ errcode = 1, message }: SqliteError): Failure {
  const code = errcode & 0xff;
  if (code === 5 || code === 6) return 'again'; // BUSY, LOCKED
  if (code === 19) return errcode === 1555 || errcode === 2067 ? 'duplicate' : 'data';
  if (code === 18 || code === 20) return 'data'; // TOOBIG, MISMATCH
  if (/already exists/.test(message)) return 'exists';
  if (/no such (table|column)/.test(message)) return 'missing';
  return [7, 8, 10, 11, 13, 14, 26].includes(code) ? 'away' : 'other'; // NOMEM, READONLY, IOERR, CORRUPT, FULL, …
}

function fromSqliteError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (!(error instanceof Error)) return new StoreError('other', error);
  const one: SqliteError = error;
  // Also kept on the error: causes.ts chooses by this code what an operator is told.
  const code = one.errcode ?? CODES.find(([sentence]) => sentence.test(one.message))?.[1];
  if (code !== undefined) one.errcode = code;
  return new StoreError(failureOf(one), error);
}
