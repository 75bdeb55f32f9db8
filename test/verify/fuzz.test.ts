// Random requests over every preset, 100,000 or FUZZ_RUNS, and over a tenth as many random rules: nothing throws, and nothing is called signed by whoever has no secret.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCertificate } from '../../src/verify/certificate.ts';
import { identify } from '../../src/verify/identify.ts';
import { nearMiss } from '../../src/verify/near-miss.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import type { Incoming, Secret } from '../../src/verify/request.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { issue } from '../support/vendor.ts';
import { lasting, NOW_MS, URL_HERE } from './presets/request.ts';
import { SENDERS } from './presets/senders.ts';
import { verdictOn } from './verdict.ts';

const COUNT = Number(process.env.FUZZ_RUNS ?? 100_000);
const KINDS = new Set(['accepted', 'handshake', 'secret_missing', 'signature']);

/** A small generator with a seed, so that a failure can be had again. */
function randomFrom(seed: number) {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  return { next, pick };
}

const SCRAPS = [
  '',
  ' ',
  '=',
  ',',
  ';',
  'v1',
  'v1=',
  'v1,',
  't=',
  't=1',
  'sha256=',
  'Bearer ',
  'Basic ',
  '0',
  '-1',
  '9'.repeat(30),
  '\u00ff',
  '%',
  '%zz',
  '+',
  '{',
  '[',
  '"',
  '\\',
  '{}',
  '[]',
  'null',
  '[{}]',
  '{"value":[{}]}',
  '{"type":1}',
  '{"type":0}',
  '{"id":',
  'a=1&a=2',
  '&&=&',
  '\0',
  '\r\n',
  'bodySHA256=',
  'ssl_check=1',
  'diagnostics:ping',
  '--b',
  'hub.mode=subscribe',
  'validationToken=x',
  'challenge=y',
  '1764000000',
  '1764000000000',
  '2025-11-24T16:00:00Z',
  'constructor',
  '__proto__',
] as const;
const TYPES = [
  'application/json',
  'application/x-www-form-urlencoded',
  'application/x-www-form-urlencoded;',
  'text/plain',
  'multipart/form-data',
  'multipart/form-data; boundary=b',
];
// Those whose handshake is not signed answer a stranger. Meta's wants the verify token.
const OPEN = [...PRESETS.values()]
  .filter(({ handshake = [] }) => handshake.some(({ signed, token_from }) => signed === false && !token_from))
  .map(({ name }) => name);
const METHODS = ['GET', 'POST', 'PUT', 'HEAD', ''];

