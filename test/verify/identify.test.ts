// The id and the type of an event: from wherever the provider or the owner says, and the same each time.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { identify, normalEventId } from '../../src/verify/identify.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { type Given, request } from './presets/request.ts';

const NOTHING = { scheme: 'none' } as const;
const idOf = (from: string | string[], given: Given) =>
  identify(compileRules({ verify: NOTHING, dedupe: { from } }), request(given)).event_id;
const of = (preset: string, given: Given) => identify(compileRules({ preset }), request(given));
const sha = (bytes: string | Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

describe('a place', () => {
  test.each<[string | string[], Given, string | null]>([
    ['header:X-Id', { headers: { 'x-ID': 'a1' } }, 'a1'],
    ['header:X-Id', {}, null],
    ['header:X-New,X-Old', { headers: { 'X-Old': 'o' } }, 'o'],
    ['body:/id', { body: '{"id":820982911946154508}' }, '820982911946154508'],
    ['body:/a/0/b', { body: '{"a":[{"b":"x"}]}' }, 'x'],
    ['body:', { body: '"whole"' }, 'whole'],
    ['body:/id', { body: '{"id":null}' }, null],
    ['body:/id', { body: '{"id":{}}' }, null],
    ['body:/id', { body: '{"id":""}' }, null],
    ['body:/id', { body: '{"id":false}' }, 'false'],
    ['body:/id', { body: 'id=1' }, null],
    ['form:contact[id]', { body: 'contact%5Bid%5D=7&contact[id]=8', headers: FORM }, '7'],
    ['form:id', { body: 'id=a+b%20%C3%A4%', headers: FORM }, 'a b ä%'],
    ['form:id', { body: 'id=7' }, null],
    ['query:id', { url: 'https://h.example/in/k?x=1&id=%F0%9F%91%8B#f' }, '👋'],
    ['sha256', { body: 'abc' }, 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [['header:X-A', 'body:/id'], { body: '{"id":1}', headers: { 'X-A': 'a' } }, 'a/1'],
    [['header:X-A', 'body:/id'], { body: '{"id":1}' }, null],
  ])('%j', (from, given, id) => expect(idOf(from, given)).toBe(id));
});

test('no place: no id, and no type', () => {
  expect(identify(compileRules({}), request({ body: '{"id":1}' }))).toEqual({ event_id: null, event_type: null });
  expect(identify(compileRules({ verify: NOTHING }), request({ body: '{"id":1}' }))).toEqual({
    event_id: null,
    event_type: null,
  });
});

test('the type may be set beside a preset', () => {
  const rules = compileRules({ preset: 'github', verify: { event_type: 'body:/action' } });
  expect(identify(rules, request({ body: '{"action":"opened"}' })).event_type).toBe('opened');
});

test('an id is at most 200 characters; a longer or a strange one becomes its hash', () => {
  const long = 'x'.repeat(201);
  expect(idOf('body:/id', { body: JSON.stringify({ id: long }) })).toBe(sha(long));
  expect(idOf('body:/id', { body: JSON.stringify({ id: 'x'.repeat(200) }) })).toBe('x'.repeat(200));
  expect(normalEventId('a\0b')).toBe(sha('a\0b'));
  expect(normalEventId('\ud800x')).toBe('\ufffdx');
  expect(normalEventId('evt_1')).toBe('evt_1');
});

test('a body above 1 MiB is not parsed: its hash is the id', () => {
  const body = `{"id":"evt_1","type":"a","x":"${'x'.repeat(1024 * 1024)}"}`;
  expect(of('stripe', { body })).toEqual({ event_id: sha(body), event_type: null });
  expect(of('github', { body, headers: { 'X-GitHub-Delivery': 'g', 'X-GitHub-Event': 'push' } })).toEqual({
    event_id: 'g',
    event_type: 'push',
  });
  expect(idOf('body:/id', { body })).toBe(sha(body));
});

describe('Twilio', () => {
  const twilio = (body: string, headers = {}) => of('twilio', { body, headers: { ...FORM, ...headers } });
  test('a message by its sid, a status by sid and status', () => {
    expect(twilio('MessageSid=SM1&SmsStatus=received&Body=x')).toEqual({ event_id: 'SM1', event_type: 'received' });
    expect(twilio('MessageSid=SM1&MessageStatus=delivered')).toEqual({
      event_id: 'SM1/delivered',
      event_type: 'delivered',
    });
  });
  test('a call has many requests: only with the token of each is it known again', () => {
    expect(twilio('CallSid=CA1&CallStatus=ringing', { 'I-Twilio-Idempotency-Token': 't1' }).event_id).toBe('CA1/t1');
    expect(twilio('CallSid=CA1&CallStatus=ringing').event_id).toBeNull();
  });
});

test('a batch that is put together anew is not the same event', () => {
  const meta = (...ids: string[]) =>
    of('meta', {
      body: JSON.stringify({
        entry: [{ changes: [{ field: 'messages', value: { messages: ids.map((id) => ({ id })) } }] }],
      }),
    }).event_id;
  expect(meta('wamid.1')).toBe('wamid.1');
  expect(meta('wamid.1', 'wamid.2')).toMatch(/^sha256:/);
  const status = '{"entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.1","status":"read"}]}}]}]}';
  expect(of('meta', { body: status }).event_id).toBe('wamid.1/read');
  const events = (...ids: string[]) =>
    of('sendgrid', { body: JSON.stringify(ids.map((id) => ({ sg_event_id: id }))) }).event_id;
  expect(events('a')).toBe('a');
  expect(events('a', 'b')).toMatch(/^sha256:/);
  expect(events('a', 'b')).not.toBe(events('b', 'a'));
});

test('two deliveries of WooCommerce in one second have one delivery id, and are two events', () => {
  const headers = { 'X-WC-Webhook-Delivery-ID': 'd', 'X-WC-Webhook-Topic': 'order.updated' };
  const [one, two] = ['{"id":1}', '{"id":2}'].map((body) => of('woocommerce', { body, headers }).event_id);
  expect(one).not.toBe(two);
});

test('a redelivery of LINE says so in its body, and is the same event; a batch is known by its bytes', () => {
  const line = (isRedelivery: boolean, ...ids: string[]) =>
    of('line', {
      body: JSON.stringify({
        events: ids.map((webhookEventId) => ({ webhookEventId, deliveryContext: { isRedelivery } })),
      }),
    }).event_id;
  expect([line(false, 'a'), line(true, 'a')]).toEqual(['a', 'a']);
  expect(line(false, 'a', 'b')).toMatch(/^sha256:/);
});

test('what Webex sends may say the same twice, so it is never called a duplicate', () => {
  const body = '{"id":"w1","resource":"rooms","event":"updated","data":{"id":"r1"}}';
  expect(of('webex', { body })).toEqual({ event_id: null, event_type: 'rooms/updated' });
});

test('what Dropbox sends says the same each time, so it is never called a duplicate', () => {
  expect(of('dropbox', { body: '{"list_folder":{"accounts":["dbid:1"]}}' }).event_id).toBeNull();
});

test('the id is read from the same family of headers as the signature', () => {
  // Whoever replays a request under svix-* must not choose its id by adding webhook-id.
  const headers = { 'webhook-id': 'chosen', 'svix-id': 'signed', 'svix-signature': 'v1,x', 'svix-timestamp': '1' };
  expect(of('svix', { headers }).event_id).toBe('signed');
  expect(of('standard-webhooks', { headers }).event_id).toBe('signed');
  expect(of('svix', { headers: { ...headers, 'webhook-signature': 'v1,x' } }).event_id).toBe('chosen');
});

test('Adyen: two items in one request are refused, for only one would be signed', () => {
  const item = (pspReference: string) => ({
    NotificationRequestItem: { pspReference, eventCode: 'E', success: 'true' },
  });
  const body = (...ids: string[]) => JSON.stringify({ notificationItems: ids.map(item) });
  expect(of('adyen', { body: body('a') })).toEqual({ event_id: 'a/E/true', event_type: 'E' });
  expect(of('adyen', { body: body('a', 'b') })).toEqual({ event_id: null, event_type: null });
});
