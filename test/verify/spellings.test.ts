// Over all presets: a genuine request is accepted however it is spelt, and none of which one byte that is signed is another.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identify } from '../../src/verify/identify.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { type Incoming, readSource } from '../../src/verify/request.ts';
import { compileRules, type SignatureCheck } from '../../src/verify/rules.ts';
import { lasting, NOW_MS, URL_HERE } from './presets/request.ts';
import { SENDERS, type Sent } from './presets/senders.ts';
import { verdictOn } from './verdict.ts';

const RUNS = 60;
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

const headerMap = (
  incoming: Incoming,
  change: (name: string, value: string) => readonly [string, string],
): Incoming => ({
  ...incoming,
  headers: incoming.headers.flatMap((name, i) => (i % 2 === 0 ? change(name, incoming.headers[i + 1] ?? '') : [])),
});
/** The same request with its signature written otherwise, wherever it stands. */
const resigned = ({ incoming, signature }: Sent, changed: string): Incoming => ({
  ...headerMap(incoming, (name, value) => [name, value.replace(signature, changed)]),
  publicUrl: incoming.publicUrl.replace(signature, changed),
  body: Buffer.from(incoming.body.toString('latin1').replace(signature, changed), 'latin1'),
});

/** What a sender or a proxy may write otherwise, and nothing that is signed. Names are those of a failure. */
function spellings(name: string, sent: Sent): Readonly<Record<string, (seed: number) => Incoming>> {
  const { incoming, signature } = sent;
  const { verify } = PRESETS.get(name) ?? {};
  const check = compileRules({ preset: name, verify: SENDERS[name]?.verify }).check;
  const cased = (text: string, seed: number) =>
    [...text].map((one, i) => ((seed >> (i % 30)) & 1 ? one.toUpperCase() : one.toLowerCase())).join('');
  const all: Record<string, (seed: number) => Incoming> = {
    'as it is': () => incoming,
    'the case of header names': (seed) => headerMap(incoming, (key, value) => [cased(key, seed), value]),
    'a charset': () =>
      headerMap(incoming, (key, value) => [
        key,
        /^content-type$/i.test(key) && !value.includes(';') ? `${value}; charset=utf-8` : value,
      ]),
    'more headers': (seed) => ({ ...incoming, headers: ['X-Forwarded-For', String(seed), ...incoming.headers] }),
  };
  const json = incoming.headers.includes('application/json');
  if (SENDERS[name]?.coversBody === false && json)
    all['a byte order mark'] = () => ({ ...incoming, body: Buffer.concat([MARK, incoming.body]) });
  if (check && 'template' in check && check.encoding === 'hex' && check.scheme !== 'asymmetric')
    all['the case of hex'] = (seed) => resigned(sent, cased(signature, seed));
  const { item_separator: items, field_separator: fields, field } = verify?.signature ?? {};
  if (items && fields && field && check && 'template' in check) {
    const own = field === '*' ? `k${fields}` : `${field}${fields}`;
    const before = name === 'braintree' ? encodeURIComponent : (text: string) => text;
    // The one that fits, among some that do not, in any place of at most twenty.
    all['several signatures'] = (seed) => {
      const wrong = (count: number) => Array.from({ length: count }, (_, i) => `${own}${'0'.repeat(10 + i)}`);
      // Each signature by a private key costs much more, so fewer are looked at.
      const ahead = wrong(seed % (check.scheme === 'asymmetric' ? 4 : 8)).map((one) => before(one + items));
      const behind = wrong((seed >> 3) % 8).map((one) => before(items + one));
      const header = headerMap(incoming, (key, value) => {
        const at = value.indexOf(`${own}${signature}`);
        if (at < 0) return [key, value];
        const end = at + own.length + signature.length;
        return [
          key,
          `${value.slice(0, at)}${ahead.join('')}${value.slice(at, end)}${behind.join('')}${value.slice(end)}`,
        ];
      });
      if (name !== 'braintree') return header;
      const text = incoming.body.toString('latin1');
      const [start, end] = [text.indexOf('our_key'), text.indexOf(signature) + signature.length];
      return {
        ...incoming,
        body: Buffer.from(
          `${text.slice(0, start)}${ahead.join('')}${text.slice(start, end)}${behind.join('')}${text.slice(end)}`,
        ),
      };
    };
  }
  if (check && 'everyHeader' in check && check.everyHeader) {
    const names = (check.signature as Extract<SignatureCheck['signature'], { kind: 'header' }>).names;
    all['any of several headers'] = (seed) => {
      const rest = headerMap(incoming, (key, value) =>
        names.includes(key.toLowerCase()) ? ['X-Gone', ''] : [key, value],
      );
      return { ...rest, headers: [...rest.headers, names[seed % names.length] ?? '', signature] };
    };
  }
  return all;
}

interface Part {
  readonly text: string;
  readonly with: (changed: string) => Incoming;
}

