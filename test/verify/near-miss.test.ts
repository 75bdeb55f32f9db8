// Each near miss, made by the mistake it names: somebody set something up a little wrong.
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { VerifyInput } from '../../src/schema/webhooks.ts';
import { nearMiss } from '../../src/verify/near-miss.ts';
import { PRESETS, type Preset } from '../../src/verify/presets/index.ts';
import { unlike } from '../../src/verify/presets/preset.ts';
import type { Incoming, Secret } from '../../src/verify/request.ts';
import { compileRules } from '../../src/verify/rules.ts';
import { lasting, NOW_MS, request, URL_HERE } from './presets/request.ts';
import { SENDERS } from './presets/senders.ts';
import { verdictOn } from './verdict.ts';

type Other = { readonly wh_id: number; readonly secret: Secret };

/** The request is refused first, or there would be nothing to explain. */
function told(
  preset: string,
  secrets: readonly Secret[],
  incoming: Incoming,
  others: readonly Other[] = [],
  verify?: VerifyInput,
): string | null {
  const rules = compileRules({ preset, verify });
  expect(verdictOn(rules, secrets, incoming).kind).not.toBe('accepted');
  const text = nearMiss(rules, secrets, incoming, others);
  expect((text ?? '').length).toBeLessThanOrEqual(250);
  return text;
}

const SECRET = 'b2d9c4a1f7e84c0d9fA2';
const sent = (preset: string, url: string, nowMs = NOW_MS) => {
  const sender = SENDERS[preset] ?? expect.fail(`no sender ${preset}`);
  const body = sender.body.replace('NOW', String(nowMs));
  return sender.send({ signing: SECRET, body, nowMs, url });
};

describe.each(['twilio', 'square', 'hubspot'])('the URL that %s signed', (preset) => {
  const at = async (signed: string, received: string, headers: readonly string[] = []) => {
    const { incoming } = await sent(preset, signed);
    const own = incoming.headers.slice(2);
    return told(preset, lasting(SECRET), {
      ...incoming,
      publicUrl: received,
      headers: [...(headers.includes('Host') ? headers : ['Host', new URL(received).host, ...headers]), ...own],
    });
  };
  test.each<[string, string, string, readonly string[], string]>([
    [
      'another scheme',
      'http://h.example/in/k?a=1',
      'https://h.example/in/k?a=1',
      [],
      'would verify with http://: PUBLIC_URL is wrong',
    ],
    [
      'another scheme the other way',
      'https://h.example/in/k',
      'http://h.example/in/k',
      [],
      'would verify with https://: PUBLIC_URL is wrong',
    ],
    [
      'a port that is missing',
      'https://h.example:8443/in/k',
      'https://h.example/in/k',
      ['Host', 'h.example:8443'],
      'would verify with :8443: PUBLIC_URL is wrong',
    ],
    [
      'a port that the proxy tells',
      'https://h.example:8443/in/k',
      'https://h.example/in/k',
      ['X-Forwarded-Port', '8443'],
      'would verify with :8443: PUBLIC_URL is wrong',
    ],
    [
      'another host',
      'https://shop.example/in/k',
      'https://localhost/in/k',
      ['Host', 'shop.example'],
      'would verify with the host shop.example: PUBLIC_URL is wrong',
    ],
    [
      'another host behind a proxy',
      'https://shop.example/in/k',
      'https://h.example/in/k',
      ['X-Forwarded-Host', 'shop.example, 10.0.0.1'],
      'would verify with the host shop.example: PUBLIC_URL is wrong',
    ],
    [
      'loopback',
      'https://shop.example/in/k',
      'http://127.0.0.1:4343/in/k',
      ['Host', 'shop.example'],
      'would verify with https:// and with the host shop.example: PUBLIC_URL is wrong',
    ],
    [
      'a prefix too much',
      'https://h.example/in/k',
      'https://h.example/hooks/v1/in/k',
      [],
      'would verify without /hooks/v1: PUBLIC_URL is wrong',
    ],
    [
      'a prefix that the proxy cuts off',
      'https://h.example/hooks/in/k?b=2',
      'https://h.example/in/k?b=2',
      ['X-Forwarded-Prefix', '/hooks'],
      'would verify with /hooks before the path: PUBLIC_URL is wrong',
    ],
    [
      'a prefix that the proxy tells otherwise',
      'https://h.example/a/in/k',
      'https://h.example/in/k',
      ['X-Original-URI', '/a/in/k?x'],
      'would verify with /a before the path: PUBLIC_URL is wrong',
    ],
    [
      'a slash too much',
      'https://h.example/in/k',
      'https://h.example/in/k/',
      [],
      'would verify without the slash at the end: another URL was pasted at the provider',
    ],
  ])('%s', async (_, signed, received, headers, words) => {
    expect(await at(signed, received, headers)).toBe(words);
  });

  // Twilio signs with or without a port, so there a wrong one is no mistake.
  if (preset !== 'twilio')
    test('a port that is not there', async () => {
      const words = await at('https://h.example/in/k', 'https://h.example:4343/in/k');
      expect(words).toBe('would verify without :4343: PUBLIC_URL is wrong');
    });

  test('nothing near, whatever the headers of proxies say', async () => {
    const words = await at('https://h.example/in/k', 'https://other.example/in/q', [
      'Host',
      'x y',
      'X-Forwarded-Prefix',
      '//e<vil>',
    ]);
    expect(words).toEqual(unlike(preset, SECRET) ? expect.stringContaining('does not look so') : null);
  });
});

