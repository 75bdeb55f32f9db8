// What kind of server this is, as far as the fence's promise depends on it, and that promise in one sentence.
import type { Queries } from './db.ts';
import { DURABILITY, isOn, readVariables, unsafeIn } from './durability.ts';

export interface FenceFacts {
  /** Ids are committed in their order (SQLite). */
  readonly ordered: boolean;
  readonly minAgeMs: number;
  /** What the operator should change, '' when there is nothing. */
  readonly warning: string;
  /** Several nodes may write at once (Galera, Group Replication with several primaries): the locks of the others cannot be seen here. */
  readonly cluster: boolean;
  /** The running statements of all accounts can be seen. */
  readonly sight: boolean;
}

// A commit may be read before its log is flushed: at most that long, by all that was measured, times ten.
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
export function promiseOf(facts: FenceFacts, nodes = false): FencePromise {
  const code = facts.ordered
    ? 'ordered'
    : facts.warning
      ? 'unsafe-durability'
      : facts.cluster
        ? nodes
          ? 'nodes'
          : 'hold'
        : facts.sight
          ? 'exact'
          : 'settle';
  return { code, text: TEXTS[code] };
}
