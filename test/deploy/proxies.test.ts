// Each proxy of ops/, really started with its file: what was sent through https arrives as it was, polls wait, streams flow.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { talk } from '../support/raw.ts';
import * as sign from '../support/signing.ts';
import { needs } from '../support/tools.ts';
import { createWorld, type Program, type World } from '../support/world.ts';
import {
  type Certificate,
  type Front,
  type Internet,
  type Kind,
  makeCertificate,
  NAME,
  openInternet,
  SENDER,
  SITES,
  startFront,
} from './world.ts';

const LONGEST = 55;
// LONG_POLL_SECONDS=55 tries the longest.
const WAIT = Number(process.env.LONG_POLL_SECONDS ?? 2);

let world: World;
let program: Program;
let certificate: Certificate | undefined;
beforeAll(async () => {
  world = await createWorld('sqlite');
  const PUBLIC_URL = `https://${NAME}`;
  program = await world.serve({ PUBLIC_URL, TRUST_PROXY: '127.0.0.1' });
});
afterAll(() => world?.close());

const TARGETS = ['/a//b', '//', '/a/./b/../c', '/%2e%2E/%2F%41', "/a;v=1,2:3@!$&'()*+", '?', '?a=1;b=2'].concat(
  '?a=+%20&&b[]=1&c=%C3%BC',
  '/x?q="<>|{}`^\\',
);
/** What becomes of headers on their way; docs/deploy.md tells it. */
const CHANGED: Readonly<Record<Kind, (sent: readonly string[]) => readonly string[]>> = {
  nginx: (sent) => sent,
  apache2: ([first = '', second = '', , , ...rest]) => [
    first,
    second,
    'X-TWICE: a, b',
    ...rest,
    'Connection: Keep-Alive',
  ],
  caddy: ([, , , , long = '']) => [long, 'X-Twice: a', 'X-Twice: b', 'X.dot: 2', 'X_under_score: 1'],
};

interface Arrived {
  readonly id: number;
  readonly content: string;
  readonly request: {
    readonly url: string;
    readonly public_url: string;
    readonly ip: string;
    readonly headers: readonly (readonly [string, string])[];
    readonly verified: string;
    readonly event_id: string | null;
  };
}

test('each ends idle connections before Restante does, and waits longer for an answer than a poll waits', () => {
  const seconds = (kind: Kind, setting: RegExp) => Number(setting.exec(readFileSync(SITES[kind], 'utf8'))?.[1]);
  const idle = [seconds('nginx', /keepalive_timeout (\d+)s;/), seconds('apache2', /ProxyPass .* ttl=(\d+)/)];
  for (const one of [...idle, seconds('caddy', /^\t+keepalive (\d+)s$/m)])
    expect(one).toBeLessThan(Number(SETTINGS.keepAliveSeconds.default));
  // Caddy waits for ever.
  for (const one of [seconds('nginx', /proxy_read_timeout (\d+)s;/), seconds('apache2', /ProxyPass .* timeout=(\d+)/)])
    expect(one).toBeGreaterThan(LONGEST);
});

