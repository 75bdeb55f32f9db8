// Foreign writers of every kind beside our own receiver, and readers of every kind at the same time: who skips, who loses?
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../../support/ledger/audit.ts';
import { startForeign, startTicker } from '../../support/ledger/foreign.ts';
import { openLedger, startLoad } from '../../support/ledger/load.ts';
import { lagOf, together, type Verdict } from '../../support/ledger/verdict.ts';
import { startWatch } from '../../support/ledger/watch.ts';
import { BAD } from '../../support/ledger/workers.ts';
import type { Program, World } from '../../support/world.ts';

export interface MixedOptions {
  readonly seconds: number;
  /** It goes on until the others have committed so many, for three times as long at most. */
  readonly rows?: number;
  /** Rows of the others, and webhooks of ours. */
  readonly perSecond: number;
  readonly ownPerSecond: number;
  readonly longestMs: number;
  /**
   * Whether the account of the as-is service may see the statements of others. Without that right an INSERT that stalls for
   * more than a second may be skipped: then nobody holds gap locks here, so that none does.
   */
  readonly sight: boolean;
}

/** An as-is service and an extended one on the same table; lists, a stream and consumers. */
export async function runMixed(world: World, options: MixedOptions): Promise<Verdict> {
  const { seconds, rows: least = 0, perSecond, ownPerSecond, longestMs, sight } = options;
  const { userId, auth } = world;
  const asIsUrl = await world.account(sight ? 'as-is with sight' : 'as-is');
  const [extended, asIs] = await Promise.all([
    world.serve({ LOG_LEVEL: 'warn' }),
    world.serve({ LOG_LEVEL: 'info', DATABASE_URL: asIsUrl }),
  ]);
  const failures = await promised(asIs, sight);
  const [own, shared] = await Promise.all([world.webhook('Own'), world.webhook('Shared')]);
  const watch = await startWatch(world, {
    lists: { 'as-is list': asIs, 'extended list': extended },
    streams: { stream: extended },
    consumers: [
      { name: `all-${own.wh_id}`, lease_seconds: 2, max_attempts: 50 },
      { name: `four-tries-${own.wh_id}`, lease_seconds: 1, max_attempts: 4 },
      { name: `two-webhooks-${own.wh_id}`, lease_seconds: 2, max_attempts: 50, whid: [own.wh_id, shared.wh_id] },
    ],
    programs: [extended],
    workersEach: 4,
    behaviour: BAD,
  });
  const ledger = openLedger(join(world.folder, `ledger-${own.wh_id}`));
  const load = startLoad({ url: extended.url, paths: [own.path], connections: 8, ledger, rate: () => ownPerSecond });
  const foreign = startForeign({
    connect: world.connect,
    userId,
    whids: [0, shared.wh_id, 7],
    perSecond,
    longestMs,
    singles: 4,
    batches: 3,
    transactions: 8,
    chasers: sight ? 2 : 0,
  });
  const ticker = startTicker(world.connect, userId, shared.wh_id, 50);
  await sleep(seconds * 1_000);
  for (const until = Date.now() + seconds * 2_000; foreign.counts.rows < least && Date.now() < until; )
    await sleep(100);
  if (foreign.counts.rows < least) failures.push(`the others committed ${foreign.counts.rows} rows, not ${least}`);
  await Promise.all([foreign.stop(), load.stop(), ticker.stop()]);
  const verdict = await watch.finish({ foreign });
  ledger.close();
  const { sent, missing, duplicates, corrupted } = await audit(ledger.path, {
    url: extended.url,
    auth,
    whids: [own.wh_id],
    from: watch.from,
  });
  await Promise.all([extended.kill(), asIs.kill()]);
  const [first] = watch.workers;
  const { rows, transactions, rolledBack, savepoints, deadlocks, chases } = foreign.counts;
  const lag = lagOf(first?.ticks ?? [], ticker.committed);
  return together(
    {
      figures: { 'foreign rows': rows, transactions, 'rolled back': rolledBack, savepoints, deadlocks, chases },
      failures,
    },
    {
      figures: { 'longest ms': Math.round(foreign.counts.longestMs), webhooks: sent, 'consumer p50 ms': lag.p50 },
      failures: [],
    },
    verdict,
    ...Object.entries({ missing, duplicates, corrupted }).map(([kind, list]) => ({
      figures: { [`webhooks ${kind}`]: list.length },
      failures: list.length > 0 ? [`webhooks ${kind}: ${list.slice(0, 5).join('; ')}`] : [],
    })),
  );
}

/** The run means something only at the level and with the promise that it is made for. It is said just after the port answers. */
async function promised(asIs: Program, sight: boolean): Promise<string[]> {
  const said = () => /^.*"listening".*$/m.exec(asIs.log())?.[0] ?? '';
  let listening = said();
  for (const until = Date.now() + 10_000; !listening && Date.now() < until; listening = said()) await sleep(20);
  const wanted = [`"level":"as-is"`, `"promise":"${sight ? 'exact' : 'settle'}"`];
  return wanted
    .filter((words) => !listening.includes(words))
    .map((words) => `the as-is service does not say ${words}: ${listening}`);
}
