// Proves that the ids of a gap will never appear: their statements have ended, and a locking read finds nothing there.
//
// A gap is a range of ids that were given and whose rows were not seen. It dies when its transactions roll back, and nothing
// announces that. Two facts together prove it:
// - The INSERTs that ran when the gap was seen have ended. An INSERT that waits for somebody's lock has an id and no row yet, so
//   a locking read alone finds nothing and would be wrong. New INSERTs take ids above the gap: only the old ones count.
// - A locking read of the gap that does not wait finds neither a row nor a lock: no open transaction has a row there.
// An observation notes the highest id given (`top`) and the statements that ran then. It is ripe after a short settle, once each
// of them has been missing once. Then all gaps up to its `top` are probed, 100 in a statement, and halved where one is alive.
// An account that may not see others' statements gets two clean probes a second apart instead: it says so in its promise.
// Every node of a cluster is asked. A node that does not answer proves nothing: the fence is held. All probes run at READ
// COMMITTED, for at REPEATABLE READ they would lock the end of the table and stop all INSERTs.
import type { Prober, Range } from '../store/fence/source.ts';
import type { Holes } from './holes.ts';

// An id is taken an instant before its row can be found by a locking read. Where the running statements can be seen this
// only bridges what they do not show; where they cannot, it is all there is, and two probes must agree that far apart.
const SETTLE_SEEN_MS = 250;
const SETTLE_BLIND_MS = 1_000;
const OBSERVE_SEEN_MS = 25;
const OBSERVE_BLIND_MS = SETTLE_BLIND_MS / 4;
const MOST_OBSERVATIONS = 64;
const RANGES_PER_PROBE = 100;
// 10,000 scattered gaps in one tick; the next ones in the next tick.
const PROBES_PER_TICK = 100;

interface Observation {
  readonly at: number;
  /** The highest id that had been given then. */
  readonly top: number;
  /** Of those who were writing then, who has not been seen to end. null: nobody could tell, but a probe up to `top` was clean. */
  readonly writers: Set<string> | null;
}

export interface Proof {
  /** The id up to which every gap above `fence` is dead; `fence` when nothing can be said. Never rejects. */
  prove(fence: number): Promise<number>;
  /** The latest error that kept it from knowing, for the alarm; '' = none. */
  readonly trouble: string;
  /** What was observed is not to be trusted any more. */
  forget(): void;
}

export function createProof(gaps: Holes, probers: readonly Prober[], now: () => number): Proof {
  let observations: Observation[] = [];
  let live = 0; // where the gap begins that stood in the way last time: it is asked about first, and alone
  let trouble = '';
  const hold = (error: unknown): void => {
    trouble = error instanceof Error ? error.message : String(error);
  };

  /** Statements that run on any node; null when one of them does not tell. */
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

  /** Up to which id, within from … to, a locking read finds nothing in any gap. */
  async function cleanUpTo(from: number, to: number): Promise<number> {
    let at = from;
    try {
      for (let probes = 0; probes < PROBES_PER_TICK; probes++) {
        const ranges = gaps.ranges(at, to, gaps.firstMissing(at) === live ? 1 : RANGES_PER_PROBE);
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
  /** A statement that was missing once has ended, and placed all its rows; what runs later under its name is another. */
  function ended(running: ReadonlySet<string>): void {
    for (const { writers } of observations)
      for (const key of writers ?? []) if (!running.has(key)) writers?.delete(key);
  }

  function remember(one: Observation): void {
    observations.push(one);
    // Every second of the older half goes: what is left reaches back as far as a statement may run.
    if (observations.length > MOST_OBSERVATIONS)
      observations = observations.filter((_, i) => i >= MOST_OBSERVATIONS / 2 || i % 2 === 0);
  }

  return {
    async prove(fence) {
      trouble = '';
      let proven = fence;
      const newest = observations.at(-1);
      const every = newest?.writers === null ? OBSERVE_BLIND_MS : OBSERVE_SEEN_MS;
      // With the same top an older observation is never worse than a newer one.
      const due = !newest || (gaps.top > newest.top && now() - newest.at >= every);
      try {
        // Read after the look that found `top`: whoever was writing then and has ended since has placed its rows.
        const writers = await running();
        if (writers) ended(writers);
        // While they cannot be seen, what was seen of them before proves nothing.
        const best = observations.findLast(
          (one) => ripe(one) && (one.writers === null || (writers !== null && one.writers.size === 0)),
        );
        if (best) proven = await cleanUpTo(fence + 1, best.top);
        if (due && writers) remember({ at: now(), top: gaps.top, writers: new Set(writers) });
        else if (due) {
          const top = await cleanUpTo(proven + 1, gaps.top);
          if (top > proven) remember({ at: now(), top, writers: null });
        }
      } catch (error) {
        hold(error);
      }
      observations = observations.filter((one) => one.top > proven);
      return proven;
    },
    get trouble() {
      return trouble;
    },
    forget() {
      observations = [];
    },
  };
}
