// Builds dist/: one bundle for the bin, one for importers, and the assets of /docs. Run by npm start and npm test.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build } from 'esbuild';

const banner =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['@photostructure/sqlite'],
  logLevel: 'warning',
  legalComments: 'none',
};
const [{ metafile }] = await Promise.all([
  build({
    ...common,
    metafile: true,
    entryPoints: ['src/main.ts'],
    outfile: 'dist/main.js',
    // Node 22 warns on every start that node:sqlite is experimental. Requests wait for their commit: with V8's 16 MiB
    // they outlive its young generation, and moving them costs 5 to 10 % of the CPU.
    banner: { js: `#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --max-semi-space-size=32\n${banner}` },
  }),
  build({ ...common, entryPoints: ['src/index.ts'], outfile: 'dist/index.js', banner: { js: banner } }),
]);
notices(Object.keys(metafile.inputs));
chmodSync('dist/main.js', 0o755);
await scalar();

/** Scalar's script as a file of ours, compressed once. Its package has it inside a Fastify plugin: ask the plugin for it. */
async function scalar() {
  const manifest = new URL('node_modules/@scalar/fastify-api-reference/package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
  const name = `scalar-${version}.js`;
  const to = new URL('dist/assets/', import.meta.url);
  if (existsSync(new URL(`${name}.gz`, to))) return;
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const [{ default: Fastify }, { default: plugin }] = await Promise.all([
    import('fastify'),
    import('@scalar/fastify-api-reference'),
  ]);
  const app = Fastify();
  await app.register(plugin, {
    routePrefix: '/docs',
    configuration: { content: { openapi: '3.1.0', info: { title: '', version: '' }, paths: {} } },
  });
  const { statusCode, rawPayload: script } = await app.inject('/docs/js/scalar.js');
  if (statusCode !== 200) throw new Error(`Scalar's plugin answered ${statusCode} for its script`);
  // Quality 9: 11 is 3 % smaller and takes 15 s longer.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: script.length };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(script, { params }),
    promisify(gzip)(script, { level: 9 }),
  ]);
  writeFileSync(new URL(`${name}.br`, to), br);
  writeFileSync(new URL(`${name}.gz`, to), gz);
}

/** The licences of everything that is inside the bundle and the page, as they ask for. */
function notices(inputs) {
  const packages = new Set(
    inputs.map((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean),
  );
  packages.add('node_modules/@scalar/fastify-api-reference');
  const texts = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file ? readFileSync(`${folder}/${file}`, 'utf8').trim() : `Licence: ${license}`}\n`;
  });
  writeFileSync(
    'dist/THIRD-PARTY-NOTICES',
    `Restante contains these works of others.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`,
  );
}
