// One run of the world in which processes give contents their positions, each what its own fence sees.
import { createFence } from '../../src/flow/fence.ts';
import { createSequencer, type Sequencer } from '../../src/flow/sequencer.ts';
import { StoreError } from '../../src/store/db.ts';
import type { Row } from '../../src/store/fence.ts';
import type { Placed } from '../../src/store/positions.ts';
import { type Process, survive } from './actors.ts';
import { FIRST_ID } from './contents.ts';
import { createPositions, type Positions } from './positions.ts';
import { drawWeather, minAgeOf, type RunOptions, type Setting, settle } from './weather.ts';
import { createWorld } from './world.ts';

// The slow broom behind the fence, which in truth comes every minute.
const SWEEP_EVERY_MS = 3_000;
const PATIENCE_MS = 15_000;

/** Positions that were told in a process, from the first it could be told of. */
interface Told {
  readonly from: number;
  readonly users: Set<number>;
}

/** Lets a process look and place for ever, as the tail does; `tell` gets what it would wake people with. */
export function sequence(
  setting: Setting,
  positions: Positions,
  process: Process,
  tell: (placed: readonly Placed[]) => void,
): void {
  const { world, contents, weather } = setting;
  let swept: readonly Row[] = [];
  world.spawn(async () => {
    const source = contents.source(process.delay, minAgeOf(weather), process.flushedAt);
    const fence = createFence({ source, from: FIRST_ID - 1, now: world.now });
    let sequencer: Sequencer | undefined;
    world.spawn(async () => {
      while (process.alive) {
        const found = await positions.unplaced(process, fence.readable).catch(() => []);
        swept = [...swept, ...found];
        await world.sleep(SWEEP_EVERY_MS);
      }
    });
    while (process.alive) {
      const ok = await survive(
        (async () => {
          sequencer ??= await createSequencer(positions.source(process));
          const fresh = await fence.tick();
          const rows = [...swept, ...fresh];
          swept = [];
          tell(await sequencer.run(rows));
        })(),
      );
      await world.sleep(ok ? weather.tickMs * world.random() : 250);
    }
  });
}

/** Rejects with what was violated. */
export async function simulateSequence(seed: number, options: RunOptions = {}): Promise<void> {
  const world = createWorld(seed, options);
  const weather = { ...drawWeather(world), ...options.weather };
  const told = new Map<Process, Told>();
  let positions: Positions | undefined;
  const setting = settle(world, weather, (setting, process) => {
    positions ??= createPositions(world, setting.db, setting.contents);
    const mine: Told = { from: Math.max(0, ...positions.table.rows.keys()), users: new Set() };
    told.set(process, mine);
    sequence(setting, positions, process, (placed) => {
      for (const { user_id } of placed) mine.users.add(user_id);
    });
  });
  const { contents, processes } = setting;
  const all = positions as unknown as Positions;

  const settled = () =>
    contents.visible(0).every(({ id, user_id }) => {
      const placed = all.of(id);
      return placed?.user_id === user_id;
    });
  world.spawn(async () => {
    await setting.quiet;
    const since = world.now();
    world.note(() => 'all writers have ended');
    while (!settled() && world.now() - since < PATIENCE_MS) await world.sleep(50);
    all.complete();
    world.finish();
  });
  await world.run(120_000);
  void processes;
  void StoreError;
}
