// The tail looks for new contents, once per process for all waiters; a waiter asks the database nothing.
//
// One look: the fence looks for new rows, the sequencer gives them positions, and the waiters are woken. The tail is in one of four
// states:
// - planned: a look comes 25 ms after new rows, and up to 250 ms later in quiet times; after our own commit at once, or soon.
// - running: one look at a time. A commit meanwhile is seen by the next look, which is planned when this one ends.
// - failing: a look every 250 ms until the database answers; commits do not hasten it. Why, and the end, are logged.
// - closed: no look begins any more, and close() waits for the one that runs.
//
// What must always hold:
// - The number of waiters does not matter to the database: a woken waiter reads from memory, or asks for its own rows.
// - What was seen on one server is not looked for on another one. A look that begins in a new term first makes a new fence and a new
//   sequencer there, and `settled` holds readers until such a look has succeeded.
// - `readableId` moves after the lists know the new rows (`onPassed`), and before the waiters are woken.
// - Consumers are told of a content when it has a position, lists when the fence has passed it: a transaction that stays open holds
//   lists, and no consumer.
// - Lists are not told what a look found with the fence before restart(), for its ids were given anew.
// - A failed look forgets no row. Rows that were not on disk by then are looked for again, and may be told twice.
// What may never happen: a waiter is woken for a row that may not be read yet. It would find nothing, and sleep until the next one.
import { movedOn } from '../store/db.ts';
import type { PositionedRow } from '../store/positions.ts';
import type { Fence, Row } from './fence.ts';
import type { Sequencer } from './sequencer.ts';

/** What a waiting call needs of an AbortSignal. It fires when its caller does not want the answer any more. */
export type Cancellation = Pick<AbortSignal, 'aborted' | 'reason' | 'addEventListener' | 'removeEventListener'>;

export type Tail = ReturnType<typeof createTail>;

/** Waits for what `listen` calls back for: resolves with true then, with false after `ms` or when `ended` fires. */
export const arrival = (
  ms: number,
  listen: (arrived: () => void) => () => unknown,
  ended?: Cancellation,
): Promise<boolean> =>
  new Promise((resolve) => {
    const end = (came: boolean) => {
      clearTimeout(timer);
      off();
      ended?.removeEventListener('abort', aborted);
      resolve(came);
    };
    const aborted = () => end(false);
    const timer = setTimeout(end, ms, false);
    const off = listen(() => end(true));
    ended?.addEventListener('abort', aborted);
  });

export interface TailParts {
  readonly fence: Fence;
  /** None at the as-is level. */
  readonly sequencer: Sequencer | undefined;
  /** Rows that the sweep has found without a position. */
  readonly swept?: () => readonly Row[];
  /** Called with the error of each look that fails, and with undefined when they succeed again. */
  readonly onError?: (error: unknown) => void;
  /** Called with the rows that the fence has passed, before the waiters are woken. */
  readonly onPassed?: (rows: readonly Row[]) => void;
  /** Called with how long a look took that found contents for consumers, in ms. */
  readonly onLook?: (ms: number) => void;
  /** Where a look finds what this process has committed. */
  readonly ownRowsIn?: keyof typeof BUSY_PAUSE_MS;
  /** Which server is used, where that may change: a number that is raised then. */
  readonly term?: () => number;
  /** In a new term: how reading begins on its server. */
  readonly renew?: () => Promise<Pick<TailParts, 'fence' | 'sequencer'>>;
  readonly now?: () => number;
}

// How often rows of other writers are looked for: after new rows, and after a quiet while.
const SOON_MS = 25;
const SELDOM_MS = 250;
// For so long after the last row, holes are probed and rows become old enough to be handed out.
const LIVELY_MS = 300;
// Our own commits are looked at at once while they are few. On a server a look costs about as much as a commit of the writer: under
// load there are 20 a second, so that ingest keeps its speed. On SQLite it finds them in memory.
const QUIET_ROWS_PER_SECOND = 1_000;
const BUSY_ROWS_PER_SECOND = 5_000;
const BUSY_PAUSE_MS = { server: 50, memory: 5 } as const;
const RATE_WINDOW_MS = 200;
// After a start holes are judged first. Lists wait for that, but not for a long transaction of another application.
const BOOT_MS = 4_000;
// A look on the new server takes some milliseconds, and comes within 250.
const SETTLED_WITHIN_MS = 2_000;

type Listeners<T> = Map<number, Set<(value: T) => void>>;