describe.each(['nginx', 'apache2', 'caddy'] as const)('behind %s', (kind: Kind) => {
  let front: Front | undefined;
  let internet: Internet;
  beforeEach(async ({ skip }) => {
    if (front) return;
    const found = needs(kind, { skip });
    certificate ??= await makeCertificate(needs('openssl', { skip }), join(world.folder, 'tls'));
    const place = { folder: join(world.folder, kind), cert: certificate.folder };
    front = await startFront([kind, found], program.port, place);
    internet = await openInternet(front.port, certificate);
  });
  afterAll(async () => {
    internet?.close();
    await front?.stop();
  });

  const api = async (path: string, body?: object) => {
    const headers = { authorization: world.auth };
    const more = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    const answer = await internet.fetch(path, { headers, ...more });
    expect(answer.status).toBeLessThan(300);
    return answer.json();
  };
  async function webhook(settings: object = {}) {
    const made = (await api('/webhooks', { wh_name: kind, ...settings })) as { wh_id: number; wh_url: string };
    expect(made.wh_url).toMatch(`https://${NAME}/in/`);
    const path = new URL(made.wh_url).pathname;
    const arrived = async () =>
      ((await api(`/whcontent?whid=${made.wh_id}`)) as { whcontent: readonly Arrived[] }).whcontent;
    return { ...made, path, arrived };
  }
  /** One request, byte for byte, and the last answer to it. */
  async function say(head: string, body = '') {
    const line = await talk(internet.bare);
    line.send(`${head.replaceAll('\n', '\r\n')}\r\nHost: ${NAME}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const answer = await line.answer();
    line.end();
    return answer;
  }

  test("Stripe's event is verified, and Twilio's, who signs the URL as it was sent", async () => {
    const stripe = await webhook({ preset: 'stripe', secrets: ['whsec_test'] });
    const payload = JSON.stringify({ id: `evt_${kind}`, object: 'event', type: 'invoice.paid', name: 'Järvi' });
    const header = new Stripe('sk_test_x').webhooks.generateTestHeaderString({ payload, secret: 'whsec_test' });
    const post = { method: 'POST', body: payload };
    expect((await internet.fetch(stripe.path, { ...post, headers: { 'stripe-signature': header } })).status).toBe(200);
    expect((await internet.fetch(stripe.path, { ...post, headers: { 'stripe-signature': `${header}0` } })).status).toBe(
      401,
    );
    expect(await stripe.arrived()).toMatchObject([{ request: { verified: 'signed', event_id: `evt_${kind}` } }]);

    const twilio = await webhook({ preset: 'twilio', secrets: ['right'] });
    const form = { MessageSid: 'SM1', Body: 'Grüße & a=b' };
    const target = `${twilio.path}/a%2Fb//c?tag=%20x&To=%2B1&list=a%2Cb`;
    const signed = sign.twilio('right', `https://${NAME}${target}`, form);
    const head = Object.entries(signed).map(([name, value]) => `\n${name}: ${value}`);
    const answer = await say(`POST ${target} HTTP/1.1${head.join('')}`, new URLSearchParams(form).toString());
    expect(answer.status).toBe(200);
    expect(await twilio.arrived()).toMatchObject([{ request: { verified: 'signed' } }]);
  });

  test('the request target arrives byte for byte', async () => {
    const { path, arrived } = await webhook();
    for (const one of TARGETS) expect([one, (await say(`POST ${path}${one} HTTP/1.1`)).status]).toEqual([one, 200]);
    expect((await arrived()).map(({ request }) => request.url)).toEqual(TARGETS);
    // What is not a URL is refused by all three of them.
    expect((await say(`POST ${path}/%zz HTTP/1.1`)).status).toBe(400);
  });

  test('headers arrive as they were, and the address is that of the sender, whatever he claims', async () => {
    const { path, arrived } = await webhook();
    const sent = ['x_under_score: 1', 'X.Dot: 2', 'X-TWICE: a', 'X-Twice: b', `X-Long: ${'x'.repeat(30_000)}`];
    const head = `POST ${path} HTTP/1.1\n${sent.join('\n')}\nX-Forwarded-For: 8.8.8.8`;
    expect((await say(head)).status).toBe(200);
    const [one] = await arrived();
    expect(one?.request.ip).toBe(SENDER);
    await once(
      get({ port: program.port, path, localAddress: '127.0.0.3', headers: { 'x-forwarded-for': '8.8.8.8' } }),
      'response',
    );
    expect((await arrived())[1]?.request.ip, 'of somebody who is not the proxy').toBe('127.0.0.3');
    const came = (one?.request.headers ?? []).map(([name, value]) => `${name}: ${value}`);
    const own = [`Host: ${NAME}`, 'Content-Length: 0', `X-Forwarded-For: ${SENDER}`];
    expect(came.filter((line) => own.includes(line)).sort()).toEqual(own.sort());
    expect(came.filter((line) => !own.includes(line))).toEqual(CHANGED[kind](sent));
  });

  test('9 MB arrive, 10.5 MB are refused by Restante itself, and 100 Continue is said', async () => {
    const { path, wh_id } = await webhook();
    const body = Buffer.alloc(9_000_000, 'ä');
    expect((await internet.fetch(path, { method: 'POST', body })).status).toBe(200);
    const list = (await api(`/whcontent?whid=${wh_id}`)) as { whcontent: readonly Arrived[] };
    expect(Buffer.from(list.whcontent[0]?.content ?? '').equals(body)).toBe(true);
    const line = await talk(internet.bare);
    line.send(`POST ${path} HTTP/1.1\r\nHost: ${NAME}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    expect((await line.answer()).status).toBe(100);
    line.send('hello');
    // Caddy says it for itself and for Restante.
    let answer = await line.answer();
    while (answer.status === 100) answer = await line.answer();
    expect(answer.status).toBe(200);
    line.end();
    const large = await talk(internet.bare);
    large.send(`POST ${path} HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 10600000\r\n\r\n`);
    large.send(Buffer.alloc(10_600_000));
    const refused = await large.answer();
    large.end();
    // Nobody else's request goes into the connection that ends with it.
    for (let i = 0; i < 10; i++) await webhook();
    expect([refused.status, refused.headers.get('content-type')]).toEqual([413, 'application/problem+json']);
  });

  test(
    `a poll waits ${WAIT} s and is answered; a stream brings each content when it comes`,
    async () => {
      const { path, wh_id } = await webhook();
      const began = Date.now();
      expect(await api(`/whcontent?whid=${wh_id}&wait=${WAIT}`)).toMatchObject({ whcontent: [] });
      expect(Date.now() - began).toBeGreaterThan(WAIT * 1000 - 100);

      const poll = api(`/whcontent?whid=${wh_id}&wait=30`);
      const headers = { authorization: world.auth, accept: 'text/event-stream' };
      const stream = await internet.fetch(`/whcontent?whid=${wh_id}`, { headers });
      let seen = '';
      const reading = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of stream.body ?? []) {
          seen += decoder.decode(chunk as Uint8Array);
          if (seen.includes('second')) return;
        }
      })();
      await internet.fetch(path, { method: 'POST', body: 'first' });
      expect(await poll).toMatchObject({ whcontent: [{ content: 'first' }] });
      for (let i = 0; i < 100 && !seen.includes('first'); i++) await sleep(20);
      expect(seen).toContain('first');
      await internet.fetch(path, { method: 'POST', body: 'second' });
      await reading;
      expect(Date.now() - began).toBeLessThan(WAIT * 1000 + 10_000);
    },
    (WAIT + 60) * 1000,
  );
});
