// The database of a world: the real SQL, run as a server runs it for many connections, which fails like a real one.
//
// `storage` holds what is committed, and on top of it what one transaction has written so far: its statements are done again
// whenever it is its turn (`show`), so that each transaction sees what is committed and what it wrote, and nothing else. Row locks
// see to it that nothing which it wrote can change meanwhile. What is committed and not on disk yet can be taken back in the same way.
import type { Db, Transaction as Queries, Rows, Value } from '../../../src/store/db.ts';
import { failed, StoreError } from '../../../src/store/db.ts';
import type { Actor, World } from '../world.ts';
import type { Storage } from './storage.ts';

export interface ServerOptions {
  /** `embedded`: SQLite, one transaction at a time and no network. `binlog` and `redo`: MariaDB, whose commits are on disk before, or after, they can be seen. */
  readonly kind: 'embedded' | 'binlog' | 'redo';
  /** The longest a flush takes, and a message. */
  readonly flushMs: number;
  readonly messageMs: number;
  /** How long an INSERT may stand still between its ids and its rows. */
  readonly stallMs: number;
  /** How many messages are lost with their connection. */
  readonly faults: number;
  /** Whether our account may see the statements that run. */
  readonly sight: boolean;
}

interface Write {
  readonly table: string;
  readonly now: number;
  again(): void;
}

/** A transaction as the server has it. */
export interface Transaction {
  readonly number: number;
  /** Of which program; `foreign` for the other application, `owner` where a content is deleted on purpose. */
  readonly by: string;
  readonly writes: Write[];
  /** Tables that it has written to. */
  readonly tables: Set<string>;
  /** It takes rows out of tblwh. */
  removes: boolean;
  readonly locks: Set<string>;
  /** Ids of rows of tblwh that it has placed. */
  readonly placed: number[];
  waitsFor: string | undefined;
  /** When it read the clock by which it decides about leases, in true time, and what the lasting time was ahead of it. */
  readAt: { readonly at: number; readonly ahead: number } | undefined;
  state: 'open' | 'committing' | 'ended';
}

/** Told of what happens to contents, at the moment at which it does. */
export interface Watcher {
  /** About to take contents away; `storage` shows what was committed before. */
  removing(transaction: Transaction): void;
  /** Visible from now on. */
  committed(transaction: Transaction): void;
  /** On disk. */
  durable(transaction: Transaction): void;
  /** The server was restarted: what is there now is what survived. */
  recovered(): void;
  /** One INSERT of rows that carry contents. */
  inserting(transaction: Transaction, table: string, columns: readonly string[], rows: Rows): void;
}

/** A process of ours; without `parts` it has not read the clock yet. */
interface Life extends Actor {
  readonly parts: unknown;
}
interface Lock {
  holder: Transaction;
  readonly queue: { readonly transaction: Transaction; wake(): void }[];
}
/** A statement as the list of processes shows it. */
interface Running {
  readonly k: number;
  readonly q: number;
  readonly own: 0;
  readonly text: string;
}

const AWAY = new StoreError('away', new Error('the connection is broken'));
const FULL = new StoreError('away', new Error('the disk is full'));
const UNKNOWN = new StoreError('unknown', new Error('the connection broke while COMMIT was under way'));
const AGAIN = new StoreError('again', new Error('a deadlock'));
const LOCKED = new StoreError('again', new Error('a row is locked'));
const DENIED = new StoreError('denied', new Error('no right to see this'));
const LATE = new StoreError('away', new Error('no answer in time'));

// As in engine/mysql.ts.
const LIMIT_MS = { writer: 10_000, others: 4_000, reads: 4_000 } as const;
const CONNECTIONS = { writer: 2, others: 8, reads: 8 } as const;
const AT_ONCE_MS = 1_000;
const TRIES = 5;
// As in engine/sqlite.ts.
const BUSY_MS = 5_000;
const MAX_VALUE_BYTES = 64 * 1024 * 1024;
const FILE = 'the file';
// As in store/shared/clock.ts.
const NO_OFFSET = 4_000_000_000_000_000;
const TAKES_OUT = "UPDATE restante_meta SET v = ? WHERE k = 'clock' AND v = ?";
// A server tells its uptime in whole seconds: two starts within less look like one. No server starts as quickly.
const LEAST_LIFE_MS = 3_000;
// What counts of a large body is its length on the way: of those that are stored only the beginning is kept.
const LARGE = 1024 * 1024;
const shortened = (value: Value): Value =>
  Buffer.isBuffer(value) && value.length > LARGE ? value.subarray(0, 64) : value;

