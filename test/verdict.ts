// Judges what readers and workers were handed against what stands in the tables in the end: nothing skipped, lost or made up.
import { openDb } from '../src/store/index.ts';
import type { Foreign } from './foreign.ts';
import { hashOf, type Reader, type Tick } from './readers.ts';
import type { Handout, Workers } from './workers.ts';
import type { World } from './world.ts';

/** Figures for a table, and what is wrong, in words; a run without `failures` has passed. */
export interface Verdict {
  readonly figures: Readonly<Record<string, number | string>>;
  readonly failures: readonly string[];
}

export const together = (...verdicts: readonly Verdict[]): Verdict => ({
  figures: Object.assign({}, ...verdicts.map(({ figures }) => figures)),
  failures: verdicts.flatMap(({ failures }) => failures),
});

/** The service or its database was away; by Date.now(). */
export interface Outage {
  /** Before it was killed … */
  readonly from: number;
  /** … when it was dead … */
  readonly dead: number;
  /** … and when it served again. */
  readonly to: number;
}

interface Position {
  readonly pos: number;
  readonly id: number;
  readonly wh_id: number;
}

/** All there is of one user, by the tables themselves. */
export interface Truth {
  readonly hashes: ReadonlyMap<number, string>;
  /** The first word of every content from `from` on, whoever it belongs to, and how often it is there. */
  readonly names: ReadonlyMap<string, number>;
  readonly positions: readonly Position[];
  readonly consumers: ReadonlyMap<
    string,
    {
      readonly start: number;
      readonly cursor: number;
      readonly open: ReadonlySet<number>;
      readonly dead: ReadonlySet<number>;
    }
  >;
}

const ROWS_PER_READ = 5_000;

export async function readTruth(world: World, from: number): Promise<Truth> {
  const db = await openDb(world.databaseUrl);
  try {
    const hashes = new Map<number, string>();
    const names = new Map<string, number>();
    const sql = `SELECT id, user_id, ${db.dialect.bytes('content')} AS content FROM tblwh WHERE id >= ? ORDER BY id LIMIT ?`;
    for (let next = from; ; ) {
      const rows = await db.all<{ id: number; user_id: number; content: Buffer }>(sql, [next, String(ROWS_PER_READ)]);
      for (const { id, user_id, content } of rows) {
        if (user_id === world.userId) hashes.set(id, hashOf(content));
        const space = content.indexOf(' ');
        const name = content.toString('latin1', 0, Math.max(0, space));
        names.set(name, (names.get(name) ?? 0) + 1);
      }
      if (rows.length < ROWS_PER_READ) break;
      next = (rows.at(-1)?.id ?? 0) + 1;
    }
    const positions = await db.all<Position>(
      'SELECT pos, id, wh_id FROM restante_position WHERE user_id = ? ORDER BY pos',
      [world.userId],
    );
    const consumers = new Map<string, { start: number; cursor: number; open: Set<number>; dead: Set<number> }>();
    const made = await db.all<{ id: number; name: string; start_pos: number; cursor_pos: number }>(
      'SELECT id, name, start_pos, cursor_pos FROM restante_consumer WHERE user_id = ?',
      [world.userId],
    );
    for (const { id, name, start_pos, cursor_pos } of made) {
      const idsOf = async (table: string) =>
        new Set(
          (await db.all<{ id: number }>(`SELECT id FROM ${table} WHERE consumer_id = ?`, [id])).map((row) => row.id),
        );
      consumers.set(name, {
        start: start_pos,
        cursor: cursor_pos,
        open: await idsOf('restante_lease'),
        dead: await idsOf('restante_dead'),
      });
    }
    return { hashes, names, positions, consumers };
  } finally {
    await db.close();
  }
}

/** Collects failures of one kind: how many, and the first few. */
function collect() {
  const found = new Map<string, string[]>();
  return {
    add(kind: string, what: string) {
      found.set(kind, [...(found.get(kind) ?? []).slice(0, 10_000), what]);
    },
    count: (kind: string): number => found.get(kind)?.length ?? 0,
    words: (who: string): string[] =>
      [...found].map(([kind, list]) => `${who}: ${list.length} ${kind}: ${list.slice(0, 5).join('; ')}`),
  };
}

