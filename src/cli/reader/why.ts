// restante why: where an event is, or why it is not here, on one screen.
import type { Command } from 'commander';
import type { Client, Content, Refusal, Webhook } from '../../client/index.ts';
import { PRESETS } from '../../verify/presets/index.ts';
import { Complaint, type Io, plain } from '../io.ts';
import { verb, withService } from '../verb.ts';
import { type ClientFlags, unless, withClient } from './credentials.ts';

interface Options extends ClientFlags {
  readonly json?: boolean;
}

export const whyCommand = (io: Io): Command =>
  withService(
    verb({
      name: 'why',
      summary: 'Tell where an event is, or why it is not here.',
      examples: [
        'restante why evt_1QkT2eLzKpW8dJ3x   the id the provider gave it',
        'restante why 27                     the id of a content',
        'restante why evt_123 --json',
      ],
      settings: [],
      fails: 'nothing is known of the event',
    }),
  )
    .argument('<id>', "the provider's id of the event, or the id of a content")
    .option('--json', 'as JSON')
    .action(async (asked: string, options: Options) => {
      const story = await withClient(io, options, (client) => gather(client, asked));
      io.out(options.json ? `${JSON.stringify(story)}\n` : plainLines(tell(story)));
      if (!story.known) throw new Complaint(plain(`nothing is known of ${asked}`));
    });

// What is known: receipts, verdicts, duplicates, consumers, refusals; else where to look -----------------------------

// As many as fit a screen; further ones are only mentioned.
const MOST_CONTENTS = 20;
const REFUSALS_READ = 100;
const MOST_WEBHOOKS = 10;
const MOST_RECENT = 1_000;
const RECENT_MS = 3 * 86_400_000;

type Known = NonNullable<Awaited<ReturnType<typeof traceOf>>>;
type Refused = ReturnType<typeof toRefused>;
type Story = Awaited<ReturnType<typeof gather>>;
type Elsewhere = Awaited<ReturnType<typeof lookElsewhere>>;

/** Contents and refusals come oldest first; `elsewhere` only when nothing is known: where the event may have got stuck. */
async function gather(client: Client, asked: string) {
  const { webhooks } = await client.webhooks.list();
  const names = new Map(webhooks.map(({ wh_id, wh_name }) => [wh_id, wh_name]));
  const nameOf = (whId: number) => (whId === 0 ? 'own content' : (names.get(whId) ?? 'no name known'));
  const byEvent = await contentsOf(client, asked);
  const byId = /^[1-9]\d{0,9}$/.test(asked) ? await unlessGone(client.contents.get(Number(asked))) : undefined;
  const rows = byEvent.slice(0, MOST_CONTENTS);
  if (byId && !rows.some(({ id }) => id === byId.id)) rows.push(byId);
  const traced = await Promise.all(rows.sort((a, b) => a.id - b.id).map((row) => traceOf(client, row, nameOf)));
  const contents = traced.flatMap((one) => one ?? []);
  const refusals = await refusalsOf(client, asked, contents);
  const secretSet = await secretsOf(client, new Set(refusals.map(({ wh_id }) => wh_id)));
  const known = contents.length + refusals.length > 0;
  return {
    asked,
    known,
    contents,
    more: byEvent.length > MOST_CONTENTS,
    more_refusals: refusals.length >= REFUSALS_READ,
    refusals: refusals.map((one) => toRefused(one, nameOf(one.wh_id), secretSet.get(one.wh_id) ?? null)),
    ...(known ? {} : { elsewhere: await lookElsewhere(client, webhooks) }),
  };
}

/** Undefined for a thing that is not there (any more), and for webhooks of other applications. */
const unlessGone = <T>(call: Promise<T>) => unless(call, 404, 403);

/** Of an event; one more than is shown. A page may end before it is full, as its bytes are limited. */
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

