// What is deleted, erased or exported: one content by its user, all of a user or of a text by the operator, and a database that is restored.
import { execFile, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { insertContents } from '../../src/store/contents.ts';
import { eraseWanted } from '../../src/store/retention.ts';
import { type Desk, deskOf, openDesk } from '../consumers/calls.ts';
import { cli } from '../support/cli.ts';
import {
  type Database,
  emptyDatabase,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  startService,
} from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';
import { needs } from '../support/tools.ts';

const idsOf = (page: { items?: { id: number }[]; whcontent?: { id: number }[] }) =>
  (page.items ?? page.whcontent ?? []).map(({ id }) => id);
const TABLES = ['tblwh', 'restante_request', 'restante_position', 'restante_lease', 'restante_dead'];

onEveryEngine('erasing', (engine) => {
  let database: Database;
  let desk: Desk;
  let folder: string;
  const verb = (...args: string[]) => cli(args, { DATABASE_URL: database.url });
  const count = async (table: string, ids: readonly number[]) =>
    (
      await desk.service.store.db.all<{ n: number }>(
        `SELECT COUNT(*) AS n FROM ${table} WHERE id IN (${[0, ...ids].join()})`,
      )
    )[0]?.n;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url);
    folder = mkdtempSync(join(tmpdir(), 'restante-erase-'));
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a content is deleted by its user, once, with all that is kept of it, and by nobody else', async () => {
    const mine = await desk.another();
    const other = await desk.another();
    const [a = 0, b = 0, c = 0] = await mine.send(['a', 'b', 'c']);
    expect((await other.call('DELETE', `/whcontent/${b}`)).status).toBe(404);
    const [first, second] = await Promise.all([1, 2].map(() => mine.call('DELETE', `/whcontent/${b}`)));
    expect([first?.status, second?.status].sort()).toEqual([204, 404]);
    // Clients of the classic call know its text; what came later says what is missing, and what to do.
    const classic = 'The webhook id does not exist for such user';
    const gone = `You have no content ${b}: it was deleted or pruned, or never existed. GET /whcontent?whid=all lists those you have.`;
    for (const [method, path, detail] of [
      ['GET', '', classic],
      ['GET', '/raw', gone],
      ['GET', '/trace', gone],
      ['DELETE', '', gone],
    ] as const) {
      const { status, body } = await mine.call(method, `/whcontent/${b}${path}`);
      expect([path, status, (body as { detail: string }).detail]).toEqual([path, 404, detail]);
    }
    expect((await mine.call('DELETE', '/whcontent/4294967295')).status).toBe(404);
    for (const table of TABLES) expect([table, await count(table, [b])]).toEqual([table, 0]);
    expect(idsOf((await mine.call('GET', '/whcontent?id=0')).body)).toEqual([a, c]);
    expect(idsOf((await mine.call('GET', '/whcontent?order=desc')).body)).toEqual([c, a]);
    const row = [Buffer.from('theirs'), '', 1, '', mine.user.id, 0];
    const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
    const [theirs = 0] = await desk.service.store.db.insertIds('tblwh', columns, [row]);
    // At once, before it can have a place in any order.
    expect((await mine.call('DELETE', `/whcontent/${theirs}`)).status).toBe(204);
    const next = await mine.send(['d']);
    expect(idsOf((await mine.call('GET', `/whcontent?id=${c + 1}`)).body)).toEqual(next);
    expect(await count('restante_position', [theirs])).toBe(0);
  });

  test('consumers get it no more; whoever has it in hand acks it as ever, and is told of no gap', async () => {
    const mine = await desk.another();
    const ids = await mine.send(['a', 'b', 'c', 'd', 'e']);
    const [a, b, c, d, e] = ids;
    const taken = await mine.pull('w', { limit: 3, start: 'earliest' });
    await mine.act('w', 'nack', { lease: taken.lease, ids: [c], dead: true });
    for (const id of [b, c, d]) expect((await mine.call('DELETE', `/whcontent/${id}`)).status).toBe(204);
    expect((await mine.call('GET', '/consumers/w')).body).toMatchObject({ backlog: 1, in_flight: 1, dead: 0 });
    expect((await mine.call('GET', '/consumers/w/dead')).body.dead).toEqual([]);
    const acked = await mine.act('w', 'ack', { lease: taken.lease });
    expect([acked.status, acked.body.done.sort()]).toEqual([200, [a, b, c]]);
    const rest = await mine.pull('w');
    expect([idsOf(rest), rest.gap]).toEqual([[e], undefined]);
    const again = await mine.act('w', 'redeliver', { ids: [b] });
    expect([again.status, again.body.conflicts]).toEqual([409, [{ id: b, reason: 'not-found' }]]);
  });

  test('a stream goes on over what was deleted', async () => {
    const mine = await desk.another();
    const [a = 0, b = 0] = await mine.send(['a', 'b']);
    await mine.call('DELETE', `/whcontent/${b}`);
    const aborted = new AbortController();
    const answer = await fetch(`${mine.service.url}/whcontent?id=0`, {
      headers: { authorization: mine.user.auth, accept: 'text/event-stream' },
      signal: aborted.signal,
    });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const [c = 0] = await mine.send(['c']);
    let text = '';
    while (!text.includes(`id: ${c}\n`)) text += (await reader?.read())?.value ?? '';
    aborted.abort();
    expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual([a, c]);
  });

  test('a user is erased: contents, requests, refusals, leases, dead letters; nobody else loses anything', async () => {
    const mine = await desk.another();
    const other = await desk.another();
    const { db } = desk.service.store;
    const ids = await mine.send(['secret-mine', 'b', 'c']);
    const theirs = await other.send(['secret-theirs']);
    const taken = await mine.pull('w', { limit: 2, start: 'earliest' });
    await mine.act('w', 'nack', { lease: taken.lease, ids: [ids[1]], dead: true, reason: 'no' });
    const refusal =
      "INSERT INTO restante_refusal (user_id, wh_id, kind, reason, received_ms, ip, head, content) VALUES (?, 0, 'signature', '', 1, '', '', 'x')";
    for (const { user } of [mine, other]) await db.run(refusal, [user.id]);
    // What is left of a content that another application removed.
    await db.run('DELETE FROM tblwh WHERE id = ?', [ids[2] as number]);
    const id = String(mine.user.id);
    const dry = await verb('erase', '--user', id, '--dry-run');
    expect([dry.code, dry.out]).toEqual([0, '3 contents and 1 refusals would be erased\n']);
    expect(await count('tblwh', ids)).toBe(2);
    expect(await verb('erase', '--user', id)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    const done = await verb('erase', '--user', id, '--yes');
    expect([done.code, done.out]).toEqual([0, '3 contents and 1 refusals were erased\n']);
    for (const words of ['backups', 'other applications', 'tbluser']) expect(done.err).toContain(words);
    for (const table of TABLES) expect([table, await count(table, ids)]).toEqual([table, 0]);
    const of = (userId: number) =>
      db.all(
        'SELECT id FROM restante_refusal WHERE user_id = ? UNION SELECT id FROM restante_position WHERE user_id = ?',
        [userId, userId],
      );
    expect([await of(mine.user.id), (await of(other.user.id)).length]).toEqual([[], 2]);
    expect(idsOf((await other.call('GET', '/whcontent')).body)).toEqual(theirs);
    const next = await mine.send(['after']);
    expect(idsOf(await mine.pull('w'))).toEqual(next);
    expect((await mine.call('GET', '/consumers/w')).body).toMatchObject({ dead: 0, in_flight: 1 });
  });

  test('a text is erased wherever it stands: in bodies, heads, refusals and reasons, also as URLs and JSON have it', async () => {
    const mine = await desk.another();
    const other = await desk.another();
    const { db } = desk.service.store;
    const text = `jürgen-${mine.user.id}@example.org`;
    const url = encodeURIComponent(text);
    const escaped = text.replace('ü', '\\u00fc');
    const hits = await mine.send([
      text,
      `a=${url}`,
      `{"x":"${escaped}"}`,
      `{"x":"${escaped.replace('fc', 'FC')}"}`,
      `a=${url.toLowerCase()}`,
      Buffer.concat([Buffer.from([0xff]), Buffer.from(text)]),
    ]);
    const misses = await mine.send(['nothing', text.toUpperCase(), text.slice(0, -1)]);
    const theirs = await other.send([`to ${text}`]);
    const [inHead = 0, reason = 0] = await mine.send(['head', 'reason']);
    await db.run('UPDATE restante_request SET head = ? WHERE id = ?', [
      Buffer.from(`GET /?q=${url} HTTP/1.1\r\n`),
      inHead,
    ]);
    await mine.pull('w', { start: 'earliest' }).then((pulled) =>
      mine.act('w', 'nack', {
        lease: pulled.lease,
        ids: [reason, misses[0]],
        dead: true,
        reason: `cannot reach ${text}`,
      }),
    );
    const refusal =
      "INSERT INTO restante_refusal (user_id, wh_id, kind, reason, received_ms, ip, head, content) VALUES (?, 0, 'signature', ?, 1, '', ?, ?)";
    for (const [why, head, content] of [
      [text, '', null],
      ['', text, null],
      ['', '', text],
      ['', '', 'x'],
    ] as const)
      await db.run(refusal, [mine.user.id, why, Buffer.from(head), content && Buffer.from(content)]);
    const id = String(mine.user.id);
    expect((await verb('erase', '--match', 'abc', '--dry-run')).code).toBe(2);
    expect((await verb('erase', '--match', text, '--user', id, '--dry-run')).out).toBe(
      '7 contents and 3 refusals would be erased\n',
    );
    expect((await verb('erase', '--match', text, '--dry-run')).out).toBe('8 contents and 3 refusals would be erased\n');
    expect((await verb('erase', '--match', text, '--user', id, '--yes')).code).toBe(0);
    expect([await count('tblwh', [...hits, inHead]), await count('tblwh', [...misses, reason, ...theirs])]).toEqual([
      0, 5,
    ]);
    expect(
      (await mine.call('GET', '/consumers/w/dead')).body.dead.map((one: { reason: string }) => one.reason),
    ).toEqual(['erased', 'erased']);
    expect((await verb('erase', '--match', text, '--yes')).code).toBe(0);
    expect(await count('tblwh', theirs)).toBe(0);
  });

  test('an export has every content as the API has it, and its bytes', async () => {
    const mine = await desk.another();
    const { service, user } = mine;
    const webhook = await service.webhook(user);
    await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'plain', headers: { 'x-a': 'b' } });
    await fetch(service.url + pathOf(webhook), { method: 'PUT', body: Buffer.from([0, 0xff, 0xfe]) });
    await mine.call('POST', '/whcontent', { content: 'own' });
    const columns = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
    await service.store.db.insert('tblwh', columns, [
      [Buffer.from('caf\xe9', 'latin1'), '', 1, 'yesterday', user.id, 7],
    ]);
    const many = await mine.send(Array.from({ length: 250 }, (_, i) => `n ${i}`));
    await desk.another().then((other) => other.send(['not mine']));
    await service.settle();
    const out = join(folder, 'user');
    const raw = join(folder, 'bodies');
    const { code, err } = await cli(['export', '--user', String(user.id), '--out', out, '--raw', raw], {
      DATABASE_URL: database.url,
      PUBLIC_URL: service.parts.config.publicUrl,
    });
    expect([code, err]).toEqual([0, `254 contents of user ${user.id} were written\n`]);
    const lines = readFileSync(join(out, 'contents.ndjson'), 'utf8').trimEnd().split('\n');
    const wire: unknown[] = [];
    for (let from = 0; ; ) {
      const { body } = await mine.call('GET', `/whcontent?whid=all&limit=100&id=${from}`);
      wire.push(...body.whcontent);
      from = body.next_id;
      if (body.whcontent.length === 0) break;
    }
    expect(lines.map((line) => JSON.parse(line))).toEqual(wire);
    expect(
      readdirSync(raw)
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual(idsOf({ items: wire as { id: number }[] }));
    expect(readFileSync(join(raw, String(idsOf({ items: wire as { id: number }[] })[1])))).toEqual(
      Buffer.from([0, 0xff, 0xfe]),
    );
    expect([statSync(join(out, 'contents.ndjson')).mode & 0o777, readdirSync(out)]).toEqual([
      0o600,
      ['contents.ndjson'],
    ]);
    const plain = await verb('export', '--user', String(user.id));
    expect(plain.out.split('\n').length).toBe(many.length + 5);
    expect((await verb('export')).code).toBe(2);
  });

  test('restante prune says what would go, and removes it', async () => {
    const mine = await desk.another();
    const { db } = desk.service.store;
    const { wh_id } = await desk.service.webhook(mine.user);
    const ids = [...(await mine.send(['a', 'b'])), ...(await mine.send(['c'], wh_id))];
    await db.run('UPDATE restante_position SET seen_ms = ?', [Date.now() - 40 * 86_400_000]);
    await db.run('UPDATE restante_consumer SET pulled_ms = 1, created_ms = 1');
    await db.run('UPDATE restante_lease SET due_ms = 1');
    expect(await verb('prune')).toMatchObject({ code: 2, err: expect.stringContaining('RETENTION_DAYS') });
    expect((await verb('prune', '--days', '50')).out).toBe('0 contents were removed\n');
    expect((await verb('prune', '--days', '30', '--webhook', String(wh_id), '--dry-run')).out).toBe(
      '1 contents would be removed\n',
    );
    expect((await verb('prune', '--days', '30', '--webhook', String(wh_id))).out).toBe('1 contents were removed\n');
    expect(await count('tblwh', ids)).toBe(2);
    const all = await verb('prune', '--retention-days', '30');
    expect(all.out).toMatch(/^\d+ contents were removed(; 1 stay, as other applications inserted them.*)?\n$/);
    expect(await count('tblwh', ids)).toBe(0);
    expect((await verb('prune', '--days', '1.5')).code).toBe(2);
  });
});

