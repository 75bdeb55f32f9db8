// The agent through everything that goes wrong around it: nothing is lost, order is kept, and its status line tells the truth.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verify } from '@octokit/webhooks-methods';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/index.ts';
import {
  type Agent,
  type Got,
  startAgent,
  startForwardProxy,
  startTarget,
  startTls,
  startWire,
  type Target,
} from '../cli/agents.ts';
import { requestOf, talk } from '../support/raw.ts';
import { freePort } from '../support/servers.ts';
import * as sign from '../support/signing.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

// The long runs: AGENT_KILLS=50 AGENT_CONTENTS=10000 AGENT_LONG=1.
const KILLS = Number(process.env.AGENT_KILLS ?? 8);
const CONTENTS = Number(process.env.AGENT_CONTENTS ?? 1_500);

const [DOWN_MS, DEAD_MS, ASLEEP_MS] = process.env.AGENT_LONG ? [60_000, 30_000, 60_000] : [5_000, 16_000, 6_000];

let world: World;
let service: Program;
const opened: { kill?(): Promise<void>; down?(): Promise<void>; close?(): unknown }[] = [];
const kept = <T extends (typeof opened)[number]>(one: T): T => {
  opened.push(one);
  return one;
};

beforeAll(async () => {
  world = await createWorld('sqlite');
  service = await world.serve({ LOG_LEVEL: 'warn', SECRETS_KEY: '5e'.repeat(32) });
});
afterAll(async () => {
  for (const one of opened) await (one.kill?.() ?? one.down?.() ?? one.close?.());
  await world?.close();
});

const credentials = () => Buffer.from(world.auth.slice('Basic '.length), 'base64').toString();
const clientOf = (url = service.url) => createClient({ url, auth: credentials() });
const envOf = (url = service.url) => ({ RESTANTE_URL: url, RESTANTE_AUTH: credentials() });

interface Scene {
  readonly name: string;
  readonly path: string;
  readonly target: Target;
  /** Sends that many; resolves with the bodies. */
  send(count: number): Promise<void>;
  readonly sent: string[];
  agent(args?: readonly string[], terminal?: boolean, url?: string, env?: Record<string, string>): Agent;
  state(): Promise<{ backlog: number; in_flight: number; dead: number }>;
}

/** A webhook, a consumer of it alone, and a target. */
async function scene(name: string, settings: { max_attempts?: number; ordered?: boolean } = {}): Promise<Scene> {
  const { wh_id, path } = await world.webhook(name);
  await clientOf()
    .consumer(name)
    .put({ start: 'latest', whid: [wh_id], ...settings });
  const target = kept(await startTarget());
  const sent: string[] = [];
  return {
    name,
    path,
    target,
    sent,
    async send(count) {
      const line = await talk(service.port);
      // One connection, one after the other: the order of arrival is that of the numbers.
      for (let i = 0; i < count; i++) {
        sent.push(String(sent.length));
        line.send(requestOf('POST', path, [], Buffer.from(sent.at(-1) ?? '')));
        if ((await line.answer()).status !== 200) throw new Error('the service did not take it');
      }
      line.end();
    },
    agent: (args = [], terminal = false, url = service.url, env = {}) =>
      kept(
        startAgent([name, '--to', target.url, '--pending', 'forward', ...args], { ...envOf(url), ...env }, terminal),
      ),
    state: () => clientOf().consumer(name).get(),
  };
}

const until = async (what: string, done: () => boolean | Promise<boolean>, ms = 20_000) => {
  for (const end = Date.now() + ms; !(await done()); await sleep(20))
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
};
const bodies = (got: readonly Got[]) => got.map(({ body }) => body.toString());
const settled = ({ state }: Scene) =>
  until('all is acked', async () => {
    const { backlog, in_flight } = await state();
    return backlog + in_flight === 0;
  });
const onScreen = (agent: Agent, text: RegExp, ms = 20_000) =>
  until(`${text} on the screen: ${agent.line()}`, () => text.test(agent.line()), ms);

