// The list of contents: only the rows in sight are in the document, and arriving rows do not move those being read.
import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { loadOlder, narrow, narrowed, retryList } from '../contents.ts';
import { href } from '../routes.ts';
import { app, changed, type ListFilter, type ListRow, NO_FILTER, put, webhookName } from '../state.ts';
import { count, shortTime, size, visible } from '../text.ts';
import { icon, verdictSign } from './signs.ts';
import { send } from './webhooks.ts';

const TIMES: readonly (readonly [number, string])[] = [
  [0, 'Any time'],
  [15, 'Last 15 minutes'],
  [60, 'Last hour'],
  [1440, 'Last 24 hours'],
  [10_080, 'Last 7 days'],
];
const CHECKS = [
  ['', 'Any check'],
  ['signed', 'Signed'],
  ['token', 'Token'],
  ['none', 'Not verified'],
] as const;

let pending: { readonly timer: ReturnType<typeof setTimeout>; readonly go: () => void } | undefined;
function onInput(event: Event): void {
  const q = (event.target as HTMLInputElement).value.slice(0, 1_000);
  clearTimeout(pending?.timer);
  const go = () => {
    clearTimeout(pending?.timer);
    pending = undefined;
    narrow({ q });
  };
  // A search reads bodies: it waits until the user pauses.
  pending = { timer: setTimeout(go, 350), go };
}
/** The user pressed Enter or left the field. */
const onDone = (): void => pending?.go();

const chip = (name: string, value: string, without: Partial<ListFilter>) => html`<li>
  <button class="chip" @click=${() => narrow(without)}>
    <span class="muted">${name}</span> <span class="value">${visible(value)}</span>${icon('close')}<span class="sr">: remove this filter</span>
  </button>
</li>`;

function chips() {
  const { q, event_type, event_id, verified, minutes } = app.filter;
  const list = [
    q && chip('text', q, { q: '' }),
    event_type && chip('event', event_type, { event_type: '' }),
    event_id && chip('event id', event_id, { event_id: '' }),
    verified && chip('check', CHECKS.find(([value]) => value === verified)?.[1] ?? '', { verified: '' }),
    minutes > 0 && chip('time', TIMES.find(([value]) => value === minutes)?.[1] ?? '', { minutes: 0 }),
  ].filter(Boolean);
  if (list.length === 0) return nothing;
  return html`<ul class="chips" aria-label="Filters in force">
    ${list}
    ${list.length > 1 ? html`<li><button class="linklike" @click=${() => narrow({ ...NO_FILTER, whid: app.filter.whid })}>Clear all</button></li>` : nothing}
  </ul>`;
}

function more() {
  const { event_type, event_id, verified, minutes } = app.filter;
  const field = (name: 'event_type' | 'event_id', label: string, value: string, hint: string) => html`<label>
    ${label}<input .value=${value} placeholder=${hint} maxlength="1000" autocomplete="off" spellcheck="false"
      @change=${(event: Event) => narrow({ [name]: (event.target as HTMLInputElement).value.trim() })}>
  </label>`;
  const select = <T extends string | number>(
    label: string,
    value: T,
    options: readonly (readonly [T, string])[],
    act: (value: string) => void,
  ) =>
    html`<label>${label}
      <select @change=${(event: Event) => act((event.target as HTMLSelectElement).value)}>
        ${options.map(([one, text]) => html`<option value=${one} ?selected=${one === value}>${text}</option>`)}
      </select></label>`;
  return html`<div class="more-filters" id="more-filters">
    ${field('event_type', 'Event type', event_type, 'charge.succeeded')}
    ${field('event_id', 'Event id', event_id, 'evt_…')}
    ${select('Check', verified, CHECKS, (value) => narrow({ verified: value as ListFilter['verified'] }))}
    ${select('Time', minutes, TIMES, (value) => narrow({ minutes: Number(value) }))}
  </div>`;
}

const filterBar = () =>
  // Searching needs more than the three shared tables.
  !app.extended
    ? nothing
    : html`<div class="filters" role="search">
  <div class="searchbox">
    ${icon('search')}
    <input id="search" type="search" placeholder="Search bodies" aria-label="Search the bodies for a text" .value=${app.filter.q}
      maxlength="1000" autocomplete="off" spellcheck="false" @input=${onInput} @change=${onDone}>
    <kbd aria-hidden="true">/</kbd>
    <button class="icon-button" aria-expanded=${app.filtering} aria-controls="more-filters" aria-label="More filters" title="More filters"
      @click=${() => put(app, { filtering: !app.filtering })}>${icon('filter')}</button>
  </div>
  ${app.filtering ? more() : nothing}
  ${chips()}
</div>`;

export function empty() {
  if (narrowed(app.filter))
    return html`<div class="empty"><h3>Nothing matches</h3>
      <p class="muted">No content passes these filters. New contents that pass them appear here.</p>
      <button @click=${() => narrow({ ...NO_FILTER, whid: app.filter.whid })}>Clear the filters</button></div>`;
  const webhook = app.webhooks.find(({ wh_id }) => app.filter.whid === 'all' || wh_id === app.filter.whid);
  if (!webhook)
    return html`<div class="empty"><p class="mark">${icon('inbox')}</p><h2>No webhook yet</h2>
      <p class="muted">A webhook is a public URL: every request sent to it is kept.</p>
      ${app.extended ? html`<a class="button primary" href=${href.new}>Make a webhook</a>` : nothing}</div>`;
  return html`<div class="empty"><p class="mark">${icon('inbox')}</p>
    <h2>Waiting for the first webhook</h2>
    <p class="muted">Requests to <strong>${webhook.wh_name}</strong> appear here at once.</p>
    ${send(webhook)}</div>`;
}

const ROW = 58;
const BEYOND = 6;
let box: HTMLElement | undefined;
let top = 0;
let height = 800;

/** The row at an index of the list as shown: newest first. */
const rowAt = (index: number): ListRow | undefined => app.rows[app.rows.length - 1 - index];
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

/** The id of the row `by` rows from the open one; the list ends at its first and last row. */
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

/** Called before each drawing, with `afterList`: the rows being read stay in place while new ones come above them. */
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

function rowView(row: ListRow, index: number, tabbable: boolean): TemplateResult {
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
  const shown: { row: ListRow; index: number }[] = [];
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

/** Whether the list is loaded to its end and has no row. */
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
