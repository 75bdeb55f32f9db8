// What a verb may touch of the world: streams, environment, files, memory, signals. Tests give their own.
import { closeSync, fstatSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Memory } from '../observe/overload.ts';
import { makeFlushedFolder } from '../store/engine/files.ts';

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data for people and scripts. */
  out(data: string | Uint8Array): void;
  /**
   * Resolves when all output has been taken. Rejects with a Complaint when some of it was lost (a full disk), with Enough when
   * its reader has gone. To be awaited now and then by a verb that writes much, and before an ack of what was written.
   */
  written(): Promise<void>;
  /** Diagnostics. */
  err(text: string): void;
  /** All of standard input. */
  input(): Promise<string>;
  /** One line that a person answers. */
  ask(question: string): Promise<string>;
  /** True on a terminal, where a person can answer. */
  readonly tty: boolean;
  /** Of the terminal, in characters; without one undefined. */
  readonly width?: number | undefined;
  /** On a terminal: calls `on` with each key as it is pressed, until the function that it returns is called. */
  keys?(on: (key: string) => void): () => void;
  /** Opens a page in the browser of the person at the terminal; false when there is none. */
  browse?(url: string): Promise<boolean>;
  /** Such as 20.19.4. */
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

/** The reader of the output has closed it (`restante presets | head`): nothing is wrong, and the rest is not wanted. */
export class Enough extends Error {}

/** An error of the system, such as a full disk or a missing right, in one sentence; undefined for any other. */
export function systemFault(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  const [, words] = /^\w+: ([^,]+), /.exec(message) ?? [];
  return words === undefined ? message : `cannot ${[syscall, path].filter(Boolean).join(' ')}: ${words} (${code})`;
}

/** What cannot be undone is asked first; a script says `--yes`. */
export function mustBeAsked({ tty }: Pick<Io, 'tty'>, yes: boolean | undefined): void {
  if (!yes && !tty) throw new Complaint('there is no terminal to ask on: add --yes', 2);
}

/** Ends the verb unless the answer is yes. */
export async function insistOnYes(io: Pick<Io, 'ask'>, question: string): Promise<void> {
  if (!/^y(es)?$/i.test((await io.ask(`${question} [y/N] `)).trim()))
    throw new Complaint('not answered with yes: nothing was done');
}

/** Without control characters: a text that strangers sent could steer the terminal. */
export const plain = (text: string): string => text.replace(/\p{Cc}|\p{Bidi_Control}/gu, '?');

const COLUMNS = 80;

