// The doctor: every check finds what it is for and says what to do, on files and real servers, and changes nothing.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createRelay } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Check, type Finding, findings, type State } from '../../src/cli/doctor/check.ts';
import { CHECKS } from '../../src/cli/doctor/doctor.ts';
import type { Facts } from '../../src/cli/doctor/facts.ts';
import { readConfig } from '../../src/config/config.ts';
import { run } from '../../src/main.ts';
import { openToLook } from '../../src/store/doctor.ts';
import { openStore } from '../../src/store/open.ts';
import { cli, connected, dropped, type Env, folder, kept } from '../support/cli.ts';
import { emptyDatabase, migratedDatabase, startService } from '../support/engines.ts';
import { type DatabaseServer, startServer } from '../support/servers.ts';

const SERVERS = ['mariadb', 'mysql'] as const;

/** `restante doctor` with its output; checks by their names with --json. */
async function doctor(env: Env, argv: readonly string[] = ['--json'], tty = false) {
  let [out, err] = ['', ''];
  const io = {
    env: { PORT: '1', ...env },
    out(text: string | Uint8Array) {
      out += text;
    },
    err(text: string) {
      err += text;
    },
    written: async () => {},
    input: async () => '',
    ask: async () => '',
    nodeVersion: process.versions.node,
    memory: process,
    stopped: () => new Promise<string>(() => {}),
    tty,
  };
  const code = await run(['doctor', ...argv], io);
  const { checks = [] } = argv.includes('--json') ? (JSON.parse(out || '{}') as { checks?: Finding[] }) : {};
  return { code, out, err, of: Object.fromEntries(checks.map((one) => [one.check, one])) };
}
const notOk = (of: Record<string, Finding>, but: readonly string[] = []) =>
  Object.values(of).filter(({ state, check }) => state !== 'ok' && !but.includes(check));
/** Of a test: nothing runs, and its address is no public one. */
const EXPECTED = ['service', 'public-url'];

