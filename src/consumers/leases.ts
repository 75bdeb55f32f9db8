// The rules of leases: whose ack counts, what is given back, what is given up. Knows no SQL.
import type { Position } from '../store/backlog.ts';
import type { ConsumerRow, Locked } from '../store/consumers.ts';
import type { Change, LeaseRow, LeaseRows } from '../store/leases.ts';
import type { Lease } from './lease-token.ts';

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
export const posOf = ({ pos }: Position): number => pos;
const GIVEN_UP = 'A worker gave it up.';
const NOT_ACKED = 'No worker acked it in all its attempts.';

/** What a call names: the positions of the lease, or some of them, and ids that the lease does not cover. */
interface Named {
  readonly positions: readonly Position[];
  readonly strangers: readonly number[];
}
function named({ positions }: Lease, ids: readonly number[] | undefined): Named {
  if (!ids) return { positions, strangers: [] };
  const wanted = new Set(ids);
  const covered = positions.filter(({ id }) => wanted.has(id));
  for (const { id } of covered) wanted.delete(id);
  return { positions: covered, strangers: [...wanted] };
}

/** What became of contents that the caller does not have in hand. Those that any worker has acked are done. */
async function settle(rows: LeaseRows, consumer: ConsumerRow, positions: readonly Position[]): Promise<Done> {
  const out = new Map((await rows.at(positions.map(posOf))).map((row) => [row.pos, row]));
  const dead = new Set(await rows.dead(positions.map(posOf)));
  const reasonOf = ({ pos }: Position): Reason | undefined => {
    const row = out.get(pos);
    if (row) return row.waiting ? 'waiting' : 'leased-anew';
    return dead.has(pos) ? 'dead' : pos > consumer.cursor_pos ? 'not-handed-out' : undefined;
  };
  const judged = positions.map((one) => ({ id: one.id, reason: reasonOf(one) }));
  const conflicts = judged.filter((one): one is Conflict => one.reason !== undefined);
  return { done: judged.filter(({ reason }) => !reason).map(({ id }) => id), conflicts };
}

/** Ids that the lease does not cover: perhaps acked long ago. */
async function judgeStrangers(rows: LeaseRows, consumer: ConsumerRow, ids: readonly number[]): Promise<Done> {
  if (ids.length === 0) return { done: [], conflicts: [] };
  const { whids, start_pos } = consumer;
  const read = (await rows.positionsOf(ids)).filter(
    ({ pos, wh_id }) => pos > start_pos && (!whids || whids.includes(wh_id)),
  );
  const known = new Set(read.map(({ id }) => id));
  const judged = await settle(rows, consumer, read);
  const unknown = ids.filter((id) => !known.has(id)).map((id) => ({ id, reason: 'not-handed-out' as const }));
  return { done: judged.done, conflicts: [...judged.conflicts, ...unknown] };
}

/** What became of all that a call names: `own` it has just dealt with. */
async function outcome(
  rows: LeaseRows,
  consumer: ConsumerRow,
  { positions, strangers }: Named,
  own: readonly Position[],
): Promise<Done> {
  const mine = new Set(own.map(posOf));
  const others = positions.filter(({ pos }) => !mine.has(pos));
  const judged = [await settle(rows, consumer, others), await judgeStrangers(rows, consumer, strangers)];
  return {
    done: [...own.map(({ id }) => id), ...judged.flatMap(({ done }) => done)],
    conflicts: judged.flatMap(({ conflicts }) => conflicts),
  };
}
const ofAnother = (lease: Lease, ids: readonly number[] | undefined): Done => ({
  done: [],
  conflicts: (ids ?? lease.positions.map(({ id }) => id)).map((id) => ({ id, reason: 'other-consumer' })),
});

/** Takes contents off the list for good. `removed`: how many of them were out. */
export async function ack(
  rows: LeaseRows,
  { consumer }: Locked,
  lease: Lease,
  ids?: readonly number[],
): Promise<Change<Done & { readonly removed: number }>> {
  if (lease.consumerId !== consumer.id) return { consumer, result: { ...ofAnother(lease, ids), removed: 0 } };
  const call = named(lease, ids);
  const { positions } = call;
  const [first, last] = [positions[0], positions.at(-1)];
  const removed =
    !first || !last
      ? 0
      : positions === lease.positions
        ? await rows.removeRange(lease.token, first.pos, last.pos)
        : await rows.remove(lease.token, positions.map(posOf));
  const result = { ...(await outcome(rows, consumer, call, removed === positions.length ? positions : [])), removed };
  const passed = consumer.gap && new Set(result.done);
  const read = passed && positions.some(({ pos, id }) => pos > (consumer.gap?.pos ?? 0) && passed.has(id));
  if (removed === 0 && !read) return { consumer, result };
  return { consumer: { ...consumer, gap: read ? null : consumer.gap }, result };
}

