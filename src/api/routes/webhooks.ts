// The webhooks of a user: list, make, read, change, rotate, delete.
import type { createBuckets } from '../../admission/rate.ts';
import { COUNTED } from '../../admission/resources.ts';
import type { Config } from '../../config/config.ts';
import type { Sender } from '../../http/address.ts';
import type { Receiver } from '../../http/server.ts';
import * as wire from '../../schema/webhooks.ts';
import type { Store } from '../../store/open.ts';
import type { Refreshed } from '../../store/shared-reads.ts';
import { deleteWebhook, nameWebhooks } from '../../store/webhooks.ts';
import type { SignedSample } from '../../verify/sample.ts';
import { type ReleaseParts, releaseWaiting } from '../../webhooks/release.ts';
import { tellTest, trySample } from '../../webhooks/sample.ts';
import { storedTarget, type Target } from '../../webhooks/target.ts';
import {
  changeWebhook,
  makeWebhook,
  owned,
  rotateWebhook,
  type WebhookParts,
  webhookClassic,
  webhookDetail,
} from '../../webhooks/webhooks.ts';
import { route } from '../route.ts';

/** What the calls on webhooks take of the service. */
export interface WebhookCalls extends Omit<WebhookParts, 'sealer'>, ReleaseParts {
  readonly store: Store;
  readonly config: Config;
  /** The webhooks as the receiver knows them. */
  readonly targets: Pick<Refreshed<string, Target>, 'forget'>;
  readonly receiver: Pick<Receiver, 'deliver'>;
  readonly sender: Pick<Sender, 'address'>;
  /** The tests that users may send now. */
  readonly tests: ReturnType<typeof createBuckets>;
}

/** A change is in force in this process when its answer leaves; in others within 5 s. */
async function atOnce<T>({ targets }: Pick<WebhookCalls, 'targets'>, whId: number, change: Promise<T>): Promise<T> {
  const result = await change;
  targets.forget((target) => target.wh_id === whId);
  return result;
}

const listed = {
  wh_id: 1,
  wh_url: 'https://hooks.example.org/in/Vt3kZq8LxN2pWc7RmB4yJd9s',
  wh_name: 'Payments',
  status: 1,
};
const { preset, verify, ...settings } = wire.resolveSettings({ preset: 'stripe' });
const detail = {
  ...listed,
  preset,
  verify,
  secrets: [{ id: 'k3Xw9bQz', last4: '9fA2', expires_at: null }],
  ...settings,
  created_at: '2026-11-22T10:00:00.000Z',
};
const tested = {
  status: 200,
  answer: '',
  verified: 'signed',
  content_id: 28,
  event_id: 'sample_6c1f0b7a93d24e58',
  event_type: 'invoice.paid',
  detail: 'Stored as content 28. It was signed as Stripe signs, and its signature matches.',
};
const MINUTE_S = 60;
const MOST_LISTED = 1_000;
const common = { tag: 'Webhooks', kind: 'extended' } as const;

export const listWebhooksRoute = route({
  ...common,
  operationId: 'listWebhooks',
  kind: 'classic',
  method: 'GET',
  url: '/webhooks',
  summary: 'List your webhooks',
  query: wire.WebhookQuery,
  answers: { 200: { schema: wire.WebhookList, example: { webhooks: [listed] }, description: 'Your webhooks by id' } },
  async handler({ store, config }: Pick<WebhookCalls, 'store' | 'config'>, { query, userId, hint }) {
    const limit = Math.min(query.limit ?? MOST_LISTED, MOST_LISTED);
    const found = await nameWebhooks(store, userId, { from: query.id ?? 0, limit: limit + 1 });
    const next = found[limit];
    const webhooks = found.slice(0, limit).map((webhook) => webhookClassic(webhook, config.publicUrl));
    return { webhooks, ...(next ? { next_id: next.wh_id } : {}), ...hint };
  },
});

export const createWebhookRoute = route({
  ...common,
  operationId: 'createWebhook',
  method: 'POST',
  url: '/webhooks',
  summary: 'Make a webhook',
  body: wire.WebhookCreate,
  answers: { 201: { schema: wire.WebhookDetail, example: detail, description: 'Made; `wh_url` receives from now on' } },
  async handler(parts: WebhookCalls, { body, userId, reply }) {
    reply.code(201);
    return makeWebhook(parts, userId, body);
  },
});

