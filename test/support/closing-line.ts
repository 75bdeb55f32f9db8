// Prints the last lines of a run: what was skipped and what to install for it, then `N passed, N failed`, which a CI can read.
import type { Reporter, TestModule } from 'vitest/node';
import { INSTALL } from './tools.ts';

/** In a CI a skipped test counts as failed: it promises that everything ran. */
const CI = Boolean(process.env.CI);

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length };
    // By reason, with how many tests were skipped for it.
    const skipped = new Map<string, number>();
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed++;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') counts.passed++;
        else if (result.state !== 'skipped' || CI) counts.failed++;
        if (result.state !== 'skipped') continue;
        const reason = result.note ?? '';
        skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
        if (CI) console.log(`SKIPPED, which counts as failed: ${test.fullName}`);
      }
    }
    if (CI && skipped.size > 0) process.exitCode = 1;
    console.log(['', ...linesOf(skipped), `${counts.passed} passed, ${counts.failed} failed`].join('\n'));
  }
}

/** `24 skipped: install apache2-bin, caddy`, and a line for each other reason. Tests left out by `-t` have none. */
function linesOf(skipped: ReadonlyMap<string, number>): string[] {
  const [installs, others] = [new Set<string>(), new Map<string, number>()];
  let lacking = 0;
  for (const [reason, count] of skipped)
    if (reason.startsWith(INSTALL)) {
      installs.add(reason.slice(INSTALL.length));
      lacking += count;
    } else others.set(reason, count);
  return [
    ...(lacking > 0 ? [`${lacking} skipped: ${INSTALL}${[...installs].sort().join(', ')}`] : []),
    ...[...others].map(([reason, count]) => `${count} skipped${reason ? `: ${reason}` : ''}`),
  ];
}
