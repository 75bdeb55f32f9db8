// The consumers of the users: makes, changes and deletes them, pulls and acks, moves them, and redrives their dead letters.
import { COUNTED } from '../admission/resources.ts';
import { conflict, type FieldError, invalid, startNeeded } from '../errors.ts';
import type { OwnWrites } from '../reading/lists.ts';
import type { Cancellation, Tail } from '../reading/tail.ts';
import { countStock, readBacklog } from '../store/backlog.ts';
import {
  type ConsumerRow,
  type ConsumerSettings,
  createConsumer,
  deleteConsumer,
  findConsumer,
  type Locked,
  listConsumers,
  listDead,
  updateConsumer,
} from '../store/consumers.ts';
import { type Change, type Changed, changeConsumer, type LeaseRows } from '../store/leases.ts';
import type { Store } from '../store/open.ts';
import { createBatcher } from '../store/shared-reads.ts';
import { ownWebhooks } from '../store/webhooks.ts';
import { decodeLease, type Lease } from './lease-token.ts';
import { ack, type Done, extend, type Nack, nack } from './leases.ts';
import { type ConsumerState, createPull, deleted, type Pulled, type PullOptions, stateOf } from './pull.ts';
import { findTarget, redeliver, reviveDead, type Start, seek } from './seek.ts';
import { carriedOf, createSessions, inLane } from './sessions.ts';

/** A lease as a call names it, and which of its contents are meant; undefined = all. */
export interface LeaseCall {
  readonly lease: string;
  readonly ids?: readonly number[] | undefined;
}
type PullCall = Omit<PullOptions, 'ack'> & { readonly ack?: LeaseCall | undefined };
export interface Seen {
  readonly consumer: ConsumerRow;
  readonly state: ConsumerState;
}

export type Consumers = ReturnType<typeof createConsumers>;

interface ConsumersParts {
  readonly store: Store;
  readonly tail: Pick<Tail, 'onPosition' | 'readableId' | 'age'>;
  readonly ownWrites: Pick<OwnWrites, 'positioned'>;
  readonly maxPageBytes: number;
  readonly log?: { warn(data: object, message: string): void };
}

/** What a change means for what is known of a consumer in use. */
interface Effect<T> {
  /** A consumer that was known to be empty may not be empty any more. */
  readonly afresh?: boolean;
  /** How many were acked, for a change that does nothing else to the leases. */
  readonly removed?: (result: T) => number;
}

const DEFAULTS: ConsumerSettings = {
  whids: null,
  lease_seconds: 30,
  max_attempts: 10,
  ordered: false,
  duplicates: 'deliver',
};
// How many dead letters one call revives.
const MOST_RETRIED = 5_000;
// Of the connections that read, lists of consumers take half, those of all users together.
const COUNTED_AT_ONCE = 4;
// So long a list may take, with those of other users before it.
const LIST_MS = 10_000;

