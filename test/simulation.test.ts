// Thousands of simulated worlds, each decided by one number: the fence, the sequencer and the leases keep their promises in all.
import process from 'node:process';
import { setImmediate as breathe } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createFence } from '../src/flow/fence.ts';
import type { FenceSource } from '../src/store/fence.ts';
import { simulateConsumers } from './simulation/consume.ts';
import { simulateLists } from './simulation/lists.ts';
import { type MakeUpper, naiveCursor, probeOnly, settleOnly } from './simulation/naive.ts';
import { simulateSequence } from './simulation/sequence.ts';

// 10,000 take half a minute; SIMULATION_SEEDS=1000000 is for a night.
const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 10_000);
const MS_PER_SEED = 50;
// Enough for each of the wrong ones to be caught many times over.
const CONTROL_SEEDS = 300;

type Run = (seed: number, trace?: string[]) => Promise<void>;
type Wrap = (source: FenceSource) => FenceSource;

const realFence =
  (wrap: Wrap = (source) => source): MakeUpper =>
  (source, now, from) =>
    createFence({ source: wrap(source), from, now });

const RUNS = {
  lists: (seed, trace) => simulateLists(seed, realFence(), { trace }),
  sequencer: (seed, trace) => simulateSequence(seed, { trace }),
  leases: (seed, trace) => simulateConsumers(seed, { trace }),
} satisfies Record<string, Run>;

/** What of all seeds each takes: where one is cheap or has found more, it gets more. */
const SHARES = { lists: 0.5, sequencer: 0.35, leases: 0.15 };

/** Seeds that found something once, run always. What they found is told where it was put right. */
const KEPT: readonly (readonly [keyof typeof RUNS, number])[] = [];

/** Runs one world; a failure is run again for its last steps. */
async function hold(run: Run, seed: number): Promise<void> {
  try {
    await run(seed);
  } catch (first) {
    const trace: string[] = [];
    await run(seed, trace).catch(() => {});
    throw new Error(`seed ${seed}: ${first instanceof Error ? first.message : first}\n${trace.join('\n')}`, {
      cause: first,
    });
  }
}

describe('in every world', () => {
  const names = Object.keys(RUNS) as (keyof typeof RUNS)[];
  test.each(names)(
    '%s: nothing is skipped, nothing vanishes, nothing stands still',
    async (name) => {
      const seeds = Math.ceil(SEEDS * SHARES[name]);
      for (let seed = 1; seed <= seeds; seed++) {
        await hold(RUNS[name], seed);
        if (seed % 50 === 0) await breathe();
      }
    },
    SEEDS * MS_PER_SEED + 60_000,
  );

  test('a world is decided by its seed alone', async () => {
    const told = async (name: keyof typeof RUNS) => {
      const trace: string[] = [];
      await RUNS[name](7, trace);
      return trace;
    };
    for (const name of names) expect(await told(name)).toEqual(await told(name));
  });

  if (KEPT.length > 0) test.each(KEPT)('%s keep seed %i', async (name, seed) => hold(RUNS[name], seed));
});

describe('the worlds are hard enough to catch', () => {
  const safe = { durability: 'binlog', crashes: 0 } as const;
  const stalling = { ...safe, evidence: 'all', stallMs: 4_000, writers: 4, tickMs: 25 } as const;
  const BROKEN = /vanished|was committed after|never/;
  // The disk is slow: much is visible that is not on it when the crash comes.
  const crashing = { durability: 'redo', flushMs: 300, crashes: 3, evidence: 'all', stallMs: 10 } as const;
  const lists = (make: MakeUpper, weather: Parameters<typeof simulateLists>[2]): Run => {
    return (seed) => simulateLists(seed, make, weather);
  };
  const nobodyWrites: Wrap = (source) => ({ ...source, writers: async () => new Set() });
  const noBarrier: Wrap = (source) => ({ ...source, minAgeMs: 0 });

  test.each<[string, Run, RegExp]>([
    ['a cursor on ids', lists(naiveCursor, { weather: safe }), /was committed after/],
    ['a fence that only waits', lists(settleOnly, { weather: safe }), /was committed after/],
    ['a probe without evidence', lists(probeOnly, { weather: stalling }), /was committed after/],
    ['a fence that sees no writers', lists(realFence(nobodyWrites), { weather: stalling }), /was committed after/],
    [
      'writers that are seen late',
      lists(realFence(), { weather: { ...stalling, evidence: 'late' } }),
      /was committed after/,
    ],
    ['rows handed out before they are on disk', lists(realFence(noBarrier), { weather: crashing }), BROKEN],
    [
      'a restart of the server that nobody notices',
      lists(realFence(), {
        weather: { ...crashing, durability: 'lazy', tickMs: 250, slowestMs: 500, stops: 3 },
        flaws: { restartsUnnoticed: true },
      }),
      BROKEN,
    ],
    [
      'a fence that begins at what it finds',
      lists(realFence(), { weather: { ...crashing, kills: 3, keepsMark: false }, flaws: { begunOnSight: true } }),
      BROKEN,
    ],
    [
      'positions for rows that have vanished',
      (seed) => simulateSequence(seed, { weather: crashing, flaws: { positionsFromMemory: true } }),
      /vanished/,
    ],
    [
      'leases handed out before the commit',
      (seed) => simulateConsumers(seed, { weather: crashing, flaws: { handedOutEarly: true } }),
      /vanished/,
    ],
    ['acks by an old token', (seed) => simulateConsumers(seed, { flaws: { anyToken: true } }), /ack/],
  ])('%s', async (_, run, expected) => {
    for (let seed = 1; seed <= CONTROL_SEEDS; seed++) {
      const found = await run(seed).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (found) return expect(String(found)).toMatch(expected);
    }
    throw new Error(`not caught in ${CONTROL_SEEDS} worlds`);
  });
});
