// The API document, made from the route objects: OpenAPI 3.1 with an example for every call.
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import type { TSchema } from 'typebox';
import type { Config } from '../config.ts';
import { ProblemBody } from '../schema.ts';
import type { Route } from './route.ts';

export const VERSION = '0.1.0';

/** A route object as Fastify's schema: what is validated, serialised and documented. */
export function routeSchema(route: Route): FastifySchema {
  const problems: number[] = route.kind === 'public' ? [503] : [401, 422, 429, 503];
  if (route.params) problems.push(404);
  if (route.kind === 'extended') problems.push(409);
  if (route.body || route.rawBody) problems.push(413);
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
  return {
    ...(route.query
      ? { querystring: strictQuery(route) }
      : route.kind === 'classic'
        ? {}
        : { querystring: { type: 'object', additionalProperties: false } }),
    ...(route.params ? { params: route.params } : {}),
    ...(route.body ? { body: route.body } : {}),
    response: Object.fromEntries([...answers, ...problems.map((status) => [status, problem])]),
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    tags: [route.tag],
    security: route.kind === 'public' ? [] : [{ basic: [] }],
    ...(route.rawBody ? { consumes: ['application/octet-stream', 'application/json'] } : {}),
  } as FastifySchema;
}

/** Only the classic calls let unknown parameters pass. */
const strictQuery = (route: Route): TSchema =>
  (route.kind === 'classic' ? route.query : { ...route.query, additionalProperties: false }) as TSchema;

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
        [403, 404, 405, 413, 503].map((status) => [
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

export const openApi = (config: Config): FastifyDynamicSwaggerOptions => ({
  openapi: {
    openapi: '3.1.0',
    info: {
      title: config.serviceName,
      version: VERSION,
      description:
        'Receives webhooks on public URLs, keeps them, and hands them out to whoever polls with the right credentials.',
    },
    servers: [{ url: config.publicUrl }],
    tags: ['Account', 'Webhooks', 'Contents', 'Refusals', 'Receiver', 'Operation'].map((name) => ({ name })),
    components: {
      securitySchemes: { basic: { type: 'http', scheme: 'basic', description: 'Your user id and your token.' } },
    },
    paths: { '/in/{key}': receiver as never },
  },
  refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
});
