// A whole installation for tests that kill things: a private database, the real program as a child, a user and webhooks.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Connection } from 'mysql2/promise';
import { readConfig } from '../../src/config/config.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb, openStore } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';
import { makeWebhook } from '../../src/webhooks/webhooks.ts';
import { type Cluster, startCluster } from '../faults/runs/cluster.ts';
import { type Pair, startPair } from '../faults/runs/pair.ts';
import { mortal, onExit, scratchFolder } from './fetch-debs.ts';
import { connectTo, type DatabaseServer, freePort, startServer } from './servers.ts';
import { makeVolume, type Volume } from './volume.ts';

// RESTANTE_TEST_MAIN names another build: one that is broken on purpose shows that a check can fail.
export const MAIN = process.env.RESTANTE_TEST_MAIN ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_MS = 20_000;

export interface World {
  readonly databaseUrl: string;
  /** The private database server; SQLite has none. */
  readonly server: DatabaseServer | undefined;
  /** The disk of the database alone, with `diskMb`. */
  readonly volume: Volume | undefined;
  /** In place of the server, with `nodes`. */
  readonly cluster: Cluster | undefined;
  /** The same with `pair`: a primary and its replica, behind one name. */
  readonly pair: Pair | undefined;
  /** For ledgers and logs; gone after close(). */
  readonly folder: string;
  readonly userId: number;
  /** The Authorization header of the one user. */
  readonly auth: string;
  /** Makes a webhook; `path` is `/in/{key}`. */
  webhook(name: string): Promise<{ readonly wh_id: number; readonly path: string }>;
  /** Starts the program on a free port; `env` may name another DATABASE_URL. */
  serve(env?: Readonly<Record<string, string>>): Promise<Program>;
  /** A connection of another application, as root; closed with the world. */
  connect(): Promise<Connection>;
  /** DATABASE_URL for a new account with these rights. */
  account(rights: Rights): Promise<string>;
  close(): Promise<void>;
}

/**
 * `as-is`: SELECT and INSERT on the three shared tables, so that ours do not exist for it; with `sight` it may also see what
 * others are running. `all`: everything in this database, but not the rights of root, who may write though it is read-only.
 */
type Rights = 'as-is' | 'as-is with sight' | 'all';

