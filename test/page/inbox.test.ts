// The live inbox from end to end: what arrives is seen, read in every form, refused, released, found, created and replayed.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, type TestContext, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { type Database, emptyDatabase, pathOf, type Service, startService, type TestUser } from '../support/engines.ts';
import * as sign from '../support/signing.ts';
import { type Browser, openBrowser, openNewest, rows, SLOWDOWN, signIn, type Watched } from './inbox-page.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SECRET = 'whsec_plantedSecretOfThePayments9fA2';
let database: Database;
let service: Service;
let browser: Browser | undefined;
beforeAll(async () => {
  database = await emptyDatabase('sqlite');
  service = await startService(database.url, { SERVICE_NAME: 'Post <Office>' });
});
afterAll(async () => {
  await browser?.close();
  await service?.close();
  await database?.drop();
});

// Pages hold a connection each, and a browser opens six to one host.
afterEach(() => browser?.leave());

/** A user with a webhook, signed in on a page of its own. */
async function enter(context: TestContext, settings: Record<string, unknown> = {}) {
  browser ??= await openBrowser(context);
  const user = await service.user();
  const webhook = await service.webhook(user, settings);
  const watched = await browser.page(service.url);
  await signIn(watched.page, service.url, user);
  return { ...watched, user, webhook };
}
const send = (webhook: WebhookDetail, body: string | Buffer, headers: Record<string, string> = {}, more = '') =>
  fetch(service.url + pathOf(webhook) + more, { method: 'POST', body, headers });
const call = async (user: TestUser, method: string, path: string, body?: object) => {
  const answer = await fetch(service.url + path, {
    method,
    headers: { authorization: user.auth },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  // biome-ignore lint/suspicious/noExplicitAny: whatever the call answers
  return (await answer.json()) as any;
};
/** A dialog that is closed is hidden at once, but keys are heard again only when the page has taken it away. */
const dialogGone = (page: Page) => page.locator('dialog').waitFor({ state: 'detached' });
async function calm({ page, elsewhere, errors }: Watched): Promise<void> {
  expect(elsewhere).toEqual([]);
  expect(errors).toEqual([]);
  await page.close();
}
interface Found {
  readonly violations: readonly { id: string; nodes: readonly { html: string; failureSummary: string }[] }[];
}
async function axe(page: Page, what: string): Promise<void> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<Found>('axe.run()');
  const found = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .map((node) => `${node.html} ${node.failureSummary}`)
        .slice(0, 3)
        .join(' | ')}`,
  );
  expect(found, what).toEqual([]);
}

test('its policy allows no script but its own; the page weighs less than 60 KB', async () => {
  const answer = await fetch(`${service.url}/inbox`);
  const html = await answer.text();
  const policy = answer.headers.get('content-security-policy') ?? '';
  expect(policy).not.toContain('unsafe');
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("connect-src 'self'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(html).toContain('Post &#60;Office&#62;');
  expect(html).not.toContain('Post <Office>');
  const assets = [...html.matchAll(/(?:src|href)="(inbox\/[^"]+)"/g)].map(([, path]) => path as string);
  expect(assets).toHaveLength(2);
  let weight = gzipSync(html).length;
  for (const path of assets) {
    for (const encoding of ['br', 'gzip', 'identity']) {
      const asset = await fetch(`${service.url}/${path}`, { headers: { 'accept-encoding': encoding } });
      expect(asset.status).toBe(200);
      expect(asset.headers.get('cache-control')).toContain('immutable');
      expect(asset.headers.get('content-encoding') ?? 'identity').toBe(encoding);
      expect((await asset.text()).length).toBeGreaterThan(1_000);
    }
    const gzip = await fetch(`${service.url}/${path}`, { headers: { 'accept-encoding': 'identity' } });
    weight += gzipSync(await gzip.text(), { level: 9 }).length;
  }
  expect(weight).toBeLessThan(60_000);
  expect(await (await fetch(`${service.url}/inbox/`)).text()).toContain('href="style-');
});

test('wrong credentials are told in words, without a window of the browser; right ones are kept nowhere', async (context) => {
  const { page, user, ...rest } = await enter(context);
  await page.reload();
  await page.getByLabel('User id').fill(String(user.id));
  await page.getByLabel('Token').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('the token is wrong').waitFor();
  await page.getByLabel('Token').fill(user.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.status[data-state="live"]').waitFor();
  const kept = await page.evaluate<
    unknown[]
  >(`(async () => [localStorage.length, sessionStorage.length, document.cookie,
    location.href, (await indexedDB.databases()).length, document.documentElement.outerHTML])()`);
  expect(JSON.stringify(kept)).not.toContain(user.token);
  expect(kept.slice(0, 3)).toEqual([0, 0, '']);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  expect(await page.locator('body').textContent()).not.toContain('Test');
  await calm({ page, ...rest });
});

test('an address that leads nowhere does not keep anybody out', async (context) => {
  const { page, user, ...rest } = await enter(context);
  await page.goto(`${service.url}/inbox#/consumers/%`);
  await page.reload();
  await page.getByLabel('User id').fill(String(user.id));
  await page.getByLabel('Token').fill(user.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.status[data-state="live"]').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await calm({ page, ...rest });
});

