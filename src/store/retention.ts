// Removes contents for good, with all that is kept of them and all that refers to them, and tells the consumers what they miss.
import type { SettingsInput } from '../schema/webhooks.ts';
import { positionBeforeTime } from './backlog.ts';
import { type ConsumerRow, consumersOf, holdNewConsumers, lockConsumer, saveConsumer } from './consumers.ts';
import { type Condition, type Db, failed, listsOf, marks, padded, type Queries } from './db.ts';
import { MOST_CONTENT_ID } from './fence/source.ts';
import type { PositionedRow } from './positions.ts';
import { lastingMs } from './shared/clock.ts';
import { setMeta } from './shared/meta.ts';

/**
 * `age`: a content that a consumer is still to get stays, and a consumer that has missed one is told. `wish`: all contents go,
 * because their owner wants it.
 */
type Why = 'age' | 'wish';

type Doomed = Omit<PositionedRow, 'seen_ms'>;
interface Removed {
  /** Rows of tblwh. */
  readonly contents: number;
  /** Contents that a consumer is still to get. */
  readonly kept: readonly number[];
}

/** Ids of one call: few enough for one statement each, and for a short transaction. */
const MOST_IDS = 512;
// A consumer that has pulled within a week is expected to pull the contents ahead of it.
const IN_USE_MS = 7 * 86_400_000;

/** Removes contents by their ids, `MOST_IDS` at most, inside the caller's transaction. */
async function removeContents(db: Db, queries: Queries, ids: readonly number[], why: Why): Promise<Removed> {
  if (ids.length === 0) return { contents: 0, kept: [] };
  const rows = await positionsFor(db, queries, ids);
  // A consumer that is made from here on would not be among those that are asked, and could have in hand what goes.
  if (why === 'age' && !db.dialect.oneWriter) await holdNewConsumers(db, queries);
  const { kept, touched } = await concerned(db, queries, rows, why);
  const locked: Known[] = [];
  // Always in the same order, so that two removals cannot deadlock.
  for (const id of touched) {
    const one = await lockConsumer(db, queries, id);
    const known = one && (await look(queries, [one.consumer], rows))[0];
    if (!known) continue;
    locked.push(known);
    // Before it was locked the consumer may have pulled.
    if (why === 'age') for (const row of rows) if (isKept(known, row, one.now)) kept.add(row.id);
  }
  const going = rows.filter(({ id }) => !kept.has(id));
  for (const known of locked) await tell(db, queries, known, going, why);
  const contents = await drop(
    db,
    queries,
    ids.filter((id) => !kept.has(id)),
  );
  return { contents, kept: [...kept] };
}

/** Those of these contents that a consumer is still to get, as of now. */
async function stillToGet(db: Db, queries: Queries, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  return (await concerned(db, queries, await readPositions(queries, ids), 'age')).kept;
}

/** A content without a position may be about to get one: the lock waits for that, or the position would outlive the content. */
async function positionsFor(db: Db, queries: Queries, ids: readonly number[]): Promise<Doomed[]> {
  const rows = await readPositions(queries, ids);
  if (rows.length === ids.length || db.dialect.oneWriter) return rows;
  await queries.all(`SELECT v FROM restante_meta WHERE k = 'seq'${db.dialect.forUpdate}`);
  return readPositions(queries, ids);
}
function readPositions(queries: Queries, ids: readonly number[]): Promise<Doomed[]> {
  const some = padded(ids);
  const sql = `SELECT pos, id, user_id, wh_id FROM restante_position WHERE id IN (${marks(some.length)}) ORDER BY pos`;
  return queries.all<Doomed>(sql, some);
}

/** A consumer, and what it has of some contents. */
interface Known {
  readonly consumer: ConsumerRow;
  readonly out: ReadonlyMap<number, { readonly waiting: number; readonly due_ms: number }>;
  readonly dead: ReadonlySet<number>;
}

