// The verdict on one request: is its sender the one it claims to be? One engine for every provider, over the bytes as received.
import type { KeyObject } from 'node:crypto';
import type { Answer } from '../schema/webhooks.ts';
import { certificateFault, isPinned, readCertificate } from './certificate.ts';
import { hmacOf, isCarried, isShared, isSigned, readShared, sameSecret } from './digest.ts';
import { claimFault, isTokenSigned, readToken, timeFault } from './jwt.ts';
import { type Fault, type Message, type Piece, readMessage, secondsOutside } from './message.ts';
import { type Incoming, plainBody, reader, readParts, readSource, type Secret, unexpired } from './request.ts';
import {
  certificateOf,
  type Handshake,
  isHeaderText,
  isWord,
  type Proof,
  type Rules,
  type Shared,
  type SignatureCheck,
  type TokenCheck,
} from './rules.ts';
import type { Sliced } from './slices.ts';

export type Verdict =
  | { readonly kind: 'accepted'; readonly verified: 'signed' | 'token' | 'none' }
  /** The sender gets this answer; the request never becomes a content. */
  | { readonly kind: 'handshake'; readonly answer: Answer; readonly reason: string }
  /** The rules need a secret, and there is none that has not expired. */
  | {
      readonly kind: 'secret_missing';
      readonly reason: string;
      /** All is there but the certificate at this URL, which its provider may have. */
      readonly certificate?: string;
    }
  /** Refused; the reason never holds a secret or a whole signature. */
  | { readonly kind: 'signature'; readonly reason: string };

/** Handshakes included. Never throws, whatever the bytes. Gives way after each digest of the body. */
export function* verdictOn(rules: Rules, secrets: readonly Secret[], incoming: Incoming): Sliced<Verdict> {
  const { check } = rules;
  if (rules.forms) yield* readParts(incoming);
  const open = findHandshake(rules, incoming, false);
  const own = certificateOf(rules) ? secrets.filter((one) => !isPinned(one)) : secrets;
  const usable = unexpired(own, incoming);
  const missing = check && (usable.length === 0 ? missingSecret(rules, own.length) : missingClaim(check));
  if (open?.open) {
    if (missing !== undefined) return { kind: 'secret_missing', reason: missing };
    // The provider checks the answer with its own secret: the one that is to stay.
    const secret = usable.find(({ expiresMs }) => expiresMs === null) ?? usable.at(-1);
    return shake(rules, open, incoming, secret);
  }
  if (open) return shake(rules, open, incoming, undefined, missing);
  if (!check) return { kind: 'accepted', verified: 'none' };
  if (missing !== undefined) return { kind: 'secret_missing', reason: missing };
  const proof =
    check.scheme === 'shared-secret'
      ? proveShared(check, usable, incoming)
      : check.scheme === 'jwt'
        ? yield* proveToken(check, usable, incoming)
        : yield* proveSigned(rules, check, usable, incoming, unexpired(secrets, incoming).filter(isPinned));
  if ('certificate' in proof) return { kind: 'secret_missing', reason: NO_CERTIFICATE, certificate: proof.certificate };
  if ('fault' in proof) return { kind: 'signature', reason: proof.fault };
  const signed = findHandshake(rules, incoming, true);
  if (signed) return shake(rules, signed, incoming, proof);
  return { kind: 'accepted', verified: check.scheme === 'shared-secret' ? 'token' : 'signed' };
}

/** The secret that fits; `proveSigned` likewise. */
function proveShared(check: Shared, secrets: readonly Secret[], incoming: Incoming): Secret | Fault {
  const texts = readShared(check, incoming);
  if ('fault' in texts) return texts;
  const secret = secrets.find((candidate) => isShared(texts, candidate));
  return secret ?? { fault: `The ${nameOf(check)} is not the secret of this webhook.` };
}

