// Climbs to the requests that cost the main thread most: for every route, every preset and every kind of rule, by a seed.
import { generateKeyPairSync } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { PRESETS } from '../../src/verify/presets/index.ts';
import type { Preset } from '../../src/verify/presets/preset.ts';
import type { Cost, Metered } from '../support/metered.ts';
import { LONGEST_TURN_MS } from '../support/stalls.ts';
import { bodySchemaOf, readDocument, type Schema, type Target, targetsOf } from './calls.ts';

const MiB = 1024 * 1024;
/** No single request may allocate more, beside its answer. */
export const MOST_ALLOCATED = 64 * MiB;
// An answer is text before it is bytes, slice by slice, and was a row before that. A content of 10 MiB can be 60 MiB of JSON: how much
// of such answers is held at once is bounded by the room for answers.
const TIMES_ANSWERED = 3;

/** A tenant who has as much of everything as makes his requests costly. */
export interface Tenant {
  readonly auth: string;
  readonly contents: readonly number[];
  readonly refusals: readonly number[];
  readonly webhooks: readonly number[];
  readonly consumers: readonly string[];
}

interface Shot {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** What is searched: the choices that there are, and the request that they make. */
export interface Field {
  readonly name: string;
  /** How many choices each knob has. */
  readonly knobs: readonly number[];
  /** With the settings of a webhook that is made for the request, or a call that has to come first. */
  make(choices: readonly number[]): Shot & { readonly settings?: Record<string, unknown>; readonly first?: Shot };
}

/** One request and its cost. */
export interface Found {
  readonly field: string;
  readonly choices: readonly number[];
  readonly cost: Cost;
  readonly sent: number;
  readonly status: number;
  /** Its settings were accepted, and it was not refused for a mistake in it. */
  readonly made: boolean;
  readonly words: string;
}

// Shapes of bodies: what is slow to parse, to escape, to decode, to compare. Each is repeated up to a size.

const ITEMS = ['1,', '"a",', '{},', '[],', '{"value":"x"},', '{"clientState":"x"},', '"\\u0001",', '-1.5e9,'] as const;
const fill = (text: string, size: number) => text.repeat(Math.max(1, Math.floor(size / Buffer.byteLength(text))));
const BODIES: readonly ((size: number) => string | Buffer)[] = [
  ...ITEMS.map((item) => (size: number) => `[${fill(item, size)}1]`),
  ...ITEMS.map((item) => (size: number) => `{"value":[${fill(item, size)}1],"id":"x"}`),
  (size) => `{${fill('"name":1,', size)}"id":"x","z":1}`,
  (size) => `{${Array.from({ length: Math.max(1, size / 14) }, (_, i) => `"n${i}":{}`).join()}}`,
  (size) => `${'['.repeat(size / 2)}${']'.repeat(size / 2)}`,
  (size) => `${fill('{"a":', size / 2)}1${'}'.repeat(size / 12)}`,
  (size) => `{"id":"${fill('\\u00e9', size)}"}`,
  (size) => `{"id":"${fill('é', size)}"}`,
  (size) => fill('\x01', size),
  (size) => fill('"', size),
  (size) => fill('𐍈', size),
  (size) => fill('漢', size),
  (size) => Buffer.alloc(size, 0xff),
  (size) => Buffer.alloc(size, 0x80),
  (size) => `a=${fill('%41', size)}`,
  (size) => fill('a=%C3%A9&', size),
  (size) => Array.from({ length: Math.max(1, size / 12) }, (_, i) => `n${i}=${i}%41`).join('&'),
  (size) => fill('+', size),
  (size) => `--x\r\nContent-Disposition: form-data; name="id"\r\n\r\n${fill('x\r\n', size)}\r\n--x--`,
  (size) => fill('<a b="c"/>', size),
];
// The largest first: it is what the plain request has.
const SIZES = [10 * MiB - 200, 4 * MiB, MiB - 200, 300_000, 65_000, 30_000, 1_000, 10];
const TYPES = [
  'application/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'text/plain',
  'application/xml',
];
/** Headers besides: none, one of most bytes, most headers, and what a proxy or a browser would say. */
const HEADERS: readonly (() => string[])[] = [
  () => [],
  () => [`X-Long: ${'y'.repeat(60_000)}`],
  () => Array.from({ length: 1_900 }, (_, i) => `x${i}: ${'y'.repeat(20)}`),
  () => [`Cookie: ${fill('a=b; ', 50_000)}`],
  () => [`X-Forwarded-For: ${fill('10.0.0.1, ', 50_000)}1`],
  () => [`Accept: ${fill('a/b;q=0.1, ', 50_000)}*/*`],
  () => [`X-High: ${'\xe9'.repeat(60_000)}`],
  () => ['Accept-Encoding: gzip, br, deflate'],
];

// The API: each member of the query and of the body is left out, as it should be, or far too large.

const LONG = [
  '1',
  '9'.repeat(15),
  'x'.repeat(900),
  'é'.repeat(255),
  '%'.repeat(900),
  '[a]*'.repeat(200),
  "'".repeat(900),
];
const sampleOf = (schema: Schema): unknown => {
  const { examples = [], enum: some, anyOf, type } = schema;
  if (examples.length > 0) return examples[0];
  if (some) return some[0];
  if (anyOf?.[0]) return sampleOf(anyOf[0]);
  const [kind] = [type ?? 'string'].flat();
  if (kind === 'integer' || kind === 'number') return schema.minimum ?? 1;
  if (kind === 'boolean') return true;
  if (kind === 'array') return [sampleOf(schema.items ?? {})];
  if (kind === 'object')
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, sampleOf(one)]));
  return schema.format === 'date-time' ? '2026-01-01T00:00:00Z' : 'a';
};
/** A value for a member of a body: JSON text. */
const MEMBERS: readonly ((schema: Schema) => string)[] = [
  (schema) => JSON.stringify(sampleOf(schema)),
  (schema) => JSON.stringify(Array.from({ length: 500 }, () => sampleOf(schema.items ?? schema))),
  (schema) => String(schema.maximum ?? 500),
  () => `"${'x'.repeat(1_000)}"`,
  () => `"${'\\u0001'.repeat(1_000)}"`,
  ...ITEMS.flatMap((item) => [60_000, MiB - 2_000].map((size) => () => `[${fill(item, size)}1]`)),
  () => `{${Array.from({ length: 9_000 }, (_, i) => `"n${i}":1`).join()}}`,
  () => `"${'x'.repeat(MiB - 2_000)}"`,
  () => `${'['.repeat(9_000)}${']'.repeat(9_000)}`,
  () => 'null',
];

