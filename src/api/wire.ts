// Rows to wire shapes: bytes to text and its encoding, a receipt to `request`, times to ISO.
import { isUtf8 } from 'node:buffer';
import type { FastifyReply } from 'fastify';
import type { Config } from '../config/config.ts';
import { decodeHead, publicUrlOf, splitTarget } from '../http/head.ts';
import type * as schema from '../schema/contents.ts';
import type { ContentRow, Receipt } from '../store/contents.ts';
import type { RefusalRow } from '../store/refusals.ts';
import { fromWindows1252 } from '../store/text.ts';

type Encoded = Pick<schema.Content, 'content' | 'encoding'>;
const asUtf8 = (bytes: Buffer): Encoded => ({ content: bytes.toString('utf8'), encoding: 'utf-8' });
const asWindows1252 = (bytes: Buffer): Encoded => ({ content: fromWindows1252(bytes), encoding: 'windows-1252' });

function encode(bytes: Buffer, ours: boolean, rule: Config['contentEncoding']): Encoded {
  if (!ours && rule === 'windows-1252') return asWindows1252(bytes);
  if (isUtf8(bytes) || (!ours && rule === 'utf-8')) return asUtf8(bytes);
  return ours ? { content: bytes.toString('base64'), encoding: 'base64' } : asWindows1252(bytes);
}

export function contentToWire(row: ContentRow, config: Config): schema.Content {
  const { id, ip, api, dt, wh_id, receipt } = row;
  const { content, encoding } = encode(row.content, receipt !== null, config.contentEncoding);
  const request = receipt?.head ? requestToWire(receipt.head, receipt, config) : null;
  return { id, content, ip, api, dt, wh_id, encoding, request };
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
