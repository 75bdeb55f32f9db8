// The settings of one webhook compiled once: templates and sources are parsed, and mistakes are told before they cost an event.
import { createHash, createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { FieldError } from '../errors.ts';
import type { Answer, DedupeInput, HandshakeInput, VerifyInput } from '../schema/webhooks.ts';
import { readCertificate } from './certificate.ts';
import { PRESETS } from './presets/index.ts';
import type { Joined, Preset } from './presets/preset.ts';
import { type Places, parseSource, placesOf, type Secret, type Source } from './request.ts';

export interface SignatureCheck extends KeyRule {
  readonly scheme: 'hmac' | 'hash' | 'asymmetric';
  readonly encoding: 'hex' | 'base64' | 'base64url';
  readonly signature: Source;
  /** Several headers are named, and the signature may stand in any of them. */
  readonly everyHeader: boolean;
  readonly itemSeparator: string;
  readonly timestamp: Timestamp | undefined;
  readonly toleranceMs: number;
  readonly template: readonly Part[];
  readonly id: Source | undefined;
  readonly url: 'as-is' | 'hubspot' | 'twilio';
  /** `{body}` is the body without its Content-Encoding. */
  readonly decoded: boolean;
  /** The key stands in a certificate, which the request names by a URL. The secret is what ties it to its owner. */
  readonly certificate: CertificateRule | undefined;
  /** Where the secret itself must stand, beside the signature. */
  readonly carried: Source | undefined;
  /** All sources that are read for the check. */
  readonly places: Places;
  /** The keys, made once for each secret; null: the secret makes no key. */
  readonly keys: WeakMap<Secret, Buffer | KeyObject | null>;
}
interface CertificateRule {
  readonly from: Source;
  /** No other URL is ever asked. */
  readonly url: RegExp;
  /** Of the subject. */
  readonly name: RegExp;
  /** The algorithm, by what stands in the request; undefined: that of the check. */
  readonly algorithms: { readonly from: Source; readonly by: Readonly<Record<string, string>> } | undefined;
}
interface Timestamp {
  /** A string: the field of this name beside the signature. */
  readonly from: Source | string;
  readonly unit: 's' | 'ms';
  readonly format: 'unix' | 'iso8601' | 'http-date';
}
/** The request carries the secret itself. */
export interface Shared {
  readonly scheme: 'shared-secret';
  readonly from:
    | Source
    | 'bearer'
    | 'basic'
    | { readonly kind: 'each'; readonly steps: readonly string[]; readonly title: string };
}

/** The request carries a JSON Web Token. */
export interface TokenCheck extends Omit<KeyRule, 'algorithm'> {
  readonly scheme: 'jwt';
  readonly algorithm: JwtAlgorithm;
  readonly from: Source;
  readonly toleranceMs: number;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** The claim that has to be the SHA-256 of the body. */
  readonly bodyClaim: string | undefined;
  /** The claim that has to be within the tolerance, like a timestamp. */
  readonly timeClaim: string | undefined;
  readonly claims: readonly (readonly [name: string, value: string])[];
  readonly decoded: boolean;
  readonly keys: WeakMap<Secret, readonly JwtKey[]>;
}
export type Proof = SignatureCheck | Shared | TokenCheck;

/** Made by compileRules, read by verdictOn, identify and nearMiss; opaque to all others. */
export interface Rules {
  readonly preset: Preset | undefined;
  /** Undefined: nothing is verified. */
  readonly check: Proof | undefined;
  readonly handshakes: readonly Handshake[];
  readonly token: string | undefined;
  /** Alternatives; the parts of each are joined. */
  readonly ids: readonly (readonly Source[])[];
  readonly types: readonly (readonly Source[])[];
  /** All sources of ids and types. */
  readonly places: Places;
  /** Something of it stands in the fields of a form. */
  readonly forms: boolean;
  /** Something of it is looked for in the body: an encoded one is decoded first. */
  readonly readsBody: boolean;
}

export class RuleError extends Error {
  readonly errors: readonly FieldError[];
  constructor(errors: readonly FieldError[]) {
    super(errors.map(({ path, message }) => `${path} ${message}`).join('; '));
    this.name = 'RuleError';
    this.errors = errors;
  }
}

interface RuleSettings {
  readonly preset?: string | null | undefined;
  readonly verify?: VerifyInput | null | undefined;
  readonly dedupe?: DedupeInput | null | undefined;
}

/** Throws a RuleError that names every mistake. */
export function compileRules(settings: RuleSettings): Rules {
  const errors: FieldError[] = [];
  const fault = (path: string, message: string): undefined => void errors.push({ path: `body.${path}`, message });
  const preset = settings.preset ? PRESETS.get(settings.preset) : undefined;
  if (settings.preset && !preset) fault('preset', `is none of ${[...PRESETS.keys()].join(', ')}`);
  const own = settings.verify ?? {};
  const verify = merged(preset?.verify ?? {}, own);
  // A check without its scheme must not end up as no check.
  if (!verify.scheme && (settings.verify || preset))
    fault('verify.scheme', 'must say hmac, hash, asymmetric, jwt, shared-secret, or none for no check at all');
  const source = (path: string, text: string | undefined): Source | undefined => {
    if (text === undefined) return undefined;
    const parsed = parseSource(text);
    return typeof parsed === 'string' ? fault(path, parsed) : parsed;
  };
  const sources = (path: string, list: Joined): Source[] => [list].flat().flatMap((text) => source(path, text) ?? []);
  const { from } = settings.dedupe ?? {};
  const types = own.event_type ? [own.event_type] : (preset?.event_type ?? []);
  const handshake: readonly HandshakeInput[] = verify.handshake ?? preset?.handshake ?? [];
  const ids = (from ? [from] : (preset?.dedupe ?? [])).map((list) => sources('dedupe.from', list));
  const typed = types.map((list) => sources('verify.event_type', list));
  const certificate =
    preset?.certificate && compileCertificate(preset.certificate, own.algorithm !== undefined, source);
  const check = errors.length > 0 ? undefined : compileCheck(verify, certificate, source, fault);
  const handshakes = handshake.flatMap(
    (input, i) => compileHandshake(input, `verify.handshake/${i}`, verify.scheme, source, fault) ?? [],
  );
  const places = placesOf([...ids, ...typed].flat());
  const all = [places, ...handshakes.map((one) => one.places), placesOfCheck(check)];
  const forms = all.some((one) => one.forms);
  const readsBody = forms || all.some((one) => one.documents.length > 0) || needsBody(check);
  const rules: Rules = { preset, check, handshakes, token: verify.token, ids, types: typed, places, forms, readsBody };
  if (errors.length > 0) throw new RuleError(errors);
  return rules;
}

/** Merges member by member, and within signature, timestamp, jwt and its claims as well. */
function merged(base: VerifyInput, own: VerifyInput): VerifyInput {
  const given = present(own);
  const inner = (name: 'signature' | 'timestamp' | 'jwt'): VerifyInput =>
    base[name] || given[name] ? { [name]: { ...base[name], ...present(given[name] ?? {}) } } : {};
  const { jwt } = inner('jwt');
  // A claim of one's own must not take those of the preset away.
  const claims = { ...base.jwt?.claims, ...present(given.jwt?.claims ?? {}) };
  const whole = jwt && { jwt: { ...jwt, claims } };
  return { ...base, ...given, ...inner('signature'), ...inner('timestamp'), ...whole };
}

/** Without null: such a member was taken back. */
const present = <T extends object>(members: T): T =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined)) as T;

