// What the headers of a request tell: what its body is said to be, and which of them hide a secret of somebody.

/** [name, value] in the order they came. */
export type HeaderList = readonly (readonly string[])[];

export const typeOf = (headers: HeaderList | undefined): string =>
  headers?.find(([name]) => name?.toLowerCase() === 'content-type')?.[1] ?? '';

const FORMS: readonly (readonly [RegExp, string])[] = [
  [/\bjson\b/i, 'JSON'],
  [/x-www-form-urlencoded/i, 'form'],
  [/^multipart\//i, 'multipart'],
  [/\bxml\b/i, 'XML'],
  [/^text\//i, 'text'],
];
/** What a body is said to be, in a word. */
export function formOf(headers: HeaderList | undefined): string {
  const type = typeOf(headers);
  return FORMS.find(([pattern]) => pattern.test(type))?.[1] ?? '';
}

const SECRET = /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|access[-_]?key|credential/i;
// Named like a secret, but known to be none.
const HARMLESS = /^(i-twilio-idempotency-token|x-csrf-token-required)$/i;

/** Whether a header of this name hides a secret: it is shown only when asked for. */
export const isSecret = (name: string): boolean => SECRET.test(name) && !HARMLESS.test(name);
