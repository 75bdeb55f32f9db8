// Numbers for Prometheus: counted where they arise, gauges read when somebody asks. Without METRICS_TOKEN nothing is counted.

/** Label values and their numbers: few and known beforehand, never a webhook, a user or a path of a stranger. */
type Labelled = Readonly<Record<string, number>>;
type Reading = number | Labelled;

export interface Metrics {
  readonly enabled: boolean;
  /** Returns what counts. With `label` a value of it is given each time; `values` are there from the start: a rise from nothing is none. */
  counter(
    name: string,
    help: string,
    label?: string,
    values?: readonly string[],
  ): (count: number, value?: string) => void;
  /** Returns what observes; `buckets` are upper bounds. */
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void;
  /** `read` is called by each scrape; undefined: nobody knows now. */
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
    counter(name, help, label, values = []) {
      const counter = new Counter(about(name, help, label));
      for (const value of values) counter.inc({ [label ?? '']: value }, 0);
      return (count, value) => (label ? counter.inc({ [label]: value ?? '' }, count) : counter.inc(count));
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
