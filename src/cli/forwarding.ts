// The agent's loop: takes contents of a consumer, replays each to the target, acks what it accepted, gives back the rest.
import type { Client, Delivery } from '../client/index.ts';
import { sleep } from '../client/wait.ts';
import type { Health } from './health.ts';
import { plain } from './io.ts';
import { replay, type Sent } from './replay.ts';
import type { StatusLine } from './statusline.ts';

export interface Forwarding {
  readonly client: Client;
  readonly name: string;
  readonly target: URL;
  readonly concurrency: number;
  readonly leaseSeconds: number;
  readonly timeoutMs: number;
  readonly start: 'earliest' | 'latest' | undefined;
  /** Whether an answer means that the target has it. */
  readonly accepts: (status: number) => boolean;
  readonly json: boolean;
  readonly health: Health;
  readonly signal: AbortSignal;
  readonly line: StatusLine;
}

const FIRST_TRY_MS = 250;
const MOST_TRY_MS = 5_000;
const RATE_MS = 5_000;
// A connection that breaks before the answer: the target restarts, or a proxy stands before one that is down. Or this content
// brings it down, each time. So long it is tried again in its place; then it has failed, and the next one is tried, for
// twice as long each time while the target does not answer anything: an outage spends few attempts, and nothing is stuck.
const BLAME_MS = 8_000;

/** Resolves when it was asked to stop; what is in hand is finished before. */
export async function forward(parts: Forwarding): Promise<{ readonly delivered: number; readonly failed: number }> {
  const { client, name, target, signal, line, json, health } = parts;
  let delivered = 0;
  let failed = 0;
  let recent: number[] = [];
  let server = '';
  let backlog: { readonly backlog: number; readonly backlog_more: boolean } | undefined;
  let ahead = 0;
  let down = false;
  let blamed = 0;

  function show(): void {
    const now = performance.now();
    recent = recent.filter((at) => now - at < RATE_MS);
    const waiting = (backlog?.backlog ?? 0) + ahead;
    const trouble = [server, down ? 'target down, trying again' : ''].filter((text) => text).join('; ');
    const state = trouble || (!backlog ? 'connecting' : waiting > 0 ? 'catching up' : 'connected');
    health.state = state;
    const figures = [
      ...(backlog ? [`${waiting}${backlog.backlog_more ? '+' : ''} waiting`] : []),
      `${delivered} delivered, ${failed} failed`,
      `${((recent.length * 1000) / RATE_MS).toFixed(1)}/s`,
    ];
    line.show(trouble, [state, ...figures].join(' · '));
  }
  const timer = setInterval(show, 500);

  function tell(content: Delivery, sent: Sent): void {
    const { id, attempt, request } = content;
    const outcome = 'status' in sent ? { status: sent.status } : { error: sent.failed };
    if (json) {
      const event = { id, attempt, event_type: request?.event_type ?? null, event_id: request?.event_id ?? null };
      line.print(JSON.stringify({ time: new Date().toISOString(), ...event, ...outcome, ms: sent.ms }));
      return;
    }
    const time = new Date().toISOString().slice(11, 19);
    const what = [request?.event_type, request?.event_id].filter((text) => text).map((text) => plain(text as string));
    line.print(
      `${time} → #${id} ${request?.method ?? 'POST'} ${plain(request?.url ?? '')} ${what.join(' ')}`.trimEnd(),
    );
    const again = attempt > 1 ? ` (attempt ${attempt})` : '';
    line.print(`${time} ← ${'status' in sent ? sent.status : plain(sent.failed)} ${sent.ms} ms${again}`);
  }

  function turn(isDown: boolean): void {
    if (isDown === down) return;
    down = isDown;
    show();
  }

  async function one(content: Delivery): Promise<void> {
    ahead = Math.max(0, ahead - 1);
    let cutSince = 0;
    for (let tries = 0; ; tries++) {
      const sent = await replay(target, content, content.attempt, parts.timeoutMs);
      if ('status' in sent) blamed = 0;
      else if (sent.why !== 'bad') {
        if (!down) tell(content, sent);
        turn(true);
        if (sent.why === 'cut') cutSince ||= performance.now();
        const blame = sent.why === 'cut' && performance.now() - cutSince > BLAME_MS * 2 ** blamed;
        if (!blame) {
          // Nobody is there: this content waits in hand, its lease extended, and spends none of its attempts.
          if (signal.aborted) return content.nack({ reason: sent.failed, untried: sent.why === 'away' });
          await sleep(Math.min(MOST_TRY_MS, FIRST_TRY_MS * 2 ** Math.min(tries, 10)), signal);
          continue;
        }
        blamed++;
      }
      if ('status' in sent || sent.why === 'bad') turn(false);
      tell(content, sent);
      if ('status' in sent && parts.accepts(sent.status)) {
        delivered++;
        recent.push(performance.now());
        return content.ack();
      }
      failed++;
      throw new Error('status' in sent ? `the target answered ${sent.status}` : sent.failed);
    }
  }

  try {
    await client
      .consume(name, {
        concurrency: parts.concurrency,
        lease_seconds: parts.leaseSeconds,
        signal,
        ...(parts.start ? { start: parts.start } : {}),
        onState(state) {
          if (state.state === 'connected') {
            server = '';
            backlog = state;
            ahead = state.ahead;
            health.answered();
          } else {
            const { status } = state.error;
            server = `${status === 0 ? 'server cannot be reached' : `server answers ${status}`}, trying again`;
          }
          show();
        },
      })
      .forEach(one);
  } finally {
    clearInterval(timer);
    line.end();
  }
  return { delivered, failed };
}
