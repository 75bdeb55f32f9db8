// Rows to wire shapes: bytes to text and its encoding, a receipt to `request`, times to ISO.
import { isUtf8 } from 'node:buffer';
import type { FastifyReply } from 'fastify';
import type { Config } from '../config/config.ts';
import { decodeHead, publicUrlOf, splitTarget } from '../http/head.ts';
import type * as schema from '../schema/contents.ts';
import type { ContentRow, Receipt } from '../store/contents.ts';
import type { RefusalRow } from '../store/refusals.ts';
import { fromWindows1252 } from '../store/text.ts';
import type { Sliced } from '../verify/slices.ts';

type Encoding = schema.Content['encoding'];

function encodingOf(bytes: Buffer, ours: boolean, rule: Config['contentEncoding']): Encoding {
  if (!ours && rule !== 'auto') return rule;
  if (isUtf8(bytes)) return 'utf-8';
  return ours ? 'base64' : 'windows-1252';
}

const decode = (bytes: Buffer, encoding: Encoding): string =>
  encoding === 'windows-1252' ? fromWindows1252(bytes) : bytes.toString(encoding);

const NOTHING = Buffer.alloc(0);

// Takes 1 ms at most: as JSON each byte may become six.
const PIECE_BYTES = 96 * 1024;

/** Where a piece that begins at `at` ends: no character, and no three bytes that base64 writes together, are torn. */
function cutOf(bytes: Buffer, at: number, encoding: Encoding): number {
  const end = at + PIECE_BYTES;
  if (end >= bytes.length) return bytes.length;
  if (encoding !== 'utf-8') return end;
  let cut = end;
  // A character goes on for three bytes at most.
  while (cut > end - 4 && ((bytes[cut] as number) & 0xc0) === 0x80) cut--;
  return cut > end - 4 ? cut : end;
}

export function contentToWire(row: ContentRow, config: Config): schema.Content {
  const { id, ip, api, dt, wh_id, receipt, unreadable } = row;
  const request = receipt?.head ? requestToWire(receipt.head, receipt, config) : null;
  if (unreadable !== undefined)
    return { id, content: null, ip, api, dt, wh_id, encoding: 'utf-8', request, unreadable };
  const encoding = encodingOf(row.content, receipt !== null, config.contentEncoding);
  const content = decode(row.content, encoding);
  return { id, content, ip, api, dt, wh_id, encoding, request };
}

/**
 * A content as JSON without its closing brace, for members to follow: what `JSON.stringify(contentToWire(…))` makes, in pieces of
 * bytes and giving way after each. For large contents, of which a text in one piece would hold up all others for 100 ms.
 */
export function* contentToJson(row: ContentRow, config: Config): Sliced<Buffer[]> {
  const { content, ...rest } = row;
  const encoding = encodingOf(content, row.receipt !== null, config.contentEncoding);
  const { id, content: _, ...others } = contentToWire({ ...rest, content: NOTHING }, config);
  const pieces = [Buffer.from(`{"id":${id},"content":"`)];
  for (let at = 0; at < content.length; ) {
    const end = cutOf(content, at, encoding);
    pieces.push(Buffer.from(JSON.stringify(decode(content.subarray(at, end), encoding)).slice(1, -1)));
    at = end;
    yield;
  }
  pieces.push(Buffer.from(`",${JSON.stringify({ ...others, encoding }).slice(1, -1)}`));
  return pieces;
}

// Written out, not spread from a smaller object: V8 makes a slow object of that, 10 us instead of 2 for each content.
function requestToWire(head: Buffer, receipt: Receipt, config: Config): schema.Content['request'] {
  const { ip, received_ms, verified, event_id, event_type, duplicate_of, released_from } = receipt;
  const { method, target, headers } = decodeHead(head);
  return {
    method,
    url: urlOf(target),
    public_url: publicUrlOf(target, config.publicUrl),
    headers,
    ip,
    received_at: new Date(received_ms).toISOString(),
    verified,
    event_id,
    event_type,
    duplicate_of,
    released_from,
  };
}

export function refusalToWire(row: RefusalRow, config: Config): schema.Refusal {
  const { id, wh_id, kind, reason, near_miss, size, ip, released_as } = row;
  const { method, target, headers } = decodeHead(row.head);
  const received_at = new Date(row.received_ms).toISOString();
  const request = {
    method,
    url: urlOf(target),
    public_url: publicUrlOf(target, config.publicUrl),
    headers,
    ip,
    received_at,
  };
  return { id, wh_id, kind, reason, near_miss, size, request, released_as };
}

export const bytesAnswer = {
  200: { type: 'application/octet-stream', description: 'The bytes as they were received' },
};
/** As a file to be saved: a browser must not show what a stranger sent. */
export const sendBytes = (reply: FastifyReply, name: string, bytes: Buffer): FastifyReply =>
  reply
    .type('application/octet-stream')
    .header('content-disposition', `attachment; filename="${name}"`)
    .header('content-security-policy', "sandbox; default-src 'none'")
    .send(bytes);

/** What followed the key; of a request to an old URL, what followed its origin. */
const urlOf = (target: string): string => splitTarget(target)?.rest ?? target.replace(/^https?:\/\/[^/?#]*/i, '');
