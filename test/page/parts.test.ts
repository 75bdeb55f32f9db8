// The parts of the inbox that need no browser: JSON to the digit, forms to the byte, curl to the byte.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyOfBytes, type CodeLine, hexText, jsonLines, partsOf, textLines } from '../../src/page/body.ts';
import { curlOf, isSecret } from '../../src/page/curl.ts';
import { visible } from '../../src/page/text.ts';

const together = (lines: readonly CodeLine[]) =>
  lines.map(({ parts }) => parts.map(({ text }) => text).join('')).join('\n');

describe('JSON', () => {
  test('is set out as JSON.stringify does, whatever it is', () => {
    void fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const lines = jsonLines(JSON.stringify(value));
        const laid = lines
          ?.map(({ depth, parts }) => '  '.repeat(depth) + parts.map(({ text }) => text).join(''))
          .join('\n');
        expect(laid).toBe(JSON.stringify(value, null, 2));
      }),
      { numRuns: 500 },
    );
  });
  test('keeps numbers that no program can hold, members that come twice, and every escape', () => {
    const text = '{"id":123456789012345678901234567890,"id":1e400,"s":"\\u00e9\\/\\ud800"}';
    expect(together(jsonLines(text) ?? [])).toBe(
      '{\n"id": 123456789012345678901234567890,\n"id": 1e400,\n"s": "\\u00e9\\/\\ud800"\n}',
    );
  });
  test.each([
    '',
    '{',
    '[1,]',
    '{"a":1,}',
    '{"a"}',
    '[1 2]',
    'nul',
    '01',
    '"a',
    '{a:1}',
    '[}',
    '1 2',
    '{"a":1]',
    ',',
    '[,1]',
  ])('%j is none', (text) => {
    expect(jsonLines(text)).toBeUndefined();
  });
  test('a million brackets are cut, not followed', () => {
    const lines = jsonLines('['.repeat(1_000_000)) ?? [];
    expect(lines.length).toBeLessThan(60_000);
    expect(together(lines.slice(-1))).toContain('more characters');
  });
});

test('a text of one long line becomes many, and nothing of it is lost', () => {
  const text = `${'x'.repeat(10_000)}\nshort\r\n`;
  expect(
    textLines(text)
      .map(({ parts }) => parts.map((part) => part.text).join(''))
      .join(''),
  ).toBe(`${'x'.repeat(10_000)}short`);
});

test('what would hide or turn text around is named', () => {
  expect(visible('a\0b\u202ec\u200bd\te\nf 👩‍💻 é')).toBe('a␀b⟨U+202E⟩c⟨U+200B⟩d\te\nf 👩‍💻 é');
});

test('hex shows offset, bytes and characters', () => {
  expect(hexText(Uint8Array.from([0, 65, 255, 10]), 10)).toBe(`00000000  00 41 ff 0a${' '.repeat(39)}·A··`);
});

test('parts of a form come out byte for byte, whatever is in them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 4 }), async (contents) => {
      const form = new FormData();
      for (const [i, one] of contents.entries()) form.append(`part ${i}`, new Blob([one.slice()]), `file-${i}"é.bin`);
      const response = new Response(form);
      const type = response.headers.get('content-type') ?? '';
      const parts = await partsOf(new Uint8Array(await response.arrayBuffer()), type);
      expect(parts?.map(({ bytes }) => [...bytes])).toEqual(contents.map((one) => [...one]));
      expect(parts?.[0]?.name).toBe('part 0');
    }),
    { numRuns: 50 },
  );
});

test('a value of a form that is no UTF-8 keeps its bytes; what is no form of parts, or has too many, is text', async () => {
  const type = 'multipart/form-data; boundary=x';
  const part = (value: string) => `--x\r\nContent-Disposition: form-data; name="n\xc3\xa9"\r\n\r\n${value}\r\n`;
  const of = (text: string) => partsOf(Uint8Array.from(Buffer.from(text, 'latin1')), type);
  const [first] = (await of(`${part('\xef\xbb\xbf\xff\0caf\xe9\r\n')}--x--\r\n`)) ?? [];
  expect(first?.name).toBe('né');
  expect([...(first?.bytes ?? [])]).toEqual([...Buffer.from('\xef\xbb\xbf\xff\0caf\xe9\r\n', 'latin1')]);
  expect(await of('no boundary here')).toBeUndefined();
  expect(await of(part('never ended'))).toBeUndefined();
  expect(await of(`${part('x').repeat(5_000)}--x--\r\n`)).toBeUndefined();
  const broken = await bodyOfBytes(new TextEncoder().encode(part('never ended')), type);
  expect([broken.pretty(), broken.text()?.includes('never ended')]).toEqual([undefined, true]);
});

