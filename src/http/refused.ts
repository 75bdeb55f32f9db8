// Notes refusals beside the answer: in batches, never in the way of a sender, dropped when they come too fast.
import type { RefusalKind } from '../schema.ts';
import { insertRefusals, type NewRefusal } from '../store/refusals.ts';
import type { Target } from '../store/webhooks.ts';
import type { Context } from './context.ts';

const MOST_WAITING = 1_000;
const BATCH = 64;

export interface Refusals {
  add(target: Target, kind: RefusalKind, reason: string, size: number | null, ip: string, head: Buffer): void;
  drain(): Promise<void>;
}

export function createRefusals({ store, log, now }: Context): Refusals {
  let waiting: NewRefusal[] = [];
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      await insertRefusals(store.db, batch).catch((error: unknown) => log.warn({ error }, 'refusals were not noted'));
    }
    running = undefined;
  }

  return {
    add({ user_id, wh_id }, kind, reason, size, ip, head) {
      if (waiting.length >= MOST_WAITING) return;
      waiting.push({ user_id, wh_id, kind, reason, size, received_ms: now(), ip, head });
      running ??= run();
    },
    drain: async () => running,
  };
}
