// What removing old contents costs those who send: the same load in turns, with the pruner at work and without it.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, marks } from '../src/store/db.ts';
import { openDb } from '../src/store/index.ts';
import { prepare } from './database.ts';
import { fillReceived, restante } from './drain.ts';
import { BODY, load, median, type Result } from './load.ts';
import { startOurs } from './processes.ts';
import { figure, figures } from './table.ts';

const CONNECTIONS = 64;
const IDS = 20_000;
// The first pass begins three seconds after a start.
const WARM_MS = 5_000;

async function count(db: Db, below: number): Promise<number> {
  const [row] = await db.all<{ n: number }>(`SELECT COUNT(*) AS n FROM restante_position WHERE pos <= ${marks(1)}`, [
    below,
  ]);
  return row?.n ?? 0;
}

export async function prune(
  server: string,
  { rows, rounds, seconds }: { readonly rows: number; readonly rounds: number; readonly seconds: number },
): Promise<void> {
  const database = await prepare(server);
  await fillReceived(database, rows);
  await restante(database.url, 'migrate');
  const db = await openDb(database.url);
  const [last] = await db.all<{ pos: number }>('SELECT MAX(pos) AS pos FROM restante_position');
  const end = last?.pos ?? 0;
  for (let at = 0; at < end; at += IDS)
    await db.run('UPDATE restante_position SET seen_ms = 1 WHERE pos > ? AND pos <= ?', [at, at + IDS]);
  const results: Record<'with' | 'without', Result[]> = { with: [], without: [] };
  const pace: number[] = [];
  for (let round = 0; round < rounds; round++)
    for (const how of round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const)) {
      const ours = await startOurs(database.url, { RETENTION_DAYS: how === 'with' ? '1' : '0' });
      const post = { method: 'POST', body: BODY, headers: { 'Content-Type': 'application/json' } } as const;
      const url = ours.url + database.path;
      await Promise.all([load({ ...post, url, connections: CONNECTIONS, seconds: 2 }), sleep(WARM_MS)]);
      const before = await count(db, end);
      results[how].push(await load({ ...post, url, connections: CONNECTIONS, seconds }));
      const removed = before - (await count(db, end));
      await ours.stop();
      if (how === 'with') pace.push(removed / seconds);
      if (how === 'with' && removed === 0)
        throw new Error('nothing was removed: it had nothing left, or did not begin');
      if (how === 'without' && removed > 0) throw new Error(`${removed} contents were removed without a setting`);
    }
  await db.close();
  const by = (how: 'with' | 'without', key: 'perSecond' | 'p50ms' | 'p99ms') =>
    median(results[how].map((one) => one[key]));
  const ratio = (key: 'perSecond' | 'p50ms' | 'p99ms') =>
    median(results.with.map((one, i) => one[key] / (results.without[i] as Result)[key]));
  const what = `ingest, ${CONNECTIONS} connections, of ${rows.toLocaleString('en')} old contents some are being removed`;
  figures();
  figure({ what: `${what}: contents removed meanwhile`, value: median(pace), unit: '/s', digits: 0 });
  figure({ what: `${what}: a million takes`, value: 1e6 / median(pace), unit: 's', digits: 0 });
  figure({ what: `${what}: webhooks without`, value: by('without', 'perSecond'), unit: '/s', digits: 0 });
  figure({ what: `${what}: webhooks with / without`, value: ratio('perSecond'), unit: '', digits: 2, atLeast: 0.9 });
  figure({ what: `${what}: p99 without`, value: by('without', 'p99ms'), unit: 'ms' });
  figure({ what: `${what}: p99 with / without`, value: ratio('p99ms'), unit: '', digits: 2, atMost: 2 });
  const each = (how: 'with' | 'without') => results[how].map((one) => one.perSecond.toFixed(0)).join(' ');
  console.log(`webhooks/s, round by round: without ${each('without')}; with ${each('with')}`);
  await database.drop();
}
