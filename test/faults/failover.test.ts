// A failover behind one name: a replica is promoted, new connections reach it, and those that are open stay on the old primary.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { baseTables } from '../support/classic.ts';
import { kept } from '../support/cli.ts';
import { pathOf, type Service, startService, type TestUser } from '../support/engines.ts';
import type { DatabaseServer } from '../support/servers.ts';
import { type Fate, type Pair, startPair } from './runs/pair.ts';

const CONTENTS = 52;

interface Page {
  readonly whcontent: readonly { readonly id: number; readonly content: string }[];
  readonly next_id: number;
  readonly reset?: { readonly max_id: number };
}

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  let pair: Pair;
  let number = 0;
  beforeAll(async () => {
    pair = await startPair(engine);
    // Not root, who may write to a server that is read-only.
    await pair.root(0).query("CREATE USER app@'%' IDENTIFIED BY 'secret'");
    await pair.root(0).query("GRANT ALL ON `failover%`.* TO app@'%'");
  });
  afterAll(() => pair?.stop());

  /** A database of its own on both, and a service that has used all of its connections. */
  async function begin() {
    const name = `failover${++number}`;
    const root = pair.root(pair.primary);
    await root.query(`CREATE DATABASE ${name}`);
    await root.query(`USE ${name}`);
    for (const sql of baseTables) await root.query(sql);
    const db = await openDb((pair.servers[pair.primary] as DatabaseServer).url + name);
    await migrate(db, false, () => {}).finally(() => db.close());
    const url = pair.url.replace('root@', 'app:secret@') + name;
    const service = kept(await startService(url), (one) => one.close());
    const user = await service.user();
    const webhook = await service.webhook(user);
    const send = (body: string) => fetch(service.url + pathOf(webhook), { method: 'POST', body });
    for (let i = 0; i < 5; i++) expect((await send(`before ${i}`)).status).toBe(200);
    await service.settle();
    await Promise.all(Array.from({ length: 40 }, (_, i) => list(service, user, i % 5)));
    return { name, service, user, webhook, send };
  }
  const list = async (service: Service, user: TestUser, id: number): Promise<Page & { status: number }> => {
    const answer = await fetch(`${service.url}/whcontent?whid=all&limit=10&id=${id}`, {
      headers: { authorization: user.auth },
    });
    return { status: answer.status, ...((await answer.json()) as Page) };
  };
  const post = async (service: Service, user: TestUser, path: string, body: object) => {
    const answer = await fetch(service.url + path, {
      method: 'POST',
      headers: { authorization: user.auth, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.status, ...((await answer.json()) as { lease: string; items: { content: string }[] }) };
  };
  /** What a list that is followed from `id` on brings, until it has brought so many. */
  async function follow(service: Service, user: TestUser, id: number, count: number) {
    const contents: string[] = [];
    const resets: number[] = [];
    for (const until = Date.now() + 10_000; contents.length < count && Date.now() < until; await sleep(20)) {
      const page = await list(service, user, id);
      if (page.status !== 200) continue;
      contents.push(...page.whcontent.map(({ content }) => content));
      if (page.reset) resets.push(page.reset.max_id);
      id = page.reset ? page.reset.max_id + 1 : page.next_id;
    }
    return { contents, resets, id };
  }
  async function consume(service: Service, user: TestUser, count: number) {
    const contents: string[] = [];
    let ack: string | undefined;
    for (const until = Date.now() + 10_000; contents.length < count && Date.now() < until; await sleep(20)) {
      const pulled = await post(service, user, '/consumers/one/pull', { limit: 7, ...(ack ? { ack } : {}) });
      if (pulled.status !== 200) continue;
      contents.push(...pulled.items.map(({ content }) => content));
      ack = pulled.lease ?? undefined;
    }
    return contents;
  }
  /** Contents that another application stores on the primary. */
  async function store(name: string, user: TestUser, count: number): Promise<string[]> {
    const contents = Array.from({ length: count }, (_, i) => `new ${i}`);
    for (const content of contents)
      await pair
        .root(pair.primary)
        .query(
          `INSERT INTO ${name}.tblwh (content, ip, api, dt, user_id, wh_id) VALUES (?, '', 1, '2026-12-01 00:00:00', ?, 0)`,
          [content, user.id],
        );
    return contents;
  }

  const CASES: readonly { readonly fate: Fate; readonly readOnly?: boolean; readonly what: string }[] = [
    { fate: 'detached', what: 'read-only and detached' },
    { fate: 'lagging', what: 'read-only and a replica that lags' },
    { fate: 'back', what: 'read-only and a replica' },
    { fate: 'detached', readOnly: false, what: 'still there, and takes writes' },
  ];
  test.each(CASES)(
    'the old primary is $what: lists and consumers get all that the new one has, a revoked token dies',
    async ({ fate, readOnly = true }) => {
      const { name, service, user, send } = await begin();
      const { id } = await follow(service, user, 0, 5);
      expect(await consume(service, user, 5)).toHaveLength(5);
      await post(service, user, '/consumers/one/pull', {});
      const other = await service.user();
      expect((await list(service, other, 0)).status).toBe(200);
      await pair.promote({ fate, readOnly });
      const began = Date.now();
      await pair.root(pair.primary).query(`UPDATE ${name}.tbluser SET token = REVERSE(token) WHERE id = ?`, [other.id]);
      const contents = await store(name, user, CONTENTS);
      // Nothing is written through the service, and no connection breaks.
      const [listed, consumed] = await Promise.all([
        follow(service, user, id, CONTENTS),
        consume(service, user, CONTENTS),
      ]);
      expect(listed.contents).toEqual(contents);
      expect([...new Set(consumed)].sort()).toEqual([...contents].sort());
      await expect
        .poll(async () => (await list(service, other, 0)).status, { timeout: 5_000 + began - Date.now() })
        .toBe(401);
      expect((await send('after')).status).toBe(200);
      await pair.attach();
    },
  );

  test('the writer is the first to notice: its content is stored on the new primary', async () => {
    const { name, service, send } = await begin();
    await pair.promote();
    await expect.poll(async () => (await send('after')).status, { timeout: 5_000, interval: 20 }).toBe(200);
    const [rows] = await pair.root(pair.primary).query(`SELECT content FROM ${name}.tblwh WHERE content = 'after'`);
    expect(rows).toHaveLength(1);
    expect(service.log.lines.map(({ message }) => message).join('\n')).toContain('another server of the database');
    await pair.attach();
  });

  test('an account that may have one connection goes on, too: nobody waits for a second one', async () => {
    const mayHave = (most: number) =>
      pair.root(pair.primary).query(`ALTER USER app@'%' WITH MAX_USER_CONNECTIONS ${most}`);
    await mayHave(1);
    const { name, user, service, send } = await begin();
    const { id } = await follow(service, user, 0, 5);
    await pair.promote();
    await expect.poll(async () => (await send('after')).status, { timeout: 8_000, interval: 20 }).toBe(200);
    const [rows] = await pair.root(pair.primary).query(`SELECT content FROM ${name}.tblwh WHERE content = 'after'`);
    expect(rows).toHaveLength(1);
    expect((await follow(service, user, id, 1)).contents).toContain('after');
    await mayHave(0);
    await pair.attach();
  });

  test('of two hosts in DATABASE_URL the one that may be written to is used, also when that changes', async () => {
    const name = `failover${number}`;
    const hosts = pair.servers.map(({ port }) => `127.0.0.1:${port}`);
    const db = kept(await openDb(`mysql://app:secret@${hosts.join()}/${name}`), (one) => one.close());
    const moves: string[] = [];
    db.hosts?.onMove((_, to) => void moves.push(to));
    expect(db.hosts?.now()).toBe(hosts[pair.primary]);
    await pair.promote({ fate: 'back' });
    await expect
      .poll(() => db.run('UPDATE tbluser SET phone = 1').then(() => db.hosts?.now(), String), { timeout: 5_000 })
      .toBe(hosts[pair.primary]);
    expect(moves).toEqual([hosts[pair.primary]]);
    await pair.attach();
  });

  test('a balancer that leads to both by turns: one of them answers, and no move goes on for ever', async () => {
    const db = kept(await openDb(`${pair.url.replace('root@', 'app:secret@')}failover${number}`), (one) => one.close());
    const moves: string[] = [];
    db.onServer?.(({ to }) => void moves.push(to));
    await pair.balance(true);
    const ask = async () => {
      const asked = Array.from({ length: 6 }, () => db.all<{ id: number }>('SELECT SLEEP(0.02), @@server_id AS id'));
      const answers = await Promise.allSettled(asked);
      return answers.map((one) => (one.status === 'fulfilled' ? one.value[0]?.id : undefined));
    };
    for (let i = 0; i < 5; i++) await ask();
    expect(new Set((await Promise.all([ask(), ask()])).flat()).size).toBe(1);
    expect(moves.length).toBeLessThan(3);
    await pair.balance(false);
  });

  // The last one: what the old primary alone has keeps it from being a replica again.
  test('the new primary has fewer contents: reset is told, and no id is given again', async () => {
    const { name, service, user, send } = await begin();
    await follow(service, user, 0, 5);
    await service.settle();
    await pair.cutOff();
    for (let i = 0; i < 20; i++) expect((await send(`lost ${i}`)).status).toBe(200);
    const { id } = await follow(service, user, 0, 25);
    await pair.promote({ lossy: true });
    const [rows] = await pair.root(pair.primary).query<RowDataPacket[]>(`SELECT MAX(id) AS id FROM ${name}.tblwh`);
    const top = rows[0] as unknown as { readonly id: number };
    expect(top.id).toBeLessThan(id - 1);
    await expect
      .poll(async () => (await list(service, user, id)).reset, { timeout: 5_000 })
      .toEqual({ max_id: top.id });
    const sent: string[] = [];
    for (let i = 0; i < 30; i++) if ((await send(`after ${i}`)).status === 200) sent.push(`after ${i}`);
    expect(sent).toHaveLength(30);
    // One reader goes back as he is told, another has not asked meanwhile.
    expect((await follow(service, user, top.id + 1, 30)).contents.sort()).toEqual([...sent].sort());
    expect((await follow(service, user, id, 30)).contents.sort()).toEqual([...sent].sort());
  });
});
