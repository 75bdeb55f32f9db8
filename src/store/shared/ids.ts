// Ids that were given are not given again after a failover: the new primary may lack the last contents of the old one.
//
// An asynchronous replica that is promoted begins after the last content that it has. The old primary may have given the next ids
// already, and readers of lists have passed them: what came with such an id would be skipped by them for ever. So before the first
// content is stored in a new term, the ids are moved on behind all that this process has seen: by an INSERT with an id of its own,
// which is undone. InnoDB keeps the counter, needs no right but INSERT for it, and no row was ever there for others to see.
import { type Db, failed, type Queries, type Transaction, TransactionOver, termOf } from '../db.ts';
import { highestGiven, MOST_CONTENT_ID } from '../fence/source.ts';

// Other processes may have seen more than this one: so many ids as some seconds of full load take.
const AHEAD = 10_000;

interface Seen {
  highest: number;
  term: number;
}
const seen = new WeakMap<object, Seen>();
function seenOf(db: Db): Seen {
  const one = seen.get(db) ?? { highest: 0, term: termOf(db) };
  seen.set(db, one);
  return one;
}

/** A content with this id was seen: the id is not to be given again. */
export function sawId(db: Db, id: number): void {
  const one = seenOf(db);
  one.highest = Math.max(one.highest, id);
}

class Undone extends Error {}

/**
 * Resolves when no id will be given on the server of this term that was seen before it. Within the transaction that stores, for
 * nobody may wait for a second connection while holding one; the ids stay where they are also when it is rolled back.
 */
export async function keepAhead(db: Db, queries: Transaction): Promise<void> {
  const one = seenOf(db);
  const term = termOf(db);
  if (one.term === term) return;
  await moveOn(queries, one.highest);
  // It may have ended meanwhile.
  if (term === termOf(db)) one.term = term;
}

async function moveOn(queries: Transaction, highest: number): Promise<void> {
  if ((await highestGiven(queries, highest)) >= highest) return;
  const id = highest + AHEAD < MOST_CONTENT_ID.mysql - AHEAD ? highest + AHEAD : highest;
  const taken = queries.attempt(async () => {
    await take(queries, id);
    throw new Undone();
  });
  await taken.catch((error: unknown) => {
    // Refused by a rule or a trigger of another application, or for want of a right: then ids are given again, as without this.
    if (error instanceof TransactionOver || failed(error, 'away', 'unknown', 'again')) throw error;
  });
}

/** Takes the user and the webhook of a row that is there: another application may have tied these columns to its tables. */
const take = (queries: Queries, id: number): Promise<number> =>
  queries.run(
    `INSERT INTO tblwh (id, content, ip, api, dt, user_id, wh_id)
      SELECT ?, '', '', 0, '', user_id, wh_id FROM (SELECT user_id, wh_id FROM tblwh ORDER BY id DESC LIMIT 1) newest`,
    [id],
  );
