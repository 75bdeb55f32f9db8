// A request as it arrived, as far as a verdict needs it; and how values are read from its headers, query, form and body.
import { createHash, type KeyObject } from 'node:crypto';
import { find, type JsonMatch, type Pointer, parsePointer } from './json.ts';
import { boundaryOf, type MultipartField, parseMultipart } from './multipart.ts';
import { atOnce, type Sliced } from './slices.ts';

export interface Incoming {
  readonly method: string;
  /** PUBLIC_URL and the raw target as received: absolute, and what Twilio, Square and HubSpot sign. */
  readonly publicUrl: string;
  /** [name, value, name, value, …] as node:http has them: one character per byte, order and duplicates kept. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** The body without its Content-Encoding, once it is decoded: values are looked for in it. */
  readonly decoded?: Buffer | undefined;
  readonly receivedMs: number;
  /** The certificates that are at hand, by their URLs; undefined: none. */
  readonly certificates?: Certificates | undefined;
}

/** What a URL of a certificate led to: a key and when it counts, or why it proves nothing. */
export type Certificate =
  | { readonly key: KeyObject; readonly fromMs: number; readonly toMs: number }
  | { readonly fault: string };
export interface Certificates {
  get(url: string): Certificate | undefined;
}

/** The bytes in which values are looked for. */
export const plainBody = ({ body, decoded }: Incoming): Buffer => decoded ?? body;

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

// Forms: application/x-www-form-urlencoded text, one character per byte, of which no text is refused; or multipart/form-data.

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

const parts = new WeakMap<Buffer, readonly MultipartField[]>();

/** Reads the fields of a multipart body, which takes long when it is large: what asks for them later has them at once. */
export function* readParts(incoming: Incoming): Sliced<readonly MultipartField[]> {
  const body = plainBody(incoming);
  const boundary = boundaryOf(headerOf(incoming, 'content-type') ?? '');
  if (!boundary) return [];
  const known = parts.get(body);
  if (known) return known;
  const fields = (yield* parseMultipart(body, boundary)) ?? [];
  parts.set(body, fields);
  return fields;
}

/** The bytes of the first field of this name, in a form of either kind. */
function fieldOf(incoming: Incoming, name: string): Buffer | undefined {
  const wanted = Buffer.from(name).toString('latin1');
  if (isForm(incoming)) {
    const pair = isLarge(incoming) ? undefined : pairsOf(plainBody(incoming)).find(([found]) => found === wanted);
    return pair && Buffer.from(pair[1], 'latin1');
  }
  return atOnce(readParts(incoming)).find((field) => field.name === wanted)?.value;
}

// Sources: where a value stands in a request, as settings say it (`header:X-Id`, `body:/id`), and how it is read.

/** A place, or several of which the first that has something counts. */
export type Source = Place | { readonly kind: 'either'; readonly places: readonly Place[]; readonly title: string };
type Place =
  /** `names` in lower case, as they are looked for; `written` as the provider writes them. */
  | {
      readonly kind: 'header';
      readonly names: readonly string[];
      readonly written: readonly string[];
      readonly title: string;
    }
  | { readonly kind: 'body'; readonly pointer: Pointer; readonly title: string }
  /** With a pointer: a value in the JSON of the field. */
  | { readonly kind: 'form' | 'query'; readonly name: string; readonly pointer?: Pointer; readonly title: string }
  | { readonly kind: 'sha256'; readonly title: string };

const alternatives = (source: Source): readonly Place[] => (source.kind === 'either' ? source.places : [source]);

// No provider needs half of these.
const MOST_ALTERNATIVES = 8;

/** The source, or a sentence that says why the text is none. */
export function parseSource(text: string): Source | string {
  const texts = text.split(' | ');
  if (texts.length === 1) return parsePlace(text);
  if (texts.length > MOST_ALTERNATIVES) return `has more than ${MOST_ALTERNATIVES} places`;
  const places: Place[] = [];
  for (const one of texts) {
    const place = parsePlace(one);
    if (typeof place === 'string') return place;
    places.push(place);
  }
  return { kind: 'either', places, title: places.map(({ title }) => title).join(' or ') };
}

function parsePlace(text: string): Place | string {
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
    const shown = names.length > 3 ? `${names[0]} to ${names.at(-1)}` : names.join(' or ');
    return { kind, names: names.map((name) => name.toLowerCase()), written: names, title: `${shown} header` };
  }
  if ((kind === 'form' || kind === 'query') && rest !== '') {
    const title = `${rest} of the ${kind === 'form' ? 'form' : 'query'}`;
    const hash = rest.indexOf('#');
    if (hash < 0) return { kind, name: rest, title };
    const pointer = parsePointer(rest.slice(hash + 1));
    const name = rest.slice(0, hash);
    return pointer && name !== ''
      ? { kind, name, pointer, title }
      : `is no field and JSON pointer, such as ${kind}:payload#/id`;
  }
  return 'must be header:Name, body:/json/pointer, form:Name, query:name or sha256';
}

