// Pages of contents in the order of ids, and waiting for the next content: for the list and its stream.
import { LRUCache } from 'lru-cache';
import { type ContentKey, type ContentRow, highestId, listByIds, listContents } from '../store/contents.ts';
import { movedOn, termOf } from '../store/db.ts';
import type { Store } from '../store/open.ts';
import { type Filter, searchContents } from '../store/search.ts';
import type { Row } from './fence.ts';
import { createKnownContents, type Which } from './known-contents.ts';
import { createScan } from './scan.ts';
import { createSearchLine } from './search-line.ts';
import { arrival, type Cancellation, type Tail } from './tail.ts';

export interface Page {
  readonly contents: readonly ContentRow[];
  /** Where the next page begins. */
  readonly next: number;
  /** The highest id that may be read, when `from` lies beyond everything there is: the database was restored. */
  readonly reset?: number;
}
export interface PageOptions extends Which {
  /** An id, or `latest`: after the newest. */
  readonly from: number | 'latest';
  readonly limit: number;
}

export type Lists = ReturnType<typeof createLists>;

/** After the looks for new contents have failed for so long, "nothing new" would be a guess. */
export const STALE_MS = 5_000;

interface ListsParts {
  readonly store: Store;
  readonly tail: Tail;
  readonly ownWrites: Pick<OwnWrites, 'readable'>;
  readonly maxPageBytes: number;
  /** Reads one content; calls at the same time share a query. */
  readonly content: (key: ContentKey) => Promise<ContentRow | undefined>;
}

export function createLists({ store, tail, ownWrites, maxPageBytes, content }: ListsParts) {
  const known = createKnownContents();
  let scan = createScan(store);
  const inLine = createSearchLine();

  /** What may be read, and what is read up to there, must come from one server. */
  async function reading(userId: number, read: () => Promise<Page>): Promise<Page> {
    await tail.booted;
    await tail.settled();
    const server = termOf(store.db);
    await ownWrites.readable(userId);
    if (termOf(store.db) !== server) throw movedOn();
    const page = await read();
    if (termOf(store.db) !== server) throw movedOn();
    return page;
  }

  /** `from` as a number. `reset`: it lies beyond all ids, and not only beyond what this process has read so far. */
  async function start(from: number | 'latest'): Promise<{ from: number; reset: boolean }> {
    if (from === 'latest') return { from: tail.readableId + 1, reset: false };
    if (from <= tail.readableId + 1) return { from, reset: false };
    const highest = Math.max(await highestId(store), tail.readableId);
    return { from, reset: from > highest + 1 };
  }

  /** Contents with id >= from, ascending. Asks the database nothing when it is known that there are none. */
  const page = (options: PageOptions): Promise<Page> => reading(options.userId, () => nextPage(options));
  async function nextPage(options: PageOptions): Promise<Page> {
    const { from, reset } = await start(options.from);
    const { readableId } = tail;
    const end = Math.max(from, readableId + 1);
    if (reset) return { contents: [], next: end, reset: readableId };
    const mine = known.of(options, readableId);
    if (from < mine.from) {
      const began = mine.from;
      const { contents, upTo } = await scan(options, {
        from,
        to: readableId,
        limit: options.limit,
        maxBytes: maxPageBytes,
      });
      if (upTo < readableId) return { contents, next: upTo + 1 };
      known.learn(
        mine,
        began,
        from,
        contents.map(({ id }) => id),
      );
      return { contents, next: end };
    }
    const ids = mine.ids.filter((id) => id >= from);
    if (ids.length === 0) return { contents: [], next: end };
    const named = ids.slice(0, options.limit);
    const last = named.at(-1) as number;
    const next = named.length === options.limit ? last + 1 : Math.max(end, last + 1);
    if (named.length === 1) {
      const one = await content({ userId: options.userId, id: last });
      return { contents: one ? [one] : [], next };
    }
    const { contents, cut } = await listByIds(store, options.userId, named, maxPageBytes);
    return { contents, next: cut ? (contents.at(-1) as ContentRow).id + 1 : next };
  }

  return {
    page,
    /** Contents with id <= from, descending. */
    newestFirst: ({ userId, whid, from, limit }: PageOptions): Promise<Page> =>
      reading(userId, async () => {
        const { readableId } = tail;
        const to = from === 'latest' ? readableId : Math.min(from, readableId);
        const options = { wh_id: whid, from: 0, to, order: 'desc', limit, maxBytes: maxPageBytes } as const;
        const { contents, cut } = await listContents(store, userId, options);
        const last = contents.at(-1);
        return { contents, next: cut && last ? Math.max(last.id - 1, 0) : 0 };
      }),
    /**
     * Contents that match, in the given order. A call looks at a limited number of rows and bytes; the next one begins at `next`.
     * `goesOn`: it is not the first of a stream or of a waiting call.
     */
    search: (
      { userId, whid, limit, order, ...options }: PageOptions & { readonly order: 'asc' | 'desc' },
      filter: Filter,
      ended: Cancellation,
      goesOn = false,
    ): Promise<Page> =>
      reading(userId, async () => {
        const find = (from: number, to: number) =>
          inLine(userId, goesOn, async () => {
            // Nobody waits for what comes after a long line.
            if (ended.aborted) return { contents: [], upTo: order === 'asc' ? from - 1 : to + 1 };
            const list = { wh_id: whid, from, to, limit, order, maxBytes: maxPageBytes };
            return searchContents(store, userId, list, filter, ended);
          });
        const { readableId } = tail;
        if (order === 'desc') {
          const to = options.from === 'latest' ? readableId : Math.min(options.from, readableId);
          const { contents, upTo } = await find(0, to);
          return { contents, next: Math.max(upTo - 1, 0) };
        }
        const { from, reset } = await start(options.from);
        const end = Math.max(from, readableId + 1);
        if (reset) return { contents: [], next: end, reset: readableId };
        const { contents, upTo } = await find(from, readableId);
        return { contents, next: Math.max(from, upTo + 1) };
      }),
    /** Resolves when a content with id >= from may be read, after `ms`, or when `ended` fires. Asks the database nothing. */
    async wait(which: Which, from: number, ms: number, ended: Cancellation): Promise<void> {
      const mine = known.of(which, tail.readableId);
      if (ms <= 0 || ended.aborted || mine.ids.some((id) => id >= from) || mine.from > from) return;
      const isIt = ({ id, wh_id }: Row) => id >= from && (which.whid === 'all' || which.whid === wh_id);
      await arrival(ms, (arrived) => tail.onReadable(which.userId, (row) => isIt(row) && arrived()), ended);
    },
    /** Rows that may be read from now on; called by the tail before it wakes the waiters. */
    passed: (rows: readonly Row[]) => known.passed(rows),
    /** The table was emptied or restored, and the tail begins again. */
    forget(): void {
      known.forget();
      scan = createScan(store);
    },
  };
}

