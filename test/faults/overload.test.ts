// Before memory or time run out new work gets a 503, what is under way goes on, and afterwards all is as before.
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HELD } from '../../src/admission/resources.ts';
import { createRoom } from '../../src/admission/rooms.ts';
import { shedLoad } from '../../src/api/shedding.ts';
import { watchOverload } from '../../src/observe/overload.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { ask, requestOf, type Talk, talk } from '../support/raw.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

const BEARER = { headers: { authorization: 'Bearer metrics' } };
const shed = async (url: string) =>
  ((await (await fetch(`${url}/metrics`, BEARER)).text()).match(/^restante_shed_total\{.* [1-9]\d*$/gm) ?? []).map(
    (line) => line.replace('restante_shed_total', ''),
  );

describe('an event loop that stands still', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let path: string;
  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url, { METRICS_TOKEN: 'metrics' });
    user = await service.user();
    path = pathOf(await service.webhook(user));
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const stand = (ms: number) => {
    for (const until = performance.now() + ms; performance.now() < until; );
  };
  const send = () => fetch(service.url + path, { method: 'POST', body: 'x' });
  const call = () => fetch(`${service.url}/webhooks`, { headers: { authorization: user.auth } });

  test('once, however long, refuses nobody: a process that was stopped is not behind', async () => {
    await send();
    stand(6_000);
    expect((await send()).status).toBe(200);
    expect((await call()).status).toBe(200);
    expect(await shed(service.url)).toEqual([]);
  });

  test('again and again for longer than senders wait: 503 with Retry-After until it has caught up, and then 200 again', async () => {
    for (let turn = 0; turn < 3; turn++) {
      stand(2_500);
      await sleep(1);
    }
    const [sent, called, health, ready] = await Promise.all([
      send(),
      call(),
      fetch(`${service.url}/healthz`),
      fetch(`${service.url}/readyz`),
    ]);
    expect([sent.status, sent.headers.get('retry-after')]).toEqual([503, '2']);
    expect(await sent.json()).toMatchObject({ detail: expect.stringContaining('behind') });
    expect([called.status, called.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
    // Who looks after it is answered; and a balancer sends elsewhere.
    expect([health.status, ready.status]).toEqual([200, 503]);
    expect(await shed(service.url)).toEqual(['{why="event-loop"} 2']);
    await expect.poll(async () => (await send()).status, { timeout: 3_000 }).toBe(200);
    expect((await call()).status).toBe(200);
    const told = service.log.lines.map(({ message }) => message).filter((line) => line.includes('new work'));
    expect(told).toEqual([expect.stringContaining('refused with 503'), 'new work is accepted again']);
  });
});

describe('memory', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld('sqlite');
  });
  afterAll(async () => {
    await world?.close();
  });
  const PAGE = 8 * 1024 * 1024;

  /** Callers who ask for a page of 8 MiB each and never read it. */
  const deaf = (program: Program, count: number): Promise<Talk[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const line = await talk(program.port);
        line.socket.pause();
        line.send(requestOf('GET', '/whcontent?whid=all&limit=20', [`Authorization: ${world.auth}`]));
        return line;
      }),
    );
  async function fill(program: Program): Promise<string> {
    const { path } = await world.webhook('Large');
    for (let i = 0; i < 3; i++) {
      const sent = await fetch(program.url + path, { method: 'POST', body: Buffer.alloc(PAGE / 2 - 1_000, 'x') });
      expect(sent.status).toBe(200);
    }
    return path;
  }

  test('that callers fill by not reading is bounded: they are refused, senders are not, and all is well when they are gone', async () => {
    const program = await world.serve({ MAX_MEMORY_MB: '200', METRICS_TOKEN: 'metrics', LOG_LEVEL: 'info' });
    const path = await fill(program);
    const post = () => fetch(program.url + path, { method: 'POST', body: 'small' });
    const lines = await deaf(program, 60);
    await expect.poll(() => shed(program.url), { timeout: 15_000 }).toContainEqual(expect.stringMatching(/answers/));
    const figures = await (await fetch(`${program.url}/metrics`, BEARER)).text();
    expect(Number(/^restante_memory_ratio (\S+)$/m.exec(figures)?.[1])).toBeLessThan(1);
    for (let i = 0; i < 20; i++) expect((await post()).status).toBe(200);
    for (const { socket } of lines) socket.destroy();
    const page = () => ask(program.port, requestOf('GET', '/whcontent?whid=all', [`Authorization: ${world.auth}`]));
    await expect.poll(async () => (await page()).status, { timeout: 5_000 }).toBe(200);
    await program.kill();
  });

  test('above the limit refuses new work, once it is clear that it is no garbage, and takes it again below', async () => {
    const told: string[] = [];
    const note = (_data: object, text: string) => void told.push(text);
    let megabytes = 90;
    const memory = {
      memoryUsage: Object.assign(
        () => ({ ...process.memoryUsage(), heapUsed: 0, arrayBuffers: megabytes * 1e6, external: 0 }),
        {
          rss: process.memoryUsage.rss,
        },
      ),
      constrainedMemory: () => 0,
    };
    const overload = watchOverload({ info: note, warn: note }, memory, 100);
    await sleep(300);
    expect(overload.why).toBeUndefined();
    megabytes = 110;
    await expect.poll(() => overload.why).toBe('memory');
    megabytes = 90;
    await expect.poll(() => overload.why).toBeUndefined();
    overload.close();
    expect(told).toEqual([expect.stringContaining('the memory is nearly full'), 'new work is accepted again']);
  });

  test('of answers is shared: one user who reads nothing gets half of it, and another one is served', async () => {
    const program = await world.serve({ METRICS_TOKEN: 'metrics' });
    await fill(program);
    const lines = await deaf(program, 50);
    const page = () =>
      ask(program.port, requestOf('GET', '/whcontent?whid=all&limit=20', [`Authorization: ${world.auth}`]));
    await expect.poll(async () => (await page()).status, { timeout: 15_000 }).toBe(503);
    const refused = await page();
    expect([refused.headers.get('retry-after'), refused.headers.get('content-type')]).toEqual([
      '2',
      'application/problem+json',
    ]);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ status: 503, detail: expect.stringContaining('way') });
    // What is small always has room; so has whoever else asks.
    const small = await ask(program.port, requestOf('GET', '/webhooks', [`Authorization: ${world.auth}`]));
    expect(small.status).toBe(200);
    expect((await fetch(`${program.url}/openapi.json`)).status).toBe(200);
    expect((await shed(program.url)).join()).toContain('{why="answers"}');
    for (const { socket } of lines) socket.destroy();
    await expect.poll(async () => (await page()).status, { timeout: 5_000 }).toBe(200);
    await program.kill();
  });

  test('of bodies is shared by webhooks and calls: one user who sends slowly gets half of it, another one is served', async () => {
    const program = await world.serve({ METRICS_TOKEN: 'metrics' });
    const { path } = await world.webhook('Beside slow uploads');
    const head = (bytes: number) =>
      `POST /whcontent HTTP/1.1\r\nHost: x\r\nAuthorization: ${world.auth}\r\nContent-Length: ${bytes}\r\n\r\n`;
    const lines = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const line = await talk(program.port);
        line.send(Buffer.concat([Buffer.from(head(PAGE)), Buffer.alloc(PAGE - 10, 'x')]));
        return line;
      }),
    );
    const post = () =>
      ask(program.port, Buffer.concat([Buffer.from(head(PAGE)), Buffer.alloc(PAGE, 'x')])).then(
        ({ status, headers }) => [status, headers.get('retry-after')],
      );
    await expect.poll(post, { timeout: 10_000 }).toEqual([503, '2']);
    expect((await shed(program.url)).join()).toMatch(/why="bodies"\} [1-9]/);
    expect((await fetch(program.url + path, { method: 'POST', body: Buffer.alloc(PAGE) })).status).toBe(200);
    const small = requestOf('POST', '/whcontent', [`Authorization: ${world.auth}`], 'small');
    expect((await ask(program.port, small)).status).toBe(201);
    for (const { socket } of lines) socket.destroy();
    await expect.poll(post, { timeout: 10_000 }).toEqual([201, undefined]);
    // Whoever hangs up in the midst of a body is no error of ours.
    expect(program.log()).not.toContain('internal error');
    await program.kill();
  });

  test('is not filled by the same credentials written in a thousand ways', async () => {
    const program = await world.serve({ METRICS_TOKEN: 'metrics' });
    const used = async () =>
      Number(
        /^nodejs_heap_size_used_bytes (\d+)/m.exec(await (await fetch(`${program.url}/metrics`, BEARER)).text())?.[1],
      );
    const call = (spaces: number) =>
      ask(program.port, requestOf('GET', '/', [`Authorization: ${world.auth.replace(' ', ' '.repeat(spaces))}`]));
    await call(1);
    const before = await used();
    for (let i = 0; i < 1_500; i += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, j) => call(40_000 + i + j)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    // Kept, they would be 60 MB.
    await expect.poll(async () => (await used()) - before, { timeout: 20_000 }).toBeLessThan(30e6);
    await program.kill();
  });

  test('is looked at without a setting too: a share of what there is', () => {
    const overload = watchOverload({ info() {}, warn() {} }, process);
    expect(overload.memory.used).toBeGreaterThan(1e6);
    expect(overload.memory.most).toBeGreaterThan(1e8);
    expect(overload.why).toBeUndefined();
    overload.close();
  });

  test('of answers is counted in bytes, whatever the characters', async () => {
    const told: string[] = [];
    const fastify = Fastify();
    const overload = { why: undefined, memory: { used: 0, most: 1 }, close() {} };
    const answers = createRoom(200_000, { refusal: HELD.answers.refusal, onRefused: () => told.push('answers') });
    shedLoad(fastify, { overload, rooms: { answers }, shed: (why) => told.push(why) }, () => false);
    fastify.get('/:text', ({ params }) => (params as { text: string }).text.repeat(40_000));
    const status = async (text: string) => (await fastify.inject(`/${encodeURIComponent(text)}`)).statusCode;
    // 40,000 and 120,000 bytes; one user has 100,000.
    expect([await status('e'), await status('€')]).toEqual([200, 503]);
    expect(told).toEqual(['answers']);
    await fastify.close();
  });
});
