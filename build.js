// Builds dist/: one bundle for the bin, one for importers, and the assets of /docs and /inbox. Run by npm start and npm test.
// npm pack runs it with --pack: from an empty dist/, and with the types that importers need.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { brotliCompress, brotliCompressSync, constants, gzip, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { Marked, Renderer } from 'marked';

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
  metafile: true,
};
const packing = process.argv.includes('--pack');
if (packing) rmSync('dist', { recursive: true, force: true });
const typed = packing && types();
const [{ metafile: ofBin }, { metafile: ofIndex }, { metafile: ofThread }, ofPage] = await Promise.all([
  build({
    ...common,
    entryPoints: ['src/main.ts'],
    outdir: 'dist',
    // What a verb loads when it needs it is a file of its own: a megabyte that `serve` does not have to read.
    splitting: true,
    chunkNames: 'part-[name]',
    // Node 22 warns on every start that node:sqlite is experimental. Requests wait for their commit: with V8's 16 MiB
    // they outlive its young generation, and moving them costs 5 to 10 % of the CPU; 32 would cost 20 MB more at rest.
    banner: { js: `#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --max-semi-space-size=24\n${banner}` },
  }),
  build({ ...common, entryPoints: ['src/index.ts'], outfile: 'dist/index.js', banner: { js: banner } }),
  // A thread of its own loads it.
  build({ ...common, entryPoints: ['src/store/engine/sqlite-thread.ts'], outfile: 'dist/sqlite-thread.js' }),
  page(),
  // The SDK: no dependency, for Node and browsers.
  build({
    ...common,
    platform: 'neutral',
    target: 'es2022',
    minify: true,
    entryPoints: ['src/client/index.ts'],
    outfile: 'dist/client.js',
  }),
]);
contained([ofBin.inputs, ofIndex.inputs, ofThread.inputs, ofPage].flatMap(Object.keys), await scalar());
chmodSync('dist/main.js', 0o755);
documentation();
await typed;

/** The live page: scripts and a style sheet, named by what is in them, compressed once. Resolves with what went in. */
async function page() {
  const { outputFiles, metafile } = await build({
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    entryPoints: { inbox: 'src/page/main.ts', replay: 'src/page/replay.ts', style: 'src/page/style/style.css' },
    outdir: 'dist/page',
    entryNames: '[name]-[hash]',
    write: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  mkdirSync('dist/page', { recursive: true });
  const now = outputFiles.flatMap(({ path, contents }) => {
    const name = path.split('/').at(-1);
    writeFileSync(`dist/page/${name}.br`, brotliCompressSync(contents));
    writeFileSync(`dist/page/${name}.gz`, gzipSync(contents, { level: 9 }));
    return [`${name}.br`, `${name}.gz`];
  });
  for (const name of readdirSync('dist/page')) if (!now.includes(name)) rmSync(`dist/page/${name}`);
  return metafile.inputs;
}

/**
 * Scalar's script as a file of ours, compressed once. Its package has it as a string inside a Fastify plugin, which is not
 * run: what that imports asks for Node 22, so that package.json names older packages in its place. Resolves with what the script
 * embeds, which nothing in the package tells: a list of this very script, made from its source map.
 */
async function scalar() {
  const from = 'node_modules/@scalar/fastify-api-reference';
  const { version } = JSON.parse(readFileSync(`${from}/package.json`, 'utf8'));
  const name = `scalar-${version}.js`;
  const to = 'dist/assets';
  const known = JSON.parse(readFileSync('src/site/scalar-contents.json', 'utf8'));
  if (known.version !== version)
    throw new Error(`what Scalar ${version} embeds is not written down: npm run scalar-contents`);
  if (existsSync(`${to}/${name}.gz`)) return known.packages;
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const literal = /^var standalone_default = (".*");$/m.exec(readFileSync(`${from}/dist/index.js`, 'utf8'))?.[1];
  if (!literal) throw new Error(`${from} ${version} holds its script elsewhere`);
  const script = Buffer.from(runInNewContext(literal));
  if (createHash('sha256').update(script).digest('hex') !== known.sha256)
    throw new Error(`src/site/scalar-contents.json is of another script than ${from}'s: npm run scalar-contents`);
  // Quality 9: 11 is 3 % smaller and takes 15 s longer.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: script.length };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(script, { params }),
    promisify(gzip)(script, { level: 9 }),
  ]);
  writeFileSync(`${to}/${name}.br`, br);
  writeFileSync(`${to}/${name}.gz`, gz);
  return known.packages;
}

