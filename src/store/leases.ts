// Every statement on restante_lease and restante_dead: what a consumer has in hand, gets again, and gave up.
import { BY_USER, matching, nextPositions, type Position } from './backlog.ts';
import { type ConsumerRow, type Locked, lockConsumer, saveConsumer, saveLook } from './consumers.ts';
import { type Db, listsOf, type Queries, type Value } from './db.ts';

export interface LeaseRow extends Position {
  readonly token: number;
  readonly due_ms: number;
  /** How often it was handed out. */
  readonly attempt: number;
  /** True when it was given back or is to be handed out again; false when a worker has it, or had. */
  readonly waiting: boolean;
}

interface Returned {
  readonly due: number;
  /** Hand-outs that do not count. */
  readonly refund: 0 | 1;
  readonly reason?: string | null;
  /** Given when the worker that has it must not be able to ack it any more. */
  readonly token?: number;
}

type Row = Omit<LeaseRow, 'waiting'> & { waiting: number };
type Hand = { readonly token: number; readonly due: number };
const SELECT = 'SELECT pos, id, token, due_ms, attempt, waiting FROM restante_lease WHERE consumer_id = ?';
const DELETE = 'DELETE FROM restante_lease WHERE consumer_id = ?';
const PUT = 'INSERT INTO restante_lease (consumer_id, pos, id, token, due_ms, attempt, waiting) SELECT';

/** The rows of one consumer, inside the transaction that has locked it. A fake can stand in. */
export type LeaseRows = ReturnType<typeof leaseRows>;

