// The queue before the database: order within a webhook, turns between them, and nothing lost whatever is asked of it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collector } from '../../src/observe/overload.ts';
import { createQueue, type Entry } from '../../src/receiver/writer.ts';

interface Numbered extends Entry {
  readonly n: number;
}
/** Of one user, unless told otherwise. */
const entry = (lane: number, n: number, bytes = 1, since = n, user = 1): Numbered => ({ user, lane, n, bytes, since });
const free = () => false;
const names = (taken: readonly Numbered[]) => taken.map(({ lane, n }) => `${lane}:${n}`);

describe('turns', () => {
  test('one row waits behind one row of each other lane, not behind a flood', () => {
    const queue = createQueue<Numbered>();
    for (let n = 0; n < 10_000; n++) queue.add(entry(1, n));
    queue.add(entry(2, 0));
    queue.add(entry(3, 0));
    expect(names(queue.take(4, 100, free))).toEqual(['1:0', '2:0', '3:0', '1:1']);
    expect(queue.size).toBe(9_998);
    queue.add(entry(2, 1));
    expect(names(queue.take(2, 100, free))).toEqual(['1:2', '2:1']);
  });

  test('a user with many webhooks takes no more turns than a user with one', () => {
    const queue = createQueue<Numbered>();
    for (let lane = 1; lane <= 100; lane++) for (let n = 0; n < 5; n++) queue.add(entry(lane, n));
    for (let n = 0; n < 3; n++) queue.add(entry(200, n, 1, n, 2));
    for (let n = 0; n < 2; n++) queue.add(entry(300, n, 1, n, 3));
    expect(names(queue.take(8, 100, free))).toEqual(['1:0', '200:0', '300:0', '2:0', '200:1', '300:1', '3:0', '200:2']);
    // And goes on where it was.
    queue.add(entry(200, 9, 1, 9, 2));
    expect(names(queue.take(4, 100, free))).toEqual(['4:0', '200:9', '5:0', '6:0']);
  });

  test('who was not served when a batch was full is first in the next', () => {
    const queue = createQueue<Numbered>();
    for (const lane of [1, 2, 3, 4]) for (let n = 0; n < 3; n++) queue.add(entry(lane, n));
    const lanes = () => queue.take(3, 100, free).map(({ lane }) => lane);
    expect([lanes(), lanes(), lanes(), lanes()].flat()).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  });

  test('what is larger than a batch travels alone, and is not put off for ever by small ones', () => {
    const queue = createQueue<Numbered>();
    queue.add(entry(1, 0));
    queue.add(entry(2, 0, 50));
    for (let n = 0; n < 5; n++) queue.add(entry(3, n));
    expect(names(queue.take(10, 10, free))).toEqual(['1:0', '3:0', '3:1', '3:2', '3:3', '3:4']);
    for (let n = 5; n < 9; n++) queue.add(entry(3, n));
    expect(names(queue.take(10, 10, free))).toEqual(['2:0']);
    expect(names(queue.take(10, 10, free))).toEqual(['3:5', '3:6', '3:7', '3:8']);
  });

  test('a row that must wait holds up its own lane only', () => {
    const queue = createQueue<Numbered>();
    for (const lane of [1, 2]) for (let n = 0; n < 2; n++) queue.add(entry(lane, n));
    const held = ({ lane, n }: Numbered) => lane === 1 && n === 0;
    expect(names(queue.take(10, 100, held))).toEqual(['2:0', '2:1']);
    expect(names(queue.take(10, 100, held))).toEqual([]);
    expect(names(queue.take(10, 100, free))).toEqual(['1:0', '1:1']);
  });

  test('tells since when a lane waits, and gives up what is too old', () => {
    const queue = createQueue<Numbered>();
    for (let n = 0; n < 4; n++) queue.add(entry(1, n, 10, 100 + n));
    queue.add(entry(2, 0, 5, 102));
    expect(queue.waitsSince(1, 1)).toBe(100);
    expect(names(queue.dropBefore(102))).toEqual(['1:0', '1:1']);
    expect(queue.waitsSince(1, 1)).toBe(102);
    expect(queue.size).toBe(3);
    expect(names(queue.dropBefore(103)).sort()).toEqual(['1:2', '2:0']);
    expect(queue.waitsSince(1, 2)).toBe(undefined);
  });
});

test('what has left a lane that never ends is not kept in memory', async () => {
  const collect = collector();
  const queue = createQueue<Numbered & { body?: Buffer }>();
  const bodies: WeakRef<Buffer>[] = [];
  for (let n = 0; n < 200; n++) {
    const body = Buffer.alloc(100_000);
    bodies.push(new WeakRef(body));
    queue.add({ ...entry(1, n), body });
    if (n > 1) queue.take(1, 1e9, () => false);
  }
  // What a WeakRef was made of lives until the end of the turn.
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  expect(queue.size).toBe(2);
  expect(bodies.filter((one) => one.deref()).length).toBeLessThanOrEqual(2);
});

test('whatever is added, taken and dropped: each once, in order within its lane, within the limits, and the sums are right', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ add: fc.integer({ min: 1, max: 5 }), bytes: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ rows: fc.integer({ min: 1, max: 6 }), most: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 1, arbitrary: fc.record({ drop: fc.integer({ min: 0, max: 60 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 0, max: 6 }), (steps, held) => {
      const queue = createQueue<Numbered>();
      const waiting = new Map<number, Numbered[]>();
      let n = 0;
      const gone = (all: readonly Numbered[]) => {
        for (const one of all) expect(waiting.get(one.lane)?.shift()).toBe(one);
      };
      for (const one of steps) {
        if ('add' in one) {
          // Lanes 1 and 2 are of one user.
          const added = entry(one.add, n++, one.bytes, n, Math.max(2, one.add));
          queue.add(added);
          waiting.set(added.lane, [...(waiting.get(added.lane) ?? []), added]);
        } else if ('rows' in one) {
          const taken = queue.take(one.rows, one.most, ({ lane }) => lane === held);
          expect(taken.length).toBeLessThanOrEqual(one.rows);
          if (taken.length > 1) expect(taken.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(one.most);
          if (taken.length === 0) for (const [lane, rest] of waiting) if (lane !== held) expect(rest).toHaveLength(0);
          gone(taken);
        } else gone(queue.dropBefore(one.drop));
        const rest = [...waiting.values()].flat();
        expect(queue.size).toBe(rest.length);
      }
    }),
    { numRuns: 500 },
  );
});