/** Which of several names of the signature header this request uses. Its other headers are read from the same family. */
export function familyOf(source: Source, incoming: Incoming): number | undefined {
  if (source.kind !== 'header' || source.names.length === 1) return undefined;
  const found = source.names.findIndex((name) => headerOf(incoming, name) !== undefined);
  return Math.max(found, 0);
}

/** The largest JSON, form or field in which a value is looked for: a larger one would hold up all other requests. */
const MOST_PARSED_BYTES = 1024 * 1024;
export const isLarge = (incoming: Incoming): boolean => plainBody(incoming).length > MOST_PARSED_BYTES;

/** The value may be there, but is too large to be read, or stands in what is too large. */
export const isUnread = (source: Source, incoming: Incoming): boolean =>
  isLarge(incoming) &&
  alternatives(source).some((place) => {
    if (place.kind !== 'form') return place.kind === 'body';
    return isForm(incoming) || (fieldOf(incoming, place.name)?.length ?? 0) > MOST_PARSED_BYTES;
  });

/** Objects, lists and null have no text; an empty text counts as none, and so does what is too large to be read. */
export const readSource = (source: Source, incoming: Incoming, family: number | undefined): string | undefined =>
  reader(placesOf([source]), incoming, family)(source);

/** The bytes of a value as it was sent: what is signed need not be UTF-8. `read` reads from this request. */
export function readBytes(
  source: Source,
  incoming: Incoming,
  read: (source: Source) => string | undefined,
): Buffer | undefined {
  for (const place of alternatives(source)) {
    const text = read(place);
    if (text === undefined) continue;
    // Headers have one character per byte; texts of a body or a query have been decoded.
    if (place.kind === 'header') return Buffer.from(text, 'latin1');
    return (place.kind === 'form' && !place.pointer && fieldOf(incoming, place.name)) || Buffer.from(text);
  }
  return undefined;
}

/** The sources that are read from one request, made ready once: all that stand in the same JSON are looked for at once. */
export interface Places {
  readonly documents: readonly { readonly within: Field | undefined; readonly pointers: readonly Pointer[] }[];
  readonly slots: ReadonlyMap<Place, readonly [document: number, pointer: number]>;
  /** A form is read, of whichever kind. */
  readonly forms: boolean;
}
type Field = Extract<Place, { kind: 'form' | 'query' }>;

export function placesOf(sources: readonly Source[]): Places {
  const documents: { within: Field | undefined; pointers: Pointer[] }[] = [];
  const slots = new Map<Place, readonly [number, number]>();
  const all = sources.flatMap(alternatives);
  for (const source of all) {
    if (!('pointer' in source) || !source.pointer) continue;
    const within = source.kind === 'body' ? undefined : source;
    const found = documents.findIndex((one) => one.within?.kind === within?.kind && one.within?.name === within?.name);
    const at = found < 0 ? documents.push({ within, pointers: [] }) - 1 : found;
    slots.set(source, [at, (documents[at]?.pointers.push(source.pointer) ?? 0) - 1]);
  }
  return { documents, slots, forms: all.some(({ kind }) => kind === 'form') };
}

/** Each source is read when it is asked for; JSON is searched once for all of them. */
export function reader({ documents, slots }: Places, incoming: Incoming, family: number | undefined) {
  const found: (readonly (JsonMatch | undefined)[])[] = [];
  const read = (source: Source): string | undefined => {
    if (source.kind === 'either') {
      for (const place of source.places) {
        const text = read(place);
        if (text !== undefined) return text;
      }
      return undefined;
    }
    const slot = slots.get(source);
    if (!slot) return readOther(source, incoming, family);
    const [document, pointer] = slot;
    const { within, pointers } = documents[document] as Places['documents'][number];
    found[document] ??= find(jsonOf(within, incoming), pointers);
    return textOf(found[document]?.[pointer]);
  };
  return read;
}

const NOTHING = Buffer.alloc(0);

function jsonOf(within: Field | undefined, incoming: Incoming): Buffer {
  if (!within) return isLarge(incoming) ? NOTHING : plainBody(incoming);
  const field =
    within.kind === 'form' ? fieldOf(incoming, within.name) : Buffer.from(queryParameter(incoming, within.name) ?? '');
  return field && field.length <= MOST_PARSED_BYTES ? field : NOTHING;
}

function textOf(value: JsonMatch | undefined): string | undefined {
  if (value === undefined || value.kind === 'object' || value.kind === 'array') return undefined;
  return (value.kind === 'word' && value.text === 'null' ? '' : value.text) || undefined;
}

function readOther(source: Place, incoming: Incoming, family: number | undefined): string | undefined {
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
    case 'form': {
      const value = fieldOf(incoming, source.name);
      return value && value.length <= MOST_PARSED_BYTES ? value.toString('utf8') || undefined : undefined;
    }
    case 'sha256':
      return sha256Text(incoming.body);
    case 'body':
      // Only what placesOf has made ready is read from a body.
      return undefined;
  }
}
