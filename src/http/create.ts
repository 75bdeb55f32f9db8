// Puts the parts of the service together: store, writer, fence and sender become the context of an app.
import type { Config } from '../config.ts';
import { createAllowance } from '../flow/allowance.ts';
import { createConsumers } from '../flow/consumers.ts';
import { createFresh } from '../flow/fresh.ts';
import { createGather } from '../flow/gather.ts';
import { openReading } from '../flow/reading.ts';
import { openSealer } from '../flow/sealer.ts';
import { createWriter } from '../flow/writer.ts';
import { type ContentKey, findContents } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import { findTargets } from '../store/webhooks.ts';
import type { Context, Log } from './context.ts';
import { createSender } from './sender.ts';
import { createTargetMaker } from './targets.ts';
import { createClockText } from './wire.ts';

// Two queries under way, as with the writer; 64 keys so that all of a busy turn fit.
const READS = { most: 64, lanes: 2 };

export async function createContext(parts: {
  store: Store;
  config: Config;
  log: Log;
  now?: () => number;
}): Promise<Context> {
  const { store, config, log, now = Date.now } = parts;
  const content = createGather((keys: readonly ContentKey[]) => findContents(store, keys, config.maxPageBytes), READS);
  const sealer = await openSealer(store, config.secretsKey, config.databaseUrl);
  const toTarget = createTargetMaker(sealer);
  const reading = await openReading({ store, config, log, content });
  const consumers = createConsumers({ store, tail: reading.tail, maxPageBytes: config.maxPageBytes, log });
  const allowance = createAllowance(store, log, config);
  const onError = (error: unknown, rows: number) =>
    log.error({ error, rows }, 'contents were not stored; their senders got a 503');
  return {
    ...reading,
    consumers,
    async close() {
      consumers.close();
      await reading.close();
    },
    store,
    config,
    log,
    now,
    allowance,
    writer: createWriter(store, {
      onError,
      onCommitted(rows, ids) {
        allowance.stored(rows);
        consumers.committed(rows, ids);
        reading.lists.committed(rows, ids);
      },
    }),
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
