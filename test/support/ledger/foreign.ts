// Other applications that write to tblwh as they please: by single rows, many rows, INSERT … SELECT and long transactions.
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { clock } from './readers.ts';

/** `unknown`: the connection broke while it was being committed. */
type Fate = 'committed' | 'rolled back' | 'unknown';

export interface ForeignOptions {
  connect(): Promise<Connection>;
  readonly userId: number;
  /** Webhooks of the user, taken by chance. One row in ten belongs to somebody else. */
  readonly whids: readonly number[];
  /** About so many rows a second, all together. */
  readonly perSecond: number;
  /** How long a transaction is open at most; most are short. */
  readonly longestMs: number;
  /** Connections of each kind. `chasers` read with FOR UPDATE at REPEATABLE READ, up to the growing end of the table. */
  readonly singles: number;
  readonly batches: number;
  readonly transactions: number;
  readonly chasers: number;
}

export interface Foreign {
  /** What became of each row, by the first word of its content. */
  readonly fates: ReadonlyMap<string, Fate>;
  readonly counts: Counts;
  /** Ends everything that is open, by COMMIT or ROLLBACK as it was meant to end. */
  stop(): Promise<void>;
}

interface Counts {
  rows: number;
  transactions: number;
  rolledBack: number;
  savepoints: number;
  deadlocks: number;
  chases: number;
  longestMs: number;
}

type Row = [content: string, ip: string, api: number, dt: string, user: number, wh: number];
interface Failed extends Error {
  readonly errno?: number;
  readonly fatal?: boolean;
}

const INTO = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id)';
const DEADLOCK = 1213;
const TEXT = randomBytes(2_000).toString('hex');
const below = (end: number) => Math.floor(Math.random() * end);
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T;
const isBroken = (error: unknown): boolean => (error as Failed).fatal === true || (error as Failed).errno === undefined;

