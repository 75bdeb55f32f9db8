// A new webhook: a name and a provider; afterwards its URL and the steps to take there.
import { html, nothing } from 'lit-html';
import { sentence } from '../api.ts';
import { narrow } from '../inbox.ts';
import { href } from '../routes.ts';
import { api, app, changed } from '../state.ts';
import { refresh } from '../webhooks.ts';
import type { WebhookDetail } from '../wire.ts';
import { icon } from './icons.ts';

let preset = '';
let problem = '';
let busy = false;

async function submit(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const form = new FormData(event.target as HTMLFormElement);
  const secret = String(form.get('secret') ?? '').trim();
  busy = true;
  problem = '';
  changed();
  try {
    const made = await api().send<WebhookDetail>('POST', '/webhooks', {
      wh_name: String(form.get('name')).trim(),
      ...(preset ? { preset } : {}),
      ...(secret ? { secrets: [secret] } : {}),
    });
    await refresh();
    narrow({ whid: made.wh_id });
    app.detail = made;
    location.hash = href.webhook(made.wh_id);
  } catch (error) {
    problem = sentence(error);
  }
  busy = false;
  changed();
}

export function createView() {
  const chosen = app.about.presets.find(({ name }) => name === preset);
  return html`<section class="whole" aria-labelledby="new-title">
    <a class="back always" href=${href.contents}>${icon('back')}<span>Back</span></a>
    <h2 id="new-title">New webhook</h2>
    <form class="form" @submit=${submit}>
      <label for="new-name">Name</label>
      <input id="new-name" name="name" required maxlength="45" autocomplete="off" placeholder="Payments">
      <label for="new-preset">Provider</label>
      <select id="new-preset" @change=${(event: Event) => {
        preset = (event.target as HTMLSelectElement).value;
        changed();
      }}>
        <option value="">Nothing is checked</option>
        ${app.about.presets.map(({ name, title }) => html`<option value=${name} ?selected=${name === preset}>${title}</option>`)}
      </select>
      <p class="muted fine">${chosen ? `Every request is checked as ${chosen.title} signs it; what fails is kept under Refusals.` : 'Anybody who knows the URL can send to it.'}</p>
      ${
        chosen?.secret
          ? html`<label for="new-secret">Secret <span class="muted">(can follow later)</span></label>
            <input id="new-secret" name="secret" type="password" autocomplete="off" aria-describedby="secret-hint">
            <p class="muted fine" id="secret-hint">${chosen.secret} Until it is set, what comes waits under Refusals and is judged then.</p>`
          : nothing
      }
      <p class="problem" role="alert">${problem}</p>
      <button class="primary" ?disabled=${busy}>${busy ? 'Making…' : 'Make the webhook'}</button>
    </form>
  </section>`;
}
