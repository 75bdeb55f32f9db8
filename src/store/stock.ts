// How much is stored for a user.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from './db.ts';
import { BY_USER } from './places.ts';

// All at once would stop everybody on SQLite, and take a server too long: those who have most would be counted least.
const ROWS = 2_000;

/**
 * Bytes of the bodies that came through us for a user and are still there. Reads along all of his rows, a few at a time,
 * and rests as long as each part took.
 */
export async function storedBytes(db: Db, userId: number): Promise<number> {
  const sql = `SELECT COUNT(*) AS places, MAX(some.pos) AS last, SUM(r.size) AS bytes
    FROM (SELECT pos, id FROM ${BY_USER} WHERE user_id = ? AND pos > ? ORDER BY pos LIMIT ${ROWS}) some
    LEFT JOIN restante_request r ON r.id = some.id`;
  let sum = 0;
  for (let after = 0; ; ) {
    const began = performance.now();
    const [part] = await db.all<{ places: number; last: number | null; bytes: number | string | null }>(sql, [
      userId,
      after,
    ]);
    sum += Number(part?.bytes ?? 0);
    if (!part || part.places < ROWS || part.last === null) return sum;
    after = part.last;
    await sleep(performance.now() - began);
  }
}
