// The rules of a webhook in plain words, and what is said of each usual mistake: both are made of the rules alone.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Answer } from '../schema/webhooks.ts';
import { verdictOn } from './judge.ts';
import { nearMiss } from './near-miss.ts';
import { lookOf, unlike } from './presets/preset.ts';
import type { Incoming, Secret, Source } from './request.ts';
import {
  checkSecret,
  type Handshake,
  type Proof,
  type Rules,
  type Shared,
  type SignatureCheck,
  type TokenCheck,
} from './rules.ts';
import { isCertified, makeSample, needsKey } from './sample.ts';
import { atOnce } from './slices.ts';

const HASHES: Readonly<Record<string, string>> = { sha1: 'SHA-1', sha256: 'SHA-256', sha512: 'SHA-512' };
const SIGNATURES: Readonly<Record<string, string>> = {
  ed25519: 'an Ed25519 signature',
  'ecdsa-p256': 'an ECDSA signature (P-256, SHA-256)',
  'rsa-sha256': 'an RSA signature with SHA-256',
  'rsa-sha1': 'an RSA signature with SHA-1',
};

/** A sentence or two for each of: the proof, what it covers, its key, its time, the event, handshakes, the answer. */
export function rulesInWords(rules: Rules, answer?: Answer): readonly string[] {
  const { check, ids, types, handshakes } = rules;
  return [
    ...proofInWords(check),
    ids.length > 0
      ? `The id of the event is ${alternatives(ids)}. If the same id comes again, the second content has duplicate_of.`
      : 'The event has no id: what comes twice is not noticed.',
    types.length > 0 ? `The type of the event is ${alternatives(types)}.` : 'The event has no type.',
    ...handshakes.map(handshakeInWords),
    `Once a request is stored, the answer is ${answerInWords(answer ?? { status: 200, body: '' })}.`,
  ];
}

function proofInWords(check: Proof | undefined): readonly string[] {
  if (!check) return ['Nothing is signed: whoever knows the URL can send.'];
  if (check.scheme === 'shared-secret') return sharedInWords(check);
  return check.scheme === 'jwt' ? tokenInWords(check) : signatureInWords(check);
}

const quoted = (text: string): string => `"${text.replaceAll('\n', '\\n')}"`;
const listed = (texts: readonly string[], last: string): string =>
  texts.length < 2 ? texts.join() : `${texts.slice(0, -1).join(', ')}${last}${texts.at(-1)}`;
const titleOf = ({ kind, title }: Source): string => (kind === 'header' ? `the ${title}` : title);
const alternatives = (list: Rules['ids']): string =>
  list.map((parts) => parts.map(titleOf).join(' / ')).join('; else ');
