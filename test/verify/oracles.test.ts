// Our verdicts against those of the providers' own libraries, on random requests; every known difference stands here, explained.
import { isUtf8 } from 'node:buffer';
import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { parse, stringify } from 'node:querystring';
import { verify as octokit } from '@octokit/webhooks-methods';
import { v2 as cloudinary } from 'cloudinary';
import { verifyKey } from 'discord-interactions';
import fc from 'fast-check';
import Razorpay from 'razorpay';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { getExpectedTwilioSignature, validateRequest, validateRequestWithBody } from 'twilio/lib/webhooks/webhooks.js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compileRules } from '../../src/verify/rules.ts';
import { type Given, lasting, NOW_MS, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const RUNS = 1500;
const NOW_S = Math.floor(NOW_MS / 1000);
const accepts = (preset: string, secret: string, given: Given): boolean =>
  verdictOn(compileRules({ preset }), lasting(secret), request(given)).kind === 'accepted';

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text)),
);
const key = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 }).filter((text) => text.trim() === text);
/** What is wrong with a request: nothing, mostly. */
const fault = fc.constantFrom('none', 'none', 'none', 'body', 'secret', 'signature', 'cut');
const seconds = fc.oneof(fc.integer({ min: -700, max: 700 }), fc.constantFrom(-301, -300, -299, 299, 300, 301));
/** Libraries that make a text of the body lose these bytes. */
const isText = (body: Buffer) => isUtf8(body) && !(body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf);

const changed = (body: Buffer): Buffer => Buffer.concat([body, Buffer.from('}')]);
const broken = (signature: string): string => {
  const first = signature[0] === '1' ? '2' : '1';
  return first + signature.slice(1);
};
const spoilt = (signature: string, kind: string): string =>
  kind === 'signature' ? broken(signature) : kind === 'cut' ? signature.slice(0, -1) : signature;

