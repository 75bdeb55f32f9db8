// The opaque string that stands for a lease: it carries the positions it covers, so that the service need not remember them.
import type { Position } from '../store/backlog.ts';

export interface Lease {
  readonly consumerId: number;
  /** Random, new with every hand-out: only the latest one acks. */
  readonly token: number;
  /** By position, ascending. */
  readonly positions: readonly Position[];
}

const VERSION = 1;
const MOST_POSITIONS = 500;
const MOST_LEASE_CHARACTERS = 16_384;
/** Numbers of 48 bits: exact in JavaScript and in every database. */
export const TOKEN_BYTES = 6;
// Seven bits a byte: 2^53 needs eight of them.
const MOST_BYTES = 8;

function writeNumber(into: number[], value: number): void {
  let rest = value;
  while (rest > 127) {
    into.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  into.push(rest);
}
// Ids follow positions closely, but may step back: 0, -1, 1, -2, … become 0, 1, 2, 3, …
const folded = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);
const unfolded = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);

export function encodeLease({ consumerId, token, positions }: Lease): string {
  const bytes = [VERSION];
  for (const value of [consumerId, token, positions.length]) writeNumber(bytes, value);
  let last: Position = { pos: 0, id: 0 };
  for (const one of positions) {
    writeNumber(bytes, one.pos - last.pos);
    writeNumber(bytes, folded(one.id - last.id));
    last = one;
  }
  return Buffer.from(bytes).toString('base64url');
}

/** Undefined for a text that encodeLease() never wrote: cut off, changed, or no lease at all. */
export function decodeLease(text: string): Lease | undefined {
  if (text.length > MOST_LEASE_CHARACTERS || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  let at = 1;
  let good = bytes[0] === VERSION;
  const read = (): number => {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < MOST_BYTES; i++, factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte % 128) * factor;
      if (byte < 128) {
        good &&= Number.isSafeInteger(value);
        return value;
      }
    }
    good = false;
    return 0;
  };
  const [consumerId, token, count] = [read(), read(), read()];
  if (!good || count < 1 || count > MOST_POSITIONS) return undefined;
  const positions: Position[] = [];
  let pos = 0;
  let id = 0;
  for (let i = 0; good && i < count; i++) {
    const step = read();
    pos += step;
    id += unfolded(read());
    good &&= step > 0 && Number.isSafeInteger(pos) && Number.isSafeInteger(id) && id >= 0;
    positions.push({ pos, id });
  }
  // One text for each lease: nothing may be left over.
  const whole = good && at === bytes.length && bytes.toString('base64url') === text;
  return whole ? { consumerId, token, positions } : undefined;
}
