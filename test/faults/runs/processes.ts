// Several processes on one database, with workers of every kind: never two live leases of one content, nothing lost.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../../support/ledger/audit.ts';
import { startForeign } from '../../support/ledger/foreign.ts';
import { openLedger, startLoad } from '../../support/ledger/load.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch } from '../../support/ledger/watch.ts';
import { BAD, call } from '../../support/ledger/workers.ts';
import type { Program, World } from '../../support/world.ts';

export interface ProcessesOptions {
  readonly seconds: number;
  readonly processes: number;
  /** Of each consumer in each process. */
  readonly workers: number;
  readonly perSecond: number;
  /** The shortest of their leases; a worker needs more than its turn among all others. */
  readonly leaseSeconds: number;
  /** Programs and their database are killed and stopped meanwhile. */
  readonly disturbed?: boolean;
}

export async function runProcesses(
  world: World,
  { seconds, processes, workers, perSecond, leaseSeconds, disturbed = false }: ProcessesOptions,
): Promise<Verdict> {
  const { userId, auth } = world;
  const programs = await Promise.all(Array.from({ length: processes }, () => world.serve({ LOG_LEVEL: 'warn' })));
  const { wh_id, path } = await world.webhook('Processes');
  const [first, last] = [programs[0], programs.at(-1)];
  if (!first || !last) throw new Error('there must be a process');
  const watch = await startWatch(world, {
    lists: { 'first list': first, 'last list': last },
    // Of this run alone: a world may see several.
    consumers: [
      { name: `one-${wh_id}`, lease_seconds: leaseSeconds, max_attempts: 50 },
      { name: `two-${wh_id}`, lease_seconds: leaseSeconds * 2, max_attempts: 50 },
      { name: `three-${wh_id}`, lease_seconds: leaseSeconds, max_attempts: 3 },
      { name: `own-${wh_id}`, lease_seconds: leaseSeconds, max_attempts: 50, whid: [wh_id] },
      { name: `ordered-${wh_id}`, lease_seconds: leaseSeconds, max_attempts: 50, ordered: true },
    ],
    programs,
    workersEach: workers * processes,
    behaviour: BAD,
  });
  const ledger = openLedger(join(world.folder, `ledger-${wh_id}`));
  const loads = programs.map(({ url }) =>
    startLoad({ url, paths: [path], connections: 4, ledger, rate: () => perSecond / 2 / processes }),
  );
  const foreign = world.server
    ? startForeign({
        connect: world.connect,
        userId,
        whids: [0],
        perSecond: perSecond / 2,
        longestMs: 1_000,
        singles: 2,
        batches: 1,
        transactions: 3,
        chasers: 0,
      })
    : undefined;
  const happened = disturbed ? await disturb(world, programs, seconds * 1_000) : await sleep(seconds * 1_000, {});
  await Promise.all([...loads.map((load) => load.stop()), foreign?.stop()]);
  ledger.close();
  const verdict = await watch.finish({ foreign });
  const { missing, duplicates, corrupted } = await audit(ledger.path, {
    url: first.url,
    auth,
    whids: [wh_id],
    from: watch.from,
  });
  await Promise.all(programs.map((program) => program.kill()));
  const wrong = [...missing, ...duplicates, ...corrupted];
  const failures = wrong.length > 0 ? [`webhooks missing, double or changed: ${wrong.slice(0, 5).join('; ')}`] : [];
  return together({ figures: { ...happened, 'webhooks wrong': wrong.length }, failures }, verdict);
}

// A stop is shorter or longer than a lease, and longer than senders wait for their answer.
const MOST_STOPPED_MS = 4_000;
const MOST_BETWEEN_MS = 1_000;

/** Kills and stops one or the other of them at random, for so long; resolves with how often each happened. */
async function disturb({ server }: World, programs: readonly Program[], ms: number): Promise<Record<string, number>> {
  const happened: Record<string, number> = {};
  const victim = () => programs[Math.floor(Math.random() * programs.length)] as Program;
  const faults: Readonly<Record<string, () => Promise<void>>> = {
    'program killed': async () => {
      const program = victim();
      await program.kill();
      await program.restart();
    },
    'program stopped': async () => {
      const program = victim();
      program.signal('SIGSTOP');
      await sleep(Math.random() * MOST_STOPPED_MS);
      program.signal('SIGCONT');
    },
    ...(server && {
      'database killed': async () => {
        await server.kill();
        await sleep(Math.random() * MOST_BETWEEN_MS);
        await server.start();
      },
      'database stopped': async () => {
        server.pause();
        await sleep(Math.random() * MOST_STOPPED_MS);
        server.resume();
      },
    }),
  };
  const names = Object.keys(faults);
  // Each in turn at first, so that none is left out of a short run.
  for (let n = 0, until = Date.now() + ms; n < names.length || Date.now() < until; n++) {
    await sleep(Math.random() * MOST_BETWEEN_MS);
    const name = names[n] ?? (names[Math.floor(Math.random() * names.length)] as string);
    await faults[name]?.();
    happened[name] = (happened[name] ?? 0) + 1;
  }
  return happened;
}

