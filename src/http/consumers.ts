// The consumers of a user as resources: make or change, read, list, end.
import type { Static } from 'typebox';
import { invalid } from '../errors.ts';
import type { Seen } from '../flow/consumers.ts';
import type { Start } from '../flow/starts.ts';
import { Consumer, ConsumerInput, ConsumerList, ConsumerName } from '../schemaconsumers.ts';
import { route } from './route.ts';

const example = {
  name: 'billing',
  whid: [7],
  lease_seconds: 30,
  max_attempts: 10,
  ordered: false,
  duplicates: 'deliver',
  created_at: '2026-11-22T10:00:00.000Z',
  pulled_at: '2026-11-22T10:00:04.120Z',
  last_id: 27,
  backlog: 3,
  backlog_more: false,
  oldest_age_s: 12,
  in_flight: 2,
  dead: 0,
};
export const common = { tag: 'Consumers', kind: 'extended' } as const;
export const exampleConsumer = example;

export const isoTime = (ms: number): string => new Date(ms).toISOString();

export function consumerToWire({ consumer, state }: Seen): Consumer {
  const { name, whids, lease_seconds, max_attempts, ordered, duplicates, created_ms, pulled_ms, cursor_id, gap } =
    consumer;
  return {
    name,
    whid: whids && [...whids],
    lease_seconds,
    max_attempts,
    ordered,
    duplicates,
    created_at: isoTime(created_ms),
    pulled_at: pulled_ms > 0 ? isoTime(pulled_ms) : null,
    last_id: cursor_id,
    ...state,
    ...(gap ? { gap: { from: gap.from, to: gap.to } } : {}),
  };
}

type WireStart = NonNullable<Static<typeof ConsumerInput>['start']>;

/** `earliest`, `latest`, an id or a moment, as the flow knows them. */
export function startOf(start: WireStart | undefined, path: string): Start | undefined {
  if (start === undefined || typeof start === 'string') return start;
  if (start.id !== undefined) return { id: start.id };
  const time = Date.parse(start.time ?? '');
  if (Number.isNaN(time))
    throw invalid([{ path: `${path}.time`, message: 'must be a moment such as 2026-11-22T10:00:00Z' }]);
  return { time };
}

export const putConsumer = route({
  ...common,
  method: 'PUT',
  url: '/consumers/:name',
  summary: 'Make or change a consumer',
  description:
    'What is left out has its default. Position and leases of a consumer that exists stay; `start` counts at creation only.',
  params: ConsumerName,
  body: ConsumerInput,
  answers: {
    200: { schema: Consumer, example, description: 'Changed' },
    201: { schema: Consumer, example: { ...example, pulled_at: null, last_id: 0, in_flight: 0 }, description: 'Made' },
  },
  async handler({ consumers }, { params, body, userId, reply }) {
    const { whid, start, ...settings } = body;
    // A consumer of each of them once, in a fixed order, whatever the caller wrote.
    const whids = whid ? [...new Set(whid)].sort((a, b) => a - b) : null;
    const { made, ...seen } = await consumers.put(
      userId,
      params.name,
      { ...settings, whids },
      startOf(start, 'body.start'),
    );
    if (made) reply.code(201);
    return consumerToWire(seen);
  },
});

export const getConsumer = route({
  ...common,
  method: 'GET',
  url: '/consumers/:name',
  summary: 'Read a consumer and how far it is',
  params: ConsumerName,
  answers: { 200: { schema: Consumer, example, description: 'The consumer' } },
  handler: async ({ consumers }, { params, userId }) => consumerToWire(await consumers.get(userId, params.name)),
});

export const listConsumersRoute = route({
  ...common,
  method: 'GET',
  url: '/consumers',
  summary: 'List your consumers',
  answers: { 200: { schema: ConsumerList, example: { consumers: [example] }, description: 'Your consumers by name' } },
  handler: async ({ consumers }, { userId }) => ({ consumers: (await consumers.list(userId)).map(consumerToWire) }),
});

export const deleteConsumerRoute = route({
  ...common,
  method: 'DELETE',
  url: '/consumers/:name',
  summary: 'Delete a consumer',
  description: 'With its leases and dead letters. The contents stay.',
  params: ConsumerName,
  answers: { 204: { description: 'Deleted' } },
  async handler({ consumers }, { params, userId, reply }) {
    await consumers.remove(userId, params.name);
    return reply.code(204).send();
  },
});
