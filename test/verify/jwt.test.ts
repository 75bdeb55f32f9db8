// JSON Web Tokens: every algorithm with every kind of key, the vectors of RFC 7515, and each forgery that is known of tokens.
import { constants, createHash, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { nearMiss } from '../../src/verify/near-miss.ts';
import { checkSecret, compileRules, RuleError } from '../../src/verify/rules.ts';
import { lasting, NOW_MS, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const NOW_S = NOW_MS / 1000;
const BODY = '{"a":"ä"}';
const SHA = createHash('sha256').update(BODY).digest();
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
type Algorithm = 'hs256' | 'hs384' | 'hs512' | 'rs256' | 'es256' | 'ps256';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString();
const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more });

function signature(algorithm: Algorithm, text: string, key: string | KeyObject): Buffer {
  if (typeof key === 'string')
    return createHmac(`sha${algorithm.slice(2)}`, key)
      .update(text)
      .digest();
  if (algorithm === 'es256') return sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  const padding = algorithm === 'ps256' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return sign('sha256', Buffer.from(text), { key, padding, saltLength: 32 });
}
function tokenOf(algorithm: Algorithm, key: string | KeyObject, claims: object = {}, header: object = {}): string {
  const text = `${part({ alg: algorithm.toUpperCase(), typ: 'JWT', ...header })}.${part({ exp: NOW_S + 60, ...claims })}`;
  return `${text}.${signature(algorithm, text, key).toString('base64url')}`;
}
const open = (algorithm: Algorithm, more: VerifyInput = {}): VerifyInput => ({
  scheme: 'jwt',
  algorithm,
  covers_body: false,
  ...more,
});
const judged = (verify: VerifyInput, secret: string, token: string, body = BODY) =>
  verdictOn(compileRules({ verify }), lasting(secret), request({ body, headers: { Authorization: token } }));
const SIGNED = { kind: 'accepted', verified: 'signed' };

const CASES: readonly [Algorithm, string | KeyObject, readonly string[]][] = [
  [
    'hs256',
    'shared key',
    ['shared key', JSON.stringify({ kty: 'oct', k: Buffer.from('shared key').toString('base64url') })],
  ],
  ['hs384', 'shared key', ['shared key']],
  ['hs512', 'shared key', ['shared key']],
  ['rs256', rsa.privateKey, [pem(rsa.publicKey), JSON.stringify({ keys: [jwk(ec.publicKey), jwk(rsa.publicKey)] })]],
  ['ps256', rsa.privateKey, [pem(rsa.publicKey), JSON.stringify(jwk(rsa.publicKey, { alg: 'PS256', use: 'sig' }))]],
  [
    'es256',
    ec.privateKey,
    [pem(ec.publicKey), JSON.stringify({ keys: [jwk(rsa.publicKey), jwk(ec.publicKey, { kid: 'a' })] })],
  ],
];

test.each(CASES)('%s with each kind of key', (algorithm, key, secrets) => {
  for (const secret of secrets) {
    expect(checkSecret(compileRules({ verify: open(algorithm) }), secret)).toBeUndefined();
    expect(judged(open(algorithm), secret, tokenOf(algorithm, key))).toEqual(SIGNED);
    expect(judged(open(algorithm), secret, `Bearer ${tokenOf(algorithm, key)}`)).toEqual(SIGNED);
    const token = tokenOf(algorithm, key);
    const [head, , end] = token.split('.');
    expect(judged(open(algorithm), secret, `${head}.${part({ exp: NOW_S + 61 })}.${end}`).kind).toBe('signature');
    expect(judged(open(algorithm), secret, token.slice(0, -4)).kind).toBe('signature');
  }
});

