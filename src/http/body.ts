// Reads the bodies of requests, for the receiver and the API: whole up to a limit, or not at all, within one budget of memory.
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type FieldError, invalid, Problem, tooLarge, unavailable } from '../errors.ts';
import type { ShedWhy } from '../observe/metrics.ts';

// So much more is read of a refused request, for its sender to see the answer and not a reset. Then the connection is cut.
const READ_ON_BYTES = 8 * 1024 * 1024;

/** The sender went away before the end of its request. */
export class Aborted extends Error {
  readonly statusCode = 400;
}

// Memory for all large bodies that are being read. Slow senders must not fill the memory.
const MOST_BYTES = 256 * 1024 * 1024;
// The beginning of each body is not counted: small bodies always have room.
export const SMALL_BYTES = 64 * 1024;

export type BodyReader = ReturnType<typeof createBodyReader>;

export function createBodyReader(mostBytes = MOST_BYTES) {
  const { hold } = createByteBudget(mostBytes);
  return {
    /**
     * The whole body; or that it is longer than `limit`, or that its owner or all bodies have used up the memory.
     * Rejects with Aborted when the sender goes away before its end.
     */
    read: (request: IncomingMessage, owner: Owner, limit: number): Promise<Buffer | 'too-large' | 'no-room'> =>
      new Promise((resolve, reject) => {
        if (request.destroyed) return reject(new Aborted()); // gone while its webhook was looked up
        const chunks: Buffer[] = [];
        let size = 0;
        // What the sender declares is held from the start: else others who come meanwhile would take its place half-way.
        const declared = Math.min(Number(request.headers['content-length'] ?? 0), limit);
        let held = Math.max(0, declared - SMALL_BYTES);
        if (held > 0 && !hold(owner, held)) return resolve('no-room');
        function settle(): void {
          chunks.length = 0;
          if (held > 0) hold(owner, -held);
          held = 0;
        }
        request.on('data', (chunk: Buffer) => {
          size += chunk.length;
          const more = Math.max(0, size - SMALL_BYTES) - held;
          const refusal = size > limit ? 'too-large' : more > 0 && !hold(owner, more) ? 'no-room' : undefined;
          if (!refusal) {
            held += Math.max(0, more);
            chunks.push(chunk);
            return;
          }
          settle();
          size = Number.POSITIVE_INFINITY;
          resolve(refusal);
        });
        request.on('end', () => {
          resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
          settle();
        });
        // Emitted after every request: an error object for each would cost 5 % of the throughput.
        request.on('close', () => {
          settle();
          if (!request.complete) reject(new Aborted());
        });
      }),
  };
}

/** True when more of a refused request may come than is read on: its connection ends then, and a proxy in front must be told. */
export const isLong = ({ complete, headers }: IncomingMessage): boolean =>
  !complete && Number(headers['content-length'] ?? 0) > READ_ON_BYTES;

/** Reads and discards what a refused sender still sends, up to a limit. */
export function readOn(request: IncomingMessage): void {
  let left = READ_ON_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('error', () => {});
  request.resume();
}

// What users share: memory of each kind. However many users take all they may, the next one still gets something.

/** Whose something is: of a webhook, or with `wh_id` 0 of the user alone. */
export interface Owner {
  readonly user_id: number;
  readonly wh_id: number;
}

/** Of what the other users leave, one user may hold half, and of that one webhook three quarters. */
export const shareOf = (left: number): { readonly user: number; readonly lane: number } => ({
  user: left / 2,
  lane: (left / 2) * 0.75,
});

/** A budget of bytes that users share. */
export function createByteBudget(mostBytes: number) {
  const users = new Map<number, { held: number; readonly lanes: Map<number, number> }>();
  let all = 0;
  return {
    /** Takes bytes for a webhook and its user. False: there is no room, and nothing was taken. Negative bytes give back. */
    hold(owner: Owner, bytes: number): boolean {
      const { user_id, wh_id } = owner;
      const mine = users.get(user_id) ?? { held: 0, lanes: new Map<number, number>() };
      const lane = (mine.lanes.get(wh_id) ?? 0) + bytes;
      const most = shareOf(mostBytes - all + mine.held);
      if (bytes > 0 && (mine.held + bytes > most.user || lane > most.lane)) return false;
      all += bytes;
      mine.held += bytes;
      if (lane > 0) mine.lanes.set(wh_id, lane);
      else mine.lanes.delete(wh_id);
      if (mine.held > 0) users.set(user_id, mine);
      else users.delete(user_id);
      return true;
    },
    get held(): number {
      return all;
    },
  };
}