export function leaseRows(queries: Queries, consumer: ConsumerRow) {
  const { id, user_id } = consumer;
  /** Runs a statement that ends with `IN` for all of `values`; resolves with how many rows it concerned. */
  async function change(sql: string, params: readonly Value[], values: readonly number[]): Promise<number> {
    let count = 0;
    for (const { list, some } of listsOf(values)) count += await queries.run(`${sql} ${list}`, [...params, ...some]);
    return count;
  }
  async function select<T>(sql: string, params: readonly Value[], values: readonly number[]): Promise<T[]> {
    const found: T[] = [];
    for (const { list, some } of listsOf(values))
      found.push(...(await queries.all<T>(`${sql} ${list}`, [...params, ...some])));
    return found;
  }
  const toLease = (row: Row): LeaseRow => ({ ...row, waiting: row.waiting !== 0 });
  const rows = async (more: string, params: readonly Value[]): Promise<LeaseRow[]> =>
    (await queries.all<Row>(`${SELECT} ${more}`, [id, ...params])).map(toLease);
  async function dueOf(which: string, more = '', params: readonly Value[] = []): Promise<number> {
    const sql = `SELECT ${which} AS due FROM restante_lease WHERE consumer_id = ? ${more}`;
    return (await queries.all<{ due: number | null }>(sql, [id, ...params]))[0]?.due ?? 0;
  }

  return {
    /** What is due, by position. */
    due: (now: number, limit: number) => rows('AND due_ms <= ? ORDER BY pos LIMIT ?', [now, limit]),
    /** All beyond a position, due or not. */
    lowest: (after: number, limit: number) => rows('AND pos > ? ORDER BY pos LIMIT ?', [after, limit]),
    /** When the last of what is in hand now becomes due; 0 when nothing is in hand. */
    heldUntil: (now: number) => dueOf('MAX(due_ms)', 'AND waiting = 0 AND due_ms > ?', [now]),
    at: async (positions: readonly number[]) =>
      (await select<Row>(`${SELECT} AND pos IN`, [id], positions)).map(toLease),
    /** Those of one lease that are in hand, from a position on. */
    ofLease: (token: number, from: number) =>
      rows('AND token = ? AND waiting = 0 AND pos >= ? ORDER BY pos', [token, from]),
    /** The earliest moment at which something is due; 0 when nothing is out. */
    nextDue: () => dueOf('MIN(due_ms)'),
    /** Contents beyond the cursor. */
    fresh: (head: number, limit: number) => nextPositions(queries, consumer, head, limit),
    /** Hands out for the first time what lies after < pos <= upTo. */
    async handOut(after: number, upTo: number, { token, due }: Hand) {
      const { text, params } = matching(consumer);
      const sql = `${PUT} ?, pos, id, ?, ?, 1, 0 FROM ${BY_USER} WHERE ${text} AND pos > ? AND pos <= ?`;
      await queries.run(sql, [id, token, due, ...params, after, upTo]);
    },
    /** Hands out again. `counts`: as one more attempt. */
    async handAgain(positions: readonly number[], { token, due }: Hand, counts: boolean) {
      const sql = `UPDATE restante_lease SET token = ?, due_ms = ?, waiting = 0${counts ? ', attempt = attempt + 1' : ''}`;
      await change(`${sql} WHERE consumer_id = ? AND pos IN`, [token, due, id], positions);
    },
    /** Acks all of a lease between two positions; resolves with how many there were. */
    removeRange: (token: number, from: number, to: number) =>
      queries.run(`${DELETE} AND token = ? AND pos BETWEEN ? AND ?`, [id, token, from, to]),
    remove: (token: number, positions: readonly number[]) =>
      change(`${DELETE} AND token = ? AND pos IN`, [id, token], positions),
    /** Removes those of them that are due, whatever their token. */
    removeDue: (now: number, positions: readonly number[]) =>
      change(`${DELETE} AND due_ms <= ? AND pos IN`, [id, now], positions),
    async giveBack(positions: readonly number[], { due, refund, reason, token }: Returned) {
      const more = `${reason === undefined ? '' : ', reason = ?'}${token === undefined ? '' : ', token = ?'}`;
      const set = [due, refund, ...(reason === undefined ? [] : [reason]), ...(token === undefined ? [] : [token])];
      const sql = `UPDATE restante_lease SET waiting = 1, due_ms = ?, attempt = attempt - ?${more} WHERE consumer_id = ? AND pos IN`;
      await change(sql, [...set, id], positions);
    },
    async extend(positions: readonly number[], due: number) {
      await change('UPDATE restante_lease SET due_ms = ? WHERE consumer_id = ? AND pos IN', [due, id], positions);
    },
    /** Makes them dead letters, for `reason`; where that is null, for the reason of the last nack, else for `otherwise`. */
    async bury(positions: readonly number[], reason: string | null, otherwise: string, now: number) {
      const sql = `INSERT INTO restante_dead (consumer_id, pos, id, wh_id, attempt, reason, dead_ms)
        SELECT l.consumer_id, l.pos, l.id, COALESCE(p.wh_id, 0), l.attempt, COALESCE(?, l.reason, ?), ? FROM restante_lease l
        LEFT JOIN restante_position p ON p.pos = l.pos WHERE l.consumer_id = ? AND l.pos IN`;
      await change(sql, [reason, otherwise, now, id], positions);
      await change(`${DELETE} AND pos IN`, [id], positions);
    },
    async dead(positions: readonly number[]): Promise<number[]> {
      const sql = 'SELECT pos FROM restante_dead WHERE consumer_id = ? AND pos IN';
      return (await select<{ pos: number }>(sql, [id], positions)).map(({ pos }) => pos);
    },
    /** Dead letters by content, or the first ones. */
    async deadPositions(ids: readonly number[] | null, limit: number): Promise<Position[]> {
      const sql = 'SELECT pos, id FROM restante_dead WHERE consumer_id = ?';
      return ids ? select(`${sql} AND id IN`, [id], ids) : queries.all(`${sql} ORDER BY pos LIMIT ?`, [id, limit]);
    },
    /** Dead letters wait to be handed out again, as if for the first time. */
    async revive(positions: readonly number[], now: number) {
      const sql = `${PUT} consumer_id, pos, id, 0, ?, 0, 1 FROM restante_dead WHERE consumer_id = ? AND pos IN`;
      await change(sql, [now, id], positions);
      await change('DELETE FROM restante_dead WHERE consumer_id = ? AND pos IN', [id], positions);
    },
    /** Contents wait to be handed out again, as if for the first time, though they were acked or given back. */
    async put(positions: readonly number[], now: number) {
      await change(`${DELETE} AND pos IN`, [id], positions);
      const sql = `${PUT} ?, pos, id, 0, ?, 0, 1 FROM restante_position WHERE user_id = ? AND pos IN`;
      await change(sql, [id, now, user_id], positions);
    },
    /** Forgets everything that is out, and the dead letters from a position on; resolves with how many those were. */
    async forget(deadFrom: number) {
      await queries.run(DELETE, [id]);
      return queries.run('DELETE FROM restante_dead WHERE consumer_id = ? AND pos >= ?', [id, deadFrom]);
    },
    /** Positions of contents of the user. */
    positionsOf: (ids: readonly number[]) =>
      select<Position & { wh_id: number }>(
        'SELECT pos, id, wh_id FROM restante_position WHERE user_id = ? AND id IN',
        [user_id],
        ids,
      ),
  };
}

/** What a change made of a consumer. If `consumer` is the very object that was locked, there is nothing to store. */
export interface Change<T> {
  readonly consumer: ConsumerRow;
  readonly result: T;
  /** Only the cursor or `pulled_ms` moved: other processes need not notice. */
  readonly quiet?: boolean;
}

/** `wall` is the clock's time of `now`, for what is shown. */
export interface Changed<T> extends Change<T>, Pick<Locked, 'now'> {
  readonly wall: number;
  readonly before: ConsumerRow;
}

/** Changes a consumer and its rows in one transaction; undefined when there is no such consumer. `work` may be run again. */
export function changeConsumer<T>(
  db: Db,
  userId: number,
  name: string,
  work: (rows: LeaseRows, locked: Locked, queries: Queries) => Promise<Change<T>>,
): Promise<Changed<T> | undefined> {
  return db.transaction(async (queries) => {
    const locked = await lockConsumer(db, queries, [userId, name]);
    if (!locked) return undefined;
    const { consumer: before, now, wall } = locked;
    const { consumer, result, quiet } = await work(leaseRows(queries, before), locked, queries);
    if (consumer === before) return { consumer, result, before, now, wall };
    const next = quiet ? consumer : { ...consumer, version: before.version + 1 };
    await (quiet ? saveLook(queries, next) : saveConsumer(db, queries, next));
    return { consumer: next, result, before, now, wall };
  });
}
