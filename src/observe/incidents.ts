// Logs why contents are not stored, calls get a 503 or work is tried again: at once, then seldom with a count, and at the end.
import type { Log } from './log.ts';

// A line for each of a thousand senders a second would fill the disk, and a full disk may be the cause.
const EVERY_MS = 10_000;
// An incident is over when nothing has failed for so long.
const QUIET_MS = 1_000;

/** Why a database cannot be opened, or cannot store anything now. */
export interface Cause {
  /** A word for metrics and alarms. */
  readonly code: string;
  readonly found: string;
  readonly fix: string;
}

/** Undefined for an error that is no failure of the database. The store has it, for the engines know their errors. */
export type CauseOf = (error: unknown) => Cause | undefined;

export type Incidents = ReturnType<typeof createIncidents>;

interface IncidentParts {
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly causeOf: CauseOf;
  /** Whether a failure is about its content alone: others are stored meanwhile. */
  readonly isAboutOne?: (error: unknown) => boolean;
  /** Told of each failure, for the metrics. */
  readonly count: (error: unknown, rows: number) => void;
  readonly now?: () => number;
}

export function createIncidents({
  log,
  causeOf,
  isAboutOne = () => false,
  count,
  now = () => performance.now(),
}: IncidentParts) {
  const { detailsOf, kindOf } = describe(causeOf);
  let contents = createSeldom(now);
  const refusals = createSeldom(now);
  const calls = createSeldom(now);
  const sheds = createSeldom(now);
  const closings = createSeldom(now);
  const probes = createSeldom(now);
  let since: number | undefined;
  let failedAt = 0;
  let cause: Cause | undefined;
  let rows = 0;
  return {
    /** The cause of the incident, until contents are stored again. */
    get cause(): Cause | undefined {
      return cause;
    },
    /** False: contents could not be stored lately, and none has been stored since. */
    get storing(): boolean {
      // True again after a while: if senders stopped because of this answer, no later success could end the incident.
      return since === undefined || now() - failedAt > EVERY_MS;
    },
    /** So many contents were not stored, and why; 0: something else could not be stored. */
    failed(error: unknown, failed: number): void {
      count(error, failed);
      if (isAboutOne(error)) {
        const untold = refusals(kindOf(error), failed);
        if (untold > 0)
          log.error({ rows: untold, ...detailsOf(error) }, 'the database refuses contents; their senders got a 503');
        return;
      }
      failedAt = now();
      since ??= failedAt;
      rows += failed;
      cause = causeOf(error) ?? cause;
      const untold = failed > 0 ? contents(kindOf(error), failed) : 0;
      if (untold > 0)
        log.error({ rows: untold, ...detailsOf(error) }, 'contents were not stored; their senders got a 503');
      else if (failed === 0 && untold === 0 && probes(kindOf(error), 1) > 0)
        log.error(detailsOf(error), 'nothing can be stored now; senders get a 503, and what is stored can be read');
    },
    /** A call of the API got a 503. */
    refused(error: unknown, about: object): void {
      const untold = calls(kindOf(error), 1);
      if (untold > 0) log.warn({ ...about, calls: untold, ...detailsOf(error) }, 'a call got a 503');
    },
    /** A request was refused under overload. */
    shed(why: string): void {
      const untold = sheds(why, 1);
      if (untold > 0) log.warn({ why, requests: untold }, 'requests were refused with 503, so that the rest goes on');
    },
    /** Connections were closed: at accept, or while they did nothing. `address`: the one that has too many. */
    closed(why: string, count: number, address?: string): void {
      const untold = closings(why, count);
      if (untold > 0)
        log.warn(
          { why, connections: untold, ...(address === undefined ? {} : { address }) },
          address === undefined
            ? 'connections were closed: there are nearly as many as the limit of open files allows (LimitNOFILE, ulimit -n)'
            : 'connections were closed: their address has as many as it may (CONNECTIONS_PER_ADDRESS). If it is your proxy, name it in TRUST_PROXY',
        );
    },
    /** Some contents were stored. */
    stored(): void {
      // Some contents may be stored while others fail.
      if (since === undefined || now() - failedAt < QUIET_MS) return;
      log.info({ rows, seconds: Math.round((now() - since) / 1000) }, 'contents are stored again');
      since = undefined;
      cause = undefined;
      rows = 0;
      // The next incident is told at once, whatever its cause.
      contents = createSeldom(now);
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
  const { detailsOf, kindOf } = describe(causeOf);
  const seldom = createSeldom(now);
  return (error) => {
    const times = seldom(kindOf(error), 1);
    if (times > 0) log.warn({ times, ...detailsOf(error) }, message);
  };
}

/** The details of an error for the log, and the kind under which it is counted. */
function describe(causeOf: CauseOf) {
  return {
    detailsOf(error: unknown): object {
      const cause = causeOf(error);
      return cause ? { cause: cause.code, found: cause.found, fix: cause.fix, error } : { error };
    },
    kindOf: (error: unknown): string => causeOf(error)?.code ?? (error instanceof Error ? error.name : 'other'),
  };
}

/** Counts by kind, and returns how many are to be logged now: each kind at once, then one line in EVERY_MS; 0: none now. */
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
