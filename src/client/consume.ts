// Contents of a consumer as an async iterable: pulled ahead, acked when the loop goes on, given back when the loop ends first.
import type { Content } from './content.ts';
import type { GivenBack } from './lease.ts';
import { type Calls, createPump, type Held, soon } from './pump.ts';
import type { RestanteError } from './transport.ts';

type Start = 'earliest' | 'latest' | { readonly id: number } | { readonly time: string };

export interface ConsumeOptions {
  /** How many loops work at a time in `forEach`; also the least that is pulled ahead. Default 1. */
  readonly concurrency?: number;
  /** How long the server waits for an ack before it hands a content to another worker; extended while you work. Default 30. */
  readonly lease_seconds?: number;
  /** Where a new consumer begins. */
  readonly start?: Start;
  /** Ends the loop: contents in hand are finished, contents pulled ahead are given back. */
  readonly signal?: AbortSignal;
  /** At most so many are pulled at once. Default 500, fewer while the work is slow. */
  readonly batch?: number;
  /** How long to wait before a content comes again after its handler failed, in seconds. Default 1, 2, 4, … 300. */
  readonly retrySeconds?: (attempt: number) => number;
  /** Told whether the server answers, and what still waits there. */
  readonly onState?: (state: State) => void;
}
type State =
  | {
      readonly state: 'connected';
      readonly backlog: number;
      readonly backlog_more: boolean;
      readonly dead: number;
      /** Pulled, and not begun yet. */
      readonly ahead: number;
    }
  | { readonly state: 'broken'; readonly error: RestanteError };

export interface Delivery extends Content {
  /** 1 the first time, one more each time it is handed out again. */
  readonly attempt: number;
  /** Done, before the loop goes on. */
  ack(): void;
  /** Gives it back: it is handed out again after `delay_seconds`, or becomes a dead letter with `dead`. */
  nack(how?: GivenBack): Promise<void>;
}

export interface Consume extends AsyncIterable<Delivery> {
  /** Works on `concurrency` contents at a time: acked when `work` resolves, given back with a delay when it throws. Resolves when `signal` is aborted. */
  forEach(work: (content: Delivery) => unknown): Promise<void>;
}

const MOST_RETRY_S = 300;

export function createConsume(calls: Calls, options: ConsumeOptions): Consume {
  const { concurrency = 1 } = options;
  const retrySeconds = options.retrySeconds ?? ((attempt: number) => Math.min(2 ** (attempt - 1), MOST_RETRY_S));
  const pump = createPump(calls, options);

  function iterate(): AsyncIterator<Delivery> {
    let current: Held | undefined;
    let open = true;
    pump.enter();
    const end = async () => {
      if (!open) return;
      open = false;
      await pump.leave();
    };
    return {
      async next() {
        if (current) pump.done(current);
        current = open ? await pump.next() : undefined;
        if (current) return { done: false, value: current.content };
        await end();
        return { done: true, value: undefined };
      },
      async return() {
        // The loop broke off. Its program does not wait long for a server that is away.
        if (current) await soon(pump.giveBack(current));
        current = undefined;
        await end();
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
