// A pull: acks, then hands out contents, or waits for them without asking the database anything.
//
// A pull is a machine. Its states are the functions below, each of which names the one that follows:
//   deciding   looks at the session, asks no database, and picks parked, claiming, searching or answering
//   parked     nothing can be handed out now: waits for a content, for the end of a lease, or for the end of its time
//   claiming   in its turn, one transaction: commits the ack, then leases what comes next
//   searching  in its turn: the next contents were gone, or skipped duplicates; looks for the first content that is neither, and
//              moves the cursor there without leasing the contents before it
//   reading    reads the bodies of what was leased, and gives back what does not fit
//   pausing    something may have come and cannot be leased yet: claims again a moment later
//   answering  tells that there is no item, and how many wait; `unfinished`: these could not be reached in time
// It begins by deciding; reading with items, or answering, ends it.
//
// What always holds:
// * The ack is committed before anything else is done, and only once. A pull that brings one stays in the lane until its turn,
//   or gets a 503: an answer would say that the ack was done. Every other pull leaves the lane when its time is over.
// * A pull answers within `wait` and 250 ms, as long as one statement of the database takes no longer than usual. No state
//   begins another search after 100 ms of these, or waits in the lane after 200. An unfinished answer has `poll_after_ms` 0.
// * Each search moves the cursor. An unfinished pull leaves it there, and the next pull goes on from it.
// * A leased content is in the answer, or was given back (surplus, a caller that is gone) or removed (gone, skipped). Where that
//   fails, the lease ends by itself. So a content is never lost, and one worker at a time has it.
// * A woken waiter wakes the next after its transaction and at its end, even if it failed: else the others would stay asleep while
//   contents wait.
// * A pull whose caller is gone leases nothing. One that is `closing` ends as if its time were over.
// What may never happen: a wait or the read of a body inside a transaction (all pulls and acks of the consumer wait behind it); and
// a state that comes back to itself without having looked at the clock.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { notFound } from '../errors.ts';
import type { Cancellation } from '../reading/tail.ts';
import { type Backlog, headOf, MOST_COUNTED, nextPositions, type Position, readBacklog } from '../store/backlog.ts';
import type { ConsumerRow, Gap, Locked } from '../store/consumers.ts';
import { type ContentRow, contentsThere, listByIds } from '../store/contents.ts';
import { movedOn, termOf } from '../store/db.ts';
import { changeConsumer, type LeaseRows, leaseRows } from '../store/leases.ts';
import type { Store } from '../store/open.ts';
import { encodeLease, type Lease, TOKEN_BYTES } from './lease-token.ts';
import {
  ack,
  type Claim,
  type Conflict,
  claim,
  giveBack,
  type Handed,
  passOver,
  posOf,
  type Unneeded,
} from './leases.ts';
import type { Start } from './seek.ts';
import { carriedOf, inLane, type Session, type Sessions } from './sessions.ts';

/** What waits for a consumer, and what it has in hand. */
export interface ConsumerState {
  /** How many wait to be handed out: exact up to 1,000; then 1,000 and `backlog_more`. */
  readonly backlog: number;
  readonly backlog_more: boolean;
  readonly oldest_age_s: number | null;
  readonly in_flight: number;
  readonly dead: number;
}

export interface PullOptions {
  readonly limit: number;
  readonly waitMs: number;
  readonly leaseSeconds?: number | undefined;
  /** Where the consumer begins, if this pull makes it. */
  readonly start?: Start | undefined;
  readonly ack?: { readonly lease: Lease; readonly ids?: readonly number[] | undefined } | undefined;
}

export interface Pulled {
  /** Null when there is no item. */
  readonly lease: string | null;
  readonly items: readonly Item[];
  /** When the lease ends, by the database's clock as it is now. */
  readonly due: number;
  readonly conflicts: readonly Conflict[];
  readonly gap: Gap | null;
  readonly state: ConsumerState;
  readonly pollAfterMs: number;
}

interface PullParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly maxPageBytes: number;
  /** Makes a consumer with default settings. */
  readonly make: (userId: number, name: string, start: Start | undefined) => Promise<unknown>;
}

