// Requests that providers really send and that were refused once: each with the page or the library that says so.
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { identify } from '../../src/verify/identify.ts';
import { compileRules } from '../../src/verify/rules.ts';
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
