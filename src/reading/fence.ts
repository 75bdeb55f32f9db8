// The fence answers one question for every list: up to which id may it be read, so that no row can appear below it later?
//
// An INSERT takes its id before it commits, so a lower id can appear after a higher one. A list is read by id: it must stop before
// the first id that may still appear, or its reader skips that content for ever. The fence F is the id up to which nothing can
// appear. A hole is a range of ids that were given and whose rows were not seen (holes.ts keeps one bit for each id above F).
//
// The fence is in one of four states:
// - passing: every id up to the newest has been seen, and F stands there. It moves at once: a committed row stays committed.
// - held: F+1 has not been seen, and a higher id has. F moves on once the hole is proven dead. Time alone proves nothing, for a
//   transaction may stay open for hours. FENCE_MAX_HOLD is the operator's choice to skip all the same, and is logged.
// - awaiting: at a start without a kept mark, while transactions are open that may hold an id below `from`. Nothing is readable.
// - starting over: a look failed, and the server may be another one. What was not on disk is forgotten, and read anew.
//
// When is a hole dead? Its transaction has rolled back, and nothing announces that. Two facts together prove it (proof.ts):
// 1. The INSERTs that ran when the hole was seen have ended. An INSERT that waits for a lock has an id and no row yet, so fact 2
//    alone would be wrong. New INSERTs take ids above the hole: only the old ones count.
// 2. A locking read of the hole that does not wait finds neither a row nor a lock: no open transaction has a row there.
// An account that may not see the statements of others gets two clean locking reads a second apart instead of fact 1, and the
// promise of its lists says so. Every node of a cluster is asked, and a node that does not answer proves nothing.
//
// From F to `safeId`: a server may show a row before its log is flushed. If it crashes then, it loses the row and gives its id to
// another content. So F becomes `safeId` only when all up to F is on disk, and `passed` delivers the rows up to there.
//
// What must always hold: deliveredId <= safeId <= F, and an error means held, never passed. What may never happen: F passing a hole
// that a transaction may still fill, for its content would be skipped without a trace; and `safeId` moving back, for lists have
// been read up to there. When tblwh was emptied or restored a new fence is made instead.
import { type FenceSource, type Prober, type Range, type Row, WINDOW_IDS } from '../store/fence/source.ts';
import { createProof } from './hole-proof.ts';
import { createHoles } from './holes.ts';

export type { FenceSource, Row } from '../store/fence/source.ts';

const ROWS_PER_LOOK = 10_000;
const RANGES_PER_LOOK = 500;
const ALARM_AFTER_MS = 5_000;
// How often we check for mistakes of other applications: an emptied table, rows with ids of long ago.
const CHECK_EVERY_MS = 1_000;
const REMIND_EVERY_MS = 60_000;
// A row that appears below the fence is noticed if it is no further away than this.
const WATCHED_IDS = 100_000;

export type Fence = ReturnType<typeof createFence>;

/** What an operator has to know. `text` is a sentence for the log. */
export type FenceAlarm = { readonly text: string } & (
  | { readonly kind: 'held'; readonly gap: Range; readonly heldSeconds: number; readonly blockers: readonly string[] }
  | { readonly kind: 'below'; readonly ids: readonly number[] }
  | { readonly kind: 'emptied'; readonly top: number }
);
interface Forced {
  readonly from: number;
  readonly to: number;
  readonly heldMs: number;
}

export interface FenceOptions {
  readonly source: FenceSource;
  /** Where the fence begins: at or below this id nothing can appear any more. */
  readonly from: number;
  /**
   * True where `from` was not kept from an earlier run. Then nothing is readable before the transactions that are open now have
   * ended, if the table is so long that they may hold ids below `from`.
   */
  readonly awaitOpen?: boolean;
  readonly now?: () => number;
  /** After so long the fence passes a hole that may still be filled, and skips what appears there. Left out: never. */
  readonly maxHoldMs?: number | undefined;
  /** All other nodes of a cluster with several writers. */
  readonly nodes?: readonly Prober[];
  readonly onAlarm?: (alarm: FenceAlarm) => void;
  readonly onForced?: (forced: Forced) => void;
}

