// Near misses: what would have made a refused request verify, in a few words. Most mistakes are one of a handful.
import { isShared, isSigned, passesOf, readShared } from './digest.ts';
import { markOf } from './json.ts';
import { findHandshake } from './judge.ts';
import { claimFault, isTokenSigned, readToken, timeFault } from './jwt.ts';
import { readMessage, secondsOutside } from './message.ts';
import { PRESETS } from './presets/index.ts';
import { lookOf, type Preset } from './presets/preset.ts';
import { headerOf, type Incoming, isForm, plainBody, readSource, type Secret, unexpired } from './request.ts';
import { compileRules, type Proof, type Rules, type SignatureCheck } from './rules.ts';
import { atOnce } from './slices.ts';

const MOST_CHARACTERS = 250;
/** Said in the rows of those whose secret the owner types in at the provider. */
const CHOSEN = 'You choose it yourself';
// Strangers can cause this work, and all other requests wait for it: all tries together read no more than this, which takes some
// 50 ms. To look for values in a body takes much longer than to hash it.
const MOST_BYTES = 24 * 1024 * 1024;
const PARSED_COUNTS = 10;
const MOST_PARSED = 256 * 1024;
// Some tries copy the body.
const MOST_DECODED_BYTES = 4 * 1024 * 1024;
const BYTES_A_TRY = 4096;
// JSON that is no larger is written anew.
const MOST_REWRITTEN = 64 * 1024;
// A signature by RSA takes 30 µs, in which 30 KiB can be hashed.
const BYTES_A_KEY = 32 * 1024;

export interface OtherSecret {
  readonly wh_id: number;
  readonly secret: Secret;
}
/** What every try looks at. */
interface Case {
  readonly check: Proof;
  readonly preset: Preset | undefined;
  readonly secrets: readonly Secret[];
  /** Those of them that had not expired. */
  readonly usable: readonly Secret[];
  readonly incoming: Incoming;
  /** Whether the request would verify, apart from its time. */
  readonly fits: (secret: Secret, incoming: Incoming, check: Proof) => boolean;
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
  const tried: Case = { check, preset, secrets, usable: unexpired(secrets, incoming), incoming, fits: limited() };
  const found = isMissing(check, incoming)
    ? (elsewhere(tried, true) ?? lookalike(tried) ?? unsigned(tried))
    : (window(tried) ??
      expired(tried) ??
      rewritten(tried) ??
      encoded(tried) ??
      body(tried) ??
      options(tried) ??
      url(tried) ??
      elsewhere(tried, false) ??
      another(others, tried) ??
      lookalike(tried) ??
      unlikely(tried));
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

/**
 * The proof is not there at all. A secret that the owner chooses may be missing at the provider; one that the provider makes is
 * there, and nobody could set it.
 */
function unsigned({ check, preset, incoming }: Case): string {
  const named = preset && preset.name !== 'generic' ? preset : undefined;
  const name = named?.title ?? 'the provider';
  const at = placeOf(check);
  const kinds = at && 'places' in at ? at.places.map(({ kind }) => kind) : [at?.kind];
  const json = kinds.includes('body') || kinds.includes('each');
  const wanted = [json && 'JSON', kinds.includes('form') && 'a form'].filter(Boolean).join(' or ');
  const readable = kinds.includes('header') || (json && isJson(plainBody(incoming))) || isAnyForm(incoming);
  if (wanted !== '' && !readable && plainBody(incoming).length > 0)
    return `the body is not ${wanted}, where the proof stands: something on the way changed it, or ${name} was told to send another format`;
  const shared = check.scheme === 'shared-secret';
  const without = shared ? 'without its secret' : 'unsigned';
  if (!named || named.secret?.startsWith(CHOSEN)) return `it came ${without}: is the secret set at ${name}?`;
  const lost = kinds.includes('header') ? `something on the way dropped the ${at?.title}, ` : '';
  return `it came ${without}: something else sent it, ${lost}or ${shared ? 'this' : 'signing'} is off at ${name}`;
}

const isAnyForm = (incoming: Incoming): boolean =>
  isForm(incoming) || /^multipart\/form-data/i.test(headerOf(incoming, 'content-type') ?? '');

/** Where the signature, the token or the secret itself stands. */
function placeOf(check: Proof) {
  if (check.scheme === 'jwt') return check.from;
  if (check.scheme !== 'shared-secret') return check.signature;
  return typeof check.from === 'object' ? check.from : AUTHORIZATION;
}
const AUTHORIZATION = { kind: 'header', title: 'Authorization header' } as const;

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8', markOf(bytes)));
    return true;
  } catch {
    return false;
  }
}

