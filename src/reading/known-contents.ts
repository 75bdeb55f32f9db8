// The newest contents of each webhook, known by one query and kept up to date by the tail: a poll at the end asks no database.
import { LRUCache } from 'lru-cache';
import type { Row } from './fence.ts';

/** A webhook of a user, or all of the user's. */
export interface Which {
  readonly userId: number;
  readonly whid: number | 'all';
}

/** `ids` are all contents with `from` <= id that may be read, ascending. */
interface Known {
  from: number;
  ids: readonly number[];
}

// Of so many webhooks. Of more, the ones that were not asked for longest are forgotten, and read anew when they are asked for.
const MOST_KNOWN = 100_000;
// Of each the newest ids; older ones are found by a query.
const MOST_IDS = 100;

export function createKnownContents() {
  const all = new LRUCache<string, Known>({ max: MOST_KNOWN });
  const add = (known: Known | undefined, id: number): void => {
    if (!known || id < known.from) return;
    known.ids = [...known.ids, id];
    trim(known);
  };
  return {
    /** What is known of a webhook, from now on kept up to date; at first only what comes after `readableId`. */
    of({ userId, whid }: Which, readableId: number): Known {
      const key = `${userId} ${whid}`;
      let known = all.get(key);
      if (!known) {
        known = { from: readableId + 1, ids: [] };
        all.set(key, known);
      }
      return known;
    },
    /** A query found that `ids` are all contents from `from` up to where `known` began, which was `began`. */
    learn(known: Known, began: number, from: number, ids: readonly number[]): void {
      // It has been trimmed meanwhile: what was found no longer adjoins it.
      if (known.from !== began || from >= began) return;
      known.ids = [...ids.filter((id) => id < began), ...known.ids];
      known.from = from;
      trim(known);
    },
    /** The table was emptied: nothing that is known is true any more. */
    forget: () => all.clear(),
    /** Rows that may be read from now on. */
    passed(rows: readonly Row[]): void {
      if (all.size === 0) return;
      for (const { id, user_id, wh_id } of rows) {
        // `peek`: what comes in does not make it "asked for".
        add(all.peek(`${user_id} ${wh_id}`), id);
        add(all.peek(`${user_id} all`), id);
      }
    },
  };
}

function trim(known: Known): void {
  const tooMany = known.ids.length - MOST_IDS;
  if (tooMany <= 0) return;
  known.from = (known.ids[tooMany - 1] as number) + 1;
  known.ids = known.ids.slice(tooMany);
}