export function createConsumers({ store, tail, ownWrites, maxPageBytes, log }: ConsumersParts) {
  const { db } = store;
  const onError = (error: unknown) => log?.warn({ error }, 'cannot look for changes of consumers; trying again');
  const sessions = createSessions({ db, tail, onError });
  const { make, checkWhids } = createMaker(store, ownWrites);

  const seen = async (consumer: ConsumerRow): Promise<Seen> => {
    const backlog = await readBacklog(db, consumer);
    const shown = (ms: number) => (ms === 0 ? 0 : Math.max(1, ms - backlog.now + backlog.wall));
    const { created_ms, pulled_ms } = consumer;
    const byClock = { ...consumer, created_ms: shown(created_ms), pulled_ms: shown(pulled_ms) };
    return { consumer: byClock, state: stateOf(backlog, consumer, backlog.wall) };
  };
  async function find(userId: number, name: string): Promise<ConsumerRow> {
    const consumer = await findConsumer(db, userId, name);
    if (!consumer) throw deleted(name);
    return consumer;
  }

  /** Changes a consumer in its turn, and wakes a waiter if there may be a content for it now. */
  async function change<T>(
    userId: number,
    name: string,
    work: (rows: LeaseRows, locked: Locked) => Promise<Change<T>>,
    { afresh = false, removed }: Effect<T> = {},
  ): Promise<Changed<T>> {
    const session = sessions.peek(userId, name);
    const run = async () => {
      const made = await changeConsumer(db, userId, name, work);
      if (!made) throw deleted(name);
      const { consumer, before, now, result } = made;
      if (!session || consumer.version === session.consumer?.version) return made;
      const step = removed && { before, after: consumer, removed: removed(result), claimed: undefined, now };
      const backlog = step && carriedOf(session, step);
      sessions.update(session, consumer, made, { emptyUpTo: afresh || consumer.ordered ? -1 : undefined, backlog });
      return made;
    };
    const made = await (session ? inLane(session, run) : run());
    if (session) sessions.wakeNext(session, false);
    return made;
  }

  /** All was done, or the caller gets the ids that could not be. */
  const whole = <T extends Done>(outcome: T): T => {
    if (outcome.conflicts.length > 0) throw conflict({ done: outcome.done, conflicts: outcome.conflicts });
    return outcome;
  };
  const leased = async <T extends Done>(
    userId: number,
    name: string,
    call: LeaseCall,
    work: (rows: LeaseRows, locked: Locked, lease: Lease) => Promise<Change<T>>,
    effect?: Effect<T>,
  ): Promise<T> => {
    const lease = readLease(call, 'body.lease');
    return whole((await change(userId, name, (rows, locked) => work(rows, locked, lease), effect)).result);
  };

  const pull = createPull({
    store,
    sessions,
    maxPageBytes,
    make: (userId, name, start) => make(userId, name, DEFAULTS, start),
  });

  // Each of a hundred consumers is counted by a statement of its own. All at once they would take every connection, and the calls of
  // all other users wait behind them.
  const lists = createBatcher<number, Seen[]>(
    async (userIds) => {
      const all = new Map<number, Seen[]>();
      for (const userId of userIds) {
        const rows = await listConsumers(db, userId);
        const some: Seen[] = [];
        for (let i = 0; i < rows.length; i += COUNTED_AT_ONCE)
          some.push(...(await Promise.all(rows.slice(i, i + COUNTED_AT_ONCE).map(seen))));
        all.set(userId, some);
      }
      return all;
    },
    { most: 1, lanes: 1, deadlineMs: LIST_MS },
  );

  return {
    /** Makes a consumer or gives it these settings; what is left out has its default. `start` counts for a new one only. */
    async put(userId: number, name: string, given: Partial<ConsumerSettings>, start?: Start) {
      const settings = { ...DEFAULTS, ...given };
      const before = await findConsumer(db, userId, name);
      await checkWhids(userId, settings.whids, before?.whids ?? []);
      const made = !before && (await make(userId, name, settings, start));
      if (!made) await updateConsumer(db, userId, name, settings);
      const consumer = await find(userId, name);
      // The waiters look again: they may read other webhooks now.
      if (!made && sessions.peek(userId, name))
        await change(userId, name, async (_, { consumer }) => ({ consumer, result: undefined }), { afresh: true });
      return { ...(await seen(consumer)), made };
    },
    get: async (userId: number, name: string) => seen(await find(userId, name)),
    list: async (userId: number): Promise<Seen[]> => (await lists(userId)) ?? [],
    async remove(userId: number, name: string): Promise<void> {
      if (!(await deleteConsumer(db, userId, name))) throw deleted(name);
      const session = sessions.peek(userId, name);
      if (session) sessions.drop(session, true);
    },
    async pull(userId: number, name: string, call: PullCall, ended: Cancellation): Promise<Pulled> {
      const { ack: acks, ...options } = call;
      const asked = acks && { lease: readLease(acks, 'body.ack'), ids: acks.ids };
      if (call.waitMs === 0) await ownWrites.positioned(userId);
      return pull(userId, name, { ...options, ack: asked }, ended);
    },
    async ack(userId: number, name: string, call: LeaseCall): Promise<Done> {
      const work = (rows: LeaseRows, locked: Locked, lease: Lease) => ack(rows, locked, lease, call.ids);
      const { done, conflicts } = await leased(userId, name, call, work, { removed: (result) => result.removed });
      return { done, conflicts };
    },
    nack: (userId: number, name: string, call: LeaseCall, how: Nack): Promise<Done> =>
      leased(userId, name, call, (rows, locked, lease) => nack(rows, locked, lease, call.ids, how)),
    /** `due` is when the lease ends now, by the clock. */
    async extend(userId: number, name: string, call: LeaseCall, seconds?: number) {
      const lease = readLease(call, 'body.lease');
      const { result, now, wall } = await change(userId, name, (rows, locked) =>
        extend(rows, locked, lease, call.ids, (seconds ?? locked.consumer.lease_seconds) * 1000),
      );
      return { ...whole(result), due: result.due - now + wall };
    },
    async seek(userId: number, name: string, to: Start): Promise<Seen> {
      await Promise.all([find(userId, name), ownWrites.positioned(userId)]);
      const target = await findTarget(db, userId, to);
      return seen(
        (await change(userId, name, (rows, locked) => seek(rows, locked, target), { afresh: true })).consumer,
      );
    },
    dead: async (userId: number, name: string, from: number, limit: number) =>
      listDead(db, (await find(userId, name)).id, from, limit),
    /** `more`: there are dead letters left. */
    async retry(userId: number, name: string, ids?: readonly number[]) {
      const { consumer, result } = await change(userId, name, (rows, locked) =>
        reviveDead(rows, locked, ids, MOST_RETRIED),
      );
      return { ...whole(result), more: ids === undefined && consumer.dead > 0 };
    },
    async redeliver(userId: number, name: string, ids: readonly number[]): Promise<Done> {
      await ownWrites.positioned(userId);
      return whole((await change(userId, name, (rows, locked) => redeliver(rows, locked, ids))).result);
    },
    close: () => sessions.close(),
  };
}