/** Of the bytes that are read or hashed. */
const sizeOf = (check: Proof, incoming: Incoming): number =>
  parses(check) || ('decoded' in check && check.decoded) ? plainBody(incoming).length : incoming.body.length;

function limited(): Case['fits'] {
  let left = MOST_BYTES;
  return (secret, incoming, check) => {
    left -= sizeOf(check, incoming) * (parses(check) ? PARSED_COUNTS : 1) + BYTES_A_TRY;
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

/** Names a secret by its last four characters, or fewer of a short one; of a key in PEM or JSON these tell nothing. */
function nameOf({ value }: Secret): string {
  const text = value.trim();
  if (text.startsWith('-----BEGIN') || text.startsWith('{')) return 'the key';
  const shown = Math.min(4, Math.floor(text.length / 3));
  return shown > 0 ? `the secret ending …${text.slice(-shown)}` : 'the secret';
}

function window({ check, usable, incoming, fits }: Case): string | undefined {
  if (check.scheme === 'shared-secret' || !usable.some((secret) => fits(secret, incoming, check))) return undefined;
  const within = `of ${check.toleranceMs / 1000} s`;
  if (check.scheme === 'jwt') {
    const token = readToken(check, incoming);
    const time = 'fault' in token ? undefined : timeFault(check, token, incoming.receivedMs);
    if (!time || time.seconds <= 0) return undefined;
    const why = time.future ? 'it counts only later, or a wrong clock' : 'an old token, or a wrong clock';
    return `${spanOf(time.seconds)} outside the window ${within}: ${why}`;
  }
  const message = readMessage(check, incoming);
  const timeMs = 'fault' in message ? undefined : message.timeMs;
  const outside = secondsOutside(check, timeMs, incoming.receivedMs);
  if (outside === 0 || timeMs === undefined) return undefined;
  const milliseconds = check.timestamp?.unit !== 'ms';
  if (
    check.timestamp?.format === 'unix' &&
    secondsOutside(check, milliseconds ? timeMs / 1000 : timeMs * 1000, incoming.receivedMs) === 0
  )
    return `its time is in ${milliseconds ? 'milliseconds' : 'seconds'}: set verify.timestamp.unit to ${milliseconds ? 'ms' : 's'}`;
  const why = timeMs > incoming.receivedMs ? 'it says it is from the future' : 'an old request, or a wrong clock';
  return `${spanOf(outside)} outside the window ${within}: ${why}`;
}

/** Seconds up to two hours, then what can be pictured. */
const spanOf = (seconds: number): string =>
  seconds < 7_200
    ? `${seconds} s`
    : seconds < 172_800
      ? `${Math.round(seconds / 3_600)} h`
      : `${Math.round(seconds / 86_400)} days`;

function expired({ check, secrets, usable, incoming, fits }: Case): string | undefined {
  const found = secrets.find((secret) => !usable.includes(secret) && fits(secret, incoming, check));
  const when = found && new Date(found.expiresMs ?? 0).toISOString().slice(0, 19);
  return found && `would verify with ${nameOf(found)} of this webhook, which expired at ${when}Z`;
}

/** The secret as it should have been copied: without what stands around it, or with what stands in front of it. */
function rewritten({ check, preset, usable, incoming, fits }: Case): string | undefined {
  const { prefix = '' } = lookOf(preset?.name) ?? {};
  for (const { value, expiresMs } of usable)
    for (const [other, words] of [
      [value.trim(), 'without the white space around'],
      [value.replace(/^\s*(["'`])(.*)\1\s*$/s, '$2'), 'without the quotes around'],
      [prefix + value, `with ${prefix} in front of`],
    ] as const) {
      const secret = { value: other, expiresMs };
      if (other !== value && other !== '' && fits(secret, incoming, check))
        return `would verify ${words} ${nameOf(secret)}`;
    }
  return undefined;
}

/** None of the secrets looks like one of this provider: another key of the same page, say, or one of its test mode. */
function unlikely({ preset, usable }: Case): string | undefined {
  const look = lookOf(preset?.name);
  if (!preset || !look || usable.length === 0 || usable.some(({ value }) => look.pattern.test(value))) return undefined;
  return `a secret of ${preset.title} ${look.words}, and ${nameOf(usable[0] as Secret)} does not look so`;
}

function body({ check, usable, incoming, fits }: Case): string | undefined {
  const decoded = 'decoded' in check && check.decoded && incoming.decoded;
  const whole = decoded || incoming.body;
  const works = (changed: Buffer) =>
    usable.some((secret) => fits(secret, { ...incoming, [decoded ? 'decoded' : 'body']: changed }, check));
  if (whole.at(-1) === 10 && ((whole.at(-2) === 13 && works(whole.subarray(0, -2))) || works(whole.subarray(0, -1))))
    return 'would verify without the trailing newline of the body: something on the way added it';
  for (const [end, name] of [['\n', 'a newline'] as const, ['\r\n', 'CRLF'] as const])
    if (works(Buffer.concat([whole, Buffer.from(end)])))
      return `would verify with ${name} at the end of the body: something on the way cut it off`;
  if (markOf(whole) > 0 && works(whole.subarray(markOf(whole))))
    return 'would verify without the byte order mark of the body: something on the way added it';
  const text =
    whole.length > MOST_REWRITTEN || !isJson(whole)
      ? ''
      : JSON.stringify(JSON.parse(whole.toString('utf8', markOf(whole))));
  return text !== '' && !whole.equals(Buffer.from(text)) && works(Buffer.from(text))
    ? 'would verify over the same JSON without white space: something on the way wrote it anew, so let it pass the bytes on as they are'
    : undefined;
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

/** One member of the rules is another: accounts that sign with SHA-256, say, or a key that is the text of the secret. */
function options({ check, usable, incoming, fits }: Case): string | undefined {
  if (!('template' in check)) return undefined;
  for (const [changed, words] of optionsOf(check)) {
    const found = usable.find((secret) => fits(secret, incoming, changed));
    if (found) return `would verify ${words(nameOf(found))}`;
  }
  return undefined;
}

function optionsOf(check: SignatureCheck): readonly (readonly [SignatureCheck, (secret: string) => string])[] {
  const { scheme, algorithm, encoding, keyEncoding } = check;
  const keyed = { keyPrefix: '', keys: new WeakMap() } as const;
  const names = scheme !== 'asymmetric' ? HASHES : algorithm.startsWith('rsa-') ? RSA : [];
  const algorithms = [algorithm, ...names.filter((one) => one !== algorithm)];
  const encodings = ENCODINGS.filter((one) => one !== encoding);
  return [
    ...(keyEncoding === 'utf8' || scheme === 'asymmetric'
      ? []
      : [
          [
            { ...check, ...keyed, keyEncoding: 'utf8' },
            (secret: string) => `with ${secret} taken as text: set verify.key_encoding to utf8 and key_prefix to ""`,
          ] as const,
        ]),
    ...algorithms
      .slice(1)
      .map((one) => [{ ...check, algorithm: one }, () => `with ${one}: set verify.algorithm to ${one}`] as const),
    ...algorithms.flatMap((one) =>
      encodings.map((other) => {
        const both = one === algorithm ? '' : ` and verify.algorithm to ${one}`;
        return [
          { ...check, algorithm: one, encoding: other },
          () => `as ${other}: set verify.encoding to ${other}${both}`,
        ] as const;
      }),
    ),
    ...(scheme === 'asymmetric'
      ? []
      : KEYS.filter((one) => one !== keyEncoding).map(
          (one) =>
            [
              { ...check, keys: new WeakMap(), keyEncoding: one },
              (secret: string) => `with ${secret} read as ${one}: set verify.key_encoding to ${one}`,
            ] as const,
        )),
  ];
}
const HASHES = ['sha256', 'sha1', 'sha512'];
const RSA = ['rsa-sha256', 'rsa-sha1'];
const ENCODINGS = ['hex', 'base64', 'base64url'] as const;
const KEYS = ['base64', 'hex'] as const;

function url({ check, usable, incoming, fits }: Case): string | undefined {
  if (!('template' in check) || !check.template.some(({ kind }) => kind === 'url')) return undefined;
  const found = urlVariants(incoming).find((variant) =>
    usable.some((secret) => fits(secret, { ...incoming, publicUrl: variant.url }, check)),
  );
  const blame = found?.ours ? 'PUBLIC_URL is wrong' : 'another URL was pasted at the provider';
  return found && `would verify ${found.words}: ${blame}`;
}

function another(others: readonly OtherSecret[], { check, incoming, fits }: Case): string | undefined {
  const found = others.find(({ secret }) => fits(secret, incoming, check));
  return found && `would verify with ${nameOf(found.secret)} of webhook ${found.wh_id}`;
}

// Other presets: the request would verify by one of them, or its headers tell that another provider sent it.

interface Marks {
  readonly preset: Preset;
  /** Rules that are written the same verify the same. */
  readonly rule: string;
  /** Without one of each of these a request cannot be of this provider: they are signed. */
  readonly needed: readonly (readonly string[])[];
  readonly others: readonly (readonly string[])[];
  /** Such a name says something of who sent it. */
  readonly telling: boolean;
  /** What is proved includes the body. */
  readonly covers: boolean;
}

const headersOf = (text: string): readonly string[] =>
  text.startsWith('header:') ? text.slice('header:'.length).toLowerCase().split(',') : [];

// A proxy or the owner of a URL adds Authorization too, and many sign in X-Signature.
const COMMON = ['authorization', 'x-signature', 'x-webhook-signature'];

const MARKS: readonly Marks[] = [...PRESETS.values()]
  .filter(({ verify }) => verify.scheme !== undefined && verify.scheme !== 'none')
  .map((preset) => {
    const { signature, secret_from, timestamp, id, scheme, covers_body = true } = preset.verify;
    const covers = covers_body && scheme !== 'shared-secret';
    const marks = headersOf(signature?.from ?? secret_from ?? '');
    const needed = [marks, headersOf(timestamp?.from ?? ''), headersOf(id ?? '')].filter((names) => names.length > 0);
    const others = [preset.dedupe ?? [], preset.event_type ?? []].flat(2).map(headersOf);
    const telling = marks.length > 0 && !marks.some((name) => COMMON.includes(name));
    return {
      preset,
      rule: JSON.stringify(preset.verify),
      needed,
      others: others.filter((names) => names.length > 0),
      telling,
      covers,
    };
  });

/** How many headers of this provider the request has, and how well they tell it: -1 without what is signed. */
function scored(incoming: Incoming) {
  const has = (names: readonly string[]) => names.some((name) => headerOf(incoming, name) !== undefined);
  return MARKS.map((marks) => {
    const { preset, needed, others } = marks;
    const { field = '*', field_separator = '' } = preset.verify.signature ?? {};
    const written = needed[0]?.map((name) => headerOf(incoming, name) ?? '').join(' ') ?? '';
    if (!needed.every(has) || (field !== '*' && needed.length > 0 && !written.includes(field + field_separator)))
      return { ...marks, present: -1, points: -1 };
    const present = others.filter(has).length;
    return { ...marks, present, points: Math.max(0, 2 * needed.length + 2 * present - others.length) };
  });
}

const checks = new Map<string, Proof | undefined>();
function checkOf({ preset }: Marks): Proof | undefined {
  if (!checks.has(preset.name)) checks.set(preset.name, compileRules({ preset: preset.name }).check);
  return checks.get(preset.name);
}

const ruleOf = (preset: Preset | undefined): string => JSON.stringify(preset?.verify);

/**
 * The rules of another preset, under which a secret of this webhook fits: the strictest of them. Where there is a proof of our own
 * kind, those that cover less are not tried: they would also fit what was changed on its way.
 */
function elsewhere({ preset, usable, incoming, fits }: Case, missing: boolean): string | undefined {
  if (incoming.body.length > MOST_PARSED) return undefined;
  const tried = new Set([ruleOf(preset)]);
  const all = scored(incoming);
  const foreign = missing || all.some((marks) => marks.preset === preset && marks.points < 0);
  const candidates = all
    .filter(({ points, covers }) => points >= 0 && (covers || foreign))
    .sort((a, b) => Number(b.covers) - Number(a.covers) || b.points - a.points);
  for (const marks of candidates) {
    if (tried.has(marks.rule)) continue;
    tried.add(marks.rule);
    const check = checkOf(marks);
    if (check && usable.some((secret) => fits(secret, incoming, check)))
      return `would verify by the rules of ${marks.preset.title}: choose the preset ${marks.preset.name}`;
  }
  return undefined;
}

const MOST_NAMED = 3;

/** The providers that more of the headers belong to than to the expected one. */
function lookalike({ preset, incoming }: Case): string | undefined {
  const all = scored(incoming).filter(({ telling }) => telling);
  const own = all.find((marks) => marks.preset === preset);
  const most = Math.max(...all.map(({ points }) => points));
  if (most <= (own?.points ?? -1)) return undefined;
  const best = all.filter(({ points }) => points === most);
  // One of those whose rules are the same will do.
  const named = best.filter(({ rule }, i) => best.findIndex((one) => one.rule === rule) === i).slice(0, MOST_NAMED);
  // Another preset with our rules would refuse it too: only a header that it has and ours has not tells it.
  const same = named.every(({ rule }) => rule === own?.rule);
  if (same && named.every(({ present }) => present <= (own?.present ?? 0))) return undefined;
  const titles = named.map((one) => one.preset.title).join(' or ');
  const names = named.map((one) => one.preset.name).join(' or ');
  return `this looks like a request of ${titles}: try the preset ${names}${same ? ', and its own secret' : ''}`;
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
