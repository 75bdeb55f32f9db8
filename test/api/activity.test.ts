// How busy each webhook was, minute by minute; and refusals newest first: what the live page asks.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

const MINUTE = 60_000;

onEveryEngine('activity', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    user = await service.user();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  const get = async (path: string, who = user) => {
    const answer = await fetch(service.url + path, { headers: { authorization: who.auth } });
    // biome-ignore lint/suspicious/noExplicitAny: whatever the call answers
    return { status: answer.status, body: (await answer.json()) as any };
  };

  test('counts the contents of each webhook in each minute, of this user alone', async () => {
    const [one, two] = [await service.webhook(user), await service.webhook(user)];
    const stranger = await service.user();
    const theirs = await service.webhook(stranger);
    for (const webhook of [one, one, one, two, theirs])
      await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'x' });
    await fetch(`${service.url}/whcontent?content=mine`, { method: 'POST', headers: { authorization: user.auth } });
    await service.settle();
    const { status, body } = await get('/activity?minutes=3');
    expect(status).toBe(200);
    const sums = body.webhooks.map(({ wh_id, total, minutes }: { wh_id: number; total: number; minutes: number[] }) => {
      expect(minutes).toHaveLength(3);
      expect(minutes.reduce((sum, n) => sum + n, 0)).toBe(total);
      return [wh_id, total];
    });
    expect(sums).toEqual([
      [0, 1],
      [one.wh_id, 3],
      [two.wh_id, 1],
    ]);
    expect(body.more).toBe(false);
    expect(Math.abs(Date.parse(body.now) - Date.now())).toBeLessThan(10_000);
    expect((await get('/activity', stranger)).body.webhooks.map(({ wh_id }: { wh_id: number }) => wh_id)).toEqual([
      theirs.wh_id,
    ]);
  });

  test('puts each into its minute, and leaves out what is older', async () => {
    const mine = await service.user();
    const webhook = await service.webhook(mine);
    for (let n = 0; n < 4; n++) await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'x' });
    await service.settle();
    const places = await service.store.db.all<{ pos: number }>(
      'SELECT pos FROM restante_position WHERE user_id = ? ORDER BY pos',
      [mine.id],
    );
    const [row] = await service.store.db.all<{ now: number }>(`SELECT ${service.store.db.dialect.nowMs} AS now`);
    const minute = Math.floor((row?.now ?? 0) / MINUTE) * MINUTE;
    // Times never fall with the position: what came before these is as old as the oldest.
    await service.store.db.run('UPDATE restante_position SET seen_ms = ? WHERE pos <= ?', [
      minute - 100 * MINUTE,
      places[0]?.pos ?? 0,
    ]);
    for (const [i, ago] of [100, 2, 2, 0].entries())
      await service.store.db.run('UPDATE restante_position SET seen_ms = ? WHERE pos = ?', [
        minute - ago * MINUTE + (ago ? 59_999 : 0),
        places[i]?.pos ?? 0,
      ]);
    const { body } = await get('/activity?minutes=5', mine);
    const [counts] = body.webhooks;
    const later = Math.floor(Date.parse(body.now) / MINUTE) - minute / MINUTE;
    expect(later === 0 ? counts.minutes : [...counts.minutes].reverse().slice(later).reverse()).toEqual(
      later === 0 ? [0, 0, 2, 0, 1] : expect.arrayContaining([2, 1]),
    );
  });

  test.each(['0', '1441', '-1', 'x', '1.5'])('minutes=%s is refused', async (minutes) => {
    expect((await get(`/activity?minutes=${minutes}`)).status).toBe(422);
  });

  test('refusals come newest first, page by page, none twice', async () => {
    const webhook = await service.webhook(user, { max_body_bytes: 1 });
    for (let n = 0; n < 7; n++) await fetch(service.url + pathOf(webhook), { method: 'POST', body: `too large ${n}` });
    const all = `/refusals?whid=${webhook.wh_id}`;
    await expect.poll(async () => (await get(`${all}&limit=100`)).body.refusals.length, { timeout: 5_000 }).toBe(7);
    const asc: number[] = (await get(`${all}&limit=100`)).body.refusals.map(({ id }: { id: number }) => id);
    const desc: number[] = [];
    let pages = 0;
    for (let next: number | undefined; next !== 0 && pages < 10; pages++) {
      const { body } = await get(`${all}&order=desc&limit=3${next === undefined ? '' : `&id=${next}`}`);
      desc.push(...body.refusals.map(({ id }: { id: number }) => id));
      next = body.next_id;
    }
    expect(desc).toEqual([...asc].reverse());
    expect(pages).toBe(3);
  });
});
