// A cluster under the service: nodes die and come back under load, and nobody loses or skips anything.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { audit, judgeAudit } from '../../support/ledger/audit.ts';
import { startForeign } from '../../support/ledger/foreign.ts';
import { openLedger, startLoad } from '../../support/ledger/load.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch } from '../../support/ledger/watch.ts';
import { BUSY } from '../../support/ledger/workers.ts';
import type { Program, World } from '../../support/world.ts';

/** Two processes under load, with lists, a stream and consumers; `finish` ends the load and says what became of it. */
export async function underLoad(world: World, name: string, perSecond: number) {
  const programs = [await world.serve({ LOG_LEVEL: 'warn' }), await world.serve({ LOG_LEVEL: 'warn' })] as const;
  const [first, second] = programs;
  const { wh_id, path } = await world.webhook(name);
  const watch = await startWatch(world, {
    lists: { 'list of one': first, 'list of the other': second },
    streams: { stream: first },
    consumers: ['first', 'second'].map((name) => ({ name, lease_seconds: 5 })),
    programs: [...programs],
    workersEach: 4,
    behaviour: BUSY,
  });
  const ledger = openLedger(join(world.folder, 'load'));
  const rate = () => perSecond / programs.length;
  const loads = programs.map(({ url }) => startLoad({ url, paths: [path], connections: 8, ledger, rate }));
  return {
    programs,
    async finish(): Promise<readonly [Verdict, Verdict]> {
      await Promise.all(loads.map((load) => load.stop()));
      ledger.close();
      const verdict = await watch.finish();
      const found = await audit(ledger.path, { url: first.url, auth: world.auth, whids: [wh_id], from: watch.from });
      return [judgeAudit(found), verdict];
    },
  };
}

/** Two processes, lists, a stream and consumers; each of three nodes is killed once, when the one before it is back. */
export async function runCluster(world: World, told: (line: string) => void): Promise<Verdict> {
  const { cluster } = world;
  if (!cluster) throw new Error('there is no cluster');
  const { programs, finish } = await underLoad(world, 'On a cluster', 200);
  for (const node of [0, 1, 2]) {
    await sleep(10_000);
    await cluster.kill(node);
    await sleep(10_000);
    await cluster.start(node);
    told(`node ${node + 1} was killed, and is back`);
  }
  await sleep(5_000);
  const verdicts = await finish();
  const still = programs.filter((program) => !/at another of its hosts now/.test(program.log()));
  const failures = still.map(() => 'it did not move to another node');
  return together(...verdicts, { figures: {}, failures });
}

/** Each process writes on a node of its own, the others on all three; with `asked` every process asks all nodes. Nobody dies. */
export async function runWriters(
  world: World,
  { ms, asked }: { readonly ms: number; readonly asked: boolean },
): Promise<Verdict> {
  const urls = (world.cluster?.urls ?? []).map((url) => `${url}restante`);
  const on = (node: number) =>
    world.serve({
      LOG_LEVEL: 'warn',
      DATABASE_URL: urls[node] ?? '',
      FENCE_NODES: asked ? urls.filter((_, i) => i !== node).join() : '',
    });
  const programs = await Promise.all([on(0), on(1)]);
  const [first, second] = programs as [Program, Program];
  const { wh_id, path } = await world.webhook('On several nodes');
  const watch = await startWatch(world, {
    lists: { 'list of one': first, 'list of the other': second },
    streams: { stream: first },
    consumers: [{ name: 'all', lease_seconds: 5 }],
    programs,
    workersEach: 4,
    behaviour: BUSY,
  });
  const ledger = openLedger(join(world.folder, 'writers'));
  const loads = programs.map(({ url }) => startLoad({ url, paths: [path], connections: 4, ledger, rate: () => 50 }));
  let next = 0;
  const connect = () => createConnection({ uri: urls[next++ % urls.length] ?? '', connectTimeout: 2_000 });
  const mix = { perSecond: 300, longestMs: 3_000, singles: 3, batches: 3, transactions: 6, chasers: 0 };
  const foreign = startForeign({ connect, userId: world.userId, whids: [0, 7], ...mix });
  await sleep(ms);
  await Promise.all([foreign.stop(), ...loads.map((load) => load.stop())]);
  ledger.close();
  const { rows, transactions, deadlocks } = foreign.counts;
  const verdict = await watch.finish({ foreign });
  const found = await audit(ledger.path, { url: first.url, auth: world.auth, whids: [wh_id], from: watch.from });
  const figures = { 'rows of others': rows, transactions, deadlocks };
  return together({ figures, failures: [] }, judgeAudit(found), verdict);
}
