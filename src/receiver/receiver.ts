// Receives any HTTP request on /in/{key} and stores it exactly as it arrived. On raw node:http, before Fastify; what becomes of
// a request, and what its sender is told, knows of no socket: a test of a webhook takes the same way.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { SMALL_BYTES } from '../admission/resources.ts';
import { laneOf, type Rooms } from '../admission/rooms.ts';
import type { Config } from '../config/config.ts';
import {
  forbidden,
  headersTooLarge,
  internal,
  methodNotAllowed,
  needsMigrate,
  notFound,
  Problem,
  tooLarge,
  unavailable,
  unverified,
} from '../errors.ts';
import type { Sender } from '../http/address.ts';
import { Aborted, type BodyReader, isLong, readOn } from '../http/body.ts';
import { encodeHead, headersOf, publicUrlOf, splitTarget } from '../http/head.ts';
import { createRequestId, type Delivered, endLast, MAX_HEADER_BYTES, type Receiver } from '../http/server.ts';
import type { Incidents } from '../observe/incidents.ts';
import { type Overload, overloadProblem } from '../observe/overload.ts';
import type { RefusalKind } from '../schema/contents.ts';
import type { Answer } from '../schema/webhooks.ts';
import { mostBodyBytes } from '../store/db.ts';
import type { Refreshed } from '../store/shared-reads.ts';
import type { Incoming } from '../verify/request.ts';
import { type CertificateStore, needsCertificate } from '../webhooks/certificates.ts';
import { type Judgement, judgeRequest, type Target, toJudged } from '../webhooks/target.ts';
import { createOldUrls } from './old-urls.ts';
import type { Quota } from './quota.ts';
import { createRefusals, type RefusalParts } from './refusals.ts';
import type { Writer } from './writer.ts';

// A browser must not run the answer that a webhook's owner has chosen, nor guess its type. A cache must not answer in our
// place: some keep every URL that ends in .css, and a webhook would be lost.
const SECURITY = [
  ...['Content-Security-Policy', "sandbox; default-src 'none'", 'X-Content-Type-Options', 'nosniff'],
  ...['Cache-Control', 'no-store'],
];
// Old URLs that were logged, remembered so that each is logged once.
const MOST_WARNED = 10_000;

// A request that waits for a certificate, with its headers and its connection.
const WAITING_BYTES = 8 * 1024;

/** What the sender is told, and the kind of refusal that the owner can look up (null: none). */
interface Rejection {
  readonly problem: Problem;
  readonly kind: RefusalKind | null;
}

/** What the receiver needs of the service. */
export interface ReceiverParts extends RefusalParts {
  readonly config: Config;
  readonly writer: Writer;
  readonly quota: Quota;
  readonly bodies: BodyReader;
  readonly overload: Pick<Overload, 'why'>;
  readonly sender: Sender;
  readonly rooms: Pick<Rooms, 'bodies' | 'verdicts' | 'queue' | 'refusals'>;
  /** Counts requests that are refused under overload, by why. */
  readonly shed: (why: string) => void;
  /** The webhooks behind URL keys. */
  readonly targets: Refreshed<string, Target>;
  readonly incidents: Pick<Incidents, 'failed'>;
  readonly certificates: CertificateStore;
  readonly clockText: (ms: number) => string;
}

/** Of a request, what is looked at before its body. */
type Head = Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'headers' | 'rawHeaders' | 'rawTrailers'>;

/** A request that comes in. */
interface Arrival {
  readonly request: Head;
  readonly ip: string;
  /** Its body; what it is called with says how long that may be, and whose. */
  readonly read: (target: Target, limit: number) => Promise<Buffer | 'too-large' | 'no-room'>;
}

/** What its sender is told. */
interface Reply {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  /** Why it was refused. */
  readonly problem?: Problem;
  /** The content that it has become. */
  readonly stored?: Delivered['stored'];
}

interface Received {
  readonly ip: string;
  readonly received_ms: number;
  readonly head: Buffer;
  readonly headers: readonly string[];
  /** The target as received; absolute when the request came by an old URL. */
  readonly url: string;
}

