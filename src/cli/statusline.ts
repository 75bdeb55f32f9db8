// The bottom line of a terminal: what is going on now, erased before anything else is printed, gone without a terminal.
import type { Io } from './io.ts';

export interface StatusLine {
  /** Printed above the line. */
  print(text: string): void;
  show(text: string): void;
  end(): void;
}

/** Lines go to `out`; the status line to the same terminal, as diagnostics. */
export function createStatusLine(io: Pick<Io, 'out' | 'err' | 'tty'>): StatusLine {
  let shown = '';
  const erase = () => shown && io.err('\r\x1b[K');
  return {
    print(text) {
      erase();
      io.out(`${text}\n`);
      if (shown) io.err(shown);
    },
    show(text) {
      if (!io.tty || text === shown) return;
      erase();
      shown = text;
      io.err(text);
    },
    end() {
      erase();
      shown = '';
    },
  };
}
