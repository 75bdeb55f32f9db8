// The fence's rules one by one, over an imagined table and an imagined clock.
import { expect, test } from 'vitest';
import {
  createFence,
  type FenceAlarm,
  type FenceOptions,
  type FenceSource,
  type Row,
} from '../../src/reading/fence.ts';
import { createHoles } from '../../src/reading/holes.ts';
import { takesNoIds } from '../../src/store/fence/writers.ts';

const row = (id: number): Row => ({ id, user_id: 1, wh_id: 7 });

function imagine(options: Partial<FenceOptions> & { minAgeMs?: number; ordered?: boolean } = {}) {
  const table = {
    clock: 0,
    committed: new Set<number>(),
    /** Written, not committed: a locking read finds them. */
    open: new Set<number>(),
    writers: new Set<string>() as Set<string> | null,
    flushedAt: Number.NEGATIVE_INFINITY,
    fails: '',
    probes: 0,
    looks: 0,
    transactions: new Set<string>(),
    given: 0,
  };
  const within = (ids: Iterable<number>, from: number, to: number) => [...ids].filter((id) => id >= from && id <= to);
  const source: FenceSource = {
    ordered: options.ordered ?? false,
    minAgeMs: options.minAgeMs ?? 0,
    flushedAt: () => table.flushedAt,
    async look(after, holes, limit) {
      table.looks++;
      if (table.fails === 'look') throw new Error('away');
      const rows: Row[] = [];
      for (let id = after + 1; id <= table.given && rows.length < limit; id++)
        if (table.committed.has(id)) rows.push(row(id));
      const late = holes.flatMap(([from, to]) => {
        const found: Row[] = [];
        for (let id = from; id <= to && id - from < 1_000; id++) if (table.committed.has(id)) found.push(row(id));
        return found;
      });
      return { rows, late };
    },
    async probe(ranges) {
      table.probes++;
      if (table.fails === 'probe') throw new Error('probe refused');
      return ranges.every(([from, to]) => within([...table.open], from, to).length === 0);
    },
    async writers() {
      if (table.fails === 'writers') throw new Error('no answer');
      return table.writers && new Set(table.writers);
    },
    blockers: async () => ['connection 5'],
    top: async () => table.given,
    open: async () => new Set(table.transactions),
  };
  const alarms: FenceAlarm[] = [];
  const fence = createFence({
    source,
    from: 0,
    now: () => table.clock,
    onAlarm: (alarm) => alarms.push(alarm),
    ...options,
  });
  const commit = (...ids: number[]) => {
    for (const id of ids) {
      table.open.delete(id);
      table.committed.add(id);
      table.given = Math.max(table.given, id);
    }
  };
  const tick = async () => (await fence.tick()).map(({ id }) => id);
  /** Ticks every 25 ms of the imagined clock. */
  async function run(ms: number): Promise<number[]> {
    const seen: number[] = [];
    for (const end = table.clock + ms; table.clock < end; ) {
      table.clock += 25;
      seen.push(...(await tick()));
    }
    return seen;
  }
  const passed = async () => (await fence.passed()).map(({ id }) => id);
  return { table, fence, alarms, commit, tick, run, passed };
}

test('hands out at once what cannot vanish any more', async () => {
  const { fence, commit, tick, passed } = imagine({ minAgeMs: 0 });
  commit(1, 2);
  expect(await tick()).toEqual([1, 2]);
  expect(fence.safeId).toBe(2);
  expect(await passed()).toEqual([1, 2]);
  expect(await passed()).toEqual([]);
});

test('waits until what was seen is old enough to be on disk, and a look has found the server alive', async () => {
  const { table, fence, commit, tick } = imagine({ minAgeMs: 100 });
  commit(1);
  await tick();
  table.clock = 99;
  await tick();
  expect(fence.safeId).toBe(0);
  table.clock = 100;
  expect(fence.safeId).toBe(0);
  await tick();
  expect(fence.safeId).toBe(1);
});

test('does not let a row ripen that a crash may have taken', async () => {
  const { table, fence, commit, tick } = imagine({ minAgeMs: 100 });
  commit(1);
  await tick();
  table.clock = 500;
  table.flushedAt = 499;
  table.fails = 'look';
  await expect(tick()).rejects.toThrow('away');
  expect(fence.safeId).toBe(0);
});

