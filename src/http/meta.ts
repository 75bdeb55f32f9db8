// Who am I, is it alive, is it ready.
import { unavailable } from '../errors.ts';
import { Health, Me } from '../schema.ts';
import { route } from './route.ts';

export const me = route({
  method: 'GET',
  url: '/',
  tag: 'Account',
  kind: 'classic',
  summary: 'Verify your credentials',
  answers: { 200: { schema: Me, example: { username: '1001' }, description: 'They are right' } },
  handler: (_context, { userId, hint }) => ({ username: String(userId), ...hint }),
});

export const healthz = route({
  method: 'GET',
  url: '/healthz',
  tag: 'Operation',
  kind: 'public',
  summary: 'Is the process alive?',
  answers: { 200: { schema: Health, example: { status: 'ok' }, description: 'Alive' } },
  handler: () => ({ status: 'ok' }),
});

export const readyz = route({
  method: 'GET',
  url: '/readyz',
  tag: 'Operation',
  kind: 'public',
  summary: 'Can it take requests now?',
  answers: { 200: { schema: Health, example: { status: 'ready' }, description: 'Ready' } },
  async handler({ store, writer }) {
    if (writer.full()) throw unavailable('Too much is waiting to be stored.');
    await store.db.ping();
    return { status: 'ready' };
  },
});