test('the vectors of RFC 7515, A.1 (HS256) and A.3 (ES256)', () => {
  const claims = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
  const at = (verify: VerifyInput, secret: string, token: string) =>
    verdictOn(
      compileRules({ verify }),
      lasting(secret),
      request({ headers: { Authorization: token }, nowMs: 1_300_819_379_000 }),
    );
  const k = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
  const hs = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`;
  expect(at(open('hs256'), JSON.stringify({ kty: 'oct', k }), hs)).toEqual(SIGNED);
  const x = 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU';
  const y = 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0';
  const es = `eyJhbGciOiJFUzI1NiJ9.${claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`;
  expect(at(open('es256'), JSON.stringify({ kty: 'EC', crv: 'P-256', x, y }), es)).toEqual(SIGNED);
});

describe('refused', () => {
  const forged = (header: object, end: string) => `${part(header)}.${part({ exp: NOW_S + 60 })}.${end}`;

  test('the algorithm none, and one that is not that of the rules', () => {
    for (const alg of ['none', 'None', 'NONE', 'HS384', 'RS256', '', undefined, 1])
      for (const end of ['', 'AA']) expect(judged(open('hs256'), 'k', forged({ alg }, end)).kind).toBe('signature');
    expect(judged(open('hs256'), 'k', tokenOf('hs512', 'k')).kind).toBe('signature');
  });

  test('a public key taken for a shared one', () => {
    const key = pem(rsa.publicKey);
    for (const secret of [key, key.trim()]) {
      expect(judged(open('rs256'), key, tokenOf('hs256', secret)).kind).toBe('signature');
      expect(judged(open('rs256'), key, tokenOf('hs256', secret, {}, { alg: 'RS256' })).kind).toBe('signature');
      expect(judged(open('hs256'), key, tokenOf('hs256', secret)).kind).toBe('signature');
    }
    expect(checkSecret(compileRules({ verify: open('hs256') }), key)).toContain('shared key');
    expect(judged(open('ps256'), key, tokenOf('rs256', rsa.privateKey, {}, { alg: 'PS256' })).kind).toBe('signature');
  });

  test('a key that the token brings, or names', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const keys = JSON.stringify({ keys: [jwk(rsa.publicKey, { kid: 'ours' })] });
    for (const header of [{ jwk: jwk(other.publicKey) }, { kid: 'ours' }, { jku: 'https://h.example/' }, {}])
      expect(judged(open('rs256'), keys, tokenOf('rs256', other.privateKey, {}, header)).kind).toBe('signature');
    expect(judged(open('rs256'), keys, tokenOf('rs256', rsa.privateKey, {}, { kid: 'ours' }))).toEqual(SIGNED);
    expect(judged(open('rs256'), keys, tokenOf('rs256', rsa.privateKey, {}, { kid: 'other' })).kind).toBe('signature');
    expect(judged(open('rs256'), keys, tokenOf('rs256', rsa.privateKey, {}, { crit: ['b64'], b64: false })).kind).toBe(
      'signature',
    );
  });

  test.each([
    '',
    'Bearer',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    `${part([])}.${part({})}.AA`,
    `${part({ alg: 'HS256' })}.${part(null)}.AA`,
    '..',
  ])('what is no token: %j', (token) => expect(judged(open('hs256'), 'k', token).kind).toBe('signature'));

  test('a token that is too long', () => {
    const token = tokenOf('hs256', 'k', { more: 'x'.repeat(16_000) });
    expect(judged(open('hs256'), 'k', token)).toMatchObject({ reason: expect.stringContaining('16384') });
  });

  test.each([
    '',
    '{',
    '{}',
    '{"keys":[]}',
    '{"keys":[null,1,"a",[]]}',
    '{"kty":"RSA","n":"AQAB","e":"AQAB"}',
    'x',
    pem(ec.publicKey),
  ])('a secret that has no key for it: %j', (secret) => {
    expect(checkSecret(compileRules({ verify: open('rs256') }), secret)).toMatch(/^must /);
    expect(judged(open('rs256'), secret, tokenOf('rs256', rsa.privateKey)).kind).toBe('signature');
  });

  test('rules without an algorithm, or that forget the body', () => {
    for (const verify of [
      { scheme: 'jwt', covers_body: false },
      { scheme: 'jwt', algorithm: 'sha256', covers_body: false },
      { scheme: 'jwt', algorithm: 'hs256' },
      { scheme: 'hmac', algorithm: 'hs256', signature: { from: 'header:X' } },
    ] as const)
      expect(() => compileRules({ verify })).toThrow(RuleError);
  });
});

test('its times, with their tolerance', () => {
  const at = (claims: object, tolerance_seconds = 60) =>
    judged(open('hs256', { tolerance_seconds }), 'k', tokenOf('hs256', 'k', claims)).kind;
  expect([at({ exp: NOW_S - 59 }), at({ exp: NOW_S - 60 })]).toEqual(['accepted', 'signature']);
  expect([at({ nbf: NOW_S + 60 }), at({ nbf: NOW_S + 61 })]).toEqual(['accepted', 'signature']);
  expect([at({ exp: NOW_S + 1 }, 0), at({ exp: NOW_S }, 0), at({ exp: undefined })]).toEqual([
    'accepted',
    'signature',
    'accepted',
  ]);
  for (const time of ['1', null, {}, true])
    expect([at({ exp: time }), at({ nbf: time })]).toEqual(['signature', 'signature']);
});

test('its issuer and its audience', () => {
  const verify = open('hs256', { jwt: { issuer: 'i', audience: 'a' } });
  const at = (claims: object) => judged(verify, 'k', tokenOf('hs256', 'k', claims)).kind;
  for (const aud of ['a', ['b', 'a']]) expect(at({ iss: 'i', aud })).toBe('accepted');
  for (const claims of [
    {},
    { iss: 'i' },
    { aud: 'a' },
    { iss: 'j', aud: 'a' },
    { iss: 'i', aud: ['b'] },
    { iss: ['i'], aud: 'a' },
    { iss: 'i', aud: { 0: 'a' } },
  ])
    expect(at(claims), JSON.stringify(claims)).toBe('signature');
});

// https://plaid.com/docs/api/webhooks/webhook-verification/: ES256, the header Plaid-Verification, request_body_sha256 in hex.
test('a claim is the hash of the body', () => {
  const verify: VerifyInput = {
    scheme: 'jwt',
    algorithm: 'es256',
    signature: { from: 'header:Plaid-Verification' },
    jwt: { body_claim: 'request_body_sha256' },
  };
  const keys = JSON.stringify(jwk(ec.publicKey, { kid: 'k1', use: 'sig', alg: 'ES256' }));
  const at = (claim: unknown, body = BODY) => {
    const token = tokenOf('es256', ec.privateKey, { request_body_sha256: claim }, { kid: 'k1' });
    return verdictOn(
      compileRules({ verify }),
      lasting(keys),
      request({ body, headers: { 'Plaid-Verification': token } }),
    ).kind;
  };
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    expect(at(SHA.toString(encoding))).toBe('accepted');
    expect(at(SHA.toString(encoding), `${BODY} `)).toBe('signature');
  }
  for (const claim of [undefined, '', null, 1, [SHA.toString('hex')], SHA.toString('hex').slice(1)])
    expect(at(claim)).toBe('signature');
});

test('near misses', () => {
  const near = (verify: VerifyInput, secret: string, token: string | undefined, others: string[] = []) =>
    nearMiss(
      compileRules({ verify }),
      lasting(secret),
      request({ body: BODY, headers: token === undefined ? {} : { Authorization: token } }),
      others.map((value, i) => ({ wh_id: i + 1, secret: { value, expiresMs: null } })),
    );
  expect(near(open('hs256'), 'k', tokenOf('hs256', 'k', { exp: NOW_S - 400 }))).toBe(
    '100 s outside the window of 300 s: an old token, or a wrong clock',
  );
  expect(near(open('hs256'), 'k', tokenOf('hs256', 'k', { nbf: NOW_S + 301 }))).toContain('1 s outside the window');
  expect(near(open('hs256'), 'k', undefined)).toContain('it came unsigned');
  expect(near(open('hs256'), 'k', tokenOf('hs256', 'abcdef123456'), ['x', 'abcdef123456'])).toContain(
    'ending …3456 of webhook 2',
  );
  expect(near(open('hs256'), 'key ', tokenOf('hs256', 'key'))).toContain('white space');
});

// https://plaid.com/docs/api/webhooks/webhook-verification/: a token has iat and no exp, and counts for five minutes.
test('the time of the signature in a claim', () => {
  const at = (claims: object) =>
    judged(open('hs256', { jwt: { time_claim: 'iat' } }), 'k', tokenOf('hs256', 'k', { exp: undefined, ...claims }));
  for (const off of [0, -300, 300]) expect(at({ iat: NOW_S + off }), String(off)).toEqual(SIGNED);
  expect(at({ iat: NOW_S - 301 })).toEqual({ kind: 'signature', reason: expect.stringContaining('301 s old') });
  expect(at({ iat: NOW_S + 301 })).toEqual({ kind: 'signature', reason: expect.stringContaining('in the future') });
  for (const iat of [undefined, null, String(NOW_S), {}])
    expect(at({ iat })).toEqual({ kind: 'signature', reason: expect.stringContaining('is no time') });
  expect(at({ iat: NOW_S, exp: NOW_S - 400 }).kind).toBe('signature');
  const old = request({ headers: { Authorization: tokenOf('hs256', 'k', { iat: NOW_S - 400 }) } });
  expect(nearMiss(compileRules({ verify: open('hs256', { jwt: { time_claim: 'iat' } }) }), lasting('k'), old, [])).toBe(
    '100 s outside the window of 300 s: an old token, or a wrong clock',
  );
});

// https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions: the account in `email`, once `email_verified` is true.
describe('claims that the owner says', () => {
  const email = 'push@project.iam.gserviceaccount.com';
  const given = { iss: 'https://accounts.google.com', aud: 'https://h.example/', email, email_verified: true };
  const keys = JSON.stringify({ keys: [jwk(rsa.publicKey, { kid: 'g', use: 'sig', alg: 'RS256' })] });
  const at = (claims: object, verify?: VerifyInput) =>
    verdictOn(
      compileRules({ preset: 'pubsub', verify }),
      lasting(keys),
      request({ headers: { Authorization: `Bearer ${tokenOf('rs256', rsa.privateKey, claims, { kid: 'g' })}` } }),
    );

  test('only a token of this account is accepted: Google signs for all its customers', () => {
    const own: VerifyInput = { jwt: { audience: 'https://h.example/', claims: { email } } };
    expect(at(given, own)).toEqual(SIGNED);
    for (const claims of [
      { ...given, email: 'push@other.iam.gserviceaccount.com' },
      { ...given, email: undefined },
      { ...given, email: [email] },
      { ...given, email_verified: false },
      { ...given, email_verified: undefined },
      { ...given, iss: 'https://h.example' },
      { ...given, aud: 'https://other.example/' },
    ])
      expect(at(claims, own).kind, JSON.stringify(claims)).toBe('signature');
  });

  test('until the account is said, requests are kept and none is accepted', () => {
    for (const verify of [undefined, { jwt: { audience: 'https://h.example/' } }, { jwt: { claims: { a: 'b' } } }])
      for (const claims of [given, { ...given, email: '' }])
        expect(at(claims, verify)).toEqual({
          kind: 'secret_missing',
          reason: 'It is not said yet what the claim email must be: set verify.jwt.claims.',
        });
  });
});
