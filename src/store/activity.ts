// How many contents of a user became visible in each minute, by webhook.
import type { Db } from './db.ts';
import { BY_USER, positionBeforeTime } from './places.ts';

const MINUTE_MS = 60_000;
/** Of a user with more than that in the time asked for, the newest so many are counted: about 0.1 s. */
const MOST_COUNTED = 100_000;

export interface Activity {
  /** The database's clock. */
  readonly now: number;
  /** Not all were counted. */
  readonly more: boolean;
  /** By webhook, 0 = own content; oldest minute first, the last one is the minute of now. */
  readonly webhooks: ReadonlyMap<number, readonly number[]>;
}

/** Counts the last `minutes` of one user. Where they begin is looked up first, so that nothing older is read. */
export async function activityOf(db: Db, userId: number, minutes: number): Promise<Activity> {
  const [clock] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
  const now = clock?.now ?? 0;
  const last = Math.floor(now / MINUTE_MS);
  const from = (last - minutes + 1) * MINUTE_MS;
  const sql = `SELECT wh_id, seen_ms - seen_ms % ${MINUTE_MS} AS at_ms, COUNT(*) AS n
    FROM (SELECT wh_id, seen_ms FROM ${BY_USER} WHERE user_id = ? AND pos > ? ORDER BY pos DESC LIMIT ?) some
    GROUP BY wh_id, at_ms`;
  const params = [userId, await positionBeforeTime(db, from), MOST_COUNTED];
  const rows = await db.all<{ wh_id: number; at_ms: number; n: number }>(sql, params);
  const webhooks = new Map<number, number[]>();
  let counted = 0;
  for (const { wh_id, at_ms, n } of rows) {
    const counts = webhooks.get(wh_id) ?? new Array<number>(minutes).fill(0);
    webhooks.set(wh_id, counts);
    const ago = last - Number(at_ms) / MINUTE_MS;
    const at = Math.min(Math.max(minutes - 1 - ago, 0), minutes - 1);
    counts[at] = (counts[at] ?? 0) + Number(n);
    counted += Number(n);
  }
  return { now, more: counted >= MOST_COUNTED, webhooks };
}
