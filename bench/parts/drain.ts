// A consumer that works off a long backlog on one connection, against the driver alone reading the same rows by key, in turns.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { crc32 } from 'node:zlib';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { createConnection } from 'mysql2/promise';
import { openDb } from '../../src/store/open.ts';
import { type Prepared, prepare } from '../support/database.ts';
import { usage } from '../support/load.ts';
import { startOurs } from '../support/processes.ts';
import { figure, figures } from '../support/table.ts';
import { atRest } from '../support/watch.ts';
import { connect, post, type Wire } from '../support/wire.ts';

const LIMIT = 500;
const PARTS = 10;
const CONTENT = Buffer.from(JSON.stringify({ id: 'evt_1', type: 'charge.succeeded', filler: 'x'.repeat(974) }));
const HEAD = Buffer.from(
  'POST /in/Vt3kZq8LxN2pWc7RmB4yJd9s HTTP/1.1\r\nHost: hooks.example.org\r\nUser-Agent: Stripe/1.0\r\nContent-Type: application/json\r\n',
);

/** `rows` received contents of 1 KB of the user, made by doubling: ids without a gap, no positions yet. */
export async function fillReceived({ url, userId }: Prepared, rows: number): Promise<number> {
  const db = await openDb(url);
  const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
  const one = [CONTENT, '127.0.0.1', 1, '2026-11-22 10:00:00', userId, 1];
  const block = Math.min(1000, rows);
  const ids = await db.insertIds('tblwh', columns, Array(block).fill(one));
  const first = ids[0] as number;
  const connection = url.startsWith('mysql:') ? await createConnection({ uri: url }) : undefined;
  // By a driver without a time limit: the last doublings take long.
  const run = async (sql: string, values: readonly (number | Buffer)[]) =>
    void (connection ? await connection.execute(sql, [...values]) : await db.run(sql, values));
  for (let have = block; have < rows; have = Math.min(have * 2, rows))
    await run(`INSERT INTO tblwh (id, ${columns}) SELECT id + ?, ${columns} FROM tblwh WHERE id >= ? AND id < ?`, [
      have,
      first,
      first + Math.min(have, rows - have),
    ]);
  const request =
    'INSERT INTO restante_request (id, size, crc, received_ms, ip, head) SELECT id, ?, ?, 1, ip, ? FROM tblwh';
  for (let from = first; from < first + rows; from += 50_000)
    await run(`${request} WHERE id >= ? AND id < ?`, [CONTENT.length, crc32(CONTENT), HEAD, from, from + 50_000]);
  await connection?.end();
  await db.close();
  return first;
}

/** Runs a verb of the built program; rejects with what it said when it fails. */
export function restante(url: string, ...args: string[]): Promise<string> {
  const path = new URL('../../dist/main.js', import.meta.url).pathname;
  const child = spawn(path, args, { env: { ...process.env, DATABASE_URL: url, NO_COLOR: '1' } });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  return new Promise((resolve, reject) =>
    child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error(`${args}: ${code}: ${said}`)))),
  );
}

const COLUMNS = (bytes: string) =>
  `SELECT t.id, CAST(t.content AS ${bytes}) AS content, t.ip, t.api, t.dt, t.wh_id, r.size, r.crc, r.received_ms, r.ip AS full_ip, r.head
   FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id WHERE t.id BETWEEN ? AND ? ORDER BY t.id`;

interface Alone {
  /** Reads ids from <= id < to, LIMIT per statement; resolves with how many there were. */
  read(from: number, to: number): Promise<number>;
  close(): Promise<void>;
}
async function driverAlone(url: string): Promise<Alone> {
  if (url.startsWith('sqlite:')) return sqliteAlone(url.slice('sqlite:'.length));
  const connection = await createConnection({ uri: url, charset: 'utf8mb4' });
  return {
    async read(from, to) {
      let rows = 0;
      for (let at = from; at < to; at += LIMIT) {
        const [found] = await connection.execute(COLUMNS('BINARY'), [at, Math.min(at + LIMIT, to) - 1]);
        rows += (found as unknown[]).length;
      }
      return rows;
    },
    close: () => connection.end(),
  };
}

