// Ten thousand that wait for something to come: what they cost while nothing does, and how soon each learns of what does.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDb } from '../../src/store/open.ts';
import { type Prepared, prepare } from '../support/database.ts';
import { type Contender, startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { addUsers, type BenchUser } from '../support/users.ts';
import { atRest, percentile, watch } from '../support/watch.ts';
import { connect, get, post, type Wire } from '../support/wire.ts';

export interface IdlePlan {
  readonly pollers: number;
  readonly pulls: number;
  readonly seconds: number;
  /** Users who get something, one after the other. */
  readonly woken: number;
}

const WAIT_S = 55;
const AT_ONCE = 100;
const POSTS_PER_SECOND = 200;
const TARGETS = { queries: 50, cpu: 20, rss: 400, p99: 100 };

/** Those who wait, each on a connection of his own; `got` tells when a user had something. */
interface Crowd {
  readonly got: Map<number, number>;
  bad: number;
  leave(): void;
}

type Poll = (user: BenchUser, answer: string | undefined) => string;

/** As clients do it: the newest first, then wherever the answer said. */
const listPoll: Poll = ({ auth }, answer) => {
  const from = answer === undefined ? 'latest' : (/"next_id":(\d+)/.exec(answer)?.[1] ?? 'latest');
  return get(`/whcontent?whid=all&id=${from}&wait=${WAIT_S}`, auth);
};
const pull: Poll = ({ auth }, answer) => {
  const lease = answer && /"lease":"([^"]+)"/.exec(answer)?.[1];
  return post(
    '/consumers/c/pull',
    auth,
    JSON.stringify({ wait: WAIT_S, start: 'latest', ...(lease ? { ack: lease } : {}) }),
  );
};

async function park(ours: Contender, users: readonly BenchUser[], poll: Poll): Promise<Crowd> {
  const wires: Wire[] = [];
  let left = false;
  const crowd: Crowd = {
    got: new Map(),
    bad: 0,
    leave() {
      left = true;
      for (const wire of wires) wire.close();
    },
  };
  async function stay(wire: Wire, user: BenchUser): Promise<void> {
    let text: string | undefined;
    while (!left) {
      const { status, body, at } = await wire.ask(poll(user, text));
      text = body.toString('latin1');
      if (status !== 200) {
        if (crowd.bad++ < 3) console.log(`${status}: ${text.slice(0, 300)}`);
        await sleep(1000);
      } else if (!/"(whcontent|items)":\[\]/.test(text) && !crowd.got.has(user.id)) crowd.got.set(user.id, at);
    }
  }
  for (let from = 0; from < users.length; from += AT_ONCE)
    await Promise.all(
      users.slice(from, from + AT_ONCE).map(async (user) => {
        const wire = await connect(ours.url);
        wires.push(wire);
        void stay(wire, user).catch(() => !left && crowd.bad++);
      }),
    );
  return crowd;
}

/** One content for each of `users`, posted one after the other; ms from its 201 until the one who waits has it. */
async function wake(ours: Contender, crowd: Crowd, users: readonly BenchUser[]): Promise<number[]> {
  const stored = new Map<number, number>();
  const wires = await Promise.all(Array.from({ length: 8 }, () => connect(ours.url)));
  const began = performance.now();
  let next = 0;
  await Promise.all(
    wires.map(async (wire) => {
      for (let i = next++; i < users.length; i = next++) {
        await sleep(began + (i * 1000) / POSTS_PER_SECOND - performance.now());
        const { id, auth } = users[i] as BenchUser;
        const { status, at } = await wire.ask(post('/whcontent', auth, '{"hello":"world"}'));
        if (status !== 201) throw new Error(`POST /whcontent answered ${status}`);
        stored.set(id, at);
      }
    }),
  );
  for (const wire of wires) wire.close();
  return delays(crowd, stored);
}

/** The same by another program: one transaction for all. */
async function wakeByOthers(url: string, crowd: Crowd, users: readonly BenchUser[]): Promise<number[]> {
  const db = await openDb(url);
  const rows = users.map(({ id }) => [Buffer.from('{"hello":"world"}'), '127.0.0.1', 0, '2026-11-22 10:00:00', id, 0]);
  await db.transaction((queries) => queries.insert('tblwh', ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], rows));
  const at = performance.now();
  await db.close();
  return delays(crowd, new Map(users.map(({ id }) => [id, at])));
}

async function delays(crowd: Crowd, stored: ReadonlyMap<number, number>): Promise<number[]> {
  for (let i = 0; i < 100 && [...stored.keys()].some((id) => !crowd.got.has(id)); i++) await sleep(100);
  // Who never got it counts as the ten seconds that were waited.
  return [...stored].map(([id, at]) => Math.max(0, (crowd.got.get(id) ?? at + 10_000) - at));
}

async function measure(
  server: string,
  database: Prepared,
  users: readonly BenchUser[],
  plan: IdlePlan,
  poll: Poll,
  targets: Partial<typeof TARGETS>,
): Promise<void> {
  const what = poll === listPoll ? `${users.length} long polls` : `${users.length} parked pulls`;
  const target = (atMost: number | undefined) => (atMost === undefined ? {} : { atMost });
  const ours = await startOurs(database.url);
  const crowd = await park(ours, users, poll);
  await atRest(ours.pid, 0.25);
  const used = await watch(server, ours.pid, () => sleep(plan.seconds * 1000));
  if (used.queriesPerSecond !== undefined)
    figure({ what: `${what}, idle: queries`, value: used.queriesPerSecond, unit: '/s', ...target(targets.queries) });
  figure({ what: `${what}, idle: of one core`, value: used.cpu * 100, unit: '%', ...target(targets.cpu) });
  figure({ what: `${what}, idle: resident`, value: used.rssMb, unit: 'MB', digits: 0, ...target(targets.rss) });
  const some = Math.min(plan.woken, users.length >> 1);
  const own = await wake(ours, crowd, users.slice(0, some));
  const one = `${what}, ${some} of them get something`;
  figure({ what: `${one}: p50`, value: percentile(own, 0.5), unit: 'ms' });
  figure({ what: `${one}: p99`, value: percentile(own, 0.99), unit: 'ms', ...target(targets.p99) });
  const others = await wakeByOthers(database.url, crowd, users.slice(-some));
  const all = `${what}, ${some} at once by another program`;
  figure({ what: `${all}: p50`, value: percentile(others, 0.5), unit: 'ms' });
  figure({ what: `${all}: p99`, value: percentile(others, 0.99), unit: 'ms' });
  if (crowd.bad > 0) figure({ what: `${what}: ANSWERS THAT WERE NOT 200`, value: crowd.bad, unit: '', atMost: 0 });
  crowd.leave();
  await ours.stop();
}

export async function idle(server: string, plan: IdlePlan): Promise<void> {
  const [, hard = '0'] = /Max open files\s+\S+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  // Node raises its own limit to the hard one; some are for the rest of the process.
  const pollers = Math.min(plan.pollers, Number(hard) - 500);
  if (pollers < plan.pollers) console.log(`no more than ${hard} open files are allowed: ${pollers} long polls`);
  const database = await prepare(server);
  const db = await openDb(database.url);
  const users = await addUsers(db, Math.max(pollers, plan.pulls));
  await db.close();
  figures();
  await measure(server, database, users.slice(0, pollers), plan, listPoll, TARGETS);
  await measure(server, database, users.slice(0, plan.pulls), plan, pull, {});
  await database.drop();
}
