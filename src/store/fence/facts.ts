// What the fence's promise depends on: the settings of the server, and the promise in one sentence.
import type { Queries, Value } from '../db.ts';

export interface FenceFacts {
  /** Ids are committed in their order (SQLite). */
  readonly ordered: boolean;
  readonly minAgeMs: number;
  /** What the operator should change, '' when there is nothing. */
  readonly warning: string;
  /** Several nodes may write at once (Galera, Group Replication with several primaries): this node does not see their locks. */
  readonly cluster: boolean;
  /** The running statements of all accounts can be seen. */
  readonly sight: boolean;
}

// A commit may be read before its log is flushed: ten times the longest delay that was measured.
const FLUSHED_WITHIN_MS = 100;
// With innodb_flush_log_at_trx_commit = 0 or 2 the log is flushed once a second.
const FLUSHED_LATE_MS = 2_000;

export async function readFacts(queries: Queries): Promise<FenceFacts> {
  const more = ['wsrep_on', 'group_replication_single_primary_mode'];
  const variables = await readVariables(queries, [...DURABILITY, ...more]);
  const [unsafe] = unsafeIn(variables);
  const minAgeMs = unsafe ? FLUSHED_LATE_MS : isOn(variables.get('log_bin')) ? 0 : FLUSHED_WITHIN_MS;
  return {
    ordered: false,
    minAgeMs,
    warning: unsafe ? `${unsafe.found}. Set it to 1` : '',
    cluster: isOn(variables.get('wsrep_on')) || variables.get('group_replication_single_primary_mode') === 'OFF',
    sight: false,
  };
}

export interface FencePromise {
  readonly code: 'ordered' | 'exact' | 'settle' | 'nodes' | 'hold' | 'unsafe-durability';
  readonly text: string;
}
const TEXTS: Readonly<Record<FencePromise['code'], string>> = {
  ordered: 'lists never skip a content: ids are committed in their order',
  exact: 'lists never skip a committed content, however long its transaction was open',
  settle:
    'lists never skip a committed content, unless an INSERT stands still for more than a second between taking its id and placing its row: the account may not see running statements',
  nodes: 'lists never skip a committed content while all nodes of FENCE_NODES answer; while one does not, they wait',
  hold: 'lists may skip a content that another node of the cluster commits late: name all other nodes in FENCE_NODES',
  'unsafe-durability':
    'lists may skip contents after a crash of the database, and contents that were acknowledged may be lost: a flush setting of the database is not 1, the log says which',
};

/** Which promise holds with these facts; `nodes`: all other nodes are probed too. */
export function promiseOf({ ordered, warning, cluster, sight }: FenceFacts, nodes = false): FencePromise {
  const shared = cluster ? (nodes ? 'nodes' : 'hold') : sight ? 'exact' : 'settle';
  const code = ordered ? 'ordered' : warning ? 'unsafe-durability' : shared;
  return { code, text: TEXTS[code] };
}

// Settings with which a crash of the server loses committed rows, each with the statement that puts it right.

export type Variables = ReadonlyMap<string, string>;

/** Variables of the server by their names in lower case; those that it does not have are left out. */
export async function readVariables(queries: Pick<Queries, 'all'>, names: readonly string[]): Promise<Variables> {
  const list = names.map((name) => `'${name}'`).join(', ');
  const rows = await queries.all<Record<string, Value>>(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`);
  return new Map(rows.map(Object.values).map(([name, value]) => [String(name).toLowerCase(), String(value ?? '')]));
}

const isOn = (value: string | undefined): boolean => /^(1|ON|YES)$/i.test(value ?? '');

export const DURABILITY = ['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog'] as const;

export interface Unsafe {
  /** The setting, its value, and what follows. */
  readonly found: string;
  readonly fix: string;
}

/** Empty when a commit that was answered survives a crash of the machine. */
export function unsafeIn(variables: Variables): Unsafe[] {
  const flush = variables.get('innodb_flush_log_at_trx_commit') ?? '1';
  const sync = variables.get('sync_binlog');
  const harm = 'a crash can lose contents that were answered with 2xx, and give their ids to others';
  const fix = (name: string) => `SET GLOBAL ${name} = 1, and ${name} = 1 in the server's configuration file`;
  const unsafe: Unsafe[] = [];
  // MariaDB's 3 flushes at every commit as 1 does.
  if (flush !== '1' && flush !== '3')
    unsafe.push({
      found: `innodb_flush_log_at_trx_commit is ${flush}: ${harm}`,
      fix: fix('innodb_flush_log_at_trx_commit'),
    });
  if (isOn(variables.get('log_bin')) && sync !== '1')
    unsafe.push({ found: `sync_binlog is ${sync} while log_bin is on: ${harm}`, fix: fix('sync_binlog') });
  return unsafe;
}

/** As `unsafeIn`, of the server behind these queries. */
export const readUnsafe = async (queries: Pick<Queries, 'all'>): Promise<Unsafe[]> =>
  unsafeIn(await readVariables(queries, DURABILITY));

export const BINLOG = ['log_bin', 'binlog_format'] as const;

/** Why each statement of ours that writes is refused, with what to do; undefined where they are not. */
export const unwritableIn = (variables: Variables): Unsafe | undefined =>
  isOn(variables.get('log_bin')) && variables.get('binlog_format') === 'STATEMENT'
    ? {
        found: 'binlog_format is STATEMENT: the server refuses everything that Restante writes',
        fix: "SET GLOBAL binlog_format = 'ROW', and binlog_format = ROW in the server's configuration file",
      }
    : undefined;
