// Every statement on restante_refusal: requests that did not become a content, and why.
import type { RefusalKind } from '../schema/contents.ts';
import { insertWithin, type NewContent, remember } from './contents.ts';
import { type Db, marks, padded, type Value } from './db.ts';
import type { Store } from './open.ts';
import { keepMeta } from './shared/meta.ts';

export interface NewRefusal {
  readonly user_id: number;
  readonly wh_id: number;
  readonly kind: RefusalKind;
  readonly reason: string;
  /** What would have made its check succeed. */
  readonly near_miss: string | null;
  /** Bytes of the body as far as they are known, else null. */
  readonly size: number | null;
  readonly received_ms: number;
  readonly ip: string;
  readonly head: Buffer;
  /** The body, of what may be released one day. */
  readonly content: Buffer | null;
  readonly event_key: Buffer | null;
}
export interface RefusalRow extends Omit<NewRefusal, 'user_id' | 'content' | 'event_key'> {
  readonly id: number;
  /** The content that it became. */
  readonly released_as: number | null;
}

const COLUMNS = [
  'user_id',
  'wh_id',
  'kind',
  'reason',
  'near_miss',
  'size',
  'received_ms',
  'ip',
  'head',
  'content',
  'event_key',
] as const;
const SELECT =
  'SELECT id, wh_id, kind, reason, near_miss, size, received_ms, ip, head, released_as FROM restante_refusal';
const KEEP_DAYS = 14;
const DAY_MS = 86_400_000;
// In restante_meta, for each day of the lasting time: the newest refusal that was there when that day was first looked at.
const SEEN_ON = 'refused-';
const KEEP_ROWS = 10_000;
// Forgeries may be large and many: heads and bodies of one webhook take no more than this, the oldest go first.
const KEEP_BYTES = 256 * 1024 * 1024;
// Of one statement: it has four seconds, and on SQLite all others wait for it. A flood of refusals is more than goes at once.
const MOST_DROPPED = 512;
const WITH_BODY = "kind IN ('signature', 'secret_missing', 'handshake')";
// At a time, of what may be millions: with heads of 64 KiB this takes half a second.
const MOST_COUNTED = 2_000;
// What a row takes besides in the table and its indexes, about.
export const ROW_BYTES = 300;
// The bytes of a row. The column `size` is that of the body as it was sent, whether it was kept or not.
export const REFUSAL_BYTES = `LENGTH(head) + CASE WHEN ${WITH_BODY} THEN size ELSE 0 END`;
const UNJUDGED = "kind = 'secret_missing' AND released_as IS NULL";

/** In a transaction: a statement alone would not tell "not done" from "not known whether it is done". */
export function insertRefusals(db: Db, rows: readonly NewRefusal[]): Promise<void> {
  const values = rows.map((row) => COLUMNS.map((name) => row[name]));
  return db.transaction((queries) => queries.insert('restante_refusal', COLUMNS, values));
}

export interface RefusalFilter {
  readonly wh_id?: number | undefined;
  readonly kind?: string | undefined;
  readonly event_key?: Buffer | undefined;
  readonly since_ms?: number | undefined;
  /** Only those that have a body and were not released yet. */
  readonly releasable?: boolean | undefined;
  readonly from: number;
  readonly limit: number;
  /** Newest first. */
  readonly desc?: boolean;
}

/** Refusals with id >= from, oldest first; or with id <= from, newest first. */
export async function listRefusals(db: Db, userId: number, filter: RefusalFilter): Promise<RefusalRow[]> {
  const where = ['user_id = ?', filter.desc ? 'id <= ?' : 'id >= ?'];
  const params: Value[] = [userId, filter.from];
  const and = (sql: string, value: Value | undefined) => value !== undefined && where.push(sql) && params.push(value);
  and('wh_id = ?', filter.wh_id);
  and('kind = ?', filter.kind);
  and('event_key = ?', filter.event_key);
  and('received_ms >= ?', filter.since_ms);
  if (filter.releasable) where.push('content IS NOT NULL AND released_as IS NULL');
  return db.all(`${SELECT} WHERE ${where.join(' AND ')} ORDER BY id ${filter.desc ? 'DESC' : 'ASC'} LIMIT ?`, [
    ...params,
    filter.limit,
  ]);
}

export async function findRefusal(db: Db, userId: number, id: number): Promise<RefusalRow | undefined> {
  return (await db.all<RefusalRow>(`${SELECT} WHERE user_id = ? AND id = ?`, [userId, id]))[0];
}

/** The body of a refusal; null when it was not kept, undefined when there is no such refusal. */
export async function findRefusedBody(db: Db, userId: number, id: number): Promise<Buffer | null | undefined> {
  const sql = 'SELECT content FROM restante_refusal WHERE user_id = ? AND id = ?';
  return (await db.all<{ content: Buffer | null }>(sql, [userId, id]))[0]?.content;
}

/** Stores a refusal as a content, once, even when several calls ask for it. Undefined: it was released before. */
export async function releaseRefusal(store: Store, id: number, row: NewContent): Promise<number | undefined> {
  const done = await store.db.transaction(async (queries) => {
    const sql = `SELECT id FROM restante_refusal WHERE id = ? AND user_id = ? AND released_as IS NULL${store.db.dialect.forUpdate}`;
    if ((await queries.all(sql, [id, row.user_id])).length === 0) return undefined;
    const inserted = await insertWithin(store, queries, [row]);
    await queries.run('UPDATE restante_refusal SET released_as = ? WHERE id = ?', [inserted.ids[0] as number, id]);
    return inserted;
  });
  if (done) remember(store, done);
  return done?.ids[0];
}

