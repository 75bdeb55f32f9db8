// One content in full: its facts, request and body, its delivery to each consumer, and the actions on it.
import { html, nothing } from 'lit-html';
import type { Content, Trace } from '../../client/index.ts';
import { formOf } from '../body.ts';
import { narrow, sendAgain } from '../contents.ts';
import { curlOf, isSecret } from '../curl.ts';
import { copy, download, openReplay } from '../handover.ts';
import { href } from '../routes.ts';
import { api, app, toast, webhookName } from '../state.ts';
import { longTime, plural, size, visible } from '../text.ts';
import { bodyView, headersView } from './request.ts';
import { icon, verdictPill } from './signs.ts';

type Stage = Trace['consumers'][number];

const WORDS: Readonly<Record<Stage['state'], string>> = {
  waiting: 'Waiting',
  leased: 'In hand',
  acked: 'Done',
  dead: 'Dead',
  skipped: 'Skipped',
  behind: 'Behind',
};

function detail({ state, attempt, lease_until, due_at, dead_at, reason }: Stage): string {
  const at = (iso: string | undefined) => (iso ? longTime(Date.parse(iso)) : '');
  const parts = [
    attempt ? `attempt ${attempt}` : '',
    lease_until ? `until ${at(lease_until)}` : '',
    due_at ? `again at ${at(due_at)}` : '',
    dead_at ? `since ${at(dead_at)}` : '',
    state === 'skipped' ? 'this consumer skips duplicates' : '',
    state === 'behind' ? 'this consumer began after this content or was moved past it; earlier acks are not kept' : '',
    reason ?? '',
  ];
  return parts.filter(Boolean).join(' · ');
}

const links = (ids: readonly number[]) =>
  ids.map((id, i) => html`${i > 0 ? ', ' : ''}<a href=${href.content(id)}>${id}</a>`);

function traceView(trace: Trace | undefined) {
  if (!trace) return nothing;
  return html`<section class="card" aria-labelledby="trace-title">
    <div class="card-head"><h3 id="trace-title">Delivery</h3></div>
    <ol class="trace">
      <li><span class="when">${trace.received_at ? longTime(Date.parse(trace.received_at)) : '–'}</span><span>${trace.received_at ? 'Received and committed' : 'Stored by another application'}</span></li>
      ${trace.seen_at ? html`<li><span class="when">${longTime(Date.parse(trace.seen_at))}</span><span>Visible to readers</span></li>` : nothing}
      ${trace.duplicates.length > 0 ? html`<li><span class="when">later</span><span>The same event came again: ${links(trace.duplicates)}</span></li>` : nothing}
    </ol>
    ${
      trace.consumers.length === 0
        ? html`<p class="muted pad">No consumer reads this webhook.</p>`
        : html`<table class="stages" aria-label="State with each consumer"><tbody>
          ${trace.consumers.map(
            (stage) => html`<tr><th scope="row"><a href=${href.consumer(stage.name)}>${stage.name}</a></th>
              <td><span class="state" data-state=${stage.state}>${WORDS[stage.state]}</span></td><td class="muted">${detail(stage)}</td></tr>`,
          )}
        </tbody></table>`
    }
  </section>`;
}

type Opened = NonNullable<typeof app.content>;

function copyCurl({ item, body, revealed }: Opened): void {
  if (!item?.request || !body) return;
  const { method, public_url, headers } = item.request;
  const told = revealed ? headers : headers.filter(([name = '']) => !isSecret(name));
  const left = headers.length - told.length;
  const command = curlOf({ method, url: public_url, headers: told, bytes: body.bytes(), text: body.text() });
  void copy(command, 'The command is').then(() => {
    if (left > 0) toast(`Copied without ${plural(left, 'secret header')}: reveal them first to include them.`);
  });
}

function again(event: Event): void {
  const select = event.target as HTMLSelectElement;
  if (select.value && app.content) void sendAgain(app.content.id, select.value);
  select.value = '';
}

