// Prints the closing line that a CI can read: `N passed, N failed`. A skipped test counts as failed: nothing may be skipped silently.
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length };
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') counts.passed++;
        else counts.failed++;
        if (state === 'skipped') console.log(`SKIPPED, which counts as failed: ${test.fullName}`);
      }
    }
    console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
  }
}
