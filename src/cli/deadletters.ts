// Dead letters for people: all of them in a table, or one with its request as it came.
import type { Client, Content } from '../client/index.ts';
import { RestanteError } from '../client/index.ts';
import { Complaint, type Io, plain, table } from './io.ts';

const PAGE = 100;
const AT_A_TIME = 8;
const COLUMNS = ['id', 'dt', 'wh_id', 'attempts', 'event_type', 'event_id', 'reason'];

type Letter = Awaited<ReturnType<ReturnType<Client['consumer']>['dead']>>['dead'][number];

/** A dead letter beside what it was. Its content may be deleted by now. */
const described = (letter: Letter, content: Content | undefined) => ({
  ...letter,
  dt: content?.dt ?? null,
  event_type: content?.request?.event_type ?? null,
  event_id: content?.request?.event_id ?? null,
});

/** Undefined when it is not kept any more. */
async function contentOf(client: Client, id: number): Promise<Content | undefined> {
  try {
    return await client.contents.get(id);
  } catch (error) {
    if (error instanceof RestanteError && error.status === 404) return undefined;
    throw error;
  }
}

async function* pages(client: Client, name: string): AsyncGenerator<readonly Letter[]> {
  for (let id = 0; ; ) {
    const { dead, next_id } = await client.consumer(name).dead({ id, limit: PAGE });
    if (dead.length > 0) yield dead;
    if (dead.length < PAGE) return;
    id = next_id;
  }
}

export async function listDead(io: Io, client: Client, name: string, json: boolean): Promise<void> {
  const rows: ReturnType<typeof described>[] = [];
  // A few at a time: each is fetched whole, and may be large.
  for await (const page of pages(client, name))
    for (let at = 0; at < page.length; at += AT_A_TIME)
      rows.push(
        ...(await Promise.all(
          page.slice(at, at + AT_A_TIME).map(async (one) => described(one, await contentOf(client, one.id))),
        )),
      );
  if (json) return io.out(`${JSON.stringify(rows)}\n`);
  if (rows.length === 0) return io.out(`${name} has no dead letters\n`);
  io.out(table(rows, COLUMNS));
}

export async function inspectDead(
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

/** The request as it came. Nobody sent own content over HTTP: it is a body alone. */
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