function* proveSigned(
  { handshakes }: Rules,
  check: SignatureCheck,
  secrets: readonly Secret[],
  incoming: Incoming,
  pinned: readonly Secret[],
): Sliced<Secret | Fault | Wanted> {
  const message = readMessage(check, incoming);
  if ('fault' in message) return message;
  const keys = check.certificate ? certifiedKeys(check, secrets, pinned, message, incoming) : [];
  if ('fault' in keys || 'certificate' in keys) return keys;
  if (handshakes.some(({ open }) => open) && message.forms.some((form) => isWord(startOf(form))))
    return { fault: 'What is signed is a single word, which a handshake of this webhook signs for anybody.' };
  let secret: Secret | undefined;
  for (const candidate of secrets)
    if (yield* isSigned(check, candidate, message, keys)) {
      secret = candidate;
      break;
    }
  if (!secret) return { fault: mismatch(check, message.signatures) };
  // Last, so that a sender whose only fault is its clock is told so.
  const outside = secondsOutside(check, message.timeMs, incoming.receivedMs);
  if (outside === 0) return secret;
  const when = (message.timeMs ?? 0) > incoming.receivedMs ? 'in the future' : 'old';
  const by = outside + check.toleranceMs / 1000;
  return {
    fault: `The signature is right, but its time is ${by} s ${when}: ${check.toleranceMs / 1000} s are allowed.`,
  };
}

const NO_CERTIFICATE = 'The certificate that it names was not there yet: this request is judged once it is.';
/** The certificate at this URL is needed. */
interface Wanted {
  readonly certificate: string;
}

/** The keys that may have signed: of the pinned certificates, or of the one that the request names. A stranger who does not know the secret, where it has to be sent, makes nobody ask for a certificate. */
function certifiedKeys(
  check: SignatureCheck,
  secrets: readonly Secret[],
  pinned: readonly Secret[],
  message: Message,
  incoming: Incoming,
): readonly KeyObject[] | Fault | Wanted {
  const { certificate: rule, carried } = check;
  if (!rule || message.certificate === undefined) return [];
  if (!secrets.some((secret) => isCarried(secret, message)))
    return {
      fault: `The ${carried?.title ?? 'secret'} is another than the one that is set as the secret of this webhook.`,
    };
  const named = pinned.length === 0 ? incoming.certificates?.get(message.certificate) : undefined;
  if (pinned.length === 0 && !named) return { certificate: message.certificate };
  const all = named ? [named] : pinned.flatMap(({ value }) => readCertificate(value, rule.name) ?? []);
  const faults = all.map((one) => certificateFault(one, incoming.receivedMs));
  const keys = all.flatMap((one, i) => (faults[i] === undefined && 'key' in one ? one.key : []));
  return keys.length > 0 ? keys : { fault: faults.find((fault) => fault !== undefined) ?? 'No certificate is pinned.' };
}

function* proveToken(check: TokenCheck, secrets: readonly Secret[], incoming: Incoming): Sliced<Secret | Fault> {
  const token = readToken(check, incoming);
  if ('fault' in token) return token;
  let secret: Secret | undefined;
  for (const candidate of secrets)
    if (yield* isTokenSigned(check, candidate, token)) {
      secret = candidate;
      break;
    }
  if (!secret) return { fault: 'The signature of the token does not fit: another key, or the token was changed.' };
  const fault = (yield* claimFault(check, token, incoming)) ?? timeFault(check, token, incoming.receivedMs)?.words;
  return fault === undefined ? secret : { fault };
}

/** The first characters of what is signed: more than a word may have. */
function startOf(form: readonly Piece[]): string {
  let text = '';
  for (const piece of form) if (piece !== 'secret' && text.length < 200) text += piece.toString('latin1', 0, 200);
  return text;
}

const nameOf = ({ from }: Shared): string =>
  from === 'bearer' || from === 'basic' ? 'Authorization header' : from.title;

const BYTES: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha512: 64, ed25519: 64 };

/** A signature that was cut or wrapped is recognised by its length. */
function mismatch({ algorithm, encoding }: SignatureCheck, signatures: readonly string[]): string {
  const size = BYTES[algorithm];
  const length = size && Buffer.alloc(size).toString(encoding).length;
  const only = signatures.length === 1 ? signatures[0] : undefined;
  if (length && only !== undefined && only.length !== length)
    return `The signature is ${only.length} characters long; ${length} are expected of ${algorithm} in ${encoding}.`;
  return 'The signature does not fit: another secret, or the request was changed on its way.';
}

