// The consumers that are in use in this process: what is known of them without asking the database, and the calls that wait.
//
// A session is what this process knows of one consumer. It begins with the first pull and ends 10 minutes after the last one,
// when its consumer is deleted, or when the process ends. It is in one of these states:
//   new       no transaction has read the consumer yet: nothing is known, and the first pull asks
//   open      something may be handed out: a content came (`newest`) above `emptyUpTo`, or a lease is over
//   empty     nothing can be handed out now: pulls park, or answer, without asking the database anything
//   searching open, and the next contents were gone or skipped (`search`): pulls look for the first content that is neither
//   dropped   ended: its waiters are woken and find it `gone`, or a new session of the same name
// A transaction of ours that finds nothing makes it empty; a content, the end of a lease (`timer`) or a change of the consumer
// opens it. Apart from that it is quiet, or waking: one waiter was woken, and its call has not ended yet.
//
// What always holds:
// * What is known is never newer than the database and never hides a content. The session listens before its first transaction,
//   so it hears of a content that comes meanwhile. A look once a second finds changes by other processes, by `version`.
// * `emptyUpTo` is a position: a content that comes later lies above it. When the tail has failed for 5 s, or the consumer was not
//   pulled for an hour, "empty" would be a guess, and the database is asked.
// * `backlog` belongs to the `version` of `consumer`. A change of one without the other forgets it, and it is counted anew.
// * One waiter is woken at a time, and wakes the next: one content for a hundred waiters costs one transaction, not a hundred. So a
//   woken waiter must call `wakeNext(session, true)`, whether it succeeds or fails.
// * The transactions of one session run one after the other: more at once would wait for its lock, on connections that others need.
// What may never happen: all waiters asleep while a content could be handed out (a worker would stand still until the next content
// comes); an older version of a consumer overwriting a newer one; a session kept for a name without a consumer (the names that a
// stranger tries would fill the memory).
import { unavailable } from '../errors.ts';
import { STALE_MS } from '../reading/lists.ts';
import { arrival, type Cancellation, type Tail } from '../reading/tail.ts';
import { type Backlog, MOST_COUNTED } from '../store/backlog.ts';
import { type ConsumerRow, changedConsumers } from '../store/consumers.ts';
import type { Db } from '../store/db.ts';
import { type Claim, USED_MS } from './leases.ts';

/** What is known of one consumer, and the lane of its transactions. */
export interface Session extends Lane {
  readonly userId: number;
  readonly name: string;
  /** As the latest transaction or look found it. */
  consumer: ConsumerRow | undefined;
  /** Undefined when something has changed since it was counted. */
  backlog: Backlog | undefined;
  countedAt: number;
  /** Nothing can be handed out that lies at or below it; -1 = not known, Infinity = nothing at all before a change. */
  emptyUpTo: number;
  /** The highest position that the tail has told of a content for it. */
  newest: number;
  /** How many contents fit into an answer, by experience. */
  fits: number;
  /** How many contents the next search looks at; 0: no search is under way. */
  search: number;
  gone: boolean;
  usedAt: number;
  /** Calls under way. */
  users: number;
  readonly waiters: Set<() => void>;
  /** A waiter was woken, and its call has not ended yet: it will wake the next one. */
  waking: boolean;
  timer: NodeJS.Timeout | undefined;
  readonly off: () => void;
}

// Other processes change consumers too. Their changes are younger than a statement's time limit when they become visible.
const LOOK_MS = 1_000;
const OVERLAP_MS = 15_000;
const IDLE_MS = 10 * 60_000;

interface Update {
  readonly emptyUpTo?: number | undefined;
  /** The backlog after the transaction, if it could be carried on. */
  readonly backlog?: Backlog | undefined;
}

export type Sessions = ReturnType<typeof createSessions>;

interface SessionsParts {
  readonly db: Db;
  readonly tail: Pick<Tail, 'onPosition' | 'age'>;
  readonly onError: (error: unknown) => void;
}

