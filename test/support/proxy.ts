// A TCP proxy before a MySQL server that breaks connections on purpose: within a COMMIT, all at once, or by silence.
import { createConnection, createServer, type Socket } from 'node:net';

/** Which transactions: those of the writer, who inserts webhooks, or all others that write. */
type Whose = 'writer' | 'others';
/** `after`: the server gets the COMMIT, its answer gets lost. `before`: it never gets it, and rolls back. */
type Cut = 'before' | 'after';

export interface Proxy {
  readonly port: number;
  /** How many are open. */
  readonly connections: number;
  /** Cuts the next COMMIT of such a transaction; resolves when that was done. */
  cut(whose: Whose, cut: Cut): Promise<void>;
  /** Resets every connection. */
  reset(): void;
  /** Passes nothing on, in neither direction, and takes new connections, until it is told otherwise. */
  silence(on: boolean): void;
  close(): Promise<void>;
}

const COM_QUERY = 0x03;
const COM_PREPARE = 0x16;
const COM_EXECUTE = 0x17;

export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const silent = new Set<() => void>();
  let silence = false;
  const waiting: { readonly whose: Whose; readonly cut: Cut; readonly done: () => void }[] = [];

  const server = createServer((client) => {
    const upstream = createConnection({ host: '127.0.0.1', port: target, noDelay: true });
    client.setNoDelay(true);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    /** After a silence everything goes on where it was. */
    const pass = (to: Socket, bytes: Buffer) => {
      if (!silence) return void to.write(bytes);
      silent.add(() => void (to.destroyed || to.write(bytes)));
    };
    upstream.on('data', (bytes) => pass(client, bytes));
    const spy = readCommands();
    client.on('data', (bytes) => {
      const whose = spy(bytes);
      const at = waiting.findIndex((one) => one.whose === whose);
      const [hit] = at >= 0 && !silence ? waiting.splice(at, 1) : [];
      if (!hit) return pass(upstream, bytes);
      // The answer must not come through, however quick the server is.
      upstream.removeAllListeners('data');
      upstream.resume();
      client.resetAndDestroy();
      if (hit.cut === 'before') upstream.resetAndDestroy();
      else upstream.end(bytes);
      hit.done();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    get connections() {
      return pairs.size;
    },
    cut: (whose, cut) => new Promise((done) => waiting.push({ whose, cut, done })),
    reset() {
      for (const [client, upstream] of [...pairs]) {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      }
    },
    silence(on) {
      silence = on;
      if (on) return;
      for (const pass of silent) pass();
      silent.clear();
    },
    async close() {
      for (const [client, upstream] of [...pairs]) {
        client.destroy();
        upstream.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Follows what a client sends; answers whose transaction it is when these bytes end with its COMMIT. */
function readCommands(): (bytes: Buffer) => Whose | undefined {
  let rest: Buffer = Buffer.alloc(0);
  let greeted = false;
  let wrote = false;
  const writing = new Set<Whose>();
  return (bytes) => {
    let whose: Whose | undefined;
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
      const packet = rest.subarray(4, 4 + rest.readUIntLE(0, 3));
      rest = rest.subarray(4 + packet.length);
      whose = undefined;
      // The first packet is the client's greeting; what it signs in with after it is no command either, but harmless.
      if (!greeted) {
        greeted = true;
        continue;
      }
      const text = packet.toString('latin1', 1, 60);
      if (packet[0] === COM_PREPARE && /^\s*(INSERT|UPDATE|DELETE)/i.test(text))
        writing.add(/^INSERT INTO `?tblwh`? /i.test(text) ? 'writer' : 'others');
      if (packet[0] === COM_EXECUTE) wrote = true;
      // MySQL puts the number of query attributes before the text.
      if (packet[0] !== COM_QUERY || packet.length > 9 || !text.endsWith('COMMIT')) continue;
      // The writer has connections of its own.
      if (wrote) whose = writing.has('writer') ? 'writer' : writing.has('others') ? 'others' : undefined;
      wrote = false;
    }
    return rest.length === 0 ? whose : undefined;
  };
}
