// The head of a request as bytes, the way it came over the wire, and back: kept whole, parsed only on the way out.
import type { IncomingMessage } from 'node:http';

/** Request line and headers, CRLF after each. node:http gives both as one character per byte. `target` if not as received. */
export function encodeHead(request: IncomingMessage, target = request.url ?? '/'): Buffer {
  let head = `${request.method} ${target} HTTP/${request.httpVersion}\r\n`;
  const raw = request.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) head += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return Buffer.from(head, 'latin1');
}

export interface Head {
  readonly method: string;
  /** As received: origin form, or absolute form when it came to another origin than ours. */
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

/** The secret in `/in/{key}`, `/in/{key}/more` or `/in/{key}?query`, and what follows it. */
export function splitTarget(target: string): { readonly key: string; readonly rest: string } | undefined {
  const path = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*/i, '');
  if (!path.startsWith('/in/')) return undefined;
  let end = 4;
  while (end < path.length && path[end] !== '/' && path[end] !== '?') end++;
  return { key: path.slice(4, end), rest: path.slice(end) };
}

/** A target for the log: the key of a webhook is a secret. */
export const maskTarget = (target: string): string => target.replace(/(\/in\/)[^/?]+/, '$1***');

/** What a sender called: PUBLIC_URL and the raw target; of a request to an old URL, that. */
export const publicUrlOf = (target: string, publicUrl: string): string =>
  target.startsWith('/') ? publicUrl + target : target;
