// Other releases of Node than the one that runs the tests, from npm's packages of it, fetched once.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, moveOnce, run, scratchFolder } from './fetch-debs.ts';
import { lacks, type Skips } from './tools.ts';

/** How npm is called: quickly, and without running what packages bring along. */
export const NPM = [
  '--no-audit',
  '--no-fund',
  '--ignore-scripts',
  '--prefer-offline',
  '--fetch-retries=1',
  '--loglevel=error',
];

/** The path of its program; `release`: 24, or 22.14. Without it the test ends. */
export async function fetchNode(release: string, context: Skips): Promise<string> {
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
    const [why] = (error as Error).message.split('\n');
    return lacks(`name a Node ${release}, ${setting}=/path/to/node: none could be fetched, ${why}`, context);
  } finally {
    await work.remove();
  }
}
