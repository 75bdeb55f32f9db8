// What did not become a content, and why.
import { notFound } from '../errors.ts';
import { ContentId, Refusal, RefusalPage, RefusalQuery } from '../schema.ts';
import { findRefusal, listRefusals } from '../store/refusals.ts';
import { route } from './route.ts';
import { refusalToWire } from './wire.ts';

const MOST = 100;
const example = {
  id: 1,
  wh_id: 7,
  kind: 'too_large',
  reason: 'The body is larger than the limit of 10485760 bytes.',
  near_miss: null,
  size: 20_000_000,
  request: {
    method: 'POST',
    url: '',
    public_url: 'https://hooks.example.org/in/Vt3kZq8LxN2pWc7RmB4yJd9s',
    headers: [['Content-Length', '20000000']],
    ip: '3.18.12.63',
    received_at: '2026-11-22T10:00:00.000Z',
  },
  released_as: null,
};

export const listRefusalsRoute = route({
  method: 'GET',
  url: '/refusals',
  tag: 'Refusals',
  kind: 'extended',
  summary: 'List refusals',
  query: RefusalQuery,
  answers: {
    200: { schema: RefusalPage, example: { refusals: [example], next_id: 2 }, description: 'Refusals, oldest first' },
  },
  async handler({ store, config }, { query, userId }) {
    const from = query.id ?? 0;
    const limit = Math.min(query.limit ?? 20, MOST);
    const rows = await listRefusals(store.db, userId, { wh_id: query.whid, kind: query.kind, from, limit });
    const next_id = (rows.at(-1)?.id ?? from - 1) + 1;
    return { refusals: rows.map((row) => refusalToWire(row, config)), next_id };
  },
});

export const getRefusal = route({
  method: 'GET',
  url: '/refusals/:id',
  tag: 'Refusals',
  kind: 'extended',
  summary: 'Fetch one refusal',
  params: ContentId,
  answers: { 200: { schema: Refusal, example, description: 'The refusal' } },
  async handler({ store, config }, { params, userId }) {
    const row = await findRefusal(store.db, userId, params.id);
    if (!row) throw notFound(`You have no refusal ${params.id}.`);
    return refusalToWire(row, config);
  },
});
