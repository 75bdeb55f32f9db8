// The tables: the three that are shared with other applications, and ours, added in steps that only append.
import { type Db, failed, type Queries } from './db.ts';

type Sql = { readonly mysql: string; readonly sqlite: string };

/** The shared tables exactly as the other applications made them. Created only on an empty database. */
export const BASE: Readonly<Record<'tbluser' | 'tblwhid' | 'tblwh', Sql>> = {
  tbluser: {
    mysql: `CREATE TABLE \`tbluser\` (\`id\` int(10) unsigned NOT NULL AUTO_INCREMENT, \`email\` varchar(45) NOT NULL, \`phone\` varchar(45) NOT NULL,
  \`token\` varchar(45) NOT NULL, \`status\` tinyint(3) unsigned NOT NULL DEFAULT '0', \`pwd\` varchar(45) NOT NULL, PRIMARY KEY (\`id\`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1`,
    sqlite: `CREATE TABLE tbluser (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, phone TEXT NOT NULL,
  token TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, pwd TEXT NOT NULL)`,
  },
  tblwhid: {
    mysql: `CREATE TABLE \`tblwhid\` (\`id\` int(10) unsigned NOT NULL DEFAULT '0', \`user_id\` int(10) unsigned NOT NULL, \`wh_url\` varchar(255) NOT NULL,
  \`wh_name\` varchar(45) NOT NULL, \`status\` tinyint(1) NOT NULL, PRIMARY KEY (\`id\`)) ENGINE=InnoDB DEFAULT CHARSET=latin1`,
    sqlite: `CREATE TABLE tblwhid (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL, wh_url TEXT NOT NULL,
  wh_name TEXT NOT NULL, status INTEGER NOT NULL)`,
  },
  tblwh: {
    mysql: `CREATE TABLE \`tblwh\` (\`id\` int(10) unsigned NOT NULL AUTO_INCREMENT, \`content\` longtext NOT NULL, \`ip\` varchar(15) NOT NULL,
  \`api\` tinyint(1) NOT NULL, \`dt\` varchar(30) NOT NULL, \`user_id\` int(10) unsigned NOT NULL, \`wh_id\` int(10) unsigned NOT NULL,
  PRIMARY KEY (\`id\`)) ENGINE=InnoDB AUTO_INCREMENT=27 DEFAULT CHARSET=latin1`,
    // AUTOINCREMENT: without it a deleted newest id would be given to another content.
    sqlite: `CREATE TABLE tblwh (id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, ip TEXT NOT NULL,
  api INTEGER NOT NULL, dt TEXT NOT NULL, user_id INTEGER NOT NULL, wh_id INTEGER NOT NULL)`,
  },
};

