// GET /activity: how busy each webhook of a user was, minute by minute; what the sparklines of the inbox show.
import { ActivityPage, ActivityQuery } from '../schemaactivity.ts';
import { activityOf } from '../store/activity.ts';
import { route } from './route.ts';

export const activityRoute = route({
  method: 'GET',
  url: '/activity',
  tag: 'Contents',
  kind: 'extended',
  summary: 'Count contents per minute',
  description:
    'Of the webhooks to which something came in that time, by wh_id; 0 = own content. The last number is the minute of `now`, which is not over yet.',
  query: ActivityQuery,
  answers: {
    200: {
      schema: ActivityPage,
      example: { webhooks: [{ wh_id: 7, total: 3, minutes: [0, 2, 1] }], now: '2026-11-22T10:00:12.000Z', more: false },
      description: 'The counts',
    },
  },
  async handler({ store }, { query, userId }) {
    const { now, more, webhooks } = await activityOf(store.db, userId, query.minutes ?? 60);
    return {
      webhooks: [...webhooks]
        .sort(([a], [b]) => a - b)
        .map(([wh_id, minutes]) => ({ wh_id, total: minutes.reduce((sum, n) => sum + n, 0), minutes })),
      now: new Date(now).toISOString(),
      more,
    };
  },
});
