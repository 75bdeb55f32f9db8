// Near misses: what would have made a refused request verify, in a few words. Most mistakes are one of a handful.
import { isShared, isSigned, passesOf, readShared } from './digest.ts';
import { findHandshake } from './judge.ts';
import { claimFault, isTokenSigned, readToken, timeFault } from './jwt.ts';
import { readMessage, secondsOutside } from './message.ts';
import { PRESETS } from './presets/index.ts';
import type { Preset } from './presets/preset.ts';
import { headerOf, type Incoming, plainBody, readSource, type Secret, unexpired } from './request.ts';
import type { Proof, Rules } from './rules.ts';
import { atOnce } from './slices.ts';

const MOST_CHARACTERS = 250;
// Strangers can cause this work, and all other requests wait for it: all tries together read no more than this, which takes some
// 50 ms. To look for values in a body takes much longer than to hash it.
const MOST_BYTES = 24 * 1024 * 1024;
const PARSED_COUNTS = 10;
const MOST_PARSED = 256 * 1024;
// Some tries copy the body.
const MOST_DECODED_BYTES = 4 * 1024 * 1024;
const BYTES_A_TRY = 4096;
// A signature by RSA takes 30 µs, in which 30 KiB can be hashed.
const BYTES_A_KEY = 32 * 1024;

export interface OtherSecret {
  readonly wh_id: number;
  readonly secret: Secret;
}
/** What every try looks at. */
interface Case {
  readonly check: Proof;
  readonly secrets: readonly Secret[];
  /** Those of them that had not expired. */
  readonly usable: readonly Secret[];
  readonly incoming: Incoming;
  /** Whether the request would verify, apart from its time. */
  readonly fits: (secret: Secret, incoming: Incoming, check?: Proof) => boolean;
}

/** At most 250 characters; names a secret by its last four characters only. Null: nothing near. */
export function nearMiss(
  rules: Rules,
  secrets: readonly Secret[],
  incoming: Incoming,
  others: readonly OtherSecret[],
): string | null {
  const { check, preset } = rules;
  const open = findHandshake(rules, incoming, false);
  if (open) return handshake(rules, open.token && readSource(open.token, incoming, undefined));
  if ((incoming.decoded?.length ?? 0) > MOST_DECODED_BYTES) return null;
  if (!check || (parses(check) && plainBody(incoming).length > MOST_PARSED)) return null;
  const looks = lookalike(preset, incoming);
  const other = looks && `this looks like a request of ${looks.title}: try the preset ${looks.name}`;
  if (isMissing(check, incoming))
    return cut(
      other ??
        `it came unsigned: is the secret set at ${preset && preset.name !== 'generic' ? preset.title : 'the provider'}?`,
    );
  const tried: Case = { check, secrets, usable: unexpired(secrets, incoming), incoming, fits: limited(check) };
  const found =
    window(tried) ??
    expired(tried) ??
    trimmed(tried) ??
    encoded(tried) ??
    body(tried) ??
    asText(tried) ??
    url(tried) ??
    another(others, tried) ??
    other;
  return found ? cut(found) : null;
}

/** A handshake that is not signed fails for its token, or for the length of its challenge. */
function handshake({ token }: Rules, given: string | undefined): string | null {
  if (token === undefined || given === undefined || given.trim() !== token.trim()) return null;
  return 'would be answered without the white space around the verify token: one of the two has some';
}

const cut = (text: string): string => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text);

function isMissing(check: Proof, incoming: Incoming): boolean {
  const read =
    check.scheme === 'shared-secret'
      ? readShared(check, incoming)
      : check.scheme === 'jwt'
        ? readToken(check, incoming)
        : readMessage(check, incoming);
  return 'missing' in read && read.missing === true;
}

const parses = (check: Proof): boolean =>
  check.scheme === 'shared-secret' || check.scheme === 'jwt'
    ? typeof check.from === 'object' && check.from.kind !== 'header'
    : check.places.documents.length > 0 || check.places.forms || check.template.some(({ kind }) => kind === 'params');

/** Of the bytes that are read or hashed. */
const sizeOf = (check: Proof, incoming: Incoming): number =>
  parses(check) || ('decoded' in check && check.decoded) ? plainBody(incoming).length : incoming.body.length;

