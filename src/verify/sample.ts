// Makes a request as a provider would send it, signed by the rules of a webhook: what the check reads is written here.
import { constants, createHash, createHmac, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { signatureOf } from './digest.ts';
import { type Identity, identify, normalEventId } from './identify.ts';
import type { Pointer } from './json.ts';
import { verdictOn } from './judge.ts';
import { type Piece, readMessage, writeTime } from './message.ts';
import type { SampleBody } from './presets/preset.ts';
import { type Incoming, placesOf, reader, type Secret, type Source } from './request.ts';
import { certificateOf, type Rules, readJwtKeys, type Shared, type SignatureCheck, type TokenCheck } from './rules.ts';
import { atOnce } from './slices.ts';

export interface SampleInput {
  readonly rules: Rules;
  /** What the provider signs with, or sends. With a public key it is `key` that signs. */
  readonly secret?: string | undefined;
  /** The private key, where the secret of the webhook is the public one. */
  readonly key?: KeyObject | undefined;
  /** The absolute URL of the webhook, as the provider has it. */
  readonly url: string;
  readonly type?: string | undefined;
  readonly id?: string | undefined;
  /** Sent as it is, but for what the rules look for in it: the id, the time. */
  readonly body?: Buffer | undefined;
  readonly nowMs: number;
  /** Some random letters and digits, at least 12, of which what is different each time is made. */
  readonly nonce: string;
  /** To be shown and not sent: SECRET, TOKEN or SIGNATURE stands where the proof would. Nothing is needed to sign with. */
  readonly blank?: boolean | undefined;
}
export interface SignedSample extends Identity {
  readonly method: string;
  /** With the query that the rules ask for. */
  readonly url: string;
  /** As node:http has them: name, value, name, value. With Host, which some sign, and without the length of the body. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Why no sample can be made, in a sentence that says what to do. */
export class SampleFault extends Error {}

type Place = Exclude<Source, { kind: 'either' }>;
type Kind = 'json' | 'form' | 'multipart' | 'text';

/** Throws a SampleFault; what it returns is accepted by these rules, and has the id and the type that were asked for. */
export function makeSample(input: SampleInput): SignedSample {
  const { rules } = input;
  const { ids, types, check } = rules;
  if (isCertified(rules) && !input.blank) throw new SampleFault(PROVIDER_SIGNS);
  if (check && !input.blank && input.secret === undefined && input.key === undefined)
    throw new SampleFault(needsKey(rules) ? PRIVATE : 'The secret is missing: nothing can be signed without it.');
  let why: SampleFault | undefined;
  for (const kind of kindsOf(input))
    for (const type of alternatives(types))
      for (const id of alternatives(ids))
        try {
          const draft = startDraft(input, kind);
          fillEvent(draft, input, type, id);
          const found = identify(rules, draft.incoming());
          if (input.type !== undefined && found.event_type !== normalEventId(input.type)) continue;
          if (input.id !== undefined && found.event_id !== normalEventId(input.id)) continue;
          return prove(draft, input);
        } catch (error) {
          if (!(error instanceof SampleFault)) throw error;
          why ??= error;
        }
  throw misplaced(input) ?? why ?? new SampleFault('These rules read no such id or type from one request.');
}

const PRIVATE =
  'The secret of this webhook is a public key: the private key that belongs to it is needed to sign, and only the provider has it.';

export const PROVIDER_SIGNS = 'Only the provider can sign this: its certificate does. Let it send a test event.';

/** Whether the provider alone can sign: it names its certificate in the request. */
export const isCertified = (rules: Rules): boolean => certificateOf(rules) !== undefined;

/** Whether what signs is not the secret itself: the secret is a public key. */
export function needsKey({ check }: Rules): boolean {
  return check?.scheme === 'asymmetric' || (check?.scheme === 'jwt' && !check.algorithm.startsWith('hs'));
}

/** The secret to sign with: one that does not expire, or else the last that has not. */
export function signingSecret(secrets: readonly Secret[], nowMs: number): string | undefined {
  const now = secrets.filter(({ expiresMs }) => expiresMs === null || expiresMs > nowMs);
  return (now.find(({ expiresMs }) => expiresMs === null) ?? now.at(-1))?.value;
}

/** One try without any where the rules have none. */
const alternatives = (list: Rules['ids']): readonly (readonly Source[])[] => (list.length > 0 ? list : [[]]);

function kindsOf({ rules, body }: SampleInput): readonly Kind[] {
  if (body) return jsonOf(body) === undefined ? ['form', 'text'] : ['json'];
  const known = rules.preset?.sample;
  if (known?.form) return [known.multipart ? 'multipart' : 'form'];
  if (known?.body !== undefined) return [typeof known.body === 'string' ? 'text' : 'json'];
  const { check } = rules;
  const params = check && 'template' in check && check.template.some(({ kind }) => kind === 'params');
  return params ? ['form'] : ['json', 'form'];
}

/** The object or the list that this is; undefined: it is none. */
function jsonOf(body: Buffer | string): SampleBody | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? (value as SampleBody) : undefined;
  } catch {
    return undefined;
  }
}

