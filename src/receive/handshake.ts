// Answers the challenge of a provider that makes sure the URL is ours, exactly as it asks to be answered.
import { hmacOf, sameSecret } from './digest.ts';
import type { Handshake } from './handshakerule.ts';
import type { Answer, Incoming, Secret } from './incoming.ts';
import type { Rules } from './rules.ts';
import { reader, readSource } from './source.ts';

/** The longest known is some hundred characters; whoever sends more wants something else of us. */
const MOST_CHALLENGE = 2048;

export type Shaken =
  | { readonly kind: 'handshake'; readonly answer: Answer; readonly reason: string }
  | { readonly kind: 'signature' | 'secret_missing'; readonly reason: string };

// A challenge is small: what is larger is not read through twice.
const MOST_BYTES = 64 * 1024;

/** The handshake that this request is, if it is one of those that are signed, or of those that are not. */
export function findHandshake({ handshakes }: Rules, incoming: Incoming, signed: boolean): Handshake | undefined {
  if (handshakes.length === 0 || incoming.body.length > MOST_BYTES) return undefined;
  return handshakes.find((handshake) => handshake.signed === signed && isOne(handshake, incoming));
}

function isOne({ method, when, challenge, places }: Handshake, incoming: Incoming): boolean {
  if (method !== undefined && method !== incoming.method) return false;
  const read = reader(places, incoming, undefined);
  const holds = when.every(({ from, equals, absent }) => {
    const value = read(from);
    if (absent) return value === undefined;
    return value !== undefined && (equals === undefined || equals === value);
  });
  return holds && (!challenge || read(challenge) !== undefined);
}

/** `secret` is the one that signed it, where it is signed. */
export function shake(rules: Rules, handshake: Handshake, incoming: Incoming, secret: Secret | undefined): Shaken {
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
  const { status, content_type, body } = handshake.answer;
  const json = content_type === 'application/json';
  const hmac = (encoding: 'hex' | 'base64') =>
    secret && rules.check?.scheme === 'hmac' ? hmacOf(rules.check, secret, challenge).toString(encoding) : '';
  const filled = body.replace(/\{(challenge|hmac|hmac_base64)\}/g, (_, name: string) => {
    if (name === 'challenge') return json ? JSON.stringify(challenge).slice(1, -1) : challenge;
    return hmac(name === 'hmac' ? 'hex' : 'base64');
  });
  const title = rules.preset?.title ?? 'The sender';
  return {
    kind: 'handshake',
    answer: { status, content_type, body: filled },
    reason: `${title} made sure that this URL is yours, and was answered.`,
  };
}
