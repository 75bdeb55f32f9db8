// The judges of all runs with faults are judged: histories that keep every promise pass, and whatever is broken in one is found.
import { expect, test } from 'vitest';
import { randomOf } from '../random.ts';
import type { Foreign } from './foreign.ts';
import type { Page, Reader } from './readers.ts';
import type { Position, Truth } from './truth.ts';
import { judgeReader, judgeTables, judgeWorkers, type Outage } from './verdict.ts';
import type { Handout, Workers } from './workers.ts';

const LEASE_MS = 1_000;
const CONTENTS = 30;
const HISTORIES = 100;
const FROM = 100;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What was seen by a list, by workers that do everything wrong, by workers in order, and by good ones through an outage. */
interface History {
  readonly truth: { hashes: Map<number, string>; positions: Position[]; names: Map<string, number>; leftOut: number };
  readonly consumers: Map<string, { start: number; cursor: number; open: Set<number>; dead: Set<number> }>;
  readonly list: { items: { id: number; hash: string; at: number }[]; pages: Writable<Page>[] };
  readonly any: Writable<Handout>[];
  readonly ordered: Writable<Handout>[];
  readonly good: Writable<Handout>[];
  readonly outages: Outage[];
  readonly fates: Map<string, 'committed' | 'rolled back' | 'unknown'>;
}

function failuresOf({ truth, consumers, list, any, ordered, good, outages, fates }: History): string[] {
  const all: Truth = { ...truth, consumers };
  const reader = { name: 'list', from: FROM, ...list, faults: [], heldSeconds: 0 } as unknown as Reader;
  const workers = (name: string, handouts: readonly Handout[], inOrder = false) => {
    const settings = { lease_seconds: LEASE_MS / 1_000, ordered: inOrder };
    return { name, settings, handouts, ticks: [], faults: [] } as unknown as Workers;
  };
  return [
    judgeTables(all, FROM, { fates } as unknown as Foreign),
    judgeReader(reader, all),
    judgeWorkers(workers('any', any), all),
    judgeWorkers(workers('ordered', ordered, true), all),
    judgeWorkers(workers('good', good), all, outages),
  ].flatMap(({ failures }) => failures);
}

/** A history that keeps every promise. */
function makeHistory(seed: number): History {
  const random = randomOf(seed);
  const below = (most: number) => Math.floor(random() * most);
  const ids: number[] = [];
  for (let id = FROM; ids.length < CONTENTS; id += 1 + below(3)) ids.push(id);
  const hashes = new Map(ids.map((id) => [id, `hash ${id}`]));
  // Some become visible late.
  const visible = ids.map((id, n) => ({ id, at: n + (random() < 0.2 ? below(6) : 0) })).sort((a, b) => a.at - b.at);
  const positions = visible.map(({ id }, n) => ({ pos: n + 1, id, wh_id: 0 }));
  const names = new Map(ids.map((id) => [`name-${id}`, 1]));
  const fates: History['fates'] = new Map(ids.map((id) => [`name-${id}`, 'committed']));
  fates.set('gone', 'rolled back');

  const pages: Page[] = [];
  for (let next = FROM, done = 0; done < ids.length || random() < 0.5; ) {
    const some = ids.slice(done, done + below(8));
    done += some.length;
    const next_id = some.length > 0 ? (some.at(-1) as number) + 1 : next;
    pages.push({ id: next, next_id, ids: some });
    next = next_id;
  }
  const consumers: History['consumers'] = new Map();
  const run = (name: string, how: How, outages: Outage[] = []) => {
    const made = runWorkers(random, positions, how, outages);
    consumers.set(name, { start: 0, cursor: CONTENTS, open: made.open, dead: made.dead });
    return made.handouts;
  };
  const outages: Outage[] = [];
  return {
    truth: { hashes, positions, names, leftOut: 0 },
    consumers,
    list: { items: ids.map((id) => ({ id, hash: `hash ${id}`, at: 0 })), pages },
    any: run('any', 'any'),
    ordered: run('ordered', 'ordered'),
    good: run('good', 'good', outages),
    outages,
    fates,
  };
}
type How = 'any' | 'ordered' | 'good';

