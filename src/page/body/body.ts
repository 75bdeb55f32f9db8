// A body in every form it can be shown in; each is made when it is asked for, once.
import type { Content } from '../../client/index.ts';
import { typeOf } from '../headers.ts';
import { type CodeLine, jsonLines, looksLikeMarkup, markupLines, textLines } from './code.ts';

export type Pretty =
  | { readonly kind: 'json' | 'xml'; readonly lines: readonly CodeLine[] }
  | { readonly kind: 'form'; readonly fields: readonly Field[] }
  | { readonly kind: 'multipart'; readonly parts: readonly PartOf[] };

/** `raw`: the value as it stands in the body. */
export interface Field {
  readonly name: string;
  readonly value: string;
  readonly raw: string;
}

export interface Body {
  /** What the sender said it is. */
  readonly type: string;
  readonly size: number;
  bytes(): Uint8Array<ArrayBuffer>;
  /** Undefined when the bytes are no text. */
  text(): string | undefined;
  lines(): readonly CodeLine[];
  /** Undefined when there is no better form than the text itself. */
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

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

const MOST_FIELDS = 1_000;
function fieldsOf(text: string): Field[] | undefined {
  // A form has no white space and at least one `=`: anything else is shown as it is.
  if (!/^[^\s=]*=/.test(text)) return undefined;
  return text.split('&', MOST_FIELDS).map((pair) => {
    const [name = '', ...rest] = pair.split('=');
    const raw = rest.join('=');
    return { name: decoded(name), value: decoded(raw), raw };
  });
}

function prettyOf(type: string, text: string | undefined, bytes: () => Uint8Array<ArrayBuffer>): Pretty | undefined {
  const mime = type.split(';')[0]?.trim().toLowerCase() ?? '';
  if (mime.startsWith('multipart/')) {
    const parts = multipartOf(bytes(), type);
    if (parts) return { kind: 'multipart', parts };
  }
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

function bodyFrom(type: string, size: number, text: () => string | undefined, bytes: Body['bytes']): Body {
  return {
    type,
    size,
    bytes,
    text,
    lines: once(() => textLines(text() ?? '')),
    pretty: once(() => prettyOf(type, text(), bytes)),
  };
}

export function bodyOfContent(content: Content, size: number): Body {
  const text = () => (content.encoding === 'base64' ? undefined : content.content);
  return bodyFrom(
    typeOf(content.request?.headers),
    size,
    text,
    once(() => content.bytes()),
  );
}

export function bodyOfBytes(bytes: Uint8Array, type: string): Body {
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

export interface PartOf {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const latin = new TextDecoder('latin1');
const utf8 = new TextDecoder();
const MOST_PARTS = 1_000;

/** The parts; undefined when there is no boundary or it does not occur. */
export function multipartOf(bytes: Uint8Array<ArrayBuffer>, type: string): PartOf[] | undefined {
  const [, quoted, plain] = /boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type) ?? [];
  const boundary = quoted ?? plain;
  if (!boundary) return undefined;
  // One character per byte, so that positions are those of the bytes.
  const text = latin1(bytes);
  const mark = `--${boundary}`;
  const parts: PartOf[] = [];
  let at = text.startsWith(mark) ? 0 : text.indexOf(`\r\n${mark}`) + 2;
  if (at === 1) return undefined;
  while (parts.length < MOST_PARTS) {
    const start = text.indexOf('\r\n', at + mark.length);
    if (start < 0 || text.startsWith('--', at + mark.length)) break;
    const next = text.indexOf(`\r\n${mark}`, start);
    const end = next < 0 ? bytes.length : next;
    const blank = text.indexOf('\r\n\r\n', start);
    if (blank < 0 || blank > end) break;
    const head = utf8.decode(bytes.subarray(start + 2, blank));
    parts.push({
      name: parameter(head, 'name'),
      filename: parameter(head, 'filename'),
      type: /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? '',
      bytes: bytes.subarray(blank + 4, end),
    });
    if (next < 0) break;
    at = next + 2;
  }
  return parts;
}

function latin1(bytes: Uint8Array): string {
  // TextDecoder's latin1 is windows-1252 in browsers: as long, and the same in the ASCII that is looked for.
  return latin.decode(bytes);
}

function parameter(head: string, name: string): string {
  const line = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const [, quoted, plain] = new RegExp(`[;\\s]${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]+))`, 'i').exec(line) ?? [];
  return quoted?.replace(/\\(["\\])/g, '$1') ?? plain ?? '';
}
