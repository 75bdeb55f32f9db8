// Webhooks as the receiver needs them: settings with their defaults, rules made ready, secrets decrypted; kept while in use.
import { LRUCache } from 'lru-cache';
import { resolveSettings, type Settings, type SettingsInput } from '../schema/webhooks.ts';
import { eventKey, type Judged } from '../store/events.ts';
import type { SealedSecret, TargetRow, WebhookRow } from '../store/webhooks.ts';
import { encodingOf, withDecoded } from '../verify/decode.ts';
import { type Identity, identify } from '../verify/identify.ts';
import { type Verdict, verdictOn } from '../verify/judge.ts';
import type { Incoming, Secret } from '../verify/request.ts';
import { compileRules, type Rules } from '../verify/rules.ts';
import { inSlices, type Sliced } from '../verify/slices.ts';
import { type CertificateStore, needsCertificate } from './certificates.ts';
import type { Sealer } from './sealer.ts';

export interface Target {
  readonly wh_id: number;
  readonly user_id: number;
  readonly settings: Settings;
  /** Undefined: nothing is checked. */
  readonly rules: Rules | undefined;
  /** Undefined: they cannot be decrypted, so no request can be judged. */
  readonly secrets: readonly Secret[] | undefined;
  /** The end of a rotated URL's grace; null for the current one. */
  readonly expires_ms: number | null;
}

/** Secrets are encrypted for this owner: those of one webhook cannot be read as another's. */
export const ownerOf = (userId: number, whId: number): string => `restante:${userId}:${whId}`;

/** Undefined when one of them cannot be decrypted. */
export function openSecrets(sealer: Sealer, owner: string, secrets: readonly SealedSecret[]): Secret[] | undefined {
  const opened = secrets
    .filter((one) => !isToken(one))
    .map(({ sealed, expires_ms }) => ({ value: sealer.open(sealed, owner), expiresMs: expires_ms }));
  return opened.every((one): one is Secret => one.value !== undefined) ? opened : undefined;
}

/** The rules of a webhook; undefined when none are set. */
export function rulesOf({ preset, verify, dedupe }: SettingsInput): Rules | undefined {
  if (preset === undefined && verify === undefined && dedupe === undefined) return undefined;
  return compileRules({ preset, verify, dedupe });
}

/** A stored webhook made ready. */
function readyTarget(
  sealer: Sealer,
  row: Pick<Target, 'wh_id' | 'user_id' | 'expires_ms'> & {
    readonly input: SettingsInput;
    readonly sealed: readonly SealedSecret[];
  },
): Target {
  const { wh_id, user_id, expires_ms, input, sealed } = row;
  const owner = ownerOf(user_id, wh_id);
  const kept = sealed.find(isToken);
  const token = kept && sealer.open(kept.sealed, owner);
  const given = token === undefined ? input : { ...input, verify: { ...input.verify, token } };
  const secrets = kept && token === undefined ? undefined : openSecrets(sealer, owner, sealed);
  const rules = rulesOf(given);
  return { wh_id, user_id, settings: resolveSettings(input, rules?.preset?.response), rules, secrets, expires_ms };
}

/** A webhook as it is now, by its current URL. */
export const storedTarget = (sealer: Sealer, row: WebhookRow, input: SettingsInput): Target =>
  readyTarget(sealer, { wh_id: row.wh_id, user_id: row.user_id, expires_ms: null, input, sealed: row.secrets });

/** A webhook of another application: it has no settings, and accepts everything. */
export const plainTarget = (userId: number, whId: number): Target => ({
  wh_id: whId,
  user_id: userId,
  settings: resolveSettings({}),
  rules: undefined,
  secrets: [],
  expires_ms: null,
});

// Rows that are kept ready: they are read again every few seconds, and seldom change.
const MOST_READY = 50_000;

