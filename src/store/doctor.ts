// What restante doctor reads of a database: how far it is migrated, ids, promise, URLs; settings and rights. Changes nothing.
import { type Host, hostText, type MysqlUrl, parseMysqlUrl } from '../config/database-url.ts';
import type { Cause } from '../observe/incidents.ts';
import type { SettingsInput } from '../schema/webhooks.ts';
import { hasIdsBeyond } from './contents.ts';
import { type Db, failed, type Queries } from './db.ts';
import { CONNECTIONS } from './engine/budget.ts';
import { causeOf } from './engine/causes.ts';
import { CHANGING, openMysql, READING } from './engine/mysql.ts';
import { THIS_SERVER } from './engine/mysql-server.ts';
import { notTaken } from './engine/mysql-session.ts';
import { openSqlite } from './engine/sqlite.ts';
import { BINLOG, DURABILITY, readVariables, unsafeIn, unwritableIn } from './fence/facts.ts';
import { MOST_CONTENT_ID, openFenceSource, proberOf } from './fence/source.ts';
import { currentAccount, grantStatement, RIGHTS, type Right, sightStatements } from './migrate/grants.ts';
import { inspect, isExtended } from './migrate/migrate.ts';
import { STEPS } from './migrate/steps.ts';
import { type OpenOptions, openDb, type Store } from './open.ts';

export type DatabaseFacts = Awaited<ReturnType<typeof examine>>;

/** A store that was opened to look at it. */
export type Looked = Store & { readonly sharable: boolean };

/** Opens the database without making, migrating or changing anything. */
export async function openToLook(url: string, options: OpenOptions): Promise<Looked> {
  const db: Db & { readonly sharable?: boolean } = url.startsWith('sqlite:')
    ? await openSqlite(url.slice('sqlite:'.length), { readOnly: true })
    : await openDb(url, options);
  try {
    const state = await inspect(db, db.kind);
    const parts = { recent: undefined, events: undefined, close: () => db.close() };
    return { db, state, extended: isExtended(state), sharable: db.sharable ?? true, ...parts };
  } catch (error) {
    await db.close();
    throw error;
  }
}

export async function examine(store: Looked, url: string, nodes: readonly string[]) {
  const { db, state, extended } = store;
  const opened = await Promise.allSettled(nodes.map((node) => openDb(node)));
  const others = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  try {
    const complete = state.base.length === 3 && state.misfits.length === 0;
    return {
      kind: db.kind,
      version: db.version,
      state,
      extended,
      /** How many steps this program has. */
      steps: STEPS.length,
      maxValueBytes: db.maxValueBytes,
      /** Undefined without the three shared tables, or without the right to read them. */
      contents: complete ? await contentsOf(db, others) : undefined,
      /** Rows of other applications that cannot be handed out as they are. */
      odd: complete ? await findOddRows(db).catch(whereDenied) : undefined,
      /** What refuses some contents, or all. */
      rules: complete ? await findRules(db) : [],
      /** Indexes of our tables that are gone, with the statement that makes each again. */
      lostIndexes: extended && db.kind === 'mysql' ? await findLostIndexes(db) : [],
      /** Where several hosts were named: the one that is used. */
      host: db.hosts?.now(),
      /** The named hosts that cannot be connected to. */
      lostHosts: db.hosts ? await findLost(parseMysqlUrl(url)) : [],
      /** The other nodes of a cluster that were named and do not answer. */
      lostNodes: lostOf(opened, (i) => ({ node: i + 1 })),
      /** MySQL and MariaDB. */
      server: db.kind === 'mysql' ? await examineServer(store, url) : undefined,
      /** SQLite. `sharable`: two processes may use the file at once. */
      file: db.kind === 'sqlite' ? { journal: await journalOf(db), sharable: store.sharable } : undefined,
    };
  } finally {
    await Promise.all(others.map((other) => other.close()));
  }
}

async function findLost(url: MysqlUrl) {
  const tried = await Promise.allSettled(
    url.hosts.map(async (host) => (await openMysql({ ...url, hosts: [host] })).close()),
  );
  return lostOf(tried, (i) => ({ host: hostText(url.hosts[i] as Host) }));
}
const lostOf = <T>(tried: readonly PromiseSettledResult<unknown>[], nameOf: (i: number) => T): (Cause & T)[] =>
  tried.flatMap((one, i) => {
    const why = one.status === 'rejected' ? causeOf(one.reason) : undefined;
    return why ? [{ ...why, ...nameOf(i) }] : [];
  });

