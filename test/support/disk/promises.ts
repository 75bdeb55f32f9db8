// What is promised while a program is recorded, and whether a database that a power cut left keeps it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { OUR_TABLES } from '../../../src/store/migrate/steps.ts';
import { openStore } from '../../../src/store/open.ts';
import { openSealer } from '../../../src/webhooks/sealer.ts';
import { connectWire } from '../ledger/load.ts';
import type { Entry, Recording } from './record.ts';
import { createReplay, type Replay, type ReplayOptions, readBase } from './replay.ts';

/** A moment of a recording: an answer, by who got it and how many he had got before, or how much was recorded by then. */
type Moment = { readonly who: number; readonly nth: number } | number;

/** What must be so from a moment on, until another. */
interface Fact {
  readonly since: Moment;
  readonly until: Moment | undefined;
  readonly says: string;
  holds(held: Held): boolean;
}

/** What the tables hold. */
interface Held {
  /** Ids of contents by their names. */
  readonly named: ReadonlyMap<string, number>;
  readonly contents: ReadonlyMap<number, { readonly content: Buffer; readonly released_from: number | null }>;
  readonly refusals: ReadonlyMap<number, { readonly content: Buffer | null; readonly released_as: number | null }>;
  readonly positions: ReadonlyMap<number, number>;
  readonly leased: ReadonlySet<number>;
  readonly cursor: number;
  readonly webhooks: ReadonlySet<number>;
  readonly users: ReadonlySet<number>;
  /** All that stands in the files, in rows or not, before they were opened. */
  readonly files: readonly Buffer[];
}

/** What was recorded, and what was promised meanwhile. */
export interface History {
  readonly folder: string;
  /** The file of the database. */
  readonly database: string;
  readonly entries: readonly Entry[];
  /** A replay of the entries, before the first of them. */
  replay(options: ReplayOptions): Replay;
  readonly sent: ReadonlyMap<string, Buffer>;
  /** How many entries there were when each command line had ended. */
  readonly ends: readonly number[];
  /** What must be so after so many entries. */
  factsAt(done: number): readonly Pick<Fact, 'says' | 'holds'>[];
  /**
   * What is wrong in this database if the power was cut after so many entries, in words. `byProgram`: opened as the program does it,
   * which takes ten times as long.
   */
  examine(url: string, done: number, byProgram: boolean): Promise<string[]>;
}

export interface Book {
  readonly recording: Recording;
  /** Notes a body that may become a content. Its first line is its name. */
  sends(body: Buffer): string;
  promise(since: Moment, says: string, holds: Fact['holds'], until?: Moment): void;
  /** The content of this name is there. */
  stored(since: Moment, name: string, until?: Moment): void;
  /** It is there, or a request of this name waits to be released. */
  kept(since: Moment, name: string): void;
  gone(since: Moment, name: string): void;
  /** No file has this text anywhere. */
  erased(since: Moment, text: string): void;
  /** What was promised before a power cut holds after it, too. */
  inherit(history: History, done: number): void;
  connect(port: number, auth: string): Promise<Caller>;
  close(): History;
}

/** A connection with one request at a time: so its answers can be counted. */
export interface Caller {
  call(method: string, path: string, body?: Buffer | object, more?: Readonly<Record<string, string>>): Promise<Answer>;
  close(): void;
}
interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of each answer is what the caller expects of it
  json(): any;
  readonly at: Moment;
}

// All callers come from here, and nobody else does: their ports are theirs alone.
const ADDRESS = '127.0.0.2';
const WHO = 2 << 16;

/** The first line of a body. */
const nameOf = (body: Buffer): string => body.toString('latin1', 0, Math.max(0, body.indexOf(10)));

