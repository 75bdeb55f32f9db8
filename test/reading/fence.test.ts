// The fence on real servers: lets through what is proven, waits for what is not, and says for whom.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { INSERT, INTO, ROW, SERVERS, stalledInsert, within } from './fence-world.ts';

const SETTLE_MS = { true: 250, false: 1_000 };
// Tests run side by side on a small machine.
const SLACK_MS = 1_500;

for (const engine of SERVERS)
  for (const sight of [true, false])
    describe.concurrent(`${engine}, ${sight ? 'running statements seen' : 'SELECT and INSERT alone'}`, () => {
      const settle = SETTLE_MS[`${sight}`];

      test(
        'says what it promises',
        within(engine, { sight, settled: false }, async ({ promise }) => {
          expect(promise.code).toBe(sight ? 'exact' : 'settle');
        }),
      );

      test(
        'lets ids that follow each other through at once, without a second question',
        within(engine, { sight }, async (world) => {
          const writer = await world.writer();
          Object.assign(world.calls, { probe: 0, writers: 0 });
          await writer.query(`${INTO} VALUES ${Array(20).fill(ROW).join(', ')}`);
          await writer.query(INSERT);
          await world.tick();
          expect(world.fence.heldSeconds).toBe(0);
          expect(await world.until(() => world.fence.safeId === 47, 2_000)).toBeLessThan(1_000);
          await world.tick();
          expect(world.passed).toEqual(Array.from({ length: 21 }, (_, i) => 27 + i));
          expect(world.calls).toEqual({ probe: 0, writers: 0 });
        }),
      );

      test(
        'waits for an open transaction with a lower id, and goes on when it commits',
        within(engine, { sight }, async (world) => {
          const [slow, quick] = [await world.writer(), await world.writer()];
          await slow.query('BEGIN');
          await slow.query(INSERT);
          await quick.query(INSERT);
          expect(await world.until(() => world.fence.safeId > 26, 2_500)).toBe(Number.POSITIVE_INFINITY);
          expect(world.ticked).toEqual([28]);
          expect(world.fence.heldSeconds).toBeGreaterThan(2);
          await slow.query('COMMIT');
          expect(await world.until(() => world.passed.length === 2, 3_000)).toBeLessThan(1_000);
          expect(world.ticked).toEqual([28, 27]);
          expect(world.passed).toEqual([27, 28]);
          expect(world.fence.heldSeconds).toBe(0);
        }),
      );

      test(
        'goes past 10,000 ids of a bulk that was rolled back',
        within(engine, { sight }, async (world) => {
          const writer = await world.writer();
          await writer.query('BEGIN');
          await writer.query(`${INTO} VALUES ${Array(10_000).fill(ROW).join(', ')}`);
          await writer.query('ROLLBACK');
          await writer.query(INSERT);
          expect(await world.until(() => world.passed.length === 1, 10_000)).toBeLessThan(
            2 * settle + 1_000 + SLACK_MS,
          );
        }),
      );

      test(
        'goes past 10,000 scattered dead ids in one go',
        within(engine, { sight }, async (world) => {
          const writer = await world.writer();
          const rows = Array.from({ length: 10_000 }, (_, i) => `(${28 + 2 * i}, ${ROW.slice(1)}`);
          await writer.query(`${INTO.replace('(', '(id, ')} VALUES ${rows.join(', ')}`);
          expect(await world.until(() => world.passed.length === 10_000, 10_000)).toBeLessThan(
            2 * settle + 1_000 + SLACK_MS,
          );
        }),
      );

      test(
        'takes multi-row INSERTs and INSERT … SELECT in whatever order they commit',
        within(engine, { sight, rows: 4 }, async (world) => {
          const [one, two, three] = [await world.writer(), await world.writer(), await world.writer()];
          for (const open of [one, two]) {
            await open.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
            await open.query('BEGIN');
          }
          await one.query(`${INTO} SELECT content, ip, api, dt, user_id, wh_id FROM tblwh WHERE id < 31`);
          await two.query(`${INTO} VALUES ${Array(5).fill(ROW).join(', ')}`);
          await one.query(INSERT);
          await three.query(INSERT);
          await world.until(() => false, 400);
          await two.query('COMMIT');
          await world.until(() => false, 400);
          expect(world.fence.safeId).toBeLessThan(Math.min(...(await world.ids()).filter((id) => id > 30)));
          await one.query('COMMIT');
          await world.until(() => world.passed.length === 15, 6_000);
          expect(world.passed).toEqual(await world.ids());
          expect([...world.ticked].sort((a, b) => a - b)).toEqual(world.passed);
        }),
      );

      test.each([
        'DELETE FROM tblwh WHERE id < 30 AND SLEEP(1.5) = 0',
        'UPDATE tblwh SET api = 2 WHERE id < 30 AND SLEEP(1.5) = 0',
        'SELECT id, SLEEP(1.5) FROM tblwh FOR UPDATE',
      ])('is not held by %s, though it has locked the rows beside the gap', (sql) =>
        within(engine, { sight, rows: 2 }, async (world) => {
          const [foreign, writer] = [await world.writer(), await world.writer()];
          await foreign.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
          await foreign.query('BEGIN');
          await foreign.query('SELECT id FROM tblwh WHERE id = 28 FOR UPDATE');
          await writer.query('BEGIN');
          await writer.query(INSERT);
          await writer.query(INSERT);
          await writer.query('ROLLBACK');
          await writer.query(INSERT);
          await foreign.query('UPDATE tblwh SET api = 3 WHERE id = 31');
          const running = foreign.query(sql);
          await sleep(50);
          let ended = false;
          const end = running.then(() => {
            ended = true;
          });
          expect(await world.until(() => world.passed.length === 3, 8_000)).toBeLessThan(2 * settle + 1_000 + SLACK_MS);
          if (sight) expect(ended).toBe(false);
          await end;
        })(),
      );
    });

