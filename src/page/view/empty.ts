// What is shown where nothing is: why, and what to do about it.
import { html, nothing } from 'lit-html';
import { narrow } from '../inbox.ts';
import { href } from '../routes.ts';
import { narrowed } from '../rows.ts';
import { app, NO_FILTER } from '../state.ts';
import { icon } from './icons.ts';
import { send } from './send.ts';

export function empty() {
  if (narrowed(app.filter))
    return html`<div class="empty"><h3>Nothing matches</h3>
      <p class="muted">No content passes these filters. What comes later and passes them appears here.</p>
      <button @click=${() => narrow({ ...NO_FILTER, whid: app.filter.whid })}>Clear the filters</button></div>`;
  const webhook = app.webhooks.find(({ wh_id }) => app.filter.whid === 'all' || wh_id === app.filter.whid);
  if (!webhook)
    return html`<div class="empty"><p class="mark">${icon('inbox')}</p><h2>No webhook yet</h2>
      <p class="muted">A webhook is a public URL that keeps everything it is sent.</p>
      ${app.extended ? html`<a class="button primary" href=${href.new}>Make a webhook</a>` : nothing}</div>`;
  return html`<div class="empty"><p class="mark">${icon('inbox')}</p>
    <h2>Waiting for the first webhook</h2>
    <p class="muted">Whatever is sent to <strong>${webhook.wh_name}</strong> appears here at once.</p>
    ${send(webhook)}</div>`;
}