function limited(own: Proof): Case['fits'] {
  let left = MOST_BYTES;
  const weight = parses(own) ? PARSED_COUNTS : 1;
  return (secret, incoming, check = own) => {
    left -= sizeOf(check, incoming) * weight + BYTES_A_TRY;
    if (left < 0) return false;
    if (check.scheme === 'shared-secret') {
      const texts = readShared(check, incoming);
      return !('fault' in texts) && isShared(texts, secret);
    }
    if (check.scheme === 'jwt') {
      const token = readToken(check, incoming);
      left -= 4 * BYTES_A_KEY + incoming.body.length;
      if ('fault' in token || left < 0 || !atOnce(isTokenSigned(check, secret, token))) return false;
      return atOnce(claimFault(check, token, incoming)) === undefined;
    }
    const message = readMessage(check, incoming);
    if ('fault' in message) return false;
    const each = sizeOf(check, incoming) + (check.scheme === 'asymmetric' ? BYTES_A_KEY : BYTES_A_TRY);
    left -= each * passesOf(check, message);
    const named = message.certificate && incoming.certificates?.get(message.certificate);
    return left >= 0 && atOnce(isSigned(check, secret, message, named && 'key' in named ? [named.key] : []));
  };
}

/** Names a secret by its last four characters, or fewer of a short one. */
function nameOf({ value }: Secret): string {
  const shown = Math.min(4, Math.floor(value.length / 3));
  return shown > 0 ? `the secret ending …${value.slice(-shown)}` : 'the secret';
}

function window({ check, usable, incoming, fits }: Case): string | undefined {
  if (check.scheme === 'shared-secret' || !usable.some((secret) => fits(secret, incoming))) return undefined;
  if (check.scheme === 'jwt') {
    const token = readToken(check, incoming);
    const time = 'fault' in token ? undefined : timeFault(check, token, incoming.receivedMs);
    if (!time || time.seconds <= 0) return undefined;
    const why = time.future ? 'it counts only later, or a wrong clock' : 'an old token, or a wrong clock';
    return `${time.seconds} s outside the window of ${check.toleranceMs / 1000} s: ${why}`;
  }
  const message = readMessage(check, incoming);
  const timeMs = 'fault' in message ? undefined : message.timeMs;
  const outside = secondsOutside(check, timeMs, incoming.receivedMs);
  if (outside === 0) return undefined;
  const why =
    (timeMs ?? 0) > incoming.receivedMs ? 'it says it is from the future' : 'an old request, or a wrong clock';
  return `${outside} s outside the window of ${check.toleranceMs / 1000} s: ${why}`;
}

function expired({ secrets, usable, incoming, fits }: Case): string | undefined {
  const found = secrets.find((secret) => !usable.includes(secret) && fits(secret, incoming));
  const when = found && new Date(found.expiresMs ?? 0).toISOString().slice(0, 19);
  return found && `would verify with ${nameOf(found)} of this webhook, which expired at ${when}Z`;
}

function trimmed({ usable, incoming, fits }: Case): string | undefined {
  const found = usable.find(({ value }) => {
    const bare = value.trim();
    return bare !== value && bare !== '' && fits({ value: bare, expiresMs: null }, incoming);
  });
  return found && `would verify without the white space around ${nameOf({ ...found, value: found.value.trim() })}`;
}

function body({ check, usable, incoming, fits }: Case): string | undefined {
  const decoded = 'decoded' in check && check.decoded && incoming.decoded;
  const whole = decoded || incoming.body;
  const works = (changed: Buffer) =>
    usable.some((secret) => fits(secret, { ...incoming, [decoded ? 'decoded' : 'body']: changed }));
  if (whole.at(-1) === 10 && ((whole.at(-2) === 13 && works(whole.subarray(0, -2))) || works(whole.subarray(0, -1))))
    return 'would verify without the trailing newline of the body: something on the way added it';
  for (const [end, name] of [['\n', 'a newline'] as const, ['\r\n', 'CRLF'] as const])
    if (works(Buffer.concat([whole, Buffer.from(end)])))
      return `would verify with ${name} at the end of the body: something on the way cut it off`;
  return undefined;
}