export function createReceiver(parts: ReceiverParts): Receiver {
  const { store, config, writer, quota, bodies, rooms, overload, sender, shed, targets, incidents, clockText } = parts;
  const { certificates } = parts;
  const { log, now } = parts;
  const oldUrls = createOldUrls(parts);
  const refusals = createRefusals(parts);
  const hardLimit = Math.min(config.maxBodyBytes, mostBodyBytes(store.db));
  const warned = new Set<number>();
  let ending = false;

  const limitOf = (target: Target) => Math.min(target.settings.max_body_bytes ?? hardLimit, hardLimit);

  /** Why no request is taken now; undefined: requests are taken. */
  function overloaded(): Problem | undefined {
    if (overload.why) shed(overload.why);
    return overloadProblem(overload) ?? (writer.full() ? rooms.queue.refuse() : undefined);
  }

  const reject = (problem: Problem, kind: RefusalKind | null = null): Rejection => ({ problem, kind });

  /** Why a request is refused before its body is read; undefined: it is admitted. */
  function admission(target: Target | undefined, request: Head, ip: string): Rejection | undefined {
    if (!target) return reject(notFound('No webhook has this URL. Copy it again from the list of your webhooks.'));
    const { allow_networks, enabled } = target.settings;
    if (!enabled) return reject(unavailable('This webhook is switched off for now. Send it again later.'));
    if (!allowsMethod(target, request.method) && !shakesBy(target, request.method))
      return reject(wrongMethod(target), 'method');
    if (allow_networks && !inNetworks(allow_networks, ip))
      return reject(forbidden('Requests from this address are not accepted here.'), 'network');
    if (Number(request.headers['content-length'] ?? 0) > limitOf(target))
      return reject(tooLarge(limitOf(target)), 'too_large');
    return undefined;
  }

  /** Why one webhook or user may send nothing more now, while the others go on. */
  function overQuota(target: Target): Rejection | undefined {
    if (writer.full(target)) {
      shed('line');
      return reject(unavailable('Too much of this webhook is waiting to be stored. Send it again soon.'));
    }
    const over = quota.refuse(target);
    return over && reject(over.problem, over.first ? 'limit' : null);
  }

  function failure(error: unknown): Reply {
    // The writer has reported its own failures.
    if (!(error instanceof Problem) || !error.cause) incidents.failed(error, 1);
    return refusal(error instanceof Problem ? error : unreachable(error));
  }

  /**
   * `known`: the webhook of a request that came by an old URL; otherwise `key` finds it. Rejects when the sender has gone away
   * before the end of its request, and for nothing else.
   */
  async function receive(arrival: Arrival, known: Target | undefined, key: string): Promise<Reply> {
    const reading: string[] = [];
    let reply: Reply;
    try {
      reply = await decide(arrival, known, key, reading);
    } catch (error) {
      if (error instanceof Aborted) throw error;
      reply = failure(error);
    }
    return reading.length === 0 ? reply : { ...reply, headers: [...reading, ...reply.headers] };
  }

  /** `reading` gets the headers by which the page of another site may read the answer. */
  async function decide(
    { request, ip, read }: Arrival,
    known: Target | undefined,
    key: string,
    reading: string[],
  ): Promise<Reply> {
    // First: while the database hangs the webhook may be unknown, and a 404 would make providers give up.
    const busy = overloaded();
    if (busy) return refusal(busy);
    let target = known ?? targets.get(key);
    let rejection = admission(target, request, ip);
    if (rejection && !known) {
      // Another process may just have made or changed this webhook.
      target = await targets.read(key);
      rejection = admission(target, request, ip);
    }
    if (target) reading.push(...readingHeaders(target, request.headers.origin));
    if (target && isPreflight(request)) return { status: 204, headers: preflightHeaders(target, request), body: '' };
    if (request.method === 'HEAD' && target) return { status: 200, headers: [], body: '' };
    rejection ??= target && overQuota(target);
    const oldUrl = known && oldUrls.absolute(request.url ?? '/');
    const about = (): Received => {
      const headers = headersOf(request);
      const head = encodeHead(request, oldUrl, headers);
      return { ip, received_ms: now(), head, headers, url: oldUrl ?? request.url ?? '/' };
    };
    if (rejection || !target) {
      const { problem, kind } = rejection ?? { problem: internal(), kind: null };
      const size = Number(request.headers['content-length'] ?? Number.NaN);
      if (kind && target)
        refusals.add(target, {
          ...about(),
          kind,
          reason: problem.message,
          size: Number.isSafeInteger(size) ? size : null,
        });
      return refusal(problem);
    }
    const limit = limitOf(target);
    const content = await read(target, limit);
    if (content === 'no-room') return refusal(rooms.bodies.refuse());
    if (content === 'too-large') {
      refusals.add(target, { ...about(), kind: 'too_large', reason: tooLarge(limit).message, size: null });
      return refusal(tooLarge(limit));
    }
    const received = about();
    if (request.rawTrailers.length > 0 && received.head.length > MAX_HEADER_BYTES)
      return refusal(headersTooLarge(MAX_HEADER_BYTES));
    return await accept(request, target, content, received, () => (known ? undefined : targets.read(key)));
  }

  /**
   * Stores what the webhook's rules accept, keeps all else as a refusal, and says what the sender is told. `again` reads the
   * webhook anew. Rejects with a 503 when the request could not be stored.
   */
  async function accept(
    request: Head,
    target: Target,
    content: Buffer,
    { ip, received_ms, head, headers, url }: Received,
    again: () => Promise<Target | undefined> | undefined,
  ): Promise<Reply> {
    warnOfGrace(target);
    const { user_id, wh_id } = target;
    const row = { user_id, wh_id, content, api: 1, dt: clockText(received_ms), received_ms, ip, head } as const;
    if (!target.rules) {
      const id = await writer.write({ ...row, judged: null });
      return { ...answerOf(target.settings.response), stored: { id, verified: 'none' } };
    }
    const incoming: Incoming = {
      method: request.method ?? '',
      publicUrl: publicUrlOf(url, config.publicUrl),
      headers,
      body: content,
      receivedMs: received_ms,
      certificates: certificates.known,
    };
    let current = target;
    let judged = await judge(current, incoming);
    if (judged.kind !== 'accepted' && judged.kind !== 'handshake') {
      // Another process may just have set the secret.
      const changed = await again();
      if (changed && changed !== current) {
        current = changed;
        judged = await judge(current, incoming);
      }
    }
    const { response: usual, on_reject } = current.settings;
    if (judged.kind !== 'handshake' && !allowsMethod(current, request.method)) {
      // It was let in because a handshake of the webhook comes by this method, and it is none.
      const problem = wrongMethod(current);
      const size = content.length;
      refusals.add(current, { kind: 'method', reason: problem.message, ip, received_ms, head, size });
      return refusal(problem);
    }
    if (judged.kind === 'accepted') {
      const id = await writer.write({ ...row, judged: toJudged(current, judged, null) });
      return { ...answerOf(usual), stored: { id, verified: judged.verified } };
    }
    if (judged.kind === 'busy')
      throw unavailable('Too many certificates are being asked for, nothing was stored. Send it again soon.');
    if (judged.kind === 'unreadable')
      throw unavailable('The secrets of this webhook cannot be read now, nothing was stored. Send it again later.');
    const { kind, reason, event_id } = judged;
    const refused = { kind, reason, ip, received_ms, head, size: content.length, incoming, event_id };
    if (kind === 'secret_missing') {
      await refusals.keep(current, refused);
      return answerOf(usual);
    }
    if (kind === 'handshake' || on_reject === 'keep') refusals.add(current, refused);
    if (judged.kind === 'handshake') {
      const { status, content_type, body, headers: more = [] } = judged.answer;
      return { status, headers: ['Content-Type', content_type, ...more], body };
    }
    return refusal(unverified(reason));
  }

  /** The verdict. Large bodies may have to wait for it, in bounded memory. */
  async function judge(target: Target, incoming: Incoming): Promise<Judgement> {
    const waits = needsCertificate(target);
    const length = Math.max(incoming.body.length, waits ? WAITING_BYTES : 0);
    if (length <= SMALL_BYTES && !waits) return judgeRequest(target, incoming);
    const lane = laneOf(target);
    if (!rooms.verdicts.take(target.user_id, length, lane)) throw rooms.verdicts.refuse();
    try {
      return await judgeRequest(target, incoming, certificates);
    } finally {
      rooms.verdicts.give(target.user_id, length, lane);
    }
  }

  /** Warns that a request came by a rotated URL, which ends soon. */
  function warnOfGrace({ wh_id, expires_ms }: Target): void {
    if (expires_ms === null || warned.has(expires_ms)) return;
    if (warned.size > MOST_WARNED) warned.clear();
    warned.add(expires_ms);
    const ends = new Date(expires_ms).toISOString();
    log.warn({ wh_id, ends }, 'a webhook was called by its old URL, which ends then: give the provider the new one');
  }

  function write(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
    const { status, headers, problem } = reply;
    if (problem) readOn(request);
    if (response.headersSent || response.destroyed) return;
    const last = ending || (problem !== undefined && isLong(request));
    // RFC 9110: no content to HEAD, no length with 204.
    const text = status === 204 || request.method === 'HEAD' ? '' : textOf(reply);
    const length = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(text))];
    response.writeHead(status, [...SECURITY, ...headers, ...length, ...(last ? ['Connection', 'close'] : [])]);
    if (last) endLast(response, text);
    else response.end(text);
  }

  return {
    take(request, response, expects, pass) {
      const refuse = (problem: Problem): void => write(request, response, refusal(problem));
      const start = (known: Target | undefined, key: string): void => {
        const ip = sender.address(request);
        sender.blind(request);
        const read: Arrival['read'] = (target, limit) => {
          if (expects) response.writeContinue();
          return bodies.read(request, target, limit);
        };
        receive({ request, ip, read }, known, key)
          .then((reply) => write(request, response, reply))
          .catch((error: unknown) => {
            if (!(error instanceof Aborted)) write(request, response, failure(error));
          });
      };
      const split = splitTarget(request.url ?? '/');
      if (split && !store.extended) return refuse(unavailable(needsMigrate().message));
      if (split) return start(undefined, split.key);
      if (!oldUrls.active) return pass();
      oldUrls.find(request.method ?? '', request.url ?? '/', request.headers.authorization).then(
        (target) => (target ? start(target, '') : pass()),
        (error: unknown) => refuse(unreachable(error)),
      );
    },
    async deliver({ method, url, headers: rawHeaders, body, ip }) {
      const headers: IncomingHttpHeaders = {};
      for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i]?.toLowerCase() ?? ''] = rawHeaders[i + 1];
      const request = { method, url, httpVersion: '1.1', headers, rawHeaders: [...rawHeaders], rawTrailers: [] };
      const read: Arrival['read'] = async (_, limit) => (body.length > limit ? 'too-large' : body);
      const reply = await receive({ request, ip, read }, undefined, splitTarget(url)?.key ?? '');
      return { status: reply.status, text: reply.problem?.message ?? reply.body, stored: reply.stored };
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

