// Group commit: rows gather for the next transaction while one is under way, and no sender is answered before the commit.
//
// A row is in one of four states:
// - queued: in the lane of its webhook (`createQueue` below), and certainly not in the database;
// - under way: in one transaction, together with up to 499 others. At most `db.lanes` transactions run at once, and the
//   next one gathers meanwhile: the slower the database, the larger the batch;
// - answered: its sender has the id, or a 503;
// - given up: its sender has got a 503 because the transaction took too long, but the statement still runs. Its row may be
//   stored all the same. The sender sends it again, and a duplicate is better than a loss.
//
// What must always hold:
// - No sender gets an id before COMMIT has returned: a 2xx without a row is a lost webhook that is never sent again.
// - Every accepted row is answered, in about 4 s at most. A row that was still queued then is removed, never stored later.
// - `Nothing was stored` is said only of a row that is certainly not stored. Where that is unknown, the answer says so.
// - A row that the database refuses fails alone: its batch is tried in parts, within one transaction, and the others
//   are stored. What there was no time to try is queued again, before all others of its lane.
// - Two requests with the same event are never under way at once, or neither would be known as the duplicate of the other.
// - The queue takes one row of each user in turn, and a user fills at most half of what others leave of it: a flood delays its
//   own rows.
// - Memory is bounded: above 64 MiB, or 2 s behind, `full` refuses a request before its body is read.
import { HELD } from '../admission/resources.ts';
import { createRoom, laneOf, type Owner, type Room } from '../admission/rooms.ts';
import { unavailable } from '../errors.ts';
import { insertAccepted, type NewContent } from '../store/contents.ts';
import { failed } from '../store/db.ts';
import { noAnswer, onlyReadable } from '../store/engine/causes.ts';
import { eventName } from '../store/events.ts';
import type { Store } from '../store/open.ts';

const MOST_ROWS = 500;
// One statement must fit max_allowed_packet with room to spare, and not keep the others of its batch waiting.
const MOST_BYTES = 4 * 1024 * 1024;
// Rows that wait longer than this for their commit, or that are more than the room for them, make senders wait: they get a 503
// before their body is read, and try again later.
const QUEUE_AGE_MS = 2_000;
// A transaction begins when nothing new comes, and at the latest so long after its first row: where many send at once, a larger
// one saves more than this costs.
const GATHER_MS = 1;
// A transaction costs about as much as so many rows.
const LEAST_ROWS = 24;
// A sender is answered after this even when the database hangs: most senders wait 5 to 15 s.
const GIVE_UP_MS = 4_000;

export type Writer = ReturnType<typeof createWriter>;

interface Waiting extends Entry {
  readonly row: NewContent;
  /** The name of its event; undefined without an id. */
  readonly event: string | undefined;
  resolve(id: number): void;
  reject(error: unknown): void;
}

export interface WriterOptions {
  /** The room for rows that wait for their transaction. */
  readonly room?: Pick<Room, 'put' | 'give' | 'isOver' | 'held' | 'most'>;
  /** Told of rows that the database refused or lost; their senders get a 503. */
  readonly onError?: (error: unknown, rows: number) => void;
  /** Told of each committed transaction, and how long it took. */
  readonly onBatch?: (rows: readonly NewContent[], ms: number) => void;
  /** Told of committed rows, before their senders are answered. */
  readonly onCommitted?: (rows: readonly NewContent[], ids: readonly number[]) => void;
}

