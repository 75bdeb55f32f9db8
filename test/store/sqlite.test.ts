// SQLite and its threads: failures that end a transaction, threads that end, and an event loop that waits for no disk.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { causeOf } from '../../src/store/engine/causes.ts';
import { openSqlite } from '../../src/store/engine/sqlite.ts';
import { lacks, needsRoot } from '../support/tools.ts';
import { makeVolume } from '../support/volume.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'restante-sqlite-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** What would end the process. */
function uncaught(): unknown[] {
  const errors: unknown[] = [];
  const note = (error: unknown) => void errors.push(error);
  process.on('uncaughtException', note);
  onTestFinished(() => void process.off('uncaughtException', note));
  return errors;
}

test('a read that ends the snapshot it shares harms nobody', async () => {
  const errors = uncaught();
  const db = await openSqlite(join(folder(), 'a.db'));
  await db.ddl('CREATE TABLE t (n INTEGER)');
  await db.run('INSERT INTO t VALUES (1)');
  const select = () => db.all('SELECT n FROM t');
  // The first keeps the reading thread busy; what comes meanwhile goes together.
  const many = [select(), select(), db.all('ROLLBACK'), select(), db.all('nonsense').catch(() => 'failed'), select()];
  const rows = [{ n: 1 }];
  expect(await Promise.all(many)).toEqual([rows, rows, [], rows, 'failed', rows]);
  expect(await db.run('INSERT INTO t VALUES (2)')).toBe(1);
  expect(await select()).toEqual([{ n: 1 }, { n: 2 }]);
  await db.close();
  expect(errors).toEqual([]);
  await expect(async () => db.all('SELECT 1')).rejects.toMatchObject({ failure: 'other' });
});

test('a sort that finds no room ends its transaction: that is told by its cause, and all goes on', async (context) => {
  needsRoot(context);
  const errors = uncaught();
  const volume = await makeVolume(join(folder(), 'small'), 8);
  onTestFinished(() => volume.remove());
  const db = await openSqlite(join(volume.path, 'a.db'));
  await db.ddl('CREATE TABLE t (n INTEGER)');
  await volume.fill(256 * 1024);
  const sorted = `WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 200000)
    SELECT n, hex(randomblob(300)) AS big FROM many WHERE NOT EXISTS (SELECT 1 FROM t) ORDER BY big LIMIT 1`;
  const error = await db.all(`${sorted} OFFSET 100000`).catch((error: unknown) => error);
  expect(errors).toEqual([]);
  expect(error).toMatchObject({ failure: 'away' });
  expect(causeOf(error)?.code).toBe('disk-full');
  await volume.free();
  expect(await db.run('INSERT INTO t VALUES (1)')).toBe(1);
  expect(await db.all('SELECT n FROM t')).toEqual([{ n: 1 }]);
  await db.close();
});

test('what fails while rows are read is told by its kind, as what fails elsewhere', async () => {
  const db = await openSqlite(':memory:');
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER PRIMARY KEY)');
  await db.run('INSERT INTO t VALUES (1)');
  const failureOf = (work: Promise<unknown>) => work.catch(({ failure }) => failure);
  const twice = 'INSERT INTO t VALUES (1)';
  expect(await failureOf(db.run(twice))).toBe('duplicate');
  expect(await failureOf(db.transaction((queries) => queries.all(`${twice} RETURNING n`)))).toBe('duplicate');
  expect(await failureOf(db.all('SELECT zeroblob(2000000000)'))).toBe('data');
  expect(await failureOf(db.scan('SELECT zeroblob(2000000000)', [], () => true))).toBe('data');
});

test('the event loop waits neither for a long statement nor for the lock of another process', async () => {
  const path = join(folder(), 'a.db');
  const [db, other] = [await openSqlite(path), await openSqlite(path)];
  onTestFinished(async () => void (await Promise.all([db.close(), other.close()])));
  await db.ddl('CREATE TABLE t (n INTEGER)');
  const long =
    'WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 2000000) SELECT MAX(n) AS n FROM many';
  const loop = monitorEventLoopUtilization();
  const began = performance.now();
  expect(await db.all(long)).toEqual([{ n: 2_000_000 }]);
  await db.transaction(async (queries) => void (await queries.all(long)));
  let free = () => {};
  const held = new Promise<void>((resolve) => {
    free = resolve;
  });
  const holding = other.transaction(async (queries) => {
    await queries.run('INSERT INTO t VALUES (1)');
    await held;
  });
  setTimeout(free, 300);
  expect(await db.run('INSERT INTO t VALUES (2)')).toBe(1);
  await holding;
  // All of it is waiting: what runs on this thread is a small part, however slow the machine is.
  expect(performance.now() - began).toBeGreaterThan(300);
  expect(loop()).toBeLessThan(0.3);
});

/** The share of the time since now in which the event loop worked. */
function monitorEventLoopUtilization(): () => number {
  const { eventLoopUtilization } = performance;
  const began = eventLoopUtilization();
  return () => eventLoopUtilization(began).utilization;
}

test('a read waits for no transaction, and sees each commit that was answered before it', async () => {
  const db = await openSqlite(join(folder(), 'a.db'));
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER)');
  const count = async () => (await db.all<{ n: number }>('SELECT COUNT(*) AS n FROM t'))[0]?.n;
  await db.transaction(async (queries) => {
    await queries.run('INSERT INTO t VALUES (1)');
    expect(await count()).toBe(0);
    expect(await queries.all('SELECT n FROM t')).toEqual([{ n: 1 }]);
  });
  for (let n = 1; n < 50; n++) {
    expect(await count()).toBe(n);
    await db.insert('t', ['n'], [[n]]);
    // Many at once, so that several threads read.
    expect(new Set(await Promise.all(Array.from({ length: 20 }, count)))).toEqual(new Set([n + 1]));
  }
});