export function createTail(parts: TailParts) {
  const { swept = () => [], onError = () => {}, onPassed = () => {}, onLook = () => {} } = parts;
  const { now = () => performance.now(), ownRowsIn = 'server', term = () => 0, renew } = parts;
  let { fence, sequencer } = parts;
  const positionListeners: Listeners<PositionedRow> = new Map();
  const readableListeners: Listeners<Row> = new Map();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let nudged = false;
  let closed = false;
  let failing = false;
  let succeededAt = now();
  let readableId = fence.deliveredId;
  let boot = () => {};
  const booted = new Promise<void>((resolve) => {
    const late = setTimeout(resolve, BOOT_MS);
    boot = () => {
      clearTimeout(late);
      resolve();
    };
  });
  let lookedAt = Number.NEGATIVE_INFINITY;
  let livelyUntil = Number.NEGATIVE_INFINITY;
  let quietMs = SOON_MS;
  // How many rows of our own were committed lately.
  let rate = 0;
  let countedSince = now();
  let counted = 0;
  // Of the fence, and of the last look that succeeded.
  let begunIn = term();
  let lookedIn = begunIn;
  const lookListeners = new Set<() => void>();

  function restart(next: Pick<TailParts, 'fence' | 'sequencer'>): void {
    ({ fence, sequencer } = next);
    readableId = fence.deliveredId;
  }

  async function look(): Promise<void> {
    const began = now();
    lookedAt = began;
    try {
      const server = term();
      const same = <T>(result: T): T => {
        if (term() !== server) throw movedOn();
        return result;
      };
      if (begunIn !== server && renew) {
        restart(same(await renew()));
        begunIn = server;
      }
      const those = fence;
      const fresh = await fence.tick();
      if (sequencer) {
        const positioned = await sequencer.run([...swept(), ...fresh]);
        dispatch(positionListeners, positioned);
        if (positioned.length > 0) onLook(now() - began);
        // The sequencer's commit has put on disk what was seen before it: the next look may hand that out.
        if (positioned.length > 0 && !fence.settled) nudged = true;
      }
      const passed = same(await fence.passed());
      if (those !== fence) return;
      if (passed.length > 0) onPassed(passed);
      readableId = fence.deliveredId;
      if (fence.settled) boot();
      dispatch(readableListeners, passed);
      lookedIn = server;
      for (const looked of [...lookListeners]) looked();
      if (fresh.length > 0) livelyUntil = now() + LIVELY_MS;
      quietMs = now() < livelyUntil ? SOON_MS : Math.min(SELDOM_MS, quietMs * 2);
      succeededAt = began;
      if (failing) onError(undefined);
      failing = false;
    } catch (error) {
      sequencer?.startOver();
      quietMs = SELDOM_MS;
      if (!closed) onError(error);
      failing = true;
    }
  }

  function start(): void {
    timer = undefined;
    nudged = false;
    running = look().finally(() => {
      running = undefined;
      plan();
    });
  }

  function plan(): void {
    if (closed || running) return;
    const at = nudged && !failing ? lookedAt + pause() : now() + quietMs;
    const wait = Math.max(0, at - now());
    clearTimeout(timer);
    // A look at once still waits for the turn of the event loop to end: it then sees all commits of this turn.
    if (wait < 1 && nudged) timer = undefined;
    if (wait < 1 && nudged) void setImmediate(() => !running && !closed && start());
    else timer = setTimeout(start, wait);
  }

  /** The least time between two looks while our own rows come: 0 when they are few. */
  function pause(): number {
    const share = (rate - QUIET_ROWS_PER_SECOND) / (BUSY_ROWS_PER_SECOND - QUIET_ROWS_PER_SECOND);
    return BUSY_PAUSE_MS[ownRowsIn] * Math.min(1, Math.max(0, share));
  }

  function count(rows: number): void {
    counted += rows;
    const since = now() - countedSince;
    if (since < RATE_WINDOW_MS) return;
    rate = (counted * 1000) / since;
    counted = 0;
    countedSince = now();
  }

  plan();
  return {
    /** How long ago the last successful look began, in ms: what is known from memory is as old as this. */
    get age() {
      return now() - succeededAt;
    },
    /** The highest id that a list may hand out: the waiters were told of every content up to it. */
    get readableId() {
      return readableId;
    },
    /** For how many seconds the fence has been held by a row that is still being written; 0 = it is not. */
    get heldSeconds() {
      return fence.heldSeconds;
    },
    /** Resolves when lists have caught up after the start, or after 4 s. */
    booted,
    /** Calls `wake` whenever a content of this user gets its position; returns a function that ends this. Runs no query. */
    onPosition: (userId: number, wake: (row: PositionedRow) => void) => listen(positionListeners, userId, wake),
    /** Calls `wake` whenever the fence passes a content of this user; returns a function that ends this. Runs no query. */
    onReadable: (userId: number, wake: (row: Row) => void) => listen(readableListeners, userId, wake),
    /** This process has committed rows: look at once, or soon under load. */
    nudge(rows = 1): void {
      count(rows);
      if (nudged) return;
      nudged = true;
      plan();
    },
    /** Goes on with a new fence and sequencer: the table was emptied or restored. */
    restart,
    /** Resolves when what is known comes from the server that is used now; rejects when it does not within a moment. */
    async settled(): Promise<void> {
      const until = now() + SETTLED_WITHIN_MS;
      while (lookedIn !== term()) {
        const looked = await arrival(until - now(), (arrived) => {
          lookListeners.add(arrived);
          return () => lookListeners.delete(arrived);
        });
        if (!looked) throw movedOn();
      }
    },
    async close(): Promise<void> {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

function listen<T>(listeners: Listeners<T>, userId: number, wake: (value: T) => void): () => void {
  const mine = listeners.get(userId) ?? new Set();
  listeners.set(userId, mine.add(wake));
  return () => {
    mine.delete(wake);
    if (mine.size === 0 && listeners.get(userId) === mine) listeners.delete(userId);
  };
}

function dispatch<T extends { readonly user_id: number }>(listeners: Listeners<T>, rows: readonly T[]): void {
  if (listeners.size === 0) return;
  for (const row of rows) for (const wake of [...(listeners.get(row.user_id) ?? [])]) wake(row);
}
