// The time by which things last: how long a lease holds, and how much time retention may count as past.
//
// The clock of a machine can be set: by a person, by NTP, by a battery that is empty. So what lasts is not measured by the clock but
// by the lasting time: the clock plus an offset, which all processes share in restante_meta ('clock'). While the clock runs evenly the
// offset stays. A process that sees the clock jump, against its own monotonic clock, takes the jump out of the offset, and the lasting
// time runs on as if nothing had been. `clock_seen` is the lasting time when a process was last there to look at it: after a restart
// the lasting time does not go back behind that, and what lies more than an hour beyond it was lived through by none of them.
//
// What always holds:
// * The lasting time never jumps for a process that runs: each statement that decides about a lease is checked against it.
// * Of several processes one takes a jump out, by comparing and setting the offset; the others find that nothing is left to do.
// * A process that was itself stopped (a virtual machine that paused) finds `clock_seen` beyond what it expects, and believes that.
// * A process that came ten seconds ago or less believes what others take out: the clock may have jumped just before it came, and it
//   took the wrong time for the right one. If it put back what they take out, the two would undo one another's work again and again.
// What cannot hold: a process that starts between a jump and the first look at it of those that were there (5 s at most) counts the
// jump as time that has passed, as after a restart. Leases may end for it so much early.
// What is shown to people, and when a content was seen, is the clock's time: they compare it with other clocks.
import { uptime } from 'node:os';
import type { Db, Queries } from '../db.ts';
import { keepMeta, metaOf, raiseMeta, setMeta } from './meta.ts';

// restante_meta holds numbers above 0 alone: an offset is stored as so much more. The sum with a time is below 2^53.
const ZERO = 4_000_000_000_000_000;
// Smaller steps are followed: an answer takes time to come, and clocks differ by some parts in ten thousand.
const SLACK_MS = 2_000;
// A start after less than this counts as a restart, and its lasting time as lived through. Leases end meanwhile, as promised.
const RESTART_MS = 3_600_000;
// A look is one small transaction.
const EVERY_MS = 5_000;
// After so many looks each process that was there before has looked, too. Until then a process does not raise `clock_seen`, so a
// restart after the clock went back holds leases for up to so long more.
const LOOKS_TO_LEARN = 2;

// Without the cast the servers make a decimal of it.
const STORED = `CAST(COALESCE(${metaOf('clock')}, ${ZERO}) AS SIGNED)`;

/** The lasting time, as SQL. */
export const lastingMs = ({ dialect }: Pick<Db, 'dialect'>): string => `(${dialect.nowMs} + ${STORED} - ${ZERO})`;

/** A moment of the lasting time as the clock's, as SQL: for what is shown. */
export const shownMs = (column: string): string => `(CAST(${column} AS SIGNED) + ${ZERO} - ${STORED})`;

/** What a process knows of the clock of one database: a reading of the lasting time, and between which moments it was made. */
interface Known {
  readonly time: number;
  /** The clock's time and the offset of that reading, and the jump that was then taken out, if that was committed. */
  readonly wall: number;
  readonly offset: number;
  readonly step: number;
  /** By the machine's uptime, which unlike performance.now() goes on while the machine sleeps. */
  readonly up: Span;
  /** The same by performance.now(), which is quicker to read. */
  readonly tick: Span;
}
interface Span {
  readonly from: number;
  readonly to: number;
}
const known = new WeakMap<object, Known>();
/** Where this process has been there for long enough to know better than others. */
const established = new WeakSet<object>();
const listeners = new WeakMap<object, (ms: number) => void>();

/** `wall`: the clock's time. */
export interface Reading {
  readonly wall: number;
  readonly lasting: number;
  /** Of the difference between the two, what a person has confirmed. */
  readonly accepted: number;
}

interface Stored {
  readonly wall: number;
  readonly offset: number | null;
  readonly seen: number | null;
  readonly accepted: number | null;
  readonly newest: number | null;
}
const readStored = async (db: Db, queries: Pick<Queries, 'all'>): Promise<Stored> => {
  const newest = '(SELECT seen_ms FROM restante_position ORDER BY pos DESC LIMIT 1)';
  const sql = `SELECT ${db.dialect.nowMs} AS wall, ${metaOf('clock')} AS offset_ms, ${metaOf('clock_seen')} AS seen,
    ${metaOf('clock_accepted')} AS accepted, ${newest} AS newest`;
  type Row = Omit<Stored, 'offset'> & { offset_ms: number | null };
  const [row] = await queries.all<Row>(sql);
  if (!row) throw new Error('a statement without FROM must have one row');
  const { offset_ms, ...same } = row;
  return { ...same, offset: offset_ms };
};

/** How far a reading, made between two moments, lies outside of what follows from an earlier one; 0: not further than usual. */
function offBy(time: number, before: { readonly time: number; readonly made: Span }, made: Span): number {
  const least = before.time + made.from - before.made.to;
  const most = before.time + made.to - before.made.from;
  return time < least - SLACK_MS ? time - least : time > most + SLACK_MS ? time - most : 0;
}

