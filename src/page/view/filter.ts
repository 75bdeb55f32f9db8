// Narrows the list: a text to look for, and beside it event, check and time; what is in force stands below as chips.
import { html, nothing } from 'lit-html';
import { narrow } from '../inbox.ts';
import { app, changed, type Filter, NO_FILTER } from '../state.ts';
import { visible } from '../visible.ts';
import { icon } from './icons.ts';

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
  // A search reads bodies: it waits for the end of the word.
  pending = { timer: setTimeout(go, 350), go };
}
/** Enter, or leaving the field. */
const onDone = (): void => pending?.go();

const chip = (name: string, value: string, without: Partial<Filter>) => html`<li>
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
    ${select('Check', verified, CHECKS, (value) => narrow({ verified: value as Filter['verified'] }))}
    ${select('Time', minutes, TIMES, (value) => narrow({ minutes: Number(value) }))}
  </div>`;
}

export const filterBar = () =>
  // Searching needs more than the three shared tables.
  !app.extended
    ? nothing
    : html`<div class="filters" role="search">
  <div class="searchbox">
    ${icon('search')}
    <input id="search" type="search" placeholder="Search bodies" aria-label="Search the bodies for a text" .value=${app.filter.q}
      maxlength="1000" autocomplete="off" spellcheck="false" @input=${onInput} @change=${onDone}>
    <kbd aria-hidden="true">/</kbd>
    ${
      app.extended
        ? html`<button class="icon-button" aria-expanded=${app.filtering} aria-controls="more-filters" aria-label="More filters" title="More filters"
          @click=${() => {
            app.filtering = !app.filtering;
            changed();
          }}>${icon('filter')}</button>`
        : nothing
    }
  </div>
  ${app.filtering ? more() : nothing}
  ${chips()}
</div>`;
