// Tells a supervisor whether the server still answers: a file that is written whenever it does, a port that answers 200 or 503.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Complaint } from './io.ts';

export interface Health {
  /** The server has answered just now. */
  answered(): void;
  /** In words, for whoever asks. */
  state: string;
  close(): void;
}

const GOOD_MS = 60_000;
// Hundreds of answers may come in a second.
const WRITE_MS = 1_000;

export async function startHealth(file: string | undefined, port: number | undefined): Promise<Health> {
  let last = Number.NEGATIVE_INFINITY;
  let written = Number.NEGATIVE_INFINITY;
  const server = createServer((_request, response) => {
    const good = performance.now() - last < GOOD_MS;
    response.writeHead(good ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' }).end(`${health.state}\n`);
  });
  const health: Health = {
    state: 'connecting',
    answered() {
      last = performance.now();
      if (!file || last - written < WRITE_MS) return;
      try {
        writeFileSync(file, `${new Date().toISOString()}\n`);
        written = last;
      } catch (error) {
        // That it never can is a mistake; that it cannot now, its supervisor sees.
        if (written < 0) throw new Complaint(`cannot write ${file}: ${(error as Error).message}`, 2);
      }
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  if (port !== undefined)
    await new Promise<void>((resolve, reject) => {
      server.once('error', ({ message }) => reject(new Complaint(`--health-port ${port}: ${message}`)));
      server.listen(port, '127.0.0.1', resolve);
    });
  return health;
}
