// The frame of every page of the documentation (brand, links, sign-in; it works without its script), and the files it needs.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliCompressSync, constants, gzip, gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { basePath, type Config } from '../config/config.ts';

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** For files whose name says what is in them. */
export const YEAR = 'public, max-age=31536000, immutable';
export const SAFE = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

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
    : 'The operator of this service gave you an id and a token.';
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

/** The place of the reference, which brings its own `main`. */
export const referenceMain = (base: string, built: boolean): string =>
  `<div id="reference">${built ? '' : '<p>The reference is missing here: the service was not built.</p>'}</div><noscript><div class="guide"><p>The reference needs JavaScript. The same as text: <a href="${base}/docs/reference.md">reference.md</a>; the document itself: <a href="${base}/openapi.json">openapi.json</a>. The guides need none.</p></div></noscript>`;

// Files: beside the bundle or in the sources, compressed once, named by what is in them ------------------------------

/** Something to send, with its compressed forms. */
export interface Packed {
  readonly type: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

/** Compresses for many readers, when the first asks. Quality 5: 9 is 5 % smaller and blocks the event loop five times as long. */
export function pack(text: string | Buffer, type: string): Packed {
  const plain = Buffer.from(text);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  return { type, plain, br: brotliCompressSync(plain, { params }), gzip: gzipSync(plain) };
}

/**
 * Sends the form that the reader understands. Not by @fastify/static: that answers 404 to readers without gzip where only
 * compressed files are, and for files that a later build has replaced; it adds 260 KB and 50 ms of CPU to the start.
 */
export function sendPacked(request: FastifyRequest, reply: FastifyReply, { type, ...forms }: Packed): FastifyReply {
  const accepted = request.headers['accept-encoding'] ?? '';
  // Files compressed by the build have no plain form, and every browser that runs them has gzip.
  const plain = forms.plain.length > 0 && !/\bgzip\b/.test(accepted);
  const form = /\bbr\b/.test(accepted) ? 'br' : plain ? 'plain' : 'gzip';
  if (form !== 'plain') reply.header('content-encoding', form);
  const vary = [reply.getHeader('vary'), 'accept-encoding'].filter(Boolean).join(', ');
  return reply.type(type).header('vary', vary).send(forms[form]);
}

/** Sends a text for one reader; compressed beside the event loop. */
export async function sendOnce(
  request: FastifyRequest,
  reply: FastifyReply,
  type: string,
  text: string,
): Promise<FastifyReply> {
  reply.type(type);
  if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(text);
  return reply.header('content-encoding', 'gzip').send(await promisify(gzip)(text, { level: 4 }));
}

/** `docs.css` as `docs-1f3a….css`: another content has another name, so that it can be kept for a year. */
export function hashedName(name: string, content: string | Buffer): string {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10);
  return name.replace(/(\.\w+)$/, `-${hash}$1`);
}

const urls = (...paths: readonly string[]) => paths.map((path) => new URL(path, import.meta.url));
// Beside the bundle, or where the sources have them.
const PAGE = urls('./assets/docs/', '../page/docs/');
const GUIDES = urls('./assets/docs/', '../../dist/assets/docs/');
const SCALAR = urls('./assets/', '../../dist/assets/');

function readFrom(folders: readonly URL[], name: string, what: string): string {
  const folder = folders.find((one) => existsSync(new URL(name, one)));
  if (!folder) throw new Error(`${what} is missing: run npm run build`);
  return readFileSync(new URL(name, folder), 'utf8');
}
export const readPageFile = (name: string): string => readFrom(PAGE, name, name);
export const readGuide = (name: string): string => readFrom(GUIDES, `${name}.json`, `The guide ${name}`);

/** Scalar's script, compressed by the build. Undefined: there was no build. */
export function findScalar(): { readonly name: string; readonly packed: () => Packed } | undefined {
  for (const folder of SCALAR.filter((one) => existsSync(one))) {
    const name = readdirSync(folder)
      .find((one) => /^scalar-[\w.-]+\.js\.br$/.test(one))
      ?.replace(/\.br$/, '');
    if (!name) continue;
    const read = (end: string) => readFileSync(new URL(name + end, folder));
    let packed: Packed | undefined;
    return {
      name,
      packed() {
        packed ??= { type: 'text/javascript', plain: Buffer.alloc(0), br: read('.br'), gzip: read('.gz') };
        return packed;
      },
    };
  }
  return undefined;
}