function actions(open: Opened, item: Content) {
  const consumers = open.trace?.consumers ?? [];
  return html`<div class="actions">
    ${item.request ? html`<button @click=${() => copyCurl(open)}>${icon('copy')} Copy as curl</button>` : nothing}
    <button @click=${() => download(api().contents.raw(item.id), `content-${item.id}`)}>${icon('down')} Raw</button>
    <button @click=${() => copy(location.href.replace(/#.*/, '') + href.content(item.id), 'The link is')}>${icon('link')} Link</button>
    ${item.request && open.body ? html`<button @click=${() => openReplay(item, open.body?.bytes(), open.revealed)}>${icon('play')} Replay…</button>` : nothing}
    ${
      consumers.length > 0
        ? html`<label class="again">${icon('again')}<span class="sr">Send again to a consumer</span>
          <select id="again" @change=${again}><option value="">Send again to…</option>${consumers.map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></label>`
        : nothing
    }
  </div>`;
}

const fact = (name: string, value: unknown) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
const only = (text: string, change: Parameters<typeof narrow>[0], what: string) =>
  html`<button class="value" title=${`Show only this ${what}`} @click=${() => narrow(change)}>${visible(text)}</button>`;

function facts(item: Content) {
  const { request } = item;
  return html`<dl class="facts">
    ${fact('Webhook', only(webhookName(item.wh_id), { whid: item.wh_id }, 'webhook'))}
    ${fact('Received', request ? html`<time title=${request.received_at}>${longTime(Date.parse(request.received_at))}</time>` : item.dt)}
    ${request?.event_id ? fact('Event id', only(request.event_id, { event_id: request.event_id }, 'event')) : nothing}
    ${fact('From', request?.ip ?? item.ip)}
    ${request?.duplicate_of != null ? fact('Duplicate of', html`<a href=${href.content(request.duplicate_of)}>content ${request.duplicate_of}</a>`) : nothing}
    ${request?.released_from != null ? fact('Released from', html`<a href=${href.refusal(request.released_from)}>refusal ${request.released_from}</a>`) : nothing}
  </dl>`;
}

/** The title of a content without an event type, as in the list. */
const titleOf = ({ id, request }: Content): string =>
  request ? `${request.method} ${request.url.slice(0, 200) || formOf(request.headers)}` : `Content ${id}`;

export function contentView() {
  const { content: open } = app;
  if (!open)
    return html`<section class="detail none" aria-label="Content"><div><p class="mark">${icon('inbox')}</p>
      <p class="muted">Choose a content to see all of it.<br><kbd>j</kbd> <kbd>k</kbd> move, <kbd>/</kbd> searches, <kbd>?</kbd> shows every key.</p></div></section>`;
  const { item } = open;
  const back = html`<a class="back" href=${href.contents}>${icon('back')}<span>Back</span></a>`;
  if (!item)
    return html`<section class="detail" aria-label="Content">${back}<p class=${open.problem ? 'problem pad' : 'muted pad'} role="status">${open.problem ?? 'Loading…'}</p></section>`;
  const { request } = item;
  return html`<section class="detail" aria-labelledby="detail-title" tabindex="-1">
    ${back}
    <div class="title">
      <h2 id="detail-title">${request?.event_type ? only(request.event_type, { event_type: request.event_type }, 'event type') : visible(titleOf(item))}</h2>
      <p class="sub">${request ? verdictPill(request.verified, () => narrow({ verified: request.verified as 'none' })) : nothing}
        <span>Content ${item.id}</span><span>${size(open.body?.size ?? 0)}</span>${request?.duplicate_of != null ? html`<span class="tag">came again</span>` : nothing}</p>
    </div>
    ${actions(open, item)}
    ${open.problem ? html`<p class="problem">${open.problem}</p>` : nothing}
    ${request ? html`<p class="request-line" dir="ltr"><strong>${visible(request.method)}</strong> <span class="muted">/in/…</span>${visible(request.url.slice(0, 4_000))}</p>` : nothing}
    ${facts(item)}
    ${
      item.unreadable === undefined
        ? bodyView(open.body, open, 'Loading…', () => download(api().contents.raw(item.id), `content-${item.id}`))
        : html`<p class="problem" role="status">The body of this content cannot be read. ${item.unreadable}</p>`
    }
    ${request ? headersView(request.headers, open) : nothing}
    ${traceView(open.trace)}
  </section>`;
}
