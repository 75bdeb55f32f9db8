// What the check of a request said, as a sign and in words.
import { html, nothing } from 'lit-html';
import { icon } from './icons.ts';

const WORDS: Readonly<Record<string, readonly [string, string]>> = {
  signed: ['Signed', 'The signature matches: it came from the provider, unchanged.'],
  token: ['Token', 'It carried the shared secret. The body is not covered by a signature.'],
  none: ['Not verified', 'Nothing was checked: anybody who knows the URL may have sent it.'],
};

const verdictTitle = (verified: string): string => WORDS[verified]?.[1] ?? '';

export const verdictSign = (verified: string) =>
  verified === 'signed' || verified === 'token'
    ? html`<span class="verdict" data-verified=${verified} title=${WORDS[verified]?.[0] ?? ''}>${icon(verified === 'signed' ? 'shield' : 'key')}<span class="sr">${WORDS[verified]?.[0]}</span></span>`
    : nothing;

export const verdictPill = (verified: string, act: () => void) =>
  html`<button class="pillar" data-verified=${verified} title=${`${verdictTitle(verified)} Show only these.`} @click=${act}>
    ${icon(verified === 'signed' ? 'shield' : verified === 'token' ? 'key' : 'dash')}${WORDS[verified]?.[0] ?? verified}
  </button>`;
