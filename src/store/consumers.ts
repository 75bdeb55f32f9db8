// Every statement on restante_consumer: the named reading positions of the users.

import { type Db, failed, marks, padded, type Queries, type Value } from './db.ts';
import { HEAD } from './positions.ts';
import { agreedTime, lastingMs, shownMs } from './shared/clock.ts';

export interface Gap {
  /** Ids of the first and the last content that retention took before it was read. */
  readonly from: number;
  readonly to: number;
  /** Told until something beyond this position is acked. */
  readonly pos: number;
}

export interface ConsumerSettings {
  /** The webhooks it reads, ascending; null = all of the user's, own content included. */
  readonly whids: readonly number[] | null;
  readonly lease_seconds: number;
  readonly max_attempts: number;
  readonly ordered: boolean;
  readonly duplicates: 'deliver' | 'skip';
}

export interface ConsumerRow extends ConsumerSettings {
  readonly id: number;
  readonly user_id: number;
  readonly name: string;
  /** Contents up to here were never meant for this consumer. */
  readonly start_pos: number;
  /** Every matching content up to here is acked, leased, waiting or dead. */
  readonly cursor_pos: number;
  /** The content that was handed out last for the first time. */
  readonly cursor_id: number;
  /** No lease ends earlier; 0 = there is none. */
  readonly next_due_ms: number;
  /** How many dead letters it has. */
  readonly dead: number;
  readonly gap: Gap | null;
  /** These two by the lasting time. */
  readonly pulled_ms: number;
  /** Raised by every change. */
  readonly version: number;
  readonly created_ms: number;
}

const COLUMNS = `c.id, c.user_id, c.name, c.whid, c.lease_seconds, c.max_attempts, c.ordered, c.duplicates, c.start_pos, c.cursor_pos,
  c.cursor_id, c.next_due_ms, c.dead, c.gap_from, c.gap_to, c.gap_pos, c.pulled_ms, c.version, c.created_ms`;

type RawConsumer = Omit<ConsumerRow, 'whids' | 'ordered' | 'gap'> & {
  whid: string | null;
  ordered: number;
  gap_from: number | null;
  gap_to: number | null;
  gap_pos: number | null;
};

function toConsumer({ whid, ordered, gap_from, gap_to, gap_pos, ...same }: RawConsumer): ConsumerRow {
  const gap = gap_pos === null ? null : { from: gap_from ?? 0, to: gap_to ?? 0, pos: gap_pos };
  return { ...same, whids: whid === null ? null : (JSON.parse(whid) as number[]), ordered: ordered !== 0, gap };
}
/** For the columns whid, lease_seconds, max_attempts, ordered and duplicates. */
const toValues = ({ whids, lease_seconds, max_attempts, ordered, duplicates }: ConsumerSettings): Value[] => [
  whids && JSON.stringify(whids),
  ...[lease_seconds, max_attempts, ordered ? 1 : 0, duplicates],
];

async function select(db: Db, where: string, params: readonly Value[]): Promise<ConsumerRow[]> {
  const sql = `SELECT ${COLUMNS} FROM restante_consumer c WHERE ${where}`;
  return (await db.all<RawConsumer>(sql, params)).map(toConsumer);
}

/** A consumer, locked until the end of the transaction. */
export interface Locked {
  readonly consumer: ConsumerRow;
  /** The lasting time (clock.ts): one for all processes. */
  readonly now: number;
  /** The highest position that was given; every one up to it can be seen, or its content is gone. */
  readonly head: number;
}

/** Every change of a consumer or its leases begins with this lock: changes of one consumer take turns, and cannot deadlock. */
export async function lockConsumer(
  db: Db,
  queries: Queries,
  key: number | [number, string],
): Promise<(Locked & { readonly wall: number }) | undefined> {
  const which = typeof key === 'number' ? 'c.id = ?' : 'c.user_id = ? AND c.name = ?';
  const sql = `SELECT ${COLUMNS}, ${db.dialect.nowMs} AS wall, ${lastingMs(db)} AS now, ${HEAD[db.kind]} AS head
    FROM restante_consumer c WHERE ${which}${db.dialect.forUpdate}`;
  const sent = performance.now();
  type Row = RawConsumer & { wall: number; now: number; head: number | null };
  const [row] = await queries.all<Row>(sql, [key].flat());
  if (!row) return undefined;
  const { wall, now, head, ...consumer } = row;
  const time = await agreedTime(db, queries, { wall, lasting: now }, sent);
  return { consumer: toConsumer(consumer), now: time.lasting, wall: time.wall, head: head ?? 0 };
}

