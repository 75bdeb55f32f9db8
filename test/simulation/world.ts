// A world in which one number decides everything: random draws, the clock, and who acts next. Nothing waits for real time.
import process, { nextTick } from 'node:process';

/** Somebody who may be stopped or killed: what was planned for him waits, or never happens. */
export interface Actor {
  readonly alive: boolean;
  readonly pausedUntil: number;
}

export interface World {
  readonly seed: number;
  /** Who acts now; undefined: the world itself. */
  readonly actor: Actor | undefined;
  /** `actor` acts so much later, unless what is returned is called before. */
  later(ms: number, act: () => unknown, actor?: Actor): () => void;
  /** Virtual milliseconds since the world began. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** An integer in [from, to]. */
  int(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Resolves `ms` later; whatever else is due before acts meanwhile. */
  sleep(ms: number): Promise<void>;
  /** Lets an actor live. An error of it that nobody caught ends the run. */
  spawn(work: () => Promise<void>): void;
  /** A line for the trace; the text is made only when somebody reads it. */
  note(text: () => string): void;
  /** Ends the run: a promise was broken. */
  violation(what: string): never;
  /** Nobody acts any more after this. */
  finish(): void;
  /** Runs until finished, until nothing is left to do, or until so late. */
  run(until: number): Promise<void>;
}

/** A promise of ours was broken. */
export class Violation extends Error {}

/** Thrown into actors that ask for more time when the run is over. One for all: a stack for each would cost more than the run. */
const OVER = new Error('the run is over');

interface Due {
  at: number;
  turn: number;
  readonly actor: Actor | undefined;
  cancelled: boolean;
  wake(): void;
}

// Nothing happens at the same moment as its cause.
const LEAST_MS = 0.001;
const TRACE_LINES = Number(process.env.SIMULATION_TRACE ?? 60);

export interface WorldOptions {
  /** Keeps the last lines of the trace here. */
  readonly trace?: string[] | undefined;
}

/** mulberry32: 32 bits of state are plenty for a run of some thousand draws, and nothing is faster. */
function generator(seed: number): () => number {
  // Neighbouring seeds must not give neighbouring worlds.
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b) ^ 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function createWorld(seed: number, { trace }: WorldOptions = {}): World {
  const random = generator(seed);
  const heap: Due[] = [];
  let clock = 0;
  let turns = 0;
  let over = false;
  let finished = false;
  let broken: unknown;
  let actor: Actor | undefined;

  const before = (a: Due, b: Due) => a.at < b.at || (a.at === b.at && a.turn < b.turn);
  function push(due: Due): void {
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Due;
      if (!before(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }
  function pop(): Due | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Due, heap[child] as Due)) child++;
      if (!before(heap[child] as Due, last)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  const world: World = {
    seed,
    get actor() {
      return actor;
    },
    now: () => clock,
    random,
    int: (from, to) => from + Math.floor(random() * (to - from + 1)),
    chance: (probability) => random() < probability,
    pick: (from) => from[Math.floor(random() * from.length)] as never,
    sleep: (ms) =>
      new Promise((resolve, reject) => {
        if (over) return reject(OVER);
        const wake = () => (over ? reject(OVER) : resolve());
        push({ at: clock + Math.max(ms, LEAST_MS), turn: turns++, actor: undefined, cancelled: false, wake });
      }),
    later(ms, act, who) {
      const wake = () => {
        if (over) return;
        try {
          act();
        } catch (error) {
          if (error !== OVER) broken ??= error;
        }
      };
      const due = { at: clock + Math.max(ms, LEAST_MS), turn: turns++, actor: who, cancelled: false, wake };
      push(due);
      return () => {
        due.cancelled = true;
      };
    },
    spawn(work) {
      work().catch((error: unknown) => {
        if (error !== OVER) broken ??= error;
      });
    },
    note(text) {
      if (!trace) return;
      trace.push(`${clock.toFixed(2).padStart(10)}  ${text()}`);
      if (trace.length > TRACE_LINES) trace.shift();
    },
    violation(what) {
      world.note(() => `VIOLATION ${what}`);
      const error = new Violation(what);
      broken ??= error;
      throw error;
    },
    finish() {
      finished = true;
    },
    async run(until) {
      for (let due = pop(); due && due.at <= until && !broken && !finished; due = pop()) {
        clock = due.at;
        actor = due.actor;
        if (due.cancelled || actor?.alive === false) continue;
        if (actor && actor.pausedUntil > clock) {
          due.at = actor.pausedUntil;
          due.turn = turns++;
          push(due);
          continue;
        }
        due.wake();
        // Ticks run when no promise is left to settle: the actor has gone as far as it can without more time.
        await new Promise<void>((resolve) => nextTick(resolve));
      }
      over = true;
      for (let due = pop(); due; due = pop()) due.wake();
      await new Promise<void>((resolve) => nextTick(resolve));
      if (broken) throw broken;
    },
  };
  return world;
}
