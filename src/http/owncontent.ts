// What a user posts as own content: from the query, from a JSON object, or the body as it is.
import { isUtf8 } from 'node:buffer';
import { invalid } from '../errors.ts';

/** `url`: the raw one, for the bytes of `?content=`. Throws a 422 when there is nothing, or two things. */
export function ownContent(fromQuery: string | undefined, body: Buffer, url: string): Buffer {
  if (fromQuery !== undefined) {
    if (body.length > 0)
      throw invalid([{ path: 'query.content', message: 'and a body were both sent: send one of them' }]);
    // From the raw query: decoded as text, bytes that are not UTF-8 would be changed.
    const content = queryBytes(url, 'content');
    if (!isUtf8(content))
      throw invalid([
        { path: 'query.content', message: 'must be percent-encoded UTF-8; send other bytes as the body' },
      ]);
    return content;
  }
  if (body.length === 0)
    throw invalid([{ path: 'body', message: 'is empty: send the content as ?content= or as the body' }]);
  return jsonMember(body) ?? body;
}

/** The bytes of a query parameter: `+` is a space, a `%` that encodes nothing stays. */
function queryBytes(url: string, name: string): Buffer {
  for (const pair of url.slice(url.indexOf('?') + 1).split('&')) {
    const end = `${pair}=`.indexOf('=');
    if (decodeQuery(pair.slice(0, end)).toString() === name) return decodeQuery(pair.slice(end + 1));
  }
  return Buffer.alloc(0);
}
const decodeQuery = (text: string): Buffer => {
  const byte = (code: string) => String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return Buffer.from(text.replaceAll('+', ' ').replace(/%[0-9a-f]{2}/gi, byte), 'latin1');
};

/** The string of `{"content":"…"}`; undefined when the body is anything else, which is then taken as it is. */
function jsonMember(body: Buffer): Buffer | undefined {
  const first = body.find((byte) => byte > 0x20);
  if (first !== 0x7b || !isUtf8(body)) return undefined; // 0x7b: {
  try {
    const value = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    const { content, ...more } = value;
    // A lone surrogate has no bytes: such a body is kept as it is.
    if (typeof content !== 'string' || Object.keys(more).length > 0 || !content.isWellFormed()) return undefined;
    return Buffer.from(content);
  } catch {
    return undefined;
  }
}
