// A clock that jumps by an hour or by forty days, at the start and on the way: leases last as long as promised, nothing is removed early.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPruner } from '../../src/retention/retention.ts';
import type { Db } from '../../src/store/db.ts';
import { settledClock } from '../../src/store/shared/clock.ts';
import { type Desk, deskOf, openDesk } from '../consumers/calls.ts';
import { cli } from '../support/cli.ts';
import { type Database, migratedDatabase, onEveryEngine, startService, testLog } from '../support/engines.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TOKEN = 'figures-for-the-operator';

/** The clock as all statements of this process read it is set: so far from the real one, not from where it was. */
function setClock(db: Db, ms: number): void {
  const { nowMs } = db.dialect;
  Object.assign(db.dialect, { nowMs: `${nowMs.replace(/ \+ -?\d+$/, '')} + ${ms}` });
}
const clockOf = async (db: Db) => (await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`))[0]?.now ?? 0;
const idsOf = (page: { items: { id: number }[] }) => page.items.map(({ id }) => id);

onEveryEngine('a clock that jumps', (engine) => {
  let database: Database;
  let desk: Desk;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url, { METRICS_TOKEN: TOKEN });
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
  });
  const left = async () =>
    Number((await desk.service.store.db.all<{ n: number }>('SELECT COUNT(*) AS n FROM tblwh'))[0]?.n);

  /** The service anew, on a database whose clock is so far from the real one. */
  async function restart(ms: number): Promise<void> {
    const { service, user } = desk;
    await service.close();
    desk = deskOf(await startService(database.url, { METRICS_TOKEN: TOKEN }, (store) => setClock(store.db, ms)), user);
  }

  /** Retention as the service does it, after one pass. */
  async function prunedOnce(days: number) {
    const log = testLog();
    const { db } = desk.service.store;
    const { retention } = desk.service.parts;
    let passes = 0;
    const onHeld = (held: typeof retention.held) => {
      retention.held = held;
      passes++;
    };
    const pruner = startPruner({ db, days, foreign: false, log, onHeld, firstMs: 1, everyMs: 50 });
    // When the second one begins, the first one is done.
    await expect.poll(() => passes).toBeGreaterThan(1);
    await pruner.stop();
    return log.lines;
  }

  test('an hour back: a lease ends when it was promised to, and its contents are handed out again', async () => {
    const mine = await desk.another();
    const { db } = mine.service.store;
    const ids = await mine.send(['a', 'b']);
    const first = await mine.pull('w', { start: 'earliest', lease_seconds: 2, limit: 1 });
    expect(idsOf(first)).toEqual(ids.slice(0, 1));
    const began = performance.now();
    setClock(db, -HOUR_MS);
    // A pull that goes to the database, and one that waits for the end of the lease.
    expect(idsOf(await mine.pull('w', { limit: 1, lease_seconds: 300 }))).toEqual(ids.slice(1));
    const again = await mine.pull('w', { wait: 10 });
    expect([idsOf(again), again.items[0].attempt]).toEqual([ids.slice(0, 1), 2]);
    expect(performance.now() - began).toBeGreaterThan(1_800);
    // By the clock as it is now, for workers compare it with theirs.
    const ahead = Date.parse(again.items[0].lease_until) - (await clockOf(db));
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThan(31_000);
    setClock(db, 0);
    expect((await mine.act('w', 'ack', { lease: again.lease })).status).toBe(200);
  });

  test('an hour ahead: nothing is taken from its holder, by no process', async () => {
    const mine = await desk.another();
    const { db } = mine.service.store;
    const ids = await mine.send(['a', 'b', 'c']);
    const held = await mine.pull('w', { start: 'earliest', lease_seconds: 300 });
    expect(idsOf(held)).toEqual(ids);
    const other = await startService(database.url);
    try {
      for (const ms of [HOUR_MS, 40 * DAY_MS, 0]) {
        for (const one of [db, other.store.db]) setClock(one, ms);
        for (const one of [deskOf(other, mine.user), mine]) expect(idsOf(await one.pull('w'))).toEqual([]);
        const { body } = await mine.act('w', 'extend', { lease: held.lease, lease_seconds: 200 });
        const lasts = Date.parse(body.lease_until) - (await clockOf(db));
        expect(lasts).toBeGreaterThan(100_000);
        expect(lasts).toBeLessThan(201_000);
      }
    } finally {
      await other.close();
    }
    expect((await mine.act('w', 'ack', { lease: held.lease })).body.done).toEqual(ids);
  });

  test("ahead just before a second process comes: it believes the first one, and they do not undo one another's work", async () => {
    const mine = await desk.another();
    const { db } = mine.service.store;
    const before = await settledClock(db);
    setClock(db, 10_000);
    const second = await startService(database.url, {}, (store) => setClock(store.db, 10_000));
    for (const each of [db, second.store.db, db, second.store.db]) {
      const { wall, lasting } = await settledClock(each);
      expect(Math.abs(wall - lasting - (before.wall - before.lasting) - 10_000)).toBeLessThan(1_000);
    }
    // What both of them see, the second one takes out, too.
    for (const each of [second.store.db, db]) setClock(each, 0);
    const after = await settledClock(second.store.db);
    expect(Math.abs(after.wall - after.lasting - (before.wall - before.lasting))).toBeLessThan(1_000);
    await second.close();
  });

  test('forty days ahead on the way, and right again: nothing is removed, and no later content looks older', async () => {
    const mine = await desk.another();
    const { db } = mine.service.store;
    const before = await left();
    await mine.send(['a', 'b']);
    setClock(db, 40 * DAY_MS);
    await prunedOnce(30);
    await mine.send(['c']);
    setClock(db, -40 * DAY_MS);
    await mine.send(['d']);
    await prunedOnce(30);
    setClock(db, 0);
    await mine.send(['e']);
    await prunedOnce(30);
    expect(await left()).toBe(before + 5);
    const seen = await db.all<{ seen_ms: number }>('SELECT seen_ms FROM restante_position ORDER BY pos');
    const times = seen.map(({ seen_ms }) => Number(seen_ms));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    // What was seen ahead of time is put right when a person says that the clock is.
    await db.run('UPDATE restante_position SET seen_ms = ? WHERE seen_ms > ?', [await clockOf(db), await clockOf(db)]);
  });

  test('forty days ahead at the start: what only the clock made old is kept, and told; what was lived through goes on', async () => {
    const before = await left();
    await restart(40 * DAY_MS);
    const lines = await prunedOnce(30);
    expect(await left()).toBe(before);
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        data: { contents: before, why: 'clock' },
        message: expect.stringMatching(/stands 40 days ahead .* restante prune --confirm$/),
      }),
    );
    const bearer = { headers: { authorization: `Bearer ${TOKEN}` } };
    const { service } = desk;
    const ready = await (await fetch(`${service.url}/readyz`, bearer)).json();
    expect(ready).toMatchObject({ status: 'ready', retention: expect.stringContaining('--confirm') });
    const metrics = await (await fetch(`${service.url}/metrics`, bearer)).text();
    expect(metrics).toContain(`\nrestante_retention_held ${before}\n`);
    // The clock is right again: nothing waits any more, and nothing was lost.
    await restart(0);
    expect((await prunedOnce(30)).filter(({ level }) => level === 'warn')).toEqual([]);
    expect(await left()).toBe(before);
  });

  /** As if all that is stored had been seen so many days earlier, and no consumer had to get any of it. */
  async function age(days: number): Promise<void> {
    const { db } = desk.service.store;
    await db.run('UPDATE restante_position SET seen_ms = seen_ms - ?', [days * DAY_MS]);
    await db.run('UPDATE restante_consumer SET pulled_ms = 1, created_ms = 1');
    await db.run('DELETE FROM restante_lease');
  }
  const prune = (days: number, ...args: string[]) =>
    cli(['prune', ...args], { DATABASE_URL: database.url, RETENTION_DAYS: String(days) });

  test('switched off for forty days: a person looks at it, confirms it, and retention goes on', async () => {
    await desk.send(['a', 'b', 'c']);
    const before = await left();
    await age(40);
    await desk.service.store.db.run("UPDATE restante_meta SET v = v - ? WHERE k = 'clock_seen'", [40 * DAY_MS]);
    await restart(0);
    expect(await prunedOnce(30)).toContainEqual(expect.objectContaining({ data: { contents: before, why: 'clock' } }));
    expect(await prune(30)).toEqual({
      code: 0,
      out: '0 contents were removed\n',
      err: expect.stringMatching(/stands 40 days ahead .* restante prune --confirm\n$/),
    });
    const dry = { code: 0, out: `${before} contents would be removed\n`, err: '' };
    expect(await prune(30, '--confirm', '--dry-run')).toEqual(dry);
    expect(await left()).toBe(before);
    expect(await prune(30, '--confirm')).toEqual({ code: 0, out: `${before} contents were removed\n`, err: '' });
    // From now on the clock counts again, for the service too, and after a restart.
    await desk.send(['d']);
    await age(31);
    for (const again of [false, true]) {
      if (again) await restart(0);
      await prunedOnce(30);
      expect(await left()).toBe(0);
      await desk.send(['e']);
      await age(31);
    }
    await prunedOnce(30);
  });

  test('fewer RETENTION_DAYS than before wait for a person, too; more do not', async () => {
    await desk.send(['a', 'b']);
    await age(20);
    for (const days of [30, 25, 60]) expect(await prunedOnce(days)).toEqual([]);
    const text =
      /^RETENTION_DAYS=10 is set, and before it was RETENTION_DAYS=60: 2 contents .* restante prune --confirm$/;
    expect(await prunedOnce(10)).toContainEqual({
      level: 'warn',
      data: { contents: 2, why: 'settings' },
      message: expect.stringMatching(text),
    });
    expect(await prune(10)).toMatchObject({
      out: '0 contents were removed\n',
      err: expect.stringMatching(/RETENTION_DAYS=10/),
    });
    expect(await left()).toBe(2);
    expect(await prune(10, '--confirm')).toMatchObject({ out: '2 contents were removed\n', err: '' });
    await desk.send(['c']);
    await age(11);
    expect(await prunedOnce(10)).toEqual([expect.objectContaining({ message: 'old contents were removed' })]);
    expect(await left()).toBe(0);
  });
});