export interface Program {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** All it has printed. */
  log(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, killed or not, on the same port; resolves when it answers. */
  restart(): Promise<void>;
}

export async function createWorld(
  engine: 'sqlite' | 'mariadb' | 'mysql',
  options: {
    readonly serverArgs?: readonly string[];
    readonly diskMb?: number | undefined;
    readonly nodes?: boolean | undefined;
    readonly pair?: boolean | undefined;
  } = {},
): Promise<World> {
  const scratch = await scratchFolder(join(tmpdir(), 'restante-world-'));
  const programs: Program[] = [];
  const connections: Connection[] = [];
  let server: DatabaseServer | undefined;
  let volume: Volume | undefined;
  let cluster: Cluster | undefined;
  let pair: Pair | undefined;
  const close = async () => {
    for (const connection of connections) connection.destroy();
    await Promise.all(programs.map((program) => program.kill()));
    await server?.stop();
    await cluster?.stop();
    await pair?.stop();
    await volume?.remove();
    await scratch.remove();
  };
  try {
    if (options.diskMb) volume = await makeVolume(join(scratch.path, 'disk'), options.diskMb);
    if (options.pair && engine !== 'sqlite') pair = await startPair(engine);
    else if (options.nodes) cluster = await startCluster();
    else if (engine !== 'sqlite') server = await startServer(engine, { args: options.serverArgs ?? [], volume });
    const root = cluster?.urls[0] ?? pair?.url ?? server?.url;
    const direct = root ? await makeDatabase(root) : `sqlite:${volume?.path ?? scratch.path}/data/restante.db`;
    const hosts = cluster?.urls.map((url) => new URL(url).host).join();
    const databaseUrl = hosts
      ? direct.replace(/@[^/]+/, `@${hosts}`)
      : pair
        ? await makeAccount(pair.root(pair.primary), direct, 'all')
        : direct;
    const withStore = async <T>(work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>): Promise<T> => {
      const store = await openStore(databaseUrl);
      return work(store).finally(() => store.close());
    };
    const token = randomBytes(16).toString('hex');
    const userId = await withStore((store) => addUser(store.db, { email: 'ana@example.org', phone: '', token }));
    const connect = async () => {
      const connection = await connectTo(direct);
      // What breaks it is told to whoever runs a statement; nobody else needs to hear of it.
      connection.on('error', () => {});
      connections.push(connection);
      return connection;
    };
    return {
      databaseUrl,
      server,
      volume,
      cluster,
      pair,
      folder: scratch.path,
      userId,
      connect,
      account: async (rights) => {
        const connection = await connect();
        return makeAccount(connection, direct, rights).finally(() => connection.destroy());
      },
      auth: `Basic ${Buffer.from(`${userId}:${token}`).toString('base64')}`,
      webhook: (wh_name) =>
        withStore(async (store) => {
          const config = readConfig({ DATABASE_URL: databaseUrl });
          const { wh_id, wh_url } = await makeWebhook({ store, config, now: Date.now }, userId, { wh_name });
          return { wh_id, path: new URL(wh_url).pathname };
        }),
      async serve(env = {}) {
        const log = join(scratch.path, `log-${programs.length}`);
        const program = await startProgram(await freePort(), { DATABASE_URL: databaseUrl, ...env }, log);
        programs.push(program);
        return program;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function makeDatabase(serverUrl: string): Promise<string> {
  const connection = await connectTo(serverUrl);
  await connection.query('CREATE DATABASE restante');
  await connection.end();
  const db = await openDb(`${serverUrl}restante`);
  await migrate(db, true, () => {}).finally(() => db.close());
  return `${serverUrl}restante`;
}

async function makeAccount(root: Connection, databaseUrl: string, rights: Rights): Promise<string> {
  const url = new URL(databaseUrl);
  url.username = `app${randomBytes(4).toString('hex')}`;
  url.password = 'secret';
  const to = `TO '${url.username}'@'%'`;
  await root.query(`CREATE USER '${url.username}'@'%' IDENTIFIED BY 'secret'`);
  if (rights === 'all') await root.query(`GRANT ALL ON restante.* ${to}`);
  else
    for (const table of ['tbluser', 'tblwhid', 'tblwh'])
      await root.query(`GRANT SELECT, INSERT ON restante.${table} ${to}`);
  if (rights !== 'as-is with sight') return url.href;
  const [rows] = await root.query('SELECT VERSION() AS v');
  const mariadb = /mariadb/i.test((rows as { v: string }[])[0]?.v ?? '');
  await root.query(mariadb ? `GRANT PROCESS ON *.* ${to}` : `GRANT SELECT ON performance_schema.* ${to}`);
  return url.href;
}

/** The program on a database that is there already. */
export async function startProgram(port: number, env: Readonly<Record<string, string>>, log: string): Promise<Program> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is not there: run `node build.js`');
  const url = `http://127.0.0.1:${port}`;
  let child = await start();
  let ended = ending(child);

  async function start(): Promise<ChildProcess> {
    const output = openSync(log, 'a');
    const [file, ...args] = mortal([process.execPath, MAIN, 'serve']);
    const started = spawn(file, args, {
      stdio: ['ignore', output, output],
      env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(port), ...env },
    });
    closeSync(output);
    const forget = onExit(() => void started.kill('SIGKILL'));
    started.once('exit', forget);
    for (const deadline = Date.now() + START_MS; ; await sleep(20)) {
      const answer = await fetch(`${url}/healthz`).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.ok && started.exitCode === null && started.signalCode === null) return started;
      if (Date.now() < deadline && started.exitCode === null && started.signalCode === null) continue;
      started.kill('SIGKILL');
      throw new Error(`the program did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`);
    }
  }
  async function kill(): Promise<void> {
    child.kill('SIGKILL');
    await ended;
  }
  return {
    url,
    port,
    get pid() {
      return child.pid as number;
    },
    get ended() {
      return ended;
    },
    log: () => readFileSync(log, 'utf8'),
    signal: (name) => void child.kill(name),
    kill,
    async restart() {
      await kill();
      child = await start();
      ended = ending(child);
    },
  };
}

async function ending(child: ChildProcess): Promise<number | string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode ?? 'gone';
}
