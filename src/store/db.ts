// The narrow seam between our SQL and a database: what every engine must offer, and how it fails.

/** What may be bound to a `?`. Text goes as UTF-8, a Buffer as binary. */
export type Value = string | number | null | Buffer;
/** Words of SQL, and what is bound to the `?` in them. */
export interface Condition {
  readonly sql: string;
  readonly params: readonly Value[];
}
export type Rows = readonly (readonly Value[])[];

/** The few things in which the engines differ: words of SQL, and what follows from how they write. */
export interface Dialect {
  /** The exact bytes of a text column, whatever its character set. */
  bytes(column: string): string;
  /** Appended to a SELECT inside a transaction that will write what it read. */
  readonly forUpdate: string;
  /** Appended to a SELECT that must fail with `again` at once while another transaction writes one of its rows; '' = no need. */
  readonly shareNowait: string;
  /**
   * True where one transaction writes at a time: ids are committed in their order, and a content gets its position in the
   * transaction that stores it.
   */
  readonly oneWriter: boolean;
  /** Where the statements can be seen that write to a table now. `nowhere`: with one writer they need not be seen. */
  readonly writersIn: 'innodb_trx' | 'metadata_locks' | 'nowhere';
  /** The table in which events are looked up by their key: an index of the first, or the second, which follows it. */
  readonly eventsIn: 'restante_request' | 'restante_event';
  /** True where the planner knows how the rows are spread, and reads the primary key where the index would make it sort them. */
  readonly plansByStatistics: boolean;
  /** The database's own clock, in ms since 1970: one clock for all processes. */
  readonly nowMs: string;
}

