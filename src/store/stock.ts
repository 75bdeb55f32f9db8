// How much is stored for a user.
import type { Db } from './db.ts';
import { BY_USER } from './places.ts';

/** Bytes of the bodies that came through us for a user and are still there. Reads along all of his rows. */
export async function storedBytes(db: Db, userId: number): Promise<number> {
  const sql = `SELECT SUM(r.size) AS bytes FROM ${BY_USER}
    JOIN restante_request r ON r.id = restante_position.id WHERE restante_position.user_id = ?`;
  return Number((await db.all<{ bytes: number | string | null }>(sql, [userId]))[0]?.bytes ?? 0);
}
