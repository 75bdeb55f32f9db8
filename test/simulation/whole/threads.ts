// Runs worlds on all cores: the program and its world as one bundle, in as many threads.
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { build, type Plugin } from 'esbuild';

// So many at once: few enough that no thread is alone at the end, and many enough that asking costs nothing.
const AT_ONCE = 50;

// As `vi.mock` does it in the tests: what the program is given in the place of these modules.
const REPLACED: Readonly<Record<string, string>> = {
  'node:timers/promises': `import { timers } from './replaced.ts'; const all = timers(); export const { setTimeout, setImmediate } = all;`,
  'node:os': `import { os } from './replaced.ts'; export * from 'node:os'; const all = await os(() => import('node:os')); export const { uptime } = all;`,
  'lru-cache': `import { lru } from './replaced.ts'; export const { LRUCache } = await lru(() => import('lru-cache'));`,
};
const replacing: Plugin = {
  name: 'replacing',
  setup({ onResolve, onLoad }) {
    const names = new RegExp(`^(${Object.keys(REPLACED).join('|')})$`);
    onResolve({ filter: names }, ({ path, importer, namespace }) =>
      namespace === 'replaced' || !/\/src\//.test(importer) ? undefined : { path, namespace: 'replaced' },
    );
    onLoad({ filter: names, namespace: 'replaced' }, ({ path }) => ({
      contents: REPLACED[path] ?? '',
      resolveDir: import.meta.dirname,
    }));
  },
};

/** Runs the worlds of all seeds from one to another; rejects with the first that fails. */
export async function holdOnAllCores(from: number, to: number, threads = availableParallelism()): Promise<void> {
  const root = join(import.meta.dirname, '../../..');
  // Inside of the project: what the bundle does not hold is found from there.
  const folder = await mkdtemp(join(root, 'node_modules', '.worlds-'));
  const outfile = join(folder, 'thread.mjs');
  let next = from;
  let failed: Error | undefined;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const thread = new Worker(outfile);
      const ask = () => {
        if (next > to || failed) return void thread.terminate().then(() => resolve(), reject);
        thread.postMessage({ from: next, to: Math.min(to, next + AT_ONCE - 1) });
        next += AT_ONCE;
      };
      const fail = (error: Error) => {
        failed ??= error;
        ask();
      };
      thread.on('message', (error: string | undefined) => (error === undefined ? ask() : fail(new Error(error))));
      thread.on('error', (error) => {
        failed ??= error as Error;
        resolve();
      });
      ask();
    });
  try {
    await build({
      entryPoints: [join(import.meta.dirname, 'thread.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
      external: ['@photostructure/sqlite'],
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
      plugins: [replacing],
    });
    await Promise.all(Array.from({ length: threads }, one));
  } finally {
    await rm(folder, { recursive: true });
  }
  if (failed) throw failed;
}
