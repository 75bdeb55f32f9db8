// The end of an app: nobody new is let in, everybody who is there is answered.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Auth } from './auth.ts';
import type { Receiver } from './receive.ts';
import { REQUEST_EVENTS } from './server.ts';

/** A kept-alive connection may have a request on its way that we cannot see yet: each gets one more answer, which closes it. */
const LAST_ANSWERS_MS = 2_000;

/** Stops accepting, answers what is under way, commits what is accepted. */
export async function closeApp(
  fastify: FastifyInstance,
  server: Server,
  sockets: ReadonlySet<Socket>,
  receiver: Receiver,
  auth: Auth,
): Promise<void> {
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
    // Opened in advance, by a browser or a balancer: http waits for a request on them.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }, 50);
  await fastify.close();
  clearInterval(idle);
  await receiver.drain();
  auth.close();
}