export function createSessions({ db, tail, onError }: SessionsParts) {
  const sessions = new Map<string, Session>();
  const byId = new Map<number, Session>();
  const clock = createDbClock();
  let looking: NodeJS.Timeout | undefined;
  let lookedAt = 0;
  let failing = false;
  let closed = false;
  // On another server the same consumer may have an older version, and its id may belong to another one.
  db.onTerm?.(() => {
    byId.clear();
    clock.forget();
    for (const session of sessions.values()) {
      const { consumer } = session;
      if (consumer) session.consumer = { ...consumer, version: -1 };
      Object.assign(session, { backlog: undefined, emptyUpTo: -1, newest: 0, search: 0 });
      wake(session);
    }
  });
  const keyOf = (userId: number, name: string) => `${userId} ${name}`;
  const { now } = clock;
  const isDue = ({ consumer }: Session) => !!consumer && consumer.next_due_ms > 0 && consumer.next_due_ms <= now();
  const mayHave = (session: Session) => !session.consumer || session.newest > session.emptyUpTo || isDue(session);

  function wake(session: Session): void {
    const [first] = session.waiters;
    if (session.waking || !mayHave(session)) arm(session);
    else if (first) {
      session.waking = true;
      first();
    }
  }

  /** Plans to wake a waiter when the next lease is over. */
  function arm(session: Session): void {
    clearTimeout(session.timer);
    const due = session.consumer?.next_due_ms ?? 0;
    if (due === 0 || session.waiters.size === 0 || session.waking) return;
    session.timer = setTimeout(wake, Math.min(Math.max(1, Math.ceil(due - now())), IDLE_MS), session);
  }

  function contentCame(session: Session, pos: number, whId: number, seen: number): void {
    const { consumer, backlog } = session;
    if (consumer?.whids && !consumer.whids.includes(whId)) return;
    session.newest = Math.max(session.newest, pos);
    if (backlog) session.backlog = withContent(backlog, pos, seen);
    wake(session);
  }

  /** Forgets a session and wakes its waiters. `gone`: the consumer was deleted. */
  function drop(session: Session, gone = false): void {
    const key = keyOf(session.userId, session.name);
    if (sessions.get(key) === session) sessions.delete(key);
    if (session.consumer && byId.get(session.consumer.id) === session) byId.delete(session.consumer.id);
    session.gone ||= gone;
    session.off();
    clearTimeout(session.timer);
    for (const waiter of [...session.waiters]) waiter();
  }

  async function look(): Promise<void> {
    const began = performance.now();
    for (const session of sessions.values()) if (session.users === 0 && session.usedAt < began - IDLE_MS) drop(session);
    if (sessions.size === 0) {
      stop();
      return;
    }
    try {
      const news = (id: number, version: number) =>
        version > (byId.get(id)?.consumer?.version ?? Number.POSITIVE_INFINITY);
      for (const consumer of await changedConsumers(db, began - lookedAt + OVERLAP_MS, news)) {
        const session = byId.get(consumer.id);
        if (!session || consumer.version <= (session.consumer?.version ?? 0)) continue;
        if (consumer.user_id === 0) drop(session, true);
        else changed(session, consumer);
      }
      lookedAt = began;
      failing = false;
    } catch (error) {
      if (!failing) onError(error);
      failing = true;
    }
    if (looking) looking = setTimeout(look, LOOK_MS).unref();
  }
  function changed(session: Session, consumer: ConsumerRow): void {
    Object.assign(session, { consumer, backlog: undefined, emptyUpTo: -1 });
    wake(session);
  }
  function stop(): void {
    clearTimeout(looking);
    looking = undefined;
  }

  function add(userId: number, name: string): Session {
    const session: Session = {
      userId,
      name,
      consumer: undefined,
      backlog: undefined,
      countedAt: 0,
      emptyUpTo: -1,
      newest: 0,
      fits: Number.POSITIVE_INFINITY,
      search: 0,
      gone: false,
      usedAt: 0,
      users: 0,
      waiters: new Set(),
      waking: false,
      last: Promise.resolve(),
      timer: undefined,
      // Before its first transaction, so that no content is missed meanwhile.
      off: tail.onPosition(userId, ({ pos, wh_id, seen_ms }) => contentCame(session, pos, wh_id, seen_ms)),
    };
    sessions.set(keyOf(userId, name), session);
    if (looking) return session;
    lookedAt = performance.now();
    looking = setTimeout(look, LOOK_MS).unref();
    return session;
  }

  return {
    /** Begins a call: leave() ends it. */
    enter(userId: number, name: string): Session {
      const session = sessions.get(keyOf(userId, name)) ?? add(userId, name);
      session.users++;
      return session;
    },
    leave(session: Session): void {
      session.users--;
      session.usedAt = performance.now();
      // There is no such consumer: a name that was tried is not kept.
      if (session.users === 0 && !session.consumer) drop(session);
    },
    peek: (userId: number, name: string) => sessions.get(keyOf(userId, name)),
    drop,
    /** What a transaction of ours left behind. Without `emptyUpTo` (it did not look for contents) the one that was known stays. */
    update(
      session: Session,
      consumer: ConsumerRow,
      time: { readonly now: number; readonly wall: number },
      { emptyUpTo = session.emptyUpTo, backlog }: Update,
    ): void {
      clock.set(time);
      const known = session.consumer?.version ?? 0;
      if (known > consumer.version || session.gone) return;
      if (backlog || known !== consumer.version) session.backlog = backlog;
      session.consumer = consumer;
      session.emptyUpTo = emptyUpTo;
      byId.set(consumer.id, session);
    },
    counted(session: Session, version: number, backlog: Backlog): void {
      if (session.consumer?.version !== version) return;
      session.backlog = backlog;
      session.countedAt = performance.now();
    },
    /** True when it is known that nothing can be handed out now. */
    knownEmpty: (session: Session) =>
      !mayHave(session) && now() - (session.consumer?.pulled_ms ?? 0) < USED_MS && tail.age < STALE_MS,
    /** Resolves when something may have come, after `ms`, or when `ended` fires; true when it was woken. */
    park(session: Session, ms: number, ended: Cancellation): Promise<boolean> {
      const parked = arrival(
        ms,
        (arrived) => {
          session.waiters.add(arrived);
          return () => session.waiters.delete(arrived);
        },
        ended,
      );
      wake(session);
      return parked;
    },
    /** Wakes the next waiter, if there may be a content for it. `woken`: the caller itself had been woken. */
    wakeNext(session: Session, woken: boolean): void {
      if (woken) session.waking = false;
      wake(session);
    },
    now,
    wall: clock.wall,
    /** True when no call is to wait any more. */
    get closed() {
      return closed;
    },
    close(): void {
      closed = true;
      stop();
      for (const session of [...sessions.values()]) drop(session);
    },
  };
}