/** `top`: the highest id that was given. Undefined for an account that may not read tblwh: the check of the rights tells that. */
async function contentsOf(db: Db, nodes: readonly Db[]) {
  try {
    const { source, promise } = await openFenceSource(db, nodes.map(proberOf));
    return { top: (await source.top?.(Number.MAX_SAFE_INTEGER)) ?? 0, promise };
  } catch (error) {
    if (failed(error, 'denied')) return undefined;
    throw error;
  }
}

const whereDenied = (error: unknown): undefined => {
  if (!failed(error, 'denied')) throw error;
};

// Rows of other applications, looked at from the newest one back.
const ROWS_PER_LOOK = 2_000;
const MOST_LOOK_MS = 2_000;
const MOST_ODD = 20;

export interface OddRows {
  /** How many rows were looked at; `all`: there are no more. */
  readonly looked: number;
  readonly all: boolean;
  /** By what is odd about them: some ids, the newest first. */
  readonly absent: readonly number[];
  readonly overlong: readonly number[];
  readonly ownerless: readonly number[];
  readonly strayed: readonly number[];
  /** Whether there are ids beyond all that can be handed out. */
  readonly beyond: boolean;
}

async function findOddRows(db: Db): Promise<OddRows> {
  const most = MOST_CONTENT_ID[db.kind];
  const kinds = {
    absent: 'content IS NULL',
    overlong: `content IS NOT NULL AND ${db.dialect.bytes('content')} IS NULL`,
    ownerless: 'user_id IS NULL OR user_id NOT BETWEEN 0 AND 4294967295',
    strayed: 'wh_id IS NULL OR wh_id NOT BETWEEN 0 AND 4294967295',
  } as const;
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  const columns = names.map((name) => `CASE WHEN ${kinds[name]} THEN 1 ELSE 0 END AS ${name}`).join(', ');
  const odd: Record<keyof typeof kinds, number[]> = { absent: [], overlong: [], ownerless: [], strayed: [] };
  const until = performance.now() + MOST_LOOK_MS;
  let looked = 0;
  let all = false;
  for (let below = most + 1; !all && performance.now() < until; ) {
    const rows = await db.all<Record<keyof typeof kinds | 'id', number>>(
      `SELECT id, ${columns} FROM tblwh WHERE id > 0 AND id < ? ORDER BY id DESC LIMIT ?`,
      [below, String(ROWS_PER_LOOK)],
    );
    for (const row of rows)
      for (const name of names) if (Number(row[name]) === 1 && odd[name].length < MOST_ODD) odd[name].push(row.id);
    looked += rows.length;
    all = rows.length < ROWS_PER_LOOK;
    below = rows.at(-1)?.id ?? 0;
  }
  return { looked, all, ...odd, beyond: await hasIdsBeyond({ db }) };
}

