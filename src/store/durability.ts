// Which settings of a server let a crash take what was committed, each with the statement that puts it right.
import type { Queries, Value } from './db.ts';

export type Variables = ReadonlyMap<string, string>;

/** Variables by their names in lower case; those that this server does not have are left out. */
export async function readVariables(queries: Pick<Queries, 'all'>, names: readonly string[]): Promise<Variables> {
  const list = names.map((name) => `'${name}'`).join(', ');
  const rows = await queries.all<Record<string, Value>>(`SHOW VARIABLES WHERE Variable_name IN (${list})`);
  return new Map(
    rows.map((row): [string, string] => {
      const [name, value] = Object.values(row);
      return [String(name).toLowerCase(), String(value ?? '')];
    }),
  );
}

export const isOn = (value: string | undefined): boolean => /^(1|ON|YES)$/i.test(value ?? '');

export const DURABILITY = ['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog'] as const;

export interface Unsafe {
  /** Its name and value, and what follows from it. */
  readonly found: string;
  readonly fix: string;
}

/** Empty when a commit that was answered survives a crash of the machine. */
export function unsafeIn(variables: Variables): Unsafe[] {
  const flush = variables.get('innodb_flush_log_at_trx_commit') ?? '1';
  const sync = variables.get('sync_binlog');
  const harm = 'a crash can lose contents that were answered with 2xx, and give their ids to others';
  const fix = (name: string) => `SET GLOBAL ${name} = 1, and ${name} = 1 in the server's configuration file`;
  return [
    // MariaDB's 3 flushes at every commit as 1 does.
    ...(flush === '1' || flush === '3'
      ? []
      : [
          {
            found: `innodb_flush_log_at_trx_commit is ${flush}: ${harm}`,
            fix: fix('innodb_flush_log_at_trx_commit'),
          },
        ]),
    ...(isOn(variables.get('log_bin')) && sync !== '1'
      ? [{ found: `sync_binlog is ${sync} while log_bin is on: ${harm}`, fix: fix('sync_binlog') }]
      : []),
  ];
}

/** As `unsafeIn`, of the server behind these queries. */
export const readUnsafe = async (queries: Pick<Queries, 'all'>): Promise<Unsafe[]> =>
  unsafeIn(await readVariables(queries, DURABILITY));
