// Every statement on restante_refusal: requests that did not become a content, and why.
import type { RefusalKind } from '../schema.ts';
import type { Db, Value } from './db.ts';

export interface NewRefusal {
  readonly user_id: number;
  readonly wh_id: number;
  readonly kind: RefusalKind;
  readonly reason: string;
  /** Bytes of the body as far as they are known, else null. */
  readonly size: number | null;
  readonly received_ms: number;
  readonly ip: string;
  readonly head: Buffer;
}
export interface Refusal extends Omit<NewRefusal, 'user_id'> {
  readonly id: number;
}

const COLUMNS = ['user_id', 'wh_id', 'kind', 'reason', 'size', 'received_ms', 'ip', 'head'];
const SELECT = 'SELECT id, wh_id, kind, reason, size, received_ms, ip, head FROM restante_refusal';
const KEEP_MS = 14 * 86_400_000;
const KEEP_ROWS = 10_000;

export async function insertRefusals(db: Db, rows: readonly NewRefusal[]): Promise<void> {
  await db.insert(
    'restante_refusal',
    COLUMNS,
    rows.map((row) => COLUMNS.map((name) => row[name as keyof NewRefusal] as Value)),
  );
}

export interface RefusalFilter {
  readonly wh_id?: number | undefined;
  readonly kind?: string | undefined;
  readonly from: number;
  readonly limit: number;
}

/** Refusals with id >= from, oldest first. */
export async function listRefusals(db: Db, userId: number, filter: RefusalFilter): Promise<Refusal[]> {
  const where = ['user_id = ?', 'id >= ?'];
  const params: Value[] = [userId, filter.from];
  if (filter.wh_id !== undefined) where.push('wh_id = ?') && params.push(filter.wh_id);
  if (filter.kind !== undefined) where.push('kind = ?') && params.push(filter.kind);
  return db.all(`${SELECT} WHERE ${where.join(' AND ')} ORDER BY id LIMIT ?`, [...params, filter.limit]);
}

export async function findRefusal(db: Db, userId: number, id: number): Promise<Refusal | undefined> {
  return (await db.all<Refusal>(`${SELECT} WHERE user_id = ? AND id = ?`, [userId, id]))[0];
}

/** Drops what is older than 14 days, and of each webhook all but the newest 10,000. */
export async function pruneRefusals(db: Db, now: number): Promise<void> {
  await db.run('DELETE FROM restante_refusal WHERE received_ms < ?', [now - KEEP_MS]);
  const many = await db.all<{ wh_id: number }>(
    'SELECT wh_id FROM restante_refusal GROUP BY wh_id HAVING COUNT(*) > ?',
    [KEEP_ROWS],
  );
  for (const { wh_id } of many) {
    const [edge] = await db.all<{ id: number }>(
      'SELECT id FROM restante_refusal WHERE wh_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?',
      [wh_id, KEEP_ROWS],
    );
    if (edge) await db.run('DELETE FROM restante_refusal WHERE wh_id = ? AND id <= ?', [wh_id, edge.id]);
  }
}