/** Text in lines of at most 80 columns, each but the first behind so many spaces. A word that is longer stays whole. */
export function wrapped(first: string, text: string): string {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(' ')) {
    if (line !== first && line.trim() !== '' && [...line].length + 1 + [...word].length > COLUMNS) {
      lines.push(line);
      line = ' '.repeat(first.length);
    }
    line += line === first || line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Rows as aligned columns; below each other where a terminal is narrower than they are (`width`). */
export function table(
  rows: readonly Readonly<Record<string, unknown>>[],
  columns: readonly string[],
  width = Number.POSITIVE_INFINITY,
): string {
  const cells = [columns, ...rows.map((row) => columns.map((name) => plain(String(row[name] ?? ''))))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => (line[i] as string).length)));
  if (widths.reduce((sum, one) => sum + one + 2, -2) > width) return asList(rows, columns);
  return `${cells
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}

function asList(rows: readonly Readonly<Record<string, unknown>>[], columns: readonly string[]): string {
  const widest = Math.max(...columns.map((name) => name.length));
  const one = (row: Readonly<Record<string, unknown>>): string =>
    columns.map((name) => `${name.padEnd(widest)}  ${plain(String(row[name] ?? ''))}`.trimEnd()).join('\n');
  return `${rows.map(one).join('\n\n')}\n`;
}

// Files: each has its name only when it is whole and on disk ---------------------------------------------------------

/** writeSync may write a part and return its length: so a full disk begins. */
function writeFully(fd: number, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

function told<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Complaint(`${what}: ${(error as Error).message}`);
  }
}

export const makeFolder = (path: string, mode = 0o700): void =>
  told(`${path} could not be made`, () => makeFlushedFolder(path, mode));

/** Opens a file that is called `path.part` until it is whole. */
export function openPart(path: string, mode = 0o600) {
  const part = `${path}.part`;
  const attempt = <T>(work: () => T): T => told(`${path} could not be written`, work);
  let fd: number | undefined = attempt(() => openSync(part, 'w', mode));
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    write: (data: string | Uint8Array): void => attempt(() => writeFully(fd as number, data)),
    /** It is whole: on disk, and then under its name. */
    keep: (): void =>
      attempt(() => {
        fsyncSync(fd as number);
        close();
        renameSync(part, path);
      }),
    /** It will not be whole: nothing is left of it. Does nothing to what was kept. */
    drop(): void {
      close();
      rmSync(part, { force: true });
    },
  };
}

/** Puts the names in a folder on disk: until then a crash may take files that were kept. */
export const flushFolder = (path: string): void =>
  told(`${path} could not be written`, () => {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });

/** A whole file, or none. */
export function writeWhole(path: string, data: string | Uint8Array, mode?: number): void {
  const part = openPart(path, mode);
  try {
    part.write(data);
    part.keep();
  } finally {
    part.drop();
  }
}

// Progress: a bar with an estimate on a terminal; else a line now and then, for logs ---------------------------------

const WIDTH = 30;
const REDRAW_MS = 200;
const LINE_EVERY_MS = 10_000;

export function createProgress(io: Io, title: string) {
  const began = performance.now();
  let shown = io.tty ? 0 : began;
  return {
    /** `share` of the whole that is done, 0 to 1; `what` says it in words. */
    at(share: number, what: string): void {
      const now = performance.now();
      if (now - shown < (io.tty ? REDRAW_MS : LINE_EVERY_MS)) return;
      shown = now;
      const left = share > 0 ? Math.ceil((((now - began) / share) * (1 - share)) / 1000) : undefined;
      const estimate = left === undefined ? '' : `, about ${left} s to go`;
      const done = Math.round(share * WIDTH);
      const bar = `${'#'.repeat(done)}${'.'.repeat(WIDTH - done)}`;
      const text = `${title} [${bar}] ${Math.floor(share * 100)} %, ${what}${estimate}`;
      io.err(io.tty ? `\r${text}\x1b[K` : `${text}\n`);
    },
    /** Takes the bar away. */
    end(): void {
      if (io.tty) io.err('\r\x1b[K');
    },
  };
}

// Status: the bottom line of a terminal; else a line when trouble begins or ends -------------------------------------

export type StatusLine = ReturnType<typeof createStatusLine>;

// The terminal cuts what is too long for it: a line that went on in the next row could not be erased.
const [CUT, WRAP] = ['\x1b[?7l', '\x1b[?7h'];

/** Lines go to `out`; the status line to the same terminal, as diagnostics. */
export function createStatusLine(io: Pick<Io, 'out' | 'err' | 'tty'>) {
  let shown = '';
  let told = '';
  const erase = () => shown && io.err('\r\x1b[K');
  return {
    /** Printed above the line. */
    print(text: string): void {
      erase();
      io.out(`${text}\n`);
      if (shown) io.err(shown);
    },
    /** `trouble` is empty when there is none. */
    show(trouble: string, text: string): void {
      if (!io.tty) {
        if (trouble !== told) io.err(`${new Date().toISOString()} ${trouble || 'all is well again'}\n`);
        told = trouble;
        return;
      }
      const line = `${CUT}${text}${WRAP}`;
      if (line === shown) return;
      erase();
      shown = line;
      io.err(shown);
    },
    end(): void {
      erase();
      shown = '';
    },
  };
}

// Standard output ----------------------------------------------------------------------------------------------------

/** Output to `stream`, which is the file descriptor `fd`. A failure is remembered; later output is still tried. */
export function createOut(stream: Writable, fd: number): Pick<Io, 'out' | 'written'> {
  let failure: NodeJS.ErrnoException | undefined;
  const failed = (error: NodeJS.ErrnoException | null | undefined): void => {
    failure ??= error ?? undefined;
  };
  stream.on('error', failed);
  // Node's stream to a file takes a line that was written in part for a whole one, and loses its end without an error.
  const isFile = fstatSync(fd).isFile();
  return {
    out(data) {
      if (!isFile) return void stream.write(data);
      try {
        writeFully(fd, data);
      } catch (error) {
        failed(error as Error);
      }
    },
    async written() {
      await new Promise<void>((resolve) => {
        stream.write('', (error) => {
          failed(error);
          resolve();
        });
      });
      if (failure?.code === 'EPIPE') throw new Enough();
      if (failure) throw new Complaint(`the standard output could not be written: ${failure.message}`);
    },
  };
}
