// Receives any HTTP request on /in/{key} and stores it exactly as it arrived. Below Fastify: raw node:http.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';
import {
  forbidden,
  internal,
  methodNotAllowed,
  needsMigrate,
  notFound,
  Problem,
  tooLarge,
  unavailable,
} from '../errors.ts';
import type { RefusalKind } from '../schema.ts';
import type { Target } from '../store/webhooks.ts';
import type { Context } from './context.ts';
import { encodeHead, maskTarget, splitTarget } from './head.ts';
import { createOldUrls } from './oldurls.ts';
import { createRefusals } from './refused.ts';
import { createRequestId } from './requestid.ts';

// A browser that is lured here must not run or guess what a webhook's owner lets us answer.
const SECURITY = ['Content-Security-Policy', "sandbox; default-src 'none'", 'X-Content-Type-Options', 'nosniff'];
// A refused sender is read on for a while, so that it sees the answer and not a reset; then it is cut off.
const READ_ON_BYTES = 8 * 1024 * 1024;

export interface Receiver {
  /** True when the request was for the receiver; it will be answered. `expects`: it waits for 100 Continue. */
  take(request: IncomingMessage, response: ServerResponse, expects: boolean, pass: () => void): void;
  /** Answers carry Connection: close from now on. */
  closing(): void;
  drain(): Promise<void>;
}

/** A refusal: what the sender is told, and what its owner can look up (null: nothing). */
interface Verdict {
  readonly problem: Problem;
  readonly kind: RefusalKind | null;
}

