// npm run scalar-contents: writes down what Scalar's script embeds, with versions and licences, for the list in dist/. After an update.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OUT = 'src/site/scalar-contents.json';
const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;

const { version } = readJson('node_modules/@scalar/fastify-api-reference/package.json');
const folder = mkdtempSync(join(tmpdir(), 'restante-scalar-'));
try {
  // The package from which the script is taken has its source map too. It is not a dependency: its tree has 290 MB.
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  install(`@scalar/api-reference@${version}`);
  const from = join(folder, 'node_modules/@scalar/api-reference/dist/browser');
  const script = readFileSync(join(from, 'standalone.js'), 'utf8');
  const { sources } = JSON.parse(readFileSync(join(from, 'standalone.js.map'), 'utf8')) as { sources: string[] };

  const found = new Map<string, { name: string; version: string | undefined }>();
  for (const source of sources) {
    // Of others: node_modules/.pnpm/@vue+shared@3.5.40_…/node_modules/@vue/shared/… Of Scalar itself: ../../../components/dist/…
    const [, id = '', other] = /\.pnpm\/([^/]+)\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? [];
    const own = /^(?:\.\.\/){3}([\w-]+)\//.exec(source)?.[1];
    const name = other ?? (own ? `@scalar/${own}` : '@scalar/api-reference');
    const at = other ? /^@?[^@]+@([^_(]+)/.exec(id)?.[1] : undefined;
    found.set(`${name} ${at}`, { name, version: at });
  }
  // Styles are no sources of the script. Theirs begin with a comment such as /*! tailwindcss v4.3.3 | MIT License.
  for (const [, name = '', exact = ''] of script.matchAll(
    /\/\*!? ?\*?[\s*]*((?:@[\w-]+\/)?[\w-]+) v?(\d+\.\d+\.\d+)\b/g,
  ))
    found.set(`${name} ${exact}`, { name, version: exact });
  // What its dependencies needed when the script was made, and do not any more.
  const gone = [...found.values()].filter(({ name }) => !placeOf(name));
  if (gone.length > 0) install(...gone.map(({ name, version: exact }) => `${name}@${exact}`));
  const packages = [...found.values()]
    .map(({ name, version: exact }) => {
      const place = placeOf(name);
      if (!place) throw new Error(`${name} is in the script and not among what it depends on`);
      const about = readJson(join(place, 'package.json'));
      const files = readdirSync(place).filter((entry) => /^(licen[cs]e|notice)/i.test(entry));
      const texts = files.map((file) => readFileSync(join(place, file), 'utf8').replaceAll('\r\n', '\n').trim());
      if (!about.license) throw new Error(`${name} does not name its licence`);
      return { name, version: exact ?? about.version, license: about.license, text: texts.join('\n\n') };
    })
    .sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
  const sha256 = createHash('sha256').update(script).digest('hex');
  writeFileSync(OUT, `${JSON.stringify({ version, sha256, packages }, null, 2)}\n`);
  console.log(`${OUT}: ${packages.length} packages in Scalar ${version}`);
} finally {
  rmSync(folder, { recursive: true });
}

function install(...names: string[]): void {
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', ...names];
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Where npm has put a package: for its licence another version of it will do. */
function placeOf(name: string): string | undefined {
  const root = join(folder, 'node_modules');
  if (existsSync(join(root, name))) return join(root, name);
  const nested = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith(join('node_modules', name)),
  );
  return nested && join(root, nested);
}
