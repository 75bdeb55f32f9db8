// Sets XML out in lines, by its own text: nothing of it is ever parsed into a document.
import { cut, type Line, MOST_LINES, type Part, restNotSetOut } from './code.ts';

const PIECE = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<[^>]*>|[^<]+/g;
const NAME = /^<\/?[^\s/>]*/;

/** The lines of a text that looks like XML. A short text stays on the line of its element. */
export function markupLines(text: string): Line[] {
  // Up to here it is looked at.
  const most = 2_000_000;
  const pieces = text.slice(0, most).match(PIECE) ?? [];
  const lines: Line[] = [];
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
        const middle: Part[] = end === inner ? [] : [{ kind: 's', text: inner.trim() }];
        lines.push({ depth, parts: [...tag(piece), ...middle, ...tag(end)] });
        i += end === inner ? 1 : 2;
      } else lines.push({ depth: depth++, parts: tag(piece) });
    }
  }
  if (text.length > most || lines.length >= MOST_LINES) lines.push(restNotSetOut(text.length));
  return lines;
}

function tag(piece: string): Part[] {
  const name = NAME.exec(piece)?.[0] ?? '';
  return [
    { kind: 'k', text: cut(name) },
    { kind: 'p', text: cut(piece.slice(name.length)) },
  ];
}

export const looksLikeMarkup = (text: string): boolean => /^\s*<(\?xml|[A-Za-z!])/.test(text);
