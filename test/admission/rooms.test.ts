// Rooms: nobody has more than a share of what users share, and what is given back is there again.
import { expect, test } from 'vitest';
import { mostOfOne, RESOURCES } from '../../src/admission/resources.ts';
import { createRoom } from '../../src/admission/rooms.ts';
import { readConfig } from '../../src/config/config.ts';
import { unavailable } from '../../src/errors.ts';

const refusal = () => unavailable('Wait.');

test('nobody takes more than half of what the others leave, nor one webhook more than three quarters of that', () => {
  const room = createRoom(1_000, { refusal });
  expect([room.take(1, 375, 1), room.take(1, 1, 1), room.take(1, 125, 2), room.take(1, 1, 3)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect([room.take(2, 187, 3), room.take(2, 63, 4), room.take(2, 1, 4), room.take(3, 93, 5)]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  room.give(1, 375, 1);
  room.give(1, 125, 2);
  expect([room.held, room.take(3, 150, 5), room.held, room.take(1, 120, 1)]).toEqual([343, true, 493, true]);
  // However many take all they may, the next one gets something, and all together never more than there is.
  for (let user = 10; user < 15; user++) {
    let held = 0;
    while (room.take(user, 1, 1)) held++;
    expect(held).toBeGreaterThan(0);
  }
  expect(room.held).toBeLessThanOrEqual(room.most);
});

test('a bound of each holder is exact, and what is empty is forgotten', () => {
  let refused = 0;
  const room = createRoom(1_000, { each: 3, refusal: (most) => unavailable(`${most}`), onRefused: () => refused++ });
  expect([1, 2, 3, 4].map(() => room.take('192.0.2.1', 1))).toEqual([true, true, true, false]);
  expect([room.refuse().message, refused]).toEqual(['3', 1]);
  room.give('192.0.2.1', 1);
  expect([room.take('192.0.2.1', 1), room.take('192.0.2.1', 1), room.of('192.0.2.1')]).toEqual([true, false, 3]);
});

test('what could not be refused counts, and its holder is over', () => {
  const room = createRoom(1_000, { refusal });
  room.put(1, 376, 7);
  expect([room.isOver(1), room.isOver(1, 7), room.isOver(1, 8), room.isOver(2)]).toEqual([false, true, false, false]);
  room.put(1, 200, 8);
  expect([room.isOver(1), room.isOver(1, 8)]).toEqual([true, true]);
  room.give(1, 576);
  expect([room.held, room.isOver(1, 7)]).toEqual([0, false]);
});

test('every resource has a bound for one user, and says what it is and what to do', () => {
  const config = readConfig({ QUOTA_MB_PER_USER: '100', RATE_PER_USER: '100' });
  for (const [name, resource] of Object.entries(RESOURCES)) {
    const most = mostOfOne(resource, { config, memoryBytes: 1e9 });
    expect(most, `${name} has no bound for one user`).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(most, name).toBeGreaterThan(0);
    const problem = resource.refusal(most, 5);
    expect(resource.what, name).toMatch(/\.$/);
    expect(problem.message, name).toMatch(/[.:].*(again|end|delete|wait|send|read)/i);
  }
});
