// Requests that providers really send and that were refused once: each with the page or the library that says so.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { brotliCompressSync, crc32, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { withDecoded } from '../../src/verify/decode.ts';
import { identify } from '../../src/verify/identify.ts';
import { nearMiss } from '../../src/verify/near-miss.ts';
import { compileRules, RuleError } from '../../src/verify/rules.ts';
import { watchStalls } from '../support/stalls.ts';
import { type Given, lasting, NOW_MS, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const judged = (preset: string, secret: string, given: Given, verify?: VerifyInput) =>
  verdictOn(compileRules({ preset, verify }), lasting(secret), request(given));
const hmac = (key: string, text: string | Buffer, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', key).update(text).digest(encoding);
const NOW_S = String(NOW_MS / 1000);
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
/** A form as a client sends it. */
const sentForm = async (form: FormData): Promise<Given> => {
  const answer = new Response(form);
  const headers = { 'Content-Type': answer.headers.get('content-type') ?? '' };
  return { headers, body: Buffer.from(await answer.arrayBuffer()) };
};
const known = (preset: string, given: Given) => identify(compileRules({ preset }), request(given));

describe('a byte order mark before JSON is skipped (RFC 8259, section 8.1)', () => {
  const marked = (text: string) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]);

  test('where a secret is read from each element of a list, as of Microsoft Graph', () => {
    const body = marked('{"value":[{"clientState":"cs","id":"n1"}]}');
    expect(judged('msgraph', 'cs', { body })).toEqual({ kind: 'accepted', verified: 'token' });
    expect(judged('msgraph', 'other', { body }).kind).toBe('signature');
    expect(known('msgraph', { body }).event_id).toBe('n1');
  });

  test('where a handshake, an id and a type are read', () => {
    const body = marked('{"type":"url_verification","challenge":"c","event_id":"Ev1"}');
    const time = '1764000000';
    const signature = createHmac('sha256', 's').update(`v0:${time}:`).update(body).digest('hex');
    const headers = { 'X-Slack-Request-Timestamp': time, 'X-Slack-Signature': `v0=${signature}` };
    expect(judged('slack', 's', { body, headers })).toMatchObject({ kind: 'handshake', answer: { body: 'c' } });
    expect(known('slack', { body })).toEqual({ event_id: 'Ev1', event_type: 'url_verification' });
  });
});

// https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/: timestamp, token and signature are fields.
describe('Mailgun: inbound mail is a form, with attachments a multipart form', () => {
  const token = 'a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0';
  const fields = { recipient: 'in@h.example', 'Message-Id': '<1@h.example>', token, timestamp: NOW_S, subject: 'ä' };
  const signed = (key: string) => ({ ...fields, signature: hmac(key, NOW_S + token) });

  test('a form', () => {
    const given = (key: string) => ({ headers: FORM, body: new URLSearchParams(signed(key)).toString() });
    expect(judged('mailgun', 'key', given('key'))).toEqual({ kind: 'accepted', verified: 'signed' });
    expect(judged('mailgun', 'key', given('other')).kind).toBe('signature');
    expect(known('mailgun', given('key')).event_id).toBe('<1@h.example>/in@h.example');
  });

  test('an old event as a form', () => {
    const body = new URLSearchParams({ ...signed('key'), event: 'delivered' }).toString();
    expect(known('mailgun', { headers: FORM, body })).toEqual({
      event_id: `delivered/${token}`,
      event_type: 'delivered',
    });
  });

  test.each([10, 5 * 1024 * 1024])('a multipart form with an attachment of %i bytes', async (size) => {
    const given = async (key: string, first: boolean) => {
      const form = new FormData();
      if (first) form.append('attachment-1', new File([Buffer.alloc(size, '\r\n--')], 'a.bin'));
      for (const [name, value] of Object.entries(signed(key))) form.append(name, value);
      if (!first) form.append('attachment-1', new File([Buffer.alloc(size, 1)], 'a.bin'));
      return sentForm(form);
    };
    for (const first of [true, false]) {
      expect(judged('mailgun', 'key', await given('key', first))).toEqual({ kind: 'accepted', verified: 'signed' });
      expect(judged('mailgun', 'key', await given('other', first)).kind).toBe('signature');
      expect(known('mailgun', await given('key', first)).event_id).toBe('<1@h.example>/in@h.example');
    }
  });

  test('a file is no field, and a field that is too large is not read', async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries({ timestamp: NOW_S, token })) form.append(name, value);
    form.append('signature', new File([signed('key').signature], 's'));
    expect(judged('mailgun', 'key', await sentForm(form)).kind).toBe('signature');
    const large = new FormData();
    for (const [name, value] of Object.entries(signed('key')))
      large.append(name, name === 'token' ? 'x'.repeat(2 ** 21) : value);
    expect(judged('mailgun', 'key', await sentForm(large))).toEqual({
      kind: 'signature',
      reason: expect.stringContaining('larger than 1 MiB'),
    });
  });
});

