// On the three tables alone, with an account that may only read and insert: the classic calls, their pages and cursors.
import { randomBytes } from 'node:crypto';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { checkClassicConversation, classicUser, seed } from '../support/classic.ts';
import { type Database, emptyDatabase, onEveryEngine, type Service, startService } from '../support/engines.ts';

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
const ana = basic(`${classicUser.id}:${classicUser.token}`);
const bo = basic('1002:Zz3v9Zt1Xc7Bn5Mw2Lp8Rj4Hd6Gf0SyB');

interface Page {
  readonly whcontent: readonly { readonly id: number; readonly content: string; readonly wh_id: number }[];
  readonly next_id: number;
  readonly hint?: string;
  readonly reset?: { readonly max_id: number };
}
interface Told {
  readonly detail: string;
  readonly type: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

onEveryEngine('the three tables alone', (engine) => {
  const account = `r_${randomBytes(6).toString('hex')}`;
  let database: Database;
  let url: string;
  let admin: Connection;
  let service: Service;
  beforeAll(async () => {
    database = await emptyDatabase(engine);
    url = database.url;
    if (engine === 'sqlite') {
      const db = await openDb(url);
      await migrate(db, true, () => {});
      for (const sql of seed) await db.run(sql);
      await db.close();
    } else {
      admin = await createConnection(url);
      const name = new URL(url).pathname.slice(1);
      for (const sql of seed) await admin.query(sql);
      await admin.query(`CREATE USER ${account}@'%' IDENTIFIED BY 'secret'`);
      await admin.query(`GRANT SELECT (id, token, status) ON ${name}.tbluser TO ${account}@'%'`);
      await admin.query(`GRANT SELECT ON ${name}.tblwhid TO ${account}@'%'`);
      await admin.query(`GRANT SELECT, INSERT ON ${name}.tblwh TO ${account}@'%'`);
      url = Object.assign(new URL(inject(engine)), {
        username: account,
        password: 'secret',
        pathname: `/${name}`,
      }).href;
    }
    service = await startService(url);
    await service.settle();
  });
  afterAll(async () => {
    await service?.close();
    await admin?.query(`DROP USER IF EXISTS ${account}@'%'`);
    await admin?.end();
    await database?.drop();
  });

  const call = async <T>(path: string, init: RequestInit = {}, at = service) => {
    const answer = await fetch(at.url + path, { ...init, headers: { ...ana, ...init.headers } });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as T };
  };
  const page = async (query: string, headers = ana, at = service) => {
    const { status, body } = await call<Page>(`/whcontent?${query}`, { headers }, at);
    expect(status, query).toBe(200);
    return { ...body, ids: body.whcontent.map((content) => content.id) };
  };

  test('holds the classic conversation', async () => {
    expect(service.store.extended).toBe(engine === 'sqlite');
    await checkClassicConversation(async (method, path, headers) => {
      const answer = await fetch(service.url + path, { method, headers });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
    });
  });

  test('gives next_id as the last id + 1 of a page that was cut, else the first id that nobody has seen yet', async () => {
    expect(await page('whid=7&limit=2')).toMatchObject({ ids: [27, 29], next_id: 30 });
    expect(await page('whid=7&limit=3')).toMatchObject({ ids: [27, 29, 32], next_id: 33 });
    // Not cut: what others got in between needs not be looked at again.
    expect(await page('whid=9')).toMatchObject({ ids: [31], next_id: 34 });
    expect(await page('whid=9&id=34')).toMatchObject({ ids: [], next_id: 34 });
    expect(await page('whid=7&id=latest')).toMatchObject({ ids: [], next_id: 34 });
    expect((await page('whid=7&id=900')).next_id).toBe(900);
  });

  test('tells a reader who is ahead of the table, as after a restored backup, where it ends', async () => {
    expect(await page('whid=7&id=900')).toMatchObject({ ids: [], reset: { max_id: 33 } });
    expect((await page('whid=7&id=34')).reset).toBeUndefined();
  });

  test('lists every webhook with whid=all, and the newest first with order=desc', async () => {
    expect(await page('whid=all')).toMatchObject({ ids: [27, 28, 29, 31, 32, 33], next_id: 34 });
    expect((await page('whid=all', bo)).ids).toEqual([30]);
    expect((await page('whid=all&order=desc')).ids).toEqual([33, 32, 31, 29, 28, 27]);
    expect((await page('whid=7&order=desc&id=31')).ids).toEqual([29, 27]);
    expect((await page('whid=all&order=desc&id=latest&limit=1')).ids).toEqual([33]);
    const seen: number[] = [];
    for (let id = 'latest'; seen.length < 6; ) {
      const { ids, next_id } = await page(`whid=all&order=desc&limit=2&id=${id}`);
      expect(ids).toHaveLength(2);
      seen.push(...ids);
      id = String(next_id);
    }
    expect(seen).toEqual([33, 32, 31, 29, 28, 27]);
  });

  test('clamps limit to 100 and hands out every content once by next_id', async () => {
    const posted = [];
    for (let i = 0; i < 230; i += 23) {
      const post = () => call<{ id: number }>('/whcontent?content=many', { method: 'POST' });
      posted.push(...(await Promise.all(Array.from({ length: 23 }, post))));
    }
    const ids = posted.map(({ status, body }) => (status === 201 ? body.id : 0)).sort((x, y) => x - y);
    await service.settle();
    const seen: number[] = [];
    for (let id = 34; ; ) {
      const got = await page(`id=${id}&limit=100000`);
      if (got.ids.length === 0) break;
      expect(got.ids.length).toBe(Math.min(100, 230 - seen.length));
      seen.push(...got.ids);
      id = got.next_id;
    }
    expect(seen).toEqual(ids);
  });

  test('ends a page at MAX_PAGE_BYTES, never before its first content', async () => {
    const small = await startService(url, { MAX_PAGE_BYTES: '1000' });
    await small.settle();
    const post = (body: string) => call<{ id: number }>('/whcontent', { method: 'POST', body }, small);
    const ids: number[] = [];
    for (const size of [3_000, 400, 400, 400]) ids.push((await post('x'.repeat(size))).body.id);
    const pages: number[][] = [];
    for (let id = ids[0] ?? 0, got = await page(`id=${id}`, ana, small); got.ids.length > 0; ) {
      pages.push(got.ids);
      id = got.next_id;
      got = await page(`id=${id}`, ana, small);
    }
    expect(pages).toEqual([ids.slice(0, 1), ids.slice(1, 3), ids.slice(3)]);
    await small.close();
  });

  test('names the parameter that is wrong', async () => {
    for (const [query, name] of [
      ['limit=0', 'limit'],
      ['limit=-1', 'limit'],
      ['limit=', 'limit'],
      ['limit=1.5', 'limit'],
      ['id=-1', 'id'],
      ['id=abc', 'id'],
      ['id=', 'id'],
      ['id=1&id=2', 'id'],
      ['whid=ALL', 'whid'],
      ['whid=7x', 'whid'],
      ['order=up', 'order'],
    ] as const) {
      const { status, headers, body } = await call<Told>(`/whcontent?${query}`);
      expect([status, headers.get('content-type')], query).toEqual([422, 'application/problem+json']);
      expect(
        body.errors?.map(({ path }) => path.split('.').at(-1)),
        query,
      ).toEqual([name]);
      expect(body.detail).toContain(name);
    }
    const huge = `id=${'9'.repeat(15)}&whid=4294967296&limit=${'9'.repeat(30)}`;
    expect((await page(huge)).ids).toEqual([]);
    expect((await call('/whcontent/99999999999')).status).toBe(404);
    expect((await call('/whcontent/18446744073709551616')).status).toSatisfy(
      (status) => status === 404 || status === 422,
    );
  });

  test('ignores what a classic call does not know, and says so', async () => {
    const body = await page('whid=7&wh_id=7&__proto__=x');
    expect(body.ids).toEqual([27, 29, 32]);
    expect(body.hint).toContain('wh_id');
    for (const path of ['/?x=1', '/webhooks?x=1', '/whcontent/27?x=1'])
      expect((await call<{ hint?: string }>(path)).body.hint, path).toContain('x');
    expect((await page('whid=7')).hint).toBeUndefined();
  });

  test("names the user's webhooks and whid=all to who asks without whid and finds nothing", async () => {
    const { hint } = await page('', bo);
    expect(hint).toContain('whid=all');
    expect(hint).toMatch(/\b8\b/);
    // The likeliest mistake of all is a name that is almost right: both are told then.
    const both = await page('wh_id=8', bo);
    expect(both.hint).toMatch(/whid=all/);
    expect(both.hint).toMatch(/wh_id/);
    expect((await page('whid=0', bo)).hint).toBeUndefined();
    expect((await page('whid=9&id=34')).hint).toBeUndefined();
    expect((await page('id=28&limit=1')).hint).toBeUndefined();
  });

  test('gives back the exact bytes, and answers a browser nothing it could run', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const posted = await call<{ id: number }>('/whcontent', { method: 'POST', body: every });
    for (const [id, bytes] of [
      [27, Buffer.from('{"id":"evt_1","type":"charge.succeeded"}')],
      [posted.body.id, every],
    ] as const) {
      const raw = await fetch(`${service.url}/whcontent/${id}/raw`, { headers: ana });
      expect(Buffer.from(await raw.arrayBuffer()).equals(bytes)).toBe(true);
      expect(raw.headers.get('content-type')).toBe('application/octet-stream');
      expect(raw.headers.get('content-disposition')).toMatch(/^attachment/);
      expect(raw.headers.get('x-content-type-options')).toBe('nosniff');
      expect(raw.headers.get('content-security-policy')).toContain('sandbox');
    }
    expect((await call('/whcontent/30/raw')).status).toBe(404);
  });

