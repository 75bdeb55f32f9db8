// Finds the fields of a multipart/form-data body (RFC 7578), byte for byte and in slices; files are passed over.
import type { Sliced } from './slices.ts';

/** A value that is no file. */
export interface MultipartField {
  /** One character per byte. */
  readonly name: string;
  readonly value: Buffer;
}

// No provider sends a tenth of these: a body with more parts, or with a longer head of a part, has no fields.
const MOST_PARTS = 1_000;
const MOST_HEAD = 8 * 1024;
// A JavaScript loop looks at so many bytes in less than a millisecond; then the others may go on.
const SLICE_BYTES = 128 * 1024;

const [CR, LF, DASH, SPACE, TAB] = [0x0d, 0x0a, 0x2d, 0x20, 0x09];
const HEAD_END = Buffer.from('\r\n\r\n');

/** The boundary of a multipart/form-data body by its Content-Type; undefined: it is none. */
export function boundaryOf(contentType: string): Buffer | undefined {
  if (!/^multipart\/form-data *;/i.test(contentType)) return undefined;
  const boundary = parametersOf(contentType).get('boundary');
  // RFC 2046: 1 to 70 characters, among them no line break, so that two places where it stands never overlap.
  return boundary !== undefined && /^[\x20-\x7e]{1,70}$/.test(boundary) ? Buffer.from(boundary, 'latin1') : undefined;
}

/** The fields in the order they came; undefined when the body is cut off or is no multipart body. */
export function* parseMultipart(body: Buffer, boundary: Buffer): Sliced<readonly MultipartField[] | undefined> {
  const fields: MultipartField[] = [];
  // The first line of a body may be a delimiter without a line break before it.
  let delimiter = delimiterAt(body, -2, boundary) ?? (yield* findDelimiter(body, 0, boundary));
  for (let count = 0; delimiter && count < MOST_PARTS; count++) {
    if (delimiter.last) return fields;
    // A part without a head begins with an empty line, which the line break of the delimiter ends, too.
    const at = delimiter.end;
    const head = body.subarray(at, at + MOST_HEAD).indexOf(HEAD_END);
    if (head < 0) return undefined;
    const from = at + head + HEAD_END.length;
    const name = fieldName(body.toString('latin1', at + 2, Math.max(at + 2, at + head)));
    // A part without content ends with the line break of its head.
    delimiter = yield* findDelimiter(body, from - 2, boundary);
    if (delimiter && name !== undefined)
      fields.push({ name, value: body.subarray(from, Math.max(from, delimiter.start)) });
    yield;
  }
  return undefined;
}

/** A line with the boundary. `start`: the line break before it; `end`: the one behind it. */
interface Delimiter {
  readonly start: number;
  readonly end: number;
  /** No part follows. */
  readonly last: boolean;
}

/** The next delimiter. A byte is looked at twice at most: what looks like a delimiter has no line break inside. */
function* findDelimiter(body: Buffer, from: number, boundary: Buffer): Sliced<Delimiter | undefined> {
  for (let at = from; at < body.length; ) {
    const until = Math.min(body.length, at + SLICE_BYTES);
    const found = delimiterIn(body, at, until, boundary);
    if (found) return found;
    at = until;
    yield;
  }
  return undefined;
}

/** The first delimiter that begins between two positions. */
function delimiterIn(body: Buffer, from: number, until: number, boundary: Buffer): Delimiter | undefined {
  for (let at = from; at < until; at++) {
    if (body[at] !== CR || body[at + 1] !== LF) continue;
    const found = delimiterAt(body, at, boundary);
    if (found) return found;
  }
  return undefined;
}

/** The delimiter whose line break before it stands here. Spaces may follow the boundary; any other text makes it none. */
function delimiterAt(body: Buffer, start: number, boundary: Buffer): Delimiter | undefined {
  let at = start + 2;
  if (body[at] !== DASH || body[at + 1] !== DASH) return undefined;
  at += 2;
  for (let i = 0; i < boundary.length; i++, at++) if (body[at] !== boundary[i]) return undefined;
  if (body[at] === DASH && body[at + 1] === DASH) return { start, end: at, last: true };
  while (body[at] === SPACE || body[at] === TAB) at++;
  return body[at] === CR && body[at + 1] === LF ? { start, end: at, last: false } : undefined;
}

/** The name of a field by the head of its part; undefined: a file, or no part of a form. */
function fieldName(head: string): string | undefined {
  const line = head.split('\r\n').find((one) => /^content-disposition:/i.test(one));
  const value = line?.slice('content-disposition:'.length).trim() ?? '';
  if (!/^form-data *;/i.test(value)) return undefined;
  const parameters = parametersOf(value);
  return parameters.has('filename') || parameters.has('filename*') ? undefined : parameters.get('name');
}

const PARAMETER = /[ \t]*;[ \t]*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/y;
// How browsers write what a quoted name must not hold, by the HTML standard.
const ESCAPES: Readonly<Record<string, string>> = { '%22': '"', '%0D': '\r', '%0A': '\n' };

/** The parameters of a header, by their names in lower case. Of a name that occurs twice the first counts. */
function parametersOf(value: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = Math.max(value.indexOf(';'), 0);
  for (let match = PARAMETER.exec(value); match; match = PARAMETER.exec(value)) {
    const [, name = '', quoted, plain = ''] = match;
    const text = quoted === undefined ? plain : quoted.replace(/\\(["\\])/g, '$1');
    const key = name.toLowerCase();
    if (!parameters.has(key))
      parameters.set(
        key,
        text.replace(/%(22|0D|0A)/gi, (code) => ESCAPES[code.toUpperCase()] ?? code),
      );
  }
  return parameters;
}
