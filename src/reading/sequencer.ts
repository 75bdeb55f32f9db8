// The sequencer gives every content that has become visible a position in the order of visibility: a late one gets a late position.
//
// The shared table has ids in the order in which INSERTs began. A transaction that ends late brings a low id late, and a reader that
// goes by id has passed it by then. So each content gets a position when it is first seen, and the cursor of a consumer is a
// position. A late content gets a late position: no consumer waits for it, and none misses it.
//
// A content is in one of three states: visible and without a position (`waiting` here, or still to be found), positioned (it has
// a row in restante_position), and told (`run` has returned it). It only ever moves forward, but for `startOver` below.
//
// What must always hold:
// - Positions are dense, an id has one at most, and a position never changes its id: consumers compare nothing but positions.
// - Positions become visible in their order. One transaction at a time, of all processes, gives them: it locks the row 'seq'
//   before it chooses the first one, and COMMIT releases the lock.
// - `next` is where this process stands. Positions that other processes gave between two of our calls are read before our own are
//   told, so `run` returns every position once and in order.
// - A transaction whose end is unknown may have given its positions. The next one then compares each row with what is there.
// - A row that was seen may vanish when the server crashes before its log is flushed. On a server positions are therefore
//   copied from the rows within the transaction, and after a failed look `startOver` tells the newest positions again.
// - No row is forgotten when the database fails: it stays in `waiting`. Rows that a process had seen when it died are found again
//   from the fence's mark, and by the sweep (below), which looks for contents without a position.
// What may never happen: a position that becomes visible after a higher one, for a cursor may have passed it by then; and a content
// that never gets a position, for no consumer would ever get it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../observe/log.ts';
import { type Db, failed } from '../store/db.ts';
import { type Assigned, type PositionedRow, rowsWithoutPosition, saveMark } from '../store/positions.ts';
import type { Row } from './fence.ts';
import { retry } from './retry.ts';

/** What the sequencer asks of a database; store/positions.ts has the SQL. */
export interface SequencerSource {
  /**
   * Gives the rows that have no position one, in one transaction that holds the lock on the next position. When `next` still is
   * the next position, no other process has given one to these rows, and they are not compared.
   */
  assign(rows: readonly Row[], next?: number): Promise<Assigned>;
  /** The position that will be given next, and the highest id that has one. */
  state(): Promise<{ readonly next: number; readonly highest: number }>;
  /** Positions from <= pos < to. */
  between(from: number, to: number): Promise<readonly PositionedRow[]>;
  /** Contents get their positions in the transaction that stores them (SQLite): these are read before any others are given. */
  readonly assignedOnInsert?: boolean;
}

export type Sequencer = Awaited<ReturnType<typeof createSequencer>>;

// A transaction holds the lock that all processes share: between short ones others get it.
const MOST_ROWS = 2_000;
const MOST_READ = 5_000;