test('a webhook appears within 300 ms, is counted and told in the title; opened it is read', async (context) => {
  const { page, webhook, ...rest } = await enter(context, { wh_name: 'Payments' });
  await page.getByRole('heading', { name: 'Waiting for the first webhook' }).waitFor();
  await page.getByRole('button', { name: 'Send a test' }).click();
  await rows(page).first().waitFor();
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    // It watches before anything is sent; what is assigned to `seen` is waited for after it.
    await page.evaluate(`void (window.seen = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (document.querySelectorAll('.row-item').length > ${i + 1}) resolve(Date.now());
      });
      observer.observe(document.body, { childList: true, subtree: true });
    }))`);
    const sent = Date.now();
    await send(webhook, `{"n":${i}}`);
    times.push((await page.evaluate<number>('window.seen')) - sent);
  }
  console.log(`a webhook was on the page after ${times.join(', ')} ms`);
  expect(Math.min(...times)).toBeLessThan(300 * SLOWDOWN);
  expect(times.sort((a, b) => a - b)[2]).toBeLessThan(300 * SLOWDOWN);
  await expect.poll(() => page.title()).toBe('(6) Inbox · Post <Office>');
  await expect.poll(() => page.locator('.hook', { hasText: 'Payments' }).locator('.total').textContent()).toMatch(/^6/);
  await rows(page).first().click();
  await expect.poll(() => page.title()).toBe('(5) Inbox · Post <Office>');
  await page.getByRole('button', { name: 'Mark all as read' }).click();
  await expect.poll(() => page.title()).toBe('Inbox · Post <Office>');
  await calm({ page, ...rest });
});

test('JSON keeps every digit, members and order; forms, parts, XML and bytes are set out by their kind', async (context) => {
  const { page, webhook, ...rest } = await enter(context);
  await send(webhook, '{"b":12345678901234567890.10,"a":{"z":[1,[],{}],"a":"é\\u0000"},"b":1e400}', {
    'content-type': 'application/json',
  });
  await openNewest(page, 1);
  const code = page.locator('.code');
  expect((await code.locator('.line').allTextContents()).map((line) => line.trim())).toEqual([
    '{',
    '"b": 12345678901234567890.10,',
    '"a": {',
    '"z": [',
    '1,',
    '[],',
    '{}',
    '],',
    '"a": "é\\u0000"',
    '},',
    '"b": 1e400',
    '}',
  ]);
  await send(webhook, 'From=%2B41+79&Body=Gr%C3%BC%C3%9Fe&Empty=', {
    'content-type': 'application/x-www-form-urlencoded',
  });
  await openNewest(page, 2);
  const cells = page.locator('section[aria-labelledby="body-title"] .pairs tr');
  expect((await cells.allTextContents()).map((text) => text.replace(/\s+/g, ' ').trim())).toEqual([
    'From +41 79',
    'Body Grüße',
    'Empty empty',
  ]);
  const bytes = randomBytes(3_000);
  const form = new FormData();
  form.append('note', 'hello');
  form.append('photo', new Blob([bytes], { type: 'image/png' }), 'a "photo".png');
  await fetch(service.url + pathOf(webhook), { method: 'POST', body: form });
  await openNewest(page, 3);
  expect(await page.locator('.parts li').count()).toBe(2);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.locator('.parts li').nth(1).getByRole('button', { name: 'Download' }).click(),
  ]);
  expect(readFileSync(await download.path()).equals(bytes)).toBe(true);
  await send(webhook, '<?xml version="1.0"?><Response><Message to="+1">Hi &amp; bye</Message><Empty/></Response>', {
    'content-type': 'text/xml',
  });
  await openNewest(page, 4);
  expect(await code.locator('.line').allTextContents()).toEqual([
    '<?xml version="1.0"?>',
    '<Response>',
    '<Message to="+1">Hi &amp; bye</Message>',
    '<Empty/>',
    '</Response>',
  ]);
  await send(webhook, Buffer.from([0, 255, 254, 65, 66]), { 'content-type': 'application/x-thing' });
  await openNewest(page, 5);
  expect(await page.locator('.hex').textContent()).toContain('00 ff fe 41 42');
  const [raw] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Raw' }).click()]);
  expect([...readFileSync(await raw.path())]).toEqual([0, 255, 254, 65, 66]);
  await calm({ page, ...rest });
});

