// Consumers keep their contract: who gets what, whose ack counts, what is told, on every engine.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, migratedDatabase, onEveryEngine } from '../support/engines.ts';
import { ask, requestOf } from '../support/raw.ts';
import { type Answer, type Desk, openDesk, placed } from './calls.ts';

const idsOf = (pulled: { items: { id: number }[] }) => pulled.items.map(({ id }) => id);
const attemptsOf = (pulled: { items: { attempt: number }[] }) => pulled.items.map(({ attempt }) => attempt);
const reasons = ({ body }: Answer) => body.conflicts.map(({ reason }: { reason: string }) => reason);
/** Longer than the shortest lease. */
const expiry = () => sleep(1_050);
const letters = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);

onEveryEngine('consumers', (engine) => {
  let database: Database;
  let first: Desk;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    first = await openDesk(database.url, { MAX_PAGE_BYTES: '100000' });
  });
  afterAll(async () => {
    await first?.service.close();
    await database?.drop();
  });
  const db = () => first.service.store.db;
  // A user each: so they run at once, and most of them only wait for a lease to end.
  const one = (name: string, work: (desk: Desk) => Promise<void>) =>
    test.concurrent(`${name}`, async () => work(await first.another()));

  one('are made with defaults, changed, read, listed and deleted', async (desk) => {
    const made = await desk.call('PUT', '/consumers/billing', {});
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      name: 'billing',
      whid: null,
      lease_seconds: 30,
      max_attempts: 10,
      ordered: false,
      duplicates: 'deliver',
      pulled_at: null,
      last_id: 0,
      backlog: 0,
      backlog_more: false,
      oldest_age_s: null,
      in_flight: 0,
      dead: 0,
    });
    const changed = await desk.call('PUT', '/consumers/billing', { ordered: true, lease_seconds: 60, whid: [0, 0] });
    expect([changed.status, changed.body.ordered, changed.body.lease_seconds, changed.body.whid]).toEqual([
      200,
      true,
      60,
      [0],
    ]);
    expect((await desk.call('PUT', '/consumers/billing', {})).body).toMatchObject({ ordered: false, whid: null });
    await desk.call('PUT', '/consumers/Billing', {});
    const { consumers } = (await desk.call('GET', '/consumers')).body;
    expect(consumers.map(({ name }: { name: string }) => name)).toEqual(['Billing', 'billing']);
    expect((await desk.call('DELETE', '/consumers/billing')).status).toBe(204);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/ack'],
      ['GET', '/dead'],
      ['POST', '/dead/retry'],
    ] as const) {
      const body = path === '/ack' ? { lease: 'AQGc2uXVuvQqAgE2AQI' } : method === 'POST' ? {} : undefined;
      expect([path, (await desk.call(method, `/consumers/billing${path}`, body)).status]).toEqual([path, 404]);
    }
    expect((await desk.call('GET', '/consumers/Billing')).status).toBe(200);
  });

  one('refuse what they do not know, and say where', async (desk) => {
    const webhook = await desk.service.webhook(desk.user);
    const foreign = await desk.another();
    const theirs = await foreign.service.webhook(foreign.user);
    const bad: [string, string, unknown][] = [
      ['PUT', '/consumers/a%20b', {}],
      ['PUT', `/consumers/${'x'.repeat(65)}`, {}],
      ['PUT', '/consumers/a~b', {}],
      ['PUT', '/consumers/a', { whid: [theirs.wh_id] }],
      ['PUT', '/consumers/a', { whid: [] }],
      ['PUT', '/consumers/a', { lease_seconds: 0 }],
      ['PUT', '/consumers/a', { lease_seconds: 43_201 }],
      ['PUT', '/consumers/a', { max_attempts: 0 }],
      ['PUT', '/consumers/a', { duplicates: 'drop' }],
      ['PUT', '/consumers/a', { nothing: 1 }],
      ['PUT', '/consumers/a', { start: 'now' }],
      ['PUT', '/consumers/a', { start: {} }],
      ['PUT', '/consumers/a', { start: { id: 1, time: '2026-11-22T10:00:00Z' } }],
      ['PUT', '/consumers/a', { start: { time: 'yesterday' } }],
      ['POST', '/consumers/a/pull', { limit: 0 }],
      ['POST', '/consumers/a/pull', { until: 3 }],
      ['POST', '/consumers/a/pull', { ack: 'nonsense' }],
      ['POST', '/consumers/a/pull', { ack: { ids: [1] } }],
      ['POST', '/consumers/a/pull?limit=3', {}],
      ['POST', '/consumers/a/ack', {}],
      ['POST', '/consumers/a/seek', {}],
      ['POST', '/consumers/a/seek', { to: 'earliest', id: 3 }],
      ['POST', '/consumers/a/seek', 'middle'],
      ['POST', '/consumers/a/redeliver', { ids: [] }],
      ['GET', '/consumers/a/dead?whid=3', undefined],
    ];
    for (const [method, path, body] of bad) {
      const answer = await desk.call(method, path, body);
      expect([path, body, answer.status, answer.body.errors?.length > 0]).toEqual([path, body, 422, true]);
    }
    expect((await desk.call('GET', '/consumers')).body).toEqual({ consumers: [] });
    const good = await desk.call('PUT', '/consumers/a', { whid: [webhook.wh_id, 0] });
    expect([good.status, good.body.whid]).toEqual([201, [0, webhook.wh_id]]);
  });

  one('are not named . or .., which no client can write in a path', async (desk) => {
    const { service, user } = desk;
    for (const path of ['/consumers/.', '/consumers/..', '/consumers/%2e', '/consumers/%2E%2e', '/consumers/../pull']) {
      const method = path.endsWith('pull') ? 'POST' : 'PUT';
      const answer = await ask(service.port, requestOf(method, path, [`Authorization: ${user.auth}`], '{}'));
      const problem = JSON.parse(answer.body.toString());
      expect([path, answer.status, problem.errors]).toEqual([
        path,
        422,
        [{ path: 'params.name', message: expect.stringMatching(/not \. or \.\./) }],
      ]);
    }
    expect((await desk.call('GET', '/consumers')).body).toEqual({ consumers: [] });
    for (const name of ['...', '.a', 'a.', '-'])
      expect((await desk.call('PUT', `/consumers/${name}`, {})).status).toBe(201);
  });

  one('are at most a hundred for each user, however fast they are made', async (desk) => {
    const made = await Promise.all(Array.from({ length: 110 }, (_, i) => desk.call('PUT', `/consumers/c${i}`, {})));
    expect(made.filter(({ status }) => status === 201)).toHaveLength(100);
    expect(made.find(({ status }) => status !== 201)?.body.type).toBe('urn:restante:problem:too-many-consumers');
    expect((await desk.call('GET', '/consumers')).body.consumers).toHaveLength(100);
    expect((await desk.call('PUT', '/consumers/c200', {})).status).toBe(409);
    expect(
      (await desk.call('PUT', '/consumers/c0', { ordered: true })).status +
        made.filter(({ status }) => status === 409).length,
    ).toBe(210);
  });

  one('hand out each content once, in order of arrival, until all is acked', async (desk) => {
    const ids = await desk.send(letters(7));
    const a = await desk.pull('w', { limit: 3 });
    expect(a).toMatchObject({
      conflicts: [],
      backlog: 4,
      backlog_more: false,
      in_flight: 3,
      dead: 0,
      poll_after_ms: 0,
    });
    expect(a.oldest_age_s).toBeLessThan(30);
    expect(a.items[0]).toMatchObject({ content: 'n0', wh_id: 0, encoding: 'utf-8', attempt: 1 });
    expect(Object.keys(a.items[0]).slice(0, 6)).toEqual(['id', 'content', 'ip', 'api', 'dt', 'wh_id']);
    const left = Date.parse(a.items[0].lease_until) - Date.now();
    expect(left > 25_000 && left < 35_000).toBe(true);
    const b = await desk.pull('w', { limit: 3, ack: a.lease });
    const c = await desk.pull('w', { limit: 3, ack: { lease: b.lease } });
    expect([...idsOf(a), ...idsOf(b), ...idsOf(c)]).toEqual(ids);
    const end = await desk.pull('w', { ack: c.lease });
    expect(end).toMatchObject({ lease: null, items: [], backlog: 0, oldest_age_s: null, in_flight: 0 });
    expect(end.poll_after_ms).toBeGreaterThan(0);
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ last_id: ids[6], backlog: 0 });
  });

  one('clamp limit and wait, and count a backlog exactly up to a thousand', async (desk) => {
    const ids = await desk.send(letters(1_501));
    const unsure = await desk.act('w', 'pull', {});
    expect([unsure.status, unsure.body.type]).toEqual([409, 'urn:restante:problem:start-needed']);
    expect(unsure.body.count).toBe(1_501);
    expect(unsure.body.oldest_age_s >= 0 && unsure.body.oldest_age_s < 60).toBe(true);
    expect((await desk.call('PUT', '/consumers/w', {})).status).toBe(409);
    expect((await desk.call('GET', '/consumers')).body.consumers).toEqual([]);
    const a = await desk.pull('w', { limit: 9_999, wait: 9_999, start: 'earliest' });
    expect([a.items.length, a.backlog, a.backlog_more]).toEqual([500, 1_000, true]);
    const b = await desk.pull('w', { limit: 1, start: 'latest' });
    expect([b.items.length, b.backlog, b.backlog_more]).toEqual([1, 1_000, false]);
    expect(new Set([...idsOf(a), ...idsOf(b), ...ids]).size).toBe(1_501);
    expect(idsOf(a)).not.toContain(idsOf(b)[0]);
    const { body } = await desk.call('GET', '/consumers/w');
    expect([body.backlog, body.backlog_more, body.in_flight]).toEqual([1_000, false, 501]);
  });

  one('begin where they are told, once', async (desk) => {
    const old = await desk.send(['a', 'b', 'c']);
    await sleep(30);
    const [{ now }] = (await db().all<{ now: number }>(`SELECT ${db().dialect.nowMs} AS now`)) as [{ now: number }];
    await sleep(30);
    const young = await desk.send(['d', 'e']);
    const all = [...old, ...young];
    const begun = async (name: string, start: unknown) => {
      await desk.call('PUT', `/consumers/${name}`, { start });
      return idsOf(await desk.pull(name, { start: 'earliest' }));
    };
    expect(await begun('none', undefined)).toEqual(all);
    expect(await begun('earliest', 'earliest')).toEqual(all);
    expect(await begun('latest', 'latest')).toEqual([]);
    expect(await begun('id', { id: old[1] })).toEqual(all.slice(1));
    expect(await begun('beyond', { id: 4_000_000_000 })).toEqual([]);
    expect(await begun('zero', { id: 0 })).toEqual(all);
    expect(await begun('time', { time: new Date(now).toISOString() })).toEqual(young);
    expect(await begun('past', { time: '2001-01-01T00:00:00+02:00' })).toEqual(all);
    expect(await begun('future', { time: '2901-01-01T00:00:00Z' })).toEqual([]);
    const more = await desk.send(['f']);
    for (const name of ['latest', 'beyond', 'future']) expect(idsOf(await desk.pull(name))).toEqual(more);
  });

  one('tell numbers that are carried on from call to call, and are what a count finds', async (desk) => {
    await desk.call('PUT', '/consumers/w', { max_attempts: 2 });
    const held: { lease: string; ids: number[] }[] = [];
    for (let step = 0; step < 60; step++) {
      const dice = (step * 7) % 20;
      if (dice < 6) await desk.send(letters(1 + (step % 9)));
      const last = held[held.length - 1 - (step % 2)];
      if (dice === 7 && last) await desk.act('w', 'ack', { lease: last.lease, ids: last.ids.slice(0, 2) });
      if (dice === 8 && last) await desk.act('w', 'nack', { lease: last.lease, ids: last.ids.slice(2, 3) });
      if (dice === 9 && last) await desk.act('w', 'extend', { lease: last.lease });
      const ack = dice > 12 && held.length > 0 ? held.shift()?.lease : undefined;
      const { lease, items, backlog, backlog_more, oldest_age_s, in_flight, dead } = await desk.pull('w', {
        limit: 1 + (step % 4),
        ...(ack ? { ack } : {}),
      });
      if (lease) held.push({ lease, ids: items.map(({ id }: { id: number }) => id) });
      const { body } = await desk.call('GET', '/consumers/w');
      const told = { backlog, backlog_more, in_flight, dead };
      expect([step, told]).toEqual([
        step,
        { backlog: body.backlog, backlog_more: body.backlog_more, in_flight: body.in_flight, dead: body.dead },
      ]);
      expect(oldest_age_s === null).toBe(backlog === 0);
    }
    expect(held.length).toBeGreaterThan(3);
  });

  one('read only their webhooks, also a rare one among many', async (desk) => {
    const busy = await desk.service.webhook(desk.user);
    const rare = await desk.service.webhook(desk.user);
    await desk.send(letters(300), busy.wh_id);
    const [found] = await desk.send(['rare'], rare.wh_id);
    await desk.send(letters(1_200), busy.wh_id);
    await desk.call('PUT', '/consumers/rare', { whid: [rare.wh_id] });
    await desk.call('PUT', '/consumers/own', { whid: [0], start: 'earliest' });
    const a = await desk.pull('rare');
    expect([idsOf(a), a.backlog]).toEqual([[found], 0]);
    expect((await desk.pull('own')).items).toEqual([]);
    // Where it has looked is kept: the next one need not look there again.
    await desk.pull('rare', { ack: a.lease });
    const [row] = await db().all<{ cursor_pos: number; head: number }>(
      'SELECT cursor_pos, (SELECT MAX(pos) FROM restante_position WHERE user_id = ?) AS head FROM restante_consumer WHERE user_id = ? AND name = ?',
      [desk.user.id, desk.user.id, 'rare'],
    );
    expect(row?.cursor_pos).toBeGreaterThanOrEqual(row?.head ?? Number.NaN);
    const [later] = await desk.send(['later'], rare.wh_id);
    expect(idsOf(await desk.pull('rare'))).toEqual([later]);
    const both = await desk.call('PUT', '/consumers/both', { whid: [rare.wh_id, 0] });
    expect(both.body.backlog).toBe(2);
  });

  one('take an ack of all, of some, and of what was acked before', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c', 'd']);
    const { lease } = await desk.pull('w');
    const some = await desk.act('w', 'ack', { lease, ids: [ids[1], ids[3], ids[1]] });
    expect([some.status, some.body]).toEqual([200, { done: [ids[1], ids[3]], conflicts: [] }]);
    expect((await desk.call('GET', '/consumers/w')).body.in_flight).toBe(2);
    expect((await desk.act('w', 'ack', { lease, ids: [ids[1]] })).status).toBe(200);
    const all = await desk.act('w', 'ack', { lease });
    expect([all.status, all.body.done]).toEqual([200, ids]);
    expect((await desk.act('w', 'ack', { lease })).status).toBe(200);
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ in_flight: 0, backlog: 0 });
    // Ids of another lease that were acked, whoever did it.
    const more = await desk.send(['e']);
    const next = await desk.pull('w');
    expect((await desk.act('w', 'ack', { lease: next.lease, ids: [ids[0], more[0]] })).status).toBe(200);
  });

  one('tell which ids were never handed out, and do the rest', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c']);
    const stranger = await (await desk.another()).send(['x']);
    const { lease } = await desk.pull('w', { limit: 2 });
    const answer = await desk.act('w', 'ack', { lease, ids: [ids[0], ids[2], stranger[0], 4_000_000_000] });
    expect([answer.status, answer.body.type]).toEqual([409, 'urn:restante:problem:conflict']);
    expect(answer.body.done).toEqual([ids[0]]);
    expect(answer.body.conflicts).toEqual([
      { id: ids[2], reason: 'not-handed-out' },
      { id: stranger[0], reason: 'not-handed-out' },
      { id: 4_000_000_000, reason: 'not-handed-out' },
    ]);
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ in_flight: 1, backlog: 1 });
  });

  one('hand out again what was not acked in time; the one who overslept cannot ack it', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c']);
    const slow = await desk.pull('w', { lease_seconds: 1 });
    expect((await desk.act('w', 'ack', { lease: slow.lease, ids: [ids[2]] })).status).toBe(200);
    await expiry();
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ backlog: 2, in_flight: 0 });
    const quick = await desk.pull('w', { limit: 1 });
    expect([idsOf(quick), attemptsOf(quick)]).toEqual([[ids[0]], [2]]);
    const late = await desk.act('w', 'ack', { lease: slow.lease });
    expect([late.status, late.body.done]).toEqual([409, [ids[1], ids[2]]]);
    expect(late.body.conflicts).toEqual([{ id: ids[0], reason: 'leased-anew' }]);
    for (const verb of ['nack', 'extend', 'ack'])
      expect(reasons(await desk.act('w', verb, { lease: slow.lease, ids: [ids[0]] }))).toEqual(['leased-anew']);
    // Beside the items of a pull the same is no problem.
    const pulled = await desk.act('w', 'pull', { ack: { lease: slow.lease, ids: [ids[0]] } });
    expect([pulled.status, reasons(pulled), idsOf(pulled.body)]).toEqual([200, ['leased-anew'], []]);
    expect((await desk.act('w', 'ack', { lease: quick.lease })).status).toBe(200);
    expect((await desk.act('w', 'ack', { lease: slow.lease })).status).toBe(200);
  });

  one('extend a lease, also one that is over while nobody took it', async (desk) => {
    const ids = await desk.send(['a', 'b']);
    const { lease } = await desk.pull('w', { lease_seconds: 1 });
    await expiry();
    const extended = await desk.act('w', 'extend', { lease, ids: [ids[0]], lease_seconds: 60 });
    expect([extended.status, extended.body.done]).toEqual([200, [ids[0]]]);
    const left = Date.parse(extended.body.lease_until) - Date.now();
    expect(left > 50_000 && left < 65_000).toBe(true);
    expect(idsOf(await desk.pull('w'))).toEqual([ids[1]]);
    expect((await desk.act('w', 'ack', { lease, ids: [ids[0]] })).status).toBe(200);
  });

  one('take back what is nacked: at once, or after a delay', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c']);
    const a = await desk.pull('w');
    expect((await desk.act('w', 'nack', { lease: a.lease, ids: [ids[1]], reason: 'busy' })).status).toBe(200);
    const b = await desk.pull('w');
    expect([idsOf(b), attemptsOf(b)]).toEqual([[ids[1]], [2]]);
    expect((await desk.act('w', 'nack', { lease: b.lease, delay_seconds: 3 })).status).toBe(200);
    expect((await desk.act('w', 'nack', { lease: b.lease })).status).toBe(200);
    expect(reasons(await desk.act('w', 'extend', { lease: b.lease }))).toEqual(['waiting']);
    expect(await desk.pull('w')).toMatchObject({ items: [], backlog: 1, in_flight: 2 });
    const c = await desk.pull('w', { wait: 20 });
    expect([idsOf(c), attemptsOf(c)]).toEqual([[ids[1]], [3]]);
    // Given back and not handed out yet: whoever had it may still ack it.
    await desk.act('w', 'nack', { lease: c.lease });
    expect((await desk.act('w', 'ack', { lease: c.lease })).status).toBe(200);
    expect((await desk.pull('w')).items).toEqual([]);
    expect(reasons(await desk.act('w', 'nack', { lease: c.lease }))).toEqual([]);
  });

  one('bury a content that was handed out max_attempts times, and nothing beside it', async (desk) => {
    const ids = await desk.send(['a', 'poison', 'c']);
    await desk.call('PUT', '/consumers/w', { max_attempts: 3, lease_seconds: 1 });
    const seen: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { lease, items } = await desk.pull('w');
      seen.push(...items.map(({ id }: { id: number }) => id));
      const good = items.filter(({ content }: { content: string }) => content !== 'poison');
      if (good.length > 0) await desk.act('w', 'ack', { lease, ids: good.map(({ id }: { id: number }) => id) });
      // The last hand-outs end by the clock, the others are given back.
      if (round < 2) await desk.act('w', 'nack', { lease, ids: [ids[1]], reason: 'cannot parse' });
      else await expiry();
    }
    expect(seen.filter((id) => id === ids[1])).toHaveLength(3);
    expect(seen).toHaveLength(5);
    const { body } = await desk.call('GET', '/consumers/w/dead');
    expect(body).toMatchObject({
      dead: [{ id: ids[1], wh_id: 0, attempts: 3, reason: 'cannot parse' }],
      next_id: (ids[1] ?? 0) + 1,
    });
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ dead: 1, backlog: 0, in_flight: 0 });
    const again = await desk.act('w', 'dead/retry', { ids: [ids[1], ids[0]] });
    expect([again.status, again.body.done, reasons(again)]).toEqual([409, [ids[1]], ['not-dead']]);
    const retried = await desk.pull('w');
    expect([idsOf(retried), attemptsOf(retried), retried.dead]).toEqual([[ids[1]], [1], 0]);
  });

  one('bury at the last nack, or when they are told to; dead letters are paged and retried', async (desk) => {
    const ids = await desk.send(letters(6));
    await desk.call('PUT', '/consumers/w', { max_attempts: 1 });
    const { lease } = await desk.pull('w');
    await desk.act('w', 'nack', { lease, ids: ids.slice(0, 2) });
    const told = await desk.act('w', 'nack', { lease, ids: ids.slice(2, 5), dead: true, reason: 'ünïcode ✓ 💥' });
    expect(told.status).toBe(200);
    expect(reasons(await desk.act('w', 'ack', { lease }))).toEqual(Array(5).fill('dead'));
    const page = (await desk.call('GET', '/consumers/w/dead?limit=3')).body;
    const rest = (await desk.call('GET', `/consumers/w/dead?id=${page.next_id}&limit=3`)).body;
    const dead = [...page.dead, ...rest.dead];
    expect(dead.map(({ id }: { id: number }) => id)).toEqual(ids.slice(0, 5));
    expect(dead.map(({ reason }: { reason: string }) => reason)).toEqual([
      'No worker acked it in all its attempts.',
      'No worker acked it in all its attempts.',
      ...Array(3).fill('ünïcode ✓ 💥'),
    ]);
    expect((await desk.call('GET', `/consumers/w/dead?id=${rest.next_id}`)).body).toEqual({
      dead: [],
      next_id: rest.next_id,
    });
    const all = await desk.act('w', 'dead/retry', {});
    expect(all.body).toEqual({ done: ids.slice(0, 5), conflicts: [], more: false });
    expect(idsOf(await desk.pull('w'))).toEqual(ids.slice(0, 5));
    expect((await desk.act('w', 'dead/retry')).body).toEqual({ done: [], conflicts: [], more: false });
  });

  one('keep the order: one lease at a time, and nothing before what came earlier', async (desk) => {
    const ids = await desk.send(letters(6));
    await desk.call('PUT', '/consumers/w', { ordered: true, max_attempts: 2 });
    const a = await desk.pull('w', { limit: 4 });
    expect(idsOf(a)).toEqual(ids.slice(0, 4));
    expect(await desk.pull('w')).toMatchObject({ items: [], backlog: 2, in_flight: 4 });
    // It failed at the second: the third and fourth come back too, and that is no attempt of theirs.
    await desk.act('w', 'ack', { lease: a.lease, ids: [ids[0]] });
    await desk.act('w', 'nack', { lease: a.lease, ids: [ids[1]], delay_seconds: 3 });
    expect((await desk.pull('w')).items).toEqual([]);
    const b = await desk.pull('w', { wait: 20, lease_seconds: 1 });
    expect([idsOf(b), attemptsOf(b)]).toEqual([ids.slice(1), [2, 1, 1, 1, 1]]);
    await expiry();
    // The second had its two attempts. Those behind it were not charged for it.
    const c = await desk.pull('w', { limit: 2 });
    expect([idsOf(c), attemptsOf(c)]).toEqual([ids.slice(2, 4), [1, 1]]);
    expect((await desk.call('GET', '/consumers/w/dead')).body.dead).toMatchObject([{ id: ids[1], attempts: 2 }]);
    const d = await desk.pull('w', { ack: c.lease });
    expect(idsOf(d)).toEqual(ids.slice(4));
    // What is given up stops nobody: the worker goes on with the rest.
    await desk.act('w', 'nack', { lease: d.lease, ids: [ids[4]], dead: true });
    expect((await desk.act('w', 'ack', { lease: d.lease, ids: [ids[5]] })).status).toBe(200);
    await desk.act('w', 'redeliver', { ids: [ids[0], ids[4]] });
    expect(idsOf(await desk.pull('w'))).toEqual([ids[0], ids[4]]);
  });

  one('move to an id, a moment, the beginning or the end, and drop what was out', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c', 'd']);
    await desk.call('PUT', '/consumers/w', { max_attempts: 1 });
    const { lease } = await desk.pull('w', { limit: 3 });
    await desk.act('w', 'nack', { lease, ids: ids.slice(0, 2), dead: true });
    const moved = await desk.act('w', 'seek', { id: ids[1] });
    expect(moved.body).toMatchObject({ last_id: ids[0], backlog: 3, in_flight: 0, dead: 1 });
    expect(reasons(await desk.act('w', 'ack', { lease }))).toEqual(['dead', 'not-handed-out', 'not-handed-out']);
    expect(idsOf(await desk.pull('w'))).toEqual(ids.slice(1));
    expect((await desk.act('w', 'seek', 'latest')).body).toMatchObject({ backlog: 0, in_flight: 0, dead: 1 });
    expect((await desk.pull('w')).items).toEqual([]);
    expect((await desk.act('w', 'ack', { lease, ids: [ids[2]] })).status).toBe(200);
    expect((await desk.act('w', 'seek', { to: 'earliest' })).body).toMatchObject({ backlog: 4, dead: 0 });
    const all = await desk.pull('w');
    expect([idsOf(all), attemptsOf(all)]).toEqual([ids, [1, 1, 1, 1]]);
    expect((await desk.act('w', 'seek', { time: '2001-01-01T00:00:00Z' })).body.backlog).toBe(4);
    expect((await desk.act('w', 'seek', { time: '2901-01-01T00:00:00Z' })).body.backlog).toBe(0);
    expect((await desk.act('nobody', 'seek', 'latest')).status).toBe(404);
  });

  one('hand contents out again on demand', async (desk) => {
    const ids = await desk.send(letters(5));
    await desk.call('PUT', '/consumers/w', { max_attempts: 1 });
    const { lease } = await desk.pull('w', { limit: 4 });
    await desk.act('w', 'ack', { lease, ids: ids.slice(0, 2) });
    await desk.act('w', 'nack', { lease, ids: [ids[2]], dead: true });
    const stranger = await (await desk.another()).send(['x']);
    const answer = await desk.act('w', 'redeliver', { ids: [ids[0], ids[2], ids[3], ids[4], stranger[0]] });
    expect([answer.status, answer.body.done]).toEqual([409, [ids[0], ids[2], ids[4]]]);
    expect(answer.body.conflicts).toEqual([
      { id: ids[3], reason: 'in-hand' },
      { id: stranger[0], reason: 'not-found' },
    ]);
    const again = await desk.pull('w');
    expect([idsOf(again), attemptsOf(again), again.dead]).toEqual([[ids[0], ids[2], ids[4]], [1, 1, 1], 0]);
    // The lease of before acks only what it still has.
    expect(reasons(await desk.act('w', 'ack', { lease }))).toEqual(['leased-anew', 'leased-anew']);
    const webhook = await desk.service.webhook(desk.user);
    const [other] = await desk.send(['y'], webhook.wh_id);
    await desk.call('PUT', '/consumers/own', { whid: [0] });
    expect(reasons(await desk.act('own', 'redeliver', { ids: [other] }))).toEqual(['not-found']);
  });

  one('close what others have deleted', async (desk) => {
    const ids = await desk.send(['a', 'b', 'c', 'd']);
    const { lease } = await desk.pull('w', { limit: 1 });
    for (const id of [ids[0], ids[1], ids[3]]) await db().run('DELETE FROM tblwh WHERE id = ?', [id as number]);
    const rest = await desk.pull('w', { limit: 2 });
    expect([idsOf(rest), rest.in_flight]).toEqual([[ids[2]], 2]);
    expect((await desk.pull('w', { wait: 1 })).items).toEqual([]);
    expect((await desk.act('w', 'ack', { lease })).status).toBe(200);
    expect((await desk.act('w', 'ack', { lease: rest.lease })).status).toBe(200);
    expect((await desk.call('GET', '/consumers/w')).body).toMatchObject({ in_flight: 0, backlog: 0 });
  });

  one('end a pull at MAX_PAGE_BYTES, but not before its first content, and lose no attempt', async (desk) => {
    const big = (letter: string) => letter.repeat(60_000);
    const ids = await desk.send([big('a'), big('b'), 'c', 'z'.repeat(300_000), 'e']);
    const a = await desk.pull('w');
    expect([idsOf(a), a.backlog, a.in_flight, a.poll_after_ms]).toEqual([[ids[0]], 4, 1, 0]);
    const b = await desk.pull('w', { ack: a.lease });
    expect([...idsOf(b).slice(0, 1), attemptsOf(b)[0]]).toEqual([ids[1], 1]);
    const seen = [...idsOf(a), ...idsOf(b)];
    for (let last = b; seen.length < 5; ) {
      last = await desk.pull('w', { ack: last.lease });
      expect(attemptsOf(last).every((attempt) => attempt === 1)).toBe(true);
      expect(last.items.length).toBeGreaterThan(0);
      seen.push(...idsOf(last));
    }
    expect(seen).toEqual(ids);
    await desk.call('PUT', '/consumers/o', { ordered: true });
    for (const id of [ids[0], ids[1]]) {
      const one = await desk.pull('o');
      expect(idsOf(one)[0]).toBe(id);
      await desk.act('o', 'ack', { lease: one.lease });
    }
  });

  one('are told apart by their users, and leases by their consumers', async (desk) => {
    const other = await desk.another();
    const mine = await desk.send(['mine']);
    const theirs = await other.send(['theirs']);
    const a = await desk.pull('w');
    const b = await other.pull('w');
    expect([idsOf(a), idsOf(b)]).toEqual([mine, theirs]);
    await desk.call('PUT', '/consumers/second', {});
    for (const verb of ['ack', 'nack', 'extend']) {
      const cross = await other.act('w', verb, { lease: a.lease });
      expect([cross.status, cross.body.done, reasons(cross)]).toEqual([409, [], ['other-consumer']]);
      expect(reasons(await desk.act('second', verb, { lease: a.lease }))).toEqual(['other-consumer']);
    }
    expect((await desk.call('GET', '/consumers/w')).body.in_flight).toBe(1);
    await desk.call('DELETE', '/consumers/w');
    expect((await other.act('w', 'ack', { lease: b.lease })).status).toBe(200);
    // One that is made again under the same name is another one.
    expect(reasons(await desk.act('w', 'pull', { ack: a.lease }))).toEqual(['other-consumer']);
  });

  one('trace the life of a content', async (desk) => {
    const webhook = await desk.service.webhook(desk.user);
    const [before] = await desk.send(['old']);
    await desk.call('PUT', '/consumers/late', { start: 'latest' });
    const ids = await desk.send(['a', 'b', 'c', 'd']);
    await desk.call('PUT', '/consumers/other', { whid: [webhook.wh_id] });
    await desk.call('PUT', '/consumers/lazy', {});
    const { lease } = await desk.pull('late', { limit: 3 });
    await desk.act('late', 'ack', { lease, ids: [ids[0]] });
    await desk.act('late', 'nack', { lease, ids: [ids[1]], dead: true, reason: 'no' });
    const trace = async (id: number | undefined) => (await desk.call('GET', `/whcontent/${id}/trace`)).body;
    expect(await trace(before)).toMatchObject({
      id: before,
      wh_id: 0,
      received_at: expect.stringMatching(/Z$/),
      seen_at: expect.stringMatching(/Z$/),
      verified: 'none',
      event_id: null,
      duplicate_of: null,
      duplicates: [],
      consumers: [
        { name: 'late', state: 'behind' },
        { name: 'lazy', state: 'waiting' },
      ],
    });
    const late = async (id: number | undefined) => (await trace(id)).consumers[0];
    expect(await late(ids[0])).toEqual({ name: 'late', state: 'acked' });
    expect(await late(ids[1])).toMatchObject({
      state: 'dead',
      attempt: 1,
      reason: 'no',
      dead_at: expect.stringMatching(/Z$/),
    });
    expect(await late(ids[2])).toMatchObject({ state: 'leased', attempt: 1, lease_until: expect.stringMatching(/Z$/) });
    expect(await late(ids[3])).toEqual({ name: 'late', state: 'waiting' });
    await desk.act('late', 'nack', { lease, ids: [ids[2]], delay_seconds: 60, reason: 'later' });
    expect(await late(ids[2])).toMatchObject({
      state: 'waiting',
      attempt: 1,
      reason: 'later',
      due_at: expect.stringMatching(/Z$/),
    });
    const other = await desk.another();
    expect((await other.call('GET', `/whcontent/${ids[0]}/trace`)).status).toBe(404);
    // One that another application stored, and that no consumer of ours has met yet.
    const [foreign] = await db().insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [['x', '1.2.3.4', 1, '', desk.user.id, 0]],
    );
    await placed(desk.service, foreign as number);
    expect(await trace(foreign)).toMatchObject({ received_at: null, verified: null });
  });
});
