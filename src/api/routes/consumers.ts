// The consumers of a user: make or change, read, list, delete; and what a worker does with one.
import type { Static } from 'typebox';
import type { Config } from '../../config/config.ts';
import type { Consumers, Seen } from '../../consumers/consumers.ts';
import type { Start } from '../../consumers/seek.ts';
import { revoked } from '../../errors.ts';
import * as wire from '../../schema/consumers.ts';
import { route } from '../route.ts';
import type { Part, Served, Serving } from '../serving.ts';
import { exampleContent, MOST_WAIT_S } from './contents.ts';

/** What the calls on consumers take of the service. */
export interface ConsumerCalls {
  readonly consumers: Consumers;
  readonly config: Config;
  readonly serving: Serving;
}

const state = { backlog: 3, backlog_more: false, oldest_age_s: 12, in_flight: 2, dead: 0 };
export const exampleConsumer = {
  name: 'billing',
  whid: [7],
  lease_seconds: 30,
  max_attempts: 10,
  ordered: false,
  duplicates: 'deliver',
  created_at: '2026-11-22T10:00:00.000Z',
  pulled_at: '2026-11-22T10:00:04.120Z',
  last_id: 27,
  ...state,
};
const common = { tag: 'Consumers', kind: 'extended' } as const;

export const isoTime = (ms: number): string => new Date(ms).toISOString();

export function consumerToWire({ consumer, state }: Seen): wire.Consumer {
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

type WireStart = Static<typeof wire.StartInput>;

/** `earliest`, `latest`, an id or a moment, as consumers take it. */
const startOf = (start: WireStart): Start =>
  typeof start === 'object' && 'time' in start ? { time: Date.parse(start.time) } : start;

export const putConsumer = route({
  ...common,
  operationId: 'putConsumer',
  method: 'PUT',
  url: '/consumers/:name',
  summary: 'Make or change a consumer',
  description:
    'What is left out has its default. Position and leases of a consumer that exists stay; `start` counts at creation only.',
  params: wire.ConsumerName,
  body: wire.ConsumerInput,
  answers: {
    200: { schema: wire.Consumer, example: exampleConsumer, description: 'Changed' },
    201: {
      schema: wire.Consumer,
      example: { ...exampleConsumer, pulled_at: null, last_id: 0, in_flight: 0 },
      description: 'Made',
    },
  },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId, reply }) {
    const { whid, start, ...settings } = body;
    // Each webhook once, in a fixed order, whatever the caller wrote.
    const whids = whid ? [...new Set(whid)].sort((a, b) => a - b) : null;
    const { made, ...seen } = await consumers.put(userId, params.name, { ...settings, whids }, start && startOf(start));
    if (made) reply.code(201);
    return consumerToWire(seen);
  },
});

export const getConsumer = route({
  ...common,
  operationId: 'getConsumer',
  method: 'GET',
  url: '/consumers/:name',
  summary: 'Read a consumer and how far it is',
  params: wire.ConsumerName,
  answers: { 200: { schema: wire.Consumer, example: exampleConsumer, description: 'The consumer' } },
  handler: async ({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, userId }) =>
    consumerToWire(await consumers.get(userId, params.name)),
});

export const listConsumersRoute = route({
  ...common,
  operationId: 'listConsumers',
  method: 'GET',
  url: '/consumers',
  summary: 'List your consumers',
  answers: {
    200: {
      schema: wire.ConsumerList,
      example: { consumers: [exampleConsumer] },
      description: 'Your consumers by name',
    },
  },
  handler: async ({ consumers }: Pick<ConsumerCalls, 'consumers'>, { userId }) => ({
    consumers: (await consumers.list(userId)).map(consumerToWire),
  }),
});

export const deleteConsumerRoute = route({
  ...common,
  operationId: 'deleteConsumer',
  method: 'DELETE',
  url: '/consumers/:name',
  summary: 'Delete a consumer',
  description: 'With its leases and dead letters. The contents stay.',
  params: wire.ConsumerName,
  answers: { 204: { description: 'Deleted' } },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, userId, reply }) {
    await consumers.remove(userId, params.name);
    return reply.code(204).send();
  },
});

// Pull, ack, nack, extend, seek, dead letters -----------------------------------------------------------------------

const MOST_ITEMS = 500;
const lease = 'AQGS5f2Yv6kBARs2AQI';
const item = { ...exampleContent, attempt: 1, lease_until: '2026-11-22T10:00:34.120Z' };
const done = { done: [27], conflicts: [] };
const action = { ...common, method: 'POST', params: wire.ConsumerName } as const;
const outcome = { 200: { schema: wire.Outcome, example: done, description: 'All of it is done' } };
const told = 'When not all of it could be done the answer is 409 with `done` and `conflicts`; what is `done` is done.';

