// A webhook tried out by its owner: a sample of what its provider sends, signed with the stored secret, and what became of it.
import { randomBytes } from 'node:crypto';
import { noSample } from '../errors.ts';
import type { Delivered } from '../http/server.ts';
import type { TestInput, TestSent } from '../schema/webhooks.ts';
import { compileRules } from '../verify/rules.ts';
import {
  isCertified,
  makeSample,
  needsKey,
  PROVIDER_SIGNS,
  SampleFault,
  type SignedSample,
  signingSecret,
} from '../verify/sample.ts';
import type { Target } from './target.ts';

const NO_CHECK = compileRules({ verify: { scheme: 'none' } });

/** A sample that the rules of this webhook accept; throws a 409 that says why there is none, and what to do. */
export function trySample(target: Target, url: string, { type, id }: TestInput, nowMs: number): SignedSample {
  const { rules = NO_CHECK, secrets } = target;
  const why = unsignable(target, nowMs);
  if (why !== undefined) throw noSample(why);
  const secret = signingSecret(secrets ?? [], nowMs);
  try {
    return makeSample({ rules, url, type, id, secret, nowMs, nonce: randomBytes(12).toString('hex') });
  } catch (error) {
    if (!(error instanceof SampleFault)) throw error;
    throw noSample(error.message);
  }
}

/** Why nothing can be signed for it here; undefined: it can, or nothing has to be. */
function unsignable({ rules, secrets, wh_id }: Target, nowMs: number): string | undefined {
  if (!rules?.check) return undefined;
  if (isCertified(rules)) return PROVIDER_SIGNS;
  if (needsKey(rules))
    return 'The secret of this webhook is a public key, and only its provider has the private key that signs: let the provider send a test event. With a pair of keys of your own, restante send --key signs.';
  if (!secrets) return 'The secrets of this webhook cannot be decrypted: SECRETS_KEY is not the right one.';
  if (signingSecret(secrets, nowMs) !== undefined) return undefined;
  return `${
    secrets.length > 0 ? 'All secrets of this webhook have expired' : 'This webhook has no secret yet'
  }, so nothing can be signed. Set it: PATCH /webhooks/${wh_id} with {"secrets":["…"]}, or restante webhook set ${wh_id} --secret-file -.`;
}

// What the owner is told besides, who can change what refuses; a sender is not to know it.
const SETTING: Readonly<Record<number, (ip: string) => string>> = {
  403: (ip) => ` The test came from ${ip}, which is not in allow_networks.`,
  405: () => ' allow_methods says so.',
  413: () => ' max_body_bytes of this webhook, or MAX_BODY_BYTES, is too low.',
};

/** What became of a sample, in the words of the API. */
export function tellTest(
  { rules }: Target,
  { event_id, event_type }: SignedSample,
  { status, text, stored }: Delivered,
  ip: string,
): TestSent {
  const by = rules?.preset?.title ?? 'your rules';
  const proof = {
    signed: `It was signed as ${by} ${rules?.preset ? 'signs' : 'say'}, and its signature matches.`,
    token: `It carried the secret as ${by} ${rules?.preset ? 'sends it' : 'say'}. Nothing was signed.`,
    none: rules?.preset ? `${by} signs nothing, so nothing was verified.` : 'Nothing was verified: no rules are set.',
  };
  const detail = stored
    ? `Stored as content ${stored.id}. ${proof[stored.verified]}`
    : status < 300
      ? `Answered ${status} and not stored: GET /refusals tells why.`
      : `Not stored: a sender would have got ${status}. ${text}${SETTING[status]?.(ip) ?? ''}`;
  const { id: content_id = null, verified = null } = stored ?? {};
  return { status, answer: text, verified, content_id, event_id, event_type, detail };
}
