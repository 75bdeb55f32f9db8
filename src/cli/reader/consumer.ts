// restante consumer list|show|dead|redrive|seek|delete: how far each consumer is, its dead letters, and where it goes on.
import type { Command } from 'commander';
import { type Client, type Consumer, type Content, RestanteError } from '../../client/index.ts';
import { Complaint, type Io, plain, table } from '../io.ts';
import { ageOf } from '../line.ts';
import { type Examples, MOST_ID, noun, spanMs, verb, whole, withService } from '../verb.ts';
import { type ClientFlags, unless, withClient } from './credentials.ts';

interface Options extends ClientFlags {
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly to: string;
}

const COLUMNS = ['name', 'whid', 'backlog', 'oldest', 'in_flight', 'dead', 'last_id', 'pulled'];

/** As the API names it, with values that fit a cell. */
const shown = (consumer: Consumer): Record<string, unknown> => ({
  ...consumer,
  whid: consumer.whid?.join(',') ?? 'all',
  backlog: `${consumer.backlog}${consumer.backlog_more ? '+' : ''}`,
  oldest: consumer.oldest_age_s === null ? '' : `${ageOf(consumer.oldest_age_s)} ago`,
  pulled: consumer.pulled_at === null ? 'never' : `${ageOf(secondsSince(consumer.pulled_at))} ago`,
  ...(consumer.gap ? { gap: `${consumer.gap.from} to ${consumer.gap.to} were deleted before they were read` } : {}),
});

const secondsSince = (time: string): number => Math.max(0, (Date.now() - Date.parse(time)) / 1000);

function tell(io: Io, consumer: Consumer, json: boolean | undefined): void {
  const { backlog_more: _, oldest, pulled, ...all } = shown(consumer);
  const { oldest_age_s, pulled_at } = consumer;
  const rows = {
    ...all,
    ...(oldest_age_s === null ? {} : { oldest_age_s: `${oldest_age_s} (${oldest})` }),
    ...(pulled_at === null ? {} : { pulled_at: `${pulled_at} (${pulled})` }),
  };
  const lines = Object.entries(rows).map(([name, value]) => `${name.padEnd(14)} ${plain(String(value ?? 'none'))}\n`);
  io.out(json ? `${JSON.stringify(consumer)}\n` : lines.join(''));
}

/** Where to go on: a word, an id, a moment, or so long ago. */
export function whereTo(text: string, now = Date.now()) {
  if (text === 'earliest' || text === 'latest') return { to: text } as const;
  if (/^\d+$/.test(text)) return { id: whole(text, '--to', 0, MOST_ID) };
  const span = spanMs(text);
  const dated = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const ms = span !== undefined ? now - span : dated ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new Complaint(
      `--to must be earliest, latest, the id of a content, a time such as 2026-11-22T10:00:00Z, or 24h or 7d ago; not ${text}`,
      2,
    );
  return { time: new Date(ms).toISOString() };
}

/** Asks on a terminal only: a script has decided by calling. */
async function sure(io: Io, { yes }: Options, question: string): Promise<boolean> {
  if (yes || !io.tty) return true;
  return /^y(es)?$/i.test((await io.ask(`${question} [y/N] `)).trim());
}

/** Most likely a mistyped id: the consumer gets nothing until ids are that high. */
async function warnBeyond(io: Io, client: Client, id: number): Promise<void> {
  const { whcontent } = await client.contents.list({ whid: 'all', order: 'desc', id: MOST_ID, limit: 1 });
  const newest = whcontent[0]?.id ?? 0;
  if (id > newest + 1)
    io.err(
      `Warning: the newest content that you have is ${newest}: nothing is handed out before there is one from ${id} on.\n`,
    );
}

