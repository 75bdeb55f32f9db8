// Finds single values in the bytes of a JSON body: numbers keep every digit, and nothing it is given makes it throw.

/** One step into an object or a list. */
interface Segment {
  readonly name: string;
  readonly bytes: Buffer;
  /** Its place, when it can be one of a list; -1 = cannot. */
  readonly index: number;
}
/** RFC 6901, and `*` for the only element of a list: with a second one there is no answer. */
export interface Pointer {
  readonly segments: readonly Segment[];
}
export interface Found {
  readonly kind: 'string' | 'number' | 'word' | 'object' | 'array';
  /** Of a string its characters, of a number its digits as they stand, of true, false and null the word. */
  readonly text: string;
}

/** `/a/0/b`, and the empty text for the whole body. Undefined when it is none. */
export function parsePointer(text: string): Pointer | undefined {
  if (text !== '' && !text.startsWith('/')) return undefined;
  if (/~(?![01])/.test(text)) return undefined;
  const names = text.split('/').slice(1);
  const segments = names.map((raw) => {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    return { name, bytes: Buffer.from(name), index: /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : -1 };
  });
  return { segments };
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const OBJECT = -1;

/** What stands at each pointer. Of a name that stands twice the last counts, as with JSON.parse; undefined where the body is no JSON. */
export function find(body: Buffer, pointers: readonly Pointer[]): readonly (Found | undefined)[] {
  const spans = scan(body, pointers);
  return pointers.map((_, p) => {
    const start = spans?.[2 * p] ?? -1;
    return start < 0 ? undefined : read(body, start, spans?.[2 * p + 1] ?? start);
  });
}

/** Start and end of each value, -1 where there is none; undefined when the body is no JSON. */
function scan(body: Buffer, pointers: readonly Pointer[]): number[] | undefined {
  const spans = pointers.flatMap(() => [-1, -1]);
  /** How many steps of each pointer the place we are at has taken. */
  const taken = pointers.map(() => 0);
  /** Containers that are open: of a list the place we are at, else OBJECT. No recursion: bodies may be a million lists deep. */
  const open: number[] = [];
  const end = body.length;
  // Some senders begin with a byte order mark.
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  let escaped = false;

  const space = () => {
    while (at < end) {
      const c = body[at];
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      at++;
    }
  };
  /** From one quote behind the other; false when there is none. */
  const string = (): boolean => {
    escaped = false;
    for (at++; at < end; at++) {
      const c = body[at];
      if (c === QUOTE) {
        at++;
        return true;
      }
      if (c === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    return false;
  };
  const step = (name: number | undefined, from: number, to: number) => {
    const depth = open.length;
    for (let p = 0; p < pointers.length; p++) {
      const segment = (pointers[p] as Pointer).segments[depth - 1];
      if (!segment || taken[p] !== depth - 1) continue;
      const only = name !== undefined && segment.name === '*';
      const same =
        name === undefined ? isName(body, from, to, escaped, segment) : only ? name === 0 : segment.index === name;
      if (same) taken[p] = depth;
      if (same || (only && name === 1)) spans[2 * p] = -1;
    }
  };
  /** The name of a member and its colon; false when that is not what stands here. */
  const member = (): boolean => {
    space();
    if (body[at] !== QUOTE) return false;
    const from = at + 1;
    if (!string()) return false;
    step(undefined, from, at - 1);
    space();
    return body[at++] === COLON;
  };

  for (;;) {
    space();
    const start = at;
    const c = body[at];
    const depth = open.length;
    let inside = false;
    if (c === OPEN_OBJECT || c === OPEN_LIST) {
      open.push(c === OPEN_OBJECT ? OBJECT : 0);
      at++;
      space();
      inside = body[at] !== (c === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST);
      if (!inside) {
        at++;
        open.pop();
      }
    } else if (c === QUOTE) {
      if (!string()) return undefined;
    } else {
      while (at < end && isScalar(body[at] as number)) at++;
      if (at === start) return undefined;
    }
    for (let p = 0; p < pointers.length; p++)
      if (taken[p] === depth && (pointers[p] as Pointer).segments.length === depth) {
        spans[2 * p] = start;
        spans[2 * p + 1] = at;
      }
    if (inside) {
      if (c === OPEN_LIST) step(0, 0, 0);
      else if (!member()) return undefined;
      continue;
    }
    // Behind a value: the next one, or the end of what it stands in.
    for (;;) {
      space();
      const within = open.length;
      if (within === 0) return at === end ? spans : undefined;
      for (let p = 0; p < taken.length; p++) if (taken[p] === within) taken[p] = within - 1;
      const place = open[within - 1] as number;
      const next = body[at++];
      if (next === COMMA) {
        if (place !== OBJECT) {
          open[within - 1] = place + 1;
          step(place + 1, 0, 0);
        } else if (!member()) return undefined;
        break;
      }
      if (next !== (place === OBJECT ? CLOSE_OBJECT : CLOSE_LIST)) return undefined;
      open.pop();
    }
  }
}

/** What numbers and words are made of. */
const isScalar = (c: number): boolean =>
  (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a) || c === 0x2d || c === 0x2b || c === 0x2e || c === 0x45;

function isName(body: Buffer, from: number, to: number, escaped: boolean, { name, bytes }: Segment): boolean {
  // Bytes that are no UTF-8 read as U+FFFD, and only then can a name differ in its bytes without an escape.
  if (escaped || name.includes('\ufffd')) return text(body, from - 1, to + 1) === name;
  if (to - from !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (body[from + i] !== bytes[i]) return false;
  return true;
}

function read(body: Buffer, start: number, end: number): Found | undefined {
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
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8', start, end));
    return typeof parsed === 'string' ? parsed : undefined;
  } catch {
    return undefined;
  }
}
