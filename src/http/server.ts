// The node:http server of the receiver and the API: the receiver sees every request first, Fastify gets the rest.
import { randomBytes } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/config.ts';
import { badRequest, headersTooLarge, methodNotAllowed, Problem } from '../errors.ts';
import type { Log } from '../observe/log.ts';
import { readOn } from './body.ts';
import { maskTarget } from './head.ts';

export const MAX_HEADER_BYTES = 64 * 1024;
/**
 * Connections that the kernel keeps until they are accepted. Linux silently lowers the number to net.core.somaxconn (4,096
 * since 5.4), so this asks for the most. With Node's default of 511, of 8,000 senders that connected at once 1,900 got no
 * answer for 25 s: the kernel dropped their handshakes, and each tried again after ever longer pauses.
 */
export const LISTEN_BACKLOG = 65_535;
// The time for the headers and for the whole request; Fastify's own time-outs do not apply to this server.
const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 120_000;

/**
 * Each request emits exactly one of these. With a listener to `checkContinue` the receiver sends 100 Continue itself, so a
 * refused sender never sends its body. With one to `checkExpectation` an unknown Expect is accepted: node:http would answer 417.
 */
const REQUEST_EVENTS = ['request', 'checkContinue', 'checkExpectation'] as const;

/** A request for a webhook that was made here and came over no socket. */
interface Made {
  readonly method: string;
  /** The target, as a sender would send it: `/in/{key}` and what follows. */
  readonly url: string;
  /** Name and value in turn. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** The address of the user for whom it was made. */
  readonly ip: string;
}
/** What became of it. */
export interface Delivered {
  /** What a sender would have got: the status, and the text or the sentence of a problem. */
  readonly status: number;
  readonly text: string;
  readonly stored: { readonly id: number; readonly verified: 'signed' | 'token' | 'none' } | undefined;
}

/** What comes before the API. */
export interface Receiver {
  /** Answers a request for a webhook, and calls `pass` for any other. `expects`: the sender waits for 100 Continue. */
  take(request: IncomingMessage, response: ServerResponse, expects: boolean, pass: () => void): void;
  /** Receives a request as if it had come in: nothing of what bounds or judges others is left out. */
  deliver(made: Made): Promise<Delivered>;
  /** Answers carry Connection: close from now on. */
  closing(): void;
  /** Resolves when everything accepted is answered. */
  drain(): Promise<void>;
}

interface ServerParts {
  readonly config: Pick<Config, 'keepAliveSeconds' | 'logLevel'>;
  readonly log: Log;
  readonly receiver: Receiver;
}

export function createServerWith({ config, log, receiver }: ServerParts, api: RequestListener): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: config.keepAliveSeconds * 1000,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 5_000,
    // node:http would answer a request without Host itself, with an empty 400.
    requireHostHeader: false,
  });
  // The default of 2000 headers would drop the rest silently; the bytes are bounded above.
  server.maxHeadersCount = 0;
  for (const event of REQUEST_EVENTS)
    server.on(event, (request: IncomingMessage, response: ServerResponse) => {
      const expects = event === 'checkContinue';
      if (config.logLevel === 'debug') logAnswer(log, request, response);
      const fault = hostFault(request);
      if (fault) return refuseHost(request, response, badRequest(fault));
      receiver.take(request, response, expects, () => {
        if (expects) response.writeContinue();
        api(request, response);
      });
    });
  // A request that is no HTTP gets an answer too, then the connection ends.
  server.on('clientError', ({ code = '' }: Error & { code?: string }, socket: Socket) => {
    if (code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else answerRaw(socket, BROKEN[code] ?? NOT_HTTP);
  });
  server.on('connect', (_request: IncomingMessage, socket: Socket) =>
    answerRaw(socket, methodNotAllowed('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')),
  );
  return server;
}

function logAnswer(log: Log, { method, url = '' }: IncomingMessage, response: ServerResponse): void {
  const began = performance.now();
  response.on('close', () => {
    const ms = Math.round(performance.now() - began);
    log.debug({ method, url: maskTarget(url), status: response.statusCode, ms }, 'request');
  });
}

/** RFC 9112, 3.2: why a request is answered 400. node:http takes the first of two hosts, a proxy in front perhaps the second. */
function hostFault({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  if (count > 1) return 'The request has more than one Host header. Send one.';
  return count === 0 && httpVersion === '1.1' ? 'The request has no Host header. HTTP/1.1 needs one.' : undefined;
}

function refuseHost(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  readOn(request);
  const { body, headers } = written(problem);
  response.writeHead(problem.status, headers);
  endLast(response, request.method === 'HEAD' ? '' : body);
}

// A refused sender has this long to read its answer before its connection ends.
const LINGER_MS = 5_000;

/**
 * Ends an answer with `Connection: close`. node:http closes the connection after it: if more of the body came then, a reset would
 * destroy the answer, so the end waits for the body.
 */
export function endLast(response: ServerResponse, text: string): void {
  if (response.req.complete || text === '') return void response.end(text);
  response.write(text);
  response.req.once('end', () => response.end());
  setTimeout(() => response.end(), LINGER_MS).unref();
}

const NOT_HTTP = badRequest('This is not a well-formed HTTP request.');
const BROKEN: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: headersTooLarge(MAX_HEADER_BYTES),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, 'timeout', 'Request timeout', 'The request did not arrive in time.'),
};

/** An answer with which the connection ends. */
export function written(problem: Problem) {
  const body = JSON.stringify(problem.toBody(createRequestId()));
  const headers = {
    ...problem.headers,
    connection: 'close',
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
  return { body, headers };
}

function answerRaw(socket: Socket, problem: Problem): void {
  const { body, headers } = written(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`);
  // What the sender still sends is read and discarded for a moment, so that it sees the answer and not a reset.
  socket.resume();
  setTimeout(() => socket.destroy(), 1_000).unref();
}

// The end of a service: it accepts no new connection, and answers the requests on those that are open.

/** A kept-alive connection may have a request on its way: so long each may get one more answer, which closes it. */
const LAST_ANSWERS_MS = 2_000;

/** The function it returns stops accepting, answers the requests under way, and commits what was accepted. */
export function createClose(fastify: FastifyInstance, receiver: Receiver): () => Promise<void> {
  const server = fastify.server as Server;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return async () => {
    receiver.closing();
    for (const event of REQUEST_EVENTS)
      server.prependListener(event, (_request: IncomingMessage, response: ServerResponse) => {
        response.shouldKeepAlive = false;
      });
    // Only stops listening: http's own close() would cut connections at once that look idle.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_MS))]);
    const idle = setInterval(() => {
      server.closeIdleConnections();
      // Opened in advance, by a browser or a load balancer: node:http would wait for a request on them.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    }, 50);
    await fastify.close();
    clearInterval(idle);
    await receiver.drain();
  };
}

const prefix = randomBytes(4).toString('hex');
let count = 0;
/** The id of a request, for problems and the log. Unique over processes and restarts: a random prefix and a counter. */
export const createRequestId = (): string => `${prefix}-${(++count).toString(36)}`;