test('random requests over all presets', { timeout: 60_000 + COUNT }, async () => {
  const seed = Date.now() >>> 0;
  const { next, pick } = randomFrom(seed);
  const signed: Incoming[] = [];
  const targets: { name: string; rules: ReturnType<typeof compileRules>; secrets: readonly Secret[] }[] = [];
  // Where a certificate signs, a stranger may know the secret, and has another key.
  const foreign = issue('sns.amazonaws.com', { from: NOW_MS - 1e9, to: NOW_MS + 1e9 });
  const theirs = readCertificate(foreign.pem, /./) ?? expect.fail(foreign.name);
  for (const [name, sender] of Object.entries(SENDERS)) {
    // The requests are signed with keys that the webhooks do not have.
    const { signing } = sender.keys();
    const { incoming } = await sender.send({ signing, body: sender.body, nowMs: NOW_MS, url: URL_HERE });
    signed.push(sender.certificate ? { ...incoming, certificates: { get: () => theirs } } : incoming);
    targets.push({
      name,
      rules: compileRules({ preset: name, verify: sender.verify }),
      secrets: lasting(sender.certificate ? signing : sender.keys().secret, sender.keys().secret),
    });
  }
  const names = [...new Set(signed.flatMap(({ headers }) => headers.filter((_, i) => i % 2 === 0)))];
  const values = signed.flatMap(({ headers }) => headers.filter((_, i) => i % 2 === 1));

  const scrap = (): string => pick(SCRAPS) + pick(SCRAPS) + (next(3) === 0 ? pick(SCRAPS) : '');
  const mutated = (text: string): string => {
    const at = next(text.length + 1);
    return next(2) === 0 ? text.slice(0, at) + scrap() + text.slice(at + next(4)) : text.slice(0, at);
  };
  const headersOf = (base: Incoming): readonly string[] => {
    const headers = [...base.headers];
    for (let count = next(4); count > 0; count--) headers.push(pick(names), pick([pick(values), scrap()]));
    if (next(2) === 0) {
      const at = 2 * next(headers.length / 2) + 1;
      headers[at] = mutated(headers[at] ?? '');
    }
    if (next(3) === 0) headers.unshift('content-type', pick(TYPES));
    return headers;
  };
  const requestOf = (): Incoming => {
    const base = pick(signed);
    const text = base.body.toString('latin1');
    return {
      ...base,
      method: next(3) === 0 ? pick(METHODS) : base.method,
      publicUrl: next(3) === 0 ? `${base.publicUrl}?${scrap()}&${scrap()}` : next(20) === 0 ? scrap() : base.publicUrl,
      headers: headersOf(base),
      body: Buffer.from(next(2) === 0 ? mutated(text) : text, 'latin1'),
      receivedMs: NOW_MS + next(10) * 100_000 - 500_000,
    };
  };

  const seen = new Map<string, number>();
  for (let i = 0; i < COUNT; i++) {
    const { name, rules, secrets } = targets[i % targets.length] as (typeof targets)[0];
    const incoming = requestOf();
    const verdict = verdictOn(rules, secrets, incoming);
    const told = `seed ${seed}, request ${i}, ${name}: ${verdict.kind}`;
    seen.set(verdict.kind, (seen.get(verdict.kind) ?? 0) + 1);
    if (!KINDS.has(verdict.kind) || verdict.kind === 'accepted') expect.fail(told);
    if (verdict.kind === 'handshake' && !OPEN.includes(name)) expect.fail(told);
    const { event_id, event_type } = identify(rules, incoming);
    if ((event_id?.length ?? 0) > 200 || (event_type?.length ?? 0) > 200) expect.fail(told);
    if (i % 20 === 0) {
      const near = nearMiss(rules, secrets, incoming, [{ wh_id: 1, secret: { value: 'other', expiresMs: null } }]);
      if (near !== null && near.length > 250) expect.fail(`${told}: ${near}`);
    }
  }
  expect(seen.get('signature')).toBeGreaterThan(COUNT * 0.9);
  expect(seen.get('handshake')).toBeGreaterThan(0);
});

