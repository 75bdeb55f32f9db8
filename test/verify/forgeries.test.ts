// For each preset: what its provider sends is accepted, and five forgeries and the edges of the window are not.
import { describe, expect, test } from 'vitest';
import { identify } from '../../src/verify/identify.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import type { Incoming } from '../../src/verify/request.ts';
import { checkSecret, compileRules } from '../../src/verify/rules.ts';
import { lasting, NOW_MS, URL_HERE } from './presets/request.ts';
import { SENDERS, type Sent } from './presets/senders.ts';
import { verdictOn } from './verdict.ts';

// Nothing proves who sent their requests.
const UNSIGNED = ['activecampaign', 'monday', 'strava'];
const URL_SIGNED = `${URL_HERE}?a=1&b=%3Ax%2Fy%40z%2C&c=%C3%A4+%20`;

/** The same request with its signature written otherwise, wherever it stands. */
const resigned = ({ incoming, signature }: Sent, changed: string): Incoming => ({
  ...incoming,
  publicUrl: incoming.publicUrl.replace(signature, changed),
  headers: incoming.headers.map((text) => text.replace(signature, changed)),
  body: Buffer.from(incoming.body.toString('latin1').replace(signature, changed), 'latin1'),
});

/** In base64 the last character before the padding may hold bits that mean nothing: one is flipped that counts. */
function flipped(signature: string): string {
  const end = signature.replace(/=+$/, '').length - 1;
  const last = signature[end] as string;
  const other = /^[0-9a-f]+$/.test(signature)
    ? '0123456789abcdef'
    : 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const turned = other[(other.indexOf(last) + other.length / 2) % other.length] as string;
  return signature.slice(0, end) + turned + signature.slice(end + 1);
}

test('every preset that verifies has a sender of its own', () => {
  expect(Object.keys(SENDERS).sort()).toEqual(
    [...PRESETS.keys()].filter((name) => ![...UNSIGNED, 'generic'].includes(name)).sort(),
  );
});

test('a preset that needs no secret has no check, and every other one has', () => {
  for (const preset of PRESETS.values())
    expect(preset.verify.scheme === 'none', preset.name).toBe(UNSIGNED.includes(preset.name));
});

