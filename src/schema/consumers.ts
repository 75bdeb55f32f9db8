// The wire of consumers: their settings, pulls, leases and dead letters, and the life of one content.
import { type Static, Type } from 'typebox';
import { idInput, LEASE, NAME, nullable, oneOf, strict, undescribed, whidInput, wideInteger } from './common.ts';
import { Content, ProblemBody } from './contents.ts';

const Moment = Type.String({ format: 'date-time' });
const Id = idInput();

// Settings ----------------------------------------------------------------------------------------------------------

const MOST_LEASE_SECONDS = 43_200;
const MOST_IDS = 500;

export const ConsumerName = Type.Object({ name: Type.String({ pattern: NAME, examples: ['billing'] }) });

export const End = { ...oneOf(['earliest', 'latest']), title: 'One end' };
export const AtId = Type.Object({ id: Id }, { ...strict, title: 'From this id on' });
export const AtTime = Type.Object({ time: Moment }, { ...strict, title: 'From this moment on' });
export const StartInput = Type.Union([End, AtId, AtTime], {
  examples: ['earliest'],
  description:
    '`earliest`, `latest`, `{"id": 27}` (contents with this id or a higher one) or `{"time": "2026-11-22T10:00:00Z"}` (contents that came then or later). Counts for a new consumer only. If it is left out, a new consumer begins at the earliest when no more than 1,000 contents wait; else the call answers 409 `start-needed`.',
});
const LeaseSeconds = Type.Integer({
  minimum: 1,
  maximum: MOST_LEASE_SECONDS,
  description: 'Seconds that a worker has before its contents are handed out again. Default 30.',
});
const settings = {
  whid: nullable(
    Type.Array(whidInput(), {
      minItems: 1,
      maxItems: 100,
      description: 'The webhooks that it reads; 0 = own content. Default null: all your webhooks and own content.',
    }),
  ),
  lease_seconds: LeaseSeconds,
  max_attempts: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    description: 'A content that was handed out this many times without an ack becomes a dead letter. Default 10.',
  }),
  ordered: Type.Boolean({
    description: 'One lease at a time; nothing is handed out before what came earlier is acked or dead. Default false.',
  }),
  duplicates: oneOf(
    ['deliver', 'skip'],
    'skip: an event that a provider sent twice is handed out once. Default deliver.',
  ),
};
export const ConsumerInput = Type.Object(
  { ...Type.Partial(Type.Object(settings)).properties, start: Type.Optional(StartInput) },
  strict,
);

// State -------------------------------------------------------------------------------------------------------------

const state = {
  backlog: Type.Integer({ description: 'Contents that wait to be handed out: exact up to 1000.' }),
  backlog_more: Type.Boolean({ description: 'There are more than `backlog` says.' }),
  oldest_age_s: nullable(
    Type.Integer({ description: 'Age of the oldest content that waits, in seconds; null when none waits.' }),
  ),
  in_flight: Type.Integer({ description: 'Contents that workers have in hand now.' }),
  dead: Type.Integer({ description: 'Dead letters.' }),
};
export const ConsumerGap = Type.Object(
  { from: wideInteger(), to: wideInteger() },
  {
    description:
      'Ids of contents that retention removed before they were read. Told until something after them is acked.',
  },
);
export const Consumer = Type.Object({
  name: Type.String({ examples: ['billing'] }),
  ...undescribed(settings),
  created_at: Moment,
  pulled_at: nullable(
    Type.String({ format: 'date-time', description: 'Time of the last pull, to the hour; null before the first.' }),
  ),
  last_id: wideInteger({ description: 'The content that was handed out last for the first time; 0 = none.' }),
  ...state,
  gap: Type.Optional(ConsumerGap),
});
export type Consumer = Static<typeof Consumer>;
export const ConsumerList = Type.Object({ consumers: Type.Array(Consumer) });

// Pull, ack, nack, extend -------------------------------------------------------------------------------------------

const LeaseText = Type.String({ maxLength: 16_384, pattern: LEASE, description: 'The `lease` of a pull.' });
const idsOf = (description: string) => Type.Array(Id, { minItems: 1, maxItems: MOST_IDS, description });
const Ids = idsOf('Only these contents. Default: all of the lease.');
const Named = { lease: LeaseText, ids: Type.Optional(Ids) };

export const LeaseInput = Type.Object(Named, strict);
export const PullInput = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most 500; more is clamped. Default 20.' })),
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Seconds to wait for a content when there is none; at most 55. Default 0.',
      }),
    ),
    lease_seconds: Type.Optional(LeaseSeconds),
    start: Type.Optional(StartInput),
    ack: Type.Optional(
      Type.Union([Type.String({ maxLength: 16_384, pattern: LEASE, title: 'A lease' }), LeaseInput], {
        description: 'What to ack first, whatever the pull brings: a lease, or `{lease, ids}`.',
      }),
    ),
  },
  strict,
);
export const NackInput = Type.Object(
  {
    ...Named,
    delay_seconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MOST_LEASE_SECONDS, description: 'Default 0: at once.' }),
    ),
    dead: Type.Optional(Type.Boolean({ description: 'Give them up: they become dead letters.' })),
    untried: Type.Optional(
      Type.Boolean({ description: 'No work on them has begun: this does not count as an attempt.' }),
    ),
    reason: Type.Optional(Type.String({ maxLength: 255, description: 'Why: kept with a dead letter.' })),
  },
  strict,
);
export const ExtendInput = Type.Object({ ...Named, lease_seconds: Type.Optional(LeaseSeconds) }, strict);

