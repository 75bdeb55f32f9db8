// Compares signatures with the digest of the signed bytes, and shared secrets with the secret, in constant time.
import {
  createHash,
  createHmac,
  createSecretKey,
  createVerify,
  type Hash,
  type Hmac,
  type KeyObject,
  timingSafeEqual,
  type Verify,
  verify,
} from 'node:crypto';
import { markOf } from './json.ts';
import { type Fault, LARGE, type Message, type Piece } from './message.ts';
import {
  headerOf,
  type Incoming,
  isLarge,
  isUnread,
  placesOf,
  plainBody,
  readBytes,
  reader,
  type Secret,
} from './request.ts';
import { readKey, type Shared, type SignatureCheck } from './rules.ts';
import { atOnce, type Sliced } from './slices.ts';

// So much of a body is hashed before others have their turn: in less than a millisecond. 10 MiB take 25, and a decoded body may have 64 MiB.
const PIECE_BYTES = 256 * 1024;
// Each signature costs some 100 µs, and a stranger may send as many as fit into a header.
const MOST_ASYMMETRIC = 4;
// Pinned certificates: the present one, and the next.
const MOST_CERTIFIED = 4;

/** Whether any signature of the message is right under this secret. Gives way while it hashes; Ed25519 takes a body in one piece. */
export function* isSigned(
  check: SignatureCheck,
  secret: Secret,
  message: Message,
  certified: readonly KeyObject[] = [],
): Sliced<boolean> {
  if (check.certificate) {
    if (!isCarried(secret, message)) return false;
    for (const form of message.forms)
      for (const key of certified.slice(0, MOST_CERTIFIED))
        for (const signature of message.signatures.slice(0, MOST_ASYMMETRIC)) {
          const whole = form.map((piece) => (piece === 'secret' ? Buffer.from(secret.value) : piece));
          if (yield* isSignedBy(check, key, message, whole, signature)) return true;
          yield;
        }
    return false;
  }
  const key = keyOf(check, secret);
  if (key === null) return false;
  for (const form of message.forms) {
    if (check.scheme === 'asymmetric') {
      for (const signature of message.signatures.slice(0, MOST_ASYMMETRIC)) {
        if (yield* isSignedBy(check, key as KeyObject, message, form, signature)) return true;
        yield;
      }
      continue;
    }
    const expected = yield* digest(check, key, form);
    if (message.signatures.some((signature) => sameText(normal(check, signature), expected))) return true;
    yield;
  }
  return false;
}

/** The secret stands where the rules want it beside the signature. */
export const isCarried = ({ value }: Secret, { carried }: Pick<Message, 'carried'>): boolean =>
  !carried || sameSecret(carried, Buffer.from(value));

/** HMAC with the algorithm and the key of the rules, for handshakes that ask for one. */
export function hmacOf(check: SignatureCheck, secret: Secret, text: string): Buffer {
  const key = keyOf(check, secret);
  return createHmac(check.algorithm, key ?? '')
    .update(text)
    .digest();
}

/** The signature that a holder of this secret makes; undefined: the secret is no key for it. For samples, whose bodies are small. */
export function signatureOf(check: SignatureCheck, secret: Secret, form: readonly Piece[]): string | undefined {
  const key = keyOf(check, secret);
  return key === null ? undefined : atOnce(digest(check, key, form));
}

/** Compares the hashes, so the lengths may differ. */
export const sameSecret = (a: Buffer, b: Buffer): boolean => timingSafeEqual(sha256(a), sha256(b));
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

function keyOf(check: SignatureCheck, secret: Secret): Buffer | KeyObject | null {
  let key = check.keys.get(secret);
  if (key === undefined) {
    const read = readKey(check, secret.value);
    // Made once for each secret: it costs a third of an HMAC over a small body.
    key = typeof read === 'string' ? null : check.scheme === 'hmac' ? createSecretKey(read as Buffer) : read;
    check.keys.set(secret, key);
  }
  return key;
}

function* digest(check: SignatureCheck, key: Buffer | KeyObject, form: readonly Piece[]): Sliced<string> {
  const hash = check.scheme === 'hmac' ? createHmac(check.algorithm, key) : createHash(check.algorithm);
  for (const piece of form) yield* update(hash, piece === 'secret' ? (key as Buffer) : piece);
  return hash.digest(check.encoding);
}

/** Adds the bytes to a hash, and gives way between parts of them. */
export function* update(hash: Hash | Hmac | Verify, bytes: Buffer): Sliced<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) yield;
    hash.update(bytes.subarray(at, at + PIECE_BYTES));
  }
}

/** Hex may be in upper case; base64 must be as an encoder writes it. */
const normal = ({ encoding }: SignatureCheck, signature: string): string =>
  encoding === 'hex' ? signature.toLowerCase() : signature;

