// Asks by locking reads that do not wait whether a row is being written in a gap, and touches no row beside the gap.
import { type Db, failed, type Queries } from './db.ts';
import type { Range } from './fence.ts';

// About 12 ms for this many; wider gaps are rare, and asked about as a range.
const IDS_PER_STATEMENT = 10_000;

/** False when a row within `ranges` exists or is being written now. */
export async function probe(db: Db, ranges: readonly Range[]): Promise<boolean> {
  const wide = ranges.filter(([from, to]) => to - from >= IDS_PER_STATEMENT);
  const ids: number[] = [];
  for (const [from, to] of ranges) {
    if (to - from >= IDS_PER_STATEMENT) continue;
    for (let id = from; id <= to; id++) ids.push(id);
  }
  return db.transaction(async (queries) => {
    try {
      for (let at = 0; at < ids.length; at += IDS_PER_STATEMENT)
        if (await anyOf(db, queries, ids.slice(at, at + IDS_PER_STATEMENT))) return false;
      for (const range of wide) if (await anyWithin(db, queries, range)) return false;
      return true;
    } catch (error) {
      if (failed(error, 'again')) return false;
      throw error;
    }
  });
}

/**
 * By the ids themselves: a range, or a list in a small table, is read on to the next row, and whoever has locked that one
 * (a SELECT … FOR UPDATE of the whole table, say) would look like the writer of the gap.
 */
async function anyOf(db: Db, queries: Queries, ids: readonly number[]): Promise<boolean> {
  // MySQL wants to be told that the list itself is not to be locked; MariaDB has no words for it.
  const lock = db.dialect.shareNowait.replace('FOR SHARE', 'FOR SHARE OF t');
  const sql = `SELECT t.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id INT UNSIGNED PATH '$')) g
  STRAIGHT_JOIN tblwh t FORCE INDEX (PRIMARY) ON t.id = g.id LIMIT 1${lock}`;
  return (await queries.all(sql, [JSON.stringify(ids)])).length > 0;
}

async function anyWithin(db: Db, queries: Queries, [from, to]: Range): Promise<boolean> {
  const sql = `SELECT id FROM tblwh FORCE INDEX (PRIMARY) WHERE id BETWEEN ? AND ? LIMIT 1${db.dialect.shareNowait}`;
  return (await queries.all(sql, [from, to])).length > 0;
}
