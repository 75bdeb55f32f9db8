// restante migrate --grants: the rights of the account that serves, how to make it, and which verbs need more than these.
import type { Config } from '../config.ts';
import { parseMysqlUrl } from '../databaseurl.ts';
import type { Db } from '../store/db.ts';
import { currentAccount, grantStatements, quotedAccount, sightStatements, userStatement } from '../store/grants.ts';
import { Complaint, type Io } from './io.ts';

const NAMED = /^(?:'([^'\\]+)'|([\w.-]+))(?:@(?:'([^'\\]+)'|([\w.%:/-]+)))?$/;

/** As MySQL wants it, quoted or not: `restante@10.0.0.%`. Without a host it is an account for every host. */
export function accountOf(text: string): string {
  const [, quotedName, name, quotedHost, host] = NAMED.exec(text) ?? [];
  const user = quotedName ?? name;
  if (user === undefined) throw new Complaint("--grants: the account must look like 'restante'@'10.0.0.%'", 2);
  return quotedAccount(user, quotedHost ?? host ?? '%');
}

/** `named`: undefined for the account that DATABASE_URL signs in with. Statements to run go to the output, the rest beside it. */
export async function tellGrants(io: Io, config: Config, db: Db, named: string | undefined): Promise<void> {
  const database = parseMysqlUrl(config.databaseUrl).database;
  const account = named ?? (await currentAccount(db));
  for (const sql of grantStatements(database, account)) io.out(`${sql};\n`);
  io.err(
    named === undefined
      ? `\nThat is the account with which DATABASE_URL signs in. For another one: restante migrate --grants "'restante'@'10.0.0.%'"\n`
      : `\nIf there is no such account yet, first: CREATE USER ${account} IDENTIFIED BY 'a long password'\n`,
  );
  io.err('\nAdvised, on the whole server: it then sees who is writing, and lists never skip (docs/promises.md):\n');
  for (const sql of sightStatements(db.dialect, database, account)) io.err(`${sql};\n`);
  io.err(`
These verbs need more:
  restante migrate, but for --check, --print and --grants: the account of an administrator
  restante user, add and rotate with --write-tbluser: ${userStatement(database, account)}
`);
}
