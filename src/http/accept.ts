// Stores what a webhook's rules accept, keeps the rest as a refusal, and gives the sender the answer it wants.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Problem, unavailable, unverified } from '../errors.ts';
import type { Answer, Incoming } from '../receive/incoming.ts';
import type { Context } from './context.ts';
import type { Refusals } from './refused.ts';
import type { Target } from './targets.ts';
import { judgeRequest, toJudged } from './verdict.ts';
import { publicUrlOf } from './wire.ts';

/** How a request came. */
interface About {
  readonly ip: string;
  readonly received_ms: number;
  readonly head: Buffer;
  /** The target as received; absolute when it came to another origin than ours. */
  readonly url: string;
}

export interface Arrived {
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

export function createAccept(context: Context, { refusals, answer, refuse }: Answers) {
  const { config, writer, clockText, log } = context;
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
      publicUrl: publicUrlOf(url, config),
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