describe('the secret', () => {
  const github = (body: string, secret: string, nowMs = NOW_MS) =>
    request({
      body,
      nowMs,
      headers: {
        'X-GitHub-Event': 'push',
        'X-Hub-Signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      },
    });

  test('of another webhook of the same user', () => {
    const others = [
      { wh_id: 11, secret: { value: 'something else', expiresMs: null } },
      { wh_id: 12, secret: { value: SECRET, expiresMs: null } },
    ];
    expect(told('github', lasting('mine'), github('{}', SECRET), others)).toBe(
      'would verify with the secret ending …9fA2 of webhook 12',
    );
    expect(
      told('github', lasting('mine'), github('{}', 'abc'), [{ wh_id: 3, secret: { value: 'abc', expiresMs: 0 } }]),
    ).toBe('would verify with the secret ending …c of webhook 3');
  });

  test('that has expired', () => {
    const secrets = [...lasting('new'), { value: SECRET, expiresMs: NOW_MS - 1000 }];
    expect(told('github', secrets, github('{}', SECRET))).toBe(
      'would verify with the secret ending …9fA2 of this webhook, which expired at 2025-11-24T15:59:59Z',
    );
  });

  test('with white space around it', () => {
    expect(told('github', lasting(` ${SECRET}\n`), github('{}', SECRET))).toBe(
      'would verify without the white space around the secret ending …9fA2',
    );
  });

  test('with quotes around it, or without what it begins with', async () => {
    expect(told('github', lasting(`"${SECRET}"`), github('{}', SECRET))).toBe(
      'would verify without the quotes around the secret ending …9fA2',
    );
    const sender = SENDERS.stripe ?? expect.fail('stripe');
    const { incoming } = await sender.send({ signing: `whsec_${SECRET}`, body: '{}', nowMs: NOW_MS, url: URL_HERE });
    expect(told('stripe', lasting(SECRET), incoming)).toBe(
      'would verify with whsec_ in front of the secret ending …9fA2',
    );
  });

  test('of another kind than those of the provider', async () => {
    const { incoming } = await sent('stripe', URL_HERE);
    const words = (secret: string) => told('stripe', lasting(secret), incoming);
    expect(words('sk_live_abcdefgh')).toBe(
      'a secret of Stripe begins with whsec_, and the secret ending …efgh does not look so',
    );
    expect(words('whsec_another')).toBeNull();
  });

  test('as text and not as base64', () => {
    const signature = createHmac('sha256', 'whsec_QUJD')
      .update(`m.${NOW_MS / 1000}.{}`)
      .digest('base64');
    const headers = {
      'webhook-id': 'm',
      'webhook-timestamp': String(NOW_MS / 1000),
      'webhook-signature': `v1,${signature}`,
    };
    const words = told('standard-webhooks', lasting('whsec_QUJD'), request({ body: '{}', headers }));
    expect(words).toContain('taken as text: set verify.key_encoding to utf8 and key_prefix to ""');
    const verify = { key_encoding: 'utf8', key_prefix: '' } as const;
    expect(
      verdictOn(
        compileRules({ preset: 'standard-webhooks', verify }),
        lasting('whsec_QUJD'),
        request({ body: '{}', headers }),
      ).kind,
    ).toBe('accepted');
  });

  test('of a provider that sends it', () => {
    const incoming = request({ headers: { 'X-Gitlab-Token': SECRET } });
    const others = [{ wh_id: 7, secret: { value: SECRET, expiresMs: null } }];
    expect(told('gitlab', lasting('mine'), incoming, others)).toBe(
      'would verify with the secret ending …9fA2 of webhook 7',
    );
    expect(told('gitlab', lasting(`${SECRET} `), incoming)).toContain('without the white space');
    expect(told('gitlab', lasting('mine'), request({}))).toBe(
      'it came without its secret: is the secret set at GitLab (secret token)?',
    );
  });

  test('is never told, nor the signature', () => {
    const words = told('github', lasting('mine'), github('{}', SECRET), [
      { wh_id: 1, secret: { value: SECRET, expiresMs: null } },
    ]);
    expect(words).not.toContain(SECRET.slice(0, 8));
  });

  describe('the body', () => {
    const without = 'would verify without the trailing newline of the body: something on the way added it';
    test.each([
      ['a newline that was added', '{}', '{}\n', without],
      ['a CRLF that was added', '{}', '{}\r\n', without],
      ['an LF behind a CR', '{}\r', '{}\r\n', without],
      [
        'a newline that was cut off',
        '{}\n',
        '{}',
        'would verify with a newline at the end of the body: something on the way cut it off',
      ],
      [
        'a CRLF that was cut off',
        '{}\r\n',
        '{}',
        'would verify with CRLF at the end of the body: something on the way cut it off',
      ],
      [
        'JSON that was written anew',
        '{"a":[1,"ä"]}',
        '{\n  "a": [1, "\\u00e4"]\n}\n',
        'would verify over the same JSON without white space: something on the way wrote it anew, so let it pass the bytes on as they are',
      ],
      [
        'a byte order mark that was added',
        '{ }',
        '\ufeff{ }',
        'would verify without the byte order mark of the body: something on the way added it',
      ],
    ])('%s', (_, signed, received, words) => {
      const incoming = { ...github(signed, SECRET), body: Buffer.from(received) };
      expect(told('github', lasting(SECRET), incoming)).toBe(words);
    });

    test('that was changed otherwise is no near miss', () => {
      expect(
        told('github', lasting(SECRET), { ...github('{"a":1}', SECRET), body: Buffer.from('{"a":2}') }),
      ).toBeNull();
    });
  });
});

test('a time outside of the window, by how much', async () => {
  const { incoming } = await sent('stripe', 'https://h.example/in/k', NOW_MS - 712_000);
  expect(told('stripe', lasting(SECRET), { ...incoming, receivedMs: NOW_MS })).toBe(
    '412 s outside the window of 300 s: an old request, or a wrong clock',
  );
  const ahead = await sent('slack', 'https://h.example/in/k', NOW_MS + 301_000);
  expect(told('slack', lasting(SECRET), { ...ahead.incoming, receivedMs: NOW_MS })).toBe(
    '1 s outside the window of 300 s: it says it is from the future',
  );
  const milliseconds = await sent('hubspot', 'https://h.example/in/k', NOW_MS - 300_001);
  expect(told('hubspot', lasting(SECRET), { ...milliseconds.incoming, receivedMs: NOW_MS })).toContain('1 s outside');
});

test('no signature at all, and the signature of another provider', async () => {
  // Stripe makes the secret: nobody could set it there.
  expect(told('stripe', lasting('s'), request({ body: '{}' }))).toBe(
    'it came unsigned: something else sent it, something on the way dropped the Stripe-Signature header, or signing is off at Stripe',
  );
  expect(told('github', lasting('s'), request({ body: '{}' }))).toBe('it came unsigned: is the secret set at GitHub?');
  const other = async (expected: string, actual: string) =>
    told(expected, lasting('s'), (await sent(actual, 'https://h.example/in/k')).incoming);
  expect(await other('stripe', 'github')).toBe('this looks like a request of GitHub: try the preset github');
  expect(await other('meta', 'github')).toContain('request of GitHub');
  expect(await other('github', 'stripe')).toContain('request of Stripe');
  expect(await other('github', 'bitbucket')).toContain('request of Bitbucket Cloud');
  expect(await other('gitlab', 'gitlab-signing')).toContain('preset gitlab-signing');
  expect(await other('github', 'shopify')).toContain('request of Shopify');
  expect(await other('svix', 'standard-webhooks')).toContain('does not look so');
});

describe('which provider a refused request looks like', () => {
  const signatureOf = (preset: Preset) => preset.verify.signature?.from ?? preset.verify.secret_from ?? '';
  const lookOf = async (actual: string) => {
    const sender = SENDERS[actual] ?? expect.fail(`no sender ${actual}`);
    const body = sender.body.replace('NOW', String(NOW_MS));
    const { signing } = sender.keys();
    const { incoming } = await sender.send({ signing, body, nowMs: NOW_MS, url: 'https://h.example/in/k' });
    return told(actual === 'dropbox' ? 'linear' : 'dropbox', lasting('s'), incoming) ?? '';
  };
  const presets = Object.keys(SENDERS).flatMap((name) => PRESETS.get(name) ?? []);
  // These names say nothing of who sent a request: too many use them.
  const known = (preset: Preset) =>
    /^header:(?!(?:Authorization|X-Signature|X-Webhook-Signature)$)/i.test(signatureOf(preset));

  test.each(presets.filter(known).map((preset) => [preset.name, preset] as const))('%s', async (name, preset) => {
    const [, named = ''] = /try the preset (\S+)/.exec(await lookOf(name)) ?? [];
    // Several presets of one provider, or of one standard, have the same signature header.
    const headers = signatureOf(preset).toLowerCase().slice('header:'.length).split(',');
    const like = signatureOf(PRESETS.get(named) as Preset).toLowerCase();
    expect(headers.some((header) => like.includes(header))).toBe(true);
  });

  test.each(presets.filter((preset) => !known(preset)).map(({ name }) => name))(
    '%s has no header of its own',
    async (name) => {
      expect(await lookOf(name)).not.toContain('looks like');
    },
  );

  test('a header that several have is not enough: what is signed with it has to be there', async () => {
    expect(await lookOf('gocardless')).toContain('preset gocardless');
    expect(await lookOf('standard-webhooks')).toContain('preset standard-webhooks');
  });
});

test('a handshake with another verify token is not called unsigned', () => {
  const get = (token: string) =>
    request({
      method: 'GET',
      url: `https://h.example/in/k?hub.mode=subscribe&hub.challenge=1&hub.verify_token=${token}`,
    });
  expect(told('meta', lasting('s'), get('mine+'), [], { token: 'mine' })).toContain(
    'white space around the verify token',
  );
  expect(told('meta', lasting('s'), get('guess'), [], { token: 'mine' })).toBeNull();
});

test('what is not verified has no near miss', () => {
  const rules = compileRules({ verify: { scheme: 'none' } });
  expect(nearMiss(rules, [], request({}), [])).toBeNull();
});

test('a large body and many secrets do not hold everybody else up', () => {
  const others = Array.from({ length: 2000 }, (_, i) => ({
    wh_id: i,
    secret: { value: `secret-${i}`, expiresMs: null },
  }));
  const headers = { 'X-Hub-Signature-256': `sha256=${'0'.repeat(64)}` };
  const incoming = request({ body: Buffer.alloc(10 * 1024 * 1024, 10), headers });
  const start = performance.now();
  expect(told('github', lasting('mine'), incoming, others)).toBeNull();
  expect(performance.now() - start).toBeLessThan(2000);
});

describe('one member of the rules is another', () => {
  const body = '{"a":1}';
  const near = (verify: VerifyInput, signature: string, secret = SECRET) =>
    told('generic', lasting(secret), request({ body, headers: { 'X-S': signature } }), [], {
      scheme: 'hmac',
      signature: { from: 'header:X-S' },
      ...verify,
    });
  const key = Buffer.from('00ff10', 'hex');
  test.each<[string, VerifyInput, string, string, string]>([
    [
      'the hash',
      {},
      createHmac('sha512', SECRET).update(body).digest('hex'),
      SECRET,
      'would verify with sha512: set verify.algorithm to sha512',
    ],
    [
      'the encoding',
      {},
      createHmac('sha256', SECRET).update(body).digest('base64'),
      SECRET,
      'would verify as base64: set verify.encoding to base64',
    ],
    [
      'both',
      {},
      createHmac('sha1', SECRET).update(body).digest('base64'),
      SECRET,
      'would verify as base64: set verify.encoding to base64 and verify.algorithm to sha1',
    ],
    [
      'the key',
      {},
      createHmac('sha256', key).update(body).digest('hex'),
      '00ff10',
      'would verify with the secret ending …10 read as hex: set verify.key_encoding to hex',
    ],
    [
      'the key, in base64',
      { key_encoding: 'hex' },
      createHmac('sha256', key).update(body).digest('hex'),
      key.toString('base64'),
      'would verify with the secret ending …Q read as base64: set verify.key_encoding to base64',
    ],
  ])('%s', (_, verify, signature, secret, words) => {
    expect(near(verify, signature, secret)).toBe(words);
  });

  test('the unit of the time', () => {
    const time = (ms: number, unit: 's' | 'ms') =>
      told(
        'generic',
        lasting(SECRET),
        request({
          body,
          headers: { 'X-T': String(ms), 'X-S': createHmac('sha256', SECRET).update(`${ms}${body}`).digest('hex') },
        }),
        [],
        {
          scheme: 'hmac',
          signature: { from: 'header:X-S' },
          timestamp: { from: 'header:X-T', unit },
          signed_string: '{timestamp}{body}',
        },
      );
    expect(time(NOW_MS, 's')).toBe('its time is in milliseconds: set verify.timestamp.unit to ms');
    expect(time(NOW_MS / 1000, 'ms')).toBe('its time is in seconds: set verify.timestamp.unit to s');
    expect(time(NOW_MS / 1000 - 14 * 86_400, 's')).toBe(
      '14 days outside the window of 300 s: an old request, or a wrong clock',
    );
  });

  test('Cloudinary, where an account signs with SHA-256', () => {
    const time = String(NOW_MS / 1000);
    const headers = {
      'X-Cld-Timestamp': time,
      'X-Cld-Signature': createHash('sha256').update(`${body}${time}${SECRET}`).digest('hex'),
    };
    expect(told('cloudinary', lasting(SECRET), request({ body, headers }))).toBe(
      'would verify with sha256: set verify.algorithm to sha256',
    );
  });
});

// What a person reads who has made one mistake: it must never point to another one.
describe.each(Object.entries(SENDERS))('%s: each usual mistake', (name, sender) => {
  const preset = PRESETS.get(name) ?? expect.fail(name);
  const { title, secret: whose = '' } = preset;
  const rules = compileRules({ preset: name, verify: sender.verify });
  const own = sender.keys();
  const send = (signing = own.signing, nowMs = NOW_MS) =>
    sender.send({ signing, body: sender.body.replace('NOW', String(nowMs)), nowMs, url: `${URL_HERE}?a=1` });
  const words = (incoming: Incoming, secret = own.secret) => {
    const { kind } = verdictOn(rules, lasting(secret), incoming);
    return kind === 'accepted' ? 'accepted' : (nearMiss(rules, lasting(secret), incoming, []) ?? 'nothing near');
  };
  const unlikely = `a secret of ${title} `;
  /** Nothing, but where this sender's secrets do not look like those of the provider. */
  const nothing = (secret: string) => (unlike(name, secret) ? expect.stringContaining(unlikely) : 'nothing near');

  test('another secret', async () => {
    const { incoming } = await send();
    const other = sender.keys().secret;
    expect(words(incoming, other)).toEqual(nothing(other));
  });

  test('an old request', async () => {
    const { incoming } = await send(own.signing, NOW_MS - 14 * 86_400_000);
    const told = words({ ...incoming, receivedMs: NOW_MS });
    if (rules.check?.scheme === 'jwt') expect(told).toMatch(/^(accepted|.* outside the window of .*)$/);
    else if (sender.window === 0) expect(told).toBe('accepted');
    else expect(told).toMatch(/^1[1-4] days outside the window of \d+ s: an old request, or a wrong clock$/);
  });

  test('a byte of the body', async () => {
    const { incoming } = await send();
    const body = Buffer.from(incoming.body);
    body[body.length - 2] = (body.at(-2) ?? 0) ^ 1;
    const told = words({ ...incoming, body });
    if (told.startsWith('the body is not')) expect(told).toContain('something on the way changed it');
    else if (told !== 'accepted') expect(told).toEqual(nothing(own.secret));
    if (sender.coversBody !== false) expect(told).not.toBe('accepted');
  });

  test('no proof at all', async () => {
    const { incoming } = await send();
    const url = URL_HERE;
    const empty = incoming.body.toString().startsWith('{') ? '{"other":1}' : 'other=1';
    const told = words({
      ...incoming,
      publicUrl: url,
      headers: ['Content-Type', empty === 'other=1' ? 'application/x-www-form-urlencoded' : 'application/json'],
      body: Buffer.from(empty),
    });
    expect(told).toMatch(
      rules.check?.scheme === 'shared-secret' ? /^it came without its secret: / : /^it came unsigned: /,
    );
    expect(told).toContain(title);
    expect(told.includes('is the secret set at')).toBe(whose.startsWith('You choose it yourself'));
  });

  test('the preset of another provider', async () => {
    const rule = JSON.stringify(preset.verify);
    const { incoming } = await send();
    for (const other of PRESETS.values()) {
      if (other.verify.scheme === undefined || other.verify.scheme === 'none' || other.name === name) continue;
      const theirs = compileRules({ preset: other.name });
      const { kind } = verdictOn(theirs, lasting(own.secret), incoming);
      // A token that says nothing of the body fits wherever tokens do, and a claim has to be told.
      if (kind !== 'signature') continue;
      const told = nearMiss(theirs, lasting(own.secret), incoming, []) ?? '';
      const [, named] = /^would verify by the rules of .*: choose the preset (\S+)$/.exec(told) ?? [];
      const verdict = `${other.name}: ${told}`;
      // The account that Pub/Sub sends for is no part of its preset.
      if (sender.verify) expect(named, verdict).toBeUndefined();
      else if (named) expect(JSON.stringify(PRESETS.get(named)?.verify), verdict).toBe(rule);
      // One member is another, or ours proves less and has its proof in the same place.
      else if (sender.coversBody !== false) expect(told).toMatch(/^would verify (with|as) .*: set verify\./);
      else expect(told).not.toMatch(/it came|looks like/);
    }
  });
});
