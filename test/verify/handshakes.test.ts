// Challenges: each answered exactly as its provider documents it, signed ones only when the signature is right.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { identify } from '../../src/verify/identify.ts';
import { compileRules, RuleError } from '../../src/verify/rules.ts';
import { type Given, lasting, NOW_MS, request, URL_HERE } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const NOW_S = String(NOW_MS / 1000);
const answer = (preset: string, secret: string, given: Given, verify?: VerifyInput) =>
  verdictOn(compileRules({ preset, verify }), lasting(secret), request(given));
const echo = (body: string) => ({
  kind: 'handshake',
  answer: { status: 200, content_type: 'text/plain', body },
  reason: expect.any(String),
});
const hmac = (secret: string, text: string) => createHmac('sha256', secret).update(text).digest('hex');

test('Meta: GET with the verify token gets its challenge, decoded, as text', () => {
  const url = (token: string, challenge = '1158201444') =>
    `${URL_HERE}?hub.mode=subscribe&hub.challenge=${challenge}&hub.verify_token=${token}`;
  const get = (target: string, token?: string) =>
    answer('meta', 'app-secret', { method: 'GET', url: target }, token === undefined ? undefined : { token });
  expect(get(url('meaty+ham%26'), 'meaty ham&')).toEqual(echo('1158201444'));
  expect(get(url('t', '%3Cb%3E%C3%A4+'), 't')).toEqual(echo('<b>ä '));
  const wrong = get(url('guess'), 'meaty ham&');
  expect(wrong).toEqual({ kind: 'signature', reason: expect.stringContaining('verify.token') });
  expect(JSON.stringify(wrong)).not.toContain('1158201444');
  expect(get(url('t'))).toEqual({ kind: 'secret_missing', reason: expect.stringContaining('verify.token') });
  expect(get(url(''), 't').kind).toBe('signature');
  expect(get(`${URL_HERE}?hub.mode=subscribe&hub.verify_token=t`, 't').kind).toBe('signature');
  expect(answer('meta', 's', { method: 'POST', url: url('t') }, { token: 't' }).kind).toBe('signature');
});

test('Dropbox: GET with a challenge gets it back', () => {
  expect(answer('dropbox', 's', { method: 'GET', url: `${URL_HERE}?challenge=abc123` })).toEqual(echo('abc123'));
  expect(answer('dropbox', 's', { method: 'POST', url: `${URL_HERE}?challenge=abc123` }).kind).toBe('signature');
});

test('Microsoft Graph: POST with validationToken gets it back, decoded', () => {
  const url = `${URL_HERE}?validationToken=Validation%3A+Testing+client+application+reachability`;
  const given = { url, headers: { 'Content-Type': 'text/plain; charset=utf-8' } };
  expect(answer('msgraph', 'state', given)).toEqual(echo('Validation: Testing client application reachability'));
  expect(verdictOn(compileRules({ preset: 'msgraph' }), [], request(given)).kind).toBe('handshake');
  expect(answer('msgraph', 'state', { ...given, method: 'GET' }).kind).toBe('signature');
});

test('Microsoft Graph: every notification of a batch has to know the client state', () => {
  const batch = (...states: unknown[]) =>
    answer('msgraph', 'state', { body: JSON.stringify({ value: states.map((clientState) => ({ clientState })) }) });
  expect(batch('state', 'state')).toEqual({ kind: 'accepted', verified: 'token' });
  for (const states of [['state', 'guess'], ['state', null], ['state', 1], [], [['state']]])
    expect(batch(...states), JSON.stringify(states)).toMatchObject({ kind: 'signature' });
  expect(answer('msgraph', 'state', { body: '{"value":[{"clientState":"state"},{}]}' }).kind).toBe('signature');
  expect(answer('msgraph', 'state', { body: '{"value":{"*":{"clientState":"state"}}}' }).kind).toBe('signature');
});