const placesOfCheck = (check: Proof | undefined): Places => {
  if (check?.scheme === 'jwt') return placesOf([check.from]);
  if (check?.scheme !== 'shared-secret') return check?.places ?? placesOf([]);
  return placesOf(typeof check.from === 'object' && check.from.kind !== 'each' ? [check.from] : []);
};

function needsBody(check: Proof | undefined): boolean {
  if (check?.scheme === 'jwt') return check.decoded;
  if (check?.scheme === 'shared-secret') return typeof check.from === 'object' && check.from.kind === 'each';
  return check !== undefined && (check.decoded || check.template.some(({ kind }) => kind === 'params'));
}

type Find = (path: string, text: string | undefined) => Source | undefined;
type Fault = (path: string, message: string) => undefined;

/** `chosen`: the owner has chosen the algorithm, and the request cannot. */
function compileCertificate(
  { from, url, name, algorithms }: NonNullable<Preset['certificate']>,
  chosen: boolean,
  source: Find,
): CertificateRule | undefined {
  const place = source('verify', from);
  const version = source('verify', algorithms?.from);
  return (
    place && {
      from: place,
      url,
      name,
      algorithms: version && algorithms && !chosen ? { from: version, by: algorithms.by } : undefined,
    }
  );
}

function compileCheck(
  verify: VerifyInput,
  certified: CertificateRule | undefined,
  source: Find,
  fault: Fault,
): Proof | undefined {
  const { scheme } = verify;
  if (scheme === undefined || scheme === 'none') return undefined;
  if (scheme === 'shared-secret') return compileShared(verify, source, fault);
  if (scheme === 'jwt') return compileToken(verify, source, fault);
  const algorithm = verify.algorithm ?? (scheme === 'asymmetric' ? '' : 'sha256');
  if (isAsymmetric(algorithm) !== (scheme === 'asymmetric') || isJwt(algorithm))
    return fault(
      'verify.algorithm',
      `must be ${scheme === 'asymmetric' ? 'ed25519, ecdsa-p256, rsa-sha256 or rsa-sha1' : 'sha256, sha1 or sha512'} with the scheme ${scheme}`,
    );
  const { from, headers, item_separator = '', field_separator = '', field = '' } = verify.signature ?? {};
  if (from === undefined) return fault('verify.signature.from', 'must say where the signature stands');
  const signature = source('verify.signature.from', from);
  if ((field === '') !== (field_separator === ''))
    return fault('verify.signature.field', 'and field_separator are given together or not at all');
  const time = verify.timestamp;
  if (time && time.from === undefined) return fault('verify.timestamp.from', 'must say where the time stands');
  if (time?.from?.startsWith('field:') && field === '')
    return fault('verify.timestamp.from', 'names a field, but verify.signature has no fields');
  if (!time && (verify.tolerance_seconds ?? 0) > 0)
    return fault('verify.tolerance_seconds', 'needs verify.timestamp: there is no time to check');
  if (headers === 'all' && signature?.kind !== 'header')
    return fault(
      'verify.signature.headers',
      'is for a signature in a header, such as header:X-Signature-1,X-Signature-2',
    );
  const certificate = scheme === 'asymmetric' ? certified : undefined;
  if (certificate && !algorithm.startsWith('rsa-'))
    return fault('verify.algorithm', 'must be rsa-sha256 or rsa-sha1: the certificates of this preset have RSA keys');
  const parts = parseTemplate(verify.signed_string ?? '{body}');
  if (typeof parts === 'string') return fault('verify.signed_string', parts);
  const wrong = faultOf(parts, verify, certificate !== undefined);
  if (wrong) return fault('verify.signed_string', wrong);
  const id = source('verify.id', verify.id);
  const timestamp = time?.from === undefined ? undefined : compileTime(time, time.from, source);
  if (!signature) return undefined;
  const carried = certificate && source('verify.secret_from', verify.secret_from);
  const read = parts.flatMap((part) => (part.kind === 'read' ? [part.source] : []));
  const named = certificate ? [certificate.from, carried ?? [], certificate.algorithms?.from ?? []].flat() : [];
  const timed = typeof timestamp?.from === 'object' ? [timestamp.from] : [];
  return {
    scheme,
    algorithm,
    encoding: verify.encoding ?? 'hex',
    keyEncoding: verify.key_encoding ?? 'utf8',
    keyPrefix: verify.key_prefix ?? '',
    keyHash: verify.key_hash,
    signature,
    everyHeader: headers === 'all',
    itemSeparator: item_separator,
    fieldSeparator: field_separator,
    field,
    timestamp,
    toleranceMs: timestamp ? (verify.tolerance_seconds ?? 300) * 1000 : 0,
    template: parts,
    id,
    url: verify.url ?? 'as-is',
    decoded: verify.body === 'decoded',
    certificate,
    carried,
    places: placesOf([signature, ...timed, ...(id ? [id] : []), ...read, ...named]),
    keys: new WeakMap(),
  };
}

