// Contents of a consumer as an async iterable: pulled ahead, acked when the loop goes on, given back when it ends before.
import type { Content } from './content.ts';
import { RestanteError } from './error.ts';
import { createLeases, type Lease, type LeaseCalls, type Named } from './lease.ts';
import { backOff, sleep } from './wait.ts';

type Start = 'earliest' | 'latest' | { readonly id: number } | { readonly time: string };

export interface ConsumeOptions {
  /** How many loops work at a time in `forEach`; also the least that is pulled ahead. Default 1. */
  readonly concurrency?: number;
  /** How long the server waits for an ack before it hands a content to somebody else; extended while you work. Default 30. */
  readonly lease_seconds?: number;
  /** Where a consumer begins that is not there yet. */
  readonly start?: Start;
  /** Ends it: what is in hand is finished, what was pulled ahead is given back. */
  readonly signal?: AbortSignal;
  /** At most so many are pulled at once. Default 500, fewer while the work is slow. */
  readonly batch?: number;
  /** How long to wait before a content comes again after its handler failed, in seconds. Default 1, 2, 4, … 300. */
  readonly retrySeconds?: (attempt: number) => number;
  /** Told whether the server answers, and what still waits there. */
  readonly onState?: (state: State) => void;
}
type State =
  | { readonly state: 'connected'; readonly backlog: number; readonly backlog_more: boolean; readonly dead: number }
  | { readonly state: 'broken'; readonly error: RestanteError };

export interface Delivery extends Content {
  /** 1 the first time, one more each time it is handed out again. */
  readonly attempt: number;
  /** Done, before the loop goes on. */
  ack(): void;
  /** To be handed out again, after `delay_seconds`; `dead`: never again, it becomes a dead letter. */
  nack(how?: { readonly delay_seconds?: number; readonly reason?: string; readonly dead?: boolean }): Promise<void>;
}

export interface Consume extends AsyncIterable<Delivery> {
  /** Works on `concurrency` contents at a time: acked when `work` resolves, given back with a delay when it throws. Resolves when `signal` is aborted. */
  forEach(work: (content: Delivery) => unknown): Promise<void>;
}

interface Pulled {
  readonly lease: string | null;
  readonly items: readonly (Content & { readonly attempt: number })[];
  readonly backlog: number;
  readonly backlog_more: boolean;
  readonly dead: number;
}
interface Consumer extends LeaseCalls {
  pull(
    body: { limit: number; wait: number; lease_seconds: number; start?: Start; ack?: Named },
    more: { signal: AbortSignal },
  ): Promise<Pulled>;
}

// Short enough that a connection that died without a word is noticed soon.
const WAIT_S = 10;
const FIRST_BATCH = 20;
const MOST_BATCH = 500;
const QUICK_MS = 1_000;
// Acks travel with the next pull; when none is due they go by themselves.
const FLUSH_MS = 200;
const MOST_RETRY_S = 300;

