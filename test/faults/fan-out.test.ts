// Thousands who wait for large contents: the process stays small and quick, and their neighbour does not notice.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { openStore } from '../../src/store/open.ts';
import { addUser } from '../../src/store/users.ts';
import { openSealer } from '../../src/webhooks/sealer.ts';
import { makeWebhook } from '../../src/webhooks/webhooks.ts';
import { type Database, migratedDatabase } from '../support/engines.ts';
import type { Seen, Told } from './runs/readers.ts';
import type { Report } from './runs/watched.ts';

// A turn takes 100 ms at most on the machine for which the limits are meant; a busy one adds half as much. Before, one took seconds.
const TURN_MS = 150;
const MIB = 1024 * 1024;
// With 200 they are 4,000 readers who are sent 40 GB: some minutes on a quiet machine.
const USERS = Number(process.env.FAN_OUT_USERS ?? 20);
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

interface Person {
  readonly auth: string;
  /** The path of his webhook. */
  readonly path: string;
}

let database: Database;
const children: ChildProcess[] = [];
beforeEach(async () => {
  database = await migratedDatabase('sqlite');
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await database.drop();
});

async function people(count: number): Promise<Person[]> {
  const config = readConfig({ PORT: '0', DATABASE_URL: database.url });
  const store = await openStore(database.url);
  const sealer = await openSealer(store, undefined, database.url, () => {});
  const made: Person[] = [];
  for (let i = 0; i < count; i++) {
    const id = await addUser(store.db, { email: '', phone: '', token: 'token' });
    const { wh_url } = await makeWebhook({ store, config, sealer, now: Date.now }, id, { wh_name: 'x' });
    made.push({ auth: `Basic ${Buffer.from(`${id}:token`).toString('base64')}`, path: new URL(wh_url).pathname });
  }
  await store.close();
  return made;
}

const start = (script: string, args: readonly string[] = []): ChildProcess => {
  const child = fork(new URL(`./runs/${script}`, import.meta.url), args, { execArgv: ['--import', 'tsx'] });
  children.push(child);
  return child;
};
const heard = async <T>(child: ChildProcess, what: unknown): Promise<T> => {
  const answer = once(child, 'message');
  child.send(what as string);
  return (await answer)[0];
};

