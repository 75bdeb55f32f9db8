// How much waits for the secret of its webhook. All of it was answered 200: when there is too much, nobody else is.
import { LRUCache } from 'lru-cache';
import type { Store } from '../store/index.ts';
import { sumUnjudged } from '../store/refusals.ts';

// As much as is kept of other refusals; but of those the oldest go, and of these none before its time.
const MOST = { rows: 10_000, bytes: 256 * 1024 * 1024 };
// Other processes add to it too, and what is released leaves it: a little more than MOST does no harm.
const COUNT_EVERY_MS = 10_000;
// Ten thousand small ones are counted in 0.1 s, 256 MiB of heads in one: never more than a twentieth of the time.
const REST = 20;
const MOST_KNOWN = 10_000;

interface Known {
  /** When it has to be counted again. */
  due: number;
  readonly sum: Promise<{ n: number; bytes: number }>;
  told: boolean;
}

export interface Unjudged {
  /**
   * Takes room for one more. `room` is false when there is none, and `first` true for the first in a while who is told so.
   * Rejects when the database cannot be asked.
   */
  take(whId: number, bytes: number): Promise<{ readonly room: boolean; readonly first: boolean }>;
}

export function createUnjudged({ db }: Pick<Store, 'db'>): Unjudged {
  const webhooks = new LRUCache<number, Known>({ max: MOST_KNOWN });

  function knownOf(whId: number): Known {
    const began = performance.now();
    const known = webhooks.get(whId);
    if (known && began < known.due) return known;
    const counting: Known = { due: Number.POSITIVE_INFINITY, sum: sumUnjudged(db, whId), told: false };
    webhooks.set(whId, counting);
    counting.sum.then(
      () => {
        const took = performance.now() - began;
        counting.due = began + Math.max(COUNT_EVERY_MS, REST * took);
      },
      () => webhooks.delete(whId),
    );
    return counting;
  }

  return {
    async take(whId, bytes) {
      const known = knownOf(whId);
      const sum = await known.sum;
      const room = sum.n < MOST.rows && sum.bytes + bytes <= MOST.bytes;
      const first = !room && !known.told;
      if (first) known.told = true;
      if (room) sum.n++;
      if (room) sum.bytes += bytes;
      return { room, first };
    },
  };
}
