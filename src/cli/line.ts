// How a webhook looks on a terminal: one line for each, in one look for `forward` and `serve`, that fits 80 columns.
import { decodeHead, splitTarget } from '../http/head.ts';
import type { Log } from '../observe/log.ts';
import { type Io, plain } from './io.ts';

const WIDTHS = { id: 9, webhook: 13, what: 21, outcome: 4, ms: 7, size: 6 } as const;
const CODES = { good: 32, bad: 31, warned: 33, faint: 2 } as const;

/** What a line says; what is not known is left out. */
export interface Line {
  readonly at: Date;
  readonly id: number;
  readonly webhook: string;
  /** The type of its event, or its method and path. */
  readonly what: string;
  /** A status, a word, or nothing. */
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
        ...(outcome ? [paint(cell(outcome, WIDTHS.outcome), good ? 'good' : 'bad')] : []),
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

function sizeOf(bytes: number): string {
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

// `serve` on a terminal: what it logs, and what it receives, for a person -------------------------------------------

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** A log for a person; where nobody looks on, it is JSON. `level`: what is less is not told. */
export function createTerminalLog(io: Pick<Io, 'out' | 'tty' | 'env'>, level: string): Log {
  const { paint } = createLook(io);
  const least = LEVELS.indexOf(level as (typeof LEVELS)[number]);
  const write =
    (one: (typeof LEVELS)[number]) =>
    (data: object, message: string): void => {
      if (least < 0 || LEVELS.indexOf(one) < least) return;
      const said = Object.entries(data).map(([name, value]) => `${name}: ${wordsOf(value)}`);
      const color = one === 'error' ? 'bad' : one === 'warn' ? 'warned' : 'faint';
      const more = said.length > 0 ? paint(` (${plain(said.join(', '))})`, 'faint') : '';
      io.out(`${paint(timeOf(new Date()), 'faint')} ${paint(one.padEnd(5), color)} ${plain(message)}${more}\n`);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

const wordsOf = (value: unknown): string =>
  value instanceof Error ? value.message : typeof value === 'object' ? JSON.stringify(value) : String(value);

// A person reads no more, and a terminal that takes more slows the service down.
const SHOWN_AT_ONCE = 10;
const SHOW_EVERY_MS = 250;
const MOST_NAMES = 1_000;

/** What a line needs of a content that was stored. */
export interface Arrived {
  readonly user_id: number;
  readonly wh_id: number;
  readonly content: Buffer;
  readonly received_ms: number;
  readonly head: Buffer | null;
  readonly judged: { readonly verified: string; readonly event_type: string | null } | null;
}

/** Prints a line for each webhook that was received; of many at once the first ones, and how many more there are. */
export function createArrivals(io: Pick<Io, 'out' | 'tty' | 'env'>, nameOf: (one: Arrived) => Promise<string>) {
  const look = createLook(io);
  const names = new Map<number, string>();
  let waiting: { readonly id: number; readonly row: Arrived }[] = [];
  let more = 0;
  let showing: Promise<void> | undefined;

  async function nameIn(row: Arrived): Promise<string> {
    if (row.wh_id === 0) return 'own content';
    const known = names.get(row.wh_id);
    if (known !== undefined) return known;
    if (names.size >= MOST_NAMES) names.clear();
    const name = await nameOf(row).catch(() => '');
    names.set(row.wh_id, name);
    return name;
  }
  async function show(): Promise<void> {
    const [some, others] = [waiting, more];
    waiting = [];
    more = 0;
    for (const { id, row } of some) {
      const { method, target } = row.head ? decodeHead(row.head) : { method: 'POST', target: '' };
      const rest = splitTarget(target)?.rest ?? '';
      const { verified = 'none', event_type = null } = row.judged ?? {};
      const line = {
        ...{ at: new Date(row.received_ms), id, bytes: row.content.length, outcome: '', good: true },
        webhook: (await nameIn(row)) || `webhook ${row.wh_id}`,
        what: whatOf(event_type, method, rest),
        more: verified === 'none' ? '' : verified,
      };
      io.out(`${look.line(line)}\n`);
    }
    if (others > 0) io.out(`${look.paint(`… and ${others} more`, 'faint')}\n`);
  }
  const timer = setInterval(() => {
    if (waiting.length > 0 && !showing)
      showing = show().finally(() => {
        showing = undefined;
      });
  }, SHOW_EVERY_MS);
  timer.unref();
  return (rows: readonly Arrived[], ids: readonly number[]): void => {
    for (const [i, row] of rows.entries())
      if (waiting.length < SHOWN_AT_ONCE) waiting.push({ id: ids[i] as number, row });
      else more++;
  };
}
