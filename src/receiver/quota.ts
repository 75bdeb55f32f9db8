// What one webhook and one user may take: so many requests a second, so many bytes stored. Without the settings: everything.
import { LRUCache } from 'lru-cache';
import type { Config } from '../config/config.ts';
import { laneOf } from '../http/body.ts';
import { storedBytes } from '../store/backlog.ts';
import type { Store } from '../store/open.ts';

type Owner = { readonly user_id: number; readonly wh_id: number };

interface Over {
  /** For how long it is over. */
  readonly seconds: number;
  readonly why: string;
  /** The first for a while: a flood is noted once, not a million times. */
  readonly first: boolean;
}

export interface Quota {
  /** Counts a request. Undefined: welcome. */
  refuse(owner: Owner): Over | undefined;
  /** Contents that were committed. */
  stored(rows: readonly { readonly user_id: number; readonly content: Buffer }[]): void;
}

// Providers send in bursts: what was not used in ten seconds may come at once.
const BURST_S = 10;
const MOST_REMEMBERED = 50_000;
const MB = 1_000_000;
// Counting reads all rows of a user; contents are also removed, by whomever.
const COUNT_EVERY_MS = 10 * 60_000;
const COUNT_FULL_EVERY_MS = 60_000;
const NOTED_EVERY_MS = 10_000;

interface Bucket {
  tokens: number;
  at: number;
}
interface Stock {
  bytes: number;
  /** When it may be counted again. */
  due: number;
}

export function createQuota(
  { db, extended }: Store,
  log: { warn(data: object, message: string): void },
  config: Pick<Config, 'ratePerWebhook' | 'ratePerUser' | 'quotaMbPerUser'>,
): Quota {
  const { ratePerWebhook = 0, ratePerUser = 0, quotaMbPerUser } = config;
  const buckets = new LRUCache<number, Bucket>({ max: MOST_REMEMBERED });
  const stocks = new LRUCache<number, Stock>({ max: MOST_REMEMBERED });
  const noted = new LRUCache<number, true>({ max: MOST_REMEMBERED, ttl: NOTED_EVERY_MS });
  const quota = quotaMbPerUser === undefined || !extended ? Number.POSITIVE_INFINITY : quotaMbPerUser * MB;

  const limited = ratePerWebhook > 0 || ratePerUser > 0 || quota !== Number.POSITIVE_INFINITY;

  function bucket(key: number, rate: number): Bucket {
    const now = performance.now();
    const known = buckets.get(key);
    const tokens = known ? Math.min(rate * BURST_S, known.tokens + ((now - known.at) / 1000) * rate) : rate * BURST_S;
    const filled = { tokens, at: now };
    buckets.set(key, filled);
    return filled;
  }

  /** Counted in the background; until it is known, and while that fails, nobody is refused. */
  function stockOf(userId: number): number {
    const now = performance.now();
    const known = stocks.get(userId) ?? { bytes: 0, due: 0 };
    if (now >= known.due) {
      known.due = now + COUNT_EVERY_MS;
      stocks.set(userId, known);
      storedBytes(db, userId).then(
        (bytes) => {
          known.bytes = bytes;
          if (bytes >= quota) known.due = performance.now() + COUNT_FULL_EVERY_MS;
        },
        (error: unknown) => {
          log.warn(
            { error, user_id: userId },
            'cannot count what a user has stored; he is not held to QUOTA_MB_PER_USER',
          );
          known.due = performance.now() + COUNT_FULL_EVERY_MS;
        },
      );
    }
    return known.bytes;
  }

  function over(owner: Owner, seconds: number, why: string): Over {
    const line = laneOf(owner);
    const first = !noted.has(line);
    if (first) noted.set(line, true);
    return { seconds, why, first };
  }

  return {
    refuse(owner) {
      // As it is mostly, and each request comes by here.
      if (!limited) return undefined;
      const { user_id, wh_id } = owner;
      const limits = [
        { rate: wh_id > 0 ? ratePerWebhook : 0, key: wh_id, whose: 'This webhook' },
        { rate: ratePerUser, key: -user_id, whose: 'This user' },
      ].flatMap((limit) => (limit.rate > 0 ? [{ ...limit, bucket: bucket(limit.key, limit.rate) }] : []));
      const empty = limits.find((limit) => limit.bucket.tokens < 1);
      if (empty) {
        const seconds = Math.ceil((1 - empty.bucket.tokens) / empty.rate);
        return over(owner, seconds, `${empty.whose} may receive ${empty.rate} requests a second.`);
      }
      if (quota !== Number.POSITIVE_INFINITY && stockOf(user_id) >= quota)
        return over(
          owner,
          COUNT_FULL_EVERY_MS / 1000,
          `This user has ${quotaMbPerUser} MB stored, and may have no more.`,
        );
      for (const limit of limits) limit.bucket.tokens--;
      return undefined;
    },
    stored(rows) {
      if (quota === Number.POSITIVE_INFINITY) return;
      for (const { user_id, content } of rows) {
        const stock = stocks.get(user_id);
        if (stock) stock.bytes += content.length;
      }
    },
  };
}
