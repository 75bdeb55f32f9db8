// Other releases of Node than the one that runs the tests, from npm's packages of it, fetched once.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { cacheFolder, moveOnce, run, scratchFolder } from './fetch-debs.ts';

/** How npm is called: quickly, and without running what packages bring along. */
export const NPM = [
  '--no-audit',
  '--no-fund',
  '--ignore-scripts',
  '--prefer-offline',
  '--fetch-retries=1',
  '--loglevel=error',
];

/** The path of its program; `release`: 24, or 22.14. Not to be had: fails in a CI, skips with the reason elsewhere. */
export async function fetchNode(release: string, context: TestContext): Promise<string> {
  const setting = `TEST_NODE_${release.replace('.', '_')}`;
  const given = process.env[setting];
  if (given) return given;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(cacheFolder(), `node-${release}`);
  const path = join(folder, 'node_modules', name, 'bin/node');
  if (existsSync(path)) return path;
  const work = await scratchFolder(join(cacheFolder(), 'fetching-'));
  try {
    process.stderr.write(`fetching Node ${release}, once, ~45 MB …\n`);
    await run(['npm', 'install', '--prefix', work.path, ...NPM, `${name}@${release}`]);
    await moveOnce(work.path, folder);
    return path;
  } catch (error) {
    const reason = `no Node ${release} to test with. Name one: ${setting}=/path/to/node. ${(error as Error).message}`;
    if (process.env.CI) throw new Error(reason);
    return context.skip(reason);
  } finally {
    await work.remove();
  }
}
