// The text that is signed, as settings write it: `v0:{timestamp}:{body}`, made ready once.
import { parseSource, type Source } from './source.ts';

const NAMES = ['body', 'timestamp', 'id', 'method', 'url', 'params', 'secret'] as const;
type Name = (typeof NAMES)[number];
export type Part =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: Name }
  | { readonly kind: 'read'; readonly source: Source };

// No provider needs half of this.
const MOST_PLACES = 12;
const KNOWN = '{body}, {timestamp}, {id}, {method}, {url}, {params}, {header:x} and {json:/pointer}';

/** The parts, or a sentence that says what is wrong: a slip with one brace would sign the same text every time. */
export function parseTemplate(text: string): readonly Part[] | string {
  const parts: Part[] = [];
  for (const piece of text.split(/(\{[^{}]*\})/)) {
    if (piece === '') continue;
    if (!piece.startsWith('{') || !piece.endsWith('}')) {
      if (/[{}]/.test(piece)) return 'has a brace that is not closed or not opened';
      parts.push({ kind: 'text', bytes: Buffer.from(piece) });
      continue;
    }
    const name = piece.slice(1, -1);
    const kind = NAMES.find((known) => known === name);
    if (kind) {
      parts.push({ kind });
      continue;
    }
    const place = /^(header:|json:)/.test(name) ? parseSource(name.replace(/^json:/, 'body:')) : 'unknown';
    if (typeof place === 'string') return `has ${piece}, which is none of ${KNOWN}`;
    parts.push({ kind: 'read', source: place });
  }
  return parts;
}

interface Surroundings {
  readonly coversBody: boolean;
  readonly hash: boolean;
  readonly id: boolean;
  readonly timestamp: boolean;
}

/** Why these parts must not be what is signed; undefined: they may. */
export function faultOf(parts: readonly Part[], { coversBody, hash, id, timestamp }: Surroundings): string | undefined {
  const has = (...kinds: Part['kind'][]) => parts.some(({ kind }) => kinds.includes(kind));
  // Anybody may send: a body that is signed a hundred times would hold up all others for seconds.
  for (const kind of ['body', 'params'] as const)
    if (parts.filter((part) => part.kind === kind).length > 1) return `has {${kind}} more than once`;
  if (parts.filter(({ kind }) => kind !== 'text').length > MOST_PLACES) return `has more than ${MOST_PLACES} places`;
  if (coversBody && !has('body', 'params'))
    return 'has no {body}: one signature would fit every body. Say covers_body: false if the provider does that';
  // The method and the URL are the same each time.
  if (!coversBody && !has('body', 'params', 'timestamp', 'id', 'read'))
    return 'is the same for every request: one signature would fit them all';
  if (hash && !has('secret')) return 'has no {secret}: anybody could compute the hash';
  if (!hash && has('secret')) return 'has {secret}, which is for the scheme hash alone';
  if (has('id') && !id) return 'has {id}, but verify.id does not say where it stands';
  if (has('timestamp') && !timestamp) return 'has {timestamp}, but verify.timestamp does not say where it stands';
  return undefined;
}