const isAhead = ({ consumer: { user_id, whids, cursor_pos } }: Known, row: Doomed): boolean =>
  row.pos > cursor_pos && row.user_id === user_id && (!whids || whids.includes(row.wh_id));

/** A worker has it in hand; or it lies ahead of a consumer that is in use, or waits for it again. */
function isKept(known: Known, row: Doomed, now: number): boolean {
  const { pulled_ms, created_ms } = known.consumer;
  const out = known.out.get(row.pos);
  if (out && out.waiting === 0 && out.due_ms > now) return true;
  return Math.max(pulled_ms, created_ms) > now - IN_USE_MS && (out !== undefined || isAhead(known, row));
}

/** Which of `rows` are kept, and the consumers that the others concern, in the order in which they are to be locked. */
async function concerned(
  db: Db,
  queries: Queries,
  rows: readonly Doomed[],
  why: Why,
): Promise<{ kept: Set<number>; touched: number[] }> {
  const kept = new Set<number>();
  const users = [...new Set(rows.map(({ user_id }) => user_id))];
  if (users.length === 0) return { kept, touched: [] };
  const { consumers, now } = await consumersOf(db, queries, users);
  const all = await look(queries, consumers, rows);
  if (why === 'age') for (const known of all) for (const row of rows) if (isKept(known, row, now)) kept.add(row.id);
  const going = rows.filter(({ id }) => !kept.has(id));
  const isTouched = (known: Known) =>
    going.some((row) => known.out.has(row.pos) || known.dead.has(row.pos) || isAhead(known, row));
  return { kept, touched: all.filter(isTouched).map(({ consumer }) => consumer.id) };
}

async function look(queries: Queries, consumers: readonly ConsumerRow[], rows: readonly Doomed[]): Promise<Known[]> {
  const known = consumers.map((consumer) => ({
    consumer,
    out: new Map<number, { waiting: number; due_ms: number }>(),
    dead: new Set<number>(),
  }));
  const [first, last] = [rows[0]?.pos ?? 0, rows.at(-1)?.pos ?? 0];
  const byId = new Map(known.map((one) => [one.consumer.id, one]));
  for (const { list, some } of listsOf([...byId.keys()])) {
    const where = `consumer_id IN ${list} AND pos BETWEEN ? AND ?`;
    const params = [...some, first, last];
    type Out = { consumer_id: number; pos: number; waiting: number; due_ms: number };
    const out = `SELECT consumer_id, pos, waiting, due_ms FROM restante_lease WHERE ${where}`;
    for (const row of await queries.all<Out>(out, params)) byId.get(row.consumer_id)?.out.set(row.pos, row);
    const dead = `SELECT consumer_id, pos FROM restante_dead WHERE ${where}`;
    for (const row of await queries.all<Pick<Out, 'consumer_id' | 'pos'>>(dead, params))
      byId.get(row.consumer_id)?.dead.add(row.pos);
  }
  return known;
}

/** Takes what goes from a locked consumer. Contents that it had not read become its gap. */
async function tell(db: Db, queries: Queries, known: Known, going: readonly Doomed[], why: Why): Promise<void> {
  const { consumer } = known;
  const out = going.filter(({ pos }) => known.out.has(pos));
  const dead = going.filter(({ pos }) => known.dead.has(pos));
  const missed = going.filter((row) => isAhead(known, row) || known.out.has(row.pos));
  if (missed.length + dead.length === 0) return;
  for (const [table, rows] of [['restante_lease', out] as const, ['restante_dead', dead] as const])
    for (const { list, some } of listsOf(rows.map(({ pos }) => pos)))
      await queries.run(`DELETE FROM ${table} WHERE consumer_id = ? AND pos IN ${list}`, [consumer.id, ...some]);
  const { gap } = consumer;
  const ids = missed.map(({ id }) => id);
  const wider = why === 'age' &&
    missed.length > 0 && {
      from: Math.min(...ids, gap?.from ?? Number.POSITIVE_INFINITY),
      to: Math.max(...ids, gap?.to ?? 0),
      pos: Math.max(...missed.map(({ pos }) => pos), gap?.pos ?? 0),
    };
  await saveConsumer(db, queries, {
    ...consumer,
    dead: consumer.dead - dead.length,
    gap: wider || gap,
    version: consumer.version + 1,
  });
}

