// Judges what came before the secret of its webhook, for the verbs that set one and for a service that was away meanwhile.
import type { Config } from '../config.ts';
import type { Sealer } from '../flow/sealer.ts';
import type { Context } from '../http/context.ts';
import { releaseWaiting } from '../http/release.ts';
import { isToken } from '../http/sealedtoken.ts';
import { rulesOf } from '../http/targets.ts';
import { createClockText } from '../http/wire.ts';
import type { Store } from '../store/index.ts';
import { listRefusals, listWithoutSecret, pruneRefusals } from '../store/refusals.ts';
import { findWebhook } from '../store/webhooks.ts';
import type { Io } from './io.ts';

const MOST_COUNTED = 1_000;

/** What became of the requests that waited, and how many were refused and may pass now; nothing of what there is none of. */
export async function judgeWaiting(
  { io, store, config, sealer }: { io: Io; store: Store; config: Config; sealer: Sealer },
  userId: number,
  whId: number,
): Promise<{ released?: number; waiting?: number; refused?: number }> {
  const tell = ({ error }: { error?: unknown }, message: string) =>
    io.err(`${message}${error instanceof Error ? `: ${error.message}` : ''}\n`);
  const log = { debug() {}, info() {}, warn: tell, error: tell };
  const clockText = createClockText(config.dtTimezone);
  const released = await releaseWaiting({ store, config, sealer, clockText, log }, userId, whId);
  const count = async (kind: string) => {
    const filter = { wh_id: whId, kind, releasable: true, from: 0, limit: MOST_COUNTED };
    return (await listRefusals(store.db, userId, filter)).length;
  };
  const [waiting, refused] = [await count('secret_missing'), await count('signature')];
  return {
    ...(released + waiting > 0 ? { released } : {}),
    ...(waiting > 0 ? { waiting } : {}),
    ...(refused > 0 ? { refused } : {}),
  };
}

const FIRST_MS = 3_000;
const EVERY_MS = 60 * 60_000;
// Judged again once, an hour later, for what was on its way when the secret was set; then what is left is forged.
const TIMES = 2;

/** What a service does once an hour: drops old refusals, and judges what still waits for a secret that is set by now. */
export function startChores(
  context: Context,
  { firstMs = FIRST_MS, everyMs = EVERY_MS } = {},
): { stop(): Promise<void> } {
  const { store, log } = context;
  const judged = new Map<number, { readonly mark: string; times: number }>();
  let stopping = false;

  /** Not while nothing can have changed: of a webhook that is being flooded, ten thousand may wait. */
  async function due(userId: number, whId: number): Promise<boolean> {
    const webhook = await findWebhook(store, userId, whId);
    if (!webhook?.settings) return false;
    if (webhook.secrets.every(isToken) && rulesOf(webhook.settings)?.check) return false;
    const mark = JSON.stringify([webhook.settings, webhook.secrets.map(({ id }) => id)]);
    const before = judged.get(whId);
    const times = before?.mark === mark ? before.times + 1 : 1;
    judged.set(whId, { mark, times });
    return times <= TIMES;
  }

  async function run(): Promise<void> {
    try {
      await pruneRefusals(store.db, Date.now());
      for (const { user_id, wh_id } of await listWithoutSecret(store.db))
        if (!stopping && (await due(user_id, wh_id))) await releaseWaiting(context, user_id, wh_id);
    } catch (error) {
      log.warn({ error }, 'old refusals were not dropped, or not all that waited were judged');
    }
  }

  let running = Promise.resolve();
  const next = () => {
    running = running.then(run);
  };
  if (!store.extended) return { stop: async () => {} };
  const first = setTimeout(next, firstMs);
  const hourly = setInterval(next, everyMs);
  return {
    stop() {
      stopping = true;
      clearTimeout(first);
      clearInterval(hourly);
      return running;
    },
  };
}
