// Two servers, and an account on each, with the opposite of every setting that a connection of ours sets for itself.

import { createConnection } from 'mysql2/promise';
import type { TestProject } from 'vitest/node';
import { type Flavour, startServer } from './servers.ts';

const BOTH: readonly string[] = [
  'autocommit = 0',
  'completion_type = 1',
  "time_zone = '+05:30'",
  'sql_select_limit = 3',
  'max_join_size = 1',
  'sql_auto_is_null = 1',
  'unique_checks = 0',
  'foreign_key_checks = 0',
  'innodb_lock_wait_timeout = 1',
  'lock_wait_timeout = 1',
  'net_read_timeout = 1',
  'net_write_timeout = 1',
  'wait_timeout = 2',
  'max_sort_length = 8',
  'group_concat_max_len = 4',
  "lc_messages = 'de_DE'",
  'default_storage_engine = MyISAM',
  // What no statement of ours depends on.
  'div_precision_increment = 0',
  'default_week_format = 6',
  "lc_time_names = 'de_DE'",
  'big_tables = 1',
  'low_priority_updates = 1',
  'sql_buffer_result = 1',
  'sql_quote_show_create = 0',
  'sql_warnings = 1',
  'updatable_views_with_limit = 0',
  'innodb_strict_mode = 0',
  'explicit_defaults_for_timestamp = 0',
  'optimizer_search_depth = 1',
  'eq_range_index_dive_limit = 1',
  'session_track_state_change = 1',
  "session_track_system_variables = '*'",
  "session_track_transaction_info = 'CHARACTERISTICS'",
];

const ONE: Readonly<Record<Flavour, readonly string[]>> = {
  mariadb: [
    "sql_mode = 'ORACLE,NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH'",
    "tx_isolation = 'SERIALIZABLE'",
    'tx_read_only = 1',
    'sql_safe_updates = 1',
    'max_statement_time = 0.005',
    'check_constraint_checks = 0',
    "system_versioning_asof = '2001-01-01 00:00:00'",
    'sql_if_exists = 1',
    'standard_compliant_cte = 0',
    'in_predicate_conversion_threshold = 2',
    "old_mode = 'NO_PROGRESS_INFO,ZERO_DATE_TIME_CAST'",
  ],
  mysql: [
    // Tests make triggers, and this account may not by itself while there is a binary log.
    'log_bin_trust_function_creators = 1',
    "sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH'",
    "transaction_isolation = 'SERIALIZABLE'",
    'transaction_read_only = 1',
    'sql_safe_updates = 1',
    'max_execution_time = 1',
    'end_markers_in_json = 1',
    'windowing_use_high_precision = 0',
    'sql_require_primary_key = 1',
    'sql_generate_invisible_primary_key = 1',
    "session_track_gtids = 'OWN_GTID'",
    "explain_format = 'JSON'",
  ],
};

/** Run for the account, as it is for all that are not administrators. */
const INIT_CONNECT =
  "SET NAMES latin1; SET timestamp = 1000000000; SET sql_select_limit = 1; SET time_zone = '-09:00'; SET autocommit = 0; SET sql_big_selects = 0; SET completion_type = 2";

export const ACCOUNT = 'opposite';

/** Starts one, turns everything round, and resolves with the address for an account without rights over the server. */
export async function startOpposite(flavour: Flavour): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = await startServer(flavour);
  const root = await createConnection(server.url);
  await root.query(`CREATE USER ${ACCOUNT}`);
  // What a test does with a server of its own, without the rights of those whom init_connect passes over.
  const rights = `SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER, LOCK TABLES, PROCESS, CREATE USER, EVENT,
    CREATE VIEW, EXECUTE, CREATE ROUTINE, RELOAD`;
  await root.query(`GRANT ${rights} ON *.* TO ${ACCOUNT} WITH GRANT OPTION`);
  for (const setting of [...BOTH, ...ONE[flavour]]) await root.query(`SET GLOBAL ${setting}`);
  await root.query('SET GLOBAL init_connect = ?', [INIT_CONNECT]);
  root.destroy();
  const url = new URL(server.url);
  url.username = ACCOUNT;
  return { url: url.href, stop: server.stop };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [mariadb, mysql] = await Promise.all([startOpposite('mariadb'), startOpposite('mysql')]);
  project.provide('mariadb', mariadb.url);
  project.provide('mysql', mysql.url);
  project.provide('opposite', true);
  return async () => {
    await Promise.all([mariadb.stop(), mysql.stop()]);
  };
}
