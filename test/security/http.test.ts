// What is not quite HTTP: requests hidden in requests, and split answers. One request has one answer.
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
import { ask, requestOf, talk } from '../support/raw.ts';

let database: Database;
let service: Service;
let user: TestUser;
let webhook: WebhookDetail;
const TOKEN = 'the-token-of-the-first-user';
const auth = `Authorization: Basic ${Buffer.from(`1:${TOKEN}`).toString('base64')}`;
beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url, { PUBLIC_URL: 'https://hooks.example.org/base' });
  user = await service.user(TOKEN);
  webhook = await service.webhook(user);
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

/** All that comes back until the server closes, or is silent for a moment. */
async function exchange(bytes: string): Promise<string> {
  const line = await talk(service.port);
  let got = '';
  line.socket.on('data', (data) => (got += data.toString('latin1')));
  line.send(bytes);
  await Promise.race([line.closed, sleep(250)]);
  line.end();
  return got;
}
const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));

describe('request smuggling', () => {
  /** A request that a proxy in front may have taken for a body. */
  const hidden = `POST /whcontent?content=smuggled HTTP/1.1\r\nHost: x\r\n${auth}\r\nContent-Length: 0\r\n\r\n`;
  const chunks = `0\r\n\r\n${hidden}`;
  const cl = `Content-Length: ${chunks.length}`;
  const te = 'Transfer-Encoding: chunked';
  const cases: readonly (readonly [string, string, string])[] = [
    ['both lengths', `${cl}\r\n${te}`, chunks],
    ['both lengths, the other way round', `${te}\r\n${cl}`, chunks],
    ['two lengths', `Content-Length: 0\r\nContent-Length: ${hidden.length}`, hidden],
    ['two equal lengths', `Content-Length: 4\r\nContent-Length: 4`, 'abcd'],
    ['a list of lengths', `Content-Length: 0, ${hidden.length}`, hidden],
    ['a length with a sign', `Content-Length: +${hidden.length}`, hidden],
    ['a negative length', 'Content-Length: -1', hidden],
    ['a length in hex', 'Content-Length: 0x10', hidden],
    ['a length beyond 64 bits', 'Content-Length: 99999999999999999999999', hidden],
    ['a space before the colon', `Content-Length : ${hidden.length}`, hidden],
    ['chunked with a space before the colon', `${cl}\r\nTransfer-Encoding : chunked`, chunks],
    ['chunked after a tab', `${cl}\r\nTransfer-Encoding:\tchunked`, chunks],
    ['chunked in quotes', `${cl}\r\nTransfer-Encoding: "chunked"`, chunks],
    ['an unknown coding', `${cl}\r\nTransfer-Encoding: xchunked`, chunks],
    ['chunked that is not last', `${cl}\r\nTransfer-Encoding: chunked, identity`, chunks],
    ['identity beside chunked', `${cl}\r\nTransfer-Encoding: identity\r\n${te}`, chunks],
    ['chunked after a vertical tab', `${cl}\r\nTransfer-Encoding: \x0bchunked`, chunks],
    ['chunked in a folded line', `${cl}\r\nTransfer-Encoding:\r\n chunked`, chunks],
    ['a length in a folded line', `X: y\r\n Content-Length: ${hidden.length}`, hidden],
    ['a bare line feed in the head', `X: y\nContent-Length: ${hidden.length}`, hidden],
    ['a bare carriage return in the head', `X: y\rContent-Length: ${hidden.length}`, hidden],
    ['a NUL in the head', `X: y\0\r\n${cl}`, chunks],
    ['chunk sizes that are none', te, `0x0\r\n\r\n${hidden}`],
    ['a chunk size with a sign', te, `-1\r\n\r\n${hidden}`],
    ['a chunk size beyond 64 bits', te, `fffffffffffffffff\r\n${hidden}`],
    ['a bare line feed after a chunk size', te, `0\n\n${hidden}`],
    ['a line feed in a chunk extension', te, `0;\n\r\n${hidden}`],
    ['too many bytes in a chunk', te, `1\r\nab\r\n0\r\n\r\n${hidden}`],
  ];

  for (const [where, line] of [
    ['the receiver', () => `POST ${pathOf(webhook).replace('/base', '')} HTTP/1.1`],
    ['the API', () => 'POST /whcontent HTTP/1.1'],
  ] as const)
    test.each(cases)(`${where}: %s`, async (_, headers, body) => {
      const got = await exchange(`${line()}\r\nHost: x\r\n${auth}\r\n${headers}\r\n\r\n${body}`);
      const statuses = statusesIn(got);
      // Refused and cut off; or one request, of which nothing is left over to be another one's beginning.
      const refused = statuses.filter((status) => status === 400);
      const taken = statuses.filter((status) => status < 300);
      if (refused.length > 0) expect(got.toLowerCase()).toContain('connection: close');
      expect([statuses, taken.length + refused.length]).toEqual([statuses, statuses.length]);
      expect(taken.length).toBeLessThanOrEqual(1);
      const own = (await ask(service.port, requestOf('GET', '/whcontent?whid=0&limit=100', [auth]))).body.toString();
      expect(own).not.toContain('"smuggled"');
    });

  test('HTTP/1.0 with chunks, and a chunk extension of 100 KB', async () => {
    const path = pathOf(webhook).replace('/base', '');
    const old = await exchange(`POST ${path} HTTP/1.0\r\n${te}\r\n\r\n${chunks}`);
    expect(statusesIn(old).filter((status) => status < 300).length).toBeLessThanOrEqual(1);
    const long = await exchange(
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${te}\r\n\r\n1;${'x'.repeat(100_000)}\r\na\r\n0\r\n\r\n`,
    );
    expect([200, 400, 413, 431]).toContain(statusesIn(long)[0]);
  });

  test('what follows a body that nobody reads is not read as a request', async () => {
    // A GET with a body, and one that is refused before its body is read.
    for (const head of [`GET /webhooks HTTP/1.1\r\nHost: x\r\n${auth}`, 'POST /whcontent HTTP/1.1\r\nHost: x']) {
      const got = await exchange(`${head}\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`);
      expect(statusesIn(got)).toHaveLength(1);
    }
  });
});

describe('split answers', () => {
  test('a line break gets into no header: not from a configured answer, a challenge, a content type or a query', async () => {
    const api = (method: string, path: string, body: object) =>
      ask(service.port, requestOf(method, path, [auth, 'Content-Type: application/json'], JSON.stringify(body)));
    for (const response of [
      { content_type: 'text/plain\r\nX-Evil: 1' },
      { content_type: 'text/html' },
      { status: 302 },
      { status: '200\r\nX-Evil: 1' },
    ])
      expect((await api('POST', '/webhooks', { wh_name: 'x', response })).status).toBe(422);
    const split = 'x\r\nX-Evil: 1\r\n\r\n<script>';
    const answers = [
      await api('PATCH', `/webhooks/${webhook.wh_id}`, { response: { body: split }, allow_methods: ['POST', 'GET'] }),
      await ask(service.port, requestOf('POST', pathOf(webhook).replace('/base', ''), [], 'x')),
      await ask(service.port, requestOf('DELETE', pathOf(webhook).replace('/base', ''), [], 'x')),
    ];
    const encoded = encodeURIComponent(split);
    for (const path of [`/${encoded}`, `/docs/${encoded}`, `/?${encoded}`, `/webhooks?${encoded}=1`, `/in/${encoded}`])
      for (const more of [[auth], ['Accept: text/html'], []])
        answers.push(await ask(service.port, requestOf('GET', path, more)));
    const meta = await service.webhook(user, { preset: 'meta', verify: { token: 'right' } }).catch(() => undefined);
    if (meta) {
      const query = `hub.mode=subscribe&hub.verify_token=right&hub.challenge=${encoded}`;
      answers.push(await ask(service.port, requestOf('GET', `${pathOf(meta).replace('/base', '')}?${query}`)));
    }
    for (const { headers } of answers) expect([...headers.keys()]).not.toContain('x-evil');
  });

  test('a stored content type comes back as one header or not at all', async () => {
    const wh = await service.webhook(user);
    const types = ['text/html', 'a\tb', 'é\x80', `x${'y'.repeat(3_000)}`, 'text/html; charset="\\"', 'a\r\n b: c'];
    for (const type of types)
      await exchange(
        requestOf('POST', pathOf(wh).replace('/base', ''), [`Content-Type: ${type}`], 'x').toString('latin1'),
      );
    await service.settle();
    const list = await ask(service.port, requestOf('GET', `/whcontent?whid=${wh.wh_id}`, [auth]));
    const { whcontent } = JSON.parse(list.body.toString()) as { whcontent: { id: number }[] };
    expect(whcontent.length).toBeGreaterThanOrEqual(5);
    for (const { id } of whcontent) {
      const { status, headers, body } = await ask(service.port, requestOf('GET', `/whcontent/${id}/raw`, [auth]));
      expect([status, body.toString(), headers.get('b')]).toEqual([200, 'x', undefined]);
      expect(headers.get('content-type')).toBe('application/octet-stream');
      expect(headers.get('content-disposition')).toMatch(/^attachment/);
      expect(headers.get('content-security-policy')).toContain('sandbox');
    }
  });
});
