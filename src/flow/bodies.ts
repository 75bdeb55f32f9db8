// The contents behind what was handed out, read after the commit: as many as fit into one answer.
import { type Content, listByIds } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import type { Place } from '../store/places.ts';
import type { Handed } from './claim.ts';

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
    // What did not fit is always the tail: the ack of a whole lease covers its positions as one range.
    if (content && !skipped && surplus.length === 0) items.push({ place, content, attempt: place.attempt });
    else if ((content && !skipped) || place.id > readUpTo) surplus.push(place);
    else gone.push(place);
  }
  return { items, surplus, gone };
}