function compileTime(time: NonNullable<VerifyInput['timestamp']>, place: string, source: Find): Timestamp | undefined {
  const from = place.startsWith('field:') ? place.slice('field:'.length) : source('verify.timestamp.from', place);
  return from === undefined ? undefined : { from, unit: time.unit ?? 's', format: time.format ?? 'unix' };
}

function compileToken(verify: VerifyInput, source: Find, fault: Fault): TokenCheck | undefined {
  const { algorithm = '', signature, jwt = {}, covers_body = true } = verify;
  if (!isJwt(algorithm))
    return fault('verify.algorithm', `must be one of ${Object.keys(JWT).join(', ')} with the scheme jwt`);
  if (covers_body && !jwt?.body_claim)
    return fault(
      'verify.jwt.body_claim',
      'is not set: one token would fit every body. Say covers_body: false if the provider does that',
    );
  const from = source('verify.signature.from', signature?.from ?? 'header:Authorization');
  return (
    from && {
      scheme: 'jwt',
      algorithm,
      keyEncoding: verify.key_encoding ?? 'utf8',
      keyPrefix: verify.key_prefix ?? '',
      keyHash: verify.key_hash,
      field: '',
      fieldSeparator: '',
      from,
      toleranceMs: (verify.tolerance_seconds ?? 300) * 1000,
      issuer: jwt?.issuer,
      audience: jwt?.audience,
      bodyClaim: jwt?.body_claim,
      timeClaim: jwt?.time_claim,
      claims: Object.entries(jwt?.claims ?? {}),
      decoded: verify.body === 'decoded',
      keys: new WeakMap(),
    }
  );
}