const refusal = (problem: Problem): Reply => ({
  status: problem.status,
  headers: [...Object.entries(problem.headers).flat(), 'Content-Type', 'application/problem+json'],
  body: '',
  problem,
});
const answerOf = ({ status, content_type, body }: Answer): Reply => ({
  status,
  headers: body === '' ? [] : ['Content-Type', content_type],
  body,
});
const textOf = ({ problem, body }: Reply): string =>
  problem ? JSON.stringify(problem.toBody(createRequestId())) : body;

const unreachable = (error: unknown): Problem =>
  unavailable('The database cannot be reached, nothing was stored. Send it again soon.', error);

const allowsMethod = ({ settings: { allow_methods } }: Target, method = ''): boolean =>
  !allow_methods || allow_methods.includes(method);
/** Providers shake hands by methods by which they send no event: GET, OPTIONS. */
const shakesBy = ({ rules }: Target, method: string | undefined): boolean =>
  rules?.handshakes.some((one) => one.method === method) ?? false;
const wrongMethod = ({ settings: { allow_methods } }: Target): Problem =>
  methodNotAllowed(allow_methods?.join(', ') || 'nothing');

// Browsers ask before a page of another site may send to a webhook, and show the page no answer that does not name its origin.

const isPreflight = ({ method, headers }: Head): boolean =>
  method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_S = 600;