/** What the type or the id that was asked for is like, where no place could take it. */
function misplaced({ rules, type, id }: SampleInput): SampleFault | undefined {
  const name = rules.preset?.title ?? 'this webhook';
  const like = rules.preset?.sample?.type;
  const example = like === undefined ? '' : `, such as ${like}`;
  if (type !== undefined && rules.types.length === 0)
    return new SampleFault(`The rule of ${name} reads no event type: leave the type out.`);
  if (id !== undefined && !rules.ids.some((parts) => parts.every(({ kind }) => kind !== 'sha256')))
    return new SampleFault(`The rule of ${name} reads no event id: leave the id out.`);
  const partsOf = (list: Rules['ids']) =>
    list.map((parts) => parts.map(({ title }) => title).join(' / ')).join('; or ');
  if (type !== undefined && !rules.types.some((parts) => split(type, parts.length)))
    return new SampleFault(`A type of ${name} has more than one part, joined by /${example}: ${partsOf(rules.types)}.`);
  if (id !== undefined && !rules.ids.some((parts) => split(id, parts.length)))
    return new SampleFault(`An id of ${name} has more than one part, joined by /: ${partsOf(rules.ids)}.`);
  return undefined;
}

// Drafts: a request that is written place by place -------------------------------------------------------------------

type Draft = ReturnType<typeof startDraft>;

