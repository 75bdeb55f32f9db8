// A client on a bare socket, one request at a time: ten thousand that wait cost next to nothing, so the service is what is measured.
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  /** When its last byte had come, in performance.now(). */
  readonly at: number;
}

export interface Wire {
  /** Sends a request made by get() or post(). Rejects when the connection breaks. */
  ask(request: string): Promise<Answer>;
  close(): void;
}

export const get = (path: string, auth: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: ${auth}\r\n\r\n`;

export const post = (path: string, auth: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: bench\r\n${auth ? `Authorization: ${auth}\r\n` : ''}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

const END = '\r\n\r\n';

export function connect(url: string): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
    let chunks: Buffer[] = [];
    let have = 0;
    // Length of the whole answer, once its head is there.
    let whole = 0;
    let bodyFrom = 0;
    let status = 0;
    let asked: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

    function readHead(): void {
      const start = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      chunks = [start];
      const end = start.indexOf(END);
      if (end < 0) return;
      const head = start.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (length === undefined) {
        broken(new Error(`an answer without Content-Length: ${head}`));
        return;
      }
      status = Number(head.slice(9, 12));
      bodyFrom = end + END.length;
      whole = bodyFrom + Number(length);
    }
    function broken(error: Error): void {
      socket.destroy();
      asked?.reject(error);
      asked = undefined;
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      have += chunk.length;
      if (whole === 0) readHead();
      if (whole === 0 || have < whole) return;
      const body = (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).subarray(bodyFrom, whole);
      chunks = [];
      have = 0;
      whole = 0;
      const { resolve: answer } = asked ?? {};
      asked = undefined;
      answer?.({ status, body, at: performance.now() });
    });
    socket.on('error', (error) => {
      reject(error);
      broken(error);
    });
    socket.on('close', () => broken(new Error('the connection was closed')));
    socket.on('connect', () =>
      resolve({
        ask: (request) =>
          new Promise((done, fail) => {
            asked = { resolve: done, reject: fail };
            socket.write(request, 'latin1');
          }),
        close: () => socket.destroy(),
      }),
    );
  });
}

/** A steady pace, however long each takes: who waits for one leaves the next to another. */
export async function paced(perSecond: number, until: number, send: (seq: number) => Promise<void>): Promise<void> {
  const began = performance.now();
  let seq = 0;
  let failed: unknown;
  const running = new Set<Promise<void>>();
  while (performance.now() < until && !failed) {
    const due = Math.floor(((performance.now() - began) * perSecond) / 1000);
    for (; seq < due; seq++) {
      const one: Promise<void> = send(seq)
        .catch((error: unknown) => {
          failed = error;
        })
        .finally(() => running.delete(one));
      running.add(one);
    }
    await sleep(1);
  }
  await Promise.all(running);
  if (failed) throw failed;
}
