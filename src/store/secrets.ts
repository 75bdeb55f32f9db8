// The mark of the key that secrets are encrypted with, which tells a wrong key; and all secrets at once, for when it is lost.
import type { Db } from './db.ts';
import type { SealedSecret } from './webhooks.ts';

const MARK = 'secrets_key';

export const readKeyMark = async (db: Db): Promise<number | undefined> =>
  (await db.all<{ v: number }>('SELECT v FROM restante_meta WHERE k = ?', [MARK]))[0]?.v;

/** Fails with `duplicate` when there is one. */
export const saveKeyMark = (db: Db, mark: number): Promise<void> =>
  db.transaction((queries) => queries.insert('restante_meta', ['k', 'v'], [[MARK, mark]]));

/** The webhooks of all users that have secrets. */
export async function listAllSealed(db: Db): Promise<
  {
    readonly wh_id: number;
    readonly user_id: number;
    readonly wh_name: Buffer;
    readonly secrets: readonly SealedSecret[];
  }[]
> {
  const rows = await db.all<{ wh_id: number; user_id: number; wh_name: Buffer; secrets: string }>(
    `SELECT w.wh_id, w.user_id, ${db.dialect.bytes('t.wh_name')} AS wh_name, w.secrets
     FROM restante_webhook w JOIN tblwhid t ON t.id = w.wh_id WHERE w.secrets IS NOT NULL ORDER BY w.wh_id`,
  );
  return rows.map(({ secrets, ...row }) => ({ ...row, secrets: JSON.parse(secrets) as SealedSecret[] }));
}

/** Together: a mark without its secrets would refuse every key but the lost one. */
export const forgetSecrets = (db: Db): Promise<void> =>
  db.transaction(async (queries) => {
    await queries.run('UPDATE restante_webhook SET secrets = NULL WHERE secrets IS NOT NULL');
    await queries.run('DELETE FROM restante_meta WHERE k = ?', [MARK]);
  });
