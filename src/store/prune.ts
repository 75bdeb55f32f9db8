// What retention asks of a database: who keeps what for how long, what has become old, and whose turn it is to remove it.
import type { SettingsInput } from '../schemawebhooks.ts';
import { type Db, failed, marks, padded, type Queries } from './db.ts';
import type { Row } from './fence.ts';
import { positionBeforeTime } from './places.ts';
import { MOST_IDS, type Removed, removeContents, stillToGet } from './retention.ts';

const DAY_MS = 86_400_000;

/** Contents of these webhooks go after so many days. */
export interface Rule {
  readonly days: number;
  /** `of`: these webhooks. `but`: all others, own content too. */
  readonly which: 'of' | 'but';
  readonly whids: ReadonlySet<number>;
}

/** `days` for all webhooks but those that have their own; 0 = for ever, which is no rule. */
export async function readRules(db: Db, days: number): Promise<Rule[]> {
  const sql = `SELECT wh_id, settings FROM restante_webhook WHERE settings LIKE '%"retention_days"%' ORDER BY wh_id`;
  const byDays = new Map<number, Set<number>>();
  const own = new Set<number>();
  for (const { wh_id, settings } of await db.all<{ wh_id: number; settings: string }>(sql)) {
    const { retention_days } = JSON.parse(settings) as SettingsInput;
    if (retention_days === undefined) continue;
    own.add(wh_id);
    byDays.set(retention_days, (byDays.get(retention_days) ?? new Set()).add(wh_id));
  }
  const rules: Rule[] = [...byDays].map(([days, whids]) => ({ days, which: 'of', whids }));
  return [{ days, which: 'but' as const, whids: own }, ...rules].filter((rule) => rule.days > 0);
}

export const isUnder = (rule: Rule, whId: number): boolean => rule.whids.has(whId) === (rule.which === 'of');

/** The last position that is older than so many days; its age counts from the moment at which we saw it. */
export async function positionBeforeDays(db: Db, days: number): Promise<number> {
  const [row] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
  return positionBeforeTime(db, Math.max(0, (row?.now ?? 0) - days * DAY_MS));
}

/** Contents with after < pos <= upTo. */
export const placesAfter = (
  db: Db,
  after: number,
  upTo: number,
  limit: number,
): Promise<(Row & { readonly pos: number })[]> =>
  db.all('SELECT pos, id, user_id, wh_id FROM restante_position WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?', [
    after,
    upTo,
    limit,
  ]);

/** What a part of old contents came to. */
export interface Pruned extends Removed {
  /** How many of the ids were dealt with; the others are for another transaction. */
  readonly done: number;
  /** Rows of other writers, which were left. */
  readonly foreign: number;
}

// Each is read, to know whose it is, and its pages are freed: large ones are a transaction of a few.
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Removes old contents, `MOST_IDS` at most, in one transaction: the first ones, as many as are quickly done. `foreign`: rows
 * of other writers too. `dry`: only says what would go.
 */
export function prune(
  db: Db,
  ids: readonly number[],
  { foreign, dry }: { readonly foreign: boolean; readonly dry: boolean },
): Promise<Pruned> {
  return db.transaction(async (queries) => {
    const some = await quicklyDone(queries, ids.slice(0, MOST_IDS));
    const others = foreign ? new Set<number>() : await ofOthers(db, queries, some);
    const own = some.filter((id) => !others.has(id));
    const told = { done: some.length, foreign: others.size };
    if (!dry) return { ...(await removeContents(db, queries, own, 'age')), ...told };
    const kept = await stillToGet(db, queries, own);
    return { contents: own.length - kept.size, kept: [...kept], ...told };
  });
}

async function quicklyDone(queries: Queries, ids: readonly number[]): Promise<readonly number[]> {
  const some = padded(ids);
  const sql = `SELECT id, size FROM restante_request WHERE id IN (${marks(some.length)})`;
  const sizes = new Map((await queries.all<{ id: number; size: number }>(sql, some)).map((row) => [row.id, row.size]));
  let left = MOST_BYTES;
  const end = ids.findIndex((id) => {
    left -= sizes.get(id) ?? 0;
    return left < 0;
  });
  return end < 0 ? ids : ids.slice(0, Math.max(1, end));
}

// A row is ours when what we wrote down of it still fits: another application may have emptied the table since.
const OTHER = {
  mysql: 'r.size <> LENGTH(t.content) OR r.crc <> CRC32(CAST(t.content AS BINARY))',
  sqlite: 'r.size <> LENGTH(CAST(t.content AS BLOB))',
} as const;

/** Contents that another program has inserted into tblwh. */
async function ofOthers(db: Db, queries: Queries, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  const some = padded(ids);
  const sql = `SELECT t.id FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id
    WHERE t.id IN (${marks(some.length)}) AND (r.id IS NULL OR ${OTHER[db.kind]})`;
  return new Set((await queries.all<{ id: number }>(sql, some)).map(({ id }) => id));
}

/**
 * Whose turn it is: one process at a time removes what is old. `held` is what the last call resolved with, 0 at first; the
 * turn lasts `ms` from now. Undefined: somebody else has it.
 */
export async function takeTurn(db: Db, held: number, ms: number): Promise<number | undefined> {
  const sql = `SELECT (SELECT v FROM restante_meta WHERE k = 'pruning') AS v, ${db.dialect.nowMs} AS now`;
  try {
    return await db.transaction(async (queries) => {
      const [row] = await queries.all<{ v: number | null; now: number }>(sql);
      const { v = null, now = 0 } = row ?? {};
      const until = now + ms;
      if (v === null) await queries.insert('restante_meta', ['k', 'v'], [['pruning', until]]);
      // Two who ask at once read the same; only the first finds it unchanged.
      else if ((v !== held && v > now) || (await moveTurn(queries, v, until)) === 0) return undefined;
      return until;
    });
  } catch (error) {
    if (failed(error, 'duplicate')) return undefined;
    throw error;
  }
}

/** Ends a turn before its time. */
export const endTurn = (db: Db, held: number): Promise<number> =>
  db.transaction((queries) => moveTurn(queries, held, 0));

const moveTurn = (queries: Queries, from: number, to: number): Promise<number> =>
  queries.run("UPDATE restante_meta SET v = ? WHERE k = 'pruning' AND v = ?", [to, from]);
