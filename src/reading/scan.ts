// Finds contents of one webhook in the shared table. Without an index: by one walk over the table for all calls that wait for it.
import { LRUCache } from 'lru-cache';
import {
  type ContentRow,
  type ListOptions,
  listByIds,
  listContents,
  lowestId,
  ownersBetween,
} from '../store/contents.ts';
import type { Store } from '../store/open.ts';
import type { SearchPage } from '../store/search.ts';
import type { Which } from './known-contents.ts';

type Part = Omit<ListOptions, 'wh_id' | 'order'>;
/** `ids` are all contents with from <= id <= to; undefined when there are too many to keep. */
interface Walked {
  readonly from: number;
  readonly to: number;
  readonly ids: readonly number[] | undefined;
}
interface Job extends Which {
  readonly from: number;
  readonly to: number;
  ids: number[];
  readonly done: Promise<Walked>;
  end(walked: Walked): void;
  fail(error: unknown): void;
}

// A webhook with many contents fills a page within so many ids; one with few joins the walk.
const FIRST_IDS = 20_000;
const DENSE_IDS = 200_000;
const NOTHING = { contents: [], cut: false };
// More first reads at once would take all connections, and sign-ins would wait behind them: the others join the walk.
const MOST_FIRST_READS = 2;
// A call is answered after this, with what it has; the walk goes on and is remembered.
const PATIENCE_MS = 2_000;
const MOST_REMEMBERED = 10_000;
const MOST_IDS = 1_000;
const USERS_PER_QUERY = 500;
// A part of the walk takes about this long, so that other queries get the database between two parts.
const PART_MS = 150;
const LEAST_IDS = 1_000;
const MOST_PART_IDS = 200_000;

export function createScan(store: Store): (which: Which, part: Part) => Promise<SearchPage> {
  async function direct({ userId, whid }: Which, { from, to, limit, maxBytes }: Part): Promise<SearchPage> {
    const options = { wh_id: whid, from, to, order: 'asc', limit, maxBytes } as const;
    const { contents, cut } = await listContents(store, userId, options);
    return { contents, upTo: cut ? (contents.at(-1) as ContentRow).id : to };
  }

  const walk = createWalk(store);
  let firstReads = 0;
  async function firstRead(which: Which, part: Part): Promise<SearchPage | undefined> {
    if (firstReads >= MOST_FIRST_READS || walk.pending(which)) return undefined;
    firstReads++;
    return direct(which, part).finally(() => firstReads--);
  }
  return async (which, part) => {
    if (store.state.indexed) return direct(which, part);
    let walked = walk.known(which, part.from);
    if (!walked) {
      const to = Math.min(part.to, part.from + FIRST_IDS);
      const first = await firstRead(which, { ...part, to });
      if (first && (first.contents.length > 0 || first.upTo === part.to)) return first;
      walked = await walk.find(which, part.from, part.to);
      if (!walked) return { contents: [], upTo: first?.upTo ?? part.from - 1 };
    }
    if (!walked.ids) return direct(which, { ...part, to: Math.min(part.to, part.from + DENSE_IDS) });
    const ids = walked.ids.filter((id) => id >= part.from && id <= part.to).slice(0, part.limit);
    const last = ids.at(-1);
    const { contents, cut } = last ? await listByIds(store, which.userId, ids, part.maxBytes) : NOTHING;
    if (cut) return { contents, upTo: (contents.at(-1) as ContentRow).id };
    if (last && ids.length === part.limit) return { contents, upTo: last };
    // Contents that came since the walk.
    const from = Math.max(part.from, walked.to + 1);
    if (from > part.to) return { contents, upTo: part.to };
    const to = Math.min(part.to, from + DENSE_IDS);
    const since = await direct(which, { ...part, from, to, limit: part.limit - ids.length });
    return { contents: [...contents, ...since.contents], upTo: since.upTo };
  };
}

function createWalk(store: Store) {
  const remembered = new LRUCache<string, Walked>({ max: MOST_REMEMBERED });
  const waiting = new Map<string, Job>();
  const walking = new Map<string, Job>();
  let running = false;
  let partIds = 20_000;
  const keyOf = ({ userId, whid }: Which) => `${userId} ${whid}`;

  /** One walk for all jobs that waited when it began. */
  async function pass(jobs: readonly Job[]): Promise<void> {
    const byUser = new Map<number, Job[]>();
    for (const job of jobs) byUser.set(job.userId, [...(byUser.get(job.userId) ?? []), job]);
    const users = [...byUser.keys()];
    const end = Math.max(...jobs.map((job) => job.to));
    for (let next = Math.min(...jobs.map((job) => job.from)); next <= end; ) {
      // Ids may begin high, and have holes of millions: these are skipped.
      const at = (await lowestId(store, next)) ?? end + 1;
      if (at > end) return;
      const to = Math.min(end, at + partIds - 1);
      const began = performance.now();
      for (let i = 0; i < users.length; i += USERS_PER_QUERY)
        for (const row of await ownersBetween(store, at, to, users.slice(i, i + USERS_PER_QUERY)))
          for (const job of byUser.get(row.user_id) ?? [])
            if ((job.whid === 'all' || job.whid === row.wh_id) && row.id >= job.from && row.id <= job.to)
              if (job.ids.length <= MOST_IDS) job.ids.push(row.id);
      const took = performance.now() - began;
      if (took > PART_MS * 2) partIds = Math.max(LEAST_IDS, partIds >> 1);
      else if (took < PART_MS / 2) partIds = Math.min(MOST_PART_IDS, partIds * 2);
      next = to + 1;
    }
  }

  async function run(): Promise<void> {
    if (running) return;
    running = true;
    while (waiting.size > 0) {
      for (const [key, job] of waiting) walking.set(key, job);
      waiting.clear();
      // A database that is away ends the walk: its callers get the failure, and the next call begins another walk.
      await pass([...walking.values()]).then(
        () => {
          for (const [key, job] of walking) {
            const walked = { from: job.from, to: job.to, ids: job.ids.length > MOST_IDS ? undefined : job.ids };
            remembered.set(key, walked);
            job.end(walked);
          }
        },
        (error: unknown) => {
          for (const job of walking.values()) job.fail(error);
        },
      );
      walking.clear();
    }
    running = false;
  }

  return {
    /** What an earlier walk found, if it began at or before `from`. */
    known(which: Which, from: number): Walked | undefined {
      const walked = remembered.get(keyOf(which));
      return walked && walked.from <= from ? walked : undefined;
    },
    pending: (which: Which): boolean => waiting.has(keyOf(which)) || walking.has(keyOf(which)),
    /** Joins the next walk; undefined when it takes too long, but then it goes on. */
    async find(which: Which, from: number, to: number): Promise<Walked | undefined> {
      const key = keyOf(which);
      let job = walking.get(key) ?? waiting.get(key);
      if (!job || job.from > from) {
        let [end, fail]: [Job['end'], Job['fail']] = [() => {}, () => {}];
        const done = new Promise<Walked>((resolve, reject) => {
          [end, fail] = [resolve, reject];
        });
        // A caller that no longer waits is told nothing.
        done.catch(() => {});
        job = { userId: which.userId, whid: which.whid, from, to, ids: [], done, end, fail };
        // A job that begins lower also answers the other one.
        const other = waiting.get(key);
        if (other) void done.then(other.end, other.fail);
        waiting.set(key, job);
        setImmediate(run);
      }
      await Promise.race([job.done, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
      return this.known(which, from);
    },
  };
}