function readLease({ lease }: LeaseCall, path: string): Lease {
  const read = decodeLease(lease);
  if (!read) throw invalid([{ path, message: 'is not a lease. Send the text that the pull gave you' }]);
  return read;
}

// New consumers: which webhooks they may read, where they begin, how many a user may have.

// With more contents than this, the call that makes a consumer must say where it begins: earliest is then no safe guess.
const MOST_UNASKED = 1_000;
const MOST_STOCK = 100_000;

function createMaker(store: Store, ownWrites: Pick<OwnWrites, 'positioned'>) {
  const { db } = store;
  const making = new Map<number, Promise<unknown>>();

  /** Resolves with false when another call made it meanwhile. */
  async function make(
    userId: number,
    name: string,
    settings: ConsumerSettings,
    start: Start | undefined,
  ): Promise<boolean> {
    await ownWrites.positioned(userId);
    let from = start;
    if (from === undefined) {
      const { count, oldest_ms, now } = await countStock(db, { user_id: userId, whids: settings.whids }, MOST_STOCK);
      const oldest_age_s = oldest_ms === null ? null : Math.max(0, Math.floor((now - oldest_ms) / 1000));
      if (count > MOST_UNASKED) throw startNeeded({ count, count_more: count === MOST_STOCK, oldest_age_s });
      from = 'earliest';
    }
    const { pos, id } = await findTarget(db, userId, from);
    const row = { ...settings, user_id: userId, name, start_pos: pos, cursor_id: id };
    // One at a time for each user: in the database they would only wait for each other, as each counts the others.
    const before = making.get(userId) ?? Promise.resolve();
    const made = before.then(() => createConsumer(db, row, COUNTED.consumers.each()));
    const settled = made.catch(() => {}).then(() => void (making.get(userId) === settled && making.delete(userId)));
    making.set(userId, settled);
    if ((await made) === 'limit') throw COUNTED.consumers.refusal(COUNTED.consumers.each());
    return (await made) === 'made';
  }

  /** Rejects when one of them is neither the user's nor among `known`, those that the consumer reads already. */
  async function checkWhids(userId: number, whids: readonly number[] | null, known: readonly number[]): Promise<void> {
    const asked = whids?.filter((whId) => whId !== 0 && !known.includes(whId)) ?? [];
    if (asked.length === 0) return;
    const own = await ownWebhooks(store, userId, asked);
    const errors: FieldError[] = asked
      .filter((whId) => !own.has(whId))
      .map((whId) => ({ path: 'body.whid', message: `has ${whId}, which is not a webhook of yours` }));
    if (errors.length > 0) throw invalid(errors);
  }

  return { make, checkWhids };
}
