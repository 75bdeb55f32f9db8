// Finds contents by their event, verdict, age or bytes: by an index where there is one, else by reading a limited number of rows.
import { type ContentRow, forced, type ListOptions, listByIds, listContents } from './contents.ts';
import type { Condition, Value } from './db.ts';
import { eventKey, VERIFIED, type Verified } from './events.ts';
import type { Store } from './open.ts';

/** All that is given must hold. */
export interface Filter {
  readonly event_id?: string | undefined;
  readonly event_type?: string | undefined;
  readonly verified?: Verified | undefined;
  /** Only what became visible at or after it, in ms since 1970. */
  readonly since_ms?: number | undefined;
  /** Only what has these bytes somewhere in its body. */
  readonly q?: Buffer | undefined;
}

export interface SearchPage {
  readonly contents: readonly ContentRow[];
  /** Everything up to this id was looked at, in the direction of the search: less than was asked for when the page is full. */
  readonly upTo: number;
}

// One call looks at no more contents of its user; the next one goes on.
const MOST_LOOKED_AT = 10_000;
// Without an index on tblwh the contents of all users are read.
const MOST_IDS = 100_000;

export async function searchContents(
  store: Store,
  userId: number,
  options: ListOptions,
  filter: Filter,
): Promise<SearchPage> {
  const { from, to, order } = options;
  if (from > to) return { contents: [], upTo: order === 'asc' ? to : from };
  if (filter.event_id !== undefined) return byEvent(store, userId, options, filter);
  const range = await lookedAt(store, userId, options);
  const { contents, cut } = await listContents(store, userId, { ...options, ...range }, where(store, filter));
  const last = contents.at(-1);
  return { contents: ours(contents, filter), upTo: cut && last ? last.id : order === 'asc' ? range.to : range.from };
}

/** Leaves out rows that another application has put in the place of ours: what is known of ours is not true of them. */
function ours(
  contents: readonly ContentRow[],
  { event_id, event_type, verified = 'none' }: Filter,
): readonly ContentRow[] {
  const asked = event_id !== undefined || event_type !== undefined || verified !== 'none';
  return asked ? contents.filter(({ receipt }) => receipt !== null) : contents;
}

/** The part of `from` to `to` that one call looks at. */
async function lookedAt(
  store: Store,
  userId: number,
  { from, to, order, wh_id }: ListOptions,
): Promise<{ from: number; to: number }> {
  const asc = order === 'asc';
  const low = asc || store.state.indexed ? from : Math.max(from, to - MOST_IDS);
  const high = !asc || store.state.indexed ? to : Math.min(to, from + MOST_IDS);
  const one = wh_id !== 'all';
  const sql = `SELECT COUNT(*) AS n, MIN(id) AS low, MAX(id) AS high FROM (SELECT id FROM tblwh ${one ? forced(store) : ''} WHERE user_id = ?
    ${one ? 'AND wh_id = ?' : ''} AND id BETWEEN ? AND ? ORDER BY id ${asc ? 'ASC' : 'DESC'} LIMIT ?) some`;
  const params = [userId, ...(one ? [wh_id] : []), low, high, MOST_LOOKED_AT];
  const [row] = await store.db.all<{ n: number; low: number; high: number }>(sql, params);
  if (!row || row.n < MOST_LOOKED_AT) return { from: low, to: high };
  return asc ? { from: low, to: row.high } : { from: row.low, to: high };
}

/** An event is found by the index, wherever it lies. */
async function byEvent(store: Store, userId: number, options: ListOptions, filter: Filter): Promise<SearchPage> {
  const { from, to, order, limit, wh_id, maxBytes } = options;
  const { event_id = '' } = filter;
  const { sql, params } = where(store, { ...filter, event_id: undefined });
  await store.events?.settle();
  const ids = await store.db.all<{ id: number }>(
    `SELECT t.id FROM ${store.db.dialect.eventsIn} e JOIN restante_request r ON r.id = e.id JOIN tblwh t ON t.id = e.id
     WHERE e.event_key = ? AND r.event_id = ? AND t.user_id = ? ${wh_id === 'all' ? '' : 'AND t.wh_id = ?'}
     AND t.id BETWEEN ? AND ? ${sql} ORDER BY t.id ${order === 'asc' ? 'ASC' : 'DESC'} LIMIT ?`,
    [eventKey(userId, event_id), event_id, userId, ...(wh_id === 'all' ? [] : [wh_id]), from, to, ...params, limit],
  );
  const named = ids.map(({ id }) => id);
  const page = named.length > 0 ? await listByIds(store, userId, named, maxBytes, order) : { contents: [], cut: false };
  const cut = page.cut || named.length === limit;
  const last = page.contents.at(-1);
  return { contents: ours(page.contents, filter), upTo: cut && last ? last.id : order === 'asc' ? to : from };
}

/** The filter as SQL on the tables t (tblwh) and r (restante_request). */
function where({ db }: Store, { event_type, verified, since_ms, q }: Filter): Condition {
  const parts: string[] = [];
  const params: Value[] = [];
  const and = (sql: string, value: Value): void => {
    parts.push(sql);
    params.push(value);
  };
  if (event_type !== undefined) and('AND r.event_type = ?', event_type);
  if (verified !== undefined) and('AND COALESCE(r.verified, 0) = ?', VERIFIED.indexOf(verified));
  if (since_ms !== undefined) {
    const seen = 'SELECT p.seen_ms FROM restante_position p WHERE p.id = t.id';
    and(`AND COALESCE((${seen}), ${db.dialect.nowMs}) >= ?`, since_ms);
  }
  if (q !== undefined) and(`AND INSTR(${db.dialect.bytes('t.content')}, ?) > 0`, q);
  return { sql: parts.join(' '), params };
}
