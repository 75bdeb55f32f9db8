// restante why: where an event is, or why it is not here, on one screen.
import type { Command } from 'commander';
import { type ClientFlags, withClient } from './credentials.ts';
import { Complaint, type Io, plain } from './io.ts';
import { withService } from './options.ts';
import { type Elsewhere, gather, type Known, type Refused, type Story } from './story.ts';
import { verb } from './verb.ts';

const MOST_REFUSALS = 5;
const MOST_DUPLICATES = 10;

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

const plainLines = (lines: readonly string[]): string => lines.map((line) => `${plain(line)}\n`).join('');
const time = (iso: string | null): string => (iso ? `${iso.slice(0, 19).replace('T', ' ')} UTC` : 'an unknown time');
const place = ({ wh_id, wh_name }: { wh_id: number; wh_name: string }) => `webhook ${wh_id} (${wh_name})`;
const listed = (ids: readonly number[]) =>
  `${ids.slice(0, MOST_DUPLICATES).join(', ')}${ids.length > MOST_DUPLICATES ? ' and more' : ''}`;

function tell(story: Story): string[] {
  const { asked, contents, refusals, more, elsewhere } = story;
  if (elsewhere) return tellNothing(story, elsewhere);
  // What is told of its original is enough for a duplicate, unless it was asked for.
  const shown = contents.filter(
    ({ id, duplicate_of }) => String(id) === asked || !contents.some((one) => one.id === duplicate_of),
  );
  const left = refusals.length - MOST_REFUSALS;
  return [
    `${asked}: ${headline(story)}`,
    ...shown.flatMap(tellContent),
    ...(more ? ['', 'There are more: GET /whcontent?whid=all&event_id=… lists all of them.'] : []),
    ...(left > 0 ? ['', `Older refusals are not shown: GET /refusals?event_id=… lists all of them.`] : []),
    ...refusals.slice(-MOST_REFUSALS).flatMap(tellRefusal),
  ];
}

function headline({ contents, refusals }: Story): string {
  const open = refusals.filter(({ released_as }) => released_as === null);
  const waits = open.filter(isWaiting).length;
  const refused = open.length > waits ? `refused ${times(open.length - waits)}` : '';
  const waiting = waits > 0 ? `came ${times(waits)} before the secret was set, and waits for it` : '';
  const received = contents.length > 0 ? `received ${times(contents.length)}` : '';
  return [received, refused, waiting].filter(Boolean).join(', ') || 'refused, and released';
}
const isWaiting = ({ kind, secret_set }: Refused): boolean => kind === 'secret_missing' && !secret_set;
const times = (count: number): string => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);

function tellContent(content: Known): string[] {
  const { id, wh_id, received_at, seen_at, verified, event_id, event_type, size, ip } = content;
  const { duplicate_of, duplicates, released_from, consumers } = content;
  const how = received_at ? `received ${time(received_at)} from ${ip}` : `stored by another application`;
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
      : [`  no consumer reads it; the list has it: GET /whcontent?whid=${wh_id}&id=${id}&limit=1`]),
  ];
}

function stage({ state, attempt, lease_until, due_at, dead_at, reason }: Known['consumers'][number]): string {
  const said = reason ? `: ${reason}` : '';
  if (state === 'leased') return `has it, leased until ${time(lease_until ?? null)}, attempt ${attempt}`;
  if (state === 'dead') return `dead letter since ${time(dead_at ?? null)}, after attempt ${attempt}${said}`;
  if (state === 'acked') return 'acked';
  if (state === 'behind')
    return 'behind its position: it began there or was moved there; what it acked before that is not kept';
  return due_at ? `waiting, again at ${time(due_at)}, after attempt ${attempt}${said}` : 'waiting, not handed out yet';
}

function tellRefusal(refusal: Refused): string[] {
  const { id, wh_id, kind, reason, near_miss, size, ip, released_as, received_at } = refusal;
  const open = isWaiting(refusal)
    ? `  waits. To judge it: restante webhook set ${wh_id} --secret-file -`
    : kind === 'secret_missing'
      ? `  did not pass when the secret was set. Why: POST /refusals/${id}/release`
      : `  not released. After a fix: POST /refusals/${id}/release`;
  return [
    '',
    `refusal ${id}: ${kind}, ${time(received_at)} from ${ip}`,
    `  at ${place(refusal)}${size === null ? '' : `, ${size} bytes`}`,
    `  ${reason}`,
    ...(near_miss ? [`  near miss: ${near_miss}`] : []),
    released_as === null ? open : `  released as content ${released_as}`,
  ];
}

function tellNothing({ asked }: Story, elsewhere: Elsewhere): string[] {
  const { webhooks, more_webhooks, refused, last_refused_at } = elsewhere;
  const kinds = Object.entries(refused).map(([kind, count]) => `${count} ${kind}`);
  const unread = webhooks.filter(({ keeps_ids }) => !keeps_ids).map(({ wh_id }) => wh_id);
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
      "Does the provider's own log say that it was sent, and what it was answered? After a 2xx it was here, and was deleted since.",
    ],
    [
      kinds.length === 0
        ? 'Nothing was refused in the last three days.'
        : `Refused in the last three days: ${kinds.join(', ')}, the last one ${time(last_refused_at)}: GET /refusals`,
    ],
    [
      'Some ids have parts, as SM…/delivered of Twilio. By any text of the event: GET /whcontent?whid=all&q=…',
      ...(unread.length === 0 ? [] : [`  (webhook ${listed(unread)} keeps no event ids: set a preset, or --dedupe)`]),
    ],
  ];
  const numbered = checks.flatMap(([first, ...rest], i) => [`  ${i + 1}. ${first}`, ...rest.map((one) => `   ${one}`)]);
  return [`${asked}: nothing is known of it. What to look at next:`, '', ...numbered];
}
