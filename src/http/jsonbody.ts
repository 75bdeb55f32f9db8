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
