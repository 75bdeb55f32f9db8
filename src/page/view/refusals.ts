// Refusals: what came to a webhook and was not let in, newest first.
import { html, nothing } from 'lit-html';
import { shortTime, size } from '../format.ts';
import { olderRefusals } from '../refusals.ts';
import { href } from '../routes.ts';
import { app, webhookName } from '../state.ts';
import { visible } from '../visible.ts';
import type { Refusal } from '../wire.ts';
import { icon } from './icons.ts';

const KINDS: Readonly<Record<string, string>> = {
  signature: 'Signature does not match',
  secret_missing: 'No secret set yet',
  handshake: 'Handshake answered',
  too_large: 'Too large',
  method: 'Method not allowed',
  network: 'Network not allowed',
};
export const kindName = (kind: string): string => KINDS[kind] ?? kind;

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
