// Receives any HTTP request on /in/{key} and stores it exactly as it arrived. Below Fastify: raw node:http.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Config } from '../config/config.ts';
import {
  forbidden,
  internal,
  methodNotAllowed,
  needsMigrate,
  notFound,
  overLimit,
  Problem,
  tooLarge,
  unavailable,
  unverified,
} from '../errors.ts';
import type { Sender } from '../http/address.ts';
import { Aborted, type BodyReader, isLong, laneOf, readOn } from '../http/body.ts';
import { encodeHead, publicUrlOf, splitTarget } from '../http/head.ts';
import { createRequestId } from '../http/server.ts';
import type { Incidents } from '../observe/incidents.ts';
import type { ShedWhy } from '../observe/metrics.ts';
import { type Overload, overloadProblem } from '../observe/overload.ts';
import type { RefusalKind } from '../schema/contents.ts';
import type { Refreshed } from '../store/batch.ts';
import type { Answer, Incoming } from '../verify/request.ts';
import { judgeRequest, type Target, toJudged } from '../webhooks/target.ts';
import { createOldUrls } from './old-urls.ts';
import type { Quota } from './quota.ts';
import { createRefusals, type RefusalParts, type Refusals } from './refusals.ts';
import type { Writer } from './writer.ts';

// A browser that is lured here must not run or guess what a webhook's owner lets us answer. And a cache that answered in our
// place (some keep whatever ends in .css) would lose a webhook.
const SECURITY = [
  ...['Content-Security-Policy', "sandbox; default-src 'none'", 'X-Content-Type-Options', 'nosniff'],
  ...['Cache-Control', 'no-store'],
];

// A refused sender has this long to read its answer before its connection ends.
const LINGER_MS = 5_000;

export interface Receiver {
  /** True when the request was for the receiver; it will be answered. `expects`: it waits for 100 Continue. */
  take(request: IncomingMessage, response: ServerResponse, expects: boolean, pass: () => void): void;
  /** Answers carry Connection: close from now on. */
  closing(): void;
  drain(): Promise<void>;
}

/** A refusal: what the sender is told, and what its owner can look up (null: nothing). */
interface Rejection {
  readonly problem: Problem;
  readonly kind: RefusalKind | null;
}

/** What the receiver takes of the service. */
export interface ReceiverParts extends RefusalParts {
  readonly config: Config;
  readonly writer: Writer;
  /** How much each webhook and user may still send. */
  readonly quota: Pick<Quota, 'refuse'>;
  /** Reads bodies, as many at once as the memory has room for. */
  readonly bodies: BodyReader;
  readonly overload: Pick<Overload, 'why'>;
  readonly sender: Sender;
  /** Counts what was refused so that the rest goes on, by why. */
  readonly shed: (why: ShedWhy) => void;
  /** The webhooks behind URL keys. */
  readonly targets: Refreshed<string, Target>;
  readonly incidents: Pick<Incidents, 'failed'>;
  readonly clockText: (ms: number) => string;
}

