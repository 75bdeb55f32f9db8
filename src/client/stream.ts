// The list as a live stream: server-sent events over fetch, opened again after the last content whenever it breaks.
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Content as Wire } from './api.ts';
import { type Content, toContent } from './content.ts';
import type { Query } from './operations.ts';
import { backOff, sleep } from './pump.ts';
import { RestanteError, type Transport } from './transport.ts';

type Filters = Pick<Query<'GET /whcontent'>, 'event_id' | 'event_type' | 'verified' | 'since' | 'q'>;

export interface StreamOptions extends Filters {
  /** Start with this id; `latest`: after the newest. Default 0. */
  readonly id?: number | 'latest';
  /** Of one webhook; 0 = own content. Default all. */
  readonly whid?: number | 'all';
  readonly signal?: AbortSignal;
  /** Called when the stream connects or breaks; without an error when the server ended it. */
  readonly onState?: (state: 'connected' | 'broken', error?: RestanteError) => void;
  /** Called when the database was restored to an earlier state: ids above this one are given again. */
  readonly onReset?: (maxId: number) => void;
}

// The server sends something every 15 s: a connection silent for longer is dead.
const SILENT_MS = 22_000;

export async function* streamContents(
  transport: Transport,
  { id = 0, whid = 'all', signal, onState, onReset, ...filters }: StreamOptions,
): AsyncGenerator<Content, void, void> {
  let next: number | 'latest' = id;
  for (let failures = 0; !signal?.aborted; ) {
    const ended = new AbortController();
    let told: RestanteError | undefined;
    const stop = () => ended.abort(signal?.reason);
    signal?.addEventListener('abort', stop);
    try {
      const query = { ...filters, id: String(next), whid: String(whid) };
      const response = await transport.open('GET', '/whcontent', {
        query,
        accept: 'text/event-stream',
        signal: ended.signal,
      });
      onState?.('connected');
      for await (const { event, data } of events(response, ended)) {
        if (event !== 'end') failures = 0;
        if (event === 'content') {
          const content = toContent(JSON.parse(data) as Wire);
          yield content;
          next = content.id + 1;
        } else if (event === 'reset') {
          const { max_id } = JSON.parse(data) as { max_id: number };
          next = max_id + 1;
          onReset?.(max_id);
        } else if (event === 'end') {
          next = (JSON.parse(data) as { next_id: number }).next_id;
          break;
        }
      }
    } catch (error) {
      if (signal?.aborted) return;
      told = error instanceof RestanteError ? error : new RestanteError(0, { type: 'broken', detail: String(error) });
      if (!told.temporary) throw told;
    } finally {
      signal?.removeEventListener('abort', stop);
      ended.abort();
    }
    if (signal?.aborted) return;
    onState?.('broken', told);
    // A stream that ended is opened again after a moment, too: a proxy in between may end every stream at once.
    await sleep(backOff(failures++, told?.retryAfter), signal);
  }
}

async function* events(response: Response, ended: AbortController): AsyncGenerator<EventSourceMessage> {
  const text = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream() as never);
  const reader = text.getReader() as ReadableStreamDefaultReader<string>;
  const ready: EventSourceMessage[] = [];
  // A line of many megabytes comes in thousands of pieces: the parser joins them once.
  const { feed } = createParser({ onEvent: (event) => ready.push(event) });
  for (;;) {
    const timer = setTimeout(() => ended.abort(new Error('silent for too long')), SILENT_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    feed(value);
    yield* ready.splice(0);
  }
}
