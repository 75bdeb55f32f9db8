// The list as a live stream of server-sent events: what is there, then what comes, until one side ends it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { revoked } from '../../errors.ts';
import type { Lists, Page, PageOptions } from '../../reading/lists.ts';
import type { Cancellation } from '../../reading/tail.ts';
import { contentToWire } from '../wire.ts';

const HEARTBEAT_MS = 15_000;
// A client that takes nothing for so long is gone, or comes back with Last-Event-ID.
const STUCK_MS = 60_000;

export type Selection = Omit<PageOptions, 'from'>;
/** A page of it, narrowed or not; a search stops early when `ended` fires. */
export type Read = (from: number | 'latest', ended: Cancellation) => Promise<Page>;

export const wantsStream = (request: FastifyRequest): boolean =>
  /\btext\/event-stream\b/i.test(request.headers.accept ?? '');

/**
 * One page at a time: the next is read when the socket has taken the last, so that a slow reader holds no more than a page
 * of memory. Ends with `event: end` when the service stops or the token is revoked.
 */
export async function streamContents(
  { lists, config }: { readonly lists: Lists; readonly config: Config },
  list: Selection,
  read: Read,
  start: number | 'latest',
  ended: Cancellation,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // The first page tells whether the database answers: what fails before the stream begins is a problem, not a stream.
  let page = await read(start, ended);
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
  const write = async (text: string): Promise<void> => {
    spoke = performance.now();
    if (ended.aborted || raw.destroyed || raw.write(text)) return;
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
  let next = page.next;
  try {
    await write(': ok\n\n');
    while (!ended.aborted) {
      for (const row of page.contents) {
        await write(`id: ${row.id}\nevent: content\ndata: ${JSON.stringify(contentToWire(row, config))}\n\n`);
        if (ended.aborted) break;
        next = row.id + 1;
      }
      if (ended.aborted) break;
      next = page.next;
      if (page.reset !== undefined) {
        await write(`event: reset\ndata: ${JSON.stringify({ max_id: page.reset })}\n\n`);
        next = page.reset + 1;
      }
      if (page.contents.length === 0) {
        // Since the last write, not since the last wake: a content that does not pass the filter wakes too, and is not sent.
        await lists.wait(list, next, spoke + HEARTBEAT_MS - performance.now(), ended);
        if (performance.now() - spoke >= HEARTBEAT_MS - 10) await write(': hb\n\n');
      }
      if (!ended.aborted) page = await read(next, ended);
    }
  } catch {
    // The database is away: the client comes back with Last-Event-ID.
  }
  if (!raw.destroyed) raw.end(`event: end\ndata: ${JSON.stringify(endOf(ended, next, config))}\n\n`);
  return reply;
}

function endOf(ended: Cancellation, next: number, { serviceName }: Pick<Config, 'serviceName'>): object {
  if (ended.reason !== 'revoked') return { next_id: next };
  const { status, title, message } = revoked(serviceName);
  return { next_id: next, status, title, detail: message };
}
