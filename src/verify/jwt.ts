// JSON Web Tokens (RFC 7515, 7519) as the proof of a request: one algorithm and its keys are pinned, and the token has to obey.
import { constants, createHash, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import { update } from './digest.ts';
import { type Fault, signedBody } from './message.ts';
import { type Incoming, isUnread, placesOf, reader, type Secret } from './request.ts';
import { type JwtKey, readJwtKeys, type TokenCheck } from './rules.ts';
import type { Sliced } from './slices.ts';

export interface Token {
  readonly kid: unknown;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

// The longest that providers send have some 2 KiB.
const MOST_CHARACTERS = 16 * 1024;
// Each signature costs some 100 µs: so many keys of a secret are tried, those with the id that the token names first.
const MOST_KEYS = 4;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** The token as it was sent, unproved; or what is wrong with it, whoever made it. */
export function readToken({ from, algorithm }: TokenCheck, incoming: Incoming): Token | Fault {
  if (isUnread(from, incoming)) return { fault: `The ${from.title} is not read: it is larger than 1 MiB.` };
  const text = reader(placesOf([from]), incoming, undefined)(from);
  if (text === undefined) return { fault: `The ${from.title} is missing.`, missing: true };
  const token = text.trim().replace(/^bearer +/i, '');
  if (token.length > MOST_CHARACTERS) return { fault: `The token is longer than ${MOST_CHARACTERS} characters.` };
  const parts = token.split('.', 4);
  const [head = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || !parts.every((part) => BASE64URL.test(part)))
    return { fault: `The ${from.title} has no JSON Web Token.` };
  const [header, claims] = [objectOf(head), objectOf(payload)];
  if (!header || !claims) return { fault: 'The header or the claims of the token are no JSON object.' };
  // The algorithm is that of the rules. A token that could choose it could choose none, or take a public key for a shared one.
  if (header.alg !== algorithm.toUpperCase())
    return { fault: `The token is not signed by ${algorithm.toUpperCase()}, as verify.algorithm says.` };
  // RFC 7515: who does not know what is critical has to refuse.
  if (header.crit !== undefined) return { fault: 'The token has critical members that are not known.' };
  return {
    kid: header.kid,
    claims,
    signed: Buffer.from(`${head}.${payload}`),
    signature: Buffer.from(signature, 'base64url'),
  };
}

function objectOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a key of this secret signed the token. Gives way after each signature. */
export function* isTokenSigned(check: TokenCheck, secret: Secret, token: Token): Sliced<boolean> {
  for (const { key } of keysFor(check, secret, token)) {
    if (fits(check.algorithm, key, token)) return true;
    yield;
  }
  return false;
}

function keysFor(check: TokenCheck, secret: Secret, { kid }: Token): readonly JwtKey[] {
  let keys = check.keys.get(secret);
  if (!keys) {
    const read = readJwtKeys(check, secret.value);
    keys = typeof read === 'string' ? [] : read;
    check.keys.set(secret, keys);
  }
  const named = typeof kid === 'string' ? keys.filter((key) => key.kid === kid) : [];
  // A key without an id may be any. One with another id is not the one that the token names.
  const others = keys.filter((key) => key.kid === undefined || kid === undefined);
  return [...new Set([...named, ...others])].slice(0, MOST_KEYS);
}

function fits(algorithm: TokenCheck['algorithm'], key: KeyObject, { signed, signature }: Token): boolean {
  if (algorithm.startsWith('hs')) {
    const expected = createHmac(`sha${algorithm.slice(2)}`, key)
      .update(signed)
      .digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  try {
    if (algorithm === 'es256') return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
    const { RSA_PKCS1_PSS_PADDING: pss, RSA_PKCS1_PADDING: pkcs1, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
    return verify('sha256', signed, { key, padding: algorithm === 'ps256' ? pss : pkcs1, saltLength }, signature);
  } catch {
    return false;
  }
}

/** Why a token that is signed does not prove this request, apart from its time; undefined: it does. */
export function* claimFault(check: TokenCheck, { claims }: Token, incoming: Incoming): Sliced<string | undefined> {
  const { issuer, audience, bodyClaim } = check;
  if (issuer !== undefined && claims.iss !== issuer) return 'The token is of another issuer than verify.jwt.issuer.';
  if (audience !== undefined && ![claims.aud].flat().includes(audience))
    return 'The token is for another audience than verify.jwt.audience.';
  for (const [name, value] of check.claims) {
    const claim = claims[name];
    if (value === '' || (typeof claim === 'boolean' ? String(claim) : claim) !== value)
      return `The claim ${name} of the token is another than in verify.jwt.claims.`;
  }
  if (bodyClaim === undefined) return undefined;
  const body = signedBody(check, incoming);
  if ('fault' in body) return body.fault;
  const hash = createHash('sha256');
  yield* update(hash, body);
  const digest = hash.digest();
  const given = claims[bodyClaim];
  const text = typeof given === 'string' ? given : '';
  const same =
    text.toLowerCase() === digest.toString('hex') || text.replace(/=+$/, '') === digest.toString('base64url');
  return same || text.replace(/=+$/, '') === digest.toString('base64').replace(/=+$/, '')
    ? undefined
    : `The claim ${bodyClaim} of the token is not the SHA-256 of the body.`;
}

/** What is wrong with the time of a token; undefined: nothing. `seconds`: beyond what is allowed. */
export function timeFault(
  { toleranceMs, timeClaim }: TokenCheck,
  { claims }: Token,
  nowMs: number,
): { readonly words: string; readonly seconds: number; readonly future: boolean } | undefined {
  const { exp, nbf } = claims;
  for (const [name, time] of [
    ['exp', exp],
    ['nbf', nbf],
    ...(timeClaim === undefined ? [] : [[timeClaim, claims[timeClaim] ?? null] as const]),
  ] as const)
    if (time !== undefined && !(typeof time === 'number' && Number.isFinite(time)))
      return { words: `The claim ${name} of the token is no time.`, seconds: 0, future: false };
  const allowed = `${toleranceMs / 1000} s are allowed`;
  const late = nowMs - ((exp as number | undefined) ?? Number.POSITIVE_INFINITY) * 1000;
  // RFC 7519: it must not be accepted on or after exp.
  if (late >= toleranceMs && late > Number.NEGATIVE_INFINITY) {
    const by = Math.ceil(late / 1000);
    return {
      words: `The signature is right, but the token expired ${by} s ago: ${allowed}.`,
      seconds: by - toleranceMs / 1000,
      future: false,
    };
  }
  const early = ((nbf as number | undefined) ?? Number.NEGATIVE_INFINITY) * 1000 - nowMs;
  if (early > toleranceMs) {
    const by = Math.ceil(early / 1000);
    return {
      words: `The signature is right, but the token counts only in ${by} s: ${allowed}.`,
      seconds: by - toleranceMs / 1000,
      future: true,
    };
  }
  if (timeClaim === undefined) return undefined;
  const off = Math.floor(nowMs / 1000) - (claims[timeClaim] as number);
  const seconds = Math.ceil(Math.abs(off) - toleranceMs / 1000);
  if (seconds <= 0) return undefined;
  const when = off < 0 ? 'in the future' : 'old';
  return {
    words: `The signature is right, but the token is ${Math.ceil(Math.abs(off))} s ${when}: ${allowed}.`,
    seconds,
    future: off < 0,
  };
}
