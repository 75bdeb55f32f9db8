// What became of contents: the dead letters of a consumer, and where one content stands with every consumer of its user.
import type { Db } from './db.ts';

export interface DeadLetter {
  readonly id: number;
  readonly wh_id: number;
  readonly attempt: number;
  readonly reason: string;
  readonly dead_ms: number;
}

/** Dead letters with content id >= from, by id. */
export const listDead = (db: Db, consumerId: number, from: number, limit: number): Promise<DeadLetter[]> =>
  db.all(
    'SELECT id, wh_id, attempt, reason, dead_ms FROM restante_dead WHERE consumer_id = ? AND id >= ? ORDER BY id LIMIT ?',
    [consumerId, from, limit],
  );

export interface Totals {
  readonly leased: number;
  readonly waiting: number;
  readonly dead: number;
  readonly consumers: number;
}

/** What all consumers together have: in hand, given back, given up. */
export async function countStanding(db: Db): Promise<Totals> {
  const sql = `SELECT (SELECT COUNT(*) FROM restante_lease WHERE waiting = 0) AS leased,
    (SELECT COUNT(*) FROM restante_lease WHERE waiting = 1) AS waiting, COALESCE(SUM(dead), 0) AS dead, COUNT(*) AS consumers
    FROM restante_consumer WHERE user_id <> 0`;
  const [row] = await db.all<Record<'leased' | 'waiting' | 'dead' | 'consumers', number | string>>(sql);
  const number = (name: 'leased' | 'waiting' | 'dead' | 'consumers') => Number(row?.[name] ?? 0);
  return {
    leased: number('leased'),
    waiting: number('waiting'),
    dead: number('dead'),
    consumers: number('consumers'),
  };
}

/** Where one content of a user stands in the order of visibility; undefined while it has no place yet. */
export async function findPlace(
  db: Db,
  userId: number,
  id: number,
): Promise<{ readonly pos: number; readonly seen_ms: number } | undefined> {
  const sql = 'SELECT pos, seen_ms FROM restante_position WHERE id = ? AND user_id = ?';
  return (await db.all<{ pos: number; seen_ms: number }>(sql, [id, userId]))[0];
}

/** What one consumer has of a content; all null when it is neither out nor dead. */
export interface Standing {
  readonly consumer_id: number;
  readonly due_ms: number | null;
  readonly attempt: number | null;
  readonly waiting: number | null;
  /** What was said when it was given back. */
  readonly said: string | null;
  readonly dead_attempt: number | null;
  readonly dead_reason: string | null;
  readonly dead_ms: number | null;
  /** The database's clock. */
  readonly now: number;
}

/** One row for each consumer of a user. */
export const standings = (db: Db, userId: number, pos: number): Promise<Standing[]> =>
  db.all(
    `SELECT c.id AS consumer_id, l.due_ms, l.attempt, l.waiting, l.reason AS said, d.attempt AS dead_attempt,
       d.reason AS dead_reason, d.dead_ms, ${db.dialect.nowMs} AS now
     FROM restante_consumer c LEFT JOIN restante_lease l ON l.consumer_id = c.id AND l.pos = ?
     LEFT JOIN restante_dead d ON d.consumer_id = c.id AND d.pos = ? WHERE c.user_id = ?`,
    [pos, pos, userId],
  );
