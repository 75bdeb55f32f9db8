// Promise 1 below the process, on SQLite: what was answered survives a power cut, whatever the disk has made of what was not flushed.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { compileRecorder } from '../support/disk/record.ts';
import { createWorld, type World } from '../support/world.ts';
import { cutPower, recordIngest, runPowerCuts } from './runs/power-cuts.ts';

// More of them: POWER_CUTS=100000. Others: POWER_SEED=7.
const CUTS = Number(process.env.POWER_CUTS ?? 1_000);
const SEED = Number(process.env.POWER_SEED ?? 1);
// Webhooks of each sender: few are enough to find what is worse.
const FEW = 20;

let world: World;
let library = '';
beforeAll(async () => {
  world = await createWorld('sqlite');
});
beforeEach(async (context) => {
  library ||= await compileRecorder(world.folder, context);
});
afterAll(async () => {
  await world?.close();
});

test(`nothing that was answered is lost, and nothing is broken, by ${CUTS} power cuts at any moment`, async () => {
  const { figures, failures } = await runPowerCuts(world, library, { count: CUTS, seed: SEED });
  console.log(JSON.stringify(figures));
  expect(failures).toEqual([]);
}, 3_600_000);

const worse = fileURLToPath(new URL('../support/disk/worse-driver.cjs', import.meta.url));
test.each([
  ['synchronous = OFF', { env: { WORSE: 'OFF' } }],
  ['synchronous = NORMAL', { env: { WORSE: 'NORMAL' } }],
  ['an answer before the COMMIT', { env: { WORSE: 'early' } }],
  ['a disk that does not flush', { lying: true }],
  ['none of these', { good: true }],
])('a control: %s', async (_, { env, lying = false, good = false }: Control) => {
  const settings = env ? { ...env, NODE_OPTIONS: `--require=${worse}` } : {};
  const history = await recordIngest(world, library, FEW, settings);
  const { failures } = await cutPower('control', history, { count: 2 * FEW, seed: SEED, lying });
  console.log(failures[0] ?? 'nothing is lost');
  expect(failures.length === 0).toBe(good);
});
interface Control {
  readonly env?: Readonly<Record<string, string>>;
  readonly lying?: boolean;
  readonly good?: boolean;
}
