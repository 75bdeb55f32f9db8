// Starts real MariaDB and Oracle MySQL servers, private and short-lived, for tests and benchmarks.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, realpathSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { setSession } from '../../src/store/engine/mysql-session.ts';
import { cacheFolder, type Flavour, fetchServer, mortal, moveOnce, onExit, run, scratchFolder } from './fetch-debs.ts';

import type { Volume } from './volume.ts';

export type { Flavour } from './fetch-debs.ts';

export interface DatabaseServer {
  readonly flavour: Flavour;
  readonly version: string;
  readonly port: number;
  /** mysql://root@127.0.0.1:PORT/ without a database. */
  readonly url: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts a killed server again, same port and data; resolves when it answers. */
  start(): Promise<void>;
  /** Shuts down and removes the data. */
  stop(): Promise<void>;
  /** The end of what it has logged. */
  log(): Promise<string>;
  /** SIGSTOP: connections stay open and nothing answers, as with a hung machine. */
  pause(): void;
  resume(): void;
}

interface Program {
  readonly command: readonly string[];
  readonly options: readonly string[];
  /** The folder that holds share/mysql. */
  readonly prefix: string;
}

interface Prepared {
  readonly program: Program;
  /** A freshly initialised data folder, to be copied for every server. */
  readonly template: string;
}

const DAEMONS = { mariadb: 'mariadbd', mysql: 'mysqld' } as const;
const OVERRIDES = { mariadb: 'TEST_MARIADB_URL', mysql: 'TEST_MYSQL_URL' } as const;
// A server that was killed under load recovers before it answers, and a busy machine of two cores takes its time over it.
const START_MS = 60_000;
const STOP_MS = 15_000;

/** The server that TEST_MARIADB_URL or TEST_MYSQL_URL names, otherwise a private one. */
export async function sharedServer(
  flavour: Flavour,
): Promise<{ readonly url: string; readonly version: string; stop(): Promise<void> }> {
  const url = process.env[OVERRIDES[flavour]];
  if (!url) return startServer(flavour);
  const seen = await identify(url).catch((error: unknown) => {
    throw new Error(`${OVERRIDES[flavour]} is set, but its server does not answer: ${words(error)}`, { cause: error });
  });
  if (seen.flavour === flavour) return { url, version: seen.version, stop: async () => {} };
  throw new Error(`${OVERRIDES[flavour]} must name a ${flavour} server, but ${seen.about} answers there`);
}

