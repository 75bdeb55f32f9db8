// Refusals: requests that did not become a content, and why; released after a fix.
import type { Config } from '../../config/config.ts';
import { notFound } from '../../errors.ts';
import * as wire from '../../schema/contents.ts';
import { eventKey } from '../../store/events.ts';
import type { Store } from '../../store/open.ts';
import { findRefusal, findRefusedBody, listRefusals, type RefusalRow } from '../../store/refusals.ts';
import { normalEventId } from '../../verify/identify.ts';
import { find, parsePointer } from '../../verify/json.ts';
import { PRESETS } from '../../verify/presets/index.ts';
import { type ReleaseParts, release, releaseMany } from '../../webhooks/release.ts';
import { route } from '../route.ts';
import { bytesAnswer, refusalToWire, sendBytes } from '../wire.ts';

/** What the calls on refusals take of the service. */
export interface RefusalCalls extends ReleaseParts {
  readonly store: Store;
  readonly config: Config;
}

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

const momentOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text));

// A handshake is no larger: see findHandshake.
const MOST_LINKED_BYTES = 64 * 1024;
const LINKS = [...PRESETS.values()].flatMap(({ link }) => link ?? []);

/** With the link in its body, where it says that its owner has to open one. Only a verdict says so: what is forged has no link. */
async function shown({ store, config }: RefusalCalls, userId: number, row: RefusalRow): Promise<wire.Refusal> {
  const refusal = refusalToWire(row, config);
  const link = LINKS.find(({ says }) => says === row.reason);
  const pointer = link && parsePointer(link.from);
  if (!pointer || (row.size ?? 0) > MOST_LINKED_BYTES) return refusal;
  const body = await findRefusedBody(store.db, userId, row.id);
  const url = body ? find(body, [pointer])[0]?.text : undefined;
  return url !== undefined && link.url.test(url) ? { ...refusal, link: url } : refusal;
}

export const listRefusalsRoute = route({
  operationId: 'listRefusals',
  method: 'GET',
  url: '/refusals',
  tag: 'Refusals',
  kind: 'extended',
  summary: 'List refusals',
  query: wire.RefusalQuery,
  answers: {
    200: {
      schema: wire.RefusalPage,
      example: { refusals: [example], next_id: 2 },
      description: 'Refusals, oldest first',
    },
  },
  async handler(parts: RefusalCalls, { query, userId }) {
    const { store } = parts;
    const desc = query.order === 'desc';
    const from = query.id ?? (desc ? Number.MAX_SAFE_INTEGER : 0);
    const limit = Math.min(query.limit ?? 20, MOST);
    const event_key = query.event_id && eventKey(userId, normalEventId(query.event_id));
    const rows = await listRefusals(store.db, userId, {
      wh_id: query.whid,
      kind: query.kind,
      event_key: event_key || undefined,
      since_ms: momentOf(query.since),
      from,
      limit,
      desc,
    });
    const last = rows.at(-1)?.id;
    const older = last !== undefined && rows.length === limit ? last - 1 : 0;
    const next_id = desc ? older : (last ?? from - 1) + 1;
    // One after the other: a hundred at once would take every connection.
    const refusals: wire.Refusal[] = [];
    for (const row of rows) refusals.push(await shown(parts, userId, row));
    return { refusals, next_id };
  },
});

export const getRefusal = route({
  operationId: 'getRefusal',
  method: 'GET',
  url: '/refusals/:id',
  tag: 'Refusals',
  kind: 'extended',
  summary: 'Fetch one refusal',
  params: wire.ContentId,
  answers: { 200: { schema: wire.Refusal, example, description: 'The refusal' } },
  async handler(parts: RefusalCalls, { params, userId }) {
    const row = await findRefusal(parts.store.db, userId, params.id);
    if (!row) throw notFound(`You have no refusal ${params.id}.`);
    return shown(parts, userId, row);
  },
});

export const getRefusalRaw = route({
  operationId: 'getRefusalBytes',
  method: 'GET',
  url: '/refusals/:id/raw',
  tag: 'Refusals',
  kind: 'extended',
  summary: 'Fetch the exact bytes of one refusal',
  params: wire.ContentId,
  answers: bytesAnswer,
  async handler({ store }: RefusalCalls, { params, userId, reply }) {
    const body = await findRefusedBody(store.db, userId, params.id);
    if (body === undefined) throw notFound(`You have no refusal ${params.id}.`);
    if (body === null) throw notFound(`The body of refusal ${params.id} was not kept.`);
    return sendBytes(reply, `refusal-${params.id}`, body);
  },
});

const common = { method: 'POST', tag: 'Refusals', kind: 'extended' } as const;
const released = { released: [{ id: 1, content_id: 28 }], kept: [{ id: 2, reason: 'The signature does not match.' }] };

export const releaseRefusalRoute = route({
  ...common,
  operationId: 'releaseRefusal',
  url: '/refusals/:id/release',
  summary: 'Release one refusal',
  description: 'It is judged again by the present settings, and becomes a content, once, when it passes.',
  params: wire.ContentId,
  body: wire.ReleaseInput,
  answers: { 200: { schema: wire.ReleaseResult, example: released, description: 'What became of it' } },
  async handler(parts: RefusalCalls, { params, body, userId }) {
    const refusal = await findRefusal(parts.store.db, userId, params.id);
    if (!refusal) throw notFound(`You have no refusal ${params.id}.`);
    return release(parts, userId, refusal, body.force ?? false);
  },
});

export const releaseRefusalsRoute = route({
  ...common,
  operationId: 'releaseRefusals',
  url: '/refusals/release',
  summary: 'Release the refusals of a webhook',
  description: 'Oldest first, as many as one call can: go on with `next_id` while there is one.',
  body: wire.ReleaseManyInput,
  answers: { 200: { schema: wire.ReleaseResult, example: released, description: 'What became of each' } },
  async handler(parts: RefusalCalls, { body, userId }) {
    const filter = { wh_id: body.whid, since_ms: momentOf(body.since) };
    const options = { force: body.force ?? false, from: body.id ?? 0 };
    const { next, ...outcome } = await releaseMany(parts, userId, filter, options);
    return { ...outcome, ...(next === undefined ? {} : { next_id: next }) };
  },
});
