// Makes vectors for test/verify/presets/vectors.json with libraries of providers that are no dependency of ours.
import { generateKeyPairSync, sign } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileRules } from '../src/verify/rules.ts';
import { makeSample, type SignedSample } from '../src/verify/sample.ts';

// In an empty folder: npm install braintree@3.40.0 wechatpay-node-v3@2.2.1 @slack/bolt@5.1.0 square@46.0.0
//   @hubspot/api-client@13.5.0 gocardless-nodejs@10.1.2 @shopify/shopify-api@13.1.0 @linear/sdk@98.0.0 @line/bot-sdk@11.0.0 plivo@4.79.0
// Then here: npx tsx scripts/provider-vectors.ts FOLDER [PRESET…]. It prints new vectors, with new keys and times.
const folder = process.argv[2];
if (folder === undefined) throw new Error('Say in which folder the libraries are.');
const load = createRequire(join(folder, 'package.json'));

interface Braintree {
  readonly Environment: { readonly Sandbox: unknown };
  readonly BraintreeGateway: new (
    config: object,
  ) => {
    readonly webhookTesting: {
      sampleNotification(kind: string, id: string): { readonly bt_signature: string; readonly bt_payload: string };
    };
    readonly webhookNotification: { parse(signature: string, payload: string): Promise<{ readonly kind: string }> };
  };
}

async function braintree() {
  const { BraintreeGateway, Environment } = load('braintree') as Braintree;
  const [publicKey, privateKey] = ['integration_public_key', 'integration_private_key'];
  const gateway = new BraintreeGateway({ environment: Environment.Sandbox, merchantId: 'm', publicKey, privateKey });
  const sample = gateway.webhookTesting.sampleNotification('check', 'my_id');
  await gateway.webhookNotification.parse(sample.bt_signature, sample.bt_payload);
  return {
    name: 'braintree',
    source: 'the library braintree 3.40.0 (scripts/provider-vectors.ts)',
    preset: 'braintree',
    secret: privateKey,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ ...sample }).toString(),
  };
}

interface WechatPay {
  readonly certificates: Record<string, string>;
  readonly prototype: { verifySign(params: object): Promise<boolean> };
}

async function wechatpay() {
  const Pay = load('wechatpay-node-v3') as WechatPay;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const secret = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const [timestamp, nonce, serial] = [String(Math.floor(Date.now() / 1000)), 'c5ac7061fccab6bf3e254dcf98995b8c', '1'];
  const body = '{"id":"EV-2018022511223320873","event_type":"TRANSACTION.SUCCESS","resource_type":"encrypt-resource"}';
  const signature = sign('sha256', Buffer.from(`${timestamp}\n${nonce}\n${body}\n`), privateKey).toString('base64');
  Pay.certificates[serial] = secret;
  if (!(await Pay.prototype.verifySign({ timestamp, nonce, body, serial, signature, apiSecret: '' })))
    throw new Error('The library refuses this signature.');
  return {
    name: 'wechatpay',
    source: 'accepted by the library wechatpay-node-v3 2.2.1 (scripts/provider-vectors.ts)',
    preset: 'wechatpay',
    secret,
    headers: {
      'Wechatpay-Timestamp': timestamp,
      'Wechatpay-Nonce': nonce,
      'Wechatpay-Signature': signature,
      'Wechatpay-Serial': serial,
    },
    body,
    time: Number(timestamp),
  };
}

// Samples of ours, as `restante send` makes them: the library of the provider accepts each, and refuses it with another body.

type Given = SignedSample & {
  readonly text: string;
  readonly secret: string;
  readonly header: (name: string) => string;
};
type Library = Readonly<Record<string, (...given: never[]) => unknown>>;
type Verifier = readonly [preset: string, library: string, secret: string, verify: (given: Given) => unknown];

const call = (library: string, name: string, ...given: unknown[]): unknown =>
  ((load(library) as Library)[name] as (...given: unknown[]) => unknown)(...given);
const hubspot =
  (signatureVersion: string) =>
  ({ text, secret, url, method, header }: Given) => {
    const { Signature } = load('@hubspot/api-client') as { Signature: { isValid(given: object): boolean } };
    const timestamp = Number(header('x-hubspot-request-timestamp'));
    const signature = header(`x-hubspot-signature${signatureVersion === 'v3' ? '-v3' : ''}`);
    return Signature.isValid({
      ...{ signatureVersion, signature, method, url, clientSecret: secret, requestBody: text },
      ...(signatureVersion === 'v3' ? { timestamp } : {}),
    });
  };

