// The runs of `npm run soak`: each makes worlds of its own and tells its figures and what went wrong.
import { randomBytes } from 'node:crypto';
import { openStore } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';
import { runCluster, runWriters } from '../../test/faults/runs/cluster-run.ts';
import { runFailover } from '../../test/faults/runs/failover-run.ts';
import { killDatabase, killProgram, type Report, underLoad, verdictOf } from '../../test/faults/runs/kills.ts';
import { runLastIds, runReadOnly } from '../../test/faults/runs/limits.ts';
import { runLong } from '../../test/faults/runs/long-transaction.ts';
import { runMixed } from '../../test/faults/runs/mixed.ts';
import { runPowerCuts } from '../../test/faults/runs/power-cuts.ts';
import { runProcesses, runStopped } from '../../test/faults/runs/processes.ts';
import { runProduction } from '../../test/faults/runs/production.ts';
import { runDiskFull, runForeignDdl, runNoConnections } from '../../test/faults/runs/shortage.ts';
import { runWireFaults } from '../../test/faults/runs/wire-faults.ts';
import { furnish, METRICS_TOKEN, runFuzz, unreached } from '../../test/security/run.ts';
import { compileRecorder } from '../../test/support/disk/record.ts';
import { addFigure, summed, type Verdict } from '../../test/support/ledger/verdict.ts';
import type { World } from '../../test/support/world.ts';

export const ENGINES = ['sqlite', 'mariadb', 'mysql'] as const;
export type Engine = (typeof ENGINES)[number];
const SERVERS = ['mariadb', 'mysql'] as const;

export interface Size {
  readonly kills: number;
  readonly databaseKills: number;
  readonly mixedSeconds: number;
  readonly mixedRows: number;
  readonly longestMs: number;
  readonly openMs: number;
  readonly deleteMs: number;
  readonly processes: number;
  readonly processSeconds: number;
  readonly cuts: number;
  /** Of the whole in production, with everything going wrong. */
  readonly minutes: number;
  readonly powerCuts: number;
  /** Hostile calls. */
  readonly fuzz: number;
  readonly promotions: number;
}
export const FULL: Size = {
  kills: 200,
  databaseKills: 100,
  mixedSeconds: 60,
  mixedRows: 50_000,
  longestMs: 30_000,
  openMs: 600_000,
  deleteMs: 60_000,
  processes: 4,
  processSeconds: 60,
  cuts: 25,
  minutes: 30,
  powerCuts: 100_000,
  fuzz: 1_000_000,
  promotions: 20,
};
export const LITE: Size = {
  ...FULL,
  kills: 20,
  databaseKills: 10,
  mixedSeconds: 20,
  mixedRows: 0,
  longestMs: 5_000,
  openMs: 60_000,
  deleteMs: 10_000,
  processSeconds: 15,
  cuts: 5,
  minutes: 5,
  powerCuts: 4_000,
  fuzz: 40_000,
  promotions: 6,
};

export interface Run {
  readonly name: string;
  readonly engines: readonly Engine[];
  /** For its own server. */
  readonly serverArgs?: readonly string[];
  /** A disk of its own for the database, in MB: needs root. */
  readonly diskMb?: number;
  /** A cluster of three nodes in place of a server: needs root, rsync and lsof. */
  readonly nodes?: boolean;
  /** A primary and its replica, in place of a server. */
  readonly pair?: boolean;
  /** A run that must fail, in such words: or else what it looks for is never found. */
  readonly mustFail?: RegExp;
  run(world: World, size: Size, told: (line: string) => void): Promise<Verdict>;
}

const mix = { perSecond: 1_500, ownPerSecond: 150 };