function ofRoute(target: Target, tenant: Tenant): Field {
  const { parameters = [], requestBody } = target.operation;
  const inQuery = parameters.filter((one) => one.in === 'query' && one.name !== 'wait');
  const members = Object.entries(bodySchemaOf(target)?.properties ?? {}).filter(([name]) => name !== 'wait');
  const { required = [] } = bodySchemaOf(target) ?? {};
  const bytes = requestBody !== undefined && members.length === 0;
  const choicesOf = (schema: Schema): string[] => [
    ...new Set([
      ...(schema.enum ?? []).map(String),
      ...(schema.maximum === undefined ? [] : [String(schema.maximum)]),
      '0',
      'latest',
      'all',
      'desc',
      String(sampleOf(schema)),
      ...LONG,
    ]),
  ];
  const ids: Record<string, readonly (string | number)[]> = {
    id: target.path.startsWith('/refusals') ? tenant.refusals : tenant.contents,
    wh_id: tenant.webhooks,
    name: [...tenant.consumers, 'x'.repeat(64)],
    key: ['none', 'x'.repeat(8_000)],
  };
  const names = [...target.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  // What is deleted is missing afterwards.
  const places = names.map((name) => (target.method === 'DELETE' ? (ids[name] ?? []).slice(-1) : (ids[name] ?? ['1'])));
  const knobs = [
    ...places.map((place) => Math.max(1, place.length)),
    ...inQuery.map(({ schema }) => choicesOf(schema).length + 1),
    ...members.map(() => MEMBERS.length + 1),
    ...(bytes ? [BODIES.length, SIZES.length] : []),
    HEADERS.length,
  ];
  return {
    name: `${target.method} ${target.path}`,
    knobs,
    make(choices) {
      let next = 0;
      const take = () => choices[next++] ?? 0;
      const inPath = places.map((place) => encodeURIComponent(String(place[take()] ?? 1)));
      let which = 0;
      const path = target.path.replace(/\{\w+\}/g, () => inPath[which++] ?? '');
      const query = inQuery.flatMap(({ name, schema }) => {
        const choice = take();
        return choice === 0 ? [] : [`${name}=${encodeURIComponent(choicesOf(schema)[choice - 1] ?? '')}`];
      });
      const given = members.flatMap(([name, schema]) => {
        const choice = take();
        const left = choice === 0 && !required.includes(name);
        return left ? [] : [`${JSON.stringify(name)}:${MEMBERS[Math.max(0, choice - 1)]?.(schema)}`];
      });
      const body = bytes
        ? Buffer.from((BODIES[take()] ?? String)(SIZES[take()] ?? 1))
        : Buffer.from(members.length > 0 ? `{${given.join()}}`.slice(0, 4 * MiB) : '');
      const auth = `Authorization: ${tenant.auth}`;
      // There is something to pull each time.
      const seek = {
        method: 'POST',
        path: path.replace(/pull$/, 'seek'),
        headers: [auth],
        body: Buffer.from('"earliest"'),
      };
      return {
        method: target.method,
        path: query.length > 0 ? `${path}?${query.join('&')}` : path,
        headers: [auth, ...(HEADERS[take()]?.() ?? [])],
        body,
        ...(path.endsWith('/pull') ? { first: seek } : {}),
      };
    },
  };
}

// The receiver: settings of a webhook, and what is sent to it.

// Of one key there are as many secrets as there are of twenty, and it takes no time to make.
const pem = (type: 'rsa' | 'ec' | 'ed25519'): string => {
  const { publicKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 4096 })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
        : generateKeyPairSync('ed25519');
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
};
const SIGNED = [
  '{body}',
  '{timestamp}.{body}',
  '{url}{body}',
  '{url}{params}{body}',
  `{body}${Array.from({ length: 60 }, (_, i) => `{json:/a${i}/b}`).join('')}`,
  `{body}${Array.from({ length: 60 }, () => '{header:x-long}').join('')}`,
  Array.from({ length: 60 }, () => '{body}').join(''),
  `{body}${'x'.repeat(1_000)}`,
  `{method}{id}{params}${Array.from({ length: 80 }, () => '{params}').join('')}{body}`,
];
const PLACES = [
  'header:X-S',
  'body:/id',
  'body:/value/0/clientState',
  'form:id',
  'query:s',
  `body:${'/a'.repeat(120)}`,
  'sha256',
];
const KEYS = { ed25519: pem('ed25519'), 'ecdsa-p256': pem('ec'), 'rsa-sha256': pem('rsa') } as const;
const RSA = KEYS['rsa-sha256'];
const KEYS_OF: Readonly<Record<string, string>> = {
  ...KEYS,
  ...{ es256: KEYS['ecdsa-p256'], rs256: RSA, ps256: RSA, 'rsa-sha1': RSA },
};
/** A secret that these rules take; undefined: any text is one. */
function keyFor({ verify, certificate }: Preset): string | undefined {
  // The text that ties what is signed to its owner.
  if (certificate) return undefined;
  if (verify.key_encoding === 'hex') return 'ab'.repeat(32);
  return KEYS_OF[verify.algorithm ?? ''];
}
const SCHEMES: readonly (readonly [string, Record<string, unknown>, string | undefined])[] = [
  ...(['sha256', 'sha1', 'sha512'] as const).flatMap((algorithm) => [
    [`hmac ${algorithm}`, { scheme: 'hmac', algorithm }, undefined] as const,
    [`hash ${algorithm}`, { scheme: 'hash', algorithm }, undefined] as const,
  ]),
  ...(['ed25519', 'ecdsa-p256', 'rsa-sha256'] as const).map(
    (algorithm) => [algorithm, { scheme: 'asymmetric', algorithm }, KEYS[algorithm]] as const,
  ),
  ['shared-secret', { scheme: 'shared-secret' }, undefined],
  ['none', { scheme: 'none' }, undefined],
];
const NAME_OF_SIGNATURE = 'X-S';
const SECRET = 's3cret-of-a-tenant-01';
/** Where presets look for signatures. */
const PRESET_HEADERS = (signature: string, name: string): string[] => {
  const { verify } = PRESETS.get(name) ?? {};
  const from = (verify as { signature?: { from?: string } } | undefined)?.signature?.from ?? '';
  const time = (verify as { timestamp?: { from?: string } } | undefined)?.timestamp?.from ?? '';
  const names = [from, time].flatMap((one) => (one.startsWith('header:') ? one.slice(7).split(',') : []));
  return names.map((one) => `${one}: ${signature}`);
};
const SIGNATURES: readonly (() => string)[] = [
  () => 'x',
  () => 'a'.repeat(64),
  () => `t=${Math.floor(Date.now() / 1000)},v1=${'a'.repeat(64)}`,
  () => Array.from({ length: 900 }, (_, i) => `v1=${String(i).padStart(64, 'a')}`).join(),
  () => Array.from({ length: 40 }, (_, i) => Buffer.alloc(512, i + 1).toString('base64')).join(),
  () => 'y'.repeat(50_000),
  () => String(Math.floor(Date.now() / 1000)),
];
const handshakes = (count: number) =>
  Array.from({ length: count }, () => ({
    when: Array.from({ length: 10 }, (_, i) => ({ from: i % 2 ? `body:/a${i}/b` : `form:a${i}`, absent: true })),
    challenge_from: 'body:/id',
    answer: { body: `{challenge}{hmac}${'x'.repeat(4_000)}` },
  }));