/** Ours, in order. Append only: a step that was released is never edited. One statement each, MySQL commits DDL by itself. */
export const STEPS: readonly Sql[] = [
  {
    mysql: `CREATE TABLE restante_meta (k VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  v BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB`,
    sqlite: 'CREATE TABLE restante_meta (k TEXT NOT NULL PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID',
  },
  {
    // How a content came: \`head\` is the request line and the headers as received, NULL for what the user posted himself.
    mysql: `CREATE TABLE restante_request (id INT UNSIGNED NOT NULL PRIMARY KEY, size INT UNSIGNED NOT NULL, crc INT UNSIGNED NOT NULL,
  received_ms BIGINT UNSIGNED NOT NULL, ip VARCHAR(45) CHARACTER SET ascii NOT NULL, head MEDIUMBLOB NULL) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_request (id INTEGER NOT NULL PRIMARY KEY, size INTEGER NOT NULL, crc INTEGER NOT NULL,
  received_ms INTEGER NOT NULL, ip TEXT NOT NULL, head BLOB)`,
  },
  {
    mysql: `CREATE TABLE restante_webhook (wh_id INT UNSIGNED NOT NULL PRIMARY KEY, user_id INT UNSIGNED NOT NULL,
  settings LONGTEXT CHARACTER SET utf8mb4 NOT NULL, created_ms BIGINT UNSIGNED NOT NULL, KEY ix_user (user_id)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_webhook (wh_id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL,
  settings TEXT NOT NULL, created_ms INTEGER NOT NULL)`,
  },
  {
    // The secret part of a URL. \`expires_ms\` NULL is the current one; a rotated one ends when its grace does.
    mysql: `CREATE TABLE restante_key (url_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  wh_id INT UNSIGNED NOT NULL, expires_ms BIGINT UNSIGNED NULL, KEY ix_wh (wh_id)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_key (url_key TEXT NOT NULL PRIMARY KEY, wh_id INTEGER NOT NULL, expires_ms INTEGER) WITHOUT ROWID;
  CREATE INDEX restante_key_wh ON restante_key (wh_id)`,
  },
  {
    mysql: `CREATE TABLE restante_refusal (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id INT UNSIGNED NOT NULL,
  wh_id INT UNSIGNED NOT NULL, kind VARCHAR(16) CHARACTER SET ascii NOT NULL, reason VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  size BIGINT UNSIGNED NULL, received_ms BIGINT UNSIGNED NOT NULL, ip VARCHAR(45) CHARACTER SET ascii NOT NULL, head MEDIUMBLOB NOT NULL,
  KEY ix_user (user_id, id), KEY ix_wh (wh_id, id)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_refusal (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, wh_id INTEGER NOT NULL,
  kind TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER, received_ms INTEGER NOT NULL, ip TEXT NOT NULL, head BLOB NOT NULL);
  CREATE INDEX restante_refusal_user ON restante_refusal (user_id, id); CREATE INDEX restante_refusal_wh ON restante_refusal (wh_id, id)`,
  },
  {
    // The order in which contents became visible. \`pos\` is dense and given by one writer at a time (meta 'seq' is the next one);
    // on SQLite by AUTOINCREMENT, within the transaction that stores the content.
    mysql: `CREATE TABLE restante_position (pos BIGINT UNSIGNED NOT NULL PRIMARY KEY, id INT UNSIGNED NOT NULL, user_id INT UNSIGNED NOT NULL,
  wh_id INT UNSIGNED NOT NULL, seen_ms BIGINT UNSIGNED NOT NULL, UNIQUE KEY uq_id (id), KEY ix_user (user_id, pos, wh_id)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_position (pos INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE, user_id INTEGER NOT NULL,
  wh_id INTEGER NOT NULL, seen_ms INTEGER NOT NULL); CREATE INDEX restante_position_user ON restante_position (user_id, pos, wh_id)`,
  },
  {
    mysql: "INSERT IGNORE INTO restante_meta (k, v) VALUES ('seq', 1)",
    sqlite: "INSERT OR IGNORE INTO restante_meta (k, v) VALUES ('seq', 1)",
  },
  {
    // A named reading position of a user. `whid` is a JSON list of webhooks, NULL = all. Every change locks this row first
    // and raises `version`. `next_due_ms`: no lease of it ends earlier; 0 = none is out. `dead`: how many rows restante_dead
    // has of it. `gap_*`: what retention took before it was read. A deleted one stays an hour with user_id 0, to be noticed.
    mysql: `CREATE TABLE restante_consumer (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id INT UNSIGNED NOT NULL,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, whid TEXT CHARACTER SET ascii NULL, lease_seconds INT UNSIGNED NOT NULL,
  max_attempts INT UNSIGNED NOT NULL, ordered TINYINT UNSIGNED NOT NULL, duplicates VARCHAR(8) CHARACTER SET ascii NOT NULL,
  start_pos BIGINT UNSIGNED NOT NULL, cursor_pos BIGINT UNSIGNED NOT NULL, cursor_id BIGINT UNSIGNED NOT NULL, next_due_ms BIGINT UNSIGNED NOT NULL,
  dead INT UNSIGNED NOT NULL, gap_from BIGINT UNSIGNED NULL, gap_to BIGINT UNSIGNED NULL, gap_pos BIGINT UNSIGNED NULL, pulled_ms BIGINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL, updated_ms BIGINT UNSIGNED NOT NULL, created_ms BIGINT UNSIGNED NOT NULL, UNIQUE KEY uq_name (user_id, name),
  KEY ix_updated (updated_ms)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_consumer (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, name TEXT NOT NULL, whid TEXT,
  lease_seconds INTEGER NOT NULL, max_attempts INTEGER NOT NULL, ordered INTEGER NOT NULL, duplicates TEXT NOT NULL, start_pos INTEGER NOT NULL,
  cursor_pos INTEGER NOT NULL, cursor_id INTEGER NOT NULL, next_due_ms INTEGER NOT NULL, dead INTEGER NOT NULL, gap_from INTEGER, gap_to INTEGER,
  gap_pos INTEGER, pulled_ms INTEGER NOT NULL, version INTEGER NOT NULL, updated_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  UNIQUE (user_id, name));
  CREATE INDEX restante_consumer_updated ON restante_consumer (updated_ms)`,
  },
  {
    // Contents that a consumer has in hand (`waiting` 0), or gets again once `due_ms` is past (`waiting` 1: given back or
    // redelivered). `id` is the content, `reason` what the worker said when it gave it back.
    mysql: `CREATE TABLE restante_lease (consumer_id INT UNSIGNED NOT NULL, pos BIGINT UNSIGNED NOT NULL, id INT UNSIGNED NOT NULL,
  token BIGINT UNSIGNED NOT NULL, due_ms BIGINT UNSIGNED NOT NULL, attempt INT UNSIGNED NOT NULL, waiting TINYINT UNSIGNED NOT NULL,
  reason VARCHAR(255) CHARACTER SET utf8mb4 NULL, PRIMARY KEY (consumer_id, pos)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_lease (consumer_id INTEGER NOT NULL, pos INTEGER NOT NULL, id INTEGER NOT NULL, token INTEGER NOT NULL,
  due_ms INTEGER NOT NULL, attempt INTEGER NOT NULL, waiting INTEGER NOT NULL, reason TEXT, PRIMARY KEY (consumer_id, pos)) WITHOUT ROWID`,
  },
  {
    // Contents that were given up: too many attempts, or nacked as dead.
    mysql: `CREATE TABLE restante_dead (consumer_id INT UNSIGNED NOT NULL, pos BIGINT UNSIGNED NOT NULL, id INT UNSIGNED NOT NULL,
  wh_id INT UNSIGNED NOT NULL, attempt INT UNSIGNED NOT NULL, reason VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  dead_ms BIGINT UNSIGNED NOT NULL, PRIMARY KEY (consumer_id, pos), KEY ix_id (consumer_id, id)) ENGINE=InnoDB`,
    sqlite: `CREATE TABLE restante_dead (consumer_id INTEGER NOT NULL, pos INTEGER NOT NULL, id INTEGER NOT NULL, wh_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL, reason TEXT NOT NULL, dead_ms INTEGER NOT NULL, PRIMARY KEY (consumer_id, pos)) WITHOUT ROWID;
  CREATE INDEX restante_dead_id ON restante_dead (consumer_id, id)`,
  },
];

