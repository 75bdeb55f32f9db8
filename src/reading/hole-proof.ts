// Proves that the ids of a hole will never appear. The argument stands in fence.ts; this is how it is carried out.
//
// An observation notes the highest id given (`top`) and the statements that ran then. It is ripe after a short settle, once each
// of these statements has been missing once. Then all holes up to its `top` are probed by locking reads, 100 in a statement, and
// halved where a probe meets a row or a lock. An account that may not see other statements waits for a second clean probe instead.
// All probes run at READ COMMITTED, for at REPEATABLE READ they would lock the end of the table and stop all INSERTs.
import type { Prober, Range } from '../store/fence/source.ts';
import type { Holes } from './holes.ts';

// An id is taken an instant before a locking read can find its row. Where the running statements can be seen, the settle only
// covers this instant; where they cannot, two probes must agree at this distance.
const SETTLE_SEEN_MS = 250;
const SETTLE_BLIND_MS = 1_000;
const OBSERVE_SEEN_MS = 25;
const OBSERVE_BLIND_MS = SETTLE_BLIND_MS / 4;
const MOST_OBSERVATIONS = 64;
const RANGES_PER_PROBE = 100;
// 10,000 scattered holes in one tick, and the rest in the next ticks.
const PROBES_PER_TICK = 100;

interface Observation {
  readonly at: number;
  /** The highest id that had been given then. */
  readonly top: number;
  /** The statements that ran then and have not been seen to end. null: they cannot be seen, but a probe up to `top` was clean. */
  readonly writers: Set<string> | null;
}

export function createProof(holes: Holes, probers: readonly Prober[], now: () => number) {
  let observations: Observation[] = [];
  let live = 0; // where the hole begins that was alive last time: it is probed first, and alone
  let trouble = '';
  const hold = (error: unknown): void => {
    trouble = error instanceof Error ? error.message : String(error);
  };

  /** Statements that run on any node; null when a node does not show them. */
  async function running(): Promise<ReadonlySet<string> | null> {
    const seen = await Promise.all(probers.map((prober) => prober.writers()));
    const all = new Set<string>();
    for (const [node, writers] of seen.entries()) {
      if (!writers) return null;
      for (const key of writers) all.add(`${node}:${key}`);
    }
    return all;
  }

  async function clear(ranges: readonly Range[]): Promise<boolean> {
    for (const prober of probers) if (!(await prober.probe(ranges))) return false;
    return true;
  }

  /** How many of the ranges are dead, counted from the first. */
  async function dead(ranges: readonly Range[]): Promise<number> {
    if (await clear(ranges)) return ranges.length;
    let low = 0;
    for (let high = ranges.length - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (await clear(ranges.slice(low, middle + 1))) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Up to which id, within from … to, a locking read finds nothing in any hole. */
  async function cleanUpTo(from: number, to: number): Promise<number> {
    let at = from;
    try {
      for (let probes = 0; probes < PROBES_PER_TICK; probes++) {
        const ranges = holes.ranges(at, to, holes.firstMissing(at) === live ? 1 : RANGES_PER_PROBE);
        const last = ranges.at(-1);
        if (!last) return to;
        const count = await dead(ranges);
        const first = ranges[count];
        if (first) {
          live = first[0];
          return live - 1;
        }
        at = last[1] + 1;
      }
    } catch (error) {
      hold(error);
    }
    return at - 1;
  }

  const ripe = (one: Observation): boolean => now() - one.at >= (one.writers ? SETTLE_SEEN_MS : SETTLE_BLIND_MS);
  /** A statement that was missing once has ended, and has inserted all its rows; one that runs later under its key is another. */
  function ended(running: ReadonlySet<string>): void {
    for (const { writers } of observations)
      for (const key of writers ?? []) if (!running.has(key)) writers?.delete(key);
  }

  function remember(one: Observation): void {
    observations.push(one);
    // Every second observation of the older half goes: the rest reaches back as far as a statement may run.
    if (observations.length > MOST_OBSERVATIONS)
      observations = observations.filter((_, i) => i >= MOST_OBSERVATIONS / 2 || i % 2 === 0);
  }

  return {
    /** The id up to which every hole above `fence` is dead; `fence` when nothing is proven. Never rejects. */
    async prove(fence: number): Promise<number> {
      trouble = '';
      let proven = fence;
      const newest = observations.at(-1);
      const every = newest?.writers === null ? OBSERVE_BLIND_MS : OBSERVE_SEEN_MS;
      // With the same top an older observation is never worse than a newer one.
      const due = !newest || (holes.top > newest.top && now() - newest.at >= every);
      try {
        // Read after the look that found `top`: a statement that ran then and has ended since has inserted its rows.
        const writers = await running();
        if (writers) ended(writers);
        // While the statements cannot be seen, an earlier sight of them proves nothing.
        const best = observations.findLast(
          (one) => ripe(one) && (one.writers === null || (writers !== null && one.writers.size === 0)),
        );
        if (best) proven = await cleanUpTo(fence + 1, best.top);
        if (due && writers) remember({ at: now(), top: holes.top, writers: new Set(writers) });
        else if (due) {
          const top = await cleanUpTo(proven + 1, holes.top);
          if (top > proven) remember({ at: now(), top, writers: null });
        }
      } catch (error) {
        hold(error);
      }
      observations = observations.filter((one) => one.top > proven);
      return proven;
    },
    /** The latest error that prevented a proof, for the alarm; '' = none. */
    get trouble() {
      return trouble;
    },
    /** Forgets all observations: they may be those of another server. */
    forget(): void {
      observations = [];
    },
  };
}
