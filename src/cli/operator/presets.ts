// restante presets: the providers that are known by name, what each needs, and what to do there.
import type { Command } from 'commander';
import { mistakesOf, rulesInWords } from '../../verify/explain.ts';
import { PRESETS, type Preset } from '../../verify/presets/index.ts';
import { compileRules } from '../../verify/rules.ts';
import { isCertified, makeSample, needsKey, PROVIDER_SIGNS, type SignedSample } from '../../verify/sample.ts';
import { Complaint, type Io, table, wrapped } from '../io.ts';
import { verb } from '../verb.ts';

const ALGORITHMS: Readonly<Record<string, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha512: 'SHA-512',
  ed25519: 'Ed25519',
  'ecdsa-p256': 'ECDSA P-256',
  'rsa-sha256': 'RSA SHA-256',
  'rsa-sha1': 'RSA SHA-1',
};
const DEFAULT_WINDOW_S = 300;

/** What is verified, in a few words. */
export function verified({ verify }: Preset): string {
  const { scheme, algorithm = 'sha256', signed_string = '{body}', tolerance_seconds = DEFAULT_WINDOW_S } = verify;
  if (scheme === undefined) return 'what you say in --verify';
  if (scheme === 'none') return 'nothing is signed';
  if (scheme === 'shared-secret') return `the secret itself, in ${(verify.secret_from ?? '').replace(':', ' ')}`;
  if (scheme === 'jwt')
    return `a JSON Web Token, ${algorithm.toUpperCase()}, in ${(verify.signature?.from ?? 'header:Authorization').replace(':', ' ')}`;
  const name = `${scheme === 'hmac' ? 'HMAC ' : ''}${ALGORITHMS[algorithm]} of ${signed_string.replaceAll('\n', '\\n')}`;
  return verify.timestamp && tolerance_seconds > 0 ? `${name}, within ${span(tolerance_seconds)}` : name;
}

const span = (seconds: number): string => (seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds} s`);

/** The answer to a sender once its request is committed, and to its handshake. */
export function answered({ response, handshake }: Preset): string {
  const usual = response ? [response.status, response.body && `${response.content_type} ${response.body}`] : [200];
  return `${usual.filter(Boolean).join(' ')}${response?.body ? '' : ', empty'}${handshake ? '; its challenge' : ''}`;
}

/** True when the handshake carries a token that the user chose and typed in at the provider. */
export const wantsToken = ({ handshake = [] }: Preset): boolean =>
  handshake.some(({ token_from }) => token_from !== undefined);

function needs(preset: Preset): string {
  const { name, secret } = preset;
  const wanted = [...(secret === undefined ? [] : ['a secret']), ...(wantsToken(preset) ? ['a verify token'] : [])];
  return `${wanted.join(' and ') || 'nothing'}${name === 'generic' ? ', --verify' : ''}`;
}

const asJson = (preset: Preset) => {
  const { name, title, secret = null, steps, waits, retries, source, checked } = preset;
  const told = { needs: needs(preset), verified: verified(preset), answer: answered(preset) };
  return {
    name,
    title,
    secret,
    ...told,
    waits,
    retries,
    steps,
    source,
    checked,
    rule: wordsOf(preset),
    verify: preset.verify,
  };
};

const mistakesOfPreset = (preset: Preset) => {
  const rules = rulesOf(preset);
  return rules ? mistakesOf(rules) : [];
};
const rulesOf = ({ name }: Preset) => (name === 'generic' ? undefined : compileRules({ preset: name }));
const wordsOf = (preset: Preset): readonly string[] => {
  const rules = rulesOf(preset);
  return rules ? rulesInWords(rules, preset.response) : [];
};

function tellOne(io: Io, preset: Preset): void {
  const { name, title, secret, steps, waits, retries, source, checked } = preset;
  const rows = {
    preset: `${name} (${title})`,
    needs: needs(preset),
    ...(secret === undefined ? {} : { secret }),
    verified: verified(preset),
    'we answer': answered(preset),
    'they wait': waits,
    'they retry': retries,
    source,
    'checked by': checked,
  };
  for (const [label, value] of Object.entries(rows)) io.out(`${wrapped(`${label.padEnd(11)} `, value)}\n`);
  const words = wordsOf(preset);
  if (words.length > 0) io.out(`\nThe rule:\n\n${words.map((one) => `${wrapped('  * ', one)}\n`).join('')}`);
  io.out('\nWhat to do:\n\n');
  for (const [i, step] of steps.entries()) io.out(`${wrapped(`  ${i + 1}. `, step)}\n`);
  const more = name === 'generic' ? " --verify '{…}'" : wantsToken(preset) ? ' --token-file FILE' : '';
  io.out(`
{url} is the URL of your webhook. This prints the steps with the URL in them:

  restante webhook add "${title.replace(/ \(.*/, '')}" --preset ${name}${more}