const tableOf = (sql: string): string =>
  /^\s*(?:INSERT (?:IGNORE )?INTO|UPDATE|DELETE FROM)\s+(\w+)/i.exec(sql)?.[1] ?? '';
const unique = (values: readonly Value[] | undefined): Value[] => [...new Set(values)];

/** The rows that a statement locks: where two transactions of ours, or of others, could meet. */
function keysOf(storage: Storage, sql: string, params: readonly Value[]): string[] {
  const table = tableOf(sql);
  const last = params.at(-1);
  if (table === 'restante_meta') {
    const literal = /k = '(\w+)'|VALUES \('(\w+)'/.exec(sql);
    const name = literal?.[1] ?? literal?.[2] ?? params[sql.startsWith('UPDATE') ? 1 : 0];
    return / IN \(/.test(sql) ? [] : [`${table} ${name}`];
  }
  if (
    table === 'restante_consumer' &&
    sql.startsWith('UPDATE') &&
    sql.includes('name = ?') &&
    sql.includes('WHERE user_id')
  )
    return storage
      .all<{ id: number }>('SELECT id FROM restante_consumer WHERE user_id = ? AND name = ?', params.slice(-2))
      .map(({ id }) => `${table} ${id}`);
  if (table === 'restante_consumer' && /WHERE id = \?$/.test(sql)) return [`${table} ${last}`];
  if (table === 'tblwh' && sql.startsWith('DELETE')) return unique(params).map((id) => `${table} ${id}`);
  if (table === 'restante_refusal' && /WHERE id = \?$/.test(sql)) return [`${table} ${last}`];
  if (table === 'restante_refusal' && sql.startsWith('DELETE')) return unique(params).map((id) => `${table} ${id}`);
  return [];
}

/** Which of `told` answers a statement; -1: storage. */
const toldAt = new Map<string, number>();

export function createServer(world: World, storage: Storage, options: ServerOptions, watcher: Watcher) {
  const { kind, flushMs, messageMs, stallMs, faults, sight } = options;
  const embedded = kind === 'embedded';
  const locks = new Map<string, Lock>();
  const open = new Set<Transaction>();
  const running = new Map<object, Running>();
  let numbers = 0;
  let statements = 0;
  // As the shared table begins.
  let counter = 26;
  let life = 1;
  let up = true;
  let startedAt = -LEAST_LIFE_MS;
  let hungUntil = 0;
  let diskFull = false;
  let lossy = faults;
  /** How far the server's clock is from the true time. */
  let skew = 0;
  /** When the clock was last set. */
  let jumpedAt = Number.NEGATIVE_INFINITY;
  const jumped = () => jumpedAt >= 0;
  /** Processes that came while the lasting time was ahead. */
  const cameWhileAhead: { readonly at: number; readonly ahead: number }[] = [];
  const lives = new Set<Life>();
  /** When processes came, and when the clock was set. */
  const cameAt: number[] = [];
  const jumpsAt: number[] = [];
  const EPOCH = 1_700_000_000_000;
  const clock = () => Math.floor(EPOCH + world.now() + skew);
  const delay = () =>
    embedded
      ? 0.01 + world.random() * 0.04
      : world.chance(0.95)
        ? 0.05 + world.random() * 0.5
        : world.random() * messageMs;

  // What storage shows -----------------------------------------------------------------------------------------------

  let shown: Transaction | undefined;
  function show(transaction: Transaction | undefined): void {
    const wanted = transaction && transaction.writes.length > 0 ? transaction : undefined;
    if (shown === wanted) return;
    if (shown) storage.undo('own');
    shown = wanted;
    if (!wanted) return;
    storage.begin('own');
    for (const write of wanted.writes) {
      storage.clock = write.now;
      write.again();
    }
  }
  function write<T>(transaction: Transaction, sql: string, work: () => T): T {
    show(transaction);
    const now = clock();
    storage.clock = now;
    const first = shown === undefined;
    if (first) storage.begin('own');
    try {
      const result = work();
      shown = transaction;
      const table = tableOf(sql);
      transaction.tables.add(table);
      transaction.removes ||= table === 'tblwh' && sql.startsWith('DELETE');
      transaction.writes.push({ table, now, again: work });
      return result;
    } catch (error) {
      if (first) storage.undo('own');
      throw error;
    }
  }

  // Committed and not on disk: taken back by a crash. `base` is the savepoint below the first of them.
  let since: { readonly transaction: Transaction; onDisk: boolean }[] = [];
  let flushing: Promise<void> | undefined;
  const prepared = new Set<Transaction>();
  let highestOnDisk = counter;
  let highestPlaced = counter;

  function apply(transaction: Transaction): void {
    if (transaction.removes) {
      show(undefined);
      watcher.removing(transaction);
    }
    if (kind === 'redo' && since.length === 0) {
      show(undefined);
      storage.begin('base');
    }
    show(transaction);
    if (shown) storage.keep('own');
    shown = undefined;
    if (kind === 'redo') since.push({ transaction, onDisk: false });
    watcher.committed(transaction);
    end(transaction);
  }
  function reachedDisk(transaction: Transaction, placed: number): void {
    highestOnDisk = Math.max(highestOnDisk, placed);
    watcher.durable(transaction);
  }
  async function flush(born: number, transaction: Transaction): Promise<void> {
    while (since.some((one) => one.transaction === transaction && !one.onDisk)) {
      if (flushing) await flushing;
      else await flushOnce(born);
      if (born !== life) throw UNKNOWN;
    }
  }
  async function flushOnce(born: number): Promise<void> {
    const some = since.filter(({ onDisk }) => !onDisk);
    const placed = highestPlaced;
    flushing = world.sleep(world.chance(0.7) ? world.random() : world.random() * flushMs);
    try {
      await flushing;
      if (born !== life) throw UNKNOWN;
      for (const one of some) {
        one.onDisk = true;
        reachedDisk(one.transaction, placed);
      }
      if (!since.every(({ onDisk }) => onDisk)) return;
      show(undefined);
      storage.keep('base');
      since = [];
    } finally {
      flushing = undefined;
    }
  }

  // Locks ------------------------------------------------------------------------------------------------------------

  /** True when it had to wait. */
  async function lock(transaction: Transaction, key: string): Promise<boolean> {
    const held = locks.get(key);
    if (!held) {
      locks.set(key, { holder: transaction, queue: [] });
      transaction.locks.add(key);
      return false;
    }
    if (held.holder === transaction) return false;
    for (let other = held.holder; other.waitsFor; ) {
      const next = locks.get(other.waitsFor)?.holder;
      if (next === transaction) throw AGAIN;
      if (!next) break;
      other = next;
    }
    transaction.waitsFor = key;
    await new Promise<void>((resolve) => held.queue.push({ transaction, wake: resolve }));
    transaction.waitsFor = undefined;
    if (transaction.state === 'ended') throw AWAY;
    return true;
  }
  function end(transaction: Transaction): void {
    if (transaction.state === 'ended') return;
    transaction.state = 'ended';
    if (shown === transaction) show(undefined);
    open.delete(transaction);
    for (const key of transaction.locks) {
      const held = locks.get(key);
      if (held?.holder !== transaction) continue;
      let next = held.queue.shift();
      while (next?.transaction.state === 'ended') {
        next.wake();
        next = held.queue.shift();
      }
      if (!next) {
        locks.delete(key);
        continue;
      }
      held.holder = next.transaction;
      next.transaction.locks.add(key);
      next.wake();
    }
    if (transaction.waitsFor)
      for (const one of locks.get(transaction.waitsFor)?.queue ?? []) if (one.transaction === transaction) one.wake();
  }

  // Statements -------------------------------------------------------------------------------------------------------

  function begin(by: string): Transaction {
    const transaction: Transaction = {
      number: ++numbers,
      by,
      writes: [],
      tables: new Set(),
      removes: false,
      locks: new Set(),
      placed: [],
      waitsFor: undefined,
      readAt: undefined,
      state: 'open',
    };
    open.add(transaction);
    return transaction;
  }
  /** How far the lasting time (src/store/shared/clock.ts) stands ahead of what it would be if the clock had never been set. */
  function ahead(): number {
    if (!jumped()) return 0;
    const [row] = storage.all<{ v: number }>("SELECT v FROM restante_meta WHERE k = 'clock'");
    return skew + (row ? row.v - NO_OFFSET : 0);
  }
  const note = () => {
    show(undefined);
    cameWhileAhead.push({ at: world.now(), ahead: ahead() });
  };
  const visible = <T>(sql: string, params: readonly Value[] = [], transaction?: Transaction): T[] => {
    show(transaction);
    storage.clock = clock();
    return storage.all<T>(sql, params);
  };

  const variable = (name: string) =>
    ({ innodb_flush_log_at_trx_commit: '1', log_bin: kind === 'binlog' ? 'ON' : 'OFF', sync_binlog: '1' })[name];
  type Answer = (params: readonly Value[], me: Transaction | undefined) => unknown[];
  /** What a server tells that storage cannot. */
  const told: readonly (readonly [RegExp, Answer])[] = [
    [
      /^SHOW GLOBAL STATUS LIKE 'Uptime'/,
      () => [{ n: 'Uptime', v: String(Math.floor((world.now() - startedAt) / 1000)) }],
    ],
    [
      /^SHOW GLOBAL VARIABLES/,
      () => ['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog'].map((n) => ({ n, v: variable(n) })),
    ],
    [
      /^SELECT CONCAT\(@@hostname/,
      () => [{ name: 'one', ro: 0, top: visible<{ top: number }>('SELECT MAX(id) AS top FROM tblwh')[0]?.top ?? null }],
    ],
    [/AUTO_INCREMENT AS next/, () => [{ next: counter + 1 }]],
    [
      /JSON_TABLE|NOWAIT$/,
      (params) => {
        const ids = new Set<number>();
        if (params.length === 1) for (const id of JSON.parse(String(params[0])) as number[]) ids.add(id);
        else for (let id = Number(params[0]); id <= Number(params[1]); id++) ids.add(id);
        for (const { placed } of open) if (placed.some((id) => ids.has(id))) throw LOCKED;
        for (const id of ids) if (locks.has(`tblwh ${id}`)) throw LOCKED;
        const [low, high] = [Math.min(...ids), Math.max(...ids)];
        return visible<{ id: number }>('SELECT id FROM tblwh WHERE id BETWEEN ? AND ?', [low, high]).filter(({ id }) =>
          ids.has(id),
        );
      },
    ],
    [/information_schema\.triggers/, () => []],
    [
      /innodb_trx/,
      (_, me) => {
        if (!sight) throw DENIED;
        return [...open]
          .filter((one) => one !== me && one.writes.length > 0)
          .map(({ number }) => ({ k: number, own: 0, text: '' }));
      },
    ],
    [/information_schema\.processlist/, () => [{ k: 0, q: 0, own: 1, text: 'SELECT' }, ...running.values()]],
  ];

  async function select<T>(transaction: Transaction | undefined, sql: string, params: readonly Value[]): Promise<T[]> {
    if (!embedded) {
      let at = toldAt.get(sql);
      if (at === undefined) {
        at = told.findIndex(([text]) => text.test(sql));
        toldAt.set(sql, at);
      }
      const answer = told[at]?.[1];
      if (answer) return answer(params, transaction) as T[];
    }
    const rows = visible<T & { id?: number; wh_id?: number }>(sql, params, transaction);
    // A jump that it has to take out makes it read the clock again, before it changes a lease.
    if (transaction && !transaction.tables.has('restante_lease') && sql.includes('sim_now()'))
      transaction.readAt = { at: world.now(), ahead: ahead() };
    if (!transaction || !sql.endsWith(' FOR UPDATE')) return rows;
    const table = /FROM (restante_\w+)/.exec(sql)?.[1] ?? '';
    const literal = /k = '(\w+)'/.exec(sql)?.[1];
    let waited = false;
    for (const key of literal ? [literal] : rows.map((row) => row.id ?? row.wh_id)) {
      if (await lock(transaction, `${table} ${key}`)) waited = true;
    }
    if (!waited) return rows;
    // The row is the latest; the clock, and what else is read beside it, are those of the statement's beginning.
    return visible<T>(sql, params, transaction).map((row, i) => {
      const first: Record<string, unknown> = rows[i] ?? {};
      const asRead = ['now', 'wall', 'head'].filter((name) => first[name] !== undefined);
      return { ...row, ...Object.fromEntries(asRead.map((name) => [name, first[name]])) };
    });
  }
  async function change(transaction: Transaction, sql: string, params: readonly Value[]): Promise<number> {
    if (diskFull && !sql.startsWith('DELETE')) throw FULL;
    show(transaction);
    if (!embedded) for (const key of keysOf(storage, sql, params)) await lock(transaction, key);
    const changes = write(transaction, sql, () => storage.run(sql, params).changes);
    const { readAt } = transaction;
    // A jump that it takes out is out of what it decides by.
    if (readAt && changes > 0 && sql === TAKES_OUT)
      transaction.readAt = { ...readAt, ahead: readAt.ahead + Number(params[0]) - Number(params[1]) };
    return changes;
  }
  async function insert(
    transaction: Transaction,
    table: string,
    columns: readonly string[],
    rows: Rows,
  ): Promise<void> {
    if (diskFull) throw FULL;
    if (table === 'restante_meta' && !embedded) for (const [k] of rows) await lock(transaction, `${table} ${k}`);
    if (table === 'restante_refusal') watcher.inserting(transaction, table, columns, rows);
    write(transaction, `INSERT INTO ${table}`, () => storage.insert(table, columns, rows));
  }
  /** Into tblwh: ids first, then rows. */
  async function insertIds(transaction: Transaction, columns: readonly string[], rows: Rows): Promise<number[]> {
    if (diskFull) throw FULL;
    watcher.inserting(transaction, 'tblwh', columns, rows);
    const stored = rows.map((row) => row.map(shortened));
    if (embedded) {
      const last = write(transaction, 'INSERT INTO tblwh', () => storage.insert('tblwh', columns, stored));
      const ids = rows.map((_, i) => last - rows.length + 1 + i);
      transaction.placed.push(...ids);
      return ids;
    }
    const me = {};
    running.set(me, { k: transaction.number, q: ++statements, own: 0, text: 'INSERT INTO tblwh' });
    try {
      const ids = rows.map(() => ++counter);
      if (world.chance(0.3)) await world.sleep(world.random() * world.random() * stallMs);
      if (transaction.state === 'ended') throw AWAY;
      write(transaction, 'INSERT INTO tblwh', () =>
        storage.insert(
          'tblwh',
          ['id', ...columns],
          stored.map((row, i) => [ids[i] as number, ...row]),
        ),
      );
      transaction.placed.push(...ids);
      highestPlaced = Math.max(highestPlaced, ids.at(-1) ?? 0);
      return ids;
    } finally {
      running.delete(me);
    }
  }
  /** Resolves when it is on disk. */
  async function commit(transaction: Transaction): Promise<void> {
    const born = life;
    if (transaction.state !== 'open') throw AWAY;
    if (transaction.writes.length === 0) return end(transaction);
    if (diskFull) throw FULL;
    transaction.state = 'committing';
    const placed = highestPlaced;
    if (kind === 'redo') {
      apply(transaction);
      return flush(born, transaction);
    }
    await world.sleep(world.chance(0.5) ? world.random() : world.random() * flushMs);
    if (born !== life) throw UNKNOWN;
    if (!embedded) {
      prepared.add(transaction);
      reachedDisk(transaction, placed);
      await world.sleep(world.random());
      if (born !== life) throw UNKNOWN;
      prepared.delete(transaction);
      apply(transaction);
      return;
    }
    apply(transaction);
    reachedDisk(transaction, placed);
  }
  function rollback(transaction: Transaction): void {
    if (transaction.state === 'open') end(transaction);
  }

  // Connections ------------------------------------------------------------------------------------------------------

  interface Connection {
    readonly born: number;
    readonly life: number;
    dead: boolean;
    transaction: Transaction | undefined;
  }

  /** What one process of ours has of the database. */
  function connect(owner: Life, by: string): Db & { drop(): void } {
    if (!lives.has(owner)) cameAt.push(world.now());
    lives.add(owner);
    if (jumped()) note();
    const all = new Set<Connection>();
    let flushed = Number.NEGATIVE_INFINITY;

    function drop(connection: Connection): void {
      connection.dead = true;
      all.delete(connection);
      if (connection.transaction) rollback(connection.transaction);
      connection.transaction = undefined;
    }
    function pool(most: number) {
      const idle: Connection[] = [];
      const waiting: ((connection: Connection) => void)[] = [];
      let count = 0;
      const make = (): Connection => {
        const connection = { born: performance.now(), life, dead: false, transaction: undefined };
        all.add(connection);
        return connection;
      };
      return {
        async borrow(): Promise<Connection> {
          let found = idle.pop();
          while (found?.dead) {
            count--;
            found = idle.pop();
          }
          if (found) return found;
          if (count < most) {
            count++;
            return make();
          }
          return new Promise((resolve) => waiting.push(resolve));
        },
        release(connection: Connection): void {
          const next = waiting.shift();
          if (connection.dead && !next) count--;
          else if (next) next(connection.dead ? make() : connection);
          else idle.push(connection);
        },
      };
    }
    const single = pool(1);
    const pools = embedded
      ? { writer: single, others: single, reads: single }
      : { writer: pool(CONNECTIONS.writer), others: pool(CONNECTIONS.others), reads: pool(CONNECTIONS.reads) };
    type Who = keyof typeof pools;

    /** A message to the server and back. `last`: COMMIT, of which nobody knows what became of it when the connection breaks. */
    function ask<T>(connection: Connection, who: Who, work: () => T | Promise<T>, last = false): Promise<T> {
      return new Promise((resolve, reject) => {
        let waiting = true;
        const settle = (how: () => void) => {
          if (!waiting) return;
          waiting = false;
          cancel();
          how();
        };
        const lost = () => {
          drop(connection);
          reject(last ? UNKNOWN : AWAY);
        };
        const tooLate = () => {
          drop(connection);
          reject(last ? UNKNOWN : LATE);
        };
        const cancel = embedded ? () => {} : world.later(LIMIT_MS[who], () => settle(tooLate), owner);
        const answer = (how: () => void) => world.later(delay(), () => settle(how), owner);
        const fault = embedded ? 1 : world.random() / Math.max(lossy, 1e-9);
        if (fault < 0.4) return void answer(() => lost());
        async function arrive(): Promise<void> {
          while (world.now() < hungUntil) await world.sleep(hungUntil - world.now());
          if (connection.dead || !owner.alive) return;
          if (!up || connection.life !== life) {
            // Refused, or reset: COMMIT had not begun.
            return void answer(() => {
              drop(connection);
              reject(AWAY);
            });
          }
          const born = life;
          try {
            const result = await work();
            if (born !== life) return void answer(lost);
            if (fault < 0.8) return void answer(lost);
            // A connection that hangs: nothing comes back, until its time is over.
            if (fault < 1 && !embedded) return;
            answer(() => resolve(result));
          } catch (error) {
            if (!(error instanceof StoreError)) throw error;
            answer(() => (born === life ? reject(error) : lost()));
          }
        }
        world.later(delay(), () => world.spawn(arrive));
      });
    }

    function queriesOn(connection: Connection, who: Who): Queries & { wrote(): boolean } {
      let wrote = false;
      const within = <T>(work: (transaction: Transaction) => T | Promise<T>) =>
        ask(connection, who, () => {
          connection.transaction ??= begin(by);
          if (connection.transaction.state !== 'open') throw AWAY;
          return work(connection.transaction);
        });
      return {
        since: embedded ? Number.NEGATIVE_INFINITY : connection.born,
        wrote: () => wrote,
        all: <T>(sql: string, params: readonly Value[] = []) =>
          within((transaction) => select<T>(transaction, sql, params)),
        async run(sql, params = []) {
          const changes = await within((transaction) => change(transaction, sql, params));
          wrote ||= changes > 0 && !sql.startsWith('UPDATE');
          return changes;
        },
        ddl: () => Promise.reject(new Error('no DDL in a world')),
        attempt: () => Promise.reject(new Error('no rule refuses a row in a world')),
        async insert(table, columns, rows) {
          await within((transaction) => insert(transaction, table, columns, rows));
          wrote = true;
        },
        async insertIds(table, columns, rows) {
          if (table !== 'tblwh') throw new Error(`ids of ${table} are not simulated`);
          const ids = await within((transaction) => insertIds(transaction, columns, rows));
          wrote = true;
          return ids;
        },
      };
    }
    async function begun(connection: Connection, who: Who): Promise<void> {
      if (!embedded) return;
      const transaction = begin(by);
      connection.transaction = transaction;
      // BEGIN IMMEDIATE: another process may have the file.
      await ask(connection, who, async () => {
        const late = world.later(BUSY_MS, () => rollback(transaction));
        try {
          await lock(transaction, FILE);
        } finally {
          late();
        }
      });
    }
    async function once<T>(work: (queries: Queries) => Promise<T>, who: Who): Promise<T> {
      const connection = await pools[who].borrow();
      const queries = queriesOn(connection, who);
      try {
        await begun(connection, who);
        const result = await work(queries);
        const sent = performance.now();
        await ask(connection, who, () => (connection.transaction ? commit(connection.transaction) : undefined), true);
        connection.transaction = undefined;
        if (queries.wrote()) flushed = Math.max(flushed, sent);
        return result;
      } catch (error) {
        if (embedded) {
          if (connection.transaction) rollback(connection.transaction);
        } else if (failed(error, 'away', 'unknown', 'denied')) drop(connection);
        else {
          const { transaction } = connection;
          if (transaction && !connection.dead)
            await ask(connection, who, () => rollback(transaction)).catch(() => drop(connection));
        }
        connection.transaction = undefined;
        throw error;
      } finally {
        pools[who].release(connection);
      }
    }
    async function transaction<T>(
      work: (queries: Queries) => Promise<T>,
      who: 'writer' | 'others' = 'others',
    ): Promise<T> {
      const began = performance.now();
      for (let tries = 1; ; tries++) {
        try {
          return await once(work, who);
        } catch (error) {
          const stale = failed(error, 'away') && performance.now() - began < AT_ONCE_MS;
          if (embedded || !(stale || failed(error, 'again')) || tries === TRIES) throw error;
        }
      }
    }
    async function readOnce<T>(sql: string, params: readonly Value[]): Promise<T[]> {
      const connection = await pools.reads.borrow();
      try {
        return await ask(connection, 'reads', () => select<T>(undefined, sql, params));
      } catch (error) {
        if (!embedded) drop(connection);
        throw error;
      } finally {
        pools.reads.release(connection);
      }
    }
    async function read<T>(sql: string, params: readonly Value[] = []): Promise<T[]> {
      const began = performance.now();
      try {
        return await readOnce<T>(sql, params);
      } catch (error) {
        if (embedded || !failed(error, 'away') || performance.now() - began >= AT_ONCE_MS) throw error;
        return readOnce<T>(sql, params);
      }
    }
    /** A statement of its own: committed with it, and not done again. When its connection breaks, its end is not known. */
    async function alone<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T> {
      const connection = await pools.reads.borrow();
      try {
        return await ask(connection, 'reads', async () => {
          const transaction = begin(by);
          connection.transaction = transaction;
          try {
            const result = await work(transaction);
            await commit(transaction);
            return result;
          } finally {
            connection.transaction = undefined;
            rollback(transaction);
          }
        });
      } catch (error) {
        if (failed(error, 'away', 'unknown', 'denied')) drop(connection);
        throw error;
      } finally {
        pools.reads.release(connection);
      }
    }

    return {
      search: read,
      kind: embedded ? 'sqlite' : 'mysql',
      version: 'simulated',
      dialect: {
        bytes: (column) => `CAST(${column} AS BLOB)`,
        forUpdate: embedded ? '' : ' FOR UPDATE',
        shareNowait: embedded ? '' : ' NOWAIT',
        oneWriter: embedded,
        writersIn: embedded ? 'nowhere' : 'innodb_trx',
        eventsIn: embedded ? 'restante_event' : 'restante_request',
        plansByStatistics: !embedded,
        nowMs: 'sim_now()',
      },
      since: Number.NEGATIVE_INFINITY,
      maxValueBytes: MAX_VALUE_BYTES,
      lanes: embedded ? 1 : 2,
      flushedAt: () => (embedded ? performance.now() : flushed),
      all: read,
      run: (sql, params = []) =>
        embedded ? transaction((queries) => queries.run(sql, params)) : alone((one) => change(one, sql, params)),
      ddl: () => Promise.reject(new Error('no DDL in a world')),
      insert: (table, columns, rows) =>
        embedded
          ? transaction((queries) => queries.insert(table, columns, rows))
          : alone((one) => insert(one, table, columns, rows)),
      insertIds: () => Promise.reject(new Error('not simulated')),
      async scan<T>(sql: string, params: readonly Value[], each: (row: T) => boolean) {
        for (const row of await read<T>(sql, params)) if (!each(row)) break;
      },
      transaction,
      ping: async () => void (await read('SELECT 1')),
      close: async () => {},
      drop() {
        for (const connection of [...all]) drop(connection);
      },
    };
  }

  return {
    connect,
    clock,
    trueTime: () => Math.floor(EPOCH + world.now()),
    /** From now on no message is lost. */
    calm(): void {
      lossy = 0;
      hungUntil = 0;
      diskFull = false;
    },
    /** The world is over: storage has nothing open. */
    close(): void {
      show(undefined);
      if (since.length > 0) storage.undo('base');
      since = [];
    },
    /** As of now, committed. */
    committed: visible,
    get up() {
      return up;
    },
    /** Sets the clock; not where nobody could ever store how late it was. */
    jump(ms: number): void {
      if (diskFull && visible("SELECT v FROM restante_meta WHERE k = 'clock_seen'").length === 0) return;
      world.note(() => `the clock of the database jumps by ${ms} ms`);
      skew += ms;
      jumpedAt = world.now();
      jumpsAt.push(jumpedAt);
      for (const one of lives) if (!one.alive || one.parts) lives.delete(one);
      if (lives.size > 0) note();
    },
    cameWhileAhead,
    cameAt,
    jumpsAt,
    get jumpedAt() {
      return jumpedAt;
    },
    set diskFull(full: boolean) {
      diskFull = full;
    },
    /** Answers nobody for so long. */
    hang(ms: number): void {
      hungUntil = world.now() + ms;
    },
    /** The other application: its own connection, without our time limits. */
    foreign: {
      begin: () => begin('foreign'),
      lock: (transaction: Transaction) => (embedded ? lock(transaction, FILE) : Promise.resolve(false)),
      insert: insertIds,
      change,
      commit,
      rollback,
    },
    /** Everything that is not on disk is gone, and so are all connections. */
    async crash(downMs: number): Promise<void> {
      if (!up || world.now() - startedAt < LEAST_LIFE_MS) return;
      world.note(() => `CRASH of the database for ${downMs.toFixed(0)} ms`);
      up = false;
      life++;
      show(undefined);
      for (const transaction of [...open]) {
        transaction.state = 'ended';
        for (const { queue } of locks.values())
          for (const one of queue) if (one.transaction === transaction) one.wake();
      }
      open.clear();
      locks.clear();
      running.clear();
      if (since.length > 0) {
        storage.undo('base');
        for (const { transaction, onDisk } of since)
          if (onDisk)
            for (const one of transaction.writes) {
              storage.clock = one.now;
              one.again();
            }
      }
      since = [];
      await world.sleep(downMs);
      for (const transaction of prepared) {
        transaction.state = 'committing';
        apply(transaction);
      }
      if (since.length > 0) {
        storage.keep('base');
        since = [];
      }
      prepared.clear();
      counter = world.chance(0.5) ? highestOnDisk : world.int(highestOnDisk, Math.max(highestOnDisk, highestPlaced));
      highestPlaced = counter;
      startedAt = world.now();
      up = true;
      watcher.recovered();
      world.note(() => 'the database is back');
    },
  };
}

export type Server = ReturnType<typeof createServer>;
