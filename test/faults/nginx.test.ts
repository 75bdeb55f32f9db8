// Behind a real nginx that keeps its connections: no webhook is answered 502, and client addresses are right.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { mortal, onExit, scratchFolder } from '../support/fetch-debs.ts';
import { audit, figures } from '../support/ledger/audit.ts';
import { type Answer, connectWire, openLedger, readLedger, startLoad } from '../support/ledger/load.ts';
import { freePort } from '../support/servers.ts';
import { needs } from '../support/tools.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

const WEBHOOKS = 100_000;

interface Nginx {
  readonly port: number;
  errors(): string;
  stop(): Promise<void>;
}

/**
 * What most people run: an upstream with kept-alive connections, 60 s of idle time, nothing retried.
 * In one process, not as a master with workers: those would outlive a master that is killed.
 */
const configuration = (port: number, upstream: number): string => `
daemon off; master_process off; pid nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path temp-body; proxy_temp_path temp-proxy; fastcgi_temp_path temp-fastcgi;
  uwsgi_temp_path temp-uwsgi; scgi_temp_path temp-scgi;
  upstream restante { server 127.0.0.1:${upstream}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://restante;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`;

async function startNginx(file: string, upstream: number): Promise<Nginx> {
  const folder = await scratchFolder('/tmp/restante-nginx-');
  const port = await freePort();
  const log = join(folder.path, 'error.log');
  writeFileSync(join(folder.path, 'nginx.conf'), configuration(port, upstream));
  const output = openSync(join(folder.path, 'output'), 'a');
  const [command, ...args] = mortal([file, '-p', folder.path, '-c', 'nginx.conf', '-e', log]);
  const child = spawn(command, args, { stdio: ['ignore', output, output] });
  const forget = onExit(() => void child.kill('SIGTERM'));
  const exited = once(child, 'exit').then(forget);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    await folder.remove();
  };
  for (const deadline = Date.now() + 10_000; ; await sleep(20)) {
    const wire = await connectWire('127.0.0.1', port).catch(() => undefined);
    wire?.close();
    if (wire && child.exitCode === null) return { port, errors: () => readFileSync(log, 'utf8'), stop };
    if (child.exitCode === null && Date.now() < deadline) continue;
    const said = readFileSync(join(folder.path, 'output'), 'utf8') + (existsSync(log) ? readFileSync(log, 'utf8') : '');
    await stop();
    throw new Error(`nginx did not start: ${said}`);
  }
}

let file = '';
let world: World;
beforeEach(({ skip }) => {
  file = needs('nginx', { skip });
});
beforeAll(async () => {
  world = await createWorld('sqlite');
});
afterAll(async () => {
  await world?.close();
});

/** The program with these settings, and an nginx in front of it. */
async function behindNginx(env: Record<string, string>, work: (program: Program, nginx: Nginx) => Promise<void>) {
  const program = await world.serve({ LOG_LEVEL: 'warn', ...env });
  const nginx = await startNginx(file, program.port);
  try {
    await work(program, nginx);
  } finally {
    await nginx.stop();
    await program.kill();
  }
}

