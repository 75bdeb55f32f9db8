// A service with a little life in it, for the pictures of the documentation: webhooks, events, forgeries, consumers.
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../src/config/config.ts';
import type { WebhookDetail } from '../src/schema/webhooks.ts';
import { createService } from '../src/service.ts';
import { openStore } from '../src/store/open.ts';
import { addUser } from '../src/store/users.ts';
import { makeWebhook } from '../src/webhooks/webhooks.ts';

export interface Scene {
  readonly url: string;
  /** Somebody with a busy inbox, and somebody who has just begun. */
  readonly busy: Person;
  readonly fresh: Person;
  close(): Promise<void>;
}
export interface Person {
  readonly id: number;
  readonly token: string;
}

const STRIPE = 'whsec_5WbX2ULVP1sQq1mZ9fA2';
const GITHUB = 'a long random secret of the repository';
const CUSTOMERS = ['cus_QhX3dT9mVb2', 'cus_RkL8sW1nPz7', 'cus_SaN4yC6eJu0'];
const quiet = () => {};

const charge = (id: string, n: number, type: string) =>
  JSON.stringify({
    id,
    object: 'event',
    api_version: '2026-06-30',
    created: 1_795_341_600 + n * 37,
    type,
    livemode: true,
    pending_webhooks: 1,
    data: {
      object: {
        id: `ch_3Qx${n}KZ2eZvKYlo2C`,
        object: 'charge',
        amount: 4_900 + n * 250,
        currency: 'eur',
        customer: CUSTOMERS[n % 3],
        description: 'Abonnement mensuel – Café Zürich ☕',
        paid: true,
        balance_transaction: null,
        metadata: { order_id: `${9_007_199_254_740_993n + BigInt(n)}`, cart: ['espresso', 'croissant'] },
        billing_details: { address: { city: 'Zürich', country: 'CH' }, email: 'ana@example.org' },
      },
    },
    request: { id: `req_${n}`, idempotency_key: randomUUID() },
  });

