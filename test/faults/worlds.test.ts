// Thousands of seeds of the whole program's simulated worlds on all cores, and the wrong programs whose worlds take long.
import { test, vi } from 'vitest';
import { SEEDS } from '../simulation/hold.ts';
import { holdOnAllCores } from '../simulation/whole/threads.ts';
import { CONTROL_SEEDS, isCaught, WRONG } from '../simulation/whole/wrong.ts';

vi.mock('node:timers/promises', async () => (await import('../simulation/whole/replaced.ts')).timers());
vi.mock('node:os', async (original) => (await import('../simulation/whole/replaced.ts')).os(original));
vi.mock('lru-cache', async (original) => (await import('../simulation/whole/replaced.ts')).lru(original));

const MS_PER_SEED = 1_000;
// Each takes some 50 ms of a core. SIMULATION_SEEDS=10000 runs more of them.
const WORLDS = Math.min(SEEDS, process.env.SIMULATION_SEEDS ? SEEDS : 3_000);

test('the program keeps its promises in every world', () => holdOnAllCores(1, WORLDS), WORLDS * MS_PER_SEED);

test.each(Object.entries(WRONG).filter(([, { slow }]) => slow))(
  '%s is caught',
  (_, design) => isCaught(design),
  CONTROL_SEEDS * 10 * MS_PER_SEED,
);
