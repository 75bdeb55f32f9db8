// Prints rows of a Markdown table as they are measured, aligned enough to read in a terminal.
const WIDTHS = [46, 12, 12, 9, 9, 9, 10, 9];
const line = (cells: readonly string[]) =>
  console.log(`| ${cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 8)).join(' | ')} |`);

export function header(): void {
  line(['what', 'ours/s', 'against/s', 'ratio', 'p50 ms', 'p99 ms', 'CPU us', 'peak MB']);
  line(WIDTHS.map((width) => '-'.repeat(width)));
}

export interface Row {
  readonly what: string;
  readonly ours: number;
  readonly against: number;
  readonly p50ms?: number;
  readonly p99ms?: number;
  /** CPU of our process per request, microseconds. */
  readonly cpuUs?: number;
  readonly peakMb?: number;
}

const number = (value: number | undefined, digits: number) => (value === undefined ? '' : value.toFixed(digits));

export const row = ({ what, ours, against, p50ms, p99ms, cpuUs, peakMb }: Row): void =>
  line([
    what,
    number(ours, 0),
    number(against, 0),
    number(ours / against, 2),
    number(p50ms, 1),
    number(p99ms, 1),
    number(cpuUs, 0),
    number(peakMb, 0),
  ]);
