// What the fence reads from a database: new rows, holes, locks on them, and statements that write. SELECT alone is enough.
import { type Db, failed, type Queries, StoreError, termOf, type Value } from '../db.ts';
import { isReadOnly, READ_ONLY, readOnlyError, serversError, THIS_SERVER } from '../engine/mysql-server.ts';
import type { Recent } from '../positions.ts';
import { type FenceFacts, type FencePromise, promiseOf, readFacts } from './facts.ts';
import { mariadbWriters, mysqlWriters, type WriterSight } from './writers.ts';

/** A content, with its user and its webhook. */
export interface Row {
  readonly id: number;
  readonly user_id: number;
  readonly wh_id: number;
}
/**
 * The highest id that a content of ours may have: restante_position and the tables beside it hold no higher one. A content of another
 * application beyond it is left out, and restante doctor tells of it; a number beyond 2^53 could not even be read.
 */
export const MOST_CONTENT_ID = { mysql: 4_294_967_295, sqlite: Number.MAX_SAFE_INTEGER } as const;

// The cast: MariaDB would make a decimal, which comes as text, of a CASE over numbers with and without a sign.
const placeable = (column: string): string =>
  `CAST(CASE WHEN ${column} BETWEEN 0 AND 4294967295 THEN ${column} ELSE 0 END AS UNSIGNED)`;
/**
 * User and webhook of a row of tblwh, as columns. Where the column takes NULL, or numbers that no user has, the content belongs to
 * user 0, who is nobody: it gets its position and holds up no other. Of such a webhook: to none, as own content.
 */
export const webhookIn = (table = ''): string => `${placeable(`${table}wh_id`)} AS wh_id`;
export const ownerIn = (table = ''): string => `${placeable(`${table}user_id`)} AS user_id, ${webhookIn(table)}`;
export const OWNER = ownerIn();

/** Ids from … to, both included. */
export type Range = readonly [from: number, to: number];

/** What the fence asks of a database. Everything here needs SELECT alone; `writers` sees more with more rights. */
export interface FenceSource {
  /** True where ids are committed in their order (SQLite): a hole is dead at once. */
  readonly ordered: boolean;
  /** How long a row must have been visible before it is handed out, in ms: 0 where commits are on disk before they can be read. */
  readonly minAgeMs: number;
  /** When our latest COMMIT that has returned was sent (performance.now()): what was read before it is on disk. */
  flushedAt(): number;
  /** Rows with id > `after`, ascending, at most `limit`, from one snapshot; `late`: rows that have appeared within `holes`. */
  look(after: number, holes: readonly Range[], limit: number): Promise<Look>;
  /** A locking read that does not wait: false when a row in `ranges` exists or is being written now. At most 100 ranges. */
  probe(ranges: readonly Range[]): Promise<boolean>;
  /** Statements that run now and may hold an id whose row is not there yet; null when this account may not see them. */
  writers(): Promise<ReadonlySet<string> | null>;
  /** Connections that may hold the hole, in words for the log. */
  blockers(): Promise<readonly string[]>;
  /** The highest id that was ever given; or the id of the newest row, where that reaches `floor`. */
  top?(floor: number): Promise<number>;
  /** Transactions that are open now and have written to tblwh, as far as can be told; null when this account may not see them. */
  open?(): Promise<ReadonlySet<string> | null>;
}
interface Look {
  readonly rows: readonly Row[];
  readonly late: readonly Row[];
}

export type Prober = Pick<FenceSource, 'probe' | 'writers'>;

// The server tells its uptime in whole seconds.
const UPTIME_PRECISION_MS = 2_500;
const FACTS_FOR_MS = 60_000;
// Few texts for lists of any length: the last range is repeated.
const LENGTHS = [1, 10, 100, 500];

export const ranged = (ranges: readonly Range[]): { where: string; params: number[] } => {
  const length = LENGTHS.find((size) => size >= ranges.length) ?? ranges.length;
  const params: number[] = [];
  for (let i = 0; i < length; i++) params.push(...(ranges[Math.min(i, ranges.length - 1)] as Range));
  return { where: Array(length).fill('id BETWEEN ? AND ?').join(' OR '), params };
};

