// Searching in bodies: a call is bounded in bytes and time, the next one goes on, and no user takes the database from the others.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertContents, type NewContent } from '../../src/store/contents.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';
import { watchStalls } from '../support/stalls.ts';

const MiB = 1024 * 1024;
const LARGE = 48;
// What costs most: at each letter of a body a comparison goes on to the end of the term.
const TERM = `${'a'.repeat(899)}b`;

onEveryEngine('a search', (engine) => {
  let database: Database;
  let service: Service;
  let ana: TestUser;
  let bo: TestUser;
  let ids: number[];
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
    [ana, bo] = [await service.user(), await service.user()];
    const large = Buffer.alloc(2 * MiB, 'a');
    ids = [];
    for (let i = 0; i < LARGE; i++)
      ids.push(...(await insertContents(service.store, [rowOf(ana, i < LARGE - 1 ? large : Buffer.from(TERM))])));
    await service.settle();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const rowOf = (user: TestUser, content: Buffer | string): NewContent => ({
    user_id: user.id,
    wh_id: 0,
    content: Buffer.from(content as string),
    api: 0,
    dt: '2026-11-22 10:00:00',
    received_ms: Date.now(),
    ip: '127.0.0.1',
    head: null,
    judged: null,
  });
  const search = (user: TestUser, query: Record<string, string>, signal?: AbortSignal) =>
    fetch(`${service.url}/whcontent?${new URLSearchParams({ limit: '100', ...query })}`, {
      headers: { authorization: user.auth },
      ...(signal ? { signal } : {}),
    });
  const pageOf = async (user: TestUser, query: Record<string, string>) => {
    let answer = await search(user, query);
    // On a busy machine a statement may take longer than it may; clients come again.
    for (let tries = 0; answer.status === 503 && tries < 20; tries++) answer = await search(user, query);
    expect(answer.status).toBe(200);
    return (await answer.json()) as { whcontent: { id: number }[]; next_id: number };
  };

  test('looks into a part of 96 MiB a call, and the calls together into all of it, without a stall', async () => {
    const stalls = watchStalls();
    for (const order of ['asc', 'desc']) {
      const found: number[] = [];
      let next = order === 'asc' ? (ids[0] as number) : (ids.at(-1) as number);
      const looked: number[] = [];
      while (next >= (ids[0] as number) && next <= (ids.at(-1) as number)) {
        const page = await pageOf(ana, { q: TERM, order, id: String(next) });
        const [from, to] = [Math.min(next, page.next_id), Math.max(next, page.next_id)];
        looked.push(ids.filter((id) => id >= from && id <= to).length);
        found.push(...page.whcontent.map(({ id }) => id));
        expect(page.next_id).not.toBe(next);
        next = page.next_id;
      }
      expect(found).toEqual([ids.at(-1)]);
      // 64 MiB of 96, and the part that went beyond.
      expect(Math.max(...looked)).toBeLessThan(LARGE * 0.75);
    }
    expect(stalls.worst()).toBeLessThan(100 * stalls.slowness);
  });

  test('finds a long term only where all of it is, beside bodies of other applications whose size nobody knows', async () => {
    const end = 'x'.repeat(40);
    const bodies = [`{"id":"evt_1"}${end}`, end, `${end}y`, `>>{"id":"evt_1"}${end}<<`];
    const own = await insertContents(
      service.store,
      bodies.map((body) => rowOf(bo, body)),
    );
    await service.store.db.run('DELETE FROM restante_request WHERE id IN (?, ?)', [own[0] as number, own[2] as number]);
    await service.settle();
    for (const order of ['asc', 'desc']) {
      const both = order === 'asc' ? [own[0], own[3]] : [own[3], own[0]];
      const { whcontent } = await pageOf(bo, { q: `"evt_1"}${end}`, order });
      expect(whcontent.map(({ id }) => id)).toEqual(both);
    }
    // One at a time: a page that its limit cut goes on behind its last content.
    const first = await pageOf(bo, { q: end, limit: '3' });
    expect(first.whcontent.map(({ id }) => id)).toEqual(own.slice(0, 3));
    expect((await pageOf(bo, { q: end, limit: '3', id: String(first.next_id) })).whcontent).toMatchObject([
      { id: own[3] },
    ]);
  });

  test('of one user 20 are under way and further ones are refused; those that clients give up end, and another user is served', async () => {
    const root = engine === 'sqlite' ? undefined : await connectTo(database.url);
    const running = async (): Promise<number> => {
      if (!root) return 0;
      const sql =
        "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%INSTR(%' AND id <> CONNECTION_ID()";
      const [rows] = await root.query(sql);
      return (rows as { n: number }[])[0]?.n ?? 0;
    };
    const leave = new AbortController();
    const given = Array.from({ length: 44 }, () =>
      search(ana, { q: TERM }, leave.signal).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    const first = await Promise.race(given);
    expect(first).toBe(429);
    let most = 0;
    for (let i = 0; i < 5; i++) {
      expect((await search(bo, { q: 'nothing' })).status).toBe(200);
      most = Math.max(most, await running());
    }
    expect(most).toBeLessThanOrEqual(1);
    leave.abort();
    const statuses = await Promise.all(given);
    // Twenty-four, less those that came after the first were answered.
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(14);
    expect(statuses.filter((status) => status === 429).length).toBeLessThan(25);
    // None of the twenty goes on: the next search of the same user is let in.
    await expect.poll(async () => (await search(ana, { q: 'a', limit: '1' })).status).toBe(200);
    await expect.poll(running).toBe(0);
    root?.destroy();
  });
});