export const getWebhook = route({
  ...common,
  operationId: 'getWebhook',
  method: 'GET',
  url: '/webhooks/:wh_id',
  summary: 'Read a webhook and its settings',
  params: wire.WebhookId,
  answers: { 200: { schema: wire.WebhookDetail, example: detail, description: 'The webhook' } },
  problems: [403],
  handler: async (parts: WebhookCalls, { params, userId }) =>
    webhookDetail(await owned(parts, userId, params.wh_id), parts.config.publicUrl),
});

export const patchWebhook = route({
  ...common,
  operationId: 'updateWebhook',
  method: 'PATCH',
  url: '/webhooks/:wh_id',
  summary: 'Change a webhook',
  description: 'RFC 7396: a member replaces, `null` goes back to the default, what is left out stays.',
  params: wire.WebhookId,
  body: wire.WebhookPatch,
  answers: { 200: { schema: wire.WebhookDetail, example: { ...detail, enabled: false }, description: 'As it is now' } },
  handler: (parts: WebhookCalls, { params, body, userId }) =>
    atOnce(parts, params.wh_id, changeWebhook(parts, userId, params.wh_id, body)).then((changed) => {
      // What came before its secret is judged now; the caller does not wait for that.
      if (body.secrets || body.verify || body.preset) void releaseWaiting(parts, userId, params.wh_id);
      return changed;
    }),
});

export const rotateWebhookRoute = route({
  ...common,
  operationId: 'rotateWebhook',
  method: 'POST',
  url: '/webhooks/:wh_id/rotate',
  summary: 'Give a webhook a new URL',
  description:
    'The old URL goes on receiving for `grace_seconds`, so that nothing is lost while you change it at the provider.',
  params: wire.WebhookId,
  body: wire.Rotate,
  answers: { 200: { schema: wire.WebhookDetail, example: detail, description: 'With its new URL' } },
  handler: (parts: WebhookCalls, { params, body, userId }) =>
    atOnce(parts, params.wh_id, rotateWebhook(parts, userId, params.wh_id, body.grace_seconds)),
});

/** Counts a test; throws a 429 when there were too many. */
function countTest({ tests }: Pick<WebhookCalls, 'tests'>, userId: number): void {
  const most = COUNTED.tests.each();
  const perSecond = most / MINUTE_S;
  const left = tests(userId, perSecond);
  if (left.tokens < 1) throw COUNTED.tests.refusal(most, Math.ceil((1 - left.tokens) / perSecond));
  left.tokens--;
}

export const testWebhookRoute = route({
  ...common,
  operationId: 'testWebhook',
  method: 'POST',
  url: '/webhooks/:wh_id/test',
  summary: 'Send a test to a webhook',
  description:
    'A sample of its provider, signed with the stored secret and received like any request. 409: no secret here can sign one.',
  params: wire.WebhookId,
  body: wire.TestInput,
  answers: { 200: { schema: wire.TestSent, example: tested, description: 'What became of it' } },
  async handler(parts: WebhookCalls, { params, body, userId, request }) {
    countTest(parts, userId);
    const { config, sealer, now, receiver } = parts;
    const row = await owned(parts, userId, params.wh_id);
    const target = storedTarget(sealer, row, row.settings ?? {});
    const sample = trySample(target, webhookClassic(row, config.publicUrl).wh_url, body, now());
    const ip = parts.sender.address(request.raw);
    const delivered = await receiver.deliver({ ...asSent(sample, config), ip });
    return tellTest(target, sample, delivered, ip);
  },
});

/** As it arrives: what stands before `/in/` in PUBLIC_URL is the way to this service, which a proxy cuts off. */
const asSent = ({ method, url, headers, body }: SignedSample, { publicUrl }: Pick<Config, 'publicUrl'>) => ({
  method,
  url: url.slice(publicUrl.length),
  headers: [...headers, 'Content-Length', String(body.length)],
  body,
});

export const deleteWebhookRoute = route({
  ...common,
  operationId: 'deleteWebhook',
  method: 'DELETE',
  url: '/webhooks/:wh_id',
  summary: 'Delete a webhook',
  description: 'Its URLs end at once. Its contents stay.',
  params: wire.WebhookId,
  answers: { 204: { description: 'Deleted' } },
  async handler(parts: WebhookCalls, { params, userId, reply }) {
    await owned(parts, userId, params.wh_id);
    await atOnce(parts, params.wh_id, deleteWebhook(parts.store, userId, params.wh_id));
    return reply.code(204).send();
  },
});
