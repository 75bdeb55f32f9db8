// The stall watch itself: it finds a long turn of the product's code, by name, and leaves the test's own code alone.
import { afterAll, expect, test } from 'vitest';
import { isShared } from '../../src/verify/digest.ts';
import { LONGEST_TURN_MS, slownessNow, unwatched, watchProduct } from '../support/stalls.ts';

const watch = watchProduct();
afterAll(() => watch.close());

const BODY = 'x'.repeat(1_000_000);
// In CPU of this process, so that it is long on any machine. Twice: the watch allows a slow machine more.
const LONG_MS = 3 * LONGEST_TURN_MS * slownessNow();
/** In one turn of the event loop. */
function keepBusy(work: () => unknown): void {
  for (const began = process.cpuUsage(); process.cpuUsage(began).user < LONG_MS * 1000; ) work();
}
const product = () => isShared([Buffer.from(BODY)], { value: BODY, expiresMs: null });
async function seen(): Promise<string[]> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
  return watch.stalls();
}

test('a long turn of the product is told with its functions', async () => {
  // A profiler that got no core says nothing: on a busy machine it may take another turn.
  const told: string[] = [];
  for (let i = 0; i < 10 && told.length === 0; i++) {
    keepBusy(product);
    told.push(...(await seen()));
  }
  expect(told[0]).toMatch(/ms in one turn.*isShared src\/verify\/digest\.ts/);
});

test('a long turn of the test is not, and neither is one that is allowed', async () => {
  keepBusy(() => JSON.stringify(Array.from({ length: 1_000 }, (_, i) => i)));
  expect(await seen()).toEqual([]);
  await unwatched(async () => keepBusy(product));
  expect(await seen()).toEqual([]);
});

test('the same work in short turns is none', async () => {
  for (let i = 0; i < 60; i++) {
    product();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await seen()).toEqual([]);
});
