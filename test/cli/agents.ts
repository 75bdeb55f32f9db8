// The agent as a process of its own, also on a terminal, with a target that remembers, and a wire to the service that can go dead.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as ask, createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { mortal } from '../support/fetch-debs.ts';
import { freePort } from '../support/servers.ts';
import { selfSigned } from './agent-certificate.ts';

// RESTANTE_TEST_AGENT names another build: one that is broken on purpose shows that a check can fail.
const MAIN = process.env.RESTANTE_TEST_AGENT ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface Got {
  readonly id: number;
  readonly attempt: number;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly sha: string;
  readonly at: number;
}

export interface Target {
  readonly url: string;
  readonly port: number;
  readonly got: Got[];
  /** What it answers; 0: it cuts the connection. Default 200. */
  answer: (got: Got) => number | Promise<number>;
  /** Nobody listens any more; what is open is cut. */
  down(): Promise<void>;
  up(): Promise<void>;
}

const headerOf = (request: IncomingMessage, name: string) => Number(request.headers[name] ?? 0);

export async function startTarget(): Promise<Target> {
  const port = await freePort();
  const got: Got[] = [];
  let server: Server;
  const target: Target = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    got,
    answer: () => 200,
    async up() {
      server = createHttpServer(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const body = Buffer.concat(chunks);
        const one: Got = {
          id: headerOf(request, 'x-restante-id'),
          attempt: headerOf(request, 'x-restante-attempt'),
          method: request.method ?? '',
          url: request.url ?? '',
          headers: request.rawHeaders,
          body,
          sha: createHash('sha256').update(body).digest('hex'),
          at: Date.now(),
        };
        got.push(one);
        const status = await target.answer(one);
        if (status === 0) request.socket.destroy();
        else response.writeHead(status).end();
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    async down() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await target.up();
  return target;
}

export interface Agent {
  readonly child: ChildProcess;
  /** All it has printed on both. On a terminal: all that came to the screen. */
  said(): string;
  /** The bottom line of its terminal as it is now. */
  line(): string;
  /** Every bottom line so far with the time it came. */
  readonly lines: { readonly at: number; readonly text: string }[];
  /** SIGTERM, or Ctrl-C on a terminal; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Its exit code, once it has ended and all that it printed is here. */
  ended(): Promise<number | null>;
  kill(): Promise<void>;
}

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[?0-9;]*[A-Za-z]`, 'g');

export function startAgent(args: readonly string[], env: Readonly<Record<string, string>>, terminal = false): Agent {
  const command = [process.execPath, MAIN, 'forward', ...args];
  const [file, ...rest] = mortal(terminal ? ['script', '-qfec', `exec ${command.join(' ')}`, '/dev/null'] : command);
  const { PATH = '' } = process.env;
  const child = spawn(file, rest, { env: { PATH, ...env } });
  const lines: { at: number; text: string }[] = [];
  let said = '';
  const hear = (text: string) => {
    said += text;
    if (!terminal) return;
    const line = bottomOf(said.slice(-2_000));
    if (line && line !== lines.at(-1)?.text) lines.push({ at: Date.now(), text: line });
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', hear);
  child.stdin?.on('error', () => {});
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    said: () => said,
    line: () => lines.at(-1)?.text ?? '',
    lines,
    async stop() {
      if (terminal) child.stdin?.write('\x03');
      else child.kill('SIGTERM');
      const late = sleep(10_000, 'late', { ref: false });
      if ((await Promise.race([ended, late])) === 'late') {
        child.kill('SIGKILL');
        throw new Error(`it did not end: ${said.slice(-500)}`);
      }
      return ended;
    },
    ended: () => ended,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What stands in the last row: what came after it was erased last, without what a terminal hides. */
const bottomOf = (text: string): string => {
  const rows = text.split('\n').at(-1) ?? '';
  return (rows.split('\r').at(-1) ?? '').replace(ESCAPES, '');
};

export interface Wire {
  readonly port: number;
  /** From now on nothing comes through, in neither direction; nobody is told. What is open then stays dead after it. */
  dead(on: boolean): void;
  /** How many connections were made through it. */
  readonly made: number;
  close(): void;
}

export async function startWire(to: number): Promise<Wire> {
  const open = new Set<Socket>();
  let dead = false;
  let made = 0;
  let alive = new AbortController();
  const server = createServer((client) => {
    made++;
    open.add(client);
    client.on('error', () => {}).on('close', () => open.delete(client));
    // Taken and never read.
    if (dead) return;
    const upstream = createConnection(to, '127.0.0.1');
    open.add(upstream);
    upstream.on('error', () => client.destroy()).on('close', () => open.delete(upstream));
    const { signal } = alive;
    const pass = (from: Socket, into: Socket) => {
      from.on('data', (bytes) => signal.aborted || into.write(bytes));
      from.on('close', () => signal.aborted || into.destroy());
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    dead(on) {
      dead = on;
      if (on) alive.abort();
      else alive = new AbortController();
    },
    get made() {
      return made;
    },
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** What comes from one goes to the other, until one of them ends. */
function join(a: Duplex, b: Duplex): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const)
    one
      .on('error', () => {})
      .on('close', () => other.destroy())
      .pipe(other);
}

export interface ForwardProxy {
  readonly url: string;
  /** What it was asked for: `CONNECT host:port`, `POST http://host:port/…`. */
  readonly asked: string[];
  close(): void;
}

/** As companies have it before the internet: by tunnel, and by the whole URL. */
export async function startForwardProxy(): Promise<ForwardProxy> {
  const asked: string[] = [];
  const server = createHttpServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push(`${method} ${url}`);
    const to = new URL(url);
    const onward = ask(
      { host: to.hostname, port: to.port, path: to.pathname + to.search, method, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.on('connect', ({ url = '' }, socket) => {
    asked.push(`CONNECT ${url}`);
    const [host, port] = url.split(':');
    const onward = createConnection(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    join(socket, onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    asked,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** TLS before a service, with a certificate that nobody knows. */
export async function startTls(to: number): Promise<{ port: number; cert: string; close(): void }> {
  const { key, cert } = selfSigned();
  const open = new Set<Socket>();
  const server = createTlsServer({ key, cert }, (socket) => {
    const onward = createConnection(to, '127.0.0.1');
    for (const one of [socket, onward]) open.add(one);
    join(socket, onward);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    cert,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