async function traceOf({ contents }: Client, content: Content, nameOf: (whId: number) => string) {
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

/** Without the headers: some providers send a secret in them. `secret_set`: whether its webhook has a secret by now; null: it is gone. */
const toRefused = ({ request, ...refusal }: Refusal, wh_name: string, secret_set: boolean | null) => {
  const { ip, received_at } = request;
  return { ...refusal, wh_name, ip, received_at, secret_set };
};

async function refusalsOf({ refusals }: Client, asked: string, contents: readonly Known[]): Promise<Refusal[]> {
  const events = new Set([asked, ...contents.flatMap(({ event_id }) => event_id ?? [])]);
  const lists = await Promise.all(
    [...events].map((event_id) => refusals.list({ event_id, order: 'desc', limit: REFUSALS_READ })),
  );
  const origins = contents.flatMap(({ released_from }) => released_from ?? []);
  const found = await Promise.all(origins.map((id) => unlessGone(refusals.get(id))));
  const all = [...lists.flatMap((list) => list.refusals), ...found.flatMap((one) => one ?? [])];
  return [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => a.id - b.id);
}

const isValid = ({ expires_at }: Webhook['secrets'][number]) =>
  expires_at === null || Date.parse(expires_at) > Date.now();

/** Whether each of these webhooks that are there has a valid secret. */
async function secretsOf({ webhooks }: Client, whIds: ReadonlySet<number>): Promise<Map<number, boolean>> {
  const settings = await Promise.all([...whIds].map((whId) => unlessGone(webhooks.get(whId))));
  return new Map(settings.flatMap((one) => (one ? [[one.wh_id, one.secrets.some(isValid)] as const] : [])));
}

type Listed = Awaited<ReturnType<Client['webhooks']['list']>>['webhooks'];

/** The first few webhooks, and how many refusals of each kind the last three days had, without those that were released. */
async function lookElsewhere(client: Client, listed: Listed) {
  const recent = await recentRefusals(client);
  const refused: Record<string, number> = {};
  for (const { kind } of recent) refused[kind] = (refused[kind] ?? 0) + 1;
  const webhooks = listed.slice(0, MOST_WEBHOOKS).map(async ({ wh_id, wh_name, wh_url }) => {
    // Undefined for a webhook of another application.
    const own = await unlessGone(client.webhooks.get(wh_id));
    const { preset = null, dedupe = null, enabled = true } = own ?? {};
    // Without this its contents have no event ids; null: another application decides.
    const keeps_ids = own ? (dedupe?.from ?? PRESETS.get(preset ?? '')?.dedupe) !== undefined : null;
    return { wh_id, wh_name, wh_url, enabled, preset, keeps_ids };
  });
  return {
    webhooks: await Promise.all(webhooks),
    more_webhooks: listed.length > MOST_WEBHOOKS,
    refused,
    more_refused: recent.length >= MOST_RECENT,
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

// The same in words --------------------------------------------------------------------------------------------------

const REFUSALS_SHOWN = 5;
const MOST_DUPLICATES = 10;

const plainLines = (lines: readonly string[]): string => lines.map((line) => `${plain(line)}\n`).join('');
const time = (iso: string | null): string => (iso ? `${iso.slice(0, 19).replace('T', ' ')} UTC` : 'an unknown time');
const place = ({ wh_id, wh_name }: { wh_id: number; wh_name: string }) => `webhook ${wh_id} (${wh_name})`;
const listed = (ids: readonly number[]) =>
  `${ids.slice(0, MOST_DUPLICATES).join(', ')}${ids.length > MOST_DUPLICATES ? ' and more' : ''}`;

function tell(story: Story): string[] {
  const { asked, contents, refusals, more, elsewhere } = story;
  if (elsewhere) return tellNothing(story, elsewhere);
  // A duplicate is told with its original, unless it was asked for itself.
  const shown = contents.filter(
    ({ id, duplicate_of }) => String(id) === asked || !contents.some((one) => one.id === duplicate_of),
  );
  const left = refusals.length - REFUSALS_SHOWN;
  return [
    `${asked}: ${headline(story)}`,
    ...shown.flatMap(tellContent),
    ...(more ? ['', 'There are more: GET /whcontent?whid=all&event_id=… lists all of them.'] : []),
    ...(left > 0 ? ['', `Older refusals are not shown: GET /refusals?event_id=… lists all of them.`] : []),
    ...refusals.slice(-REFUSALS_SHOWN).flatMap(tellRefusal),
  ];
}

function headline({ asked, contents, refusals, more, more_refusals }: Story): string {
  const open = refusals.filter(({ released_as }) => released_as === null);
  // Those were answered 200.
  const unjudged = open.filter(({ kind }) => kind === 'secret_missing');
  const waits = unjudged.filter(({ secret_set }) => secret_set === false).length;
  const refused = open.length - unjudged.length;
  const least = more_refusals ? ' or more' : '';
  const rest = [
    refused > 0 ? `refused ${times(refused)}${least}` : '',
    waits > 0 ? `came ${times(waits)}${least} while no secret was valid, and waits for one` : '',
    unjudged.length > waits
      ? `came ${times(unjudged.length - waits)}${least} while no secret was valid, not released yet`
      : '',
  ];
  return [arrived(asked, contents, more), ...rest].filter(Boolean).join(', ') || 'refused, and released';
}

/** A number may be the id of a content, and of an event besides: those are two things. */
function arrived(asked: string, contents: readonly Known[], more: boolean): string {
  const other = contents.find(({ id, event_id }) => String(id) === asked && event_id !== asked);
  const events = contents.filter((one) => one !== other);
  const count = more ? `more than ${MOST_CONTENTS} times` : times(events.length);
  const stored = other?.received_at ? 'received' : 'stored';
  if (!other) return events.length > 0 ? `received ${count}` : '';
  if (events.length === 0) return `${stored} once`;
  return `content ${other.id} was ${stored}, and an event of this id was received ${count}`;
}
const times = (count: number): string => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);

function tellContent(content: Known): string[] {
  const { id, wh_id, received_at, seen_at, verified, event_id, event_type, size, ip } = content;
  const { duplicate_of, duplicates, released_from, consumers } = content;
  const how = received_at
    ? `received ${time(received_at)} from ${ip}`
    : 'stored without a receipt: by another application, or before this database was migrated';
  const verdict = verified === null ? '' : verified === 'none' ? ', not verified' : `, verified: ${verified}`;
  const event = [event_type, event_id].filter(Boolean).join(', ');
  return [
    '',
    `content ${id}: ${how}`,
    `  at ${place(content)}${verdict}, ${size} bytes${event ? `, ${event}` : ''}`,
    ...(released_from === null ? [] : [`  was refused first, and released from refusal ${released_from}`]),
    ...(duplicate_of === null ? [] : [`  is a duplicate of content ${duplicate_of}`]),
    ...(duplicates.length > 0 ? [`  came again as content ${listed(duplicates)}`] : []),
    ...(seen_at ? [] : ['  is not visible to consumers yet']),
    ...consumers.map((one) => `  consumer ${one.name}: ${stage(one)}`),
    ...(consumers.length > 0
      ? []
      : [`  no consumer reads it${seen_at ? `; the list has it: GET /whcontent?whid=${wh_id}&id=${id}&limit=1` : ''}`]),
  ];
}

function stage({ state, attempt, lease_until, due_at, dead_at, reason }: Known['consumers'][number]): string {
  const said = reason ? `: ${reason}` : '';
  if (state === 'leased') return `has it, leased until ${time(lease_until ?? null)}, attempt ${attempt}`;
  if (state === 'dead') return `dead letter since ${time(dead_at ?? null)}, after attempt ${attempt}${said}`;
  if (state === 'acked') return 'acked, or passed while it did not read this webhook';
  if (state === 'skipped') return 'skips duplicates, and this is one';
  if (state === 'behind')
    return 'behind its position: it began there or was moved there; what it acked before that is not kept';
  return due_at ? `waiting, again at ${time(due_at)}, after attempt ${attempt}${said}` : 'waiting to be handed out';
}

function tellRefusal(refusal: Refused): string[] {
  const { id, kind, reason, near_miss, link, size, ip, released_as, received_at } = refusal;
  return [
    '',
    `refusal ${id}: ${kind}, ${time(received_at)} from ${ip}`,
    `  at ${place(refusal)}${size === null ? '' : `, ${size} bytes`}`,
    `  ${reason}`,
    ...(near_miss ? [`  near miss: ${near_miss}`] : []),
    ...(link ? [`  link: ${link}`] : []),
    released_as === null ? `  ${toDo(refusal)}` : `  released as content ${released_as}`,
  ];
}

function toDo({ id, wh_id, kind, secret_set }: Refused): string {
  if (secret_set === null) return 'not released, and its webhook is gone: it cannot become a content any more';
  if (kind !== 'secret_missing') return `not released. After a fix: POST /refusals/${id}/release`;
  return secret_set
    ? `not released, though a secret is set now. To judge it, and to see why: POST /refusals/${id}/release`
    : `waits for the secret. To verify it: restante webhook set ${wh_id} --secret-file -`;
}

function tellNothing({ asked }: Story, elsewhere: Elsewhere): string[] {
  const { webhooks, more_webhooks, refused, more_refused, last_refused_at } = elsewhere;
  const kinds = Object.entries(refused).map(([kind, count]) => `${count} ${kind}`);
  const unread = webhooks.filter(({ keeps_ids }) => keeps_ids === false).map(({ wh_id }) => wh_id);
  const checks = [
    [
      webhooks.length === 0
        ? 'You have no webhook: restante webhook add'
        : 'Does the provider call one of these URLs? (restante webhook list)',
      ...webhooks.map(
        (one) => `  ${one.wh_id} ${one.wh_name}${one.enabled ? '' : ' (disabled: answers 503)'}: ${one.wh_url}`,
      ),
      ...(more_webhooks ? ['  …'] : []),
    ],
    [
      "Does the provider's log say that it was sent, to which URL, and with what answer?",
      'A 2xx of this service means: stored, perhaps under another id (see 4), or kept for want of a secret, or a handshake.',
      'What was stored may be gone by now: by its age, or deleted by a user. Nothing is kept that would tell.',
    ],
    [
      kinds.length === 0
        ? 'No refusal of the last three days is open.'
        : `Open refusals of the last three days: ${kinds.join(', ')}${more_refused ? ' and more' : ''}, the newest ${time(last_refused_at)}: GET /refusals`,
      'Not kept as refusals: requests with a wrong URL, those that were answered 503, and forgeries where on_reject is drop.',
    ],
    [
      'Some ids have parts, such as SM…/delivered of Twilio. To search by a text of the event: GET /whcontent?whid=all&q=…',
      ...(unread.length === 0 ? [] : [`  (webhook ${listed(unread)} keeps no event ids: set a preset, or --dedupe)`]),
    ],
  ];
  const numbered = checks.flatMap(([first, ...rest], i) => [`  ${i + 1}. ${first}`, ...rest.map((one) => `   ${one}`)]);
  return [`${asked}: nothing is known of it. What to look at next:`, '', ...numbered];
}