/** A list or a stream: nothing skipped, ids ascending, none twice, none that is not there or is another content. */
export function judgeReader(reader: Reader, truth: Truth): Verdict {
  const wrong = collect();
  const seen = new Set<number>();
  let last = 0;
  for (const { id, hash } of reader.items) {
    if (seen.has(id)) wrong.add('twice', `${id}`);
    else if (id < last) wrong.add('out of order', `${id} after ${last}`);
    if (truth.hashes.get(id) !== hash)
      wrong.add('vanished', `${id}${truth.hashes.has(id) ? ' is another content now' : ''}`);
    seen.add(id);
    last = Math.max(last, id);
  }
  for (const id of truth.hashes.keys()) if (id >= reader.from && !seen.has(id)) wrong.add('skipped', `${id}`);
  for (const fault of reader.faults) wrong.add('faults', fault);
  const { name } = reader;
  return {
    figures: {
      [`${name}: handed`]: reader.items.length,
      [`${name}: skipped`]: wrong.count('skipped'),
      [`${name}: vanished`]: wrong.count('vanished'),
      [`${name}: held s`]: reader.heldSeconds,
    },
    failures: wrong.words(name),
  };
}

/** Hand-outs of each content, in the order of their leases. */
function byContent(handouts: readonly Handout[]): Map<number, Handout[]> {
  const found = new Map<number, Handout[]>();
  for (const one of [...handouts].sort((a, b) => a.start - b.start || a.got - b.got))
    found.set(one.id, [...(found.get(one.id) ?? []), one]);
  return found;
}

const gaveBack = ({ fate }: Handout): boolean => fate === 'given back' || fate === 'give-back unknown';

/** What may not be between one hand-out of a content and the next one; undefined when all is well. */
function judgePair(first: Handout, next: Handout): [kind: string, what: string] | undefined {
  const { id } = first;
  if (first.fate === 'acked' && next.start > first.doneAt)
    return ['handed out after their ack', `${id} ${next.start - first.doneAt} ms after`];
  if (first.fate === 'given up' && next.start > first.doneAt) return ['handed out though dead', `${id}`];
  const back = gaveBack(first) && next.got >= first.askedAt;
  const { extended } = first;
  const until = extended && next.start >= extended.from ? extended.until : first.until;
  if (next.start < until && !back) return ['overlapping leases', `${id} ${until - next.start} ms too soon`];
  // Of two leases only the later one counts while its worker has it.
  const stale = first.fate === 'acked' && (extended?.until ?? first.until) < first.askedAt && next.got < first.askedAt;
  const held = next.askedAt === 0 || next.askedAt > first.doneAt;
  if (stale && held && next.until > first.doneAt) return ['acks of an old lease that counted', `${id}`];
  return undefined;
}

/** A consumer: every content acked, dead or leased, none lost or made up, and never two live leases. */
export function judgeWorkers(workers: Workers, truth: Truth, outages: readonly Outage[] = []): Verdict {
  const { name, settings, handouts } = workers;
  const wrong = collect();
  const label = name.replace(/-\d+$/, '');
  const state = truth.consumers.get(name);
  if (!state) return { figures: {}, failures: [`${name}: there is no such consumer`] };
  const expected = truth.positions.filter(
    ({ pos, wh_id }) => pos > state.start && (!settings.whid || settings.whid.includes(wh_id)),
  );
  const wanted = new Set(expected.map(({ id }) => id));
  const contents = byContent(handouts);
  const away = (from: number, to: number) => outages.some((outage) => outage.from <= to && outage.to >= from);
  let twice = 0;
  let late = 0;
  for (const [id, list] of contents) {
    if (!wanted.has(id)) wrong.add('unexpected', `${id}`);
    for (const { hash } of list) if (truth.hashes.get(id) !== hash) wrong.add('vanished', `${id}`);
    for (let i = 1; i < list.length; i++) {
      const [first, next] = [list[i - 1] as Handout, list[i] as Handout];
      const bad = judgePair(first, next);
      if (bad) wrong.add(...bad);
      twice++;
      // Only where all workers are good may a duplicate be asked for its reason.
      const inTime = first.askedAt > 0 && first.askedAt < first.until;
      if (!inTime) late++;
      else if (outages.length > 0 && !away(first.start, next.start)) wrong.add('duplicates without a reason', `${id}`);
    }
  }
  let acked = 0;
  for (const { id, pos } of expected) {
    const list = contents.get(id) ?? [];
    // It has not come there yet.
    if (pos > state.cursor && list.length === 0) continue;
    const done = list.some(({ fate }) => fate === 'acked' || fate === 'ack unknown' || fate === 'give-back unknown');
    if (done) acked++;
    const conflict = list.some(({ fate }) => fate === 'conflict');
    if (!done && !state.open.has(id) && !state.dead.has(id))
      wrong.add(conflict ? 'lost, though an ack was a conflict' : 'lost', `${id}`);
  }
  if (settings.ordered) judgeOrder(expected, contents, wrong.add);
  for (const fault of workers.faults) wrong.add('faults', fault);
  const flying = outages.map(
    ({ from, dead }) => handouts.filter((one) => one.got <= dead && (one.askedAt === 0 || one.doneAt > from)).length,
  );
  const inFlight = flying.reduce((sum, count) => sum + count, 0);
  if (outages.length > 0 && twice - late > inFlight)
    wrong.add('duplicates too many', `${twice - late} where ${inFlight} were in flight`);
  return {
    figures: {
      [`${label}: positions`]: expected.length,
      [`${label}: hand-outs`]: handouts.length,
      [`${label}: acked`]: acked,
      [`${label}: dead`]: state.dead.size,
      [`${label}: leased`]: state.open.size,
      [`${label}: again`]: twice,
      [`${label}: conflicts`]: handouts.filter(({ fate }) => fate === 'conflict').length,
      [`${label}: overlaps`]: wrong.count('overlapping leases'),
      [`${label}: lost`]: wrong.count('lost') + wrong.count('lost, though an ack was a conflict'),
      ...(outages.length > 0 ? { [`${label}: in flight at kills`]: inFlight } : {}),
    },
    failures: wrong.words(name),
  };
}

