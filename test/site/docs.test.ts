// The documentation in a real Chromium: neutral and signed in, every page, by keyboard and on a phone; nothing leaves the machine.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { GUIDES } from '../../src/site/guides.ts';
import { type Database, emptyDatabase, type Service, startService } from '../support/engines.ts';
import { needs } from '../support/tools.ts';
import { type ShownDocument, type Someone, someone, startPublic } from './world.ts';

const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const MASK = '********';
const folder = mkdtempSync(join(tmpdir(), 'restante-docs-'));
const LOGO = join(folder, 'logo.svg');
const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');
/** What axe holds against a page. */
const FIND = `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 150)).join(' | ')))`;
let database: Database;
let service: Service;
let ana: Someone;
let bob: Someone;
let browser: BrowserContext | undefined;
let page: Page;
/** What the pages of a test asked for, and what they complained about. */
let asked: string[] = [];
let errors: string[] = [];

async function launch(executablePath: string): Promise<BrowserContext> {
  const options = { executablePath, args: ARGS.split(' '), headless: true, viewport: { width: 1400, height: 900 } };
  const launched = await chromium.launchPersistentContext(join(folder, 'profile'), options);
  await launched.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.url });
  return launched;
}

beforeAll(async () => {
  writeFileSync(
    LOGO,
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><circle cx="20" cy="20" r="18" fill="#c2410c"/></svg>',
  );
  database = await emptyDatabase('sqlite');
  service = await startPublic(database.url, {
    SERVICE_NAME: 'Post <Office>',
    SERVICE_LOGO: LOGO,
    SERVICE_TEXT: 'Webhooks for <b>farms</b> & plants. [x](javascript:x)',
    DASHBOARD_URL: 'https://app.example.org/account?tab=token&x=1',
  });
  ana = await someone(service, 'ana');
  bob = await someone(service, 'bob');
});
afterAll(async () => {
  await browser?.close();
  await service?.close();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async ({ skip }) => {
  browser ??= await launch(needs('chromium', { skip }));
  asked = [];
  errors = [];
  page = await browser.newPage();
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
});
afterEach(async () => {
  await page.close();
  const elsewhere = asked.filter((url) => !url.startsWith(service.url) && !/^(data|blob):/.test(url));
  expect(elsewhere).toEqual([]);
  // No address of ours has ever held a token.
  for (const { token } of [ana, bob]) expect(asked.filter((url) => url.includes(token))).toEqual([]);
});

// Scalar draws in many small steps, with less than a frame or two between them.
const QUIET_MS = 200;
const open = (path: string) => page.goto(service.url + path);
const rendered = () => page.getByRole('heading', { name: 'Verify your credentials' }).waitFor({ state: 'attached' });
async function signIn({ id, token }: { readonly id: number; readonly token: string }): Promise<void> {
  await page.locator('.signin > summary').click();
  await page.locator('.signin').getByLabel('User id').fill(String(id));
  await page.locator('.signin').getByLabel('Token', { exact: true }).fill(token);
  await page.keyboard.press('Enter');
}
const isSignedIn = ({ id }: { readonly id: number }) =>
  page.locator('.signin > summary', { hasText: `User ${id}` }).waitFor();
/** Waits until nothing is loaded, drawn anew or on its way to another colour any more. */
const calm = async () => {
  await page.waitForLoadState('networkidle');
  await inPage(`new Promise((done) => {
    let timer;
    const again = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const moving = document.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity);
        if (moving.length === 0) return done(watch.disconnect());
        Promise.allSettled(moving.map((one) => one.finished)).then(again);
      }, ${QUIET_MS});
    };
    const watch = new MutationObserver(again);
    watch.observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
    again();
  })`);
};
/** What an expression is there. */
const inPage = <T>(expression: string): Promise<T> => page.evaluate(expression) as Promise<T>;
/** All that a page shows and holds, hidden parts and fields too. */
const everything = () =>
  inPage<string>(
    "[document.documentElement.outerHTML, ...[...document.querySelectorAll('input, textarea')].map((one) => one.value)].join('\\n')",
  );
const shownDocument = async (auth?: string): Promise<{ text: string; answer: Response; document: ShownDocument }> => {
  const answer = await fetch(`${service.url}/docs/openapi.json`, auth ? { headers: { authorization: auth } } : {});
  const text = await answer.text();
  return { text, answer, document: JSON.parse(text) as ShownDocument };
};

test('the document holds what is its reader’s and nothing of anybody else, and no token', async () => {
  const token = { content: `my token is ${ana.token}` };
  await fetch(`${service.url}/whcontent`, {
    method: 'POST',
    headers: { authorization: ana.auth },
    body: JSON.stringify(token),
  });
  for (const [one, other] of [
    [ana, bob],
    [bob, ana],
  ] as const) {
    const { text, answer, document } = await shownDocument(one.auth);
    expect([answer.status, answer.headers.get('cache-control'), answer.headers.get('vary')]).toEqual([
      200,
      'no-store',
      'authorization',
    ]);
    for (const own of [
      `"wh_id":${one.webhook.wh_id},`,
      one.webhook.wh_url,
      one.webhook.wh_name,
      `-u '${one.id}:${MASK}'`,
    ])
      expect([own, text.includes(own)]).toEqual([own, true]);
    for (const foreign of [one.token, other.token, other.webhook.wh_url, other.webhook.wh_name, `${other.id}:${MASK}`])
      expect(text.includes(foreign)).toBe(false);
    const curl = (path: string, method = 'get') => document.paths[path]?.[method]?.['x-codeSamples'][0]?.source ?? '';
    expect(curl('/whcontent/{id}')).toMatch(/\/whcontent\/\d+'/);
    expect(curl('/consumers/{name}')).toContain('/consumers/billing');
    expect(curl('/in/{key}', 'post')).toContain(one.webhook.wh_url);
    expect(document.paths['/webhooks']?.get?.['x-codeSamples'].map(({ label }) => label)).toEqual([
      'curl',
      'JavaScript',
      'Python (requests)',
      'Python (stdlib)',
    ]);
    // Whatever ends something in use has to be named by whoever wants that.
    const parameter = document.paths['/webhooks/{wh_id}']?.delete?.parameters?.[0];
    expect([parameter?.name, parameter?.example]).toEqual(['wh_id', undefined]);
  }
  const { text, answer } = await shownDocument();
  expect([answer.headers.get('cache-control'), answer.headers.get('vary')]).toEqual([
    'no-cache',
    'authorization, accept-encoding',
  ]);
  for (const foreign of [MASK, ana.webhook.wh_url, bob.webhook.wh_url, 'evt_ana'])
    expect(text.includes(foreign)).toBe(false);
  expect(text).toContain("-u '1001:TOKEN'");
  expect(text).toContain('[your dashboard](https://app.example.org/account?tab=token&x=1)');
  for (const wrong of [`Basic ${btoa(`${ana.id}:x`)}`, `Basic ${btoa(`${ana.id}:${bob.token}`)}`, 'Bearer x', ''])
    expect((await fetch(`${service.url}/docs/openapi.json`, { headers: { authorization: wrong } })).status).toBe(401);
});

test('Chromium shows every call under the operator’s brand, and asks nobody but us', async () => {
  await open('/docs');
  await rendered();
  // biome-ignore lint/performance/useDomNodeTextContent: what a person sees, not what hidden nodes hold
  const text = await page.locator('body').innerText();
  for (const shown of [
    'List your webhooks',
    'Fetch one content',
    'Post your own content',
    'Make a webhook',
    'List refusals',
    'Webhooks for <b>farms</b> & plants. [x](javascript:x)',
    'Post <Office>',
  ])
    expect(text).toContain(shown);
  expect(await inPage("document.querySelector('.brand img').naturalWidth")).toBeGreaterThan(0);
  expect(await page.locator('a[href="https://app.example.org/account?tab=token&x=1"]').count()).toBeGreaterThan(0);
  await calm();
  expect(errors).toEqual([]);
  expect(await page.title()).toBe('Post <Office>');
  const answer = await fetch(`${service.url}/docs`);
  expect(answer.headers.get('content-security-policy')).toMatch(/default-src 'none'; script-src 'self'; /);
});

test('signed in, the page is its reader’s, keeps no token anywhere, and calls work with one click', async () => {
  await open('/docs');
  await rendered();
  await signIn(ana);
  await isSignedIn(ana);
  await page.getByText(`You are user ${ana.id}`).waitFor();
  await page.locator('code', { hasText: ana.webhook.wh_url }).first().waitFor();
  const sent = page.waitForRequest((request) => new URL(request.url()).pathname === '/webhooks');
  await page.getByRole('link', { name: 'List your webhooks' }).first().click();
  const call = page
    .locator('section', { has: page.getByRole('heading', { name: 'List your webhooks', exact: true }) })
    .last();
  await call.getByRole('button', { name: /Test Request/ }).click();
  await page.getByRole('button', { name: /^Send/ }).first().click();
  const request = await sent;
  expect((await request.response())?.status()).toBe(200);
  expect(await request.headerValue('authorization')).toBe(ana.auth);
  await page.getByText('200 OK').first().waitFor();
  const all = await everything();
  expect((await page.locator('#main').textContent())?.includes(`-u '${ana.id}:${MASK}'`)).toBe(true);
  for (const foreign of [ana.token, bob.token, bob.webhook.wh_url, btoa(`${ana.id}:${ana.token}`)])
    expect(all.includes(foreign)).toBe(false);
  const kept = await inPage<string[]>(`(async () => [
    JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), document.cookie,
    JSON.stringify(await indexedDB.databases()), JSON.stringify(await caches.keys()), location.href, JSON.stringify(history.state),
  ])()`);
  expect(kept.join('\n').includes(ana.token)).toBe(false);
  expect(kept.slice(2, 5)).toEqual(['', '[]', '[]']);
  expect(JSON.stringify(service.log.lines).includes(ana.token)).toBe(false);
  expect(errors).toEqual([]);
  await page.reload();
  await rendered();
  expect(await page.locator('.signin > summary').textContent()).toBe('Sign in');
  expect((await everything()).includes(ana.webhook.wh_url)).toBe(false);
});

test('wrong credentials are told, and change nothing', async () => {
  await open('/docs/guides/first-webhook');
  await signIn({ id: ana.id, token: 'wrong' });
  await page.getByText('Incorrect Authentication').waitFor();
  expect(await page.locator('.signin > summary').textContent()).toBe('Sign in');
  expect((await everything()).includes('1001:TOKEN')).toBe(true);
});

test('who is signed in stays so from page to page, sees their own values there, runs calls and copies them', async () => {
  await open('/docs/guides/first-webhook');
  expect(await page.locator('main').textContent()).toContain('1001:TOKEN');
  // Run, when nobody is signed in, asks who it is.
  await page.getByRole('button', { name: 'Run' }).first().click();
  await page.locator('.signin').getByLabel('User id').fill(String(bob.id));
  await page.locator('.signin').getByLabel('Token', { exact: true }).fill(bob.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('main', { hasText: bob.webhook.wh_url }).waitFor();
  const figure = (at: number) => page.locator('figure.call').nth(at);
  for (const at of [1, 2, 3]) {
    await figure(at).getByRole('button', { name: 'Run' }).click();
    await figure(at)
      .locator('output', { hasText: /^200 OK/ })
      .waitFor();
  }
  expect(await figure(2).locator('output').textContent()).toContain('\\"hello\\":\\"world\\"');

  // What was sent to the webhook was kept as it came: without the credentials of whoever pressed Run.
  const list = await fetch(`${service.url}/whcontent?whid=all&order=desc&limit=1`, {
    headers: { authorization: bob.auth },
  });
  expect(/"authorization"/i.test(await list.text())).toBe(false);

  // A second copy is told in the same words as the first: what is waited for is what is in the clipboard.
  const copies = async (text: string) => {
    await figure(2).getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied.').waitFor();
    await expect.poll(() => inPage<string>('navigator.clipboard.readText()')).toContain(text);
  };
  await copies(`${bob.id}:${MASK}`);
  await page.locator('.signin > summary').click();
  await page.getByLabel('Put my token into what I copy').check();
  await copies(`${bob.id}:${bob.token}`);
  expect((await everything()).includes(bob.token)).toBe(false);

  await page.getByRole('link', { name: 'Poll without missing anything' }).last().click();
  await page.getByRole('heading', { name: 'The whole loop' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/docs/guides/polling');
  expect(await page.title()).toBe('Poll without missing anything · Post <Office>');
  await page.locator('main', { hasText: `${bob.id}:${MASK}` }).waitFor();
  await page.getByRole('button', { name: 'JavaScript' }).first().click();
  await page.getByText('const answer = await fetch(').first().waitFor();
  await page.goBack();
  await page.locator('main', { hasText: bob.webhook.wh_url }).waitFor();
  await page.getByRole('link', { name: 'Reference', exact: true }).click();
  await page.getByText(`You are user ${bob.id}`).waitFor();
  await page.locator('.signin > summary').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('every example becomes yours and can be tried').waitFor();
  expect((await everything()).includes(bob.webhook.wh_url)).toBe(false);
  expect(errors).toEqual([]);
});

test('every Run of the guides is answered as its guide says', { timeout: 120_000 }, async () => {
  const cy = await someone(service, 'cy');
  await open('/docs/guides/credentials');
  await signIn(cy);
  await isSignedIn(cy);
  for (const name of GUIDES) {
    const source = readFileSync(`docs/guides/${name}.md`, 'utf8');
    const wanted = [...source.matchAll(/^```(?:example|call) (?:(\d{3}) )?/gm)].map(([, status]) => status ?? '2');
    const title = /^# (.*)/.exec(source)?.[1] ?? '';
    await page.locator('nav .menu > summary').click();
    await page.locator('nav .menu').getByRole('link', { name: title }).click();
    await page.getByRole('heading', { name: title, level: 1 }).waitFor();
    for (const [at, status] of wanted.entries()) {
      const figure = page.locator('figure.call').nth(at);
      await figure.getByRole('button', { name: 'Run' }).click();
      const output = figure.locator('output', { hasText: /^\d/ });
      await output.waitFor();
      expect([name, at, await output.textContent()]).toEqual([
        name,
        at,
        expect.stringMatching(new RegExp(`^${status}`)),
      ]);
    }
  }
});

test('by keyboard alone: to the text, through the menus, in and out', async () => {
  await open('/docs/guides/credentials');
  await page.keyboard.press('Tab');
  const focused = () => inPage<string>('document.activeElement.textContent.trim().slice(0, 40)');
  await expect.poll(focused).toBe('Skip to the text');
  await page.keyboard.press('Enter');
  await expect.poll(() => inPage('document.activeElement.id')).toBe('main');
  await page.locator('.brand').focus();
  await page.keyboard.press('Tab');
  await expect.poll(focused).toBe('Reference');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('nav .menu[open]').waitFor();
  await page.keyboard.press('Tab');
  await expect.poll(focused).toBe('Verify your credentials');
  await page.keyboard.press('Escape');
  await expect.poll(focused).toBe('Guides');
  await page.locator('.signin > summary').focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction("document.activeElement.name === 'id'");
  await page.keyboard.type(String(ana.id));
  await page.keyboard.press('Tab');
  await page.keyboard.type(ana.token);
  await page.keyboard.press('Enter');
  await isSignedIn(ana);
  await page.locator('main', { hasText: `${ana.id}:${MASK}` }).waitFor();
  await expect.poll(focused).toBe(`User ${ana.id}`);
  await page.getByRole('button', { name: 'Run' }).first().focus();
  await page.keyboard.press('Enter');
  await page.locator('output', { hasText: `"username": "${ana.id}"` }).waitFor();
});

async function audit(where: readonly unknown[]): Promise<void> {
  await page.evaluate(AXE);
  const found = await inPage<string[]>(FIND);
  expect([...where, found]).toEqual([...where, []]);
  // Nothing is cut off at the side, and nothing has to be scrolled to.
  const [wide, width] = await inPage<number[]>('[document.documentElement.scrollWidth, innerWidth]');
  expect([...where, wide]).toEqual([...where, width]);
}
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) => [1_280, 360].map((width) => ({ scheme, width })));

test.for(LOOKS)(
  'axe finds nothing on the guides: $scheme, $width px',
  { timeout: 120_000 },
  async ({ scheme, width }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 760 });
    for (const name of GUIDES) {
      await open(`/docs/guides/${name}`);
      await page.locator('.tools').first().waitFor();
      if (name === 'credentials') await page.locator('.signin > summary').click();
      await audit([name]);
    }
  },
);

test.for(LOOKS)('nor on the reference, as far as it is in sight: $scheme, $width px', async ({ scheme, width }) => {
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize({ width, height: 760 });
  await open('/docs');
  await rendered();
  await calm();
  await audit(['reference']);
  await signIn(ana);
  await isSignedIn(ana);
  await calm();
  await page.goto(`${service.url}/docs#tag/contents/GET/whcontent`);
  await page.getByRole('heading', { name: 'List contents' }).waitFor();
  await calm();
  await audit(['List contents']);
});

test('assets are compressed, cached for a year and named by what is in them; the first byte comes at once', async () => {
  const html = await (await fetch(`${service.url}/docs`)).text();
  const names = [/scalar-[\w.]+\.js/, /docs-[0-9a-f]{10}\.js/, /docs-[0-9a-f]{10}\.css/].map(
    (name) => name.exec(html)?.[0],
  );
  for (const [at, name] of names.entries())
    for (const encoding of ['br', 'gzip']) {
      const answer = await fetch(`${service.url}/docs/${name}`, { headers: { 'accept-encoding': encoding } });
      expect([name, answer.status, answer.headers.get('content-encoding')]).toEqual([name, 200, encoding]);
      expect(answer.headers.get('cache-control')).toContain('immutable');
      expect((await answer.text()).length).toBeGreaterThan(at === 0 ? 1_000_000 : 1_000);
    }
  expect((await fetch(`${service.url}/docs/docs-0000000000.js`)).status).toBe(404);
  const times: number[] = [];
  for (let i = 0; i < 30; i++) {
    const began = performance.now();
    await fetch(`${service.url}/docs`);
    times.push(performance.now() - began);
  }
  expect(times.sort((a, b) => a - b)[15]).toBeLessThan(50);
});

test('behind a path of PUBLIC_URL every link has it, and the page works', async () => {
  const own = await emptyDatabase('sqlite');
  const inside = await startService(own.url, { PUBLIC_URL: 'https://example.org/hooks' });
  const html = await (await fetch(`${inside.url}/docs/guides/first-webhook`)).text();
  const links = [...html.matchAll(/(?:href|src)="(\/[^"]*)"/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !link.startsWith('/hooks/'))).toEqual([]);
  expect(links.length).toBeGreaterThan(10);
  expect(html).toContain('https://example.org/hooks/webhooks');
  await inside.close();
  await own.drop();
});

test('settings of the brand that cannot be are told', () => {
  const told = (env: Record<string, string>): string => {
    try {
      readConfig(env);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(told({ SERVICE_LOGO: join(folder, 'none.svg') })).toContain('SERVICE_LOGO must be a file that is there');
  expect(told({ SERVICE_LOGO: 'https://example.org/logo.svg?x' })).toContain(
    'SERVICE_LOGO must be a file that ends in',
  );
  expect(told({ SERVICE_TEXT: 'x'.repeat(1_001) })).toContain('SERVICE_TEXT must not be longer');
  expect(told({ DASHBOARD_URL: 'javascript:alert(1)' })).toContain('DASHBOARD_URL must be an http:// or https:// URL');
  expect(told({ SERVICE_LOGO: LOGO, SERVICE_TEXT: 'Hi', DASHBOARD_URL: 'https://example.org/?a=1' })).toBe('');
});
