// Gives contents that were there before restante_position their positions: in parts, so that it can stop and go on.
import type { Db } from './db.ts';
import type { Row } from './fence.ts';
import { placeRows, readMark, saveMark } from './positions.ts';

// The lock on the next position is held for one part: short enough for a service that runs meanwhile.
const PART_ROWS = 5_000;

export interface Backfill {
  /** Rows done now, and the share of all ids that are behind it, 0 to 1. */
  readonly rows: number;
  readonly share: number;
}

/** Resolves with the number of rows that were looked at. Safe to run again, by two at once, and beside a running service. */
export async function backfill(db: Db, tell: (progress: Backfill) => void): Promise<number> {
  const [end] = await db.all<{ id: number | null }>('SELECT MAX(id) AS id FROM tblwh');
  const to = end?.id ?? 0;
  const from = (await readMark(db, 'backfill')) ?? 0;
  let rows = 0;
  for (let at = from; at < to; ) {
    const part = await db.all<Row>(
      'SELECT id, user_id, wh_id FROM tblwh WHERE id > ? AND id <= ? ORDER BY id LIMIT ?',
      [at, to, PART_ROWS],
    );
    if (part.length > 0) await placeRows(db, part);
    at = part.length === PART_ROWS ? (part.at(-1) as Row).id : to;
    await saveMark(db, 'backfill', at);
    rows += part.length;
    tell({ rows, share: (at - from) / (to - from) });
  }
  return rows;
}