function startDraft({ rules, url, body, nowMs, nonce }: SampleInput, kind: Kind) {
  const known = rules.preset?.sample;
  const method = known?.method ?? 'POST';
  const headers = new Map<string, readonly [name: string, value: string]>();
  const query = new Map<string, string>();
  const form = new Map<string, string>(
    kind === 'json' || kind === 'text'
      ? []
      : body
        ? new URLSearchParams(body.toString())
        : [...Object.entries(known?.form ?? {}), ['restante_sample', nonce]],
  );
  const text = typeof known?.body === 'string' ? known.body.replaceAll('{nonce}', nonce) : nonce;
  let json: unknown = body ? jsonOf(body) : typeof known?.body === 'object' ? known.body : undefined;
  // Until something is written into it, a body that was given stays as it is, byte by byte.
  let raw = body;
  const boundary = `restante-${nonce}`;

  const header = (name: string, value: string): void => {
    if (!HEADER.test(value)) throw new SampleFault(`The ${name} header cannot carry this text.`);
    headers.set(name.toLowerCase(), [name, value]);
  };
  header('Host', new URL(url).host);
  header('Content-Type', kind === 'multipart' ? TYPES[kind] + boundary : TYPES[kind]);
  header('User-Agent', 'restante-sample');
  for (const [name, value] of Object.entries(known?.headers ?? {})) header(name, value.replaceAll('{nonce}', nonce));

  function putBody(names: readonly string[], value: string): void {
    if (kind !== 'json') throw new SampleFault('The body is no JSON.');
    json = setAt(json, names, value);
    raw = undefined;
  }
  const takes = ({ kind: place }: Place): boolean =>
    place === 'header' ||
    place === 'query' ||
    (place === 'body' ? kind === 'json' : place === 'form' && 'form multipart'.includes(kind));

  function put(source: Source, value: string): void {
    const place = source.kind === 'either' ? source.places.find(takes) : source;
    if (!place || !takes(place)) throw new SampleFault(`There is no place for ${source.title} in this body.`);
    if (place.kind === 'header') header(place.written[0] ?? '', value);
    else if (place.kind === 'body') putBody(stepsOf(place.pointer), value);
    else if (place.kind !== 'sha256') putField(place, value);
  }

  function putField(place: Extract<Place, { kind: 'form' | 'query' }>, value: string): void {
    const fields = place.kind === 'form' ? form : query;
    if (place.kind === 'form') raw = undefined;
    const { name, pointer } = place;
    fields.set(name, pointer ? JSON.stringify(setAt(jsonOf(fields.get(name) ?? ''), stepsOf(pointer), value)) : value);
  }

  function bytes(): Buffer {
    if (raw) return raw;
    if (kind === 'text') return Buffer.from(text);
    if (kind === 'form') return Buffer.from(new URLSearchParams([...form]).toString());
    if (kind === 'json') return Buffer.from(JSON.stringify(body ? json : marked(json, nonce)));
    const parts = [...form].map(
      ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
    );
    return Buffer.from(`${parts.join('')}--${boundary}--\r\n`);
  }

  return {
    header,
    put,
    putBody,
    incoming(): Incoming {
      const pairs = [...query].map((pair) => pair.map((one) => encodeURIComponent(one.toWellFormed())).join('='));
      const publicUrl = pairs.length === 0 ? url : `${url}${url.includes('?') ? '&' : '?'}${pairs.join('&')}`;
      return { method, publicUrl, headers: [...headers.values()].flat(), body: bytes(), receivedMs: nowMs };
    },
  };
}

const TYPES = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
  multipart: 'multipart/form-data; boundary=',
  text: 'text/plain; charset=utf-8',
} as const;
// One character per byte, and no space at an end: node:http would refuse the others or cut them.
const HEADER = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
const stepsOf = ({ segments }: Pointer): readonly string[] => segments.map(({ name }) => name);
const quoted = (name: string): string => name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

