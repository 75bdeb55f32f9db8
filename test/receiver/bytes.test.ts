// Bytes out are bytes in: hostile bodies, other writers' rows, limits and pages, on every engine and in every sql_mode.
import * as fc from 'fast-check';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Content } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { baseTables } from '../support/classic.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { ask, requestOf } from '../support/raw.ts';
import { type DatabaseServer, type Flavour, startServer } from '../support/servers.ts';

const MiB = 1024 * 1024;
const LIMIT = 100_000;
const all256 = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const HOSTILE: readonly Buffer[] = [
  Buffer.alloc(0),
  all256,
  Buffer.from(all256).reverse(),
  ...[
    '\0',
    '\0\0a\0',
    ' trailing \0  ',
    '\ufeff{"bom":1}',
    '😀👩‍👩‍👧‍👦 ü ﷽ \u2028',
    "'); DROP TABLE tblwh; -- \\'",
    '\r\n\r\n',
    'é',
  ].map((t) => Buffer.from(t)),
  ...[
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xff, 0xfe, 0x41, 0],
    [0xe2, 0x82],
    [0x80],
    [0x81, 0x8d, 0x8f, 0x90, 0x9d],
  ].map((b) => Buffer.from(b)),
];

interface Page {
  readonly whcontent: Content[];
  readonly next_id: number;
}
const get = (service: Service, user: TestUser, path: string) =>
  fetch(service.url + path, { headers: { authorization: user.auth } });
const page = async (service: Service, user: TestUser, query: string) =>
  (await get(service, user, `/whcontent?${query}`)).json() as Promise<Page>;
const raw = async (service: Service, user: TestUser, id: number) =>
  Buffer.from(await (await get(service, user, `/whcontent/${id}/raw`)).arrayBuffer());
const bytesOf = ({ content, encoding }: Content): Buffer => {
  expect(encoding).not.toBe('windows-1252');
  return Buffer.from(content ?? '', encoding === 'base64' ? 'base64' : 'utf8');
};
async function everything(service: Service, user: TestUser, whid: number | 'all'): Promise<Content[]> {
  const rows: Content[] = [];
  await service.settle();
  for (let id = 0; ; ) {
    const { whcontent, next_id } = await page(service, user, `whid=${whid}&id=${id}&limit=100`);
    if (whcontent.length === 0) return rows;
    rows.push(...whcontent);
    id = next_id;
  }
}
const post = (service: Service, webhook: WebhookDetail, body: Buffer) =>
  fetch(service.url + pathOf(webhook), { method: 'POST', body: new Uint8Array(body) });

/** Sends all bodies at once and compares what comes back, in the list and raw. */
async function roundTrip(service: Service, user: TestUser, bodies: readonly Buffer[]): Promise<void> {
  const webhook = await service.webhook(user);
  const statuses = await Promise.all(bodies.map(async (body) => (await post(service, webhook, body)).status));
  expect(statuses).toEqual(bodies.map(() => 200));
  const rows = await everything(service, user, webhook.wh_id);
  const hex = (list: readonly Buffer[]) => list.map((bytes) => bytes.toString('hex')).sort();
  expect(hex(rows.map(bytesOf))).toEqual(hex(bodies));
  for (const row of rows) expect((await raw(service, user, row.id)).equals(bytesOf(row))).toBe(true);
}

