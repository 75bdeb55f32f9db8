// Contents on their way to readers: each is made JSON once for all who wait for it, its bytes are shared, and what readers have
// not taken yet counts in the room for answers, once however many they are.
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { SMALL_BYTES } from '../admission/resources.ts';
import type { Room } from '../admission/rooms.ts';
import type { Config } from '../config/config.ts';
import type { Page } from '../reading/lists.ts';
import { arrival, type Cancellation } from '../reading/tail.ts';
import type { ContentRow } from '../store/contents.ts';
import { inSlices, inTurn, type Sliced } from '../verify/slices.ts';
import { contentToJson, contentToWire } from './wire.ts';

/** A content as JSON without its closing brace. */
export interface Served {
  readonly id: number;
  readonly userId: number;
  /** Pieces of bytes, of a large content. */
  readonly json: string | readonly Buffer[];
  readonly bytes: number;
  /** How many have it in hand. While there are any it is counted. */
  readers: number;
}

export interface ServedPage extends Omit<Page, 'contents'> {
  readonly contents: readonly Served[];
}

/** A part of an answer: text, a content, and so on. */
export type Part = string | Served;

// A longer answer is sent in pieces. In one, 6 MB of headers would take the event loop for 20 ms at once.
const MOST_TEXT = 512 * 1024;
const TEXT_PIECE = 128 * 1024;

// What was read for one who waited is kept so long for the others who were woken with him and are a little later.
const KEPT_MS = 1_000;
const MOST_KEPT_BYTES = 32 * 1024 * 1024;

// A connection whose reader takes nothing holds this much in the buffers of the kernel, at most: on loopback, where proxies are. Of
// a thousand such connections Linux has no memory left for those of others.
const KERNEL_BYTES = 2.5 * 1024 * 1024;
// For so long a reader waits for others of its user to take theirs. A stream is not silent for longer than 22 s with that.
const PATIENCE_MS = 5_000;
// Room may also become free because another user's readers have taken theirs.
const LOOK_EVERY_MS = 250;

export type Serving = ReturnType<typeof createServing>;

/** Calls `work` when the answer has been sent or its reader is gone, which may have been before. */
export function onceClosed(raw: ServerResponse, work: () => void): void {
  if (raw.destroyed) work();
  else raw.once('close', work);
}

