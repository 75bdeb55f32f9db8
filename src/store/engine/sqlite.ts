// The embedded database behind the seam of db.ts: SQLite in threads of this process, durable commits.
//
// One thread writes, a few read, each with a connection of its own (sqlite-thread.ts); here is only who asks what, and when. The
// event loop never waits for a disk.
//
// - A transaction has the writing thread to itself from BEGIN to COMMIT; the others wait here, in order, and senders with every other
//   turn.
// - Reads outside a transaction see what was committed, and nothing else: they never wait for a transaction, however long it is.
// - A read that begins after a commit was answered sees it: a reading thread holds no snapshot between two messages, unless a scan
//   is not at its end, and then it gets no other read.
// - Calls that come while all reading threads are busy go together, as one message with one snapshot.
// - Only the writing thread's connection commits and checkpoints; the others are read-only. So the WAL reset of SQLite before 3.51.3,
//   which could corrupt a database between a commit and a checkpoint of another connection, cannot happen among them.
import { closeSync, existsSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve as absolute, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Db, failed, StoreError, type Transaction, type Value } from '../db.ts';
import { flushFile, makeFlushedFolder } from './files.ts';
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
  rowsOf,
  type SqlAnswer,
  type SqlCall,
  sound,
  unpackBlobs,
} from './sqlite-calls.ts';

// Pages of 8 KiB: a commit takes a third less time than with 4 KiB. A checkpoint every 8 MiB of log: at 64 MiB checkpoints cost
// as much in all, but each one stops the writing thread for 150 ms.
const PAGE_BYTES = 8192;
const CHECKPOINT_PAGES = 1024;
// Of pages in memory, for each connection.
const WRITER_CACHE_KIB = 65_536;
const READER_CACHE_KIB = 16_384;
// One that reads something long leaves another to all the others. More than cores would only take turns.
const READERS = Math.max(2, Math.min(4, availableParallelism() - 1));
// Reads in one message: they share a snapshot, and wait for one another.
const MOST_READS = 64;
// Another thread is started when reads wait for so long: to start one takes several times as long.
const PATIENCE_MS = 20;
// SQLite's own limit for a value is 1,000,000,000 bytes; the settings bound it long before.
const MAX_VALUE_BYTES = 256 * 1024 * 1024;
// Before 3.51.3 a WAL reset could corrupt a database that two connections use (sqlite.org/changes.html).
const SAFE_FOR_TWO = '3.51.3';

// Built beside the bundles. From sources (in tests) it is the built one too: Node 20 runs no TypeScript.
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? '../../../dist/sqlite-thread.js' : './sqlite-thread.js',
  import.meta.url,
);

type Thread = ReturnType<typeof startThread>;

/** A thread with its connection. `opened` rejects when the database cannot be opened. */
function startThread(opening: Opening) {
  const worker = new Worker(PROGRAM, { workerData: opening });
  const waiting: { resolve(answers: readonly SqlAnswer[]): void; reject(error: unknown): void }[] = [];
  let ended: Error | undefined;
  // An idle database keeps no process alive, a call under way does.
  function wait(): Promise<readonly SqlAnswer[]> {
    if (waiting.length === 0) worker.ref();
    return new Promise((resolve, reject) => void waiting.push({ resolve, reject }));
  }
  worker.on('message', ({ answers, blobs }: Response) => {
    unpackBlobs(answers, blobs);
    const one = waiting.shift();
    if (waiting.length === 0) worker.unref();
    one?.resolve(answers);
  });
  const end = (error: Error) => {
    ended ??= error;
    for (const one of waiting.splice(0)) one.reject(new StoreError('away', ended));
  };
  worker.on('error', end);
  const exited = new Promise<void>((resolve) =>
    worker.on('exit', () => {
      end(new Error('the thread of the database has ended'));
      resolve();
    }),
  );
  /** Rejects only when the thread is gone: how each call went is in its answer. */
  function ask(calls: readonly SqlCall[], ordered: boolean): Promise<readonly SqlAnswer[]> {
    if (ended) return Promise.reject(new StoreError('away', ended));
    const blobs = packBlobs(calls);
    worker.postMessage({ calls, ordered, blobs } satisfies Request, [blobs.memory]);
    return wait();
  }
  const opened = wait().then(([answer]) => void sound(answer));
  opened.catch(() => {}); // told to each call, too
  return {
    opened,
    ask,
    get ended(): boolean {
      return ended !== undefined;
    },
    async close(): Promise<void> {
      if (ended) return;
      const [answer] = await ask([{ do: 'close' }], true);
      worker.ref();
      await exited;
      sound(answer);
    },
  };
}

interface Read {
  readonly call: SqlCall;
  resolve(answered: { readonly answer: SqlAnswer; readonly reader: Reader }): void;
  reject(error: unknown): void;
}
interface Reader {
  readonly thread: Thread;
  busy: boolean;
  /** Scans that are not at their end. */
  scans: number;
}

