// Ids of a batch on MySQL follow one another by auto_increment_increment, which others may change while we run.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type World } from '../support/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld('mysql');
});
afterAll(async () => {
  await world?.close();
});

test('each content keeps its own request when the step of the ids is changed under a running service', async () => {
  const program = await world.serve({ LOG_LEVEL: 'warn' });
  const { wh_id, path } = await world.webhook('Steps');
  const root = await world.connect();
  const send = (n: number) =>
    fetch(`${program.url}${path}/${n}`, { method: 'POST', body: `body ${n}` }).then(({ status }) => status);
  let sent = 0;
  for (const step of [1, 3, 7, 1]) {
    await root.query(`SET GLOBAL auto_increment_increment = ${step}`);
    // A pool takes new connections all the time; here all of them are new at once.
    const [rows] = await root.query(
      'SELECT processlist_id AS id FROM performance_schema.threads WHERE processlist_user IS NOT NULL AND processlist_id <> CONNECTION_ID()',
    );
    for (const { id } of rows as { id: number }[]) await root.query(`KILL ${id}`).catch(() => {});
    await expect.poll(() => send(sent++), { timeout: 10_000 }).toBe(200);
    expect(new Set(await Promise.all(Array.from({ length: 40 }, () => send(sent++))))).toEqual(new Set([200]));
  }
  const seen = new Set<string>();
  for (let next = 0; ; ) {
    const answer = await fetch(`${program.url}/whcontent?whid=${wh_id}&id=${next}&limit=100&wait=2`, {
      headers: { authorization: world.auth },
    });
    const page = (await answer.json()) as {
      whcontent: { content: string; request: { url: string } | null }[];
      next_id: number;
    };
    if (page.whcontent.length === 0) break;
    for (const { content, request } of page.whcontent) {
      expect([content, request?.url]).toEqual([content, `/${content.slice('body '.length)}`]);
      seen.add(content);
    }
    next = page.next_id;
  }
  expect(seen.size).toBeGreaterThanOrEqual(164);
});