/** Stores the position and the state of a locked consumer as one more version. */
export async function saveConsumer(db: Db, queries: Queries, consumer: ConsumerRow): Promise<void> {
  const { start_pos, cursor_pos, cursor_id, next_due_ms, dead, gap, pulled_ms, version, id } = consumer;
  // The clock is read anew: we may have waited for the lock, and other processes look for changes of the last seconds.
  const sql = `UPDATE restante_consumer SET start_pos = ?, cursor_pos = ?, cursor_id = ?, next_due_ms = ?, dead = ?, gap_from = ?, gap_to = ?,
    gap_pos = ?, pulled_ms = ?, version = ?, updated_ms = ${lastingMs(db)} WHERE id = ?`;
  const told = [gap?.from ?? null, gap?.to ?? null, gap?.pos ?? null];
  await queries.run(sql, [start_pos, cursor_pos, cursor_id, next_due_ms, dead, ...told, pulled_ms, version, id]);
}

/** Stores how far a pull has looked, and that the consumer is in use: other processes need not notice. */
export async function saveLook(queries: Queries, { cursor_pos, pulled_ms, id }: ConsumerRow): Promise<void> {
  await queries.run('UPDATE restante_consumer SET cursor_pos = ?, pulled_ms = ? WHERE id = ?', [
    cursor_pos,
    pulled_ms,
    id,
  ]);
}

export const findConsumer = async (db: Db, userId: number, name: string): Promise<ConsumerRow | undefined> =>
  (await select(db, 'c.user_id = ? AND c.name = ?', [userId, name]))[0];

export const listConsumers = (db: Db, userId: number): Promise<ConsumerRow[]> =>
  select(db, 'c.user_id = ? ORDER BY c.name', [userId]);

/** The consumers of these users, as they are now, and the lasting time. */
export async function consumersOf(
  db: Db,
  queries: Queries,
  userIds: readonly number[],
): Promise<{ readonly consumers: ConsumerRow[]; readonly now: number }> {
  const some = padded(userIds);
  const sql = `SELECT ${COLUMNS}, ${lastingMs(db)} AS now FROM restante_consumer c WHERE c.user_id IN (${marks(some.length)}) ORDER BY c.id`;
  const rows = await queries.all<RawConsumer & { now: number }>(sql, some);
  return { consumers: rows.map(({ now: _, ...row }) => toConsumer(row)), now: rows[0]?.now ?? 0 };
}

/** Consumers of all users that changed in the last `ms`; deleted ones have user_id 0. */
export async function changedConsumers(
  db: Db,
  ms: number,
  news: (id: number, version: number) => boolean,
): Promise<ConsumerRow[]> {
  const sql = `SELECT c.id, c.version FROM restante_consumer c WHERE c.updated_ms > ${lastingMs(db)} - ?`;
  const changed = await db.all<{ id: number; version: number }>(sql, [ms]);
  // Our own changes are known: usually no others are left.
  const unknown = changed.filter(({ id, version }) => news(id, version)).map(({ id }) => id);
  if (unknown.length === 0) return [];
  const ids = padded(unknown);
  return select(db, `c.id IN (${marks(ids.length)})`, ids);
}

interface NewConsumer extends ConsumerSettings {
  readonly user_id: number;
  readonly name: string;
  readonly start_pos: number;
  readonly cursor_id: number;
}

class TooMany extends Error {}

// A lock: consumers are made one at a time, so that no count misses a row. Locking the counted rows could deadlock: they would be
// locked in the order of names, while the removal of contents locks them in the order of ids.
const ONE_AT_A_TIME = {
  mysql: "INSERT INTO restante_meta (k, v) VALUES ('consumers', 1) ON DUPLICATE KEY UPDATE v = v + 1",
  sqlite: "INSERT INTO restante_meta (k, v) VALUES ('consumers', 1) ON CONFLICT (k) DO UPDATE SET v = v + 1",
} as const;

/** Until the end of the transaction no consumer is made. */
export const holdNewConsumers = (db: Db, queries: Queries): Promise<number> => queries.run(ONE_AT_A_TIME[db.kind]);

/** Makes a consumer, unless its user has `most` already: `limit`. `exists`: another call has made it. */
export async function createConsumer(db: Db, made: NewConsumer, most: number): Promise<'made' | 'exists' | 'limit'> {
  const { user_id, name, start_pos, cursor_id } = made;
  const now = lastingMs(db);
  const sql = `INSERT INTO restante_consumer (user_id, name, whid, lease_seconds, max_attempts, ordered, duplicates, start_pos, cursor_pos,
    cursor_id, next_due_ms, dead, pulled_ms, version, updated_ms, created_ms) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 1, ${now}, ${now}`;
  try {
    await db.transaction(async (queries) => {
      await holdNewConsumers(db, queries);
      await queries.run(sql, [user_id, name, ...toValues(made), start_pos, start_pos, cursor_id]);
      const count = 'SELECT COUNT(*) AS n FROM restante_consumer WHERE user_id = ?';
      if (((await queries.all<{ n: number }>(count, [user_id]))[0]?.n ?? 0) > most) throw new TooMany();
    });
    return 'made';
  } catch (error) {
    if (error instanceof TooMany) return 'limit';
    if (failed(error, 'duplicate')) return 'exists';
    throw error;
  }
}

