// A rate: how many of something each may have in a time. What one did not use before may come at once.
import { LRUCache } from 'lru-cache';

const MOST_REMEMBERED = 50_000;

export interface Bucket {
  tokens: number;
  at: number;
}

/** Buckets by a number, such as the id of a user. `burst`: the seconds whose unused share may come at once. */
export function createBuckets(burst: number) {
  const buckets = new LRUCache<number, Bucket>({ max: MOST_REMEMBERED });
  /** What one has now, at so many a second. Its owner takes from `tokens`. */
  return (key: number, rate: number): Bucket => {
    const now = performance.now();
    const known = buckets.get(key);
    const most = rate * burst;
    const tokens = known ? Math.min(most, known.tokens + ((now - known.at) / 1000) * rate) : most;
    const filled = { tokens, at: now };
    buckets.set(key, filled);
    return filled;
  };
}
