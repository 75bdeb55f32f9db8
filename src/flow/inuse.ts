// The consumers that are in use in this process: what is known of them without asking, and who waits for what comes next.
import { type Consumer, changedConsumers } from '../store/consumers.ts';
import type { Db } from '../store/db.ts';
import type { Backlog } from '../store/places.ts';
import { USED_MS } from './claim.ts';
import { createDbClock } from './dbclock.ts';
import type { Ending, Tail } from './tail.ts';
import { withPlaced } from './tally.ts';
import type { Line } from './turn.ts';

/** Its transactions stand in one line: more at once would only wait for its lock, on connections that others need. */
export interface Entry extends Line {
  readonly userId: number;
  readonly name: string;
  /** As the latest transaction or look found it. */
  consumer: Consumer | undefined;
  /** Undefined when something has changed since it was counted. */
  backlog: Backlog | undefined;
  countedAt: number;
  /** Nothing can be handed out that lies at or below it; -1 = not known, Infinity = nothing at all before a change. */
  emptyUpTo: number;
  /** The highest position of a content for it that we were told of. */
  newest: number;
  /** How many contents fit into an answer, by experience. */
  fits: number;
  gone: boolean;
  usedAt: number;
  /** Calls under way. */
  users: number;
  readonly waiters: Set<() => void>;
  /** One who waited was woken and has not come to an end yet: the next one is woken then. */
  waking: boolean;
  timer: NodeJS.Timeout | undefined;
  readonly off: () => void;
}

// Other processes change consumers too. Their changes are younger than a statement's time limit when they become visible.
const LOOK_MS = 1_000;
const OVERLAP_MS = 15_000;
const IDLE_MS = 10 * 60_000;
// When the tail has failed for so long, "nothing new" would be a guess: the database is asked.
const STALE_MS = 5_000;

interface Learned {
  readonly emptyUpTo?: number | undefined;
  /** The backlog after it, if it could be carried on. */
  readonly backlog?: Backlog | undefined;
}

export interface InUse {
  /** For the length of a call: leave() ends it. */
  enter(userId: number, name: string): Entry;
  leave(entry: Entry): void;
  peek(userId: number, name: string): Entry | undefined;
  /** Forgets an entry; whoever waits for it is woken. `gone`: the consumer was deleted. */
  drop(entry: Entry, gone?: boolean): void;
  /** What a transaction of ours left behind; `emptyUpTo` when it looked for more, else what was known stays. */
  learn(entry: Entry, consumer: Consumer, now: number, more?: Learned): void;
  counted(entry: Entry, version: number, backlog: Backlog): void;
  /** True when it is known that nothing can be handed out now. */
  knownEmpty(entry: Entry): boolean;
  /** Resolves when something may have come, after `ms`, or when `ended` fires; true when it was woken. */
  park(entry: Entry, ms: number, ended: Ending): Promise<boolean>;
  /** Wakes the next one who waits, if there may be something for him. `woken`: the caller had been woken himself. */
  passOn(entry: Entry, woken: boolean): void;
  /** The database's clock, never ahead of it. */
  now(): number;
  /** True when nobody is to wait any more. */
  readonly closed: boolean;
  close(): void;
}

export interface InUseParts {
  readonly db: Db;
  readonly tail: Pick<Tail, 'onPlaced' | 'age'>;
  readonly onError: (error: unknown) => void;
}

