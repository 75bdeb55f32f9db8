// The wire: one TypeBox value is one shape, its TypeScript type and its schema in the API document.
import { type Static, Type } from 'typebox';
import { idInput, nullable, oneOf, strict, undescribed, WHID, whidInput, wideInteger } from './common.ts';

// Contents ----------------------------------------------------------------------------------------------------------

const receipt = {
  method: Type.String({ examples: ['POST'] }),
  url: Type.String({ description: 'What followed the key: sub-path and raw query, as received.' }),
  public_url: Type.String({ description: 'PUBLIC_URL and the raw target as received: what Twilio and Square sign.' }),
  headers: Type.Array(Type.Array(Type.String()), {
    description: '[name, value] in order, case and duplicates kept, one character per byte.',
  }),
  ip: Type.String({ description: 'The full address of the sender.' }),
  received_at: Type.String({ format: 'date-time' }),
};
export const ReceivedRequest = Type.Object({
  ...receipt,
  verified: oneOf(['signed', 'token', 'none'], 'What the signature check said; none: nothing was checked.'),
  event_id: nullable(Type.String()),
  event_type: nullable(Type.String()),
  duplicate_of: nullable(wideInteger()),
  released_from: nullable(wideInteger()),
});
export const Content = Type.Object({
  id: wideInteger({ examples: [27] }),
  content: nullable(Type.String({ description: 'The body, as text in `encoding`; null: `unreadable`.' })),
  ip: Type.String({ examples: ['3.18.12.63'], description: 'IPv4 address, or ipv6: see request.ip.' }),
  api: Type.Integer({ description: '1 = received by a webhook, 0 = posted by the user.' }),
  dt: Type.String({ examples: ['2026-11-22 10:00:00'] }),
  wh_id: wideInteger({ description: '0 = own content.' }),
  encoding: oneOf(['utf-8', 'base64', 'windows-1252']),
  request: nullable(ReceivedRequest),
  unreadable: Type.Optional(
    Type.String({
      description: 'Why there is no body, and what to do.',
    }),
  ),
});
export type Content = Static<typeof Content>;
export const ContentOne = Type.Object({ ...undescribed(Content.properties), hint: Type.Optional(Type.String()) });
export const ContentPage = Type.Object({
  whcontent: Type.Array(Content),
  next_id: wideInteger({ description: 'Pass it as the next `id`.' }),
  reset: Type.Optional(
    Type.Object(
      { max_id: wideInteger() },
      { description: 'Your `id` is ahead of every content: was the database restored?' },
    ),
  ),
  held_s: Type.Optional(
    Type.Integer({
      description: 'Seconds for which a transaction of another application has held back newer contents.',
    }),
  ),
  hint: Type.Optional(Type.String()),
});
export const Posted = Type.Object({
  result: oneOf(['ok']),
  id: wideInteger(),
  hint: Type.Optional(Type.String()),
});

const filter = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 1_000, description }));
export const ListQuery = Type.Object({
  id: Type.Optional(
    // The word has no type of its own: programs that make clients take the whole for a number then, as their users do.
    Type.Union(
      [idInput({ title: 'Content id' }), Type.Unsafe<'latest'>({ const: 'latest', title: 'After the newest' })],
      {
        examples: [0],
        description: 'Start here: contents with this id or a higher one. `latest`: after the newest. Default 0.',
      },
    ),
  ),
  whid: Type.Optional(
    Type.String({
      pattern: WHID,
      examples: ['all'],
      description: 'Of one webhook; 0 = own content, `all` = every webhook. Default 0.',
    }),
  ),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, examples: [20], description: 'At most 100; more is clamped. Default 20.' }),
  ),
  order: Type.Optional(oneOf(['asc', 'desc'], '`desc`: newest first, ids up to `id`.')),
  event_id: filter('Only the event with this id of the provider.'),
  event_type: filter('Only events of this type.'),
  verified: Type.Optional(oneOf(['signed', 'token', 'none'], 'Only contents with this result of the signature check.')),
  since: Type.Optional(Type.String({ format: 'date-time', description: 'Only what became visible then or later.' })),
  q: filter(
    'Only contents with this text in their body, letter for letter. A call looks at 10,000 contents, 64 MiB or one second at most, and may find none: `next_id` goes on.',
  ),
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      examples: [0],
      description: 'Seconds to wait for a content when there is none; at most 55. Default 0.',
    }),
  ),
});
export const PostQuery = Type.Object({
  content: Type.Optional(Type.String({ description: 'The content, instead of a body.' })),
});
export const ContentId = Type.Object({
  id: idInput({ examples: [27] }),
});