/** The names that the page wants to send are sent back, as far as they are names: nothing here reads what may not be read. */
function preflightHeaders(target: Target, { headers }: Head): readonly string[] {
  if (allowedOrigin(target, headers.origin) === undefined) return [];
  const { 'access-control-request-method': method, 'access-control-request-headers': names = '' } = headers;
  return [
    ...(method && allowsMethod(target, method) ? ['Access-Control-Allow-Methods', method] : []),
    ...(/^[\w!#$%&'*+.^`|~, -]{1,4096}$/.test(names) ? ['Access-Control-Allow-Headers', names] : []),
    ...['Access-Control-Max-Age', String(PREFLIGHT_S)],
  ];
}

function allowedOrigin({ settings }: Target, origin: string | undefined): string | undefined {
  const { allow_origins } = settings;
  if (!allow_origins || origin === undefined) return undefined;
  return allow_origins.find((one) => one === '*' || one === origin);
}

function readingHeaders(target: Target, origin: string | undefined): readonly string[] {
  const allowed = allowedOrigin(target, origin);
  if (allowed === undefined) return [];
  return ['Access-Control-Allow-Origin', allowed, ...(allowed === '*' ? [] : ['Vary', 'Origin'])];
}

const lists = new WeakMap<readonly string[], BlockList>();
/** Whether an address is one of these, or lies in one of these CIDR networks. */
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
