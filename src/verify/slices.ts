// Long work in slices of 3 ms, one slice in each turn of the event loop, and one user after the other: all else goes on beside it.

/** Work that gives way: at each `yield` it may be interrupted. What it does between two of them is bounded. */
export type Sliced<T> = Generator<void, T, void>;

// A call of anybody else takes five to ten turns of the event loop, and each has a slice in it.
const SLICE_MS = 3;

/** Goes on until this time; true when it is done. */
type Job = (until: number) => boolean;

// Shared by all who slice in this process: the event loop has one turn for all.
const waiting = new Map<number, Job[]>();
let spent = 0;
let planned = false;

function plan(): void {
  if (planned) return;
  planned = true;
  setImmediate(turn);
}

function turn(): void {
  planned = false;
  spent = 0;
  const until = performance.now() + SLICE_MS;
  for (const [user, jobs] of waiting) {
    // A user who was served goes to the end.
    waiting.delete(user);
    while (jobs[0]?.(until)) jobs.shift();
    if (jobs.length > 0) waiting.set(user, jobs);
    if (performance.now() >= until) break;
  }
  if (waiting.size > 0) plan();
}

/** Goes on with it until this time; undefined: it is not done yet. */
function goOn<T>(work: Sliced<T>, until: number): { readonly value: T } | undefined {
  for (;;) {
    const { done, value } = work.next();
    if (done) return { value };
    if (performance.now() >= until) return undefined;
  }
}

/** The result: at once while what is done at once takes less than a slice in this turn, else a promise of it. */
export function inSlices<T>(user: number, work: Sliced<T>): T | Promise<T> {
  const began = performance.now();
  const until = began + SLICE_MS - spent;
  plan();
  if (began < until && !waiting.has(user)) {
    const ended = goOn(work, until);
    spent += performance.now() - began;
    if (ended) return ended.value;
  }
  return new Promise((resolve, reject) => {
    const job: Job = (end) => {
      try {
        const ended = goOn(work, end);
        if (ended) resolve(ended.value);
        return ended !== undefined;
      } catch (error) {
        reject(error);
        return true;
      }
    };
    const jobs = waiting.get(user);
    if (jobs) jobs.push(job);
    else waiting.set(user, [job]);
  });
}

/** The result of sliced work that has a bound of its own, such as a near miss: without giving way. */
export const atOnce = <T>(work: Sliced<T>): T => (goOn(work, Number.POSITIVE_INFINITY) as { readonly value: T }).value;

// Many calls that wake at once go on a few in each turn of the event loop, one of each user after the other.

// As many go on in a turn, or fewer that take so long together: a call of anybody else takes about ten turns.
const MOST_IN_TURN = 16;
const TOGETHER_MS = 3;
// What a call does at once after it went on takes some steps of promises: so many are waited for before its time is looked at.
const STEPS = 8;

const woken = new Map<number, (() => void)[]>();
let gone = 0;
let going = false;

async function letGo(): Promise<void> {
  const until = performance.now() + TOGETHER_MS;
  gone = 0;
  while (woken.size > 0 && gone < MOST_IN_TURN && performance.now() < until) {
    const [user, waiting] = woken.entries().next().value as [number, (() => void)[]];
    // A user who was served goes to the end.
    woken.delete(user);
    const next = waiting.shift();
    if (waiting.length > 0) woken.set(user, waiting);
    gone++;
    next?.();
    for (let step = 0; step < STEPS; step++) await undefined;
  }
  going = gone > 0;
  if (going) setImmediate(letGo);
}

/** Resolves at once while few have gone on in this turn of the event loop, else in one of the next. */
export function inTurn(user: number): Promise<void> | undefined {
  if (!going) setImmediate(letGo);
  going = true;
  if (woken.size === 0 && gone < MOST_IN_TURN) {
    gone++;
    return undefined;
  }
  return new Promise((resolve) => {
    const waiting = woken.get(user);
    if (waiting) waiting.push(resolve);
    else woken.set(user, [resolve]);
  });
}
