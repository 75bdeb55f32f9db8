// Every statement on tblwhid, restante_webhook and restante_key: the public URLs of the users.
import { resolveSettings, type SettingsInput } from '../schema/webhooks.ts';
import { type Db, failed, marks, padded, type Queries } from './db.ts';
import type { Store } from './open.ts';

export interface WebhookRow {
  readonly wh_id: number;
  readonly user_id: number;
  /** As stored: for ours it is what PUBLIC_URL was when it was made. UTF-8 or windows-1252 bytes. */
  readonly wh_url: Buffer;
  readonly wh_name: Buffer;
  readonly status: number;
  /** The current key of its URL; null when another application made the webhook. */
  readonly url_key: string | null;
  /** Only what was set; resolveSettings adds the defaults. Null for webhooks of other applications. */
  readonly settings: SettingsInput | null;
  readonly secrets: readonly SealedSecret[];
  readonly created_ms: number | null;
}

/** A secret as it is stored: only webhooks/sealer.ts opens it. */
export interface SealedSecret {
  readonly id: string;
  /** By which people tell secrets apart; empty when the secret is short. */
  readonly last4: string;
  readonly expires_ms: number | null;
  readonly sealed: string;
}

type Row = Omit<WebhookRow, 'settings' | 'secrets'> & { settings: string | null; secrets?: string | null };
const toSecrets = (text: string | null | undefined): SealedSecret[] => (text ? JSON.parse(text) : []);

const toWebhook = (row: Row): WebhookRow => ({
  ...row,
  url_key: row.url_key ?? null,
  created_ms: row.created_ms ?? null,
  settings: row.settings ? (JSON.parse(row.settings) as SettingsInput) : null,
  secrets: toSecrets(row.secrets),
});

/** Another application may have left each of its columns NULL. */
const base = ({ dialect: { bytes } }: Db) =>
  `t.id AS wh_id, t.user_id, COALESCE(${bytes('t.wh_url')}, X'') AS wh_url, COALESCE(${bytes('t.wh_name')}, X'') AS wh_name, COALESCE(t.status, 0) AS status`;
const selectFrom = ({ db, extended }: Store) =>
  extended
    ? `SELECT ${base(db)}, k.url_key, w.settings, w.secrets, w.created_ms FROM tblwhid t
       LEFT JOIN restante_webhook w ON w.wh_id = t.id
       LEFT JOIN restante_key k ON k.wh_id = w.wh_id AND k.expires_ms IS NULL`
    : `SELECT ${base(db)} FROM tblwhid t`;

/** A webhook without its settings, which may have 100 KB. */
export type NamedWebhook = Pick<WebhookRow, 'wh_id' | 'wh_url' | 'wh_name' | 'status' | 'url_key'>;

/** A user's webhooks with id >= from, by id, those of other applications too. */
export async function nameWebhooks(
  { db, extended }: Store,
  userId: number,
  { from = 0, limit }: { readonly from?: number; readonly limit: number },
): Promise<NamedWebhook[]> {
  const key = extended ? 'LEFT JOIN restante_key k ON k.wh_id = t.id AND k.expires_ms IS NULL' : '';
  const rows = await db.all<NamedWebhook>(
    `SELECT ${base(db)}${extended ? ', k.url_key' : ''} FROM tblwhid t ${key} WHERE t.user_id = ? AND t.id >= ? AND t.id <= ${Number.MAX_SAFE_INTEGER} ORDER BY t.id LIMIT ?`,
    [userId, from, limit],
  );
  return rows.map((row) => ({ ...row, url_key: row.url_key ?? null }));
}

/** The same with their settings: few at a time. */
export async function listWebhooks(
  store: Store,
  userId: number,
  { from = 0, limit }: { readonly from?: number; readonly limit: number },
): Promise<WebhookRow[]> {
  const sql = `${selectFrom(store)} WHERE t.user_id = ? AND t.id >= ? AND t.id <= ${Number.MAX_SAFE_INTEGER} ORDER BY t.id LIMIT ?`;
  return (await store.db.all<Row>(sql, [userId, from, limit])).map(toWebhook);
}

/** Which of these webhooks are the user's. */
export async function ownWebhooks({ db }: Store, userId: number, ids: readonly number[]): Promise<ReadonlySet<number>> {
  const some = padded(ids);
  const sql = `SELECT id FROM tblwhid WHERE id IN (${marks(some.length)}) AND user_id = ?`;
  return new Set((await db.all<{ id: number }>(sql, [...some, userId])).map(({ id }) => id));
}

export async function findWebhook(store: Store, userId: number, whId: number): Promise<WebhookRow | undefined> {
  const rows = await store.db.all<Row>(`${selectFrom(store)} WHERE t.user_id = ? AND t.id = ?`, [userId, whId]);
  return rows[0] && toWebhook(rows[0]);
}

