// A body in every form it can be shown in; each is made when it is asked for, once.
import { bytesOf } from '../../client/content.ts';
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
