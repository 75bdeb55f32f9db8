// Keeps the house in order: arrows point one way, each file says what it is for, none grows too long, words stay true.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ROUTES } from '../src/http/app.ts';
import { VERSION } from '../src/http/openapi.ts';
import { SETTINGS } from '../src/settings.ts';

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
const sources = files('src').map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const all = ['src', 'test', 'bench', 'examples'].flatMap(files);

/** main -> cli -> http -> flow -> store -> receive; config, errors and schema may be read from everywhere but by the page. */
const ORDER = ['main', 'cli', 'http', 'flow', 'store', 'receive', 'client', 'shared'];
const roomOf = (path: string): string => {
  const [first = '', ...rest] = relative('src', path).split('/');
  if (rest.length > 0) return first;
  return first === 'main.ts' || first === 'index.ts' ? 'main' : 'shared';
};

/** The page is one more client: it knows the service by its API alone. Nobody imports the page. */
const mayImport = (own: string): readonly string[] =>
  own === 'page' ? ['page', 'client'] : ORDER.slice(ORDER.indexOf(own));

test.each(sources)('$path imports only what lies below it', ({ path, text }) => {
  // Types too, and `import('…')`, and an import for its effect alone.
  for (const [, from = ''] of text.matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g))
    expect(mayImport(roomOf(path)), `${path} imports ${from}`).toContain(roomOf(join(dirname(path), from)));
});

test('the page imports nothing of ours but itself and the SDK', () => {
  for (const { path, text } of sources.filter(({ path }) => roomOf(path) === 'page'))
    for (const [, from = ''] of text.matchAll(/(?:from|import) '(\.[^']+)'/g))
      expect(['page', 'client'], `${path} imports ${from}`).toContain(roomOf(join(dirname(path), from)));
});

test('only the files of the two engines import a database driver', () => {
  const users = sources.filter(({ text }) => /from '(mysql2|@photostructure\/sqlite|node:sqlite)/.test(text));
  expect(users.map(({ path }) => path).sort()).toEqual([
    'src/store/mysql.ts',
    'src/store/mysqlconnections.ts',
    'src/store/mysqlpools.ts',
    'src/store/sqlite.ts',
  ]);
});

test('SQL stands in the store alone', () => {
  const users = sources.filter(
    ({ path, text }) => roomOf(path) !== 'store' && /'(SELECT|INSERT|UPDATE|DELETE) (?!\/)/.test(text),
  );
  // migrate speaks of the catalogue and of locks; readyz asks for one.
  expect(users.map(({ path }) => path).sort()).toEqual([]);
});

test('only main.ts touches process', () => {
  expect(
    sources.filter(({ text }) => /\bprocess\.|['"](node:)?process['"]/.test(text)).map(({ path }) => path),
  ).toEqual(['src/main.ts']);
});

test.each(all)('%s opens with a sentence that says what it is for', (path) => {
  expect(readFileSync(path, 'utf8').split('\n')[0]).toMatch(/^\/\/ .{20,}/);
});

// The types of the API are made by a program and read by one. A file of the page ends where its idea ends.
const written = sources.filter(({ path }) => path !== 'src/client/api.ts' && roomOf(path) !== 'page');
test.each(written)('$path is short enough to be read', ({ text }) => {
  expect(text.split('\n').length).toBeLessThanOrEqual(250);
});

test('docs/settings.md tells every setting, with its default', () => {
  const page = readFileSync('docs/settings.md', 'utf8');
  const rows = Object.values(SETTINGS).map(
    ({ name, default: byDefault, help }) =>
      `| \`${name}\` | ${byDefault ? `\`${byDefault}\`` : ''} | ${help.replaceAll('|', '\\|')} |`,
  );
  expect(page.match(/^\| `.*$/gm), 'npm run settings').toEqual(rows);
});

test('docs/api.md shows every route, and none that is not there', () => {
  const page = readFileSync('docs/api.md', 'utf8');
  const shown = [...page.matchAll(/^\| `([A-Z]+ \/\S*)`/gm)].map(([, call]) => call);
  const routes = ROUTES.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`);
  expect(shown.sort()).toEqual([...routes, 'ANY /in/{key}'].sort());
});

test('the README has one purpose: at most 150 lines', () => {
  expect(readFileSync('README.md', 'utf8').split('\n').length).toBeLessThanOrEqual(150);
});

/** The pages as they lie in the repository. */
const pages = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((name) => join('docs', name)),
  'examples/README.md',
].filter((path) => path.endsWith('.md'));
/** Headings as GitHub names them in links: lower case, spaces as hyphens, no other signs. */
const anchors = (path: string) =>
  [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(
    ([, title = '']) =>
      `#${title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-')}`,
  );

test.each(pages)('%s: every link to a file or a heading leads there', (path) => {
  const text = readFileSync(path, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]+`/g, '');
  for (const [, target = ''] of text.matchAll(/\]\(((?!\w+:|\/)[^)\s]+)\)/g)) {
    const [file = '', heading] = target.split('#');
    const to = file ? join(dirname(path), file) : path;
    expect(existsSync(to), `${path}: ${target}`).toBe(true);
    if (heading) expect(anchors(to), `${path}: ${target}`).toContain(`#${heading}`);
  }
test('a setting is one entry: what reads them all names the three from which PUBLIC_URL is computed', () => {
  const text = sources.find((one) => /^export function readConfig/m.test(one.text))?.text ?? '';
  const named = Object.keys(SETTINGS).filter((key) => new RegExp(`\\b${key}\\b`).test(text));
  expect(named).toEqual(['host', 'port', 'publicUrl']);
});

test('the README shows every route', () => {
  const readme = readFileSync('README.md', 'utf8');
  for (const { method, url } of ROUTES)
    expect(readme, `${method} ${url}`).toContain(`\`${method} ${url.replace(/:(\w+)/g, '{$1}')}\``);
});
