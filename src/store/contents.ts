// Reads and stores contents: tblwh, with restante_request beside it.
import { crc32 } from 'node:zlib';
import {
  type Condition,
  type Dialect,
  type Failure,
  failed,
  IDS_USED_UP,
  isRefusal,
  type Job,
  listsOf,
  marks,
  padded,
  type Queries,
  StoreError,
  type Transaction,
  TransactionOver,
  type Value,
} from './db.ts';
import { duplicatesOf, type Event, eventName, type First, type Judged, VERIFIED, type Verified } from './events.ts';
import { MOST_CONTENT_ID, OWNER, type Row as Owner, webhookIn } from './fence/source.ts';
import type { Store } from './open.ts';
import { assignInserted, type PositionedRow } from './positions.ts';
import { keepAhead, sawId } from './shared/ids.ts';

export interface ContentRow {
  readonly id: number;
  /** Empty where it is `unreadable`. */
  readonly content: Buffer;
  /** Why the database does not give its bytes, as a sentence; undefined: it does. */
  readonly unreadable?: string | undefined;
  readonly ip: string;
  readonly api: number;
  readonly dt: string;
  readonly wh_id: number;
  /** How we received it; null for rows of other writers, and at the as-is level. */
  readonly receipt: Receipt | null;
}

export interface Receipt {
  readonly received_ms: number;
  readonly ip: string;
  readonly head: Buffer | null;
  readonly verified: Verified;
  readonly event_id: string | null;
  readonly event_type: string | null;
  readonly duplicate_of: number | null;
  readonly released_from: number | null;
}

const selectFrom = (store: Store, more = ''): string => {
  const columns = `${more}t.id, ${store.db.dialect.bytes('t.content')} AS content, LENGTH(t.content) AS bytes, t.ip, t.api, t.dt, ${webhookIn('t.')}`;
  return store.extended
    ? `SELECT ${columns}, r.size, r.crc, r.received_ms, r.ip AS full_ip, r.head, r.verified, r.event_id, r.event_type, r.duplicate_of, r.released_from
      FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id`
    : `SELECT ${columns} FROM tblwh t`;
};

interface Request extends Omit<Receipt, 'ip' | 'verified'> {
  readonly size: number;
  readonly crc: number;
  readonly full_ip: string;
  readonly verified: number;
}
/** The columns of the shared table, whose owner may have made them others: NULL, a date, bits. */
interface SharedColumns {
  readonly id: number;
  readonly content: Buffer | null;
  /** NULL where the content is; of what can be read it may count characters. */
  readonly bytes: number | null;
  readonly ip: unknown;
  readonly api: unknown;
  readonly dt: unknown;
  readonly wh_id: number;
}
/** With its request, of which all is null where there is none. */
type Row = SharedColumns & (Request | { readonly [name in keyof Request]?: null });

const NULL_CONTENT = 'Its column `content` is NULL in the table of the other application.';
const TOO_LONG =
  'It is longer than max_allowed_packet of the database, which was larger when it was stored. Its operator can raise that again.';
const NOTHING = Buffer.alloc(0);

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : value instanceof Date ? value.toISOString() : String(value ?? '');
const numberOf = (value: unknown): number =>
  typeof value === 'number' ? value : Number(Buffer.isBuffer(value) ? (value.at(-1) ?? 0) : value) || 0;

function toContent(row: Row): ContentRow {
  const { id, wh_id } = row;
  const [ip, api, dt] = [textOf(row.ip), numberOf(row.api), textOf(row.dt)];
  if (row.content === null) {
    const unreadable = row.bytes === null ? NULL_CONTENT : TOO_LONG;
    const receipt = row.size != null && row.size === row.bytes ? toReceipt(row) : null;
    return { id, content: NOTHING, unreadable, ip, api, dt, wh_id, receipt };
  }
  const { content } = row;
  // Length and CRC-32 tell a row that another application put in the place of ours.
  const ours = row.size != null && row.size === content.length && row.crc === crc32(content);
  return { id, content, ip, api, dt, wh_id, receipt: ours ? toReceipt(row) : null };
}

function toReceipt({ received_ms, full_ip, head, verified, ...row }: Request): Receipt {
  const { event_id, event_type, duplicate_of, released_from } = row;
  const event = { event_id, event_type, duplicate_of, released_from };
  return { received_ms, ip: full_ip, head, verified: VERIFIED[verified] ?? 'none', ...event };
}

