// Sends a content to a target as the identical request: method, path, raw query, headers in order, bytes.
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { resendable } from '../../client/content.ts';
import type { Content } from '../../client/index.ts';

export type Sent =
  | { readonly status: number; readonly ms: number; readonly said: string }
  /**
   * `away`: there was no connection, the content is not to blame. `cut`: the connection broke before the answer, for an unknown
   * reason. `bad`: the target is there and took too long over this content. `never`: it cannot be sent, today or later.
   */
  | { readonly failed: string; readonly why: 'away' | 'cut' | 'bad' | 'never'; readonly ms: number };

const CLIMBS =
  'not sent: its path has a "..", by which it could leave the path of --to. Use --path-as-is if your target is safe from that';

// Headers that only the agent may set.
const OURS = /^x-restante-(id|attempt|webhook|url)$/i;

const DOT = /%(?:25)*(?:2e|c0%ae|e0%80%ae|u002e)/gi;
const SLASH = /\\|%(?:25)*(?:2f|5c|c0%af|e0%80%af|u002f|u005c)/gi;

/**
 * Whether a path has a segment `..`, in any of the spellings by which servers have been led out of a folder: encoded once or
 * more, with a backslash, in overlong UTF-8, with a parameter (`..;a=b`, as Java servers cut it off) or a byte that ends it.
 */
function climbs(url: string): boolean {
  const [path = ''] = url.split('?', 1);
  const plain = path.replace(DOT, '.').replace(SLASH, '/');
  return plain
    .split('/')
    .some((segment) => /^\s*\.\.\s*$/.test(segment.replace(/(;|%(?:25)*(?:3b|00|20|09)).*$/is, '')));
}

/** The path at the target: what followed the webhook's key is appended to the target's own path. */
function pathAt(target: URL, url: string): string {
  return (url.startsWith('/') ? target.pathname.replace(/\/$/, '') : target.pathname) + url;
}

/** Headers as node:http takes them, flat. `attempt`: 1 the first time. */
function headersFor(target: URL, content: Content, attempt: number, length: number): string[] {
  const sent = content.request?.headers ?? [['Content-Type', 'application/octet-stream']];
  const kept = resendable(sent).filter(([name = '']) => !OURS.test(name));
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

export interface ReplayOptions {
  readonly timeoutMs: number;
  /** Sends a path with `..` as it came: the target decides what it means. */
  readonly pathAsIs: boolean;
}

// Of an answer so much is kept, to be shown when it says why the request failed.
const SAID_BYTES = 2_048;

/** One request. Never rejects; the body of the answer is read, and its beginning is kept as `said`. */
export function replay(
  target: URL,
  content: Content,
  attempt: number,
  { timeoutMs, pathAsIs }: ReplayOptions,
): Promise<Sent> {
  if (!pathAsIs && climbs(content.request?.url ?? '')) return Promise.resolve({ failed: CLIMBS, why: 'never', ms: 0 });
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  const body = content.bytes();
  const secure = target.protocol === 'https:';
  const send = secure ? overHttps : overHttp;
  return new Promise((resolve) => {
    let connected = false;
    let late: NodeJS.Timeout | undefined;
    const settle = (sent: Sent) => {
      clearTimeout(late);
      resolve(sent);
    };
    const fail = (failed: string, why: 'away' | 'cut' | 'bad' | 'never') => settle({ failed, why, ms: ms() });
    try {
      const request = send(
        {
          hostname: target.hostname.replace(/^\[|\]$/g, ''),
          port: target.port,
          method: content.request?.method ?? 'POST',
          path: pathAt(target, content.request?.url ?? ''),
          headers: headersFor(target, content, attempt, body.length),
        },
        (response) => {
          let said = '';
          response.setEncoding('utf8');
          response.on('data', (text: string) => {
            if (said.length < SAID_BYTES) said = (said + text).slice(0, SAID_BYTES);
          });
          response.on('error', () => {});
          response.on('end', () => settle({ status: response.statusCode ?? 0, ms: ms(), said }));
          response.on('close', () => fail('the target closed the connection in its answer', 'bad'));
        },
      );
      const within = () => {
        clearTimeout(late);
        late = setTimeout(() => {
          fail(`no answer within ${timeoutMs / 1000} s`, connected ? 'bad' : 'away');
          request.destroy();
        }, timeoutMs);
      };
      within();
      // A large body may take as long to be sent, and again as long to be answered.
      request.on('finish', within);
      request.on('socket', (socket) => {
        if (!socket.connecting) connected = true;
        else
          socket.once(secure ? 'secureConnect' : 'connect', () => {
            connected = true;
          });
      });
      request.on('error', (error) => fail(error.message, connected ? 'cut' : 'away'));
      request.end(body);
    } catch (error) {
      // A path or a header that node:http will not send.
      fail((error as Error).message, 'never');
    }
  });
}
