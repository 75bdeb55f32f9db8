// Lines of text with colours: what JSON, XML and plain text become before they are shown. Nothing of it is ever parsed into a document.

/** `k` key, `s` string, `n` number, `l` literal, `p` punctuation, `` plain. */
type Kind = 'k' | 's' | 'n' | 'l' | 'p' | '';
interface CodePart {
  readonly kind: Kind;
  readonly text: string;
  /** As it stands in the body, where that differs from what is shown. */
  readonly raw?: string;
}
export interface CodeLine {
  /** Levels of nesting. */
  readonly depth: number;
  readonly parts: readonly CodePart[];
}

// A line of megabytes stops a browser that has to break it: what is longer is cut, and the rest can be downloaded.
const MOST_SHOWN = 2_000;
const cut = (text: string): string =>
  text.length > MOST_SHOWN
    ? `${text.slice(0, MOST_SHOWN)}… ${(text.length - MOST_SHOWN).toLocaleString('en')} more`
    : text;

// A body of five million brackets would be as many lines.
const MOST_LINES = 50_000;
const restNotSetOut = (characters: number): CodeLine => ({
  depth: 0,
  parts: [{ kind: 'p', text: `… ${characters.toLocaleString('en')} more characters: download the body to see them` }],
});

/** Text as lines; a very long one is broken. */
export function textLines(text: string): CodeLine[] {
  const lines: CodeLine[] = [];
  for (let at = 0; at <= text.length; ) {
    if (lines.length >= MOST_LINES) return [...lines, restNotSetOut(text.length - at)];
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found;
    const to = Math.min(end, at + MOST_SHOWN);
    lines.push({ depth: 0, parts: [{ kind: '', text: text.slice(at, to).replace(/\r$/, '') }] });
    at = to < end ? to : end + 1;
  }
  return lines;
}

const SPACE = /[ \t\r\n]*/y;
const TOKEN = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may come now: a value, the first of a list, a member's name, a colon, what continues or ends. */
type Expect = 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'after' | 'end';

/** The text as lines; undefined when it is no JSON. */
export function jsonLines(text: string): CodeLine[] | undefined {
  const lines: CodeLine[] = [];
  let parts: CodePart[] = [];
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

const PIECE = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<[^>]*>|[^<]+/g;
const NAME = /^<\/?[^\s/>]*/;

/** The lines of a text that looks like XML. A short text stays on the line of its element. */
export function markupLines(text: string): CodeLine[] {
  // Up to here it is looked at.
  const most = 2_000_000;
  const pieces = text.slice(0, most).match(PIECE) ?? [];
  const lines: CodeLine[] = [];
  let depth = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = (pieces[i] as string).trim();
    if (piece === '') continue;
    if (lines.length >= MOST_LINES) break;
    if (!piece.startsWith('<')) lines.push({ depth, parts: [{ kind: '', text: cut(piece) }] });
    else if (piece.startsWith('</')) {
      depth = Math.max(depth - 1, 0);
      lines.push({ depth, parts: tag(piece) });
    } else if (/^<[!?]/.test(piece)) lines.push({ depth, parts: [{ kind: 'p', text: cut(piece) }] });
    else if (piece.endsWith('/>')) lines.push({ depth, parts: tag(piece) });
    else {
      const inner = pieces[i + 1] ?? '';
      const end = inner.startsWith('</') ? inner : (pieces[i + 2] ?? '');
      const short = end.startsWith('</') && (end === inner || (!inner.startsWith('<') && inner.length < 200));
      if (short) {
        const middle: CodePart[] = end === inner ? [] : [{ kind: 's', text: inner.trim() }];
        lines.push({ depth, parts: [...tag(piece), ...middle, ...tag(end)] });
        i += end === inner ? 1 : 2;
      } else lines.push({ depth: depth++, parts: tag(piece) });
    }
  }
  if (text.length > most || lines.length >= MOST_LINES) lines.push(restNotSetOut(text.length));
  return lines;
}

function tag(piece: string): CodePart[] {
  const name = NAME.exec(piece)?.[0] ?? '';
  return [
    { kind: 'k', text: cut(name) },
    { kind: 'p', text: cut(piece.slice(name.length)) },
  ];
}

export const looksLikeMarkup = (text: string): boolean => /^\s*<(\?xml|[A-Za-z!])/.test(text);
