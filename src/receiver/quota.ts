// How many requests a second one webhook and one user may send, and how many bytes one user may store. Without the settings: any.
import { LRUCache } from 'lru-cache';
import { createBuckets } from '../admission/rate.ts';
import { COUNTED, type Limits } from '../admission/resources.ts';
import { laneOf, type Owner } from '../admission/rooms.ts';
import type { Config } from '../config/config.ts';
import { overLimit, type Problem } from '../errors.ts';
import { storedBytes } from '../store/backlog.ts';
import type { Store } from '../store/open.ts';

/** What takes space in a row. */
interface Stored {
  readonly user_id: number;
  readonly content: Buffer | null;
  readonly head: Buffer | null;
}

interface Over {
  /** What the sender is told. */
  readonly problem: Problem;
  /** True once in ten seconds: a flood is noted once, not a million times. */
  readonly first: boolean;
}

export interface Quota {
  /** Counts a request. Undefined: it may go on. */
  refuse(owner: Owner): Over | undefined;
  /** Adds committed contents and refusals to what their users have stored. */
  stored(rows: readonly Stored[]): void;
}

// Providers send in bursts: the unused requests of ten seconds may come at once.
const BURST_S = 10;
const MOST_REMEMBERED = 50_000;
// Counting reads all rows of a user, so it is seldom done; but contents are also removed, here or by another application.
const COUNT_EVERY_MS = 10 * 60_000;
const COUNT_FULL_EVERY_MS = 60_000;
const NOTED_EVERY_MS = 10_000;

interface Stock {
  bytes: number;
  /** When it may be counted again. */
  due: number;
}

export function createQuota(
  { db, extended }: Store,
  log: { warn(data: object, message: string): void },
  config: Pick<Config, 'ratePerWebhook'> & Limits['config'],
): Quota {
  const { ratePerWebhook = 0, ratePerUser = 0 } = config;
  const bucket = createBuckets(BURST_S);
  const stocks = new LRUCache<number, Stock>({ max: MOST_REMEMBERED });
  const noted = new LRUCache<number, true>({ max: MOST_REMEMBERED, ttl: NOTED_EVERY_MS });
  const quota = extended ? COUNTED.stored.each(config) : Number.POSITIVE_INFINITY;
  const limited = ratePerWebhook > 0 || ratePerUser > 0 || quota !== Number.POSITIVE_INFINITY;

  /** The bytes that a user has stored, counted in the background: until they are known, no request is refused for them. */
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
            'cannot count what a user has stored; QUOTA_MB_PER_USER is not enforced for this user',
          );
          known.due = performance.now() + COUNT_FULL_EVERY_MS;
        },
      );
    }
    return known.bytes;
  }

  function over(owner: Owner, problem: Problem): Over {
    const lane = laneOf(owner);
    const first = !noted.has(lane);
    if (first) noted.set(lane, true);
    return { problem, first };
  }

  return {
    refuse(owner) {
      // The usual case, and every request passes here.
      if (!limited) return undefined;
      const { user_id, wh_id } = owner;
      const limits = [
        { rate: wh_id > 0 ? ratePerWebhook : 0, key: wh_id, refusal: webhookOver },
        { rate: ratePerUser, key: -user_id, refusal: COUNTED.requests.refusal },
      ].flatMap((limit) => (limit.rate > 0 ? [{ ...limit, bucket: bucket(limit.key, limit.rate) }] : []));
      const empty = limits.find((limit) => limit.bucket.tokens < 1);
      if (empty) {
        const seconds = Math.ceil((1 - empty.bucket.tokens) / empty.rate);
        return over(owner, empty.refusal(empty.rate, seconds));
      }
      if (quota !== Number.POSITIVE_INFINITY && stockOf(user_id) >= quota)
        return over(owner, COUNTED.stored.refusal(quota, COUNT_FULL_EVERY_MS / 1000));
      for (const limit of limits) limit.bucket.tokens--;
      return undefined;
    },
    stored(rows) {
      if (quota === Number.POSITIVE_INFINITY) return;
      for (const { user_id, content, head } of rows) {
        const stock = stocks.get(user_id);
        if (stock) stock.bytes += (content?.length ?? 0) + (head?.length ?? 0);
      }
    },
  };
}

const webhookOver = (rate: number, seconds: number): Problem =>
  overLimit(`This webhook may receive ${rate} requests a second.`, seconds);
