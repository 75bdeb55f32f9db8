// The ids that have not been seen yet, exactly and in little memory: one bit for each id between the fence and the newest.
//
// A bit is set when the row is seen. Only `cut` clears it, after a failed look, for the row may be gone. Holes below the fence are
// kept for a while too: a row that appears where lists have passed is noticed, and the operator is told.
import type { Range } from '../store/fence/source.ts';

// A chunk has 512 bytes. Ten minutes at 500 rows a second take 74 chunks, whatever the pattern of the holes.
const IDS = 4096;
const WORDS = IDS / 32;

export type Holes = ReturnType<typeof createHoles>;

export function createHoles(base: number) {
  const chunks = new Map<number, Uint32Array>();
  let top = base;
  let floor = base;

  /** The first id in from … to whose bit is `wanted`, to + 1 when there is none. */
  function find(from: number, to: number, wanted: 0 | 1): number {
    for (let id = from; id <= to; ) {
      const chunk = chunks.get(Math.floor(id / IDS));
      const offset = id % IDS;
      if (!chunk) {
        if (wanted === 0) return id;
        id = nextChunk(id - offset + IDS, to);
        continue;
      }
      const word = chunk[offset >> 5] as number;
      const left = (wanted ? word : ~word) >>> (offset & 31);
      if (left === 0) {
        id += 32 - (offset & 31);
        continue;
      }
      return Math.min(to + 1, id + 31 - Math.clz32(left & -left));
    }
    return to + 1;
  }

  /** An explicit id may leave a hole of billions: then the chunks that exist are fewer than the steps across the hole. */
  function nextChunk(from: number, to: number): number {
    if ((to - from) / IDS < chunks.size) return from;
    let next = to + 1;
    for (const key of chunks.keys()) if (key * IDS >= from) next = Math.min(next, key * IDS);
    return next;
  }

  return {
    /** The highest id that is known to have been given. */
    get top() {
      return top;
    },
    /** Notes that this row was seen; false when that was known already. */
    add(id: number): boolean {
      const key = Math.floor(id / IDS);
      let chunk = chunks.get(key);
      if (!chunk) {
        chunk = new Uint32Array(WORDS);
        chunks.set(key, chunk);
      }
      const at = (id % IDS) >> 5;
      const bit = 1 << (id & 31);
      const known = ((chunk[at] as number) & bit) !== 0;
      chunk[at] = (chunk[at] as number) | bit;
      top = Math.max(top, id);
      return !known;
    },
    /** Ids up to `to` have been given, though there may be no row. */
    reach(to: number): void {
      top = Math.max(top, to);
    },
    /** The first id at or above `from` that was not seen; top + 1 when there is none. */
    firstMissing: (from: number): number => find(from, top, 0),
    /** At most `most` ranges of ids that were not seen, within from … to. */
    ranges(from: number, to: number, most: number): Range[] {
      const found: Range[] = [];
      const end = Math.min(to, top);
      for (let id = find(Math.max(from, floor + 1), end, 0); id <= end && found.length < most; ) {
        const next = find(id, end, 1);
        found.push([id, next - 1]);
        id = find(next, end, 0);
      }
      return found;
    },
    /** Forgets the ids up to `below`: no range begins there any more. */
    drop(below: number): void {
      floor = Math.max(floor, below);
      for (const key of chunks.keys()) if ((key + 1) * IDS - 1 <= floor) chunks.delete(key);
    },
    /** Forgets the ids above `newTop`. */
    cut(newTop: number): void {
      top = newTop;
      for (const [key, chunk] of chunks)
        if (key * IDS > newTop) chunks.delete(key);
        else
          for (let id = newTop + 1; id < (key + 1) * IDS; id++)
            chunk[(id % IDS) >> 5] = (chunk[(id % IDS) >> 5] as number) & ~(1 << (id & 31));
    },
  };
}
