// Stores contents: what was received goes into tblwh byte for byte, how it came into restante_request, in one transaction.
import { crc32 } from 'node:zlib';
import { failed, marks, type Queries, type Value } from './db.ts';
import { duplicatesOf, type Event, type Judged, VERIFIED } from './events.ts';
import type { Store } from './index.ts';
import { type Placed, placeInserted } from './positions.ts';

export interface NewContent {
  readonly user_id: number;
  readonly wh_id: number;
  readonly content: Buffer;
  /** 1 when a webhook received it, 0 when the user posted it. */
  readonly api: 0 | 1;
  readonly dt: string;
  readonly received_ms: number;
  /** The full address; `tblwh.ip` has room for IPv4 only. */
  readonly ip: string;
  /** Request line and headers as received; null for what the user posted. */
  readonly head: Buffer | null;
  /** Null for what nobody judges: own content, and webhooks without a preset. */
  readonly judged: Judged | null;
}

const CONTENT_COLUMNS = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
const REQUEST_COLUMNS = ['id', 'size', 'crc', 'received_ms', 'ip', 'head'];
const JUDGED_COLUMNS = ['wh_id', 'verified', 'event_id', 'event_type', 'event_key', 'duplicate_of', 'released_from'];

/** `tblwh.ip` is varchar(15): a longer address would be refused, or cut into a wrong but valid-looking one. */
const shortIp = (ip: string): string => (ip.includes(':') || ip.length > 15 ? 'ipv6' : ip);

/** What a transaction stored. */
export interface Stored {
  readonly ids: number[];
  readonly placed: readonly Placed[];
  readonly events: readonly Event[];
}

/** Stores all rows in one transaction; resolves with their ids, in order, once they are committed. */
export async function insertContents(store: Store, rows: readonly NewContent[]): Promise<number[]> {
  const stored = await store.db.transaction((queries) => insertWithin(store, queries, rows), 'writer');
  remember(store, stored);
  return stored.ids;
}

/** What was committed is known to this process before it is read. */
export function remember({ recent, events }: Store, stored: Stored): void {
  recent?.add(stored.placed);
  events?.add(stored.events);
}

/** The same within a transaction of the caller, who calls `remember` once it is committed. */
export async function insertWithin(store: Store, queries: Queries, rows: readonly NewContent[]): Promise<Stored> {
  const ids = await queries.insertIds(
    'tblwh',
    CONTENT_COLUMNS,
    rows.map((row) => [row.content, shortIp(row.ip), row.api, row.dt, row.user_id, row.wh_id]),
  );
  const duplicates = store.extended ? await duplicatesOf(store, queries, rows, ids) : [];
  if (store.extended) await insertRequests(queries, rows, ids, duplicates);
  if (store.db.kind !== 'sqlite') return { ids, placed: [], events: [] };
  const owned = rows.map(({ user_id, wh_id }, i) => ({ id: ids[i] as number, user_id, wh_id }));
  const events = rows.flatMap(({ wh_id, received_ms, judged }, i) =>
    judged?.event_key && duplicates[i] === null
      ? [{ id: ids[i] as number, wh_id, received_ms, event_key: judged.event_key }]
      : [],
  );
  return { ids, placed: await placeInserted(store.db, queries, owned), events };
}

async function insertRequests(
  queries: Queries,
  rows: readonly NewContent[],
  ids: readonly number[],
  duplicates: readonly (number | null)[],
): Promise<void> {
  const plain: Value[][] = [];
  const judged: Value[][] = [];
  for (const [i, { content, received_ms, ip, head, wh_id, judged: verdict }] of rows.entries()) {
    const row = [ids[i] as number, content.length, crc32(content), received_ms, ip, head];
    if (!verdict) plain.push(row);
    else {
      const { verified, event_id, event_type, event_key, released_from } = verdict;
      const event = [event_id, event_type, event_key, duplicates[i] as number | null, released_from];
      judged.push([...row, wh_id, VERIFIED.indexOf(verified), ...event]);
    }
  }
  const insert = async () => {
    if (plain.length > 0) await queries.insert('restante_request', REQUEST_COLUMNS, plain);
    if (judged.length > 0) await queries.insert('restante_request', [...REQUEST_COLUMNS, ...JUDGED_COLUMNS], judged);
  };
  await insert().catch(async (error: unknown) => {
    if (!failed(error, 'duplicate')) throw error;
    // Another application emptied tblwh and its ids begin again: what we knew of the old rows is worthless now.
    await queries.run(`DELETE FROM restante_request WHERE id IN (${marks(ids.length)})`, ids);
    await queries.run("UPDATE restante_meta SET v = 0 WHERE k = 'event'");
    await insert();
  });
}
