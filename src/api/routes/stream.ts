// The list as a live stream of server-sent events: what is there, then what comes, until one side ends it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { revoked } from '../../errors.ts';
import type { Lists, PageOptions } from '../../reading/lists.ts';
import type { Cancellation } from '../../reading/tail.ts';
import { inTurn } from '../../verify/slices.ts';
import type { Served, ServedPage, Serving } from '../serving.ts';

const HEARTBEAT_MS = 15_000;
// A client that takes nothing for so long is gone, or comes back with Last-Event-ID.
const STUCK_MS = 60_000;

export type Selection = Omit<PageOptions, 'from'>;
/**
 * A page of it, narrowed or not; a search stops early when `ended` fires. `together`: with others that ask for the same within a
 * second.
 */
export type Read = (from: number | 'latest', ended: Cancellation, together?: 'together') => Promise<ServedPage>;

export const wantsStream = (request: FastifyRequest): boolean =>
  /\btext\/event-stream\b/i.test(request.headers.accept ?? '');

/**
 * One page at a time: the next is read when the socket has taken the last, so that a slow reader holds no more than a page of memory,
 * which counts in the room for answers of its user. Ends with `event: end` when there is no room for the next page, when the service
 * stops, or when the token is revoked.
 */
export async function streamContents(
  { lists, config, serving }: { readonly lists: Lists; readonly config: Config; readonly serving: Serving },
  list: Selection,
  read: Read,
  start: number | 'latest',
  ended: Cancellation,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // The first page tells whether the database answers: what fails before the stream begins is a problem, not a stream.
  let page = await read(start, ended, 'together');
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
  });
  let spoke = performance.now();
  /** Writes; resolves when the socket has taken it, or does not have to any more. */
  const write = async (piece: string | Buffer): Promise<void> => {
    spoke = performance.now();
    if (raw.destroyed || raw.write(piece) || ended.aborted) return;
    await new Promise<void>((resolve) => {
      const stuck = setTimeout(() => raw.destroy(), STUCK_MS);
      const done = () => {
        clearTimeout(stuck);
        raw.off('drain', done);
        ended.removeEventListener('abort', done);
        resolve();
      };
      raw.on('drain', done);
      ended.addEventListener('abort', done);
    });
  };
  /** Whole, once begun. False: others of this user have not taken theirs, and there is no room for it. */
  const send = async (content: Served): Promise<boolean> => {
    const { id, json } = content;
    const head = `id: ${id}\nevent: content\ndata: `;
    if (typeof json === 'string') {
      await write(`${head}${json}}\n\n`);
      return true;
    }
    const taken = await serving.enter(list.userId, [content], ended);
    if (!taken) return false;
    raw.write(head);
    for (const piece of json) {
      await inTurn(list.userId);
      await write(piece);
    }
    await write('}\n\n');
    taken();
    return true;
  };
  let next = page.next;
  try {
    await write(': ok\n\n');
    while (!ended.aborted) {
      const [first] = page.contents;
      if (first) {
        // Where it goes on, if it ends within the page.
        next = first.id;
        const release = serving.hold(page.contents);
        let sent = 0;
        if (release)
          for (const content of page.contents) {
            if (ended.aborted || !(await send(content))) break;
            next = content.id + 1;
            sent++;
          }
        release?.();
        if (ended.aborted || sent < page.contents.length) break;
      }
      next = page.next;
      if (page.reset !== undefined) {
        await write(`event: reset\ndata: ${JSON.stringify({ max_id: page.reset })}\n\n`);
        next = page.reset + 1;
      }
      if (!first) {
        // Since the last write, not since the last wake: a content that does not pass the filter wakes too, and is not sent.
        await lists.wait(list, next, spoke + HEARTBEAT_MS - performance.now(), ended);
        if (performance.now() - spoke >= HEARTBEAT_MS - 10) await write(': hb\n\n');
      }
      if (!ended.aborted) page = await read(next, ended, 'together');
    }
  } catch {
    // The database is away, or there is no room: the client comes back with Last-Event-ID.
  }
  if (!raw.destroyed) raw.end(`event: end\ndata: ${JSON.stringify(endOf(ended, next, config))}\n\n`);
  return reply;
}

function endOf(ended: Cancellation, next: number, { serviceName }: Pick<Config, 'serviceName'>): object {
  if (ended.reason !== 'revoked') return { next_id: next };
  const { status, title, message } = revoked(serviceName);
  return { next_id: next, status, title, detail: message };
}