/** Some providers sign what they compress, others what they send. */
function encoded({ check, usable, incoming, fits }: Case): string | undefined {
  if (!('decoded' in check) || !incoming.decoded) return undefined;
  const other = { ...check, decoded: !check.decoded };
  if (!usable.some((secret) => fits(secret, incoming, other))) return undefined;
  return check.decoded
    ? 'would verify over the bytes as they came: set verify.body to raw'
    : 'would verify over the decoded body: set verify.body to decoded';
}

/** Some providers that follow Standard Webhooks use the characters of the secret as the key. */
function asText({ check, usable, incoming, fits }: Case): string | undefined {
  if (check.scheme !== 'hmac' || check.keyEncoding === 'utf8') return undefined;
  const text = { ...check, keyEncoding: 'utf8', keyPrefix: '', keys: new WeakMap() } as const;
  const found = usable.find((secret) => fits(secret, incoming, text));
  return (
    found && `would verify with ${nameOf(found)} taken as text: set verify.key_encoding to utf8 and key_prefix to ""`
  );
}

function url({ check, usable, incoming, fits }: Case): string | undefined {
  if (!('template' in check) || !check.template.some(({ kind }) => kind === 'url')) return undefined;
  const found = urlVariants(incoming).find((variant) =>
    usable.some((secret) => fits(secret, { ...incoming, publicUrl: variant.url })),
  );
  const blame = found?.ours ? 'PUBLIC_URL is wrong' : 'another URL was pasted at the provider';
  return found && `would verify ${found.words}: ${blame}`;
}

function another(others: readonly OtherSecret[], { incoming, fits }: Case): string | undefined {
  const found = others.find(({ secret }) => fits(secret, incoming));
  return found && `would verify with ${nameOf(found.secret)} of webhook ${found.wh_id}`;
}

// Lookalikes: the headers of a request tell which provider sent it, when that is not the one that was expected.

interface Marks {
  readonly preset: Preset;
  /** Without one of each of these a request cannot be of this provider: they are signed. */
  readonly needed: readonly (readonly string[])[];
  readonly others: readonly string[];
}

const headersOf = (text: string): readonly string[] =>
  text.startsWith('header:') ? text.slice('header:'.length).toLowerCase().split(',') : [];

// Such a name says nothing of who sent it: a proxy or the owner of a URL adds Authorization too, and many sign in X-Signature.
const COMMON = new Set(['authorization', 'x-signature', 'x-webhook-signature']);

const MARKS: readonly Marks[] = [...PRESETS.values()].flatMap((preset) => {
  const { signature, secret_from, timestamp, id } = preset.verify;
  const marks = headersOf(signature?.from ?? secret_from ?? '').filter((name) => !COMMON.has(name));
  const more = [preset.dedupe ?? [], preset.event_type ?? [], timestamp?.from ?? [], id ?? []].flat(2);
  const needed = [marks, headersOf(timestamp?.from ?? ''), headersOf(id ?? '')].filter((names) => names.length > 0);
  return marks.length > 0 ? [{ preset, needed, others: [...new Set(more.flatMap(headersOf))] }] : [];
});

/** How many headers of this provider the request has; 0 without its signature and what is signed. */
function score({ needed, others }: Marks, incoming: Incoming): number {
  const has = (name: string) => headerOf(incoming, name) !== undefined;
  return needed.every((names) => names.some(has)) ? 1 + others.filter(has).length : 0;
}

/** The provider that more of the headers belong to than to the expected one. */
function lookalike(expected: Preset | undefined, incoming: Incoming): Preset | undefined {
  const scored = MARKS.map((marks) => ({ preset: marks.preset, points: score(marks, incoming) }));
  const own = scored.find(({ preset }) => preset === expected)?.points ?? 0;
  const [best] = scored.filter(({ points }) => points > own).sort((a, b) => b.points - a.points);
  return best?.preset;
}

// URL variants: the forms that the public URL may have at the provider, when ours is not the one that was signed.

/** One form of a part of the URL; no words: the form that we have. */
interface Choice {
  readonly value: string;
  readonly words: string;
}

