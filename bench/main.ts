// npm run bench: figures as ratios, measured in turns in the same run on the same machine, or against a target. `-- --help`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer } from '../test/support/servers.ts';
import { agent } from './parts/agent.ts';
import { asis } from './parts/as-is.ts';
import { costs } from './parts/costs.ts';
import { drain } from './parts/drain.ts';
import { empty } from './parts/empty.ts';
import { fair } from './parts/fair.ts';
import { idle } from './parts/idle.ts';
import { ingest } from './parts/ingest.ts';
import { latency } from './parts/latency.ts';
import { migrate } from './parts/migrate.ts';
import { preset } from './parts/preset.ts';
import { prune } from './parts/prune.ts';
import { reads } from './parts/reads.ts';
import { startAndRest } from './parts/rest.ts';
import { search } from './parts/search.ts';
import { hasWrk } from './support/load.ts';
import { hasFastApi } from './support/processes.ts';

const HELP = `npm run bench [-- --quick] [-- --only PART] [-- --engine sqlite|mariadb|mysql] [-- --seed N]

  ingest    durable webhooks per second, in turns with other servers
  preset    the same with a signature to verify, in turns with none
  reads     one content, a page
  rest      start, memory at rest
  empty     polls and pulls that find nothing
  latency   from the sender's 2xx to whoever waits
  drain     a long backlog by one consumer
  agent     the SDK's loop and restante forward, through a long backlog
  fair      one sender floods: how much later the others are answered
  costs     the requests that cost the main thread most, searched for by a seed
  migrate   positions for contents that are there already
  prune     ingest while old contents are being removed, in turns with ingest alone
  search    terms in 600 MiB of bodies of one user
  idle      ten thousand long polls
  asis      the three shared tables without an index; not on SQLite

--quick: small tables, short rounds; idle and asis only when they are named
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    engine: { type: 'string', multiple: true },
    seed: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const { quick } = values;
const plan = quick
  ? { rounds: 3, seconds: 1, rows: 10_000, python: false }
  : { rounds: 5, seconds: 2, rows: 300_000, python: hasFastApi };
const PARTS: Readonly<Record<string, (url: string) => Promise<void>>> = {
  ingest: (url) => ingest(url, plan),
  preset: (url) => preset(url, plan),
  reads: (url) => reads(url, plan),
  empty: (url) => empty(url, plan),
  latency: (url) => latency(url, { seconds: quick ? 5 : 20 }),
  drain: (url) => drain(url, { rows: quick ? 50_000 : 1_000_000 }),
  agent: (url) => agent(url, { rows: quick ? 20_000 : 100_000 }),
  fair: (url) => fair(url, plan),
  costs: (url) => costs(url, { tries: quick ? 4 : 20, seed: Number(values.seed ?? Date.now() % 1e9) }),
  migrate: (url) => migrate(url, { rows: quick ? 50_000 : 1_000_000 }),
  prune: (url) =>
    prune(url, quick ? { rows: 100_000, rounds: 6, seconds: 2 } : { rows: 1_000_000, rounds: 20, seconds: 5 }),
  search: (url) => search(url, { megabytes: quick ? 100 : 600 }),
  idle: (url) =>
    idle(
      url,
      quick
        ? { pollers: 1_000, pulls: 300, seconds: 10, woken: 200 }
        : { pollers: 10_000, pulls: 2_000, seconds: 60, woken: 1_000 },
    ),
  asis: (url) =>
    asis(
      url,
      quick
        ? { rows: 200_000, webhooks: 200, seconds: 20, patience: 60 }
        : { rows: 5_000_000, webhooks: 1_000, seconds: 60, patience: 300 },
    ),
};
const LONG = ['idle', 'asis'];
const engines = values.engine ?? ['sqlite', 'mariadb', 'mysql'];
const wanted = [...Object.keys(PARTS), 'rest'].filter((part) =>
  values.only === undefined ? !quick || !LONG.includes(part) : part === values.only,
);

async function run(): Promise<void> {
  console.log(
    `node ${process.version}, load by ${hasWrk ? 'wrk' : 'autocannon'}, medians of ${plan.rounds} rounds of ${plan.seconds} s, taken in turns`,
  );
  if (!plan.python)
    console.log(
      quick
        ? 'quick: 10,000 rows, no page from id 0, no FastAPI rows'
        : 'python3-fastapi, python3-aiomysql, uvicorn are not installed: no FastAPI rows',
    );
  const folder = mkdtempSync(join(tmpdir(), 'restante-bench-'));
  const servers = new Map(
    await Promise.all(
      (['mariadb', 'mysql'] as const)
        .filter((one) => engines.includes(one))
        .map(async (one) => [one, await startServer(one)] as const),
    ),
  );
  const urlOf = (engine: string) => servers.get(engine as 'mysql')?.url ?? `sqlite:${folder}/`;
  for (const engine of engines) {
    console.log(`\n## ${servers.get(engine as 'mysql')?.version ?? 'SQLite, WAL, synchronous=FULL'}`);
    for (const part of wanted) {
      if (part === 'rest' || (part === 'asis' && engine === 'sqlite')) continue;
      console.log();
      await PARTS[part]?.(urlOf(engine));
    }
  }
  if (wanted.includes('rest')) await startAndRest(`sqlite:${folder}/rest.db`, plan.rounds);
  for (const server of servers.values()) await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

if (values.help || wanted.length === 0) console.log(HELP);
else await run();
