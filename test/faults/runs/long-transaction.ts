// One transaction that stays open with a low id: lists must wait for it, everybody else must not; nor for a long DELETE.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResultSetHeader } from 'mysql2';
import { startForeign, startTicker } from '../../support/ledger/foreign.ts';
import { clock, latest } from '../../support/ledger/readers.ts';
import { lagOf, together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch } from '../../support/ledger/watch.ts';
import { GOOD } from '../../support/ledger/workers.ts';
import type { Program, World } from '../../support/world.ts';

export interface LongOptions {
  /** How long the transaction is open. */
  readonly openMs: number;
  /** How long another application deletes; 0: not at all. */
  readonly deleteMs: number;
}

const LAG_MS = 1_000;
const CATCH_UP_MS = 2_000;
const ALARM_MS = 6_000;
const INTO = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ?';
// Somebody else's rows, deleted one by one.
const DELETED = 50;

export async function runLong(world: World, { openMs, deleteMs }: LongOptions): Promise<Verdict> {
  const { userId, connect } = world;
  const failures: string[] = [];
  const figures: Record<string, number> = {};
  const program = await world.serve({ LOG_LEVEL: 'warn' });
  const watch = await startWatch(world, {
    lists: { list: program },
    consumers: [{ name: 'steady', lease_seconds: 5 }],
    programs: [program],
    workersEach: 2,
    behaviour: GOOD,
  });
  const [list] = watch.readers;
  const [workers] = watch.workers;
  if (!list || !workers) throw new Error('there is a list and a consumer');
  const others = { connect, userId, whids: [0], longestMs: 200, singles: 2, batches: 0, transactions: 1, chasers: 0 };
  const foreign = startForeign({ ...others, perSecond: 80 });
  const ticker = startTicker(connect, userId, 0, 50);
  await sleep(500);

  const check = (name: string, value: number, most: number) => {
    figures[name] = Math.round(value * 10) / 10;
    if (!(value <= most)) failures.push(`${name}: ${value}, more than ${most}`);
  };

  if (deleteMs > 0) {
    const root = await connect();
    const rows = Array.from({ length: DELETED }, () => ['old', '192.0.2.4', 1, '', userId + 1, 7]);
    const [{ insertId }] = await root.query<ResultSetHeader>(INTO, [rows]);
    await sleep(500);
    const began = clock();
    const holds = watchHolds(program, world, insertId);
    const sql = 'DELETE FROM tblwh WHERE id BETWEEN ? AND ? AND SLEEP(?) = 0';
    const [{ affectedRows }] = await root.query<ResultSetHeader>(sql, [
      insertId,
      insertId + DELETED - 1,
      deleteMs / DELETED / 1_000,
    ]);
    const ended = clock();
    if (affectedRows !== DELETED || ended - began < deleteMs * 0.9)
      failures.push(`the DELETE ran ${ended - began} ms for ${affectedRows} rows`);
    // What is committed at the end of the time is still on its way to the readers.
    await sleep(500);
    check('held s during DELETE', await holds.stop(), 1);
    check('consumer p99 ms during DELETE', lagOf(workers.ticks, ticker.committed, began, ended).p99, LAG_MS);
    check('list p99 ms during DELETE', lagOf(list.ticks, ticker.committed, began, ended).p99, LAG_MS);
  }

  const late = await connect();
  await late.query('BEGIN');
  const [{ insertId }] = await late.query<ResultSetHeader>(INTO, [[['late', '192.0.2.5', 1, '', userId, 0]]]);
  const opened = clock();
  const alarmed = firstAlarm(program, opened, openMs);
  const holds = watchHolds(program, world, insertId);
  await sleep(openMs);
  const committing = clock();
  const behind = await topId(late);
  const held = await holds.stop();
  await late.query('COMMIT');
  const committed = clock();
  check(
    'catch-up ms',
    (await until(async () => (await latest({ url: program.url, auth: world.auth })) > behind)) - committed,
    CATCH_UP_MS,
  );
  const got = () => workers.handouts.find(({ id }) => id === insertId)?.got;
  await until(async () => got() !== undefined);
  check('late row ms', (got() ?? Number.POSITIVE_INFINITY) - committed, CATCH_UP_MS);
  check('consumer p99 ms', lagOf(workers.ticks, ticker.committed, opened + 100, committing).p99, LAG_MS);
  check('alarm ms', await alarmed, ALARM_MS);
  figures['held s'] = held;
  if (held < openMs / 1_000 - 3) failures.push(`the list said that it was held for ${held} s at most`);
  const early = list.items.filter(({ id, at }) => id >= insertId && at < committing);
  if (early.length > 0) failures.push(`the list passed ${insertId}, which was not committed: ${early.length} contents`);

  await Promise.all([foreign.stop(), ticker.stop()]);
  const verdict = await watch.finish({ foreign });
  await program.kill();
  return together({ figures, failures }, verdict);
}

async function topId(connection: Awaited<ReturnType<World['connect']>>): Promise<number> {
  const [rows] = await connection.query('SELECT MAX(id) AS top FROM tblwh');
  return (rows as { top: number }[])[0]?.top ?? 0;
}

/** When `done` was found to be true; Infinity when it is not within 30 s. */
async function until(done: () => Promise<boolean>): Promise<number> {
  for (const deadline = clock() + 30_000; clock() < deadline; await sleep(10)) if (await done()) return clock();
  return Number.POSITIVE_INFINITY;
}

/** Asks twice a second how long the list has been held; stop() resolves to the longest. */
function watchHolds({ url }: Program, { auth }: World, id: number) {
  let most = 0;
  let stopped = false;
  const run = async () => {
    for (; !stopped; await sleep(500)) {
      const answer = await fetch(`${url}/whcontent?whid=all&id=${id}&limit=1`, { headers: { authorization: auth } });
      most = Math.max(most, ((await answer.json()) as { held_s?: number }).held_s ?? 0);
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      await running;
      return most;
    },
  };
}

/** How long after `since` the log told that lists wait; Infinity when it has not after `ms`. */
async function firstAlarm(program: Program, since: number, ms: number): Promise<number> {
  for (; clock() < since + ms; await sleep(100)) if (program.log().includes('lists wait for ')) return clock() - since;
  return Number.POSITIVE_INFINITY;
}
