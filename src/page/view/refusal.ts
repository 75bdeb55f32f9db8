// One refusal: why it was refused, what it was near to, and letting it in after a fix or in spite of all.
import { html, nothing } from 'lit-html';
import { longTime } from '../format.ts';
import { download } from '../opened.ts';
import { release } from '../refusals.ts';
import { href } from '../routes.ts';
import { app, changed, webhookName } from '../state.ts';
import { visible } from '../visible.ts';
import { bodyView } from './body.ts';
import { headersView } from './headers.ts';
import { icon } from './icons.ts';
import { kindName } from './refusals.ts';

/** Near misses are told as `would verify with …`. */
const asSentence = (text: string): string =>
  `${text.startsWith('would') ? 'It ' : ''}${text}${/[.!?]$/.test(text) ? '' : '.'}`;

function force(id: number): void {
  app.dialog = {
    title: 'Accept it unverified?',
    text: 'Nothing shows that the provider sent it. It becomes a content with the verdict “not verified”, and your consumers get it.',
    action: 'Accept unverified',
    go: () => void release(id, true),
  };
  changed();
}

export function refusalView() {
  const { refusal: open } = app;
  if (!open)
    return html`<section class="detail none" aria-label="Refusal"><div><p class="mark">${icon('stop')}</p><p class="muted">Choose a refusal to see why.</p></div></section>`;
  const { item } = open;
  const back = html`<a class="back" href=${href.refusals}>${icon('back')}<span>Back</span></a>`;
  if (!item)
    return html`<section class="detail" aria-label="Refusal">${back}<p class=${open.problem ? 'problem pad' : 'muted pad'} role="status">${open.problem ?? 'Loading…'}</p></section>`;
  const raw = () => download(`/refusals/${item.id}/raw`, `refusal-${item.id}`);
  const { request } = item;
  return html`<section class="detail" aria-labelledby="detail-title" tabindex="-1">
    ${back}
    <div class="title"><h2 id="detail-title">${kindName(item.kind)}</h2>
      <p class="sub"><span>Refusal ${item.id}</span><span>${webhookName(item.wh_id)}</span></p></div>
    <div class="callout" data-kind="bad">${icon('stop')}<p>${visible(item.reason)}</p></div>
    ${item.near_miss ? html`<div class="callout" data-kind="hint">${icon('warn')}<div><strong>Near miss</strong><p>${visible(asSentence(item.near_miss))}</p></div></div>` : nothing}
    ${
      item.released_as !== null
        ? html`<div class="callout" data-kind="good">${icon('check')}<p>Released: it is <a href=${href.content(item.released_as)}>content ${item.released_as}</a>.</p></div>`
        : open.body && item.kind !== 'handshake'
          ? html`<div class="actions">
            <button class="primary" ?disabled=${open.busy} @click=${() => void release(item.id, false)}>${open.busy ? 'Judging…' : 'Judge again'}</button>
            <button ?disabled=${open.busy} @click=${() => force(item.id)}>Accept unverified…</button>
            <a class="button" href=${href.webhook(item.wh_id)}>${icon('link')} Webhook</a>
          </div>
          <p class="muted fine">Judged again by the settings of now: correct the secret first, and it becomes a content.</p>`
          : nothing
    }
    <p class="problem" role="alert">${open.outcome ? `It stays refused. ${open.outcome}` : ''}</p>
    <p class="request-line" dir="ltr"><strong>${visible(request.method)}</strong> <span class="muted">/in/…</span>${visible(request.url.slice(0, 4_000))}</p>
    <dl class="facts">
      <div><dt>Received</dt><dd><time title=${request.received_at}>${longTime(Date.parse(request.received_at))}</time></dd></div>
      <div><dt>From</dt><dd>${request.ip}</dd></div>
    </dl>
    ${bodyView(open.body, open, 'The body was not kept.', raw)}
    ${headersView(request.headers, open)}
  </section>`;
}
