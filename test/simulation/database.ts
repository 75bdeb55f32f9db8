// A database in memory that fails like a real one: row locks, commits that are visible before they are on disk, crashes.
import { StoreError } from '../../src/store/db.ts';
import type { World } from './world.ts';

export interface DatabaseOptions {
  /**
   * binlog: a commit is on disk before it can be seen; what is on disk and not seen yet is recovered.
   * redo: it can be seen before it is on disk, but is on disk when COMMIT returns, with all commits before it.
   * lazy: it is on disk about a second after COMMIT returned.
   */
  readonly durability: 'binlog' | 'redo' | 'lazy';
  /** The longest a flush takes, in ms. A commit may wait for two. */
  readonly flushMs: number;
}

/** Values by key. A key that is locked and has no value yet is a row that was placed and is not committed. */
export interface Table<V> {
  readonly name: string;
  readonly rows: Map<number, V>;
  /** Grows with each change of `rows`. */
  version: number;
  readonly locks: Map<number, Lock>;
}
interface Lock {
  holder: object;
  readonly queue: ((holder: boolean) => void)[];
}
interface Write {
  readonly table: Table<unknown>;
  readonly key: number;
  readonly value: unknown;
}

export interface Transaction {
  /** The latest committed value, or what this transaction wrote. */
  read<V>(table: Table<V>, key: number): V | undefined;
  /** All values with from <= key <= to, by key. */
  scan<V>(table: Table<V>, from: number, to: number): [key: number, value: V][];
  /** Waits until nobody else holds the row. */
  lock(table: Table<unknown>, key: number): Promise<void>;
  write<V>(table: Table<V>, key: number, value: V | undefined): void;
  savepoint(): number;
  rollbackTo(savepoint: number): void;
  rollback(): void;
  /** Resolves when COMMIT has returned. */
  commit(): Promise<void>;
  readonly wrote: boolean;
  /** A round trip: what `work` does happens at one moment. Fails when the database was gone in between. */
  ask<T>(work: () => T): Promise<T>;
}

/** One end of a connection: how slow it is. */
export type Delay = () => Promise<void>;

export interface Database {
  table<V>(name: string): Table<V>;
  begin(delay: Delay): Transaction;
  /** A round trip outside any transaction, on whatever connection is alive. */
  ask<T>(delay: Delay, work: () => T): Promise<T>;
  /** Everything that is not on disk is gone, and so are all connections. */
  crash(downMs: number): Promise<void>;
  readonly up: boolean;
  readonly durability: DatabaseOptions['durability'];
  /** How often it was started. */
  readonly life: number;
  /** Called for each value that becomes visible, and for each that a crash takes back. */
  onVisible(see: (table: Table<unknown>, key: number, value: unknown) => void): void;
  onVanished(see: (table: Table<unknown>, key: number, value: unknown) => void): void;
  /** Called after a crash, before anybody can connect. */
  onRecovered(act: () => void): void;
  /** Called when a flush of the log begins; what it returns is called when it is done, with all that was in the log by then. */
  onFlush(begin: () => () => void): void;
  /** Called when commits reach the disk. */
  onDurable(see: (table: Table<unknown>, key: number, value: unknown) => void): void;
}

interface Commit {
  readonly writes: readonly Write[];
  readonly undo: (() => void)[];
}

// One for all: a stack for each would cost more than the rest of the run.
const AWAY = new StoreError('away', new Error('the connection is broken'));
const UNKNOWN = new StoreError('unknown', new Error('the connection broke while COMMIT was under way'));