/** Reads what there is to know of the server. `nodes` are all other nodes of a cluster with several writers. */
export async function openFenceSource(db: Db, nodes: readonly Prober[] = [], recent?: Recent) {
  if (db.dialect.oneWriter)
    return { source: openOrdered(db, recent), nodes: [], facts: SQLITE, promise: promiseOf(SQLITE) };
  const { source, facts } = await openShared(db);
  await source.writers(); // the promise depends on whether they can be seen
  return {
    source,
    nodes,
    /** As they were read last, less than a minute ago while there are looks. */
    get facts(): FenceFacts {
      return facts();
    },
    /** What can be promised with these facts. */
    get promise(): FencePromise {
      return promiseOf(facts(), nodes.length > 0);
    },
  };
}

const SQLITE: FenceFacts = { ordered: true, minAgeMs: 0, warning: '', cluster: false, sight: true };
const ROWS = `SELECT id, ${OWNER} FROM tblwh WHERE id > ? ORDER BY id LIMIT ?`;
/** Without the rows that are left out for their ids. */
const PLACEABLE_ROWS = {
  mysql: `SELECT id, ${OWNER} FROM tblwh WHERE id > ? AND id <= ${MOST_CONTENT_ID.mysql} ORDER BY id LIMIT ?`,
  // Inside, or the next look would read on from the index of users. There are as good as never any such rows.
  sqlite: `SELECT id, ${OWNER} FROM (SELECT id, user_id, wh_id FROM tblwh WHERE id > ? ORDER BY id LIMIT ?) WHERE id <= ${MOST_CONTENT_ID.sqlite}`,
};

function openOrdered(db: Db, recent: Recent | undefined): FenceSource {
  return {
    ordered: true,
    minAgeMs: 0,
    flushedAt: () => db.flushedAt(),
    async look(after, _holes, limit) {
      const known = recent?.afterId(after, limit) ?? [];
      // Rows of other programs come after these. Fewer rows than asked for mean that there are no more.
      const missing = limit - known.length;
      const others = missing > 0 ? await db.all<Row>(PLACEABLE_ROWS.sqlite, [known.at(-1)?.id ?? after, missing]) : [];
      return { rows: [...known, ...others], late: [] };
    },
    probe: async () => true,
    writers: async () => new Set(),
    blockers: async () => [],
    async top() {
      const most = MOST_CONTENT_ID.sqlite;
      const given = `SELECT MIN(seq, ${most}) AS top FROM sqlite_sequence WHERE name = 'tblwh'`;
      const top = (await db.all<{ top: number }>(given))[0]?.top ?? 0;
      if (top < most) return top;
      const newest = `SELECT MAX(id) AS top FROM tblwh WHERE id < ${most}`;
      return (await db.all<{ top: number | null }>(newest))[0]?.top ?? 0;
    },
  };
}

interface ServerRow {
  readonly name: string;
  readonly ro: Value;
  readonly top: number | null;
}

const WHO = `SELECT ${THIS_SERVER} AS name, ${READ_ONLY} AS ro`;

