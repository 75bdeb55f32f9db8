// Calls that change the same contents and consumers at once take their locks in one order: nobody is told 503 for a deadlock.
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prune } from '../../src/store/retention.ts';
import { type Answer, type Desk, openDesk } from '../consumers/calls.ts';
import { type Database, migratedDatabase } from '../support/engines.ts';

const SHOT_MS = 8_000;
const LANES = 48;
const NAMES = Array.from({ length: 12 }, (_, i) => `c${i}`);

// On SQLite one transaction runs at a time.
describe.each(['mariadb', 'mysql'] as const)('%s', (engine) => {
  let database: Database;
  let desk: Desk;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    desk = await openDesk(database.url);
  });
  afterAll(async () => {
    await desk?.service.close();
    await database?.drop();
  });

  test('a consumer is made while somebody holds another of its user', async () => {
    const one = await desk.another();
    await one.call('PUT', '/consumers/a', {});
    const holder = await createConnection(database.url);
    try {
      await holder.beginTransaction();
      const sql = "SELECT id FROM restante_consumer WHERE user_id = ? AND name = 'a' FOR UPDATE";
      expect((await holder.query(sql, [one.user.id]))[0]).toHaveLength(1);
      const began = performance.now();
      expect((await one.call('PUT', '/consumers/b', {})).status).toBe(201);
      expect(performance.now() - began).toBeLessThan(3_000);
    } finally {
      await holder.end();
    }
  });

  test('contents are deleted while they are pulled, acked, moved, pruned, and consumers come and go', async () => {
    const { call, service } = desk;
    const failures: string[] = [];
    const counts: Record<string, number> = {};
    const ids = await desk.send(Array.from({ length: 2_000 }, () => 'x'));
    const leases: { name: string; lease: string }[] = [];
    const pick = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)] as T;
    const some = () => [...new Set(Array.from({ length: 20 }, () => pick(ids)))].sort((a, b) => a - b);
    const on = (verb: string, body: object) => call('POST', `/consumers/${pick(NAMES)}/${verb}`, body);
    const settle = (verb: string, more = {}) => {
      const { name = 'none', lease = 'AQGc2uXVuvQqAgE2AQI' } = leases.pop() ?? {};
      return call('POST', `/consumers/${name}/${verb}`, { lease, ...more });
    };
    const post = async () => {
      const { status, body } = await call('POST', '/whcontent?content=x');
      if (status === 201) ids.push(body.id);
      return body.id as number;
    };
    const remove = (id: number) => call('DELETE', `/whcontent/${id}`);
    const acts: Record<string, () => Promise<Answer | undefined>> = {
      delete: () => remove(pick(ids)),
      // It may not have its place in the order of consumers yet.
      'delete at once': async () => remove(await post()),
      async pull() {
        const name = pick(NAMES);
        const pulled = await call('POST', `/consumers/${name}/pull`, { limit: 20, start: 'earliest' });
        if (pulled.body?.lease) leases.push({ name, lease: pulled.body.lease });
        return pulled;
      },
      ack: () => settle('ack'),
      nack: () => settle('nack', { dead: Math.random() < 0.5 }),
      redeliver: () => on('redeliver', { ids: some() }),
      retry: () => on('dead/retry', {}),
      seek: () => on('seek', { id: pick(ids) }),
      put: () => call('PUT', `/consumers/${pick(NAMES)}`, { lease_seconds: 1, max_attempts: 2, start: 'earliest' }),
      'end a consumer': () => call('DELETE', `/consumers/${pick(NAMES)}`),
      async prune() {
        await prune(service.store.db, some(), { foreign: true, dry: false });
        return undefined;
      },
    };
    for (const name of NAMES) await call('PUT', `/consumers/${name}`, { lease_seconds: 1, start: 'earliest' });
    const until = performance.now() + SHOT_MS;
    const lane = async () => {
      while (performance.now() < until) {
        // Half of the calls are those that once met: who deletes locks consumers by id, who made one did by name.
        const name = Math.random() < 0.5 ? pick(['delete', 'put', 'end a consumer']) : pick(Object.keys(acts));
        const act = acts[name] as (typeof acts)[string];
        const answer = await act().catch((error: unknown) => ({ status: 500, body: String(error) }));
        if (answer && answer.status >= 500) failures.push(`${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
        if (!answer || answer.status < 300) counts[name] = (counts[name] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    expect(failures).toEqual([]);
    for (const name of ['delete', 'pull', 'put', 'end a consumer']) expect(counts[name]).toBeGreaterThan(0);
  });
});
