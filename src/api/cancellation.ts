// Requests that wait: each ends when its socket closes, when its token is revoked, or when the service stops.
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Room } from '../admission/rooms.ts';
import type { Cancellation } from '../reading/tail.ts';
import type { Auth } from './auth.ts';
import { onceClosed } from './serving.ts';

/** Why a request that waited was ended: told by `signal.reason`. */
export type Ended = 'closed' | 'revoked' | 'closing';

/** For a call that does not wait: only whether its socket is still open. An AbortSignal costs as much as the call. */
export const untilClosed = (socket: Socket): Cancellation => ({
  get aborted() {
    return socket.destroyed;
  },
  reason: 'closed' satisfies Ended,
  addEventListener() {},
  removeEventListener() {},
});

export type Waiting = ReturnType<typeof createWaiting>;

interface Watched extends Cancellation {
  end(reason: Ended): void;
}

/** What an AbortController does, in a tenth of its memory: thousands wait at once. */
function createWatched(): Watched {
  let reason: Ended | undefined;
  let listeners: (() => void)[] = [];
  return {
    get aborted() {
      return reason !== undefined;
    },
    get reason() {
      return reason;
    },
    addEventListener: (_type: string, listener: () => void) => void listeners.push(listener),
    removeEventListener(_type: string, listener: () => void) {
      listeners = listeners.filter((one) => one !== listener);
    },
    end(why) {
      if (reason !== undefined) return;
      reason = why;
      for (const listener of listeners.splice(0)) listener();
    },
  } as Watched;
}

const CHECK_EVERY_MS = 1_000;

/** `room`: how many calls may wait, of one user and in all. */
export function createWaiting(auth: Auth, room: Pick<Room, 'take' | 'give' | 'refuse'>) {
  const waiting = new Map<Watched, () => boolean | Promise<boolean>>();
  let closing = false;
  const timer = setInterval(async () => {
    for (const [watched, revoked] of [...waiting]) {
      const verdict = revoked();
      if (verdict === true || (verdict !== false && (await verdict))) watched.end('revoked');
    }
  }, CHECK_EVERY_MS);
  timer.unref();

  return {
    /** Watches over a request until its answer is sent. Throws a 503 when too many of its user wait. */
    watch(request: FastifyRequest, reply: FastifyReply): Cancellation {
      const { raw, userId } = request;
      const watched = createWatched();
      if (!room.take(userId, 1)) throw room.refuse();
      if (closing) watched.end('closing');
      if (raw.socket.destroyed) watched.end('closed');
      waiting.set(watched, auth.watch(raw));
      onceClosed(reply.raw, () => {
        waiting.delete(watched);
        room.give(userId, 1);
        watched.end('closed');
      });
      return watched;
    },
    get size(): number {
      return waiting.size;
    },
    /** Ends all requests that wait, and those that come to wait later. */
    close(): void {
      closing = true;
      clearInterval(timer);
      for (const watched of waiting.keys()) watched.end('closing');
    },
  };
}