/** What the receiver needs of a webhook, as stored. */
export interface TargetRow {
  readonly url_key: string;
  readonly wh_id: number;
  readonly user_id: number;
  readonly settings: string;
  readonly secrets: string | null;
  /** The end of a rotated key's grace; null for the current one. */
  readonly expires_ms: number | null;
}

/** The webhooks behind these URL keys, leaving out keys whose grace is over. */
export function findTargets(db: Db, keys: readonly string[], now: number): Promise<TargetRow[]> {
  const list = padded(keys);
  return db.all(
    `SELECT k.url_key, w.wh_id, w.user_id, w.settings, w.secrets, k.expires_ms FROM restante_key k
     JOIN restante_webhook w ON w.wh_id = k.wh_id WHERE k.url_key IN (${marks(list.length)})
     AND (k.expires_ms IS NULL OR k.expires_ms > ?)`,
    [...list, now],
  );
}

/** The webhooks of a user that have secrets. */
export async function listSealed(db: Db, userId: number): Promise<Pick<WebhookRow, 'wh_id' | 'secrets'>[]> {
  const sql = 'SELECT wh_id, secrets FROM restante_webhook WHERE user_id = ? AND secrets IS NOT NULL ORDER BY wh_id';
  const rows = await db.all<{ wh_id: number; secrets: string }>(sql, [userId]);
  return rows.map(({ wh_id, secrets }) => ({ wh_id, secrets: toSecrets(secrets) }));
}

/** All webhooks of other applications, for OLD_URLS: their `wh_url` is the address they are known by. */
export async function listForeign(store: Store): Promise<{ wh_id: number; user_id: number; wh_url: Buffer }[]> {
  return store.db.all(
    `SELECT t.id AS wh_id, t.user_id, ${store.db.dialect.bytes('t.wh_url')} AS wh_url FROM tblwhid t
     WHERE t.user_id BETWEEN 1 AND 4294967295 AND t.id BETWEEN 1 AND 4294967295 AND t.wh_url IS NOT NULL AND NOT EXISTS (SELECT 1 FROM restante_webhook w WHERE w.wh_id = t.id)`,
  );
}

export interface NewWebhook {
  readonly user_id: number;
  readonly wh_name: string;
  readonly wh_url: string;
  readonly url_key: string;
  readonly settings: SettingsInput;
  /** Encrypts the secrets for the id that the webhook gets. */
  readonly sealFor: (whId: number) => readonly SealedSecret[];
  readonly created_ms: number;
  /** The lowest id to take, out of the way of other applications, which take max + 1. */
  readonly idFrom: number;
  /** So many of ours a user may have. */
  readonly most: number;
}

/** The user has as many as a user may have. */
export class TooManyWebhooks extends Error {}

/** Makes a webhook; resolves with its id. Rejects with TooManyWebhooks. The counter never goes down, so an id is never used twice. */
export async function createWebhook(store: Store, webhook: NewWebhook): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      return await store.db.transaction((queries) => create(store.db, queries, webhook, tries));
    } catch (error) {
      // Another application, or another process of ours, took the same id or made the counter first: the next one, then.
      if (tries >= 20 || !failed(error, 'duplicate', 'again')) throw error;
    }
  }
}

async function create(db: Db, queries: Queries, webhook: NewWebhook, skip: number): Promise<number> {
  const { user_id, wh_name, wh_url, url_key, settings, created_ms, idFrom, most } = webhook;
  const counter = "SELECT v FROM restante_meta WHERE k = 'webhook_id'";
  const [last] = await queries.all<{ v: number }>(counter + db.dialect.forUpdate);
  const id = Math.max(idFrom, (last?.v ?? 0) + 1) + skip;
  if (last) await queries.run("UPDATE restante_meta SET v = ? WHERE k = 'webhook_id'", [id]);
  else await queries.insert('restante_meta', ['k', 'v'], [['webhook_id', id]]);
  // One at a time makes a webhook, as the counter is locked: the count is exact.
  const count = 'SELECT COUNT(*) AS n FROM restante_webhook WHERE user_id = ?';
  if (((await queries.all<{ n: number }>(count, [user_id]))[0]?.n ?? 0) >= most) throw new TooManyWebhooks();
  // Bytes, not text: a name in any script survives the latin1 column in every sql_mode.
  await queries.insert(
    'tblwhid',
    ['id', 'user_id', 'wh_url', 'wh_name', 'status'],
    [[id, user_id, Buffer.from(wh_url), Buffer.from(wh_name), enabledStatus(settings)]],
  );
  const secrets = webhook.sealFor(id);
  await queries.insert(
    'restante_webhook',
    ['wh_id', 'user_id', 'settings', 'secrets', 'created_ms'],
    [[id, user_id, JSON.stringify(settings), textOf(secrets), created_ms]],
  );
  await queries.insert('restante_key', ['url_key', 'wh_id', 'expires_ms'], [[url_key, id, null]]);
  return id;
}

