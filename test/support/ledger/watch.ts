// Sets readers and workers on running programs, and judges them when everything has come to rest.
import { openDb } from '../../../src/store/open.ts';
import type { Program, World } from '../world.ts';
import type { Foreign } from './foreign.ts';
import { latest, type Reader, startList, startStream, whileMoving } from './readers.ts';
import { readTruth } from './truth.ts';
import { judgeReader, judgeTables, judgeWorkers, type Outage, together, type Verdict } from './verdict.ts';
import { type Behaviour, type ConsumerSettings, startWorkers, type Workers } from './workers.ts';

export interface Watch {
  /** Everything from this id on is looked at. */
  readonly from: number;
  readonly readers: readonly Reader[];
  readonly workers: readonly Workers[];
  /** Waits until everything that stands in the table has come to everybody, then judges. Nobody may write any more. */
  finish(options?: FinishOptions): Promise<Verdict>;
}

interface FinishOptions {
  readonly outages?: readonly Outage[];
  readonly foreign?: Foreign | undefined;
}

export interface WatchOptions {
  /** Lists and streams, by name, and the program they read from. */
  readonly lists: Readonly<Record<string, Program>>;
  readonly streams?: Readonly<Record<string, Program>>;
  readonly consumers: readonly ({ readonly name: string } & ConsumerSettings)[];
  /** Their workers call these in turn. */
  readonly programs: readonly Program[];
  readonly workersEach: number;
  readonly behaviour: Behaviour;
  readonly limit?: number;
}

// So long nothing may move: leases must end first, and lists wait for what was cut off.
const PATIENCE_MS = 30_000;

export async function startWatch(world: World, options: WatchOptions): Promise<Watch> {
  const { auth } = world;
  const { lists, streams = {}, consumers, programs, workersEach, behaviour, limit } = options;
  const all = [...Object.values(lists), ...Object.values(streams)];
  // The lowest: one that is a moment behind would have to be told that the others begin later.
  const from = Math.min(
    ...(await Promise.all((all.length > 0 ? all : programs).map(({ url }) => latest({ url, auth })))),
  );
  const workers = await Promise.all(
    consumers.map(({ name, ...settings }) =>
      startWorkers({
        urls: programs.map(({ url }) => url),
        auth,
        name,
        settings,
        count: workersEach,
        behaviour,
        ...(limit ? { limit } : {}),
      }),
    ),
  );
  const readers = [
    ...Object.entries(lists).map(([name, { url }]) => startList({ name, url, auth, from })),
    ...Object.entries(streams).map(([name, { url }]) => startStream({ name, url, auth, from })),
  ];

  return {
    from,
    readers,
    workers,
    async finish({ outages = [], foreign } = {}) {
      const failures: string[] = [];
      const last = await allPlaced(world, from);
      if (last === undefined) failures.push('not every content has a position');
      await Promise.all([
        ...readers.map(async (reader) => {
          if (last !== undefined && !(await reader.reaches(last, PATIENCE_MS)))
            failures.push(`${reader.name} stands at ${reader.next}, before ${last}`);
        }),
        ...workers.map(async (one) => {
          if (!(await one.finish(PATIENCE_MS))) failures.push(`${one.name} has not acked everything`);
        }),
      ]);
      await Promise.all([...readers, ...workers].map((one) => one.stop()));
      const truth = await readTruth(world, from);
      return together(
        { figures: {}, failures },
        judgeTables(truth, from, foreign),
        ...readers.map((reader) => judgeReader(reader, truth)),
        ...workers.map((one) => judgeWorkers(one, truth, outages)),
      );
    },
  };
}

/** Waits until every content of the user has a position; resolves to the last id, undefined when that does not come. */
async function allPlaced(world: World, from: number): Promise<number | undefined> {
  const db = await openDb(world.databaseUrl);
  let found: { last: number | null; bare: number } | undefined;
  const done = async () => {
    [found] = await db.all<{ last: number | null; bare: number }>(
      `SELECT MAX(t.id) AS last, COUNT(CASE WHEN p.id IS NULL THEN 1 END) AS bare FROM tblwh t
       LEFT JOIN restante_position p ON p.id = t.id WHERE t.user_id = ? AND t.id >= ?`,
      [world.userId, from],
    );
    return found?.bare === 0;
  };
  const placed = await whileMoving(done, () => found?.bare ?? 0, PATIENCE_MS).finally(() => db.close());
  return placed ? (found?.last ?? from - 1) : undefined;
}