test('without the right to delete rows a content stays, and whoever asked is told why', async () => {
  const database = await migratedDatabase('mysql');
  const root = await connectTo(database.url);
  try {
    const name = new URL(database.url).pathname.slice(1);
    await root.query(`CREATE USER '${name.slice(0, 30)}'@'%' IDENTIFIED BY 'secret'`);
    const [tables] = await root.query('SHOW TABLES');
    for (const row of tables as object[]) {
      const table = String(Object.values(row)[0]);
      const rights = table === 'tblwh' ? 'SELECT, INSERT' : 'ALL';
      await root.query(`GRANT ${rights} ON ${name}.${table} TO '${name.slice(0, 30)}'@'%'`);
    }
    const url = new URL(database.url);
    url.username = name.slice(0, 30);
    url.password = 'secret';
    const desk = await openDesk(database.url);
    const service = await startService(url.href);
    const mine = deskOf(service, desk.user);
    const [id] = await mine.send(['a']);
    const { status, body } = await mine.call('DELETE', `/whcontent/${id}`);
    expect([status, body.detail]).toEqual([403, expect.stringContaining('DELETE on tblwh')]);
    expect((await mine.call('GET', `/whcontent/${id}`)).status).toBe(200);
    await service.close();
    await desk.service.close();
    await root.query(`DROP USER '${name.slice(0, 30)}'@'%'`);
  } finally {
    await root.end();
    await database.drop();
  }
});

