// Single numbers that all processes share, in restante_meta: reads one within a statement, sets one, or keeps the one that is there.
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
