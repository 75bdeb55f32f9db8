// What each connection to MySQL or MariaDB sets for itself, in one statement: whatever the server, the account or a proxy had set.

/** How the connections of one pool differ. */
export interface SessionKind {
  /**
   * Transactions: nothing is committed by itself, which saves the round trip of a BEGIN. What they write to the shared tables keeps
   * the server's time zone: a DEFAULT CURRENT_TIMESTAMP or a trigger of another application is evaluated in it.
   */
  readonly transactions?: boolean;
  /**
   * The server's own limit for statements that read, for those that we cannot end any more: after a crash of this process, or
   * while the server takes no connection. MySQL means SELECT alone, MariaDB all. Left out: none.
   */
  readonly limitMs?: number;
}

export interface SessionVariable {
  readonly name: string;
  readonly value: string;
  /** Left out: both have it. */
  readonly only?: 'mysql' | 'mariadb';
  /** Without it what is read or stored may be wrong: a connection that cannot set it is not used. */
  readonly must: boolean;
}

/**
 * Strict also for tables that are not transactional. Without NO_ZERO_DATE, which would refuse the default value of a column of
 * another application; without all that gives SQL another meaning: ANSI_QUOTES, PIPES_AS_CONCAT, NO_BACKSLASH_ESCAPES, ORACLE and
 * its like. ONLY_FULL_GROUP_BY and ERROR_FOR_DIVISION_BY_ZERO would check statements of ours, which the tests do.
 */
const SQL_MODE = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
const NO_LIMIT = '18446744073709551615';

/**
 * How long a statement waits for a table that another connection has locked, or is changing: the servers' own limit is a day or a
 * year, and the reason would be lost when we give up.
 */
export const LOCK_WAIT_S = 3;

type Line = readonly [name: string, value: string, only?: SessionVariable['only']];

const mustSet = ({ transactions = false, limitMs = 0 }: SessionKind): readonly Line[] => [
  ['autocommit', transactions ? '0' : '1'],
  // After CHAIN each COMMIT begins the next transaction, after RELEASE it ends the connection.
  ['completion_type', '0'],
  ['sql_mode', `'${SQL_MODE}'`],
  ['time_zone', transactions ? '@@GLOBAL.time_zone' : "'+00:00'"],
  ['transaction_isolation', "'READ-COMMITTED'", 'mysql'],
  ['tx_isolation', "'READ-COMMITTED'", 'mariadb'],
  ['transaction_read_only', '0', 'mysql'],
  ['tx_read_only', '0', 'mariadb'],
  // Not DEFAULT, which is the server's own value.
  ['sql_select_limit', NO_LIMIT],
  // Instead of max_join_size, which then does not count.
  ['sql_big_selects', '1'],
  ['sql_safe_updates', '0'],
  ['sql_auto_is_null', '0'],
  // Without unique_checks InnoDB may take a second row with a unique key.
  ['unique_checks', '1'],
  ['foreign_key_checks', '1'],
  ['character_set_client', 'utf8mb4'],
  ['character_set_results', 'utf8mb4'],
  ['collation_connection', 'utf8mb4_unicode_ci'],
  ['max_execution_time', String(limitMs), 'mysql'],
  ['max_statement_time', String(limitMs / 1000), 'mariadb'],
];

/** The servers' own default values where nothing else is said. */
const WISHED: readonly Line[] = [
  ['timestamp', 'DEFAULT'],
  ['innodb_lock_wait_timeout', '50'],
  ['lock_wait_timeout', String(LOCK_WAIT_S)],
  // A slow network, and a connection that rests, must not end it.
  ['net_read_timeout', '30'],
  ['net_write_timeout', '60'],
  ['wait_timeout', '28800'],
  // Cuts what is sorted by, and the names of the columns of an index.
  ['max_sort_length', '1024'],
  ['group_concat_max_len', '1048576'],
  // A few errors are known by their words.
  ['lc_messages', "'en_US'"],
  // The server would find all rows before it sends the first one, also of a read that ends early.
  ['sql_buffer_result', '0'],
  ['default_storage_engine', 'InnoDB'],
  // The server may otherwise answer with a figure of a day ago for the next id of a table.
  ['information_schema_stats_expiry', '0', 'mysql'],
  ['check_constraint_checks', '1', 'mariadb'],
  ['system_versioning_asof', 'DEFAULT', 'mariadb'],
  // A node that has left its cluster must not answer.
  ['wsrep_dirty_reads', '0', 'mariadb'],
];

