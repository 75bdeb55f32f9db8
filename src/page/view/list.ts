// The list of contents: of ten thousand only those in sight are on the page, and what arrives does not move what is read.
import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { count, shortTime, size } from '../format.ts';
import { loadOlder, retryList } from '../inbox.ts';
import { href } from '../routes.ts';
import { narrowed, type Row } from '../rows.ts';
import { app, changed, webhookName } from '../state.ts';
import { visible } from '../visible.ts';
import { empty } from './empty.ts';
import { filterBar } from './filter.ts';
import { verdictSign } from './verdict.ts';

const ROW = 58;
const BEYOND = 6;
let box: HTMLElement | undefined;
let top = 0;
let height = 800;

/** The row at a place of the list as it is shown: newest first. */
const rowAt = (index: number): Row | undefined => app.rows[app.rows.length - 1 - index];
const indexOf = (id: number): number => {
  const { rows } = app;
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.id ?? 0) < id) low = middle + 1;
    else high = middle;
  }
  return rows[low]?.id === id ? rows.length - 1 - low : -1;
};

/** The id `by` rows from the one that is open, at the ends the last one. */
export function neighbour(by: number): number | undefined {
  const at = app.content ? indexOf(app.content.id) : -1;
  const index = at < 0 ? 0 : Math.min(Math.max(at + by, 0), app.rows.length - 1);
  if (box) {
    if (index * ROW < box.scrollTop) box.scrollTop = index * ROW;
    else if ((index + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (index + 1) * ROW - box.clientHeight;
  }
  return rowAt(index)?.id;
}

function onScroll(event: Event): void {
  top = (event.target as HTMLElement).scrollTop;
  if (top < ROW / 2) app.above = 0;
  changed();
}

/** Keeps in place what is read while new rows come above it. Before each drawing. */
export function beforeList(): void {
  box = document.querySelector<HTMLElement>('.rows') ?? undefined;
  height = box?.clientHeight ?? height;
  top = box?.scrollTop ?? 0;
}
let before = 0;
export function afterList(): void {
  const added = app.above - before;
  before = app.above;
  if (box && added > 0) {
    if (top >= ROW / 2) box.scrollTop = top + added * ROW;
    else before = app.above = 0;
  }
  if (box && !app.loading && (app.rows.length - 20) * ROW < top + height) void loadOlder();
}

function toTop(): void {
  box?.scrollTo({ top: 0 });
  app.above = before = 0;
  changed();
}

function rowView(row: Row, index: number, tabbable: boolean): TemplateResult {
  const open = app.content?.id === row.id && app.route.view === 'contents';
  const label = row.type || (row.method ? `${row.method} ${row.path || row.form}` : webhookName(row.wh_id));
  return html`<li class="row-item" .style=${`transform:translateY(${index * ROW}px)`} aria-setsize=${app.older ? -1 : app.rows.length} aria-posinset=${index + 1}>
    <a href=${href.content(row.id)} data-id=${row.id} class=${app.unread.has(row.id) ? 'unread' : ''} aria-current=${open ? 'true' : nothing} tabindex=${tabbable ? 0 : -1}>
      <span class="one"><span class="what">${app.unread.has(row.id) ? html`<span class="sr">New: </span>` : nothing}${visible(label)}</span>
        ${row.duplicate_of === null ? nothing : html`<span class="tag">again</span>`}
        <time>${row.at === undefined ? row.dt : shortTime(row.at)}</time></span>
      <span class="two">${verdictSign(row.verified)}<span class="from">${webhookName(row.wh_id)}</span>
        <span class="preview">${row.size === 0 ? 'no body' : visible(row.preview) || 'bytes'}</span><span class="size">${size(row.size)}</span></span>
    </a>
  </li>`;
}

function rowsView() {
  const total = app.rows.length;
  const first = Math.max(Math.floor(top / ROW) - BEYOND, 0);
  const last = Math.min(Math.ceil((top + height) / ROW) + BEYOND, total);
  const shown: { row: Row; index: number }[] = [];
  for (let index = first; index < last; index++) {
    const row = rowAt(index);
    if (row) shown.push({ row, index });
  }
  const open = app.content && shown.some(({ row }) => row.id === app.content?.id) ? app.content.id : shown[0]?.row.id;
  return html`<ol role="list" class="window" aria-label="Contents, newest first" .style=${`height:${total * ROW}px`}>
    ${repeat(
      shown,
      ({ row }) => row.id,
      ({ row, index }) => rowView(row, index, row.id === open),
    )}
  </ol>`;
}

function foot() {
  if (app.listProblem)
    return html`<p class="foot problem" role="alert">${app.listProblem} <button @click=${retryList}>Try again</button></p>`;
  if (app.loading)
    return html`<p class="foot muted">${app.rows.length === 0 && narrowed(app.filter) ? 'Searching…' : 'Loading…'}</p>`;
  if (app.older > 0 && narrowed(app.filter))
    return html`<p class="foot"><button @click=${() => void loadOlder()}>Search further back</button></p>`;
  return nothing;
}

/** Nothing is there, and no search is to blame. */
export const isEmpty = (): boolean =>
  app.loaded && !app.loading && app.rows.length === 0 && app.older === 0 && !app.listProblem;

export function listView() {
  const title = app.filter.whid === 'all' ? 'All webhooks' : webhookName(app.filter.whid);
  return html`<section class="list" aria-labelledby="list-title">
    <div class="list-head">
      <h2 id="list-title">${title}</h2>
      ${filterBar()}
    </div>
    ${app.above > 0 && top >= ROW / 2 ? html`<button class="pill" @click=${toTop}>${count(app.above)} new</button>` : nothing}
    <div class="rows" @scroll=${onScroll}>
      ${isEmpty() ? empty() : rowsView()}
      ${foot()}
    </div>
  </section>`;
}