const VERIFIERS: readonly Verifier[] = [
  [
    'slack',
    '@slack/bolt',
    '8f742231b10e8888abcd99eee11185a5',
    ({ text, secret, header }) =>
      call('@slack/bolt', 'isValidSlackRequest', {
        signingSecret: secret,
        body: text,
        headers: {
          'x-slack-signature': header('x-slack-signature'),
          'x-slack-request-timestamp': Number(header('x-slack-request-timestamp')),
        },
      }),
  ],
  [
    'square',
    'square',
    'asdf1234',
    ({ text, secret, url, header }) => {
      const { WebhooksHelper } = load('square') as { WebhooksHelper: { verifySignature(given: object): unknown } };
      const signatureHeader = header('x-square-hmacsha256-signature');
      return WebhooksHelper.verifySignature({
        ...{ requestBody: text, signatureHeader, signatureKey: secret, notificationUrl: url },
      });
    },
  ],
  ['hubspot', '@hubspot/api-client', 'client-secret', hubspot('v3')],
  ['hubspot-v1', '@hubspot/api-client', 'client-secret', hubspot('v1')],
  ['hubspot-v2', '@hubspot/api-client', 'client-secret', hubspot('v2')],
  [
    'gocardless',
    'gocardless-nodejs',
    'webhook-endpoint-secret',
    ({ text, secret, header }) => {
      call('gocardless-nodejs/webhooks', 'parse', text, secret, header('webhook-signature'));
      return true;
    },
  ],
  [
    'linear',
    '@linear/sdk',
    'lin_wh_0123456789',
    ({ body, secret, header }) => {
      const { LinearWebhookClient } = load('@linear/sdk/webhooks') as {
        LinearWebhookClient: new (secret: string) => { verify(body: Buffer, signature: string): boolean };
      };
      return new LinearWebhookClient(secret).verify(body, header('linear-signature'));
    },
  ],
  [
    'line',
    '@line/bot-sdk',
    'channel-secret',
    ({ text, secret, header }) => call('@line/bot-sdk', 'validateSignature', text, secret, header('x-line-signature')),
  ],
  [
    'shopify',
    '@shopify/shopify-api',
    '0123456789abcdef0123456789abcdef',
    async ({ text, secret, headers }) => {
      load('@shopify/shopify-api/adapters/node');
      const { shopifyApi, ApiVersion } = load('@shopify/shopify-api') as {
        ApiVersion: Record<string, string>;
        shopifyApi(config: object): { webhooks: { validate(given: object): Promise<{ valid: boolean }> } };
      };
      const { webhooks } = shopifyApi({
        ...{ apiKey: 'key', apiSecretKey: secret, hostName: 'hooks.example.org', isEmbeddedApp: false },
        ...{ apiVersion: Object.values(ApiVersion)[0], logger: { log: () => {} } },
      });
      const named = Object.fromEntries(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]]] : [])));
      // It wants headers that name the shop as well; they are not signed.
      const shop = { 'X-Shopify-API-Version': '2026-10', 'X-Shopify-Shop-Domain': 'a.myshopify.com' };
      const rawRequest = { method: 'POST', url: '/', headers: { ...named, ...shop } };
      return (await webhooks.validate({ rawBody: text, rawRequest, rawResponse: {} })).valid;
    },
  ],
  [
    'plivo',
    'plivo',
    'auth-token',
    ({ text, secret, url, header }) =>
      call(
        ...(['plivo', 'validateV3Signature', 'POST', url, header('x-plivo-signature-v3-nonce'), secret] as const),
        ...[header('x-plivo-signature-v3'), Object.fromEntries(new URLSearchParams(text))],
      ),
  ],
];

async function accepts(verify: Verifier[3], given: Given): Promise<boolean> {
  try {
    return (await verify(given)) === true;
  } catch {
    return false;
  }
}

async function sampleOf([preset, library, secret, verify]: Verifier) {
  const nowMs = Math.floor(Date.now() / 1000) * 1000;
  const { version } = load(join(folder ?? '', 'node_modules', library, 'package.json')) as { version: string };
  const url = 'https://hooks.example.org/in/KEY';
  const sample = makeSample({ rules: compileRules({ preset }), secret, url, nowMs, nonce: 'c0ffee'.repeat(4) });
  const { headers, body } = sample;
  const header = (name: string): string => headers[headers.findIndex((one) => one.toLowerCase() === name) + 1] ?? '';
  const given = { ...sample, secret, header, text: body.toString() };
  if (!(await accepts(verify, given))) throw new Error(`${library} refuses the sample of ${preset}.`);
  const other = Buffer.concat([body, Buffer.from('x')]);
  if (await accepts(verify, { ...given, body: other, text: other.toString() }))
    throw new Error(`${library} accepts another body than that of ${preset}.`);
  return {
    name: `${preset}: a sample of ours`,
    source: `accepted by the library ${library} ${version} (scripts/provider-vectors.ts)`,
    ...{ preset, secret, url },
    headers: Object.fromEntries(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]]] : []))),
    body: given.text,
    time: nowMs / 1000,
  };
}

const wanted = process.argv.slice(3);
const all = VERIFIERS.filter(([preset]) => wanted.length === 0 || wanted.includes(preset));
const own = wanted.length === 0 ? [await braintree(), await wechatpay()] : [];
const made = [];
for (const one of all) made.push(await sampleOf(one));
process.stdout.write(`${JSON.stringify([...own, ...made], null, 2)}\n`);
