// Signs requests as each provider documents it, by WebCrypto and by hand: an implementation that shares nothing with ours.
import { createHash, createHmac, createSign, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { VerifyInput } from '../../../src/schema/webhooks.ts';
import { readCertificate } from '../../../src/verify/certificate.ts';
import type { Certificate, Incoming } from '../../../src/verify/request.ts';
import { issue } from '../../support/vendor.ts';
import { NOW_MS, request } from './request.ts';

export interface Sender {
  /** A secret of the right shape; with a public key what the provider signs with stands beside it. */
  keys(): { readonly secret: string; readonly signing: string };
  /** A body as this provider sends it. */
  readonly body: string;
  send(given: { signing: string; body: string; nowMs: number; url: string }): Promise<Sent>;
  /** Seconds that the time may be off; 0: none is checked. */
  readonly window: number;
  /** The signature says nothing of the body. */
  readonly coversBody?: false;
  readonly event: { readonly id: string | null; readonly type: string | null };
  /** What the owner has to say beside the preset. */
  readonly verify?: VerifyInput;
  /** What its provider shows at the URL that its requests name, where it signs by a certificate. */
  readonly certificate?: { readonly url: string; readonly pem: string };
}
export interface Sent {
  readonly incoming: Incoming;
  /** As it stands in a header, or in the body. */
  readonly signature: string;
}

const text = new TextEncoder();
type Digest = 'SHA-256' | 'SHA-1' | 'SHA-512';

async function hmac(hash: Digest, key: Uint8Array, message: string): Promise<Buffer> {
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), { name: 'HMAC', hash }, false, ['sign']);
  return Buffer.from(await crypto.subtle.sign('HMAC', imported, text.encode(message)));
}
const hex = async (key: string, message: string, hash: Digest = 'SHA-256') =>
  (await hmac(hash, text.encode(key), message)).toString('hex');
const base64 = async (key: string, message: string, hash: Digest = 'SHA-256') =>
  (await hmac(hash, text.encode(key), message)).toString('base64');

const random = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes)));
const words = () => {
  const secret = random(20).toString('hex');
  return { secret, signing: secret };
};
const seconds = (ms: number) => String(Math.floor(ms / 1000));
const JSON_TYPE = { 'Content-Type': 'application/json' };

/** The signature stands in headers. */
const sender = (
  body: string,
  event: Sender['event'],
  headers: (
    key: string,
    given: { body: string; nowMs: number; url: string },
  ) => Promise<readonly [string, Readonly<Record<string, string>>]>,
  rest: Partial<Sender> = {},
): Sender => ({
  keys: words,
  body,
  event,
  window: 0,
  async send({ signing, ...given }) {
    const [signature, extra] = await headers(signing, given);
    return { signature, incoming: request({ ...given, headers: { ...JSON_TYPE, ...extra } }) };
  },
  ...rest,
});

const standard = (
  prefix: 'webhook' | 'svix',
  more: Readonly<Record<string, string>> = {},
  type = 'a.b',
  tag = '',
): Sender =>
  sender(
    '{"type":"a.b","data":{}}',
    { id: 'msg_1', type },
    async (key, { body, nowMs }) => {
      const raw = Buffer.from(key.replace(/.*whsec_/, ''), 'base64');
      const signature = (await hmac('SHA-256', raw, `msg_1.${seconds(nowMs)}.${body}`)).toString('base64');
      const own = { id: 'msg_1', timestamp: seconds(nowMs), signature: `v1,${signature}` };
      return [
        signature,
        { ...more, ...Object.fromEntries(Object.entries(own).map(([name, value]) => [`${prefix}-${name}`, value])) },
      ];
    },
    {
      window: 300,
      keys() {
        const secret = `${tag}whsec_${random(24).toString('base64')}`;
        return { secret, signing: secret };
      },
    },
  );

/** `{name}={hex of the HMAC of the body}` in one header. */
const hub = (
  header: string,
  name: string,
  body: string,
  event: Sender['event'],
  more: Readonly<Record<string, string>> = {},
  hash: Digest = 'SHA-256',
): Sender =>
  sender(body, event, async (key, given) => {
    const signature = await hex(key, given.body, hash);
    return [signature, { ...more, [header]: `${name}=${signature}` }];
  });

/** The secret itself is sent. */
const token = (
  body: string,
  event: Sender['event'],
  where: (key: string) => { readonly headers?: Readonly<Record<string, string>>; readonly query?: string },
  rest: Partial<Sender> = {},
): Sender => ({
  keys: words,
  body,
  event,
  window: 0,
  coversBody: false,
  async send({ signing, body: sent, nowMs, url }) {
    const { headers = {}, query } = where(signing);
    const target = query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url;
    return {
      signature: signing,
      incoming: request({ body: sent, nowMs, url: target, headers: { ...JSON_TYPE, ...headers } }),
    };
  },
  ...rest,
});
const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' };
const plain = (hash: 'sha1' | 'sha256', message: string) => createHash(hash).update(message).digest('hex');

