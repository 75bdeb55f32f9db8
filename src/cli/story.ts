// Gathers what is known of an event or a content: receipts, verdicts, duplicates, consumers, refusals; and what to look at when nothing is.
import type { Config } from '../config.ts';
import { isoTime } from '../http/consumers.ts';
import { isToken } from '../http/sealedtoken.ts';
import { traceOf } from '../http/trace.ts';
import { webhookClassic } from '../http/webhooksettings.ts';
import { decodeName } from '../http/wire.ts';
import { normalEventId } from '../receive/dedupe.ts';
import { PRESETS } from '../receive/presets.ts';
import type { Trace } from '../schemaconsumers.ts';
import { type Content, findContents } from '../store/contents.ts';
import { eventKey, findEvent } from '../store/events.ts';
import type { Store } from '../store/index.ts';
import { findRefusal, listRefusals, type Refusal } from '../store/refusals.ts';
import { listWebhooks, type SealedSecret, type Webhook } from '../store/webhooks.ts';

// As much as fits a screen; more is told to be there.
const MOST_CONTENTS = 20;
const MOST_REFUSALS = 100;
const MOST_RECENT = 1_000;
const RECENT_MS = 3 * 86_400_000;
const NEWEST = { desc: true, from: Number.MAX_SAFE_INTEGER };

export interface Known extends Trace {
  readonly wh_name: string;
  readonly event_type: string | null;
  readonly size: number;
  readonly ip: string;
  readonly released_from: number | null;
}
export interface Refused
  extends Pick<Refusal, 'id' | 'wh_id' | 'kind' | 'reason' | 'near_miss' | 'size' | 'ip' | 'released_as'> {
  readonly wh_name: string;
  readonly received_at: string;
  /** Whether its webhook has a secret by now. */
  readonly secret_set: boolean;
}
interface Own {
  readonly wh_id: number;
  readonly wh_name: string;
  readonly wh_url: string;
  readonly enabled: boolean;
  readonly preset: string | null;
  /** False: what it receives is known by no event id. */
  readonly keeps_ids: boolean;
}
export interface Story {
  readonly asked: string;
  readonly user_id: number;
  readonly known: boolean;
  /** Oldest first. */
  readonly contents: readonly Known[];
  readonly more: boolean;
  /** Contents that were received and were deleted since. */
  readonly gone: readonly number[];
  /** Oldest first: requests that said to be this event, and those that contents were released from. */
  readonly refusals: readonly Refused[];
  /** Only when nothing is known: where it may have got stuck. */
  readonly elsewhere?: {
    readonly webhooks: readonly Own[];
    /** Of the last three days, all webhooks: refusals by kind, without those that were released. */
    readonly refused: Readonly<Record<string, number>>;
    readonly last_refused_at: string | null;
  };
}

export async function gather(store: Store, config: Config, userId: number, asked: string): Promise<Story> {
  const webhooks = await listWebhooks(store, userId);
  const names = new Map(webhooks.map(({ wh_id, wh_name }) => [wh_id, decodeName(wh_name)]));
  const nameOf = (whId: number) => (whId === 0 ? 'own content' : (names.get(whId) ?? 'deleted'));
  const secretSet = (whId: number) => webhooks.some(({ wh_id, secrets }) => wh_id === whId && secrets.some(isValid));
  const byEvent = await findEvent(store.db, userId, normalEventId(asked), MOST_CONTENTS + 1);
  const asId = /^[1-9]\d{0,9}$/.test(asked) ? [Number(asked)] : [];
  const ids = [...new Set([...byEvent.slice(0, MOST_CONTENTS), ...asId])];
  const found = await findContents(
    store,
    ids.map((id) => ({ userId, id })),
    config.maxPageBytes,
  );
  const rows = [...found.values()].sort((a, b) => a.id - b.id);
  const contents = await Promise.all(
    rows.map(async (row) => ({ ...(await traceOf({ store }, userId, row)), ...factsOf(row, nameOf(row.wh_id)) })),
  );
  const events = new Set([normalEventId(asked), ...rows.flatMap(({ receipt }) => receipt?.event_id ?? [])]);
  const refusals = await refusalsOf(store, userId, events, contents);
  const gone = byEvent.filter((id) => ids.includes(id) && !contents.some((one) => one.id === id));
  const known = contents.length + refusals.length + gone.length > 0;
  return {
    asked,
    user_id: userId,
    known,
    contents,
    more: byEvent.length > MOST_CONTENTS,
    gone,
    refusals: refusals.map((one) => toRefused(one, nameOf(one.wh_id), secretSet(one.wh_id))),
    ...(known ? {} : { elsewhere: await lookElsewhere(store, config, userId, webhooks) }),
  };
}

const isValid = (secret: SealedSecret) =>
  !isToken(secret) && (secret.expires_ms === null || secret.expires_ms > Date.now());

const factsOf = ({ content, ip, receipt }: Content, wh_name: string) => ({
  wh_name,
  event_type: receipt?.event_type ?? null,
  size: content.length,
  ip: receipt?.ip ?? ip,
  released_from: receipt?.released_from ?? null,
});

/** Without the headers: some providers send a secret in them. */
const toRefused = (refusal: Refusal, wh_name: string, secret_set: boolean): Refused => {
  const { id, wh_id, kind, reason, near_miss, size, ip, released_as } = refusal;
  const received_at = isoTime(refusal.received_ms);
  return { id, wh_id, wh_name, kind, reason, near_miss, size, ip, released_as, received_at, secret_set };
};

async function refusalsOf(
  { db }: Store,
  userId: number,
  events: ReadonlySet<string>,
  contents: readonly Known[],
): Promise<Refusal[]> {
  const lists = await Promise.all(
    [...events].map((event) =>
      listRefusals(db, userId, { ...NEWEST, event_key: eventKey(userId, event), limit: MOST_REFUSALS }),
    ),
  );
  const origins = contents.flatMap(({ released_from }) => released_from ?? []);
  const found = await Promise.all(origins.map((id) => findRefusal(db, userId, id)));
  const all = [...lists.flat(), ...found.flatMap((one) => one ?? [])];
  return [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => a.id - b.id);
}

async function lookElsewhere(store: Store, config: Config, userId: number, webhooks: readonly Webhook[]) {
  const recent = await listRefusals(store.db, userId, {
    ...NEWEST,
    since_ms: Date.now() - RECENT_MS,
    limit: MOST_RECENT,
  });
  const refused: Record<string, number> = {};
  const open = recent.filter(({ released_as }) => released_as === null);
  for (const { kind } of open) refused[kind] = (refused[kind] ?? 0) + 1;
  const [last] = open;
  return {
    webhooks: webhooks.map((webhook) => {
      const { wh_id, wh_name, wh_url, status } = webhookClassic(webhook, config.publicUrl);
      const { preset = null, dedupe } = webhook.settings ?? {};
      const keeps_ids = (dedupe?.from ?? PRESETS.get(preset ?? '')?.dedupe) !== undefined;
      return { wh_id, wh_name, wh_url, enabled: status === 1 || !webhook.settings, preset, keeps_ids };
    }),
    refused,
    last_refused_at: last ? isoTime(last.received_ms) : null,
  };
}
