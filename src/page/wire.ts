// The shapes that the API answers with, as the page knows them: the types of the service itself.
import type { Static } from 'typebox';
import type { Content, ContentPage, Refusal, RefusalPage, ReleaseResult } from '../schema.ts';
import type { ActivityPage } from '../schemaactivity.ts';
import type { Consumer, ConsumerList, DeadPage, Outcome, Retried, Trace } from '../schemaconsumers.ts';
import type { WebhookDetail, WebhookList } from '../schemawebhooks.ts';

export type { Consumer, Content, Refusal, Trace, WebhookDetail };
export type Webhook = Static<typeof WebhookList>['webhooks'][number];
export type ContentPageWire = Static<typeof ContentPage>;
export type RefusalPageWire = Static<typeof RefusalPage>;
export type ReleaseWire = Static<typeof ReleaseResult>;
export type ConsumersWire = Static<typeof ConsumerList>;
export type DeadWire = Static<typeof DeadPage>;
export type OutcomeWire = Static<typeof Outcome>;
export type RetriedWire = Static<typeof Retried>;
export type ActivityWire = Static<typeof ActivityPage>;
export type WebhooksWire = Static<typeof WebhookList>;