/** Deletes the rows themselves; resolves with how many were in tblwh. */
async function drop(db: Db, queries: Queries, ids: readonly number[]): Promise<number> {
  if (ids.length === 0) return 0;
  const some = padded(ids);
  const list = `(${marks(some.length)})`;
  type Kept = { id: number; event_key: Buffer | null; duplicate_of: number; released_from: number | null };
  const sql = `SELECT id, event_key, COALESCE(duplicate_of, 0) AS duplicate_of, released_from FROM restante_request WHERE id IN ${list}`;
  for (const { id, event_key, duplicate_of, released_from } of await queries.all<Kept>(
    `${sql} AND (event_key IS NOT NULL OR released_from IS NOT NULL)`,
    some,
  )) {
    const key = 'DELETE FROM restante_event WHERE event_key = ? AND duplicate_of = ? AND id = ?';
    if (event_key && db.dialect.eventsIn === 'restante_event') await queries.run(key, [event_key, duplicate_of, id]);
    // The refusal from which it was released has the same bytes.
    if (released_from) await queries.run('DELETE FROM restante_refusal WHERE id = ?', [released_from]);
  }
  const contents = await queries.run(`DELETE FROM tblwh WHERE id IN ${list}`, some);
  for (const table of ['restante_request', 'restante_position'])
    await queries.run(`DELETE FROM ${table} WHERE id IN ${list}`, some);
  return contents;
}

// Erasing: finds what is kept of a user, or what contains a text, part by part, and removes all of it from tables of ours.

/** Of this user, or of all users; everything, or what contains one of these texts. */
export interface Wanted {
  readonly userId: number | undefined;
  readonly texts: readonly Buffer[];
}

/** What is walked by id: contents with all that is kept of them, and refusals. */
export type Kind = 'contents' | 'refusals';

/** A condition that is true when one of the columns has one of the texts in it, byte for byte; true when there are none. */
function contains(db: Db, columns: readonly string[], { texts }: Wanted): Condition {
  if (texts.length === 0) return { sql: 'TRUE', params: [] };
  const one = columns.flatMap((column) => texts.map(() => `INSTR(${db.dialect.bytes(column)}, ?) > 0`));
  return { sql: `(${one.join(' OR ')})`, params: columns.flatMap(() => texts) };
}

interface Search {
  readonly sql: string;
  readonly columns: readonly string[];
}
// Another application may have removed a content: then its request, or its position, may be left.
const SEARCHES: Readonly<Record<Kind, readonly Search[]>> = {
  contents: [
    { sql: 'SELECT t.id FROM tblwh t WHERE t.id > ? AND t.id <= ? AND', columns: ['t.content', 't.ip'] },
    {
      sql: `SELECT r.id FROM restante_request r LEFT JOIN tblwh t ON t.id = r.id LEFT JOIN restante_position p ON p.id = r.id
        WHERE r.id > ? AND r.id <= ? AND`,
      columns: ['r.head', 'r.ip', 'r.event_id'],
    },
    { sql: 'SELECT t.id FROM restante_position t WHERE t.id > ? AND t.id <= ? AND', columns: [] },
  ],
  refusals: [
    {
      sql: 'SELECT t.id FROM restante_refusal t WHERE t.id > ? AND t.id <= ? AND',
      columns: ['t.content', 't.head', 't.ip', 't.reason'],
    },
  ],
};

/** after < id <= upTo. */
export interface Ids {
  readonly after: number;
  readonly upTo: number;
}

/** The condition on its owner, if only one user is wanted. */
const ownedBy = ({ userId }: Wanted, sql: string): Condition =>
  userId === undefined ? { sql: '', params: [] } : { sql: ` AND ${sql}`, params: [userId] };