export function createConsume(calls: Consumer, options: ConsumeOptions): Consume {
  const { concurrency = 1, lease_seconds = 30, batch: most = MOST_BATCH, signal, onState = () => {} } = options;
  const retrySeconds = options.retrySeconds ?? ((attempt: number) => Math.min(2 ** (attempt - 1), MOST_RETRY_S));
  const leases = createLeases(calls);
  let queue: { readonly lease: Lease; readonly content: Delivery; readonly id: number }[] = [];
  let size = Math.min(most, Math.max(FIRST_BATCH, concurrency));
  const wake: (() => void)[] = [];
  let pulling: AbortController | undefined;
  let pump: Promise<void> | undefined;
  let flushing = false;
  let failure: unknown;
  let readers = 0;
  let stopped = false;

  const wakeAll = () => {
    for (const one of wake.splice(0)) one();
  };
  const changed = () => new Promise<void>((resolve) => wake.push(resolve));

  function deliver(lease: Lease, item: Pulled['items'][number]): Delivery {
    const { id } = item;
    const methods = {
      ack: { value: () => done(lease, id) },
      nack: { value: (how?: Parameters<Delivery['nack']>[0]) => leases.giveBack(lease, [id], how) },
    };
    return Object.defineProperties(item, methods) as unknown as Delivery;
  }

  function done(lease: Lease, id: number): void {
    leases.done(lease, id);
    if (flushing) return;
    flushing = true;
    void sleep(FLUSH_MS).then(async () => {
      flushing = false;
      await leases.flush().catch((error: unknown) => onBroken(error));
    });
  }

  function onBroken(error: unknown): void {
    if (!(error instanceof RestanteError) || !error.temporary) failure ??= error;
    else onState({ state: 'broken', error });
  }

  async function pull(): Promise<void> {
    pulling = new AbortController();
    const acked = leases.take();
    const began = performance.now();
    const pulled = await calls
      .pull(
        {
          limit: size,
          wait: WAIT_S,
          lease_seconds,
          ...(options.start ? { start: options.start } : {}),
          ...(acked ? { ack: acked.body } : {}),
        },
        { signal: pulling.signal },
      )
      .catch((error: unknown) => {
        acked?.settled(false);
        throw error;
      });
    acked?.settled(true);
    const { lease: text, items, backlog, backlog_more, dead } = pulled;
    onState({ state: 'connected', backlog, backlog_more, dead });
    if (text === null || items.length === 0) return;
    const lease = leases.add(
      text,
      items.map(({ id }) => id),
    );
    queue = queue.concat(items.map((item) => ({ lease, id: item.id, content: deliver(lease, item) })));
    // As much as is worked through in a second: others want some too, and a lease must not end meanwhile.
    const full = items.length >= size;
    wakeAll();
    while (queue.length > size / 2 && !stopped) await changed();
    const took = performance.now() - began;
    if (full && took < QUICK_MS) size = Math.min(most, size * 2);
    else if (took > QUICK_MS * 4) size = Math.max(1, concurrency, size >> 1);
  }

  async function run(): Promise<void> {
    const extend = setInterval(() => void leases.extend(lease_seconds).catch(() => {}), (lease_seconds * 1000) / 3);
    for (let failures = 0; !stopped && failure === undefined; ) {
      try {
        await pull();
        failures = 0;
      } catch (error) {
        if (stopped) break;
        onBroken(error);
        if (failure === undefined) await sleep(backOff(failures++, (error as RestanteError).retryAfter), signal);
      }
    }
    stopped = true;
    wakeAll();
    // What nobody has begun is somebody else's at once.
    const left = queue;
    queue = [];
    const byLease = new Map<Lease, number[]>();
    for (const { lease, id } of left) byLease.set(lease, [...(byLease.get(lease) ?? []), id]);
    for (const [lease, ids] of byLease) await leases.giveBack(lease, ids);
    while (readers > 0 && leases.inHand > 0) await changed();
    clearInterval(extend);
    await leases.flush().catch(() => {});
  }

  function stop(): void {
    stopped = true;
    pulling?.abort();
    wakeAll();
  }

  function iterate(): AsyncIterator<Delivery> {
    let current: (typeof queue)[number] | undefined;
    let open = true;
    readers++;
    if (!pump) {
      signal?.addEventListener('abort', stop);
      if (signal?.aborted) stop();
      pump = run();
    }
    const close = async (how: () => Promise<void> | void) => {
      if (!open) return;
      open = false;
      const last = current;
      current = undefined;
      if (last) await how();
      readers--;
      wakeAll();
      if (readers > 0) return;
      stop();
      await pump;
      signal?.removeEventListener('abort', stop);
    };
    return {
      async next() {
        if (current) done(current.lease, current.id);
        current = undefined;
        wakeAll();
        for (;;) {
          if (stopped || failure !== undefined) {
            await close(() => {});
            if (failure !== undefined) throw failure;
            return { done: true, value: undefined };
          }
          current = queue.shift();
          if (current) return { done: false, value: current.content };
          await changed();
        }
      },
      async return() {
        const last = current;
        await close(() => last && leases.giveBack(last.lease, [last.id]));
        return { done: true, value: undefined };
      },
    };
  }

  return {
    [Symbol.asyncIterator]: iterate,
    async forEach(work) {
      const loop = async () => {
        for await (const content of { [Symbol.asyncIterator]: iterate })
          try {
            await work(content);
          } catch (error) {
            const reason = (error instanceof Error ? error.message : String(error)).slice(0, 255);
            await content.nack({ delay_seconds: retrySeconds(content.attempt), reason });
          }
      };
      await Promise.all(Array.from({ length: concurrency }, loop));
    },
  };
}
