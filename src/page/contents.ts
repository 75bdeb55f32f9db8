// The contents: the newest in a list, live ones at its top, older ones at its bottom, and the one that is open.

import { ApiError, sentence } from './api.ts';
import { bodyOfContent } from './body/body.ts';
import { type Live, type LiveState, startLive } from './live.ts';
import { type ListRow, matches, narrowed, queryOf, rowOf, sizeOf } from './rows.ts';
import { api, app, changed, type ListFilter, NO_FILTER, type Open, toast } from './state.ts';
import { bumpActivity, meet } from './webhooks.ts';
import type { Content, ContentPageWire, OutcomeWire, Trace } from './wire.ts';

const PAGE = 50;
const MOST_ROWS = 20_000;
const START_AGAIN_MS = 2_000;
// After so long away the newest are shown, and what is between them and the old ones comes by scrolling.
const LONG_AWAY_MS = 10 * 60_000;
/** Those opened or arrived last, to be shown at once. */
const recent = new Map<number, Content>();
const MOST_RECENT = 40;
const MOST_RECENT_CHARACTERS = 200_000;

let live: Live | undefined;
let newest = 0;
let generation = 0;
let lostAt: number | undefined;

const known = (id: number): Content | undefined => recent.get(id);
function remember(content: Content): void {
  if (content.content.length > MOST_RECENT_CHARACTERS) return;
  recent.delete(content.id);
  recent.set(content.id, content);
  if (recent.size > MOST_RECENT) recent.delete(recent.keys().next().value as number);
}

/** Loads the newest that pass the filter; what comes later is let in by the stream. */
async function load(): Promise<void> {
  const mine = ++generation;
  Object.assign(app, { rows: [], older: 0, above: 0, loading: true, listProblem: '' });
  changed();
  try {
    const page = await fetchPage('latest');
    if (mine !== generation) return;
    merge(page);
    await searchOn(mine);
  } catch (error) {
    if (mine === generation) app.listProblem = sentence(error);
  }
  if (mine !== generation) return;
  Object.assign(app, { loading: false, loaded: true });
  changed();
}

const fetchPage = (id: number | 'latest'): Promise<ContentPageWire> =>
  api().get(`/whcontent?${queryOf(app.filter, app.now())}&order=desc&id=${id}&limit=${PAGE}`);

/** A search looks at so many contents a call, and may find nothing among them. */
async function searchOn(mine: number): Promise<void> {
  for (let calls = 0; calls < 20 && narrowed(app.filter) && app.older > 0 && app.rows.length < PAGE; calls++) {
    changed();
    const page = await fetchPage(app.older);
    if (mine !== generation) return;
    merge(page);
  }
}

/** Puts a page of older ones below those that are there. */
function merge({ whcontent, next_id }: ContentPageWire): void {
  const oldest = app.rows[0]?.id ?? Number.POSITIVE_INFINITY;
  const rows = whcontent.filter(({ id }) => id < oldest).map(rowOf);
  for (const content of whcontent.slice(0, 5)) remember(content);
  app.rows.unshift(...rows.reverse());
  app.older = next_id;
}

export async function loadOlder(): Promise<void> {
  if (app.loading || app.older === 0 || app.listProblem) return;
  const mine = generation;
  app.loading = true;
  changed();
  try {
    const page = await fetchPage(app.older);
    if (mine !== generation) return;
    merge(page);
  } catch (error) {
    if (mine === generation) app.listProblem = sentence(error);
  }
  if (mine !== generation) return;
  app.loading = false;
  changed();
}

function arrived(content: Content): void {
  newest = Math.max(newest, content.id);
  remember(content);
  bumpActivity(content.wh_id);
  meet(content.wh_id);
  app.unread.add(content.id);
  if (matches(app.filter, content)) {
    add(rowOf(content));
    app.above++;
  }
  title();
  changed();
}