/** Of a database below `folder`, from now on. */
export function openBook(databaseUrl: string, recording: Recording, folder: string): Book {
  const base = readBase(folder);
  const sent = new Map<string, Buffer>();
  const facts: Fact[] = [];
  const answers = new Map<number, number>();
  const promise: Book['promise'] = (since, says, holds, until) => void facts.push({ since, says, holds, until });
  return {
    recording,
    promise,
    sends(body) {
      const name = nameOf(body);
      sent.set(name, body);
      return name;
    },
    stored: (since, name, until) => promise(since, `${name} is there`, ({ named }) => named.has(name), until),
    kept(since, name) {
      const waits = ({ refusals }: Held) =>
        [...refusals.values()].some(({ content, released_as }) => !released_as && content && nameOf(content) === name);
      promise(since, `${name} is there, or waits`, (held) => held.named.has(name) || waits(held));
    },
    gone: (since, name) => promise(since, `${name} is gone`, ({ named }) => !named.has(name)),
    erased: (since, text) =>
      promise(since, `${text} is nowhere`, ({ files }) => !files.some((bytes) => bytes.includes(text))),
    inherit(history, done) {
      for (const [name, body] of history.sent) sent.set(name, body);
      for (const { says, holds } of history.factsAt(done)) promise(0, says, holds);
    },
    async connect(port, auth) {
      const wire = await connectWire('127.0.0.1', port, { localAddress: ADDRESS });
      const who = WHO | wire.localPort;
      return {
        close: wire.close,
        async call(method, path, body = Buffer.alloc(0), more = {}) {
          const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
          const fields = { Host: 'x', Authorization: auth, 'Content-Length': String(bytes.length), ...more };
          const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
          const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
          const { status, body: text } = await wire.send(Buffer.concat([head, bytes]));
          const nth = answers.get(who) ?? 0;
          answers.set(who, nth + 1);
          if (status >= 500) throw new Error(`${method} ${path} answered ${status}: ${text}`);
          return { status, json: () => JSON.parse(text.toString()), at: { who, nth } };
        },
      };
    },
    close() {
      const recorded = recording.entries();
      const given = new Map<number, number[]>();
      for (const [i, { entry }] of recorded.entries())
        if (entry.kind === 'answer') given.set(entry.node, [...(given.get(entry.node) ?? []), i + 1]);
      /** How many entries had been made by then. */
      const entriesAt = (moment: Moment): number => {
        if (typeof moment === 'number') return recorded.findLastIndex(({ at }) => at <= moment) + 1;
        const found = given.get(moment.who)?.[moment.nth];
        if (found === undefined) throw new Error('an answer was not recorded');
        return found;
      };
      const dated = facts.map(({ since, until, says, holds }) => ({
        since: entriesAt(since),
        until: until === undefined ? Number.POSITIVE_INFINITY : entriesAt(until),
        says,
        holds,
      }));
      const factsAt = (done: number) => dated.filter(({ since, until }) => since <= done && done < until);
      return {
        folder,
        database: databaseUrl.slice('sqlite:'.length),
        entries: recorded.map(({ entry }) => entry),
        replay: (options) => createReplay(base, options),
        sent,
        ends: [
          ...new Set(facts.flatMap(({ since }) => (typeof since === 'number' && since > 0 ? [entriesAt(since)] : []))),
        ],
        factsAt,
        examine: (url, done, byProgram) => examine(url, sent, factsAt(done), byProgram),
      };
    },
  };
}

/** Looks at everything in it. */
async function examine(
  url: string,
  sent: ReadonlyMap<string, Buffer>,
  facts: readonly Pick<Fact, 'says' | 'holds'>[],
  byProgram: boolean,
): Promise<string[]> {
  const files = filesBeside(url);
  try {
    const { unsound, ...tables } = byProgram ? await readByProgram(url) : await readAlone(url);
    const held = { ...tables, files };
    const broken = facts.filter(({ holds }) => !holds(held)).map(({ says }) => `not so: ${says}`);
    return [...unsound, ...misfits(held, sent), ...broken];
  } catch (error) {
    return [`it does not open: ${(error as Error).message}`];
  }
}

type Tables = Omit<Held, 'files'> & { readonly unsound: readonly string[] };
type All = <T>(sql: string) => Promise<T[]>;

async function readByProgram(url: string): Promise<Tables> {
  const { db, ...store } = await openStore(url);
  try {
    // Its secrets can be read: their key lies in a file beside it.
    await openSealer({ db, ...store }, undefined, url);
    return await read((sql) => db.all(sql));
  } finally {
    await store.close();
  }
}

