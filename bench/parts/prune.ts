// What removing old contents costs those who send: the same load in short turns, with the pruner at work and without it.

import { readConfig } from '../../src/config/config.ts';
import { prunePass } from '../../src/retention/retention.ts';
import { createService } from '../../src/service.ts';
import { openStore } from '../../src/store/open.ts';
import { readRules } from '../../src/store/retention.ts';
import { prepare } from '../support/database.ts';
import { BODY, load, median, type Result } from '../support/load.ts';
import { figure, figures } from '../support/table.ts';
import { fillReceived, restante } from './drain.ts';

const CONNECTIONS = 64;
const IDS = 20_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** The service runs in this process, so that the pruner can be started and stopped between two turns. */
export async function prune(
  server: string,
  { rows, rounds, seconds }: { readonly rows: number; readonly rounds: number; readonly seconds: number },
): Promise<void> {
  const database = await prepare(server);
  await fillReceived(database, rows);
  await restante(database.url, 'migrate');
  const store = await openStore(database.url);
  const { db } = store;
  const [last] = await db.all<{ pos: number }>('SELECT MAX(pos) AS pos FROM restante_position');
  for (let at = 0; at < (last?.pos ?? 0); at += IDS)
    await db.run('UPDATE restante_position SET seen_ms = 1 WHERE pos > ? AND pos <= ?', [at, at + IDS]);
  const config = readConfig({ DATABASE_URL: database.url });
  const app = await createService({ store, config, log: silent, memory: process });
  const port = await app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${port}${database.path}`;
  const send = () =>
    load({
      url,
      method: 'POST',
      body: BODY,
      headers: { 'Content-Type': 'application/json' },
      connections: CONNECTIONS,
      seconds,
    });

  const results: Record<'with' | 'without', Result[]> = { with: [], without: [] };
  let removed = 0;
  async function turn(how: 'with' | 'without'): Promise<void> {
    const stop = new AbortController();
    const rules = await readRules(db, 1);
    const pass =
      how === 'with'
        ? prunePass(db, rules, new Map(), { foreign: false, stop: stop.signal })
        : Promise.resolve({ contents: 0 });
    results[how].push(await send());
    stop.abort();
    const { contents } = await pass;
    removed += contents;
    if (how === 'with' && contents === 0) throw new Error('nothing is left to be removed: more rows, or fewer rounds');
  }
  await send(); // warm
  for (let round = 0; round < rounds; round++)
    for (const how of round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const))
      await turn(how);
  await app.close();
  await store.close();

  type Key = 'perSecond' | 'p99ms';
  const by = (how: 'with' | 'without', key: Key) => median(results[how].map((one) => one[key]));
  const ratio = (key: Key) => median(results.with.map((one, i) => one[key] / (results.without[i] as Result)[key]));
  const pace = removed / (rounds * seconds);
  const what = `pruning, ${CONNECTIONS} connections`;
  figures();
  figure({ what: `${what}: old contents removed meanwhile`, value: pace, unit: '/s', digits: 0 });
  figure({ what: `${what}: a million of them would take`, value: 1e6 / pace, unit: 's', digits: 0 });
  figure({ what: `${what}: webhooks/s without it`, value: by('without', 'perSecond'), unit: '/s', digits: 0 });
  figure({ what: `${what}: webhooks/s with / without`, value: ratio('perSecond'), unit: '', digits: 2, atLeast: 0.9 });
  figure({ what: `${what}: p99 without it`, value: by('without', 'p99ms'), unit: 'ms' });
  figure({ what: `${what}: p99 with / without`, value: ratio('p99ms'), unit: '', digits: 2, atMost: 2 });
  const each = (how: 'with' | 'without') => results[how].map((one) => one.perSecond.toFixed(0)).join(' ');
  console.log(`webhooks/s, turn by turn: without ${each('without')}; with ${each('with')}`);
  await database.drop();
}