function compileShared({ secret_from: place }: VerifyInput, source: Find, fault: Fault): Shared | undefined {
  if (place === undefined) return fault('verify.secret_from', 'must say where the secret stands in a request');
  if (place === 'bearer' || place === 'basic') return { scheme: 'shared-secret', from: place };
  const from = source('verify.secret_from', place);
  if (from?.kind !== 'body') return from && { scheme: 'shared-secret', from };
  const steps = from.pointer.segments.map(({ name }) => name);
  return { scheme: 'shared-secret', from: steps.includes('*') ? { kind: 'each', steps, title: from.title } : from };
}

/** How a request names the certificate that signed it; undefined: these rules have none. */
export const certificateOf = ({ check }: Rules): CertificateRule | undefined =>
  check && 'certificate' in check ? check.certificate : undefined;

/** Why this text cannot be a secret of these rules; undefined: it can. */
export function checkSecret(rules: Rules, value: string): string | undefined {
  if (value === '') return 'must not be empty';
  if (!rules.check || rules.check.scheme === 'shared-secret') return undefined;
  const certificate = certificateOf(rules);
  if (certificate) {
    if (!value.trimStart().startsWith('-----BEGIN')) return undefined;
    const pinned = readCertificate(value, certificate.name);
    if (!pinned) return 'must be a certificate in PEM: it begins with -----BEGIN';
    return 'fault' in pinned ? `must be a certificate of this provider. ${pinned.fault}` : undefined;
  }
  const key = rules.check.scheme === 'jwt' ? readJwtKeys(rules.check, value) : readKey(rules.check, value);
  return typeof key === 'string' ? key : undefined;
}

// Handshakes: requests by which a provider makes sure that the URL is ours. They are answered and not stored.