async function openShared(db: Db): Promise<{ source: FenceSource; facts: () => FenceFacts }> {
  let facts = await db.transaction(readFacts);
  let factsAt = performance.now();
  const sight = sightOf(db);
  let lookedAt = Number.POSITIVE_INFINITY;
  let startedAt: number | undefined;
  let term = termOf(db);

  /**
   * Rejects once after the server was restarted, or is another one: rows that were seen and not on disk may be gone, and their ids
   * given to other contents. A connection that was open at the last look proves that there was no restart.
   */
  async function sameLife(queries: Queries): Promise<void> {
    const rows = await queries.all<Record<string, Value>>("SHOW GLOBAL STATUS LIKE 'Uptime'");
    const started = performance.now() - Number(Object.values(rows[0] ?? {})[1]) * 1000;
    const [before, left] = [startedAt, term];
    startedAt = started;
    term = termOf(db);
    if (before === undefined || (term === left && Math.abs(started - before) <= UPTIME_PRECISION_MS)) return;
    factsAt = Number.NEGATIVE_INFINITY;
    const what = term === left ? 'the database was restarted' : 'another server may be used now';
    throw new StoreError('other', `${what}: rows that were seen and not on disk yet are read again`);
  }

  /** Refuses the answer of a replica: its locks are not those of the writers. */
  function check(row: ServerRow | undefined, name: string | undefined): void {
    if (isReadOnly(row?.ro)) throw readOnlyError('lists wait until DATABASE_URL leads to the primary again');
    if (row?.name !== name) throw serversError(`one connection was answered by ${name} and by ${row?.name}`);
  }

  async function look(queries: Queries, after: number, holes: readonly Range[], limit: number): Promise<Look> {
    const [first] = await queries.all<ServerRow>(`${WHO}, (SELECT MAX(id) FROM tblwh) AS top`);
    const name = queries.server ?? first?.name;
    check(first, name);
    if (startedAt === undefined || queries.since > lookedAt || term !== termOf(db)) await sameLife(queries);
    lookedAt = performance.now();
    if (performance.now() - factsAt > FACTS_FOR_MS) {
      facts = await readFacts(queries);
      factsAt = performance.now();
    }
    const top = first?.top ?? 0;
    const sql = top > MOST_CONTENT_ID.mysql ? PLACEABLE_ROWS.mysql : ROWS;
    const rows = top > after ? await queries.all<Row>(sql, [after, String(limit)]) : [];
    let late: Row[] = [];
    if (holes.length > 0) {
      const { where, params } = ranged(holes);
      late = await queries.all<Row>(
        `SELECT id, ${OWNER} FROM tblwh FORCE INDEX (PRIMARY) WHERE ${where} ORDER BY id LIMIT 20000`,
        params,
      );
    }
    if (rows.length > 0 || late.length > 0) {
      const [second] = await queries.all<ServerRow>(WHO);
      check(second, name);
    }
    return { rows, late };
  }

  const source: FenceSource = {
    ordered: false,
    get minAgeMs() {
      return facts.minAgeMs;
    },
    flushedAt: () => (facts.minAgeMs > 1000 ? Number.NEGATIVE_INFINITY : db.flushedAt()),
    look: (after, holes, limit) => db.transaction((queries) => look(queries, after, holes, limit)),
    probe: (ranges) => probe(db, ranges),
    writers: sight.writers,
    blockers: sight.blockers,
    open: sight.open,
    top: (floor) => db.transaction((queries) => highestGiven(queries, floor)),
  };
  return { source, facts: () => ({ ...facts, sight: sight.sees() }) };
}

const sightOf = (db: Db): WriterSight => (db.dialect.writersIn === 'innodb_trx' ? mariadbWriters : mysqlWriters)(db);
export const proberOf = (db: Db): Prober => ({ probe: (ranges) => probe(db, ranges), writers: sightOf(db).writers });

