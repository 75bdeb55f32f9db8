// Readers that are known to be wrong, each in one way. The simulation is worth something only while it catches them all.
import type { FenceSource, Row } from '../../src/store/fence/source.ts';

/** What the scenarios need of a fence. */
export interface Upper {
  readonly safeId: number;
  tick(): Promise<readonly Row[] | undefined>;
  /** Only the real one tells what it has passed. */
  passed?(): Promise<readonly Row[]>;
}
export type MakeUpper = (source: FenceSource, now: () => number, from: number) => Upper;

/** `id > last`: passes whatever is committed later. */
export const naiveCursor: MakeUpper = () => ({ safeId: Number.POSITIVE_INFINITY, tick: async () => undefined });

/** Stops before a gap until `dead` says that nothing can come. */
function stopAtGaps(source: FenceSource, dead: (gap: readonly [number, number]) => Promise<boolean>): Upper {
  let safeId = 0;
  return {
    get safeId() {
      return safeId;
    },
    async tick() {
      const { rows } = await source.look(safeId, [], 1_000);
      for (const { id } of rows) {
        if (id > safeId + 1 && safeId > 0 && !(await dead([safeId + 1, id - 1]))) return undefined;
        safeId = id;
      }
      return undefined;
    },
  };
}

const SETTLE_MS = 1_000;

/** Takes a gap for dead when it is a second old, whatever transaction is still open. */
export const settleOnly: MakeUpper = (source, now) => {
  const since = new Map<number, number>();
  return stopAtGaps(source, async ([from]) => {
    const first = since.get(from) ?? now();
    since.set(from, first);
    return now() - first > SETTLE_MS;
  });
};

/** Takes a gap for dead when no row of it is locked, though a statement may have its id and not its row. */
export const probeOnly: MakeUpper = (source) => stopAtGaps(source, (gap) => source.probe([gap]));
