// Read your writes: a user finds what was just stored for him by this process, in his lists and by his consumers.
import { LRUCache } from 'lru-cache';
import type { Tail } from './tail.ts';

export interface OwnWrites {
  /** Contents that this process has committed. */
  committed(rows: readonly { readonly user_id: number }[], ids: readonly number[]): void;
  /** Resolves when the latest of them can be read, at once when that is known, or 300 ms after it was committed. */
  settled(userId: number): Promise<void>;
}

// An answer is late rather than without what its caller knows to be there.
const PATIENCE_MS = 300;
const MOST_WRITERS = 50_000;

/** `arrives`: what wakes them, `onReadable` for lists. Consumers also need the position. */
export function createOwnWrites(
  tail: Pick<Tail, 'onPlaced' | 'readable'>,
  arrives: (userId: number, wake: (row: { readonly id: number }) => void) => () => void = tail.onPlaced,
): OwnWrites {
  const written = new LRUCache<number, { readonly id: number; readonly at: number }>({ max: MOST_WRITERS });
  return {
    committed(rows, ids) {
      const at = performance.now();
      for (const [i, { user_id }] of rows.entries()) {
        const id = ids[i] as number;
        const before = written.get(user_id);
        // Two transactions are under way at once: the later commit may have the lower ids.
        if (!before || before.id < id || at - before.at > PATIENCE_MS) written.set(user_id, { id, at });
      }
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
        const off = arrives(userId, ({ id }) => id >= last.id && done());
      });
    },
  };
}