test('Slack: the challenge comes back as text, once the signature is right', () => {
  const body =
    '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}';
  const post = (secret: string) => {
    const signature = hmac(secret, `v0:${NOW_S}:${body}`);
    const headers = { 'X-Slack-Request-Timestamp': NOW_S, 'X-Slack-Signature': `v0=${signature}` };
    return answer('slack', 'signing', { body, headers });
  };
  expect(post('signing')).toEqual(echo('3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P'));
  expect(post('forged')).toEqual({ kind: 'signature', reason: expect.any(String) });
  expect(answer('slack', 'signing', { body }).kind).toBe('signature');
  expect(verdictOn(compileRules({ preset: 'slack' }), [], request({ body })).kind).toBe('secret_missing');
});

test('Zoom: the token and its HMAC as JSON, once the signature is right', () => {
  const plainToken = 'qgg8vlvZRS6UYooatFL8Aw"\\';
  const body = JSON.stringify({ payload: { plainToken }, event_ts: 1654503849680, event: 'endpoint.url_validation' });
  const post = (secret: string) => {
    const signature = hmac(secret, `v0:${NOW_S}:${body}`);
    return answer('zoom', 'token', {
      body,
      headers: { 'x-zm-request-timestamp': NOW_S, 'x-zm-signature': `v0=${signature}` },
    });
  };
  const verdict = post('token');
  expect(verdict).toMatchObject({ kind: 'handshake', answer: { status: 200, content_type: 'application/json' } });
  const { answer: given } = verdict as { answer: { body: string } };
  expect(JSON.parse(given.body)).toEqual({ plainToken, encryptedToken: hmac('token', plainToken) });
  expect(post('forged')).toEqual({ kind: 'signature', reason: expect.any(String) });
});

test('Discord: PING of an interaction gets type 1, PING of events gets 204, an event is an event', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const post = (body: string, signed = body) => {
    const signature = sign(null, Buffer.from(NOW_S + signed), privateKey).toString('hex');
    return answer('discord', key, {
      body,
      headers: { 'X-Signature-Timestamp': NOW_S, 'X-Signature-Ed25519': signature },
    });
  };
  expect(post('{"id":"1","type":1,"version":1}')).toMatchObject({
    kind: 'handshake',
    answer: { status: 200, content_type: 'application/json', body: '{"type":1}' },
  });
  expect(post('{"version":1,"application_id":"1","type":0}')).toMatchObject({
    kind: 'handshake',
    answer: { status: 204, body: '' },
  });
  expect(post('{"version":1,"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}').kind).toBe('accepted');
  expect(post('{"id":"1","type":2,"data":{}}').kind).toBe('accepted');
  // Discord sends wrong signatures on purpose, and expects a 401.
  expect(post('{"id":"1","type":1,"version":1}', 'x').kind).toBe('signature');
});

test('Asana: the secret comes back in its header, and the owner is told where it stands', () => {
  const given = { headers: { 'X-Hook-Secret': 'b537207f20cbfa02357cf448134da559' }, body: '{}' };
  const answered = { status: 200, body: '', headers: ['X-Hook-Secret', 'b537207f20cbfa02357cf448134da559'] };
  const first = verdictOn(compileRules({ preset: 'asana' }), [], request(given));
  expect(first).toMatchObject({ kind: 'handshake', answer: answered });
  expect((first as { reason: string }).reason).toMatch(/answered[.] The secret is not set yet[.] .*X-Hook-Secret/);
  // A second webhook at Asana has another secret.
  expect(answer('asana', 'known', given)).toMatchObject({
    kind: 'handshake',
    reason: expect.stringMatching(/answered[.]$/),
  });
  // What is signed is an event, whatever else it carries; so is what comes by another method.
  const signature = hmac('known', '{}');
  const event = { ...given, headers: { ...given.headers, 'X-Hook-Signature': signature } };
  expect(answer('asana', 'known', event)).toEqual({ kind: 'accepted', verified: 'signed' });
  expect(answer('asana', 'other', event).kind).toBe('signature');
  expect(answer('asana', 'known', { ...given, method: 'PUT' }).kind).toBe('signature');
});

