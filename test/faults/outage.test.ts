// While the database is away the service still tells how it is: the numbers, the cause, and not a line for each request.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseServer } from '../support/servers.ts';
import { createWorld, type Program, type World } from '../support/world.ts';

const bearer = { headers: { authorization: 'Bearer metrics' } };

describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  let world: World;
  let program: Program;
  let path: string;
  beforeAll(async () => {
    world = await createWorld(engine);
    program = await world.serve({ METRICS_TOKEN: 'metrics', LOG_LEVEL: 'info' });
    ({ path } = await world.webhook('Outage'));
    expect(await send()).toBe(200);
  });
  afterAll(async () => {
    await world?.close();
  });
  const send = async () => (await fetch(program.url + path, { method: 'POST', body: 'x' })).status;
  const server = () => world.server as DatabaseServer;
  const ready = async (options = {}) => {
    const answer = await fetch(`${program.url}/readyz`, options);
    return [answer.status, (await answer.json()) as { detail?: string; incidents?: string }] as const;
  };
  const scrape = async () => {
    const began = performance.now();
    const answer = await fetch(`${program.url}/metrics`, bearer);
    return { status: answer.status, text: await answer.text(), ms: performance.now() - began };
  };

  test('gone: /metrics answers at once, counts what was not stored by its cause, and the log says it once', async () => {
    const before = (await scrape()).text;
    expect(before).toContain('restante_not_stored_total{cause="refused"} 0');
    expect(before).toMatch(/^restante_leases 0$/m);
    await server().kill();
    // What the database counts is read again after five seconds.
    await expect.poll(async () => (await scrape()).text, { timeout: 10_000 }).not.toMatch(/^restante_leases /m);
    const from = program.log().length;
    const statuses = await Promise.all(Array.from({ length: 200 }, send));
    expect(new Set(statuses)).toEqual(new Set([503]));
    const { status, text, ms } = await scrape();
    expect(status).toBe(200);
    expect(ms).toBeLessThan(2_500);
    const causes = [...text.matchAll(/^restante_not_stored_total\{cause="([\w-]+)"\} (\d+)$/gm)]
      .filter(([, , count]) => count !== '0')
      .map(([, cause]) => cause);
    expect(causes.length).toBeGreaterThan(0);
    for (const cause of causes) expect(['refused', 'shutting-down', 'no-answer']).toContain(cause);
    // Nobody knows: no number is better than a false one.
    expect(text).not.toMatch(/^restante_(leases|redeliveries|dead_letters|consumers) /m);
    const lines = program.log().slice(from).trim().split('\n');
    expect(lines.length).toBeLessThan(12);
    expect(lines.join('\n')).toContain('"fix":"Start the database');

    const [without, told] = [await ready(), await ready(bearer)];
    expect([without[0], told[0]]).toEqual([503, 503]);
    expect(without[1].detail).not.toContain('Start the database');
    expect(told[1].detail).toMatch(/refused: nothing listens .*Start the database/);

    await server().start();
    await expect.poll(send, { timeout: 5_000 }).toBe(200);
    await expect
      .poll(async () => (await send()) && program.log(), { timeout: 5_000 })
      .toContain('contents are stored again');
    expect((await ready(bearer))[1]).toMatchObject({ status: 'ready' });
    await expect.poll(async () => (await scrape()).text, { timeout: 8_000 }).toMatch(/^restante_leases 0$/m);
  }, 60_000);

  test('there, but without a right that was taken away: senders get a 503, calls too, and /readyz says why', async () => {
    const account = await world.account('all');
    const { username } = new URL(account);
    const root = await world.connect();
    await root.query(`REVOKE ALL PRIVILEGES ON restante.* FROM '${username}'@'%'`);
    await root.query(`GRANT SELECT ON restante.* TO '${username}'@'%'`);
    const other = await world.serve({ METRICS_TOKEN: 'metrics', DATABASE_URL: account });
    const post = async () => (await fetch(other.url + path, { method: 'POST', body: 'x' })).status;
    await expect.poll(post, { timeout: 5_000 }).toBe(503);
    const made = await fetch(`${other.url}/webhooks`, {
      method: 'POST',
      headers: { authorization: world.auth },
      body: '{"wh_name":"x"}',
    });
    expect([made.status, made.headers.get('retry-after')]).toEqual([503, '2']);
    const answer = await fetch(`${other.url}/readyz`, bearer);
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([
      503,
      expect.stringMatching(/rights: the account lacks a right .*migrate --grants/),
    ]);
    await root.query(`GRANT ALL ON restante.* TO '${username}'@'%'`);
    await expect.poll(post, { timeout: 5_000 }).toBe(200);
    const isReady = async () => [await post(), (await fetch(`${other.url}/readyz`)).status];
    await expect.poll(isReady, { timeout: 5_000 }).toEqual([200, 200]);
    await other.kill();
  }, 60_000);
});
