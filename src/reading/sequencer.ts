// Copies every content that has become visible into the order of visibility, so that a late one gets a late position.
//
// The shared table has ids in the order in which INSERTs began. A transaction that ends late brings a low id late, and a reader
// that keeps its place by id has passed it by then. So each content gets a position when it is first seen, and consumers keep
// their places by position. A late content gets a late position: no consumer waits for it, and none misses it.
//
// A content is in one of three states: visible and without a position (`waiting` here, or still to be found), placed (it has a
// row in restante_position), and told (`run` has returned it). It only ever moves forward, but for `startOver` below.
//
// What must always hold:
// - Positions are dense, an id has one at most, and a position never changes its id: consumers compare nothing but positions.
// - Positions become visible in their order. One transaction at a time, of all processes, gives them: it locks the row 'seq'
//   before it chooses the first one, and COMMIT releases the lock. Otherwise a cursor could pass a position not yet committed.
// - `next` is where this process stands. What others placed between two of our calls is read before our own is told, so `run`
//   returns every position once and in order.
// - A transaction whose end is unknown may have placed its rows. The next one then compares each row with what is there.
// - A row that was seen may vanish when the server crashes before its log is flushed. On a server positions are therefore
//   copied from the rows within the transaction, and after a failed look `startOver` tells the newest positions again.
// - No row is forgotten when the database fails: it stays in `waiting`. What a process that died had seen is found again by the
//   fence's mark, and by sweep.ts, which looks for contents without a position.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../observe/log.ts';
import { type Db, failed } from '../store/db.ts';
import { type Placing, type PositionedRow, saveMark, unplacedRows } from '../store/positions.ts';
import type { Row } from './fence.ts';
import { retry } from './retry.ts';

// The slow broom behind the sequencer: finds contents that have no position though the fence has passed them, part by part.
//
// First, once: everything between the mark 'backfill' and the id where the fence began, for contents that are older than the
// table of positions. Then every minute the newest 200,000 ids, and once a day all ids. What is found goes to the sequencer,
// which compares it, so finding a content twice does no harm. A failed search goes on where it was, after a pause. It never
// gives up: without it a content that the fence never saw would stay without a position, and no consumer would ever get it.

interface Sweep {
  /** What was found since the last call. */
  take(): readonly Row[];
  close(): void;
}

const PART_IDS = 20_000;

// Rows below the fence are not expected: they mean that somebody inserted an id of his own, or that a cluster's node was
// not seen. The newest ones are looked at every minute, all of them once a day.
const EVERY_MS = 60_000;
const NEWEST = 200_000;
const FULL_EVERY = 24 * 60;
// Between two parts: others want the database too.
const PAUSE_MS = 20;
const ENOUGH_WAITING = 10_000;

interface SweepParts {
  readonly db: Db;
  /** It begins with from < id <= to, where contents may have been there before their positions were. */
  readonly from: number;
  readonly to: number;
  /** Up to where every content should have a position. */
  readonly readable: () => number;
  readonly log: Pick<Log, 'warn'>;
}

export function createSweep({ db, from, to, readable, log }: SweepParts): Sweep {
  let found: Row[] = [];
  let rounds = 0;
  let timer: NodeJS.Timeout | undefined;
  const ending = new AbortController();
  const { signal } = ending;

  /** Goes on where it was when the database has failed. */
  async function sweep(low: number, high: number, done?: (upTo: number) => Promise<void>): Promise<void> {
    let at = low;
    async function parts(): Promise<void> {
      while (at < high && !signal.aborted) {
        const end = Math.min(high, at + PART_IDS);
        const rows = await unplacedRows(db, at, end, MOST_ROWS);
        found = found.concat(rows);
        at = rows.length === MOST_ROWS ? (rows.at(-1) as Row).id : end;
        await done?.(at);
        do await sleep(PAUSE_MS);
        while (found.length > ENOUGH_WAITING && !signal.aborted);
      }
    }
    await retry(parts, { log, message: 'cannot look for contents without a position; trying again', signal });
  }

  async function again(): Promise<void> {
    const high = readable();
    rounds++;
    await sweep(rounds % FULL_EVERY === 0 ? 0 : Math.max(0, high - NEWEST), high);
  }

  // The mark follows what was handed to the sequencer: at most the last part is compared again after a crash.
  let before = from;
  const mark = async (upTo: number) => {
    await saveMark(db, 'backfill', before);
    before = upTo;
  };
  function then(swept: Promise<void>): void {
    swept.then(
      () => {
        if (!signal.aborted) timer = setTimeout(() => then(again()), EVERY_MS).unref();
      },
      // Only when it was closed meanwhile.
      () => {},
    );
  }
  then(sweep(from, to, mark));

  return {
    take() {
      const rows = found;
      found = [];
      return rows;
    },
    close() {
      ending.abort();
      clearTimeout(timer);
    },
  };
}

