// A lost SECRETS_KEY on every engine: what is told, how the secrets are forgotten, and that nothing that comes meanwhile is lost.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import type { WebhookDetail } from '../../src/schema/webhooks.ts';
import { dropped, type Env, folder, kept } from '../support/cli.ts';
import {
  migratedDatabase,
  onEveryEngine,
  pathOf,
  type Service,
  startService,
  type TestUser,
} from '../support/engines.ts';
import * as sign from '../support/signing.ts';

const SECRET = 'whsec_plantedSecretOfThePayments9fA2';
const [OLD, NEW] = ['5e'.repeat(32), '77'.repeat(32)];

async function typed(argv: readonly string[], env: Env, { input = '', answer = '', tty = false } = {}) {
  let [out, err] = ['', ''];
  const code = await run(argv, {
    env,
    out(text) {
      out += text;
    },
    err(text) {
      err += text;
    },
    written: async () => {},
    input: async () => input,
    ask: async (question) => {
      err += question;
      return answer;
    },
    memory: process,
    tty,
    stopped: () => new Promise(() => {}),
  });
  return { code, out, err };
}
const get = async <T>(service: Service, user: TestUser, path: string): Promise<T> =>
  (await (await fetch(service.url + path, { headers: { authorization: user.auth } })).json()) as T;

onEveryEngine('a lost SECRETS_KEY', (engine) => {
  test('is named with the way out, secrets are forgotten when told so, and what comes then waits for the new one', async () => {
    const { url } = dropped(await migratedDatabase(engine));
    const before = await startService(url, { SECRETS_KEY: OLD });
    const user = await before.user();
    const webhook = await before.webhook(user, { wh_name: 'Payments', preset: 'stripe', secrets: [SECRET] });
    const whatsApp = await before.webhook(user, {
      preset: 'meta',
      secrets: ['app secret'],
      verify: { token: 'chosen' },
    });
    await before.webhook(user, { preset: 'activecampaign' });
    await before.close();

    const env = { DATABASE_URL: url, SECRETS_KEY: NEW, LOG_LEVEL: 'silent', PORT: '0' };
    for (const argv of [['serve'], ['webhook', 'set', String(webhook.wh_id), '--secret-file', '-']])
      expect(await typed(argv, env, { input: SECRET })).toMatchObject({
        code: 2,
        err: expect.stringContaining('If it is lost: restante webhook forget-secrets.'),
      });

    const forget = ['webhook', 'forget-secrets'];
    expect(await typed(forget, env)).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--yes') });
    const no = await typed(forget, env, { tty: true, answer: 'no' });
    expect([no.code, no.out]).toEqual([
      1,
      expect.stringMatching(/Payments +secret\n.* +Test +secret, verify token\n$/),
    ]);
    expect(no.err).not.toContain('can read them');
    const right = await typed(forget, { ...env, SECRETS_KEY: OLD }, { tty: true, answer: 'no' });
    expect(right.err).toContain('The key that is set here can read them');
    expect((await typed(['serve'], env)).code).toBe(2);

    const late = kept(await startService(url, { SECRETS_KEY: OLD }), (one) => one.close());
    const done = await typed(forget, env, { tty: true, answer: 'yes' });
    expect([done.code, done.out]).toEqual([0, expect.stringContaining('The secrets of 2 webhooks are forgotten')]);

    const service = kept(await startService(url, { SECRETS_KEY: NEW }), (one) => one.close());
    const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'charge.succeeded' });
    const send = (to: WebhookDetail, headers: sign.Headers) =>
      fetch(service.url + pathOf(to), { method: 'POST', body, headers });
    expect((await send(webhook, sign.stripe(SECRET, body))).status).toBe(200);
    expect((await send(whatsApp, { 'x-hub-signature-256': 'sha256=00' })).status).toBe(200);
    for (let i = 0; i < 100; i++) {
      const { refusals } = await get<{ refusals: { kind: string }[] }>(service, user, '/refusals');
      if (refusals.length === 2) break;
      await sleep(20);
    }
    const waiting = await get<{ refusals: { kind: string }[] }>(service, user, '/refusals');
    expect(waiting.refusals.map(({ kind }) => kind)).toEqual(['secret_missing', 'secret_missing']);

    const set = await typed(['webhook', 'set', String(webhook.wh_id), '--secret-file', '-'], env, { input: SECRET });
    expect([set.code, set.out]).toEqual([0, expect.stringContaining('1 passed the check')]);
    expect(set.err).toContain('this database now needs the key of SECRETS_KEY, in every process');
    await service.settle();
    const page = await get<{ whcontent: { request: { verified: string } }[] }>(service, user, '/whcontent?whid=all');
    expect(page.whcontent.map(({ request }) => request.verified)).toEqual(['signed']);

    // A process that still has the lost key must not encrypt with it beside the new one.
    const mixed = await fetch(`${late.url}/webhooks`, {
      method: 'POST',
      headers: { authorization: user.auth },
      body: JSON.stringify({ wh_name: 'x', preset: 'stripe', secrets: [SECRET] }),
    });
    expect([mixed.status, await mixed.json()]).toEqual([
      409,
      expect.objectContaining({ type: 'urn:restante:problem:secrets-key-other' }),
    ]);
  });
});

test('on SQLite a lost key file is named, and another one is made after its secrets were forgotten', async () => {
  const path = `${folder()}/r.db`;
  const env = { DATABASE_URL: `sqlite:${path}`, LOG_LEVEL: 'silent', PORT: '0' };
  await typed(['user', 'add'], env);
  const add = ['webhook', 'add', 'x', '--preset', 'stripe', '--secret-file', '-'];
  const first = await typed(add, env, { input: SECRET });
  expect(first.err).toContain(`this database now needs the key of ${path}.key, in every process`);
  expect((await typed(add, env, { input: SECRET })).err).toBe('');
  rmSync(`${path}.key`);
  const lost = await typed(['serve'], env);
  expect([lost.code, lost.err]).toEqual([2, expect.stringMatching(/r\.db\.key is not there.*forget-secrets/)]);
  const { code, out } = await typed(['webhook', 'forget-secrets', '--yes', '--json'], env);
  expect([code, JSON.parse(out)]).toEqual([
    0,
    {
      forgotten: [
        { wh_id: 1, user_id: 1 },
        { wh_id: 2, user_id: 1 },
      ],
    },
  ]);
  writeFileSync(`${path}.key`, 'no key\n');
  const bad = await typed(add, env, { input: SECRET });
  expect([bad.code, bad.err]).toEqual([2, expect.stringMatching(/holds no key.*remove the file/)]);
  rmSync(`${path}.key`);
  expect((await typed(['webhook', 'set', '1', '--secret-file', '-'], env, { input: SECRET })).code).toBe(0);
  expect(existsSync(`${path}.key`)).toBe(true);
});

test('the first secret tells of which file the key was', async () => {
  const where = folder();
  writeFileSync(`${where}/key`, NEW);
  const env = { DATABASE_URL: `sqlite:${where}/r.db`, SECRETS_KEY_FILE: `${where}/key` };
  await typed(['user', 'add'], env);
  const { err } = await typed(['webhook', 'add', 'x', '--preset', 'stripe', '--secret-file', '-'], env, {
    input: SECRET,
  });
  expect(err).toContain(`the key of SECRETS_KEY_FILE (${where}/key)`);
});
