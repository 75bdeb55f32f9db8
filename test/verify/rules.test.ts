// Settings of a verification: what is refused when it is made, what a preset lets one override, and every scheme at work.
import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { Compile } from 'typebox/schema';
import { describe, expect, test } from 'vitest';
import { DedupeInput, VerifyInput } from '../../src/schema/webhooks.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { checkSecret, compileRules, RuleError } from '../../src/verify/rules.ts';
import { type Given, lasting, NOW_MS, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const faults = (settings: Parameters<typeof compileRules>[0]): readonly string[] => {
  try {
    compileRules(settings);
    return [];
  } catch (error) {
    return error instanceof RuleError ? error.errors.map(({ path, message }) => `${path} ${message}`) : ['threw'];
  }
};
const HMAC = { scheme: 'hmac', signature: { from: 'header:X-Sig' } } as const;

describe('refused at creation', () => {
  test.each<[string, VerifyInput, string]>([
    ['a brace is not closed', { signed_string: '{timestamp.{body}' }, 'signed_string'],
    ['a brace is not opened', { signed_string: 'body}' }, 'signed_string'],
    ['a brace is doubled', { signed_string: '{{body}}' }, 'signed_string'],
    ['a placeholder is unknown', { signed_string: '{Body}' }, 'signed_string'],
    ['a placeholder is empty', { signed_string: '{}{body}' }, 'signed_string'],
    ['a header has no name', { signed_string: '{header:}{body}' }, 'signed_string'],
    ['the body is left out', { signed_string: 'v0:{url}' }, 'signed_string'],
    ['nothing at all is signed', { signed_string: '' }, 'signed_string'],
    ['a constant is signed on purpose', { signed_string: 'v0:{method}:{url}', covers_body: false }, 'signed_string'],
    ['the time has no place', { signed_string: '{timestamp}.{body}' }, 'signed_string'],
    ['the id has no place', { signed_string: '{id}.{body}' }, 'signed_string'],
    ['a secret stands in an HMAC', { signed_string: '{secret}{body}' }, 'signed_string'],
    ['a hash has no secret', { scheme: 'hash', signed_string: '{body}' }, 'signed_string'],
    ['the signature has no place', { signature: {} }, 'signature.from'],
    ['the place of the signature is none', { signature: { from: 'cookie:a' } }, 'signature.from'],
    ['a pointer is none', { signature: { from: 'body:a/b' } }, 'signature.from'],
    ['a field has no separator', { signature: { from: 'header:a', field: 'v1' } }, 'signature.field'],
    ['the time is a field of nothing', { timestamp: { from: 'field:t' } }, 'timestamp.from'],
    ['there is a window and no time', { tolerance_seconds: 60 }, 'tolerance_seconds'],
    ['an algorithm is of another scheme', { algorithm: 'ed25519' }, 'algorithm'],
    ['asymmetric has no algorithm', { scheme: 'asymmetric' }, 'algorithm'],
    ['a shared secret has no place', { scheme: 'shared-secret' }, 'secret_from'],
  ])('when %s', (_, verify, where) => {
    const base = 'signature' in verify ? { scheme: 'hmac' as const } : HMAC;
    const found = faults({ preset: 'generic', verify: { ...base, ...verify } });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^body\\.verify\\.${where} [a-z{]`));
  });

  test('when the scheme is forgotten: none has to be said aloud', () => {
    for (const settings of [{ preset: 'generic' }, { verify: {} }, { preset: 'generic', verify: { token: 'x' } }])
      expect(faults(settings), JSON.stringify(settings)).toEqual([
        expect.stringMatching(/^body\.verify\.scheme must say/),
      ]);
    expect(faults({ verify: { scheme: 'none' } })).toEqual([]);
    expect(faults({})).toEqual([]);
  });

  test('when a preset or a place for the id is unknown, all at once', () => {
    expect(faults({ preset: 'strip', dedupe: { from: ['header:x', 'boddy:/id'] } })).toEqual([
      expect.stringMatching(/^body\.preset is none of stripe, /),
      expect.stringMatching(/^body\.dedupe\.from /),
    ]);
  });
});

test('every row of the presets is what the schema allows', () => {
  const shape = Compile(VerifyInput);
  for (const { name, verify, handshake } of PRESETS.values())
    expect(shape.Check({ ...verify, ...(handshake && { handshake }) }), name).toBe(true);
  expect(shape.Check({ scheme: 'magic' })).toBe(false);
  expect(shape.Check({ signature: { from: 'cookie:x' } })).toBe(false);
  const dedupe = Compile(DedupeInput);
  for (const from of ['header:x-id', 'body:/id', 'sha256', ['form:a', 'query:b']])
    expect(dedupe.Check({ from })).toBe(true);
  for (const from of ['id', '', ['body:id'], []]) expect(dedupe.Check({ from }), JSON.stringify(from)).toBe(false);
});

const hex = (key: string | Buffer, text: string | Buffer, algorithm = 'sha256') =>
  createHmac(algorithm, key).update(text).digest('hex');
const verdict = (settings: Parameters<typeof compileRules>[0], secret: string, given: Given) =>
  verdictOn(compileRules(settings), lasting(secret), request(given)).kind;

test('single members of a preset can be overridden', () => {
  const time = NOW_MS / 1000 - 500;
  const given = { body: '{}', headers: { 'Stripe-Signature': `t=${time},v1=${hex('s', `${time}.{}`)}` } };
  expect(verdict({ preset: 'stripe' }, 's', given)).toBe('signature');
  expect(verdict({ preset: 'stripe', verify: { tolerance_seconds: 600 } }, 's', given)).toBe('accepted');
  expect(verdict({ preset: 'stripe', verify: { tolerance_seconds: 0 } }, 's', given)).toBe('accepted');
  expect(
    verdict({ preset: 'stripe', verify: { tolerance_seconds: 600, signature: { field: 'v2' } } }, 's', given),
  ).toBe('signature');
  const renamed = { body: '{}', headers: { 'X-Proxy-Signature': `sha256=${hex('s', '{}')}` } };
  const verify = { signature: { from: 'header:X-Proxy-Signature' } };
  expect(verdict({ preset: 'github', verify }, 's', renamed)).toBe('accepted');
});

describe('generic', () => {
  test.each<[string, VerifyInput, (body: string) => Record<string, string>]>([
    ['sha512 in hex', { ...HMAC, algorithm: 'sha512' }, (body) => ({ 'X-Sig': hex('key', body, 'sha512') })],
    ['capital hex', HMAC, (body) => ({ 'X-Sig': hex('key', body).toUpperCase() })],
    [
      'base64url',
      { ...HMAC, encoding: 'base64url' },
      (body) => ({ 'X-Sig': createHmac('sha256', 'key').update(body).digest('base64url') }),
    ],
    [
      'a key in base64',
      { ...HMAC, key_encoding: 'base64' },
      (body) => ({ 'X-Sig': hex(Buffer.from('key', 'base64'), body) }),
    ],
    ['a prefix that is not there', { ...HMAC, key_prefix: 'whsec_' }, (body) => ({ 'X-Sig': hex('key', body) })],
    [
      'method, URL, a header and a member of the body',
      { ...HMAC, signed_string: '{method} {url} {header:X-A} {json:/n}\n{body}' },
      (body) => ({
        'X-A': 'a b',
        'X-Sig': hex('key', `POST ${request({}).publicUrl} a b 12345678901234567890\n${body}`),
      }),
    ],
    [
      'a time as an HTTP date',
      { ...HMAC, timestamp: { from: 'header:Date', format: 'http-date' }, signed_string: '{timestamp}{body}' },
      (body) => {
        const date = new Date(NOW_MS).toUTCString();
        return { Date: date, 'X-Sig': hex('key', date + body) };
      },
    ],
    [
      'one of several signatures',
      { ...HMAC, signature: { from: 'header:X-Sig', item_separator: ' ' } },
      (body) => ({ 'X-Sig': `${'0'.repeat(64)} ${hex('key', body)} x` }),
    ],
    [
      'a plain hash',
      { scheme: 'hash', signature: { from: 'header:X-Sig' }, signed_string: '{secret}{body}' },
      (body) => ({ 'X-Sig': createHash('sha256').update(`key${body}`).digest('hex') }),
    ],
    [
      'either of two headers',
      { ...HMAC, signature: { from: 'header:X-New,X-Sig' } },
      (body) => ({ 'x-sig': hex('key', body) }),
    ],
    ['the secret in a header', { scheme: 'shared-secret', secret_from: 'header:X-Key' }, () => ({ 'X-Key': 'key' })],
    ['a bearer token', { scheme: 'shared-secret', secret_from: 'bearer' }, () => ({ Authorization: 'bearer key' })],
    ['a member of the body', { scheme: 'shared-secret', secret_from: 'body:/k' }, () => ({})],
    ['nothing', { scheme: 'none' }, () => ({})],
  ])('verifies %s', (name, verify, headers) => {
    const body = '{"k":"key","n":12345678901234567890,"b":"ä"}';
    const given = { body, headers: headers(body) };
    expect(verdict({ verify }, 'key', given)).toBe('accepted');
    if (name === 'nothing') return;
    expect(verdict({ verify }, 'other', given)).toBe('signature');
    expect(verdict({ verify }, 'key', { body: '{"k":"no"}', headers: {} })).toBe('signature');
  });

  test('verifies Basic credentials, a form field and a query parameter', () => {
    const shared = (secret_from: string): { verify: VerifyInput } => ({
      verify: { scheme: 'shared-secret', secret_from },
    });
    const basic = (text: string) => ({ headers: { Authorization: `Basic ${Buffer.from(text).toString('base64')}` } });
    expect(verdict(shared('basic'), 'user:pä:ss', basic('user:pä:ss'))).toBe('accepted');
    expect(verdict(shared('basic'), 'user:pass', basic('user:pass2'))).toBe('signature');
    const form = { body: 'a=1&to%6ben=s%2B+x', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } };
    expect(verdict(shared('form:token'), 's+ x', form)).toBe('accepted');
    expect(verdict(shared('form:token'), 's+ x', { ...form, headers: {} })).toBe('signature');
    expect(verdict(shared('query:k'), 'ä', { url: 'https://h.example/in/x?a=1&k=%C3%A4' })).toBe('accepted');
  });

  test('verifies RSA and ECDSA with a key in PEM', () => {
    for (const [algorithm, pair] of [
      ['rsa-sha256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
      ['ecdsa-p256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' })],
    ] as const) {
      const verify = {
        scheme: 'asymmetric',
        algorithm,
        encoding: 'base64',
        signature: { from: 'header:X-Sig' },
      } as const;
      const pem = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString();
      const signature = sign('sha256', Buffer.from('{}'), pair.privateKey).toString('base64');
      expect(verdict({ verify }, pem, { body: '{}', headers: { 'X-Sig': signature } }), algorithm).toBe('accepted');
      expect(verdict({ verify }, pem, { body: '{} ', headers: { 'X-Sig': signature } }), algorithm).toBe('signature');
    }
  });

  test('a missing part of what is signed fails, and is named', () => {
    const rules = compileRules({ verify: { ...HMAC, signed_string: '{header:X-A}{body}' } });
    const given = request({ body: '{}', headers: { 'X-Sig': hex('key', '{}') } });
    expect(verdictOn(rules, lasting('key'), given)).toEqual({
      kind: 'signature',
      reason: 'The X-A header is missing, and it is signed.',
    });
  });

  test('with the window switched off a time that is not signed may be missing', () => {
    const verify: VerifyInput = { ...HMAC, timestamp: { from: 'header:X-Time' }, tolerance_seconds: 0 };
    const headers = { 'X-Sig': hex('key', '{}') };
    expect(verdict({ verify }, 'key', { body: '{}', headers })).toBe('accepted');
    expect(verdict({ verify: { ...verify, tolerance_seconds: 300 } }, 'key', { body: '{}', headers })).toBe(
      'signature',
    );
  });

  test.each(['', 'abc', '1e9', '-1', ' ', '99999999999999999999', '0x10', 'NaN', '1764000000.5'])(
    'a time that is none fails: %j',
    (time) => {
      const verify: VerifyInput = { ...HMAC, timestamp: { from: 'header:X-Time' } };
      expect(verdict({ verify }, 'key', { headers: { 'X-Sig': hex('key', ''), 'X-Time': time } })).toBe('signature');
    },
  );
});

test('of several secrets any may fit that has not expired when the request came', () => {
  const rules = compileRules({ preset: 'github' });
  const given = request({ body: '{}', headers: { 'X-Hub-Signature-256': `sha256=${hex('old', '{}')}` } });
  const kind = (expiresMs: number | null) =>
    verdictOn(
      rules,
      [
        { value: 'new', expiresMs: null },
        { value: 'old', expiresMs },
      ],
      given,
    ).kind;
  expect([kind(null), kind(NOW_MS + 1), kind(NOW_MS), kind(NOW_MS - 1)]).toEqual([
    'accepted',
    'accepted',
    'signature',
    'signature',
  ]);
});

describe('checkSecret', () => {
  const told = (preset: string, value: string) => checkSecret(compileRules({ preset }), value);
  test.each([
    ['stripe', 'whsec_not base64 at all'],
    ['standard-webhooks', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['standard-webhooks', 'v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['supabase', 'v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['standard-webhooks-v1a', 'whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw='],
    ['standard-webhooks-v1a', 'v1a,whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw='],
    ['standard-webhooks', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['discord', '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'],
    ['gitlab', 'any'],
    ['activecampaign', 'any'],
  ])('%s takes %s', (preset, value) => expect(told(preset, value)).toBeUndefined());
  test.each([
    ['stripe', '', 'must not be empty'],
    ['gitlab', '', 'must not be empty'],
    ['standard-webhooks', 'whsec_', 'must not be empty'],
    ['standard-webhooks', 'v1,whsec_', 'must not be empty'],
    ['standard-webhooks', 'v1,MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'must be base64 after whsec_'],
    ['standard-webhooks', 'v2,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'must be base64 after whsec_'],
    ['standard-webhooks-v1a', 'whpk_AAAA', 'must be a public key for ed25519'],
    ['standard-webhooks', 'whsec_%%%', 'must be base64 after whsec_'],
    ['standard-webhooks', 'whsec_A', 'must be base64 after whsec_'],
    ['discord', 'abc', 'must be a public key for ed25519'],
    [
      'sendgrid',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      'must be a public key for ecdsa-p256',
    ],
    ['sendgrid', '-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----', 'must be a public key for ecdsa-p256'],
  ])('%s does not take %j', (preset, value, message) => expect(told(preset, value)).toContain(message));

  test('a key of another kind is told', () => {
    const pem = (pair: { publicKey: { export(options: object): unknown } }) =>
      String(pair.publicKey.export({ format: 'pem', type: 'spki' }));
    expect(told('discord', pem(generateKeyPairSync('ec', { namedCurve: 'prime256v1' })))).toContain('ed25519');
    expect(told('sendgrid', pem(generateKeyPairSync('ec', { namedCurve: 'secp384r1' })))).toContain('ecdsa-p256');
  });
});

describe('texts and keys that providers make of what they have', () => {
  const judged = (verify: VerifyInput, secret: string, given: Given) =>
    verdictOn(compileRules({ verify }), lasting(secret), request(given)).kind;
  const base = { scheme: 'hmac', signature: { from: 'header:X-S' }, covers_body: false } as const;
  const hmac = (key: string | Buffer, text: string, algorithm = 'sha256') =>
    createHmac(algorithm, key).update(text).digest('hex');

  test.each<[string, string, string, string]>([
    ['{[id:]query:id[;]?}t={header:X-T};', 'id=aB', '5', 'id:aB;t=5;'],
    ['{[id:]query:id[;]?}t={header:X-T};', '', '5', 't=5;'],
    ['{[id:]query:id[;]?none}t={header:X-T};', '', '5', 'nonet=5;'],
    ['{[id:]lower:query:id[;]?}t={header:X-T};', 'id=aB%C3%84', '5', 'id:abä;t=5;'],
    ['{lower:query:id}{header:X-T}', 'id=ABC', '5', 'abc5'],
    ['{[]query:a[b][]}{header:X-T}', 'a[b]=1', '5', '15'],
    ['{query:a[b]}{header:X-T}', 'a[b]=1', '5', '15'],
    ['{[<]query:a[b][>]}{header:X-T}', 'a[b]=1', '5', '<1>5'],
    ['[{header:X-T}]', '', '5', '[5]'],
  ])('%s of ?%s', (signed_string, query, time, message) => {
    const headers = { 'X-T': time, 'X-S': hmac('k', message) };
    const url = `https://h.example/in/k?${query}`;
    expect(judged({ ...base, signed_string }, 'k', { url, headers })).toBe('accepted');
    expect(
      judged({ ...base, signed_string }, 'k', { url, headers: { ...headers, 'X-S': hmac('k', `${message}x`) } }),
    ).toBe('signature');
  });

  test.each(['{[id:]query:id}', '{[id:query:id[;]}', '{[id:]id[;]}', '{lower:id}', '{lower:body}', '{upper:query:a}'])(
    '%s is no template',
    (signed_string) => {
      expect(() => compileRules({ verify: { ...base, signed_string: `{header:X-T}${signed_string}` } })).toThrow(
        /which is none of/,
      );
    },
  );

  test('a value that may be absent does not make a signature of its own', () => {
    expect(() => compileRules({ verify: { ...base, signed_string: '{[id:]query:id[;]?}' } })).toThrow(
      /same for every request/,
    );
  });

  test('a field of any name', () => {
    const verify: VerifyInput = {
      ...base,
      covers_body: true,
      signature: { from: 'header:X-S', item_separator: '&', field_separator: '|', field: '*' },
    };
    const at = (value: string) => judged(verify, 'k', { body: 'b', headers: { 'X-S': value } });
    expect(at(`one|0&two|${hmac('k', 'b')}`)).toBe('accepted');
    expect(at(`one|${hmac('k', 'b')}&two|0`)).toBe('accepted');
    expect(at(`one|0&two|${hmac('x', 'b')}`)).toBe('signature');
    expect(at(hmac('k', 'b'))).toBe('accepted');
    const named = { ...verify, signature: { ...verify.signature, field: 'two' } };
    expect(judged(named, 'k', { body: 'b', headers: { 'X-S': `one|${hmac('k', 'b')}` } })).toBe('signature');
  });

  test('a key that is the hash of the secret', () => {
    for (const key_hash of ['sha1', 'sha256'] as const) {
      const key = createHash(key_hash).update('private key').digest();
      const verify: VerifyInput = { ...base, covers_body: true, algorithm: 'sha1', key_hash };
      const at = (signature: string) => judged(verify, 'private key', { body: 'b', headers: { 'X-S': signature } });
      expect(at(hmac(key, 'b', 'sha1'))).toBe('accepted');
      expect(at(hmac('private key', 'b', 'sha1'))).toBe('signature');
    }
  });
});