test('Azure Event Grid: the code of the validation comes back as JSON', () => {
  const body = JSON.stringify([
    {
      id: '2d1781af-3a4c-4d7c-bd0c-e34b19da4e66',
      topic: '/subscriptions/x',
      eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
      data: { validationCode: '512d38b6-c7b8-40c8-89fe-f46f9e9622b6', validationUrl: 'https://rp.example/validate' },
    },
  ]);
  const validation = { headers: { 'aeg-event-type': 'SubscriptionValidation' }, body };
  const verdict = answer('eventgrid', 'secret', validation);
  expect(verdict).toMatchObject({ kind: 'handshake', answer: { status: 200, content_type: 'application/json' } });
  const { answer: given } = verdict as { answer: { body: string } };
  expect(JSON.parse(given.body)).toEqual({ validationResponse: '512d38b6-c7b8-40c8-89fe-f46f9e9622b6' });
  // The same body as a notification is an event, which needs the secret.
  expect(answer('eventgrid', 'secret', { ...validation, headers: { 'aeg-event-type': 'Notification' } }).kind).toBe(
    'signature',
  );
  expect(answer('eventgrid', 'secret', { ...validation, body: '[]' }).kind).toBe('signature');
});

test.each(['eventgrid', 'cloudevents'])('%s: OPTIONS is allowed to send, by its origin', (preset) => {
  const options = { method: 'OPTIONS', headers: { 'WebHook-Request-Origin': 'eventgrid.azure.net' } };
  const allowed = ['WebHook-Allowed-Origin', 'eventgrid.azure.net', 'WebHook-Allowed-Rate', '*'];
  expect(answer(preset, 'secret', options)).toMatchObject({
    kind: 'handshake',
    answer: { status: 200, headers: allowed },
  });
  expect(verdictOn(compileRules({ preset }), [], request(options)).kind).toBe('handshake');
  expect(answer(preset, 'secret', { ...options, method: 'POST' }).kind).toBe('signature');
  expect(answer(preset, 'secret', { method: 'OPTIONS' }).kind).toBe('signature');
});

test('CloudEvents and Event Grid: the same event is known in each of its forms', () => {
  const of = (preset: string, given: Given) => identify(compileRules({ preset }), request(given));
  const one = { specversion: '1.0', id: 'A1', source: '/s', type: 't' };
  const known = { event_id: '/s/A1', event_type: 't' };
  expect(of('cloudevents', { body: JSON.stringify(one) })).toEqual(known);
  expect(of('cloudevents', { body: JSON.stringify([one]) })).toEqual(known);
  expect(of('cloudevents', { headers: { 'ce-id': 'A1', 'ce-source': '/s', 'ce-type': 't' }, body: 'x' })).toEqual(
    known,
  );
  expect(of('cloudevents', { body: JSON.stringify([one, one]) }).event_id).toMatch(/^sha256:/);
  expect(of('eventgrid', { body: JSON.stringify(one) })).toEqual({ event_id: 'A1', event_type: 't' });
  expect(of('eventgrid', { body: JSON.stringify([one]) })).toEqual({ event_id: 'A1', event_type: 't' });
});

const json = (body: string) => ({ ...echo(body), answer: { status: 200, content_type: 'application/json', body } });

test('Okta: GET with a challenge in a header gets it back as JSON', () => {
  const get = { method: 'GET', headers: { 'x-okta-verification-challenge': 'a"b' } };
  expect(answer('okta', 's', get)).toEqual(json('{"verification":"a\\"b"}'));
  expect(answer('okta', 's', { ...get, method: 'POST' }).kind).toBe('signature');
});

test('monday.com: the challenge comes back as the JSON it came in, and an event is an event', () => {
  const body = '{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}';
  expect(answer('monday', 's', { body })).toEqual(json(body));
  const event = '{"challenge":"x","event":{"type":"update_column_value","triggerUuid":"t"}}';
  expect(answer('monday', 's', { body: event })).toEqual({ kind: 'accepted', verified: 'none' });
});

