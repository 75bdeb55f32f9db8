// What a seed decides before anybody acts: the server, the rights, who writes how, what breaks; and the world built from it.
import { createProcess, foreignWriter, ownWriter, type Process } from './actors.ts';
import { type Contents, type ContentsOptions, createContents } from './contents.ts';
import { createDatabase, type Database } from './database.ts';
import { createWatch, type Watch } from './promises.ts';
import type { World } from './world.ts';

/** What a seed decides before anybody acts. */
export interface Weather {
  readonly durability: 'binlog' | 'redo' | 'lazy';
  readonly flushMs: number;
  readonly evidence: ContentsOptions['evidence'];
  readonly step: number;
  readonly rows: number;
  readonly stallMs: number;
  readonly pauseMs: number;
  readonly idleMs: number;
  readonly writers: number;
  readonly ownWriter: boolean;
  readonly deletes: boolean;
  readonly processes: number;
  /** A process that starts goes on where the last one stood; else it begins below the oldest gap. */
  readonly keepsMark: boolean;
  readonly slowestMs: number;
  /** How many of our transactions fail by themselves: deadlocks, cut connections. */
  readonly faults: number;
  readonly crashes: number;
  readonly stops: number;
  readonly kills: number;
  readonly lengthMs: number;
  /** In the midst of it nobody writes for so long. */
  readonly lullMs: number;
  readonly tickMs: number;
}

// Where nobody can see the statements that run, a gap is believed dead a second after it was seen; an INSERT that takes
// longer between its id and its row is what we do not promise for. Where they can be seen it may take as long as it likes.
const BLIND_STALL_MS = 900;
// Rows become old enough on servers that show them before they are on disk.
const MIN_AGE_MS = { binlog: 0, redo: 100, lazy: 2_000 };
export const minAgeOf = ({ durability }: Weather): number => MIN_AGE_MS[durability];

/** A server that crashes again and again while its disk is slow and everybody looks at once: what is not on disk is seen, and lost. */
export const CRASHING: Partial<Weather> = {
  durability: 'redo',
  flushMs: 45,
  crashes: 8,
  lengthMs: 2_000,
  evidence: 'all',
  tickMs: 25,
  ownWriter: false,
  rows: 1,
  slowestMs: 5,
  step: 1,
  deletes: false,
};

export function drawWeather(world: World): Weather {
  const weather = drawMild(world);
  return world.chance(0.25) ? { ...weather, ...CRASHING } : weather;
}

function drawMild(world: World): Weather {
  const evidence = world.pick(['all', 'all', 'none', 'patchy'] as const);
  const rows = world.pick([1, 3, 8]);
  const durability = world.pick(['binlog', 'redo', 'redo', 'lazy'] as const);
  const crashes = world.pick([0, 1, 3]);
  return {
    durability,
    crashes,
    flushMs: world.pick([1, 20, 45]),
    evidence,
    step: world.pick([1, 1, 3]),
    rows,
    stallMs: evidence !== 'all' ? BLIND_STALL_MS / (2 * rows) : world.pick([10, 300, 1_500]),
    pauseMs: world.pick([20, 300, 1_500]),
    idleMs: world.pick([20, 80, 250]),
    writers: world.int(1, 4),
    ownWriter: world.chance(0.5),
    // A crash can take back a DELETE that was seen: its row comes again, and nobody promises to hand that one out.
    deletes: world.chance(0.4) && (durability === 'binlog' || crashes === 0),
    processes: world.int(1, 2),
    keepsMark: world.chance(0.5),
    slowestMs: world.pick([5, 60, 500]),
    faults: world.pick([0, 0.05]),
    stops: world.pick([0, 1, 3]),
    kills: world.pick([0, 1, 2]),
    lengthMs: world.pick([300, 800, 2_000]),
    lullMs: world.pick([0, 0, 700]),
    tickMs: world.pick([25, 100, 250]),
  };
}

