// Webhooks made and changed, for the API and the command line alike: settings checked, secrets sealed, URLs made.
import { COUNTED } from '../admission/resources.ts';
import type { Config } from '../config/config.ts';
import { isNetwork } from '../config/settings.ts';
import { type FieldError, forbidden, invalid, notFound } from '../errors.ts';
import {
  resolveSettings,
  type SettingsInput,
  type WebhookCreate,
  type WebhookDetail,
  type WebhookPatch,
} from '../schema/webhooks.ts';
import type { Store } from '../store/open.ts';
import { decodeName } from '../store/text.ts';
import {
  createWebhook,
  findWebhook,
  type NamedWebhook,
  rotateKey,
  TooManyWebhooks,
  updateWebhook,
  type WebhookRow,
} from '../store/webhooks.ts';
import { PRESETS } from '../verify/presets/index.ts';
import { RuleError } from '../verify/rules.ts';
import { randomText, type Sealer } from './sealer.ts';
import { chooseSecrets, sealAll, showToken, takeToken } from './secrets.ts';
import { isToken, ownerOf, rulesOf } from './target.ts';

const DAY_S = 86_400;
/** 24 letters and digits: 142 bits, and a double click selects them all. */
const newKey = (): string => randomText(24);

const webhookUrl = (publicUrl: string, key: string): string => `${publicUrl}/in/${key}`;
const urlOf = (webhook: NamedWebhook, publicUrl: string): string =>
  webhook.url_key ? webhookUrl(publicUrl, webhook.url_key) : decodeName(webhook.wh_url);

export const webhookClassic = (webhook: NamedWebhook, publicUrl: string) => ({
  wh_id: webhook.wh_id,
  wh_url: urlOf(webhook, publicUrl),
  wh_name: decodeName(webhook.wh_name),
  status: webhook.status,
});
export const webhookDetail = (webhook: WebhookRow, publicUrl: string): WebhookDetail => {
  const input = showToken(webhook.settings ?? {}, webhook.secrets);
  const preset = PRESETS.get(input.preset ?? '');
  const { preset: name, verify, ...settings } = resolveSettings(input, preset?.response);
  const classic = webhookClassic(webhook, publicUrl);
  return {
    ...classic,
    preset: name,
    verify,
    secrets: webhook.secrets
      .filter((one) => !isToken(one))
      .map(({ id, last4, expires_ms }) => ({ id, last4, expires_at: isoOrNull(expires_ms) })),
    ...settings,
    created_at: new Date(webhook.created_ms ?? 0).toISOString(),
    ...(preset ? { steps: preset.steps.map((step) => step.replaceAll('{url}', classic.wh_url)) } : {}),
    ...(preset && !isPublic(publicUrl)
      ? { hint: `${preset.title} cannot reach ${publicUrl}: PUBLIC_URL must be a public https address.` }
      : {}),
  };
};
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** Providers call only public https addresses. */
export const isPublic = (url: string): boolean =>
  url.startsWith('https:') && !/\/\/(localhost|127\.|\[::1\])/.test(url);

/** One of the user's webhooks that this service made. Webhooks of other applications are changed there. */
export async function owned({ store }: Pick<WebhookParts, 'store'>, userId: number, whId: number): Promise<WebhookRow> {
  const webhook = await findWebhook(store, userId, whId);
  if (!webhook) throw notFound(`You have no webhook ${whId}. GET /webhooks lists yours.`);
  if (!webhook.settings) throw forbidden(`Webhook ${whId} was made by another application: manage it there.`);
  return webhook;
}

export interface WebhookParts {
  readonly store: Store;
  readonly config: Pick<Config, 'publicUrl' | 'webhookIdFrom' | 'webhooksPerUser'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Needed only where there are secrets. */
  readonly sealer?: Sealer;
}