/** Another node of the cluster. While it is away nothing can be proven, and lists wait; all else goes on. */
export function openNode(open: () => Promise<Db>): Prober & { close(): Promise<void> } {
  let opening: Promise<{ db: Db; prober: Prober }> | undefined;
  const opened = () => {
    opening ??= open().then(
      (db) => ({ db, prober: proberOf(db) }),
      (error: unknown) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  };
  return {
    probe: async (ranges) => (await opened()).prober.probe(ranges),
    writers: async () => (await opened()).prober.writers(),
    close: async () => void (await opening?.catch(() => undefined))?.db.close(),
  };
}

/** AUTO_INCREMENT - 1, or the newest id where that reaches `floor` already. */
export async function highestGiven(queries: Queries, floor: number): Promise<number> {
  const most = MOST_CONTENT_ID.mysql;
  const newestOf = async (which: string): Promise<number> =>
    (await queries.all<{ top: number | null }>(`SELECT MAX(id) AS top FROM tblwh${which}`))[0]?.top ?? 0;
  const newest = await newestOf('');
  if (newest > most) return newestOf(` WHERE id <= ${most}`);
  if (newest >= floor) return newest;
  const rows = await queries.all<{ next: number | null }>(
    "SELECT AUTO_INCREMENT AS next FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'tblwh'",
  );
  const given = (rows[0]?.next ?? 0) - 1;
  // A row beyond all ids was there and is gone: the ids below it were not given.
  return given > most ? newest : Math.max(newest, given);
}

// Far more ids than any transaction should be open for; at 1,000 a second they are given in a quarter of an hour.
export const WINDOW_IDS = 1_000_000;
const IDS_PER_COUNT = 20_000;

/**
 * Where the fence begins when nothing was kept: below the oldest id without a row among the last million. Counts in chunks,
 * so that no ids are transferred.
 */
export async function bootFence(db: Db, source: FenceSource): Promise<number> {
  const top = (await source.top?.(Number.MAX_SAFE_INTEGER)) ?? 0;
  if (source.ordered) return top;
  const full = async (from: number, to: number): Promise<boolean> => {
    const sql = 'SELECT COUNT(*) AS n FROM tblwh FORCE INDEX (PRIMARY) WHERE id BETWEEN ? AND ?';
    const rows = await db.transaction((queries) => queries.all<{ n: number }>(sql, [from, to]));
    return rows[0]?.n === to - from + 1;
  };
  let from = Math.max(1, top - WINDOW_IDS + 1);
  let size = IDS_PER_COUNT;
  while (from <= top) {
    const to = Math.min(top, from + size - 1);
    if (await full(from, to)) from = to + 1;
    else if (size === 1) break;
    else size = Math.ceil((to - from + 1) / 2);
  }
  return from - 1;
}

// The probe: locking reads that do not wait, and touch no row outside the hole.

// About 12 ms for this many ids; wider holes are rare, and are read as a range.
const IDS_PER_STATEMENT = 10_000;

/** False when a row within `ranges` exists or is being written now. */
async function probe(db: Db, ranges: readonly Range[]): Promise<boolean> {
  const wide = ranges.filter(([from, to]) => to - from >= IDS_PER_STATEMENT);
  const ids: number[] = [];
  for (const [from, to] of ranges) {
    if (to - from >= IDS_PER_STATEMENT) continue;
    for (let id = from; id <= to; id++) ids.push(id);
  }
  return db.transaction(async (queries) => {
    try {
      for (let at = 0; at < ids.length; at += IDS_PER_STATEMENT)
        if (await anyOf(db, queries, ids.slice(at, at + IDS_PER_STATEMENT))) return false;
      for (const range of wide) if (await anyWithin(db, queries, range)) return false;
      return true;
    } catch (error) {
      if (failed(error, 'again')) return false;
      throw error;
    }
  });
}

/**
 * By the ids themselves: the server reads a range, or a list in a small table, on to the next row. A lock on that row (by a
 * SELECT … FOR UPDATE of the whole table, say) would look like a writer in the hole.
 */
async function anyOf(db: Db, queries: Queries, ids: readonly number[]): Promise<boolean> {
  // MySQL must be told not to lock the list itself; MariaDB has no words for that.
  const lock = db.dialect.shareNowait.replace('FOR SHARE', 'FOR SHARE OF t');
  const sql = `SELECT t.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id INT UNSIGNED PATH '$')) g
  STRAIGHT_JOIN tblwh t FORCE INDEX (PRIMARY) ON t.id = g.id LIMIT 1${lock}`;
  return (await queries.all(sql, [JSON.stringify(ids)])).length > 0;
}

async function anyWithin(db: Db, queries: Queries, [from, to]: Range): Promise<boolean> {
  const sql = `SELECT id FROM tblwh FORCE INDEX (PRIMARY) WHERE id BETWEEN ? AND ? LIMIT 1${db.dialect.shareNowait}`;
  return (await queries.all(sql, [from, to])).length > 0;
}