/** Starts at the present end: consumers find earlier positions by their own queries. */
export async function createSequencer(source: SequencerSource) {
  const start = await source.state();
  let next = start.next;
  let waiting: Row[] = [];
  let news: PositionedRow[] = [];
  // Ids to which other processes gave a position, and which this one has not seen by itself yet.
  const assignedByOthers = new Set<number>();
  // True when the last transaction failed, and may have been committed all the same.
  let doubtful = false;

  async function readOthers(end: number): Promise<void> {
    while (next < end) {
      const to = Math.min(end, next + MOST_READ);
      const part = await source.between(next, to);
      for (const { id } of part) assignedByOthers.add(id);
      news = news.concat(part);
      next = to;
    }
  }

  async function assign(rows: readonly Row[]): Promise<void> {
    // `delete` tells whether the id was there: a row is seen once.
    const batch = rows.filter(({ id }) => !assignedByOthers.delete(id));
    if (batch.length === 0) return;
    const fresh = !doubtful && batch.every(({ id }) => id > start.highest);
    doubtful = true;
    // After a crash of the database rows come again that have their positions: then each is compared.
    const { first, assigned } = await source.assign(batch, fresh ? next : undefined).catch((error: unknown) => {
      if (!fresh || !failed(error, 'duplicate')) throw error;
      return source.assign(batch);
    });
    await readOthers(first);
    for (const { id } of batch) assignedByOthers.delete(id);
    news = news.concat(assigned);
    next = first + assigned.length;
    doubtful = false;
  }

  return {
    /** The highest position that this process knows. */
    get lastPosition() {
      return next - 1;
    },
    /** Rows that were seen and may have no position yet. */
    get waiting(): readonly Row[] {
      return waiting;
    },
    /**
     * After a failed look: a server that started anew may have lost positions that were read before they were on disk. The newest
     * are told again.
     */
    startOver(): void {
      next = Math.max(start.next, next - MOST_READ);
      assignedByOthers.clear();
      doubtful = true;
    },
    /**
     * Gives new rows their positions. Resolves with all positions that any process gave since the last call, in their order.
     * Rejects when the database fails: nothing is forgotten, and the next call goes on.
     */
    async run(rows: readonly Row[]): Promise<readonly PositionedRow[]> {
      waiting = waiting.concat(rows);
      if (waiting.length === 0 || source.assignedOnInsert) await readOthers((await source.state()).next);
      while (waiting.length > 0) {
        await assign(waiting.slice(0, MOST_ROWS));
        waiting = waiting.slice(MOST_ROWS);
      }
      const given = news;
      news = [];
      return given;
    },
  };
}

// The sweep behind the sequencer: finds contents that have no position though the fence has passed them, part by part.
//
// First, once: all between the mark 'backfill' and the id where the fence began, for contents that are older than the table of
// positions. Then every minute the newest 200,000 ids, and once a day all ids. What is found goes to the sequencer, which compares
// it, so finding a content twice does no harm. A failed search goes on where it was, after a pause, and never gives up.

const PART_IDS = 20_000;

// Rows below the fence are not expected: another application chose an id of its own, or a node of a cluster was not seen.
const EVERY_MS = 60_000;
const NEWEST = 200_000;
const FULL_EVERY = 24 * 60;
// Between two parts other queries get the database.
const PAUSE_MS = 20;
const ENOUGH_WAITING = 10_000;

interface SweepParts {
  readonly db: Db;
  /** The first sweep looks at from < id <= to, where contents may be older than the table of positions. */
  readonly from: number;
  readonly to: number;
  /** The id up to which every content should have a position. */
  readonly readableId: () => number;
  readonly log: Pick<Log, 'warn'>;
}

export function createSweep({ db, from, to, readableId, log }: SweepParts) {
  let found: Row[] = [];
  const ending = new AbortController();
  const { signal } = ending;

  /** After a failure of the database it goes on where it was. */
  async function sweep(low: number, high: number, done?: (upTo: number) => Promise<void>): Promise<void> {
    let at = low;
    async function parts(): Promise<void> {
      while (at < high && !signal.aborted) {
        const end = Math.min(high, at + PART_IDS);
        const rows = await rowsWithoutPosition(db, at, end, MOST_ROWS);
        found = found.concat(rows);
        at = rows.length === MOST_ROWS ? (rows.at(-1) as Row).id : end;
        await done?.(at);
        do await sleep(PAUSE_MS);
        while (found.length > ENOUGH_WAITING && !signal.aborted);
      }
    }
    await retry(parts, { log, message: 'cannot look for contents without a position; trying again', signal });
  }

  // The mark follows what the sequencer got: at most the last part is compared again after a crash.
  let before = from;
  const mark = async (upTo: number) => {
    await saveMark(db, 'backfill', before);
    before = upTo;
  };
  async function run(): Promise<void> {
    await sweep(from, to, mark);
    for (let rounds = 1; ; rounds++) {
      await sleep(EVERY_MS, undefined, { signal, ref: false });
      const high = readableId();
      await sweep(rounds % FULL_EVERY === 0 ? 0 : Math.max(0, high - NEWEST), high);
    }
  }
  run().catch(() => {}); // it rejects only when it was closed

  return {
    /** What was found since the last call. */
    take(): readonly Row[] {
      const rows = found;
      found = [];
      return rows;
    },
    close: () => ending.abort(),
  };
}
