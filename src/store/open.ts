// openStore(url): the database, how far it is migrated, and what is missing. SQLite migrates itself; MySQL never does here.
import { parseMysqlUrl } from '../config/database-url.ts';
import { type Db, LEAST_VALUE_BYTES } from './db.ts';
import { onlyReadable } from './engine/causes.ts';
import { openMysql } from './engine/mysql.ts';
import { openSqlite } from './engine/sqlite.ts';
import { createEventIndex, type EventIndex } from './events.ts';
import { Unfit } from './migrate/fit.ts';
import { backfill, findIndex, inspect, isExtended, migrate, type SchemaState } from './migrate/migrate.ts';
import { createRecent, type Recent } from './positions.ts';

const LOOK_EVERY_MS = 60_000;

export interface Store {
  readonly db: Db;
  /** False at the as-is level: only the three shared tables, SELECT and INSERT. */
  readonly extended: boolean;
  /** The index as it was less than a minute ago. */
  readonly state: SchemaState;
  /** Where positions are given with the contents (SQLite). */
  readonly recent: Recent | undefined;
  /** Where events are indexed behind their contents (SQLite). */
  readonly events: EventIndex | undefined;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Connections to a server that may be open at once; left out: as many as are worth having, or as the account may have. */
  readonly connections?: number | undefined;
}

/** The engine behind a URL, connected, nothing changed in it. */
export async function openDb(url: string, { connections }: OpenOptions = {}): Promise<Db> {
  if (url.startsWith('sqlite:')) return openSqlite(url.slice('sqlite:'.length));
  return openMysql(parseMysqlUrl(url), connections);
}

/** Opens the database and looks how far it is migrated. Throws when the three shared tables are not there. */
export async function openStore(url: string, options: OpenOptions = {}): Promise<Store> {
  const db = await openDb(url, options);
  try {
    if (db.kind === 'sqlite') {
      await migrate(db, true, () => {});
      await backfill(db, () => {}).catch(later);
    }
    let state = await inspect(db, db.kind);
    if (state.base.length < 3) throw new MissingTables(state.base);
    if (db.maxValueBytes < LEAST_VALUE_BYTES)
      throw new Unfit([
        {
          found: `max_allowed_packet of the database is ${db.maxValueBytes} bytes, and ${LEAST_VALUE_BYTES} are the least`,
          fix: "SET GLOBAL max_allowed_packet = 67108864, and max_allowed_packet = 64M in the server's configuration file",
        },
      ]);
    if (state.misfits.length > 0) throw new Unfit(state.misfits);
    const events = db.dialect.eventsIn === 'restante_event' ? createEventIndex(db) : undefined;
    await events?.settle().catch(later);
    // Another application or an operator may drop, rename or hide the index, and restante migrate --index may add it.
    const looking = setInterval(() => {
      findIndex(db, db.kind).then(
        (index) => {
          state = { ...state, index, indexed: index !== undefined };
        },
        () => {}, // the next look
      );
    }, LOOK_EVERY_MS);
    looking.unref();
    return {
      db,
      extended: isExtended(state),
      get state() {
        return state;
      },
      recent: db.dialect.oneWriter ? createRecent() : undefined,
      events,
      async close() {
        clearInterval(looking);
        events?.close();
        await db.close();
      },
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** A full disk does not keep us from reading. The sweep and the next pass of the index do what was left. */
function later(error: unknown): void {
  if (!onlyReadable(error)) throw error;
}

export class MissingTables extends Error {
  constructor(found: readonly string[]) {
    super(
      found.length === 0
        ? 'the database has none of the tables tbluser, tblwhid, tblwh. To create them: restante migrate --create-base'
        : `the database has only ${found.join(', ')} of tbluser, tblwhid, tblwh, as far as this account sees. Point DATABASE_URL at the right database, or grant the rights: restante migrate --grants`,
    );
  }
}
