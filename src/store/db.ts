// The narrow seam between our SQL and a database: what every engine must offer, and how it fails.

/** What may be bound to a `?`. Text goes as UTF-8, a Buffer as binary. */
export type Value = string | number | null | Buffer;
export type Rows = readonly (readonly Value[])[];

/** The few words of SQL in which the engines differ; they end here. */
interface Dialect {
  /** The exact bytes of a text column, whatever its character set. */
  bytes(column: string): string;
  /** Appended to a SELECT inside a transaction that will write what it read. */
  readonly forUpdate: string;
  /** Appended to a SELECT that must fail with `again` at once when a row of it is being written by somebody; '' = no need. */
  readonly shareNowait: string;
  /** Where the statements can be seen that write to a table now. `nowhere`: ids are committed in their order, no need. */
  readonly writersIn: 'innodb_trx' | 'metadata_locks' | 'nowhere';
  /** Run before the next id of a table is asked for, or its figure may be a day old; '' = no need. */
  readonly freshFigures: string;
  /** The database's own clock, in ms since 1970: one clock for all processes. */
  readonly nowMs: string;
}

export interface Queries {
  /** When the connection was opened, in performance.now(): all it has answered was said by one life of the server. */
  readonly since: number;
  /** All rows, as objects by column name. Binary columns are Buffers, 64-bit integers are numbers. */
  all<T>(sql: string, params?: readonly Value[]): Promise<T[]>;
  /** Runs a statement; resolves with the number of affected rows. */
  run(sql: string, params?: readonly Value[]): Promise<number>;
  /** A statement that changes the schema; no time limit. */
  ddl(sql: string): Promise<void>;
  /** Inserts rows by multi-row statements. Same column order in each row. */
  insert(table: string, columns: readonly string[], rows: Rows): Promise<void>;
  /** The same into a table with an AUTO_INCREMENT `id`; resolves with the ids in row order. */
  insertIds(table: string, columns: readonly string[], rows: Rows): Promise<number[]>;
}

/** Of a cluster several of whose hosts were named. */
export interface Hosts {
  /** The one that is used, as host:port. */
  now(): string;
  /** Calls `tell` when it is another one than before, and why. */
  onMove(tell: (from: string, to: string, reason: string) => void): void;
}

export interface Db extends Queries {
  /** For people: "MariaDB 10.11.6", "MySQL 9.7.0", "SQLite 3.53.0". */
  readonly version: string;
  readonly kind: 'mysql' | 'sqlite';
  readonly dialect: Dialect;
  /** The longest value one row may carry, in bytes. */
  readonly maxValueBytes: number;
  /** Transactions that can usefully be in flight at once: the writer's lanes. */
  readonly lanes: number;
  /** Hands rows to `each` as they come and stops reading when it returns false. */
  scan<T>(sql: string, params: readonly Value[], each: (row: T) => boolean): Promise<void>;
  /**
   * One transaction at READ COMMITTED: committed when `work` resolves, rolled back when it throws. `work` may be run again
   * after a deadlock. The writer has connections of its own: nobody else's transactions make a sender wait.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>, who?: 'writer' | 'others'): Promise<T>;
  /**
   * When the latest COMMIT of ours that wrote something and has returned was sent, in performance.now(). Whatever was read
   * before that moment is on disk: the log is flushed in order. -Infinity before the first one.
   */
  flushedAt(): number;
  /**
   * Takes what was deleted out of the files, where they are in our hands (SQLite): out of the log, and with `rewrite` out of
   * the gaps in the file too, which takes as long as writing all of it anew. False: somebody is reading it still.
   */
  scrub?(rewrite: boolean): Promise<boolean>;
  /** Connections that are open, and those in use; `waiting`: who waits for one. Not where there is but one (SQLite). */
  connections?(): { readonly open: number; readonly busy: number; readonly waiting: number };
  /** Undefined with one host. */
  readonly hosts?: Hosts | undefined;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * How a database fails, in our words. Driver codes stay in `cause`.
 * - `away`: not reachable, shutting down or too busy; nothing was done, try again
 * - `unknown`: the connection broke while COMMIT was under way: it may or may not be done
 * - `again`: deadlock or lock wait; the whole transaction can be run again at once
 * - `data`: the database refuses this row, and will refuse it again
 * - `duplicate`: a unique key exists already
 * - `exists`: the table or index is there already
 * - `missing`: a table or column is not there
 * - `denied`: the account lacks a right
 */
export const FAILURES = [
  'away',
  'unknown',
  'again',
  'data',
  'duplicate',
  'exists',
  'missing',
  'denied',
  'other',
] as const;
export type Failure = (typeof FAILURES)[number];

export class StoreError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.failure = failure;
  }
}

export const failed = (error: unknown, ...failures: Failure[]): boolean =>
  error instanceof StoreError && failures.includes(error.failure);

/** `?, ?, ?` for `count` parameters. */
export const marks = (count: number): string => Array(count).fill('?').join(', ');

/** `values` stretched by its last one to one of a few lengths, so that lists of any length share a few statements. */
export function padded<T>(values: readonly T[]): T[] {
  const length = [1, 8, 64, 512].find((size) => size >= values.length) ?? values.length;
  return Array.from({ length }, (_, i) => values[Math.min(i, values.length - 1)] as T);
}