/** JSON with this text at the end of a path. A number stays one. */
function setAt(node: unknown, [name, ...rest]: readonly string[], value: string): unknown {
  if (name === undefined) return typeof node === 'number' && /^(0|[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
  if (name === '*' || (name === '0' && (node === undefined || Array.isArray(node)))) {
    if (node !== undefined && !Array.isArray(node))
      throw new SampleFault('The body has an object where a list is needed.');
    const [first, ...others] = (node as readonly unknown[] | undefined) ?? [];
    return [setAt(first, rest, value), ...others];
  }
  if (Array.isArray(node)) throw new SampleFault('The body has a list where an object is needed.');
  const members = typeof node === 'object' && node !== null ? (node as Readonly<Record<string, unknown>>) : {};
  return { ...members, [name]: setAt(Object.hasOwn(members, name) ? members[name] : undefined, rest, value) };
}

/** Bytes are the same event where a provider sends no id: each sample has other bytes, and says what it is. */
function marked(json: unknown, nonce: string): unknown {
  if (Array.isArray(json)) {
    const [first, ...others] = json;
    return typeof first === 'object' && first !== null ? [marked(first, nonce), ...others] : json;
  }
  return { ...(json as object | undefined), restante_sample: nonce };
}

// What is written: the event, what the check wants to read, and last the proof ----------------------------------------

/** A text in as many parts as are joined by `/`; undefined: it has fewer. */
function split(text: string, parts: number): readonly string[] | undefined {
  const all = text.split('/');
  if (all.length < parts) return undefined;
  const cut = all.length - parts + 1;
  const texts = [all.slice(0, cut).join('/'), ...all.slice(cut)];
  return texts.every((one) => one !== '') ? texts : undefined;
}

function fillEvent(draft: Draft, input: SampleInput, type: readonly Source[], id: readonly Source[]): void {
  const { rules, nonce } = input;
  const known = rules.preset?.sample?.type;
  const usual = [known, 'test.event', 'test/event'].find((text) => text !== undefined && split(text, type.length));
  const texts = split(input.type ?? usual ?? '', Math.max(type.length, 1));
  if (!texts) throw new SampleFault('The type has fewer parts.');
  // A body that was given has what its owner wants.
  const left = (source: Source): boolean => input.body !== undefined && inBody(source);
  const written = new Set<string>();
  for (const [i, source] of type.entries()) {
    if (input.type === undefined && left(source)) continue;
    draft.put(source, texts[i] ?? '');
    written.add(source.title);
  }
  const ids = input.id === undefined ? undefined : split(input.id, Math.max(id.length, 1));
  if (input.id !== undefined && (!ids || id.some(({ kind }) => kind === 'sha256')))
    throw new SampleFault('The id has fewer parts.');
  for (const [i, source] of id.entries()) {
    if (source.kind === 'sha256' || (!ids && (written.has(source.title) || left(source)))) continue;
    draft.put(source, ids?.[i] ?? `${idAt(draft, source, nonce)}`);
  }
}

const inBody = (source: Source): boolean =>
  (source.kind === 'either' ? source.places : [source]).some(({ kind }) => kind === 'body' || kind === 'form');
const read = (draft: Draft, source: Source): string | undefined =>
  reader(placesOf([source]), draft.incoming(), undefined)(source);

/** Where the sample of a provider has digits, an id of digits. */
const idAt = (draft: Draft, source: Source, nonce: string): string =>
  /^\d+$/.test(read(draft, source) ?? '') ? digitsOf(nonce) : `sample_${nonce.slice(0, 16)}`;
const digitsOf = (nonce: string): string =>
  String(1_000_000_000 + (createHash('sha256').update(nonce).digest().readUInt32BE() % 1_000_000_000));

/** The draft with its proof, which is checked as a stranger's would be. */
function prove(draft: Draft, input: SampleInput): SignedSample {
  const { rules, nowMs } = input;
  const { check } = rules;
  if (check?.scheme === 'shared-secret') writeShared(draft, check, input);
  else if (check?.scheme === 'jwt') writeToken(draft, check, input);
  else if (check) writeSignature(draft, check, input);
  const incoming = draft.incoming();
  const { method, publicUrl: url, headers, body } = incoming;
  const sample = { method, url, headers, body, ...identify(rules, incoming) };
  if (input.blank) return sample;
  const verdict = atOnce(verdictOn(rules, [secretOf(input)], { ...incoming, receivedMs: nowMs }));
  if (verdict.kind !== 'accepted')
    throw new SampleFault(
      verdict.kind === 'handshake'
        ? 'This would be the handshake of the provider, and no event: choose another type.'
        : `It cannot be signed by these rules. ${verdict.reason}`,
    );
  return sample;
}

/** As it is stored with the webhook. */
function secretOf({ secret, key }: SampleInput): Secret {
  const value = key ? createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString() : (secret ?? '');
  return { value, expiresMs: null };
}

function writeShared(draft: Draft, { from }: Shared, { blank, ...given }: SampleInput): void {
  const secret = blank ? 'SECRET' : (given.secret ?? '');
  // Headers have one character per byte.
  if (from === 'bearer') draft.header('Authorization', `Bearer ${latin1(secret)}`);
  else if (from === 'basic')
    draft.header(
      'Authorization',
      `Basic ${blank ? 'BASE64-OF-USER:PASSWORD' : Buffer.from(secret).toString('base64')}`,
    );
  else if (from.kind === 'each') draft.putBody(from.steps, secret);
  else draft.put(from, from.kind === 'header' ? latin1(secret) : secret);
}
const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

function writeSignature(draft: Draft, check: SignatureCheck, input: SampleInput): void {
  const { signature, timestamp, template, id, field, fieldSeparator, itemSeparator } = check;
  const wanted = template.flatMap((part) => (part.kind === 'read' && !part.fallback ? [part.source] : []));
  for (const source of id ? [id, ...wanted] : wanted)
    if (read(draft, source) === undefined) draft.put(source, `sample_${input.nonce}`);
  const time = timestamp && writeTime(timestamp, input.nowMs);
  if (timestamp && typeof timestamp.from === 'object') draft.put(timestamp.from, time ?? '');
  const write = (text: string): void => {
    const fields = [
      ...(typeof timestamp?.from === 'string' ? [`${timestamp.from}${fieldSeparator}${time}`] : []),
      `${field}${fieldSeparator}${text}`,
    ];
    draft.put(signature, fields.join(itemSeparator));
  };
  if (input.blank) {
    write('SIGNATURE');
    return;
  }
  // What is signed is read as the check reads it, so there is one place that knows how; any text stands for the signature.
  write('0');
  const message = readMessage(check, draft.incoming());
  if ('fault' in message) throw new SampleFault(message.fault);
  const [form = []] = message.forms;
  const text =
    check.scheme === 'asymmetric' ? signedBy(check, input.key, form) : signatureOf(check, secretOf(input), form);
  if (text === undefined) throw new SampleFault('The secret is no key for these rules.');
  write(text);
}

function signedBy({ algorithm, encoding }: SignatureCheck, key: KeyObject | undefined, form: readonly Piece[]): string {
  if (!key) throw new SampleFault(PRIVATE);
  const hash = algorithm === 'ed25519' ? null : algorithm === 'rsa-sha1' ? 'sha1' : 'sha256';
  const bytes = Buffer.concat(form.filter((piece) => piece !== 'secret'));
  return sign(hash, bytes, key).toString(encoding);
}

const TOKEN_SECONDS = 300;

function writeToken(draft: Draft, check: TokenCheck, input: SampleInput): void {
  const { algorithm, issuer, audience, bodyClaim, timeClaim, from } = check;
  const bearer = from.kind === 'header' && from.names[0] === 'authorization';
  if (input.blank) {
    draft.put(from, bearer ? 'Bearer TOKEN' : 'TOKEN');
    return;
  }
  const now = Math.floor(input.nowMs / 1000);
  const hash = createHash('sha256').update(draft.incoming().body).digest('hex');
  const claims = {
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience }),
    iat: now,
    exp: now + TOKEN_SECONDS,
    jti: input.nonce,
    ...Object.fromEntries(check.claims),
    ...(timeClaim === undefined ? {} : { [timeClaim]: now }),
    ...(bodyClaim === undefined ? {} : { [bodyClaim]: hash }),
  };
  const keys = input.key ? [{ key: input.key, kid: undefined }] : readJwtKeys(check, input.secret ?? '');
  if (typeof keys === 'string') throw new SampleFault(`The secret ${keys}.`);
  const [{ key, kid } = { key: undefined, kid: undefined }] = keys;
  if (!key || key.type === 'public') throw new SampleFault(PRIVATE);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: algorithm.toUpperCase(), typ: 'JWT', ...(kid === undefined ? {} : { kid }) })}.${part(claims)}`;
  const token = `${signed}.${tokenSignature(algorithm, key, Buffer.from(signed)).toString('base64url')}`;
  draft.put(from, bearer ? `Bearer ${token}` : token);
}

function tokenSignature(algorithm: TokenCheck['algorithm'], key: KeyObject, signed: Buffer): Buffer {
  if (algorithm.startsWith('hs'))
    return createHmac(`sha${algorithm.slice(2)}`, key)
      .update(signed)
      .digest();
  if (algorithm === 'es256') return sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' });
  const { RSA_PKCS1_PSS_PADDING: pss, RSA_PKCS1_PADDING: pkcs1, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return sign('sha256', signed, { key, padding: algorithm === 'ps256' ? pss : pkcs1, saltLength });
}