export const OUR_TABLES = [
  'restante_dead',
  'restante_lease',
  'restante_consumer',
  'restante_position',
  'restante_refusal',
  'restante_key',
  'restante_webhook',
  'restante_request',
  'restante_meta',
];

const INDEX_NAME = 'restante_user_wh';
export const INDEX: Sql = {
  mysql: `ALTER TABLE tblwh ADD INDEX ${INDEX_NAME} (user_id, wh_id, id), ALGORITHM=INPLACE, LOCK=NONE`,
  sqlite: `CREATE INDEX ${INDEX_NAME} ON tblwh (user_id, wh_id, id)`,
};

const CATALOG = {
  tables: {
    mysql: 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
    sqlite: "SELECT name FROM sqlite_master WHERE type = 'table'",
  },
  // Any index that begins with these three columns serves, whoever made it.
  index: {
    mysql: `SELECT index_name AS name FROM information_schema.statistics WHERE table_schema = DATABASE()
  AND table_name = 'tblwh' GROUP BY index_name HAVING GROUP_CONCAT(column_name ORDER BY seq_in_index) LIKE 'user_id,wh_id,id%'`,
    sqlite: `SELECT name FROM sqlite_master WHERE type = 'index' AND name = '${INDEX_NAME}'`,
  },
} as const;

