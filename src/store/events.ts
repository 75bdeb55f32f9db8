// What was found out about a content when it came: the verdict on it, its event, and of which earlier content it is a duplicate.
import { createHash } from 'node:crypto';
import { type Db, marks, type Queries } from './db.ts';

/** As stored: the place in this list. */
export const VERIFIED = ['none', 'token', 'signed'] as const;
export type Verified = (typeof VERIFIED)[number];

export interface Judged {
  readonly verified: Verified;
  readonly event_id: string | null;
  readonly event_type: string | null;
  /** Finds the event among those of its user; null without an id. */
  readonly event_key: Buffer | null;
  /** An equal event id of the same webhook makes a content a duplicate for so long; 0 = never. */
  readonly window_ms: number;
  /** The refusal that it was before somebody released it. */
  readonly released_from: number | null;
}

/** Ids of providers are long and not always unique: the index holds 16 bytes of a hash over the user and the id. */
export const eventKey = (userId: number, eventId: string): Buffer =>
  createHash('sha256').update(`${userId}:${eventId}`).digest().subarray(0, 16);

/** One event of one webhook, as a name in maps. */
export const eventName = (whId: number, key: Buffer): string => `${whId} ${key.toString('latin1')}`;

interface Arrival {
  readonly wh_id: number;
  readonly received_ms: number;
  readonly judged: Judged | null;
}

interface First {
  readonly id: number;
  readonly received_ms: number;
}

/** To the next power of two: a longer list costs the server as much for what is repeated as for the rest. */
const stretched = (keys: readonly Buffer[]): Buffer[] => {
  const length = 2 ** Math.ceil(Math.log2(keys.length));
  return Array.from({ length }, (_, i) => keys[i] ?? (keys[0] as Buffer));
};

/** For each row the content of which it is a duplicate: one that is stored, or one before it in `rows`; null = it is the first. */
export async function duplicatesOf(
  queries: Queries,
  rows: readonly Arrival[],
  ids: readonly number[],
): Promise<(number | null)[]> {
  const keys = rows.flatMap(({ judged }) => (judged?.event_key && judged.window_ms > 0 ? [judged.event_key] : []));
  if (keys.length === 0) return rows.map(() => null);
  const some = stretched(keys);
  // Duplicates are left out, so that an event which comes a million times costs no more than one that comes twice.
  const sql = `SELECT id, wh_id, event_key, received_ms FROM restante_request
    WHERE event_key IN (${marks(some.length)}) AND duplicate_of IS NULL`;
  const firsts = new Map<string, First>();
  for (const row of await queries.all<First & { wh_id: number; event_key: Buffer }>(sql, some)) {
    const name = eventName(row.wh_id, row.event_key);
    if (row.id > (firsts.get(name)?.id ?? 0)) firsts.set(name, row);
  }
  return rows.map(({ wh_id, received_ms, judged }, i) => {
    if (!judged?.event_key || judged.window_ms === 0) return null;
    const name = eventName(wh_id, judged.event_key);
    const first = firsts.get(name);
    const id = ids[i] as number;
    if (first && first.id < id && received_ms - first.received_ms <= judged.window_ms) return first.id;
    firsts.set(name, { id, received_ms });
    return null;
  });
}

/** Contents of a user that carry this event id, oldest first. */
export async function findEvent(db: Db, userId: number, eventId: string, limit: number): Promise<number[]> {
  const sql = 'SELECT id FROM restante_request WHERE event_key = ? AND event_id = ? ORDER BY id LIMIT ?';
  const rows = await db.all<{ id: number }>(sql, [eventKey(userId, eventId), eventId, limit]);
  return rows.map(({ id }) => id);
}

/** Later contents that are duplicates of this one. */
export async function listDuplicates(
  db: Db,
  userId: number,
  content: { readonly id: number; readonly event_id: string },
  limit: number,
): Promise<number[]> {
  const sql = 'SELECT id FROM restante_request WHERE event_key = ? AND duplicate_of = ? ORDER BY id LIMIT ?';
  const rows = await db.all<{ id: number }>(sql, [eventKey(userId, content.event_id), content.id, limit]);
  return rows.map(({ id }) => id);
}