/** Changes the settings; position and leases stay. Resolves with false when there is no such consumer. */
export async function updateConsumer(db: Db, userId: number, name: string, to: ConsumerSettings): Promise<boolean> {
  // Due now, so that the next pull applies the new settings to the leases.
  const sql = `UPDATE restante_consumer SET whid = ?, lease_seconds = ?, max_attempts = ?, ordered = ?, duplicates = ?,
    next_due_ms = CASE WHEN next_due_ms > 0 THEN 1 ELSE 0 END, version = version + 1, updated_ms = ${lastingMs(db)} WHERE user_id = ? AND name = ?`;
  return db.transaction(async (queries) => (await queries.run(sql, [...toValues(to), userId, name])) > 0);
}

const NOTICED_MS = 3_600_000;

/** Deletes a consumer with its leases. Its row stays for an hour without owner and name, so that other processes notice. */
export function deleteConsumer(db: Db, userId: number, name: string): Promise<boolean> {
  return db.transaction(async (queries) => {
    const locked = await lockConsumer(db, queries, [userId, name]);
    if (!locked) return false;
    const { id } = locked.consumer;
    for (const table of ['restante_lease', 'restante_dead'])
      await queries.run(`DELETE FROM ${table} WHERE consumer_id = ?`, [id]);
    // Users cannot choose a name with a tilde.
    const sql = `UPDATE restante_consumer SET user_id = 0, name = ?, version = version + 1, updated_ms = ${lastingMs(db)} WHERE id = ?`;
    await queries.run(sql, [`~${id}`, id]);
    // Found without a lock: two deletions at once would each wait for the row that the other has just left behind.
    const old = 'SELECT id FROM restante_consumer WHERE user_id = 0 AND updated_ms < ? ORDER BY id LIMIT 100';
    for (const row of await queries.all<{ id: number }>(old, [locked.now - NOTICED_MS]))
      await queries.run('DELETE FROM restante_consumer WHERE id = ?', [row.id]);
    return true;
  });
}

// What became of contents: the dead letters of a consumer, and where one content stands with every consumer of its user.

export interface DeadLetter {
  readonly id: number;
  readonly wh_id: number;
  readonly attempt: number;
  readonly reason: string;
  readonly dead_ms: number;
}

/** Dead letters with content id >= from, by id. */
export const listDead = (db: Db, consumerId: number, from: number, limit: number): Promise<DeadLetter[]> =>
  db.all(
    `SELECT id, wh_id, attempt, reason, ${shownMs('dead_ms')} AS dead_ms FROM restante_dead
      WHERE consumer_id = ? AND id >= ? ORDER BY id LIMIT ?`,
    [consumerId, from, limit],
  );

type Totals = Record<'leased' | 'waiting' | 'dead' | 'consumers', number>;

/** What all consumers together have: in hand, given back, given up. */
export async function countStanding(db: Db): Promise<Totals> {
  const sql = `SELECT (SELECT COUNT(*) FROM restante_lease WHERE waiting = 0) AS leased,
    (SELECT COUNT(*) FROM restante_lease WHERE waiting = 1) AS waiting, COALESCE(SUM(dead), 0) AS dead, COUNT(*) AS consumers
    FROM restante_consumer WHERE user_id <> 0`;
  const { leased = 0, waiting = 0, dead = 0, consumers = 0 } = (await db.all<Totals>(sql))[0] ?? {};
  // A SUM is a decimal, which the drivers of servers give as text.
  return { leased, waiting, dead: Number(dead), consumers };
}

/** Where one content of a user stands in the order of visibility; undefined while it has no position yet. */
export async function findPosition(
  db: Db,
  userId: number,
  id: number,
): Promise<{ readonly pos: number; readonly seen_ms: number } | undefined> {
  const sql = 'SELECT pos, seen_ms FROM restante_position WHERE id = ? AND user_id = ?';
  return (await db.all<{ pos: number; seen_ms: number }>(sql, [id, userId]))[0];
}

/** What one consumer has of a content; all null when it is neither leased nor dead. */
export interface Standing {
  readonly consumer_id: number;
  readonly due_ms: number | null;
  readonly attempt: number | null;
  readonly waiting: number | null;
  /** The reason that was given when it was given back. */
  readonly said: string | null;
  readonly dead_attempt: number | null;
  readonly dead_reason: string | null;
  readonly dead_ms: number | null;
  /** The database's clock. */
  readonly now: number;
}

/** One row for each consumer of a user. */
export const standings = (db: Db, userId: number, pos: number): Promise<Standing[]> =>
  db.all(
    `SELECT c.id AS consumer_id, ${shownMs('l.due_ms')} AS due_ms, l.attempt, l.waiting, l.reason AS said, d.attempt AS dead_attempt,
       d.reason AS dead_reason, ${shownMs('d.dead_ms')} AS dead_ms, ${db.dialect.nowMs} AS now
     FROM restante_consumer c LEFT JOIN restante_lease l ON l.consumer_id = c.id AND l.pos = ?
     LEFT JOIN restante_dead d ON d.consumer_id = c.id AND d.pos = ? WHERE c.user_id = ?`,
    [pos, pos, userId],
  );