async function startWatched() {
  const child = start('watched.ts', [database.url]);
  const [port] = (await once(child, 'message')) as [number];
  const report = () => heard<Report>(child, 'report');
  return {
    port,
    alive: () => child.exitCode === null && child.signalCode === null,
    report,
    again: () => heard<string>(child, 'again'),
    waiting: (count: number) =>
      vi.waitFor(async () => expect((await report()).waiting).toBe(count), { timeout: 60_000, interval: 100 }),
    post: async ({ path }: Person, body: Uint8Array<ArrayBuffer> | string) =>
      (await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body })).status,
    list: async ({ auth }: Person, query: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}/whcontent?whid=all&${query}`, {
        headers: { authorization: auth },
      });
      return { status: answer.status, text: await answer.text() };
    },
  };
}
type Watched = Awaited<ReturnType<typeof startWatched>>;

const request = ({ auth }: Person, query: string, accept = '*/*'): string =>
  `GET /whcontent?whid=all&${query} HTTP/1.1\r\nHost: x\r\nAuthorization: ${auth}\r\nAccept: ${accept}\r\n\r\n`;
const streamOf = (person: Person) => request(person, 'id=latest', 'text/event-stream');
const pollOf = (person: Person) => request(person, 'id=latest&wait=55');
const open = async (port: number, requests: readonly string[], read: boolean): Promise<() => Promise<Seen>> => {
  const child = start('readers.ts');
  await once(child, 'spawn');
  await heard(child, { port, requests, read } satisfies Told);
  return () => heard<Seen>(child, 'seen');
};

interface Lived {
  readonly calls: number;
  readonly failed: number;
  readonly p99: number;
}
/** A neighbour who posts, and asks for what was posted, one call after the other. */
async function live(watched: Watched, person: Person, ms: number): Promise<Lived> {
  const took: number[] = [];
  let failed = 0;
  for (const until = performance.now() + ms; performance.now() < until; ) {
    const began = performance.now();
    const posted = await watched.post(person, 'small').catch(() => 0);
    const listed = await watched.list(person, 'order=desc&limit=1').catch(() => ({ status: 0, text: '' }));
    took.push(performance.now() - began);
    if (posted !== 200 || listed.status !== 200 || !listed.text.includes('"content":"small"')) failed++;
  }
  return { calls: took.length, failed, p99: took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] as number };
}

describe('thousands who wait', { timeout: 300_000 }, () => {
  test.each([
    ['streams', streamOf],
    ['polls', pollOf],
  ] as const)('1,000 %s of one user that are not read, and one webhook of 10 MiB', async (_name, of) => {
    const [ana, bo] = (await people(2)) as [Person, Person];
    const watched = await startWatched();
    await open(
      watched.port,
      times(1_000, () => of(ana)),
      false,
    );
    await watched.waiting(1_000);
    await watched.again();
    const body = new Uint8Array(Buffer.alloc(10 * MIB, '{"a":"b"}\n'));
    expect(await watched.post(ana, body)).toBe(200);
    const beside = await live(watched, bo, 5_000);
    const { residentMb, worstMs, slowness, read } = await watched.report();
    console.log({ residentMb, worstMs, slowness, beside });
    expect(watched.alive()).toBe(true);
    expect(beside.failed).toBe(0);
    expect(residentMb).toBeLessThan(1_000);
    expect(worstMs / slowness).toBeLessThan(TURN_MS);
    // The neighbour reads what he has posted; the content is read for all streams and polls at once.
    expect(read - beside.calls).toBeLessThan(20);
  });

  test(`10 streams and 10 polls of each of ${USERS} users, who get 10 MiB each, and their neighbour`, async () => {
    const [bo, ...all] = (await people(USERS + 1)) as [Person, ...Person[]];
    const watched = await startWatched();
    await live(watched, bo, 2_000);
    const alone = await live(watched, bo, 5_000);
    const seen = await open(
      watched.port,
      all.flatMap((one) => [...times(10, () => streamOf(one)), ...times(10, () => pollOf(one))]),
      true,
    );
    await watched.waiting(USERS * 20);
    await watched.again();
    const body = new Uint8Array(Buffer.alloc(10 * MIB, '{"a":"b"}\n'));
    let done = false;
    let accepted = 0;
    const posting = (async () => {
      for (const one of all) accepted += Number((await watched.post(one, body).catch(() => 0)) === 200);
      done = true;
    })();
    const rounds: Lived[] = [];
    while (!done) rounds.push(await live(watched, bo, 5_000));
    await posting;
    const { residentMb, worstMs, slowness } = await watched.report();
    const failed = rounds.reduce((sum, round) => sum + round.failed, 0);
    const p99 = rounds.map((round) => round.p99).sort((a, b) => a - b)[rounds.length >> 1] as number;
    console.log({ residentMb, worstMs, slowness, alone, rounds, accepted, seen: await seen() });
    expect(watched.alive()).toBe(true);
    expect(failed).toBe(0);
    expect(residentMb).toBeLessThan(1_000);
    expect(worstMs / slowness).toBeLessThan(TURN_MS);
    // Told, not asserted: readers of gigabytes, senders and the service share two cores here.
    console.log(`the neighbour's p99: ${(p99 / alone.p99).toFixed(1)} x`);
  });

  test('1,000 streams that are read do not take the time of others', async () => {
    const [ana, bo] = (await people(2)) as [Person, Person];
    const watched = await startWatched();
    const ingest = async (person: Person, ms: number, lanes: number) => {
      let count = 0;
      const until = performance.now() + ms;
      const lane = async () => {
        for (; performance.now() < until; count++) expect(await watched.post(person, 'small')).toBe(200);
      };
      await Promise.all(times(lanes, lane));
      return count;
    };
    await ingest(bo, 1_000, 8);
    const alone = await ingest(bo, 4_000, 8);
    const seen = await open(
      watched.port,
      times(1_000, () => streamOf(ana)),
      true,
    );
    await watched.waiting(1_000);
    await watched.again();
    const [beside, own] = await Promise.all([ingest(bo, 4_000, 8), ingest(ana, 4_000, 8)]);
    const { worstMs, slowness, read } = await watched.report();
    console.log({ alone, beside, own, worstMs, slowness, read });
    expect(worstMs / slowness).toBeLessThan(TURN_MS);
    // Before, each stream read each content by itself; readers, senders and the service share the machine.
    expect(beside / alone).toBeGreaterThan(0.15);
    expect(read / own).toBeLessThan(50);
    // Every stream has everything in the end.
    const whole = async () => expect((await seen()).mb * 1e6).toBeGreaterThan(own * 1_000 * 300);
    await vi.waitFor(whole, { timeout: 60_000, interval: 200 });
  });
});
