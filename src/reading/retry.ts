// Tries a piece of work until it succeeds: with growing pauses between the tries, and a warning for each cause.
import { setTimeout as sleep } from 'node:timers/promises';
import { warnSeldom } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import { causeOf } from '../store/engine/causes.ts';

// The first pause is short, for most failures are over at once. The longest one asks little of a database that is away for hours,
// and is soon over when the database is back.
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface RetryOptions {
  readonly log: Pick<Log, 'warn'>;
  /** What failed, for the log. */
  readonly message: string;
  /** Ends the tries: retry() then rejects. */
  readonly signal: AbortSignal;
  /** False: this failure is not tried again. */
  readonly worthIt?: (error: unknown) => boolean;
}

export async function retry<T>(
  work: () => Promise<T>,
  { log, message, signal, worthIt = () => true }: RetryOptions,
): Promise<T> {
  const warn = warnSeldom(log, causeOf, message);
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 2)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !worthIt(error)) throw error;
      warn(error);
    }
    await sleep(pause, undefined, { signal });
  }
}
