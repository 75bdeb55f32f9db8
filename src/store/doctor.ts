// What a check-up reads of any database: how far it is migrated, ids, promise, URLs. Opens SQLite to read only, changes nothing.
import { type Host, hostText, type MysqlUrl, parseMysqlUrl } from '../databaseurl.ts';
import type { SettingsInput } from '../schemawebhooks.ts';
import { type Cause, causeOf } from './causes.ts';
import { type Db, failed } from './db.ts';
import { examineServer, type ServerFacts } from './doctorserver.ts';
import { openFenceSource, proberOf } from './fence.ts';
import type { FencePromise } from './fencefacts.ts';
import { openDb, type Store } from './index.ts';
import { inspect, isExtended, type SchemaState } from './migrations.ts';
import { openMysql } from './mysql.ts';
import { openSqlite } from './sqlite.ts';
import { STEPS } from './steps.ts';

export interface DatabaseFacts {
  readonly kind: Db['kind'];
  readonly version: string;
  readonly state: SchemaState;
  readonly extended: boolean;
  /** Of the program. */
  readonly steps: number;
  readonly maxValueBytes: number;
  /** Undefined without the three shared tables, or without the right to read them. */
  readonly contents: ContentFacts | undefined;
  /** Where several hosts were named: the one that is used. */
  readonly host: string | undefined;
  /** Of these, those that cannot be connected to. */
  readonly lostHosts: readonly (Cause & { readonly host: string })[];
  /** The other nodes of a cluster that were named and do not answer. */
  readonly lostNodes: readonly (Cause & { readonly node: number })[];
  /** MySQL and MariaDB. */
  readonly server: ServerFacts | undefined;
  /** SQLite. */
  readonly file: FileFacts | undefined;
}
interface ContentFacts {
  /** The highest id that was given. */
  readonly top: number;
  readonly promise: FencePromise;
}
interface FileFacts {
  readonly journal: string;
  /** Two processes may use it at once. */
  readonly sharable: boolean;
}

/** A store that was opened to look at it; `sharable`: two processes may use it at once. */
export type Looked = Store & { readonly sharable: boolean };

/** Opens the database without making, migrating or changing anything. */
export async function openToLook(url: string): Promise<Looked> {
  const db: Db & { readonly sharable?: boolean } = url.startsWith('sqlite:')
    ? await openSqlite(url.slice('sqlite:'.length), { readOnly: true })
    : await openDb(url);
  try {
    const state = await inspect(db, db.kind);
    const parts = { recent: undefined, events: undefined, close: () => db.close() };
    return { db, state, extended: isExtended(state), sharable: db.sharable ?? true, ...parts };
  } catch (error) {
    await db.close();
    throw error;
  }
}

export async function examine(store: Looked, url: string, nodes: readonly string[]): Promise<DatabaseFacts> {
  const { db, state, extended } = store;
  const opened = await Promise.allSettled(nodes.map(openDb));
  const others = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  try {
    const complete = state.base.length === 3;
    return {
      kind: db.kind,
      version: db.version,
      state,
      extended,
      steps: STEPS.length,
      maxValueBytes: db.maxValueBytes,
      contents: complete ? await contentsOf(db, others) : undefined,
      host: db.hosts?.now(),
      lostHosts: db.hosts ? await findLost(parseMysqlUrl(url)) : [],
      lostNodes: opened.flatMap((one, i) => {
        const why = one.status === 'rejected' ? causeOf(one.reason) : undefined;
        return why ? [{ ...why, node: i + 1 }] : [];
      }),
      server: db.kind === 'mysql' ? await examineServer(db, extended) : undefined,
      file: db.kind === 'sqlite' ? { journal: await journalOf(db), sharable: store.sharable } : undefined,
    };
  } finally {
    await Promise.all(others.map((other) => other.close()));
  }
}

async function findLost(url: MysqlUrl): Promise<DatabaseFacts['lostHosts']> {
  const tried = await Promise.allSettled(
    url.hosts.map(async (host) => (await openMysql({ ...url, hosts: [host] })).close()),
  );
  return tried.flatMap((one, i) => {
    const why = one.status === 'rejected' ? causeOf(one.reason) : undefined;
    return why ? [{ ...why, host: hostText(url.hosts[i] as Host) }] : [];
  });
}

/** Whoever may not read tblwh is told so by the check of the rights. */
async function contentsOf(db: Db, nodes: readonly Db[]): Promise<ContentFacts | undefined> {
  try {
    const { source, promise } = await openFenceSource(db, nodes.map(proberOf));
    return { top: (await source.top?.(Number.MAX_SAFE_INTEGER)) ?? 0, promise };
  } catch (error) {
    if (failed(error, 'denied')) return undefined;
    throw error;
  }
}

const journalOf = async (db: Db): Promise<string> =>
  (await db.all<{ journal_mode: string }>('PRAGMA journal_mode'))[0]?.journal_mode ?? '';

const MOST_STALE = 1_000;
export interface StaleUrl {
  readonly wh_id: number;
  readonly wh_url: string;
  readonly settings: SettingsInput;
}
/** Webhooks of ours that were made, or given their key, under another PUBLIC_URL. */
export async function listStaleUrls({ db, extended }: Store, publicUrl: string): Promise<StaleUrl[]> {
  if (!extended) return [];
  const beginning = `${publicUrl}/in/`;
  const rows = await db.all<{ wh_id: number; wh_url: Buffer; settings: string }>(
    `SELECT t.id AS wh_id, ${db.dialect.bytes('t.wh_url')} AS wh_url, w.settings FROM tblwhid t
     JOIN restante_webhook w ON w.wh_id = t.id WHERE SUBSTR(t.wh_url, 1, ?) <> ? ORDER BY t.id LIMIT ?`,
    [beginning.length, beginning, MOST_STALE],
  );
  return rows.map((row) => ({ ...row, wh_url: row.wh_url.toString(), settings: JSON.parse(row.settings) }));
}
