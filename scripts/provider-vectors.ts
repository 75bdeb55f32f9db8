// Makes vectors for test/verify/presets/vectors.json with libraries of providers that are no dependency of ours.
import { generateKeyPairSync, sign } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// In an empty folder: npm install braintree@3.40.0 wechatpay-node-v3@2.2.1
// Then here: npx tsx scripts/provider-vectors.ts FOLDER. It prints new vectors, with new keys and times.
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

process.stdout.write(`${JSON.stringify([await braintree(), await wechatpay()], null, 2)}\n`);
