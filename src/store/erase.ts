// Finds what is kept of a user, or what contains a text, part by part; removes it, so that nothing of it is left that is ours.
import { type Db, marks, padded, type Queries, type Value } from './db.ts';
import { MOST_IDS, removeContents } from './retention.ts';

/** Of this user, or of everybody; all, or what contains one of these texts. */
export interface Wanted {
  readonly userId: number | undefined;
  readonly texts: readonly Buffer[];
}

/** The tables that are walked, by id: contents with all that is kept of them, and refusals. */
export type Kind = 'contents' | 'refusals';

/** A condition that is true when one of the columns has one of the texts in it, byte for byte; true when there are none. */
function contains(db: Db, columns: readonly string[], { texts }: Wanted): { sql: string; params: readonly Value[] } {
  if (texts.length === 0) return { sql: 'TRUE', params: [] };
  const one = columns.flatMap((column) => texts.map(() => `INSTR(${db.dialect.bytes(column)}, ?) > 0`));
  return { sql: `(${one.join(' OR ')})`, params: columns.flatMap(() => texts) };
}

interface Search {
  readonly sql: string;
  readonly columns: readonly string[];
}
// A request may be left of a content that another application has removed, and a place of both.
const SEARCHES: Readonly<Record<Kind, readonly Search[]>> = {
  contents: [
    { sql: 'SELECT t.id FROM tblwh t WHERE t.id > ? AND t.id <= ? AND', columns: ['t.content', 't.ip'] },
    {
      sql: `SELECT r.id FROM restante_request r LEFT JOIN tblwh t ON t.id = r.id LEFT JOIN restante_position p ON p.id = r.id
        WHERE r.id > ? AND r.id <= ? AND`,
      columns: ['r.head', 'r.ip', 'r.event_id'],
    },
    { sql: 'SELECT t.id FROM restante_position t WHERE t.id > ? AND t.id <= ? AND', columns: [] },
  ],
  refusals: [
    {
      sql: 'SELECT t.id FROM restante_refusal t WHERE t.id > ? AND t.id <= ? AND',
      columns: ['t.content', 't.head', 't.ip', 't.reason'],
    },
  ],
};

/** after < id <= upTo. */
export interface Ids {
  readonly after: number;
  readonly upTo: number;
}

/** Ids of what is wanted. Reads all of them: the fewer, the sooner it is done. */
export async function findWanted(db: Db, kind: Kind, wanted: Wanted, { after, upTo }: Ids): Promise<number[]> {
  const found = new Set<number>();
  for (const { sql, columns } of SEARCHES[kind]) {
    if (columns.length === 0 && wanted.texts.length > 0) continue;
    const { sql: condition, params } = contains(db, columns, wanted);
    const owner = sql.includes(' p ON ') ? 'COALESCE(t.user_id, p.user_id)' : 't.user_id';
    const whose = wanted.userId === undefined ? '' : ` AND ${owner} = ?`;
    const values = [after, upTo, ...params, ...(wanted.userId === undefined ? [] : [wanted.userId])];
    for (const { id } of await db.all<{ id: number }>(`${sql} ${condition}${whose}`, values)) found.add(id);
  }
  return [...found].sort((a, b) => a - b);
}

/** The highest id that a walk has to come to. */
export async function lastId(db: Db, kind: Kind): Promise<number> {
  const tables = kind === 'refusals' ? ['restante_refusal'] : ['tblwh', 'restante_request', 'restante_position'];
  const rows = await Promise.all(
    tables.map((table) => db.all<{ id: number | null }>(`SELECT MAX(id) AS id FROM ${table}`)),
  );
  return Math.max(...rows.map(([row]) => row?.id ?? 0));
}

/** How many a transaction removes: the bodies may be large. */
export const MOST_ERASED = 64;

/** Removes them for good, whoever is still to get them; resolves with how many there were. */
export function eraseWanted(db: Db, kind: Kind, ids: readonly number[]): Promise<number> {
  if (ids.length > Math.min(MOST_ERASED, MOST_IDS)) throw new Error(`at most ${MOST_ERASED} at once`);
  return db.transaction(async (queries) => {
    if (kind === 'contents') return (await removeContents(db, queries, ids, 'wish')).contents;
    const some = padded(ids);
    return queries.run(`DELETE FROM restante_refusal WHERE id IN (${marks(some.length)})`, some);
  });
}

/** What workers said of contents may have the text in it too: then it is forgotten. */
export function eraseReasons(db: Db, wanted: Wanted): Promise<number> {
  const { sql, params } = contains(db, ['reason'], wanted);
  const whose =
    wanted.userId === undefined ? '' : ' AND consumer_id IN (SELECT id FROM restante_consumer WHERE user_id = ?)';
  const values = [...params, ...(wanted.userId === undefined ? [] : [wanted.userId])];
  return db.transaction(async (queries) => {
    const leases = await queries.run(`UPDATE restante_lease SET reason = NULL WHERE ${sql}${whose}`, values);
    return leases + (await queries.run(`UPDATE restante_dead SET reason = 'erased' WHERE ${sql}${whose}`, values));
  });
}

/** One content of a user, for good; false when he has none with this id. */
export function deleteContent(db: Db, userId: number, id: number): Promise<boolean> {
  return db.transaction(async (queries: Queries) => {
    const found = await queries.all('SELECT id FROM tblwh WHERE id = ? AND user_id = ?', [id, userId]);
    if (found.length === 0) return false;
    // Of two who delete at once one finds nothing to remove.
    return (await removeContents(db, queries, [id], 'wish')).contents > 0;
  });
}