const LEASE_S = 2;
const CONTENTS = 40;

/**
 * A process is stopped for twice the length of a lease, with an ack on its way to it, and goes on: its worker's ack must not
 * count any more, and each content is handed out again once.
 */
export async function runStopped(world: World): Promise<Verdict> {
  const failures: string[] = [];
  const { auth } = world;
  const [stopped, other] = await Promise.all([world.serve({ LOG_LEVEL: 'warn' }), world.serve({ LOG_LEVEL: 'warn' })]);
  const path = '/consumers/stopped';
  const post = (url: string, verb: string, body: object) => call(url, auth, 'POST', `${path}/${verb}`, body);
  const check = (what: string, found: unknown, wanted: unknown) => {
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      failures.push(`${what}: ${JSON.stringify(found)?.slice(0, 300)}, not ${JSON.stringify(wanted)}`);
  };
  await call(stopped.url, auth, 'PUT', path, { start: 'latest', lease_seconds: LEASE_S });
  for (let i = 0; i < CONTENTS; i++) await call(stopped.url, auth, 'POST', '/whcontent', { content: `stopped ${i}` });
  const old = await pullAll(() => post(stopped.url, 'pull', { limit: CONTENTS, wait: 5 }));
  const ids = old.flatMap(({ ids }) => ids);
  check('handed out at first', ids.length, CONTENTS);

  stopped.signal('SIGSTOP');
  // On their way while it cannot answer: they arrive when the lease is long over.
  const acks = old.map(({ lease }) => post(stopped.url, 'ack', { lease }));
  const pull = post(stopped.url, 'pull', { limit: CONTENTS, lease_seconds: LEASE_S });
  await sleep(LEASE_S * 1_000 + 200);
  const again = await pullAll(() => post(other.url, 'pull', { limit: CONTENTS, wait: 2, lease_seconds: 30 }));
  check('handed out again, once', again.flatMap(({ ids }) => ids).sort(byNumber), [...ids].sort(byNumber));
  check('as the second attempt', [...new Set(again.flatMap(({ attempts }) => attempts))], [2]);
  await sleep(LEASE_S * 1_000 - 200);
  stopped.signal('SIGCONT');

  const late = await Promise.all(acks);
  check(
    'answers to the old acks',
    late.map(({ status }) => status),
    late.map(() => 409),
  );
  check(
    'what they did',
    late.flatMap(({ body }) => body.done),
    [],
  );
  check(
    'why not',
    [...new Set(late.flatMap(({ body }) => body.conflicts.map(({ reason }: { reason: string }) => reason)))],
    ['leased-anew'],
  );
  check('handed out to the pull that was on its way', (await pull).body.items.length, 0);
  const acked = await Promise.all(again.map(({ lease }) => post(stopped.url, 'ack', { lease })));
  check('answers to the new acks', [...new Set(acked.map(({ status }) => status))], [200]);
  const after = await Promise.all(old.map(({ lease }) => post(other.url, 'ack', { lease })));
  check('an old ack of what is acked is no conflict', [...new Set(after.map(({ status }) => status))], [200]);
  const state = (await call(other.url, auth, 'GET', path)).body;
  check('left', [state.backlog, state.in_flight, state.dead], [0, 0, 0]);
  await Promise.all([stopped.kill(), other.kill()]);
  return {
    figures: {
      contents: ids.length,
      'old acks': acks.length,
      'old acks that counted': late.filter(({ status }) => status === 200).length,
    },
    failures,
  };
}

const byNumber = (a: number, b: number) => a - b;

/** Pulls until CONTENTS contents are in hand, or none come any more. */
async function pullAll(pull: () => ReturnType<typeof call>) {
  const leases: { lease: string; ids: number[]; attempts: number[] }[] = [];
  for (let count = 0; count < CONTENTS; ) {
    const { body } = await pull();
    const items = body.items as { id: number; attempt: number }[];
    if (items.length === 0) break;
    leases.push({ lease: body.lease, ids: items.map(({ id }) => id), attempts: items.map(({ attempt }) => attempt) });
    count += items.length;
  }
  return leases;
}