/** Ids of what is wanted. Reads every row in the range: a short one takes less time. */
export async function findWanted(db: Db, kind: Kind, wanted: Wanted, { after, upTo }: Ids): Promise<number[]> {
  const found = new Set<number>();
  for (const { sql, columns } of SEARCHES[kind]) {
    if (columns.length === 0 && wanted.texts.length > 0) continue;
    const { sql: condition, params } = contains(db, columns, wanted);
    const owner = sql.includes(' p ON ') ? 'COALESCE(t.user_id, p.user_id)' : 't.user_id';
    const whose = ownedBy(wanted, `${owner} = ?`);
    const values = [after, upTo, ...params, ...whose.params];
    for (const { id } of await db.all<{ id: number }>(`${sql} ${condition}${whose.sql}`, values)) found.add(id);
  }
  return [...found].sort((a, b) => a - b);
}

/** The highest id that a walk has to come to. */
export async function lastId(db: Db, kind: Kind): Promise<number> {
  const upTo = kind === 'refusals' ? '' : ` WHERE id <= ${MOST_CONTENT_ID[db.kind]}`;
  const tables = kind === 'refusals' ? ['restante_refusal'] : ['tblwh', 'restante_request', 'restante_position'];
  const rows = await Promise.all(
    tables.map((table) => db.all<{ id: number | null }>(`SELECT MAX(id) AS id FROM ${table}${upTo}`)),
  );
  return Math.max(...rows.map(([row]) => row?.id ?? 0));
}

/** How many one transaction removes: the bodies may be large. */
export const MOST_ERASED = 64;

/** Removes them for good, though consumers may still be to get them; resolves with how many there were. */
export function eraseWanted(db: Db, kind: Kind, ids: readonly number[]): Promise<number> {
  if (ids.length > Math.min(MOST_ERASED, MOST_IDS)) throw new Error(`at most ${MOST_ERASED} at once`);
  return db.transaction(async (queries) => {
    if (kind === 'contents') return (await removeContents(db, queries, ids, 'wish')).contents;
    const some = padded(ids);
    return queries.run(`DELETE FROM restante_refusal WHERE id IN (${marks(some.length)})`, some);
  });
}

/** The reason that a worker gave for a nack may contain the text, too: then it is erased. */
export function eraseReasons(db: Db, wanted: Wanted): Promise<number> {
  const { sql, params } = contains(db, ['reason'], wanted);
  const whose = ownedBy(wanted, 'consumer_id IN (SELECT id FROM restante_consumer WHERE user_id = ?)');
  const values = [...params, ...whose.params];
  return db.transaction(async (queries) => {
    const leases = await queries.run(`UPDATE restante_lease SET reason = NULL WHERE ${sql}${whose.sql}`, values);
    return leases + (await queries.run(`UPDATE restante_dead SET reason = 'erased' WHERE ${sql}${whose.sql}`, values));
  });
}

/** Removes one content of a user for good; false when the user has none with this id. */
export function deleteContent(db: Db, userId: number, id: number): Promise<boolean> {
  return db.transaction(async (queries: Queries) => {
    const found = await queries.all('SELECT id FROM tblwh WHERE id = ? AND user_id = ?', [id, userId]);
    if (found.length === 0) return false;
    // Of two calls at once one finds nothing to remove.
    return (await removeContents(db, queries, [id], 'wish')).contents > 0;
  });
}

// Retention by age: which webhooks keep contents for how long, which have become old, and which process removes them.

const DAY_MS = 86_400_000;

/** Contents of these webhooks go after so many days. */
export interface Rule {
  readonly days: number;
  /** `of`: these webhooks. `but`: all others, own content too. */
  readonly which: 'of' | 'but';
  readonly whids: ReadonlySet<number>;
}

