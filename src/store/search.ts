// Finds contents by their event, verdict, age or bytes. One call is bounded in rows, in bytes and in time, whatever is stored.
import { inSlices, type Sliced } from '../verify/slices.ts';
import { type ContentRow, idsOf, type ListOptions, listByIds } from './contents.ts';
import { type Condition, failed, marks, padded, type Value } from './db.ts';
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
  /** Everything up to this id was looked at, in the direction of the search: less than was asked for when a bound was reached. */
  readonly upTo: number;
}

// One call looks at no more contents of its user; the next one goes on.
const MOST_LOOKED_AT = 10_000;
// Without an index on tblwh the rows of all users are read, with bodies of up to 8 KB in them.
const MOST_IDS = 20_000;
// One call looks into bodies of so many bytes, and begins no further part after this time.
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_MS = 1_000;
// One statement looks into so many: 2 to 10 ms on SQLite, where nothing else runs meanwhile. A content is never divided.
const PART_BYTES = 2 * 1024 * 1024;
const PART_ROWS = 512;
// The databases compare a term byte by byte at each byte of a body. For a longer term they look for its end, and we for all of it.
const MOST_COMPARED = 16;

/** One content that may be found. */
interface Candidate {
  readonly id: number;
  /** Of its body; null for contents of other applications, where it is known only when the body has been read. */
  readonly bytes: number | null;
}
/** The candidates of one call. */
interface Range {
  readonly rows: readonly Candidate[];
  readonly upTo: number;
}
/** What a look found, and up to which id. */
interface Look {
  readonly ids: readonly number[];
  readonly upTo: number;
}
/** Of the call that searches: its client has gone. */
type Ended = Pick<AbortSignal, 'aborted'>;

/** Ends early, with what it has, when `ended` fires. */
export async function searchContents(
  store: Store,
  userId: number,
  options: ListOptions,
  filter: Filter,
  ended: Ended = { aborted: false },
): Promise<SearchPage> {
  const { from, to, order, limit, maxBytes } = options;
  if (from > to) return { contents: [], upTo: order === 'asc' ? to : from };
  const until = performance.now() + MOST_MS;
  const range = await (filter.event_id === undefined ? between : ofEvent)(store, userId, options, filter);
  const holds = holdsAll(userId, filter.q);
  const contents: ContentRow[] = [];
  let bytes = 0;
  let upTo = order === 'asc' ? from - 1 : to + 1;
  for await (const look of looks(store, range, filter.q)) {
    for (let left = look.ids; left.length > 0; ) {
      const named = left.slice(0, limit - contents.length);
      const page = await listByIds(store, userId, named, maxBytes - bytes, order);
      for (const row of page.contents) {
        const size = row.content.length + (row.receipt?.head?.length ?? 0);
        if (contents.length > 0 && bytes + size > maxBytes) return { contents, upTo };
        upTo = row.id;
        if (!isOurs(row, filter) || !(await holds(row.content))) continue;
        contents.push(row);
        bytes += size;
        if (contents.length === limit) return { contents, upTo };
      }
      left = left.slice(page.cut ? left.indexOf(upTo) + 1 : named.length);
      if (left.length > 0 && performance.now() > until) return { contents, upTo };
    }
    upTo = look.upTo;
    if (ended.aborted || performance.now() > until) break;
  }
  return { contents, upTo };
}

/** False for a row that another application has put in the place of ours: what is known of ours is not true of it. */
const isOurs = ({ receipt }: ContentRow, { event_id, event_type, verified = 'none' }: Filter): boolean =>
  receipt !== null || (event_id === undefined && event_type === undefined && verified === 'none');

/** The contents of the user, or of one webhook, one after the other. */
async function between(
  store: Store,
  userId: number,
  { from, to, order, wh_id }: ListOptions,
  filter: Filter,
): Promise<Range> {
  const asc = order === 'asc';
  const low = asc || store.state.indexed ? from : Math.max(from, to - MOST_IDS);
  const high = !asc || store.state.indexed ? to : Math.min(to, from + MOST_IDS);
  const { sql: fits, params } = fitting(store, filter);
  const ids = idsOf(store, userId, { wh_id, from: low, to: high, order, limit: MOST_LOOKED_AT });
  const sql = `SELECT t.id, r.size AS bytes, ${fits} AS fits FROM (${ids.sql}) t LEFT JOIN restante_request r ON r.id = t.id
    ORDER BY t.id ${asc ? 'ASC' : 'DESC'}`;
  return rangeOf(store, { sql, params: [...params, ...ids.params] }, asc ? high : low);
}

/** The contents of an event, wherever they lie. */
async function ofEvent(
  store: Store,
  userId: number,
  { from, to, order, wh_id }: ListOptions,
  { event_id = '', ...filter }: Filter,
): Promise<Range> {
  const asc = order === 'asc';
  const one = wh_id !== 'all';
  await store.events?.settle();
  const { sql: fits, params } = fitting(store, filter);
  // The index alone answers the inner part: an event may have come a million times.
  const sql = `SELECT e.id, r.size AS bytes, r.event_id = ? AND t.user_id = ? ${one ? 'AND t.wh_id = ?' : ''} AND ${fits} AS fits
    FROM (SELECT id FROM ${store.db.dialect.eventsIn} WHERE event_key = ? AND id BETWEEN ? AND ?
      ORDER BY id ${asc ? 'ASC' : 'DESC'} LIMIT ?) e
    LEFT JOIN restante_request r ON r.id = e.id LEFT JOIN tblwh t ON t.id = e.id ORDER BY e.id ${asc ? 'ASC' : 'DESC'}`;
  const all = [event_id, userId, ...(one ? [wh_id] : []), ...params, eventKey(userId, event_id), from, to];
  return rangeOf(store, { sql, params: [...all, MOST_LOOKED_AT] }, asc ? to : from);
}

