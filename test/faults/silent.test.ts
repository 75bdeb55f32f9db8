// A database that falls silent: its machine is gone without a word, or a firewall has forgotten the connection. Nothing waits for it for ever.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failed } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { baseTables } from '../support/classic.ts';
import { cli, dropped, kept, serving } from '../support/cli.ts';
import { migratedDatabase, pathOf, type Service, startService, type TestUser } from '../support/engines.ts';
import { startProxy } from '../support/proxy.ts';
import { type DatabaseServer, startServer } from '../support/servers.ts';

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  // What a connection has not prepared yet is prepared first, which the driver puts no limit to.
  test('a statement that is new to a connection ends in time, in and out of transactions, and so does a scan', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const proxy = kept(await startProxy(Number(new URL(url).port)), (one) => one.close());
    const behind = new URL(url);
    behind.port = String(proxy.port);
    const db = kept(await openDb(behind.href), (one) => {
      proxy.silence(false);
      return one.close();
    });
    await db.all('SELECT 1');
    await db.transaction((queries) => queries.all('SELECT 1'));
    await db.transaction((queries) => queries.all('SELECT 1'), 'writer');
    proxy.silence(true);
    const began = performance.now();
    const calls = {
      read: db.all('SELECT 2'),
      transaction: db.transaction((queries) => queries.all('SELECT 3')),
      writer: db.transaction((queries) => queries.all('SELECT 4'), 'writer'),
      scan: db.scan('SELECT 5', [], () => true),
    };
    const ended = Object.entries(calls).map(async ([name, call]) => {
      const late = sleep(20_000, 'it waits still');
      const how = await Promise.race([
        call.then(() => 'answered').catch((error) => (failed(error, 'away') ? 'away' : error)),
        late,
      ]);
      return [name, how];
    });
    expect(await Promise.all(ended)).toEqual(Object.keys(calls).map((name) => [name, 'away']));
    expect(performance.now() - began).toBeLessThan(15_000);
    proxy.silence(false);
    expect(await db.all('SELECT 6 AS six')).toEqual([{ six: 6 }]);
  });
});

