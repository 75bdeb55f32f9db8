// Cuts the power below SQLite: what the program writes and flushes is recorded while it works, and what a disk may hold at any moment
// of that is opened again. What was answered before must be in it, and nothing in it may be broken.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BASE, STEPS } from '../../../src/store/migrate/steps.ts';
import { type Book, type Caller, type History, openBook } from '../../support/disk/promises.ts';
import { startRecording } from '../../support/disk/record.ts';
import type { Image } from '../../support/disk/replay.ts';
import { mortal, scratchFolder } from '../../support/fetch-debs.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import { randomOf } from '../../support/random.ts';
import { github } from '../../support/signing.ts';
import { MAIN, type Program, type World } from '../../support/world.ts';

// A disk in memory, where there is one: what opens an image flushes, and would wait for the disk of this machine.
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
// Webhooks of each sender in each phase.
const EACH = 20;
const MOST_TOLD = 5;
// One cut of so many comes after each of them.
const ENDS_OF = 20;
const RECOVERIES = 3;
const FEW = 10;
const ERASED = 'bea@example.org';

type Env = Readonly<Record<string, string>>;

/** A body that begins with its name; its end is not text. */
const bodyOf = (name: string, most = 5_000): Buffer =>
  Buffer.concat([Buffer.from(`${name}\n`), randomBytes(Math.floor(Math.random() * most))]);

