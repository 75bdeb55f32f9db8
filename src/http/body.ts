// Reads the bodies of requests, for the receiver and the API: whole up to a limit, or not at all, within one budget of memory.
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SMALL_BYTES } from '../admission/resources.ts';
import { laneOf, type Owner, type Room } from '../admission/rooms.ts';
import { badRequest, type FieldError, invalid, tooLarge } from '../errors.ts';

// So much more is read of a refused request, for its sender to see the answer and not a reset. Then the connection is cut.
const READ_ON_BYTES = 8 * 1024 * 1024;

/** The sender went away before the end of its request. */
export class Aborted extends Error {
  readonly statusCode = 400;
}

export type BodyReader = ReturnType<typeof createBodyReader>;

/** Within the room for large bodies: slow senders must not fill the memory. */
export function createBodyReader(room: Pick<Room, 'take' | 'give'>) {
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
        const lane = laneOf(owner);
        if (held > 0 && !room.take(owner.user_id, held, lane)) return resolve('no-room');
        function settle(): void {
          chunks.length = 0;
          if (held > 0) room.give(owner.user_id, held, lane);
          held = 0;
        }
        request.on('data', (chunk: Buffer) => {
          size += chunk.length;
          const more = Math.max(0, size - SMALL_BYTES) - held;
          const full = more > 0 && size <= limit && !room.take(owner.user_id, more, lane);
          const refusal = size > limit ? 'too-large' : full ? 'no-room' : undefined;
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

// Bodies of calls: their bytes, and JSON by rules that the schemas cannot say.

/** Any Content-Type is read as bytes, within the budget that the receiver uses as well. */
export function readBodies(
  fastify: FastifyInstance,
  { bodies, rooms }: { readonly bodies: BodyReader; readonly rooms: { readonly bodies: Pick<Room, 'refuse'> } },
): void {
  fastify.addContentTypeParser('*', async (request: FastifyRequest) => {
    const { raw, routeOptions } = request;
    const limit = routeOptions.bodyLimit;
    const body = await bodies.read(raw, { user_id: request.userId, wh_id: 0 }, limit);
    if (Buffer.isBuffer(body)) return body;
    readOn(raw);
    throw body === 'too-large' ? tooLarge(limit) : rooms.bodies.refuse();
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
    throw badRequest(detail);
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