// A caller that does not wait is asked to come back after this when there was nothing.
const COME_BACK_MS = 1_000;
// Beyond `wait`: so long a pull searches on, and so long it waits in the lane. The last statements need the rest of the 250 ms.
const SEARCH_MS = 100;
const LANE_MS = 200;
// A search begins with few contents, for one duplicate seldom comes with many, and looks at more while none of them is needed.
const FIRST_SEARCHED = 16;
const SEARCHED_MORE = 4;
// Something may have come, but cannot be had yet: a lease ends this very moment, or the looks for new contents fail.
const AGAIN_MS = 20;
const MOST_AGAIN_MS = 500;
const MOST_ITEMS = 500;

/** `wall`: the clock's time now. */
export function stateOf(backlog: Backlog, { dead }: ConsumerRow, wall: number): ConsumerState {
  const waiting = backlog.ahead + backlog.back;
  return {
    backlog: Math.min(waiting, MOST_COUNTED),
    backlog_more: backlog.more || waiting > MOST_COUNTED,
    oldest_age_s: backlog.oldest_ms === null ? null : Math.max(0, Math.floor((wall - backlog.oldest_ms) / 1000)),
    in_flight: backlog.in_flight,
    dead,
  };
}

export const deleted = (name: string) =>
  notFound(`You have no consumer ${name}. A pull makes it, or PUT /consumers/${name}.`);
const newToken = (): number => randomBytes(TOKEN_BYTES).readUIntBE(0, TOKEN_BYTES);

type Pull = (userId: number, name: string, options: PullOptions, ended: Cancellation) => Promise<Pulled>;

/** One pull on its way. */
interface Call {
  readonly session: Session;
  readonly options: PullOptions;
  readonly ended: Cancellation;
  /** When its time is over. */
  readonly until: number;
  /** Of the ack that came with the pull; undefined until the ack is committed. */
  conflicts: readonly Conflict[] | undefined;
  /** It was woken, and has not woken the next waiter yet. */
  woken: boolean;
  pauseMs: number;
}

interface Turn {
  /** In which term of the database it was claimed: its contents must be read in the same. */
  readonly term: number;
  readonly consumer: ConsumerRow;
  readonly token: number;
  readonly claimed: Claim | undefined;
  /** When the lease ends, by the clock. */
  readonly due: number;
  readonly conflicts: readonly Conflict[];
  /** The backlog now, where it need not be counted. */
  readonly backlog: Backlog | undefined;
}

type Next = PullState | Pulled;
type PullState = (call: Call) => Next | Promise<Next>;

const lost = ({ ended }: Call): boolean => ended.aborted && ended.reason !== 'closing';
const left = ({ until }: Call, more = 0): number => until + more - performance.now();