export interface Setting {
  readonly world: World;
  readonly weather: Weather;
  readonly db: Database;
  readonly contents: Contents;
  readonly watch: Watch;
  /** Resolves when the last writer has ended. */
  readonly quiet: Promise<void>;
  /** Processes that live now; a killed one is replaced by `start`. */
  readonly processes: Process[];
}

/** Builds the world and lets its inhabitants loose; `start` runs what a process of ours does from its first moment. */
export function settle(
  world: World,
  { weather, flaws = {} }: { readonly weather: Weather; readonly flaws?: Flaws | undefined },
  start: (setting: Setting, process: Process) => void,
): Setting {
  const { durability, flushMs, step, evidence, stallMs, lengthMs } = weather;
  const db = createDatabase(world, { durability, flushMs });
  const contents = createContents(world, db, {
    step,
    evidence,
    stallMs,
    restartsUnnoticed: flaws.restartsUnnoticed === true,
    lateEvidence: flaws.lateEvidence === true,
  });
  const watch = createWatch(world, db, contents);
  world.note(() => JSON.stringify(weather));
  let writing = weather.writers + (weather.ownWriter ? 1 : 0);
  let allQuiet = () => {};
  const quiet = new Promise<void>((resolve) => {
    allQuiet = resolve;
  });
  const write = (work: () => Promise<void>) =>
    world.spawn(async () => {
      await work();
      if (--writing === 0) allQuiet();
    });
  const setting: Setting = { world, weather, db, contents, watch, quiet, processes: [] };
  const begin = (at: number) => {
    const process = createProcess(world, db, weather);
    setting.processes[at] = process;
    start(setting, process);
  };
  for (let i = 0; i < weather.processes; i++) begin(i);

  const { pauseMs, idleMs, rows, deletes } = weather;
  const lull: [number, number] = [lengthMs * 0.4, lengthMs * 0.4 + weather.lullMs];
  const options = { until: lengthMs + weather.lullMs, pauseMs, idleMs, rows, deletes, lull };
  for (let i = 0; i < weather.writers; i++) write(() => foreignWriter(world, db, contents, options));
  if (weather.ownWriter)
    write(async () => {
      for (let process: Process | undefined; setting.processes[0] !== process && world.now() < options.until; ) {
        [process] = setting.processes;
        if (process) await ownWriter(world, process, contents, options);
      }
    });

  const sometimes = (times: number, act: () => unknown) => {
    for (let i = 0; i < times; i++)
      world.spawn(async () => {
        await world.sleep(world.random() * (options.until + lengthMs * 0.2));
        await act();
      });
  };
  sometimes(weather.crashes, async () => {
    // Crashes like to come when they do most harm: when somebody has seen what is not on disk.
    if (world.chance(0.7)) await contents.exposed();
    await world.sleep(world.random() * flushMs);
    await db.crash(world.pick([5, 100, 700, 3_000]));
  });
  sometimes(weather.stops, () => world.pick(setting.processes).pause(world.random() ** 2 * 2_000));
  sometimes(weather.kills, () => {
    const at = world.int(0, weather.processes - 1);
    world.note(() => `process ${at} is killed`);
    setting.processes[at]?.kill();
    begin(at);
  });
  return setting;
}

export interface RunOptions {
  readonly trace?: string[] | undefined;
  readonly weather?: Partial<Weather>;
  readonly flaws?: Flaws;
}

/** What is done wrong on purpose, to see that it is caught. */
export interface Flaws {
  /** A look does not tell that the server was started anew since the last one. */
  readonly restartsUnnoticed?: boolean;
  /** A running statement is shown only some time after it has taken its id. */
  readonly lateEvidence?: boolean;
  /** A fence begins at what it finds, though that may not be on disk. */
  readonly begunOnSight?: boolean;
  /** Positions are given to what was seen, though it may have vanished since. */
  readonly positionsFromMemory?: boolean;
  /** Contents are handed out before the claim is committed. */
  readonly handedOutEarly?: boolean;
  /** An ack counts whoever has the content now. */
  readonly anyToken?: boolean;
}
