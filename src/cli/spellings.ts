// The ways in which a text may stand in a request: as it is, as JSON has it, and as URLs and forms have it.

/**
 * What is written as \uXXXX besides what JSON itself asks for: nothing (JavaScript), what is not ASCII (Python, PHP, Jackson),
 * what means something in HTML (Go, Rails; JavaScriptSerializer; Gson; Newtonsoft), both (PHP's JSON_HEX_*, System.Text.Json).
 */
const ESCAPED = [
  /(?!)/,
  /[^\0-\x7e]/u,
  /[<>&\u2028\u2029]/,
  /[<>&']/,
  /[<>&'=]/,
  /[<>&'"]/,
  /[<>&'"]|[^\0-\x7e]/u,
  /[<>&'"+`]|[^\0-\x7e]/u,
];
/** How its digits are written. PHP has its own way: large for ASCII, small for the rest. */
const DIGITS: readonly ((code: string, char: string) => string)[] = [
  (code) => code,
  (code) => code.toUpperCase(),
  (code, char) => (char <= '\x7f' ? code.toUpperCase() : code),
];

type Json = { readonly escaped: RegExp; readonly digits: (typeof DIGITS)[number]; readonly slash: string };

function asJson(text: string, { escaped, digits, slash }: Json): string {
  const unit = (char: string, code: number) => `\\u${digits(code.toString(16).padStart(4, '0'), char)}`;
  const written = (char: string): string => {
    if (char === '/') return slash;
    if (escaped.test(char))
      return Array.from({ length: char.length }, (_, i) => unit(char, char.charCodeAt(i))).join('');
    const plain = JSON.stringify(char).slice(1, -1);
    return plain.startsWith('\\u') ? `\\u${digits(plain.slice(2), char)}` : plain;
  };
  return Array.from(text, written).join('');
}

/** What stays as it is, besides letters and digits: PHP; RFC 3986; forms of browsers and Java; JavaScript; Python; axios; whole URLs. */
const KEPT = ['-_.', '-_.~', '-_.*', "-_.~!'()*", '-_.~/', "-_.~!'()*:$,[]", "-_.~!'()*:$,@;/?&=+#"];

function asUrl(text: string, kept: string, space: string): string {
  const written = (char: string): string => {
    if (char === ' ') return space;
    if (/[a-z0-9]/i.test(char) || kept.includes(char)) return char;
    return [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
  };
  return Array.from(text, written).join('');
}

const inSmallLetters = (url: string): string => url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());

/** Each once, the text itself first. How many they are is bounded by the tables above: about a hundred, mostly two or three. */
export function spellings(text: string): Buffer[] {
  const json = ESCAPED.flatMap((escaped) =>
    DIGITS.flatMap((digits) => ['/', '\\/'].map((slash) => asJson(text, { escaped, digits, slash }))),
  );
  const urls = KEPT.flatMap((kept) => ['%20', '+'].map((space) => asUrl(text, kept, space)));
  // The plainest two ways, and each of them inside of a form or of another JSON.
  const nested = [ESCAPED[0], ESCAPED[1]].flatMap((escaped) =>
    ['/', '\\/'].map((slash) => asJson(text, { escaped: escaped as RegExp, digits: (code) => code, slash })),
  );
  const inner = nested.flatMap((one) => [
    JSON.stringify(one).slice(1, -1),
    ...KEPT.slice(0, 4).map((kept) => asUrl(one, kept, '+')),
  ]);
  return [...new Set([text, ...json, ...urls, ...urls.map(inSmallLetters), ...inner])].map((one) => Buffer.from(one));
}
