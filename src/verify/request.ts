// A request as it arrived, as far as a verdict needs it; and how values are read from its headers, query, form and body.
import { createHash } from 'node:crypto';
import { find, type JsonMatch, type Pointer, parsePointer } from './json.ts';

export interface Incoming {
  readonly method: string;
  /** PUBLIC_URL and the raw target as received: absolute, and what Twilio, Square and HubSpot sign. */
  readonly publicUrl: string;
  /** [name, value, name, value, …] as node:http has them: one character per byte, order and duplicates kept. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly receivedMs: number;
}

export interface Secret {
  readonly value: string;
  /** null = does not expire */
  readonly expiresMs: number | null;
}

export const sha256Text = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** The first header of this name, which must be in lower case. */
export function headerOf({ headers }: Incoming, name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}

/** The first parameter of the query of this name, decoded. The query is what follows the first question mark. */
export const queryParameter = ({ publicUrl }: Incoming, name: string): string | undefined =>
  valueIn(formPairs(/\?([^#]*)/.exec(publicUrl)?.[1] ?? ''), name);

export const isForm = (incoming: Incoming): boolean =>
  /^application\/x-www-form-urlencoded *(;|$)/i.test(headerOf(incoming, 'content-type') ?? '');

/** The secrets that had not expired when the request came. */
export const unexpired = (secrets: readonly Secret[], { receivedMs }: Incoming): readonly Secret[] =>
  secrets.filter(({ expiresMs }) => expiresMs === null || expiresMs > receivedMs);

// Forms: application/x-www-form-urlencoded text, one character per byte. No text is refused.

/** No provider sends a tenth of these: the pairs after them are not read. */
export const MOST_PAIRS = 2_000;

type Pair = readonly [name: string, value: string];

// A verdict asks several times: a body is decoded once.
const decoded = new WeakMap<Buffer, readonly Pair[]>();

/** The pairs of a body, as formPairs has them. */
export function pairsOf(body: Buffer): readonly Pair[] {
  const known = decoded.get(body);
  if (known) return known;
  const pairs = formPairs(body.toString('latin1'));
  decoded.set(body, pairs);
  return pairs;
}

/** Name and value of each pair, decoded to bytes (one character each), in the order they came. */
function formPairs(text: string): readonly Pair[] {
  const pairs: Pair[] = [];
  for (let start = 0; start <= text.length; ) {
    const found = text.indexOf('&', start);
    const end = found < 0 ? text.length : found;
    if (end > start) {
      if (pairs.length === MOST_PAIRS) break;
      const pair = text.slice(start, end);
      const equals = pair.indexOf('=');
      const cut = equals < 0 ? pair.length : equals;
      pairs.push([decodeBytes(pair.slice(0, cut)), decodeBytes(pair.slice(cut + 1))]);
    }
    start = end + 1;
  }
  return pairs;
}

/** The first value of this name, as text. */
function valueIn(pairs: readonly Pair[], name: string): string | undefined {
  const wanted = Buffer.from(name).toString('latin1');
  for (const [found, value] of pairs) if (found === wanted) return utf8(value);
  return undefined;
}

/** One character per byte, read as UTF-8. */
export const utf8 = (bytes: string): string =>
  /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');

/** One character per byte: `+` is a space, a `%` that encodes nothing stays. */
export function decodeBytes(text: string): string {
  if (!text.includes('%')) return text.includes('+') ? text.replaceAll('+', ' ') : text;
  // A replace() that calls a function for each escape takes twenty times as long.
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let byte = text.charCodeAt(at);
    if (byte === 0x2b) byte = 0x20;
    else if (byte === 0x25) {
      const value = hexDigit(text.charCodeAt(at + 1)) * 16 + hexDigit(text.charCodeAt(at + 2));
      if (value >= 0) {
        byte = value;
        at += 2;
      }
    }
    bytes[length++] = byte;
  }
  return bytes.toString('latin1', 0, length);
}
/** Below -4,000 for what is none, which makes any sum with it negative. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -4_096;
}

// Sources: where a value stands in a request, as settings say it (`header:X-Id`, `body:/id`), and how it is read.

export type Source =
  | { readonly kind: 'header'; readonly names: readonly string[]; readonly title: string }
  | { readonly kind: 'body'; readonly pointer: Pointer; readonly title: string }
  | { readonly kind: 'form' | 'query'; readonly name: string; readonly title: string }
  | { readonly kind: 'sha256'; readonly title: string };

/** The source, or a sentence that says why the text is none. */
export function parseSource(text: string): Source | string {
  if (text === 'sha256') return { kind: 'sha256', title: 'the SHA-256 of the body' };
  const colon = text.indexOf(':');
  const [kind, rest] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  if (kind === 'body') {
    const pointer = parsePointer(rest);
    return pointer ? { kind, pointer, title: `${rest} of the body` } : 'is no JSON pointer, such as body:/data/id';
  }
  if (kind === 'header') {
    const names = rest.split(',');
    if (!names.every((name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))) return 'is no name of a header';
    return { kind, names: names.map((name) => name.toLowerCase()), title: `${names.join(' or ')} header` };
  }
  if ((kind === 'form' || kind === 'query') && rest !== '')
    return { kind, name: rest, title: `${rest} of the ${kind === 'form' ? 'form' : 'query'}` };
  return 'must be header:Name, body:/json/pointer, form:Name, query:name or sha256';
}

/** Which of several names of the signature header this request uses. Its other headers are read from the same family. */
export function familyOf(source: Source, incoming: Incoming): number | undefined {
  if (source.kind !== 'header' || source.names.length === 1) return undefined;
  const found = source.names.findIndex((name) => headerOf(incoming, name) !== undefined);
  return Math.max(found, 0);
}

/** The largest body in which a value is looked for: a larger one would hold up all other requests. */
const MOST_PARSED_BYTES = 1024 * 1024;
export const isLarge = ({ body }: Incoming): boolean => body.length > MOST_PARSED_BYTES;
export const isParsed = ({ kind }: Source): boolean => kind === 'body' || kind === 'form';

/** Objects, lists and null have no text; an empty text counts as none, and so does what stands in a large body. */
export const readSource = (source: Source, incoming: Incoming, family: number | undefined): string | undefined =>
  reader(placesOf([source]), incoming, family)(source);

/** The sources that are read from one request, made ready once. */
export interface Places {
  readonly pointers: readonly Pointer[];
  readonly slots: ReadonlyMap<Source, number>;
}

export function placesOf(sources: readonly Source[]): Places {
  const bodies = sources.filter((source) => source.kind === 'body');
  return { pointers: bodies.map(({ pointer }) => pointer), slots: new Map(bodies.map((source, i) => [source, i])) };
}

/** Each source is read when it is asked for; the body is searched once for all of them. */
export function reader({ pointers, slots }: Places, incoming: Incoming, family: number | undefined) {
  let found: readonly (JsonMatch | undefined)[] | undefined;
  return (source: Source): string | undefined => {
    if (isParsed(source) && isLarge(incoming)) return undefined;
    if (source.kind !== 'body') return readOther(source, incoming, family);
    found ??= find(incoming.body, pointers);
    return textOf(found[slots.get(source) ?? -1]);
  };
}

function textOf(value: JsonMatch | undefined): string | undefined {
  if (value === undefined || value.kind === 'object' || value.kind === 'array') return undefined;
  return (value.kind === 'word' && value.text === 'null' ? '' : value.text) || undefined;
}

function readOther(
  source: Exclude<Source, { kind: 'body' }>,
  incoming: Incoming,
  family: number | undefined,
): string | undefined {
  switch (source.kind) {
    case 'header': {
      const { names } = source;
      if (family !== undefined) return headerOf(incoming, names[Math.min(family, names.length - 1)] ?? '') || undefined;
      for (const name of names) {
        const value = headerOf(incoming, name);
        if (value) return value;
      }
      return undefined;
    }
    case 'query':
      return queryParameter(incoming, source.name) || undefined;
    case 'form':
      return (isForm(incoming) && valueIn(pairsOf(incoming.body), source.name)) || undefined;
    case 'sha256':
      return sha256Text(incoming.body);
  }
}
