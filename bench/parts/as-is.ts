// The three shared tables alone, long and without an index: a thousand sparse webhooks, each polled every ten seconds.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { BASE } from '../../src/store/migrate/steps.ts';
import { openDb } from '../../src/store/open.ts';
import { startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { addUsers, type BenchUser } from '../support/users.ts';
import { openQuestions, percentile, rssMb } from '../support/watch.ts';
import { connect, get, type Wire } from '../support/wire.ts';

export interface AsisPlan {
  readonly rows: number;
  readonly webhooks: number;
  /** Of rest after the first round. */
  readonly seconds: number;
  /** The first round is given up after so long. */
  readonly patience: number;
}

const EVERY_MS = 10_000;
const BLOCK = 10_000;
const MOST_EACH = 5;
const WH_FROM = 1_000;

/** Rows of everybody, made by doubling, and none to five of each of `users` scattered among them; their ids by user. */
async function fill(url: string, rows: number, users: readonly BenchUser[]): Promise<Map<number, number[]>> {
  const connection = await createConnection({ uri: url });
  const columns = 'content, ip, api, dt, user_id, wh_id';
  const one = (i: number) => ['{"id":1}', '127.0.0.1', 1, '2026-11-22 10:00:00', 5_000_000 + (i % 997), 3_000_000 + i];
  const block = Array.from({ length: Math.min(BLOCK, rows) }, (_, i) => [i + 1, ...one(i)]);
  await connection.query(`INSERT INTO tblwh (id, ${columns}) VALUES ?`, [block]);
  for (let have = block.length; have < rows; have = Math.min(have * 2, rows))
    await connection.query(`INSERT INTO tblwh (id, ${columns}) SELECT id + ?, ${columns} FROM tblwh WHERE id <= ?`, [
      have,
      Math.min(have, rows - have),
    ]);
  const mine = new Map<number, number[]>();
  let [low, high] = [1, 0];
  for (const [i, { id: userId }] of users.entries()) {
    const ids = new Set(Array.from({ length: i % (MOST_EACH + 1) }, () => 1 + Math.floor(Math.random() * rows)));
    for (const id of ids)
      await connection.execute('UPDATE tblwh SET user_id = ?, wh_id = ? WHERE id = ?', [userId, WH_FROM + i, id]);
    mine.set(userId, []);
  }
  [low, high] = [users[0]?.id ?? low, users.at(-1)?.id ?? high];
  const [found] = await connection.query('SELECT id, user_id FROM tblwh WHERE user_id BETWEEN ? AND ? ORDER BY id', [
    low,
    high,
  ]);
  for (const { id, user_id } of found as { id: number; user_id: number }[]) mine.get(user_id)?.push(id);
  await connection.end();
  return mine;
}

interface Round {
  readonly took: number[];
  bad: number;
  wrong: number;
  /** Users who have seen all of theirs. */
  readonly complete: Set<number>;
}

/** Polls for one user until `over`; a list that goes on is asked again at once, like a client that works it off. */
async function poll(
  wire: Wire,
  at: {
    readonly user: BenchUser;
    readonly whid: number;
    readonly expected: readonly number[];
    readonly follows: boolean;
  },
  round: Round,
  over: () => boolean,
): Promise<void> {
  const { user, whid, expected, follows } = at;
  let from = 0;
  let seen: number[] = [];
  while (!over()) {
    const began = performance.now();
    const { status, body } = await wire.ask(get(`/whcontent?whid=${whid}&id=${from}&limit=100`, user.auth));
    round.took.push(performance.now() - began);
    if (over()) return;
    if (status === 200) {
      const { whcontent, next_id } = JSON.parse(body.toString()) as { whcontent: { id: number }[]; next_id: number };
      if (!follows && from === 0) seen = [];
      seen.push(...whcontent.map(({ id }) => id));
      const end = expected.at(-1) ?? 0;
      const whole = next_id > end;
      // Parts are put together by following next_id; whoever begins at 0 each time does so only within one poll.
      from = whole && !follows ? 0 : next_id;
      if (whole && !round.complete.has(user.id)) {
        round.complete.add(user.id);
        if (seen.join() !== expected.join()) round.wrong++;
      }
      if (!whole) continue;
    } else if (round.bad++ < 3) console.log(`${status}: ${body.toString().slice(0, 200)}`);
    await sleep(Math.max(0, EVERY_MS - (performance.now() - began)));
  }
}

export async function asis(server: string, plan: AsisPlan): Promise<void> {
  const name = `bench_${randomBytes(4).toString('hex')}`;
  const admin = await createConnection(server);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.query(`USE ${name}`);
  for (const { mysql } of Object.values(BASE)) await admin.query(mysql);
  const db = await openDb(server + name);
  const users = await addUsers(db, plan.webhooks);
  await db.close();
  const began = performance.now();
  const mine = await fill(server + name, plan.rows, users);
  console.log(`${plan.rows.toLocaleString('en')} rows made in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  figures();
  for (const follows of [false, true]) await variant(server, server + name, plan, users, mine, follows);
  await admin.query(`DROP DATABASE ${name}`);
  await admin.end();
}

async function variant(
  server: string,
  url: string,
  { webhooks, seconds, patience, rows }: AsisPlan,
  users: readonly BenchUser[],
  mine: ReadonlyMap<number, readonly number[]>,
  follows: boolean,
): Promise<void> {
  const what = `${webhooks.toLocaleString('en')} webhooks among ${rows.toLocaleString('en')} rows, ${follows ? 'following next_id' : 'from id 0'}`;
  const ours = await startOurs(url);
  const questions = await openQuestions(server);
  const wires = await Promise.all(users.map(() => connect(ours.url)));
  let over = false;
  const first: Round = { took: [], bad: 0, wrong: 0, complete: new Set() };
  const began = performance.now();
  const before = await questions.read();
  const polling = users.map(async (user, i) => {
    const expected = mine.get(user.id) ?? [];
    // Not all in the same moment: over one period.
    await sleep((i * EVERY_MS) / users.length);
    await poll(wires[i] as Wire, { user, whid: WH_FROM + i, expected, follows }, first, () => over).catch((error) => {
      if (!over) throw error;
    });
  });
  while (first.complete.size < users.length && performance.now() - began < patience * 1000) await sleep(200);
  const took = (performance.now() - began) / 1000;
  const asked = (await questions.read()) - before;
  const calls = [...first.took];
  const missing = users.length - first.complete.size;
  figure({ what: `${what}: first round`, value: took, unit: 's' });
  if (missing > 0)
    figure({ what: `${what}: NOT SERVED IN THE FIRST ROUND`, value: missing, unit: '', digits: 0, atMost: 0 });
  figure({ what: `${what}: statements of the first round`, value: asked, unit: '', digits: 0 });
  figure({ what: `${what}: its slowest call`, value: Math.max(...calls) / 1000, unit: 's', atMost: 10 });
  figure({ what: `${what}: p50 of its calls`, value: percentile(calls, 0.5), unit: 'ms' });
  const at = performance.now();
  const then = await questions.read();
  await sleep(seconds * 1000);
  const perSecond = ((await questions.read()) - then) / ((performance.now() - at) / 1000);
  const later = first.took.slice(calls.length);
  figure({ what: `${what}: queries afterwards`, value: perSecond, unit: '/s', atMost: 50 });
  if (later.length > 0) {
    figure({ what: `${what}: p50 of the calls afterwards`, value: percentile(later, 0.5), unit: 'ms' });
    figure({
      what: `${what}: the slowest of them`,
      value: Math.max(...later) / 1000,
      unit: 's',
      digits: 3,
      atMost: 10,
    });
  }
  figure({ what: `${what}: resident`, value: rssMb(ours.pid), unit: 'MB', digits: 0 });
  if (first.bad > 0)
    figure({ what: `${what}: ANSWERS THAT WERE NOT 200`, value: first.bad, unit: '', digits: 0, atMost: 0 });
  if (first.wrong > 0) figure({ what: `${what}: WRONG LISTS`, value: first.wrong, unit: '', digits: 0, atMost: 0 });
  over = true;
  for (const wire of wires) wire.close();
  await Promise.allSettled(polling);
  await questions.close();
  await ours.stop();
}
