// Finds contents of one webhook in the shared table; where no index serves, a bounded part of it at a time.
import { type Content, listContents } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import type { Which } from './known.ts';

interface Part {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly maxBytes: number;
}
interface Found {
  readonly contents: readonly Content[];
  /** All contents up to this id were found: `to`, or less when the page is full or the search was long enough. */
  readonly upTo: number;
}

export function createScan(store: Store): (which: Which, part: Part) => Promise<Found> {
  return async ({ userId, whid }, { from, to, limit, maxBytes }) => {
    const options = { wh_id: whid, from, to, order: 'asc', limit, maxBytes } as const;
    const { contents, cut } = await listContents(store, userId, options);
    return { contents, upTo: cut ? (contents.at(-1) as Content).id : to };
  };
}
