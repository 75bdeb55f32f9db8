// restante send: a signed sample goes through a real service, and what is asked wrongly is told.

import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { PRESETS } from '../../src/verify/presets/index.ts';
import { cli, dropped, type Env, folder, kept } from '../support/cli.ts';
import { migratedDatabase, onEveryEngine, type Service, startService, type TestUser } from '../support/engines.ts';

const SECRETS_KEY = '5e'.repeat(32);
const SECRET = 'whsec_c2VjcmV0IG9mIHRoZSBwYXltZW50cw==';

onEveryEngine('restante send', (engine) => {
  let service: Service;
  let user: TestUser;
  let env: Env;
  beforeEach(async () => {
    const database = dropped(await migratedDatabase(engine));
    const first = await startService(database.url, { SECRETS_KEY });
    const { url } = first;
    await first.close();
    // It has to know the port at which it is reached: some providers sign the URL.
    service = kept(await startService(database.url, { SECRETS_KEY, PUBLIC_URL: url, PORT: new URL(url).port }), (one) =>
      one.close(),
    );
    user = await service.user();
    env = { DATABASE_URL: database.url, PUBLIC_URL: service.url, SECRETS_KEY };
  });
  const place = folder;
  const secretFile = (text = SECRET) => {
    const file = `${place()}/secret`;
    writeFileSync(file, text);
    return file;
  };
  const add = async (name: string, preset: string, secret?: string, ...more: string[]) => {
    const own = secret === undefined ? [] : ['--secret-file', secretFile(secret)];
    const { code, out, err } = await cli(['webhook', 'add', name, '--preset', preset, '--json', ...own, ...more], env);
    expect(code, err).toBe(0);
    return JSON.parse(out) as { wh_id: number; wh_url: string };
  };
  const send = (...argv: string[]) => cli(['send', ...argv], env);
  const contents = async () => {
    await service.settle();
    const answer = await fetch(`${service.url}/whcontent?whid=all&limit=100`, {
      headers: { Authorization: user.auth },
    });
    const { whcontent } = (await answer.json()) as { whcontent: { wh_id: number; request: Record<string, unknown> }[] };
    return whcontent.map(({ wh_id, request: { verified, event_id, event_type } }) => ({
      wh_id,
      verified,
      event_id,
      event_type,
    }));
  };

  test('to the only webhook, with its preset and its stored secret', async () => {
    const { wh_id } = await add('Payments', 'stripe', SECRET);
    const { code, out, err } = await send('--type', 'charge.refunded', '--id', 'evt_1');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^sent +POST .*, signed as Stripe does\ntype +charge.refunded\nid +evt_1\nanswer +200, empty/);
    expect(out).toContain(`curl -u ID:TOKEN '${service.url}/whcontent?whid=${wh_id}&event_id=evt_1'`);
    expect(out).not.toContain(SECRET);
    expect(await contents()).toEqual([{ wh_id, verified: 'signed', event_id: 'evt_1', event_type: 'charge.refunded' }]);
  });

  test('one of several, by id, by name or by its URL; several of them; a body of ones own', async () => {
    const payments = await add('Payments', 'stripe', SECRET);
    const bot = await add('Bot', 'telegram', 'tok_en');
    const list = await add('List', 'mailchimp', 'abc');
    const texts = await add('Texts', 'twilio', 'f'.repeat(32));
    expect((await send()).err).toMatch(/there are 4 webhooks: say which one with --to ID/);
    expect((await send('--to', 'paymnets')).err).toContain('Did you mean Payments?');
    const body = `${place()}/body`;
    writeFileSync(body, '{"id":"evt_9","type":"x","big":true}');
    for (const argv of [
      ['--to', 'payments', '--count', '2'],
      ['--to', String(bot.wh_id)],
      ['--to', 'List'],
      ['--to', 'Texts', '--type', 'failed', '--id', 'SM1/failed'],
      ['--to', payments.wh_url, '--preset', 'stripe', '--secret-file', secretFile(), '--body', body],
    ]) {
      const { code, err } = await send(...argv);
      expect([code, err], argv.join(' ')).toEqual([0, '']);
    }
    const got = await contents();
    expect(got.map(({ wh_id, verified }) => [wh_id, verified])).toEqual([
      [payments.wh_id, 'signed'],
      [payments.wh_id, 'signed'],
      [bot.wh_id, 'token'],
      [list.wh_id, 'token'],
      [texts.wh_id, 'signed'],
      [payments.wh_id, 'signed'],
    ]);
    expect(new Set(got.map(({ event_id }) => event_id)).size).toBe(6);
    expect(got[4]).toMatchObject({ event_id: 'SM1/failed', event_type: 'failed' });
    expect(got[5]).toMatchObject({ event_id: 'evt_9', event_type: 'x' });
    const lines = (await send('--to', 'payments', '--count', '2', '--id', 'same', '--json')).out.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { status: 200, event_id: 'same' },
      { status: 200, event_id: 'same' },
    ]);
  });

  test('--key signs where the secret is a public key', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const other = generateKeyPairSync('ed25519').privateKey;
    const { wh_id } = await add('Chat', 'discord', publicKey.export({ format: 'pem', type: 'spki' }).toString());
    const file = (key: typeof privateKey) => {
      const path = `${place()}/private.pem`;
      writeFileSync(path, key.export({ format: 'pem', type: 'pkcs8' }));
      return path;
    };
    expect(await send('--key', file(privateKey))).toMatchObject({ code: 0, err: '' });
    expect(await contents()).toMatchObject([{ wh_id, verified: 'signed' }]);
    expect(await send('--key', file(other))).toMatchObject({
      code: 2,
      err: expect.stringContaining('does not belong'),
    });
    expect(await send('--key', secretFile())).toMatchObject({
      code: 2,
      err: expect.stringContaining('no private key'),
    });
    const without = await send();
    expect(without.code).toBe(2);
    for (const words of [
      'public key',
      'openssl genpkey -algorithm ed25519',
      `restante webhook set ${wh_id} --secret-file`,
    ])
      expect(without.err).toContain(words);
  });

  test('--print is a command that works, and shows no secret', async () => {
    await add('Payments', 'stripe', SECRET);
    const { code, out, err } = await send('--print', '--id', "it's");
    expect([code, err.trim()]).toEqual([0, "invoice.paid it's\nSend it within 300 s: its time is signed."]);
    expect(out).not.toContain(SECRET);
    await promisify(execFile)('bash', ['-c', `${out.trimEnd()} --fail --silent`]);
    expect(await contents()).toMatchObject([{ verified: 'signed', event_id: "it's" }]);
    await add('Bot', 'telegram', 'tok_en');
    const shown = await send('--print', '--to', 'Bot');
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('X-Telegram-Bot-Api-Secret-Token: SECRET') });
    expect(shown.out + shown.err).not.toContain('tok_en');
  });

  test('an answer that is no 2xx is exit code 1, in words', async () => {
    const { wh_url, wh_id } = await add('Payments', 'stripe', SECRET);
    const wrong = await cli(['send', '--to', wh_url, '--preset', 'stripe'], { ...env, RESTANTE_SECRET: 'whsec_other' });
    expect(wrong.code).toBe(1);
    expect(wrong.out).toMatch(/^answer +401: .*another secret/m);
    expect(wrong.err).toMatch(/the answer was 401.*restante why sample_/);
    expect(await send('--to', `${service.url}/in/nothing`, '--preset', 'strava')).toMatchObject({
      code: 1,
      err: expect.stringContaining('404'),
    });
    await cli(['webhook', 'disable', String(wh_id)], env);
    for (const until = Date.now() + 10_000; Date.now() < until && (await send()).code === 0; ) await sleep(100);
    expect((await send()).out).toMatch(/^answer +503: .*switched off/m);
    const away = await send('--to', 'http://127.0.0.1:1/in/x', '--preset', 'strava');
    expect(away).toMatchObject({ code: 1, err: expect.stringMatching(/cannot be reached.*Is the service running/) });
  });

  test('a webhook without its secret says how to set it', async () => {
    const { wh_id } = await add('Payments', 'stripe');
    expect(await send()).toMatchObject({
      code: 2,
      err: `restante: webhook ${wh_id} has no secret yet: restante webhook set ${wh_id} --secret-file -\n`,
    });
  });
});

