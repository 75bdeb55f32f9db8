// Reads from a request what its signature check needs: the signatures, the time, and the bytes that were signed.
import { createHash, timingSafeEqual } from 'node:crypto';
import { parse, stringify } from 'node:querystring';
import { crc32 } from 'node:zlib';
import { encodingOf } from './decode.ts';
import {
  familyOf,
  headerOf,
  type Incoming,
  isForm,
  isLarge,
  isUnread,
  MOST_PAIRS,
  pairsOf,
  plainBody,
  queryParameter,
  readBytes,
  reader,
  type Source,
  utf8,
} from './request.ts';
import type { SignatureCheck } from './rules.ts';

/** With the scheme hash the key is signed as well, where `secret` stands. */
export type Piece = Buffer | 'secret';

export interface Message {
  readonly signatures: readonly string[];
  /** What may have been signed: more than one where a provider writes its URL in several ways. */
  readonly forms: readonly (readonly Piece[])[];
  /** The time in the message; undefined: there is none, or none is checked. */
  readonly timeMs: number | undefined;
  readonly algorithm: string;
  /** The URL of the certificate. */
  readonly certificate: string | undefined;
  /** What stands where the secret itself has to stand. */
  readonly carried: Buffer | undefined;
}
/** Why there is nothing to check. */
export interface Fault {
  readonly fault: string;
  /** The signature itself is not there. */
  readonly missing?: boolean;
}

// A header of 64 KiB must not buy thousands of comparisons.
const MOST_SIGNATURES = 20;
/** As `field`: the signature may stand in a field of any name. */
const ANY = '*';

/** Everything that a check needs but the key; or what is missing. */
export function readMessage(check: SignatureCheck, incoming: Incoming): Message | Fault {
  // Where each may sign, its name tells nothing of the other headers.
  const family = check.everyHeader ? undefined : familyOf(check.signature, incoming);
  const request: Request = { incoming, family, read: reader(check.places, incoming, family) };
  const text = request.read(check.signature);
  if (text === undefined) return { ...absent(check.signature, request), missing: true };
  const fields = textsOf(check, request, text).flatMap((one) => readFields(check, one));
  const signatures =
    check.field === '' || check.field === ANY ? fields.map(([, value]) => value) : valuesOf(fields, check.field);
  if (signatures.length === 0)
    return { fault: `The ${nameOf(check.signature, family)} has no ${check.field}${check.fieldSeparator}… in it.` };
  const named = readCertified(check, request);
  if ('fault' in named) return named;
  const time = readTime(check, request, fields);
  if (typeof time === 'object' && 'fault' in time) return time;
  const forms = signedForms(check, request, time?.text);
  if ('fault' in forms) return forms;
  return { signatures: signatures.slice(0, MOST_SIGNATURES), forms, timeMs: time?.ms, ...named };
}

/** What a signature by certificate needs besides. A URL that is not one of the provider's is a fault here, and goes no further. */
function readCertified(
  { algorithm, certificate, carried }: SignatureCheck,
  request: Request,
): Pick<Message, 'algorithm' | 'certificate' | 'carried'> | Fault {
  if (!certificate) return { algorithm, certificate: undefined, carried: undefined };
  const url = request.read(certificate.from);
  if (url === undefined) return absent(certificate.from, request);
  if (!certificate.url.test(url))
    return { fault: `The ${certificate.from.title} is no URL of a certificate of this provider: it was not fetched.` };
  const { from, by } = certificate.algorithms ?? {};
  const version = from && (request.read(from) ?? '');
  const chosen = version === undefined ? algorithm : Object.hasOwn(by ?? {}, version) ? by?.[version] : undefined;
  if (from && chosen === undefined)
    return { fault: `The ${from.title} must be ${Object.keys(by ?? {}).join(' or ')}.` };
  const stands = carried && readBytes(carried, request.incoming, request.read);
  if (carried && !stands) return absent(carried, request);
  return { algorithm: chosen ?? algorithm, certificate: url, carried: stands };
}

/** The texts in which signatures stand: of several headers those that the rules ask for. */
function textsOf({ signature, everyHeader }: SignatureCheck, { incoming }: Request, text: string): readonly string[] {
  if (!everyHeader || signature.kind !== 'header') return [text];
  return signature.names.flatMap((name) => headerOf(incoming, name) || []).slice(0, MOST_SIGNATURES);
}

/** A request while it is read: its body is searched once for all that is signed. */
interface Request {
  readonly incoming: Incoming;
  readonly family: number | undefined;
  readonly read: (source: Source) => string | undefined;
}

function absent(source: Source, { incoming, family }: Request, more = ''): Fault {
  const name = nameOf(source, family);
  if (isUnread(source, incoming)) return { fault: `The ${name} is not read: ${LARGE}.` };
  return { fault: `The ${name} is missing${more}.` };
}
export const LARGE = 'the body is larger than 1 MiB, and only its whole bytes can be verified';