/** Makes a webhook for a user and reads it back. */
export async function makeWebhook(
  { store, config, now, sealer }: WebhookParts,
  userId: number,
  { wh_name, secrets, ...given }: WebhookCreate,
): Promise<WebhookDetail> {
  check(wh_name, given);
  checkAnswer(given);
  const { settings, token } = takeToken(given, []);
  const chosen = [...chooseSecrets(settings, [], secrets ?? []), ...token];
  if (chosen.length > 0) await sealer?.ready();
  const url_key = newKey();
  const idFrom = config.webhookIdFrom ?? (store.db.kind === 'mysql' ? 1_000_000_000 : 1);
  const wh_url = webhookUrl(config.publicUrl, url_key);
  const wh_id = await createWebhook(store, {
    user_id: userId,
    wh_name,
    wh_url,
    url_key,
    settings,
    sealFor: (whId) => sealAll(sealer, ownerOf(userId, whId), chosen),
    created_ms: now(),
    idFrom,
    most: config.webhooksPerUser,
  }).catch((error: unknown) => {
    throw error instanceof TooManyWebhooks ? COUNTED.webhooks.refusal(config.webhooksPerUser) : error;
  });
  return webhookDetail(await owned({ store }, userId, wh_id), config.publicUrl);
}

/** Changes a webhook by RFC 7396; a list of secrets replaces the one before. */
export async function changeWebhook(
  { store, config, sealer }: WebhookParts,
  userId: number,
  whId: number,
  { wh_name, secrets, ...patch }: WebhookPatch,
): Promise<WebhookDetail> {
  const webhook = await owned({ store }, userId, whId);
  const merged = merge(showToken(webhook.settings ?? {}, webhook.secrets), patch) as SettingsInput;
  const name = wh_name ?? decodeName(webhook.wh_name);
  check(name, merged);
  // Only where it changes: a webhook that was stored before this check existed can still be switched off.
  if (patch.response || patch.preset) checkAnswer(merged);
  const { settings, token } = takeToken(merged, webhook.secrets);
  const before = webhook.secrets.filter((one) => !isToken(one));
  const chosen = [...(secrets === undefined ? before : chooseSecrets(settings, before, secrets ?? [])), ...token];
  // What was set to check signatures must not be told, and a test of the webhook would send it.
  const kept = chosen.some((one) => 'sealed' in one && !isToken(one));
  if (kept && isSent(merged) && !isSent(webhook.settings ?? {}))
    throw invalid([{ path: 'body.secrets', message: AGAIN }]);
  if (chosen.some((one) => 'value' in one)) await sealer?.ready();
  const sealed = sealAll(sealer, ownerOf(userId, whId), chosen);
  await updateWebhook(store, userId, whId, { wh_name: name, settings, secrets: sealed });
  return webhookDetail(await owned({ store }, userId, whId), config.publicUrl);
}

/** Whether its requests carry the secret itself. */
const isSent = (settings: SettingsInput): boolean => rulesOf(settings)?.check?.scheme === 'shared-secret';
const AGAIN =
  'must be set again with their values: by these rules requests carry the secret itself, and those that are stored were set to be told to nobody';

/** Gives a webhook another URL; the old one goes on for `graceSeconds`. */
export async function rotateWebhook(
  { store, config, now }: Omit<WebhookParts, 'sealer'>,
  userId: number,
  whId: number,
  graceSeconds = DAY_S,
): Promise<WebhookDetail> {
  await owned({ store }, userId, whId);
  const url_key = newKey();
  const wh_url = webhookUrl(config.publicUrl, url_key);
  await rotateKey(store, userId, whId, { url_key, wh_url, graceUntil: now() + graceSeconds * 1000 });
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

/** Node would leave the body out silently. */
function checkAnswer(settings: SettingsInput): void {
  const { status, body } = resolveSettings(settings, PRESETS.get(settings.preset ?? '')?.response).response;
  if ((status !== 204 && status !== 205) || body === '') return;
  const message = `must be empty with the status ${status}: such an answer has no body`;
  throw invalid([{ path: 'body.response.body', message }]);
}

/** What a schema cannot say. */
function check(wh_name: string, settings: SettingsInput): void {
  const { allow_networks } = settings;
  const errors: FieldError[] = [];
  try {
    rulesOf(settings);
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    errors.push(...error.errors);
  }
  if (Buffer.byteLength(wh_name) > 45)
    errors.push({ path: 'body.wh_name', message: 'must be at most 45 bytes of UTF-8' });
  for (const [i, network] of (allow_networks ?? []).entries()) {
    if (!isNetwork(network))
      errors.push({ path: `body.allow_networks.${i}`, message: 'must be an address or a network such as 10.0.0.0/8' });
  }
  if (errors.length > 0) throw invalid(errors);
}
