// Lines of text with colours: what JSON, XML and plain text become before they are shown.

/** `k` key, `s` string, `n` number, `l` literal, `p` punctuation, `` plain. */
type Kind = 'k' | 's' | 'n' | 'l' | 'p' | '';
export interface Part {
  readonly kind: Kind;
  readonly text: string;
  /** As it stands in the body, where that differs from what is shown. */
  readonly raw?: string;
}
export interface Line {
  /** Levels of nesting. */
  readonly depth: number;
  readonly parts: readonly Part[];
}

// A line of megabytes stops a browser that has to break it: what is longer is cut, and the rest can be downloaded.
const MOST_SHOWN = 2_000;
export const cut = (text: string): string =>
  text.length > MOST_SHOWN
    ? `${text.slice(0, MOST_SHOWN)}… ${(text.length - MOST_SHOWN).toLocaleString('en')} more`
    : text;

// A body of five million brackets would be as many lines.
export const MOST_LINES = 50_000;
export const restNotSetOut = (characters: number): Line => ({
  depth: 0,
  parts: [{ kind: 'p', text: `… ${characters.toLocaleString('en')} more characters: download the body to see them` }],
});

/** Text as lines; a very long one is broken. */
export function textLines(text: string): Line[] {
  const lines: Line[] = [];
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