const nameOf = (source: Source, family: number | undefined): string =>
  source.kind === 'header' && source.names.length > 1 && (family ?? 0) > 0
    ? `${source.names[family ?? 0]} header`
    : source.title;

function readFields(check: SignatureCheck, text: string): readonly (readonly [string, string])[] {
  const items = check.itemSeparator === '' ? [text] : text.split(check.itemSeparator, 1000);
  return items.map((item) => {
    const trimmed = item.trim();
    const cut = check.fieldSeparator === '' ? -1 : trimmed.indexOf(check.fieldSeparator);
    return cut < 0 ? ['', trimmed] : [trimmed.slice(0, cut), trimmed.slice(cut + check.fieldSeparator.length)];
  });
}
function valuesOf(fields: readonly (readonly [string, string])[], wanted: string): readonly string[] {
  const values: string[] = [];
  for (const [name, value] of fields) if (name === wanted) values.push(value);
  return values;
}

/** The time as a text, which is signed, and as a moment. */
function readTime(
  { timestamp, toleranceMs, signature }: SignatureCheck,
  { family, read }: Request,
  fields: readonly (readonly [string, string])[],
): { readonly text: string; readonly ms: number | undefined } | Fault | undefined {
  if (!timestamp) return undefined;
  const { from, unit, format } = timestamp;
  const text = typeof from === 'string' ? valuesOf(fields, from)[0] : read(from);
  const place = typeof from === 'string' ? `${from} of the ${nameOf(signature, family)}` : nameOf(from, family);
  if (text === undefined) return toleranceMs > 0 ? { fault: `The time is missing: there is no ${place}.` } : undefined;
  if (toleranceMs === 0) return { text, ms: undefined };
  const ms = parseTime(text, unit, format);
  return ms === undefined ? { fault: `The time in the ${place} is no ${format} time.` } : { text, ms };
}

const ISO8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;
const HTTP_DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

function parseTime(text: string, unit: 's' | 'ms', format: 'unix' | 'iso8601' | 'http-date'): number | undefined {
  if (format === 'unix') return /^\d{1,15}$/.test(text) ? Number(text) * (unit === 's' ? 1000 : 1) : undefined;
  const ms = (format === 'iso8601' ? ISO8601 : HTTP_DATE).test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** A moment as these rules read it. */
export function writeTime({ unit, format }: NonNullable<SignatureCheck['timestamp']>, ms: number): string {
  if (format === 'unix') return String(unit === 's' ? Math.floor(ms / 1000) : ms);
  return format === 'iso8601' ? new Date(ms).toISOString() : new Date(ms).toUTCString();
}

/** By how many seconds the time lies outside the window; 0: within. A time in whole seconds is compared in whole seconds. */
export function secondsOutside(
  { toleranceMs, timestamp }: SignatureCheck,
  timeMs: number | undefined,
  nowMs: number,
): number {
  if (timeMs === undefined) return 0;
  const whole = timestamp?.unit === 's' && timestamp.format === 'unix';
  const now = whole ? Math.floor(nowMs / 1000) * 1000 : nowMs;
  return Math.max(0, Math.ceil((Math.abs(now - timeMs) - toleranceMs) / 1000));
}

function signedForms(
  check: SignatureCheck,
  request: Request,
  time: string | undefined,
): readonly (readonly Piece[])[] | Fault {
  const { publicUrl } = request.incoming;
  const urls = check.template.some(({ kind }) => kind === 'url') ? urlForms(check, publicUrl) : [''];
  const pieces: (Piece | 'url')[] = [];
  for (const part of check.template) {
    const piece = partOf(part, check, request, time);
    if (typeof piece === 'object' && 'fault' in piece) return piece;
    pieces.push(piece);
  }
  return urls.map((url) => pieces.map((piece) => (piece === 'url' ? bytes(url) : piece)));
}

/** Texts from node:http have one character per byte. */
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function partOf(
  part: SignatureCheck['template'][number],
  check: SignatureCheck,
  request: Request,
  time: string | undefined,
): Piece | 'url' | Fault {
  const { incoming, read } = request;
  switch (part.kind) {
    case 'text':
      return part.bytes;
    case 'body':
    case 'crc32': {
      const body = signedBody(check, incoming);
      return part.kind === 'body' || 'fault' in body ? body : bytes(String(crc32(body)));
    }
    case 'url':
    case 'secret':
      return part.kind;
    case 'method':
      return bytes(incoming.method);
    case 'timestamp':
      return time === undefined ? { fault: 'The time that is signed is missing.' } : timeBytes(check, time, request);
    case 'params': {
      const params = signedParams(incoming);
      return 'fault' in params ? params : bytes(params.text);
    }
    case 'id':
    case 'read': {
      const source = 'source' in part ? part.source : (check.id as Source);
      const found = readBytes(source, incoming, read);
      if (found !== undefined) return part.kind === 'read' ? framed(part, found) : found;
      const fallback = part.kind === 'read' ? part.fallback : undefined;
      return fallback && !isUnread(source, incoming) ? fallback : absent(source, request, ', and it is signed');
    }
  }
}

/** The value with the text around it that stands only where the value does. */
function framed(
  { before, after, lower }: Extract<SignatureCheck['template'][number], { kind: 'read' }>,
  value: Buffer,
) {
  if (!lower && before.length + after.length === 0) return value;
  return Buffer.concat([before, lower ? Buffer.from(value.toString().toLowerCase()) : value, after]);
}

/** The body as it came, or without its encoding. */
export function signedBody({ decoded }: Pick<SignatureCheck, 'decoded'>, incoming: Incoming): Buffer | Fault {
  if (!decoded || encodingOf(incoming) === undefined) return incoming.body;
  return (
    incoming.decoded ?? {
      fault: 'The body cannot be decoded by its Content-Encoding, or only to more than is allowed.',
    }
  );
}

function timeBytes({ timestamp }: SignatureCheck, time: string, { incoming, read }: Request): Buffer {
  const from = timestamp?.from;
  return (typeof from === 'object' && readBytes(from, incoming, read)) || bytes(time);
}

// The parameters that Twilio signs: name and value of each, sorted by name, nothing in between.

/** The bytes, one character each; or why this body is not covered by the signature. */
function signedParams(incoming: Incoming): { readonly text: string } | { readonly fault: string } {
  const { body } = incoming;
  // A body that is no form is covered by its hash in the URL, and the URL is signed.
  const hash = queryParameter(incoming, 'bodySHA256');
  if (hash !== undefined) {
    const actual = Buffer.from(createHash('sha256').update(body).digest('hex'));
    const given = Buffer.from(hash.toLowerCase());
    const same = given.length === actual.length && timingSafeEqual(given, actual);
    return same ? { text: '' } : { fault: 'The body does not match bodySHA256 in the URL.' };
  }
  if (plainBody(incoming).length === 0) return { text: '' };
  if (isLarge(incoming)) return { fault: `Its parameters are signed, and they are not read: ${LARGE}.` };
  // Otherwise a sender could use a signature that it has seen for any body.
  if (!isForm(incoming)) return { fault: 'The body is no form and the URL has no bodySHA256: nothing signs it.' };
  const values = new Map<string, Set<string>>();
  const pairs = pairsOf(plainBody(incoming));
  if (pairs.length === MOST_PAIRS) return { fault: `The form has ${MOST_PAIRS} parameters or more.` };
  for (const [name, value] of pairs) {
    const known = values.get(name);
    if (known) known.add(value);
    else values.set(name, new Set([value]));
  }
  const pieces: string[] = [];
  for (const name of sorted(values.keys()))
    for (const value of sorted(values.get(name) ?? [])) pieces.push(name, value);
  return { text: pieces.join('') };
}

/** By UTF-16 units of the text, as the official libraries sort; what is hashed are the bytes. */
function sorted(bytes: Iterable<string>): readonly string[] {
  const list = [...bytes].map((byte) => ({ byte, text: utf8(byte) }));
  return list.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0)).map(({ byte }) => byte);
}