/** How far the lasting time has jumped, as this process has seen it, or as what is stored tells a process that has just come. */
function stepOf(
  before: Known | undefined,
  time: number,
  { wall, offset, seen, newest }: Stored,
  up: Span,
  isEstablished: boolean,
): number {
  if (!before) {
    if (seen !== null && time < seen - SLACK_MS) return time - seen;
    const last = seen ?? newest;
    return last !== null && time > last + RESTART_MS ? time - last : 0;
  }
  const step = offBy(time, { time: before.time, made: before.up }, up);
  // Another process was there after what this one expects to be now: it was this one that stood still.
  if (step > 0 && seen !== null && seen > time - step + SLACK_MS) return 0;
  if (isEstablished) return step;
  // Without a jump that it has seen itself, or against it, others have taken out what they know of.
  const undone = (offset ?? ZERO) === before.offset ? before.step : 0;
  return step * offBy(wall, { time: before.wall - undone, made: before.up }, up) > 0 ? step : 0;
}

/** Reads the clock; `step` is the jump that has still to be taken out of what is stored, and is out of `lasting`. */
async function look(db: Db, queries: Pick<Queries, 'all'>) {
  const [upFrom, tickFrom] = [uptime() * 1000, performance.now()];
  const stored = await readStored(db, queries);
  const up = { from: upFrom, to: uptime() * 1000 };
  const tick = { from: tickFrom, to: performance.now() };
  const time = stored.wall + (stored.offset ?? ZERO) - ZERO;
  const step = Math.round(stepOf(known.get(db), time, stored, up, established.has(db)));
  const reading: Reading = { wall: stored.wall, lasting: time - step, accepted: stored.accepted ?? 0 };
  const now: Known = { time: reading.lasting, wall: stored.wall, offset: stored.offset ?? ZERO, step, up, tick };
  return { reading, offset: stored.offset, step, now };
}

// Only another process can come in between, and it leaves nothing to do.
const TRIES = 5;

/** Takes out a jump, if there was one, inside the caller's transaction; resolves with the time as it is then. */
async function settle(db: Db, queries: Queries): Promise<Reading> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const { reading, offset, step, now } = await look(db, queries);
    if (offset === null) await keepMeta(db, queries, 'clock', ZERO);
    const from = offset ?? ZERO;
    const set = "UPDATE restante_meta SET v = ? WHERE k = 'clock' AND v = ?";
    if (step !== 0 && (await queries.run(set, [from - step, from])) === 0) continue;
    known.set(db, now);
    if (step !== 0) listeners.get(db)?.(step);
    return reading;
  }
  throw new Error('the clock of the database is being set again and again');
}

/**
 * The time that a statement has just read, for a decision about leases; `sent` is performance.now() before it. If the clock has
 * jumped, that is taken out first, in the same transaction.
 */
export async function agreedTime(
  db: Db,
  queries: Queries,
  read: Pick<Reading, 'wall' | 'lasting'>,
  sent: number,
): Promise<Pick<Reading, 'wall' | 'lasting'>> {
  const before = known.get(db);
  if (!before) return read;
  const tick = { from: sent, to: performance.now() };
  if (offBy(read.lasting, { time: before.time, made: before.tick }, tick) !== 0) return settle(db, queries);
  const offset = read.lasting - read.wall + ZERO;
  // Another process took a jump out. When the clock is set back, this one must know from where.
  if (offset !== before.offset && offset !== before.offset - before.step) {
    const up = uptime() * 1000;
    known.set(db, {
      time: read.lasting,
      wall: read.wall,
      offset,
      step: 0,
      up: { from: up - (tick.to - sent), to: up },
      tick,
    });
  }
  return read;
}

/** The time now, with any jump taken out. */
export const settledClock = (db: Db): Promise<Reading> => db.transaction((queries) => settle(db, queries));

/** The same for those who change nothing. */
export const readClock = async (db: Db): Promise<Reading> => (await look(db, db)).reading;

/** How far the clock stands ahead of the time that was lived through, as far as no person has confirmed that it is right. */
export const doubtOf = ({ wall, lasting, accepted }: Reading): number => Math.max(0, wall - lasting - accepted);

/** A person says that the clock is right. */
export const acceptClock = (db: Db): Promise<void> =>
  db.transaction(async (queries) => {
    const { wall, lasting } = await settle(db, queries);
    await setMeta(db, queries, 'clock_accepted', Math.max(0, wall - lasting));
  });

interface Watcher {
  /** Told of a jump, in ms. */
  readonly onStep: (ms: number) => void;
  /** Told whether what was seen could be stored, by each look. */
  readonly onStored: (error: unknown) => void;
}

/** Looks at the clock now and every 5 s, for as long as the service runs. */
export async function watchClock(db: Db, { onStep, onStored }: Watcher, everyMs = EVERY_MS) {
  listeners.set(db, onStep);
  // What is stored tells how late it was only before this process stores anything by the clock. A database that is away ends the start.
  known.set(db, (await look(db, db)).now);
  let looks = 0;
  const note = async (): Promise<void> => {
    await db.transaction(async (queries) => {
      const { wall, lasting, accepted } = await settle(db, queries);
      // The clock was set back to where it belongs: what was confirmed of it is over.
      if (accepted > Math.max(0, wall - lasting))
        await setMeta(db, queries, 'clock_accepted', Math.max(0, wall - lasting));
      // Not raised yet: what a process that has just come believes must not outweigh what the others know.
      await (looks < LOOKS_TO_LEARN ? keepMeta : raiseMeta)(db, queries, 'clock_seen', lasting);
    });
    if (++looks > LOOKS_TO_LEARN) established.add(db);
  };
  const stored = () => onStored(undefined);
  let looking = note().then(stored, onStored);
  await looking;
  const timer = setInterval(() => {
    looking = looking.then(note).then(stored, onStored);
  }, everyMs);
  timer.unref();
  return {
    close(): Promise<void> {
      clearInterval(timer);
      return looking;
    },
  };
}
