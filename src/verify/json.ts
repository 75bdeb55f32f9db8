// Finds single values in the bytes of a JSON body. Numbers keep every digit, and no input makes it throw.

/** One step into an object or a list. */
interface Segment {
  readonly name: string;
  readonly bytes: Buffer;
  /** The name can be compared by its bytes: without U+FFFD, as which bytes that are no UTF-8 are read. */
  readonly plain: boolean;
  /** The name as an index of a list; -1 = it is none. */
  readonly index: number;
}
/** RFC 6901, and `*` for the only element of a list: a list with a second element has no match. */
export interface Pointer {
  readonly segments: readonly Segment[];
}
export interface JsonMatch {
  readonly kind: 'string' | 'number' | 'word' | 'object' | 'array';
  /** The characters of a string, a number as it is written, or the word true, false or null. */
  readonly text: string;
}

/** `/a/0/b`, or the empty text for the whole body. Undefined when the text is no pointer. */
export function parsePointer(text: string): Pointer | undefined {
  if (text !== '' && !text.startsWith('/')) return undefined;
  if (/~(?![01])/.test(text)) return undefined;
  const names = text.split('/').slice(1);
  const segments = names.map((raw) => {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    const plain = !name.includes('\ufffd');
    return { name, bytes: Buffer.from(name), plain, index: /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : -1 };
  });
  return { segments };
}

/** The length of the byte order mark with which some senders begin: RFC 8259 lets a reader skip it. */
export const markOf = (body: Buffer): number => (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0);

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** The value at each pointer. Of a name that occurs twice the last counts, as with JSON.parse. No values if the body is no JSON. */
export function find(body: Buffer, pointers: readonly Pointer[]): readonly (JsonMatch | undefined)[] {
  const walk = {
    body,
    pointers,
    at: markOf(body),
    taken: Array(pointers.length).fill(0),
    spans: Array(2 * pointers.length).fill(-1),
  };
  const whole = value(walk, 0) && space(body, walk.at) === body.length;
  return pointers.map((_, p) => {
    const from = whole ? (walk.spans[2 * p] ?? -1) : -1;
    return from < 0 ? undefined : read(body, from, walk.spans[2 * p + 1] ?? from);
  });
}

/** Enters only what a pointer leads into, so it goes no deeper than the longest pointer. All else is skipped as bytes. */
interface Walk {
  readonly body: Buffer;
  readonly pointers: readonly Pointer[];
  at: number;
  /** How many steps of each pointer lead to the present value. */
  readonly taken: number[];
  /** Start and end of the value of each pointer, -1 for none. */
  readonly spans: number[];
}

/** `value` and `inside` leave `at` behind what they have read; false: it is no JSON. */
function value(walk: Walk, depth: number): boolean {
  const { body, pointers, taken, spans } = walk;
  const start = space(body, walk.at);
  walk.at = start;
  let enter = false;
  for (let p = 0; p < pointers.length; p++)
    if (taken[p] === depth && (pointers[p] as Pointer).segments.length > depth) enter = true;
  if (enter && (body[start] === OPEN_OBJECT || body[start] === OPEN_LIST)) {
    if (!inside(walk, depth, body[start] === OPEN_LIST)) return false;
  } else {
    walk.at = skip(body, start);
    if (walk.at < 0) return false;
  }
  for (let p = 0; p < pointers.length; p++)
    if (taken[p] === depth && (pointers[p] as Pointer).segments.length === depth) {
      spans[2 * p] = start;
      spans[2 * p + 1] = walk.at;
    }
  return true;
}