/** A content by its owner and its id. */
export interface ContentKey {
  readonly userId: number;
  readonly id: number;
}

/**
 * Contents by owner and id, in one query. A content that does not exist, or belongs to another user, is left out. Holds no more than
 * `maxBytes` and one content at a time: the rest is read by further queries.
 */
export async function findContents<K extends ContentKey>(
  store: Store,
  keys: readonly K[],
  maxBytes: number,
): Promise<Map<K, ContentRow>> {
  const found = new Map<K, ContentRow>();
  for (let left = [...keys]; left.length > 0; ) {
    const ids = padded(left.map((key) => key.id));
    const owners = padded(left.map((key) => key.userId));
    const rows = new Map<number, { userId: number; content: ContentRow }>();
    let bytes = 0;
    let highest = Number.POSITIVE_INFINITY;
    const sql = `${selectFrom(store, 't.user_id, ')} WHERE t.id IN (${marks(ids.length)}) AND +t.user_id IN (${marks(owners.length)}) ORDER BY t.id`;
    await store.db.scan<Row & { user_id: number }>(sql, [...ids, ...owners], (row) => {
      rows.set(row.id, { userId: row.user_id, content: toContent(row) });
      bytes += row.content?.length ?? 0;
      if (bytes <= maxBytes) return true;
      highest = row.id;
      return false;
    });
    for (const key of left) {
      const row = rows.get(key.id);
      if (row && row.userId === key.userId) found.set(key, row.content);
    }
    left = left.filter((key) => key.id > highest);
  }
  return found;
}

interface Page {
  readonly contents: readonly ContentRow[];
  /** True when `limit` or `maxBytes` ended the page, not the end of the table. */
  readonly cut: boolean;
}

export interface ListOptions {
  readonly wh_id: number | 'all';
  readonly from: number;
  readonly to: number;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  readonly maxBytes: number;
}

/** Without the hint MariaDB uses two columns of the index, and reads all contents of the webhook. */
const forced = ({ state: { index } }: Store): string =>
  index ? `/*! FORCE INDEX (\`${index.replaceAll('`', '``')}\`) */` : '';

/** The ids of a user with from <= id <= to, in this order, so many at most. */
export function idsOf(
  store: Store,
  userId: number,
  { wh_id, from, to, order, limit }: Omit<ListOptions, 'maxBytes'>,
): Condition {
  const next = `ORDER BY id ${order === 'asc' ? 'ASC' : 'DESC'} LIMIT ?`;
  if (wh_id !== 'all') {
    const sql = `SELECT t.id FROM tblwh t ${forced(store)} WHERE t.user_id = ? AND t.wh_id = ? AND t.id BETWEEN ? AND ? ${next}`;
    return { sql, params: [userId, wh_id, from, to, limit] };
  }
  if (store.db.dialect.plansByStatistics || !store.state.indexed)
    return {
      sql: `SELECT t.id FROM tblwh t WHERE t.user_id = ? AND t.id BETWEEN ? AND ? ${next}`,
      params: [userId, from, to, limit],
    };
  // All ids of the user would be read and sorted. The index has those of each webhook in order: the next ones of each are read.
  const sql = `WITH RECURSIVE webhook (wh_id) AS (SELECT MIN(wh_id) FROM tblwh WHERE user_id = ? UNION ALL
      SELECT (SELECT MIN(t.wh_id) FROM tblwh t WHERE t.user_id = ? AND t.wh_id > webhook.wh_id) FROM webhook WHERE webhook.wh_id IS NOT NULL)
    SELECT t.id FROM webhook CROSS JOIN tblwh t WHERE t.id IN (SELECT id FROM tblwh WHERE user_id = ? AND wh_id IS webhook.wh_id
      AND id BETWEEN ? AND ? ${next}) ${next}`;
  return { sql, params: [userId, userId, userId, from, to, limit, limit] };
}

