// One call as code: curl, JavaScript, Python with requests, Python alone. Complete; only the token has to be filled in.
import { type Sample, TAKEN } from './samplevalues.ts';

export interface CodeSample {
  readonly lang: string;
  readonly label: string;
  readonly source: string;
}
interface Caller {
  /** The start of every URL. */
  readonly base: string;
  readonly id: string;
  readonly token: string;
}

/** The samples of a call, in the order in which pages show them. */
export function codeSamples(sample: Sample, caller: Caller): CodeSample[] {
  return [
    { lang: 'shell', label: 'curl', source: curl(sample, caller) },
    { lang: 'javascript', label: 'JavaScript', source: javascript(sample, caller) },
    { lang: 'python', label: 'Python (requests)', source: requests(sample, caller) },
    { lang: 'python', label: 'Python (stdlib)', source: urllib(sample, caller) },
  ];
}

/** A value as a literal of JavaScript or Python; `taken` is the variable with what the call before brought. */
function literal(value: unknown, taken: string, words: readonly [string, string, string]): string {
  const [yes, no, none] = words;
  const of = (one: unknown): string => {
    if (one === TAKEN) return taken;
    if (one === null) return none;
    if (typeof one === 'boolean') return one ? yes : no;
    if (typeof one === 'number') return String(one);
    if (typeof one === 'string') return quoted(one);
    if (Array.isArray(one)) return `[${one.map(of).join(', ')}]`;
    const members = Object.entries(one as object).map(
      ([name, member]) => `${words === PY ? quoted(name) : name}: ${of(member)}`,
    );
    return members.length > 0 ? `{ ${members.join(', ')} }` : '{}';
  };
  const text = of(value);
  return words === PY ? text.replace(/\{ /g, '{').replace(/ \}/g, '}') : text;
}
const JS = ['true', 'false', 'null'] as const;
const PY = ['True', 'False', 'None'] as const;
/** In single quotes, for JavaScript and Python alike. */
const quoted = (text: string): string =>
  `'${JSON.stringify(text)
    .slice(1, -1)
    .replace(/\\"/g, '"')
    .replace(/'/g, "\\'")
    .replace(/\u2028|\u2029/g, ' ')}'`;
const shellQuoted = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

// curl --------------------------------------------------------------------------------------------------------------

