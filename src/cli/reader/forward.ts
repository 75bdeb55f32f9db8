// restante forward NAME --to URL: replays to a local server what arrived while the agent was away, and what comes.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Command } from 'commander';
import type { Client, Delivery } from '../../client/index.ts';
import { sleep } from '../../client/pump.ts';
import { Complaint, createStatusLine, type Io, plain, type StatusLine } from '../io.ts';
import { choiceOf, STARTS, verb, whole, withService } from '../verb.ts';
import { type ClientFlags, clientOf, toComplaint, unless } from './credentials.ts';
import { replay, type Sent } from './replay.ts';

interface Options extends ClientFlags {
  readonly to: string;
  readonly concurrency: string;
  readonly lease: string;
  readonly timeout: string;
  readonly ok: string;
  readonly pathAsIs?: boolean;
  readonly start?: string;
  readonly pending?: string;
  readonly json?: boolean;
  readonly healthFile?: string;
  readonly healthPort?: string;
}

export const forwardCommand = (io: Io): Command =>
  withService(
    verb({
      name: 'forward',
      summary: 'Replay webhooks to your server as identical requests, also those that came while you were away.',
      examples: [
        'restante forward dev --to http://localhost:3000/hook',
        'restante forward jenkins --to http://jenkins.local/github-webhook --concurrency 4 --pending forward --json',
      ],
      settings: [],
    }),
  )
    .argument('<name>', 'the consumer; it goes on where it stopped')
    .requiredOption('--to <url>', 'where to send them; what follows the key in a webhook URL is appended')
    .option('--concurrency <n>', 'how many at a time; 1 keeps their order', '1')
    .option('--start <where>', 'where a new consumer begins: earliest or latest')
    .option('--pending <what>', 'what arrived while you were away: forward or skip; asked on a terminal')
    .option('--ok <statuses>', 'answers that count as delivered', '200-299')
    .option('--timeout <seconds>', 'how long the target may take', '30')
    .option(
      '--path-as-is',
      'also send paths with "..", which may leave the path of --to; else they become dead letters',
    )
    .option('--lease <seconds>', 'how long the server waits before it hands a content to another agent', '60')
    .option('--health-file <file>', 'written whenever the server answers, for a supervisor')
    .option('--health-port <port>', 'answers GET on 127.0.0.1: 200 while the server answered within 60 s, else 503')
    .option('--json', 'one line of JSON per request')
    .action(async (name: string, options: Options) => {
      const target = targetOf(options.to);
      const client = clientOf(io, options);
      const ended = new AbortController();
      void io.stopped().then(() => ended.abort());
      const start = choiceOf(options.start, '--start', STARTS);
      const { healthPort } = options;
      const port = healthPort === undefined ? undefined : whole(healthPort, '--health-port', 1, 65_535);
      const health = await startHealth(options.healthFile, port);
      try {
        await client.verify({ signal: ended.signal });
        const pending = choiceOf(options.pending, '--pending', ['forward', 'skip']);
        if (!(await settlePending(io, client, name, pending, start))) return;
        if (!options.json) io.err(`Forwarding ${name} to ${target.href} (Ctrl-C ends it; it goes on here next time)\n`);
        const { delivered, failed } = await forward({
          client,
          name,
          target,
          concurrency: whole(options.concurrency, '--concurrency', 1, 256),
          leaseSeconds: whole(options.lease, '--lease', 1, 43_200),
          timeoutMs: whole(options.timeout, '--timeout', 1, 3_600) * 1000,
          start,
          pathAsIs: options.pathAsIs === true,
          accepts: acceptedBy(options.ok),
          json: options.json === true,
          health,
          signal: ended.signal,
          line: createStatusLine(io),
        });
        if (!options.json) io.err(`Stopped: ${delivered} delivered, ${failed} failed.\n`);
      } catch (error) {
        if (!ended.signal.aborted) throw toComplaint(error);
      } finally {
        health.close();
      }
    });

/** Tells what waits for a consumer that exists, and forwards or skips it as the user says. False: the user quits. */
async function settlePending(
  io: Io,
  client: Client,
  name: string,
  pending: 'forward' | 'skip' | undefined,
  start: 'earliest' | 'latest' | undefined,
): Promise<boolean> {
  const state = await unless(client.consumer(name).get(), 404);
  // The server refuses a new consumer with a large backlog until --start says where to begin.
  if (!state) return true;
  if (start) io.err(`--start counts for a new consumer only; ${name} goes on after content ${state.last_id}.\n`);
  if (state.backlog === 0) return true;
  const count = `${state.backlog}${state.backlog_more ? '+' : ''}`;
  io.err(`${count} contents arrived while you were away, the oldest ${age(state.oldest_age_s ?? 0)} ago.\n`);
  for (;;) {
    const what =
      pending ??
      (io.tty ? (await io.ask('[f]orward them, [s]kip them, [v]iew them, [q]uit? ')).trim().toLowerCase() : 'forward');
    if (what === 'forward' || what === 'f' || what === '') return true;
    if (what === 'q') return false;
    if (what === 'skip' || what === 's') {
      await client.consumer(name).seek({ to: 'latest' });
      io.err('Skipped; they stay in the list.\n');
      return true;
    }
    await view(io, client, state.last_id + 1, state.whid);
  }
}

