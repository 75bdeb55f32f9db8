// A progress bar with an estimate on a terminal; without one a line now and then, for logs.
import type { Io } from './io.ts';

const WIDTH = 30;
const REDRAW_MS = 200;
const LINE_EVERY_MS = 10_000;

export interface Progress {
  /** `share` of the whole that is done, 0 to 1; `what` says it in words. */
  at(share: number, what: string): void;
  /** Takes the bar away. */
  end(): void;
}

export function createProgress(io: Io, title: string): Progress {
  const began = Date.now();
  let shown = io.tty ? 0 : began;
  return {
    at(share, what) {
      const now = Date.now();
      if (now - shown < (io.tty ? REDRAW_MS : LINE_EVERY_MS)) return;
      shown = now;
      const left = share > 0 ? Math.ceil((((now - began) / share) * (1 - share)) / 1000) : undefined;
      const estimate = left === undefined ? '' : `, about ${left} s to go`;
      const done = Math.round(share * WIDTH);
      const bar = `${'#'.repeat(done)}${'.'.repeat(WIDTH - done)}`;
      const text = `${title} [${bar}] ${Math.floor(share * 100)} %, ${what}${estimate}`;
      io.err(io.tty ? `\r${text}\x1b[K` : `${text}\n`);
    },
    end() {
      if (io.tty) io.err('\r\x1b[K');
    },
  };
}
