// What a verb may touch of the world: streams, environment, memory, signals. Tests give their own.
import type { Memory } from '../flow/pressure.ts';

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data for people and scripts. */
  out(data: string | Uint8Array): void;
  /**
   * Resolves when all of it has been taken. Rejects with a Complaint when some of it was lost (a full disk), with Enough when
   * whoever reads has gone. Who writes much waits for it now and then, who acks what it wrote does so before.
   */
  written(): Promise<void>;
  /** Diagnostics. */
  err(text: string): void;
  /** All of standard input. */
  input(): Promise<string>;
  /** One line that a person answers. */
  ask(question: string): Promise<string>;
  /** True when a person sits there. */
  readonly tty: boolean;
  /** Such as 20.19.4; left out where nobody asks. */
  readonly nodeVersion?: string;
  /** What `process` knows of its memory. */
  readonly memory: Memory;
  /** Resolves with the name of the signal that asks the program to end. */
  stopped(): Promise<string>;
}

/** An error whose text is all a person needs; no stack is shown. */
export class Complaint extends Error {
  readonly code: number;
  constructor(message: string, code = 1) {
    super(message);
    this.code = code;
  }
}

/** Whoever reads the output has seen enough (`restante presets | head`): nothing is wrong, and nobody wants the rest. */
export class Enough extends Error {}

/** What the system refuses, such as a file where there is no room or no right, in one sentence; undefined for all else. */
export function systemFault(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  const [, words] = /^\w+: ([^,]+), /.exec(message) ?? [];
  return words === undefined ? message : `cannot ${[syscall, path].filter(Boolean).join(' ')}: ${words} (${code})`;
}

/** What strangers sent may be meant for a terminal: it is shown without control characters. */
export const plain = (text: string): string => text.replace(/\p{Cc}|\p{Bidi_Control}/gu, '?');

/** Rows as aligned columns, or as JSON for scripts. */
export function table(rows: readonly Readonly<Record<string, unknown>>[], columns: readonly string[]): string {
  const cells = [columns, ...rows.map((row) => columns.map((name) => plain(String(row[name] ?? ''))))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => (line[i] as string).length)));
  return `${cells
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}