export interface Handshake {
  readonly method: string | undefined;
  readonly when: readonly { readonly from: Source; readonly equals: string | undefined; readonly absent: boolean }[];
  readonly token: Source | undefined;
  readonly challenge: Source | undefined;
  /** All sources of `when`, the token and the challenge. */
  readonly places: Places;
  /** The signature is checked before the answer. */
  readonly signed: boolean;
  /** It answers any sender with the HMAC of a word. */
  readonly open: boolean;
  readonly answer: Answer & { readonly headers: readonly string[] };
}

const PLACEHOLDERS = new Set(['{challenge}', '{hmac}', '{hmac_base64}']);
const PLACES_IN = /\{[a-z_0-9]+\}/g;
// Obeyed by the server in front of us (X-Accel-Redirect would hand out its files) or by a browser: the owner of a webhook must
// not speak to them.
const OBEYED =
  /^x-(?:accel|sendfile|lighttpd|litespeed|reproxy|content|frame|xss|dns|permitted|download|ua|robots|forwarded)/i;

/** Why this header must not be answered; undefined: it may. */
function headerFault(name: string, value: string): string | undefined {
  const shown = JSON.stringify(name.slice(0, 64));
  if (!/^(?:X|WebHook)-[A-Za-z0-9_-]{1,60}$/i.test(name) || OBEYED.test(name))
    return `has ${shown}: only names that begin with X- or WebHook- may be answered, and none that servers or browsers obey`;
  if (!isHeaderText(value)) return `has a value of ${shown} that no header can carry: send visible ASCII characters`;
  const used: readonly string[] = value.match(PLACES_IN) ?? [];
  const unknown = used.find((one) => !PLACEHOLDERS.has(one));
  if (unknown) return `has ${unknown} in ${shown}, which is none of ${[...PLACEHOLDERS].join(', ')}`;
  return used.length > 1 ? `has more than one placeholder in ${shown}` : undefined;
}

/** Visible ASCII characters, with spaces between them: node:http throws at a line break, and the bytes of other letters are not agreed on. */
export const isHeaderText = (text: string): boolean => /^[!-~](?:[ -~]*[!-~])?$/.test(text);

function compileHandshake(
  input: HandshakeInput,
  path: string,
  scheme: string | undefined,
  source: Find,
  fault: Fault,
): Handshake | undefined {
  const { body, status = 200, content_type = 'text/plain', headers = {} } = input.answer;
  // Without verification there is no signature to check.
  const signed = (input.signed ?? true) && scheme !== 'none' && scheme !== undefined;
  const when = (input.when ?? []).flatMap(({ from, equals, absent = false }) => {
    const found = source(`${path}.when`, from);
    return found ? [{ from: found, equals, absent }] : [];
  });
  const token = source(`${path}.token_from`, input.token_from);
  const challenge = source(`${path}.challenge_from`, input.challenge_from);
  const wrong = Object.entries(headers).flatMap(([name, value]) => headerFault(name, value) ?? [])[0];
  if (wrong) return fault(`${path}.answer.headers`, wrong);
  const used = [body, ...Object.values(headers)].flatMap((text) => text.match(PLACES_IN) ?? []);
  const unknown = used.find((name) => !PLACEHOLDERS.has(name));
  if (unknown) return fault(`${path}.answer.body`, `has ${unknown}, which is none of ${[...PLACEHOLDERS].join(', ')}`);
  const computes = used.some((name) => name !== '{challenge}');
  if (used.length > 0 && !challenge) return fault(`${path}.challenge_from`, 'must say where the challenge stands');
  if (!challenge && !token && !when.some(({ absent }) => !absent))
    return fault(`${path}.when`, 'must say which requests it is for: this one would swallow them all');
  if (computes && scheme !== 'hmac') return fault(`${path}.answer.body`, 'has an HMAC, which is for the scheme hmac');
  // Otherwise a stranger could have any text signed, and then send it as an event: see WORD.
  if (computes && !signed && (input.method !== 'GET' || challenge?.kind !== 'query'))
    return fault(
      `${path}.signed`,
      'must be true, since it is answered with an HMAC of what was sent: unsigned it may only be a GET with its challenge in the query',
    );
  const places = placesOf([...when.map(({ from }) => from), challenge, token].filter((place) => place !== undefined));
  return {
    method: input.method,
    when,
    token,
    challenge,
    places,
    signed,
    open: computes && !signed,
    answer: { status, content_type, body, headers: Object.entries(headers).flat() },
  };
}