/** Every text of the request in which something that is signed stands, with the request in which it is another. */
function parts(name: string, sent: Sent): readonly Part[] {
  const { incoming } = sent;
  const check = compileRules({ preset: name, verify: SENDERS[name]?.verify }).check;
  const body = {
    text: incoming.body.toString('latin1'),
    with: (changed: string) => ({ ...incoming, body: Buffer.from(changed, 'latin1') }),
  };
  const covered = SENDERS[name]?.coversBody === false ? [] : [body];
  if (!check) return [];
  if (check.scheme === 'shared-secret') return [];
  if (check.scheme === 'jwt') {
    const [head = '', claims = ''] = sent.signature.split('.');
    return [
      ...covered,
      { text: claims, with: (changed) => resigned(sent, `${head}.${changed}.${sent.signature.split('.')[2]}`) },
    ];
  }
  const headers = check.template.flatMap((part) => {
    const from =
      part.kind === 'read'
        ? part.source
        : part.kind === 'id'
          ? check.id
          : part.kind === 'timestamp'
            ? check.timestamp?.from
            : undefined;
    if (typeof from !== 'object' || from.kind !== 'header') return [];
    return incoming.headers.flatMap((key, i) =>
      i % 2 === 0 && from.names.includes(key.toLowerCase())
        ? [
            {
              text: incoming.headers[i + 1] ?? '',
              with: (changed: string) => headerMap(incoming, (one, value) => [one, one === key ? changed : value]),
            },
          ]
        : [],
    );
  });
  const url = check.template.some(({ kind }) => kind === 'url')
    ? [{ text: incoming.publicUrl, with: (changed: string) => ({ ...incoming, publicUrl: changed }) }]
    : [];
  return [...covered, ...headers, ...url, ...values(check, sent)];
}

/** The values that a signature takes from a body or a query, where they stand once. */
function values(check: SignatureCheck, { incoming }: Sent): readonly Part[] {
  const body = incoming.body.toString('latin1');
  return check.template.flatMap((part): readonly Part[] => {
    if (part.kind !== 'read' || part.source.kind === 'header') return [];
    const text = readSource(part.source, incoming, undefined) ?? '';
    const once = (whole: string) => text !== '' && whole.split(text).length === 2;
    const same = (changed: string) => part.lower && changed.toLowerCase() === text.toLowerCase();
    const within = (whole: string, to: (changed: string) => Incoming): readonly Part[] =>
      once(whole)
        ? [
            {
              text,
              with: (changed) =>
                same(changed) ? to(whole.replace(text, '-')) : to(whole.replace(text, () => changed)),
            },
          ]
        : [];
    if (part.source.kind === 'query')
      return within(incoming.publicUrl, (changed) => ({ ...incoming, publicUrl: changed }));
    return within(body, (changed) => ({ ...incoming, body: Buffer.from(changed, 'latin1') }));
  });
}

describe.each(Object.entries(SENDERS))('%s', (name, sender) => {
  const rules = compileRules({ preset: name, verify: sender.verify });
  const { secret, signing } = sender.keys();
  const accepted = { kind: 'accepted', verified: rules.check?.scheme === 'shared-secret' ? 'token' : 'signed' };
  const send = () =>
    sender.send({ signing, body: sender.body.replace('NOW', String(NOW_MS)), nowMs: NOW_MS, url: `${URL_HERE}?a=1` });

  test('is accepted in every spelling, as the same event', async () => {
    const sent = await send();
    const known = identify(rules, sent.incoming);
    for (const [title, spelt] of Object.entries(spellings(name, sent)))
      fc.assert(
        fc.property(fc.nat(), (seed) => {
          const incoming = spelt(seed);
          expect(verdictOn(rules, lasting(secret), incoming), title).toEqual(accepted);
          expect(identify(rules, incoming).event_type, title).toBe(known.event_type);
        }),
        { numRuns: RUNS },
      );
  });

  test('is not accepted when one byte of what is signed is another', async () => {
    const sent = await send();
    for (const part of parts(name, sent))
      fc.assert(
        fc.property(fc.nat(), fc.integer({ min: 1, max: 127 }), (place, turn) => {
          const at = place % part.text.length;
          const other = part.text.charCodeAt(at) ^ turn;
          // In a header a space or a control character is another fault.
          fc.pre(other > 32 && other < 127);
          const changed = part.text.slice(0, at) + String.fromCharCode(other) + part.text.slice(at + 1);
          fc.pre(!equivalent(name, part.text, changed));
          expect(verdictOn(rules, lasting(secret), part.with(changed)).kind, `${at} in ${changed}`).not.toBe(
            'accepted',
          );
        }),
        { numRuns: RUNS },
      );
  });
});

/** Two texts of which a provider signs the same: parameters of a form with other escapes, or a URL with its host in capitals. */
function equivalent(name: string, text: string, changed: string): boolean {
  if (!['twilio', 'mandrill', 'hubspot'].includes(name)) return false;
  const normal = (one: string) => (URL.canParse(one) ? new URL(one).href : one);
  const decoded = (one: string) =>
    [...new URLSearchParams(normal(one).replace(/%(?![0-9a-f]{2})/gi, '%25'))].sort().flat().join('');
  return decoded(text) === decoded(changed);
}