// Bodies of calls: their bytes, and JSON by rules that the schemas cannot say.

/** Any Content-Type is read as bytes, within the budget that the receiver uses as well. */
export function readBodies(
  fastify: FastifyInstance,
  { bodies, shed }: { readonly bodies: BodyReader; readonly shed: (why: ShedWhy) => void },
): void {
  fastify.addContentTypeParser('*', async (request: FastifyRequest) => {
    const { raw, routeOptions } = request;
    const limit = routeOptions.bodyLimit;
    const body = await bodies.read(raw, { user_id: request.userId, wh_id: 0 }, limit);
    if (Buffer.isBuffer(body)) return body;
    readOn(raw);
    if (body === 'no-room') shed('bodies');
    throw body === 'too-large'
      ? tooLarge(limit)
      : unavailable('Too many large bodies are being read. Send it again soon.');
  });
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

// Far more than any call needs. To parse 300,000 and to tell what is wrong with each holds up all other requests for seconds.
const MOST_VALUES = 10_000;

/** No body is read as `{}`: a member that is not optional is then named as missing. */
export function readJson(body: Buffer | undefined): unknown {
  if (!body?.length) return {};
  if (holdsMore(body, MOST_VALUES)) throw invalid([{ path: 'body', message: `has more than ${MOST_VALUES} values` }]);
  try {
    return JSON.parse(UTF8.decode(body));
  } catch (error) {
    const detail = `The body is not JSON in UTF-8: ${(error as Error).message}. Correct it and send again.`;
    throw new Problem(400, 'bad-request', 'Bad Request', detail);
  }
}

/** Whether JSON has more than so many values: each but the first follows a comma, a bracket or a brace. */
export function holdsMore(json: Buffer, most: number): boolean {
  let count = 0;
  let inText = false;
  for (let at = 0; at < json.length && count < most; at++) {
    const byte = json[at];
    if (byte === 0x22) inText = !inText;
    else if (inText) at += byte === 0x5c ? 1 : 0;
    else if (byte === 0x2c || byte === 0x5b || byte === 0x7b) count++;
  }
  return count >= most;
}

/** What a schema says of the lengths of lists. */
export interface Lengths {
  readonly properties?: Readonly<Record<string, { readonly maxItems?: number }>>;
}

/** Lengths come first: what of a body is too long to be looked at any further. */
export function overlong(body: unknown, { properties = {} }: Lengths): FieldError | undefined {
  for (const [name, value] of isObject(body) ? Object.entries(body) : []) {
    const most = Object.hasOwn(properties, name) ? properties[name]?.maxItems : undefined;
    if (Array.isArray(value) && most !== undefined && value.length > most)
      return { path: `body.${name}`, message: `must NOT have more than ${most} items` };
  }
  return undefined;
}

/** ajv turns the text 1e999 into Infinity, and no maximum refuses that. */
export const allFinite = (value: unknown): boolean =>
  typeof value === 'number' ? Number.isFinite(value) : !isObject(value) || Object.values(value).every(allFinite);
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

// As RFC 3339 has it, without leap seconds.
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)$/i;
/** A text that passes as a date-time, but that Date cannot read, would be kept as "never". */
export function isTime(text: string): boolean {
  const [date = ''] = text.split(/[T ]/i);
  // Date reads the 30th of February as the 2nd of March.
  return (
    TIME.test(text) && !Number.isNaN(Date.parse(text)) && new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)
  );
}

/** The lane of a webhook: its senders wait for one another and not for others. A user's own contents have a lane, too. */
export const laneOf = ({ wh_id, user_id }: Owner): number => wh_id || -user_id;
