// How soon a webhook is at whoever waits for it: 500 a second at a steady pace, one waiting consumer, one waiting list.
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { openSqlite } from '../../src/store/engine/sqlite.ts';
import { type Prepared, prepare } from '../support/database.ts';
import { load } from '../support/load.ts';
import { type Contender, startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { percentile } from '../support/watch.ts';
import { connect, get, paced, post } from '../support/wire.ts';

const PER_SECOND = 500;
const SENDERS = 16;
const OTHERS_PER_SECOND = 100;
// So rarely that each meets a service that had fallen quiet.
const SELDOM_MS = 700;
const PAD = 'x'.repeat(900);

/** Receives `seq` numbers with the moment they came. */
type Reader = (seen: (seq: number, at: number) => void, done: () => boolean) => Promise<void>;
/** Sends until `until`; told when each was known to be committed. */
type Sender = (stored: (seq: number, at: number) => void, until: number) => Promise<void>;

const seqs = (text: string): number[] => [...text.matchAll(/\\"seq\\":(\d+)/g)].map(([, seq]) => Number(seq));
const bodyOf = (seq: number) => `{"seq":${seq},"pad":"${PAD}"}`;

const consumer =
  (ours: Contender, { auth }: Prepared, name: string): Reader =>
  async (seen, done) => {
    const wire = await connect(ours.url);
    let lease: string | undefined;
    while (!done()) {
      const asked = { wait: 1, limit: 500, start: 'latest', ...(lease ? { ack: lease } : {}) };
      const { status, body, at } = await wire.ask(post(`/consumers/${name}/pull`, auth, JSON.stringify(asked)));
      const text = body.toString('latin1');
      if (status !== 200) throw new Error(`pull answered ${status}: ${text}`);
      lease = /"lease":"([^"]+)"/.exec(text)?.[1];
      for (const seq of seqs(text)) seen(seq, at);
    }
    wire.close();
  };

const list =
  (ours: Contender, { auth }: Prepared): Reader =>
  async (seen, done) => {
    const wire = await connect(ours.url);
    let from = 'latest';
    while (!done()) {
      const { status, body, at } = await wire.ask(get(`/whcontent?whid=all&id=${from}&wait=1&limit=100`, auth));
      const text = body.toString('latin1');
      if (status !== 200) throw new Error(`list answered ${status}: ${text}`);
      from = /"next_id":(\d+)/.exec(text)?.[1] ?? from;
      for (const seq of seqs(text)) seen(seq, at);
    }
    wire.close();
  };

const webhooks =
  (ours: Contender, { path }: Prepared): Sender =>
  async (stored, until) => {
    const free = await Promise.all(Array.from({ length: SENDERS }, () => connect(ours.url)));
    await paced(PER_SECOND, until, async (seq) => {
      const wire = free.pop() ?? (await connect(ours.url));
      const { status, at } = await wire.ask(post(path, '', bodyOf(seq)));
      if (status !== 200) throw new Error(`a sender got ${status}`);
      stored(seq, at);
      free.push(wire);
    });
    for (const wire of free) wire.close();
  };

const INSERT = 'INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (?, ?, ?, ?, ?, ?)';
const rowOf = (seq: number, userId: number) =>
  [Buffer.from(bodyOf(seq)), '127.0.0.1', 1, '2026-11-22 10:00:00', userId, 7] as const;

/** Another program: one autocommitted INSERT each, by the bare driver. `everyMs` undefined: at a steady pace. */
const others =
  ({ url, userId }: Prepared, everyMs?: number): Sender =>
  async (stored, until) => {
    let insert: (seq: number) => Promise<unknown>;
    let close: () => Promise<unknown>;
    if (url.startsWith('sqlite:')) {
      const db = await openSqlite(url.slice('sqlite:'.length));
      insert = (seq) => db.run(INSERT, rowOf(seq, userId));
      close = () => db.close();
    } else {
      const all = await Promise.all(
        Array.from({ length: 4 }, () => createConnection({ uri: url, charset: 'utf8mb4' })),
      );
      insert = (seq) => (all[seq % all.length] as (typeof all)[0]).execute(INSERT, [...rowOf(seq, userId)]);
      close = () => Promise.all(all.map((one) => one.end()));
    }
    const one = async (seq: number) => {
      await insert(seq);
      stored(seq, performance.now());
    };
    if (!everyMs) await paced(OTHERS_PER_SECOND, until, one);
    else
      for (let seq = 0; performance.now() < until; seq++) {
        await one(seq);
        await sleep(everyMs * (0.5 + Math.random()));
      }
    await close();
  };

