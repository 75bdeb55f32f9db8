// The package as a stranger gets it: packed from a clean copy, installed without scripts, run and compiled against.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mortal, run, scratchFolder } from '../support/fetch-debs.ts';
import { fetchNode, NPM } from '../support/nodes.ts';

// 4.6 MB when this was written, half of it the page of /docs in its two compressions.
const MOST_BYTES = 6_000_000;

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
/** The unpacked tarball, a project that has it installed, and the checkout that it was made of. */
let [unpacked, project, checkout] = ['', '', ''];

beforeAll(async () => {
  scratch = await scratchFolder('/tmp/restante-package-');
  const [source, folder] = [join(scratch.path, 'source'), join(scratch.path, 'project')];
  const parts = ['src', 'docs', 'ops', 'build.js', 'package.json', 'tsconfig.json', 'tsconfig.types.json', 'README.md'];
  for (const name of [...parts, 'LICENSE']) cpSync(name, join(source, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(source, 'node_modules'));
  // What an older build has left is not in it.
  mkdirSync(join(source, 'dist'));
  writeFileSync(join(source, 'dist/part-stale.js'), '');
  const began = Date.now();
  await run(['npm', 'pack', source, '--pack-destination', scratch.path, '--loglevel=error']);
  const tarball = join(scratch.path, readdirSync(scratch.path).find((name) => name.endsWith('.tgz')) ?? '');
  const packed = Date.now();
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await run(['npm', 'install', '--prefix', folder, ...NPM, tarball]);
  const { size } = statSync(tarball);
  console.log(`${size} bytes, packed in ${(packed - began) / 1000} s, installed in ${(Date.now() - packed) / 1000} s`);
  expect(size).toBeLessThan(MOST_BYTES);
  await run(['tar', 'xzf', tarball, '-C', scratch.path]);
  [unpacked, project, checkout] = [join(scratch.path, 'package'), folder, source];
});
afterAll(() => scratch?.remove());

const textOf = (name: string) => readFileSync(join(unpacked, name), 'utf8');
const files = () =>
  readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(unpacked.length + 1));

test('it has what it needs, and nothing of the workshop', () => {
  const kinds = [
    /^(package\.json|README\.md|LICENSE)$/,
    /^dist\/(THIRD-PARTY-NOTICES|sbom\.cdx\.json)$/,
    /^dist\/(main|index|client|sqlite-thread|part-chunk|part-undici|part-prom-client)\.js$/,
    /^dist\/page\/(inbox|replay|style)-\w{8}\.(js|css)\.(br|gz)$/,
    /^dist\/assets\/(scalar-[\d.]+\.js\.(br|gz)|docs\/[\w-]+\.(json|css|js))$/,
    /^dist\/types\/[\w/-]+\.d\.ts$/,
    /^ops\/[\w./-]+$/,
  ];
  expect(files().filter((name) => !kinds.some((kind) => kind.test(name)))).toEqual([]);
  for (const kind of kinds) expect(files().some((name) => kind.test(name))).toBe(true);
  const secret = /-----BEGIN [A-Z ]*PRIVATE KEY-----\n|_authToken|sourceMappingURL=/;
  for (const name of files()) {
    const bytes = readFileSync(join(unpacked, name), 'latin1');
    expect(secret.exec(bytes)?.[0], name).toBeUndefined();
    for (const place of [homedir(), scratch.path].filter((path) => path.length > 6)) expect(bytes).not.toContain(place);
  }
});

test('it names the works of others that are in it, with their licences', () => {
  const { components } = JSON.parse(textOf('dist/sbom.cdx.json')) as { components: Record<string, string>[] };
  const names = components.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['fastify', 'mysql2', 'lit-html', '@scalar/fastify-api-reference']));
  expect(new Set(components.map(({ purl }) => purl)).size).toBe(components.length);
  // What Scalar's script says of itself: each of its libraries that begins with its name is named, in that version.
  const script = files().find((name) => /scalar-[\d.]+\.js\.gz$/.test(name)) as string;
  const banners = gunzipSync(readFileSync(join(unpacked, script)))
    .toString()
    .matchAll(/\/\*[!*][\s*]*(?:[^\w@/][^\n]*\n[\s*]*)*((?:@[\w-]+\/)?[a-z][\w-]+) v?(\d+\.\d+\.\d+)\b/g);
  const embedded = [...banners].map(([, name, version]) => `${name} ${version}`);
  expect(embedded.length).toBeGreaterThan(7);
  expect(embedded.map((one) => one.split(' ')[0])).toEqual(
    expect.arrayContaining(['vue', 'tailwindcss', 'focus-trap']),
  );
  expect(components.map(({ name, version }) => `${name} ${version}`)).toEqual(expect.arrayContaining(embedded));
  // And those that say nothing of themselves, from its source map.
  expect(names).toEqual(expect.arrayContaining(['@codemirror/state', 'zod', 'micromark']));
  const notices = textOf('dist/THIRD-PARTY-NOTICES');
  for (const { name, version, purl } of components) {
    expect(notices).toContain(`${name} ${version} (`);
    expect(purl).toMatch(/^pkg:npm\/(%40[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+/);
  }
  // Nothing is loaded from outside but Node's own and the engine for Node 20.
  const { dependencies, optionalDependencies } = JSON.parse(textOf('package.json')) as Record<string, object>;
  expect([dependencies, Object.keys(optionalDependencies ?? {})]).toEqual([undefined, ['@photostructure/sqlite']]);
});