/** Whole hours, days of them too: a provider's three days and an hour are 73 h. */
const spanOf = (ms: number): string => (ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${ms / 1000} s`);

// The proof --------------------------------------------------------------------------------------------------------------

function sharedInWords({ from }: Shared): readonly string[] {
  const place =
    from === 'bearer' || from === 'basic'
      ? `the Authorization header, as ${from === 'bearer' ? 'Bearer' : 'user and password (Basic)'}`
      : from.kind === 'each'
        ? `${from.title}, in each element`
        : titleOf(from);
  return [
    `Nothing is signed. The secret itself is sent: in ${place}.`,
    'It is compared in constant time. It proves who sent the request, and nothing of what stands in it.',
  ];
}

function tokenInWords(check: TokenCheck): readonly string[] {
  const { from, algorithm, issuer, audience, bodyClaim, timeClaim, claims, toleranceMs } = check;
  const wanted = [
    ...(issuer === undefined ? [] : [`iss must be ${quoted(issuer)}`]),
    ...(audience === undefined ? [] : [`aud must have ${quoted(audience)}`]),
    ...claims.map(([name, value]) =>
      value === '' ? `what ${name} must be, you have to say` : `${name} must be ${quoted(value)}`,
    ),
  ];
  const key = algorithm.startsWith('hs')
    ? `the secret, ${keyInWords(check)}`
    : 'a public key, in PEM or as JSON (JWKS)';
  const window = spanOf(toleranceMs);
  return [
    `A JSON Web Token stands in ${titleOf(from)}, with or without "Bearer " in front.`,
    `It must be signed by ${algorithm.toUpperCase()}. The key is ${key}.`,
    ...(wanted.length > 0 ? [`Of its claims, ${listed(wanted, ' and ')}.`] : []),
    bodyClaim === undefined
      ? 'It says nothing of the body, which is as safe as the URL.'
      : `Its claim ${bodyClaim} must be the SHA-256 of the body.`,
    timeClaim === undefined
      ? `Where it says when it counts (exp, nbf), that may be off by ${window}.`
      : `Its claim ${timeClaim} is its time, which may be off by ${window} in either direction.`,
  ];
}

function signatureInWords(check: SignatureCheck): readonly string[] {
  const { scheme, algorithm, encoding, template, certificate, timestamp } = check;
  const has = (...kinds: readonly string[]) => template.some(({ kind }) => kinds.includes(kind));
  const open = has('crc32') ? ' Any body can be given the same CRC-32: it' : ' The body is not signed, and';
  const made =
    scheme === 'hmac'
      ? `an HMAC with ${HASHES[algorithm]}`
      : scheme === 'hash'
        ? `the ${HASHES[algorithm]} of that`
        : SIGNATURES[algorithm];
  const key =
    scheme === 'hmac'
      ? ` Its key is the secret, ${keyInWords(check)}.`
      : scheme === 'hash'
        ? ''
        : certificate
          ? ''
          : ' The secret that is set here is the public key of the provider.';
  return [
    placeInWords(check),
    `What is signed: ${template.map((part) => partInWords(part, check)).join(', ')}.${has('body', 'params') ? '' : `${open} is as safe as the URL.`}`,
    `The signature is ${made}, written in ${encoding}.${key}`,
    ...(certificate ? [certificateInWords(check, certificate)] : []),
    timestamp ? timeInWords(check, timestamp) : 'No time is checked: an old request counts as a new one does.',
  ];
}

function placeInWords({ signature, everyHeader, itemSeparator, fieldSeparator, field }: SignatureCheck): string {
  const behind =
    field === ''
      ? ''
      : field === '*'
        ? `, behind a name and ${quoted(fieldSeparator)}`
        : `, behind ${quoted(field + fieldSeparator)}`;
  const several =
    itemSeparator === '' ? '' : ` Several are separated by ${quoted(itemSeparator)}: one of them has to fit.`;
  const any = everyHeader ? ' Each of these headers is looked at: one has to fit.' : '';
  return `The signature stands in ${titleOf(signature)}${behind}.${several}${any}`;
}

function partInWords(part: SignatureCheck['template'][number], { url, id, decoded }: SignatureCheck): string {
  switch (part.kind) {
    case 'text':
      return quoted(part.bytes.toString());
    case 'body':
      return decoded ? 'the body without its Content-Encoding' : 'the bytes of the body';
    case 'crc32':
      return 'the CRC-32 of the body in decimal';
    case 'timestamp':
      return 'the time as it was sent';
    case 'id':
      return id ? titleOf(id) : 'the id';
    case 'method':
      return 'the method';
    case 'url':
      return `the URL as the provider has it${url === 'twilio' ? ' (with or without its port)' : url === 'hubspot' ? ' (some escapes decoded, or none)' : ''}`;
    case 'params':
      return 'name and value of each parameter of the form, sorted by name (of another body, its hash in the URL)';
    case 'secret':
      return 'the secret';
    case 'read': {
      const { source, fallback, before, after, lower } = part;
      const around = [before, after].map((bytes) => bytes.toString());
      const framed = around.some((text) => text !== '') ? ` (between ${around.map(quoted).join(' and ')})` : '';
      const absent =
        fallback === undefined ? '' : fallback.length === 0 ? ' if it is there' : `, or ${quoted(fallback.toString())}`;
      return `${titleOf(source)}${lower ? ' in lower case' : ''}${framed}${absent}`;
    }
  }
}

function keyInWords({
  keyEncoding,
  keyPrefix,
  keyHash,
}: Pick<SignatureCheck, 'keyEncoding' | 'keyPrefix' | 'keyHash'>): string {
  const written = keyEncoding === 'utf8' ? 'its characters as they are' : `decoded from ${keyEncoding}`;
  const prefix = keyPrefix === '' ? '' : `, without ${keyPrefix} in front`;
  return `${written}${prefix}${keyHash ? `, and of that the ${HASHES[keyHash]}` : ''}`;
}

function certificateInWords(
  { carried }: SignatureCheck,
  { from, algorithms }: NonNullable<SignatureCheck['certificate']>,
): string {
  const by = algorithms
    ? ` By ${titleOf(algorithms.from)}: ${Object.entries(algorithms.by)
        .map(([version, name]) => `${version} is ${name}`)
        .join(', ')}.`
    : '';
  const tied = carried
    ? ` The secret that is set here must stand in ${titleOf(carried)}.`
    : ' The secret that is set here is signed, and never sent.';
  return `The key stands in a certificate of the provider, at the URL in ${titleOf(from)}: no other host is ever asked.${by}${tied}`;
}

function timeInWords(
  { toleranceMs, signature }: SignatureCheck,
  { from, unit, format }: NonNullable<SignatureCheck['timestamp']>,
): string {
  const place =
    typeof from === 'string'
      ? `behind "${from}" beside the signature, in ${titleOf(signature)}`
      : `in ${titleOf(from)}`;
  const written = {
    unix: `in ${unit === 's' ? 'seconds' : 'milliseconds'} since 1970`,
    iso8601: 'as in ISO 8601',
    'http-date': 'as HTTP writes dates',
  }[format];
  const window =
    toleranceMs === 0
      ? 'It is not compared with the clock.'
      : `It may be off by ${spanOf(toleranceMs)} in either direction.`;
  return `The time stands ${place}, ${written}. ${window}`;
}

// Handshakes and answers -------------------------------------------------------------------------------------------------

function handshakeInWords({ method, when, token, challenge, signed, answer }: Handshake): string {
  const conditions = [
    ...when.map(({ from, equals, absent }) =>
      absent
        ? `without ${titleOf(from)}`
        : `with ${titleOf(from)}${equals === undefined ? '' : ` = ${shortened(equals)}`}`,
    ),
    ...(challenge && !when.some(({ from }) => from.title === challenge.title) ? [`with ${titleOf(challenge)}`] : []),
  ];
  const asked = `A ${method ?? 'request'}${conditions.length > 0 ? ` ${listed(conditions, ' and ')}` : ''} is a handshake`;
  const checked = [
    signed ? 'its signature is checked first' : 'unsigned',
    ...(token ? [`${titleOf(token)} must be verify.token`] : []),
  ];
  return `${asked} (${checked.join('; ')}). It is answered ${answerInWords(answer, challenge)}. It is not stored.`;
}

// The hash of nothing, and the like.
const shortened = (text: string): string => (text.length > 40 ? `${text.slice(0, 20)}…` : quoted(text));

function answerInWords(
  {
    status,
    content_type,
    body,
    headers = [],
  }: { status?: number | undefined; content_type?: string | undefined; body: string; headers?: unknown },
  challenge?: Source,
): string {
  const names = Array.isArray(headers) ? headers.filter((_, i) => i % 2 === 0) : Object.keys(headers as object);
  const what =
    body === ''
      ? 'no body'
      : body === '{challenge}' && challenge
        ? `${titleOf(challenge)}, as it came`
        : `${content_type ?? 'text/plain'} ${body}`;
  return [`${status ?? 200}`, ...names.map((name) => `the header ${name}`), what].join(', ');
}

// Mistakes: each is made on a sample, and what is said of it then is what is told here ---------------------------------------

export interface Mistake {
  readonly mistake: string;
  /** The near miss, or else the reason. */
  readonly told: string;
}

const NOW_MS = 1_764_000_000_000;
const URL_HERE = 'https://hooks.example.org/in/KEY';
const NONCE = '0123456789abcdef01234567';
const OTHER = 'fedcba9876543210fedcba9876543210';
const MANY = 1_000;

export function mistakesOf(given: Rules): readonly Mistake[] {
  const rules = withClaims(given);
  const { check, preset } = rules;
  if (!check) return [];
  const found: Mistake[] = [];
  const secrets = (...values: readonly string[]): readonly Secret[] =>
    values.map((value) => ({ value, expiresMs: null }));
  /** Nothing is told of what is no mistake here. */
  const tell = (mistake: string, secret: string, incoming: Incoming, other?: string): void => {
    const verdict = atOnce(verdictOn(rules, secrets(secret), incoming));
    if (verdict.kind !== 'signature') return;
    const others = secrets(...(other === undefined ? [] : [other])).map((one) => ({ wh_id: 7, secret: one }));
    found.push({ mistake, told: nearMiss(rules, secrets(secret), incoming, others) ?? verdict.reason });
  };
  const json = !rules.forms || places(check).includes('body');
  const type = json ? 'application/json' : 'application/x-www-form-urlencoded';
  const bare: Incoming = {
    method: 'POST',
    publicUrl: URL_HERE,
    headers: ['Content-Type', type],
    body: Buffer.from(json ? '{"other":1}' : 'other=1'),
    receivedMs: NOW_MS,
  };
  if (isCertified(rules)) {
    tell('no signature in the request, or one that a proxy dropped', 'secret', bare);
    return found;
  }
  const pair = keysOf(rules);
  const [own = '', other = ''] =
    pair.length > 0
      ? pair.map(({ stored }) => stored)
      : [secretLike(rules, NONCE.slice(0, 32)), secretLike(rules, OTHER)];
  const sample = (nowMs: number, body?: Buffer): Incoming => {
    const key = pair[0]?.key;
    const made = makeSample({
      rules,
      url: URL_HERE,
      nowMs,
      nonce: NONCE,
      ...(body ? { body } : {}),
      ...(key ? { key } : { secret: own }),
    });
    return { method: made.method, publicUrl: made.url, headers: made.headers, body: made.body, receivedMs: NOW_MS };
  };
  const genuine = sample(NOW_MS);
  tell('a secret of another webhook at the provider, or of its test mode', other, genuine);
  tell('the secret of another webhook here', other, genuine, own);
  tell('quotes around the secret', `"${own}"`, genuine);
  const { prefix = '' } = lookOf(preset?.name) ?? {};
  if (prefix !== '' && own.startsWith(prefix))
    tell(`the secret without ${prefix} in front`, own.slice(prefix.length), genuine);
  const odd = pair.length === 0 ? secretUnlike(rules) : undefined;
  if (odd !== undefined) tell('another kind of key', odd, genuine);
  const proof = check.scheme === 'shared-secret' ? 'secret' : 'signature';
  tell(`no ${proof} in the request, or one that a proxy dropped`, own, bare);
  if ('template' in check && check.timestamp && check.toleranceMs > 0)
    tell('a request that is too old, or a clock that is wrong', own, sample(NOW_MS - check.toleranceMs - MANY * 412));
  tell('a body to which something on the way adds a line', own, {
    ...genuine,
    body: Buffer.concat([genuine.body, Buffer.from('\n')]),
  });
  const text = genuine.body.toString();
  if (text.startsWith('{') || text.startsWith('['))
    tell('JSON that something on the way writes anew', own, {
      ...genuine,
      body: Buffer.from(JSON.stringify(JSON.parse(text), null, 2)),
    });
  tell('a body that is changed', own, {
    ...genuine,
    body: Buffer.from(text.replace('restante_sample', 'restante_changed')),
  });
  tell('http in PUBLIC_URL, and https at the provider', own, {
    ...genuine,
    publicUrl: genuine.publicUrl.replace('https:', 'http:'),
  });
  return found;
}

/** Of which kinds the places are that the proof is read from. */
function places(check: Proof): readonly string[] {
  const at = check.scheme === 'shared-secret' ? check.from : check.scheme === 'jwt' ? check.from : check.signature;
  return typeof at === 'string' ? [] : 'places' in at ? at.places.map(({ kind }) => kind) : [at.kind];
}

/** With something in each claim that the owner has yet to say. */
function withClaims(rules: Rules): Rules {
  const { check } = rules;
  if (check?.scheme !== 'jwt') return rules;
  return {
    ...rules,
    check: { ...check, claims: check.claims.map(([name, value]) => [name, value || 'sample'] as const) },
  };
}

/** Two pairs of keys, where the secret is a public one. */
function keysOf(rules: Rules): readonly { readonly stored: string; readonly key: KeyObject }[] {
  if (!needsKey(rules) || !rules.check || !('algorithm' in rules.check)) return [];
  const { algorithm } = rules.check;
  return [0, 1].map(() => {
    const { publicKey, privateKey } =
      algorithm === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : algorithm.startsWith('e')
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : generateKeyPairSync('rsa', { modulusLength: 2048 });
    return { stored: publicKey.export({ format: 'pem', type: 'spki' }).toString(), key: privateKey };
  });
}

const forms = (rules: Rules, random: string): readonly string[] => [
  `${lookOf(rules.preset?.name)?.prefix ?? ''}${random}`,
  random.padEnd(32, '7').slice(0, 32),
  `user:${random}`,
  `whsec_${Buffer.from(random).toString('base64')}`,
];

/** A secret that these rules take, of the shape that the provider gives it. */
function secretLike(rules: Rules, random: string): string {
  const fits = (one: string) => checkSecret(rules, one) === undefined && unlike(rules.preset?.name, one) === undefined;
  return forms(rules, random).find(fits) ?? random;
}

/** A secret that these rules take, of another shape. */
function secretUnlike(rules: Rules): string | undefined {
  const odd = (one: string) => checkSecret(rules, one) === undefined && unlike(rules.preset?.name, one) !== undefined;
  return [`sk_test_${OTHER}`, OTHER, `ghp_${OTHER}`, 'a secret'].find(odd);
}
