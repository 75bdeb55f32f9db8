// The order of visibility: every statement that gives contents their positions, and the marks that survive a restart.
import { type Db, type Dialect, listsOf, type Queries } from './db.ts';
import { OWNER, ownerIn, type Range, type Row, ranged } from './fence/source.ts';
import { raiseMeta } from './shared/meta.ts';

/** A content with its position in the order of visibility. */
export interface PositionedRow extends Row {
  readonly pos: number;
  /** When we saw it, in ms since 1970 by the database's clock. */
  readonly seen_ms: number;
}

export interface Assigned {
  /** The position that the first row got; those below it were given before. */
  readonly first: number;
  readonly assigned: readonly PositionedRow[];
}

// When the last one was seen. A clock that was set back must not make a later one look older: times never fall with the position.
const NEWEST = '(SELECT seen_ms FROM restante_position ORDER BY pos DESC LIMIT 1)';
const COLUMNS = ['pos', 'id', 'user_id', 'wh_id', 'seen_ms'];
const MOST_NAMED = 500;

/**
 * Gives rows their positions, in the given order; those that have one keep it. One transaction at a time, of all processes:
 * the row 'seq' is locked before a position is chosen, and released by the commit. `next`: the next position as this process
 * knows it. When it still is the next one, no other process gave any, and the rows need not be compared.
 */
export function assignPositions(db: Db, rows: readonly Row[], next?: number): Promise<Assigned> {
  return db.transaction(async (queries) => {
    const sql = `SELECT v, ${db.dialect.nowMs} AS now, ${NEWEST} AS newest FROM restante_meta WHERE k = 'seq'${db.dialect.forUpdate}`;
    const [seq] = await queries.all<{ v: number; now: number; newest: number | null }>(sql);
    if (!seq) throw new Error("restante_meta has no row 'seq': run restante migrate");
    const { oneWriter } = db.dialect;
    const first = oneWriter ? (await lastPosition(queries)) + 1 : seq.v;
    const have = first === next ? new Set<number>() : await withPosition(queries, rows);
    const missing = rows.filter(({ id }) => !have.has(id)).sort((a, b) => a.id - b.id);
    const now = Math.max(seq.now, seq.newest ?? 0);
    if (oneWriter) return { first, assigned: await give(queries, missing, first, now) };
    const end = await copy(queries, missing, first, now);
    // Rows in memory may be from before a crash, and their ids belong to other contents now: without a doubt they need not be read.
    const sure = first === next && end - first === missing.length;
    const assigned = sure ? numbered(missing, first, now) : await queries.all<PositionedRow>(BETWEEN, [first, end]);
    return { first, assigned };
  });
}

const numbered = (rows: readonly Row[], first: number, now: number): PositionedRow[] =>
  rows.map(({ id, user_id, wh_id }, i) => ({ pos: first + i, id, user_id, wh_id, seen_ms: now }));

/** On SQLite: the rows as they were read, for they cannot vanish there. */
async function give(queries: Queries, rows: readonly Row[], first: number, now: number): Promise<PositionedRow[]> {
  const assigned = numbered(rows, first, now);
  const values = assigned.map(({ pos, id, user_id, wh_id, seen_ms }) => [pos, id, user_id, wh_id, seen_ms]);
  if (values.length > 0) await queries.insert('restante_position', COLUMNS, values);
  return assigned;
}

/**
 * On a server: copied by the server from the rows themselves. A row that was seen before a crash may be gone, and its id belong to
 * another content. What this transaction sees was committed before it in the log, so both survive, or neither does. Resolves with
 * the position that comes next.
 */
async function copy(queries: Queries, rows: readonly Row[], first: number, now: number): Promise<number> {
  let next = first;
  for (const ranges of chunksOf(rangesOf(rows), MOST_NAMED)) {
    const { where, params } = ranged(ranges);
    const sql = `INSERT INTO restante_position (${COLUMNS.join(', ')})
      SELECT ? + ROW_NUMBER() OVER (ORDER BY id), id, ${OWNER}, ? FROM tblwh WHERE ${where}`;
    next += await queries.run(sql, [next - 1, now, ...params]);
  }
  if (next > first) await queries.run("UPDATE restante_meta SET v = ? WHERE k = 'seq'", [next]);
  return next;
}

