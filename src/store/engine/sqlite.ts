// The embedded database behind the seam of db.ts: SQLite in this process, one connection, durable commits.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { type Db, type Queries, type Rows, StoreError, type Value } from '../db.ts';
import { fromSqliteError } from './sqlite-failures.ts';
import { insertSql, statementsFor } from './statements.ts';

// Another process (the CLI) may hold the write lock: wait a little in SQLite, then without blocking the event loop.
const BUSY_TIMEOUT_MS = 50;
const BUSY_RETRY_MS = 20;
const BUSY_GIVE_UP_MS = 5_000;
// Pages of 8 KiB: a third less time per commit than with 4. A checkpoint every 8 MiB of log: at 64 MiB it costs as much
// in all, but stops everybody for 150 ms each time.
const PAGE_BYTES = 8192;
const CHECKPOINT_PAGES = 1024;
// SQLite's own limit for a value is 1,000,000,000 bytes; the settings bound it long before.
const MAX_VALUE_BYTES = 256 * 1024 * 1024;
// Before 3.51.3 a WAL reset could corrupt a database that two connections use (sqlite.org/changes.html).
const SAFE_FOR_TWO = [3, 51, 3];

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
 * VACUUM and large sorts write a file for a while, as large as the database: beside it is room for that, and the right to
 * write. A container has no /tmp, or a small one, and SQLite takes what the environment says only when it is loaded.
 */
function keepBeside(database: DatabaseSyncInstance, path: string): void {
  try {
    database.exec(`PRAGMA temp_store_directory = '${resolve(dirname(path)).replaceAll("'", "''")}'`);
  } catch {
    // It may not write there, and looks for another place.
  }
}

/** Runs `work` again while another process holds the lock, for 5 s at most, without blocking this one. */
async function patiently<T>(work: () => T): Promise<T> {
  for (const until = Date.now() + BUSY_GIVE_UP_MS; ; ) {
    try {
      return attempt(work);
    } catch (error) {
      if (!(error instanceof StoreError) || error.failure !== 'again') throw error;
      if (Date.now() > until) throw new StoreError('away', error.cause);
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
 * Opens `sqlite:./path/file.db` (or `sqlite::memory:`): folder 0700, files 0600, WAL, synchronous=FULL. `readOnly`: to look at
 * it while another process uses it; nothing is made or changed then.
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
  // secure_delete: what was deleted is overwritten at once. It costs no time that can be measured, and a third more bytes.
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
      // Nobody else can insert within our transaction: the ids of one statement are consecutive.
      if (ids) for (let i = size - 1; i >= 0; i--) ids.push(last - i);
    }
  }

  const inside: Queries = {
    since: Number.NEGATIVE_INFINITY,
    all: async <T>(sql: string, params: readonly Value[] = []) =>
      attempt(() => (statement(sql).all(...params) as T[]).map(asBuffers)),
    run: async (sql, params = []) => attempt(() => Number(statement(sql).run(...params).changes)),
    ddl: async (sql) => attempt(() => database.exec(sql)),
    insert: async (table, columns, rows) => attempt(() => inserted(table, columns, rows)),
    insertIds: async (table, columns, rows) =>
      attempt(() => {
        const ids: number[] = [];
        inserted(table, columns, rows, ids);
        return ids;
      }),
  };

  // One connection: whoever is not part of the open transaction waits for its end, or would read what may vanish.
  let queued = 0;
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    queued++;
    const running = last.then(work).finally(() => {
      queued--;
    });
    last = running.catch(() => {});
    return running;
  }
  // A read takes and drops SQLite's file locks, which costs more than a point read itself: those of one turn of the event
  // loop share one snapshot.
  let snapshot: NodeJS.Immediate | undefined;
  /** Also called by a timer, so it never throws. A failed read (a full disk) may have ended the transaction already. */
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
    if (queued > 0) return inTurn(work);
    beginSnapshot();
    return work();
  }
  /**
   * Ends the transaction if it is open still: some failures (a full disk) have ended it already, and not every Node tells
   * (isTransaction came with 22.16). It fails for no other reason.
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
    sharable:
      version
        .split('.')
        .map(Number)
        .reduce((n, part) => n * 1000 + part, 0) >= SAFE_FOR_TWO.reduce((n, part) => n * 1000 + part, 0),
    dialect: {
      bytes: (column) => `CAST(${column} AS BLOB)`,
      forUpdate: '',
      shareNowait: '',
      writersIn: 'nowhere',
      freshFigures: '',
      nowMs: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    },
    since: inside.since,
    // With synchronous=FULL nothing can be read before it is on disk.
    flushedAt: () => performance.now(),
    maxValueBytes: MAX_VALUE_BYTES,
    lanes: 1,
    all: (sql, params) => read(() => inside.all(sql, params)),
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
        // secure_delete misses the copies that rows leave behind when SQLite moves them for their neighbours.
        if (rewrite) await patiently(() => database.exec('VACUUM'));
        // What others still read stays in the log.
        const log = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
        return log.busy === 0;
      }),
    ping: async () => void (await read(() => inside.all('SELECT 1'))),
    close: () =>
      inTurn(async () => {
        endSnapshot();
        statements.clear();
        database.close();
      }),
  };
}
