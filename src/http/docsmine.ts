// What the documentation fills its examples with: the things of the user who reads it, or of nobody.
import { listRefusals } from '../store/refusals.ts';
import { listWebhooks, type Webhook } from '../store/webhooks.ts';
import { consumerToWire, exampleConsumer } from './consumers.ts';
import type { Context } from './context.ts';
import { webhookClassic } from './webhooksettings.ts';
import { contentToWire, refusalToWire } from './wire.ts';

type Shown = ReturnType<typeof webhookClassic>;

export interface Mine {
  /** Null: nobody is signed in. */
  readonly userId: number | null;
  /** As they stand in a sample: `1001:TOKEN`. The token is never told. */
  readonly id: string;
  readonly token: string;
  readonly webhooks: readonly Shown[];
  /** The one that examples read; one that we made if there is one. Undefined: the user has none. */
  readonly webhook: Shown | undefined;
  /** The webhook that may be given a new URL or deleted, because it was made from these pages. */
  readonly spare: Shown | undefined;
  /** Where anybody may send a test: enabled, and nothing is verified. */
  readonly open: Shown | undefined;
  /** The newest content as the API tells it. */
  readonly content: Readonly<Record<string, unknown> & { id: number }> | undefined;
  /** All but the one of the samples. */
  readonly consumers: readonly { readonly name: string }[];
  readonly refusal: Readonly<Record<string, unknown> & { id: number; wh_id: number }> | undefined;
}

/** What samples call a webhook and a consumer of their own, so that nobody loses one that is in use. */
export const TRY_WEBHOOK = 'Try me';
export const TRY_CONSUMER = 'try-me';
/** Instead of a token, however long it is. */
export const MASK = '********';

const KEY = 'Vt3kZq8LxN2pWc7RmB4yJd9s';
/** Neutral examples. They hold on a service that has just these, so they can be tried like any other. */
export function nobody(publicUrl: string): Mine {
  const webhook = { wh_id: 7, wh_url: `${publicUrl}/in/${KEY}`, wh_name: 'Payments', status: 1 };
  return {
    userId: null,
    id: '1001',
    token: 'TOKEN',
    webhooks: [webhook],
    webhook,
    spare: undefined,
    open: webhook,
    content: {
      id: 27,
      content: '{"id":"evt_1","type":"charge.succeeded"}',
      ip: '3.18.12.63',
      api: 1,
      dt: '2026-11-22 10:00:00',
      wh_id: 7,
      encoding: 'utf-8',
      request: null,
    },
    consumers: [exampleConsumer],
    refusal: undefined,
  };
}

const MOST_SHOWN = 20;
const MOST_CHARACTERS = 1_000;
// Others may hold a secret of the sender.
const PLAIN_HEADERS = new Set(['content-type', 'content-length', 'user-agent', 'host']);
// In a sample a URL stands between quotes, and who may write tblwhid must not break out of them.
const isPlainUrl = (url: string) => /^https?:\/\/[\w.~:/?#@!&*+,;=%[\]-]+$/.test(url);
const isOpen = ({ settings }: Webhook) =>
  settings !== null &&
  settings.enabled !== false &&
  !settings.preset &&
  !settings.verify &&
  !settings.allow_networks &&
  !settings.allow_methods;

/** The things of a user, read now: a handful of rows, none of them whole tables. */
export async function mineOf(context: Context, userId: number): Promise<Mine> {
  const { store, config, lists } = context;
  const [rows, newest, consumers, refused] = await Promise.all([
    listWebhooks(store, userId),
    lists.newestFirst({ userId, whid: 'all', from: 'latest', limit: 1 }),
    store.extended ? context.consumers.list(userId) : [],
    store.extended ? newestRefusals(context, userId) : [],
  ]);
  const shown = (webhook: Webhook | undefined) => webhook && webhookClassic(webhook, config.publicUrl);
  const all = rows.filter((row) => isPlainUrl(webhookClassic(row, config.publicUrl).wh_url));
  const ours = all.filter(({ settings }) => settings !== null);
  const made = ours.findLast((row) => webhookClassic(row, config.publicUrl).wh_name === TRY_WEBHOOK);
  const content = newest.contents[0];
  return {
    userId,
    id: String(userId),
    token: MASK,
    webhooks: all.slice(0, MOST_SHOWN).map((row) => webhookClassic(row, config.publicUrl)),
    webhook: shown(ours.find((row) => row.wh_id === content?.wh_id) ?? ours[0]),
    spare: shown(made),
    open: shown((made && isOpen(made) ? made : ours.find(isOpen)) ?? ours[0]),
    content: content && short(contentToWire(content, config)),
    consumers: consumers
      .map(consumerToWire)
      .filter(({ name }) => name !== TRY_CONSUMER)
      .slice(0, MOST_SHOWN),
    refusal: refused.map((row) => short(refusalToWire(row, config)))[0],
  };
}

/** One whose bytes can be fetched and released, if there is one. */
async function newestRefusals({ store }: Context, userId: number) {
  const newest = { from: Number.MAX_SAFE_INTEGER, limit: 1, desc: true };
  const whole = await listRefusals(store.db, userId, { ...newest, releasable: true });
  return whole.length > 0 ? whole : listRefusals(store.db, userId, newest);
}

/** An example is to be read at a glance. */
function short<T extends { readonly content?: string; readonly request: { readonly headers: string[][] } | null }>(
  one: T,
): T {
  const { content, request } = one;
  const headers = request?.headers.filter(([name = '']) => PLAIN_HEADERS.has(name.toLowerCase()));
  return {
    ...one,
    ...(content && content.length > MOST_CHARACTERS
      ? { content: `${content.slice(0, MOST_CHARACTERS).toWellFormed()}…` }
      : {}),
    ...(request ? { request: { ...request, headers } } : {}),
  };
}
