// The order of visibility on real databases: dense, each content once, late ones last, by several processes at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backfill } from '../../src/store/migrate/migrate.ts';
import { assignPositions, type PositionedRow, positionState, positionsBetween } from '../../src/store/positions.ts';
import { type Database, migratedDatabase, onEveryEngine, type Service, startService } from '../support/engines.ts';
import { connectTo } from '../support/servers.ts';

const COLUMNS = ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'];
const rowOf = (user_id: number, wh_id = 1) => ['x', '', 1, 'any', user_id, wh_id];

onEveryEngine('the sequencer', (engine) => {
  let database: Database;
  let services: Service[];
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    // Two processes; SQLite belongs to one.
    services = [await startService(database.url)];
    if (engine !== 'sqlite') services.push(await startService(database.url));
  });
  afterAll(async () => {
    for (const service of services) await service.close();
    await database?.drop();
  });
  const db = () => (services[0] as Service).store.db;
  const idsIn = async () => (await db().all<{ id: number }>('SELECT id FROM tblwh ORDER BY id')).map(({ id }) => id);
  const positions = async (): Promise<PositionedRow[]> => positionsBetween(db(), 0, 1e9);
  async function complete(): Promise<PositionedRow[]> {
    for (let i = 0; ; i++) {
      const [ids, placed] = [await idsIn(), await positions()];
      if (ids.length === placed.length) {
        expect(placed.map(({ id }) => id).sort((a, b) => a - b)).toEqual(ids);
        return placed;
      }
      if (i > 200) throw new Error(`${placed.length} of ${ids.length} have a position`);
      await sleep(25);
    }
  }

  test('every content gets one dense position, from whichever process, whoever wrote it', async () => {
    await Promise.all(
      Array.from({ length: 600 }, (_, i) => {
        const service = services[i % services.length] as Service;
        const row = {
          user_id: 1,
          wh_id: i,
          content: Buffer.from('x'),
          api: 1,
          dt: '',
          received_ms: 1,
          ip: '',
          head: null,
          judged: null,
        } as const;
        if (i % 3 > 0) return service.parts.writer.write(row);
        return service.store.db.insert('tblwh', COLUMNS, [rowOf(2, i), rowOf(3, i)]);
      }),
    );
    const placed = await complete();
    expect(placed.map(({ pos }) => pos)).toEqual(placed.map((_, i) => i + 1));
    expect(new Set(placed.map(({ id }) => id)).size).toBe(placed.length);
    for (const { seen_ms } of placed) expect(Math.abs(seen_ms - Date.now())).toBeLessThan(60_000);
  });

  if (engine !== 'sqlite')
    test('a content that was committed late gets a late position, soon', async () => {
      const late = await connectTo(database.url);
      await late.beginTransaction();
      const [{ insertId }] = (await late.query(
        "INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES ('late', '', 1, '', 1, 1)",
      )) as unknown as [{ insertId: number }];
      const ids = await db().insertIds('tblwh', COLUMNS, Array(50).fill(rowOf(4)));
      expect(Math.min(...ids)).toBeGreaterThan(insertId);
      let seen: PositionedRow[] = [];
      for (let i = 0; i < 100 && seen.length < 50; i++, await sleep(25))
        seen = (await positions()).filter(({ user_id }) => user_id === 4);
      expect(seen).toHaveLength(50);
      await late.commit();
      const committed = performance.now();
      const placed = await complete();
      expect(performance.now() - committed).toBeLessThan(2_000);
      expect(placed.at(-1)?.id).toBe(insertId);
      await late.end();
    });

  test('placing the same rows by two at once gives each one position', async () => {
    const ids = await db().insertIds('tblwh', COLUMNS, Array(200).fill(rowOf(5)));
    const rows = ids.map((id) => ({ id, user_id: 5, wh_id: 1 }));
    await Promise.all([
      assignPositions(db(), rows),
      assignPositions(db(), rows.slice(50)),
      assignPositions(db(), rows.toReversed()),
    ]);
    const placed = await complete();
    expect(placed.map(({ pos }) => pos)).toEqual(placed.map((_, i) => i + 1));
    expect((await positionState(db())).next).toBe(placed.length + 1);
  });

  test('a content that is gone gets no position, and leaves none out', async () => {
    const ids = await db().insertIds('tblwh', COLUMNS, Array(3).fill(rowOf(6)));
    await complete();
    const gone = [{ id: 1_000_000, user_id: 6, wh_id: 1 }];
    const { assigned } = engine === 'sqlite' ? { assigned: [] } : await assignPositions(db(), gone);
    expect(assigned).toEqual([]);
    const after = await complete();
    expect(after.at(-1)?.pos).toBe(after.length);
    expect(ids).toHaveLength(3);
  });
});

onEveryEngine('contents that were there before', (engine) => {
  let database: Database;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
  });
  afterAll(() => database?.drop());

  test('get their positions in parts, going on where it stopped, while a service runs and others write', async () => {
    const service = await startService(database.url);
    const { db } = service.store;
    for (let i = 0; i < 20; i++) await db.insert('tblwh', COLUMNS, Array(500).fill(rowOf(1)));
    await service.close();
    // As if all of it had been there before the table of positions was.
    const again = await startService(database.url);
    await again.store.db.run('DELETE FROM restante_position');
    await again.store.db.run("DELETE FROM restante_meta WHERE k IN ('fence', 'backfill')");
    await again.close();
    const shares: number[] = [];
    const { openDb } = await import('../../src/store/open.ts');
    const own = await openDb(database.url);
    await expect(
      backfill(own, ({ share }) => {
        shares.push(share);
        throw new Error('interrupted');
      }),
    ).rejects.toThrow('interrupted');
    expect((await positionState(own)).highest).toBeGreaterThan(4_000);
    const [rows, running] = await Promise.all([
      backfill(own, ({ share }) => void shares.push(share)),
      engine === 'sqlite' ? undefined : startService(database.url),
    ]);
    expect(rows).toBeLessThan(10_000);
    await own.insert('tblwh', COLUMNS, [rowOf(9)]);
    expect(shares.at(-1)).toBe(1);
    const last = running ?? (await startService(database.url));
    for (let i = 0; ; i++) {
      const [count] = await own.all<{ n: number; pos: number }>(
        'SELECT COUNT(*) AS n, MAX(pos) - MIN(pos) + 1 AS pos FROM restante_position',
      );
      if (count?.n === 10_001) {
        expect(count.pos).toBe(10_001);
        break;
      }
      if (i > 200) throw new Error(`${count?.n} of 10001 have a position`);
      await sleep(25);
    }
    await last.close();
    await own.close();
  });
});