test('Strava: GET with the verify token gets its challenge as JSON; an event needs none', () => {
  const url = (token: string) =>
    `${URL_HERE}?hub.verify_token=${token}&hub.challenge=15f7d1a91c1f40f8a748fd134752feb3&hub.mode=subscribe`;
  const get = (token: string) => answer('strava', 's', { method: 'GET', url: url(token) }, { token: 'STRAVA' });
  expect(get('STRAVA')).toEqual(json('{"hub.challenge":"15f7d1a91c1f40f8a748fd134752feb3"}'));
  expect(get('guess')).toEqual({ kind: 'signature', reason: expect.stringContaining('verify.token') });
  expect(answer('strava', 's', { method: 'GET', url: url('STRAVA') }).kind).toBe('secret_missing');
  const body = '{"aspect_type":"create","object_type":"activity","object_id":1360128428}';
  expect(answer('strava', 's', { body }, { token: 'STRAVA' })).toEqual({ kind: 'accepted', verified: 'none' });
});

test('Twitch: the challenge comes back as text, once the signature is right', () => {
  const body = '{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{"type":"stream.online"}}';
  const time = new Date(NOW_MS).toISOString();
  const post = (secret: string, type: string) =>
    answer('twitch', 's3cre7s3cre7', {
      body,
      headers: {
        'Twitch-Eventsub-Message-Id': 'e76c6bd4',
        'Twitch-Eventsub-Message-Timestamp': time,
        'Twitch-Eventsub-Message-Type': type,
        'Twitch-Eventsub-Message-Signature': `sha256=${hmac(secret, `e76c6bd4${time}${body}`)}`,
      },
    });
  expect(post('s3cre7s3cre7', 'webhook_callback_verification')).toEqual(echo('pogchamp-kappa-360noscope-vohiyo'));
  expect(post('forged', 'webhook_callback_verification').kind).toBe('signature');
  expect(post('s3cre7s3cre7', 'notification').kind).toBe('accepted');
});

test('Xero: intent to receive is answered empty when it is signed rightly, and refused when it is not', () => {
  const body = '{"events":[],"lastEventSequence": 0,"firstEventSequence": 0,"entropy": "S0m3r4Nd0mt3xt"}';
  const post = (secret: string, sent = body) => {
    const signature = createHmac('sha256', secret).update(sent).digest('base64');
    return answer('xero', 'key', { body: sent, headers: { 'x-xero-signature': signature } });
  };
  expect(post('key')).toEqual(echo(''));
  expect(post('wrong').kind).toBe('signature');
  expect(post('key', body.replace('[]', '[{"resourceId":"r1"}]')).kind).toBe('accepted');
});

test('WooCommerce: the ping of a new webhook is answered, and no unsigned event', () => {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  expect(answer('woocommerce', 's', { body: 'webhook_id=5', headers })).toEqual(echo(''));
  const signed = { ...headers, 'X-WC-Webhook-Signature': 'x' };
  expect(answer('woocommerce', 's', { body: 'webhook_id=5', headers: signed }).kind).toBe('signature');
  expect(answer('woocommerce', 's', { body: '{"id":5}' }).kind).toBe('signature');
});

test('Mailchimp: the GET of a URL that is saved is answered, and nothing else without the secret', () => {
  expect(answer('mailchimp', 's', { method: 'GET', url: `${URL_HERE}?secret=s` })).toEqual(echo(''));
  expect(verdictOn(compileRules({ preset: 'mailchimp' }), [], request({ method: 'GET' })).kind).toBe('handshake');
  for (const given of [{ body: 'type=subscribe' }, { method: 'GET', body: 'type=subscribe' }, { body: '' }])
    expect(answer('mailchimp', 's', given), JSON.stringify(given)).toMatchObject({ kind: 'signature' });
});

test('Mandrill: the test of a URL is answered whatever signed it, for it holds no event', () => {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Mandrill-Signature': 'x' };
  expect(answer('mandrill', 'key', { body: 'mandrill_events=%5B%5D', headers })).toEqual(echo(''));
  expect(answer('mandrill', 'key', { body: 'mandrill_events=%5B1%5D', headers }).kind).toBe('signature');
});

