// The guides: Markdown with calls in it, filled with the things of its reader, as a page or as plain text.
import type { Route } from '../api/route.ts';
import { PRESETS } from '../verify/presets/index.ts';
import { escapeHtml, readGuide } from './frame.ts';
import {
  codeSamples,
  type Mine,
  ofSpare,
  receiverSample,
  type Sample,
  sampleOf,
  TAKEN,
  TRY_CONSUMER,
} from './samples.ts';

/** In the order in which they are read. */
export const GUIDES = [
  'credentials',
  'first-webhook',
  'polling',
  'consumers',
  'providers',
  'not-listed',
  'why-not-arrived',
  'errors-and-limits',
] as const;

/** A block of code. */
interface Fence {
  /** What stands behind its three backticks: a language, or a call. */
  readonly info: string;
  readonly text: string;
}
/** As the build has cut it at its blocks of code. */
export interface Guide {
  readonly name: string;
  readonly title: string;
  /** The sentence below the title. */
  readonly lead: string;
  readonly html: readonly (string | Fence)[];
  readonly markdown: readonly (string | Fence)[];
}

export const readGuides = (): Guide[] =>
  GUIDES.map((name) => ({ name, ...(JSON.parse(readGuide(name)) as Omit<Guide, 'name'>) }));

export interface Reader {
  readonly mine: Mine;
  readonly routes: readonly Route[];
  readonly publicUrl: string;
  /** The path of PUBLIC_URL: what links of a page begin with. */
  readonly base: string;
}

/** The text with a value for each `{{name}}`. */
const filled = (text: string, value: (name: string) => string): string =>
  text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => value(name));

function valuesFor({ mine, publicUrl, base }: Reader): (name: string) => string {
  const values: Readonly<Record<string, string>> = {
    base,
    url: publicUrl,
    id: mine.id,
    token: mine.token,
    wh_id: String(mine.webhook?.wh_id ?? 7),
    wh_name: mine.webhook?.wh_name ?? 'Payments',
    wh_url: mine.open?.wh_url ?? `${publicUrl}/in/KEY`,
    content_id: String(mine.content?.id ?? 27),
    consumer: TRY_CONSUMER,
    presets: [...PRESETS.keys()].join(', '),
  };
  return (name) => values[name] ?? '';
}

const CALL = /^(example|call)(?: ([1-5]\d\d))? ([A-Z]+) (\S+)$/;
/** `example METHOD /route` is the example of the reference, `call METHOD /path` one of its own; undefined: just code. */
function callOf({ info, text }: Fence, reader: Reader): Sample | undefined {
  const [, kind, , method = '', target = ''] = CALL.exec(info) ?? [];
  if (!kind) return undefined;
  if (target === '/in/{key}') return receiverSample(reader.mine, reader.publicUrl);
  if (kind === 'example') {
    const route = reader.routes.find((one) => one.method === method && one.url === target);
    if (!route) throw new Error(`a guide shows ${method} ${target}, which is no route`);
    return sampleOf(route, reader.mine);
  }
  // A webhook that was made for trying: a guide must not change one that is in use.
  const { params, before } = target.includes('{wh_id}') ? ofSpare(reader.mine) : {};
  const spare = params?.wh_id;
  const own = typeof spare === 'number' ? target.replace('{wh_id}', String(spare)) : target;
  const path = filled(own, valuesFor(reader));
  const body = text.trim() ? JSON.parse(filled(text, valuesFor(reader))) : undefined;
  const comes = path.endsWith('/raw') ? 'bytes' : method === 'DELETE' ? 'none' : 'json';
  return { method, path, body, before, comes, signedIn: true, params: {} };
}

const callerOf = ({ mine, publicUrl }: Reader) => ({ base: publicUrl, id: mine.id, token: mine.token });
/** For the script of the page, which makes the call. */
const forPage = ({ method, path, body, before, signedIn }: Sample) =>
  JSON.stringify({ method, path, body, before, signedIn }, (_, value) => (value === TAKEN ? '\0taken' : value));

function fenceToHtml(fence: Fence, reader: Reader): string {
  const sample = callOf(fence, reader);
  const code = (text: string) => `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>`;
  if (!sample) return `<figure class="code">${code(filled(fence.text, valuesFor(reader)))}</figure>`;
  const parts = codeSamples(sample, callerOf(reader)).map(
    ({ label, source }) => `<section><h4>${escapeHtml(label)}</h4>${code(source)}</section>`,
  );
  return `<figure class="code call" data-call="${escapeHtml(forPage(sample))}">${parts.join('')}</figure>`;
}

/** A guide as the HTML of its page. */
export function guideToHtml({ html }: Guide, reader: Reader): string {
  const value = valuesFor(reader);
  const escaped = (name: string) => escapeHtml(value(name));
  return html
    .map((piece) => (typeof piece === 'string' ? filled(piece, escaped) : fenceToHtml(piece, reader)))
    .join('');
}

/** A guide as Markdown, its calls as curl: for programs that read. */
export function guideToMarkdown({ markdown }: Guide, reader: Reader): string {
  const value = valuesFor(reader);
  const block = (fence: Fence) => {
    const sample = callOf(fence, reader);
    const [curl] = sample ? codeSamples(sample, callerOf(reader)) : [];
    return curl ? `\`\`\`sh\n${curl.source}\n\`\`\`` : `\`\`\`${fence.info}\n${filled(fence.text, value)}\n\`\`\``;
  };
  const text = markdown.map((piece) => (typeof piece === 'string' ? filled(piece, value) : block(piece))).join('');
  return `${text.trimEnd()}\n`;
}
