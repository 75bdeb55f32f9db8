// One mapper from anything that was thrown to the problem a client is told; the rest goes to the log.
import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type FieldError, internal, invalid, notFound, Problem, tooLarge, unavailable } from '../errors.ts';
import { maskTarget } from '../http/head.ts';
import type { Incidents } from '../observe/incidents.ts';
import type { Log } from '../observe/log.ts';
import { faultWords, type PlacedFault, settleUnions } from '../schema/common.ts';
import { failed, StoreError } from '../store/db.ts';
import { onlyReadable } from '../store/engine/causes.ts';

interface FrameworkError extends Error {
  readonly statusCode?: number;
  readonly validation?: readonly PlacedFault[];
  readonly validationContext?: string;
}

/** What Fastify refuses by itself, in words that help; its own repeat the path. */
const TELLS: Readonly<Record<number, string>> = {
  400: 'The request cannot be read: is its path percent-encoded UTF-8, and its body as long as Content-Length says?',
  414: 'The address is too long: no id or name here has so many characters. Correct it and send again.',
  415: 'The Content-Type is not well-formed. Send application/json, or none.',
};

const MOST_NAMED = 20;
// To settle unions takes a look at each fault for each union.
const MOST_SETTLED = 500;
// The name of an unknown member may have megabytes.
const MOST_CHARACTERS = 100;

/** Wrong names that callers use, and the right ones: other parts of the API, or other services, call them so. */
const ALSO: Readonly<Record<string, string>> = {
  status: 'enabled',
  name: 'wh_name',
  secret: 'secrets',
  provider: 'preset',
  methods: 'allow_methods',
  networks: 'allow_networks',
  origins: 'allow_origins',
};
/** As much of a schema as tells which members there are. */
interface Members {
  readonly properties?: Readonly<Record<string, unknown>>;
}

function fieldError(place: string, fault: PlacedFault, members: Members = {}): FieldError {
  const { instancePath, keyword, params } = fault;
  const at = (name: unknown) =>
    `${place}${instancePath.replaceAll('/', '.')}${name === undefined ? '' : `.${String(name).slice(0, MOST_CHARACTERS)}`}`;
  if (keyword === 'additionalProperties') {
    const also = instancePath === '' ? ALSO[String(params.additionalProperty)] : undefined;
    const named = also !== undefined && Object.hasOwn(members.properties ?? {}, also) ? `: use ${also}` : '';
    return { path: at(params.additionalProperty), message: `is not known here${named}` };
  }
  if (keyword === 'required') return { path: at(params.missingProperty), message: 'is missing' };
  return { path: at(undefined), message: faultWords(fault) };
}

/** What the call takes: its schemas, by the part of the request. */
export interface Taken {
  readonly body?: unknown;
  readonly querystring?: unknown;
  readonly params?: unknown;
}

export function toProblem(error: unknown, maxBodyBytes: number, taken: Taken = {}): Problem {
  if (error instanceof Problem) return error;
  if (failed(error, 'away', 'unknown', 'again'))
    return unavailable(`${onlyReadable(error) ?? 'The database cannot be reached now'}. Try again soon.`, error);
  // A table was changed or a right was taken away: not the caller's fault, and the operator can mend it.
  if (error instanceof StoreError)
    return unavailable('The database refuses this. Its operator finds the reason in the log. Try again later.', error);
  const { statusCode = 500, validation, validationContext = '', message } = error as FrameworkError;
  if (validation) {
    const place = validationContext === 'querystring' ? 'query' : validationContext;
    const schema = taken[validationContext as keyof Taken];
    // One word per path. No more than can be read: a body may be wrong in a million places.
    const named = new Map<string, FieldError>();
    for (const one of settleUnions(schema, validation.slice(0, MOST_SETTLED))) {
      if (named.size === MOST_NAMED) break;
      const error = fieldError(place, one, validationContext === 'body' ? (schema as Members) : undefined);
      if (!named.has(error.path)) named.set(error.path, error);
    }
    return invalid([...named.values()]);
  }
  if (statusCode === 413) return tooLarge(maxBodyBytes);
  if (statusCode >= 400 && statusCode < 500) {
    const title = STATUS_CODES[statusCode] ?? 'Bad Request';
    const detail = TELLS[statusCode] ?? `${message.slice(0, 200)}.`.replace(/\.\.$/, '.');
    return new Problem(statusCode, title.toLowerCase().replaceAll(' ', '-'), title, detail);
  }
  return Object.assign(internal(), { cause: error });
}

export const noSuchRoute = (request: FastifyRequest): Problem =>
  notFound(
    `There is no ${request.method} ${request.url.split('?')[0]?.slice(0, 100)} here. GET /docs shows all calls.`,
  );

export function answerProblem(
  problem: Problem,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, incidents }: { readonly log: Log; readonly incidents: Pick<Incidents, 'refused'> },
): FastifyReply {
  const data = { request_id: request.id, url: maskTarget(request.url) };
  const error = problem.cause ?? problem;
  if (problem.status === 503) incidents.refused(error, data);
  else if (problem.status >= 500) log.error({ ...data, error }, 'internal error');
  return reply
    .code(problem.status)
    .headers({ ...problem.headers, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body)) // as it is: Fastify's own way adds a charset
    .send(problem.toBody(request.id));
}