function curl({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const auth = `-u ${shellQuoted(`${id}:${token}`)}`;
  // In double quotes where the shell has to put a variable in.
  const url = (to: string) =>
    to.includes('{') ? `"${base}${to.replace(/\{(\w+)\}/g, '$$$1')}"` : shellQuoted(base + to);
  const data = (one: unknown, taken = '') => {
    const json = JSON.stringify(one, (_, value) => (value === TAKEN ? '\0' : value));
    return `-d ${shellQuoted(json).replace('"\\u0000"', `${taken === 'lease' ? '"' : ''}'"$${taken}"'${taken === 'lease' ? '"' : ''}`)}`;
  };
  const verb = method === 'GET' || (method === 'POST' && body !== undefined) ? '' : `-X ${method} `;
  const first = before
    ? `${before.take}=$(curl -s ${url(before.path)} ${auth} ${data(before.body)} | ${member(before.take)})\n`
    : '';
  const parts = [
    `curl ${verb}${url(path)}`,
    ...(signedIn ? [auth] : []),
    ...(body === undefined ? [] : [`-H 'Content-Type: application/json'`, data(body, before?.take)]),
    ...(comes === 'bytes' ? ['-o received.bin'] : []),
  ];
  return first + parts.join(' \\\n  ');
}
/** Takes one member out of an answer, without a program that may not be there. */
const member = (name: string): string =>
  name === 'lease' ? `sed -n 's/^{"lease":"\\([^"]*\\)".*/\\1/p'` : `sed -n 's/.*"${name}":\\([0-9]*\\).*/\\1/p'`;

// JavaScript --------------------------------------------------------------------------------------------------------

function javascript({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = (to: string) => (to.includes('{') ? `\`${base}${to.replace(/\{/g, '${')}\`` : quoted(base + to));
  const json = (one: unknown) => `JSON.stringify(${literal(one, before?.take ?? '', JS)})`;
  const options = [
    ...(method === 'GET' ? [] : [`method: '${method}'`]),
    ...(signedIn ? ['headers'] : []),
    ...(body === undefined ? [] : [`body: ${json(body)}`]),
  ];
  const show = {
    json: ', await answer.json()',
    text: ', await answer.text()',
    bytes: ', await answer.arrayBuffer()',
    none: '',
  };
  return [
    ...(signedIn ? [`const headers = { Authorization: \`Basic \${btoa(${quoted(`${id}:${token}`)})}\` };`] : []),
    ...(before
      ? [
          `const before = await fetch(${url(before.path)}, {\n  method: 'POST',\n  headers,\n  body: ${json(before.body)},\n});`,
          `const { ${before.take} } = await before.json();`,
        ]
      : []),
    `const answer = await fetch(${url(path)}${options.length > 0 ? `, {\n  ${options.join(',\n  ')},\n}` : ''});`,
    `console.log(answer.status${show[comes]});`,
  ].join('\n');
}

// Python ------------------------------------------------------------------------------------------------------------

const pythonUrl = (base: string) => (to: string) => `${to.includes('{') ? 'f' : ''}${quoted(base + to)}`;

function requests({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = pythonUrl(base);
  const auth = signedIn ? [`auth=(${quoted(id)}, ${quoted(token)})`] : [];
  const call = (verb: string, to: string, one: unknown) => {
    const parts = [url(to), ...(one === undefined ? [] : [`json=${literal(one, before?.take ?? '', PY)}`]), ...auth];
    return `requests.${verb.toLowerCase()}(\n    ${parts.join(',\n    ')},\n)`;
  };
  const show = { json: ', answer.json()', text: ', answer.text', bytes: ', answer.content', none: '' };
  return [
    'import requests\n',
    ...(before ? [`${before.take} = ${call('POST', before.path, before.body)}.json()['${before.take}']`] : []),
    `answer = ${call(method, path, body)}`,
    `print(answer.status_code${show[comes]})`,
  ].join('\n');
}

function urllib({ method, path, body, before, comes, signedIn }: Sample, { base, id, token }: Caller): string {
  const url = pythonUrl(base);
  const json = body !== undefined || before !== undefined || comes === 'json';
  const call = (verb: string, to: string, one: unknown) => {
    const plain = verb === (one === undefined ? 'GET' : 'POST');
    const parts = [
      url(to),
      ...(one === undefined ? [] : [`data=json.dumps(${literal(one, before?.take ?? '', PY)}).encode()`]),
      ...(signedIn ? ['headers=headers'] : []),
      ...(plain ? [] : [`method='${verb}'`]),
    ];
    return `urllib.request.Request(\n    ${parts.join(',\n    ')},\n)`;
  };
  const show = { json: ', json.load(answer)', text: ', answer.read()', bytes: ', answer.read()', none: '' };
  return [
    `import ${[...(signedIn ? ['base64'] : []), ...(json ? ['json'] : []), 'urllib.request'].join(', ')}\n`,
    ...(signedIn
      ? [
          `basic = base64.b64encode(${quoted(`${id}:${token}`)}.encode()).decode()`,
          `headers = {'Authorization': 'Basic ' + basic}`,
        ]
      : []),
    ...(before
      ? [
          `before = ${call('POST', before.path, before.body)}`,
          `with urllib.request.urlopen(before) as answer:\n    ${before.take} = json.load(answer)['${before.take}']`,
        ]
      : []),
    `request = ${call(method, path, body)}`,
    `with urllib.request.urlopen(request) as answer:\n    print(answer.status${show[comes]})`,
  ].join('\n');
}
