// restante forward NAME --to URL: everything that arrived while you were away, and what comes, replayed to a local server.
import type { Command } from 'commander';
import type { Client } from '../client/index.ts';
import { RestanteError } from '../client/index.ts';
import { type ClientFlags, clientOf, toComplaint } from './credentials.ts';
import { forward } from './forwarding.ts';
import { startHealth } from './health.ts';
import { Complaint, type Io, plain } from './io.ts';
import { oneOf, STARTS, whole, withService } from './options.ts';
import { createStatusLine } from './statusline.ts';
import { verb } from './verb.ts';

interface Options extends ClientFlags {
  readonly to: string;
  readonly concurrency: string;
  readonly lease: string;
  readonly timeout: string;
  readonly ok: string;
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
      summary: 'Replay webhooks to a server of yours, as identical requests, also those that came while you were away.',
      examples: [
        'restante forward dev --to http://localhost:3000/hook',
        'restante forward jenkins --to http://jenkins.local/github-webhook --concurrency 4 --pending forward --json',
      ],
      settings: [],
    }),
  )
    .argument('<name>', 'the consumer: who reads under this name goes on where it stopped')
    .requiredOption('--to <url>', 'where to send them; what followed the key of the webhook is appended')
    .option('--concurrency <n>', 'how many at a time; 1 keeps their order', '1')
    .option('--start <where>', 'where a new consumer begins: earliest or latest')
    .option('--pending <what>', 'what arrived while you were away: forward or skip; asked on a terminal')
    .option('--ok <statuses>', 'answers that count as delivered', '200-299')
    .option('--timeout <seconds>', 'how long the target may take', '30')
    .option('--lease <seconds>', 'how long the server waits before it hands a content to another agent', '60')
    .option('--health-file <file>', 'written whenever the server answers, for a supervisor')
    .option('--health-port <port>', 'answers GET on 127.0.0.1: 200 while the server answered within 60 s, else 503')
    .option('--json', 'one line of JSON per request')
    .action(async (name: string, options: Options) => {
      const target = targetOf(options.to);
      const client = clientOf(io, options);
      const ended = new AbortController();
      void io.stopped().then(() => ended.abort());
      const start = oneOf(options.start, '--start', STARTS);
      const { healthPort } = options;
      const port = healthPort === undefined ? undefined : whole(healthPort, '--health-port', 1, 65_535);
      const health = await startHealth(options.healthFile, port);
      try {
        await client.verify({ signal: ended.signal });
        const began = await settlePending(
          io,
          client,
          name,
          oneOf(options.pending, '--pending', ['forward', 'skip'] as const),
          start,
        );
        if (!began) return;
        if (!options.json) io.err(`Forwarding ${name} to ${target.href} (Ctrl-C ends it; it goes on here next time)\n`);
        const { delivered, failed } = await forward({
          client,
          name,
          target,
          concurrency: whole(options.concurrency, '--concurrency', 1, 256),
          leaseSeconds: whole(options.lease, '--lease', 1, 43_200),
          timeoutMs: whole(options.timeout, '--timeout', 1, 3_600) * 1000,
          start,
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

/** What waits for a consumer that was here before: told, and forwarded or skipped as its owner says. False: he wants none of it. */
async function settlePending(
  io: Io,
  client: Client,
  name: string,
  pending: 'forward' | 'skip' | undefined,
  start: 'earliest' | 'latest' | undefined,
): Promise<boolean> {
  const state = await client
    .consumer(name)
    .get()
    .catch((error: unknown) => {
      if (error instanceof RestanteError && error.status === 404) return undefined;
      throw error;
    });
  // A new one with much behind it is refused by the server until --start says what to do.
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

/** The next ones, so that their owner can decide. */
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
