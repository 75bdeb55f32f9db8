// The life of one content: how it came, and where it stands with every consumer that reads its webhook.
import { noSuchContent } from '../../errors.ts';
import { Trace } from '../../schema/consumers.ts';
import { ContentId } from '../../schema/contents.ts';
import { type ConsumerRow, findPosition, listConsumers, type Standing, standings } from '../../store/consumers.ts';
import type { ContentKey, ContentRow } from '../../store/contents.ts';
import { listDuplicates } from '../../store/events.ts';
import type { Store } from '../../store/open.ts';
import { route } from '../route.ts';
import { isoTime } from './consumers.ts';

/** What the trace takes of the service. */
export interface TraceCalls {
  readonly store: Store;
  readonly content: (key: ContentKey) => Promise<ContentRow | undefined>;
}

type Stage = Trace['consumers'][number];

/**
 * Acks are not kept: a content before the cursor that is neither leased nor dead was acked, or passed by while the consumer did
 * not read its webhook. Before the position to which the consumer was moved, it may never have been handed out.
 */
function stageOf(consumer: ConsumerRow, standing: Standing | undefined, pos: number, duplicate: boolean): Stage {
  const { name, start_pos, cursor_pos, duplicates } = consumer;
  if (standing?.dead_ms != null)
    return {
      name,
      state: 'dead',
      attempt: standing.dead_attempt ?? 0,
      dead_at: isoTime(standing.dead_ms),
      reason: standing.dead_reason ?? '',
    };
  if (standing?.due_ms != null) {
    const { due_ms, waiting, now, said } = standing;
    const attempt = standing.attempt ?? 0;
    if (!waiting && due_ms > now) return { name, state: 'leased', attempt, lease_until: isoTime(due_ms) };
    return { name, state: 'waiting', attempt, due_at: isoTime(due_ms), ...(said ? { reason: said } : {}) };
  }
  if (duplicate && duplicates === 'skip') return { name, state: 'skipped' };
  return { name, state: pos > cursor_pos ? 'waiting' : pos > start_pos ? 'acked' : 'behind' };
}

const MOST_DUPLICATES = 100;

export const traceContent = route({
  operationId: 'traceContent',
  method: 'GET',
  url: '/whcontent/:id/trace',
  tag: 'Contents',
  kind: 'extended',
  summary: 'Trace one content',
  params: ContentId,
  answers: {
    200: {
      schema: Trace,
      example: {
        id: 27,
        wh_id: 7,
        received_at: '2026-11-22T10:00:00.000Z',
        seen_at: '2026-11-22T10:00:00.004Z',
        verified: 'signed',
        event_id: 'evt_1',
        duplicate_of: null,
        duplicates: [],
        consumers: [
          { name: 'billing', state: 'leased', attempt: 2, lease_until: '2026-11-22T10:00:34.120Z' },
          { name: 'audit', state: 'acked' },
        ],
      },
      description: 'Its life so far',
    },
  },
  async handler({ store, content: find }: TraceCalls, { params, userId }): Promise<Trace> {
    const { id } = params;
    const content = await find({ userId, id });
    if (!content) throw noSuchContent(id);
    const { wh_id, receipt } = content;
    const event_id = receipt?.event_id ?? null;
    const [place, consumers] = await Promise.all([findPosition(store.db, userId, id), listConsumers(store.db, userId)]);
    const reading = consumers.filter(({ whids }) => !whids || whids.includes(wh_id));
    const rows = place && reading.length > 0 ? await standings(store.db, userId, place.pos) : [];
    const duplicate_of = receipt?.duplicate_of ?? null;
    const pos = place?.pos ?? Number.POSITIVE_INFINITY;
    const standingOf = new Map(rows.map((one) => [one.consumer_id, one]));
    return {
      id,
      wh_id,
      received_at: receipt ? isoTime(receipt.received_ms) : null,
      seen_at: place ? isoTime(place.seen_ms) : null,
      verified: receipt?.head ? receipt.verified : null,
      event_id,
      duplicate_of,
      duplicates: event_id === null ? [] : await listDuplicates(store, userId, { id, event_id }, MOST_DUPLICATES),
      consumers: reading.map((one) => stageOf(one, standingOf.get(one.id), pos, duplicate_of !== null)),
    };
  },
});