export function createWriter(
  store: Store,
  {
    room = createRoom(HELD.queue.all(), { refusal: HELD.queue.refusal }),
    onError = () => {},
    onBatch = () => {},
    onCommitted = () => {},
  }: WriterOptions = {},
) {
  const mostBytes = Math.min(MOST_BYTES, store.db.maxValueBytes / 4);
  const queue = createQueue<Waiting>();
  // The transactions under way, and when each began.
  const running = new Map<readonly Waiting[], number>();
  // Events in the transactions under way.
  const underWay = new Set<string>();
  let scheduled = false;
  // So many rows need not gather more: half of the last transaction's, as the other half gathers while they are under way. Where
  // transactions run side by side, the other ones do that, and smaller ones would only be more.
  const isEnough = (): boolean => store.db.lanes === 1 && queue.size >= Math.max(LEAST_ROWS, lastRows / 2);
  let lastRows = 0;
  let highestId = 0;
  const drained: (() => void)[] = [];

  /** Resolves once the fate of its rows is known, with what tells it to their senders. */
  async function commit(batch: readonly Waiting[]): Promise<() => void> {
    const began = performance.now();
    const outcome = await insertAccepted(
      store,
      batch.map((one) => one.row),
    ).catch((error: unknown) => batch.map(() => error));
    const ms = performance.now() - began;
    return () => {
      const stored = batch.filter((_, i) => typeof outcome[i] === 'number');
      const rows = stored.map((one) => one.row);
      const ids = outcome.filter((one) => typeof one === 'number');
      if (rows.length > 0) {
        onBatch(rows, ms);
        highestId = Math.max(highestId, ids.at(-1) ?? 0);
        onCommitted(rows, ids);
      }
      const lost = new Map<unknown, number>();
      for (const error of outcome)
        if (error !== undefined && typeof error !== 'number') lost.set(error, (lost.get(error) ?? 0) + 1);
      for (const [error, count] of lost) onError(error, count);
      for (const [i, one] of batch.entries()) {
        const end = outcome[i];
        if (typeof end === 'number') one.resolve(end);
        else if (end !== undefined) one.reject(unavailable(reason(end), end));
      }
      // Not tried: another transaction does, and rows of others may come before them. From the last, so that their order stays.
      for (const one of batch.filter((_, i) => outcome[i] === undefined).reverse()) {
        room.put(one.user, one.bytes, one.lane);
        queue.putBack(one);
      }
    };
  }

  // What many senders send at once on new connections comes in as many turns of the event loop: Node accepts one in each.
  function gather(since: number, before: number): void {
    if (queue.size === before || performance.now() - since > GATHER_MS) start();
    else setImmediate(gather, since, queue.size);
  }
  function soon(): void {
    if (queue.size === 0 || running.size === store.db.lanes) return;
    if (isEnough()) start();
    else if (!scheduled) {
      scheduled = true;
      setImmediate(gather, performance.now(), 0);
    }
  }

  const giveBack = (entries: readonly Waiting[]): void => {
    for (const { user, bytes, lane } of entries) room.give(user, bytes, lane);
  };

  function start(): void {
    scheduled = false;
    while (running.size < store.db.lanes && queue.size > 0) {
      // A row whose event is under way stays in its lane until that commit: only then is it known as a duplicate.
      const batch = queue.take(MOST_ROWS, mostBytes, ({ event }) => event !== undefined && underWay.has(event));
      if (batch.length === 0) return;
      giveBack(batch);
      running.set(batch, performance.now());
      for (const { event } of batch) if (event !== undefined) underWay.add(event);
      lastRows = batch.length;
      void commit(batch).then((tell) => {
        running.delete(batch);
        for (const { event } of batch) if (event !== undefined) underWay.delete(event);
        // The database works while senders are answered, and those send again while it works.
        if (isEnough()) start();
        tell();
        soon();
        tellDrained();
      });
    }
    tellDrained();
  }

  function tellDrained(): void {
    if (running.size === 0 && queue.size === 0) for (const resolve of drained.splice(0)) resolve();
  }

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
    giveBack(old);
    for (const one of old) one.reject(unavailable(reason(undefined)));
    // Begun: the statement runs on, and its end is unknown. Its own answer comes too late and is ignored.
    for (const batch of running.keys())
      for (const one of batch) if (one.since < until) one.reject(unavailable(NOT_CONFIRMED));
    if (old.length > 0) onError(noAnswer(GIVE_UP_MS / 1000), old.length);
  }, 250);
  timer.unref();

  return {
    /** Resolves with the id once the row is committed. Rejects with a 503 when it is not, or when that is unknown. */
    write: (row: NewContent): Promise<number> =>
      new Promise((resolve, reject) => {
        const bytes = row.content.length + (row.head?.length ?? 0) + 100;
        const event = row.judged?.event_key ? eventName(row.wh_id, row.judged.event_key) : undefined;
        const lane = laneOf(row);
        room.put(row.user_id, bytes, lane);
        queue.add({
          row,
          user: row.user_id,
          lane,
          event,
          bytes,
          since: performance.now(),
          resolve,
          reject,
        });
        soon();
      }),
    /** True when too much waits, or for too long, in the whole queue or of this owner: refuse before reading a body. */
    full(owner?: Owner): boolean {
      if (room.held > room.most || busyFor() > QUEUE_AGE_MS) return true;
      if (!owner) return false;
      const lane = laneOf(owner);
      if (room.isOver(owner.user_id, lane)) return true;
      const since = queue.waitsSince(owner.user_id, lane);
      return since !== undefined && performance.now() - since > QUEUE_AGE_MS;
    },
    /** Resolves when everything accepted so far is answered. */
    drain: (): Promise<void> =>
      running.size === 0 && queue.size === 0 ? Promise.resolve() : new Promise((resolve) => void drained.push(resolve)),
    /** Rows and bytes that wait for their transaction. */
    get waiting(): number {
      return queue.size;
    },
    get waitingBytes(): number {
      return room.held;
    },
    /** For how long the database has had the same transaction; 0 = it has none. */
    get busyMs(): number {
      return busyFor();
    },
    /** The highest id that this process has committed. */
    get highestId(): number {
      return highestId;
    },
  };
}