/** Contents with from <= id <= to. Reads no more than `maxBytes`, but one content at least. */
export async function listContents(store: Store, userId: number, options: ListOptions): Promise<Page> {
  const { order, limit, maxBytes } = options;
  // The ids first: without an index the search must not read the bodies of all users.
  const ids = idsOf(store, userId, options);
  const sql = `${selectFrom(store)} JOIN (${ids.sql}) page ON page.id = t.id ORDER BY page.id ${order === 'asc' ? 'ASC' : 'DESC'}`;
  const { contents, cut } = await inLine(store, userId, () => pageOf(store, sql, ids.params, maxBytes));
  return { contents, cut: cut || contents.length === limit };
}

// A page of megabytes holds its connection until it has all come. So pages of one user wait for one another, and leave connections to
// all others: SQLite has two that read on a small machine, MySQL eight.
const PAGES_AT_ONCE = { sqlite: 1, mysql: 4 } as const;
interface Line {
  reading: number;
  readonly waiting: (() => void)[];
}
const linesOf = new WeakMap<Store, Map<number, Line>>();

async function inLine<T>(store: Store, userId: number, read: () => Promise<T>): Promise<T> {
  const lines = linesOf.get(store) ?? new Map<number, Line>();
  linesOf.set(store, lines);
  const line = lines.get(userId) ?? { reading: 0, waiting: [] };
  lines.set(userId, line);
  if (line.reading < PAGES_AT_ONCE[store.db.kind]) line.reading++;
  // The one before leaves its place to this one.
  else await new Promise<void>((begin) => void line.waiting.push(begin));
  try {
    return await read();
  } finally {
    const next = line.waiting.shift();
    if (next) next();
    else if (--line.reading === 0) lines.delete(userId);
  }
}

async function pageOf(
  store: Store,
  sql: string,
  params: readonly Value[],
  maxBytes: number,
  wanted = (_row: Row): boolean => true,
): Promise<Page> {
  const contents: ContentRow[] = [];
  let bytes = 0;
  let cut = false;
  await store.db.scan<Row>(sql, params, (row) => {
    if (!wanted(row)) return true;
    bytes += (row.content?.length ?? 0) + (row.head?.length ?? 0);
    cut = contents.length > 0 && bytes > maxBytes;
    if (!cut) contents.push(toContent(row));
    return !cut;
  });
  return { contents, cut };
}

/** Contents of a user by their ids, in this order, no more than `maxBytes`, but one at least; `cut` when there are more. */
export async function listByIds(
  store: Store,
  userId: number,
  ids: readonly number[],
  maxBytes: number,
  order: 'asc' | 'desc' = 'asc',
): Promise<Page> {
  const [low, high] = [Math.min(...ids), Math.max(...ids)];
  // `+`: SQLite would otherwise use the index of the user. A range is read twice as fast as single ids.
  if (high - low < 2 * ids.length) {
    const wanted = new Set(ids);
    const sql = `${selectFrom(store)} WHERE t.id BETWEEN ? AND ? AND +t.user_id = ? ORDER BY t.id ${order}`;
    return inLine(store, userId, () => pageOf(store, sql, [low, high, userId], maxBytes, (row) => wanted.has(row.id)));
  }
  const some = padded(ids);
  const sql = `${selectFrom(store)} WHERE t.id IN (${marks(some.length)}) AND +t.user_id = ? ORDER BY t.id ${order}`;
  return inLine(store, userId, () => pageOf(store, sql, [...some, userId], maxBytes));
}

/** The ids and webhooks of all contents of these users with from <= id <= to, in the order of ids. Reads that part of the table. */
export function ownersBetween(store: Store, from: number, to: number, users: readonly number[]): Promise<Owner[]> {
  const some = padded(users);
  const sql = `SELECT id, ${OWNER} FROM tblwh WHERE id BETWEEN ? AND ? AND user_id IN (${marks(some.length)}) ORDER BY id`;
  return store.db.all<Owner>(sql, [from, to, ...some]);
}

/** Which of these contents are there, as a transaction sees it. */
export async function contentsThere(queries: Pick<Queries, 'all'>, ids: readonly number[]): Promise<Set<number>> {
  const there = new Set<number>();
  for (const { list, some } of listsOf(ids))
    for (const { id } of await queries.all<{ id: number }>(`SELECT id FROM tblwh WHERE id IN ${list}`, some))
      there.add(id);
  return there;
}

