// What a user posts as own content: from the query, from a JSON object, or the body as it is.
import { isUtf8 } from 'node:buffer';
import { invalid } from '../errors.ts';
import { decodeBytes } from '../receive/form.ts';

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

/** The bytes of a query parameter. */
function queryBytes(url: string, name: string): Buffer {
  for (const pair of url.slice(url.indexOf('?') + 1).split('&')) {
    const end = `${pair}=`.indexOf('=');
    if (decodeQuery(pair.slice(0, end)).toString() === name) return decodeQuery(pair.slice(end + 1));
  }
  return Buffer.alloc(0);
}
const decodeQuery = (text: string): Buffer => Buffer.from(decodeBytes(text), 'latin1');

const OPENS = /^[ \t\r\n]*\{[ \t\r\n]*"content"[ \t\r\n]*:[ \t\r\n]*(?=")/;
const CLOSES = /^[ \t\r\n]*\}[ \t\r\n]*$/;

/**
 * The string of `{"content":"…"}`; undefined when the body is anything else, which is then taken as it is. Nothing but
 * that string is parsed: an object of a million members would hold up everybody for seconds.
 */
function jsonMember(body: Buffer): Buffer | undefined {
  if (!isUtf8(body)) return undefined;
  const text = body.toString('utf8');
  const from = OPENS.exec(text)?.[0].length;
  if (from === undefined) return undefined;
  let end = from;
  do end = text.indexOf('"', end + 1);
  while (end > 0 && isEscaped(text, end));
  if (end < 0 || !CLOSES.test(text.slice(end + 1))) return undefined;
  try {
    const content = JSON.parse(text.slice(from, end + 1)) as string;
    // A lone surrogate has no bytes: such a body is kept as it is.
    return content.isWellFormed() ? Buffer.from(content) : undefined;
  } catch {
    return undefined;
  }
}

function isEscaped(text: string, at: number): boolean {
  let from = at;
  while (text[from - 1] === '\\') from--;
  return (at - from) % 2 === 1;
}