// Read your writes: what this process has just stored for a user is found at once in the user's lists and by the user's consumers.

export type OwnWrites = ReturnType<typeof createOwnWrites>;

// An answer waits so long rather than come without a content that its caller has stored.
const PATIENCE_MS = 300;
const MOST_WRITERS = 50_000;

export function createOwnWrites(tail: Pick<Tail, 'onPosition' | 'onReadable' | 'readableId'>) {
  const written = new LRUCache<number, { readonly id: number; readonly at: number }>({ max: MOST_WRITERS });

  type Arrives = (userId: number, wake: (row: { readonly id: number }) => void) => () => void;
  async function settled(userId: number, arrives: Arrives): Promise<void> {
    const last = written.get(userId);
    // What lists may hand out has its position, too.
    if (!last || tail.readableId >= last.id) return;
    const left = last.at + PATIENCE_MS - performance.now();
    if (left > 0) await arrival(left, (arrived) => arrives(userId, ({ id }) => id >= last.id && arrived()));
  }

  return {
    /** Contents that this process has committed. */
    committed(rows: readonly { readonly user_id: number }[], ids: readonly number[]): void {
      const at = performance.now();
      for (const [i, { user_id }] of rows.entries()) {
        // Ids rise within a transaction: of one user's rows in a row the last one counts.
        if (rows[i + 1]?.user_id === user_id) continue;
        const id = ids[i] as number;
        const before = written.get(user_id);
        // Two transactions run at once: the later commit may have the lower ids.
        if (!before || before.id < id || at - before.at > PATIENCE_MS) written.set(user_id, { id, at });
      }
    },
    /** Resolves when lists may read the user's latest: at once when that is known, at the latest 300 ms after its commit. */
    readable: (userId: number) => settled(userId, tail.onReadable),
    /** The same for consumers, which need its position and no more. */
    positioned: (userId: number) => settled(userId, tail.onPosition),
  };
}
