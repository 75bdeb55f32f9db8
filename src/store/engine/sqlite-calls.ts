// What sqlite.ts and its threads share: calls, their answers, how values travel, statements by calls, failures.
import {
  type Dialect,
  type Failure,
  type JobName,
  type Rows,
  StoreError,
  type Transaction,
  TransactionOver,
  type Value,
} from '../db.ts';

/** What one SQLite connection is asked to do. */
export type SqlCall =
  /** Answered with all rows. */
  | { readonly do: 'all'; readonly sql: string; readonly values: Value[] }
  /** Answered with the number of changed rows. */
  | { readonly do: 'run'; readonly sql: string; readonly values: Value[] }
  /** `count` rows, by statements of many rows. Answered with the id of the first; the ids are consecutive. */
  | {
      readonly do: 'insert';
      readonly table: string;
      readonly columns: readonly string[];
      readonly count: number;
      readonly values: Value[];
    }
  /** Answered with the first rows. The statement stays open under this name until all are read, or `stop`. */
  | { readonly do: 'scan'; readonly name: number; readonly sql: string; readonly values: Value[] }
  | { readonly do: 'more' | 'stop'; readonly name: number }
  /** A transaction of many statements. Answered with what it resolves with, cloned. */
  | { readonly do: 'job'; readonly name: JobName; readonly values: Value[]; readonly more: object }
  /** A statement that is not prepared. */
  | { readonly do: 'exec'; readonly sql: string }
  | { readonly do: 'close' };

/** Rows as one list of values: to clone many small objects takes longer than to read them. */
export interface Table {
  readonly columns: readonly string[];
  readonly values: Value[];
  /** False: a scan has more. */
  readonly end: boolean;
}

/** What SQLite says of a failure. */
export interface SqlFault {
  readonly message: string;
  readonly errcode: number | undefined;
  /** It has ended its transaction. */
  readonly over?: boolean;
}

export type SqlAnswer =
  | { readonly table: Table }
  | { readonly number: number }
  | { readonly done: unknown }
  | { readonly fault: SqlFault };

export const DIALECT: Dialect = {
  bytes: (column) => `CAST(${column} AS BLOB)`,
  forUpdate: '',
  shareNowait: '',
  oneWriter: true,
  writersIn: 'nowhere',
  eventsIn: 'restante_event',
  plansByStatistics: false,
  nowMs: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
};

export const BEGIN: SqlCall = { do: 'exec', sql: 'BEGIN IMMEDIATE' };
export const COMMIT: SqlCall = { do: 'exec', sql: 'COMMIT' };
export const ROLLBACK: SqlCall = { do: 'exec', sql: 'ROLLBACK' };

/** What a thread is started with. */
export interface Opening {
  readonly path: string;
  readonly readOnly: boolean;
  /** Run before any call. */
  readonly settings: string;
  /** The folder for temporary files; undefined = SQLite chooses. */
  readonly temporary: string | undefined;
}

/** One message to a thread, and the one that answers it. */
export interface Request {
  readonly calls: readonly SqlCall[];
  /** True: what follows a call that failed is not done. False: independent reads, which share a snapshot. */
  readonly ordered: boolean;
  readonly blobs: Packed;
}
export interface Response {
  readonly answers: readonly SqlAnswer[];
  readonly blobs: Packed;
}

/** All blobs of a message in one piece of memory, which is handed over and not copied again. */
interface Packed {
  readonly memory: ArrayBuffer;
  /** For each blob the list of values it belongs to, the index in that list, and its length, in the order of `memory`. */
  readonly places: readonly number[];
}

const valuesOf = (part: SqlCall | SqlAnswer): Value[] =>
  'values' in part ? part.values : 'table' in part ? part.table.values : [];