test('secrets in headers are hidden until they are revealed; copied as curl, the same bytes are sent again', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context);
  const body = Buffer.concat([Buffer.from('it\'s {"quoted":"\\u0000$HOME `id`"}\n@'), Buffer.from([0, 1, 2, 255])]);
  await send(
    webhook,
    body,
    {
      authorization: 'Bearer planted-bearer',
      cookie: 'a=planted-cookie',
      'x-note': "it's \xe9",
      'content-type': 'text/plain',
    },
    '/sub?a=b%20c',
  );
  await openNewest(page, 1);
  const shown = async () => (await page.locator('.detail').textContent()) ?? '';
  expect(await shown()).not.toContain('planted');
  expect(await page.locator('.request-line').textContent()).toBe('POST /in/…/sub?a=b%20c');
  await page.getByRole('button', { name: 'Copy as curl' }).click();
  await page.getByText('without 2 secret headers').waitFor();
  const curl = () => page.evaluate<string>('navigator.clipboard.readText()');
  expect(await curl()).not.toContain('planted');
  await page.getByRole('button', { name: 'Reveal 2 secrets' }).click();
  await expect.poll(shown).toContain('Bearer planted-bearer');
  await page.getByRole('button', { name: 'Copy as curl' }).click();
  await expect.poll(curl).toContain('planted-bearer');
  await promisify(execFile)('bash', [
    '-c',
    `${(await curl()).replace('curl ', 'curl -sS ').replaceAll(webhook.wh_url, service.url + pathOf(webhook))}`,
  ]);
  await expect.poll(() => rows(page).count()).toBe(2);
  const { whcontent } = await call(user, 'GET', `/whcontent?whid=${webhook.wh_id}`);
  const [first, second] = whcontent;
  expect(second.content).toBe(first.content);
  expect(second.request.url).toBe(first.request.url);
  const own = (headers: string[][]) =>
    headers
      .filter(([name]) => !/^(host|connection|content-length)$/i.test(name as string))
      .map(([name, value]) => `${name?.toLowerCase()}: ${value}`);
  expect(own(second.request.headers)).toEqual(own(first.request.headers));
  await page.getByRole('button', { name: 'Link', exact: true }).click();
  await expect.poll(curl).toBe(`${service.url}/inbox#/content/${first.id}`);
  await calm({ page, ...rest });
});

test('a forgery is a refusal with its near miss; judged again after a fix, or accepted after a question', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context, { preset: 'stripe', secrets: ['whsec_somethingElse'] });
  const other = await service.webhook(user, { wh_name: 'Other', preset: 'stripe', secrets: [SECRET] });
  for (const id of ['evt_1', 'evt_2']) {
    const body = JSON.stringify({ id, type: 'charge.succeeded' });
    expect((await send(webhook, body, sign.stripe(SECRET, body))).status).toBe(401);
  }
  await page.getByRole('link', { name: /Refusals/ }).click();
  await page.locator('.row-static').nth(1).waitFor();
  await page.locator('.row-static a').nth(1).click();
  await page.getByText(`It would verify with the secret ending …9fA2 of webhook ${other.wh_id}.`).waitFor();
  await page.getByRole('button', { name: 'Judge again' }).click();
  await page.getByRole('alert').getByText('The request stays refused').waitFor();
  await call(user, 'PATCH', `/webhooks/${webhook.wh_id}`, { secrets: [SECRET] });
  await page.getByRole('button', { name: 'Judge again' }).click();
  await page.getByText('Released: it is').waitFor();
  await call(user, 'PATCH', `/webhooks/${webhook.wh_id}`, { secrets: ['whsec_wrongAgain'] });
  await page.locator('.row-static a').first().click();
  await page.locator('.detail', { hasText: 'evt_2' }).waitFor();
  await page.getByRole('button', { name: 'Accept unverified…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await dialogGone(page);
  await page.getByRole('button', { name: 'Accept unverified…' }).click();
  await page.getByRole('dialog').waitFor();
  await axe(page, 'a question');
  await page.getByRole('dialog').getByRole('button', { name: 'Accept unverified' }).click();
  await page.getByText('Released: it is').waitFor();
  const { whcontent } = await call(user, 'GET', `/whcontent?whid=${webhook.wh_id}`);
  expect(whcontent.map((one: { request: { verified: string } }) => one.request.verified)).toEqual(['signed', 'none']);
  await axe(page, 'a refusal');
  await page.getByRole('link', { name: /^content \d+$/ }).click();
  await page.getByText('Released from').waitFor();
  await calm({ page, ...rest });
});