/** A rule on tblwh. */
export interface TableRule {
  readonly what: string;
  readonly name: string;
  /** The statement that takes it away, or gives the column a default. */
  readonly fix: string;
  /** It refuses every content. */
  readonly always?: true;
}
type Named = { readonly name: string };
const CONTENT_COLUMNS = ['id', 'content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];

async function findRules(db: Db): Promise<TableRule[]> {
  if (db.kind === 'sqlite') {
    const triggers = await db.all<Named>(
      "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'tblwh'",
    );
    const indexes = await db.all<Named>(
      "SELECT l.name FROM pragma_index_list('tblwh') l WHERE l.origin = 'c' AND (l.\"unique\" = 1 OR EXISTS (SELECT 1 FROM pragma_index_info(l.name) i WHERE i.cid = -2))",
    );
    return [
      ...triggers.map(({ name }) => ({ what: 'trigger', name, fix: `DROP TRIGGER "${name}"` })),
      ...indexes.map(({ name }) => ({ what: 'index', name, fix: `DROP INDEX "${name}"` })),
    ];
  }
  const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;
  const triggers = await db.all<Named>(
    `SELECT trigger_name AS name FROM information_schema.triggers WHERE event_object_schema = DATABASE()
     AND event_object_table = 'tblwh' AND event_manipulation = 'INSERT'`,
  );
  const constraints = await db.all<Named & { what: string }>(
    `SELECT constraint_name AS name, constraint_type AS what FROM information_schema.table_constraints
     WHERE table_schema = DATABASE() AND table_name = 'tblwh' AND constraint_type <> 'PRIMARY KEY'`,
  );
  const columns = await db.all<Named & { extra: string; null_too: string; dflt: string | null }>(
    `SELECT column_name AS name, extra AS extra, is_nullable AS null_too, column_default AS dflt FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'tblwh'`,
  );
  const others = columns.filter(({ name }) => !CONTENT_COLUMNS.includes(name.toLowerCase()));
  const generated = others.filter(({ extra }) => /(STORED|VIRTUAL|PERSISTENT) ?(GENERATED)?$/i.test(extra));
  const needed = others.filter(
    (one) => one.null_too === 'NO' && one.dflt === null && one.extra === '' && !generated.includes(one),
  );
  const dropOf = { UNIQUE: 'DROP INDEX', 'FOREIGN KEY': 'DROP FOREIGN KEY' } as Readonly<Record<string, string>>;
  return [
    ...triggers.map(({ name }) => ({ what: 'trigger', name, fix: `DROP TRIGGER ${quoted(name)}` })),
    ...constraints.map(({ name, what }) => ({
      what: what === 'CHECK' ? 'constraint' : what.toLowerCase(),
      name,
      fix: `ALTER TABLE tblwh ${dropOf[what] ?? 'DROP CONSTRAINT'} ${quoted(name)}`,
    })),
    ...generated.map(({ name }) => ({
      what: 'generated column',
      name,
      fix: `ALTER TABLE tblwh DROP COLUMN ${quoted(name)}`,
    })),
    ...needed.map(({ name }) => ({
      what: 'column without a default value',
      name,
      fix: `ALTER TABLE tblwh MODIFY ${quoted(name)} … NULL DEFAULT NULL`,
      always: true as const,
    })),
  ];
}

/** By the steps that made them: those that are gone, or that queries may not use. */
async function findLostIndexes(
  db: Db,
): Promise<{ readonly table: string; readonly name: string; readonly fix: string }[]> {
  const seen = await db.all<{ t: string; name: string }>(
    `SELECT table_name AS t, index_name AS name FROM information_schema.statistics WHERE table_schema = DATABASE()
     AND table_name LIKE 'restante\\_%' /*!80000 AND is_visible = 'YES' */ /*M! AND ignored = 'NO' */`,
  );
  const there = new Set(seen.map(({ t, name }) => `${t} ${name}`));
  return STEPS.flatMap(({ mysql }) => {
    const table = /^(?:CREATE|ALTER) TABLE (\w+)/.exec(mysql)?.[1];
    if (!table) return [];
    return [...mysql.matchAll(/(UNIQUE )?KEY (\w+) (\([^)]*\))/g)].flatMap(([, unique = '', name = '', columns]) =>
      there.has(`${table} ${name}`)
        ? []
        : [{ table, name, fix: `ALTER TABLE ${table} ADD ${unique}KEY ${name} ${columns}` }],
    );
  });
}

const journalOf = async (db: Db): Promise<string> =>
  (await db.all<{ journal_mode: string }>('PRAGMA journal_mode'))[0]?.journal_mode ?? '';

const MOST_STALE = 1_000;
export interface StaleUrl {
  readonly wh_id: number;
  readonly wh_url: string;
  readonly settings: SettingsInput;
}
/** Webhooks of ours that were made, or given their key, under another PUBLIC_URL. */
export async function listStaleUrls({ db, extended }: Store, publicUrl: string): Promise<StaleUrl[]> {
  if (!extended) return [];
  const beginning = `${publicUrl}/in/`;
  const rows = await db.all<{ wh_id: number; wh_url: Buffer; settings: string }>(
    `SELECT t.id AS wh_id, ${db.dialect.bytes('t.wh_url')} AS wh_url, w.settings FROM tblwhid t
     JOIN restante_webhook w ON w.wh_id = t.id WHERE SUBSTR(t.wh_url, 1, ?) <> ? ORDER BY t.id LIMIT ?`,
    [beginning.length, beginning, MOST_STALE],
  );
  return rows.map((row) => ({ ...row, wh_url: row.wh_url.toString(), settings: JSON.parse(row.settings) }));
}

// MySQL and MariaDB: settings, rights, columns, clock, and whether a proxy stands before the server.

interface MissingRight {
  /** In words. */
  readonly right: string;
  /** The statement that gives it. */
  readonly grant: string;
  /** Only the removal of contents needs it: some operators do not want that. */
  readonly toRemove: boolean;
}
export type ServerFacts = Awaited<ReturnType<typeof examineServer>>;

