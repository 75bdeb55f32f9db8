// Holds back what was seen until it is on disk: a server may show a row before its log is flushed, and lose it in a crash.
import type { FenceSource, Row } from '../store/fence.ts';

const MOST_CANDIDATES = 1_000;
// Beyond it rows are not kept but read again once they may be handed out.
const MOST_ROWS = 50_000;
const ROWS_PER_LOOK = 5_000;
const ROWS_PER_CALL = 20_000;

export interface Durable {
  /** The highest id whose row, and all below, cannot vanish any more. Moved by ripen() alone. */
  readonly id: number;
  /** passed() has given every row up to here. */
  readonly handed: number;
  /** The fence stood at `fence` when an answer of `at` was read. */
  reach(fence: number, at: number): void;
  /**
   * A look that was sent at `asked` succeeded: the server has not lost anything since the one before. `flushed`: when our
   * latest COMMIT was sent that had returned by then.
   */
  ripen(asked: number, flushed: number): void;
  /** Rows that were seen, for passed(). */
  keep(rows: readonly Row[]): void;
  passed(): Promise<readonly Row[]>;
  /** Forgets all that may have vanished; resolves to what remains, `id`. */
  retreat(): number;
}

export function createDurable(source: FenceSource, from: number): Durable {
  let candidates: { fence: number; at: number }[] = [];
  let safe = from;
  let rows: Row[] = [];
  let handed = from; // passed() has given everything up to here
  let lost = 0; // rows up to here were not all kept

  /** Rows that were not kept, read again in chunks. */
  async function reread(upTo: number): Promise<Row[]> {
    const found: Row[] = [];
    while (handed < upTo && found.length < ROWS_PER_CALL) {
      const page = (await source.look(handed, [], ROWS_PER_LOOK)).rows;
      const within = page.filter((row) => row.id <= upTo);
      found.push(...within);
      const more = within.length === page.length && page.length >= ROWS_PER_LOOK;
      handed = more ? (within.at(-1)?.id ?? upTo) : upTo;
    }
    return found;
  }

  return {
    get id() {
      return safe;
    },
    get handed() {
      return handed;
    },
    reach(fence, at) {
      const last = candidates.at(-1);
      if (fence <= (last?.fence ?? safe)) return;
      if (last && candidates.length >= MOST_CANDIDATES) Object.assign(last, { fence, at });
      else candidates.push({ fence, at });
    },
    ripen(asked, flushed) {
      let ripe = 0;
      for (const { fence, at } of candidates) {
        if (source.minAgeMs > 0 && asked - at < source.minAgeMs && flushed <= at) break;
        safe = fence;
        ripe++;
      }
      if (ripe > 0) candidates = candidates.slice(ripe);
    },
    keep(seen) {
      const newest = rows.at(-1)?.id ?? 0;
      let late = false;
      for (const row of seen) {
        if (row.id <= lost || row.id <= handed) continue;
        late ||= row.id < newest;
        rows.push(row);
      }
      if (late) rows.sort((a, b) => a.id - b.id);
      if (rows.length <= MOST_ROWS) return;
      lost = rows.at(-1)?.id ?? lost;
      rows = [];
    },
    async passed() {
      const upTo = safe;
      const found = handed < lost ? await reread(Math.min(lost, upTo)) : [];
      if (found.length > 0 || handed < Math.min(lost, upTo) || handed >= upTo) return found;
      const end = rows.findIndex((row) => row.id > upTo);
      handed = upTo;
      return rows.splice(0, end === -1 ? rows.length : end);
    },
    retreat() {
      candidates = [];
      rows = rows.filter((row) => row.id <= safe);
      return safe;
    },
  };
}
