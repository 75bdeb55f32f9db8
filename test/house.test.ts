// Keeps the house in order: arrows point one way, rooms stay small, each file says what it is for, docs tell what is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ROUTES } from '../src/api/app.ts';
import { VERSION } from '../src/api/openapi.ts';
import { SETTINGS } from '../src/config/settings.ts';

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
const sources = files('src').map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const all = ['src', 'test', 'bench', 'examples', 'scripts'].flatMap(files);

/** From the command line down to what everybody may read. A room imports from the lines below its own, never back or across. */
const ROOMS = [
  ['main'],
  ['cli'],
  ['service'],
  ['site'],
  ['api'],
  ['receiver'],
  ['consumers', 'retention'],
  ['reading', 'webhooks'],
  ['store'],
  ['verify'],
  ['http'],
  ['admission'],
  ['observe'],
  ['schema'],
  ['config'],
  ['errors'],
];
/** The SDK shares one table with the wire. The page is one more client; the command line's readers are clients, too. */
const CLIENTS: Readonly<Record<string, readonly string[]>> = { client: ['client', 'schema'], page: ['page', 'client'] };
const roomOf = (path: string): string => {
  const [first = '', ...rest] = relative('src', path).split('/');
  return rest.length > 0 ? first : first === 'index.ts' ? 'main' : first.replace(/\.ts$/, '');
};
function mayImport(room: string): readonly string[] {
  const at = ROOMS.findIndex((line) => line.includes(room));
  return CLIENTS[room] ?? [room, ...ROOMS.slice(at + 1).flat(), ...(room === 'cli' ? ['client'] : [])];
}
/** Types too, and `import('…')`, and an import for its effect alone. */
const importsOf = (text: string): string[] =>
  [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)].map(([, from = '']) => from);

test('every room has its line in the order', () => {
  const known = [...ROOMS.flat(), ...Object.keys(CLIENTS)].sort();
  expect([...new Set(sources.map(({ path }) => roomOf(path)))].sort()).toEqual(known);
});

test.each(sources)('$path imports only what lies below it', ({ path, text }) => {
  for (const from of importsOf(text))
    expect(mayImport(roomOf(path)), `${path} imports ${from}`).toContain(roomOf(join(dirname(path), from)));
});

test('a room holds at most 16 files', () => {
  const folders = new Map<string, number>();
  for (const entry of readdirSync('src', { recursive: true, withFileTypes: true }))
    if (entry.isFile()) folders.set(entry.parentPath, (folders.get(entry.parentPath) ?? 0) + 1);
  expect([...folders].filter(([, count]) => count > 16)).toEqual([]);
});

test('no two files of the service export the same name', () => {
  const homes = new Map<string, string[]>();
  for (const { path, text } of sources) {
    // The client and the page name the same things as their own readers do.
    if (roomOf(path) in CLIENTS) continue;
    const names = [...text.matchAll(/^export (?:async )?(?:function|const|interface|type|class) (\w+)/gm)];
    for (const name of new Set(names.map(([, name = '']) => name))) homes.set(name, [...(homes.get(name) ?? []), path]);
  }
  expect([...homes].filter(([, paths]) => paths.length > 1)).toEqual([]);
});

test('only the engines import a database driver', () => {
  const users = sources.filter(({ text }) => /from '(mysql2|@photostructure\/sqlite|node:sqlite)/.test(text));
  expect(users.map(({ path }) => path).filter((path) => !path.startsWith('src/store/engine/'))).toEqual([]);
});

test('SQL stands in the store alone', () => {
  const users = sources.filter(
    ({ path, text }) => roomOf(path) !== 'store' && /['"`](SELECT|INSERT|UPDATE|DELETE) (?!\/)/.test(text),
  );
  expect(users.map(({ path }) => path)).toEqual([]);
});

test('the version that the API tells is that of the package', () => {
  expect(VERSION).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
});

test('only main.ts touches process', () => {
  expect(
    sources.filter(({ text }) => /\bprocess\.|['"](node:)?process['"]/.test(text)).map(({ path }) => path),
  ).toEqual(['src/main.ts']);
});

test.each(all)('%s opens with a sentence that says what it is for', (path) => {
  expect(readFileSync(path, 'utf8').split('\n')[0]).toMatch(/^\/\/ .{20,}/);
});

test('CONTRIBUTING shows every room', () => {
  const page = readFileSync('CONTRIBUTING.md', 'utf8');
  const rooms = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of rooms) expect(page, name).toMatch(new RegExp(`^ *${name}/ +\\S`, 'm'));
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
});

test('a setting is one entry: what reads them all names the three from which PUBLIC_URL is computed', () => {
  const text = sources.find((one) => /^export function readConfig/m.test(one.text))?.text ?? '';
  const named = Object.keys(SETTINGS).filter((key) => new RegExp(`\\b${key}\\b`).test(text));
  expect(named).toEqual(['host', 'port', 'publicUrl']);
});

/** Docs that name a file of the source or a test name one that is there. */
test('every path that a page of the docs names is there', () => {
  for (const path of pages)
    for (const [, named = ''] of readFileSync(path, 'utf8').matchAll(/`((?:src|test|bench|scripts|ops)\/[\w./-]+)`/g))
      expect(existsSync(named), `${path}: ${named}`).toBe(true);
});
