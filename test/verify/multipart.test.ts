// Multipart bodies: fields byte for byte, as formData() of Node reads them, and hostile bytes that cost no more than others.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundaryOf, parseMultipart } from '../../src/verify/multipart.ts';
import { atOnce } from '../../src/verify/slices.ts';

const TYPE = 'multipart/form-data; boundary=b';
const parse = (body: string | Buffer, type = TYPE) => {
  const boundary = boundaryOf(type);
  if (!boundary) return 'no boundary';
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  return atOnce(parseMultipart(bytes, boundary))?.map(({ name, value }) => [name, value.toString('latin1')]);
};
const part = (head: string, value: string) => `--b\r\n${head}\r\n\r\n${value}\r\n`;
const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value);

test('fields in their order, and no files', () => {
  const file = part(
    'Content-Disposition: form-data; name="a"; filename="x.bin"\r\nContent-Type: image/png',
    '\r\n--B\0',
  );
  expect(parse(`${field('t', '1')}${file}${field('t', '2\r\n')}${field('e', '')}--b--\r\n`)).toEqual([
    ['t', '1'],
    ['t', '2\r\n'],
    ['e', ''],
  ]);
});

test.each<[string, string, unknown]>([
  ['text before and after', `before\r\n${field('a', '1')}--b--\r\nafter`, [['a', '1']]],
  ['spaces behind a boundary', `--b \t\r\ncontent-disposition:form-data;name=a\r\n\r\n1\r\n--b--`, [['a', '1']]],
  ['a boundary with more behind it', `${field('a', '1\r\n--bc\r\n--b x')}--b--`, [['a', '1\r\n--bc\r\n--b x']]],
  ['a name in quotes', `${field('x\\"; filename=\\"y%22%0d', '1')}--b--`, [['x"; filename="y"\r', '1']]],
  ['a name that is not of its header', `${part('X-A: form-data; name="a"', '1')}--b--`, []],
  ['no head at all', `--b\r\n\r\n1\r\n${field('a', '2')}--b--`, [['a', '2']]],
  ['an attachment', `${part('Content-Disposition: attachment; name="a"', '1')}--b--`, []],
  ['a file by its long name', `${part("Content-Disposition: form-data; name=a; filename*=utf-8''x", '1')}--b--`, []],
  ['no end', field('a', '1'), undefined],
  ['no field', '--b--', []],
  ['nothing', '', undefined],
  ['a head without an end', `--b\r\n${'x'.repeat(9_000)}\r\n\r\n1\r\n--b--`, undefined],
  ['a line break of Unix', '--b\nContent-Disposition: form-data; name="a"\n\n1\n--b--', undefined],
  ['too many parts', `${field('a', '1').repeat(1_001)}--b--`, undefined],
])('%s', (_, body, fields) => expect(parse(body)).toEqual(fields));

test.each([
  ['multipart/form-data', 'no boundary'],
  ['multipart/mixed; boundary=b', 'no boundary'],
  [`multipart/form-data; boundary=${'b'.repeat(71)}`, 'no boundary'],
  ['multipart/form-data; boundary="b\r\nc"', 'no boundary'],
  ['Multipart/Form-Data;charset=utf-8; Boundary="b"', []],
])('the boundary of %j', (type, found) => expect(parse('--b--', type)).toEqual(found));

describe('any bytes', () => {
  const scraps = fc.constantFrom(
    '\r\n',
    '--',
    'b',
    '--b',
    '--b\r\n',
    '\r\n--b',
    '\r\n\r\n',
    ' ',
    '\0',
    '\xff',
    '"',
    '\\',
    'x',
  );
  const disposition = fc.constant('Content-Disposition: form-data; name="a"');
  const hostile = fc.array(fc.oneof(scraps, disposition), { maxLength: 40 }).map((list) => list.join(''));

  test('never throw, and every value stands in the body', () => {
    fc.assert(
      fc.property(hostile, hostile, (body, type) => {
        const found = parse(body);
        if (Array.isArray(found)) for (const [, value = ''] of found) expect(body).toContain(value);
        parse(body, `multipart/form-data; ${type}`);
        parse(body, `multipart/form-data; boundary="${type}"`);
      }),
      { numRuns: 5_000 },
    );
  });

  test('are read as Node reads them, where it takes them', async () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'B', ' ', '"', ';', '=', '\r', '\n', '%', 'ä', '[') });
    const value = fc.oneof(
      hostile.filter((text) => !/[^\0-\x7f]/.test(text)),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 5 }), async (entries) => {
        const form = new FormData();
        for (const [key, text, file] of entries)
          if (file) form.append(key, new File([text], 'f'));
          else form.append(key, text);
        const answer = new Response(form);
        const body = Buffer.from(await answer.arrayBuffer());
        const found = parse(body, answer.headers.get('content-type') ?? '');
        // By the HTML standard line breaks are sent as CR LF.
        const sent = (text: string) => Buffer.from(text.replace(/\r\n?|\n/g, '\r\n')).toString('latin1');
        expect(found).toEqual(entries.filter(([, , file]) => !file).map(([key, text]) => [sent(key), sent(text)]));
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, (size: number) => Buffer, string]>([
    ['line breaks', (size) => Buffer.alloc(size, '\r\n'), 'b'],
    ['almost boundaries', (size) => Buffer.alloc(size, `\r\n--${'b'.repeat(69)}`), 'b'.repeat(70)],
    ['boundaries with spaces', (size) => Buffer.alloc(size, `\r\n--b${' '.repeat(1_000)}`), 'b'],
    [
      'one field',
      (size) => Buffer.concat([Buffer.from(field('a', '')), Buffer.alloc(size), Buffer.from('\r\n--b--')]),
      'b',
    ],
    ['heads', (size) => Buffer.alloc(size, `--b\r\n${';'.repeat(8_000)}\r\n\r\n\r\n`), 'b'],
  ])('10 MiB of %s: no step takes long', (_, make, boundary) => {
    const body = make(10 * 1024 * 1024);
    const worstOf = () => {
      const work = parseMultipart(body, Buffer.from(boundary));
      for (let worst = 0; ; ) {
        const began = performance.now();
        const { done } = work.next();
        worst = Math.max(worst, performance.now() - began);
        if (done) return worst;
      }
    };
    // A busy machine may disturb two of three.
    expect(Math.min(worstOf(), worstOf(), worstOf())).toBeLessThan(50);
  });
});
