// Requests that are answered and not stored: challenges of a provider that makes sure the URL is ours. As data.
import type { HandshakeInput } from '../schemaverify.ts';
import { type Places, placesOf, type Source } from './source.ts';

export interface Handshake {
  readonly method: string | undefined;
  readonly when: readonly { readonly from: Source; readonly equals: string | undefined; readonly absent: boolean }[];
  readonly token: Source | undefined;
  readonly challenge: Source | undefined;
  /** All of these. */
  readonly places: Places;
  /** The signature is checked before it is answered. */
  readonly signed: boolean;
  readonly answer: {
    readonly status: number;
    readonly content_type: 'text/plain' | 'application/json';
    readonly body: string;
  };
}

type Find = (path: string, text: string | undefined) => Source | undefined;
type Fault = (path: string, message: string) => undefined;

const PLACEHOLDERS = new Set(['{challenge}', '{hmac}', '{hmac_base64}']);

export const compileHandshakes = (
  inputs: readonly HandshakeInput[],
  scheme: string | undefined,
  source: Find,
  fault: Fault,
): readonly Handshake[] =>
  inputs.flatMap((input, place) => compile(input, `verify.handshake/${place}`, scheme, source, fault) ?? []);

function compile(
  input: HandshakeInput,
  path: string,
  scheme: string | undefined,
  source: Find,
  fault: Fault,
): Handshake | undefined {
  const { body, status = 200, content_type = 'text/plain' } = input.answer;
  // Where nothing is verified there is no signature to wait for.
  const signed = (input.signed ?? true) && scheme !== 'none' && scheme !== undefined;
  const when = (input.when ?? []).flatMap(({ from, equals, absent = false }) => {
    const found = source(`${path}.when`, from);
    return found ? [{ from: found, equals, absent }] : [];
  });
  const token = source(`${path}.token_from`, input.token_from);
  const challenge = source(`${path}.challenge_from`, input.challenge_from);
  const used = body.match(/\{[a-z_0-9]+\}/g) ?? [];
  const unknown = used.find((name) => !PLACEHOLDERS.has(name));
  if (unknown) return fault(`${path}.answer.body`, `has ${unknown}, which is none of ${[...PLACEHOLDERS].join(', ')}`);
  const computes = used.some((name) => name !== '{challenge}');
  if (used.length > 0 && !challenge) return fault(`${path}.challenge_from`, 'must say where the challenge stands');
  if (!challenge && !token && !when.some(({ absent }) => !absent))
    return fault(`${path}.when`, 'must say which requests it is for: this one would swallow them all');
  if (computes && scheme !== 'hmac') return fault(`${path}.answer.body`, 'has an HMAC, which is for the scheme hmac');
  // Or anybody could have anything signed, and then send it as an event.
  if (computes && !signed) return fault(`${path}.signed`, 'must be true: it is answered with an HMAC of what was sent');
  const places = placesOf([...when.map(({ from }) => from), challenge, token].filter((place) => place !== undefined));
  return { method: input.method, when, token, challenge, places, signed, answer: { status, content_type, body } };
}