// How providers write the URL that they sign: HubSpot decodes twelve escapes, Twilio signs it with or without a port.

const HUBSPOT = /%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi;
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/)((?:[^/?#]*@)?)([^/?#]*?)((?::[0-9]*)?)((?:[/?#].*)?)$/is;

function urlForms({ url }: SignatureCheck, publicUrl: string): readonly string[] {
  if (url === 'twilio') return twilioUrls(publicUrl);
  // HubSpot's documentation decodes some escapes, the samples of its libraries none.
  return url === 'hubspot' ? [...new Set([hubspotUrl(publicUrl), publicUrl])] : [publicUrl];
}

/** By HubSpot's documentation only these characters are decoded; all others stay as they were sent. */
const hubspotUrl = (url: string): string =>
  url.replace(HUBSPOT, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** The URL as received, then as WHATWG writes it, then with its query written anew: each without and with a port. */
function twilioUrls(url: string): readonly string[] {
  const forms = new Set(withAndWithoutPort(url));
  const normal = URL.canParse(url) ? new URL(url).href : url;
  for (const form of withAndWithoutPort(normal)) forms.add(form);
  for (const form of withAndWithoutPort(normal)) forms.add(withOldQuery(form));
  return [...forms];
}

function withAndWithoutPort(url: string): readonly string[] {
  const [, scheme = '', user = '', host = '', port = '', rest = ''] = PARTS.exec(url) ?? [];
  if (scheme === '') return [url];
  const usual = scheme.toLowerCase() === 'https://' ? ':443' : ':80';
  return [scheme + user + host + rest, scheme + user + host + (port || usual) + rest];
}

/** Some of Twilio's back ends escape a query the way Node's old querystring module does. */
function withOldQuery(url: string): string {
  const start = url.indexOf('?');
  if (start < 0 || start === url.length - 1) return url;
  return `${url.slice(0, start)}?${stringify(parse(url.slice(start + 1)))}`;
}
