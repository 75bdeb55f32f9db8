// Sends unique webhooks under load and keeps an outside ledger of them; the checker compares it with what can be fetched.
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { clock } from './readers.ts';

/** How a webhook ended. `unknown`: the connection broke, it may be stored or not; nobody may call that a failure. */
type Kind = 'sent' | 'acked' | 'refused' | 'unknown';

export interface Event {
  readonly at: number;
  readonly kind: Kind;
  readonly id: string;
  /** sent: the sha256; acked, refused: the status; unknown: the reason. */
  readonly what: string;
  /** Refused: Retry-After, or '-'. */
  readonly more: string;
}

/** One line per event, written before the program goes on: it survives the death of whoever writes it. */
export interface Ledger {
  readonly path: string;
  note(kind: Kind, id: string, what: string, more?: string): void;
  close(): void;
}

export function openLedger(path: string): Ledger {
  const file = openSync(path, 'a');
  return {
    path,
    note: (kind, id, what, more = '-') =>
      void writeSync(file, `${clock()} ${kind} ${id} ${what.replace(/\s+/g, '_')} ${more}\n`),
    close: () => closeSync(file),
  };
}

export function readLedger(path: string): Event[] {
  // What follows the last line end was torn by a kill.
  const lines = readFileSync(path, 'latin1').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [at = '', kind = '', id = '', what = '', more = ''] = line.split(' ');
    return { at: Number(at), kind: kind as Kind, id, what, more };
  });
}

export interface LoadOptions {
  /** Where to connect: http://HOST:PORT. */
  readonly url: string;
  /** Paths of webhooks, taken in turn. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly ledger: Ledger;
  /** Webhooks per second by elapsed ms; 0 = an idle gap. Without it: as fast as the answers come. */
  readonly rate?: (elapsedMs: number) => number;
  /** Ends after so many webhooks; without it at stop(). */
  readonly count?: number;
  readonly maxBytes?: number;
  readonly localAddress?: string;
  /** An answer that takes longer is given up and counted as unknown. */
  readonly timeoutMs?: number;
}

export interface Load {
  /** Resolves when `count` webhooks have their outcome. */
  readonly done: Promise<void>;
  /** Sends no more; resolves when every webhook has its outcome. */
  stop(): Promise<void>;
}

const RANDOM = randomBytes(128 * 1024);
const TEXT = RANDOM.toString('hex');

/** Starts with a line `id sha256`, then come up to `most` bytes; every second one is not text. */
function makeBody(id: string, n: number, most: number): { body: Buffer; sha256: string } {
  const size = Math.floor(Math.random() * most);
  const from = Math.floor(Math.random() * (RANDOM.length - most));
  const payload = n % 2 ? RANDOM.subarray(from, from + size) : Buffer.from(TEXT.slice(from, from + size), 'latin1');
  const sha256 = createHash('sha256').update(payload).digest('hex');
  return { body: Buffer.concat([Buffer.from(`${id} ${sha256}\n`), payload]), sha256 };
}

/** `connections` keep-alive connections, each with one request at a time. A refused connection sent nothing: it tries again. */
export function startLoad(options: LoadOptions): Load {
  const { paths, connections, ledger, rate, count = Number.POSITIVE_INFINITY, maxBytes = 1_000 } = options;
  const { host, hostname, port } = new URL(options.url);
  const run = randomBytes(4).toString('hex');
  const began = performance.now();
  let next = began;
  let number = 0;
  let stopped = false;

  /** Waits for its place in the rate; false when there is nothing more to send. */
  async function turn(): Promise<boolean> {
    while (!stopped && number < count) {
      if (!rate) return true;
      const now = performance.now();
      const perSecond = rate(now - began);
      if (perSecond > 0 && next <= now) {
        next = Math.max(next, now - 50) + 1_000 / perSecond;
        return true;
      }
      await sleep(perSecond > 0 ? Math.min(20, next - now) : 20);
    }
    return false;
  }

  async function worker(): Promise<void> {
    let wire: Wire | undefined;
    while (await turn()) {
      if (!wire?.open) wire = await connectWire(hostname, Number(port), options).catch(() => undefined);
      if (!wire) await sleep(10);
      if (!wire || stopped || number >= count) continue;
      const n = number++;
      const id = `${run}-${n}`;
      const { body, sha256 } = makeBody(id, n, maxBytes);
      ledger.note('sent', id, sha256);
      try {
        const head = `POST ${paths[n % paths.length]} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`;
        const answer = await wire.send(Buffer.concat([Buffer.from(head), body]));
        const acked = answer.status >= 200 && answer.status < 300;
        ledger.note(acked ? 'acked' : 'refused', id, String(answer.status), answer.headers['retry-after']);
        if (answer.headers.connection === 'close') wire.close();
      } catch (error) {
        ledger.note('unknown', id, (error as Error).message);
        wire.close();
      }
    }
    wire?.close();
  }

  const done = Promise.all(Array.from({ length: connections }, worker)).then(() => {});
  return {
    done,
    stop() {
      stopped = true;
      return done;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A keep-alive connection below any HTTP library, so that it is known what was sent and where it broke. */
export interface Wire {
  readonly open: boolean;
  readonly localPort: number;
  /** Resolves with the answer to what was written; rejects when the connection ends before it. */
  send(bytes: Buffer | string): Promise<Answer>;
  write(bytes: Buffer | string): void;
  close(): void;
}

export async function connectWire(
  host: string,
  port: number,
  { localAddress, timeoutMs = 30_000 }: { readonly localAddress?: string; readonly timeoutMs?: number } = {},
): Promise<Wire> {
  const socket: Socket = createConnection({ host, port, noDelay: true, ...(localAddress ? { localAddress } : {}) });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  let got = Buffer.alloc(0);
  let reason = 'closed';
  const localPort = socket.localPort as number;
  socket.on('data', (chunk) => {
    got = got.length === 0 ? chunk : Buffer.concat([got, chunk]);
    const parsed = parseAnswer(got);
    if (!parsed || !waiting) return;
    got = got.subarray(parsed.length);
    waiting.resolve(parsed.answer);
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    reason = error.code ?? error.message;
  });
  // `end` too: the other side closes, and what is sent after it gets no answer.
  socket.on('end', () => socket.destroy());
  socket.on('close', () => waiting?.reject(new Error(`${reason}${got.length > 0 ? ' within the answer' : ''}`)));
  return {
    get open() {
      return !socket.destroyed;
    },
    localPort,
    async send(bytes) {
      const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      try {
        return await new Promise<Answer>((resolve, reject) => {
          waiting = { resolve, reject };
          if (socket.destroyed) reject(new Error('closed before it was sent'));
          else socket.write(bytes);
        });
      } finally {
        waiting = undefined;
        clearTimeout(timer);
      }
    },
    write: (bytes) => void socket.write(bytes),
    close: () => void socket.destroy(),
  };
}

function parseAnswer(bytes: Buffer): { answer: Answer; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  const length = end + 4 + Number(headers['content-length'] ?? 0);
  if (bytes.length < length) return undefined;
  return { answer: { status: Number(line.split(' ')[1]), headers, body: bytes.subarray(end + 4, length) }, length };
}
