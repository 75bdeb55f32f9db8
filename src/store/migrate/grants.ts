// The least rights with which the service runs: a password is never read, tbluser never written, no row of tblwh changed.
import type { Db, Queries } from '../db.ts';
import { OUR_TABLES } from './steps.ts';

/** An account as a GRANT names it. */
export const quotedAccount = (user: string, host: string): string =>
  [user, host].map((part) => `'${part.replace(/['\\]/g, (char) => char + char)}'`).join('@');

/** The account as which the server treats us: not always the name and host that were given. */
export async function currentAccount(queries: Pick<Queries, 'all'>): Promise<string> {
  const [row] = await queries.all<{ account: string }>('SELECT CURRENT_USER() AS account');
  const [user = '', host = ''] = (row?.account ?? '').split(/@(?=[^@]*$)/);
  return quotedAccount(user, host);
}

/**
 * With these rights, too, the fence sees the statements that write, and lists never skip a content, however long an INSERT of
 * another application waits. They are rights on the whole server: that is why they are listed apart.
 */
export const sightStatements = (dialect: Db['dialect'], database: string, account: string): string[] =>
  dialect.writersIn === 'innodb_trx'
    ? [
        `GRANT PROCESS ON *.* TO ${account}`,
        // A trigger on tblwh may take long between the id and the row: the fence must know that there is one.
        `GRANT TRIGGER ON \`${database.replaceAll('`', '``')}\`.tblwh TO ${account}`,
      ]
    : ['metadata_locks', 'threads', 'events_statements_current'].map(
        (table) => `GRANT SELECT ON performance_schema.${table} TO ${account}`,
      );

export interface Right {
  readonly table: string;
  readonly may: readonly ('SELECT' | 'INSERT' | 'UPDATE' | 'DELETE')[];
  /** Of SELECT; left out: all. */
  readonly columns?: string;
}
const ALL = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;
/** What the service does to each table; at the as-is level it reads the first three, and adds to tblwh. */
export const RIGHTS: readonly Right[] = [
  { table: 'tbluser', may: ['SELECT'], columns: 'id, token, status' },
  { table: 'tblwhid', may: ALL },
  // DELETE for retention and for `DELETE /whcontent/{id}` alone: without it everything else works.
  { table: 'tblwh', may: ['SELECT', 'INSERT', 'DELETE'] },
  ...OUR_TABLES.mysql.map((table) => ({ table, may: ALL })),
];

export function grantStatement(database: string, account: string, { table, may, columns }: Right): string {
  const what = columns ? `${may.join(', ')} (${columns})` : may.join(', ');
  return `GRANT ${what} ON \`${database.replaceAll('`', '``')}\`.${table} TO ${account}`;
}

/** GRANT statements for an account such as `'restante'@'10.0.0.%'` on a migrated MySQL database. */
export const grantStatements = (database: string, account: string): string[] =>
  RIGHTS.map((right) => grantStatement(database, account, right));

/** What `restante user` does to a table that belongs to another application. */
export const userStatement = (database: string, account: string): string =>
  `GRANT SELECT (id, email, status), INSERT (email, phone, token, status, pwd), UPDATE (token), DELETE ON \`${database.replaceAll('`', '``')}\`.tbluser TO ${account}`;
