// Long work gives way: no turn takes much longer than a slice, users take turns, and each gets its own result.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { verdictOn } from '../../src/verify/judge.ts';
import { compileRules, type Rules } from '../../src/verify/rules.ts';
import { atOnce, inSlices, type Sliced } from '../../src/verify/slices.ts';

/** Steps that take about 2 ms each. */
function* steps(count: number, note: () => void = () => {}): Sliced<number> {
  for (let i = 0; i < count; i++) {
    for (const began = performance.now(); performance.now() - began < 2; );
    note();
    yield;
  }
  return count;
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What comes of it in a turn of its own; on a busy machine the process may lose its core just then, so it is tried again. */
async function sync(count: number): Promise<unknown> {
  let result: unknown;
  for (let tries = 0; tries < 50 && typeof result !== 'number'; tries++) {
    await turn();
    result = inSlices(1, steps(count));
    await result;
  }
  return result;
}

test('what is short is there at once; what is long, or comes when the slice of this turn is used up, is a promise', async () => {
  expect(await sync(1)).toBe(1);
  const long = inSlices(1, steps(30));
  expect(long).toBeInstanceOf(Promise);
  const later = inSlices(2, steps(1));
  expect(later).toBeInstanceOf(Promise);
  expect([await long, await later]).toEqual([30, 1]);
  expect(await sync(1)).toBe(1);
});

test('other work has its turn at least every slice, however many wait', async () => {
  let turns = 0;
  let over = false;
  const others = (async () => {
    for (; !over; turns++) await turn();
  })();
  let done = 0;
  const all = Array.from({ length: 10 }, (_, user) =>
    inSlices(
      user,
      steps(20, () => done++),
    ),
  );
  expect(await Promise.all(all)).toEqual(Array(10).fill(20));
  over = true;
  await others;
  // 200 steps of 2 ms and more: a slice has six at most.
  expect(turns).toBeGreaterThanOrEqual(200 / 6 - 2);
  expect(done).toBe(200);
});

test('a user with much to do does not put off another one', async () => {
  await turn();
  const order: string[] = [];
  const heavy = Array.from({ length: 20 }, () =>
    inSlices(
      1,
      steps(20, () => order.push('heavy')),
    ),
  );
  const light = Promise.resolve(
    inSlices(
      2,
      steps(8, () => order.push('light')),
    ),
  );
  await light;
  expect(order.filter((one) => one === 'heavy').length).toBeLessThan(100);
  await Promise.all(heavy);
  expect(order).toHaveLength(408);
});

test('what fails rejects alone, and what is done at once fails at once', async () => {
  await turn();
  function* failing(): Sliced<never> {
    yield* steps(10);
    throw new Error('broken');
  }
  const [bad, good] = [inSlices(1, failing()), inSlices(1, steps(3))];
  await expect(bad).rejects.toThrow('broken');
  expect(await good).toBe(3);
  expect(() => atOnce(failing())).toThrow('broken');
  expect(atOnce(steps(2))).toBe(2);
});

test.each(['rsa-sha256', 'hmac-sha256'])('a body is hashed a quarter of a MiB at a time: %s', (algorithm) => {
  const body = Buffer.alloc(10 * 1024 * 1024, 0x61);
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = algorithm === 'rsa-sha256';
  const signature = rsa ? sign('sha256', body, privateKey) : createHmac('sha256', 'secret').update(body).digest();
  const rules = compileRules({
    verify: {
      scheme: rsa ? 'asymmetric' : 'hmac',
      algorithm: rsa ? algorithm : 'sha256',
      encoding: 'base64',
      signature: { from: 'header:X-S' },
    },
  });
  const value = rsa ? publicKey.export({ type: 'spki', format: 'pem' }).toString() : 'secret';
  const headers = ['X-S', signature.toString('base64')];
  const incoming = { method: 'POST', publicUrl: '', headers, body, receivedMs: 0 };
  const work = verdictOn(rules as Rules, [{ value, expiresMs: null }], incoming);
  let steps = 1;
  for (let step = work.next(); ; step = work.next(), steps++)
    if (step.done) {
      expect(step.value).toMatchObject({ kind: 'accepted', verified: 'signed' });
      break;
    }
  expect(steps).toBeGreaterThanOrEqual(40);
});
