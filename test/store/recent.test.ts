// What SQLite's own process remembers of its last commits: as much as is known without a hole, and never anything else.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PositionedRow } from '../../src/store/positions.ts';
import { createRecent } from '../../src/store/positions.ts';

const placed = (id: number, pos: number): PositionedRow => ({ id, pos, user_id: id % 7, wh_id: 1, seen_ms: 5 });
const run = (id: number, pos: number, n: number): PositionedRow[] =>
  Array.from({ length: n }, (_, i) => placed(id + i, pos + i));

test('answers from the one that is asked for on, and not when that one is unknown', () => {
  const recent = createRecent();
  expect(recent.afterId(0, 10)).toEqual([]);
  recent.add(run(11, 5, 3));
  expect(recent.afterId(10, 10)).toEqual(run(11, 5, 3));
  expect(recent.afterId(11, 1)).toEqual(run(12, 6, 1));
  expect(recent.afterId(9, 10)).toEqual([]);
  expect(recent.afterId(13, 10)).toEqual([]);
  expect(recent.fromPos(6, 100)).toEqual(run(12, 6, 2));
  expect(recent.fromPos(5, 6)).toEqual(run(11, 5, 1));
  expect(recent.fromPos(4, 6)).toEqual([]);
});

test('a hole in ids or positions, or ids that begin again, forget what was before', () => {
  const recent = createRecent();
  recent.add(run(1, 1, 3));
  recent.add(run(5, 4, 2));
  expect(recent.afterId(0, 10)).toEqual([]);
  expect(recent.afterId(4, 10)).toEqual(run(5, 4, 2));
  recent.add(run(1, 6, 2));
  expect(recent.afterId(4, 10)).toEqual([]);
  expect(recent.fromPos(6, 9)).toEqual(run(1, 6, 2));
});

test('whatever is added: an answer is a run of what was added, from the asked one on', () => {
  const batch = fc.tuple(
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 1, max: 4 }),
  );
  fc.assert(
    fc.property(
      fc.array(batch, { maxLength: 30 }),
      fc.nat(100),
      fc.integer({ min: 1, max: 20 }),
      (batches, after, limit) => {
        const recent = createRecent();
        const all = new Map<number, PositionedRow>();
        let [id, pos] = [1, 1];
        for (const [skipIds, skipPositions, n] of batches) {
          const some = run(id + skipIds, pos + skipPositions, n);
          for (const one of some) all.set(one.id, one);
          recent.add(some);
          [id, pos] = [id + skipIds + n, pos + skipPositions + n];
        }
        const answer = recent.afterId(after, limit);
        expect(answer.length).toBeLessThanOrEqual(limit);
        answer.forEach((one, i) => {
          expect(one.id).toBe(after + 1 + i);
          expect(one).toEqual(all.get(one.id));
        });
      },
    ),
  );
});
