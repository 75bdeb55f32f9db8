// The files of the documentation: found beside the bundle or in the sources, compressed once, named by what is in them.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliCompressSync, constants, gzip, gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Something to send, with its compressed forms. */
export interface Packed {
  readonly type: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

/** Compresses what many will ask for, when the first does. Quality 5: 9 is 5 % smaller and holds up the rest five times as long. */
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
  // What was compressed by the build has no plain form, and nobody who runs it lacks gzip.
  const plain = forms.plain.length > 0 && !/\bgzip\b/.test(accepted);
  const form = /\bbr\b/.test(accepted) ? 'br' : plain ? 'plain' : 'gzip';
  if (form !== 'plain') reply.header('content-encoding', form);
  const vary = [reply.getHeader('vary'), 'accept-encoding'].filter(Boolean).join(', ');
  return reply.type(type).header('vary', vary).send(forms[form]);
}

/** Sends what only one reader gets; compressed beside the event loop. */
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
const holding = (folders: readonly URL[], name: string) => folders.find((folder) => existsSync(new URL(name, folder)));

export function readPageFile(name: string): string {
  const folder = holding(PAGE, name);
  if (!folder) throw new Error(`${name} is missing: run npm run build`);
  return readFileSync(new URL(name, folder), 'utf8');
}

export function readGuide(name: string): string {
  const folder = holding(GUIDES, `${name}.json`);
  if (!folder) throw new Error(`The guide ${name} is missing: run npm run build`);
  return readFileSync(new URL(`${name}.json`, folder), 'utf8');
}

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
