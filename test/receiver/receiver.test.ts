// The receiver on raw sockets: whatever senders do, it is stored exactly or refused clearly, and never with a 5xx.
import { METHODS } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Content, Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  ENGINES,
  migratedDatabase,
  pathOf as publicPathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { type Answer, ask, requestOf, type Talk, talk } from '../support/raw.ts';

// PUBLIC_URL carries a path that a proxy in front would have taken off.
const pathOf = (wh: WebhookDetail) => publicPathOf(wh).replace(/^\/p/, '');

/** Asks until the answer is `wanted`, and fails with what came last. Not expect.poll, which cannot run concurrently. */
async function until<T>(ask: () => Promise<T>, wanted: T, ms = 5_500): Promise<void> {
  for (const end = Date.now() + ms; ; await sleep(150)) {
    const got = await ask();
    if (JSON.stringify(got) === JSON.stringify(wanted)) return;
    if (Date.now() > end) return expect(got).toEqual(wanted);
  }
}

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

// At once: most of the time they wait for what is allowed to take 5 s.
describe.concurrent.each(ENGINES)('%s', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { MAX_BODY_BYTES: '100000', PUBLIC_URL: 'https://hooks.example.org/p' });
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
    expect(unhandled).toEqual([]);
  });

  const get = async (path: string) =>
    (await fetch(service.url + path, { headers: { authorization: user.auth } })).json() as Promise<never>;
  const change = (wh: WebhookDetail, method: string, path = '', body: unknown = {}, at = service) =>
    fetch(`${at.url}/webhooks/${wh.wh_id}${path}`, {
      method,
      headers: { authorization: user.auth, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const stored = async (wh: { wh_id: number }): Promise<Content[]> => {
    await service.settle();
    return ((await get(`/whcontent?whid=${wh.wh_id}&limit=100`)) as { whcontent: Content[] }).whcontent;
  };
  const refused = async (wh: WebhookDetail): Promise<Refusal[]> => {
    for (let tries = 0; ; tries++) {
      const { refusals } = (await get(`/refusals?whid=${wh.wh_id}&limit=100`)) as { refusals: Refusal[] };
      if (refusals.length > 0 || tries > 40) return refusals;
      await sleep(25);
    }
  };
  /** Sends to a webhook; every answer of the receiver must disarm browsers. */
  const send = async (request: Buffer, port = service.port): Promise<Answer> => {
    const answer = await ask(port, request);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
    });
    return answer;
  };
  const statusOf = async (...request: Parameters<typeof requestOf>) => (await send(requestOf(...request))).status;

  test('stores every method that node:http knows, a GET with a body too', async () => {
    const wh = await service.webhook(user);
    const methods = METHODS.filter((method) => method !== 'CONNECT' && method !== 'HEAD');
    for (const method of methods)
      expect([method, await statusOf(method, pathOf(wh), [], method)]).toEqual([method, 200]);
    const rows = await stored(wh);
    expect(rows.map((row) => row.request?.method)).toEqual(methods);
    expect(rows.map((row) => row.content)).toEqual(methods);
  });

  test('answers HEAD with 200 and stores nothing', async () => {
    const wh = await service.webhook(user);
    const answer = await send(requestOf('HEAD', pathOf(wh)));
    expect([answer.status, await stored(wh)]).toEqual([200, []]);
  });

  test('keeps a target byte for byte, however odd', async () => {
    const wh = await service.webhook(user);
    const rests = [
      '/%zz',
      '/..;/x',
      '/%00',
      '//',
      '/../../x',
      '/a/./b',
      '?',
      '?a=%20&a=+&%',
      '/#f',
      '/;x=1',
      '/\\',
      '?x?y/z',
      '/\'"<>`{}|^',
    ];
    for (const rest of rests) expect([rest, await statusOf('POST', pathOf(wh) + rest)]).toEqual([rest, 200]);
    expect(await statusOf('POST', `http://elsewhere.example${pathOf(wh)}/abs?x=1`)).toBe(200);
    const rows = await stored(wh);
    expect(rows.map((row) => row.request?.url)).toEqual([...rests, '/abs?x=1']);
    expect(rows[1]?.request?.public_url).toBe(`${wh.wh_url}/..;/x`);
  });

  test('keeps 3,000 headers, duplicates, 8-bit and empty values in order', async () => {
    const wh = await service.webhook(user);
    const many = Array.from({ length: 3_000 }, (_, i) => `x-${i}: ${i}`);
    expect(await statusOf('POST', pathOf(wh), many)).toBe(200);
    const odd = [
      'X-Twice: a',
      'x-TWICE: b',
      'X-Empty:',
      'X-High: \xe9\x80\xff',
      'X-Colon: a: b',
      'X-Twice: a',
      'Cookie: a=1',
      'Cookie: b=2',
    ];
    expect(await statusOf('POST', pathOf(wh), odd)).toBe(200);
    const [first, second] = await stored(wh);
    expect(first?.request?.headers).toEqual([['Host', 'hooks.example.org'], ...many.map((line) => line.split(': '))]);
    const pairs = odd.map((line) => [line.replace(/:.*/, ''), line.replace(/^[^:]*: ?/, '')]);
    expect(second?.request?.headers).toEqual([['Host', 'hooks.example.org'], ...pairs]);
  });

  test('takes HTTP/1.0, an offered upgrade, chunks with trailers and a slow sender', async () => {
    const wh = await service.webhook(user);
    const old = `POST ${pathOf(wh)} HTTP/1.0\r\nContent-Length: 3\r\n\r\nold`;
    expect((await send(Buffer.from(old))).status).toBe(200);
    // Java's HttpClient offers HTTP/2 on each plain request.
    const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAAAAIAAAAA'];
    expect(await statusOf('POST', pathOf(wh), upgrade, 'java')).toBe(200);
    const chunks = '3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n';
    const head = requestOf('POST', pathOf(wh), ['Transfer-Encoding: chunked', 'Trailer: X-Trailer']).toString('latin1');
    expect((await send(Buffer.from(head + chunks))).status).toBe(200);
    const slow = await talk(service.port);
    for (const byte of requestOf('POST', pathOf(wh), [], 'slow').toString()) {
      slow.send(byte);
      await sleep(2);
    }
    expect((await slow.answer()).status).toBe(200);
    slow.end();
    const rows = await stored(wh);
    expect(rows.map((row) => row.content)).toEqual(['old', 'java', 'abcde', 'slow']);
    const names = rows[2]?.request?.headers.map(([name]) => name);
    expect(names).toEqual(['Host', 'Transfer-Encoding', 'Trailer', 'X-Trailer']);
  });

  test('makes webhooks, changes them and receives, all at once', async () => {
    const first = await service.webhook(user);
    const made = Array.from({ length: 20 }, async () => {
      const wh = await service.webhook(user);
      await change(wh, 'PATCH', '', { wh_name: 'Other' });
      return [await statusOf('POST', pathOf(wh), [], 'x'), (await change(wh, 'DELETE')).status];
    });
    const sent = Array.from({ length: 20 }, () => statusOf('POST', pathOf(first), [], 'x'));
    expect(await Promise.all(made)).toEqual(Array(20).fill([200, 204]));
    expect(await Promise.all(sent)).toEqual(Array(20).fill(200));
    expect(await stored(first)).toHaveLength(20);
  });

  test('stores pipelined requests and answers them in order', async () => {
    const texts = ['one', 'two', 'three'];
    const hooks: WebhookDetail[] = [];
    for (const body of texts) hooks.push(await service.webhook(user, { response: { body } }));
    const line = await talk(service.port);
    line.send(
      Buffer.concat([...Array(30)].map((_, i) => requestOf('POST', pathOf(hooks[i % 3] as WebhookDetail), [], `${i}`))),
    );
    for (let i = 0; i < 30; i++) expect((await line.answer()).body.toString()).toBe(texts[i % 3]);
    line.end();
    for (const wh of hooks) expect(await stored(wh)).toHaveLength(10);
  });

  test('stores nothing of a sender that goes away in the middle', async () => {
    const wh = await service.webhook(user);
    for (const part of [
      'Content-Length: 10\r\n\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      'Content-Le',
    ]) {
      for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
        const line = await talk(service.port);
        line.send(`POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\n${part}`);
        await sleep(20);
        line.socket[leave]();
        await line.closed;
      }
    }
    expect(await statusOf('POST', pathOf(wh), [], 'next')).toBe(200);
    expect((await stored(wh)).map((row) => row.content)).toEqual(['next']);
  });

  test('says 100 Continue only to a sender that is welcome', async () => {
    const wh = await service.webhook(user);
    const line = await talk(service.port);
    line.send(`POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`);
    expect((await line.answer()).status).toBe(100);
    line.send('ok');
    expect((await line.answer()).status).toBe(200);
    for (const [path, length, status] of [
      [pathOf(wh), 100_001, 413],
      ['/in/unknown', 2, 404],
    ] as const) {
      const told = await talk(service.port);
      told.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`);
      const answer = await told.answer();
      expect(answer.status).toBe(status);
      // The body may never come: what follows on this connection must not be taken for it.
      expect(answer.headers.get('connection')).toBe('close');
      await told.closed;
    }
    line.end();
    expect(await stored(wh)).toHaveLength(1);
  });

  test('a request with Expect is logged like any other, and the last one closes its connection when the service stops', async () => {
    const other = await startService(database.url, { LOG_LEVEL: 'debug' });
    try {
      const lines = await Promise.all(['100-continue', 'a-miracle'].map(() => talk(other.port)));
      const exchange = async (line: Talk, expects: string) => {
        line.send(requestOf('POST', '/whcontent', [`Authorization: ${user.auth}`, `Expect: ${expects}`], 'own'));
        const first = await line.answer();
        return first.status === 100 ? line.answer() : first;
      };
      const both = () =>
        Promise.all(['100-continue', 'a-miracle'].map((expects, i) => exchange(lines[i] as Talk, expects)));
      const connections = (answers: readonly Answer[]) =>
        answers.map(({ status, headers }) => [status, headers.get('connection')]);
      expect(connections(await both())).toEqual([
        [201, 'keep-alive'],
        [201, 'keep-alive'],
      ]);
      const logged = () => other.log.lines.filter(({ message }) => message === 'request').map(({ data }) => data);
      await until(async () => logged().length, 2);
      expect(logged()).toMatchObject([
        { method: 'POST', url: '/whcontent', status: 201 },
        { method: 'POST', url: '/whcontent', status: 201 },
      ]);
      // Not `other.close()`: that ends idle connections first, and a request is on its way on each of these.
      const closed = other.app.close();
      expect(connections(await both())).toEqual([
        [201, 'close'],
        [201, 'close'],
      ]);
      await closed;
    } finally {
      await other.app.close().catch(() => {});
      await other.store.close();
    }
  });

  test('answers what is not HTTP with 400, huge headers with 431, an unknown key with 404', async () => {
    const wh = await service.webhook(user);
    const bad = [
      '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n',
      'hello\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      `POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n`,
      `POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
      `POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `POST ${pathOf(wh)}\x00 HTTP/1.1\r\nHost: x\r\n\r\n`,
      `POST ${pathOf(wh)}/\xe9 HTTP/1.1\r\nHost: x\r\n\r\n`,
      `FROBNICATE ${pathOf(wh)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ];
    for (const text of bad) expect([text, (await ask(service.port, text)).status]).toEqual([text, 400]);
    const big = [`X-Big: ${'x'.repeat(66_000)}`];
    expect((await ask(service.port, requestOf('POST', pathOf(wh), big))).status).toBe(431);
    expect((await ask(service.port, requestOf('POST', `${pathOf(wh)}/${'x'.repeat(66_000)}`))).status).toBe(431);
    expect((await ask(service.port, 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n')).status).toBe(405);
    for (const target of [
      '/in/unknown',
      '/in/',
      '/in/?x',

      '/in/%00',
      `/in/${'k'.repeat(5_000)}`,
      `${pathOf(wh).toLowerCase()}`,
      `${pathOf(wh)}%20`,
    ])
      expect([target, await statusOf('POST', target, [], 'x')]).toEqual([target, 404]);
    expect((await ask(service.port, requestOf('OPTIONS', '*'))).status).toBe(404);
    expect(await stored(wh)).toEqual([]);
  });

  test('disarms browsers on the answers to broken requests too', async () => {
    const wh = await service.webhook(user);
    await send(Buffer.from('hello\r\n\r\n'));
    await send(requestOf('POST', pathOf(wh), [`X-Big: ${'x'.repeat(66_000)}`]));
    await send(requestOf('POST', pathOf(wh), ['Expect: a-miracle']));
  });

  test('refuses by method, network and size; the owner sees why, other applications see nothing', async () => {
    const cases = [
      [{ allow_methods: ['PUT', 'POST'] }, 'DELETE', 405, 'method', 3],
      [{ allow_networks: ['10.0.0.0/8', '2001:db8::/32'] }, 'POST', 403, 'network', 3],
      [{ max_body_bytes: 2 }, 'POST', 413, 'too_large', 3],
    ] as const;
    for (const [settings, method, status, kind, size] of cases) {
      const wh = await service.webhook(user, settings);
      const answer = await send(requestOf(method, `${pathOf(wh)}/sub?q`, ['X-A: b'], 'abc'));
      expect([kind, answer.status]).toEqual([kind, status]);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      if (status === 405) expect(answer.headers.get('allow')).toBe('PUT, POST');
      const [refusal] = await refused(wh);
      expect(refusal).toMatchObject({ wh_id: wh.wh_id, kind, size, near_miss: null, released_as: null });
      expect(refusal?.reason.length).toBeGreaterThan(10);
      expect(refusal?.request).toMatchObject({
        method,
        url: '/sub?q',
        ip: '127.0.0.1',
        public_url: `${wh.wh_url}/sub?q`,
      });
      expect(refusal?.request.headers).toContainEqual(['X-A', 'b']);
      expect(await get(`/refusals/${refusal?.id}`)).toEqual(refusal);
      expect(await stored(wh)).toEqual([]);
      const other = await service.user();
      const theirs = await fetch(`${service.url}/refusals/${refusal?.id}`, { headers: { authorization: other.auth } });
      expect(theirs.status).toBe(404);
    }
    const off = await service.webhook(user, { enabled: false });
    const answer = await send(requestOf('POST', pathOf(off), [], 'x'));
    expect([answer.status, Number(answer.headers.get('retry-after')) > 0]).toEqual([503, true]);
  });

  test('goes on with a kept-alive connection after a 413, declared or chunked', async () => {
    const wh = await service.webhook(user, { max_body_bytes: 4 });
    const line = await talk(service.port);
    line.send(requestOf('POST', pathOf(wh), [], 'x'.repeat(70_000)));
    expect((await line.answer()).status).toBe(413);
    line.send(requestOf('POST', pathOf(wh), ['Transfer-Encoding: chunked']));
    line.send('3\r\nabc\r\n3\r\ndef\r\n');
    line.send('3\r\nghi\r\n0\r\n\r\n');
    expect((await line.answer()).status).toBe(413);
    line.send(requestOf('POST', pathOf(wh), [], 'fits'));
    expect((await line.answer()).status).toBe(200);
    line.end();
    expect((await stored(wh)).map((row) => row.content)).toEqual(['fits']);
    const noted = [
      ['too_large', 70_000],
      ['too_large', null],
    ];
    await until(async () => (await refused(wh)).map((one) => [one.kind, one.size]), noted);
  });

  test('answers what the webhook configures', async () => {
    const wh = await service.webhook(user, { response: { status: 202, content_type: 'text/xml', body: '<Ö/>' } });
    const answer = await send(requestOf('POST', pathOf(wh)));
    expect([answer.status, answer.headers.get('content-type'), answer.body.toString()]).toEqual([
      202,
      'text/xml',
      '<Ö/>',
    ]);
    const none = await service.webhook(user, { response: { status: 204 } });
    const line = await talk(service.port);
    line.send(Buffer.concat([requestOf('POST', pathOf(none)), requestOf('POST', pathOf(wh))]));
    const silent = await line.answer();
    // RFC 9110, 8.6: a 204 must not carry it.
    expect([silent.status, silent.headers.has('content-length')]).toEqual([204, false]);
    expect((await line.answer()).status).toBe(202);
    line.end();
  });

  test('lets an old URL work until its grace is over', async () => {
    const wh = await service.webhook(user);
    expect(await statusOf('POST', pathOf(wh), [], 'before')).toBe(200);
    const next = (await (await change(wh, 'POST', '/rotate', { grace_seconds: 1 })).json()) as WebhookDetail;
    expect(pathOf(next)).not.toBe(pathOf(wh));
    expect(await statusOf('POST', pathOf(wh), [], 'grace')).toBe(200);
    expect(await statusOf('POST', pathOf(next), [], 'next')).toBe(200);
    await until(() => statusOf('POST', pathOf(wh)), 404, 7_000);
    expect(await statusOf('POST', pathOf(next), [], 'after')).toBe(200);
    expect((await stored(wh)).map((row) => row.content).filter(Boolean)).toEqual(['before', 'grace', 'next', 'after']);
  });

  test('obeys a change from the next request on', async () => {
    const wh = await service.webhook(user);
    expect(await statusOf('POST', pathOf(wh))).toBe(200);
    await change(wh, 'PATCH', '', { enabled: false });
    expect(await statusOf('POST', pathOf(wh))).toBe(503);
    await change(wh, 'PATCH', '', { enabled: true });
    expect(await statusOf('POST', pathOf(wh))).toBe(200);
    expect((await change(wh, 'DELETE')).status).toBe(204);
    expect(await statusOf('POST', pathOf(wh))).toBe(404);
  });

  test('sees within 5 s what another process changed, and at once what it made', async () => {
    const second = await startService(database.url);
    try {
      const wh = await service.webhook(user);
      const at = async () => (await send(requestOf('POST', pathOf(wh)), second.port)).status;
      expect(await at()).toBe(200);
      await change(wh, 'PATCH', '', { enabled: false });
      await until(at, 503);
      await change(wh, 'PATCH', '', { enabled: true });
      expect(await at()).toBe(200);
      await change(wh, 'DELETE');
      await until(at, 404);
    } finally {
      await second.close();
    }
  });

  test('believes X-Forwarded-For of a trusted proxy alone', async () => {
    const trusting = await startService(database.url, { TRUST_PROXY: 'loopback' });
    try {
      const wh = await service.webhook(user);
      const zone = `fe80::1%${'z'.repeat(60)}`;
      const given = [
        '203.0.113.9',
        '6.6.6.6, 2001:db8:1111:2222:3333:4444:5555:6666',
        '::ffff:1.2.3.4',
        'garbage',
        zone,
      ];
      for (const value of given) {
        const answer = await send(requestOf('POST', pathOf(wh), [`X-Forwarded-For: ${value}`]), trusting.port);
        expect([value, answer.status]).toEqual([value, 200]);
      }
      const rows = await stored(wh);
      const long = '2001:db8:1111:2222:3333:4444:5555:6666';
      expect(rows.slice(0, 4).map((row) => [row.ip, row.request?.ip])).toEqual([
        ['203.0.113.9', '203.0.113.9'],
        ['ipv6', long],
        ['1.2.3.4', '1.2.3.4'],
        ['127.0.0.1', '127.0.0.1'],
      ]);
      for (let i = 0; i < 3; i++) await statusOf('POST', pathOf(wh), ['X-Forwarded-For: 203.0.113.9']);
      expect((await stored(wh)).at(-1)?.ip).toBe('127.0.0.1');
      expect(service.log.lines.filter(({ message }) => message.includes('TRUST_PROXY'))).toHaveLength(1);
      expect(trusting.log.lines.filter(({ message }) => message.includes('TRUST_PROXY'))).toEqual([]);
    } finally {
      await trusting.close();
    }
  });

  test('is a 503, never a 404, while the database is away', async () => {
    const lost = await startService(database.url, { OLD_URLS: 'https://hooks.example.org' });
    const wh = await service.webhook(user);
    await lost.store.close();
    try {
      for (const target of [pathOf(wh), '/?rid=w2e34t']) {
        const answer = await ask(lost.port, requestOf('POST', target, [], 'x'));
        expect([target, answer.status, answer.headers.has('retry-after')]).toEqual([target, 503, true]);
      }
    } finally {
      await lost.app.close();
    }
  });

  describe('OLD_URLS', () => {
    let old: Service;
    let nextId = 500;
    const add = async (url: string) => {
      const id = nextId++;
      const columns = ['id', 'user_id', 'wh_url', 'wh_name', 'status'];
      await service.store.db.insert('tblwhid', columns, [[id, user.id, Buffer.from(url, 'latin1'), 'Old', 1]]);
      return { wh_id: id };
    };
    beforeAll(async () => {
      await add('https://hooks.example.org/?rid=w2e34t');
      old = await startService(database.url, { OLD_URLS: 'https://hooks.example.org,http://other.example:8080' });
    });
    afterAll(() => old?.close());
    const at = async (target: string, body = 'x') => (await send(requestOf('POST', target, [], body), old.port)).status;

    test('receives what is sent to the address that another application stored, byte for byte', async () => {
      expect(await at('/?rid=w2e34t', 'old')).toBe(200);
      const [row] = await stored({ wh_id: 500 });
      expect(row).toMatchObject({ content: 'old', api: 1, wh_id: 500 });
      expect(row?.request).toMatchObject({ url: '/?rid=w2e34t', public_url: 'https://hooks.example.org/?rid=w2e34t' });
      // These are addresses of the API, which has no POST there.
      for (const other of ['/?rid=w2e34T', '/?rid=w2e34t&', '/?rid=w2e34%74', '//?rid=w2e34t'])
        expect([other, (await ask(old.port, requestOf('POST', other, [], 'x'))).status]).toEqual([other, 405]);
    });

    test('finds a row that another program has just inserted', async () => {
      await at('/?rid=w2e34t');
      const wh = await add('http://other.example:8080/a/b%20c?x=%E9&');
      expect(await at('/a/b%20c?x=%E9&', 'fresh')).toBe(200);
      expect((await stored(wh)).map((row) => row.content)).toEqual(['fresh']);
      await add('https://elsewhere.example/not/ours');
      expect((await ask(old.port, requestOf('POST', '/not/ours', [], 'x'))).status).toBe(404);
    });

    test('leaves the calls of the API alone, whatever somebody stored', async () => {
      for (const path of ['/', '/webhooks', '/whcontent?id=0&whid=0']) await add(`https://hooks.example.org${path}`);
      await sleep(1_100);
      await ask(old.port, requestOf('POST', '/any'));
      const called = async (path: string) => {
        const answer = await fetch(old.url + path, { headers: { authorization: user.auth } });
        return Object.keys((await answer.json().catch(() => ({}))) as object)[0];
      };
      expect(await called('/')).toBe('username');
      expect(await called('/webhooks')).toBe('webhooks');
      expect(await called('/whcontent?id=0&whid=0')).toBe('whcontent');
      expect(await at('/', 'posted')).toBe(200);
    });
  });
});
