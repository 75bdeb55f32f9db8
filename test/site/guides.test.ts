// The guides: every call in them succeeds as it stands, their loops miss nothing, and no page says what its writer did not mean.
import { readFileSync } from 'node:fs';
import { marked, type Tokens } from 'marked';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GUIDES, guideToHtml } from '../../src/site/guides.ts';
import { type Mine, nobody } from '../../src/site/samples.ts';
import { type Database, emptyDatabase, type Service } from '../support/engines.ts';
import { type Bench, LANGUAGES, openBench } from './sampling.ts';
import { type Someone, someone, startPublic } from './world.ts';

const MASK = '********';
let database: Database;
let service: Service;
let user: Someone;
beforeAll(async () => {
  database = await emptyDatabase('sqlite');
  service = await startPublic(database.url);
  user = await someone(service, 'eve');
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const page = async (path: string, auth?: string) => {
  const answer = await fetch(service.url + path, auth ? { headers: { authorization: auth } } : {});
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const fencesOf = (markdown: string): { readonly info: string; readonly text: string }[] =>
  marked
    .lexer(markdown)
    .filter((token): token is Tokens.Code => token.type === 'code')
    .map(({ lang = '', text }) => ({ info: lang, text: `${text}\n` }));
/** What each call of a guide is to be answered: as its fence says, else 2xx. */
const expectedOf = (name: string): { readonly info: string; readonly status: number | undefined }[] =>
  fencesOf(readFileSync(`docs/guides/${name}.md`, 'utf8'))
    .filter(({ info }) => /^(example|call) /.test(info))
    .map(({ info }) => ({ info, status: Number(/^\w+ (\d{3}) /.exec(info)?.[1]) || undefined }));
const isRight = (status: number, wanted: number | undefined) =>
  wanted ? status === wanted : status >= 200 && status < 300;

/** The samples of each call on a page, by language, as its HTML has them. */
function samplesOf(html: string): Map<string, string>[] {
  const plain = (text: string) => text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
  return html
    .split('<figure class="code call"')
    .slice(1)
    .map((part) => {
      const inside = part.slice(0, part.indexOf('</figure>'));
      const found = [...inside.matchAll(/<h4>(.*?)<\/h4><pre[^>]*><code>([\s\S]*?)<\/code>/g)];
      return new Map(found.map(([, label = '', code = '']) => [plain(label), plain(code)]));
    });
}

test.for(LANGUAGES)('every call of the guides, in $label', { timeout: 180_000 }, async (language, context) => {
  const bench = await openBench(context, [language]);
  let count = 0;
  for (const name of GUIDES) {
    const wanted = expectedOf(name);
    // Read anew for each: what one guide has made, the next shows.
    const samples = samplesOf((await page(`/docs/guides/${name}`, user.auth)).text);
    expect(samples.length).toBe(wanted.length);
    for (const [at, sample] of samples.entries()) {
      const { info = '', status: want } = wanted[at] ?? {};
      // Examples are those of the reference, tried elsewhere: here they come in the order of a reader, once.
      if (language.label !== 'curl' && /^example|\{\{consumer/.test(info)) continue;
      // urllib throws what is no success, as it should.
      if (want && want >= 400 && language.file === 'sample.py') continue;
      const source = sample.get(language.label)?.replaceAll(MASK, user.token) ?? '';
      const status = await bench.status(language, source);
      expect([name, info, isRight(status, want), status]).toEqual([name, info, true, status]);
      count++;
    }
  }
  expect(count).toBeGreaterThan(12);
  bench.close();
});

/** What `someone` has. */
const EARLY = Array.from({ length: 8 }, (_, i) => `evt_eve_${i}`);
const blocks = async (name: string): Promise<Map<string, string>> => {
  const { text } = await page(`/docs/guides/${name}.md`, user.auth);
  const fences = fencesOf(text).filter(({ info }) => /^\w+ \S+\.\w+$/.test(info));
  return new Map(fences.map(({ info, text: code }) => [info.split(' ')[1] ?? '', code.replaceAll(MASK, user.token)]));
};

test.for([
  ['polling', 'poll.sh'],
  ['polling', 'poll.py'],
  ['polling', 'poll.mjs'],
  ['consumers', 'worker.py'],
] as const)(
  '%s: %s brings everything that is there and what comes',
  { timeout: 60_000 },
  async ([guide, file], context) => {
    const bench = await openBench(context, []);
    const headers = { authorization: user.auth };
    await fetch(`${service.url}/consumers/try-me`, { method: 'DELETE', headers });
    const source = (await blocks(guide)).get(file) ?? '';
    const late = `late for ${file}`;
    let sent: Promise<unknown> | undefined;
    const printed = await bench.printed(file, source, (soFar) => {
      // What comes while it runs is sent when it has printed all that was there.
      if (EARLY.every((one) => soFar.includes(one)))
        sent ??= fetch(user.webhook.wh_url, { method: 'POST', body: late });
      return soFar.includes(late);
    });
    await sent;
    for (const one of [...EARLY, late]) expect(printed).toContain(one);
    if (guide === 'polling')
      expect(Number(readFileSync(`${bench.folder}/cursor`, 'utf8'))).toBeGreaterThan(user.newest);
    bench.close();
  },
);

test('sh blocks run as they stand', async (context) => {
  const bench: Bench = await openBench(context, []);
  for (const name of GUIDES)
    for (const { info, text } of fencesOf((await page(`/docs/guides/${name}.md`, user.auth)).text))
      if (info === 'sh' && text.includes('export')) {
        const printed = await bench.printed(
          'block.sh',
          text.replaceAll(MASK, user.token).replace('curl ', 'curl -sS '),
        );
        expect(printed).toContain(user.webhook.wh_url);
      }
  bench.close();
});

test('pages hold what is their reader’s: as HTML, as Markdown, and nothing of anybody else', async () => {
  const other = await someone(service, 'finn');
  for (const path of ['first-webhook', 'first-webhook.md']) {
    const [mine, theirs, nobodys] = await Promise.all([
      page(`/docs/guides/${path}`, user.auth),
      page(`/docs/guides/${path}`, other.auth),
      page(`/docs/guides/${path}`),
    ]);
    for (const [one, own, not] of [
      [mine, user, other],
      [theirs, other, user],
    ] as const) {
      expect(one.text).toContain(`${own.id}:${MASK}`);
      for (const foreign of [own.token, not.token, not.webhook.wh_url]) expect(one.text.includes(foreign)).toBe(false);
      expect([one.headers.get('cache-control'), one.headers.get('vary')]).toEqual(['no-store', 'authorization']);
    }
    expect(nobodys.text).toContain('1001:TOKEN');
    expect(nobodys.headers.get('vary')).toContain('authorization');
    for (const foreign of [`:${MASK}`, user.webhook.wh_url, other.webhook.wh_url, user.token, other.token])
      expect(nobodys.text.includes(foreign)).toBe(false);
  }
  expect((await page('/docs/guides/polling', 'Basic MTp3cm9uZw==')).status).toBe(401);
});

test('a hostile name of a webhook stays text', async () => {
  const someoneElse = await service.user();
  await service.webhook(someoneElse, { wh_name: '"><script>x()</script>{{token}}`[a](b)' });
  for (const path of [...GUIDES.map((name) => `/docs/guides/${name}`)])
    expect((await page(path, someoneElse.auth)).text).not.toContain('<script>x');
  const mine = { ...nobody('https://h.example'), webhook: { wh_id: 7, wh_name: '<b>{{token}}' } } as Mine;
  const html = ['<p>Hi {{wh_name}} <code>{{wh_name}}</code></p>', { info: 'sh', text: '{{wh_name}} & <i>' }];
  const guide = { name: '', title: '', lead: '', markdown: [], html };
  expect(guideToHtml(guide, { mine, routes: [], publicUrl: 'https://h.example', base: '' })).toBe(
    '<p>Hi &#60;b&#62;{{token}} <code>&#60;b&#62;{{token}}</code></p>' +
      '<figure class="code"><pre tabindex="0"><code>&#60;b&#62;{{token}} &#38; &#60;i&#62;</code></pre></figure>',
  );
});

test('links lead somewhere', async () => {
  for (const name of GUIDES) {
    const { text } = await page(`/docs/guides/${name}`);
    for (const [, href = ''] of text.matchAll(/href="(\/[^"#]*)/g)) {
      const answer = await fetch(service.url + href, { redirect: 'manual' });
      expect([name, href, answer.status < 400]).toEqual([name, href, true]);
    }
  }
});

test('llms.txt names every page, and each is there as plain text', async () => {
  const { text, headers } = await page('/llms.txt');
  expect(headers.get('content-type')).toMatch(/^text\/plain/);
  const links = [...text.matchAll(/\]\((http[^)]+)\)/g)].map(([, url = '']) => url);
  expect(links.length).toBe(GUIDES.length + 2);
  for (const url of links) {
    const answer = await fetch(url);
    expect([url, answer.status]).toEqual([url, 200]);
    expect((await answer.text()).length).toBeGreaterThan(300);
  }
  const { text: reference } = await page('/docs/reference.md', user.auth);
  expect(reference).toContain(`${user.id}:${MASK}`);
  expect(reference).toContain('## POST /consumers/{name}/pull: Pull contents');
});
