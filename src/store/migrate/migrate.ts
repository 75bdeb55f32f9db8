// Migrates a database to our tables step by step: what is there now, what is pending, and running that.
import type { ContentColumn } from '../contents.ts';
import { type Db, failed, type Queries } from '../db.ts';
import { MOST_CONTENT_ID, OWNER, type Row } from '../fence/source.ts';
import { assignPositions, readMark, saveMark } from '../positions.ts';
import { findMisfits, type Misfit, Unfit } from './fit.ts';
import { BASE, NOTHING, OUR_TABLES, type Sql, STEPS } from './steps.ts';

const INDEX_NAME = 'restante_user_wh';
export const INDEX: Sql = {
  mysql: `ALTER TABLE tblwh ADD INDEX ${INDEX_NAME} (user_id, wh_id, id), ALGORITHM=INPLACE, LOCK=NONE`,
  sqlite: `CREATE INDEX ${INDEX_NAME} ON tblwh (user_id, wh_id, id)`,
};

const CATALOG = {
  tables: {
    mysql: 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
    sqlite: "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
  },
  // Any index that begins with these three columns will do, also one that another application made, if queries may use it: one is
  // invisible on MySQL, which reads the first comment, and ignored on MariaDB, which reads the second.
  index: {
    mysql: `SELECT index_name AS name FROM information_schema.statistics WHERE table_schema = DATABASE()
  AND table_name = 'tblwh' /*!80000 AND is_visible = 'YES' */ /*M! AND ignored = 'NO' */ GROUP BY index_name HAVING GROUP_CONCAT(column_name ORDER BY seq_in_index) LIKE 'user_id,wh_id,id%'`,
    sqlite: `SELECT name FROM sqlite_master WHERE type = 'index' AND name = '${INDEX_NAME}'`,
  },
} as const;

const CONTENT = `SELECT data_type AS type, character_set_name AS charset FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'tblwh' AND column_name = 'content'`;

const SAVE = {
  mysql: "INSERT INTO restante_meta (k, v) VALUES ('schema', ?) ON DUPLICATE KEY UPDATE v = VALUES(v)",
  sqlite: "INSERT INTO restante_meta (k, v) VALUES ('schema', ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
};

export interface SchemaState {
  /** Which of the three shared tables exist. */
  readonly base: readonly string[];
  /** Steps of ours that are done. */
  readonly done: number;
  readonly indexed: boolean;
  /** The name of the index on tblwh(user_id, wh_id, id), ours or another one. */
  readonly index: string | undefined;
  /** What tblwh.content is, on MySQL and MariaDB. */
  readonly content?: ContentColumn | undefined;
  /** What keeps us from working on the tables that are there. */
  readonly misfits: readonly Misfit[];
}

/** What is in the database now. Reads the catalogue and restante_meta, changes nothing. */
export async function inspect(queries: Pick<Queries, 'all'>, kind: Db['kind']): Promise<SchemaState> {
  const names = (await queries.all<{ name: string }>(CATALOG.tables[kind])).map((row) => row.name);
  const base = Object.keys(BASE).filter((name) => names.includes(name));
  const index = base.includes('tblwh') ? await findIndex(queries, kind) : undefined;
  const indexed = index !== undefined;
  const content = kind === 'mysql' ? (await queries.all<ContentColumn>(CONTENT))[0] : undefined;
  const misfits = await findMisfits(queries, kind);
  if (!names.includes('restante_meta')) return { base, done: 0, indexed, index, content, misfits };
  const meta = await queries.all<{ v: number }>("SELECT v FROM restante_meta WHERE k = 'schema'");
  return { base, done: meta[0]?.v ?? 1, indexed, index, content, misfits };
}

/** The name of an index on tblwh(user_id, wh_id, id) that queries may use now. */
export async function findIndex(queries: Pick<Queries, 'all'>, kind: Db['kind']): Promise<string | undefined> {
  return (await queries.all<{ name: string }>(CATALOG.index[kind]))[0]?.name;
}

export const isExtended = (state: SchemaState): boolean => state.done >= STEPS.length;

/** The statements that are still to be run, in order. `createBase` asks for the three shared tables too. */
export function pending(state: SchemaState, kind: Db['kind'], createBase: boolean): string[] {
  const base = createBase && state.base.length === 0 ? Object.values(BASE).map((sql) => sql[kind]) : [];
  if (isExtended(state)) return base;
  return [
    ...base,
    ...STEPS.slice(state.done).flatMap(({ [kind]: sql }) => (sql === NOTHING ? [] : sql)),
    SAVE[kind].replaceAll('?', String(STEPS.length)),
  ];
}

