// Reads the body of a request below Fastify: whole up to a limit, or not at all.
import type { IncomingMessage } from 'node:http';

// A refused sender is read on for a while, so that it sees the answer and not a reset; then it is cut off.
const READ_ON_BYTES = 8 * 1024 * 1024;

/** The sender went away before the end of its request. */
export class Aborted extends Error {}

/** The whole body, or undefined once it is longer than `limit`. Throws when the sender goes away before its end. */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    if (request.destroyed) return reject(new Aborted()); // gone while its webhook was looked up
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve(undefined);
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    // Emitted after every request; an error object for each would cost 5 % of the throughput.
    request.on('close', () => request.complete || reject(new Aborted()));
  });
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