test('random settings are taken or refused with a RuleError, and what is taken never throws', {
  timeout: 60_000 + COUNT,
}, () => {
  const word = fc.constantFrom(
    ...SCRAPS,
    '{body}',
    '{timestamp}',
    '{url}{params}',
    '{json:/a}',
    '{json:/a?}',
    '{form:a?x}',
    '{form:a#/b | header:X-A}',
    '{query:a}',
    '{crc32}',
    'header:X-A',
    'body:/a',
    'form:a',
    'form:a#/b',
    'query:a#/b',
    'header:X-A,Content-Type',
    'body:/a | form:a | query:a',
    'query:a',
    'a={"b":1}',
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n{"b":2}\r\n--b--',
    'multipart/form-data; boundary=b',
    'application/x-www-form-urlencoded',
    'eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjB9.AA',
    'eyJhbGciOiJub25lIn0.e30.AA',
    '{"keys":[{"kty":"oct","k":"YQ"},{"kty":"RSA"}]}',
    'gzip',
    'field:t',
    'sha256',
    'bearer',
  );
  const unknown = 'a secret that stands in no request';
  const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary, weight: 1 });
  // Mostly a place or a template where one is due: most of the random ones are refused at once.
  const mostly = (...texts: string[]) =>
    fc.oneof({ arbitrary: fc.constantFrom(...texts), weight: 9 }, { arbitrary: word, weight: 1 });
  const place = mostly(
    'header:X-A',
    'header:X-A,Content-Type',
    'body:/a',
    'form:a',
    'form:a#/b',
    'query:a',
    'body:/a | form:a',
  );
  const template = mostly(
    '{body}',
    '{secret}{body}',
    '{timestamp}{json:/a?}{body}',
    '{form:a?x}{crc32}{body}',
    '{params}',
  );
  const settings = fc.record({
    preset: seldom(fc.constantFrom(...PRESETS.keys(), 'none')),
    verify: some(
      fc.record({
        scheme: some(fc.constantFrom('hmac', 'hash', 'asymmetric', 'jwt', 'shared-secret', 'none')),
        algorithm: some(
          fc.constantFrom(
            ...(['sha256', 'sha1', 'sha512', 'ed25519', 'ecdsa-p256', 'rsa-sha256', 'rsa-sha1'] as const),
            ...(['hs256', 'rs256', 'es256', 'ps256'] as const),
          ),
        ),
        key_encoding: some(fc.constantFrom('utf8', 'base64', 'hex')),
        signature: some(
          fc.record({
            from: place,
            headers: seldom(fc.constantFrom('first', 'all')),
            field: seldom(word),
            field_separator: seldom(word),
            item_separator: seldom(word),
          }),
        ),
        timestamp: some(fc.record({ from: place, format: some(fc.constantFrom('unix', 'iso8601', 'http-date')) })),
        signed_string: some(
          fc.oneof(
            template,
            fc.tuple(word, word).map((pair) => pair.join('')),
          ),
        ),
        body: some(fc.constantFrom('raw', 'decoded')),
        jwt: some(fc.record({ issuer: some(word), audience: some(word), body_claim: some(word) })),
        handshake: seldom(
          fc.array(
            fc.record({
              method: some(fc.constantFrom('GET', 'POST')),
              when: some(fc.array(fc.record({ from: place, equals: some(word) }), { maxLength: 2 })),
              challenge_from: some(place),
              signed: some(fc.boolean()),
              answer: fc.record({ body: fc.constantFrom('', '{challenge}', '{hmac}', '{hmac_base64}') }),
            }),
            { maxLength: 2 },
          ),
        ),
        covers_body: some(fc.boolean()),
        secret_from: some(place),
        id: some(place),
        url: some(fc.constantFrom('as-is', 'hubspot', 'twilio')),
      }),
    ),
    dedupe: some(fc.record({ from: some(place) })),
  });
  const taken = new Map<string, number>();
  fc.assert(
    fc.property(
      settings,
      fc.array(fc.tuple(fc.constantFrom('X-A', 'Authorization', 'Content-Type', 'Content-Encoding'), word)),
      word,
      word,
      (given, headers, body, secret) => {
        let rules: ReturnType<typeof compileRules>;
        try {
          rules = compileRules(given as Parameters<typeof compileRules>[0]);
        } catch (error) {
          expect((error as Error).name).toBe('RuleError');
          return;
        }
        const scheme = rules.check?.scheme ?? 'none';
        taken.set(scheme, (taken.get(scheme) ?? 0) + 1);
        const incoming = {
          method: 'POST',
          publicUrl: `${URL_HERE}?${body}`,
          headers: headers.flat(),
          body: Buffer.from(body),
          receivedMs: NOW_MS,
        };
        // The sender draws from the same words, but never has this secret.
        for (const ready of [incoming, { ...incoming, decoded: Buffer.from(secret) }]) {
          const verdict = verdictOn(rules, lasting(unknown), ready);
          expect(KINDS).toContain(verdict.kind);
          if (verdict.kind === 'accepted') expect(verdict.verified).toBe('none');
          if (verdict.kind === 'accepted') expect(rules.check).toBeUndefined();
          expect(KINDS).toContain(verdictOn(rules, lasting(secret), ready).kind);
          identify(rules, ready);
          nearMiss(rules, lasting(secret), ready, [{ wh_id: 1, secret: { value: unknown, expiresMs: null } }]);
        }
      },
    ),
    { numRuns: COUNT / 10 },
  );
  for (const scheme of ['hmac', 'hash', 'asymmetric', 'jwt', 'shared-secret', 'none'])
    expect(taken.get(scheme) ?? 0, scheme).toBeGreaterThan(2);
});