describe('one after the other', () => {
  test('what arrived while it was away comes once each, in order', async () => {
    const one = await scene('away');
    await one.send(Math.max(CONTENTS, 3_000));
    const agent = one.agent();
    await until('all came', () => one.target.got.length >= one.sent.length, 60_000);
    await settled(one);
    expect(await agent.stop()).toBe(0);
    expect(bodies(one.target.got)).toEqual(one.sent);
    expect(one.target.got.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(await one.state()).toMatchObject({ backlog: 0, in_flight: 0, dead: 0 });
    // Without a terminal its output is lines, and nothing else.
    expect(agent.said()).toMatch(/arrived while you were away/);
    expect(['\r', '\x1b'].filter((char) => agent.said().includes(char))).toEqual([]);
  }, 120_000);

  test(`killed ${KILLS} times: nothing is lost, and only what it had in hand comes twice`, async () => {
    const one = await scene('killed', { max_attempts: 100 });
    await one.send(CONTENTS);
    one.target.answer = async () => {
      await sleep(1);
      return 200;
    };
    const inHand: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const agent = one.agent(['--lease', '2']);
      const before = one.target.got.length;
      const some = Math.floor(Math.random() * Math.min(200, CONTENTS / KILLS));
      await until('it delivers some', () => one.target.got.length > before + some);
      await agent.kill();
      inHand.push((await one.state()).in_flight);
    }
    const agent = one.agent(['--lease', '2']);
    await until('all came', () => new Set(bodies(one.target.got)).size === one.sent.length, 60_000);
    await settled(one);
    expect(await agent.stop()).toBe(0);
    const duplicates = one.target.got.length - one.sent.length;
    console.log(
      `${KILLS} kills, ${one.sent.length} contents: ${duplicates} twice, ${inHand} in hand when it was killed`,
    );
    expect(new Set(bodies(one.target.got))).toEqual(new Set(one.sent));
    expect(duplicates).toBeLessThanOrEqual(inHand.reduce((sum, count) => sum + count, 0));
    expect(await one.state()).toMatchObject({ dead: 0 });
  }, 600_000);

  test('a server that was killed and started again: it says so, goes on by itself, and loses nothing', async () => {
    const one = await scene('restarted');
    one.target.answer = async () => {
      await sleep(5);
      return 200;
    };
    await one.send(300);
    const agent = one.agent([], true);
    await until('it has begun', () => one.target.got.length > 100);
    await service.kill();
    await onScreen(agent, /server cannot be reached/, 10_000);
    await sleep(1_000);
    await service.restart();
    const back = Date.now();
    await one.send(100);
    await until('all came', () => new Set(bodies(one.target.got)).size === 400, 10_000);
    await settled(one);
    expect(Date.now() - back).toBeLessThan(10_000);
    await onScreen(agent, /^connected · 0 waiting · 400 delivered/);
    expect(bodies(one.target.got)).toEqual(one.sent);
    expect(await agent.stop()).toBe(0);
  });
});