export function createReceiver(parts: ReceiverParts): Receiver {
  const { store, config, writer, quota, bodies, overload, sender, shed, targets, incidents, now } = parts;
  const oldUrls = createOldUrls(parts);
  const refusals = createRefusals(parts);
  const hardLimit = Math.min(config.maxBodyBytes, store.db.maxValueBytes - 1024 * 1024);
  let ending = false;

  const limitOf = (target: Target) => Math.min(target.settings.max_body_bytes ?? hardLimit, hardLimit);

  /** Why nobody's requests are taken now. */
  function overloaded(): Problem | undefined {
    if (overload.why) shed(overload.why);
    else if (writer.full()) shed('queue');
    else return undefined;
    return overloadProblem(overload) ?? unavailable('Too much is waiting to be stored. Send it again soon.');
  }

  /** What can be said before the body is read; undefined: welcome. */
  function judge(target: Target | undefined, request: IncomingMessage, ip: string): Rejection | undefined {
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

  /** One webhook or user too many: the others go on. */
  function ration(target: Target): Rejection | undefined {
    if (writer.full(laneOf(target))) {
      shed('line');
      const problem = unavailable('Too much of this webhook is waiting to be stored. Send it again soon.');
      return { problem, kind: null };
    }
    const over = quota.refuse(target);
    return over && { problem: overLimit(over.why, over.seconds), kind: over.first ? 'limit' : null };
  }

  function answer(response: ServerResponse, status: number, headers: readonly string[], body: string, last = ending) {
    if (response.headersSent || response.destroyed) return;
    const connection = last ? ['Connection', 'close'] : [];
    // RFC 9110: no length with 204.
    const length = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
    response.writeHead(status, [...SECURITY, ...headers, ...length, ...connection]);
    const text = status === 204 ? '' : body;
    if (!last || response.req.complete || text === '') return void response.end(text);
    // At the end of the last answer node:http closes the connection, and what still comes would reset it: read on first.
    response.write(text);
    const end = () => void response.end();
    response.req.once('end', end);
    setTimeout(end, LINGER_MS).unref();
  }

  function refuse(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
    readOn(request);
    const body = JSON.stringify(problem.toBody(createRequestId()));
    const headers = [...Object.entries(problem.headers).flat(), 'Content-Type', 'application/problem+json'];
    answer(response, problem.status, headers, request.method === 'HEAD' ? '' : body, ending || isLong(request));
  }

  const accept = createAccept(parts, { refusals, answer, refuse });

  async function receive(
    request: IncomingMessage,
    response: ServerResponse,
    known: Target | undefined,
    key: string,
    expects: boolean,
  ) {
    const ip = sender.address(request);
    sender.blind(request);
    // First: while the database hangs nothing else can be known, and a 404 would make providers give up.
    const busy = overloaded();
    if (busy) return refuse(request, response, busy);
    let target = known ?? targets.get(key);
    let verdict = judge(target, request, ip);
    if (verdict && !known) {
      // Another process may just have made or changed this webhook.
      target = await targets.read(key);
      verdict = judge(target, request, ip);
    }
    if (request.method === 'HEAD' && target) return answer(response, 200, [], '');
    verdict ??= target && ration(target);
    const old = known && oldUrls.absolute(request.url ?? '/');
    const about = () => ({ ip, received_ms: now(), head: encodeHead(request, old), url: old ?? request.url ?? '/' });
    if (verdict || !target) {
      const { problem, kind } = verdict ?? { problem: internal(), kind: null };
      const size = Number(request.headers['content-length'] ?? Number.NaN);
      if (kind && target)
        refusals.add(target, {
          ...about(),
          kind,
          reason: problem.message,
          size: Number.isSafeInteger(size) ? size : null,
        });
      return refuse(request, response, problem);
    }
    if (expects) response.writeContinue();
    const limit = limitOf(target);
    const content = await bodies.read(request, laneOf(target), limit);
    if (content === 'no-room') {
      shed('bodies');
      return refuse(request, response, unavailable('Too many large bodies are being read. Send it again soon.'));
    }
    if (content === 'too-large') {
      refusals.add(target, { ...about(), kind: 'too_large', reason: tooLarge(limit).message, size: null });
      return refuse(request, response, tooLarge(limit));
    }
    await accept({
      request,
      response,
      target,
      content,
      about: about(),
      again: () => (known ? undefined : targets.read(key)),
    });
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
      // What the writer could not store it has told itself.
      if (!(error instanceof Problem) || !error.cause) incidents.failed(error, 1);
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

// Stores what a webhook's rules accept, keeps the rest as a refusal, and gives the sender the answer it wants.

/** How a request came. */
interface About {
  readonly ip: string;
  readonly received_ms: number;
  readonly head: Buffer;
  /** The target as received; absolute when it came to another origin than ours. */
  readonly url: string;
}

interface Arrived {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly content: Buffer;
  readonly about: About;
  /** Reads the webhook again; undefined where that makes no sense. */
  again(): Promise<Target | undefined> | undefined;
}

interface Answers {
  readonly refusals: Refusals;
  answer(response: ServerResponse, status: number, headers: readonly string[], body: string): void;
  refuse(request: IncomingMessage, response: ServerResponse, problem: Problem): void;
}

const MOST_TOLD = 10_000;

function createAccept({ config, writer, clockText, log }: ReceiverParts, { refusals, answer, refuse }: Answers) {
  const told = new Set<number>();

  const respond = (response: ServerResponse, { status, content_type, body }: Answer) =>
    answer(response, status, body === '' ? [] : ['Content-Type', content_type], body);

  /** The old URL of a webhook still receives: its owner has a provider left that has to be told the new one. */
  function tellGrace({ wh_id, expires_ms }: Target): void {
    if (expires_ms === null || told.has(expires_ms)) return;
    if (told.size > MOST_TOLD) told.clear();
    told.add(expires_ms);
    const ends = new Date(expires_ms).toISOString();
    log.warn({ wh_id, ends }, 'a webhook was called by its old URL, which ends then: give the provider the new one');
  }

  /** Resolves when it is answered. Rejects with a 503 when it could not be stored. */
  return async ({ request, response, target, content, about, again }: Arrived): Promise<void> => {
    tellGrace(target);
    const { ip, received_ms, head, url } = about;
    const { user_id, wh_id } = target;
    const row = { user_id, wh_id, content, api: 1, dt: clockText(received_ms), received_ms, ip, head } as const;
    if (!target.rules) {
      await writer.write({ ...row, judged: null });
      return respond(response, target.settings.response);
    }
    const incoming: Incoming = {
      method: request.method ?? '',
      publicUrl: publicUrlOf(url, config.publicUrl),
      headers: request.rawHeaders,
      body: content,
      receivedMs: received_ms,
    };
    let now = target;
    let judged = judgeRequest(now, incoming);
    if (judged.kind !== 'accepted' && judged.kind !== 'handshake') {
      // Another process may just have set its secret.
      const changed = await again();
      if (changed && changed !== now) {
        now = changed;
        judged = judgeRequest(now, incoming);
      }
    }
    const { response: usual, on_reject } = now.settings;
    if (judged.kind === 'accepted') {
      await writer.write({ ...row, judged: toJudged(now, judged, null) });
      return respond(response, usual);
    }
    if (judged.kind === 'unreadable')
      throw unavailable('The secrets of this webhook cannot be read now, nothing was stored. Send it again later.');
    const { kind, reason, event_id } = judged;
    const refused = { kind, reason, ip, received_ms, head, size: content.length, incoming, event_id };
    if (kind === 'secret_missing') {
      await refusals.keep(now, refused);
      return respond(response, usual);
    }
    if (kind === 'handshake' || on_reject === 'keep') refusals.add(now, refused);
    if (judged.kind === 'handshake') {
      const { status, content_type, body } = judged.answer;
      return answer(response, status, ['Content-Type', content_type], body);
    }
    return refuse(request, response, unverified(reason));
  };
}

// Whether a sender's address is among those that a webhook accepts.

const lists = new WeakMap<readonly string[], BlockList>();
/** Whether an address lies in one of these addresses and CIDR networks. */
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