export interface Queries {
  /** When the connection was opened, in performance.now(): the server was not restarted between two of its answers. */
  readonly since: number;
  /** The server that answers; left out where there is but one. */
  readonly server?: string;
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

export interface Transaction extends Queries {
  /**
   * A part of a transaction: when it fails, its statements are undone, and the transaction goes on. Rejects with TransactionOver
   * where the failure has ended all of the transaction.
   */
  attempt<T>(work: () => Promise<T>): Promise<T>;
}

/** Which host of a cluster is used, where DATABASE_URL names several. */
export interface Hosts {
  /** The one that is used, as host:port. */
  now(): string;
  /** Calls `tell` when another host is used than before, with the reason. */
  onMove(tell: (from: string, to: string, reason: string) => void): void;
}

export interface ServerChange {
  readonly from: string;
  readonly to: string;
  /** The new one can only be read. */
  readonly readOnly: boolean;
  readonly reason: string;
}

/** The transactions that a thread knows. */
export type JobName = 'insertContents';
/** What goes to it: `values` may hold Buffers, `more` is cloned. */
export interface Job {
  readonly values: Value[];
  readonly more: object;
}

export interface Db extends Queries {
  /** For the log: "MariaDB 10.11.6", "MySQL 9.7.0", "SQLite 3.53.0". */
  readonly version: string;
  readonly kind: 'mysql' | 'sqlite';
  readonly dialect: Dialect;
  /** The longest value one row may carry, in bytes. */
  readonly maxValueBytes: number;
  /** Transactions that can usefully be in flight at once: the writer's lanes. */
  readonly lanes: number;
  /** As `all`, for statements that read many bytes: on few connections of their own, and limited in the server too. */
  search<T>(sql: string, params: readonly Value[]): Promise<T[]>;
  /** Hands rows to `each` as they come and stops reading when it returns false. */
  scan<T>(sql: string, params: readonly Value[], each: (row: T) => boolean): Promise<void>;
  /**
   * One transaction at READ COMMITTED: committed when `work` resolves, rolled back when it throws. `work` may be run again
   * after a deadlock. The writer has connections of its own: no other transaction makes a sender wait.
   */
  transaction<T>(work: (queries: Transaction) => Promise<T>, who?: 'writer' | 'others'): Promise<T>;
  /**
   * A transaction by its name, done beside its connection: one message to a thread, where each statement would be one. `job` says
   * what to do when its turn has come. Left out where a connection is a socket.
   */
  perform?(name: JobName, job: () => Job): Promise<unknown>;
  /**
   * When the latest COMMIT was sent that wrote something and has returned, in performance.now(). The log is flushed in order, so
   * what was read before that moment is on disk. -Infinity before the first one.
   */
  flushedAt(): number;
  /**
   * Takes deleted rows out of the files of the database (SQLite): out of the log, and with `rewrite` also out of the unused
   * bytes of the file, which takes as long as writing all of it anew. False: another process still reads the log.
   */
  scrub?(rewrite: boolean): Promise<boolean>;
  /** Open connections, those in use, and the calls that wait for one. Left out where there is a single one (SQLite). */
  connections?(): { readonly open: number; readonly busy: number; readonly waiting: number };
  /** How many connections this process opens at most, and how many the account may have, 0: as many as there are. */
  readonly limits?: { readonly connections: number; readonly ofAccount: number };
  /** Undefined with one host. */
  readonly hosts?: Hosts | undefined;
  /**
   * Raised when the server may be another one than before, behind the same name: a replica was promoted. All connections lead to the
   * one server of the present term. Left out where there is but one.
   */
  term?(): number;
  /** Calls `begin` when a term begins: what is in memory is not to be believed any more. */
  onTerm?(begin: () => void): void;
  /** Calls `tell` when another server answers than before, or the same one can only be read. */
  onServer?(tell: (change: ServerChange) => void): void;
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

/** A part of a transaction failed, and nothing of the transaction is left. */
export class TransactionOver extends StoreError {}

export const termOf = (db: Pick<Db, 'term'>): number => db.term?.() ?? 0;

/** What began on one server must not go on with what another one knows. */
export const movedOn = (): StoreError =>
  new StoreError('away', new Error('another server of the database is used now than at the beginning of this call'));

export const failed = (error: unknown, ...failures: Failure[]): boolean =>
  error instanceof StoreError && failures.includes(error.failure);

/** The cause of the failure that every row would meet: no id is left. */
export const IDS_USED_UP = 'IDS_USED_UP';

/**
 * The database answered, and may take other rows: it refuses this one for a constraint, a trigger, a generated column or an index of
 * another application, whatever number such a rule gives its failure.
 */
export const isRefusal = (error: unknown): boolean =>
  failed(error, 'data', 'duplicate', 'other') &&
  ((error as StoreError).cause as { code?: unknown } | undefined)?.code !== IDS_USED_UP;

// What a statement carries besides a body: a refusal has up to 64 KiB of headers. The more room there is, the more is left free.
const LEAST_RESERVE = 128 * 1024;
const MOST_RESERVE = 1024 * 1024;
/** With less no request with many headers could be kept, and proofs of the fence would not fit. */
export const LEAST_VALUE_BYTES = 2 * LEAST_RESERVE;
/** The longest body that can be stored. */
export const mostBodyBytes = ({ maxValueBytes }: Pick<Db, 'maxValueBytes'>): number =>
  Math.max(0, maxValueBytes - Math.min(MOST_RESERVE, Math.max(LEAST_RESERVE, Math.floor(maxValueBytes / 4))));

/** `?, ?, ?` for `count` parameters. */
export const marks = (count: number): string => Array(count).fill('?').join(', ');

/** `values` stretched by its last one to one of a few lengths, so that lists of any length share a few statements. */
export function padded<T>(values: readonly T[]): T[] {
  const length = [1, 8, 64, 512].find((size) => size >= values.length) ?? values.length;
  return Array.from({ length }, (_, i) => values[Math.min(i, values.length - 1)] as T);
}

/** Values in parts of `most`: `list` is the text of one after `IN`, `some` what is bound to it. */
export function* listsOf<T>(values: readonly T[], most = 512): Generator<{ list: string; some: T[] }> {
  for (let from = 0; from < values.length; from += most) {
    const some = padded(values.slice(from, from + most));
    yield { list: `(${marks(some.length)})`, some };
  }
}