/** An ordered consumer gets contents for the first time in the order of their positions. */
function judgeOrder(
  expected: readonly Position[],
  contents: ReadonlyMap<number, Handout[]>,
  add: (kind: string, what: string) => void,
): void {
  let last = 0;
  for (const { id } of expected) {
    const first = contents.get(id)?.[0];
    if (!first) continue;
    if (first.start < last) add('first handed out before what came earlier', `${id}`);
    last = Math.max(last, first.start);
  }
}

/** Every content has a position, one, and they are dense; what another application rolled back is nowhere. */
export function judgeTables(truth: Truth, from: number, foreign?: Foreign): Verdict {
  const wrong = collect();
  const placed = new Set(truth.positions.map(({ id }) => id));
  for (const id of truth.hashes.keys()) if (id >= from && !placed.has(id)) wrong.add('without a position', `${id}`);
  for (const { id } of truth.positions)
    if (id >= from && !truth.hashes.has(id)) wrong.add('positions of nothing', `${id}`);
  for (const [name, fate] of foreign?.fates ?? []) {
    const times = truth.names.get(name) ?? 0;
    if (times > (fate === 'rolled back' ? 0 : 1))
      wrong.add(`rows that were ${fate} and are there`, `${name} ${times} times`);
    if (times === 0 && fate === 'committed') wrong.add('committed rows that are not there', name);
  }
  const rows = [...truth.hashes.keys()].filter((id) => id >= from).length;
  return { figures: { rows }, failures: wrong.words('tables') };
}

/** Milliseconds from the commit to the first reader who got it: of ticks committed within from … to. */
export function lagOf(
  ticks: readonly Tick[],
  committed: ReadonlyMap<number, number>,
  from = 0,
  to = Number.POSITIVE_INFINITY,
) {
  const firsts = new Map<number, number>();
  for (const { n, at } of ticks) {
    const began = committed.get(n);
    if (began === undefined || began < from || began > to) continue;
    firsts.set(n, Math.min(Math.max(0, at - began), firsts.get(n) ?? Number.POSITIVE_INFINITY));
  }
  const lags = [...firsts.values()].sort((a, b) => a - b);
  const share = (part: number) =>
    lags[Math.min(lags.length - 1, Math.floor(lags.length * part))] ?? Number.POSITIVE_INFINITY;
  return { count: lags.length, p50: share(0.5), p99: share(0.99), most: share(1) };
}

/** The figures of all readers and of all consumers added up: one line of a table. */
export function summed(figures: Verdict['figures']): Record<string, number | string> {
  const sums: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(figures)) {
    const short = name.slice(name.indexOf(': ') + 1).trim();
    const before = sums[short];
    sums[short] = typeof before === 'number' && typeof value === 'number' && short !== name ? before + value : value;
  }
  return sums;
}
