// Keeps the live stream open: reads on where it stopped, tells the truth about its state, and gives up on a silent line.
import { createSseReader } from '../client/sse.ts';
import { ApiError, sentence } from './api.ts';
import type { Content } from './wire.ts';

export type LiveState =
  | { readonly name: 'off' | 'connecting' | 'live' }
  | { readonly name: 'catching-up'; readonly caught: number }
  | { readonly name: 'waiting'; readonly reason: string; readonly until: number };

export interface LiveParts {
  /** The list as a stream, from this id on. */
  open(from: number, signal: AbortSignal): Promise<Response>;
  content(content: Content): void;
  state(state: LiveState): void;
  /** The database was restored: what the page knows is ahead of it. */
  reset(): void;
}
export interface Live {
  stop(): void;
  /** Tries again now, if it is waiting. */
  wake(): void;
}

// The service says something every 15 s. A line that is silent for longer is dead, however open it looks.
const SILENT_MS = 22_000;
const PAUSES_MS = [300, 500, 1_000, 2_000, 4_000, 8_000];
// So long after the last one that came while away, it is caught up.
const QUIET_MS = 250;

export function startLive(from: number, { open, content, state, reset }: LiveParts): Live {
  let next = from;
  let stopped = false;
  let abort = new AbortController();
  let wake = () => {};
  let tries = 0;
  let everLive = false;

  async function read(): Promise<void> {
    abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), SILENT_MS);
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let caught = 0;
    let catching = everLive;
    const live = () => {
      catching = false;
      everLive = true;
      if (!stopped) state({ name: 'live' });
    };
    try {
      const response = await open(next, abort.signal);
      if (!response.body) throw new ApiError(0, 'The service sent nothing.');
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const feed = createSseReader((event) => {
        if (event.name === 'content') {
          const one = JSON.parse(event.data) as Content;
          next = Math.max(next, one.id + 1);
          caught++;
          content(one);
        } else if (event.name === 'end') next = Math.max(next, Number(JSON.parse(event.data).next_id) || 0);
        else if (event.name === 'reset') {
          next = Number(JSON.parse(event.data).max_id) + 1;
          reset();
        }
      });
      for (let first = true; ; first = false) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), SILENT_MS);
        feed(value);
        tries = 0;
        if (catching) {
          state({ name: 'catching-up', caught });
          clearTimeout(quiet);
          quiet = setTimeout(live, QUIET_MS);
        } else if (first) live();
      }
    } finally {
      clearTimeout(timer);
      clearTimeout(quiet);
    }
  }

  async function run(): Promise<void> {
    while (!stopped) {
      state({ name: 'connecting' });
      let reason = 'The service ended the stream.';
      try {
        await read();
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return;
        reason = abort.signal.aborted ? 'The line went silent.' : error instanceof ApiError ? sentence(error) : reason;
      }
      if (stopped) break;
      const pause = (PAUSES_MS[Math.min(tries++, PAUSES_MS.length - 1)] ?? 0) * (0.8 + Math.random() * 0.4);
      state({ name: 'waiting', reason, until: Date.now() + pause });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
  void run();
  return {
    stop() {
      stopped = true;
      abort.abort();
      wake();
      state({ name: 'off' });
    },
    wake: () => wake(),
  };
}
