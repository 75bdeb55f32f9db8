// Stores refusals in the background: in batches, without delaying the answer, and dropped when they come too fast.
import { LRUCache } from 'lru-cache';
import { COUNTED, type Limits } from '../admission/resources.ts';
import { laneOf, type Owner, type Rooms } from '../admission/rooms.ts';
import { overLimit, type Problem, unavailable } from '../errors.ts';
import { warnSeldom } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import { type Metrics, measureRefusals } from '../observe/metrics.ts';
import { failed } from '../store/db.ts';
import { causeOf } from '../store/engine/causes.ts';
import { eventKey } from '../store/events.ts';
import type { Store } from '../store/open.ts';
import { insertRefusals, type NewRefusal, ROW_BYTES, sumUnjudged, sumUnjudgedOf } from '../store/refusals.ts';
import { listSealed } from '../store/webhooks.ts';
import { encodingOf, withDecoded } from '../verify/decode.ts';
import { nearMiss, type OtherSecret } from '../verify/near-miss.ts';
import type { Incoming } from '../verify/request.ts';
import type { Sealer } from '../webhooks/sealer.ts';
import { openSecrets, ownerOf, type Target } from '../webhooks/target.ts';
import type { Quota } from './quota.ts';

const MOST_WAITING = 1_000;
const BATCH = 64;
const BATCH_BYTES = 2 * 1024 * 1024;
// Heads and bodies that are kept of one webhook in an hour: a sender that knows its URL must not fill the disk with forgeries.
const HOUR_MS = 3_600_000;
const HOUR_BYTES = 256 * 1024 * 1024;
// Requests that wait for a secret are bounded by MOST_UNJUDGED and by user instead. Then the owner and the senders are told this.
const FULL = 'So many requests wait for the secret of this webhook that no more are kept: its owner has to set it.';
const FULL_S = 60;
const NOT_KEPT = 'This request cannot be kept now, nothing was stored. Send it again later.';
const MAY_BE_KEPT = 'The database did not confirm in time. This request may be kept or not: send it again.';

interface Refused extends Pick<NewRefusal, 'kind' | 'reason' | 'received_ms' | 'ip' | 'head' | 'size'> {
  /** The request, to be kept with its body; and the id of its event. */
  readonly incoming?: Incoming;
  readonly event_id?: string | null;
}

export type Refusals = ReturnType<typeof createRefusals>;

interface Waiting {
  readonly row: NewRefusal;
  readonly near: () => Promise<string | null>;
  readonly done: (error?: unknown) => void;
}

const bytesOf = ({ head, content }: Pick<NewRefusal, 'head' | 'content'>): number =>
  head.length + (content?.length ?? 0);

