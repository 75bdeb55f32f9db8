// A content as a program wants it: its exact bytes, read as JSON, text or a form, and its request, also to send again.
import { WINDOWS_1252_HIGH } from '../schema/windows-1252.ts';
import type { Content as Wire } from './api.ts';

export interface Content extends Wire {
  /**
   * The bytes that the sender sent. Rows of other applications that are not UTF-8: as windows-1252 has them. Throws, as all that reads
   * the body does, where the database does not give it: `unreadable` says why.
   */
  bytes(): Uint8Array<ArrayBuffer>;
  text(): string;
  /** Parsed as JSON; throws when it is none. */
  json<T = unknown>(): T;
  /** Parsed as a form, names as they were sent. */
  form(): URLSearchParams;
  /** A header of its request by its name in any case; several are joined by a comma. */
  header(name: string): string | undefined;
  /** Its request as fetch has it, ready for the provider's own SDK; undefined when it did not come over HTTP. */
  toRequest(): Request | undefined;
}

/** The body as the API gives it. */
function bodyOf({ id, content, unreadable }: Wire): string {
  if (content === null) throw new Error(`content ${id} cannot be read: ${unreadable ?? 'it has no body'}`);
  return content;
}

function bytesOf(wire: Wire): Uint8Array<ArrayBuffer> {
  const { encoding } = wire;
  const content = bodyOf(wire);
  if (encoding === 'utf-8') return new TextEncoder().encode(content);
  if (encoding === 'base64') return Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  return Uint8Array.from(content, (char) => {
    const high = WINDOWS_1252_HIGH.indexOf(char);
    return high < 0 ? char.charCodeAt(0) : 0x80 + high;
  });
}

/** Methods that read a content. On its prototype: JSON.stringify prints the content as the API gave it. */
const READING: ThisType<Content> & Omit<Content, keyof Wire> = {
  bytes() {
    return bytesOf(this);
  },
  text() {
    return this.encoding === 'base64' ? new TextDecoder().decode(bytesOf(this)) : bodyOf(this);
  },
  json<T>() {
    // Some senders begin with a byte order mark, which JSON.parse does not take.
    return JSON.parse(this.text().replace(/^\ufeff/, '')) as T;
  },
  form() {
    return new URLSearchParams(this.text());
  },
  header(name) {
    const wanted = name.toLowerCase();
    const found = this.request?.headers.filter(([one]) => one?.toLowerCase() === wanted);
    return found?.length ? found.map(([, value]) => value ?? '').join(', ') : undefined;
  },
  toRequest() {
    if (!this.request) return undefined;
    const { method, public_url, headers } = this.request;
    const body = method === 'GET' || method === 'HEAD' ? null : bytesOf(this);
    return new Request(public_url, {
      method,
      headers: headers.map(([name = '', value = '']): [string, string] => [name, value]),
      body,
    });
  },
};

/** Adds these methods to a content of the API; one object for all, as thousands of contents come in a second. */
export const toContent = <T extends Wire>(wire: T): T & Content => Object.setPrototypeOf(wire, READING);

// Hop by hop (RFC 9110, 7.6.1), and what each sender writes for the target and the length of its own.
const OWN =
  /^(host|content-length|expect|transfer-encoding|connection|keep-alive|proxy-(authenticate|authorization|connection)|te|trailer|upgrade)$/i;

/** Without those of the connection, and without those that its `Connection` names. */
export function resendable<Header extends readonly string[]>(headers: readonly Header[]): Header[] {
  const named = headers.flatMap(([name = '', value = '']) =>
    name.toLowerCase() === 'connection' ? value.toLowerCase().split(/\s*,\s*/) : [],
  );
  return headers.filter(([name = '']) => !OWN.test(name) && !named.includes(name.toLowerCase()));
}