describe('files of SQLite', () => {
  let folder: string;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'restante-erase-'));
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const open = async (path: string): Promise<Desk> => {
    const desk = await openDesk(`sqlite:${path}`);
    closing.push(() => desk.service.close());
    return desk;
  };
  const filesWith = (base: string, text: string) =>
    ['', '-wal'].filter((end) => {
      try {
        return readFileSync(base + end).includes(text);
      } catch {
        return false;
      }
    });

  test('have no byte left of what was erased, while a service runs on them', async () => {
    const path = join(folder, 'erased.db');
    const desk = await open(path);
    const text = 'ana-the-unforgettable@example.org';
    let state = 7919;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    const content = (hit: boolean, i: number) => ({
      user_id: desk.user.id,
      wh_id: 0,
      content: Buffer.from(`${i} ${hit ? text : 'somebody else'} ${'x'.repeat(random(600))}`),
      api: 1 as const,
      dt: '',
      received_ms: 1,
      ip: '',
      head: Buffer.from(`GET /${hit ? text : ''} HTTP/1.1\r\n`),
      judged: null,
    });
    const { store } = desk.service;
    const others: number[] = [];
    for (let part = 0; part < 60; part++) {
      const hits = Array.from({ length: 100 }, () => random(3) === 0);
      const ids = await insertContents(store, hits.map(content));
      others.push(...ids.filter((_, i) => !hits[i]));
    }
    await desk.send([`${'y'.repeat(30_000)} ${text}`]);
    const [row] = await store.db.all<{ n: number }>('SELECT COUNT(*) AS n FROM tblwh');
    const wanted = (row?.n ?? 0) - others.length;
    // Neighbours go, so that SQLite moves what is to be erased, and leaves copies.
    const going = others.sort(() => random(3) - 1).slice(0, 3_000);
    for (let i = 0; i < going.length; i += 50) await eraseWanted(store.db, 'contents', going.slice(i, i + 50));
    expect(filesWith(path, text)).not.toEqual([]);
    const env = { DATABASE_URL: `sqlite:${path}` };
    const done = await cli(['erase', '--match', text, '--yes'], env);
    expect([done.code, done.out]).toEqual([0, `${wanted} contents and 0 refusals were erased\n`]);
    expect(done.err).not.toMatch(/the log beside|unused parts/);
    expect(filesWith(path, text)).toEqual([]);
    expect(filesWith(path, 'somebody else')).not.toEqual([]);
    expect(await desk.send(['after'])).toHaveLength(1);
    const quick = await cli(['erase', '--user', String(desk.user.id), '--yes', '--no-vacuum'], env);
    expect([quick.out, quick.err]).toEqual([
      `${others.length - going.length + 1} contents and 0 refusals were erased\n`,
      expect.stringContaining('unused parts'),
    ]);
  });

  test('are backed up by VACUUM INTO; whoever polled beyond a restored one is told where it ends', async () => {
    const path = join(folder, 'live.db');
    const backup = join(folder, 'backup.db');
    const desk = await open(path);
    const before = await desk.send(['a', 'b']);
    await desk.pull('w', { start: 'earliest' });
    const load = createRequire(import.meta.url);
    const { DatabaseSync } = load('@photostructure/sqlite') as {
      DatabaseSync: new (path: string) => DatabaseSyncInstance;
    };
    const other = new DatabaseSync(path);
    other.prepare('VACUUM INTO ?').run(backup);
    other.close();
    const after = await desk.send(['c', 'd', 'e']);
    const { next_id } = (await desk.call('GET', `/whcontent?id=${before[0]}`)).body;
    expect(next_id).toBe((after[2] ?? 0) + 1);
    for (const close of closing.splice(0)) await close();
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
    copyFileSync(backup, path);
    const service = await startService(`sqlite:${path}`);
    closing.push(() => service.close());
    const restored = deskOf(service, desk.user);
    const told = (await restored.call('GET', `/whcontent?id=${next_id}`)).body;
    expect(told).toEqual({ whcontent: [], next_id, reset: { max_id: before[1] } });
    const [again] = await restored.send(['after']);
    expect(again).toBe(after[0]);
    const page = (await restored.call('GET', `/whcontent?id=${told.reset.max_id + 1}`)).body;
    expect([idsOf(page), page.reset]).toEqual([[again], undefined]);
    expect(idsOf(await restored.pull('w'))).toEqual([again]);
  });
});