/** The column is ASCII, and `last4` may be of any script. */
const textOf = (secrets: readonly SealedSecret[]): string | null =>
  secrets.length > 0
    ? JSON.stringify(secrets).replace(
        /[^\x20-\x7e]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    : null;

/** The shared table also tells the other applications that a webhook is switched off. */
const enabledStatus = (settings: SettingsInput): number => (resolveSettings(settings).enabled ? 1 : 0);

/** Stores name and settings of a webhook of ours; resolves with false when there is no such webhook. */
export function updateWebhook(
  store: Store,
  userId: number,
  whId: number,
  change: { readonly wh_name: string; readonly settings: SettingsInput; readonly secrets: readonly SealedSecret[] },
): Promise<boolean> {
  return store.db.transaction(async (queries) => {
    if (!(await lockOwned(store.db, queries, userId, whId))) return false;
    const ours = 'UPDATE restante_webhook SET settings = ?, secrets = ? WHERE wh_id = ? AND user_id = ?';
    await queries.run(ours, [JSON.stringify(change.settings), textOf(change.secrets), whId, userId]);
    const shared = 'UPDATE tblwhid SET wh_name = ?, status = ? WHERE id = ? AND user_id = ?';
    await queries.run(shared, [Buffer.from(change.wh_name), enabledStatus(change.settings), whId, userId]);
    return true;
  });
}

/** Gives a webhook another key. The old one goes on until `graceUntil` (ms); at or before now it ends at once. */
export function rotateKey(
  store: Store,
  userId: number,
  whId: number,
  change: { readonly url_key: string; readonly wh_url: string; readonly graceUntil: number },
): Promise<boolean> {
  return store.db.transaction(async (queries) => {
    if (!(await lockOwned(store.db, queries, userId, whId))) return false;
    await queries.run('UPDATE restante_key SET expires_ms = ? WHERE wh_id = ? AND expires_ms IS NULL', [
      change.graceUntil,
      whId,
    ]);
    await queries.insert('restante_key', ['url_key', 'wh_id', 'expires_ms'], [[change.url_key, whId, null]]);
    await queries.run('UPDATE tblwhid SET wh_url = ? WHERE id = ? AND user_id = ?', [
      Buffer.from(change.wh_url),
      whId,
      userId,
    ]);
    return true;
  });
}

/** Ends a webhook and its keys. Its contents stay. */
export function deleteWebhook(store: Store, userId: number, whId: number): Promise<boolean> {
  return store.db.transaction(async (queries) => {
    if (!(await lockOwned(store.db, queries, userId, whId))) return false;
    await queries.run('DELETE FROM restante_key WHERE wh_id = ?', [whId]);
    await queries.run('DELETE FROM restante_webhook WHERE wh_id = ? AND user_id = ?', [whId, userId]);
    await queries.run('DELETE FROM tblwhid WHERE id = ? AND user_id = ?', [whId, userId]);
    return true;
  });
}

async function lockOwned(db: Db, queries: Queries, userId: number, whId: number): Promise<boolean> {
  const sql = `SELECT wh_id FROM restante_webhook WHERE wh_id = ? AND user_id = ?${db.dialect.forUpdate}`;
  return (await queries.all(sql, [whId, userId])).length > 0;
}

// The mark by which a wrong SECRETS_KEY is noticed; and all secrets at once, for when the key is lost.

const MARK = 'secrets_key';

export const readKeyMark = async (db: Db): Promise<number | undefined> =>
  (await db.all<{ v: number }>('SELECT v FROM restante_meta WHERE k = ?', [MARK]))[0]?.v;

/** Fails with `duplicate` when there is one. */
export const saveKeyMark = (db: Db, mark: number): Promise<void> =>
  db.transaction((queries) => queries.insert('restante_meta', ['k', 'v'], [[MARK, mark]]));

/** The webhooks of all users that have secrets. */
export async function listAllSealed(db: Db): Promise<Pick<WebhookRow, 'wh_id' | 'user_id' | 'wh_name' | 'secrets'>[]> {
  const rows = await db.all<{ wh_id: number; user_id: number; wh_name: Buffer; secrets: string }>(
    `SELECT w.wh_id, w.user_id, ${db.dialect.bytes('t.wh_name')} AS wh_name, w.secrets
     FROM restante_webhook w JOIN tblwhid t ON t.id = w.wh_id WHERE w.secrets IS NOT NULL ORDER BY w.wh_id`,
  );
  return rows.map((row) => ({ ...row, secrets: toSecrets(row.secrets) }));
}

/** Both in one transaction: the mark alone would refuse every key but the lost one. */
export const forgetSecrets = (db: Db): Promise<void> =>
  db.transaction(async (queries) => {
    await queries.run('UPDATE restante_webhook SET secrets = NULL WHERE secrets IS NOT NULL');
    await queries.run('DELETE FROM restante_meta WHERE k = ?', [MARK]);
  });
