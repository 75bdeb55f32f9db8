// The contents of a user: list them, fetch one as JSON or as its exact bytes, delete one, post own content, count them.
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { Rooms } from '../../admission/rooms.ts';
import type { Config } from '../../config/config.ts';
import {
  forbidden,
  invalid,
  needsMigrate,
  noSuchContent,
  notFound,
  revoked,
  tooLarge,
  unavailable,
  unreadableContent,
} from '../../errors.ts';
import type { Sender } from '../../http/address.ts';
import { decodeHead } from '../../http/head.ts';
import { type Lists, type Page, STALE_MS } from '../../reading/lists.ts';
import type { Cancellation, Tail } from '../../reading/tail.ts';
import type { Quota } from '../../receiver/quota.ts';
import type { Writer } from '../../receiver/writer.ts';
import * as wire from '../../schema/contents.ts';
import { activityOf } from '../../store/backlog.ts';
import type { ContentKey, ContentRow } from '../../store/contents.ts';
import { failed, mostBodyBytes } from '../../store/db.ts';
import type { Store } from '../../store/open.ts';
import { deleteContent } from '../../store/retention.ts';
import type { Filter } from '../../store/search.ts';
import { decodeName } from '../../store/text.ts';
import { nameWebhooks } from '../../store/webhooks.ts';
import { normalEventId } from '../../verify/identify.ts';
import { decodeBytes } from '../../verify/request.ts';
import { route } from '../route.ts';
import type { Part, Served, ServedPage, Serving } from '../serving.ts';
import { bytesAnswer, sendBytes } from '../wire.ts';
import { type Read, type Selection, streamContents, wantsStream } from './stream.ts';

/** What lists and streams take of the service. */
export interface ListCalls {
  readonly store: Store;
  readonly config: Config;
  readonly tail: Pick<Tail, 'readableId' | 'age' | 'heldSeconds'>;
  readonly lists: Lists;
  readonly serving: Serving;
}

