// A flood of connections leaves the database its descriptors: who is connected is served, who comes too late is closed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mostConnections, openFileLimit } from '../../src/http/connections.ts';
import { mortal } from '../support/fetch-debs.ts';
import { connectWire, type Wire } from '../support/ledger/load.ts';
import { freePort } from '../support/servers.ts';
import { lacks } from '../support/tools.ts';
import { createWorld, type World } from '../support/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld('mariadb');
});
afterAll(async () => {
  await world?.close();
});

test('with 300 open files, 400 connections that say nothing stop neither the database nor who is connected', async () => {
  const port = await freePort();
  const env = { PATH: process.env.PATH, PORT: String(port), DATABASE_URL: world.databaseUrl, METRICS_TOKEN: 'metrics' };
  const [file, ...args] = mortal(['sh', '-c', `ulimit -n 300; exec ${process.execPath} dist/main.js serve`]);
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout.on('data', (chunk) => {
    log += chunk;
  });
  try {
    await expect.poll(() => log, { timeout: 20_000 }).toContain('"msg":"listening"');
    const { path } = await world.webhook('Flood');
    const early = await connectWire('127.0.0.1', port);
    const post = (wire: Wire) =>
      wire.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`).then(({ status }) => status);
    expect(await post(early)).toBe(200);
    const idle = await Promise.all(Array.from({ length: 400 }, () => connectWire('127.0.0.1', port)));
    await expect.poll(() => idle.filter(({ open }) => !open).length, { timeout: 5_000 }).toBeGreaterThan(150);
    // Its connections to the database are all made anew, beside the flood.
    const root = await world.connect();
    const [rows] = await root.query('SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()');
    for (const { id } of rows as { id: number }[]) await root.query(`KILL ${id}`).catch(() => {});
    await expect.poll(() => post(early), { timeout: 5_000 }).toBe(200);
    for (let i = 0; i < 20; i++) expect(await post(early)).toBe(200);
    for (const wire of idle) wire.close();
    await expect
      .poll(() =>
        fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: 'x' }).then(
          (a) => a.status,
          () => 0,
        ),
      )
      .toBe(200);
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: 'Bearer metrics' } });
    expect(await metrics.text()).toMatch(/^restante_shed_total\{why="connections"\} [1-9]/m);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

const BURST = Math.min(8_000, (openFileLimit() ?? 1_024) - 200);
const PATIENCE_MS = 25_000;

test(`${BURST} senders who connect at once are all answered, or told to come again, within 25 s`, async () => {
  const program = await world.serve();
  const { path } = await world.webhook('Burst');
  const request = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx`;
  const statuses = new Map<string, number>();
  const post = () =>
    new Promise<void>((resolve) => {
      let got = '';
      const socket = connect(program.port, '127.0.0.1', () => socket.write(request));
      socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer')));
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1');
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        got ||= error.code ?? error.message;
      });
      socket.on('close', () => {
        const status = got.replace(/^HTTP\/1.1 (\d+).*$/s, '$1');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        resolve();
      });
    });
  await Promise.all(Array.from({ length: BURST }, post));
  // Beside other programs on this machine the service may be behind, and says so.
  expect([...statuses.keys()].filter((status) => status !== '200' && status !== '503')).toEqual([]);
  expect(statuses.get('200')).toBeGreaterThan(BURST / 4);
  await program.kill();
}, 90_000);

test('the bound leaves a hundred files, and is none where there is no limit', () => {
  expect([1_024, 300, 150, Number.POSITIVE_INFINITY].map(mostConnections)).toEqual([924, 200, 100, undefined]);
});

// Not loopback: what connects from this machine is taken for its proxy.
const OUTSIDE = Object.values(networkInterfaces())
  .flat()
  .find((one) => one && !one.internal && one.family === 'IPv4')?.address;

test('of 300 files one address has 100 connections, and its idle ones give way to another address', async (context) => {
  const host = OUTSIDE ?? lacks('give this machine an address beside loopback', context);
  const port = await freePort();
  const env = {
    PATH: process.env.PATH,
    HOST: '0.0.0.0',
    PORT: String(port),
    METRICS_TOKEN: 'metrics',
    DATABASE_URL: world.databaseUrl,
  };
  const [file, ...args] = mortal(['sh', '-c', `ulimit -n 300; exec ${process.execPath} dist/main.js serve`]);
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout.on('data', (chunk) => {
    log += chunk;
  });
  const wires: Wire[] = [];
  const flood = async (from: string, count: number) => {
    const made = await Promise.all(Array.from({ length: count }, () => connectWire(from, port)));
    wires.push(...made);
    return made;
  };
  const open = (some: readonly Wire[]) => some.filter((one) => one.open).length;
  try {
    await expect.poll(() => log, { timeout: 20_000 }).toContain('"msg":"listening"');
    expect(log).toMatch(/"open_files":300,"connections":200,"of_one_address":100,"msg":"only 300 files .* LimitNOFILE/);
    const theirs = await flood(host, 250);
    await expect.poll(() => open(theirs)).toBe(100);
    // This machine, which is exempt: its 90 would be too many in all, beside those 100 that say nothing.
    const ours = await flood('127.0.0.1', 90);
    await expect.poll(() => open(theirs)).toBeLessThan(100);
    for (const wire of ours) {
      const { status } = await wire.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      expect(status).toBe(200);
    }
    const headers = { authorization: 'Bearer metrics' };
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text();
    expect(metrics).toMatch(/^restante_shed_total\{why="address"\} 150/m);
    expect(metrics).toMatch(/^restante_shed_total\{why="idle"\} [1-9]/m);
    expect(metrics).toMatch(/^restante_shed_total\{why="connections"\} 0/m);
    // Told once, and not for each.
    expect(log.match(/CONNECTIONS_PER_ADDRESS/g)).toHaveLength(1);
  } finally {
    for (const wire of wires) wire.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