test('a body is shown by what it is, not by what it says to be', async () => {
  const kind = async (text: string, type: string) =>
    (await bodyOfBytes(new TextEncoder().encode(text), type)).pretty()?.kind;
  expect(await kind('{"a":1}', 'text/plain')).toBe('json');
  expect(await kind('{"a":1}', 'application/x-www-form-urlencoded')).toBe('json');
  expect(await kind('a=1&b=2', 'application/x-www-form-urlencoded; charset=utf-8')).toBe('form');
  expect(await kind('<a/>', 'application/soap+xml')).toBe('xml');
  expect(await kind('plain', 'application/json')).toBeUndefined();
  expect((await bodyOfBytes(Uint8Array.from([255, 254]), '')).text()).toBeUndefined();
});

test('secrets are told by the names of their headers', () => {
  for (const name of [
    'Authorization',
    'cookie',
    'X-Api-Key',
    'X-Gitlab-Token',
    'Proxy-Authorization',
    'X-Shared-Secret',
  ])
    expect(isSecret(name), name).toBe(true);
  for (const name of [
    'Content-Type',
    'Stripe-Signature',
    'X-Hub-Signature-256',
    'User-Agent',
    'X-Author',
    'I-Twilio-Idempotency-Token',
  ])
    expect(isSecret(name), name).toBe(false);
});

test('a curl command sends the same method, path, headers and bytes, whatever they are', async () => {
  const got: { method: string; url: string; headers: string[]; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', rawHeaders: headers } = request;
      got.push({ method, url, headers, body: Buffer.concat(chunks) });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const path = "/in/x/../%2e%2E/./b?q=a'b%20c";
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const bodies: readonly (Buffer | string)[] = [
    '',
    '{"plain":"text"}',
    'it\'s "$HOME" `id` \\ !x\n\ttab',
    '@/etc/passwd',
    'carriage\r\nreturn',
    Buffer.from([0, 1, 2, 255, 10, 10]),
    'ünïcödé 👋',
    'x'.repeat(200_000),
    Buffer.alloc(200_000, 254),
  ];
  for (const [i, body] of bodies.entries()) {
    const bytes = Buffer.from(body);
    const headers = [
      ['Host', 'elsewhere.example'],
      ['Content-Length', '7'],
      ['X-Quote', 'it\'s "quoted" \\ $HOME'],
      ['X-Bytes', 'caf\xe9 \xff'],
      ['X-Empty', ''],
      ['x-Twice', '1'],
      ['X-Twice', '2'],
      ...(i % 2
        ? [
            ['Content-Type', 'text/plain'],
            ['User-Agent', 'Stripe/1.0'],
            ['Accept', '*/*'],
          ]
        : []),
    ];
    const method = i === 1 ? 'PUT' : 'POST';
    const text = typeof body === 'string' ? body : undefined;
    const command = curlOf({ method, url, headers, bytes, text });
    const bash = promisify(execFile)('bash', ['-s']);
    bash.child.stdin?.end(command.replace('curl ', 'curl -sS '));
    await bash;
    const sent = got.at(-1);
    expect([sent?.method, sent?.url], command.slice(0, 400)).toEqual([method, path]);
    expect(sent?.body.equals(bytes), command.slice(0, 400)).toBe(true);
    const pairs: string[] = [];
    for (let n = 0; n < (sent?.headers.length ?? 0); n += 2) pairs.push(`${sent?.headers[n]}: ${sent?.headers[n + 1]}`);
    const own = /^(host|content-length|connection|expect|transfer-encoding):/i;
    expect(pairs.filter((one) => !own.test(one))).toEqual(
      headers.map(([name, value]) => `${name}: ${value}`).filter((one) => !own.test(one)),
    );
  }
  await new Promise((resolve) => server.close(resolve));
});
