// restante consumer list|show|dead|redrive|seek|delete: how far each reader is, what it gave up, and where it goes on.
import type { Command } from 'commander';
import type { Client, Consumer } from '../client/index.ts';
import { type ClientFlags, withClient } from './credentials.ts';
import { inspectDead, listDead } from './deadletters.ts';
import { Complaint, type Io, plain, table } from './io.ts';
import { MOST_ID, spanMs, whole, withService } from './options.ts';
import { redrive } from './redrive.ts';
import { type Examples, noun, verb } from './verb.ts';

interface Options extends ClientFlags {
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly to: string;
}

const COLUMNS = ['name', 'whid', 'backlog', 'oldest_age_s', 'in_flight', 'dead', 'last_id', 'pulled_at'];

/** As the API names it; what a cell cannot hold is put into words. */
const shown = (consumer: Consumer): Record<string, unknown> => ({
  ...consumer,
  whid: consumer.whid?.join(',') ?? 'all',
  backlog: `${consumer.backlog}${consumer.backlog_more ? '+' : ''}`,
  ...(consumer.gap ? { gap: `${consumer.gap.from} to ${consumer.gap.to} were deleted before they were read` } : {}),
});

function tell(io: Io, consumer: Consumer, json: boolean | undefined): void {
  const { backlog_more: _, ...rows } = shown(consumer);
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

/** A person is asked; a script has said what it wants by calling. */
async function sure(io: Io, { yes }: Options, question: string): Promise<boolean> {
  if (yes || !io.tty) return true;
  return /^y(es)?$/i.test((await io.ask(`${question} [y/N] `)).trim());
}

/** Most likely a slip: the consumer gets nothing until ids are that high. */
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
      io.out(json ? `${JSON.stringify(consumers)}\n` : table(consumers.map(shown), COLUMNS));
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
