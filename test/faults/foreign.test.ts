// Promise 2 on real servers: whatever other applications do to the shared table, no list skips a content and no consumer loses one.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verdict } from '../support/ledger/verdict.ts';
import { createWorld, type World } from '../support/world.ts';
import { runLong } from './runs/long-transaction.ts';
import { runMixed } from './runs/mixed.ts';

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
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
  const mix = { perSecond: 800, ownPerSecond: 100, longestMs: 3_000 };

  test('nothing is skipped, lost, or leased twice beside transactions, savepoints, rollbacks and gap locks', async () => {
    expectGood(await runMixed(world, { ...mix, seconds: 12, sight: true }));
  });

  test('an account with SELECT and INSERT alone skips nothing while no INSERT stalls', async () => {
    expectGood(await runMixed(world, { ...mix, seconds: 6, sight: false }));
  });

  test('a transaction that stays open holds the lists alone, a long DELETE nobody', async () => {
    expectGood(await runLong(world, { openMs: 8_000, deleteMs: 5_000 }));
  });
});
