// What a list is asked to be narrowed to, read from its query.
import type { Static } from 'typebox';
import { normalEventId } from '../receive/dedupe.ts';
import type { ListQuery } from '../schema.ts';
import type { Filter } from '../store/search.ts';

/** Undefined when nothing narrows it. */
export function filterOf({ event_id, event_type, verified, since, q }: Static<typeof ListQuery>): Filter | undefined {
  const filter = {
    event_id: event_id === undefined ? undefined : normalEventId(event_id),
    event_type: event_type === undefined ? undefined : normalEventId(event_type),
    verified,
    since_ms: since === undefined ? undefined : Date.parse(since),
    q: q === undefined ? undefined : Buffer.from(q),
  };
  return Object.values(filter).some((value) => value !== undefined) ? filter : undefined;
}