/** A database to be made below a folder of its own, everything that is done to it recorded. Not by this process: nobody is recorded here. */
function newBook(
  scratch: string,
  library: string,
  prepare: (env: { readonly DATABASE_URL: string }) => void = () => {},
) {
  const folder = join(scratch, `disk-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder);
  const env = { DATABASE_URL: `sqlite:${folder}/var/lib/restante.db`, LOG_LEVEL: 'warn' };
  prepare(env);
  const trace = join(scratch, `trace-${randomBytes(4).toString('hex')}`);
  const book = openBook(env.DATABASE_URL, startRecording(library, folder, trace), folder);
  return { book, env: { ...env, ...book.recording.env } };
}

/** Statements, one after the other, as another program runs them. */
const SQL = `let driver;
  try { driver = require('node:sqlite') } catch { driver = require('@photostructure/sqlite') }
  const database = new driver.DatabaseSync(process.argv[1]);
  for (const sql of JSON.parse(process.argv[2])) database.exec(sql);`;
function runSql({ DATABASE_URL = '', ...env }: Env, statements: readonly string[]): void {
  const args = ['-e', SQL, DATABASE_URL.slice('sqlite:'.length), JSON.stringify(statements)];
  execFileSync(process.execPath, args, { cwd: dirname(dirname(MAIN)), env: { PATH: process.env.PATH, ...env } });
}

/** A command line, recorded; resolves with how much was recorded when it had ended, and what it said. */
async function command(book: Book, args: readonly string[], env: Env) {
  const [file, ...rest] = mortal([process.execPath, MAIN, ...args]);
  const child = spawn(file, rest, { env: { PATH: process.env.PATH, ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`restante ${args.join(' ')} ended with ${code}: ${said}`);
  return { ended: book.recording.now(), said };
}

async function end(program: Program): Promise<void> {
  program.signal('SIGTERM');
  const code = await program.ended;
  if (code !== 0) throw new Error(`the program ended with ${code}: ${program.log()}`);
}

/** Sends `count` webhooks to a path, one after the other; each that is answered by 200 is promised. */
async function send(book: Book, port: number, path: string, prefix: string, count: number): Promise<void> {
  const sender = await book.connect(port, '');
  for (let n = 0; n < count; n++) {
    const body = bodyOf(`${prefix}-${n}`, n % 25 === 0 ? 60_000 : 5_000);
    const name = book.sends(body);
    const { status, at } = await sender.call('POST', path, body);
    if (status === 200) book.stored(at, name);
  }
  sender.close();
}
const SENDERS = 4;
const ingest = (book: Book, port: number, path: string, phase: string, count: number) =>
  Promise.all(Array.from({ length: SENDERS }, (_, n) => send(book, port, path, `${phase}${n}`, count)));

/** The first user, by the command line. */
async function addUser(book: Book, env: Env): Promise<string> {
  const { ended, said } = await command(book, ['user', 'add', '--email', 'ana@example.org'], env);
  book.promise(ended, 'user 1 is there', ({ users }) => users.has(1));
  return authIn(said);
}
function authIn(said: string): string {
  const [, id, token] = /user id +(\d+)\s+token +(\S+)/.exec(said) ?? [];
  return `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;
}

/** Makes a webhook; `path` is that of its URL. */
async function addWebhook(book: Book, operator: Caller, settings: object) {
  const { json, at } = await operator.call('POST', '/webhooks', settings);
  const { wh_id, wh_url } = json();
  book.promise(at, `webhook ${wh_id} is there`, ({ webhooks }) => webhooks.has(wh_id));
  return { wh_id: wh_id as number, path: new URL(wh_url).pathname };
}

/** Only receives: for controls, which make the program worse by its environment. */
export async function recordIngest(world: World, library: string, each: number, worse: Env): Promise<History> {
  const { book, env } = newBook(world.folder, library);
  await addUser(book, env);
  const { said } = await command(book, ['webhook', 'add', 'Plain'], env);
  const [path = ''] = /\/in\/\w+/.exec(said) ?? [];
  const program = await world.serve({ ...env, ...worse });
  await ingest(book, program.port, path, 'in', each);
  const history = book.close();
  await program.kill();
  return history;
}

interface Service extends History {
  readonly auth: string;
}

/** All that a service and its operator do to a database: receive, hand out, release, delete, prune, erase with VACUUM, start again. */
async function recordService(world: World, library: string, each: number): Promise<Service> {
  const { book, env } = newBook(world.folder, library);
  const { now } = book.recording;
  const auth = await addUser(book, env);
  const program = await world.serve(env);
  const operator = await book.connect(program.port, auth);
  const plain = await addWebhook(book, operator, { wh_name: 'Plain' });
  const receive = (phase: string, count = each) => ingest(book, program.port, plain.path, phase, count);

  // They are going to be old.
  const sender = await book.connect(program.port, auth);
  const own = async (name: string) => {
    const body = bodyOf(name, 2_000);
    const { json, at } = await sender.call('POST', '/whcontent', body);
    return { name: book.sends(body), id: json().id as number, at };
  };
  const old: Awaited<ReturnType<typeof own>>[] = [];
  for (let n = 0; n < each; n++) old.push(await own(`old-${n}`));
  runSql(env, ['UPDATE restante_position SET seen_ms = seen_ms - 8640000000']);

  const waiting = await addWebhook(book, operator, { wh_name: 'Waiting', preset: 'github' });
  const forged = await addWebhook(book, operator, { wh_name: 'Forged', preset: 'github', secrets: ['right'] });
  const handing = handOut(book, program.port, auth);
  await Promise.all([
    receive('in'),
    (async () => {
      for (let n = 0; n < each; n++) {
        const body = bodyOf(`waits-${n}`);
        const name = book.sends(body);
        book.kept((await sender.call('POST', waiting.path, body, github('right', body))).at, name);
        const other = bodyOf(`forged-${n}`, 500);
        book.sends(other);
        await sender.call('POST', forged.path, other, github('wrong', other));
        const { name: mine, at } = await own(`own-${n}`);
        book.stored(at, mine);
      }
    })(),
  ]);

  const releasing = receive('while-released');
  await operator.call('PATCH', `/webhooks/${waiting.wh_id}`, { secrets: ['right'] });
  const { json, at } = await operator.call('POST', '/refusals/release', { whid: forged.wh_id, force: true });
  const { released } = json() as { released: { id: number; content_id: number }[] };
  if (released.length === 0) throw new Error('nothing was released');
  for (const { id, content_id } of released)
    book.promise(
      at,
      `refusal ${id} is content ${content_id}`,
      (held) => held.contents.get(content_id)?.released_from === id,
    );
  await releasing;

  const deleting = receive('while-deleted');
  for (let n = 0; n < each; n++) {
    const { name, id, at: since } = await own(`deleted-${n}`);
    const begins = now();
    book.stored(since, name, begins);
    const { status, at } = await operator.call('DELETE', `/whcontent/${id}`);
    if (status !== 204) throw new Error(`DELETE answered ${status}`);
    book.gone(at, name);
  }
  await deleting;
  await handing.stop();

  // By another process, while the service goes on.
  const pruning = receive('while-pruned');
  const begins = now();
  const pruned = await command(book, ['prune', '--days', '30'], env);
  for (const { name, at } of old) {
    book.stored(at, name, begins);
    book.gone(pruned.ended, name);
  }
  await pruning;

  const wanted = [];
  for (let n = 0; n < each; n++) wanted.push(await own(`erased-${n} ${ERASED}`));
  operator.close();
  sender.close();
  // What was written a moment ago still stands in the log.
  const erasing = now();
  for (const { name, at } of wanted) book.stored(at, name, erasing);
  const erased = await command(book, ['erase', '--match', ERASED, '--yes'], env);
  for (const { name } of wanted) book.gone(erased.ended, name);
  book.erased(erased.ended, ERASED);
  await end(program);

  await program.restart();
  await receive('again');
  await end(program);
  return { ...book.close(), auth };
}

/** A worker that acks what it got with the next pull: what was acked so does not come again. */
function handOut(book: Book, port: number, auth: string) {
  let on = true;
  const running = (async () => {
    const worker = await book.connect(port, auth);
    let [lease, ids]: [string | null, number[]] = [null, []];
    while (on || lease) {
      const body = { limit: 20, wait: on ? 1 : 0, start: 'earliest', ...(lease ? { ack: lease } : {}) };
      const { status, json, at } = await worker.call('POST', '/consumers/worker/pull', body);
      const answer = json();
      if (status !== 200 || answer.conflicts.length > 0) throw new Error(`pull answered ${JSON.stringify(answer)}`);
      for (const id of ids)
        book.promise(
          at,
          `content ${id} is acked`,
          ({ leased, positions, cursor }) => !leased.has(id) && (positions.get(id) ?? 0) <= cursor,
        );
      lease = answer.lease;
      ids = answer.items.map((item: { id: number }) => item.id);
    }
    worker.close();
  })();
  return {
    stop() {
      on = false;
      return running;
    },
  };
}

/** The program starts for the first time: neither folder, database, user nor key is there. */
async function recordFirst(world: World, library: string): Promise<History> {
  const { book, env } = newBook(world.folder, library);
  const program = await world.serve(env);
  // It is told after it listens.
  while (!program.log().includes('token')) await sleep(20);
  const operator = await book.connect(program.port, authIn(program.log()));
  const { path } = await addWebhook(book, operator, { wh_name: 'First', preset: 'github', secrets: ['right'] });
  for (let n = 0; n < FEW; n++) {
    const body = bodyOf(`first-${n}`);
    book.stored((await operator.call('POST', path, body, github('right', body))).at, book.sends(body));
  }
  operator.close();
  await end(program);
  return book.close();
}

// Of the steps of a migration, those that a database of an early release has.
const STEPS_DONE = 3;

/** The newest steps on a database with contents that stands at an early one. */
async function recordMigration(world: World, library: string, each: number): Promise<History> {
  const bodies = Array.from({ length: each }, (_, n) => bodyOf(`old-${n}`));
  const { book, env } = newBook(world.folder, library, (given) => {
    mkdirSync(dirname(given.DATABASE_URL.slice('sqlite:'.length)), { recursive: true });
    runSql(given, [
      ...Object.values(BASE).map(({ sqlite }) => sqlite),
      ...STEPS.slice(0, STEPS_DONE).map(({ sqlite }) => sqlite),
      `INSERT INTO restante_meta (k, v) VALUES ('schema', ${STEPS_DONE})`,
      ...bodies.map(
        (body) => `INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id)
        VALUES (X'${body.toString('hex')}', '127.0.0.1', 1, '2026-01-01 00:00:00', 1, 5)`,
      ),
    ]);
  });
  for (const body of bodies) book.stored(0, book.sends(body));
  await command(book, ['migrate'], env);
  return book.close();
}

interface Cuts {
  readonly count: number;
  readonly seed: number;
  /** The disk says that it has flushed, and has not. */
  readonly lying?: boolean;
  /** One of so many is opened as the program does it; the others by SQLite alone. */
  readonly byProgram?: number;
}

/** Cuts the power so often, at moments that a seed decides. */
export async function cutPower(
  name: string,
  history: History,
  { count, seed, lying = false, byProgram = 10 }: Cuts,
): Promise<Verdict> {
  const { entries, ends } = history;
  const random = randomOf(seed);
  // Some of them right after a command line has ended: until the next flush that is a short while.
  const moment = (n: number) => ends[n % ENDS_OF] ?? Math.floor(random() * (entries.length + 1));
  const moments = Array.from({ length: count }, (_, n) => moment(n)).sort(byNumber);
  const replay = history.replay({ lying });
  const scratch = await scratchFolder(join(MEMORY, 'restante-cut-'));
  const failures: string[] = [];
  let done = 0;
  let bad = 0;
  try {
    for (const [n, moment] of moments.entries()) {
      for (; done < moment; done++) replay.next(entries[done] as (typeof entries)[number]);
      // A folder of its own for each: what is opened on Node 20 is not closed before its garbage is collected.
      const folder = join(scratch.path, String(n));
      const url = writeImage(history, replay.cut(randomOf(seed + n + 1)), folder);
      const wrong = await history.examine(url, done, n % byProgram === 0);
      rmSync(folder, { recursive: true });
      if (wrong.length === 0) continue;
      bad++;
      const what = wrong.slice(0, MOST_TOLD).join('; ');
      if (bad <= MOST_TOLD)
        failures.push(`${name}: cut ${n} of seed ${seed}, after entry ${done}: ${wrong.length} wrong: ${what}`);
    }
  } finally {
    await scratch.remove();
  }
  return {
    figures: { [`${name}: entries`]: entries.length, [`${name}: cuts`]: count, [`${name}: bad cuts`]: bad },
    failures,
  };
}
const byNumber = (a: number, b: number) => a - b;

/** Writes it into a new folder; answers the URL of the database there. */
function writeImage({ folder, database }: History, image: Image, to: string): string {
  mkdirSync(to);
  const copyOf = (path: string) => join(to, relative(folder, path));
  for (const [path, bytes] of image) {
    mkdirSync(dirname(copyOf(path)), { recursive: true });
    writeFileSync(copyOf(path), bytes);
  }
  return `sqlite:${copyOf(database)}`;
}

/** The program starts on what a cut left, and goes on. */
async function recordRecovery(world: World, library: string, before: Service, seed: number): Promise<History> {
  const random = randomOf(seed);
  const replay = before.replay({});
  const done = Math.floor(random() * before.entries.length);
  for (const entry of before.entries.slice(0, done)) replay.next(entry);
  const folder = join(world.folder, `recovery-${randomBytes(4).toString('hex')}`);
  const DATABASE_URL = writeImage(before, replay.cut(random), folder);
  const book = openBook(DATABASE_URL, startRecording(library, folder, `${folder}.trace`), folder);
  book.inherit(before, done);
  const program = await world.serve({ ...book.recording.env, DATABASE_URL, LOG_LEVEL: 'warn' });
  const sender = await book.connect(program.port, before.auth);
  for (let n = 0; n < FEW; n++) {
    const body = bodyOf(`recovered-${n}`);
    const { at, status } = await sender.call('POST', '/whcontent', body);
    if (status === 201) book.stored(at, book.sends(body));
  }
  sender.close();
  await end(program);
  return book.close();
}

/** All of it: `count` cuts, most of them in the service. */
export async function runPowerCuts(
  world: World,
  library: string,
  { count, seed }: Pick<Cuts, 'count' | 'seed'>,
): Promise<Verdict> {
  const part = (share: number) => Math.ceil(count * share);
  const first = await recordFirst(world, library);
  const verdicts = [await cutPower('first start', first, { count: part(0.1), seed, byProgram: 2 })];
  const migration = await recordMigration(world, library, EACH);
  // Contents get their positions when the program opens it.
  verdicts.push(await cutPower('migrate', migration, { count: part(0.1), seed, byProgram: 1 }));
  const service = await recordService(world, library, EACH);
  verdicts.push(await cutPower('service', service, { count: part(0.65), seed }));
  for (let n = 0; n < RECOVERIES; n++) {
    const recovery = await recordRecovery(world, library, service, seed + n);
    verdicts.push(await cutPower(`recovery ${n}`, recovery, { count: part(0.15 / RECOVERIES), seed: seed + n }));
  }
  return together(...verdicts);
}