/** A JSON Web Token; by hand, as WebCrypto has no other way to write it than ours. */
const jwt = (claims: object, sign: (text: string) => Buffer, header: object): string => {
  const written = [{ typ: 'JWT', ...header }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${written.join('.')}.${sign(written.join('.')).toString('base64url')}`;
};
const signedJwt = (
  body: string,
  event: Sender['event'],
  header: string,
  claims: (given: { body: string; nowMs: number; url: string }) => object,
  rest: Partial<Sender> = {},
): Sender =>
  sender(
    body,
    event,
    async (key, given) => {
      const signed = jwt(claims(given), (text) => createHmac('sha256', key).update(text).digest(), { alg: 'HS256' });
      return [signed, { [header]: header === 'Authorization' ? `Bearer ${signed}` : signed }];
    },
    rest,
  );
/** A token that a private key signs; its secret is a set of keys. */
const jwtKeys = (kind: 'rsa' | 'ec') => () => {
  const { publicKey, privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' };
  return {
    secret: JSON.stringify(kind === 'rsa' ? { keys: [key] } : key),
    signing: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
};
const rsaKeys = () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    secret: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    signing: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
};
const basic = (body: string, event: Sender['event']): Sender =>
  token(body, event, (key) => ({ headers: { Authorization: `Basic ${key}` } }), { keys: basicKeys });
const basicKeys = () => {
  const secret = `hook:${random(20).toString('hex')}`;
  return { secret, signing: Buffer.from(secret).toString('base64') };
};
const PUSHER = 'push@project.iam.gserviceaccount.com';
const hexKeys = () => {
  const secret = random(32).toString('hex').toUpperCase();
  return { secret, signing: secret };
};

// Of our own, for the names of theirs; they count at NOW_MS as they do today.
const YEAR_MS = 365 * 86_400_000;
const certified = (name: string, url: string) => {
  const { pem, privateKey } = issue(name, { from: NOW_MS - YEAR_MS, to: NOW_MS + 20 * YEAR_MS });
  const found = readCertificate(pem, new RegExp(`^${name.replaceAll('.', '\\.')}$`)) as Certificate;
  return { url, pem, privateKey, certificates: new Map([[url, found]]) };
};
const SNS = certified(
  'sns.amazonaws.com',
  `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${'a'.repeat(32)}.pem`,
);
const PAYPAL = certified(
  'messageverificationcerts.paypal.com',
  'https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77',
);

const META =
  '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"id":"wamid.1","text":{"body":"\\u00e4 \\/"}}]}}]}]}';
const HUBSPOT_CODES = { '%3A': ':', '%2F': '/', '%40': '@', '%2C': ',' };

export const SENDERS: Readonly<Record<string, Sender>> = {
  stripe: sender(
    '{"id":"evt_1","object":"event","type":"charge.succeeded"}',
    { id: 'evt_1', type: 'charge.succeeded' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `${seconds(nowMs)}.${body}`);
      return [signature, { 'Stripe-Signature': `t=${seconds(nowMs)},v1=${signature},v0=${'0'.repeat(64)}` }];
    },
    { window: 300 },
  ),
  twilio: {
    keys: words,
    window: 0,
    body: 'MessageSid=SM1&SmsStatus=received&From=whatsapp%3A%2B14155238886&Body=Gr%C3%BC%C3%9Fe+%F0%9F%91%8B&NumMedia=&To=b',
    event: { id: 'SM1', type: 'received' },
    async send({ signing, body, nowMs, url }) {
      const params = [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : 1));
      const signature = await base64(signing, url + params.flat().join(''), 'SHA-1');
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Twilio-Signature': signature };
      return { signature, incoming: request({ body, nowMs, url, headers }) };
    },
  },
  github: hub(
    'X-Hub-Signature-256',
    'sha256',
    '{"action":"opened"}',
    { id: 'guid-1', type: 'issues' },
    {
      'X-GitHub-Delivery': 'guid-1',
      'X-GitHub-Event': 'issues',
    },
  ),
  shopify: sender('{"id":820982911946154508}', { id: 'b54557e4', type: 'orders/create' }, async (key, { body }) => {
    const signature = await base64(key, body);
    return [
      signature,
      { 'X-Shopify-Hmac-SHA256': signature, 'X-Shopify-Webhook-Id': 'b54557e4', 'X-Shopify-Topic': 'orders/create' },
    ];
  }),
  slack: sender(
    '{"type":"event_callback","event_id":"Ev1","event":{"type":"message"}}',
    { id: 'Ev1', type: 'message' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `v0:${seconds(nowMs)}:${body}`);
      return [signature, { 'X-Slack-Request-Timestamp': seconds(nowMs), 'X-Slack-Signature': `v0=${signature}` }];
    },
    { window: 300 },
  ),
  meta: hub('X-Hub-Signature-256', 'sha256', META, { id: 'wamid.1', type: 'messages' }),
  'standard-webhooks': standard('webhook'),
  svix: standard('svix'),
  'gitlab-signing': standard('webhook', { 'X-Gitlab-Event': 'Push Hook' }, 'Push Hook'),
  square: sender(
    '{"event_id":"e1","type":"payment.created"}',
    { id: 'e1', type: 'payment.created' },
    async (key, { body, url }) => {
      const signature = await base64(key, url + body);
      return [signature, { 'x-square-hmacsha256-signature': signature }];
    },
  ),
  paddle: sender(
    '{"event_id":"evt_01","event_type":"transaction.paid","notification_id":"ntf_01"}',
    { id: 'evt_01', type: 'transaction.paid' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `${seconds(nowMs)}:${body}`);
      return [signature, { 'Paddle-Signature': `ts=${seconds(nowMs)};h1=${signature}` }];
    },
    { window: 300 },
  ),
  hubspot: sender(
    '[{"eventId":1,"subscriptionId":2,"occurredAt":1564113600000,"subscriptionType":"contact.creation"}]',
    { id: '1/2/1564113600000', type: 'contact.creation' },
    async (key, { body, nowMs, url }) => {
      let decoded = url;
      for (const [code, character] of Object.entries(HUBSPOT_CODES)) decoded = decoded.replaceAll(code, character);
      const signature = await base64(key, `POST${decoded}${body}${nowMs}`);
      return [signature, { 'X-HubSpot-Request-Timestamp': String(nowMs), 'X-HubSpot-Signature-v3': signature }];
    },
    { window: 300 },
  ),
  zoom: sender(
    '{"event":"meeting.started","event_ts":1,"payload":{"plainToken":"no"}}',
    { id: 'sha256:fa6d1c08', type: 'meeting.started' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `v0:${seconds(nowMs)}:${body}`);
      return [signature, { 'x-zm-request-timestamp': seconds(nowMs), 'x-zm-signature': `v0=${signature}` }];
    },
    { window: 300 },
  ),
  calendly: sender(
    '{"event":"invitee.created","created_at":"2026-11-22T10:00:00Z"}',
    { id: 'sha256:', type: 'invitee.created' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `${seconds(nowMs)}.${body}`);
      return [signature, { 'Calendly-Webhook-Signature': `t=${seconds(nowMs)},v1=${signature}` }];
    },
    { window: 300 },
  ),
  typeform: sender(
    '{"event_id":"01H","event_type":"form_response"}',
    { id: '01H', type: 'form_response' },
    async (key, { body }) => {
      const signature = await base64(key, body);
      return [signature, { 'Typeform-Signature': `sha256=${signature}` }];
    },
  ),
  zendesk: sender(
    '{"type":"zen:event-type:ticket.created"}',
    { id: 'inv-1', type: 'zen:event-type:ticket.created' },
    async (key, { body, nowMs }) => {
      const time = new Date(nowMs).toISOString().replace(/\.\d+/, '');
      const signature = await base64(key, time + body);
      return [
        signature,
        {
          'X-Zendesk-Webhook-Signature': signature,
          'X-Zendesk-Webhook-Signature-Timestamp': time,
          'X-Zendesk-Webhook-Invocation-Id': 'inv-1',
        },
      ];
    },
  ),
  intercom: hub(
    'X-Hub-Signature',
    'sha1',
    '{"id":"notif_1","topic":"user.created"}',
    { id: 'notif_1', type: 'user.created' },
    {},
    'SHA-1',
  ),
  notion: hub('X-Notion-Signature', 'sha256', '{"id":"n1","type":"page.created","attempt_number":1}', {
    id: 'n1',
    type: 'page.created',
  }),
  airtable: {
    ...sender(
      '{"base":{"id":"app1"},"timestamp":"2022-02-01T21:25:05.663Z"}',
      { id: 'sha256:', type: null },
      async (key, { body }) => {
        const signature = (await hmac('SHA-256', Buffer.from(key, 'base64'), body)).toString('hex');
        return [signature, { 'X-Airtable-Content-MAC': `hmac-sha256=${signature}` }];
      },
    ),
    keys() {
      const secret = random(64).toString('base64');
      return { secret, signing: secret };
    },
  },
  gitlab: sender(
    '{"object_kind":"push"}',
    { id: 'f5e5f430', type: 'Push Hook' },
    async (key) => [key, { 'X-Gitlab-Token': key, 'Idempotency-Key': 'f5e5f430', 'X-Gitlab-Event': 'Push Hook' }],
    { coversBody: false },
  ),
  bitbucket: hub(
    'X-Hub-Signature',
    'sha256',
    '{"push":{}}',
    { id: 'uuid-1', type: 'repo:push' },
    {
      'X-Request-UUID': 'uuid-1',
      'X-Event-Key': 'repo:push',
    },
  ),
  'bitbucket-server': hub(
    'X-Hub-Signature',
    'sha256',
    '{"eventKey":"repo:refs_changed"}',
    { id: 'r1', type: 'repo:refs_changed' },
    { 'X-Request-Id': 'r1', 'X-Event-Key': 'repo:refs_changed' },
  ),
  jira: hub(
    'X-Hub-Signature',
    'sha256',
    '{"webhookEvent":"jira:issue_updated"}',
    { id: 'j1', type: 'jira:issue_updated' },
    {
      'X-Atlassian-Webhook-Identifier': 'j1',
    },
  ),
  linear: {
    ...sender('', { id: 'd1', type: 'Issue/update' }, async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'Linear-Signature': signature, 'Linear-Delivery': 'd1', 'Linear-Event': 'Issue' }];
    }),
    body: '{"action":"update","webhookTimestamp":NOW}',
    window: 60,
  },
  discord: {
    keys() {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      return {
        secret: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'),
        signing: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      };
    },
    window: 0,
    body: '{"version":1,"application_id":"1","type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}',
    event: { id: 'sha256:', type: 'APPLICATION_AUTHORIZED' },
    async send({ signing, body, nowMs, url }) {
      const signature = signWith(null, Buffer.from(seconds(nowMs) + body), signing).toString('hex');
      const headers = { ...JSON_TYPE, 'X-Signature-Timestamp': seconds(nowMs), 'X-Signature-Ed25519': signature };
      return { signature, incoming: request({ body, nowMs, url, headers }) };
    },
  },
  sendgrid: {
    keys() {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
      return {
        secret: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
        signing: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      };
    },
    window: 0,
    body: '[{"event":"delivered","sg_event_id":"sg1"}]\r\n',
    event: { id: 'sg1', type: 'delivered' },
    async send({ signing, body, nowMs, url }) {
      const signature = signWith('sha256', Buffer.from(seconds(nowMs) + body), signing).toString('base64');
      const headers = {
        ...JSON_TYPE,
        'X-Twilio-Email-Event-Webhook-Timestamp': seconds(nowMs),
        'X-Twilio-Email-Event-Webhook-Signature': signature,
      };
      return { signature, incoming: request({ body, nowMs, url, headers }) };
    },
  },
  mailgun: {
    keys: words,
    window: 43_200,
    coversBody: false,
    body: '"event-data":{"event":"delivered","id":"G9Bn5sl1TC6nu79C8C0bwg"}',
    event: { id: 'G9Bn5sl1TC6nu79C8C0bwg', type: 'delivered' },
    async send({ signing, body, nowMs, url }) {
      const token = random(25).toString('hex');
      const signature = await hex(signing, seconds(nowMs) + token);
      const whole = `{"signature":{"token":"${token}","timestamp":"${seconds(nowMs)}","signature":"${signature}"},${body}}`;
      return { signature, incoming: request({ body: whole, nowMs, url, headers: JSON_TYPE }) };
    },
  },
  msgraph: {
    keys: words,
    window: 0,
    coversBody: false,
    body: '"changeType":"created","id":"n-1"',
    event: { id: 'n-1', type: 'created' },
    async send({ signing, body, nowMs, url }) {
      const whole = `{"value":[{"clientState":"${signing}",${body}}]}`;
      return { signature: signing, incoming: request({ body: whole, nowMs, url, headers: JSON_TYPE }) };
    },
  },
  dropbox: sender('{"list_folder":{"accounts":["dbid:1"]}}', { id: null, type: null }, async (key, { body }) => {
    const signature = await hex(key, body);
    return [signature, { 'X-Dropbox-Signature': signature }];
  }),
  asana: sender(
    '{"events":[{"user":{"gid":"1"},"action":"changed","resource":{"gid":"2","resource_type":"task"}}]}',
    { id: 'sha256:', type: 'task/changed' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'X-Hook-Signature': signature }];
    },
  ),
  eventgrid: {
    keys: words,
    window: 0,
    coversBody: false,
    body: '[{"id":"e-1","topic":"/t","subject":"s","eventType":"Microsoft.Storage.BlobCreated","data":{}}]',
    event: { id: 'e-1', type: 'Microsoft.Storage.BlobCreated' },
    async send({ signing, body, nowMs, url }) {
      const headers = { ...JSON_TYPE, 'aeg-event-type': 'Notification' };
      return { signature: signing, incoming: request({ body, nowMs, url: `${url}&secret=${signing}`, headers }) };
    },
  },
  cloudevents: sender(
    '{"hello":1}',
    { id: '/sensors/1/A234', type: 'com.example.measured' },
    async (key) => [
      key,
      {
        Authorization: `Bearer ${key}`,
        'ce-specversion': '1.0',
        'ce-type': 'com.example.measured',
        'ce-source': '/sensors/1',
        'ce-id': 'A234',
      },
    ],
    { coversBody: false },
  ),
  woocommerce: sender(
    '{"id":727}',
    { id: `d1/sha256:${plain('sha256', '{"id":727}')}`, type: 'order.created' },
    async (key, { body }) => {
      const signature = await base64(key, body);
      return [
        signature,
        {
          'X-WC-Webhook-Signature': signature,
          'X-WC-Webhook-Delivery-ID': 'd1',
          'X-WC-Webhook-Topic': 'order.created',
        },
      ];
    },
  ),
  bigcommerce: sender(
    '{"scope":"store/order/updated","data":{"type":"order","id":1},"hash":"3f9ea420"}',
    { id: '3f9ea420', type: 'store/order/updated' },
    async (key, { body, nowMs }) => {
      const signature = await base64(key, `m1.${seconds(nowMs)}.${body}`);
      const own = { id: 'm1', timestamp: seconds(nowMs), signature: `v1,${signature}` };
      return [signature, Object.fromEntries(Object.entries(own).map(([name, value]) => [`webhook-${name}`, value]))];
    },
    { window: 300 },
  ),
  razorpay: sender(
    '{"entity":"event","event":"payment.captured"}',
    { id: 'E1', type: 'payment.captured' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'X-Razorpay-Signature': signature, 'X-Razorpay-Event-Id': 'E1' }];
    },
  ),
  gocardless: sender(
    '{"events":[{"id":"EV1","resource_type":"mandates","action":"created"}],"meta":{"webhook_id":"WB1"}}',
    { id: 'WB1', type: 'mandates/created' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'Webhook-Signature': signature }];
    },
  ),
  wechatpay: {
    keys: rsaKeys,
    window: 300,
    body: '{"id":"EV-2018022511223320873","event_type":"TRANSACTION.SUCCESS"}',
    event: { id: 'EV-2018022511223320873', type: 'TRANSACTION.SUCCESS' },
    async send({ signing, body, nowMs, url }) {
      const message = `${seconds(nowMs)}\nn0nce\n${body}\n`;
      const signature = signWith('sha256', Buffer.from(message), signing).toString('base64');
      const headers = {
        ...JSON_TYPE,
        'Wechatpay-Timestamp': seconds(nowMs),
        'Wechatpay-Nonce': 'n0nce',
        'Wechatpay-Signature': signature,
      };
      return { signature, incoming: request({ body, nowMs, url, headers }) };
    },
  },
  xero: sender(
    '{"events":[{"resourceId":"r1","eventCategory":"INVOICE","eventType":"UPDATE"}],"lastEventSequence":1,"firstEventSequence":1,"entropy":"S0m3r4Nd0mt3xt"}',
    { id: 'sha256:', type: 'INVOICE/UPDATE' },
    async (key, { body }) => {
      const signature = await base64(key, body);
      return [signature, { 'x-xero-signature': signature }];
    },
  ),
  telegram: token('{"update_id":10000,"message":{"text":"hi"}}', { id: '10000', type: null }, (key) => ({
    headers: { 'X-Telegram-Bot-Api-Secret-Token': key },
  })),
  line: sender(
    '{"destination":"U1","events":[{"type":"message","webhookEventId":"01FZ","deliveryContext":{"isRedelivery":false}}]}',
    { id: '01FZ', type: 'message' },
    async (key, { body }) => {
      const signature = await base64(key, body);
      return [signature, { 'x-line-signature': signature }];
    },
  ),
  twitch: sender(
    '{"subscription":{"type":"stream.online"},"event":{}}',
    { id: 'tw1', type: 'notification/stream.online' },
    async (key, { body, nowMs }) => {
      // Nanoseconds, as Twitch writes them.
      const time = new Date(nowMs).toISOString().replace('Z', '000000Z');
      const signature = await hex(key, `tw1${time}${body}`);
      return [
        signature,
        {
          'Twitch-Eventsub-Message-Id': 'tw1',
          'Twitch-Eventsub-Message-Timestamp': time,
          'Twitch-Eventsub-Message-Type': 'notification',
          'Twitch-Eventsub-Subscription-Type': 'stream.online',
          'Twitch-Eventsub-Message-Signature': `sha256=${signature}`,
        },
      ];
    },
    { window: 600 },
  ),
  webex: sender(
    '{"id":"w1","resource":"messages","event":"created","data":{"id":"m1"}}',
    { id: null, type: 'messages/created' },
    async (key, { body }) => {
      const signature = await hex(key, body, 'SHA-1');
      return [signature, { 'X-Spark-Signature': signature }];
    },
  ),
  teams: {
    ...sender(
      '{"type":"message","id":"1485983408511","text":"hi"}',
      { id: '1485983408511', type: 'message' },
      async (key, { body }) => {
        const signature = (await hmac('SHA-256', Buffer.from(key, 'base64'), body)).toString('base64');
        return [signature, { Authorization: `HMAC ${signature}` }];
      },
    ),
    keys() {
      const secret = random(32).toString('base64');
      return { secret, signing: secret };
    },
  },
  mailchimp: token(
    'type=subscribe&fired_at=2009-03-26+21%3A35%3A57&data%5Bid%5D=8a25ff1d98',
    { id: 'sha256:', type: 'subscribe' },
    (key) => ({ query: `secret=${key}`, headers: FORM_TYPE }),
  ),
  mandrill: sender(
    'mandrill_events=%5B%7B%22event%22%3A%22send%22%2C%22_id%22%3A%22%C3%A4%22%7D%5D',
    { id: 'sha256:', type: null },
    async (key, { body, url }) => {
      const params = [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : 1));
      const signature = await base64(key, url + params.flat().join(''), 'SHA-1');
      return [signature, { ...FORM_TYPE, 'X-Mandrill-Signature': signature }];
    },
  ),
  klaviyo: sender(
    '{"data":[{"topic":"event:klaviyo.sent_sms","external_id":"4vRpBT"}],"meta":{"klaviyo_webhook_id":"k1"}}',
    { id: '4vRpBT', type: 'event:klaviyo.sent_sms' },
    async (key, { body, nowMs }) => {
      const time = new Date(nowMs).toUTCString();
      const signature = await hex(key, body + time);
      return [signature, { 'Klaviyo-Signature': signature, 'Klaviyo-Timestamp': time, 'Klaviyo-Webhook-Id': 'k1' }];
    },
  ),
  trello: sender(
    '{"action":{"id":"51f9424bcd6e040f3c002412","type":"updateCard"},"model":{"name":"ä"}}',
    { id: '51f9424bcd6e040f3c002412', type: 'updateCard' },
    async (key, { body, url }) => {
      const signature = await base64(key, body + url, 'SHA-1');
      return [signature, { 'X-Trello-Webhook': signature }];
    },
  ),
  'azure-devops': basic('{"subscriptionId":"s1","notificationId":1,"id":"e1","eventType":"git.push"}', {
    id: 's1/e1',
    type: 'git.push',
  }),
  okta: token(
    '{"eventType":"com.okta.event_hook","eventId":"b5a188b9","data":{"events":[{"uuid":"u1","eventType":"user.session.start"}]}}',
    { id: 'b5a188b9', type: 'user.session.start' },
    (key) => ({ headers: { Authorization: key } }),
  ),
  salesforce: token(
    '<?xml version="1.0"?><soapenv:Envelope><soapenv:Body><notifications><OrganizationId>00D1</OrganizationId></notifications></soapenv:Body></soapenv:Envelope>',
    { id: 'sha256:', type: null },
    (key) => ({ query: `secret=${key}`, headers: { 'Content-Type': 'text/xml; charset=utf-8' } }),
  ),
  cloudinary: sender(
    '{"notification_type":"upload","timestamp":"2021-08-16T14:58:07+00:00"}',
    { id: 'sha256:', type: 'upload' },
    async (key, { body, nowMs }) => {
      const signature = plain('sha1', body + seconds(nowMs) + key);
      return [signature, { 'X-Cld-Timestamp': seconds(nowMs), 'X-Cld-Signature': signature }];
    },
    { window: 7200 },
  ),
  supabase: standard('webhook', {}, 'a.b', 'v1,'),
  'standard-webhooks-v1a': {
    keys() {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      return {
        secret: `whpk_${publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`,
        signing: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      };
    },
    window: 300,
    body: '{"type":"a.b","data":{}}',
    event: { id: 'msg_1', type: 'a.b' },
    async send({ signing, body, nowMs, url }) {
      const signature = signWith(null, Buffer.from(`msg_1.${seconds(nowMs)}.${body}`), signing).toString('base64');
      const headers = {
        ...JSON_TYPE,
        'webhook-id': 'msg_1',
        'webhook-timestamp': seconds(nowMs),
        'webhook-signature': `v1,${'A'.repeat(43)}= v1a,${signature}`,
      };
      return { signature, incoming: request({ body, nowMs, url, headers }) };
    },
  },
  'hubspot-v1': sender(
    '[{"eventId":1,"subscriptionId":2,"occurredAt":1564113600000,"subscriptionType":"contact.creation"}]',
    { id: '1/2/1564113600000', type: 'contact.creation' },
    async (key, { body }) => {
      const signature = plain('sha256', key + body);
      return [signature, { 'X-HubSpot-Signature-Version': 'v1', 'X-HubSpot-Signature': signature }];
    },
  ),
  // Over the URL as it was sent; `hubspot` signs the decoded one.
  'hubspot-v2': sender('{"callbackId":"ap-1","vid":1}', { id: 'ap-1', type: null }, async (key, { body, url }) => {
    const signature = plain('sha256', `${key}POST${url}${body}`);
    return [signature, { 'X-HubSpot-Signature-Version': 'v2', 'X-HubSpot-Signature': signature }];
  }),

  adyen: {
    keys: hexKeys,
    window: 0,
    coversBody: false,
    body: '{"live":"false","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"SIGNATURE"},"amount":{"currency":"EUR","value":1130},"pspReference":"7914073381342284","eventCode":"AUTHORISATION","merchantAccountCode":"TestMerchant","merchantReference":"ä:\\1","success":"true"}}]}',
    event: { id: '7914073381342284/AUTHORISATION/true', type: 'AUTHORISATION' },
    async send({ signing, body, nowMs, url }) {
      const message = '7914073381342284::TestMerchant:ä:\\1:1130:EUR:AUTHORISATION:true';
      const signature = (await hmac('SHA-256', Buffer.from(signing, 'hex'), message)).toString('base64');
      const sent = body.replace('ä:\\1', 'ä:\\\\1').replace('SIGNATURE', signature);
      return { signature, incoming: request({ body: sent, nowMs, url, headers: JSON_TYPE }) };
    },
  },
  mercadopago: {
    keys: words,
    window: 0,
    coversBody: false,
    body: '{"id":12345,"type":"payment","action":"payment.created","data":{"id":"AbC9"}}',
    event: { id: '12345', type: 'payment.created' },
    async send({ signing, body, nowMs, url }) {
      const signature = await hex(signing, `id:abc9;request-id:r-1;ts:${seconds(nowMs)};`);
      const headers = {
        ...JSON_TYPE,
        'x-request-id': 'r-1',
        'x-signature': `ts=${seconds(nowMs)},v1=${signature}`,
      };
      return { signature, incoming: request({ body, nowMs, url: `${url}&data.id=AbC9&type=payment`, headers }) };
    },
  },
  braintree: {
    keys: words,
    window: 0,
    coversBody: false,
    body: `bt_payload=${encodeURIComponent(`${Buffer.from('<notification><kind>check</kind></notification>').toString('base64')}\n`)}`,
    event: { id: 'sha256:', type: null },
    async send({ signing, body, nowMs, url }) {
      const key = createHash('sha1').update(signing).digest();
      const payload = new URLSearchParams(body).get('bt_payload') ?? '';
      const signature = (await hmac('SHA-1', key, payload)).toString('hex');
      const pairs = `other_key|${'0'.repeat(40)}&our_key|${signature}`;
      const sent = `${body}&bt_signature=${encodeURIComponent(pairs)}&a=1`;
      return { signature, incoming: request({ body: sent, nowMs, url, headers: FORM_TYPE }) };
    },
  },
  plaid: {
    ...sender(
      '{\n  "webhook_type": "TRANSACTIONS",\n  "webhook_code": "SYNC_UPDATES_AVAILABLE",\n  "item_id": "i1"\n}',
      { id: 'sha256:', type: 'TRANSACTIONS/SYNC_UPDATES_AVAILABLE' },
      async (key, { body, nowMs }) => {
        const claims = { iat: Number(seconds(nowMs)), request_body_sha256: plain('sha256', body) };
        const sign = (text: string) => signWith('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
        const signed = jwt(claims, sign, { alg: 'ES256', kid: 'k1' });
        return [signed, { 'Plaid-Verification': signed }];
      },
      { window: 300 },
    ),
    keys: jwtKeys('ec'),
  },
  paystack: sender(
    '{"event":"charge.success","data":{"id":302961}}',
    { id: 'charge.success/302961', type: 'charge.success' },
    async (key, { body }) => {
      const signature = await hex(key, body, 'SHA-512');
      return [signature, { 'x-paystack-signature': signature }];
    },
  ),
  flutterwave: token(
    '{"event":"charge.completed","data":{"id":285959875}}',
    { id: 'charge.completed/285959875', type: 'charge.completed' },
    (key) => ({ headers: { 'verif-hash': key } }),
  ),
  'coinbase-commerce': sender(
    '{"attempt_number":1,"event":{"id":"24934862","type":"charge:confirmed"}}',
    { id: '24934862', type: 'charge:confirmed' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'X-CC-Webhook-Signature': signature }];
    },
  ),
  lemonsqueezy: sender(
    '{"meta":{"event_name":"order_created"},"data":{"id":"1"}}',
    { id: 'sha256:', type: 'order_created' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'X-Signature': signature, 'X-Event-Name': 'order_created' }];
    },
  ),
  chargebee: basic('{"id":"ev_1","event_type":"subscription_created"}', { id: 'ev_1', type: 'subscription_created' }),
  wise: {
    ...sender(
      '{"data":{"resource":{"id":1}},"event_type":"transfers#state-change","schema_version":"2.0.0"}',
      { id: 'd-1', type: 'transfers#state-change' },
      async (key, { body }) => {
        const signature = signWith('sha256', Buffer.from(body), key).toString('base64');
        return [signature, { 'X-Signature-SHA256': signature, 'X-Delivery-Id': 'd-1' }];
      },
    ),
    keys: rsaKeys,
  },
  box: sender(
    '{"type":"webhook_event","id":"eb0c4e06","trigger":"FILE.UPLOADED"}',
    { id: 'eb0c4e06', type: 'FILE.UPLOADED' },
    async (key, { body, nowMs }) => {
      const time = new Date(nowMs).toISOString().replace(/\.\d+Z/, '-00:00');
      const signature = await base64(key, body + time);
      return [
        signature,
        {
          'BOX-DELIVERY-TIMESTAMP': time,
          'BOX-SIGNATURE-PRIMARY': await base64('the other key', body + time),
          'BOX-SIGNATURE-SECONDARY': signature,
        },
      ];
    },
    { window: 600 },
  ),
  docusign: sender(
    '{"event":"envelope-completed","data":{"envelopeId":"1"}}',
    { id: 'sha256:', type: 'envelope-completed' },
    async (key, { body }) => {
      const signature = await base64(key, body);
      return [
        signature,
        { 'X-DocuSign-Signature-1': await base64('the other key', body), 'X-DocuSign-Signature-2': signature },
      ];
    },
  ),
  x: sender('{"for_user_id":"1","tweet_create_events":[]}', { id: 'sha256:', type: null }, async (key, { body }) => {
    const signature = await base64(key, body);
    return [signature, { 'x-twitter-webhooks-signature': `sha256=${signature}` }];
  }),
  pubsub: {
    ...sender(
      '{"message":{"data":"SGVsbG8=","messageId":"m1","attributes":{"eventType":"OBJECT_FINALIZE"}},"subscription":"s"}',
      { id: 'm1', type: 'OBJECT_FINALIZE' },
      async (key, { nowMs, url }) => {
        const iat = Number(seconds(nowMs));
        const own = { email: PUSHER, email_verified: true, iss: 'https://accounts.google.com', aud: url };
        const sign = (text: string) => signWith('sha256', Buffer.from(text), key);
        const signed = jwt({ ...own, iat, exp: iat + 3600 }, sign, { alg: 'RS256', kid: 'k1' });
        return [signed, { Authorization: `Bearer ${signed}` }];
      },
      { coversBody: false },
    ),
    keys: jwtKeys('rsa'),
    verify: { jwt: { claims: { email: PUSHER } } },
  },
  'monday-app': signedJwt(
    '{"event":{"type":"create_item","subscriptionId":73759690,"triggerUuid":"b5ed2e17"}}',
    { id: '73759690/b5ed2e17', type: 'create_item' },
    'Authorization',
    ({ nowMs, url }) => ({ accountId: 1, aud: url, exp: Number(seconds(nowMs)) + 300, iat: Number(seconds(nowMs)) }),
    { coversBody: false },
  ),
  clerk: standard('svix'),
  resend: standard('svix'),
  openai: standard('webhook'),
  sentry: sender(
    '{"action":"created","data":{"issue":{"id":"1"}}}',
    { id: 'r1', type: 'issue/created' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'Sentry-Hook-Signature': signature, 'Sentry-Hook-Resource': 'issue', 'Request-ID': 'r1' }];
    },
  ),
  pagerduty: sender(
    '{"event":{"id":"5ac64822","event_type":"incident.priority_updated"}}',
    { id: '5ac64822', type: 'incident.priority_updated' },
    async (key, { body }) => {
      const signature = await hex(key, body);
      return [signature, { 'X-PagerDuty-Signature': `v1=${await hex('the other key', body)},v1=${signature}` }];
    },
  ),
  circleci: hub(
    'circleci-signature',
    'v1',
    '{"id":"3888f21b","type":"workflow-completed"}',
    { id: '3888f21b', type: 'workflow-completed' },
    { 'Circleci-Event-Type': 'workflow-completed' },
  ),
  vercel: sender(
    '{"id":"evt_1","type":"deployment.succeeded"}',
    { id: 'evt_1', type: 'deployment.succeeded' },
    async (key, { body }) => {
      const signature = await hex(key, body, 'SHA-1');
      return [signature, { 'x-vercel-signature': signature }];
    },
  ),
  netlify: signedJwt(
    '{"id":"5ebc34bf4fea0b01f02efa3a","state":"ready"}',
    { id: '5ebc34bf4fea0b01f02efa3a/ready', type: 'ready' },
    'X-Webhook-Signature',
    ({ body }) => ({ iss: 'netlify', sha256: plain('sha256', body) }),
  ),
  sanity: sender('{"_id":"a","_type":"post"}', { id: 'i1', type: 'update' }, async (key, { body, nowMs }) => {
    const signature = (await hmac('SHA-256', text.encode(key), `${nowMs}.${body}`)).toString('base64url');
    return [
      signature,
      {
        'sanity-webhook-signature': `t=${nowMs},v1=${signature}`,
        'idempotency-key': 'i1',
        'sanity-operation': 'update',
      },
    ];
  }),
  segment: sender(
    '{"messageId":"m1","type":"track","event":"Order Completed"}',
    { id: 'm1', type: 'Order Completed' },
    async (key, { body }) => {
      const signature = await hex(key, body, 'SHA-1');
      return [signature, { 'X-Signature': signature }];
    },
  ),
  customerio: sender(
    '{"event_id":"01E4C4C6","object_type":"email","metric":"delivered"}',
    { id: '01E4C4C6', type: 'email/delivered' },
    async (key, { body, nowMs }) => {
      const signature = await hex(key, `v0:${seconds(nowMs)}:${body}`);
      return [signature, { 'X-CIO-Timestamp': seconds(nowMs), 'X-CIO-Signature': signature }];
    },
    { window: 300 },
  ),
  postmark: basic('{"RecordType":"Delivery","MessageID":"883953f4"}', { id: 'sha256:', type: 'Delivery' }),
  vonage: signedJwt(
    '{"message_uuid":"aaaa","status":"delivered"}',
    { id: 'aaaa/delivered', type: 'delivered' },
    'Authorization',
    ({ body, nowMs }) => ({ iat: Number(seconds(nowMs)), jti: 'j', payload_hash: plain('sha256', body) }),
  ),
  messagebird: signedJwt(
    '{"type":"message.created","message":{"id":"1"}}',
    { id: 'sha256:', type: 'message.created' },
    'MessageBird-Signature-JWT',
    ({ body, nowMs, url }) => ({
      ...{ iss: 'MessageBird', jti: 'j', nbf: Number(seconds(nowMs)), exp: Number(seconds(nowMs)) + 60 },
      ...{ url_hash: plain('sha256', url), payload_hash: plain('sha256', body) },
    }),
  ),
  figma: {
    keys: words,
    window: 0,
    coversBody: false,
    body: '"event_type":"FILE_UPDATE","file_key":"k"',
    event: { id: 'sha256:', type: 'FILE_UPDATE' },
    async send({ signing, body, nowMs, url }) {
      const whole = `{"passcode":"${signing}",${body}}`;
      return { signature: signing, incoming: request({ body: whole, nowMs, url, headers: JSON_TYPE }) };
    },
  },
  'dropbox-sign': {
    keys: words,
    window: 0,
    coversBody: false,
    body: '"event_type":"signature_request_sent","event_time":"1525470811"',
    event: { id: 'sha256:', type: 'signature_request_sent' },
    async send({ signing, body, nowMs, url }) {
      const signature = await hex(signing, '1525470811signature_request_sent');
      const whole = `--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n{"event":{${body},"event_hash":"${signature}"}}\r\n--b--\r\n`;
      const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
      return { signature, incoming: request({ body: whole, nowMs, url, headers }) };
    },
  },
  sns: {
    keys() {
      const secret = `arn:aws:sns:us-east-1:123456789012:${random(10).toString('hex')}`;
      return { secret, signing: secret };
    },
    window: 0,
    // Of the members, and not of the bytes.
    coversBody: false,
    body: '{"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-000000000001","Subject":"An order","Message":"Zwölf \\"Kisten\\"","Timestamp":"2026-11-30T20:00:00.000Z","SignatureVersion":"2"}',
    event: { id: '22b80b92-fdea-4c2c-8f9d-000000000001', type: 'Notification' },
    certificate: SNS,
    async send({ signing, body, nowMs, url }) {
      const message: Record<string, string> = { ...JSON.parse(body), TopicArn: signing, SigningCertURL: SNS.url };
      const signer = createSign('RSA-SHA256');
      for (const name of ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'])
        signer.update(`${name}\n${message[name]}\n`);
      const signature = signer.sign(SNS.privateKey, 'base64');
      const whole = JSON.stringify({ ...message, Signature: signature });
      const incoming = request({ body: whole, nowMs, url, headers: { 'Content-Type': 'text/plain; charset=UTF-8' } });
      return { signature, incoming: { ...incoming, certificates: SNS.certificates } };
    },
  },
  paypal: {
    keys() {
      const secret = random(8).toString('hex').toUpperCase();
      return { secret, signing: secret };
    },
    window: 262_800,
    body: '{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","resource":{"note":"ä"}}',
    event: { id: 'WH-1', type: 'PAYMENT.SALE.COMPLETED' },
    certificate: PAYPAL,
    async send({ signing, body, nowMs, url }) {
      const [id, time] = ['69cd13f0-d67a-11e5-baa3-778b53f4ae55', new Date(nowMs).toISOString().replace(/\.\d+/, '')];
      const signed = createSign('RSA-SHA256').update(`${id}|${time}|${signing}|${crc32(Buffer.from(body))}`);
      const signature = signed.sign(PAYPAL.privateKey, 'base64');
      const headers = {
        ...JSON_TYPE,
        'PAYPAL-TRANSMISSION-ID': id,
        'PAYPAL-TRANSMISSION-TIME': time,
        'PAYPAL-CERT-URL': PAYPAL.url,
        'PAYPAL-AUTH-ALGO': 'SHA256withRSA',
        'PAYPAL-TRANSMISSION-SIG': signature,
      };
      return { signature, incoming: { ...request({ body, nowMs, url, headers }), certificates: PAYPAL.certificates } };
    },
  },
  plivo: {
    keys: words,
    window: 0,
    body: 'MessageUUID=m1&Status=delivered&To=15005550006&Text=%C3%A4+%26',
    event: { id: 'm1/delivered', type: 'delivered' },
    async send({ signing, body, nowMs, url }) {
      const [bare = ''] = url.split('?');
      const params = [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : 1));
      const signature = await base64(signing, `${bare}?${params.flat().join('')}.n0nce`);
      const signatures = `${await base64('the other token', bare)},${signature}`;
      const headers = { ...FORM_TYPE, 'X-Plivo-Signature-V3-Nonce': 'n0nce', 'X-Plivo-Signature-V3': signatures };
      return { signature, incoming: request({ body, nowMs, url: bare, headers }) };
    },
  },
  front: sender(
    '{"type":"inbound","authorization":{"id":"cmp_1"},"payload":{"id":"x"}}',
    { id: 'sha256:', type: 'inbound' },
    async (key, { body, nowMs }) => {
      const signature = await base64(key, `${nowMs}:${body}`);
      return [signature, { 'X-Front-Signature': signature, 'X-Front-Request-Timestamp': String(nowMs) }];
    },
    { window: 300 },
  ),
  aircall: {
    keys: words,
    window: 0,
    coversBody: false,
    body: '"resource":"call","event":"call.created","timestamp":1585601319',
    event: { id: 'sha256:', type: 'call.created' },
    async send({ signing, body, nowMs, url }) {
      const whole = `{"token":"${signing}",${body}}`;
      return { signature: signing, incoming: request({ body: whole, nowMs, url, headers: JSON_TYPE }) };
    },
  },
};
