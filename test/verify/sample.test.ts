// Samples of every preset: accepted by the check and by the providers' own libraries, known by the id and the type that were put in.
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import https from 'node:https';
import { verify as octokit } from '@octokit/webhooks-methods';
import { Paddle } from '@paddle/paddle-node-sdk';
import { isValidSignature } from '@sanity/webhook';
import { EventWebhook } from '@sendgrid/eventwebhook';
import { v2 as cloudinary } from 'cloudinary';
import { verifyKey } from 'discord-interactions';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import Razorpay from 'razorpay';
import SnsValidator from 'sns-validator';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { validateRequest } from 'twilio/lib/webhooks/webhooks.js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { identify } from '../../src/verify/identify.ts';
import { readMessage } from '../../src/verify/message.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { headerOf, type Incoming, pairsOf } from '../../src/verify/request.ts';
import { compileRules, type Rules, type TokenCheck } from '../../src/verify/rules.ts';
import {
  isCertified,
  makeSample,
  needsKey,
  SampleFault,
  type SampleInput,
  type SignedSample,
} from '../../src/verify/sample.ts';
import { startVendor } from '../support/vendor.ts';
import { lasting, NOW_MS, URL_HERE } from './presets/request.ts';
import { SENDERS } from './presets/senders.ts';
import { verdictOn } from './verdict.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PAIRS: Readonly<Record<string, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  ed25519: generateKeyPairSync('ed25519'),
  'ecdsa-p256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  es256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ...Object.fromEntries(['rsa-sha256', 'rsa-sha1', 'rs256', 'ps256'].map((name) => [name, rsa])),
};

/** Secrets of the shape that these rules want, as they are stored, and what signs. */
function secretsOf({ check, preset }: Rules): fc.Arbitrary<{ stored: string; signing: Partial<SampleInput> }> {
  const plain = (text: string) => ({ stored: text, signing: { secret: text } });
  if (check && check.scheme !== 'shared-secret' && check.algorithm in PAIRS) {
    const { publicKey, privateKey } = PAIRS[check.algorithm] as (typeof PAIRS)[string];
    const stored = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    return fc.constant({ stored, signing: { key: privateKey } });
  }
  if (check?.scheme === 'shared-secret') return fc.stringMatching(/^[!-~]{1,60}$/).map(plain);
  const encoding = check?.keyEncoding ?? 'utf8';
  if (encoding !== 'utf8') {
    const prefix = preset?.name === 'supabase' ? 'v1,whsec_' : (check?.keyPrefix ?? '');
    return fc
      .uint8Array({ minLength: 1, maxLength: 64 })
      .map((raw) => plain(`${prefix}${Buffer.from(raw).toString(encoding)}`));
  }
  return fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).map(plain);
}

const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/);
const nonce = fc.stringMatching(/^[0-9a-f]{24}$/);
/** Words for alternatives of the rules that have this many parts. */
const words = (alternatives: Rules['ids']): fc.Arbitrary<string | undefined> => {
  const open = alternatives.filter((parts) => parts.every(({ kind }) => kind !== 'sha256'));
  if (open.length === 0) return fc.constant(undefined);
  return fc.option(
    fc
      .constantFrom(...open)
      .chain(({ length }) => fc.array(word, { minLength: length, maxLength: length }))
      .map((parts) => parts.join('/')),
    { nil: undefined },
  );
};

const incomingOf = ({ method, url, headers, body }: SignedSample): Incoming => ({
  method,
  publicUrl: url,
  headers,
  body,
  receivedMs: NOW_MS,
});
const PROOF: Readonly<Record<string, string>> = { none: 'none', 'shared-secret': 'token' };

