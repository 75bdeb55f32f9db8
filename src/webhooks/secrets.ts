// The list of secrets that a caller sends for a webhook: which are new, which are kept, and whether each can be one.
import { type FieldError, invalid, secretsKeyNeeded } from '../errors.ts';
import type { SecretInput, SettingsInput } from '../schema/webhooks.ts';
import type { SealedSecret } from '../store/webhooks.ts';
import { checkSecret } from '../verify/rules.ts';
import { randomText, type Sealer } from './sealer.ts';
import { HIDDEN, isToken, rulesOf, TOKEN_ID } from './target.ts';

interface NewSecret {
  readonly id?: string;
  readonly value: string;
  readonly expires_ms: number | null;
}
type Chosen = NewSecret | SealedSecret;

// The last characters of a long secret tell it from others and do not help to guess it.
const LAST = 4;
const LONG_ENOUGH = 16;

/** A text or a value is a new secret, `{"id"}` keeps one. Throws a 422 that names each mistake. */
export function chooseSecrets(
  settings: SettingsInput,
  before: readonly SealedSecret[],
  input: readonly SecretInput[],
): Chosen[] {
  const rules = rulesOf(settings);
  const errors: FieldError[] = [];
  const chosen: Chosen[] = [];
  for (const [i, one] of input.entries()) {
    const path = `body.secrets.${i}`;
    const expires = typeof one === 'string' || one.expires_at == null ? null : Date.parse(one.expires_at);
    if (typeof one === 'object' && 'id' in one) {
      const kept = before.find(({ id }) => id === one.id);
      if (kept) chosen.push({ ...kept, expires_ms: one.expires_at === undefined ? kept.expires_ms : expires });
      else errors.push({ path, message: `names ${one.id}, which is none of its secrets` });
      continue;
    }
    const value = typeof one === 'string' ? one : one.value;
    const fault = rules && checkSecret(rules, value);
    if (fault) errors.push({ path, message: fault });
    chosen.push({ value, expires_ms: expires });
  }
  if (errors.length > 0) throw invalid(errors);
  return chosen;
}

/** Encrypts the new secrets; only the same `owner` can read them. */
export const sealAll = (sealer: Sealer | undefined, owner: string, chosen: readonly Chosen[]): SealedSecret[] =>
  chosen.map((one) => {
    if (!('value' in one)) return one;
    if (!sealer) throw secretsKeyNeeded();
    const { value, expires_ms, id = randomText(8) } = one;
    const last4 = value.length >= LONG_ENOUGH && !isToken({ id }) ? value.slice(-LAST) : '';
    return { id, last4, expires_ms, sealed: sealer.seal(value, owner) };
  });

/**
 * Takes the verify token out of the settings, which then may be shown and stored. `before`: the stored secrets. `token` is
 * empty where there is to be none.
 */
export function takeToken(
  settings: SettingsInput,
  before: readonly SealedSecret[],
): { readonly settings: SettingsInput; readonly token: readonly Chosen[] } {
  if (!settings.verify) return { settings, token: [] };
  const { token, ...verify } = settings.verify;
  if (token === undefined) return { settings, token: [] };
  const chosen = token === HIDDEN ? before.filter(isToken) : [{ id: TOKEN_ID, value: token, expires_ms: null }];
  return { settings: { ...settings, verify }, token: chosen };
}

/** The settings as they were written, the token hidden. */
export const showToken = (settings: SettingsInput, secrets: readonly SealedSecret[]): SettingsInput =>
  secrets.some(isToken) ? { ...settings, verify: { ...settings.verify, token: HIDDEN } } : settings;
