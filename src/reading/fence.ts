// Answers one question for every list: up to which id may I read, so that nothing can appear below it later?
//
// An INSERT takes its id before it commits, so a lower id can appear after a higher one. A list that goes by id must stop before
// the first id that may still appear, or its reader skips a content for ever. The fence F is the id up to which none can.
// - Passing: the ids F+1, F+2 … have been seen. F moves at once: what is committed does not become uncommitted.
// - Held: F+1 has not been seen, but a higher id has. F moves on only once proof.ts shows that the gap is dead. Time alone never
//   does that, for a transaction may stay open for hours; FENCE_MAX_HOLD is the operator's choice to skip, and is logged.
// - At a start without a kept mark: nothing is readable while a transaction is open that may hold an id below `from`.
// `readable` never exceeds F, and waits until the rows are on disk (durable.ts): a server that crashes may lose rows that it had
// shown, and give their ids to other contents. After a failed look all that was not on disk is forgotten and read anew. An error
// means held, never passed. `readable` moves back in no case but an emptied table: a new fence is made then.
import { type FenceSource, type Prober, type Range, type Row, WINDOW_IDS } from '../store/fence/source.ts';
import { createHoles } from './holes.ts';
import { createProof } from './proof.ts';

export type { FenceSource, Row } from '../store/fence/source.ts';

const ROWS_PER_LOOK = 10_000;
const RANGES_PER_LOOK = 500;
const ALARM_AFTER_MS = 5_000;
// What is checked only against mistakes of others: emptied tables, rows with ids of long ago.
const CHECK_EVERY_MS = 1_000;
const REMIND_EVERY_MS = 60_000;
// A row that appears this far below the fence, or less, is noticed.
const WATCHED_IDS = 100_000;

export interface Fence {
  /** The highest id that a list may hand out now. */
  readonly safeId: number;
  /** Since when it has been standing before a gap, in seconds; 0 = it is not. */
  readonly heldSeconds: number;
  /** The id up to which passed() has given every row. */
  readonly deliveredId: number;
  /** True when it stands at the newest id that was seen, and waits for nothing. */
  readonly settled: boolean;
  /**
   * One look at the database. Resolves with the rows that were not visible before, each once, in id order: for the sequencer.
   * After a look that failed, those that were not on disk yet come again: a crash may have put others in their place.
   */
  tick(): Promise<readonly Row[]>;
  /**
   * The rows that `readable` has passed since the last call, in id order. No query unless it was held for long; then no more
   * than 20,000 a call, and the rest at the next ones. One call at a time.
   */
  passed(): Promise<readonly Row[]>;
}

/** What the operator has to know. `text` is a sentence for the log. */
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
  /** Where it begins: at or below here nothing can appear any more. */
  readonly from: number;
  /**
   * True where `from` was not kept from an earlier run: nothing is readable then before the transactions that are open now
   * have ended, if the table is so long that they may hold ids below `from`.
   */
  readonly awaitOpen?: boolean;
  readonly now?: () => number;
  /** Passes a gap that may still be filled after so long, and skips what comes then. Left out: never. */
  readonly maxHoldMs?: number | undefined;
  /** All other nodes of a cluster with several writers. */
  readonly nodes?: readonly Prober[];
  readonly onAlarm?: (alarm: FenceAlarm) => void;
  readonly onForced?: (forced: Forced) => void;
}

