// Reads application/x-www-form-urlencoded text, one character per byte, without ever refusing any of it.

/** More pairs than this no provider sends: what comes after them is not read. */
export const MOST_PAIRS = 10_000;

/** Name and value of each pair, decoded to bytes (one character each), in the order they came. */
export function* formPairs(text: string): Generator<readonly [string, string]> {
  let count = 0;
  for (let start = 0; start <= text.length; ) {
    const found = text.indexOf('&', start);
    const end = found < 0 ? text.length : found;
    if (end > start) {
      if (++count > MOST_PAIRS) return;
      const equals = text.indexOf('=', start);
      const cut = equals < 0 || equals > end ? end : equals;
      yield [decodeBytes(text.slice(start, cut)), decodeBytes(text.slice(Math.min(cut + 1, end), end))];
    }
    start = end + 1;
  }
}

/** The first value of this name, as text. */
export function decodeForm(text: string, name: string): string | undefined {
  const wanted = Buffer.from(name).toString('latin1');
  for (const [found, value] of formPairs(text)) if (found === wanted) return utf8(value);
  return undefined;
}

/** One character per byte, read as UTF-8. */
export const utf8 = (bytes: string): string =>
  /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');

/** One character per byte: `+` is a space, a `%` that encodes nothing stays. */
export function decodeBytes(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