export const consumerCommand = (io: Io): Command => {
  type Work = (client: Client, options: Options, name: string, ids: readonly string[]) => Promise<void>;
  const add = (name: string, argument: string, summary: string, examples: Examples, work: Work): Command => {
    const made = withService(verb({ name, summary, examples, settings: [] }));
    if (argument) made.argument(argument, 'the consumer');
    return made.option('--json', 'as JSON, named as in the API').action(() =>
      withClient(io, made.opts<Options>(), (client) => {
        const [consumer = '', ...ids] = made.args;
        return work(client, made.opts<Options>(), consumer, ids);
      }),
    );
  };

  const list = add(
    'list',
    '',
    'List your consumers: how far each is, and how many dead letters it has.',
    ['restante consumer list', 'restante consumer list --json'],
    async (client, { json }) => {
      const { consumers } = await client.consumers.list();
      io.out(json ? `${JSON.stringify(consumers)}\n` : table(consumers.map(shown), COLUMNS, io.width));
    },
  );
  const show = add(
    'show',
    '<name>',
    'Show a consumer: its settings, and how far it is.',
    ['restante consumer show billing', 'restante consumer show billing --json'],
    async (client, { json }, name) => tell(io, await client.consumer(name).get(), json),
  );
  const dead = add(
    'dead',
    '<name>',
    'List the dead letters of a consumer, or look into one.',
    [
      'restante consumer dead billing',
      'restante consumer dead billing 27         its request line, headers and body',
      'restante consumer dead billing 27 --raw   the exact bytes of its body',
      'restante consumer dead billing --json',
    ],
    async (client, { json, raw }, name, [id]) => {
      if (id !== undefined)
        return inspectDead(io, client, name, whole(id, 'the id', 0, MOST_ID), raw ? 'raw' : json ? 'json' : 'text');
      if (raw) throw new Complaint('--raw writes the body of one dead letter: say its id', 2);
      await listDead(io, client, name, json === true);
    },
  )
    .argument('[id]', 'the dead letter to look into: the id of the content')
    .option('--raw', 'with an id: only the body, byte for byte');
  const again = add(
    'redrive',
    '<name>',
    'Hand dead letters out again, with all their attempts before them.',
    ['restante consumer redrive billing 27 31', 'restante consumer redrive billing --all'],
    async (client, { json, all }, name, ids) => {
      if (ids.length > 0 === (all === true)) throw new Complaint('say which: their ids, or --all', 2);
      const named = ids.map((id) => whole(id, 'the id', 0, MOST_ID));
      await redrive(io, client, name, all ? undefined : named, json === true);
    },
  )
    .argument('[id...]', 'the dead letters: ids of contents')
    .option('--all', 'all of them');
  const seek = add(
    'seek',
    '<name>',
    'Move a consumer: the next pull begins there.',
    [
      'restante consumer seek billing --to 24h                    what came since yesterday at this time',
      'restante consumer seek billing --to 2026-11-22T10:00:00Z   what came then or later',
      'restante consumer seek billing --to 27                     this content and later ones',
      'restante consumer seek billing --to latest --yes           only what is to come',
    ],
    async (client, options, name) => {
      const where = whereTo(options.to);
      const question = `Move ${name} to ${options.to}? What is in hand is dropped, and dead letters from there on.`;
      if (!(await sure(io, options, question))) throw new Complaint(`${name} was not moved`);
      tell(io, await client.consumer(name).seek(where), options.json);
      if ('id' in where) await warnBeyond(io, client, where.id);
    },
  )
    .requiredOption(
      '--to <where>',
      'earliest, latest, the id of a content, a time (without its hour: UTC), 24h or 7d ago',
    )
    .option('--yes', 'do not ask; without a terminal nothing is asked');
  const remove = add(
    'delete',
    '<name>',
    'Delete a consumer with its dead letters. The contents stay.',
    ['restante consumer delete billing', 'restante consumer delete billing --yes'],
    async (client, options, name) => {
      const question = `Delete ${name}? It forgets how far it is, and its dead letters.`;
      if (!(await sure(io, options, question))) throw new Complaint(`${name} was not deleted`);
      await client.consumer(name).delete();
      io.out(options.json ? `${JSON.stringify({ deleted: name })}\n` : `deleted ${name}\n`);
    },
  ).option('--yes', 'do not ask; without a terminal nothing is asked');

  return noun(
    'consumer',
    'Consumers: how far each is, its dead letters, and where it goes on.',
    ['restante consumer list', 'restante consumer dead billing'],
    [list, show, dead, again, seek, remove],
  );
};

// dead: all dead letters in a table, or one with its request ---------------------------------------------------------

const PAGE = 100;
const AT_A_TIME = 8;
const DEAD_COLUMNS = ['id', 'dt', 'wh_id', 'attempts', 'event_type', 'event_id', 'reason'];

type Letter = Awaited<ReturnType<ReturnType<Client['consumer']>['dead']>>['dead'][number];

/** A dead letter with facts of its content, which may be deleted by now. */
const described = (letter: Letter, content: Content | undefined) => ({
  ...letter,
  dt: content?.dt ?? null,
  event_type: content?.request?.event_type ?? null,
  event_id: content?.request?.event_id ?? null,
});

async function* pages(client: Client, name: string): AsyncGenerator<readonly Letter[]> {
  for (let id = 0; ; ) {
    const { dead, next_id } = await client.consumer(name).dead({ id, limit: PAGE });
    if (dead.length > 0) yield dead;
    if (dead.length < PAGE) return;
    id = next_id;
  }
}