const PARTS = /^(https?):\/\/([^/?#]*?)(:[0-9]+)?(\/[^?#]*)?(\?.*)?$/is;
const HOST = /^([A-Za-z0-9.-]{1,100}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$/;
const PREFIX = /^\/[A-Za-z0-9._~/-]{1,100}$/;
const MOST = 200;

/**
 * The variants with the fewest differences first. Headers of proxies are used only here, where no verdict depends on them. `words`:
 * the difference, to be read after `would verify `. `ours`: PUBLIC_URL is wrong, and not the URL at the provider.
 */
function urlVariants(incoming: Incoming) {
  const [whole, scheme = '', host = '', port = '', path = '', query = ''] = PARTS.exec(incoming.publicUrl) ?? [];
  if (!whole) return [];
  const same = (value: string): Choice => ({ value, words: '' });
  const other = scheme.toLowerCase() === 'https' ? 'http' : 'https';
  const schemes: Choice[] = [same(scheme), { value: other, words: `with ${other}://` }];
  const places: Choice[] = [same(host + port), ...placesOf(incoming, host, port)];
  const paths: Choice[] = [same(path), ...pathsOf(incoming, path)];
  const variants = schemes.flatMap((a) =>
    places.flatMap((b) =>
      paths.map((c) => {
        const words = [a, b, c].flatMap((choice) => choice.words || []);
        const ours = c.words === '' || a.words !== '' || b.words !== '' || !c.words.includes('slash');
        const url = `${a.value}://${b.value}${c.value}${query}`;
        return { url, words: words.join(' and '), ours, count: words.length };
      }),
    ),
  );
  return variants
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.count - b.count)
    .slice(0, MOST);
}

function placesOf(incoming: Incoming, host: string, port: string): readonly Choice[] {
  const choices = new Map<string, string>();
  const add = (value: string, words: string) => {
    if (value !== host + port && !choices.has(value)) choices.set(value, words);
  };
  const forwarded = (headerOf(incoming, 'x-forwarded-port') ?? '').trim();
  if (port) add(host, `without ${port}`);
  for (const usual of [':443', ':80']) add(host + usual, `with ${usual}`);
  if (/^[0-9]{1,5}$/.test(forwarded)) add(`${host}:${forwarded}`, `with :${forwarded}`);
  for (const name of ['host', 'x-forwarded-host', 'x-original-host']) {
    const said = HOST.exec((headerOf(incoming, name) ?? '').split(',')[0]?.trim() ?? '');
    if (!said) continue;
    const [whole, bare = '', itsPort = ''] = said;
    if (bare.toLowerCase() === host.toLowerCase()) add(host + itsPort, itsPort ? `with ${itsPort}` : `without ${port}`);
    else {
      add(whole, `with the host ${whole}`);
      if (itsPort) add(bare, `with the host ${bare}`);
    }
  }
  return [...choices].map(([value, words]) => ({ value, words }));
}

function pathsOf(incoming: Incoming, path: string): readonly Choice[] {
  const choices: Choice[] = [];
  // A prefix of PUBLIC_URL that the provider does not have: at most the steps before /in/, else up to three.
  const steps = path.split('/').slice(1);
  const key = steps.lastIndexOf('in');
  const most = key > 0 ? key : key === 0 ? 0 : Math.min(3, steps.length - 1);
  for (let count = most; count > 0; count--)
    choices.push({ value: `/${steps.slice(count).join('/')}`, words: `without /${steps.slice(0, count).join('/')}` });
  // A prefix that a proxy removes.
  const prefix = (headerOf(incoming, 'x-forwarded-prefix') ?? '').trim().replace(/\/+$/, '');
  if (PREFIX.test(prefix)) choices.push({ value: prefix + path, words: `with ${prefix} before the path` });
  for (const name of ['x-original-uri', 'x-forwarded-uri', 'x-original-url', 'x-rewrite-url']) {
    const said = (headerOf(incoming, name) ?? '').split('?')[0] ?? '';
    if (!said.endsWith(path) || said === path) continue;
    const before = said.slice(0, -path.length);
    if (PREFIX.test(before)) choices.push({ value: said, words: `with ${before} before the path` });
  }
  if (path.endsWith('/')) choices.push({ value: path.slice(0, -1), words: 'without the slash at the end' });
  else choices.push({ value: `${path}/`, words: 'with a slash at the end' });
  return choices;
}
