// Looks for what a request that failed its check was near to: another secret of its owner, another URL, a clock.
import type { Incoming, Secret } from '../receive/incoming.ts';
import { nearMiss } from '../receive/nearmiss.ts';
import { listSealed } from '../store/webhooks.ts';
import type { Context } from './context.ts';
import { openSecrets, ownerOf, type Target } from './targets.ts';

interface Other {
  readonly wh_id: number;
  readonly secret: Secret;
}
// Each try is a hash over the whole body: of a large one, and with very many secrets, nobody looks for the reason.
const MOST_BYTES = 1024 * 1024;
const MOST_OTHERS = 50;
// Strangers cause this work, and everybody waits for it: a tenth of the time, after a start of 200 ms.
const SHARE = 0.1;
const CREDIT_MS = 200;

export type NearMisses = (target: Target, incoming: Incoming) => Promise<string | null>;

export function createNearMisses({ store, sealer }: Pick<Context, 'store' | 'sealer'>): NearMisses {
  /** Secrets of the user's other webhooks; no more are decrypted than are tried. */
  async function othersOf(userId: number, whId: number): Promise<Other[]> {
    const rows = (await listSealed(store.db, userId)).filter((row) => row.wh_id !== whId).slice(0, MOST_OTHERS);
    const all = rows.flatMap(({ wh_id, secrets }) =>
      (openSecrets(sealer, ownerOf(userId, wh_id), secrets) ?? []).map((secret) => ({ wh_id, secret })),
    );
    return all.slice(0, MOST_OTHERS);
  }

  let credit = CREDIT_MS;
  let at = performance.now();
  function spend(ms: number): void {
    const now = performance.now();
    credit = Math.min(CREDIT_MS, credit + (now - at) * SHARE) - ms;
    at = now;
  }

  return async ({ user_id, wh_id, rules, secrets }, incoming) => {
    spend(0);
    if (credit <= 0 || !rules || !secrets || incoming.body.length > MOST_BYTES) return null;
    const others = await othersOf(user_id, wh_id);
    const began = performance.now();
    try {
      return nearMiss(rules, secrets, incoming, others);
    } finally {
      spend(performance.now() - began);
    }
  };
}