test('a sender waits for one other transaction at most, and the others are not left out', async () => {
  const db = await openSqlite(join(folder(), 'a.db'));
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER)');
  const order: string[] = [];
  const one = (who: 'writer' | 'others') =>
    db.transaction(async (queries) => {
      await queries.run('INSERT INTO t VALUES (1)');
      order.push(who);
    }, who);
  const others = Array.from({ length: 12 }, () => one('others'));
  const senders = Array.from({ length: 4 }, () => one('writer'));
  await Promise.all([...others, ...senders]);
  // The first was under way already when the senders came.
  const turns = Array.from({ length: 4 }, () => ['writer', 'others']).flat();
  expect(order).toEqual(['others', ...turns, ...Array(7).fill('others')]);
});

test.each(['a.db', ':memory:'])('a scan of %s reads as far as it is wanted, with others beside it', async (name) => {
  const db = await openSqlite(name === ':memory:' ? name : join(folder(), name));
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER PRIMARY KEY, bytes BLOB); CREATE TABLE other (n INTEGER)');
  const rows = Array.from({ length: 2_500 }, (_, n) => [n, Buffer.alloc(n % 7 === 0 ? 4_000 : 3, n)]);
  await db.insert('t', ['n', 'bytes'], rows);
  const sql = 'SELECT n, bytes FROM t ORDER BY n';
  async function scanned(most: number): Promise<number> {
    let seen = 0;
    await db.scan<{ n: number; bytes: Buffer }>(sql, [], ({ n, bytes }) => {
      expect([n, Buffer.isBuffer(bytes), bytes.equals(rows[n]?.[1] as Buffer)]).toEqual([seen, true, true]);
      seen++;
      return seen < most;
    });
    return seen;
  }
  const mosts = [1, 2, 999, 1_000, 1_001, 2_499, 2_500, 9_999, 1, 1_500];
  const results = await Promise.all([...mosts.map(scanned), db.run('INSERT INTO other VALUES (1)')]);
  expect(results.slice(0, -1)).toEqual(mosts.map((most) => Math.min(most, 2_500)));
  const failing = db.scan(sql, [], () => {
    throw new Error('no more');
  });
  await expect(failing).rejects.toThrow('no more');
  // A thread whose scan was left is free again.
  expect(await Promise.all(Array.from({ length: 10 }, () => scanned(2)))).toEqual(Array(10).fill(2));
});

test('a thread that ends fails what waits for it, and the next call starts another one', async () => {
  const threads: Worker[] = [];
  const note = (worker: Worker) => void threads.push(worker);
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  const db = await openSqlite(join(folder(), 'a.db'));
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER)');
  const lost = db.transaction(async (queries) => {
    await queries.run('INSERT INTO t VALUES (1)');
    await Promise.all(threads.map((thread) => thread.terminate()));
    await queries.run('INSERT INTO t VALUES (2)');
  });
  await expect(lost).rejects.toMatchObject({ failure: 'away' });
  expect(await db.run('INSERT INTO t VALUES (3)')).toBe(1);
  await expect.poll(() => db.all('SELECT n FROM t').catch(() => [])).toEqual([{ n: 3 }]);
});

test('what travels to a thread and back is what was sent', async () => {
  const db = await openSqlite(':memory:');
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)');
  const value = fc.oneof(
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.string(),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    // A part of a larger piece of memory, as a body is.
    fc.uint8Array({ minLength: 4, maxLength: 50 }).map((bytes) => Buffer.from(bytes.buffer, 1, bytes.length - 2)),
  );
  const rows = fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 150 });
  await fc.assert(
    fc.asyncProperty(rows, async (sent) => {
      const before = structuredClone(sent);
      const ids = await db.insertIds('t', ['a', 'b', 'c'], sent);
      expect(ids).toHaveLength(sent.length);
      const got = await db.all<Record<string, unknown>>('SELECT a, b, c FROM t WHERE id >= ? ORDER BY id', [
        ids[0] ?? 0,
      ]);
      expect(got.map(({ a, b, c }) => [a, b, c])).toEqual(sent);
      // And the sender still has it.
      expect(structuredClone(sent)).toEqual(before);
    }),
    { numRuns: 60 },
  );
});

test('a transaction of many statements is seen by nobody half done', async () => {
  const db = await openSqlite(join(folder(), 'a.db'));
  onTestFinished(() => db.close());
  await db.ddl('CREATE TABLE t (n INTEGER)');
  const seen = new Set<number>();
  let over = false;
  const reading = (async () => {
    while (!over) {
      const [row] = await db.all<{ n: number }>('SELECT COUNT(*) AS n FROM t');
      seen.add(row?.n ?? -1);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  for (let round = 0; round < 3; round++) {
    const failing = db.transaction(async (queries) => {
      for (const began = performance.now(); performance.now() - began < 60; )
        await queries.run('INSERT INTO t VALUES (1)');
      throw new Error('taken back');
    });
    await expect(failing).rejects.toThrow('taken back');
  }
  over = true;
  await reading;
  expect([...seen]).toEqual([0]);
});

test('another connection of this process takes no lock away: other processes still see that the file is in use', async (context) => {
  if (!existsSync('/proc/locks')) lacks('run on Linux, which lists the locks', context);
  const path = join(folder(), 'a.db');
  const locks = () =>
    readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${statSync(path).ino} `)).length;
  const first = await openSqlite(path);
  await first.ddl('CREATE TABLE t (n INTEGER)');
  const before = locks();
  expect(before).toBeGreaterThan(0);
  const second = await openSqlite(path);
  expect(locks()).toBe(before);
  await first.close();
  await second.close();
});