export function createInUse({ db, tail, onError }: InUseParts): InUse {
  const entries = new Map<string, Entry>();
  const byId = new Map<number, Entry>();
  const clock = createDbClock();
  let looking: NodeJS.Timeout | undefined;
  let lookedAt = 0;
  let failing = false;
  let closed = false;
  const keyOf = (userId: number, name: string) => `${userId} ${name}`;
  const { now } = clock;
  const isDue = ({ consumer }: Entry) => !!consumer && consumer.next_due_ms > 0 && consumer.next_due_ms <= now();
  const mayHave = (entry: Entry) => !entry.consumer || entry.newest > entry.emptyUpTo || isDue(entry);

  function wake(entry: Entry): void {
    const [first] = entry.waiters;
    if (entry.waking || !mayHave(entry)) arm(entry);
    else if (first) {
      entry.waking = true;
      first();
    }
  }

  /** Whoever waits is woken when the next lease is over. */
  function arm(entry: Entry): void {
    clearTimeout(entry.timer);
    const due = entry.consumer?.next_due_ms ?? 0;
    if (due === 0 || entry.waiters.size === 0 || entry.waking) return;
    entry.timer = setTimeout(wake, Math.min(Math.max(1, Math.ceil(due - now())), IDLE_MS), entry);
  }

  function placed(entry: Entry, pos: number, whId: number, seen: number): void {
    const { consumer, backlog } = entry;
    if (consumer?.whids && !consumer.whids.includes(whId)) return;
    entry.newest = Math.max(entry.newest, pos);
    if (backlog) entry.backlog = withPlaced(backlog, pos, seen);
    wake(entry);
  }

  function drop(entry: Entry, gone = false): void {
    if (entries.get(keyOf(entry.userId, entry.name)) === entry) entries.delete(keyOf(entry.userId, entry.name));
    if (entry.consumer && byId.get(entry.consumer.id) === entry) byId.delete(entry.consumer.id);
    entry.gone ||= gone;
    entry.off();
    clearTimeout(entry.timer);
    for (const waiter of [...entry.waiters]) waiter();
  }

  async function look(): Promise<void> {
    const began = performance.now();
    for (const entry of entries.values()) if (entry.users === 0 && entry.usedAt < began - IDLE_MS) drop(entry);
    if (entries.size === 0) {
      stop();
      return;
    }
    try {
      const news = (id: number, version: number) =>
        version > (byId.get(id)?.consumer?.version ?? Number.POSITIVE_INFINITY);
      for (const consumer of await changedConsumers(db, began - lookedAt + OVERLAP_MS, news)) {
        const entry = byId.get(consumer.id);
        if (!entry || consumer.version <= (entry.consumer?.version ?? 0)) continue;
        if (consumer.user_id === 0) drop(entry, true);
        else changed(entry, consumer);
      }
      lookedAt = began;
      failing = false;
    } catch (error) {
      if (!failing) onError(error);
      failing = true;
    }
    if (looking) looking = setTimeout(look, LOOK_MS).unref();
  }
  function changed(entry: Entry, consumer: Consumer): void {
    Object.assign(entry, { consumer, backlog: undefined, emptyUpTo: -1 });
    wake(entry);
  }
  function stop(): void {
    clearTimeout(looking);
    looking = undefined;
  }

  function add(userId: number, name: string): Entry {
    const entry: Entry = {
      userId,
      name,
      consumer: undefined,
      backlog: undefined,
      countedAt: 0,
      emptyUpTo: -1,
      newest: 0,
      fits: Number.POSITIVE_INFINITY,
      gone: false,
      usedAt: 0,
      users: 0,
      waiters: new Set(),
      waking: false,
      last: Promise.resolve(),
      timer: undefined,
      // Before its first transaction: what comes meanwhile is not missed.
      off: tail.onPlaced(userId, ({ pos, wh_id, seen_ms }) => placed(entry, pos, wh_id, seen_ms)),
    };
    entries.set(keyOf(userId, name), entry);
    if (looking) return entry;
    lookedAt = performance.now();
    looking = setTimeout(look, LOOK_MS).unref();
    return entry;
  }

  return {
    enter(userId, name) {
      const entry = entries.get(keyOf(userId, name)) ?? add(userId, name);
      entry.users++;
      return entry;
    },
    leave(entry) {
      entry.users--;
      entry.usedAt = performance.now();
      // There is no such consumer: names that were tried are not kept.
      if (entry.users === 0 && !entry.consumer) drop(entry);
    },
    peek: (userId, name) => entries.get(keyOf(userId, name)),
    drop,
    learn(entry, consumer, dbNow, { emptyUpTo = entry.emptyUpTo, backlog } = {}) {
      clock.set(dbNow);
      const known = entry.consumer?.version ?? 0;
      if (known > consumer.version || entry.gone) return;
      if (backlog || known !== consumer.version) entry.backlog = backlog;
      entry.consumer = consumer;
      entry.emptyUpTo = emptyUpTo;
      byId.set(consumer.id, entry);
    },
    counted(entry, version, backlog) {
      clock.set(backlog.now);
      if (entry.consumer?.version !== version) return;
      entry.backlog = backlog;
      entry.countedAt = performance.now();
    },
    knownEmpty: (entry) => !mayHave(entry) && now() - (entry.consumer?.pulled_ms ?? 0) < USED_MS && tail.age < STALE_MS,
    park: (entry, ms, ended) =>
      new Promise((resolve) => {
        const end = (woken: boolean) => {
          clearTimeout(timer);
          entry.waiters.delete(wakeMe);
          ended.removeEventListener('abort', aborted);
          resolve(woken);
        };
        const wakeMe = () => end(true);
        const aborted = () => end(false);
        const timer = setTimeout(end, ms, false);
        ended.addEventListener('abort', aborted);
        entry.waiters.add(wakeMe);
        wake(entry);
      }),
    passOn(entry, woken) {
      if (woken) entry.waking = false;
      wake(entry);
    },
    now,
    get closed() {
      return closed;
    },
    close() {
      closed = true;
      stop();
      for (const entry of [...entries.values()]) drop(entry);
    },
  };
}
