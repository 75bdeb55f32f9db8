// The mark of the key that secrets are encrypted with: tells a wrong key before anything is decided with it.
import type { Db } from './db.ts';

const MARK = 'secrets_key';

export const readKeyMark = async (db: Db): Promise<number | undefined> =>
  (await db.all<{ v: number }>('SELECT v FROM restante_meta WHERE k = ?', [MARK]))[0]?.v;

/** Fails with `duplicate` when there is one. */
export const saveKeyMark = (db: Db, mark: number): Promise<void> =>
  db.transaction((queries) => queries.insert('restante_meta', ['k', 'v'], [[MARK, mark]]));