/** The members of an object, or the elements of a list. */
function inside(walk: Walk, depth: number, list: boolean): boolean {
  const { body, pointers, taken, spans } = walk;
  const close = list ? CLOSE_LIST : CLOSE_OBJECT;
  let at = space(body, walk.at + 1);
  walk.at = at + 1;
  if (body[at] === close) return true;
  for (let index = 0; ; index++) {
    const name = at;
    let end = at;
    if (!list) {
      if (body[name] !== QUOTE) return false;
      end = endOfString(body, name);
      if (end < 0) return false;
      at = space(body, end);
      if (body[at++] !== COLON) return false;
    }
    // Once for all pointers: a stranger may send a million names.
    const escaped = !list && hasBackslash(body, name, end);
    for (let p = 0; p < pointers.length; p++) {
      const segment = (pointers[p] as Pointer).segments[depth];
      if (!segment || taken[p] !== depth) continue;
      const only = list && segment.name === '*';
      const place = only ? 0 : segment.index;
      const here = list ? place === index : isName(body, name + 1, end - 1, segment, escaped);
      if (here) taken[p] = depth + 1;
      if (here || (only && index === 1)) spans[2 * p] = -1;
    }
    walk.at = at;
    if (!value(walk, depth + 1)) return false;
    for (let p = 0; p < taken.length; p++) if (taken[p] === depth + 1) taken[p] = depth;
    at = space(body, walk.at);
    walk.at = at + 1;
    if (body[at] !== COMMA) return body[at] === close;
    at = space(body, at + 1);
  }
}

function space(body: Buffer, from: number): number {
  let at = from;
  for (; ; at++) {
    const c = body[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
  }
}

/** The position behind the closing quote; -1 when there is none. */
function endOfString(body: Buffer, from: number): number {
  for (let at = from + 1; at < body.length; at++) {
    const c = body[at];
    if (c === QUOTE) return at + 1;
    if (c === BACKSLASH) at++;
  }
  return -1;
}

/** The position behind a value that no pointer asks for; -1 when it has no end. Its content is not checked. */
function skip(body: Buffer, from: number): number {
  const first = body[from];
  if (first === QUOTE) return endOfString(body, from);
  let at = from;
  if (first !== OPEN_LIST && first !== OPEN_OBJECT) {
    while (isScalar(body[at])) at++;
    return at > from ? at : -1;
  }
  let depth = 0;
  while (at >= 0 && at < body.length) {
    const c = body[at] as number;
    if (c === QUOTE) {
      at = endOfString(body, at);
      continue;
    }
    at++;
    // The brackets of lists and objects differ in this bit alone.
    if ((c | 0x20) === OPEN_OBJECT) depth++;
    else if ((c | 0x20) === CLOSE_OBJECT && --depth === 0) return at;
  }
  return -1;
}

/** A character of a number or a word. */
const isScalar = (c: number | undefined): boolean =>
  c !== undefined &&
  ((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a) || c === 0x2d || c === 0x2b || c === 0x2e || c === 0x45);

function hasBackslash(body: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (body[i] === BACKSLASH) return true;
  return false;
}

function isName(body: Buffer, from: number, to: number, segment: Segment, escaped: boolean): boolean {
  const { name, bytes, plain } = segment;
  if (escaped || !plain) return text(body, from - 1, to + 1) === name;
  if (to - from !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (body[from + i] !== bytes[i]) return false;
  return true;
}

function read(body: Buffer, start: number, end: number): JsonMatch | undefined {
  const first = body[start];
  if (first === OPEN_OBJECT) return { kind: 'object', text: '' };
  if (first === OPEN_LIST) return { kind: 'array', text: '' };
  if (first === QUOTE) {
    const characters = text(body, start, end);
    return characters === undefined ? undefined : { kind: 'string', text: characters };
  }
  const scalar = body.toString('latin1', start, end);
  if (NUMBER.test(scalar)) return { kind: 'number', text: scalar };
  return scalar === 'true' || scalar === 'false' || scalar === 'null' ? { kind: 'word', text: scalar } : undefined;
}

/** The characters of a string that stands between quotes. */
function text(body: Buffer, start: number, end: number): string | undefined {
  let plain = true;
  for (let at = start + 1; at < end - 1; at++) if (body[at] === BACKSLASH || (body[at] as number) < 0x20) plain = false;
  if (plain) return body.toString('utf8', start + 1, end - 1);
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8', start, end));
    return typeof parsed === 'string' ? parsed : undefined;
  } catch {
    return undefined;
  }
}