/** What refusals need of the service. */
export interface RefusalParts {
  readonly store: Store;
  readonly config: Limits['config'];
  readonly sealer: Sealer;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly quota: Pick<Quota, 'stored'>;
  readonly rooms: Pick<Rooms, 'refusals'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createRefusals(parts: RefusalParts, { hourBytes = HOUR_BYTES } = {}) {
  const { store, log, quota, rooms, now } = parts;
  const findNearMiss = createNearMisses(parts);
  const unjudged = createUnjudged(store, parts.config);
  const warn = warnSeldom(log, causeOf, 'cannot look for near misses; refusals are noted without them');
  const warnUnfound = (error: unknown): null => {
    warn(error);
    return null;
  };
  const countRefusal = measureRefusals(parts.metrics);
  // A statement must fit into max_allowed_packet, which may be small.
  const batchBytes = Math.min(BATCH_BYTES, store.db.maxValueBytes / 4);
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  // Bytes kept of each webhook in the current hour.
  let kept = new Map<number, number>();
  let hour = 0;

  /** False once the refusals of this webhook have used up the bytes of the hour. */
  function admit({ wh_id }: Target, size: number): boolean {
    if (hour !== Math.floor(now() / HOUR_MS)) kept = new Map();
    hour = Math.floor(now() / HOUR_MS);
    const sum = (kept.get(wh_id) ?? 0) + size + ROW_BYTES;
    if (sum > hourBytes) return false;
    kept.set(wh_id, sum);
    return true;
  }

  function take(): Waiting[] {
    let sum = 0;
    let count = 0;
    for (const { row } of waiting) {
      sum += bytesOf(row);
      if (count === BATCH || (count > 0 && sum > batchBytes)) break;
      count++;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = take();
      try {
        const rows: NewRefusal[] = [];
        for (const { row, near } of batch) rows.push({ ...row, near_miss: await near() });
        await insertRefusals(store.db, rows);
        quota.stored(rows);
        for (const { done } of batch) done();
      } catch (error) {
        log.warn({ error, refusals: batch.length }, 'refusals were not noted');
        for (const { done } of batch) done(error);
      }
      for (const { row } of batch) rooms.refusals.give(row.user_id, bytesOf(row), laneOf(row));
    }
    running = undefined;
  }

  function push(target: Target, refused: Refused, done: (error?: unknown) => void): boolean {
    const { kind, reason, received_ms, ip, head, size, incoming, event_id } = refused;
    countRefusal(kind);
    const content = incoming?.body ?? null;
    const added = bytesOf({ head, content });
    const { user_id, wh_id } = target;
    const lane = laneOf(target);
    if (waiting.length >= MOST_WAITING || !rooms.refusals.take(user_id, added, lane)) return false;
    if (kind !== 'secret_missing' && !admit(target, added)) {
      rooms.refusals.give(user_id, added, lane);
      return false;
    }
    const event_key = event_id ? eventKey(user_id, event_id) : null;
    const row = { user_id, wh_id, kind, reason, near_miss: null, size, received_ms, ip, head, content, event_key };
    // A near miss that cannot be looked for is left out: the refusal itself matters more.
    const near = async () =>
      incoming && kind === 'signature' ? findNearMiss(target, incoming).catch(warnUnfound) : null;
    waiting.push({ row, near, done });
    running ??= run();
    return true;
  }

  return {
    /** Stores a refusal when there is time and room. */
    add: (target: Target, refused: Refused): void => void push(target, refused, () => {}),
    /** Resolves once a request that waits for its secret is stored. Rejects with a 503 when it cannot be: the sender tries again. */
    async keep(target: Target, refused: Refused): Promise<void> {
      const busy = (cause?: unknown) => unavailable(failed(cause, 'unknown') ? MAY_BE_KEPT : NOT_KEPT, cause);
      const { head, incoming, ...more } = refused;
      const needed = bytesOf({ head, content: incoming?.body ?? null });
      const full = await unjudged.take(target, needed).catch((error: unknown) => {
        throw busy(error);
      });
      if (full?.first) push(target, { ...more, head, kind: 'limit', reason: full.problem.message }, () => {});
      if (full) throw full.problem;
      await new Promise<void>((resolve, reject) => {
        if (!push(target, refused, (error) => (error ? reject(busy(error)) : resolve()))) reject(busy());
      });
    },
    drain: async () => running,
  };
}

// Near misses: what would have made a refused request pass, such as another secret of its owner, another URL or another time.

// Each try hashes the whole body: larger bodies and more secrets than these are not tried.
const MOST_BYTES = 1024 * 1024;
const MOST_OTHERS = 50;
// Strangers cause this work, and all other requests wait for it: a tenth of the time, and at most 200 ms at once.
const SHARE = 0.1;
const CREDIT_MS = 200;

export function createNearMisses({ store, sealer }: Pick<RefusalParts, 'store' | 'sealer'>) {
  /** Secrets of the user's other webhooks; no more are decrypted than are tried. */
  async function othersOf(userId: number, whId: number): Promise<OtherSecret[]> {
    const rows = (await listSealed(store.db, userId)).filter((row) => row.wh_id !== whId).slice(0, MOST_OTHERS);
    const all = rows.flatMap(({ wh_id, secrets }) =>
      (openSecrets(sealer, ownerOf(userId, wh_id), secrets) ?? []).map((secret) => ({ wh_id, secret })),
    );
    return all.slice(0, MOST_OTHERS);
  }

  let credit = CREDIT_MS;
  let at = performance.now();
  function spend(ms: number): void {
    const now = performance.now();
    credit = Math.min(CREDIT_MS, credit + (now - at) * SHARE) - ms;
    at = now;
  }

  return async ({ user_id, wh_id, rules, secrets }: Target, incoming: Incoming): Promise<string | null> => {
    spend(0);
    if (credit <= 0 || !rules || !secrets || incoming.body.length > MOST_BYTES) return null;
    const others = await othersOf(user_id, wh_id);
    const look = (ready: Incoming): string | null => {
      const began = performance.now();
      try {
        return nearMiss(rules, secrets, ready, others);
      } finally {
        spend(performance.now() - began);
      }
    };
    return encodingOf(incoming) ? withDecoded(user_id, incoming, look) : look(incoming);
  };
}

// Requests that wait for the secret of their webhook. Each was answered 200: above the limit, further senders get a 503.

// For each webhook, and as much as is kept of its other refusals. The oldest of those make room for new ones; these never do.
const MOST_UNJUDGED = { rows: 10_000, bytes: 256 * 1024 * 1024 };
// Other processes add requests, and releases remove them: a little more than the bounds does no harm.
const COUNT_EVERY_MS = 10_000;
// 10,000 small requests are counted in 0.1 s, 256 MiB of heads in 1 s: never more than a twentieth of the time.
const REST = 20;
const MOST_KNOWN = 10_000;

interface Known {
  /** When it has to be counted again. */
  due: number;
  told: boolean;
}
interface OfWebhook extends Known {
  readonly sum: Promise<{ n: number; bytes: number }>;
}
interface OfUser extends Known {
  bytes: number;
  /** What was added since the count began that is under way. */
  since: number;
}

interface Full {
  readonly problem: Problem;
  /** True for the first request without room since the last count. */
  readonly first: boolean;
}

function createUnjudged({ db }: Pick<Store, 'db'>, config: Limits['config']) {
  const webhooks = new LRUCache<number, OfWebhook>({ max: MOST_KNOWN });
  const users = new LRUCache<number, OfUser>({ max: MOST_KNOWN });
  const most = COUNTED.unjudged.each(config);
  const nextAfter = (began: number): number => began + Math.max(COUNT_EVERY_MS, REST * (performance.now() - began));

  function webhookOf(whId: number): OfWebhook {
    const began = performance.now();
    const known = webhooks.get(whId);
    if (known && began < known.due) return known;
    const counting: OfWebhook = { due: Number.POSITIVE_INFINITY, sum: sumUnjudged(db, whId), told: false };
    webhooks.set(whId, counting);
    counting.sum.then(
      () => {
        counting.due = nextAfter(began);
      },
      () => webhooks.delete(whId),
    );
    return counting;
  }

  /** Counted in the background: a user may have millions of refusals, and no sender waits until they were looked through. */
  function userOf(userId: number): OfUser {
    const began = performance.now();
    const known = users.get(userId) ?? { bytes: 0, since: 0, due: 0, told: false };
    users.set(userId, known);
    if (began < known.due) return known;
    known.due = Number.POSITIVE_INFINITY;
    known.since = 0;
    sumUnjudgedOf(db, userId).then(
      (bytes) => {
        known.bytes = bytes + known.since;
        known.told = false;
        known.due = nextAfter(began);
      },
      // The last count stands. A database that fails refuses this request by itself.
      () => {
        known.due = nextAfter(began);
      },
    );
    return known;
  }

  const full = (known: Known, problem: Problem): Full => {
    const first = !known.told;
    known.told = true;
    return { problem, first };
  };

  return {
    /** Takes room for one request. What it resolves with: why there is none. Rejects when the database fails. */
    async take({ wh_id, user_id }: Owner, size: number): Promise<Full | undefined> {
      const webhook = webhookOf(wh_id);
      const user = userOf(user_id);
      const sum = await webhook.sum;
      if (sum.n >= MOST_UNJUDGED.rows || sum.bytes + size > MOST_UNJUDGED.bytes)
        return full(webhook, overLimit(FULL, FULL_S));
      const bytes = size + ROW_BYTES;
      if (user.bytes + bytes > most) return full(user, COUNTED.unjudged.refusal(most, FULL_S));
      sum.n++;
      sum.bytes += size;
      user.bytes += bytes;
      user.since += bytes;
      return undefined;
    },
  };
}