test('goes no further than the newest row, though more ids were given: they may be given again', async () => {
  const { table, fence, commit, tick } = imagine();
  commit(1);
  table.given = 10;
  await tick();
  table.clock = 300;
  await tick();
  expect([fence.safeId, fence.settled, fence.heldSeconds]).toEqual([1, true, 0]);
  table.given = 11;
  table.committed.add(11);
  expect(await tick()).toEqual([11]);
  expect(fence.safeId).toBe(11);
});

test('or until a commit of our own was sent after it was seen', async () => {
  const { table, fence, commit, tick } = imagine({ minAgeMs: 2_000 });
  table.clock = 10;
  commit(1);
  await tick();
  table.flushedAt = 10;
  await tick();
  expect(fence.safeId).toBe(0);
  table.flushedAt = 11;
  await tick();
  expect(fence.safeId).toBe(1);
});

test('reads again what may have vanished in a crash, and takes what stands there now', async () => {
  const { table, fence, commit, tick } = imagine({ minAgeMs: 100 });
  commit(1);
  await tick();
  table.clock = 50;
  table.fails = 'look';
  await expect(fence.tick()).rejects.toThrow('away');
  table.clock = 5_000;
  expect(fence.safeId).toBe(0);
  table.fails = '';
  table.committed.clear();
  expect(await tick()).toEqual([]);
  table.open.add(1); // the id was given again
  commit(2);
  expect(await tick()).toEqual([2]);
  table.clock = 10_000;
  await tick();
  expect(fence.safeId).toBe(0);
});

test('passes a gap once its writers have ended and a probe finds nothing, not before 250 ms', async () => {
  const { table, fence, commit, run } = imagine();
  table.writers = new Set(['a']);
  commit(2);
  await run(1_000);
  expect([fence.safeId, table.probes]).toEqual([0, 0]);
  table.writers = new Set(['b']); // began after the gap was seen: cannot hold its id
  await run(25);
  expect(fence.safeId).toBe(2);
});

test('does not pass a gap before it is 250 ms old', async () => {
  const { fence, commit, run } = imagine();
  commit(2);
  await run(225);
  expect(fence.safeId).toBe(0);
  await run(75);
  expect(fence.safeId).toBe(2);
});

test('a writer that was away once has ended, though another one bears its name now', async () => {
  const { table, fence, commit, run } = imagine();
  table.writers = new Set(['a']);
  commit(2);
  await run(50);
  table.writers = new Set();
  await run(25);
  table.writers = new Set(['a']);
  await run(300);
  expect(fence.safeId).toBe(2);
});

test('without sight of writers two probes must agree, a second apart', async () => {
  const { table, fence, commit, run } = imagine();
  table.writers = null;
  commit(2);
  await run(1_000);
  expect(fence.safeId).toBe(0);
  await run(50);
  expect(fence.safeId).toBe(2);
});

test('what was seen of writers proves nothing once they cannot be seen', async () => {
  const { table, fence, commit, run } = imagine();
  commit(2);
  await run(50);
  table.writers = null;
  await run(900);
  expect(fence.safeId).toBe(0);
});

test('stops below the first gap that is alive, among many dead ones', async () => {
  const { table, fence, commit, run } = imagine();
  for (let id = 2; id <= 600; id += 2) commit(id);
  table.open.add(401);
  await run(600);
  expect(fence.safeId).toBe(400);
  const probes = table.probes;
  await run(250);
  expect(table.probes - probes).toBeLessThanOrEqual(10);
  commit(401);
  expect(await run(25)).toEqual([401]);
  await run(300);
  expect(fence.safeId).toBe(600);
});

test.each(['probe', 'writers'])('holds while %s fails, and says so', async (fails) => {
  const { table, fence, commit, run, alarms } = imagine();
  table.fails = fails;
  commit(2);
  expect(await run(6_000)).toEqual([2]);
  expect(fence.safeId).toBe(0);
  expect(alarms).toHaveLength(1);
  expect(alarms[0]?.text).toMatch(/id 1, .* for 5 s: connection 5; (probe refused|no answer)/);
  table.fails = '';
  await run(300);
  expect(fence.safeId).toBe(2);
});

