// What was found out about a content when it came: the verdict on it, its event, and of which earlier content it is a duplicate.
import { hash } from 'node:crypto';
import { marks, type Queries } from './db.ts';
import type { Store } from './index.ts';

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
  Buffer.from(hash('sha256', `${userId}:${eventId}`, 'hex').slice(0, 32), 'hex');

/** One event of one webhook, as a name in maps. */
export const eventName = (whId: number, key: Buffer): string => `${whId} ${key.toString('latin1')}`;

/** Where events are looked up by their key: an index on a server, a table that follows behind on SQLite. */
export const EVENTS = { mysql: 'restante_request', sqlite: 'restante_event' } as const;
/** The first contents of events, by their keys. On a server without a join: MariaDB would walk all of it for a long list. */
const FIRSTS = {
  mysql: (list: string) => `restante_request r WHERE r.event_key IN (${list}) AND r.duplicate_of IS NULL`,
  sqlite: (list: string) =>
    `restante_event e JOIN restante_request r ON r.id = e.id WHERE e.event_key IN (${list}) AND e.duplicate_of = 0`,
} as const;

interface Arrival {
  readonly wh_id: number;
  readonly received_ms: number;
  readonly judged: Judged | null;
}

/** A content that is the first with its event. */
export interface Event {
  readonly id: number;
  readonly wh_id: number;
  readonly event_key: Buffer;
  readonly received_ms: number;
}

/** To the next power of two: a longer list costs the server as much for what is repeated as for the rest. */
const stretched = (keys: readonly Buffer[]): Buffer[] => {
  const length = 2 ** Math.ceil(Math.log2(keys.length));
  return Array.from({ length }, (_, i) => keys[i] ?? (keys[0] as Buffer));
};

/** For each row the content of which it is a duplicate: one that is stored, or one before it in `rows`; null = it is the first. */
export async function duplicatesOf(
  { db, events }: Store,
  queries: Queries,
  rows: readonly Arrival[],
  ids: readonly number[],
): Promise<(number | null)[]> {
  const keys = rows.flatMap(({ judged }) => (judged?.event_key && judged.window_ms > 0 ? [judged.event_key] : []));
  if (keys.length === 0) return rows.map(() => null);
  const some = stretched(keys);
  // Duplicates are left out, so that an event which comes a million times costs no more than one that comes twice.
  const sql = `SELECT r.id, r.wh_id, r.event_key, r.received_ms FROM ${FIRSTS[db.kind](marks(some.length))}`;
  const firsts = new Map<string, Pick<Event, 'id' | 'received_ms'>>();
  for (const row of await queries.all<Event>(sql, some)) {
    const name = eventName(row.wh_id, row.event_key);
    if (row.id > (firsts.get(name)?.id ?? 0)) firsts.set(name, row);
  }
  return rows.map(({ wh_id, received_ms, judged }, i) => {
    if (!judged?.event_key || judged.window_ms === 0) return null;
    const name = eventName(wh_id, judged.event_key);
    const [stored, known] = [firsts.get(name), events?.first(name)];
    const first = (known?.id ?? 0) > (stored?.id ?? 0) ? known : stored;
    const id = ids[i] as number;
    if (first && first.id < id && received_ms - first.received_ms <= judged.window_ms) return first.id;
    firsts.set(name, { id, received_ms });
    return null;
  });
}

/** Later contents that are duplicates of this one. */
export async function listDuplicates(
  { db, events }: Store,
  userId: number,
  content: { readonly id: number; readonly event_id: string },
  limit: number,
): Promise<number[]> {
  await events?.settle();
  const sql = `SELECT id FROM ${EVENTS[db.kind]} WHERE event_key = ? AND duplicate_of = ? ORDER BY id LIMIT ?`;
  const rows = await db.all<{ id: number }>(sql, [eventKey(userId, content.event_id), content.id, limit]);
  return rows.map(({ id }) => id);
}
