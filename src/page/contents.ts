// The contents: a list with live ones added on top and older ones loaded at the bottom, and the open content.

import type { Content, Trace } from '../client/index.ts';
import { sleep } from '../client/pump.ts';
import { sentence, statusOf } from './api.ts';
import { bodyOfContent, formOf } from './body.ts';
import { bumpActivity, meet } from './polled.ts';
import { api, app, changed, type ListFilter, type ListRow, NO_FILTER, type Open, put, toast } from './state.ts';

const PAGE = 50;
const MOST_ROWS = 20_000;
const START_AGAIN_MS = 2_000;
// After an absence of this length the newest contents are shown; scrolling loads those in between.
const LONG_AWAY_MS = 10 * 60_000;
// The page has caught up when no content has come for this long.
const QUIET_MS = 250;
/** The contents opened or received last, to be shown at once. */
const recent = new Map<number, Content>();
const MOST_RECENT = 40;
const MOST_RECENT_CHARACTERS = 200_000;

/** Aborted when the user signs out, and when the stream is opened anew. */
let line = new AbortController();
/** The id at which the stream goes on; undefined before it is known. */
let nextId: number | undefined;
/** Since when the stream is down. */
let lostAt: number | undefined;
let quiet: ReturnType<typeof setTimeout> | undefined;
let generation = 0;

function remember(content: Content): void {
  if ((content.content?.length ?? 0) > MOST_RECENT_CHARACTERS) return;
  recent.delete(content.id);
  recent.set(content.id, content);
  if (recent.size > MOST_RECENT) recent.delete(recent.keys().next().value as number);
}

/** Loads the newest contents that pass the filter; the stream adds later ones. */
function load(): Promise<void> {
  generation++;
  Object.assign(app, { rows: [], older: 0, above: 0, listProblem: '' });
  return fill('latest');
}

export async function loadOlder(): Promise<void> {
  if (!app.loading && app.older > 0 && !app.listProblem) await fill(app.older);
}

/** Adds a page to the list. What comes after the list was begun anew is dropped. */
async function fill(id: number | 'latest'): Promise<void> {
  const mine = generation;
  put(app, { loading: true });
  try {
    const page = await fetchPage(id);
    if (mine !== generation) return;
    merge(page);
    if (id === 'latest') await searchOn(mine);
  } catch (error) {
    if (mine === generation) app.listProblem = sentence(error);
  }
  if (mine === generation) put(app, { loading: false, loaded: true });
}

const fetchPage = (id: number | 'latest') =>
  api().contents.list({ ...queryOf(app.filter, app.now()), order: 'desc', id, limit: PAGE });

/** One call searches a limited number of contents and may find none: further calls search on. */
async function searchOn(mine: number): Promise<void> {
  for (let calls = 0; calls < 20 && narrowed(app.filter) && app.older > 0 && app.rows.length < PAGE; calls++) {
    changed();
    const page = await fetchPage(app.older);
    if (mine !== generation) return;
    merge(page);
  }
}

/** Adds a page of older contents at the bottom. */
function merge({ whcontent, next_id }: Awaited<ReturnType<typeof fetchPage>>): void {
  const oldest = app.rows[0]?.id ?? Number.POSITIVE_INFINITY;
  const rows = whcontent.filter(({ id }) => id < oldest).map(rowOf);
  for (const content of whcontent.slice(0, 5)) remember(content);
  app.rows.unshift(...rows.reverse());
  app.older = next_id;
}

function arrived(content: Content): void {
  remember(content);
  bumpActivity(content.wh_id);
  meet(content.wh_id);
  app.unread.add(content.id);
  if (matches(app.filter, content)) {
    add(rowOf(content));
    app.above++;
  }
  title();
  if (app.live.name === 'catching-up') catchingUp(app.live.caught + 1);
  changed();
}

