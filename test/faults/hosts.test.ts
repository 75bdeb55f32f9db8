// DATABASE_URL with several hosts of a cluster: the first that can be connected to, one for all pools, and the next when it is gone.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { baseTables } from '../support/classic.ts';
import { cli, connected, dropped, kept, start } from '../support/cli.ts';
import { migratedDatabase, pathOf, startService } from '../support/engines.ts';
import { startProxy } from '../support/proxy.ts';
import { type DatabaseServer, freePort, startServer } from '../support/servers.ts';

const SERVERS = ['mariadb', 'mysql'] as const;
const at = (...ports: readonly (number | string)[]) => ports.map((port) => `127.0.0.1:${port}`).join();
/** The same database, at these hosts. */
const through = (url: string, hosts: string) => url.replace(/@[^/]+\//, `@${hosts}/`);
const portOf = (url: string) => Number(new URL(url).port);

describe.each(SERVERS)('%s', (engine) => {
  test('a host that nothing listens on is passed over, by every verb; the doctor names it', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const dead = await freePort();
    const env = { DATABASE_URL: through(url, at(dead, portOf(url))).replace('root@', 'root:@') };
    const db = kept(await openDb(env.DATABASE_URL), (one) => one.close());
    expect([db.version, db.hosts?.now()]).toEqual([expect.stringMatching(/^M\w+ \d/), at(portOf(url))]);
    expect((await cli(['user', 'list'], env)).code).toBe(0);
    expect((await cli(['migrate', '--check'], env)).code).toBe(0);
    expect((await cli(['migrate', '--grants'], env)).out).toContain(`\`${new URL(url).pathname.slice(1)}\`.tblwh`);
    const { out } = await cli(['doctor', '--json'], { ...env, PORT: '1' });
    const [first] = JSON.parse(out).checks;
    expect(first).toMatchObject({ check: 'database', state: 'warn' });
    expect(first.found).toMatch(
      new RegExp(
        `answers at mysql://root:\\*\\*\\*@${at(dead, portOf(url))}/\\w+, as ${at(portOf(url))}\\. .*${at(dead)}: nothing listens`,
      ),
    );
  });

  test('all connections of a process lead to one host, to the next when it is gone, and stay there', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const [a, b] = [await startProxy(portOf(url)), await startProxy(portOf(url))];
    kept(b, (one) => one.close());
    const service = kept(await startService(through(url, at(a.port, b.port))), (one) => one.close());
    const user = await service.user();
    const webhook = await service.webhook(user);
    const hook = service.url + pathOf(webhook);
    const headers = { authorization: user.auth };
    const acked: string[] = [];
    let statuses = new Set<number>();
    let sending = true;
    const sender = async (name: string) => {
      for (let i = 0; sending; i++) {
        const { status } = await fetch(hook, { method: 'POST', body: `${name} ${i}` });
        statuses.add(status);
        if (status === 200) acked.push(`${name} ${i}`);
        await fetch(`${service.url}/whcontent?whid=all&order=desc&limit=1`, { headers });
      }
    };
    const senders = Array.from({ length: 8 }, (_, i) => sender(`s${i}`));
    await sleep(500);
    expect([a.connections > 0, b.connections, [...statuses]]).toEqual([true, 0, [200]]);
    let before = acked.length;
    await a.close();
    for (let i = 0; i < 1_000 && acked.length < before + 20; i++) await sleep(10);
    statuses = new Set();
    before = acked.length;
    await sleep(500);
    sending = false;
    await Promise.all(senders);
    // All of it goes on, without a restart; in between a sender may have been told to come again.
    expect([[...statuses], acked.length > before, b.connections > 0]).toEqual([[200], true, true]);
    await service.settle();
    const stored: string[] = [];
    for (let from = 0, more = true; more; ) {
      const answer = await fetch(`${service.url}/whcontent?whid=all&limit=100&id=${from}`, { headers });
      const page = (await answer.json()) as { whcontent: { content: string }[]; next_id: number };
      stored.push(...page.whcontent.map(({ content }) => content));
      more = page.whcontent.length > 0;
      from = page.next_id;
    }
    expect(stored).toEqual(expect.arrayContaining(acked));
    expect(new Set(stored).size).toBe(stored.length);
    const moved = service.log.lines.filter(({ message }) => /another of its hosts/.test(message));
    expect(moved).toMatchObject([
      { level: 'warn', data: { from: at(a.port), to: at(b.port), reason: expect.stringContaining('ECONN') } },
    ]);
  });

  test('a host that takes connections and says nothing is passed over after three seconds', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const sockets = new Set<Socket>();
    const silent = kept(
      createServer((socket) => void sockets.add(socket)),
      (one) => {
        for (const socket of sockets) socket.destroy();
        one.close();
      },
    );
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const began = performance.now();
    const { port } = silent.address() as AddressInfo;
    const db = kept(await openDb(through(url, at(port, portOf(url)))), (one) => one.close());
    expect(db.hosts?.now()).toBe(at(portOf(url)));
    expect(performance.now() - began).toBeLessThan(6_000);
    const again = performance.now();
    await db.ping();
    expect(performance.now() - again).toBeLessThan(1_000);
  });

  test('a host that falls silent while it is used is left when its connections have been waited for', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const [a, b] = [await startProxy(portOf(url)), await startProxy(portOf(url))];
    for (const one of [a, b]) kept(one, ({ close }) => close());
    const service = kept(await startService(through(url, at(a.port, b.port))), (one) => one.close());
    const user = await service.user();
    const hook = service.url + pathOf(await service.webhook(user));
    const send = () => fetch(hook, { method: 'POST', body: 'x' }).then(({ status }) => status);
    expect(await send()).toBe(200);
    a.silence(true);
    const began = performance.now();
    while ((await send()) !== 200 && performance.now() - began < 30_000) await sleep(100);
    expect(performance.now() - began).toBeLessThan(25_000);
    expect(b.connections).toBeGreaterThan(0);
  });

  test('calls that wait at a host when it falls silent go on at the next one, all of them at once', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const [a, b] = [await startProxy(portOf(url)), await startProxy(portOf(url))];
    for (const one of [a, b]) kept(one, ({ close }) => close());
    const db = kept(await openDb(through(url, at(a.port, b.port))), (one) => one.close());
    const pings = () => Promise.allSettled(Array.from({ length: 100 }, () => db.ping()));
    await pings();
    a.silence(true);
    const began = performance.now();
    const done = await pings();
    expect(done.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(80);
    // Four seconds until a statement is given up, three until a connection is.
    expect(performance.now() - began).toBeLessThan(12_000);
    expect([db.hosts?.now(), db.connections?.().busy, db.connections?.().waiting]).toEqual([at(b.port), 0, 0]);
  });

  test('a node of FENCE_NODES that is away does not keep it from starting and receiving', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const dead = through(url, at(await freePort()));
    const service = kept(await startService(url, { FENCE_NODES: dead }), (one) => one.close());
    const hook = service.url + pathOf(await service.webhook(await service.user()));
    expect((await fetch(hook, { method: 'POST', body: 'x' })).status).toBe(200);
    await expect.poll(() => service.log.lines.map(({ message }) => message).join()).toContain('node of FENCE_NODES');
  });

  test('a host that refuses the account ends it: another one would not help', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const wrong = through(url, at(portOf(url), 1)).replace('root', 'nobody:s3cret');
    const { code, err } = await cli(['user', 'list'], { DATABASE_URL: wrong });
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/nobody:\*\*\*@127\.0\.0\.1:\d+,127\.0\.0\.1:1\/.*Access denied/),
    ]);
  });
});

