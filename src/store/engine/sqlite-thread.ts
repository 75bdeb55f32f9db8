// The program of a thread of sqlite.ts: one SQLite connection that does what messages ask. Only this thread waits for the disk.
import { createRequire } from 'node:module';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { insertJob } from '../contents.ts';
import { type JobName, StoreError, TransactionOver, type Value } from '../db.ts';
import {
  BEGIN,
  COMMIT,
  DIALECT,
  type Opening,
  packBlobs,
  queriesBy,
  type Request,
  type Response,
  ROLLBACK,
  type SqlAnswer,
  type SqlCall,
  type SqlFault,
  sound,
  type Table,
  unpackBlobs,
} from './sqlite-calls.ts';
import { insertSql, sizesOf } from './statements.ts';

// Of a scan: so much is read ahead while its reader has not said yet whether he wants more.
const AHEAD_BYTES = 1024 * 1024;
const AHEAD_ROWS = 1_000;

const load = createRequire(import.meta.url);
type Driver = { DatabaseSync: new (path: string, options: { readOnly: boolean }) => DatabaseSyncInstance };
function driver(): Driver {
  try {
    return load('node:sqlite') as Driver; // Node 22.13 and later
  } catch {
    return load('@photostructure/sqlite') as Driver; // the same API for Node 20
  }
}

type Row = Record<string, Value>;

// Another process (the command line) may hold a lock. SQLite waits for it by itself, but not while it changes the journal mode.
const BUSY_GIVE_UP_MS = 5_000;
const BUSY_RETRY_MS = 20;
const CONSTRAINT = 19;

function open({ path, readOnly, settings, temporary }: Opening): DatabaseSyncInstance {
  const { DatabaseSync } = driver();
  const database = new DatabaseSync(path, { readOnly });
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  for (const until = performance.now() + BUSY_GIVE_UP_MS; ; Atomics.wait(sleeping, 0, 0, BUSY_RETRY_MS))
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_GIVE_UP_MS}; ${settings}`);
      break;
    } catch (error) {
      if (!/locked/.test((error as Error).message) || performance.now() > until) throw error;
    }
  // VACUUM and large sorts need a file as large as the database: the folder of the database has room for it, and we may write
  // there. A container has no /tmp, or a small one. SQLite reads the environment only when it is loaded.
  try {
    if (temporary) database.exec(`PRAGMA temp_store_directory = '${temporary.replaceAll("'", "''")}'`);
  } catch {
    // SQLite may not write there, and chooses another folder.
  }
  return database;
}

