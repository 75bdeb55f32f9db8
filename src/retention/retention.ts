// Removes old contents, a few at a time and in a small share of the time, by one process at once.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../store/db.ts';
import {
  endTurn,
  isUnder,
  type Pruned,
  placesAfter,
  positionBeforeDays,
  prune,
  type Rule,
  readRules,
  takeTurn,
} from '../store/retention.ts';
import { readClock, settledClock } from '../store/shared/clock.ts';
import { countableNow, type Held, heldBack, keptPolicy } from './held.ts';

// A transaction removes as many rows as fit into this time, between these bounds. On SQLite all other calls wait for it. On a
// server none does, and a small transaction costs as much as a large one.
const PART_MS = { sqlite: 8, mysql: 200 } as const;
const LEAST_ROWS = 20;
const MOST_ROWS = 500;
// After each part the pass rests this many times as long as the part took: ingest loses less than a tenth.
const REST = 12;
const LEAST_REST_MS = 5;
const READ_ROWS = 2_000;
// The turn of a process that died ends after this. A turn is renewed when half of it is over.
const TURN_MS = 60_000;

interface PassOptions {
  readonly foreign: boolean;
  readonly dry?: boolean;
  /** As if a person had confirmed that the clock is right. */
  readonly confirmed?: boolean;
  /** The rest after a part, as a multiple of the time it took. */
  readonly rest?: number;
  readonly stop?: AbortSignal;
  /** `share`: of all positions that the rules concern, 0 to 1. */
  readonly tell?: (share: number, sum: Sum) => void;
}
export interface Sum {
  readonly contents: number;
  readonly kept: number;
  readonly foreign: number;
}
/** Where the next pass by the same rules begins, so that contents that are kept for long are not read every hour. */
export type Marks = Map<string, number>;

/** Another process has the turn, or took it over. */
export class NotOurTurn extends Error {}

/** One pass over all contents that are old by these rules. One that was stopped is simply started again. */
export async function prunePass(
  db: Db,
  rules: readonly Rule[],
  marks: Marks,
  { foreign, dry = false, confirmed = false, rest = REST, stop, tell = () => {} }: PassOptions,
): Promise<Sum> {
  let sum: Sum = { contents: 0, kept: 0, foreign: 0 };
  let rows = LEAST_ROWS * 5;
  let held = dry ? 0 : await takeTurn(db, 0, TURN_MS);
  let renewAt = performance.now() + TURN_MS / 2;

  const pause = (ms: number) => sleep(ms, undefined, stop && { signal: stop }).catch(() => {});
  async function part(ids: readonly number[]): Promise<Pruned> {
    if (!dry && performance.now() > renewAt) {
      held = await takeTurn(db, held ?? 0, TURN_MS);
      renewAt = performance.now() + TURN_MS / 2;
    }
    if (held === undefined) throw new NotOurTurn('another process is removing old contents');
    const began = performance.now();
    const done = await prune(db, ids, { foreign, dry });
    const took = performance.now() - began;
    const most = PART_MS[db.kind];
    const fits = Math.min((done.done * most) / Math.max(took, 1), 2 * rows);
    if (done.done === rows || took > most) rows = Math.round(Math.min(MOST_ROWS, Math.max(LEAST_ROWS, fits)));
    await pause(Math.max(LEAST_REST_MS, rest * took));
    return done;
  }

  try {
    const clock = await (dry ? readClock(db) : settledClock(db));
    const nowOf = (days: number) => (confirmed ? clock.wall : countableNow(clock, days));
    const ends = await Promise.all(rules.map(({ days }) => positionBeforeDays(db, days, nowOf(days))));
    const starts = rules.map((rule) => marks.get(keyOf(rule, foreign)) ?? 0);
    const first = (await placesAfter(db, Math.min(...starts), Math.max(0, ...ends), 1))[0]?.pos ?? 0;
    const lengths = ends.map((end, i) => Math.max(0, end - Math.max(first - 1, starts[i] ?? 0)));
    const whole = lengths.reduce((all, one) => all + one, 0);
    let behind = 0;
    for (const [i, rule] of rules.entries()) {
      const end = ends[i] as number;
      let at = Math.max(first - 1, starts[i] as number);
      const began = at;
      let mark = end;
      while (at < end && !stop?.aborted) {
        const positions = await placesAfter(db, at, end, READ_ROWS);
        const ours = positions.filter(({ wh_id }) => isUnder(rule, wh_id));
        for (let from = 0; from < ours.length && !stop?.aborted; ) {
          const some = ours.slice(from, from + rows);
          const { done, contents, kept, foreign: others } = await part(some.map(({ id }) => id));
          sum = { contents: sum.contents + contents, kept: sum.kept + kept.length, foreign: sum.foreign + others };
          // Contents that a consumer has still to get are kept: the next pass begins at the first of them.
          const low = kept.length > 0 ? some.find(({ id }) => kept.includes(id)) : undefined;
          mark = Math.min(mark, low ? low.pos - 1 : mark);
          from += done;
          tell(shareOf(behind + (some[done - 1]?.pos ?? at) - began, whole), sum);
        }
        at = positions.length < READ_ROWS ? end : (positions.at(-1)?.pos ?? end);
        if (ours.length === 0) await pause(LEAST_REST_MS);
      }
      if (stop?.aborted) break;
      behind += lengths[i] ?? 0;
      marks.set(keyOf(rule, foreign), mark);
    }
    return sum;
  } finally {
    if (held) await endTurn(db, held).catch(() => {});
  }
}