export interface Nack {
  readonly delayMs: number;
  readonly dead: boolean;
  /** The worker had them in hand and tried none: that was no attempt. */
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
  const call = named(lease, ids);
  const own = (await rows.at(call.positions.map(posOf))).filter(({ token }) => token === lease.token);
  const held = own.filter(({ waiting }) => !waiting).sort((a, b) => a.pos - b.pos);
  const due = now + delayMs;
  // In order, a worker that fails at one has not come to those behind it.
  const failed = dead ? own : consumer.ordered ? held.slice(0, 1) : held;
  const behind = !dead && consumer.ordered && held[0] ? (await rows.ofLease(lease.token, held[0].pos)).slice(1) : [];
  const isSpent = ({ attempt }: { attempt: number }) => dead || (!untried && attempt >= consumer.max_attempts);
  const spent = failed.filter(isSpent);
  const back = failed.filter((one) => !isSpent(one));
  await rows.bury(spent.map(posOf), reason, dead ? GIVEN_UP : NOT_ACKED, now);
  await rows.giveBack(back.map(posOf), { due, refund: untried ? 1 : 0, reason });
  await rows.giveBack(behind.map(posOf), { due, refund: 1 });
  const result = await outcome(rows, consumer, call, own);
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
  const call = named(lease, ids);
  const found = await rows.at(call.positions.map(posOf));
  const own = found.filter(({ token, waiting }) => token === lease.token && !waiting);
  await rows.extend(own.map(posOf), due);
  const result = { ...(await outcome(rows, consumer, call, own)), due };
  return own.length === 0
    ? { consumer, result }
    : { consumer: { ...consumer, next_due_ms: sooner(consumer.next_due_ms, due) }, result };
}

// What a consumer gets next: first what is due again, then what is new.

interface ClaimOptions {
  readonly limit: number;
  readonly leaseMs: number;
  readonly token: number;
}
export interface Handed extends Position {
  readonly attempt: number;
}
export interface Claim {
  readonly handed: readonly Handed[];
  readonly due: number;
  /** Nothing more can be handed out at or below this position; Infinity: nothing at all before something changes. */
  readonly emptyUpTo: number;
  /** When the next one was seen; null: there is none. Undefined: not known. */
  readonly next_ms: number | null | undefined;
}

/** Hands out what is due, then what is new. */
export async function claim(rows: LeaseRows, locked: Locked, options: ClaimOptions): Promise<Change<Claim>> {
  const { consumer, now, head } = locked;
  const lease = { token: options.token, due: now + options.leaseMs };
  const out = consumer.next_due_ms > 0 && (consumer.ordered || consumer.next_due_ms <= now);
  const again = out ? await takeAgain(rows, locked, options.limit, lease) : NOTHING;
  const handed: Handed[] = [...again.handed];
  let { cursor_pos, cursor_id } = consumer;
  let next_ms: number | null | undefined;
  let emptyUpTo = again.blockedUntil > 0 ? Number.POSITIVE_INFINITY : -1;
  const rest = options.limit - handed.length;
  if (again.blockedUntil === 0 && !again.more && rest > 0) {
    const { positions, upTo, ...next } = await rows.fresh(head, rest);
    next_ms = next.next_ms;
    const last = positions.at(-1);
    if (last) await rows.handOut(cursor_pos, last.pos, lease);
    for (const { pos, id } of positions) handed.push({ pos, id, attempt: 1 });
    cursor_pos = Math.max(cursor_pos, upTo);
    cursor_id = last?.id ?? cursor_id;
    if ((positions.length < rest && cursor_pos >= head) || next_ms === null) emptyUpTo = cursor_pos;
  }
  if (consumer.ordered && handed.length > 0) emptyUpTo = Number.POSITIVE_INFINITY;
  const result = { handed, due: lease.due, emptyUpTo, next_ms };
  const next_due_ms = out
    ? again.blockedUntil || (await rows.nextDue())
    : sooner(consumer.next_due_ms, handed.length > 0 ? lease.due : 0);
  const next = { ...consumer, cursor_pos, cursor_id, next_due_ms, dead: consumer.dead + again.buried, pulled_ms: now };
  if (handed.length > 0 || again.buried > 0 || next_due_ms !== consumer.next_due_ms) return { consumer: next, result };
  const much = cursor_pos - consumer.cursor_pos > FAR || now - consumer.pulled_ms > USED_MS;
  return much ? { consumer: next, result, quiet: true } : { consumer, result };
}

