// Nobody is harmed by a neighbour: other users, other applications on the tables, other processes of ours.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES } from '../../src/api/app.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import type { Store } from '../../src/store/open.ts';
import { createWebhook, deleteWebhook } from '../../src/store/webhooks.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const tables = [
  'tbluser',
  'tblwhid',
  'tblwh',
  'restante_webhook',
  'restante_key',
  'restante_request',
  'restante_refusal',
  'restante_consumer',
];
/** In everything that is Ana's, so that any of it in an answer to Bo shows. */
const MARK = 'anas-secret';

interface Ids {
  /** A webhook of Ana: one that Restante made, or one of another application. */
  readonly wh: number;
  readonly content: number;
  readonly refusal: number;
  /** What Ana's consumer `hers` has in hand. */
  readonly lease: string;
}
interface Try {
  readonly path: string;
  readonly body?: object;
  /** What Bo may be told; with 200 and 201 the answer must hold nothing of Ana's. */
  readonly status: readonly number[];
}
/** What Bo tries with Ana's ids, call by call of the route table. */
const TRIES: Readonly<Record<string, (ids: Ids) => Try>> = {
  'GET /': () => ({ path: '/', status: [200] }),
  'GET /webhooks': () => ({ path: '/webhooks', status: [200] }),
  'POST /webhooks': () => ({ path: '/webhooks', body: { wh_name: "Bo's" }, status: [201] }),
  'GET /webhooks/:wh_id': ({ wh }) => ({ path: `/webhooks/${wh}`, status: [404] }),
  'PATCH /webhooks/:wh_id': ({ wh }) => ({ path: `/webhooks/${wh}`, body: { enabled: false }, status: [404] }),
  'DELETE /webhooks/:wh_id': ({ wh }) => ({ path: `/webhooks/${wh}`, status: [404] }),
  'POST /webhooks/:wh_id/rotate': ({ wh }) => ({
    path: `/webhooks/${wh}/rotate`,
    body: { grace_seconds: 0 },
    status: [404],
  }),
  'POST /webhooks/:wh_id/test': ({ wh }) => ({ path: `/webhooks/${wh}/test`, body: { type: 'x' }, status: [404] }),
  'GET /whcontent': ({ wh }) => ({ path: `/whcontent?whid=${wh}`, status: [200] }),
  'POST /whcontent': ({ wh }) => ({ path: `/whcontent?content=x&whid=${wh}&user_id=1`, status: [201] }),
  'GET /whcontent/:id': ({ content }) => ({ path: `/whcontent/${content}`, status: [404] }),
  'DELETE /whcontent/:id': ({ content }) => ({ path: `/whcontent/${content}`, status: [404] }),
  'GET /whcontent/:id/raw': ({ content }) => ({ path: `/whcontent/${content}/raw`, status: [404] }),
  'GET /whcontent/:id/trace': ({ content }) => ({ path: `/whcontent/${content}/trace`, status: [404] }),
  'GET /activity': () => ({ path: '/activity', status: [200] }),
  'GET /consumers': () => ({ path: '/consumers', status: [200] }),
  'PUT /consumers/:name': ({ wh }) => ({ path: '/consumers/hers', body: { whid: [wh] }, status: [422] }),
  'GET /consumers/:name': () => ({ path: '/consumers/hers', status: [404] }),
  'DELETE /consumers/:name': () => ({ path: '/consumers/hers', status: [404] }),
  // A name belongs to its user: this makes one of Bo's own.
  'POST /consumers/:name/pull': ({ lease }) => ({ path: '/consumers/hers/pull', body: { ack: lease }, status: [200] }),
  'POST /consumers/:name/ack': ({ lease }) => ({ path: '/consumers/hers/ack', body: { lease }, status: [409] }),
  'POST /consumers/:name/nack': ({ lease }) => ({ path: '/consumers/hers/nack', body: { lease }, status: [409] }),
  'POST /consumers/:name/extend': ({ lease }) => ({ path: '/consumers/hers/extend', body: { lease }, status: [409] }),
  'POST /consumers/:name/seek': ({ content }) => ({
    path: '/consumers/hers/seek',
    body: { id: content },
    status: [200],
  }),
  'GET /consumers/:name/dead': () => ({ path: '/consumers/hers/dead', status: [200] }),
  'POST /consumers/:name/dead/retry': ({ content }) => ({
    path: '/consumers/hers/dead/retry',
    body: { ids: [content] },
    status: [409],
  }),
  'POST /consumers/:name/redeliver': ({ content }) => ({
    path: '/consumers/hers/redeliver',
    body: { ids: [content] },
    status: [409],
  }),
  'GET /refusals': ({ wh }) => ({ path: `/refusals?whid=${wh}`, status: [200] }),
  'GET /refusals/:id': ({ refusal }) => ({ path: `/refusals/${refusal}`, status: [404] }),
  'GET /refusals/:id/raw': ({ refusal }) => ({ path: `/refusals/${refusal}/raw`, status: [404] }),
  'POST /refusals/:id/release': ({ refusal }) => ({
    path: `/refusals/${refusal}/release`,
    body: { force: true },
    status: [404],
  }),
  'POST /refusals/release': ({ wh }) => ({ path: '/refusals/release', body: { whid: wh, force: true }, status: [200] }),
  'GET /healthz': () => ({ path: '/healthz', status: [200] }),
  'GET /metrics': () => ({ path: '/metrics', status: [404] }),
  'GET /readyz': () => ({ path: '/readyz', status: [200] }),
};

