// A request as received: its headers in their order, and its body laid out by its kind, as text, or in hex.
import { html, nothing } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { type Body, type CodeLine, type Field, type FormPart, type HeaderList, hexText, type Pretty } from '../body.ts';
import { narrow } from '../contents.ts';
import { isSecret } from '../curl.ts';
import { copy, save } from '../handover.ts';
import { type BodyTab, put } from '../state.ts';
import { count, plural, size, visible } from '../text.ts';
import { icon } from './signs.ts';

export function headersView(headers: HeaderList, open: { revealed: boolean }) {
  const secrets = headers.filter(([name = '']) => isSecret(name)).length;
  const reveal = () => put(open, { revealed: !open.revealed });
  return html`<section class="card" aria-labelledby="headers-title">
    <div class="card-head"><h3 id="headers-title">Headers</h3><span class="muted">${headers.length}</span><span class="grow"></span>
      ${secrets > 0 ? html`<button class="quiet" aria-pressed=${open.revealed} @click=${reveal}>${icon('eye')} ${open.revealed ? 'Hide' : 'Reveal'} ${plural(secrets, 'secret')}</button>` : nothing}
    </div>
    <table class="pairs" aria-label="Headers in the order of the request"><tbody>
      ${headers.map(
        ([name = '', value = '']) => html`<tr>
          <th scope="row">${visible(name)}</th>
          <td dir="ltr">${isSecret(name) && !open.revealed ? html`<span class="redacted">••••••••<span class="sr"> hidden</span></span>` : visible(value)}</td>
        </tr>`,
      )}
    </tbody></table>
  </section>`;
}

const CHUNK = 200;
const CHUNKS = 5;
// Deeper nesting would push the text out of the page.
const MOST_DEPTH = 24;

function onClick(event: MouseEvent): void {
  const raw = (event.target as HTMLElement).dataset?.raw;
  // A click that ends a selection of text does not filter.
  if (raw && getSelection()?.isCollapsed) narrow({ q: raw });
}

const lineView = ({ depth, parts }: CodeLine) =>
  html`<div class="line" .style=${depth > 0 ? `padding-left:${Math.min(depth, MOST_DEPTH) * 1.25 + 1}rem` : ''}>${parts.map(
    ({ kind, text, raw }) =>
      kind === ''
        ? visible(text)
        : raw === undefined
          ? html`<span class=${kind}>${visible(text)}</span>`
          : html`<span class=${kind} data-raw=${raw} title="Filter by this value">${visible(text)}</span>`,
  )}</div>`;

const more = (open: { shown: number }, left: string) =>
  html`<button class="wide" @click=${() => put(open, { shown: open.shown + 1 })}>Show more: ${left}</button>`;

/** `shown`: how many chunks of lines the user has asked for. */
function codeView(lines: readonly CodeLine[], open: { shown: number }, label: string) {
  const until = Math.min(open.shown * CHUNK * CHUNKS, lines.length);
  const chunks: CodeLine[][] = [];
  for (let from = 0; from < until; from += CHUNK) chunks.push(lines.slice(from, Math.min(from + CHUNK, until)));
  return html`<div class="code" dir="ltr" tabindex="0" role="region" aria-label=${label} @click=${onClick}>
      ${guard([lines, until], () => chunks.map((chunk) => html`<div class="chunk">${chunk.map(lineView)}</div>`))}
    </div>
    ${until < lines.length ? more(open, `${count(lines.length - until)} lines`) : nothing}`;
}

interface Shown {
  tab: BodyTab;
  shown: number;
}
const HEX_LINES = 256;
const MOST_TEXT = 2_000;
const NAMES: Readonly<Record<Pretty['kind'], string>> = { json: 'JSON', xml: 'XML', form: 'Form', multipart: 'Parts' };

const field = ({ name, value, raw }: Field) => html`<tr>
  <th scope="row">${visible(name)}</th>
  <td>${value === '' ? html`<span class="muted">empty</span>` : html`<button class="value" title="Filter by this value" @click=${() => narrow({ q: raw.slice(0, 1_000) })}>${visible(value.slice(0, MOST_TEXT))}</button>`}</td>
</tr>`;