  test('lists at once what was just posted', async () => {
    for (let i = 0; i < 20; i++) {
      const { body } = await call<{ id: number }>('/whcontent?content=now', { method: 'POST' });
      // A busy machine may need longer than the 300 ms that a list waits for what its user has just posted.
      expect((await page(`id=${body.id}&limit=1&wait=2`)).ids).toEqual([body.id]);
    }
  });

  if (engine !== 'sqlite')
    test('says what needs restante migrate, and never tried to change the schema', async () => {
      const json = { headers: { 'content-type': 'application/json' } };
      for (const [path, init] of [
        ['/webhooks', { method: 'POST', body: '{"wh_name":"x"}', ...json }],
        ['/webhooks/7', {}],
        ['/webhooks/7', { method: 'PATCH', body: '{}', ...json }],
        ['/webhooks/7', { method: 'DELETE' }],
        ['/webhooks/7/rotate', { method: 'POST', body: '{}', ...json }],
        ['/refusals', {}],
        ['/refusals/1', {}],
      ] as const) {
        const { status, body } = await call<Told>(path, init);
        expect([status, body.type], path).toEqual([409, 'urn:restante:problem:needs-migrate']);
        expect(body.detail).toContain('restante migrate');
      }
      const received = await fetch(`${service.url}/in/Vt3kZq8LxN2pWc7RmB4yJd9s`, { method: 'POST', body: 'x' });
      expect(received.status).toBe(503);
      expect(Number(received.headers.get('retry-after'))).toBeGreaterThan(0);
      const [tables] = (await admin.query('SHOW TABLES')) as unknown as [object[]];
      expect(tables.map((table) => Object.values(table)[0])).toEqual(['tbluser', 'tblwh', 'tblwhid']);
      if (engine !== 'mysql') return;
      // MariaDB has its performance schema switched off.
      const sql = `SELECT event_name AS name FROM performance_schema.events_statements_summary_by_user_by_event_name
      WHERE user = ? AND count_star > 0 AND event_name REGEXP 'create|alter|drop|truncate|update|delete|grant|error'`;
      const [run] = (await admin.query(sql, [account])) as unknown as [object[]];
      expect(run).toEqual([]);
    });
});
