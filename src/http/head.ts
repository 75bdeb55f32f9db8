// The head of a request as the bytes that came over the wire: stored whole, and parsed only when it is read.
import type { IncomingMessage } from 'node:http';

// What RFC 9110, 6.5.1 wants in front of the body: how it is framed and read, for whom it is, who sends it and by which way.
// Here and at the applications that the request is handed on to, such a line would be believed like a header.
const NOT_IN_TRAILERS =
  /^(?:transfer-encoding|content-.*|host|trailer|te|connection|keep-alive|upgrade|expect|max-forwards|range|if-.*|pragma|cache-control|authorization|proxy-.*|cookie|set-cookie|via|forwarded|x-forwarded-.*|x-real-ip)$/;

/**
 * The headers as received, name and value in turn, and after a chunked body its trailers: some senders sign there. A header
 * counts more than a trailer of its name, which is left out.
 */
export function headersOf({
  rawHeaders,
  rawTrailers,
}: Pick<IncomingMessage, 'rawHeaders' | 'rawTrailers'>): readonly string[] {
  if (rawTrailers.length === 0) return rawHeaders;
  const said = new Set(rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
  const all = [...rawHeaders];
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    const [name = '', value = ''] = rawTrailers.slice(i, i + 2);
    const lower = name.toLowerCase();
    if (!said.has(lower) && !NOT_IN_TRAILERS.test(lower)) all.push(name, value);
  }
  return all;
}

/** Request line and headers, CRLF after each. node:http gives both as one character per byte. `target` replaces the received one. */
export function encodeHead(
  request: Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'rawHeaders' | 'rawTrailers'>,
  target = request.url ?? '/',
  raw = headersOf(request),
): Buffer {
  let head = `${request.method} ${target} HTTP/${request.httpVersion}\r\n`;
  for (let i = 0; i < raw.length; i += 2) head += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return Buffer.from(head, 'latin1');
}

export interface Head {
  readonly method: string;
  /** As received: in origin form, or in absolute form when the request was for another origin. */
  readonly target: string;
  readonly headers: [name: string, value: string][];
}

export function decodeHead(head: Buffer): Head {
  const text = head.toString('latin1');
  let from = text.indexOf('\r\n');
  const [method = '', target = ''] = text.slice(0, from).split(' ', 2);
  const headers: [string, string][] = [];
  for (from += 2; from < text.length; ) {
    const end = text.indexOf('\r\n', from);
    const colon = text.indexOf(': ', from);
    headers.push([text.slice(from, colon), text.slice(colon + 2, end)]);
    from = end + 2;
  }
  return { method, target, headers };
}

/** The key in `/in/{key}`, `/in/{key}/more` or `/in/{key}?query`, and the rest of the target. */
export function splitTarget(target: string): { readonly key: string; readonly rest: string } | undefined {
  const path = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*/i, '');
  if (!path.startsWith('/in/')) return undefined;
  let end = 4;
  while (end < path.length && path[end] !== '/' && path[end] !== '?') end++;
  return { key: path.slice(4, end), rest: path.slice(end) };
}

/** A target for the log: the key of a webhook and what follows it are the sender's secrets, and so may be any query. */
export const maskTarget = (target: string): string =>
  target
    .replace(/^[a-z]+:\/\/[^/?]*/i, '')
    .replace(/\?.*/s, '?***')
    .replace(/(\/in\/).*/s, '$1***');

/** The URL that a sender called: PUBLIC_URL and the raw target; or the target alone, when it is absolute. */
export const publicUrlOf = (target: string, publicUrl: string): string =>
  target.startsWith('/') ? publicUrl + target : target;
