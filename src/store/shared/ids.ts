// Ids that were given are not given again after a failover: the new primary may lack the last contents of the old one.
//
// An asynchronous replica that is promoted begins after the last content that it has. The old primary may have given the next ids
// already, and readers of lists have passed them: what came with such an id would be skipped by them for ever. So before the first
// content is stored in a new term, the ids are moved on behind all that this process has seen: by an INSERT with an id of its own,
// which is rolled back. InnoDB keeps the counter, needs no right but INSERT for it, and no row was ever there for others to see.
import { type Db, failed, type Queries, termOf } from '../db.ts';
import { highestGiven } from '../fence/source.ts';

// Other processes may have seen more than this one: so many ids as some seconds of full load take.
const AHEAD = 10_000;
const LAST_ID = 4_294_967_295;

interface Seen {
  highest: number;
  term: number;
  moving: { readonly term: number; readonly done: Promise<void> } | undefined;
}
const seen = new WeakMap<object, Seen>();
function seenOf(db: Db): Seen {
  const one = seen.get(db) ?? { highest: 0, term: termOf(db), moving: undefined };
  seen.set(db, one);
  return one;
}

/** A content with this id was seen: the id is not to be given again. */
export function sawId(db: Db, id: number): void {
  const one = seenOf(db);
  one.highest = Math.max(one.highest, id);
}

class Undone extends Error {}

/** Resolves when no id will be given on the server of this term that was seen before it. */
export async function keepAhead(db: Db): Promise<void> {
  const one = seenOf(db);
  while (one.term !== termOf(db)) {
    const term = termOf(db);
    if (one.moving?.term !== term) one.moving = { term, done: moveOn(db, one.highest) };
    await one.moving.done.finally(() => {
      one.moving = undefined;
    });
    // It may have ended meanwhile.
    if (term === termOf(db)) one.term = term;
  }
}

const moveOn = (db: Db, highest: number): Promise<void> =>
  db
    .transaction(async (queries) => {
      if ((await highestGiven(queries, highest)) >= highest) return;
      await take(queries, highest + AHEAD < LAST_ID - AHEAD ? highest + AHEAD : highest);
      throw new Undone();
    })
    .catch((error: unknown) => {
      // Refused by a rule or a trigger of another application, or for want of a right: then ids are given again, as without this.
      if (!(error instanceof Undone) && failed(error, 'away', 'unknown', 'again')) throw error;
    });

/** Takes the user and the webhook of a row that is there: another application may have tied these columns to its tables. */
const take = (queries: Queries, id: number): Promise<number> =>
  queries.run(
    `INSERT INTO tblwh (id, content, ip, api, dt, user_id, wh_id)
      SELECT ?, '', '', 0, '', user_id, wh_id FROM (SELECT user_id, wh_id FROM tblwh ORDER BY id DESC LIMIT 1) newest`,
    [id],
  );
