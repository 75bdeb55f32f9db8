// The agent's loop: takes contents of a consumer, replays each to the target, acks what it accepted, gives back the rest.
import { writeFileSync } from 'node:fs';
import type { Client, Delivery } from '../client/index.ts';
import { sleep } from '../client/wait.ts';
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
  /** Touched whenever the server answers. */
  readonly healthFile: string | undefined;
  readonly signal: AbortSignal;
  readonly line: StatusLine;
}

const FIRST_TRY_MS = 250;
const MOST_TRY_MS = 5_000;
const RATE_MS = 5_000;

/** Resolves when it was asked to stop; what is in hand is finished before. */
export async function forward(parts: Forwarding): Promise<{ readonly delivered: number; readonly failed: number }> {
  const { client, name, target, signal, line, json } = parts;
  let delivered = 0;
  let failed = 0;
  let recent: number[] = [];
  let server = 'connecting';
  let backlog = '';
  let downSince = 0;

  function show(): void {
    const now = performance.now();
    recent = recent.filter((at) => now - at < RATE_MS);
    const rate = ` ${((recent.length * 1000) / RATE_MS).toFixed(1)}/s`;
    const state =
      server !== 'connected'
        ? server
        : downSince > 0
          ? `target down, trying again`
          : backlog === '0'
            ? 'connected'
            : 'catching up';
    line.show(
      `${state} · ${backlog === '' ? '' : `${backlog} waiting · `}${delivered} delivered, ${failed} failed ·${rate}`,
    );
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

  async function one(content: Delivery): Promise<void> {
    for (let tries = 0; ; tries++) {
      const sent = await replay(target, content, content.attempt, parts.timeoutMs);
      if (!('status' in sent) && sent.down) {
        // Nobody is there: this content waits in hand, its lease extended, and spends none of its attempts.
        if (downSince === 0) tell(content, sent);
        downSince ||= performance.now();
        show();
        if (signal.aborted) return void (await content.nack({ reason: sent.failed }));
        await sleep(Math.min(MOST_TRY_MS, FIRST_TRY_MS * 2 ** Math.min(tries, 10)), signal);
        continue;
      }
      downSince = 0;
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
          server = state.state === 'connected' ? 'connected' : `server cannot be reached, trying again`;
          if (state.state === 'connected') {
            backlog = `${state.backlog}${state.backlog_more ? '+' : ''}`;
            if (parts.healthFile) writeFileSync(parts.healthFile, `${new Date().toISOString()}\n`);
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