/**
 * What a stranger may have signed by an open handshake, such as X's crc_token: a word. No message of this shape is ever accepted
 * as signed, so that an answer is of no use for anything else.
 */
const WORD = /^[A-Za-z0-9+/_-]{1,128}={0,2}$/;
export const isWord = (text: string): boolean => WORD.test(text);

// Keys, made from the text of a secret: its characters, base64, hex, or a public key in any of its usual forms.

interface KeyRule {
  readonly algorithm: string;
  readonly keyEncoding: 'utf8' | 'base64' | 'hex';
  readonly keyPrefix: string;
  /** The key is this hash of the secret. */
  readonly keyHash: 'sha1' | 'sha256' | undefined;
  /** As they stand before a signature: `v1` and `,`. */
  readonly field: string;
  readonly fieldSeparator: string;
}

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const HEX = /^([0-9a-fA-F]{2})+$/;
// RFC 8410: what stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo.
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const TYPES: Readonly<Record<string, string>> = {
  ed25519: 'ed25519',
  'ecdsa-p256': 'ec',
  'rsa-sha256': 'rsa',
  'rsa-sha1': 'rsa',
};

// A certificate holds its public key. A private key is not taken for a public one.
const PEM = /^-----BEGIN (?:RSA PUBLIC KEY|PUBLIC KEY|CERTIFICATE)-----/;

const isAsymmetric = (algorithm: string): boolean => algorithm in TYPES;

/** The key, or a sentence that says why the text is none. */
export function readKey(rule: KeyRule, value: string): Buffer | KeyObject | string {
  const key = readWrittenKey(rule, value);
  return rule.keyHash && Buffer.isBuffer(key) ? createHash(rule.keyHash).update(key).digest() : key;
}

function readWrittenKey(rule: KeyRule, value: string): Buffer | KeyObject | string {
  const text = withoutPrefix(rule, value);
  if (isAsymmetric(rule.algorithm)) return readPublicKey(rule.algorithm, text.trim());
  if (text === '') return 'must not be empty';
  if (rule.keyEncoding === 'utf8') return Buffer.from(text);
  const after = rule.keyPrefix === '' ? '' : ` after ${rule.keyPrefix}`;
  if (rule.keyEncoding === 'hex')
    return HEX.test(text.trim()) ? Buffer.from(text.trim(), 'hex') : `must be hexadecimal${after}`;
  const bytes = Buffer.from(text.trim(), 'base64');
  return BASE64.test(text.trim()) && bytes.length > 0 ? bytes : `must be base64${after}`;
}

/** Some write the version of the signature before the prefix as well, as it stands before a signature: `v1,whsec_…`. */
function withoutPrefix({ keyPrefix, field, fieldSeparator }: KeyRule, value: string): string {
  if (keyPrefix === '') return value;
  const prefix = [keyPrefix, field + fieldSeparator + keyPrefix].find((written) => value.startsWith(written)) ?? '';
  return value.slice(prefix.length);
}

