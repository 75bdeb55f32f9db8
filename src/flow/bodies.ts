// The contents behind what was handed out, read after the commit: as many as fit into one answer.
import type { Consumer } from '../store/consumers.ts';
import { type Content, listByIds } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import { leaseRows } from '../store/leases.ts';
import { freshPlaces, headOf, type Place } from '../store/places.ts';
import type { Handed, Unneeded } from './claim.ts';
import { posOf } from './lease.ts';

export interface Item {
  readonly place: Place;
  readonly content: Content;
  readonly attempt: number;
}

export interface Bodies {
  readonly items: readonly Item[];
  /** What did not fit. */
  readonly surplus: readonly Place[];
  /** What there is nothing left to do for: others have deleted it meanwhile, or it is a duplicate that nobody wants. */
  readonly gone: readonly Place[];
}

/** Ends at `maxBytes`, but never before the first one; in the order of positions, without a hole: what does not fit is the tail. */
export async function readBodies(
  store: Store,
  userId: number,
  handed: readonly Handed[],
  { maxBytes, skipDuplicates }: { readonly maxBytes: number; readonly skipDuplicates: boolean },
): Promise<Bodies> {
  const page = await listByIds(
    store,
    userId,
    handed.map(({ id }) => id),
    maxBytes,
  );
  const found = new Map(page.contents.map((content) => [content.id, content]));
  const readUpTo = page.cut ? (page.contents.at(-1)?.id ?? 0) : Number.POSITIVE_INFINITY;
  const [first] = handed;
  // Contents are read by id. One that came late has a lower id than those before it, and must not push out the first.
  if (first && first.id > readUpTo) {
    const [content] = (await listByIds(store, userId, [first.id], maxBytes)).contents;
    if (content) found.set(first.id, content);
  }
  const items: Item[] = [];
  const surplus: Place[] = [];
  const gone: Place[] = [];
  for (const place of handed) {
    const content = found.get(place.id);
    const skipped = skipDuplicates && content?.receipt?.duplicate_of != null;
    const unread = !content && place.id > readUpTo && place !== first;
    // What did not fit is always the tail: the ack of a whole lease covers its positions as one range.
    if (content && !skipped && surplus.length === 0) items.push({ place, content, attempt: place.attempt });
    else if ((content && !skipped) || unread) surplus.push(place);
    else gone.push(place);
  }
  return { items, surplus, gone };
}

// These are read only to be passed over: a page of large ones would take longer than a pull may.
const SEARCHED_BYTES = 1 << 20;

/**
 * What a consumer would get next, at most `most` of it, and nobody needs: all that lies before the first content that is to
 * be handed out. First what is due again, when something is, else what is new. `more`: no such content was met.
 */
export async function readUnneeded(
  store: Store,
  consumer: Consumer,
  { most, now }: { readonly most: number; readonly now: number },
): Promise<Unneeded & { readonly more: boolean }> {
  const { user_id, duplicates, next_due_ms } = consumer;
  const back = next_due_ms > 0 ? await leaseRows(store.db, consumer).due(now, most) : [];
  const places = back.length > 0 ? back : (await freshPlaces(store.db, consumer, await headOf(store.db), most)).places;
  if (places.length === 0) return { of: consumer, due: [], upTo: 0, more: false };
  const handed = places.map(({ pos, id }) => ({ pos, id, attempt: 0 }));
  const only = { maxBytes: SEARCHED_BYTES, skipDuplicates: duplicates === 'skip' };
  const { items, surplus, gone } = await readBodies(store, user_id, handed, only);
  const end = Math.min(...[...items.map(({ place }) => place), ...surplus].map(posOf));
  const before = gone.map(posOf).filter((pos) => pos < end);
  const more = items.length === 0;
  return back.length > 0
    ? { of: consumer, due: before, upTo: 0, more }
    : { of: consumer, due: [], upTo: before.at(-1) ?? 0, more };
}