/** The highest id in the table that is not left out, 0 when it is empty. */
export async function highestId({ db }: Pick<Store, 'db'>): Promise<number> {
  const sql = `SELECT MAX(id) AS id FROM tblwh WHERE id <= ${MOST_CONTENT_ID[db.kind]}`;
  return (await db.all<{ id: number | null }>(sql))[0]?.id ?? 0;
}

/** Whether there are rows that are left out because their ids lie beyond all that a content may have. */
export const hasIdsBeyond = async ({ db }: Pick<Store, 'db'>): Promise<boolean> =>
  (await db.all(`SELECT 1 AS one FROM tblwh WHERE id > ${MOST_CONTENT_ID[db.kind]} LIMIT 1`)).length > 0;

/** The lowest id in the table from `from` on; undefined when there is none. */
export async function lowestId(store: Store, from: number): Promise<number | undefined> {
  const sql = `SELECT MIN(id) AS id FROM tblwh WHERE id >= ? AND id <= ${MOST_CONTENT_ID[store.db.kind]}`;
  return (await store.db.all<{ id: number | null }>(sql, [from]))[0]?.id ?? undefined;
}

// Storing: in one transaction the body goes into tblwh byte for byte, and how it was received into restante_request.

export interface NewContent {
  readonly user_id: number;
  readonly wh_id: number;
  readonly content: Buffer;
  /** 1 when a webhook received it, 0 when the user posted it. */
  readonly api: 0 | 1;
  readonly dt: string;
  readonly received_ms: number;
  /** The full address; `tblwh.ip` has room for IPv4 only. */
  readonly ip: string;
  /** Request line and headers as received; null for what the user posted. */
  readonly head: Buffer | null;
  /** Null for contents that are not judged: own content, and webhooks without a preset. */
  readonly judged: Judged | null;
}

const CONTENT_COLUMNS = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
const REQUEST_COLUMNS = ['id', 'size', 'crc', 'received_ms', 'ip', 'head'];
const JUDGED_COLUMNS = ['wh_id', 'verified', 'event_id', 'event_type', 'event_key', 'duplicate_of', 'released_from'];

/** `tblwh.ip` is varchar(15): a longer address would be refused, or cut into a wrong but valid-looking one. */
const shortIp = (ip: string): string => (ip.includes(':') || ip.length > 15 ? 'ipv6' : ip);

/** What a transaction stored. */
interface Stored {
  readonly ids: number[];
  readonly positioned: readonly PositionedRow[];
  readonly events: readonly Event[];
}

/** Stores all rows in one transaction; resolves with their ids, in order, once they are committed. */
export async function insertContents(store: Store, rows: readonly NewContent[]): Promise<number[]> {
  const { db } = store;
  const inserted = (await (db.perform
    ? db.perform('insertContents', () => jobOf(store, rows, false))
    : storing(store, (around, queries) => insertRows(around, queries, rows)))) as Inserted;
  const stored = storedBy(rows, inserted);
  remember(store, stored);
  return stored.ids;
}

/**
 * The same, where the database may refuse some of the rows: these do not keep it from storing the others, all in one transaction.
 * Resolves, in their order, with the id of each row or with why it is not stored. Undefined: there was no time to try it, and it is
 * not stored; at least one was tried.
 */
export async function insertAccepted(
  store: Store,
  rows: readonly NewContent[],
): Promise<readonly (number | StoreError | undefined)[]> {
  const { db } = store;
  try {
    return await insertContents(store, rows);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (rows.length === 1) return [refusalOf(error)];
  }
  try {
    const parts = (await (db.perform
      ? db.perform('insertContents', () => jobOf(store, rows, true))
      : storing(store, (around, queries) => insertInParts(around, queries, rows)))) as Parts;
    const outcome: (number | StoreError | undefined)[] = rows.map(() => undefined);
    for (const { at, count, inserted } of parts.stored) {
      const stored = storedBy(rows.slice(at, at + count), inserted);
      remember(store, stored);
      for (const [i, id] of stored.ids.entries()) outcome[at + i] = id;
    }
    for (const { at, failure, message, codes } of parts.refused)
      outcome[at] = new StoreError(failure, Object.assign(new Error(message), codes));
    return outcome;
  } catch (error) {
    if (!(error instanceof TransactionOver)) throw error;
  }
  // One refusal ends all of a transaction, so each row has one of its own.
  const outcome: (number | StoreError | undefined)[] = rows.map(() => undefined);
  const until = performance.now() + SPLIT_MS;
  for (const [i, row] of rows.entries()) {
    if (i > 0 && performance.now() > until) break;
    outcome[i] = await insertContents(store, [row]).then(firstOf, refusalOf);
  }
  return outcome;
}
const firstOf = (ids: readonly number[]): number => ids[0] as number;
const refusalOf = (error: unknown): StoreError => {
  if (!isRefusal(error)) throw error;
  return new StoreError('data', (error as StoreError).cause);
};

