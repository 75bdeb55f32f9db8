// The alert rules for Prometheus: well-formed, and each fires when what it tells of happens, and not before.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { run } from '../support/fetch-debs.ts';
import { needs } from '../support/tools.ts';

const RULES = resolve('ops/prometheus/alerts.yaml');

test('promtool finds nothing wrong with the rules', async (context) => {
  expect(await run([needs('promtool', context), 'check', 'rules', RULES])).toMatch(/SUCCESS: \d+ rules found/);
});

const LABELS = { job: 'restante', instance: 'one' };
/** A series of a metric, one value a minute. */
const series = (metric: string, values: string, labels: Record<string, string> = {}) => ({
  series: `${metric}{${Object.entries({ ...LABELS, ...labels })
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`,
  values,
});

type Case = readonly [
  alert: string,
  when: string,
  fires: boolean,
  metric: string,
  values: string,
  labels?: Record<string, string>,
];
const CASES: readonly Case[] = [
  ['RestanteDown', 'it does not answer', true, 'up', '1x5 0x20'],
  ['RestanteNotStoring', 'a burst was not stored', true, 'restante_not_stored_total', '0x18 40x6', { cause: 'away' }],
  ['RestanteNotStoring', 'everything is stored', false, 'restante_not_stored_total', '0x30', { cause: 'away' }],
  ['RestanteShedding', 'requests are refused', true, 'restante_shed_total', '0x15 0+5x10', { why: 'memory' }],
  ['RestanteShedding', 'none is', false, 'restante_shed_total', '7x30', { why: 'memory' }],
  ['RestanteMemory', 'memory is nearly full', true, 'restante_memory_ratio', '0.95x30'],
  ['RestanteQueueStuck', 'a transaction hangs', true, 'restante_queue_age_seconds', '0x15 4x10'],
  ['RestanteListsHeld', 'somebody’s transaction is open', true, 'restante_fence_hold_seconds', '61x30'],
  ['RestanteBlind', 'nothing can be looked for', true, 'restante_tail_age_seconds', '30x30'],
  ['RestanteDeadLetters', 'contents were given up', true, 'restante_dead_letters', '3x10 10x15'],
  ['RestanteDeadLetters', 'some were sent again', false, 'restante_dead_letters', '10x10 3x15'],
  ['RestanteIdsRunOut', 'a fifth is left', true, 'restante_id_headroom_ratio', '0.1x30'],
  ['RestanteIdsRunOut', 'there are enough', false, 'restante_id_headroom_ratio', '0.9x30'],
];

const named = CASES.map(([alert, when, fires, metric, values, labels = {}]) => ({
  alert,
  when,
  fires,
  metric,
  values,
  labels,
}));
test.for(named)('$alert, when $when: fires $fires', async ({ alert, fires, metric, values, labels }, context) => {
  const promtool = needs('promtool', context);
  const folder = mkdtempSync(join(tmpdir(), 'restante-alerts-'));
  const check = {
    rule_files: [RULES],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [series(metric, values, labels)],
        // Without the words: that it fires, and for what.
        promql_expr_test: [
          {
            expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
            eval_time: '22m',
            exp_samples: [{ labels: '{}', value: fires ? 1 : 0 }],
          },
        ],
      },
    ],
  };
  writeFileSync(join(folder, 'test.yaml'), stringify(check));
  await run([promtool, 'test', 'rules', join(folder, 'test.yaml')]);
  rmSync(folder, { recursive: true });
});
