// Twilio's parameters as it signs them: name and value of each, sorted by name, nothing in between.
import { createHash, timingSafeEqual } from 'node:crypto';
import { formPairs, MOST_PAIRS, utf8 } from './form.ts';
import { type Incoming, isForm, queryParameter } from './incoming.ts';

/** The bytes, one character each; or why this body is not covered by the signature. */
export function signedParams(incoming: Incoming): { readonly text: string } | { readonly fault: string } {
  const { body } = incoming;
  // What is no form is covered by its hash in the URL, and the URL is signed.
  const hash = queryParameter(incoming, 'bodySHA256');
  if (hash !== undefined) {
    const actual = Buffer.from(createHash('sha256').update(body).digest('hex'));
    const given = Buffer.from(hash.toLowerCase());
    const same = given.length === actual.length && timingSafeEqual(given, actual);
    return same ? { text: '' } : { fault: 'The body does not match bodySHA256 in the URL.' };
  }
  if (body.length === 0) return { text: '' };
  // Or anybody could put any body behind a URL whose signature they have seen.
  if (!isForm(incoming)) return { fault: 'The body is no form and the URL has no bodySHA256: nothing signs it.' };
  const values = new Map<string, Set<string>>();
  let count = 0;
  for (const [name, value] of formPairs(body.toString('latin1'))) {
    if (++count === MOST_PAIRS) return { fault: `The form has more than ${MOST_PAIRS} parameters.` };
    const known = values.get(name);
    if (known) known.add(value);
    else values.set(name, new Set([value]));
  }
  const pieces: string[] = [];
  for (const name of sorted(values.keys()))
    for (const value of sorted(values.get(name) ?? [])) pieces.push(name, value);
  return { text: pieces.join('') };
}

/** By UTF-16 units of the text, as the official libraries sort; what is hashed are the bytes. */
function sorted(bytes: Iterable<string>): readonly string[] {
  const list = [...bytes].map((byte) => ({ byte, text: utf8(byte) }));
  return list.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0)).map(({ byte }) => byte);
}
