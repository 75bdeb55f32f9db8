// Signs requests as each provider documents it, by WebCrypto and by hand: an implementation that shares nothing with ours.
import { generateKeyPairSync, sign as signWith } from 'node:crypto';
import type { Incoming } from '../../../src/verify/request.ts';
import { request } from './request.ts';

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
}
export interface Sent {
  readonly incoming: Incoming;
  /** As it stands in a header, or in the body. */
  readonly signature: string;
}

const text = new TextEncoder();
type Digest = 'SHA-256' | 'SHA-1';

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

const standard = (prefix: 'webhook' | 'svix', more: Readonly<Record<string, string>> = {}, type = 'a.b'): Sender =>
  sender(
    '{"type":"a.b","data":{}}',
    { id: 'msg_1', type },
    async (key, { body, nowMs }) => {
      const raw = Buffer.from(key.replace('whsec_', ''), 'base64');
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
        const secret = `whsec_${random(24).toString('base64')}`;
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
};