/** Stores why it was refused again when it was judged anew. */
export async function saveReason(db: Db, id: number, reason: string): Promise<void> {
  await db.run('UPDATE restante_refusal SET reason = ? WHERE id = ?', [reason, id]);
}

/** Webhooks with requests that came before their secret was set. */
export const listWithoutSecret = (db: Db): Promise<{ readonly user_id: number; readonly wh_id: number }[]> =>
  db.all(`SELECT DISTINCT user_id, wh_id FROM restante_refusal WHERE ${UNJUDGED}`);

/** What waits for the secret of a webhook. */
export const sumUnjudged = (db: Db, whId: number) => sum(db, whId, UNJUDGED);
/** Bytes that wait for the secrets of all webhooks of a user, also of those that were deleted since. */
export async function sumUnjudgedOf(db: Db, userId: number): Promise<number> {
  const sql = `SELECT MAX(id) AS last, SUM(bytes) AS bytes FROM (SELECT id, CASE WHEN ${UNJUDGED} THEN ${REFUSAL_BYTES} + ${ROW_BYTES} ELSE 0 END AS bytes
  FROM restante_refusal WHERE user_id = ? AND id > ? ORDER BY id LIMIT ${MOST_COUNTED}) some`;
  const next = async (from: number) =>
    (await db.all<{ last: number | null; bytes: number | string | null }>(sql, [userId, from]))[0];
  let all = 0;
  for (let some = await next(0); some && some.last !== null; some = await next(some.last)) all += Number(some.bytes);
  return all;
}
async function sum(db: Db, whId: number, which: string): Promise<{ n: number; bytes: number }> {
  const sql = `SELECT COUNT(*) AS n, SUM(${REFUSAL_BYTES}) AS bytes FROM restante_refusal WHERE wh_id = ? AND ${which}`;
  const [row] = await db.all<{ n: number; bytes: number | string | null }>(sql, [whId]);
  return { n: row?.n ?? 0, bytes: Number(row?.bytes ?? 0) };
}

interface Keep {
  readonly rows: number;
  readonly bytes: number;
}

/**
 * Drops refusals that were seen more than 14 days ago, and of each webhook all but 10,000 and 256 MiB: first those without a body, the oldest
 * first. Not those that wait for a secret: their senders got a 2xx.
 */
export async function pruneRefusals(db: Db, lasting: number, keep: Partial<Keep> = {}): Promise<void> {
  await dropOld(db, Math.floor(lasting / DAY_MS));
  // One webhook at a time: a statement for all would take too long.
  for (const { wh_id } of await db.all<{ wh_id: number }>('SELECT DISTINCT wh_id FROM restante_refusal'))
    await pruneOne(db, wh_id, { rows: KEEP_ROWS, bytes: KEEP_BYTES, ...keep });
}
/**
 * Goes by the lasting time (clock.ts) at which a refusal was first seen here, and not by `received_ms`: that is the time of the process
 * that received it, and its clock and the database's may differ by more than the 14 days. Some of these senders got a 2xx.
 */
async function dropOld(db: Db, today: number): Promise<void> {
  const sql = `SELECT k, v FROM restante_meta WHERE k LIKE '${SEEN_ON}%'`;
  const seen = (await db.all<{ k: string; v: number }>(sql)).map(({ k, v }) => ({
    k,
    v,
    day: Number(k.slice(SEEN_ON.length)),
  }));
  if (!seen.some(({ day }) => day === today)) {
    const newest = (await db.all<{ id: number | null }>('SELECT MAX(id) AS id FROM restante_refusal'))[0]?.id;
    if (newest) await keepMeta(db, db, `${SEEN_ON}${today}`, newest);
  }
  // What was seen on the first look of a day has lived through all of the days that follow it.
  const old = seen.filter(({ day }) => day < today - KEEP_DAYS);
  if (old.length === 0) return;
  await drop(db, 'id <= ?', [Math.max(...old.map(({ v }) => v))]);
  const done = padded(old.map(({ k }) => k));
  await db.run(`DELETE FROM restante_meta WHERE k IN (${marks(done.length)})`, done);
}
async function pruneOne(db: Db, whId: number, keep: Keep): Promise<void> {
  const all = await sum(db, whId, `NOT (${UNJUDGED})`);
  if (all.n <= keep.rows && all.bytes <= keep.bytes) return;
  let { rows, bytes } = keep;
  for (const kinds of [`${WITH_BODY} AND NOT (${UNJUDGED})`, `NOT ${WITH_BODY}`]) {
    let edge = 0;
    const sql = `SELECT id, ${REFUSAL_BYTES} AS bytes FROM restante_refusal WHERE wh_id = ? AND ${kinds} ORDER BY id DESC`;
    await db.scan<{ id: number; bytes: number }>(sql, [whId], (row) => {
      rows--;
      bytes -= row.bytes;
      edge = row.id;
      return rows >= 0 && bytes >= 0;
    });
    if (rows < 0 || bytes < 0) await drop(db, `wh_id = ? AND id <= ? AND ${kinds}`, [whId, edge]);
  }
}

async function drop(db: Db, where: string, params: readonly Value[]): Promise<void> {
  const sql = `SELECT id FROM restante_refusal WHERE ${where} ORDER BY id LIMIT ${MOST_DROPPED}`;
  for (let ids = await db.all<{ id: number }>(sql, params); ids.length > 0; ids = await db.all(sql, params)) {
    const some = padded(ids.map(({ id }) => id));
    await db.run(`DELETE FROM restante_refusal WHERE id IN (${marks(some.length)})`, some);
    if (ids.length < MOST_DROPPED) return;
  }
}