/** Unlike `sameSecret` it may compare the lengths first: the length of a digest is no secret. */
function sameText(given: string, expected: string): boolean {
  if (given.length !== expected.length) return false;
  const bytes = Buffer.from(given, 'latin1');
  return bytes.length === expected.length && timingSafeEqual(bytes, Buffer.from(expected, 'latin1'));
}

/** How often the bytes of a message are hashed at most, for one secret. */
export const passesOf = (check: SignatureCheck, { forms, signatures }: Message): number =>
  forms.length * (check.scheme === 'asymmetric' ? Math.min(signatures.length, MOST_ASYMMETRIC) : 1);

function* isSignedBy(
  check: SignatureCheck,
  key: KeyObject,
  message: Message,
  form: readonly Piece[],
  text: string,
): Sliced<boolean> {
  const signature = Buffer.from(text, check.encoding);
  // Node's decoder skips characters that are not of the encoding: a signature with such characters is refused.
  if (signature.toString(check.encoding) !== normal(check, text)) return false;
  try {
    if (check.algorithm === 'ed25519') {
      // It takes all bytes in one piece, twice.
      return sizeOf(form) <= MOST_ED25519 && verify(null, wholeOf(message, form), key, signature);
    }
    const verifier = createVerify(message.algorithm === 'rsa-sha1' ? 'sha1' : 'sha256');
    for (const piece of bytesOf(form)) yield* update(verifier, piece);
    return verifier.verify(key, signature);
  } catch {
    return false;
  }
}

const MOST_ED25519 = 32 * 1024 * 1024;
const sizeOf = (form: readonly Piece[]): number => bytesOf(form).reduce((sum, { length }) => sum + length, 0);

const bytesOf = (form: readonly Piece[]): Buffer[] => form.filter((piece) => piece !== 'secret');

const whole = new WeakMap<Message, { form: readonly Piece[]; bytes: Buffer }>();
/** The bytes in one piece, as Ed25519 takes them: made once for all secrets. Twenty copies of 10 MiB are 200 MiB. */
function wholeOf(message: Message, form: readonly Piece[]): Buffer {
  const [first, ...more] = bytesOf(form);
  if (first && more.length === 0) return first;
  const known = whole.get(message);
  if (known?.form === form) return known.bytes;
  const bytes = Buffer.concat(bytesOf(form));
  whole.set(message, { form, bytes });
  return bytes;
}

// Shared secrets: providers that sign nothing and send the secret itself, in a header, a field, the query, or each element of a list.

/** The texts, all of which have to be the secret; or what is missing. */
export function readShared({ from }: Shared, incoming: Incoming): readonly Buffer[] | Fault {
  if (from === 'bearer' || from === 'basic') return readAuthorization(from, incoming);
  const missing = { fault: `The ${from.title} is missing.`, missing: true };
  if (from.kind === 'each' ? isLarge(incoming) : isUnread(from, incoming))
    return { fault: `The ${from.title} is not read: ${LARGE}.` };
  if (from.kind === 'each') {
    // Each of them has to be the secret, so there may be a hundred thousand, but only one that differs from all others.
    const texts = new Set(each(plainBody(incoming), from.steps));
    return texts.size > 0 && !texts.has(undefined)
      ? [...texts].slice(0, 2).map((text) => Buffer.from(text ?? ''))
      : missing;
  }
  const found = readBytes(from, incoming, reader(placesOf([from]), incoming, undefined));
  return found ? [found] : missing;
}

export const isShared = (texts: readonly Buffer[], { value }: Secret): boolean => {
  const secret = Buffer.from(value);
  return texts.every((text) => sameSecret(text, secret));
};

function readAuthorization(scheme: 'bearer' | 'basic', incoming: Incoming): readonly Buffer[] | Fault {
  const [, name = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(headerOf(incoming, 'authorization') ?? '') ?? [];
  if (name.toLowerCase() !== scheme)
    return { fault: `The Authorization header has no ${scheme} credentials.`, missing: true };
  return [Buffer.from(credentials, scheme === 'basic' ? 'base64' : 'latin1')];
}

/** The texts at all ends of a path that has `*` in it; undefined where there is none. */
function each(body: Buffer, steps: readonly string[]): readonly (string | undefined)[] {
  let values: unknown[];
  try {
    values = [JSON.parse(body.toString('utf8', markOf(body)))];
  } catch {
    return [];
  }
  for (const step of steps)
    values = values.flatMap((value) => {
      if (step === '*') return Array.isArray(value) ? value : [undefined];
      return typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? [(value as Record<string, unknown>)[step]]
        : [undefined];
    });
  return values.map((value) => (typeof value === 'string' ? value : undefined));
}