/** Some claims only the owner knows, such as the account that Pub/Sub sends for. */
function missingClaim(check: Proof): string | undefined {
  const unsaid = check.scheme === 'jwt' ? check.claims.find(([, value]) => value === '') : undefined;
  return unsaid && `It is not said yet what the claim ${unsaid[0]} must be: set verify.jwt.claims.`;
}

function missingSecret({ preset }: Rules, expired: number): string {
  if (expired > 0) return 'Every secret of this webhook has expired. Set a new one.';
  return preset?.secret
    ? `The secret is not set yet. ${preset.secret}`
    : 'The secret is not set yet: this request is judged once it is.';
}

// Handshakes: the challenge by which a provider makes sure that the URL is ours is answered exactly as the provider asks.

// The longest known challenge has some hundred characters.
const MOST_CHALLENGE = 2048;
// The body of a challenge is small: a larger body is not read for one.
const MOST_BYTES = 64 * 1024;

/** The handshake that this request is, among those that are signed or those that are not. */
export function findHandshake({ handshakes }: Rules, incoming: Incoming, signed: boolean): Handshake | undefined {
  if (handshakes.length === 0 || plainBody(incoming).length > MOST_BYTES) return undefined;
  return handshakes.find((handshake) => handshake.signed === signed && matches(handshake, incoming));
}

function matches({ method, when, challenge, places }: Handshake, incoming: Incoming): boolean {
  if (method !== undefined && method !== incoming.method) return false;
  const read = reader(places, incoming, undefined);
  const holds = when.every(({ from, equals, absent }) => {
    const value = read(from);
    if (absent) return value === undefined;
    return value !== undefined && (equals === undefined || equals === value);
  });
  return holds && (!challenge || read(challenge) !== undefined);
}

/** `secret`: the one that signed the request. `missing`: what its owner has to do before events can be verified. */
function shake(
  rules: Rules,
  handshake: Handshake,
  incoming: Incoming,
  secret: Secret | undefined,
  missing?: string,
): Verdict {
  if (handshake.token) {
    if (rules.token === undefined)
      return { kind: 'secret_missing', reason: 'A handshake came, and verify.token is not set.' };
    const given = readSource(handshake.token, incoming, undefined) ?? '';
    if (!sameSecret(Buffer.from(given), Buffer.from(rules.token)))
      return { kind: 'signature', reason: `The handshake came with another token than verify.token.` };
  }
  const challenge = handshake.challenge ? (readSource(handshake.challenge, incoming, undefined) ?? '') : '';
  if (challenge.length > MOST_CHALLENGE)
    return { kind: 'signature', reason: `The challenge of the handshake is longer than ${MOST_CHALLENGE} characters.` };
  if (handshake.open && !isWord(challenge))
    return {
      kind: 'signature',
      reason: 'The challenge of the handshake is no word of at most 128 letters and digits.',
    };
  const { status, content_type, body, headers } = handshake.answer;
  const inHeader = headers.some((text) => text.includes('{challenge}'));
  if (inHeader && !isHeaderText(challenge))
    return { kind: 'signature', reason: 'The challenge of the handshake has characters that no header can carry.' };
  const json = content_type === 'application/json';
  const hmac = (encoding: 'hex' | 'base64') =>
    secret && rules.check?.scheme === 'hmac' ? hmacOf(rules.check, secret, challenge).toString(encoding) : '';
  const fill = (text: string, escaped: string): string =>
    text.replace(/\{(challenge|hmac|hmac_base64)\}/g, (_, name: string) =>
      name === 'challenge' ? escaped : hmac(name === 'hmac' ? 'hex' : 'base64'),
    );
  const filled = fill(body, json ? JSON.stringify(challenge).slice(1, -1) : challenge);
  const sent = headers.length === 0 ? {} : { headers: headers.map((text) => fill(text, challenge)) };
  const title = rules.preset?.title ?? 'The sender';
  const link = rules.preset?.link;
  return {
    kind: 'handshake',
    answer: { status, content_type, body: filled, ...sent },
    reason: link
      ? link.says
      : [`${title} made sure that this URL is yours, and was answered.`, missing].filter(Boolean).join(' '),
  };
}
