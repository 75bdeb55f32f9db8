// One run of the world in which processes give contents their positions, each what its own fence sees.
import { createFence } from '../../src/reading/fence.ts';
import { createSequencer, type Sequencer } from '../../src/reading/sequencer.ts';
import type { Row } from '../../src/store/fence/source.ts';
import { type Process, survive } from './actors.ts';
import { FIRST_ID } from './contents.ts';
import { createPositions, type Positions } from './positions.ts';
import { drawWeather, minAgeOf, type RunOptions, settle } from './weather.ts';
import { createWorld } from './world.ts';

// The slow broom behind the fence, which in truth comes every minute. It is for what a crash takes back: where none does, it must not be needed.
const SWEEP_EVERY_MS = 3_000;
const PATIENCE_MS = 15_000;

/** What a process has told those who wait: the contents, from a position on. */
interface Told {
  readonly after: number;
  readonly users: Set<number>;
}

/** Rejects with what was violated. */
export async function simulateSequence(seed: number, options: RunOptions = {}): Promise<void> {
  const world = createWorld(seed, options);
  const weather = { ...drawWeather(world), ...options.weather };
  const told = new Map<Process, Told>();
  let shared: Positions | undefined;

  const { contents, quiet, processes } = settle(
    world,
    { weather, flaws: options.flaws },
    ({ db, contents }, process) => {
      shared ??= createPositions(world, db, contents, options.flaws);
      const positions = shared;
      const source = contents.source(process.delay, minAgeOf(weather), process.flushedAt);
      const fence = createFence({ source, from: FIRST_ID - 1, now: world.now });
      let sequencer: Sequencer | undefined;
      let swept: readonly Row[] = [];

      /** As the tail does. */
      async function look(): Promise<void> {
        if (!sequencer) {
          sequencer = await createSequencer(positions.source(process));
          told.set(process, { after: sequencer.lastPosition, users: new Set() });
        }
        const fresh = await fence.tick();
        const rows = [...swept, ...fresh];
        swept = [];
        for (const { user_id } of await sequencer.run(rows)) told.get(process)?.users.add(user_id);
      }
      world.spawn(async () => {
        while (process.alive) {
          const ok = await survive(look());
          if (!ok) sequencer?.startOver();
          await world.sleep(ok ? weather.tickMs * world.random() : 250);
        }
      });
      world.spawn(async () => {
        while (process.alive && weather.crashes > 0 && weather.durability !== 'binlog') {
          const found = await positions.unplaced(process, fence.safeId).catch(() => []);
          swept = [...swept, ...found];
          await world.sleep(SWEEP_EVERY_MS);
        }
      });
    },
  );
  const positions = shared as unknown as Positions;

  /** What keeps the run from ending well; '' when everything has come to pass. */
  function missing(): string {
    for (const { id, user_id } of contents.visible(0)) {
      const placed = positions.of(id);
      if (!placed) return `${id} never got a position`;
      if (placed.user_id !== user_id) return `position ${placed.pos} is that of an earlier ${id}`;
      for (const process of processes) {
        const mine = told.get(process);
        if (!mine || (placed.pos > mine.after && !mine.users.has(user_id)))
          return `process ${processes.indexOf(process)} was never told of position ${placed.pos}`;
      }
    }
    return '';
  }
  world.spawn(async () => {
    await quiet;
    const since = world.now();
    world.note(() => 'all writers have ended');
    while (missing() !== '' && world.now() - since < PATIENCE_MS) await world.sleep(50);
    const left = missing();
    if (left !== '') world.violation(left);
    world.finish();
  });
  await world.run(120_000);
}
