// restante why claims nothing that it has not seen: each of its sentences against a store in which it would not be so.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Refusal } from '../../src/schema/contents.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { cli } from '../support/cli.ts';
import {
  type Database,
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import * as sign from '../support/signing.ts';

const SECRET = 'whsec_theSecretOfThePayments9fA2';

onEveryEngine('why', (engine) => {
  let database: Database;
  let service: Service;
  let user: TestUser;
  beforeAll(async () => {
    database = await migratedDatabase(engine);
    service = await startService(database.url);
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  beforeEach(async () => {
    user = await service.user();
  });

  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { Authorization: user.auth },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  };
  const why = async (id: string | number, ...more: string[]) => {
    await service.settle();
    const env = { RESTANTE_URL: service.url, RESTANTE_AUTH: `${user.id}:${user.token}` };
    return (await cli(['why', String(id), ...more], env)).out;
  };
  const stripe = async (wh: WebhookDetail, id: string, secret = SECRET) => {
    const body = JSON.stringify({ id, type: 'a' });
    return (await fetch(service.url + pathOf(wh), { method: 'POST', body, headers: sign.stripe(secret, body) })).status;
  };
  const payments = (settings: Record<string, unknown> = { secrets: [SECRET] }) =>
    service.webhook(user, { preset: 'stripe', ...settings });
  const refusals = async (count: number): Promise<Refusal[]> => {
    for (let i = 0; ; i++) {
      const page = await call<{ refusals: Refusal[] }>('GET', '/refusals?limit=100');
      if (page.refusals.length >= count || i === 200) return page.refusals;
      await sleep(20);
    }
  };
  const ids = async () => {
    await service.settle();
    const { whcontent } = await call<{ whcontent: { id: number }[] }>('GET', '/whcontent?whid=all&limit=100');
    return whcontent.map(({ id }) => id);
  };
  /** A row as another application writes it. */
  const foreign = (content: string, wh_id: number) =>
    service.store.db.insertIds(
      'tblwh',
      ['content', 'ip', 'api', 'dt', 'user_id', 'wh_id'],
      [[Buffer.from(content), '1.2.3.4', 1, 'any', user.id, wh_id]],
    );

  test('what never came is not said to have been here, or to have been deleted', async () => {
    await payments();
    const out = await why('SM9');
    expect(out).toMatch(/^SM9: nothing is known of it/);
    expect(out).not.toMatch(/it was here|was deleted since/);
    expect(out).toContain('A 2xx of this service means');
  });

  test('nothing open is not nothing refused: released refusals, dropped ones', async () => {
    const hook = await payments();
    await stripe(hook, 'evt_1', 'whsec_other');
    const [refusal] = await refusals(1);
    await call('POST', `/refusals/${refusal?.id}/release`, { force: true });
    const released = await why('evt_none');
    expect(released).not.toMatch(/Nothing was refused/);
    expect(released).toContain('No refusal of the last three days is open');
    const dropping = await payments({ secrets: [SECRET], on_reject: 'drop' });
    expect(await stripe(dropping, 'evt_2', 'whsec_other')).toBe(401);
    const dropped = await why('evt_2');
    expect(dropped).not.toMatch(/Nothing was refused/);
    expect(dropped).toMatch(/on_reject/);
  });

  test('a handshake and a request that waits for its secret were not refused', async () => {
    const verify = { scheme: 'none', handshake: [{ challenge_from: 'query:c', answer: { body: '{challenge}' } }] };
    const open = await service.webhook(user, { verify });
    expect((await fetch(`${service.url}${pathOf(open)}?c=1`)).status).toBe(200);
    await refusals(1);
    const out = await why('evt_none');
    expect(out).not.toMatch(/Refused in the last/);
    expect(out).toMatch(/open refusals of the last three days: 1 handshake/i);
  });

  test('a webhook of another application is not told to take a preset', async () => {
    await payments();
    await service.store.db.run('INSERT INTO tblwhid (id, user_id, wh_url, wh_name, status) VALUES (?, ?, ?, ?, 1)', [
      4_000_000_000 + user.id,
      user.id,
      `https://old.example/${user.id}`,
      'Theirs',
    ]);
    expect(await why('evt_none')).not.toMatch(/keeps no event ids/);
  });

  test('a row without a receipt is not said to be of another application, nor its webhook to be deleted', async () => {
    const [id = 0] = await foreign('{"a":1}', 77);
    const out = await why(id);
    expect(out).toMatch(new RegExp(`^${id}: stored once\n`));
    expect(out).not.toMatch(/received/);
    expect(out).toContain('without a receipt: by another application, or before this database was migrated');
    expect(out).toContain('webhook 77 (no name known)');
    expect(out).not.toMatch(/deleted/);
  });

  test('a content and an event of the same number are not one event that came twice', async () => {
    const hook = await payments();
    await stripe(hook, 'evt_1');
    const [id] = await ids();
    await stripe(hook, String(id));
    const out = await why(id ?? 0);
    expect(out).not.toMatch(/received twice/);
    expect(out).toMatch(/^\d+: content \d+ was received, and an event of this id was received once\n/);
  });

  test('more than it counts is not told as a count', async () => {
    const hook = await payments();
    for (let i = 0; i < 22; i++) await stripe(hook, 'evt_often');
    expect(await why('evt_often')).toMatch(/^evt_often: received more than 20 times/);
  });

  test('a secret that has expired was set; a webhook that is gone waits for nothing', async () => {
    const hook = await payments({ secrets: [{ value: SECRET, expires_at: '2001-01-01T00:00:00Z' }] });
    expect(await stripe(hook, 'evt_1')).toBe(200);
    await refusals(1);
    const expired = await why('evt_1');
    expect(expired).not.toMatch(/before the secret was set/);
    expect(expired).toMatch(/^evt_1: came once while no secret was valid, and waits for one\n/);
    await call('DELETE', `/webhooks/${hook.wh_id}`);
    const gone = await why('evt_1');
    expect(gone).not.toMatch(/waits|webhook set|After a fix|\/release/);
    expect(gone).toMatch(/its webhook is gone/);
    const wrong = await payments();
    await stripe(wrong, 'evt_2', 'whsec_other');
    await refusals(2);
    expect(await why('evt_2')).toMatch(/After a fix: POST/);
    await call('DELETE', `/webhooks/${wrong.wh_id}`);
    const lost = await why('evt_2');
    expect(lost).not.toMatch(/After a fix|\/release/);
    expect(lost).toMatch(/its webhook is gone/);
  });

  test('what waits though a secret is set may not have been judged yet', async () => {
    const hook = await payments({});
    await stripe(hook, 'evt_1');
    await refusals(1);
    // As another process sets it, that has not come to the refusals yet.
    const other = await payments();
    const sql = 'SELECT secrets FROM restante_webhook WHERE wh_id = ?';
    const [row] = await service.store.db.all<{ secrets: string }>(sql, [other.wh_id]);
    await service.store.db.run('UPDATE restante_webhook SET secrets = ? WHERE wh_id = ?', [
      row?.secrets ?? null,
      hook.wh_id,
    ]);
    const out = await why('evt_1');
    expect(out).not.toMatch(/did not pass|refused/);
    expect(out).toMatch(/^evt_1: came once while no secret was valid, not released yet\n/);
    expect(out).toMatch(/a secret is set now[\s\S]*POST \/refusals\/\d+\/release/);
  });

  test('a consumer that was moved back had it before; one that skips duplicates never acked it', async () => {
    const hook = await payments();
    await stripe(hook, 'evt_1');
    await stripe(hook, 'evt_1');
    const [first = 0, again = 0] = await ids();
    await call('PUT', '/consumers/once', { start: 'earliest', duplicates: 'skip' });
    for (let i = 0; i < 2; i++) {
      const { lease } = await call<{ lease: string | null }>('POST', '/consumers/once/pull', {});
      if (lease) await call('POST', '/consumers/once/ack', { lease });
    }
    expect(await why(first)).toMatch(/consumer once: acked/);
    const skipped = await why(again);
    expect(skipped).not.toMatch(/consumer once: (acked|done)/);
    expect(skipped).toMatch(/consumer once: skips duplicates, and this is one\n/);
    await call('POST', '/consumers/once/seek', { id: first });
    const back = await why(first);
    expect(back).not.toMatch(/not handed out yet/);
    expect(back).toMatch(/consumer once: waiting to be handed out\n/);
  });

  test('a consumer that did not read the webhook when it passed is not said to have acked for sure', async () => {
    const [hook, other] = [await payments(), await payments()];
    await stripe(hook, 'evt_1');
    await stripe(other, 'evt_2');
    await service.settle();
    await call('PUT', '/consumers/one', { start: 'earliest', whid: [other.wh_id] });
    const { lease } = await call<{ lease: string }>('POST', '/consumers/one/pull', {});
    await call('POST', '/consumers/one/ack', { lease });
    await call('PUT', '/consumers/one', { whid: null });
    expect(await why('evt_1')).toMatch(/consumer one: acked, or passed while it did not read this webhook\n/);
  });

  test('its JSON says the same', async () => {
    const hook = await payments({});
    await stripe(hook, 'evt_1');
    await refusals(1);
    expect(JSON.parse(await why('evt_1', '--json'))).toMatchObject({ refusals: [{ secret_set: false }] });
    await call('DELETE', `/webhooks/${hook.wh_id}`);
    expect(JSON.parse(await why('evt_1', '--json'))).toMatchObject({ refusals: [{ secret_set: null }] });
  });
});