test('the list is narrowed by text, type, check, time and webhook, and by a click on a value; what comes later is too', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context, {
    preset: 'stripe',
    secrets: [SECRET],
    wh_name: 'Shop',
  });
  const plain = await service.webhook(user, { wh_name: 'Plain' });
  const stripe = async (n: number, type: string) => {
    const body = JSON.stringify({ id: `evt_${n}`, type, customer: `cus_${n % 2}`, big: 9007199254740993n.toString() });
    await send(webhook, body, sign.stripe(SECRET, body));
  };
  for (let n = 0; n < 6; n++) await stripe(n, n % 3 ? 'charge.failed' : 'charge.succeeded');
  await send(plain, 'needle in a haystack');
  await expect.poll(() => rows(page).count()).toBe(7);
  await page.getByLabel('Search the bodies').fill('needle');
  await expect.poll(() => rows(page).count()).toBe(1);
  await page.locator('.chip', { hasText: 'needle' }).click();
  await expect.poll(() => rows(page).count()).toBe(7);
  await rows(page).nth(1).click();
  await page.locator('.code .s', { hasText: 'cus_1' }).click();
  await expect.poll(() => rows(page).count()).toBe(3);
  await stripe(7, 'charge.failed');
  await expect.poll(() => rows(page).count()).toBe(4);
  await stripe(8, 'charge.failed');
  await expect.poll(() => page.locator('.hook', { hasText: 'Shop' }).locator('.total').textContent()).toMatch(/^8/);
  expect(await rows(page).count()).toBe(4);
  await page.locator('.chip').click();
  await page.locator('#detail-title button').click();
  await expect
    .poll(async () => new Set(await page.locator('.row-item .what').allTextContents()))
    .toEqual(new Set(['New: charge.failed', 'charge.failed']));
  await page.getByRole('button', { name: 'More filters' }).click();
  await page.getByLabel('Event type').fill('');
  await page.getByLabel('Event type').blur();
  await page.getByLabel('Check').selectOption('none');
  await expect.poll(() => rows(page).count()).toBe(1);
  await page.getByLabel('Check').selectOption('');
  await expect.poll(() => rows(page).count()).toBe(9);
  await page.getByLabel('Time').selectOption('15');
  await page.locator('.hook', { hasText: 'Plain' }).click();
  await expect.poll(() => rows(page).count()).toBe(1);
  await page.getByLabel('Event id').fill('nothing');
  await page.getByLabel('Event id').blur();
  await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
  await axe(page, 'filters');
  await calm({ page, ...rest });
});

