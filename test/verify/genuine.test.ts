// Requests that providers really send and that were refused once: each with the page or the library that says so.
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { identify } from '../../src/verify/identify.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { type Given, lasting, request } from './presets/request.ts';
import { verdictOn } from './verdict.ts';

const judged = (preset: string, secret: string, given: Given, verify?: VerifyInput) =>
  verdictOn(compileRules({ preset, verify }), lasting(secret), request(given));
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
