// Natural batching of reads by key: who asks while a query is under way shares the next one. No timer, no cache.
import { StoreError } from '../store/db.ts';

// While the database hangs nobody waits longer than this for a row.
const DEADLINE_MS = 3_000;

export interface GatherOptions {
  /** Keys per query. */
  readonly most: number;
  /** Queries that may be under way at once. */
  readonly lanes: number;
}

interface Ask<V> {
  resolve(value: V | undefined): void;
  reject(error: unknown): void;
}

/** `load` answers with the rows that exist; a key it leaves out is resolved with undefined. */
export function createGather<K, V>(
  load: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
  { most, lanes }: GatherOptions,
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
    try {
      const found = await load([...batch.keys()]);
      for (const [key, waiting] of batch) for (const { resolve } of waiting) resolve(found.get(key));
    } catch (error) {
      for (const waiting of batch.values()) for (const { reject } of waiting) reject(error);
    }
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
      const late = setTimeout(() => reject(new StoreError('away', `no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
      const ask: Ask<V> = {
        resolve(value) {
          clearTimeout(late);
          resolve(value);
        },
        reject(error) {
          clearTimeout(late);
          reject(error);
        },
      };
      const waiting = asked.get(key);
      if (waiting) waiting.push(ask);
      else asked.set(key, [ask]);
      // Whoever asks in the same turn of the event loop shares the query.
      if (!scheduled && running < lanes) {
        scheduled = true;
        setImmediate(start);
      }
    });
}
