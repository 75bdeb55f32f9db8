// Says in our words how SQLite failed: by its result code, or by its sentence where the driver leaves the code out.
import { type Failure, StoreError } from '../db.ts';

interface SqliteError {
  readonly message: string;
  errcode?: number;
}

// The driver for Node 20 gives no code with what fails while rows are read. The sentences are constants of SQLite's.
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

function failureOf({ errcode = 1, message }: SqliteError): Failure {
  const code = errcode & 0xff;
  if (code === 5 || code === 6) return 'again'; // BUSY, LOCKED
  if (code === 19) return errcode === 1555 || errcode === 2067 ? 'duplicate' : 'data';
  if (code === 18 || code === 20) return 'data'; // TOOBIG, MISMATCH
  if (/already exists/.test(message)) return 'exists';
  if (/no such (table|column)/.test(message)) return 'missing';
  return [7, 8, 10, 11, 13, 14, 26].includes(code) ? 'away' : 'other'; // NOMEM, READONLY, IOERR, CORRUPT, FULL, …
}

export function fromSqliteError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (!(error instanceof Error)) return new StoreError('other', error);
  const failed: SqliteError = error;
  // Kept on the error too: what an operator is told goes by it.
  const code = failed.errcode ?? CODES.find(([sentence]) => sentence.test(failed.message))?.[1];
  if (code !== undefined) failed.errcode = code;
  return new StoreError(failureOf(failed), error);
}
