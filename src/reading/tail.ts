// One per process: looks for what is new, once, for everybody who waits; whoever waits asks the database nothing.
//
// One look: the fence looks for new rows, the sequencer gives them positions, and those who wait are woken. Each look is in one
// of four states:
// - planned: by a timer, 25 ms after something came and up to 250 ms in quiet times; or at once, or soon, after our own commit;
// - running: one at a time. What is committed meanwhile is seen by the next look, which is planned when this one ends;
// - failing: every 250 ms until the database answers. Commits do not hasten it. Told once when it begins and once when it ends;
// - closed: no look begins any more, and close() waits for the one that runs.
//
// What must always hold:
// - However many wait, the database is asked the same: a waiter that is woken reads from memory or asks for its own rows.
// - Nothing is told before it may be read: `readable` moves after the lists know what was passed (`onPassed`) and before the
//   waiters are woken, or a woken waiter would look, find nothing, and wait for the next content.
// - A content is told by its position when it is visible, and by its id when the fence has passed it: a transaction that stays
//   open holds the lists alone, and no consumer.
// - Lists are told nothing that a look found with the fence before restart(): its ids were given anew.
// - A look that fails forgets no row. What was not on disk by then is looked for again, and may be told twice.
import type { PositionedRow } from '../store/positions.ts';
import type { Fence, Row } from './fence.ts';
import type { Sequencer } from './sequencer.ts';

/** The part of an AbortSignal that a call needs which waits: it ends when nobody waits for the answer any more. */
export type Cancellation = Pick<AbortSignal, 'aborted' | 'reason' | 'addEventListener' | 'removeEventListener'>;

export interface Tail {
  /** The highest position that this process knows; what a claim finds above it is right too. */
  readonly lastPosition: number;
  /** The highest id that a list may hand out: every content up to it was told to those who wait. */
  readonly readableId: number;
  /** Resolves when the first looks are done and `readable` is not far behind for want of time. */
  readonly booted: Promise<void>;
  /** For so long it has been standing before a row that is still being written, in seconds; 0 = it is not. */
  readonly heldSeconds: number;
  /** How long ago the last look succeeded, in ms: what is known from memory is as old as this. */
  readonly age: number;
  /** Calls `wake` whenever a content of this user gets its position; returns what ends it. Runs no query. */
  onPlaced(userId: number, wake: (placed: PositionedRow) => void): () => void;
  /** Calls `wake` whenever the fence passes a content of this user; returns what ends it. Runs no query. */
  onReadable(userId: number, wake: (row: Row) => void): () => void;
  /** Something was committed by this process: look at once, or soon when it is busy. */
  nudge(rows?: number): void;
  /** Goes on with others: the table was emptied or restored. */
  restart(parts: Pick<TailParts, 'fence' | 'sequencer'>): void;
  close(): Promise<void>;
}

export interface TailParts {
  readonly fence: Fence;
  /** None at the as-is level. */
  readonly sequencer: Sequencer | undefined;
  /** Rows without a position that the fence has passed all the same. */
  readonly swept?: () => readonly Row[];
  /** Told when the looks begin to fail, and when they succeed again. */
  readonly onError?: (error: unknown) => void;
  /** Told of every row that the fence has passed, before those who wait are woken. */
  readonly onPassed?: (rows: readonly Row[]) => void;
  /** How long a look took that found contents for consumers, in ms. */
  readonly onLook?: (ms: number) => void;
  readonly now?: () => number;
}

// Rows of other writers are looked for this often: soon after something came, rarely after a quiet while.
const SOON_MS = 25;
const SELDOM_MS = 250;
// For so long after the last row gaps are probed and rows become old enough to be handed out.
const LIVELY_MS = 300;
// Our own commits are looked at at once while they are few. Each look costs about as much as a commit of the writer, so
// under load they are paced, up to 20 a second: ingest keeps its speed, and nobody needs more at that rate.
const QUIET_ROWS_PER_SECOND = 1_000;
const BUSY_ROWS_PER_SECOND = 5_000;
const BUSY_GAP_MS = 50;
const RATE_WINDOW_MS = 200;
// After a start gaps are judged first; lists wait for it, but not for somebody's long transaction.
const BOOT_MS = 4_000;

type Listeners<T> = Map<number, Set<(value: T) => void>>;

export function createTail(parts: TailParts): Tail {
  const { swept = () => [], onError = () => {}, onPassed = () => {}, onLook = () => {} } = parts;
  const { now = () => performance.now() } = parts;
  let { fence, sequencer } = parts;
  const placedListeners: Listeners<PositionedRow> = new Map();
  const readableListeners: Listeners<Row> = new Map();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let nudged = false;
  let closed = false;
  let failing = false;
  let succeededAt = now();
  let readable = fence.deliveredId;
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

  async function look(): Promise<void> {
    const began = now();
    lookedAt = began;
    const those = fence;
    try {
      const fresh = await fence.tick();
      if (sequencer) {
        const placed = await sequencer.run([...swept(), ...fresh]);
        dispatch(placedListeners, placed);
        if (placed.length > 0) onLook(now() - began);
        // Its commit has put on disk what was seen before: the next look may hand that out.
        if (placed.length > 0 && !fence.settled) nudged = true;
      }
      const passed = await fence.passed();
      if (those !== fence) return;
      if (passed.length > 0) onPassed(passed);
      readable = fence.deliveredId;
      if (fence.settled) boot();
      dispatch(readableListeners, passed);
      if (fresh.length > 0) livelyUntil = now() + LIVELY_MS;
      quietMs = now() < livelyUntil ? SOON_MS : Math.min(SELDOM_MS, quietMs * 2);
      succeededAt = began;
      if (failing) onError(undefined);
      failing = false;
    } catch (error) {
      sequencer?.startOver();
      quietMs = SELDOM_MS;
      if (!failing && !closed) onError(error);
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
    const at = nudged && !failing ? lookedAt + gap() : now() + quietMs;
    const wait = Math.max(0, at - now());
    clearTimeout(timer);
    // What else is committed in this turn of the event loop is seen by the same look.
    if (wait < 1 && nudged) timer = undefined;
    if (wait < 1 && nudged) void setImmediate(() => !running && !closed && start());
    else timer = setTimeout(start, wait);
  }

  /** The least time between two looks while our own rows come: 0 when they are few. */
  function gap(): number {
    const share = (rate - QUIET_ROWS_PER_SECOND) / (BUSY_ROWS_PER_SECOND - QUIET_ROWS_PER_SECOND);
    return BUSY_GAP_MS * Math.min(1, Math.max(0, share));
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
    get lastPosition() {
      return sequencer?.head ?? 0;
    },
    get age() {
      return now() - succeededAt;
    },
    get readableId() {
      return readable;
    },
    get heldSeconds() {
      return fence.heldSeconds;
    },
    booted,
    onPlaced: (userId, wake) => listen(placedListeners, userId, wake),
    onReadable: (userId, wake) => listen(readableListeners, userId, wake),
    nudge(rows = 1) {
      count(rows);
      if (nudged) return;
      nudged = true;
      plan();
    },
    restart(next) {
      ({ fence, sequencer } = next);
      readable = fence.deliveredId;
    },
    async close() {
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
