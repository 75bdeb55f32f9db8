// What is kept of requests that were refused has bounds, and what was answered 200 is not dropped for what was not.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRefusals, type Refusals } from '../../src/receiver/refusals.ts';
import type { RefusalKind } from '../../src/schema/contents.ts';
import { insertRefusals, type NewRefusal, pruneRefusals } from '../../src/store/refusals.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { plainTarget } from '../../src/webhooks/target.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
} from '../support/engines.ts';

const HOUR_MS = 3_600_000;
const NOW = 500_000 * HOUR_MS;
const HEAD = Buffer.from('POST /in/x HTTP/1.1\r\n');

onEveryEngine('refusals', (engine) => {
  let database: Database;
  let service: Service;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  interface Stored {
    readonly id: number;
    readonly kind: RefusalKind;
    readonly bytes: number;
    readonly size: number | null;
  }
  const stored = (wh_id: number): Promise<Stored[]> =>
    service.store.db.all(
      `SELECT id, kind, size, LENGTH(head) + COALESCE(LENGTH(content), 0) AS bytes FROM restante_refusal WHERE wh_id = ? ORDER BY id`,
      [wh_id],
    );
  const row = (wh_id: number, kind: RefusalKind, more: Partial<NewRefusal> = {}): NewRefusal => ({
    ...{ user_id: 7, wh_id, kind, reason: 'x', near_miss: null, received_ms: NOW, ip: '', event_key: null },
    ...{
      size: 2,
      head: HEAD,
      content: /^(signature|handshake|secret)/.test(kind) ? Buffer.from('{}') : null,
    },
    ...more,
  });

  describe('the hour of a webhook', () => {
    const body = Buffer.alloc(1_000, 'b');
    const refused = (kind: RefusalKind, head: Buffer) => ({
      ...{ kind, reason: 'x', received_ms: NOW, ip: '', head, size: 5_000_000 },
      ...(kind === 'signature'
        ? { size: body.length, incoming: { method: 'POST', publicUrl: '', headers: [], body, receivedMs: NOW } }
        : {}),
    });
    const flood = async (refusals: Refusals, wh_id: number, kind: RefusalKind, head: Buffer) => {
      for (let i = 0; i < 60; i++) refusals.add(plainTarget(7, wh_id), refused(kind, head));
      await refusals.drain();
    };

    test.each(['signature', 'too_large'] as const)('holds heads as well as bodies, then nothing: %s', async (kind) => {
      let now = NOW;
      const refusals = createRefusals({ ...service.parts, now: () => now }, { hourBytes: 1024 * 1024 });
      const wh_id = kind === 'signature' ? 101 : 102;
      await flood(refusals, wh_id, kind, Buffer.alloc(60_000, 'h'));
      const first = await stored(wh_id);
      expect(first.length).toBeGreaterThan(15);
      expect(first.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(1024 * 1024);
      // The API tells the size of the body, as ever.
      expect(first[0]?.size).toBe(kind === 'signature' ? body.length : 5_000_000);
      await flood(refusals, wh_id, 'method', Buffer.alloc(60_000, 'h'));
      expect(await stored(wh_id)).toHaveLength(first.length);
      now += HOUR_MS;
      await flood(refusals, wh_id, kind, Buffer.alloc(60_000, 'h'));
      expect(await stored(wh_id)).toHaveLength(2 * first.length);
    });

    test('is not endless for requests that have next to nothing in them', async () => {
      const refusals = createRefusals(service.parts, { hourBytes: 10_000 });
      await flood(refusals, 103, 'method', Buffer.from('x'));
      expect((await stored(103)).length).toBeLessThan(40);
    });
  });

  test('the bytes that are kept of a webhook are those of heads and bodies, whatever size a sender claimed', async () => {
    const head = Buffer.alloc(10_000, 'h');
    const { db } = service.store;
    await insertRefusals(
      db,
      Array.from({ length: 20 }, () => row(111, 'method', { head, size: 5_000_000 })),
    );
    await insertRefusals(
      db,
      Array.from({ length: 20 }, () => row(112, 'method', { size: 5_000_000 })),
    );
    await insertRefusals(
      db,
      Array.from({ length: 20 }, () => row(113, 'signature', { head })),
    );
    await pruneRefusals(db, NOW, { bytes: 100_200 });
    const left = await Promise.all([111, 112, 113].map(async (wh_id) => (await stored(wh_id)).length));
    expect(left).toEqual([10, 20, 10]);
  });

  const times = (count: number, made: NewRefusal) => Array.from({ length: count }, () => made);
  /** How many there are of each kind. */
  const counts = async (wh_id: number) => {
    const kinds = (await stored(wh_id)).map(({ kind }) => kind);
    return Object.fromEntries([...new Set(kinds)].map((kind) => [kind, kinds.filter((one) => one === kind).length]));
  };

  test('what only has a head is dropped before what has a body, and what waits for its secret for neither', async () => {
    const { db } = service.store;
    // Many without a body, and few that have one; then too many of both.
    for (const [wh_id, bodies] of [
      [121, 4],
      [122, 13],
    ] as const)
      await insertRefusals(db, [
        ...times(12, row(wh_id, 'secret_missing')),
        ...times(bodies - 1, row(wh_id, 'signature')),
        row(wh_id, 'handshake'),
        ...times(9, row(wh_id, 'too_large')),
        ...times(5, row(wh_id, 'method')),
        ...[row(wh_id, 'network'), row(wh_id, 'limit')],
      ]);
    const large = { size: 1_000, content: Buffer.alloc(1_000) };
    await insertRefusals(db, [
      ...times(5, row(123, 'secret_missing', large)),
      ...times(2, row(123, 'signature', large)),
      ...times(3, row(123, 'limit', { head: Buffer.alloc(1_000) })),
    ]);
    await pruneRefusals(db, NOW, { rows: 10, bytes: 3_500 });
    expect(await counts(121)).toEqual({
      secret_missing: 12,
      signature: 3,
      handshake: 1,
      method: 4,
      network: 1,
      limit: 1,
    });
    expect(await counts(122)).toEqual({ secret_missing: 12, signature: 9, handshake: 1 });
    expect(await counts(123)).toEqual({ secret_missing: 5, signature: 2, limit: 1 });
  });

  test('what waited for its secret goes with the others once it was released, and after 14 days', async () => {
    const { db } = service.store;
    await insertRefusals(db, times(3, row(131, 'secret_missing')));
    await pruneRefusals(db, NOW - 15 * 24 * HOUR_MS);
    await insertRefusals(db, [...times(12, row(131, 'secret_missing')), ...times(9, row(131, 'signature'))]);
    const released = (await stored(131)).slice(3, 9).map(({ id }) => id);
    for (const id of released) await db.run('UPDATE restante_refusal SET released_as = 1 WHERE id = ?', [id]);
    await pruneRefusals(db, NOW, { rows: 10 });
    expect(await counts(131)).toEqual({ secret_missing: 6 + 1, signature: 9 });
  });

  test('a sender is told 503 once 10,000 wait for the secret; what else was refused does not count', async () => {
    const user = await service.user();
    const webhook = await service.webhook(user, { preset: 'github' });
    const send = async (to = service) => {
      const answer = await fetch(to.url + pathOf(webhook), { method: 'POST', body: '{}' });
      return { status: answer.status, after: answer.headers.get('retry-after'), text: await answer.text() };
    };
    const fill = async (kind: RefusalKind) => {
      const more = { user_id: user.id, received_ms: Date.now() };
      for (let i = 0; i < 10; i++) await insertRefusals(service.store.db, times(1_000, row(webhook.wh_id, kind, more)));
    };
    await fill('method');
    await fill('signature');
    expect(await send()).toMatchObject({ status: 200 });
    await fill('secret_missing');
    // What the first process has counted is up to ten seconds old.
    const second = await startService(database.url);
    const full = await send(second);
    expect(full).toMatchObject({ status: 503, text: expect.stringMatching(/secret/) });
    expect(Number(full.after)).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) expect((await send(second)).status).toBe(503);
    await second.close();
    // Its owner finds out why nothing more comes, once and not for each.
    const path = `${service.url}/refusals?whid=${webhook.wh_id}&kind=limit`;
    const answer = await fetch(path, { headers: { authorization: user.auth } });
    expect(await answer.json()).toMatchObject({ refusals: [{ reason: expect.stringMatching(/secret/) }] });
    await pruneRefusals(service.store.db, Date.now());
    const { secret_missing, ...others } = await counts(webhook.wh_id);
    expect(secret_missing).toBe(10_001);
    expect(others).toEqual({ signature: 10_000 });
  });

  test('all webhooks of a user together have a bound for what waits for secrets, and deleted ones count', async () => {
    const limited = await startService(database.url, { UNJUDGED_MB_PER_USER: '1' });
    const [user, other] = [await limited.user(), await limited.user()];
    const send = async (path: string) => {
      const answer = await fetch(limited.url + path, { method: 'POST', body: 'x'.repeat(1_000) });
      return { status: answer.status, after: answer.headers.get('retry-after'), text: await answer.text() };
    };
    const made = async (of = user) => limited.webhook(of, { preset: 'github' });
    const waiting = { user_id: user.id, received_ms: Date.now(), size: 10_000, content: Buffer.alloc(10_000) };
    try {
      const first = await made();
      // More rows than are counted at a time, and what does not wait is not counted.
      await insertRefusals(service.store.db, times(1_500, row(first.wh_id, 'signature', { ...waiting, size: 2 })));
      await insertRefusals(service.store.db, times(1_500, row(first.wh_id, 'method', { ...waiting, size: 10_000 })));
      await insertRefusals(service.store.db, times(90, row(first.wh_id, 'secret_missing', waiting)));
      await fetch(`${limited.url}/webhooks/${first.wh_id}`, {
        method: 'DELETE',
        headers: { authorization: user.auth },
      });
      const webhooks = [await made(), await made(), await made()];
      const statuses: number[] = [];
      for (let i = 0; i < 90; i++) {
        statuses.push((await send(pathOf(webhooks[i % 3] as typeof first))).status);
        // The first count is done beside.
        if (i === 0) await new Promise((resolve) => setTimeout(resolve, 500));
      }
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
      const kept = statuses.filter((status) => status === 200).length;
      // 1 MB, less 90 of 10,000 bytes; each with its head and what a row takes.
      expect(kept).toBeGreaterThan(30);
      expect(kept).toBeLessThan(60);
      expect(statuses.slice(0, kept).every((status) => status === 200)).toBe(true);
      expect(await send(pathOf(webhooks[0] as typeof first))).toMatchObject({
        status: 503,
        after: '60',
        text: expect.stringMatching(/secrets of this user's webhooks/),
      });
      expect((await send(pathOf(await made(other)))).status).toBe(200);
      // Its owner finds out why nothing more comes, once and not for each.
      const told = await fetch(`${limited.url}/refusals?kind=limit`, { headers: { authorization: user.auth } });
      expect(await told.json()).toMatchObject({ refusals: [{ reason: expect.stringMatching(/secrets/) }] });
    } finally {
      await limited.close();
    }
  });

  test('a near miss that cannot be looked for costs nobody a refusal, and its own only the near miss', async () => {
    const users = [await service.user(), await service.user()] as const;
    const [own, other] = [await service.webhook(users[0]), await service.webhook(users[1])];
    const broken = await service.webhook(users[0]);
    await service.store.db.run("UPDATE restante_webhook SET secrets = 'no JSON' WHERE wh_id = ?", [broken.wh_id]);
    const refusals = createRefusals(service.parts);
    const incoming = { method: 'POST', publicUrl: '', headers: [], body: Buffer.from('{}'), receivedMs: NOW };
    const refused = {
      kind: 'signature',
      reason: 'x',
      received_ms: NOW,
      ip: '',
      head: HEAD,
      size: 2,
      incoming,
    } as const;
    const rules = compileRules({ preset: 'github' });
    for (const [user, { wh_id }] of [[users[0], own] as const, [users[1], other] as const])
      refusals.add({ ...plainTarget(user.id, wh_id), rules }, refused);
    await refusals.drain();
    const sql = 'SELECT near_miss FROM restante_refusal WHERE wh_id = ?';
    expect(await service.store.db.all(sql, [own.wh_id])).toEqual([{ near_miss: null }]);
    expect(await service.store.db.all(sql, [other.wh_id])).toEqual([{ near_miss: expect.stringMatching(/unsigned/) }]);
    expect(service.log.lines.at(-1)).toMatchObject({ level: 'warn', message: expect.stringMatching(/near/) });
  });

  test('a webhook whose hour is full still keeps what waits for its secret', async () => {
    const refusals = createRefusals(service.parts, { hourBytes: 0 });
    const incoming = { method: 'POST', publicUrl: '', headers: [], body: Buffer.from('{}'), receivedMs: NOW };
    const refused = { reason: 'x', received_ms: NOW, ip: '', head: HEAD, size: 2, incoming };
    refusals.add(plainTarget(7, 141), { ...refused, kind: 'signature' });
    await refusals.keep(plainTarget(7, 141), { ...refused, kind: 'secret_missing' });
    expect(await counts(141)).toEqual({ secret_missing: 1 });
  });

  test('the list tells those that came at a time or later, in both directions', async () => {
    const user = await service.user();
    const at = (ms: number) => row(151, 'method', { user_id: user.id, received_ms: NOW + ms });
    await insertRefusals(service.store.db, [at(0), at(1_000), at(2_000)]);
    const all = (await stored(151)).map(({ id }) => id);
    const list = async (query: string) => {
      const answer = await fetch(`${service.url}/refusals?whid=151&${query}`, {
        headers: { authorization: user.auth },
      });
      return { status: answer.status, ...((await answer.json()) as { refusals?: { id: number }[] }) };
    };
    const ids = async (query: string) => (await list(query)).refusals?.map(({ id }) => id);
    const second = new Date(NOW + 1_000).toISOString();
    expect(await ids(`since=${second}`)).toEqual(all.slice(1));
    expect(await ids(`since=${second}&order=desc`)).toEqual([all[2], all[1]]);
    expect(await ids(`since=${second.replace('Z', '%2B01:00')}`)).toEqual(all);
    expect(await ids(`since=${new Date(NOW + 2_001).toISOString()}`)).toEqual([]);
    expect((await list('since=yesterday')).status).toBe(422);
  });
});
