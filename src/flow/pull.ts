// A pull: acks, then hands out what there is, or waits for it without asking the database anything.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { notFound } from '../errors.ts';
import type { Consumer, Gap } from '../store/consumers.ts';
import type { Store } from '../store/index.ts';
import { changeConsumer } from '../store/leases.ts';
import { type Backlog, MOST_COUNTED, type Place, readBacklog } from '../store/places.ts';
import { type Item, readBodies } from './bodies.ts';
import { type Claim, claim, giveBack, type Handed } from './claim.ts';
import type { Session, Sessions } from './inuse.ts';
import { ack, type Conflict, posOf } from './lease.ts';
import { encodeLease, type Lease, TOKEN_BYTES } from './leasestring.ts';
import type { Start } from './starts.ts';
import type { Ending } from './tail.ts';
import { carriedOf } from './tally.ts';
import { inTurn } from './turn.ts';

/** How it stands with a consumer. */
export interface State {
  /** What waits to be handed out: exact up to 1,000; then 1,000 and `backlog_more`. */
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
  /** When the lease ends, by the database's clock. */
  readonly due: number;
  readonly conflicts: readonly Conflict[];
  readonly gap: Gap | null;
  readonly state: State;
  readonly pollAfterMs: number;
}

export interface PullParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly maxPageBytes: number;
  /** Makes a consumer with default settings. */
  readonly make: (userId: number, name: string, start: Start | undefined) => Promise<unknown>;
}

// A caller that does not wait is asked to come back after this when there was nothing.
const COME_BACK_MS = 1_000;
// A consumer of few among very many looks through them for so long before it answers that it has found nothing yet.
const SEARCH_MS = 1_000;
// Something may have come, but cannot be had yet: a lease ends this very moment, or the looks for new contents fail.
const AGAIN_MS = 20;
const MOST_AGAIN_MS = 500;
const MOST_ITEMS = 500;

export function stateOf(backlog: Backlog, { dead }: Consumer, now: number): State {
  const waiting = backlog.ahead + backlog.back;
  return {
    backlog: Math.min(waiting, MOST_COUNTED),
    backlog_more: backlog.more || waiting > MOST_COUNTED,
    oldest_age_s: backlog.oldest_ms === null ? null : Math.max(0, Math.floor((now - backlog.oldest_ms) / 1000)),
    in_flight: backlog.in_flight,
    dead,
  };
}

export const deleted = (name: string) =>
  notFound(`You have no consumer ${name}. A pull makes it, or PUT /consumers/${name}.`);
const newToken = (): number => randomBytes(TOKEN_BYTES).readUIntBE(0, TOKEN_BYTES);

type Pull = (userId: number, name: string, options: PullOptions, ended: Ending) => Promise<Pulled>;

