// A fence over a fresh database on a real server, foreign writers beside it, and a ledger of what it let through.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import {
  createFence,
  type Fence,
  type FenceAlarm,
  type FenceOptions,
  type FenceSource,
} from '../../src/reading/fence.ts';
import type { FencePromise } from '../../src/store/fence/facts.ts';
import { bootFence, openFenceSource } from '../../src/store/fence/source.ts';
import { openDb } from '../../src/store/open.ts';
import { type Engine, emptyDatabase } from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';

export const SERVERS = ['mariadb', 'mysql'] as const;
export const INTO = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id)';
export const ROW = "('x', '192.0.2.1', 1, '2026-01-01', 1, 7)";
export const INSERT = `${INTO} VALUES ${ROW}`;

export interface World {
  readonly source: FenceSource;
  readonly promise: FencePromise;
  readonly fence: Fence;
  readonly alarms: FenceAlarm[];
  /** Ids that tick() and passed() gave, in their order. */
  readonly ticked: number[];
  readonly passed: number[];
  readonly calls: { probe: number; writers: number };
  /** A foreign connection as root, closed with the world. */
  writer(): Promise<Connection>;
  ids(): Promise<number[]>;
  /** Where a fence would begin now. */
  boot(): Promise<number>;
  tick(): Promise<void>;
  /** Ticks until `done`; resolves to the ms it took, Infinity when it is not within `limitMs`. */
  until(done: () => boolean, limitMs: number): Promise<number>;
  /** Another source, which knows of what was changed since this world was opened. */
  openSource(): Promise<FenceSource>;
  /** Another fence on the same source. */
  again(options: Partial<FenceOptions>): Fence;
  close(): Promise<void>;
}

/** `sight`: with the rights to see other accounts' statements, or SELECT and INSERT alone. */
export async function openWorld(
  engine: Engine,
  { sight = true, settled = true, rows = 0 }: { sight?: boolean; settled?: boolean; rows?: number } = {},
): Promise<World> {
  const database = await emptyDatabase(engine);
  const connections: Connection[] = [];
  const writer = async () => {
    const made = await connectTo(database.url);
    connections.push(made);
    return made;
  };
  const root = await writer();
  for (let i = 0; i < rows; i++) await root.query(INSERT);
  const url = new URL(database.url);
  const account = `r${randomBytes(6).toString('hex')}`;
  if (!sight) {
    await root.query(`CREATE USER '${account}'@'%' IDENTIFIED BY 'secret'`);
    await root.query(`GRANT SELECT, INSERT ON ${url.pathname.slice(1)}.tblwh TO '${account}'@'%'`);
    url.username = account;
    url.password = 'secret';
  }
  const db = await openDb(url.href);
  const opened = await openFenceSource(db);
  const calls = { probe: 0, writers: 0 };
  const { source: real } = opened;
  const source: FenceSource = Object.create(real, {
    probe: {
      value: (ranges: Parameters<FenceSource['probe']>[0]) => {
        calls.probe++;
        return real.probe(ranges);
      },
    },
    writers: {
      value: () => {
        calls.writers++;
        return real.writers();
      },
    },
  });
  const alarms: FenceAlarm[] = [];
  const from = await bootFence(db, source);
  const again = (options: Partial<FenceOptions>) =>
    createFence({ source, from, onAlarm: (alarm) => alarms.push(alarm), ...options });
  const fence = again({});
  const ticked: number[] = [];
  const passed: number[] = [];
  async function tick(): Promise<void> {
    for (const row of await fence.tick()) ticked.push(row.id);
    for (const row of await fence.passed()) passed.push(row.id);
  }
  async function until(done: () => boolean, limitMs: number): Promise<number> {
    const began = performance.now();
    while (!done()) {
      if (performance.now() - began > limitMs) return Number.POSITIVE_INFINITY;
      await tick();
      await sleep(10);
    }
    return performance.now() - began;
  }
  const ids = async () =>
    ((await root.query('SELECT id FROM tblwh ORDER BY id'))[0] as { id: number }[]).map(({ id }) => id);
  if (settled) await until(() => fence.safeId >= 26 + rows, 10_000);
  return {
    source,
    promise: opened.promise,
    fence,
    alarms,
    ticked,
    passed,
    calls,
    writer,
    ids,
    boot: () => bootFence(db, source),
    tick,
    until,
    again,
    openSource: async () => (await openFenceSource(db)).source,
    async close() {
      if (!sight) await root.query(`DROP USER '${account}'@'%'`);
      for (const connection of connections) connection.destroy();
      await db.close();
      await database.drop();
    },
  };
}

/** Runs `work` with a world of its own. */
export const within =
  (engine: Engine, options: Parameters<typeof openWorld>[1], work: (world: World) => Promise<void>) => async () => {
    const world = await openWorld(engine, options);
    try {
      await work(world);
    } finally {
      await world.close();
    }
  };

/**
 * An INSERT that has its id, 28, and waits for long to place its row, while 29 is committed: behind two gap locks of
 * REPEATABLE READ, one after the other. Resolves to what lets it go.
 */
export async function stalledInsert(world: World): Promise<() => Promise<void>> {
  const [first, second, stalled] = [await world.writer(), await world.writer(), await world.writer()];
  await first.query('BEGIN');
  await first.query('SELECT * FROM tblwh WHERE id > 27 FOR UPDATE');
  const inserting = stalled.query(INSERT);
  await sleep(100);
  await first.query(INSERT);
  await second.query('BEGIN');
  await second.query('SELECT * FROM tblwh WHERE id = 28 FOR UPDATE');
  await first.query('COMMIT');
  await sleep(50);
  return async () => {
    await second.query('COMMIT');
    await inserting;
  };
}
