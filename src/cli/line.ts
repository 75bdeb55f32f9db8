// How a webhook looks on a terminal: one line for each, in one look for `forward` and `serve`, that fits 80 columns.
import { type Io, plain } from './io.ts';

const WIDTHS = { id: 9, webhook: 13, what: 21, outcome: 4, ms: 7, size: 6 } as const;
const CODES = { good: 32, bad: 31, faint: 2 } as const;

/** What a line says; what is not known is left out. */
export interface Line {
  readonly at: Date;
  readonly id: number;
  readonly webhook: string;
  /** The type of its event, or its method and path. */
  readonly what: string;
  /** A status, or a word. */
  readonly outcome: string;
  readonly good: boolean;
  readonly ms?: number;
  readonly bytes: number;
  /** Put behind the rest. */
  readonly more?: string;
}

export type Look = ReturnType<typeof createLook>;

/** Colours are for a terminal, and not for those who set NO_COLOR (no-color.org). */
export function createLook({ tty, env }: Pick<Io, 'tty' | 'env'>) {
  const coloured = tty && !env.NO_COLOR && env.TERM !== 'dumb';
  const paint = (text: string, code: keyof typeof CODES): string =>
    coloured && text ? `\x1b[${CODES[code]}m${text}\x1b[0m` : text;
  return {
    paint,
    line({ at, id, webhook, what, outcome, good, ms, bytes, more }: Line): string {
      const cells = [
        paint(timeOf(at), 'faint'),
        cell(`#${id}`, WIDTHS.id),
        cell(webhook, WIDTHS.webhook),
        cell(what, WIDTHS.what),
        paint(cell(outcome, WIDTHS.outcome), good ? 'good' : 'bad'),
        ...(ms === undefined ? [] : [`${ms} ms`.padStart(WIDTHS.ms)]),
        sizeOf(bytes).padStart(WIDTHS.size),
        ...(more ? [more] : []),
      ];
      return cells.join(' ').trimEnd();
    },
  };
}

/** By the clock on the wall beside the terminal. */
const timeOf = (at: Date): string => at.toTimeString().slice(0, 8);

/** Cut or filled up to a width; without control characters. */
function cell(text: string, width: number): string {
  const signs = [...plain(text)];
  return signs.length > width ? `${signs.slice(0, width - 1).join('')}…` : plain(text).padEnd(width);
}

export function sizeOf(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const [value, unit] = bytes < 1_000_000 ? [bytes / 1_000, 'KB'] : [bytes / 1_000_000, 'MB'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** How long ago, in the largest unit that says enough: `45 s`, `12 min`, `3 h`, `5 days`. */
export function ageOf(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** The event's type, else the method and what followed the key in the URL. */
export const whatOf = (type: string | null | undefined, method: string, rest: string): string =>
  type || `${method} ${rest}`.trim();

/** `invoice.*` as a test of an event's type: `*` stands for any characters, also for none. */
export function globOf(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const test = new RegExp(`^${parts.join('.*')}$`, 's');
  return (text) => test.test(text);
}