/** Ids that follow one another as ranges. `rows` may come in any order; positions are given in the order of ids. */
function rangesOf(rows: readonly Row[]): Range[] {
  const ranges: [number, number][] = [];
  for (const id of rows.map((row) => row.id).sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === id) continue;
    if (last && last[1] === id - 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges;
}
const chunksOf = <T>(list: readonly T[], size: number): (readonly T[])[] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

/**
 * On SQLite, where one writer at a time commits in the order of ids: positions for the rows just inserted, and for what
 * other programs inserted before them, within the transaction that stores them.
 */
export async function assignInserted(
  dialect: Dialect,
  queries: Queries,
  rows: readonly Row[],
): Promise<PositionedRow[]> {
  const own = (rows[0] as Row).id;
  const state = `SELECT MAX(id) AS id, ${dialect.nowMs} AS now, ${NEWEST} AS newest FROM restante_position`;
  const [last] = await queries.all<{ id: number | null; now: number; newest: number | null }>(state);
  let known = last?.id ?? 0;
  if (own <= known) {
    // Another program emptied tblwh and its ids begin again: these positions belonged to other contents.
    await queries.run('DELETE FROM restante_position WHERE id >= ?', [own]);
    known = own - 1;
  }
  const sql = `SELECT id, ${OWNER} FROM tblwh WHERE id > ? AND id < ? ORDER BY id`;
  const others = own > known + 1 ? await queries.all<Row>(sql, [known, own]) : [];
  return give(
    queries,
    others.length > 0 ? [...others, ...rows] : rows,
    (await lastPosition(queries)) + 1,
    Math.max(last?.now ?? 0, last?.newest ?? 0),
  );
}

async function lastPosition(queries: Queries): Promise<number> {
  return (await queries.all<{ head: number | null }>(`SELECT ${HEAD.sqlite} AS head`))[0]?.head ?? 0;
}

async function withPosition(queries: Queries, rows: readonly Row[]): Promise<Set<number>> {
  const ids = rows.map(({ id }) => id);
  const [low, high] = [Math.min(...ids), Math.max(...ids)];
  const have = new Set<number>();
  if (high - low < 4 * ids.length) {
    const sql = 'SELECT id FROM restante_position WHERE id BETWEEN ? AND ?';
    for (const { id } of await queries.all<{ id: number }>(sql, [low, high])) have.add(id);
    return have;
  }
  for (const { list, some } of listsOf(ids))
    for (const { id } of await queries.all<{ id: number }>(
      `SELECT id FROM restante_position WHERE id IN ${list}`,
      some,
    ))
      have.add(id);
  return have;
}

/**
 * The highest position that was ever given, as an expression; NULL before the first one. Its content may be gone: a reader must
 * not take that for a position still to be seen.
 */
export const HEAD = {
  mysql: "(SELECT v - 1 FROM restante_meta WHERE k = 'seq')",
  sqlite: "(SELECT seq FROM sqlite_sequence WHERE name = 'restante_position')",
} as const;

/** The position that will be given next, and the highest id that has one. */
export async function positionState(db: Db): Promise<{ next: number; highest: number }> {
  const sql = `SELECT ${HEAD[db.kind]} AS head, (SELECT MAX(id) FROM restante_position) AS highest`;
  const [row] = await db.all<{ head: number | null; highest: number | null }>(sql);
  return { next: (row?.head ?? 0) + 1, highest: row?.highest ?? 0 };
}

const BETWEEN =
  'SELECT pos, id, user_id, wh_id, seen_ms FROM restante_position WHERE pos >= ? AND pos < ? ORDER BY pos';

/** Positions from <= pos < to, which another process may have given. */
export const positionsBetween = (db: Db, from: number, to: number): Promise<PositionedRow[]> =>
  db.all<PositionedRow>(BETWEEN, [from, to]);

/** Contents with from < id <= to that have no position, in the order of ids. */
export const rowsWithoutPosition = (db: Db, from: number, to: number, limit: number): Promise<Row[]> =>
  db.all<Row>(
    `SELECT t.id, ${ownerIn('t.')} FROM tblwh t LEFT JOIN restante_position p ON p.id = t.id
     WHERE t.id > ? AND t.id <= ? AND p.id IS NULL ORDER BY t.id LIMIT ?`,
    [from, to, limit],
  );

// When tblwh has no more rows than this, all positions go: contents handed out twice are better than contents mistaken for others.
const FEW_ROWS = 10_000;
const IDS_PER_DELETE = 20_000;

/**
 * tblwh was emptied or restored, and `top` is its highest id now: removes the positions of contents that are gone, whose ids will
 * be given again, and the marks.
 */
export async function forgetPositions(db: Db, top: number): Promise<void> {
  const [count] = await db.all<{ n: number }>('SELECT COUNT(*) AS n FROM (SELECT id FROM tblwh LIMIT ?) few', [
    String(FEW_ROWS + 1),
  ]);
  const from = (count?.n ?? 0) > FEW_ROWS ? top : 0;
  const [last] = await db.all<{ id: number | null }>('SELECT MAX(id) AS id FROM restante_position');
  for (let at = from; at < (last?.id ?? 0); at += IDS_PER_DELETE)
    await db.transaction((queries) =>
      queries.run('DELETE FROM restante_position WHERE id > ? AND id <= ?', [at, at + IDS_PER_DELETE]),
    );
  await db.transaction((queries) => queries.run("DELETE FROM restante_meta WHERE k IN ('fence', 'backfill')"));
}

/**
 * Ids that survive a restart: `fence`, up to which every content is settled and has its position; `backfill`, up to which contents
 * older than the table of positions have theirs; `event`, up to which events are in restante_event.
 */
type Mark = 'fence' | 'backfill' | 'event';

export async function readMark(db: Pick<Db, 'all'>, mark: Mark): Promise<number | undefined> {
  return (await db.all<{ v: number }>('SELECT v FROM restante_meta WHERE k = ?', [mark]))[0]?.v;
}

/** Moves a mark up, never down. */
export const saveMark = (db: Db, mark: Mark, value: number): Promise<void> =>
  db.transaction((queries) => raiseMeta(db, queries, mark, value));

// The contents that this process committed last, with their positions: on SQLite they need not be read again.

// A look comes within 50 ms, and finds them here; a later one reads the table.
const MOST = 20_000;

export type Recent = ReturnType<typeof createRecent>;

export function createRecent() {
  // Without a hole in ids or positions, so that the index of a row is its distance from the first.
  let all: PositionedRow[] = [];
  const from = (index: number, to: number): readonly PositionedRow[] => (index < 0 ? [] : all.slice(index, to));
  return {
    /** The contents of one transaction, after it was committed. */
    add(rows: readonly PositionedRow[]): void {
      for (const one of rows) {
        const last = all.at(-1);
        if (last && (one.id !== last.id + 1 || one.pos !== last.pos + 1)) all = [];
        all.push(one);
      }
      if (all.length > 2 * MOST) all = all.slice(-MOST);
    },
    /** Contents from the one after id `after` on, as many as are known here without a hole; none when the first is not. */
    afterId(after: number, limit: number): readonly PositionedRow[] {
      const index = after + 1 - (all[0]?.id ?? 0);
      return from(index, index + limit);
    },
    /** The same from a position on, below `to`. */
    fromPos(pos: number, to: number): readonly PositionedRow[] {
      const first = all[0]?.pos ?? 0;
      return from(pos - first, to - first);
    },
  };
}
