// The slow broom behind the sequencer: finds contents that have no position though the fence has passed them, part by part.
//
// First, once: everything between the mark 'backfill' and the id where the fence began, for contents that are older than the
// table of positions. Then every minute the newest 200,000 ids, and once a day all ids. What is found goes to the sequencer,
// which compares it, so finding a content twice does no harm. A failed search goes on where it was, after a pause. It never
// gives up: without it a content that the fence never saw would stay without a position, and no consumer would ever get it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../store/db.ts';
import { saveMark, unplacedRows } from '../store/positions.ts';
import type { Row } from './fence.ts';
import { retry } from './retry.ts';
import type { Log } from './trouble.ts';

export interface Sweep {
  /** What was found since the last call. */
  take(): readonly Row[];
  close(): void;
}

const PART_IDS = 20_000;
const MOST_ROWS = 2_000;
// Rows below the fence are not expected: they mean that somebody inserted an id of his own, or that a cluster's node was
// not seen. The newest ones are looked at every minute, all of them once a day.
const EVERY_MS = 60_000;
const NEWEST = 200_000;
const FULL_EVERY = 24 * 60;
// Between two parts: others want the database too.
const PAUSE_MS = 20;
const ENOUGH_WAITING = 10_000;

export interface SweepParts {
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