// The lasting time, estimated between two statements: one time for all processes.

// Clocks differ a little in their speed: after so long a lower reading counts, too.
const TRUSTED_MS = 60_000;

function createDbClock() {
  let offset = Number.NEGATIVE_INFINITY;
  let setAt = Number.NEGATIVE_INFINITY;
  let ahead = 0;
  return {
    /** What a statement has just read. */
    set({ now, wall }: { readonly now: number; readonly wall: number }): void {
      const at = performance.now();
      ahead = now - wall;
      // The answer took time to come: of several readings the highest is the closest.
      if (now - at < offset && at - setAt < TRUSTED_MS) return;
      offset = now - at;
      setAt = at;
    },
    /** Another server has another clock: its next reading counts, whatever it is. */
    forget(): void {
      setAt = Number.NEGATIVE_INFINITY;
    },
    /** Never ahead of the database: a lease that is not over there is not over here. -Infinity before the first statement. */
    now: () => performance.now() + offset,
    /** The database's clock at that time. */
    wall: () => performance.now() + offset - ahead,
  };
}

// A consumer's backlog, carried on from one call to the next without counting anew.

/** The backlog after a content has got its position. */
function withContent(backlog: Backlog, pos: number, seenMs: number): Backlog {
  if (pos <= backlog.head) return backlog;
  return { ...backlog, head: pos, ahead: backlog.ahead + 1, oldest_ms: backlog.oldest_ms ?? seenMs };
}

interface Step {
  readonly before: ConsumerRow;
  readonly after: ConsumerRow;
  /** How many contents in hand were acked. */
  readonly removed: number;
  readonly claimed: Claim | undefined;
  readonly now: number;
}

// After so long a backlog is counted anew, however well it was carried on.
const RECOUNT_MS = 1_000;

/**
 * The backlog of a session after one change of ours. Undefined when it has to be counted: another process has changed the consumer;
 * contents were given back or are due, so that it is not known which were handed out; or too few are known to be left.
 */
export function carriedOf({ backlog, countedAt, consumer }: Session, step: Step): Backlog | undefined {
  const { before, after, removed, claimed, now } = step;
  if (!backlog || consumer?.version !== before.version || performance.now() - countedAt >= RECOUNT_MS) return undefined;
  const due = before.next_due_ms > 0 && before.next_due_ms <= now;
  if (after.version > before.version + 1 || backlog.back > 0 || due || before.dead !== after.dead) return undefined;
  const handed = claimed?.handed ?? [];
  const last = handed.at(-1);
  const counted = handed.filter(({ pos }) => pos <= backlog.head).length;
  const ahead = backlog.ahead - counted;
  if (ahead < 0 || (backlog.more && ahead <= MOST_COUNTED)) return undefined;
  const in_flight = backlog.in_flight - removed + handed.length;
  const oldest_ms = ahead === 0 ? null : last ? claimed?.next_ms : backlog.oldest_ms;
  if (in_flight < 0 || oldest_ms === undefined || (ahead > 0 && oldest_ms === null)) return undefined;
  return { ...backlog, head: Math.max(backlog.head, last?.pos ?? 0), ahead, in_flight, oldest_ms };
}

// A lane: calls that change the same thing run one after the other, and none waits for ever.

/** `last` is the end of the latest call. */
interface Lane {
  last: Promise<unknown>;
}

/** How long a call waits for its turn, and what it gets when the turn does not come in time. */
interface Patience<T> {
  readonly ms: number;
  late(): T | Promise<T>;
  /** The work is still done when the turn comes. */
  readonly still?: boolean;
}

// While the database hangs many calls wait in the lane: each is answered after this time, and its caller asks again.
const TURN_MS = 10_000;
const tooLate = {
  ms: TURN_MS,
  late: () =>
    Promise.reject(unavailable('Too many calls on this consumer at once, or the database is slow. Try again soon.')),
};

/** Runs `work` when all earlier calls have ended. A call whose turn does not come in time, in 10 s at most, gives up. */
export const inLane = <T>(lane: Lane, work: () => Promise<T>, patience: Patience<T> = tooLate): Promise<T> =>
  new Promise((resolve, reject) => {
    const { ms, late, still = false }: Patience<T> = patience.ms < TURN_MS ? patience : { ...patience, ...tooLate };
    let waiting = true;
    const timer = setTimeout(() => {
      waiting = false;
      resolve(late());
    }, ms);
    const turn = async () => {
      clearTimeout(timer);
      if (waiting || still) resolve(await work());
    };
    lane.last = lane.last.then(turn).catch(reject);
  });