const NOT_CONFIRMED = 'The database did not confirm in time. It may be stored or not: send it again.';
function reason(error: unknown): string {
  if (failed(error, 'data'))
    return 'A rule of the database refuses this content, nothing was stored. The operator finds the rule in the log; once it lets this pass, send it again.';
  if (failed(error, 'unknown')) return NOT_CONFIRMED;
  return `${onlyReadable(error) ?? 'The database cannot store anything now'}, nothing was stored. Send it again soon.`;
}

// The queue: users are served in turn, one row each, and so are the webhooks of each user: a flood delays its own webhook alone,
// and a user with a thousand webhooks takes no more turns than a user with one.

export interface Entry {
  readonly user: number;
  readonly lane: number;
  readonly bytes: number;
  /** When it was added, by performance.now(). */
  readonly since: number;
}

interface Lane<E> {
  /** An entry that was taken leaves undefined behind: it must not stay in memory until the lane is tidied. */
  entries: (E | undefined)[];
  /** The first entry that is still there. */
  at: number;
}
interface Line<E> {
  readonly lanes: Map<number, Lane<E>>;
}

export function createQueue<E extends Entry>() {
  // In the order in which they are served, and so are the lanes of each: who was served goes to the end.
  const users = new Map<number, Line<E>>();
  let size = 0;

  function remove(lane: Lane<E>): void {
    lane.entries[lane.at++] = undefined;
    size--;
  }

  /** Puts a lane and its user at the end, or away when they are empty. */
  function tidy(user: number, line: Line<E>, key: number, lane: Lane<E>): void {
    line.lanes.delete(key);
    if (lane.at < lane.entries.length) line.lanes.set(key, lane);
    if (lane.at >= 1_000) {
      lane.entries = lane.entries.slice(lane.at);
      lane.at = 0;
    }
    users.delete(user);
    if (line.lanes.size > 0) users.set(user, line);
  }

  return {
    add(entry: E): void {
      const line: Line<E> = users.get(entry.user) ?? { lanes: new Map() };
      if (line.lanes.size === 0) users.set(entry.user, line);
      const lane: Lane<E> = line.lanes.get(entry.lane) ?? { entries: [], at: 0 };
      if (lane.entries.length === 0) line.lanes.set(entry.lane, lane);
      lane.entries.push(entry);
      size++;
    },
    /** Before all others of its lane. */
    putBack(entry: E): void {
      const line: Line<E> = users.get(entry.user) ?? { lanes: new Map() };
      if (line.lanes.size === 0) users.set(entry.user, line);
      const lane: Lane<E> = line.lanes.get(entry.lane) ?? { entries: [], at: 0 };
      if (lane.entries.length === 0) line.lanes.set(entry.lane, lane);
      if (lane.at > 0) lane.entries[--lane.at] = entry;
      else lane.entries.unshift(entry);
      size++;
    },
    /**
     * At most so many rows and bytes, one of each user in turn; a row that is larger is taken alone. An entry that is `held`
     * stays, and so do all behind it.
     */
    take(mostRows: number, mostBytes: number, held: (entry: E) => boolean): E[] {
      const taken: E[] = [];
      const served = new Map<Lane<E>, E>();
      let sum = 0;
      // The lanes of each user that may have more for this batch, the next one first.
      let turn = [...users.values()].map((line) => ({ lanes: [...line.lanes.values()], at: 0 }));
      while (turn.length > 0 && taken.length < mostRows) {
        const again: typeof turn = [];
        for (const one of turn) {
          if (taken.length === mostRows) break;
          while (one.at < one.lanes.length) {
            const lane = one.lanes[one.at++] as Lane<E>;
            const entry = lane.entries[lane.at];
            if (!entry || held(entry) || (taken.length > 0 && sum + entry.bytes > mostBytes)) continue;
            remove(lane);
            taken.push(entry);
            sum += entry.bytes;
            served.set(lane, entry);
            one.lanes.push(lane);
            again.push(one);
            break;
          }
        }
        turn = again;
      }
      for (const [lane, { user, lane: key }] of served) tidy(user, users.get(user) as Line<E>, key, lane);
      return taken;
    },
    /** Removes the entries that were added before this moment. */
    dropBefore(until: number): E[] {
      const dropped: E[] = [];
      for (const [user, line] of [...users]) {
        for (const [key, lane] of [...line.lanes]) {
          for (let entry = lane.entries[lane.at]; entry && entry.since < until; entry = lane.entries[lane.at]) {
            remove(lane);
            dropped.push(entry);
          }
          if (lane.at === lane.entries.length) line.lanes.delete(key);
        }
        if (line.lanes.size === 0) users.delete(user);
      }
      return dropped;
    },
    /** Since when the first entry of a lane waits; undefined: the lane is empty. */
    waitsSince(user: number, key: number): number | undefined {
      const lane = users.get(user)?.lanes.get(key);
      return lane?.entries[lane.at]?.since;
    },
    get size() {
      return size;
    },
  };
}
