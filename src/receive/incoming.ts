// One request as it arrived, as far as a verdict needs it; and how to read its headers and query.
import { decodeForm } from './form.ts';

export interface Incoming {
  readonly method: string;
  /** PUBLIC_URL and the raw target as received: absolute, and what Twilio, Square and HubSpot sign. */
  readonly publicUrl: string;
  /** [name, value, name, value, …] as node:http has them: one character per byte, order and duplicates kept. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly receivedMs: number;
}

export interface Secret {
  readonly value: string;
  /** null = does not expire */
  readonly expiresMs: number | null;
}

/** What a sender is answered instead of the usual. */
export interface Answer {
  readonly status: number;
  readonly content_type: string;
  readonly body: string;
}

/** The first header of this name, which must be in lower case. */
export function headerOf({ headers }: Incoming, name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}

/** The raw query: what follows the first question mark. */
function queryOf({ publicUrl }: Incoming): string {
  const start = publicUrl.indexOf('?');
  if (start < 0) return '';
  const end = publicUrl.indexOf('#', start);
  return publicUrl.slice(start + 1, end < 0 ? undefined : end);
}

/** The first parameter of the query of this name, decoded. */
export const queryParameter = (incoming: Incoming, name: string): string | undefined =>
  decodeForm(queryOf(incoming), name);

export const isForm = (incoming: Incoming): boolean =>
  /^application\/x-www-form-urlencoded *(;|$)/i.test(headerOf(incoming, 'content-type') ?? '');

/** Secrets that may still be used when the request came. */
export const unexpired = (secrets: readonly Secret[], { receivedMs }: Incoming): readonly Secret[] =>
  secrets.filter(({ expiresMs }) => expiresMs === null || expiresMs > receivedMs);