function preview({ bytes, filename, type }: FormPart): string {
  if (filename || bytes.length > MOST_TEXT || /^(image|audio|video)\//.test(type)) return '';
  const text = new TextDecoder().decode(bytes);
  return text.includes('\ufffd') ? '' : text;
}

const partsView = (parts: readonly FormPart[]) => html`<ul class="parts">
  ${parts.map((part, i) => {
    const text = preview(part);
    const name = part.filename.split(/[/\\]/).at(-1) || part.name || `part-${i + 1}`;
    return html`<li>
      <div class="row"><strong>${visible(part.name) || `Part ${i + 1}`}</strong>
        <span class="muted">${[part.filename && visible(part.filename), visible(part.type), size(part.bytes.length)].filter(Boolean).join(' · ')}</span>
        <button class="quiet" @click=${() => save(part.bytes.slice(), name)}>${icon('down')} Download<span class="sr"> ${visible(name)}</span></button></div>
      ${text ? html`<pre dir="ltr">${visible(text)}</pre>` : nothing}
    </li>`;
  })}
</ul>`;

function prettyView(pretty: Pretty, open: Shown) {
  if (pretty.kind === 'form')
    return html`<table class="pairs" aria-label="Fields of the form"><tbody>${pretty.fields.map(field)}</tbody></table>`;
  if (pretty.kind === 'multipart') return partsView(pretty.parts);
  return codeView(pretty.lines, open, `Body as ${NAMES[pretty.kind]}`);
}

function hexView(body: Body, open: Shown) {
  const lines = open.shown * HEX_LINES;
  return html`<div class="code hex" dir="ltr" tabindex="0" role="region" aria-label="Body in hex">
      ${guard([body, lines], () => html`<pre>${hexText(body.bytes(), lines)}</pre>`)}
    </div>
    ${lines * 16 < body.size ? more(open, size(body.size - lines * 16)) : nothing}`;
}

function tabs(open: Shown, names: readonly (readonly [BodyTab, string])[], now: BodyTab) {
  return html`<div class="segments" role="group" aria-label="Show the body as">
    ${names.map(
      ([tab, name]) =>
        html`<button aria-pressed=${tab === now} @click=${() => put(open, { tab, shown: 1 })}>${name}</button>`,
    )}
  </div>`;
}

export function bodyView(body: Body | undefined, open: Shown, absent: string, download: () => void) {
  if (!body)
    return html`<section class="card"><div class="card-head"><h3>Body</h3></div><p class="muted pad">${absent}</p></section>`;
  const text = body.text();
  const pretty = body.pretty();
  const names: (readonly [BodyTab, string])[] = [
    ...(pretty ? [['pretty', NAMES[pretty.kind]] as const] : []),
    ...(text === undefined ? [] : [['text', 'Text'] as const]),
    ['hex', 'Hex'],
  ];
  const now = names.some(([tab]) => tab === open.tab) ? open.tab : (names[0]?.[0] ?? 'hex');
  return html`<section class="card" aria-labelledby="body-title">
    <div class="card-head"><h3 id="body-title">Body</h3>
      <span class="muted">${[visible(body.type) || 'no Content-Type', size(body.size)].join(' · ')}</span>
      <span class="grow"></span>
      ${body.size > 0 ? tabs(open, names, now) : nothing}
      ${text === undefined || body.size > 1_000_000 ? nothing : html`<button class="icon-button" aria-label="Copy the body" title="Copy" @click=${() => copy(text, 'The body is')}>${icon('copy')}</button>`}
      ${body.size > 0 ? html`<button class="icon-button" aria-label="Download the exact bytes" title=${`Download: ${plural(body.size, 'byte')}, exactly as received`} @click=${download}>${icon('down')}</button>` : nothing}
    </div>
    ${
      body.size === 0
        ? html`<p class="muted pad">The request has no body.</p>`
        : now === 'pretty' && pretty
          ? prettyView(pretty, open)
          : now === 'text'
            ? codeView(body.lines(), open, 'Body as text')
            : hexView(body, open)
    }
  </section>`;
}
