// Providers that sign nothing and send the secret itself: in a header, a field, the query, or in each element of a list.
import { sameSecret } from './digest.ts';
import { headerOf, type Incoming, type Secret } from './incoming.ts';
import type { Fault } from './message.ts';
import type { Shared } from './rules.ts';
import { readSource } from './source.ts';

/** The texts that all have to be the secret; or what is missing. */
export function readShared({ from }: Shared, incoming: Incoming): readonly Buffer[] | Fault {
  if (from === 'bearer' || from === 'basic') return readAuthorization(from, incoming);
  const missing = { fault: `The ${from.title} is missing.`, missing: true };
  if (from.kind === 'each') {
    const texts = each(incoming.body, from.steps);
    return texts.length > 0 && texts.every((text) => text !== undefined)
      ? texts.map((text) => Buffer.from(text))
      : missing;
  }
  const text = readSource(from, incoming, undefined);
  if (text === undefined) return missing;
  return [Buffer.from(text, from.kind === 'header' ? 'latin1' : 'utf8')];
}

export const isShared = (texts: readonly Buffer[], { value }: Secret): boolean => {
  const secret = Buffer.from(value);
  return texts.every((text) => sameSecret(text, secret));
};

function readAuthorization(scheme: 'bearer' | 'basic', incoming: Incoming): readonly Buffer[] | Fault {
  const [, name = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(headerOf(incoming, 'authorization') ?? '') ?? [];
  if (name.toLowerCase() !== scheme)
    return { fault: `The Authorization header has no ${scheme} credentials.`, missing: true };
  return [Buffer.from(credentials, scheme === 'basic' ? 'base64' : 'latin1')];
}

/** What stands at each end of a path with `*` in it; undefined where nothing does. */
function each(body: Buffer, steps: readonly string[]): readonly (string | undefined)[] {
  let values: unknown[];
  try {
    values = [JSON.parse(body.toString('utf8'))];
  } catch {
    return [];
  }
  for (const step of steps)
    values = values.flatMap((value) => {
      if (step === '*') return Array.isArray(value) ? value : [undefined];
      return typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? [(value as Record<string, unknown>)[step]]
        : [undefined];
    });
  return values.map((value) => (typeof value === 'string' ? value : undefined));
}
