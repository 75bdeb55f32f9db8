// Who is slow, silent, many or guessing: the others are served meanwhile, and nothing is learnt from how long it takes.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { ask, requestOf, type Talk, talk } from '../support/raw.ts';

let database: Database;
let service: Service;
let user: TestUser;
let webhook: WebhookDetail;
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url);
  user = await service.user();
  webhook = await service.webhook(user);
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
/** A webhook is stored and a list is read, each soon. */
async function expectServed(): Promise<void> {
  for (const request of [
    requestOf('POST', pathOf(webhook), [], 'x'),
    requestOf('GET', '/webhooks', [`Authorization: ${user.auth}`]),
  ]) {
    const began = performance.now();
    expect((await ask(service.port, request)).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(4_000);
  }
}
const closeAll = (lines: readonly Talk[]) => {
  for (const line of lines) line.end();
};

describe('slow senders', () => {
  test('have 20 s for their headers and two minutes for all of a request', () => {
    const { headersTimeout, requestTimeout, maxHeadersCount, keepAliveTimeout } = service.app.server;
    expect([headersTimeout, requestTimeout, maxHeadersCount, keepAliveTimeout]).toEqual([20_000, 120_000, 0, 75_000]);
  });

  // The same with shorter waits; node:http looks every five seconds.
  test('are cut off, whether they drip their headers or their body, and the others do not notice', async () => {
    const { server } = service.app;
    const usual = [server.headersTimeout, server.requestTimeout] as const;
    Object.assign(server, { headersTimeout: 500, requestTimeout: 1_000 });
    try {
      const begins = [
        'GET /webhooks HTTP/1.1\r\nHost: x\r\nX: ',
        `POST ${pathOf(webhook)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`,
        `POST ${pathOf(webhook)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n`,
        `POST /whcontent HTTP/1.1\r\nHost: x\r\nAuthorization: ${user.auth}\r\nContent-Length: 100000\r\n\r\n`,
      ];
      const lines = await Promise.all(times(80, () => talk(service.port)));
      for (const [i, line] of lines.entries()) line.send(begins[i % begins.length] ?? '');
      const drips = setInterval(() => {
        for (const line of lines) if (line.socket.writable) line.send('x');
      }, 100);
      const answers = lines.map((line) =>
        line.answer().then(
          ({ status }) => status,
          () => 0,
        ),
      );
      const cut = Promise.all(lines.map((line) => line.closed));
      for (let i = 0; i < 3; i++, await sleep(300)) await expectServed();
      await Promise.race([cut, sleep(14_000).then(() => Promise.reject(new Error('a slow sender is still there')))]);
      clearInterval(drips);
      for (const status of await Promise.all(answers)) expect([0, 400, 408]).toContain(status);
    } finally {
      Object.assign(server, { headersTimeout: usual[0], requestTimeout: usual[1] });
    }
    await expectServed();
  });

  test('nothing of what was cut off is stored', async () => {
    await service.settle();
    const list = requestOf('GET', `/whcontent?whid=${webhook.wh_id}&limit=100`, [`Authorization: ${user.auth}`]);
    const { whcontent } = JSON.parse((await ask(service.port, list)).body.toString()) as {
      whcontent: { content: string }[];
    };
    for (const { content } of whcontent) expect(content).toBe('x');
  });
});

describe('many at once', () => {
  test('1,000 connections that say nothing, and 50 that never read what they asked for', async () => {
    const idle = await Promise.all(times(1_000, () => talk(service.port)));
    const deaf = await Promise.all(times(50, () => talk(service.port)));
    for (const { socket, send } of deaf) {
      socket.pause();
      send(Buffer.concat(times(20, () => requestOf('GET', '/openapi.json', ['Accept-Encoding: identity']))));
    }
    await expectServed();
    await expectServed();
    closeAll([...idle, ...deaf]);
  });

  test('floods of headers, of unknown keys, and of connections that are thrown away', async () => {
    const floods: Promise<unknown>[] = [];
    for (let i = 0; i < 150; i++) {
      const large = ask(
        service.port,
        requestOf(
          'GET',
          '/',
          times(900, (j) => `x-${j}: ${'y'.repeat(50)}`),
        ),
      );
      const huge = ask(service.port, requestOf('GET', '/', [`x: ${'y'.repeat(100_000)}`]));
      const none = ask(service.port, requestOf('POST', `/in/none${i}`, [], 'x'));
      floods.push(
        ...[large, huge, none].map((one) =>
          one.then(
            ({ status }) => status,
            () => 0,
          ),
        ),
      );
      floods.push(talk(service.port).then((line) => closeAll([line])));
    }
    await expectServed();
    const statuses = new Set(await Promise.all(floods));
    for (const status of statuses) expect([0, 401, 404, 431, undefined]).toContain(status);
    await expectServed();
  });

  test('a guesser is slowed down, for one user or for many, and a webhook is none of his limits', async () => {
    const guess = (id: number, i: number) =>
      ask(
        service.port,
        requestOf('GET', '/', [`Authorization: Basic ${Buffer.from(`${id}:${i}`).toString('base64')}`]),
      );
    await expectServed();
    const statuses = await Promise.all(times(300, (i) => guess(800_000 + i, i).then(({ status }) => status)));
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(200);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(100);
    await expectServed();
  });
});

describe('what time and answers tell', () => {
  test('secrets are compared by timingSafeEqual alone', () => {
    const sources = (readdirSync('src', { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'));
    const using = sources.filter((name) => readFileSync(`src/${name}`, 'utf8').includes('timingSafeEqual'));
    expect(using).toEqual(expect.arrayContaining(['api/auth.ts', 'verify/digest.ts']));
    // A token, a secret or a digest beside === or .equals( in the files that judge one.
    for (const name of [...using, 'verify/judge.ts', 'api/routes/operations.ts']) {
      const text = readFileSync(`src/${name}`, 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
      const compared = [...text.matchAll(/.*\b(?:token|secret|digest|signature)\b ?(?:[!=]==).*/gi)].map(([line]) =>
        line.trim(),
      );
      expect(
        compared.filter((line) => !/=== (undefined|null|HIDDEN|'|0)|!== (undefined|null)|\.length/.test(line)),
      ).toEqual([]);
    }
  });

  // Coarse: a comparison byte by byte is far below what a network shows. It would notice a slow way for near misses.
  test('a token that is nearly right takes as long as one that is not', { retry: 3 }, async () => {
    const limited = await startService(database.url, { TRUST_PROXY: '127.0.0.1' });
    try {
      const near = `${user.token.slice(0, -1)}!`;
      const spent: Record<string, number[]> = { near: [], far: [] };
      let from = 0;
      for (let i = 0; i < 40; i++)
        for (const [kind, token] of [
          ['near', near],
          ['far', `!${'x'.repeat(near.length - 1)}`],
        ] as const) {
          const pair = Buffer.from(`${user.id}:${token}`).toString('base64');
          const lines = [`Authorization: Basic ${pair}`, `X-Forwarded-For: 10.2.${++from >> 8}.${from & 255}`];
          const began = performance.now();
          expect((await ask(limited.port, requestOf('GET', '/', lines))).status).toBe(401);
          spent[kind]?.push(performance.now() - began);
        }
      expect(Math.abs(median(spent.near ?? []) - median(spent.far ?? []))).toBeLessThan(4);
    } finally {
      await limited.close();
    }
  });

  test('a key that is nearly right is as unknown as any', async () => {
    const path = pathOf(webhook);
    const flip = (at: number) => path.slice(0, at) + (path[at] === 'a' ? 'b' : 'a') + path.slice(at + 1);
    const wrong = [flip(4), flip(path.length - 1), path.slice(0, -1), `${path}a`, '/in/x', `/in/${'x'.repeat(24)}`];
    const told = async (target: string) => {
      const { status, headers, body } = await ask(service.port, requestOf('POST', target, [], 'x'));
      const text = body.toString().replace(/"request_id":"[^"]*"/, '');
      return JSON.stringify([status, [...headers].filter(([name]) => !/date|length/.test(name)), text]);
    };
    const answers = new Set(await Promise.all(wrong.map(told)));
    expect([...answers]).toHaveLength(1);
    expect([...answers][0]).toMatch(/^\[404/);
    // 24 letters and digits: nobody walks through them.
    expect(path).toMatch(/^\/in\/[A-Za-z0-9]{24}$/);
  });
});