function add(row: ListRow): void {
  const { rows } = app;
  // They come in order; what a page already brought is not added twice.
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
function read(id: number): void {
  if (!app.unread.delete(id)) return;
  title();
}
export function readAll(): void {
  app.unread.clear();
  title();
  changed();
}

function onState(state: LiveState): void {
  if (state.name === 'waiting') lostAt ??= app.now();
  if (state.name === 'live') {
    if (app.live.name === 'catching-up' && app.live.caught > 0)
      toast(`Caught up: ${app.live.caught} came while the line was down.`);
    lostAt = undefined;
    if (app.listProblem) retryList();
  }
  app.live = state;
  changed();
}

/** Reads again what could not be read. */
export function retryList(): void {
  app.listProblem = '';
  void (app.rows.length === 0 ? load() : loadOlder());
}

/** The newest content there is; asked for until there is an answer. Undefined: signed out meanwhile. */
async function newestId(): Promise<number | undefined> {
  for (const { api: mine } = app; mine && mine === app.api; ) {
    try {
      const page = await mine.get<ContentPageWire>('/whcontent?whid=all&order=desc&limit=1');
      return mine === app.api ? (page.whcontent[0]?.id ?? 0) : undefined;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return undefined;
      onState({ name: 'waiting', reason: sentence(error), until: app.now() + START_AGAIN_MS });
      await new Promise((resolve) => setTimeout(resolve, START_AGAIN_MS));
    }
  }
  return undefined;
}

/** Shows the newest, and listens to what comes after them. */
export async function listen(): Promise<void> {
  const found = await newestId();
  if (found === undefined) return;
  newest = found;
  void load();
  live?.stop();
  live = startLive(newest + 1, {
    open: async (from, signal) => {
      if (lostAt !== undefined && app.now() - lostAt > LONG_AWAY_MS) await load();
      return api().stream(`/whcontent?whid=all&limit=100&id=${Math.max(from, newest + 1)}`, signal);
    },
    content: arrived,
    state: onState,
    reset() {
      newest = 0;
      recent.clear();
      app.unread.clear();
      toast('The database was restored to an earlier state: the list was read again.');
      void load();
    },
  });
}

export function hangUp(): void {
  live?.stop();
  live = undefined;
  newest = 0;
  lostAt = undefined;
  generation++;
  recent.clear();
}
export const wake = (): void => live?.wake();

/** Narrows the list. */
export function narrow(change: Partial<ListFilter>): void {
  const next = { ...app.filter, ...change };
  if (JSON.stringify(next) === JSON.stringify(app.filter)) return;
  app.filter = JSON.stringify(next) === JSON.stringify(NO_FILTER) ? NO_FILTER : next;
  app.sidebar = false;
  void load();
}

export async function openContent(id: number): Promise<void> {
  read(id);
  const before = app.content;
  // Who looks at bytes goes on looking at bytes.
  const open: NonNullable<typeof app.content> = { id, tab: before?.tab ?? 'pretty', shown: 1, revealed: false };
  app.content = open;
  const show = (content: Content) => {
    open.item = content;
    open.body = bodyOfContent(content, sizeOf(content));
    changed();
  };
  const at = known(id);
  if (at) show(at);
  changed();
  try {
    if (!at) {
      const content = await api().get<Content>(`/whcontent/${id}`);
      remember(content);
      show(content);
    }
    await traceOf(open);
  } catch (error) {
    open.problem = error instanceof ApiError && error.status === 404 ? `You have no content ${id}.` : sentence(error);
  }
  changed();
}

async function traceOf(open: Open<Content> & { trace?: Trace }): Promise<void> {
  if (!app.extended) return;
  try {
    open.trace = await api().get<Trace>(`/whcontent/${open.id}/trace`);
  } catch {
    // The content is what matters.
  }
}

export async function sendAgain(id: number, consumer: string): Promise<void> {
  try {
    await api().send<OutcomeWire>('POST', `/consumers/${encodeURIComponent(consumer)}/redeliver`, { ids: [id] });
    toast(`Content ${id} waits for the next pull of ${consumer}.`);
  } catch (error) {
    toast(sentence(error));
  }
  if (app.content?.id === id) await traceOf(app.content);
  changed();
}
