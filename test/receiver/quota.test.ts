// Rates and quotas: who is over is told when to come again, is noted once, and is in nobody else's way.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { storedBytes } from '../../src/store/backlog.ts';
import { assignPositions } from '../../src/store/positions.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
} from '../support/engines.ts';

onEveryEngine('rates and quotas', (engine) => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url, { RATE_PER_WEBHOOK: '1', RATE_PER_USER: '2', QUOTA_MB_PER_USER: '1' });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const times = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));
  const count = (answers: readonly Response[], wanted: number) =>
    answers.filter(({ status }) => status === wanted).length;
  /** How many more may pass since then: a busy machine takes longer over the same calls. */
  const gaining = (perSecond: number) => {
    const began = performance.now();
    return () => Math.ceil(((performance.now() - began) / 1_000) * perSecond);
  };

  test('a webhook may take ten seconds of its rate at once; beyond it senders are told when to come again', async () => {
    const user = await service.user();
    const [busy, calm] = [await service.webhook(user), await service.webhook(user)];
    const send = (webhook = busy) => fetch(service.url + pathOf(webhook), { method: 'POST', body: 'x' });
    const gained = gaining(1);
    const answers = await times(15, () => send());
    const passed = count(answers, 200);
    expect([passed >= 10, passed <= 10 + gained(), count(answers, 503)]).toEqual([true, true, 15 - passed]);
    const over = answers.find(({ status }) => status === 503);
    expect(over?.headers.get('retry-after')).toBe('1');
    expect(await over?.json()).toMatchObject({ type: 'urn:restante:problem:over-limit' });
    expect((await send(calm)).status).toBe(200);
    // What is asked of us costs nothing: HEAD is how some look whether a URL is there.
    expect((await fetch(service.url + pathOf(busy), { method: 'HEAD' })).status).toBe(200);
    const again = gaining(1);
    await sleep(1_100);
    const later = await times(3, () => send());
    expect([count(later, 200) >= 1, count(later, 200) <= again()]).toEqual([true, true]);
    const sql = 'SELECT kind, reason FROM restante_refusal WHERE wh_id = ?';
    await expect.poll(() => service.store.db.all(sql, [busy.wh_id])).toHaveLength(1);
    const page = await fetch(`${service.url}/refusals?kind=limit`, { headers: { authorization: user.auth } });
    expect((await page.json()) as object).toMatchObject({
      refusals: [{ kind: 'limit', reason: expect.stringContaining('This webhook may receive 1 requests a second') }],
    });
  });

  test("a user's webhooks and own contents share his rate; another user's are not touched", async () => {
    const [user, other] = [await service.user(), await service.user()];
    const hooks = [await service.webhook(user), await service.webhook(user)];
    const gained = gaining(2);
    for (const hook of hooks) await times(9, () => fetch(service.url + pathOf(hook), { method: 'POST', body: 'x' }));
    const post = (who: typeof user) =>
      fetch(`${service.url}/whcontent?content=own`, { method: 'POST', headers: { authorization: who.auth } });
    const answers = await times(6, () => post(user));
    const passed = count(answers, 201);
    expect([passed >= 2, passed <= 2 + gained(), count(answers, 503)]).toEqual([true, true, 6 - passed]);
    expect((await post(other)).status).toBe(201);
  });

  test('a user who has stored his quota gets no more until there is room', async () => {
    const [user, other] = [await service.user(), await service.user()];
    const post = (who: typeof user, body: string) =>
      fetch(`${service.url}/whcontent`, { method: 'POST', body, headers: { authorization: who.auth } });
    expect((await post(user, 'a'.repeat(600_000))).status).toBe(201);
    await sleep(200);
    expect((await post(user, 'b'.repeat(600_000))).status).toBe(201);
    const refused = await post(user, 'c');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60']);
    expect(await refused.text()).toContain('1 MB stored');
    expect((await post(other, 'c')).status).toBe(201);
    // Another process counts what is there.
    const again = await startService(database.url, { QUOTA_MB_PER_USER: '1' });
    const there = () =>
      fetch(`${again.url}/whcontent?content=d`, { method: 'POST', headers: { authorization: user.auth } });
    await there();
    await expect.poll(async () => (await there()).status).toBe(503);
    await again.close();
  });

  test('headers and refusals count too, here and in another process', async () => {
    const [user, other] = [await service.user(), await service.user()];
    const plain = await service.webhook(user);
    const signed = await service.webhook(other, { preset: 'github', secrets: ['right'] });
    const again = await startService(database.url, { QUOTA_MB_PER_USER: '1' });
    const many = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`x-${i}`, 'h'.repeat(14_000)]));
    const forged = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` };
    const sends = [
      () => fetch(again.url + pathOf(plain), { method: 'POST', headers: many, body: 'x' }),
      () => fetch(again.url + pathOf(signed), { method: 'POST', headers: forged, body: 'f'.repeat(100_000) }),
    ] as const;
    for (const send of sends) {
      let bytes = 0;
      for (; bytes < 3e6 && (await send()).status !== 503; bytes += 56_000) await sleep(20);
      expect(bytes).toBeLessThan(2e6);
    }
    await again.close();
    const third = await startService(database.url, { QUOTA_MB_PER_USER: '1' });
    for (const webhook of [plain, signed])
      await expect
        .poll(async () => (await fetch(third.url + pathOf(webhook), { method: 'POST', body: 'x' })).status)
        .toBe(503);
    await third.close();
  });

  test('many contents are counted in parts, and nobody waits for it', async () => {
    const user = await service.user();
    const { db } = service.store;
    const count = 9_000;
    for (let from = 0; from < count; from += 500) {
      const rows = Array.from({ length: 500 }, () => [Buffer.from('0123456789'), '', 0, '', user.id, 0] as const);
      const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
      const ids = await db.insertIds('tblwh', columns, rows);
      const requests = ids.map((id) => [id, 10, 0, 1, '', null] as const);
      await db.insert('restante_request', ['id', 'size', 'crc', 'received_ms', 'ip', 'head'], requests);
    }
    // On SQLite whoever inserts gives the places too.
    const rows = await db.all<{ id: number }>('SELECT id FROM tblwh WHERE user_id = ?', [user.id]);
    if (db.kind === 'sqlite')
      await assignPositions(
        db,
        rows.map(({ id }) => ({ id, user_id: user.id, wh_id: 0 })),
      );
    await expect
      .poll(
        async () => {
          const [row] = await db.all<{ n: number }>('SELECT COUNT(*) AS n FROM restante_position WHERE user_id = ?', [
            user.id,
          ]);
          return row?.n;
        },
        { timeout: 10_000 },
      )
      .toBe(count);
    // Four parts are full, and after each the others have their turn.
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    expect(await storedBytes(db, user.id)).toBe(10 * count);
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});