/** One transaction of the writer. No id is given in it that was seen before. */
const storing = <T>(store: Store, work: (around: Around, queries: Transaction) => Promise<T>): Promise<T> =>
  store.db.transaction(async (queries) => {
    await keepAhead(store.db, queries);
    return work(aroundOf(store), queries);
  }, 'writer');

/** Keeps what was committed in memory, so that this process need not read it. */
export function remember({ db, recent, events }: Store, stored: Stored): void {
  sawId(db, stored.ids.at(-1) ?? 0);
  recent?.add(stored.positioned);
  events?.add(stored.events);
}

/** The same within the caller's transaction. The caller calls `remember` after the commit. */
export async function insertWithin(store: Store, queries: Transaction, rows: readonly NewContent[]): Promise<Stored> {
  await keepAhead(store.db, queries);
  return storedBy(rows, await insertRows(aroundOf(store), queries, rows));
}

// What another application has made of tblwh.content: a column that refuses some bodies, or stores other bytes than it was given.

/** `charset` is null where bytes are no text. */
export interface ContentColumn {
  readonly type: string;
  readonly charset: string | null;
}

// Character sets in which not every run of bytes is text; the servers take any bytes in all others, as tried on both.
const CHOOSY = /^(ascii|big5|cp932|euc\w+|gb\w+|sjis|ucs2|ujis|utf\w+)$/;
// Units of two or four bytes: what is too short for one is filled up.
const FILLED_UP = /^(ucs2|utf16|utf16le|utf32)$/;

/**
 * A column of the longest type stores what it is given or refuses it. A shorter one cuts off spaces without a word, in every
 * sql_mode; CHAR and BINARY take them away or add them, JSON writes its own spelling.
 */
const mayChange = (column: ContentColumn | undefined): boolean =>
  column !== undefined && (!/^long(text|blob)$/.test(column.type) || FILLED_UP.test(column.charset ?? ''));

/** What is wrong with the column, and the statement that mends it; undefined when it holds any bytes. */
export function flawOf({ type, charset }: ContentColumn): { found: string; fix: string } | undefined {
  const fix = 'ALTER TABLE tblwh MODIFY content LONGTEXT CHARACTER SET latin1 NOT NULL';
  if (type === '') return undefined;
  if (!/^(long|medium)(text|blob)$/.test(type))
    return { found: `tblwh.content is ${type}: bodies that do not fit in it are refused with 503.`, fix };
  if (!CHOOSY.test(charset ?? '')) return undefined;
  return {
    found: `tblwh.content is ${charset}: bodies that are not valid in it are refused with 503.`,
    fix: `${fix}, on a copy first: it converts every row`,
  };
}

/** Reads back what was inserted, before it is committed: a 2xx promises the bytes. */
async function insistOnBytes(
  { dialect, content: column }: Around,
  queries: Queries,
  rows: readonly NewContent[],
  ids: readonly number[],
): Promise<void> {
  const bytes = dialect.bytes('content');
  const stored = new Map<number, { size: number; crc: number }>();
  for (const { list, some } of listsOf(ids)) {
    const sql = `SELECT id, LENGTH(${bytes}) AS size, CRC32(${bytes}) AS crc FROM tblwh WHERE id IN ${list}`;
    for (const row of await queries.all<{ id: number; size: number; crc: number }>(sql, some)) stored.set(row.id, row);
  }
  for (const [i, { content }] of rows.entries()) {
    const { size, crc } = stored.get(ids[i] as number) ?? {};
    if (size === content.length && crc === crc32(content)) continue;
    const { type = '', charset = null } = column ?? {};
    const what = `tblwh.content, which is ${type}${charset ? ` in ${charset}` : ''}, does not keep the bytes of this content`;
    throw new StoreError('data', Object.assign(new Error(what), { code: 'CONTENT_CHANGED' }));
  }
}
const aroundOf = ({ extended, db, events, state }: Store): Around => ({
  extended,
  dialect: db.dialect,
  content: state.content,
  first: (name) => events?.first(name),
});

