// Reads what a call sends as JSON, by rules that the schemas cannot say.
import { Problem } from '../errors.ts';

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