const post = (path: string, body: string, more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: hooks.example.org\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

async function ipsOf({ url }: Program, whId: number): Promise<[string, string][]> {
  const answer = await fetch(`${url}/whcontent?whid=${whId}`, { headers: { authorization: world.auth } });
  const page = (await answer.json()) as { whcontent: { ip: string; request: { ip: string } }[] };
  return page.whcontent.map(({ ip, request }) => [ip, request.ip]);
}

test('answers none of 100,000 webhooks with 502, at any rate and after idle gaps, and stores all', async () => {
  const { wh_id, path } = await world.webhook('Behind nginx');
  const ledger = openLedger(join(world.folder, 'nginx-ledger'));
  await behindNginx({ TRUST_PROXY: '127.0.0.1' }, async (program, nginx) => {
    const began = Date.now();
    const url = `http://127.0.0.1:${nginx.port}`;
    // Idle, a trickle and a storm in turn, then all the rest at once.
    const rate = (ms: number) => (ms > 6_000 ? 1e6 : ([1e6, 0, 20, 1e6, 500, 0][Math.floor(ms / 1_000) % 6] as number));
    const load = startLoad({ url, paths: [path], connections: 64, ledger, rate, count: WEBHOOKS, maxBytes: 400 });
    await load.done;
    ledger.close();
    console.log(`${WEBHOOKS} webhooks through nginx in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    const outcomes = new Map<string, number>();
    for (const { kind, what } of readLedger(ledger.path)) {
      const key = kind === 'sent' ? kind : `${kind} ${what}`;
      outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
    }
    expect(Object.fromEntries(outcomes)).toEqual({ sent: WEBHOOKS, 'acked 200': WEBHOOKS });
    expect(nginx.errors()).not.toMatch(/\[(error|crit|alert)\]/);
    const found = await audit(ledger.path, { url: program.url, auth: world.auth, whids: [wh_id] });
    console.log(figures(found), `(${((Date.now() - began) / 1000).toFixed(1)} s with reading back)`);
    expect(found).toMatchObject({ stored: WEBHOOKS, missing: [], duplicates: [], corrupted: [] });
  });
}, 120_000);

test("stores the sender's address with TRUST_PROXY, and not what the sender pretends", async () => {
  const { wh_id, path } = await world.webhook('Addresses');
  await behindNginx({ TRUST_PROXY: '127.0.0.1' }, async (program, nginx) => {
    for (const localAddress of ['127.0.0.2', '127.0.0.3']) {
      const wire = await connectWire('127.0.0.1', nginx.port, { localAddress });
      await wire.send(post(path, 'honest'));
      await wire.send(post(path, 'liar', 'X-Forwarded-For: 8.8.8.8\r\n'));
      wire.close();
    }
    expect(await ipsOf(program, wh_id)).toEqual(
      ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3'].map((ip) => [ip, ip]),
    );
    expect(program.log()).not.toContain('TRUST_PROXY');
  });
});

test("stores the proxy's address without TRUST_PROXY, and says so in the log once", async () => {
  const { wh_id, path } = await world.webhook('Blind');
  await behindNginx({}, async (program, nginx) => {
    const wire = await connectWire('127.0.0.1', nginx.port, { localAddress: '127.0.0.2' });
    for (let i = 0; i < 3; i++) await wire.send(post(path, `n${i}`));
    wire.close();
    expect(await ipsOf(program, wh_id)).toEqual(Array(3).fill(['127.0.0.1', '127.0.0.1']));
    expect(program.log().match(/TRUST_PROXY is not set/g)).toHaveLength(1);
  });
});

/**
 * One webhook, then nothing until just before the program's idle time of 1 s is over; while the program is stopped for
 * a moment, as by a busy machine, nginx sends the next one on the same connection, and the program's timer fires first.
 */
async function sendIntoTheEndOfIdleTime(keepAliveSeconds: string): Promise<Answer> {
  const { path } = await world.webhook(`Idle ${keepAliveSeconds}`);
  let second: Answer | undefined;
  await behindNginx({ KEEP_ALIVE_SECONDS: keepAliveSeconds, TRUST_PROXY: '127.0.0.1' }, async (program, nginx) => {
    const wire = await connectWire('127.0.0.1', nginx.port);
    expect((await wire.send(post(path, 'first'))).status).toBe(200);
    await sleep(700);
    program.signal('SIGSTOP');
    // It must have stopped before the webhook comes, or it would wake up with that instead of with its timer.
    await sleep(100);
    const answer = wire.send(post(path, 'second'));
    // Newer releases of Node wait a second longer than they were told.
    await sleep(1_800);
    program.signal('SIGCONT');
    second = await answer;
    wire.close();
  });
  return second as Answer;
}

test('would be answered 502 by nginx if KEEP_ALIVE_SECONDS were shorter than its own (the control)', async () => {
  expect((await sendIntoTheEndOfIdleTime('1')).status).toBe(502);
});

test('is not, with the default of KEEP_ALIVE_SECONDS', async () => {
  expect((await sendIntoTheEndOfIdleTime('75')).status).toBe(200);
});
