// The end of the ids, at 2^32: no sender is told 2xx for what is not kept, the log names the cause, and the way out works.
import { describe, expect, test } from 'vitest';
import { connected, dropped, kept } from '../support/cli.ts';
import { migratedDatabase, startService } from '../support/engines.ts';

const LAST = 4_294_967_295;
const ROOM = 15;

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  test.each(['STRICT_TRANS_TABLES', ''])('at the last id, with sql_mode "%s"', async (mode) => {
    const { url } = dropped(await migratedDatabase(engine));
    const root = await connected(url);
    await root.query(`ALTER TABLE tblwh AUTO_INCREMENT = ${LAST - ROOM + 1}`);
    const service = kept(await startService(url), (one) => one.close());
    if (mode === '')
      await service.store.db.transaction((queries) => queries.ddl(`SET SESSION sql_mode = ''`), 'writer');
    const user = await service.user();
    const webhook = await service.webhook(user);
    const headers = { authorization: user.auth };
    const post = async (body: string) => {
      const own = body.startsWith('own');
      const to = own ? `${service.url}/whcontent` : service.url + new URL(webhook.wh_url).pathname;
      const answer = await fetch(to, { method: 'POST', body, ...(own ? { headers } : {}) });
      const text = await answer.text();
      return { body, status: answer.status, id: own && answer.ok ? (JSON.parse(text).id as number) : undefined };
    };
    const kinds = (i: number) => `${i % 3 === 0 ? 'own' : 'sent'}-${i}`;
    // Some one by one, then many at once across the end, then some more.
    const told = [await post(kinds(0)), await post(kinds(1)), await post(kinds(2))];
    told.push(...(await Promise.all(Array.from({ length: 20 }, (_, i) => post(kinds(i + 3))))));
    for (let i = 23; i < 40; i++) told.push(await post(kinds(i)));

    const [rows] = await root.query('SELECT id, CAST(content AS CHAR) AS content FROM tblwh');
    const stored = new Map((rows as { id: number; content: string }[]).map(({ id, content }) => [content, id]));
    for (const { body, status, id } of told) {
      expect([200, 201, 503], body).toContain(status);
      expect(stored.has(body), `${body} was answered ${status}`).toBe(status < 300);
      if (id !== undefined) expect(stored.get(body)).toBe(id);
    }
    expect(told.filter(({ status }) => status < 300).length).toBe(stored.size);
    expect(stored.size).toBeGreaterThanOrEqual(3);
    expect(told.slice(-5).map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    await expect
      .poll(() => service.log.lines.filter(({ level }) => level === 'error'))
      .toContainEqual(
        expect.objectContaining({
          message: expect.stringContaining('were not stored'),
          data: expect.objectContaining({
            error: expect.objectContaining({ message: expect.stringMatching(/ids of this table are used up.*doctor/) }),
          }),
        }),
      );

    // What is there can be read, to the end and past it.
    await service.settle();
    const list = async (id: number) => {
      const answer = await fetch(`${service.url}/whcontent?whid=all&limit=100&id=${id}`, { headers });
      expect(answer.status).toBe(200);
      return (await answer.json()) as { whcontent: { id: number }[]; next_id: number };
    };
    const first = await list(LAST - ROOM);
    expect(first.whcontent.map(({ id }) => id)).toEqual([...stored.values()].sort((a, b) => a - b));
    expect((await list(first.next_id)).whcontent).toEqual([]);

    // The way out that the doctor names.
    await root.query('TRUNCATE TABLE tblwh');
    expect((await post('sent-again')).status).toBe(200);
  });
});
