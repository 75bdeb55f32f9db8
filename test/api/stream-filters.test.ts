// A stream that is narrowed hands out what the list with the same filters does: nothing else, nothing twice, at no cost while idle.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Content } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
} from '../support/engines.ts';
import * as sign from '../support/signing.ts';
import { countQueries, openStream } from './streams.ts';

const SECRET = 'whsec_plantedSecretOfThePayments9fA2';

onEveryEngine('narrowed streams', (engine) => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  /** A user with a webhook whose senders sign, and one where anybody may send. */
  async function world() {
    const user = await service.user();
    const signed = await service.webhook(user, { preset: 'stripe', secrets: [SECRET] });
    const open = await service.webhook(user);
    const post = async (webhook: WebhookDetail, body: string, headers: sign.Headers = {}) =>
      expect((await fetch(service.url + pathOf(webhook), { method: 'POST', body, headers })).status).toBe(200);
    let count = 0;
    return {
      user,
      /** As the provider sends it, with a note in its body. */
      event: (id: string, type: string, note = '') => {
        const body = JSON.stringify({ id, object: 'event', type, note, count: count++ });
        return post(signed, body, sign.stripe(SECRET, body));
      },
      anybody: (body: string) => post(open, body),
      list: async (query: string) => {
        await service.settle();
        const headers = { authorization: user.auth };
        const answer = await fetch(`${service.url}/whcontent?whid=all&limit=100&${query}`, { headers });
        return ((await answer.json()) as { whcontent: Content[] }).whcontent.map(({ id }) => id);
      },
      stream: (query: string, headers = {}) => openStream(service, user, `whid=all&${query}`, headers),
    };
  }
  type Stream = Awaited<ReturnType<typeof openStream>>;
  const idsOf = (stream: Stream) => stream.events().map(({ id }) => Number(id));

  test('each filter narrows what is there and what comes, as it narrows the list', async () => {
    const { event, anybody, list, stream } = await world();
    const send = async (from: number) => {
      for (let i = from; i < from + 3; i++) {
        await anybody(`anybody ${i} marker`);
        await event(`evt_${i % 2}`, i % 2 ? 'charge.failed' : 'charge.succeeded', i === 4 ? 'marker' : '');
      }
    };
    await send(0);
    await service.settle();
    await sleep(20);
    const since = new Date().toISOString();
    await sleep(20);
    const queries = [
      ...['verified=signed', 'verified=none', 'event_type=charge.failed', 'event_id=evt_1', 'q=marker'],
      ...[`since=${since}`, 'verified=signed&q=marker', 'event_id=evt_0&event_type=charge.failed'],
    ];
    // `limit` is the size of its pages: the stream goes on over their ends.
    const streams = await Promise.all(queries.map((query) => stream(`limit=2&${query}`)));
    await send(3);
    const wanted = await Promise.all(queries.map(list));
    expect(wanted.map((ids) => ids.length)).toEqual([6, 6, 3, 3, 7, 6, 1, 0]);
    await vi.waitFor(() => expect(streams.map(idsOf)).toEqual(wanted), { timeout: 5_000 });
    await sleep(300);
    expect(streams.map(idsOf)).toEqual(wanted);
    for (const { request } of streams) request.destroy();
  });

  test('goes on after Last-Event-ID with what passes the filter', async () => {
    const { event, anybody, list, stream } = await world();
    for (let i = 0; i < 4; i++) {
      await event(`evt_${i}`, 'charge.succeeded');
      await anybody('forged');
    }
    const ids = await list('verified=signed');
    const again = await stream('verified=signed', { 'last-event-id': String(ids[1]) });
    await vi.waitFor(() => expect(idsOf(again)).toEqual(ids.slice(2)), { timeout: 3_000 });
    again.request.destroy();
  });

  test('what another application put in the place of a signed content does not pass for it', async () => {
    const { event, list, stream } = await world();
    for (const id of ['evt_1', 'evt_2', 'evt_3']) await event(id, 'charge.succeeded');
    const ids = await list('verified=signed');
    await service.store.db.run('UPDATE tblwh SET content = ? WHERE id = ?', ['theirs', ids[1] as number]);
    const queries = ['verified=signed', 'event_type=charge.succeeded', 'verified=signed&order=desc'];
    expect(await Promise.all(queries.map(list))).toEqual([
      [ids[0], ids[2]],
      [ids[0], ids[2]],
      [ids[2], ids[0]],
    ]);
    expect(await list('event_id=evt_2')).toEqual([]);
    expect(await list('q=theirs')).toEqual([ids[1]]);
    const one = await stream('verified=signed&limit=1');
    await vi.waitFor(() => expect(idsOf(one)).toEqual([ids[0], ids[2]]), { timeout: 3_000 });
    one.request.destroy();
  });

  test('asks the database nothing while nothing comes', async () => {
    const { event, anybody, list, stream } = await world();
    await event('evt_1', 'charge.succeeded');
    for (let i = 0; i < 3; i++) await anybody('forged');
    const [first] = await list('verified=signed');
    const streams = await Promise.all(['verified=signed', 'event_id=evt_1', 'q=evt_1'].map((query) => stream(query)));
    await vi.waitFor(() => expect(streams.map(idsOf)).toEqual([[first], [first], [first]]), { timeout: 3_000 });
    await sleep(300);
    const asked = countQueries(service.store.db);
    await sleep(1_500);
    vi.restoreAllMocks();
    const own = asked.texts.filter((sql) => /FROM tblwh\b/.test(sql) && !/WHERE id > \? ORDER BY id LIMIT/.test(sql));
    expect(own).toEqual([]);
    for (const { request } of streams) request.destroy();
  });

  test('ends with where to go on, behind what did not pass', async () => {
    const { user, anybody } = await world();
    const second = await startService(database.url);
    const stream = await openStream(second, user, 'whid=all&verified=signed');
    for (let i = 0; i < 3; i++) await anybody('forged');
    await service.settle();
    await vi.waitFor(() => expect(second.parts.tail.readableId).toBe(service.parts.tail.readableId), 8_000);
    const next_id = second.parts.tail.readableId + 1;
    await sleep(300);
    await second.close();
    await vi.waitFor(() => expect(stream.ended).toBe(true), 8_000);
    expect(stream.events()).toEqual([{ id: undefined, event: 'end', data: { next_id } }]);
  });

  test('goes on over long stretches in which nothing passes, and so does a list that waits', async () => {
    const { user, event, list, stream } = await world();
    const { store } = service;
    const row = ['nothing', '', 1, 'any', user.id, 0];
    const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
    for (let i = 0; i < 21; i++)
      await store.db.insert(
        'tblwh',
        columns,
        Array.from({ length: 1_000 }, () => row),
      );
    await event('evt_1', 'charge.succeeded', 'needle');
    await service.settle();
    const narrowed = await stream('q=needle');
    await vi.waitFor(() => expect(idsOf(narrowed)).toHaveLength(1), { timeout: 10_000 });
    narrowed.request.destroy();
    // One call looks at 10,000.
    expect(await list('q=needle')).toEqual([]);
    expect(await list('q=needle&wait=20')).toEqual(idsOf(narrowed));
  });
});

test('a stream that is narrowed says every 15 s that it lives, though others keep coming', async () => {
  const database = await migratedDatabase('sqlite');
  const service = await startService(database.url);
  const user = await service.user();
  const stream = await openStream(service, user, 'verified=signed');
  const headers = { authorization: user.auth };
  for (let i = 0; i < 20 && !stream.text.includes(': hb'); i++) {
    await fetch(`${service.url}/whcontent?content=own`, { method: 'POST', headers });
    await sleep(1_000);
  }
  expect(stream.text).toBe(': ok\n\n: hb\n\n');
  stream.request.destroy();
  await service.close();
  await database.drop();
});
