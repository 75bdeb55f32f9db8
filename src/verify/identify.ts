// Finds the id and the type of the event in a request, so that a duplicate is recognised.
import { familyOf, type Incoming, isUnread, reader, type Source, sha256Text } from './request.ts';
import type { Rules } from './rules.ts';

const MOST_CHARACTERS = 200;

export interface Identity {
  readonly event_id: string | null;
  readonly event_type: string | null;
}

/** Never throws; null where there is none. Bodies above 1 MiB are not parsed: their hash is the id. */
export function identify(rules: Rules, incoming: Incoming): Identity {
  const { ids, types, check, places } = rules;
  if (ids.length === 0 && types.length === 0) return { event_id: null, event_type: null };
  const family = check && 'signature' in check ? familyOf(check.signature, incoming) : undefined;
  const read = reader(places, incoming, family);
  const first = (alternatives: readonly (readonly Source[])[]): string | null => {
    for (const parts of alternatives) {
      const texts: string[] = [];
      for (const part of parts) {
        const text = read(part);
        if (text === undefined) break;
        texts.push(text);
      }
      if (texts.length === parts.length) return normalEventId(texts.join('/'));
    }
    return null;
  };
  const unread = ids.some((parts) => parts.some((part) => isUnread(part, incoming)));
  return { event_id: first(ids) ?? (unread ? sha256Text(incoming.body) : null), event_type: first(types) };
}

/** An id as it is stored: one that is longer than 200 characters, or has control characters, is replaced by its SHA-256. */
export function normalEventId(text: string): string {
  // Most ids are of these characters, and this test costs a tenth of the one below.
  if (text.length <= MOST_CHARACTERS && /^[\w.:/=+-]*$/.test(text)) return text;
  const whole = text.toWellFormed();
  return whole.length > MOST_CHARACTERS || /\p{Cc}/u.test(whole) ? sha256Text(whole) : whole;
}
