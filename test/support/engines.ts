// Gives a test a fresh, migrated database on each engine, and a whole service on it.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, inject } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import type { Log } from '../../src/observe/log.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { type Service as App, createService, type ServiceOptions, type ServiceParts } from '../../src/service.ts';
import { highestId } from '../../src/store/contents.ts';
import { migrate } from '../../src/store/migrate/migrate.ts';
import { openDb, openStore, type Store } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';
import { makeWebhook } from '../../src/webhooks/webhooks.ts';
import { baseTables } from './classic.ts';
import { connectTo } from './servers.ts';
import { unwatched, type Watch, watchProduct } from './stalls.ts';

export type Engine = 'sqlite' | 'mariadb' | 'mysql';
/** On servers with odd settings there is nothing new to learn of SQLite. */
export const ENGINES: readonly Engine[] = [...(inject('opposite') ? [] : ['sqlite' as const]), 'mariadb', 'mysql'];

/** A promise that holds on each of them: `name on sqlite`, and so on. */
export const onEveryEngine = (name: string, define: (engine: Engine) => void): void =>
  describe.each(ENGINES)(`${name} on %s`, define);

export interface Database {
  readonly url: string;
  drop(): Promise<void>;
}

/** An empty database; on the servers with the three shared tables when `base` is set. SQLite makes its own. */
export async function emptyDatabase(engine: Engine, base = true): Promise<Database> {
  const name = `restante_test_${randomBytes(6).toString('hex')}`;
  if (engine === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'restante-test-'));
    return { url: `sqlite:${folder}/restante.db`, drop: async () => rmSync(folder, { recursive: true, force: true }) };
  }
  const server = inject(engine);
  const connection = await connectTo(server);
  await connection.query(`CREATE DATABASE ${name}`);
  await connection.query(`USE ${name}`);
  if (base) for (const sql of baseTables) await connection.query(sql);
  await connection.end();
  const drop = async () => {
    const again = await connectTo(server);
    await again.query(`DROP DATABASE IF EXISTS ${name}`);
    await again.end();
  };
  return { url: server + name, drop };
}

/** A database at the extended level. */
export async function migratedDatabase(engine: Engine): Promise<Database> {
  const database = await emptyDatabase(engine);
  if (engine !== 'sqlite') {
    const db = await openDb(database.url);
    await migrate(db, false, () => {});
    await db.close();
  }
  return database;
}

/** Collects what would be logged. */
export function testLog(): Log & { readonly lines: { level: string; message: string; data: object }[] } {
  const lines: { level: string; message: string; data: object }[] = [];
  const at = (level: string) => (data: object, message: string) => void lines.push({ level, message, data });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface TestUser {
  readonly id: number;
  readonly token: string;
  /** The Authorization header. */
  readonly auth: string;
}

export interface Service {
  /** http://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  readonly app: App;
  readonly parts: ServiceParts;
  readonly store: Store;
  readonly log: ReturnType<typeof testLog>;
  user(token?: string): Promise<TestUser>;
  webhook(user: TestUser, settings?: Record<string, unknown>): Promise<WebhookDetail>;
  /** Resolves when lists hand out everything that is in the table now, whoever inserted it. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

// In each test of a file that has started a service: a turn of the product's code above 100 ms fails it.
let watch: Watch | undefined;

afterEach(async ({ task }) => {
  // The test's last turn ends, and the timer of the watch sees it.
  for (let i = 0; watch && i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
  const stalls = watch?.stalls() ?? [];
  if (stalls.length > 0) throw new Error(`the event loop stood still in '${task.name}':\n${stalls.join('\n')}`);
});
afterAll(() => watch?.close());

/** A service in this process on a real socket. `env` are settings by name; `prepare` is run before it begins. */
export async function startService(
  databaseUrl: string,
  env: Record<string, string> = {},
  prepare: (store: Store) => void = () => {},
  more: Pick<ServiceOptions, 'certificates'> = {},
): Promise<Service> {
  // A start opens the store, compiles the routes and reads the pages of the documentation; nobody is served yet.
  const service = await unwatched(() => start(databaseUrl, env, prepare, more));
  watch ??= watchProduct();
  return service;
}

async function start(
  databaseUrl: string,
  env: Record<string, string>,
  prepare: (store: Store) => void,
  more: Pick<ServiceOptions, 'certificates'>,
): Promise<Service> {
  const config = readConfig({ PORT: '0', SECRETS_KEY: '5e'.repeat(32), ...env, DATABASE_URL: databaseUrl });
  const store = await openStore(databaseUrl, { connections: config.databaseConnections });
  prepare(store);
  const log = testLog();
  const app = await createService({ store, config, log, memory: process, ...more });
  const { parts } = app;
  const port = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    app,
    parts,
    store,
    log,
    async user(token = randomBytes(16).toString('hex')) {
      const id = await addUser(store.db, { email: 'ana@example.org', phone: '', token });
      return { id, token, auth: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` };
    },
    webhook: (user, settings = {}) => makeWebhook(parts, user.id, { wh_name: 'Test', ...settings }),
    async settle() {
      // Reads of one turn of the event loop share a snapshot on SQLite; what was committed in this one may not be in it.
      await new Promise((resolve) => setImmediate(resolve));
      const highest = await highestId(store);
      for (let i = 0; parts.tail.readableId < highest; i++) {
        if (i === 500) throw new Error(`lists stand at ${parts.tail.readableId}, before ${highest}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      // What fetch keeps open for later: the service would give each of these connections two more seconds.
      app.server.closeIdleConnections();
      await app.close();
      await store.close();
    },
  };
}

/** The path part of a webhook's URL: `/in/{key}`. */
export const pathOf = (webhook: WebhookDetail): string => new URL(webhook.wh_url).pathname;