const VARIABLES = [
  ...DURABILITY,
  ...BINLOG,
  ...['innodb_doublewrite', 'sql_mode', 'read_only', 'super_read_only', 'max_allowed_packet', 'max_connections'],
  ...['wait_timeout', 'idle_write_transaction_timeout', 'idle_transaction_timeout'],
];

async function examineServer({ db, state, extended }: Store, url: string) {
  const [who] = await db.all<{ says: string; name: string }>(
    "SELECT CONCAT(VERSION(), ', ', @@version_comment) AS says, DATABASE() AS name",
  );
  const { says = '', name = '' } = who ?? {};
  const account = await currentAccount(db);
  const variables = await readVariables(db, VARIABLES);
  const [threads] = await db.all<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Threads_connected'");
  const own = "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = SUBSTRING_INDEX(USER(), '@', 1)";
  const [ours] = await db.all<{ n: number }>(own);
  return {
    /** Version and version comment of the server. */
    says,
    variables,
    unsafe: unsafeIn(variables),
    unwritable: unwritableIn(variables),
    notTaken: await readSessions(db),
    replica: await isReplica(db),
    engines: await readEngines(db),
    content: state.content ?? { type: '', charset: null },
    undefaulted: await readUndefaulted(db),
    missing: await missingRights(db, extended, (right) => grantStatement(name, account, right)),
    /** The GRANTs with which the fence sees the statements of other accounts. */
    sight: sightStatements(db.dialect, name, account),
    /** Connections open now, and what one process of ours takes at most. */
    connected: Number(threads?.Value ?? 0),
    wanted: db.limits?.connections ?? CONNECTIONS,
    /** The same of the account; `may` 0: as many as there are. */
    account: { connected: ours?.n ?? 0, may: db.limits?.ofAccount ?? 0 },
    ...(await readSkew(db)),
    ...(await lookForProxy(db, url, says)),
  };
}

/** What is not as our connections have set it: one that reads, and one that changes something. */
async function readSessions(db: Db) {
  const only = db.version.startsWith('MariaDB') ? 'mariadb' : 'mysql';
  const read = async (queries: Pick<Queries, 'all'>) => {
    const rows = await queries.all<Record<string, unknown>>('SHOW SESSION VARIABLES');
    return new Map(rows.map(Object.values).map(([name, value]) => [String(name), String(value)]));
  };
  const all = [...notTaken(READING, only, await read(db)), ...notTaken(CHANGING, only, await db.transaction(read))];
  return [...new Map(all.map((one) => [one.text, one])).values()];
}

/** Undefined: the account may not know. */
async function isReplica(db: Db): Promise<boolean | undefined> {
  try {
    return (await db.all('SHOW REPLICA STATUS')).length > 0;
  } catch (error) {
    if (failed(error, 'denied', 'other')) return undefined;
    throw error;
  }
}

/** The engines of the shared tables. */
async function readEngines(db: Db): Promise<Readonly<Record<string, string>>> {
  const tables = await db.all<{ t: string; e: string | null }>(
    `SELECT table_name AS t, engine AS e FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_name IN ('tbluser', 'tblwhid', 'tblwh')`,
  );
  return Object.fromEntries(tables.map(({ t, e }) => [t, e ?? '']));
}

/** Columns that other applications have added and that must be given a value: a strict INSERT of ours cannot. As table.column. */
async function readUndefaulted(db: Db): Promise<readonly string[]> {
  const rows = await db.all<{ name: string }>(
    `SELECT CONCAT(table_name, '.', column_name) AS name FROM information_schema.columns WHERE table_schema = DATABASE()
     AND table_name IN ('tblwhid', 'tblwh') AND is_nullable = 'NO' AND column_default IS NULL
     AND extra NOT LIKE '%auto_increment%' AND COALESCE(generation_expression, '') = ''
     AND column_name NOT IN ('id', 'user_id', 'wh_url', 'wh_name', 'status', 'content', 'ip', 'api', 'dt', 'wh_id')`,
  );
  return rows.map(({ name }) => name);
}