test('fields of a form and of the query are signed byte for byte', async () => {
  const verify: VerifyInput = {
    scheme: 'hmac',
    signature: { from: 'header:X-S' },
    signed_string: '{form:a}.{query:q}.{body}',
  };
  const body = Buffer.from('a=%FF%E4&b=1');
  const url = 'https://h.example/in/k?q=%C3%A4';
  const signed = hmac('k', Buffer.concat([Buffer.from([0xff, 0xe4]), Buffer.from('.ä.'), body]));
  const given = { url, body, headers: { ...FORM, 'X-S': signed } };
  expect(judged('generic', 'k', given, verify)).toEqual({ kind: 'accepted', verified: 'signed' });
});

// https://docs.docusign.com/platform/webhooks/connect/hmac/: X-DocuSign-Signature-1 to -N, one for each key of the account.
// https://developer.box.com/guides/webhooks/v2/signatures-v2/: a primary and a secondary signature, either may be right.
describe('several headers with signatures', () => {
  const verify: VerifyInput = {
    scheme: 'hmac',
    encoding: 'base64',
    signature: { from: 'header:Box-Signature-Primary,Box-Signature-Secondary', headers: 'all' },
    timestamp: { from: 'header:Box-Delivery-Timestamp', format: 'iso8601' },
    signed_string: '{body}{timestamp}',
  };
  const time = new Date(NOW_MS).toISOString();
  const given = (...keys: string[]): Given => {
    const names = ['BOX-SIGNATURE-PRIMARY', 'BOX-SIGNATURE-SECONDARY'];
    const signatures = keys.map((key, i) => [names[i], hmac(key, `{}${time}`, 'base64')]);
    return { body: '{}', headers: { 'BOX-DELIVERY-TIMESTAMP': time, ...Object.fromEntries(signatures) } };
  };

  test('either may be ours, when all are looked at', () => {
    for (const keys of [['k', 'x'], ['x', 'k'], ['k']])
      expect(judged('generic', 'k', given(...keys), verify)).toEqual({ kind: 'accepted', verified: 'signed' });
    expect(judged('generic', 'k', given('x', 'y'), verify).kind).toBe('signature');
    const first: VerifyInput = { ...verify, signature: { ...verify.signature, headers: 'first' } };
    expect(judged('generic', 'k', given('x', 'k'), first).kind).toBe('signature');
  });

  test('no more than twenty, and only headers', () => {
    const names = Array.from({ length: 21 }, (_, i) => `X-${i}`);
    const many: VerifyInput = { scheme: 'hmac', signature: { from: `header:${names.join()}`, headers: 'all' } };
    const at = (place: number) => ({
      headers: Object.fromEntries(names.map((name, i) => [name, i === place ? hmac('k', '') : '0'])),
    });
    expect(judged('generic', 'k', at(19), many).kind).toBe('accepted');
    expect(judged('generic', 'k', at(20), many).kind).toBe('signature');
    expect(() => compileRules({ verify: { scheme: 'hmac', signature: { from: 'query:s', headers: 'all' } } })).toThrow(
      RuleError,
    );
  });
});