export function createFence(options: FenceOptions): Fence {
  const { source, from, maxHoldMs, nodes = [], onAlarm = () => {}, onForced = () => {} } = options;
  const now = options.now ?? (() => performance.now());
  const gaps = createHoles(from);
  const proof = createProof(gaps, [source, ...nodes], now);
  const durable = createDurable(source, from);
  let fence = from;
  let begun = false;
  let newest = from; // the highest id of a row that was seen
  let open: ReadonlySet<string> = new Set();
  let heldSince = now();
  let alarmed = false;
  let nextAbove = 0; // where the rotating part of the re-read goes on
  let nextBelow = 0;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let remindedAt = Number.NEGATIVE_INFINITY;
  let tops: { at: number; top: number }[] = []; // since when an id is known, for maxHoldMs alone

  // Ids up to here had been given when it began, though there may be no rows: judged before the next row comes. A server
  // that starts anew may give them again, so `readable` does not go there.
  let given = 0;

  const waiting = (): boolean => open.size > 0 || fence < gaps.top;

  function moveTo(to: number): void {
    const reached = Math.max(to, gaps.firstMissing(to + 1) - 1);
    if (reached <= fence) return;
    fence = reached;
    heldSince = now();
    alarmed = false;
    gaps.drop(fence - WATCHED_IDS);
  }

  /** Where rows may have appeared: the lowest gaps each time, all others in turn. */
  function holes(check: boolean): Range[] {
    const above = gaps.ranges(fence + 1, gaps.top, RANGES_PER_LOOK / 2);
    const end = above.at(-1)?.[1] ?? gaps.top;
    const further = gaps.ranges(Math.max(end + 1, nextAbove), gaps.top, RANGES_PER_LOOK / 4);
    nextAbove = (further.at(-1)?.[1] ?? 0) + 1;
    if (!check) return [...above, ...further];
    const below = gaps.ranges(Math.max(from + 1, fence - WATCHED_IDS, nextBelow), fence, RANGES_PER_LOOK / 4);
    nextBelow = (below.at(-1)?.[1] ?? 0) + 1;
    return [...below, ...above, ...further];
  }

  async function look(): Promise<Row[]> {
    const check = now() - checkedAt >= CHECK_EVERY_MS;
    const { rows, late } = await source.look(gaps.top, holes(check), ROWS_PER_LOOK);
    const fresh = [...late, ...rows].filter((row) => gaps.add(row.id));
    newest = Math.max(newest, fresh.at(-1)?.id ?? 0);
    if (rows.length < ROWS_PER_LOOK) gaps.reach(given);
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
    const text = `the newest id is ${top} where it was ${fence} before: tblwh was emptied or restored. New contents get ids that were given before; readers who are ahead are told to begin again`;
    onAlarm({ kind: 'emptied', top, text });
    return true;
  }

  /** The opt-in cap. Counts from when an id above the gap was first seen, so that many gaps of one age are not waited for in turn. */
  function force(): void {
    if (maxHoldMs === undefined) return;
    const gap = gaps.ranges(fence + 1, gaps.top, 1)[0];
    const last = tops.at(-1);
    if (gap && (!last || (last.top < gaps.top && now() - last.at >= maxHoldMs / 50)))
      tops.push({ at: now(), top: gaps.top });
    tops = tops.filter(({ top }) => top > fence);
    const since = gap && tops.find(({ top }) => top >= gap[1])?.at;
    if (!gap || since === undefined || now() - since < maxHoldMs) return;
    moveTo(gap[1]);
    onForced({ from: gap[0], to: gap[1], heldMs: now() - since });
  }

  async function alarm(): Promise<void> {
    const held = now() - heldSince;
    if (alarmed || held < ALARM_AFTER_MS) return;
    alarmed = true;
    const blockers = [...(await source.blockers().catch(() => [])), ...(proof.trouble ? [proof.trouble] : [])];
    const gap = gaps.ranges(fence + 1, gaps.top, 1)[0] ?? [0, fence];
    const ids = gap[0] === gap[1] ? `id ${gap[0]}` : `ids ${gap[0]} to ${gap[1]}`;
    const what =
      open.size > 0
        ? 'transactions that were open at the start'
        : `${ids}, taken but neither committed nor rolled back`;
    const heldSeconds = Math.round(held / 1000);
    const text = `lists wait for ${what} for ${heldSeconds} s: ${blockers.join('; ') || 'nobody can be seen who holds them'}`;
    onAlarm({ kind: 'held', gap, heldSeconds, blockers, text });
  }

  /** A transaction that was open at the start counts until it ends; null = this account cannot tell any more. */
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

  /** After a look that failed the server may be another one, and what was not on disk is nothing. */
  function startOver(): void {
    fence = durable.retreat();
    newest = fence;
    given = 0;
    gaps.cut(fence);
    proof.forget();
  }

  async function once(): Promise<readonly Row[]> {
    if (!begun) await begin();
    const idle = !waiting();
    const [asked, flushed] = [now(), source.flushedAt()];
    const fresh = await look().catch((error: unknown) => {
      startOver();
      throw error;
    });
    const at = now();
    if (idle) heldSince = at;
    durable.keep(fresh);
    if (open.size > 0) await stillOpen();
    moveTo(source.ordered ? gaps.top : fence);
    if (fence < gaps.top) moveTo(await proof.prove(fence));
    if (fence < gaps.top) force();
    durable.reach(Math.min(fence, newest), at);
    durable.ripen(asked, flushed);
    if (waiting()) await alarm();
    return fresh;
  }

  let last: Promise<unknown> = Promise.resolve();
  return {
    get safeId() {
      return open.size > 0 ? 0 : durable.safeId;
    },
    get heldSeconds() {
      return waiting() ? (now() - heldSince) / 1000 : 0;
    },
    get deliveredId() {
      return open.size > 0 ? 0 : durable.deliveredId;
    },
    get settled() {
      return !waiting() && durable.safeId === Math.min(fence, newest);
    },
    tick() {
      const ticked = last.then(once);
      last = ticked.catch(() => {});
      return ticked;
    },
    passed: async () => (open.size > 0 ? [] : durable.passed()),
  };
}

// Holds back what was seen until it is on disk: a server may show a row before its log is flushed, and lose it in a crash.

const MOST_CANDIDATES = 1_000;
// Beyond it rows are not kept but read again once they may be handed out.
const MOST_ROWS = 50_000;
const ROWS_PER_READ = 5_000;
const ROWS_PER_CALL = 20_000;

interface Durable {
  /** The highest id whose row, and all below, cannot vanish any more. Moved by ripen() alone. */
  readonly safeId: number;
  /** passed() has given every row up to here. */
  readonly deliveredId: number;
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

function createDurable(source: FenceSource, from: number): Durable {
  let candidates: { fence: number; at: number }[] = [];
  let safe = from;
  let rows: Row[] = [];
  let handed = from; // passed() has given everything up to here
  let lost = 0; // rows up to here were not all kept

  /** Rows that were not kept, read again in chunks. */
  async function reread(upTo: number): Promise<Row[]> {
    const found: Row[] = [];
    while (handed < upTo && found.length < ROWS_PER_CALL) {
      const page = (await source.look(handed, [], ROWS_PER_READ)).rows;
      const within = page.filter((row) => row.id <= upTo);
      found.push(...within);
      const more = within.length === page.length && page.length >= ROWS_PER_READ;
      handed = more ? (within.at(-1)?.id ?? upTo) : upTo;
    }
    return found;
  }

  return {
    get safeId() {
      return safe;
    },
    get deliveredId() {
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
