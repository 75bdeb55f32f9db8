// The rules of leases: whose ack counts, what is given back, what is given up. Knows no SQL.
import type { Consumer, Locked } from '../store/consumers.ts';
import type { Change, LeaseRows } from '../store/leases.ts';
import type { Place } from '../store/places.ts';
import type { Lease } from './leasestring.ts';

/** Why an id could not be acked, given back or extended. */
type Reason =
  | 'leased-anew'
  | 'waiting'
  | 'dead'
  | 'not-handed-out'
  | 'other-consumer'
  | 'not-found'
  | 'not-dead'
  | 'in-hand';
export interface Conflict {
  readonly id: number;
  readonly reason: Reason;
}
export interface Done {
  readonly done: readonly number[];
  readonly conflicts: readonly Conflict[];
}

/** The earlier of two moments, of which 0 is none. */
export const sooner = (a: number, b: number): number => (a === 0 || b === 0 ? a + b : Math.min(a, b));
export const posOf = ({ pos }: Place): number => pos;
const GIVEN_UP = 'A worker gave it up.';
export const NOT_ACKED = 'No worker acked it in all its attempts.';

/** What a call names: the places of the lease, or some of them, and ids that the lease does not cover. */
interface Named {
  readonly places: readonly Place[];
  readonly strangers: readonly number[];
}
function named({ places }: Lease, ids: readonly number[] | undefined): Named {
  if (!ids) return { places, strangers: [] };
  const wanted = new Set(ids);
  const covered = places.filter(({ id }) => wanted.has(id));
  for (const { id } of covered) wanted.delete(id);
  return { places: covered, strangers: [...wanted] };
}

/** How it stands with contents that the caller does not have in hand: acked by whomever is done. */
async function judge(rows: LeaseRows, consumer: Consumer, places: readonly Place[]): Promise<Done> {
  const out = new Map((await rows.at(places.map(posOf))).map((row) => [row.pos, row]));
  const dead = new Set(await rows.dead(places.map(posOf)));
  const reasonOf = ({ pos }: Place): Reason | undefined => {
    const row = out.get(pos);
    if (row) return row.waiting ? 'waiting' : 'leased-anew';
    return dead.has(pos) ? 'dead' : pos > consumer.cursor_pos ? 'not-handed-out' : undefined;
  };
  const judged = places.map((place) => ({ id: place.id, reason: reasonOf(place) }));
  const conflicts = judged.filter((one): one is Conflict => one.reason !== undefined);
  return { done: judged.filter(({ reason }) => !reason).map(({ id }) => id), conflicts };
}

/** Ids that the lease does not cover: perhaps acked long ago. */
async function judgeStrangers(rows: LeaseRows, consumer: Consumer, ids: readonly number[]): Promise<Done> {
  if (ids.length === 0) return { done: [], conflicts: [] };
  const { whids, start_pos } = consumer;
  const read = (await rows.places(ids)).filter(
    ({ pos, wh_id }) => pos > start_pos && (!whids || whids.includes(wh_id)),
  );
  const known = new Set(read.map(({ id }) => id));
  const judged = await judge(rows, consumer, read);
  const unknown = ids.filter((id) => !known.has(id)).map((id) => ({ id, reason: 'not-handed-out' as const }));
  return { done: judged.done, conflicts: [...judged.conflicts, ...unknown] };
}
const both = (a: Done, b: Done): Done => ({
  done: [...a.done, ...b.done],
  conflicts: [...a.conflicts, ...b.conflicts],
});
const ofAnother = (lease: Lease, ids: readonly number[] | undefined): Done => ({
  done: [],
  conflicts: (ids ?? lease.places.map(({ id }) => id)).map((id) => ({ id, reason: 'other-consumer' })),
});

/** `removed`: how many of them were out. */
export interface Acked extends Done {
  readonly removed: number;
}