function sqliteAlone(path: string): Alone {
  const load = createRequire(import.meta.url);
  const { DatabaseSync } = load('@photostructure/sqlite') as {
    DatabaseSync: new (path: string) => DatabaseSyncInstance;
  };
  const database = new DatabaseSync(path);
  database.exec('PRAGMA cache_size = -65536');
  const statement = database.prepare(COLUMNS('BLOB'));
  return {
    async read(from, to) {
      let rows = 0;
      for (let at = from; at < to; at += LIMIT) rows += statement.all(at, Math.min(at + LIMIT, to) - 1).length;
      return rows;
    },
    close: async () => database.close(),
  };
}

/** Pulls until `rows` contents have come, each pull acking the one before. */
async function drainPart(wire: Wire, auth: string, rows: number, ack: { lease?: string }): Promise<number> {
  let got = 0;
  while (got < rows) {
    const asked = { limit: Math.min(LIMIT, rows - got), start: 'earliest', ...(ack.lease ? { ack: ack.lease } : {}) };
    const { status, body } = await wire.ask(post('/consumers/c/pull', auth, JSON.stringify(asked)));
    if (status !== 200) throw new Error(`pull answered ${status}: ${body.subarray(0, 300)}`);
    const start = body.toString('latin1', 0, 20_000);
    const lease = /"lease":"([^"]+)"/.exec(start)?.[1];
    if (!lease) throw new Error(`nothing came after ${got} of ${rows}: ${start.slice(0, 300)}`);
    ack.lease = lease;
    for (let at = body.indexOf(MARK); at >= 0; at = body.indexOf(MARK, at + 1)) got++;
  }
  return got;
}
const MARK = '"lease_until":';

export async function drain(server: string, { rows }: { readonly rows: number }): Promise<void> {
  const database = await prepare(server);
  const first = await fillReceived(database, rows);
  await restante(database.url, 'migrate');
  const ours = await startOurs(database.url);
  // A first start reads all ids once.
  await atRest(ours.pid, 0.2);
  const alone = await driverAlone(database.url);
  const wire = await connect(ours.url);
  const ack = {};
  const times = { ours: [] as number[], alone: [] as number[] };
  const size = rows / PARTS;
  const before = usage(ours.pid).cpu;
  for (let part = 0; part < PARTS; part++) {
    const from = first + part * size;
    const timed = async (into: number[], work: () => Promise<number>) => {
      const began = performance.now();
      const got = await work();
      if (got !== size) throw new Error(`${got} contents instead of ${size}`);
      into.push(performance.now() - began);
    };
    const turns = [
      () => timed(times.ours, () => drainPart(wire, database.auth, size, ack)),
      () => timed(times.alone, () => alone.read(from, from + size)),
    ];
    // Whoever reads first warms the caches for the other: they take turns in it.
    for (const turn of part % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  const used = usage(ours.pid);
  const total = (list: readonly number[]) => list.reduce((sum, one) => sum + one, 0);
  const [mine, other] = [(rows / total(times.ours)) * 1000, (rows / total(times.alone)) * 1000];
  const what = `a backlog of ${rows.toLocaleString('en')}`;
  figures();
  figure({ what: `${what}: contents/s, one connection`, value: mine, unit: '/s', digits: 0 });
  figure({ what: `${what}: the driver alone, the same rows`, value: other, unit: '/s', digits: 0 });
  figure({ what: `${what}: of the driver alone`, value: mine / other, unit: '', digits: 2, atLeast: 0.25 });
  const slower = (times.ours.at(-1) ?? 0) / (times.ours[0] ?? 1);
  figure({ what: `${what}: last tenth / first tenth`, value: slower, unit: '', digits: 2, atMost: 1.2 });
  figure({ what: `${what}: CPU of the service per content`, value: ((used.cpu - before) / rows) * 1e6, unit: 'us' });
  figure({ what: `${what}: highest resident`, value: used.peakMb, unit: 'MB', digits: 0 });
  console.log(`tenths, s: ours ${tenths(times.ours)}; the driver alone ${tenths(times.alone)}`);
  wire.close();
  await alone.close();
  await ours.stop();
  await database.drop();
}
const tenths = (list: readonly number[]) => list.map((ms) => (ms / 1000).toFixed(1)).join(' ');
