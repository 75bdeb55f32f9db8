// Polls that find nothing new, without waiting, as fast as they can be asked: against a bare GET server, and what they ask the database.
import { setTimeout as sleep } from 'node:timers/promises';
import { prepare } from '../support/database.ts';
import { type Load, load, median, type Result } from '../support/load.ts';
import { startOurs, startPlain } from '../support/processes.ts';
import { figure, figures, header, row } from '../support/table.ts';
import { watch } from '../support/watch.ts';
import { connect, post } from '../support/wire.ts';
import type { Plan } from './ingest.ts';

const CONNECTIONS = 64;
const RATIO = 0.6;
// Whatever the tail asks in half a second more or less is not the polls'.
const NOISE = 10;

export async function empty(server: string, { rounds, seconds }: Pick<Plan, 'rounds' | 'seconds'>): Promise<void> {
  const database = await prepare(server);
  const ours = await startOurs(database.url);
  const bare = await startPlain('bare');
  const headers = { Authorization: database.auth };
  // Something is there already, and the consumer has read it.
  const wire = await connect(ours.url);
  for (let i = 0; i < 100; i++) await wire.ask(post(database.path, '', '{"hello":"world"}'));
  await sleep(500);
  await wire.ask(post('/consumers/c/pull', database.auth, '{"start":"latest"}'));
  wire.close();
  const calls: [what: string, load: Omit<Load, 'connections' | 'seconds' | 'headers'>, against: typeof bareGet][] = [
    ['an empty poll of the list', { url: `${ours.url}/whcontent?whid=all&id=latest` }, bareGet],
    ['an empty pull', { url: `${ours.url}/consumers/c/pull`, method: 'POST', body: '{}' }, barePost],
  ];
  const told: (() => void)[] = [];
  header();
  for (const [what, call, against] of calls) {
    const runs: { ours: Result[]; bare: Result[]; queries: number[]; quiet: number[] } = {
      ours: [],
      bare: [],
      queries: [],
      quiet: [],
    };
    for (let round = 0; round < rounds; round++) {
      const quiet = await watch(server, ours.pid, () => sleep(seconds * 1000));
      const used = await watch(server, ours.pid, async () => {
        runs.ours.push(await load({ ...call, headers, connections: CONNECTIONS, seconds }));
      });
      runs.queries.push(used.queriesPerSecond ?? 0);
      runs.quiet.push(quiet.queriesPerSecond ?? 0);
      runs.bare.push(await load({ ...against(bare.url), connections: CONNECTIONS, seconds }));
    }
    const mine = median(runs.ours.map(({ perSecond }) => perSecond));
    const p50ms = median(runs.ours.map((one) => one.p50ms));
    const p99ms = median(runs.ours.map((one) => one.p99ms));
    const other = median(runs.bare.map(({ perSecond }) => perSecond));
    row({ what: `${what} : bare`, ours: mine, against: other, p50ms, p99ms });
    told.push(() =>
      figure({ what: `${what}: of a bare server's`, value: mine / other, unit: '', digits: 2, atLeast: RATIO }),
    );
    const more = median(runs.queries) - median(runs.quiet);
    if (server.startsWith('mysql:'))
      told.push(() =>
        figure({ what: `${what}: queries beyond those of rest`, value: more, unit: '/s', atMost: NOISE }),
      );
  }
  console.log();
  figures();
  for (const tell of told) tell();
  for (const one of [ours, bare]) await one.stop();
  await database.drop();
}

const bareGet = (url: string) => ({ url: `${url}/` }) as const;
const barePost = (url: string) => ({ url: `${url}/`, method: 'POST', body: '{}' }) as const;
