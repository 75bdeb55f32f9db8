// Every problem a client can be told, as RFC 9457 problem details: what happened and what to do.
export interface ProblemOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly errors?: readonly FieldError[];
  /** What else a program wants to know, as members of the answer. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** One field that was refused: `path` is where it stands (`query.limit`), `message` what it must be. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** An error whose text may be shown to a client. Of any other error a client learns "internal error". */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly FieldError[] | undefined;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, title: string, detail: string, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.title = title;
    this.headers = options.headers ?? {};
    this.errors = options.errors;
    this.members = options.members ?? {};
  }

  /** The body of the answer, `application/problem+json`. */
  toBody(requestId: string): Record<string, unknown> {
    const body = {
      type: `urn:restante:problem:${this.code}`,
      title: this.title,
      status: this.status,
      detail: this.message,
      request_id: requestId,
      ...this.members,
    };
    return this.errors ? { ...body, errors: this.errors } : body;
  }
}

const retry = (seconds: number) => ({ 'retry-after': String(seconds) });

export const invalid = (errors: readonly FieldError[]) =>
  new Problem(
    422,
    'invalid',
    'Unprocessable content',
    `${errors.map((e) => `${e.path} ${e.message}`).join('; ')}. Correct it and send again.`,
    { errors },
  );

export const unauthenticated = (detail: string, realm: string) =>
  new Problem(401, 'unauthenticated', 'Unauthorized', detail, {
    headers: { 'www-authenticate': `Basic realm="${realm}", charset="UTF-8"` },
  });

export const unauthenticatedBearer = (detail: string) =>
  new Problem(401, 'unauthenticated', 'Unauthorized', detail, { headers: { 'www-authenticate': 'Bearer' } });

/** Where a user finds id and token: only where the operator has named a page is there one. */
export const whereToken = (dashboardUrl: string | undefined): string =>
  dashboardUrl
    ? `${dashboardUrl} shows both.`
    : 'The operator lists the users with restante user list, and makes a new token with restante user rotate ID.';

/** For a call that was waiting when its token was changed or taken away. */
export const revoked = (realm: string) =>
  unauthenticated('The token was changed or taken away: sign in with the new one.', realm);

export const tooManyFailures = (seconds: number) =>
  new Problem(
    429,
    'too-many-failures',
    'Too many requests',
    `Too many failed sign-ins from here. Wait ${seconds} s, then check the user id and the token.`,
    { headers: retry(seconds) },
  );

export const tooManySearches = (most: number) =>
  new Problem(
    429,
    'too-many-searches',
    'Too many requests',
    `${most} searches of yours are under way. Wait until they are answered, then search again.`,
    { headers: retry(2) },
  );

export const tooManyTests = (most: number, seconds: number) =>
  new Problem(
    429,
    'too-many-tests',
    'Too many requests',
    `You may send ${most} tests a minute. Nothing was sent: try again in ${seconds} s.`,
    { headers: retry(seconds) },
  );

/** What a provider would send cannot be made here. */
export const noSample = (why: string) =>
  new Problem(409, 'no-sample', 'No sample can be made', `${why} Nothing was sent.`);

export const notFound = (detail: string) => new Problem(404, 'not-found', 'Not found', detail);
export const noSuchContent = (id: number) =>
  notFound(
    `You have no content ${id}: it was deleted or pruned, or never existed. GET /whcontent?whid=all lists those you have.`,
  );
/** It is there, and the database does not give its bytes. */
export const unreadableContent = (id: number, reason: string) =>
  new Problem(409, 'unreadable', 'Unreadable', `The bytes of content ${id} cannot be read. ${reason}`);
export const forbidden = (detail: string) => new Problem(403, 'forbidden', 'Forbidden', detail);

/** For a sender whose signature, token or time-stamp is not right. */
export const unverified = (reason: string) =>
  new Problem(401, 'unverified', 'Unauthorized', `${reason} Nothing was stored as a content.`);

export const methodNotAllowed = (allow: string) =>
  new Problem(405, 'method-not-allowed', 'Method not allowed', `Here only ${allow} is accepted.`, {
    headers: { allow },
  });

export const badRequest = (detail: string) => new Problem(400, 'bad-request', 'Bad Request', detail);

export const headersTooLarge = (limit: number) =>
  new Problem(
    431,
    'headers-too-large',
    'Request header fields too large',
    `The headers are larger than ${limit} bytes.`,
  );

export const tooLarge = (limit: number) =>
  new Problem(413, 'too-large', 'Content too large', `The body is larger than the limit of ${limit} bytes.`);

export const needsMigrate = (
  detail = 'This call needs the restante_* tables. Ask the operator to run: restante migrate',
) => new Problem(409, 'needs-migrate', 'Needs restante migrate', detail);

/** 503: nothing was stored or read, and trying again soon is right. */
export const unavailable = (detail: string, cause?: unknown) =>
  new Problem(503, 'unavailable', 'Service unavailable', detail, { headers: retry(2), cause });

/** 503, not 4xx: some senders never try again after a 4xx. */
export const overLimit = (why: string, seconds: number) =>
  new Problem(503, 'over-limit', 'Service unavailable', `${why} Nothing was stored: send it again in ${seconds} s.`, {
    headers: retry(seconds),
  });

export const internal = () =>
  new Problem(
    500,
    'internal',
    'Internal error',
    'Internal error. Tell the operator the request_id; the log has the rest.',
  );

/** The client says where a new consumer begins, as chance would either flood it or skip contents that wait. */
export const startNeeded = (stock: {
  readonly count: number;
  /** There are more than that. */
  readonly count_more: boolean;
  readonly oldest_age_s: number | null;
}) =>
  new Problem(
    409,
    'start-needed',
    'Start needed',
    `${stock.count} contents wait. Say where this consumer begins: start "earliest", "latest", {"id": …} or {"time": …}.`,
    { members: stock },
  );

/** Some of the contents that were named could not be handled; the others were. */
export const conflict = (outcome: { readonly done: readonly unknown[]; readonly conflicts: readonly unknown[] }) =>
  new Problem(
    409,
    'conflict',
    'Conflict',
    `${outcome.done.length} done, ${outcome.conflicts.length} not: conflicts tells why. Do not repeat those.`,
    { members: outcome },
  );

export const tooManyConsumers = (most: number) =>
  new Problem(
    409,
    'too-many-consumers',
    'Too many consumers',
    `You have ${most} consumers, the most a user may have. Delete one.`,
  );

export const tooManyWebhooks = (most: number) =>
  new Problem(
    409,
    'too-many-webhooks',
    'Too many webhooks',
    `You have ${most} webhooks, the most a user may have here (WEBHOOKS_PER_USER). Delete one.`,
  );

export const secretsKeyNeeded = () =>
  new Problem(
    409,
    'secrets-key-needed',
    'SECRETS_KEY needed',
    'Secrets are kept encrypted, and this service has no SECRETS_KEY. Ask the operator to set one: openssl rand -hex 32',
  );

export const secretsKeyOther = () =>
  new Problem(
    409,
    'secrets-key-other',
    'Another SECRETS_KEY',
    'The secrets in this database are encrypted with another SECRETS_KEY than this process has by now. Ask the operator to restart it with the right one.',
  );
