// The settings of one webhook made ready once: templates parsed, sources known, mistakes told before they cost an event.
import type { KeyObject } from 'node:crypto';
import type { DedupeInput, HandshakeInput, VerifyInput } from '../schemaverify.ts';
import { compileHandshakes, type Handshake } from './handshakerule.ts';
import type { Secret } from './incoming.ts';
import { isAsymmetric, type KeyRule, readKey } from './keys.ts';
import type { Joined, Preset } from './preset.ts';
import { PRESETS } from './presets.ts';
import { type Places, parseSource, placesOf, type Source } from './source.ts';
import { faultOf, type Part, parseTemplate } from './template.ts';

/** A signature over something. */
export interface Check extends KeyRule {
  readonly scheme: 'hmac' | 'hash' | 'asymmetric';
  readonly encoding: 'hex' | 'base64' | 'base64url';
  readonly signature: Source;
  readonly itemSeparator: string;
  readonly fieldSeparator: string;
  readonly field: string;
  readonly timestamp: Timestamp | undefined;
  readonly toleranceMs: number;
  readonly template: readonly Part[];
  readonly id: Source | undefined;
  readonly url: 'as-is' | 'hubspot' | 'twilio';
  /** Decoded once per secret; null: it cannot be one. */
  readonly keys: WeakMap<Secret, Buffer | KeyObject | null>;
}
interface Timestamp {
  /** A text: the field of this name beside the signature. */
  readonly from: Source | string;
  readonly unit: 's' | 'ms';
  readonly format: 'unix' | 'iso8601' | 'http-date';
}
/** The secret itself stands in the request. */
export interface Shared {
  readonly scheme: 'shared-secret';
  readonly from:
    | Source
    | 'bearer'
    | 'basic'
    | { readonly kind: 'each'; readonly steps: readonly string[]; readonly title: string };
}

/** Treat as opaque: made by compileRules, read by judge, identify and nearMiss. */
export interface Rules {
  readonly preset: Preset | undefined;
  /** Undefined: nothing is verified. */
  readonly check: Check | Shared | undefined;
  readonly handshakes: readonly Handshake[];
  readonly token: string | undefined;
  /** Alternatives, each of parts that are joined. */
  readonly ids: readonly (readonly Source[])[];
  readonly types: readonly (readonly Source[])[];
  /** All that ids and types name. */
  readonly places: Places;
}

export class RuleError extends Error {
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  constructor(errors: readonly { readonly path: string; readonly message: string }[]) {
    super(errors.map(({ path, message }) => `${path} ${message}`).join('; '));
    this.name = 'RuleError';
    this.errors = errors;
  }
}

interface RuleSettings {
  readonly preset?: string | null | undefined;
  readonly verify?: VerifyInput | null | undefined;
  readonly dedupe?: DedupeInput | null | undefined;
}

/** Throws a RuleError that names every mistake. */
export function compileRules(settings: RuleSettings): Rules {
  const errors: { path: string; message: string }[] = [];
  const fault = (path: string, message: string): undefined => void errors.push({ path: `body.${path}`, message });
  const preset = settings.preset ? PRESETS.get(settings.preset) : undefined;
  if (settings.preset && !preset) fault('preset', `is none of ${[...PRESETS.keys()].join(', ')}`);
  const own = settings.verify ?? {};
  const verify = merged(preset?.verify ?? {}, own);
  // Someone who sets up a check and forgets its scheme must not end up with none.
  if (!verify.scheme && (settings.verify || preset))
    fault('verify.scheme', 'must say hmac, hash, asymmetric, shared-secret, or none for no check at all');
  const source = (path: string, text: string | undefined): Source | undefined => {
    if (text === undefined) return undefined;
    const parsed = parseSource(text);
    return typeof parsed === 'string' ? fault(path, parsed) : parsed;
  };
  const sources = (path: string, list: Joined): Source[] => [list].flat().flatMap((text) => source(path, text) ?? []);
  const { from } = settings.dedupe ?? {};
  const types = own.event_type ? [own.event_type] : (preset?.event_type ?? []);
  const handshake = verify.handshake ?? preset?.handshake ?? [];
  const ids = (from ? [from] : (preset?.dedupe ?? [])).map((list) => sources('dedupe.from', list));
  const typed = types.map((list) => sources('verify.event_type', list));
  const rules: Rules = {
    preset,
    check: errors.length > 0 ? undefined : compileCheck(verify, source, fault),
    handshakes: compileHandshakes(handshake as readonly HandshakeInput[], verify.scheme, source, fault),
    token: verify.token,
    ids,
    types: typed,
    places: placesOf([...ids, ...typed].flat()),
  };
  if (errors.length > 0) throw new RuleError(errors);
  return rules;
}

