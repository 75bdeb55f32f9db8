// A body in every form it can be shown in; each is made when it is asked for, once.
import type { Content } from '../wire.ts';
import { type Line, textLines } from './code.ts';
import { jsonLines } from './json.ts';
import { looksLikeMarkup, markupLines } from './markup.ts';
import { multipartOf, type PartOf } from './multipart.ts';

export type Pretty =
  | { readonly kind: 'json' | 'xml'; readonly lines: readonly Line[] }
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
  lines(): readonly Line[];
  /** Undefined when there is no better form than the text itself. */
  pretty(): Pretty | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// The 32 characters in which windows-1252 differs from ISO 8859-1, as the service writes them.
const HIGH =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

function bytesOf({ content, encoding }: Pick<Content, 'content' | 'encoding'>): Uint8Array<ArrayBuffer> {
  if (encoding === 'utf-8') return new TextEncoder().encode(content);
  if (encoding === 'base64') return Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  return Uint8Array.from(content, (char) => {
    const high = HIGH.indexOf(char);
    return high < 0 ? char.charCodeAt(0) : 0x80 + high;
  });
}

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

export const typeOf = (headers: readonly (readonly string[])[] | undefined): string =>
  headers?.find(([name]) => name?.toLowerCase() === 'content-type')?.[1] ?? '';

export function bodyOfContent(content: Content, size: number): Body {
  const text = () => (content.encoding === 'base64' ? undefined : content.content);
  return bodyFrom(
    typeOf(content.request?.headers),
    size,
    text,
    once(() => bytesOf(content)),
  );
}

export function bodyOfBytes(bytes: Uint8Array<ArrayBuffer>, type: string): Body {
  return bodyFrom(
    type,
    bytes.length,
    once(() => decode(bytes)),
    () => bytes,
  );
}