function add(row: ListRow): void {
  const { rows } = app;
  // Contents come in order; one that a page already brought is not added twice.
  if (row.id > (rows.at(-1)?.id ?? 0)) rows.push(row);
  if (rows.length > MOST_ROWS) {
    const gone = rows.splice(0, rows.length - MOST_ROWS + 1_000);
    app.older = gone.at(-1)?.id ?? app.older;
  }
}

export function title(): void {
  const n = app.unread.size;
  document.title = `${n > 0 ? `(${n > 99 ? '99+' : n}) ` : ''}Inbox · ${app.about.name}`;
}
export function readAll(): void {
  app.unread.clear();
  title();
  changed();
}

function live(): void {
  if (app.live.name === 'catching-up' && app.live.caught > 0)
    toast(`Caught up: ${app.live.caught} arrived while the connection was down.`);
  lostAt = undefined;
  put(app, { live: { name: 'live' } });
  if (app.listProblem) retryList();
}
function catchingUp(caught: number): void {
  put(app, { live: { name: 'catching-up', caught } });
  clearTimeout(quiet);
  quiet = setTimeout(live, QUIET_MS);
}
function broken(reason: string): void {
  clearTimeout(quiet);
  lostAt ??= app.now();
  put(app, { live: { name: 'waiting', reason } });
}

/** Loads the part of the list that failed to load. */
export function retryList(): void {
  app.listProblem = '';
  void (app.rows.length === 0 ? load() : loadOlder());
}

/** Shows the newest contents and listens for later ones. Called again, it goes on where it stopped. */
export async function listen(): Promise<void> {
  line.abort();
  line = new AbortController();
  const { signal } = line;
  put(app, { live: { name: 'connecting' } });
  while (!signal.aborted) {
    try {
      await readStream(signal);
    } catch (error) {
      if (signal.aborted || statusOf(error) === 401) return;
      broken(sentence(error));
      await sleep(START_AGAIN_MS, signal);
    }
  }
}

async function readStream(signal: AbortSignal): Promise<void> {
  if (nextId === undefined) {
    const { whcontent } = await api().contents.list({ whid: 'all', order: 'desc', limit: 1 }, { signal });
    if (signal.aborted) return;
    nextId = (whcontent[0]?.id ?? 0) + 1;
    void load();
  }
  const stream = api().contents.stream({
    id: nextId,
    signal,
    onState(state, error) {
      if (signal.aborted) return;
      if (state === 'broken') broken(error ? sentence(error) : 'The service ended the stream.');
      else if (lostAt === undefined) live();
      else catchingUp(0);
    },
    onReset(maxId) {
      nextId = maxId + 1;
      recent.clear();
      app.unread.clear();
      toast('The database was restored to an earlier state: the list was read again.');
      void load();
    },
  });
  for await (const content of stream) {
    if (lostAt !== undefined && app.now() - lostAt > LONG_AWAY_MS) {
      clearTimeout(quiet);
      lostAt = app.now();
      await load();
    }
    // By now, another user may have signed in.
    if (signal.aborted) return;
    nextId = content.id + 1;
    arrived(content);
  }
}

export function hangUp(): void {
  line.abort();
  clearTimeout(quiet);
  nextId = undefined;
  lostAt = undefined;
  generation++;
  recent.clear();
}
/** Reconnects at once, if the page is waiting to reconnect. */
export const wake = (): void => void (app.live.name === 'waiting' && listen());

/** Narrows the list. */
export function narrow(change: Partial<ListFilter>): void {
  const wanted = { ...app.filter, ...change };
  if (JSON.stringify(wanted) === JSON.stringify(app.filter)) return;
  app.filter = JSON.stringify(wanted) === JSON.stringify(NO_FILTER) ? NO_FILTER : wanted;
  app.sidebar = false;
  void load();
}

