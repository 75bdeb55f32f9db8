// How to send to a webhook: its URL, a test at a press, the same in five languages, and the line that brings it home.
import { html, nothing } from 'lit-html';
import { BASE } from '../api.ts';
import { copy } from '../opened.ts';
import { LANGUAGES, type Language, snippet } from '../snippets.ts';
import { app, changed, toast } from '../state.ts';
import type { Webhook } from '../wire.ts';
import { icon } from './icons.ts';

let language: Language = 'curl';

/** The same webhook at the address this page came from: another origin may not be asked from here. */
const hereOf = (url: string): string | undefined => {
  const [, key] = /\/in\/([^/?#]+)$/.exec(url) ?? [];
  return key && `${BASE}/in/${key}`;
};

async function test(url: string): Promise<void> {
  try {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ hello: 'world', sent_at: new Date().toISOString() });
    const { ok, status } = await fetch(url, { method: 'POST', headers, body, credentials: 'omit' });
    if (ok) toast('The test was sent and stored.');
    else
      toast(
        status === 401
          ? 'The test was refused, for it is not signed: see Refusals.'
          : `The test was answered ${status}.`,
      );
  } catch {
    toast('The service cannot be reached.');
  }
}

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
  <button class="icon-button" aria-label=${`Copy the ${what}`} title="Copy" @click=${() => copy(text, 'It is')}>${icon('copy')}</button>
</div>`;

export function send({ wh_url }: Pick<Webhook, 'wh_url'>) {
  const here = hereOf(wh_url);
  const code = snippet(language, wh_url);
  return html`<div class="send">
    <h3>URL</h3>
    ${copyable(wh_url, 'URL')}
    ${here ? html`<p><button class="primary" @click=${() => test(here)}>Send a test</button></p>` : nothing}
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
    ${copyable(`restante forward dev \\\n  --url ${BASE} \\\n  --to http://localhost:3000/hook`, 'command')}
    <p class="muted fine">With your credentials in the environment: <code>RESTANTE_AUTH=${app.user}:TOKEN</code>. What came while it was not running comes first.</p>
  </div>`;
}