/** `days` for all webhooks but those that have their own; 0 = for ever, which is no rule. */
export async function readRules(db: Db, days: number): Promise<Rule[]> {
  const sql = `SELECT wh_id, settings FROM restante_webhook WHERE settings LIKE '%"retention_days"%' ORDER BY wh_id`;
  const byDays = new Map<number, Set<number>>();
  const own = new Set<number>();
  for (const { wh_id, settings } of await db.all<{ wh_id: number; settings: string }>(sql)) {
    const { retention_days } = JSON.parse(settings) as SettingsInput;
    if (retention_days === undefined) continue;
    own.add(wh_id);
    byDays.set(retention_days, (byDays.get(retention_days) ?? new Set()).add(wh_id));
  }
  const rules: Rule[] = [...byDays].map(([days, whids]) => ({ days, which: 'of', whids }));
  return [{ days, which: 'but' as const, whids: own }, ...rules].filter((rule) => rule.days > 0);
}

export const isUnder = (rule: Rule, whId: number): boolean => rule.whids.has(whId) === (rule.which === 'of');

/** The last position that is older than so many days at a moment. Its age counts from when the content was first seen. */
export const positionBeforeDays = (db: Db, days: number, now: number): Promise<number> =>
  positionBeforeTime(db, Math.max(0, now - days * DAY_MS));

// A count of what waits is a figure for a person: beyond this it says "more than".
export const MOST_WAITING = 100_000;

/** How many contents under a rule have after < pos <= upTo, counted up to MOST_WAITING. */
export async function countUnder(db: Db, rule: Rule, after: number, upTo: number): Promise<number> {
  let count = 0;
  for (let at = after; at < upTo && count < MOST_WAITING; ) {
    const some = await placesAfter(db, at, upTo, READ_AT_ONCE);
    count += some.filter(({ wh_id }) => isUnder(rule, wh_id)).length;
    at = some.length < READ_AT_ONCE ? upTo : (some.at(-1)?.pos ?? upTo);
  }
  return Math.min(count, MOST_WAITING);
}
const READ_AT_ONCE = 2_000;

/** What retention goes by for webhooks without days of their own. */
export interface Policy {
  /** 0 = for ever. */
  readonly days: number;
  readonly foreign: boolean;
}
const toNumber = ({ days, foreign }: Policy): number => 2 * days + (foreign ? 1 : 0);
const toPolicy = (v: number): Policy => ({ days: Math.floor(v / 2), foreign: v % 2 === 1 });

/** What was seen later than now, by a clock that was wrong then, counts as seen now: a person has said that the clock is right. */
export async function endFuture(db: Db, now: number): Promise<void> {
  let at = await positionBeforeTime(db, now + 1);
  for (let rows = READ_AT_ONCE; rows === READ_AT_ONCE; ) {
    const some = await placesAfter(db, at, Number.MAX_SAFE_INTEGER, READ_AT_ONCE);
    rows = some.length;
    const last = some.at(-1)?.pos ?? at;
    await db.run('UPDATE restante_position SET seen_ms = ? WHERE pos > ? AND pos <= ?', [now, at, last]);
    at = last;
  }
}

/** The policy that retention goes by, and the one that a service was started with; undefined before the first pass. */
export async function readPolicies(db: Db) {
  const sql = "SELECT k, v FROM restante_meta WHERE k IN ('prune_agreed', 'prune_wanted')";
  const rows = new Map((await db.all<{ k: string; v: number }>(sql)).map(({ k, v }) => [k, toPolicy(v)]));
  return { agreed: rows.get('prune_agreed'), wanted: rows.get('prune_wanted') };
}

export const savePolicy = (db: Db, which: 'agreed' | 'wanted', policy: Policy): Promise<unknown> =>
  setMeta(db, db, `prune_${which}`, toNumber(policy));

/** Contents with after < pos <= upTo. */
export const placesAfter = (db: Db, after: number, upTo: number, limit: number): Promise<Doomed[]> =>
  db.all('SELECT pos, id, user_id, wh_id FROM restante_position WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?', [
    after,
    upTo,
    limit,
  ]);