/** In the order in which they are set. */
const variablesOf = (session: SessionKind): readonly SessionVariable[] => {
  const setting = (must: boolean) => (line: Line) => {
    const [name, value, only] = line;
    return { name, value, must, ...(only ? { only } : {}) };
  };
  return [...mustSet(session).map(setting(true)), ...WISHED.map(setting(false))];
};

/** MySQL reads the first kind of comment, MariaDB the second. */
const COMMENTS = { mysql: '/*!80000 ', mariadb: '/*M! ' } as const;

/** One statement for both servers; the first setting must be one of both. */
const statementOf = (settings: readonly SessionVariable[]): string => {
  const parts = settings.map(({ name, value, only }, i) => {
    const text = `${i > 0 ? ', ' : ''}${name} = ${value}`;
    return only ? `${COMMENTS[only]}${text} */` : text;
  });
  return `SET SESSION ${parts.join('')}`;
};

// An unknown variable, a right that is lacking, a value that is not taken, a variable that is read-only or global.
const REFUSALS = [1193, 1227, 1229, 1231, 1232, 1235, 1238, 1064];
const isRefusal = (error: unknown): boolean => REFUSALS.includes((error as { errno?: number }).errno ?? 0);

/**
 * Sets a session. A server that refuses one of the settings sets none of them: then they are set one by one, and those that it
 * refuses are kept in `refused`, for the connections after this one. Rejects when one is refused that must be set.
 */
export async function setSession(
  ask: (sql: string) => Promise<unknown>,
  session: SessionKind,
  refused: Set<string>,
): Promise<void> {
  const settings = variablesOf(session).filter(({ name }) => !refused.has(name));
  const error = await ask(statementOf(settings)).then(
    () => undefined,
    (reason: Error) => reason,
  );
  if (!error) return;
  if (!isRefusal(error)) throw error;
  const [first, ...others] = settings;
  for (const setting of others)
    await ask(statementOf([first as SessionVariable, setting])).catch((reason: Error) => {
      if (!isRefusal(reason)) throw reason;
      const { name, value, must } = setting;
      if (must) throw Object.assign(reason, { message: `SET SESSION ${name} = ${value}: ${reason.message}` });
      refused.add(name);
    });
}

const WORDS: Readonly<Record<string, string>> = { ON: '1', YES: '1', OFF: '0', NO: '0', NO_CHAIN: '0' };
/** A value as one spelling of several. */
function plain(value: string): string {
  const text = value.replace(/^'|'$/g, '').toUpperCase();
  const word = WORDS[text] ?? text;
  if (word !== '' && Number.isFinite(Number(word))) return String(Number(word));
  return word.split(',').sort().join();
}

/** Settings that a connection does not have as it has set them, by what `SHOW VARIABLES` tells: behind a proxy, or refused. */
export function notTaken(
  session: SessionKind,
  only: SessionVariable['only'],
  found: ReadonlyMap<string, string>,
): { readonly text: string; readonly must: boolean }[] {
  return variablesOf(session).flatMap(({ name, value, must, only: server }) => {
    // What the server's own value or the clock decides cannot be compared.
    if ((server && server !== only) || /^(DEFAULT|@@)/.test(value)) return [];
    const is = found.get(name);
    if (is !== undefined && plain(is) === plain(value)) return [];
    return [{ text: `${name} is ${is ?? 'not known'} and not ${value}`, must }];
  });
}