test('consumers show backlog, what is in hand and dead letters, which are handed out again; so is a content', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context);
  await call(user, 'PUT', '/consumers/billing', { start: 'earliest' });
  for (let n = 0; n < 5; n++) await send(webhook, `{"n":${n}}`);
  const { lease, items } = await call(user, 'POST', '/consumers/billing/pull', { limit: 3, wait: 3 });
  const ids = items.map(({ id }: { id: number }) => id);
  await call(user, 'POST', '/consumers/billing/nack', {
    lease,
    ids: ids.slice(0, 2),
    dead: true,
    reason: 'the <b>account</b> is closed',
  });
  await page.getByRole('link', { name: 'Consumers' }).click();
  await page.locator('.consumer a', { hasText: 'billing' }).click();
  await page.getByRole('cell', { name: 'the <b>account</b> is closed' }).first().waitFor();
  await expect
    .poll(async () => (await page.locator('.detail .numbers dd').allTextContents()).filter((_, i) => i !== 1))
    .toEqual(['2', '1', '2']);
  await axe(page, 'consumers');
  await page.getByRole('button', { name: `Retry content ${ids[0]}` }).click();
  await expect.poll(() => page.locator('.dead tbody tr').count()).toBe(1);
  await page.getByRole('button', { name: 'Retry all' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retry all' }).click();
  await dialogGone(page);
  await expect.poll(() => page.locator('.dead tbody tr').count()).toBe(0);
  await expect.poll(async () => (await call(user, 'GET', '/consumers/billing')).dead).toBe(0);
  const all = await call(user, 'POST', '/consumers/billing/pull', { limit: 100, wait: 1 });
  await call(user, 'POST', '/consumers/billing/ack', { lease: all.lease });
  await page.getByRole('link', { name: /Contents/ }).click();
  await rows(page).first().click();
  await page.locator('.state[data-state="acked"]').waitFor();
  await page.getByLabel('Send again to a consumer').selectOption('billing');
  await page.locator('.state[data-state="waiting"]').waitFor();
  const again = await call(user, 'POST', '/consumers/billing/pull', { wait: 3 });
  expect(again.items.map(({ id }: { id: number }) => id)).toEqual([ids[0] + 4]);
  await calm({ page, ...rest });
});

test('a webhook is made with a preset, and the steps of its provider are shown with its URL', async (context) => {
  const { page, user, ...rest } = await enter(context);
  await page.getByRole('link', { name: 'New webhook' }).click();
  await page.getByLabel('Name').fill('Shop');
  await page.getByLabel('Provider').selectOption({ label: 'Stripe' });
  await page.getByLabel(/^Secret/).fill(SECRET);
  await axe(page, 'new webhook');
  await page.getByRole('button', { name: 'Make the webhook' }).click();
  await page.locator('.steps').waitFor();
  const { webhooks } = await call(user, 'GET', '/webhooks');
  const made = webhooks.find(({ wh_name }: { wh_name: string }) => wh_name === 'Shop');
  await page.locator('.steps', { hasText: made.wh_url }).waitFor();
  await page.getByText('secret …9fA2').waitFor();
  expect(await page.locator('body').textContent()).not.toContain(SECRET);
  for (const language of ['curl', 'HTTPie', 'PowerShell', 'JavaScript', 'Python']) {
    await page.getByRole('tab', { name: language }).click();
    await page.getByRole('tab', { name: language, selected: true }).waitFor();
    expect(await page.getByRole('tabpanel').textContent()).toContain(made.wh_url);
  }
  const forward = await page.getByLabel('command', { exact: true }).textContent();
  expect(forward).toBe(`restante forward dev \\\n  --url ${service.url} \\\n  --to http://localhost:3000/hook`);
  await axe(page, 'a webhook');
  await calm({ page, ...rest });
});

test('a test is signed with the stored secret; what became of it is told, and the content is a click away', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context, { preset: 'stripe', secrets: [SECRET] });
  const narrow = () => page.evaluate<number>('document.documentElement.scrollWidth');
  const outcome = page.locator('[role="status"] .callout');
  const show = async (one: WebhookDetail) => {
    await page.goto(`${service.url}/inbox#/webhook/${one.wh_id}`);
    await page.getByRole('heading', { name: one.wh_name }).waitFor();
  };
  const everywhere = async (what: string) => {
    for (const [width, height] of [
      [390, 844],
      [1280, 800],
    ] as const)
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        await expect.poll(narrow).toBe(width);
        await axe(page, `${what}, ${width}, ${colorScheme}`);
        if (process.env.SCREENSHOTS)
          await page.screenshot({ path: `${process.env.SCREENSHOTS}/${what}-${width}-${colorScheme}.png` });
      }
  };
  // From the empty list: the content appears in its place.
  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.locator('.toast', { hasText: 'It was signed as Stripe signs' }).waitFor();
  await rows(page).first().waitFor();
  await show(webhook);
  await page.getByLabel('of the type').fill('charge.refunded');
  await page.keyboard.press('Enter');
  await outcome.getByText(/^Stored as content \d+\. It was signed as Stripe signs/).waitFor();
  await everywhere('a test');
  await outcome.getByRole('link').click();
  await page.getByRole('heading', { name: 'charge.refunded' }).waitFor();
  await page.locator('.detail .pillar[data-verified="signed"]').waitFor();
  expect(await rows(page).count()).toBe(2);
  // What refuses a request refuses the test.
  await call(user, 'PATCH', `/webhooks/${webhook.wh_id}`, { allow_networks: ['3.18.12.63'] });
  await show(webhook);
  await page.getByRole('button', { name: 'Send a test' }).click();
  await outcome.getByText(/would have got 403\..*allow_networks/).waitFor();
  await everywhere('a refused test');
  await outcome.getByRole('link').click();
  await page.locator('.row-static').first().waitFor();
  // Without a secret nothing can be signed, and no field asks for a type where there are none.
  const unset = await service.webhook(user, { wh_name: 'Chat', preset: 'telegram' });
  await show(unset);
  expect(await page.getByLabel('of the type').count()).toBe(0);
  await page.getByRole('button', { name: 'Send a test' }).click();
  await outcome.getByText(/This webhook has no secret yet.*Nothing was sent\./).waitFor();
  await show(webhook);
  expect(await outcome.count()).toBe(0);
  await calm({ page, ...rest });
});

