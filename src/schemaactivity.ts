// The wire of GET /activity: contents per minute and webhook.
import { Type } from 'typebox';
import { strict } from './schematypes.ts';

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
      wh_id: Type.Integer({ examples: [7] }),
      total: Type.Integer(),
      minutes: Type.Array(Type.Integer(), { description: 'Oldest first.' }),
    }),
  ),
  now: Type.String({ format: 'date-time' }),
  more: Type.Boolean({ description: 'Only the newest 100,000 contents of that time were counted.' }),
});
