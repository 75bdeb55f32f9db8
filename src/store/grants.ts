// The least rights with which the service runs: a password is never read, tbluser never written, tblwh never changed.
import { OUR_TABLES } from './steps.ts';

/**
 * With these too the fence sees who is writing, and lists never skip, whatever an INSERT of another application waits for.
 * They are rights on the whole server: that is why they are asked for apart.
 */
export const sightStatements = (version: string, database: string, account: string): string[] =>
  version.startsWith('MariaDB')
    ? [
        `GRANT PROCESS ON *.* TO ${account}`,
        // A trigger on tblwh may take long between the id and the row: it must be known that there is one.
        `GRANT TRIGGER ON \`${database.replaceAll('`', '``')}\`.tblwh TO ${account}`,
      ]
    : ['metadata_locks', 'threads', 'events_statements_current'].map(
        (table) => `GRANT SELECT ON performance_schema.${table} TO ${account}`,
      );

/** GRANT statements for an account such as `'restante'@'10.0.0.%'` on a migrated MySQL database. */
export function grantStatements(database: string, account: string): string[] {
  const rights: [string, string][] = [
    ['SELECT (id, token, status)', 'tbluser'],
    ['SELECT, INSERT, UPDATE, DELETE', 'tblwhid'],
    ['SELECT, INSERT', 'tblwh'],
    ...OUR_TABLES.mysql.map((table): [string, string] => ['SELECT, INSERT, UPDATE, DELETE', table]),
  ];
  const name = `\`${database.replaceAll('`', '``')}\``;
  return rights.map(([what, table]) => `GRANT ${what} ON ${name}.${table} TO ${account}`);
}
