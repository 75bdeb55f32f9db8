// Pulls contents ahead of their readers, keeps their leases, and tells the server what became of them.
import type { ConsumeOptions, Delivery } from './consume.ts';
import type { Api } from './index.ts';
import { createLeases, type GivenBack, type Lease } from './lease.ts';
import { type CallOptions, RestanteError } from './transport.ts';

/** What a pump takes of the API. */
export type Calls = ReturnType<Api['consumer']> & Pick<Api, 'healthz'>;
type Pulled = Awaited<ReturnType<Calls['pull']>>;
/** One content, queued or in the hand of a reader. */
export interface Held {
  lease: Lease;
  readonly id: number;
  readonly content: Delivery;
}

// Together they notice within 10 s a connection that died without a word. A server that is only slow gets more time at each try.
const WAIT_S = 6;
const QUIET_MS = 4_000;
const MOST_BATCH = 500;
const QUICK_MS = 1_000;
// Acks travel with the next pull; when none is due they go by themselves.
const FLUSH_MS = 200;
// Leases are extended at least so often, which also shows that the server still answers.
const BEAT_MS = 15_000;

export function createPump(calls: Calls, options: ConsumeOptions) {
  const { concurrency = 1, lease_seconds = 30, batch: most = MOST_BATCH, signal, onState = () => {} } = options;
  const leases = createLeases(calls);
  const held = new Map<number, Held>();
  const queue: Held[] = [];
  let server = { backlog: 0, backlog_more: false, dead: 0 };
  // Few at first: other workers may want some too.
  let size = Math.min(most, concurrency);
  const wake: (() => void)[] = [];
  const ended = new AbortController();
  let running: Promise<void> | undefined;
  let ordered: Promise<boolean> | undefined;
  let telling: Promise<void> | undefined;
  let failure: unknown;
  let readers = 0;
  const over = () => ended.signal.aborted || failure !== undefined;

  const wakeAll = () => {
    for (const one of wake.splice(0)) one();
  };
  const changed = () => new Promise<void>((resolve) => wake.push(resolve));
  const answered = () => onState({ state: 'connected', ...server, ahead: queue.length });

  function deliver(lease: Lease, item: Pulled['items'][number]): Held {
    const methods = {
      ack: { value: () => done(one) },
      nack: { value: (how?: GivenBack) => giveBack(one, how) },
    };
    const one: Held = { lease, id: item.id, content: Object.defineProperties(item, methods) as unknown as Delivery };
    held.set(item.id, one);
    return one;
  }

  function done({ lease, id }: Held): void {
    leases.done(lease, id);
    if (!telling) tell();
  }

  /** One call at a time: further acks gather meanwhile. */
  function tell(): void {
    telling = sleep(FLUSH_MS, ended.signal)
      .then(leases.flush)
      .then(
        () => {
          telling = undefined;
          if (leases.untold) tell();
        },
        (error: unknown) => {
          telling = undefined;
          broken(error);
        },
      );
  }

  const forget = (one: Held) => held.get(one.id) === one && held.delete(one.id);

  /** Resolves when the server knows: of an ordered consumer, later contents must wait for it. */
  async function giveBack(one: Held, how?: GivenBack): Promise<void> {
    // It may come again before the answer.
    forget(one);
    for (let failures = 0; !over(); failures++) {
      try {
        ordered ??= calls.get({ signal: ended.signal }).then((consumer) => consumer.ordered);
        await leases.giveBack(one.lease, [one.id], how);
        // The server gave back those behind it too: to extend them tells that they are not ours any more.
        if (await ordered) await leases.extend(lease_seconds, one.lease);
        return;
      } catch (error) {
        ordered = undefined;
        broken(error);
        await sleep(backOff(failures), ended.signal);
      }
    }
    await soon(leases.giveBack(one.lease, [one.id], how));
  }

  function broken(error: unknown): void {
    if (error instanceof RestanteError && error.temporary) onState({ state: 'broken', error });
    else {
      failure ??= error;
      wakeAll();
    }
  }

  async function pull(limitMs: number): Promise<void> {
    const acked = leases.take();
    const began = performance.now();
    const more = { signal: ended.signal, timeoutMs: limitMs };
    const body = { limit: size, wait: WAIT_S, lease_seconds, ...(options.start ? { start: options.start } : {}) };
    const pulled = await calls.pull(acked ? { ...body, ack: acked.body } : body, more).catch((error: unknown) => {
      acked?.settled(false);
      throw error;
    });
    acked?.settled(true);
    const { lease: text, items, poll_after_ms, ...state } = pulled;
    server = state;
    if (text !== null && items.length > 0) {
      const ids = items.map(({ id }) => id);
      const lease = leases.add(text, ids);
      for (const item of items) {
        // Its lease had ended, and it was handed out to us again: it keeps its place, under the new lease.
        const known = held.get(item.id);
        if (known) known.lease = lease;
        else queue.push(deliver(lease, item));
      }
    }
    answered();
    if (items.length === 0) return sleep(poll_after_ms, ended.signal);
    // As many as are worked through in a second: other workers want some too, and a lease must not end meanwhile.
    const full = items.length >= size;
    wakeAll();
    while (queue.length > size / 2 && !over()) await changed();
    const took = performance.now() - began;
    if (full && took < QUICK_MS) size = Math.min(most, size * 2);
    else if (took > QUICK_MS * 4) size = Math.max(1, concurrency, size >> 1);
  }

  async function run(): Promise<void> {
    const heard = (asked: boolean) => asked && answered();
    const beat = () => void leases.extend(lease_seconds).then(heard).catch(broken);
    const beating = setInterval(beat, Math.min((lease_seconds * 1000) / 3, BEAT_MS));
    for (let failures = 0, quietMs = QUIET_MS; !over(); ) {
      const began = performance.now();
      try {
        if (failures > 0) {
          await reach(calls.healthz, ended.signal);
          await leases.flush();
        }
        await pull(quietMs);
        failures = 0;
        quietMs = QUIET_MS;
      } catch (error) {
        if (over()) break;
        broken(error);
        const took = performance.now() - began;
        if (!over()) await sleep(backOff(failures++, (error as RestanteError).retryAfter, took), ended.signal);
        quietMs *= 2;
      }
    }
    ended.abort();
    wakeAll();
    // Other workers get at once the contents on which no work has begun.
    const byLease = new Map<Lease, number[]>();
    for (const { lease, id } of queue.splice(0)) byLease.set(lease, [...(byLease.get(lease) ?? []), id]);
    await soon(Promise.all([...byLease].map(([lease, ids]) => leases.giveBack(lease, ids, { untried: true }))));
    while (readers > 0) await changed();
    clearInterval(beating);
    const last = async () => {
      while (telling) await telling;
      await leases.flush();
    };
    await soon(last());
  }

  function stop(): void {
    ended.abort();
    wakeAll();
  }

  return {
    /** One more reader; the first one starts it. */
    enter(): void {
      readers++;
      if (running) return;
      signal?.addEventListener('abort', stop);
      if (signal?.aborted) stop();
      running = run();
    },
    /** The next content for one reader. Undefined: the pump has ended. */
    async next(): Promise<Held | undefined> {
      wakeAll();
      while (!over()) {
        const one = queue.shift();
        if (!one) await changed();
        else if (one.lease.open.has(one.id)) return one;
        // No longer ours.
        else forget(one);
      }
      return undefined;
    },
    /** Worked through. */
    done(one: Held): void {
      done(one);
      forget(one);
    },
    giveBack,
    /** The last reader ends it. Rejects with why it cannot go on. */
    async leave(): Promise<void> {
      readers--;
      wakeAll();
      if (readers > 0) return;
      stop();
      await running;
      signal?.removeEventListener('abort', stop);
      if (failure !== undefined) throw failure;
    },
  };
}

