// Simpler ways to read a growing table, each on the schedule that makes it skip a content: where one does not, a test is wrong.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { INSERT, SERVERS, stalledInsert, type World, within } from './fence-world.ts';

/** A reader that asks `mayPass` about each gap, and hands out all that lies below the first one it may not pass. */
function readerOf(world: World, mayPass: (gap: readonly [number, number]) => Promise<boolean>) {
  let cursor = 26;
  const handed: number[] = [];
  return {
    handed,
    async read(): Promise<void> {
      for (const id of (await world.ids()).filter((one) => one > cursor)) {
        if (id > cursor + 1 && !(await mayPass([cursor + 1, id - 1]))) return;
        cursor = id;
        handed.push(id);
      }
    },
  };
}

/** Ids that are there and were not handed out. */
const skipped = async (world: World, handed: readonly number[]) =>
  (await world.ids()).filter((id) => !handed.includes(id));

async function openLow(world: World): Promise<() => Promise<unknown>> {
  const [slow, quick] = [await world.writer(), await world.writer()];
  await slow.query('BEGIN');
  await slow.query(INSERT);
  await quick.query(INSERT);
  return () => slow.query('COMMIT');
}

for (const engine of SERVERS)
  describe.concurrent(engine, () => {
    test(
      'a cursor on the id skips a row that commits late; the fence does not',
      within(engine, {}, async (world) => {
        const naive = readerOf(world, async () => true);
        const commit = await openLow(world);
        await naive.read();
        await world.tick();
        await commit();
        await naive.read();
        await world.until(() => world.passed.length === 2, 3_000);
        expect(await skipped(world, naive.handed)).toEqual([27]);
        expect(await skipped(world, world.passed)).toEqual([]);
      }),
    );

    test(
      'waiting one second at a gap skips a transaction that takes longer; the fence does not',
      within(engine, {}, async (world) => {
        const since = new Map<number, number>();
        const settling = readerOf(world, async ([from]) => {
          if (!since.has(from)) since.set(from, performance.now());
          return performance.now() - (since.get(from) ?? 0) >= 1_000;
        });
        const commit = await openLow(world);
        for (const end = performance.now() + 1_600; performance.now() < end; await sleep(50)) {
          await settling.read();
          await world.tick();
        }
        await commit();
        await settling.read();
        await world.until(() => world.passed.length === 2, 3_000);
        expect(await skipped(world, settling.handed)).toEqual([27]);
        expect(await skipped(world, world.passed)).toEqual([]);
      }),
    );

    test(
      'a locking read alone skips an INSERT that waits to place its row; the fence does not',
      within(engine, { rows: 1 }, async (world) => {
        const probing = readerOf(world, (gap) => world.source.probe([gap]));
        const release = await stalledInsert(world);
        await probing.read();
        await world.until(() => false, 600);
        await release();
        await probing.read();
        await world.until(() => world.passed.length === 3, 3_000);
        expect(await skipped(world, probing.handed)).toEqual([28]);
        expect(await skipped(world, world.passed)).toEqual([]);
      }),
    );
  });