test('when none can be connected to, each is named with its reason, and the password is not', async () => {
  const url = `mysql://u:s3cret@nosuch.invalid,${at(1)}/app`;
  const { code, err } = await cli(['user', 'list'], { DATABASE_URL: url });
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(
      /^restante: mysql:\/\/u:\*\*\*@nosuch\.invalid,127\.0\.0\.1:1\/app: .*nosuch\.invalid:3306: .*ENOTFOUND.*127\.0\.0\.1:1: .*ECONNREFUSED/,
    ),
  ]);
  expect(err).not.toContain('s3cret');
  const { out } = await cli(['doctor', '--json'], { DATABASE_URL: url, PORT: '1' });
  expect(JSON.parse(out).checks[0]).toMatchObject({ check: 'database', state: 'fail' });
});

describe('the first of two servers is killed', () => {
  let other: DatabaseServer;
  beforeAll(async () => {
    other = await startServer('mariadb');
  });
  afterAll(() => other?.stop());

  test('the program goes on at the second, and says so; started again it begins with the first', async () => {
    const { url } = dropped(await migratedDatabase('mariadb'));
    const name = new URL(url).pathname.slice(1);
    const first = await createConnection(other.url);
    await first.query(`CREATE DATABASE ${name}`);
    await first.query(`USE ${name}`);
    for (const sql of baseTables) await first.query(sql);
    await first.end();
    const there = await openDb(other.url + name);
    await migrate(there, false, () => {});
    await there.close();
    const token = 't'.repeat(32);
    for (const one of [url, other.url + name])
      await (await connected(one)).query(
        `INSERT INTO tbluser (id, email, phone, token, status, pwd) VALUES (7, '', '', '${token}', 1, '')`,
      );
    const PORT = String(await freePort());
    const env = { DATABASE_URL: through(url, at(other.port, portOf(url))), PORT, ALLOW_UNSAFE_DURABILITY: '1' };
    const program = start(['serve'], env);
    await program.saying(/"msg":"listening"/);
    const post = () =>
      fetch(`http://127.0.0.1:${PORT}/whcontent`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`7:${token}`)}` },
        body: 'x',
      }).then(({ status }) => status);
    const rows = async (one: string) =>
      ((await (await connected(one)).query('SELECT COUNT(*) AS n FROM tblwh'))[0] as [{ n: number }])[0].n;
    expect([await post(), await rows(other.url + name), await rows(url)]).toEqual([201, 1, 0]);
    await other.kill();
    const until = Date.now() + 10_000;
    for (let status = 0; status !== 201 && Date.now() < until; await sleep(50)) status = await post();
    expect(await rows(url)).toBe(1);
    await program.saying(/another of its hosts/);
    await other.start();
    expect([await post(), await rows(other.url + name), await rows(url)]).toEqual([201, 1, 2]);
    program.child.kill('SIGTERM');
    await program.saying(/"msg":"stopped"/);
    const again = start(['serve'], env);
    await again.saying(/"msg":"listening"/);
    expect([await post(), await rows(other.url + name)]).toEqual([201, 2]);
  });
});
