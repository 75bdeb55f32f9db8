// Speaks HTTP/1.1 byte by byte, with nothing tidied up on the way: what fetch would refuse to send is what tests need.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface Talk {
  readonly socket: Socket;
  /** Latin-1 text or bytes. */
  send(bytes: string | Buffer): void;
  /** The next answer, 1xx ones too. `bodiless` when it answers a HEAD. Rejects when the connection ends first. */
  answer(bodiless?: boolean): Promise<Answer>;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<unknown>;
  end(): void;
}

const PATIENCE_MS = 15_000;

export async function talk(port: number): Promise<Talk> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let got = Buffer.alloc(0);
  let ended = false;
  let wake = () => {};
  socket.on('data', (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
    wake();
  });
  socket.on('error', () => {});
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      ended = true;
      wake();
    });
  }
  await once(socket, 'connect');

  /** Waits until `take` finds what it looks for at the start of what came. */
  async function until<T>(take: () => T | undefined): Promise<T> {
    for (const give = Date.now() + PATIENCE_MS; ; ) {
      const found = take();
      if (found !== undefined) return found;
      if (ended) throw new Error(`the connection ended after ${JSON.stringify(got.toString('latin1').slice(0, 300))}`);
      if (Date.now() > give) throw new Error(`no answer, only ${JSON.stringify(got.toString('latin1').slice(0, 300))}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 1_000).unref();
      });
    }
  }
  const bytes = (count: number) => () => {
    if (got.length < count) return undefined;
    const taken = got.subarray(0, count);
    got = got.subarray(count);
    return taken;
  };
  const upTo = (mark: string) => () => {
    const at = got.indexOf(mark);
    return at < 0 ? undefined : bytes(at + mark.length)();
  };
  async function chunked(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt((await until(upTo('\r\n'))).toString(), 16);
      parts.push((await until(bytes(size + 2))).subarray(0, size));
      if (size === 0) return Buffer.concat(parts);
    }
  }

  return {
    socket,
    closed,
    send: (sent) => void socket.write(typeof sent === 'string' ? Buffer.from(sent, 'latin1') : sent),
    async answer(bodiless = false) {
      const [line = '', ...fields] = (await until(upTo('\r\n\r\n'))).toString('latin1').trimEnd().split('\r\n');
      const status = Number(line.split(' ')[1]);
      const headers = new Map(
        fields.map((field) => [field.split(':')[0]?.toLowerCase() ?? '', field.replace(/^[^:]*: ?/, '')]),
      );
      const none = bodiless || status < 200 || status === 204 || status === 304;
      const length = Number(headers.get('content-length') ?? 0);
      const body = none
        ? Buffer.alloc(0)
        : headers.has('transfer-encoding')
          ? await chunked()
          : await until(bytes(length));
      return { status, headers, body };
    },
    end: () => socket.destroy(),
  };
}

/** Sends one request as it is on a connection of its own and resolves with the answer. */
export async function ask(port: number, request: string | Buffer): Promise<Answer> {
  const line = await talk(port);
  try {
    line.send(request);
    return await line.answer(request.toString('latin1').startsWith('HEAD '));
  } finally {
    line.end();
  }
}

/** A request head, `Host` first, and its body with Content-Length. */
export function requestOf(
  method: string,
  target: string,
  headers: readonly string[] = [],
  body: string | Buffer = '',
): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const length = bytes.length > 0 ? [`Content-Length: ${bytes.length}`] : [];
  const head = [`${method} ${target} HTTP/1.1`, 'Host: hooks.example.org', ...headers, ...length, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}
