// What consumers read of the order of visibility: what lies ahead of them, and where an id or a moment stands in it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerRow } from './consumers.ts';
import { type Db, marks, padded, type Queries, type Value } from './db.ts';
import { HEAD } from './positions.ts';
import { REFUSAL_BYTES } from './refusals.ts';
import { lastingMs } from './shared/clock.ts';

/** A content and its position. */
export interface Position {
  readonly pos: number;
  readonly id: number;
}

/**
 * The order of visibility, to be read along (user_id, pos). Without the hint both servers choose another index for users with many
 * contents, and read all before the cursor. To SQLite, which chooses the right one, the hint is a comment.
 */
export const BY_USER = 'restante_position /*! FORCE INDEX (ix_user) */';

type Reader = Pick<Queries, 'all'>;
type Reading = Pick<ConsumerRow, 'user_id' | 'whids'>;

/** The condition on restante_position for what a consumer reads. */
export function matching({ user_id, whids }: Reading): { readonly text: string; readonly params: readonly Value[] } {
  if (!whids) return { text: 'user_id = ?', params: [user_id] };
  const some = padded(whids);
  return { text: `user_id = ? AND wh_id IN (${marks(some.length)})`, params: [user_id, ...some] };
}

// A consumer of one quiet webhook among a million contents of others looks at so many of them per statement: about 5 ms.
const WINDOW = 20_000;
// So near the end it is not worth a statement to find where the window ends.
const NEAR = 50_000;
const WINDOWS = 10;

/** Where the next WINDOW contents of the user end; `head` when there are no more. */
async function windowEnd(queries: Reader, userId: number, after: number, head: number): Promise<number> {
  if (head - after <= NEAR) return head;
  const sql = `SELECT pos FROM ${BY_USER} WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT 1 OFFSET ?`;
  const [row] = await queries.all<{ pos: number }>(sql, [userId, after, WINDOW]);
  return row?.pos ?? head;
}

export interface NextPositions {
  readonly positions: readonly Position[];
  /** All that match up to here are in `positions`. */
  readonly upTo: number;
  /** When the content after them was seen; null: there is none so far. Left out: not known. */
  readonly next_ms?: number | null;
}

/** The next contents beyond the cursor, at most `limit`; of a sparse consumer perhaps fewer than there are. */
export async function nextPositions(
  queries: Reader,
  consumer: ConsumerRow,
  head: number,
  limit: number,
): Promise<NextPositions> {
  const { text, params } = matching(consumer);
  const sql = `SELECT pos, id, seen_ms FROM ${BY_USER} WHERE ${text} AND pos > ?`;
  type Row = Position & { seen_ms: number };
  const found: Row[] = [];
  let upTo = consumer.cursor_pos;
  if (!consumer.whids) {
    found.push(...(await queries.all<Row>(`${sql} ORDER BY pos LIMIT ?`, [...params, upTo, limit + 1])));
    upTo = Math.max(head, found.at(-1)?.pos ?? upTo);
  }
  for (let windows = 0; windows < WINDOWS && upTo < head && found.length <= limit; windows++) {
    const end = await windowEnd(queries, consumer.user_id, upTo, head);
    const bounds = [...params, upTo, end, limit + 1 - found.length];
    found.push(...(await queries.all<Row>(`${sql} AND pos <= ? ORDER BY pos LIMIT ?`, bounds)));
    upTo = end;
  }
  const positions = found.slice(0, limit);
  const next = found[limit];
  if (next) return { positions, upTo: (positions.at(-1) as Position).pos, next_ms: next.seen_ms };
  return upTo < head ? { positions, upTo } : { positions, upTo, next_ms: null };
}

// A backlog is exact up to here.
export const MOST_COUNTED = 1_000;
// How many are counted at once: about 1 ms, and while a consumer is drained only every tenth pull counts.
const COUNTED = 5_000;

export interface Backlog {
  /** The highest position when it was counted. */
  readonly head: number;
  /** The lasting time, and the clock's, when it was counted. */
  readonly now: number;
  readonly wall: number;
  /** How many were never handed out; `more` when there are, or may be, more. */
  readonly ahead: number;
  readonly more: boolean;
  /** Given back, to be redelivered, or with a lease that is over. */
  readonly back: number;
  readonly in_flight: number;
  /** When the oldest content that waits was seen; null when none waits. */
  readonly oldest_ms: number | null;
}

