// The frame of every page of the documentation: brand, ways to the other pages, sign-in. Works without its script too.
import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { hashedName } from './docsfiles.ts';

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** PUBLIC_URL may carry a path, which a proxy takes off: links of a page need it. */
export const basePath = (config: Config): string => new URL(config.publicUrl).pathname.replace(/\/$/, '');

const TYPES: Readonly<Record<string, string>> = {
  svg: 'image/svg+xml',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
};
/** The operator's logo under a name of its own; undefined: there is none. */
export function readLogo(path: string | undefined): { name: string; bytes: Buffer; type: string } | undefined {
  if (!path) return undefined;
  const bytes = readFileSync(path);
  const end = path.replace(/^.*\./, '').toLowerCase();
  return { name: hashedName(`logo.${end}`, bytes), bytes, type: TYPES[end] ?? 'application/octet-stream' };
}

export interface Frame {
  readonly config: Config;
  readonly style: string;
  readonly script: string;
  /** The name of Scalar's script; undefined: there was no build. */
  readonly scalar: string | undefined;
  readonly logo: string | undefined;
  readonly guides: readonly { readonly name: string; readonly title: string }[];
  readonly inbox: boolean;
}

/** A page: `path` is where it stands below PUBLIC_URL, `main` is HTML. */
export function framed(frame: Frame, path: string, title: string, main: string): string {
  const { config, style, script, scalar, logo, guides, inbox } = frame;
  const base = basePath(config);
  const name = escapeHtml(config.serviceName);
  const link = (to: string, text: string) =>
    `<a href="${base}${to}"${to === path ? ' aria-current="page"' : ''}>${escapeHtml(text)}</a>`;
  const dashboard = config.dashboardUrl
    ? `Your id and token are in <a href="${escapeHtml(config.dashboardUrl)}" rel="noreferrer">your dashboard</a>.`
    : 'Whoever runs this service gave you an id and a token.';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${base}/docs/${style}">${path === '/docs' ? '' : `\n<link rel="alternate" type="text/markdown" href="${base}${path}.md">`}
<script src="${base}/docs/${script}" defer data-base="${base}"${scalar ? ` data-scalar="${scalar}"` : ''}></script></head>
<body>
<a class="skip" href="#main">Skip to the text</a>
<div class="bar" role="region" aria-label="${name}">
<a class="brand" href="${base}/docs">${logo ? `<img src="${base}/docs/${logo}" alt="">` : ''}<span>${name}</span></a>
<nav aria-label="Documentation">${link('/docs', 'Reference')}
<details class="menu"><summary>Guides</summary><div>${guides.map((guide) => link(`/docs/guides/${guide.name}`, guide.title)).join('')}</div></details>
${inbox ? `<a href="${base}/inbox" data-leave>Inbox</a>` : ''}</nav>
<details class="menu signin" hidden><summary>Sign in</summary><div>
<form><p>Every example becomes yours: your id, your webhooks, your contents. ${dashboard}</p>
<label>User id <input name="id" inputmode="numeric" autocomplete="username" required pattern="[1-9][0-9]{0,9}" title="A number"></label>
<label>Token <input name="token" type="password" autocomplete="current-password" required></label>
<button>Sign in</button><p class="hint">Kept in the memory of this tab alone: gone when you close or reload it.</p>
<p class="wrong" role="alert"></p></form>
<div class="signed" hidden><p>Signed in as user <strong></strong>. What you see has your token masked.</p>
<label class="check"><input type="checkbox"> Put my token into what I copy</label><button type="button">Sign out</button></div>
</div></details>
</div>
<div id="main" tabindex="-1">${main}</div>
<p class="toast" role="status"></p>
</body>
</html>
`;
}

/** Where the reference appears; it brings a `main` of its own. */
export const referenceMain = (base: string, built: boolean): string =>
  `<div id="reference">${built ? '' : '<p>The reference is missing here: the service was not built.</p>'}</div><noscript><div class="guide"><p>The reference needs JavaScript. The same as text: <a href="${base}/docs/reference.md">reference.md</a>; the document itself: <a href="${base}/openapi.json">openapi.json</a>. The guides need none.</p></div></noscript>`;
