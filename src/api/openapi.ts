// The API document, made from the route objects: OpenAPI 3.1 with an example for every call, and each shape written once.
import { STATUS_CODES } from 'node:http';
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/schema';
import type { Config } from '../config/config.ts';
import * as consumers from '../schema/consumers.ts';
import * as contents from '../schema/contents.ts';
import * as webhooks from '../schema/webhooks.ts';
import type { Route } from './route.ts';

export const VERSION = '0.1.0';

/** The members of a shape that may be null too. */
const membersOf = (schema: TSchema) => (schema as { properties?: Record<string, TSchema> }).properties ?? {};
const patched = membersOf(webhooks.VerifyPatch) as Record<'jwt' | 'signature' | 'timestamp', TSchema>;

/** The shapes that have a name: wherever one stands in a schema, the document refers to it. Programs name their types after them. */
export const SHAPES: Readonly<Record<string, TSchema>> = {
  Account: contents.Me,
  Activity: contents.ActivityPage,
  AtId: consumers.AtId,
  AtTime: consumers.AtTime,
  Claims: webhooks.Claims,
  ConflictProblem: consumers.ConflictProblem,
  Consumer: consumers.Consumer,
  ConsumerList: consumers.ConsumerList,
  ConsumerName: consumers.ConsumerName.properties.name,
  ConsumerPut: consumers.ConsumerInput,
  Content: contents.Content,
  ContentId: contents.ContentId.properties.id,
  ContentPage: contents.ContentPage,
  DeadLetter: consumers.DeadContent,
  DeadLetterPage: consumers.DeadPage,
  Dedupe: webhooks.DedupeInput,
  DedupeFrom: webhooks.DedupeFrom,
  DedupePatch: webhooks.DedupePatch,
  End: consumers.End,
  Extend: consumers.ExtendInput,
  Extended: consumers.Extended,
  FetchedContent: contents.ContentOne,
  Gap: consumers.ConsumerGap,
  Handshake: webhooks.HandshakeInput,
  Health: contents.Health,
  LeaseConflict: consumers.LeaseConflict,
  LeasedContents: consumers.LeaseInput,
  ListedWebhook: webhooks.ListedWebhook,
  Nack: consumers.NackInput,
  Outcome: consumers.Outcome,
  Posted: contents.Posted,
  Problem: contents.ProblemBody,
  Pull: consumers.PullInput,
  Pulled: consumers.PullAnswer,
  PulledContent: consumers.PulledContent,
  Readiness: contents.Ready,
  ReceivedRequest: contents.ReceivedRequest,
  Redeliver: consumers.RedeliverInput,
  Refusal: contents.Refusal,
  RefusalPage: contents.RefusalPage,
  RefusedRequest: contents.RefusedRequest,
  Release: contents.ReleaseInput,
  ReleaseMany: contents.ReleaseManyInput,
  ReleaseResult: contents.ReleaseResult,
  Retried: consumers.Retried,
  RetryDead: consumers.RetryInput,
  Rotate: webhooks.Rotate,
  Secret: webhooks.KnownSecret,
  SecretKept: webhooks.KeptSecret,
  SecretNew: webhooks.NewSecret,
  Seek: consumers.SeekInput,
  Settings: webhooks.SettingsInput,
  Start: consumers.StartInput,
  TestInput: webhooks.TestInput,
  TestSent: webhooks.TestSent,
  ToEnd: consumers.ToEnd,
  Trace: consumers.Trace,
  Verify: webhooks.VerifyInput,
  VerifyJwt: webhooks.VerifyInput.properties.jwt,
  VerifyPatch: webhooks.VerifyPatch,
  VerifyJwtPatch: patched.jwt,
  VerifySignaturePatch: patched.signature,
  VerifyTimestampPatch: patched.timestamp,
  VerifySignature: webhooks.VerifyInput.properties.signature,
  VerifyTimestamp: webhooks.VerifyInput.properties.timestamp,
  Webhook: webhooks.WebhookDetail,
  WebhookCreate: webhooks.WebhookCreate,
  WebhookId: webhooks.WebhookId.properties.wh_id,
  WebhookList: webhooks.WebhookList,
  WebhookPatch: webhooks.WebhookPatch,
  WebhookResponse: webhooks.ResponseSettings,
  WebhookResponsePatch: webhooks.ResponsePatch,
};

// Shapes are known again by what they say: a schema is copied where it becomes a member of another one.
const written = (value: unknown): string => JSON.stringify(value);
const NAMES = new Map(Object.entries(SHAPES).map(([name, shape]) => [written(shape), name]));

