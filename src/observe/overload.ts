// Overload: new work is refused while the memory is nearly full, or the event loop is far behind.
import { totalmem } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Problem, unavailable } from '../errors.ts';
import type { Log } from './log.ts';

const EVERY_MS = 100;
// The event loop is late when its lateness reaches the first of these, as a moving average, until it falls below the last. One
// pause counts as MOST_LATE_MS at most: a process that was stopped, or a machine that slept, is not behind when it goes on.
const LATE_MS = 1_000;
const MOST_LATE_MS = 2_000;
const SHARE_OF_NEWEST = 0.3;
const CAUGHT_UP_MS = 500;
// Of the memory that the process may have; the rest is for work under way, and for what the allocator keeps.
const MEMORY_SHARE = 0.7;
const HEAP_SHARE = 0.85;
// Much of the memory may be garbage. It is collected before any work is refused, but seldom: a collection stops all work.
const COLLECT_EVERY_MS = 5_000;
const MB = 1_000_000;

type Why = 'memory' | 'event-loop';

export type Overload = ReturnType<typeof watchOverload>;

export type Memory = Pick<NodeJS.Process, 'memoryUsage' | 'constrainedMemory'>;

/** `maxMemoryMb`: the limit; by default 70 % of the memory of the container or the machine. */
export function watchOverload(log: Pick<Log, 'info' | 'warn'>, memory: Memory, maxMemoryMb?: number) {
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
    /** Why new work is refused now; undefined: it is accepted. */
    get why(): Why | undefined {
      return why;
    },
    /** Bytes in use, and the bytes above which new work is refused. */
    get memory(): { readonly used: number; readonly most: number } {
      return { used: usedBytes(memory), most };
    },
    close: (): void => clearInterval(timer),
  };
}

const WORDS: Readonly<Record<Why, string>> = {
  memory: 'the memory is nearly full. Give the process more, or start a second one on the same database',
  'event-loop': 'the process is behind. Give it a core of its own, or start a second one on the same database',
};

/** The bytes in use, not the resident set: the allocator gives memory back late, and an idle process must not refuse work. */
function usedBytes({ memoryUsage }: Memory): number {
  const { heapUsed, external, arrayBuffers } = memoryUsage();
  // Bodies count in both; answers that a slow reader has not taken yet count in the second alone.
  return heapUsed + Math.max(external, arrayBuffers);
}

function availableBytes({ constrainedMemory }: Memory): number {
  // 0, or more than the machine has: the container has no limit of its own.
  const limit = constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

// One for the process: a context of its own takes half a megabyte.
let collectAll: (() => void) | undefined;
/** A full garbage collection. */
export function collector(): () => void {
  if (collectAll) return collectAll;
  setFlagsFromString('--expose-gc');
  collectAll = runInNewContext('gc') as () => void;
  return collectAll;
}

/** The problem that a sender or a caller is told while new work is refused. */
export const overloadProblem = ({ why }: Pick<Overload, 'why'>): Problem | undefined =>
  why &&
  unavailable(
    why === 'memory'
      ? 'The memory of the service is nearly full. Try again soon.'
      : 'The service is behind with its work. Try again soon.',
  );
