// Contents that become old are removed with all that points at them; what somebody is still to get stays, and nobody else is disturbed.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { NotOurTurn, prunePass, startPruner } from '../../src/retention/retention.ts';
import type { Db } from '../../src/store/db.ts';
import { eventKey } from '../../src/store/events.ts';
import { rowsWithoutPosition } from '../../src/store/positions.ts';
import { endTurn, readRules, takeTurn } from '../../src/store/retention.ts';
import { type Desk, deskOf, openDesk, placed } from '../consumers/calls.ts';
import { type Database, migratedDatabase, onEveryEngine, pathOf, startService } from '../support/engines.ts';

const DAY_MS = 86_400_000;
const idsOf = (page: { items?: { id: number }[]; whcontent?: { id: number }[] }) =>
  (page.items ?? page.whcontent ?? []).map(({ id }) => id);

/** As if these had been seen so many days ago; positions keep the order of time. */
async function age(db: Db, ids: readonly number[], days: number): Promise<void> {
  const [row] = await db.all<{ now: number }>(`SELECT ${db.dialect.nowMs} AS now`);
  const seen = (row?.now ?? 0) - days * DAY_MS;
  const [last] = await db.all<{ pos: number }>('SELECT pos FROM restante_position WHERE id = ?', [Math.max(...ids)]);
  await db.run('UPDATE restante_position SET seen_ms = ? WHERE pos <= ? AND seen_ms > ?', [seen, last?.pos ?? 0, seen]);
}
/** As if these consumers had not been heard of for so many days, and all their leases were over. */
async function quiet(db: Db, userId: number, days: number): Promise<void> {
  const sql = 'UPDATE restante_consumer SET pulled_ms = pulled_ms - ?, created_ms = created_ms - ? WHERE user_id = ?';
  // What was never pulled stays 0.
  await db.run('UPDATE restante_consumer SET pulled_ms = created_ms WHERE pulled_ms = 0 AND user_id = ?', [userId]);
  await db.run(sql, [days * DAY_MS, days * DAY_MS, userId]);
  await db.run(
    'UPDATE restante_lease SET due_ms = 1 WHERE consumer_id IN (SELECT id FROM restante_consumer WHERE user_id = ?)',
    [userId],
  );
}
const run = async (db: Db, days: number, foreign = false, dry = false) =>
  prunePass(db, await readRules(db, days), new Map(), { foreign, dry, rest: 0 });
