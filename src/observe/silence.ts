// Tells of a database that does not answer, before the calls that wait for it are given up: a hung call is no error yet, and nobody would say anything.
import type { Cause } from './incidents.ts';
import type { Log } from './log.ts';

const EVERY_MS = 250;
// Told after this and one more look: the process itself may have been stopped for a while, and then nothing was late.
const SILENT_MS = 2_400;
const AGAIN_MS = 10_000;

interface Watched {
  readonly log: Pick<Log, 'warn'>;
  /** For how long the database has not answered, in ms; 0 while nothing is asked of it. */
  readonly silentMs: () => number;
  readonly cause: Cause;
}

export function watchSilence({ log, silentMs, cause }: Watched) {
  let looks = 0;
  let toldAt: number | undefined;
  const timer = setInterval(() => {
    const ms = silentMs();
    looks = ms < SILENT_MS ? 0 : looks + 1;
    if (looks === 0) toldAt = undefined;
    if (looks < 2 || performance.now() - (toldAt ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    toldAt = performance.now();
    const { code, found, fix } = cause;
    log.warn(
      { cause: code, found, fix, seconds: Math.round(ms / 1000) },
      'the database has not answered for some seconds',
    );
  }, EVERY_MS);
  timer.unref();
  return { close: (): void => clearInterval(timer) };
}