/** What the rows themselves do not say. */
interface Around {
  readonly extended: boolean;
  readonly dialect: Dialect;
  /** What tblwh.content is, on MySQL and MariaDB. */
  readonly content?: ContentColumn | undefined;
  /** The first content with an event, among those that may not be in the index yet. */
  first(name: string): First | undefined;
}

interface Inserted {
  readonly ids: number[];
  readonly duplicates: readonly (number | null)[];
  readonly positioned: readonly PositionedRow[];
}

async function insertRows(around: Around, queries: Queries, rows: readonly NewContent[]): Promise<Inserted> {
  const { extended, dialect } = around;
  const ids = await queries.insertIds(
    'tblwh',
    CONTENT_COLUMNS,
    rows.map((row) => [row.content, shortIp(row.ip), row.api, row.dt, row.user_id, row.wh_id]),
  );
  if (ids.some((id) => id > MOST_CONTENT_ID[dialect.oneWriter ? 'sqlite' : 'mysql']))
    throw new StoreError(
      'other',
      Object.assign(new Error('the ids of tblwh are beyond 4294967295'), { code: IDS_USED_UP }),
    );
  if (mayChange(around.content)) await insistOnBytes(around, queries, rows, ids);
  const duplicates = extended ? await duplicatesOf(around, queries, rows, ids) : [];
  if (extended) await insertRequests(queries, rows, ids, duplicates);
  if (!dialect.oneWriter) return { ids, duplicates, positioned: [] };
  const owned = rows.map(({ user_id, wh_id }, i) => ({ id: ids[i] as number, user_id, wh_id }));
  return { ids, duplicates, positioned: await assignInserted(dialect, queries, owned) };
}

// Parts: where a statement for all rows was refused, the rows are tried in parts of one transaction, and each row of a part that is
// refused, too. 500 rows of which one is bad take 45 statements, and 523 when all are: 0.1 to 0.3 s, and one commit.

/** What a transaction of parts stored, and the rows that were refused; both by the index of the row. */
interface Parts {
  readonly stored: { readonly at: number; readonly count: number; readonly inserted: Inserted }[];
  /** As data, for a thread has an error of its own kind. */
  readonly refused: {
    readonly at: number;
    readonly failure: Failure;
    readonly message: string;
    readonly codes: object;
  }[];
}

// Parts smaller than this are tried row by row.
const SMALL_PART = 25;
// Then it commits what it has, and the rest is for another transaction: rows of other users wait behind this one.
const SPLIT_MS = 300;

async function insertInParts(around: Around, queries: Transaction, rows: readonly NewContent[]): Promise<Parts> {
  const parts: Parts = { stored: [], refused: [] };
  const until = performance.now() + SPLIT_MS;
  const firsts = new Map<string, First>();
  const withFirsts = { ...around, first: (name: string) => firsts.get(name) ?? around.first(name) };
  function refuse(at: number, failure: Failure, cause: unknown): void {
    const { message, code, errno, errcode, sqlState } = cause as Error & Record<string, unknown>;
    parts.refused.push({ at, failure, message, codes: { code, errno, errcode, sqlState } });
  }
  async function tryAll(at: number, some: readonly NewContent[]): Promise<void> {
    if (performance.now() > until && parts.stored.length + parts.refused.length > 0) return;
    try {
      const inserted = await queries.attempt(() => insertRows(withFirsts, queries, some));
      parts.stored.push({ at, count: some.length, inserted });
      for (const { wh_id, event_key, ...first } of storedBy(some, inserted).events)
        firsts.set(eventName(wh_id, event_key), first);
    } catch (error) {
      if (error instanceof TransactionOver || !isRefusal(error)) throw error;
      if (some.length === 1) refuse(at, 'data', (error as StoreError).cause);
      else await split(at, some);
    }
  }
  async function split(at: number, some: readonly NewContent[]): Promise<void> {
    const size = some.length > SMALL_PART ? Math.ceil(Math.sqrt(some.length)) : 1;
    for (let from = 0; from < some.length; from += size) await tryAll(at + from, some.slice(from, from + size));
  }
  await split(0, rows);
  return parts;
}

