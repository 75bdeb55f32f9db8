// Whatever keeps the service from its database: serve says within 3 s what is wrong and what to do, and answers 503; verbs and doctor use the same words.
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb } from '../../src/store/open.ts';
import { makeCertificate } from '../deploy/world.ts';
import { baseTables } from '../support/classic.ts';
import { cli, type Env, serving } from '../support/cli.ts';
import { scratchFolder } from '../support/fetch-debs.ts';
import { type DatabaseServer, startServer } from '../support/servers.ts';

const SAID_MS = 3_000;
const TOKEN = 'for-the-operator';
const SETTINGS = { SECRETS_KEY: '5e'.repeat(32), METRICS_TOKEN: TOKEN };

const PASSWORD = "IDENTIFIED BY 'secret'";
let accounts = 0;

// Both servers at once: most of the time passes with waiting.
describe.concurrent.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  let server: DatabaseServer;
  let folder: Awaited<ReturnType<typeof scratchFolder>>;
  let root: Connection;
  const mysql = engine === 'mysql';

  beforeAll(async () => {
    folder = await scratchFolder('/tmp/restante-none-');
    await makeCertificate('openssl', folder.path, 'db.example.org');
    const at = (file: string) => join(folder.path, file);
    server = await startServer(engine, {
      args: [`--ssl-cert=${at('fullchain.pem')}`, `--ssl-key=${at('privkey.pem')}`, `--ssl-ca=${at('ca.pem')}`],
    });
    root = await createConnection(server.url);
    await root.query('CREATE DATABASE bare');
    for (const name of ['half', 'app']) {
      await root.query(`CREATE DATABASE ${name}`);
      await root.query(`USE ${name}`);
      for (const sql of baseTables) await root.query(sql);
      const db = await openDb(`${server.url}${name}`);
      await migrate(db, false, () => {}).finally(() => db.close());
    }
  });
  afterAll(async () => {
    root?.destroy();
    await server?.kill();
    await server?.stop();
    await folder?.remove();
    for (const close of closing) close();
  });

  /** A new account that may do everything in both databases, and its URL. */
  async function account(options = PASSWORD, grants: readonly string[] = ['ALL ON app.*', 'ALL ON bare.*']) {
    const name = `account${accounts++}`;
    await root.query(`CREATE USER '${name}'@'%' ${options}`);
    for (const grant of grants) await root.query(`GRANT ${grant} TO '${name}'@'%'`);
    return { name, url: `mysql://${name}:secret@127.0.0.1:${server.port}/app` };
  }
  const plain = async () => (await account()).url;
  const changed = async (url: Promise<string> | string, set: (url: URL) => void) => {
    const one = new URL(await url);
    set(one);
    return one.href;
  };
  /** `options`: what is done to a new account. */
  const altered = async (alter: string) => {
    const { name, url } = await account();
    await root.query(`ALTER USER '${name}'@'%' ${alter}`);
    return url;
  };
  const closing: (() => void)[] = [];
  async function listening(answer: (socket: Socket) => void): Promise<string> {
    const open = new Set<Socket>();
    const other = createServer((socket) => {
      open.add(socket.on('error', () => {}));
      answer(socket);
    });
    closing.push(() => {
      for (const socket of open) socket.destroy();
      other.close();
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    return `mysql://app:secret@127.0.0.1:${(other.address() as { port: number }).port}/app`;
  }
  /** What a server sends instead of its greeting. */
  const refusing = (errno: number, text: string) =>
    listening((socket) => {
      const body = Buffer.from(`\xff\x00\x00${text}`, 'latin1');
      body.writeUInt16LE(errno, 1);
      const head = Buffer.alloc(4);
      head.writeUIntLE(body.length, 0, 3);
      socket.end(Buffer.concat([head, body]));
    });

  interface Case {
    readonly what: string;
    /** Brings it about, and resolves with DATABASE_URL. */
    readonly set: () => Promise<string>;
    readonly undo?: () => Promise<unknown>;
    readonly says: RegExp;
    readonly fix: RegExp;
    /** The code with which serve and the verbs end; left out: serve waits for better times. */
    readonly code?: number;
    /** What is still possible. */
    readonly works?: 'verbs' | 'verbs and doctor';
    readonly env?: Env;
    readonly only?: typeof engine;
  }
  const global = (name: string, bad: string, good: string) => ({
    set: async () => {
      const url = await plain();
      await root.query(`SET GLOBAL ${name} = ${bad}`);
      return url;
    },
    undo: () => root.query(`SET GLOBAL ${name} = ${good}`),
  });
  const others: Connection[] = [];
  /** Another program holds on to something until the end. */
  const holding = (...statements: string[]) => ({
    set: async () => {
      const other = await createConnection(`${server.url}app`);
      others.push(other);
      for (const sql of statements) await other.query(sql);
      return plain();
    },
    undo: async () => {
      for (const one of others.splice(0)) one.destroy();
    },
  });

  const CASES: readonly Case[] = [
    // The way there.
    {
      what: 'a host that there is not',
      set: () => changed(plain(), (url) => (url.hostname = 'nosuch.invalid')),
      says: /name of its host is not known/,
      fix: /DATABASE_URL|DNS/,
    },
    {
      what: 'a closed port',
      set: () => changed(plain(), (url) => (url.port = '1')),
      says: /nothing listens/,
      fix: /Start the database/,
    },
    {
      what: 'a port that is silent, as those of PostgreSQL and web servers',
      set: () => listening(() => {}),
      says: /takes the connection .* says nothing/,
      fix: /PostgreSQL.*hangs or is stopped/,
    },
    {
      what: 'a port of SSH',
      set: () => listening((socket) => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n')),
      says: /no MySQL or MariaDB .*SSH-2\.0/,
      fix: /3306/,
    },
    {
      what: 'a port that answers HTTP',
      set: () => listening((socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')),
      says: /no MySQL or MariaDB .*HTTP/,
      fix: /3306/,
    },
    {
      what: 'the port of the X protocol',
      set: () => listening((socket) => socket.write(Buffer.from('050000000b08051a00', 'hex'))),
      says: /no MySQL or MariaDB/,
      fix: /3306/,
    },
    {
      what: 'a port that ends each connection',
      set: () => listening((socket) => socket.end()),
      says: /ended the connection/,
      fix: /proxy.*correct host and port/,
    },
    // TLS.
    {
      what: 'a certificate of an unknown authority',
      set: () => changed(plain(), (url) => (url.search = '?ssl=true')),
      says: /no TLS connection comes about: .*authority/,
      fix: /NODE_EXTRA_CA_CERTS.*\?ssl=skip-verify/,
      code: 2,
    },
    {
      what: 'an account that requires TLS',
      set: async () => (await account(`${PASSWORD} REQUIRE SSL`)).url,
      says: /does not accept user and password/,
      fix: /must use TLS .*REQUIRE SSL.*\?ssl=true/,
      code: 2,
    },
    {
      what: 'a server that requires TLS',
      ...global('require_secure_transport', 'ON', 'OFF'),
      says: mysql ? /by TLS alone/ : /does not accept user and password/,
      fix: /\?ssl=true/,
      code: 2,
    },
    // The account.
    {
      what: 'a wrong password',
      set: () => changed(plain(), (url) => (url.password = 'wrong')),
      says: /does not accept user and password/,
      fix: /percent codes/,
      code: 2,
    },
    {
      what: 'an expired password',
      set: () => altered('PASSWORD EXPIRE'),
      says: /has expired/,
      fix: /EXPIRE NEVER/,
      code: 2,
    },
    { what: 'a locked account', set: () => altered('ACCOUNT LOCK'), says: /is locked/, fix: /UNLOCK/, code: 2 },
    {
      what: 'an account that signs in by the socket',
      only: 'mariadb',
      set: async () => (await account('IDENTIFIED VIA unix_socket')).url,
      says: /does not accept user and password/,
      fix: /unix_socket.*needs a password/,
      code: 2,
    },
    {
      what: 'an account of a plugin that is gone',
      only: 'mysql',
      set: async () => {
        const { name, url } = await account();
        await root.query(`UPDATE mysql.user SET plugin = 'mysql_native_password' WHERE user = '${name}'`);
        await root.query('FLUSH PRIVILEGES');
        return url;
      },
      says: /signs in by a plugin that cannot be used .*mysql_native_password/,
      fix: /caching_sha2_password/,
      code: 2,
    },
    {
      what: 'a host that the server does not let in',
      set: () => refusing(1130, "Host '10.0.0.7' is not allowed to connect to this MySQL server"),
      says: /accepts no connections from this host/,
      fix: /CREATE USER/,
      code: 2,
    },
    {
      what: 'a host that was blocked',
      set: () => refusing(1129, "Host '10.0.0.7' is blocked because of many connection errors"),
      says: /blocked this host/,
      fix: /FLUSH HOSTS/,
    },
    {
      what: 'no right to the database',
      set: async () => (await account(PASSWORD, [])).url,
      says: /no right to that database/,
      fix: /migrate --grants/,
      code: 2,
    },
    {
      what: 'no database of that name',
      set: async () => {
        const { url } = await account(PASSWORD, ['ALL ON *.*']);
        return changed(url, (one) => (one.pathname = '/nosuch'));
      },
      says: /no database of that name/,
      fix: /CREATE DATABASE/,
      code: 2,
    },
    {
      what: 'a table that the account may not read',
      set: async () => (await account(PASSWORD, ['SELECT ON app.tblwh', 'SELECT ON app.tblwhid'])).url,
      says: /has only tblw|this account sees tblw/,
      fix: /DATABASE_URL at the right database/,
      code: 2,
      works: 'verbs and doctor',
    },
    {
      what: 'a column that the account may not read',
      set: async () =>
        (
          await account(PASSWORD, [
            'SELECT (id, email) ON app.tbluser',
            'SELECT ON app.tblwh',
            'SELECT ON app.tblwhid',
            'SELECT ON app.restante_meta',
          ])
        ).url,
      says: /lacks a right|lacks SELECT/,
      fix: /GRANT|--grants/,
      code: 2,
      works: 'verbs and doctor',
    },
    {
      what: 'a first look that goes on failing: a table whose file is being restored',
      set: async () => {
        await root.query('ALTER TABLE half.tblwh DISCARD TABLESPACE');
        return changed(
          account(PASSWORD, ['ALL ON half.*']).then(({ url }) => url),
          (url) => (url.pathname = '/half'),
        );
      },
      says: /cannot be used .*[Tt]ablespace/,
      fix: /its own log/,
      works: 'verbs',
    },
    {
      what: 'no tables',
      set: () => changed(plain(), (url) => (url.pathname = '/bare')),
      says: /none of the tables|this account sees none/,
      fix: /migrate --create-base/,
      code: 2,
    },
    // Bounds.
    {
      what: 'an account without a connection left',
      set: async () => {
        const { url } = await account(`${PASSWORD} WITH MAX_USER_CONNECTIONS 1`);
        others.push(await createConnection(url));
        return url;
      },
      undo: async () => {
        for (const one of others.splice(0)) one.destroy();
      },
      says: /account has no connection left/,
      fix: /MAX_USER_CONNECTIONS.*DATABASE_CONNECTIONS/,
    },
    {
      what: 'an account that has used up its connections of this hour',
      set: async () => {
        const { url } = await account(`${PASSWORD} WITH MAX_CONNECTIONS_PER_HOUR 1`);
        await (await createConnection(url)).end();
        return url;
      },
      says: /used up what it may do in an hour/,
      fix: /MAX_CONNECTIONS_PER_HOUR 0/,
    },
    {
      what: 'an account that has used up its statements of this hour',
      set: async () => {
        const { url } = await account(`${PASSWORD} WITH MAX_QUERIES_PER_HOUR 1`);
        const one = await createConnection(url);
        await one.query('SELECT 1').catch(() => {});
        one.destroy();
        return url;
      },
      says: /used up what it may do in an hour/,
      fix: /MAX_QUERIES_PER_HOUR 0/,
    },
    {
      what: 'a server without a connection left',
      set: async () => {
        const url = await plain();
        await root.query('SET GLOBAL max_connections = 10');
        for (let more = true; more; ) {
          const got = await createConnection(url).catch(() => undefined);
          if (got) others.push(got);
          more = got !== undefined;
        }
        return url;
      },
      undo: async () => {
        for (const one of others.splice(0)) one.destroy();
        await root.query('SET GLOBAL max_connections = 151');
      },
      says: /it has no connection left/,
      fix: /max_connections/,
    },
    // The server.
    {
      what: 'an init_connect that fails',
      ...global('init_connect', "'SELECT nothing FROM nowhere'", "''"),
      says: /init_connect of the server fails/,
      fix: /SET GLOBAL init_connect = ''/,
    },
    {
      what: 'offline mode',
      only: 'mysql',
      ...global('offline_mode', 'ON', 'OFF'),
      says: /offline mode/,
      fix: /SET GLOBAL offline_mode = OFF/,
    },
    {
      what: 'a server that is read-only',
      ...global('read_only', 'ON', 'OFF'),
      says: /it is read-only|read_only is on/,
      fix: /SET GLOBAL read_only/,
      works: 'verbs and doctor',
    },
    {
      what: 'tables that another program has locked',
      ...holding('LOCK TABLES tblwh WRITE, tbluser WRITE, tblwhid WRITE, restante_meta WRITE'),
      says: /holds a lock for too long|which connection locks the table/,
      fix: /SHOW FULL PROCESSLIST/,
    },
    {
      what: 'a change of the schema that waits for a transaction',
      set: async () => {
        const [reader, alter] = [
          await createConnection(`${server.url}app`),
          await createConnection(`${server.url}app`),
        ];
        others.push(reader, alter);
        await reader.query('BEGIN');
        for (const table of ['tbluser', 'tblwh']) await reader.query(`SELECT * FROM ${table} LIMIT 1`);
        alter.query('ALTER TABLE tblwh COMMENT = "new"').catch(() => {});
        return plain();
      },
      undo: async () => {
        for (const one of others.splice(0)) one.destroy();
      },
      says: /holds a lock for too long|which connection locks the table/,
      fix: /SHOW FULL PROCESSLIST/,
      works: 'verbs',
    },
  ];

  test.sequential.for(CASES.filter(({ only = engine }) => only === engine).map((one) => [one.what, one] as const))(
    '%s',
    async ([, { set, undo, says, fix, code, works, env = {} }], { expect }) => {
      const databaseUrl = await set();
      const all = { ...env, DATABASE_URL: databaseUrl };
      const ends = Promise.all([
        cli(['user', 'list'], { ...SETTINGS, ...all }),
        cli(['doctor', '--json'], { ...SETTINGS, PORT: '1', ...all }),
      ]);
      try {
        const began = performance.now();
        const service = await serving({ ...SETTINGS, ...all });
        await expect.poll(service.said, { timeout: SAID_MS - (performance.now() - began), interval: 20 }).toMatch(says);
        expect(service.said()).toMatch(fix);
        expect(service.said()).not.toContain('secret');
        if (code === undefined) {
          // It is alive and not ready, and the operator is told the same.
          const bearer = { headers: { authorization: `Bearer ${TOKEN}` } };
          const ask = (path: string) => fetch(service.url + path, bearer).catch(() => undefined);
          await expect.poll(async () => (await ask('/readyz'))?.status, { timeout: 2_000 }).toBe(503);
          const answer = await ask('/readyz');
          expect([answer?.status, answer?.headers.get('retry-after')]).toEqual([503, '2']);
          expect(await answer?.text()).toMatch(says);
          expect(await (await fetch(`${service.url}/readyz`)).text()).not.toMatch(says);
        } else {
          await expect.poll(service.ended).toBe(code);
        }
        const [verb, doctor] = await ends;
        if (!works) expect([verb.code, verb.err]).toEqual([code ?? 1, expect.stringMatching(says)]);
        if (!works) expect(verb.err).toMatch(fix);
        expect(doctor.code, doctor.out).toBe(1);
        const { checks } = JSON.parse(doctor.out) as { checks: { state: string; found: string; fix: string | null }[] };
        const failed = checks.filter(({ state }) => state === 'fail').map((one) => `${one.found} ${one.fix}`);
        expect(failed.join('\n')).toMatch(says);
        expect(failed.join('\n')).toMatch(fix);
        if (code !== undefined) return;
        if (undo) {
          await undo();
          await expect.poll(service.said, { timeout: 10_000 }).toMatch(/"msg":"listening"/);
          await expect.poll(async () => (await fetch(`${service.url}/readyz`)).status).toBe(200);
        }
        expect(await service.end()).toBe(0);
      } finally {
        await undo?.();
      }
    },
  );
});