/** What became of a part of the old contents. */
export interface Pruned extends Removed {
  /** How many of the ids this transaction dealt with. */
  readonly done: number;
  /** Rows of other writers, which were left. */
  readonly foreign: number;
}

// Each content is read, to see whether it is ours, and its pages are freed: a transaction takes only a few large ones.
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Removes old contents, `MOST_IDS` at most, in one transaction: the first ones, as many as are quickly done. `foreign`: rows of
 * other writers, too. `dry`: only counts what would go.
 */
export function prune(
  db: Db,
  ids: readonly number[],
  { foreign, dry }: { readonly foreign: boolean; readonly dry: boolean },
): Promise<Pruned> {
  return db.transaction(async (queries) => {
    const some = await quicklyDone(queries, ids.slice(0, MOST_IDS));
    const others = foreign ? new Set<number>() : await ofOthers(db, queries, some);
    const own = some.filter((id) => !others.has(id));
    const told = { done: some.length, foreign: others.size };
    if (!dry) return { ...(await removeContents(db, queries, own, 'age')), ...told };
    const kept = await stillToGet(db, queries, own);
    return { contents: own.length - kept.size, kept: [...kept], ...told };
  });
}

async function quicklyDone(queries: Queries, ids: readonly number[]): Promise<readonly number[]> {
  const some = padded(ids);
  const sql = `SELECT id, size FROM restante_request WHERE id IN (${marks(some.length)})`;
  const sizes = new Map((await queries.all<{ id: number; size: number }>(sql, some)).map((row) => [row.id, row.size]));
  let left = MOST_BYTES;
  const end = ids.findIndex((id) => {
    left -= sizes.get(id) ?? 0;
    return left < 0;
  });
  return end < 0 ? ids : ids.slice(0, Math.max(1, end));
}

// A row is ours when the size and CRC that we stored still fit: another application may have emptied the table since.
const OTHER = {
  mysql: 'r.size <> LENGTH(t.content) OR r.crc <> CRC32(CAST(t.content AS BINARY))',
  sqlite: 'r.size <> LENGTH(CAST(t.content AS BLOB))',
} as const;

/** Contents that another program has inserted into tblwh. */
async function ofOthers(db: Db, queries: Queries, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  const some = padded(ids);
  const sql = `SELECT t.id FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id
    WHERE t.id IN (${marks(some.length)}) AND (r.id IS NULL OR ${OTHER[db.kind]})`;
  return new Set((await queries.all<{ id: number }>(sql, some)).map(({ id }) => id));
}

/**
 * Takes the turn: one process at a time removes old contents. `held` is what the last call resolved with, 0 at first; the turn
 * lasts `ms` from now. Undefined: another process has it.
 */
export async function takeTurn(db: Db, held: number, ms: number): Promise<number | undefined> {
  const sql = `SELECT (SELECT v FROM restante_meta WHERE k = 'pruning') AS v, ${lastingMs(db)} AS now`;
  try {
    return await db.transaction(async (queries) => {
      const [row] = await queries.all<{ v: number | null; now: number }>(sql);
      const { v = null, now = 0 } = row ?? {};
      const until = now + ms;
      if (v === null) await queries.insert('restante_meta', ['k', 'v'], [['pruning', until]]);
      // Two processes that ask at once read the same value; only the first finds it unchanged.
      else if ((v !== held && v > now) || (await moveTurn(queries, v, until)) === 0) return undefined;
      return until;
    });
  } catch (error) {
    if (failed(error, 'duplicate')) return undefined;
    throw error;
  }
}

/** Ends a turn before its time. */
export const endTurn = (db: Db, held: number): Promise<number> =>
  db.transaction((queries) => moveTurn(queries, held, 0));

const moveTurn = (queries: Queries, from: number, to: number): Promise<number> =>
  queries.run("UPDATE restante_meta SET v = ? WHERE k = 'pruning' AND v = ?", [to, from]);