function readPublicKey(algorithm: string, text: string): KeyObject | string {
  const wanted = `must be a public key for ${algorithm}: PEM, base64 of its DER form${algorithm === 'ed25519' ? ', or its 32 bytes in hex or base64' : ''}`;
  try {
    const key = createPublicKey(PEM.test(text) ? text : fromDer(algorithm, text));
    if (key.asymmetricKeyType !== TYPES[algorithm]) return wanted;
    if (algorithm === 'ecdsa-p256' && key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return wanted;
    return key;
  } catch {
    return wanted;
  }
}

// Keys of tokens: a shared key, a public key, or a set of keys as JSON (RFC 7517).

/** The type of its keys in a set. */
const JWT = { hs256: 'oct', hs384: 'oct', hs512: 'oct', rs256: 'RSA', es256: 'EC', ps256: 'RSA' } as const;
type JwtAlgorithm = keyof typeof JWT;
const isJwt = (algorithm: string): algorithm is JwtAlgorithm => Object.hasOwn(JWT, algorithm);

export interface JwtKey {
  readonly key: KeyObject;
  readonly kid: string | undefined;
}
// Providers have two or three; a secret has no room for many more.
const MOST_JWKS = 50;
const LEAST_RSA_BITS = 2048;

/** The keys for this algorithm, or a sentence that says why the text has none. */
export function readJwtKeys(rule: Omit<TokenCheck, 'from'>, value: string): readonly JwtKey[] | string {
  const shared = JWT[rule.algorithm] === 'oct';
  const name = rule.algorithm.toUpperCase();
  const text = value.trim();
  if (text.startsWith('{')) return readJwks(rule.algorithm, text);
  if (shared) {
    // A public key is known to all: whoever has it could sign with it.
    if (text.startsWith('-----BEGIN')) return `must be a shared key for ${name}, and this is a key in PEM`;
    const key = readKey({ ...rule, algorithm: 'sha256' }, value);
    return typeof key === 'string' ? key : [{ key: createSecretKey(key as Buffer), kid: undefined }];
  }
  const key = readPublicKey(JWT[rule.algorithm] === 'RSA' ? 'rsa-sha256' : 'ecdsa-p256', text);
  if (typeof key === 'string')
    return `must be a public key for ${name}: PEM, base64 of its DER form, or a set of keys as JSON`;
  return isStrong(key) ? [{ key, kid: undefined }] : `must have ${LEAST_RSA_BITS} bits or more`;
}

const isStrong = ({ asymmetricKeyDetails }: KeyObject): boolean =>
  (asymmetricKeyDetails?.modulusLength ?? LEAST_RSA_BITS) >= LEAST_RSA_BITS;

function readJwks(algorithm: JwtAlgorithm, text: string): readonly JwtKey[] | string {
  const none = `must have a key for ${algorithm.toUpperCase()} among its keys`;
  let all: unknown[];
  try {
    const set = JSON.parse(text) as { keys?: unknown };
    all = Array.isArray(set.keys) ? set.keys : [set];
  } catch {
    return 'must be JSON: it begins with {';
  }
  const keys = all.slice(0, MOST_JWKS).flatMap((one) => readJwk(algorithm, one) ?? []);
  return keys.length > 0 ? keys : none;
}

/** Undefined: no key for this algorithm. */
function readJwk(algorithm: JwtAlgorithm, jwk: unknown): JwtKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, alg, use, kid, k, crv } = jwk as Readonly<Record<string, unknown>>;
  if (
    kty !== JWT[algorithm] ||
    (alg ?? algorithm.toUpperCase()) !== algorithm.toUpperCase() ||
    (use ?? 'sig') !== 'sig'
  )
    return undefined;
  const id = typeof kid === 'string' ? kid : undefined;
  if (kty === 'oct') {
    const bytes = Buffer.from(typeof k === 'string' ? k : '', 'base64url');
    return bytes.length > 0 ? { key: createSecretKey(bytes), kid: id } : undefined;
  }
  if (kty === 'EC' && crv !== 'P-256') return undefined;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return isStrong(key) ? { key, kid: id } : undefined;
  } catch {
    return undefined;
  }
}

function fromDer(algorithm: string, text: string) {
  const bytes = Buffer.from(text, HEX.test(text) ? 'hex' : 'base64');
  const raw = algorithm === 'ed25519' && bytes.length === 32;
  return { key: raw ? Buffer.concat([ED25519_SPKI, bytes]) : bytes, format: 'der', type: 'spki' } as const;
}

// Templates: the text that is signed, as settings write it, such as `v0:{timestamp}:{body}`.

const NAMES = ['body', 'crc32', 'timestamp', 'id', 'method', 'url', 'params', 'secret'] as const;
type Name = (typeof NAMES)[number];
type Part =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  | { readonly kind: Name }
  | {
      readonly kind: 'read';
      readonly source: Source;
      /** What is signed where nothing stands there; undefined: something must. */
      readonly fallback: Buffer | undefined;
      /** What is signed around it where something stands there. */
      readonly before: Buffer;
      readonly after: Buffer;
      readonly lower: boolean;
    };