describe('what a newcomer gets wrong', () => {
  let env: Env;
  beforeEach(async () => {
    const database = dropped(await migratedDatabase('sqlite'));
    env = { DATABASE_URL: database.url, SECRETS_KEY };
    await cli(['user', 'add'], env);
  });

  test.each([
    [['--preset', 'stirpe'], 'Did you mean stripe?'],
    [['--to', 'http://x.example/in/k'], 'say whose sample it is: --preset NAME'],
    [['--to', 'http://x.example/in/k', '--preset', 'stripe'], 'give it with --secret-file FILE'],
    [['--to', 'ftp://x.example/', '--preset', 'strava'], 'must be an http:// or https:// URL'],
    [['--count', '0'], '--count must be a whole number'],
    [['--type', ''], '--type must not be empty'],
    [[], 'has no webhook yet: restante webhook add'],
    [['--to', 'http://x.example/in/k', '--preset', 'telegram', '--type', 'x', '--print'], 'reads no event type'],
    [['--to', 'http://x.example/in/k', '--verify', '{"scheme":"hmac"}'], 'must say where the signature stands'],
    [['--to', 'http://x.example/in/k', '--verify', '{'], '--verify is not JSON'],
    [['--body', '/nowhere/x', '--preset', 'strava', '--to', 'http://x.example/'], '--body: /nowhere/x cannot be read'],
  ])('asked wrongly: %j', async (argv, words) => {
    const { code, out, err } = await cli(['send', ...argv], env);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(words);
    expect(err.split('\n')).toHaveLength(2);
  });
});

describe('without a database', () => {
  test('every preset can be shown as a command', async () => {
    for (const [name, { verify }] of PRESETS) {
      // What a private key signs.
      if (verify.scheme === 'asymmetric' || /^[erp]s/.test(verify.algorithm ?? '') || name === 'generic') continue;
      const encoding = verify.key_encoding === 'hex' ? 'hex' : 'base64';
      const env = { RESTANTE_SECRET: Buffer.from('a secret').toString(encoding) };
      const { code, out, err } = await cli(
        ['send', '--to', 'https://h.example/in/k', '--preset', name, '--print'],
        env,
      );
      expect([code, out.startsWith('curl ')], name + err).toEqual([0, true]);
    }
  });
});