/** The reads of all callers, on as many threads as they need. */
function createReaders(start: () => Thread) {
  let readers: Reader[] = [];
  let queue: Read[] = [];
  let starting: Promise<void> | undefined;
  let patience: NodeJS.Timeout | undefined;
  let closed = false;

  /** A thread gets reads only when its database is open: another one is free sooner than that. */
  function add(): Promise<void> {
    const thread = start();
    starting = thread.opened.then(
      () => void readers.push({ thread, busy: false, scans: 0 }),
      (error: unknown) => {
        if (readers.length === 0) for (const read of queue.splice(0)) read.reject(error);
        throw error;
      },
    );
    return starting.finally(() => {
      starting = undefined;
      pump();
    });
  }
  async function run(reader: Reader): Promise<void> {
    const reads = queue.slice(0, MOST_READS);
    queue = queue.slice(MOST_READS);
    reader.busy = true;
    try {
      const calls = reads.map(({ call }) => call);
      const answers = await reader.thread.ask(calls, false);
      for (const [i, answer] of answers.entries()) {
        if ('table' in answer && !answer.table.end) reader.scans++;
        reads[i]?.resolve({ answer, reader });
      }
    } catch (error) {
      for (const read of reads) read.reject(error);
    }
    reader.busy = false;
    pump();
  }
  function pump(): void {
    readers = readers.filter(({ thread }) => !thread.ended);
    for (const reader of readers) if (queue.length > 0 && !reader.busy && reader.scans === 0) void run(reader);
    if (queue.length === 0 || starting || readers.length === READERS || closed) return;
    if (readers.length === 0) add().catch(() => {});
    else
      patience ??= setTimeout(() => {
        patience = undefined;
        if (queue.length > 0 && !starting && !closed) add().catch(() => {});
      }, PATIENCE_MS).unref();
  }

  return {
    add,
    read: (call: SqlCall): Promise<{ readonly answer: SqlAnswer; readonly reader: Reader }> =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new StoreError('other', new Error('the database is closed')));
        queue.push({ call, resolve, reject });
        pump();
      }),
    /** A scan of this reader is over. */
    over(reader: Reader): void {
      reader.scans--;
      pump();
    },
    async close(): Promise<void> {
      closed = true;
      clearTimeout(patience);
      await starting?.catch(() => {});
      await Promise.all(readers.map(({ thread }) => thread.close()));
    },
  };
}

/**
 * Opens `sqlite:./path/file.db` (or `sqlite::memory:`): folder 0700, files 0600, WAL, synchronous=FULL. `readOnly`: looks at the
 * file while another process uses it, and neither makes nor changes anything.
 */
