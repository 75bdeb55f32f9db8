// What test files replace for the program in a world: `vi.mock('node:os', replaced.os)` and so on, in each file that runs worlds.
import { timersPromises, uptime } from './timers.ts';

type Original = <T>() => Promise<T>;

export const timers = () => ({ ...timersPromises, default: timersPromises });

export async function os(original: Original) {
  const all = await original<typeof import('node:os')>();
  return { ...all, uptime: () => uptime(all.uptime) };
}

// A cache takes the memory for all it may hold when it is made. In a world there is little to hold, and a program is made often.
const MOST_HELD = 60;
export async function lru(original: Original) {
  const { LRUCache } = await original<typeof import('lru-cache')>();
  return {
    LRUCache: class extends LRUCache<object, object> {
      constructor(options: { readonly max: number }) {
        super({ ...options, max: Math.min(options.max, MOST_HELD) });
      }
    },
  };
}
