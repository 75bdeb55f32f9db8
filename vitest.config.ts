// Tests run against real servers: one setup starts them, each file makes databases of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Makes pictures and tests nothing: npm run screenshots.
    exclude: process.env.SCREENSHOTS ? [] : ['test/docs-images.test.ts'],
    globalSetup: ['test/setup.ts'],
    reporters: process.env.CI ? ['default', './test/closing-line.ts'] : ['default'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // Each file starts services of its own, and several kill processes under load: more at once only makes tests that depend
    // on time wait for a core.
    maxWorkers: process.env.CI ? 1 : 2,
  },
});
