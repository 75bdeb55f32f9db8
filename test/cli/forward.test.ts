// restante forward and restante pull as people run them: what arrived while they were away comes, identical, in order.
import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verify } from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import twilio from 'twilio';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { cli } from '../support/cli.ts';
import {
  type Database,
  migratedDatabase,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import { requestOf, talk } from '../support/raw.ts';
import * as sign from '../support/signing.ts';

interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

describe('the agent', () => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  let webhook: WebhookDetail;
  let env: Record<string, string>;
  let target: Server;
  let port = 0;
  let got: Got[] = [];
  let answer: (request: IncomingMessage, body: Buffer) => number = () => 200;
  let folder = '';

  const listen = async (at = 0) => {
    target = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      got.push({ method: request.method ?? '', url: request.url ?? '', headers: request.rawHeaders, body });
      response.writeHead(answer(request, body)).end();
    });
    await new Promise<void>((resolve) => target.listen(at, '127.0.0.1', resolve));
    port = (target.address() as AddressInfo).port;
  };
  const close = () =>
    new Promise((resolve) => {
      target.closeAllConnections();
      target.close(resolve);
    });

  beforeAll(async () => {
    database = await migratedDatabase('sqlite');
    service = await startService(database.url);
    user = await service.user();
    webhook = await service.webhook(user);
    env = { RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}`, PATH: process.env.PATH ?? '' };
  });
  beforeEach(async () => {
    got = [];
    answer = () => 200;
    folder = mkdtempSync(join(tmpdir(), 'restante-agent-'));
    await listen();
  });
  afterEach(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  const api = (method: string, path: string, body?: object) =>
    fetch(service.url + path, {
      method,
      headers: { authorization: user.auth },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const fresh = async (name: string, more = {}) => {
    expect((await api('PUT', `/consumers/${name}`, { start: 'latest', ...more })).status).toBe(201);
    return name;
  };
  const send = (body: string | Buffer, headers: Record<string, string> = {}, more = '', method = 'POST') =>
    fetch(service.url + pathOf(webhook) + more, { method, body, headers });
  const until = async (done: () => boolean | Promise<boolean>) => {
    for (let i = 0; !(await done()); i++) {
      if (i === 750) throw new Error(`${got.length} requests came`);
      await sleep(20);
    }
  };
  /** Runs it until `done`, then asks it to stop, as Ctrl-C does. */
  async function forwarding(name: string, args: readonly string[], done: () => boolean | Promise<boolean>) {
    let stop: (signal: string) => void = () => {};
    const stopped = new Promise<string>((resolve) => {
      stop = resolve;
    });
    const running = cli(['forward', name, '--to', `http://127.0.0.1:${port}/hook`, ...args], env, stopped);
    await Promise.race([until(done), running]).finally(() => stop('SIGINT'));
    const asked = performance.now();
    const result = await running;
    expect(performance.now() - asked).toBeLessThan(3_000);
    return result;
  }
  const stateOf = async (name: string) =>
    (await (await api('GET', `/consumers/${name}`)).json()) as { backlog: number; in_flight: number; dead: number };

  test('sends the identical request: method, path, raw query, headers in order with duplicates, bytes', async () => {
    const name = await fresh('identical');
    const line = await talk(service.port);
    const multipart = Buffer.concat([
      Buffer.from('--x\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'),
      Buffer.from([0, 255, 13, 10, 128]),
      Buffer.from('\r\n--x--\r\n'),
    ]);
    const cases: [string, string, string[], Buffer][] = [
      ['POST', '', ['Content-Type: application/json'], Buffer.from('{"ü":1}')],
      ['POST', '/a/b?x=%20y&x=2&&=', ['X-B: 1', 'x-a: 2', 'X-B: 3'], Buffer.from('a%5Bb%5D=c&d=+')],
      ['PUT', '?only=query', ['content-type: multipart/form-data; boundary=x'], multipart],
      ['DELETE', '/%2f..a', ['X-Empty: ', 'X-High: caf\xe9'], Buffer.alloc(0)],
      ['POST', '/large', [], Buffer.alloc(5_000_000, 'ab\x00')],
    ];
    for (const [method, more, headers, body] of cases) {
      line.send(requestOf(method, pathOf(webhook) + more, headers, body));
      expect((await line.answer()).status).toBe(200);
    }
    line.end();
    const { code } = await forwarding(name, [], () => got.length === cases.length);
    expect(code).toBe(0);
    for (const [i, [method, more, headers, body]] of cases.entries()) {
      const one = got[i] as Got;
      expect([one.method, one.url]).toEqual([method, `/hook${more}`]);
      expect(one.body.equals(body)).toBe(true);
      const pairs = headers.flatMap((text) => [
        text.slice(0, text.indexOf(':')),
        text.slice(text.indexOf(':') + 1).trim(),
      ]);
      const from = one.headers.indexOf(pairs[0] ?? 'X-Restante-Id');
      expect(one.headers.slice(from, from + pairs.length)).toEqual(pairs);
      const named = (wanted: string) =>
        one.headers[one.headers.findIndex((text, n) => n % 2 === 0 && text === wanted) + 1];
      expect(named('Host')).toBe(`127.0.0.1:${port}`);
      expect(named('Content-Length')).toBe(String(body.length));
      expect(named('X-Restante-Attempt')).toBe('1');
      expect(named('X-Restante-Webhook')).toBe(String(webhook.wh_id));
      expect(named('X-Restante-Url')).toBe(webhook.wh_url + more);
    }
  });

  test('no path leaves that of --to, however its dots are written: a dead letter with the reason, or sent when asked', async () => {
    const climbing = [
      '/../admin',
      '/%2e%2E/admin',
      '/a/..%2f..%2fadmin',
      '/..;x=1/admin',
      '/..\\admin',
      '/%252e%252e/admin',
    ];
    const harmless = ['/..a/b', '/a..', '/...', '/?to=/../admin', '/.%2f', '/a;b=..'];
    const name = await fresh('climbing');
    const line = await talk(service.port);
    for (const path of [...climbing, ...harmless]) {
      line.send(requestOf('POST', pathOf(webhook) + path, [], Buffer.from('x')));
      expect((await line.answer()).status).toBe(200);
    }
    line.end();
    const { out } = await forwarding(name, ['--json'], async () => {
      const { backlog, in_flight } = await stateOf(name);
      return backlog + in_flight === 0;
    });
    expect(got.map(({ url }) => url)).toEqual(harmless.map((path) => `/hook${path}`));
    expect(out.match(/"error":"not sent/g)?.length).toBe(climbing.length);
    const { dead } = (await (await api('GET', `/consumers/${name}/dead`)).json()) as {
      dead: { attempts: number; reason: string }[];
    };
    expect(dead.map(({ attempts }) => attempts)).toEqual(climbing.map(() => 1));
    expect(dead[0]?.reason).toContain('--path-as-is');
    got = [];
    await api('POST', `/consumers/${name}/dead/retry`);
    await forwarding(name, ['--path-as-is'], () => got.length === climbing.length);
    expect(got.map(({ url }) => url)).toEqual(climbing.map((path) => `/hook${path}`));
  });

  test("what GitHub signed, GitHub's own verifier accepts at the target; own content goes as bytes", async () => {
    const name = await fresh('signed');
    const body = JSON.stringify({ zen: 'Grüße', id: 820982911946154508n.toString() });
    const signature = `sha256=${createHmac('sha256', 'key').update(body).digest('hex')}`;
    await send(body, { 'X-Hub-Signature-256': signature, 'Content-Type': 'application/json' });
    await fetch(`${service.url}/whcontent`, { method: 'POST', headers: { authorization: user.auth }, body: 'own' });
    await forwarding(name, [], () => got.length === 2);
    const sent = got[0]?.headers[(got[0]?.headers.indexOf('X-Hub-Signature-256') ?? 0) + 1] ?? '';
    expect(await verify('key', got[0]?.body.toString() ?? '', sent)).toBe(true);
    expect([got[1]?.method, got[1]?.url, got[1]?.body.toString()]).toEqual(['POST', '/hook', 'own']);
    expect(got[1]?.headers).toContain('application/octet-stream');
  });

  test('the verifiers of Stripe, Twilio and Standard Webhooks accept what was forwarded', async () => {
    const name = await fresh('verifiers');
    const event = '{"id":"evt_1","name":"J\\u00e4rvi"}';
    await send(event, sign.stripe('whsec_test', event));
    const form = { Body: 'Grüße 👋', From: 'whatsapp:+14155238886' };
    await send(
      new URLSearchParams(form).toString(),
      sign.twilio('token', `${webhook.wh_url}/sms?a=%20b`, form),
      '/sms?a=%20b',
    );
    const standard = new StandardWebhook(`whsec_${Buffer.from('a key of 24 bytes or more').toString('base64')}`);
    const at = new Date();
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': standard.sign('msg_1', at, event),
    };
    await send(event, headers);
    await forwarding(name, [], () => got.length === 3);
    const [first, second, third] = got as [Got, Got, Got];
    const named = ({ headers: sent }: Got, wanted: string) =>
      sent[sent.findIndex((text, n) => n % 2 === 0 && text.toLowerCase() === wanted) + 1] ?? '';
    const verified = Stripe.webhooks.constructEvent(first.body, named(first, 'stripe-signature'), 'whsec_test');
    expect(verified.id).toBe('evt_1');
    const parameters = Object.fromEntries(new URLSearchParams(second.body.toString()));
    const url = named(second, 'x-restante-url');
    expect(twilio.validateRequest('token', named(second, 'x-twilio-signature'), url, parameters)).toBe(true);
    const all = Object.fromEntries(Object.keys(headers).map((one) => [one, named(third, one)]));
    expect(standard.verify(third.body.toString(), all)).toMatchObject({ id: 'evt_1' });
  });

  test('what arrived while it was away comes first, in order, each once', async () => {
    const name = await fresh('away');
    await send('0');
    await forwarding(name, [], () => got.length === 1);
    for (let i = 1; i <= 300; i++) await send(String(i));
    const { err } = await forwarding(name, ['--pending', 'forward'], () => got.length === 301);
    expect(err).toMatch(/300 contents arrived while you were away/);
    expect(got.map(({ body }) => Number(body.toString()))).toEqual(Array.from({ length: 301 }, (_, i) => i));
    expect(await stateOf(name)).toMatchObject({ backlog: 0, in_flight: 0 });
    await send('skipped');
    await forwarding(name, ['--pending', 'skip'], async () => (await stateOf(name)).backlog === 0);
    await send('after');
    await forwarding(name, [], () => got.length === 302);
    expect(got.at(-1)?.body.toString()).toBe('after');
  });

  test('a target that is down costs no attempt and no order; one that refuses a content does not block the others', async () => {
    const name = await fresh('down', { max_attempts: 2 });
    await close();
    for (let i = 0; i < 20; i++) await send(String(i));
    answer = (_request, body) => (body.toString() === '7' ? 500 : 200);
    const at = port;
    const running = forwarding(name, ['--json'], async () => (await stateOf(name)).dead === 1 && got.length >= 21);
    await sleep(1_500);
    await listen(at);
    const { out } = await running;
    const order = got.map(({ body }) => Number(body.toString()));
    expect(order.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(order.filter((n) => n === 7)).toHaveLength(2);
    const lines = out
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as { status?: number; error?: string; attempt: number });
    expect(lines.some(({ error }) => error?.includes('ECONNREFUSED'))).toBe(true);
    expect(lines.filter(({ status }) => status === 500).map(({ attempt }) => attempt)).toEqual([1, 2]);
    const dead = (await (await api('GET', `/consumers/${name}/dead`)).json()) as { dead: { reason: string }[] };
    expect(dead.dead.map(({ reason }) => reason)).toEqual([expect.stringContaining('answered 500')]);
  });

  test('a new consumer with much behind it is not replayed unasked', async () => {
    const db = service.store.db;
    const row = ['x', '', 1, '', user.id, webhook.wh_id];
    for (let i = 0; i < 3; i++)
      await db.insert('tblwh', ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'], Array(400).fill(row));
    await service.settle();
    const { code, err } = await forwarding('brandnew', [], () => false);
    expect(code).toBe(2);
    expect(err).toMatch(/--start/);
    expect(got).toEqual([]);
  });

  test('a port is enough; one line a content, with what a refusing answer says; contents are counted, not attempts', async () => {
    const name = await fresh('lines', { max_attempts: 5 });
    let refused = 0;
    target.removeAllListeners('request');
    target.on('request', (request, response) => {
      got.push({ method: request.method ?? '', url: request.url ?? '', headers: [], body: Buffer.alloc(0) });
      request.resume();
      if (request.url === '/bad' && refused++ === 0)
        response.writeHead(500).end('<h1>TypeError</h1>\n\n  at \x1b[31mhandler\n  two\n  three\n  four');
      else response.writeHead(204).end();
    });
    await send('{}', {}, '/bad');
    await send('{}', {}, `/good?${'x'.repeat(90)}`);
    const { out, err, code } = await forwarding(name, ['--to', `${port}`], () => got.length === 3);
    expect(code).toBe(0);
    expect(err).toContain('Stopped: 2 delivered, 0 failed.');
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d #\d+ +Test +POST \/bad +500 +\d+ ms +2 B$/);
    expect(lines.slice(1, 4)).toEqual(['  <h1>TypeError</h1>', '  at ?[31mhandler', '  two']);
    expect(lines.find((one) => one.includes('/good'))).toMatch(/ POST \/good\?x+… 204 /);
    expect(lines.at(-1)).toMatch(/ POST \/bad +204 .* try 2$/);
    for (const one of lines) expect(one.length).toBeLessThanOrEqual(80);
  });

  test.each(['PORT', ':PORT/hook', 'localhost:PORT/hook', 'http://127.0.0.1:PORT/hook'])('--to %s', async (to) => {
    const name = await fresh(`to-${to.length}`);
    await send('x', {}, '/more');
    await forwarding(name, ['--to', to.replace('PORT', String(port))], () => got.length === 1);
    expect(got[0]?.url).toBe(to === 'PORT' ? '/more' : '/hook/more');
  });

  test('only the webhooks, events and verdicts that are asked for; the rest counts as done', async () => {
    const rules = { scheme: 'hmac', signature: { from: 'header:X-S' }, event_type: 'body:/type' };
    const settings = { wh_name: 'Signed one', verify: rules, secrets: ['k'] };
    const signed = await service.webhook(user, settings);
    const plain = await service.webhook(user, {
      wh_name: 'Plain',
      verify: { scheme: 'none', event_type: 'body:/type' },
    });
    const post = (to: WebhookDetail, type: string) => {
      const body = JSON.stringify({ type });
      const signature = createHmac('sha256', 'k').update(body).digest('hex');
      return fetch(service.url + pathOf(to), { method: 'POST', headers: { 'X-S': signature }, body });
    };
    await fresh('of-one', { whid: [signed.wh_id] });
    await fresh('of-all');
    for (const type of ['invoice.paid', 'invoice.void', 'customer.new', 'invoice'])
      for (const to of [signed, plain]) expect((await post(to, type)).status).toBe(200);
    const types = () => got.map(({ body }) => (JSON.parse(String(body)) as { type: string }).type);
    const done = (name: string) => async () => {
      const { backlog, in_flight } = await stateOf(name);
      return backlog + in_flight === 0;
    };
    const events = ['--event', 'invoice.*', '--event', 'customer.new'];
    await forwarding('of-one', ['--webhook', 'Signed one', ...events], done('of-one'));
    expect(types()).toEqual(['invoice.paid', 'invoice.void', 'customer.new']);
    got = [];
    const { err } = await forwarding('of-all', ['--verified', '--event', 'invoice.paid,invoice'], done('of-all'));
    expect(types()).toEqual(['invoice.paid', 'invoice']);
    expect(err).toContain('Stopped: 2 delivered, 0 failed, 6 not wanted.');
    const other = await cli(['forward', 'of-all', '--to', '3000', '--webhook', 'Plain'], env);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining('of-all reads all webhooks')]);
    const none = await cli(['forward', 'of-none', '--to', '3000', '--webhook', 'Plan'], env);
    expect([none.code, none.err]).toEqual([
      2,
      expect.stringMatching(/there is no webhook Plan\. There are: .*Plain \(\d+\)/),
    ]);
    // The name of one is the id of another: the id counts, as with restante webhook.
    await service.webhook(user, { wh_name: String(plain.wh_id) });
    got = [];
    // A new consumer is made for the webhooks that are named.
    const running = forwarding(
      'of-plain',
      ['--webhook', String(plain.wh_id), '--start', 'latest'],
      () => got.length > 0,
    );
    while ((await api('GET', '/consumers/of-plain')).status === 404) await sleep(20);
    await post(signed, 'a');
    await post(plain, 'b');
    await running;
    expect(types()).toEqual(['b']);
  });

  test('keys: again, details, open, pause, quit, in colours on a terminal', async () => {
    const name = await fresh('keys');
    let press: (key: string) => void = () => {};
    const opened: string[] = [];
    let left = false;
    const terminal = {
      tty: true,
      keys(on: (key: string) => void) {
        press = on;
        return () => {
          left = true;
        };
      },
      browse: async (url: string) => {
        opened.push(url);
        return true;
      },
    };
    let out = '';
    const running = cli(['forward', name, '--to', String(port)], { ...env, TERM: 'xterm' }, new Promise(() => {}), {
      ...terminal,
      out: (text) => {
        out += text;
      },
    });
    const posted = await send('{"a":1}', { 'X-Mine': 'yes' });
    expect(posted.status).toBe(200);
    await until(() => out.includes('\x1b[32m200'));
    press('r');
    await until(() => got.length === 2 && out.includes('again'));
    press('d');
    await until(() => out.includes('  X-Mine: yes') && out.includes('  {"a":1}'));
    press('o');
    await until(() => opened.length === 1);
    expect(opened[0]).toMatch(new RegExp(`^${service.url}/inbox#/content/\\d+$`));
    press('p');
    await send('paused');
    await sleep(300);
    expect(got).toHaveLength(2);
    press('p');
    await until(() => got.length === 3);
    press('p');
    await send('given back');
    await until(async () => (await stateOf(name)).in_flight === 1);
    press('\x03');
    expect((await running).code).toBe(0);
    expect([left, got.length]).toEqual([true, 3]);
    await until(async () => (await stateOf(name)).backlog === 1);
  });

  test('waits for a service that is away when it starts, and for no other answer', async () => {
    const hollow = createServer((_, response) => response.writeHead(200).end('<html>a shop</html>'));
    await new Promise<void>((resolve) => hollow.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(hollow.address() as AddressInfo).port}`;
    const shop = await cli(['forward', 'x', '--to', '3000'], { ...env, RESTANTE_URL: url });
    expect([shop.code, shop.err]).toEqual([1, expect.stringContaining(`${url} answers, but is no Restante`)]);
    const at = (hollow.address() as AddressInfo).port;
    await new Promise((resolve) => hollow.close(resolve));
    let stop: (signal: string) => void = () => {};
    const stopped = new Promise<string>((resolve) => {
      stop = resolve;
    });
    let err = '';
    const running = cli(
      ['forward', 'x', '--to', `${port}`, '--start', 'latest'],
      { ...env, RESTANTE_URL: url },
      stopped,
      {
        err: (text) => {
          err += text;
        },
      },
    );
    await until(() => err.includes('Trying again until it answers'));
    const between = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = 'GET', headers } = request;
      const body = method === 'GET' ? null : Buffer.concat(chunks);
      const { authorization = '' } = headers;
      const answer = await fetch(service.url + request.url, { method, headers: { authorization }, body });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
    });
    await new Promise<void>((resolve) => between.listen(at, '127.0.0.1', resolve));
    await until(() => err.includes('Forwarding x'));
    stop('SIGINT');
    expect((await running).code).toBe(0);
    between.closeAllConnections();
    await new Promise((resolve) => between.close(resolve));
  });

  test.each([
    [['--to', 'ftp://x'], /--to/],
    [['--to', 'http://x/?q=1'], /query/],
    [['--to', 'http://x', '--concurrency', '0'], /--concurrency/],
    [['--to', 'http://x', '--ok', 'fine'], /--ok/],
    [['--to', 'http://x', '--pending', 'maybe'], /--pending/],
    [['--to', 'http://x', '--concurency', '2'], /Did you mean --concurrency/],
  ])('is told what is wrong: %j', async (args, words) => {
    const { code, err } = await cli(['forward', 'x', ...args], env);
    expect(code).toBe(2);
    expect(err).toMatch(words);
  });

  test('credentials that are wrong, missing, or readable by others end it with exit code 2', async () => {
    expect((await cli(['pull', 'x'], { ...env, RESTANTE_AUTH: '1:wrong' })).code).toBe(2);
    expect((await cli(['pull', 'x'], { RESTANTE_URL: service.url })).err).toMatch(/RESTANTE_AUTH/);
    const config = join(folder, 'restante');
    const { mkdirSync, chmodSync } = await import('node:fs');
    mkdirSync(config);
    writeFileSync(join(config, 'credentials'), `RESTANTE_URL=${service.url}\nRESTANTE_AUTH=${user.id}:${user.token}\n`);
    chmodSync(join(config, 'credentials'), 0o644);
    const open = await cli(['pull', 'credentials'], { XDG_CONFIG_HOME: folder });
    expect([open.code, open.err]).toEqual([2, expect.stringMatching(/chmod 600/)]);
    chmodSync(join(config, 'credentials'), 0o600);
    expect((await cli(['pull', 'credentials', '--start', 'latest'], { XDG_CONFIG_HOME: folder })).code).toBe(0);
    expect((await cli(['pull', 'x'], { ...env, RESTANTE_URL: 'http://127.0.0.1:1' })).code).toBe(1);
  });

  test('pull prints lines, writes files, runs a command; its exit code tells the truth', async () => {
    const name = await fresh('pulled');
    for (let i = 0; i < 5; i++) await send(`{"n":${i}}`);
    const lines = (await cli(['pull', name, '--limit', '2'], env)).out.trim().split('\n');
    expect(lines.map((text) => (JSON.parse(text) as { content: string }).content)).toEqual(['{"n":0}', '{"n":1}']);
    expect((await cli(['pull', name, '--limit', '1', '--raw', join(folder, 'raw')], env)).code).toBe(0);
    const [file = ''] = readdirSync(join(folder, 'raw'));
    expect(readFileSync(join(folder, 'raw', file), 'utf8')).toBe('{"n":2}');
    const command = `cat >> ${folder}/log; echo " $RESTANTE_METHOD $RESTANTE_ATTEMPT" >> ${folder}/log; test -n "$RESTANTE_ID" && test -z "$RESTANTE_AUTH"`;
    const run = await cli(['pull', name, '--exec', command], env);
    expect([run.code, run.err]).toEqual([0, '']);
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('{"n":3} POST 1\n{"n":4} POST 1\n');
    expect(await stateOf(name)).toMatchObject({ backlog: 0, in_flight: 0 });
    await send('bad');
    const failing = await cli(['pull', name, '--exec', 'exit 3'], env);
    expect(failing.code).toBe(1);
    expect(failing.err).toMatch(/1 contents were not handled/);
    await sleep(1_200);
    expect((await cli(['pull', name, '--ack', 'none'], env)).out).toContain('"content":"bad"');
    expect((await stateOf(name)).in_flight).toBe(1);
  });

  test('pull --raw writes nowhere else, whatever a server calls its contents', async () => {
    const name = await fresh('escaping');
    for (const id of ['../escaped', '/tmp/escaped', 1.5, -1, 1e300, null]) {
      const item = { id, content: 'x', ip: '', api: 1, dt: '', wh_id: 1, encoding: 'utf-8', request: null, attempt: 1 };
      const hostile = createServer((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: 1, lease: 'x', items: [item], conflicts: [] }));
      });
      await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`;
      const raw = join(folder, 'raw');
      const { code, err } = await cli(['pull', name, '--raw', raw, '--limit', '1'], { ...env, RESTANTE_URL: url });
      expect([code, err]).toEqual([1, expect.stringContaining('is no id of a content')]);
      expect([readdirSync(raw), readdirSync(folder)]).toEqual([[], ['raw']]);
      await new Promise((resolve) => hostile.close(resolve));
    }
  });

  test('pull --follow waits for what comes', async () => {
    const name = await fresh('followed');
    const running = cli(['pull', name, '--follow', '--limit', '3'], env);
    for (const text of ['a', 'b', 'c']) {
      await sleep(50);
      await send(text);
    }
    const { code, out } = await running;
    expect(code).toBe(0);
    expect(
      out
        .trim()
        .split('\n')
        .map((text) => (JSON.parse(text) as { content: string }).content),
    ).toEqual(['a', 'b', 'c']);
    expect(await stateOf(name)).toMatchObject({ backlog: 0, in_flight: 0 });
  });
});