describe.concurrent('side by side', { timeout: 120_000 }, () => {
  test('a target that is down: it says so, spends no attempt, keeps the order', async () => {
    const one = await scene('down', { max_attempts: 1 });
    await one.send(30);
    const agent = one.agent([], true);
    await onScreen(agent, /^connected · 0 waiting · 30 delivered/);
    await one.target.down();
    await one.send(40);
    await onScreen(agent, /^target down, trying again · \d+ waiting/, 5_000);
    await sleep(DOWN_MS);
    expect(agent.line()).toMatch(/^target down/);
    expect((await one.state()).dead).toBe(0);
    await one.target.up();
    await until('all came', () => one.target.got.length >= 70, 10_000);
    await settled(one);
    await onScreen(agent, /^connected · 0 waiting · 70 delivered, 0 failed/);
    expect(bodies(one.target.got)).toEqual(one.sent);
    expect(one.target.got.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(await agent.stop()).toBe(0);
  });

  test('a wire that goes dead without a word: it notices, makes a new connection and catches up', async () => {
    const one = await scene('dead');
    const wire = kept(await startWire(service.port));
    const agent = one.agent(['--lease', '5'], true, `http://127.0.0.1:${wire.port}`);
    await one.send(10);
    await onScreen(agent, /^connected · 0 waiting · 10 delivered/);
    wire.dead(true);
    const since = Date.now();
    await one.send(200);
    await onScreen(agent, /^server cannot be reached/, 14_000);
    expect(Date.now() - since).toBeLessThan(13_000);
    await sleep(DEAD_MS - (Date.now() - since));
    expect(agent.line()).toMatch(/^server cannot be reached/);
    wire.dead(false);
    await until('all came', () => one.target.got.length >= 210, 10_000);
    await onScreen(agent, /^connected · 0 waiting · 210 delivered/);
    await settled(one);
    expect(bodies(one.target.got)).toEqual(one.sent);
    expect(await agent.stop()).toBe(0);
  });

  test('asked to end while the server does not answer, it ends', async () => {
    const one = await scene('deaf');
    const wire = kept(await startWire(service.port));
    one.target.answer = async () => {
      await sleep(50);
      return 200;
    };
    await one.send(100);
    const agent = one.agent(['--lease', '2', '--concurrency', '8'], false, `http://127.0.0.1:${wire.port}`);
    await until('it has begun', () => one.target.got.length > 20);
    wire.dead(true);
    const asked = Date.now();
    expect(await agent.stop()).toBe(0);
    expect(Date.now() - asked).toBeLessThan(9_000);
    // Nobody could be told: what it had comes again, and nothing is lost.
    const next = one.agent();
    await until('all came', () => new Set(bodies(one.target.got)).size === 100);
    await settled(one);
    expect(await next.stop()).toBe(0);
  });

  test('an agent that slept for longer than its lease: it goes on, nothing is lost', async () => {
    const one = await scene('slept');
    one.target.answer = async () => {
      await sleep(4);
      return 200;
    };
    await one.send(600);
    const agent = one.agent(['--lease', '2']);
    await until('it has begun', () => one.target.got.length > 200);
    agent.child.kill('SIGSTOP');
    await sleep(ASLEEP_MS);
    agent.child.kill('SIGCONT');
    const awake = Date.now();
    await until('all came', () => new Set(bodies(one.target.got)).size === 600);
    await settled(one);
    expect(Date.now() - awake).toBeLessThan(10_000);
    // What it had pulled ahead was handed out to itself again: that is one content, not two.
    const order = one.target.got.map(({ id }) => id);
    expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
    expect(await agent.stop()).toBe(0);
  });

  test('a content that its target never takes holds up nobody, becomes a dead letter, and can be tried again', async () => {
    const one = await scene('poison', { max_attempts: 3 });
    await one.send(20);
    one.target.answer = ({ body }) => (body.toString() === '7' ? 500 : 200);
    const agent = one.agent(['--json']);
    await until('it is dead', async () => (await one.state()).dead === 1);
    const order = bodies(one.target.got);
    expect(order.slice(0, 20)).toEqual(one.sent);
    expect(order.slice(20)).toEqual(['7', '7']);
    one.target.answer = () => 200;
    expect((await clientOf().consumer(one.name).retryDead()).done).toHaveLength(1);
    await until('it came again', () => one.target.got.length === 23);
    await settled(one);
    expect(await one.state()).toMatchObject({ dead: 0, backlog: 0 });
    expect(await agent.stop()).toBe(0);
    const lines = agent.said().trim().split('\n');
    expect(lines.filter((text) => text.startsWith('{') && JSON.parse(text).status === 500)).toHaveLength(3);
  });

  test('in order, everything waits for the one that its target does not take', async () => {
    const one = await scene('ordered', { max_attempts: 3, ordered: true });
    await one.send(20);
    one.target.answer = ({ body }) => (body.toString() === '7' ? 500 : 200);
    const agent = one.agent();
    await until('all came', () => one.target.got.length === 22);
    await settled(one);
    const order = bodies(one.target.got);
    expect(order).toEqual([...one.sent.slice(0, 7), '7', '7', ...one.sent.slice(7)]);
    expect(await one.state()).toMatchObject({ dead: 1, backlog: 0 });
    expect(await agent.stop()).toBe(0);
  });

  test('contents that bring their target down do not hold up the others for good', async () => {
    const one = await scene('crash', { max_attempts: 1 });
    await one.send(10);
    one.target.answer = ({ body }) => (body.toString() === '3' ? 0 : 200);
    const agent = one.agent([], true);
    await until('the others came', () => new Set(bodies(one.target.got)).size === 10, 25_000);
    await until('it is dead', async () => (await one.state()).dead === 1);
    expect(agent.lines.some(({ text }) => /^target down/.test(text))).toBe(true);
    await onScreen(agent, /^connected · 0 waiting · 9 delivered, 1 failed/);
    expect(await agent.stop()).toBe(0);
  });

  test('a server that has no time, and something in between that answers for it, do not end it', async () => {
    const one = await scene('busy');
    const pulls: number[] = [];
    const answers: [status: number, headers: Record<string, string>, body: string][] = [
      [503, {}, '<html>'],
      [429, { 'retry-after': '2' }, '{"title":"Too Many Requests"}'],
      [200, { 'content-type': 'text/html' }, '<html>Sign in to this network</html>'],
      [302, { location: 'https://portal.example.org/' }, ''],
      [
        200,
        {},
        '{"lease":null,"items":[],"conflicts":[],"backlog":0,"backlog_more":false,"oldest_age_s":null,"in_flight":0,"dead":0,"poll_after_ms":1500}',
      ],
    ];
    const between = createHttpServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const pull = request.url?.endsWith('/pull');
      if (pull) pulls.push(Date.now());
      const [status, headers, text] = (pull && answers[pulls.length - 1]) || [];
      if (status) return void response.writeHead(status, headers).end(text);
      const body = Buffer.concat(chunks);
      const { method = 'GET', url = '' } = request;
      const answer = await fetch(service.url + url, {
        method,
        headers: { authorization: request.headers.authorization ?? '' },
        ...(body.length > 0 ? { body } : {}),
      }).catch(() => undefined);
      response.writeHead(answer?.status ?? 502).end(answer && Buffer.from(await answer.arrayBuffer()));
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    kept({ close: () => between.close() && between.closeAllConnections() });
    const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
    const agent = one.agent([], false, url);
    await one.send(3);
    await until('all came', () => one.target.got.length === 3);
    const waited = pulls.slice(1).map((at, i) => at - (pulls[i] as number));
    expect(waited[1]).toBeGreaterThanOrEqual(1_950);
    expect(waited[4]).toBeGreaterThanOrEqual(1_450);
    expect(await agent.stop()).toBe(0);
    // Without a terminal each trouble is a line, and its end.
    expect(agent.said()).toMatch(/server answers 503, trying again\n/);
    expect(agent.said()).toMatch(/server cannot be reached, trying again\n/);
    expect(agent.said()).toMatch(/all is well again\n/);
  });

  test('a supervisor learns from a port and a file whether the server still answers', async () => {
    const one = await scene('health');
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'restante-health-'));
    kept({ close: () => rmSync(folder, { recursive: true }) });
    const file = join(folder, 'health');
    const agent = one.agent(['--health-port', String(port), '--health-file', file]);
    const ask = () => fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    await until('it is well', async () => (await ask())?.status === 200);
    expect(await (await ask())?.text()).toBe('connected\n');
    expect(Date.now() - Date.parse(readFileSync(file, 'utf8').trim())).toBeLessThan(10_000);
    expect(await agent.stop()).toBe(0);
    const nobody = one.agent(['--health-port', String(port)], false, 'http://127.0.0.1:1');
    await until('it waits', () => nobody.said().includes('Trying again until it answers'));
    expect((await ask())?.status).toBe(503);
    expect(await nobody.stop()).toBe(0);
    writeFileSync(file, '');
    const wrong = one.agent(['--health-file', join(file, 'health')]);
    expect(await wrong.ended()).toBe(2);
    expect(wrong.said()).toMatch(/cannot write/);
  });

  test('the identical request, whatever it is', async () => {
    const one = await scene('identical');
    const line = await talk(service.port);
    const file = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i & 255));
    const multipart = Buffer.concat([
      Buffer.from('--x\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'),
      file,
      Buffer.from('\r\n--x--\r\n'),
    ]);
    const large = `{"id":"evt_1","object":"event","pad":"${'ü'.repeat(5_200_000)}"}`;
    const stripe = Object.entries(sign.stripe('whsec_test', large)).map(([name, value]) => `${name}: ${value}`);
    const github = Object.entries(sign.github('key', large)).map(([name, value]) => `${name}: ${value}`);
    const cases: [string, string, string[], Buffer][] = [
      ['POST', '', ['Content-Type: multipart/form-data; boundary=x'], multipart],
      ['PUT', '/%2F/a%2fb', ['Content-Type: application/octet-stream'], file],
      ['POST', '//double//slash/', ['X-A: 1', 'x-a: 2', 'X-A: 1', 'X-Restante-Id: 1'], Buffer.alloc(0)],
      ['PATCH', '/semi;colon=1/;', ['X-Empty: '], Buffer.from('a')],
      ['DELETE', '?', [], Buffer.alloc(0)],
      ['GET', '/x?&&a==b&?', [], Buffer.alloc(0)],
      ['POST', '/a?b=%C3%BC&c=+%20', [], Buffer.from([0xff, 0, 0x80])],
      ['POST', '/large', [...stripe, ...github], Buffer.from(large)],
    ];
    for (const [method, more, headers, body] of cases) {
      line.send(requestOf(method, one.path + more, headers, body));
      expect((await line.answer()).status).toBe(200);
    }
    line.end();
    const agent = one.agent();
    await until('all came', () => one.target.got.length === cases.length);
    for (const [i, [method, more, headers, body]] of cases.entries()) {
      const got = one.target.got[i] as Got;
      expect([got.method, got.url]).toEqual([method, `/hook${more}`]);
      expect(got.body.equals(body)).toBe(true);
      const pairs = headers
        .filter((text) => !text.startsWith('X-Restante'))
        .flatMap((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1).trim()]);
      const from = got.headers.indexOf(pairs[0] ?? 'X-Restante-Id');
      expect(got.headers.slice(from, from + pairs.length)).toEqual(pairs);
      // What is ours is said by us alone.
      expect(got.headers.filter((text) => /^x-restante-id$/i.test(text))).toHaveLength(1);
    }
    const got = one.target.got.at(-1) as Got;
    const named = (wanted: string) =>
      got.headers[got.headers.findIndex((text) => text.toLowerCase() === wanted) + 1] ?? '';
    expect(Stripe.webhooks.constructEvent(got.body, named('stripe-signature'), 'whsec_test').id).toBe('evt_1');
    expect(await verify('key', got.body.toString(), named('x-hub-signature-256'))).toBe(true);
    expect(await agent.stop()).toBe(0);
  });

  test('a proxy stands before the server if the environment says so, never before the target', async () => {
    const one = await scene('proxied');
    const proxy = kept(await startForwardProxy());
    const tls = kept(await startTls(service.port));
    const secure = `https://127.0.0.1:${tls.port}`;
    const cert = join(mkdtempSync(join(tmpdir(), 'restante-cert-')), 'cert.pem');
    kept({ close: () => rmSync(join(cert, '..'), { recursive: true }) });
    writeFileSync(cert, tls.cert);
    const trusting = { NODE_EXTRA_CA_CERTS: cert };
    const runs: [url: string, env: Record<string, string>, asked: RegExp | undefined][] = [
      [service.url, { HTTP_PROXY: proxy.url }, new RegExp(`^[A-Z]+ ${service.url}/`)],
      [service.url, { http_proxy: proxy.url, NO_PROXY: 'localhost,127.0.0.1' }, undefined],
      [secure, { HTTPS_PROXY: proxy.url, ...trusting }, new RegExp(`^CONNECT 127.0.0.1:${tls.port}$`)],
      [secure, trusting, undefined],
    ];
    for (const [i, [url, env, asked]] of runs.entries()) {
      proxy.asked.length = 0;
      await one.send(1);
      const agent = one.agent([], false, url, env);
      await until('it came', () => one.target.got.length === i + 1);
      await settled(one);
      expect(await agent.stop()).toBe(0);
      expect(proxy.asked.length > 0).toBe(asked !== undefined);
      for (const text of proxy.asked) expect(text).toMatch(asked as RegExp);
    }
    const untrusting = one.agent([], false, secure);
    expect(await untrusting.ended()).toBe(1);
    expect(untrusting.said()).toMatch(/cannot be reached: self.signed certificate/);
  });
});
