// Tests run against real servers: one setup starts them, each file makes databases of its own.
import { defineConfig } from 'vitest/config';

// They measure time, kill processes under load, or take both cores: beside others they would only wait for a core.
const ALONE = [
  'connections',
  'consumersoak',
  'durability',
  'foreign',
  'inbox',
  'inboxload',
  'pressure',
  'security-bombs',
  'security-floods',
  'security-fuzz',
  'shortage',
].map((name) => `test/${name}.test.ts`);
// Makes pictures and tests nothing: npm run screenshots.
const PICTURES = process.env.SCREENSHOTS ? [] : ['test/docs-images.test.ts'];

const PATIENCE = { testTimeout: 60_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    // Once, for both projects.
    globalSetup: ['test/setup.ts'],
    reporters: process.env.CI ? ['default', './test/closing-line.ts'] : ['default'],
    projects: [
      {
        test: {
          ...PATIENCE,
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...ALONE, ...PICTURES],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...PATIENCE, name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
