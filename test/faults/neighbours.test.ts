// The neighbour matrix: one tenant has as much of a resource as he gets, and a neighbour who sends and polls does not notice.
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mostOfOne, RESOURCES } from '../../src/admission/resources.ts';
import { ROUTES } from '../../src/api/app.ts';
import { readConfig } from '../../src/config/config.ts';
import { ENGINES } from '../support/engines.ts';
import { slownessNow } from '../support/stalls.ts';
import {
  BODIES,
  ENDLESS,
  ENV,
  type Matrix,
  RESOURCES_OF_ALL,
  ROWS,
  type Row,
  routesRow,
  startMatrix,
} from './runs/neighbour-rows.ts';

// Quiet and loud phases take turns, so that what the machine does besides is in both.
const PHASES = 3;
const PHASE_MS = 700;
// A load has begun by then.
const BETWEEN_MS = 200;
// A turn of the event loop may take this long, whoever's it is: with less than that nobody is late.
const FLOOR_MS = 100;
const MOST_TIMES = 2;
// So long the neighbour himself may have stood still in a phase that counts.
const GAP_MS = 500;
const MOST_VOIDED = 12;
// A busy machine may disturb one of these.
const ATTEMPTS = 3;

// Three minutes for SQLite, five for each server: NEIGHBOURS=sqlite,mariadb,mysql.
const CHOSEN = ENGINES.filter((engine) => (process.env.NEIGHBOURS ?? 'sqlite').split(',').includes(engine));

test('each resource that users share has a row, and so has each route', () => {
  const covered = new Set(ROWS.flatMap(({ covers }) => covers));
  expect(RESOURCES_OF_ALL.filter((name) => !covered.has(name))).toEqual([]);
  const limits = { config: readConfig({ ...ENV, DATABASE_URL: 'sqlite:./x.db' }), memoryBytes: totalmem() };
  expect(Object.keys(RESOURCES).filter((name) => !covered.has(name))).toEqual([]);
  const unbounded = Object.entries(RESOURCES).filter(([, one]) => !Number.isFinite(mostOfOne(one, limits)));
  expect(unbounded.map(([name]) => name)).toEqual([]);
  // A row of the routes is made for each tag; what a call is sent has to be said.
  const named = ROUTES.filter(({ body, rawBody }) => body || rawBody).map(({ method, url }) => `${method} ${url}`);
  expect(named.filter((name) => !(name in BODIES))).toEqual([]);
});

describe.each(CHOSEN)('beside a tenant at his maximum on %s', (engine) => {
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix(engine);
  });
  afterAll(async () => {
    await matrix?.stop();
  });

  const tags = [...new Set(ROUTES.map(({ tag }) => tag))];
  const rows: readonly Row[] = [...ROWS, ...tags.map(routesRow)];
  test.for(rows.map((row) => [row.name, row] as const))('%s', { timeout: 240_000 }, async ([, row]) => {
    expect(matrix.died()).toBeUndefined();
    await row.prepare?.(matrix);
    const told: string[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { quiet, loud, failed } = await compare(matrix, row);
      expect(matrix.died()).toBeUndefined();
      expect(failed).toEqual([]);
      const slowness = slownessNow();
      const late = (['sent', 'polled'] as const).filter(
        (kind) => loud[kind] > Math.max(MOST_TIMES * quiet[kind], (row.floorMs ?? FLOOR_MS) * slowness),
      );
      told.push(
        late.map((kind) => `${kind}: p99 ${loud[kind].toFixed(0)} ms, alone ${quiet[kind].toFixed(0)} ms`).join(),
      );
      if (process.env.RESTANTE_FIGURES) console.log(engine, row.name, { quiet, loud, slowness });
      if (late.length === 0) break;
    }
    expect(told.at(-1), told.join('; ')).toBe('');
    // Last, so that it is seen how the neighbour fared with what is not bounded.
    if (row.over !== ENDLESS) expect(await row.over(matrix), `nothing bounds ${row.name}`).toBe(true);
  });
});

type Times = Readonly<Record<'sent' | 'polled', number>>;

/** The neighbour's p99 in ms, alone and beside the tenant, and what failed. */
async function compare(matrix: Matrix, row: Row): Promise<{ quiet: Times; loud: Times; failed: string[] }> {
  const all = {
    quiet: { sent: [] as number[], polled: [] as number[] },
    loud: { sent: [] as number[], polled: [] as number[] },
  };
  const failed: string[] = [];
  let voided = 0;
  for (let i = 0; i < PHASES; i++)
    for (const which of ['quiet', 'loud'] as const)
      for (;;) {
        // What the tenant had under way ends first.
        if (which === 'quiet') await matrix.calm();
        const end = which === 'loud' ? matrix.begin(row) : undefined;
        await sleep(BETWEEN_MS);
        await matrix.neighbour();
        await sleep(PHASE_MS);
        const { sent, polled, failed: some, gap } = await matrix.neighbour();
        await end?.();
        // The machine stood still, or gave the neighbour himself no core.
        if (gap > GAP_MS && voided++ < MOST_VOIDED) continue;
        all[which].sent.push(...sent);
        all[which].polled.push(...polled);
        failed.push(...some);
        break;
      }
  const p99 = ({ sent, polled }: typeof all.quiet): Times => ({ sent: worst(sent), polled: worst(polled) });
  return { quiet: p99(all.quiet), loud: p99(all.loud), failed };
}

const worst = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