onEveryEngine('bytes', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { MAX_BODY_BYTES: String(LIMIT) });
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  /** A row as another application writes it. Text takes the way of its connection's character set. */
  const foreign = async (content: Buffer | string, wh_id = 77, of = user) => {
    const row = [content, '1.2.3.4', 1, 'any', of.id, wh_id];
    const ids = await service.store.db.insertIds('tblwh', ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], [row]);
    await service.settle();
    return ids;
  };
  const own = async (target: string, headers: readonly string[], body: string | Buffer) => {
    const answer = await ask(
      service.port,
      requestOf('POST', target, [`Authorization: ${user.auth}`, ...headers], body),
    );
    return { status: answer.status, ...JSON.parse(answer.body.toString()) } as { status: number; id: number };
  };

  test('keeps hostile bytes, in the strict sql_mode that servers have by default', async () => {
    if (engine !== 'sqlite') {
      const [mode] = await service.store.db.all<{ m: string }>('SELECT @@sql_mode AS m');
      expect(mode?.m).toContain('STRICT_TRANS_TABLES');
    }
    await roundTrip(service, user, HOSTILE);
  });

  test('keeps whatever bytes anybody thinks of', async () => {
    const bodies = fc.sample(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ unit: 'binary' }).map((t) => Buffer.from(t)),
      ),
      150,
    );
    await roundTrip(
      service,
      user,
      bodies.map((bytes) => Buffer.from(bytes)),
    );
  });

  test('takes a body of exactly the limit and refuses one byte more, declared or in chunks', async () => {
    const webhook = await service.webhook(user);
    const chunked = (size: number) => {
      const head = requestOf('POST', pathOf(webhook), ['Transfer-Encoding: chunked']);
      const chunks = [1_000, size - 1_000].map((n) => `${n.toString(16)}\r\n${'\xff'.repeat(n)}\r\n`).join('');
      return Buffer.concat([head, Buffer.from(`${chunks}0\r\n\r\n`, 'latin1')]);
    };
    for (const [size, status] of [
      [LIMIT, 200],
      [LIMIT + 1, 413],
    ] as const) {
      expect((await post(service, webhook, Buffer.alloc(size, 255))).status).toBe(status);
      expect((await ask(service.port, chunked(size))).status).toBe(status);
      expect((await own('/whcontent', [], Buffer.alloc(size, 255))).status).toBe(status === 200 ? 201 : 413);
    }
    const rows = await everything(service, user, webhook.wh_id);
    expect(rows.map((row) => bytesOf(row).equals(Buffer.alloc(LIMIT, 255)))).toEqual([true, true]);
  });

  test('reads the rows of others as UTF-8, else as windows-1252, with the right characters', async () => {
    const text = '€ äöü “quoted” – ™ \x81\x8d\x8f\x90\x9d ÿ';
    const bytes = Buffer.from('8020e4f6fc209371756f74656494209620992081' + '8d8f909d20ff', 'hex');
    const [id = 0] = await foreign(engine === 'sqlite' ? bytes : text);
    const [utf8 = 0] = await foreign(Buffer.from('€ äöü 😀'));
    const [empty = 0] = await foreign('');
    expect(await raw(service, user, id)).toEqual(bytes);
    const rows = await everything(service, user, 77);
    const seen = new Map(rows.map((row) => [row.id, [row.content, row.encoding, row.request]]));
    expect(seen.get(id)).toEqual([text, 'windows-1252', null]);
    expect(seen.get(utf8)).toEqual(['€ äöü 😀', 'utf-8', null]);
    expect(seen.get(empty)).toEqual(['', 'utf-8', null]);
  });

  test('reads the rows of others, and only theirs, as CONTENT_ENCODING says', async () => {
    const someone = await service.user();
    const webhook = await service.webhook(someone);
    await foreign(Buffer.from('é'), 5, someone);
    await foreign(Buffer.from([0xe9, 0x2e, 0x80]), 5, someone);
    await post(service, webhook, Buffer.from('é'));
    await post(service, webhook, Buffer.from([0xe9]));
    const rules = [
      ['auto', ['é', 'utf-8'], ['é.€', 'windows-1252']],
      ['utf-8', ['é', 'utf-8'], ['\ufffd.\ufffd', 'utf-8']],
      ['windows-1252', ['Ã©', 'windows-1252'], ['é.€', 'windows-1252']],
    ] as const;
    const check = async ([rule, ...theirs]: (typeof rules)[number]) => {
      const other = await startService(database.url, { CONTENT_ENCODING: rule });
      const rows = await everything(other, someone, 'all');
      await other.close();
      const ours = [
        ['é', 'utf-8'],
        ['6Q==', 'base64'],
      ];
      expect([rule, ...rows.map((row) => [row.content, row.encoding])]).toEqual([rule, ...theirs, ...ours]);
    };
    await Promise.all(rules.map(check));
  });

  test('takes own content from the query, from a JSON member, else as it is', async () => {
    const cases: readonly (readonly [
      target: string,
      headers: readonly string[],
      body: string | Buffer,
      kept: string | Buffer,
    ])[] = [
      ['?content=a%20b+c%C3%A9%EF%BF%BD', [], '', 'a b cé\ufffd'],
      ['?whatever=1&content=%00', [], '', '\0'],
      ['', ['Content-Type: application/json'], '{"content":"\\u00e9\\n\\u0000"}', 'é\n\0'],
      ['', [], ' \r\n{ "content" : "x" } ', 'x'],
      ['', ['Content-Type: text/plain'], '{"content":"{\\"a\\":1}"}', '{"a":1}'],
    ];
    const asIs = [
      ...[
        '{"content":"x","more":1}',
        '{"content":1}',
        '{"content":null}',
        '{"content":["x"]}',
        '{}',
        '[]',
        '["content"]',
        '"content"',
        '{"Content":"x"}',
        '{"content":"x"',
        '{"content":"\\ud800"}',
        'content=x',
        '\0',
      ].map((t) => Buffer.from(t)),
      Buffer.from('\ufeff{"content":"bom"}'),
      // Not UTF-8, therefore not JSON.
      Buffer.from('{"content":"\xe9\xff"}', 'latin1'),
      ...HOSTILE.slice(1),
    ];
    const types = [
      'weird/;;;',
      '',
      'application/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'text/plain; charset=utf-16',
      'é',
    ];
    const bodies = [
      ...cases,
      ...asIs.map((body, i) => ['', [`Content-Type: ${types[i % types.length]}`], body, body] as const),
    ];
    for (const [query, headers, body, kept] of bodies) {
      const { status, id } = await own(`/whcontent${query}`, headers, body);
      expect([query, body, status]).toEqual([query, body, 201]);
      expect([body, await raw(service, user, id)]).toEqual([body, Buffer.from(kept)]);
    }
    const mine = await everything(service, user, 0);
    const last = mine.at(-1);
    expect([last?.api, last?.wh_id, last?.request, last?.encoding]).toEqual([0, 0, null, 'base64']);
  });

  test('refuses own content that is missing, there twice or not text, and keeps nothing of it', async () => {
    const before = (await everything(service, user, 0)).length;
    const bad: readonly [string, string][] = [
      ['', ''],
      ['?content=a', 'b'],
      ['?content=a&content=b', ''],
      ['?content=%ff', ''],
      ['?content=a%ED%A0%80', ''],
      ['?other=1', ''],
    ];
    for (const [query, body] of bad)
      expect([query, (await own(`/whcontent${query}`, [], body)).status]).toEqual([query, 422]);
    expect(await everything(service, user, 0)).toHaveLength(before);
  });

  test('ends a page at MAX_PAGE_BYTES, never before its first content', async () => {
    const small = await startService(database.url, { MAX_PAGE_BYTES: '2000' });
    const webhook = await small.webhook(user);
    const sizes = [1_200, 1_200, 5_000, 10, 10, 3_000, 0, 1_500];
    for (const size of sizes) await post(small, webhook, Buffer.alloc(size, 'x'));
    for (const order of ['asc', 'desc']) {
      const seen: number[] = [];
      const lengths: number[] = [];
      for (let id: number | string = order === 'asc' ? 0 : 'latest'; ; ) {
        const { whcontent, next_id } = await page(
          small,
          user,
          `whid=${webhook.wh_id}&id=${id}&order=${order}&limit=100`,
        );
        if (whcontent.length === 0) break;
        const bytes = whcontent.reduce((sum, row) => sum + (row.content?.length ?? 0), 0);
        expect(bytes <= 2_000 || whcontent.length === 1).toBe(true);
        seen.push(...whcontent.map((row) => row.content?.length ?? 0));
        lengths.push(whcontent.length);
        id = next_id;
        if (order === 'desc' && seen.length === sizes.length) break;
      }
      expect(seen).toEqual(order === 'asc' ? sizes : sizes.toReversed());
      expect(Math.max(...lengths)).toBeGreaterThan(1);
    }
    await small.close();
  });

  test('does not serve a request that belongs to another content', async () => {
    for (const lie of ['crc = 4294967295 - crc', 'size = size + 1']) {
      const webhook = await service.webhook(user);
      const answer = await fetch(service.url + pathOf(webhook), {
        method: 'POST',
        body: 'mine',
        headers: { 'content-type': 'a/b' },
      });
      expect(answer.status).toBe(200);
      const [before] = await everything(service, user, webhook.wh_id);
      expect(before?.request?.method).toBe('POST');
      await service.store.db.run(`UPDATE restante_request SET ${lie} WHERE id = ?`, [before?.id ?? 0]);
      const [after] = await everything(service, user, webhook.wh_id);
      expect(after).toMatchObject({ content: 'mine', request: null });
      const bytes = await get(service, user, `/whcontent/${before?.id}/raw`);
      expect([bytes.headers.get('x-original-content-type'), await bytes.text()]).toEqual([null, 'mine']);
    }
  });

  test('goes on storing when another application empties tblwh and its ids begin again', async () => {
    const webhook = await service.webhook(user);
    const bodies = Array.from({ length: 30 }, (_, i) => Buffer.from(`old ${i}`));
    await Promise.all(bodies.map((body) => post(service, webhook, body)));
    const { db } = service.store;
    if (engine === 'sqlite') {
      await db.run('DELETE FROM tblwh');
      await db.run("DELETE FROM sqlite_sequence WHERE name = 'tblwh'");
    } else await db.ddl('TRUNCATE TABLE tblwh');
    const [id = 0] = await foreign('theirs now');
    expect(id).toBe(1);
    // It is noticed within a second.
    await vi.waitFor(
      async () =>
        expect((await everything(service, user, 77)).map((row) => [row.content, row.request])).toEqual([
          ['theirs now', null],
        ]),
      { timeout: 5_000, interval: 100 },
    );
    await roundTrip(
      service,
      user,
      Array.from({ length: 200 }, (_, i) => Buffer.from(`new ${i}`)),
    );
    const rows = await everything(service, user, 'all');
    expect(rows.slice(1).every((row) => row.request?.headers.some(([name]) => name === 'content-length'))).toBe(true);
  });
});