/** Takes contents off the list for good. */
export async function ack(
  rows: LeaseRows,
  { consumer }: Locked,
  lease: Lease,
  ids?: readonly number[],
): Promise<Change<Acked>> {
  if (lease.consumerId !== consumer.id) return { consumer, result: { ...ofAnother(lease, ids), removed: 0 } };
  const { places, strangers } = named(lease, ids);
  const [first, last] = [places[0], places.at(-1)];
  const removed =
    !first || !last
      ? 0
      : places === lease.places
        ? await rows.removeRange(lease.token, first.pos, last.pos)
        : await rows.remove(lease.token, places.map(posOf));
  const mine =
    removed === places.length
      ? { done: places.map(({ id }) => id), conflicts: [] }
      : await judge(rows, consumer, places);
  const result = { ...both(mine, await judgeStrangers(rows, consumer, strangers)), removed };
  const passed = consumer.gap && new Set(mine.done);
  const read = passed && places.some(({ pos, id }) => pos > (consumer.gap?.pos ?? 0) && passed.has(id));
  if (removed === 0 && !read) return { consumer, result };
  return { consumer: { ...consumer, gap: read ? null : consumer.gap }, result };
}

export interface Nack {
  readonly delayMs: number;
  readonly dead: boolean;
  /** They were only in hand: that was no attempt. */
  readonly untried?: boolean;
  readonly reason: string | null;
}

/** Gives contents back: they are handed out again after `delayMs`, or given up when they had all their attempts. */
export async function nack(
  rows: LeaseRows,
  { consumer, now }: Locked,
  lease: Lease,
  ids: readonly number[] | undefined,
  { delayMs, dead, untried = false, reason }: Nack,
): Promise<Change<Done>> {
  if (lease.consumerId !== consumer.id) return { consumer, result: ofAnother(lease, ids) };
  const { places, strangers } = named(lease, ids);
  const own = (await rows.at(places.map(posOf))).filter(({ token }) => token === lease.token);
  const held = own.filter(({ waiting }) => !waiting).sort((a, b) => a.pos - b.pos);
  const due = now + delayMs;
  // In order, whoever fails at one has not come to those behind it.
  const failed = dead ? own : consumer.ordered ? held.slice(0, 1) : held;
  const behind = !dead && consumer.ordered && held[0] ? (await rows.ofLease(lease.token, held[0].pos)).slice(1) : [];
  const isSpent = ({ attempt }: { attempt: number }) => dead || (!untried && attempt >= consumer.max_attempts);
  const spent = failed.filter(isSpent);
  const back = failed.filter((one) => !isSpent(one));
  await rows.bury(spent.map(posOf), reason, dead ? GIVEN_UP : NOT_ACKED, now);
  await rows.giveBack(back.map(posOf), { due, refund: untried ? 1 : 0, reason });
  await rows.giveBack(behind.map(posOf), { due, refund: 1 });
  const mine = new Set(own.map(posOf));
  const judged = await judge(
    rows,
    consumer,
    places.filter(({ pos }) => !mine.has(pos)),
  );
  const result = both(
    { done: own.map(({ id }) => id), conflicts: [] },
    both(judged, await judgeStrangers(rows, consumer, strangers)),
  );
  if (spent.length + back.length + behind.length === 0) return { consumer, result };
  const next_due_ms = back.length + behind.length > 0 ? sooner(consumer.next_due_ms, due) : consumer.next_due_ms;
  return { consumer: { ...consumer, next_due_ms, dead: consumer.dead + spent.length }, result };
}

/** Keeps contents in hand for longer, counted from now. */
export async function extend(
  rows: LeaseRows,
  { consumer, now }: Locked,
  lease: Lease,
  ids: readonly number[] | undefined,
  leaseMs: number,
): Promise<Change<Done & { readonly due: number }>> {
  const due = now + leaseMs;
  if (lease.consumerId !== consumer.id) return { consumer, result: { ...ofAnother(lease, ids), due } };
  const { places, strangers } = named(lease, ids);
  const own = (await rows.at(places.map(posOf))).filter(({ token, waiting }) => token === lease.token && !waiting);
  const mine = new Set(own.map(posOf));
  await rows.extend([...mine], due);
  const judged = await judge(
    rows,
    consumer,
    places.filter(({ pos }) => !mine.has(pos)),
  );
  const done = both(
    { done: own.map(({ id }) => id), conflicts: [] },
    both(judged, await judgeStrangers(rows, consumer, strangers)),
  );
  const result = { ...done, due };
  return own.length === 0
    ? { consumer, result }
    : { consumer: { ...consumer, next_due_ms: sooner(consumer.next_due_ms, due) }, result };
}
