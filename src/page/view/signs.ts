// The icons of the page, drawn as lines in the colour of their text, and a request's verdict as an icon or a button.
import { html, nothing, svg } from 'lit-html';

const PATHS = {
  check: 'M3 8.5l3.2 3.2L13 4.8',
  shield: 'M8 1.8l5 1.9v3.8c0 3.2-2 5.6-5 6.7-3-1.1-5-3.5-5-6.7V3.7zM5.6 8l1.8 1.8 3.2-3.4',
  key: 'M9.2 6.8a3 3 0 1 0-2-2 3 3 0 0 0 2 2zM7.6 7.2L2.5 12.3v1.4h2v-1.5h1.5v-1.5h1.4l1.2-1.2',
  dash: 'M4 8h8',
  warn: 'M8 2.2l6.2 11H1.8zM8 6.4v3.2M8 11.4v.2',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  down: 'M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M2.8 13.5h10.4',
  link: 'M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7l-.8.8M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9a2.6 2.6 0 0 0 3.7 3.7l.8-.8',
  again: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v2.9h-2.9',
  play: 'M4.5 3l8 5-8 5z',
  back: 'M9.8 3.2L5 8l4.8 4.8',
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4l3.1 3.1',
  filter: 'M2.5 4h11M4.5 8h7M6.5 12h3',
  eye: 'M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z',
  inbox: 'M1.8 9h3.6l1 1.8h3.2l1-1.8h3.6M1.8 9l2-6h8.4l2 6v4H1.8z',
  stop: 'M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM3.7 3.7l8.6 8.6',
  people: 'M2.5 3.5h11M2.5 8h11M2.5 12.5h7',
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
} as const;
export type Icon = keyof typeof PATHS;

export const icon = (name: Icon) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${svg`<path d=${PATHS[name]}></path>`}</svg>`;

const WORDS: Readonly<Record<string, readonly [string, string]>> = {
  signed: ['Signed', 'The signature matches: the request came from the provider, unchanged.'],
  token: ['Token', 'The request carried the shared secret. No signature covers the body.'],
  none: ['Not verified', 'Nothing was checked: anybody who knows the URL may have sent the request.'],
};

export const verdictSign = (verified: string) =>
  verified === 'signed' || verified === 'token'
    ? html`<span class="verdict" data-verified=${verified} title=${WORDS[verified]?.[0] ?? ''}>${icon(verified === 'signed' ? 'shield' : 'key')}<span class="sr">${WORDS[verified]?.[0]}</span></span>`
    : nothing;

export const verdictPill = (verified: string, act: () => void) =>
  html`<button class="pillar" data-verified=${verified} title=${`${WORDS[verified]?.[1] ?? ''} Show only these.`} @click=${act}>
    ${icon(verified === 'signed' ? 'shield' : verified === 'token' ? 'key' : 'dash')}${WORDS[verified]?.[0] ?? verified}
  </button>`;
