// Every statement on restante_lease and restante_dead: what a consumer has in hand, gets again, and gave up.
import { BY_USER, matching, type NextPositions, nextPositions, type Position } from './backlog.ts';
import { type ConsumerRow, type Locked, lockConsumer, saveConsumer, saveLook } from './consumers.ts';
import { type Db, marks, padded, type Queries, type Value } from './db.ts';

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

/** The rows of one consumer, inside the transaction that has locked it. A fake can stand in. */
export interface LeaseRows {
  /** What is due, by position. */
  due(now: number, limit: number): Promise<LeaseRow[]>;
  /** All beyond a position, due or not. */
  lowest(after: number, limit: number): Promise<LeaseRow[]>;
  /** When the last of what is in hand now becomes due; 0 when nothing is in hand. */
  heldUntil(now: number): Promise<number>;
  at(positions: readonly number[]): Promise<LeaseRow[]>;
  /** Those of one lease that are in hand, from a position on. */
  ofLease(token: number, from: number): Promise<LeaseRow[]>;
  /** The earliest moment at which something is due; 0 when nothing is out. */
  nextDue(): Promise<number>;
  /** Contents beyond the cursor. */
  fresh(head: number, limit: number): Promise<NextPositions>;
  /** Hands out for the first time what lies after < pos <= upTo. */
  handOut(after: number, upTo: number, lease: { token: number; due: number }): Promise<void>;
  /** Hands out again. `counts`: as one more attempt. */
  handAgain(positions: readonly number[], lease: { token: number; due: number }, counts: boolean): Promise<void>;
  /** Acks all of a lease between two positions; resolves with how many there were. */
  removeRange(token: number, from: number, to: number): Promise<number>;
  remove(token: number, positions: readonly number[]): Promise<number>;
  /** Removes those of them that are due, whatever their token. */
  removeDue(now: number, positions: readonly number[]): Promise<number>;
  giveBack(positions: readonly number[], how: Returned): Promise<void>;
  extend(positions: readonly number[], due: number): Promise<void>;
  /** Makes them dead letters, for `reason`; where that is null, for the reason of the last nack, else for `otherwise`. */
  bury(positions: readonly number[], reason: string | null, otherwise: string, now: number): Promise<void>;
  dead(positions: readonly number[]): Promise<number[]>;
  /** Dead letters by content, or the first ones. */
  deadPositions(ids: readonly number[] | null, limit: number): Promise<Position[]>;
  /** Dead letters wait to be handed out again, as if for the first time. */
  revive(positions: readonly number[], now: number): Promise<void>;
  /** Contents wait to be handed out again, as if for the first time, though they were acked or given back. */
  put(positions: readonly number[], now: number): Promise<void>;
  /** Forgets everything that is out, and the dead letters from a position on; resolves with how many those were. */
  forget(deadFrom: number): Promise<number>;
  /** Positions of contents of the user. */
  positionsOf(ids: readonly number[]): Promise<(Position & { wh_id: number })[]>;
}

type Row = Omit<LeaseRow, 'waiting'> & { waiting: number };
const SELECT = 'SELECT pos, id, token, due_ms, attempt, waiting FROM restante_lease WHERE consumer_id = ?';