/** `ended` is aborted when the caller is gone; with the reason `closing`, when no call may wait any more. */
export function createPull({ store, sessions, maxPageBytes, make }: PullParts): Pull {
  const stopped = ({ ended }: Call) => ended.aborted || sessions.closed;
  const over = (call: Call) => stopped(call) || left(call) <= 0;
  const maySearch = (call: Call) => !stopped(call) && left(call, SEARCH_MS) > 0;

  const deciding: PullState = (call) => {
    const { session } = call;
    if (session.gone) throw deleted(session.name);
    if (!call.conflicts) return claiming;
    if (lost(call)) return answering();
    if (sessions.knownEmpty(session)) return over(call) ? answering() : parked;
    return session.search > 0 ? searching : claiming;
  };

  const parked: PullState = async (call) => {
    wakeNext(call);
    call.woken = await sessions.park(call.session, left(call), call.ended);
    return deciding;
  };

  const claiming: PullState = async (call) => {
    const { session, options } = call;
    const turn = await inTurn(call, async () => {
      // The call that had the turn before may have found that there is nothing.
      const idle = call.conflicts && (lost(call) || sessions.knownEmpty(session));
      return idle ? deciding : take(call);
    });
    if (typeof turn === 'function') return turn;
    if (!turn) {
      await make(session.userId, session.name, options.start);
      return deciding;
    }
    call.conflicts ??= turn.conflicts;
    wakeNext(call);
    if (turn.claimed && turn.claimed.handed.length > 0) return reading(turn);
    // The consumer reads few webhooks among very many contents: the claim looked at a part of them.
    if (turn.claimed?.emptyUpTo === -1) return maySearch(call) ? deciding : answering('unfinished');
    if (over(call)) return answering();
    return sessions.knownEmpty(session) ? deciding : pausing;
  };

  const searching: PullState = async (call) => {
    const next = await inTurn(call, () => search(call.session));
    if (next) return next;
    return call.session.search === 0 || maySearch(call) ? deciding : answering('unfinished');
  };

  const reading =
    (turn: Turn): PullState =>
    async (call) => {
      const { session } = call;
      const counted = turn.backlog ?? count(session, turn.consumer);
      const [{ items, after }, backlog] = await Promise.all([fill(call, turn), counted]);
      const consumer = after ?? turn.consumer;
      if (items.length > 0) return answer(call, items, consumer, after ? await count(session, after) : backlog, turn);
      if (lost(call)) return answering();
      session.search ||= FIRST_SEARCHED;
      return maySearch(call) ? deciding : answering('unfinished');
    };

  const pausing: PullState = async (call) => {
    await sleep(Math.max(0, Math.min(call.pauseMs, left(call))));
    call.pauseMs = Math.min(2 * call.pauseMs, MOST_AGAIN_MS);
    return deciding;
  };

  const answering =
    (how?: 'unfinished'): PullState =>
    async (call) => {
      const { consumer, backlog, name } = call.session;
      if (!consumer) throw deleted(name);
      return answer(call, [], consumer, backlog ?? (await count(call.session, consumer)), how);
    };

  function answer(
    { options, ended, conflicts = [] }: Call,
    items: readonly Item[],
    consumer: ConsumerRow,
    backlog: Backlog,
    how?: Turn | 'unfinished',
  ): Pulled {
    const turn = how === 'unfinished' ? undefined : how;
    const lease = turn && {
      consumerId: consumer.id,
      token: turn.token,
      positions: items.map(({ position }) => position),
    };
    const untilDue = consumer.next_due_ms > 0 ? Math.max(0, consumer.next_due_ms - sessions.now()) : COME_BACK_MS;
    const atOnce = items.length > 0 || (!ended.aborted && (how === 'unfinished' || options.waitMs > 0));
    return {
      lease: lease ? encodeLease(lease) : null,
      items,
      due: turn?.due ?? 0,
      conflicts,
      gap: consumer.gap,
      state: stateOf(backlog, consumer, sessions.wall()),
      pollAfterMs: atOnce ? 0 : Math.ceil(Math.min(COME_BACK_MS, untilDue)),
    };
  }

  function wakeNext(call: Call): void {
    sessions.wakeNext(call.session, call.woken);
    call.woken = false;
  }

  /** Runs `work` in its turn, if that comes in time. A call with an ack, or for an unknown consumer, waits for up to 10 s. */
  function inTurn<T>(call: Call, work: () => Promise<T>): Promise<T | PullState> {
    if (!call.conflicts || !call.session.consumer) return inLane<T>(call.session, work);
    return inLane<T | PullState>(call.session, work, { ms: left(call, LANE_MS), late: () => answering('unfinished') });
  }

  /** One transaction: acks and claims. Undefined when there is no such consumer. */
  async function take(call: Call): Promise<Turn | undefined> {
    const { session, options } = call;
    const acks = call.conflicts ? undefined : options.ack;
    const mayClaim = !lost(call);
    const token = newToken();
    const limit = Math.min(options.limit, session.fits);
    let term = 0;
    const change = await changeConsumer(store.db, session.userId, session.name, async (rows, locked) => {
      term = termOf(store.db);
      const acked = acks && (await ack(rows, locked, acks.lease, acks.ids));
      const consumer = acked?.consumer ?? locked.consumer;
      const { conflicts = [], removed = 0 } = acked?.result ?? {};
      const leaseMs = (options.leaseSeconds ?? consumer.lease_seconds) * 1000;
      const next = mayClaim ? await claim(rows, { ...locked, consumer }, { limit, leaseMs, token }) : undefined;
      const quiet = next?.quiet === true && consumer === locked.consumer;
      return { consumer: next?.consumer ?? consumer, result: { conflicts, removed, claimed: next?.result }, quiet };
    });
    if (!change) return undefined;
    const { consumer, before, now, wall, result } = change;
    const { conflicts, claimed, removed } = result;
    const backlog = carriedOf(session, { before, after: consumer, removed, claimed, now });
    sessions.update(session, consumer, change, { emptyUpTo: claimed?.emptyUpTo, backlog });
    const due = claimed ? claimed.due - now + wall : 0;
    return { term, consumer, token, claimed, due, conflicts, backlog };
  }

  /** Passes over the next contents as far as they are not needed; the session keeps whether there may be more of these. */
  async function search(session: Session): Promise<undefined> {
    const { consumer, search: most } = session;
    session.search = 0;
    if (!consumer || most === 0) return;
    const term = termOf(store.db);
    const { more, ...unneeded } = await readUnneeded(store, consumer, { most, now: sessions.now() });
    const passed = await change(session, (rows, locked) => {
      // What is missing on one server may be there on the other.
      if (termOf(store.db) !== term) throw movedOn();
      return passOver(rows, locked, unneeded);
    });
    if (more && passed) session.search = Math.min(MOST_ITEMS, most * SEARCHED_MORE);
  }

  async function count(session: Session, consumer: ConsumerRow): Promise<Backlog> {
    const backlog = await readBacklog(store.db, consumer);
    sessions.counted(session, consumer.version, backlog);
    return backlog;
  }

  /** A change that closes or gives back, after which an ordered consumer may go on. */
  async function change(
    session: Session,
    work: Parameters<typeof changeConsumer<void>>[3],
  ): Promise<ConsumerRow | undefined> {
    const changed = await changeConsumer(store.db, session.userId, session.name, work);
    if (!changed) return undefined;
    const { consumer } = changed;
    sessions.update(session, consumer, changed, { emptyUpTo: consumer.ordered ? -1 : undefined });
    return consumer;
  }

  /**
   * Gives back what is not in the answer, closes what is gone, and gives up what cannot be read: no worker could do it, and the
   * contents behind it must not wait. When this fails the leases end by themselves.
   */
  const tidy = (
    call: Call,
    token: number,
    { surplus, skipped, missing, unreadable }: Omit<Bodies, 'items'> & { readonly unreadable: readonly Item[] },
  ): Promise<ConsumerRow | undefined> => {
    const { session } = call;
    const work = () =>
      change(session, async (rows, locked, queries) => {
        // Where the lease is, the content must be missing, too: else it stays leased.
        const there = await contentsThere(
          queries,
          missing.map(({ id }) => id),
        );
        const gone = [...skipped, ...missing.filter(({ id }) => !there.has(id))];
        const removed = gone.length > 0 ? await rows.remove(token, gone.map(posOf)) : 0;
        const buried = await giveUp(rows, locked, token, unreadable);
        const given = await giveBack(rows, locked, token, surplus.map(posOf));
        const { consumer } = given;
        return removed + buried > 0 ? { ...given, consumer: { ...consumer, dead: consumer.dead + buried } } : given;
      }).finally(() => sessions.wakeNext(session, false));
    // In a busy lane the answer does not wait for it.
    const patience = { ms: left(call, LANE_MS), late: () => undefined, still: true };
    return inLane<ConsumerRow | undefined>(session, work, patience).catch(() => undefined);
  };

  /** The contents of a claim: as many as fit, if the caller is still there. `after`: the consumer when something was given back. */
  async function fill(call: Call, { term, consumer, token, claimed }: Turn) {
    const { session } = call;
    const handed: readonly Handed[] = claimed?.handed ?? [];
    const all = { surplus: handed, skipped: [], missing: [], unreadable: [] };
    const only = { maxBytes: maxPageBytes, skipDuplicates: consumer.duplicates === 'skip' };
    const bodies = await readBodies(store, consumer.user_id, handed, only).catch(async (error: unknown) => {
      await tidy(call, token, all);
      throw error;
    });
    if (termOf(store.db) !== term) {
      await tidy(call, token, all);
      throw movedOn();
    }
    const { surplus, skipped, missing } = bodies;
    const items = bodies.items.filter(({ content }) => content.unreadable === undefined);
    const unreadable = bodies.items.filter(({ content }) => content.unreadable !== undefined);
    if (surplus.length > 0) session.fits = Math.ceil(items.length * 1.25) || 1;
    else if (handed.length >= session.fits) session.fits = Math.min(MOST_ITEMS, session.fits * 2);
    if (lost(call)) return { items: [], after: await tidy(call, token, all) };
    if (surplus.length + skipped.length + missing.length + unreadable.length === 0) return { items, after: undefined };
    return { items, after: await tidy(call, token, { surplus, skipped, missing, unreadable }) };
  }

  return async function pull(userId, name, options, ended) {
    const call: Call = {
      session: sessions.enter(userId, name),
      options,
      ended,
      until: performance.now() + options.waitMs,
      conflicts: options.ack ? undefined : [],
      woken: false,
      pauseMs: AGAIN_MS,
    };
    try {
      let next: Next = deciding;
      while (typeof next === 'function') next = await next(call);
      return next;
    } finally {
      wakeNext(call);
      sessions.leave(call.session);
    }
  };
}

