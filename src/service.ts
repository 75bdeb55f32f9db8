// Puts the parts of the service together: store, writer, fence and sender become the context of an app.

import { createClockText } from './api/wire.ts';
import type { Config } from './config/config.ts';
import { createConsumers } from './consumers/consumers.ts';
import type { Context } from './context.ts';
import { createSender } from './http/address.ts';
import { createIntake } from './http/body.ts';
import { createTrouble, followed, tellStored } from './observe/incidents.ts';
import type { Log } from './observe/log.ts';
import { measured, measureLooks, measureShed, measureState, measureWrites, openMetrics } from './observe/metrics.ts';
import { type Memory, watchPressure } from './observe/overload.ts';
import { openReading } from './reading/open.ts';
import { createAllowance } from './receiver/quota.ts';
import { createWriter } from './receiver/writer.ts';
import { createFresh, createGather } from './store/batch.ts';
import { type ContentKey, findContents } from './store/contents.ts';
import type { Store } from './store/open.ts';
import { findTargets } from './store/webhooks.ts';
import { openSealer } from './webhooks/sealer.ts';
import { createTargetMaker } from './webhooks/target.ts';

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