describe('each check by itself', () => {
  const config = readConfig({
    DATABASE_URL: 'mysql://app:s3cret@db/app',
    PUBLIC_URL: 'https://hooks.example.org',
    TRUST_PROXY: '127.0.0.1',
    SECRETS_KEY: '5e'.repeat(32),
    OLD_URLS: 'https://old.example.org',
    METRICS_TOKEN: 'm'.repeat(32),
    FENCE_NODES: 'mysql://app@db2/app',
  });
  const GOOD = {
    innodb_flush_log_at_trx_commit: '1',
    log_bin: 'ON',
    sync_binlog: '1',
    innodb_doublewrite: 'ON',
    sql_mode: 'STRICT_TRANS_TABLES',
    read_only: 'OFF',
    max_connections: '151',
    wait_timeout: '28800',
    idle_write_transaction_timeout: '60',
  };
  const healthy = {
    config,
    unreachable: undefined,
    database: {
      kind: 'mysql' as const,
      version: 'MariaDB 10.11.19',
      state: { base: ['tbluser', 'tblwhid', 'tblwh'], done: 14, indexed: true, index: 'i', misfits: [] as object[] },
      odd: { looked: 9, all: true, absent: [], overlong: [], ownerless: [], strayed: [], beyond: false } as object,
      rules: [] as object[],
      lostIndexes: [] as object[],
      extended: true,
      steps: 14,
      maxValueBytes: 64 * 1024 * 1024,
      contents: { top: 26, promise: { code: 'exact' as string, text: 'lists never skip' } },
      host: undefined as string | undefined,
      lostHosts: [] as object[],
      lostNodes: [] as object[],
      server: {
        says: '10.11.19-MariaDB (Debian)',
        variables: new Map(Object.entries(GOOD)),
        unsafe: [] as object[],
        unwritable: undefined as object | undefined,
        notTaken: [] as object[],
        replica: false as boolean | undefined,
        engines: { tbluser: 'InnoDB', tblwhid: 'InnoDB', tblwh: 'InnoDB' },
        content: { type: 'longtext', charset: 'latin1' },
        undefaulted: [] as string[],
        missing: [] as object[],
        sight: ["GRANT PROCESS ON *.* TO 'app'@'%'"],
        connected: 20,
        wanted: 18,
        account: { connected: 3, may: 0 },
        skewMs: 3,
        skewWithinMs: 1,
        proxy: [] as string[],
        split: false,
      } as object | undefined,
      file: undefined as object | undefined,
    },
    stored: {
      staleUrls: [] as object[],
      idleOrigins: [] as string[],
      key: 'right' as unknown,
      held: undefined as unknown,
    },
    files: undefined as object | undefined,
    nodeVersion: '22.13.0',
    openFiles: 65_536,
    somaxconn: 4_096 as number | undefined,
    service: { url: 'http://127.0.0.1:4343/healthz', status: 200, text: '{"status":"ok"}' },
    ready: { url: 'http://127.0.0.1:4343/readyz', status: 200, text: '{"status":"ready"}' },
    online: { url: 'https://hooks.example.org/healthz', status: 200, text: '{"status":"ok"}' },
  };
  type Shape = typeof healthy;
  const facts = (patch: (one: Shape) => unknown): Facts => {
    const one = structuredClone({ ...healthy, config: {} }) as unknown as Shape;
    one.config = config;
    patch(one);
    return one as unknown as Facts;
  };
  const toFile = (one: Shape) => {
    one.database.server = undefined;
    one.database.file = { journal: 'wal', sharable: true };
    const entries = [
      { path: '/data', mode: 0o700, uid: 7 },
      { path: '/data/r.db', mode: 0o600, uid: 7 },
    ];
    one.files = { folder: '/data', exists: true, freeBytes: 9e9, entries };
  };
  const server = (patch: object) => (one: Shape) => Object.assign(one.database.server as object, patch);
  const variables = (patch: Record<string, string>) =>
    server({ variables: new Map(Object.entries({ ...GOOD, ...patch })) });
  const setting =
    (env: Record<string, string>, more: (one: Shape) => unknown = () => {}) =>
    (one: Shape) => {
      one.config = readConfig({ PUBLIC_URL: 'https://hooks.example.org', TRUST_PROXY: '127.0.0.1', ...env });
      more(one);
    };
  const file = (patch: (files: { freeBytes: number; entries: { mode: number; uid: number }[] }) => unknown) => {
    return (one: Shape) => {
      toFile(one);
      patch(one.files as never);
    };
  };
  const unsafe = [{ found: 'sync_binlog is 0', fix: 'SET GLOBAL sync_binlog = 1' }];
  const stale =
    (settings: object, wh_url = 'https://before.example.org/in/k') =>
    (one: Shape) =>
      one.stored.staleUrls.push({ wh_id: 7, wh_url, settings });

  const CASES: [name: string, state: State, patch: (one: Shape) => unknown, found: RegExp, fix: RegExp][] = [
    [
      'database',
      'fail',
      (one) => Object.assign(one, { database: undefined, unreachable: { found: 'refused', fix: 'Start it' } }),
      /refused/,
      /Start/,
    ],
    [
      'database',
      'warn',
      (one) =>
        Object.assign(one.database, {
          host: 'b:3306',
          lostHosts: [{ host: 'a:3306', found: 'refused', fix: 'Start it' }],
        }),
      /, as b:3306\. Not all of its hosts do: a:3306: refused/,
      /Start/,
    ],
    [
      'database',
      'warn',
      (one) => Object.assign(one, { database: undefined, stored: undefined }),
      /not there/,
      /restante serve/,
    ],
    [
      'level',
      'fail',
      (one) => Object.assign(one.database.state, { base: [] }),
      /none/,
      /--create-base.*migrate --grants/,
    ],
    ['level', 'fail', (one) => Object.assign(one.database.state, { base: ['tblwh'] }), /tblwh/, /right database/],
    [
      'level',
      'warn',
      (one) => {
        one.database.extended = false;
        one.database.state.done = 0;
      },
      /as-is/,
      /restante migrate/,
    ],
    [
      'level',
      'warn',
      (one) => {
        one.database.extended = false;
        one.database.state.done = 3;
      },
      /3 of 14/,
      /restante migrate/,
    ],
    ['index', 'warn', (one) => Object.assign(one.database.state, { indexed: false }), /no index/, /migrate --index/],
    ['ids', 'warn', (one) => Object.assign(one.database.contents, { top: 2_200_000_000 }), /51 %/, /AUTO_INCREMENT/],
    [
      'ids',
      'warn',
      (one) => Object.assign(one.database.contents, { top: 3_500_000_000 }),
      /More than 80 %/,
      /TRUNCATE/,
    ],
    ['ids', 'fail', (one) => Object.assign(one.database.contents, { top: 4_200_000_000 }), /98 %/, /TRUNCATE/],
    [
      'promise',
      'warn',
      (one) => Object.assign(one.database.contents.promise, { code: 'settle' }),
      /settle/,
      /GRANT PROCESS/,
    ],
    [
      'promise',
      'warn',
      (one) => Object.assign(one.database.contents.promise, { code: 'hold' }),
      /hold/,
      /Set FENCE_NODES/,
    ],
    [
      'nodes',
      'fail',
      (one) => one.database.lostNodes.push({ node: 1, found: 'refused', fix: 'Start it.' }),
      /Node 1/,
      /lists wait/,
    ],
    [
      'durability',
      'warn',
      (one) => {
        toFile(one);
        one.database.file = { journal: 'delete', sharable: true };
      },
      /delete/,
      /WAL/,
    ],
    [
      'sharing',
      'warn',
      (one) => {
        toFile(one);
        one.database.file = { journal: 'wal', sharable: false };
      },
      /service is running/,
      /3\.51\.3/,
    ],
    ['disk', 'warn', file((files) => (files.freeBytes = 5e8)), /477 MiB/, /room/],
    ['disk', 'fail', file((files) => (files.freeBytes = 1e6)), /1 MiB/, /room/],
    ['files', 'warn', file((files) => Object.assign(files.entries[1] as object, { mode: 0o644 })), /0644/, /chmod 600/],
    ['files', 'warn', file((files) => Object.assign(files.entries[0] as object, { mode: 0o755 })), /0755/, /chmod 700/],
    [
      'files',
      'warn',
      file((files) => {
        Object.assign(files, { shared: 'every user may put files there' });
        Object.assign(files.entries[0] as object, { mode: 0o777 });
      }),
      /not the database's own: every user/,
      /^(?!.*chmod).*folder of its own/,
    ],
    [
      'files',
      'fail',
      file((files) => Object.assign(files.entries[1] as object, { uid: 0 })),
      /another user/,
      /chown --reference=\/data \/data\/r\.db/,
    ],
    ['version', 'fail', (one) => Object.assign(one.database, { version: 'MySQL 8.0.21' }), /older/, /8\.0\.22/],
    ['version', 'fail', (one) => Object.assign(one.database, { version: 'MariaDB 10.5.29' }), /older/, /10\.6/],
    ['version', 'fail', server({ says: '8.0.11-TiDB-v7.5.0' }), /TiDB/, /MariaDB/],
    [
      'rights',
      'fail',
      server({ missing: [{ right: 'INSERT on tblwh', grant: 'GRANT INSERT …' }] }),
      /INSERT on tblwh/,
      /GRANT/,
    ],
    [
      'rights',
      'warn',
      server({ missing: [{ right: 'DELETE on tblwh', grant: 'GRANT DELETE …', toRemove: true }] }),
      /everything else works/,
      /GRANT DELETE/,
    ],
    [
      'rights',
      'fail',
      setting(
        { RETENTION_DAYS: '30' },
        server({ missing: [{ right: 'DELETE on tblwh', grant: 'GRANT DELETE …', toRemove: true }] }),
      ),
      /DELETE on tblwh/,
      /GRANT DELETE/,
    ],
    ['primary', 'fail', variables({ read_only: 'ON' }), /read_only is on/, /SET GLOBAL read_only = OFF/],
    ['primary', 'fail', variables({ read_only: 'OFF', super_read_only: '1' }), /super_read_only/, /DATABASE_URL/],
    ['primary', 'warn', server({ replica: true }), /replicates/, /primary/],
    ['proxy', 'warn', server({ proxy: ['it calls itself ProxySQL'] }), /ProxySQL.*guess/, /primary itself/],
    ['proxy', 'fail', server({ proxy: ['several servers answered'], split: true }), /several/, /primary itself/],
    ['durability', 'fail', server({ unsafe }), /sync_binlog.*does not start/, /SET GLOBAL sync_binlog = 1/],
    [
      'durability',
      'warn',
      setting({ ALLOW_UNSAFE_DURABILITY: '1' }, server({ unsafe })),
      /all the same/,
      /SET GLOBAL sync_binlog = 1/,
    ],
    [
      'durability',
      'warn',
      (one) => {
        one.database.extended = false;
        server({ unsafe })(one);
      },
      /sync_binlog is 0\.$/,
      /SET GLOBAL/,
    ],
    [
      'tables',
      'fail',
      (one) => one.database.state.misfits.push({ found: 'tblwh is a view, not a table', fix: 'Rename the view.' }),
      /tblwh is a view/,
      /Rename the view/,
    ],
    [
      'tables',
      'warn',
      (one) => one.database.lostIndexes.push({ table: 'restante_position', name: 'ix_user', fix: 'ALTER TABLE …' }),
      /ix_user of restante_position/,
      /ALTER TABLE/,
    ],
    [
      'rules',
      'warn',
      (one) => one.database.rules.push({ what: 'trigger', name: 'no', fix: 'DROP TRIGGER `no`' }),
      /trigger no/,
      /DROP TRIGGER `no`/,
    ],
    [
      'rules',
      'fail',
      (one) => one.database.rules.push({ what: 'column', name: 'x', fix: 'MODIFY x', always: true }),
      /every content is refused/,
      /MODIFY x/,
    ],
    ['rows', 'warn', (one) => Object.assign(one.database.odd, { absent: [7] }), /NULL.* 7/, /WHERE id IN \(7\)/],
    ['rows', 'warn', (one) => Object.assign(one.database.odd, { overlong: [7] }), /max_allowed_packet/, /SET GLOBAL/],
    ['rows', 'warn', (one) => Object.assign(one.database.odd, { ownerless: [7] }), /no user/, /SET user_id/],
    ['rows', 'warn', (one) => Object.assign(one.database.odd, { strayed: [7] }), /no webhook/, /SET wh_id/],
    ['rows', 'fail', (one) => Object.assign(one.database.odd, { beyond: true }), /beyond/, /AUTO_INCREMENT = 1/],
    ['packet', 'fail', (one) => Object.assign(one.database, { maxValueBytes: 65_536 }), /does not start/, /SET GLOBAL/],
    ['durability', 'warn', variables({ innodb_doublewrite: 'OFF' }), /doublewrite/, /innodb_doublewrite = ON/],
    ['sql-mode', 'warn', variables({ sql_mode: '' }), /not strict/, /SET GLOBAL sql_mode/],
    ['binlog', 'fail', server({ unwritable: { found: 'binlog_format is STATEMENT' } }), /STATEMENT/, /SET GLOBAL/],
    ['session', 'fail', server({ notTaken: [{ text: 'autocommit is 0', must: true }] }), /autocommit is 0/, /proxy/],
    ['session', 'warn', server({ notTaken: [{ text: 'wait_timeout is 9', must: false }] }), /is 9/, /Allow/],
    ['columns', 'fail', server({ engines: { tblwh: 'MyISAM' } }), /MyISAM/, /ALTER TABLE tblwh ENGINE = InnoDB/],
    [
      'columns',
      'fail',
      server({ undefaulted: ['tblwh.more'] }),
      /tblwh\.more/,
      /ALTER TABLE tblwh ALTER COLUMN more SET DEFAULT/,
    ],
    ['columns', 'fail', server({ content: { type: 'text', charset: 'latin1' } }), /is text/, /LONGTEXT/],
    ['columns', 'fail', server({ content: { type: 'longtext', charset: 'utf8mb4' } }), /utf8mb4/, /latin1/],
    [
      'packet',
      'warn',
      (one) => Object.assign(one.database, { maxValueBytes: 4_194_304 }),
      /3145728/,
      /max_allowed_packet/,
    ],
    ['clock', 'warn', server({ skewMs: -2_000 }), /2000 ms behind/, /NTP/],
    ['clock', 'fail', server({ skewMs: 7_000 }), /7000 ms ahead/, /NTP/],
    ['timeouts', 'warn', variables({ wait_timeout: '10' }), /wait_timeout is 10/, /SET GLOBAL wait_timeout/],
    [
      'timeouts',
      'warn',
      variables({ idle_write_transaction_timeout: '0' }),
      /forgets/,
      /idle_write_transaction_timeout = 60/,
    ],
    ['connections', 'warn', server({ connected: 140 }), /140 of 151/, /max_connections/],
    [
      'connections',
      'warn',
      server({ account: { connected: 2, may: 3 }, wanted: 2 }),
      /may have 3 connections and has 2, .* up to 2 of them/,
      /MAX_USER_CONNECTIONS 42/,
    ],
    [
      'retention',
      'warn',
      (one) => Object.assign(one.stored, { held: { contents: 3, why: 'clock', text: '3 contents are kept' } }),
      /waits for a person: 3 contents are kept\./,
      /restante prune --confirm/,
    ],
    [
      'secrets-key',
      'fail',
      (one) => Object.assign(one.stored, { key: { wrong: 'not the key' } }),
      /not the key/,
      /SECRETS_KEY/,
    ],
    [
      'secrets-key',
      'warn',
      setting({}, (one) => Object.assign(one.stored, { key: 'none' })),
      /not set/,
      /openssl rand/,
    ],
    [
      'public-url',
      'warn',
      setting({ PUBLIC_URL: 'http://hooks.example.org' }),
      /cannot reach/,
      /https.*docs\/deploy\.md/,
    ],
    ['public-url', 'warn', setting({ PUBLIC_URL: 'https://localhost:4343' }), /cannot reach/, /PUBLIC_URL/],
    [
      'signed-urls',
      'warn',
      stale({ preset: 'twilio' }),
      /7 \(twilio, https:\/\/before\.example\.org\)/,
      /PUBLIC_URL back/,
    ],
    ['signed-urls', 'warn', stale({ preset: 'square' }), /square/, /PUBLIC_URL/],
    ['signed-urls', 'warn', stale({ preset: 'hubspot' }), /hubspot/, /PUBLIC_URL/],
    ['signed-urls', 'warn', stale({ verify: { signed_string: '{url}.{body}' } }), /own rules/, /PUBLIC_URL/],
    [
      'signed-urls',
      'warn',
      stale({ preset: 'twilio' }, 'see the other system'),
      /Another application.*no URL.*7 \(twilio, "see the other system"\)/,
      /restante webhook list/,
    ],
    [
      'signed-urls',
      'warn',
      (one) => {
        stale({ preset: 'twilio' }, 'javascript:alert(1)')(one);
        stale({ preset: 'square' })(one);
      },
      /made under another one.*7 \(square, https:\/\/before\.example\.org\)\. .*7 \(twilio, "javascript:alert\(1\)"\)/,
      /PUBLIC_URL back/,
    ],
    ['trust-proxy', 'warn', setting({ TRUST_PROXY: '' }), /https/, /127\.0\.0\.1/],
    [
      'trust-proxy',
      'warn',
      setting({ TRUST_PROXY: '', PUBLIC_URL: 'http://10.0.0.7', HOST: '0.0.0.0' }),
      /0\.0\.0\.0/,
      /TRUST_PROXY/,
    ],
    ['trust-proxy', 'warn', setting({ TRUST_PROXY: '0.0.0.0/0' }), /every sender/, /TRUST_PROXY/],
    [
      'old-urls',
      'warn',
      (one) => one.stored.idleOrigins.push('https://old.example.org'),
      /old\.example\.org/,
      /OLD_URLS/,
    ],
    [
      'old-urls',
      'warn',
      (one) => {
        one.database.extended = false;
      },
      /as-is/,
      /restante migrate/,
    ],
    ['metrics-token', 'warn', setting({ METRICS_TOKEN: 'short' }), /5 characters/, /openssl rand/],
    ['node', 'fail', (one) => Object.assign(one, { nodeVersion: '20.18.1' }), /older/, /20\.19/],
    ['open-files', 'warn', (one) => Object.assign(one, { openFiles: 1_024 }), /1024/, /LimitNOFILE=65536/],
    [
      'backlog',
      'warn',
      (one) => Object.assign(one, { somaxconn: 128 }),
      /128 connections/,
      /sysctl -w net\.core\.somaxconn=4096/,
    ],
    [
      'service',
      'warn',
      (one) => Object.assign(one.service, { status: 0, text: 'ECONNREFUSED' }),
      /ECONNREFUSED/,
      /restante serve/,
    ],
    ['service', 'fail', (one) => Object.assign(one.service, { text: '<html>' }), /Another program/, /PORT/],
    [
      'service',
      'fail',
      (one) => Object.assign(one.ready, { status: 503, text: '{"detail":"no database"}' }),
      /no database/,
      /log/,
    ],
    ['online', 'fail', (one) => Object.assign(one.online, { status: 502, text: 'Bad Gateway' }), /502/, /nginx/],
    ['online', 'fail', (one) => Object.assign(one.online, { status: 0, text: 'ENOTFOUND' }), /nothing/, /DNS/],
  ];

  test.each(CASES)('%s: %s', (name, state, patch, found, fix) => {
    const all = findings(CHECKS, facts(patch));
    expect(all.find(({ check }) => check === name)).toMatchObject({
      state,
      found: expect.stringMatching(found),
      fix: expect.stringMatching(fix),
    });
  });

  test('is ok where all is well, has a fix of its own, and is provoked above', () => {
    const asked = new Set<Check>();
    for (const patch of [() => {}, toFile]) {
      const one = facts(patch);
      expect(findings(CHECKS, one).filter(({ state, fix }) => state !== 'ok' || fix !== null)).toEqual([]);
      for (const check of CHECKS) if (check.judge(one)) asked.add(check);
    }
    expect(CHECKS.filter((check) => !asked.has(check)).map(({ name }) => name)).toEqual([]);
    for (const { name, fix } of CHECKS) expect(fix.length, name).toBeGreaterThan(15);
    const provoked = CASES.map(([, , patch]) => facts(patch));
    for (const { name, judge } of CHECKS)
      expect(
        provoked.some((one) => ['warn', 'fail'].includes(judge(one)?.state ?? '')),
        name,
      ).toBe(true);
  });

  test('has a row in docs/doctor.md', () => {
    const rows = [...readFileSync('docs/doctor.md', 'utf8').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(rows.sort()).toEqual([...new Set(CHECKS.map(({ name }) => name))].sort());
  });

  test('does not warn of URLs that no signature covers, nor of a sharp clock behind a slow line', () => {
    const quiet = facts((one) => {
      stale({ preset: 'stripe' })(one);
      server({ skewMs: 1_500, skewWithinMs: 900 })(one);
    });
    expect(notOk(Object.fromEntries(findings(CHECKS, quiet).map((one) => [one.check, one])))).toEqual([]);
  });
});

describe('SQLite', () => {
  const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

  test('is looked at while the service runs, without changing anything', async () => {
    const { url } = dropped(await migratedDatabase('sqlite'));
    const path = url.slice('sqlite:'.length);
    const service = kept(await startService(url, { METRICS_TOKEN: 'm'.repeat(32) }), (one) => one.close());
    const user = await service.user();
    const send = (text: string) =>
      fetch(`${service.url}/whcontent`, { method: 'POST', headers: { authorization: user.auth }, body: text });
    await send('before');
    const env = {
      DATABASE_URL: url,
      PORT: String(service.port),
      METRICS_TOKEN: 'm'.repeat(32),
      PUBLIC_URL: service.url,
    };
    // Not by reading it: closing a file that this process has open as a database would drop its locks.
    const written = () => statSync(path).mtimeMs;
    const [before, { code, of, err }] = [written(), await doctor(env, ['--json', '--online'])];
    expect([code, err]).toEqual([0, '']);
    expect(notOk(of).map(({ check }) => check)).toEqual(
      of.sharing?.state === 'ok' ? ['public-url'] : ['sharing', 'public-url'],
    );
    expect(of.online?.state).toBe('ok');
    expect(of.service?.found).toContain('is ready');
    expect(of.promise?.found).toMatch(/^ordered/);
    expect(of.ids?.found).toContain('1 of 4294967295');
    expect(written()).toBe(before);
    expect((await send('after')).status).toBe(201);
  });

  test('is neither made nor migrated, and a stopped one is left as it was', async () => {
    const none = `${folder()}/new/r.db`;
    const { code, of } = await doctor({ DATABASE_URL: `sqlite:${none}` });
    expect([code, of.database?.state, existsSync(none)]).toEqual([0, 'warn', false]);
    const path = `${folder()}/r.db`;
    const store = await openStore(`sqlite:${path}`);
    await store.db.run("UPDATE restante_meta SET v = 3 WHERE k = 'schema'");
    await store.close();
    const looked = await openToLook(`sqlite:${path}`, {});
    await expect(looked.db.run("UPDATE restante_meta SET v = 4 WHERE k = 'schema'")).rejects.toThrow(/readonly/);
    await looked.close();
    const names = readdirSync(dirname(path));
    const before = digest(path);
    const old = await doctor({ DATABASE_URL: `sqlite:${path}` });
    expect(old.of.level).toMatchObject({ state: 'warn', found: expect.stringContaining('3 of ') });
    expect([old.code, digest(path)]).toEqual([0, before]);
    for (const name of readdirSync(dirname(path))) expect([...names, 'r.db-wal', 'r.db-shm']).toContain(name);
  });

  test('files of others, a lost key and a damaged file are told', async () => {
    const path = `${folder()}/r.db`;
    const env = { DATABASE_URL: `sqlite:${path}` };
    const service = await startService(env.DATABASE_URL, { SECRETS_KEY: '' });
    const user = await service.user();
    await service.webhook(user, { preset: 'stripe', secrets: ['whsec_12345678901234567890'] });
    await service.close();
    expect((await doctor(env)).of['secrets-key']?.found).toMatch(/^The key is the one/);
    chmodSync(path, 0o644);
    expect((await doctor(env)).of.files?.fix).toBe(`chmod 600 ${path}`);
    const wrong = await doctor({ ...env, SECRETS_KEY: 'ab'.repeat(32) });
    expect([wrong.code, wrong.of['secrets-key']?.state]).toEqual([1, 'fail']);
    for (const name of [path, `${path}-wal`]) writeFileSync(name, randomBytes(8192));
    const broken = await doctor(env);
    expect([broken.code, broken.of.database?.found]).toEqual([1, expect.stringContaining('damaged')]);
  });

  test('never advises to change the rights of a folder that is not the database’s own', async () => {
    const [mine, sticky, project] = [`${folder()}/data`, folder(), folder()];
    await openStore(`sqlite:${mine}/r.db`).then((store) => store.close());
    for (const [at, mode] of [
      [sticky, 0o1777],
      [project, 0o755],
    ] as const) {
      await openStore(`sqlite:${at}/r.db`).then((store) => store.close());
      chmodSync(at, mode);
    }
    writeFileSync(`${project}/package.json`, '{}');
    chmodSync(mine, 0o755);
    const fixOf = async (path: string) => (await doctor({ DATABASE_URL: `sqlite:${path}` })).of.files?.fix;
    expect(await fixOf(`${mine}/r.db`)).toBe(`chmod 700 ${mine}`);
    for (const path of [`${sticky}/r.db`, `${project}/r.db`, '/etc/passwd'])
      expect(await fixOf(path), path).toMatch(/^(?!.*chmod).*folder of its own/);
  });

  test('the page has a line for each check and its fix below, coloured on a terminal alone', async () => {
    const env = { DATABASE_URL: `sqlite:${folder()}/r.db` };
    const { code, out } = await doctor(env, []);
    expect(code).toBe(0);
    expect(out).toMatch(/^warn {2}database {2,}\S.*\n +-> Start the service/);
    expect(out).toMatch(/\n\d+ checks: \d+ ok, \d+ warnings, 0 failed\n$/);
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect((await doctor(env, [], true)).out).toContain('\x1b[33mwarn\x1b[0m');
    expect((await doctor({ ...env, NO_COLOR: '1' }, [], true)).out).not.toContain('\x1b');
    expect(await doctor({ ...env, PORT: 'x' })).toMatchObject({ code: 2, out: '' });
  });

  test('what listens in our place is told', async () => {
    const other = kept(createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1'), (one) =>
      one.close(),
    );
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, of, err } = await doctor({ DATABASE_URL: `sqlite:${folder()}/r.db`, PORT: String(port) });
    expect([code, of.service?.found]).toEqual([1, `Another program answers at http://127.0.0.1:${port}.`]);
    expect(err).toBe('restante: one check failed\n');
  });
});