// A pull that finds nothing stores how far it has looked after so many positions, and that its consumer is in use after so long.
const FAR = 1_000;
export const USED_MS = 3_600_000;

interface Again {
  readonly handed: readonly Handed[];
  readonly buried: number;
  /** Until then an ordered consumer hands out nothing: a content is still in hand, or is not due yet. */
  readonly blockedUntil: number;
  readonly more: boolean;
}
const NOTHING: Again = { handed: [], buried: 0, blockedUntil: 0, more: false };
// Each round replaces dead letters by what comes next; a pull that meets thousands of them leaves some to the next one.
const ROUNDS = 20;

/** Takes what is due. A content that had all its attempts becomes a dead letter, and the next one is taken instead. */
async function takeAgain(
  rows: LeaseRows,
  { consumer, now }: Locked,
  limit: number,
  lease: { token: number; due: number },
): Promise<Again> {
  const { ordered, max_attempts } = consumer;
  const held = ordered ? await rows.heldUntil(now) : 0;
  if (held > 0) return { ...NOTHING, blockedUntil: held };
  const handed: Handed[] = [];
  let buried = 0;
  let charged = false;
  let after = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const room = limit - handed.length;
    const found = ordered ? await rows.lowest(after, room) : await rows.due(now, room);
    const early = found.findIndex(({ due_ms }) => due_ms > now);
    const due = early < 0 ? found : found.slice(0, early);
    // In order, a worker failed at the first of its lease and never came to those behind it: they are not charged.
    const free = new Set<number>();
    for (const row of due) {
      if (ordered && charged && !row.waiting) free.add(row.pos);
      charged ||= !row.waiting;
    }
    const attempts = ({ pos, attempt }: LeaseRow) => (free.has(pos) ? attempt - 1 : attempt);
    const taken = due.filter((row) => attempts(row) < max_attempts);
    const spent = due.filter((row) => attempts(row) >= max_attempts).map(posOf);
    await rows.bury(spent, null, NOT_ACKED, now);
    await rows.handAgain(taken.filter(({ pos }) => !free.has(pos)).map(posOf), lease, true);
    await rows.handAgain(taken.filter(({ pos }) => free.has(pos)).map(posOf), lease, false);
    for (const row of taken) handed.push({ pos: row.pos, id: row.id, attempt: attempts(row) + 1 });
    buried += spent.length;
    after = due.at(-1)?.pos ?? after;
    const next = found[early]?.due_ms;
    if (next) return { handed, buried, blockedUntil: handed.length > 0 ? sooner(next, lease.due) : next, more: false };
    if (found.length < room || handed.length === limit) return { handed, buried, blockedUntil: 0, more: false };
  }
  return { handed, buried, blockedUntil: 0, more: true };
}

/** Contents that did not fit into an answer wait for the next pull, as if they had not been handed out. */
export async function giveBack(
  rows: LeaseRows,
  { consumer, now }: Locked,
  token: number,
  positions: readonly number[],
): Promise<Change<void>> {
  const mine = (await rows.at(positions)).filter((row) => row.token === token && !row.waiting).map(posOf);
  if (mine.length === 0) return { consumer, result: undefined };
  // Token 0: no caller has got it, so no caller may ack it.
  await rows.giveBack(mine, { due: now, refund: 1, token: 0 });
  return { consumer: { ...consumer, next_due_ms: sooner(consumer.next_due_ms, now) }, result: undefined };
}

/** Contents that were found to be gone, or to be skipped duplicates, before they were claimed. */
export interface Unneeded {
  /** The consumer as it was when that was found. */
  readonly of: ConsumerRow;
  /** Positions of what is due again. */
  readonly due: readonly number[];
  /** No new content from the cursor of `of` up to here is needed; 0: nothing is known of new contents. */
  readonly upTo: number;
}

/** Closes contents that are not needed, as if they had been acked; unless the consumer's settings have changed meanwhile. */
export async function passOver(
  rows: LeaseRows,
  { consumer, now }: Locked,
  { of, due, upTo }: Unneeded,
): Promise<Change<void>> {
  const same = consumer.duplicates === of.duplicates && String(consumer.whids) === String(of.whids);
  const removed = same && due.length > 0 ? await rows.removeDue(now, due) : 0;
  // A seek may have moved the cursor back: what lies between it and the one of then was not looked at.
  const passes = same && of.cursor_pos <= consumer.cursor_pos && consumer.cursor_pos < upTo;
  if (removed === 0 && !passes) return { consumer, result: undefined };
  return { consumer: { ...consumer, cursor_pos: passes ? upTo : consumer.cursor_pos }, result: undefined };
}
