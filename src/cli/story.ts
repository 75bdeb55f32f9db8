// Gathers what is known of an event or a content: receipts, verdicts, duplicates, consumers, refusals; and what to look at when nothing is.
import { type Client, type Content, type Refusal, RestanteError, type Trace, type Webhook } from '../client/index.ts';
import { PRESETS } from '../receive/presets.ts';

// As much as fits a screen; more is told to be there.
const MOST_CONTENTS = 20;
const MOST_REFUSALS = 100;
const MOST_WEBHOOKS = 10;
const MOST_RECENT = 1_000;
const RECENT_MS = 3 * 86_400_000;

export interface Known extends Trace {
  readonly wh_name: string;
  readonly event_type: string | null;
  readonly size: number;
  readonly ip: string;
  readonly released_from: number | null;
}
export interface Refused extends Omit<Refusal, 'request'> {
  readonly wh_name: string;
  readonly ip: string;
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
  readonly known: boolean;
  /** Oldest first. */
  readonly contents: readonly Known[];
  readonly more: boolean;
  /** Oldest first: requests that said to be this event, and those that contents were released from. */
  readonly refusals: readonly Refused[];
  /** Only when nothing is known: where it may have got stuck. */
  readonly elsewhere?: Elsewhere;
}
export interface Elsewhere {
  /** The first few. */
  readonly webhooks: readonly Own[];
  readonly more_webhooks: boolean;
  /** Of the last three days, all webhooks: refusals by kind, without those that were released. */
  readonly refused: Readonly<Record<string, number>>;
  readonly last_refused_at: string | null;
}

export async function gather(client: Client, asked: string): Promise<Story> {
  const { webhooks } = await client.webhooks.list();
  const names = new Map(webhooks.map(({ wh_id, wh_name }) => [wh_id, wh_name]));
  const nameOf = (whId: number) => (whId === 0 ? 'own content' : (names.get(whId) ?? 'deleted'));
  const byEvent = await contentsOf(client, asked);
  const byId = /^[1-9]\d{0,9}$/.test(asked) ? await unlessGone(client.contents.get(Number(asked))) : undefined;
  const rows = byEvent.slice(0, MOST_CONTENTS);
  if (byId && !rows.some(({ id }) => id === byId.id)) rows.push(byId);
  const traced = await Promise.all(rows.sort((a, b) => a.id - b.id).map((row) => traceOf(client, row, nameOf)));
  const contents = traced.flatMap((one) => one ?? []);
  const refusals = await refusalsOf(client, asked, contents);
  const withSecret = await secretsOf(client, new Set(refusals.map(({ wh_id }) => wh_id)));
  const known = contents.length + refusals.length > 0;
  return {
    asked,
    known,
    contents,
    more: byEvent.length > MOST_CONTENTS,
    refusals: refusals.map((one) => toRefused(one, nameOf(one.wh_id), withSecret.has(one.wh_id))),
    ...(known ? {} : { elsewhere: await lookElsewhere(client, webhooks) }),
  };
}

/** Undefined for what is not there (any more), and for webhooks of other applications. */
const unlessGone = <T>(call: Promise<T>): Promise<T | undefined> =>
  call.catch((error: unknown) => {
    if (error instanceof RestanteError && (error.status === 404 || error.status === 403)) return undefined;
    throw error;
  });

/** Of an event; one more than are told. A page may end before it is full, as its bytes are limited. */
async function contentsOf({ contents }: Client, event_id: string): Promise<Content[]> {
  const found: Content[] = [];
  for (let id = 0; found.length <= MOST_CONTENTS; ) {
    const limit = MOST_CONTENTS + 1 - found.length;
    const { whcontent, next_id } = await contents.list({ whid: 'all', event_id, id, limit });
    found.push(...whcontent);
    if (whcontent.length === 0) break;
    id = next_id;
  }
  return found;
}

async function traceOf(
  { contents }: Client,
  content: Content,
  nameOf: (whId: number) => string,
): Promise<Known | undefined> {
  const { id, ip, request } = content;
  const trace = await unlessGone(contents.trace(id));
  return (
    trace && {
      ...trace,
      wh_name: nameOf(trace.wh_id),
      event_type: request?.event_type ?? null,
      size: content.bytes().length,
      ip: request?.ip ?? ip,
      released_from: request?.released_from ?? null,
    }
  );
}

/** Without the headers: some providers send a secret in them. */
const toRefused = ({ request, ...refusal }: Refusal, wh_name: string, secret_set: boolean): Refused => {
  const { ip, received_at } = request;
  return { ...refusal, wh_name, ip, received_at, secret_set };
};

async function refusalsOf({ refusals }: Client, asked: string, contents: readonly Known[]): Promise<Refusal[]> {
  const events = new Set([asked, ...contents.flatMap(({ event_id }) => event_id ?? [])]);
  const lists = await Promise.all(
    [...events].map((event_id) => refusals.list({ event_id, order: 'desc', limit: MOST_REFUSALS })),
  );
  const origins = contents.flatMap(({ released_from }) => released_from ?? []);
  const found = await Promise.all(origins.map((id) => unlessGone(refusals.get(id))));
  const all = [...lists.flatMap((list) => list.refusals), ...found.flatMap((one) => one ?? [])];
  return [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => a.id - b.id);
}

const isValid = ({ expires_at }: Webhook['secrets'][number]) =>
  expires_at === null || Date.parse(expires_at) > Date.now();

/** Those of the webhooks that have a secret to check with. */
async function secretsOf({ webhooks }: Client, whIds: ReadonlySet<number>): Promise<Set<number>> {
  const settings = await Promise.all([...whIds].map((whId) => unlessGone(webhooks.get(whId))));
  return new Set(settings.flatMap((one) => (one?.secrets.some(isValid) ? one.wh_id : [])));
}

type Listed = Awaited<ReturnType<Client['webhooks']['list']>>['webhooks'];

async function lookElsewhere(client: Client, listed: Listed): Promise<Elsewhere> {
  const recent = await recentRefusals(client);
  const refused: Record<string, number> = {};
  for (const { kind } of recent) refused[kind] = (refused[kind] ?? 0) + 1;
  const webhooks = listed.slice(0, MOST_WEBHOOKS).map(async ({ wh_id, wh_name, wh_url }) => {
    // Undefined for one of another application, which receives it elsewhere.
    const own = await unlessGone(client.webhooks.get(wh_id));
    const { preset = null, dedupe = null, enabled = true } = own ?? {};
    const keeps_ids = (dedupe?.from ?? PRESETS.get(preset ?? '')?.dedupe) !== undefined;
    return { wh_id, wh_name, wh_url, enabled, preset, keeps_ids };
  });
  return {
    webhooks: await Promise.all(webhooks),
    more_webhooks: listed.length > MOST_WEBHOOKS,
    refused,
    last_refused_at: recent[0]?.request.received_at ?? null,
  };
}

/** Newest first, without those that were released. */
async function recentRefusals({ refusals }: Client): Promise<Refusal[]> {
  const since = Date.now() - RECENT_MS;
  const found: Refusal[] = [];
  for (let id: number | undefined; found.length < MOST_RECENT; ) {
    const page = await refusals.list({ order: 'desc', limit: 100, id });
    const recent = page.refusals.filter(({ request }) => Date.parse(request.received_at) >= since);
    found.push(...recent);
    id = page.next_id;
    if (recent.length < page.refusals.length || id === 0) break;
  }
  return found.filter(({ released_as }) => released_as === null);
}