export const LeaseConflict = Type.Object({
  id: wideInteger(),
  reason: Type.String({
    examples: ['leased-anew'],
    description:
      '`leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`.',
  }),
});
export const Outcome = Type.Object({
  done: Type.Array(wideInteger(), {
    description: 'Ids. A content that was acked before, by any worker, is done too.',
  }),
  conflicts: Type.Array(LeaseConflict),
});
export const Extended = Type.Object({ ...Outcome.properties, lease_until: Moment });
export const Retried = Type.Object({
  ...Outcome.properties,
  more: Type.Boolean({ description: 'Dead letters are left: call again.' }),
});
const { unreadable: _, ...readable } = Content.properties;
export const PulledContent = Type.Object({
  // A content that cannot be read is a dead letter at once: no worker gets it.
  ...undescribed(readable),
  content: Type.String(),
  attempt: Type.Integer({ description: 'Which hand-out this is: 1 = the first.' }),
  lease_until: Moment,
});
export const PullAnswer = Type.Object({
  lease: nullable(Type.String({ description: 'Ack with it. Null when there is no item.' })),
  items: Type.Array(PulledContent),
  conflicts: Type.Array(LeaseConflict),
  ...state,
  poll_after_ms: Type.Integer({ description: 'When the next pull makes sense, if you do not use `wait`.' }),
  gap: Type.Optional(ConsumerGap),
});

// Moving, and dead letters ------------------------------------------------------------------------------------------

export const ToEnd = Type.Object({ to: End }, { ...strict, title: 'To one end' });
export const SeekInput = Type.Union([End, AtId, AtTime, ToEnd], {
  examples: [{ to: 'latest' }],
  description: 'Exactly one of `id`, `time`, `to`; or just the text `"earliest"` or `"latest"`.',
});
export const RedeliverInput = Type.Object({ ids: idsOf('These contents.') }, strict);
export const RetryInput = Type.Object({ ids: Type.Optional(idsOf('Only of these contents. Default: all.')) }, strict);
export const DeadQuery = Type.Object(
  {
    id: Type.Optional(idInput({ description: 'Start here. Default 0.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most 500; more is clamped. Default 20.' })),
  },
  strict,
);
export const DeadContent = Type.Object({
  id: wideInteger(),
  wh_id: wideInteger(),
  attempts: Type.Integer(),
  reason: Type.String(),
  dead_at: Moment,
});
export const DeadPage = Type.Object({
  dead: Type.Array(DeadContent),
  next_id: wideInteger({ description: 'Pass it as the next `id`.' }),
});

// Trace -------------------------------------------------------------------------------------------------------------

export const Trace = Type.Object({
  id: wideInteger(),
  wh_id: wideInteger(),
  received_at: nullable(Type.String({ format: 'date-time', description: 'Null when another application stored it.' })),
  seen_at: nullable(
    Type.String({ format: 'date-time', description: 'When it became visible to consumers; null: not yet.' }),
  ),
  verified: nullable(
    Type.String({ description: 'What the signature check said; null when another application stored it.' }),
  ),
  event_id: nullable(Type.String()),
  duplicate_of: nullable(wideInteger()),
  duplicates: Type.Array(wideInteger(), { description: 'Later contents that are the same event.' }),
  consumers: Type.Array(
    Type.Object({
      name: Type.String(),
      state: oneOf(
        ['waiting', 'leased', 'acked', 'dead', 'skipped', 'behind'],
        'acked, or passed while the consumer did not read this webhook: acks are not kept. skipped: a duplicate, and the consumer skips those. behind: before the position where the consumer began or to which it was moved.',
      ),
      attempt: Type.Optional(Type.Integer({ description: 'How often it was handed out.' })),
      lease_until: Type.Optional(Moment),
      due_at: Type.Optional(Type.String({ format: 'date-time', description: 'It is handed out again then.' })),
      dead_at: Type.Optional(Moment),
      reason: Type.Optional(Type.String()),
    }),
    { description: 'Every consumer that reads this webhook.' },
  ),
});
export type Trace = Static<typeof Trace>;

// Problems ----------------------------------------------------------------------------------------------------------

/** What a 409 tells a program besides. */
export const ConflictProblem = Type.Object({
  ...undescribed(ProblemBody.properties),
  ...Type.Partial(Outcome).properties,
  ...Type.Partial(
    Type.Object({
      count: Type.Integer({ description: '`start-needed`: contents that wait.' }),
      count_more: Type.Boolean({ description: 'There are more than that.' }),
      oldest_age_s: state.oldest_age_s,
    }),
  ).properties,
});
