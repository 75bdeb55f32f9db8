// Over all presets: a genuine request is accepted however it is spelt, and none of which one byte that is signed is another.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identify } from '../../src/verify/identify.ts';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { type Incoming, readSource, type Source } from '../../src/verify/request.ts';
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

type Spelling = (seed: number) => Incoming | Promise<Incoming>;

/** What a sender or a proxy may write otherwise, and nothing that is signed. Names are those of a failure. */
function spellings(
  name: string,
  sent: Sent,
  send: (body: string) => Promise<Sent>,
): Readonly<Record<string, Spelling>> {
  const { incoming, signature } = sent;
  const { verify } = PRESETS.get(name) ?? {};
  const sender = SENDERS[name] ?? expect.fail(name);
  const check = compileRules({ preset: name, verify: sender.verify }).check;
  const cased = (text: string, seed: number) =>
    [...text].map((one, i) => ((seed >> (i % 30)) & 1 ? one.toUpperCase() : one.toLowerCase())).join('');
  const all: Record<string, Spelling> = {
    'as it is': () => incoming,
    'the case of header names': (seed) => headerMap(incoming, (key, value) => [cased(key, seed), value]),
    'a charset': (seed) =>
      headerMap(incoming, (key, value) => [
        key,
        /^content-type$/i.test(key) ? `${value.split('; charset')[0]}; charset=${cased('utf-8', seed)}` : value,
      ]),
    'more headers': (seed) => ({ ...incoming, headers: ['X-Forwarded-For', String(seed), ...incoming.headers] }),
  };
  if (/^[{[]/.test(incoming.body.toString()))
    all['a byte order mark'] = async () => {
      // Where the body is signed, its mark is: only the sender can write it.
      const { body, ...rest } = incoming;
      return sender.coversBody === false
        ? { ...rest, body: Buffer.concat([MARK, body]) }
        : (await send(`\ufeff${sender.body}`)).incoming;
    };
  if (check && 'template' in check && check.encoding === 'hex' && check.scheme !== 'asymmetric')
    all['the case of hex'] = (seed) => resigned(sent, cased(signature, seed));
  const { item_separator: items, field_separator: fields, field } = verify?.signature ?? {};
  if (items && check && 'template' in check) {
    const own = field === undefined ? '' : field === '*' ? `k${fields}` : `${field}${fields}`;
    // The one that fits, among some that do not, in any place of at most twenty; and before or behind its time.
    all['several signatures in any order'] = (seed) => {
      const wrong = (count: number) => Array.from({ length: count }, (_, i) => `${own}${'0'.repeat(10 + i)}`);
      // Each signature by a private key costs much more, so fewer are looked at.
      const ahead = wrong(seed % (check.scheme === 'asymmetric' ? 4 : 8));
      const behind = wrong((seed >> 3) % 8);
      const shuffled = (text: string) => {
        const [mine, others] = [[], []] as string[][] as [string[], string[]];
        for (const item of text.split(items)) (item.includes(signature) ? mine : others).push(item);
        const list = [...ahead, ...mine, ...behind];
        const rest = others.filter((item) => !item.startsWith(own));
        return (seed & 64 ? [...rest, ...list] : [...list, ...rest]).join(items);
      };
      if (name !== 'braintree')
        return headerMap(incoming, (key, value) => [key, value.includes(signature) ? shuffled(value) : value]);
      const form = new URLSearchParams(incoming.body.toString());
      form.set('bt_signature', shuffled(form.get('bt_signature') ?? ''));
      return { ...incoming, body: Buffer.from(form.toString()) };
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

/** Every text of the request in which something that is signed stands, with the request in which it is another. None is left out. */
function parts(name: string, sent: Sent): readonly Part[] {
  const { incoming, signature } = sent;
  const check = compileRules({ preset: name, verify: SENDERS[name]?.verify }).check ?? expect.fail(name);
  const body = {
    text: incoming.body.toString('latin1'),
    with: (changed: string) => ({ ...incoming, body: Buffer.from(changed, 'latin1') }),
  };
  const proof = { text: signature, with: (changed: string) => resigned(sent, changed) };
  // The secret itself is all that there is.
  if (check.scheme === 'shared-secret') return [proof];
  if (check.scheme === 'jwt') {
    const [head = '', claims = '', last = ''] = signature.split('.');
    return [
      ...(check.bodyClaim === undefined ? [] : [body]),
      { text: head, with: (changed) => resigned(sent, `${changed}.${claims}.${last}`) },
      { text: claims, with: (changed) => resigned(sent, `${head}.${changed}.${last}`) },
    ];
  }
  function signedBy(part: SignatureCheck['template'][number], { timestamp, id }: SignatureCheck): readonly Part[] {
    switch (part.kind) {
      case 'body':
      case 'crc32':
      case 'params':
        return [body];
      case 'url':
        return [{ text: incoming.publicUrl, with: (changed) => ({ ...incoming, publicUrl: changed }) }];
      case 'method':
        return [{ text: incoming.method, with: (changed) => ({ ...incoming, method: changed }) }];
      case 'timestamp':
        return [valueAt(timestamp?.from ?? expect.fail(name), sent, false)];
      case 'id':
        return [valueAt(id ?? expect.fail(name), sent, false)];
      case 'read':
        return [valueAt(part.source, sent, part.lower)];
      case 'text':
      case 'secret':
        return [];
    }
  }
  const signed = check.template.flatMap((part) => signedBy(part, check));
  expect(signed).not.toEqual([]);
  return [proof, ...signed];
}

/** A value that is signed, wherever it stands; where nothing stands that might, something is put there. */
function valueAt(source: Source | string, { incoming, signature }: Sent, lower: boolean): Part {
  // A field beside the signature, such as t=1,v1=ab.
  if (typeof source === 'string') {
    const [, text = ''] = new RegExp(`\\b${source}=(\\d+)`).exec(incoming.headers.join(' ')) ?? [];
    const to = (changed: string) =>
      headerMap(incoming, (key, value) => [
        key,
        value.includes(signature) ? value.replace(`${source}=${text}`, `${source}=${changed}`) : value,
      ]);
    return { text, with: to };
  }
  const places = source.kind === 'either' ? source.places : [source];
  const place = places.find((one) => readSource(one, incoming, undefined) !== undefined) ?? places[0];
  const text = readSource(source, incoming, undefined) ?? 'x';
  // Two spellings of which the same is signed: another text is put in.
  const other = (changed: string) => (lower && changed.toLowerCase() === text.toLowerCase() ? '-' : changed);
  return { text, with: (changed) => put(place ?? expect.fail(text), incoming, other(changed)) };
}

function put(place: Source, incoming: Incoming, value: string): Incoming {
  const body = incoming.body.toString();
  const steps = 'pointer' in place && place.pointer ? place.pointer.segments.map(({ name }) => name) : [];
  switch (place.kind) {
    case 'header': {
      const named = (key: string) => place.names.includes(key.toLowerCase());
      const rest = headerMap(incoming, (key, old) => [named(key) ? 'X-Gone' : key, old]);
      return { ...rest, headers: [...rest.headers, place.written[0] ?? '', value] };
    }
    case 'query': {
      const url = new URL(incoming.publicUrl);
      url.searchParams.set(place.name, value);
      return { ...incoming, publicUrl: url.href };
    }
    case 'form': {
      // In the JSON of a field it stands once, as it is.
      if (place.pointer) {
        const field = /\{.*\}/s.exec(body)?.[0] ?? '';
        const changed = JSON.stringify(setAt(JSON.parse(field), steps, value));
        return { ...incoming, body: Buffer.from(body.replace(field, () => changed)) };
      }
      const form = new URLSearchParams(body);
      form.set(place.name, value);
      return { ...incoming, body: Buffer.from(form.toString()) };
    }
    case 'body':
      return { ...incoming, body: Buffer.from(JSON.stringify(setAt(JSON.parse(body), steps, value))) };
    default:
      return expect.fail(place.title);
  }
}

function setAt(node: unknown, [name, ...rest]: readonly string[], value: string): unknown {
  if (name === undefined) return value;
  if (Array.isArray(node)) return [setAt(node[0], rest, value), ...node.slice(1)];
  return { ...(node as object), [name]: setAt((node as Record<string, unknown>)[name], rest, value) };
}

// All presets but those that verify nothing, and `generic`, whose rules are its owner's: forgeries.test.ts has the list. Chunked, and
// with Expect: receiver/presets.test.ts.
describe.each(Object.entries(SENDERS))('%s', (name, sender) => {
  const rules = compileRules({ preset: name, verify: sender.verify });
  const { secret, signing } = sender.keys();
  const accepted = { kind: 'accepted', verified: rules.check?.scheme === 'shared-secret' ? 'token' : 'signed' };
  const send = (body = sender.body) =>
    sender.send({ signing, body: body.replace('NOW', String(NOW_MS)), nowMs: NOW_MS, url: `${URL_HERE}?a=1` });

  test('is accepted in every spelling, as the same event', async () => {
    const sent = await send();
    const known = identify(rules, sent.incoming);
    for (const [title, spelt] of Object.entries(spellings(name, sent, send)))
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const incoming = await spelt(seed);
          expect(verdictOn(rules, lasting(secret), incoming), title).toEqual(accepted);
          const { event_id, event_type } = identify(rules, incoming);
          expect(event_type, title).toBe(known.event_type);
          if (!known.event_id?.includes('sha256:')) expect(event_id, title).toBe(known.event_id);
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
          if (rules.check && 'encoding' in rules.check && rules.check.encoding === 'hex')
            fc.pre(part.text !== sent.signature || changed.toLowerCase() !== part.text.toLowerCase());
          expect(verdictOn(rules, lasting(secret), part.with(changed)).kind, `${at} in ${changed}`).not.toBe(
            'accepted',
          );
        }),
        { numRuns: RUNS },
      );
  });
});

test('which preset has which spelling', async () => {
  const having = new Map<string, string[]>();
  for (const [name, sender] of Object.entries(SENDERS)) {
    const { signing } = sender.keys();
    const given = { signing, body: sender.body, nowMs: NOW_MS, url: `${URL_HERE}?a=1` };
    const sent = await sender.send(given);
    for (const title of Object.keys(spellings(name, sent, async () => sent)))
      having.set(title, [...(having.get(title) ?? []), name]);
  }
  const without = (title: string) => Object.keys(SENDERS).filter((name) => !having.get(title)?.includes(name));
  for (const title of ['as it is', 'the case of header names', 'a charset', 'more headers'])
    expect(without(title), title).toEqual([]);
  // Their bodies are forms and XML.
  expect(without('a byte order mark')).toEqual([
    ...['twilio', 'mailchimp', 'mandrill', 'salesforce', 'braintree', 'dropbox-sign', 'plivo'],
  ]);
  // Base64 is not the same in another case; a token and a secret that is sent neither; a public key takes one form.
  const hex = (name: string) => {
    const { check } = compileRules({ preset: name, verify: SENDERS[name]?.verify });
    return check && 'encoding' in check && check.encoding === 'hex' && check.scheme !== 'asymmetric';
  };
  expect(having.get('the case of hex')).toEqual(Object.keys(SENDERS).filter(hex));
  const separated = (name: string) => PRESETS.get(name)?.verify.signature?.item_separator !== undefined;
  expect(having.get('several signatures in any order')).toEqual(Object.keys(SENDERS).filter(separated));
  expect(having.get('any of several headers')).toEqual(['box', 'docusign']);
});

/** Two texts of which a provider signs the same: parameters of a form with other escapes, or a URL with its host in capitals. */
function equivalent(name: string, text: string, changed: string): boolean {
  if (!['twilio', 'mandrill', 'plivo', 'hubspot'].includes(name)) return false;
  const normal = (one: string) => (URL.canParse(one) ? new URL(one).href : one);
  const decoded = (one: string) =>
    [...new URLSearchParams(normal(one).replace(/%(?![0-9a-f]{2})/gi, '%25'))].sort().flat().join('');
  return decoded(text) === decoded(changed);
}
