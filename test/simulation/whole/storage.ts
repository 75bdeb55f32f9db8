// The rows of a simulated database: the real SQL on SQLite in memory, one file for all worlds of a worker, emptied in between.
import { createRequire } from 'node:module';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { type Rows, StoreError, type Value } from '../../../src/store/db.ts';
import { BASE, STEPS } from '../../../src/store/migrate/steps.ts';

export interface Storage {
  all<T>(sql: string, params?: readonly Value[]): T[];
  run(sql: string, params?: readonly Value[]): { readonly changes: number; readonly lastId: number };
  insert(table: string, columns: readonly string[], rows: Rows): number;
  /** What may be undone: `begin` inside of `begin` is undone alone. */
  begin(name: string): void;
  keep(name: string): void;
  undo(name: string): void;
  /** What `sim_now()` is in the statements that follow. */
  clock: number;
  /** Empty tables, as after `restante migrate`. */
  wipe(): void;
}

type Driver = { DatabaseSync: new (path: string) => DatabaseSyncInstance };
const load = createRequire(import.meta.url);
function driver(): Driver {
  try {
    return load('node:sqlite') as Driver;
  } catch {
    return load('@photostructure/sqlite') as Driver;
  }
}

/** What a server says otherwise: hints, and its word for a lock, which the server of the world has read already. */
const asSqlite = (sql: string): string =>
  sql
    .replace(/ FORCE INDEX \(\w+\)| FOR UPDATE$| OR r\.crc <> CRC32\(CAST\(t\.content AS BINARY\)\)/g, '')
    .replaceAll('sim_now()', ':now')
    .replace('INSERT IGNORE', 'INSERT OR IGNORE')
    .replace('ON DUPLICATE KEY UPDATE', 'ON CONFLICT DO UPDATE SET')
    .replace(/VALUES\((\w+)\)$/, 'excluded.$1');
const EMPTIED = ['tbluser', 'tblwhid', 'tblwh', 'restante_dead', 'restante_lease', 'restante_consumer'].concat(
  ['restante_position', 'restante_refusal', 'restante_key', 'restante_webhook', 'restante_request'],
  ['restante_meta', 'restante_event', 'sqlite_sequence'],
);

function failureOf(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  // Words of a server that `asSqlite` does not know: the world is wrong, and not the program.
  if (/syntax error|no such/.test(message)) return error;
  if (/^(UNIQUE|PRIMARY KEY) constraint/.test(message)) return new StoreError('duplicate', error);
  return new StoreError('other', error);
}

let opened: Storage | undefined;
export function openStorage(): Storage {
  opened ??= open();
  opened.wipe();
  return opened;
}

function open(): Storage {
  const { DatabaseSync } = driver();
  const database = new DatabaseSync(':memory:');
  let clock = 0;
  for (const { sqlite } of [...Object.values(BASE), ...STEPS]) database.exec(sqlite);
  // The server has it; the steps of SQLite replace it by a table that is written behind.
  database.exec('CREATE INDEX tblwh_list ON tblwh (user_id, wh_id, id)');
  /** `timed`: it reads the clock. A parameter costs less than a function that calls back for each row. */
  interface Prepared {
    readonly statement: StatementSyncInstance;
    readonly timed: boolean;
  }
  const statements = new Map<string, Prepared>();
  function prepared(sql: string): Prepared {
    let found = statements.get(sql);
    if (!found) {
      found = { statement: database.prepare(asSqlite(sql)), timed: sql.includes('sim_now()') };
      statements.set(sql, found);
    }
    return found;
  }
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw failureOf(error);
    }
  };
  const asBuffers = <T>(row: T): T => {
    const record = row as Record<string, unknown>;
    for (const name in record) {
      const value = record[name];
      if (value instanceof Uint8Array) record[name] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return row;
  };
  const run = (sql: string, params: readonly Value[] = []) =>
    attempt(() => {
      const { statement, timed } = prepared(sql);
      const { changes, lastInsertRowid } = timed ? statement.run({ now: clock }, ...params) : statement.run(...params);
      return { changes: Number(changes), lastId: Number(lastInsertRowid) };
    });
  const storage: Storage = {
    all: <T>(sql: string, params: readonly Value[] = []) =>
      attempt(() => {
        const { statement, timed } = prepared(sql);
        const rows = timed ? statement.all({ now: clock }, ...params) : statement.all(...params);
        return (rows as T[]).map(asBuffers);
      }),
    run,
    insert(table, columns, rows) {
      const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
      if (rows.length === 1) return run(sql, rows[0]).lastId;
      // One statement, so all of its rows or none.
      let last = 0;
      storage.begin('one');
      try {
        for (const row of rows) last = run(sql, row).lastId;
      } catch (error) {
        storage.undo('one');
        throw error;
      }
      storage.keep('one');
      return last;
    },
    begin: (name) => void run(`SAVEPOINT ${name}`),
    keep: (name) => void run(`RELEASE ${name}`),
    undo(name) {
      run(`ROLLBACK TO ${name}`);
      run(`RELEASE ${name}`);
    },
    get clock() {
      return clock;
    },
    set clock(ms) {
      clock = ms;
    },
    wipe() {
      for (const table of EMPTIED) run(`DELETE FROM ${table}`);
      storage.insert(
        'restante_meta',
        ['k', 'v'],
        [
          ['seq', 1],
          ['schema', STEPS.length],
        ],
      );
    },
  };
  return storage;
}
