// Every example payload that GitHub publishes, sent signed: verified on arrival, and again from what is fetched.
import { isUtf8 } from 'node:buffer';
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Content } from '../../src/schema/contents.ts';
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
import { requestOf, talk } from '../support/raw.ts';

interface Delivery {
  readonly body: Buffer;
  readonly headers: readonly (readonly [string, string])[];
}

const SECRET = "It's a Secret to Everybody";
const sign = (body: Buffer) => `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
const verifies = (body: Buffer, headers: readonly (readonly string[])[]) => {
  const given = headers.find(([name]) => name === 'X-Hub-Signature-256')?.[1] ?? '';
  return given.length === 71 && timingSafeEqual(Buffer.from(given), Buffer.from(sign(body)));
};

/** As GitHub's sender writes it: compact JSON, its own order and case of headers. */
function deliveries(): Delivery[] {
  const path = createRequire(import.meta.url).resolve('@octokit/webhooks-examples/api.github.com/index.json');
  const groups = JSON.parse(readFileSync(path, 'utf8')) as { name: string; examples: unknown[] }[];
  const examples = groups.flatMap(({ name, examples }) =>
    examples.map((example, i) => {
      // Every other one as a person might have it: indented, CRLF, a trailing newline.
      const text =
        i % 2 === 0 ? JSON.stringify(example) : `${JSON.stringify(example, null, 2).replaceAll('\n', '\r\n')}\n`;
      return { name, body: Buffer.from(text) };
    }),
  );
  // What a service that parses and writes again would change.
  const difficult = [
    Buffer.from('{"id":820982911946154508,"big":9007199254740993}'),
    Buffer.from('{"name":"J\\u00e4rvi","slash":"\\/"}'),
    Buffer.from('{"name":"J\xe4rvi"}', 'latin1'),
    Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]),
    Buffer.from([0x00, 0xff, 0xfe, 0x0d, 0x0a]),
  ].map((body) => ({ name: 'push', body }));
  return [...examples, ...difficult].map(({ name, body }) => {
    const headers = [
      ['Accept', '*/*'],
      ['content-type', 'application/json'],
      ['User-Agent', 'GitHub-Hookshot/044aadd'],
      ['X-GitHub-Delivery', randomUUID()],
      ['X-GitHub-Event', name],
      ['X-GitHub-Hook-ID', '292430182'],
      ['X-GitHub-Hook-Installation-Target-ID', '79929171'],
      ['X-GitHub-Hook-Installation-Target-Type', 'repository'],
      ['X-Hub-Signature', `sha1=${createHmac('sha1', SECRET).update(body).digest('hex')}`],
      ['X-Hub-Signature-256', sign(body)],
    ] as const;
    return { body, headers };
  });
}

onEveryEngine('GitHub', (engine) => {
  const sent = deliveries();
  let database: Database;
  let service: Service;
  let user: TestUser;
  let webhook: WebhookDetail;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    user = await service.user();
    webhook = await service.webhook(user, { preset: 'github', secrets: [SECRET] });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const get = (path: string) => fetch(service.url + path, { headers: { authorization: user.auth } });

  async function fetchAll(limit: number): Promise<Content[]> {
    const rows: Content[] = [];
    for (let id = 0; ; ) {
      const answer = await get(`/whcontent?whid=${webhook.wh_id}&id=${id}&limit=${limit}`);
      const page = (await answer.json()) as { whcontent: Content[]; next_id: number };
      if (page.whcontent.length === 0) return rows;
      rows.push(...page.whcontent);
      id = page.next_id;
    }
  }

  test('takes all of them over a few kept-alive connections', async () => {
    expect(sent.length).toBeGreaterThanOrEqual(329 + 5);
    const queue = [...sent];
    const workers = Array.from({ length: 4 }, async () => {
      const line = await talk(service.port);
      for (let next = queue.shift(); next; next = queue.shift()) {
        const headers = next.headers.map(([name, value]) => `${name}: ${value}`);
        line.send(requestOf('POST', pathOf(webhook), headers, next.body));
        expect((await line.answer()).status).toBe(200);
      }
      line.end();
    });
    await Promise.all(workers);
  });

  test('gives each of them back byte for byte with its headers, and each signature still verifies', async () => {
    const rows = await fetchAll(50);
    expect(rows).toHaveLength(sent.length);
    const seen = new Map(
      rows.map((row) => [row.request?.headers.find(([name]) => name === 'X-GitHub-Delivery')?.[1], row]),
    );
    expect(seen.size).toBe(sent.length);
    for (const { body, headers } of sent) {
      const row = seen.get(headers.find(([name]) => name === 'X-GitHub-Delivery')?.[1]);
      if (!row?.request) throw new Error('one is missing');
      const fetched = Buffer.from(row.content ?? '', row.encoding === 'base64' ? 'base64' : 'utf8');
      expect([row.encoding, row.api, row.wh_id]).toEqual([isUtf8(body) ? 'utf-8' : 'base64', 1, webhook.wh_id]);
      expect(fetched.equals(body)).toBe(true);
      expect(row.request).toMatchObject({ method: 'POST', url: '', public_url: webhook.wh_url, ip: '127.0.0.1' });
      const named = (name: string) => headers.find(([one]) => one === name)?.[1];
      expect(row.request).toMatchObject({
        verified: 'signed',
        event_id: named('X-GitHub-Delivery'),
        event_type: named('X-GitHub-Event'),
        duplicate_of: null,
      });
      const around = [['Host', 'hooks.example.org'], ...headers, ['Content-Length', String(body.length)]];
      expect(row.request.headers).toEqual(around);
      expect(verifies(fetched, row.request.headers)).toBe(true);
      expect(verifies(Buffer.concat([fetched, Buffer.from(' ')]), row.request.headers)).toBe(false);
    }
  });

  test('gives the raw bytes of each, with the type its sender told', async () => {
    const byBody = new Set(sent.map(({ body }) => body.toString('latin1')));
    const rows = await fetchAll(100);
    const check = async ({ id, request }: Content) => {
      const answer = await get(`/whcontent/${id}/raw`);
      const bytes = Buffer.from(await answer.arrayBuffer());
      expect(byBody.has(bytes.toString('latin1'))).toBe(true);
      expect(verifies(bytes, request?.headers ?? [])).toBe(true);
      expect(answer.headers.get('x-original-content-type')).toBe('application/json');
      expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    };
    for (let from = 0; from < rows.length; from += 10) await Promise.all(rows.slice(from, from + 10).map(check));
  });

  test('hands them out in the same order whatever the page size', async () => {
    const ids = (rows: readonly Content[]) => rows.map((row) => row.id);
    const all = ids(await fetchAll(100));
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(ids(await fetchAll(7))).toEqual(all);
  });
});
