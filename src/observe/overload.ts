// Says when new work must be refused before the process comes to harm: its memory is nearly full, or it is far behind.

import { totalmem } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Problem, unavailable } from '../errors.ts';
import type { Log } from './log.ts';

const EVERY_MS = 100;
// Behind by so much on average of the last turns, a sender waits longer than it is patient. One pause is none, however long:
// a process that was stopped, or a machine that slept, is not behind when it goes on.
const LATE_MS = 1_000;
const MOST_LATE_MS = 2_000;
const CAUGHT_UP_MS = 500;
const SHARE_OF_NEWEST = 0.3;
// Of what the process may have; the rest is for what is under way, and for what the allocator keeps.
const MEMORY_SHARE = 0.7;
const HEAP_SHARE = 0.85;
// Much of it may be garbage: that is looked at before anybody is refused, but it stops everybody for a moment.
const COLLECT_EVERY_MS = 5_000;
const MB = 1_000_000;

type Why = 'memory' | 'event-loop';

export interface Overload {
  /** Why new work is refused now; undefined: it is welcome. */
  readonly why: Why | undefined;
  /** Bytes in use, and how many there may be before anybody is refused. */
  readonly memory: { readonly used: number; readonly most: number };
  close(): void;
}

/** What `process` knows of its memory. */
export type Memory = Pick<NodeJS.Process, 'memoryUsage' | 'constrainedMemory'>;

/** `maxMemoryMb`: refuse above so much; by default above 70 % of what the container or the machine has. */
export function watchOverload(log: Pick<Log, 'info' | 'warn'>, memory: Memory, maxMemoryMb?: number): Overload {
  const most = maxMemoryMb === undefined ? availableBytes(memory) * MEMORY_SHARE : maxMemoryMb * MB;
  const heapMost = getHeapStatistics().heap_size_limit * HEAP_SHARE;
  const collect = collector();
  let lateMs = 0;
  let due = performance.now() + EVERY_MS;
  let collectedAt = Number.NEGATIVE_INFINITY;
  let why: Why | undefined;

  const tooMuch = () => usedBytes(memory) > most || memory.memoryUsage().heapUsed > heapMost;
  function memoryIsFull(now: number): boolean {
    if (!tooMuch()) return false;
    if (now - collectedAt < COLLECT_EVERY_MS) return why === 'memory';
    collect();
    collectedAt = performance.now();
    return tooMuch();
  }

  const timer = setInterval(() => {
    const now = performance.now();
    // Not perf_hooks.monitorEventLoopDelay: this timer would still have to read it, reset it, and bound what one pause counts.
    // It would save the subtraction alone, for a second timer.
    const late = Math.min(MOST_LATE_MS, Math.max(0, now - due));
    due = now + EVERY_MS;
    lateMs += (late - lateMs) * SHARE_OF_NEWEST;
    const behind = lateMs > (why === 'event-loop' ? CAUGHT_UP_MS : LATE_MS);
    const before = why;
    why = memoryIsFull(now) ? 'memory' : behind ? 'event-loop' : undefined;
    if (why === before) return;
    const data = {
      late_ms: Math.round(lateMs),
      used_mb: Math.round(usedBytes(memory) / MB),
      most_mb: Math.round(most / MB),
    };
    if (!why) log.info(data, 'new work is accepted again');
    else log.warn({ ...data, why }, `new work is refused with 503: ${WORDS[why]}`);
  }, EVERY_MS);
  timer.unref();

  return {
    get why() {
      return why;
    },
    get memory() {
      return { used: usedBytes(memory), most };
    },
    close: () => clearInterval(timer),
  };
}

const WORDS: Readonly<Record<Why, string>> = {
  memory: 'the memory is nearly full. Give the process more, or start a second one on the same database',
  'event-loop': 'the process is behind. Give it a core of its own, or start a second one on the same database',
};

/** What is in use, not what was ever taken: the allocator gives back late, and a process that is idle again must not refuse. */
function usedBytes({ memoryUsage }: Memory): number {
  const { heapUsed, external, arrayBuffers } = memoryUsage();
  // Buffers of bodies are in both; what a slow reader has not taken yet is in the second alone.
  return heapUsed + Math.max(external, arrayBuffers);
}

function availableBytes({ constrainedMemory }: Memory): number {
  // 0, or more than there is: the container has no limit of its own.
  const limit = constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** A full collection of the garbage, which stops everybody meanwhile. */
export function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** What a sender or a caller is told while new work is refused; undefined: it is welcome. */
export const overloadProblem = ({ why }: Pick<Overload, 'why'>): Problem | undefined =>
  why &&
  unavailable(
    why === 'memory'
      ? 'The memory of the service is nearly full. Try again soon.'
      : 'The service is behind with its work. Try again soon.',
  );
