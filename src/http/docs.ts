// GET /docs and /openapi.json: the API document and Scalar, which shows it, from files of our own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import type { Context } from './context.ts';

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const YEAR = 'public, max-age=31536000, immutable';
// Beside the bundle, or in dist/ when run from the sources.
const folders = ['./assets/', '../../dist/assets/'].map((path) => new URL(path, import.meta.url));

const page = (title: string, base: string, script: string) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>${title}</title></head>
<body><div id="app"></div><noscript>This page needs JavaScript. The document itself is at <a href="${base}/openapi.json">openapi.json</a>.</noscript>
<script src="${base}/docs/${script}"></script><script src="${base}/docs/setup.js"></script></body>
</html>
`;
// No request may leave the machine: no fonts, no telemetry, no agent, no proxy.
const setup = (base: string) => `Scalar.createApiReference('#app', {
  url: '${base}/openapi.json', servers: [{ url: location.origin + '${base}' }], defaultOpenAllTags: true,
  withDefaultFonts: false, telemetry: false, hideClientButton: true, showDeveloperTools: 'never',
  agent: { disabled: true }, mcp: { disabled: true }, persistAuth: false,
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' }, authentication: { preferredSecurityScheme: 'basic' },
});
`;

/** PUBLIC_URL may carry a path, which a proxy takes off: links of a page need it. */
export const basePath = (config: Context['config']): string => new URL(config.publicUrl).pathname.replace(/\/$/, '');
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

export async function serveDocs(fastify: FastifyInstance, { config, log }: Context): Promise<void> {
  const folder = folders.find((url) => existsSync(url));
  const files = folder ? readdirSync(folder) : [];
  const script = files.find((name) => /^scalar-[\w.-]+\.js\.br$/.test(name))?.replace(/\.br$/, '');
  if (!folder || !script) log.warn({}, '/docs has no page: run npm run build');
  const base = basePath(config);
  const hidden = { schema: { hide: true } };

  fastify.get('/openapi.json', hidden, async (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(fastify.swagger()),
  );
  fastify.get('/docs', hidden, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .headers({
        'content-security-policy': CSP,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      })
      .send(page(escapeHtml(config.serviceName), base, script ?? '')),
  );
  fastify.get('/docs/setup.js', hidden, async (_request, reply) =>
    reply.type('text/javascript').header('cache-control', 'no-cache').send(setup(base)),
  );
  if (!folder || !script) return;
  fastify.get(`/docs/${script}`, hidden, async (request, reply) => {
    const kind = /\bbr\b/.test(request.headers['accept-encoding'] ?? '') ? 'br' : 'gz';
    const encoding = kind === 'br' ? 'br' : 'gzip';
    return reply
      .type('text/javascript')
      .headers({
        'content-encoding': encoding,
        'cache-control': YEAR,
        vary: 'accept-encoding',
        'x-content-type-options': 'nosniff',
      })
      .send(readFileSync(new URL(`${script}.${kind}`, folder)));
  });
}
