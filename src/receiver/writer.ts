// Group commit: while one transaction is under way the next one gathers, and nobody is answered before the commit.
//
// A row is in one of four states:
// - queued: in the line of its webhook (queue.ts), and certainly not in the database;
// - under way: in one transaction, together with up to 499 others. At most `lanes` transactions run at once, and the next
//   one gathers meanwhile: the slower the database, the larger the batch;
// - answered: its sender has the id, or a 503;
// - given up: its sender has got a 503 because the transaction took too long, but the statement still runs. Its row may be
//   stored all the same. The sender sends it again, and a duplicate is better than a loss.
//
// What must always hold:
// - No sender gets an id before COMMIT has returned: a 2xx without a row is a lost webhook, and nobody would send it again.
// - Every accepted row is answered, in about 4 s at most. A row that was still queued then is removed, never stored later.
// - `Nothing was stored` is said only of a row that is certainly not stored. Where nobody can know, the answer says so.
// - A row that the database refuses fails alone: its batch is halved until the row is found, and the others are stored.
// - Two requests with the same event are never under way at once, or neither would be known as the duplicate of the other.
// - The queue takes one row of each webhook in turn, and one webhook fills half of it at most: a flood delays its own webhook.
// - Memory is bounded: above 64 MiB, or 2 s behind, `full` refuses a request before its body is read.

import { unavailable } from '../errors.ts';
import { laneOf } from '../http/body.ts';
import { insertContents, type NewContent } from '../store/contents.ts';
import { type Failure, failed, StoreError } from '../store/db.ts';
import { eventName } from '../store/events.ts';
import type { Store } from '../store/open.ts';

const MOST_ROWS = 500;
// One statement must fit max_allowed_packet with room to spare, and not keep the others of its batch waiting.
const MOST_BYTES = 4 * 1024 * 1024;
// What may wait for its commit. Beyond it senders get a 503 before their body is read, and try again later.
const QUEUE_BYTES = 64 * 1024 * 1024;
const QUEUE_AGE_MS = 2_000;
// One webhook alone may fill so much of it: the others have room left.
const LINE_BYTES = QUEUE_BYTES / 2;
// A sender is answered after this, whatever a stuck database does: most wait 5 to 15 s.
const GIVE_UP_MS = 4_000;

export interface Writer {
  /** Resolves with the id once the row is committed. Rejects with a 503 when it is not, or when nobody can know. */
  write(row: NewContent): Promise<number>;
  /** True when too much waits, or for too long: refuse before reading a body. `line`: of this webhook, too. */
  full(line?: number): boolean;
  /** Resolves when everything accepted so far is answered. */
  drain(): Promise<void>;
  /** Rows and bytes that wait for their transaction. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** For how long the database has had the same transaction; 0 = it has none. */
  readonly busyMs: number;
  /** Of what was committed. */
  readonly highestId: number;
}

interface Waiting extends Entry {
  readonly row: NewContent;
  /** The event that it says to be; undefined without an id. */
  readonly event: string | undefined;
  resolve(id: number): void;
  reject(error: unknown): void;
}

export interface WriterOptions {
  /** Told what the database refused or lost; the sender has got a 503. */
  readonly onError?: (error: unknown, rows: number) => void;
  /** Told of each transaction, and how long it took. */
  readonly onBatch?: (rows: readonly NewContent[], ms: number) => void;
  /** Told what was committed, before the senders are. */
  readonly onCommitted?: (rows: readonly NewContent[], ids: readonly number[]) => void;
}

export function createWriter(
  store: Store,
  { onError = () => {}, onBatch = () => {}, onCommitted = () => {} }: WriterOptions = {},
): Writer {
  const mostBytes = Math.min(MOST_BYTES, store.db.maxValueBytes / 4);
  const queue = createQueue<Waiting>();
  // With the moment at which each began.
  const running = new Map<readonly Waiting[], number>();
  // Events in the transactions under way.
  const underWay = new Set<string>();
  let scheduled = false;
  let highestId = 0;
  let drained: (() => void)[] = [];

  /** An event that is on its way to the database already waits for that: only then can it be known as a duplicate. */
  const take = (): Waiting[] =>
    queue.take(MOST_ROWS, mostBytes, ({ event }) => event !== undefined && underWay.has(event));

  async function store_(batch: readonly Waiting[]): Promise<void> {
    try {
      const rows = batch.map((one) => one.row);
      const began = performance.now();
      const ids = await insertContents(store, rows);
      onBatch(rows, performance.now() - began);
      highestId = Math.max(highestId, ids.at(-1) ?? 0);
      onCommitted(rows, ids);
      for (let i = 0; i < batch.length; i++) (batch[i] as Waiting).resolve(ids[i] as number);
    } catch (error) {
      if (failed(error, 'data') && batch.length > 1) {
        // One row is refused by the database: its neighbours must not fail with it.
        const half = batch.length >> 1;
        await store_(batch.slice(0, half));
        await store_(batch.slice(half));
        return;
      }
      onError(error, batch.length);
      for (const one of batch)
        one.reject(unavailable(reason(error instanceof StoreError ? error.failure : 'away'), error));
    }
  }

  function start(): void {
    scheduled = false;
    while (running.size < store.db.lanes && queue.size > 0) {
      const batch = take();
      if (batch.length === 0) return;
      running.set(batch, performance.now());
      for (const { event } of batch) if (event !== undefined) underWay.add(event);
      void store_(batch).finally(() => {
        running.delete(batch);
        for (const { event } of batch) if (event !== undefined) underWay.delete(event);
        start();
        if (running.size === 0) for (const resolve of drained.splice(0)) resolve();
      });
    }
  }

  /** For how long the database has had the same transaction. */
  function busyFor(): number {
    const now = performance.now();
    let since = now;
    for (const began of running.values()) since = Math.min(since, began);
    return now - since;
  }

  const timer = setInterval(() => {
    const until = performance.now() - GIVE_UP_MS;
    // Not begun yet, so certainly not stored.
    const old = queue.dropBefore(until);
    for (const one of old) one.reject(unavailable(reason('away')));
    // Begun: the statement runs on and nobody can know yet. Its own answer comes too late and is ignored.
    for (const batch of running.keys())
      for (const one of batch) if (one.since < until) one.reject(unavailable(reason('unknown')));
    if (old.length > 0) onError(noAnswer(), old.length);
  }, 250);
  timer.unref();

  return {
    write: (row) =>
      new Promise((resolve, reject) => {
        const bytes = row.content.length + (row.head?.length ?? 0) + 100;
        const event = row.judged?.event_key ? eventName(row.wh_id, row.judged.event_key) : undefined;
        queue.add({ row, line: laneOf(row), event, bytes, since: performance.now(), resolve, reject });
        // Whatever else arrived in this turn of the event loop joins the first batch.
        if (!scheduled && running.size < store.db.lanes) {
          scheduled = true;
          setImmediate(start);
        }
      }),
    full(line) {
      if (queue.bytes > QUEUE_BYTES || busyFor() > QUEUE_AGE_MS) return true;
      const held = line === undefined ? undefined : queue.of(line);
      return held !== undefined && (held.bytes > LINE_BYTES || performance.now() - held.since > QUEUE_AGE_MS);
    },
    drain: () =>
      running.size === 0 && queue.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            drained = [...drained, resolve];
          }),
    get waiting() {
      return queue.size;
    },
    get waitingBytes() {
      return queue.bytes;
    },
    get busyMs() {
      return busyFor();
    },
    get highestId() {
      return highestId;
    },
  };
}