/** What waits for a consumer and what it has in hand, in one statement where it reads all webhooks. */
export async function readBacklog(db: Db, consumer: ConsumerRow): Promise<Backlog> {
  const { id, user_id, whids, cursor_pos } = consumer;
  const { text, params } = matching(consumer);
  let end = whids ? await headOf(db) : Number.MAX_SAFE_INTEGER;
  const last = end;
  if (whids) end = await windowEnd(db, user_id, cursor_pos, end);
  const ahead = `FROM ${BY_USER} WHERE ${text} AND pos > ? AND pos <= ?`;
  const bounds = [...params, cursor_pos, end];
  const over = `waiting = 1 OR due_ms <= ${lastingMs(db)}`;
  type Row = Backlog & { head: number | null; ahead_ms: number | null; back_ms: number | null };
  const [row] = await db.all<Row>(
    `SELECT ${lastingMs(db)} AS now, ${db.dialect.nowMs} AS wall, ${HEAD[db.kind]} AS head,
       (SELECT COUNT(*) FROM (SELECT 1 AS one ${ahead} LIMIT ?) a) AS ahead, (SELECT seen_ms ${ahead} ORDER BY pos LIMIT 1) AS ahead_ms,
       l.back, l.in_flight, (SELECT seen_ms FROM restante_position WHERE pos = l.lowest) AS back_ms
     FROM (SELECT COUNT(CASE WHEN ${over} THEN 1 END) AS back, COUNT(CASE WHEN ${over} THEN NULL ELSE 1 END) AS in_flight,
       MIN(CASE WHEN ${over} THEN pos END) AS lowest FROM restante_lease WHERE consumer_id = ?) l`,
    [...bounds, COUNTED, ...bounds, id],
  );
  if (!row) throw new Error('a statement without FROM must have one row');
  const { now, wall, head, back, in_flight, ahead_ms, back_ms } = row;
  let counted = row.ahead;
  let from = end;
  for (let windows = 1; windows < WINDOWS && from < last && counted < COUNTED; windows++) {
    end = await windowEnd(db, user_id, from, last);
    counted += await countPositions(db, consumer, { after: from, upTo: end, most: COUNTED });
    from = end;
  }
  const more = counted >= COUNTED || from < last;
  return { head: head ?? 0, now, wall, ahead: counted, more, back, in_flight, oldest_ms: back_ms ?? ahead_ms };
}

async function countPositions(
  db: Reader,
  reading: Reading,
  { after, upTo, most }: { after: number; upTo: number; most: number },
): Promise<number> {
  const { text, params } = matching(reading);
  const sql = `SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM ${BY_USER} WHERE ${text} AND pos > ? AND pos <= ? LIMIT ?) a`;
  return (await db.all<{ n: number }>(sql, [...params, after, upTo, most]))[0]?.n ?? 0;
}

/** All that a new consumer would find, counted up to `most`. */
export async function countStock(db: Db, reading: Reading, most: number) {
  const head = await headOf(db);
  let count = 0;
  for (let after = 0; after < head && count < most; ) {
    const end = reading.whids ? await windowEnd(db, reading.user_id, after, head) : head;
    count += await countPositions(db, reading, { after, upTo: end, most: most - count });
    after = end;
  }
  const { text, params } = matching(reading);
  const first = count > 0 ? `(SELECT seen_ms FROM ${BY_USER} WHERE ${text} ORDER BY pos LIMIT 1)` : 'NULL';
  const sql = `SELECT ${db.dialect.nowMs} AS now, ${first} AS oldest_ms`;
  const [row] = await db.all<{ now: number; oldest_ms: number | null }>(sql, count > 0 ? params : []);
  return { count, oldest_ms: row?.oldest_ms ?? null, now: row?.now ?? 0 };
}

/** The highest position that was given; every one up to it can be seen, or its content is gone. */
export const headOf = async (db: Pick<Db, 'all' | 'kind'>): Promise<number> =>
  (await db.all<{ head: number | null }>(`SELECT ${HEAD[db.kind]} AS head`))[0]?.head ?? 0;

/** The last content of a user up to a position, 0 when there is none. */
export async function lastIdAt(db: Reader, userId: number, pos: number): Promise<number> {
  const sql = `SELECT id FROM ${BY_USER} WHERE user_id = ? AND pos <= ? ORDER BY pos DESC LIMIT 1`;
  return (await db.all<{ id: number }>(sql, [userId, pos]))[0]?.id ?? 0;
}

// Rows per statement of a search that has to look at many.
const SEARCHED = 200_000;

/**
 * The position before the first content with an id >= `id`, so that none of those is missed from there on: a late one may stand far
 * from its neighbours. Looks at the ids from `id` upwards or at the positions below it, whichever is less.
 */
