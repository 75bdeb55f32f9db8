// Adds the index that lists need to a tblwh that other applications are writing to.
import { type Db, failed } from './db.ts';
import { INDEX } from './migrations.ts';

const TRIES = 30;
const PAUSE_MS = 1_000;

/** How many rows there are, roughly, and whether DDL would stop a whole Galera cluster. */
export async function estimate(db: Db): Promise<{ rows: number; galera: boolean }> {
  if (db.kind === 'sqlite') return { rows: 0, galera: false };
  const [wsrep] = await db.all<{ Value: string }>("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'");
  const [size] = await db.all<{ n: number | null }>(
    "SELECT table_rows AS n FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'tblwh'",
  );
  return { rows: Number(size?.n ?? 0), galera: wsrep?.Value === 'ON' };
}

/** Resolves with false when a long transaction held the table all the time; then nothing was changed. */
export function addIndex(db: Db, tell: (line: string) => void): Promise<boolean> {
  return db.transaction(async (queries) => {
    // Two seconds for the table's lock, then again: a waiting ALTER makes every later statement wait behind it.
    if (db.kind === 'mysql') await queries.run('SET SESSION lock_wait_timeout = 2');
    for (let tries = 1; tries <= TRIES; tries++) {
      try {
        await queries.ddl(INDEX[db.kind]);
        return true;
      } catch (error) {
        if (failed(error, 'exists')) return true;
        if (!failed(error, 'again')) throw error;
      }
      tell(`tblwh is in use by a long transaction, trying again (${tries} of ${TRIES})`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return false;
  });
}
