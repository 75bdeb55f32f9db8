// Prints rows of a Markdown table as they are measured, aligned enough to read in a terminal.
const WIDTHS = [46, 12, 12, 9, 9, 9, 10, 9];
const FIGURES = [64, 16, 14, 6];
const line = (cells: readonly string[], widths: readonly number[]) =>
  console.log(`| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 8)).join(' | ')} |`);
const rule = (widths: readonly number[]) =>
  line(
    widths.map((width) => '-'.repeat(width)),
    widths,
  );

export function header(): void {
  line(['what', 'ours/s', 'against/s', 'ratio', 'p50 ms', 'p99 ms', 'CPU us', 'peak MB'], WIDTHS);
  rule(WIDTHS);
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
  line(
    [
      what,
      number(ours, 0),
      number(against, 0),
      number(ours / against, 2),
      number(p50ms, 1),
      number(p99ms, 1),
      number(cpuUs, 0),
      number(peakMb, 0),
    ],
    WIDTHS,
  );

export function figures(): void {
  line(['what', 'measured', 'target', ''], FIGURES);
  rule(FIGURES);
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly digits?: number;
  /** Left out: told, not judged. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One figure and what was set out to be reached. */
export function figure({ what, value, unit, digits = 1, atMost, atLeast }: Figure): void {
  const target = atMost !== undefined ? `<= ${atMost} ${unit}` : atLeast !== undefined ? `>= ${atLeast} ${unit}` : '';
  const met = atMost !== undefined ? value <= atMost : atLeast !== undefined ? value >= atLeast : undefined;
  line([what, `${value.toFixed(digits)} ${unit}`, target, met === undefined ? '' : met ? 'met' : 'MISSED'], FIGURES);
}