/** Makes rows ready; a row that did not change is not decrypted and compiled again. */
export function createTargetMaker(sealer: Sealer): (row: TargetRow) => Target {
  const ready = new LRUCache<string, { readonly row: TargetRow; readonly target: Target }>({ max: MOST_READY });
  return (row) => {
    const known = ready.get(row.url_key);
    if (known && same(known.row, row)) return known.target;
    const input = JSON.parse(row.settings) as SettingsInput;
    const sealed: SealedSecret[] = row.secrets ? JSON.parse(row.secrets) : [];
    const target = readyTarget(sealer, { ...row, input, sealed });
    ready.set(row.url_key, { row, target });
    return target;
  };
}

const same = (a: TargetRow, b: TargetRow): boolean =>
  (['wh_id', 'user_id', 'settings', 'secrets', 'expires_ms'] as const).every((name) => a[name] === b[name]);

/** A caller writes Meta's verify token in the settings; it is stored as a secret under this id. */
export const TOKEN_ID = 'verify.token';
/** Shown instead of the token; sent back it changes nothing. */
export const HIDDEN = '***';
export const isToken = ({ id }: Pick<SealedSecret, 'id'>): boolean => id === TOKEN_ID;

// The judgement on a request by the rules of its webhook, and what is stored of it with the content.

const DAY_S = 86_400;

export type Judgement =
  | (Verdict & Identity)
  /** The secrets cannot be decrypted, so a signature cannot be called wrong. */
  | { readonly kind: 'unreadable' }
  /** Its certificate was not asked for: too many are. */
  | { readonly kind: 'busy' };

/** The verdict on a request, and the id and type of its event. Without rules: accepted, unverified. A promise when it takes long. */
export function judgeRequest(
  target: Target,
  incoming: Incoming,
  certificates?: Pick<CertificateStore, 'known' | 'fetch'>,
): Judgement | Promise<Judgement> {
  if (!certificates || !needsCertificate(target)) return judgeReady(target, incoming);
  return judgeCertified(target, { ...incoming, certificates: certificates.known }, certificates);
}

async function judgeCertified(
  target: Target,
  incoming: Incoming,
  certificates: Pick<CertificateStore, 'fetch'>,
): Promise<Judgement> {
  const judged = await judgeReady(target, incoming);
  if (judged.kind !== 'secret_missing' || judged.certificate === undefined) return judged;
  const fetched = await certificates.fetch(target, judged.certificate);
  if (fetched === 'busy') return { kind: 'busy' };
  if (fetched === 'had') return judgeReady(target, incoming);
  return fetched === 'off' ? { ...judged, reason: NOT_FETCHED } : judged;
}
const NOT_FETCHED =
  'No certificates are fetched here (FETCH_CERTIFICATES=0): set the certificate that it names, in PEM, as one more secret.';

const judgeReady = (target: Target, incoming: Incoming): Judgement | Promise<Judgement> =>
  target.rules?.readsBody && encodingOf(incoming)
    ? withDecoded(target.user_id, incoming, (ready) => inSlices(target.user_id, judging(target, ready)))
    : inSlices(target.user_id, judging(target, incoming));

function* judging({ rules, secrets }: Target, incoming: Incoming): Sliced<Judgement> {
  if (!rules) return { kind: 'accepted', verified: 'none', event_id: null, event_type: null };
  if (!secrets) return { kind: 'unreadable' };
  const verdict = yield* verdictOn(rules, secrets, incoming);
  // One with a link is looked for by its owner.
  if (verdict.kind === 'handshake' && !rules.preset?.link) return { ...verdict, ...NO_EVENT };
  yield;
  return { ...verdict, ...identify(rules, incoming) };
}
const NO_EVENT: Identity = { event_id: null, event_type: null };

/** As it is stored with the content. */
export function toJudged(
  { user_id, settings }: Target,
  { verified, event_id, event_type }: Extract<Judgement, { kind: 'accepted' }>,
  releasedFrom: number | null,
): Judged {
  return {
    verified,
    event_id,
    event_type,
    event_key: event_id === null ? null : eventKey(user_id, event_id),
    window_ms: (settings.dedupe?.window_seconds ?? DAY_S) * 1000,
    released_from: releasedFrom,
  };
}
