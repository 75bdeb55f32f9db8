// Metrics for Prometheus: counters count as things happen, gauges are read by each scrape. Without METRICS_TOKEN: none.
import type { FastifyInstance } from 'fastify';
import { REFUSAL_KINDS, type RefusalKind } from '../schema/contents.ts';
import type { Overload } from './overload.ts';

/** A number for each value of a label. The values are few and known beforehand: never a webhook, a user or a path. */
type Labelled = Readonly<Record<string, number>>;
type Reading = number | Labelled;

export interface Metrics {
  readonly enabled: boolean;
  /** Returns the function that counts. */
  counter(name: string, help: string): (count: number) => void;
  /** The same by a label, whose `values` begin at 0: Prometheus sees no rise when a series begins above it. */
  labelled(
    name: string,
    help: string,
    label: string,
    values?: readonly string[],
  ): (value: string, count?: number) => void;
  /** Returns the function that observes; `buckets` are upper bounds. */
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void;
  /** `read` is called by each scrape; undefined: unknown now. */
  gauge(
    name: string,
    help: string,
    read: () => Reading | undefined | Promise<Reading | undefined>,
    label?: string,
  ): void;
  /** The page in Prometheus' text format; undefined when nothing is counted. */
  page(): Promise<{ readonly type: string; readonly text: string }> | undefined;
}

const NOTHING: Metrics = {
  enabled: false,
  counter: () => () => {},
  labelled: () => () => {},
  histogram: () => () => {},
  gauge() {},
  page: () => undefined,
};

