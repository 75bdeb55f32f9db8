// restante forward NAME --to 3000: replays to a local server what arrived while the agent was away, and what comes.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Command } from 'commander';
import { type Client, type Delivery, RestanteError } from '../../client/index.ts';
import { backOff, sleep } from '../../client/pump.ts';
import { Complaint, createStatusLine, type Io, plain, type StatusLine } from '../io.ts';
import { ageOf, createLook, globOf, type Look, whatOf } from '../line.ts';
import { choiceOf, STARTS, verb, webhooksNamed, whole, withService } from '../verb.ts';
import { type ClientFlags, clientOf, serviceOf, toComplaint, unless } from './credentials.ts';
import { replay, type Sent } from './replay.ts';

interface Options extends ClientFlags {
  readonly to: string;
  readonly webhook?: readonly string[];
  readonly event?: readonly string[];
  readonly verified?: boolean;
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

const also = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const KEYS = `
On a terminal, without Enter:
  r  send the last one again      d  its headers and the beginning of its body
  o  open it in the inbox         p  pause, and go on
  q  quit, as Ctrl-C does         ?  these keys
`;

export const forwardCommand = (io: Io): Command =>
  withService(
    verb({
      name: 'forward',
      summary: 'Replay webhooks to your server as identical requests, also those that came while you were away.',
      examples: [
        'restante forward dev --to 3000',
        "restante forward dev --to 3000/stripe/webhook --webhook Payments --event 'invoice.*' --verified",
        'restante forward jenkins --to http://jenkins.local/github-webhook --concurrency 4 --pending forward --json',
      ],
      settings: [],
    }),
  )
    .argument('<name>', 'the consumer; it goes on where it stopped')
    .requiredOption(
      '--to <where>',
      'a port of this machine, or a URL; what follows the key in a webhook URL is appended',
    )
    .option(
      '--webhook <name>',
      'only this webhook, by name or id; may be given several times. Kept with the consumer',
      also,
    )
    .option(
      '--event <type>',
      "only events of this type, such as 'invoice.*'; several: commas. The others count as done",
      also,
    )
    .option('--verified', 'only what its provider has signed, or sent with the right token; the others count as done')
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
    .addHelpText('after', KEYS)
    .action(async (name: string, options: Options) => {
      const target = targetOf(options.to);
      const client = clientOf(io, options);
      const ended = new AbortController();
      const quit = () => ended.abort();
      void io.stopped().then(quit);
      const { signal } = ended;
      const start = choiceOf(options.start, '--start', STARTS);
      const { healthPort } = options;
      const port = healthPort === undefined ? undefined : whole(healthPort, '--health-port', 1, 65_535);
      const parts = {
        concurrency: whole(options.concurrency, '--concurrency', 1, 256),
        leaseSeconds: whole(options.lease, '--lease', 1, 43_200),
        timeoutMs: whole(options.timeout, '--timeout', 1, 3_600) * 1000,
        start,
        pathAsIs: options.pathAsIs === true,
        accepts: acceptedBy(options.ok),
        wants: wantedBy(options),
        json: options.json === true,
      };
      const pending = choiceOf(options.pending, '--pending', ['forward', 'skip']);
      const health = await startHealth(options.healthFile, port);
      try {
        await patiently(io, signal, () => client.verify({ signal }));
        const names = createNames(client);
        await names.read();
        if (options.webhook) await choose(client, name, names.idsOf(options.webhook), start);
        if (!(await settlePending(io, client, name, pending, start))) return;
        if (!options.json) io.err(`Forwarding ${name} to ${target.href} (Ctrl-C ends it; it goes on here next time)\n`);
        const line = createStatusLine(io);
        const { delivered, failed, skipped } = await forward({
          ...{ io, client, name, names, target, health, signal, quit, line },
          ...parts,
          inbox: `${serviceOf(io, options)}/inbox`,
          look: createLook(io),
        });
        const more = skipped > 0 ? `, ${skipped} not wanted` : '';
        if (!options.json) io.err(`Stopped: ${delivered} delivered, ${failed} failed${more}.\n`);
      } catch (error) {
        if (!signal.aborted) throw toComplaint(error);
      } finally {
        health.close();
      }
    });

// Another program at this address, or a certificate that is not trusted, is for a person to correct.
const isMistake = ({ code, message }: RestanteError): boolean =>
  code === 'not-restante' || /certificate|altnames/.test(message);

/** Tries until the service answers. What it says of a mistake ends it at once. */
async function patiently<T>(io: Io, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await call();
    } catch (error) {
      const waits = error instanceof RestanteError && error.temporary && !isMistake(error);
      if (!waits || signal.aborted) throw error;
      if (failures === 0) io.err(`${error.message}. Trying again until it answers (Ctrl-C ends it).\n`);
      await sleep(backOff(failures, error.retryAfter), signal);
    }
  }
}

const ALL_NAMES_EVERY_MS = 10_000;