function ofRule(kind: string, verify: Record<string, unknown> | undefined, key: string | undefined): Field {
  const preset = verify === undefined ? kind : undefined;
  const secretsOf = (count: number) => Array.from({ length: count }, (_, i) => key ?? `${SECRET}-${i}`);
  return {
    name: preset ? `preset ${preset}` : `rule ${kind}`,
    knobs: [
      4,
      SIGNED.length,
      3,
      3,
      PLACES.length + 1,
      PLACES.length,
      3,
      BODIES.length,
      SIZES.length,
      TYPES.length,
      SIGNATURES.length,
      HEADERS.length,
      4,
    ],
    make([
      secrets = 0,
      signed = 0,
      url = 0,
      encoding = 0,
      dedupe = 0,
      type = 0,
      shakes = 0,
      body = 0,
      size = 0,
      kindOf = 0,
      signature = 0,
      headers = 0,
      again = 0,
    ]) {
      const sent = SIGNATURES[signature]?.() ?? 'x';
      const given = verify && {
        ...verify,
        ...(verify.scheme === 'shared-secret'
          ? { secret_from: PLACES[type % 6] }
          : verify.scheme === 'none'
            ? {}
            : {
                signature: {
                  from: `header:${NAME_OF_SIGNATURE}`,
                  item_separator: ',',
                  ...(signature === 2 || signature === 3 ? { field_separator: '=', field: 'v1' } : {}),
                },
                signed_string: `${SIGNED[signed]}${verify.scheme === 'hash' ? '{secret}' : ''}`,
                encoding: ['hex', 'base64', 'base64url'][encoding],
                url: ['as-is', 'hubspot', 'twilio'][url],
                ...(signed === 1 ? { timestamp: { from: 'header:X-T' } } : {}),
                ...(signed === 8 ? { id: 'body:/id' } : {}),
              }),
        ...(shakes > 0 ? { handshake: handshakes(shakes * 2) } : {}),
        event_type: PLACES[type % 6],
      };
      return {
        method: 'POST',
        path: again > 1 ? `?s=${'%41'.repeat(15_000)}` : '',
        headers: [
          `Content-Type: ${TYPES[kindOf]}`,
          `${NAME_OF_SIGNATURE}: ${sent}`,
          `X-T: ${Math.floor(Date.now() / 1000)}`,
          ...(preset ? PRESET_HEADERS(sent, preset) : []),
          // Both bounds of a head together would be over it.
          ...(sent.length > 20_000 || again > 1 ? [] : (HEADERS[headers]?.() ?? [])),
        ],
        body: Buffer.from((BODIES[body] ?? String)(SIZES[size] ?? 1)),
        settings: {
          wh_name: 'costly',
          ...(preset ? { preset } : { verify: given }),
          ...(verify?.scheme === 'none' ? {} : { secrets: secretsOf([1, 2, 10, 20][secrets] ?? 1) }),
          ...(dedupe > 0 ? { dedupe: { from: dedupe % 2 ? PLACES[dedupe - 1] : PLACES.slice(1, 6) } } : {}),
          ...(again % 2 ? { on_reject: 'drop' } : {}),
        },
      };
    },
  };
}

