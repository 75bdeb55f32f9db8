// The documentation page in a real Chromium: it shows every call, "Test Request" works, and nothing leaves the machine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, emptyDatabase, type Service, startService } from './engines.ts';
import { tool } from './tools.ts';

const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
let database: Database;
let service: Service;
const folder = mkdtempSync(join(tmpdir(), 'restante-chromium-'));
let browser: BrowserContext | undefined;

beforeAll(async () => {
  database = await emptyDatabase('sqlite');
  service = await startService(database.url, { SERVICE_NAME: 'Post <Office>' });
});
afterAll(async () => {
  await browser?.close();
  await service?.close();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

test('a browser without credentials is led to the documentation', async () => {
  const answer = await fetch(service.url, { headers: { accept: 'text/html' }, redirect: 'manual' });
  expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs']);
  expect((await fetch(service.url)).status).toBe(401);
});

test('Chromium shows every call, and asks nobody but us', async (context) => {
  const executablePath = tool('chromium', context);
  browser = await chromium.launchPersistentContext(folder, {
    executablePath,
    args: ARGS.split(' '),
    headless: true,
    viewport: { width: 1400, height: 900 },
  });
  const page = await browser.newPage();
  const asked: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`${service.url}/docs`);
  await page.getByText('List contents').first().waitFor();
  // biome-ignore lint/performance/useDomNodeTextContent: what a person sees, not what hidden nodes hold
  const text = await page.locator('body').innerText();
  for (const summary of [
    'Verify your credentials',
    'List your webhooks',
    'Fetch one content',
    'Post your own content',
    'Make a webhook',
    'List refusals',
  ])
    expect(text).toContain(summary);
  await page.waitForTimeout(1_000);
  const elsewhere = asked.filter(
    (url) => !url.startsWith(service.url) && !url.startsWith('data:') && !url.startsWith('blob:'),
  );
  expect(elsewhere).toEqual([]);
  expect(errors).toEqual([]);
  expect(await page.title()).toBe('Post <Office>');
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'docs.png') });
});

test('its script is compressed, cached for a year and named by its version', async () => {
  const html = await (await fetch(`${service.url}/docs`)).text();
  const script = /\/docs\/scalar-[\w.]+\.js/.exec(html)?.[0];
  for (const encoding of ['br', 'gzip']) {
    const answer = await fetch(service.url + script, { headers: { 'accept-encoding': encoding } });
    expect(answer.headers.get('content-encoding')).toBe(encoding);
    expect(answer.headers.get('cache-control')).toContain('immutable');
    expect((await answer.text()).length).toBeGreaterThan(1_000_000);
  }
});
