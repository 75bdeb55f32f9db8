// A database without room, without connections, or with tables that somebody changes: nothing is lost, the cause is told, all goes on.
import { expect, test } from 'vitest';
import { onEveryEngine } from '../support/engines.ts';
import type { Verdict } from '../support/ledger/verdict.ts';
import { needsRoot } from '../support/tools.ts';
import { createWorld, type World } from '../support/world.ts';
import { runDiskFull, runForeignDdl, runNoConnections } from './runs/shortage.ts';

type Options = Parameters<typeof createWorld>[1];

onEveryEngine('shortage', (engine) => {
  /** A server of its own: what is done to it no other test survives. */
  async function within(options: Options, run: (world: World) => Promise<Verdict>): Promise<void> {
    const world = await createWorld(engine, options);
    try {
      const { figures, failures } = await run(world);
      console.log(`${engine}: ${JSON.stringify(figures)}`);
      expect(failures).toEqual([]);
    } finally {
      await world.close();
    }
  }

  // A tmpfs of its own. MySQL does not fail but waits, and takes up to a
  // minute to notice that there is room again: npm run soak -- --run 'disk full'.
  if (engine !== 'mysql')
    test('its disk is full for a while', { timeout: 120_000 }, (context) => {
      needsRoot(context);
      return within({ diskMb: engine === 'sqlite' ? 48 : 700 }, (world) => runDiskFull(world, 3_000));
    });

  if (engine === 'sqlite') return; // Nobody else has connections to it, or changes its tables.

  test('others have taken all of its connections', { timeout: 120_000 }, () =>
    within({ serverArgs: ['--max-connections=60'] }, (world) => runNoConnections(world, 3_000)),
  );

  test('somebody changes the shared table', { timeout: 240_000 }, () =>
    within({}, (world) => runForeignDdl(world, 4_500)),
  );
});
