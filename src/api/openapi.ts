// The API document, made from the route objects: OpenAPI 3.1 with an example for every call.
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import type { Config } from '../config/config.ts';
import { ProblemBody } from '../schema/contents.ts';
import type { Route } from './route.ts';

export const VERSION = '0.1.0';

/** A route object as Fastify's schema: what is validated, serialised and documented. */
export function routeSchema(route: Route): FastifySchema {
  const problem = { description: 'A problem', content: { 'application/problem+json': { schema: ProblemBody } } };
  const answers = Object.entries(route.answers).map(([status, { schema, example, description, type }]) => [
    status,
    schema || type
      ? {
          description,
          content: {
            [type ?? 'application/json']: {
              schema: schema ?? { type: 'string', format: 'binary' },
              ...(example === undefined ? {} : { example }),
            },
          },
        }
      : { description, type: 'null' },
  ]);
  const query = queryOf(route);
  return {
    ...(query ? { querystring: query } : {}),
    ...(route.params ? { params: route.params } : {}),
    ...(route.rawBody ? { body: RAW_BODY } : route.body ? { body: route.body } : {}),
    response: Object.fromEntries([...answers, ...problemsOf(route).map((status) => [status, problem])]),
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(route.hidden ? { hide: true } : {}),
    tags: [route.tag],
    security: route.kind === 'public' ? [] : [{ basic: [] }],
  } as FastifySchema;
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
  return [...new Set(statuses)];
}

/** Bytes are taken as they are; as JSON, one member is told apart. Nothing of this is validated. */
const RAW_BODY = {
  content: {
    // First: the reference offers it to readers who try the call.
    'application/json': {
      schema: {
        type: 'object',
        properties: { content: { type: 'string' } },
        required: ['content'],
        examples: [{ content: 'Hello' }],
      },
    },
    'application/octet-stream': { schema: {} },
  },
};

/** Only the classic calls let unknown parameters pass. */
const queryOf = ({ kind, query }: Route): object | undefined =>
  kind === 'classic' ? query : { ...(query ?? { type: 'object', properties: {} }), additionalProperties: false };

const receiver = {
  post: {
    summary: 'Receive a webhook',
    description:
      'Public: for providers. Any method, any content type, any sub-path and query. Answered only after the request is committed; every byte is kept.',
    tags: ['Receiver'],
    security: [],
    parameters: [
      { name: 'key', in: 'path', required: true, schema: { type: 'string' }, example: 'Vt3kZq8LxN2pWc7RmB4yJd9s' },
    ],
    requestBody: { content: { '*/*': { schema: { type: 'string', format: 'binary' }, example: '{"id":"evt_1"}' } } },
    responses: {
      '200': { description: 'Committed. What the webhook configures; empty by default.' },
      ...Object.fromEntries(
        [401, 403, 404, 405, 413, 503].map((status) => [
          status,
          {
            description: 'Not stored',
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
    },
  },
};

/** Fastify's document requires every body; ours may be left out where no member is needed. */
function bodiesAsNeeded({ openapiObject }: { openapiObject?: { paths?: object } }) {
  for (const operation of Object.values(openapiObject?.paths ?? {}).flatMap(Object.values) as Operation[]) {
    const media = Object.values(operation.requestBody?.content ?? {});
    if (operation.requestBody) operation.requestBody.required = media.every(({ schema }) => schema.required?.length);
  }
  return openapiObject as object;
}

interface Operation {
  requestBody?: { required?: boolean; content: Record<string, { schema: { required?: string[] } }> };
}

export const openApi = (config: Config): FastifyDynamicSwaggerOptions => ({
  openapi: {
    openapi: '3.1.0',
    info: {
      title: config.serviceName,
      version: VERSION,
      description:
        'Receives webhooks on public URLs, keeps them, and hands them out to clients that poll with the right credentials.',
    },
    servers: [{ url: config.publicUrl }],
    tags: ['Account', 'Webhooks', 'Contents', 'Consumers', 'Refusals', 'Receiver', 'Operation'].map((name) => ({
      name,
    })),
    components: {
      schemas: { Problem: ProblemBody as never },
      securitySchemes: { basic: { type: 'http', scheme: 'basic', description: 'Your user id and your token.' } },
    },
    paths: { '/in/{key}': receiver as never },
  },
  transformObject: bodiesAsNeeded as never,
});