describe.each(SERVERS)('%s', (engine) => {
  test('is well on a migrated database, but for what a default server lacks', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const root = await connected(url);
    await root.query('ALTER TABLE tblwh ADD INDEX some (user_id, wh_id, id)');
    const { code, of } = await doctor({ DATABASE_URL: url, SECRETS_KEY: '5e'.repeat(32) });
    expect(code).toBe(0);
    expect(notOk(of, EXPECTED).map(({ check }) => check)).toEqual(engine === 'mariadb' ? ['timeouts'] : []);
    expect(of.promise?.found).toMatch(/^exact/);
    for (const name of ['version', 'rights', 'primary', 'proxy', 'durability', 'sql-mode', 'columns', 'clock'])
      expect(of[name]?.state, name).toBe('ok');
  });

  test('names the rights that are missing, and the statements it prints give them', async () => {
    const { url } = dropped(await emptyDatabase(engine));
    const root = await connected(url);
    const name = new URL(url).pathname.slice(1);
    const account = `r${randomBytes(6).toString('hex')}`;
    const own = Object.assign(new URL(url), { username: account, password: 'secret' }).href;
    await root.query(`CREATE USER '${account}'@'%' IDENTIFIED BY 'secret'`);
    kept(root, (one) => one.query(`DROP USER '${account}'@'%'`));
    await root.query(`GRANT SELECT, INSERT ON ${name}.tblwh TO '${account}'@'%'`);
    await root.query(`GRANT SELECT (id) ON ${name}.tbluser TO '${account}'@'%'`);
    await root.query(`GRANT INSERT ON ${name}.tblwhid TO '${account}'@'%'`);
    const asIs = await doctor({ DATABASE_URL: own });
    expect([asIs.code, asIs.of.level?.state]).toEqual([1, 'warn']);
    expect(asIs.of.rights?.found).toBe('The account lacks SELECT on tbluser, SELECT on tblwhid.');

    expect((await cli(['migrate'], { DATABASE_URL: url })).code).toBe(0);
    const statements = (fix: string | null | undefined) => (fix ?? '').replace(/^.*?: (?=GRANT)/, '').split('; ');
    await root.query(`GRANT SELECT ON ${name}.restante_meta TO '${account}'@'%'`);
    const before = await doctor({ DATABASE_URL: own });
    expect(before.of.rights?.found).toContain('INSERT on restante_meta');
    expect(before.of.rights?.found).toMatch(/UPDATE on tblwhid.*DELETE on restante_request/);
    for (const sql of statements(before.of.rights?.fix)) await root.query(sql);
    expect(before.of.promise).toMatchObject({ state: 'warn', found: expect.stringMatching(/^settle/) });
    for (const sql of statements(before.of.promise?.fix)) await root.query(sql);
    const { of } = await doctor({ DATABASE_URL: own });
    expect([of.rights?.state, of.promise?.state, of.promise?.found.slice(0, 5)]).toEqual(['ok', 'ok', 'exact']);
    // The password of users is nobody's business, and the doctor does not ask for it.
    expect(before.of.rights?.fix).not.toContain('pwd');
  });

  test('tells columns, ids, an index and webhooks that are not as they should be', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const root = await connected(url);
    const service = kept(await startService(url, { PUBLIC_URL: 'https://before.example.org' }), (one) => one.close());
    const user = await service.user();
    await service.webhook(user, { preset: 'twilio' });
    await service.webhook(user, { preset: 'stripe' });
    const { wh_id } = await service.webhook(user, { preset: 'twilio' });
    await root.query(`UPDATE tblwhid SET wh_url = 'moved: ask Ana' WHERE id = ${wh_id}`);
    await root.query("INSERT INTO tblwhid VALUES (7, 1, 'https://old.example.org/x?y', 'Theirs', 1)");
    await root.query('ALTER TABLE tblwh MODIFY content LONGTEXT CHARACTER SET utf8mb4 NOT NULL');
    await root.query('ALTER TABLE tblwh AUTO_INCREMENT = 2200000001');
    const { code, of } = await doctor({
      DATABASE_URL: url,
      PUBLIC_URL: 'https://now.example.org',
      OLD_URLS: 'https://old.example.org,http://old.example.org',
      FENCE_NODES: `${url},mysql://root@127.0.0.1:1/x`,
    });
    expect(code).toBe(1);
    expect(of.columns?.found).toContain('utf8mb4');
    expect(of.ids?.found).toContain('2200000000 of 4294967295');
    expect(of.index?.state).toBe('warn');
    expect(of['signed-urls']?.found).toMatch(
      /: 1000000000 \(twilio, https:\/\/before\.example\.org\)\. .*: 1000000002 \(twilio, "moved: ask Ana"\)\.$/,
    );
    expect(of['old-urls']?.found).toContain('begins with http://old.example.org:');
    expect(of['trust-proxy']?.state).toBe('warn');
    expect(of['secrets-key']?.state).toBe('warn');
    expect(of.nodes?.found).toContain('Node 2 of FENCE_NODES: nothing listens');
  });

  test('says why it cannot be reached', async () => {
    const { url } = dropped(await emptyDatabase(engine));
    const at = (change: (one: URL) => void) => {
      const one = new URL(url);
      change(one);
      return one.href;
    };
    const cases: [string, string][] = [
      [at((one) => (one.hostname = 'nosuch.invalid')), 'the name of its host is not known'],
      [at((one) => (one.port = '1')), 'nothing listens'],
      [at((one) => (one.pathname = '/nosuch')), 'no database of that name'],
      [
        at((one) => Object.assign(one, { username: 'nobody', password: 's3cret' })),
        'does not accept user and password',
      ],
      [at((one) => (one.search = '?ssl=true')), engine === 'mysql' ? 'no TLS connection' : 'offers no TLS'],
    ];
    for (const [where, found] of cases) {
      const { code, of, out } = await doctor({ DATABASE_URL: where });
      expect([code, of.database], where).toMatchObject([1, { state: 'fail', found: expect.stringContaining(found) }]);
      expect(of.database?.fix?.length).toBeGreaterThan(20);
      expect(out).not.toContain('s3cret');
      // Without a database nothing is said about it.
      expect(of.rights).toBeUndefined();
    }
  });
});

