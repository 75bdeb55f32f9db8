// The replay page: sends a content from the browser to a URL of the user, as far as a browser may. Never sees credentials.
import { html, nothing, render } from 'lit-html';
import { resendable } from '../client/content.ts';
import { decode } from './body.ts';
import { base64 } from './curl.ts';
import type { Handover } from './handover.ts';
import { plural, size, visible } from './text.ts';
import { icon } from './view/signs.ts';

/** More headers that a script may not set: the browser writes them itself or leaves them out. */
const FORBIDDEN =
  /^(accept-(charset|encoding)|access-control-.+|cookie2?|date|dnt|origin|permissions-policy|proxy-.+|referer|sec-.+|set-cookie|user-agent|via)$/i;
/** The only headers that a browser sends without asking the target first. */
const SIMPLE = /^(accept|accept-language|content-language)$/i;
const SIMPLE_TYPE = /^(application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\b/i;
const MOST_EDITED = 200_000;
const MOST_ANSWER = 20_000;

interface Answer {
  readonly kind: 'good' | 'bad' | 'hint';
  readonly title: string;
  readonly text: string;
}

const root = document.getElementById('app') as HTMLElement;
let handed: Handover | undefined;
let sendable = new Set<readonly string[]>();
let chosen = new Set<readonly string[]>();
let url = 'http://localhost:3000/hook';
let method = 'POST';
let blind = false;
let edited: string | undefined;
let busy = false;
let answer: Answer | undefined;

function take(given: Handover): void {
  handed = given;
  method = given.method;
  sendable = new Set(resendable(given.headers).filter(([name = '']) => !FORBIDDEN.test(name)));
  chosen = new Set(sendable);
  edited = given.bytes.length <= MOST_EDITED ? decode(given.bytes) : undefined;
  draw();
}

function body(): BodyInit | undefined {
  if (!handed || method === 'GET' || method === 'HEAD') return undefined;
  return edited === undefined || edited === decode(handed.bytes) ? handed.bytes : edited;
}

function headersToSend(): Headers {
  const headers = new Headers();
  for (const header of handed?.headers ?? []) {
    const [name = '', value = ''] = header;
    if (!chosen.has(header)) continue;
    if (blind && !SIMPLE.test(name) && !(name.toLowerCase() === 'content-type' && SIMPLE_TYPE.test(value))) continue;
    headers.append(name, value);
  }
  return headers;
}

async function send(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  busy = true;
  answer = undefined;
  draw();
  const began = performance.now();
  try {
    const sent = body();
    const response = await fetch(url, {
      method,
      headers: headersToSend(),
      ...(sent === undefined ? {} : { body: sent }),
      mode: blind ? 'no-cors' : 'cors',
      credentials: 'omit',
      redirect: 'follow',
      cache: 'no-store',
    });
    const ms = Math.round(performance.now() - began);
    if (response.type === 'opaque')
      answer = {
        kind: 'hint',
        title: `Sent, in ${ms} ms`,
        text: 'The target answered, but the browser hides the answer: look at your application.',
      };
    else {
      const text = (await response.text()).slice(0, MOST_ANSWER);
      answer = {
        kind: response.ok ? 'good' : 'bad',
        title: `${response.status} ${response.statusText} in ${ms} ms`,
        text: text || 'The answer has no body.',
      };
    }
  } catch (error) {
    answer = {
      kind: 'bad',
      title: 'Not sent, or not answered',
      text: `${String(error)}. Nothing listens at this URL, or the target does not allow this page: a browser first asks with OPTIONS, and the target must answer with Access-Control-Allow-Origin: ${location.origin}, -Methods and -Headers. “Blind” sends without asking; “Copy as curl” in the inbox has no such limits.`,
    };
  }
  busy = false;
  draw();
}

function headerChoice(header: readonly string[]) {
  const [name = '', value = ''] = header;
  const never = !sendable.has(header);
  return html`<label class="choice"><input type="checkbox" ?disabled=${never} .checked=${chosen.has(header)}
      @change=${() => {
        if (!chosen.delete(header)) chosen.add(header);
        draw();
      }}><span><code>${visible(name)}: ${visible(value)}</code>${never ? html` <span class="muted fine">the browser does not send this header</span>` : nothing}</span></label>`;
}

function bodyField(given: Handover) {
  if (method === 'GET' || method === 'HEAD')
    return html`<p class="muted inside">A browser sends no body with ${method}.</p>`;
  if (edited === undefined)
    return html`<p class="muted inside">${size(given.bytes.length)}, sent byte for byte. Begins: <code>${base64(given.bytes.subarray(0, 30))}</code> in base64.</p>`;
  return html`<div class="inside"><label for="replay-body">You can change the body; a signature then no longer matches</label>
    <textarea id="replay-body" spellcheck="false" .value=${edited} @input=${(event: Event) => {
      edited = (event.target as HTMLTextAreaElement).value;
    }}></textarea></div>`;
}

function form(given: Handover) {
  const forbidden = given.headers.length - sendable.size;
  return html`<form @submit=${send}>
    <div class="where">
      <div><label for="method">Method</label><input id="method" .value=${method} pattern="[A-Z]+" @change=${(
        event: Event,
      ) => {
        method = (event.target as HTMLInputElement).value;
        draw();
      }}></div>
      <div><label for="url">To</label><input id="url" type="url" required .value=${url} @input=${(event: Event) => {
        url = (event.target as HTMLInputElement).value;
      }}></div>
      <button class="primary" ?disabled=${busy}>${icon('play')} ${busy ? 'Sending…' : 'Send'}</button>
    </div>
    <label class="choice"><input type="checkbox" .checked=${blind} @change=${() => {
      blind = !blind;
      draw();
    }}><span>Blind: send without asking the target first. Only a plain Content-Type goes along, no other header, and the answer stays hidden.</span></label>
    <div role="status">${answer ? html`<div class="callout" data-kind=${answer.kind}>${icon(answer.kind === 'good' ? 'check' : 'warn')}<div><strong>${answer.title}</strong><pre>${visible(answer.text)}</pre></div></div>` : nothing}</div>
    <section class="card" aria-labelledby="body-title"><div class="card-head"><h2 id="body-title">Body</h2><span class="muted">${size(given.bytes.length)}</span></div>${bodyField(given)}</section>
    <section class="card" aria-labelledby="headers-title"><div class="card-head"><h2 id="headers-title">Headers</h2>
      <span class="muted">${forbidden > 0 ? `${plural(forbidden, 'header')} a browser cannot send` : ''}${given.hidden > 0 ? ` · ${plural(given.hidden, 'secret')} left out, not revealed` : ''}</span></div>
      <div class="inside">${given.headers.map(headerChoice)}</div></section>
  </form>`;
}

const page = () => html`<main class="replay">
  <h1>Replay${handed ? ` content ${handed.id}` : ''}</h1>
  <p class="muted">Your browser sends the content, not the service: so it can reach servers that only this machine can reach. A browser writes Host, Origin, User-Agent, Content-Length and Cookie
    itself, sends header names in lower case, and cannot repeat a header line by line. The URL key and your credentials are not on this page.</p>
  ${handed ? form(handed) : html`<p class="callout" data-kind="hint">${icon('warn')}Open this page with “Replay…” on a content in the inbox: the inbox hands the content over.</p>`}
</main>`;

const draw = () => render(page(), root);
addEventListener('message', ({ origin, source, data }) => {
  if (origin === location.origin && source === opener && typeof data === 'object' && !handed) take(data as Handover);
});
draw();
if (opener) (opener as Window).postMessage('replay-ready', location.origin);