export function leaseRows(queries: Queries, consumer: ConsumerRow): LeaseRows {
  const { id, user_id } = consumer;
  const rows = async (more: string, params: readonly Value[]): Promise<LeaseRow[]> =>
    (await queries.all<Row>(`${SELECT} ${more}`, [id, ...params])).map((row) => ({
      ...row,
      waiting: row.waiting !== 0,
    }));
  /** Runs `work` for all positions, some at a time: `list` is the text for them, `some` their values. */
  async function inParts<T>(all: readonly number[], work: (list: string, some: number[]) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    for (let from = 0; from < all.length; from += 512) {
      const some = padded(all.slice(from, from + 512));
      results.push(await work(`(${marks(some.length)})`, some));
    }
    return results;
  }
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

  return {
    due: (now, limit) => rows('AND due_ms <= ? ORDER BY pos LIMIT ?', [now, limit]),
    lowest: (after, limit) => rows('AND pos > ? ORDER BY pos LIMIT ?', [after, limit]),
    async heldUntil(now) {
      const sql = 'SELECT MAX(due_ms) AS due FROM restante_lease WHERE consumer_id = ? AND waiting = 0 AND due_ms > ?';
      return (await queries.all<{ due: number | null }>(sql, [id, now]))[0]?.due ?? 0;
    },
    at: async (positions) => (await inParts(positions, (list, some) => rows(`AND pos IN ${list}`, some))).flat(),
    ofLease: (token, from) => rows('AND token = ? AND waiting = 0 AND pos >= ? ORDER BY pos', [token, from]),
    async nextDue() {
      const sql = 'SELECT MIN(due_ms) AS due FROM restante_lease WHERE consumer_id = ?';
      return (await queries.all<{ due: number | null }>(sql, [id]))[0]?.due ?? 0;
    },
    fresh: (head, limit) => nextPositions(queries, consumer, head, limit),
    async handOut(after, upTo, { token, due }) {
      const { text, params } = matching(consumer);
      await queries.run(
        `INSERT INTO restante_lease (consumer_id, pos, id, token, due_ms, attempt, waiting)
         SELECT ?, pos, id, ?, ?, 1, 0 FROM ${BY_USER} WHERE ${text} AND pos > ? AND pos <= ?`,
        [id, token, due, ...params, after, upTo],
      );
    },
    async handAgain(positions, { token, due }, counts) {
      const sql = `UPDATE restante_lease SET token = ?, due_ms = ?, waiting = 0${counts ? ', attempt = attempt + 1' : ''} WHERE consumer_id = ?`;
      await inParts(positions, (list, some) => queries.run(`${sql} AND pos IN ${list}`, [token, due, id, ...some]));
    },
    removeRange: (token, from, to) =>
      queries.run('DELETE FROM restante_lease WHERE consumer_id = ? AND token = ? AND pos BETWEEN ? AND ?', [
        id,
        token,
        from,
        to,
      ]),
    async remove(token, positions) {
      const sql = 'DELETE FROM restante_lease WHERE consumer_id = ? AND token = ? AND pos IN';
      return total(await inParts(positions, (list, some) => queries.run(`${sql} ${list}`, [id, token, ...some])));
    },
    async removeDue(now, positions) {
      const sql = 'DELETE FROM restante_lease WHERE consumer_id = ? AND due_ms <= ? AND pos IN';
      return total(await inParts(positions, (list, some) => queries.run(`${sql} ${list}`, [id, now, ...some])));
    },
    async giveBack(positions, { due, refund, reason, token }) {
      const more = `${reason === undefined ? '' : ', reason = ?'}${token === undefined ? '' : ', token = ?'}`;
      const set = [due, refund, ...(reason === undefined ? [] : [reason]), ...(token === undefined ? [] : [token])];
      const sql = `UPDATE restante_lease SET waiting = 1, due_ms = ?, attempt = attempt - ?${more} WHERE consumer_id = ? AND pos IN`;
      await inParts(positions, (list, some) => queries.run(`${sql} ${list}`, [...set, id, ...some]));
    },
    async extend(positions, due) {
      const sql = 'UPDATE restante_lease SET due_ms = ? WHERE consumer_id = ? AND pos IN';
      await inParts(positions, (list, some) => queries.run(`${sql} ${list}`, [due, id, ...some]));
    },
    async bury(positions, reason, otherwise, now) {
      const sql = `INSERT INTO restante_dead (consumer_id, pos, id, wh_id, attempt, reason, dead_ms)
        SELECT l.consumer_id, l.pos, l.id, COALESCE(p.wh_id, 0), l.attempt, COALESCE(?, l.reason, ?), ? FROM restante_lease l
        LEFT JOIN restante_position p ON p.pos = l.pos WHERE l.consumer_id = ? AND l.pos IN`;
      await inParts(positions, async (list, some) => {
        await queries.run(`${sql} ${list}`, [reason, otherwise, now, id, ...some]);
        await queries.run(`DELETE FROM restante_lease WHERE consumer_id = ? AND pos IN ${list}`, [id, ...some]);
      });
    },
    async dead(positions) {
      const sql = 'SELECT pos FROM restante_dead WHERE consumer_id = ? AND pos IN';
      const found = await inParts(positions, (list, some) =>
        queries.all<{ pos: number }>(`${sql} ${list}`, [id, ...some]),
      );
      return found.flat().map(({ pos }) => pos);
    },
    async deadPositions(ids, limit) {
      const sql = 'SELECT pos, id FROM restante_dead WHERE consumer_id = ?';
      if (!ids) return queries.all<Position>(`${sql} ORDER BY pos LIMIT ?`, [id, limit]);
      return (
        await inParts(ids, (list, some) => queries.all<Position>(`${sql} AND id IN ${list}`, [id, ...some]))
      ).flat();
    },
    async revive(positions, now) {
      const sql = `INSERT INTO restante_lease (consumer_id, pos, id, token, due_ms, attempt, waiting)
        SELECT consumer_id, pos, id, 0, ?, 0, 1 FROM restante_dead WHERE consumer_id = ? AND pos IN`;
      await inParts(positions, async (list, some) => {
        await queries.run(`${sql} ${list}`, [now, id, ...some]);
        await queries.run(`DELETE FROM restante_dead WHERE consumer_id = ? AND pos IN ${list}`, [id, ...some]);
      });
    },
    async put(positions, now) {
      const sql = `INSERT INTO restante_lease (consumer_id, pos, id, token, due_ms, attempt, waiting)
        SELECT ?, pos, id, 0, ?, 0, 1 FROM restante_position WHERE user_id = ? AND pos IN`;
      await inParts(positions, async (list, some) => {
        await queries.run(`DELETE FROM restante_lease WHERE consumer_id = ? AND pos IN ${list}`, [id, ...some]);
        await queries.run(`${sql} ${list}`, [id, now, user_id, ...some]);
      });
    },
    async forget(deadFrom) {
      await queries.run('DELETE FROM restante_lease WHERE consumer_id = ?', [id]);
      return queries.run('DELETE FROM restante_dead WHERE consumer_id = ? AND pos >= ?', [id, deadFrom]);
    },
    async positionsOf(ids) {
      const sql = 'SELECT pos, id, wh_id FROM restante_position WHERE user_id = ? AND id IN';
      return (
        await inParts(ids, (list, some) =>
          queries.all<Position & { wh_id: number }>(`${sql} ${list}`, [user_id, ...some]),
        )
      ).flat();
    },
  };
}

/** What a change made of a consumer. If `consumer` is the very object that was locked, there is nothing to store. */
export interface Change<T> {
  readonly consumer: ConsumerRow;
  readonly result: T;
  /** Only the cursor or `pulled_ms` moved: other processes need not notice. */
  readonly quiet?: boolean;
}

export interface Changed<T> extends Change<T> {
  readonly before: ConsumerRow;
  readonly now: number;
}

/** Changes a consumer and its rows in one transaction; undefined when there is no such consumer. `work` may be run again. */
export function changeConsumer<T>(
  db: Db,
  userId: number,
  name: string,
  work: (rows: LeaseRows, locked: Locked) => Promise<Change<T>>,
): Promise<Changed<T> | undefined> {
  return db.transaction(async (queries) => {
    const locked = await lockConsumer(db, queries, [userId, name]);
    if (!locked) return undefined;
    const { consumer: before, now } = locked;
    const { consumer, result, quiet } = await work(leaseRows(queries, before), locked);
    if (consumer === before) return { consumer, result, before, now };
    const next = quiet ? consumer : { ...consumer, version: before.version + 1 };
    await (quiet ? saveLook(queries, next) : saveConsumer(db, queries, next));
    return { consumer: next, result, before, now };
  });
}
