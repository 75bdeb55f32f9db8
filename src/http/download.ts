// Downloads one small file by https, from a host that the caller has checked: no redirect, no more bytes and no more time than given.
import { type Agent, request } from 'node:https';

export interface Downloaded {
  readonly status: number;
  readonly body: Buffer;
}

const MOST_BYTES = 64 * 1024;
const MOST_MS = 5_000;

/** Rejects when the host cannot be reached, answers too slowly or with too much. A redirect is a status like any other. */
export function download(url: string, agent?: Agent, mostMs = MOST_MS): Promise<Downloaded> {
  return new Promise((resolve, reject) => {
    // The time counts for all of it: a host that sends a byte a second would never be idle.
    const signal = AbortSignal.timeout(mostMs);
    // Also where the environment says that certificates need not be checked: all rests on this check.
    const options = { agent: agent ?? false, rejectUnauthorized: true, signal, headers: { Accept: '*/*' } };
    const sent = request(url, options, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MOST_BYTES) sent.destroy(new Error(`more than ${MOST_BYTES} bytes`));
        else chunks.push(chunk);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}
