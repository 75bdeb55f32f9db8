// The statements that write to tblwh now, and may have taken an id whose row is not there yet, on MySQL and MariaDB.
import { type Db, failed, type Value } from '../db.ts';

export interface WriterSight {
  writers(): Promise<ReadonlySet<string> | null>;
  blockers(): Promise<readonly string[]>;
  open(): Promise<ReadonlySet<string> | null>;
  /** Whether the latest attempt to see the statements succeeded. */
  sees(): boolean;
}

// A missing right is asked for again only after this.
const DENIED_FOR_MS = 60_000;

type Statement = Readonly<Record<'k' | 'own' | 'text', Value>> & { readonly q?: Value };

const isOther = ({ own }: Statement): boolean => Number(own) !== 1;
const keysOf = (rows: readonly Statement[]): ReadonlySet<string> => new Set(rows.map(({ k }) => String(k)));

const plain = (sql: string): string =>
  sql
    .replace(/'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"/gs, "''")
    .replace(/\/\*(?!!).*?\*\/|(?:--\s|#)[^\n]*/gs, ' ')
    .trim();
const READS_OR_CHANGES = /^\(*\s*(SELECT|UPDATE|DELETE|WITH)\b/i;
// None of them can run within a trigger.
const NO_ROWS =
  /^(SHOW|BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|USE|KILL|EXPLAIN|DESC|DESCRIBE|FLUSH|CHECK|CREATE|ALTER|DROP|OPTIMIZE|ANALYZE|REPAIR)\b/i;

/**
 * A SELECT, UPDATE or DELETE that uses tblwh itself takes no id: a function or a trigger may not write to a table which
 * the statement that called it uses already (error 1442). A statement that cannot be classified counts as a writer.
 */
export function takesNoIds(sql: string): boolean {
  const text = plain(sql);
  return READS_OR_CHANGES.test(text) ? /\btblwh\b/i.test(text) : NO_ROWS.test(text);
}

/** Asks again only a minute after the account was found to lack the right. */
function withSight(db: Db, sql: string, more: (rows: readonly Statement[]) => ReadonlySet<string> | null) {
  let deniedAt = Number.NEGATIVE_INFINITY;
  let seen = false;
  return {
    sees: () => seen,
    async ask(): Promise<ReadonlySet<string> | null> {
      if (performance.now() - deniedAt < DENIED_FOR_MS) return null;
      try {
        const keys = more(await db.transaction((queries) => queries.all<Statement>(sql)));
        seen = keys !== null;
        if (!keys) deniedAt = performance.now();
        return keys;
      } catch (error) {
        seen = false;
        if (!failed(error, 'denied', 'missing')) throw error;
        deniedAt = performance.now();
        return null;
      }
    },
  };
}

const cut = (value: Value): string =>
  String(value ?? '')
    .replace(/\s+/g, ' ')
    .slice(0, 80);
async function blockersIn(db: Db, sql: string): Promise<string[]> {
  type Blocker = Record<'id' | 'who' | 'seconds' | 'text', Value>;
  const inWords = ({ id, who, seconds, text }: Blocker) =>
    `connection ${id} of ${who}, ${seconds} s${text ? `: ${cut(text)}` : ', idle in an open transaction'}`;
  return (await db.transaction((queries) => queries.all<Blocker>(sql))).map(inWords);
}

/** By the metadata locks: a statement that may take an id holds one on the table from before, until its transaction ends. */
export function mysqlWriters(db: Db): WriterSight {
  const locks = `FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID`;
  const onTable = `m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = DATABASE() AND m.OBJECT_NAME = 'tblwh' AND m.LOCK_STATUS = 'GRANTED'`;
  const writing = `m.LOCK_TYPE IN ('SHARED_WRITE', 'SHARED_WRITE_LOW_PRIO', 'SHARED_NO_READ_WRITE', 'EXCLUSIVE')`;
  // The subquery takes a lock of our own, which must be among them: otherwise these locks are not recorded, and prove nothing.
  // The events name the statement; without them the transaction's first lock stands for it, and is held longer.
  const statements = withSight(
    db,
    `SELECT CONCAT(m.OWNER_THREAD_ID, ':', COALESCE(e.EVENT_ID, m.OWNER_EVENT_ID)) AS k,
  t.PROCESSLIST_ID = CONNECTION_ID() AS own, COALESCE(e.SQL_TEXT, '') AS text, (SELECT MAX(id) FROM tblwh) AS top
  ${locks} LEFT JOIN performance_schema.events_statements_current e ON e.THREAD_ID = t.THREAD_ID AND e.END_EVENT_ID IS NULL
  WHERE ${onTable} AND (t.PROCESSLIST_ID = CONNECTION_ID() OR (${writing} AND COALESCE(t.PROCESSLIST_COMMAND, '') <> 'Sleep'))`,
    (rows) => {
      if (rows.every(isOther)) return null;
      return keysOf(rows.filter((row) => isOther(row) && !takesNoIds(String(row.text ?? ''))));
    },
  );
  const opened = withSight(
    db,
    `SELECT CONCAT(m.OWNER_THREAD_ID, ':', m.OWNER_EVENT_ID) AS k, 0 AS own, '' AS text ${locks} WHERE ${onTable} AND ${writing}`,
    keysOf,
  );
  return {
    sees: statements.sees,
    writers: statements.ask,
    open: async () => ((await statements.ask()) ? opened.ask() : null),
    blockers: () =>
      blockersIn(
        db,
        `SELECT t.PROCESSLIST_ID AS id, CONCAT(t.PROCESSLIST_USER, '@', t.PROCESSLIST_HOST) AS who, t.PROCESSLIST_TIME AS seconds,
  t.PROCESSLIST_INFO AS text ${locks} WHERE ${onTable} AND ${writing} AND t.PROCESSLIST_ID <> CONNECTION_ID()
  ORDER BY t.PROCESSLIST_TIME DESC LIMIT 10`,
      ),
  };
}

/**
 * By the process list, and not by information_schema.innodb_trx: that is a copy, renewed only after 100 ms without a reader, so
 * that a second reader freezes it, and a writer of the last 100 ms is missing. The list shows the innermost statement: that of a
 * trigger or a procedure, not the one that called it.
 */
export function mariadbWriters(db: Db): WriterSight {
  let triggers = false;
  const statements = withSight(
    db,
    `SELECT ID AS k, QUERY_ID AS q, ID = CONNECTION_ID() AS own, INFO AS text FROM information_schema.processlist
  WHERE COMMAND NOT IN ('Sleep', 'Daemon', 'Connect', 'Binlog Dump', 'Slave_IO', 'Slave_SQL', 'Slave_worker')`,
    (rows) => {
      const others = rows.filter((row) => isOther(row) && row.text !== null);
      // During a trigger of tblwh the list does not show the INSERT that called it: then a connection counts until it is idle.
      if (triggers) return keysOf(others);
      const ids = (text: string) => !READS_OR_CHANGES.test(text) && !NO_ROWS.test(text);
      const writing = others.filter(({ text }) => ids(plain(String(text))));
      return new Set(writing.map((row) => `${row.k}:${row.q}`));
    },
  );
  // The server refuses this without the PROCESS right; without that right the list above shows our own account alone.
  const trx = `FROM information_schema.innodb_trx x LEFT JOIN information_schema.processlist p ON p.ID = x.trx_mysql_thread_id
  WHERE x.trx_id <> 0 AND x.trx_mysql_thread_id <> CONNECTION_ID()`;
  const opened = withSight(db, `SELECT x.trx_id AS k, 0 AS own, '' AS text ${trx}`, keysOf);
  let provenAt = Number.NEGATIVE_INFINITY;
  async function writers(): Promise<ReadonlySet<string> | null> {
    if (performance.now() - provenAt > DENIED_FOR_MS) {
      if (!(await opened.ask())) return null;
      const found = await db.transaction((queries) =>
        queries.all(
          `SELECT 1 FROM information_schema.triggers WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = 'tblwh'
  AND EVENT_MANIPULATION = 'INSERT' LIMIT 1`,
        ),
      );
      triggers = found.length > 0;
      provenAt = performance.now();
    }
    return statements.ask();
  }
  return {
    sees: () => opened.sees() && statements.sees(),
    writers,
    open: opened.ask,
    // trx_started is told in the zone of the machine, whatever the zone of the server or the session.
    blockers: () =>
      blockersIn(
        db,
        `SELECT x.trx_mysql_thread_id AS id, CONCAT(p.USER, '@', p.HOST) AS who,
  TIMESTAMPDIFF(SECOND, x.trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) AS seconds, p.INFO AS text ${trx} ORDER BY x.trx_started LIMIT 10`,
      ),
  };
}