describe.each(Object.entries(SENDERS))('%s', (name, sender) => {
  const rules = compileRules({ preset: name, verify: sender.verify });
  const { secret, signing } = sender.keys();
  const token = rules.check?.scheme === 'shared-secret';
  const send = (nowMs = NOW_MS, body = sender.body) =>
    sender.send({ signing, body: body.replace('NOW', String(nowMs)), nowMs, url: URL_SIGNED });
  const verdict = (incoming: Incoming, ...secrets: string[]) =>
    verdictOn(rules, lasting(...(secrets.length > 0 ? secrets : [secret])), incoming);
  const refused = { kind: 'signature', reason: expect.stringMatching(/^[A-Z].{10,200}[.]$/) };

  test('takes what its provider sends, and knows the event again', async () => {
    const { incoming } = await send();
    expect(checkSecret(rules, secret)).toBeUndefined();
    expect(verdict(incoming)).toEqual({ kind: 'accepted', verified: token ? 'token' : 'signed' });
    expect(verdict(incoming, sender.keys().secret, secret)).toMatchObject({ kind: 'accepted' });
    const { event_id, event_type } = identify(rules, incoming);
    expect(event_type).toBe(sender.event.type);
    if (sender.event.id?.startsWith('sha256:')) expect(event_id).toMatch(/^sha256:[0-9a-f]{64}$/);
    else expect(event_id).toBe(sender.event.id);
  });

  test('refuses a body that is one byte longer', async () => {
    const { incoming } = await send();
    const longer = { ...incoming, body: Buffer.concat([incoming.body, Buffer.from(' ')]) };
    // Said in its row and in the documentation: these sign or send a token, and the body is as safe as the URL.
    if (sender.coversBody === false) expect(verdict(longer)).toMatchObject({ kind: 'accepted' });
    else expect(verdict(longer)).toEqual(refused);
  });

  test('refuses another secret', async () => {
    const { incoming } = await send();
    expect(verdict(incoming, sender.keys().secret)).toEqual(refused);
  });

  test('refuses a signature that was cut', async () => {
    const sent = await send();
    for (const cut of [sent.signature.slice(0, -1), sent.signature.slice(0, 8), sent.signature.slice(1)])
      expect(verdict(resigned(sent, cut))).toEqual(refused);
  });

  test('refuses a request without the header', async () => {
    const sent = await send();
    const { headers } = sent.incoming;
    const at = headers.findIndex((value, i) => i % 2 === 1 && value.includes(sent.signature));
    const without =
      at < 0 ? resigned(sent, '') : { ...sent.incoming, headers: headers.filter((_, i) => i !== at && i !== at - 1) };
    expect(verdict(without)).toEqual(refused);
  });

  test('refuses a signature whose last character is another', async () => {
    const sent = await send();
    expect(verdict(resigned(sent, flipped(sent.signature)))).toEqual(refused);
    // Four: a base64 decoder drops a single one at the end, and the password of Basic is what was decoded.
    expect(verdict(resigned(sent, `${sent.signature}0000`))).toEqual(refused);
  });

  if (sender.window > 0)
    test('takes a time at the edge of its window and refuses one a second beyond', async () => {
      for (const direction of [-1, 1])
        for (const [distance, kind] of [
          [sender.window, 'accepted'],
          [sender.window + 1, 'signature'],
        ] as const) {
          const { incoming } = await send(NOW_MS + direction * distance * 1000);
          expect(verdict({ ...incoming, receivedMs: NOW_MS }), `${direction * distance} s`).toMatchObject({ kind });
        }
    });

  test('without a secret it is not refused but kept until there is one', async () => {
    const { incoming } = await send();
    expect(verdictOn(rules, [], incoming)).toEqual({ kind: 'secret_missing', reason: expect.any(String) });
    const expired = [{ value: secret, expiresMs: NOW_MS }];
    expect(verdictOn(rules, expired, incoming)).toMatchObject({
      kind: 'secret_missing',
      reason: expect.stringMatching(/expired/),
    });
    expect(verdictOn(rules, [{ value: secret, expiresMs: NOW_MS + 1 }], incoming)).toMatchObject({ kind: 'accepted' });
  });

  test('never tells the secret or the signature in a reason', async () => {
    const sent = await send();
    for (const incoming of [resigned(sent, flipped(sent.signature)), resigned(sent, ''), resigned(sent, 'x')]) {
      const { reason } = verdict(incoming) as { reason: string };
      expect(reason).not.toContain(secret.slice(8, 20));
      expect(reason).not.toContain(sent.signature.slice(0, 20));
    }
  });
});

test('what is not signed is taken as it is, and told so', () => {
  const rules = compileRules({ preset: 'activecampaign' });
  const body =
    'type=contact_tag_added&date_time=2026-11-22T10%3A00%3A00&contact%5Bid%5D=7&contact[email]=a%40b.c&contact[fields][1]=x';
  const incoming: Incoming = {
    method: 'POST',
    publicUrl: URL_HERE,
    headers: ['content-type', 'application/x-www-form-urlencoded; charset=utf-8'],
    body: Buffer.from(body),
    receivedMs: NOW_MS,
  };
  expect(verdictOn(rules, [], incoming)).toEqual({ kind: 'accepted', verified: 'none' });
  expect(identify(rules, incoming)).toEqual({
    event_id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    event_type: 'contact_tag_added',
  });
  const own = compileRules({ preset: 'activecampaign', dedupe: { from: ['form:contact[id]', 'form:date_time'] } });
  expect(identify(own, incoming).event_id).toBe('7/2026-11-22T10:00:00');
});

test('every row says where its facts are from, what it was checked against and how to set it up', () => {
  for (const preset of PRESETS.values()) {
    expect(preset.source, preset.name).toMatch(preset.name === 'generic' ? /^docs\// : /^https:\/\//);
    for (const text of [preset.title, preset.waits, preset.retries, preset.checked])
      expect(text.length).toBeGreaterThan(2);
    expect(preset.steps.join('\n'), preset.name).toContain('{url}');
    expect(preset.secret === undefined, preset.name).toBe(UNSIGNED.includes(preset.name));
  }
});