export function createDatabase(world: World, { durability, flushMs }: DatabaseOptions): Database {
  const tables = new Map<string, Table<unknown>>();
  /** Visible, not on disk, in the order of the log. */
  let unflushed: Commit[] = [];
  let flushing: Promise<void> | undefined;
  /** On disk, not visible: recovery brings them back. */
  const prepared = new Set<readonly Write[]>();
  let life = 1;
  let up = true;
  type See = (table: Table<unknown>, key: number, value: unknown) => void;
  const seers: See[] = [];
  const vanishers: See[] = [];
  const durables: See[] = [];
  const recoveries: (() => void)[] = [];
  const flushers: (() => () => void)[] = [];

  const alive = (born: number) => {
    if (born !== life || !up) throw AWAY;
  };

  function apply(writes: readonly Write[]): Commit {
    const undo = writes.map(({ table, key, value }) => {
      const before = table.rows.get(key);
      table.version++;
      if (value === undefined) table.rows.delete(key);
      else table.rows.set(key, value);
      return () => {
        table.version++;
        if (value !== undefined && before === undefined) for (const see of vanishers) see(table, key, value);
        if (before === undefined) table.rows.delete(key);
        else table.rows.set(key, before);
      };
    });
    for (const { table, key, value } of writes)
      if (value !== undefined) for (const see of seers) see(table, key, value);
    return { writes, undo };
  }
  function settled(writes: readonly Write[]): void {
    for (const { table, key, value } of writes)
      if (value !== undefined) for (const see of durables) see(table, key, value);
  }

  /** One flush at a time, for everything that is in the log when it begins; who comes later waits for the next one. */
  async function flush(born: number, commit: Commit | undefined): Promise<void> {
    while (commit && unflushed.includes(commit)) {
      if (flushing) await flushing;
      else await flushOnce(born);
    }
    alive(born);
  }
  async function flushOnce(born: number): Promise<void> {
    const count = unflushed.length;
    const logged = flushers.map((begin) => begin());
    let over = () => {};
    flushing = new Promise((resolve) => {
      over = resolve;
    });
    try {
      await world.sleep(world.chance(0.7) ? world.random() : world.random() * flushMs);
      alive(born);
      for (const done of logged) done();
      for (const { writes } of unflushed.splice(0, count)) settled(writes);
    } finally {
      flushing = undefined;
      over();
    }
  }

  function release(table: Table<unknown>, key: number): void {
    const lock = table.locks.get(key);
    const next = lock?.queue.shift();
    if (next) next(true);
    else table.locks.delete(key);
  }

  function begin(delay: Delay): Transaction {
    const born = life;
    const me = {};
    let writes: Write[] = [];
    const held: [Table<unknown>, number][] = [];
    let open = up;
    let committing = false;

    function end(): void {
      open = false;
      if (born === life) for (const [table, key] of held) release(table, key);
      held.length = 0;
    }
    function check(): void {
      alive(born);
      if (!open) throw AWAY;
    }
    function take(table: Table<unknown>, key: number): Lock | undefined {
      const lock = table.locks.get(key);
      if (lock?.holder === me) return undefined;
      if (lock) return lock;
      table.locks.set(key, { holder: me, queue: [] });
      held.push([table, key]);
      return undefined;
    }

    return {
      get wrote() {
        return writes.length > 0;
      },
      read<V>(table: Table<V>, key: number) {
        const own = writes.findLast((write) => write.key === key && write.table === table);
        return own ? (own.value as V | undefined) : table.rows.get(key);
      },
      scan<V>(table: Table<V>, from: number, to: number) {
        const found = new Map<number, unknown>();
        for (const [key, value] of table.rows) if (key >= from && key <= to) found.set(key, value);
        for (const { table: in_, key, value } of writes)
          if (in_ === table && key >= from && key <= to) {
            if (value === undefined) found.delete(key);
            else found.set(key, value);
          }
        return [...found].sort((a, b) => a[0] - b[0]) as [number, V][];
      },
      async lock(table, key) {
        check();
        const taken = take(table, key);
        if (!taken) return;
        const granted = await new Promise<boolean>((resolve) => taken.queue.push(resolve));
        // Who has gone meanwhile lets the next one have it.
        if (granted && !open) release(table, key);
        check();
        taken.holder = me;
        held.push([table, key]);
      },
      write(table, key, value) {
        check();
        if (take(table, key)) throw new Error(`${table.name} ${key} is locked by somebody else`);
        writes.push({ table, key, value });
      },
      savepoint: () => writes.length,
      rollbackTo(savepoint) {
        check();
        for (const { table, key } of writes.splice(savepoint)) {
          // A row that was never committed is gone at once, and its lock with it.
          const at = table.rows.has(key) ? -1 : held.findIndex((one) => one[0] === table && one[1] === key);
          if (at >= 0) {
            held.splice(at, 1);
            release(table, key);
          }
        }
      },
      rollback() {
        if (committing) return;
        writes = [];
        end();
      },
      async commit() {
        check();
        await delay();
        check();
        const mine = writes;
        if (mine.length === 0) {
          end();
          return delay();
        }
        open = false;
        committing = true; // from here on the outcome is not the client's to choose
        try {
          if (durability === 'binlog') {
            const flushed = flushers.map((begin) => begin());
            await world.sleep(world.random() * flushMs);
            alive(born);
            for (const done of flushed) done();
            prepared.add(mine);
            settled(mine);
            await world.sleep(world.random() * flushMs);
            alive(born);
            prepared.delete(mine);
            apply(mine);
            end();
          } else {
            const commit = apply(mine);
            unflushed.push(commit);
            end();
            if (durability === 'redo') await flush(born, commit);
          }
          await delay();
          // The answer may have been on its way already when the database died.
          if ((born !== life || !up) && world.chance(0.5)) throw UNKNOWN;
        } catch (error) {
          throw error instanceof StoreError ? UNKNOWN : error;
        }
      },
      async ask(work) {
        check();
        await delay();
        check();
        const result = work();
        // The way back matters less than what happens between two statements: sometimes is enough.
        if (world.chance(0.3)) await delay();
        check();
        return result;
      },
    };
  }

  if (durability === 'lazy')
    world.spawn(async () => {
      for (;;) {
        await world.sleep(200 + world.random() * 900);
        if (up && !flushing) await flushOnce(life).catch(() => {});
      }
    });

  return {
    table<V>(name: string) {
      const found = tables.get(name) ?? { name, rows: new Map(), version: 0, locks: new Map() };
      tables.set(name, found);
      return found as Table<V>;
    },
    begin,
    durability,
    async ask(delay, work) {
      const born = life;
      await delay();
      alive(born);
      const result = work();
      await delay();
      if ((born !== life || !up) && world.chance(0.5)) throw AWAY;
      return result;
    },
    async crash(downMs) {
      if (!up) return;
      world.note(() => `CRASH of the database for ${downMs.toFixed(0)} ms, ${unflushed.length} commits not on disk`);
      up = false;
      life++;
      for (const table of tables.values()) {
        const locks = [...table.locks.values()];
        table.locks.clear();
        for (const { queue } of locks) for (const wake of queue) wake(false);
      }
      for (const { undo } of unflushed.reverse()) for (const one of undo.reverse()) one();
      unflushed = [];
      await world.sleep(downMs);
      for (const writes of prepared) apply(writes);
      prepared.clear();
      for (const act of recoveries) act();
      up = true;
      world.note(() => 'the database is back');
    },
    get up() {
      return up;
    },
    get life() {
      return life;
    },
    onVisible: (see) => void seers.push(see),
    onFlush: (begin) => void flushers.push(begin),
    onVanished: (see) => void vanishers.push(see),
    onDurable: (see) => void durables.push(see),
    onRecovered: (act) => void recoveries.push(act),
  };
}
