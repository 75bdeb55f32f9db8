// Thousands of simulated worlds, each decided by one number: the fence, the sequencer and the leases keep their promises in all.
import { describe, expect, test } from 'vitest';
import { createFence } from '../../src/reading/fence.ts';
import type { FenceSource } from '../../src/store/fence/source.ts';
import { simulateConsumers } from './consume.ts';
import { caught, hold, holdAll, type Run, SEEDS } from './hold.ts';
import { simulateLists } from './lists.ts';
import { type MakeUpper, naiveCursor, probeOnly, settleOnly } from './naive.ts';
import { simulateSequence } from './sequence.ts';
import { CRASHING, type Flaws, type RunOptions, type Weather } from './weather.ts';
import { Violation } from './world.ts';

// 10,000 take half a minute.
const MS_PER_SEED = 50;
// Enough for each of the wrong ones to be caught many times over.
const CONTROL_SEEDS = 300;

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
const SHARES = { lists: 0.52, sequencer: 0.39, leases: 0.09 };

/** Worlds in which an earlier form failed, or one that was broken on purpose: they run always, however few the others are. */
const KEPT: readonly (readonly [keyof typeof RUNS, number])[] = [
  ['lists', 1], // what was seen before a restart of the server counted after it
  ['lists', 43], // a failed look was no reason to begin anew
  ['lists', 1568], // rows were handed out too young
  ['lists', 1927], // the fence stood above the newest row
  ['lists', 2896], // a gap was judged by what was observed before a restart
  ['sequencer', 53], // positions that a restart took back were believed to be known
  ['sequencer', 3131], // rows were forgotten when their transaction failed
  ['leases', 461], // an extension counted for contents that somebody else had by then
];

describe('in every world', () => {
  const names = Object.keys(RUNS) as (keyof typeof RUNS)[];
  test.each(names)(
    '%s: nothing is skipped, nothing vanishes, nothing stands still',
    async (name) => {
      await holdAll(RUNS[name], 1, Math.ceil(SEEDS * SHARES[name]));
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

  test.each(KEPT)('%s keep seed %i', (name, seed) => hold(RUNS[name], seed));
});

describe('the worlds are hard enough to catch', () => {
  const calm: Partial<Weather> = { durability: 'binlog', crashes: 0 };
  const stalling: Partial<Weather> = { ...calm, evidence: 'all', stallMs: 4_000, writers: 4, tickMs: 25 };
  const crashing: Partial<Weather> = { ...CRASHING, stallMs: 10, stops: 0 };
  const starting: Partial<Weather> = { ...crashing, durability: 'lazy', kills: 5, keepsMark: false };
  type World = (seed: number, options: RunOptions) => Promise<void>;
  const lists =
    (make: MakeUpper): World =>
    (seed, options) =>
      simulateLists(seed, make, options);
  const blind: Wrap = (source) => ({ ...source, writers: async () => new Set() });
  const hasty: Wrap = (source) => ({ ...source, minAgeMs: 0 });

  test.each<[name: string, weather: Partial<Weather>, run: World, flaws: Flaws, right: World]>([
    ['a cursor on ids', calm, lists(naiveCursor), {}, lists(realFence())],
    ['a fence that only waits', calm, lists(settleOnly), {}, lists(realFence())],
    ['a probe without evidence', stalling, lists(probeOnly), {}, lists(realFence())],
    ['a fence that sees no writers', stalling, lists(realFence(blind)), {}, lists(realFence())],
    ['writers that are seen late', stalling, lists(realFence()), { lateEvidence: true }, lists(realFence())],
    ['rows handed out before they are on disk', crashing, lists(realFence(hasty)), {}, lists(realFence())],
    ['a restart that nobody notices', crashing, lists(realFence()), { restartsUnnoticed: true }, lists(realFence())],
    ['a fence that begins at what it finds', starting, lists(realFence()), { begunOnSight: true }, lists(realFence())],
    ['positions from memory', crashing, simulateSequence, { positionsFromMemory: true }, simulateSequence],
    ['contents handed out before the commit', crashing, simulateConsumers, { handedOutEarly: true }, simulateConsumers],
    ['acks by an old token', {}, simulateConsumers, { anyToken: true }, simulateConsumers],
  ])('%s', async (_, weather, wrong, flaws, right) => {
    const found = await caught((seed) => wrong(seed, { weather, flaws }), CONTROL_SEEDS);
    if (!found) throw new Error(`not caught in ${CONTROL_SEEDS} worlds`);
    expect(found.error).toBeInstanceOf(Violation);
    // And nothing but the flaw: the right one holds in the same world.
    await right(found.seed, { weather });
  });
});
