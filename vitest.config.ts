// Tests run against real servers: one setup starts them, each file makes databases of its own.
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/order.ts';

// They kill servers and programs, exhaust a disk, connections or memory, or soak: `npm run test:faults`. All others: `npm test`.
const FAULTS = [
  'consumersoak',
  'deadlocks',
  'durability',
  'examples-loops',
  'foreign',
  'forward-faults',
  'hosts',
  'nginx',
  'outage',
  'page-memory',
  'pressure',
  'readonly',
  'security-bombs',
  'security-floods',
  'security-fuzz',
  'shortage',
  'silent',
  'upgrade',
];
// They measure time, kill processes under load, or take both cores: beside others they would only wait for a core.
const ALONE = [
  'consumersoak',
  'durability',
  'foreign',
  'inbox',
  'inboxload',
  'nginx',
  'page-memory',
  'pressure',
  'security-bombs',
  'security-floods',
  'security-fuzz',
  'shortage',
];
// Makes pictures and tests nothing: npm run screenshots.
const PICTURES = process.env.SCREENSHOTS ? [] : ['docs-images'];

// A poll waits for something that comes; how soon it comes is tested where it matters, with a figure.
const PATIENCE = { testTimeout: 60_000, hookTimeout: 180_000, expect: { poll: { timeout: 8_000 } } };

const files = (names: readonly string[]): string[] => names.map((name) => `test/**/${name}.test.ts`);
const alone = (name: string): boolean => ALONE.includes(name);
const fault = (name: string): boolean => FAULTS.includes(name);

/** One after the other, in this order. */
const project = (name: string, groupOrder: number, maxWorkers: number, include: string[], exclude: string[] = []) => ({
  test: { ...PATIENCE, name, include, exclude, maxWorkers, sequence: { groupOrder } },
});

export default defineConfig({
  test: {
    // Once, for all projects.
    globalSetup: ['test/setup.ts'],
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/closing-line.ts'],
    projects: [
      project('together', 0, 3, ['test/**/*.test.ts'], files([...ALONE, ...FAULTS, ...PICTURES])),
      project('alone', 1, 1, files(ALONE.filter((name) => !fault(name)))),
      project('faults', 2, 3, files(FAULTS.filter((name) => !alone(name)))),
      project('faults-alone', 3, 1, files(FAULTS.filter(alone))),
    ],
  },
});