const noAnswer = () =>
  new StoreError('away', Object.assign(new Error('the database did not answer in time'), { code: 'ETIMEDOUT' }));

function reason(failure: Failure): string {
  if (failure === 'data')
    return 'The database refused this content, nothing was stored. The operator finds the reason in the log.';
  if (failure === 'unknown') return 'The database did not confirm in time. It may be stored or not: send it again.';
  return 'The database cannot store anything now, nothing was stored. Send it again soon.';
}

// What waits for its commit: a line per webhook, one row of each in turn, so that a sender who floods waits for himself.

export interface Entry {
  /** Whose line it stands in. */
  readonly line: number;
  readonly bytes: number;
  /** When it came, by performance.now(). */
  readonly since: number;
}

interface Queue<E extends Entry> {
  add(entry: E): void;
  /** At most so many rows and bytes, one of each line in turn; what alone is larger travels alone. `held`: not yet, nor what is behind it. */
  take(mostRows: number, mostBytes: number, held: (entry: E) => boolean): E[];
  /** Removes what came before this moment. */
  dropBefore(until: number): E[];
  /** What a line holds, and since when its first one waits; undefined: it is empty. */
  of(line: number): { readonly bytes: number; readonly since: number } | undefined;
  readonly size: number;
  readonly bytes: number;
}

interface Lane<E> {
  /** What has left leaves a hole: it must not stay in memory until the line is tidied. */
  entries: (E | undefined)[];
  /** Those before it are gone. */
  at: number;
  bytes: number;
}

export function createQueue<E extends Entry>(): Queue<E> {
  // In the order in which they are served: who was, goes to the end.
  const lines = new Map<number, Lane<E>>();
  let size = 0;
  let bytes = 0;

  function leave(line: Lane<E>, entry: E): void {
    line.entries[line.at++] = undefined;
    line.bytes -= entry.bytes;
    bytes -= entry.bytes;
    size--;
  }

  function tidy(key: number, line: Lane<E>): void {
    lines.delete(key);
    if (line.at === line.entries.length) return;
    lines.set(key, line);
    if (line.at < 1_000) return;
    line.entries = line.entries.slice(line.at);
    line.at = 0;
  }

  return {
    add(entry) {
      const line = lines.get(entry.line) ?? { entries: [], at: 0, bytes: 0 };
      if (line.entries.length === 0) lines.set(entry.line, line);
      line.entries.push(entry);
      line.bytes += entry.bytes;
      bytes += entry.bytes;
      size++;
    },
    take(mostRows, mostBytes, held) {
      const taken: E[] = [];
      const served = new Map<number, Lane<E>>();
      let sum = 0;
      for (let turn = [...lines]; turn.length > 0; ) {
        const again: typeof turn = [];
        for (const [key, line] of turn) {
          const entry = line.entries[line.at];
          if (taken.length === mostRows) break;
          if (!entry || held(entry) || (taken.length > 0 && sum + entry.bytes > mostBytes)) continue;
          leave(line, entry);
          taken.push(entry);
          sum += entry.bytes;
          served.set(key, line);
          again.push([key, line]);
        }
        turn = again;
      }
      for (const [key, line] of served) tidy(key, line);
      return taken;
    },
    dropBefore(until) {
      const dropped: E[] = [];
      for (const [key, line] of [...lines]) {
        for (let entry = line.entries[line.at]; entry && entry.since < until; entry = line.entries[line.at]) {
          leave(line, entry);
          dropped.push(entry);
        }
        if (line.at === line.entries.length) lines.delete(key);
      }
      return dropped;
    },
    of(key) {
      const line = lines.get(key);
      const first = line?.entries[line.at];
      return line && first && { bytes: line.bytes, since: first.since };
    },
    get size() {
      return size;
    },
    get bytes() {
      return bytes;
    },
  };
}
