// restante pull NAME: contents of a consumer as lines of JSON, into files, or each to a program; acked when that went well.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Client, Delivery } from '../../client/index.ts';
import { Complaint, flushFolder, type Io, makeFolder, writeWhole } from '../io.ts';
import { choiceOf, STARTS, verb, whole, withService } from '../verb.ts';
import { type ClientFlags, clientOf, toComplaint } from './credentials.ts';

interface Options extends ClientFlags {
  readonly follow?: boolean;
  readonly limit?: string;
  readonly whid?: string;
  readonly ack: string;
  readonly raw?: string;
  readonly exec?: string;
  readonly start?: string;
}

export const pullCommand = (io: Io): Command =>
  withService(
    verb({
      name: 'pull',
      summary: 'Fetch contents of a consumer as lines of JSON, for jq and scripts.',
      examples: [
        'restante pull billing --limit 10 | jq .request.event_type',
        "restante pull billing --follow --exec './handle.sh'",
      ],
      settings: [],
      fails: 'a command failed',
    }),
  )
    .argument('<name>', 'the consumer; it goes on where it stopped')
    .option('--follow', 'go on with contents that come; else end when none waits')
    .option('--limit <n>', 'at most so many contents')
    .option('--whid <ids>', 'webhooks of a new consumer, as 1,2; default all')
    .option('--start <where>', 'where a new consumer begins: earliest or latest')
    .option('--ack <when>', 'auto: once a content is printed, stored or handled; none: it comes again', 'auto')
    .option('--raw <folder>', 'a file of each body, named by its id')
    .option('--exec <command>', 'run for each, with the body as its input and RESTANTE_* set; exit code 0 = done')
    .action(async (name: string, options: Options) => {
      const settings = read(options);
      const client = clientOf(io, options);
      const ended = new AbortController();
      void io.stopped().then(() => ended.abort());
      try {
        await client.verify({ signal: ended.signal });
        if (settings.whid) await client.consumer(name).put({ whid: settings.whid, ...settings.start });
        const failed = await (settings.follow ? follow : drain)({ io, client, name, settings, ended });
        if (failed > 0) throw new Complaint(`${failed} contents were not handled: they come again`, 1);
      } catch (error) {
        if (!ended.signal.aborted || error instanceof Complaint) throw toComplaint(error);
      }
    });

type Settings = ReturnType<typeof read>;
interface Run {
  readonly io: Io;
  readonly client: Client;
  readonly name: string;
  readonly settings: Settings;
  readonly ended: AbortController;
}

function read({ follow, limit, ack, whid, start, raw, exec }: Options) {
  if (whid !== undefined && !/^\d{1,10}(,\d{1,10})*$/.test(whid))
    throw new Complaint(`--whid must be numbers of webhooks as 1,2, not ${whid}`, 2);
  const from = choiceOf(start, '--start', STARTS);
  const settings = {
    follow: follow === true,
    limit: limit === undefined ? Number.POSITIVE_INFINITY : whole(limit, '--limit', 1, 999_999_999),
    ack: choiceOf(ack, '--ack', ['auto', 'none']) === 'auto',
    whid: whid?.split(',').map(Number),
    /** For calls that may make the consumer. */
    start: from ? { start: from } : {},
    raw,
    exec,
  };
  if (raw) makeFolder(raw, 0o777);
  return settings;
}

/** Until nothing waits. Resolves with how many were not handled. */
async function drain({ io, client, name, settings, ended }: Run): Promise<number> {
  const consumer = client.consumer(name);
  let failed = 0;
  let left = settings.limit;
  while (left > 0 && !ended.signal.aborted) {
    const { lease, items } = await consumer.pull({ limit: Math.min(left, 100), ...settings.start });
    if (items.length === 0 || lease === null) break;
    left -= items.length;
    const done: number[] = [];
    const undone: number[] = [];
    // When a content could be neither printed nor stored, those after it cannot either. Those before it are done.
    const broken: unknown[] = [];
    for (const item of items) {
      const going = broken.length === 0 && !ended.signal.aborted;
      try {
        const good = going && (await handle(io, item as unknown as Delivery, settings));
        (good ? done : undone).push(item.id);
      } catch (error) {
        undone.push(item.id);
        broken.push(error);
      }
    }
    const given = ended.signal.aborted || broken.length > 0;
    if (settings.ack && done.length > 0) await consumer.ack({ lease, ids: done });
    if (settings.ack && undone.length > 0) await consumer.nack({ lease, ids: undone, delay_seconds: given ? 0 : 1 });
    if (broken.length > 0) throw broken[0];
    if (settings.ack && !given) failed += undone.length;
  }
  return failed;
}

/** Until it is stopped, or the limit is reached. */
async function follow({ io, client, name, settings, ended }: Run): Promise<number> {
  let left = settings.limit;
  for await (const content of client.consume(name, { signal: ended.signal, ...settings.start })) {
    const good = await handle(io, content, settings);
    if (!good) await content.nack({ delay_seconds: Math.min(2 ** content.attempt, 300), reason: 'the command failed' });
    else if (settings.ack) content.ack();
    if (--left <= 0) ended.abort();
  }
  return 0;
}

async function handle(io: Io, content: Delivery, { raw, exec }: Settings): Promise<boolean> {
  if (raw) {
    // It becomes the name of a file: a server that is not ours must not choose another folder.
    if (!Number.isSafeInteger(content.id) || content.id < 1)
      throw new Complaint(`the server sent ${JSON.stringify(content.id)}, which is no id of a content`, 1);
    writeWhole(join(raw, String(content.id)), content.bytes(), 0o666);
    flushFolder(raw);
  }
  if (!exec) {
    if (!raw) io.out(`${JSON.stringify(content)}\n`);
    // What the reader did not get is not acked.
    await io.written();
    return true;
  }
  const { id, wh_id, attempt, request } = content;
  const about = {
    RESTANTE_ID: String(id),
    RESTANTE_WEBHOOK: String(wh_id),
    RESTANTE_ATTEMPT: String(attempt),
    RESTANTE_METHOD: request?.method ?? '',
    RESTANTE_PUBLIC_URL: request?.public_url ?? '',
    RESTANTE_EVENT_ID: request?.event_id ?? '',
    RESTANTE_EVENT_TYPE: request?.event_type ?? '',
    RESTANTE_CONTENT_TYPE: content.header('content-type') ?? '',
  };
  const { RESTANTE_AUTH: _, RESTANTE_AUTH_FILE: __, ...env } = io.env;
  return new Promise((resolve) => {
    const child = spawn(exec, {
      shell: true,
      env: { ...env, ...about } as NodeJS.ProcessEnv,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk: Buffer) => io.out(chunk));
    child.stderr.on('data', (chunk: Buffer) => io.err(chunk.toString()));
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
    // A command need not read its input.
    child.stdin.on('error', () => {});
    child.stdin.end(content.bytes());
  });
}