const CLIENT = `
import { createClient } from 'restante/client';
const [url, auth, hook] = process.argv.slice(2);
await fetch(hook, { method: 'POST', body: '{"größe":1}' });
for await (const content of createClient({ url, auth }).consume('package')) {
  console.log(content.json().größe, process.version);
  break;
}`;
const COMPOSED = `
import { createService, openStore, readConfig, route } from 'restante';
const config = readConfig({ DATABASE_URL: 'sqlite:./own/own.db', LOG_LEVEL: 'silent' });
const store = await openStore(config.databaseUrl);
const log = { debug() {}, info() {}, warn() {}, error: console.error };
const own = route({ method: 'GET', url: '/own', tag: 'Own', kind: 'public', summary: 'Own', answers: { 200: { description: 'x' } },
  handler: () => ({ own: process.version }) });
const app = await createService({ store, config, log, memory: process, routes: [own] });
console.log((await app.fastify.inject('/own')).body);
await app.close();
await store.close();`;

async function holds(node: string): Promise<void> {
  const { stdout } = await promisify(execFile)(node, ['--version']);
  const version = stdout.trim();
  const folder = join(project, version);
  mkdirSync(folder);
  const env = { PATH: `${dirname(node)}:${process.env.PATH}`, HOME: folder, PORT: '0' };
  const say = async (file: string, ...args: string[]) =>
    (await promisify(execFile)(file, args, { cwd: folder, env })).stdout.trim();
  const bin = join(project, 'node_modules/.bin/restante');
  expect(await say(bin, '--version')).toBe(JSON.parse(textOf('package.json')).version);

  const [file, ...args] = mortal([bin, 'serve']);
  const child = spawn(file, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let said = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      said += chunk;
      if (said.includes('"msg":"listening"')) break;
    }
    const [, url = ''] = /listens on (http\S+)/.exec(said) ?? [];
    const [, token = ''] = /token +(\w+)$/m.exec(said) ?? [];
    const [, hook = ''] = /webhook +(http\S+)/.exec(said) ?? [];
    writeFileSync(join(folder, 'client.mjs'), CLIENT);
    expect(await say(node, 'client.mjs', url, `1:${token}`, hook)).toBe(`1 ${version}`);
    expect((await fetch(`${url}/docs`)).status).toBe(200);
    // A transaction that fails leaves nothing behind: the next one is as good as any.
    const put = (name: string) =>
      fetch(`${url}/consumers/${name}`, { method: 'PUT', headers: { authorization: `Basic ${btoa(`1:${token}`)}` } });
    for (let i = 0; i < 100; i++) await put(`c${i}`);
    expect((await put('one-too-many')).status).toBe(409);
    expect((await fetch(hook, { method: 'POST', body: 'after it' })).status).toBe(200);
    const ended = new Promise((done) => child.on('exit', done));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
  writeFileSync(join(folder, 'composed.mjs'), COMPOSED);
  expect(await say(node, 'composed.mjs')).toBe(`{"own":"${version}"}`);
}

test.concurrent('it runs on the Node of this machine, by npx too', async () => {
  await holds(process.execPath);
  const { stdout } = await promisify(execFile)('npx', ['restante', '--version'], { cwd: project });
  expect(stdout.trim()).toBe(JSON.parse(textOf('package.json')).version);
});

test.concurrent('it runs on Node 24, with the SQLite that is in it', { timeout: 180_000 }, async (context) => {
  await holds(await fetchNode('24', context));
});

// The first with SQLite in it cannot tell whether a transaction is open.
test.concurrent('it runs on Node 22.14', { timeout: 180_000 }, async (context) => {
  await holds(await fetchNode('22.14', context));
});

