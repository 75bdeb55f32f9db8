// Reads the body of a request below Fastify: whole up to a limit, or not at all.
import type { IncomingMessage } from 'node:http';
import { createRoom } from '../flow/room.ts';

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

export interface Intake {
  /**
   * The whole body; or that it is longer than `limit`, or that there is no room for more of it now. `line`: whose it is.
   * Rejects with Aborted when the sender goes away before its end.
   */
  read(request: IncomingMessage, line: number, limit: number): Promise<Buffer | 'too-large' | 'no-room'>;
}

export function createIntake(mostBytes = MOST_BYTES): Intake {
  const { hold } = createRoom(mostBytes);
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
