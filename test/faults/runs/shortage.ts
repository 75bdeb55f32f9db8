// What a database runs out of under load, and what others do to its tables: no 2xx without a row, the log names the cause, all goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Event } from '../../support/ledger/load.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import type { Program, World } from '../../support/world.ts';
import { type Report, type UnderLoad, underLoad, verdictOf } from './kills.ts';

/** What happened between two moments, by the ledger. */
interface Spell {
  readonly from: number;
  readonly to: number;
}

interface Trouble {
  readonly what: string;
  /** The word by which the log must name the cause. */
  readonly cause: RegExp;
  /** Senders are served again so long after its end. */
  readonly recoversMs: number;
  /** Acks while it lasts are no fault: there is some room left, or it comes late. */
  readonly some?: boolean;
  begin(): Promise<void>;
  end(): Promise<void>;
}

const MOST_WAIT_MS = 20_000;

/** Brings the trouble, waits until senders feel it, stays for `ms`, ends it, and waits until they are served again. */
async function suffer(
  { events, outages }: UnderLoad,
  program: Program,
  ms: number,
  { what, cause, recoversMs, some = false, begin, end }: Trouble,
): Promise<Verdict> {
  const failures: string[] = [];
  const began = Date.now();
  await begin();
  const refusedAt = await waitFor(events, (event) => event.kind === 'refused' && event.at > began);
  if (!refusedAt) failures.push(`${what}: no sender was refused within ${MOST_WAIT_MS} ms`);
  const from = Date.now();
  const before = program.log().length;
  await sleep(ms);
  const to = Date.now();
  const log = program.log();
  await end();
  const ackedAt = await waitFor(events, (event) => event.kind === 'acked' && event.at > to, MOST_WAIT_MS + recoversMs);
  const recovered = (ackedAt ?? Number.POSITIVE_INFINITY) - to;
  outages.push({ from: began, dead: from, to: Date.now() + 1_000 });
  if (recovered > recoversMs) failures.push(`${what}: senders were served again only after ${recovered} ms`);
  const acked = within(events(), { from, to }).filter(({ kind }) => kind === 'acked').length;
  if (acked > 0 && !some) failures.push(`${what}: ${acked} were acked meanwhile`);
  const named = new Set([...log.matchAll(/"cause":"([a-z-]+)"/g)].map(([, code = '']) => code));
  if (![...named].some((code) => cause.test(code))) failures.push(`${what}: the log names ${[...named].join(', ')}`);
  const lines = log.slice(before).split('\n').length;
  if (lines > 20 + ms / 100) failures.push(`${what}: ${lines} lines in the log within ${ms} ms`);
  await sleep(1_500);
  return { figures: { [`${what}: recovered ms`]: recovered, [`${what}: acked meanwhile`]: acked }, failures };
}

async function waitFor(
  events: () => readonly Event[],
  wanted: (event: Event) => boolean,
  patienceMs = MOST_WAIT_MS,
): Promise<number | undefined> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await sleep(100)) {
    const found = events().find(wanted);
    if (found) return found.at;
  }
  return undefined;
}

/** Outcomes of what was sent and answered between these moments. */
function within(events: readonly Event[], { from, to }: Spell): Event[] {
  const sent = new Map(events.filter(({ kind }) => kind === 'sent').map(({ id, at }) => [id, at]));
  return events.filter(({ kind, id, at }) => kind !== 'sent' && (sent.get(id) ?? 0) > from && at < to);
}

/** Senders may be told to come again, and nothing else; each gets an answer. */
function judge(report: Report, troubles: readonly Verdict[]): Verdict {
  const told = new Set(
    report.events
      .filter(({ kind }) => kind === 'refused')
      .map(({ what, more }) => `${what} ${more === '-' ? '' : 'Retry-After'}`),
  );
  const failures = [...told].filter((one) => one !== '503 Retry-After').map((one) => `senders were told ${one}`);
  if (report.unknown > 0) failures.push(`${report.unknown} senders got no answer`);
  return together({ figures: {}, failures }, ...troubles, verdictOf(report));
}

/** The disk of the database is full for a while. */
export async function runDiskFull(world: World, ms: number): Promise<Verdict> {
  const { volume } = world;
  if (!volume) throw new Error('this needs a disk of its own: createWorld(…, { diskMb })');
  const program = await world.serve({ LOG_LEVEL: 'info' });
  let verdict: Verdict = { figures: {}, failures: [] };
  const report = await underLoad(
    world,
    program,
    async (running) => {
      await sleep(1_000);
      verdict = await suffer(running, program, ms, {
        what: 'disk full',
        // InnoDB has room in its files for a while, and MySQL's log for none: it waits then, instead of failing.
        cause: /^(disk-full|no-answer)$/,
        some: true,
        // MySQL looks once a minute whether there is room again.
        recoversMs: 65_000,
        begin: () => volume.fill(),
        end: () => volume.free(),
      });
    },
    { watched: true, alone: true, maxBytes: 20_000 },
  );
  await program.kill();
  return judge(report, [verdict]);
}