/** Every row, and rules that no row has. */
const EXTRA: Readonly<Record<string, VerifyInput>> = {
  basic: { scheme: 'shared-secret', secret_from: 'basic' },
  'secret in a form': { scheme: 'shared-secret', secret_from: 'form:key', event_type: 'form:kind' },
  'secret in a body': { scheme: 'shared-secret', secret_from: 'body:/auth/key' },
  hs256: { scheme: 'jwt', algorithm: 'hs256', jwt: { body_claim: 'sha', issuer: 'me', audience: 'you' } },
  rs256: { scheme: 'jwt', algorithm: 'rs256', jwt: { body_claim: 'sha' } },
  ps256: { scheme: 'jwt', algorithm: 'ps256', jwt: { body_claim: 'sha' }, signature: { from: 'header:X-Token' } },
  es256: { scheme: 'jwt', algorithm: 'es256', covers_body: false, signature: { from: 'query:jwt' } },
  'rsa-sha1': {
    scheme: 'asymmetric',
    algorithm: 'rsa-sha1',
    encoding: 'base64url',
    signature: { from: 'query:sig' },
  },
  'a hex key, two values of the request': {
    scheme: 'hmac',
    algorithm: 'sha512',
    key_encoding: 'hex',
    signature: { from: 'header:X-S,X-S2', headers: 'all' },
    signed_string: '{header:X-A}.{json:/a/b}.{query:q?none}.{body}',
    event_type: 'body:/list/*/type',
  },
  'the host is signed': {
    scheme: 'hmac',
    signature: { from: 'header:X-S' },
    signed_string: '{header:Host}.{body}',
  },
  'JSON in a field': {
    scheme: 'hmac',
    signature: { from: 'header:X-S' },
    timestamp: { from: 'query:at', format: 'iso8601' },
    signed_string: '{timestamp}{url}{body}',
    event_type: 'form:payload#/a/type',
  },
};
/** What an owner has to say besides. */
const SAID: Readonly<Record<string, { verify: VerifyInput }>> = {
  pubsub: { verify: { jwt: { audience: 'https://example.org', claims: { email: 'a@b.example' } } } },
};
const RULES: [string, Rules][] = [
  ...[...PRESETS.keys()]
    .filter((name) => name !== 'generic')
    .map((name) => [name, { preset: name, ...SAID[name] }] as const),
  ...Object.entries(EXTRA).map(([name, verify]) => [name, { preset: 'generic', verify }] as const),
]
  .map(([name, settings]): [string, Rules] => [name, compileRules(settings)])
  .filter(([, rules]) => !isCertified(rules));

