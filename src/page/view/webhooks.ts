// One webhook: its URL, what to do at the provider, how to send to it; and the form that makes a new one.
import { html, nothing } from 'lit-html';
import { type ListedWebhook, SERVICE_URL, sentence } from '../api.ts';
import { narrow } from '../contents.ts';
import { LANGUAGES, type Language, snippet } from '../curl.ts';
import { copy } from '../handover.ts';
import { pollRefusals, refresh } from '../polled.ts';
import { href } from '../routes.ts';
import { api, app, changed, NO_FILTER, put, toast } from '../state.ts';
import { visible } from '../text.ts';
import { icon } from './signs.ts';

let language: Language = 'curl';

/** Webhooks of other applications are tried out there. */
const isOurs = (url: string): boolean => /\/in\/[^/?#]+$/.test(url);

async function test(event: SubmitEvent, wh_id: number): Promise<void> {
  event.preventDefault();
  if (app.tested?.busy) return;
  const type = String(new FormData(event.target as HTMLFormElement).get('type') ?? '').trim();
  const tested: NonNullable<typeof app.tested> = { wh_id, busy: true };
  put(app, { tested });
  try {
    tested.sent = await api().webhooks.test(wh_id, type ? { type } : {});
    // There the content takes the place of what sent it.
    if (tested.sent.content_id && app.route.view === 'contents') toast(tested.sent.detail);
  } catch (error) {
    tested.problem = sentence(error);
  }
  put(tested, { busy: false });
  void pollRefusals();
}

function outcome(wh_id: number) {
  const { sent, problem = '' } = app.tested?.wh_id === wh_id ? app.tested : {};
  const stored = sent?.content_id;
  const kind = stored ? 'good' : 'bad';
  return html`<div role="status">${
    sent || problem
      ? html`<div class="callout" data-kind=${kind}>${icon(stored ? 'check' : 'stop')}<div>
        <p>${visible(sent?.detail ?? problem)}</p>
        ${stored ? html`<p><a href=${href.content(stored)} @click=${() => narrow({ ...NO_FILTER, whid: wh_id })}>Show content ${stored}</a></p>` : nothing}
        ${sent && !stored && sent.status < 500 ? html`<p><a href=${href.refusals}>Show the refusals</a></p>` : nothing}
      </div></div>`
      : nothing
  }</div>`;
}

/** `type`: a usual type of the provider's events; undefined: none can be chosen. */
const testForm = (
  wh_id: number,
  type: string | undefined,
) => html`<form class="try" @submit=${(event: SubmitEvent) => void test(event, wh_id)}>
    <button class="primary" ?disabled=${app.tested?.busy}>Send a test</button>
    ${type === undefined ? nothing : html`<label>of the type <input name="type" maxlength="200" autocomplete="off" spellcheck="false" placeholder=${type}></label>`}
  </form>
  ${outcome(wh_id)}`;

function onTabKey(event: KeyboardEvent): void {
  const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
  if (by === 0) return;
  event.preventDefault();
  language = LANGUAGES[(LANGUAGES.indexOf(language) + by + LANGUAGES.length) % LANGUAGES.length] ?? 'curl';
  changed();
  requestAnimationFrame(() => document.getElementById(`tab-${language}`)?.focus());
}

const copyable = (text: string, what: string) => html`<div class="copyable">
  <pre tabindex="0" aria-label=${what}><code>${text}</code></pre>
  <button class="icon-button" aria-label=${`Copy the ${what}`} title="Copy" @click=${() => copy(text, `The ${what} is`)}>${icon('copy')}</button>
</div>`;

export function send({ wh_id, wh_url }: ListedWebhook, type?: string) {
  const code = snippet(language, wh_url);
  return html`<div class="send">
    <h3>URL</h3>
    ${copyable(wh_url, 'URL')}
    ${isOurs(wh_url) ? testForm(wh_id, type) : nothing}
    <h3>Send from anywhere</h3>
    <div class="tabs" role="tablist" aria-label="Language" @keydown=${onTabKey}>
      ${LANGUAGES.map(
        (
          one,
        ) => html`<button role="tab" id=${`tab-${one}`} aria-selected=${one === language} aria-controls="snippet" tabindex=${one === language ? 0 : -1}
          @click=${() => {
            language = one;
            changed();
          }}>${one}</button>`,
      )}
    </div>
    <div role="tabpanel" id="snippet" aria-labelledby=${`tab-${language}`}>${copyable(code, 'example')}</div>
    <h3>Receive on your machine</h3>
    ${copyable(`restante forward dev \\\n  --url ${SERVICE_URL} \\\n  --to http://localhost:3000/hook`, 'command')}
    <p class="muted fine">With your credentials in the environment: <code>RESTANTE_AUTH=${app.user}:TOKEN</code>. Requests that came while the command was not running are forwarded first.</p>
  </div>`;
}

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
    const made = await api().webhooks.create({
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
      <p class="muted fine">${chosen ? `Every request must be signed as ${chosen.title} signs; a request that fails the check is kept under Refusals.` : 'Anybody who knows the URL can send to it.'}</p>
      ${
        chosen?.secret
          ? html`<label for="new-secret">Secret <span class="muted">(can follow later)</span></label>
            <input id="new-secret" name="secret" type="password" autocomplete="off" aria-describedby="secret-hint">
            <p class="muted fine" id="secret-hint">${chosen.secret} Until the secret is set, requests wait under Refusals; they are judged when it is set.</p>`
          : nothing
      }
      <p class="problem" role="alert">${problem}</p>
      <button class="primary" ?disabled=${busy}>${busy ? 'Making…' : 'Make the webhook'}</button>
    </form>
  </section>`;
}

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
    ${send(webhook, preset?.type ?? (detail?.verify?.event_type && ''))}
  </section>`;
}
