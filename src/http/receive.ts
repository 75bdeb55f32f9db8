// Receives any HTTP request on /in/{key} and stores it exactly as it arrived. Below Fastify: raw node:http.
import type { IncomingMessage, ServerResponse } from 'node:http';
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
} from '../errors.ts';
import { lineOf } from '../flow/writer.ts';
import type { RefusalKind } from '../schema.ts';
import { createAccept } from './accept.ts';
import { Aborted, isLong, readOn } from './body.ts';
import type { Context } from './context.ts';
import { encodeHead, splitTarget } from './head.ts';
import { inNetworks } from './networks.ts';
import { createOldUrls } from './oldurls.ts';
import { createRefusals } from './refused.ts';
import { createRequestId } from './requestid.ts';
import { underPressure } from './shed.ts';
import type { Target } from './targets.ts';

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
interface Verdict {
  readonly problem: Problem;
  readonly kind: RefusalKind | null;
}

export function createReceiver(context: Context): Receiver {
  const { store, config, writer, allowance, intake, pressure, sender, shed, targets, trouble, now } = context;
  const oldUrls = createOldUrls(context);
  const refusals = createRefusals(context);
  const hardLimit = Math.min(config.maxBodyBytes, store.db.maxValueBytes - 1024 * 1024);
  let ending = false;

  const limitOf = (target: Target) => Math.min(target.settings.max_body_bytes ?? hardLimit, hardLimit);

  /** Why nobody's requests are taken now. */
  function overloaded(): Problem | undefined {
    if (pressure.why) shed(pressure.why);
    else if (writer.full()) shed('queue');
    else return undefined;
    return underPressure(pressure) ?? unavailable('Too much is waiting to be stored. Send it again soon.');
  }

  /** What can be said before the body is read; undefined: welcome. */
  function judge(target: Target | undefined, request: IncomingMessage, ip: string): Verdict | undefined {
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
  function ration(target: Target): Verdict | undefined {
    if (writer.full(lineOf(target))) {
      shed('line');
      const problem = unavailable('Too much of this webhook is waiting to be stored. Send it again soon.');
      return { problem, kind: null };
    }
    const over = allowance.refuse(target);
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

  const accept = createAccept(context, { refusals, answer, refuse });

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
    const overload = overloaded();
    if (overload) return refuse(request, response, overload);
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
    const content = await intake.read(request, lineOf(target), limit);
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
      if (!(error instanceof Problem) || !error.cause) trouble.failed(error, 1);
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