const count = async (db: Db, table: string, ids: readonly number[], column = 'id') =>
  (await db.all<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table} WHERE ${column} IN (${ids.join()})`))[0]?.n;

onEveryEngine('retention', (engine) => {
  let database: Database;
  let desk: Desk;
  let db: Db;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url);
    ({ db } = desk.service.store);
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
  });

  // Nobody is to get anything of an earlier test.
  afterEach(async () => {
    await db.run('UPDATE restante_consumer SET pulled_ms = 1, created_ms = 1');
    await db.run('UPDATE restante_lease SET due_ms = 1');
    await db.run('UPDATE restante_position SET seen_ms = 1');
    await prunePass(db, [{ days: 1, which: 'but', whids: new Set() }], new Map(), { foreign: true, rest: 0 });
    expect(await db.all('SELECT id FROM tblwh UNION SELECT id FROM restante_request')).toEqual([]);
  });

  test('what is old goes with its request, its place, its event and the refusal it was; what is younger stays', async () => {
    const mine = await desk.another();
    const old = await mine.send(['a', 'b', 'c']);
    const [first = 0, second = 0] = old;
    const key = eventKey(mine.user.id, 'evt_old');
    const refusal = `INSERT INTO restante_refusal (user_id, wh_id, kind, reason, received_ms, ip, head, content) VALUES (?, 0, 'signature', '', ?, '', '', 'a')`;
    await db.run(refusal, [mine.user.id, Date.now()]);
    const [refused] = await db.all<{ id: number }>('SELECT MAX(id) AS id FROM restante_refusal');
    const judged = 'UPDATE restante_request SET wh_id = 0, event_id = ?, event_key = ?, released_from = ? WHERE id = ?';
    await db.run(judged, ['evt_old', key, refused?.id ?? 0, first]);
    if (engine === 'sqlite') await db.run('INSERT INTO restante_event VALUES (?, 0, ?)', [key, first]);
    await age(db, old, 40);
    const young = await mine.send(['d', 'e']);
    expect(await run(db, 30, false, true)).toEqual({ contents: 3, kept: 0, foreign: 0 });
    expect(await run(db, 30)).toEqual({ contents: 3, kept: 0, foreign: 0 });
    for (const table of ['tblwh', 'restante_request', 'restante_position'])
      expect([table, await count(db, table, old), await count(db, table, young)]).toEqual([table, 0, 2]);
    expect(await count(db, 'restante_refusal', [refused?.id ?? 0])).toBe(0);
    if (engine === 'sqlite') expect(await count(db, 'restante_event', old)).toBe(0);
    expect((await mine.call('GET', `/whcontent/${second}`)).status).toBe(404);
    const page = (await mine.call('GET', '/whcontent?id=0&whid=0')).body;
    expect([idsOf(page), page.next_id]).toEqual([young, Math.max(...young) + 1]);
    // Nothing gets a place again, and what comes next is read.
    expect(await rowsWithoutPosition(db, 0, Math.max(...young), 10)).toEqual([]);
    const next = await mine.send(['f']);
    expect(idsOf((await mine.call('GET', `/whcontent?id=${page.next_id}&whid=0`)).body)).toEqual(next);
    expect(idsOf(await mine.pull('w', { start: 'earliest' }))).toEqual([...young, ...next]);
  });

  test('a list that knows the newest ones goes on behind those that were removed', async () => {
    const mine = await desk.another();
    const ids = await mine.send(['a', 'b', 'c', 'd']);
    expect(idsOf((await mine.call('GET', '/whcontent?id=0&whid=0')).body)).toEqual(ids);
    await age(db, ids.slice(0, 3), 40);
    await run(db, 30);
    expect(idsOf((await mine.call('GET', '/whcontent?id=0&whid=0')).body)).toEqual(ids.slice(3));
    await age(db, ids, 40);
    await run(db, 30);
    const waited = mine.call('GET', '/whcontent?id=0&whid=0&wait=10');
    await sleep(100);
    const next = await mine.send(['e']);
    expect(idsOf((await waited).body)).toEqual(next);
  });

  test('what is in hand, or ahead of a consumer that pulled within a week, stays; later it goes', async () => {
    const mine = await desk.another();
    const ids = await mine.send(['a', 'b', 'c', 'd', 'e']);
    const taken = await mine.pull('w', { limit: 3, start: 'earliest', lease_seconds: 300 });
    await mine.act('w', 'ack', { lease: taken.lease, ids: [ids[0]] });
    await mine.act('w', 'nack', { lease: taken.lease, ids: [ids[1]], delay_seconds: 300 });
    await age(db, ids, 40);
    expect(await run(db, 30)).toEqual({ contents: 1, kept: 4, foreign: 0 });
    expect(await count(db, 'tblwh', ids)).toBe(4);
    // Not of the one it is meant for, but in hand all the same.
    await quiet(db, mine.user.id, 8);
    await db.run('UPDATE restante_lease SET due_ms = ? WHERE id = ?', [Date.now() + DAY_MS, ids[2] as number]);
    expect(await run(db, 30)).toEqual({ contents: 3, kept: 1, foreign: 0 });
    expect((await mine.act('w', 'ack', { lease: taken.lease })).body.done.sort()).toEqual(ids.slice(0, 3));
    expect(await run(db, 30)).toEqual({ contents: 1, kept: 0, foreign: 0 });
  });

  test('a consumer behind a purge is told its gap, until it acked something after it', async () => {
    const mine = await desk.another();
    const other = await desk.another();
    const ids = await mine.send(['a', 'b', 'c', 'd', 'e', 'f']);
    await other.call('PUT', '/consumers/quiet', { start: 'latest' });
    await mine.call('PUT', '/consumers/ahead', { start: 'latest' });
    const leased = await mine.pull('w', { limit: 3 });
    await mine.act('w', 'ack', { lease: leased.lease, ids: [ids[0]] });
    await mine.act('w', 'nack', { lease: leased.lease, ids: [ids[1]], dead: true });
    await quiet(db, mine.user.id, 8);
    for (const upTo of [3, 4]) {
      await age(db, ids.slice(0, upTo), 40);
      await run(db, 30);
    }
    const gap = { from: ids[2], to: ids[3] };
    expect((await mine.call('GET', '/consumers/w')).body).toMatchObject({ gap, dead: 0, in_flight: 0, backlog: 2 });
    for (const name of ['ahead', 'later']) expect((await mine.pull(name)).gap).toBeUndefined();
    expect((await other.pull('quiet')).gap).toBeUndefined();
    // What it had in hand before counts for nothing; what comes after the gap does.
    expect((await mine.act('w', 'ack', { lease: leased.lease, ids: [ids[0]] })).status).toBe(200);
    const after = await mine.pull('w');
    expect([idsOf(after), after.gap]).toEqual([ids.slice(4), gap]);
    expect((await mine.pull('w', { ack: { lease: after.lease, ids: [ids[5]] } })).gap).toBeUndefined();
    expect((await mine.call('GET', '/consumers/w')).body.gap).toBeUndefined();
  });

  test('a webhook keeps to days of its own, and 0 is for ever', async () => {
    const mine = await desk.another();
    const { service, user } = mine;
    const made = (retention_days?: number) =>
      service.webhook(user, retention_days === undefined ? {} : { retention_days });
    const [week, ever, usual] = [await made(7), await made(0), await made()];
    expect([week.retention_days, ever.retention_days, usual.retention_days]).toEqual([7, 0, null]);
    const ids: number[] = [];
    for (const { wh_id } of [week, ever, usual]) ids.push(...(await mine.send(['x', 'y'], wh_id)));
    await age(db, ids, 10);
    expect((await readRules(db, 0)).map(({ days }) => days)).toEqual([7]);
    expect((await run(db, 30)).contents).toBe(2);
    expect([await count(db, 'tblwh', ids.slice(0, 2)), await count(db, 'tblwh', ids)]).toEqual([0, 4]);
    await age(db, ids, 40);
    expect((await run(db, 30)).contents).toBe(2);
    expect(await count(db, 'tblwh', ids.slice(2, 4))).toBe(2);
    const patched = await mine.call('PATCH', `/webhooks/${ever.wh_id}`, { retention_days: null });
    expect(patched.body.retention_days).toBeNull();
    expect((await run(db, 30)).contents).toBe(2);
    const bad = await mine.call('PATCH', `/webhooks/${ever.wh_id}`, { retention_days: -1 });
    expect([bad.status, bad.body.errors[0].path]).toEqual([422, 'body.retention_days']);
  });

  test('rows of other writers stay, in the place that they have, unless they are to go', async () => {
    const mine = await desk.another();
    const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
    const row = [Buffer.from('theirs'), '', 1, 'yesterday', mine.user.id, 0];
    const theirs = await db.insertIds('tblwh', columns, [row, row]);
    const ours = await mine.send(['ours']);
    // As if the table had been emptied since, and a row of theirs had an id of ours.
    const stale = await mine.send(['was ours']);
    await db.run('UPDATE tblwh SET content = ? WHERE id = ?', [
      engine === 'sqlite' ? 'not ours at all' : 'not ours',
      stale[0] as number,
    ]);
    // Emptied by them: only what we keep of it is left.
    const gone = await mine.send(['gone']);
    await db.run('DELETE FROM tblwh WHERE id = ?', [gone[0] as number]);
    const last = await mine.send(['last']);
    await placed(mine.service, Math.max(...last));
    await age(db, last, 40);
    expect(await run(db, 30)).toEqual({ contents: 2, kept: 0, foreign: 3 });
    const left = [...theirs, ...stale];
    expect([await count(db, 'tblwh', left), await count(db, 'restante_position', left)]).toEqual([3, 3]);
    expect(await count(db, 'restante_position', [...ours, ...gone, ...last])).toBe(0);
    expect(await run(db, 30, true)).toEqual({ contents: 3, kept: 0, foreign: 0 });
    expect(await count(db, 'restante_position', left)).toBe(0);
  });

  test('a pull that waited for what was deleted asks the database nothing more', async () => {
    const mine = await desk.another();
    await mine.pull('w', { start: 'earliest' });
    const [id = 0] = await mine.send(['gone at once']);
    expect((await mine.call('DELETE', `/whcontent/${id}`)).status).toBe(204);
    const parked = mine.act('w', 'pull', { wait: 5 });
    await sleep(2_500);
    const asked: string[] = [];
    const { db: inner } = mine.service.store;
    const { transaction } = inner;
    const noted: Db['transaction'] = (work, who) =>
      transaction(
        (queries) =>
          work({
            ...queries,
            all: (sql, params) => {
              asked.push(sql);
              return queries.all(sql, params);
            },
          }),
        who,
      );
    Object.assign(inner, { transaction: noted });
    await sleep(1_500);
    Object.assign(inner, { transaction });
    expect(asked.filter((sql) => sql.includes('restante_consumer'))).toEqual([]);
    const next = await mine.send(['next']);
    expect(idsOf((await parked).body)).toEqual(next);
  });

  test('one process at a time has the turn; whoever dies in it is followed', async () => {
    const turn = await takeTurn(db, 0, 60_000);
    expect(await takeTurn(db, 0, 60_000)).toBeUndefined();
    const again = await takeTurn(db, turn as number, 3_000);
    expect(again).toBeGreaterThan(0);
    const mine = await desk.another();
    await age(db, await mine.send(['a']), 40);
    await expect(run(db, 30)).rejects.toThrow(NotOurTurn);
    await sleep(3_100);
    const [first, second] = await Promise.all([takeTurn(db, 0, 60_000), takeTurn(db, 0, 60_000)]);
    expect([first, second].filter((one) => one !== undefined)).toHaveLength(1);
    await endTurn(db, (first ?? second) as number);
    expect((await run(db, 30)).contents).toBe(1);
  });

  test('a service removes by itself what is old, also what was kept before, and stops at once', async () => {
    const mine = await desk.another();
    const ids = await mine.send(['a', 'b', 'c']);
    await mine.pull('w', { limit: 1, start: 'earliest', lease_seconds: 300 });
    await age(db, ids, 40);
    const lines: object[] = [];
    const log = { info: (data: object) => void lines.push(data), warn: (data: object) => void lines.push(data) };
    const pruner = startPruner({ db, days: 30, foreign: false, log, firstMs: 1, everyMs: 100 });
    await sleep(400);
    expect(await count(db, 'tblwh', ids)).toBe(3);
    await quiet(db, mine.user.id, 8);
    for (const until = Date.now() + 5_000; (await count(db, 'tblwh', ids)) !== 0 && Date.now() < until; )
      await sleep(50);
    expect(await count(db, 'tblwh', ids)).toBe(0);
    const began = performance.now();
    await pruner.stop();
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(lines).toEqual([{ contents: 3, kept: 0, foreign: 0, seconds: expect.any(Number) }]);
  });

  test('beside ingest, lists, consumers and deletes nothing unread is lost, nothing acked wrongly, nothing fails', {
    timeout: 120_000,
  }, async () => {
    const mine = await desk.another();
    const { service, user } = mine;
    const webhook = await service.webhook(user);
    const url = service.url + pathOf(webhook);
    // For six seconds, and on a busy machine until enough has happened.
    const atLeast = Date.now() + 6_000;
    const goesOn = () => Date.now() < atLeast || rows.length < 250 || deleted.size < 12;
    const rows: number[] = [];
    // Workers that still read: the last ones to end.
    let reading = 3;
    const bad: string[] = [];
    const sent = new Set<number>();
    const deleted = new Set<number>();
    const listed = new Set<number>();
    const handed = new Map<number, number>();
    const acked = new Set<number>();
    const check = (status: number, what: string) => status >= 500 && bad.push(`${what}: ${status}`);
    const sender = async (lane: number) => {
      for (let n = 0; goesOn(); n++) {
        const { status } = await fetch(url, { method: 'POST', body: `${lane} ${n}` });
        check(status, 'receive');
        await sleep(2);
      }
    };
    // Everything is old as soon as it is seen: only what somebody is still to get keeps it.
    const pruner = async () => {
      while (reading > 0) {
        await db.run('UPDATE restante_position SET seen_ms = 1 WHERE user_id = ?', [user.id]).catch(() => {});
        await run(db, 30);
        await sleep(20);
      }
    };
    const lister = async () => {
      for (let from = 0; reading > 0; ) {
        const { status, body } = await mine.call('GET', `/whcontent?whid=${webhook.wh_id}&id=${from}&wait=1&limit=50`);
        check(status, 'list');
        if (status !== 200) continue;
        if (body.next_id < from) bad.push(`next_id ${body.next_id} after ${from}`);
        for (const id of idsOf(body)) {
          if (listed.has(id)) bad.push(`${id} listed twice`);
          listed.add(id);
        }
        from = body.next_id;
      }
    };
    const worker = async (name: string) => {
      let quietFor = 0;
      while (goesOn() || quietFor < 3) {
        const { status, body } = await mine.act(name, 'pull', { limit: 20, wait: 1, start: 'earliest' });
        check(status, 'pull');
        if (status !== 200) continue;
        quietFor = body.items.length > 0 ? 0 : quietFor + 1;
        if (body.gap) bad.push(`a gap: ${JSON.stringify(body.gap)}`);
        for (const { id } of body.items) {
          sent.add(id);
          if (name === 'all') handed.set(id, (handed.get(id) ?? 0) + 1);
        }
        if (body.items.length === 0) continue;
        const answer = await mine.act(name, 'ack', { lease: body.lease });
        check(answer.status, 'ack');
        if (answer.status !== 200) bad.push(`ack: ${JSON.stringify(answer.body)}`);
        else if (name === 'all') for (const { id } of body.items) acked.add(id);
      }
      reading--;
    };
    const deleter = async () => {
      while (goesOn()) {
        const some = [...sent].at(-1);
        if (some !== undefined && !deleted.has(some)) {
          const { status } = await mine.call('DELETE', `/whcontent/${some}`);
          check(status, 'delete');
          if (status === 204) deleted.add(some);
        }
        await sleep(25);
      }
    };
    const noter = async () => {
      // What was stored, before anything of it can go: told by the database itself.
      service.parts.tail.onPosition(user.id, ({ id }) => rows.push(id));
      await sleep(0);
    };
    await noter();
    await mine.pull('all', { start: 'earliest' });
    await mine.pull('slow', { start: 'earliest' });
    await Promise.all([
      ...[0, 1, 2, 3].map(sender),
      pruner(),
      lister(),
      worker('all'),
      worker('all'),
      worker('slow'),
      deleter(),
    ]);
    expect(bad).toEqual([]);
    expect(rows.length).toBeGreaterThan(200);
    const missing = rows.filter((id) => !handed.has(id) && !deleted.has(id));
    expect([missing, rows.filter((id) => !acked.has(id) && !deleted.has(id))]).toEqual([[], []]);
    expect([...handed.values()].filter((times) => times > 1)).toEqual([]);
    expect(deleted.size).toBeGreaterThan(10);
    // All of it was read by both: the last pass leaves nothing.
    await db.run('UPDATE restante_position SET seen_ms = 1 WHERE user_id = ?', [user.id]);
    await run(db, 30);
    for (const table of ['tblwh', 'restante_request', 'restante_position'])
      expect([table, await count(db, table, rows)]).toEqual([table, 0]);
    expect(await count(db, 'restante_lease', rows)).toBe(0);
  });
});

test('the positions of what was removed are given to nobody else, also after a restart', async () => {
  const database = await migratedDatabase('sqlite');
  try {
    const first = await openDesk(database.url);
    const { user } = first;
    const ids = await first.send(['a', 'b']);
    await first.pull('w', { start: 'earliest' });
    await first.act('w', 'seek', { to: 'latest' });
    for (const id of ids) expect((await first.call('DELETE', `/whcontent/${id}`)).status).toBe(204);
    await first.service.close();
    const second = deskOf(await startService(database.url), user);
    const next = await second.send(['c']);
    expect(next[0]).toBeGreaterThan(Math.max(...ids));
    expect(idsOf(await second.pull('w'))).toEqual(next);
    await second.service.close();
  } finally {
    await database.drop();
  }
});
