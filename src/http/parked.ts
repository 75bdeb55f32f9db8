// Requests that wait: each ends when its socket closes, when its token is revoked, or when the service stops.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Auth } from './auth.ts';

/** Why a request that waited was ended: told by `signal.reason`. */
export type Ended = 'closed' | 'revoked' | 'closing';

export interface Parked {
  /** Watches over a request until its answer is sent. */
  watch(request: FastifyRequest, reply: FastifyReply): AbortSignal;
  /** Ends all that wait, and whoever comes to wait. */
  close(): void;
}

const CHECK_EVERY_MS = 1_000;

export function createParked(auth: Auth): Parked {
  const parked = new Map<AbortController, () => boolean | Promise<boolean>>();
  let closing = false;
  const timer = setInterval(async () => {
    for (const [controller, revoked] of [...parked]) {
      const verdict = revoked();
      if (verdict === true || (verdict !== false && (await verdict))) controller.abort('revoked' satisfies Ended);
    }
  }, CHECK_EVERY_MS);
  timer.unref();

  return {
    watch(request, reply) {
      const controller = new AbortController();
      if (closing) controller.abort('closing' satisfies Ended);
      if (request.raw.destroyed && !request.raw.complete) controller.abort('closed' satisfies Ended);
      parked.set(controller, auth.watch(request.raw));
      reply.raw.once('close', () => {
        parked.delete(controller);
        controller.abort('closed' satisfies Ended);
      });
      return controller.signal;
    },
    close() {
      closing = true;
      clearInterval(timer);
      for (const controller of parked.keys()) controller.abort('closing' satisfies Ended);
    },
  };
}
