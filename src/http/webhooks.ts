// The webhooks of a user: list, make, read, change, rotate, delete. Secrets and ids come from node:crypto.
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { type FieldError, forbidden, invalid, notFound } from '../errors.ts';
import {
  Rotate,
  resolveSettings,
  type SettingsInput,
  WebhookCreate,
  WebhookDetail,
  WebhookId,
  WebhookList,
  WebhookPatch,
} from '../schema.ts';
import * as store_ from '../store/webhooks.ts';
import type { Context } from './context.ts';
import { route } from './route.ts';
import { decodeName } from './wire.ts';

const DAY_S = 86_400;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** `length` letters and digits, 5.95 bits each, every one as likely. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length)
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += LETTERS[byte % 62];
  return text;
}
/** 24 letters and digits: 142 bits, and a double click selects them all. */
const newKey = (): string => randomText(24);

const webhookUrl = (publicUrl: string, key: string): string => `${publicUrl}/in/${key}`;
const urlOf = (webhook: store_.Webhook, publicUrl: string): string =>
  webhook.url_key ? webhookUrl(publicUrl, webhook.url_key) : decodeName(webhook.wh_url);

export const webhookClassic = (webhook: store_.Webhook, publicUrl: string) => ({
  wh_id: webhook.wh_id,
  wh_url: urlOf(webhook, publicUrl),
  wh_name: decodeName(webhook.wh_name),
  status: webhook.status,
});
export const webhookDetail = (webhook: store_.Webhook, publicUrl: string): WebhookDetail => {
  const { response, max_body_bytes, allow_methods, allow_networks, enabled } = resolveSettings(webhook.settings ?? {});
  return {
    ...webhookClassic(webhook, publicUrl),
    response,
    max_body_bytes,
    allow_methods: allow_methods && [...allow_methods],
    allow_networks: allow_networks && [...allow_networks],
    enabled,
    created_at: new Date(webhook.created_ms ?? 0).toISOString(),
  };
};

/** One of the user's webhooks that we made. Those of other applications are theirs to change. */
async function owned({ store }: Pick<Context, 'store'>, userId: number, whId: number): Promise<store_.Webhook> {
  const webhook = await store_.findWebhook(store, userId, whId);
  if (!webhook) throw notFound(`You have no webhook ${whId}. GET /webhooks lists yours.`);
  if (!webhook.settings) throw forbidden(`Webhook ${whId} was made by another application: manage it there.`);
  return webhook;
}

/** Makes a webhook for a user and reads it back. */
export async function makeWebhook(
  { store, config, now }: Pick<Context, 'store' | 'config' | 'now'>,
  userId: number,
  { wh_name, ...settings }: WebhookCreate,
): Promise<WebhookDetail> {
  check(wh_name, settings);
  const url_key = newKey();
  const idFrom = config.webhookIdFrom ?? (store.db.kind === 'mysql' ? 1_000_000_000 : 1);
  const wh_url = webhookUrl(config.publicUrl, url_key);
  const wh_id = await store_.createWebhook(store, {
    user_id: userId,
    wh_name,
    wh_url,
    url_key,
    settings,
    created_ms: now(),
    idFrom,
  });
  return webhookDetail(await owned({ store }, userId, wh_id), config.publicUrl);
}

/** Changes a webhook by RFC 7396. */
export async function changeWebhook(
  { store, config }: Pick<Context, 'store' | 'config'>,
  userId: number,
  whId: number,
  { wh_name, ...patch }: WebhookPatch,
): Promise<WebhookDetail> {
  const webhook = await owned({ store }, userId, whId);
  const settings = merge(webhook.settings ?? {}, patch) as SettingsInput;
  const name = wh_name ?? decodeName(webhook.wh_name);
  check(name, settings);
  await store_.updateWebhook(store, userId, whId, { wh_name: name, settings });
  return webhookDetail(await owned({ store }, userId, whId), config.publicUrl);
}

/** Gives a webhook another URL; the old one goes on for `graceSeconds`. */
export async function rotateWebhook(
  { store, config, now }: Pick<Context, 'store' | 'config' | 'now'>,
  userId: number,
  whId: number,
  graceSeconds = DAY_S,
): Promise<WebhookDetail> {
  await owned({ store }, userId, whId);
  const url_key = newKey();
  const wh_url = webhookUrl(config.publicUrl, url_key);
  await store_.rotateKey(store, userId, whId, { url_key, wh_url, graceUntil: now() + graceSeconds * 1000 });
  return webhookDetail(await owned({ store }, userId, whId), config.publicUrl);
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** RFC 7396: members replace, null removes, objects merge. */
function merge(old: Json, patch: Json): Json {
  const next: Json = { ...old };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete next[name];
    else if (isObject(value)) next[name] = merge(isObject(next[name]) ? next[name] : {}, value);
    else if (value !== undefined) next[name] = value;
  }
  return next;
}