// What happens to the database of a service that runs: each of it is logged within 3 s with its cause, every call is answered, and all goes on after it.
describe.concurrent.each(['mariadb', 'mysql'] as const)('while the service runs on %s', (engine) => {
  const SAID_MS = 3_000;
  const ANSWERED_MS = 6_000;
  let server: DatabaseServer;
  let root: Connection;
  let service: Service;
  let user: TestUser;
  let path: string;
  const connect = () => createConnection({ uri: `${server.url}app`, multipleStatements: true });

  beforeAll(async () => {
    server = await startServer(engine);
    root = await createConnection({ uri: server.url, multipleStatements: true });
    await root.query('CREATE DATABASE app; USE app');
    for (const sql of baseTables) await root.query(sql);
    const db = await openDb(`${server.url}app`);
    await migrate(db, false, () => {}).finally(() => db.close());
    await root.query("CREATE USER app@'%' IDENTIFIED BY 'secret'; GRANT ALL ON app.* TO app@'%'");
    service = await startService(`mysql://app:secret@127.0.0.1:${server.port}/app`);
    user = await service.user();
    path = pathOf(await service.webhook(user));
  });
  afterAll(async () => {
    server?.resume();
    await service?.close();
    root?.destroy();
    await server?.kill();
    await server?.stop();
  });

  /** So that new connections are needed. */
  async function endConnections(): Promise<void> {
    const [rows] = await root.query("SELECT id FROM information_schema.processlist WHERE user = 'app'");
    for (const { id } of rows as { id: number }[]) await root.query(`KILL ${id}`).catch(() => {});
  }
  const others: Connection[] = [];
  const holding = (...statements: string[]) => ({
    async set() {
      const other = await connect();
      others.push(other);
      for (const sql of statements) await other.query(sql);
    },
    async undo() {
      for (const other of others.splice(0)) other.destroy();
    },
  });
  const asked = (set: string, undo: string) => ({
    async set() {
      await root.query(set);
      await endConnections();
    },
    undo: () => root.query(undo),
  });

  interface State {
    readonly what: string;
    readonly cause: RegExp;
    readonly set: () => Promise<unknown>;
    readonly undo: () => Promise<unknown>;
    readonly only?: typeof engine;
  }
  const STATES: readonly State[] = [
    {
      what: 'it is stopped',
      cause: /^no-answer$/,
      set: async () => server.pause(),
      undo: async () => server.resume(),
    },
    { what: 'another program has locked tblwh', cause: /^(no-answer|locked)$/, ...holding('LOCK TABLES tblwh WRITE') },
    {
      what: 'another program reads tblwh and lets nobody write',
      cause: /^(no-answer|locked)$/,
      ...holding('LOCK TABLES tblwh READ'),
    },
    {
      what: 'a backup has locked all tables',
      cause: /^(no-answer|locked)$/,
      ...holding('FLUSH TABLES WITH READ LOCK'),
    },
    {
      what: 'a transaction of another program holds a row that we need',
      cause: /^(no-answer|locked)$/,
      ...holding('BEGIN', 'SELECT * FROM restante_meta FOR UPDATE'),
    },
    {
      what: 'the account is locked',
      cause: /^account$/,
      ...asked("ALTER USER app@'%' ACCOUNT LOCK", "ALTER USER app@'%' ACCOUNT UNLOCK"),
    },
    {
      what: 'its password was changed',
      cause: /^sign-in$/,
      ...asked("ALTER USER app@'%' IDENTIFIED BY 'other'", "ALTER USER app@'%' IDENTIFIED BY 'secret'"),
    },
    {
      what: 'it must use TLS from now on',
      cause: /^sign-in$/,
      ...asked("ALTER USER app@'%' REQUIRE SSL", "ALTER USER app@'%' REQUIRE NONE"),
    },
    {
      what: 'its rights were taken',
      cause: /^rights$/,
      ...asked("REVOKE ALL ON app.* FROM app@'%'", "GRANT ALL ON app.* TO app@'%'"),
    },
    {
      what: 'an init_connect fails',
      cause: /^init-connect$/,
      ...asked("SET GLOBAL init_connect = 'SELECT nothing FROM nowhere'", "SET GLOBAL init_connect = ''"),
    },
    {
      what: 'offline mode',
      only: 'mysql',
      cause: /^offline$/,
      ...asked('SET GLOBAL offline_mode = ON', 'SET GLOBAL offline_mode = OFF'),
    },
    { what: 'read-only', cause: /^read-only$/, ...asked('SET GLOBAL read_only = ON', 'SET GLOBAL read_only = OFF') },
    {
      what: 'a table is gone',
      cause: /^schema-changed$/,
      ...asked('RENAME TABLE tblwh TO tblwh_old', 'RENAME TABLE tblwh_old TO tblwh'),
    },
    {
      what: 'it is killed',
      cause: /^(refused|shutting-down)$/,
      set: () => server.kill(),
      async undo() {
        await server.start();
        root = await createConnection({ uri: `${server.url}app`, multipleStatements: true });
      },
    },
  ];

  test.sequential.for(STATES.filter(({ only = engine }) => only === engine).map((one) => [one.what, one] as const))(
    '%s',
    async ([, { cause, set, undo }], { expect }) => {
      const send = () => fetch(service.url + path, { method: 'POST', body: 'x' });
      const list = () => fetch(`${service.url}/whcontent?whid=all`, { headers: { authorization: user.auth } });
      await expect
        .poll(async () => [(await send()).status, (await list()).status], { timeout: 20_000 })
        .toEqual([200, 200]);
      const before = service.log.lines.length;
      try {
        await set();
        const began = performance.now();
        const calls = [send(), list(), fetch(`${service.url}/readyz`)].map(async (call) => {
          const { status } = await call;
          return [status, performance.now() - began] as const;
        });
        const told = () =>
          service.log.lines
            .slice(before)
            .filter(({ level }) => level !== 'info')
            .map(({ data }) => (data as { cause?: string }).cause ?? '');
        await expect.poll(told, { timeout: SAID_MS, interval: 20 }).toContainEqual(expect.stringMatching(cause));
        for (const [status, ms] of await Promise.all(calls)) {
          expect([200, 503]).toContain(status);
          expect(ms).toBeLessThan(ANSWERED_MS);
        }
      } finally {
        await undo();
      }
      await expect
        .poll(async () => [(await send()).status, (await list()).status], { timeout: 20_000 })
        .toEqual([200, 200]);
      await expect.poll(async () => (await fetch(`${service.url}/readyz`)).status, { timeout: 10_000 }).toBe(200);
    },
  );

  test.sequential('a start while it is stopped: told within 3 s, the verbs end with the same words, and it goes on', async ({
    expect,
  }) => {
    const env = { DATABASE_URL: `mysql://app:secret@127.0.0.1:${server.port}/app`, SECRETS_KEY: '5e'.repeat(32) };
    server.pause();
    try {
      const program = await serving(env);
      const began = performance.now();
      const says = /takes the connection on that host and port, and says nothing/;
      const [doctor, verb] = await Promise.all([
        cli(['doctor', '--json'], { ...env, PORT: '1' }),
        cli(['user', 'list'], env),
        expect.poll(program.said, { timeout: SAID_MS + 500, interval: 20 }).toMatch(says),
      ]);
      expect(performance.now() - began).toBeLessThan(SAID_MS + 1_500);
      expect([doctor.code, doctor.out, verb.code, verb.err]).toEqual([
        1,
        expect.stringMatching(says),
        1,
        expect.stringMatching(says),
      ]);
      server.resume();
      await expect.poll(program.said, { timeout: 10_000 }).toMatch(/"msg":"listening"/);
      expect(await program.end()).toBe(0);
    } finally {
      server.resume();
    }
  });
});
