// A content that many wait for is read once, made JSON once and kept once; who waits, and what is on its way, is bounded by user.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { contentToJson, contentToWire } from '../../src/api/wire.ts';
import { createClient } from '../../src/client/index.ts';
import { readConfig } from '../../src/config/config.ts';
import type { ContentRow } from '../../src/store/contents.ts';
import { atOnce } from '../../src/verify/slices.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { unwatched } from '../support/stalls.ts';
import { countQueries, openStream } from './streams.ts';

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const LARGE = 700 * 1024;

/** A call of a user; `wait` in the query makes it wait. */
const call = (service: Service, user: TestUser, path: string, init: RequestInit = {}) =>
  fetch(service.url + path, { ...init, headers: { authorization: user.auth } });
const list = (service: Service, user: TestUser, query: string) => call(service, user, `/whcontent?whid=all&${query}`);
const post = async (service: Service, user: TestUser, body: string): Promise<number> =>
  ((await (await call(service, user, '/whcontent', { method: 'POST', body })).json()) as { id: number }).id;
const waiting = (service: Service, count: number) =>
  vi.waitFor(() => expect(service.parts.rooms.waiting.held).toBe(count), { timeout: 20_000, interval: 10 });

onEveryEngine('a content that many wait for', (engine) => {
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

  test('is read once, made JSON once and counted once, for streams, polls and every list of it', async () => {
    const user = await service.user();
    const { answers } = service.parts.rooms;
    const streams = await Promise.all(times(20, () => openStream(service, user, 'id=latest&whid=all')));
    const polls = times(20, (i) => list(service, user, `id=latest&wait=30&limit=${20 + (i % 2)}`));
    await waiting(service, 40);
    const asked = countQueries(service.store.db);
    const made = vi.spyOn(answers, 'put');
    const body = `{"large":"${'ü\n'.repeat(LARGE / 4)}"}`;
    const id = await post(service, user, body);
    const pages = (await Promise.all(polls.map(async (one) => (await one).json()))) as { whcontent: object[] }[];
    await vi.waitFor(() => expect(streams.every((one) => one.events().length === 1)).toBe(true), { timeout: 20_000 });
    const bodies = asked.texts.filter((sql) => /FROM tblwh t\b/.test(sql) && /\bcontent\b/.test(sql));
    expect(bodies).toHaveLength(1);
    expect(made).toHaveBeenCalledTimes(1);
    vi.restoreAllMocks();
    const alone = await (await call(service, user, `/whcontent/${id}`)).json();
    expect(alone).toMatchObject({ id, content: body });
    for (const { whcontent } of pages) expect(whcontent).toEqual([alone]);
    for (const stream of streams) expect(stream.events()).toMatchObject([{ id: String(id), data: alone }]);
    for (const stream of streams) stream.request.destroy();
    await waiting(service, 0);
    await vi.waitFor(() => expect(answers.held).toBe(0));
  });
});

