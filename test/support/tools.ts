// What a test needs of the machine: nginx, Chromium, another release of Node. A CI must have it; elsewhere the closing lines say what to install.
import { existsSync } from 'node:fs';
import type { TestContext } from 'vitest';

/** Of a test, or of what runs before each one. */
export type Skips = Pick<TestContext, 'skip'>;

// Servers are there, and not every user has these in PATH.
const PLACES = ['/usr/sbin', '/usr/local/sbin', '/snap/bin'];
/** Packages that are not called as their program. */
const PACKAGES: Readonly<Record<string, string>> = {
  apache2: 'apache2-bin',
  cc: 'gcc, libc6-dev',
  // The second for how accounts of MySQL sign in.
  mysqldump: 'mariadb-client, libmariadb3',
  nginx: 'nginx-light',
  php: 'php-cli',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
};
/** How the reason of a skipped test begins when something can be installed; test/closing-line.ts gathers them. */
export const INSTALL = 'install ';

/** Ends a test that cannot run here: fails in a CI, skips elsewhere. `reason`: what to do about it. */
export function lacks(reason: string, test: Skips): never {
  if (process.env.CI) throw new Error(`this cannot be tested here: ${reason}`);
  return test.skip(reason);
}

/** The path of a program that the test cannot do without. */
export function needs(program: string, test: Skips): string {
  const path = [...(process.env.PATH ?? '').split(':'), ...PLACES]
    .map((folder) => `${folder}/${program}`)
    .find((one) => existsSync(one));
  return path ?? lacks(INSTALL + (PACKAGES[program] ?? program), test);
}

/** For a test that mounts a disk of its own. */
export function needsRoot(test: Skips): void {
  if (process.getuid?.() !== 0) lacks('run as root, which alone may mount a disk', test);
}
