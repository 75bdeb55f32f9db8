// Durable ingest against a bare server, the driver alone, one INSERT per request, and FastAPI.
import { type Prepared, prepare } from '../support/database.ts';
import { BODY, load, median, type Result, usage } from '../support/load.ts';
import { type Contender, startFastApi, startOurs, startPlain } from '../support/processes.ts';
import { header, row } from '../support/table.ts';
import { insertAlone } from './driver.ts';

export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  /** Rows of other users in the table that is read from. */
  readonly rows: number;
  readonly python: boolean;
}
const post = { method: 'POST', body: BODY, headers: { 'Content-Type': 'application/json' } } as const;

/** Runs every contender once per round, in turns, so that a slow minute of the machine hits all of them. */
async function inTurns(
  plan: Plan,
  contenders: Readonly<Record<string, () => Promise<Result>>>,
): Promise<Record<string, Result>> {
  const results: Record<string, Result[]> = {};
  for (let round = 0; round < plan.rounds; round++)
    for (const [name, run] of Object.entries(contenders)) {
      results[name] ??= [];
      results[name].push(await run());
    }
  const by = (name: string, key: keyof Result) => median((results[name] ?? []).map((one) => one[key]));
  return Object.fromEntries(
    Object.keys(contenders).map((name) => [
      name,
      { perSecond: by(name, 'perSecond'), p50ms: by(name, 'p50ms'), p99ms: by(name, 'p99ms'), bad: 0 },
    ]),
  );
}

export async function ingest(server: string, plan: Plan): Promise<void> {
  const { seconds } = plan;
  const mysql = server.startsWith('mysql:');
  const database = await prepare(server);
  const ours = await startOurs(database.url);
  const bare = await startPlain('bare');
  const single = mysql ? await startPlain('insert', database.url) : undefined;
  const python: Contender[] =
    mysql && plan.python
      ? [await startFastApi(database.url, 'shared'), await startFastApi(database.url, 'request')]
      : [];
  const alone: number[] = [];
  header();
  for (const connections of [64, 256]) {
    const to =
      (contender: Contender, path: string, more = {}) =>
      () =>
        load({ ...post, url: contender.url + path, connections, seconds, ...more });
    await load({ ...post, url: ours.url + database.path, connections, seconds: 1 }); // warm
    const before = usage(ours.pid).cpu;
    const contenders: Record<string, () => Promise<Result>> = { ours: to(ours, database.path), bare: to(bare, '/') };
    if (single) contenders['one INSERT per request'] = to(single, '/');
    const auth = { headers: { ...post.headers, Authorization: database.auth } };
    if (connections === 64)
      for (const [i, name] of ['FastAPI, one shared pool', 'FastAPI, a pool per request'].entries()) {
        const contender = python[i];
        if (contender) contenders[name] = to(contender, '/whcontent', auth);
      }
    const results = await inTurns(plan, contenders);
    const mine = results.ours as Result;
    const after = usage(ours.pid);
    const cpuUs = ((after.cpu - before) / (mine.perSecond * seconds * plan.rounds)) * 1e6;
    for (const [name, other] of Object.entries(results))
      if (name !== 'ours')
        row({
          what: `ingest, ${connections} connections : ${name}`,
          ours: mine.perSecond,
          against: other.perSecond,
          p50ms: mine.p50ms,
          p99ms: mine.p99ms,
          cpuUs,
          peakMb: after.peakMb,
        });
    for (let round = 0; round < plan.rounds && connections === 256; round++) {
      if (!mysql && round === 0) await ours.stop();
      alone.push(await insertAlone(database.url, seconds));
    }
    if (connections === 256)
      row({ what: `ingest, ${connections} connections : driver alone`, ours: mine.perSecond, against: median(alone) });
  }
  await newConnections(database, bare, plan);
  for (const one of [bare, ...(single ? [single] : []), ...python, ...(mysql ? [ours] : [])]) await one.stop();
  await database.drop();
}

/** As most senders come: a connection for each webhook. */
async function newConnections(database: Prepared, bare: Contender, plan: Plan): Promise<void> {
  const ours = await startOurs(database.url);
  const headers = { ...post.headers, Connection: 'close' };
  const to = (url: string) => () => load({ ...post, headers, url, connections: 64, seconds: plan.seconds });
  await to(ours.url + database.path)(); // warm
  const { ours: mine, bare: other } = await inTurns(plan, {
    ours: to(ours.url + database.path),
    bare: to(`${bare.url}/`),
  });
  const what = 'ingest, 64 at once, a new connection each : bare';
  if (mine && other)
    row({ what, ours: mine.perSecond, against: other.perSecond, p50ms: mine.p50ms, p99ms: mine.p99ms });
  await ours.stop();
}
