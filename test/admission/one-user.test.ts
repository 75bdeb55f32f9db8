// The calls of one user leave connections and turns of the event loop to all others, however many there are at once.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Db } from '../../src/store/db.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

onEveryEngine('the calls of one user', (engine) => {
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

  const get = async (path: string) => {
    const answer = await fetch(service.url + path, { headers: { authorization: user.auth } });
    return { status: answer.status, length: answer.headers.get('content-length'), text: await answer.text() };
  };
  const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));

  /** How many statements of this kind were under way at once, at most, while `work` ran. */
  async function mostAtOnce(name: 'all' | 'scan', like: RegExp, work: () => Promise<unknown>): Promise<number> {
    const db = service.store.db as { -readonly [name in keyof Db]: Db[name] };
    const usual = db[name] as (...given: unknown[]) => Promise<unknown>;
    let [now, most] = [0, 0];
    const counted = async (...given: unknown[]) => {
      if (!like.test(String(given[0]))) return usual.apply(db, given);
      most = Math.max(most, ++now);
      return usual.apply(db, given).finally(() => now--);
    };
    Object.assign(db, { [name]: counted });
    try {
      await work();
    } finally {
      Object.assign(db, { [name]: usual });
    }
    return most;
  }

  test('lists of a hundred consumers take half of the connections, and those that come together share one', async () => {
    for (const i of times(100, (i) => i)) await service.parts.consumers.put(user.id, `c${i}`, {}, 'latest');
    const most = await mostAtOnce('all', /FROM restante_lease WHERE consumer_id/, async () => {
      const all = await Promise.all(times(20, () => get('/consumers')));
      for (const { text } of all) expect((JSON.parse(text) as { consumers: unknown[] }).consumers.length).toBe(100);
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4);
    // A list that begins after a change tells it.
    const running = get('/consumers');
    await service.parts.consumers.remove(user.id, 'c7');
    expect((await get('/consumers')).text).not.toContain('"c7"');
    await running;
  });

  test('pages take half of the connections, and long ones come in pieces that are the same JSON', async () => {
    const webhook = await service.webhook(user);
    const headers = { 'x-long': 'é\\"'.repeat(4_000) };
    for (const i of times(60, (i) => i))
      expect((await fetch(service.url + pathOf(webhook), { method: 'POST', headers, body: `${i}` })).status).toBe(200);
    await service.settle();
    const most = await mostAtOnce('scan', /tblwh/, async () => {
      const all = await Promise.all(times(12, () => get('/whcontent?whid=all&order=desc&limit=60')));
      for (const { status, text, length } of all) {
        expect([status, Number(length)]).toEqual([200, Buffer.byteLength(text)]);
        const { whcontent } = JSON.parse(text) as {
          whcontent: { content: string; request: { headers: [string, string][] } }[];
        };
        expect(whcontent.map(({ content }) => content)).toEqual(times(60, (i) => `${59 - i}`));
        for (const { request } of whcontent)
          expect(request.headers.find(([name]) => name === 'x-long')?.[1]).toBe(headers['x-long']);
      }
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(engine === 'sqlite' ? 1 : 4);
  });
});
