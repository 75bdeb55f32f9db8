// Time as the program of a world knows it: its timers and clocks are those of the world, each timer that of who sets it.
//
// The modules of src use the timers of Node by their global names, and `node:timers/promises`, which the test files replace by this
// file. Outside of a world all of them are the real ones.
import type { World } from '../world.ts';

interface Entered {
  readonly world: World;
  /** Milliseconds since 1970, by the clock of who asks. */
  readonly wall: () => number;
}
let entered: Entered | undefined;

const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;
const monotonic = performance.now;
const wall = Date.now;

interface Handle {
  cancel(): void;
}
type Act = (...args: unknown[]) => unknown;

function handleOf(cancel: () => void): Handle {
  const handle = { cancel, ref: () => handle, unref: () => handle, hasRef: () => false, [Symbol.toPrimitive]: () => 1 };
  return handle;
}
const planned = ({ world }: Entered, act: Act, ms: unknown, args: unknown[]): Handle =>
  handleOf(world.later(Math.max(1, Number(ms) || 0), () => act(...args), world.actor));

function repeated({ world }: Entered, act: Act, ms: unknown): Handle {
  const { actor } = world;
  let cancel = () => {};
  const plan = () => {
    cancel = world.later(Math.max(1, Number(ms) || 0), run, actor);
  };
  const run = () => {
    plan();
    act();
  };
  plan();
  return handleOf(() => cancel());
}
const cancelled = (handle: unknown, otherwise: (handle: never) => void): void => {
  if (typeof handle === 'object' && handle !== null && 'cancel' in handle) (handle as Handle).cancel();
  else otherwise(handle as never);
};

/** From now on time is the world's. What it returns ends that. */
export function enter(world: World, wallOf: () => number): () => void {
  const one: Entered = { world, wall: wallOf };
  entered = one;
  Object.assign(globalThis, {
    setTimeout: (act: Act, ms?: number, ...args: unknown[]) => planned(one, act, ms, args),
    setInterval: (act: Act, ms?: number) => repeated(one, act, ms),
    setImmediate: (act: Act, ...args: unknown[]) => handleOf(world.later(0, () => act(...args), world.actor)),
    clearTimeout: (handle: unknown) => cancelled(handle, clearTimeout),
    clearInterval: (handle: unknown) => cancelled(handle, clearInterval),
    clearImmediate: (handle: unknown) => cancelled(handle, clearImmediate),
  });
  // A clock that begins at 0 would hide what is compared with it too early.
  performance.now = () => world.now() + 1_000;
  Date.now = wallOf;
  return () => {
    entered = undefined;
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate });
    performance.now = monotonic;
    Date.now = wall;
  };
}

/** What stands in the place of `node:timers/promises`. */
export const timersPromises = {
  setTimeout<T>(ms?: number, value?: T, options: { readonly signal?: AbortSignal } = {}): Promise<T> {
    if (!entered) return new Promise((resolve) => setTimeout(resolve, ms, value as T));
    const { world } = entered;
    const { signal } = options;
    return new Promise((resolve, reject) => {
      const ended = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = world.later(
        Math.max(1, ms ?? 1),
        () => {
          signal?.removeEventListener('abort', ended);
          resolve(value as T);
        },
        world.actor,
      );
      if (signal?.aborted) ended();
      else signal?.addEventListener('abort', ended);
    });
  },
  setImmediate<T>(value?: T): Promise<T> {
    if (!entered) return new Promise((resolve) => setImmediate(resolve, value as T));
    const { world } = entered;
    return new Promise((resolve) => world.later(0, () => resolve(value as T), world.actor));
  },
};

/** What stands in the place of `os.uptime`. */
export const uptime = (machine: () => number): number => (entered ? entered.world.now() / 1_000 + 5_000 : machine());