// @adyen/api-library, getDataToSign: eight values joined by colons, absent ones as empty texts, none of them escaped. The key and
// the signature are those of its tests (and of the other official libraries).
describe('Adyen: what is absent is signed as an empty text', () => {
  const at = (name: string) => `{json:/notificationItems/0/NotificationRequestItem/${name}?}`;
  const verify: VerifyInput = {
    scheme: 'hmac',
    encoding: 'base64',
    key_encoding: 'hex',
    signature: { from: 'body:/notificationItems/0/NotificationRequestItem/additionalData/hmacSignature' },
    signed_string: [
      ...['pspReference?', 'originalReference', 'merchantAccountCode', 'merchantReference'],
      ...['amount/value', 'amount/currency', 'eventCode', 'success?'],
    ]
      .map((name) => (name.endsWith('?') ? at(name.slice(0, -1)).replace('?}', '}') : at(name)))
      .join(':'),
    covers_body: false,
  };
  const KEY = 'DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00';
  const given = (hmacSignature: string, more: object): Given => {
    const item = {
      pspReference: 'pspReference',
      merchantAccountCode: 'merchantAccount',
      merchantReference: 'reference',
      amount: { value: 1000, currency: 'EUR' },
      eventCode: 'EVENT',
      success: 'true',
      additionalData: { hmacSignature },
      ...more,
    };
    return { body: JSON.stringify({ live: 'false', notificationItems: [{ NotificationRequestItem: item }] }) };
  };

  test('the vector of the official libraries', () => {
    const vector = given('ipnxGCaUZ4l8TUW75a71/ghd2Fe5ffvX0pV4TLTntIc=', { originalReference: 'originalReference' });
    expect(judged('generic', KEY, vector, verify)).toEqual({ kind: 'accepted', verified: 'signed' });
  });

  test.each([{}, { originalReference: '' }, { originalReference: null }])(
    'without the original reference: %j',
    (more) => {
      const signed = 'pspReference::merchantAccount:reference:1000:EUR:EVENT:true';
      const signature = createHmac('sha256', Buffer.from(KEY, 'hex')).update(signed).digest('base64');
      expect(judged('generic', KEY, given(signature, more), verify).kind).toBe('accepted');
      expect(judged('generic', KEY, given(signature, { ...more, success: 'false' }), verify).kind).toBe('signature');
      expect(judged('generic', KEY, given(signature, { ...more, pspReference: undefined }), verify)).toMatchObject({
        reason: expect.stringContaining('is missing'),
      });
    },
  );

  test('another text where nothing stands, and what is too large to be read is no such place', () => {
    const one: VerifyInput = {
      scheme: 'hmac',
      signature: { from: 'header:X-S' },
      signed_string: '{header:X-A?none}{json:/a?}.{body}',
    };
    expect(judged('generic', 'k', { body: '{}', headers: { 'X-S': hmac('k', 'none.{}') } }, one).kind).toBe('accepted');
    const body = `{"b":"${'x'.repeat(2 ** 20)}"}`;
    const large = { body, headers: { 'X-S': hmac('k', `none.${body}`) } };
    expect(judged('generic', 'k', large, one)).toMatchObject({ reason: expect.stringContaining('larger than 1 MiB') });
  });

  test('one signature must not fit every request', () => {
    const covers_body = false;
    const base = { scheme: 'hmac', signature: { from: 'header:X-S' }, covers_body } as const;
    expect(() => compileRules({ verify: { ...base, signed_string: 'a{json:/a?}' } })).toThrow(RuleError);
    expect(compileRules({ verify: { ...base, signed_string: 'a{json:/a?}{json:/b}' } })).toBeTruthy();
  });
});

