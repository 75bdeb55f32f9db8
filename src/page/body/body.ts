// A body in every form it can be shown in; each is made when it is asked for, once.
import type { Content } from '../../client/index.ts';
import { typeOf } from '../headers.ts';
import { type CodeLine, jsonLines, looksLikeMarkup, markupLines, textLines } from './code.ts';

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

const mimeOf = (type: string): string => type.split(';')[0]?.trim().toLowerCase() ?? '';

const MOST_FIELDS = 1_000;
function fieldsOf(text: string): Field[] | undefined {
  // A form has no white space and at least one `=`: anything else is shown as it is.
  if (!/^[^\s=]*=/.test(text)) return undefined;
  return text.split('&', MOST_FIELDS).map((pair) => {
    // With & before it: a ? that it begins with is part of the name.
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
  const text = () => (content.encoding === 'base64' ? undefined : content.content);
  return bodyFrom(
    typeOf(content.request?.headers),
    size,
    text,
    once(() => content.bytes()),
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

/** The parts of a form, byte for byte, as the browser itself takes it apart; undefined when it cannot. */
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

/** Each byte as the character of its number, in UTF-8: of a value that is no UTF-8, `formData()` would lose bytes. */
function widen(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const wide = new Uint8Array(bytes.length * 2);
  let at = 0;
  for (const byte of bytes) {
    if (byte >= 0x80) wide[at++] = 0xc0 | (byte >> 6);
    wide[at++] = byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte;
  }
  return wide.subarray(0, at);
}

/** The bytes that such characters stand for. */
function unwiden(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
