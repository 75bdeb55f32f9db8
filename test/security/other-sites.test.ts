// Pages of other sites in a real Chromium that has saved the credentials of the service: whatever they try, nothing is changed.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Browser, openBrowser, signIn } from '../page/inbox-page.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';

let database: Database;
let service: Service;
let user: TestUser;
let elsewhere: Server;
let browser: Browser | undefined;
// What has arrived from the browser, by the path.
const arrived: { method: string; path: string; signed: boolean; origin: string | undefined; status: number }[] = [];

beforeAll(async () => {
  database = await migratedDatabase('sqlite');
  service = await startService(database.url);
  user = await service.user();
  service.app.server.on('request', ({ method = '', url = '', headers }: IncomingMessage, response) =>
    response.on('finish', () =>
      arrived.push({
        method,
        path: url.split('?', 1)[0] as string,
        signed: headers.authorization !== undefined,
        origin: headers.origin,
        status: response.statusCode,
      }),
    ),
  );
  // The other site: an empty page, and a redirect that keeps method and body.
  elsewhere = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
    request.resume();
    if (pathname === '/redirect') {
      response.writeHead(307, { location: searchParams.get('to') ?? '' }).end();
      return;
    }
    const policy = searchParams.get('policy');
    response.writeHead(200, { 'content-type': 'text/html', ...(policy ? { 'referrer-policy': policy } : {}) });
    response.end('<!doctype html><title>elsewhere</title><body></body>');
  });
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
});
afterAll(async () => {
  await browser?.close();
  elsewhere?.close();
  await service?.close();
  await database?.drop();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

interface Try {
  readonly way: string;
  readonly target: string;
  readonly i: number;
}

/** In the page of the other site: tries one way. */
const ATTACK = `async ({ way, target, i }) => {
  const [, method = 'POST', enctype = 'text/plain'] = way.split(' ');
  const form = document.createElement('form');
  Object.assign(form, { method: 'POST', action: target, enctype });
  // As text/plain a form sends this as JSON: {"grace_seconds":0,"x":"="}.
  const field = document.createElement('input');
  Object.assign(field, { type: 'hidden', name: '{"grace_seconds":0,"x":"', value: '"}' });
  form.append(field);
  const frame = document.createElement('iframe');
  frame.name = 'into' + i;
  const html = form.outerHTML + '<script>document.forms[0].submit()</' + 'script>';
  if (way.startsWith('fetch')) {
    const mode = method === 'POST' ? 'no-cors' : 'cors';
    const body = method === 'GET' ? null : '{}';
    await fetch(target, { method, mode, credentials: 'include', body }).catch(() => {});
  } else if (way === 'beacon') navigator.sendBeacon(target, '{}');
  else if (way === 'image')
    await new Promise((resolve) => {
      const image = new Image();
      image.onload = image.onerror = resolve;
      image.src = target;
    });
  else if (way.startsWith('form')) {
    document.body.append(frame, form);
    form.target = frame.name;
    form.submit();
  } else {
    if (way === 'sandbox') frame.setAttribute('sandbox', 'allow-forms allow-scripts');
    if (way === 'data') frame.src = 'data:text/html,' + encodeURIComponent(html);
    else frame.srcdoc = html;
    document.body.append(frame);
  }
}`;

const FORM = `<form method="POST" action="{target}" enctype="text/plain"><input name='{"grace_seconds":0,"x":"' value='"}'></form>`;
// There is nothing to POST to: of these, other methods would change something.
const NO_POST = [/^\/webhooks\/\d+$/, /^\/whcontent\/\d+$/, /^\/consumers\/\w+$/];
const WAYS = [
  ...['form POST text/plain', 'form POST application/x-www-form-urlencoded', 'form POST multipart/form-data'],
  ...['fetch POST', 'fetch GET', 'fetch DELETE', 'fetch PATCH', 'fetch PUT'],
  ...['beacon', 'image', 'iframe', 'sandbox', 'data', 'redirect', 'window'],
];

test('a page of another origin changes nothing, and those of the service do', { timeout: 400_000 }, async (context) => {
  browser = await openBrowser(context);
  const { wh_id } = await service.webhook(user);
  const webhook = await service.webhook(user);
  const call = async (method: string, path: string, body?: object) => {
    const headers = { authorization: user.auth };
    const answer = await fetch(service.url + path, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return answer.status < 300 ? ((await answer.json().catch(() => null)) as Record<string, unknown>) : answer.status;
  };
  await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'one' });
  await fetch(service.url + pathOf(webhook), { method: 'POST', body: 'two' });
  await call('PUT', '/consumers/worker', { start: 'earliest' });
  const pulled = (await call('POST', '/consumers/worker/pull', { limit: 1, lease_seconds: 3_600 })) as {
    items: { id: number }[];
  };
  const first = pulled.items[0]?.id ?? 0;
  const state = async () => {
    const { ...worker } = (await call('GET', '/consumers/worker')) as Record<string, unknown>;
    delete worker.oldest_age_s;
    const contents = await call('GET', '/whcontent?whid=all');
    return [await call('GET', '/webhooks'), await call('GET', '/consumers'), contents, worker].map((one) =>
      JSON.stringify(one, (name, value) => (name.endsWith('_age_s') ? 0 : value)),
    );
  };
  const before = await state();

  const targets = [
    ...['/whcontent?content=x', '/webhooks', `/webhooks/${wh_id}`, `/webhooks/${wh_id}/rotate`, `/whcontent/${first}`],
    ...['/consumers/worker', '/consumers/worker/pull', '/consumers/worker/seek', '/consumers/other/pull'],
    '/refusals/release',
  ];
  for (const host of ['127.0.0.1', 'localhost']) {
    const at = `http://${host}:${service.port}`;
    // The browser is asked for the credentials, and keeps them.
    const { page } = await browser.page(at);
    await page.goto(`http://${user.id}:${user.token}@${host}:${service.port}/webhooks`);
    expect(await page.textContent('body')).toContain(`"wh_id":${wh_id},`);
    // Of the same site, and of another; the second hides where it is, as a sandbox does.
    for (const [from, policy] of [
      ['127.0.0.1', host === '127.0.0.1' ? '' : 'no-referrer'],
      ['localhost', host === '127.0.0.1' ? 'no-referrer' : ''],
    ] as const) {
      const site = `http://${from}:${portOf(elsewhere)}`;
      arrived.length = 0;
      for (const way of WAYS) {
        const opened = (await browser.page(site)).page;
        await opened.goto(`${site}/?policy=${policy}`);
        for (const [i, path] of targets.entries()) {
          const target = way === 'redirect' ? `${site}/redirect?to=${encodeURIComponent(at + path)}` : at + path;
          if (way !== 'window') {
            const tried: Try = { way: way === 'redirect' ? 'form POST text/plain' : way, target, i };
            await opened.evaluate(`(${ATTACK})(${JSON.stringify(tried)})`);
            continue;
          }
          // The whole page goes there: on this way a browser is most willing to send credentials.
          await opened.goto(`${site}/?policy=${policy}`);
          await opened.setContent(FORM.replace('{target}', target));
          await Promise.all([opened.waitForURL(at + path), opened.evaluate('document.forms[0].submit()')]);
        }
        // What is on its way arrives, all of it: the browser opens six connections at a time.
        await opened.waitForLoadState('networkidle');
        await opened.close();
      }
      const posts = arrived.filter(({ method }) => method === 'POST');
      // They have arrived, and with the credentials of the browser: that is what is defended against.
      const signed = posts.filter((one) => one.signed).map(({ path }) => path);
      expect(new Set(signed)).toEqual(new Set(targets.map((path) => path.split('?', 1)[0])));
      expect(posts.length).toBeGreaterThan(targets.length * 8);
      const changed = arrived.filter(
        ({ method, path, status }) =>
          !/GET|OPTIONS/.test(method) && status !== (NO_POST.some((one) => one.test(path)) ? 405 : 403),
      );
      expect([host, from, policy, changed]).toEqual([host, from, policy, []]);
      expect(await state()).toEqual(before);
    }
    // A page of the service itself, by the credentials that the browser has saved.
    await page.goto(`${at}/docs`);
    const ask = (method: string, path: string, body: string) =>
      page.evaluate(
        async ([how, where, what]) =>
          (await fetch(where, { method: how, ...(what ? { body: what } : {}), credentials: 'include' })).status,
        [method, path, body] as const,
      );
    const own = await ask('POST', '/whcontent', 'from my own page');
    expect(own).toBe(201);
    expect(await ask('POST', `/webhooks/${wh_id}/rotate`, '{"grace_seconds":0}')).toBeLessThan(300);
    before.splice(0, before.length, ...(await state()));
    await signIn((await browser.page(at)).page, at, user);
    await page.goto(`${at}/inbox`);
    await browser.leave();
  }
});