/** Everything that can be asked: the routes of the document, the presets, the kinds of rules. */
export async function fieldsOf(url: string, tenant: Tenant): Promise<Field[]> {
  const routes = targetsOf(await readDocument(url)).filter(({ path }) => !path.startsWith('/in/'));
  // What they take away is not there for the others.
  const last = (target: Target) => Number(target.method === 'DELETE');
  return [
    ...routes.sort((a, b) => last(a) - last(b)).map((target) => ofRoute(target, tenant)),
    ...[...PRESETS.values()]
      .filter(({ name }) => name !== 'generic')
      .map((preset) => ofRule(preset.name, undefined, keyFor(preset))),
    ...SCHEMES.map(([name, verify, key]) => ofRule(name, verify, key)),
  ];
}

// The climb.

/** The same numbers for the same seed, in 0 … 1. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Share of the knobs that stand at their first choice, in what is made anew.
const PLAIN = 0.4;
// A stream does not end: so much of it is looked at.
const STREAM_MS = 400;
const GIVEN_UP_MS = 20_000;

/** Sends what a field made; resolves when all of the answer is there. `status` is 0 when the connection ended first. */
function send(
  port: number,
  agent: Agent,
  { method, path, headers, body }: Shot,
): Promise<{ readonly status: number; readonly answered: number }> {
  return new Promise((resolve) => {
    const request = httpRequest({
      port,
      agent,
      method,
      path,
      host: '127.0.0.1',
      setHost: false,
      headers: [
        'Host',
        'hooks.example.org',
        ...headers.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        'Content-Length',
        String(body.length),
      ],
    });
    let answered = 0;
    request.on('response', (response) => {
      response.on('data', ({ length }: Buffer) => {
        answered += length;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, answered }));
      response.on('error', () => resolve({ status: 0, answered }));
      if (response.headers['content-type']?.includes('event-stream')) setTimeout(() => request.destroy(), STREAM_MS);
    });
    request.on('error', () => resolve({ status: 0, answered }));
    request.setTimeout(GIVEN_UP_MS, () => request.destroy());
    request.end(body);
  });
}