export async function positionBeforeId(db: Db, id: number): Promise<number> {
  const [first] = await db.all<Position>('SELECT id, pos FROM restante_position WHERE id >= ? ORDER BY id LIMIT 1', [
    id,
  ]);
  if (!first) return headOf(db);
  const [edge] = await db.all<{ low: number; high: number }>(
    'SELECT MIN(pos) AS low, MAX(id) AS high FROM restante_position',
  );
  const { low = 0, high = 0 } = edge ?? {};
  let found = first.pos;
  if (high - first.id < first.pos - low) {
    for (let from = first.id; from <= high; from += SEARCHED) {
      const sql = 'SELECT MIN(pos) AS pos FROM restante_position WHERE id >= ? AND id < ?';
      const [row] = await db.all<{ pos: number | null }>(sql, [from, from + SEARCHED]);
      found = Math.min(found, row?.pos ?? found);
    }
    return found - 1;
  }
  for (let from = low; from < found; from += SEARCHED) {
    const sql = 'SELECT MIN(pos) AS pos FROM restante_position WHERE pos >= ? AND pos < ? AND id >= ?';
    const [row] = await db.all<{ pos: number | null }>(sql, [from, Math.min(from + SEARCHED, found), id]);
    if (row?.pos != null) return row.pos - 1;
  }
  return found - 1;
}

/** The position before the first content that was seen at `ms` or later. Times never fall with the position. */
export async function positionBeforeTime(db: Db, ms: number): Promise<number> {
  const sql = 'SELECT pos, seen_ms FROM restante_position WHERE pos >= ? ORDER BY pos LIMIT 1';
  let low = 0; // seen before
  let high = (await headOf(db)) + 1; // not before
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const [row] = await db.all<{ pos: number; seen_ms: number }>(sql, [middle]);
    if (!row || row.seen_ms >= ms) high = middle;
    else low = Math.max(middle, Math.min(row.pos, high - 1));
  }
  return low;
}

// How many contents of a user became visible in each minute, by webhook.

const MINUTE_MS = 60_000;
/** Of a user with more in the time asked for, only the newest so many are counted: about 0.1 s. */
const MOST_COUNTED_MINUTES = 100_000;

/**
 * Counts the last `minutes` of one user, by webhook, 0 = own content; oldest minute first, the last one is the minute of `now` by
 * the database's clock. `more`: not all were counted. Where they begin is looked up first, so that nothing older is read.
 */
export async function activityOf(db: Db, userId: number, minutes: number) {
  const [clock] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
  const now = clock?.now ?? 0;
  const last = Math.floor(now / MINUTE_MS);
  const from = (last - minutes + 1) * MINUTE_MS;
  const sql = `SELECT wh_id, seen_ms - seen_ms % ${MINUTE_MS} AS at_ms, COUNT(*) AS n
    FROM (SELECT wh_id, seen_ms FROM ${BY_USER} WHERE user_id = ? AND pos > ? ORDER BY pos DESC LIMIT ?) some
    GROUP BY wh_id, at_ms`;
  const params = [userId, await positionBeforeTime(db, from), MOST_COUNTED_MINUTES];
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
  return { now, more: counted >= MOST_COUNTED_MINUTES, webhooks };
}

// How much is stored for a user.

// All at once would stop all other statements on SQLite, and time out on a server for the users that have most.
const ROWS = 2_000;

/**
 * Bytes that a user's contents and refusals take, in bodies and heads, as far as they came through us. Reads along all rows of
 * the user, a few at a time, and rests as long as each part took.
 */
export async function storedBytes(db: Db, userId: number): Promise<number> {
  const contents = `SELECT COUNT(*) AS n, MAX(some.at) AS last, SUM(r.size + COALESCE(LENGTH(r.head), 0)) AS bytes
    FROM (SELECT pos AS at, id FROM ${BY_USER} WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ${ROWS}) some
    LEFT JOIN restante_request r ON r.id = some.id`;
  const refusals = `SELECT COUNT(*) AS n, MAX(some.id) AS last, SUM(some.bytes) AS bytes
    FROM (SELECT id, ${REFUSAL_BYTES} AS bytes FROM restante_refusal WHERE user_id = ? AND id > ? ORDER BY id LIMIT ${ROWS}) some`;
  return (await sumAlong(db, contents, userId)) + (await sumAlong(db, refusals, userId));
}

async function sumAlong(db: Db, sql: string, userId: number): Promise<number> {
  let sum = 0;
  for (let after = 0; ; ) {
    const began = performance.now();
    const [part] = await db.all<{ n: number; last: number | null; bytes: number | string | null }>(sql, [
      userId,
      after,
    ]);
    sum += Number(part?.bytes ?? 0);
    if (!part || part.n < ROWS || part.last === null) return sum;
    after = part.last;
    await sleep(performance.now() - began);
  }
}
