// The inbox in a real Chromium: opens it, signs in, and notes everything that a page should not do.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';
import { expect, type TestContext } from 'vitest';
import type { TestUser } from '../support/engines.ts';
import { needs } from '../support/tools.ts';

// TEST_CHROMIUM_SLOWDOWN=4 tests on a machine a quarter as fast: what is only there soon on a quick one fails.
export const SLOWDOWN = Number(process.env.TEST_CHROMIUM_SLOWDOWN ?? 1);
const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

export interface Browser {
  readonly context: BrowserContext;
  /** A page and what it asked and complained about. */
  page(url: string): Promise<Watched>;
  /** Closes every page. */
  leave(): Promise<void>;
  close(): Promise<void>;
}
export interface Watched {
  readonly page: Page;
  /** URLs of other origins that it asked. */
  readonly elsewhere: string[];
  /** Errors of scripts, refusals of the policy, failed requests; but not that a server is away. */
  readonly errors: string[];
}

export type Options = Parameters<typeof chromium.launchPersistentContext>[1];

export async function openBrowser(test: TestContext, options: Options = {}): Promise<Browser> {
  const executablePath = needs('chromium', test);
  const folder = mkdtempSync(join(tmpdir(), 'restante-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath,
    args: ARGS.split(' '),
    headless: true,
    viewport: { width: 1280, height: 800 },
    permissions: ['clipboard-read', 'clipboard-write'],
    locale: 'en-GB',
    ...options,
  });
  context.setDefaultTimeout(8_000);
  return {
    context,
    async page(url) {
      const page = await context.newPage();
      if (SLOWDOWN > 1) await slowDown(page, SLOWDOWN);
      const [elsewhere, errors]: [string[], string[]] = [[], []];
      page.on('request', (request) => {
        if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) elsewhere.push(request.url());
      });
      page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
          errors.push(message.text());
      });
      page.on('pageerror', (error) => errors.push(String(error)));
      return { page, elsewhere, errors };
    },
    async leave() {
      for (const page of context.pages().slice(1)) await page.close();
    },
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lets the page believe that its machine is so many times slower; answers the session that keeps it so. */
export async function slowDown(page: Page, rate: number): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate });
  return session;
}

export async function signIn(page: Page, url: string, { id, token }: Pick<TestUser, 'id' | 'token'>): Promise<void> {
  await page.goto(`${url}/inbox`);
  await page.getByLabel('User id').fill(String(id));
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.status[data-state="live"]').waitFor();
}

export const rows = (page: Page) => page.locator('.row-item a');

/** Opens the newest of so many contents and waits until all of it is there, and nothing of the one before. */
export async function openNewest(page: Page, count: number): Promise<void> {
  await expect.poll(() => rows(page).count()).toBe(count);
  const id = await rows(page).first().getAttribute('data-id');
  await rows(page).first().click();
  const detail = page.locator('.detail', { has: page.getByText(`Content ${id}`, { exact: true }) });
  await detail.locator('#trace-title').waitFor();
}
