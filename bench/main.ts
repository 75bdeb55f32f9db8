// npm run bench: every figure a ratio, measured in turns in the same run on the same machine. `-- --quick` for commits.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer } from '../test/servers.ts';
import { ingest } from './ingest.ts';
import { hasWrk } from './load.ts';
import { hasFastApi } from './processes.ts';
import { reads } from './reads.ts';
import { startAndRest } from './rest.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    engine: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log('npm run bench [-- --quick] [-- --only ingest|reads|rest] [-- --engine sqlite|mariadb|mysql]');
} else {
  const plan = values.quick
    ? { rounds: 3, seconds: 1, rows: 10_000, python: false }
    : { rounds: 5, seconds: 2, rows: 300_000, python: hasFastApi };
  const engines = values.engine ?? ['sqlite', 'mariadb', 'mysql'];
  const wants = (part: string) => values.only === undefined || values.only === part;
  console.log(
    `node ${process.version}, load by ${hasWrk ? 'wrk' : 'autocannon'}, medians of ${plan.rounds} rounds of ${plan.seconds} s, taken in turns`,
  );
  if (!plan.python)
    console.log(
      values.quick
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
    console.log(`\n## ${servers.get(engine as 'mysql')?.version ?? 'SQLite, WAL, synchronous=FULL'}\n`);
    if (wants('ingest')) await ingest(urlOf(engine), plan);
    if (wants('reads')) await reads(urlOf(engine), plan);
  }
  if (wants('rest')) await startAndRest(`sqlite:${folder}/rest.db`, plan.rounds);
  for (const server of servers.values()) await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