function storedBy(rows: readonly NewContent[], { ids, duplicates, positioned }: Inserted): Stored {
  const events = rows.flatMap(({ wh_id, received_ms, judged }, i) =>
    judged?.event_key && duplicates[i] === null
      ? [{ id: ids[i] as number, wh_id, received_ms, event_key: judged.event_key }]
      : [],
  );
  return { ids, positioned, events };
}

// The same as a job, which a thread does beside its connection: its rows go there as one list of values.

function jobOf({ extended, events }: Store, rows: readonly NewContent[], inParts: boolean): Job {
  const known: [string, First][] = [];
  const values: Value[] = [];
  for (const { user_id, wh_id, content, api, dt, received_ms, ip, head, judged } of rows) {
    values.push(user_id, wh_id, content, api, dt, received_ms, ip, head);
    const { verified = null, event_id = null, event_type = null, event_key = null } = judged ?? {};
    values.push(verified, event_id, event_type, event_key, judged?.window_ms ?? 0, judged?.released_from ?? null);
    const name = event_key && eventName(wh_id, event_key);
    const first = name ? events?.first(name) : undefined;
    if (name && first) known.push([name, { id: first.id, received_ms: first.received_ms }]);
  }
  return { values, more: { extended, known, inParts } };
}

const VALUES_OF_A_ROW = 14;

/** The job `insertContents`, in a transaction of SQLite. */
export function insertJob(queries: Transaction, dialect: Dialect, { values, more }: Job): Promise<Inserted | Parts> {
  const { extended, known, inParts } = more as { extended: boolean; known: [string, First][]; inParts: boolean };
  const rows: NewContent[] = [];
  for (let at = 0; at < values.length; at += VALUES_OF_A_ROW) {
    const row = values.slice(at, at + VALUES_OF_A_ROW);
    const [user_id, wh_id, content, api, dt, received_ms, ip, head, ...verdict] = row as [
      ...[number, number, Buffer, 0 | 1, string, number, string, Buffer | null],
      ...[Verified | null, string | null, string | null, Buffer | null, number, number | null],
    ];
    const [verified, event_id, event_type, event_key, window_ms, released_from] = verdict;
    const judged = verified && { verified, event_id, event_type, event_key, window_ms, released_from };
    rows.push({ user_id, wh_id, content, api, dt, received_ms, ip, head, judged });
  }
  const firsts = new Map(known);
  const around: Around = { extended, dialect, first: (name) => firsts.get(name) };
  return inParts ? insertInParts(around, queries, rows) : insertRows(around, queries, rows);
}

async function insertRequests(
  queries: Queries,
  rows: readonly NewContent[],
  ids: readonly number[],
  duplicates: readonly (number | null)[],
): Promise<void> {
  const plain: Value[][] = [];
  const judged: Value[][] = [];
  for (const [i, { content, received_ms, ip, head, wh_id, judged: verdict }] of rows.entries()) {
    const row = [ids[i] as number, content.length, crc32(content), received_ms, ip, head];
    if (!verdict) plain.push(row);
    else {
      const { verified, event_id, event_type, event_key, released_from } = verdict;
      const event = [event_id, event_type, event_key, duplicates[i] as number | null, released_from];
      judged.push([...row, wh_id, VERIFIED.indexOf(verified), ...event]);
    }
  }
  const insert = async () => {
    if (plain.length > 0) await queries.insert('restante_request', REQUEST_COLUMNS, plain);
    if (judged.length > 0) await queries.insert('restante_request', [...REQUEST_COLUMNS, ...JUDGED_COLUMNS], judged);
  };
  await insert().catch(async (error: unknown) => {
    if (!failed(error, 'duplicate')) throw error;
    // Another application emptied tblwh and its ids begin again: our rows belong to contents that are gone.
    await queries.run(`DELETE FROM restante_request WHERE id IN (${marks(ids.length)})`, ids);
    await queries.run("UPDATE restante_meta SET v = 0 WHERE k = 'event'");
    await insert();
  });
}
