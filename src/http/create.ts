// Puts the parts of the service together: store, writer, fence and sender become the context of an app.
import type { Config } from '../config.ts';
import { createAllowance } from '../flow/allowance.ts';
import { createConsumers } from '../flow/consumers.ts';
import { createFresh } from '../flow/fresh.ts';
import { createGather } from '../flow/gather.ts';
import { type Memory, watchPressure } from '../flow/pressure.ts';
import { openReading } from '../flow/reading.ts';
import { openSealer } from '../flow/sealer.ts';
import { createTrouble } from '../flow/trouble.ts';
import { createWriter } from '../flow/writer.ts';
import type { Log } from '../log.ts';
import { openMetrics } from '../metrics.ts';
import { type ContentKey, findContents } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import { findTargets } from '../store/webhooks.ts';
import { createIntake } from './body.ts';
import type { Context } from './context.ts';
import { followed, tellStored } from './follow.ts';
import { measured, measureLooks, measureShed, measureState, measureWrites } from './measure.ts';
import { createSender } from './sender.ts';
import { createTargetMaker } from './targets.ts';
import { createClockText } from './wire.ts';

// Two queries under way, as with the writer; 64 keys so that all of a busy turn fit.
const READS = { most: 64, lanes: 2 };

export async function createContext(parts: {
  store: Store;
  config: Config;
  log: Log;
  /** `process`: it knows how much memory it uses and may use. */
  memory: Memory;
  now?: () => number;
}): Promise<Context> {
  const { store, config, log, memory, now = Date.now } = parts;
  const content = createGather((keys: readonly ContentKey[]) => findContents(store, keys, config.maxPageBytes), READS);
  const sealer = await openSealer(store, config.secretsKey, config.databaseUrl, (from) =>
    log.info({ from }, 'the first secret: from now on this database needs this key'),
  );
  const toTarget = createTargetMaker(sealer);
  const metrics = await openMetrics(config.metricsToken !== undefined);
  const reading = await openReading({ store, config, log, content, onLook: measureLooks(metrics) });
  const made = createConsumers({ store, tail: reading.tail, maxPageBytes: config.maxPageBytes, log });
  const counted = metrics.enabled ? measured(metrics, made) : made;
  const debug = config.logLevel === 'debug';
  const consumers = debug ? followed(log, counted) : counted;
  const writes = measureWrites(metrics);
  const trouble = createTrouble(log, writes.onError);
  const allowance = createAllowance(store, log, config);
  const writer = createWriter(store, {
    onBatch: writes.onBatch,
    onError: trouble.failed,
    onCommitted(rows, ids) {
      trouble.stored();
      allowance.stored(rows);
      if (debug) tellStored(log, rows, ids);
      consumers.committed(rows, ids);
      reading.lists.committed(rows, ids);
    },
  });
  const shed = measureShed(metrics);
  store.db.hosts?.onMove((from, to, reason) =>
    log.warn({ from, to, reason }, 'the database is reached at another of its hosts now'),
  );
  const pressure = watchPressure(log, memory, config.maxMemoryMb);
  measureState(metrics, { store, writer, tail: reading.tail, pressure });
  return {
    ...reading,
    consumers,
    async close() {
      pressure.close();
      consumers.close();
      await reading.close();
    },
    store,
    config,
    log,
    now,
    allowance,
    intake: createIntake(),
    trouble,
    pressure,
    shed(why) {
      shed(why);
      trouble.shed(why);
    },
    writer,
    metrics,
    content,
    sealer,
    targets: createFresh(async (keys: readonly string[]) => {
      const rows = await findTargets(store.db, keys, now());
      return new Map(rows.map((row) => [row.url_key, toTarget(row)]));
    }),
    clockText: createClockText(config.dtTimezone),
    sender: createSender(config.trustProxy, (message) => log.warn({}, message)),
  };
}