`);
  if (secret !== undefined)
    io.out(`
Once you have the secret, ID being the number of the webhook (what came earlier
is judged then):

  restante webhook set ID --secret-file -
`);
  if (name !== 'generic') tellSample(io, name);
  const mistakes = mistakesOfPreset(preset);
  if (mistakes.length === 0) return;
  io.out('\nUsual mistakes, and what its refusal says then (restante why, GET /refusals):\n\n');
  for (const { mistake, told } of mistakes) io.out(`${wrapped('  * ', `${mistake}:`)}\n${wrapped('      ', told)}\n`);
}

/** What the provider sends, with a word where the proof would stand. */
function tellSample(io: Io, preset: string): void {
  const rules = compileRules({ preset });
  const nonce = '0123456789abcdef01234567';
  const sample = makeSample({ rules, url: 'https://hooks.example.org/in/KEY', blank: true, nowMs: Date.now(), nonce });
  const key = needsKey(rules) ? ' --key private.pem' : '';
  io.out(`
Its requests look like this:

${curlOfSample(sample).replace(/^/gm, '  ')}

${isCertified(rules) ? wrapped('', PROVIDER_SIGNS) : `To send one that verifies to your webhook:\n\n  restante send --to ID${key}`}
`);
}

export const presetsCommand = (io: Io): Command =>
  verb({
    name: 'presets',
    summary:
      'List the providers that are known, or tell all about one: its rule in words, the steps, a sample, usual mistakes.',
    examples: ['restante presets', 'restante presets stripe', 'restante presets stripe --json'],
    settings: [],
  })
    .argument('[name]', 'the preset to tell about')
    .option('--json', 'as JSON')
    .action((name: string | undefined, { json }: { json?: boolean }) => {
      const one = name === undefined ? undefined : presetNamed(name);
      if (json)
        return io.out(
          `${JSON.stringify(one ? { ...asJson(one), mistakes: mistakesOfPreset(one) } : [...PRESETS.values()].map(asJson), null, 2)}\n`,
        );
      if (one) return tellOne(io, one);
      const rows = [...PRESETS.values()].map((preset) => ({ ...asJson(preset), 'checked against': preset.checked }));
      io.out(table(rows, ['name', 'title', 'needs', 'verified', 'checked against']));
    });

// A sample as a command -----------------------------------------------------------------------------------------------

/** Text as one argument of a shell: one character per byte, as bash and zsh read `$'…'`. */
function quoted(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text
    .replace(/[\\']/g, '\\$&')
    .replace(/[^\x20-\x7e]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `$'${escaped}'`;
}

export function curlOfSample({ method, url, headers, body }: SignedSample): string {
  // curl knows the host.
  const own = headers.flatMap((name, i) => (i % 2 === 0 && name !== 'Host' ? [`${name}: ${headers[i + 1]}`] : []));
  const options = own.map((line) => `-H ${quoted(line)}`);
  if (method !== 'POST') options.unshift(`-X ${quoted(method)}`);
  // $'…' cannot hold a zero byte.
  const bytes = body.toString('latin1');
  const plainBody = !bytes.includes('\0') && !bytes.startsWith('@');
  options.push(plainBody ? `--data-binary ${quoted(bytes)}` : '--data-binary @-');
  const before = plainBody ? '' : `printf %s '${body.toString('base64')}' | base64 -d | `;
  return [`${before}curl ${quoted(url)}`, ...options].join(' \\\n  ');
}

/** Complains with a near name when there is none. */
export function presetNamed(name: string): Preset {
  const preset = PRESETS.get(name);
  if (preset) return preset;
  throw new Complaint(`there is no such preset: restante presets lists them.${didYouMean(name, PRESETS.keys())}`, 2);
}

/** How many letters must be added, dropped, changed or swapped to make one word of the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      rows[i]?.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same, swapped));
    }
  }
  return at(a.length, b.length);
}

// `stirpe` is near to `stripe`, `foo` to nothing.
const MOST_LETTERS = 20;
const NEAR = 0.4;

/** ` Did you mean stripe?`, or nothing. */
export function didYouMean(given: string, words: Iterable<string>): string {
  const asked = given.toLowerCase().slice(0, MOST_LETTERS);
  const [best] = [...words]
    .map((word) => ({ word, far: distance(asked, word) / Math.max(asked.length, word.length, 1) }))
    .sort((a, b) => a.far - b.far);
  return best && best.far <= NEAR ? ` Did you mean ${best.word}?` : '';
}
