// GET /inbox: the live page and the replay page, with their script and style from files of our own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { PRESETS } from '../verify/presets/index.ts';
import { escapeHtml, type Packed, SAFE, sendPacked, YEAR } from './frame.ts';

// Hostile bodies are shown here: only our script and style run, and only lit-html makes markup of text.
const csp = (connect: string) =>
  `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src ${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html`;
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript', css: 'text/css; charset=utf-8' };
// Beside the bundle, or in dist/ when run from the sources.
const folders = ['./page/', '../../dist/page/'].map((path) => new URL(path, import.meta.url));
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%234f46e5'/%3E%3Cpath d='M7 17h5l1.5 3h5L20 17h5M7 17l3-7h12l3 7v6H7z' fill='none' stroke='%23fff' stroke-width='2' stroke-linejoin='round'/%3E%3C/svg%3E";

/** Read once, at the start: a build that replaces them later harms no page that is open. */
function readAssets(): ReadonlyMap<string, Packed> {
  const folder = folders.find((url) => existsSync(url));
  const names = folder ? readdirSync(folder).filter((name) => name.endsWith('.gz')) : [];
  return new Map(
    names.map((file) => {
      const name = file.slice(0, -'.gz'.length);
      const read = (end: string) => readFileSync(new URL(name + end, folder));
      const type = TYPES[name.split('.').at(-1) ?? ''] ?? 'text/plain';
      const gzip = read('.gz');
      return [name, { type, plain: gunzipSync(gzip), br: read('.br'), gzip }];
    }),
  );
}

/** JSON inside of a script element: nothing in it may end the element. */
const embed = (value: unknown) => JSON.stringify(value).replaceAll('<', '\\u003c');

const html = (title: string, style: string, script: string, about: object) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title><link rel="icon" href="${ICON}"><link rel="stylesheet" href="${style}"></head>
<body><div id="app"></div><noscript>This page needs JavaScript. The API does not: see the documentation.</noscript>
<script type="application/json" id="about">${embed(about)}</script><script type="module" src="${script}"></script></body>
</html>
`;

export async function serveInbox(
  fastify: FastifyInstance,
  { config, log }: { readonly config: Config; readonly log: Log },
): Promise<void> {
  const assets = readAssets();
  const named = (start: string, end: string) =>
    [...assets.keys()].find((name) => name.startsWith(`${start}-`) && name.endsWith(end)) ?? '';
  if (!named('inbox', '.js')) log.warn({}, '/inbox has no page: run npm run build');
  const about = {
    name: config.serviceName,
    publicUrl: config.publicUrl,
    presets: [...PRESETS.values()].map(({ name, title, secret = '', event_type, sample }) => ({
      name,
      title,
      secret,
      // A usual type of its events; empty where none is known, and left out where it has no types.
      ...(event_type ? { type: sample?.type ?? '' } : {}),
    })),
  };

  /** Links are relative, so that the page also works behind a proxy that serves it below a path. */
  const page = (title: string, start: string, under: string, connect: string) => {
    const make = (to: string) =>
      html(`${title} · ${config.serviceName}`, to + named('style', '.css'), to + named(start, '.js'), about);
    const [usual, slash] = [make(under), make(under === '' ? '../' : '')];
    const policy = csp(connect);
    return async (request: FastifyRequest, reply: FastifyReply) =>
      reply
        .type('text/html; charset=utf-8')
        .headers({
          'content-security-policy': policy,
          ...SAFE,
          'cross-origin-opener-policy': 'same-origin',
          'cross-origin-resource-policy': 'same-origin',
          'cache-control': 'no-cache',
        })
        .send(/\/(\?|$)/.test(request.url) ? slash : usual);
  };
  fastify.get('/inbox', page('Inbox', 'inbox', 'inbox/', "'self'"));
  // The only page that may call other servers, and the only one that never sees credentials.
  fastify.get('/inbox/replay', page('Replay', 'replay', '', 'http: https:'));

  const kept = { 'cache-control': YEAR, 'x-content-type-options': 'nosniff' };
  for (const [name, packed] of assets)
    fastify.get(`/inbox/${name}`, async (request, reply) => sendPacked(request, reply.headers(kept), packed));
}
