// Markdown to HTML, as much of it as the guides use. Their sources are ours; values put into them are escaped.
import { escapeHtml } from './docspage.ts';

export interface Fence {
  /** What stands behind the three backticks: a language, or a call. */
  readonly info: string;
  readonly text: string;
}
interface Options {
  /** Replaces `{{name}}`; undefined leaves it out. */
  readonly value: (name: string) => string;
  /** The HTML of a fenced block. */
  readonly fence: (fence: Fence) => string;
  readonly link: (href: string) => string;
}

const PLACE = /\{\{(\w+)\}\}/g;
/** Text with its values put in, for Markdown and code. */
export const filled = (text: string, value: (name: string) => string): string =>
  text.replace(PLACE, (_, name: string) => value(name));

function inline(text: string, { value, link }: Options): string {
  const codes: string[] = [];
  const held = escapeHtml(text).replace(
    /`([^`]+)`/g,
    (_, code: string) => `\0${codes.push(`<code>${code}</code>`) - 1}\0`,
  );
  return held
    .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label: string, href: string) => `<a href="${link(href)}">${label}</a>`)
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\*([^*]+)\*/g, '<em>$1</em>')
    .replace(/\0(\d+)\0/g, (_, at: string) => codes[Number(at)] ?? '')
    .replace(PLACE, (_, name: string) => escapeHtml(value(name)));
}

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
const cells = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());

function table([head = '', , ...rows]: readonly string[], options: Options): string {
  const row = (line: string, tag: string) =>
    `<tr>${cells(line)
      .map((cell) => `<${tag}>${inline(cell, options)}</${tag}>`)
      .join('')}</tr>`;
  const body = rows.map((line) => row(line, 'td')).join('');
  return `<div class="table" tabindex="0" role="region" aria-label="Table: ${escapeHtml(cells(head).join(', '))}"><table><thead>${row(head, 'th')}</thead><tbody>${body}</tbody></table></div>`;
}

/** Lines of a list; one that is indented goes on with the item before. */
function list(lines: readonly string[], tag: string, options: Options): string {
  const items: string[] = [];
  for (const line of lines) {
    const item = /^(?:[*-]|\d+\.) (.*)$/.exec(line)?.[1];
    if (item === undefined) items.push(`${items.pop() ?? ''} ${line.trim()}`);
    else items.push(item);
  }
  return `<${tag}>${items.map((item) => `<li>${inline(item, options)}</li>`).join('')}</${tag}>`;
}

function block(text: string, options: Options): string {
  const lines = text.split('\n');
  const [first = ''] = lines;
  const heading = /^(#{1,3}) (.*)$/.exec(first);
  if (heading) {
    const [, marks = '', title = ''] = heading;
    return `<h${marks.length} id="${slug(title)}">${inline(title, options)}</h${marks.length}>`;
  }
  if (first.startsWith('|')) return table(lines, options);
  if (/^[*-] /.test(first)) return list(lines, 'ul', options);
  if (/^\d+\. /.test(first)) return list(lines, 'ol', options);
  if (first.startsWith('> '))
    return `<aside><p>${inline(lines.map((line) => line.replace(/^> ?/, '')).join(' '), options)}</p></aside>`;
  return `<p>${inline(lines.join(' '), options)}</p>`;
}

const FENCE = /^```(.*)\n([\s\S]*?)^```$/gm;
export const fencesOf = (markdown: string): Fence[] =>
  [...markdown.matchAll(FENCE)].map(([, info = '', text = '']) => ({ info: info.trim(), text }));

/** Another text for each fenced block. */
export const mapFences = (markdown: string, map: (fence: Fence) => string): string =>
  markdown.replace(FENCE, (_, info: string, text: string) => map({ info: info.trim(), text }));

/** A page of Markdown as HTML. */
export function toHtml(markdown: string, options: Options): string {
  const fences: string[] = [];
  const held = mapFences(markdown, (fence) => `\n\n\0${fences.push(options.fence(fence)) - 1}\0\n\n`);
  return held
    .split(/\n{2,}/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const at = /^\0(\d+)\0$/.exec(part)?.[1];
      return at === undefined ? block(part, options) : (fences[Number(at)] ?? '');
    })
    .join('\n');
}
