// What real senders do beside a plain POST: handshakes that are answered in a header, preflights, trailers, odd Host lines.
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Content, Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { type Answer, ask, requestOf } from '../support/raw.ts';

onEveryEngine('odd senders', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org' });
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const get = async (path: string) =>
    (await fetch(service.url + path, { headers: { authorization: user.auth } })).json() as Promise<never>;
  const stored = async ({ wh_id }: { wh_id: number }): Promise<Content[]> => {
    await service.settle();
    return ((await get(`/whcontent?whid=${wh_id}&limit=100`)) as { whcontent: Content[] }).whcontent;
  };
  /** Waits for the first: refusals are stored behind the answer. */
  const refused = (wh: WebhookDetail): Promise<Refusal[]> =>
    expect
      .poll(async () => ((await get(`/refusals?whid=${wh.wh_id}`)) as { refusals: Refusal[] }).refusals)
      .not.toEqual([])
      .then(async () => ((await get(`/refusals?whid=${wh.wh_id}`)) as { refusals: Refusal[] }).refusals);
  const send = (...request: Parameters<typeof requestOf>): Promise<Answer> => ask(service.port, requestOf(...request));
  const problemOf = ({ headers, body }: Answer) => [
    headers.get('content-type'),
    JSON.parse(body.toString() || '{}').type,
  ];
  const BAD_REQUEST = ['application/problem+json', 'urn:restante:problem:bad-request'];

  // Handshakes -------------------------------------------------------------------------------------------------------

  const ECHO = {
    scheme: 'none',
    handshake: [
      {
        method: 'OPTIONS',
        challenge_from: 'header:WebHook-Request-Origin',
        answer: { body: '', headers: { 'WebHook-Allowed-Origin': '{challenge}', 'X-More': 'for {challenge}' } },
      },
      {
        method: 'GET',
        challenge_from: 'query:c',
        answer: { body: 'got {challenge}', headers: { 'X-Echo': '{challenge}' } },
      },
    ],
  };

  test('a handshake is answered in headers, by OPTIONS too, and the owner sees it among the refusals', async () => {
    const wh = await service.webhook(user, { verify: ECHO });
    const answer = await send('OPTIONS', pathOf(wh), ['WebHook-Request-Origin: eventgrid.azure.net']);
    expect([answer.status, answer.headers.get('webhook-allowed-origin'), answer.headers.get('x-more')]).toEqual([
      200,
      'eventgrid.azure.net',
      'for eventgrid.azure.net',
    ]);
    expect(await stored(wh)).toEqual([]);
    expect(await refused(wh)).toMatchObject([{ kind: 'handshake', request: { method: 'OPTIONS' } }]);
  });

  test.each([
    ['a line break', 'a%0D%0ASet-Cookie:%20x=1'],
    ['a lone CR', 'a%0Db'],
    ['a NUL', 'a%00b'],
    ['letters beyond ASCII', 'gr%C3%BC%C3%9Fe'],
    ['a space at its end', 'a%20'],
    ['3,000 characters', 'a'.repeat(3_000)],
  ])(
    'a challenge with %s cannot be sent in a header: 401 with the reason, and nothing of it in the answer',
    async (_, c) => {
      const wh = await service.webhook(user, { verify: ECHO });
      const answer = await send('GET', `${pathOf(wh)}?c=${c}`);
      expect([answer.status, problemOf(answer)[0]]).toEqual([401, 'application/problem+json']);
      expect([answer.headers.has('x-echo'), answer.headers.has('set-cookie')]).toEqual([false, false]);
      expect(await refused(wh)).toMatchObject([{ kind: 'signature', reason: expect.stringMatching(/challenge/) }]);
    },
  );

  test.each([
    ['Set-Cookie', 'a'],
    ['Location', 'https://elsewhere.example'],
    ['X-Accel-Redirect', '/secret'],
    ['X-Sendfile', '/etc/passwd'],
    ['X-Content-Type-Options', 'none'],
    ['X-A B', 'a'],
    ['X-A', 'a\r\nSet-Cookie: b=1'],
    ['X-A', 'ü'],
    ['X-A', '{chalenge}'],
    ['X-A', '{challenge}{challenge}'],
  ])('refused at creation: a handshake that answers %s: %s', async (name, value) => {
    const verify = {
      scheme: 'none',
      handshake: [{ method: 'GET', challenge_from: 'query:c', answer: { body: '', headers: { [name]: value } } }],
    };
    const answer = await fetch(`${service.url}/webhooks`, {
      method: 'POST',
      headers: { authorization: user.auth },
      body: JSON.stringify({ wh_name: 'Test', verify }),
    });
    const { errors } = (await answer.json()) as { errors?: { path: string }[] };
    expect([answer.status, errors?.[0]?.path]).toEqual([422, 'body.verify.handshake/0.answer.headers']);
  });

  test('refused at creation: more than five headers', async () => {
    const headers = Object.fromEntries([...Array(6)].map((_, i) => [`X-${i}`, 'a']));
    const verify = { scheme: 'none', handshake: [{ challenge_from: 'query:c', answer: { body: '', headers } }] };
    const answer = await fetch(`${service.url}/webhooks`, {
      method: 'POST',
      headers: { authorization: user.auth },
      body: JSON.stringify({ wh_name: 'Test', verify }),
    });
    expect(answer.status).toBe(422);
  });

  test('allow_methods does not stand in the way of a handshake, and goes on for all else', async () => {
    const wh = await service.webhook(user, { verify: ECHO, allow_methods: ['POST'] });
    const origin = ['WebHook-Request-Origin: a.example'];
    expect((await send('OPTIONS', pathOf(wh), origin)).status).toBe(200);
    const plain = await send('OPTIONS', pathOf(wh));
    expect([plain.status, plain.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await send('PUT', pathOf(wh), origin, 'x')).status).toBe(405);
    expect(await stored(wh)).toEqual([]);
    await expect
      .poll(async () => (await refused(wh)).map(({ kind }) => kind))
      .toEqual(['handshake', 'method', 'method']);
  });

  test('Asana: its secret is read from the refusals and set, and what came in between is a content then', async () => {
    const wh = await service.webhook(user, { preset: 'asana' });
    const secret = 'b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81';
    const first = await send('POST', pathOf(wh), [`X-Hook-Secret: ${secret}`, 'Content-Type: application/json'], '{}');
    expect([first.status, first.headers.get('x-hook-secret'), first.body.length]).toEqual([200, secret, 0]);
    const events = '{"events":[{"action":"changed","resource":{"resource_type":"task"}}]}';
    const event = (key: string) =>
      send('POST', pathOf(wh), [`X-Hook-Signature: ${createHmac('sha256', key).update(events).digest('hex')}`], events);
    expect((await event(secret)).status).toBe(200);
    expect(await stored(wh)).toEqual([]);
    await expect.poll(async () => (await refused(wh)).map(({ kind }) => kind)).toEqual(['handshake', 'secret_missing']);
    const list = (await get(`/refusals?whid=${wh.wh_id}&kind=handshake`)) as { refusals: Refusal[] };
    const [handshake] = list.refusals;
    expect(handshake?.reason).toContain('X-Hook-Secret');
    const [, told] = handshake?.request.headers.find(([name]) => name === 'X-Hook-Secret') ?? [];
    await fetch(`${service.url}/webhooks/${wh.wh_id}`, {
      method: 'PATCH',
      headers: { authorization: user.auth },
      body: JSON.stringify({ secrets: [told] }),
    });
    await expect.poll(async () => (await stored(wh)).map(({ content }) => content)).toEqual([events]);
    expect([(await event(secret)).status, (await event('forged')).status]).toEqual([200, 401]);
    expect((await stored(wh)).map(({ request }) => [request?.verified, request?.event_type])).toEqual([
      ['signed', 'task/changed'],
      ['signed', 'task/changed'],
    ]);
  });

  // Preflights -------------------------------------------------------------------------------------------------------

  const PREFLIGHT = [
    'Origin: https://app.example',
    'Access-Control-Request-Method: POST',
    'Access-Control-Request-Headers: content-type,x-sig',
  ];
  const cors = ({ headers }: Answer) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

  test('a preflight is never stored; only a webhook that allows the origin says so', async () => {
    const closed = await service.webhook(user, { allow_methods: ['POST'] });
    const no = await send('OPTIONS', pathOf(closed), PREFLIGHT);
    expect([no.status, cors(no)]).toEqual([204, {}]);
    const open = await service.webhook(user, { allow_origins: ['https://app.example'] });
    const yes = await send('OPTIONS', pathOf(open), PREFLIGHT);
    expect([yes.status, cors(yes)]).toEqual([
      204,
      {
        'access-control-allow-origin': 'https://app.example',
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'content-type,x-sig',
        'access-control-max-age': '600',
      },
    ]);
    const other = await send('OPTIONS', pathOf(open), ['Origin: https://evil.example', ...PREFLIGHT.slice(1)]);
    expect([other.status, cors(other)]).toEqual([204, {}]);
    const any = await service.webhook(user, { allow_origins: ['*'] });
    expect(cors(await send('OPTIONS', pathOf(any), PREFLIGHT))).toMatchObject({ 'access-control-allow-origin': '*' });
    for (const wh of [closed, open, any]) expect(await stored(wh)).toEqual([]);
    expect(((await get(`/refusals?whid=${closed.wh_id}`)) as { refusals: Refusal[] }).refusals).toEqual([]);
    expect((await send('OPTIONS', '/in/unknown', PREFLIGHT)).status).toBe(404);
  });

  test('the page that sent may read the answer, a refusal too', async () => {
    const wh = await service.webhook(user, { allow_origins: ['https://app.example'], max_body_bytes: 3 });
    for (const [body, status] of [
      ['abc', 200],
      ['abcd', 413],
    ] as const) {
      const answer = await send('POST', pathOf(wh), PREFLIGHT.slice(0, 1), body);
      expect([answer.status, cors(answer)]).toEqual([status, { 'access-control-allow-origin': 'https://app.example' }]);
    }
    const other = await send('POST', pathOf(wh), ['Origin: https://evil.example'], 'abc');
    expect([other.status, cors(other)]).toEqual([200, {}]);
  });

  test('an OPTIONS that is no preflight is stored', async () => {
    const wh = await service.webhook(user);
    for (const headers of [[], PREFLIGHT.slice(0, 1), PREFLIGHT.slice(1, 2)])
      expect((await send('OPTIONS', pathOf(wh), headers)).status).toBe(200);
    expect(await stored(wh)).toHaveLength(3);
  });

  // Trailers ---------------------------------------------------------------------------------------------------------

  const chunked = (wh: WebhookDetail, headers: readonly string[], trailers: readonly string[]) =>
    ask(
      service.port,
      Buffer.concat([
        requestOf('POST', pathOf(wh), ['Transfer-Encoding: chunked', ...headers]),
        Buffer.from(['3', 'abc', '0', ...trailers, '', ''].join('\r\n'), 'latin1'),
      ]),
    );

  test('keeps trailers after the headers, but none that a header has said or that may not stand there', async () => {
    const wh = await service.webhook(user);
    const forbidden = [
      'Content-Encoding: gzip',
      'Host: evil',
      'Authorization: Basic x',
      'Proxy-Authorization: Basic x',
    ];
    const more = ['Cookie: a=1', 'Content-Type: text/html', 'X-Forwarded-For: 9.9.9.9', 'Forwarded: for=9.9.9.9'];
    const trailers = ['X-Sig: 12', 'x-first: trailer', 'X-Twice: 1', 'X-Twice: 2', ...forbidden, ...more];
    expect((await chunked(wh, ['Trailer: X-Sig', 'X-First: header'], trailers)).status).toBe(200);
    const [row] = await stored(wh);
    expect([row?.content, row?.request?.ip]).toEqual(['abc', '127.0.0.1']);
    expect(row?.request?.headers).toEqual([
      ['Host', 'hooks.example.org'],
      ['Transfer-Encoding', 'chunked'],
      ['Trailer', 'X-Sig'],
      ['X-First', 'header'],
      ['X-Sig', '12'],
      ['X-Twice', '1'],
      ['X-Twice', '2'],
    ]);
  });

  test('a trailer that speaks of the length of the body is no HTTP', async () => {
    const wh = await service.webhook(user);
    for (const trailer of ['Content-Length: 9', 'Transfer-Encoding: gzip']) {
      const answer = await chunked(wh, [], [trailer]);
      expect([trailer, answer.status, ...problemOf(answer)]).toEqual([trailer, 400, ...BAD_REQUEST]);
    }
    expect(await stored(wh)).toEqual([]);
  });

  test('a signature in a trailer is verified, and one in a header is not overridden', async () => {
    const verify = { scheme: 'shared-secret', secret_from: 'header:X-Token' };
    const wh = await service.webhook(user, { preset: 'generic', verify, secrets: ['right'] });
    expect((await chunked(wh, [], ['X-Token: right'])).status).toBe(200);
    expect((await chunked(wh, [], ['X-Token: wrong'])).status).toBe(401);
    expect((await chunked(wh, ['X-Token: wrong'], ['X-Token: right'])).status).toBe(401);
    expect(await stored(wh)).toHaveLength(1);
  });

  test('headers and trailers together are bounded as headers are', async () => {
    const wh = await service.webhook(user);
    const answer = await chunked(wh, [`X-A: ${'a'.repeat(40_000)}`], [`X-B: ${'b'.repeat(40_000)}`]);
    expect([answer.status, problemOf(answer)[0]]).toEqual([431, 'application/problem+json']);
    expect((await chunked(wh, [], [`X-B: ${'b'.repeat(70_000)}`])).status).toBe(431);
    expect(await stored(wh)).toEqual([]);
    // As many as fit: no turn of the event loop may become long.
    const many = Array.from({ length: 5_500 }, (_, i) => `x${i}:${i % 10}`);
    expect((await chunked(wh, [], many)).status).toBe(200);
    expect((await stored(wh))[0]?.request?.headers).toHaveLength(5_502);
  });

  // Host -------------------------------------------------------------------------------------------------------------

  test('HTTP/1.1 without Host and any request with two of them is a bad request, at the receiver and the API', async () => {
    const wh = await service.webhook(user);
    for (const path of [pathOf(wh), '/whcontent', '/docs', '/nothing']) {
      for (const head of [
        `POST ${path} HTTP/1.1\r\n`,
        `POST ${path} HTTP/1.1\r\nHost: a\r\nHost: a\r\n`,
        `POST ${path} HTTP/1.1\r\nHost: a\r\nX-A: b\r\nhost: c\r\n`,
        `POST ${path} HTTP/1.0\r\nHost: a\r\nHost: c\r\n`,
      ]) {
        const answer = await ask(service.port, `${head}Content-Length: 2\r\n\r\nab`);
        expect([head, answer.status, ...problemOf(answer)]).toEqual([head, 400, ...BAD_REQUEST]);
        expect(JSON.parse(answer.body.toString()).detail).toMatch(/Host/);
        expect(answer.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'");
        expect(answer.headers.get('connection')).toBe('close');
      }
    }
    const head = await ask(service.port, `HEAD ${pathOf(wh)} HTTP/1.1\r\n\r\n`);
    expect([head.status, head.body.length]).toEqual([400, 0]);
    expect((await ask(service.port, `POST ${pathOf(wh)} HTTP/1.0\r\nContent-Length: 2\r\n\r\nab`)).status).toBe(200);
    expect((await stored(wh)).map(({ content }) => content)).toEqual(['ab']);
  });

  test('a large body behind a wrong Host is read on, so that its sender sees the answer', async () => {
    const body = 'x'.repeat(3_000_000);
    const answer = await ask(service.port, `POST /whcontent HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect([answer.status, ...problemOf(answer)]).toEqual([400, ...BAD_REQUEST]);
  });

  test('what node:http cannot parse is answered with a problem as well', async () => {
    for (const text of [
      'hello\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    ]) {
      const answer = await ask(service.port, text);
      expect([text, answer.status, ...problemOf(answer)]).toEqual([text, 400, ...BAD_REQUEST]);
    }
  });
});