/** Moves the blobs of calls or answers into one piece of memory: null is left in their places. */
export function packBlobs(parts: readonly (SqlCall | SqlAnswer)[]): Packed {
  const places: number[] = [];
  const blobs: Uint8Array[] = [];
  let size = 0;
  for (let part = 0; part < parts.length; part++) {
    const values = valuesOf(parts[part] as SqlCall | SqlAnswer);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (!(value instanceof Uint8Array)) continue;
      places.push(part, i, value.length);
      blobs.push(value);
      size += value.length;
      values[i] = null;
    }
  }
  const memory = new ArrayBuffer(size);
  const all = new Uint8Array(memory);
  let at = 0;
  for (const blob of blobs) {
    all.set(blob, at);
    at += blob.length;
  }
  return { memory, places };
}

/** Puts the blobs back as Buffers on the memory that came. */
export function unpackBlobs(parts: readonly (SqlCall | SqlAnswer)[], { memory, places }: Packed): void {
  for (let i = 0, at = 0; i < places.length; i += 3) {
    const length = places[i + 2] as number;
    valuesOf(parts[places[i] as number] as SqlCall | SqlAnswer)[places[i + 1] as number] = Buffer.from(
      memory,
      at,
      length,
    );
    at += length;
  }
}

/** The rows of an answer, as objects by column name. */
export function rowsOf<T>(answer: SqlAnswer): T[] {
  if (!('table' in answer)) return [];
  const { columns, values } = answer.table;
  const rows: T[] = [];
  for (let at = 0; at < values.length; ) {
    const row: Record<string, unknown> = {};
    for (const column of columns) row[column] = values[at++];
    rows.push(row as T);
  }
  return rows;
}
const numberOf = (answer: SqlAnswer): number => ('number' in answer ? answer.number : 0);

/** The answer, unless it is a fault. */
export function sound(answer: SqlAnswer | undefined): SqlAnswer {
  if (!answer) throw new StoreError('away', 'the database is closed');
  if ('fault' in answer) throw fromFault(answer.fault);
  return answer;
}

/** Statements by the calls that do them. */
export function queriesBy(ask: (call: SqlCall) => Promise<SqlAnswer>): Transaction {
  const insert = async (table: string, columns: readonly string[], rows: Rows): Promise<number> =>
    numberOf(await ask({ do: 'insert', table, columns, count: rows.length, values: rows.flat() }));
  return {
    since: Number.NEGATIVE_INFINITY,
    all: async <T>(sql: string, params: readonly Value[] = []) =>
      rowsOf<T>(await ask({ do: 'all', sql, values: [...params] })),
    run: async (sql, params = []) => numberOf(await ask({ do: 'run', sql, values: [...params] })),
    ddl: async (sql) => void (await ask({ do: 'exec', sql })),
    insert: async (table, columns, rows) => void (await insert(table, columns, rows)),
    insertIds: async (table, columns, rows) => {
      const first = await insert(table, columns, rows);
      return Array.from({ length: rows.length }, (_, i) => first + i);
    },
    async attempt(work) {
      const exec = (sql: string) => ask({ do: 'exec', sql });
      await exec('SAVEPOINT part');
      try {
        const result = await work();
        await exec('RELEASE part');
        return result;
      } catch (error) {
        // A trigger may have rolled back everything.
        await exec('ROLLBACK TO part; RELEASE part').catch(() => {
          throw error instanceof StoreError ? new TransactionOver(error.failure, error.cause) : error;
        });
        throw error;
      }
    },
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
  // A generated column or an index of another application reads the body as JSON.
  if (/^malformed JSON|^bad JSON/.test(message)) return 'data';
  if (/already exists/.test(message)) return 'exists';
  if (/no such (table|column)/.test(message)) return 'missing';
  return [7, 8, 10, 11, 13, 14, 26].includes(code) ? 'away' : 'other'; // NOMEM, READONLY, IOERR, CORRUPT, FULL, …
}

function fromFault({ message, errcode, over }: SqlFault): StoreError {
  const code = errcode ?? CODES.find(([sentence]) => sentence.test(message))?.[1];
  // Also kept on the error: causes.ts chooses by this code what an operator is told.
  const error = Object.assign(new Error(message), code === undefined ? {} : { errcode: code });
  return over ? new TransactionOver(failureOf(error), error) : new StoreError(failureOf(error), error);
}