/** The same with a reference to each shape that has a name. `used`: the names that it came by. `whole`: it is such a shape itself. */
export function referring(value: unknown, used: Set<string> = new Set(), whole = false): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const name = whole ? undefined : NAMES.get(written(value));
  if (name !== undefined) {
    used.add(name);
    return { $ref: `#/components/schemas/${name}` };
  }
  if (Array.isArray(value)) return value.map((each) => referring(each, used));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, referring(each, used)]));
}

interface Shape {
  readonly properties?: Readonly<Record<string, { readonly anyOf?: readonly { readonly type?: string }[] }>>;
  readonly required?: readonly string[];
}
/** The same with what may be null in place of an object not required: clients in Java refuse a null there, though it may be one. */
function lenient(shape: Shape): Shape {
  const { properties = {}, required } = shape;
  const mayBeNull = (name: string) => properties[name]?.anyOf?.some(({ type }) => type === 'null');
  return required ? { ...shape, required: required.filter((name) => !mayBeNull(name)) } : shape;
}

/** The shapes of these names, and all that they refer to. */
function shapesOf(used: Set<string>): Record<string, unknown> {
  const shapes: Record<string, unknown> = {};
  // A set gives what is added while it is walked.
  for (const name of used) shapes[name] = lenient(referring(SHAPES[name], used, true) as Shape);
  return Object.fromEntries(Object.entries(shapes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

// Problems ----------------------------------------------------------------------------------------------------------

/** When a call answers so. */
const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request cannot be read',
  401: 'The credentials are missing or wrong',
  403: 'Not allowed',
  404: 'There is no such thing',
  405: 'Another method is expected',
  409: 'Not as things stand; `restante migrate` is needed; or not all of it could be done',
  413: 'The body is too large',
  422: 'A field is wrong: `errors` names it',
  429: 'Too many failed sign-ins, or too much at once',
  503: 'Not now: nothing was stored or read. Try again soon',
};
const HEADERS: Readonly<Record<number, string>> = {
  401: 'WWW-Authenticate',
  405: 'Allow',
  429: 'Retry-After',
  503: 'Retry-After',
};
const nameOf = (status: number): string => (STATUS_CODES[status] ?? `Problem ${status}`).replace(/\W/g, '');
const problemRefs = (statuses: readonly number[]) =>
  Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${nameOf(status)}` }]));

function problemResponses(statuses: readonly number[]): Record<string, unknown> {
  const schemaOf = (status: number) => (status === 409 ? consumers.ConflictProblem : contents.ProblemBody);
  return Object.fromEntries(
    statuses.map((status) => {
      const header = HEADERS[status];
      const told = {
        description: PROBLEMS[status] ?? STATUS_CODES[status] ?? 'A problem',
        ...(header ? { headers: { [header]: { schema: { type: 'string' } } } } : {}),
        content: { 'application/problem+json': { schema: schemaOf(status) } },
      };
      return [nameOf(status), told];
    }),
  );
}

/** The statuses of the problems that this call may answer with. */
function problemsOf({ kind, method, query, params, body, rawBody, problems = [] }: Route): readonly number[] {
  const when = (condition: unknown, ...statuses: number[]) => (condition ? statuses : []);
  const statuses = [
    503,
    ...problems,
    ...when(kind !== 'public', 401, 429),
    ...when(kind === 'extended', 409),
    ...when(kind !== 'classic' || query || params, 422),
    ...when(method !== 'GET', 403),
    ...when(params, 400, 404),
    ...when(body, 400),
    ...when(body || rawBody, 413),
  ];
  return [...new Set(statuses)].sort((a, b) => a - b);
}

// Calls -------------------------------------------------------------------------------------------------------------

const BYTES = { type: 'string', format: 'binary' } as const;

/** Bytes are taken as they are; as JSON, one member is told apart. Nothing of this is validated. */
const OWN_CONTENT = {
  // First: the reference offers it to readers who try the call.
  'application/json': {
    schema: {
      title: 'OwnContent',
      type: 'object',
      properties: { content: { type: 'string' } },
      required: ['content'],
      examples: [{ content: 'Hello' }],
    },
  },
  'application/octet-stream': { schema: BYTES },
};

/** What Fastify validates of a call. Only the classic calls let unknown parameters pass. */
export const validated = ({ kind, query, params, body }: Route) => {
  const querystring =
    kind === 'classic' ? query : { ...(query ?? { type: 'object', properties: {} }), additionalProperties: false };
  return { ...(querystring ? { querystring } : {}), ...(params ? { params } : {}), ...(body ? { body } : {}) };
};

/** `/webhooks/:wh_id` as the document writes it. */
export const pathOf = (url: string): string => url.replace(/:(\w+)/g, '{$1}');

/** For a route that names no operation: `getWhcontentCount` of `GET /whcontent/count`. */
const operationIdOf = ({ operationId, method, url }: Route): string =>
  operationId ?? method.toLowerCase() + url.replace(/\W+(\w?)/g, (_, next: string) => next.toUpperCase());

interface Members {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  readonly required?: readonly string[];
}

function parametersOf(place: 'path' | 'query', { properties = {}, required = [] }: Members = {}) {
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    ...(required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

function answerOf({ schema, example, description, type }: Route['answers'][number]) {
  if (!schema && !type) return { description };
  const media = { schema: schema ?? (type === 'text/plain' ? { type: 'string' } : BYTES) };
  const content = { [type ?? 'application/json']: example === undefined ? media : { ...media, example } };
  return { description, content };
}

function operationOf(route: Route) {
  const { summary, description, tag, kind, params, query, body, rawBody, answers } = route;
  const parameters = [...parametersOf('query', query), ...parametersOf('path', params as Members)];
  // No body is read as {}.
  const content = rawBody ? OWN_CONTENT : { 'application/json': { schema: body } };
  const required = !rawBody && !Errors(body ?? {}, {})[0];
  return {
    operationId: operationIdOf(route),
    summary,
    description: description ?? `${summary}.`.replace('?.', '?'),
    tags: [tag],
    ...(kind === 'public' ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body || rawBody ? { requestBody: { required, content } } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerOf(answer)])),
      ...problemRefs(problemsOf(route)),
    },
  };
}

const RECEIVER_PROBLEMS = [401, 403, 404, 405, 413, 503];
const receiver = {
  operationId: 'receiveWebhook',
  summary: 'Receive a webhook',
  description:
    'Public: for providers. Any method, any content type, any sub-path and query. Answered only after the request is committed; every byte is kept.',
  tags: ['Receiver'],
  security: [],
  parameters: [
    { name: 'key', in: 'path', required: true, schema: { type: 'string' }, example: 'Vt3kZq8LxN2pWc7RmB4yJd9s' },
  ],
  requestBody: {
    required: false,
    content: {
      'application/json': { schema: {}, example: { id: 'evt_1' } },
      'application/octet-stream': { schema: BYTES },
    },
  },
  responses: {
    200: { description: 'Committed. What the webhook configures; empty by default.' },
    ...problemRefs(RECEIVER_PROBLEMS),
  },
};

const TAGS = {
  Account: 'Whose credentials these are.',
  Webhooks: 'Public URLs, and what is checked of the requests that they receive.',
  Contents: 'What was received, and own content.',
  Consumers: 'Named reading positions: pull, ack, and what was given up.',
  Refusals: 'Requests that did not become a content, and why.',
  Receiver: 'Where providers send to.',
  Operation: 'Whether the service is well.',
};

/** The document of these routes. */
export function apiDocument(config: Config, routes: readonly Route[]) {
  const paths: Record<string, Record<string, unknown>> = { '/in/{key}': { post: receiver } };
  for (const route of routes) {
    const path = pathOf(route.url);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  const statuses = [...new Set([...RECEIVER_PROBLEMS, ...routes.flatMap(problemsOf)])].sort((a, b) => a - b);
  const used = new Set<string>();
  const calls = referring(paths, used);
  const responses = referring(problemResponses(statuses), used);
  const tags = [...new Set([...Object.keys(TAGS), ...routes.map(({ tag }) => tag)])];
  return {
    openapi: '3.1.0',
    info: {
      title: config.serviceName,
      version: VERSION,
      description:
        'Receives webhooks on public URLs, keeps them, and hands them out to clients that poll with the right credentials.',
      contact: { name: config.serviceName, url: config.dashboardUrl ?? `${config.publicUrl}/docs` },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: config.publicUrl }],
    security: [{ basic: [] }],
    tags: tags.map((name) => ({ name, description: TAGS[name as keyof typeof TAGS] ?? `${name}.` })),
    paths: calls,
    components: {
      schemas: shapesOf(used),
      responses,
      securitySchemes: { basic: { type: 'http', scheme: 'basic', description: 'Your user id and your token.' } },
    },
  };
}
