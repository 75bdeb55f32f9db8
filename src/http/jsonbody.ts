// Reads what a call sends: its bytes, and as JSON by rules that the schemas cannot say.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem, tooLarge, unavailable } from '../errors.ts';
import { lineOf } from '../flow/writer.ts';
import { readOn } from './body.ts';
import type { Context } from './context.ts';

/** A body is bytes, whatever it says it is; bodies of all callers share the room of the receiver's. */
export function readBodies(fastify: FastifyInstance, { intake, shed }: Pick<Context, 'intake' | 'shed'>): void {
  fastify.addContentTypeParser('*', async (request: FastifyRequest) => {
    const { raw, routeOptions } = request;
    const limit = routeOptions.bodyLimit;
    const body = await intake.read(raw, lineOf({ user_id: request.userId, wh_id: 0 }), limit);
    if (Buffer.isBuffer(body)) return body;
    readOn(raw);
    if (body === 'no-room') shed('bodies');
    throw body === 'too-large'
      ? tooLarge(limit)
      : unavailable('Too many large bodies are being read. Send it again soon.');
  });
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** No body means no member: every member of ours is optional or named as missing. */
export function readJson(body: Buffer | undefined): unknown {
  if (!body?.length) return {};
  try {
    return JSON.parse(UTF8.decode(body));
  } catch (error) {
    const detail = `The body is not JSON in UTF-8: ${(error as Error).message}. Correct it and send again.`;
    throw new Problem(400, 'bad-request', 'Bad Request', detail);
  }
}

/** ajv turns the text 1e999 into Infinity, and holds that against no maximum. */
export const allFinite = (value: unknown): boolean =>
  typeof value === 'number' ? Number.isFinite(value) : !isObject(value) || Object.values(value).every(allFinite);
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

// As RFC 3339 has it, without leap seconds.
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)$/i;
/** What is a date-time to many schemas and no moment to Date would be kept as "never". */
export function isTime(text: string): boolean {
  const [date = ''] = text.split(/[T ]/i);
  // Date takes the 30th of February for the 2nd of March.
  return (
    TIME.test(text) && !Number.isNaN(Date.parse(text)) && new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)
  );
}