test.for(['mariadb', 'mysql'] as const)(
  'a dump of %s beside writers is one moment of all tables, byte for byte',
  async (engine, context) => {
    const mysqldump = needs('mysqldump', context);
    const [live, copy] = [await migratedDatabase(engine), await emptyDatabase(engine, false)];
    const env = (url: string) => ['--protocol=tcp', '-h127.0.0.1', `-P${new URL(url).port}`, '-uroot'];
    const nameOf = (url: string) => new URL(url).pathname.slice(1);
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const desk = await openDesk(live.url);
    try {
      const before = await desk.send([all, 'b']);
      await desk.pull('w', { start: 'earliest', limit: 1 });
      let writing = true;
      const writer = (async () => {
        while (writing) await desk.send(['meanwhile']);
      })();
      const dump = await promisify(execFile)(
        mysqldump,
        [...env(live.url), '--single-transaction', '--hex-blob', nameOf(live.url)],
        { encoding: 'buffer', maxBuffer: 1 << 28 },
      ).finally(() => {
        writing = false;
        return writer;
      });
      const { next_id } = (await desk.call('GET', `/whcontent?id=${Math.max(...(await desk.send(['last'])))}`)).body;
      const load = spawnSync('mysql', [...env(copy.url), nameOf(copy.url)], { input: dump.stdout });
      expect([load.status, load.stderr.toString()]).toEqual([0, expect.not.stringContaining('ERROR')]);
      const service = await startService(copy.url);
      await service.settle();
      const restored = deskOf(service, desk.user);
      const raw = await fetch(`${service.url}/whcontent/${before[0]}/raw`, {
        headers: { authorization: desk.user.auth },
      });
      expect(Buffer.from(await raw.arrayBuffer())).toEqual(all);
      const told = (await restored.call('GET', `/whcontent?id=${next_id}`)).body;
      expect(told).toEqual({ whcontent: [], next_id, reset: { max_id: expect.any(Number) } });
      // Whatever had a row had its request and, at last, its place.
      const [row] = await service.store.db.all<{ n: number }>(
        'SELECT COUNT(*) AS n FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id WHERE r.id IS NULL',
      );
      expect(row?.n).toBe(0);
      const [id = 0] = await restored.send(['after']);
      expect(id).toBeGreaterThan(told.reset.max_id);
      const pulled = await restored.pull('w', { limit: 500 });
      expect(idsOf(pulled).at(-1)).toBe(id);
      await service.close();
    } finally {
      await desk.service.close();
      for (const one of [live, copy]) await one.drop();
    }
  },
);
