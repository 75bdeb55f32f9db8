// One run of the world in which lists are read while everybody writes, and things break.
import { type Process, survive } from './actors.ts';
import type { MakeUpper } from './naive.ts';
import { createListClient, createTellings, type ListClient, type Tellings } from './promises.ts';
import { drawWeather, minAgeOf, type RunOptions, settle } from './weather.ts';
import { createWorld } from './world.ts';

// After the last writer has ended: two settles, the age of rows, a stopped process, slow answers.
const PATIENCE_MS = 12_000;

/** Rejects with what was violated. */
export async function simulateLists(seed: number, make: MakeUpper, options: RunOptions = {}): Promise<void> {
  const world = createWorld(seed, options);
  const weather = { ...drawWeather(world), ...options.weather };
  const all = new Map<Process, Tellings>();
  const uppers = new Map<Process, Awaited<ReturnType<MakeUpper>>>();

  const setting = settle(world, { weather, flaws: options.flaws }, ({ contents, watch }, process) => {
    const source = contents.source(process.delay, minAgeOf(weather), process.flushedAt);
    world.spawn(async () => {
      const upper = await make(source, world.now);
      uppers.set(process, upper);
      const unguard = watch.guard('the fence', () => (Number.isFinite(upper.readable) ? upper.readable : 0));
      const tellings = createTellings(world, watch, 'a fence');
      if (upper.passed) all.set(process, tellings);
      while (process.alive) {
        const ok = await survive(
          (async () => {
            tellings.seen((await upper.tick()) ?? []);
            if (upper.passed) tellings.passed(await upper.passed(), upper.readable);
          })(),
        );
        await world.sleep(ok ? weather.tickMs * world.random() : 250);
      }
      unguard();
    });
  });
  const { db, contents, watch, quiet, processes } = setting;

  const behind = () => {
    const top = watch.present().at(-1)?.id ?? 0;
    return processes.some((process) => (all.get(process)?.last ?? top) < top);
  };
  const clients: ListClient[] = [];
  let ended = false;
  for (const name of ['reader 1', 'reader 2']) {
    const client = createListClient(world, db, contents, watch, name);
    clients.push(client);
    world.spawn(async () => {
      for (;;) {
        await world.sleep(world.random() * 200);
        const process = world.pick(processes);
        const upper = uppers.get(process);
        if (upper) await survive(client.page(process, () => upper.readable, world.chance(0.3) && !ended ? 2 : 100));
      }
    });
  }
  world.spawn(async () => {
    await quiet;
    const since = world.now();
    ended = true;
    world.note(() => 'all writers have ended');
    while (clients.some((client) => client.missing() > 0) && world.now() - since < PATIENCE_MS) await world.sleep(50);
    for (const client of clients) client.complete();
    // A fence may still be behind the one that was asked.
    while (all.size > 0 && behind() && world.now() - since < PATIENCE_MS) await world.sleep(50);
    for (const process of processes) all.get(process)?.complete();
    world.finish();
  });
  await world.run(120_000);
}