/** The names of webhooks, by their ids; read anew when an unknown one comes. */
function createNames(client: Client) {
  let names = new Map<number, string>();
  let readAt = Number.NEGATIVE_INFINITY;
  const read = async () => {
    readAt = performance.now();
    const { webhooks } = await client.webhooks.list();
    names = new Map(webhooks.map(({ wh_id, wh_name }) => [wh_id, wh_name]));
  };
  return {
    read,
    of(id: number): string {
      if (id === 0) return 'own content';
      const name = names.get(id);
      if (name === undefined && performance.now() - readAt > ALL_NAMES_EVERY_MS) void read().catch(() => {});
      return name || `webhook ${id}`;
    },
    /** Of webhooks by name or id. */
    idsOf(given: readonly string[]): number[] {
      const all = [...names].map(([id, name]) => ({ id, name }));
      const ids = given.map((text) => {
        const found = webhooksNamed(all, text);
        if (found.length === 1) return found[0]?.id as number;
        const some = all.slice(0, 10).map(({ id, name }) => `${plain(name)} (${id})`);
        throw new Complaint(
          found.length === 0
            ? `there is no webhook ${text}. There are: ${some.join(', ') || 'none'}`
            : `${found.length} webhooks are called ${text}: say which by its id (${found.map(({ id }) => id).join(', ')})`,
          2,
        );
      });
      return [...new Set(ids)];
    },
  };
}

/** Makes the consumer read these webhooks; one that is there and reads others is another consumer's work. */
async function choose(
  client: Client,
  name: string,
  whid: number[],
  start: 'earliest' | 'latest' | undefined,
): Promise<void> {
  const state = await unless(client.consumer(name).get(), 404);
  if (!state) await client.consumer(name).put({ whid, ...(start ? { start } : {}) });
  else if (String([...(state.whid ?? [])].sort()) !== String([...whid].sort()))
    throw new Complaint(
      `${name} reads ${state.whid ? `the webhooks ${state.whid.join(', ')}` : 'all webhooks'}: choose another name for the consumer, or leave --webhook out`,
      2,
    );
}

/** Whether a content is one of those that the flags name. */
function wantedBy({ event, verified }: Options): (content: Delivery) => boolean {
  const globs = event?.flatMap((text) => text.split(',')).map((text) => globOf(text.trim()));
  return ({ request }) =>
    (!globs || globs.some((is) => is(request?.event_type ?? ''))) &&
    (!verified || (request?.verified !== undefined && request.verified !== 'none'));
}

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
  if (start && state.last_id > 0)
    io.err(`--start counts for a new consumer only; ${name} goes on after content ${state.last_id}.\n`);
  if (state.backlog === 0) return true;
  const count = `${state.backlog}${state.backlog_more ? '+' : ''}`;
  io.err(`${count} contents arrived while you were away, the oldest ${ageOf(state.oldest_age_s ?? 0)} ago.\n`);
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

