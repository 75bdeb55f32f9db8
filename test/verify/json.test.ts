// The scanner of JSON bodies: what JSON.parse would say, with every digit kept, and never an exception.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { find, parsePointer } from '../../src/verify/json.ts';

const at = (body: string | Buffer, ...paths: string[]) =>
  find(
    Buffer.from(body as string),
    paths.map((path) => parsePointer(path) ?? expect.fail(`${path} is no pointer`)),
  );
const text = (body: string | Buffer, path: string) => at(body, path)[0]?.text;

/** What stands at a pointer for JSON.parse; undefined where nothing does. */
function parsed(body: Buffer, path: readonly string[]): { readonly value: unknown } | undefined {
  let value: unknown = JSON.parse(body.toString('utf8').replace(/^\ufeff/, ''));
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    if (Array.isArray(value) && !/^(0|[1-9]\d*)$/.test(step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return { value };
}

const escaped = (step: string) => step.replaceAll('~', '~0').replaceAll('/', '~1');

function agree(body: Buffer, path: readonly string[]): void {
  const pointer = path.map((step) => `/${escaped(step)}`).join('');
  const [found] = at(body, pointer);
  let expected: { readonly value: unknown } | undefined;
  try {
    expected = parsed(body, path);
  } catch {
    return; // no JSON: any answer will do
  }
  const value = expected?.value;
  if (expected === undefined) expect(found, pointer).toBeUndefined();
  else if (typeof value === 'string') expect(found).toEqual({ kind: 'string', text: value });
  else if (typeof value === 'number') {
    expect(found?.kind).toBe('number');
    expect(Number(found?.text)).toBe(value);
  } else if (typeof value === 'boolean' || value === null) expect(found).toEqual({ kind: 'word', text: String(value) });
  else expect(found?.kind).toBe(Array.isArray(value) ? 'array' : 'object');
}

test('keeps every digit of a number', () => {
  expect(text('{"id":820982911946154508}', '/id')).toBe('820982911946154508');
  expect(text('{"id":-0.1000e+05}', '/id')).toBe('-0.1000e+05');
  expect(String(JSON.parse('{"id":820982911946154508}').id)).toBe('820982911946154500');
});

test('finds what stands deep, escaped, empty, or at the end', () => {
  const body = '{"a":[{"b":{"c/d":"x","~":1,"":"e"}},[[2]]],"\\u0069d":"\\u00e4\\n\\ud83d\\ude00"}';
  expect(
    at(body, '/a/0/b/c~1d', '/a/0/b/~0', '/a/0/b/', '/a/1/0/0', '/id', '/a', '').map((found) => found?.text),
  ).toEqual(['x', '1', 'e', '2', 'ä\n😀', '', '']);
  expect(at(body, '/a/2', '/a/00', '/a/-1', '/b', '/a/0/b/c', '/id/x')).toEqual(Array(6).fill(undefined));
});

test('of a name that stands twice the last counts, wherever the path goes on', () => {
  expect(text('{"id":1,"id":2}', '/id')).toBe('2');
  expect(text('{"a":{"id":1},"a":{"x":2}}', '/a/id')).toBeUndefined();
  expect(text('{"a":{"id":1},"a":3}', '/a/id')).toBeUndefined();
  expect(text('{"a":[{"id":1}],"\\u0061":[{"id":2}]}', '/a/0/id')).toBe('2');
});

test('a star is the only element of a list, and nothing where there are two', () => {
  expect(text('{"e":[{"id":1}]}', '/e/*/id')).toBe('1');
  expect(text('{"e":[{"id":1},{"id":2}]}', '/e/*/id')).toBeUndefined();
  expect(text('{"e":[{"id":1},null]}', '/e/*/id')).toBeUndefined();
  expect(text('{"e":[]}', '/e/*/id')).toBeUndefined();
  expect(text('[[{"id":1}],[]]', '/*/*/id')).toBeUndefined();
  expect(text('{"e":[1,2],"e":[3]}', '/e/*')).toBe('3');
  expect(text('{"*":5}', '/*')).toBe('5');
});

test('what is no JSON has nothing in it', () => {
  for (const body of [
    '',
    ' ',
    '{',
    '{"id":1',
    '{"id":1}}',
    '{"id":1},',
    '{"id" 1}',
    '{id:1}',
    '{"id":1,}',
    '[1,]',
    '{"id":}',
    '["id":1]',
    '{"id":"1}',
    '{"id":"1\\',
  ])
    expect(at(body, '/id', '/0', ''), body).toEqual([undefined, undefined, undefined]);
  for (const body of ['{"id":01}', '{"id":1.}', '{"id":tru}', '{"id":NaN}', '{"id":"\\x"}', '{"id":+1}', '{"id":"\n"}'])
    expect(text(body, '/id'), body).toBeUndefined();
});

test('goes a million lists deep without a stack of its own', () => {
  const deep = 500_000;
  expect(text(`${'['.repeat(deep)}1${']'.repeat(deep)}`, '/0/0')).toBe('');
  expect(text('['.repeat(2 * deep), '/0')).toBeUndefined();
  expect(text(`${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}`, '/a/a')).toBe('');
});

test('a byte order mark in front does no harm', () => {
  expect(text('\ufeff{"id":1}', '/id')).toBe('1');
});

test('agrees with JSON.parse on random documents', () => {
  const step = fc.oneof(
    fc.constantFrom('a', 'b', '0', '1', '', '~', '/', '*'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const document = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 0 }),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(step, tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  fc.assert(
    fc.property(document, fc.array(step, { maxLength: 4 }), fc.constantFrom('', ' ', '\n'), (value, path, indent) => {
      // A star has a meaning of its own in lists.
      fc.pre(!path.includes('*'));
      agree(Buffer.from(JSON.stringify(value, null, indent)), path);
    }),
    { numRuns: 3000 },
  );
});

test('agrees with JSON.parse on documents with a few bytes changed', () => {
  const source =
    '{"a":[{"id":12345678901234567890,"b":"\\u00e4x\\\\"},null,true,-1.5e3],"id":"\u00e9\\"","a\\u0062":{"":[]}}';
  const paths = [['a', '0', 'id'], ['id'], ['a', '3'], ['ab', ''], ['a', '0', 'b'], []];
  const change = fc.tuple(fc.nat({ max: Buffer.byteLength(source) - 1 }), fc.nat({ max: 255 }), fc.nat({ max: 2 }));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let body = Buffer.from(source);
      for (const [place, byte, kind] of changes) {
        const at = Math.min(place, body.length - 1);
        if (kind === 0) body[at] = byte;
        else if (kind === 1) body = Buffer.concat([body.subarray(0, at), Buffer.from([byte]), body.subarray(at)]);
        else body = Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]);
      }
      for (const path of paths) agree(body, path);
    }),
    { numRuns: 8000 },
  );
});

test('never throws on random bytes', () => {
  const characters = fc.array(fc.constantFrom(...'{}[]",:\\ 01-eEtrufalsn\u00ff\n*'), { maxLength: 40 });
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    characters.map((list) => Buffer.from(list.join(''), 'latin1')),
  );
  fc.assert(
    fc.property(raw, (body) => {
      for (const path of [[], ['a'], ['0'], ['0', '0']]) agree(body, path);
      at(body, '/*', '/*/*', '/a/*');
    }),
    { numRuns: 10_000 },
  );
});