/** By EXPLAIN, which needs the rights of its statement and runs nothing: roles and wildcards count as for the statement itself. */
async function missingRights(
  db: Db,
  extended: boolean,
  grant: (right: Right) => string,
): Promise<readonly MissingRight[]> {
  const firsts = `SELECT table_name AS t, column_name AS c FROM information_schema.columns
    WHERE table_schema = DATABASE() AND ordinal_position = 1`;
  const first = new Map((await db.all<{ t: string; c: string }>(firsts)).map(({ t, c }) => [t, c]));
  const missing: MissingRight[] = [];
  for (const right of RIGHTS) {
    const { table, columns = '*' } = right;
    const ours = table.startsWith('restante_');
    if (ours && !extended) continue;
    const column = first.get(table);
    for (const what of right.may) {
      // At the as-is level contents are added, and nothing else is written.
      if (!extended && what !== 'SELECT' && `${what} ${table}` !== 'INSERT tblwh') continue;
      const sql = {
        SELECT: `EXPLAIN SELECT ${columns} FROM ${table}`,
        INSERT: `EXPLAIN INSERT INTO ${table} (${column}) VALUES (1)`,
        UPDATE: `EXPLAIN UPDATE ${table} SET ${column} = 1 WHERE 1 = 0`,
        DELETE: `EXPLAIN DELETE FROM ${table} WHERE 1 = 0`,
      }[what];
      if (column === undefined || (await isDenied(db, sql)))
        missing.push({
          right: `${what} on ${table}`,
          grant: grant({ ...right, may: [what] }),
          toRemove: table === 'tblwh' && what === 'DELETE',
        });
    }
  }
  return missing;
}

const isDenied = (db: Db, sql: string): Promise<boolean> =>
  db.all(sql).then(
    () => false,
    (error: unknown) => {
      if (failed(error, 'denied', 'missing')) return true;
      // A read-only server refuses to explain a change: another check tells that.
      if (failed(error, 'away', 'other', 'data')) return false;
      throw error;
    },
  );

const ROUNDS = 5;
// Who comes by turns finds the other one of two servers.
const CALLERS = 3;

/** The database's clock minus ours, and how far that may be off. Of a few answers the quickest is the most exact. */
async function readSkew(db: Db): Promise<{ skewMs: number; skewWithinMs: number }> {
  let best = { skewMs: 0, skewWithinMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < ROUNDS; i++) {
    const before = Date.now();
    const [row] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
    const within = Math.max(1, (Date.now() - before) / 2);
    if (within < best.skewWithinMs)
      best = { skewMs: Math.round(Number(row?.now) - before - within), skewWithinMs: Math.ceil(within) };
  }
  return best;
}

interface Seen {
  readonly id: number;
  readonly server: string;
}
const whoIs = async (queries: Pick<Queries, 'all'>): Promise<Seen> => {
  const [row] = await queries.all<Seen>(`SELECT CONNECTION_ID() AS id, ${THIS_SERVER} AS server`);
  return row ?? { id: 0, server: '' };
};

/**
 * Why a SQL proxy seems to stand between, and whether reads and transactions are answered by different servers (`split`). A guess:
 * by a name, by a command that only ProxySQL knows, and by answers that one server alone would not give.
 */
async function lookForProxy(db: Db, url: string, says: string): Promise<{ split: boolean; proxy: readonly string[] }> {
  const named = /proxysql|maxscale|proxy/i.exec(says)?.[0];
  const servers = new Set<string>();
  let changed = false;
  for (let i = 0; i < ROUNDS; i++) {
    servers.add((await whoIs(db)).server);
    await db.transaction(async (queries) => {
      const first = await whoIs(queries);
      // After it a proxy may go on with another connection.
      await queries.ddl('COMMIT');
      const second = await whoIs(queries);
      changed ||= first.id !== second.id;
      for (const { server } of [first, second]) servers.add(server);
    });
  }
  // All connections of ours lead to one server, where others are reached, too.
  for (let i = 0; i < CALLERS; i++)
    await openDb(url, { connections: 1 }).then(
      async (caller) => {
        servers.add((await whoIs(caller)).server);
        await caller.close();
      },
      () => {}, // no connection is left for it
    );
  const knows = await db.ddl('PROXYSQL INTERNAL SESSION').then(
    () => true,
    () => false,
  );
  return {
    split: servers.size > 1,
    proxy: [
      ...(named ? [`it calls itself ${named}`] : []),
      ...(knows ? ['it knows the command PROXYSQL INTERNAL SESSION'] : []),
      ...(changed ? ['one connection of ours was several of the server'] : []),
      ...(servers.size > 1 ? [`several servers answered: ${[...servers].join(', ')}`] : []),
    ],
  };
}
