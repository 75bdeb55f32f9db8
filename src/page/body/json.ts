// Sets JSON out in lines from its own text: numbers keep every digit, members their order and doubles. Knows no recursion.
import { cut, type Line, MOST_LINES, type Part, restNotSetOut } from './code.ts';

const SPACE = /[ \t\r\n]*/y;
const TOKEN = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may come now: a value, the first of a list, a member's name, a colon, what continues or ends. */
type Expect = 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'after' | 'end';

/** The text as lines; undefined when it is no JSON. */
export function jsonLines(text: string): Line[] | undefined {
  const lines: Line[] = [];
  let parts: Part[] = [];
  let lineDepth = 0;
  const closers: ('}' | ']')[] = [];
  let expect: Expect = 'value';
  let at = 0;
  const newLine = () => {
    lines.push({ depth: lineDepth, parts });
    parts = [];
    lineDepth = closers.length;
  };
  const afterValue = (): Expect => (closers.length > 0 ? 'after' : 'end');
  for (;;) {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
    if (at >= text.length) break;
    const token = tokenAt(text, at);
    if (token === undefined) return undefined;
    if (lines.length >= MOST_LINES) return [...lines, restNotSetOut(text.length - at)];
    const [char] = token;
    if (char === '}' || char === ']') {
      if (closers.at(-1) !== char) return undefined;
      const empty = expect === (char === '}' ? 'firstKey' : 'first');
      if (!empty && expect !== 'after') return undefined;
      closers.pop();
      if (!empty) newLine();
      lineDepth = empty ? lineDepth : closers.length;
      parts.push({ kind: 'p', text: char });
      expect = afterValue();
    } else if (char === ',') {
      if (expect !== 'after') return undefined;
      parts.push({ kind: 'p', text: ',' });
      newLine();
      expect = closers.at(-1) === '}' ? 'key' : 'value';
    } else if (char === ':') {
      if (expect !== 'colon') return undefined;
      parts.push({ kind: 'p', text: ': ' });
      expect = 'value';
    } else if (expect === 'key' || expect === 'firstKey') {
      if (char !== '"') return undefined;
      if (expect === 'firstKey') newLine();
      parts.push({ kind: 'k', text: cut(token) });
      expect = 'colon';
    } else if (expect === 'value' || expect === 'first') {
      if (expect === 'first') newLine();
      if (char === '{' || char === '[') {
        parts.push({ kind: 'p', text: char });
        closers.push(char === '{' ? '}' : ']');
        expect = char === '{' ? 'firstKey' : 'first';
      } else {
        const kind = char === '"' ? 's' : char === 't' || char === 'f' || char === 'n' ? 'l' : 'n';
        parts.push({ kind, text: cut(token), ...(token.length > 200 ? {} : { raw: token }) });
        expect = afterValue();
      }
    } else return undefined;
    at += token.length;
  }
  if (expect !== 'end') return undefined;
  newLine();
  return lines;
}

function tokenAt(text: string, at: number): string | undefined {
  // By hand for strings: a regular expression runs out of stack on one of megabytes.
  if (text[at] === '"') {
    for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
      let slashes = 0;
      while (text[end - 1 - slashes] === '\\') slashes++;
      if (slashes % 2 === 0) return text.slice(at, end + 1);
    }
    return undefined;
  }
  TOKEN.lastIndex = at;
  return TOKEN.exec(text)?.[0];
}