export function createReceiver(context: Context): Receiver {
  const { store, config, writer, sender, targets, clockText, log, now } = context;
  const oldUrls = createOldUrls(context);
  const refusals = createRefusals(context);
  const hardLimit = Math.min(config.maxBodyBytes, store.db.maxValueBytes - 1024 * 1024);
  let ending = false;

  const limitOf = (target: Target) => Math.min(target.settings.max_body_bytes ?? hardLimit, hardLimit);

  /** What can be said before the body is read; undefined: welcome. */
  function judge(target: Target | undefined, request: IncomingMessage, ip: string): Verdict | undefined {
    // First: while the database hangs nothing else can be known, and a 404 would make providers give up.
    if (writer.full())
      return { problem: unavailable('Too much is waiting to be stored. Send it again soon.'), kind: null };
    if (!target)
      return {
        problem: notFound('No webhook has this URL. Copy it again from the list of your webhooks.'),
        kind: null,
      };
    const { allow_methods, allow_networks, enabled } = target.settings;
    if (!enabled)
      return { problem: unavailable('This webhook is switched off for now. Send it again later.'), kind: null };
    if (allow_methods && !allow_methods.includes(request.method ?? ''))
      return { problem: methodNotAllowed(allow_methods.join(', ') || 'nothing'), kind: 'method' };
    if (allow_networks && !inNetworks(allow_networks, ip))
      return { problem: forbidden('Requests from this address are not accepted here.'), kind: 'network' };
    if (Number(request.headers['content-length'] ?? 0) > limitOf(target))
      return { problem: tooLarge(limitOf(target)), kind: 'too_large' };
    return undefined;
  }

  function answer(response: ServerResponse, status: number, headers: readonly string[], body: string) {
    if (response.headersSent || response.destroyed) return;
    const connection = ending ? ['Connection', 'close'] : [];
    // RFC 9110: no length with 204.
    const length = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
    response.writeHead(status, [...SECURITY, ...headers, ...length, ...connection]);
    response.end(status === 204 ? '' : body);
  }

  function refuse(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
    readOn(request);
    const body = JSON.stringify(problem.toBody(createRequestId()));
    const headers = [...Object.entries(problem.headers).flat(), 'Content-Type', 'application/problem+json'];
    answer(response, problem.status, headers, request.method === 'HEAD' ? '' : body);
  }

  async function receive(
    request: IncomingMessage,
    response: ServerResponse,
    known: Target | undefined,
    key: string,
    expects: boolean,
  ) {
    const ip = sender.address(request);
    sender.blind(request);
    let target = known ?? targets.get(key);
    let verdict = judge(target, request, ip);
    if (verdict && !known && !writer.full()) {
      // Another process may just have made or changed this webhook.
      target = await targets.read(key);
      verdict = judge(target, request, ip);
    }
    if (request.method === 'HEAD' && target) return answer(response, 200, [], '');
    if (verdict || !target) {
      const { problem, kind } = verdict ?? { problem: internal(), kind: null };
      const size = Number(request.headers['content-length'] ?? Number.NaN);
      if (kind && target)
        refusals.add(target, kind, problem.message, Number.isSafeInteger(size) ? size : null, ip, encodeHead(request));
      return refuse(request, response, problem);
    }
    if (expects) response.writeContinue();
    const limit = limitOf(target);
    const content = await readBody(request, limit);
    if (content === undefined) {
      refusals.add(target, 'too_large', tooLarge(limit).message, null, ip, encodeHead(request));
      return refuse(request, response, tooLarge(limit));
    }
    const received_ms = now();
    await writer.write({
      user_id: target.user_id,
      wh_id: target.wh_id,
      content,
      api: 1,
      dt: clockText(received_ms),
      received_ms,
      ip,
      head: encodeHead(request, known && oldUrls.absolute(request.url ?? '/')),
    });
    const { status, content_type, body } = target.settings.response;
    answer(response, status, body === '' ? [] : ['Content-Type', content_type], body);
  }

  function start(
    request: IncomingMessage,
    response: ServerResponse,
    known: Target | undefined,
    key: string,
    expects: boolean,
  ) {
    receive(request, response, known, key, expects).catch((error: unknown) => {
      if (error instanceof Aborted) return;
      const problem =
        error instanceof Problem
          ? error
          : unavailable('The database cannot be reached, nothing was stored. Send it again soon.', error);
      log.warn(
        { url: maskTarget(request.url ?? ''), error: problem.cause ?? problem },
        'a webhook was not stored; its sender got a 503',
      );
      refuse(request, response, problem);
    });
  }

  return {
    take(request, response, expects, pass) {
      const split = splitTarget(request.url ?? '/');
      if (split && !store.extended) return refuse(request, response, unavailable(needsMigrate().message));
      if (split) return start(request, response, undefined, split.key, expects);
      if (!oldUrls.active) return pass();
      oldUrls.find(request.method ?? '', request.url ?? '/', request.headers.authorization).then(
        (target) => (target ? start(request, response, target, '', expects) : pass()),
        (error: unknown) =>
          refuse(
            request,
            response,
            unavailable('The database cannot be reached, nothing was stored. Send it again soon.', error),
          ),
      );
    },
    closing() {
      ending = true;
    },
    async drain() {
      await writer.drain();
      await refusals.drain();
      targets.close();
      oldUrls.close();
    },
  };
}

class Aborted extends Error {}

/** The whole body, or undefined once it is longer than `limit`. Throws when the sender goes away before its end. */
function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    if (request.destroyed) return reject(new Aborted()); // gone while its webhook was looked up
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve(undefined);
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    // Emitted after every request; an error object for each would cost 5 % of the throughput.
    request.on('close', () => request.complete || reject(new Aborted()));
  });
}

/** Reads and forgets what a refused sender still sends, up to a limit. */
function readOn(request: IncomingMessage): void {
  let left = READ_ON_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('error', () => {});
  request.resume();
}

const lists = new WeakMap<readonly string[], BlockList>();
function inNetworks(networks: readonly string[], ip: string): boolean {
  let list = lists.get(networks);
  if (!list) {
    list = new BlockList();
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    }
    lists.set(networks, list);
  }
  return isIP(ip) !== 0 && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
}