export async function openSqlite(
  path: string,
  { readOnly = false } = {},
): Promise<Db & { readonly sharable: boolean }> {
  const inFile = path !== ':memory:';
  if (inFile && !readOnly) {
    makeFlushedFolder(dirname(path));
    // The -wal and -shm files take the mode of this one. Not when it is there: to close it ends all locks that this process has on it.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  }
  const temporary = inFile && !readOnly ? absolute(dirname(path)) : undefined;
  // secure_delete overwrites deleted rows at once. That takes no measurable time, and writes a third more bytes.
  const settings = `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA cache_size = -${WRITER_CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA secure_delete = ON`;
  const startWriter = () => startThread({ path, readOnly, settings: readOnly ? '' : settings, temporary });
  let writer = startWriter();
  await writer.opened;
  // A database in memory belongs to its connection: that one reads, too, between its transactions.
  const readers =
    inFile && !readOnly
      ? createReaders(() =>
          startThread({ path, readOnly: true, settings: `PRAGMA cache_size = -${READER_CACHE_KIB}`, temporary }),
        )
      : undefined;
  await readers?.add().catch(async (error: unknown) => {
    await writer.close();
    throw error;
  });
  const [{ v: version } = { v: '' }] = rowsOf<{ v: string }>(
    sound((await writer.ask([{ do: 'all', sql: 'SELECT sqlite_version() AS v', values: [] }], true))[0]),
  );

  let closed = false;
  // The writing thread does one transaction after the other. Senders and all others take turns at it, so that a sender waits for one
  // other transaction at most, however many a user lets wait.
  type Who = 'writer' | 'others';
  const lines: Record<Who, (() => Promise<void>)[]> = { writer: [], others: [] };
  let after: Who | undefined;
  function next(): void {
    const who =
      after === 'writer' && lines.others.length > 0 ? 'others' : lines.writer.length > 0 ? 'writer' : 'others';
    const begin = lines[who].shift();
    after = begin && who;
    void begin?.().finally(next);
  }
  function inTurn<T>(work: () => Promise<T>, who: Who = 'others'): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = async () => {
        if (closed) throw new StoreError('other', new Error('the database is closed'));
        if (writer.ended) {
          writer = startWriter();
          await writer.opened;
        }
        return work();
      };
      lines[who].push(() => begin().then(resolve, reject));
      if (!after) next();
    });
  }

  /** Answers with the rows, or with the first of a scan, and how it goes on. */
  async function read(call: SqlCall): Promise<Reading> {
    if (readers) {
      const { answer, reader } = await readers.read(call);
      return { answer: sound(answer), thread: reader.thread, over: () => readers.over(reader) };
    }
    return new Promise((resolve, reject) => {
      const reading = inTurn(async () => {
        const answer = sound((await writer.ask([call], true))[0]);
        await new Promise<void>((over) => {
          resolve({ answer, thread: writer, over });
          if (atEnd(answer)) over();
        });
      });
      reading.catch(reject);
    });
  }
  let scans = 0;
  async function scan<T>(sql: string, params: readonly Value[], each: (row: T) => boolean): Promise<void> {
    const name = ++scans;
    const { answer, thread, over } = await read({ do: 'scan', name, sql, values: [...params] });
    if (atEnd(answer)) return void rowsOf<T>(answer).every(each);
    let some = answer;
    try {
      while (rowsOf<T>(some).every(each) && !atEnd(some))
        some = sound((await thread.ask([{ do: 'more', name }], false))[0]);
    } finally {
      if (!atEnd(some)) await thread.ask([{ do: 'stop', name }], false).catch(() => {});
      over();
    }
  }

  const rollback = () => writer.ask([ROLLBACK], true).catch(() => {});
  const transaction = <T>(work: (queries: Transaction) => Promise<T>, who?: Who): Promise<T> =>
    inTurn(async () => {
      // BEGIN goes with the first call.
      let open = false;
      async function ask(call: SqlCall): Promise<SqlAnswer> {
        const first = !open;
        open = true;
        const answers = await writer.ask(first ? [BEGIN, call] : [call], true);
        if (first) begun(answers[0]);
        return sound(answers.at(-1));
      }
      try {
        const result = await work(queriesBy(ask));
        if (open) sound((await writer.ask([COMMIT], true).catch(unknown))[0]);
        return result;
      } catch (error) {
        // Some failures (a full disk) have ended the transaction already. ROLLBACK fails for no other reason.
        if (open) await rollback();
        throw error;
      }
    }, who);
  /** A transaction of one call, in one message. */
  const alone = (call: SqlCall): Promise<SqlAnswer> =>
    inTurn(async () => {
      const [first, answer, last] = await writer.ask([BEGIN, call, COMMIT], true).catch(unknown);
      try {
        begun(first);
        sound(answer);
        sound(last);
        return answer as SqlAnswer;
      } catch (error) {
        await rollback();
        throw error;
      }
    });
  const own = queriesBy(alone);

  const all = async <T>(sql: string, params: readonly Value[] = []): Promise<T[]> =>
    rowsOf<T>((await read({ do: 'all', sql, values: [...params] })).answer);

  return {
    kind: 'sqlite',
    version: `SQLite ${version}`,
    sharable: version.localeCompare(SAFE_FOR_TWO, 'en', { numeric: true }) >= 0,
    dialect: DIALECT,
    ...own,
    // With synchronous=FULL nothing can be read before it is on disk.
    flushedAt: () => performance.now(),
    maxValueBytes: MAX_VALUE_BYTES,
    lanes: 1,
    all,
    // A part of a search takes a reading thread for some ms: no lane of its own is needed.
    search: all,
    scan,
    transaction,
    perform: (name, job) =>
      inTurn(async () => {
        const [answer] = await writer.ask([{ do: 'job', name, ...job() }], true).catch(unknown);
        begun(answer);
        return answer && 'done' in answer ? answer.done : undefined;
      }, 'writer'),
    scrub: (rewrite) =>
      inTurn(async () => {
        // secure_delete misses the copies that rows leave behind when SQLite moves them to make room for others.
        if (rewrite) sound((await writer.ask([{ do: 'exec', sql: 'VACUUM' }], true))[0]);
        // Pages that are still read, here or in another process, stay in the log.
        const sql = 'PRAGMA wal_checkpoint(TRUNCATE)';
        const [log] = rowsOf<{ busy: number }>(sound((await writer.ask([{ do: 'all', sql, values: [] }], true))[0]));
        if (log?.busy !== 0) return false;
        // SQLite empties it, and leaves it to the system when that comes to the disk: after a power cut it would all be back.
        if (inFile) await flushFile(`${path}-wal`);
        return true;
      }),
    ping: async () => void (await read({ do: 'all', sql: 'SELECT 1', values: [] })),
    close: () =>
      inTurn(async () => {
        closed = true;
        await readers?.close();
        // The last connection empties the log into the file.
        await writer.close();
      }),
  };
}

interface Reading {
  readonly answer: SqlAnswer;
  readonly thread: Thread;
  over(): void;
}

/** BEGIN has waited already: another process holds the lock for longer than any sender waits. */
function begun(answer: SqlAnswer | undefined): void {
  try {
    sound(answer);
  } catch (error) {
    throw failed(error, 'again') ? new StoreError('away', (error as StoreError).cause) : error;
  }
}

/** The thread is gone, and COMMIT may have been done. */
function unknown(error: unknown): never {
  throw new StoreError('unknown', error instanceof StoreError ? error.cause : error);
}

const atEnd = (answer: SqlAnswer): boolean => !('table' in answer) || answer.table.end;