export function createFence(options: FenceOptions) {
  const { source, from, maxHoldMs, nodes = [], onAlarm = () => {}, onForced = () => {} } = options;
  const now = options.now ?? (() => performance.now());
  const holes = createHoles(from);
  const proof = createProof(holes, [source, ...nodes], now);
  const flushed = createFlushed(source, from);
  let fence = from;
  let begun = false;
  let newest = from; // the highest id of a row that was seen
  // The highest id that had been given at the beginning, though it may have no row: these holes are judged before the next row
  // comes. A server that starts anew may give these ids again, so `safeId` does not go there.
  let given = 0;
  let open: ReadonlySet<string> = new Set();
  let heldSince = now();
  let alarmed = false;
  let nextAbove = 0; // where the next look goes on with its part of the holes
  let nextBelow = 0;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let remindedAt = Number.NEGATIVE_INFINITY;
  let tops: { at: number; top: number }[] = []; // since when an id is known, for maxHoldMs alone

  const waiting = (): boolean => open.size > 0 || fence < holes.top;

  function moveTo(to: number): void {
    const reached = Math.max(to, holes.firstMissing(to + 1) - 1);
    if (reached <= fence) return;
    fence = reached;
    heldSince = now();
    alarmed = false;
    holes.drop(fence - WATCHED_IDS);
  }

  /** Where a row may have appeared: each time in the lowest holes, and in all others by turns. */
  function toReread(check: boolean): Range[] {
    const above = holes.ranges(fence + 1, holes.top, RANGES_PER_LOOK / 2);
    const end = above.at(-1)?.[1] ?? holes.top;
    const further = holes.ranges(Math.max(end + 1, nextAbove), holes.top, RANGES_PER_LOOK / 4);
    nextAbove = (further.at(-1)?.[1] ?? 0) + 1;
    if (!check) return [...above, ...further];
    const below = holes.ranges(Math.max(from + 1, fence - WATCHED_IDS, nextBelow), fence, RANGES_PER_LOOK / 4);
    nextBelow = (below.at(-1)?.[1] ?? 0) + 1;
    return [...below, ...above, ...further];
  }

  async function look(): Promise<Row[]> {
    const check = now() - checkedAt >= CHECK_EVERY_MS;
    const { rows, late } = await source.look(holes.top, toReread(check), ROWS_PER_LOOK);
    const fresh = [...late, ...rows].filter((row) => holes.add(row.id));
    newest = Math.max(newest, fresh.at(-1)?.id ?? 0);
    if (rows.length < ROWS_PER_LOOK) holes.reach(given);
    if (!check) return fresh;
    checkedAt = now();
    if (rows.length > 0 || !(await emptied())) tellBelow(late.map((row) => row.id).filter((id) => id <= fence));
    return fresh;
  }

  function tellBelow(ids: readonly number[]): void {
    if (ids.length === 0) return;
    const text = `rows appeared below id ${fence}, which lists have passed, ${ids.length} of them, the first with id ${ids[0]}: inserted with ids of their own choice, or long after their turn`;
    onAlarm({ kind: 'below', ids, text });
  }

  /** Whether the ids begin again below the fence; told once a minute while it lasts. */
  async function emptied(): Promise<boolean> {
    const top = (await source.top?.(fence)) ?? fence;
    if (top >= fence) return false;
    if (now() - remindedAt < REMIND_EVERY_MS) return true;
    remindedAt = now();
    const text = `the newest id is ${top} where it was ${fence} before: tblwh was emptied or restored. New contents get ids that were given before; readers that are ahead are told to begin again`;
    onAlarm({ kind: 'emptied', top, text });
    return true;
  }

  /** FENCE_MAX_HOLD. Counts from when an id above the hole was first seen: many holes of one age are waited for together. */
  function force(): void {
    if (maxHoldMs === undefined) return;
    const hole = holes.ranges(fence + 1, holes.top, 1)[0];
    const last = tops.at(-1);
    if (hole && (!last || (last.top < holes.top && now() - last.at >= maxHoldMs / 50)))
      tops.push({ at: now(), top: holes.top });
    tops = tops.filter(({ top }) => top > fence);
    const since = hole && tops.find(({ top }) => top >= hole[1])?.at;
    if (!hole || since === undefined || now() - since < maxHoldMs) return;
    moveTo(hole[1]);
    onForced({ from: hole[0], to: hole[1], heldMs: now() - since });
  }

  async function alarm(): Promise<void> {
    const held = now() - heldSince;
    if (alarmed || held < ALARM_AFTER_MS) return;
    alarmed = true;
    const blockers = [...(await source.blockers().catch(() => [])), ...(proof.trouble ? [proof.trouble] : [])];
    const gap = holes.ranges(fence + 1, holes.top, 1)[0] ?? [0, fence];
    const ids = gap[0] === gap[1] ? `id ${gap[0]}` : `ids ${gap[0]} to ${gap[1]}`;
    const what =
      open.size > 0
        ? 'transactions that were open at the start'
        : `${ids}, taken but neither committed nor rolled back`;
    const heldSeconds = Math.round(held / 1000);
    const text = `lists wait for ${what} for ${heldSeconds} s: ${blockers.join('; ') || 'the account cannot see which connection holds them'}`;
    onAlarm({ kind: 'held', gap, heldSeconds, blockers, text });
  }

  /** A transaction that was open at the start counts until it ends, or until this account cannot see transactions any more. */
  async function stillOpen(): Promise<void> {
    const running = await source.open?.().catch(() => open);
    open = new Set([...open].filter((key) => running?.has(key)));
    if (open.size === 0) heldSince = now();
  }

  async function begin(): Promise<void> {
    given = (await source.top?.(Number.MAX_SAFE_INTEGER)) ?? 0;
    if (options.awaitOpen && given > WINDOW_IDS) open = (await source.open?.()) ?? open;
    begun = true;
  }

  /** After a failed look the server may be another one: what was not on disk may be gone. */
  function startOver(): void {
    fence = flushed.retreat();
    newest = fence;
    given = 0;
    holes.cut(fence);
    proof.forget();
  }

  async function once(): Promise<readonly Row[]> {
    if (!begun) await begin();
    const idle = !waiting();
    const [asked, flushedAt] = [now(), source.flushedAt()];
    const fresh = await look().catch((error: unknown) => {
      startOver();
      throw error;
    });
    const at = now();
    if (idle) heldSince = at;
    flushed.keep(fresh);
    if (open.size > 0) await stillOpen();
    moveTo(source.ordered ? holes.top : fence);
    if (fence < holes.top) moveTo(await proof.prove(fence));
    if (fence < holes.top) force();
    flushed.reach(Math.min(fence, newest), at);
    flushed.ripen(asked, flushedAt);
    if (waiting()) await alarm();
    return fresh;
  }

  let last: Promise<unknown> = Promise.resolve();
  return {
    /** The highest id that a list may hand out now. */
    get safeId() {
      return open.size > 0 ? 0 : flushed.safeId;
    },
    /** For how many seconds it has been held; 0 = it is not. */
    get heldSeconds() {
      return waiting() ? (now() - heldSince) / 1000 : 0;
    },
    /** The id up to which passed() has delivered every row. */
    get deliveredId() {
      return open.size > 0 ? 0 : flushed.deliveredId;
    },
    /** True when every row that was seen may be handed out, and the fence waits for nothing. */
    get settled() {
      return !waiting() && flushed.safeId === Math.min(fence, newest);
    },
    /**
     * One look at the database. Resolves with the rows that were not visible before, each once, in id order: for the sequencer.
     * After a failed look, rows that were not on disk yet come again: after a crash their ids may belong to other contents.
     */
    tick(): Promise<readonly Row[]> {
      const ticked = last.then(once);
      last = ticked.catch(() => {});
      return ticked;
    },
    /**
     * The rows up to `safeId` that were not delivered yet, in id order. Asks the database only after the fence was held for long;
     * then a call delivers 20,000 at most, and the next calls the rest. One call at a time.
     */
    passed: async (): Promise<readonly Row[]> => (open.size > 0 ? [] : flushed.passed()),
  };
}