// MySQL's process list fails on a statement that is not text.
const CONNECTED = {
  mysql: 'SELECT processlist_id AS id FROM performance_schema.threads WHERE processlist_user = ?',
  mariadb: 'SELECT id FROM information_schema.processlist WHERE user = ?',
} as const;

/** All connections that the server has are taken by somebody else; then they are free again. */
export async function runNoConnections(world: World, ms: number): Promise<Verdict> {
  const root = await world.connect();
  const [ours, theirs] = [await world.account('all'), await world.account('all')];
  const program = await world.serve({ LOG_LEVEL: 'info', DATABASE_URL: ours });
  const taken: Connection[] = [];
  const { username } = new URL(ours);
  async function takeAll(): Promise<void> {
    // What was killed is free a moment later, and the program is quick.
    for (let calm = 0, tries = 0; calm < 5 && tries < 200; tries++) {
      const [rows] = await root.query(CONNECTED[world.server?.flavour ?? 'mysql'], [username]);
      const connected = rows as { id: number }[];
      calm = connected.length === 0 ? calm + 1 : 0;
      for (const row of connected) await root.query(`KILL ${row.id}`).catch(() => {});
      for (let more = true; more; ) {
        const got = await createConnection({ uri: theirs, connectTimeout: 2_000 }).catch(() => undefined);
        got?.on('error', () => {});
        if (got) taken.push(got);
        more = got !== undefined;
      }
      await sleep(20);
    }
  }
  let verdict: Verdict = { figures: {}, failures: [] };
  let second: Promise<Program> | undefined;
  const report = await underLoad(
    world,
    program,
    async (running) => {
      await sleep(1_000);
      verdict = await suffer(running, program, ms, {
        what: 'no connection left',
        cause: /^no-connections$/,
        recoversMs: 5_000,
        async begin() {
          await takeAll();
          // Whoever starts now waits, and serves when there is one.
          second = world.serve({ LOG_LEVEL: 'info', DATABASE_URL: ours });
        },
        async end() {
          for (const one of taken) one.destroy();
        },
      });
    },
    { watched: true, alone: true },
  );
  const started = await second;
  const failures = started?.log().includes('waiting for the database')
    ? []
    : ['a process that was started meanwhile did not wait'];
  await Promise.all([program.kill(), started?.kill()]);
  return together({ figures: {}, failures }, judge(report, [verdict]));
}

const COPIED = 'id, content, ip, api, dt, user_id, wh_id';

/** Somebody changes the shared table under load: as he may, as he should not, and in the way of tools that copy it. */
export async function runForeignDdl(world: World, ms: number): Promise<Verdict> {
  const root = await world.connect();
  const program = await world.serve({ LOG_LEVEL: 'info' });
  const verdicts: Verdict[] = [];
  const report = await underLoad(
    world,
    program,
    async (running) => {
      const during = async (what: string, ...statements: string[]) => {
        const from = Date.now();
        for (const sql of statements) await root.query(sql);
        const to = Date.now();
        running.outages.push({ from, dead: to, to: to + 1_000 });
        const ackedAt = await waitFor(running.events, ({ kind, at }) => kind === 'acked' && at > to);
        const recovered = (ackedAt ?? Number.POSITIVE_INFINITY) - to;
        verdicts.push({
          figures: { [`${what}: recovered ms`]: recovered },
          failures: recovered > 2_000 ? [`${what}: senders were served again only after ${recovered} ms`] : [],
        });
        await sleep(1_500);
      };
      await sleep(1_000);
      await during('a column with a default', "ALTER TABLE tblwh ADD COLUMN note varchar(10) NOT NULL DEFAULT ''");
      await during('the table written anew', 'ALTER TABLE tblwh ENGINE=InnoDB, ALGORITHM=COPY');
      await during(
        'the table replaced by its copy',
        'CREATE TABLE tblwh_new LIKE tblwh',
        `CREATE TRIGGER copying AFTER INSERT ON tblwh FOR EACH ROW INSERT IGNORE INTO tblwh_new (${COPIED})
         VALUES (${COPIED.replace(/(\w+)/g, 'NEW.$1')})`,
        `INSERT IGNORE INTO tblwh_new (${COPIED}) SELECT ${COPIED} FROM tblwh`,
        'RENAME TABLE tblwh TO tblwh_old, tblwh_new TO tblwh',
        'DROP TABLE tblwh_old',
      );
      verdicts.push(
        await suffer(running, program, ms, {
          what: 'a column without a default',
          cause: /^schema-changed$/,
          recoversMs: 2_000,
          begin: async () => void (await root.query('ALTER TABLE tblwh ADD COLUMN theirs int NOT NULL')),
          end: async () => void (await root.query('ALTER TABLE tblwh DROP COLUMN theirs')),
        }),
        await suffer(running, program, ms, {
          what: 'a table that is locked',
          cause: /^(no-answer|locked)$/,
          recoversMs: 5_000,
          begin: async () => void (await root.query('LOCK TABLES tblwh WRITE')),
          end: async () => void (await root.query('UNLOCK TABLES')),
        }),
      );
    },
    { watched: true, alone: true, rate: () => 200 },
  );
  await program.kill();
  return judge(report, verdicts);
}
