// Removes contents for good, with all that is kept of them and all that points at them, and tells the consumers what they miss.
import { type Consumer, consumersOf, lockConsumer, saveConsumer } from './consumers.ts';
import { type Db, marks, padded, type Queries } from './db.ts';
import type { Row } from './fence.ts';

/**
 * `age`: what somebody is still to get stays, and who has not read what goes is told. `wish`: all of it goes, for the one it
 * belongs to wants it so.
 */
export type Why = 'age' | 'wish';

interface Doomed extends Row {
  readonly pos: number;
}
export interface Removed {
  /** Rows of tblwh. */
  readonly contents: number;
  /** Contents that somebody is still to get. */
  readonly kept: readonly number[];
}

/** Ids of one call: one statement each, and a transaction that nobody waits long for. */
export const MOST_IDS = 512;
// A consumer that has pulled within a week will come for what lies ahead of it.
const IN_USE_MS = 7 * 86_400_000;

/** Removes contents by their ids, `MOST_IDS` at most, inside the caller's transaction. */
export async function removeContents(db: Db, queries: Queries, ids: readonly number[], why: Why): Promise<Removed> {
  if (ids.length === 0) return { contents: 0, kept: [] };
  const places = await placesOf(db, queries, ids);
  const { kept, touched } = await concerned(db, queries, places, why);
  const locked: Known[] = [];
  // In one order, so that two who remove wait for each other and not both.
  for (const id of touched) {
    const one = await lockConsumer(db, queries, id);
    const known = one && (await look(queries, [one.consumer], places))[0];
    if (!known) continue;
    locked.push(known);
    // It may have come back, or taken what it had not, before it was locked.
    if (why === 'age') for (const place of places) if (isKept(known, place, one.now)) kept.add(place.id);
  }
  const going = places.filter(({ id }) => !kept.has(id));
  for (const known of locked) await tell(db, queries, known, going, why);
  const contents = await drop(
    db,
    queries,
    ids.filter((id) => !kept.has(id)),
  );
  return { contents, kept: [...kept] };
}

/** Of these contents the ones that somebody is still to get, as it looks now. */
export async function stillToGet(db: Db, queries: Queries, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  return (await concerned(db, queries, await readPlaces(queries, ids), 'age')).kept;
}

/** One without a place may be about to get it: then whoever gives them is waited for, or the place would outlive the content. */
async function placesOf(db: Db, queries: Queries, ids: readonly number[]): Promise<Doomed[]> {
  const places = await readPlaces(queries, ids);
  if (places.length === ids.length || db.kind === 'sqlite') return places;
  await queries.all(`SELECT v FROM restante_meta WHERE k = 'seq'${db.dialect.forUpdate}`);
  return readPlaces(queries, ids);
}
function readPlaces(queries: Queries, ids: readonly number[]): Promise<Doomed[]> {
  const some = padded(ids);
  const sql = `SELECT pos, id, user_id, wh_id FROM restante_position WHERE id IN (${marks(some.length)}) ORDER BY pos`;
  return queries.all<Doomed>(sql, some);
}

/** A consumer, and what it has of some contents. */
interface Known {
  readonly consumer: Consumer;
  readonly out: ReadonlyMap<number, { readonly waiting: number; readonly due_ms: number }>;
  readonly dead: ReadonlySet<number>;
}

const isAhead = ({ consumer: { user_id, whids, cursor_pos } }: Known, { pos, ...place }: Doomed): boolean =>
  pos > cursor_pos && place.user_id === user_id && (!whids || whids.includes(place.wh_id));

/** In somebody's hand; or ahead of a consumer, or given back by it, that still comes. */
function isKept(known: Known, place: Doomed, now: number): boolean {
  const { pulled_ms, created_ms } = known.consumer;
  const out = known.out.get(place.pos);
  if (out && out.waiting === 0 && out.due_ms > now) return true;
  return Math.max(pulled_ms, created_ms) > now - IN_USE_MS && (out !== undefined || isAhead(known, place));
}

