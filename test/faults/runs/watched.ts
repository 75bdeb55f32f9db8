// A service in a process of its own that tells how much memory it had at most, and how long its longest turn was.
import { readConfig } from '../../../src/config/config.ts';
import { createService } from '../../../src/service.ts';
import { openStore } from '../../../src/store/open.ts';
import { watchStalls } from '../../support/stalls.ts';

/** What the process tells when it is asked. */
export interface Report {
  /** The most that was resident, in MB. */
  readonly residentMb: number;
  /** The longest turn in ms, on a machine that is so much slower than the one for which limits are meant. */
  readonly worstMs: number;
  readonly slowness: number;
  readonly waiting: number;
  /** Contents that were read from the table for readers, and bytes of their answers that are counted now. */
  readonly read: number;
  readonly answers: number;
}

const quiet = () => {};
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const databaseUrl = process.argv[2] as string;
const config = readConfig({ ...process.env, PORT: '0', SECRETS_KEY: '5e'.repeat(32), DATABASE_URL: databaseUrl });
const store = await openStore(databaseUrl);
let read = 0;
const { scan } = store.db;
Object.assign(store.db, {
  scan: ((sql, params, each) =>
    scan(sql, params, (row: never) => {
      read++;
      return each(row);
    })) as typeof scan,
});
const app = await createService({ store, config, log, memory: process });
const port = await app.listen({ host: '127.0.0.1', port: 0 });
let stalls = watchStalls();
process.on('message', (what) => {
  if (what === 'again') {
    stalls.worst();
    stalls = watchStalls();
    read = 0;
    process.send?.('ready');
    return;
  }
  const { rooms } = app.parts;
  const report: Report = {
    residentMb: process.resourceUsage().maxRSS / 1024,
    worstMs: stalls.worst(),
    slowness: stalls.slowness,
    waiting: rooms.waiting.held,
    read,
    answers: rooms.answers.held,
  };
  process.send?.(report);
});
process.send?.(port);
