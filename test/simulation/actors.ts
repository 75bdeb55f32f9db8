// Who lives beside Restante: foreign applications that write as they please, processes that stop and go on, crashes.
import { StoreError } from '../../src/store/db.ts';
import type { Content, Contents } from './contents.ts';
import type { Database, Delay, Transaction } from './database.ts';
import type { World } from './world.ts';

export interface WriterOptions {
  /** When they stop, in virtual ms. */
  readonly until: number;
  /** The longest pause inside a transaction. */
  readonly pauseMs: number;
  /** The longest pause between two transactions. */
  readonly idleMs: number;
  /** The most rows of one statement. */
  readonly rows: number;
  readonly deletes: boolean;
  /** From when to when nobody begins anything. */
  readonly lull: readonly [number, number];
}

/** Errors of the database end what an actor was doing, not the actor. */
export const survive = async (work: Promise<unknown>): Promise<boolean> => {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof StoreError) return false;
    throw error;
  }
};

const delayOf =
  (world: World, slowest: number): Delay =>
  () =>
    world.sleep(world.chance(0.95) ? 0.05 + world.random() : world.random() * slowest);

// Enough to hold the others up; what counts is how many worlds there are, not how long one lasts.
const MOST_TRANSACTIONS = 25;

/** One foreign connection: autocommit, multi-row, INSERT … SELECT, long transactions, savepoints, rollbacks, deletes, kills. */
export async function foreignWriter(
  world: World,
  db: Database,
  contents: Contents,
  options: WriterOptions,
): Promise<void> {
  const delay = delayOf(world, 20);

  async function transactionOf(statements: number): Promise<void> {
    const transaction = db.begin(delay);
    try {
      for (let i = 0; i < statements; i++) {
        const savepoint = transaction.savepoint();
        await contents.insert(transaction, world.int(1, options.rows), world.chance(0.15));
        if (statements > 1 && world.chance(0.15)) transaction.rollbackTo(savepoint);
        if (statements > 1) await world.sleep(world.random() ** 3 * options.pauseMs);
      }
      if (world.chance(statements > 1 ? 0.3 : 0.08)) {
        world.note(() => 'a transaction is rolled back');
        transaction.rollback();
      } else await transaction.commit();
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  async function removal(): Promise<void> {
    const victim = contents.visible(0).at(-world.int(1, 8));
    if (!victim) return;
    const transaction = db.begin(delay);
    try {
      await transaction.lock(contents.table, victim.id);
      if (transaction.read(contents.table, victim.id)) transaction.write(contents.table, victim.id, undefined);
      await world.sleep(world.random() ** 3 * options.pauseMs);
      if (world.chance(0.3)) transaction.rollback();
      else await transaction.commit();
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  for (let i = 0; i < MOST_TRANSACTIONS && world.now() < options.until; i++) {
    await world.sleep(world.random() ** 2 * options.idleMs);
    const [from, to] = options.lull;
    if (world.now() > from && world.now() < to) await world.sleep(to - world.now());
    if (!db.up) continue;
    if (options.deletes && world.chance(0.1)) await survive(removal());
    else await survive(transactionOf(world.chance(0.7) ? 1 : world.int(2, 4)));
  }
}

/** A process of ours: it may be stopped for a while or killed, and remembers when its last commit was sent. */
export interface Process {
  readonly delay: Delay;
  readonly flushedAt: () => number;
  /** Runs `work` in a transaction as our store does: again after a lost connection, not after an unknown outcome. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Stops it for so long, wherever it is. */
  pause(ms: number): void;
  /** Nothing of it acts any more. */
  kill(): void;
  readonly alive: boolean;
}

/** Thrown into what a killed process was doing. */
const KILLED = new StoreError('away', new Error('this process was killed'));
const TRIES = 5;

const AGAIN = new StoreError('again', new Error('a deadlock'));
const CUT = new StoreError('away', new Error('the connection was cut'));
const CUT_AT_COMMIT = new StoreError('unknown', new Error('the connection was cut while COMMIT was under way'));

export interface ProcessOptions {
  /** The longest a message takes, in ms. */
  readonly slowestMs: number;
  /** How many of its transactions fail by themselves. */
  readonly faults: number;
}

export function createProcess(world: World, db: Database, { slowestMs, faults }: ProcessOptions): Process {
  const network = delayOf(world, slowestMs);
  let flushed = Number.NEGATIVE_INFINITY;
  let pausedUntil = 0;
  let alive = true;
  const open = new Set<Transaction>();

  async function delay(): Promise<void> {
    await network();
    while (alive && world.now() < pausedUntil) await world.sleep(pausedUntil - world.now());
    if (!alive) throw KILLED;
  }
  async function once<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const transaction = db.begin(delay);
    open.add(transaction);
    try {
      const result = await work(transaction);
      const sent = world.now();
      const { wrote } = transaction;
      if (world.chance(faults)) throw world.pick([AGAIN, CUT]);
      await transaction.commit();
      // It is done, and nobody will tell.
      if (world.chance(faults)) throw CUT_AT_COMMIT;
      // Where COMMIT does not wait for the disk, ours proves nothing.
      if (wrote && db.durability !== 'lazy') flushed = Math.max(flushed, sent);
      return result;
    } catch (error) {
      transaction.rollback();
      throw error;
    } finally {
      open.delete(transaction);
    }
  }
  return {
    delay,
    flushedAt: () => flushed,
    async transaction(work) {
      for (let tries = 1; ; tries++) {
        try {
          return await once(work);
        } catch (error) {
          const again = error instanceof StoreError && (error.failure === 'again' || error.failure === 'away');
          if (!again || tries === TRIES || !alive) throw error;
        }
      }
    },
    pause(ms) {
      world.note(() => `a process is stopped for ${ms.toFixed(0)} ms`);
      pausedUntil = world.now() + ms;
    },
    kill() {
      alive = false;
      for (const transaction of open) transaction.rollback();
    },
    get alive() {
      return alive;
    },
  };
}

/** Contents that a process of ours receives and commits. */
export async function ownWriter(
  world: World,
  process: Process,
  contents: Contents,
  { until, idleMs, lull: [from, to] }: Pick<WriterOptions, 'until' | 'idleMs' | 'lull'>,
): Promise<void> {
  for (let i = 0; i < MOST_TRANSACTIONS && process.alive && world.now() < until; i++) {
    await world.sleep(world.random() * idleMs);
    if (world.now() > from && world.now() < to) await world.sleep(to - world.now());
    await survive(
      process.transaction(
        (transaction): Promise<readonly Content[]> => contents.insert(transaction, world.int(1, 3), false),
      ),
    );
  }
}