describe('stripe', () => {
  const theirs = (body: Buffer | string, header: string, secret: string): boolean => {
    try {
      return Stripe.webhooks.signature?.verifyHeader(body, header, secret, 300, undefined, NOW_MS) ?? false;
    } catch {
      return false;
    }
  };
  const ours = (body: Buffer, header: string, secret: string) =>
    accepts('stripe', secret, { body, headers: { 'Stripe-Signature': header } });
  const signed = (body: Buffer, secret: string, time: number | string) =>
    createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');

  test('the same verdicts on random bodies, keys, times and headers', () => {
    const more = fc.array(fc.constantFrom('v0=00', `v1=${'0'.repeat(64)}`, 'v2=x', 'x'), { maxLength: 3 });
    fc.assert(
      fc.property(bytes, key, seconds, fault, more, fc.boolean(), (raw, secret, offset, wrong, items, first) => {
        const body = Buffer.from(raw);
        const time = NOW_S + offset;
        const signature = spoilt(signed(body, wrong === 'secret' ? `${secret}x` : secret, time), wrong);
        const own = [`v1=${signature}`];
        const header = [`t=${time}`, ...(first ? own : []), ...items, ...(first ? [] : own)].join(',');
        const sent = wrong === 'body' ? changed(body) : body;
        const genuine = wrong === 'none';
        // Known: a byte order mark and invalid UTF-8 fail there, and a time in the future passes.
        const expected =
          isText(sent) && offset <= 300 ? theirs(sent, header, secret) : genuine && Math.abs(offset) <= 300;
        expect(ours(sent, header, secret)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test.each<[string, Buffer, (signature: string) => string, boolean, boolean]>([
    ['a byte order mark', Buffer.from('\ufeff{}'), (v1) => `t=${NOW_S},v1=${v1}`, true, false],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), (v1) => `t=${NOW_S},v1=${v1}`, true, false],
    ['a signature in capitals', Buffer.from('{}'), (v1) => `t=${NOW_S},v1=${v1.toUpperCase()}`, true, false],
    ['a space behind the comma', Buffer.from('{}'), (v1) => `t=${NOW_S}, v1=${v1}`, true, false],
    ['an empty signature beside a right one', Buffer.from('{}'), (v1) => `t=${NOW_S},v1=,v1=${v1}`, true, false],
    ['letters behind the time', Buffer.from('{}'), (v1) => `t=${NOW_S}x,v1=${v1}`, false, true],
    ['a second equals sign', Buffer.from('{}'), (v1) => `t=${NOW_S},v1=${v1}=x`, false, true],
  ])('known difference: %s', (_, body, header, here, there) => {
    const text = header(signed(body, 'whsec_x', NOW_S));
    expect([ours(body, text, 'whsec_x'), theirs(body, text, 'whsec_x')]).toEqual([here, there]);
  });

  test('known difference: no body, where it is given as a text', () => {
    const header = `t=${NOW_S},v1=${signed(Buffer.alloc(0), 'k', NOW_S)}`;
    expect([ours(Buffer.alloc(0), header, 'k'), theirs('', header, 'k')]).toEqual([true, false]);
  });

  test('known difference: a time in the future is refused here, as one in the past', () => {
    const header = `t=${NOW_S + 301},v1=${signed(Buffer.from('{}'), 'k', NOW_S + 301)}`;
    expect([ours(Buffer.from('{}'), header, 'k'), theirs(Buffer.from('{}'), header, 'k')]).toEqual([false, true]);
  });
});

describe('twilio', () => {
  const name = fc.oneof(
    fc.constantFrom('Body', 'From', 'To', 'MessageSid', 'MediaUrl0', 'a', 'A'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  );
  const pairs = fc.array(fc.tuple(name, fc.string({ unit: 'grapheme', maxLength: 30 })), { maxLength: 12 });
  const target = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      fc.constantFrom(
        'h.example',
        'h.example:8443',
        'h.example:443',
        'h.example:80',
        '127.0.0.1:9',
        '[::1]:81',
        'u:p@h.example',
      ),
      fc.stringMatching(/^[A-Za-z0-9_.~!$&'()*+,;=:@%/-]{0,20}$/),
      fc.option(fc.stringMatching(/^[A-Za-z0-9_.~!$&'()*+,;=:@%/?"<>^|{}-]{0,30}$/)),
    )
    .map(([scheme, host, path, query]) => `${scheme}://${host}/${path}${query === null ? '' : `?${query}`}`)
    .filter((url) => URL.canParse(url));
  const form = fc.constantFrom('as it is', 'with a port', 'without', 'normal', 'old query');
  const asSigned = (url: string, kind: string): string => {
    const { protocol, port } = new URL(url);
    if (kind === 'with a port' && port === '' && !/:\d+\//.test(url))
      return url.replace(/^(\w+:\/\/[^/]+)/, `$1${protocol === 'https:' ? ':443' : ':80'}`);
    if (kind === 'without') return url.replace(/^(\w+:\/\/(?:[^/@]*@)?[^/]*?)(:\d+)?\//, '$1/');
    const normal = new URL(url).href;
    if (kind === 'normal') return normal;
    const query = normal.indexOf('?');
    if (kind === 'old query' && query > 0 && query < normal.length - 1)
      return `${normal.slice(0, query)}?${stringify(parse(normal.slice(query + 1)))}`;
    return url;
  };
  const objectOf = (list: readonly (readonly [string, string])[]) => {
    // No prototype: toString and __proto__ are names like others.
    const params: Record<string, string | string[]> = Object.create(null);
    for (const [param, value] of list) {
      const known = params[param];
      params[param] = known === undefined ? value : [...[known].flat(), value];
    }
    return params;
  };
  const encoded = (list: readonly (readonly [string, string])[]) =>
    list.map((pair) => pair.map((text) => encodeURIComponent(text).replaceAll('%20', '+')).join('=')).join('&');
  const ours = (
    token: string,
    signature: string,
    url: string,
    body: string | Buffer,
    type = 'application/x-www-form-urlencoded',
  ) => accepts('twilio', token, { url, body, headers: { 'Content-Type': type, 'X-Twilio-Signature': signature } });

  test('the same verdicts on random URLs, parameters and tokens', () => {
    fc.assert(
      fc.property(target, pairs, key, fault, form, (url, list, token, wrong, kind) => {
        const params = objectOf(list);
        const signature = spoilt(
          getExpectedTwilioSignature(wrong === 'secret' ? `${token}x` : token, asSigned(url, kind), params),
          wrong,
        );
        const sent = wrong === 'body' ? [...list, ['Zz', '1'] as const] : list;
        expect(ours(token, signature, url, encoded(sent))).toBe(validateRequest(token, signature, url, objectOf(sent)));
        if (wrong === 'none') expect(ours(token, signature, url, encoded(sent)), url).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test('the same verdicts on JSON bodies under bodySHA256', () => {
    const text = fc.oneof(fc.json(), fc.string({ unit: 'grapheme', maxLength: 100 }));
    fc.assert(
      fc.property(text, key, fault, fc.boolean(), (body, token, wrong, early) => {
        const hash = createHash('sha256').update(body).digest('hex');
        const url = `https://h.example/in/k?${early ? `bodySHA256=${hash}&a=1` : `a=%27&bodySHA256=${hash}`}`;
        const signature = spoilt(getExpectedTwilioSignature(wrong === 'secret' ? `${token}x` : token, url, {}), wrong);
        const sent = wrong === 'body' ? `${body} ` : body;
        const expected = validateRequestWithBody(token, signature, url, sent);
        expect(ours(token, signature, url, sent, 'application/json')).toBe(expected);
        expect(expected).toBe(wrong === 'none');
      }),
      { numRuns: RUNS },
    );
  });

  test('known difference: a body that nothing signs is refused here', () => {
    // Their middleware finds no parameters in it and looks at the URL alone: any body would pass behind a signed URL.
    const url = 'https://h.example/in/k';
    const signature = getExpectedTwilioSignature('t', url, {});
    expect(validateRequest('t', signature, url, {})).toBe(true);
    expect(ours('t', signature, url, '{"forged":1}', 'application/json')).toBe(false);
    expect(ours('t', signature, url, 'a=1', 'text/plain')).toBe(false);
    expect(ours('t', signature, url, '&&', 'text/plain')).toBe(false);
    expect(ours('t', signature, url, '')).toBe(true);
  });

  test('known difference: bytes that are no UTF-8 are signed as they are, not as replacement characters', () => {
    const url = 'https://h.example/in/k';
    const signature = createHmac('sha1', 't')
      .update(`${url}Body`)
      .update(Buffer.from([0xff]))
      .digest('base64');
    expect(ours('t', signature, url, 'Body=%FF')).toBe(true);
    expect(validateRequest('t', signature, url, { Body: '\ufffd' })).toBe(false);
  });

  test('known difference: a hash in capitals is the same hash', () => {
    const hash = createHash('sha256').update('{}').digest('hex').toUpperCase();
    const url = `https://h.example/in/k?bodySHA256=${hash}`;
    const signature = getExpectedTwilioSignature('t', url, {});
    expect([
      ours('t', signature, url, '{}', 'application/json'),
      validateRequestWithBody('t', signature, url, '{}'),
    ]).toEqual([true, false]);
  });
});

describe('standardwebhooks', () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  const theirs = (secret: string, body: Buffer, headers: Record<string, string>): boolean => {
    try {
      new Webhook(secret).verify(body, headers, { jsonParse: false });
      return true;
    } catch {
      return false;
    }
  };
  const ours = (preset: string, secret: string, body: Buffer, headers: Record<string, string>) =>
    accepts(preset, secret, { body, headers });
  const signed = (secret: string, id: string, time: number | string, body: Buffer) =>
    createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(`${id}.${time}.`)
      .update(body)
      .digest('base64');
  const headersOf = (id: string, time: number | string, signature: string) => ({
    'webhook-id': id,
    'webhook-timestamp': String(time),
    'webhook-signature': signature,
  });
  const secretOf = fc
    .uint8Array({ minLength: 1, maxLength: 64 })
    .map((raw) => `whsec_${Buffer.from(raw).toString('base64')}`);

  test('the same verdicts on random bodies, ids, keys, times and lists of signatures', () => {
    const ids = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 }).filter((id) => id.trim() === id);
    const more = fc.array(fc.constantFrom('v1a,AAAA', 'v2,x', 'v1,', 'v1,AAAA', 'v1', 'x'), { maxLength: 3 });
    fc.assert(
      fc.property(bytes, secretOf, ids, seconds, fault, more, (raw, secret, id, offset, wrong, items) => {
        const body = Buffer.from(raw);
        const time = NOW_S + offset;
        const key = wrong === 'secret' ? 'whsec_bm90IHRoaXMgb25l' : secret;
        const signature = spoilt(signed(key, id, time, body), wrong);
        const sent = wrong === 'body' ? changed(body) : body;
        const headers = headersOf(id, time, [...items, `v1,${signature}`].join(' '));
        // Known: they make a text of the body, so invalid UTF-8 fails there. A byte order mark stays.
        const expected = isUtf8(sent) ? theirs(secret, sent, headers) : wrong === 'none' && Math.abs(offset) <= 300;
        expect(ours('standard-webhooks', secret, sent, headers)).toBe(expected);
        const svix = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.replace('webhook', 'svix'), value]),
        );
        expect(ours('svix', secret, sent, svix)).toBe(expected);
        expect(ours('gitlab-signing', secret, sent, headers)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });

  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const both = (body: Buffer, headers: Record<string, string>, theirSecret = secret) => [
    ours('standard-webhooks', theirSecret, body, headers),
    theirs(theirSecret, body, headers),
  ];
  test('known difference: invalid UTF-8', () => {
    const body = Buffer.from([0x22, 0xff, 0x22]);
    expect(both(body, headersOf('m', NOW_S, `v1,${signed(secret, 'm', NOW_S, body)}`))).toEqual([true, false]);
  });
  test('known difference: a time must be digits here; there what parseInt makes of it is signed', () => {
    const body = Buffer.from('{}');
    expect(both(body, headersOf('m', `${NOW_S}x`, `v1,${signed(secret, 'm', NOW_S, body)}`))).toEqual([false, true]);
  });
  test('known difference: what follows a second comma counts here', () => {
    const body = Buffer.from('{}');
    expect(both(body, headersOf('m', NOW_S, `v1,${signed(secret, 'm', NOW_S, body)},x`))).toEqual([false, true]);
  });
  test('known difference: an id beyond ASCII is signed as the bytes that came', () => {
    const body = Buffer.from('{}');
    const wire = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(Buffer.from('é', 'latin1'))
      .update(`.${NOW_S}.{}`)
      .digest('base64');
    expect(both(body, headersOf('é', NOW_S, `v1,${wire}`))).toEqual([true, false]);
  });
  test('known difference: a secret in the alphabet of base64 that is made for URLs', () => {
    const body = Buffer.from('{}');
    const short = 'whsec_-_8A-_8A';
    expect(both(body, headersOf('m', NOW_S, `v1,${signed(short, 'm', NOW_S, body)}`), short)).toEqual([true, false]);
  });
});

describe('standardwebhooks, as the documentation of a provider uses it', () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  test.each<[string, (text: string) => string, (text: string) => string]>([
    ['bigcommerce', (text) => text, (text) => Buffer.from(text).toString('base64')],
    [
      'supabase',
      (text) => `v1,whsec_${Buffer.from(text).toString('base64')}`,
      (text) => Buffer.from(text).toString('base64'),
    ],
  ])('%s: the same verdicts on random bodies and keys', (preset, secretOf, theirKey) => {
    fc.assert(
      fc.property(fc.json(), key, fault, seconds, (body, text, wrong, offset) => {
        const webhook = new Webhook(theirKey(text));
        const time = new Date((NOW_S + offset) * 1000);
        const signature = new Webhook(theirKey(wrong === 'secret' ? `${text}x` : text)).sign('m', time, body);
        const headers = {
          'webhook-id': 'm',
          'webhook-timestamp': String(NOW_S + offset),
          'webhook-signature': `v1,${spoilt(signature.slice(3), wrong)}`,
        };
        const sent = wrong === 'body' ? `${body}}` : body;
        let theirs = true;
        try {
          webhook.verify(sent, headers, { jsonParse: false });
        } catch {
          theirs = false;
        }
        expect(accepts(preset, secretOf(text), { body: sent, headers })).toBe(theirs);
      }),
      { numRuns: RUNS / 3 },
    );
  });
});

describe('@octokit/webhooks-methods', () => {
  const theirs = async (secret: string, body: Buffer, header: string): Promise<boolean> => {
    try {
      return await octokit(secret, body.toString('utf8'), header);
    } catch {
      return false;
    }
  };
  const ours = (secret: string, body: Buffer, header: string) =>
    accepts('github', secret, { body, headers: { 'X-Hub-Signature-256': header } });
  const signed = (secret: string, body: Buffer) => createHmac('sha256', secret).update(body).digest('hex');

  test('the same verdicts on random bodies and keys', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, key, fault, async (raw, secret, wrong) => {
        const body = Buffer.from(raw);
        const header = `sha256=${spoilt(signed(wrong === 'secret' ? `${secret}x` : secret, body), wrong)}`;
        const sent = wrong === 'body' ? changed(body) : body;
        // Known: no body and invalid UTF-8 fail there.
        const expected = isUtf8(sent) && sent.length > 0 ? await theirs(secret, sent, header) : wrong === 'none';
        expect(ours(secret, sent, header)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test.each<[string, Buffer, (hex: string) => string, boolean, boolean]>([
    ['no body', Buffer.alloc(0), (hex) => `sha256=${hex}`, true, false],
    ['invalid UTF-8', Buffer.from([0xff]), (hex) => `sha256=${hex}`, true, false],
    ['a signature in capitals', Buffer.from('{}'), (hex) => `sha256=${hex.toUpperCase()}`, true, false],
  ])('known difference: %s', async (_, body, header, here, there) => {
    const text = header(signed('s', body));
    expect([ours('s', body, text), await theirs('s', body, text)]).toEqual([here, there]);
  });
});

describe('discord-interactions', () => {
  const pairs = Array.from({ length: 20 }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    return { publicHex: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'), privateKey };
  });
  const ours = (publicHex: string, body: Buffer, time: string, signature: string) => {
    const headers = { 'X-Signature-Timestamp': time, 'X-Signature-Ed25519': signature };
    const { kind } = verdictOn(compileRules({ preset: 'discord' }), lasting(publicHex), request({ body, headers }));
    return kind !== 'signature';
  };

  test('the same verdicts on random bodies, keys and times', async () => {
    const time = fc.oneof(
      fc.integer({ min: 0, max: 2 ** 34 }).map(String),
      fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom(...pairs), time, fault, async (raw, pair, stamp, wrong) => {
        const body = Buffer.from(raw);
        const by = wrong === 'secret' ? (pairs[0] as (typeof pairs)[0]) : pair;
        const signature = spoilt(
          sign(null, Buffer.concat([Buffer.from(stamp), body]), by.privateKey).toString('hex'),
          wrong,
        );
        const sent = wrong === 'body' ? changed(body) : body;
        // Known: a signature that lost a character reads there as one whose last byte is small, and may even be right.
        const expected = wrong === 'cut' ? false : await verifyKey(sent, signature, stamp, pair.publicHex);
        expect(ours(pair.publicHex, sent, stamp, signature)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test('known difference: a signature has one spelling here', async () => {
    const { publicHex, privateKey } = pairs[0] as (typeof pairs)[0];
    const body = Buffer.from('{}');
    // The last byte of a signature is below 16: written with one digit it is the same number to them.
    const signature = sign(null, Buffer.concat([Buffer.from('1'), body]), privateKey).toString('hex');
    const short = signature.slice(0, -2) + signature.slice(-1);
    expect(signature.at(-2)).toBe('0');
    expect([ours(publicHex, body, '1', short), await verifyKey(body, short, '1', publicHex)]).toEqual([false, true]);
  });
});

describe('razorpay', () => {
  const theirs = (body: string, signature: string, secret: string) =>
    Razorpay.validateWebhookSignature(body, signature, secret);
  const ours = (body: Buffer, signature: string, secret: string) =>
    accepts('razorpay', secret, { body, headers: { 'X-Razorpay-Signature': signature } });

  test('the same verdicts on random bodies and keys', () => {
    fc.assert(
      fc.property(bytes, key, fault, (raw, secret, wrong) => {
        const body = Buffer.from(raw);
        const by = wrong === 'secret' ? `${secret}x` : secret;
        const signature = spoilt(createHmac('sha256', by).update(body).digest('hex'), wrong);
        const sent = wrong === 'body' ? changed(body) : body;
        // Known: it takes a text, which loses bytes that are no UTF-8.
        const expected = isUtf8(sent) ? theirs(sent.toString('utf8'), signature, secret) : wrong === 'none';
        expect(ours(sent, signature, secret)).toBe(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test('known difference: a signature in capitals', () => {
    const signature = createHmac('sha256', 's').update('{}').digest('hex').toUpperCase();
    expect([ours(Buffer.from('{}'), signature, 's'), theirs('{}', signature, 's')]).toEqual([true, false]);
  });
});

describe.each(['sha1', 'sha256'] as const)('cloudinary with %s', (algorithm) => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());
  const theirs = (body: Buffer, time: number, signature: string, secret: string): boolean => {
    cloudinary.config({ api_secret: secret, signature_algorithm: algorithm });
    return cloudinary.utils.verifyNotificationSignature(body.toString('utf8'), time, signature);
  };
  const ours = (body: Buffer, time: number, signature: string, secret: string) => {
    const headers = { 'X-Cld-Timestamp': String(time), 'X-Cld-Signature': signature };
    const rules = compileRules({ preset: 'cloudinary', verify: { algorithm } });
    return verdictOn(rules, lasting(secret), request({ body, headers })).kind === 'accepted';
  };
  const near = fc.oneof(fc.integer({ min: -9000, max: 9000 }), fc.constantFrom(-7201, -7200, -7199, 7200, 7201));

  test('the same verdicts on random bodies, keys and times', () => {
    fc.assert(
      fc.property(bytes, key, near, fault, (raw, secret, offset, wrong) => {
        // Known: it takes no empty text.
        const body = raw.length === 0 ? Buffer.from('{}') : Buffer.from(raw);
        const time = NOW_S + offset;
        const by = wrong === 'secret' ? `${secret}x` : secret;
        const digest = createHash(algorithm).update(body).update(`${time}${by}`).digest('hex');
        const signature = spoilt(digest, wrong);
        const sent = wrong === 'body' ? changed(body) : body;
        // Known: bytes that are no UTF-8 fail there, and a time in the future passes.
        const expected =
          isUtf8(sent) && offset <= 7200
            ? theirs(sent, time, signature, secret)
            : wrong === 'none' && Math.abs(offset) <= 7200;
        expect(ours(sent, time, signature, secret)).toBe(expected);
      }),
      { numRuns: RUNS / 3 },
    );
  });

  test('known difference: a time in the future is refused here', () => {
    const time = NOW_S + 7201;
    const signature = createHash(algorithm).update(`{}${time}s`).digest('hex');
    const body = Buffer.from('{}');
    expect([ours(body, time, signature, 's'), theirs(body, time, signature, 's')]).toEqual([false, true]);
  });
});
