// Says why contents are not stored, calls not answered, or work tried again: at once, then seldom, with how many, and when it is over.

import type { Log } from './log.ts';

// At a thousand senders a second a line for each would fill the disk, which may be what is wrong.
const EVERY_MS = 10_000;
const QUIET_MS = 1_000;

/** Why a database cannot be opened or takes nothing now. */
export interface Cause {
  /** A word for metrics and alarms. */
  readonly code: string;
  readonly found: string;
  readonly fix: string;
}

/** Undefined for what is no failure of the database. The engines know their errors: the store has it. */
export type CauseOf = (error: unknown) => Cause | undefined;

export interface Incidents {
  /** So many contents were not stored, and why. */
  failed(error: unknown, rows: number): void;
  /** A call of the API got a 503. */
  refused(error: unknown, about: object): void;
  /** A request was refused before any work, so that the rest goes on. */
  shed(why: string): void;
  /** Some contents were stored. */
  stored(): void;
  /** False: nothing could be stored lately, and nothing was since. */
  readonly storing: boolean;
  /** What the matter is, until something is stored again. */
  readonly cause: Cause | undefined;
}

export interface IncidentParts {
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly causeOf: CauseOf;
  /** Told of each failure, for the metrics. */
  readonly count: (error: unknown, rows: number) => void;
  readonly now?: () => number;
}

export function createIncidents({ log, causeOf, count, now = () => performance.now() }: IncidentParts): Incidents {
  const { told, kindOf } = wordsOf(causeOf);
  const contents = createSeldom(now);
  const calls = createSeldom(now);
  const sheds = createSeldom(now);
  let since: number | undefined;
  let failedAt = 0;
  let cause: Cause | undefined;
  let rows = 0;
  return {
    get cause() {
      return cause;
    },
    // Not for ever: where nothing is sent because of this answer, nobody would find out that it is over.
    get storing() {
      return since === undefined || now() - failedAt > EVERY_MS;
    },
    failed(error, failed) {
      count(error, failed);
      failedAt = now();
      since ??= failedAt;
      rows += failed;
      cause = causeOf(error) ?? cause;
      const untold = contents(kindOf(error), failed);
      if (untold > 0) log.error({ rows: untold, ...told(error) }, 'contents were not stored; their senders got a 503');
    },
    refused(error, about) {
      const untold = calls(kindOf(error), 1);
      if (untold > 0) log.warn({ ...about, calls: untold, ...told(error) }, 'a call got a 503');
    },
    shed(why) {
      const untold = sheds(why, 1);
      if (untold > 0) log.warn({ why, requests: untold }, 'requests were refused with 503, so that the rest goes on');
    },
    stored() {
      // Some get through while others do not: it is over when nothing has failed for a while.
      if (since === undefined || now() - failedAt < QUIET_MS) return;
      log.info({ rows, seconds: Math.round((now() - since) / 1000) }, 'contents are stored again');
      since = undefined;
      cause = undefined;
      rows = 0;
    },
  };
}

/** Warns of work that fails and is tried again: of each cause at once, then seldom, with how often it has failed meanwhile. */
export function warnSeldom(
  log: Pick<Log, 'warn'>,
  causeOf: CauseOf,
  message: string,
  now = () => performance.now(),
): (error: unknown) => void {
  const { told, kindOf } = wordsOf(causeOf);
  const seldom = createSeldom(now);
  return (error) => {
    const times = seldom(kindOf(error), 1);
    if (times > 0) log.warn({ times, ...told(error) }, message);
  };
}

/** An error in the log, and the kind by which its like are counted. */
function wordsOf(causeOf: CauseOf) {
  return {
    told(error: unknown): object {
      const cause = causeOf(error);
      return cause ? { cause: cause.code, found: cause.found, fix: cause.fix, error } : { error };
    },
    kindOf: (error: unknown): string => causeOf(error)?.code ?? (error instanceof Error ? error.name : 'other'),
  };
}

/** Counts by kind; answers how many are to be told now, 0: none. Another kind is news. */
function createSeldom(now: () => number): (kind: string, count: number) => number {
  const kinds = new Map<string, { at: number; untold: number }>();
  return (kind, count) => {
    const one = kinds.get(kind) ?? { at: Number.NEGATIVE_INFINITY, untold: 0 };
    kinds.set(kind, one);
    one.untold += count;
    if (now() - one.at < EVERY_MS) return 0;
    const { untold } = one;
    one.at = now();
    one.untold = 0;
    return untold;
  };
}