test('replay sends from the browser, on the one page that may ask elsewhere, and without credentials', async (context) => {
  const got: { method: string; body: string; headers: Record<string, unknown> }[] = [];
  const target: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers = {
        'access-control-allow-origin': '*',
        'access-control-allow-headers': '*',
        'access-control-allow-methods': '*',
      };
      if (request.method === 'OPTIONS') return response.writeHead(204, headers).end();
      got.push({
        method: request.method ?? '',
        body: createHash('sha256').update(Buffer.concat(chunks)).digest('hex'),
        headers: request.headers,
      });
      return response.writeHead(202, headers).end('<b>thanks</b>');
    });
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}/hook`;
  const { page, webhook, user, ...rest } = await enter(context);
  const body = Buffer.concat([Buffer.from('{"n":1}'), randomBytes(50)]);
  await send(webhook, body, {
    'content-type': 'application/json',
    'x-signature': 'abc',
    authorization: 'Bearer planted',
  });
  await openNewest(page, 1);
  expect(
    await page.evaluate(
      (to) =>
        fetch(to, { method: 'POST' }).then(
          () => 'sent',
          () => 'refused',
        ),
      url,
    ),
  ).toBe('refused');
  rest.errors.splice(0);
  const [replay] = await Promise.all([
    page.waitForEvent('popup'),
    page.getByRole('button', { name: 'Replay' }).click(),
  ]);
  await replay.getByLabel('To').fill(url);
  await replay.locator('body', { hasText: '1 secret left out' }).waitFor();
  expect(await replay.content()).not.toContain('planted');
  expect(await replay.content()).not.toContain(user.token);
  await axe(replay, 'replay');
  await replay.getByRole('button', { name: 'Send' }).click();
  await replay.getByText('202 Accepted').waitFor();
  await replay.getByText('<b>thanks</b>').waitFor();
  expect(got).toHaveLength(1);
  expect(got[0]).toMatchObject({
    method: 'POST',
    body: createHash('sha256').update(body).digest('hex'),
    headers: { 'x-signature': 'abc', 'content-type': 'application/json' },
  });
  expect(got[0]?.headers.authorization).toBeUndefined();
  await replay.close();
  rest.elsewhere.splice(0, 1);
  await calm({ page, ...rest });
  await new Promise((resolve) => target.close(resolve));
});

test('every view is without a violation, in light and dark, and works 360 px wide', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context, {
    wh_name: 'A webhook with rather a long name to show',
  });
  await axe(page, 'empty');
  for (let n = 0; n < 12; n++)
    await send(webhook, JSON.stringify({ id: n, text: 'x'.repeat(200), list: [true, null, 1.5] }), {
      authorization: 'Bearer x',
      'content-type': 'application/json',
    });
  await call(user, 'PUT', '/consumers/billing', {});
  await openNewest(page, 12);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await axe(page, `a content, ${colorScheme}`);
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await axe(page, 'keys');
  await page.keyboard.press('Escape');
  await dialogGone(page);
  await page.setViewportSize({ width: 360, height: 740 });
  const narrow = () => page.evaluate<number>('document.documentElement.scrollWidth');
  await expect.poll(narrow).toBe(360);
  await axe(page, 'a content, small');
  await page.getByRole('link', { name: 'Back' }).click();
  await rows(page).first().waitFor();
  await expect.poll(narrow).toBe(360);
  await axe(page, 'the list, small');
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.locator('.side[data-open="yes"]').waitFor();
  await axe(page, 'the menu, small');
  for (const [link, heading] of [
    ['Refusals', 'Refusals'],
    ['Consumers', 'Consumers'],
    ['New webhook', 'New webhook'],
  ] as const) {
    await page.getByRole('link', { name: link }).click();
    await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    await page.locator('.side[data-open="no"]').waitFor({ state: 'attached' });
    await expect.poll(narrow, { message: link }).toBe(360);
    await axe(page, `${link}, small`);
    await page.getByRole('button', { name: 'Menu' }).click();
  }
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await axe(page, 'sign in');
  await expect.poll(narrow).toBe(360);
  await calm({ page, ...rest });
});

test('by keyboard alone: sign in, walk, read, search, open refusals, sign out', async (context) => {
  const { page, webhook, user, ...rest } = await enter(context);
  for (let n = 0; n < 30; n++) await send(webhook, `{"n":${n},"word":"${n === 7 ? 'seven' : 'other'}"}`);
  await page.reload();
  const { keyboard } = page;
  await page.getByLabel('User id').waitFor();
  await keyboard.type(String(user.id));
  await keyboard.press('Tab');
  await keyboard.type(user.token);
  await keyboard.press('Enter');
  await rows(page).first().waitFor();
  const hash = () => page.evaluate<string>('location.hash');
  await keyboard.press('j');
  await expect.poll(hash).toMatch(/^#\/content\/\d+$/);
  const first = await hash();
  await keyboard.press('j');
  await keyboard.press('j');
  await keyboard.press('k');
  await expect.poll(() => page.evaluate("document.activeElement.getAttribute('href')")).not.toBe(first);
  for (let i = 0; i < 25; i++) await keyboard.press('ArrowDown');
  await expect.poll(async () => Number((await hash()).split('/').at(-1))).toBe(Number(first.split('/').at(-1)) - 26);
  await expect
    .poll(() =>
      page.locator(`.row-item a[data-id="${Number(first.split('/').at(-1)) - 26}"]`).evaluate((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return `${Math.round(top)} ${Math.round(bottom)} ${row.getAttribute('aria-current')}`;
      }),
    )
    .toMatch(/^[1-7]\d\d [1-7]\d\d true$|^\d\d\d 800 true$/);
  await keyboard.press('/');
  await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('search');
  await keyboard.type('seven? j k');
  expect(await page.getByLabel('Search the bodies').inputValue()).toBe('seven? j k');
  for (let i = 0; i < 5; i++) await keyboard.press('Backspace');
  await expect.poll(() => rows(page).count()).toBe(1);
  await keyboard.press('Escape');
  await keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  const heard = page.getByLabel('Listen to single keys');
  await heard.focus();
  await keyboard.press('Space');
  await expect.poll(() => heard.isChecked()).toBe(false);
  await keyboard.press('Escape');
  await dialogGone(page);
  await keyboard.press('?');
  // What a key changes is drawn in the next frame.
  await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
  expect(await page.getByRole('dialog').count()).toBe(0);
  await page.getByRole('button', { name: 'Keys' }).focus();
  await keyboard.press('Enter');
  // Until it is open nothing in it can be focused, and the key would go to the button.
  await page.getByRole('dialog').waitFor();
  await heard.focus();
  await keyboard.press('Space');
  await expect.poll(() => heard.isChecked()).toBe(true);
  await keyboard.press('Escape');
  await dialogGone(page);
  await keyboard.press('g');
  await keyboard.press('r');
  await page.getByRole('heading', { name: 'Refusals', exact: true }).waitFor();
  await keyboard.press('g');
  await keyboard.press('c');
  await rows(page).first().waitFor();
  for (let i = 0; i < 60; i++) {
    const name = await page.evaluate<string>('document.activeElement.textContent.trim()');
    if (name === 'Sign out') break;
    await keyboard.press('Tab');
  }
  await keyboard.press('Enter');
  await page.getByLabel('User id').waitFor();
  await calm({ page, ...rest });
});