test('asks all other nodes too', async () => {
  let clear = false;
  const node = { probe: async () => clear, writers: async () => new Set<string>() };
  const { fence, commit, run } = imagine({ nodes: [node] });
  commit(2);
  await run(2_000);
  expect(fence.safeId).toBe(0);
  clear = true;
  await run(25);
  expect(fence.safeId).toBe(2);
});

test('with FENCE_MAX_HOLD many gaps of one age are given up one after the other, not one per hold', async () => {
  const forced: unknown[] = [];
  const { table, fence, commit, run } = imagine({ maxHoldMs: 10_000, onForced: (one) => forced.push(one) });
  table.open.add(1).add(3).add(5);
  commit(2, 4, 6);
  await run(9_900);
  expect(fence.safeId).toBe(0);
  await run(400);
  expect(fence.safeId).toBe(6);
  expect(forced).toMatchObject([{ from: 1 }, { from: 3 }, { from: 5 }]);
});

test('where ids are committed in their order a gap is dead at once', async () => {
  const { fence, commit, tick } = imagine({ ordered: true });
  commit(5);
  expect(await tick()).toEqual([5]);
  expect(fence.safeId).toBe(5);
});

test('a long table without a kept position waits for the transactions that were open at the start', async () => {
  const { table, fence, commit, tick } = imagine({ from: 2_000_000, awaitOpen: true });
  table.transactions.add('old');
  table.given = 2_000_000;
  commit(2_000_001);
  await tick();
  expect(fence.safeId).toBe(0);
  table.transactions.clear();
  table.transactions.add('new');
  await tick();
  expect(fence.safeId).toBe(2_000_001);
});

test('ten minutes behind one row at 500 a second: nothing is lost, ticks stay cheap, memory small', async () => {
  const { table, fence, commit, passed } = imagine();
  table.open.add(1);
  const seen: number[] = [];
  const began = performance.now();
  for (let id = 2; id <= 300_001; ) {
    for (let i = 0; i < 125 && id <= 300_001; i++) commit(id++);
    table.clock += 250;
    for (const { id } of await fence.tick()) seen.push(id);
  }
  expect(seen).toHaveLength(300_000);
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(fence.heldSeconds).toBeGreaterThan(595);
  commit(1);
  await fence.tick();
  expect(fence.safeId).toBe(300_001);
  const all: number[] = [];
  for (let page = await passed(); page.length > 0; page = await passed()) {
    expect(page.length).toBeLessThanOrEqual(50_000);
    all.push(...page);
  }
  expect(all).toEqual(Array.from({ length: 300_001 }, (_, i) => i + 1));
}, 30_000);

test('gaps are told exactly, whatever was seen and forgotten', () => {
  const gaps = createHoles(10);
  for (const id of [11, 12, 15, 4_095, 4_097, 3_000_000_000]) expect(gaps.add(id)).toBe(true);
  expect(gaps.add(15)).toBe(false);
  const all = [
    [13, 14],
    [16, 4_094],
    [4_096, 4_096],
    [4_098, 2_999_999_999],
  ];
  expect(gaps.ranges(11, gaps.top, 10)).toEqual(all);
  expect(gaps.ranges(11, gaps.top, 2)).toEqual(all.slice(0, 2));
  expect(gaps.ranges(4_000, 4_096, 9)).toEqual([
    [4_000, 4_094],
    [4_096, 4_096],
  ]);
  expect(gaps.firstMissing(11)).toBe(13);
  expect(gaps.firstMissing(3_000_000_000)).toBe(3_000_000_001);
  gaps.cut(15);
  expect(gaps.ranges(1, gaps.top, 10)).toEqual([[13, 14]]);
  gaps.add(17);
  expect(gaps.ranges(1, gaps.top, 10)).toEqual([
    [13, 14],
    [16, 16],
  ]);
});

test.each([
  ['SELECT * FROM tblwh FOR UPDATE', true],
  ['/* nightly */ DELETE FROM `tblwh` WHERE id < 5', true],
  ['update tblwh set api = 1', true],
  ["UPDATE other SET note = 'tblwh'", false], // may have a trigger that inserts
  ['SELECT store_one()', false],
  ['INSERT INTO tblwh SELECT * FROM old', false],
  ['ALTER TABLE other ADD x INT', true],
  ['', false],
])('%s takes no ids: %s', (sql, expected) => {
  expect(takesNoIds(sql)).toBe(expected);
});
