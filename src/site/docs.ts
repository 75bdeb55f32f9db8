// The documentation: /docs and its guides, /openapi.json, llms.txt; with neutral examples, or with those of its reader.
import type { FastifyInstance } from 'fastify';
import type { Auth } from '../api/auth.ts';
import { apiDocument } from '../api/openapi.ts';
import { noSuchRoute } from '../api/problems.ts';
import type { Route } from '../api/route.ts';
import { basePath } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { introduction, llmsText, referenceText } from './docs-text.ts';
import {
  CSP,
  escapeHtml,
  type Frame,
  findScalar,
  framed,
  hashedName,
  type Packed,
  pack,
  readLogo,
  readPageFile,
  referenceMain,
  SAFE,
  sendOnce,
  sendPacked,
  YEAR,
} from './frame.ts';
import { type Guide, guideToHtml, guideToMarkdown, type Reader, readGuides } from './guides.ts';
import { type Document, MASK, type Mine, type MineParts, mineOf, nobody, personalised } from './samples.ts';

const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const MARKDOWN = 'text/markdown; charset=utf-8';
// An SVG may hold scripts and styles, which must not run when it is opened alone.
const IMAGE = {
  ...SAFE,
  'cache-control': YEAR,
  'content-security-policy': "sandbox; default-src 'none'; style-src 'unsafe-inline'",
};

export interface DocsParts extends MineParts {
  readonly log: Log;
  readonly auth: Pick<Auth, 'check'>;
  /** The calls that are documented. */
  readonly routes: readonly Route[];
}

/** Serves the documentation. */
export async function serveDocs(fastify: FastifyInstance, parts: DocsParts): Promise<void> {
  const { config, log, auth, routes } = parts;
  const { serviceName, publicUrl } = config;
  const base = basePath(config);
  const scalar = findScalar();
  if (!scalar) log.warn({}, '/docs has no reference: run npm run build');
  const logo = readLogo(config.serviceLogo);
  const guides = readGuides();
  const readerOf = (mine: Mine): Reader => ({ mine, routes, publicUrl, base });
  const neutral = readerOf(nobody(publicUrl));

  const assets = new Map<string, () => Packed>();
  const asset = (name: string, type: string, ...more: readonly string[]): string => {
    const content = [...more, name].map(readPageFile).join('\n');
    const packed = pack(content, type);
    const hashed = hashedName(name, content);
    assets.set(hashed, () => packed);
    return hashed;
  };
  const [style, script] = [asset('docs.css', 'text/css'), asset('docs.js', 'text/javascript', 'code.js')];
  if (scalar) assets.set(scalar.name, scalar.packed);
  const frame = (): Frame => {
    const inbox = fastify.hasRoute({ method: 'GET', url: '/inbox' });
    return { config, style, script, scalar: scalar?.name, logo: logo?.name, guides, inbox };
  };

  /** Serves what `make` makes: once, compressed, for readers without credentials; for others made anew and kept nowhere. */
  function serve(path: string, type: string, make: (reader: Reader) => string, personal = true): void {
    let packed: Packed | undefined;
    fastify.get(path, async (request, reply) => {
      reply.headers(SAFE).header('cache-control', 'no-cache');
      if (personal) reply.header('vary', 'authorization');
      if (type === HTML) reply.header('content-security-policy', CSP);
      if (!personal || request.headers.authorization === undefined) {
        packed ??= pack(make(neutral), type);
        return sendPacked(request, reply, packed);
      }
      reply.header('cache-control', 'no-store');
      const mine = await mineOf(parts, await auth.check(request.raw));
      const text = withoutToken(make(readerOf(mine)), request.headers.authorization);
      return sendOnce(request, reply, type, text);
    });
  }

  let whole: Document | undefined;
  const plain = (): Document => {
    whole ??= apiDocument(config, routes) as unknown as Document;
    return whole;
  };
  const shown = ({ mine }: Reader): string => {
    const made = personalised(plain(), routes, mine, publicUrl);
    made.info.description = introduction(config, guides, mine);
    return JSON.stringify(made);
  };
  const page = (path: string, title: string, main: string) => framed(frame(), path, title, main);
  const guidePage = (guide: Guide, at: number) => (reader: Reader) =>
    page(
      `/docs/guides/${guide.name}`,
      `${guide.title} · ${serviceName}`,
      `<main class="guide">${guideToHtml(guide, reader)}${around(guides, at, base)}</main>`,
    );

  // For programs; the second for the page, with samples in four languages and what is its reader's.
  serve('/openapi.json', JSON_TYPE, () => JSON.stringify(plain()), false);
  serve('/docs/openapi.json', JSON_TYPE, shown);
  serve('/docs', HTML, () => page('/docs', serviceName, referenceMain(base, scalar !== undefined)), false);
  serve('/docs/reference.md', MARKDOWN, (reader) => referenceText(serviceName, reader));
  const llms = () => llmsText(serviceName, config.serviceText, guides, publicUrl);
  serve('/llms.txt', 'text/plain; charset=utf-8', llms, false);
  for (const [at, guide] of guides.entries()) {
    serve(`/docs/guides/${guide.name}`, HTML, guidePage(guide, at));
    serve(`/docs/guides/${guide.name}.md`, MARKDOWN, (reader) => guideToMarkdown(guide, reader));
  }
  fastify.get('/docs/guides', async (_request, reply) => reply.redirect(`${base}/docs/guides/${guides[0]?.name}`));
  if (logo)
    fastify.get(`/docs/${logo.name}`, async (_request, reply) => reply.headers(IMAGE).type(logo.type).send(logo.bytes));
  fastify.get('/docs/:asset', async (request, reply) => {
    const packed = assets.get((request.params as { asset: string }).asset);
    if (!packed) throw noSuchRoute(request);
    return sendPacked(request, reply.headers(SAFE).header('cache-control', YEAR), packed());
  });
}

/** The pages before and after. */
function around(guides: readonly Guide[], at: number, base: string): string {
  const link = (guide: Guide | undefined, rel: string, text: string) =>
    guide
      ? `<a rel="${rel}" href="${base}/docs/guides/${guide.name}"><small>${text}</small>${escapeHtml(guide.title)}</a>`
      : '<span></span>';
  return `<nav class="around" aria-label="Guides">${link(guides[at - 1], 'prev', 'Before')}${link(guides[at + 1], 'next', 'Next')}</nav><p class="plain"><a href="${base}/docs/guides/${guides[at]?.name}.md">This page as Markdown</a></p>`;
}

const LONG_ENOUGH = 8;
/** A document never tells the token that it was asked with, even if the user has stored it in a content. */
function withoutToken(text: string, authorization: string): string {
  const token = Buffer.from(authorization.replace(/^basic +/i, ''), 'base64')
    .toString()
    .replace(/^\d+:/, '');
  return token.length < LONG_ENOUGH ? text : text.replaceAll(token, MASK);
}
