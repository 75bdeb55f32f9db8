// The list of refusals, and one refusal: its reason, its near miss, its request, and its release.
import { html, nothing } from 'lit-html';
import type { Refusal } from '../../client/index.ts';
import { download } from '../handover.ts';
import { judgeAgain, olderRefusals } from '../polled.ts';
import { href } from '../routes.ts';
import { api, app, put, webhookName } from '../state.ts';
import { longTime, shortTime, size, visible } from '../text.ts';
import { bodyView, headersView } from './request.ts';
import { icon } from './signs.ts';

const KINDS: Readonly<Record<string, string>> = {
  signature: 'Signature does not match',
  secret_missing: 'No secret set yet',
  handshake: 'Handshake answered',
  too_large: 'Too large',
  method: 'Method not allowed',
  network: 'Network not allowed',
};
const kindName = (kind: string): string => KINDS[kind] ?? kind;

const item = (one: Refusal) => html`<li class="row-static">
  <a href=${href.refusal(one.id)} aria-current=${app.refusal?.id === one.id ? 'true' : nothing}>
    <span class="one"><span class="what">${kindName(one.kind)}</span>
      ${one.released_as === null ? nothing : html`<span class="tag good">released</span>`}
      ${one.near_miss && one.released_as === null ? html`<span class="tag hint">near miss</span>` : nothing}
      <time>${shortTime(Date.parse(one.request.received_at))}</time></span>
    <span class="two"><span class="from">${webhookName(one.wh_id)}</span><span class="preview">${visible(one.reason)}</span>
      <span class="size">${one.size === null ? '' : size(one.size)}</span></span>
  </a>
</li>`;

export const refusalsView = () => html`<section class="list" aria-labelledby="list-title">
  <div class="list-head"><h2 id="list-title">Refusals</h2>
    <p class="muted fine">Not among your contents. Kept for 14 days.</p></div>
  <div class="rows">
    ${
      app.refusals.length === 0
        ? html`<div class="empty"><p class="mark">${icon('shield')}</p><h3>Nothing was refused</h3>
          <p class="muted">A request whose signature does not match, that is too large or not allowed, is kept here with the reason.</p></div>`
        : html`<ol role="list" aria-label="Refusals, newest first">${app.refusals.map(item)}</ol>`
    }
    ${app.refusalsOlder > 0 ? html`<p class="foot"><button @click=${() => void olderRefusals()}>Show older ones</button></p>` : nothing}
  </div>
</section>`;

/** The service words a near miss as `would verify with …`. */
const asSentence = (text: string): string =>
  `${text.startsWith('would') ? 'It ' : ''}${text}${/[.!?]$/.test(text) ? '' : '.'}`;

function force(id: number): void {
  const dialog = {
    title: 'Accept this request unverified?',
    text: 'Nothing proves that the provider sent this request. It becomes a content with the verdict “not verified”, and your consumers get it.',
    action: 'Accept unverified',
    go: () => void judgeAgain(id, true),
  };
  put(app, { dialog });
}

export function refusalView() {
  const { refusal: open } = app;
  if (!open)
    return html`<section class="detail none" aria-label="Refusal"><div><p class="mark">${icon('stop')}</p><p class="muted">Choose a refusal to see why.</p></div></section>`;
  const { item } = open;
  const back = html`<a class="back" href=${href.refusals}>${icon('back')}<span>Back</span></a>`;
  if (!item)
    return html`<section class="detail" aria-label="Refusal">${back}<p class=${open.problem ? 'problem pad' : 'muted pad'} role="status">${open.problem ?? 'Loading…'}</p></section>`;
  const raw = () => download(api().refusals.raw(item.id), `refusal-${item.id}`);
  const { request } = item;
  return html`<section class="detail" aria-labelledby="detail-title" tabindex="-1">
    ${back}
    <div class="title"><h2 id="detail-title">${kindName(item.kind)}</h2>
      <p class="sub"><span>Refusal ${item.id}</span><span>${webhookName(item.wh_id)}</span></p></div>
    <div class="callout" data-kind="bad">${icon('stop')}<p>${visible(item.reason)}</p></div>
    ${item.near_miss ? html`<div class="callout" data-kind="hint">${icon('warn')}<div><strong>Near miss</strong><p>${visible(asSentence(item.near_miss))}</p></div></div>` : nothing}
    ${item.link?.startsWith('https://') ? html`<div class="callout" data-kind="hint">${icon('link')}<p><a href=${item.link} target="_blank" rel="noopener noreferrer">${visible(item.link)}</a></p></div>` : nothing}
    ${
      item.released_as !== null
        ? html`<div class="callout" data-kind="good">${icon('check')}<p>Released: it is <a href=${href.content(item.released_as)}>content ${item.released_as}</a>.</p></div>`
        : open.body && item.kind !== 'handshake'
          ? html`<div class="actions">
            <button class="primary" ?disabled=${open.busy} @click=${() => void judgeAgain(item.id, false)}>${open.busy ? 'Judging…' : 'Judge again'}</button>
            <button ?disabled=${open.busy} @click=${() => force(item.id)}>Accept unverified…</button>
            <a class="button" href=${href.webhook(item.wh_id)}>${icon('link')} Webhook</a>
          </div>
          <p class="muted fine">“Judge again” uses the current settings, and the time at which the request came: correct what was wrong first, and the request becomes a content.</p>`
          : nothing
    }
    <p class="problem" role="alert">${open.outcome ? `The request stays refused. ${open.outcome}` : ''}</p>
    <p class="request-line" dir="ltr"><strong>${visible(request.method)}</strong> <span class="muted">/in/…</span>${visible(request.url.slice(0, 4_000))}</p>
    <dl class="facts">
      <div><dt>Received</dt><dd><time title=${request.received_at}>${longTime(Date.parse(request.received_at))}</time></dd></div>
      <div><dt>From</dt><dd>${request.ip}</dd></div>
    </dl>
    ${bodyView(open.body, open, 'The body was not kept.', raw)}
    ${headersView(request.headers, open)}
  </section>`;
}
