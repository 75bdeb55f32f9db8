// The verdict on one request: is it from whom it claims to be? One engine for every provider, over the bytes as they came.
import { isSigned } from './digest.ts';
import { findHandshake, shake } from './handshake.ts';
import { type Answer, type Incoming, type Secret, unexpired } from './incoming.ts';
import { type Fault, readMessage, secondsOutside } from './message.ts';
import type { Check, Rules, Shared } from './rules.ts';
import { isShared, readShared } from './shared.ts';

export type Verdict =
  | { readonly kind: 'accepted'; readonly verified: 'signed' | 'token' | 'none' }
  /** Answer the sender with this; it never becomes a content. */
  | { readonly kind: 'handshake'; readonly answer: Answer; readonly reason: string }
  /** The rules need a secret, and there is none that has not expired. */
  | { readonly kind: 'secret_missing'; readonly reason: string }
  /** Refused; the reason never holds a secret or a whole signature. */
  | { readonly kind: 'signature'; readonly reason: string };

/** Handshakes included. Never throws, whatever the bytes. */
export function judge(rules: Rules, secrets: readonly Secret[], incoming: Incoming): Verdict {
  const { check } = rules;
  const open = findHandshake(rules, incoming, false);
  if (open) return shake(rules, open, incoming, undefined);
  if (!check) return { kind: 'accepted', verified: 'none' };
  const usable = unexpired(secrets, incoming);
  if (usable.length === 0) return { kind: 'secret_missing', reason: missingSecret(rules, secrets.length) };
  const proof = prove(check, usable, incoming);
  if ('fault' in proof) return { kind: 'signature', reason: proof.fault };
  const signed = findHandshake(rules, incoming, true);
  if (signed) return shake(rules, signed, incoming, proof.secret);
  return { kind: 'accepted', verified: check.scheme === 'shared-secret' ? 'token' : 'signed' };
}

/** The secret that fits, or why none does. */
const prove = (check: Check | Shared, secrets: readonly Secret[], incoming: Incoming): Proof | Fault =>
  check.scheme === 'shared-secret' ? proveShared(check, secrets, incoming) : proveSigned(check, secrets, incoming);

interface Proof {
  readonly secret: Secret;
}

function proveShared(check: Shared, secrets: readonly Secret[], incoming: Incoming): Proof | Fault {
  const texts = readShared(check, incoming);
  if ('fault' in texts) return texts;
  const secret = secrets.find((candidate) => isShared(texts, candidate));
  if (secret) return { secret };
  return { fault: `The ${nameOf(check)} is not the secret of this webhook.` };
}

function proveSigned(check: Check, secrets: readonly Secret[], incoming: Incoming): Proof | Fault {
  const message = readMessage(check, incoming);
  if ('fault' in message) return message;
  const secret = secrets.find((candidate) => isSigned(check, candidate, message));
  if (!secret) return { fault: mismatch(check, message.signatures) };
  // Last, so that whoever only has a wrong clock is told so.
  const outside = secondsOutside(check, message.timeMs, incoming.receivedMs);
  if (outside === 0) return { secret };
  const when = (message.timeMs ?? 0) > incoming.receivedMs ? 'in the future' : 'old';
  const by = outside + check.toleranceMs / 1000;
  return {
    fault: `The signature is right, but its time is ${by} s ${when}: ${check.toleranceMs / 1000} s are allowed.`,
  };
}

const nameOf = ({ from }: Shared): string =>
  from === 'bearer' || from === 'basic' ? 'Authorization header' : from.title;

const BYTES: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha512: 64, ed25519: 64 };

/** A signature that was cut or wrapped is seen by its length. */
function mismatch({ algorithm, encoding }: Check, signatures: readonly string[]): string {
  const size = BYTES[algorithm];
  const length = size && Buffer.alloc(size).toString(encoding).length;
  const only = signatures.length === 1 ? signatures[0] : undefined;
  if (length && only !== undefined && only.length !== length)
    return `The signature is ${only.length} characters long; ${length} are expected of ${algorithm} in ${encoding}.`;
  return 'The signature does not fit: another secret, or the request was changed on its way.';
}

function missingSecret({ preset }: Rules, expired: number): string {
  if (expired > 0) return 'Every secret of this webhook has expired. Set a new one.';
  return preset?.secret
    ? `The secret is not set yet. ${preset.secret}`
    : 'The secret is not set yet: this request is judged once it is.';
}