/** `room`: for answers that their readers have not taken yet. */
export function createServing(config: Config, room: Pick<Room, 'take' | 'put' | 'give' | 'refuse'>) {
  const made = new WeakMap<ContentRow, Promise<Served>>();

  function release(contents: readonly Served[]): void {
    for (const one of contents) if (--one.readers === 0) room.give(one.userId, one.bytes);
  }

  async function makeLarge(userId: number, row: ContentRow): Promise<Served> {
    // Counted from now on: its row is in memory, and its JSON will be.
    const expected = 2 * row.content.length;
    if (!room.take(userId, expected)) throw room.refuse();
    try {
      const json = await inSlices(userId, contentToJson(row, config));
      const bytes = json.reduce((sum, piece) => sum + piece.length, 0);
      room.put(userId, bytes);
      return { id: row.id, userId, json, bytes, readers: 1 };
    } finally {
      room.give(userId, expected);
    }
  }

  /** The same row, which several asked for at once, is made JSON once. */
  function large(userId: number, row: ContentRow): Promise<Served> {
    let making = made.get(row);
    if (!making) {
      making = makeLarge(userId, row);
      made.set(row, making);
      // Whoever waits for it takes it in hand before this.
      making.then(
        (one) => setImmediate(() => release([one])),
        () => {},
      );
    }
    return making;
  }

  function small(userId: number, row: ContentRow): Served {
    const json = JSON.stringify(contentToWire(row, config)).slice(0, -1);
    return { id: row.id, userId, json, bytes: Buffer.byteLength(json), readers: 0 };
  }

  function* smallOnes(userId: number, rows: readonly ContentRow[]): Sliced<Served[]> {
    const contents: Served[] = [];
    for (const row of rows) {
      contents.push(small(userId, row));
      yield;
    }
    return contents;
  }

  /** Takes in hand; false: there is no room for it. */
  function take(contents: readonly Served[]): boolean {
    const more = sum(contents.filter(({ readers }) => readers === 0));
    if (more > 0 && !room.take((contents[0] as Served).userId, more)) return false;
    for (const one of contents) one.readers++;
    return true;
  }

  function hold(contents: readonly Served[]): (() => void) | undefined {
    if (sum(contents) <= SMALL_BYTES) return () => {};
    return take(contents) ? () => release(contents) : undefined;
  }

  // Who waits for others of the same user to take what they were sent.
  const queues = new Map<number, Set<() => void>>();
  const listen =
    (userId: number) =>
    (wake: () => void): (() => void) => {
      const queue = queues.get(userId) ?? new Set();
      queues.set(userId, queue.add(wake));
      return () => {
        queue.delete(wake);
        if (queue.size === 0) queues.delete(userId);
      };
    };

  /**
   * Waits for room for what the kernel buffers of a large content; undefined when there is none in time. What it returns is called when
   * the reader has taken the content.
   */
  async function enter(
    userId: number,
    contents: readonly Served[],
    ended?: Cancellation,
  ): Promise<(() => void) | undefined> {
    const bytes = Math.min(KERNEL_BYTES, sum(contents));
    const until = performance.now() + PATIENCE_MS;
    while (!room.take(userId, bytes)) {
      const left = until - performance.now();
      if (left <= 0 || ended?.aborted) {
        // Those who began to wait together would all end in one turn of the event loop.
        await inTurn(userId);
        return undefined;
      }
      await arrival(Math.min(left, LOOK_EVERY_MS), listen(userId), ended);
    }
    return () => {
      room.give(userId, bytes);
      const [first] = queues.get(userId) ?? [];
      first?.();
    };
  }

  async function serve(userId: number, rows: readonly ContentRow[]): Promise<Served[]> {
    const contents: Served[] = [];
    const held: Served[] = [];
    try {
      for (let from = 0; from < rows.length; ) {
        const row = rows[from] as ContentRow;
        if (row.content.length > SMALL_BYTES) {
          const one = await large(userId, row);
          if (!take([one])) throw room.refuse();
          held.push(one);
          contents.push(one);
          from++;
          continue;
        }
        // Together, in slices: each may have headers of 64 KiB.
        const more = rows.findIndex(({ content }, i) => i > from && content.length > SMALL_BYTES);
        const to = more < 0 ? rows.length : more;
        contents.push(...(await inSlices(userId, smallOnes(userId, rows.slice(from, to)))));
        from = to;
      }
      return contents;
    } finally {
      if (held.length > 0) setImmediate(() => release(held));
    }
  }

  // Pages that were read for a call that had waited, by what was asked for.
  const reading = new Map<string, Promise<ServedPage>>();
  // The same when they are read, the oldest first.
  const kept = new Map<string, { readonly page: ServedPage; readonly bytes: number; readonly until: number }>();
  let keptBytes = 0;
  let sweeping: NodeJS.Timeout | undefined;

  function keep(key: string, page: ServedPage): void {
    const bytes = sum(page.contents) + 500;
    if (bytes > MOST_KEPT_BYTES) return;
    kept.set(key, { page, bytes, until: performance.now() + KEPT_MS });
    keptBytes += bytes;
    sweep();
    sweeping ??= setInterval(sweep, KEPT_MS).unref();
  }
  function sweep(): void {
    const now = performance.now();
    for (const [key, { bytes, until }] of kept) {
      if (until > now && keptBytes <= MOST_KEPT_BYTES) return;
      kept.delete(key);
      keptBytes -= bytes;
    }
    clearInterval(sweeping);
    sweeping = undefined;
  }

  return {
    /** Contents as JSON. Rejects with a 503 when there is no room for them. Take them with `hold` before the turn is over. */
    serve,
    /** What `read` finds; those who were woken together and ask for the same share it. */
    async shared(userId: number, key: string, read: () => Promise<ServedPage>): Promise<ServedPage> {
      let page = kept.get(key)?.page;
      if (!page) {
        let found = reading.get(key);
        if (!found) {
          found = read().finally(() => reading.delete(key));
          reading.set(key, found);
          found.then((one) => keep(key, one)).catch(() => {});
        }
        page = await found;
      }
      // One content may have woken thousands, who would all go on in one turn of the event loop.
      await inTurn(userId);
      return page;
    },
    /**
     * Takes contents in hand, until the function that it returns is called. Undefined: there is no room for what the user's readers
     * have not taken yet.
     */
    hold,
    enter,
    /** Answers with JSON of these parts, and counts what of them is large until it is sent. */
    async answer(reply: FastifyReply, userId: number, parts: readonly Part[]): Promise<FastifyReply> {
      const contents = parts.filter((part) => typeof part !== 'string');
      reply.type('application/json; charset=utf-8');
      // The usual case. What is longer than 64 KiB is counted when it is sent.
      if (contents.every(({ json }) => typeof json === 'string') && sum(contents) <= MOST_TEXT)
        return reply.send(parts.map(textOf).join(''));
      const held = hold(contents);
      if (!held) throw room.refuse();
      onceClosed(reply.raw, held);
      const left = await enter(userId, contents);
      if (!left) throw room.refuse();
      onceClosed(reply.raw, left);
      const pieces = piecesOf(parts);
      reply.header(
        'content-length',
        pieces.reduce((all, piece) => all + Buffer.byteLength(piece), 0),
      );
      return reply.send(Readable.from(paced(userId, pieces)));
    },
  };
}

const sum = (contents: readonly Served[]): number => contents.reduce((all, { bytes }) => all + bytes, 0);
const textOf = (part: Part): string => (typeof part === 'string' ? part : (part.json as string));

/** Short texts that follow one another become one piece. */
function piecesOf(parts: readonly Part[]): (Buffer | string)[] {
  const pieces: (Buffer | string)[] = [];
  let text = '';
  const end = (): void => {
    if (text) pieces.push(text);
    text = '';
  };
  for (const part of parts) {
    const json = typeof part === 'string' ? part : part.json;
    if (typeof json === 'string') {
      text += json;
      if (text.length > TEXT_PIECE) end();
    } else {
      end();
      pieces.push(...json);
    }
  }
  end();
  return pieces;
}

/** A few pieces in each turn of the event loop: a thousand answers of megabytes do not hold up all others. */
async function* paced(userId: number, pieces: readonly (Buffer | string)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    await inTurn(userId);
    yield typeof piece === 'string' ? Buffer.from(piece) : piece;
  }
}
