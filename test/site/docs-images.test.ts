// Makes the pictures of the documentation: SCREENSHOTS=docs/images npx vitest run test/docs-images.test.ts
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { emptyDatabase, startService } from '../support/engines.ts';
import { needs } from '../support/tools.ts';
import { someone } from './world.ts';

// Without SCREENSHOTS this file is not run at all: vitest.config.ts.
const to = process.env.SCREENSHOTS ?? '';
const ARGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync';
// What pictures show as the address of the service.
const SHOWN = 'https://hooks.example.org';
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };

test('pictures', { timeout: 180_000 }, async (context) => {
  mkdirSync(to, { recursive: true });
  const database = await emptyDatabase('sqlite');
  const brand = { PUBLIC_URL: SHOWN, DASHBOARD_URL: 'https://app.example.org/account' };
  const service = await startService(database.url, brand);
  const user = await someone(service, 'Ana');
  const args = ARGS.split(' ');
  const browser = await chromium.launch({ executablePath: needs('chromium', context), args });
  const shot = async (page: Page, name: string) => {
    await page.evaluate('document.activeElement.blur()');
    await page.waitForTimeout(800);
    await page.screenshot({ path: join(to, `docs-${name}.png`) });
  };
  async function signedIn(path: string, options: BrowserContextOptions): Promise<Page> {
    const page = await (await browser.newContext(options)).newPage();
    await page.route(`${SHOWN}/**`, async (route) => {
      const response = await route.fetch({ url: route.request().url().replace(SHOWN, service.url) });
      await route.fulfill({ response });
    });
    await page.goto(SHOWN + path);
    await page.locator('.signin > summary').click();
    await page.locator('.signin').getByLabel('User id').fill(String(user.id));
    await page.locator('.signin').getByLabel('Token', { exact: true }).fill(user.token);
    await page.keyboard.press('Enter');
    await page.locator('.signin > summary', { hasText: `User ${user.id}` }).waitFor();
    await page.locator('#main', { hasText: user.webhook.wh_url }).waitFor();
    await page.waitForTimeout(3_000);
    await page.evaluate('scrollTo(0, 0)');
    return page;
  }
  try {
    for (const colorScheme of ['light', 'dark'] as const) {
      const reference = await signedIn('/docs', { viewport: WIDE, colorScheme });
      await shot(reference, `signed-in-${colorScheme}`);
      await reference.getByRole('link', { name: 'List contents' }).first().click();
      await reference.getByRole('heading', { name: 'List contents' }).waitFor();
      await shot(reference, `call-${colorScheme}`);
      await reference.close();
      const guide = await signedIn('/docs/guides/first-webhook', { viewport: WIDE, colorScheme });
      await guide.getByRole('button', { name: 'Run' }).nth(2).click();
      await guide.locator('output', { hasText: /^200/ }).waitFor();
      await guide.getByRole('heading', { name: '3. Read it back' }).scrollIntoViewIfNeeded();
      await guide.evaluate('scrollTo(0, 560)');
      await shot(guide, `guide-${colorScheme}`);
      await guide.close();
      const phone = await signedIn('/docs/guides/first-webhook', {
        viewport: PHONE,
        colorScheme,
        deviceScaleFactor: 2,
      });
      await shot(phone, `phone-guide-${colorScheme}`);
      await phone.close();
      const small = await signedIn('/docs', { viewport: PHONE, colorScheme, deviceScaleFactor: 2 });
      await shot(small, `phone-${colorScheme}`);
      await small.close();
    }
    expect(await browser.version()).toBeTruthy();
  } finally {
    await browser.close();
    await service.close();
    await database.drop();
  }
});