export const pullConsumer = route({
  ...action,
  operationId: 'pullContents',
  url: '/consumers/:name/pull',
  summary: 'Pull contents',
  description:
    'Acks first, if `ack` is given, then hands out what waits, in order of arrival, for as long as the lease lasts. What is not acked until then is handed out again. A consumer that does not exist is made.',
  body: wire.PullInput,
  answers: {
    200: {
      schema: wire.PullAnswer,
      example: { lease, items: [item], conflicts: [], ...state, in_flight: 1, poll_after_ms: 0 },
      description: 'What there is; `items` is empty when there is nothing',
    },
  },
  async handler({ consumers, config, serving }: ConsumerCalls, { params, body, userId, watch, whileOpen, reply }) {
    const { limit = 20, wait = 0, lease_seconds, start, ack } = body;
    const ended = wait > 0 ? watch() : whileOpen();
    const call = {
      limit: Math.min(limit, MOST_ITEMS),
      waitMs: Math.min(wait, MOST_WAIT_S) * 1000,
      leaseSeconds: lease_seconds,
      start: start && startOf(start),
      ack: typeof ack === 'string' ? { lease: ack } : ack,
    };
    const pulled = await consumers.pull(userId, params.name, call, ended);
    if (ended.aborted && ended.reason === 'revoked') throw revoked(config.serviceName);
    const { items, due, conflicts, gap, pollAfterMs } = pulled;
    const until = items.length > 0 ? isoTime(due) : '';
    const contents = await serving.serve(
      userId,
      items.map(({ content }) => content),
    );
    const parts = items.flatMap(({ attempt }, i): Part[] => [
      i === 0 ? '' : ',',
      contents[i] as Served,
      `,"attempt":${attempt},"lease_until":"${until}"}`,
    ]);
    const more = {
      conflicts,
      ...pulled.state,
      poll_after_ms: pollAfterMs,
      ...(gap ? { gap: { from: gap.from, to: gap.to } } : {}),
    };
    const before = `{"lease":${JSON.stringify(pulled.lease)},"items":[`;
    return serving.answer(reply, userId, [before, ...parts, `],${JSON.stringify(more).slice(1)}`]);
  },
});

export const ackConsumer = route({
  ...action,
  operationId: 'ackContents',
  url: '/consumers/:name/ack',
  summary: 'Ack a lease or some of it',
  description: `Only the latest lease of a content acks it. ${told}`,
  body: wire.LeaseInput,
  answers: outcome,
  handler: ({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) =>
    consumers.ack(userId, params.name, body),
});

export const nackConsumer = route({
  ...action,
  operationId: 'nackContents',
  url: '/consumers/:name/nack',
  summary: 'Give contents back',
  description: `They are handed out again after \`delay_seconds\`; with \`dead\` they become dead letters. ${told}`,
  body: wire.NackInput,
  answers: outcome,
  handler: ({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) => {
    const { delay_seconds = 0, dead = false, untried = false, reason = null } = body;
    return consumers.nack(userId, params.name, body, { delayMs: delay_seconds * 1000, dead, untried, reason });
  },
});

export const extendConsumer = route({
  ...action,
  operationId: 'extendLease',
  url: '/consumers/:name/extend',
  summary: 'Keep contents in hand for longer',
  description: `The lease lasts \`lease_seconds\` from now; its text stays the same. ${told}`,
  body: wire.ExtendInput,
  answers: {
    200: {
      schema: wire.Extended,
      example: { ...done, lease_until: item.lease_until },
      description: 'All of it is extended',
    },
  },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) {
    const { done: ids, conflicts, due } = await consumers.extend(userId, params.name, body, body.lease_seconds);
    return { done: ids, conflicts, lease_until: isoTime(due) };
  },
});

export const seekConsumer = route({
  ...action,
  operationId: 'seekConsumer',
  url: '/consumers/:name/seek',
  summary: 'Move a consumer',
  description:
    'The next pull begins there. What is in hand or was given back is dropped, and the dead letters at or after the new position with it.',
  body: wire.SeekInput,
  answers: {
    200: { schema: wire.Consumer, example: { ...exampleConsumer, in_flight: 0 }, description: 'As it is now' },
  },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) {
    const to = typeof body === 'object' && 'to' in body ? body.to : startOf(body);
    return consumerToWire(await consumers.seek(userId, params.name, to));
  },
});

export const listDeadRoute = route({
  ...common,
  operationId: 'listDeadLetters',
  method: 'GET',
  url: '/consumers/:name/dead',
  summary: 'List dead letters',
  params: wire.ConsumerName,
  query: wire.DeadQuery,
  answers: {
    200: {
      schema: wire.DeadPage,
      example: {
        dead: [
          { id: 27, wh_id: 7, attempts: 10, reason: 'the account is closed', dead_at: '2026-11-22T10:05:00.000Z' },
        ],
        next_id: 28,
      },
      description: 'What was given up, by id',
    },
  },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, query, userId }) {
    const from = query.id ?? 0;
    const rows = await consumers.dead(userId, params.name, from, Math.min(query.limit ?? 20, MOST_ITEMS));
    const dead = rows.map(({ id, wh_id, attempt, reason, dead_ms }) => ({
      id,
      wh_id,
      attempts: attempt,
      reason,
      dead_at: isoTime(dead_ms),
    }));
    return { dead, next_id: (rows.at(-1)?.id ?? from - 1) + 1 };
  },
});

export const retryDeadRoute = route({
  ...action,
  operationId: 'retryDeadLetters',
  url: '/consumers/:name/dead/retry',
  summary: 'Hand dead letters out again',
  description: `With all their attempts before them. Without \`ids\` all of them, 5,000 a call. ${told}`,
  body: wire.RetryInput,
  answers: {
    200: { schema: wire.Retried, example: { ...done, more: false }, description: 'They wait for the next pull' },
  },
  async handler({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) {
    const { done: ids, conflicts, more } = await consumers.retry(userId, params.name, body.ids);
    return { done: ids, conflicts, more };
  },
});

export const redeliverConsumer = route({
  ...action,
  operationId: 'redeliverContents',
  url: '/consumers/:name/redeliver',
  summary: 'Hand contents out again to one consumer',
  description: `Also those that were acked. Those that are still ahead of it come anyway. ${told}`,
  body: wire.RedeliverInput,
  answers: outcome,
  handler: ({ consumers }: Pick<ConsumerCalls, 'consumers'>, { params, body, userId }) =>
    consumers.redeliver(userId, params.name, body.ids),
});