export async function openScene(): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'restante-scene-'));
  const databaseUrl = `sqlite:${folder}/restante.db`;
  const config = readConfig({
    PORT: '0',
    SECRETS_KEY: '5e'.repeat(32),
    DATABASE_URL: databaseUrl,
    PUBLIC_URL: 'https://hooks.example.org',
  });
  const store = await openStore(databaseUrl);
  const app = await createService({
    store,
    config,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    memory: process,
  });
  const url = `http://127.0.0.1:${await app.listen({ host: '127.0.0.1', port: 0 })}`;
  const person = async (): Promise<Person> => {
    const token = 'kP4vXw9QbT2mZs7R';
    return { id: await addUser(store.db, { email: 'ana@example.org', phone: '', token }), token };
  };
  const [busy, fresh] = [await person(), await person()];
  await makeWebhook(app.parts, fresh.id, { wh_name: 'First' });
  const hook = (wh_name: string, settings: object) => makeWebhook(app.parts, busy.id, { wh_name, ...settings });
  const call = async (method: string, path: string, body?: object) => {
    const authorization = `Basic ${Buffer.from(`${busy.id}:${busy.token}`).toString('base64')}`;
    const answer = await fetch(url + path, {
      method,
      headers: { authorization },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    // biome-ignore lint/suspicious/noExplicitAny: whatever the call answers
    return (await answer.json()) as any;
  };
  const send = (webhook: WebhookDetail, body: string, headers: Record<string, string>, more = '') =>
    fetch(url + new URL(webhook.wh_url).pathname + more, { method: 'POST', body, headers });
  const stripe = (webhook: WebhookDetail, body: string, secret = STRIPE) => {
    const at = Math.floor(Date.now() / 1000);
    const v1 = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
    return send(webhook, body, {
      'Content-Type': 'application/json; charset=utf-8',
      'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      'Stripe-Signature': `t=${at},v1=${v1}`,
    });
  };
  const github = (webhook: WebhookDetail, event: string, body: string) =>
    send(webhook, body, {
      'Content-Type': 'application/json',
      'User-Agent': 'GitHub-Hookshot/044aadd',
      'X-GitHub-Event': event,
      'X-GitHub-Delivery': randomUUID(),
      'X-Hub-Signature-256': `sha256=${createHmac('sha256', GITHUB).update(body).digest('hex')}`,
    });

  const payments = await hook('Payments', { preset: 'stripe', secrets: [STRIPE] });
  const staging = await hook('Payments staging', { preset: 'stripe', secrets: ['whsec_stagingStagingStaging7xQ1'] });
  const code = await hook('Repository', { preset: 'github', secrets: [GITHUB] });
  const sensors = await hook('Greenhouse', {});
  for (const name of ['billing', 'audit-log'])
    await call('PUT', `/consumers/${name}`, { start: 'earliest', whid: [payments.wh_id], max_attempts: 5 });

  const types = [
    'charge.succeeded',
    'invoice.paid',
    'charge.succeeded',
    'customer.subscription.updated',
    'charge.failed',
  ];
  for (let n = 0; n < 46; n++) {
    const body = charge(`evt_1Qx${(n * 7919).toString(36)}KZ2eZvKYlo`, n, types[n % types.length] as string);
    await stripe(payments, body);
    if (n % 17 === 5) await stripe(payments, body);
    if (n % 3 === 0)
      await github(
        code,
        n % 2 ? 'pull_request' : 'push',
        JSON.stringify({ action: 'opened', ref: 'refs/heads/main', number: n }),
      );
    if (n % 4 === 0)
      await send(sensors, `temperature=${20 + (n % 9)}.5&humidity=${50 + n}&note=Grüße`, {
        'Content-Type': 'application/x-www-form-urlencoded',
        Authorization: 'Bearer 7f3c9a',
      });
  }
  for (let n = 0; n < 3; n++)
    await stripe(payments, charge(`evt_wrong${n}`, n, 'charge.succeeded'), 'whsec_stagingStagingStaging7xQ1');
  await stripe(staging, charge('evt_typo', 1, 'invoice.paid'), 'whsec_typed-wrongly');
  await github(code, 'push', '{"zen":"Approachable is better than simple."}');

  // What a worker gives up becomes a dead letter; what it has in hand and what waits shows beside it.
  const { lease, items } = await call('POST', '/consumers/billing/pull', { limit: 30, wait: 2, lease_seconds: 600 });
  const ids = (items as { id: number }[]).map(({ id }) => id);
  for (const [reason, some] of [
    ['the account is closed', ids.slice(0, 2)],
    ['ledger answered 500: relation "invoices" does not exist', ids.slice(2, 4)],
    ['no order 9007199254740997', ids.slice(4, 5)],
  ] as const)
    await call('POST', '/consumers/billing/nack', { lease, ids: some, dead: true, reason });
  await call('POST', '/consumers/billing/ack', { lease, ids: ids.slice(5, 26) });
  const all = await call('POST', '/consumers/audit-log/pull', { limit: 500, wait: 1 });
  await call('POST', '/consumers/audit-log/ack', { lease: all.lease });

  // An hour of it: what came a moment ago came through the hour, as far as the page can tell.
  const rows = await store.db.all<{ pos: number; n: number }>(
    'SELECT pos, (SELECT MAX(pos) FROM restante_position) AS n FROM restante_position',
  );
  const now = Date.now();
  for (const { pos, n } of rows) {
    const ago = Math.round(3_400_000 * (1 - pos / n) ** 1.4);
    await store.db.run('UPDATE restante_position SET seen_ms = ? WHERE pos = ?', [now - ago, pos]);
    await store.db.run(
      'UPDATE restante_request SET received_ms = ? WHERE id = (SELECT id FROM restante_position WHERE pos = ?)',
      [now - ago, pos],
    );
  }
  return {
    url,
    busy,
    fresh,
    async close() {
      await app.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
