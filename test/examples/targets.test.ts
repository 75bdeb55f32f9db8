// The examples that work on one provider: run as their comments say, with the real server, the real agent, the providers' SDKs.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { sign as signGithub, verify } from '@octokit/webhooks-methods';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../support/servers.ts';
import * as sign from '../support/signing.ts';
import { needs } from '../support/tools.ts';
import { createWorld, type Program, type World } from '../support/world.ts';
import { type Bench, credentials, EXAMPLES, headOf, openBench } from './run.ts';

test('the table names every example, and each begins with what it does and two commands', () => {
  const table = readFileSync('examples/README.md', 'utf8');
  const named = [...table.matchAll(/^\| \[`([^`]+)`]\(\1\) +\| \S/gm)].map(([, name]) => `examples/${name}`);
  expect(named.sort()).toEqual(EXAMPLES);
  for (const path of EXAMPLES) {
    const { sentence, commands } = headOf(path);
    expect([path, sentence]).toEqual([path, expect.stringMatching(/^[A-Z`].{40,}\.$/)]);
    expect([path, commands.length]).toEqual([path, path.endsWith('main.ts') ? 1 : 2]);
  }
});

describe('run against a service', () => {
  let world: World;
  let program: Program;
  let bench: Bench;
  let env: Record<string, string>;
  beforeAll(async () => {
    world = await createWorld('sqlite');
    program = await world.serve();
    bench = openBench();
    env = credentials(program.url, world.auth);
  });
  afterAll(async () => {
    await bench?.close();
    await world?.close();
  });

  const api = async (method: string, path: string, body?: object) => {
    const init = { method, headers: { authorization: world.auth }, ...(body ? { body: JSON.stringify(body) } : {}) };
    const answer = await fetch(program.url + path, init);
    expect(answer.status).toBeLessThan(300);
    return answer.json();
  };
  const webhook = async (settings: object) =>
    (await api('POST', '/webhooks', { wh_name: 'Test', ...settings })) as { wh_id: number; wh_url: string };
  const send = async (url: string, body: string, headers: Record<string, string>, status = 200) =>
    expect((await fetch(url, { method: 'POST', body, headers })).status).toBe(status);
  /** A target and the agent in front of it, as the two commands of its comment. */
  async function forwarding(file: string, consumer: string, wh_id: number, more: Record<string, string>) {
    await api('PUT', `/consumers/${consumer}`, { whid: [wh_id], max_attempts: 2 });
    const PORT = String(await freePort());
    const [target = '', agent = ''] = headOf(file).commands;
    const running = bench.start(target, { ...more, PORT });
    bench.start(agent, env, { 3000: PORT });
    return running;
  }
  const deadOf = async (consumer: string) => ((await api('GET', `/consumers/${consumer}`)) as { dead: number }).dead;

  test("stripe.ts: Stripe's SDK takes what is fresh and what waited, and nothing that is forged", async () => {
    const { wh_id, wh_url } = await webhook({});
    const { said, saying } = await forwarding('examples/stripe.ts', 'stripe', wh_id, { STRIPE_SECRET: 'whsec_right' });
    const event = (id: string) => JSON.stringify({ id, object: 'event', type: 'invoice.paid', name: 'Järvi' });
    const dayAgo = Math.floor(Date.now() / 1000) - 86_400;
    await send(wh_url, event('evt_waited'), sign.stripe('whsec_right', event('evt_waited'), dayAgo));
    await send(wh_url, event('evt_forged'), sign.stripe('whsec_wrong', event('evt_forged')));
    await send(wh_url, event('evt_fresh'), sign.stripe('whsec_right', event('evt_fresh')));
    await saying(/evt_fresh invoice\.paid/);
    await vi.waitFor(async () => expect(await deadOf('stripe')).toBe(1), 10_000);
    await saying(/^evt_waited invoice\.paid$/m);
    expect(said()).not.toContain('evt_forged');
  });

  test("twilio-whatsapp.ts: Twilio's SDK knows a message by its public URL, and refuses a forged one", async () => {
    const { wh_id, wh_url } = await webhook({});
    const { said, saying } = await forwarding('examples/twilio-whatsapp.ts', 'whatsapp', wh_id, {
      TWILIO_AUTH_TOKEN: 'right',
    });
    const message = async (token: string, Body: string) => {
      const form = { MessageSid: 'SM1', From: 'whatsapp:+14155238886', ProfileName: 'Ana', Body };
      const url = `${wh_url}?tag=%20x`;
      await send(url, new URLSearchParams(form).toString(), sign.twilio(token, url, form));
    };
    await message('wrong', 'forged');
    await message('right', 'Grüße 👋 & a=b');
    await saying(/^Ana \(whatsapp:\+14155238886\) wrote: Grüße 👋 & a=b$/m);
    await vi.waitFor(async () => expect(await deadOf('whatsapp')).toBe(1), 10_000);
    expect(said()).not.toContain('forged');
  });

  test('activecampaign.ts: reads a form with brackets, of its webhook alone', async () => {
    const { wh_id, wh_url } = await webhook({ preset: 'activecampaign' });
    const other = await webhook({});
    const form = (email: string) =>
      new URLSearchParams({
        type: 'subscribe',
        list: '3',
        'contact[email]': email,
        'contact[first_name]': 'Zoë',
        'contact[last_name]': 'Å & B',
      }).toString();
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    await send(other.wh_url, form('other@example.org'), headers);
    await send(wh_url, form('zoe+1@example.org'), headers);
    const [, command = ''] = headOf('examples/activecampaign.ts').commands;
    const run = bench.start(command, { ...env, WHID: String(wh_id) });
    await run.saying(/^subscribe zoe\+1@example\.org Zoë Å & B$/m);
    await send(wh_url, form('two@example.org'), headers);
    await run.saying(/two@example\.org/);
    expect(run.said().match(/^subscribe .*$/gm)).toHaveLength(2);
    await vi.waitFor(
      async () => expect(await api('GET', '/consumers/leads')).toMatchObject({ backlog: 0, in_flight: 0 }),
      10_000,
    );
  });

  test('github-to-jenkins.sh: every event gets there with a signature that holds, also after it was away', async () => {
    const got: { path: string; event: string; genuine: boolean }[] = [];
    const jenkins = createServer(async (request, response) => {
      const body = await buffer(request);
      const signature = String(request.headers['x-hub-signature-256']);
      const genuine = await verify('it is a secret', body.toString(), signature);
      got.push({ path: request.url ?? '', event: String(request.headers['x-github-event']), genuine });
      response.writeHead(genuine ? 200 : 403).end();
    });
    await new Promise<void>((resolve) => jenkins.listen(0, 'localhost', resolve));
    const own = { GITHUB_SECRET: 'it is a secret' };
    const at = { JENKINS_URL: `http://localhost:${(jenkins.address() as AddressInfo).port}` };
    const [, command = ''] = headOf('examples/github-to-jenkins.sh').commands;
    const payloads = createRequire(import.meta.url).resolve('@octokit/webhooks-examples/api.github.com/index.json');
    const events = (JSON.parse(readFileSync(payloads, 'utf8')) as { name: string; examples: object[] }[])
      .filter(({ name }) => ['push', 'pull_request', 'ping'].includes(name))
      .flatMap(({ name, examples }) => examples.slice(0, 4).map((one) => ({ name, body: JSON.stringify(one) })));
    expect(events.length).toBeGreaterThan(6);
    const deliver = async (url: string, from: number, to?: number) => {
      for (const { name, body } of events.slice(from, to)) {
        const signature = await signGithub(own.GITHUB_SECRET, body);
        await send(url, body, { 'X-GitHub-Event': name, 'X-Hub-Signature-256': signature });
      }
    };
    try {
      const first = bench.start(command, { ...env, ...own, ...at });
      const [url = ''] = await first.saying(/^http\S+\/in\/\S+$/m);
      await deliver(url, 0, 4);
      await vi.waitFor(() => expect(got).toHaveLength(4), 20_000);
      await first.kill('SIGTERM');

      await deliver(url, 4);
      await send(url, '{}', { 'X-GitHub-Event': 'push', 'X-Hub-Signature-256': `sha256=${'0'.repeat(64)}` }, 401);
      const again = bench.start(command, { ...env, ...own, ...at });
      await vi.waitFor(() => expect(got).toHaveLength(events.length), 20_000);
      expect(again.said()).not.toContain('/in/');
      expect(got.map(({ event }) => event)).toEqual(events.map(({ name }) => name));
      expect(got.filter(({ genuine }) => !genuine)).toEqual([]);
      // With its slash: Jenkins redirects the path without one, and loses the body.
      expect([...new Set(got.map(({ path }) => path))]).toEqual(['/github-webhook/']);
    } finally {
      jenkins.closeAllConnections();
      jenkins.close();
    }
  });

  test('systemd: the unit is well-formed, may do little, and its command delivers', async (context) => {
    const unit = 'examples/systemd/restante-forward.service';
    const analyze = needs('systemd-analyze', context);
    const verified = bench.start(`${analyze} verify ${unit}`, {});
    expect([await verified.ended(), verified.said()]).toEqual([0, '']);
    // In tenths: 0 may do nothing, 96 is a service that says nothing of what it may do.
    const judged = bench.start(`${analyze} security --no-pager --offline=true --threshold=15 ${unit}`, {});
    expect([await judged.ended(), judged.said()]).toEqual([0, expect.stringContaining('Overall exposure level')]);

    const { wh_id, wh_url } = await webhook({});
    await api('PUT', '/consumers/app', { whid: [wh_id] });
    const [, line = ''] = /^ExecStart=(.+)$/m.exec(readFileSync(unit, 'utf8')) ?? [];
    writeFileSync(join(bench.folder, 'auth'), `${env.RESTANTE_AUTH}\n`);
    const given = { RESTANTE_URL: env.RESTANTE_URL ?? '', RESTANTE_AUTH_FILE: 'auth' };
    const port = String(await freePort());
    const target = createServer((_request, response) => void response.end()).listen(Number(port), 'localhost');
    const agent = bench.start(line, given, { 3000: port });
    await send(wh_url, '{}', {});
    await agent.saying(/"status":200/);
    await agent.kill('SIGTERM');
    expect(await agent.ended()).toBe(0);
    target.close();
    // What asking again does not mend is not asked again.
    const refused = bench.start(line, { ...given, RESTANTE_AUTH_FILE: 'none' });
    expect(readFileSync(unit, 'utf8')).toContain(`RestartPreventExitStatus=${await refused.ended()}\n`);
  });
});