for (const engine of SERVERS)
  describe.concurrent(engine, () => {
    test(
      'waits for an INSERT that has its id and no row yet',
      within(engine, { rows: 1 }, async (world) => {
        const release = await stalledInsert(world);
        expect(await world.until(() => world.fence.safeId > 27, 2_500)).toBe(Number.POSITIVE_INFINITY);
        expect(world.ticked).toContain(29);
        await release();
        await world.until(() => world.passed.length === 3, 3_000);
        expect(world.passed).toEqual([27, 28, 29]);
      }),
    );

    test(
      'sees an INSERT at work while its trigger runs statements of its own',
      within(engine, {}, async (world) => {
        const writer = await world.writer();
        await writer.query(`CREATE TRIGGER slow BEFORE INSERT ON tblwh FOR EACH ROW BEGIN
  IF NEW.wh_id = 8 THEN DO SLEEP(0.6); SET NEW.api = (SELECT COUNT(*) FROM tblwhid); END IF; END`);
        const other = await world.openSource();
        const inserting = writer.query(`${INTO} VALUES ${Array(5).fill(ROW.replace('7)', '8)')).join(', ')}`);
        await sleep(200);
        const seen = await other.writers();
        expect(seen?.size).toBeGreaterThan(0);
        for (const until = Date.now() + 1_200; Date.now() < until; await sleep(100))
          expect([...((await other.writers()) ?? [])].some((key) => seen?.has(key))).toBe(true);
        await inserting;
      }),
    );

    test(
      'tells within 6 s who holds it',
      within(engine, {}, async (world) => {
        const [slow, quick] = [await world.writer(), await world.writer()];
        await slow.query('BEGIN');
        await slow.query(INSERT);
        await quick.query(INSERT);
        expect(await world.until(() => world.alarms.length > 0, 8_000)).toBeLessThan(6_000);
        await world.until(() => false, 300);
        expect(world.alarms).toHaveLength(1);
        expect(world.alarms[0]).toMatchObject({ kind: 'held', gap: [27, 27] });
        expect(world.alarms[0]?.text).toMatch(
          new RegExp(`connection ${slow.threadId} of \\w+@.*idle in an open transaction`),
        );
      }),
    );

    test(
      'goes on past an open transaction only where FENCE_MAX_HOLD says so, and tells what comes late',
      within(engine, {}, async (world) => {
        const [slow, quick] = [await world.writer(), await world.writer()];
        const forced: unknown[] = [];
        const fence = world.again({ from: 26, maxHoldMs: 600, onForced: (one) => forced.push(one) });
        await slow.query('BEGIN');
        await slow.query(INSERT);
        await quick.query(INSERT);
        for (const until = Date.now() + 5_000; fence.safeId < 28 && Date.now() < until; await sleep(20))
          await fence.tick();
        expect(fence.safeId).toBe(28);
        expect(forced).toEqual([{ from: 27, to: 27, heldMs: expect.any(Number) }]);
        await slow.query('COMMIT');
        for (const until = Date.now() + 3_000; world.alarms.length === 0 && Date.now() < until; await sleep(20))
          await fence.tick();
        expect(world.alarms).toMatchObject([{ kind: 'below', ids: [27] }]);
      }),
    );

    test(
      'notices an emptied table, and a row with a low id of its own',
      within(engine, { rows: 5 }, async (world) => {
        const writer = await world.writer();
        await writer.query(`${INTO.replace('(', '(id, ')} VALUES (5, ${ROW.slice(1)}`);
        await world.until(() => world.alarms.length > 0, 3_000);
        expect(world.alarms).toMatchObject([{ kind: 'below', ids: [5] }]);
        expect(world.ticked.at(-1)).toBe(5);
        await writer.query('DELETE FROM tblwh WHERE id = 31');
        await world.until(() => false, 1_200);
        expect(world.alarms).toHaveLength(1);
        await writer.query('TRUNCATE tblwh');
        await writer.query(INSERT);
        await world.until(() => world.alarms.length > 1, 3_000);
        expect(world.alarms[1]).toMatchObject({ kind: 'emptied', top: 1 });
      }),
    );

    test(
      'begins below the oldest id without a row',
      within(engine, { settled: false }, async (world) => {
        const writer = await world.writer();
        expect(world.fence.safeId).toBe(0);
        await writer.query(
          `${INTO.replace('(', '(id, ')} VALUES (1, ${ROW.slice(1)}, (2, ${ROW.slice(1)}, (3, ${ROW.slice(1)}, (5, ${ROW.slice(1)}`,
        );
        expect(await world.boot()).toBe(3);
        await writer.query('TRUNCATE tblwh');
        for (let i = 0; i < 5; i++) await writer.query(INSERT);
        expect(await world.boot()).toBe(5);
        await writer.query('DELETE FROM tblwh WHERE id = 5');
        expect(await world.boot()).toBe(4);
      }),
    );

    test(
      'has settled before the first content of an empty table comes',
      within(engine, {}, async (world) => {
        await vi.waitFor(async () => {
          await world.tick();
          expect(world.fence.heldSeconds).toBe(0);
        }, 8_000);
        await (await world.writer()).query(INSERT);
        await world.tick();
        expect(world.fence.heldSeconds).toBe(0);
      }),
    );
  });