describe('a body that is compressed on its way', () => {
  const decodedBy = async (given: Given, verify: VerifyInput) => {
    const rules = compileRules({ verify, dedupe: { from: 'body:/id' } });
    return withDecoded(1, request(given), (ready) => ({
      verdict: verdictOn(rules, lasting('k'), ready),
      event: identify(rules, ready),
      near: nearMiss(rules, lasting('k'), ready, []),
      body: ready.body,
    }));
  };
  const over = (body?: 'decoded'): VerifyInput => ({
    scheme: 'hmac',
    signature: { from: 'header:X-S' },
    event_type: 'body:/type',
    ...(body && { body }),
  });
  const plain = '{"id":"e1","type":"t"}';
  const given = (encoding: string, bytes: Buffer, signed: string | Buffer): Given => ({
    body: bytes,
    headers: { 'Content-Encoding': encoding, 'X-S': hmac('k', signed) },
  });
  const event = { event_id: 'e1', event_type: 't' };

  test.each([
    ['gzip', gzipSync(plain)],
    ['GZIP', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['identity', Buffer.from(plain)],
  ])('%s: signed before it is compressed, or after', async (encoding, bytes) => {
    const before = await decodedBy(given(encoding, bytes, plain), over('decoded'));
    expect(before).toMatchObject({ verdict: { kind: 'accepted' }, event, body: bytes });
    expect((await decodedBy(given(encoding, bytes, bytes), over())).verdict.kind).toBe('accepted');
    expect((await decodedBy(given(encoding, bytes, bytes), over())).event).toEqual(event);
    expect((await decodedBy(given(encoding, bytes, 'other'), over('decoded'))).verdict.kind).toBe('signature');
  });

  test('the near miss names the setting', async () => {
    expect((await decodedBy(given('gzip', gzipSync(plain), plain), over())).near).toBe(
      'would verify over the decoded body: set verify.body to decoded',
    );
    const bytes = gzipSync(plain);
    expect((await decodedBy(given('gzip', bytes, bytes), over('decoded'))).near).toBe(
      'would verify over the bytes as they came: set verify.body to raw',
    );
  });

  test.each<[string, Buffer]>([
    ['no gzip at all', Buffer.from('{}')],
    ['a gzip that is cut off', gzipSync(plain).subarray(0, -4)],
    ['more than 64 MiB', gzipSync(Buffer.alloc(65 * 2 ** 20))],
    ['a ratio above 200', gzipSync(Buffer.alloc(8 * 2 ** 20))],
  ])('%s is not decoded', async (_, bytes) => {
    const { verdict, event: found } = await decodedBy(given('gzip', bytes, '{}'), over('decoded'));
    expect(verdict).toEqual({ kind: 'signature', reason: expect.stringContaining('cannot be decoded') });
    expect(found.event_type).toBeNull();
  });

  test('20 MiB of text are decoded without holding up the others', async () => {
    const words = Array.from({ length: 300_000 }, (_, i) => Math.sin(i)).join();
    const text = words.repeat(4);
    const bytes = gzipSync(text, { level: 1 });
    const incoming = request(given('gzip', bytes, text));
    // A busy machine may disturb two of three.
    const worst: number[] = [];
    for (let i = 0; i < 3; i++) {
      const stalls = watchStalls();
      expect(await withDecoded(1, incoming, ({ decoded }) => decoded?.length)).toBe(text.length);
      worst.push(stalls.worst() / stalls.slowness);
    }
    expect(Math.min(...worst)).toBeLessThan(100);
  });
});

// Observed: SharePoint validates with its parameter in lower case, where the documentation writes validationToken.
test('Microsoft Graph, SharePoint: validationtoken in lower case', () => {
  const url = (name: string) => `https://h.example/in/k?${name}=abc`;
  for (const name of ['validationtoken', 'validationToken'])
    expect(judged('msgraph', 'cs', { url: url(name) })).toMatchObject({
      kind: 'handshake',
      answer: { status: 200, content_type: 'text/plain', body: 'abc' },
    });
});

// https://docs.slack.dev/interactivity/implementing-slash-commands and .../handling-user-interaction
describe('Slack', () => {
  const post = (body: string, key = 's'): Given => ({
    body,
    headers: {
      ...FORM,
      'X-Slack-Request-Timestamp': NOW_S,
      'X-Slack-Signature': `v0=${hmac(key, `v0:${NOW_S}:${body}`)}`,
    },
  });

  test('its unsigned check of the certificate is answered and not stored', () => {
    const given = { body: 'ssl_check=1&token=x', headers: FORM };
    expect(judged('slack', 's', given)).toMatchObject({ kind: 'handshake', answer: { status: 200, body: '' } });
    expect(judged('slack', 's', { ...given, body: 'ssl_check=0&token=x' }).kind).toBe('signature');
    expect(judged('slack', 's', { ...given, headers: {} }).kind).toBe('signature');
  });

  test('a block action is JSON in a form', () => {
    const payload = JSON.stringify({ type: 'block_actions', trigger_id: '1.2.ä', actions: [] });
    const body = new URLSearchParams({ payload }).toString();
    expect(judged('slack', 's', post(body)).kind).toBe('accepted');
    expect(judged('slack', 's', post(body, 'x')).kind).toBe('signature');
    expect(known('slack', post(body))).toEqual({ event_id: '1.2.ä', event_type: 'block_actions' });
    for (const broken of ['{', '[]', '', '{"type":{}}'])
      expect(known('slack', post(new URLSearchParams({ payload: broken }).toString())).event_type).toBeNull();
  });
});

// https://www.twilio.com/docs/usage/webhooks/webhooks-security: by GET all parameters stand in the URL, which is signed.
test('Twilio by GET', () => {
  const url = 'https://h.example/in/k?MessageSid=SM9&MessageStatus=sent';
  const signature = createHmac('sha1', 's').update(url).digest('base64');
  const given = { method: 'GET', url, headers: { 'X-Twilio-Signature': signature } };
  expect(judged('twilio', 's', given)).toEqual({ kind: 'accepted', verified: 'signed' });
  expect(known('twilio', given)).toEqual({ event_id: 'SM9/sent', event_type: 'sent' });
  expect(known('twilio', { url: url.replace(/&.*/, '') }).event_id).toBe('SM9');
});

// https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html
test('Bitbucket Server: its test is answered and not stored, signed or not', () => {
  const ping = (more: object): Given => ({
    body: '{"test":true}',
    headers: { 'X-Event-Key': 'diagnostics:ping', ...more },
  });
  const signature = (key: string) => ({ 'X-Hub-Signature': `sha256=${hmac(key, '{"test":true}')}` });
  expect(judged('bitbucket-server', 's', ping({}))).toMatchObject({
    kind: 'handshake',
    answer: { status: 200, body: '' },
  });
  expect(judged('bitbucket-server', 's', ping(signature('s'))).kind).toBe('handshake');
  expect(judged('bitbucket-server', 's', ping(signature('x'))).kind).toBe('signature');
  expect(judged('bitbucket-server', 's', { ...ping({}), headers: { 'X-Event-Key': 'repo:refs_changed' } }).kind).toBe(
    'signature',
  );
});

// https://docs.x.com/x-api/webhooks/quickstart: GET with crc_token; the answer is its HMAC-SHA256 under the consumer secret.
describe('X: a challenge that is answered with an HMAC', () => {
  const verify: VerifyInput = {
    scheme: 'hmac',
    encoding: 'base64',
    signature: { from: 'header:x-twitter-webhooks-signature', field_separator: '=', field: 'sha256' },
    handshake: [
      {
        method: 'GET',
        challenge_from: 'query:crc_token',
        signed: false,
        answer: { content_type: 'application/json', body: '{"response_token":"sha256={hmac_base64}"}' },
      },
    ],
  };
  const get = (token: string) =>
    judged(
      'generic',
      's',
      { method: 'GET', url: `https://h.example/in/k?crc_token=${encodeURIComponent(token)}` },
      verify,
    );

  test('is answered', () => {
    for (const token of [
      '9b4507b3-9040-4669-9ca3-6b94edb50553',
      'MTdiZmI3NGYtNGNiYS00YjU0LWE4ZDUtZDFhYjcxYzJiMTU4',
      'YQ==',
    ])
      expect(get(token)).toMatchObject({
        kind: 'handshake',
        answer: { status: 200, body: `{"response_token":"sha256=${hmac('s', token, 'base64')}"}` },
      });
    const rules = compileRules({ verify });
    const asked = request({ method: 'GET', url: 'https://h.example/in/k?crc_token=a' });
    expect(verdictOn(rules, [], asked).kind).toBe('secret_missing');
    // While two secrets count, the provider has the one that stays.
    const secrets = [...lasting('new'), { value: 'old', expiresMs: NOW_MS + 1 }];
    expect(verdictOn(rules, secrets, asked)).toMatchObject({
      answer: { body: expect.stringContaining(hmac('new', 'a', 'base64')) },
    });
  });

  test('signs nothing that an event could be', () => {
    for (const token of [
      '{"id":1}',
      '{}',
      '[]',
      '"a"',
      'a.b',
      'a b',
      'a=b',
      '',
      'a\n',
      'ä',
      'x'.repeat(129),
      '===',
      'v0:1:a',
    ])
      expect(get(token).kind, token).toBe('signature');
    // What was signed as a challenge is worth nothing as an event.
    for (const body of ['abc', 'MTdi', 'YQ==', '1']) {
      const headers = { 'x-twitter-webhooks-signature': `sha256=${hmac('s', body, 'base64')}` };
      expect(get(body).kind).toBe('handshake');
      expect(judged('generic', 's', { body, headers }, verify), body).toMatchObject({ kind: 'signature' });
    }
    const body = '{"for_user_id":"1"}';
    const headers = { 'x-twitter-webhooks-signature': `sha256=${hmac('s', body, 'base64')}` };
    expect(judged('generic', 's', { body, headers }, verify).kind).toBe('accepted');
    const joined: VerifyInput = { ...verify, signed_string: '{header:x-a}{body}' };
    const split = {
      body: 'c',
      headers: { 'x-a': 'ab', 'x-twitter-webhooks-signature': `sha256=${hmac('s', 'abc', 'base64')}` },
    };
    expect(judged('generic', 's', split, joined).kind).toBe('signature');
  });

  test('is refused where it is no GET with its challenge in the query', () => {
    const [given] = verify.handshake as [NonNullable<VerifyInput['handshake']>[0]];
    const { method: _, ...any } = given;
    for (const handshake of [
      any,
      { ...given, method: 'POST' },
      { ...given, challenge_from: 'body:/t' },
      { ...given, challenge_from: 'header:X-T' },
    ])
      expect(() => compileRules({ verify: { ...verify, handshake: [handshake] } })).toThrow(/signed must be true/);
  });
});

// https://developer.paypal.com/api/rest/webhooks/rest/: transmission id, time, webhook id and CRC-32 of the body, RSA with SHA-256.
test('PayPal: the CRC-32 of the body in decimal; and RSA with SHA-1 beside it', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  for (const [algorithm, hash] of [
    ['rsa-sha256', 'sha256'],
    ['rsa-sha1', 'sha1'],
  ] as const) {
    const verify: VerifyInput = {
      scheme: 'asymmetric',
      algorithm,
      encoding: 'base64',
      signature: { from: 'header:PAYPAL-TRANSMISSION-SIG' },
      timestamp: { from: 'header:PAYPAL-TRANSMISSION-TIME', format: 'iso8601' },
      id: 'header:PAYPAL-TRANSMISSION-ID',
      signed_string: '{id}|{timestamp}|WH-1|{crc32}',
      covers_body: false,
    };
    const body = '{"id":"WH-2"}';
    const time = new Date(NOW_MS).toISOString();
    const signature = sign(hash, Buffer.from(`t1|${time}|WH-1|${crc32(body)}`), privateKey).toString('base64');
    const headers = {
      'PAYPAL-TRANSMISSION-ID': 't1',
      'PAYPAL-TRANSMISSION-TIME': time,
      'PAYPAL-TRANSMISSION-SIG': signature,
    };
    expect(judged('generic', pem, { body, headers }, verify)).toEqual({ kind: 'accepted', verified: 'signed' });
    expect(judged('generic', pem, { body: `${body} `, headers }, verify).kind).toBe('signature');
    expect(() => compileRules({ verify: { ...verify, covers_body: true } })).toThrow(/crc32/);
  }
  expect(crc32('123456789')).toBe(0xcbf43926);
});