export const RUNS: readonly Run[] = [
  {
    name: 'mixed',
    engines: SERVERS,
    run: (world, { mixedSeconds, mixedRows, longestMs }) =>
      runMixed(world, { ...mix, seconds: mixedSeconds, rows: mixedRows, longestMs, sight: true }),
  },
  {
    name: 'mixed, SELECT and INSERT alone',
    engines: SERVERS,
    run: (world, { mixedSeconds, longestMs }) =>
      runMixed(world, { ...mix, seconds: mixedSeconds / 2, longestMs, sight: false }),
  },
  {
    name: 'long transaction',
    engines: SERVERS,
    run: (world, { openMs, deleteMs }) => runLong(world, { openMs, deleteMs }),
  },
  {
    name: 'processes',
    engines: ENGINES,
    run: (world, { processes, processSeconds }) =>
      runProcesses(world, { seconds: processSeconds, processes, workers: 8, perSecond: 600, leaseSeconds: 5 }),
  },
  {
    name: 'processes, killed and stopped',
    engines: ENGINES,
    run: (world, { processSeconds }) =>
      runProcesses(world, {
        ...{ seconds: processSeconds, processes: 2, workers: 4, perSecond: 300, leaseSeconds: 2 },
        disturbed: true,
      }),
  },
  { name: 'stopped process', engines: ENGINES, run: (world) => runStopped(world) },
  {
    name: 'wire',
    engines: SERVERS,
    run: (world, { cuts }) => runWireFaults(world, { cuts, resets: cuts, silenceMs: 5_000 }),
  },
  {
    name: 'production',
    engines: ENGINES,
    diskMb: 6_000,
    run: (world, { minutes }, told) => runProduction(world, { minutes, roundSeconds: 60, told }),
  },
  { name: 'cluster', engines: ['mariadb'], nodes: true, run: (world, _, told) => runCluster(world, told) },
  {
    name: 'cluster, several writers',
    engines: ['mariadb'],
    nodes: true,
    run: (world) => runWriters(world, { ms: 30_000, asked: true }),
  },
  {
    name: 'failover',
    engines: SERVERS,
    pair: true,
    run: (world, { promotions }, told) => runFailover(world, { promotions, told }),
  },
  { name: 'disk full', engines: ENGINES, diskMb: 700, run: (world) => runDiskFull(world, 5_000) },
  {
    name: 'no connections',
    engines: SERVERS,
    serverArgs: ['--max-connections=60'],
    run: (world) => runNoConnections(world, 10_000),
  },
  { name: 'foreign DDL', engines: SERVERS, run: (world) => runForeignDdl(world, 8_000) },
  { name: 'read-only', engines: SERVERS, run: (world) => runReadOnly(world, 5_000) },
  { name: 'last ids', engines: SERVERS, run: (world) => runLastIds(world) },
  { name: 'power cuts', engines: ['sqlite'], run: cutPowers },
  { name: 'fuzz', engines: ENGINES, run: runFuzzRounds },
  { name: 'kill -9 of the program', engines: ENGINES, run: killPrograms },
  { name: 'kill -9 of the database', engines: SERVERS, run: killDatabases },
  {
    name: 'control: nodes of a cluster not asked',
    engines: ['mariadb'],
    nodes: true,
    mustFail: /skipped/,
    run: (world) => runWriters(world, { ms: 30_000, asked: false }),
  },
  {
    name: 'control: commits not on disk',
    engines: SERVERS,
    serverArgs: ['--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0'],
    mustFail: /webhooks missing/,
    run: (world, size, told) => killDatabases(world, { ...size, databaseKills: 5 }, told),
  },
];

// A round is short, so that a loss is found soon and its ledger stays small.
const KILLS_PER_ROUND = 10;

async function inRounds(
  kills: number,
  told: (line: string) => void,
  round: (kills: number) => Promise<{ readonly report: Report; readonly slowest: number }>,
): Promise<Verdict> {
  const figures: Record<string, number | string> = {};
  const failures: string[] = [];
  for (let left = kills; left > 0; left -= KILLS_PER_ROUND) {
    const some = Math.min(left, KILLS_PER_ROUND);
    const { report, slowest } = await round(some);
    const verdict = verdictOf(report);
    failures.push(...verdict.failures);
    addFigure(figures, 'kills', some);
    addFigure(figures, 'longest recovery ms', slowest);
    for (const [name, value] of Object.entries(summed(verdict.figures))) addFigure(figures, name, value);
    told(`${figures.kills} of ${kills} kills, ${failures.length} failures`);
  }
  return { figures, failures };
}

