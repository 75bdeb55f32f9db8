// What is kept of requests that were refused has bounds, and what was answered 200 is not dropped for what was not.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRefusals, type Refusals } from '../src/http/refused.ts';
import { plainTarget } from '../src/http/targets.ts';
import type { RefusalKind } from '../src/schema.ts';
import { insertRefusals, type NewRefusal, pruneRefusals } from '../src/store/refusals.ts';
import { type Database, ENGINES, migratedDatabase, type Service, startService } from './engines.ts';

const HOUR_MS = 3_600_000;
const NOW = 500_000 * HOUR_MS;

describe.each(ENGINES)('%s', (engine) => {
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
      head: Buffer.from('head'),
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
      const refusals = createRefusals({ ...service.context, now: () => now }, { hourBytes: 1024 * 1024 });
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
      const refusals = createRefusals(service.context, { hourBytes: 10_000 });
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
    await pruneRefusals(db, NOW, { bytes: 100_050 });
    const left = await Promise.all([111, 112, 113].map(async (wh_id) => (await stored(wh_id)).length));
    expect(left).toEqual([10, 20, 10]);
  });
});