/** What the calls on single contents take of it besides. */
export interface ContentCalls extends ListCalls {
  /** One content of a user; those asked for at once share a query. */
  readonly content: (key: ContentKey) => Promise<ContentRow | undefined>;
  readonly writer: Pick<Writer, 'write' | 'full'>;
  readonly quota: Pick<Quota, 'refuse'>;
  readonly rooms: Pick<Rooms, 'queue'>;
  readonly sender: Pick<Sender, 'address'>;
  /** A moment as the column `dt` has it. */
  readonly clockText: (ms: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const MOST = 100;
const MOST_NAMED = 5;
/** The longest wait of one call, in seconds. */
export const MOST_WAIT_S = 55;
export const exampleContent = {
  id: 27,
  content: '{"id":"evt_1","type":"charge.succeeded"}',
  ip: '3.18.12.63',
  api: 1,
  dt: '2026-11-22 10:00:00',
  wh_id: 7,
  encoding: 'utf-8',
  request: null,
};

export const listContentsRoute = route({
  operationId: 'listContents',
  method: 'GET',
  url: '/whcontent',
  tag: 'Contents',
  kind: 'classic',
  summary: 'List contents',
  description:
    'Pass `next_id` of the answer as the next `id`, and every content comes once. With `wait` the answer comes when there is something. With `Accept: text/event-stream` the same list, with its filters, is a live stream that goes on after `Last-Event-ID`.',
  query: wire.ListQuery,
  answers: {
    200: {
      schema: wire.ContentPage,
      example: { whcontent: [exampleContent], next_id: 28 },
      description: 'A page of contents',
    },
  },
  async handler(parts: ListCalls, { query, userId, hint, watch, whileOpen, request, reply }) {
    const { store, tail, serving } = parts;
    const list = {
      userId,
      whid: query.whid === 'all' ? 'all' : Number(query.whid ?? 0),
      limit: Math.min(query.limit ?? 20, MOST),
    } as const;
    const filter = filterOf(query);
    if (filter && !store.extended) throw needsMigrate();
    const desc = query.order === 'desc';
    const read = reading(parts, list, desc, filter);
    if (!desc && wantsStream(request))
      return streamContents(parts, list, read, startOf(query, request), watch(), reply);
    if (tail.age > STALE_MS) throw unavailable('The database cannot be reached now. Try again soon.');
    const until = performance.now() + waitOf(query) * 1000;
    const newest = query.id ?? 'latest';
    const first = await read(desc ? newest : startOf(query, request), whileOpen());
    const page = desc ? first : await waitingPage(parts, list, read, first, until, watch);
    const empty = page.contents.length === 0;
    const elsewhere = query.whid === undefined && empty ? await hintElsewhere(store, userId) : undefined;
    const hints = [hint.hint, elsewhere].filter((text) => text !== undefined).join(' ');
    const more = {
      next_id: page.next,
      ...(page.reset === undefined ? {} : { reset: { max_id: page.reset } }),
      ...(tail.heldSeconds > 0 ? { held_s: Math.ceil(tail.heldSeconds) } : {}),
      ...(hints ? { hint: hints } : {}),
    };
    const contents = page.contents.flatMap((one, i): Part[] => [i === 0 ? '' : ',', one, '}']);
    return serving.answer(reply, userId, ['{"whcontent":[', ...contents, `],${JSON.stringify(more).slice(1)}`]);
  },
});

const startOf = (query: Static<typeof wire.ListQuery>, request: FastifyRequest): number | 'latest' => {
  const last = request.headers['last-event-id'];
  if (wantsStream(request) && typeof last === 'string' && /^\d{1,15}$/.test(last)) return Number(last) + 1;
  return query.id ?? 0;
};
const waitOf = (query: Static<typeof wire.ListQuery>): number => Math.min(query.wait ?? 0, MOST_WAIT_S);

/** What narrows the list; undefined when nothing does. */
function filterOf({ event_id, event_type, verified, since, q }: Static<typeof wire.ListQuery>): Filter | undefined {
  const filter = {
    event_id: event_id === undefined ? undefined : normalEventId(event_id),
    event_type: event_type === undefined ? undefined : normalEventId(event_type),
    verified,
    since_ms: since === undefined ? undefined : Date.parse(since),
    q: q === undefined ? undefined : Buffer.from(q),
  };
  return Object.values(filter).some((value) => value !== undefined) ? filter : undefined;
}

/** Reads the list from an id on, or back; a waiting call and a stream go on with it. */
function reading(
  { lists, tail, serving }: Pick<ListCalls, 'lists' | 'tail' | 'serving'>,
  list: Selection,
  desc: boolean,
  filter?: Filter,
): Read {
  let goesOn = false;
  function find(from: number | 'latest', ended: Cancellation): Promise<Page> {
    if (!filter) return desc ? lists.newestFirst({ ...list, from }) : lists.page({ ...list, from });
    const again = goesOn;
    goesOn = true;
    return lists.search({ ...list, from, order: desc ? 'desc' : 'asc' }, filter, ended, again);
  }
  const read = async (from: number | 'latest', ended: Cancellation): Promise<ServedPage> => {
    const page = await find(from, ended);
    return { ...page, contents: await serving.serve(list.userId, page.contents) };
  };
  return (from, ended, together) => {
    // A search ends with its caller: it is not shared.
    if (!together || filter) return read(from, ended);
    const asked = [list.userId, list.whid, list.limit, from, tail.readableId];
    return serving.shared(list.userId, asked.join(' '), () => read(from, ended));
  };
}

/** The page; when it is empty, the first after it that is not, until then. */
async function waitingPage(
  { lists, config }: Pick<ListCalls, 'lists' | 'config'>,
  list: Selection,
  read: Read,
  first: ServedPage,
  until: number,
  watch: () => Cancellation,
): Promise<ServedPage> {
  let page = first;
  let ended: Cancellation | undefined;
  while (page.contents.length === 0 && page.reset === undefined) {
    const left = until - performance.now();
    ended ??= left > 0 ? watch() : undefined;
    if (!ended || ended.aborted || left <= 0) break;
    await lists.wait(list, page.next, left, ended);
    page = await read(page.next, ended, 'together');
  }
  if (ended?.reason === 'revoked') throw revoked(config.serviceName);
  return page;
}

/** A caller who forgets `whid` asks for own content, finds nothing, and thinks that nothing arrived. */
async function hintElsewhere(store: Store, userId: number): Promise<string | undefined> {
  const webhooks = await nameWebhooks(store, userId, { limit: MOST_NAMED + 1 });
  if (webhooks.length === 0) return undefined;
  const names = webhooks.slice(0, MOST_NAMED).map(({ wh_id, wh_name }) => `${wh_id} (${decodeName(wh_name)})`);
  const more = webhooks.length > MOST_NAMED ? ', …' : '';
  return `This is your own content only (whid=0). Your webhooks: ${names.join(', ')}${more}. Add whid=ID, or whid=all.`;
}

// Clients of the classic call know this text. Every later call says what is missing.
const CLASSIC_MISSING = 'The webhook id does not exist for such user';

export const getContent = route({
  operationId: 'getContent',
  method: 'GET',
  url: '/whcontent/:id',
  tag: 'Contents',
  kind: 'classic',
  summary: 'Fetch one content',
  params: wire.ContentId,
  answers: { 200: { schema: wire.ContentOne, example: exampleContent, description: 'The content' } },
  async handler({ content, serving }: Pick<ContentCalls, 'content' | 'serving'>, { params, userId, hint, reply }) {
    const row = await content({ userId, id: params.id });
    if (!row) throw notFound(CLASSIC_MISSING);
    const [one] = (await serving.serve(userId, [row])) as [Served];
    return serving.answer(reply, userId, [one, hint.hint ? `,${JSON.stringify(hint).slice(1)}` : '}']);
  },
});

export const getRaw = route({
  operationId: 'getContentBytes',
  method: 'GET',
  url: '/whcontent/:id/raw',
  tag: 'Contents',
  kind: 'plain',
  summary: 'Fetch the exact bytes of one content',
  description:
    'Always `application/octet-stream` as an attachment; the type its sender told is in `X-Original-Content-Type`.',
  params: wire.ContentId,
  answers: bytesAnswer,
  problems: [409],
  async handler({ content }: Pick<ContentCalls, 'content'>, { params, userId, reply }) {
    const row = await content({ userId, id: params.id });
    if (!row) throw noSuchContent(params.id);
    if (row.unreadable !== undefined) throw unreadableContent(params.id, row.unreadable);
    const head = row.receipt?.head && decodeHead(row.receipt.head);
    const type = head?.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
    // Only what may stand in a header of an answer; the exact value is in `request.headers`.
    if (type && /^[\x20-\x7e]{1,1000}$/.test(type)) reply.header('x-original-content-type', type);
    return sendBytes(reply, `content-${params.id}`, row.content);
  },
});

export const deleteContentRoute = route({
  operationId: 'deleteContent',
  method: 'DELETE',
  url: '/whcontent/:id',
  tag: 'Contents',
  kind: 'extended',
  summary: 'Delete one content',
  description:
    'For good, with its request and the refusal that it may have been. No list and no consumer hands it out any more; a worker that has it in hand can still ack it.',
  params: wire.ContentId,
  answers: { 204: { description: 'Deleted' } },
  problems: [403],
  async handler({ store }: Pick<ContentCalls, 'store'>, { params, userId, reply }) {
    const deleted = await deleteContent(store.db, userId, params.id).catch((error: unknown) => {
      throw failed(error, 'denied') ? forbidden(MAY_NOT_DELETE) : error;
    });
    if (!deleted) throw noSuchContent(params.id);
    return reply.code(204).send();
  },
});
const MAY_NOT_DELETE =
  'This service may not delete contents: the account of its database has no DELETE on tblwh. Ask its operator for it (restante migrate --grants).';

export const postContent = route({
  operationId: 'postContent',
  method: 'POST',
  url: '/whcontent',
  tag: 'Contents',
  kind: 'classic',
  summary: 'Post your own content',
  description:
    'Stored on webhook 0. Taken from `?content=`, else from a JSON object whose only member is a string `content`, else the body as it is.',
  query: wire.PostQuery,
  rawBody: true,
  answers: { 201: { schema: wire.Posted, example: { result: 'ok', id: 28 }, description: 'Stored' } },
  async handler(
    { store, writer, quota, rooms, sender, clockText, now }: ContentCalls,
    { query, request, userId, reply, hint },
  ) {
    if (writer.full({ user_id: userId, wh_id: 0 })) throw rooms.queue.refuse();
    const over = quota.refuse({ user_id: userId, wh_id: 0 });
    if (over) throw over.problem;
    const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
    const content = ownContent(query.content, body, request.url);
    if (content.length > mostBodyBytes(store.db)) throw tooLarge(mostBodyBytes(store.db));
    const received_ms = now();
    const id = await writer.write({
      user_id: userId,
      wh_id: 0,
      content,
      api: 0,
      dt: clockText(received_ms),
      received_ms,
      ip: sender.address(request.raw),
      head: null,
      judged: null,
    });
    reply.code(201);
    return { result: 'ok', id, ...hint };
  },
});

/** From `?content=`, from a JSON object, or the body as it is. `url`: raw. Throws a 422 when there is nothing, or two things. */
function ownContent(fromQuery: string | undefined, body: Buffer, url: string): Buffer {
  if (fromQuery !== undefined) {
    if (body.length > 0)
      throw invalid([{ path: 'query.content', message: 'and a body were both sent: send one of them' }]);
    // From the raw query: decoded as text, bytes that are not UTF-8 would be changed.
    const content = queryBytes(url, 'content');
    if (!isUtf8(content))
      throw invalid([
        { path: 'query.content', message: 'must be percent-encoded UTF-8; send other bytes as the body' },
      ]);
    return content;
  }
  if (body.length === 0)
    throw invalid([{ path: 'body', message: 'is empty: send the content as ?content= or as the body' }]);
  return jsonMember(body) ?? body;
}

/** The bytes of a query parameter. */
function queryBytes(url: string, name: string): Buffer {
  for (const pair of url.slice(url.indexOf('?') + 1).split('&')) {
    const end = `${pair}=`.indexOf('=');
    if (decodeQuery(pair.slice(0, end)).toString() === name) return decodeQuery(pair.slice(end + 1));
  }
  return Buffer.alloc(0);
}
const decodeQuery = (text: string): Buffer => Buffer.from(decodeBytes(text), 'latin1');

const OPENS = /^[ \t\r\n]*\{[ \t\r\n]*"content"[ \t\r\n]*:[ \t\r\n]*(?=")/;
const CLOSES = /^[ \t\r\n]*\}[ \t\r\n]*$/;

/**
 * The string of `{"content":"…"}`; undefined when the body is anything else, which is then taken as it is. Nothing but
 * that string is parsed: an object of a million members would hold up all other requests for seconds.
 */
function jsonMember(body: Buffer): Buffer | undefined {
  if (!isUtf8(body)) return undefined;
  const text = body.toString('utf8');
  const from = OPENS.exec(text)?.[0].length;
  if (from === undefined) return undefined;
  let end = from;
  do end = text.indexOf('"', end + 1);
  while (end > 0 && isEscaped(text, end));
  if (end < 0 || !CLOSES.test(text.slice(end + 1))) return undefined;
  try {
    const content = JSON.parse(text.slice(from, end + 1)) as string;
    // A lone surrogate has no bytes: such a body is kept as it is.
    return content.isWellFormed() ? Buffer.from(content) : undefined;
  } catch {
    return undefined;
  }
}

function isEscaped(text: string, at: number): boolean {
  let from = at;
  while (text[from - 1] === '\\') from--;
  return (at - from) % 2 === 1;
}

/** How busy each webhook was, minute by minute: the sparklines of the inbox. */
export const activityRoute = route({
  operationId: 'countActivity',
  method: 'GET',
  url: '/activity',
  tag: 'Contents',
  kind: 'extended',
  summary: 'Count contents per minute',
  description:
    'Only webhooks that received something in that time, by wh_id; 0 = own content. The last number is the minute of `now`, which is not over yet.',
  query: wire.ActivityQuery,
  answers: {
    200: {
      schema: wire.ActivityPage,
      example: { webhooks: [{ wh_id: 7, total: 3, minutes: [0, 2, 1] }], now: '2026-11-22T10:00:12.000Z', more: false },
      description: 'The counts',
    },
  },
  async handler({ store }: Pick<ContentCalls, 'store'>, { query, userId }) {
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
