// Sends one call: credentials, time limit, JSON both ways, problems as errors. Needs nothing but fetch.
import type { Answer, Body, Operation, Query } from './operations.ts';

export interface Options {
  /** Where the service is: `https://hooks.example.org`, with its path if it has one. */
  readonly url: string;
  /** `id:token`. */
  readonly auth: string;
  /** Instead of the global fetch: with a proxy, for tests. */
  readonly fetch?: typeof globalThis.fetch;
  /** The longest silence of the server in ms, beyond the wait that a call asks for. Default 30,000. */
  readonly timeoutMs?: number;
}
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For this call, if it is less than that of the client. */
  readonly timeoutMs?: number;
}

type Given<T, K extends string> = [T] extends [never] ? unknown : { readonly [P in K]?: T };
interface Loose extends CallOptions {
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: object;
  readonly body?: unknown;
  readonly waitMs?: number;
  readonly accept?: string;
}
/** What an operation takes: values for the `{names}` in its path, a query, a body. */
type Input<O extends Operation> = Given<Query<O>, 'query'> &
  Given<Body<O>, 'body'> &
  Omit<Loose, 'query' | 'body' | 'accept'>;

export type Transport = ReturnType<typeof createTransport>;

const TIMEOUT_MS = 30_000;

export function createTransport({ url, auth, fetch = globalThis.fetch, timeoutMs = TIMEOUT_MS }: Options) {
  const base = url.replace(/\/+$/, '');
  const authorization = `Basic ${btoa(Array.from(new TextEncoder().encode(auth), (byte) => String.fromCharCode(byte)).join(''))}`;

  /** The answer itself, once it has begun; for streams and raw bytes. */
  async function open(method: string, path: string, input: Loose = {}): Promise<Response> {
    const { query = {}, body, signal, waitMs = 0, accept = 'application/json' } = input;
    const names = input.path ?? {};
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(names[name] ?? '')));
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search =
      given.length > 0
        ? `?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`
        : '';
    // A connection may die without a word: silence has a limit. A slow answer has none while bytes come.
    const late = new AbortController();
    const limit = Math.min(timeoutMs, input.timeoutMs ?? timeoutMs);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const within = (ms: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => late.abort(new Error(`no answer within ${ms / 1000} s`)), ms);
    };
    const stop = () => late.abort(signal?.reason);
    signal?.addEventListener('abort', stop);
    let endless = false;
    try {
      signal?.throwIfAborted();
      within(waitMs + limit);
      const bytes = body instanceof Uint8Array;
      const response = await fetch(base + filled + search, {
        method,
        headers: {
          authorization,
          accept,
          ...(body === undefined ? {} : { 'content-type': bytes ? 'application/octet-stream' : 'application/json' }),
        },
        ...(body === undefined ? {} : { body: bytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
        redirect: 'error',
        signal: late.signal,
      });
      // A stream has no end; its reader notices a silence that is too long.
      endless = response.ok && accept === 'text/event-stream';
      if (endless) return response;
      const whole = await wholeOf(response, () => within(limit));
      if (!response.ok) throw await problemOf(base, whole);
      return whole;
    } catch (error) {
      if (error instanceof RestanteError) throw error;
      signal?.throwIfAborted();
      throw unreachable(base, error);
    } finally {
      clearTimeout(timer);
      if (!endless) signal?.removeEventListener('abort', stop);
    }
  }

  return {
    open,
    async call<O extends Operation>(operation: O, input?: Input<O>): Promise<Answer<O>> {
      const [method = '', path = ''] = operation.split(' ');
      const response = await open(method, path, input as Loose);
      if (path.endsWith('/raw')) return new Uint8Array(await response.arrayBuffer()) as never;
      if (response.status === 204) return undefined as never;
      return (await response.json().catch((error: unknown) => Promise.reject(stranger(base, error)))) as never;
    },
  };
}

/** The answer with all of its body; `alive` is called whenever some of it has come. */
async function wholeOf(response: Response, alive: () => void): Promise<Response> {
  if (!response.body) return response;
  const reader = response.body.getReader();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    alive();
    const { done, value } = await reader.read();
    if (done) return new Response(new Blob(pieces), response);
    pieces.push(value as Uint8Array<ArrayBuffer>);
  }
}

async function problemOf(base: string, response: Response): Promise<RestanteError> {
  const told = response.headers.get('retry-after') || 'never';
  // Seconds, or a date.
  const after = /^\d+$/.test(told) ? Number(told) : (Date.parse(told) - Date.now()) / 1000;
  const text = await response.text().catch(() => '');
  let problem: Record<string, unknown>;
  try {
    problem = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A proxy in between may answer for a service that is away.
    const whose = response.status < 500 ? `${base} answers, but is no Restante: check the URL. ` : '';
    problem = { detail: `${whose}HTTP ${response.status}: ${text.slice(0, 200)}` };
  }
  return new RestanteError(response.status, problem, Number.isFinite(after) ? after : undefined);
}

// The one error of the SDK -------------------------------------------------------------------------------------------

/** A problem that the server told (RFC 9457), or that it could not be reached. */
export class RestanteError extends Error {
  override readonly name = 'RestanteError';
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  /** `not-found`, `start-needed`, `unreachable`, `not-restante`, …: the last part of the problem's type. */
  readonly code: string;
  /** By this the operator finds the line in the log. */
  readonly requestId: string | undefined;
  /** Which fields were wrong. */
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  /** Seconds until the next try makes sense, if the server said so. */
  readonly retryAfter: number | undefined;
  /** The whole problem. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(status: number, problem: Readonly<Record<string, unknown>>, retryAfter?: number, cause?: unknown) {
    super(String(problem.detail ?? problem.title ?? `HTTP ${status}`), cause === undefined ? undefined : { cause });
    this.status = status;
    this.code =
      String(problem.type ?? '')
        .split(':')
        .at(-1) || `http-${status}`;
    this.requestId = typeof problem.request_id === 'string' ? problem.request_id : undefined;
    this.errors = Array.isArray(problem.errors) ? problem.errors : [];
    this.retryAfter = retryAfter;
    this.problem = problem;
  }

  /** Whether the same call may succeed later. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** An answer without JSON: of another program, or of a proxy in between, which may be the service's own again in a moment. */
const stranger = (url: string, cause: unknown): RestanteError => {
  const detail = `${url} answers, but is no Restante: its answer is no JSON. Check the URL`;
  return new RestanteError(0, { type: 'not-restante', detail }, undefined, cause);
};
const unreachable = (url: string, cause: unknown): RestanteError => {
  const reason =
    cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
  return new RestanteError(0, { type: 'unreachable', detail: `${url} cannot be reached: ${reason}` }, undefined, cause);
};
