// Columns of the shared tables as text: names in UTF-8 or as others wrote them, and `dt` as a clock shows it.
import { isUtf8 } from 'node:buffer';
import { WINDOWS_1252_HIGH } from '../schema/windows-1252.ts';

export const fromWindows1252 = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/[\x80-\x9f]/g, (char) => WINDOWS_1252_HIGH[char.charCodeAt(0) - 0x80] as string);

/** Text of a short column: UTF-8 as we write it, windows-1252 as others may have. */
export const decodeName = (bytes: Buffer): string => (isUtf8(bytes) ? bytes.toString('utf8') : fromWindows1252(bytes));

/** `YYYY-MM-DD HH:MM:SS` in a time zone; formatted once a second, however many rows are written in it. */
export function createClockText(timeZone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  let second = -1;
  let text = '';
  return (ms) => {
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      second = now;
      text = format.format(now * 1000);
    }
    return text;
  };
}
