// What verification found out about a content: the verdict, its event, and the earlier content of which it is a duplicate.
import { hash } from 'node:crypto';
import { type Db, type Dialect, marks, type Queries, type Value } from './db.ts';
import { insertSql, statementsFor } from './engine/statements.ts';
import type { Store } from './open.ts';
import { readMark, saveMark } from './positions.ts';

/** Stored as the index in this list. */
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
  /** The id of the refusal that it was before its release. */
  readonly released_from: number | null;
}

/** Event ids are long, and not unique across users: the index holds 16 bytes of a hash over the user and the id. */
export const eventKey = (userId: number, eventId: string): Buffer =>
  Buffer.from(hash('sha256', `${userId}:${eventId}`, 'hex').slice(0, 32), 'hex');

/** One event of one webhook, as the key of a map. */
export const eventName = (whId: number, key: Buffer): string => `${whId} ${key.toString('latin1')}`;

/** The first contents of events, by their keys. On a server without a join: MariaDB would walk the whole table for a long list. */
const FIRSTS = {
  restante_request: (list: string) => `restante_request r WHERE r.event_key IN (${list}) AND r.duplicate_of IS NULL`,
  restante_event: (list: string) =>
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

/** Where the first content with an event lies, and when it came. */
export type First = Pick<Event, 'id' | 'received_ms'>;

/** To the next power of two, not more: a key that is repeated costs the server as much as any other. */
const stretched = (keys: readonly Buffer[]): Buffer[] => {
  const length = 2 ** Math.ceil(Math.log2(keys.length));
  return Array.from({ length }, (_, i) => keys[i] ?? (keys[0] as Buffer));
};

/** For each row the content of which it is a duplicate: a stored one, or one before it in `rows`; null = it is the first. */
export async function duplicatesOf(
  { dialect, first: known }: { readonly dialect: Dialect; first(name: string): First | undefined },
  queries: Queries,
  rows: readonly Arrival[],
  ids: readonly number[],
): Promise<(number | null)[]> {
  const keys = rows.flatMap(({ judged }) => (judged?.event_key && judged.window_ms > 0 ? [judged.event_key] : []));
  if (keys.length === 0) return rows.map(() => null);
  const some = stretched(keys);
  // Duplicates are left out, so that an event which comes a million times costs no more than one that comes twice.
  const sql = `SELECT r.id, r.wh_id, r.event_key, r.received_ms FROM ${FIRSTS[dialect.eventsIn](marks(some.length))}`;
  const firsts = new Map<string, First>();
  for (const row of await queries.all<Event>(sql, some)) {
    const name = eventName(row.wh_id, row.event_key);
    if (row.id > (firsts.get(name)?.id ?? 0)) firsts.set(name, row);
  }
  return rows.map(({ wh_id, received_ms, judged }, i) => {
    if (!judged?.event_key || judged.window_ms === 0) return null;
    const name = eventName(wh_id, judged.event_key);
    const [stored, noted] = [firsts.get(name), known(name)];
    const first = (noted?.id ?? 0) > (stored?.id ?? 0) ? noted : stored;
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
  const sql = `SELECT id FROM ${db.dialect.eventsIn} WHERE event_key = ? AND duplicate_of = ? ORDER BY id LIMIT ?`;
  const rows = await db.all<{ id: number }>(sql, [eventKey(userId, content.event_id), content.id, limit]);
  return rows.map(({ id }) => id);
}

// On SQLite events are indexed behind their contents. One by one, each would rewrite a page of its own; sorted, many share a page.

const COLUMNS = ['event_key', 'duplicate_of', 'id'];
// Each part stops all other transactions for some milliseconds.
const PART_ROWS = 1_000;
const MOST_ROWS = 50_000;
// The pause after a pass is nine times as long as the pass: indexing takes no more than a tenth of the time, and the larger the
// table, the more rows share a page.
const LEAST_REST_MS = 500;
const REST = 9;

export type EventIndex = ReturnType<typeof createEventIndex>;

export function createEventIndex(db: Db) {
  // What was committed since the last pass began, and what that pass is indexing.
  let added = new Map<string, Event>();
  let underWay = new Map<string, Event>();
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let rest = LEAST_REST_MS;
  let closed = false;

  function settle(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    let whole = false;
    const passed = () => {
      whole = true;
    };
    running ??= pass()
      .then(passed)
      .finally(() => {
        running = undefined;
        if (added.size > 0 || !whole) soon();
      });
    return running;
  }

  async function pass(): Promise<void> {
    const began = performance.now();
    underWay = added;
    added = new Map();
    try {
      while ((await indexSome(db)) === MOST_ROWS);
    } catch (error) {
      // The mark did not move: the next pass finds these again. Until then they are known here.
      added = new Map([...underWay, ...added]);
      throw error;
    } finally {
      underWay = new Map();
      rest = Math.max(LEAST_REST_MS, REST * (performance.now() - began));
    }
  }

  const soon = (): void => {
    if (!closed) timer ??= setTimeout(() => settle().catch(() => {}), rest).unref();
  };

  return {
    /** Events of one transaction, after it was committed. */
    add(events: readonly Event[]): void {
      for (const event of events) added.set(eventName(event.wh_id, event.event_key), event);
      if (added.size > 0 && !running) soon();
    },
    /** The newest content with this event that is no duplicate, among those that may not be in the index yet. */
    first: (name: string): Event | undefined => added.get(name) ?? underWay.get(name),
    /** Resolves when everything that is committed is in the index. */
    // A pass that runs now may miss the latest commits: another one follows it.
    settle: (): Promise<void> => (running ?? Promise.resolve()).then(settle),
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Indexes the rows behind the mark, `MOST_ROWS` at most, and sets it; resolves with how many rows it passed. */
async function indexSome(db: Db): Promise<number> {
  const from = (await readMark(db, 'event')) ?? 0;
  const found: Value[][] = [];
  const sql = `SELECT id, event_key, COALESCE(duplicate_of, 0) AS duplicate_of FROM restante_request WHERE id > ? ORDER BY id LIMIT ${PART_ROWS}`;
  let passed = 0;
  let at = from;
  for (let part = PART_ROWS; part === PART_ROWS && passed < MOST_ROWS; passed += part) {
    const rows = await db.all<{ id: number; event_key: Buffer | null; duplicate_of: number }>(sql, [at]);
    for (const { id, event_key, duplicate_of } of rows) if (event_key) found.push([event_key, duplicate_of, id]);
    part = rows.length;
    at = rows.at(-1)?.id ?? at;
    await turn();
  }
  found.sort(([a], [b]) => (a as Buffer).compare(b as Buffer));
  for (let i = 0; i < found.length; i += PART_ROWS) {
    const rows = found.slice(i, i + PART_ROWS);
    await db.transaction(async (queries) => {
      // Some may be there already: left by a crash, or written by another process at the same time.
      for (const { size, values } of statementsFor(rows))
        await queries.run(insertSql('restante_event', COLUMNS, size, ' ON CONFLICT DO NOTHING'), values);
    });
    await turn();
  }
  if (at > from) await saveMark(db, 'event', at);
  return passed;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