describe('what one user may have', () => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url, { WAITING_PER_USER: '5' });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test('of calls that wait is exact, whatever they are and however many come at once', async () => {
    const [user, other] = [await service.user(), await service.user()];
    const body = JSON.stringify({ wait: 30, start: 'earliest' });
    const gone = new AbortController();
    const { signal } = gone;
    const calls = times(9, (i) =>
      i % 3 === 0
        ? call(service, user, `/consumers/c${i}/pull`, { method: 'POST', body, signal })
        : call(service, user, `/whcontent?whid=all&id=latest&wait=${30 + i}`, { signal }),
    );
    const refused: Response[] = [];
    for (const one of calls) one.then((answer) => refused.push(answer)).catch(() => {});
    await vi.waitFor(() => expect(refused).toHaveLength(4), { timeout: 20_000 });
    for (const answer of refused) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
      expect(await answer.text()).toContain('You have 5 calls that wait here');
    }
    const stream = await call(service, user, '/whcontent?id=latest', {
      headers: { accept: 'text/event-stream' },
    } as never);
    expect(stream.status).toBe(200);
    // A call that does not wait is not counted, nor is another user.
    expect((await list(service, user, 'id=latest')).status).toBe(200);
    const others = list(service, other, 'id=latest&wait=30');
    await waiting(service, 6);
    await post(service, other, 'x');
    expect((await others).status).toBe(200);
    gone.abort();
    await waiting(service, 0);
    expect((await list(service, user, 'id=latest&wait=1')).status).toBe(200);
  });

  test('of answers that are not taken yet: a poll is refused, a stream is told to come back, and loses nothing', async () => {
    const user = await service.user();
    const webhook = await service.webhook(user);
    const send = (body: string) => fetch(service.url + pathOf(webhook), { method: 'POST', body });
    const { answers } = service.parts.rooms;
    const taken = answers.most / 2 - LARGE;
    expect(answers.take(user.id, taken)).toBe(true);
    const got: string[] = [];
    const states: string[] = [];
    const client = createClient({ url: service.url, auth: `${user.id}:${user.token}` });
    const reading = (async () => {
      for await (const content of client.contents.stream({ onState: (state) => void states.push(state) })) {
        got.push(content.text());
        if (got.length === 3) return;
      }
    })();
    const stream = await openStream(service, user, 'whid=all&id=0');
    await waiting(service, 2);
    await send('small');
    await vi.waitFor(() => expect(got).toEqual(['small']), { timeout: 10_000 });
    const large = 'x'.repeat(LARGE);
    await send(large);
    await vi.waitFor(() => expect(stream.ended).toBe(true), { timeout: 10_000 });
    const [first, last] = stream.events();
    expect(first).toMatchObject({ event: 'content', data: { content: 'small' } });
    const id = Number(first?.id) + 1;
    expect(last).toMatchObject({ event: 'end', data: { next_id: id } });
    const answer = await list(service, user, `id=${id}`);
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('still on its way')]);
    expect((await list(service, user, `id=${id - 1}&limit=1`)).status).toBe(200);
    expect((await list(service, await service.user(), 'id=0')).status).toBe(200);
    expect(got).toEqual(['small']);
    answers.give(user.id, taken);
    await send('last');
    await reading;
    expect(got).toEqual(['small', large, 'last']);
    expect(states).toContain('broken');
    await vi.waitFor(() => expect(answers.held).toBe(0));
  });
});

test('pieces of JSON are the JSON, whatever the bytes and wherever a piece ends', async () => {
  const config = readConfig({});
  const receipt = {
    received_ms: 0,
    ip: '::1',
    head: Buffer.from('POST / HTTP/1.1\r\nA: b\r\n\r\n'),
    verified: 'none',
    event_id: null,
    event_type: null,
    duplicate_of: null,
    released_from: null,
  } as const;
  const row = (content: Buffer, ours: boolean): ContentRow => ({
    id: 7,
    content,
    ip: '127.0.0.1',
    api: 1,
    dt: '2026-01-01 00:00:00',
    wh_id: 3,
    receipt: ours ? receipt : null,
  });
  const same = (one: ContentRow, rule: 'auto' | 'utf-8' | 'windows-1252'): void => {
    const settings = { ...config, contentEncoding: rule };
    const json = `${Buffer.concat(atOnce(contentToJson(one, settings)))}}`;
    expect(json === JSON.stringify(contentToWire(one, settings))).toBe(true);
  };
  const unit = fc.constantFrom('a', '"', '\\', '\n', '\u0001', 'ü', '€', '😀', '\u2028');
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 40 }).map((array) => Buffer.from(array));
  // All of it in one turn, which no request ever is.
  await unwatched(async () =>
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 9 }), bytes, fc.boolean(), (units, noise, ours) => {
        const text = Buffer.from(units.join('').repeat(Math.ceil(420_000 / Buffer.byteLength(units.join('')))));
        const torn = Buffer.concat([text.subarray(0, 196_600), noise, text.subarray(196_600)]);
        for (const content of [text, torn, Buffer.alloc(500_000, noise.length > 0 ? noise : 'x')])
          for (const rule of ['auto', 'utf-8', 'windows-1252'] as const) same(row(content, ours), rule);
      }),
      { numRuns: 5 },
    ),
  );
  same(row(Buffer.alloc(0), true), 'auto');
});