async function listDead(io: Io, client: Client, name: string, json: boolean): Promise<void> {
  const rows: ReturnType<typeof described>[] = [];
  // A few at a time: each content is fetched whole, and may be large.
  for await (const page of pages(client, name))
    for (let at = 0; at < page.length; at += AT_A_TIME)
      rows.push(
        ...(await Promise.all(
          page
            .slice(at, at + AT_A_TIME)
            .map(async (one) => described(one, await unless(client.contents.get(one.id), 404))),
        )),
      );
  if (json) return io.out(`${JSON.stringify(rows)}\n`);
  if (rows.length === 0) return io.out(`${name} has no dead letters\n`);
  io.out(table(rows, DEAD_COLUMNS, io.width));
}

async function inspectDead(
  io: Io,
  client: Client,
  name: string,
  id: number,
  how: 'raw' | 'json' | 'text',
): Promise<void> {
  const [letter] = (await client.consumer(name).dead({ id, limit: 1 })).dead;
  if (letter?.id !== id)
    throw new Complaint(`content ${id} is no dead letter of ${name}: restante consumer dead ${name}`);
  if (how === 'raw') return io.out(await client.contents.raw(id));
  const content = await client.contents.get(id);
  if (how === 'json') return io.out(`${JSON.stringify({ ...described(letter, content), ...content })}\n`);
  io.out(`${[...facts(letter, content), '', ...requestLines(content)].join('\n')}\n`);
}

function facts(letter: Letter, content: Content): string[] {
  const { dead_at, attempts, reason, wh_id, id } = letter;
  const rows = {
    id,
    dt: content.dt,
    wh_id,
    attempts,
    dead_at,
    reason,
    event_type: content.request?.event_type,
    event_id: content.request?.event_id,
    ip: content.request?.ip ?? content.ip,
    verified: content.request?.verified,
  };
  return Object.entries(rows).flatMap(([name, value]) =>
    value == null || value === '' ? [] : [`${name.padEnd(10)} ${plain(String(value))}`],
  );
}

/** The request as it came. Own content has only a body. */
function requestLines(content: Content): string[] {
  const { request, encoding } = content;
  const head = request
    ? [
        plain(`${request.method} ${request.public_url}`),
        ...request.headers.map(([name, value]) => plain(`${name}: ${value}`)),
        '',
      ]
    : [];
  const body =
    encoding === 'base64'
      ? [`(${content.bytes().length} bytes that are no text: --raw writes them)`]
      : content.text().split(/\r?\n/).map(tabbed);
  return [...head, ...body];
}
const tabbed = (line: string): string => line.split('\t').map(plain).join('\t');

// redrive: in as many calls as it takes ------------------------------------------------------------------------------

interface Outcome {
  readonly done: readonly number[];
  readonly conflicts: readonly { readonly id: number; readonly reason: string }[];
  readonly more?: boolean;
}

// As many as the API takes in one call.
const MOST_IDS = 500;

/** What a call did. A conflict is an answer too: the ids that are done stay done. */
async function attempt(client: Client, name: string, ids?: readonly number[]): Promise<Outcome> {
  try {
    return await client.consumer(name).retryDead(ids ? { ids } : {});
  } catch (error) {
    if (error instanceof RestanteError && error.code === 'conflict') return error.problem as unknown as Outcome;
    throw error;
  }
}

/** Without `ids` all there are. */
async function* attempts(client: Client, name: string, ids?: readonly number[]): AsyncGenerator<Outcome> {
  for (let from = 0; ids && from < ids.length; from += MOST_IDS)
    yield await attempt(client, name, ids.slice(from, from + MOST_IDS));
  if (ids) return;
  for (;;) {
    const outcome = await attempt(client, name);
    yield outcome;
    // Nothing was done although some are left: further calls would never end.
    if (!outcome.more || outcome.done.length === 0) return;
  }
}

export async function redrive(
  io: Io,
  client: Client,
  name: string,
  ids: readonly number[] | undefined,
  json: boolean,
): Promise<void> {
  const all: { done: number[]; conflicts: { id: number; reason: string }[] } = { done: [], conflicts: [] };
  for await (const { done, conflicts } of attempts(client, name, ids)) {
    all.done.push(...done);
    all.conflicts.push(...conflicts);
  }
  if (json) io.out(`${JSON.stringify(all)}\n`);
  else {
    io.out(`${all.done.length} dead letters of ${name} wait for the next pull\n`);
    for (const { id, reason } of all.conflicts) io.err(`content ${id}: ${reason}\n`);
  }
  if (all.conflicts.length > 0) throw new Complaint(`${all.conflicts.length} were not redriven`);
}