async function rangeOf(store: Store, { sql, params }: Condition, end: number): Promise<Range> {
  const rows = await store.db.search<Candidate & { fits: number | null }>(sql, params);
  const last = rows.at(-1);
  return { rows: rows.filter(({ fits }) => fits), upTo: last && rows.length === MOST_LOOKED_AT ? last.id : end };
}

/** What a filter asks of a content without its body, as SQL on the tables t (tblwh) and r (restante_request). */
function fitting({ db }: Store, { event_type, verified, since_ms }: Filter): Condition {
  const parts = ['1 = 1'];
  const params: Value[] = [];
  const and = (sql: string, value: Value): void => {
    parts.push(sql);
    params.push(value);
  };
  if (event_type !== undefined) and('r.event_type = ?', event_type);
  if (verified !== undefined) and('COALESCE(r.verified, 0) = ?', VERIFIED.indexOf(verified));
  if (since_ms !== undefined) {
    const seen = 'SELECT p.seen_ms FROM restante_position p WHERE p.id = t.id';
    and(`COALESCE((${seen}), ${db.dialect.nowMs}) >= ?`, since_ms);
  }
  return { sql: parts.join(' AND '), params };
}

/** Looks into the bodies of a range, part by part, until the caller has enough or the bytes of a call are used up. */
async function* looks(store: Store, { rows, upTo }: Range, q: Buffer | undefined): AsyncGenerator<Look> {
  if (q === undefined || rows.length === 0) {
    yield { ids: rows.map(({ id }) => id), upTo };
    return;
  }
  // What a body of unknown size is taken for. The first is looked into alone, the next parts grow as long as bodies are small.
  let guess = PART_BYTES;
  let looked = 0;
  for (let at = 0; at < rows.length && looked < MOST_BYTES; ) {
    const part: number[] = [];
    let guessed = false;
    for (let expected = 0; at < rows.length && part.length < PART_ROWS; at++) {
      const { id, bytes } = rows[at] as Candidate;
      expected += bytes ?? guess;
      if (part.length > 0 && expected > PART_BYTES) break;
      part.push(id);
      guessed ||= bytes === null;
    }
    const found = await lookInto(store, part, q).catch((error: unknown) => {
      // Too slow for its limit: what was found before is answered, and the next call begins with small parts.
      if (looked > 0 && failed(error, 'away')) return undefined;
      throw error;
    });
    if (!found) return;
    looked += Math.max(1, found.bytes);
    if (guessed) guess = Math.max(guess / 4, found.largest);
    yield { ids: part.filter((id) => found.ids.has(id)), upTo: at < rows.length ? (part.at(-1) as number) : upTo };
  }
}

async function lookInto(store: Store, part: readonly number[], q: Buffer) {
  const body = store.db.dialect.bytes('t.content');
  const some = padded(part);
  const sql = `SELECT t.id, LENGTH(${body}) AS size, INSTR(${body}, ?) > 0 AS hit FROM tblwh t WHERE t.id IN (${marks(some.length)})`;
  const rows = await store.db.search<{ id: number; size: number; hit: number }>(sql, [
    q.subarray(-MOST_COMPARED),
    ...some,
  ]);
  const sizes = rows.map(({ size }) => size);
  return {
    ids: new Set(rows.filter(({ hit }) => hit).map(({ id }) => id)),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    largest: Math.max(0, ...sizes),
  };
}

/** Whether a body that has the end of the term has all of it. */
function holdsAll(userId: number, q: Buffer | undefined): (body: Buffer) => boolean | Promise<boolean> {
  if (q === undefined || q.length <= MOST_COMPARED) return () => true;
  const back = borders(q);
  return (body) => inSlices(userId, hasTerm(body, q, back));
}

// By Knuth, Morris and Pratt: each byte is looked at twice at most. Node's own indexOf takes a term that repeats itself, such as a
// thousand letters a before a b, as many times as it is long at each byte of a body that does.

/** For each beginning of the term: how long its longest beginning is that it also ends with. */
function borders(term: Buffer): Uint16Array {
  const back = new Uint16Array(term.length);
  for (let i = 1, at = 0; i < term.length; i++) {
    while (at > 0 && term[i] !== term[at]) at = back[at - 1] as number;
    if (term[i] === term[at]) at++;
    back[i] = at;
  }
  return back;
}

const BYTES_AT_ONCE = 64 * 1024;

function* hasTerm(body: Buffer, term: Buffer, back: Uint16Array): Sliced<boolean> {
  for (let from = 0, at = 0; from < body.length; from += BYTES_AT_ONCE) {
    const to = Math.min(body.length, from + BYTES_AT_ONCE);
    for (let i = from; i < to; i++) {
      while (at > 0 && body[i] !== term[at]) at = back[at - 1] as number;
      if (body[i] === term[at] && ++at === term.length) return true;
    }
    yield;
  }
  return false;
}