async function killPrograms(world: World, { kills }: Size, told: (line: string) => void): Promise<Verdict> {
  const program = await world.serve({ LOG_LEVEL: 'error' });
  return inRounds(kills, told, async (some) => {
    let away: number[] = [];
    const kill = async (running: Parameters<typeof killProgram>[1]) => {
      away = await killProgram(program, running, some, () => {});
    };
    const report = await underLoad(world, program, kill, { watched: true });
    return { report, slowest: Math.max(...away) };
  });
}

async function killDatabases(world: World, { databaseKills }: Size, told: (line: string) => void): Promise<Verdict> {
  const { server } = world;
  if (!server) throw new Error('there is no server to be killed');
  const program = await world.serve({ LOG_LEVEL: 'silent' });
  return inRounds(databaseKills, told, async (some) => {
    let recoveries: number[] = [];
    const kill = async (running: Parameters<typeof killDatabase>[1]) => {
      const absences = await killDatabase(server, running, some, { awayMs: 300, told: () => {} });
      recoveries = absences.map(({ recoveredMs }) => recoveredMs);
    };
    const report = await underLoad(world, program, kill, { watched: true });
    return { report, slowest: Math.max(...recoveries) };
  });
}

// So many to a recording: then the program works anew, and another seed cuts.
const CUTS_PER_ROUND = 2_000;

async function cutPowers(world: World, { powerCuts }: Size, told: (line: string) => void): Promise<Verdict> {
  const library = await compileRecorder(world.folder, NO_SKIP);
  const figures: Record<string, number | string> = {};
  const failures: string[] = [];
  for (let done = 0; done < powerCuts && failures.length === 0; done += CUTS_PER_ROUND) {
    const count = Math.min(CUTS_PER_ROUND, powerCuts - done);
    const verdict = await runPowerCuts(world, library, { count, seed: randomBytes(4).readUInt32BE() });
    failures.push(...verdict.failures);
    for (const [name, value] of Object.entries(summed(verdict.figures))) addFigure(figures, name, value);
    told(`${done + count} of ${powerCuts} power cuts, ${failures.length} failures`);
  }
  return { figures, failures };
}
const NO_SKIP = {
  skip(reason?: unknown): never {
    throw new Error(String(reason));
  },
};

// Users of its own and a process of its own for each round: what piles up would make every list slow.
const CALLS_PER_ROUND = 20_000;

async function runFuzzRounds(world: World, { fuzz }: Size, told: (line: string) => void): Promise<Verdict> {
  const figures: Record<string, number | string> = {};
  const failures: string[] = [];
  const seen = new Map<string, Set<number>>();
  const store = await openStore(world.databaseUrl);
  const user = async () => {
    const token = randomBytes(16).toString('hex');
    const id = await addUser(store.db, { email: 'ana@example.org', phone: '', token });
    return `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;
  };
  const env = { METRICS_TOKEN, MAX_BODY_BYTES: '100000', SECRETS_KEY: '5e'.repeat(32), LOG_LEVEL: 'error' };
  try {
    for (let done = 0; done < fuzz && failures.length === 0; done += CALLS_PER_ROUND) {
      const program = await world.serve(env);
      const [attacker, control] = [await user(), await user()];
      for (const auth of [attacker, control]) await furnish(program.port, auth);
      const count = Math.min(CALLS_PER_ROUND, fuzz - done);
      const seed = randomBytes(4).readUInt32BE() >>> 2;
      const verdict = await runFuzz({ port: program.port, attacker, control, count, seed, seen });
      await program.kill();
      failures.push(...verdict.failures);
      const logged = program
        .log()
        .split('\n')
        .filter((line) => line.startsWith('{'));
      if (logged.length > 0) failures.push(`it logged an error: ${logged[0]}`);
      for (const [name, value] of Object.entries(summed(verdict.figures))) addFigure(figures, name, value);
      told(`${done + count} of ${fuzz} calls, ${failures.length} failures`);
    }
  } finally {
    await store.close();
  }
  return { figures, failures: [...failures, ...unreached(seen, fuzz)] };
}