onEveryEngine('neighbours', (engine) => {
  let database: Database;
  let a: Service;
  let b: Service;
  let ana: TestUser;
  let bo: TestUser;
  let hers: WebhookDetail;
  let ids: Ids;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    [a, b] = [await startService(database.url), await startService(database.url)];
    [ana, bo] = [await a.user(), await a.user()];
    hers = await a.webhook(ana, { wh_name: MARK, max_body_bytes: 100 });
    await a.store.db.insert(
      'tblwhid',
      ['id', 'user_id', 'wh_url', 'wh_name', 'status'],
      [
        [7, ana.id, `https://hooks.example.org/?rid=${MARK}`, MARK, 1],
        [8, bo.id, 'https://hooks.example.org/?rid=bo', "Bo's old one", 1],
      ],
    );
    await insertForeign(a.store, ana.id, 7);
    await fetch(a.url + pathOf(hers), { method: 'POST', body: MARK });
    const large = { method: 'POST', body: 'x'.repeat(101), headers: { 'x-note': MARK } };
    expect((await fetch(a.url + pathOf(hers), large)).status).toBe(413);
    await a.settle();
    const contents = await json<{ whcontent: { id: number }[] }>(
      await call(ana, 'GET', `/whcontent?whid=${hers.wh_id}`),
    );
    let refusals: { id: number }[] = [];
    // Noted beside the answer, a moment later.
    for (let i = 0; i < 400 && refusals.length === 0; i++, await sleep(20))
      refusals = (await json<{ refusals: { id: number }[] }>(await call(ana, 'GET', '/refusals'))).refusals;
    const pull = await call(ana, 'POST', '/consumers/hers/pull', { wait: 5, lease_seconds: 600 });
    const { lease, items } = await json<{ lease: string; items: object[] }>(pull);
    expect(items.length).toBeGreaterThan(0);
    ids = { wh: hers.wh_id, content: contents.whcontent[0]?.id ?? 0, refusal: refusals[0]?.id ?? 0, lease };
    expect(Math.min(ids.wh, ids.content, ids.refusal)).toBeGreaterThan(0);
  });
  afterAll(async () => {
    await Promise.all([a?.close(), b?.close()]);
    await database?.drop();
  });

  const call = (user: TestUser, method: string, path: string, body?: object, at = a) => {
    const headers = { authorization: user.auth, ...(body ? { 'content-type': 'application/json' } : {}) };
    return fetch(at.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  };
  const json = async <T>(answer: Response) => (await answer.json()) as T;
  const insertForeign = ({ db }: Store, userId: number, whId: number) =>
    db.insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [[MARK, '1.2.3.4', 1, 'a while ago', userId, whId]],
    );
  /** Every row of every table, by table. */
  const everything = async () => {
    const rows: string[] = [];
    for (const table of tables)
      for (const one of await a.store.db.all(`SELECT * FROM ${table}`)) rows.push(`${table} ${JSON.stringify(one)}`);
    return rows;
  };
  const send = (webhook: WebhookDetail, at: Service) => fetch(at.url + pathOf(webhook), { method: 'POST', body: 'x' });

  test.each(ROUTES.map((route) => `${route.method} ${route.url}`))(
    '%s tells and does nothing with the ids of another user',
    async (name) => {
      const before = await everything();
      expect(Object.keys(TRIES), 'a new route needs a case in TRIES').toContain(name);
      for (const wh of [ids.wh, 7]) {
        const { path, body, status } = TRIES[name]?.({ ...ids, wh }) ?? { path: '', status: [] };
        const answer = await call(bo, name.split(' ')[0] ?? '', path, body);
        expect(status, path).toContain(answer.status);
        const text = await answer.text();
        expect(text + JSON.stringify([...answer.headers])).not.toContain(MARK);
        expect(text).not.toContain(pathOf(hers));
      }
      const after = new Set(await everything());
      const own = `"user_id":${bo.id},`;
      expect(before.filter((one) => !after.has(one) && !one.includes(own))).toEqual([]);
      const news = [...after].filter((one) => !before.includes(one) && !/restante_(key|request)/.test(one));
      for (const one of news) expect(one).toContain(`"user_id":${bo.id}`);
    },
  );

  test('a lease is untouched by what others do with it, and by their consumers of the same name', async () => {
    const acked = await call(ana, 'POST', '/consumers/hers/ack', { lease: ids.lease });
    expect(await json<object>(acked)).toMatchObject({ conflicts: [] });
    expect(acked.status).toBe(200);
  });

  test('lists of all webhooks and pages from any id on hold nothing of another user', async () => {
    for (const path of [
      '/whcontent?whid=all',
      '/whcontent?whid=all&order=desc',
      `/whcontent?whid=all&id=${ids.content}`,
      '/refusals',
    ]) {
      const text = await (await call(bo, 'GET', path)).text();
      expect(text, path).not.toContain(MARK);
    }
  });

  test('webhooks of other applications are listed, and nothing else can be done with them', async () => {
    const before = (await everything()).filter((one) => !one.startsWith('restante_'));
    const list = await json<{ webhooks: object[] }>(await call(ana, 'GET', '/webhooks'));
    const foreign = { wh_id: 7, wh_url: `https://hooks.example.org/?rid=${MARK}`, wh_name: MARK, status: 1 };
    expect(list.webhooks).toContainEqual(foreign);
    for (const [method, path, body] of [
      ['GET', '/webhooks/7', undefined],
      ['PATCH', '/webhooks/7', { wh_name: 'mine', enabled: false }],
      ['POST', '/webhooks/7/rotate', { grace_seconds: 0 }],
      ['DELETE', '/webhooks/7', undefined],
    ] as const) {
      const answer = await call(ana, method, path, body);
      expect(answer.status, `${method} ${path}`).toBe(403);
      expect((await json<{ detail: string }>(answer)).detail).toMatch(/another application/);
    }
    expect((await everything()).filter((one) => !one.startsWith('restante_'))).toEqual(before);
  });

  test('a life of a webhook changes no row of another application', async () => {
    const before = await everything();
    const made = await json<WebhookDetail>(await call(ana, 'POST', '/webhooks', { wh_name: 'Life' }));
    const at = `/webhooks/${made.wh_id}`;
    const turned = await json<WebhookDetail>(await call(ana, 'POST', `${at}/rotate`, { grace_seconds: 60 }));
    expect([(await send(made, a)).status, (await send(turned, a)).status]).toEqual([200, 200]);
    await insertForeign(a.store, ana.id, 7);
    expect((await call(ana, 'PATCH', at, { wh_name: 'Renamed', enabled: false })).status).toBe(200);
    expect((await call(ana, 'POST', '/whcontent?content=note')).status).toBe(201);
    expect((await call(ana, 'DELETE', at)).status).toBe(204);
    const after = new Set(await everything());
    expect(before.filter((one) => !after.has(one))).toEqual([]);
    const page = await json<{ whcontent: object[] }>(await call(ana, 'GET', `/whcontent?whid=${made.wh_id}`));
    expect(page.whcontent).toHaveLength(2);
  });

  test('what one process makes the other receives for at once, and what one ends the other refuses within 5 s', async () => {
    const [switched, removed, turned] = [await a.webhook(ana), await a.webhook(ana), await a.webhook(ana)];
    const three = async () => Promise.all([switched, removed, turned].map(async (one) => (await send(one, b)).status));
    expect(await three()).toEqual([200, 200, 200]);
    const began = performance.now();
    await call(ana, 'PATCH', `/webhooks/${switched.wh_id}`, { enabled: false });
    await call(ana, 'DELETE', `/webhooks/${removed.wh_id}`);
    const next = await json<WebhookDetail>(
      await call(ana, 'POST', `/webhooks/${turned.wh_id}/rotate`, { grace_seconds: 0 }),
    );
    expect((await send(next, b)).status).toBe(200);
    let now = await three();
    for (; now.includes(200) && performance.now() - began < 8_000; now = await three()) await sleep(50);
    expect(now).toEqual([503, 404, 404]);
    expect(performance.now() - began).toBeLessThan(5_300);
    expect(Number((await send(switched, b)).headers.get('retry-after'))).toBeGreaterThan(0);
    await call(ana, 'PATCH', `/webhooks/${switched.wh_id}`, { enabled: true });
    expect((await send(switched, b)).status).toBe(200);
  });

  test('what a process has ended or switched off it refuses from the next request on', async () => {
    const [switched, removed, turned] = [await a.webhook(ana), await a.webhook(ana), await a.webhook(ana)];
    const three = async () => Promise.all([switched, removed, turned].map(async (one) => (await send(one, a)).status));
    expect(await three()).toEqual([200, 200, 200]);
    expect((await call(ana, 'PATCH', `/webhooks/${switched.wh_id}`, { enabled: false })).status).toBe(200);
    expect((await call(ana, 'DELETE', `/webhooks/${removed.wh_id}`)).status).toBe(204);
    expect((await call(ana, 'POST', `/webhooks/${turned.wh_id}/rotate`, { grace_seconds: 0 })).status).toBe(200);
    expect(await three()).toEqual([503, 404, 404]);
  });

  test('twenty webhooks made at once are twenty webhooks', async () => {
    const answers = await Promise.all(times(20, () => call(ana, 'POST', '/webhooks', { wh_name: 'One of many' })));
    expect(answers.filter((answer) => answer.status !== 201).map((answer) => answer.status)).toEqual([]);
    const ids = await Promise.all(answers.map(async (answer) => (await json<WebhookDetail>(answer)).wh_id));
    expect(new Set(ids).size).toBe(20);
  });

  test('a user makes so many webhooks as the operator allows, however many calls come at once, and reads them in pages', async () => {
    const few = await startService(database.url, { WEBHOOKS_PER_USER: '7' });
    try {
      const user = await few.user();
      const request = async (method: string, path: string, body?: object) => {
        const answer = await fetch(few.url + path, {
          method,
          headers: { authorization: user.auth },
          ...(body ? { body: JSON.stringify(body) } : {}),
        });
        type Page = { webhooks: { wh_id: number }[]; next_id?: number; hint: string };
        return { status: answer.status, body: (await answer.json().catch(() => undefined)) as Page };
      };
      const make = (i: number) =>
        request('POST', '/webhooks', { wh_name: `w${i}`, response: { body: 'x'.repeat(1_000) } });
      const answers = await Promise.all(times(12, make));
      expect(answers.map(({ status }) => status).sort()).toEqual([...times(7, () => 201), ...times(5, () => 409)]);
      expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({
        type: 'urn:restante:problem:too-many-webhooks',
        detail: expect.stringContaining('7 webhooks'),
      });
      // Those of another application are not ours to bound, but no page and no hint grows with them.
      const theirs = times(1_200, (i) => [3_000_000_000 + user.id * 2_000 + i, user.id, 'u', `theirs${i}`, 1] as const);
      await few.store.db.insert('tblwhid', ['id', 'user_id', 'wh_url', 'wh_name', 'status'], theirs);
      const seen: number[] = [];
      for (let id: number | undefined = 0; id !== undefined; ) {
        const { body }: Awaited<ReturnType<typeof request>> = await request('GET', `/webhooks?id=${id}&limit=500`);
        seen.push(...body.webhooks.map(({ wh_id }) => wh_id));
        id = body.next_id;
      }
      expect(seen).toHaveLength(1_207);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      const whole = await request('GET', '/webhooks?limit=100000');
      expect([whole.body.webhooks.length, whole.body.next_id]).toEqual([1_000, seen[1_000]]);
      const { body } = await request('GET', '/whcontent');
      expect(body.hint.length).toBeLessThan(400);
      expect((await request('DELETE', `/webhooks/${seen[0]}`)).status).toBe(204);
      expect((await make(13)).status).toBe(201);
    } finally {
      await few.close();
    }
  });

  test('rotate needs no body and no grace_seconds', async () => {
    const webhook = await a.webhook(ana);
    const answers = [await call(ana, 'POST', `/webhooks/${webhook.wh_id}/rotate`, {})];
    answers.push(await call(ana, 'POST', `/webhooks/${webhook.wh_id}/rotate`));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect((await send(webhook, b)).status).toBe(200);
  });

  test('ids of webhooks are distinct, whoever makes one at the same moment, and never come back', async () => {
    const made = {
      user_id: ana.id,
      wh_name: 'x',
      wh_url: 'x',
      settings: {},
      sealFor: () => [],
      created_ms: 1,
      idFrom: 2_000_000_000,
      most: 1_000,
    };
    const create = (store: Store, i: number) => createWebhook(store, { ...made, url_key: `k${i}${store === a.store}` });
    const next = async () => {
      const sql = "SELECT COALESCE(MAX(id), 0) + 1, 1, 'x', 'theirs', 1 FROM tblwhid";
      for (let i = 0; i < 8; i++, await sleep(5))
        await b.store.db.run(`INSERT INTO tblwhid (id, user_id, wh_url, wh_name, status) ${sql}`).catch(() => {});
    };
    const all = Promise.all(times(12, (i) => [create(a.store, i), create(b.store, i)]).flat());
    const [numbers] = await Promise.all([all, next()]);
    expect(new Set(numbers).size).toBe(24);
    const rows = await a.store.db.all<{ id: number }>(
      'SELECT t.id FROM tblwhid t JOIN restante_webhook w ON w.wh_id = t.id WHERE t.id >= 2000000000 ORDER BY t.id',
    );
    expect(rows.map(({ id }) => id)).toEqual([...numbers].sort((x, y) => x - y));
    const last = await create(a.store, 100);
    await deleteWebhook(a.store, ana.id, last);
    await a.store.db.run('DELETE FROM tblwhid WHERE id >= 2000000000');
    expect(await create(b.store, 101)).toBeGreaterThan(last);
    expect(last).toBeGreaterThan(Math.max(...numbers));
  });
});
