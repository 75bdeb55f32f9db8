// Every code sample of the API document, as it stands there with the token filled in, run against a service: it succeeds.
import { Check } from 'typebox/schema';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES } from '../../src/api/app.ts';
import { resolved } from '../security/calls.ts';
import { type Database, emptyDatabase, type Service, type TestUser } from '../support/engines.ts';
import { type Bench, LANGUAGES, type Language, openBench } from './sampling.ts';
import { type ShownDocument, type ShownOperation, someone, startPublic } from './world.ts';

let database: Database;
let service: Service;
beforeAll(async () => {
  database = await emptyDatabase('sqlite');
  service = await startPublic(database.url, { WEBHOOK_ID_FROM: '7' });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

async function documentFor(user?: TestUser): Promise<ShownDocument> {
  const headers = user ? { authorization: user.auth } : {};
  return resolved(
    (await (await fetch(`${service.url}/docs/openapi.json`, { headers })).json()) as object,
  ) as unknown as ShownDocument;
}

interface Shown {
  readonly call: string;
  readonly operation: ShownOperation;
}
/** What makes something first, what ends it last; what takes all of a lease after those that need one. */
function rank(call: string): number {
  if (/^(put|post) \/(consumers\/\{name\}|webhooks|whcontent)$/.test(call)) return 0;
  const late = [/\/pull$/, /\/seek$/, /^delete/].findIndex((pattern) => pattern.test(call));
  return late < 0 ? 1 : 2 + late;
}
const inOrder = ({ paths }: ShownDocument): Shown[] =>
  Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ call: `${method} ${path}`, operation })),
    )
    .sort((a, b) => rank(a.call) - rank(b.call));

async function runAll(language: Language, bench: Bench, document: ShownDocument, fill: (source: string) => string) {
  const calls = inOrder(document);
  for (const { call, operation } of calls) {
    const { source = '' } = operation['x-codeSamples'].find(({ label }) => label === language.label) ?? {};
    const status = await bench.status(language, fill(source));
    const good = status >= 200 && status < 300 && String(status) in operation.responses;
    expect([call, good, status]).toEqual([call, true, status]);
  }
  expect(calls.length).toBe(ROUTES.filter(({ hidden }) => !hidden).length + 1);
}

test.for(LANGUAGES)('a signed-in user runs every sample in $label', { timeout: 180_000 }, async (language, context) => {
  const bench = await openBench(context, [language]);
  const user = await someone(service, 'ana');
  const document = await documentFor(user);
  expect(JSON.stringify(document)).not.toContain(user.token);
  await runAll(language, bench, document, (source) => source.replaceAll('********', user.token));
  bench.close();
});

test('a user without anything runs every sample but those of refusals', { timeout: 120_000 }, async (context) => {
  const [curl] = LANGUAGES;
  const bench = await openBench(context, []);
  const user = await service.user();
  for (const { call, operation } of inOrder(await documentFor(user))) {
    const source = operation['x-codeSamples'][0]?.source.replaceAll('********', user.token) ?? '';
    const missing = /\/(refusals|in\/\{key\}$)/.test(call);
    if (curl && !missing)
      expect([call, await bench.status(curl, source)]).toEqual([call, expect.toSatisfy((s) => s < 300)]);
  }
  bench.close();
});

test('the neutral samples hold on a service that has what they name', { timeout: 120_000 }, async (context) => {
  const [curl] = LANGUAGES;
  const bench = await openBench(context, []);
  const neutral = await emptyDatabase('sqlite');
  const one = await startPublic(neutral.url, { WEBHOOK_ID_FROM: '7' });
  try {
    const { db } = one.store;
    const token = 'f00dfeedf00dfeedf00dfeedf00dfeed';
    const row = [1001, 'cy@example.org', '', token, 1, ''];
    await db.insert('tbluser', ['id', 'email', 'phone', 'token', 'status', 'pwd'], [row]);
    // Ids go on after this one, which is somebody else's: the contents end with 27.
    await db.insert('tblwh', ['id', 'content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], [[19, 'x', '', 0, '', 1, 0]]);
    const auth = `Basic ${btoa(`1001:${token}`)}`;
    const user = await someone(one, 'cy', { id: 1001, token, auth });
    expect([user.webhook.wh_id, user.newest]).toEqual([7, 27]);
    await db.run('UPDATE restante_key SET url_key = ? WHERE wh_id = 7', ['Vt3kZq8LxN2pWc7RmB4yJd9s']);
    const document = (await (await fetch(`${one.url}/docs/openapi.json`)).json()) as ShownDocument;
    if (curl) await runAll(curl, bench, document, (source) => source.replaceAll('1001:TOKEN', `1001:${token}`));
  } finally {
    bench.close();
    await one.close();
    await neutral.drop();
  }
});

test('a sample with a wrong token fails, so the tests above can', async (context) => {
  const bench = await openBench(context, []);
  const user = await someone(service, 'bea');
  const [curl] = LANGUAGES;
  const source = (await documentFor(user)).paths['/webhooks']?.get?.['x-codeSamples'][0]?.source ?? '';
  expect(curl && (await bench.status(curl, source))).toBe(401);
  bench.close();
});

test('the examples of bodies are what their schemas say', async () => {
  const user = await someone(service, 'dan');
  for (const document of [await documentFor(), await documentFor(user)])
    for (const { call, operation } of inOrder(document)) {
      const media = operation.requestBody?.content['application/json'];
      if (media)
        expect([call, media.example, Check(media.schema as never, media.example)]).toEqual([call, media.example, true]);
    }
});

test('at the as-is level the document is its reader’s too', async () => {
  const base = await emptyDatabase('mariadb');
  const one = await startPublic(base.url);
  try {
    const user = await one.user();
    const row = [7, user.id, 'https://elsewhere.example/a?b=1', 'Theirs', 1];
    const hostile = [8, user.id, "https://elsewhere.example/'; rm -rf x #", 'Hostile', 1];
    await one.store.db.insert('tblwhid', ['id', 'user_id', 'wh_url', 'wh_name', 'status'], [row, hostile]);
    await fetch(`${one.url}/whcontent`, { method: 'POST', headers: { authorization: user.auth }, body: 'mine' });
    const answer = await fetch(`${one.url}/docs/openapi.json`, { headers: { authorization: user.auth } });
    const text = await answer.text();
    expect([answer.status, one.store.extended]).toEqual([200, false]);
    expect([text.includes('https://elsewhere.example/a?b=1'), text.includes('rm -rf')]).toEqual([true, false]);
    const document = JSON.parse(text) as ShownDocument;
    expect(document.paths['/whcontent/{id}']?.get?.['x-codeSamples'][0]?.source).toMatch(/\/whcontent\/\d+'/);
    expect((await fetch(`${one.url}/docs/guides/polling`, { headers: { authorization: user.auth } })).status).toBe(200);
  } finally {
    await one.close();
    await base.drop();
  }
});
