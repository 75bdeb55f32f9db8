// Every statement on tbluser: the users and their tokens. The password column is never read.
import { type Db, marks, padded } from './db.ts';

export interface User {
  readonly id: number;
  readonly token: Buffer;
  readonly status: number;
}

/** The users with these ids; unknown ones are left out. */
export async function findUsers(db: Db, ids: readonly number[]): Promise<Map<number, User>> {
  const list = padded(ids);
  const rows = await db.all<User>(
    `SELECT id, COALESCE(${db.dialect.bytes('token')}, X'') AS token, status FROM tbluser WHERE id IN (${marks(list.length)})`,
    list,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** The ids alone: the account of the service may not read more. */
export const listUserIds = (db: Db) => db.all<{ id: number }>('SELECT id FROM tbluser ORDER BY id');
export const hasUsers = async (db: Db): Promise<boolean> =>
  (await db.all('SELECT id FROM tbluser ORDER BY id LIMIT 1')).length > 0;
export async function listUsers(db: Db): Promise<{ id: number; email: string; status: number }[]> {
  return db.all('SELECT id, email, status FROM tbluser ORDER BY id');
}

/**
 * Adds a user without a dashboard password; resolves with the id. A SELECT finds it: for INSERT … RETURNING MariaDB wants the
 * right to read the whole table, passwords too.
 */
export const addUser = (db: Db, user: { email: string; phone: string; token: string }): Promise<number> =>
  db.transaction(async (queries) => {
    const row = [user.email, user.phone, user.token, 1, ''];
    await queries.insert('tbluser', ['email', 'phone', 'token', 'status', 'pwd'], [row]);
    const sql = 'SELECT MAX(id) AS id FROM tbluser WHERE token = ?';
    const [made] = await queries.all<{ id: number }>(sql, [user.token]);
    return made?.id as number;
  });

/** Gives a user another token; resolves with false when there is no such user. */
export const rotateToken = (db: Db, id: number, token: string): Promise<boolean> =>
  db.transaction(async (queries) => (await queries.run('UPDATE tbluser SET token = ? WHERE id = ?', [token, id])) > 0);

/** Removes a user, who can sign in no more; resolves with false when there is no such user. */
export const deleteUser = (db: Db, id: number): Promise<boolean> =>
  db.transaction(async (queries) => (await queries.run('DELETE FROM tbluser WHERE id = ?', [id])) > 0);
