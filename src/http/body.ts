// Reads the body of a request below Fastify: whole up to a limit, or not at all.
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem, tooLarge, unavailable } from '../errors.ts';
import type { ShedWhy } from '../observe/metrics.ts';

// A refused sender is read on for a while, so that it sees the answer and not a reset; then it is cut off.
const READ_ON_BYTES = 8 * 1024 * 1024;

/** The sender went away before the end of its request: its fault, should it still hear of it. */
export class Aborted extends Error {
  readonly statusCode = 400;
}

// Large bodies that are being read, all together; one webhook may take half of it. Whoever sends slowly must not fill the memory.
const MOST_BYTES = 256 * 1024 * 1024;
// The beginning of each is not counted: small webhooks always have room.
const SMALL_BYTES = 64 * 1024;

export interface BodyReader {
  /**
   * The whole body; or that it is longer than `limit`, or that there is no room for more of it now. `line`: whose it is.
   * Rejects with Aborted when the sender goes away before its end.
   */
  read(request: IncomingMessage, line: number, limit: number): Promise<Buffer | 'too-large' | 'no-room'>;
}

export function createBodyReader(mostBytes = MOST_BYTES): BodyReader {
  const { hold } = createByteBudget(mostBytes);
  return {
    read: (request, line, limit) =>
      new Promise((resolve, reject) => {
        if (request.destroyed) return reject(new Aborted()); // gone while its webhook was looked up
        const chunks: Buffer[] = [];
        let size = 0;
        let held = 0;
        function settle(): void {
          chunks.length = 0;
          if (held > 0) hold(line, -held);
          held = 0;
        }
        request.on('data', (chunk: Buffer) => {
          size += chunk.length;
          const more = Math.max(0, size - SMALL_BYTES) - held;
          const why = size > limit ? 'too-large' : more > 0 && !hold(line, more) ? 'no-room' : undefined;
          if (!why) {
            held += Math.max(0, more);
            chunks.push(chunk);
            return;
          }
          settle();
          size = Number.POSITIVE_INFINITY;
          resolve(why);
        });
        request.on('end', () => {
          resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
          settle();
        });
        // Emitted after every request; an error object for each would cost 5 % of the throughput.
        request.on('close', () => {
          settle();
          if (!request.complete) reject(new Aborted());
        });
      }),
  };
}

/** More may still come of a refused request than is read on: its connection ends then, and a proxy in front must be told. */
export const isLong = ({ complete, headers }: IncomingMessage): boolean =>
  !complete && Number(headers['content-length'] ?? 0) > READ_ON_BYTES;

/** Reads and forgets what a refused sender still sends, up to a limit. */
export function readOn(request: IncomingMessage): void {
  let left = READ_ON_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('error', () => {});
  request.resume();
}

// Memory that many share: so much in all, and half of it for one of them.

interface ByteBudget {
  /** False: that is too much, and nothing was taken. `line`: who takes it. Negative bytes give back. */
  hold(line: number, bytes: number): boolean;
  readonly held: number;
}

export function createByteBudget(mostBytes: number): ByteBudget {
  const lines = new Map<number, number>();
  let all = 0;
  return {
    hold(line, bytes) {
      const held = (lines.get(line) ?? 0) + bytes;
      if (bytes > 0 && (all + bytes > mostBytes || held > mostBytes / 2)) return false;
      all += bytes;
      if (held > 0) lines.set(line, held);
      else lines.delete(line);
      return true;
    },
    get held() {
      return all;
    },
  };
}

// Reads what a call sends: its bytes, and as JSON by rules that the schemas cannot say.

/** A body is bytes, whatever it says it is; bodies of all callers share the room of the receiver's. */
export function readBodies(
  fastify: FastifyInstance,
  { bodies, shed }: { readonly bodies: BodyReader; readonly shed: (why: ShedWhy) => void },
): void {
  fastify.addContentTypeParser('*', async (request: FastifyRequest) => {
    const { raw, routeOptions } = request;
    const limit = routeOptions.bodyLimit;
    const body = await bodies.read(raw, laneOf({ user_id: request.userId, wh_id: 0 }), limit);
    if (Buffer.isBuffer(body)) return body;
    readOn(raw);
    if (body === 'no-room') shed('bodies');
    throw body === 'too-large'
      ? tooLarge(limit)
      : unavailable('Too many large bodies are being read. Send it again soon.');
  });
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** No body means no member: every member of ours is optional or named as missing. */
export function readJson(body: Buffer | undefined): unknown {
  if (!body?.length) return {};
  try {
    return JSON.parse(UTF8.decode(body));
  } catch (error) {
    const detail = `The body is not JSON in UTF-8: ${(error as Error).message}. Correct it and send again.`;
    throw new Problem(400, 'bad-request', 'Bad Request', detail);
  }
}

/** ajv turns the text 1e999 into Infinity, and holds that against no maximum. */
export const allFinite = (value: unknown): boolean =>
  typeof value === 'number' ? Number.isFinite(value) : !isObject(value) || Object.values(value).every(allFinite);
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

// As RFC 3339 has it, without leap seconds.
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)$/i;
/** What is a date-time to many schemas and no moment to Date would be kept as "never". */
export function isTime(text: string): boolean {
  const [date = ''] = text.split(/[T ]/i);
  // Date takes the 30th of February for the 2nd of March.
  return (
    TIME.test(text) && !Number.isNaN(Date.parse(text)) && new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)
  );
}

/** The lane of a webhook, so that its senders wait for one another and not for others; own contents of a user have one, too. */
export const laneOf = ({ wh_id, user_id }: { readonly wh_id: number; readonly user_id: number }): number =>
  wh_id || -user_id;