// No provider needs half of these.
const MOST_PLACES = 12;
const KNOWN =
  '{body}, {timestamp}, {id}, {method}, {url}, {params}, {header:x}, {json:/pointer}, {form:x} and {query:x}';

/** The parts, or a sentence that says what is wrong: with one brace forgotten, the same text would be signed every time. */
function parseTemplate(text: string): readonly Part[] | string {
  const parts: Part[] = [];
  for (const piece of text.split(/(\{[^{}]*\})/)) {
    if (piece === '') continue;
    if (!piece.startsWith('{') || !piece.endsWith('}')) {
      if (/[{}]/.test(piece)) return 'has a brace that is not closed or not opened';
      parts.push({ kind: 'text', bytes: Buffer.from(piece) });
      continue;
    }
    const name = piece.slice(1, -1);
    const kind = NAMES.find((known) => known === name);
    if (kind) {
      parts.push({ kind });
      continue;
    }
    // A name may have brackets of its own, as `form:contact[id]`: those at its end count only with some in front.
    const [, before = '', inner = name, after = '', ending = ''] =
      /^\[([^\]]*)\](.*?)\[([^\]]*)\](\?.*)?$/s.exec(name) ?? [];
    const [, lower, where = '', otherwise] = /^(lower:)?(.*?)(?:\?(.*))?$/s.exec(inner + ending) ?? [];
    const places = where.split(' | ');
    const named = places.every((one) => /^(header|json|form|query):/.test(one));
    const place = named ? parseSource(places.map((one) => one.replace(/^json:/, 'body:')).join(' | ')) : 'unknown';
    if (typeof place === 'string') return `has ${piece}, which is none of ${KNOWN}`;
    parts.push({
      kind: 'read',
      source: place,
      fallback: otherwise === undefined ? undefined : Buffer.from(otherwise),
      before: Buffer.from(before),
      after: Buffer.from(after),
      lower: lower !== undefined,
    });
  }
  return parts;
}

/** Why this template must not be used; undefined: it may. */
function faultOf(
  parts: readonly Part[],
  { scheme, covers_body = true, id, timestamp, secret_from }: VerifyInput,
  certified: boolean,
): string | undefined {
  const has = (...kinds: Part['kind'][]) => parts.some(({ kind }) => kinds.includes(kind));
  // Strangers may send too: a body that is hashed a hundred times would hold up all other requests for seconds.
  for (const kind of ['body', 'crc32', 'params'] as const)
    if (parts.filter((part) => part.kind === kind).length > 1) return `has {${kind}} more than once`;
  if (parts.filter(({ kind }) => kind !== 'text').length > MOST_PLACES) return `has more than ${MOST_PLACES} places`;
  if (covers_body && has('crc32') && !has('body', 'params'))
    return 'covers the body by {crc32} alone, and any body can be given the same CRC-32. Say covers_body: false if the provider does that';
  if (covers_body && !has('body', 'params'))
    return 'has no {body}: one signature would fit every body. Say covers_body: false if the provider does that';
  // The method and the URL are the same each time.
  const reads = parts.some((part) => part.kind === 'read' && part.fallback === undefined);
  if (!covers_body && !reads && !has('body', 'crc32', 'params', 'timestamp', 'id'))
    return 'is the same for every request: one signature would fit them all';
  if (scheme === 'hash' && !has('secret')) return 'has no {secret}: anybody could compute the hash';
  if (certified && !has('secret') && secret_from === undefined)
    return 'has no {secret}, and verify.secret_from is not set: whatever the provider signs for others would be accepted';
  if (scheme !== 'hash' && !certified && has('secret'))
    return 'has {secret}, which is for the scheme hash, and for presets with certificates';
  if (has('id') && id === undefined) return 'has {id}, but verify.id does not say where it stands';
  if (has('timestamp') && !timestamp) return 'has {timestamp}, but verify.timestamp does not say where it stands';
  return undefined;
}