// Refusals, and the rest --------------------------------------------------------------------------------------------

/** Why a request did not become a content. */
export const REFUSAL_KINDS = [
  'signature',
  'secret_missing',
  'handshake',
  'too_large',
  'method',
  'network',
  'limit',
] as const;
export type RefusalKind = (typeof REFUSAL_KINDS)[number];

export const RefusedRequest = Type.Object(undescribed(receipt));
export const Refusal = Type.Object({
  id: wideInteger(),
  wh_id: wideInteger(),
  kind: Type.String({ examples: ['too_large'] }),
  reason: Type.String({ description: 'What happened and what to do.' }),
  near_miss: nullable(Type.String()),
  link: Type.Optional(
    Type.String({
      description: 'A link that you have to open yourself, to confirm a subscription. It is never fetched.',
    }),
  ),
  size: nullable(wideInteger()),
  request: RefusedRequest,
  released_as: nullable(wideInteger()),
});
export type Refusal = Static<typeof Refusal>;
const cameSince = Type.Optional(Type.String({ format: 'date-time', description: 'Only what came then or later.' }));
export const RefusalQuery = Type.Object(
  {
    whid: Type.Optional(whidInput({ minimum: 1 })),
    kind: Type.Optional(oneOf(REFUSAL_KINDS)),
    event_id: filter('Only requests with this id of an event.'),
    since: cameSince,
    id: Type.Optional(idInput({ description: 'Start here.' })),
    order: Type.Optional(oneOf(['asc', 'desc'], '`desc`: newest first, refusals with this `id` or a lower one.')),
    limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most 100; more is clamped. Default 20.' })),
  },
  strict,
);
const Force = Type.Optional(
  Type.Boolean({ description: 'true: release it unverified. Default false: it must pass the check now.' }),
);
export const ReleaseInput = Type.Object({ force: Force }, strict);
export const ReleaseManyInput = Type.Object(
  {
    whid: whidInput({ minimum: 1 }),
    id: Type.Optional(idInput({ description: 'Start here.' })),
    since: cameSince,
    force: Force,
  },
  strict,
);
export const ReleaseResult = Type.Object({
  released: Type.Array(Type.Object({ id: wideInteger(), content_id: wideInteger() })),
  kept: Type.Array(Type.Object({ id: wideInteger(), reason: Type.String() })),
  next_id: Type.Optional(wideInteger({ description: 'More refusals are left: pass it as `id`.' })),
});
export const RefusalPage = Type.Object({ refusals: Type.Array(Refusal), next_id: wideInteger() });

export const Me = Type.Object({ username: Type.String({ examples: ['1001'] }), hint: Type.Optional(Type.String()) });
export const Health = Type.Object({ status: Type.String() });
export const Ready = Type.Object({
  status: Type.String(),
  ...Type.Partial(
    Type.Object({
      database: Type.String(),
      level: oneOf(['as-is', 'extended']),
      promise: Type.String({ description: 'What lists promise on this database, in a word.' }),
      promise_text: Type.String(),
      readable: wideInteger({ description: 'Lists hand out contents up to this id.' }),
      held_s: Type.Integer({
        description: 'Seconds for which lists have been waiting for a row that is being written.',
      }),
      trouble: Type.String({ description: 'Why no content has been stored since the last one.' }),
      retention: Type.String({ description: 'Which old contents are kept until an operator confirms it, and why.' }),
    }),
  ).properties,
});
export const ProblemBody = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'What happened and what to do.' }),
  request_id: Type.String(),
  errors: Type.Optional(
    Type.Array(Type.Object({ path: Type.String({ examples: ['query.limit'] }), message: Type.String() }), {
      description: 'Which fields were refused, and what each must be.',
    }),
  ),
});

// Activity: contents per minute and webhook -------------------------------------------------------------------------

export const ActivityQuery = Type.Object(
  {
    minutes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1440, examples: [60], description: 'How far back. Default 60.' }),
    ),
  },
  strict,
);
export const ActivityPage = Type.Object({
  webhooks: Type.Array(
    Type.Object({
      wh_id: wideInteger({ examples: [7] }),
      total: Type.Integer(),
      minutes: Type.Array(Type.Integer(), { description: 'Oldest first.' }),
    }),
  ),
  now: Type.String({ format: 'date-time' }),
  more: Type.Boolean({ description: 'Only the newest 100,000 contents of that time were counted.' }),
});
