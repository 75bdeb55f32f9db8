// One webhook: its URL, what to do at the provider, and how to send to it.
import { html, nothing } from 'lit-html';
import { narrow } from '../inbox.ts';
import { href } from '../routes.ts';
import { app } from '../state.ts';
import { icon } from './icons.ts';
import { send } from './send.ts';

export function webhookView(id: number) {
  const detail = app.detail?.wh_id === id ? app.detail : undefined;
  const webhook = detail ?? app.webhooks.find(({ wh_id }) => wh_id === id);
  if (!webhook)
    return html`<section class="whole" aria-label="Webhook"><a class="back always" href=${href.contents}>${icon('back')}<span>Back</span></a><p class="muted">You have no webhook ${id}.</p></section>`;
  const preset = app.about.presets.find(({ name }) => name === detail?.preset);
  return html`<section class="whole" aria-labelledby="hook-title">
    <a class="back always" href=${href.contents} @click=${() => narrow({ whid: id })}>${icon('back')}<span>Its contents</span></a>
    <h2 id="hook-title">${webhook.wh_name}</h2>
    <p class="sub"><span>Webhook ${id}</span>${preset ? html`<span>${preset.title}</span>` : nothing}
      ${detail?.enabled === false ? html`<span class="tag">switched off</span>` : nothing}
      ${detail ? html`<span>${detail.secrets.length === 0 ? 'no secret' : detail.secrets.map(({ last4 }) => `secret …${last4}`).join(', ')}</span>` : nothing}</p>
    ${detail?.hint ? html`<div class="callout" data-kind="hint">${icon('warn')}<p>${detail.hint}</p></div>` : nothing}
    ${detail?.steps ? html`<h3>At ${preset?.title ?? 'the provider'}</h3><ol class="steps">${detail.steps.map((step) => html`<li>${step}</li>`)}</ol>` : nothing}
    ${send(webhook)}
  </section>`;
}
