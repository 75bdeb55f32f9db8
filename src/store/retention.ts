// Removes old contents for good, with everything that points at them, and tells the consumers that had not read them.
import { lockConsumer, saveConsumer } from './consumers.ts';
import { type Db, marks, padded, type Queries } from './db.ts';
import { BY_USER, matching, type Place } from './places.ts';

export interface Purged {
  /** Rows of tblwh. */
  readonly contents: number;
  readonly positions: number;
}

// Ids per statement; one call should not have more than ten times as many positions to remove.
const IDS = 512;

/**
 * Removes every content with a position up to `pos`, inside the caller's transaction. Consumers are locked first, in order,
 * so that nobody is handed out what is being removed. Whoever had contents before him in there has a gap from now on.
 */
export async function purgeUpTo(db: Db, queries: Queries, pos: number): Promise<Purged> {
  for (const id of await concerned(queries, pos)) await tell(db, queries, id, pos);
  const places = await queries.all<Place>('SELECT pos, id FROM restante_position WHERE pos <= ? ORDER BY pos', [pos]);
  let contents = 0;
  for (let from = 0; from < places.length; from += IDS) {
    const ids = padded(places.slice(from, from + IDS).map(({ id }) => id));
    contents += await queries.run(`DELETE FROM tblwh WHERE id IN (${marks(ids.length)})`, ids);
    await queries.run(`DELETE FROM restante_request WHERE id IN (${marks(ids.length)})`, ids);
  }
  await queries.run('DELETE FROM restante_position WHERE pos <= ?', [pos]);
  await raise(queries, 'purged_pos', pos);
  if (places.length > 0) await raise(queries, 'purged_id', Math.max(...places.map(({ id }) => id)));
  return { contents, positions: places.length };
}

/** Consumers with something of theirs at or below `pos`, in the order in which they are locked. */
async function concerned(queries: Queries, pos: number): Promise<number[]> {
  // The first content beyond its cursor, whatever webhook it is of; tell() looks closer.
  const behind = `SELECT c.id FROM restante_consumer c WHERE c.cursor_pos < ? AND c.user_id <> 0 AND
    (SELECT p.pos FROM restante_position p WHERE p.user_id = c.user_id AND p.pos > c.cursor_pos ORDER BY p.pos LIMIT 1) <= ?`;
  const sql = `${behind} UNION SELECT consumer_id AS id FROM restante_lease WHERE pos <= ?
    UNION SELECT consumer_id AS id FROM restante_dead WHERE pos <= ? ORDER BY id`;
  return (await queries.all<{ id: number }>(sql, [pos, pos, pos, pos])).map(({ id }) => id);
}

/** Takes what is removed from a consumer; what it had not read is its gap. */
async function tell(db: Db, queries: Queries, id: number, pos: number): Promise<void> {
  const locked = await lockConsumer(db, queries, id);
  if (!locked) return;
  const { consumer } = locked;
  const { text, params } = matching(consumer);
  const [lost] = await queries.all<{ low: number | null; high: number | null }>(
    `SELECT MIN(id) AS low, MAX(id) AS high FROM ${BY_USER} WHERE ${text} AND pos > ? AND pos <= ?`,
    [...params, consumer.cursor_pos, pos],
  );
  await queries.run('DELETE FROM restante_lease WHERE consumer_id = ? AND pos <= ?', [id, pos]);
  const dead = await queries.run('DELETE FROM restante_dead WHERE consumer_id = ? AND pos <= ?', [id, pos]);
  const { low, high } = lost ?? {};
  const { gap } = consumer;
  const wider = low != null &&
    high != null && {
      from: Math.min(low, gap?.from ?? low),
      to: Math.max(high, gap?.to ?? high),
      pos,
    };
  await saveConsumer(db, queries, {
    ...consumer,
    cursor_pos: Math.max(consumer.cursor_pos, pos),
    dead: consumer.dead - dead,
    gap: wider || gap,
    version: consumer.version + 1,
  });
}

async function raise(queries: Queries, key: 'purged_pos' | 'purged_id', value: number): Promise<void> {
  const [row] = await queries.all<{ v: number }>('SELECT v FROM restante_meta WHERE k = ?', [key]);
  if (!row) await queries.insert('restante_meta', ['k', 'v'], [[key, value]]);
  else if (row.v < value) await queries.run('UPDATE restante_meta SET v = ? WHERE k = ?', [value, key]);
}
