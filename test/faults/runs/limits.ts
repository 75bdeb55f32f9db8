// Limits of the database under load: the last of all ids, and a server that may only be read for a while.
import { setTimeout as sleep } from 'node:timers/promises';
import { readTruth } from '../../support/ledger/truth.ts';
import { together, type Verdict } from '../../support/ledger/verdict.ts';
import type { World } from '../../support/world.ts';
import { underLoad, verdictOf } from './kills.ts';

const LAST_ID = 4_294_967_295;
const FIRST_ID = 4_294_967_200;

/** The column ends at 2^32 - 1: every id up to there is used or burnt, then senders get a 503, and never a 2xx without a row. */
export async function runLastIds(world: World): Promise<Verdict> {
  const root = await world.connect();
  await root.query(`ALTER TABLE tblwh AUTO_INCREMENT = ${FIRST_ID}`);
  const program = await world.serve({ LOG_LEVEL: 'silent' });
  const failures: string[] = [];
  // No other application: its rows would take ids too, and each of its INSERTs fails in the end.
  const report = await underLoad(world, program, async ({ load }) => await load.done, {
    watched: true,
    alone: true,
    rate: () => 150,
    count: 300,
  });
  await program.kill();
  const truth = await readTruth(world, FIRST_ID);
  const ids = [...truth.hashes.keys()];
  const last = Math.max(...ids);
  // A batch that reaches over the end fails as a whole, and MariaDB has burnt its ids.
  // A batch that does not fit any more takes its ids with it.
  if (last < LAST_ID - 50) failures.push(`the last id was ${last}, far from ${LAST_ID}`);
  const told = new Set(
    report.events.filter(({ kind }) => kind === 'refused').map(({ what, more }) => `${what} ${more}`),
  );
  if ([...told].join() !== '503 2')
    failures.push(`senders were told ${[...told].join(', ')} when there were no ids left`);
  if (report.acked !== ids.length) failures.push(`${report.acked} were acked, ${ids.length} are stored`);
  return together({ figures: { ids: ids.length, 'last id': last }, failures }, verdictOf(report));
}

/** `read_only` for a while, as a failover does it: no 2xx meanwhile, and everybody goes on by himself afterwards. */
export async function runReadOnly(world: World, ms: number): Promise<Verdict> {
  const root = await world.connect();
  const program = await world.serve({ LOG_LEVEL: 'silent', DATABASE_URL: await world.account('all') });
  const failures: string[] = [];
  let from = 0;
  let to = 0;
  const report = await underLoad(
    world,
    program,
    async ({ outages }) => {
      await sleep(700);
      const began = Date.now();
      await root.query('SET GLOBAL read_only = 1');
      from = Date.now();
      await sleep(ms);
      to = Date.now();
      await root.query('SET GLOBAL read_only = 0');
      outages.push({ from: began, dead: from, to: Date.now() + 1_000 });
      await sleep(2_500);
    },
    { watched: true, alone: true },
  );
  await program.kill();
  const sent = new Map(report.events.filter(({ kind }) => kind === 'sent').map(({ id, at }) => [id, at]));
  const within = report.events.filter(({ kind, id, at }) => kind !== 'sent' && (sent.get(id) ?? 0) > from && at < to);
  const acked = within.filter(({ kind }) => kind === 'acked').length;
  if (acked > 0) failures.push(`${acked} webhooks were acked while the database was read-only`);
  if (within.length === 0) failures.push('nobody asked while the database was read-only');
  const recovered = report.events.find(({ kind, at }) => kind === 'acked' && at >= to)?.at ?? Number.POSITIVE_INFINITY;
  if (recovered - to > 2_000)
    failures.push(`senders were served again ${recovered - to} ms after it could be written to`);
  return together(
    { figures: { 'refused meanwhile': within.length, 'recovered ms': recovered - to }, failures },
    verdictOf(report),
  );
}
