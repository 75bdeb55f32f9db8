// One run of the world in which lists are read while everybody writes, and things break.
import type { FenceSource } from '../../src/store/fence/source.ts';
import { type Process, survive } from './actors.ts';
import type { MakeUpper, Upper } from './naive.ts';
import { createListClient, createTellings, type ListClient, type Tellings } from './promises.ts';
import { drawWeather, minAgeOf, type RunOptions, type Setting, settle } from './weather.ts';
import { createWorld } from './world.ts';

// After the last writer has ended: two settles, the age of rows, a stopped process, slow answers.
const PATIENCE_MS = 12_000;

/** Rejects with what was violated. */
export async function simulateLists(seed: number, make: MakeUpper, options: RunOptions = {}): Promise<void> {
  const world = createWorld(seed, options);
  const weather = { ...drawWeather(world), ...options.weather };
  const all = new Map<Process, Tellings>();
  const uppers = new Map<Process, Awaited<ReturnType<MakeUpper>>>();

  const waiting: (() => void)[] = [];
  /** Where a fence begins: as it was kept, or below the oldest gap. Undefined: the process was killed meanwhile. */
  async function begin({ db, contents }: Setting, process: Process, source: FenceSource): Promise<number | undefined> {
    const kept = db.table<number>('restante_meta');
    async function once(): Promise<number> {
      if (!options.flaws?.begunOnSight) await source.look(Number.MAX_SAFE_INTEGER, [], 1);
      const mark = weather.keepsMark ? await db.ask(process.delay, () => kept.rows.get(0)) : undefined;
      const from = mark ?? (await db.ask(process.delay, () => contents.full()));
      if (mark !== undefined || source.minAgeMs === 0 || options.flaws?.begunOnSight) return from;
      // What was found may not be on disk yet: it is when the server has lived on for so long.
      await world.sleep(source.minAgeMs);
      await source.look(Number.MAX_SAFE_INTEGER, [], 1);
      return from;
    }
    let from: number | undefined;
    const found = (id: number) => {
      from = id;
    };
    while (process.alive && !(await survive(once().then(found)))) await world.sleep(100);
    return from;
  }
  /** Keeps how far a process has read for the one that comes after it. */
  async function keep({ db }: Setting, process: Process, upper: Upper): Promise<void> {
    const kept = db.table<number>('restante_meta');
    while (weather.keepsMark && process.alive) {
      await world.sleep(300 + world.random() * 300);
      const { safeId: readable } = upper;
      await survive(
        process.transaction(async (transaction) => {
          await transaction.lock(kept, 0);
          if ((transaction.read(kept, 0) ?? 0) < readable) transaction.write(kept, 0, readable);
        }),
      );
    }
  }

  const { db, contents, watch, quiet, processes } = settle(
    world,
    { weather, flaws: options.flaws },
    (setting, process) => {
      const { contents, watch } = setting;
      const source = contents.source(process.delay, minAgeOf(weather), process.flushedAt);
      world.spawn(async () => {
        const from = await begin(setting, process, source);
        if (from === undefined) return;
        const upper = await make(source, world.now, from);
        uppers.set(process, upper);
        const unguard = watch.guard('the fence', () => (Number.isFinite(upper.safeId) ? upper.safeId : 0));
        const tellings = createTellings(world, watch, from);
        if (upper.passed) all.set(process, tellings);
        world.spawn(() => keep(setting, process, upper));
        while (process.alive) {
          const ok = await survive(
            (async () => {
              tellings.seen((await upper.tick()) ?? []);
              if (upper.passed) tellings.passed(await upper.passed(), upper.safeId);
            })(),
          );
          await world.sleep(ok ? weather.tickMs * world.random() : 250);
        }
        unguard();
      });
    },
  );

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
        if (ended || world.chance(0.4)) await world.sleep(world.random() * 200);
        else await new Promise<void>((resolve) => waiting.push(resolve));
        const process = world.pick(processes);
        const upper = uppers.get(process);
        if (upper) await survive(client.page(process, () => upper.safeId, world.chance(0.3) && !ended ? 2 : 100));
      }
    });
  }
  world.spawn(async () => {
    await quiet;
    const since = world.now();
    ended = true;
    for (const wake of waiting.splice(0)) wake();
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
