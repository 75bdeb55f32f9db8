// The one error of the SDK: what the server said was wrong, or that it could not be reached.

/** RFC 9457 problem details, and what follows from them. */
export class RestanteError extends Error {
  override readonly name = 'RestanteError';
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  /** `not-found`, `start-needed`, `unreachable`, …: the last part of the problem's type. */
  readonly code: string;
  /** Tells the operator which line of the log it was. */
  readonly requestId: string | undefined;
  /** Which fields were wrong. */
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  /** After how many seconds to come again, when the server said so. */
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

export const unreachable = (url: string, cause: unknown): RestanteError => {
  const reason =
    cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
  return new RestanteError(0, { type: 'unreachable', detail: `${url} cannot be reached: ${reason}` }, undefined, cause);
};