describe('near misses that misled', () => {
  const near = (preset: string, headers: Record<string, string>, verify?: VerifyInput) =>
    nearMiss(compileRules({ preset, verify }), lasting('s'), request({ body: '{}', headers }), []);

  test('an unsigned request of any other provider', () => {
    const verify: VerifyInput = { scheme: 'hmac', signature: { from: 'header:X-S' } };
    expect(near('generic', {}, verify)).toBe('it came unsigned: is the secret set at the provider?');
  });

  // https://developer.gocardless.com/getting-started/api/staying-up-to-date-with-webhooks: Webhook-Signature, hexadecimal.
  test('a request of GoCardless has a header of Standard Webhooks and is none', () => {
    const verify: VerifyInput = { scheme: 'hmac', signature: { from: 'header:Webhook-Signature' } };
    const looks = 'this looks like a request of GoCardless: try the preset gocardless';
    expect(near('generic', { 'Webhook-Signature': hmac('x', '{}') }, verify)).toBe(looks);
    expect(near('github', { 'Webhook-Signature': hmac('x', '{}') })).toBe(looks);
    const standard = { 'webhook-signature': 'v1,x', 'webhook-id': '1', 'webhook-timestamp': NOW_S };
    expect(near('github', standard)).toContain('Standard Webhooks');
  });
});