/**
 * Runs what is pending; safe to run again, and by two operators at once. `tell` gets a line per step.
 * On MySQL a step that was interrupted is found as "already exists" and counts as done.
 */
export async function migrate(db: Db, createBase: boolean, tell: (line: string) => void): Promise<void> {
  await db.transaction(async (queries) => {
    await lock(db, queries);
    const state = await inspect(queries, db.kind);
    if (state.misfits.length > 0) throw new Unfit(state.misfits);
    if (createBase && state.base.length === 0) for (const sql of Object.values(BASE)) await queries.ddl(sql[db.kind]);
    for (let step = state.done; step < STEPS.length; step++) {
      const sql = STEPS[step]?.[db.kind] ?? '';
      tell(`step ${step + 1} of ${STEPS.length}`);
      if (!(await insistently(db, queries, sql, tell)))
        throw new OthersMigrate('a table is locked by another connection: see SHOW FULL PROCESSLIST, then run again');
      await queries.run(SAVE[db.kind], [step + 1]);
    }
    if (db.kind === 'sqlite' && !state.indexed) await queries.ddl(INDEX.sqlite);
    if (db.kind === 'mysql') await queries.all(`SELECT RELEASE_LOCK(${LOCK}) AS ok`);
  });
}

export class OthersMigrate extends Error {}

// By the name of the database, as earlier versions, which may run meanwhile, write it. Names of locks end at 64 characters on MySQL,
// and only there: a longer one is hashed. MariaDB alone reads what its comment holds.
const LOCK = `CONCAT('restante.', IF(CHAR_LENGTH(DATABASE()) > 55 /*M! AND FALSE */, LEFT(SHA2(DATABASE(), 256), 48), DATABASE()))`;

/** One migration at a time: a named lock on MySQL; on SQLite the transaction is the lock. */
async function lock(db: Db, queries: Queries): Promise<void> {
  if (db.kind === 'sqlite') return;
  // A statement may take four seconds, so it waits in short ones.
  for (let tries = 0; tries < 15; tries++) {
    const rows = await queries.all<{ ok: number }>(`SELECT GET_LOCK(${LOCK}, 2) AS ok`);
    if (rows[0]?.ok === 1) return;
  }
  throw new OthersMigrate('another restante migrate is running on this database: wait for it, then run again');
}

/** Drops our tables; the three shared ones stay as they are. */
export async function dropOurs(db: Db): Promise<void> {
  for (const name of OUR_TABLES[db.kind]) await db.ddl(`DROP TABLE IF EXISTS ${name}`);
}

// The index on tblwh that lists need, added while other applications write to the table.

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
  return db.transaction((queries) => insistently(db, queries, INDEX[db.kind], tell));
}

/**
 * A connection waits two seconds for the lock on a table, then it is tried again: while a change of the schema waits, every later
 * statement waits behind it. False: another connection held the lock all the time.
 */
async function insistently(db: Db, queries: Queries, sql: string, tell: (line: string) => void): Promise<boolean> {
  if (db.kind === 'mysql') await queries.run('SET SESSION lock_wait_timeout = 2');
  for (let tries = 1; tries <= TRIES; tries++) {
    try {
      await queries.ddl(sql);
      return true;
    } catch (error) {
      // As is a step that was interrupted.
      if (failed(error, 'exists')) return true;
      if (!failed(error, 'again')) throw error;
    }
    tell(`a table is in use by a long transaction, trying again (${tries} of ${TRIES})`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

// The backfill: positions for contents that are older than restante_position, in parts, so that it can stop and go on.

// The lock on the next position is held for one part: short enough for a service that runs meanwhile.
const PART_ROWS = 5_000;

/**
 * Resolves with the number of rows that were looked at. `tell` gets that number on the way, and the share of all ids that are
 * behind it, 0 to 1. Safe to run again, by two at once, and beside a running service.
 */
export async function backfill(db: Db, tell: (progress: { rows: number; share: number }) => void): Promise<number> {
  const most = MOST_CONTENT_ID[db.kind];
  const [end] = await db.all<{ id: number | null }>(`SELECT MAX(id) AS id FROM tblwh WHERE id <= ${most}`);
  const to = end?.id ?? 0;
  const from = (await readMark(db, 'backfill')) ?? 0;
  let rows = 0;
  for (let at = from; at < to; ) {
    const part = await db.all<Row>(`SELECT id, ${OWNER} FROM tblwh WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, [
      at,
      to,
      PART_ROWS,
    ]);
    if (part.length > 0) await assignPositions(db, part);
    at = part.length === PART_ROWS ? (part.at(-1) as Row).id : to;
    await saveMark(db, 'backfill', at);
    rows += part.length;
    tell({ rows, share: (at - from) / (to - from) });
  }
  return rows;
}
