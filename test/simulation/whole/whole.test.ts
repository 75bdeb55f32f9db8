// The whole program in simulated worlds: in each of them it keeps its promises, and wrong programs are caught.
import { describe, expect, test, vi } from 'vitest';
import { hold, holdAll, type Run, SEEDS } from '../hold.ts';
import { simulateProgram, type Weather } from './simulate.ts';
import { CONTROL_SEEDS, isCaught, WRONG } from './wrong.ts';

vi.mock('node:timers/promises', async () => (await import('./replaced.ts')).timers());
vi.mock('node:os', async (original) => (await import('./replaced.ts')).os(original));
vi.mock('lru-cache', async (original) => (await import('./replaced.ts')).lru(original));

// As many as take some seconds; test/faults/worlds.test.ts runs all.
const SHARE = 0.04;
const MS_PER_SEED = 1_000;

const run: Run = (seed, trace) => simulateProgram(seed, { trace });

const REMOVING: Partial<Weather> = { retentionDays: 1, kind: 'binlog' };
const JUMPING: Partial<Weather> = { jumps: 2 };
const COMING: Partial<Weather> = { ...JUMPING, processes: 2, kills: 2 };
const EARLY: Partial<Weather> = { ...JUMPING, retentionDays: 1, lengthMs: 300 };

/** Worlds in which an earlier form failed: they run always. */
const KEPT: readonly { readonly seed: number; readonly why: string; readonly weather?: Partial<Weather> }[] = [
  { seed: 178, why: 'a consumer was made during a removal, and had in hand what went', weather: REMOVING },
  { seed: 92, why: 'a consumer was made during a removal, and never got what went', weather: REMOVING },
  {
    seed: 23,
    why: 'a request was kept, and its sender was told that nothing was stored',
    weather: { kind: 'redo', hangs: 0, signed: true, faults: 0.1 },
  },
  {
    seed: 589,
    why: 'a request that waited for its secret was removed, as its time was by another clock',
    weather: { jumps: 2, signed: true, retentionDays: 0, lengthMs: 300, consumers: 1, workers: 1, crashes: 0 },
  },
  { seed: 134, why: 'a process that came after a jump undid what others took out', weather: COMING },
  { seed: 753, why: 'contents were stored before the clock was read, and hid its jump', weather: EARLY },
  {
    seed: 427,
    why: 'a process did not take out what it saw, for others had taken out a jump before',
    weather: JUMPING,
  },
  { seed: 466, why: 'a process believed that others had taken out a jump back', weather: JUMPING },
];

describe('in every world', () => {
  const seeds = Math.ceil(SEEDS * SHARE);
  test(
    'what was acknowledged is kept and handed out, once at a time, and nothing stands still',
    () => holdAll(run, 1, seeds),
    seeds * MS_PER_SEED + 60_000,
  );

  test('a world is decided by its seed alone', async () => {
    const told = async (seed: number) => {
      const trace: string[] = [];
      await run(seed, trace);
      return trace;
    };
    for (const seed of [3, 4, 5]) expect(await told(seed)).toEqual(await told(seed));
  });

  test.each(KEPT)('seed $seed: $why', ({ seed, weather = {} }) =>
    hold((one, trace) => simulateProgram(one, { trace, weather }), seed),
  );
});

describe('the worlds are hard enough to catch', () => {
  test.each(Object.entries(WRONG).filter(([, { slow }]) => !slow))(
    '%s',
    (_, design) => isCaught(design),
    CONTROL_SEEDS * MS_PER_SEED,
  );
});
