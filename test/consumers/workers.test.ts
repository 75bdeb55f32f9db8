// Workers that crash, oversleep and ack in part, on two processes at once: nothing is lost, nobody has what another has.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, migratedDatabase, onEveryEngine, startService } from '../support/engines.ts';
import { type Desk, deskOf, openDesk } from './calls.ts';

interface HandOut {
  readonly id: number;
  readonly at: number;
  readonly until: number;
  /** When the worker had acked it or given it back; nobody else may have it before that or `until`. */
  released: number;
}

const chance = (part: number) => Math.random() < part;

onEveryEngine('workers', (engine) => {
  let database: Database;
  let desks: Desk[];
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    const first = await openDesk(database.url);
    desks = [first, deskOf(await startService(database.url), first.user)];
  });
  afterAll(async () => {
    for (const { service } of desks ?? []) await service.close();
    await database?.drop();
  });

  test('three consumers of eight workers each, over two processes', async () => {
    const [home] = desks as [Desk, Desk];
    const names = ['a', 'b', 'c'];
    for (const name of names) await home.call('PUT', `/consumers/${name}`, { lease_seconds: 1, max_attempts: 1_000 });
    const sent: number[] = [];
    const acked = new Map(names.map((name) => [name, new Set<number>()]));
    const handed = new Map(names.map((name) => [name, [] as HandOut[]]));
    let sending = true;

    async function worker(name: string, desk: Desk): Promise<void> {
      const done = acked.get(name) as Set<number>;
      const log = handed.get(name) as HandOut[];
      for (let idle = 0; idle < 2; ) {
        const asked = Date.now();
        const { lease, items } = await desk.pull(name, { limit: 1 + Math.floor(Math.random() * 10), wait: 1 });
        idle = items.length === 0 && !sending ? idle + 1 : 0;
        if (items.length === 0) continue;
        const mine: HandOut[] = items.map(({ id, lease_until }: { id: number; lease_until: string }) => {
          const until = Date.parse(lease_until);
          return { id, at: asked, until, released: until };
        });
        log.push(...mine);
        if (sending && chance(0.1)) continue; // it crashed
        if (sending && chance(0.05)) await sleep(1_100); // it overslept
        const some = chance(0.3) ? mine.filter(() => chance(0.5)) : mine;
        if (some.length === 0) continue;
        const ids = some.map(({ id }) => id);
        const verb = chance(0.1) ? 'nack' : 'ack';
        // From here on it may be with somebody else, though the answer is not back yet.
        for (const one of some) one.released = Math.min(one.released, Date.now());
        const { body } = await desk.act(name, verb, { lease, ids });
        if (verb === 'ack') for (const id of body.done) done.add(id);
      }
    }
    const workers = names.flatMap((name) => Array.from({ length: 8 }, (_, i) => worker(name, desks[i % 2] as Desk)));
    for (const until = Date.now() + 2_000; Date.now() < until || sent.length < 400; await sleep(20))
      sent.push(...(await home.send(Array.from({ length: 10 }, () => 'x'))));
    sending = false;
    await Promise.all(workers);

    for (const name of names) {
      expect([...(acked.get(name) as Set<number>)].sort((a, b) => a - b)).toEqual([...sent].sort((a, b) => a - b));
      const log = (handed.get(name) as HandOut[]).sort((a, b) => a.until - b.until);
      const last = new Map<number, HandOut>();
      const overlaps: [HandOut, HandOut][] = [];
      for (const one of log) {
        const before = last.get(one.id);
        // `at` is before the claim: only what surely lies within the lease of another counts.
        const claimed = one.until - 1_000;
        if (before && claimed < Math.min(before.until, before.released) - 5) overlaps.push([before, one]);
        last.set(one.id, one);
      }
      expect(overlaps).toEqual([]);
      expect(log.length).toBeGreaterThan(sent.length);
      const { body } = await home.call('GET', `/consumers/${name}`);
      expect(body).toMatchObject({ backlog: 0, in_flight: 0, dead: 0, oldest_age_s: null });
    }
    const [rows] = await home.service.store.db.all<{ n: number }>('SELECT COUNT(*) AS n FROM restante_lease');
    expect(rows?.n).toBe(0);
    expect(home.service.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('an ordered consumer of four workers, some of which crash', async () => {
    const [home] = desks as [Desk, Desk];
    await home.call('PUT', '/consumers/o', { ordered: true, lease_seconds: 1, max_attempts: 4, start: 'latest' });
    const sent: number[] = [];
    const settled = new Set<number>();
    const order: number[] = [];
    const broken: string[] = [];
    let sending = true;
    const poison = (id: number) => id % 37 === 0;

    async function worker(desk: Desk): Promise<void> {
      for (let idle = 0; idle < 2; ) {
        const { lease, items } = await desk.pull('o', { limit: 1 + Math.floor(Math.random() * 8), wait: 1 });
        idle = items.length === 0 && !sending ? idle + 1 : 0;
        if (items.length === 0) continue;
        const ids: number[] = items.map(({ id }: { id: number }) => id);
        order.push(ids[0] as number);
        for (const { id, attempt } of items) if (attempt > 4) broken.push(`attempt ${attempt} of ${id}`);
        if (sending && chance(0.05)) continue; // it crashed
        for (const id of ids) {
          if (poison(id)) {
            await desk.act('o', 'nack', { lease, ids: [id] });
            break;
          }
          const { status } = await desk.act('o', 'ack', { lease, ids: [id] });
          if (status === 200) settled.add(id);
        }
      }
    }
    const workers = Array.from({ length: 4 }, (_, i) => worker(desks[i % 2] as Desk));
    for (const until = Date.now() + 2_000; Date.now() < until || sent.length < 80; await sleep(30))
      sent.push(...(await home.send(['x', 'y'])));
    sending = false;
    await Promise.all(workers);

    const { db } = home.service.store;
    const positions = new Map(
      (
        await db.all<{ id: number; pos: number }>('SELECT id, pos FROM restante_position WHERE id >= ?', [
          Math.min(...sent),
        ])
      ).map(({ id, pos }) => [id, pos]),
    );
    // The first of each lease never goes back: what came before it is acked or dead.
    const firsts = order.map((id) => positions.get(id) as number);
    for (const [i, pos] of firsts.entries())
      if (i > 0 && pos < (firsts[i - 1] as number)) broken.push(`${pos} after ${firsts[i - 1]}`);
    expect(broken).toEqual([]);
    const dead = (await home.call('GET', '/consumers/o/dead?limit=500')).body.dead;
    expect(dead.every(({ id, attempts }: { id: number; attempts: number }) => poison(id) && attempts === 4)).toBe(true);
    for (const { id } of dead) settled.add(id);
    expect([...settled].sort((a, b) => a - b)).toEqual(sent.sort((a, b) => a - b));
  });
});