describe.each(RULES)('%s', (_, rules) => {
  const { check } = rules;
  const titles = new Set(rules.types.flat().map(({ title }) => title));
  const alike = rules.ids.flat().some(({ title }) => titles.has(title));
  const given = fc
    .record({ both: secretsOf(rules), id: words(rules.ids), type: words(rules.types), nonce })
    // One place cannot hold two texts.
    .map((input) => (alike && input.id !== undefined ? { ...input, type: undefined } : input));
  const made = ({ both, ...rest }: typeof given extends fc.Arbitrary<infer T> ? T : never) => ({
    stored: lasting(both.stored),
    sample: makeSample({ rules, url: URL_HERE, nowMs: NOW_MS, ...both.signing, ...rest }),
  });
  const runs = { numRuns: check && 'algorithm' in check && /rs|ps/.test(check.algorithm) ? 15 : 60 };

  test('is accepted, and known by the id and the type that were put in', () => {
    fc.assert(
      fc.property(given, (input) => {
        const { sample, stored } = made(input);
        expect(verdictOn(rules, stored, incomingOf(sample))).toEqual({
          kind: 'accepted',
          verified: PROOF[check?.scheme ?? 'none'] ?? 'signed',
        });
        const event = identify(rules, incomingOf(sample));
        if (input.id !== undefined) expect(event.event_id).toBe(input.id);
        if (input.type !== undefined) expect(event.event_type).toBe(input.type);
        expect(event).toEqual({ event_id: sample.event_id, event_type: sample.event_type });
        if (rules.types.length > 0) expect(event.event_type).not.toBeNull();
        if (rules.ids.length > 0) expect(event.event_id).not.toBeNull();
      }),
      runs,
    );
  });

  test('two of them are two events', () => {
    const [a, b] = ['0'.repeat(24), '1'.repeat(24)].map(
      (one) =>
        fc.sample(given, { numRuns: 1, seed: 1 }).map((input) => made({ ...input, id: undefined, nonce: one }))[0]
          ?.sample,
    );
    expect(a?.body.equals(b?.body as Buffer) && a.url === b?.url && `${a.headers}` === `${b?.headers}`).toBe(false);
    if (rules.ids.length > 0) expect(a?.event_id).not.toBe(b?.event_id);
  });

  if (check && 'template' in check)
    test('one changed byte of what is signed, or of the secret, is refused', () => {
      fc.assert(
        fc.property(given, fc.nat(), fc.integer({ min: 1, max: 255 }), (input, at, by) => {
          const { sample, stored } = made(input);
          const whole = incomingOf(sample);
          const body = Buffer.from(whole.body);
          const where = at % Math.max(body.length, 1);
          body[where] = (body[where] ?? 0) ^ by;
          const url = Buffer.from(whole.publicUrl);
          url[url.length - 1] = (url.at(-1) ?? 0) ^ (by & 0x0f || 1);
          const signed = (one: Incoming) => {
            const message = readMessage(check, one);
            if ('fault' in message) return undefined;
            // Hex is the same in capitals.
            const signatures = message.signatures.map((text) => (check.encoding === 'hex' ? text.toLowerCase() : text));
            return JSON.stringify([message.forms, signatures, message.timeMs]);
          };
          for (const changed of [
            { ...whole, body },
            { ...whole, publicUrl: url.toString() },
          ])
            if (signed(changed) !== signed(whole))
              expect(verdictOn(rules, stored, changed).kind, changed.body.toString()).not.toBe('accepted');
          if (check.template.some(({ kind }) => kind === 'body') && body.length > 0)
            expect(signed({ ...whole, body })).not.toBe(signed(whole));
          if (!needsKey(rules) && check.keyEncoding === 'utf8')
            expect(verdictOn(rules, lasting(`${input.both.stored}x`), whole).kind).toBe('signature');
        }),
        runs,
      );
    });

  test('any text is either put in as it is, or a fault tells why not', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(given, text, text, (input, type, id) => {
        try {
          const { sample } = made({ ...input, type, id });
          const { event_id, event_type } = identify(rules, incomingOf(sample));
          expect([event_id, event_type]).toEqual([id, type]);
        } catch (error) {
          if (!(error instanceof SampleFault)) throw error;
          expect(error.message).toMatch(/^[A-Z].*\.$/s);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('a body of ones own', () => {
  const make = (preset: string, body: string, more: Partial<SampleInput> = {}) =>
    makeSample({
      rules: compileRules({ preset }),
      secret: 'whsec_c2VjcmV0',
      url: URL_HERE,
      nowMs: NOW_MS,
      nonce: 'a'.repeat(24),
      body: Buffer.from(body),
      ...more,
    });
  test('stays as it is, byte by byte, while nothing has to be written into it', () => {
    const body = '{ "id" : "evt_9", "type": "a.b" }\n';
    expect(make('stripe', body)).toMatchObject({ body: Buffer.from(body), event_id: 'evt_9', event_type: 'a.b' });
    expect(make('github', 'no JSON', { type: 'push' }).body.toString()).toBe('no JSON');
    expect(make('salesforce', '<x/>').body.toString()).toBe('<x/>');
  });
  test('gets the id, the type and the time that the rules look for in it', () => {
    expect(make('stripe', '{"id":"evt_9","a":1}', { id: 'evt_1', type: 'x' })).toMatchObject({
      body: Buffer.from('{"id":"evt_1","a":1,"type":"x"}'),
      event_id: 'evt_1',
      event_type: 'x',
    });
    const linear = make('linear', '{"webhookTimestamp":1}');
    expect(JSON.parse(linear.body.toString())).toEqual({ webhookTimestamp: NOW_MS });
    expect(linear).toMatchObject({ event_type: 'Issue', event_id: expect.stringMatching(/^sample_/) });
    expect(() => make('stripe', 'no JSON', { type: 'x' })).toThrow(SampleFault);
  });
});

describe('what cannot be made is told', () => {
  const make = (preset: string, more: Partial<SampleInput>) => () =>
    makeSample({ rules: compileRules({ preset }), url: URL_HERE, nowMs: NOW_MS, nonce: 'b'.repeat(24), ...more });
  test.each<[string, Partial<SampleInput>, RegExp]>([
    ['stripe', {}, /secret is missing/],
    ['discord', {}, /public key/],
    ['sns', { secret: 'arn:aws:sns:eu-west-1:1:t' }, /its certificate does/],
    ['paypal', { secret: 'WH-1' }, /its certificate does/],
    ['pubsub', { key: rsa.privateKey }, /set verify.jwt.claims/],
    ['discord', { secret: 'ab'.repeat(32) }, /public key/],
    ['telegram', { secret: 's', type: 'message' }, /reads no event type/],
    ['airtable', { secret: 'c2Vj', id: 'x' }, /reads no event id/],
    ['webex', { secret: 's', type: 'messages' }, /more than one part, joined by \/, such as messages\/created/],
    ['airtable', { secret: 'not base64!' }, /no key/],
    ['github', { secret: 's', type: 'a\nb' }, /X-GitHub-Event header cannot carry/],
    [
      'zoom',
      { secret: 's', type: 'endpoint.url_validation', body: Buffer.from('{"payload":{"plainToken":"x"}}') },
      /handshake/,
    ],
  ])('%s %o', (preset, more, words) => {
    expect(make(preset, more)).toThrow(words);
    expect(make(preset, more)).toThrow(SampleFault);
  });
});

describe("the providers' own libraries accept it", () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  const make = (preset: string, secret: string) => {
    const rules = compileRules({ preset });
    const { algorithm = '' } = rules.check && 'algorithm' in rules.check ? rules.check : {};
    const signing = needsKey(rules) ? { key: PAIRS[algorithm]?.privateKey } : { secret };
    const sample = incomingOf(
      makeSample({ rules, url: `${URL_HERE}?a=1`, nowMs: NOW_MS, nonce: 'c0ffee'.repeat(4), ...signing }),
    );
    const all = Object.fromEntries(
      sample.headers.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), sample.headers[i + 1] ?? '']] : [])),
    );
    return { ...sample, text: sample.body.toString(), all, header: (name: string) => headerOf(sample, name) ?? '' };
  };
  const secret = `whsec_${Buffer.from('a secret of some length').toString('base64')}`;

  test('stripe', () => {
    const { text, header } = make('stripe', secret);
    expect(Stripe.webhooks.constructEvent(text, header('stripe-signature'), secret).type).toBe('invoice.paid');
  });
  test('twilio', () => {
    const { body, header, publicUrl } = make('twilio', 'token');
    expect(validateRequest('token', header('x-twilio-signature'), publicUrl, Object.fromEntries(pairsOf(body)))).toBe(
      true,
    );
  });
  test.each(['standard-webhooks', 'svix', 'gitlab-signing', 'clerk', 'resend', 'openai'])(
    'standardwebhooks: %s',
    (preset) => {
      const { text, all } = make(preset, secret);
      expect(new Webhook(secret).verify(text, all)).toMatchObject({});
    },
  );
  test.each(['supabase', 'bigcommerce'])('standardwebhooks, as documented: %s', (preset) => {
    const own = preset === 'supabase' ? `v1,${secret}` : 'client secret';
    const { text, all } = make(preset, own);
    const theirs = preset === 'supabase' ? secret : Buffer.from(own).toString('base64');
    expect(new Webhook(theirs).verify(text, all)).toMatchObject({});
  });
  test('github', async () => {
    const { text, header } = make('github', secret);
    expect(await octokit(secret, text, header('x-hub-signature-256'))).toBe(true);
  });
  test('discord', async () => {
    const { body, header } = make('discord', '');
    const hex = PAIRS.ed25519?.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex') ?? '';
    const [signature, time] = [header('x-signature-ed25519'), header('x-signature-timestamp')];
    expect(await verifyKey(body, signature, time, hex)).toBe(true);
    expect(await verifyKey(Buffer.concat([body, body]), signature, time, hex)).toBe(false);
  });
  test('razorpay', () => {
    const { text, header } = make('razorpay', secret);
    expect(Razorpay.validateWebhookSignature(text, header('x-razorpay-signature'), secret)).toBe(true);
  });
  test('cloudinary', () => {
    const { text, header } = make('cloudinary', secret);
    cloudinary.config({ api_secret: secret, signature_algorithm: 'sha1' });
    const time = Number(header('x-cld-timestamp'));
    expect(cloudinary.utils.verifyNotificationSignature(text, time, header('x-cld-signature'))).toBe(true);
  });
  test('paddle', async () => {
    const { text, header } = make('paddle', 'pdl_ntfset_1');
    const { webhooks } = new Paddle('no key is needed');
    const signature = header('paddle-signature');
    expect(await webhooks.isSignatureValid(text, 'pdl_ntfset_1', signature)).toBe(true);
    expect(await webhooks.isSignatureValid(`${text} `, 'pdl_ntfset_1', signature)).toBe(false);
  });
  test('sendgrid', () => {
    const { text, header } = make('sendgrid', '');
    const key = PAIRS['ecdsa-p256']?.publicKey.export({ format: 'der', type: 'spki' }).toString('base64') ?? '';
    const theirs = new EventWebhook();
    const verify = (body: string) =>
      theirs.verifySignature(
        theirs.convertPublicKeyToECDSA(key),
        body,
        header('x-twilio-email-event-webhook-signature'),
        header('x-twilio-email-event-webhook-timestamp'),
      );
    expect([verify(text), verify(`${text} `)]).toEqual([true, false]);
  });
  test('sanity', async () => {
    const { text, header } = make('sanity', secret);
    const signature = header('sanity-webhook-signature');
    expect(await isValidSignature(text, signature, secret)).toBe(true);
    expect(await isValidSignature(`${text} `, signature, secret)).toBe(false);
  });
  // Their documentations verify by a library for tokens, of which this is one.
  test.each<[string, string, object]>([
    ['netlify', 'X-Webhook-Signature', { issuer: 'netlify' }],
    ['monday-app', 'Authorization', {}],
    ['vonage', 'Authorization', {}],
    ['messagebird', 'MessageBird-Signature-JWT', { issuer: 'MessageBird' }],
    ['plaid', 'Plaid-Verification', { maxTokenAge: 300 }],
  ])('jose: %s', async (preset, name, wanted) => {
    const { body, header } = make(preset, secret);
    const { algorithm = '', bodyClaim = '' } = compileRules({ preset }).check as TokenCheck;
    const key = needsKey(compileRules({ preset })) ? PAIRS[algorithm]?.publicKey : Buffer.from(secret);
    const token = header(name.toLowerCase()).replace('Bearer ', '');
    const options = { algorithms: [algorithm.toUpperCase()], currentDate: new Date(NOW_MS), ...wanted };
    const { payload } = await jwtVerify(token, key as KeyObject, options);
    if (bodyClaim !== '') expect(payload[bodyClaim]).toBe(createHash('sha256').update(body).digest('hex'));
  });
});

