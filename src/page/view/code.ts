// Lines of a body, two hundred at a time: the browser lays out only those in sight, and a click on a value filters by it.
import { html, nothing } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import type { Line } from '../body/code.ts';
import { narrow } from '../inbox.ts';
import { changed } from '../state.ts';
import { visible } from '../visible.ts';

const CHUNK = 200;
const CHUNKS = 5;
// Deeper nesting would push the text out of the page.
const MOST_DEPTH = 24;

function onClick(event: MouseEvent): void {
  const raw = (event.target as HTMLElement).dataset?.raw;
  // Who selects text does not want to filter.
  if (raw && getSelection()?.isCollapsed) narrow({ q: raw });
}

const lineView = ({ depth, parts }: Line) =>
  html`<div class="line" .style=${depth > 0 ? `padding-left:${Math.min(depth, MOST_DEPTH) * 1.25 + 1}rem` : ''}>${parts.map(
    ({ kind, text, raw }) =>
      kind === ''
        ? visible(text)
        : raw === undefined
          ? html`<span class=${kind}>${visible(text)}</span>`
          : html`<span class=${kind} data-raw=${raw} title="Filter by this value">${visible(text)}</span>`,
  )}</div>`;

/** `shown`: how many times it was asked for more. */
export function codeView(lines: readonly Line[], open: { shown: number }, label: string) {
  const until = Math.min(open.shown * CHUNK * CHUNKS, lines.length);
  const chunks: Line[][] = [];
  for (let from = 0; from < until; from += CHUNK) chunks.push(lines.slice(from, Math.min(from + CHUNK, until)));
  return html`<div class="code" dir="ltr" tabindex="0" role="region" aria-label=${label} @click=${onClick}>
      ${guard([lines, until], () => chunks.map((chunk) => html`<div class="chunk">${chunk.map(lineView)}</div>`))}
    </div>
    ${
      until < lines.length
        ? html`<button class="wide" @click=${() => {
            open.shown++;
            changed();
          }}>Show more: ${(lines.length - until).toLocaleString('en')} lines</button>`
        : nothing
    }`;
}
