// What is told of a consumer's backlog, carried on from one call to the next without counting anew.
import type { Consumer } from '../store/consumers.ts';
import { type Backlog, MOST_COUNTED } from '../store/places.ts';
import type { Claim } from './claim.ts';
import type { Session } from './inuse.ts';

/** A content has got its position. */
export function withPlaced(backlog: Backlog, pos: number, seenMs: number): Backlog {
  if (pos <= backlog.head) return backlog;
  return { ...backlog, head: pos, ahead: backlog.ahead + 1, oldest_ms: backlog.oldest_ms ?? seenMs };
}

export interface Step {
  readonly before: Consumer;
  readonly after: Consumer;
  /** How many were acked that were out. */
  readonly removed: number;
  readonly claimed: Claim | undefined;
  readonly now: number;
}

// However well it was carried on: after so long it is counted anew.
const RECOUNT_MS = 1_000;

/** The same for what is known of a consumer in use. */
export const carriedOf = ({ backlog, countedAt, consumer }: Session, step: Step): Backlog | undefined =>
  backlog && consumer?.version === step.before.version && performance.now() - countedAt < RECOUNT_MS
    ? carriedOn(backlog, step)
    : undefined;

/**
 * The backlog after one change of ours. Undefined when it has to be counted: when somebody else has changed something, when
 * something was given back or is due, so that who is out of what is not known, or when too few are known to be left.
 */
function carriedOn(backlog: Backlog, { before, after, removed, claimed, now }: Step): Backlog | undefined {
  const due = before.next_due_ms > 0 && before.next_due_ms <= now;
  if (after.version > before.version + 1 || backlog.back > 0 || due || before.dead !== after.dead) return undefined;
  const handed = claimed?.handed ?? [];
  const last = handed.at(-1);
  const counted = handed.filter(({ pos }) => pos <= backlog.head).length;
  const ahead = backlog.ahead - counted;
  if (ahead < 0 || (backlog.more && ahead <= MOST_COUNTED)) return undefined;
  const in_flight = backlog.in_flight - removed + handed.length;
  const oldest_ms = ahead === 0 ? null : last ? claimed?.next_ms : backlog.oldest_ms;
  if (in_flight < 0 || oldest_ms === undefined || (ahead > 0 && oldest_ms === null)) return undefined;
  return { ...backlog, head: Math.max(backlog.head, last?.pos ?? 0), ahead, in_flight, oldest_ms };
}
