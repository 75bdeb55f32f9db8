// Says why contents are not stored, calls not answered, or work tried again: at once, then seldom, with how many, and when it is over.

import type { Consumers } from '../consumers/consumers.ts';
import { decodeLease } from '../consumers/lease-token.ts';
import type { NewContent } from '../store/contents.ts';
import { type Cause, causeOf } from '../store/engine/causes.ts';
import type { Log } from './log.ts';

// At a thousand senders a second a line for each would fill the disk, which may be what is wrong.
const EVERY_MS = 10_000;
const QUIET_MS = 1_000;

export interface IncidentLog {
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

export interface Trouble {
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

/** `count` is told of each failure, for the metrics. */
export function createTrouble(
  log: IncidentLog,
  count: (error: unknown, rows: number) => void,
  now = () => performance.now(),
): Trouble {
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
  log: Pick<IncidentLog, 'warn'>,
  message: string,
  now = () => performance.now(),
): (error: unknown) => void {
  const seldom = createSeldom(now);
  return (error) => {
    const times = seldom(kindOf(error), 1);
    if (times > 0) log.warn({ times, ...told(error) }, message);
  };
}

function told(error: unknown): object {
  const cause = causeOf(error);
  return cause ? { cause: cause.code, found: cause.found, fix: cause.fix, error } : { error };
}

const kindOf = (error: unknown): string => causeOf(error)?.code ?? (error instanceof Error ? error.name : 'other');

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

// The life of a content in the log, by its id, from receipt to ack. With LOG_LEVEL=debug: a line per transaction and call.

/** What was committed. */
export function tellStored(log: Log, rows: readonly NewContent[], ids: readonly number[]): void {
  const stored = rows.map(({ user_id, wh_id, judged, content }, i) => ({
    content: ids[i],
    user_id,
    wh_id,
    bytes: content.length,
    ...(judged ? { verified: judged.verified, event_id: judged.event_id } : {}),
  }));
  log.debug({ stored }, 'stored');
}

/** The same consumers; what they hand out and settle is told. */
export function followed(log: Log, consumers: Consumers): Consumers {
  const settle =
    <A extends readonly unknown[], T extends { readonly done: readonly number[] }>(
      word: string,
      call: (user_id: number, consumer: string, ...more: A) => Promise<T>,
    ) =>
    async (user_id: number, consumer: string, ...more: A): Promise<T> => {
      const outcome = await call(user_id, consumer, ...more);
      log.debug({ user_id, consumer, contents: outcome.done }, word);
      return outcome;
    };
  return {
    ...consumers,
    async pull(user_id, consumer, call, ended) {
      const pulled = await consumers.pull(user_id, consumer, call, ended);
      if (call.ack) {
        const all = call.ack.ids ?? decodeLease(call.ack.lease)?.places.map(({ id }) => id) ?? [];
        const not = new Set(pulled.conflicts.map(({ id }) => id));
        log.debug({ user_id, consumer, contents: all.filter((id) => !not.has(id)) }, 'acked');
      }
      const contents = pulled.items.map(({ content }) => content.id);
      if (contents.length > 0) log.debug({ user_id, consumer, contents }, 'handed out');
      return pulled;
    },
    ack: settle('acked', consumers.ack),
    nack: settle('given back', consumers.nack),
  };
}