test('a challenge longer than any known is not sent back', () => {
  const verdict = answer('dropbox', 's', { method: 'GET', url: `${URL_HERE}?challenge=${'a'.repeat(2049)}` });
  expect(verdict).toEqual({ kind: 'signature', reason: expect.stringContaining('2048') });
  expect(answer('dropbox', 's', { method: 'GET', url: `${URL_HERE}?challenge=${'a'.repeat(2048)}` }).kind).toBe(
    'handshake',
  );
});

test.each<[string, VerifyInput['handshake'], string]>([
  ['swallows every request', [{ answer: { body: '' } }], 'body.verify.handshake/0.when'],
  [
    'signs for anybody',
    [{ challenge_from: 'query:t', signed: false, answer: { body: '{hmac}' } }],
    'body.verify.handshake/0.signed',
  ],
  [
    'has no challenge',
    [{ when: [{ from: 'query:a' }], answer: { body: '{challenge}' } }],
    'body.verify.handshake/0.challenge_from',
  ],
  [
    'has an unknown placeholder',
    [{ challenge_from: 'query:t', answer: { body: '{chalenge}' } }],
    'body.verify.handshake/0.answer.body',
  ],
  ['reads no place', [{ challenge_from: 'cookie:t', answer: { body: '' } }], 'body.verify.handshake/0.challenge_from'],
])('refused at creation: a handshake that %s', (_, handshake, path) => {
  try {
    compileRules({ preset: 'github', verify: { handshake } as VerifyInput });
    expect.fail('was taken');
  } catch (error) {
    expect((error as RuleError).errors?.map((one) => one.path)).toContain(path);
  }
});

test('refused at creation: an HMAC without a key for it', () => {
  const handshake = [{ challenge_from: 'query:t', answer: { body: '{hmac}' } }];
  expect(() => compileRules({ preset: 'discord', verify: { handshake } })).toThrow(RuleError);
});

// https://docs.x.com/x-api/webhooks/quickstart
test('X: its challenge is answered with an HMAC, and signs no event', () => {
  const url = (token: string) => `${URL_HERE}?crc_token=${token}`;
  const response = createHmac('sha256', 's').update('abc').digest('base64');
  expect(answer('x', 's', { method: 'GET', url: url('abc') })).toEqual(json(`{"response_token":"sha256=${response}"}`));
  const headers = { 'x-twitter-webhooks-signature': `sha256=${response}` };
  expect(answer('x', 's', { body: 'abc', headers }).kind).toBe('signature');
  expect(answer('x', 's', { url: url('abc') }).kind).toBe('signature');
  expect(verdictOn(compileRules({ preset: 'x' }), [], request({ method: 'GET', url: url('a') })).kind).toBe(
    'secret_missing',
  );
});

test('monday.com, an app: the challenge needs no token, an event does', () => {
  expect(answer('monday-app', 's', { body: '{"challenge":"c"}' })).toEqual(json('{"challenge":"c"}'));
  expect(answer('monday-app', 's', { body: '{"challenge":"c","event":{"type":"t"}}' }).kind).toBe('signature');
});

// The answer is that of the official library braintree 3.40.0: webhookNotification.verify of this challenge with these keys.
test('Braintree: the rule in the documentation answers its challenge', () => {
  const [, text = ''] = /```json braintree\.json\n([\s\S]*?)```/.exec(readFileSync('docs/providers.md', 'utf8')) ?? [];
  const verify = JSON.parse(text.replace('PUBLIC_KEY', 'integration_public_key')) as VerifyInput;
  const get = request({ method: 'GET', url: `${URL_HERE}?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53` });
  expect(
    verdictOn(compileRules({ preset: 'braintree', verify }), lasting('integration_private_key'), get),
  ).toMatchObject({
    kind: 'handshake',
    answer: { status: 200, body: 'integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4' },
  });
});
