// What the rules of a webhook say about a request, and what is kept of that with the content.
import { identify } from '../receive/dedupe.ts';
import type { Answer, Incoming } from '../receive/incoming.ts';
import { judge } from '../receive/verify.ts';
import { eventKey, type Judged, type Verified } from '../store/events.ts';
import type { Target } from './targets.ts';

const DAY_S = 86_400;

interface Identity {
  readonly event_id: string | null;
  readonly event_type: string | null;
}
type Accepted = { readonly kind: 'accepted'; readonly verified: Verified } & Identity;
export type Judgement =
  | Accepted
  | ({ readonly kind: 'handshake'; readonly answer: Answer; readonly reason: string } & Identity)
  | ({ readonly kind: 'secret_missing' | 'signature'; readonly reason: string } & Identity)
  /** The secrets cannot be decrypted: nothing can be said, least of all that a signature is wrong. */
  | { readonly kind: 'unreadable' };

/** The verdict on a request and the event that it says to be. Of a target without rules: accepted, unverified. */
export function judgeRequest({ rules, secrets }: Target, incoming: Incoming): Judgement {
  if (!rules) return { kind: 'accepted', verified: 'none', event_id: null, event_type: null };
  if (!secrets) return { kind: 'unreadable' };
  const verdict = judge(rules, secrets, incoming);
  return { ...verdict, ...(verdict.kind === 'handshake' ? NOBODY : identify(rules, incoming)) };
}
const NOBODY: Identity = { event_id: null, event_type: null };

/** As it is stored with the content. */
export function toJudged(
  target: Target,
  { verified, event_id, event_type }: Accepted,
  releasedFrom: number | null,
): Judged {
  const { user_id, settings } = target;
  return {
    verified,
    event_id,
    event_type,
    event_key: event_id === null ? null : eventKey(user_id, event_id),
    window_ms: (settings.dedupe?.window_seconds ?? DAY_S) * 1000,
    released_from: releasedFrom,
  };
}
