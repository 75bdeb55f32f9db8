// Puts the parts of the service together: store, writer, fence and sender become the context of an app.
import type { Config } from '../config.ts';
import { createFence } from '../flow/fence.ts';
import { createFresh } from '../flow/fresh.ts';
import { createGather } from '../flow/gather.ts';
import { createWriter } from '../flow/writer.ts';
import { type ContentKey, findContents } from '../store/contents.ts';
import type { Store } from '../store/index.ts';
import { findTargets } from '../store/webhooks.ts';
import type { Context, Log } from './context.ts';
import { createSender } from './sender.ts';
import { createClockText } from './wire.ts';

// Two queries under way, as with the writer; 64 keys so that all of a busy turn fit.
const READS = { most: 64, lanes: 2 };

export function createContext(parts: { store: Store; config: Config; log: Log; now?: () => number }): Context {
  const { store, config, log, now = Date.now } = parts;
  const onError = (error: unknown, rows: number) =>
    log.error({ error, rows }, 'contents were not stored; their senders got a 503');
  return {
    store,
    config,
    log,
    now,
    writer: createWriter(store, { onError }),
    fence: createFence(store),
    content: createGather((keys: readonly ContentKey[]) => findContents(store, keys, config.maxPageBytes), READS),
    targets: createFresh((keys: readonly string[]) => findTargets(store.db, keys, now())),
    clockText: createClockText(config.dtTimezone),
    sender: createSender(config.trustProxy, (message) => log.warn({}, message)),
  };
}
