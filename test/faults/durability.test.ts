// Promise 1 on every engine: a 2xx means it is committed, whoever is killed, paused or asked to stop under load.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onEveryEngine } from '../support/engines.ts';
import { figures } from '../support/ledger/audit.ts';
import { connectWire, type Event } from '../support/ledger/load.ts';
import { clock } from '../support/ledger/readers.ts';
import type { DatabaseServer } from '../support/servers.ts';
import { createWorld, type Program, type World } from '../support/world.ts';
import { firstAck, killDatabase, killProgram, type Report, type UnderLoad, underLoad } from './runs/kills.ts';

// A sender is told within this time that its webhook is not stored, whatever the database does.
const PATIENCE_MS = 5_000;
// The queue's age bound, and time to notice.
const QUEUE_AGE_MS = 2_000 + 500;

onEveryEngine('durability', (engine) => {
  let world: World;
  let program: Program;
  beforeAll(async () => {
    world = await createWorld(engine);
    program = await world.serve({ LOG_LEVEL: 'warn' });
  });
  afterAll(async () => {
    await world?.close();
  });
  const told = (line: string) => console.log(`${engine}: ${line}`);
  const expectNothingLost = (report: Report) => {
    told(figures(report));
    expect({ missing: report.missing, corrupted: report.corrupted, duplicates: report.duplicates }).toEqual({
      missing: [],
      corrupted: [],
      duplicates: [],
    });
    expect(report.acked).toBeGreaterThan(0);
    if (Object.keys(report.reading.figures).length > 0) told(`reading: ${JSON.stringify(report.reading.figures)}`);
    expect(report.reading.failures).toEqual([]);
  };
  const list = () => call(program, world, '/whcontent?whid=all');

  test('loses nothing that was acked when the program is killed five times under load, and readers skip nothing', async () => {
    const kill = async (running: UnderLoad) => void (await killProgram(program, running, 5, told));
    const report = await underLoad(world, program, kill, { watched: true });
    expectNothingLost(report);
  });

  test('stops at SIGTERM under load with exit code 0, answering all that had come', async () => {
    let took = 0;
    let half: number[] = [];
    let signalled = 0;
    const report = await underLoad(world, program, async ({ load }) => {
      const { path } = await world.webhook('Half sent');
      await sleep(500);
      const wires = await Promise.all(Array.from({ length: 5 }, () => connectWire('127.0.0.1', program.port)));
      for (const wire of wires) wire.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345`);
      await sleep(100);
      signalled = clock();
      program.signal('SIGTERM');
      await sleep(300);
      await expect(connectWire('127.0.0.1', program.port)).rejects.toThrow('ECONNREFUSED');
      half = (await Promise.all(wires.map((wire) => wire.send('67890')))).map((answer) => answer.status);
      expect(await program.ended).toBe(0);
      took = clock() - signalled;
      await load.stop();
      await program.restart();
    });
    told(`stopped in ${took} ms; ${report.unknown} requests met a closing connection`);
    expectNothingLost(report);
    expect(half).toEqual([200, 200, 200, 200, 200]);
    // Nobody meets a reset: kept-alive connections are told to close with an answer before they are closed.
    expect(
      unknowns(report.events).map(({ began, what }) => `sent ${began - signalled} ms after SIGTERM: ${what}`),
    ).toEqual([]);
    expect(took).toBeLessThan(PATIENCE_MS);
  });

  if (engine === 'sqlite') return; // It has no server of its own that could go away.
  describe('its database', () => {
    const server = () => world.server as DatabaseServer;

    test('may be killed three times: senders and callers get 503, service resumes by itself', async () => {
      const calls: Awaited<ReturnType<typeof call>>[] = [];
      let outages: Awaited<ReturnType<typeof killDatabase>> = [];
      const meanwhile = async () => {
        await sleep(200);
        calls.push(await list());
      };
      const kill = async (running: UnderLoad) => {
        outages = await killDatabase(server(), running, 3, { awayMs: 700, meanwhile, told });
      };
      const report = await underLoad(world, program, kill, { watched: true });
      expectNothingLost(report);
      for (const { from, to, recoveredMs } of outages) {
        const meant = ended(report.events).filter(({ began, at }) => began > from && at < to);
        expect(meant.length).toBeGreaterThan(0);
        expect(new Set(meant.map(({ kind, what, more }) => `${kind} ${what} ${more}`))).toEqual(
          new Set(['refused 503 2']),
        );
        expect(recoveredMs).toBeLessThan(PATIENCE_MS);
      }
      for (const { status, type, retryAfter, ms } of calls) {
        expect([status, type, retryAfter]).toEqual([503, 'application/problem+json', '2']);
        expect(ms).toBeLessThan(PATIENCE_MS);
      }
      expect(report.unknown).toBe(0);
      expect(report.slowestMs).toBeLessThan(PATIENCE_MS);
    });

    test('may hang for 3 s: nothing is lost, and no sender is sent away', async () => {
      let resumed = 0;
      let recovered = 0;
      const report = await underLoad(world, program, async ({ events }) => {
        await sleep(300);
        server().pause();
        await sleep(3_000);
        server().resume();
        resumed = clock();
        recovered = (await firstAck(events, resumed, PATIENCE_MS)) - resumed;
        await sleep(300);
      });
      told(`hung for 3 s, serving ${recovered} ms after it went on`);
      expectNothingLost(report);
      expect(otherThan503(report.events)).toEqual([]);
      expect(report.unknown).toBe(0);
      expect(report.slowestMs).toBeLessThan(PATIENCE_MS);
    });

    test('may hang for long: senders are refused by 503 within the age of the queue, and do not pile up', async () => {
      let paused = 0;
      let resumed = 0;
      let recovered = 0;
      let asked: Awaited<ReturnType<typeof call>> | undefined;
      const report = await underLoad(
        world,
        program,
        async ({ events }) => {
          await sleep(300);
          server().pause();
          paused = clock();
          // Longer than what is known of webhooks and users stays valid.
          await sleep(6_000);
          asked = await list();
          await sleep(Math.max(0, 8_000 - (clock() - paused)));
          server().resume();
          resumed = clock();
          recovered = (await firstAck(events, resumed, 30_000)) - resumed;
        },
        // More connections than can get stuck in the queue's age.
        { connections: 600, rate: () => 150 },
      ).finally(() => server().resume());
      const late = ended(report.events).filter(({ began }) => began > paused + QUEUE_AGE_MS && began < resumed);
      const slowest = Math.max(...late.map(({ began, at }) => at - began));
      told(`hung for 8 s: ${late.length} late senders, answered in ${slowest} ms; again after ${recovered} ms`);
      told(`a call while it hung: ${asked?.status} after ${asked?.ms} ms`);
      expectNothingLost(report);
      expect(otherThan503(report.events)).toEqual([]);
      expect(slowest).toBeLessThan(1_000);
      expect(report.slowestMs).toBeLessThan(PATIENCE_MS);
      expect([asked?.status, asked?.type]).toEqual([503, 'application/problem+json']);
      expect(asked?.ms).toBeLessThan(PATIENCE_MS);
      expect(recovered).toBeLessThan(PATIENCE_MS);
    }, 120_000);
  });
});

interface Ended extends Event {
  readonly began: number;
}

/** Every outcome, with the time it was sent. */
function ended(events: readonly Event[]): Ended[] {
  const began = new Map(events.filter(({ kind }) => kind === 'sent').map(({ id, at }) => [id, at]));
  return events.filter(({ kind }) => kind !== 'sent').map((event) => ({ ...event, began: began.get(event.id) ?? 0 }));
}

const unknowns = (events: readonly Event[]): Ended[] => ended(events).filter(({ kind }) => kind === 'unknown');

/** Refusals that tell a sender something else than to come again. */
const otherThan503 = (events: readonly Event[]): string[] => [
  ...new Set(events.filter(({ kind, what }) => kind === 'refused' && what !== '503').map(({ what }) => what)),
];

async function call({ url }: Program, { auth }: World, path: string) {
  const began = performance.now();
  const answer = await fetch(url + path, { headers: { authorization: auth } });
  await answer.arrayBuffer();
  const { status, headers } = answer;
  const ms = Math.round(performance.now() - began);
  return { status, type: headers.get('content-type'), retryAfter: headers.get('retry-after'), ms };
}
