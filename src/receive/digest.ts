// Compares signatures with what the key makes of the signed bytes, in a time that tells nothing.
import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import type { Secret } from './incoming.ts';
import { readKey } from './keys.ts';
import type { Message, Piece } from './message.ts';
import type { Check } from './rules.ts';

// Each costs some 100 µs, and strangers may send as many as fit into a header.
const MOST_ASYMMETRIC = 4;

/** Whether any signature of the message is right under this secret. */
export function isSigned(check: Check, secret: Secret, message: Message): boolean {
  const key = keyOf(check, secret);
  if (key === null) return false;
  if (check.scheme === 'asymmetric') return message.forms.some((form) => isSignedBy(check, key, form, message));
  return message.forms.some((form) => {
    const expected = digest(check, key, form);
    return message.signatures.some((signature) => sameText(normal(check, signature), expected));
  });
}

/** HMAC with the algorithm and the key of the rules, for handshakes that ask for one. */
export function hmacOf(check: Check, secret: Secret, text: string): Buffer {
  const key = keyOf(check, secret);
  return createHmac(check.algorithm, key ?? '')
    .update(text)
    .digest();
}

/** Of different lengths as well: what is compared are their hashes. */
export const sameSecret = (a: Buffer, b: Buffer): boolean => timingSafeEqual(sha256(a), sha256(b));
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

function keyOf(check: Check, secret: Secret): Buffer | KeyObject | null {
  let key = check.keys.get(secret);
  if (key === undefined) {
    const read = readKey(check, secret.value);
    // Made ready once: a third of what an HMAC over a small body costs.
    key = typeof read === 'string' ? null : check.scheme === 'hmac' ? createSecretKey(read as Buffer) : read;
    check.keys.set(secret, key);
  }
  return key;
}

function digest(check: Check, key: Buffer | KeyObject, form: readonly Piece[]): string {
  const hash = check.scheme === 'hmac' ? createHmac(check.algorithm, key) : createHash(check.algorithm);
  for (const piece of form) hash.update(piece === 'secret' ? (key as Buffer) : piece);
  return hash.digest(check.encoding);
}

/** Hex may come in capitals; base64 must be what an encoder writes. */
const normal = ({ encoding }: Check, signature: string): string =>
  encoding === 'hex' ? signature.toLowerCase() : signature;

/** The length of a digest is no secret. */
function sameText(given: string, expected: string): boolean {
  if (given.length !== expected.length) return false;
  const bytes = Buffer.from(given, 'latin1');
  return bytes.length === expected.length && timingSafeEqual(bytes, Buffer.from(expected, 'latin1'));
}

function isSignedBy(check: Check, key: Buffer | KeyObject, form: readonly Piece[], { signatures }: Message): boolean {
  const data = Buffer.concat(form.filter((piece) => piece !== 'secret'));
  return signatures.slice(0, MOST_ASYMMETRIC).some((text) => {
    const signature = Buffer.from(text, check.encoding);
    // Nothing that a lenient decoder skips: one signature has one spelling.
    if (signature.toString(check.encoding) !== normal(check, text)) return false;
    try {
      return verify(check.algorithm === 'ed25519' ? null : 'sha256', data, key as KeyObject, signature);
    } catch {
      return false;
    }
  });
}
