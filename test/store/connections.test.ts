// Few connections: of an account that may have 5, 3 or 1, or of a server whose others have taken them. All works, slower, and doctor tells.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { openDb } from '../../src/store/open.ts';
import { openDesk } from '../consumers/calls.ts';
import { cli, connected, dropped, kept } from '../support/cli.ts';
import { type Engine, migratedDatabase, pathOf } from '../support/engines.ts';

const SERVERS = ['mariadb', 'mysql'] satisfies Engine[];

/** A migrated database, and its URL for a new account with these bounds. */
async function bounded(engine: Engine, bounds: string) {
  const { url } = dropped(await migratedDatabase(engine));
  const root = await connected(url);
  const name = `few_${randomBytes(4).toString('hex')}`;
  await root.query(`CREATE USER '${name}'@'%' IDENTIFIED BY 'secret' ${bounds}`);
  kept(name, () => root.query(`DROP USER '${name}'@'%'`));
  await root.query(`GRANT ALL ON ${new URL(url).pathname.slice(1)}.* TO '${name}'@'%'`);
  const as = new URL(url);
  as.username = name;
  as.password = 'secret';
  return { url: as.href, name, root };
}

const connectionsOf = async (root: Connection, name: string): Promise<number> => {
  const [rows] = await root.query('SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = ?', [name]);
  return (rows as { n: number }[])[0]?.n ?? 0;
};

/** Senders, consumers, lists, searches and sign-ins at once, for a while; resolves with the answers that were no 2xx. */
async function work(url: string, env: Record<string, string> = {}): Promise<string[]> {
  const desk = kept(await openDesk(url, env), (one) => one.service.close());
  const others = await Promise.all([desk.another(), desk.another(), desk.another()]);
  const webhook = await desk.service.webhook(desk.user);
  const bad: string[] = [];
  const seen = (what: string, { status }: { status: number }) => {
    if (status >= 300) bad.push(`${what} ${status}`);
  };
  const rounds = async (what: string, call: (i: number) => Promise<{ status: number }>) => {
    for (let i = 0; i < 5; i++) seen(what, await call(i));
  };
  const send = (i: number) => fetch(desk.service.url + pathOf(webhook), { method: 'POST', body: `{"n":${i}}` });
  await Promise.all([
    ...[1, 2, 3, 4].map(() => rounds('send', send)),
    ...[desk, ...others].map((one) => rounds('own', (i) => one.call('POST', '/whcontent', { content: `own ${i}` }))),
    ...[desk, ...others].map((one) => rounds('list', () => one.call('GET', '/whcontent?whid=all&limit=50'))),
    ...['a', 'b', 'c'].map(async (name) => {
      let lease: string | undefined;
      await rounds('pull', async () => {
        const answer = await desk.act(name, 'pull', { start: 'earliest', limit: 5, ...(lease ? { ack: lease } : {}) });
        lease = answer.body.lease;
        return answer;
      });
    }),
    rounds('search', () => desk.call('GET', '/whcontent?whid=all&q=own')),
    rounds('ready', () => desk.call('GET', '/readyz')),
  ]);
  await desk.service.settle();
  const { body } = await desk.call('GET', '/consumers/a');
  expect(body).toMatchObject({ name: 'a' });
  return bad;
}

describe.each(SERVERS)('%s', (engine) => {
  test.each([3, 1])('an account that may have %d connections: everything works', async (most) => {
    const { url, name, root } = await bounded(engine, `WITH MAX_USER_CONNECTIONS ${most}`);
    expect(await work(url)).toEqual([]);
    expect(await connectionsOf(root, name)).toBeLessThanOrEqual(Math.max(1, most - 1));
    if (most === 1) return;
    // One is left for this.
    const { out, code } = await cli(['doctor', '--json'], {
      DATABASE_URL: url,
      SECRETS_KEY: '5e'.repeat(32),
      PORT: '1',
    });
    const checks = JSON.parse(out).checks as { check: string; state: string; found: string; fix: string }[];
    expect([code, checks.find(({ check }) => check === 'connections')]).toEqual([
      0,
      {
        check: 'connections',
        state: 'warn',
        found: expect.stringMatching(
          new RegExp(`may have ${most} connections and has \\d+, .* takes up to ${most - 1} of them.* 21 where it may`),
        ),
        fix: expect.stringContaining('MAX_USER_CONNECTIONS'),
      },
    ]);
  });

  test('a single one: the looks where the name leads take it in turn, and keep no call waiting for long', async () => {
    const { url, name, root } = await bounded(engine, 'WITH MAX_USER_CONNECTIONS 1');
    const db = kept(await openDb(url), (one) => one.close());
    const seen = new Set<number>();
    let longest = 0;
    const calls = async () => {
      for (const until = performance.now() + 5_000; performance.now() < until; await sleep(20)) {
        const began = performance.now();
        const [row] = await db.transaction((queries) => queries.all<{ id: number }>('SELECT CONNECTION_ID() AS id'));
        seen.add(row?.id ?? 0);
        expect(await connectionsOf(root, name)).toBeLessThanOrEqual(1);
        longest = Math.max(longest, performance.now() - began);
      }
    };
    await Promise.all([calls(), calls(), calls()]);
    // Each look gives the connection up for one of its own.
    expect(seen.size).toBeGreaterThan(1);
    expect(longest).toBeLessThan(1_500);
  });

  test('another program has all but one of them, and gives them back later', async () => {
    const { url, name, root } = await bounded(engine, 'WITH MAX_USER_CONNECTIONS 6');
    const taken = await Promise.all([1, 2, 3, 4, 5].map(() => createConnection(url)));
    expect(await work(url)).toEqual([]);
    expect(await connectionsOf(root, name)).toBe(6);
    await Promise.all(taken.map((one) => one.end()));
  });

  test('DATABASE_CONNECTIONS: never more, and without it 21', async () => {
    const { url, name, root } = await bounded(engine, '');
    let most = 0;
    const watching = setInterval(async () => {
      most = Math.max(most, await connectionsOf(root, name));
    }, 20);
    expect(await work(url, { DATABASE_CONNECTIONS: '4' })).toEqual([]);
    clearInterval(watching);
    expect(most).toBeLessThanOrEqual(4);
    expect(most).toBeGreaterThan(1);
    const db = kept(await openDb(url), (one) => one.close());
    expect(db.limits).toEqual({ connections: 21, ofAccount: 0 });
  });

  test('none at all: the reason is told, and all goes on when there is one', async () => {
    const { url } = await bounded(engine, 'WITH MAX_USER_CONNECTIONS 1');
    const taken = await createConnection(url);
    const error = await openDb(url).catch((reason) => reason);
    expect(error).toMatchObject({ failure: 'away', message: expect.stringContaining('max_user_connections') });
    const opening = openDb(url);
    await sleep(500);
    await taken.end();
    const db = kept(await opening, (one) => one.close());
    expect(await db.all('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
