// Requests as commands: a received one as curl for bash and zsh, byte for byte, and a first one in five languages.
import { resendable } from '../client/content.ts';
import type { HeaderList } from './body.ts';

interface CurlRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderList;
  readonly bytes: Uint8Array;
  /** The body as text, when it is text. */
  readonly text: string | undefined;
}

const SECRET = /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|access[-_]?key|credential/i;
// Headers named like a secret that are none.
const HARMLESS = /^(i-twilio-idempotency-token|x-csrf-token-required)$/i;

/** Whether a header of this name holds a secret: its value is shown only when the user asks for it. */
export const isSecret = (name: string): boolean => SECRET.test(name) && !HARMLESS.test(name);

/** Headers that curl adds unless told otherwise. */
const ADDED = ['Accept', 'User-Agent'];
// One argument of a command may have 128 KB on Linux.
const MOST_ARGUMENT = 96 * 1024;

/** Text in single quotes; with bytes outside of printable ASCII as $'…'. One character per byte. */
function quoteBytes(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\']/g, '\\$&').replace(/[^\x20-\x7e]/g, (char) => {
    return `\\x${(char.charCodeAt(0) & 0xff).toString(16).padStart(2, '0')}`;
  });
  return `$'${escaped}'`;
}

export function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let from = 0; from < bytes.length; from += 8192)
    binary += String.fromCharCode(...bytes.subarray(from, from + 8192));
  return btoa(binary);
}

/** Whether a body can be an argument: short, without control characters, and not like a file name of curl (`@`). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const plain = (text: string): boolean => text.length < MOST_ARGUMENT && !/^@|[\0-\x08\x0b-\x1f\x7f]/.test(text);

export function curlOf({ method, url, headers, bytes, text }: CurlRequest): string {
  const has = (name: string) => headers.some(([other]) => other?.toLowerCase() === name.toLowerCase());
  const options: string[] = [];
  // curl resolves dot segments before it sends a path.
  if (/\/(\.|%2e){1,2}([/?#]|$)/i.test(url)) options.push('--path-as-is');
  if (method === 'HEAD') options.push('--head');
  else if (method !== (bytes.length > 0 ? 'POST' : 'GET')) options.push(`-X ${quoteBytes(method)}`);
  for (const [name = '', value = ''] of resendable(headers))
    options.push(`-H ${quoteBytes(value === '' ? `${name};` : `${name}: ${value}`)}`);
  for (const name of ADDED) if (!has(name)) options.push(`-H '${name}:'`);
  if (bytes.length > 0 && !has('Content-Type')) options.push("-H 'Content-Type:'");
  if (bytes.length > 1024 * 1024) options.push("-H 'Expect:'");
  let before = '';
  if (bytes.length > 0) {
    if (text !== undefined && plain(text)) options.push(`--data-binary '${text.replaceAll("'", "'\\''")}'`);
    else {
      const encoded = base64(bytes);
      before = encoded.length < MOST_ARGUMENT ? `printf %s '${encoded}' | base64 -d | ` : `base64 -d <<'END' | `;
      options.push('--data-binary @-');
      if (encoded.length >= MOST_ARGUMENT) options.push(`\0${encoded}`);
    }
  }
  const last = options.at(-1)?.startsWith('\0') ? options.pop()?.slice(1) : undefined;
  const command = [`${before}curl ${quoteBytes(url)}`, ...options].join(' \\\n  ');
  return last === undefined ? command : `${command}\n${last.replace(/.{76}/g, '$&\n')}\nEND`;
}

const BODY = '{"hello":"world"}';

/** A first request to a webhook, in each language that the page offers. */
const SNIPPETS = {
  curl: (url: string) => `curl '${url}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${BODY}'`,
  HTTPie: (url: string) => `http POST '${url}' hello=world`,
  PowerShell: (url: string) =>
    `Invoke-RestMethod -Method Post -Uri '${url}' \`\n  -ContentType 'application/json' \`\n  -Body '${BODY}'`,
  JavaScript: (url: string) =>
    `await fetch('${url}', {\n  method: 'POST',\n  headers: { 'content-type': 'application/json' },\n  body: JSON.stringify({ hello: 'world' }),\n});`,
  Python: (url: string) =>
    `import json, urllib.request\n\nurllib.request.urlopen(urllib.request.Request(\n    '${url}',\n    data=json.dumps({'hello': 'world'}).encode(),\n    headers={'Content-Type': 'application/json'},\n))`,
};
export type Language = keyof typeof SNIPPETS;
export const LANGUAGES = Object.keys(SNIPPETS) as Language[];
export const snippet = (language: Language, url: string): string => SNIPPETS[language](url);