/** What the sequencer asks of a database; store/positions.ts has the SQL. */
export interface SequencerSource {
  /**
   * In one transaction that holds the lock on the next position: positions for the rows that have none. When `next` still
   * is the next position the rows are new to everybody, and are not compared.
   */
  place(rows: readonly Row[], next?: number): Promise<Placing>;
  /** The position that will be given next, and the highest id that has one. */
  state(): Promise<{ readonly next: number; readonly highest: number }>;
  /** Positions from <= pos < to. */
  between(from: number, to: number): Promise<readonly PositionedRow[]>;
  /** Whoever stores contents gives them their positions too (SQLite): what was given is read before anything is placed. */
  readonly placedOnInsert?: boolean;
}

export interface Sequencer {
  /** The highest position that this process knows. */
  readonly head: number;
  /** Rows that were seen and may have no position yet. */
  readonly waiting: readonly Row[];
  /**
   * Places what is new and resolves with all positions given since the last call, by whichever process, in their order.
   * Rejects when the database fails; nothing is forgotten, the next call goes on.
   */
  run(rows: readonly Row[]): Promise<readonly PositionedRow[]>;
  /**
   * After a look that failed: a server that started anew may have taken back positions that were read before they were on
   * disk. The newest are told again.
   */
  startOver(): void;
}

// A transaction holds the lock of all processes: short ones let others in between.
const MOST_ROWS = 2_000;
const MOST_READ = 5_000;

/** Starts at the present end: what was placed before is found by those who look for it. */
export async function createSequencer(source: SequencerSource): Promise<Sequencer> {
  const start = await source.state();
  let next = start.next;
  let waiting: Row[] = [];
  let news: PositionedRow[] = [];
  // What other processes placed and this one has not seen by itself yet.
  const placedByOthers = new Set<number>();
  // True when the last transaction may have been committed though it failed.
  let doubtful = false;

  async function readOthers(end: number): Promise<void> {
    while (next < end) {
      const to = Math.min(end, next + MOST_READ);
      const part = await source.between(next, to);
      for (const { id } of part) placedByOthers.add(id);
      news = news.concat(part);
      next = to;
    }
  }

  async function place(rows: readonly Row[]): Promise<void> {
    // `delete` tells whether it was there: a row is seen once.
    const batch = rows.filter(({ id }) => !placedByOthers.delete(id));
    if (batch.length === 0) return;
    const fresh = !doubtful && batch.every(({ id }) => id > start.highest);
    doubtful = true;
    // After a crash of the database rows come that were placed before: then each is compared.
    const { first, placed } = await source.place(batch, fresh ? next : undefined).catch((error: unknown) => {
      if (!fresh || !failed(error, 'duplicate')) throw error;
      return source.place(batch);
    });
    await readOthers(first);
    for (const { id } of batch) placedByOthers.delete(id);
    news = news.concat(placed);
    next = first + placed.length;
    doubtful = false;
  }

  return {
    get head() {
      return next - 1;
    },
    get waiting() {
      return waiting;
    },
    startOver() {
      next = Math.max(start.next, next - MOST_READ);
      placedByOthers.clear();
      doubtful = true;
    },
    async run(rows) {
      waiting = waiting.concat(rows);
      if (waiting.length === 0 || source.placedOnInsert) await readOthers((await source.state()).next);
      while (waiting.length > 0) {
        await place(waiting.slice(0, MOST_ROWS));
        waiting = waiting.slice(MOST_ROWS);
      }
      const given = news;
      news = [];
      return given;
    },
  };
}
