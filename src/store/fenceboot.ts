// Where the fence begins when nothing was kept.
import type { Db } from './db.ts';
import type { FenceSource } from './fence.ts';

// Far more ids than any transaction should be open for; at 1,000 a second they are given in a quarter of an hour.
export const WINDOW_IDS = 1_000_000;
const IDS_PER_COUNT = 20_000;

/**
 * Where the fence begins when nothing was kept: below the oldest id without a row among the last million. Counts in chunks,
 * so that no ids are transferred.
 */
export async function bootFence(db: Db, source: FenceSource): Promise<number> {
  const top = (await source.top?.(Number.MAX_SAFE_INTEGER)) ?? 0;
  if (source.ordered) return top;
  const full = async (from: number, to: number): Promise<boolean> => {
    const sql = 'SELECT COUNT(*) AS n FROM tblwh FORCE INDEX (PRIMARY) WHERE id BETWEEN ? AND ?';
    const rows = await db.transaction((queries) => queries.all<{ n: number }>(sql, [from, to]));
    return rows[0]?.n === to - from + 1;
  };
  let from = Math.max(1, top - WINDOW_IDS + 1);
  let size = IDS_PER_COUNT;
  while (from <= top) {
    const to = Math.min(top, from + size - 1);
    if (await full(from, to)) from = to + 1;
    else if (size === 1) break;
    else size = Math.ceil((to - from + 1) / 2);
  }
  return from - 1;
}