const shareOf = (done: number, whole: number): number => (whole === 0 ? 1 : Math.min(1, done / whole));
const keyOf = ({ days, which, whids }: Rule, foreign: boolean): string => `${days} ${which} ${[...whids]} ${foreign}`;

interface PrunerParts {
  readonly db: Db;
  readonly days: number;
  readonly foreign: boolean;
  readonly log: { info(data: object, message: string): void; warn(data: object, message: string): void };
  /** Told after each look what waits for a person. */
  readonly onHeld?: (held: Held | undefined) => void;
  readonly firstMs?: number;
  readonly everyMs?: number;
}

const FIRST_MS = 3_000;
const EVERY_MS = 60 * 60_000;

/** A pass once an hour. `stop` resolves when no part is under way any more. */
export function startPruner(parts: PrunerParts): { stop(): Promise<void> } {
  const { db, days, foreign, log, onHeld = () => {}, firstMs = FIRST_MS, everyMs = EVERY_MS } = parts;
  const marks: Marks = new Map();
  const stopping = new AbortController();
  const { signal } = stopping;

  async function pass(): Promise<void> {
    try {
      const wanted = { days, foreign };
      const agreed = await keptPolicy(db, wanted);
      const held = await heldBack(db, wanted, agreed);
      onHeld(held);
      if (held) log.warn({ contents: held.contents, why: held.why }, held.text);
      const rules = await readRules(db, agreed.days);
      if (rules.length === 0) return;
      const began = performance.now();
      const sum = await prunePass(db, rules, marks, { foreign: agreed.foreign, stop: signal });
      const seconds = Math.round((performance.now() - began) / 1000);
      if (sum.contents > 0) log.info({ ...sum, seconds }, 'old contents were removed');
    } catch (error) {
      if (error instanceof NotOurTurn) return;
      log.warn({ error }, 'old contents were not removed; tried again in an hour');
    }
  }
  async function run(): Promise<void> {
    for (let pause = firstMs; ; pause = everyMs) {
      await sleep(pause, undefined, { signal, ref: false });
      await pass();
    }
  }
  const running = run().catch(() => {}); // it rejects only when it was stopped
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}

// A walk over a table by id, in parts that take about as long as one another, whatever the distance and the size of the rows.

const STEP_MS = 150;
const FIRST_IDS = 1_000;
const MOST_IDS = 50_000;

/** Calls `work` for after < id <= upTo, part by part, until `last`. */
export async function walkIds(last: number, work: (after: number, upTo: number) => Promise<void>): Promise<void> {
  let ids = FIRST_IDS;
  for (let at = 0; at < last; ) {
    const upTo = Math.min(last, at + ids);
    const began = performance.now();
    await work(at, upTo);
    const took = Math.max(1, performance.now() - began);
    ids = Math.round(Math.min(MOST_IDS, Math.max(1, Math.min((ids * STEP_MS) / took, 2 * ids))));
    at = upTo;
  }
}
