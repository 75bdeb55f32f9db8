// What is going on now: the bottom line of a terminal, or without one a line whenever trouble begins or ends.
import type { Io } from './io.ts';

export interface StatusLine {
  /** Printed above the line. */
  print(text: string): void;
  /** `trouble` is empty when there is none. */
  show(trouble: string, text: string): void;
  end(): void;
}

// The terminal cuts what is too long for it: a line that went on in the next row could not be erased.
const [CUT, WRAP] = ['\x1b[?7l', '\x1b[?7h'];

/** Lines go to `out`; the status line to the same terminal, as diagnostics. */
export function createStatusLine(io: Pick<Io, 'out' | 'err' | 'tty'>): StatusLine {
  let shown = '';
  let told = '';
  const erase = () => shown && io.err('\r\x1b[K');
  return {
    print(text) {
      erase();
      io.out(`${text}\n`);
      if (shown) io.err(shown);
    },
    show(trouble, text) {
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
    end() {
      erase();
      shown = '';
    },
  };
}