/** Starts a private server with default durability, on a free port of 127.0.0.1, user root without a password. */
export async function startServer(
  flavour: Flavour,
  options: {
    readonly args?: readonly string[];
    readonly volume?: Volume | undefined;
    /** As TZ: the zone of its machine. */
    readonly zone?: string;
  } = {},
): Promise<DatabaseServer> {
  const { program, template } = await prepare(flavour);
  const folder = await scratchFolder(join(tmpdir(), `restante-${flavour}-`));
  const data = join(options.volume?.path ?? folder.path, 'data');
  const port = await freePort();
  const url = `mysql://root@127.0.0.1:${port}/`;
  const command = [
    ...baseCommand(program, flavour, data),
    `--tmpdir=${folder.path}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(folder.path, 'socket')}`,
    `--pid-file=${join(folder.path, 'pid')}`,
    ...(options.args ?? []),
  ];
  let child: ChildProcess | undefined;

  async function start(): Promise<string> {
    if (child) throw new Error(`${flavour} on port ${port} is running already`);
    const log = join(folder.path, 'log');
    const started = launch(command, log, options.zone ? { ...process.env, TZ: options.zone } : process.env);
    child = started;
    return answers(started, url).catch(async (error: unknown) => {
      await end('SIGKILL');
      const tail = (await readFile(log, 'utf8')).trim().split('\n').slice(-30).join('\n');
      throw new Error(`${flavour} did not start: ${words(error)}\n${command.join(' ')}\n${tail}`, { cause: error });
    });
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ending = child;
    child = undefined;
    if (!ending || isDead(ending)) return;
    ending.ref();
    const dead = once(ending, 'exit');
    ending.kill('SIGCONT');
    ending.kill(signal);
    const impatience = setTimeout(() => ending.kill('SIGKILL'), STOP_MS);
    await dead;
    clearTimeout(impatience);
  }

  try {
    await run(['cp', '-r', '--reflink=auto', '--sparse=auto', template, data]);
    const version = await start();
    return {
      flavour,
      version,
      port,
      url,
      kill: () => end('SIGKILL'),
      start: async () => void (await start()),
      stop: async () => {
        await end('SIGTERM');
        await folder.remove();
      },
      log: async () => (await readFile(join(folder.path, 'log'), 'utf8')).slice(-5_000),
      pause: () => void child?.kill('SIGSTOP'),
      resume: () => void child?.kill('SIGCONT'),
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

export const isDead = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

/** Appends what it says to `log`, and dies with this process. */
export function launch(command: readonly string[], log: string, env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const output = openSync(log, 'a');
  const [file, ...args] = mortal(command);
  const child = spawn(file, args, { env, stdio: ['ignore', output, output] });
  closeSync(output);
  const forget = onExit(() => void child.kill('SIGKILL'));
  child.once('error', forget).once('exit', forget);
  // A program that forgets its servers still ends, and they with it.
  child.unref();
  return child;
}

/** Resolves to the version as soon as the server answers, rejects when it dies first. */
async function answers(child: ChildProcess, url: string): Promise<string> {
  for (const deadline = Date.now() + START_MS; ; await sleep(50)) {
    if (isDead(child)) throw new Error(`it ended with ${child.exitCode ?? child.signalCode ?? 'an error'}`);
    try {
      return (await identify(url)).version;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** A connection of a test's own, as servers have them by default, whatever this one or the account has set. */
export async function connectTo(url: string): Promise<Connection> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  await setSession((sql) => connection.query(sql), {}, new Set());
  await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  return connection;
}

async function identify(url: string): Promise<{ flavour: Flavour; version: string; about: string }> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  try {
    const [rows] = await connection.query('SELECT VERSION() AS version, @@version_comment AS comment');
    const [{ version, comment }] = rows as [{ version: string; comment: string }];
    const about = `${version} (${comment})`;
    return { flavour: /mariadb/i.test(about) ? 'mariadb' : 'mysql', version, about };
  } finally {
    connection.destroy();
  }
}

export async function freePort(): Promise<number> {
  // Not port 0: the kernel would pick from the range of outgoing connections, and while a killed server is down
  // a client's own socket could take its port, or even connect to itself there.
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}

const prepared = new Map<Flavour, Promise<Prepared>>();

/** A program that runs here, and a fresh data folder to be copied. */
export function prepare(flavour: Flavour): Promise<Prepared> {
  const known = prepared.get(flavour) ?? findProgram(flavour);
  prepared.set(flavour, known);
  return known;
}

/** Takes the first of all candidates that initialises a data folder: some that exist cannot run, or may not. */
async function findProgram(flavour: Flavour): Promise<Prepared> {
  const tried: string[] = [];
  const attempt = async (where: string, program: () => Program | Promise<Program>): Promise<Prepared | undefined> => {
    try {
      const found = await program();
      return { program: found, template: await initialise(found, flavour) };
    } catch (error) {
      tried.push(`* ${where}: ${words(error)}`);
      return undefined;
    }
  };
  const skip = process.env.RESTANTE_TEST_FETCH === '1';
  const installed = skip ? [] : installedDaemons(flavour);
  if (installed.length === 0) {
    tried.push(`* PATH and /usr/sbin: ${skip ? 'skipped, RESTANTE_TEST_FETCH=1' : `no ${DAEMONS[flavour]}`}`);
  }
  for (const path of installed) {
    const found = await attempt(path, () => ({ command: [path], options: [], prefix: dirname(dirname(path)) }));
    if (found) return found;
  }
  const unpacked = (await readdir(cacheFolder()).catch(() => [])).filter((name) => name.startsWith(`${flavour}-`));
  for (const name of unpacked.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))) {
    const found = await attempt(name, () => unpackedProgram(join(cacheFolder(), name), flavour));
    if (found) return found;
  }
  const fetched = await attempt('fetched with apt', async () => unpackedProgram(await fetchServer(flavour), flavour));
  if (fetched) return fetched;
  const remedy = { mariadb: '`apt-get install mariadb-server`', mysql: "install Oracle's MySQL server" }[flavour];
  throw new Error(
    `no ${flavour} server to test with. Either ${remedy}, or name a running one that is free to be written to: ` +
      `${OVERRIDES[flavour]}=mysql://root@127.0.0.1:3306/. Tried, with ${cacheFolder()} as the cache ` +
      `(RESTANTE_TEST_CACHE names another):\n${tried.join('\n')}`,
  );
}

function installedDaemons(flavour: Flavour): readonly string[] {
  const folders = new Set([...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].filter(Boolean));
  const paths = [...folders].map((folder) => join(folder, DAEMONS[flavour])).filter((path) => existsSync(path));
  // /sbin is /usr/sbin by another name; trying it twice only clutters the error.
  return [...new Set(paths.map((path) => join(realpathSync(dirname(path)), DAEMONS[flavour])))];
}

/** A server from another release runs with the libc that came with it, through that libc's own loader. */
async function unpackedProgram(root: string, flavour: Flavour): Promise<Program> {
  const libraries: string[] = [];
  for (const folder of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    const names = await readdir(folder).catch(() => []);
    libraries.push(...names.filter((name) => name.includes('-linux-gnu')).map((name) => join(folder, name)));
  }
  const loaders = await Promise.all(
    libraries.map(async (folder) =>
      (await readdir(folder)).filter((name) => /^ld-linux.*\.so/.test(name)).map((name) => join(folder, name)),
    ),
  );
  const loader = loaders.flat()[0];
  if (!loader) throw new Error(`no loader among ${libraries.join(', ')}`);
  const prefix = join(root, 'usr');
  const path = [...libraries, join(prefix, 'lib', 'mysql', 'private')].join(':');
  return {
    command: [loader, '--library-path', path, join(prefix, 'sbin', DAEMONS[flavour])],
    options: [
      `--basedir=${prefix}`,
      `--lc-messages-dir=${await shareFolder(prefix)}`,
      `--plugin-dir=${join(prefix, 'lib', 'mysql', 'plugin')}`,
    ],
    prefix,
  };
}

async function shareFolder(prefix: string): Promise<string> {
  const folders = ['mysql', 'mariadb', '.'].map((name) => join(prefix, 'share', name));
  return folders.find((folder) => existsSync(join(folder, 'english', 'errmsg.sys'))) ?? join(prefix, 'share', 'mysql');
}

function baseCommand(program: Program, flavour: Flavour, data: string): readonly string[] {
  return [
    ...program.command,
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ...program.options,
    `--datadir=${data}`,
    // Debian's MySQL insists on /var/lib/mysql-files otherwise, and on the port of its second protocol.
    ...(flavour === 'mysql' ? ['--secure-file-priv=NULL', '--mysqlx=OFF'] : []),
  ];
}

/** Makes the data folder that all servers of one version are copies of: initialising takes seconds, copying does not. */
async function initialise(program: Program, flavour: Flavour): Promise<string> {
  const said = await run([...program.command, '--no-defaults', '--version']);
  const other = /mariadb/i.test(said) ? 'mariadb' : /percona/i.test(said) ? 'percona' : 'mysql';
  if (other !== flavour) throw new Error(`is ${other}, not ${flavour}: ${said.trim()}`);
  const version = /Ver (\S+)/.exec(said)?.[1] ?? 'unknown';
  const template = join(cacheFolder(), `data-${flavour}-${version}`);
  if (existsSync(template)) return template;

  const work = await scratchFolder(join(cacheFolder(), 'initialising-'));
  try {
    const data = join(work.path, 'data');
    await mkdir(data);
    const command = baseCommand(program, flavour, data);
    if (flavour === 'mysql') await run([...command, '--initialize-insecure']);
    else await run([...command, '--bootstrap', ...BOOTSTRAP], await systemTables(program));
    // Holds the server's uuid; every copy makes its own at its first start.
    await rm(join(data, 'auto.cnf'), { force: true });
    return await moveOnce(data, template);
  } finally {
    await work.remove();
  }
}

// As mariadb-install-db does it, which itself cannot be run from an unpacked package of another release.
const BOOTSTRAP = ['--log-warnings=0', '--enforce-storage-engine=', '--max-allowed-packet=8M'];
const SYSTEM_TABLES = [
  /system_tables\.sql$/,
  /performance_tables\.sql$/,
  /system_tables_data\.sql$/,
  /^fill_help_tables\.sql$/,
  /add_gis_sp_bootstrap\.sql$/,
  /sys_schema\.sql$/,
];

async function systemTables(program: Program): Promise<string> {
  const folder = await shareFolder(program.prefix);
  const names = await readdir(folder);
  const files = SYSTEM_TABLES.flatMap((pattern) => names.filter((name) => pattern.test(name)).slice(0, 1));
  if (files.length === 0) throw new Error(`no SQL files for the system tables in ${folder}`);
  const contents = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  // No @auth_root_socket means root without a password, on localhost and on 127.0.0.1.
  const start = 'CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;';
  return [start, ...contents].join('\n');
}

const words = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));