// The bodies of leased contents, read after the commit: as many as fit into one answer.

interface Item {
  readonly position: Position;
  readonly content: ContentRow;
  readonly attempt: number;
}

interface Bodies {
  readonly items: readonly Item[];
  /** What did not fit. */
  readonly surplus: readonly Position[];
  /** Duplicates that the consumer does not want. */
  readonly skipped: readonly Position[];
  /** Contents that were not found: deleted meanwhile, as a rule. */
  readonly missing: readonly Position[];
}

/** Items in the order of positions, up to `maxBytes`, but one at least. What does not fit is the last part, without a hole. */
async function readBodies(
  store: Store,
  userId: number,
  handed: readonly Handed[],
  { maxBytes, skipDuplicates }: { readonly maxBytes: number; readonly skipDuplicates: boolean },
): Promise<Bodies> {
  const ids = handed.map(({ id }) => id);
  const page = await listByIds(store, userId, ids, maxBytes);
  const found = new Map(page.contents.map((content) => [content.id, content]));
  const readUpTo = page.cut ? (page.contents.at(-1)?.id ?? 0) : Number.POSITIVE_INFINITY;
  const [first] = handed;
  // Contents are read by id. A late one has a lower id than those before it, and must not push out the first.
  if (first && first.id > readUpTo) {
    const [content] = (await listByIds(store, userId, [first.id], maxBytes)).contents;
    if (content) found.set(first.id, content);
  }
  const items: Item[] = [];
  const surplus: Position[] = [];
  const skipped: Position[] = [];
  const missing: Position[] = [];
  for (const one of handed) {
    const content = found.get(one.id);
    const unread = !content && one.id > readUpTo && one !== first;
    // What did not fit is always the last part: the ack of a whole lease covers its positions as one range.
    if (skipDuplicates && content?.receipt?.duplicate_of != null) skipped.push(one);
    else if (content && surplus.length === 0) items.push({ position: one, content, attempt: one.attempt });
    else if (content || unread) surplus.push(one);
    else missing.push(one);
  }
  return { items, surplus, skipped, missing };
}