function serve(database: DatabaseSyncInstance): (request: Request) => Promise<SqlAnswer[]> {
  // Prepared once and kept: the driver for Node 20 leaks about 2 KB per prepare. The texts are few and constant. A statement that
  // is being scanned cannot begin anew: a text has as many as were in use at once.
  const unused = new Map<string, StatementSyncInstance[]>();
  const scans = new Map<
    number,
    { readonly sql: string; readonly one: StatementSyncInstance; readonly rows: Iterator<Row> }
  >();
  const take = (sql: string): StatementSyncInstance => unused.get(sql)?.pop() ?? database.prepare(sql);
  function put(sql: string, one: StatementSyncInstance): void {
    const list = unused.get(sql);
    if (list) list.push(one);
    else unused.set(sql, [one]);
  }
  function using<T>(sql: string, work: (one: StatementSyncInstance) => T): T {
    const one = take(sql);
    try {
      return work(one);
    } finally {
      put(sql, one);
    }
  }

  function some(name: number): Table {
    const scan = scans.get(name);
    if (!scan) return tableOf([], true);
    const rows: Row[] = [];
    for (let bytes = 0; bytes < AHEAD_BYTES && rows.length < AHEAD_ROWS; ) {
      const { done, value } = next(name, scan.rows);
      if (done) {
        stop(name);
        return tableOf(rows, true);
      }
      rows.push(value);
      for (const column in value) bytes += sizeOf(value[column]);
    }
    return tableOf(rows, false);
  }
  function next(name: number, rows: Iterator<Row>): IteratorResult<Row> {
    try {
      return rows.next();
    } catch (error) {
      stop(name);
      throw error;
    }
  }
  function stop(name: number): void {
    const scan = scans.get(name);
    if (!scan) return;
    scans.delete(name);
    try {
      scan.rows.return?.();
    } catch {
      // It has failed and ended already.
    }
    put(scan.sql, scan.one);
  }

  function answer(call: SqlCall): SqlAnswer {
    switch (call.do) {
      case 'all':
        return { table: using(call.sql, (one) => tableOf(one.all(...call.values) as Row[], true)) };
      case 'run':
        return { number: using(call.sql, (one) => Number(one.run(...call.values).changes)) };
      case 'insert':
        return { number: insert(call.table, call.columns, call.count, call.values) };
      case 'scan': {
        const one = take(call.sql);
        scans.set(call.name, { sql: call.sql, one, rows: one.iterate(...call.values) as Iterator<Row> });
        return { table: some(call.name) };
      }
      case 'more':
        return { table: some(call.name) };
      case 'stop':
        stop(call.name);
        return { number: 0 };
      case 'exec':
        database.exec(call.sql);
        return { number: 0 };
      case 'job':
        throw new Error('a job is the only call of its message');
      case 'close':
        for (const name of [...scans.keys()]) stop(name);
        unused.clear();
        database.close();
        return { number: 0 };
    }
  }

  /** One call into the driver for many rows costs half as much per row as one for each. */
  function insert(table: string, columns: readonly string[], count: number, values: readonly Value[]): number {
    let last = 0;
    let at = 0;
    for (const size of sizesOf(count)) {
      const some = values.slice(at, at + size * columns.length);
      at += some.length;
      last = using(insertSql(table, columns, size), (one) => {
        const { changes, lastInsertRowid } = one.run(...some);
        // RAISE(IGNORE) of a trigger leaves a row out without a failure.
        if (Number(changes) !== size)
          throw Object.assign(new Error('a trigger left a row out'), { errcode: CONSTRAINT });
        return Number(lastInsertRowid);
      });
    }
    // No other connection can insert during our transaction: the ids are consecutive.
    return last - count + 1;
  }

  const attempt = (call: SqlCall): SqlAnswer => faultless(() => answer(call));

  /** Taking and dropping SQLite's file locks costs more than reading one row. */
  function together(calls: readonly SqlCall[]): SqlAnswer[] {
    const shared = calls.length > 1 && !('fault' in attempt({ do: 'exec', sql: 'BEGIN' }));
    const answers = calls.map(attempt);
    // A failed read (a full disk) may have ended the transaction already.
    if (shared && 'fault' in attempt(COMMIT)) attempt(ROLLBACK);
    return answers;
  }

  function inOrder(calls: readonly SqlCall[]): SqlAnswer[] {
    const answers: SqlAnswer[] = [];
    let failed: SqlAnswer | undefined;
    for (const call of calls) {
      const one: SqlAnswer = failed ?? attempt(call);
      if ('fault' in one) failed = one;
      answers.push(one);
    }
    return answers;
  }

  const queries = queriesBy(async (call) => sound(attempt(call)));
  async function job({ name, ...job }: SqlCall & { do: 'job' }): Promise<SqlAnswer> {
    const begun = attempt(BEGIN);
    if ('fault' in begun) return begun;
    try {
      const done = await JOBS[name](queries, DIALECT, job);
      sound(attempt(COMMIT));
      return { done };
    } catch (error) {
      attempt(ROLLBACK);
      const fault = faultOf(error instanceof StoreError ? error.cause : error);
      return { fault: error instanceof TransactionOver ? { ...fault, over: true } : fault };
    }
  }

  return async ({ calls, ordered, blobs }) => {
    unpackBlobs(calls, blobs);
    const [first] = calls;
    if (first?.do === 'job') return [await job(first)];
    return ordered ? inOrder(calls) : together(calls);
  };
}

const JOBS = { insertContents: insertJob } satisfies Record<JobName, unknown>;

function tableOf(rows: readonly Row[], end: boolean): Table {
  const columns = Object.keys(rows[0] ?? {});
  const values: Value[] = [];
  for (const row of rows) for (const column of columns) values.push(buffered(row[column] as Value));
  return { columns, values, end };
}

const buffered = (value: Value): Value =>
  value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
const sizeOf = (value: Value | undefined): number =>
  typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;

function faultless(work: () => SqlAnswer): SqlAnswer {
  try {
    return work();
  } catch (error) {
    return { fault: faultOf(error) };
  }
}
function faultOf(error: unknown): SqlFault {
  const { message, errcode } = error as Error & { errcode?: number };
  return { message, errcode };
}

/** The first message says whether the database is open, each other answers one. */
function run(port: MessagePort, opening: Opening): void {
  const send = (answers: readonly SqlAnswer[]) => {
    const blobs = packBlobs(answers);
    port.postMessage({ answers, blobs } satisfies Response, [blobs.memory]);
  };
  let answers: ReturnType<typeof serve> | undefined;
  const opened = faultless(() => {
    answers = serve(open(opening));
    return { number: 0 };
  });
  send([opened]);
  if (!answers) port.close();
  let last = Promise.resolve();
  port.on('message', (request: Request) => {
    last = last.then(async () => {
      send((await answers?.(request)) ?? []);
      if (request.calls.some((call) => call.do === 'close')) port.close();
    });
  });
}

if (parentPort) run(parentPort, workerData as Opening);
