// Makes consumers: which webhooks they may read, where they begin, how many a user may have.
import { type FieldError, invalid, startNeeded, tooManyConsumers } from '../errors.ts';
import { type ConsumerSettings, createConsumer } from '../store/consumers.ts';
import type { Store } from '../store/index.ts';
import { countStock } from '../store/places.ts';
import { listWebhooks } from '../store/webhooks.ts';
import type { OwnWrites } from './ownwrites.ts';
import { findTarget, type Start } from './starts.ts';

const MOST_CONSUMERS = 100;
// So many may wait for a new consumer that does not say where it begins; above it nobody knows what its owner wants.
const MOST_UNASKED = 1_000;
const MOST_STOCK = 100_000;

export interface Maker {
  /** Resolves with false when somebody else made it meanwhile. */
  make(userId: number, name: string, settings: ConsumerSettings, start: Start | undefined): Promise<boolean>;
  /** Rejects when one of them is neither the user's nor among those it reads already. */
  checkWhids(userId: number, whids: readonly number[] | null, known: readonly number[]): Promise<void>;
}

export function createMaker(store: Store, own: OwnWrites): Maker {
  const { db } = store;
  const making = new Map<number, Promise<unknown>>();

  async function make(
    userId: number,
    name: string,
    settings: ConsumerSettings,
    start: Start | undefined,
  ): Promise<boolean> {
    await own.settled(userId);
    let from = start;
    if (from === undefined) {
      const { count, oldest_ms, now } = await countStock(db, { user_id: userId, whids: settings.whids }, MOST_STOCK);
      const oldest_age_s = oldest_ms === null ? null : Math.max(0, Math.floor((now - oldest_ms) / 1000));
      if (count > MOST_UNASKED) throw startNeeded({ count, count_more: count === MOST_STOCK, oldest_age_s });
      from = 'earliest';
    }
    const { pos, id } = await findTarget(db, userId, from);
    const row = { ...settings, user_id: userId, name, start_pos: pos, cursor_id: id };
    // Of one user one at a time: they would only meet in the database, where each counts the others.
    const before = making.get(userId) ?? Promise.resolve();
    const made = before.then(() => createConsumer(db, row, MOST_CONSUMERS));
    const settled = made.catch(() => {}).then(() => void (making.get(userId) === settled && making.delete(userId)));
    making.set(userId, settled);
    if ((await made) === 'limit') throw tooManyConsumers(MOST_CONSUMERS);
    return (await made) === 'made';
  }

  async function checkWhids(userId: number, whids: readonly number[] | null, known: readonly number[]): Promise<void> {
    const asked = whids?.filter((whId) => whId !== 0 && !known.includes(whId)) ?? [];
    if (asked.length === 0) return;
    const own = new Set((await listWebhooks(store, userId)).map(({ wh_id }) => wh_id));
    const errors: FieldError[] = asked
      .filter((whId) => !own.has(whId))
      .map((whId) => ({ path: 'body.whid', message: `has ${whId}, which is not a webhook of yours` }));
    if (errors.length > 0) throw invalid(errors);
  }

  return { make, checkWhids };
}