/** `3000`, `3000/hook` and `localhost:3000` are short for http. */
function targetOf(text: string): URL {
  const full = /^:?\d+($|\/)/.test(text)
    ? `http://localhost:${text.replace(/^:/, '')}`
    : /^[a-z][a-z\d+.-]*:\/\//i.test(text)
      ? text
      : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Complaint(`--to must be a port such as 3000, or an http:// or https:// URL, not ${text}`, 2);
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

// The agent's loop: replays each content to the target, acks what it accepts, gives back the rest --------------------

interface Forwarding {
  readonly io: Io;
  readonly client: Client;
  readonly name: string;
  readonly names: Pick<ReturnType<typeof createNames>, 'of'>;
  readonly target: URL;
  readonly concurrency: number;
  readonly leaseSeconds: number;
  readonly timeoutMs: number;
  readonly pathAsIs: boolean;
  readonly start: 'earliest' | 'latest' | undefined;
  /** Whether an answer means that the target has it. */
  readonly accepts: (status: number) => boolean;
  /** What is not wanted counts as done, and is not sent. */
  readonly wants: (content: Delivery) => boolean;
  readonly json: boolean;
  /** The live page, in which a content can be opened. */
  readonly inbox: string;
  readonly look: Look;
  readonly health: Health;
  readonly signal: AbortSignal;
  readonly quit: () => void;
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
// Of an answer that refuses a content.
const SAID_LINES = 3;
const SAID_WIDTH = 76;
// Contents whose last attempt failed: of more, the oldest are counted on their own.
const MOST_FAILED = 100_000;

/** Resolves after a stop was asked for and the contents in hand are finished; with numbers of contents, not of attempts. */
async function forward(
  parts: Forwarding,
): Promise<{ readonly delivered: number; readonly failed: number; readonly skipped: number }> {
  const { io, client, name, names, target, signal, line, look, json, health } = parts;
  const failing = new Set<number>();
  let delivered = 0;
  let given = 0;
  let skipped = 0;
  let recent: number[] = [];
  let server = '';
  let backlog: { readonly backlog: number; readonly backlog_more: boolean } | undefined;
  let ahead = 0;
  let down = false;
  let blamed = 0;
  let last: Delivery | undefined;
  let paused: { readonly over: Promise<void>; end(): void } | undefined;

  const counts = () => ({ delivered, failed: given + failing.size, skipped });
  function failed(id: number): void {
    failing.add(id);
    if (failing.size <= MOST_FAILED) return;
    failing.delete(failing.values().next().value as number);
    given++;
  }

  function show(): void {
    const now = performance.now();
    recent = recent.filter((at) => now - at < RATE_MS);
    const waiting = (backlog?.backlog ?? 0) + ahead;
    const trouble = [server, down ? 'target down, trying again' : ''].filter((text) => text).join('; ');
    const usual = paused ? 'paused (p goes on)' : waiting > 0 ? 'catching up' : 'connected';
    const state = trouble || (backlog ? usual : 'connecting');
    health.state = state;
    const { delivered: right, failed: wrong } = counts();
    const figures = [
      ...(backlog ? [`${waiting}${backlog.backlog_more ? '+' : ''} waiting`] : []),
      `${right} delivered, ${wrong} failed`,
      `${((recent.length * 1000) / RATE_MS).toFixed(1)}/s`,
    ];
    line.show(trouble, [state, ...figures].join(' · '));
  }
  const timer = setInterval(show, 500);

  function tell(content: Delivery, sent: Sent, again = content.attempt > 1 ? `try ${content.attempt}` : ''): void {
    const { id, attempt, request, wh_id } = content;
    last = content;
    if (json) {
      const outcome = 'status' in sent ? { status: sent.status } : { error: sent.failed };
      const event = { id, attempt, event_type: request?.event_type ?? null, event_id: request?.event_id ?? null };
      line.print(JSON.stringify({ time: new Date().toISOString(), ...event, ...outcome, ms: sent.ms }));
      return;
    }
    const good = 'status' in sent && parts.accepts(sent.status);
    line.print(
      look.line({
        at: new Date(),
        id,
        webhook: names.of(wh_id),
        what: whatOf(request?.event_type, request?.method ?? 'POST', request?.url ?? ''),
        outcome: 'status' in sent ? String(sent.status) : 'none',
        good,
        ms: sent.ms,
        bytes: content.bytes().length,
        more: again,
      }),
    );
    if (good) return;
    const why = 'status' in sent ? sent.said : sent.failed;
    const lines = why.split('\n').map((text) => plain(text).trim());
    for (const text of lines.filter((one) => one).slice(0, SAID_LINES))
      line.print(look.paint(`  ${text.slice(0, SAID_WIDTH)}`, 'faint'));
  }

  function turn(isDown: boolean): void {
    if (isDown === down) return;
    down = isDown;
    show();
  }

  async function one(content: Delivery): Promise<void> {
    ahead = Math.max(0, ahead - 1);
    if (!parts.wants(content)) {
      skipped++;
      return content.ack();
    }
    let cutSince = 0;
    for (let tries = 0; ; tries++) {
      if (paused) {
        await paused.over;
        if (signal.aborted) return content.nack({ untried: true });
      }
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
        failing.delete(content.id);
        recent.push(performance.now());
        return content.ack();
      }
      failed(content.id);
      // Another attempt would end like this one.
      if ('failed' in sent && sent.why === 'never')
        return content.nack({ dead: true, reason: sent.failed.slice(0, MOST_REASON) });
      throw new Error('status' in sent ? `the target answered ${sent.status}` : sent.failed);
    }
  }

  function pause(): void {
    const before = paused;
    if (before) {
      paused = undefined;
      before.end();
    } else {
      let end = () => {};
      const over = new Promise<void>((resolve) => {
        end = resolve;
      });
      paused = { over, end };
    }
    show();
  }
  signal.addEventListener('abort', () => paused && pause());

  /** What a key does with the content that was told last. */
  async function withLast(work: (content: Delivery) => unknown): Promise<void> {
    if (last) await work(last);
    else line.print('Nothing has been sent yet.');
  }
  const keys: Readonly<Record<string, () => unknown>> = {
    r: () => withLast(async (content) => tell(content, await replay(target, content, content.attempt, parts), 'again')),
    d: () => withLast((content) => line.print(detailsOf(content))),
    o: () =>
      withLast(async ({ id }) => {
        const url = `${parts.inbox}#/content/${id}`;
        if (!(await io.browse?.(url))) line.print(`Open ${url}`);
      }),
    p: pause,
    q: parts.quit,
    '\x03': parts.quit,
    '?': () => line.print(KEYS.trim()),
  };
  const leave = io.tty && !json ? io.keys?.((key) => void keys[key]?.()) : undefined;

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
    leave?.();
    line.end();
  }
  return counts();
}

const DETAIL_LINES = 40;
const DETAIL_BYTES = 4_096;

/** Request line, headers, and the beginning of the body. */
function detailsOf(content: Delivery): string {
  const { request } = content;
  const body = content.text().slice(0, DETAIL_BYTES).split('\n').slice(0, DETAIL_LINES);
  return [
    ...(request ? [`${request.method} ${request.url || '/'}`] : []),
    ...(request?.headers ?? []).map(([name, value]) => `${name}: ${value}`),
    '',
    ...body,
  ]
    .map((text) => `  ${plain(text)}`.trimEnd())
    .join('\n');
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
