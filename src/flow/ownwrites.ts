// Read your writes: what a user has just stored through this process gets its position before his consumers look for it.
import { LRUCache } from 'lru-cache';
import type { Tail } from './tail.ts';

export interface OwnWrites {
  /** Contents that this process has committed. */
  committed(rows: readonly { readonly user_id: number }[], ids: readonly number[]): void;
  /** Resolves when the latest of them has its position, at once when that is known, or after 300 ms. */
  settled(userId: number): Promise<void>;
}

// As lists do: an answer is late rather than without what its caller knows to be there.
const PATIENCE_MS = 300;
const MOST_WRITERS = 50_000;

export function createOwnWrites(tail: Pick<Tail, 'onPlaced' | 'readable'>): OwnWrites {
  const written = new LRUCache<number, { readonly id: number; readonly at: number }>({ max: MOST_WRITERS });
  return {
    committed(rows, ids) {
      const at = performance.now();
      for (const [i, { user_id }] of rows.entries()) written.set(user_id, { id: ids[i] as number, at });
    },
    async settled(userId) {
      const last = written.get(userId);
      // Whatever lists may hand out has its position.
      if (!last || tail.readable >= last.id) return;
      const left = last.at + PATIENCE_MS - performance.now();
      if (left <= 0) return;
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          off();
          resolve();
        };
        const timer = setTimeout(done, left);
        const off = tail.onPlaced(userId, ({ id }) => id >= last.id && done());
      });
    },
  };
}