export async function openContent(id: number): Promise<void> {
  if (app.unread.delete(id)) title();
  const before = app.content;
  // The next content opens in the tab of the last one: a reader of bytes goes on with bytes.
  const open: NonNullable<typeof app.content> = { id, tab: before?.tab ?? 'pretty', shown: 1, revealed: false };
  app.content = open;
  const show = async (content: Content) => {
    open.item = content;
    open.body = await bodyOfContent(content, sizeOf(content));
    changed();
  };
  const at = recent.get(id);
  if (at) await show(at);
  changed();
  try {
    if (!at) {
      const content = await api().contents.get(id);
      remember(content);
      await show(content);
    }
    await traceOf(open);
  } catch (error) {
    open.problem = statusOf(error) === 404 ? `You have no content ${id}.` : sentence(error);
  }
  changed();
}

async function traceOf(open: Open<Content> & { trace?: Trace }): Promise<void> {
  if (!app.extended) return;
  try {
    open.trace = await api().contents.trace(open.id);
  } catch {
    // The content is shown without its trace.
  }
}

export async function sendAgain(id: number, consumer: string): Promise<void> {
  try {
    await api()
      .consumer(consumer)
      .redeliver({ ids: [id] });
    toast(`Content ${id} waits for the next pull of ${consumer}.`);
  } catch (error) {
    toast(sentence(error));
  }
  if (app.content?.id === id) await traceOf(app.content);
  changed();
}

const PREVIEW = 140;

/** A copy: a slice would keep the whole body in memory. */
const copy = (text: string): string => ` ${text}`.slice(1);

function sizeOf({ content: text, encoding }: Pick<Content, 'content' | 'encoding'>): number {
  const content = text ?? '';
  if (encoding === 'windows-1252') return content.length;
  if (encoding === 'base64') return Math.floor((content.length * 3) / 4) - (/=*$/.exec(content)?.[0].length ?? 0);
  let size = content.length;
  for (let i = 0; i < content.length; i++) {
    const code = content.charCodeAt(i);
    if (code > 0x7f) size++;
    // A surrogate pair is 4 bytes, 2 units: each counts one more.
    if (code > 0x7ff && (code < 0xd800 || code > 0xdfff)) size++;
  }
  return size;
}

function rowOf(content: Content): ListRow {
  const { id, wh_id, dt, request, encoding } = content;
  const start =
    encoding === 'base64'
      ? ''
      : (content.content ?? content.unreadable ?? '')
          .slice(0, 4 * PREVIEW)
          .replace(/\s+/g, ' ')
          .slice(0, PREVIEW);
  return {
    id,
    wh_id,
    at: request ? Date.parse(request.received_at) : undefined,
    dt,
    method: request?.method ?? '',
    path: request?.url.slice(0, 200) ?? '',
    form: formOf(request?.headers),
    type: request?.event_type ?? '',
    verified: request?.verified ?? '',
    duplicate_of: request?.duplicate_of ?? null,
    size: sizeOf(content),
    preview: copy(start),
  };
}

/** Whether a content passes the filter, as the service decides it. */
function matches({ whid, q, event_type, event_id, verified }: ListFilter, content: Content): boolean {
  const { request } = content;
  if (whid !== 'all' && content.wh_id !== whid) return false;
  if (event_type && request?.event_type !== event_type) return false;
  if (event_id && request?.event_id !== event_id) return false;
  if (verified && (request?.verified ?? 'none') !== verified) return false;
  // A live content arrived just now: within any number of minutes.
  return !q || (content.content?.includes(q) ?? false);
}

/** The filter as the query of a list. */
const queryOf = ({ whid, q, event_type, event_id, verified, minutes }: ListFilter, now: number) => ({
  whid,
  q: q || undefined,
  event_type: event_type || undefined,
  event_id: event_id || undefined,
  verified: verified || undefined,
  since: minutes ? new Date(now - minutes * 60_000).toISOString() : undefined,
});

export const narrowed = ({ q, event_type, event_id, verified, minutes }: ListFilter): boolean =>
  Boolean(q || event_type || event_id || verified || minutes);
