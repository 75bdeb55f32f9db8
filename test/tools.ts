// Programs of the machine that a test drives: nginx, Chromium. A CI must have them; elsewhere the test says what is missing.
import { existsSync } from 'node:fs';
import type { TestContext } from 'vitest';

const PLACES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/snap/bin'];

const PACKAGES: Readonly<Record<string, string>> = {
  apache2: 'apache2-bin',
  php: 'php-cli',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
};

/** The path of a program. Missing: fails in a CI, skips with the reason elsewhere. */
export function tool(name: string, test: TestContext): string {
  const path = [...(process.env.PATH ?? '').split(':'), ...PLACES]
    .map((folder) => `${folder}/${name}`)
    .find((one) => existsSync(one));
  if (path) return path;
  const reason = `${name} is not installed: apt-get install ${PACKAGES[name] ?? name}`;
  if (process.env.CI) throw new Error(reason);
  return test.skip(reason);
}