describe.each(['mariadb', 'mysql'] satisfies Flavour[])('a %s of its own', (flavour) => {
  let server: DatabaseServer;
  let url: string;
  beforeAll(async () => {
    server = await startServer(flavour, { args: ['--sql-mode='] });
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE loose');
    await connection.query('USE loose');
    for (const sql of baseTables) await connection.query(sql);
    await connection.end();
    url = `${server.url}loose`;
    const db = await openDb(url);
    await migrate(db, false, () => {});
    await db.close();
  });
  afterAll(async () => {
    await server?.kill();
    await server?.stop();
  });

  test('keeps hostile bytes on a server without a strict sql_mode', async () => {
    const service = await startService(url);
    const [mode] = await service.store.db.all<{ m: string }>('SELECT @@GLOBAL.sql_mode AS m');
    expect(mode?.m).not.toContain('STRICT');
    await roundTrip(service, await service.user(), HOSTILE);
    await service.close();
  });

  test('lowers the limit to three quarters of a small max_allowed_packet', async () => {
    const packet = async (size: number) => {
      const connection = await createConnection(server.url);
      await connection.query(`SET GLOBAL max_allowed_packet = ${size}`);
      await connection.end();
    };
    await packet(2 * MiB);
    const service = await startService(url);
    await packet(64 * MiB);
    const user = await service.user();
    const webhook = await service.webhook(user);
    const status = async (size: number) => (await post(service, webhook, Buffer.alloc(size, 0xfe))).status;
    const most = 1.5 * MiB;
    expect(await Promise.all([most, most + 1, 2 * MiB, 3 * MiB, most].map(status))).toEqual([200, 413, 413, 413, 200]);
    const mine = await fetch(`${service.url}/whcontent`, {
      method: 'POST',
      body: new Uint8Array(most + 1),
      headers: { authorization: user.auth },
    });
    expect(mine.status).toBe(413);
    const rows = await everything(service, user, webhook.wh_id);
    expect(rows.map((row) => bytesOf(row).equals(Buffer.alloc(most, 0xfe)))).toEqual([true, true]);
    await service.close();
  });
});
