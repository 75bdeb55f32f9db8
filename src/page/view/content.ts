// One content in full: what it is, who sent it, what was said of it, and what can be done with it.
import { html, nothing } from 'lit-html';
import { curlOf } from '../curl.ts';
import { longTime, plural, size } from '../format.ts';
import { openReplay } from '../handover.ts';
import { narrow } from '../inbox.ts';
import { copy, download, redeliver } from '../opened.ts';
import { href } from '../routes.ts';
import { formOf } from '../rows.ts';
import { isSecret } from '../secrets.ts';
import { app, toast, webhookName } from '../state.ts';
import { visible } from '../visible.ts';
import type { Content } from '../wire.ts';
import { bodyView } from './body.ts';
import { headersView } from './headers.ts';
import { icon } from './icons.ts';
import { traceView } from './trace.ts';
import { verdictPill } from './verdict.ts';

type Opened = NonNullable<typeof app.content>;

function copyCurl({ item, body, revealed }: Opened): void {
  if (!item?.request || !body) return;
  const { method, public_url, headers } = item.request;
  const told = revealed ? headers : headers.filter(([name = '']) => !isSecret(name));
  const left = headers.length - told.length;
  const command = curlOf({ method, url: public_url, headers: told, bytes: body.bytes(), text: body.text() });
  void copy(command, 'The command is').then(() => {
    if (left > 0) toast(`Copied without ${plural(left, 'secret header')}: reveal them first to have them in it.`);
  });
}

function again(event: Event): void {
  const select = event.target as HTMLSelectElement;
  if (select.value && app.content) void redeliver(app.content.id, select.value);
  select.value = '';
}

function actions(open: Opened, item: Content) {
  const consumers = open.trace?.consumers ?? [];
  return html`<div class="actions">
    ${item.request ? html`<button @click=${() => copyCurl(open)}>${icon('copy')} Copy as curl</button>` : nothing}
    <button @click=${() => download(`/whcontent/${item.id}/raw`, `content-${item.id}`)}>${icon('down')} Raw</button>
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

/** Without an event type: what the list says of it. */
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
    ${bodyView(open.body, open, 'Loading…', () => download(`/whcontent/${item.id}/raw`, `content-${item.id}`))}
    ${request ? headersView(request.headers, open) : nothing}
    ${traceView(open.trace)}
  </section>`;
}
