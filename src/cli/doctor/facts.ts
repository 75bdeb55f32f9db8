// Gathers what a check-up judges: the database, the files, this machine, and the service if it runs. Changes nothing.
import { readdirSync, type Stats, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Config, localUrl } from '../../config/config.ts';
import { openFileLimit } from '../../http/connections.ts';
import type { Cause } from '../../observe/incidents.ts';
import { heldNow } from '../../retention/held.ts';
import { failed } from '../../store/db.ts';
import { type DatabaseFacts, examine, type Looked, listStaleUrls, openToLook } from '../../store/doctor.ts';
import { causeOf } from '../../store/engine/causes.ts';
import { listForeign } from '../../store/webhooks.ts';
import type { Io } from '../io.ts';
import { lookAtKey } from '../open.ts';
import { readSomaxconn } from '../serve.ts';

export interface Facts {
  readonly config: Config;
  /** Undefined when it cannot be opened: `unreachable` says why. */
  readonly database: DatabaseFacts | undefined;
  readonly unreachable: Cause | undefined;
  /** What of the database concerns the settings. */
  readonly stored: Awaited<ReturnType<typeof lookAtStored>>;
  /** Of SQLite; undefined on a server. */
  readonly files: FilesFacts | undefined;
  readonly nodeVersion: string | undefined;
  /** Of this process: mostly what the service has too. Undefined where it cannot be told. */
  readonly openFiles: number | undefined;
  /** The longest listen backlog that the kernel gives; undefined where it cannot be told. */
  readonly somaxconn: number | undefined;
  readonly service: ProbeAnswer;
  readonly ready: ProbeAnswer;
  /** With --online alone. */
  readonly online: ProbeAnswer | undefined;
}
type FilesFacts = ReturnType<typeof lookAtFiles>;
/** `status` 0: no answer, and `text` says why. */
export interface ProbeAnswer {
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

export async function gatherFacts(io: Io, config: Config, online: boolean): Promise<Facts> {
  const files = config.databaseUrl.startsWith('sqlite:') ? lookAtFiles(config.databaseUrl.slice(7)) : undefined;
  const local = localUrl(config);
  const [service, ready, reached] = await Promise.all([
    ask(`${local}/healthz`),
    ask(`${local}/readyz`),
    online ? ask(`${config.publicUrl}/healthz`) : undefined,
  ]);
  return {
    config,
    ...(await lookAtDatabase(config, files)),
    files,
    nodeVersion: io.nodeVersion,
    openFiles: openFileLimit(),
    somaxconn: readSomaxconn(),
    service,
    ready,
    online: reached,
  };
}

async function lookAtDatabase(
  config: Config,
  files: FilesFacts | undefined,
): Promise<Pick<Facts, 'database' | 'unreachable' | 'stored'>> {
  const nothing = { database: undefined, unreachable: undefined, stored: undefined };
  // The first start makes it.
  if (files && !files.exists) return nothing;
  let looked: Looked | undefined;
  try {
    looked = await openToLook(config.databaseUrl, { connections: config.databaseConnections });
    const database = await examine(looked, config.databaseUrl, config.fenceNodes);
    return { database, unreachable: undefined, stored: await lookAtStored(looked, config, database) };
  } catch (error) {
    const unreachable = causeOf(error);
    if (unreachable) return { ...nothing, unreachable };
    throw error;
  } finally {
    await looked?.close();
  }
}

/** Undefined without the tables or the rights: other checks tell that. */
async function lookAtStored(looked: Looked, config: Config, { contents }: DatabaseFacts) {
  if (!contents) return undefined;
  try {
    const key = await lookAtKey(looked, config);
    const urls = config.oldUrls.length > 0 && looked.extended ? await listForeign(looked) : [];
    const stored = urls.map(({ wh_url }) => wh_url.toString('latin1'));
    // Those at which no stored wh_url begins.
    const idleOrigins = config.oldUrls.filter((origin) => !stored.some((url) => /^[/?]/.test(after(url, origin))));
    const policy = { days: config.retentionDays, foreign: config.pruneForeign };
    const held = looked.extended ? await heldNow(looked.db, policy) : undefined;
    return { staleUrls: await listStaleUrls(looked, config.publicUrl), idleOrigins, key, held };
  } catch (error) {
    if (failed(error, 'denied')) return undefined;
    throw error;
  }
}

const after = (url: string, beginning: string): string =>
  url.startsWith(beginning) ? url.slice(beginning.length) : '';

const stat = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

function lookAtFiles(path: string) {
  const folder = dirname(path);
  let there = folder;
  // The nearest folder that exists: on its disk the others will be made.
  while (!stat(there) && dirname(there) !== there) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  const own = new RegExp(`^${basename(path).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(-wal|-shm|\\.key)?$`);
  const names = stat(folder) ? readdirSync(folder).filter((name) => own.test(name)) : [];
  // The folder first, then the files of the database.
  const entries = [...(stat(folder) ? [folder] : []), ...names.map((name) => join(folder, name))].flatMap((entry) => {
    const found = stat(entry);
    return found ? [{ path: entry, mode: found.mode & 0o777, uid: found.uid }] : [];
  });
  const exists = stat(path) !== undefined;
  return { folder, exists, freeBytes: bavail * bsize, entries, shared: whoseElse(folder, own) };
}

const STICKY = 0o1000;
const SYSTEM =
  /^\/(|bin|boot|dev|etc|home|lib|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)(\/(bin|etc|lib|local|log|opt|run|sbin|share|spool|tmp))*$/;

/** Why the folder is not the database's own, so that its rights must stay as they are; undefined where it is. */
function whoseElse(folder: string, own: RegExp): string | undefined {
  const found = stat(folder);
  if (!found) return undefined;
  if (SYSTEM.test(resolve(folder))) return 'it is a folder of the system';
  if ((found.mode & STICKY) !== 0) return 'every user may put files there';
  const other = readdirSync(folder).find((name) => !own.test(name));
  return other && `${other} lies there too`;
}

const ANSWER_MS = 5_000;
const MOST_TEXT = 300;

async function ask(url: string): Promise<ProbeAnswer> {
  try {
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS) });
    return { url, status: answer.status, text: (await answer.text()).slice(0, MOST_TEXT) };
  } catch (error) {
    const { cause = error } = error as Error;
    return { url, status: 0, text: cause instanceof Error ? cause.message || String(cause) : String(cause) };
  }
}