export interface CostSearch {
  /** Finds what a field costs at most, with so many requests, the same ones for the same seed. */
  climb(field: Field, tries: number, seed: number): Promise<Found[]>;
  /** What a request costs when nothing else goes on: the cheapest of three. */
  confirm(field: Field, choices: readonly number[]): Promise<Found>;
  /** Where its time goes. */
  explain(field: Field, choices: readonly number[]): Promise<string>;
  close(): void;
}

/** How bad it is: 1 is what is allowed. */
export const badness = ({ turnMs, allocated }: Cost): number =>
  Math.max(turnMs / LONGEST_TURN_MS, allocated / MOST_ALLOCATED);

const perByte = ({ cost, sent }: Found): number => (cost.cpuMs * 1000) / sent;

/** A line of a table. */
export const inWords = (found: Found): string => {
  const { field, cost, sent, status, words } = found;
  const figures = [
    `turn ${cost.turnMs.toFixed(0)} ms`,
    `in all ${cost.cpuMs.toFixed(0)} ms`,
    `${(cost.allocated / MiB).toFixed(1)} MiB`,
    `for ${sent} bytes`,
    `${perByte(found).toFixed(2)} µs and ${(cost.allocated / sent).toFixed(0)} bytes for each`,
  ];
  return `${field}: ${figures.join(', ')}; ${status} to ${words}`;
};

