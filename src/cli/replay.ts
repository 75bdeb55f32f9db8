// Sends a content to a target as the identical request: method, path, raw query, headers in order, bytes.
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import type { Content } from '../client/index.ts';

export type Sent =
  | { readonly status: number; readonly ms: number }
  /** `down`: nobody listens there, or it went away; the content itself is not to blame. */
  | { readonly failed: string; readonly down: boolean; readonly ms: number };

// What belongs to one connection, and what the length and the name of the target replace.
const OWN = new Set([
  'host',
  'content-length',
  'expect',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
]);
const DOWN = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);

/** The path at the target: what followed the webhook's key is appended to the target's own path. */
function pathAt(target: URL, url: string): string {
  const base = target.pathname.replace(/\/$/, '');
  return `${base}${url}`.replace(/^(?!\/)/, '/');
}

/** Headers as node:http takes them, flat. `attempt`: 1 the first time. */
function headersFor(target: URL, content: Content, attempt: number, length: number): string[] {
  const sent = content.request?.headers ?? [['Content-Type', 'application/octet-stream']];
  const named = sent.flatMap(([name = '', value = '']) =>
    name.toLowerCase() === 'connection' ? value.toLowerCase().split(/\s*,\s*/) : [],
  );
  const kept = sent.filter(([name = '']) => !OWN.has(name.toLowerCase()) && !named.includes(name.toLowerCase()));
  return [
    'Host',
    target.host,
    ...kept.flatMap(([name = '', value = '']) => [name, value]),
    'X-Restante-Id',
    String(content.id),
    'X-Restante-Attempt',
    String(attempt),
    'X-Restante-Webhook',
    String(content.wh_id),
    ...(content.request ? ['X-Restante-Url', content.request.public_url] : []),
    'Content-Length',
    String(length),
    'Connection',
    'keep-alive',
  ];
}

/** One request. Never rejects; the answer's body is read and forgotten. */
export function replay(target: URL, content: Content, attempt: number, timeoutMs: number): Promise<Sent> {
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  const body = content.bytes();
  const send = target.protocol === 'https:' ? overHttps : overHttp;
  return new Promise((resolve) => {
    const fail = (failed: string, down: boolean) => resolve({ failed, down, ms: ms() });
    let late = false;
    try {
      const request = send(
        {
          hostname: target.hostname.replace(/^\[|\]$/g, ''),
          port: target.port,
          method: content.request?.method ?? 'POST',
          path: pathAt(target, content.request?.url ?? ''),
          headers: headersFor(target, content, attempt, body.length),
          timeout: timeoutMs,
        },
        (response) => {
          response.on('error', () => {});
          response.on('end', () => resolve({ status: response.statusCode ?? 0, ms: ms() }));
          response.on('close', () => fail('the target closed the connection in its answer', false));
          response.resume();
        },
      );
      request.on('timeout', () => {
        late = true;
        request.destroy();
      });
      request.on('error', (error: NodeJS.ErrnoException) =>
        late ? fail(`no answer within ${timeoutMs / 1000} s`, false) : fail(error.message, DOWN.has(error.code ?? '')),
      );
      request.end(body);
    } catch (error) {
      // A path or a header that node:http will not send: it fails each time, and becomes a dead letter.
      fail((error as Error).message, false);
    }
  });
}