test.concurrent('in a checkout npx finds it after npm ci, and npm start ends when npm is told to', async () => {
  // What npm ci runs last. The page of /docs, which takes ten seconds to be compressed, is there.
  for (const name of readdirSync(join(checkout, 'dist')))
    if (name !== 'assets') rmSync(join(checkout, 'dist', name), { recursive: true });
  const env = { PATH: process.env.PATH, HOME: checkout, PORT: '0', DATABASE_URL: `sqlite:${checkout}/data/r.db` };
  const where = { cwd: checkout, env };
  await promisify(execFile)('npm', ['run', 'prepare'], where);
  // With a cache that knows nothing: npx keeps what it has found once, and what it has not.
  const { stdout } = await promisify(execFile)('npx', ['restante', '--version'], where);
  expect(stdout.trim()).toBe(JSON.parse(textOf('package.json')).version);

  const child = spawn('npm', ['start'], { ...where, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    if (said.includes('"msg":"listening"')) break;
  }
  const pid = Number(/"pid":(\d+)/.exec(said)?.[1]);
  child.stdout.resume();
  child.kill('SIGTERM');
  await once(child, 'exit');
  for (const until = Date.now() + 10_000; isAlive(pid); await sleep(50))
    if (Date.now() > until) {
      process.kill(pid, 'SIGKILL');
      throw new Error('npm has ended, and the service goes on');
    }
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const STRICT = `
import { type Content, createClient, type Delivery, RestanteError, type Webhook } from 'restante/client';
const client = createClient({ url: 'http://localhost', auth: '1:x' });
const webhook: Webhook = await client.webhooks.create({ wh_name: 'x', preset: 'github' });
const number: number = webhook.wh_id;
for await (const content of client.consume('x', { start: 'earliest' })) {
  const [delivery, plain]: [Delivery, Content] = [content, content];
  console.log(delivery.attempt, plain.json<{ a: 1 }>().a, number);
}
// @ts-expect-error: there is no such setting
await client.webhooks.create({ wh_nam: 'x' });
// @ts-expect-error: a number
const status: string = new RestanteError('x', { status: 1 } as never).status;
`;
const OF_INDEX = `
import { type ApiParts, type Config, readConfig, route } from 'restante';
import { Type } from 'typebox';
const config: Config = readConfig({});
// @ts-expect-error: a number
const port: string = config.port;
const query = Type.Object({ n: Type.Integer() });
const answers = { 200: { description: 'x' } };
route({ method: 'GET', url: '/x', tag: 'x', kind: 'plain', summary: 'x', query, answers,
  // @ts-expect-error: a number
  handler: ({ store }: ApiParts, call) => [call.query.n.trim(), store.db, call.reply.statusCode] });
`;

test('a strict project compiles against its types, and they are not any', { timeout: 120_000 }, () => {
  const installed = join(project, 'node_modules');
  // What such a project has besides; the SDK alone does without.
  mkdirSync(join(installed, '@types'), { recursive: true });
  const own = { 'strict.ts': STRICT, 'index.ts': OF_INDEX };
  for (const [name, text] of Object.entries(own)) writeFileSync(join(project, name), text);
  for (const name of ['custom.ts', 'consume.ts', 'activecampaign.ts'])
    cpSync(join('examples', name), join(project, name));

  const wrong = (
    names: readonly string[],
    module: ts.ModuleKind,
    moduleResolution: ts.ModuleResolutionKind,
    more = {},
  ) => {
    const options: ts.CompilerOptions = {
      ...{ module, moduleResolution, strict: true, noEmit: true, skipLibCheck: false, target: ts.ScriptTarget.ES2022 },
      ...{ types: ['node'], typeRoots: [join(installed, '@types')], ...more },
    };
    const program = ts.createProgram(
      names.map((name) => join(project, name)),
      options,
    );
    // Ours and the package's; Fastify and its kin answer for themselves.
    const checked = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(project));
    expect(checked.length).toBeGreaterThan(names.length + 5);
    const told = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
    for (const file of checked)
      told.push(...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file));
    return told.map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
  };
  const { NodeNext, Bundler } = ts.ModuleResolutionKind;
  // The SDK in a browser: no other package is there yet.
  const dom = { types: [], lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] };
  expect(wrong(['strict.ts'], ts.ModuleKind.ESNext, Bundler, dom)).toEqual([]);
  for (const name of ['fastify', 'typebox', 'pino', '@types/node'])
    symlinkSync(resolve('node_modules', name), join(installed, name));
  const all = ['strict.ts', 'index.ts', 'custom.ts', 'consume.ts', 'activecampaign.ts'];
  expect(wrong(all, ts.ModuleKind.NodeNext, NodeNext)).toEqual([]);
  expect(wrong(all, ts.ModuleKind.ESNext, Bundler)).toEqual([]);
});
