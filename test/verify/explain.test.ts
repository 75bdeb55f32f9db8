// The words about every preset: each place that its rule reads is named in them, and what is told of a mistake is what a refusal says.
import { describe, expect, test } from 'vitest';
import { type Mistake, mistakesOf, rulesInWords } from '../../src/verify/explain.ts';
import { PRESETS, type Preset } from '../../src/verify/presets/index.ts';
import { compileRules } from '../../src/verify/rules.ts';

const ALL = [...PRESETS.values()].filter(({ name }) => name !== 'generic');
const wordsOf = (preset: Preset) => rulesInWords(compileRules({ preset: preset.name }), preset.response);

/** As a person finds it again: the names of headers, the paths, the fields. */
const namesIn = (text: string): readonly string[] =>
  text.split(' | ').flatMap((one) => {
    const [, kind = '', rest = ''] = /^(header|body|json|form|query|field):(.*)$/s.exec(one) ?? [];
    if (kind !== 'header') return rest.replace(/\?.*$/s, '') || [];
    const names = rest.replace(/\?.*$/s, '').split(',');
    // Of twenty headers the first and the last are named.
    return names.length > 3 ? [names[0] ?? '', names.at(-1) ?? ''] : names;
  });

describe.each(ALL.map((preset) => [preset.name, preset] as const))('%s', (_, preset) => {
  const { verify, dedupe = [], event_type = [], handshake = [], response } = preset;
  const all = wordsOf(preset);
  const whole = all.join('\n');

  test('each sentence is one', () => {
    for (const sentence of all) expect(sentence).toMatch(/^[A-Z].*\.$/s);
    expect(whole).not.toMatch(/undefined|\[object|NaN|\n\n| {2}/);
  });

  test('every place that is read is named', () => {
    const { signature, secret_from, timestamp, id, signed_string = '', jwt } = verify;
    const bracketed = [...signed_string.matchAll(/\{([^{}]*)\}/g)].map(([, inner = '']) =>
      inner
        .replace(/^\[[^\]]*\]/, '')
        .replace(/\[[^\]]*\](\?.*)?$/s, '')
        .replace(/^lower:/, ''),
    );
    const places = [
      ...[signature?.from, timestamp?.from, id, preset.certificate?.from, preset.certificate?.algorithms?.from],
      ...(secret_from?.includes(':') ? [secret_from] : []),
      ...[...bracketed, ...dedupe.flat(), ...event_type.flat()],
      ...handshake.flatMap(({ when = [], token_from, challenge_from }) => [
        ...when.map(({ from }) => from),
        token_from,
        challenge_from,
      ]),
    ];
    for (const place of places)
      for (const name of namesIn(place ?? '')) expect(whole, place).toContain(name.replace(/^json#/, ''));
    for (const name of [jwt?.body_claim, jwt?.time_claim, jwt?.issuer, ...Object.keys(jwt?.claims ?? {})])
      expect(whole).toContain(name ?? '');
    if (dedupe.flat().includes('sha256')) expect(whole).toContain('the SHA-256 of the body');
  });

  test('what is proved, with what and when', () => {
    const {
      scheme,
      algorithm = 'sha256',
      encoding = 'hex',
      timestamp,
      tolerance_seconds = 300,
      signed_string,
    } = verify;
    const [first = ''] = all;
    const how = {
      none: 'Nothing is signed: whoever knows the URL can send.',
      'shared-secret': 'The secret itself is sent',
      jwt: `signed by ${algorithm.toUpperCase()}`,
      hmac: `an HMAC with ${algorithm.toUpperCase().replace('SHA', 'SHA-')}, written in ${encoding}`,
      hash: `the ${algorithm.toUpperCase().replace('SHA', 'SHA-')} of that, written in ${encoding}`,
      asymmetric: `written in ${encoding}`,
    }[scheme ?? 'none'];
    expect(whole).toContain(how);
    if (scheme === 'none') expect(first).toBe(how);
    // Text of the template that is no placeholder.
    for (const text of (signed_string ?? '').split(/\{[^{}]*\}/).filter(Boolean))
      expect(whole).toContain(`"${text.replaceAll('\n', '\\n')}"`);
    const signs = scheme === 'hmac' || scheme === 'hash' || scheme === 'asymmetric';
    if (signs && !timestamp) expect(whole).toContain('No time is checked');
    else if (signs && tolerance_seconds === 0) expect(whole).toContain('It is not compared with the clock.');
    else if (signs)
      expect(whole).toContain(
        `may be off by ${tolerance_seconds % 3600 === 0 ? `${tolerance_seconds / 3600} h` : `${tolerance_seconds} s`}`,
      );
    if (verify.covers_body === false) expect(whole).toContain('as safe as the URL');
    if (verify.key_encoding && verify.key_encoding !== 'utf8' && scheme === 'hmac')
      expect(whole).toContain(`decoded from ${verify.key_encoding}`);
    if (preset.certificate) expect(whole).toContain('a certificate of the provider');
  });

  test('handshakes and the answer', () => {
    expect(all.filter((one) => one.includes('is a handshake'))).toHaveLength(handshake.length);
    for (const { answer } of handshake)
      for (const name of Object.keys(answer.headers ?? {})) expect(whole).toContain(`the header ${name}`);
    const { status = 200, body = '' } = response ?? {};
    expect(all.at(-1)).toMatch(/^Once a request is stored/);
    expect(all.at(-1)).toContain(body === '' ? `${status}, no body` : body);
  });

  test('its usual mistakes', () => {
    const mistakes = mistakesOf(compileRules({ preset: preset.name }));
    const told = (start: string): Mistake | undefined => mistakes.find(({ mistake }) => mistake.startsWith(start));
    for (const one of mistakes) expect(one.told).toMatch(/^\S.{15,}$/s);
    if (verify.scheme === 'none') return expect(mistakes).toEqual([]);
    expect(told('no ')?.told).toMatch(/^it came (unsigned|without its secret): /);
    if (preset.certificate) return undefined;
    expect(told('a secret of another webhook at')).toBeDefined();
    expect(told('the secret of another webhook here')?.told).toMatch(/of webhook 7$/);
    const { tolerance_seconds = 300, timestamp, scheme, signed_string = '{body}' } = verify;
    const kept = scheme !== 'jwt' && timestamp !== undefined && tolerance_seconds > 0;
    expect(told('a request that is too old') !== undefined).toBe(kept);
    if (kept) expect(told('a request that is too old')?.told).toContain('outside the window');
    const covers = verify.covers_body !== false && scheme !== 'shared-secret';
    expect(told('a body that is changed') !== undefined).toBe(covers);
    // Twilio signs the same over http and with another port, and never the other scheme.
    expect(told('http in PUBLIC_URL') !== undefined).toBe(scheme !== 'jwt' && signed_string.includes('{url}'));
    return undefined;
  });
});

test('the rules of an owner have words as well', () => {
  const rules = compileRules({
    verify: {
      scheme: 'hmac',
      signature: { from: 'header:X-Acme-Signature', item_separator: ',', field_separator: '=', field: 'v1' },
      timestamp: { from: 'field:t' },
      signed_string: '{timestamp}.{body}',
      event_type: 'body:/event',
    },
    dedupe: { from: 'body:/order/id' },
  });
  expect(rulesInWords(rules)).toEqual([
    'The signature stands in the X-Acme-Signature header, behind "v1=". Several are separated by ",": one of them has to fit.',
    'What is signed: the time as it was sent, ".", the bytes of the body.',
    'The signature is an HMAC with SHA-256, written in hex. Its key is the secret, its characters as they are.',
    'The time stands behind "t" beside the signature, in the X-Acme-Signature header, in seconds since 1970. It may be off by 300 s in either direction.',
    'The id of the event is /order/id of the body. If the same id comes again, the second content has duplicate_of.',
    'The type of the event is /event of the body.',
    'Once a request is stored, the answer is 200, no body.',
  ]);
});
