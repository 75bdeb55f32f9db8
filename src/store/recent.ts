// What this process has committed last, with its positions: on SQLite nobody needs to read that again.
import type { Placed } from './positions.ts';

// A look comes after at most 50 ms; whoever comes later reads.
const MOST = 20_000;

export interface Recent {
  /** What one transaction gave positions to, after it was committed. */
  add(placed: readonly Placed[]): void;
  /** Contents from the one after id `after` on, as many as are known here without a hole; none when that one is not. */
  afterId(after: number, limit: number): readonly Placed[];
  /** The same from a position on, below `to`. */
  fromPos(from: number, to: number): readonly Placed[];
}

export function createRecent(): Recent {
  // Without a hole in ids or positions: what is looked for lies at its distance from the first.
  let all: Placed[] = [];
  const from = (index: number, to: number): readonly Placed[] => (index < 0 ? [] : all.slice(index, to));
  return {
    add(placed) {
      for (const one of placed) {
        const last = all.at(-1);
        if (last && (one.id !== last.id + 1 || one.pos !== last.pos + 1)) all = [];
        all.push(one);
      }
      if (all.length > 2 * MOST) all = all.slice(-MOST);
    },
    afterId(after, limit) {
      const index = after + 1 - (all[0]?.id ?? 0);
      return from(index, index + limit);
    },
    fromPos(pos, to) {
      const first = all[0]?.pos ?? 0;
      return from(pos - first, to - first);
    },
  };
}
