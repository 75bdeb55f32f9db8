// The tables as SQL: the three that are shared with other applications, and ours, added in steps that only append.

export type Sql = { readonly mysql: string; readonly sqlite: string };

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

/** A step that an engine does without. */
export const NOTHING = 'DO 0';

/** Ours, in order. Append only: a step that was released is never edited. One statement each, MySQL commits DDL by itself. */
export const STEPS: readonly Sql[] = [
  {
    mysql: `CREATE TABLE restante_meta (k VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  v BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB`,
    sqlite: 'CREATE TABLE restante_meta (k TEXT NOT NULL PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID',
  },
  {
    // How a content came: `head` is the request line and the headers as received, NULL for what the user posted.
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
    // The secret part of a URL. `expires_ms` NULL is the current one; a rotated one ends when its grace does.
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
    // The order in which contents became visible. `pos` is dense and given by one writer at a time (meta 'seq' is the next one);
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
  {
    // The verdict on a content. `event_key` is a hash of the user and the event id, so that looking for duplicates meets one
    // webhook's events only; of a plain content everything is NULL, which costs nothing to speak of.
    mysql: `ALTER TABLE restante_request ADD COLUMN wh_id INT UNSIGNED NULL, ADD COLUMN verified TINYINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN event_id VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, ADD COLUMN event_type VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN event_key BINARY(16) NULL, ADD COLUMN duplicate_of INT UNSIGNED NULL, ADD COLUMN released_from BIGINT UNSIGNED NULL,
  ADD KEY ix_event (event_key, duplicate_of)`,
    sqlite: `ALTER TABLE restante_request ADD COLUMN wh_id INTEGER; ALTER TABLE restante_request ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE restante_request ADD COLUMN event_id TEXT; ALTER TABLE restante_request ADD COLUMN event_type TEXT;
  ALTER TABLE restante_request ADD COLUMN event_key BLOB; ALTER TABLE restante_request ADD COLUMN duplicate_of INTEGER;
  ALTER TABLE restante_request ADD COLUMN released_from INTEGER;
  CREATE INDEX restante_request_event ON restante_request (event_key, duplicate_of) WHERE event_key IS NOT NULL`,
  },
  {
    // What was refused for its signature is kept whole, and becomes a content when it is released.
    mysql: `ALTER TABLE restante_refusal ADD COLUMN content LONGBLOB NULL, ADD COLUMN near_miss VARCHAR(255) CHARACTER SET utf8mb4 NULL,
  ADD COLUMN released_as INT UNSIGNED NULL, ADD COLUMN event_key BINARY(16) NULL, ADD KEY ix_event (event_key)`,
    sqlite: `ALTER TABLE restante_refusal ADD COLUMN content BLOB; ALTER TABLE restante_refusal ADD COLUMN near_miss TEXT;
  ALTER TABLE restante_refusal ADD COLUMN released_as INTEGER; ALTER TABLE restante_refusal ADD COLUMN event_key BLOB;
  CREATE INDEX restante_refusal_event ON restante_refusal (event_key) WHERE event_key IS NOT NULL`,
  },
  {
    // The secrets of a webhook as a JSON list, each value encrypted with SECRETS_KEY.
    mysql: 'ALTER TABLE restante_webhook ADD COLUMN secrets MEDIUMTEXT CHARACTER SET ascii NULL',
    sqlite: 'ALTER TABLE restante_webhook ADD COLUMN secrets TEXT',
  },
  {
    // On SQLite an index in random order costs a page of the log per event: this one is written behind, sorted. `duplicate_of`
    // is 0 for the first. Rows of restante_request up to the mark 'event' are in it.
    mysql: NOTHING,
    sqlite: `CREATE TABLE restante_event (event_key BLOB NOT NULL, duplicate_of INTEGER NOT NULL, id INTEGER NOT NULL,
  PRIMARY KEY (event_key, duplicate_of, id)) WITHOUT ROWID; DROP INDEX restante_request_event`,
  },
];

const TABLES = [
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
export const OUR_TABLES = { mysql: TABLES, sqlite: [...TABLES, 'restante_event'] } as const;
