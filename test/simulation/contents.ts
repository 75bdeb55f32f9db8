// The shared table as InnoDB keeps it: ids are taken before rows are placed, rows before they are committed.
import { StoreError } from '../../src/store/db.ts';
import type { FenceSource, Range } from '../../src/store/fence/source.ts';
import type { Database, Delay, Table, Transaction } from './database.ts';
import type { World } from './world.ts';

/** `user_id` is never the same for two contents: it tells them apart when an id is given twice. */
export interface Content {
  readonly id: number;
  readonly user_id: number;
  readonly wh_id: number;
}

export interface ContentsOptions {
  /** auto_increment_increment. */
  readonly step: number;
  /** Whether an account may see the statements that run, each from before it takes an id: never, always, now and then. */
  readonly evidence: 'none' | 'all' | 'patchy';
  /** The longest time between the taking of an id and the placing of its row, in ms. */
  readonly stallMs: number;
  /** A look does not tell that the server was started anew since the last one. */
  readonly restartsUnnoticed: boolean;
  /** A running statement is shown only some time after it has taken its id. */
  readonly lateEvidence: boolean;
}

export interface Contents {
  /** Resolves when somebody is shown a row that is not on disk. */
  exposed(): Promise<void>;
  /** Somebody is shown these. */
  show(rows: readonly Content[]): readonly Content[];
  readonly table: Table<Content>;
  /** One INSERT of `count` rows inside a transaction. `bulk`: INSERT … SELECT, which takes ids as it goes, some too many. */
  insert(transaction: Transaction, count: number, bulk: boolean): Promise<readonly Content[]>;
  /** Committed rows with id > after, ascending; the one snapshot of everybody's. */
  visible(after: number): readonly Content[];
  /** The id up to which all have a row that can be seen. */
  full(): number;
  /** What the fence sees of it through a process with this connection. */
  source(delay: Delay, minAgeMs: number, flushedAt: () => number): FenceSource;
}

export const FIRST_ID = 27;
// As in a list of transactions, where a statement has its number a moment after it has its id.
const LATE_MS = 20;

const RESTARTED = new StoreError('away', new Error('the server was restarted since the last look'));

export function createContents(world: World, db: Database, options: ContentsOptions): Contents {
  const table = db.table<Content>('tblwh');
  const running = new Map<object, string>();
  let counter = FIRST_ID - 1;
  let highestOnDisk = counter;
  let highestPlaced = counter;
  let serial = 0;
  let statements = 0;

  const onDisk = new Set<number>();
  const watchers: (() => void)[] = [];
  db.onDurable((in_, _, value) => {
    if (in_ === (table as Table<unknown>)) onDisk.add((value as Content).user_id);
  });
  function show(rows: readonly Content[]): readonly Content[] {
    if (watchers.length > 0 && rows.some(({ user_id }) => !onDisk.has(user_id)))
      for (const tell of watchers.splice(0)) tell();
    return rows;
  }

  // A number is in the log once a row was placed with it, whether or not that was committed.
  db.onFlush(() => {
    const logged = highestPlaced;
    return () => {
      highestOnDisk = Math.max(highestOnDisk, logged);
    };
  });
  db.onRecovered(() => {
    running.clear();
    counter = world.chance(0.5) ? highestOnDisk : world.int(highestOnDisk, highestPlaced);
    highestPlaced = counter;
  });

  function take(): number {
    counter += options.step - ((counter - 1) % options.step);
    return counter;
  }
  const stall = () =>
    world.sleep(world.chance(0.7) ? world.random() : world.random() * world.random() * options.stallMs);
  let sorted: Content[] = [];
  let sortedAt = -1;
  /** The first row with an id above `after`, in `sorted`. */
  function above(after: number): number {
    let low = 0;
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as Content).id > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }
  function visible(after: number): readonly Content[] {
    if (sortedAt !== table.version) sorted = [...table.rows.values()].sort((a, b) => a.id - b.id);
    sortedAt = table.version;
    return sorted.slice(above(after));
  }
  function within(ranges: readonly Range[]): Content[] {
    visible(Number.POSITIVE_INFINITY);
    return ranges.flatMap(([from, to]) => sorted.slice(above(from - 1), above(to)));
  }

  /** One INSERT, from the moment the server begins with it until it is done. */
  async function run(transaction: Transaction, count: number, bulk: boolean): Promise<readonly Content[]> {
    const placed: Content[] = [];
    const ids: number[] = [];
    const chunk = bulk ? 1 : count;
    for (let chunks = 0; placed.length < count; chunks++) {
      // INSERT … SELECT takes 1, 2, 4 … ids at a time; what is left over is never used.
      const size = chunk << chunks;
      for (let i = 0; i < size; i++) ids.push(take());
      world.note(() => `takes ids ${ids.slice(-size).join(' ')}`);
      for (let i = 0; i < size && placed.length < count; i++) {
        await stall();
        const id = ids[ids.length - size + i] as number;
        const content = { id, user_id: ++serial, wh_id: world.int(1, 2) };
        transaction.write(table, id, content);
        highestPlaced = Math.max(highestPlaced, id);
        world.note(() => `places ${id}`);
        placed.push(content);
      }
    }
    return placed;
  }

  return {
    exposed: () => new Promise((resolve) => watchers.push(resolve)),
    show,
    table,
    visible,
    full() {
      let id = FIRST_ID - 1;
      while (table.rows.has(id + 1)) id++;
      show(visible(0).filter((row) => row.id <= id));
      return id;
    },
    async insert(transaction, count, bulk) {
      const key = `s${++statements}`;
      const me = {};
      let ended = false;
      await world.sleep(world.random());
      if (options.lateEvidence)
        world.spawn(async () => {
          await world.sleep(world.random() * LATE_MS);
          if (!ended) running.set(me, key);
        });
      else running.set(me, key);
      try {
        return await run(transaction, count, bulk);
      } finally {
        ended = true;
        running.delete(me);
      }
    },
    source(delay, minAgeMs, flushedAt) {
      let life = db.life;
      return {
        ordered: false,
        minAgeMs,
        flushedAt,
        look: (after, holes, limit) =>
          db.ask(delay, () => {
            if (!options.restartsUnnoticed && life !== db.life) {
              life = db.life;
              throw RESTARTED;
            }
            const rows = show(visible(after).slice(0, limit));
            const late = within(holes).filter(({ id }) => id <= after);
            world.note(
              () =>
                `look after ${after}: ${rows.map(({ id }) => id).join(' ')} late ${late.map(({ id }) => id).join(' ')}`,
            );
            return { rows, late };
          }),
        async probe(ranges) {
          // One statement, but it walks from range to range.
          let clean = true;
          for (let from = 0; from < ranges.length && clean; ) {
            const some = ranges.slice(from, world.chance(0.3) ? from + 1 : undefined);
            from += some.length;
            clean = await db.ask(delay, () => {
              for (const id of table.locks.keys()) if (some.some(([from, to]) => id >= from && id <= to)) return false;
              return within(some).length === 0;
            });
          }
          world.note(
            () =>
              `probe ${ranges.map((range) => range.join('-')).join(' ')}: ${clean ? 'empty' : 'something is there'}`,
          );
          return clean;
        },
        writers: () =>
          db.ask(delay, () => {
            world.note(() => `writers: ${[...running.values()].join(' ')}`);
            const seen = options.evidence === 'all' || (options.evidence === 'patchy' && world.chance(0.6));
            return seen ? new Set(running.values()) : null;
          }),
        top: () => db.ask(delay, () => counter),
        blockers: () => db.ask(delay, () => [...running.values()]),
      };
    },
  };
}
