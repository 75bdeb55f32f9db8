// Single numbers that all processes share, in restante_meta: reads one within a statement, sets one, keeps the one that is there, or raises it.
import type { Db, Queries } from '../db.ts';

/** The number as SQL; NULL when there is none. */
export const metaOf = (k: string): string => `(SELECT v FROM restante_meta WHERE k = '${k}')`;

const SET = {
  mysql: 'INSERT INTO restante_meta (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)',
  sqlite: 'INSERT INTO restante_meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
} as const;
const KEEP = {
  mysql: 'INSERT IGNORE INTO restante_meta (k, v) VALUES (?, ?)',
  sqlite: 'INSERT OR IGNORE INTO restante_meta (k, v) VALUES (?, ?)',
} as const;

export const setMeta = ({ kind }: Pick<Db, 'kind'>, queries: Pick<Queries, 'run'>, k: string, v: number) =>
  queries.run(SET[kind], [k, v]);
/** Changes nothing when there is one already. */
export const keepMeta = ({ kind }: Pick<Db, 'kind'>, queries: Pick<Queries, 'run'>, k: string, v: number) =>
  queries.run(KEEP[kind], [k, v]);
/** Moves it up, never down: of several processes the one that is furthest counts. */
export async function raiseMeta(db: Pick<Db, 'kind'>, queries: Pick<Queries, 'run'>, k: string, v: number) {
  if ((await queries.run('UPDATE restante_meta SET v = ? WHERE k = ? AND v < ?', [v, k, v])) === 0)
    await keepMeta(db, queries, k, v);
}