/** What is kept of `places`, and the consumers for which the rest is not past, in the order in which they are locked. */
async function concerned(
  db: Db,
  queries: Queries,
  places: readonly Doomed[],
  why: Why,
): Promise<{ kept: Set<number>; touched: number[] }> {
  const kept = new Set<number>();
  const users = [...new Set(places.map(({ user_id }) => user_id))];
  if (users.length === 0) return { kept, touched: [] };
  const { consumers, now } = await consumersOf(db, queries, users);
  const all = await look(queries, consumers, places);
  if (why === 'age')
    for (const known of all) for (const place of places) if (isKept(known, place, now)) kept.add(place.id);
  const going = places.filter(({ id }) => !kept.has(id));
  const isTouched = (known: Known) =>
    going.some((place) => known.out.has(place.pos) || known.dead.has(place.pos) || isAhead(known, place));
  return { kept, touched: all.filter(isTouched).map(({ consumer }) => consumer.id) };
}

async function look(queries: Queries, consumers: readonly Consumer[], places: readonly Doomed[]): Promise<Known[]> {
  const known = consumers.map((consumer) => ({
    consumer,
    out: new Map<number, { waiting: number; due_ms: number }>(),
    dead: new Set<number>(),
  }));
  const [first, last] = [places[0]?.pos ?? 0, places.at(-1)?.pos ?? 0];
  for (let from = 0; from < known.length; from += MOST_IDS) {
    const byId = new Map(known.slice(from, from + MOST_IDS).map((one) => [one.consumer.id, one]));
    const ids = padded([...byId.keys()]);
    const where = `consumer_id IN (${marks(ids.length)}) AND pos BETWEEN ? AND ?`;
    type Out = { consumer_id: number; pos: number; waiting: number; due_ms: number };
    const out = `SELECT consumer_id, pos, waiting, due_ms FROM restante_lease WHERE ${where}`;
    for (const row of await queries.all<Out>(out, [...ids, first, last]))
      byId.get(row.consumer_id)?.out.set(row.pos, row);
    const dead = `SELECT consumer_id, pos FROM restante_dead WHERE ${where}`;
    for (const row of await queries.all<Pick<Out, 'consumer_id' | 'pos'>>(dead, [...ids, first, last]))
      byId.get(row.consumer_id)?.dead.add(row.pos);
  }
  return known;
}

/** Takes what goes from a locked consumer; what it had not read of that is its gap. */
async function tell(db: Db, queries: Queries, known: Known, going: readonly Doomed[], why: Why): Promise<void> {
  const { consumer } = known;
  const out = going.filter(({ pos }) => known.out.has(pos));
  const dead = going.filter(({ pos }) => known.dead.has(pos));
  const missed = going.filter((place) => isAhead(known, place) || known.out.has(place.pos));
  if (missed.length + dead.length === 0) return;
  for (const [table, places] of [['restante_lease', out] as const, ['restante_dead', dead] as const]) {
    if (places.length === 0) continue;
    const some = padded(places.map(({ pos }) => pos));
    const sql = `DELETE FROM ${table} WHERE consumer_id = ? AND pos IN (${marks(some.length)})`;
    await queries.run(sql, [consumer.id, ...some]);
  }
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

/** Takes the rows themselves; resolves with how many were in tblwh. */
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
    if (event_key && db.kind === 'sqlite') await queries.run(key, [event_key, duplicate_of, id]);
    // A refusal that was released has the same bytes.
    if (released_from) await queries.run('DELETE FROM restante_refusal WHERE id = ?', [released_from]);
  }
  const contents = await queries.run(`DELETE FROM tblwh WHERE id IN ${list}`, some);
  for (const table of ['restante_request', 'restante_position'])
    await queries.run(`DELETE FROM ${table} WHERE id IN ${list}`, some);
  return contents;
}