// Only Amazon can sign what it sends: these are requests of ours, with a certificate of ours, which its library fetches by itself.
test('sns-validator takes what is taken here, and refuses a changed member', async () => {
  const { sns = expect.fail('sns') } = SENDERS;
  const { url, pem } = sns.certificate ?? expect.fail('sns');
  const vendor = await startVendor([new URL(url).hostname]);
  vendor.files.set(url, pem);
  const before = https.globalAgent;
  https.globalAgent = vendor.agent;
  try {
    const { secret, signing } = sns.keys();
    const { incoming } = await sns.send({ signing, body: sns.body, nowMs: NOW_MS, url: URL_HERE });
    expect(verdictOn(compileRules({ preset: 'sns' }), lasting(secret), incoming).kind).toBe('accepted');
    const message = JSON.parse(incoming.body.toString()) as Record<string, unknown>;
    const theirs = (one: Record<string, unknown>) =>
      new Promise<boolean>((resolve) => new SnsValidator().validate(one, (error) => resolve(!error)));
    expect(await theirs(message)).toBe(true);
    for (const name of ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'])
      expect(await theirs({ ...message, [name]: `${message[name]}x` }), name).toBe(false);
    expect(vendor.asked).toEqual([url]);
  } finally {
    https.globalAgent = before;
    await vendor.close();
  }
});
