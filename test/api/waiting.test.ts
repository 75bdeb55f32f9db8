// Waiting reads: the long poll and the stream wake at once, ask the database nothing while they wait, and end when they must.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { countQueries, openStream } from './streams.ts';

interface Page {
  readonly whcontent: readonly { readonly id: number; readonly content: string; readonly wh_id: number }[];
  readonly next_id: number;
  readonly reset?: { readonly max_id: number };
  readonly held_s?: number;
}

onEveryEngine('waiting reads', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const list = async (query: string, who = user, of = service): Promise<Page & { status: number }> => {
    const answer = await fetch(`${of.url}/whcontent?${query}`, { headers: { authorization: who.auth } });
    return { ...((await answer.json()) as Page), status: answer.status };
  };
  const post = async (content: string, who = user): Promise<number> => {
    const headers = { authorization: who.auth };
    const answer = await fetch(`${service.url}/whcontent?content=${content}`, { method: 'POST', headers });
    return ((await answer.json()) as { id: number }).id;
  };
  const foreign = (who: TestUser, wh_id = 0, content = 'theirs') =>
    service.store.db.insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [[content, '', 1, 'any', who.id, wh_id]],
    );

  test('answers a long poll as soon as there is something, with exactly that', async () => {
    const { next_id } = await list('id=latest');
    const began = performance.now();
    const waiting = list(`id=${next_id}&wait=20`);
    await sleep(300);
    const id = await post('hello');
    const page = await waiting;
    expect(page.whcontent.map((row) => [row.id, row.content])).toEqual([[id, 'hello']]);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect((await list(`id=${page.next_id}`)).whcontent).toEqual([]);
  });

  test('sees what another program inserts, soon', async () => {
    const { next_id } = await list('id=latest&whid=all');
    const waiting = list(`id=${next_id}&whid=all&wait=20`);
    await sleep(600); // the tail has become lazy
    const began = performance.now();
    const [id] = await foreign(user, 5);
    expect((await waiting).whcontent.map((row) => [row.id, row.wh_id])).toEqual([[id, 5]]);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test('answers empty when the time is over, and waits no longer than 55 s', async () => {
    const began = performance.now();
    const page = await list('id=latest&wait=1');
    expect([page.status, page.whcontent]).toEqual([200, []]);
    expect(performance.now() - began).toBeGreaterThan(900);
    expect((await list('wait=-1')).status).toBe(422);
    expect((await list('id=0&whid=all&wait=99999&limit=1')).status).toBe(200);
  });

  test('does not wake for the contents of others, nor of other webhooks', async () => {
    const other = await service.user();
    const waiting = list(`id=latest&whid=${(await service.webhook(user)).wh_id}&wait=2`);
    const began = performance.now();
    await sleep(200);
    await post('x', other);
    await post('own, on webhook 0');
    expect((await waiting).whcontent).toEqual([]);
    expect(performance.now() - began).toBeGreaterThan(1_800);
  });

  test('asks the database nothing for polls at the head, waiting or not', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => service.user()));
    for (const one of users) {
      const { next_id } = await list('whid=all', one);
      await list(`whid=all&id=${next_id}`, one);
    }
    const asked = countQueries(service.store.db);
    const waiting = users.map((one) => list('whid=all&id=latest&wait=2', one));
    for (let round = 0; round < 20; round++) await Promise.all(users.map((one) => list('whid=all&id=latest', one)));
    await Promise.all(waiting);
    vi.restoreAllMocks();
    // What is left are the looks of the tail, the positions of other processes, and tokens in use, read again.
    const own = asked.texts.filter((sql) => /FROM tblwh\b/.test(sql) && !/WHERE id > \? ORDER BY id LIMIT/.test(sql));
    expect(own).toEqual([]);
    expect(asked.asked).toBeLessThan(120);
  });

  test('ends a poll and a stream within 5 s when the token is changed', async () => {
    const one = await service.user();
    const stream = await openStream(service, one, 'id=latest&whid=all');
    const waiting = list('id=latest&wait=20', one);
    await sleep(200);
    const began = performance.now();
    await service.store.db.run('UPDATE tbluser SET token = ? WHERE id = ?', ['another', one.id]);
    expect((await waiting).status).toBe(401);
    await vi.waitFor(() => expect(stream.ended).toBe(true), { timeout: 6_000 });
    expect(performance.now() - began).toBeLessThan(6_500);
    expect(stream.events().at(-1)).toMatchObject({ event: 'end', data: { status: 401 } });
  });

  test('streams what is there and what comes, and goes on after Last-Event-ID', async () => {
    const one = await service.user();
    const ids = [await post('first', one), await post('second', one)];
    const stream = await openStream(service, one, 'id=0');
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'x-accel-buffering': 'no',
      'cache-control': 'no-store',
    });
    await vi.waitFor(() => expect(stream.events()).toHaveLength(2), { timeout: 3_000 });
    ids.push(await post('third%0Aline', one));
    await vi.waitFor(() => expect(stream.events()).toHaveLength(3), { timeout: 3_000 });
    expect(stream.events().map(({ id, event, data }) => [Number(id), event, data.content])).toEqual([
      [ids[0], 'content', 'first'],
      [ids[1], 'content', 'second'],
      [ids[2], 'content', 'third\nline'],
    ]);
    stream.request.destroy();
    ids.push(await post('fourth', one));
    const again = await openStream(service, one, 'id=0', { 'last-event-id': String(ids[2]) });
    await vi.waitFor(() => expect(again.events()).toHaveLength(1), { timeout: 3_000 });
    expect(again.events()[0]?.data.content).toBe('fourth');
    again.request.destroy();
  });

  test('holds no more than a page for a reader who does not read', async () => {
    const one = await service.user();
    const webhook = await service.webhook(one);
    const body = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 24; i++)
      expect((await fetch(service.url + pathOf(webhook), { method: 'POST', body: new Uint8Array(body) })).status).toBe(
        200,
      );
    const stream = await openStream(service, one, `id=0&whid=${webhook.wh_id}&limit=100`);
    stream.response.pause();
    const before = process.memoryUsage().rss;
    let peak = before;
    for (let i = 0; i < 40; i++) {
      await sleep(25);
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    expect(peak - before).toBeLessThan(80 * 1024 * 1024);
    stream.response.resume();
    await vi.waitFor(() => expect(stream.text.match(/^event: content$/gm)).toHaveLength(24), { timeout: 10_000 });
    stream.request.destroy();
  });

  test('lists at once what was just received through this process', async () => {
    const webhook = await service.webhook(user);
    for (let i = 0; i < 20; i++) {
      const began = performance.now();
      await fetch(service.url + pathOf(webhook), { method: 'POST', body: String(i) });
      let page = await list(`whid=${webhook.wh_id}&limit=100`);
      // A list waits 300 ms from the commit on: only where the machine stood still for so long may it come without.
      if (performance.now() - began > 300) page = await list(`whid=${webhook.wh_id}&limit=100`);
      expect(page.whcontent.map((row) => row.content)).toEqual(Array.from({ length: i + 1 }, (_, n) => String(n)));
    }
  });

  test('keeps polls of two processes consistent', async () => {
    const other = await startService(database.url);
    try {
      const one = await service.user();
      let id = (await list('id=latest&whid=all', one, other)).next_id;
      const seen: string[] = [];
      const reading = (async () => {
        while (seen.length < 100) {
          const page = await list(`id=${id}&whid=all&wait=5`, one, seen.length % 2 ? other : service);
          expect(page.reset).toBeUndefined();
          seen.push(...page.whcontent.map((row) => row.content));
          id = page.next_id;
        }
      })();
      for (let i = 0; i < 100; i++) await post(String(i), one);
      await reading;
      expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    } finally {
      await other.close();
    }
  });

  test('ends what waits when the service stops: the poll empty, the stream with where to go on', async () => {
    const second = await startService(database.url);
    const waiting = list('id=latest&wait=50', user, second);
    const stream = await openStream(second, user, 'id=latest&whid=all');
    await sleep(300);
    const began = performance.now();
    await second.close();
    expect(await waiting).toMatchObject({ status: 200, whcontent: [] });
    await vi.waitFor(() => expect(stream.ended).toBe(true), 4_000);
    expect(stream.events().at(-1)).toMatchObject({
      event: 'end',
      data: { next_id: (await list('id=latest')).next_id },
    });
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('does not wait, when it stops, for a connection that never sent a request', async () => {
    const second = await startService(database.url);
    const socket = connect(second.port, '127.0.0.1');
    await once(socket, 'connect');
    const ended = once(socket, 'close');
    const began = performance.now();
    await second.close();
    await ended;
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('says on /readyz what is promised, to whoever may know', async () => {
    const told = await startService(database.url, { METRICS_TOKEN: 'm' });
    const ready = async (authorization?: string) =>
      (await fetch(`${told.url}/readyz`, { headers: authorization ? { authorization } : {} })).json();
    expect(await ready()).toEqual({ status: 'ready' });
    expect(await ready('Bearer n')).toEqual({ status: 'ready' });
    expect(await ready('Bearer m')).toMatchObject({ promise: engine === 'sqlite' ? 'ordered' : 'exact', held_s: 0 });
    await told.close();
  });
});