/** Milliseconds from stored to seen of each; whoever came first had it at once. */
async function delays(send: Sender, readers: readonly Reader[], seconds: number): Promise<number[][]> {
  const stored = new Map<number, number>();
  const seen = readers.map(() => new Map<number, number>());
  let over = false;
  const done = () => over && seen.every((one) => one.size >= stored.size);
  const reading = readers.map((read, i) => read((seq, at) => seen[i]?.set(seq, at), done));
  await sleep(1_000);
  await send((seq, at) => stored.set(seq, at), performance.now() + seconds * 1000);
  const giveUp = sleep(10_000, 'late', { ref: false });
  over = true;
  const outcome = await Promise.race([Promise.all(reading), giveUp]);
  if (outcome === 'late') console.log(`of ${stored.size} stored were seen: ${seen.map(({ size }) => size).join(', ')}`);
  return seen.map((one) => [...stored].map(([seq, at]) => Math.max(0, (one.get(seq) ?? at + 10_000) - at)));
}

export async function latency(server: string, { seconds }: { readonly seconds: number }): Promise<void> {
  const database = await prepare(server);
  const ours = await startOurs(database.url);
  const readers = (name: string) => [consumer(ours, database, name), list(ours, database)];
  const p50 = server.startsWith('mysql:') && !/maria/i.test(await versionOf(server)) ? 15 : 5;
  const tell = (what: string, values: readonly number[], most: { p50?: number; p99?: number }) => {
    const target = (atMost: number | undefined) => (atMost === undefined ? {} : { atMost });
    figure({ what: `${what}: p50`, value: percentile(values, 0.5), unit: 'ms', ...target(most.p50) });
    figure({ what: `${what}: p99`, value: percentile(values, 0.99), unit: 'ms', ...target(most.p99) });
    figure({ what: `${what}: the slowest`, value: Math.max(...values), unit: 'ms' });
  };
  figures();
  await delays(webhooks(ours, database), readers('warm'), 2);
  const own = await delays(webhooks(ours, database), readers('own'), seconds);
  tell(`${PER_SECOND} webhooks/s to a waiting consumer`, own[0] ?? [], { p50, p99: 50 });
  tell(`${PER_SECOND} webhooks/s to a waiting list`, own[1] ?? [], {});
  const busy = await delays(others(database), readers('others'), seconds);
  tell(`${OTHERS_PER_SECOND} rows/s of another program to a waiting consumer`, busy[0] ?? [], { p99: 300 });
  tell(`${OTHERS_PER_SECOND} rows/s of another program to a waiting list`, busy[1] ?? [], {});
  const rare = await delays(others(database, SELDOM_MS), readers('seldom'), seconds);
  tell('a rare row of another program to a waiting consumer', rare[0] ?? [], { p99: 300 });
  tell('a rare row of another program to a waiting list', rare[1] ?? [], {});
  const beside = await readsBesideIngest(ours, database, seconds);
  const target = server.startsWith('sqlite:') ? { atMost: 10 } : {};
  const what = 'the newest 20 contents, read while webhooks come at half load';
  figure({ what: `${what}: p50`, value: percentile(beside, 0.5), unit: 'ms' });
  figure({ what: `${what}: p99`, value: percentile(beside, 0.99), unit: 'ms', ...target });
  await ours.stop();
  await database.drop();
}

// A reader who asks so often, beside half of the webhooks that the service takes at most.
const READ_EVERY_MS = 20;

async function readsBesideIngest(ours: Contender, { path, auth }: Prepared, seconds: number): Promise<number[]> {
  const send = (connections: number, forSeconds: number) =>
    load({ method: 'POST', body: bodyOf(1), url: ours.url + path, connections, seconds: forSeconds });
  const most = (await send(64, 2)).perSecond;
  // So many senders as take half of it.
  let senders = 1;
  while (senders < 64 && (await send(senders, 1)).perSecond < most * 0.45) senders *= 2;
  const sending = send(senders, seconds);
  const until = performance.now() + seconds * 1000;
  const times: number[] = [];
  const wire = await connect(ours.url);
  while (performance.now() < until) {
    const began = performance.now();
    const { status, at } = await wire.ask(get('/whcontent?whid=all&id=latest&order=desc&limit=20', auth));
    if (status !== 200) throw new Error(`a list answered ${status}`);
    times.push(at - began);
    await sleep(READ_EVERY_MS);
  }
  await sending;
  wire.close();
  return times;
}

async function versionOf(server: string): Promise<string> {
  const connection = await createConnection(server);
  const [rows] = await connection.query('SELECT VERSION() AS v');
  await connection.end();
  return (rows as { v: string }[])[0]?.v ?? '';
}
