// Judges what readers and workers were handed against what stands in the tables in the end: nothing skipped, lost or made up.
import type { Foreign } from './foreign.ts';
import type { Reader, Tick } from './readers.ts';
import type { Position, Truth } from './truth.ts';
import type { Handout, Workers } from './workers.ts';

/** Figures for a table, and what is wrong, in words; a run without `failures` has passed. */
export interface Verdict {
  readonly figures: Readonly<Record<string, number | string>>;
  readonly failures: readonly string[];
}

export const together = (...verdicts: readonly Verdict[]): Verdict => ({
  figures: Object.assign({}, ...verdicts.map(({ figures }) => figures)),
  failures: verdicts.flatMap(({ failures }) => failures),
});

/** The service or its database was away; by the clock of this process. */
export interface Outage {
  /** Before it was killed … */
  readonly from: number;
  /** … when it was dead … */
  readonly dead: number;
  /** … and when it served again. */
  readonly to: number;
}

/** Collects failures by their kind: how many, and the first few. */
function collect() {
  const found = new Map<string, { count: number; readonly first: string[] }>();
  return {
    add(kind: string, what: string) {
      const so = found.get(kind) ?? { count: 0, first: [] };
      found.set(kind, so);
      so.count++;
      if (so.first.length < MOST_TOLD) so.first.push(what);
    },
    count: (kind: string): number => found.get(kind)?.count ?? 0,
    words: (who: string): string[] =>
      [...found].map(([kind, { count, first }]) => `${who}: ${count} ${kind}: ${first.join('; ')}`),
  };
}
const MOST_TOLD = 5;

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
  let next = reader.from;
  for (const page of reader.pages) {
    const range = `${page.id} to ${page.next_id}`;
    if (page.id !== next || page.next_id < page.id) wrong.add('pages that go back', range);
    for (const id of page.ids)
      if (id < page.id || id >= page.next_id) wrong.add('outside their page', `${id} in ${range}`);
    next = page.next_id;
  }
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

/** When a lease began, at the earliest: not before it was asked for. */
const begins = ({ start, asked }: Handout): number => Math.max(start, asked);

/**
 * What may not be between one hand-out of a content and the next one; undefined when all is well. Judged by what the answers said of
 * the leases, and, in case they said something else than the database did, by when they were asked for and came.
 */
function judgePair(first: Handout, next: Handout, leaseMs: number): [kind: string, what: string] | undefined {
  const { id } = first;
  if (first.fate === 'acked' && begins(next) > first.doneAt)
    return ['handed out after their ack', `${id} ${begins(next) - first.doneAt} ms after`];
  if (first.fate === 'given up' && begins(next) > first.doneAt) return ['handed out though dead', `${id}`];
  const back = gaveBack(first) && next.got >= first.askedAt;
  const { extended } = first;
  const until = extended && next.start >= extended.from ? extended.until : first.until;
  const early = Math.max(until - next.start, first.asked + leaseMs - next.got);
  if (early > 0 && !back) return ['overlapping leases', `${id} ${early} ms too soon`];
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
      const bad = judgePair(first, next, settings.lease_seconds * 1_000);
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
  if (settings.ordered) judgeOrder(expected, workers, state.dead, wrong.add);
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

/** An ordered consumer gets contents in the order of their positions, one lease at a time, and none before those that come earlier are done. */
function judgeOrder(
  expected: readonly Position[],
  { handouts, settings }: Workers,
  dead: ReadonlySet<number>,
  add: (kind: string, what: string) => void,
): void {
  const places = new Map(expected.map(({ id }, place) => [id, place]));
  // When it may have been done at the earliest: whoever was told of a conflict may have done it before.
  const done = expected.map(({ id }) => (dead.has(id) ? 0 : Number.POSITIVE_INFINITY));
  const leases = new Map<string, Handout[]>();
  for (const one of handouts) {
    leases.set(one.lease, [...(leases.get(one.lease) ?? []), one]);
    const place = places.get(one.id);
    const may = one.fate !== 'kept' && one.fate !== 'given back';
    if (place !== undefined && may) done[place] = Math.min(done[place] as number, one.askedAt);
  }
  /** When all that come before it may have been done. */
  const ready: number[] = [0];
  for (const [place, at] of done.entries()) ready.push(Math.max(ready[place] as number, at));
  for (const lease of leases.values()) {
    const at = lease.map(({ id }) => places.get(id) ?? 0);
    const first = lease[0] as Handout;
    if (at.some((place, i) => i > 0 && place <= (at[i - 1] as number))) add('leases out of order', `${first.id}`);
    if ((ready[Math.min(...at)] as number) > first.got)
      add('handed out before what came earlier was done', `${first.id}`);
  }
  const open = [...leases.values()].sort((a, b) => (a[0] as Handout).got - (b[0] as Handout).got);
  for (let i = 1; i < open.length; i++) {
    const [before, next] = [open[i - 1] as Handout[], open[i]?.[0] as Handout];
    const left = before.some((one) => one.askedAt === 0 || one.askedAt > next.got);
    // A content that is given back takes with it those behind it.
    const back = before.some((one) => gaveBack(one) && one.askedAt <= next.got);
    const early = (before[0] as Handout).asked + settings.lease_seconds * 1_000 - next.got;
    if (left && !back && early > 0) add('two leases at once', `${next.id} ${early} ms too soon`);
  }
}

/** Every content has a position, one, and they are dense; what another application rolled back is nowhere. */
export function judgeTables(truth: Truth, from: number, foreign?: Foreign): Verdict {
  const wrong = collect();
  const placed = new Set(truth.positions.map(({ id }) => id));
  for (const id of truth.hashes.keys()) if (id >= from && !placed.has(id)) wrong.add('without a position', `${id}`);
  for (const { id } of truth.positions)
    if (id >= from && !truth.hashes.has(id)) wrong.add('positions of nothing', `${id}`);
  if (truth.leftOut !== 0) wrong.add('positions left out', `${truth.leftOut}`);
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

/** The figures of all readers and of all consumers added up, of times the longest: one line of a table. */
export function summed(figures: Verdict['figures']): Record<string, number | string> {
  const sums: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(figures)) addFigure(sums, name.replace(/^.*: /, ''), value);
  return sums;
}

export function addFigure(sums: Record<string, number | string>, name: string, value: number | string): void {
  const before = sums[name];
  const add = / m?s( |$)/.test(name) ? Math.max : (a: number, b: number) => a + b;
  sums[name] = typeof before === 'number' && typeof value === 'number' ? add(before, value) : value;
}