export function createSearch(program: Metered, tenant: Tenant): CostSearch {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const call = async (method: string, path: string, body?: object) => {
    const answer = await fetch(program.url + path, {
      method,
      headers: { authorization: tenant.auth, connection: 'close' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const { wh_id, wh_url } = (await answer.json().catch(() => ({}))) as { wh_id: number; wh_url: string };
    return { status: answer.status, wh_id, wh_url };
  };
  let sinceCollected = 0;

  async function measure(field: Field, choices: readonly number[], calm = false): Promise<Found> {
    const { settings, first, ...shot } = field.make(choices);
    if (first) await send(program.port, agent, first);
    let { path } = shot;
    let made: number | undefined;
    if (settings) {
      const { status, wh_id, wh_url } = await call('POST', '/webhooks', settings);
      if (status !== 201)
        return {
          field: field.name,
          choices,
          cost: { cpuMs: 0, turnMs: 0, allocated: 0 },
          sent: 1,
          status,
          made: false,
          words: 'settings',
        };
      made = wh_id;
      path = new URL(wh_url).pathname + path;
      // Keys are made and rules are read by the first request.
      await send(program.port, agent, { ...shot, path, body: Buffer.from('x') });
    }
    // What earlier requests left behind, such as a near miss that is still looked for, is over.
    if (calm) await new Promise((resolve) => setTimeout(resolve, 500));
    const before = await program.read(calm || sinceCollected > MOST_ALLOCATED ? 'collect' : undefined);
    sinceCollected = calm || sinceCollected > MOST_ALLOCATED ? 0 : sinceCollected + before.allocated;
    await program.read();
    const { status, answered } = await send(program.port, agent, { ...shot, path });
    const used = await program.read();
    sinceCollected += used.allocated;
    const cost = { ...used, allocated: Math.max(0, used.allocated - TIMES_ANSWERED * answered) };
    if (made) await call('DELETE', `/webhooks/${made}`);
    const sent = path.length + shot.headers.join('\r\n').length + shot.body.length;
    const kind = settings
      ? JSON.stringify(settings)
          .replace(/-----BEGIN[^"]*|s3cret[^"]*/g, '…')
          .slice(0, 300)
      : '';
    const words = `${shot.method} ${path.slice(0, 120)} ${shot.headers
      .filter((line) => !/^auth/i.test(line))
      .join(' | ')
      .slice(
        0,
        160,
      )} ${JSON.stringify(shot.body.subarray(0, 60).toString('latin1'))}${shot.body.length > 60 ? ` … ${shot.body.length} bytes` : ''} ${kind}`;
    return { field: field.name, choices, cost, sent, status, made: status !== 422 && status !== 0, words };
  }

  return {
    async climb(field, tries, seed) {
      const next = random(seed);
      const pick = (most: number) => Math.floor(next() * most);
      const found: Found[] = [];
      let best: Found | undefined;
      for (let i = 0; i < tries; i++) {
        // A third is anything; the rest are one or two steps from the worst so far.
        // The first choice of each knob is the plain one: most calls with many odd members are refused before they cost anything.
        const choices =
          !best || i % 3 === 0
            ? field.knobs.map((most) => (i === 0 || next() < PLAIN ? 0 : pick(most)))
            : best.choices.map((choice, knob) =>
                next() < 2 / field.knobs.length ? pick(field.knobs[knob] ?? 1) : choice,
              );
        const one = await measure(field, choices);
        found.push(one);
        if (!best || badness(one.cost) > badness(best.cost)) best = one;
      }
      return found;
    },
    async confirm(field, choices) {
      const some = [
        await measure(field, choices, true),
        await measure(field, choices, true),
        await measure(field, choices, true),
      ];
      const least = (name: keyof Cost) => Math.min(...some.map(({ cost }) => cost[name]));
      return {
        ...(some[0] as Found),
        cost: { cpuMs: least('cpuMs'), turnMs: least('turnMs'), allocated: least('allocated') },
      };
    },
    explain: (field, choices) => program.profile(() => measure(field, choices)),
    close: () => agent.destroy(),
  };
}

// The tenant ---------------------------------------------------------------------------------------------------------

// Contents that fill a page, after one of the largest size.
const PER_KIND = 4;

/** Gives a user what makes his lists and his calls costly. */
export async function furnishTenant(url: string, auth: string): Promise<Tenant> {
  const call = async (method: string, path: string, body: object | Buffer = {}) => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: auth },
      ...(method === 'GET' ? {} : { body: Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  const webhooks: number[] = [];
  let path = '';
  for (let i = 0; i < 20; i++) {
    const made = await call('POST', '/webhooks', { wh_name: `w${i}`, response: { body: '\x01'.repeat(10_000) } });
    webhooks.push(made.wh_id as number);
    path = new URL(String(made.wh_url)).pathname;
  }
  const send = (to: string, body: string | Buffer, headers = {}) =>
    fetch(url + to, { method: 'POST', body, headers }).then((answer) => answer.arrayBuffer());
  // Each shape makes a page of 8 MiB, or is one content of the largest size.
  const kinds = ['\x01', '"', '漢', '\xff', 'x'];
  for (const kind of kinds) {
    const bytes = kind === '\xff' ? Buffer.alloc(10 * MiB - 100, 0xff) : Buffer.from(fill(kind, 10 * MiB - 100));
    await send(path, bytes);
    for (let j = 0; j < PER_KIND; j++) await send(path, bytes.subarray(0, (8 * MiB) / PER_KIND - 100));
  }
  const long = { 'x-long': 'y'.repeat(50_000) };
  for (let i = 0; i < 120; i++) await send(path, `{"id":"evt_${i}"}`, long);
  const signed = await call('POST', '/webhooks', { wh_name: 'signed', preset: 'github', secrets: ['x'.repeat(20)] });
  webhooks.push(signed.wh_id as number);
  for (let i = 0; i < 60; i++)
    await send(new URL(String(signed.wh_url)).pathname, i < 2 ? Buffer.alloc(10 * MiB - 100, 1) : `{"i":${i}}`, {
      ...long,
      'x-hub-signature-256': `sha256=${i}`,
    });
  const consumers = Array.from({ length: 20 }, (_, i) => `c${i}`);
  for (const name of consumers)
    await call('PUT', `/consumers/${name}`, { start: 'earliest', lease_seconds: 3_600, max_attempts: 1 });
  for (const name of consumers.slice(0, 2)) {
    const { lease } = await call('POST', `/consumers/${name}/pull`, { limit: 20 });
    if (name === 'c1') await call('POST', `/consumers/${name}/nack`, { lease, dead: true, reason: 'x'.repeat(200) });
  }
  const { whcontent } = (await call('GET', '/whcontent?whid=all&limit=1')) as { whcontent: { id: number }[] };
  const { refusals } = (await call('GET', '/refusals?limit=100')) as { refusals: { id: number }[] };
  const first = whcontent[0]?.id ?? 1;
  return {
    auth,
    // The first of each kind, of the largest size.
    contents: kinds.map((_, i) => first + i * (PER_KIND + 1)),
    refusals: refusals.map(({ id }) => id).slice(0, 4),
    webhooks,
    consumers: consumers.slice(0, 3),
  };
}
