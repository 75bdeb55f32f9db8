// A body in every form the page can show: JSON, XML, form, parts, text, hex. Each is made once, when it is first shown.
import type { Content } from '../client/index.ts';

/** [name, value] in the order of the request. */
export type HeaderList = readonly (readonly string[])[];

export const typeOf = (headers: HeaderList | undefined): string =>
  headers?.find(([name]) => name?.toLowerCase() === 'content-type')?.[1] ?? '';

const FORMS: readonly (readonly [RegExp, string])[] = [
  [/\bjson\b/i, 'JSON'],
  [/x-www-form-urlencoded/i, 'form'],
  [/^multipart\//i, 'multipart'],
  [/\bxml\b/i, 'XML'],
  [/^text\//i, 'text'],
];
/** The kind of a body by its Content-Type, in a word. */
export function formOf(headers: HeaderList | undefined): string {
  const type = typeOf(headers);
  return FORMS.find(([pattern]) => pattern.test(type))?.[1] ?? '';
}

export type Pretty =
  | { readonly kind: 'json' | 'xml'; readonly lines: readonly CodeLine[] }
  | { readonly kind: 'form'; readonly fields: readonly Field[] }
  | { readonly kind: 'multipart'; readonly parts: readonly FormPart[] };

/** `raw`: the value as it stands in the body. */
export interface Field {
  readonly name: string;
  readonly value: string;
  readonly raw: string;
}

export interface Body {
  /** The Content-Type that the sender declared. */
  readonly type: string;
  readonly size: number;
  bytes(): Uint8Array<ArrayBuffer>;
  /** Undefined when the bytes are no text. */
  text(): string | undefined;
  lines(): readonly CodeLine[];
  /** Undefined when the text itself is the best form. */
  pretty(): Pretty | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** Undefined when the bytes are not UTF-8. */
export function decode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

const mimeOf = (type: string): string => type.split(';')[0]?.trim().toLowerCase() ?? '';

const MOST_FIELDS = 1_000;
function fieldsOf(text: string): Field[] | undefined {
  // A form has no white space and at least one `=`: anything else is shown as it is.
  if (!/^[^\s=]*=/.test(text)) return undefined;
  return text.split('&', MOST_FIELDS).map((pair) => {
    // With & before it, a leading ? stays part of the name.
    const [[name, value] = ['', '']] = new URLSearchParams(`&${pair}`);
    return { name, value, raw: pair.includes('=') ? pair.slice(pair.indexOf('=') + 1) : '' };
  });
}

function prettyOf(type: string, text: string | undefined): Pretty | undefined {
  const mime = mimeOf(type);
  if (text === undefined) return undefined;
  if (mime === 'application/x-www-form-urlencoded' && !/^\s*[{[]/.test(text)) {
    const fields = fieldsOf(text);
    if (fields) return { kind: 'form', fields };
  }
  if (/^\ufeff?\s*[{["\d-]/.test(text) || /\bjson\b/.test(mime)) {
    const lines = jsonLines(text.replace(/^\ufeff/, ''));
    if (lines) return { kind: 'json', lines };
  }
  if (looksLikeMarkup(text)) return { kind: 'xml', lines: markupLines(text) };
  return undefined;
}

async function bodyFrom(
  type: string,
  size: number,
  text: () => string | undefined,
  bytes: Body['bytes'],
): Promise<Body> {
  const parts = mimeOf(type) === 'multipart/form-data' ? await partsOf(bytes(), type) : undefined;
  return {
    type,
    size,
    bytes,
    text,
    lines: once(() => textLines(text() ?? '')),
    pretty: once(() => (parts ? { kind: 'multipart', parts } : prettyOf(type, text()))),
  };
}

export function bodyOfContent(content: Content, size: number): Promise<Body> {
  const text = () => (content.encoding === 'base64' ? undefined : (content.content ?? ''));
  return bodyFrom(
    typeOf(content.request?.headers),
    size,
    text,
    once(() => (content.content === null ? new Uint8Array() : content.bytes())),
  );
}

export function bodyOfBytes(bytes: Uint8Array, type: string): Promise<Body> {
  return bodyFrom(
    type,
    bytes.length,
    once(() => decode(bytes)),
    () => bytes as Uint8Array<ArrayBuffer>,
  );
}

const hexLine = (bytes: Uint8Array, from: number): string => {
  const row = bytes.subarray(from, from + 16);
  let hex = '';
  let text = '';
  for (let i = 0; i < 16; i++) {
    const byte = row[i];
    hex += (byte === undefined ? '  ' : byte.toString(16).padStart(2, '0')) + (i === 7 ? '  ' : ' ');
    if (byte !== undefined) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·';
  }
  return `${from.toString(16).padStart(8, '0')}  ${hex} ${text}`;
};

/** `lines` lines from the start. */
export function hexText(bytes: Uint8Array, lines: number): string {
  const out: string[] = [];
  for (let from = 0; from < bytes.length && out.length < lines; from += 16) out.push(hexLine(bytes, from));
  return out.join('\n');
}

/** A value or a file of a form. */
export interface FormPart {
  readonly name: string;
  readonly filename: string;
  /** Of a file. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

// Each part may be a file that the browser keeps beside the page: a body with more of them is shown as text.
const MOST_PARTS = 1_000;

/** The parts of a form, byte for byte, split by the browser itself; undefined when the browser cannot. */
export async function partsOf(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<FormPart[] | undefined> {
  if (new TextDecoder('latin1').decode(bytes).split('\r\n--', MOST_PARTS + 1).length > MOST_PARTS) return undefined;
  const named = (text: string) => new TextDecoder().decode(unwiden(text));
  try {
    const form = await new Response(widen(bytes), { headers: { 'content-type': type } }).formData();
    return await Promise.all(
      [...form].map(async ([name, value]) => {
        if (typeof value === 'string') return { name: named(name), filename: '', type: '', bytes: unwiden(value) };
        return {
          name: named(name),
          filename: named(value.name),
          type: value.type,
          bytes: unwiden(await value.text()),
        };
      }),
    );
  } catch {
    return undefined;
  }
}

/** Each byte as the character with its number, in UTF-8: `formData()` would lose bytes of a value that is not UTF-8. */
function widen(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const wide = new Uint8Array(bytes.length * 2);
  let at = 0;
  for (const byte of bytes) {
    if (byte >= 0x80) wide[at++] = 0xc0 | (byte >> 6);
    wide[at++] = byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte;
  }
  return wide.subarray(0, at);
}

/** The bytes that those characters stand for. */
function unwiden(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// JSON, XML and plain text become lines of coloured parts. The browser parses none of it into a document.

/** `k` key, `s` string, `n` number, `l` literal, `p` punctuation, `` plain. */
type Kind = 'k' | 's' | 'n' | 'l' | 'p' | '';
interface CodePart {
  readonly kind: Kind;
  readonly text: string;
  /** The text in the body, where it differs from the shown text. */
  readonly raw?: string;
}
export interface CodeLine {
  /** Levels of nesting. */
  readonly depth: number;
  readonly parts: readonly CodePart[];
}

// A browser freezes when it has to wrap a line of megabytes: longer lines are cut, and the download has all of them.
const MOST_SHOWN = 2_000;
const cut = (text: string): string =>
  text.length > MOST_SHOWN
    ? `${text.slice(0, MOST_SHOWN)}… ${(text.length - MOST_SHOWN).toLocaleString('en')} more`
    : text;

// A body of five million brackets would be as many lines.
const MOST_LINES = 50_000;
const restNotSetOut = (characters: number): CodeLine => ({
  depth: 0,
  parts: [{ kind: 'p', text: `… ${characters.toLocaleString('en')} more characters: download the body to see them` }],
});

/** Text as lines; a very long one is broken. */
export function textLines(text: string): CodeLine[] {
  const lines: CodeLine[] = [];
  for (let at = 0; at <= text.length; ) {
    if (lines.length >= MOST_LINES) return [...lines, restNotSetOut(text.length - at)];
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found;
    const to = Math.min(end, at + MOST_SHOWN);
    lines.push({ depth: 0, parts: [{ kind: '', text: text.slice(at, to).replace(/\r$/, '') }] });
    at = to < end ? to : end + 1;
  }
  return lines;
}

const SPACE = /[ \t\r\n]*/y;
const TOKEN = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may come next: a value, the first of a list, a member's name, a colon, a comma or an end. */
type Expect = 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'after' | 'end';

/** The text as lines; undefined when it is no JSON. */
export function jsonLines(text: string): CodeLine[] | undefined {
  const lines: CodeLine[] = [];
  let parts: CodePart[] = [];
  let lineDepth = 0;
  const closers: ('}' | ']')[] = [];
  let expect: Expect = 'value';
  let at = 0;
  const newLine = () => {
    lines.push({ depth: lineDepth, parts });
    parts = [];
    lineDepth = closers.length;
  };
  const afterValue = (): Expect => (closers.length > 0 ? 'after' : 'end');
  for (;;) {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
    if (at >= text.length) break;
    const token = tokenAt(text, at);
    if (token === undefined) return undefined;
    if (lines.length >= MOST_LINES) return [...lines, restNotSetOut(text.length - at)];
    const [char] = token;
    if (char === '}' || char === ']') {
      if (closers.at(-1) !== char) return undefined;
      const empty = expect === (char === '}' ? 'firstKey' : 'first');
      if (!empty && expect !== 'after') return undefined;
      closers.pop();
      if (!empty) newLine();
      lineDepth = empty ? lineDepth : closers.length;
      parts.push({ kind: 'p', text: char });
      expect = afterValue();
    } else if (char === ',') {
      if (expect !== 'after') return undefined;
      parts.push({ kind: 'p', text: ',' });
      newLine();
      expect = closers.at(-1) === '}' ? 'key' : 'value';
    } else if (char === ':') {
      if (expect !== 'colon') return undefined;
      parts.push({ kind: 'p', text: ': ' });
      expect = 'value';
    } else if (expect === 'key' || expect === 'firstKey') {
      if (char !== '"') return undefined;
      if (expect === 'firstKey') newLine();
      parts.push({ kind: 'k', text: cut(token) });
      expect = 'colon';
    } else if (expect === 'value' || expect === 'first') {
      if (expect === 'first') newLine();
      if (char === '{' || char === '[') {
        parts.push({ kind: 'p', text: char });
        closers.push(char === '{' ? '}' : ']');
        expect = char === '{' ? 'firstKey' : 'first';
      } else {
        const kind = char === '"' ? 's' : char === 't' || char === 'f' || char === 'n' ? 'l' : 'n';
        parts.push({ kind, text: cut(token), ...(token.length > 200 ? {} : { raw: token }) });
        expect = afterValue();
      }
    } else return undefined;
    at += token.length;
  }
  if (expect !== 'end') return undefined;
  newLine();
  return lines;
}

function tokenAt(text: string, at: number): string | undefined {
  // By hand for strings: a regular expression runs out of stack on one of megabytes.
  if (text[at] === '"') {
    for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
      let slashes = 0;
      while (text[end - 1 - slashes] === '\\') slashes++;
      if (slashes % 2 === 0) return text.slice(at, end + 1);
    }
    return undefined;
  }
  TOKEN.lastIndex = at;
  return TOKEN.exec(text)?.[0];
}

const PIECE = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<[^>]*>|[^<]+/g;
const NAME = /^<\/?[^\s/>]*/;

/** The lines of a text that looks like XML. A short text stays on the line of its element. */
function markupLines(text: string): CodeLine[] {
  // The rest of a longer text is not looked at.
  const most = 2_000_000;
  const pieces = text.slice(0, most).match(PIECE) ?? [];
  const lines: CodeLine[] = [];
  let depth = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = (pieces[i] as string).trim();
    if (piece === '') continue;
    if (lines.length >= MOST_LINES) break;
    if (!piece.startsWith('<')) lines.push({ depth, parts: [{ kind: '', text: cut(piece) }] });
    else if (piece.startsWith('</')) {
      depth = Math.max(depth - 1, 0);
      lines.push({ depth, parts: tag(piece) });
    } else if (/^<[!?]/.test(piece)) lines.push({ depth, parts: [{ kind: 'p', text: cut(piece) }] });
    else if (piece.endsWith('/>')) lines.push({ depth, parts: tag(piece) });
    else {
      const inner = pieces[i + 1] ?? '';
      const end = inner.startsWith('</') ? inner : (pieces[i + 2] ?? '');
      const short = end.startsWith('</') && (end === inner || (!inner.startsWith('<') && inner.length < 200));
      if (short) {
        const middle: CodePart[] = end === inner ? [] : [{ kind: 's', text: inner.trim() }];
        lines.push({ depth, parts: [...tag(piece), ...middle, ...tag(end)] });
        i += end === inner ? 1 : 2;
      } else lines.push({ depth: depth++, parts: tag(piece) });
    }
  }
  if (text.length > most || lines.length >= MOST_LINES) lines.push(restNotSetOut(text.length));
  return lines;
}

function tag(piece: string): CodePart[] {
  const name = NAME.exec(piece)?.[0] ?? '';
  return [
    { kind: 'k', text: cut(name) },
    { kind: 'p', text: cut(piece.slice(name.length)) },
  ];
}

const looksLikeMarkup = (text: string): boolean => /^\s*<(\?xml|[A-Za-z!])/.test(text);
