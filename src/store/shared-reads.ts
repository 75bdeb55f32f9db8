// Reads of rows by key for many callers: createBatcher lets them share queries, createRefreshed keeps rows in use in memory.
import { failed, StoreError } from './db.ts';

// Natural batching: calls that come while a query is under way share the next one. No timer, no cache.

// While the database hangs a call waits no longer than this for its row.
const DEADLINE_MS = 3_000;

interface BatcherOptions {
  /** Keys per query. */
  readonly most: number;
  /** Queries that may be under way at once. */
  readonly lanes: number;
  readonly deadlineMs?: number;
}

interface Ask<V> {
  readonly late: NodeJS.Timeout;
  resolve(value: V | undefined): void;
  reject(error: unknown): void;
}

/** `load` answers with the rows that exist; a key it leaves out is resolved with undefined. */
export function createBatcher<K, V>(
  load: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
  { most, lanes, deadlineMs = DEADLINE_MS }: BatcherOptions,
): (key: K) => Promise<V | undefined> {
  const asked = new Map<K, Ask<V>[]>();
  let running = 0;
  let scheduled = false;

  async function run(): Promise<void> {
    const batch = new Map<K, Ask<V>[]>();
    for (const [key, waiting] of asked) {
      if (batch.size === most) break;
      batch.set(key, waiting);
      asked.delete(key);
    }
    const end = (how: (ask: Ask<V>, key: K) => void) => {
      for (const [key, waiting] of batch)
        for (const ask of waiting) {
          clearTimeout(ask.late);
          how(ask, key);
        }
    };
    await load([...batch.keys()]).then(
      (found) => end(({ resolve }, key) => resolve(found.get(key))),
      (error: unknown) => end(({ reject }) => reject(error)),
    );
  }

  function start(): void {
    scheduled = false;
    while (running < lanes && asked.size > 0) {
      running++;
      void run().finally(() => {
        running--;
        start();
      });
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new StoreError('away', `no answer within ${deadlineMs} ms`)), deadlineMs);
      const ask: Ask<V> = { late, resolve, reject };
      const waiting = asked.get(key);
      if (waiting) waiting.push(ask);
      else asked.set(key, [ask]);
      // Calls in the same turn of the event loop share the query.
      if (!scheduled && running < lanes) {
        scheduled = true;
        setImmediate(start);
      }
    });
}

// A refresh-ahead cache: rows in use, never older than 5 s, at one query per interval however many readers there are.

// Read again a second before they would be too old, so that a row in use is never missing between two reads.
const EVERY_MS = 4_000;
const VALID_MS = 5_000;

const IDLE_MS = 10 * 60_000;
// More rows are read for each use: slower, not wrong.
const MOST = 50_000;
const KEYS_PER_QUERY = 500;

export type Refreshed<K extends string | number, V extends object> = ReturnType<typeof createRefreshed<K, V>>;

interface Entry<V> {
  value: V;
  readAt: number;
  usedAt: number;
}
interface RefreshedOptions {
  readonly now?: () => number;
  readonly everyMs?: number;
  readonly deadlineMs?: number;
}

/** Rejects when there is no answer within `ms`; a later answer is dropped. */
async function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreError('away', `no answer within ${ms} ms`)), ms);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** `load` answers with the rows that exist; a key it leaves out is forgotten. */
export function createRefreshed<K extends string | number, V extends object>(
  load: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
  { now = () => performance.now(), everyMs = EVERY_MS, deadlineMs = DEADLINE_MS }: RefreshedOptions = {},
) {
  const entries = new Map<K, Entry<V>>();
  let epoch = 0;

  async function loadInto(keys: readonly K[]): Promise<ReadonlyMap<K, V>> {
    const readAt = now(); // when the query was sent, not when it was answered: the row may change in between
    const began = epoch;
    const found = await inTime(load(keys), deadlineMs);
    if (began !== epoch) return found;
    for (const key of keys) {
      const value = found.get(key);
      const entry = entries.get(key);
      if (entry && entry.readAt > readAt) continue; // a newer query was answered first
      if (value === undefined) entries.delete(key);
      else if (entry) Object.assign(entry, { value, readAt });
      else if (entries.size < MOST) entries.set(key, { value, readAt, usedAt: readAt });
    }
    return found;
  }

  const read = createBatcher<K, V>(loadInto, { most: KEYS_PER_QUERY, lanes: 1 });

  let refreshing = false;
  /** One at a time. While the database is away the entries grow too old, and get() does not return them any more. */
  async function refresh(): Promise<void> {
    if (refreshing) return;
    refreshing = true;
    const idle = now() - IDLE_MS;
    for (const [key, entry] of entries) if (entry.usedAt < idle) entries.delete(key);
    const keys = [...entries.keys()];
    let away = false;
    for (let from = 0; from < keys.length && !away; from += KEYS_PER_QUERY)
      await loadInto(keys.slice(from, from + KEYS_PER_QUERY)).catch((error: unknown) => {
        away = failed(error, 'away');
      });
    refreshing = false;
  }
  const timer = setInterval(() => void refresh(), everyMs);
  timer.unref();

  return {
    /** The row if it is known and was read within 5 s. */
    get(key: K): V | undefined {
      const entry = entries.get(key);
      if (!entry) return undefined;
      entry.usedAt = now();
      return entry.usedAt - entry.readAt < VALID_MS ? entry.value : undefined;
    },
    /** Reads the row now; calls that come while such a query runs share the next one. */
    read,
    /** Drops the rows that match: the next get() misses, and a read that is under way puts nothing back. */
    forget(match: (value: V) => boolean): void {
      epoch++;
      for (const [key, { value }] of entries) if (match(value)) entries.delete(key);
    },
    /** Keys used within 10 minutes, for tests and metrics. */
    get size() {
      return entries.size;
    },
    close: () => clearInterval(timer),
  };
}