/** `ended` is aborted when nobody waits for the answer any more; with the reason `closing`, when waiting is over. */
export function createPull({ store, sessions, maxPageBytes, make }: PullParts): Pull {
  interface Turn {
    readonly consumer: Consumer;
    readonly token: number;
    readonly claimed: Claim | undefined;
    readonly conflicts: readonly Conflict[];
    /** What waits now, where it need not be counted. */
    readonly backlog: Backlog | undefined;
  }

  interface Filled {
    readonly items: readonly Item[];
    /** The consumer when something had to be given back. */
    readonly after: Consumer | undefined;
  }

  /** One transaction: acks and claims. Undefined when there is no such consumer. */
  async function take(
    session: Session,
    options: PullOptions,
    acks: PullOptions['ack'],
    mayClaim: boolean,
  ): Promise<Turn | undefined> {
    const token = newToken();
    const limit = Math.min(options.limit, session.fits);
    const change = await changeConsumer(store.db, session.userId, session.name, async (rows, locked) => {
      const acked = acks && (await ack(rows, locked, acks.lease, acks.ids));
      const consumer = acked?.consumer ?? locked.consumer;
      const { conflicts = [], removed = 0 } = acked?.result ?? {};
      const leaseMs = (options.leaseSeconds ?? consumer.lease_seconds) * 1000;
      const next = mayClaim ? await claim(rows, { ...locked, consumer }, { limit, leaseMs, token }) : undefined;
      const quiet = next?.quiet === true && consumer === locked.consumer;
      return { consumer: next?.consumer ?? consumer, result: { conflicts, removed, claimed: next?.result }, quiet };
    });
    if (!change) return undefined;
    const { consumer, before, now, result } = change;
    const { conflicts, claimed, removed } = result;
    const backlog = carriedOf(session, { before, after: consumer, removed, claimed, now });
    sessions.update(session, consumer, now, { emptyUpTo: claimed?.emptyUpTo, backlog });
    return { consumer, token, claimed, conflicts, backlog };
  }

  async function count(session: Session, consumer: Consumer): Promise<Backlog> {
    const backlog = await readBacklog(store.db, consumer);
    sessions.counted(session, consumer.version, backlog);
    return backlog;
  }

  /** Gives back what nobody got, and closes what is gone. When this fails the leases end by themselves. */
  const tidy = (
    session: Session,
    token: number,
    { surplus, gone }: { readonly surplus: readonly Place[]; readonly gone: readonly Place[] },
  ): Promise<Consumer | undefined> =>
    inTurn(session, async () => {
      const change = await changeConsumer(store.db, session.userId, session.name, async (rows, locked) => {
        const removed = gone.length > 0 ? await rows.remove(token, gone.map(posOf)) : 0;
        const given = await giveBack(rows, locked, token, surplus.map(posOf));
        return removed > 0 ? { ...given, consumer: { ...given.consumer } } : given;
      });
      if (change) sessions.update(session, change.consumer, change.now);
      return change?.consumer;
    })
      .catch(() => undefined)
      .finally(() => sessions.wakeNext(session, false));

  /** The contents of a claim: as many as fit, if there still is somebody to get them. */
  async function fill(session: Session, { consumer, token, claimed }: Turn, lost: () => boolean): Promise<Filled> {
    const handed: readonly Handed[] = claimed?.handed ?? [];
    const { user_id } = consumer;
    const only = { maxBytes: maxPageBytes, skipDuplicates: consumer.duplicates === 'skip' };
    const bodies = await readBodies(store, user_id, handed, only).catch(async (error: unknown) => {
      await tidy(session, token, { surplus: handed, gone: [] });
      throw error;
    });
    const { items, surplus, gone } = bodies;
    if (surplus.length > 0) session.fits = Math.ceil(items.length * 1.25) || 1;
    else if (handed.length >= session.fits) session.fits = Math.min(MOST_ITEMS, session.fits * 2);
    if (lost()) return { items: [], after: await tidy(session, token, { surplus: handed, gone: [] }) };
    return { items, after: surplus.length + gone.length > 0 ? await tidy(session, token, bodies) : undefined };
  }

  return async function pull(userId, name, options, ended) {
    const began = performance.now();
    const until = began + options.waitMs;
    const lost = () => ended.aborted && ended.reason !== 'closing';
    const over = () => ended.aborted || sessions.closed || performance.now() >= until;
    const session = sessions.enter(userId, name);
    let acks = options.ack;
    let conflicts: readonly Conflict[] = [];
    let woken = false;
    let unfinished = false;
    let again = AGAIN_MS;

    const answer = (items: readonly Item[], consumer: Consumer, backlog: Backlog, turn?: Turn): Pulled => {
      const lease = turn && { consumerId: consumer.id, token: turn.token, places: items.map(({ place }) => place) };
      const untilDue = consumer.next_due_ms > 0 ? Math.max(0, consumer.next_due_ms - sessions.now()) : COME_BACK_MS;
      const atOnce = items.length > 0 || unfinished || (options.waitMs > 0 && !ended.aborted);
      return {
        lease: lease ? encodeLease(lease) : null,
        items,
        due: turn?.claimed?.due ?? 0,
        conflicts,
        gap: consumer.gap,
        state: stateOf(backlog, consumer, sessions.now()),
        pollAfterMs: atOnce ? 0 : Math.ceil(Math.min(COME_BACK_MS, untilDue)),
      };
    };

    /** Whoever was woken lets the next one be woken, whether there was something for him or not. */
    const wakeNext = () => {
      sessions.wakeNext(session, woken);
      woken = false;
    };

    try {
      for (;;) {
        if (session.gone) throw deleted(name);
        if (!acks && lost()) break;
        if (!acks && sessions.knownEmpty(session)) {
          if (over()) break;
          wakeNext();
          woken = await sessions.park(session, until - performance.now(), ended);
          continue;
        }
        const turn = await inTurn(session, async () => {
          // Whoever had the turn before may have found that there is nothing.
          if (!acks && (lost() || sessions.knownEmpty(session))) return 'nothing';
          return take(session, options, acks, !lost());
        });
        if (turn === 'nothing') continue;
        if (!turn) {
          await make(userId, name, options.start);
          continue;
        }
        if (acks) conflicts = turn.conflicts;
        acks = undefined;
        wakeNext();
        if (turn.claimed && turn.claimed.handed.length > 0) {
          const counted = turn.backlog ?? count(session, turn.consumer);
          const [{ items, after }, backlog] = await Promise.all([fill(session, turn, lost), counted]);
          const now = after ?? turn.consumer;
          if (items.length > 0) return answer(items, now, after ? await count(session, after) : backlog, turn);
          continue;
        }
        unfinished = turn.claimed?.emptyUpTo === -1;
        if (unfinished && !lost() && performance.now() < Math.max(until, began + SEARCH_MS)) continue;
        if (over()) break;
        if (!sessions.knownEmpty(session)) await sleep(again);
        again = Math.min(2 * again, MOST_AGAIN_MS);
      }
      const { consumer } = session;
      if (!consumer) throw deleted(name);
      return answer([], consumer, session.backlog ?? (await count(session, consumer)));
    } finally {
      wakeNext();
      sessions.leave(session);
    }
  };
}