/** Makes dead letters of contents that this lease has in hand, each for its own reason; resolves with how many. */
async function giveUp(rows: LeaseRows, { now }: Locked, token: number, items: readonly Item[]): Promise<number> {
  const byReason = new Map<string, number[]>();
  for (const { position, content } of items) {
    const reason = `The content cannot be read. ${content.unreadable}`;
    byReason.set(reason, [...(byReason.get(reason) ?? []), position.pos]);
  }
  let buried = 0;
  for (const [reason, positions] of byReason) {
    const mine = (await rows.at(positions)).filter((row) => row.token === token && !row.waiting).map(posOf);
    await rows.bury(mine, reason, reason, now);
    buried += mine.length;
  }
  return buried;
}

// A search reads bodies only to pass over them: a page of large ones would take longer than a pull may.
const SEARCHED_BYTES = 1 << 20;

/**
 * The next contents of a consumer, `most` at most, that are not needed: all before the first one that is to be handed out. First
 * those that are due again, if there are any, else new ones. `more`: none that is to be handed out was met.
 */
async function readUnneeded(
  store: Store,
  consumer: ConsumerRow,
  { most, now }: { readonly most: number; readonly now: number },
): Promise<Unneeded & { readonly more: boolean }> {
  const { user_id, duplicates, next_due_ms } = consumer;
  const back = next_due_ms > 0 ? await leaseRows(store.db, consumer).due(now, most) : [];
  const positions =
    back.length > 0 ? back : (await nextPositions(store.db, consumer, await headOf(store.db), most)).positions;
  if (positions.length === 0) return { of: consumer, due: [], upTo: 0, more: false };
  const handed = positions.map(({ pos, id }) => ({ pos, id, attempt: 0 }));
  const only = { maxBytes: SEARCHED_BYTES, skipDuplicates: duplicates === 'skip' };
  const { items, surplus, skipped, missing } = await readBodies(store, user_id, handed, only);
  const end = Math.min(...[...items.map(({ position }) => position), ...surplus].map(posOf));
  const before = [...skipped, ...missing]
    .map(posOf)
    .filter((pos) => pos < end)
    .sort((a, b) => a - b);
  const more = items.length === 0;
  return back.length > 0
    ? { of: consumer, due: before, upTo: 0, more }
    : { of: consumer, due: [], upTo: before.at(-1) ?? 0, more };
}
