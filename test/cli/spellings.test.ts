// A text as the programs of the world write it in JSON, in forms and in URLs: restante erase --match looks for all of these.
import { describe, expect, test } from 'vitest';
import { spellings } from '../../src/cli/operator/erase.ts';

const TEXT = `Jürgen+o'Neill <ü@a.example> & Søn "x" https://a.example/~é=(1) 😀`;
const json = String.raw;

describe.each([
  ['as it is', TEXT],
  ['JavaScript', JSON.stringify(TEXT)],
  [
    'PHP, Perl with slashes',
    json`J\u00fcrgen+o'Neill <\u00fc@a.example> & S\u00f8n \"x\" https:\/\/a.example\/~\u00e9=(1) \ud83d\ude00`,
  ],
  ['Python', json`J\u00fcrgen+o'Neill <\u00fc@a.example> & S\u00f8n \"x\" https://a.example/~\u00e9=(1) \ud83d\ude00`],
  ['PHP, JSON_UNESCAPED_UNICODE', json`Jürgen+o'Neill <ü@a.example> & Søn \"x\" https:\/\/a.example\/~é=(1) 😀`],
  [
    'PHP, JSON_HEX_*',
    json`J\u00fcrgen+o\u0027Neill \u003C\u00fc@a.example\u003E \u0026 S\u00f8n \u0022x\u0022 https:\/\/a.example\/~\u00e9=(1) \ud83d\ude00`,
  ],
  [
    '.NET, System.Text.Json',
    json`J\u00FCrgen\u002Bo\u0027Neill \u003C\u00FC@a.example\u003E \u0026 S\u00F8n \u0022x\u0022 https://a.example/~\u00E9=(1) \uD83D\uDE00`,
  ],
  [
    '.NET, JavaScriptSerializer',
    json`Jürgen+o\u0027Neill \u003cü@a.example\u003e \u0026 Søn \"x\" https://a.example/~é=(1) 😀`,
  ],
  [
    '.NET, Newtonsoft with EscapeHtml',
    json`Jürgen+o\u0027Neill \u003cü@a.example\u003e \u0026 Søn \u0022x\u0022 https://a.example/~é=(1) 😀`,
  ],
  [
    'Java, Jackson with ESCAPE_NON_ASCII',
    json`J\u00FCrgen+o'Neill <\u00FC@a.example> & S\u00F8n \"x\" https://a.example/~\u00E9=(1) \uD83D\uDE00`,
  ],
  ['Java, Gson', json`Jürgen+o\u0027Neill \u003cü@a.example\u003e \u0026 Søn \"x\" https://a.example/~é\u003d(1) 😀`],
  ['Go, Rails', json`Jürgen+o'Neill \u003cü@a.example\u003e \u0026 Søn \"x\" https://a.example/~é=(1) 😀`],
  [
    'JSON within JSON',
    json`J\\u00fcrgen+o'Neill <\\u00fc@a.example> & S\\u00f8n \\\"x\\\" https://a.example/~\\u00e9=(1) \\ud83d\\ude00`,
  ],
  ['JSON of JavaScript within JSON', JSON.stringify(JSON.stringify([TEXT])).slice(4, -4)],
  ['JSON in a form, as Slack and GitHub send it', new URLSearchParams({ payload: JSON.stringify(TEXT) }).toString()],
  [
    'JSON in a form, from Python',
    'J%5Cu00fcrgen%2Bo%27Neill+%3C%5Cu00fc%40a.example%3E+%26+S%5Cu00f8n+%5C%22x%5C%22+https%3A%2F%2Fa.example%2F~%5Cu00e9%3D%281%29+%5Cud83d%5Cude00',
  ],
  ['a form, from a browser, Java', new URLSearchParams({ a: TEXT }).toString()],
  [
    'a form, from Go, Python',
    'J%C3%BCrgen%2Bo%27Neill+%3C%C3%BC%40a.example%3E+%26+S%C3%B8n+%22x%22+https%3A%2F%2Fa.example%2F~%C3%A9%3D%281%29+%F0%9F%98%80',
  ],
  ['a URL, from JavaScript', encodeURIComponent(TEXT)],
  ['a whole URL, from JavaScript', encodeURI(TEXT)],
  [
    'a URL, by RFC 3986, from PHP',
    'J%C3%BCrgen%2Bo%27Neill%20%3C%C3%BC%40a.example%3E%20%26%20S%C3%B8n%20%22x%22%20https%3A%2F%2Fa.example%2F~%C3%A9%3D%281%29%20%F0%9F%98%80',
  ],
  [
    'a URL, from Python',
    'J%C3%BCrgen%2Bo%27Neill%20%3C%C3%BC%40a.example%3E%20%26%20S%C3%B8n%20%22x%22%20https%3A//a.example/~%C3%A9%3D%281%29%20%F0%9F%98%80',
  ],
  ['a URL in small letters, from .NET', encodeURIComponent(TEXT).replace(/%../g, (code) => code.toLowerCase())],
  ['axios', encodeURIComponent(TEXT).replaceAll('%3A', ':').replaceAll('%20', '+')],
])('%s', (_who, written) => {
  test('is found', () => {
    const found = spellings(TEXT).filter((one) => written.includes(one.toString()));
    expect(found.length, written).toBeGreaterThan(0);
  });
});

test('each is looked for once, and a plain text in a few ways alone: every one of them costs time', () => {
  const texts = [TEXT, 'jürgen+shop@example.org', 'ana@example.org', '4111111111111111'];
  const counts = texts.map((text) => spellings(text).length);
  expect(counts).toEqual([75, 12, 2, 1]);
  for (const text of texts) expect(new Set(spellings(text).map(String)).size).toBe(spellings(text).length);
});

test('what is a code already is not written anew', () => {
  expect(spellings(json`a\u00e4`).map(String)).toContain(json`a\\u00e4`);
  expect(spellings(json`a\u00e4`).map(String)).not.toContain(json`a\\u00E4`);
});