// Reaching a server again that did not answer ------------------------------------------------------------------------

const PROBES = 6;
const EVERY_MS = 500;
const TIMEOUT_MS = 3_000;

/** Resolves as soon as the server answers anything. A pull instead may wait in vain on a dead connection for its whole time. */
async function reach(healthz: (more: CallOptions) => Promise<unknown>, ended: AbortSignal): Promise<void> {
  const done = new AbortController();
  const signal = AbortSignal.any([ended, done.signal]);
  // Idle connections have died too, and would be tried in turn: several calls ask at once, each over its own connection.
  const asked = Array.from({ length: PROBES }, async (_, i) => {
    await sleep(i * EVERY_MS, signal);
    await healthz({ signal, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
      if (!(error instanceof RestanteError) || error.status === 0) throw error;
    });
  });
  await Promise.any(asked)
    .catch(({ errors }: AggregateError) => Promise.reject(errors[0]))
    .finally(() => done.abort());
}

// Waiting between tries ----------------------------------------------------------------------------------------------

const FIRST_MS = 250;
// A server that comes back is found within seconds.
const MOST_MS = 5_000;
// A program that ends waits no longer than this for a server that does not answer.
const END_MS = 3_000;

/**
 * How long to wait after so many failures, in ms, with some chance in it; at least what the server asked for. `took`: the ms that the
 * failed call itself took, which count as waited.
 */
export const backOff = (failures: number, retryAfter = 0, took = 0): number =>
  Math.max(
    retryAfter * 1000,
    Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2) - took,
  );

/** Resolves after `ms`, or at once when `signal` is aborted. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });

/** Done, failed, or not waited for any longer. */
export function soon(work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const settled = work.then(
    () => {},
    () => {},
  );
  return Promise.race([settled, sleep(END_MS, done.signal)]).finally(() => done.abort());
}
