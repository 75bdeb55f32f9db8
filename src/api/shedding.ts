// Load shedding of the API: refuses calls while the process is overloaded, and answers that would fill its memory unread.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SMALL_BYTES } from '../admission/resources.ts';
import type { Room } from '../admission/rooms.ts';
import { type Overload, overloadProblem } from '../observe/overload.ts';
import { onceClosed } from './serving.ts';

/** For calls of users. The operator's calls say how the service is, and answer under overload too. */
export function shedLoad(
  fastify: FastifyInstance,
  {
    overload,
    rooms: { answers },
    shed,
  }: {
    readonly overload: Pick<Overload, 'why'>;
    readonly rooms: { readonly answers: Pick<Room, 'take' | 'give' | 'refuse'> };
    readonly shed: (why: string) => void;
  },
  isOperators: (url: string | undefined) => boolean,
): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    const problem = isOperators(request.routeOptions.url) ? undefined : overloadProblem(overload);
    if (problem && overload.why) shed(overload.why);
    done(problem);
  });
  fastify.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done) => {
    const bytes = sizeOf(payload);
    if (bytes <= SMALL_BYTES) return done(null, payload);
    // No user has the id 0: readers of the documentation share it.
    const userId = request.userId ?? 0;
    if (answers.take(userId, bytes)) {
      onceClosed(reply.raw, () => answers.give(userId, bytes));
      return done(null, payload);
    }
    const problem = answers.refuse();
    reply
      .code(problem.status)
      .headers(problem.headers)
      .removeHeader('content-length')
      .removeHeader('content-disposition')
      .removeHeader('content-encoding')
      .type('application/problem+json');
    done(null, JSON.stringify(problem.toBody(request.id)));
  });
}

/**
 * In bytes: a text of Chinese or of emoji has up to three times as many as it has UTF-16 units. Large contents are counted
 * where they are shared.
 */
const sizeOf = (payload: unknown): number =>
  typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;