/** Shows the next ones, so that the user can decide. */
async function view(io: Io, client: Client, from: number, whid: readonly number[] | null): Promise<void> {
  const one = whid?.length === 1 ? whid[0] : undefined;
  const { whcontent } = await client.contents.list({ id: from, whid: one ?? 'all', limit: 20 });
  for (const { id, dt, wh_id, request } of whcontent)
    io.err(
      `  #${id} ${dt} webhook ${wh_id} ${plain(`${request?.event_type ?? ''} ${request?.event_id ?? ''}`.trim())}\n`,
    );
}

function targetOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Complaint(`--to must be an http:// or https:// URL, not ${text}`, 2);
  if (url.search || url.hash || url.username)
    throw new Complaint('--to must have no query, fragment or password: the query of each request is kept', 2);
  return url;
}

/** `200-299,409`. */
function acceptedBy(text: string): (status: number) => boolean {
  const ranges = text.split(',').map((part) => /^\s*([1-5]\d\d)(?:-([1-5]\d\d))?\s*$/.exec(part));
  if (ranges.some((range) => !range)) throw new Complaint(`--ok must be statuses such as 200-299,409, not ${text}`, 2);
  return (status) => ranges.some((range) => status >= Number(range?.[1]) && status <= Number(range?.[2] ?? range?.[1]));
}

const age = (seconds: number): string =>
  seconds < 120
    ? `${seconds} s`
    : seconds < 7_200
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 3_600)} h`;

// The agent's loop: replays each content to the target, acks what it accepts, gives back the rest --------------------

interface Forwarding {
  readonly client: Client;
  readonly name: string;
  readonly target: URL;
  readonly concurrency: number;
  readonly leaseSeconds: number;
  readonly timeoutMs: number;
  readonly pathAsIs: boolean;
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
// A connection breaks before the answer when the target restarts, when a proxy stands before a target that is down, or when
// this content brings the target down each time. The content is tried again for so long. Then this attempt has failed, and
// the next content is tried, for twice as long each time until the target answers: an outage spends few attempts, and no
// content blocks the others for ever.
const BLAME_MS = 8_000;
const MOST_REASON = 255;

/** Resolves after a stop was asked for and the contents in hand are finished. */
async function forward(parts: Forwarding): Promise<{ readonly delivered: number; readonly failed: number }> {
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
      const sent = await replay(target, content, content.attempt, parts);
      if ('status' in sent) blamed = 0;
      else if (sent.why === 'away' || sent.why === 'cut') {
        if (!down) tell(content, sent);
        turn(true);
        if (sent.why === 'cut') cutSince ||= performance.now();
        const blame = sent.why === 'cut' && performance.now() - cutSince > BLAME_MS * 2 ** blamed;
        if (!blame) {
          // The target is down: this content stays in hand, its lease is extended, and it spends none of its attempts.
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
      // Another attempt would end like this one.
      if ('failed' in sent && sent.why === 'never')
        return content.nack({ dead: true, reason: sent.failed.slice(0, MOST_REASON) });
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

// Health, for a supervisor: a file that is written when the server answers, a port that says 200 or 503 --------------

type Health = Awaited<ReturnType<typeof startHealth>>;

const GOOD_MS = 60_000;
// Hundreds of answers may come in a second.
const WRITE_MS = 1_000;

async function startHealth(file: string | undefined, port: number | undefined) {
  let last = Number.NEGATIVE_INFINITY;
  let written = Number.NEGATIVE_INFINITY;
  const server = createServer((_request, response) => {
    const good = performance.now() - last < GOOD_MS;
    response.writeHead(good ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' }).end(`${health.state}\n`);
  });
  const health = {
    /** In words, for the body of the answer. */
    state: 'connecting',
    /** The server has answered just now. */
    answered(): void {
      last = performance.now();
      if (!file || last - written < WRITE_MS) return;
      try {
        writeFileSync(file, `${new Date().toISOString()}\n`);
        written = last;
      } catch (error) {
        // The first failure is a mistake in the setting; the supervisor sees a later one by the age of the file.
        if (written < 0) throw new Complaint(`cannot write ${file}: ${(error as Error).message}`, 2);
      }
    },
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
  if (port !== undefined)
    await new Promise<void>((resolve, reject) => {
      server.once('error', ({ message }) => reject(new Complaint(`--health-port ${port}: ${message}`)));
      server.listen(port, '127.0.0.1', resolve);
    });
  return health;
}