export interface SchemaState {
  /** Which of the three shared tables exist. */
  readonly base: readonly string[];
  /** Steps of ours that are done. */
  readonly done: number;
  readonly indexed: boolean;
  /** The name of the index on tblwh(user_id, wh_id, id), whoever made it. */
  readonly index: string | undefined;
}

/** What stands in the database now. Reads the catalogue and restante_meta, changes nothing. */
export async function inspect(queries: Pick<Queries, 'all'>, kind: Db['kind']): Promise<SchemaState> {
  const names = (await queries.all<{ name: string }>(CATALOG.tables[kind])).map((row) => row.name);
  const base = Object.keys(BASE).filter((name) => names.includes(name));
  const [found] = base.includes('tblwh') ? await queries.all<{ name: string }>(CATALOG.index[kind]) : [];
  const { name: index } = found ?? { name: undefined };
  const indexed = index !== undefined;
  if (!names.includes('restante_meta')) return { base, done: 0, indexed, index };
  const meta = await queries.all<{ v: number }>("SELECT v FROM restante_meta WHERE k = 'schema'");
  return { base, done: meta[0]?.v ?? 1, indexed, index };
}

export const isExtended = (state: SchemaState): boolean => state.done >= STEPS.length;

/** The statements that are still to be run, in order. `createBase` asks for the three shared tables too. */
export function pending(state: SchemaState, kind: Db['kind'], createBase: boolean): string[] {
  const base = createBase && state.base.length === 0 ? Object.values(BASE).map((sql) => sql[kind]) : [];
  if (isExtended(state)) return base;
  return [
    ...base,
    ...STEPS.slice(state.done).map((sql) => sql[kind]),
    SAVE[kind].replaceAll('?', String(STEPS.length)),
  ];
}

const SAVE = {
  mysql: "INSERT INTO restante_meta (k, v) VALUES ('schema', ?) ON DUPLICATE KEY UPDATE v = VALUES(v)",
  sqlite: "INSERT INTO restante_meta (k, v) VALUES ('schema', ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
};

/**
 * Runs what is pending; safe to run again, and by two operators at once. `tell` gets a line per step.
 * On MySQL a step that was interrupted is found as "already exists" and counts as done.
 */
export async function migrate(db: Db, createBase: boolean, tell: (line: string) => void): Promise<void> {
  await db.transaction(async (queries) => {
    await lock(db, queries);
    const state = await inspect(queries, db.kind);
    if (createBase && state.base.length === 0) for (const sql of Object.values(BASE)) await queries.ddl(sql[db.kind]);
    for (let step = state.done; step < STEPS.length; step++) {
      const sql = STEPS[step]?.[db.kind] ?? '';
      tell(`step ${step + 1} of ${STEPS.length}`);
      await queries.ddl(sql).catch((error: unknown) => {
        if (!failed(error, 'exists')) throw error;
      });
      await queries.run(SAVE[db.kind], [step + 1]);
    }
    if (db.kind === 'sqlite' && !state.indexed) await queries.ddl(INDEX.sqlite);
    if (db.kind === 'mysql') await queries.all("SELECT RELEASE_LOCK(CONCAT('restante.', DATABASE())) AS ok");
  });
}

/** One migration at a time: a named lock on MySQL; on SQLite the transaction is the lock. */
async function lock(db: Db, queries: Queries): Promise<void> {
  if (db.kind === 'sqlite') return;
  // A statement may take four seconds, so it waits in short ones.
  for (let tries = 0; tries < 15; tries++) {
    const rows = await queries.all<{ ok: number }>("SELECT GET_LOCK(CONCAT('restante.', DATABASE()), 2) AS ok");
    if (rows[0]?.ok === 1) return;
  }
  throw new Error('another restante migrate is running on this database: wait for it, then run again');
}

/** Drops our tables; the three shared ones stay as they are. */
export async function dropOurs(db: Db): Promise<void> {
  for (const name of OUR_TABLES) await db.ddl(`DROP TABLE IF EXISTS ${name}`);
}