const load = createRequire(import.meta.url);
function driver(): { DatabaseSync: new (path: string) => DatabaseSyncInstance } {
  try {
    return load('node:sqlite');
  } catch {
    return load('@photostructure/sqlite');
  }
}
/** By SQLite alone. What was cut off before all tables were there is for the program. */
async function readAlone(url: string): Promise<Tables> {
  const path = url.slice('sqlite:'.length);
  if (!existsSync(path)) return readByProgram(url);
  const database = new (driver().DatabaseSync)(path);
  const tables = database.prepare(
    "SELECT COUNT(*) AS n FROM sqlite_schema WHERE name LIKE 'restante_%' AND type = 'table'",
  );
  const complete = (tables.get() as { n: number }).n === OUR_TABLES.sqlite.length;
  try {
    if (complete)
      return await read(async <T>(sql: string) => {
        const rows = database.prepare(sql).all() as Record<string, unknown>[];
        for (const row of rows) if (row.content) row.content = Buffer.from(row.content as Uint8Array);
        return rows as T[];
      });
  } finally {
    database.close();
  }
  return readByProgram(url);
}

function filesBeside(url: string): Buffer[] {
  const folder = dirname(url.slice('sqlite:'.length));
  return existsSync(folder) ? readdirSync(folder).map((name) => readFileSync(join(folder, name))) : [];
}

async function read(all: All): Promise<Tables> {
  const found = await all<{ integrity_check: string }>('PRAGMA integrity_check');
  type Content = { id: number; content: Buffer; released_from: number | null };
  const contents = await all<Content>(
    'SELECT t.id, CAST(t.content AS BLOB) AS content, r.released_from FROM tblwh t LEFT JOIN restante_request r ON r.id = t.id',
  );
  type Refusal = { id: number; content: Buffer | null; released_as: number | null };
  const refusals = await all<Refusal>('SELECT id, content, released_as FROM restante_refusal');
  const positions = await all<{ id: number; pos: number }>('SELECT id, pos FROM restante_position');
  const leases = await all<{ id: number }>('SELECT id FROM restante_lease');
  const consumers = await all<{ cursor_pos: number }>('SELECT cursor_pos FROM restante_consumer');
  const webhooks = await all<{ id: number }>('SELECT wh_id AS id FROM restante_webhook');
  const users = await all<{ id: number }>('SELECT id FROM tbluser');
  return {
    unsound: found.map((row) => row.integrity_check).filter((text) => text !== 'ok'),
    named: new Map(contents.map(({ id, content }) => [nameOf(content), id])),
    contents: new Map(contents.map((row) => [row.id, row])),
    refusals: new Map(refusals.map((row) => [row.id, row])),
    positions: new Map(positions.map(({ id, pos }) => [id, pos])),
    leased: new Set(leases.map(({ id }) => id)),
    cursor: consumers[0]?.cursor_pos ?? 0,
    webhooks: new Set(webhooks.map(({ id }) => id)),
    users: new Set(users.map(({ id }) => id)),
  };
}

/** What no database of Restante may hold, whatever was promised: halves of transactions, and bytes that nobody has sent. */
function misfits({ named, contents, refusals, positions }: Held, sent: ReadonlyMap<string, Buffer>): string[] {
  const wrong: string[] = [];
  if (named.size !== contents.size) wrong.push('a content is there twice');
  for (const [id, { content, released_from }] of contents) {
    const name = nameOf(content);
    if (!sent.get(name)?.equals(content)) wrong.push(`content ${id}, ${name}, is not what was sent`);
    if (!positions.has(id)) wrong.push(`content ${id} has no position`);
    if (released_from && refusals.get(released_from)?.released_as !== id)
      wrong.push(`content ${id} was released from ${released_from}, which does not know it`);
  }
  for (const id of positions.keys())
    if (!contents.has(id)) wrong.push(`a position of content ${id}, which is not there`);
  for (const [id, { content, released_as }] of refusals) {
    if (content && !sent.get(nameOf(content))?.equals(content)) wrong.push(`refusal ${id} is not what was sent`);
    if (released_as && contents.get(released_as)?.released_from !== id)
      wrong.push(`refusal ${id} was released as ${released_as}, which does not know it`);
  }
  return wrong;
}