describe.each(SERVERS)('a %s server that was set up in a hurry', (engine) => {
  let server: DatabaseServer;
  let url: string;
  beforeAll(async () => {
    const binlog = ['--log-bin=bin', '--server-id=1', '--sync-binlog=0'];
    const hasty = ['--innodb-flush-log-at-trx-commit=2', '--sql-mode=', '--max-allowed-packet=4M', '--wait-timeout=20'];
    const args = [...binlog, ...hasty, '--innodb-doublewrite=0', '--max-connections=15'];
    server = await startServer(engine, { args });
    const root = await connected(server.url);
    await root.query('CREATE DATABASE app');
    url = `${server.url}app`;
    expect((await cli(['migrate', '--create-base'], { DATABASE_URL: url })).code).toBe(0);
  });
  afterAll(() => server?.stop());

  test('is told what to set, and does not receive until it is set or allowed', async () => {
    const env = { DATABASE_URL: url, LOG_LEVEL: 'silent', PORT: '0', SECRETS_KEY: '5e'.repeat(32) };
    const { code, of } = await doctor(env);
    expect(code).toBe(1);
    expect(of.durability).toMatchObject({ state: 'fail', fix: expect.stringContaining('sync_binlog = 1') });
    for (const name of ['sql-mode', 'packet', 'timeouts', 'connections']) expect(of[name]?.state, name).toBe('warn');
    expect(of.promise?.found).toContain('unsafe-durability');

    const refused = await cli(['serve'], env, sleep(100, 'SIGTERM'));
    expect(refused).toMatchObject({ code: 2, out: '' });
    for (const name of ['innodb_flush_log_at_trx_commit', 'sync_binlog'])
      expect(refused.err).toContain(`SET GLOBAL ${name} = 1`);
    expect(refused.err).toContain('--allow-unsafe-durability');
    expect(refused.err).not.toMatch(/ {4}at /);
    const serves = async (argv: readonly string[], more: Env = {}) =>
      (await cli(['serve', ...argv], { ...env, ...more }, sleep(300, 'SIGTERM'))).code;
    expect(await serves(['--allow-unsafe-durability'])).toBe(0);
    expect(await serves([], { ALLOW_UNSAFE_DURABILITY: '1' })).toBe(0);
    expect(await serves([], { ALLOW_UNSAFE_DURABILITY: '0' })).toBe(2);

    const root = await connected(url);
    await root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
    await root.query('SET GLOBAL sync_binlog = 1');
    expect(await serves([])).toBe(0);
    expect((await doctor(env)).of.durability).toMatchObject({
      state: 'warn',
      found: expect.stringMatching(/doublewrite/),
    });
    await root.query('SET GLOBAL read_only = ON');
    expect((await doctor(env)).of.primary?.state).toBe('fail');
    expect((await doctor(env)).of.rights?.state).toBe('ok');
  });

  test('behind something that spreads connections over two servers it is told so', async () => {
    const { url: other } = dropped(await migratedDatabase(engine));
    const { pathname } = new URL(other);
    await (await connected(server.url)).query(`CREATE DATABASE ${pathname.slice(1)}`);
    const own = server.url.replace(/\/$/, pathname);
    expect((await cli(['migrate', '--create-base'], { DATABASE_URL: own })).code).toBe(0);
    const ports = [server.port, Number(new URL(other).port)];
    let count = 0;
    const relay = kept(
      createRelay((socket) => {
        const onward = connect(ports[count++ % 2] as number, '127.0.0.1');
        for (const one of [socket, onward]) one.on('error', () => {});
        socket.pipe(onward).pipe(socket);
      }).listen(0, '127.0.0.1'),
      (one) => one.close(),
    );
    await once(relay, 'listening');
    const { port } = relay.address() as AddressInfo;
    const { code, of } = await doctor({ DATABASE_URL: Object.assign(new URL(own), { port: String(port) }).href });
    expect([code, of.proxy]).toMatchObject([1, { state: 'fail', found: expect.stringContaining('several servers') }]);
  });

  test('at the as-is level it is a warning alone', async () => {
    const root = await connected(server.url);
    await root.query('SET GLOBAL read_only = OFF');
    await root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
    await root.query('CREATE DATABASE asis');
    const env = { DATABASE_URL: `${server.url}asis`, LOG_LEVEL: 'silent', PORT: '0' };
    for (const table of ['tbluser', 'tblwhid', 'tblwh'])
      await root.query(`CREATE TABLE asis.${table} LIKE app.${table}`);
    expect((await doctor(env)).of.durability?.state).toBe('warn');
    expect((await cli(['serve'], env, sleep(300, 'SIGTERM'))).code).toBe(0);
  });
});