/** What a schema cannot say. */
function check(wh_name: string, { allow_networks }: SettingsInput): void {
  const errors: FieldError[] = [];
  if (Buffer.byteLength(wh_name) > 45)
    errors.push({ path: 'body.wh_name', message: 'must be at most 45 bytes of UTF-8' });
  for (const [i, network] of (allow_networks ?? []).entries()) {
    const [address = '', bits, ...more] = network.split('/');
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const good =
      family && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
    if (!good)
      errors.push({ path: `body.allow_networks.${i}`, message: 'must be an address or a network such as 10.0.0.0/8' });
  }
  if (errors.length > 0) throw invalid(errors);
}

/** A change is in force in this process when its answer leaves; in others within 5 s. */
async function atOnce<T>({ targets }: Context, whId: number, change: Promise<T>): Promise<T> {
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
const detail = {
  ...listed,
  response: { status: 200, content_type: 'text/plain', body: '' },
  max_body_bytes: null,
  allow_methods: null,
  allow_networks: null,
  enabled: true,
  created_at: '2026-11-22T10:00:00.000Z',
};
const common = { tag: 'Webhooks', kind: 'extended' } as const;

export const listWebhooksRoute = route({
  ...common,
  kind: 'classic',
  method: 'GET',
  url: '/webhooks',
  summary: 'List your webhooks',
  answers: { 200: { schema: WebhookList, example: { webhooks: [listed] }, description: 'Your webhooks by id' } },
  async handler({ store, config }, { userId, hint }) {
    const webhooks = await store_.listWebhooks(store, userId);
    return { webhooks: webhooks.map((webhook) => webhookClassic(webhook, config.publicUrl)), ...hint };
  },
});

export const createWebhookRoute = route({
  ...common,
  method: 'POST',
  url: '/webhooks',
  summary: 'Make a webhook',
  body: WebhookCreate,
  answers: { 201: { schema: WebhookDetail, example: detail, description: 'Made; `wh_url` receives from now on' } },
  async handler(context, { body, userId, reply }) {
    reply.code(201);
    return makeWebhook(context, userId, body);
  },
});

export const getWebhook = route({
  ...common,
  method: 'GET',
  url: '/webhooks/:wh_id',
  summary: 'Read a webhook and its settings',
  params: WebhookId,
  answers: { 200: { schema: WebhookDetail, example: detail, description: 'The webhook' } },
  problems: [403],
  handler: async (context, { params, userId }) =>
    webhookDetail(await owned(context, userId, params.wh_id), context.config.publicUrl),
});

export const patchWebhook = route({
  ...common,
  method: 'PATCH',
  url: '/webhooks/:wh_id',
  summary: 'Change a webhook',
  description: 'RFC 7396: a member replaces, `null` goes back to the default, what is left out stays.',
  params: WebhookId,
  body: WebhookPatch,
  answers: { 200: { schema: WebhookDetail, example: { ...detail, enabled: false }, description: 'As it is now' } },
  handler: (context, { params, body, userId }) =>
    atOnce(context, params.wh_id, changeWebhook(context, userId, params.wh_id, body)),
});

export const rotateWebhookRoute = route({
  ...common,
  method: 'POST',
  url: '/webhooks/:wh_id/rotate',
  summary: 'Give a webhook a new URL',
  description:
    'The old URL goes on receiving for `grace_seconds`, so that nothing is lost while you change it at the provider.',
  params: WebhookId,
  body: Rotate,
  answers: { 200: { schema: WebhookDetail, example: detail, description: 'With its new URL' } },
  handler: (context, { params, body, userId }) =>
    atOnce(context, params.wh_id, rotateWebhook(context, userId, params.wh_id, body.grace_seconds)),
});

export const deleteWebhookRoute = route({
  ...common,
  method: 'DELETE',
  url: '/webhooks/:wh_id',
  summary: 'Delete a webhook',
  description: 'Its URLs end at once. Its contents stay.',
  params: WebhookId,
  answers: { 204: { description: 'Deleted' } },
  async handler(context, { params, userId, reply }) {
    await owned(context, userId, params.wh_id);
    await atOnce(context, params.wh_id, store_.deleteWebhook(context.store, userId, params.wh_id));
    return reply.code(204).send();
  },
});