/** Names get the prefix `restante_`; those of the process itself are prom-client's own. */
export async function openMetrics(enabled: boolean): Promise<Metrics> {
  if (!enabled) return NOTHING;
  const { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } = (await import('prom-client')).default;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const about = (name: string, help: string, label?: string) => ({
    name: `restante_${name}`,
    help,
    labelNames: label ? [label] : [],
    registers: [registry],
  });
  return {
    enabled: true,
    counter(name, help) {
      const counter = new Counter(about(name, help));
      return (count) => counter.inc(count);
    },
    labelled(name, help, label, values = []) {
      const counter = new Counter(about(name, help, label));
      for (const value of values) counter.inc({ [label]: value }, 0);
      return (value, count = 1) => counter.inc({ [label]: value }, count);
    },
    histogram(name, help, buckets) {
      const histogram = new Histogram({ ...about(name, help), buckets: [...buckets] });
      return (value) => histogram.observe(value);
    },
    gauge(name, help, read, label) {
      new Gauge({
        ...about(name, help, label),
        async collect() {
          const reading = await read();
          if (reading === undefined) return this.remove();
          if (typeof reading === 'number') return this.set(reading);
          for (const [value, number] of Object.entries(reading)) this.set({ [label ?? '']: value }, number);
        },
      });
    },
    page: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}

// Every metric of the service, in one place.

const MOST_IDS = 2 ** 32 - 1;
const ROWS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
// The database counts for all processes: at most this often, however many scrapes there are.
const COUNT_EVERY_MS = 5_000;
// A scrape waits this long for the counts, then goes on without them: the other metrics matter most while the database is away.
const COUNT_WITHIN_MS = 1_000;

/** The members of a content that are measured. */
interface Counted {
  readonly content: { readonly length: number };
  readonly api: number;
  readonly judged: { readonly verified: string } | null;
}

interface WriteLabels {
  /** How a sender may have been verified; the first is for requests that were not checked. */
  readonly verdicts: readonly [string, ...string[]];
  readonly causes: readonly string[];
  /** The cause of a failure, one of `causes`. */
  readonly causeOf: (error: unknown) => string | undefined;
}

/** For the writer: its batches, and the contents that were not stored. */
export function measureWrites(metrics: Metrics, { verdicts, causes, causeOf }: WriteLabels) {
  const contents = metrics.labelled(
    'contents_total',
    'Contents stored by this process, by what is known of the sender',
    'verified',
    [...verdicts, 'own'],
  );
  const bytes = metrics.counter('content_bytes_total', 'Bytes of the bodies that were stored');
  const lost = metrics.labelled(
    'not_stored_total',
    'Contents that the database did not take; their senders got a 503',
    'cause',
    causes,
  );
  const rows = metrics.histogram('batch_rows', 'Contents that one transaction stores', ROWS);
  const seconds = metrics.histogram('commit_seconds', 'From the begin of a transaction to its commit', SECONDS);
  return {
    onBatch(batch: readonly Counted[], ms: number): void {
      rows(batch.length);
      seconds(ms / 1000);
      const counts = new Map<string, number>();
      let size = 0;
      for (const { judged, api, content } of batch) {
        const verified = judged?.verified ?? (api ? verdicts[0] : 'own');
        counts.set(verified, (counts.get(verified) ?? 0) + 1);
        size += content.length;
      }
      for (const [verified, count] of counts) contents(verified, count);
      bytes(size);
    },
    onError: (error: unknown, count: number): void => lost(causeOf(error) ?? 'other', count),
  };
}

/** How long a look takes, after which consumers can be given the new contents. */
export function measureLooks(metrics: Metrics): (ms: number) => void {
  const seconds = metrics.histogram(
    'placing_seconds',
    'How long it took to find new contents and to give them their places in the order of consumers',
    SECONDS,
  );
  return (ms) => seconds(ms / 1000);
}

interface State {
  readonly writer: {
    readonly waiting: number;
    readonly waitingBytes: number;
    readonly busyMs: number;
    readonly highestId: number;
  };
  readonly tail: { readonly heldSeconds: number; readonly age: number; readonly readableId: number };
  readonly overload: Pick<Overload, 'memory'>;
  /** Connections to the database by state; undefined where there are none. */
  readonly connections: (() => Labelled) | undefined;
  /** The sums over all consumers, counted by the database; undefined at the as-is level. */
  readonly standing: (() => Promise<Standing>) | undefined;
  readonly retention: { readonly held: { readonly contents: number } | undefined };
}
type Standing = Partial<Readonly<Record<'leased' | 'waiting' | 'dead' | 'consumers', number>>>;

/** Gauges of the state of the service. */
export function measureState(metrics: Metrics, parts: State): void {
  const { writer, tail, overload, connections, standing, retention } = parts;
  metrics.gauge(
    'memory_ratio',
    'Memory in use, as a share of that from which on new work is refused',
    () => overload.memory.used / overload.memory.most,
  );
  metrics.gauge('queue_rows', 'Contents that wait for their transaction', () => writer.waiting);
  metrics.gauge('queue_bytes', 'Bytes that wait for their transaction', () => writer.waitingBytes);
  metrics.gauge('queue_age_seconds', 'How long the database has had the same transaction', () => writer.busyMs / 1000);
  metrics.gauge(
    'fence_hold_seconds',
    'For so long lists have stood before a row that is still being written',
    () => tail.heldSeconds,
  );
  metrics.gauge(
    'tail_age_seconds',
    'How long ago new contents were last looked for with success',
    () => tail.age / 1000,
  );
  metrics.gauge('unreadable_contents', 'Contents that this process stored and no list may hand out yet', () =>
    Math.max(0, writer.highestId - tail.readableId),
  );
  metrics.gauge('readable_id', 'The highest id that a list may hand out', () => tail.readableId);
  metrics.gauge('id_headroom_ratio', 'Share of the ids of tblwh that is left', () => 1 - tail.readableId / MOST_IDS);
  metrics.gauge(
    'retention_held',
    'Old contents that are kept until a person confirms that the clock and the settings are right',
    () => retention.held?.contents ?? 0,
  );
  if (connections)
    metrics.gauge(
      'connections',
      'Connections to the database: open, and busy; calls that wait for one',
      connections,
      'state',
    );
  if (!standing) return;
  let at = Number.NEGATIVE_INFINITY;
  let counted: Promise<Standing>;
  const count = () => {
    const now = performance.now();
    if (now - at > COUNT_EVERY_MS) {
      at = now;
      const late = new Promise<Standing>((resolve) => setTimeout(resolve, COUNT_WITHIN_MS, {}).unref());
      counted = Promise.race([standing().catch(() => ({})), late]);
    }
    return counted;
  };
  metrics.gauge('leases', 'Contents that consumers have in hand', async () => (await count()).leased);
  metrics.gauge(
    'redeliveries',
    'Contents that were given back and wait to be handed out again',
    async () => (await count()).waiting,
  );
  metrics.gauge('dead_letters', 'Contents that were given up', async () => (await count()).dead);
  metrics.gauge('consumers', 'Named reading positions', async () => (await count()).consumers);
}

/** The calls of consumers that are measured. */
type Settling = {
  pull(
    ...args: never[]
  ): Promise<{ readonly items: readonly unknown[]; readonly conflicts: readonly { readonly reason: string }[] }>;
} & Record<'ack' | 'nack' | 'extend', (...args: never[]) => Promise<{ readonly done: readonly number[] }>>;

/** The same consumers, measured. */
export function measured<C extends Settling>(metrics: Metrics, consumers: C): C {
  const handedOut = metrics.counter('handed_out_total', 'Contents that consumers were given');
  const settled = metrics.labelled(
    'settled_total',
    'Contents that were acked, given back or extended by a call of its own',
    'how',
  );
  const stale = metrics.labelled(
    'stale_leases_total',
    'Acks and the like for what a worker had no longer in hand',
    'reason',
  );
  const settle =
    <A extends unknown[], T extends { readonly done: readonly number[] }>(
      how: string,
      call: (...args: A) => Promise<T>,
    ) =>
    async (...args: A): Promise<T> => {
      try {
        const outcome = await call(...args);
        settled(how, outcome.done.length);
        return outcome;
      } catch (error) {
        countStale((error as { members?: { conflicts?: readonly { reason: string }[] } }).members?.conflicts ?? []);
        throw error;
      }
    };
  const countStale = (conflicts: readonly { readonly reason: string }[]) => {
    for (const { reason } of conflicts) stale(reason);
  };
  return {
    ...consumers,
    async pull(...args) {
      const pulled = await consumers.pull(...args);
      handedOut(pulled.items.length);
      countStale(pulled.conflicts);
      return pulled;
    },
    ack: settle('ack', consumers.ack),
    nack: settle('nack', consumers.nack),
    extend: settle('extend', consumers.extend),
  };
}

/** Calls of the API by status, and those that wait. Requests to the receiver are counted as contents and refusals. */
export function measureCalls(fastify: FastifyInstance, metrics: Metrics, waiting: { readonly size: number }): void {
  metrics.gauge('waiting_calls', 'Long polls, waiting pulls and streams', () => waiting.size);
  if (!metrics.enabled) return;
  const calls = metrics.labelled('calls_total', 'Calls of the API, by status', 'status');
  fastify.addHook('onResponse', (_request, { statusCode }, done) => {
    calls(String(statusCode));
    done();
  });
}

/**
 * `line`: too much of one webhook waits for the database; `connections`, `address`: closed at once, as there are too many in all or
 * of one address; `idle`: closed while they did nothing.
 */
const SHED = ['line', 'memory', 'event-loop', 'connections', 'address', 'idle'] as const;

interface Used {
  readonly held: number;
  readonly most: number;
}

/** The rooms of what users share: how full each is. Returns what counts requests that were refused under overload, by why. */
export function measureRooms(
  metrics: Metrics,
  rooms: () => Readonly<Record<string, Used>>,
  names: readonly string[],
): (why: string, count?: number) => void {
  metrics.gauge(
    'room_ratio',
    'What is in use of each thing that users share, as a share of all there is of it',
    () => Object.fromEntries(Object.entries(rooms()).map(([name, { held, most }]) => [name, held / most])),
    'room',
  );
  const help = 'Requests refused with 503, and connections closed, before any work, so that the rest goes on';
  return metrics.labelled('shed_total', help, 'why', [...names, ...SHED]);
}

/** Requests that did not become a content, by why. */
export const measureRefusals = (metrics: Metrics): ((kind: RefusalKind) => void) =>
  metrics.labelled('refusals_total', 'Requests that did not become a content, by why', 'kind', REFUSAL_KINDS);