/** What is inside the bundles and the page: its licences, as they ask for, and a list for whoever looks for flaws in it. */
function contained(inputs, embedded) {
  // The last one: a package may lie within another.
  const folders = inputs.map((path) => /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean);
  const all = ['node_modules/@scalar/fastify-api-reference', ...folders].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const files = readdirSync(folder).filter((entry) => /^(licen[cs]e|notice)/i.test(entry));
    const text = files.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim()).join('\n\n');
    return { name, version, license, text };
  });
  const purlOf = ({ name, version }) => `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const packages = [
    ...new Map([...embedded, ...all].map((one) => [purlOf(one), { ...one, purl: purlOf(one) }])).values(),
  ];
  packages.sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const texts = packages.map(
    ({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text || `Licence: ${license}`}\n`,
  );
  const rule = `\n${'-'.repeat(80)}\n\n`;
  writeFileSync('dist/THIRD-PARTY-NOTICES', `Restante contains these works of others.\n\n${texts.join(rule)}`);
  const components = packages.map(({ name, version, license, purl }) => {
    return { type: 'library', 'bom-ref': purl, name, version, licenses: [{ expression: license }], purl };
  });
  const bom = { bomFormat: 'CycloneDX', specVersion: '1.5', version: 1, components };
  writeFileSync('dist/sbom.cdx.json', `${JSON.stringify(bom, null, 1)}\n`);
}

/** The types of what is exported, made from the sources, and of these only the files that the two entries lead to. */
async function types() {
  await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json']).catch(
    ({ stdout, stderr }) => Promise.reject(new Error(`${stdout}${stderr}`)),
  );
  const reached = new Set();
  const reach = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, from] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.ts['"]/g))
      reach(join(file, '..', `${from}.d.ts`));
  };
  for (const entry of ['index', 'client/index']) reach(join('dist/types', `${entry}.d.ts`));
  for (const entry of readdirSync('dist/types', { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && !reached.has(file)) rmSync(file);
  }
}

/** What the documentation reads at its start: its style, its script, and its guides as pieces of HTML and Markdown. */
function documentation() {
  const to = 'dist/assets/docs';
  rmSync(to, { recursive: true, force: true });
  cpSync('src/page/docs', to, { recursive: true });
  for (const file of readdirSync('docs/guides')) {
    const pieces = guide(readFileSync(`docs/guides/${file}`, 'utf8'));
    writeFileSync(`${to}/${file.replace(/\.md$/, '.json')}`, JSON.stringify(pieces));
  }
}

/** A guide, cut at its blocks of code: those are calls for the most part, written out for each reader. So is `{{name}}`. */
function guide(markdown) {
  const escapeHtml = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const slug = (text) =>
    text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '');
  // Links between guides are written as those between files, links to the rest as below PUBLIC_URL.
  const linked = (href) => href.replace(/^\//, '{{base}}/').replace(/^([\w-]+)\.md/, '{{base}}/docs/guides/$1');
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${slug(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ tokens, href }) {
        return `<a href="${escapeHtml(linked(href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      blockquote({ tokens }) {
        return `<aside>${this.parser.parse(tokens)}</aside>\n`;
      },
      // One that is wider than a telephone scrolls by itself, by keyboard too.
      table(token) {
        const label = escapeHtml(`Table: ${token.header.map(({ text }) => text).join(', ')}`);
        const table = Renderer.prototype.table.call(this, token);
        return `<div class="table" tabindex="0" role="region" aria-label="${label}">${table}</div>\n`;
      },
      html: ({ text }) => escapeHtml(text),
    },
  });
  const tokens = marked.lexer(markdown);
  const pieces = tokens.map((token) => {
    const fence = token.type === 'code' && { info: token.lang, text: token.text };
    return fence ? [fence, fence] : [marked.parser([token]), token.raw];
  });
  return {
    title: tokens[0].text,
    lead: tokens.find(({ type }) => type === 'paragraph').text,
    html: pieces.map(([html]) => html),
    markdown: pieces.map(([, text]) => text),
  };
}