/** Leases as they are promised, and workers that ack, ack late, give back, give up, keep for longer, or forget. */
function runWorkers(random: () => number, positions: readonly Position[], how: How, outages: Outage[]) {
  interface Content {
    readonly id: number;
    state: 'new' | 'out' | 'back' | 'acked' | 'dead';
    until: number;
    holder?: Handout;
    attempt: number;
  }
  const contents = positions.map(({ id }): Content => ({ id, state: 'new', until: 0, attempt: 0 }));
  const byId = new Map(contents.map((content) => [content.id, content]));
  const handouts: Writable<Handout>[] = [];
  let open: Writable<Handout>[][] = [];
  let now = 1_000_000;
  const pass = (most: number) => {
    now += 1 + Math.floor(random() * most);
    return now;
  };
  const isDone = ({ state }: Content) => state === 'acked' || state === 'dead';

  function pull(): void {
    const asked = now;
    const start = pass(10);
    const left = contents.filter((content) => !isDone(content));
    const isHeld = ({ state, until }: Content) => state === 'out' && until > start;
    if (how === 'ordered' && left.some(isHeld)) return;
    const free = left.filter((content) => !isHeld(content)).slice(0, 1 + Math.floor(random() * 8));
    const got = pass(10);
    const lease = `lease ${handouts.length}`;
    const until = start + LEASE_MS;
    const some = free.map((content) => {
      const { id } = content;
      content.attempt++;
      const one: Writable<Handout> = {
        ...{ id, hash: `hash ${id}`, attempt: content.attempt, start, until, asked, got, lease },
        ...{ fate: 'kept', askedAt: 0, doneAt: 0, reason: '' },
      };
      Object.assign(content, { state: 'out', until, holder: one });
      handouts.push(one);
      return one;
    });
    if (some.length > 0) open.push(some);
  }

  function settle(): void {
    const lease = open[Math.floor(random() * open.length)];
    if (!lease) return;
    const dice = how === 'good' ? 0 : random();
    const askedAt = now;
    const at = pass(10);
    const doneAt = pass(10);
    if (dice < 0.8 || dice >= 0.9) open = open.filter((one) => one !== lease);
    // An answer that did not come: it may have happened or not.
    const happens = random() < 0.5;
    const partial = how === 'any' && random() < 0.3;
    for (const one of lease) {
      const content = byId.get(one.id) as Content;
      const mine = content.holder === one && content.state === 'out';
      const live = mine && content.until > at;
      const note = (fate: Handout['fate']) => Object.assign(one, { fate, askedAt, doneAt });
      if (partial && random() < 0.5) continue;
      if (dice < 0.5) {
        note(mine || content.state === 'acked' ? 'acked' : 'conflict');
        if (mine) content.state = 'acked';
      } else if (dice < 0.6) {
        note('ack unknown');
        if (mine && happens) content.state = 'acked';
      } else if (dice < 0.7) {
        note(live ? 'given back' : 'conflict');
        if (live) content.state = 'back';
      } else if (dice < 0.75) {
        note('give-back unknown');
        if (live && happens) content.state = 'back';
      } else if (dice < 0.8) {
        note(live ? 'given up' : 'conflict');
        if (live) content.state = 'dead';
      } else if (dice < 0.9 && live) {
        const until = at + 2 * LEASE_MS;
        one.extended = { from: at, until };
        content.until = until;
      }
    }
  }

  for (let step = 0; contents.some((content) => !isDone(content)); step++) {
    if (step > 10_000) throw new Error('the workers do not come to an end');
    pass(60);
    if (random() < 0.5) pull();
    else settle();
    if (how === 'good' && step > 0 && step % 20 === 0) {
      // What is in hand comes again.
      const from = now;
      open = [];
      outages.push({ from, dead: pass(20), to: pass(LEASE_MS + 100) });
    } else if (how !== 'good' && random() < 0.05) pass(LEASE_MS + 100);
    else if (how === 'good' && random() < 0.3) while (open.length > 0) settle();
  }
  const idsIn = (state: Content['state']) => new Set(contents.filter((one) => one.state === state).map(({ id }) => id));
  return { handouts, open: idsIn('out'), dead: idsIn('dead') };
}

test(`${HISTORIES} histories that keep every promise pass`, () => {
  for (let seed = 0; seed < HISTORIES; seed++) expect([seed, failuresOf(makeHistory(seed))]).toEqual([seed, []]);
});

type Break = (history: History, pick: <T>(list: readonly T[]) => T | undefined) => boolean;
const without = <T>(list: T[], one: T): void => void list.splice(list.indexOf(one), 1);
/** The hand-outs of this content become these. */
function replace(handouts: Writable<Handout>[], ...given: readonly Writable<Handout>[]): void {
  for (const one of handouts.filter(({ id }) => id === given[0]?.id)) without(handouts, one);
  handouts.push(...given);
}
const once = (handouts: readonly Handout[]) =>
  handouts.filter((one) => handouts.filter(({ id }) => id === one.id).length === 1) as Writable<Handout>[];
