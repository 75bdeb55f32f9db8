// Opens the database for a verb, says in a sentence why it cannot, and closes it after the verb.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Config, masked } from '../config/config.ts';
import type { Cause } from '../observe/incidents.ts';
import { type Db, failed } from '../store/db.ts';
import { causeOf } from '../store/engine/causes.ts';
import { Unfit } from '../store/migrate/fit.ts';
import { OthersMigrate } from '../store/migrate/migrate.ts';
import { MissingTables, openDb, openStore, type Store } from '../store/open.ts';
import { listUserIds } from '../store/users.ts';
import { readKeyMark } from '../store/webhooks.ts';
import { openSealer, WrongSecretsKey } from '../webhooks/sealer.ts';
import { Complaint, systemFault } from './io.ts';
import { MOST_ID, whole } from './verb.ts';

/** Says in one sentence why a database cannot be opened. */
export function complain(error: unknown, config: Config): unknown {
  const where = masked(config.databaseUrl);
  if (error instanceof MissingTables || error instanceof Unfit || error instanceof WrongSecretsKey)
    return new Complaint(`${where}: ${error.message}`, 2);
  if (error instanceof OthersMigrate) return new Complaint(`${where}: ${error.message}`);
  const cause = causeOf(error);
  const fault = systemFault(error);
  if (!cause && fault)
    return new Complaint(`${where}: ${fault}. Correct DATABASE_URL, or make the folder and give it to this user`);
  if (!cause) return error;
  return new Complaint(`${where}: ${cause.found}. ${fixOf(cause)}`, failed(error, 'denied') ? 2 : 1);
}

/** The serving account should not have the rights to change the schema. */
const fixOf = ({ code, found, fix }: Cause): string =>
  code === 'rights' && /\b(CREATE|ALTER|DROP|INDEX) command denied/.test(found)
    ? 'restante migrate needs the account of an administrator, the service does not: DATABASE_URL=mysql://ADMINISTRATOR@… restante migrate'
    : fix;

/** Only a few verbs make a database: another verb in the wrong folder would show an empty one. */
function insistThatItIs({ databaseUrl }: Config): void {
  const path = databaseUrl.slice('sqlite:'.length);
  if (!databaseUrl.startsWith('sqlite:') || path === ':memory:' || existsSync(path)) return;
  throw new Complaint(
    `there is no database at ${resolve(path)}: set DATABASE_URL, or run it in the folder of the service`,
  );
}

interface How {
  /** Where there is no SQLite file, one is made. */
  readonly makes?: boolean;
}

async function using<T extends { close(): Promise<void> }, R>(
  config: Config,
  open: (url: string) => Promise<T>,
  work: (one: T) => Promise<R>,
  { makes = false }: How = {},
) {
  if (!makes) insistThatItIs(config);
  const one = await open(config.databaseUrl).catch((error: unknown) => {
    throw complain(error, config);
  });
  try {
    return await work(one);
  } catch (error) {
    throw complain(error, config);
  } finally {
    await one.close();
  }
}

export const withStore = <R>(config: Config, work: (store: Store) => Promise<R>, how?: How): Promise<R> =>
  using(config, openStore, work, how);
export const withDb = <R>(config: Config, work: (db: Db) => Promise<R>, how?: How): Promise<R> =>
  using(config, openDb, work, how);

/** For the verbs that need our tables. */
export const withExtended = <R>(config: Config, work: (store: Store) => Promise<R>): Promise<R> =>
  withStore(config, (store) => {
    if (!store.extended) throw new Complaint('this needs the restante_* tables: restante migrate', 2);
    return work(store);
  });

/**
 * Whether the key that is set is the one of the database. `none`: no secret was kept yet. Without a mark there is nothing to
 * compare, and on SQLite a key file would be made.
 */
export async function lookAtKey(
  store: Store,
  { secretsKey, databaseUrl }: Config,
): Promise<'right' | 'none' | { readonly wrong: string }> {
  if (!store.extended || (await readKeyMark(store.db)) === undefined) return 'none';
  try {
    await openSealer(store, secretsKey, databaseUrl);
    return 'right';
  } catch (error) {
    if (error instanceof WrongSecretsKey) return { wrong: error.message };
    throw error;
  }
}

/** The user whose webhooks and contents a verb is about: the only one, or the one that is named. */
export async function userIdOf(store: Store, given: string | undefined): Promise<number> {
  const users = await listUserIds(store.db);
  if (users.length === 0)
    throw new Complaint(
      `there are no users: restante user add${store.db.kind === 'mysql' ? ' --write-tbluser' : ''}`,
      2,
    );
  const id = given === undefined ? users[0]?.id : whole(given, '--user', 1, MOST_ID);
  if (given === undefined && users.length !== 1)
    throw new Complaint(`there are ${users.length} users: say which one with --user ID (restante user list)`, 2);
  if (id === undefined || !users.some((user) => user.id === id))
    throw new Complaint(`there is no user ${id}: restante user list`);
  return id;
}