export function startForeign(options: ForeignOptions): Foreign {
  const { userId, whids, perSecond, longestMs } = options;
  const fates = new Map<string, Fate>();
  const counts: Counts = {
    rows: 0,
    transactions: 0,
    rolledBack: 0,
    savepoints: 0,
    deadlocks: 0,
    chases: 0,
    longestMs: 0,
  };
  const run = randomBytes(3).toString('hex');
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  let next = performance.now();
  let stopped = false;
  let number = 0;

  const pause = (ms: number) => sleep(ms, undefined, { signal: ended.signal }).catch(() => {});
  const makeName = () => `f${run}-${number++}`;
  const makeRow = (name: string): Row => {
    const owner = below(10) === 0 ? userId + 1 : userId;
    const size = below(20) === 0 ? 4_000 : below(400);
    return [`${name} ${TEXT.slice(0, size)}`, '192.0.2.1', 1, '2026-01-01 00:00:00', owner, oneOf(whids)];
  };
  const tell = (names: readonly string[], fate: Fate) => {
    for (const name of names) fates.set(name, fate);
    if (fate !== 'rolled back') counts.rows += names.length;
  };

  /** Waits for its place in the rate. */
  async function turn(rows: number): Promise<void> {
    const now = performance.now();
    next = Math.max(next, now - 100) + (rows * 1_000) / perSecond;
    if (next > now) await pause(next - now);
  }

  /** One statement, committed by itself. */
  async function alone(names: readonly string[], work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      tell(names, 'committed');
    } catch (error) {
      if ((error as Failed).errno === DEADLOCK) counts.deadlocks++;
      tell(names, isBroken(error) ? 'unknown' : 'rolled back');
      throw error;
    }
  }

  async function single(connection: Connection): Promise<void> {
    await turn(1);
    const name = makeName();
    await alone([name], () => connection.query(`${INTO} VALUES (?)`, [makeRow(name)]));
  }

  async function batch(connection: Connection): Promise<void> {
    const size = 2 + below(40);
    await turn(size);
    const names = Array.from({ length: size }, makeName);
    if (below(3) > 0) {
      await alone(names, () => connection.query(`${INTO} VALUES ?`, [names.map(makeRow)]));
      return;
    }
    // Takes more ids than it uses; now and then it is slow, and places its rows one by one.
    const few = names.slice(0, 16);
    const slowly = below(30) === 0 ? '+ SLEEP(0.02)' : '';
    const source = few.map((_, i) => `SELECT ${i} AS n`).join(' UNION ALL ');
    const list = few.map(() => '?').join(', ');
    const sql = `${INTO} SELECT CONCAT(ELT(n + 1, ${list}), ' ', REPEAT('s', n * 20)), '192.0.2.2', 1${slowly}, '', ?, ? FROM (${source}) numbers`;
    await alone(few, () => connection.query(sql, [...few, userId, oneOf(whids)]));
  }

  /** A transaction of several statements, some of them taken back to a savepoint; one in four is rolled back. */
  async function transaction(connection: Connection): Promise<void> {
    const began = performance.now();
    const length = longestMs * Math.random() ** 3;
    const steps = 1 + below(5);
    const live: string[] = [];
    let committing = false;
    await connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${oneOf(['READ COMMITTED', 'REPEATABLE READ'])}`);
    try {
      await connection.query('BEGIN');
      for (let step = 0; step < steps; step++) {
        const back = below(5) === 0;
        if (back) await connection.query('SAVEPOINT here');
        const names = Array.from({ length: 1 + below(4) }, makeName);
        await turn(names.length);
        if (!back) live.push(...names);
        await connection.query(`${INTO} VALUES ?`, [names.map(makeRow)]);
        if (back) {
          await pause(below(50));
          await connection.query('ROLLBACK TO SAVEPOINT here');
          tell(names, 'rolled back');
          counts.savepoints++;
        }
        await pause(length / steps);
      }
      const keep = below(4) > 0;
      committing = keep;
      await connection.query(keep ? 'COMMIT' : 'ROLLBACK');
      tell(live, keep ? 'committed' : 'rolled back');
      counts.transactions++;
      if (!keep) counts.rolledBack++;
      counts.longestMs = Math.max(counts.longestMs, performance.now() - began);
    } catch (error) {
      if ((error as Failed).errno === DEADLOCK) counts.deadlocks++;
      tell(live, isBroken(error) && committing ? 'unknown' : 'rolled back');
      if (!isBroken(error)) await connection.query('ROLLBACK');
      throw error;
    }
  }

  /** Locks the end of the table, gaps and all: an INSERT that has its id already must wait for it. */
  async function chase(connection: Connection): Promise<void> {
    await pause(200 + below(800));
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    // It gives up soon before somebody's long transaction, and comes again.
    await connection.query('SET SESSION innodb_lock_wait_timeout = 2');
    await connection.query('BEGIN');
    try {
      const [rows] = await connection.query('SELECT MAX(id) AS top FROM tblwh');
      const from = ((rows as { top: number | null }[])[0]?.top ?? 0) - below(20);
      await connection.query('SELECT id FROM tblwh WHERE id > ? FOR UPDATE', [from]);
      counts.chases++;
      await pause(below(8) === 0 ? 1_500 : below(150));
    } finally {
      await connection.query('ROLLBACK').catch(() => {});
    }
  }

  async function loop(work: (connection: Connection) => Promise<void>): Promise<void> {
    let connection: Connection | undefined;
    while (!stopped) {
      try {
        connection ??= await options.connect();
        await work(connection);
      } catch (error) {
        // Deadlocks and lock waits are part of the game; a broken connection is made again.
        if (!isBroken(error)) continue;
        connection?.destroy();
        connection = undefined;
        await pause(20);
      }
    }
    connection?.destroy();
  }

  const kinds = [
    [single, options.singles],
    [batch, options.batches],
    [transaction, options.transactions],
    [chase, options.chasers],
  ] as const;
  const loops = kinds.flatMap(([work, count]) => Array.from({ length: count }, () => loop(work)));
  return {
    fates,
    counts,
    async stop() {
      stopped = true;
      ended.abort();
      await Promise.all(loops);
    },
  };
}

/** A row of another application every so often, which tells when it was committed: readers measure their lag by it. */
export interface Ticker {
  /** When row n was committed, by `clock`. */
  readonly committed: ReadonlyMap<number, number>;
  stop(): Promise<void>;
}

export function startTicker(connect: () => Promise<Connection>, userId: number, whid: number, everyMs: number): Ticker {
  const committed = new Map<number, number>();
  let stopped = false;
  const loop = async () => {
    let connection: Connection | undefined;
    for (let n = 1; !stopped; n++) {
      try {
        connection ??= await connect();
        await connection.query(`${INTO} VALUES (?)`, [[`tick ${n}`, '192.0.2.3', 1, '', userId, whid]]);
        committed.set(n, clock());
      } catch {
        connection?.destroy();
        connection = undefined;
      }
      await sleep(everyMs);
    }
    connection?.destroy();
  };
  const done = loop();
  return {
    committed,
    async stop() {
      stopped = true;
      await done;
    },
  };
}
