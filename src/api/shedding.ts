// Load shedding of the API: refuses calls while the process is overloaded, and answers that would fill its memory unread.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { unavailable } from '../errors.ts';
import { createByteBudget } from '../http/body.ts';
import type { ShedWhy } from '../observe/metrics.ts';
import { type Overload, overloadProblem } from '../observe/overload.ts';

// Of all answers that are being sent. A page has up to 8 MiB of bodies.
const MOST_BYTES = 512 * 1024 * 1024;
// Smaller answers are not counted and never refused.
const SMALL_BYTES = 64 * 1024;

/** For calls of users. The operator's calls say how the service is, and answer under overload too. */
export function shedLoad(
  fastify: FastifyInstance,
  { overload, shed }: { readonly overload: Pick<Overload, 'why'>; readonly shed: (why: ShedWhy) => void },
  isOperators: (url: string | undefined) => boolean,
  mostBytes = MOST_BYTES,
): void {
  const budget = createByteBudget(mostBytes);
  fastify.addHook('onRequest', (request, _reply, done) => {
    const problem = isOperators(request.routeOptions.url) ? undefined : overloadProblem(overload);
    if (problem && overload.why) shed(overload.why);
    done(problem);
  });
  fastify.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done) => {
    const bytes = sizeOf(payload);
    if (bytes <= SMALL_BYTES) return done(null, payload);
    // No user has the id 0: readers of the documentation share it.
    const owner = { user_id: request.userId ?? 0, wh_id: 0 };
    if (budget.hold(owner, bytes)) {
      reply.raw.once('close', () => budget.hold(owner, -bytes));
      return done(null, payload);
    }
    shed('answers');
    const problem = unavailable('Too much of what you asked for is still on its way. Read it, then ask again.');
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

/** In bytes: a text of Chinese or of emoji has up to three times as many as it has UTF-16 units. */
const sizeOf = (payload: unknown): number =>
  typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;
