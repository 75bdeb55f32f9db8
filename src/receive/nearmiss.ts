// A refused request that nearly fitted: what would have made it fit, in a few words. The mistake is mostly one of a handful.
import { isSigned } from './digest.ts';
import { findHandshake } from './handshake.ts';
import { type Incoming, type Secret, unexpired } from './incoming.ts';
import { lookalike } from './lookalike.ts';
import { readMessage, secondsOutside } from './message.ts';
import { urlVariants } from './nearmissurls.ts';
import type { Check, Rules, Shared } from './rules.ts';
import { isShared, readShared } from './shared.ts';
import { readSource } from './source.ts';

const MOST_CHARACTERS = 250;
// Strangers can cause this work: all tries together read no more than this, some 50 ms.
const MOST_BYTES = 24 * 1024 * 1024;
const BYTES_A_TRY = 4096;

interface Other {
  readonly wh_id: number;
  readonly secret: Secret;
}
/** Whether the request would fit, its time aside. */
type Fits = (secret: Secret, incoming: Incoming, check?: Check | Shared) => boolean;

/** At most 250 characters; names a secret by its last four characters only. Null: nothing near. */
export function nearMiss(
  rules: Rules,
  secrets: readonly Secret[],
  incoming: Incoming,
  others: readonly Other[],
): string | null {
  const { check, preset } = rules;
  const open = findHandshake(rules, incoming, false);
  if (open) return handshake(rules, open.token && readSource(open.token, incoming, undefined));
  if (!check) return null;
  const looks = lookalike(preset, incoming);
  const other = looks && `this looks like a request of ${looks.title}: try the preset ${looks.name}`;
  if (isMissing(check, incoming))
    return cut(other ?? `it came unsigned: is the secret set at ${preset?.title ?? 'the provider'}?`);
  const fits = limited(check);
  const usable = unexpired(secrets, incoming);
  const found =
    window(check, usable, incoming, fits) ??
    expired(secrets, usable, incoming, fits) ??
    trimmed(usable, incoming, fits) ??
    body(usable, incoming, fits) ??
    asText(check, usable, incoming, fits) ??
    url(check, usable, incoming, fits) ??
    another(others, incoming, fits) ??
    other;
  return found ? cut(found) : null;
}

/** One that is not signed fails for its token, or for the length of its challenge. */
function handshake({ token }: Rules, given: string | undefined): string | null {
  if (token === undefined || given === undefined || given.trim() !== token.trim()) return null;
  return 'would be answered without the white space around the verify token: one of the two has some';
}

const cut = (text: string): string => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text);

function isMissing(check: Check | Shared, incoming: Incoming): boolean {
  const read = check.scheme === 'shared-secret' ? readShared(check, incoming) : readMessage(check, incoming);
  return 'missing' in read && read.missing === true;
}

function limited(own: Check | Shared): Fits {
  let left = MOST_BYTES;
  return (secret, incoming, check = own) => {
    left -= incoming.body.length + BYTES_A_TRY;
    if (left < 0) return false;
    if (check.scheme === 'shared-secret') {
      const texts = readShared(check, incoming);
      return !('fault' in texts) && isShared(texts, secret);
    }
    const message = readMessage(check, incoming);
    return !('fault' in message) && isSigned(check, secret, message);
  };
}

/** Four characters, and fewer of a short one. */
function lastOf({ value }: Secret): string {
  const shown = Math.min(4, Math.floor(value.length / 3));
  return shown > 0 ? `the secret ending …${value.slice(-shown)}` : 'the secret';
}

function window(check: Check | Shared, secrets: readonly Secret[], incoming: Incoming, fits: Fits): string | undefined {
  if (check.scheme === 'shared-secret' || !secrets.some((secret) => fits(secret, incoming))) return undefined;
  const message = readMessage(check, incoming);
  const timeMs = 'fault' in message ? undefined : message.timeMs;
  const outside = secondsOutside(check, timeMs, incoming.receivedMs);
  if (outside === 0) return undefined;
  const why =
    (timeMs ?? 0) > incoming.receivedMs ? 'it says it is from the future' : 'an old request, or a wrong clock';
  return `${outside} s outside the window of ${check.toleranceMs / 1000} s: ${why}`;
}

function expired(secrets: readonly Secret[], usable: readonly Secret[], incoming: Incoming, fits: Fits) {
  const found = secrets.find((secret) => !usable.includes(secret) && fits(secret, incoming));
  const when = found && new Date(found.expiresMs ?? 0).toISOString().slice(0, 19);
  return found && `would verify with ${lastOf(found)} of this webhook, which expired at ${when}Z`;
}

function trimmed(secrets: readonly Secret[], incoming: Incoming, fits: Fits): string | undefined {
  const found = secrets.find(({ value }) => {
    const bare = value.trim();
    return bare !== value && bare !== '' && fits({ value: bare, expiresMs: null }, incoming);
  });
  return found && `would verify without the white space around ${lastOf({ ...found, value: found.value.trim() })}`;
}

const LF = Buffer.from('\n');
const CRLF = Buffer.from('\r\n');

function body(secrets: readonly Secret[], incoming: Incoming, fits: Fits): string | undefined {
  const whole = incoming.body;
  const variants: { readonly body: Buffer; readonly words: string }[] = [
    {
      body: Buffer.concat([whole, LF]),
      words: 'with a newline at the end of the body: something on the way cut it off',
    },
    { body: Buffer.concat([whole, CRLF]), words: 'with CRLF at the end of the body: something on the way cut it off' },
  ];
  const bare = 'without the trailing newline of the body: something on the way added it';
  if (whole.at(-1) === 10) variants.unshift({ body: whole.subarray(0, -1), words: bare });
  if (whole.at(-1) === 10 && whole.at(-2) === 13) variants.unshift({ body: whole.subarray(0, -2), words: bare });
  const found = variants.find((variant) => secrets.some((secret) => fits(secret, { ...incoming, body: variant.body })));
  return found && `would verify ${found.words}`;
}

/** Some who follow Standard Webhooks take the characters of the secret for the key. */
function asText(check: Check | Shared, secrets: readonly Secret[], incoming: Incoming, fits: Fits): string | undefined {
  if (check.scheme !== 'hmac' || check.keyEncoding === 'utf8') return undefined;
  const text = { ...check, keyEncoding: 'utf8', keyPrefix: '', keys: new WeakMap() } as const;
  const found = secrets.find((secret) => fits(secret, incoming, text));
  return (
    found && `would verify with ${lastOf(found)} taken as text: set verify.key_encoding to utf8 and key_prefix to ""`
  );
}

function url(check: Check | Shared, secrets: readonly Secret[], incoming: Incoming, fits: Fits): string | undefined {
  if (check.scheme === 'shared-secret' || !check.template.some(({ kind }) => kind === 'url')) return undefined;
  const found = urlVariants(incoming).find((variant) =>
    secrets.some((secret) => fits(secret, { ...incoming, publicUrl: variant.url })),
  );
  const blame = found?.ours ? 'PUBLIC_URL is wrong' : 'another URL was pasted at the provider';
  return found && `would verify ${found.words}: ${blame}`;
}

function another(others: readonly Other[], incoming: Incoming, fits: Fits): string | undefined {
  const found = others.find(({ secret }) => fits(secret, incoming));
  return found && `would verify with ${lastOf(found.secret)} of webhook ${found.wh_id}`;
}