const later = (one: Handout, ms: number): Pick<Handout, 'start' | 'until' | 'asked' | 'got'> => ({
  asked: one.asked + ms,
  start: one.start + ms,
  got: one.got + ms,
  until: one.until + ms,
});
const open = { fate: 'kept', askedAt: 0, doneAt: 0 } as const;

const BREAKS: Readonly<Record<string, readonly [found: RegExp, breaks: Break]>> = {
  'a list that skips a content': [
    /list: 1 skipped/,
    ({ list }, pick) => {
      const one = pick(list.items) as (typeof list.items)[number];
      without(list.items, one);
      for (const page of list.pages) page.ids = page.ids.filter((id) => id !== one.id);
      return true;
    },
  ],
  'a list that has a content twice': [
    /list: 1 twice/,
    ({ list }, pick) => {
      const one = pick(list.items);
      return one !== undefined && list.items.push({ ...one }) > 0;
    },
  ],
  'a list that is not in order': [
    /list: \d+ out of order/,
    ({ list }) => {
      list.items.push(...list.items.splice(0, 1));
      return true;
    },
  ],
  'a list with other bytes': [
    /list: 1 vanished/,
    ({ list }, pick) => Boolean(Object.assign(pick(list.items) ?? {}, { hash: 'other' })),
  ],
  'a list with a content that is not there': [
    /list: 1 vanished/,
    ({ list }) => list.items.push({ id: 100_000, hash: 'made up', at: 0 }) > 0,
  ],
  'a next_id that goes back': [
    /list: \d+ pages that go back/,
    ({ list }) => {
      const page = list.pages.at(-1) as Writable<Page>;
      page.next_id = page.id - 1;
      return true;
    },
  ],
  'a page with what lies behind its next_id': [
    /list: \d+ outside their page/,
    ({ list }, pick) => {
      const page = pick(list.pages.filter(({ ids }) => ids.length > 0)) as Writable<Page>;
      page.ids = [...page.ids, page.next_id];
      return true;
    },
  ],
  'a content that no worker got': [
    /any: \d+ lost/,
    ({ any, consumers }, pick) => {
      const id = pick(any.filter((each) => !consumers.get('any')?.dead.has(each.id)))?.id;
      for (const one of any.filter((each) => each.id === id)) without(any, one);
      return true;
    },
  ],
  'a content that is neither acked nor there': [
    /any: \d+ lost/,
    ({ any, consumers }, pick) => {
      const one = pick(once(any).filter(({ fate, id }) => fate === 'acked' && !consumers.get('any')?.dead.has(id)));
      return one !== undefined && Boolean(Object.assign(one, open));
    },
  ],
  'a content that comes after its ack': [
    /any: \d+ handed out after their ack/,
    ({ any }, pick) => {
      const one = pick(any.filter(({ fate }) => fate === 'acked'));
      return one !== undefined && any.push({ ...one, ...later(one, one.doneAt - one.start + 1), ...open }) > 0;
    },
  ],
  'a content that was asked for after its ack, and whose lease is told to be an older one': [
    /any: \d+ handed out after their ack/,
    ({ any }, pick) => {
      const one = pick(once(any).filter(({ fate }) => fate === 'acked'));
      if (!one) return false;
      const asked = one.doneAt + 1;
      return any.push({ ...one, asked, got: asked + 5, start: one.start + 1, until: one.until + 1, ...open }) > 0;
    },
  ],
  'a content that comes though it was given up': [
    /any: \d+ handed out though dead/,
    ({ any }, pick) => {
      const one = pick(any.filter(({ fate }) => fate === 'given up'));
      return one !== undefined && any.push({ ...one, ...later(one, 10 * LEASE_MS), ...open }) > 0;
    },
  ],
  'two leases at the same time': [
    /any: \d+ overlapping leases/,
    ({ any }, pick) => {
      const one = pick(any);
      if (!one) return false;
      replace(any, { ...one, ...open }, { ...one, ...later(one, LEASE_MS / 2), ...open });
      return true;
    },
  ],
  'two leases at the same time, of which the answers say something else': [
    /any: \d+ overlapping leases/,
    ({ any }, pick) => {
      const one = pick(any);
      if (!one) return false;
      const next = { ...one, ...later(one, LEASE_MS / 2), ...open, start: one.until, until: one.until + LEASE_MS };
      replace(any, { ...one, ...open }, next);
      return true;
    },
  ],
  'a lease that ends though it was extended': [
    /any: \d+ overlapping leases/,
    ({ any }, pick) => {
      const one = pick(any);
      if (!one) return false;
      const extended = { from: one.start + LEASE_MS / 2, until: one.until + LEASE_MS };
      replace(any, { ...one, ...open, extended }, { ...one, ...later(one, LEASE_MS + 100), ...open });
      return true;
    },
  ],
  'an ack of an old lease that counts': [
    /any: \d+ acks of an old lease that counted/,
    ({ any }, pick) => {
      const one = pick(any.filter(({ extended }) => !extended));
      if (!one) return false;
      const next = { ...one, ...later(one, LEASE_MS + 50), ...open };
      replace(any, { ...one, fate: 'acked', askedAt: next.got + 10, doneAt: next.got + 20 }, next);
      return true;
    },
  ],
  'a content of another webhook': [
    /any: \d+ unexpected/,
    ({ any }, pick) => any.push({ ...(pick(any) as Handout), id: 100_000, hash: '' }) > 0,
  ],
  'a worker that gets other bytes': [
    /any: \d+ vanished/,
    ({ any }, pick) => Boolean(Object.assign(pick(any) ?? {}, { hash: 'other' })),
  ],
  'a lease that is not in order': [
    /ordered: \d+ leases out of order/,
    ({ ordered }, pick) => {
      const one = pick(ordered.filter(({ lease }, n) => ordered[n + 1]?.lease === lease));
      if (!one) return false;
      const n = ordered.indexOf(one);
      ordered.splice(n, 2, ordered[n + 1] as Handout, one);
      return true;
    },
  ],
  'a content before those that come earlier are done': [
    /ordered: \d+ handed out before what came earlier was done/,
    ({ ordered }) => {
      const last = ordered.at(-1) as Handout;
      const first = ordered[0] as Handout;
      const early = { ...last, ...later(first, -2 * LEASE_MS), lease: 'early' };
      return ordered.push({ ...early, fate: 'given back', askedAt: early.got, doneAt: early.got + 1 }) > 0;
    },
  ],
  'a second lease in order while the first is held': [
    /ordered: \d+ two leases at once/,
    ({ ordered }, pick) => {
      const one = pick(ordered.filter(({ lease }, n) => ordered[n - 1]?.lease === lease));
      if (!one) return false;
      // The lease has its first contents only; the others come with another one.
      const rest = ordered.filter(
        ({ lease, id }) => lease === one.lease && id !== ordered.find((first) => first.lease === lease)?.id,
      );
      for (const each of rest) Object.assign(each, { lease: `${one.lease} too`, got: each.got + 1 });
      return true;
    },
  ],
  'a duplicate without a reason': [
    /good: \d+ duplicates without a reason/,
    ({ good, outages }, pick) => {
      // The only outage was long before.
      outages.splice(0, outages.length, { from: 1, dead: 2, to: 3 });
      const one = pick(once(good).filter(({ fate }) => fate === 'acked'));
      if (!one) return false;
      one.fate = 'ack unknown';
      const [askedAt, doneAt] = [one.askedAt + 4 * LEASE_MS, one.doneAt + 4 * LEASE_MS];
      return good.push({ ...one, ...later(one, 4 * LEASE_MS), fate: 'acked', askedAt, doneAt }) > 0;
    },
  ],
  'a content without a position': [
    /tables: 1 without a position/,
    ({ truth }, pick) => {
      without(truth.positions, pick(truth.positions) as Position);
      return true;
    },
  ],
  'a position of nothing': [
    /tables: 1 positions of nothing/,
    ({ truth }) => truth.positions.push({ pos: CONTENTS + 1, id: 100_000, wh_id: 0 }) > 0,
  ],
  'positions with a hole': [
    /tables: 1 positions left out/,
    ({ truth }) => Boolean(Object.assign(truth, { leftOut: 1 })),
  ],
  'a row that was rolled back': [
    /tables: 1 rows that were rolled back and are there/,
    ({ truth }) => truth.names.set('gone', 1).size > 0,
  ],
  'a committed row that is not there': [
    /tables: 1 committed rows that are not there/,
    ({ truth }, pick) => truth.names.delete(pick([...truth.names.keys()]) ?? ''),
  ],
};

test.each(Object.entries(BREAKS))('found in every history: %s', (_, [found, breaks]) => {
  let broken = 0;
  for (let seed = 0; seed < HISTORIES; seed++) {
    const history = makeHistory(seed);
    const random = randomOf(seed + 1_000_000);
    if (!breaks(history, (list) => list[Math.floor(random() * list.length)])) continue;
    broken++;
    const failures = failuresOf(history);
    expect([seed, failures.some((failure) => found.test(failure)) || failures]).toEqual([seed, true]);
  }
  // A break that fits into few histories would show little.
  expect(broken).toBeGreaterThan(HISTORIES / 4);
});
