// Fetches a database server's Debian packages as an ordinary user and unpacks them in a cache folder, never into the system.
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { constants, homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

export type Flavour = 'mariadb' | 'mysql';

// Releases differ in how they name the package; the first name that apt knows wins.
const PACKAGES = {
  mariadb: ['mariadb-server-core', 'mariadb-server-core-10.6', 'mariadb-server-core-10.5'],
  mysql: ['mysql-server-core', 'mysql-server-core-8.0'],
} as const;
const TITLES = { mariadb: 'MariaDB, once, ~25 MB', mysql: 'MySQL, once, ~70 MB' } as const;

export const cacheFolder = (): string =>
  resolve(process.env.RESTANTE_TEST_CACHE || join(homedir(), '.cache', 'restante-test'));

/** Answers the folder the server is unpacked in, laid out like `/`. */
export async function fetchServer(flavour: Flavour): Promise<string> {
  // No stable Debian has Oracle's MySQL: unstable does. Its packages bring their own libc, so they run on older releases.
  const sid = flavour === 'mysql' && !/^ID(_LIKE)?=.*ubuntu/m.test(await readFile('/etc/os-release', 'utf8'));
  const failures: string[] = [];
  for (const mirror of sid ? await debianMirrors() : [undefined]) {
    const work = await scratchFolder(join(cacheFolder(), 'fetching-'));
    try {
      const from = sid ? 'Debian sid' : "this machine's own package sources";
      process.stderr.write(`fetching ${TITLES[flavour]}, from ${from} …\n`);
      const began = Date.now();
      const folder = await fetchInto(work.path, flavour, mirror);
      process.stderr.write(`fetched in ${((Date.now() - began) / 1000).toFixed(1)} s: ${folder}\n`);
      return folder;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    } finally {
      await work.remove();
    }
  }
  throw new Error(failures.join('\n'));
}

async function fetchInto(work: string, flavour: Flavour, mirror: string | undefined): Promise<string> {
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(work, 'archives', 'partial'), { recursive: true });
  await writeFile(join(work, 'apt.conf'), aptConfiguration(work, mirror !== undefined));
  // An empty status file: nothing counts as installed, so every library comes along, down to the loader.
  await writeFile(join(work, 'status'), '');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const options = `target=Packages${existsSync(keyring) ? ` signed-by=${keyring}` : ''}`;
  await writeFile(join(work, 'sources.list'), `deb [${options}] ${mirror} sid main\n`);
  const apt = (...args: string[]) => run(['apt-get', '-c', join(work, 'apt.conf'), '-q', '-y', ...args]);

  // One broken source among many fails the update as a whole; what counts is whether the package can be had after it.
  const failures: string[] = [];
  await apt('update').catch((error: Error) => failures.push(error.message));
  const names = mirror === undefined ? PACKAGES[flavour] : PACKAGES[flavour].slice(0, 1);
  for (const name of names) {
    try {
      await apt('install', '--download-only', name);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      continue;
    }
    return unpack(join(work, 'archives'), join(work, 'root'), flavour);
  }
  throw new Error(failures.join('\n'));
}

async function unpack(archives: string, root: string, flavour: Flavour): Promise<string> {
  const debs = (await readdir(archives)).filter((file) => file.endsWith('.deb'));
  for (const deb of debs) await run(['dpkg-deb', '-x', join(archives, deb), root]);
  // mariadb-server-core_1%3a10.11.19-0+deb12u1_amd64.deb: the version, without its epoch.
  const version = debs.map((deb) => /-server-core[^_]*_(?:\d+%3a)?([^_]+)_/.exec(deb)?.[1]).find(Boolean);
  const folder = join(cacheFolder(), `${flavour}-${version}`);
  return moveOnce(root, folder);
}

/** Renames a finished folder into the cache; when another process was first, theirs is as good. */
export async function moveOnce(from: string, to: string): Promise<string> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return to;
}

function aptConfiguration(work: string, ownSources: boolean): string {
  return [
    `Dir::State "${work}"; Dir::State::lists "${work}/lists"; Dir::State::status "${work}/status";`,
    `Dir::Cache "${work}"; Dir::Cache::archives "${work}/archives"; Dir::Log "${work}";`,
    'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";',
    ownSources ? `Dir::Etc::sourcelist "${work}/sources.list"; Dir::Etc::sourceparts "/dev/null";` : '',
    'APT::Install-Recommends "false"; Acquire::Languages "none"; Acquire::Retries "2";',
    // Otherwise apt answers "done" when a source cannot be reached, and its reason is lost.
    'APT::Update::Error-Mode "any";',
    // As root apt would hand the download to the user _apt, who may not enter root's cache folder.
    'APT::Sandbox::User "root";',
    // The machine's own hooks (desktop caches, clean-up of its archives) have no business with this download.
    '#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n',
  ].join('\n');
}

async function debianMirrors(): Promise<readonly string[]> {
  // Lines like 'http://host/debian/dists/bookworm/InRelease' …, whatever form the machine's sources are written in.
  const uris = await run(['apt-get', 'update', '--print-uris']);
  const own = [...uris.matchAll(/^'(\S+)\/dists\/[^/\s]+\/InRelease'/gm)].map((match) => match[1] ?? '');
  const archive = own.find((uri) => /\/debian(\.list)?$/.test(uri));
  return [...new Set([archive ?? 'http://deb.debian.org/debian', 'http://deb.debian.org/debian'])];
}

/** Runs a program to its end and answers what it printed; throws everything it said when it fails. */
export async function run(command: readonly string[], input?: string): Promise<string> {
  const [file, ...args] = mortal(command);
  const running = promisify(execFile)(file, args, { maxBuffer: 2 ** 26, env: { ...process.env, LC_ALL: 'C' } });
  // A program that dies before it has read its input closes the pipe; its own words, below, say why.
  running.child.stdin?.on('error', () => {}).end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    const said = `${stdout ?? ''}${stderr ?? ''}`.trim() || message;
    throw new Error(`\`${command.join(' ')}\` failed:\n${said}`, { cause: error });
  }
}

/** The command, wrapped so that the kernel kills it when this process dies, even by SIGKILL. */
export function mortal(command: readonly string[]): [string, ...string[]] {
  const [file = '', ...args] = command;
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', '--', file, ...args] : [file, ...args];
}

/** A new temporary folder that goes away with this process at the latest. */
export async function scratchFolder(prefix: string): Promise<{ path: string; remove(): Promise<void> }> {
  await mkdir(dirname(prefix), { recursive: true });
  const path = await mkdtemp(prefix);
  // Retries: a server that was killed a moment ago may still be writing its last file.
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 20 };
  const forget = onExit(() => rmSync(path, options));
  const remove = async () => {
    await rm(path, options);
    forget();
  };
  return { path, remove };
}

const undos = new Set<() => void>();

/** Calls `undo` when this process ends, newest first, also after Ctrl-C or an uncaught error. Answers how to forget it. */
export function onExit(undo: () => void): () => void {
  if (undos.size === 0) {
    process.once('exit', runUndos);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, exitBySignal);
  }
  undos.add(undo);
  return () => {
    undos.delete(undo);
    if (undos.size > 0) return;
    process.off('exit', runUndos);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, exitBySignal);
  };
}

function runUndos(): void {
  for (const undo of [...undos].reverse()) undo();
}

function exitBySignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void {
  // Somebody else who listens decides when to exit; alone, we do what would have happened without us, but tidily.
  if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal]);
}
