// npm run screenshots: the pictures of the README, made from the page itself in the Chromium that the tests use.
import { mkdirSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { openScene, type Person, type Scene } from './scene.ts';

const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const TO = process.argv[2] ?? 'docs/images';
const LARGE = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };

interface Picture {
  readonly name: string;
  readonly who: 'busy' | 'fresh';
  readonly phone?: true;
  open(page: Page): Promise<unknown>;
}

const PICTURES: readonly Picture[] = [
  { name: 'inbox-empty', who: 'fresh', open: (page) => page.getByText('Waiting for the first webhook').waitFor() },
  {
    name: 'inbox',
    who: 'busy',
    async open(page) {
      await page.locator('.row-item a').first().waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.locator('#trace-title').waitFor();
    },
  },
  {
    name: 'content-stripe',
    who: 'busy',
    async open(page) {
      await page.locator('.row-item a', { hasText: 'charge.succeeded' }).first().click();
      await page.locator('#trace-title').waitFor();
      await page.locator('.code').evaluate((code) => code.scrollTo({ top: 120 }));
    },
  },
  {
    name: 'refusal',
    who: 'busy',
    async open(page) {
      await page.getByRole('link', { name: 'Refusals' }).click();
      await page.locator('.row-static a', { hasText: 'near miss' }).first().click();
      await page.getByText('Near miss', { exact: true }).waitFor();
      await page.locator('.code').waitFor();
    },
  },
  {
    name: 'dead-letters',
    who: 'busy',
    async open(page) {
      await page.getByRole('link', { name: 'Consumers' }).click();
      await page.locator('.consumer a', { hasText: 'billing' }).click();
      await page.getByText('the account is closed').first().waitFor();
    },
  },
  { name: 'phone-list', who: 'busy', phone: true, open: (page) => page.locator('.row-item a').first().waitFor() },
  {
    name: 'phone-content',
    who: 'busy',
    phone: true,
    async open(page) {
      await page.locator('.row-item a', { hasText: 'charge.succeeded' }).first().click();
      await page.locator('#trace-title').waitFor();
    },
  },
];

async function signIn(page: Page, url: string, { id, token }: Person): Promise<void> {
  await page.goto(`${url}/inbox`);
  await page.getByLabel('User id').fill(String(id));
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.status[data-state="live"]').waitFor();
}

async function take(browser: Browser, scene: Scene, picture: Picture, colorScheme: 'light' | 'dark'): Promise<void> {
  const context = await browser.newContext({
    viewport: picture.phone ? PHONE : LARGE,
    deviceScaleFactor: picture.phone ? 2 : 1,
    colorScheme,
    locale: 'en-GB',
  });
  const page = await context.newPage();
  await signIn(page, scene.url, scene[picture.who]);
  await picture.open(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${TO}/${picture.name}-${colorScheme}.png` });
  await context.close();
}

const scene = await openScene();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS.split(' '), headless: true });
try {
  mkdirSync(TO, { recursive: true });
  const only = process.argv[3];
  for (const picture of PICTURES.filter(({ name }) => !only || name === only))
    for (const scheme of ['light', 'dark'] as const) await take(browser, scene, picture, scheme);
} finally {
  await browser.close();
  await scene.close();
}
