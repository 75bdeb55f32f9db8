// Tests run against real servers: one setup starts them, each file makes databases of its own.
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/order.ts';

// test/faults kills servers and programs, exhausts a disk, connections or memory, or soaks: `npm run test:faults`.
const FAULTS = ['test/faults/**/*.test.ts'];
// They measure time, kill processes under load, or take both cores: beside others they would only wait for a core.
const ALONE = ['http/connections', 'page/inbox', 'page/inbox-load'].map(pathOf);
const FAULTS_ALONE = [
  'bombs',
  'cost-fuzz',
  'durability',
  'floods',
  'foreign',
  'fuzz',
  'neighbours',
  'nginx',
  'overload',
  'page-memory',
  'processes',
  'shortage',
].map((name) => pathOf(`faults/${name}`));
// Makes pictures and tests nothing: npm run screenshots.
const PICTURES = process.env.SCREENSHOTS ? [] : [pathOf('site/docs-images')];

// Run once more on servers, and as an account, that have set the opposite of what we need: what of ours depends on a session.
const OPPOSITE = ['consumers/consumers', 'reading/sequencer', 'store/*'].map(pathOf);
// Other languages and their package managers, for minutes: npm run test:document.
const DOCUMENT = process.env.DOCUMENT ? [] : ['clients', 'schemathesis'].map((name) => pathOf(`faults/${name}`));

// A poll waits for something that comes; how soon it comes is tested where it matters, with a figure.
const PATIENCE = { testTimeout: 60_000, hookTimeout: 180_000, expect: { poll: { timeout: 8_000 } } };

function pathOf(name: string): string {
  return `test/${name}.test.ts`;
}

/** One after the other, in this order. */
const project = (name: string, groupOrder: number, maxWorkers: number, include: string[], exclude: string[] = []) => ({
  test: { ...PATIENCE, name, include, exclude, maxWorkers, sequence: { groupOrder } },
});

// These need no server that others share.
const WITHOUT_SERVERS = ['sqlite', 'connections', 'others', 'database-tls', 'event-index', 'statements', 'shared-reads', 'session'].map((name) => `store/${name}`).map(pathOf);
const { test: settings } = project('opposite', 0, 3, OPPOSITE, WITHOUT_SERVERS);
const opposite = { test: { ...settings, globalSetup: ['test/support/opposite.ts'] } };

export default defineConfig({
  test: {
    // Once, for all projects.
    globalSetup: ['test/support/setup.ts'],
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      project('together', 0, 3, ['test/**/*.test.ts'], [...ALONE, ...FAULTS, ...PICTURES]),
      opposite,
      project('alone', 1, 1, ALONE),
      project('faults', 2, 3, FAULTS, [...FAULTS_ALONE, ...DOCUMENT]),
      project('faults-alone', 3, 1, FAULTS_ALONE),
    ],
  },
});
