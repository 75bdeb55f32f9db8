// Opens the database for a verb, with words for what can be wrong, and closes it behind it.
import { type Config, masked } from '../config.ts';
import { WrongSecretsKey } from '../flow/sealer.ts';
import { type Db, failed } from '../store/db.ts';
import { MissingTables, openDb, openStore, type Store } from '../store/index.ts';
import { Complaint } from './io.ts';

/** Says in one sentence why a database cannot be opened. */
export function complain(error: unknown, config: Config): unknown {
  const where = masked(config.databaseUrl);
  if (error instanceof MissingTables) return new Complaint(`${where}: ${error.message}`, 2);
  if (error instanceof WrongSecretsKey) return new Complaint(`${where}: ${error.message}`, 2);
  const reason = error instanceof Error ? error.message : String(error);
  if (failed(error, 'denied'))
    return new Complaint(
      `${where}: access denied (${reason}). Check user, password and rights: restante migrate --grants`,
      2,
    );
  if (failed(error, 'away', 'again')) return new Complaint(`${where}: the database cannot be reached (${reason})`);
  return failed(error, 'other') ? new Complaint(`${where}: ${reason}`) : error;
}

async function using<T extends { close(): Promise<void> }, R>(
  config: Config,
  opened: Promise<T>,
  work: (one: T) => Promise<R>,
) {
  const one = await opened.catch((error: unknown) => {
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

export const withStore = <R>(config: Config, work: (store: Store) => Promise<R>): Promise<R> =>
  using(config, openStore(config.databaseUrl), work);
export const withDb = <R>(config: Config, work: (db: Db) => Promise<R>): Promise<R> =>
  using(config, openDb(config.databaseUrl), work);