/** Member by member, and within signature and timestamp as well. */
function merged(base: VerifyInput, own: VerifyInput): VerifyInput {
  const given = present(own);
  const inner = (name: 'signature' | 'timestamp') =>
    base[name] || given[name] ? { [name]: { ...base[name], ...present(given[name] ?? {}) } } : {};
  return { ...base, ...given, ...inner('signature'), ...inner('timestamp') };
}

/** A member that is null was taken back. */
const present = <T extends object>(members: T): T =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined)) as T;

type Find = (path: string, text: string | undefined) => Source | undefined;
type Fault = (path: string, message: string) => undefined;

function compileCheck(verify: VerifyInput, source: Find, fault: Fault): Check | Shared | undefined {
  const { scheme } = verify;
  if (scheme === undefined || scheme === 'none') return undefined;
  if (scheme === 'shared-secret') return compileShared(verify, source, fault);
  const algorithm = verify.algorithm ?? (scheme === 'asymmetric' ? '' : 'sha256');
  if (isAsymmetric(algorithm) !== (scheme === 'asymmetric'))
    return fault(
      'verify.algorithm',
      `must be ${scheme === 'asymmetric' ? 'ed25519, ecdsa-p256 or rsa-sha256' : 'sha256, sha1 or sha512'} with the scheme ${scheme}`,
    );
  const { from, item_separator = '', field_separator = '', field = '' } = verify.signature ?? {};
  if (from === undefined) return fault('verify.signature.from', 'must say where the signature stands');
  const signature = source('verify.signature.from', from);
  if ((field === '') !== (field_separator === ''))
    return fault('verify.signature.field', 'and field_separator are given together or not at all');
  const time = verify.timestamp;
  if (time && time.from === undefined) return fault('verify.timestamp.from', 'must say where the time stands');
  if (time?.from?.startsWith('field:') && field === '')
    return fault('verify.timestamp.from', 'names a field, but verify.signature has no fields');
  if (!time && (verify.tolerance_seconds ?? 0) > 0)
    return fault('verify.tolerance_seconds', 'needs verify.timestamp: there is no time to check');
  const parts = parseTemplate(verify.signed_string ?? '{body}');
  if (typeof parts === 'string') return fault('verify.signed_string', parts);
  const wrong = faultOf(parts, {
    coversBody: verify.covers_body !== false,
    hash: scheme === 'hash',
    id: verify.id !== undefined,
    timestamp: time !== undefined,
  });
  if (wrong) return fault('verify.signed_string', wrong);
  const id = source('verify.id', verify.id);
  const timestamp = time?.from === undefined ? undefined : compileTime(time, time.from, source);
  if (!signature) return undefined;
  return {
    scheme,
    algorithm,
    encoding: verify.encoding ?? 'hex',
    keyEncoding: verify.key_encoding ?? 'utf8',
    keyPrefix: verify.key_prefix ?? '',
    signature,
    itemSeparator: item_separator,
    fieldSeparator: field_separator,
    field,
    timestamp,
    toleranceMs: timestamp ? (verify.tolerance_seconds ?? 300) * 1000 : 0,
    template: parts,
    id,
    url: verify.url ?? 'as-is',
    keys: new WeakMap(),
  };
}

function compileTime(time: NonNullable<VerifyInput['timestamp']>, place: string, source: Find): Timestamp | undefined {
  const from = place.startsWith('field:') ? place.slice('field:'.length) : source('verify.timestamp.from', place);
  return from === undefined ? undefined : { from, unit: time.unit ?? 's', format: time.format ?? 'unix' };
}

function compileShared({ secret_from: place }: VerifyInput, source: Find, fault: Fault): Shared | undefined {
  if (place === undefined) return fault('verify.secret_from', 'must say where the secret stands in a request');
  if (place === 'bearer' || place === 'basic') return { scheme: 'shared-secret', from: place };
  const from = source('verify.secret_from', place);
  if (from?.kind !== 'body') return from && { scheme: 'shared-secret', from };
  const steps = from.pointer.segments.map(({ name }) => name);
  return { scheme: 'shared-secret', from: steps.includes('*') ? { kind: 'each', steps, title: from.title } : from };
}

/** A sentence when this text cannot be a secret of these rules. */
export function checkSecret(rules: Rules, value: string): string | undefined {
  if (value === '') return 'must not be empty';
  if (!rules.check || rules.check.scheme === 'shared-secret') return undefined;
  const key = readKey(rules.check, value);
  return typeof key === 'string' ? key : undefined;
}
