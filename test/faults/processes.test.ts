// Promises 1 and 4 with several processes and a bad wire: no content is leased twice or lost, nothing unknown is told as done.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEveryEngine } from '../support/engines.ts';
import type { Verdict } from '../support/ledger/verdict.ts';
import { createWorld, type World } from '../support/world.ts';
import { runLastIds, runReadOnly } from './runs/limits.ts';
import { runProcesses, runStopped } from './runs/processes.ts';
import { runWireFaults } from './runs/wire-faults.ts';

onEveryEngine('several processes', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(engine);
  });
  afterAll(async () => {
    await world?.close();
  });
  const expectGood = ({ figures, failures }: Verdict) => {
    console.log(`${engine}: ${JSON.stringify(figures)}`);
    expect(failures).toEqual([]);
  };

  test('two processes with crashing, slow and sloppy workers never lease a content twice, and lose none', async () => {
    const seconds = engine === 'sqlite' ? 5 : 10;
    expectGood(await runProcesses(world, { seconds, processes: 2, workers: 4, perSecond: 300, leaseSeconds: 1 }));
  });

  test('processes and their database, killed and stopped at random: all that is promised of lists and leases holds', async () => {
    const size = { seconds: 8, processes: 2, workers: 2, perSecond: 200, leaseSeconds: 2 };
    expectGood(await runProcesses(world, { ...size, disturbed: true }));
  }, 180_000);

  test('a process that was stopped for longer than a lease acks nothing with it any more', async () => {
    expectGood(await runStopped(world));
  });

  if (engine === 'sqlite') return; // It has no server, no wire, and ids of 64 bits.

  test('COMMITs that are cut, resets and a silent wire: senders get a 503, nothing is lost, all recovers', async () => {
    expectGood(await runWireFaults(world, { cuts: 3, resets: 2, silenceMs: 5_000 }));
  });

  test('a database that is read-only for a while takes nothing, and is used again at once', async () => {
    expectGood(await runReadOnly(world, 2_000));
  });

  test('the last ids are used, then senders get a 503, and readers get them all', async () => {
    expectGood(await runLastIds(world));
  });
});