// From F to `safeId`: holds back what was seen until it is on disk.

const MOST_CANDIDATES = 1_000;
// More rows are not kept: they are read again once they may be handed out.
const MOST_ROWS = 50_000;
const ROWS_PER_READ = 5_000;
const ROWS_PER_CALL = 20_000;

function createFlushed(source: FenceSource, from: number) {
  let candidates: { fence: number; at: number }[] = [];
  let safe = from;
  let rows: Row[] = [];
  let delivered = from;
  let lost = 0; // rows up to here were not all kept

  /** Rows that were not kept, read again in chunks. */
  async function reread(upTo: number): Promise<Row[]> {
    const found: Row[] = [];
    while (delivered < upTo && found.length < ROWS_PER_CALL) {
      const page = (await source.look(delivered, [], ROWS_PER_READ)).rows;
      const within = page.filter((row) => row.id <= upTo);
      found.push(...within);
      const more = within.length === page.length && page.length >= ROWS_PER_READ;
      delivered = more ? (within.at(-1)?.id ?? upTo) : upTo;
    }
    return found;
  }

  return {
    /** The highest id whose row cannot vanish any more, nor any row below it. ripen() alone moves it. */
    get safeId() {
      return safe;
    },
    /** passed() has delivered every row up to here. */
    get deliveredId() {
      return delivered;
    },
    /** At the time `at` the fence stood at `fence`. */
    reach(fence: number, at: number): void {
      const last = candidates.at(-1);
      if (fence <= (last?.fence ?? safe)) return;
      if (last && candidates.length >= MOST_CANDIDATES) Object.assign(last, { fence, at });
      else candidates.push({ fence, at });
    },
    /**
     * A look that was sent at `asked` succeeded: the server has lost nothing since the look before. `flushedAt`: when our latest
     * COMMIT was sent that had returned by then.
     */
    ripen(asked: number, flushedAt: number): void {
      let ripe = 0;
      for (const { fence, at } of candidates) {
        if (source.minAgeMs > 0 && asked - at < source.minAgeMs && flushedAt <= at) break;
        safe = fence;
        ripe++;
      }
      if (ripe > 0) candidates = candidates.slice(ripe);
    },
    /** Rows that were seen, for passed(). */
    keep(seen: readonly Row[]): void {
      const newest = rows.at(-1)?.id ?? 0;
      let late = false;
      for (const row of seen) {
        if (row.id <= lost || row.id <= delivered) continue;
        late ||= row.id < newest;
        rows.push(row);
      }
      if (late) rows.sort((a, b) => a.id - b.id);
      if (rows.length <= MOST_ROWS) return;
      lost = rows.at(-1)?.id ?? lost;
      rows = [];
    },
    async passed(): Promise<readonly Row[]> {
      const upTo = safe;
      const found = delivered < lost ? await reread(Math.min(lost, upTo)) : [];
      if (found.length > 0 || delivered < Math.min(lost, upTo) || delivered >= upTo) return found;
      const end = rows.findIndex((row) => row.id > upTo);
      delivered = upTo;
      return rows.splice(0, end === -1 ? rows.length : end);
    },
    /** Forgets all that may have vanished; returns the id up to which nothing can have. */
    retreat(): number {
      candidates = [];
      rows = rows.filter((row) => row.id <= safe);
      return safe;
    },
  };
}
